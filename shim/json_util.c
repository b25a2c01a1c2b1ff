/*
 * json_util.c
 *		The only way for untrusted bytes to become a JSON value.
 *
 * jansson recurses once per level and allocates for every value, so both are
 * counted in a flat scan before it sees the text.
 */
#include "json_util.h"

#include <stdint.h>
#include <string.h>

typedef struct Extent
{
	size_t		depth;			/* deepest nesting of brackets */
	size_t		values;			/* see JSON_UTIL_COLLECTION */
} Extent;

/* What stands outside strings; never recurses. */
static Extent
measure(const char *text, size_t len)
{
	Extent		extent = {0, 1};
	size_t		depth = 0;
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
			extent.values += JSON_UTIL_COLLECTION;
			if (++depth > extent.depth)
				extent.depth = depth;
		}
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		else if (c == ',')
			extent.values++;
	}
	return extent;
}

static JsonFault
look_over(const char *text, size_t len, size_t max_values)
{
	Extent		extent;

	/* jansson takes a NUL byte for the end, and no JSON has one */
	if (memchr(text, '\0', len) != NULL)
		return JSON_FAULT_SYNTAX;
	extent = measure(text, len);
	if (extent.depth > JSON_UTIL_MAX_DEPTH)
		return JSON_FAULT_DEPTH;
	return extent.values > max_values ? JSON_FAULT_SIZE : JSON_FAULT_NONE;
}

json_t *
json_util_load_message(const char *text, size_t len, size_t max_values,
					   JsonFault *fault)
{
	json_error_t error;
	json_t	   *value;

	*fault = look_over(text, len, max_values);
	if (*fault != JSON_FAULT_NONE)
		return NULL;

	/* \u0000 in a string is legal JSON: whoever uses the string refuses it */
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
					   JSON_DECODE_ANY, &error);
	if (value == NULL)
		*fault = json_error_code(&error) == json_error_out_of_memory ?
			JSON_FAULT_MEMORY : JSON_FAULT_SYNTAX;
	return value;
}

json_t *
json_util_load(const char *text, size_t len, JsonFault *fault)
{
	return json_util_load_message(text, len, SIZE_MAX, fault);
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
