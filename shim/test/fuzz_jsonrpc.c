/*
 * fuzz_jsonrpc.c: any bytes as a message; what is read must be what jansson
 * reads, and the id must survive the round trip
 */
#include "json_util.h"
#include "jsonrpc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether there is a number in it that jansson does not read, or rounds. */
static int
keeps_numbers(json_t *value)
{
	size_t		i;
	const char *key;
	json_t	   *member;

	json_array_foreach(value, i, member)
	{
		if (keeps_numbers(member))
			return 1;
	}
	json_object_foreach(value, key, member)
	{
		if (keeps_numbers(member))
			return 1;
	}
	return json_util_number(value) != NULL;
}

/*
 * Ours has a limit of its own for nesting, and minds NUL bytes behind the end,
 * which jansson takes for the end.
 */
static void
compare_with_jansson(const char *text, size_t size)
{
	JsonFault	fault;
	json_t	   *ours = json_util_load(text, size, &fault);
	json_t	   *theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES |
									JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);

	if (fault != JSON_FAULT_DEPTH && !keeps_numbers(ours) && memchr(text, '\0', size) == NULL &&
		((ours == NULL) != (theirs == NULL) ||
		 (ours != NULL && !json_equal(ours, theirs))))
		abort();
	json_decref(ours);
	json_decref(theirs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JsonRpcMessage msg;
	Buf			out;
	JsonFault	fault;
	json_t	   *answer;

	compare_with_jansson((const char *) data, size);
	buf_init(&out);
	jsonrpc_parse((const char *) data, size, &msg);
	jsonrpc_error(&out, msg.id, -32600, "x");
	answer = json_util_load(buf_cstr(&out), out.len, &fault);
	if (answer == NULL ||
		(msg.id != NULL && !json_equal(json_object_get(answer, "id"), msg.id)))
		abort();
	json_decref(answer);
	jsonrpc_clear(&msg);
	buf_free(&out);
	return 0;
}
