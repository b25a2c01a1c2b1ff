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

#include <stdlib.h>
#include <string.h>

#define MAIN_DATABASE "main"
#define POLL_INTERVAL_MS 5000

/* error code of a task whose change will not be applied; none of JSON-RPC's */
#define CHANGE_NOT_APPLIED 409

typedef struct StatusOf
{
	const char *change;
	const char *task;
} StatusOf;

/* anything else that a change may become is a failure of the task */
static const StatusOf statuses[] = {
	{"proposed", "working"}, {"approved", "working"}, {"applying", "working"},
	{"unknown", "working"}, {"applied", "completed"},
	{"withdrawn", "cancelled"},
};

static const char *
task_status(const json_t *change)
{
	const char *status = json_util_string(change, "status");

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (status != NULL && strcmp(statuses[i].change, status) == 0)
			return statuses[i].task;
	return "failed";
}

bool
tools_wants_task(const McpCall *call)
{
	return call->era == MCP_MODERN &&
		mcp_client_extension(call, MCP_TASKS_EXTENSION);
}

/* The first of some times that the change has. */
static const char *
time_of(const json_t *change, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_util_string(change, *names) != NULL)
			return json_util_string(change, *names);
	return "1970-01-01T00:00:00Z";
}

/* What the call would have answered, had it waited. */
static void
put_result(Buf *out, const json_t *change)
{
	Buf			line;

	buf_init(&line);
	tools_change_line(&line, change);
	buf_puts(out, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
	buf_json_string(out, buf_cstr(&line), line.len);
	buf_puts(out, "}],\"structuredContent\":{\"status\":\"ok\",\"change\":");
	json_util_write(out, change);
	buf_puts(out, "},\"isError\":false}");
	buf_free(&line);
}

static void
put_failure(Buf *out, const json_t *change)
{
	Buf			line;

	buf_init(&line);
	tools_change_line(&line, change);
	buf_printf(out, ",\"error\":{\"code\":%d,\"message\":", CHANGE_NOT_APPLIED);
	buf_json_string(out, buf_cstr(&line), line.len);
	buf_puts(out, ",\"data\":{\"change\":");
	json_util_write(out, change);
	buf_puts(out, "}}");
	buf_free(&line);
}

/* The members of a DetailedTask, or of a Task where details are not wanted. */
void
tools_put_task(Buf *out, const char *database, const json_t *change,
			   bool details)
{
	static const char *const created[] = {"created_at", NULL};
	static const char *const updated[] = {
		"applied_at", "decided_at", "created_at", NULL
	};
	const char *status = task_status(change);
	Buf			line;

	buf_init(&line);
	tools_change_line(&line, change);
	buf_puts(out, "\"taskId\":\"");
	buf_json_chars(out, database, strlen(database));
	buf_printf(out, ":%lld\",\"status\":\"%s\",\"statusMessage\":",
			   (long long) json_integer_value(json_object_get(change, "change_id")),
			   status);
	buf_json_string(out, buf_cstr(&line), line.len);
	buf_puts(out, ",\"createdAt\":");
	buf_json_cstr(out, time_of(change, created));
	buf_puts(out, ",\"lastUpdatedAt\":");
	buf_json_cstr(out, time_of(change, updated));
	buf_printf(out, ",\"ttlMs\":null,\"pollIntervalMs\":%d", POLL_INTERVAL_MS);
	if (details && strcmp(status, "completed") == 0)
		put_result(out, change);
	if (details && strcmp(status, "failed") == 0)
		put_failure(out, change);
	buf_free(&line);
}

void
tools_answer_task(McpCall *call, const char *database, const json_t *change)
{
	mcp_result_begin_as(call, "task", NULL);
	buf_putc(&call->out, ',');
	tools_put_task(&call->out, database != NULL ? database : MAIN_DATABASE,
				   change, false);
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * tasks/get, tasks/cancel, tasks/update
 * ------------------------------------------------------------------------
 */

static void
unknown_task(McpCall *call)
{
	mcp_error(call, JSONRPC_INVALID_PARAMS, "Invalid params: unknown task",
			  NULL);
}

/* "main:42" */
typedef struct TaskName
{
	char		database[128];
	long long	change_id;
} TaskName;

static bool
parse_task_id(const char *task_id, TaskName *name)
{
	const char *colon = strrchr(task_id, ':');
	size_t		n = colon != NULL ? (size_t) (colon - task_id) : 0;

	if (n == 0 || n >= sizeof(name->database) || colon[1] == '\0' ||
		strlen(colon + 1) > 18 ||
		colon[1 + strspn(colon + 1, "0123456789")] != '\0')
		return false;
	memcpy(name->database, task_id, n);
	name->database[n] = '\0';
	name->change_id = strtoll(colon + 1, NULL, 10);
	return true;
}

static const char *
database_of(const TaskName *name)
{
	return strcmp(name->database, MAIN_DATABASE) == 0 ? NULL : name->database;
}

/*
 * The change of a task, if it is one of the caller's.  NULL after having
 * answered.
 */
static json_t *
fetch_task(McpCall *call, const char *task_id, TaskName *name)
{
	ToolsChangeStep get;
	ToolsRun	run = {&get.step, 1, NULL, 0, false};
	DbOutcome	outcome;
	json_t	   *change = NULL;

	if (!parse_task_id(task_id, name) ||
		(database_of(name) != NULL &&
		 !db_has_database(tools_context(call)->pool, name->database)))
	{
		unknown_task(call);
		return NULL;
	}
	run.database = database_of(name);
	tools_change_step(&get, name->change_id);
	if (tools_fetch(call, &run, &outcome))
	{
		change = tools_load_change(&outcome, 0);
		if (change == NULL)
			unknown_task(call);
	}
	db_outcome_free(&outcome);
	return change;
}

void
tools_get_task(McpCall *call, const char *task_id)
{
	TaskName	name;
	json_t	   *change = fetch_task(call, task_id, &name);

	if (change == NULL)
		return;
	mcp_result_begin(call);
	buf_putc(&call->out, ',');
	tools_put_task(&call->out, name.database, change, true);
	mcp_result_end(call);
	json_decref(change);
}

static void
acknowledge(McpCall *call)
{
	mcp_result_begin(call);
	mcp_result_end(call);
}

/* Cooperative: a change that is decided already stays what it is. */
void
tools_cancel_task(McpCall *call, const char *task_id)
{
	TaskName	name;
	json_t	   *change = fetch_task(call, task_id, &name);
	ToolsChangeStep get;
	DbStep		step;
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	outcome;

	if (change == NULL)
		return;
	json_decref(change);
	tools_change_step(&get, name.change_id);
	step = (DbStep) {SQL_WITHDRAW, 1, get.params, false};
	run.database = database_of(&name);
	tools_exec(call, &run, &outcome);
	db_outcome_free(&outcome);
	acknowledge(call);
}

/* These tasks ask for nothing, so every response is one to ignore. */
void
tools_update_task(McpCall *call, const char *task_id, json_t *responses)
{
	TaskName	name;
	json_t	   *change = fetch_task(call, task_id, &name);

	(void) responses;
	if (change == NULL)
		return;
	json_decref(change);
	acknowledge(call);
}
