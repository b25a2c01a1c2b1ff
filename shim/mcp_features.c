/*
 * mcp_features.c
 *		What hosts that offer prompts, completion or tasks, or tell of
 *		progress, have in common.
 */
#include "mcp_internal.h"

#include "json_util.h"

#include <string.h>

#define MAX_COMPLETIONS 100

const char *
mcp_text_param(McpCall *call, const char *name)
{
	const char *text = json_util_string(call->msg.params, name);

	if (text == NULL)
		mcp_error_put(call, JSONRPC_INVALID_PARAMS,
					  "'Invalid params: %s must be a string'", name);
	return text;
}

/* ------------------------------------------------------------------------
 * Prompts
 * ------------------------------------------------------------------------
 */

void
mcp_prompts_list(McpCall *call)
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

void
mcp_prompts_get(McpCall *call)
{
	json_t	   *arguments = json_object_get(call->msg.params, "arguments");
	const McpPrompt *prompt;
	const char *name = mcp_text_param(call, "name");

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

const char *
mcp_completion_of(McpCall *call, const char **typed)
{
	const json_t *ref = json_util_object(call->msg.params, "ref");
	const json_t *argument = json_util_object(call->msg.params, "argument");
	const char *type = json_util_string_or(ref, "type", "");
	bool		is_prompt = strcmp(type, "ref/prompt") == 0;
	const char *of = json_util_string(ref, is_prompt ? "name" : "uri");
	const char *name = json_util_string(argument, "name");

	*typed = json_util_string(argument, "value");
	if ((!is_prompt && strcmp(type, "ref/resource") != 0) || of == NULL ||
		name == NULL || *typed == NULL)
		mcp_invalid_params(call, "ref and argument are needed");
	else if (is_prompt && find_prompt(call->mcp->host, of) == NULL)
		mcp_invalid_params(call, "unknown prompt");
	else
		return name;
	return NULL;
}

void
mcp_completion(McpCall *call, const char *const *values, size_t count,
			   bool more)
{
	size_t		shown = count < MAX_COMPLETIONS ? count : MAX_COMPLETIONS;

	mcp_result_begin(call);
	mcp_put(call, "'completion':{'values':[");
	for (size_t i = 0; i < shown; i++)
		json_util_put(&call->out, i > 0 ? ",'%s'" : "'%s'", values[i]);
	if (more || count > shown)
		json_util_put(&call->out, "],'hasMore':true}");
	else
		json_util_put(&call->out, "],'total':%d,'hasMore':false}",
					  (int) count);
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * Tasks
 * ------------------------------------------------------------------------
 */

bool
mcp_may_use_tasks(McpCall *call)
{
	return mcp_client_extension(call, MCP_TASKS_EXTENSION) ||
		mcp_missing_capability(call, "{\"extensions\":{\"" MCP_TASKS_EXTENSION
							   "\":{}}}");
}

const char *
mcp_task_id(McpCall *call)
{
	const char *task_id = mcp_may_use_tasks(call) ?
		mcp_text_param(call, "taskId") : NULL;

	if (task_id != NULL && strcmp(call->method->name, "tasks/update") == 0 &&
		json_util_object(call->msg.params, "inputResponses") == NULL)
	{
		mcp_invalid_params(call, "inputResponses must be an object");
		return NULL;
	}
	return task_id;
}

/* ------------------------------------------------------------------------
 * Progress
 * ------------------------------------------------------------------------
 */

/* Parts of a batch have no way to send anything ahead of it. */
void
mcp_progress(McpCall *call, double progress, double total, const char *message)
{
	const json_t *token = json_object_get(call->meta, "progressToken");
	Buf			note;

	if ((!json_is_string(token) && !json_is_integer(token)) ||
		progress <= call->progress || call->transport->notify == NULL ||
		atomic_load(&call->cancelled))
		return;
	call->progress = progress;
	buf_init(&note);
	json_util_put(&note, "{'jsonrpc':'2.0','method':'notifications/progress',"
				  "'params':{'progressToken':%p", token);
	buf_printf(&note, ",\"progress\":%g", progress);
	if (total > 0)
		buf_printf(&note, ",\"total\":%g", total);
	if (message != NULL)
		json_util_put(&note, ",'message':'%s'", message);
	buf_puts(&note, "}}");
	if (buf_ok(&note))
		call->transport->notify(call, note.data, note.len);
	buf_free(&note);
}
