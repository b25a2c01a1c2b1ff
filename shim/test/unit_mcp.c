/*
 * unit_mcp.c
 *		Dispatch without a transport: eras, headers, cancellation, streams.
 */
#include "unit.h"

#include "mcp.h"
#include "messages.c"

#include <stdlib.h>

#define V "io.modelcontextprotocol/protocolVersion"
#define C "io.modelcontextprotocol/clientCapabilities"
#define META "\"_meta\":{\"" V "\":\"2026-07-28\",\"" C "\":{}}"

/* ---- a host and a transport ---- */

static Buf	sent;				/* by notify */
static int	finished;

static void
notify(McpCall *call, const char *json, size_t len)
{
	(void) call;
	buf_append(&sent, json, len);
	buf_putc(&sent, '\n');
}

static void
finish(McpCall *call)
{
	(void) call;
	finished++;
}

static const Transport silent = {
	.notify = notify,.finish = finish
};

static void
echo(McpCall *call, json_t *arguments)
{
	(void) arguments;
	mcp_progress(call, 1, 2, "half");
	mcp_progress(call, 1, 2, "again");
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", "hi");
	mcp_result_end(call);
}

static const McpTool tools[] = {
	{"echo", NULL, "says hi", "{\"type\":\"object\"}", NULL, 0, echo}
};

static const McpHost host = {
	.name = "unit",.version = "1",.capabilities = "\"tools\":{}",
	.tools = tools,.tool_count = 1,.list_scope = "public"
};

static Mcp *mcp;

/* Accepts and runs one message; the answer is in call.out. */
static McpRoute
exchange(McpCall *call, const char *text, const McpHeaders *headers)
{
	McpRoute	taken;

	mcp_call_init(call, mcp, &silent);
	taken = mcp_accept(call, text, strlen(text), headers);
	if (taken == MCP_DEFERRED)
		mcp_run(call, -1);
	return taken;
}

static bool
contains(const Buf *b, const char *text)
{
	return strstr(buf_cstr(b), text) != NULL;
}

static void
check_answer(const char *text, const McpHeaders *headers, int status,
			 const char *part)
{
	McpCall		call;

	exchange(&call, text, headers);
	if (!contains(&call.out, part) || call.http_status != status)
		printf("# %s\n# -> %d %s\n", text, call.http_status,
			   buf_cstr(&call.out));
	CHECK(contains(&call.out, part));
	CHECK(call.http_status == status);
	mcp_call_clear(&call);
}

static void
test_eras(void)
{
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\","
				 "\"params\":{\"protocolVersion\":\"2025-06-18\"}}", NULL, 200,
				 "\"protocolVersion\":\"2025-06-18\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\","
				 "\"params\":{\"protocolVersion\":\"1999-01-01\"}}", NULL, 200,
				 "\"protocolVersion\":\"2025-11-25\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}", NULL,
				 200, "-32602");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\","
				 "\"params\":{" META "}}", NULL, 200, "\"supportedVersions\":[");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\"}",
				 NULL, 400, "-32602");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", NULL, 200,
				 "\"result\":{}");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\","
				 "\"params\":{" META "}}", NULL, 404, "-32601");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nope\"}", NULL, 200,
				 "-32601");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				 "\"params\":{\"_meta\":{\"" V "\":\"1900-01-01\",\"" C "\":{}}}}",
				 NULL, 400, "\"requested\":\"1900-01-01\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				 "\"params\":{\"_meta\":{\"" V "\":\"2026-07-28\"}}}", NULL, 400,
				 "-32602");
}

static void
test_tools(void)
{
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				 "\"params\":{" META "}}", NULL, 200, "\"cacheScope\":\"public\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\","
				 "\"params\":{\"cursor\":\"x\"}}", NULL, 200, "-32602");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				 "\"params\":{\"name\":\"echo\"}}", NULL, 200,
				 "\"result\":{\"content\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				 "\"params\":{\"name\":\"echo\"," META "}}", NULL, 200,
				 "\"resultType\":\"complete\"");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				 "\"params\":{\"name\":\"nope\"}}", NULL, 200, "unknown tool");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				 "\"params\":{\"name\":7}}", NULL, 200, "-32602");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
				 "\"params\":{\"name\":\"echo\",\"arguments\":[]}}", NULL, 200,
				 "-32602");
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}", NULL,
				 200, "-32602");
}

#define CALL_ECHO "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," \
	"\"params\":{\"name\":\"echo\"," META "}}"

static void
test_headers(void)
{
	McpHeaders	good = {"2026-07-28", "tools/call", "echo", NULL};
	McpHeaders	h = good;

	check_answer(CALL_ECHO, &good, 200, "\"result\"");
	h.version = " 2026-07-28\t";
	check_answer(CALL_ECHO, &h, 200, "\"result\"");
	h.version = NULL;
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h.version = "2025-11-25";
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h = good;
	h.method = "TOOLS/CALL";
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h = good;
	h.name = NULL;
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h.name = "=?base64?ZWNobw==?=";
	check_answer(CALL_ECHO, &h, 200, "\"result\"");
	h.name = "=?base64?ZWNobw=?=";
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h.name = "=?base64?" "?=";
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h.name = "=?base64?";
	check_answer(CALL_ECHO, &h, 400, "-32020");
	h = good;
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", &h,
				 400, "-32602");
	h.version = "2024-11-05";
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", &h,
				 400, "-32022");
	h.version = NULL;
	check_answer("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}", &h,
				 200, "\"tools\"");
}

static void
test_notifications(void)
{
	McpCall		call;
	McpCall		running;
	const char *text = "{\"jsonrpc\":\"2.0\",\"id\":\"r\",\"method\":"
	"\"tools/call\",\"params\":{\"name\":\"echo\"}}";

	CHECK(exchange(&call, "{\"jsonrpc\":\"2.0\",\"method\":"
				   "\"notifications/initialized\"}", NULL) == MCP_SILENT);
	CHECK(call.http_status == 202);
	mcp_call_clear(&call);

	mcp_call_init(&running, mcp, &silent);
	CHECK(mcp_accept(&running, text, strlen(text), NULL) == MCP_DEFERRED);
	CHECK(mcp_running(mcp) == 1);
	exchange(&call, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
			 "\"params\":{\"requestId\":\"other\"}}", NULL);
	mcp_call_clear(&call);
	CHECK(!atomic_load(&running.cancelled));
	exchange(&call, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
			 "\"params\":{\"requestId\":\"r\"}}", NULL);
	mcp_call_clear(&call);
	CHECK(atomic_load(&running.cancelled));
	mcp_run(&running, -1);
	CHECK(running.out.len == 0);
	CHECK(running.outcome == MCP_OUTCOME_CANCELLED);
	mcp_call_clear(&running);
	CHECK(mcp_running(mcp) == 0);
}

static void
test_progress(void)
{
	McpCall		call;

	buf_reset(&sent);
	exchange(&call, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
			 "\"params\":{\"name\":\"echo\",\"_meta\":{\"progressToken\":\"t\"}}}",
			 NULL);
	mcp_call_clear(&call);
	CHECK_TEXT(buf_cstr(&sent),
			   "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\","
			   "\"params\":{\"progressToken\":\"t\",\"progress\":1,\"total\":2,"
			   "\"message\":\"half\"}}\n");
}

#define LISTEN(filter) "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":" \
	"\"subscriptions/listen\",\"params\":{\"notifications\":" filter "," META "}}"

static void
test_streams(void)
{
	McpCall		call;
	McpCall		bad;

	buf_reset(&sent);
	CHECK(exchange(&call, LISTEN("{\"resourceSubscriptions\":[\"u:1\"],"
								 "\"toolsListChanged\":true}"), NULL) ==
		  MCP_STREAMING);
	CHECK(contains(&sent, "acknowledged"));
	CHECK(contains(&sent, "\"subscriptionId\":5") == false);
	CHECK(contains(&sent, "io.modelcontextprotocol/subscriptionId\":5"));
	buf_reset(&sent);
	mcp_publish_resource(mcp, NULL, "u:2");
	tell_all_list_changed(mcp, "prompts");
	CHECK(sent.len == 0);
	mcp_publish_resource(mcp, NULL, "u:1");
	CHECK(contains(&sent, "\"uri\":\"u:1\""));
	tell_all_list_changed(mcp, "tools");
	CHECK(contains(&sent, "notifications/tools/list_changed"));
	finished = 0;
	mcp_close_streams(mcp);
	CHECK(finished == 1);
	CHECK(contains(&call.out, "subscriptionId\":5"));
	mcp_call_clear(&call);
	CHECK(exchange(&bad, LISTEN("7"), NULL) == MCP_ANSWERED);
	mcp_call_clear(&bad);
	CHECK(exchange(&bad, LISTEN("{\"taskIds\":[\"t\"]}"), NULL) == MCP_ANSWERED);
	CHECK(contains(&bad.out, "-32021"));
	mcp_call_clear(&bad);
}

int
main(void)
{
	buf_init(&sent);
	mcp = mcp_create(&host, NULL);
	CHECK(mcp != NULL);
	test_eras();
	test_tools();
	test_headers();
	test_notifications();
	test_progress();
	test_streams();
	mcp_free(mcp);
	buf_free(&sent);
	UNIT_EXIT();
}
