/*
 * tools_read.c
 *		Handlers that read: query (which may turn out to be a write), explain,
 *		search_objects and whoami.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define SEARCH_LIMIT 200
#define SEARCH_LIMIT_AND_ONE "201"

/* ------------------------------------------------------------------------
 * query
 * ------------------------------------------------------------------------
 */

typedef struct QueryParams
{
	int			count;
	const char **values;
	Buf			texts;			/* of those that are no strings, NUL-ended */
} QueryParams;

static bool
is_written(const json_t *param)
{
	return !json_util_is_text(param) && !json_is_null(param);
}

/*
 * As PostgreSQL's input functions expect them: strings are borrowed, anything
 * else is JSON.  False where a text can not be had, or sent.
 */
static bool
fill_params(const json_t *list, QueryParams *params)
{
	const char *at;
	size_t		i;
	json_t	   *value;

	if (list == NULL)
		return true;
	params->count = (int) json_array_size(list);
	params->values = calloc((size_t) params->count + 1, sizeof(char *));
	if (params->values == NULL)
		return false;
	json_array_foreach(list, i, value)
	{
		params->values[i] = json_string_value(value);
		if (json_util_is_text(value) &&
			strlen(params->values[i]) != json_string_length(value))
			return false;
		if (is_written(value))
		{
			json_util_write(&params->texts, value);
			buf_putc(&params->texts, '\0');
		}
	}
	if (!buf_ok(&params->texts))
		return false;
	at = buf_cstr(&params->texts);
	json_array_foreach(list, i, value)
	{
		if (is_written(value))
		{
			params->values[i] = at;
			at += strlen(at) + 1;
		}
	}
	return true;
}

/*
 * Names of types that are not built in are asked for from time to time, as the
 * agent, in a call of their own.
 */
static void
learn_types(McpCall *call, const char *database, const DbOutcome *outcome)
{
	DbPool	   *pool = tools_context(call)->pool;
	DbOutcome	types;
	Buf			oids;
	const char *params[1];
	ToolsRun	run = {
		.steps = {{SQL_TYPE_NAMES, 1, params, false}},.database = database
	};

	buf_init(&oids);
	for (int i = 0; i < db_columns(outcome); i++)
		if (!db_knows_type(pool, database, db_column_type(outcome, i)))
			buf_printf(&oids, "%c%u", oids.len > 0 ? ',' : '{',
					   db_column_type(outcome, i));
	if (oids.len == 0)
		return;
	buf_putc(&oids, '}');
	params[0] = buf_cstr(&oids);
	if (tools_run(call, &run, &types))
	{
		for (int row = 0; row < db_rows(&types); row++)
		{
			size_t		len;
			const char *oid = db_cell(&types, row, 0, &len);
			const char *name = db_cell(&types, row, 1, &len);

			if (oid != NULL && name != NULL)
				db_learn_type(pool, database, (unsigned) strtoul(oid, NULL, 10),
							  name);
		}
	}
	db_outcome_free(&types);
	buf_free(&oids);
}

static void
put_columns(McpCall *call, const char *database, const DbOutcome *outcome)
{
	DbPool	   *pool = tools_context(call)->pool;
	Buf		   *out = &call->out;

	buf_puts(out, ",\"columns\":[");
	for (int i = 0; i < db_columns(outcome); i++)
	{
		unsigned	type = db_column_type(outcome, i);
		const char *name = db_type_name(pool, database, type);

		buf_puts(out, i > 0 ? ",{\"name\":" : "{\"name\":");
		buf_json_cstr(out, db_column_name(outcome, i));
		buf_puts(out, ",\"type\":");
		if (name != NULL)
			buf_json_cstr(out, name);
		else
			buf_printf(out, "\"%u\"", type);
		if (db_column_in(outcome->masked, i))
			buf_puts(out, ",\"masked\":true");
		if (db_column_in(outcome->untrusted, i))
			buf_puts(out, ",\"untrusted\":true");
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/*
 * A table into out, objects into text.  False, with nothing written, where it
 * is neither, or would be too large.
 */
static bool
put_as_format(Buf *out, Buf *text, const Rows *rows, const char *format,
			  size_t max_bytes)
{
	if (strcmp(format, "json") == 0)
		return rows_put_objects(text, rows, max_bytes);
	if (strcmp(format, "csv") == 0 || !rows_put_table(out, rows, max_bytes))
		return false;
	json_util_text(out, rows->count == 1 ? "(%d row)" : "(%d rows)",
				   rows->count);
	return true;
}

/* What would be too large otherwise comes as CSV. */
static void
put_rows_text(Buf *out, const Rows *rows, const char *format, size_t max_bytes,
			  bool truncated)
{
	Buf			text;

	buf_init(&text);
	if (rows->columns == 0)
		json_util_text(out, "%s", db_command(rows->outcome));
	else if (!put_as_format(out, &text, rows, format, max_bytes))
		rows_put_csv(&text, rows);
	buf_json_chars(out, buf_cstr(&text), text.len);
	if (truncated)
		json_util_text(out, "\nThe result was cut here: there are more rows.");
	if (!buf_ok(&text))
		out->failed = true;
	buf_free(&text);
}

/*
 * A text of its own: nothing in a row can be taken for it, and whoever reads
 * the rows as CSV or JSON finds nothing else among them.
 */
static void
put_untrusted_note(Buf *out, const Rows *rows)
{
	const char *before = ",{\"type\":\"text\",\"text\":\""
		"Untrusted, outsiders write there: ";
	bool		any = false;

	for (int i = 0; i < rows->columns && rows->count > 0; i++)
	{
		if (!db_column_in(rows->outcome->untrusted, i))
			continue;
		buf_puts(out, any ? ", " : before);
		tools_put_lines(out, db_column_name(rows->outcome, i));
		any = true;
	}
	buf_puts(out, any ? "\"}" : "");
}

/*
 * The rows come before the text: how many fit decides what that shows.  Where
 * not even the first one does, there is nothing to go on from.
 */
static void
answer_rows(McpCall *call, const char *database, const char *format,
			const DbOutcome *outcome)
{
	static const DbError too_large = {"54000", "the first row is too large",
	NULL, "Select fewer columns, or parts of them by substr().", 0, NULL};
	size_t		max = (size_t) tools_context(call)->cf->max_result;
	Buf		   *out = &call->out;
	Rows		rows;
	bool		truncated;

	learn_types(call, database, outcome);
	call->http_status = 200;	/* whatever became of that */
	mcp_result_begin(call);
	if (!rows_open(&rows, outcome))
	{
		out->failed = true;
		return;
	}
	mcp_put(call, "'structuredContent':{'status':'ok'");
	put_columns(call, database, outcome);
	buf_puts(out, ",\"rows\":");
	rows_put_json(out, &rows, max);
	if (rows.count == 0 && db_rows(outcome) > 0 && buf_ok(out))
	{
		rows_close(&rows);
		tools_fail(call, &too_large);
		return;
	}
	truncated = outcome->truncated || rows.count < db_rows(outcome);
	buf_puts(out, ",\"row_count\":");
	buf_int(out, rows.columns > 0 ? rows.count : db_affected(outcome));
	buf_puts(out, truncated ? ",\"truncated\":true" : ",\"truncated\":false");
	if (rows.columns == 0)
		json_util_put(out, ",'command':'%s'", db_command(outcome));
	buf_puts(out, "},\"content\":[{\"type\":\"text\",\"text\":\"");
	put_rows_text(out, &rows, format, max, truncated);
	buf_puts(out, "\"}");
	put_untrusted_note(out, &rows);
	buf_puts(out, "],\"isError\":false");
	mcp_result_end(call);
	rows_close(&rows);
	call->outcome = MCP_OUTCOME_OK;
}

static void
run_query(McpCall *call, json_t *arguments, const QueryParams *params)
{
	const char *database = json_util_string(arguments, "database");
	ToolsRun	run = {
		.steps = {{json_util_string(arguments, "sql"), params->count,
		params->values, false}},
		.database = database,
		.max_rows = json_integer_value(json_object_get(arguments, "max_rows")),
		.replica = true
	};
	DbOutcome	outcome;

	if (tools_run(call, &run, &outcome))
	{
		if (outcome.change_id != 0)
			tools_pending(call, outcome.change_id, outcome.risk);
		else
			answer_rows(call, database,
						json_util_string_or(arguments, "format", "table"),
						&outcome);
	}
	db_outcome_free(&outcome);
}

void
tools_query(McpCall *call, json_t *arguments)
{
	QueryParams	params = {0};

	if (!tools_check(call, arguments) || tools_resume(call))
		return;
	if (fill_params(json_object_get(arguments, "params"), &params))
		run_query(call, arguments, &params);
	else
		tools_invalid(call, "a parameter can not be sent as text",
					  "PostgreSQL's text can not hold NUL characters.");
	buf_free(&params.texts);
	free(params.values);
}

/* ------------------------------------------------------------------------
 * explain
 * ------------------------------------------------------------------------
 */

/* The plan's lines, one per row. */
static void
put_plan(Buf *out, const DbOutcome *outcome)
{
	for (int row = 0; row < db_rows(outcome); row++)
	{
		size_t		len = 0;
		const char *line = db_cell(outcome, row, 0, &len);

		buf_puts(out, row > 0 ? "\\n" : "");
		buf_json_chars(out, line, len);
	}
}

static void
answer_plan(McpCall *call, const DbOutcome *outcome)
{
	static const DbError empty = {"42601", "the statement is empty", NULL,
	"Send one SQL statement.", 0, NULL};

	if (db_rows(outcome) == 0)
	{
		tools_fail(call, &empty);
		return;
	}
	tools_begin(call);
	put_plan(&call->out, outcome);
	tools_structure(call, "ok");
	buf_puts(&call->out, ",\"plan\":\"");
	put_plan(&call->out, outcome);
	buf_putc(&call->out, '"');
	tools_end(call);
}

/*
 * The statement goes to Parse as it is, under a name; what is run is the
 * constant EXPLAIN EXECUTE of that name.
 */
void
tools_explain(McpCall *call, json_t *arguments)
{
	bool		analyze = json_is_true(json_object_get(arguments, "analyze"));
	ToolsRun	run = {
		.steps = {{json_util_string(arguments, "sql"), 0, NULL, true},
		{analyze ? SQL_EXPLAIN_ANALYZE : SQL_EXPLAIN, 0, NULL, false}}
	};

	if (tools_check(call, arguments))
		tools_answer(call, &run, answer_plan);
}

/* ------------------------------------------------------------------------
 * search_objects
 * ------------------------------------------------------------------------
 */

/* A LIKE pattern: * stands for %, and a bare word is looked for anywhere. */
static void
make_pattern(Buf *out, const char *pattern)
{
	const char *around = strpbrk(pattern, "*%") == NULL ? "%" : "";

	buf_puts(out, around);
	for (; *pattern != '\0'; pattern++)
	{
		if (*pattern == '_' || *pattern == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *pattern == '*' ? '%' : *pattern);
	}
	buf_puts(out, around);
}

static void
answer_objects(McpCall *call, const DbOutcome *outcome)
{
	int			rows = db_rows(outcome);
	bool		truncated = rows > SEARCH_LIMIT || outcome->truncated;
	Buf		   *out = &call->out;
	size_t		len = 0;

	if (rows > SEARCH_LIMIT)
		rows = SEARCH_LIMIT;
	tools_begin(call);
	for (int row = 0; row < rows; row++)
	{
		const char *line = db_cell(outcome, row, 0, &len);

		tools_put_lines(out, line != NULL ? line : "");
		buf_puts(out, "\\n");
	}
	json_util_text(out, "(%d object%s%s)", rows, rows == 1 ? "" : "s",
				   truncated ? "; there are more, narrow the pattern" : "");
	tools_structure(call, "ok");
	buf_puts(out, ",\"objects\":[");
	for (int row = 0; row < rows; row++)
	{
		const char *object = db_cell(outcome, row, 1, &len);

		buf_puts(out, row > 0 ? "," : "");
		rows_put_raw_json(out, object != NULL ? object : "null",
						  object != NULL ? len : 4);
	}
	json_util_put(out, "],'truncated':%s", truncated ? "true" : "false");
	tools_end(call);
}

void
tools_search_objects(McpCall *call, json_t *arguments)
{
	bool		detail = json_is_true(json_object_get(arguments, "detail"));
	const char *params[4] = {
		NULL, json_util_string(arguments, "kind"), detail ? "true" : "false",
		SEARCH_LIMIT_AND_ONE
	};
	ToolsRun	run = {.steps = {{SQL_SEARCH_OBJECTS, 4, params, false}}};
	Buf			like;

	buf_init(&like);
	make_pattern(&like, json_util_string_or(arguments, "pattern", "*"));
	params[0] = buf_cstr(&like);
	if (tools_check(call, arguments))
		tools_answer(call, &run, answer_objects);
	buf_free(&like);
}

/* ------------------------------------------------------------------------
 * whoami
 * ------------------------------------------------------------------------
 */

static void
answer_identity(McpCall *call, const DbOutcome *outcome)
{
	json_t	   *identity = tools_load_object(outcome, 0);
	const char *person = json_util_string(identity, "on_behalf_of");
	const char *key;
	json_t	   *value;

	tools_begin(call);
	json_util_text(&call->out, "You are agent %s",
				   json_util_string_or(identity, "agent", "(none)"));
	if (person != NULL)
		json_util_text(&call->out, ", on behalf of %s", person);
	json_util_text(&call->out, ", with role %s of class %s.",
				   json_util_string_or(identity, "role", "(none)"),
				   json_util_string_or(identity, "class", "(none)"));
	tools_structure(call, "ok");
	json_object_foreach(identity, key, value)
	{
		json_util_put(&call->out, ",'%s':%p", key, value);
	}
	json_util_put(&call->out, person != NULL ? ",'person':'%s'" :
				  ",'person':null", person);
	tools_end(call);
	json_decref(identity);
}

void
tools_whoami(McpCall *call, json_t *arguments)
{
	ToolsRun	run = {.steps = {{SQL_WHOAMI, 0, NULL, false}}};

	if (tools_check(call, arguments))
		tools_answer(call, &run, answer_identity);
}
