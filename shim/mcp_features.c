/*
 * mcp_features.c
 *		Resources, prompts, completion and tasks: what a host may offer.
 *
 * Parameters are checked here, results are written by the host.
 */
#include "mcp_internal.h"

#include "json_util.h"

#include <string.h>

#define MAX_COMPLETIONS 100

/* A string member of params; answers and returns NULL when it is none. */
static const char *
required_text(McpCall *call, const char *name)
{
	const char *text = json_util_string(call->msg.params, name);

	if (text == NULL)
		mcp_error_put(call, JSONRPC_INVALID_PARAMS,
					  "'Invalid params: %s must be a string'", name);
	return text;
}

/* ------------------------------------------------------------------------
 * Resources
 * ------------------------------------------------------------------------
 */

static void
resources_list(McpCall *call)
{
	const char *cursor = NULL;

	if (json_object_get(call->msg.params, "cursor") == NULL ||
		(cursor = required_text(call, "cursor")) != NULL)
		call->mcp->host->list_resources(call, cursor);
}

static void
resources_templates_list(McpCall *call)
{
	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_put(call, "'resourceTemplates':%s",
			call->mcp->host->resource_templates);
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
resources_read(McpCall *call)
{
	const char *uri = required_text(call, "uri");

	if (uri != NULL)
		call->mcp->host->read_resource(call, uri);
}

/* ------------------------------------------------------------------------
 * Prompts
 * ------------------------------------------------------------------------
 */

static void
prompts_list(McpCall *call)
{
	const McpHost *host = call->mcp->host;

	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_put(call, "'prompts':[");
	for (size_t i = 0; i < host->prompt_count; i++)
	{
		const McpPrompt *prompt = &host->prompts[i];

		buf_puts(&call->out, i > 0 ? "," : "");
		mcp_put_names(&call->out, prompt->name, prompt->title);
		json_util_put(&call->out, ",'description':'%s'", prompt->description);
		if (prompt->arguments != NULL)
			json_util_put(&call->out, ",'arguments':%s", prompt->arguments);
		buf_putc(&call->out, '}');
	}
	buf_putc(&call->out, ']');
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static const McpPrompt *
find_prompt(const McpHost *host, const char *name)
{
	for (size_t i = 0; i < host->prompt_count; i++)
		if (strcmp(host->prompts[i].name, name) == 0)
			return &host->prompts[i];
	return NULL;
}

/* Prompt arguments are strings, and the required ones must be there. */
static bool
arguments_are_fine(const McpPrompt *prompt, const json_t *arguments)
{
	const char *key;
	json_t	   *value;

	if (arguments != NULL && !json_is_object(arguments))
		return false;
	json_object_foreach((json_t *) arguments, key, value)
	{
		if (json_util_string(arguments, key) == NULL)
			return false;
	}
	for (const char *const *name = prompt->required;
		 name != NULL && *name != NULL; name++)
		if (json_object_get(arguments, *name) == NULL)
			return false;
	return true;
}

static void
prompts_get(McpCall *call)
{
	json_t	   *arguments = json_object_get(call->msg.params, "arguments");
	const McpPrompt *prompt;
	const char *name = required_text(call, "name");

	if (name == NULL)
		return;
	prompt = find_prompt(call->mcp->host, name);
	if (prompt == NULL)
		mcp_invalid_params(call, "unknown prompt");
	else if (!arguments_are_fine(prompt, arguments))
		mcp_invalid_params(call, "prompt arguments must be strings, "
						   "the required ones among them");
	else
		prompt->handler(call, arguments);
}

/* ------------------------------------------------------------------------
 * Completion
 * ------------------------------------------------------------------------
 */

static void
completion_complete(McpCall *call)
{
	const json_t *ref = json_util_object(call->msg.params, "ref");
	const json_t *argument = json_util_object(call->msg.params, "argument");
	const char *type = json_util_string_or(ref, "type", "");
	bool		is_prompt = strcmp(type, "ref/prompt") == 0;
	const char *of = json_util_string(ref, is_prompt ? "name" : "uri");
	const char *name = json_util_string(argument, "name");
	const char *value = json_util_string(argument, "value");

	if ((!is_prompt && strcmp(type, "ref/resource") != 0) || of == NULL ||
		name == NULL || value == NULL)
		mcp_invalid_params(call, "ref and argument are needed");
	else if (is_prompt && find_prompt(call->mcp->host, of) == NULL)
		mcp_invalid_params(call, "unknown prompt");
	else
		call->mcp->host->complete(call, name, value);
}

void
mcp_completion(McpCall *call, const char *const *values, size_t count)
{
	size_t		shown = count < MAX_COMPLETIONS ? count : MAX_COMPLETIONS;

	mcp_result_begin(call);
	mcp_put(call, "'completion':{'values':[");
	for (size_t i = 0; i < shown; i++)
		json_util_put(&call->out, i > 0 ? ",'%s'" : "'%s'", values[i]);
	json_util_put(&call->out, "],'total':%d,'hasMore':%s}", (int) count,
				  count > shown ? "true" : "false");
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * Tasks
 * ------------------------------------------------------------------------
 */

/* Answers with an error unless the client declared the extension. */
bool
mcp_may_use_tasks(McpCall *call)
{
	return mcp_client_extension(call, MCP_TASKS_EXTENSION) ||
		mcp_missing_capability(call, "{\"extensions\":{\"" MCP_TASKS_EXTENSION
							   "\":{}}}");
}

static void
do_to_task(McpCall *call, McpTaskVerb verb)
{
	const char *task_id = mcp_may_use_tasks(call) ?
		required_text(call, "taskId") : NULL;

	if (task_id == NULL)
		return;
	if (verb == MCP_TASK_UPDATE &&
		json_util_object(call->msg.params, "inputResponses") == NULL)
		mcp_invalid_params(call, "inputResponses must be an object");
	else
		call->mcp->host->task(call, verb, task_id);
}

static void
tasks_get(McpCall *call)
{
	do_to_task(call, MCP_TASK_GET);
}

static void
tasks_cancel(McpCall *call)
{
	do_to_task(call, MCP_TASK_CANCEL);
}

static void
tasks_update(McpCall *call)
{
	do_to_task(call, MCP_TASK_UPDATE);
}

const McpMethod mcp_features[] = {
	{"completion/complete", MCP_BOTH, true, NULL, completion_complete},
	{"prompts/get", MCP_BOTH, true, "name", prompts_get},
	{"prompts/list", MCP_BOTH, false, NULL, prompts_list},
	{"resources/list", MCP_BOTH, true, NULL, resources_list},
	{"resources/read", MCP_BOTH, true, "uri", resources_read},
	{"resources/templates/list", MCP_BOTH, false, NULL,
	resources_templates_list},
	{"tasks/cancel", MCP_MODERN, true, "taskId", tasks_cancel},
	{"tasks/get", MCP_MODERN, true, "taskId", tasks_get},
	{"tasks/update", MCP_MODERN, true, "taskId", tasks_update},
	{NULL, 0, false, NULL, NULL}
};
