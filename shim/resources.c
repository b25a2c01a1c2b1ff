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

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "warden://"
#define CURSOR "after:"
#define PAGE_SIZE 100
#define PAGE_SIZE_AND_ONE "101"
#define MAX_NAME 256

/* ------------------------------------------------------------------------
 * URIs
 * ------------------------------------------------------------------------
 */

static void
put_encoded(Buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL))
			buf_putc(out, (char) c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

/* The byte that two hex digits stand for; 0 for anything else, and for NUL. */
static char
decode_escape(const char *at)
{
	const char	digits[3] = {at[0], at[0] != '\0' ? at[1] : '\0', '\0'};

	if (strspn(digits, "0123456789ABCDEFabcdef") != 2)
		return '\0';
	return (char) strtol(digits, NULL, 16);
}

/*
 * One segment of a path, which ends at a slash or with it.  What follows, or
 * NULL when it is no valid name.
 */
static const char *
decode_segment(const char *from, char name[MAX_NAME])
{
	size_t		n = 0;
	size_t		seq;

	for (; *from != '\0' && *from != '/' && n + 1 < MAX_NAME; from++)
	{
		name[n] = *from;
		if (*from == '%')
		{
			name[n] = decode_escape(from + 1);
			if (name[n] == '\0')
				return NULL;
			from += 2;
		}
		n++;
	}
	name[n] = '\0';
	for (size_t i = 0; i < n; i += seq)
	{
		seq = buf_utf8_len((unsigned char *) name + i, n - i);
		if (seq == 0)
			return NULL;
	}
	return n > 0 && (*from == '\0' || *from == '/') ? from : NULL;
}

/* One segment or two; how many, 0 for anything else. */
static int
decode_path(const char *from, char names[2][MAX_NAME])
{
	int			segments = 1;

	names[1][0] = '\0';
	from = decode_segment(from, names[0]);
	if (from != NULL && *from == '/')
	{
		segments = 2;
		from = decode_segment(from + 1, names[1]);
	}
	return from != NULL && *from == '\0' ? segments : 0;
}

/* ------------------------------------------------------------------------
 * resources/list
 * ------------------------------------------------------------------------
 */

/* "customers" or "shop/customers", encoded */
static void
put_path(Buf *out, const DbOutcome *page, int row)
{
	size_t		len = 0;
	const char *cell = db_cell(page, row, 0, &len);

	put_encoded(out, cell, len);
	cell = db_cell(page, row, 1, &len);
	if (len > 0)
		buf_putc(out, '/');
	put_encoded(out, cell, len);
}

static void
put_resource(Buf *out, const DbOutcome *page, int row)
{
	size_t		len = 0;
	const char *schema = db_cell(page, row, 0, &len);
	const char *name = db_cell(page, row, 1, &len);
	const char *comment = db_cell(page, row, 2, &len);

	json_util_put(out, "{'uri':'" SCHEME);
	buf_puts(out, *name != '\0' ? "table/" : "schema/");
	put_path(out, page, row);
	buf_putc(out, '"');
	json_util_put(out, ",'name':'%s%s%s'", schema, *name != '\0' ? "." : "",
				  name);
	if (comment != NULL)
		json_util_put(out, ",'description':'%s'", comment);
	json_util_put(out, ",'mimeType':'application/json'}");
}

/* An agent's own limit of rows may be less than a page. */
static void
answer_page(McpCall *call, const DbOutcome *page)
{
	int			rows = db_rows(page) < PAGE_SIZE ? db_rows(page) : PAGE_SIZE;

	mcp_result_begin(call);
	mcp_put(call, "'resources':[");
	for (int row = 0; row < rows; row++)
	{
		buf_puts(&call->out, row > 0 ? "," : "");
		put_resource(&call->out, page, row);
	}
	buf_putc(&call->out, ']');
	if (db_rows(page) > PAGE_SIZE || page->truncated)
	{
		buf_puts(&call->out, ",\"nextCursor\":\"" CURSOR);
		put_path(&call->out, page, rows - 1);
		buf_putc(&call->out, '"');
	}
	mcp_cache_hint(call);
	mcp_result_end(call);
}

/*
 * Cursors hold the path, encoded, that the next page starts after, behind what
 * tells them from any other text.
 */
void
resources_list(McpCall *call)
{
	const char *cursor = NULL;
	char		names[2][MAX_NAME] = {"", ""};
	const char *params[3] = {names[0], names[1], PAGE_SIZE_AND_ONE};
	ToolsRun	run = {.steps = {{SQL_LIST_RESOURCES, 3, params, false}}};
	DbOutcome	page;

	if (json_object_get(call->msg.params, "cursor") != NULL &&
		(cursor = mcp_text_param(call, "cursor")) == NULL)
		return;
	if (cursor != NULL &&
		(strncmp(cursor, CURSOR, strlen(CURSOR)) != 0 ||
		 decode_path(cursor + strlen(CURSOR), names) == 0))
	{
		mcp_invalid_params(call, "unknown cursor");
		return;
	}
	if (tools_fetch(call, &run, &page))
		answer_page(call, &page);
	db_outcome_free(&page);
}

void
resources_templates(McpCall *call)
{
	if (mcp_refuse_cursor(call))
		return;
	mcp_result_begin(call);
	mcp_put(call, "'resourceTemplates':["
			"{'uriTemplate':'" SCHEME "schema/{schema}','name':'schema',"
			"'title':'Schema','description':'The objects of a schema',"
			"'mimeType':'application/json'},"
			"{'uriTemplate':'" SCHEME "table/{schema}/{table}','name':'table',"
			"'title':'Table','description':"
			"'Columns, types and semantic types of a table',"
			"'mimeType':'application/json'},"
			"{'uriTemplate':'" SCHEME "change/{change_id}','name':'change',"
			"'title':'Change','description':"
			"'One of your changes with its reviews',"
			"'mimeType':'application/json'}]");
	mcp_cache_hint(call);
	mcp_result_end(call);
}

/* ------------------------------------------------------------------------
 * resources/read
 * ------------------------------------------------------------------------
 */

/* What is read for each kind of URI, and how many segments name it. */
static const struct
{
	const char *prefix;
	const char *sql;
	int			segments;
}			readable[] = {
	{SCHEME "table/", SQL_READ_TABLE, 2},
	{SCHEME "schema/", SQL_READ_SCHEMA, 1},
	{SCHEME "change/", SQL_GET_CHANGE, 1},
};

/* Fills the step's statement and parameters; false if nothing has that URI. */
static bool
parse_uri(const char *uri, DbStep *step, char names[2][MAX_NAME])
{
	for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
	{
		size_t		n = strlen(readable[i].prefix);

		if (strncmp(uri, readable[i].prefix, n) != 0)
			continue;
		step->sql = readable[i].sql;
		step->param_count = readable[i].segments;
		if (strcmp(step->sql, SQL_GET_CHANGE) == 0 &&
			tools_parse_id(uri + n) == 0)
			return false;
		return decode_path(uri + n, names) == readable[i].segments;
	}
	return false;
}

/* One JSON document as the text of the resource; none is "not found". */
static void
answer_document(McpCall *call, const char *uri, const DbOutcome *outcome)
{
	size_t		len;
	const char *text = db_rows(outcome) > 0 ?
		db_cell(outcome, 0, 0, &len) : NULL;

	if (text == NULL)
	{
		mcp_not_found(call, uri);
		return;
	}
	mcp_result_begin(call);
	mcp_put(call, "'contents':[{'uri':'%s','mimeType':'application/json',"
			"'text':'%s'}]", uri, text);
	mcp_cache_hint(call);
	mcp_result_end(call);
}

void
resources_read(McpCall *call)
{
	const char *uri = mcp_text_param(call, "uri");
	char		names[2][MAX_NAME];
	const char *params[2] = {names[0], names[1]};
	ToolsRun	run = {.steps = {{NULL, 0, params, false}}};
	DbOutcome	outcome;

	if (uri == NULL)
		return;
	if (!parse_uri(uri, &run.steps[0], names))
	{
		mcp_not_found(call, uri);
		return;
	}
	if (tools_fetch(call, &run, &outcome))
		answer_document(call, uri, &outcome);
	db_outcome_free(&outcome);
}

/* ------------------------------------------------------------------------
 * completion/complete
 * ------------------------------------------------------------------------
 */

/* Schemas and tables are known; of anything else there is nothing to say. */
void
resources_complete(McpCall *call)
{
	const char *typed;
	const char *argument = mcp_completion_of(call, &typed);
	const char *values[PAGE_SIZE + 1];
	size_t		count = 0;
	const char *params[2] = {typed, PAGE_SIZE_AND_ONE};
	ToolsRun	run = {.steps = {{NULL, 2, params, false}}};
	DbOutcome	names;
	size_t		len;

	if (argument == NULL)
		return;
	if (strcmp(argument, "schema") == 0)
		run.steps[0].sql = SQL_COMPLETE_SCHEMA;
	else if (strcmp(argument, "table") == 0)
		run.steps[0].sql = SQL_COMPLETE_TABLE;
	else
	{
		mcp_completion(call, NULL, 0, false);
		return;
	}
	if (tools_fetch(call, &run, &names))
	{
		while ((int) count < db_rows(&names) && count <= PAGE_SIZE)
		{
			values[count] = db_cell(&names, (int) count, 0, &len);
			count++;
		}
		mcp_completion(call, values, count, names.truncated);
	}
	db_outcome_free(&names);
}
