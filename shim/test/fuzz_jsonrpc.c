/* fuzz_jsonrpc.c: any bytes as a message; the id must survive the round trip */
#include "json_util.h"
#include "jsonrpc.h"

#include <stdint.h>
#include <stdlib.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JsonRpcMessage msg;
	Buf			out;
	JsonFault	fault;
	json_t	   *answer;

	buf_init(&out);
	jsonrpc_parse((const char *) data, size, &msg);
	jsonrpc_error(&out, msg.id, -32600, "x", NULL);
	answer = json_util_load(buf_cstr(&out), out.len, &fault);
	if (answer == NULL ||
		(msg.id != NULL && !json_equal(json_object_get(answer, "id"), msg.id)))
		abort();
	json_decref(answer);
	jsonrpc_clear(&msg);
	buf_free(&out);
	return 0;
}
