/*
 * fuzz_dispatch.c
 *		Headers and a body through the whole protocol core.  The input's first
 *		lines are header values, what follows an empty line is the body; every
 *		answer must be valid JSON on one line, or none where none is due.
 */
#include "auth.h"
#include "json_util.h"
#include "mcp.h"
#include "messages.c"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_message(const char *json, size_t len)
{
	JsonFault	fault;
	json_t	   *value = json_util_load(json, len, &fault);

	if (value == NULL || memchr(json, '\n', len) != NULL)
		abort();
	json_decref(value);
}

/* A batch of notifications has no answer. */
static void
check_answer(const McpCall *call)
{
	if (call->out.len > 0 || call->http_status != 202)
		check_message(buf_cstr(&call->out), call->out.len);
}

static void
notify(McpCall *call, const char *json, size_t len)
{
	(void) call;
	check_message(json, len);
}

static void
finish(McpCall *call)
{
	(void) call;
}

static const Transport transport = {
	.answer_when_cancelled = true,.challenges = true,
	.notify = notify,.finish = finish
};

static void
echo(McpCall *call, json_t *arguments)
{
	Buf			text;

	buf_init(&text);
	json_util_write(&text, arguments);
	mcp_progress(call, 1, 1, buf_cstr(&text));
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", buf_cstr(&text));
	mcp_result_end(call);
	buf_free(&text);
}

static const McpTool tools[] = {
	{"query", "t", "d", "{\"type\":\"object\"}", NULL, 0, echo}
};

static const McpHost host = {
	.name = "fuzz",.version = "1",.capabilities = "\"tools\":{}",
	.tools = tools,.tool_count = 1,.list_scope = "private"
};

/* The next line of the input as a header, NULL for an empty one. */
static const char *
next_header(char **at)
{
	char	   *line = *at;
	char	   *end = line != NULL ? strchr(line, '\n') : NULL;

	if (end == NULL)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return *line != '\0' ? line : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Mcp *mcp;
	char	   *text = malloc(size + 1);
	char	   *at = text;
	McpHeaders	headers = {NULL, NULL, NULL, NULL};
	McpCall		call;
	McpRoute	taken;
	bool		http;

	if (mcp == NULL && (!auth_init() ||
						(mcp = mcp_create(&host, session_table_create(100, 100))) == NULL))
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	http = size > 0 && text[0] != '{';
	if (http)
	{
		headers.version = next_header(&at);
		headers.method = next_header(&at);
		headers.name = next_header(&at);
		headers.session = next_header(&at);
	}
	mcp_call_init(&call, mcp, &transport);
	taken = mcp_accept(&call, at, size - (size_t) (at - text),
					   http ? &headers : NULL);
	if (taken == MCP_DEFERRED)
		mcp_run(&call, -1);
	if (taken == MCP_STREAMING)
		mcp_leave_stream(&call);
	else if (taken != MCP_SILENT)
		check_answer(&call);
	mcp_call_clear(&call);
	free(text);
	return 0;
}
