/*
 * tools_change.c
 *		Handlers of changes: propose, look at, list, withdraw.
 *
 * An agent sees its own changes only; the database decides which those are.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 20
#define PAGE_SIZE_AND_ONE "21"

/* How long a user may take to look at a review page. */
#define STATE_SECONDS 3600

/* ------------------------------------------------------------------------
 * Reading a change
 * ------------------------------------------------------------------------
 */

long long
tools_change_id(const json_t *object)
{
	return json_integer_value(json_object_get(object, "change_id"));
}

long long
tools_parse_id(const char *text)
{
	size_t		digits = strspn(text, "0123456789");

	return text[digits] == '\0' && digits <= 18 ? strtoll(text, NULL, 10) : 0;
}

bool
tools_read_change(McpCall *call, ToolsRunner runner, const char *database,
				  long long change_id, json_t **change)
{
	char		id[24];
	const char *params[1] = {id};
	ToolsRun	run = {
		.steps = {{SQL_GET_CHANGE, 1, params, false}},.database = database
	};
	DbOutcome	outcome;
	bool		done;

	snprintf(id, sizeof(id), "%lld", change_id);
	done = runner(call, &run, &outcome);
	*change = done ? tools_load_object(&outcome, 0) : NULL;
	db_outcome_free(&outcome);
	return done;
}

/* The configured link to a change's review page, into a string that is open. */
static void
put_review_url(Buf *out, const char *template, long long change_id)
{
	const char *at = strstr(template, "{change_id}");

	buf_json_chars(out, template,
				   at != NULL ? (size_t) (at - template) : strlen(template));
	if (at != NULL)
		json_util_text(out, "%lld%s", change_id, at + strlen("{change_id}"));
}

static void
put_review_url_member(McpCall *call, long long change_id)
{
	const char *template = tools_context(call)->cf->review_url;

	if (template == NULL || *template == '\0')
		return;
	buf_puts(&call->out, ",\"review_url\":\"");
	put_review_url(&call->out, template, change_id);
	buf_putc(&call->out, '"');
}

/* The findings of all statements: as lines of text, or as JSON. */
static void
put_findings(Buf *out, const json_t *change, bool lines)
{
	const char *comma = "";
	size_t		i;
	size_t		k;
	json_t	   *statement;
	json_t	   *finding;

	json_array_foreach(json_object_get(change, "statements"), i, statement)
	{
		json_array_foreach(json_object_get(statement, "findings"), k, finding)
		{
			if (!json_is_object(finding))
				continue;
			if (lines)
			{
				json_util_text(out, "\n- %s %s: ",
							   json_util_string_or(finding, "level", "finding"),
							   json_util_string_or(finding, "rule", ""));
				tools_put_lines(out, json_util_string_or(finding, "message",
														 ""));
			}
			else
				json_util_put(out, "%s%p", comma, finding);
			comma = ",";
		}
	}
}

void
tools_change_line(Buf *out, const json_t *change)
{
	const char *risk = json_util_string(change, "risk");
	const char *title = json_util_string(change, "title");
	const json_t *required = json_object_get(change, "required_approvals");
	const json_t *approvals = json_object_get(change, "approvals");

	json_util_text(out, "Change %lld is %s", tools_change_id(change),
				   json_util_string_or(change, "status",
									   "in an unknown state"));
	if (risk != NULL)
		json_util_text(out, ", risk %s", risk);
	if (json_is_integer(required))
		json_util_text(out, ", %lld of %lld approvals",
					   (long long) json_integer_value(approvals),
					   (long long) json_integer_value(required));
	if (title != NULL)
	{
		json_util_text(out, ": ");
		tools_put_lines(out, title);
	}
}

/* ------------------------------------------------------------------------
 * Answers
 * ------------------------------------------------------------------------
 */

/* One change, or that there is none. */
static void
answer_change(McpCall *call, const json_t *change)
{
	DbError		none = {"P0002", "there is no such change of yours", NULL,
	"list_changes shows the ones there are.", 0, NULL};
	size_t		i;
	json_t	   *review;

	if (change == NULL)
	{
		tools_fail(call, &none);
		return;
	}
	tools_begin(call);
	tools_change_line(&call->out, change);
	put_findings(&call->out, change, true);
	json_array_foreach(json_object_get(change, "reviews"), i, review)
	{
		json_util_text(&call->out, "\nA reviewer decided %s: ",
					   json_util_string_or(review, "decision", "?"));
		tools_put_lines(&call->out, json_util_string_or(review, "comment",
														"(no comment)"));
	}
	tools_structure(call, "ok");
	json_util_put(&call->out, ",'change':%p,'findings':[", change);
	put_findings(&call->out, change, false);
	buf_putc(&call->out, ']');
	put_review_url_member(call, tools_change_id(change));
	tools_end(call);
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
	Buf		   *out = &call->out;

	snprintf(state, sizeof(state), "%lld", change_id);
	mcp_result_begin_as(call, "input_required");
	mcp_put(call, "'inputRequests':{'review':{'method':'elicitation/create',"
			"'params':{'mode':'url','message':'");
	json_util_text(out, "Change %lld waits for a person's review.", change_id);
	buf_puts(out, "\",\"url\":\"");
	put_review_url(out, tools_context(call)->cf->review_url, change_id);
	buf_puts(out, "\"}}},\"requestState\":\"");
	mcp_state_seal(call, state, STATE_SECONDS, out);
	buf_putc(out, '"');
	mcp_result_end(call);
}

static void
answer_pending(McpCall *call, long long change_id, const char *risk,
			   const json_t *change)
{
	Buf		   *out = &call->out;

	if (*risk == '\0')
		risk = json_util_string(change, "risk");
	tools_begin(call);
	json_util_text(out, "Not run: recorded as change %lld", change_id);
	if (risk != NULL)
		json_util_text(out, " (risk %s)", risk);
	json_util_text(out, ", which waits for a person's review. "
				   "Use get_change to follow it.");
	put_findings(out, change, true);
	tools_structure(call, "pending_review");
	json_util_put(out, ",'change_id':%lld,", change_id);
	if (risk != NULL)
		json_util_put(out, "'risk':'%s','findings':[", risk);
	else
		json_util_put(out, "'risk':null,'findings':[");
	put_findings(out, change, false);
	buf_putc(out, ']');
	put_review_url_member(call, change_id);
	tools_end(call);
}

/*
 * The change is committed already, so a failure to read its findings leaves
 * them out instead of hiding the change.
 */
void
tools_pending(McpCall *call, long long change_id, const char *risk)
{
	const char *database = tools_database(call);
	json_t	   *change;

	tools_read_change(call, tools_run, database, change_id, &change);
	call->http_status = 200;
	call->outcome = MCP_OUTCOME_PENDING;
	if (change != NULL && tools_wants_task(call))
		tools_answer_task(call, database, change);
	else if (wants_link(call))
		answer_link(call, change_id);
	else
		answer_pending(call, change_id, risk, change);
	json_decref(change);
}

/* The statement is not run again: its change is looked at. */
bool
tools_resume(McpCall *call)
{
	Buf			state;
	bool		present;
	long long	change_id;
	json_t	   *change = NULL;

	buf_init(&state);
	if (!mcp_state_open(call, &state, &present) || !present)
	{
		buf_free(&state);
		return call->out.len > 0;
	}
	change_id = strtoll(buf_cstr(&state), NULL, 10);
	buf_free(&state);
	if (!tools_read_change(call, tools_run, tools_database(call), change_id,
						   &change))
		return true;
	if (strcmp(json_util_string_or(change, "status", ""), "proposed") == 0)
		tools_pending(call, change_id, "");
	else
		answer_change(call, change);
	json_decref(change);
	return true;
}

/* ------------------------------------------------------------------------
 * Handlers
 * ------------------------------------------------------------------------
 */

static void
answer_proposed(McpCall *call, const DbOutcome *outcome)
{
	tools_pending(call, outcome->change_id, outcome->risk);
}

void
tools_propose_change(McpCall *call, json_t *arguments)
{
	const char *params[3] = {
		json_util_string(arguments, "sql"),
		json_util_string(arguments, "title"),
		json_util_string(arguments, "reason")
	};
	ToolsRun	run = {.steps = {{SQL_PROPOSE, 3, params, false}}};

	if (tools_check(call, arguments) && !tools_resume(call))
		tools_answer(call, &run, answer_proposed);
}

static void
answer_loaded(McpCall *call, const DbOutcome *outcome)
{
	json_t	   *change = tools_load_object(outcome, 0);

	answer_change(call, change);
	json_decref(change);
}

/* Statements about one change, the last of which reads it. */
static void
run_on_change(McpCall *call, json_t *arguments, const char *first,
			  const char *second)
{
	char		id[24];
	const char *params[1] = {id};
	ToolsRun	run = {
		.steps = {{first, 1, params, false}, {second, 1, params, false}}
	};

	if (!tools_check(call, arguments))
		return;
	snprintf(id, sizeof(id), "%lld", tools_change_id(arguments));
	tools_answer(call, &run, answer_loaded);
}

void
tools_get_change(McpCall *call, json_t *arguments)
{
	run_on_change(call, arguments, SQL_GET_CHANGE, NULL);
}

/* Both statements in one transaction: the answer shows what was committed. */
void
tools_withdraw_change(McpCall *call, json_t *arguments)
{
	run_on_change(call, arguments, SQL_WITHDRAW, SQL_GET_CHANGE);
}

/* ------------------------------------------------------------------------
 * list_changes
 * ------------------------------------------------------------------------
 */

static void
answer_changes(McpCall *call, const DbOutcome *outcome)
{
	int			rows = db_rows(outcome) < PAGE_SIZE ?
		db_rows(outcome) : PAGE_SIZE;
	Buf			list;
	long long	last = 0;

	buf_init(&list);
	tools_begin(call);
	for (int row = 0; row < rows; row++)
	{
		json_t	   *change = tools_load_object(outcome, row);

		last = tools_change_id(change);
		json_util_text(&call->out, row > 0 ? "\n" : "");
		tools_change_line(&call->out, change);
		json_util_put(&list, row > 0 ? ",%p" : "%p", change);
		json_decref(change);
	}
	if (rows == 0)
		json_util_text(&call->out, "No changes.");
	tools_structure(call, "ok");
	json_util_put(&call->out, ",'changes':[%s]", buf_cstr(&list));
	if (db_rows(outcome) > PAGE_SIZE || outcome->truncated)
		json_util_put(&call->out, ",'next_cursor':'c%lld'", last);
	tools_end(call);
	if (!buf_ok(&list))
		call->out.failed = true;
	buf_free(&list);
}

/* Cursors are "c" and the id that the next page starts below. */
void
tools_list_changes(McpCall *call, json_t *arguments)
{
	const char *cursor = json_util_string(arguments, "cursor");
	const char *params[3] = {
		json_util_string(arguments, "status"),
		cursor != NULL ? cursor + 1 : NULL, PAGE_SIZE_AND_ONE
	};
	ToolsRun	run = {.steps = {{SQL_LIST_CHANGES, 3, params, false}}};

	if (!tools_check(call, arguments))
		return;
	if (cursor != NULL &&
		(cursor[0] != 'c' || tools_parse_id(cursor + 1) == 0))
		tools_invalid(call, "argument \"cursor\" is not one that was handed out",
					  "Leave it out to start at the newest change.");
	else
		tools_answer(call, &run, answer_changes);
}
