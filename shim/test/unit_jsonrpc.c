/* unit_jsonrpc.c: envelopes, good and bad */
#include "unit.h"

#include "jsonrpc.h"

static void
check_kind(const char *text, JsonRpcKind kind, int code)
{
	JsonRpcMessage msg;

	jsonrpc_parse(text, strlen(text), &msg);
	if (msg.kind != kind || (kind == JSONRPC_INVALID && msg.error_code != code))
		printf("# %s\n", text);
	CHECK(msg.kind == kind);
	CHECK(kind != JSONRPC_INVALID || msg.error_code == code);
	jsonrpc_clear(&msg);
}

static void
check_echo(const char *text, const char *wanted)
{
	JsonRpcMessage msg;
	Buf			out;

	buf_init(&out);
	jsonrpc_parse(text, strlen(text), &msg);
	jsonrpc_error(&out, msg.id, -1, "m");
	CHECK_TEXT(buf_cstr(&out), wanted);
	buf_free(&out);
	jsonrpc_clear(&msg);
}

#define INVALID(text, code) check_kind(text, JSONRPC_INVALID, code)

static void
test_kinds(void)
{
	check_kind("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
			   JSONRPC_REQUEST, 0);
	check_kind("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"p\",\"params\":{}}",
			   JSONRPC_REQUEST, 0);
	check_kind("{\"jsonrpc\":\"2.0\",\"method\":\"n\"}", JSONRPC_NOTIFICATION, 0);
	check_kind("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
			   JSONRPC_RESPONSE, 0);
}

static void
test_invalid(void)
{
	INVALID("{bad", JSONRPC_PARSE_ERROR);
	INVALID("", JSONRPC_PARSE_ERROR);
	INVALID("[]", JSONRPC_INVALID_REQUEST);
	INVALID("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\"}]",
			JSONRPC_INVALID_REQUEST);
	INVALID("1", JSONRPC_INVALID_REQUEST);
	INVALID("{\"id\":1,\"method\":\"p\"}", JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1e400,\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"p\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1}", JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0000b\"}",
			JSONRPC_INVALID_REQUEST);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"params\":[]}",
			JSONRPC_INVALID_PARAMS);
	INVALID("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\",\"params\":7}",
			JSONRPC_INVALID_REQUEST);
}

static void
test_ids(void)
{
	check_echo("{\"jsonrpc\":\"2.0\",\"id\":-7,\"method\":\"p\"}",
			   "{\"jsonrpc\":\"2.0\",\"id\":-7,"
			   "\"error\":{\"code\":-1,\"message\":\"m\"}}");
	check_echo("{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"\\u0000\",\"method\":\"p\"}",
			   "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"\\u0000\","
			   "\"error\":{\"code\":-1,\"message\":\"m\"}}");
	check_echo("{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901,\"method\":7}",
			   "{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901,"
			   "\"error\":{\"code\":-1,\"message\":\"m\"}}");
	check_echo("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"p\"}",
			   "{\"jsonrpc\":\"2.0\","
			   "\"error\":{\"code\":-1,\"message\":\"m\"}}");
}

int
main(void)
{
	test_kinds();
	test_invalid();
	test_ids();
	UNIT_EXIT();
}
