/*-------------------------------------------------------------------------
 * pending_preview_bar.c
 *	  Can a statement be taken back that is executed for a preview?
 *
 * Only where everything that it reaches is known: no functions but the built-in
 * ones that agents may use (and sequences), no triggers but those of foreign
 * keys, no rules, no event triggers.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
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

/* Larger tables are not rewritten, scanned or indexed just to be looked at. */
#define PREVIEW_MAX_BYTES		(64 * 1024 * 1024)

/* ---- functions ---------------------------------------------------------- */

/* check_functions_in_node callback: true for one that may not run. */
static bool
is_unsafe_function(Oid funcid, void *context pg_attribute_unused())
{
	HeapTuple	tuple;
	bool		safe;

	if (funcid == F_NEXTVAL)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return true;
	safe = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == INTERNALlanguageId ||
		((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;
	ReleaseSysCache(tuple);
	return !safe || !warden_function_gate_allows(funcid);
}

static bool
is_constrained_domain(Oid type)
{
	return OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
		DomainHasConstraints(type);
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

/* Triggers other than those of foreign keys run code. */
static const char *
trigger_bar(Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!trigger->tgisinternal || OidIsValid(trigger->tgconstrindid) == 0)
			return psprintf("table %s has trigger %s",
							RelationGetRelationName(relation),
							trigger->tgname);
	}
	return NULL;
}

static const char *
expressions_bar(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	ListCell   *cell;
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (is_constrained_domain(TupleDescAttr(desc, i)->atttypid))
			return "a column's type is a domain with constraints";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (unsafe_walker(stringToNode(desc->constr->check[i].ccbin), NULL))
			return "a CHECK constraint calls a function that is not built in";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
	{
		if (unsafe_walker(stringToNode(desc->constr->defval[i].adbin), NULL))
			return "a default calls a function that is not built in";
	}
	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		bool		unsafe;

		unsafe = unsafe_walker((Node *) RelationGetIndexExpressions(index),
							   NULL) ||
			unsafe_walker((Node *) RelationGetIndexPredicate(index), NULL);
		index_close(index, AccessShareLock);
		if (unsafe)
			return "an index calls a function that is not built in";
	}
	return NULL;
}

/* What a change to the rows or the shape of a relation would set off. */
static const char *
relation_bar(Oid relid, bool ddl)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	const char *bar = NULL;

	if (relation == NULL)
		return NULL;
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		!(ddl && relation->rd_rel->relkind != RELKIND_FOREIGN_TABLE &&
		  relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE))
		bar = "it reaches something else than a plain table";
	else if (relation->rd_rel->relkind == RELKIND_RELATION)
	{
		bar = trigger_bar(relation);
		if (bar == NULL)
			bar = expressions_bar(relation);
		if (bar == NULL && ddl &&
			(int64) RelationGetNumberOfBlocks(relation) * BLCKSZ >
			PREVIEW_MAX_BYTES)
			bar = "the table is too large to be changed just to look";
	}
	relation_close(relation, AccessShareLock);
	return bar;
}

/*
 * Foreign keys act on other tables, whose triggers count as well.  One step
 * is followed; a chain of cascades is not run.
 */
static const char *
cascade_bar(Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	const char *bar = NULL;
	int			i;

	if (relation == NULL)
		return NULL;
	for (i = 0; bar == NULL && relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (trigger->tgfoid == F_RI_FKEY_CASCADE_DEL ||
			trigger->tgfoid == F_RI_FKEY_CASCADE_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_UPD)
			bar = relation_bar(trigger->tgconstrrelid, false);
	}
	relation_close(relation, AccessShareLock);
	return bar;
}

static const char *
query_bar(Query *query)
{
	ListCell   *cell;
	const char *bar;

	if (unsafe_walker((Node *) query, NULL))
		return "it calls a function that is not built in";
	if (query->resultRelation == 0)
		return "it writes in a WITH query";
	foreach(cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (castNode(Query, cte->ctequery)->commandType != CMD_SELECT)
			return "it writes in a WITH query";
	}
	{
		Oid			relid = list_nth_node(RangeTblEntry, query->rtable,
										  query->resultRelation - 1)->relid;

		bar = relation_bar(relid, false);
		return bar != NULL ? bar : cascade_bar(relid);
	}
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

/* A type whose values are checked by code of somebody's. */
static bool
is_checked_domain(TypeName *name)
{
	Oid			type = LookupTypeNameOid(NULL, name, true);

	return OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
		DomainHasConstraints(type);
}

static bool
unsafe_raw_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		unsafe_name(((FuncCall *) node)->funcname, PROCNAMEARGSNSP))
		return true;
	if (IsA(node, A_Expr) && ((A_Expr *) node)->name != NIL &&
		unsafe_name(((A_Expr *) node)->name, OPERNAMENSP))
		return true;
	if (IsA(node, Constraint))
		return unsafe_raw_walker(((Constraint *) node)->raw_expr, context);
	/* DEFAULT, CHECK and GENERATED of a column are there before analysis */
	if (IsA(node, ColumnDef) &&
		unsafe_raw_walker((Node *) ((ColumnDef *) node)->constraints, context))
		return true;
	if (IsA(node, TypeName) && is_checked_domain((TypeName *) node))
		return true;
	return raw_expression_tree_walker(node, unsafe_raw_walker, context);
}

static bool
alter_is_safe(AlterTableStmt *stmt)
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
					return false;
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
				return false;
		}
	}
	return true;
}

/* Kinds of DDL that act on catalogs and on the tables that they name only. */
static const char *
ddl_bar(Node *stmt, WardenStatement *statement)
{
	ListCell   *cell;
	const char *bar;
	bool		safe;

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
			safe = true;
			break;
		case T_CreateStmt:
			safe = !unsafe_raw_walker((Node *) ((CreateStmt *) stmt)->tableElts,
									  NULL);
			break;
		case T_IndexStmt:
			{
				IndexStmt  *index = (IndexStmt *) stmt;

				safe = !unsafe_raw_walker((Node *) index->indexParams, NULL) &&
					!unsafe_raw_walker(index->whereClause, NULL);
			}
			break;
		case T_AlterTableStmt:
			safe = alter_is_safe((AlterTableStmt *) stmt);
			break;
		default:
			return "this kind of statement is not run for a preview";
	}
	if (!safe)
		return "it calls a function that is not built in";
	foreach(cell, warden_capture_targets(statement->objects))
	{
		bar = relation_bar(lfirst_oid(cell), true);
		if (bar != NULL)
			return bar;
	}
	return NULL;
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
		case T_DoStmt:
		case T_CallStmt:
			return "it runs code";
		default:
			if (have_event_triggers())
				return "an event trigger runs code";
			return ddl_bar(raw->stmt, statement);
	}
}
