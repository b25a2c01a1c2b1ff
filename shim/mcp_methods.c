/*
 * mcp_methods.c
 *		The methods every server has: initialize, discover, ping, tools.
 */
#include "mcp_internal.h"

#include "auth.h"
#include "json_util.h"
#include "log.h"
#include "metrics.h"

#include <string.h>
#include <time.h>

/* What a server says about itself in either era. */
static void
put_offer(McpCall *call)
{
	const McpHost *host = call->mcp->host;
	const char *capabilities = host->capabilities;

	if (call->era == MCP_LEGACY && host->legacy_capabilities != NULL)
		capabilities = host->legacy_capabilities;
	mcp_put(call, "'capabilities':{%s}", capabilities);
	if (host->instructions != NULL)
		mcp_put(call, "'instructions':'%s'", host->instructions);
}

/* Nothing of its arguments or its result, and no credential. */
void
mcp_log_call(const McpCall *call, const char *name)
{
	char		ms[32];
	Buf			id;

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	snprintf(ms, sizeof(ms), "%.3f",
			 (double) (metrics_clock() - call->started) / 1e6);
	buf_init(&id);
	if (json_util_is_text(call->msg.id))
		buf_puts(&id, json_string_value(call->msg.id));
	else if (call->msg.id != NULL)
		json_util_write(&id, call->msg.id);
	log_event(LOG_LEVEL_DEBUG, "call", "name", name,
			  "outcome", metrics_outcome_name((int) call->outcome),
			  "ms", ms, "request_id", buf_ok(&id) ? buf_cstr(&id) : NULL,
			  "traceparent", json_util_string(call->meta, "traceparent"),
			  "prompt_ref", json_util_string(call->meta, "warden/promptRef"),
			  NULL);
	buf_free(&id);
}

/* Without a session the client is served too; it can not cancel over HTTP. */
static void
open_session(McpCall *call)
{
	AuthDigest	owner;

	if (call->mcp->sessions == NULL)
	{
		call->mcp->agreed_version = call->version;
		return;
	}
	call->session_opened = auth_owner(call->credential, &owner) &&
		session_open(call->mcp->sessions, &owner, call->version, time(NULL),
					 call->session);
}

/* Echoes a version that is supported, else offers the newest legacy one. */
static void
initialize(McpCall *call)
{
	const char *wanted = json_util_string(call->msg.params, "protocolVersion");
	const char *version;

	if (wanted == NULL)
	{
		mcp_invalid_params(call, "protocolVersion must be a string");
		return;
	}
	version = mcp_legacy_version(wanted);
	call->version = version != NULL ? version : mcp_legacy_versions[0];
	open_session(call);
	mcp_result_begin(call);
	mcp_put(call, "'protocolVersion':'%s','serverInfo':%s", call->version,
			call->mcp->server_info);
	put_offer(call);
	mcp_result_end(call);
}

static void
discover(McpCall *call)
{
	mcp_result_begin(call);
	mcp_member(call, "supportedVersions");
	mcp_put_versions(&call->out);
	put_offer(call);
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
ping(McpCall *call)
{
	mcp_result_begin(call);
	mcp_result_end(call);
}

static const char *
is_hinted(const McpTool *tool, int flag)
{
	return (tool->flags & flag) != 0 ? "true" : "false";
}

static void
put_tool(Buf *out, const McpTool *tool)
{
	mcp_put_names(out, tool->name, tool->title);
	json_util_put(out, ",'description':'%s','inputSchema':%s",
				  tool->description, tool->input_schema);
	if (tool->output_schema != NULL)
		json_util_put(out, ",'outputSchema':%s", tool->output_schema);
	json_util_put(out, ",'annotations':{'readOnlyHint':%s,"
				  "'destructiveHint':%s,'idempotentHint':%s,"
				  "'openWorldHint':false}}",
				  is_hinted(tool, MCP_TOOL_READ_ONLY),
				  is_hinted(tool, MCP_TOOL_DESTRUCTIVE),
				  is_hinted(tool, MCP_TOOL_IDEMPOTENT));
}

static void
tools_list(McpCall *call)
{
	const McpHost *host = call->mcp->host;

	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_put(call, "'tools':[");
	for (size_t i = 0; i < host->tool_count; i++)
	{
		if (i > 0)
			buf_putc(&call->out, ',');
		put_tool(&call->out, &host->tools[i]);
	}
	buf_putc(&call->out, ']');
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
tools_call(McpCall *call)
{
	call->tool->handler(call, json_object_get(call->msg.params, "arguments"));
}

static const McpMethod own_methods[] = {
	{"initialize", MCP_LEGACY, false, NULL, initialize},
	{"ping", MCP_LEGACY, false, NULL, ping},
	{"server/discover", MCP_MODERN, false, NULL, discover},
	{"subscriptions/listen", MCP_MODERN, false, NULL, NULL},
	{"tools/call", MCP_BOTH, true, "name", tools_call},
	{"tools/list", MCP_BOTH, false, NULL, tools_list},
	{NULL, 0, false, NULL, NULL}
};

const McpMethod *
mcp_find_method(const Mcp *mcp, const char *name, McpEra era)
{
	const McpMethod *const tables[] = {own_methods, mcp->host->methods};

	for (size_t i = 0; i < 2; i++)
	{
		const McpMethod *method = tables[i];

		for (; method != NULL && method->name != NULL; method++)
			if ((method->eras & (int) era) != 0 &&
				strcmp(method->name, name) == 0)
				return method;
	}
	return NULL;
}

const McpTool *
mcp_find_tool(const Mcp *mcp, const char *name)
{
	for (size_t i = 0; i < mcp->host->tool_count; i++)
		if (strcmp(mcp->host->tools[i].name, name) == 0)
			return &mcp->host->tools[i];
	return NULL;
}
