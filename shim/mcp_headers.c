/*
 * mcp_headers.c
 *		Headers of the modern era, which mirror what the body says.
 */
#include "mcp_internal.h"

#include "json_util.h"

#include <string.h>

/* The header's value, trimmed, and decoded from =?base64?...?= */
static bool
header_equals(const char *header, const char *body, size_t body_len)
{
	size_t		n;
	Buf			value;
	bool		ok;

	header += strspn(header, " \t");
	n = strlen(header);
	while (n > 0 && (header[n - 1] == ' ' || header[n - 1] == '\t'))
		n--;
	if (n < 11 || strncmp(header, "=?base64?", 9) != 0 ||
		strncmp(header + n - 2, "?=", 2) != 0)
		return n == body_len && memcmp(header, body, n) == 0;
	buf_init(&value);
	ok = buf_base64(&value, header + 9, n - 11, false) &&
		value.len == body_len && memcmp(buf_cstr(&value), body, body_len) == 0;
	buf_free(&value);
	return ok;
}

bool
mcp_check_header(McpCall *call, const char *header, const char *body,
				 size_t body_len, const char *name)
{
	if (header != NULL && header_equals(header, body, body_len))
		return true;
	return mcp_error_put(call, MCP_HEADER_MISMATCH, "'Header mismatch: %s %s'",
						 name, header == NULL ? "is missing" :
						 "does not match the body");
}

/* Mcp-Name mirrors params.name, params.uri or params.taskId. */
bool
mcp_check_name_header(McpCall *call, const McpHeaders *headers)
{
	const McpMethod *method = call->method;
	const json_t *value;

	if (method == NULL || method->name_param == NULL)
		return true;
	value = json_object_get(call->msg.params, method->name_param);
	if (!json_util_is_text(value))
		return true;			/* the handler says what is wrong with it */
	return mcp_check_header(call, headers->name, json_string_value(value),
							json_string_length(value), "Mcp-Name");
}
