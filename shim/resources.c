/*
 * resources.c
 *		Schemas, tables and changes as warden:// resources, and completion.
 *
 *			warden://schema/{schema}
 *			warden://table/{schema}/{table}
 *			warden://change/{change_id}
 *
 * Names are percent-encoded in URIs.  What exists is what the agent may use.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "warden://"
#define PAGE_SIZE 100
#define COMPLETIONS 101
#define MAX_NAME 256

const char	resources_templates[] =
"[{\"uriTemplate\":\"" SCHEME "schema/{schema}\",\"name\":\"schema\","
"\"title\":\"Schema\",\"description\":\"The objects of a schema\","
"\"mimeType\":\"application/json\"},"
"{\"uriTemplate\":\"" SCHEME "table/{schema}/{table}\",\"name\":\"table\","
"\"title\":\"Table\",\"description\":\"Columns, types and semantic types of a table\","
"\"mimeType\":\"application/json\"},"
"{\"uriTemplate\":\"" SCHEME "change/{change_id}\",\"name\":\"change\","
"\"title\":\"Change\",\"description\":\"One of your changes with its reviews\","
"\"mimeType\":\"application/json\"}]";

/* ------------------------------------------------------------------------
 * URIs
 * ------------------------------------------------------------------------
 */

static void
put_encoded(Buf *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c) != NULL))
			buf_putc(out, (char) c);
		else
		{
			char		escape[3] = {'%', hex[c >> 4], hex[c & 15]};

			buf_append(out, escape, 3);
		}
	}
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* One path segment up to `end`; false when it is no valid name. */
static bool
decode_segment(const char *from, const char *end, char *name)
{
	size_t		n = 0;

	while (from < end && n + 1 < MAX_NAME)
	{
		int			c = (unsigned char) *from++;

		if (c == '%')
		{
			int			high = from < end ? hex_digit(from[0]) : -1;
			int			low = from + 1 < end ? hex_digit(from[1]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return false;
			c = high * 16 + low;
			from += 2;
		}
		name[n++] = (char) c;
	}
	name[n] = '\0';
	for (size_t i = 0; i < n;)
	{
		size_t		seq = buf_utf8_len((unsigned char *) name + i, n - i);

		if (seq == 0)
			return false;
		i += seq;
	}
	return n > 0 && from == end;
}

/* ------------------------------------------------------------------------
 * resources/list
 * ------------------------------------------------------------------------
 */

/* Cursors are the encoded URI path that the next page starts after. */
static void
put_resource(Buf *out, const DbOutcome *page, int row)
{
	size_t		schema_len = 0;
	size_t		name_len = 0;
	size_t		len = 0;
	const char *schema = db_cell(page, row, 0, &schema_len);
	const char *name = db_cell(page, row, 1, &name_len);
	const char *comment = db_cell(page, row, 2, &len);
	Buf			title;

	buf_init(&title);
	buf_append(&title, schema, schema_len);
	buf_puts(out, "{\"uri\":\"" SCHEME);
	buf_puts(out, name_len > 0 ? "table/" : "schema/");
	put_encoded(out, schema, schema_len);
	if (name_len > 0)
	{
		buf_putc(out, '/');
		put_encoded(out, name, name_len);
		buf_putc(&title, '.');
		buf_append(&title, name, name_len);
	}
	buf_puts(out, "\",\"name\":");
	buf_json_string(out, buf_cstr(&title), title.len);
	if (comment != NULL)
	{
		buf_puts(out, ",\"description\":");
		buf_json_string(out, comment, len);
	}
	buf_puts(out, ",\"mimeType\":\"application/json\"}");
	buf_free(&title);
}

/* "schema/table" of the last row, encoded: both parts are needed to go on. */
static void
put_cursor(McpCall *call, const DbOutcome *page, int row)
{
	size_t		len = 0;
	const char *cell = db_cell(page, row, 0, &len);

	mcp_member(call, "nextCursor");
	buf_putc(&call->out, '"');
	put_encoded(&call->out, cell, len);
	buf_putc(&call->out, '/');
	cell = db_cell(page, row, 1, &len);
	put_encoded(&call->out, cell, len);
	buf_putc(&call->out, '"');
}

static bool
read_cursor(const char *cursor, char *schema, char *name)
{
	const char *slash = cursor != NULL ? strchr(cursor, '/') : NULL;

	schema[0] = name[0] = '\0';
	if (cursor == NULL)
		return true;
	if (slash == NULL || !decode_segment(cursor, slash, schema))
		return false;
	return slash[1] == '\0' ||
		decode_segment(slash + 1, slash + strlen(slash), name);
}

static void
answer_page(McpCall *call, const DbOutcome *page)
{
	int			rows = db_rows(page) < PAGE_SIZE ? db_rows(page) : PAGE_SIZE;

	mcp_result_begin(call);
	mcp_member(call, "resources");
	buf_putc(&call->out, '[');
	for (int row = 0; row < rows; row++)
	{
		if (row > 0)
			buf_putc(&call->out, ',');
		put_resource(&call->out, page, row);
	}
	buf_putc(&call->out, ']');
	if (db_rows(page) > PAGE_SIZE)
		put_cursor(call, page, rows - 1);
	mcp_cache_hint(call);
	mcp_result_end(call);
}

void
resources_list(McpCall *call, const char *cursor)
{
	char		schema[MAX_NAME];
	char		name[MAX_NAME];
	char		limit[16];
	const char *params[3] = {schema, name, limit};
	DbStep		step = {SQL_LIST_RESOURCES, 3, params, false};
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	page;

	snprintf(limit, sizeof(limit), "%d", PAGE_SIZE + 1);
	if (!read_cursor(cursor, schema, name))
	{
		mcp_error(call, JSONRPC_INVALID_PARAMS, "Invalid params: unknown cursor",
				  NULL);
		return;
	}
	if (tools_fetch(call, &run, &page))
		answer_page(call, &page);
	db_outcome_free(&page);
}

/* ------------------------------------------------------------------------
 * resources/read
 * ------------------------------------------------------------------------
 */

/* One JSON document as the text of the resource; none is "not found". */
static void
answer_document(McpCall *call, const char *uri, const DbOutcome *outcome)
{
	size_t		len = 0;
	const char *text = tools_cell(outcome, &len);

	if (text == NULL)
	{
		mcp_not_found(call, "Resource not found");
		return;
	}
	mcp_result_begin(call);
	mcp_member(call, "contents");
	buf_puts(&call->out, "[{\"uri\":");
	buf_json_cstr(&call->out, uri);
	buf_puts(&call->out, ",\"mimeType\":\"application/json\",\"text\":");
	buf_json_string(&call->out, text, len);
	buf_puts(&call->out, "}]");
	mcp_cache_hint(call);
	mcp_result_end(call);
}

static void
read_by(McpCall *call, const char *uri, const DbStep *step)
{
	ToolsRun	run = {step, 1, NULL, 0, false};
	DbOutcome	outcome;

	if (tools_fetch(call, &run, &outcome))
		answer_document(call, uri, &outcome);
	db_outcome_free(&outcome);
}

static bool
has_prefix(const char *text, const char *prefix, const char **rest)
{
	size_t		n = strlen(prefix);

	*rest = text + n;
	return strncmp(text, prefix, n) == 0;
}

static void
read_table(McpCall *call, const char *uri, const char *path)
{
	const char *slash = strchr(path, '/');
	char		schema[MAX_NAME];
	char		table[MAX_NAME];
	const char *params[2] = {schema, table};
	DbStep		step = {SQL_READ_TABLE, 2, params, false};

	if (slash == NULL || !decode_segment(path, slash, schema) ||
		!decode_segment(slash + 1, slash + strlen(slash), table))
		mcp_not_found(call, "Resource not found");
	else
		read_by(call, uri, &step);
}

static void
read_schema(McpCall *call, const char *uri, const char *path)
{
	char		schema[MAX_NAME];
	const char *params[1] = {schema};
	DbStep		step = {SQL_READ_SCHEMA, 1, params, false};

	if (!decode_segment(path, path + strlen(path), schema))
		mcp_not_found(call, "Resource not found");
	else
		read_by(call, uri, &step);
}

static void
read_change(McpCall *call, const char *uri, const char *path)
{
	ToolsChangeStep get;

	if (*path == '\0' || strlen(path) > 18 ||
		path[strspn(path, "0123456789")] != '\0')
	{
		mcp_not_found(call, "Resource not found");
		return;
	}
	tools_change_step(&get, strtoll(path, NULL, 10));
	read_by(call, uri, &get.step);
}

void
resources_read(McpCall *call, const char *uri)
{
	const char *path;

	if (has_prefix(uri, SCHEME "table/", &path))
		read_table(call, uri, path);
	else if (has_prefix(uri, SCHEME "schema/", &path))
		read_schema(call, uri, path);
	else if (has_prefix(uri, SCHEME "change/", &path))
		read_change(call, uri, path);
	else
		mcp_not_found(call, "Resource not found");
}

/* ------------------------------------------------------------------------
 * completion/complete
 * ------------------------------------------------------------------------
 */

static void
answer_names(McpCall *call, const DbOutcome *names)
{
	const char *values[COMPLETIONS];
	size_t		count = 0;

	for (int row = 0; row < db_rows(names) && count < COMPLETIONS; row++)
	{
		size_t		len;
		const char *name = db_cell(names, row, 0, &len);

		if (name != NULL)
			values[count++] = name;
	}
	mcp_completion(call, values, count);
}

/* Schemas and tables are known; of anything else there is nothing to say. */
void
resources_complete(McpCall *call, const McpReference *ref)
{
	char		limit[16];
	const char *params[2] = {ref->value, limit};
	DbStep		step = {NULL, 2, params, false};
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	names;

	snprintf(limit, sizeof(limit), "%d", COMPLETIONS);
	if (strcmp(ref->argument, "schema") == 0)
		step.sql = SQL_COMPLETE_SCHEMA;
	else if (strcmp(ref->argument, "table") == 0)
		step.sql = SQL_COMPLETE_TABLE;
	else
	{
		mcp_completion(call, NULL, 0);
		return;
	}
	if (tools_fetch(call, &run, &names))
		answer_names(call, &names);
	db_outcome_free(&names);
}
