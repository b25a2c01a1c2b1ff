/*
 * unit_alloc.c
 *		Every allocation of the protocol core fails in turn, once by itself and
 *		once with all that come after it: there is an answer, or it is known
 *		that there is none, and nothing is lost.
 */
#include "unit.h"

#if defined(__SANITIZE_ADDRESS__)
int
main(void)
{
	CHECK(!"no allocator of our own under a sanitizer" || 1);
	UNIT_EXIT();
}
#else

#include "fail_alloc.c"

#include "mcp.h"
#include "messages.c"

#define V "io.modelcontextprotocol/protocolVersion"
#define C "io.modelcontextprotocol/clientCapabilities"
#define META "\"_meta\":{\"" V "\":\"2026-07-28\",\"" C "\":{\"extensions\":" \
	"{\"" MCP_TASKS_EXTENSION "\":{}}},\"progressToken\":\"p\"}"
#define JWT "e30.eyJpc3MiOiJpIiwic3ViIjoiYm9iIiwiZXhwIjoxfQ.c2ln"

/* ---- a host that offers everything ---- */

static void
answer(McpCall *call)
{
	mcp_progress(call, 1, 2, "half");
	send_log(call, "error", "\"x\"");
	mcp_result_begin(call);
	mcp_put(call, "'content':[{'type':'text','text':'%s'}]", "h\"i");
	mcp_result_end(call);
}

static void
echo(McpCall *call, json_t *arguments)
{
	bool		present;
	Buf			state;

	(void) arguments;
	buf_init(&state);
	if (mcp_state_open(call, &state, &present))
	{
		answer(call);
		mcp_member(call, "x");
		mcp_state_seal(call, "42", 60, &call->out);
	}
	buf_free(&state);
}

static void
read_resource(McpCall *call)
{
	const char *uri = mcp_text_param(call, "uri");

	if (uri != NULL)
		mcp_not_found(call, uri);
}

static void
do_to_task(McpCall *call)
{
	if (mcp_task_id(call) != NULL)
		answer(call);
}

static void
complete(McpCall *call)
{
	const char *typed;
	const char *values[2] = {"", "\xff"};

	if (mcp_completion_of(call, &typed) == NULL)
		return;
	values[0] = typed;
	mcp_completion(call, values, 2, false);
}

static const McpMethod methods[] = {
	{"completion/complete", MCP_BOTH, true, NULL, complete},
	{"prompts/get", MCP_BOTH, true, "name", mcp_prompts_get},
	{"prompts/list", MCP_BOTH, false, NULL, mcp_prompts_list},
	{"resources/list", MCP_BOTH, true, NULL, answer},
	{"resources/read", MCP_BOTH, true, "uri", read_resource},
	{"tasks/get", MCP_MODERN, true, "taskId", do_to_task},
	{"tasks/update", MCP_MODERN, true, "taskId", do_to_task},
	{NULL, 0, false, NULL, NULL}
};

static const McpTool tools[] = {
	{"echo", "t", "says hi", "{\"type\":\"object\"}", NULL, 0, echo}
};

static const McpPrompt prompts[] = {
	{"ask", "t", "d", "[{\"name\":\"a\"}]", NULL, echo}
};

static const McpHost host = {
	.name = "unit",.title = "u",.version = "1",.instructions = "i",
	.capabilities = "\"tools\":{}",.tools = tools,.tool_count = 1,
	.methods = methods,.prompts = prompts,.prompt_count = 1,
	.list_scope = "private"
};

/* ---- a transport that counts ---- */

static int	sent;

static void
notify(McpCall *call, const char *json, size_t len)
{
	(void) call;
	(void) json;
	(void) len;
	sent++;
}

static void
finish(McpCall *call)
{
	(void) call;
}

static const Transport transport = {
	.challenges = true,.notify = notify,.finish = finish
};

/* ---- what is sent ---- */

#define REQUEST(method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0001\",\"method\":\"" method "\"," \
	"\"params\":{" params "}}"

static const char *const messages[] = {
	REQUEST("initialize", "\"protocolVersion\":\"2025-03-26\""),
	REQUEST("ping", ""),
	REQUEST("nope", ""),
	REQUEST("server/discover", META),
	REQUEST("tools/list", META),
	REQUEST("tools/call", "\"name\":\"echo\",\"arguments\":{\"a\":[1,2.5,true]},"
	META),
	REQUEST("tools/call", "\"name\":\"echo\",\"requestState\":\"1.2.3\"," META),
	REQUEST("tools/call", "\"name\":\"nope\""),
	REQUEST("prompts/list", ""),
	REQUEST("prompts/get", "\"name\":\"ask\",\"arguments\":{\"a\":\"b\"}"),
	REQUEST("resources/list", META),
	REQUEST("resources/templates/list", META),
	REQUEST("resources/read", "\"uri\":\"no\"," META),
	REQUEST("completion/complete", "\"ref\":{\"type\":\"ref/prompt\","
	"\"name\":\"ask\"},\"argument\":{\"name\":\"a\",\"value\":\"v\"}," META),
	REQUEST("tasks/get", "\"taskId\":\"1\"," META),
	REQUEST("tasks/update", "\"taskId\":\"1\",\"inputResponses\":{}," META),
	REQUEST("subscriptions/listen", "\"notifications\":{\"taskIds\":[\"1\"],"
	"\"resourceSubscriptions\":[\"u\"],\"toolsListChanged\":true}," META),
	REQUEST("subscriptions/listen", "\"notifications\":7," META),
	REQUEST("tools/list", "\"_meta\":{\"" V "\":\"1900-01-01\"}"),
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
	"\"params\":{\"requestId\":1}}",
	"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\","
	"\"params\":{\"name\":\"echo\"}}]",
	"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":1}",
	"[[[\"\\ud83d\\ude00\",-1e5]]",
};

static Mcp *mcp;
static bool answered;
static bool silent_failure;

/* One exchange, a stream ended, a session too. */
static void
exchange(const char *text)
{
	McpHeaders	headers = {NULL, NULL, NULL, NULL};
	McpCall		call;
	McpRoute	taken;

	mcp_call_init(&call, mcp, &transport);
	call.credential = JWT;
	taken = mcp_accept(&call, text, strlen(text),
					   text[0] == '[' ? &headers : NULL);
	if (taken == MCP_DEFERRED)
		mcp_run(&call, -1);
	if (taken == MCP_STREAMING)
	{
		mcp_publish_resource(mcp, NULL, "u");
		mcp_publish_task(mcp, NULL, "1", "\"taskId\":\"1\"");
		tell_all_list_changed(mcp, "tools");
		mcp_close_streams(mcp);
	}
	answered = taken == MCP_SILENT || call.out.len > 0;
	silent_failure = !answered && buf_ok(&call.out);
	atomic_store(&fail_alloc->countdown, -1);
	if (call.session_opened)
		mcp_session_end(mcp, call.session, JWT);
	mcp_call_clear(&call);
}

/* Fails one allocation after the other until there is none left to fail. */
static void
fail_each(const char *text, bool all)
{
	bool		always_answered = true;
	bool		never_silent = true;
	long		lost = 0;
	long		n = 0;

	atomic_store(&fail_alloc->all, all);
	for (;; n++)
	{
		long		live = atomic_load(&fail_alloc->live);
		long		failed = atomic_load(&fail_alloc->failed);

		atomic_store(&fail_alloc->countdown, n);
		exchange(text);
		always_answered &= answered;
		never_silent &= !silent_failure;
		lost += atomic_load(&fail_alloc->live) - live;
		if (atomic_load(&fail_alloc->failed) == failed)
			break;
	}
	if ((!all && !always_answered) || !never_silent || lost != 0)
		printf("# %s: %ld allocations, %ld lost\n", text, n, lost);
	CHECK(n > 0);
	CHECK(all || always_answered);
	CHECK(never_silent);
	CHECK(lost == 0);
}

int
main(void)
{
	CHECK(auth_init());
	mcp = mcp_create(&host, session_table_create(10, 1000));
	CHECK(mcp != NULL);
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
	{
		exchange(messages[i]);
		fail_each(messages[i], false);
		fail_each(messages[i], true);
	}
	CHECK(sent > 0);
	UNIT_EXIT();
}
#endif
