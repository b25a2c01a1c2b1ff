/* unit_json_util.c: what untrusted JSON may be */
#include "unit.h"

#include "json_util.h"

#include <stdlib.h>

static JsonFault
fault_of(const char *text, size_t len)
{
	JsonFault	fault;
	json_t	   *value = json_util_load(text, len, &fault);

	json_decref(value);
	return value != NULL ? JSON_FAULT_NONE : fault;
}

static JsonFault
fault_of_nesting(size_t depth)
{
	char	   *text = malloc(2 * depth);
	JsonFault	fault;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	fault = fault_of(text, 2 * depth);
	free(text);
	return fault;
}

static void
test_load(void)
{
	CHECK(fault_of("{\"a\":[1,2.5,null,\"x\"]}", 22) == JSON_FAULT_NONE);
	CHECK(fault_of("{\"a\":1,\"a\":2}", 13) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("{\"a\":1} x", 9) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("", 0) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("\"\xff\"", 3) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("\"\\ud800\"", 8) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("\"\\u0000\"", 8) == JSON_FAULT_NONE);
	CHECK(fault_of("\"a\0b\"", 5) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("{}\0x", 4) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("1e999", 5) == JSON_FAULT_NONE);
	CHECK(fault_of("99999999999999999999", 20) == JSON_FAULT_NONE);
	CHECK(fault_of("[1,]", 4) == JSON_FAULT_SYNTAX);
	CHECK(fault_of("NaN", 3) == JSON_FAULT_SYNTAX);
}

static void
test_depth(void)
{
	CHECK(fault_of_nesting(JSON_UTIL_MAX_DEPTH) == JSON_FAULT_NONE);
	CHECK(fault_of_nesting(JSON_UTIL_MAX_DEPTH + 1) == JSON_FAULT_DEPTH);
	CHECK(fault_of_nesting(10000) == JSON_FAULT_DEPTH);
	CHECK(fault_of("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
				   "[[[[[[[[[[[[[[[[\"", 74) == JSON_FAULT_NONE);
	CHECK(fault_of("\"\\\"[\"", 5) == JSON_FAULT_NONE);
}

static JsonFault
fault_within(const char *text, size_t max_values)
{
	JsonFault	fault;
	json_t	   *value = json_util_load_message(text, strlen(text), max_values,
											   &fault);

	json_decref(value);
	return value != NULL ? JSON_FAULT_NONE : fault;
}

static void
test_size(void)
{
	CHECK(fault_within("[1,2,\"x\"]", JSON_UTIL_COLLECTION + 3) ==
		  JSON_FAULT_NONE);
	CHECK(fault_within("[1,2,\"x\"]", JSON_UTIL_COLLECTION + 2) ==
		  JSON_FAULT_SIZE);
	CHECK(fault_within("{\"a\":{}}", 2 * JSON_UTIL_COLLECTION + 1) ==
		  JSON_FAULT_NONE);
	CHECK(fault_within("{\"a\":{}}", 2 * JSON_UTIL_COLLECTION) ==
		  JSON_FAULT_SIZE);
	CHECK(fault_within("\"[,[,\\\",[\"", 1) == JSON_FAULT_NONE);
}

static void
test_getters(void)
{
	JsonFault	fault;
	const char *text = "{\"s\":\"x\",\"n\":1,\"z\":\"a\\u0000b\",\"o\":{}}";
	json_t	   *value = json_util_load(text, strlen(text), &fault);
	Buf			out;

	CHECK_TEXT(json_util_string(value, "s"), "x");
	CHECK(json_util_string(value, "n") == NULL);
	CHECK(json_util_string(value, "z") == NULL);
	CHECK(json_util_string(value, "absent") == NULL);
	CHECK(json_util_object(value, "o") != NULL);
	CHECK(json_util_object(value, "s") == NULL);
	CHECK(json_util_object(NULL, "s") == NULL);
	buf_init(&out);
	json_util_write(&out, value);
	CHECK_TEXT(buf_cstr(&out), text);
	buf_free(&out);
	json_decref(value);
}

/*
 * What is read is written in as few digits as say the same, or as it was where
 * nothing holds it.
 */
static void
test_write(void)
{
	static const char *const texts[] = {
		"[0.1,19.99,-2.5,1e-07,1.7976931348623157e+308,2.2250738585072014e-308]",
		"[0.30000000000000004,9007199254740993,-9223372036854775808]",
		"[9223372036854775808,-123456789012345678901234567890,1e400,-1E-400]",
		"{\"id\":0.12345678901234567890,\"a\":1234567890.1234567}",
		"{\"b\":{\"a\":[true,false,null,\"\\u0001\\u0000\\\\\xe2\x82\xac\"]},\"a\":[]}",
	};
	JsonFault	fault;
	Buf			out;

	buf_init(&out);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		json_t	   *value = json_util_load(texts[i], strlen(texts[i]), &fault);

		buf_reset(&out);
		json_util_write(&out, value);
		CHECK_TEXT(buf_cstr(&out), texts[i]);
		json_decref(value);
	}
	buf_free(&out);
}

static void
test_sorted(void)
{
	static const char text[] = "{\"b\":[{\"d\":1e400,\"c\":2}],\"a\":\"x\",\"\":null}";
	JsonFault	fault;
	json_t	   *value = json_util_load(text, sizeof(text) - 1, &fault);
	Buf			out;

	buf_init(&out);
	json_util_write_sorted(&out, value);
	CHECK_TEXT(buf_cstr(&out),
			   "{\"\":null,\"a\":\"x\",\"b\":[{\"c\":2,\"d\":1e400}]}");
	buf_free(&out);
	json_decref(value);
}

static void
test_numbers(void)
{
	static const char text[] = "[1e400,\"\\u0000\",\"1\",1,0.000123456789012345]";
	JsonFault	fault;
	json_t	   *value = json_util_load(text, sizeof(text) - 1, &fault);

	CHECK_TEXT(json_util_number(json_array_get(value, 0)), "1e400");
	for (size_t i = 1; i < 5; i++)
		CHECK(json_util_number(json_array_get(value, i)) == NULL);
	CHECK(!json_util_is_text(json_array_get(value, 0)));
	CHECK(json_util_is_text(json_array_get(value, 1)));
	CHECK(json_util_is_text(json_array_get(value, 2)));
	CHECK(json_is_real(json_array_get(value, 4)));
	json_decref(value);
}

static void
test_templates(void)
{
	json_t	   *list = json_pack("[i,s]", 7, "it's");
	Buf			b;

	buf_init(&b);
	json_util_put(&b, "{'a':'%s/%d','b':%s,'c':%p,'d':%lld,'e':%ld}", "x\"\n'",
				  -3, "[true]", list, 1LL << 40, 5L);
	CHECK_TEXT(buf_cstr(&b), "{\"a\":\"x\\\"\\n'/-3\",\"b\":[true],"
			   "\"c\":[7,\"it's\"],\"d\":1099511627776,\"e\":5}");
	buf_reset(&b);
	json_util_text(&b, "a\n'%s' of %d\"", "\xff\\", 2);
	CHECK_TEXT(buf_cstr(&b), "a\\n'\xef\xbf\xbd\\\\' of 2\\\"");
	buf_reset(&b);
	json_util_put(&b, "%p", (json_t *) NULL);
	CHECK(!buf_ok(&b));
	buf_reset(&b);
	json_util_put(&b, "%u", 1u);
	CHECK(!buf_ok(&b));
	buf_free(&b);
	json_decref(list);
}

int
main(void)
{
	test_templates();
	test_load();
	test_depth();
	test_size();
	test_getters();
	test_write();
	test_numbers();
	test_sorted();
	UNIT_EXIT();
}
