/*
 * conformance_server.c
 *		The protocol core with the fixtures that the official conformance suite
 *		expects, and without PostgreSQL.  For tests only.
 *
 *			conformance-server ADDRESS:PORT
 */
#include "auth.h"
#include "json_util.h"
#include "log.h"
#include "messages.c"
#include "mirrors.c"
#include "server.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQ" \
	"DwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
#define WAV "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="

#define TEXT_ITEM(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define IMAGE_ITEM "{\"type\":\"image\",\"data\":\"" PNG "\"," \
	"\"mimeType\":\"image/png\"}"

#define NO_ARGUMENTS "{\"type\":\"object\",\"properties\":{}}"
#define ONE_TEXT(name) "{\"type\":\"object\",\"properties\":{\"" name \
	"\":{\"type\":\"string\"}},\"required\":[\"" name "\"]}"

/* ------------------------------------------------------------------------
 * Results
 * ------------------------------------------------------------------------
 */

static void
answer_content(McpCall *call, const char *items)
{
	mcp_result_begin(call);
	mcp_member(call, "content");
	buf_printf(&call->out, "[%s]", items);
	mcp_result_end(call);
}

static void
answer_text(McpCall *call, const char *text)
{
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", text);
	mcp_result_end(call);
}

static void
answer_error(McpCall *call, const char *text)
{
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", text);
	buf_puts(&call->out, ",\"isError\":true");
	mcp_result_end(call);
}

/* An input_required result; state is NULL where none is needed. */
static void
ask_for(McpCall *call, const char *requests, const char *state)
{
	Buf			sealed;

	buf_init(&sealed);
	if (state != NULL)
		mcp_state_seal(call, state, 300, &sealed);
	mcp_result_begin_as(call, "input_required");
	mcp_member(call, "inputRequests");
	buf_puts(&call->out, requests);
	if (state != NULL)
	{
		mcp_member(call, "requestState");
		buf_json_cstr(&call->out, buf_cstr(&sealed));
	}
	mcp_result_end(call);
	buf_free(&sealed);
}

static json_t *
response_to(const McpCall *call, const char *key)
{
	return json_util_object(json_object_get(call->msg.params, "inputResponses"),
							key);
}

/* ------------------------------------------------------------------------
 * Plain tools
 * ------------------------------------------------------------------------
 */

static void
simple_text(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_text(call, "This is a simple text response for testing.");
}

static void
image_content(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_content(call, IMAGE_ITEM);
}

static void
audio_content(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_content(call, "{\"type\":\"audio\",\"data\":\"" WAV "\","
				   "\"mimeType\":\"audio/wav\"}");
}

static void
embedded_resource(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_content(call, "{\"type\":\"resource\",\"resource\":{"
				   "\"uri\":\"test://embedded-resource\","
				   "\"mimeType\":\"text/plain\","
				   "\"text\":\"This is an embedded resource content.\"}}");
}

static void
multiple_content(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_content(call, TEXT_ITEM("Multiple content types test:") ","
				   IMAGE_ITEM ",{\"type\":\"resource\",\"resource\":{"
				   "\"uri\":\"test://mixed-content-resource\","
				   "\"mimeType\":\"application/json\","
				   "\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}");
}

static void
error_handling(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_error(call, "This tool intentionally returns an error for testing");
}

static void
with_logging(McpCall *call, json_t *arguments)
{
	(void) arguments;
	send_log(call, "info", "\"Tool execution started\"");
	usleep(50000);
	send_log(call, "info", "\"Tool processing data\"");
	usleep(50000);
	send_log(call, "info", "\"Tool execution completed\"");
	answer_text(call, "Logged three messages");
}

static void
with_progress(McpCall *call, json_t *arguments)
{
	(void) arguments;
	mcp_progress(call, 0, 100, NULL);
	usleep(50000);
	mcp_progress(call, 50, 100, NULL);
	usleep(50000);
	mcp_progress(call, 100, 100, NULL);
	answer_text(call, "Reported progress");
}

static void
echo_arguments(McpCall *call, json_t *arguments)
{
	Buf			text;

	buf_init(&text);
	json_util_write(&text, arguments);
	answer_text(call, buf_cstr(&text));
	buf_free(&text);
}

/* What SCHEMA_MIRRORED says. */
static const Mirror mirrors[] = {
	{"Mcp-Param-Region", "region"}, {"Mcp-Param-Priority", "priority"},
	{"Mcp-Param-Verbose", "verbose"}, {NULL, NULL}
};

static void
echo_mirrored(McpCall *call, json_t *arguments)
{
	if (mirrors_match(call, arguments, mirrors))
		echo_arguments(call, arguments);
}

static void
trigger_change(McpCall *call, json_t *arguments)
{
	(void) arguments;
	tell_all_list_changed(call->mcp, strstr(call->tool->name, "prompt") ?
						  "prompts" : "tools");
	answer_text(call, "Listeners were told");
}

static void
missing_capability(McpCall *call, json_t *arguments)
{
	(void) arguments;
	if (call->era == MCP_MODERN && mcp_client_capability(call, "sampling") == NULL)
		mcp_missing_capability(call, "{\"sampling\":{}}");
	else
		answer_text(call, "The client can sample");
}

/* ------------------------------------------------------------------------
 * Questions to a legacy client
 * ------------------------------------------------------------------------
 */

static void
ask_and_tell(McpCall *call, const char *method, const char *params,
			 const char *prefix)
{
	json_t	   *result = ask_client(call, method, params, 10);
	Buf			text;

	if (result == NULL)
	{
		answer_error(call, "The client did not answer");
		return;
	}
	buf_init(&text);
	buf_puts(&text, prefix);
	if (strcmp(method, "sampling/createMessage") == 0)
	{
		const char *said =
			json_util_string(json_object_get(result, "content"), "text");

		buf_puts(&text, said != NULL ? said : "");
	}
	else
	{
		const char *action = json_util_string(result, "action");

		buf_printf(&text, "action=%s, content=", action != NULL ? action : "?");
		if (json_object_get(result, "content") != NULL)
			json_util_write(&text, json_object_get(result, "content"));
		else
			buf_puts(&text, "{}");
	}
	answer_text(call, buf_cstr(&text));
	buf_free(&text);
	json_decref(result);
}

static void
sampling(McpCall *call, json_t *arguments)
{
	const char *prompt = json_util_string(arguments, "prompt");
	Buf			params;

	buf_init(&params);
	buf_puts(&params, "{\"messages\":[{\"role\":\"user\",\"content\":{"
			 "\"type\":\"text\",\"text\":");
	buf_json_cstr(&params, prompt != NULL ? prompt : "");
	buf_puts(&params, "}}],\"maxTokens\":100}");
	ask_and_tell(call, "sampling/createMessage", buf_cstr(&params),
				 "LLM response: ");
	buf_free(&params);
}

static void
elicitation(McpCall *call, json_t *arguments)
{
	const char *message = json_util_string(arguments, "message");
	Buf			params;

	buf_init(&params);
	buf_puts(&params, "{\"message\":");
	buf_json_cstr(&params, message != NULL ? message : "");
	buf_puts(&params, ",\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
			 "\"username\":{\"type\":\"string\","
			 "\"description\":\"User's response\"},"
			 "\"email\":{\"type\":\"string\","
			 "\"description\":\"User's email address\"}},"
			 "\"required\":[\"username\",\"email\"]}}");
	ask_and_tell(call, "elicitation/create", buf_cstr(&params),
				 "User response: ");
	buf_free(&params);
}

static void
elicitation_defaults(McpCall *call, json_t *arguments)
{
	(void) arguments;
	ask_and_tell(call, "elicitation/create",
				 "{\"message\":\"Defaults\",\"requestedSchema\":{"
				 "\"type\":\"object\",\"properties\":{"
				 "\"name\":{\"type\":\"string\",\"default\":\"John Doe\"},"
				 "\"age\":{\"type\":\"integer\",\"default\":30},"
				 "\"score\":{\"type\":\"number\",\"default\":95.5},"
				 "\"status\":{\"type\":\"string\",\"enum\":[\"active\","
				 "\"inactive\",\"pending\"],\"default\":\"active\"},"
				 "\"verified\":{\"type\":\"boolean\",\"default\":true}},"
				 "\"required\":[]}}", "Elicitation completed: ");
}

static void
elicitation_enums(McpCall *call, json_t *arguments)
{
	(void) arguments;
	ask_and_tell(call, "elicitation/create",
				 "{\"message\":\"Choose\",\"requestedSchema\":{"
				 "\"type\":\"object\",\"properties\":{"
				 "\"untitledSingle\":{\"type\":\"string\",\"enum\":"
				 "[\"option1\",\"option2\",\"option3\"]},"
				 "\"titledSingle\":{\"type\":\"string\",\"oneOf\":["
				 "{\"const\":\"value1\",\"title\":\"First Option\"},"
				 "{\"const\":\"value2\",\"title\":\"Second Option\"},"
				 "{\"const\":\"value3\",\"title\":\"Third Option\"}]},"
				 "\"legacyEnum\":{\"type\":\"string\",\"enum\":"
				 "[\"opt1\",\"opt2\",\"opt3\"],\"enumNames\":"
				 "[\"Option One\",\"Option Two\",\"Option Three\"]},"
				 "\"untitledMulti\":{\"type\":\"array\",\"items\":{"
				 "\"type\":\"string\",\"enum\":"
				 "[\"option1\",\"option2\",\"option3\"]}},"
				 "\"titledMulti\":{\"type\":\"array\",\"items\":{\"anyOf\":["
				 "{\"const\":\"value1\",\"title\":\"First Choice\"},"
				 "{\"const\":\"value2\",\"title\":\"Second Choice\"},"
				 "{\"const\":\"value3\",\"title\":\"Third Choice\"}]}}},"
				 "\"required\":[]}}", "Elicitation completed: ");
}

/* ------------------------------------------------------------------------
 * input_required results
 * ------------------------------------------------------------------------
 */

#define FORM(key, message, schema) "\"" key "\":{\"method\":" \
	"\"elicitation/create\",\"params\":{\"mode\":\"form\",\"message\":\"" \
	message "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{" \
	schema "}}}}"
#define NAME_FORM FORM("user_name", "What is your name?", \
	"\"name\":{\"type\":\"string\"}")
#define SAMPLE(key, text, tokens) "\"" key "\":{\"method\":" \
	"\"sampling/createMessage\",\"params\":{\"messages\":[{\"role\":\"user\"," \
	"\"content\":{\"type\":\"text\",\"text\":\"" text "\"}}],\"maxTokens\":" \
	tokens "}}"
#define ROOTS "\"client_roots\":{\"method\":\"roots/list\",\"params\":{}}"

/* The text that a form's answer holds under a name. */
static const char *
form_text(const McpCall *call, const char *key, const char *field)
{
	const json_t *response = response_to(call, key);
	const char *action = json_util_string(response, "action");

	if (action == NULL || strcmp(action, "accept") != 0)
		return NULL;
	return json_util_string(json_object_get(response, "content"), field);
}

static void
input_elicitation(McpCall *call, json_t *arguments)
{
	const char *name = form_text(call, "user_name", "name");
	Buf			text;

	(void) arguments;
	if (name == NULL)
	{
		ask_for(call, "{" NAME_FORM "}", NULL);
		return;
	}
	buf_init(&text);
	buf_printf(&text, "Hello, %s!", name);
	answer_text(call, buf_cstr(&text));
	buf_free(&text);
}

static void
input_sampling(McpCall *call, json_t *arguments)
{
	const json_t *response = response_to(call, "capital_question");
	const char *text = json_util_string(json_object_get(response, "content"),
										"text");

	(void) arguments;
	if (text == NULL)
		ask_for(call, "{" SAMPLE("capital_question",
								 "What is the capital of France?", "100") "}",
				NULL);
	else
		answer_text(call, text);
}

static void
input_roots(McpCall *call, json_t *arguments)
{
	const json_t *roots = json_object_get(response_to(call, "client_roots"),
										  "roots");
	Buf			text;

	(void) arguments;
	if (!json_is_array(roots))
	{
		ask_for(call, "{" ROOTS "}", NULL);
		return;
	}
	buf_init(&text);
	buf_puts(&text, "Roots: ");
	json_util_write(&text, roots);
	answer_text(call, buf_cstr(&text));
	buf_free(&text);
}

/* Tools whose state must come back: they ask until it does. */
static void
input_with_state(McpCall *call, const char *requests, const char *answer)
{
	Buf			state;
	bool		present;

	buf_init(&state);
	if (!mcp_state_open(call, &state, &present))
		;						/* answered */
	else if (!present)
		ask_for(call, requests, "asked");
	else
		answer_text(call, answer);
	buf_free(&state);
}

static void
input_state(McpCall *call, json_t *arguments)
{
	(void) arguments;
	input_with_state(call, "{" FORM("confirm", "Please confirm",
									"\"ok\":{\"type\":\"boolean\"}") "}",
					 "state-ok");
}

static void
input_multiple(McpCall *call, json_t *arguments)
{
	(void) arguments;
	input_with_state(call, "{" NAME_FORM "," SAMPLE("greeting",
													"Generate a greeting", "50")
					 "," ROOTS "}", "All answers are here");
}

static void
input_multi_round(McpCall *call, json_t *arguments)
{
	Buf			state;
	bool		present;

	(void) arguments;
	buf_init(&state);
	if (!mcp_state_open(call, &state, &present))
		;						/* answered */
	else if (!present)
		ask_for(call, "{" FORM("step1", "Step 1: What is your name?",
							   "\"name\":{\"type\":\"string\"}") "}", "round-1");
	else if (strcmp(buf_cstr(&state), "round-1") == 0)
		ask_for(call, "{" FORM("step2", "Step 2: What is your favorite color?",
							   "\"color\":{\"type\":\"string\"}") "}", "round-2");
	else
		answer_text(call, "Both steps are done");
	buf_free(&state);
}

/* Asks only for what the client said it can do. */
static void
input_capabilities(McpCall *call, json_t *arguments)
{
	Buf			requests;

	(void) arguments;
	if (json_object_get(call->msg.params, "inputResponses") != NULL)
	{
		answer_text(call, "Done");
		return;
	}
	buf_init(&requests);
	buf_putc(&requests, '{');
	if (mcp_client_capability(call, "elicitation") != NULL)
		buf_puts(&requests, NAME_FORM);
	if (mcp_client_capability(call, "sampling") != NULL)
		buf_printf(&requests, "%s%s", requests.len > 1 ? "," : "",
				   SAMPLE("greeting", "Generate a greeting", "50"));
	buf_putc(&requests, '}');
	if (requests.len > 2)
		ask_for(call, buf_cstr(&requests), NULL);
	else
		answer_text(call, "Nothing can be asked of this client");
	buf_free(&requests);
}

/* ------------------------------------------------------------------------
 * Tasks, in memory
 * ------------------------------------------------------------------------
 */

#define MAX_TASKS 256
#define CREATED "2026-07-28T00:00:00Z"

typedef enum TaskKind
{
	TASK_COMPUTE,
	TASK_FAIL,
	TASK_ASK
} TaskKind;

typedef struct Task
{
	char		id[33];
	TaskKind	kind;
	const char *status;
	time_t		due;
	bool		waiting[2];		/* for the answers to confirm-0 and confirm-1 */
	char		text[256];
} Task;

static pthread_mutex_t tasks_lock = PTHREAD_MUTEX_INITIALIZER;
static Task tasks[MAX_TASKS];
static size_t task_count;
static Mcp *the_mcp;

static Task *
find_task(const char *id)
{
	for (size_t i = 0; i < task_count; i++)
		if (strcmp(tasks[i].id, id) == 0)
			return &tasks[i];
	return NULL;
}

/* What time has done to a task; under the lock. */
static void
age_task(Task *task)
{
	if (strcmp(task->status, "working") == 0 && task->due != 0 &&
		time(NULL) >= task->due)
		task->status = task->kind == TASK_FAIL ? "failed" : "completed";
}

static void
put_task_request(Buf *out, int which, const char *comma)
{
	buf_printf(out, "%s\"confirm-%d\":{\"method\":\"elicitation/create\","
			   "\"params\":{\"mode\":\"form\",\"message\":\"Are you sure?\","
			   "\"requestedSchema\":{\"type\":\"object\",\"properties\":{"
			   "\"confirm\":{\"type\":\"boolean\"}}}}}", comma, which);
}

static void
put_task(Buf *out, const Task *task)
{
	buf_printf(out, "\"taskId\":\"%s\",\"status\":\"%s\","
			   "\"createdAt\":\"" CREATED "\",\"lastUpdatedAt\":\"" CREATED "\","
			   "\"ttlMs\":600000,\"pollIntervalMs\":100", task->id, task->status);
	if (strcmp(task->status, "input_required") == 0)
	{
		buf_puts(out, ",\"inputRequests\":{");
		if (task->waiting[0])
			put_task_request(out, 0, "");
		if (task->waiting[1])
			put_task_request(out, 1, task->waiting[0] ? "," : "");
		buf_putc(out, '}');
	}
	if (strcmp(task->status, "completed") == 0)
	{
		buf_puts(out, ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
		buf_json_cstr(out, task->text);
		buf_printf(out, "}],\"isError\":%s}",
				   strncmp(task->text, "error", 5) == 0 ? "true" : "false");
	}
	if (strcmp(task->status, "failed") == 0)
		buf_puts(out, ",\"error\":{\"code\":-32603,\"message\":\"It failed\"}");
}

static void
publish_task(const Task *task)
{
	Buf			text;

	buf_init(&text);
	put_task(&text, task);
	if (buf_ok(&text))
		mcp_publish_task(the_mcp, NULL, task->id, buf_cstr(&text));
	buf_free(&text);
}

static void
start_task(McpCall *call, TaskKind kind, int seconds, int questions,
		   const char *text)
{
	Task	   *task;

	if (!mcp_client_extension(call, MCP_TASKS_EXTENSION))
	{
		if (kind == TASK_FAIL)
			mcp_missing_capability(call, "{\"extensions\":{\""
								   MCP_TASKS_EXTENSION "\":{}}}");
		else
			answer_text(call, text);
		return;
	}
	pthread_mutex_lock(&tasks_lock);
	task = &tasks[task_count % MAX_TASKS];
	if (task_count < MAX_TASKS)
		task_count++;
	memset(task, 0, sizeof(*task));
	if (!auth_random_hex(task->id, 16))
		abort();
	task->kind = kind;
	task->status = questions > 0 ? "input_required" : "working";
	task->due = questions > 0 ? 0 : time(NULL) + seconds;
	task->waiting[0] = questions > 0;
	task->waiting[1] = questions > 1;
	snprintf(task->text, sizeof(task->text), "%s", text);
	mcp_result_begin_as(call, "task");
	buf_puts(&call->out, call->out.data[call->out.len - 1] == '{' ? "" : ",");
	put_task(&call->out, task);
	mcp_result_end(call);
	pthread_mutex_unlock(&tasks_lock);
}

static void
slow_compute(McpCall *call, json_t *arguments)
{
	const json_t *seconds = json_object_get(arguments, "seconds");

	start_task(call, TASK_COMPUTE, json_is_integer(seconds) ?
			   (int) json_integer_value(seconds) : 1, 0, "computed");
}

/* Needs the extension: its client is told so instead of being answered. */
static void
failing_job(McpCall *call, json_t *arguments)
{
	(void) arguments;
	if (mcp_client_extension(call, MCP_TASKS_EXTENSION))
		start_task(call, TASK_COMPUTE, 1, 0, "error: the job failed");
	else
		mcp_missing_capability(call, "{\"extensions\":{\"" MCP_TASKS_EXTENSION
							   "\":{}}}");
}

/* Asks first; the task begins when the answer is there. */
static void
asking_job(McpCall *call, json_t *arguments)
{
	const char *name = form_text(call, "user_name", "name");

	(void) arguments;
	if (name == NULL)
		ask_for(call, "{" NAME_FORM "}", NULL);
	else
		start_task(call, TASK_COMPUTE, 1, 0, name);
}

static void
greet(McpCall *call, json_t *arguments)
{
	const char *name = json_util_string(arguments, "name");
	Buf			text;

	buf_init(&text);
	buf_printf(&text, "Hello, %s!", name != NULL ? name : "you");
	answer_text(call, buf_cstr(&text));
	buf_free(&text);
}

static void
protocol_error_job(McpCall *call, json_t *arguments)
{
	(void) arguments;
	start_task(call, TASK_FAIL, 1, 0, "");
}

static void
confirm_delete(McpCall *call, json_t *arguments)
{
	(void) arguments;
	start_task(call, TASK_ASK, 0, 1, "deleted");
}

static void
multi_input(McpCall *call, json_t *arguments)
{
	(void) arguments;
	start_task(call, TASK_ASK, 0, 2, "both were confirmed");
}

static bool
is_terminal(const Task *task)
{
	return strcmp(task->status, "working") != 0 &&
		strcmp(task->status, "input_required") != 0;
}

/* Takes answers; a task that has all of them is done. */
static void
take_answers(Task *task, const json_t *responses)
{
	for (int i = 0; i < 2; i++)
	{
		char		key[16];

		snprintf(key, sizeof(key), "confirm-%d", i);
		if (json_object_get(responses, key) != NULL)
			task->waiting[i] = false;
	}
	if (strcmp(task->status, "input_required") == 0 && !task->waiting[0] &&
		!task->waiting[1])
	{
		task->status = "completed";
		publish_task(task);
	}
}

static void
do_to_task(McpCall *call)
{
	const char *method = call->method->name;
	const char *task_id = mcp_task_id(call);
	Task	   *task;

	if (task_id == NULL)
		return;
	pthread_mutex_lock(&tasks_lock);
	task = find_task(task_id);
	if (task == NULL)
	{
		mcp_invalid_params(call, "unknown task");
		pthread_mutex_unlock(&tasks_lock);
		return;
	}
	if (strcmp(method, "tasks/update") == 0)
		take_answers(task, json_object_get(call->msg.params,
										   "inputResponses"));
	else
		age_task(task);
	if (strcmp(method, "tasks/cancel") == 0 && !is_terminal(task))
	{
		task->status = "cancelled";
		publish_task(task);
	}
	mcp_result_begin(call);
	if (strcmp(method, "tasks/get") == 0)
	{
		buf_putc(&call->out, ',');
		put_task(&call->out, task);
	}
	mcp_result_end(call);
	pthread_mutex_unlock(&tasks_lock);
}

/* Tells listeners what became due. */
static void *
watch_tasks(void *arg)
{
	(void) arg;
	for (;;)
	{
		usleep(100000);
		pthread_mutex_lock(&tasks_lock);
		for (size_t i = 0; i < task_count; i++)
		{
			const char *before = tasks[i].status;

			age_task(&tasks[i]);
			if (tasks[i].status != before)
				publish_task(&tasks[i]);
		}
		pthread_mutex_unlock(&tasks_lock);
	}
	return NULL;
}

/* ------------------------------------------------------------------------
 * Resources
 * ------------------------------------------------------------------------
 */

static void
list_resources(McpCall *call)
{
	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_member(call, "resources");
	buf_puts(&call->out, "[{\"uri\":\"test://static-text\","
			 "\"name\":\"static-text\",\"description\":\"A text\","
			 "\"mimeType\":\"text/plain\"},"
			 "{\"uri\":\"test://static-binary\",\"name\":\"static-binary\","
			 "\"description\":\"A picture\",\"mimeType\":\"image/png\"},"
			 "{\"uri\":\"test://watched-resource\",\"name\":\"watched\","
			 "\"description\":\"One to subscribe to\","
			 "\"mimeType\":\"text/plain\"}]");
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
list_templates(McpCall *call)
{
	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_put(call, "'resourceTemplates':[{'uriTemplate':"
			"'test://template/{id}/data','name':'template',"
			"'description':'Data by id','mimeType':'application/json'}]");
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
answer_resource(McpCall *call, const char *uri, const char *type,
				const char *member, const char *value)
{
	mcp_result_begin(call);
	mcp_member(call, "contents");
	buf_puts(&call->out, "[{\"uri\":");
	buf_json_cstr(&call->out, uri);
	buf_printf(&call->out, ",\"mimeType\":\"%s\",\"%s\":", type, member);
	buf_json_cstr(&call->out, value);
	buf_puts(&call->out, "}]");
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
read_resource(McpCall *call)
{
	static const char prefix[] = "test://template/";
	const char *uri = mcp_text_param(call, "uri");
	const char *end = uri != NULL ? strstr(uri, "/data") : NULL;
	Buf			text;

	if (uri == NULL)
		return;
	if (strcmp(uri, "test://static-text") == 0)
		answer_resource(call, uri, "text/plain", "text",
						"This is the content of the static text resource.");
	else if (strcmp(uri, "test://static-binary") == 0)
		answer_resource(call, uri, "image/png", "blob", PNG);
	else if (strcmp(uri, "test://watched-resource") == 0)
		answer_resource(call, uri, "text/plain", "text", "watched");
	else if (strncmp(uri, prefix, sizeof(prefix) - 1) == 0 && end != NULL)
	{
		int			n = (int) (end - uri - (long) (sizeof(prefix) - 1));
		const char *id = uri + sizeof(prefix) - 1;

		buf_init(&text);
		buf_printf(&text, "{\"id\":\"%.*s\",\"templateTest\":true,"
				   "\"data\":\"Data for ID: %.*s\"}", n, id, n, id);
		answer_resource(call, uri, "application/json", "text", buf_cstr(&text));
		buf_free(&text);
	}
	else
		mcp_not_found(call, uri);
}

/* ------------------------------------------------------------------------
 * Prompts and completion
 * ------------------------------------------------------------------------
 */

static void
answer_messages(McpCall *call, const char *messages)
{
	mcp_result_begin(call);
	mcp_member(call, "messages");
	buf_printf(&call->out, "[%s]", messages);
	mcp_result_end(call);
}

#define USER(content) "{\"role\":\"user\",\"content\":" content "}"

static void
simple_prompt(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_messages(call, USER(TEXT_ITEM("This is a simple prompt for testing.")));
}

static void
prompt_with_arguments(McpCall *call, json_t *arguments)
{
	Buf			text;
	Buf			message;

	buf_init(&text);
	buf_init(&message);
	buf_printf(&text, "Prompt with arguments: arg1='%s', arg2='%s'",
			   json_util_string(arguments, "arg1"),
			   json_util_string(arguments, "arg2"));
	buf_puts(&message, "{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":");
	buf_json_cstr(&message, buf_cstr(&text));
	buf_puts(&message, "}}");
	answer_messages(call, buf_cstr(&message));
	buf_free(&text);
	buf_free(&message);
}

static void
prompt_with_resource(McpCall *call, json_t *arguments)
{
	Buf			message;

	buf_init(&message);
	buf_puts(&message, "{\"role\":\"user\",\"content\":{\"type\":\"resource\","
			 "\"resource\":{\"uri\":");
	buf_json_cstr(&message, json_util_string(arguments, "resourceUri"));
	buf_puts(&message, ",\"mimeType\":\"text/plain\","
			 "\"text\":\"Embedded resource content for testing.\"}}},"
			 USER(TEXT_ITEM("Please process the embedded resource above.")));
	answer_messages(call, buf_cstr(&message));
	buf_free(&message);
}

static void
prompt_with_image(McpCall *call, json_t *arguments)
{
	(void) arguments;
	answer_messages(call, USER(IMAGE_ITEM) ","
					USER(TEXT_ITEM("Please analyze the image above.")));
}

static void
input_prompt(McpCall *call, json_t *arguments)
{
	(void) arguments;
	if (form_text(call, "user_context", "context") == NULL)
		ask_for(call, "{" FORM("user_context",
							   "What context should the prompt use?",
							   "\"context\":{\"type\":\"string\"}") "}", NULL);
	else
		answer_messages(call, USER(TEXT_ITEM("With your context")));
}

static void
complete(McpCall *call)
{
	static const char *const values[] = {"paris", "park", "party"};
	const char *typed;

	if (mcp_completion_of(call, &typed) != NULL)
		mcp_completion(call, values, 3, false);
}

/* ------------------------------------------------------------------------
 * Methods
 * ------------------------------------------------------------------------
 */

static void
accept_quietly(McpCall *call)
{
	mcp_result_begin(call);
	mcp_result_end(call);
}

static const McpMethod methods[] = {
	{"completion/complete", MCP_BOTH, true, NULL, complete},
	{"logging/setLevel", MCP_LEGACY, false, NULL, accept_quietly},
	{"prompts/get", MCP_BOTH, true, "name", mcp_prompts_get},
	{"prompts/list", MCP_BOTH, false, NULL, mcp_prompts_list},
	{"resources/list", MCP_BOTH, true, NULL, list_resources},
	{"resources/read", MCP_BOTH, true, "uri", read_resource},
	{"resources/subscribe", MCP_LEGACY, false, NULL, accept_quietly},
	{"resources/templates/list", MCP_BOTH, false, NULL, list_templates},
	{"resources/unsubscribe", MCP_LEGACY, false, NULL, accept_quietly},
	{"tasks/cancel", MCP_MODERN, true, "taskId", do_to_task},
	{"tasks/get", MCP_MODERN, true, "taskId", do_to_task},
	{"tasks/update", MCP_MODERN, true, "taskId", do_to_task},
	{NULL, 0, false, NULL, NULL}
};

/* ------------------------------------------------------------------------
 * The table
 * ------------------------------------------------------------------------
 */

#define SCHEMA_2020 \
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"," \
	"\"type\":\"object\",\"$defs\":{\"address\":{\"$anchor\":\"addressDef\"," \
	"\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"}," \
	"\"city\":{\"type\":\"string\"}}}},\"properties\":{" \
	"\"name\":{\"type\":\"string\"},\"address\":{\"$ref\":\"#/$defs/address\"}," \
	"\"contactMethod\":{\"type\":\"string\",\"enum\":[\"phone\",\"email\"]}," \
	"\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}}," \
	"\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]}," \
	"{\"required\":[\"email\"]}]}],\"if\":{\"properties\":{\"contactMethod\":{" \
	"\"const\":\"phone\"}},\"required\":[\"contactMethod\"]}," \
	"\"then\":{\"required\":[\"phone\"]},\"else\":{\"required\":[\"email\"]}," \
	"\"additionalProperties\":false}"

#define SCHEMA_MIRRORED \
	"{\"type\":\"object\",\"properties\":{" \
	"\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}," \
	"\"query\":{\"type\":\"string\"}," \
	"\"priority\":{\"type\":\"integer\",\"x-mcp-header\":\"Priority\"}," \
	"\"verbose\":{\"type\":\"boolean\",\"x-mcp-header\":\"Verbose\"}}}"

#define TOOL(name, schema, handler) \
	{name, NULL, "a fixture of the conformance suite", schema, NULL, 0, handler}

static const McpTool tools[] = {
	TOOL("confirm_delete", NO_ARGUMENTS, confirm_delete),
	TOOL("failing_job", NO_ARGUMENTS, failing_job),
	TOOL("greet", ONE_TEXT("name"), greet),
	TOOL("json_schema_2020_12_tool", SCHEMA_2020, echo_arguments),
	TOOL("multi_input", NO_ARGUMENTS, multi_input),
	TOOL("protocol_error_job", NO_ARGUMENTS, protocol_error_job),
	TOOL("slow_compute", "{\"type\":\"object\",\"properties\":{"
		 "\"seconds\":{\"type\":\"integer\"}}}", slow_compute),
	TOOL("test_audio_content", NO_ARGUMENTS, audio_content),
	TOOL("test_custom_headers", SCHEMA_MIRRORED, echo_mirrored),
	TOOL("test_elicitation", ONE_TEXT("message"), elicitation),
	TOOL("test_elicitation_sep1034_defaults", NO_ARGUMENTS,
		 elicitation_defaults),
	TOOL("test_elicitation_sep1330_enums", NO_ARGUMENTS, elicitation_enums),
	TOOL("test_embedded_resource", NO_ARGUMENTS, embedded_resource),
	TOOL("test_error_handling", NO_ARGUMENTS, error_handling),
	TOOL("test_image_content", NO_ARGUMENTS, image_content),
	TOOL("test_input_required_result_capabilities", NO_ARGUMENTS,
		 input_capabilities),
	TOOL("test_input_required_result_elicitation", NO_ARGUMENTS,
		 input_elicitation),
	TOOL("test_input_required_result_list_roots", NO_ARGUMENTS, input_roots),
	TOOL("test_input_required_result_multi_round", NO_ARGUMENTS,
		 input_multi_round),
	TOOL("test_input_required_result_multiple_inputs", NO_ARGUMENTS,
		 input_multiple),
	TOOL("test_input_required_result_request_state", NO_ARGUMENTS, input_state),
	TOOL("test_input_required_result_sampling", NO_ARGUMENTS, input_sampling),
	TOOL("test_input_required_result_tampered_state", NO_ARGUMENTS,
		 input_state),
	TOOL("test_logging_tool", NO_ARGUMENTS, with_logging),
	TOOL("test_missing_capability", NO_ARGUMENTS, missing_capability),
	TOOL("test_multiple_content_types", NO_ARGUMENTS, multiple_content),
	TOOL("test_sampling", ONE_TEXT("prompt"), sampling),
	TOOL("test_simple_text", NO_ARGUMENTS, simple_text),
	TOOL("test_streaming_elicitation", NO_ARGUMENTS, input_elicitation),
	TOOL("test_tool_with_logging", NO_ARGUMENTS, with_logging),
	TOOL("test_tool_with_progress", NO_ARGUMENTS, with_progress),
	TOOL("test_tool_with_task", NO_ARGUMENTS, asking_job),
	TOOL("test_trigger_prompt_change", NO_ARGUMENTS, trigger_change),
	TOOL("test_trigger_tool_change", NO_ARGUMENTS, trigger_change),
};

static const char *const two_arguments[] = {"arg1", "arg2", NULL};
static const char *const resource_argument[] = {"resourceUri", NULL};

static const McpPrompt prompts[] = {
	{"test_input_required_result_prompt", NULL, "asks for input", NULL, NULL,
	input_prompt},
	{"test_prompt_with_arguments", NULL, "takes two arguments",
		"[{\"name\":\"arg1\",\"description\":\"First\",\"required\":true},"
		"{\"name\":\"arg2\",\"description\":\"Second\",\"required\":true}]",
	two_arguments, prompt_with_arguments},
	{"test_prompt_with_embedded_resource", NULL, "embeds a resource",
		"[{\"name\":\"resourceUri\",\"description\":\"URI\",\"required\":true}]",
	resource_argument, prompt_with_resource},
	{"test_prompt_with_image", NULL, "shows an image", NULL, NULL,
	prompt_with_image},
	{"test_simple_prompt", NULL, "has no arguments", NULL, NULL, simple_prompt},
};

static const McpHost host = {
	.name = "conformance-server",
	.version = WARDEN_VERSION,
	.capabilities = "\"tools\":{\"listChanged\":true},"
	"\"resources\":{\"subscribe\":true,\"listChanged\":true},"
	"\"prompts\":{\"listChanged\":true},\"completions\":{},\"logging\":{},"
	"\"extensions\":{\"" MCP_TASKS_EXTENSION "\":{}}",
	.tools = tools,
	.tool_count = sizeof(tools) / sizeof(tools[0]),
	.methods = methods,
	.list_scope = "public",
	.list_ttl_ms = 1000,
	.prompts = prompts,
	.prompt_count = sizeof(prompts) / sizeof(prompts[0]),
	.responded = take_response
};

static int	stop_fd;

static void
request_stop(int signum)
{
	uint64_t	one = 1;
	ssize_t		ignored = write(stop_fd, &one, sizeof(one));

	(void) signum;
	(void) ignored;
}

static bool
always(void *arg)
{
	(void) arg;
	return true;
}

int
main(int argc, char **argv)
{
	Config		cf;
	Server		server = {.cf = &cf,.ready = always};
	pthread_t	watcher;
	int			code;

	if (argc != 2 || !config_init(&cf) || !auth_init() ||
		!log_setup("warn", "logfmt"))
		return 2;
	cf.http = strdup(argv[1]);
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	signal(SIGTERM, request_stop);
	signal(SIGPIPE, SIG_IGN);
	server.stop_fd = stop_fd;
	server.reload_fd = -1;
	server.default_token = strdup("anybody");
	server.mcp = the_mcp = mcp_create(&host, session_table_create(1000, 3600));
	server.workers = worker_pool_create(16, 1000);
	pthread_create(&watcher, NULL, watch_tasks, NULL);
	code = http_serve(&server);
	worker_pool_free(server.workers);
	return code;
}
