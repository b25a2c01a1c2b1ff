/*-------------------------------------------------------------------------
 * pending_preview_bar.c
 *	  Can a statement be taken back that is executed for a preview?
 *
 * Only where everything that it reaches is known: no functions but the built-in
 * ones that agents may use (and sequences), no triggers but those of foreign
 * keys, no rules, no event triggers, no tables of other servers.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_type.h"
#include "storage/bufmgr.h"
#include "tcop/tcopprot.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "function_gate.h"
#include "pending.h"
#include "pending_preview_private.h"
#include "review.h"
#include "statement.h"

static const char calls_code[] = "it calls a function that is not built in";
static const char not_run[] = "this kind of statement is not run for a preview";

/* ---- functions ---------------------------------------------------------- */

/*
 * check_functions_in_node callback: true for one that may not run.  Some of the
 * built-in ones are written in SQL, which calls others of them.
 */
static bool
is_unsafe_function(Oid funcid, void *context pg_attribute_unused())
{
	HeapTuple	tuple;
	Oid			language;

	if (funcid == F_NEXTVAL)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return true;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	if (language != INTERNALlanguageId && language != ClanguageId &&
		(language != SQLlanguageId || funcid >= FirstNormalObjectId))
		return true;
	return !warden_function_gate_allows(funcid);
}

static bool
unsafe_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_unsafe_function, context))
		return true;
	if (IsA(node, CoerceToDomain))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, unsafe_walker, context, 0);
	return expression_tree_walker(node, unsafe_walker, context);
}

bool
warden_preview_unsafe(Node *node)
{
	return unsafe_walker(node, NULL);
}

/* ---- DML ---------------------------------------------------------------- */

static const char *
query_bar(Query *query)
{
	RangeTblEntry *target;
	ListCell   *cell;
	const char *bar;

	if (unsafe_walker((Node *) query, NULL))
		return calls_code;
	if (query->resultRelation == 0)
		return "it writes in a WITH query";
	foreach(cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (castNode(Query, cte->ctequery)->commandType != CMD_SELECT)
			return "it writes in a WITH query";
	}
	target = list_nth_node(RangeTblEntry, query->rtable,
						   query->resultRelation - 1);
	bar = warden_preview_tables_bar(list_make1_oid(target->relid), false);
	if (bar == NULL && warden_preview_reads_foreign_table(query))
		bar = "it reads a foreign table";
	return bar;
}

/*
 * DML: judged by its analysed and rewritten form.  One query in, one out:
 * anything else is the work of rules.
 */
static const char *
dml_bar(RawStmt *raw, WardenStatement *statement)
{
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	List	   *queries;
	int			n = warden_capture_replay(statement->parameters, &types,
										  &values, &nulls);

	queries = pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
												 types, n, NULL);
	if (list_length(queries) != 1)
		return "rules rewrite it";
	return query_bar(linitial_node(Query, queries));
}

/* ---- DDL: judged by what its raw form names ------------------------------ */

static bool
unsafe_name(List *names, int cache)
{
	char	   *name = strVal(llast(names));
	CatCList   *list = SearchSysCacheList1(cache, CStringGetDatum(name));
	bool		unsafe = list->n_members == 0;
	int			i;

	for (i = 0; i < list->n_members && !unsafe; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Oid			function = cache == OPERNAMENSP ?
		((Form_pg_operator) GETSTRUCT(tuple))->oprcode :
		((Form_pg_proc) GETSTRUCT(tuple))->oid;

		unsafe = OidIsValid(function) && is_unsafe_function(function, NULL);
	}
	ReleaseSysCacheList(list);
	return unsafe;
}

/* BETWEEN is named so in the raw form only; in others it is two of these. */
static bool
unsafe_operator(A_Expr *expr)
{
	switch (expr->kind)
	{
		case AEXPR_BETWEEN:
		case AEXPR_NOT_BETWEEN:
		case AEXPR_BETWEEN_SYM:
		case AEXPR_NOT_BETWEEN_SYM:
			return unsafe_name(list_make1(makeString("<")), OPERNAMENSP) ||
				unsafe_name(list_make1(makeString(">")), OPERNAMENSP) ||
				unsafe_name(list_make1(makeString("<=")), OPERNAMENSP) ||
				unsafe_name(list_make1(makeString(">=")), OPERNAMENSP);
		default:
			return expr->name != NIL && unsafe_name(expr->name, OPERNAMENSP);
	}
}

/* A type whose values are checked by code of somebody's. */
static bool
is_checked_domain(TypeName *name)
{
	Oid			type = LookupTypeNameOid(NULL, name, true);

	return warden_preview_is_checked(type);
}

static bool
unsafe_raw_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		unsafe_name(((FuncCall *) node)->funcname, PROCNAMEARGSNSP))
		return true;
	if (IsA(node, A_Expr) && unsafe_operator((A_Expr *) node))
		return true;
	if (IsA(node, Constraint))
		return unsafe_raw_walker(((Constraint *) node)->raw_expr, context);
	/* DEFAULT, CHECK and GENERATED of a column are there before analysis */
	if (IsA(node, ColumnDef) &&
		unsafe_raw_walker((Node *) ((ColumnDef *) node)->constraints, context))
		return true;
	if (IsA(node, TypeName) && is_checked_domain((TypeName *) node))
		return true;
	if (IsA(node, TableLikeClause))
	{
		RangeVar   *like = ((TableLikeClause *) node)->relation;

		return warden_preview_computes(RangeVarGetRelid(like, NoLock, true));
	}
	return raw_expression_tree_walker(node, unsafe_raw_walker, context);
}

static const char *
alter_bar(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		switch (cmd->subtype)
		{
			case AT_AddColumn:
			case AT_ColumnDefault:
			case AT_AlterColumnType:
			case AT_AddConstraint:
				if (unsafe_raw_walker(cmd->def, NULL))
					return calls_code;
				break;
			case AT_DropColumn:
			case AT_DropConstraint:
			case AT_DropNotNull:
			case AT_SetNotNull:
			case AT_SetStatistics:
			case AT_SetStorage:
			case AT_SetRelOptions:
			case AT_ResetRelOptions:
			case AT_ValidateConstraint:
			case AT_ChangeOwner:
				break;
			default:
				return not_run;
		}
	}
	return NULL;
}

/* The bounds of a partition are computed when it is made. */
static bool
create_is_safe(CreateStmt *stmt)
{
	PartitionBoundSpec *bound = stmt->partbound;

	return !unsafe_raw_walker((Node *) stmt->tableElts, NULL) &&
		(bound == NULL ||
		 (!unsafe_raw_walker((Node *) bound->listdatums, NULL) &&
		  !unsafe_raw_walker((Node *) bound->lowerdatums, NULL) &&
		  !unsafe_raw_walker((Node *) bound->upperdatums, NULL)));
}

/* Kinds of DDL that act on catalogs and on the tables that they name only. */
static const char *
ddl_bar(Node *stmt, WardenStatement *statement)
{
	const char *bar = NULL;

	switch (nodeTag(stmt))
	{
		case T_TruncateStmt:
		case T_RenameStmt:
		case T_CommentStmt:
		case T_DropStmt:
		case T_CreateEnumStmt:
		case T_CreateSeqStmt:
		case T_CreateSchemaStmt:
		case T_GrantStmt:
		case T_AlterOwnerStmt:
			break;
		case T_CreateStmt:
			bar = create_is_safe((CreateStmt *) stmt) ? NULL : calls_code;
			break;
		case T_IndexStmt:
			{
				IndexStmt  *index = (IndexStmt *) stmt;

				if (unsafe_raw_walker((Node *) index->indexParams, NULL) ||
					unsafe_raw_walker(index->whereClause, NULL))
					bar = calls_code;
			}
			break;
		case T_AlterTableStmt:
			bar = alter_bar((AlterTableStmt *) stmt);
			break;
		default:
			bar = not_run;
			break;
	}
	if (bar != NULL)
		return bar;
	return warden_preview_tables_bar(warden_capture_targets(statement->objects),
									 true);
}

/* Event triggers run code at DDL. */
static bool
have_event_triggers(void)
{
	bool		have;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT FROM pg_catalog.pg_event_trigger"
					" WHERE evtenabled <> 'D'", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event triggers");
	have = SPI_processed > 0;
	SPI_finish();
	return have;
}

const char *
warden_preview_bar(WardenStatement *statement)
{
	RawStmt    *raw = warden_statement_parse(statement->statement);

	if (raw == NULL)
		return "it is not one statement";
	if (warden_review_barred(raw->stmt))
		return "it can not run in a transaction";
	switch (nodeTag(raw->stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return dml_bar(raw, statement);
		case T_SelectStmt:
			if (warden_statement_into((SelectStmt *) raw->stmt) != NULL)
				return not_run;
			return "it runs code";
		case T_DoStmt:
		case T_CallStmt:
			return "it runs code";
		default:
			if (have_event_triggers())
				return "an event trigger runs code";
			return ddl_bar(raw->stmt, statement);
	}
}
