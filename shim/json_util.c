/*
 * json_util.c
 *		The only way for untrusted bytes to become a JSON value.
 *
 * jansson recurses once per level, so nesting is counted in a flat scan before
 * it sees the text.
 */
#include "json_util.h"

#include <string.h>

/* The deepest nesting of brackets outside strings; never recurses. */
static size_t
nesting_of(const char *text, size_t len)
{
	size_t		depth = 0;
	size_t		deepest = 0;
	bool		in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		char		c = text[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
		{
			if (++depth > deepest)
				deepest = depth;
		}
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return deepest;
}

json_t *
json_util_load(const char *text, size_t len, JsonFault *fault)
{
	json_error_t error;
	json_t	   *value;

	*fault = JSON_FAULT_NONE;
	/* jansson takes a NUL byte for the end, and no JSON has one */
	if (memchr(text, '\0', len) != NULL)
	{
		*fault = JSON_FAULT_SYNTAX;
		return NULL;
	}
	if (nesting_of(text, len) > JSON_UTIL_MAX_DEPTH)
	{
		*fault = JSON_FAULT_DEPTH;
		return NULL;
	}

	/* \u0000 in a string is legal JSON: whoever uses the string refuses it */
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
					   JSON_DECODE_ANY, &error);
	if (value == NULL)
		*fault = json_error_code(&error) == json_error_out_of_memory ?
			JSON_FAULT_MEMORY : JSON_FAULT_SYNTAX;
	return value;
}

const char *
json_util_string(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value) ||
		strlen(json_string_value(value)) != json_string_length(value))
		return NULL;
	return json_string_value(value);
}

json_t *
json_util_object(const json_t *object, const char *key)
{
	json_t	   *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

static int
append_chunk(const char *chunk, size_t size, void *out)
{
	buf_append(out, chunk, size);
	return buf_ok(out) ? 0 : -1;
}

void
json_util_write(Buf *out, const json_t *value)
{
	if (json_dump_callback(value, append_chunk, out,
						   JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		out->failed = true;
}
