/*
 * tools_run.c
 *		A tool's statements as one governed call, and what HTTP is told of one
 *		that was not accepted.
 */
#include "tools.h"

#include "json_util.h"
#include "metrics.h"

#include <string.h>

static void
put_text_member(Buf *out, const char *name, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	buf_puts(out, ",\"");
	buf_puts(out, name);
	buf_puts(out, "\":");
	buf_json_cstr(out, value);
}

/*
 * What enter records about the call; nothing of it grants anything.  An id is
 * cut at a NUL character, which jsonb can not hold.
 */
static void
put_request(Buf *out, const McpCall *call, const ToolsRun *run)
{
	const char *prompt = json_util_string(call->meta, "warden/promptRef");

	if (prompt == NULL)
		prompt = json_util_string(call->meta, "traceparent");
	buf_puts(out, "{\"tool\":");
	buf_json_cstr(out, call->tool != NULL ? call->tool->name :
				  call->method->name);
	buf_puts(out, ",\"request_id\":");
	if (json_util_number(call->msg.id) != NULL)
		buf_json_cstr(out, json_util_number(call->msg.id));
	else if (json_is_string(call->msg.id))
		buf_json_cstr(out, json_string_value(call->msg.id));
	else
	{
		buf_putc(out, '"');
		buf_int(out, json_integer_value(call->msg.id));
		buf_putc(out, '"');
	}
	put_text_member(out, "session_id", call->session);
	put_text_member(out, "prompt_ref", prompt);
	if (run->max_rows > 0)
		buf_printf(out, ",\"max_rows\":%lld", run->max_rows);
	buf_putc(out, '}');
}

static bool
has_state(const DbOutcome *outcome, const char *sqlstate)
{
	return outcome->status != DB_DONE &&
		strcmp(outcome->error.sqlstate, sqlstate) == 0;
}

/*
 * The scope to ask for, behind "scope=": an administrator's text, for which a
 * header has no room for quotes.
 */
static void
set_scope(McpCall *call, const DbOutcome *outcome)
{
	const char *text = outcome->error.detail + 6;
	size_t		n = 0;

	for (; *text != '\0' && n < sizeof(call->scope) - 1; text++)
		if (*text >= ' ' && *text <= '~' && *text != '"' && *text != '\\')
			call->scope[n++] = *text;
	call->scope[n] = '\0';
}

/*
 * What HTTP has a status for is answered by it, so that a client can get
 * another credential, or wait; true if it was.
 */
static bool
answer_by_status(McpCall *call, const DbOutcome *outcome)
{
	int			code = 0;

	if (outcome->lacks_scope)
		code = MCP_FORBIDDEN;
	else if (outcome->status == DB_REFUSED)
		code = MCP_UNAUTHORIZED;
	else if (has_state(outcome, "WD005") && !outcome->entered)
		code = MCP_TOO_MANY;
	if (code == 0 || !call->transport->challenges)
		return false;
	mcp_error(call, code, outcome->error.message);
	call->outcome = MCP_OUTCOME_REFUSED;
	if (code == MCP_FORBIDDEN)
		set_scope(call, outcome);
	if (code == MCP_TOO_MANY)
		call->retry_after = 1;
	return true;
}

static McpVerdict
verdict_of(const DbOutcome *outcome)
{
	if (outcome->entered || outcome->lacks_scope)
		return MCP_ACCEPTED;
	return outcome->status == DB_REFUSED ? MCP_REFUSED : MCP_UNJUDGED;
}

/*
 * What a replica could not do and did not do: a write, a read that it may not
 * record or that was in the way of what it replays, or anything while it is not
 * there.  A call that was lost on its way is not among them.
 */
static bool
is_for_primary(const DbOutcome *outcome)
{
	const char *sqlstate = outcome->error.sqlstate;

	return outcome->status != DB_DONE &&
		(strcmp(sqlstate, "WD010") == 0 || strcmp(sqlstate, "25006") == 0 ||
		 strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "08001") == 0);
}

static void
exec(McpCall *call, const DbRequest *db, DbOutcome *outcome)
{
	DbPool	   *pool = tools_context(call)->pool;

	db_call(pool, db, outcome);
	if (db->replica && is_for_primary(outcome))
	{
		DbRequest	primary = *db;

		db_outcome_free(outcome);
		primary.replica = false;
		db_call(pool, &primary, outcome);
	}
}

/*
 * Where the call may not wait: it starts the request at most.  The error is
 * seen by nobody, since the handler is run again.
 */
static void
exec_unless_waiting(McpCall *call, const DbRequest *db, DbOutcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->status = DB_UNREACHABLE;
	outcome->error = (DbError) {"55000", "not waited for", NULL, NULL, 0, NULL};
	if (call->phase == MCP_PHASE_START && call->parked == NULL)
		call->parked = db_start(tools_context(call)->pool, db);
	call->stopped = true;
}

static void
tell_progress(void *arg)
{
	McpCall    *call = arg;

	mcp_progress(call, (double) (metrics_clock() - call->started) / 1e9, 0,
				 "seconds of waiting for PostgreSQL");
}

static void
run_request(McpCall *call, const ToolsRun *run, DbOutcome *outcome)
{
	const ToolsContext *context = tools_context(call);
	const char *person = json_util_string(call->meta, MCP_PERSON);
	const char *configured = context->cf->on_behalf_of;
	Buf			request;
	DbRequest	db = {
		.database = run->database,.credential = call->credential,
		.on_behalf_of = run->admission ? NULL :
		person != NULL ? person : configured,
		.steps = run->steps,.step_count = (run->steps[0].sql != NULL) +
		(run->steps[1].sql != NULL),.brief = run->admission,
		.cancelled = &call->cancelled,
		.wake_fd = atomic_load(&call->wake_fd),.watch_fd = call->watch_fd,
		.tell = json_object_get(call->meta, "progressToken") != NULL ?
		tell_progress : NULL,.tell_arg = call
	};

	buf_init(&request);
	put_request(&request, call, run);
	db.request = buf_cstr(&request);
	db.replica = run->replica && run->database == NULL &&
		db_has_replica(context->pool);
	if (call->phase == MCP_PHASE_WORKER)
		exec(call, &db, outcome);
	else
		exec_unless_waiting(call, &db, outcome);
	buf_free(&request);
}

/*
 * A person that is named in no way that we understand is not nobody, nor the
 * one that calls are for otherwise.
 */
static bool
names_person(const McpCall *call, DbOutcome *outcome)
{
	const json_t *person = json_object_get(call->meta, MCP_PERSON);

	if (person == NULL || json_is_null(person) ||
		json_util_string(call->meta, MCP_PERSON) != NULL)
		return true;
	memset(outcome, 0, sizeof(*outcome));
	outcome->status = DB_FAILED;
	outcome->error = (DbError) {
		SQLSTATE_INVALID_PARAMETER, "_meta \"" MCP_PERSON "\" must be a string",
		NULL, "Name the person that the call is for, or leave it out.", 0, NULL
	};
	return false;
}

bool
tools_exec(McpCall *call, const ToolsRun *run, DbOutcome *outcome)
{
	McpVerdict	verdict;
	bool		unpark = call->parked != NULL && !call->unparked &&
		call->phase != MCP_PHASE_START;

	if (!run->admission && !names_person(call, outcome))
		return false;
	if (unpark)
	{
		call->unparked = true;
		db_finish(call->parked, atomic_load(&call->wake_fd), call->watch_fd,
				  outcome);
	}
	if (!unpark || outcome->stale)
		run_request(call, run, outcome);
	verdict = verdict_of(outcome);
	if (verdict != MCP_UNJUDGED)
		call->verdict = verdict;
	return outcome->status == DB_DONE;
}

static int
parked_fd(const void *parked, uint64_t *line)
{
	return db_ticket_fd(parked, line);
}

static McpProgress
advance_parked(void *parked)
{
	static const McpProgress same[] = {
		[DB_WAITING] = MCP_WAITING,[DB_READY] = MCP_READY,[DB_SLOW] = MCP_SLOW
	};

	return same[db_advance(parked)];
}

static void
release_parked(void *parked)
{
	db_ticket_free(parked);
}

const McpParking tools_parking = {
	.fd = parked_fd,.advance = advance_parked,.release = release_parked
};

bool
tools_run(McpCall *call, const ToolsRun *run, DbOutcome *outcome)
{
	if (tools_exec(call, run, outcome))
		return true;
	if (call->stopped)
		return false;
	if (!answer_by_status(call, outcome))
		tools_fail(call, &outcome->error);
	if (outcome->status == DB_REFUSED)
		call->outcome = MCP_OUTCOME_REFUSED;
	return false;
}

/*
 * Enters and leaves.  Only a refusal counts: what the request is answered by is
 * no secret, and can be had while PostgreSQL is away or busy.  It is for nobody
 * yet; that the agent only acts for a person is said to its calls.
 */
bool
tools_admit(McpCall *call)
{
	ToolsRun	run = {.replica = true,.admission = true};
	DbOutcome	outcome;
	bool		refused = !tools_exec(call, &run, &outcome) &&
		outcome.status == DB_REFUSED && !outcome.lacks_person &&
		answer_by_status(call, &outcome);

	if (outcome.lacks_person)
		call->verdict = MCP_ACCEPTED;
	db_outcome_free(&outcome);
	return !refused;
}

void
tools_answer(McpCall *call, ToolsRun *run,
			 void (*answer) (McpCall *call, const DbOutcome *outcome))
{
	DbOutcome	outcome;

	run->database = tools_database(call);
	if (tools_run(call, run, &outcome))
		answer(call, &outcome);
	db_outcome_free(&outcome);
}

bool
tools_fetch(McpCall *call, const ToolsRun *run, DbOutcome *outcome)
{
	if (tools_exec(call, run, outcome))
		return true;
	if (!answer_by_status(call, outcome))
	{
		mcp_error_put(call, JSONRPC_INTERNAL_ERROR,
					  "'%s','data':{'sqlstate':'%s'}", outcome->error.message,
					  outcome->error.sqlstate);
		call->http_status = 200;
	}
	return false;
}
