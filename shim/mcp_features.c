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

static void
invalid_params(McpCall *call, const char *message)
{
	mcp_error(call, JSONRPC_INVALID_PARAMS, message, NULL);
}

/* A string member of params; answers and returns NULL when it is none. */
static const char *
required_text(McpCall *call, const char *name, const char *message)
{
	const char *text = json_util_string(call->msg.params, name);

	if (text == NULL)
		invalid_params(call, message);
	return text;
}

/* ------------------------------------------------------------------------
 * Resources
 * ------------------------------------------------------------------------
 */

static void
resources_list(McpCall *call)
{
	const json_t *cursor = json_object_get(call->msg.params, "cursor");

	if (cursor != NULL && json_util_string(call->msg.params, "cursor") == NULL)
		invalid_params(call, "Invalid params: cursor must be a string");
	else
		call->mcp->host->list_resources(call, json_string_value(cursor));
}

static void
resources_templates_list(McpCall *call)
{
	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_member(call, "resourceTemplates");
	buf_puts(&call->out, call->mcp->host->resource_templates);
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
resources_read(McpCall *call)
{
	const char *uri = required_text(call, "uri",
									"Invalid params: uri must be a string");

	if (uri != NULL)
		call->mcp->host->read_resource(call, uri);
}

/* ------------------------------------------------------------------------
 * Prompts
 * ------------------------------------------------------------------------
 */

static void
put_prompt(Buf *out, const McpPrompt *prompt)
{
	mcp_put_names(out, prompt->name, prompt->title);
	buf_puts(out, ",\"description\":");
	buf_json_cstr(out, prompt->description);
	if (prompt->arguments != NULL)
	{
		buf_puts(out, ",\"arguments\":");
		buf_puts(out, prompt->arguments);
	}
	buf_putc(out, '}');
}

static void
prompts_list(McpCall *call)
{
	const McpHost *host = call->mcp->host;

	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_member(call, "prompts");
	buf_putc(&call->out, '[');
	for (size_t i = 0; i < host->prompt_count; i++)
	{
		if (i > 0)
			buf_putc(&call->out, ',');
		put_prompt(&call->out, &host->prompts[i]);
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
	const char *name = required_text(call, "name",
									 "Invalid params: name must be a string");

	if (name == NULL)
		return;
	prompt = find_prompt(call->mcp->host, name);
	if (prompt == NULL)
		invalid_params(call, "Invalid params: unknown prompt");
	else if (!arguments_are_fine(prompt, arguments))
		invalid_params(call, "Invalid params: prompt arguments must be strings, "
					   "the required ones among them");
	else
		prompt->handler(call, arguments);
}

/* ------------------------------------------------------------------------
 * Completion
 * ------------------------------------------------------------------------
 */

static bool
read_reference(const json_t *params, McpReference *ref)
{
	const json_t *from = json_util_object(params, "ref");
	const json_t *argument = json_util_object(params, "argument");
	const char *type = json_util_string(from, "type");

	if (type == NULL)
		return false;
	ref->is_prompt = strcmp(type, "ref/prompt") == 0;
	if (!ref->is_prompt && strcmp(type, "ref/resource") != 0)
		return false;
	ref->name = json_util_string(from, ref->is_prompt ? "name" : "uri");
	ref->argument = json_util_string(argument, "name");
	ref->value = json_util_string(argument, "value");
	return ref->name != NULL && ref->argument != NULL && ref->value != NULL;
}

static void
completion_complete(McpCall *call)
{
	McpReference ref;

	if (!read_reference(call->msg.params, &ref))
		invalid_params(call, "Invalid params: ref and argument are needed");
	else if (ref.is_prompt && find_prompt(call->mcp->host, ref.name) == NULL)
		invalid_params(call, "Invalid params: unknown prompt");
	else
		call->mcp->host->complete(call, &ref);
}

void
mcp_completion(McpCall *call, const char *const *values, size_t count)
{
	size_t		shown = count < MAX_COMPLETIONS ? count : MAX_COMPLETIONS;

	mcp_result_begin(call);
	mcp_member(call, "completion");
	buf_puts(&call->out, "{\"values\":[");
	for (size_t i = 0; i < shown; i++)
	{
		if (i > 0)
			buf_putc(&call->out, ',');
		buf_json_cstr(&call->out, values[i]);
	}
	buf_printf(&call->out, "],\"total\":%zu,\"hasMore\":%s}", count,
			   count > shown ? "true" : "false");
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * Tasks
 * ------------------------------------------------------------------------
 */

/* The task id of a request of a client that declared the extension. */
static const char *
task_of(McpCall *call)
{
	if (!mcp_client_extension(call, MCP_TASKS_EXTENSION))
	{
		mcp_missing_capability(call, "{\"extensions\":{\"" MCP_TASKS_EXTENSION
							   "\":{}}}");
		return NULL;
	}
	return required_text(call, "taskId",
						 "Invalid params: taskId must be a string");
}

static void
tasks_get(McpCall *call)
{
	const char *task_id = task_of(call);

	if (task_id != NULL)
		call->mcp->host->get_task(call, task_id);
}

static void
tasks_cancel(McpCall *call)
{
	const char *task_id = task_of(call);

	if (task_id != NULL)
		call->mcp->host->cancel_task(call, task_id);
}

static void
tasks_update(McpCall *call)
{
	const char *task_id = task_of(call);
	json_t	   *responses = json_util_object(call->msg.params, "inputResponses");

	if (task_id == NULL)
		return;
	if (responses == NULL)
		invalid_params(call, "Invalid params: inputResponses must be an object");
	else
		call->mcp->host->update_task(call, task_id, responses);
}

/* ------------------------------------------------------------------------
 * Which of them a host offers
 * ------------------------------------------------------------------------
 */

/* A method, and the member of McpHost without which it does not exist. */
static const struct
{
	McpMethod	method;
	size_t		needs;
}			features[] = {
#define NEEDS(member) offsetof(McpHost, member)
	{{"completion/complete", MCP_BOTH, true, NULL, completion_complete},
	NEEDS(complete)},
	{{"prompts/get", MCP_BOTH, true, "name", prompts_get}, NEEDS(prompts)},
	{{"prompts/list", MCP_BOTH, false, NULL, prompts_list}, NEEDS(prompts)},
	{{"resources/list", MCP_BOTH, true, NULL, resources_list},
	NEEDS(list_resources)},
	{{"resources/read", MCP_BOTH, true, "uri", resources_read},
	NEEDS(read_resource)},
	{{"resources/templates/list", MCP_BOTH, false, NULL,
	resources_templates_list}, NEEDS(resource_templates)},
	{{"tasks/cancel", MCP_MODERN, true, "taskId", tasks_cancel},
	NEEDS(cancel_task)},
	{{"tasks/get", MCP_MODERN, true, "taskId", tasks_get}, NEEDS(get_task)},
	{{"tasks/update", MCP_MODERN, true, "taskId", tasks_update},
	NEEDS(update_task)},
#undef NEEDS
};

/* All these members are pointers, to data or to functions. */
static bool
offers(const McpHost *host, size_t needs)
{
	static const char none[sizeof(void (*) (void))];

	return memcmp((const char *) host + needs, none, sizeof(none)) != 0;
}

const McpMethod *
mcp_find_feature(const McpHost *host, const char *name, McpEra era)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
	{
		const McpMethod *method = &features[i].method;

		if ((method->eras & (int) era) != 0 &&
			offers(host, features[i].needs) &&
			strcmp(method->name, name) == 0)
			return method;
	}
	return NULL;
}
