/*
 * mirrors.c
 *		Mcp-Param- headers, which mirror arguments of tools whose schemas say so.
 *		None of the product's do.  Included by the tests that have such tools.
 */
#include "http_internal.h"
#include "mcp_internal.h"

#include <string.h>

/* An argument that a header mirrors. */
typedef struct Mirror
{
	const char *header;			/* "Mcp-Param-Region" */
	const char *argument;
} Mirror;

/*
 * An argument as the header that mirrors it must read, NULL for none.  A string
 * may hold a NUL, so its length is said.
 */
static const char *
mirrored_text(const json_t *value, char digits[24], size_t *len)
{
	const char *text = digits;

	if (json_is_string(value))
	{
		*len = json_string_length(value);
		return json_string_value(value);
	}
	if (json_is_boolean(value))
		text = json_is_true(value) ? "true" : "false";
	else if (json_is_integer(value))
		snprintf(digits, 24, "%lld", (long long) json_integer_value(value));
	else
		return NULL;
	*len = strlen(text);
	return text;
}

/* For handlers of calls over HTTP: false, with the answer given, if not. */
static bool
mirrors_match(McpCall *call, const json_t *arguments, const Mirror *mirror)
{
	for (; call->era == MCP_MODERN && mirror->header != NULL; mirror++)
	{
		char		digits[24];
		size_t		len = 0;
		const char *text = mirrored_text(json_object_get(arguments,
														 mirror->argument),
										 digits, &len);
		const char *header = http_header((HttpCall *) call, mirror->header);

		if (text == NULL && header == NULL)
			continue;
		if (!mcp_check_header(call, text != NULL ? header : NULL,
							  text != NULL ? text : "", len, mirror->header))
			return false;
	}
	return true;
}
