/*
 * json_util.c
 *		Typed getters, and writing.
 */
#include "json_util.h"

#include <string.h>

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
