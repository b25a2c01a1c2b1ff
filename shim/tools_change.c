/*
 * tools_change.c
 *		Handlers of changes: propose, look at, list, withdraw.
 *
 * An agent sees its own changes only; the database decides which those are.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 20

/* How long a user may take to look at a review page. */
#define STATE_SECONDS 3600

/* ------------------------------------------------------------------------
 * Reading a change
 * ------------------------------------------------------------------------
 */

/* The JSON object in column 0 of a row; NULL if there is none. */
json_t *
tools_load_change(const DbOutcome *outcome, int row)
{
	size_t		len;
	JsonFault	fault;
	const char *cell;
	json_t	   *value;

	if (row >= db_rows(outcome))
		return NULL;
	cell = db_cell(outcome, row, 0, &len);
	value = cell != NULL ? json_util_load(cell, len, &fault) : NULL;
	if (json_is_object(value))
		return value;
	json_decref(value);
	return NULL;
}

void
tools_change_step(ToolsChangeStep *step, long long change_id)
{
	snprintf(step->id, sizeof(step->id), "%lld", change_id);
	step->params[0] = step->id;
	step->step = (DbStep) {SQL_GET_CHANGE, 1, step->params, false};
}

static long long
change_number(const json_t *change)
{
	return json_integer_value(json_object_get(change, "change_id"));
}

/* The configured link to a change's review page, or nothing. */
void
tools_put_review_url(Buf *out, const McpCall *call, long long change_id)
{
	const char *template = tools_context(call)->cf->review_url;
	const char *at = template != NULL ? strstr(template, "{change_id}") : NULL;

	if (template == NULL)
		return;
	if (at == NULL)
	{
		buf_puts(out, template);
		return;
	}
	buf_append(out, template, (size_t) (at - template));
	buf_int(out, change_id);
	buf_puts(out, at + strlen("{change_id}"));
}

static void
put_review_url(McpCall *call, long long change_id)
{
	Buf			url;

	buf_init(&url);
	tools_put_review_url(&url, call, change_id);
	if (url.len > 0)
	{
		mcp_member(call, "review_url");
		buf_json_cstr(&call->out, url.data);
	}
	buf_free(&url);
}

/* Calls fn for each finding of each statement. */
static void
each_finding(const json_t *change,
			 void (*fn) (const json_t *finding, void *arg), void *arg)
{
	size_t		i;
	size_t		k;
	json_t	   *statement;
	json_t	   *finding;

	json_array_foreach(json_object_get(change, "statements"), i, statement)
	{
		json_array_foreach(json_object_get(statement, "findings"), k, finding)
		{
			if (json_is_object(finding))
				fn(finding, arg);
		}
	}
}

static void
put_finding(const json_t *finding, void *arg)
{
	Buf		   *out = arg;

	if (buf_ok(out) && out->data[out->len - 1] != '[')
		buf_putc(out, ',');
	json_util_write(out, finding);
}

static void
put_finding_line(const json_t *finding, void *arg)
{
	const char *level = json_util_string(finding, "level");
	const char *rule = json_util_string(finding, "rule");
	const char *message = json_util_string(finding, "message");

	buf_printf(arg, "\n- %s %s: %s", level != NULL ? level : "finding",
			   rule != NULL ? rule : "", message != NULL ? message : "");
}

static void
put_review_lines(Buf *text, const json_t *change)
{
	size_t		i;
	json_t	   *review;

	json_array_foreach(json_object_get(change, "reviews"), i, review)
	{
		const char *decision = json_util_string(review, "decision");
		const char *comment = json_util_string(review, "comment");

		buf_printf(text, "\nA reviewer decided %s: %s",
				   decision != NULL ? decision : "?",
				   comment != NULL ? comment : "(no comment)");
	}
}

void
tools_change_line(Buf *text, const json_t *change)
{
	const char *status = json_util_string(change, "status");
	const char *risk = json_util_string(change, "risk");
	const char *title = json_util_string(change, "title");
	const json_t *required = json_object_get(change, "required_approvals");

	buf_printf(text, "Change %lld is %s", change_number(change),
			   status != NULL ? status : "in an unknown state");
	if (risk != NULL)
		buf_printf(text, ", risk %s", risk);
	if (json_is_integer(required))
		buf_printf(text, ", %lld of %lld approvals",
				   (long long) json_integer_value(json_object_get(change, "approvals")),
				   (long long) json_integer_value(required));
	if (title != NULL)
		buf_printf(text, ": %s", title);
}

/* ------------------------------------------------------------------------
 * Answers
 * ------------------------------------------------------------------------
 */

static void
answer_change(McpCall *call, const json_t *change)
{
	Buf			text;

	buf_init(&text);
	tools_change_line(&text, change);
	each_finding(change, put_finding_line, &text);
	put_review_lines(&text, change);
	tools_begin(call, buf_cstr(&text), text.len);
	buf_puts(&call->out, "\"status\":\"ok\",\"change\":");
	json_util_write(&call->out, change);
	put_review_url(call, change_number(change));
	tools_end(call);
	buf_free(&text);
}

static void
answer_no_change(McpCall *call)
{
	DbError		error = {"P0002", "there is no such change of yours", NULL,
	"list_changes shows the ones there are.", 0};

	tools_fail(call, &error);
}

/* The change as its agent sees it, NULL if it can not be read. */
static json_t *
fetch_change(McpCall *call, const char *database, long long change_id,
			 DbOutcome *outcome)
{
	ToolsChangeStep get;
	ToolsRun	run = {&get.step, 1, database, 0, false};

	tools_change_step(&get, change_id);
	if (!tools_run(call, &run, outcome))
		return NULL;
	return tools_load_change(outcome, 0);
}

/* Where a review page exists and the client can lead its user to a URL. */
static bool
wants_link(const McpCall *call)
{
	return call->era == MCP_MODERN &&
		tools_context(call)->cf->review_url != NULL &&
		json_object_get(call->msg.params, "requestState") == NULL &&
		json_util_object(mcp_client_capability(call, "elicitation"),
						 "url") != NULL;
}

/* input_required: the user looks at the change, then the call comes back. */
static void
answer_link(McpCall *call, long long change_id)
{
	char		state[32];
	Buf			text;

	snprintf(state, sizeof(state), "%lld", change_id);
	buf_init(&text);
	mcp_result_begin_as(call, "input_required", NULL);
	mcp_member(call, "inputRequests");
	buf_puts(&call->out, "{\"review\":{\"method\":\"elicitation/create\","
			 "\"params\":{\"mode\":\"url\",\"message\":");
	buf_printf(&text, "Change %lld waits for a person's review.", change_id);
	buf_json_cstr(&call->out, buf_cstr(&text));
	buf_puts(&call->out, ",\"url\":");
	buf_reset(&text);
	tools_put_review_url(&text, call, change_id);
	buf_json_cstr(&call->out, buf_cstr(&text));
	buf_puts(&call->out, "}}}");
	mcp_member(call, "requestState");
	buf_reset(&text);
	mcp_state_seal(call, state, STATE_SECONDS, &text);
	buf_json_cstr(&call->out, buf_cstr(&text));
	mcp_result_end(call);
	buf_free(&text);
}

/*
 * The change is committed already, so a failure to read its findings leaves
 * them out instead of hiding the change.
 */
void
tools_pending(McpCall *call, const char *database, const DbOutcome *outcome)
{
	DbOutcome	details;
	json_t	   *change = fetch_change(call, database, outcome->change_id,
									  &details);
	const char *risk = json_util_string(change, "risk");
	Buf			text;

	call->http_status = 200;
	call->outcome = MCP_OUTCOME_PENDING;
	if (change != NULL && tools_wants_task(call))
	{
		tools_answer_task(call, database, change);
		json_decref(change);
		db_outcome_free(&details);
		return;
	}
	if (wants_link(call))
	{
		answer_link(call, outcome->change_id);
		json_decref(change);
		db_outcome_free(&details);
		return;
	}
	if (outcome->risk[0] != '\0')
		risk = outcome->risk;
	buf_init(&text);
	buf_printf(&text, "Not run: recorded as change %lld", outcome->change_id);
	if (risk != NULL)
		buf_printf(&text, " (risk %s)", risk);
	buf_puts(&text, ", which waits for a person's review. Use get_change to follow it.");
	each_finding(change, put_finding_line, &text);
	tools_begin(call, buf_cstr(&text), text.len);
	buf_printf(&call->out, "\"status\":\"pending_review\",\"change_id\":%lld",
			   outcome->change_id);
	mcp_member(call, "risk");
	if (risk != NULL)
		buf_json_cstr(&call->out, risk);
	else
		buf_puts(&call->out, "null");
	mcp_member(call, "findings");
	buf_putc(&call->out, '[');
	each_finding(change, put_finding, &call->out);
	buf_putc(&call->out, ']');
	put_review_url(call, outcome->change_id);
	tools_end(call);
	buf_free(&text);
	json_decref(change);
	db_outcome_free(&details);
}

/* The statement is not run again: its change is looked at. */
bool
tools_resume(McpCall *call, const char *database)
{
	Buf			state;
	bool		present;
	DbOutcome	outcome;
	json_t	   *change;
	const char *status;

	buf_init(&state);
	memset(&outcome, 0, sizeof(outcome));
	if (!mcp_state_open(call, &state, &present) || !present)
	{
		buf_free(&state);
		return call->out.len > 0;
	}
	change = fetch_change(call, database,
						  strtoll(buf_cstr(&state), NULL, 10), &outcome);
	status = json_util_string(change, "status");
	if (status != NULL && strcmp(status, "proposed") == 0)
	{
		outcome.change_id = change_number(change);
		tools_pending(call, database, &outcome);
	}
	else if (change != NULL)
		answer_change(call, change);
	else if (outcome.status == DB_DONE)
		answer_no_change(call);
	json_decref(change);
	db_outcome_free(&outcome);
	buf_free(&state);
	return true;
}

/* ------------------------------------------------------------------------
 * Handlers
 * ------------------------------------------------------------------------
 */

void
tools_propose_change(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {
		"sql", "title", "reason", "database", NULL
	};
	const char *params[3] = {NULL, NULL, NULL};
	DbStep		step = {SQL_PROPOSE, 3, params, false};
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	outcome;
	size_t		len;

	if (!tools_only(call, arguments, names) ||
		!tools_sql(call, arguments, &params[0]) ||
		!tools_text(call, arguments, "title", true, &params[1]) ||
		!tools_text(call, arguments, "reason", true, &params[2]) ||
		!tools_text(call, arguments, "database", false, &run.database) ||
		tools_resume(call, run.database))
		return;
	if (tools_run(call, &run, &outcome))
	{
		const char *id = db_rows(&outcome) == 1 ?
			db_cell(&outcome, 0, 0, &len) : NULL;

		if (id != NULL)
			outcome.change_id = strtoll(id, NULL, 10);
		tools_pending(call, run.database, &outcome);
	}
	db_outcome_free(&outcome);
}

static bool
read_change_id(McpCall *call, json_t *arguments, long long *change_id,
			   const char **database)
{
	static const char *const names[] = {"change_id", "database", NULL};

	return tools_only(call, arguments, names) &&
		tools_integer(call, arguments, "change_id", true, 1,
					  INT64_MAX, change_id) &&
		tools_text(call, arguments, "database", false, database);
}

void
tools_get_change(McpCall *call, json_t *arguments)
{
	long long	change_id = 0;
	const char *database = NULL;
	DbOutcome	outcome;
	json_t	   *change;

	if (!read_change_id(call, arguments, &change_id, &database))
		return;
	change = fetch_change(call, database, change_id, &outcome);
	if (change != NULL)
		answer_change(call, change);
	else if (outcome.status == DB_DONE)
		answer_no_change(call);
	json_decref(change);
	db_outcome_free(&outcome);
}

/* Both statements in one transaction: the answer shows what was committed. */
void
tools_withdraw_change(McpCall *call, json_t *arguments)
{
	long long	change_id = 0;
	ToolsChangeStep get;
	DbStep		steps[2];
	ToolsRun	run = {steps, 2, NULL, 0, false};
	DbOutcome	outcome;

	if (!read_change_id(call, arguments, &change_id, &run.database))
		return;
	tools_change_step(&get, change_id);
	steps[0] = (DbStep) {SQL_WITHDRAW, 1, get.params, false};
	steps[1] = get.step;
	if (tools_run(call, &run, &outcome))
	{
		json_t	   *change = tools_load_change(&outcome, 0);

		if (change != NULL)
			answer_change(call, change);
		else
			answer_no_change(call);
		json_decref(change);
	}
	db_outcome_free(&outcome);
}

/* ------------------------------------------------------------------------
 * list_changes
 * ------------------------------------------------------------------------
 */

/* Cursors are "c" and the id that the next page starts below. */
static bool
read_cursor(McpCall *call, json_t *arguments, const char **below)
{
	const char *cursor = NULL;

	if (!tools_text(call, arguments, "cursor", false, &cursor))
		return false;
	if (cursor == NULL)
		return true;
	if (cursor[0] != 'c' || cursor[1] == '\0' || strlen(cursor) > 19 ||
		cursor[1 + strspn(cursor + 1, "0123456789")] != '\0')
	{
		tools_invalid(call, "argument \"cursor\" is not one that was handed out",
					  "Leave it out to start at the newest change.");
		return false;
	}
	*below = cursor + 1;
	return true;
}

static void
answer_changes(McpCall *call, const DbOutcome *outcome)
{
	int			found = db_rows(outcome);
	int			rows = found < PAGE_SIZE ? found : PAGE_SIZE;
	Buf			text;
	Buf			list;
	long long	last = 0;

	buf_init(&text);
	buf_init(&list);
	for (int row = 0; row < rows; row++)
	{
		json_t	   *change = tools_load_change(outcome, row);

		last = change_number(change);
		buf_puts(&text, row > 0 ? "\n" : "");
		tools_change_line(&text, change);
		buf_puts(&list, row > 0 ? "," : "");
		json_util_write(&list, change);
		json_decref(change);
	}
	if (rows == 0)
		buf_puts(&text, "No changes.");
	tools_begin(call, buf_cstr(&text), text.len);
	buf_puts(&call->out, "\"status\":\"ok\",\"changes\":[");
	buf_puts(&call->out, buf_cstr(&list));
	buf_putc(&call->out, ']');
	if (db_rows(outcome) > PAGE_SIZE)
		buf_printf(&call->out, ",\"next_cursor\":\"c%lld\"", last);
	tools_end(call);
	buf_free(&text);
	buf_free(&list);
}

void
tools_list_changes(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {"status", "cursor", "database", NULL};
	static const char *const states[] = {
		"proposed", "approved", "applying", "applied", "rejected", "withdrawn",
		"expired", "stale", "failed", "unknown", NULL
	};
	char		limit[24];
	const char *params[3] = {NULL, NULL, limit};
	DbStep		step = {SQL_LIST_CHANGES, 3, params, false};
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	outcome;

	snprintf(limit, sizeof(limit), "%d", PAGE_SIZE + 1);
	if (!tools_only(call, arguments, names) ||
		!tools_choice(call, arguments, "status", states, &params[0]) ||
		!read_cursor(call, arguments, &params[1]) ||
		!tools_text(call, arguments, "database", false, &run.database))
		return;
	if (tools_run(call, &run, &outcome))
		answer_changes(call, &outcome);
	db_outcome_free(&outcome);
}
