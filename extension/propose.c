/*-------------------------------------------------------------------------
 * propose.c
 *	  warden.propose(): a whole script becomes one pending change; and
 *	  warden.withdraw(), which takes a change back.
 *
 * Invariants:
 * - Nothing is recorded unless every statement may be proposed.
 * - A name must mean something that the agent may see, or be made by an
 *	 earlier statement of the script; nothing is analysed beyond that, since
 *	 later statements may need what earlier ones make.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "function_gate.h"
#include "identity.h"
#include "pending.h"
#include "principal.h"
#include "statement.h"
#include "utility_gate.h"
#include "warden.h"

/* Bytes of a script that an error shows whole. */
#define SCRIPT_SHOWN	2000

/* ---- syntax errors ------------------------------------------------------ */

/*
 * A syntax error's position counts in the script, not in the statement that
 * called us.
 */
static void
script_error_callback(void *arg)
{
	const char *sql = arg;
	const char *begin = sql;	/* of the line */
	int			position = geterrposition();
	int			column = 1;
	int			line = 1;
	int			i;

	if (position <= 0)
		return;
	errposition(0);
	for (i = 0; i < position - 1 && *sql != '\0'; i++)
	{
		column++;
		if (*sql == '\n')
		{
			line++;
			column = 1;
			begin = sql + 1;
		}
		sql += pg_mblen(sql);
	}
	if (strncmp(sql, "\xef\xbb\xbf", 3) == 0 &&
		GetDatabaseEncoding() == PG_UTF8)
		errhint("There is a byte order mark, which is not seen; leave it out.");
	else if (*sql == '\\')
		errhint("Commands that begin with a backslash are psql's own; leave them out.");
	if (strlen(arg) > SCRIPT_SHOWN)
	{
		/* of a long one the line, or what begins there on a long line */
		if (sql - begin > SCRIPT_SHOWN)
		{
			begin = sql;
			column = 1;
		}
		internalerrposition(column);
		internalerrquery(pnstrdup(begin,
								  pg_mbcliplen(begin, strcspn(begin, "\n"),
											   2 * SCRIPT_SHOWN)));
	}
	else
	{
		internalerrposition(position);
		internalerrquery(arg);
	}
	errcontext("line %d of the proposed script", line);
}

static List *
parse_script(char *sql)
{
	ErrorContextCallback callback;
	List	   *parsed;

	callback.callback = script_error_callback;
	callback.arg = sql;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	parsed = raw_parser(sql, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	return parsed;
}

/* ---- what a script may contain ------------------------------------------ */

/* SELECT f(...), g(...) with nothing else: a call, of what may write. */
static bool
is_call(SelectStmt *select)
{
	ListCell   *cell;

	if (select->op != SETOP_NONE || select->targetList == NIL ||
		select->fromClause != NIL || select->valuesLists != NIL ||
		select->lockingClause != NIL || select->intoClause != NULL)
		return false;
	foreach(cell, select->targetList)
	{
		if (!IsA(lfirst(cell), ResTarget) ||
			((ResTarget *) lfirst(cell))->val == NULL ||
			!IsA(((ResTarget *) lfirst(cell))->val, FuncCall))
			return false;
	}
	return true;
}

/* A function of that name may write: an agent's query is refused for it, or for
 * what it does. */
static bool
may_write(List *names)
{
	char	   *name = strVal(llast(names));
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));
	bool		found = false;
	int			i;

	for (i = 0; i < list->n_members && !found; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		found = proc->provolatile == PROVOLATILE_VOLATILE &&
			(warden_function_is_procedural(proc->oid) ||
			 !warden_function_gate_allows(proc->oid));
	}
	ReleaseSysCacheList(list);
	return found;
}

static bool
has_writer(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && may_write(((FuncCall *) node)->funcname))
		return true;
	return raw_expression_tree_walker(node, has_writer, context);
}

/* Has a WITH that writes, anywhere. */
static bool
has_write(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (warden_statement_is_dml(node))
		return true;
	return raw_expression_tree_walker(node, has_write, context);
}

static bool
has_locking(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SelectStmt) && ((SelectStmt *) node)->lockingClause != NIL)
		return true;
	return raw_expression_tree_walker(node, has_locking, context);
}

/* SET by another name: it would change what later statements mean. */
static bool
has_set_config(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		strcmp(strVal(llast(((FuncCall *) node)->funcname)),
			   "set_config") == 0)
		return true;
	return raw_expression_tree_walker(node, has_set_config, context);
}

/* NULL where a SELECT may be part of a change, else why not. */
static const char *
select_bar(SelectStmt *select)
{
	if (warden_statement_into(select) != NULL)
		return NULL;
	if (has_set_config((Node *) select, NULL))
		return "settings can not be part of a change";
	if (has_write((Node *) select, NULL) || is_call(select))
		return NULL;
	if (has_locking((Node *) select, NULL))
		return "row locks do not outlive the change";
	if (has_writer((Node *) select, NULL))
		return NULL;
	return "there is nothing to propose, a SELECT changes nothing";
}

static void
require_proposable(RawStmt *raw)
{
	const char *reason = NULL;
	const char *hint = NULL;
	WardenVerdict verdict;

	switch (nodeTag(raw->stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_DoStmt:
		case T_CallStmt:
			return;
		case T_SelectStmt:
			reason = select_bar((SelectStmt *) raw->stmt);
			if (reason == NULL)
				return;
			warden_utility_refuse(raw->stmt, reason,
								  "Run reads as queries; propose only what writes.");
			break;
		default:
			break;
	}
	verdict = warden_utility_verdict(raw->stmt, &reason, &hint);
	if (verdict == WARDEN_DIVERT)
		return;
	if (verdict == WARDEN_RUN || reason == NULL)
		reason = "it can not be part of a change";
	if (verdict == WARDEN_RUN || hint == NULL)
		hint = "Propose statements that change data or tables; leave out settings, transaction control, prepared statements and reads.";
	warden_utility_refuse(raw->stmt, reason, hint);
}

static bool
parameter_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ParamRef))
	{
		*(int *) context = ((ParamRef *) node)->number;
		return true;
	}
	return raw_expression_tree_walker(node, parameter_walker, context);
}

/* Nobody could apply it: a script comes without values. */
static void
refuse_parameters(Node *stmt)
{
	Node	   *query = stmt;
	int			number;

	if (IsA(stmt, CreateTableAsStmt))
		query = ((CreateTableAsStmt *) stmt)->query;
	else if (IsA(stmt, CallStmt))
		query = (Node *) ((CallStmt *) stmt)->funccall;
	else if (!warden_statement_is_dml(stmt) && !IsA(stmt, SelectStmt))
		return;
	if (parameter_walker(query, &number))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_PARAMETER),
				 errmsg("there is no parameter $%d", number),
				 errhint("Write the value itself, or send the statement by itself, with its parameters.")));
}

static void
statement_error_callback(void *arg)
{
	errcontext("statement %d of the proposed script", *(int *) arg);
}

/* What it makes whose name is not among those of relations, types and code. */
static List *
made_besides(Node *stmt)
{
	char	   *name = NULL;

	if (IsA(stmt, CreateSchemaStmt))
		name = ((CreateSchemaStmt *) stmt)->schemaname;
	else if (IsA(stmt, RenameStmt))
		name = ((RenameStmt *) stmt)->newname;
	else if (IsA(stmt, AlterObjectSchemaStmt) &&
			 ((AlterObjectSchemaStmt *) stmt)->relation != NULL)
		name = ((AlterObjectSchemaStmt *) stmt)->relation->relname;
	else if (IsA(stmt, IndexStmt))
		name = ((IndexStmt *) stmt)->idxname;
	else if (IsA(stmt, CreateStatsStmt) &&
			 ((CreateStatsStmt *) stmt)->defnames != NIL)
		name = strVal(llast(((CreateStatsStmt *) stmt)->defnames));
	return name != NULL ? list_make1(name) : NIL;
}

/* A relation, or a schema, that a statement of the script gives a new name. */
typedef struct Moved
{
	char	   *name;
	Oid			relid;			/* InvalidOid: a schema */
	Oid			schema;
} Moved;

static Oid
moved_relation(const Moved *moved, const RangeVar *rv)
{
	if (OidIsValid(moved->relid))
		return strcmp(moved->name, rv->relname) == 0 ? moved->relid :
			InvalidOid;
	return rv->schemaname != NULL && strcmp(moved->name, rv->schemaname) == 0 ?
		get_relname_relid(rv->relname, moved->schema) : InvalidOid;
}

/* Under a new name a relation is nobody else's. */
static void
permit_moved(List *names, List *moved)
{
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, names)
	{
		WardenName	name = *(WardenName *) lfirst(cell);

		foreach(other, IsA(name.name, RangeVar) &&
				name.use != WARDEN_USE_CREATE ? moved : NIL)
		{
			Oid			relid = moved_relation(lfirst(other),
											   (RangeVar *) name.name);

			if (!OidIsValid(relid))
				continue;
			ObjectAddressSet(name.address, RelationRelationId, relid);
			warden_statement_permit(list_make1(&name));
		}
	}
}

/* What a relation was called before it got a name that it does not have yet. */
static Oid
moved_before(const WardenName *name, List *moved)
{
	Oid			relid = name->address.objectId;
	ListCell   *cell;

	foreach(cell, OidIsValid(relid) ? NIL : moved)
	{
		Oid			other = moved_relation(lfirst(cell),
										   (RangeVar *) name->name);

		if (OidIsValid(other))
			relid = other;
	}
	return relid;
}

/* The same of a schema. */
static Oid
schema_before(const WardenName *name, const char *called, List *moved)
{
	Oid			schema = name->address.objectId;
	ListCell   *cell;

	foreach(cell, OidIsValid(schema) ? NIL : moved)
	{
		const Moved *other = lfirst(cell);

		if (OidIsValid(other->schema) && strcmp(other->name, called) == 0)
			schema = other->schema;
	}
	return schema;
}

/* The same, met before: the last of a name is the one that has it. */
static List *
without_moved(List *moved, const Moved *new)
{
	ListCell   *cell;

	foreach(cell, moved)
	{
		const Moved *old = lfirst(cell);

		if (old->relid == new->relid && old->schema == new->schema &&
			strcmp(old->name, new->name) == 0)
			return foreach_delete_current(moved, cell);
	}
	return moved;
}

static List *
add_moved(List *moved, Node *stmt, const WardenCapture *capture)
{
	Moved	   *new = palloc0(sizeof(Moved));
	WardenName *old = capture->names != NIL ? linitial(capture->names) : NULL;

	if (IsA(stmt, RenameStmt) &&
		((RenameStmt *) stmt)->renameType == OBJECT_SCHEMA)
	{
		new->name = ((RenameStmt *) stmt)->newname;
		new->schema = schema_before(old, ((RenameStmt *) stmt)->subname,
									moved);
		return OidIsValid(new->schema) ?
			lappend(without_moved(moved, new), new) : moved;
	}
	if (IsA(stmt, RenameStmt) && ((RenameStmt *) stmt)->relation != NULL &&
		((RenameStmt *) stmt)->subname == NULL)
		new->name = ((RenameStmt *) stmt)->newname;
	else if (IsA(stmt, AlterObjectSchemaStmt) &&
			 ((AlterObjectSchemaStmt *) stmt)->relation != NULL)
		new->name = ((AlterObjectSchemaStmt *) stmt)->relation->relname;
	else
		return moved;
	new->relid = moved_before(old, moved);
	return OidIsValid(new->relid) ? lappend(without_moved(moved, new), new) :
		moved;
}

static WardenCapture *
capture_statement(const char *sql, RawStmt *raw, List **created,
				  List **moved)
{
	WardenCapture *capture = palloc0(sizeof(WardenCapture));

	require_proposable(raw);
	capture->statement = warden_statement_text(sql, raw->stmt_location,
											   raw->stmt_len);
	/* parsed again by itself, as at apply, so that positions count in it */
	raw = warden_statement_parse(capture->statement);
	if (raw == NULL)
		elog(ERROR, "a statement of the script is not one statement");
	capture->raw = raw;
	capture->command = GetCommandTagName(CreateCommandTag(raw->stmt));
	capture->estimated_rows = -1;
	warden_statement_refuse_secrets(raw->stmt, capture->statement);
	warden_statement_refuse_cursor(raw->stmt);
	refuse_parameters(raw->stmt);
	if (!warden_statement_names(raw->stmt, &capture->names))
		warden_utility_refuse(raw->stmt,
							  "this form of the statement can not be proposed",
							  "Propose it as plain statements, one by one.");
	warden_statement_resolve(capture->names, *created);
	warden_statement_permit(capture->names);
	permit_moved(capture->names, *moved);
	*moved = add_moved(*moved, raw->stmt, capture);
	*created = list_concat(*created,
						   warden_statement_created(capture->names));
	*created = list_concat(*created, made_besides(raw->stmt));
	return capture;
}

static void
require_agent(const char *what)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class != WARDEN_CLASS_AGENT &&
		principal->class != WARDEN_CLASS_OBSERVED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only an agent can %s a change", what),
				 errhint("People run their statements themselves, and approve or reject what agents propose.")));
	warden_principal_require(principal);
}

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

PG_FUNCTION_INFO_V1(warden_sql_propose);
Datum
warden_sql_propose(PG_FUNCTION_ARGS)
{
	char	   *sql = text_argument(fcinfo, 0);
	char	   *title = text_argument(fcinfo, 1);
	char	   *reason = text_argument(fcinfo, 2);
	List	   *captures = NIL;
	List	   *created = NIL;
	List	   *moved = NIL;
	List	   *script;
	ListCell   *cell;
	int			ordinal = 0;
	ErrorContextCallback callback;

	require_agent("propose");
	warden_pending_check_size(sql);
	warden_pending_check_size(title);
	warden_pending_check_size(reason);
	script = sql != NULL ? parse_script(sql) : NIL;
	callback.callback = statement_error_callback;
	callback.arg = &ordinal;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	foreach(cell, script)
	{
		ordinal++;
		captures = lappend(captures,
						   capture_statement(sql, lfirst_node(RawStmt, cell),
											 &created, &moved));
	}
	error_context_stack = callback.previous;
	if (captures == NIL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("there is nothing to propose"),
				 errhint("Give at least one statement that changes something.")));
	PG_RETURN_INT64(warden_pending_propose(captures, title, reason));
}

/* ---- withdraw ----------------------------------------------------------- */

typedef struct WithdrawJob
{
	int64		id;
	const char *agent;
	Oid			role;			/* an agent's name can be given again */
	const char *person;			/* NULL: nobody */
	bool		found;
} WithdrawJob;

static void
withdraw_internally(void *arg)
{
	WithdrawJob *job = arg;
	WardenChange change;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (warden_pending_load(job->id, true, CurrentMemoryContext, &change) &&
		strcmp(change.agent, job->agent) == 0 &&
		change.agent_role == job->role &&
		(change.on_behalf_of == NULL) == (job->person == NULL) &&
		(job->person == NULL ||
		 strcmp(change.on_behalf_of, job->person) == 0))
	{
		job->found = true;
		warden_pending_move(&change, WARDEN_CHANGE_WITHDRAWN,
							", decided_at = pg_catalog.now()", "withdrawn",
							NULL);
	}
	SPI_finish();
}

PG_FUNCTION_INFO_V1(warden_sql_withdraw);
Datum
warden_sql_withdraw(PG_FUNCTION_ARGS)
{
	const WardenIdentity *identity;
	WithdrawJob job = {0};

	require_agent("withdraw");
	warden_identity_require_propose();
	identity = warden_identity_current();
	job.id = warden_pending_number(fcinfo);
	job.agent = identity->agent;
	job.role = GetOuterUserId();
	job.person = identity->on_behalf_of[0] != '\0' ?
		identity->on_behalf_of : NULL;
	warden_principal_run_internal(withdraw_internally, &job);
	/* the same answer for what does not exist and what is not its own */
	if (!job.found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist", job.id),
				 errhint("Read warden.my_changes to find its number.")));
	PG_RETURN_VOID();
}

/* ---- who reads warden.my_changes ----------------------------------------- */

static const WardenIdentity *
acting_identity(void)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class != WARDEN_CLASS_AGENT &&
		principal->class != WARDEN_CLASS_OBSERVED)
		return NULL;
	return warden_identity_current();
}

PG_FUNCTION_INFO_V1(warden_sql_acting_agent);
Datum
warden_sql_acting_agent(PG_FUNCTION_ARGS)
{
	const WardenIdentity *identity = acting_identity();

	if (identity == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->agent));
}

PG_FUNCTION_INFO_V1(warden_sql_acting_role);
Datum
warden_sql_acting_role(PG_FUNCTION_ARGS)
{
	if (acting_identity() == NULL)
		PG_RETURN_NULL();
	PG_RETURN_OID(GetOuterUserId());
}

PG_FUNCTION_INFO_V1(warden_sql_acting_person);
Datum
warden_sql_acting_person(PG_FUNCTION_ARGS)
{
	const WardenIdentity *identity = acting_identity();

	if (identity == NULL || identity->on_behalf_of[0] == '\0')
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->on_behalf_of));
}
