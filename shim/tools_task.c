/*
 * tools_task.c
 *		A diverted write as a task of the tasks extension.
 *
 * The change is the task: its id is "<database>:<change>", so it outlives this
 * process and any instance of the shim can answer for it.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"

#include <string.h>

#define MAIN_DATABASE "main"
#define POLL_INTERVAL_MS 5000

/* error code of a task whose change will not be applied; none of JSON-RPC's */
#define CHANGE_NOT_APPLIED 409

/* anything else that a change may become is a failure of the task */
static const struct
{
	const char *change;
	const char *task;
}			statuses[] = {
	{"proposed", "working"}, {"approved", "working"}, {"applying", "working"},
	{"unknown", "working"}, {"applied", "completed"},
	{"withdrawn", "cancelled"},
};

static const char *
task_status(const json_t *change)
{
	const char *status = json_util_string_or(change, "status", "");

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strcmp(statuses[i].change, status) == 0)
			return statuses[i].task;
	return "failed";
}

bool
tools_wants_task(const McpCall *call)
{
	return call->era == MCP_MODERN &&
		mcp_client_extension(call, MCP_TASKS_EXTENSION);
}

/* What the call would have answered, had it waited. */
static void
put_result(Buf *out, const json_t *change)
{
	json_util_put(out, ",'result':{'content':[{'type':'text','text':'");
	tools_change_line(out, change);
	buf_puts(out, "\"}],\"structuredContent\":{\"status\":\"ok\",");
	json_util_put(out, "'change':%p},'isError':false}", change);
}

static void
put_failure(Buf *out, const json_t *change)
{
	json_util_put(out, ",'error':{'code':%d,'message':'", CHANGE_NOT_APPLIED);
	tools_change_line(out, change);
	buf_putc(out, '"');
	json_util_put(out, ",'data':{'change':%p}}", change);
}

/* The members of a DetailedTask, or of a Task where details are not wanted. */
void
tools_put_task(Buf *out, const char *database, const json_t *change,
			   bool details)
{
	const char *status = task_status(change);
	const char *created = json_util_string_or(change, "created_at",
											  "1970-01-01T00:00:00Z");
	const char *decided = json_util_string_or(change, "decided_at", created);

	json_util_put(out, "'taskId':'%s:%lld','status':'%s','statusMessage':'",
				  database, tools_change_id(change), status);
	tools_change_line(out, change);
	buf_putc(out, '"');
	json_util_put(out, ",'createdAt':'%s','lastUpdatedAt':'%s','ttlMs':null,"
				  "'pollIntervalMs':%d",
				  created, json_util_string_or(change, "applied_at", decided),
				  POLL_INTERVAL_MS);
	if (details && strcmp(status, "completed") == 0)
		put_result(out, change);
	if (details && strcmp(status, "failed") == 0)
		put_failure(out, change);
}

void
tools_answer_task(McpCall *call, const char *database, const json_t *change)
{
	mcp_result_begin_as(call, "task");
	buf_putc(&call->out, ',');
	tools_put_task(&call->out, database != NULL ? database : MAIN_DATABASE,
				   change, false);
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * tasks/get, tasks/cancel, tasks/update
 * ------------------------------------------------------------------------
 */

bool
tools_parse_task(const McpCall *call, const char *task_id, TaskName *name)
{
	char	   *colon;

	snprintf(name->text, sizeof(name->text), "%s", task_id);
	colon = strrchr(name->text, ':');
	if (colon == NULL || strlen(task_id) >= sizeof(name->text))
		return false;
	*colon = '\0';
	name->change_id = tools_parse_id(colon + 1);
	name->database = strcmp(name->text, MAIN_DATABASE) == 0 ? NULL : name->text;
	return name->change_id > 0 &&
		(name->database == NULL ||
		 db_has_database(tools_context(call)->pool, name->database));
}

/*
 * The change of a task, if it is one of the caller's.  NULL after having
 * answered.
 */
static json_t *
fetch_task(McpCall *call, TaskName *name)
{
	const char *task_id = mcp_task_id(call);
	json_t	   *change = NULL;

	if (task_id == NULL)
		return NULL;
	if (tools_parse_task(call, task_id, name) &&
		!tools_read_change(call, tools_fetch, name->database, name->change_id,
						   &change))
		return NULL;
	if (change == NULL)
		mcp_invalid_params(call, "unknown task");
	return change;
}

/* Cooperative: a change that is decided already stays what it is. */
static void
withdraw(McpCall *call, const TaskName *name)
{
	char		id[24];
	const char *params[1] = {id};
	ToolsRun	run = {
		.steps = {{SQL_WITHDRAW, 1, params, false}},.database = name->database
	};
	DbOutcome	outcome;

	snprintf(id, sizeof(id), "%lld", name->change_id);
	tools_exec(call, &run, &outcome);
	db_outcome_free(&outcome);
}

/* These tasks ask for nothing, so every update is one to ignore. */
void
tools_task(McpCall *call)
{
	TaskName	name;
	json_t	   *change = fetch_task(call, &name);

	if (change == NULL)
		return;
	if (strcmp(call->method->name, "tasks/cancel") == 0)
		withdraw(call, &name);
	mcp_result_begin(call);
	if (strcmp(call->method->name, "tasks/get") == 0)
	{
		buf_putc(&call->out, ',');
		tools_put_task(&call->out, name.text, change, true);
	}
	mcp_result_end(call);
	json_decref(change);
}
