/*
 * db_sql.h
 *		Every SQL text that the shim sends.  Names and operators are qualified,
 *		since the statements between enter and leave run under a search_path
 *		that the agent may choose.
 */
#ifndef DB_SQL_H
#define DB_SQL_H

/* the name that Parse gives to a statement to be explained */
#define SQL_PREPARED "warden_mcp_explained"

#define SQL_BEGIN "BEGIN"
#define SQL_BACKEND "SHOW warden.backend_pid"
/* sent with the types of their parameters */
#define SQL_ENTER "SELECT warden.enter($1, $2, $3, $4)"
#define SQL_LEAVE "SELECT warden.leave($1)"
#define SQL_COMMIT "COMMIT"
#define SQL_ROLLBACK "ROLLBACK"
#define SQL_RESET "DISCARD ALL"

#define SQL_LISTEN "LISTEN warden_changes"

#define SQL_ISSUERS \
	"SELECT i.issuer, i.jwks_uri FROM warden.identity_issuers AS i " \
	"WHERE i.enabled AND i.jwks_uri IS NOT NULL ORDER BY i.issuer"
#define SQL_SET_KEYS "SELECT warden.set_identity_keys(" \
	"$1::pg_catalog.text, $2::pg_catalog.jsonb)"

#define SQL_WHOAMI "SELECT warden.whoami()"

#define SQL_EXPLAIN "EXPLAIN EXECUTE " SQL_PREPARED
#define SQL_EXPLAIN_ANALYZE \
	"EXPLAIN (ANALYZE, BUFFERS) EXECUTE " SQL_PREPARED

#define SQL_PROPOSE "SELECT warden.propose($1::pg_catalog.text, " \
	"$2::pg_catalog.text, $3::pg_catalog.text)"
#define SQL_WITHDRAW "SELECT warden.withdraw($1::pg_catalog.int8)"

#define SQL_GET_CHANGE \
	"SELECT pg_catalog.jsonb_build_object('change_id', c.id) " \
	"OPERATOR(pg_catalog.||) (pg_catalog.to_jsonb(c) OPERATOR(pg_catalog.-) " \
	"'id'::pg_catalog.text) FROM warden.my_changes AS c " \
	"WHERE c.id OPERATOR(pg_catalog.=) $1::pg_catalog.int8"

/* of those in $1 that are the agent's own; one row, whatever its limit is */
#define SQL_CHANGE_STATUSES \
	"SELECT pg_catalog.jsonb_object_agg(c.id, c.status) " \
	"FROM warden.my_changes AS c " \
	"WHERE c.id OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.int8[])"

/* status or NULL, ids below $2 or NULL, one row more than a page */
#define SQL_LIST_CHANGES \
	"SELECT pg_catalog.to_jsonb(c) FROM " \
	"(SELECT m.id AS change_id, m.status, m.title, m.reason, m.risk, m.statement_count, " \
	"m.approvals, m.required_approvals, m.created_at, m.expires_at, " \
	"m.decided_at, m.applied_at FROM warden.my_changes AS m " \
	"WHERE ($1::pg_catalog.text IS NULL " \
	"OR m.status::pg_catalog.text OPERATOR(pg_catalog.=) $1::pg_catalog.text) " \
	"AND ($2::pg_catalog.int8 IS NULL " \
	"OR m.id OPERATOR(pg_catalog.<) $2::pg_catalog.int8) " \
	"ORDER BY m.id DESC LIMIT $3::pg_catalog.int8) AS c"

#define SQL_TYPE_NAMES \
	"SELECT t.oid::pg_catalog.int8, pg_catalog.format_type(t.oid, NULL) " \
	"FROM pg_catalog.pg_type AS t " \
	"WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])"

/* Members of a column: what its label names, and the one attribute. */
#define SQL_LABEL_MEMBERS(label) \
	"'semantic_type', pg_catalog.btrim(pg_catalog.split_part(" label ", ',', 1)), " \
	"'untrusted', NULLIF(" label " OPERATOR(pg_catalog.~) ', *untrusted', false)"

/*
 * search_objects: $1 a LIKE pattern, $2 a kind or NULL, $3 details or not,
 * $4 a limit.  Two columns: a line to read, and the object.  Only what the
 * session may use is listed; of functions, those that no gate looks at: most in
 * C are refused to agents, or make up an extension's types.
 */
#define SQL_USER_SCHEMA \
	"n.nspname OPERATOR(pg_catalog.!~~) 'pg\\_%' " \
	"AND n.nspname OPERATOR(pg_catalog.<>) ALL " \
	"('{information_schema,warden}'::pg_catalog.name[]) " \
	"AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')"

#define SQL_SEARCH_OBJECTS \
	"WITH rel AS (SELECT c.oid, n.nspname, c.relname, CASE c.relkind " \
	"WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' " \
	"WHEN 'm' THEN 'materialized_view' WHEN 'f' THEN 'foreign_table' END AS kind, " \
	"pg_catalog.obj_description(c.oid, 'pg_class') AS comment, " \
	"c.reltuples FROM pg_catalog.pg_class AS c " \
	"JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace " \
	"WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::\"char\"[]) " \
	"AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND " \
	SQL_USER_SCHEMA "), " \
	"col AS (SELECT r.nspname, r.relname, a.attname, a.attnum, r.oid, " \
	"pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, " \
	"s.label FROM rel AS r " \
	"JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) r.oid " \
	"AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped " \
	"AND pg_catalog.has_column_privilege(r.oid, a.attnum, 'SELECT') " \
	"LEFT JOIN pg_catalog.pg_seclabel AS s ON s.objoid OPERATOR(pg_catalog.=) r.oid " \
	"AND s.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass " \
	"AND s.objsubid OPERATOR(pg_catalog.=) a.attnum " \
	"AND s.provider OPERATOR(pg_catalog.=) 'warden'), " \
	"obj AS (" \
	"SELECT 'schema' AS kind, n.nspname::pg_catalog.text AS name, " \
	"n.nspname::pg_catalog.text AS schema, NULL::pg_catalog.text AS line, " \
	"NULL::pg_catalog.jsonb AS more FROM pg_catalog.pg_namespace AS n WHERE " \
	SQL_USER_SCHEMA \
	" UNION ALL SELECT r.kind, r.relname::pg_catalog.text, r.nspname::pg_catalog.text, " \
	"(SELECT pg_catalog.string_agg(pg_catalog.concat(k.attname, ' ', k.type, " \
	"CASE WHEN k.attnotnull THEN ' not null' END, " \
	"' [' OPERATOR(pg_catalog.||) k.label OPERATOR(pg_catalog.||) ']'), ', ' " \
	"ORDER BY k.attnum) FROM col AS k WHERE k.oid OPERATOR(pg_catalog.=) r.oid), " \
	"CASE WHEN $3::pg_catalog.bool THEN pg_catalog.jsonb_strip_nulls(" \
	"pg_catalog.jsonb_build_object('comment', r.comment, 'estimated_rows', " \
	"NULLIF(r.reltuples, -1), 'columns', (SELECT pg_catalog.jsonb_agg(" \
	"pg_catalog.jsonb_build_object('name', k.attname, 'type', k.type, " \
	"'not_null', k.attnotnull, " SQL_LABEL_MEMBERS("k.label") ") ORDER BY k.attnum) " \
	"FROM col AS k WHERE k.oid OPERATOR(pg_catalog.=) r.oid))) END FROM rel AS r " \
	"UNION ALL SELECT 'column', pg_catalog.concat(k.relname, '.', k.attname), " \
	"k.nspname::pg_catalog.text, pg_catalog.concat(k.type, " \
	"' [' OPERATOR(pg_catalog.||) k.label OPERATOR(pg_catalog.||) ']'), " \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('type', k.type, " \
	"'not_null', k.attnotnull, " SQL_LABEL_MEMBERS("k.label") ")) FROM col AS k " \
	"WHERE $2::pg_catalog.text OPERATOR(pg_catalog.=) 'column' " \
	"UNION ALL SELECT 'index', i.relname::pg_catalog.text, r.nspname::pg_catalog.text, " \
	"pg_catalog.pg_get_indexdef(x.indexrelid), pg_catalog.jsonb_build_object(" \
	"'table', r.relname, 'definition', pg_catalog.pg_get_indexdef(x.indexrelid)) " \
	"FROM rel AS r JOIN pg_catalog.pg_index AS x ON x.indrelid OPERATOR(pg_catalog.=) r.oid " \
	"JOIN pg_catalog.pg_class AS i ON i.oid OPERATOR(pg_catalog.=) x.indexrelid " \
	"WHERE $2::pg_catalog.text OPERATOR(pg_catalog.=) 'index' " \
	"UNION ALL SELECT 'function', p.proname::pg_catalog.text, n.nspname::pg_catalog.text, " \
	"pg_catalog.concat('(', pg_catalog.pg_get_function_arguments(p.oid), ') ', " \
	"'returns ' OPERATOR(pg_catalog.||) pg_catalog.pg_get_function_result(p.oid)), " \
	"pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'arguments', pg_catalog.pg_get_function_arguments(p.oid), " \
	"'returns', pg_catalog.pg_get_function_result(p.oid))) " \
	"FROM pg_catalog.pg_proc AS p " \
	"JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace " \
	"JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang " \
	"WHERE $2::pg_catalog.text OPERATOR(pg_catalog.=) 'function' " \
	"AND (l.lanpltrusted OR p.prokind OPERATOR(pg_catalog.=) 'a') " \
	"AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE') AND " \
	SQL_USER_SCHEMA ") " \
	"SELECT pg_catalog.concat(o.kind, ' ', o.schema, " \
	"CASE WHEN o.kind OPERATOR(pg_catalog.<>) 'schema' " \
	"THEN '.' OPERATOR(pg_catalog.||) o.name END, " \
	"CASE WHEN $3::pg_catalog.bool OR o.kind OPERATOR(pg_catalog.=) ANY " \
	"('{column,function}'::pg_catalog.text[]) " \
	"THEN ': ' OPERATOR(pg_catalog.||) o.line END), " \
	"pg_catalog.jsonb_build_object('kind', o.kind, 'schema', o.schema, 'name', o.name) " \
	"OPERATOR(pg_catalog.||) COALESCE(o.more, '{}'::pg_catalog.jsonb) " \
	"FROM obj AS o WHERE ($2::pg_catalog.text IS NULL " \
	"OR o.kind OPERATOR(pg_catalog.=) $2::pg_catalog.text) " \
	"AND (o.name OPERATOR(pg_catalog.~~*) $1::pg_catalog.text " \
	"OR pg_catalog.concat(o.schema, '.', o.name) " \
	"OPERATOR(pg_catalog.~~*) $1::pg_catalog.text) " \
	"ORDER BY o.schema, o.kind OPERATOR(pg_catalog.<>) 'schema', o.name " \
	"LIMIT $4::pg_catalog.int8"

#define SQL_READABLE_TABLES \
	"pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n " \
	"ON n.oid OPERATOR(pg_catalog.=) c.relnamespace " \
	"WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::\"char\"[]) " \
	"AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND " SQL_USER_SCHEMA

/*
 * Schemas (with an empty name) and tables after $1, $2 in order, at most $3:
 * schema, name, comment.
 */
#define SQL_LIST_RESOURCES \
	"SELECT o.schema, o.name, o.comment FROM (" \
	"SELECT n.nspname::pg_catalog.text COLLATE \"C\" AS schema, " \
	"''::pg_catalog.text COLLATE \"C\" AS name, " \
	"pg_catalog.obj_description(n.oid, 'pg_namespace') AS comment " \
	"FROM pg_catalog.pg_namespace AS n WHERE " SQL_USER_SCHEMA \
	" UNION ALL SELECT n.nspname::pg_catalog.text COLLATE \"C\", " \
	"c.relname::pg_catalog.text COLLATE \"C\", " \
	"pg_catalog.obj_description(c.oid, 'pg_class') FROM " \
	SQL_READABLE_TABLES ") AS o " \
	"WHERE o.schema OPERATOR(pg_catalog.>) $1::pg_catalog.text " \
	"OR (o.schema OPERATOR(pg_catalog.=) $1::pg_catalog.text " \
	"AND o.name OPERATOR(pg_catalog.>) $2::pg_catalog.text) " \
	"ORDER BY o.schema, o.name LIMIT $3::pg_catalog.int8"

#define SQL_READ_TABLE \
	"SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(" \
	"'schema', n.nspname, 'name', c.relname, " \
	"'comment', pg_catalog.obj_description(c.oid, 'pg_class'), " \
	"'columns', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), " \
	"'not_null', a.attnotnull, " SQL_LABEL_MEMBERS("s.label") ", " \
	"'comment', pg_catalog.col_description(c.oid, a.attnum)) ORDER BY a.attnum) " \
	"FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_seclabel AS s " \
	"ON s.objoid OPERATOR(pg_catalog.=) c.oid " \
	"AND s.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass " \
	"AND s.objsubid OPERATOR(pg_catalog.=) a.attnum " \
	"AND s.provider OPERATOR(pg_catalog.=) 'warden' " \
	"WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid " \
	"AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped " \
	"AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')), " \
	"'indexes', (SELECT pg_catalog.jsonb_agg(pg_catalog.pg_get_indexdef(" \
	"x.indexrelid)) FROM pg_catalog.pg_index AS x " \
	"WHERE x.indrelid OPERATOR(pg_catalog.=) c.oid))) FROM " \
	SQL_READABLE_TABLES " AND n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.name " \
	"AND c.relname OPERATOR(pg_catalog.=) $2::pg_catalog.name"

#define SQL_READ_SCHEMA \
	"SELECT pg_catalog.jsonb_build_object('schema', n.nspname, 'tables', " \
	"(SELECT COALESCE(pg_catalog.jsonb_agg(c.relname ORDER BY c.relname), '[]') " \
	"FROM pg_catalog.pg_class AS c " \
	"WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid " \
	"AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::\"char\"[]) " \
	"AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'))) " \
	"FROM pg_catalog.pg_namespace AS n WHERE " SQL_USER_SCHEMA \
	" AND n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.name"

/* names that begin with $1, at most $2 */
#define SQL_COMPLETE_SCHEMA \
	"SELECT n.nspname FROM pg_catalog.pg_namespace AS n WHERE " SQL_USER_SCHEMA \
	" AND pg_catalog.starts_with(n.nspname::pg_catalog.text, $1::pg_catalog.text) " \
	"ORDER BY n.nspname LIMIT $2::pg_catalog.int8"

#define SQL_COMPLETE_TABLE \
	"SELECT c.relname FROM " SQL_READABLE_TABLES \
	" AND pg_catalog.starts_with(c.relname::pg_catalog.text, $1::pg_catalog.text) " \
	"ORDER BY c.relname LIMIT $2::pg_catalog.int8"

#endif							/* DB_SQL_H */
