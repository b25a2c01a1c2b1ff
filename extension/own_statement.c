/*-------------------------------------------------------------------------
 * own_statement.c
 *	  Is it the client's own statement that writes one of our tables, or
 *	  something that the statement sets off?
 *
 * What people decide must be their own idea: not that of whoever has hung a
 * trigger, a rule, a view or a function on something they touch.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "compat.h"
#include "own_statement.h"
#include "warden.h"

bool
warden_own_portal(void)
{
	return ActivePortal != NULL && ActivePortal->sourceText != NULL &&
		debug_query_string != NULL &&
		strcmp(ActivePortal->sourceText, debug_query_string) == 0;
}

/* The raw statement behind the active portal; NULL where that is unclear. */
static Node *
portal_statement(void)
{
	List	   *raw;
	int			location;
	ListCell   *lc;

	if (!warden_own_portal() || ActivePortal->stmts == NIL)
		return NULL;
	raw = raw_parser(ActivePortal->sourceText, RAW_PARSE_DEFAULT);
	if (list_length(raw) == 1)
		return linitial_node(RawStmt, raw)->stmt;
	location = linitial_node(PlannedStmt, ActivePortal->stmts)->stmt_location;
	foreach(lc, raw)
	{
		if (lfirst_node(RawStmt, lc)->stmt_location == location)
			return lfirst_node(RawStmt, lc)->stmt;
	}
	return NULL;
}

/* The relations (of RangeVar *) that a raw statement writes, by itself. */
static List *
written_relations(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			return ((InsertStmt *) stmt)->withClause != NULL ? NIL :
				list_make1(((InsertStmt *) stmt)->relation);
		case T_UpdateStmt:
			return ((UpdateStmt *) stmt)->withClause != NULL ? NIL :
				list_make1(((UpdateStmt *) stmt)->relation);
		case T_DeleteStmt:
			return ((DeleteStmt *) stmt)->withClause != NULL ? NIL :
				list_make1(((DeleteStmt *) stmt)->relation);
		case T_CopyStmt:
			return ((CopyStmt *) stmt)->is_from ?
				list_make1(((CopyStmt *) stmt)->relation) : NIL;
		case T_TruncateStmt:
			return ((TruncateStmt *) stmt)->relations;
		default:
			return NIL;
	}
}

/* A cascade runs in a query of its own, as the tables' owner. */
static bool
is_cascade(Relation relation, Oid written)
{
	return InNoForceRLSOperation() &&
		GetUserId() == relation->rd_rel->relowner &&
		get_rel_namespace(written) == RelationGetNamespace(relation);
}

/*
 * The executor's memory hangs on the portal's where the portal itself runs
 * the statement; SPI's and functions' executors hang on memory of theirs.
 * COPY and TRUNCATE have no executor and run in the portal's.
 */
bool
warden_own_writes(FunctionCallInfo fcinfo)
{
	Relation	relation = ((TriggerData *) fcinfo->context)->tg_relation;
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	Node	   *stmt = portal_statement();
	ListCell   *lc;

	if (stmt == NULL)
		return false;
	foreach(lc, written_relations(stmt))
	{
		Oid			written = RangeVarGetRelid(lfirst_node(RangeVar, lc),
											   NoLock, true);

		if (is_cascade(relation, written))
			return true;
		/* TRUNCATE ... CASCADE takes tables of ours with it */
		if ((written == RelationGetRelid(relation) ||
			 (IsA(stmt, TruncateStmt) && get_rel_namespace(written) ==
			  RelationGetNamespace(relation))) &&
			(context == ActivePortal->portalContext ||
			 context->parent == ActivePortal->portalContext))
			return true;
	}
	return false;
}
