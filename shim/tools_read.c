/*
 * tools_read.c
 *		Handlers that read: query (which may turn out to be a write), explain,
 *		search_objects and whoami.
 */
#include "tools.h"

#include "db_sql.h"
#include "json_util.h"
#include "pg_types.h"
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PARAMS 1000
#define SEARCH_LIMIT 200

/* ------------------------------------------------------------------------
 * query
 * ------------------------------------------------------------------------
 */

typedef struct QueryParams
{
	int			count;
	const char *values[MAX_PARAMS];
	Buf			texts[MAX_PARAMS];
} QueryParams;

static void
free_params(QueryParams *params)
{
	for (int i = 0; params != NULL && i < params->count; i++)
		buf_free(&params->texts[i]);
	free(params);
}

/* As PostgreSQL's input functions expect it; JSON for arrays and objects. */
static bool
param_text(const json_t *value, Buf *text)
{
	if (!json_is_string(value))
		json_util_write(text, value);
	else if (strlen(json_string_value(value)) != json_string_length(value))
		return false;
	else
		buf_puts(text, json_string_value(value));
	return buf_ok(text);
}

static bool
read_params(McpCall *call, json_t *arguments, QueryParams **out)
{
	const json_t *list = json_object_get(arguments, "params");
	size_t		i;
	json_t	   *value;

	*out = NULL;
	if (list == NULL || json_is_null(list))
		return true;
	if (!json_is_array(list) || json_array_size(list) > MAX_PARAMS)
	{
		tools_invalid(call, "argument \"params\" must be an array of at most 1000 values",
					  NULL);
		return false;
	}
	*out = calloc(1, sizeof(QueryParams));
	json_array_foreach(list, i, value)
	{
		if (*out == NULL || !param_text(value, &(*out)->texts[i]))
		{
			tools_invalid(call, "a parameter can not be sent as text",
						  "PostgreSQL's text can not hold NUL characters.");
			return false;
		}
		(*out)->count++;
		if (!json_is_null(value))
			(*out)->values[i] = buf_cstr(&(*out)->texts[i]);
	}
	return true;
}

/*
 * Names of types that are not built in are asked for once, as the agent, in a
 * call of their own.
 */
static void
learn_types(McpCall *call, const char *database, const DbOutcome *outcome)
{
	DbPool	   *pool = tools_context(call)->pool;
	DbOutcome	types;
	Buf			oids;
	const char *params[1];
	DbStep		step = {SQL_TYPE_NAMES, 1, params, false};
	ToolsRun	run = {&step, 1, database, 0, false};

	buf_init(&oids);
	for (int i = 0; i < db_columns(outcome); i++)
		if (db_type_name(pool, database, db_column_type(outcome, i)) == NULL)
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

	mcp_member(call, "columns");
	buf_putc(out, '[');
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
		if (db_column_masked(outcome, i))
			buf_puts(out, ",\"masked\":true");
		if (db_column_untrusted(outcome, i))
			buf_puts(out, ",\"untrusted\":true");
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void
put_rows_text(Buf *text, const Rows *rows, const char *format, bool truncated)
{
	if (rows->columns == 0)
	{
		buf_puts(text, db_command(rows->outcome));
		return;
	}
	if (strcmp(format, "json") == 0)
		rows_put_objects(text, rows);
	else if (strcmp(format, "csv") == 0)
		rows_put_csv(text, rows);
	else
	{
		rows_put_table(text, rows);
		buf_putc(text, '(');
		buf_int(text, rows->count);
		buf_puts(text, rows->count == 1 ? " row)" : " rows)");
	}
	if (truncated)
		buf_puts(text, "\nThe result was cut here: there are more rows.");
}

/*
 * The rows are written first, into a buffer of their own, since how many of
 * them fit decides what the text shows.
 */
static void
answer_rows(McpCall *call, const char *database, const char *format,
			const DbOutcome *outcome)
{
	size_t		max = (size_t) tools_context(call)->cf->max_result;
	Rows		rows;
	Buf			json;
	Buf			text;
	bool		truncated;

	learn_types(call, database, outcome);
	call->http_status = 200;	/* whatever became of that */
	if (!rows_open(&rows, outcome))
	{
		call->out.failed = true;
		return;
	}
	buf_init(&json);
	buf_init(&text);
	rows_put_json(&json, &rows, max);
	truncated = outcome->truncated || rows.count < db_rows(outcome);
	put_rows_text(&text, &rows, format, truncated);
	rows_close(&rows);
	if (buf_reserve(&call->out, json.len + text.len + text.len / 8))
		tools_begin(call, buf_cstr(&text), text.len);
	buf_puts(&call->out, "\"status\":\"ok\"");
	put_columns(call, database, outcome);
	mcp_member(call, "rows");
	buf_append(&call->out, json.data, json.len);
	mcp_member(call, "row_count");
	buf_int(&call->out, rows.columns > 0 ? rows.count : db_affected(outcome));
	mcp_member(call, "truncated");
	buf_puts(&call->out, truncated ? "true" : "false");
	if (rows.columns == 0)
	{
		mcp_member(call, "command");
		buf_json_cstr(&call->out, db_command(outcome));
	}
	tools_end(call);
	if (!buf_ok(&json) || !buf_ok(&text))
		call->out.failed = true;
	else
		call->outcome = MCP_OUTCOME_OK;
	buf_free(&json);
	buf_free(&text);
}

static void
run_query(McpCall *call, const char *sql, const QueryParams *params,
		  const char *format, const char *database, long long max_rows)
{
	DbStep		step = {sql, params != NULL ? params->count : 0,
	params != NULL ? params->values : NULL, false};
	ToolsRun	run = {&step, 1, database, max_rows, true};
	DbOutcome	outcome;

	if (tools_run(call, &run, &outcome))
	{
		if (outcome.change_id != 0)
			tools_pending(call, database, &outcome);
		else
			answer_rows(call, database, format, &outcome);
	}
	db_outcome_free(&outcome);
}

void
tools_query(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {
		"sql", "params", "max_rows", "format", "database", NULL
	};
	static const char *const formats[] = {"table", "json", "csv", NULL};
	const char *sql = NULL;
	const char *format = "table";
	const char *database = NULL;
	long long	max_rows = 0;
	QueryParams *params = NULL;

	if (tools_only(call, arguments, names) &&
		tools_sql(call, arguments, &sql) &&
		tools_integer(call, arguments, "max_rows", false, 1, 1000000000,
					  &max_rows) &&
		tools_choice(call, arguments, "format", formats, &format) &&
		tools_text(call, arguments, "database", false, &database) &&
		!tools_resume(call, database) &&
		read_params(call, arguments, &params))
		run_query(call, sql, params, format, database, max_rows);
	free_params(params);
}

/* ------------------------------------------------------------------------
 * explain
 * ------------------------------------------------------------------------
 */

/* The plan's lines, one per row. */
static void
answer_plan(McpCall *call, const DbOutcome *outcome)
{
	Buf			plan;

	buf_init(&plan);
	for (int row = 0; row < db_rows(outcome); row++)
	{
		size_t		len = 0;
		const char *line = db_cell(outcome, row, 0, &len);

		if (row > 0)
			buf_putc(&plan, '\n');
		if (line != NULL)
			buf_append(&plan, line, len);
	}
	tools_begin(call, buf_cstr(&plan), plan.len);
	buf_puts(&call->out, "\"status\":\"ok\"");
	mcp_member(call, "plan");
	buf_json_string(&call->out, buf_cstr(&plan), plan.len);
	tools_end(call);
	buf_free(&plan);
}

/*
 * The statement goes to Parse as it is, under a name; what is run is the
 * constant EXPLAIN EXECUTE of that name.
 */
void
tools_explain(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {"sql", "analyze", "database", NULL};
	const char *sql = NULL;
	const char *database = NULL;
	bool		analyze = false;
	DbStep		steps[2] = {{NULL, 0, NULL, true}, {NULL, 0, NULL, false}};
	ToolsRun	run = {steps, 2, NULL, 0, false};
	DbOutcome	outcome;

	if (!tools_only(call, arguments, names) ||
		!tools_sql(call, arguments, &sql) ||
		!tools_flag(call, arguments, "analyze", &analyze) ||
		!tools_text(call, arguments, "database", false, &database))
		return;
	steps[0].sql = sql;
	steps[1].sql = analyze ? SQL_EXPLAIN_ANALYZE : SQL_EXPLAIN;
	run.database = database;
	if (tools_run(call, &run, &outcome))
		answer_plan(call, &outcome);
	db_outcome_free(&outcome);
}

/* ------------------------------------------------------------------------
 * search_objects
 * ------------------------------------------------------------------------
 */

/* A LIKE pattern: * stands for %, and a bare word is looked for anywhere. */
static void
make_pattern(Buf *out, const char *pattern)
{
	bool		bare = strpbrk(pattern, "*%") == NULL;

	if (bare)
		buf_putc(out, '%');
	for (; *pattern != '\0'; pattern++)
	{
		if (*pattern == '_' || *pattern == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *pattern == '*' ? '%' : *pattern);
	}
	if (bare)
		buf_putc(out, '%');
}

static void
answer_objects(McpCall *call, const DbOutcome *outcome)
{
	int			rows = db_rows(outcome);
	bool		truncated = rows > SEARCH_LIMIT || outcome->truncated;
	Buf			text;
	size_t		len;

	if (rows > SEARCH_LIMIT)
		rows = SEARCH_LIMIT;
	buf_init(&text);
	for (int row = 0; row < rows; row++)
	{
		const char *line = db_cell(outcome, row, 0, &len);

		if (line != NULL)
			buf_append(&text, line, len);
		buf_putc(&text, '\n');
	}
	buf_printf(&text, "(%d object%s%s)", rows, rows == 1 ? "" : "s",
			   truncated ? "; there are more, narrow the pattern" : "");
	tools_begin(call, buf_cstr(&text), text.len);
	buf_puts(&call->out, "\"status\":\"ok\",\"objects\":[");
	for (int row = 0; row < rows; row++)
	{
		const char *object = db_cell(outcome, row, 1, &len);

		buf_puts(&call->out, row > 0 ? "," : "");
		rows_put_raw_json(&call->out, object != NULL ? object : "null",
						  object != NULL ? len : 4);
	}
	buf_printf(&call->out, "],\"truncated\":%s", truncated ? "true" : "false");
	tools_end(call);
	buf_free(&text);
}

static void
run_search(McpCall *call, const char *pattern, const char *kind, bool detail,
		   const char *database)
{
	char		limit[24];
	Buf			like;
	const char *params[4] = {NULL, kind, detail ? "true" : "false", limit};
	DbStep		step = {SQL_SEARCH_OBJECTS, 4, params, false};
	ToolsRun	run = {&step, 1, database, 0, false};
	DbOutcome	outcome;

	snprintf(limit, sizeof(limit), "%d", SEARCH_LIMIT + 1);
	buf_init(&like);
	make_pattern(&like, pattern);
	params[0] = buf_cstr(&like);
	if (tools_run(call, &run, &outcome))
		answer_objects(call, &outcome);
	db_outcome_free(&outcome);
	buf_free(&like);
}

void
tools_search_objects(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {
		"pattern", "kind", "detail", "database", NULL
	};
	static const char *const kinds[] = {
		"schema", "table", "view", "materialized_view", "foreign_table",
		"column", "index", "function", NULL
	};
	const char *pattern = "*";
	const char *kind = NULL;
	const char *database = NULL;
	bool		detail = false;

	if (tools_only(call, arguments, names) &&
		tools_text(call, arguments, "pattern", false, &pattern) &&
		tools_choice(call, arguments, "kind", kinds, &kind) &&
		tools_flag(call, arguments, "detail", &detail) &&
		tools_text(call, arguments, "database", false, &database))
		run_search(call, pattern, kind, detail, database);
}

/* ------------------------------------------------------------------------
 * whoami
 * ------------------------------------------------------------------------
 */

static const char *
text_or(const json_t *object, const char *key, const char *fallback)
{
	const char *value = json_util_string(object, key);

	return value != NULL ? value : fallback;
}

static void
answer_identity(McpCall *call, json_t *identity)
{
	Buf			text;
	const char *person = json_util_string(identity, "on_behalf_of");
	const char *key;
	json_t	   *value;

	buf_init(&text);
	buf_printf(&text, "You are agent %s", text_or(identity, "agent", "(none)"));
	if (person != NULL)
		buf_printf(&text, ", on behalf of %s", person);
	buf_printf(&text, ", with role %s of class %s.",
			   text_or(identity, "role", "(none)"),
			   text_or(identity, "class", "(none)"));
	tools_begin(call, buf_cstr(&text), text.len);
	buf_puts(&call->out, "\"status\":\"ok\"");
	json_object_foreach(identity, key, value)
	{
		mcp_member(call, key);
		json_util_write(&call->out, value);
	}
	tools_end(call);
	buf_free(&text);
}

void
tools_whoami(McpCall *call, json_t *arguments)
{
	static const char *const names[] = {"database", NULL};
	DbStep		step = {SQL_WHOAMI, 0, NULL, false};
	ToolsRun	run = {&step, 1, NULL, 0, false};
	DbOutcome	outcome;
	size_t		len = 0;
	JsonFault	fault;

	if (!tools_only(call, arguments, names) ||
		!tools_text(call, arguments, "database", false, &run.database))
		return;
	if (tools_run(call, &run, &outcome))
	{
		const char *cell = db_rows(&outcome) > 0 ?
			db_cell(&outcome, 0, 0, &len) : NULL;
		json_t	   *identity = json_util_load(cell != NULL ? cell : "{}",
											  cell != NULL ? len : 2, &fault);

		answer_identity(call, identity);
		json_decref(identity);
	}
	db_outcome_free(&outcome);
}
