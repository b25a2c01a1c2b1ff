/*-------------------------------------------------------------------------
 * gateway.c
 *	  What a gateway's backend may ask for before it has badged in, and how
 *	  the credentials that it sends stay out of what others can read.
 *
 * Queries are judged when they are parsed, so that not even the columns of a
 * table can be asked for, and again when they are planned.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "utils/backend_status.h"

#include "compat.h"
#include "catalog.h"
#include "gateway.h"
#include "identity.h"
#include "warden.h"

/* What others see of a statement that a credential is written into. */
#define SHOWN_STATEMENT	"<warden.enter or warden.leave>"

/* A constant or a bind parameter, perhaps cast by its type's own input. */
static bool
plain_value(Node *node)
{
	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
			/* Other types' input may run anything, as a domain's check. */
			return exprType(node) < FirstNormalObjectId;
		case T_NamedArgExpr:
			return plain_value((Node *) ((NamedArgExpr *) node)->arg);
		case T_RelabelType:
			return plain_value((Node *) ((RelabelType *) node)->arg);
		case T_CoerceViaIO:
			return ((CoerceViaIO *) node)->resulttype < FirstNormalObjectId &&
				plain_value((Node *) ((CoerceViaIO *) node)->arg);
		default:
			return false;
	}
}

/* Such a value, or enter() or leave() of such values. */
static bool
gateway_expression(Node *node)
{
	FuncExpr   *call = (FuncExpr *) node;
	ListCell   *lc;

	if (!IsA(node, FuncExpr))
		return plain_value(node);
	if (!OidIsValid(call->funcid) ||
		(call->funcid != warden_catalog_function("enter") &&
		 call->funcid != warden_catalog_function("leave")))
		return false;
	foreach(lc, call->args)
	{
		if (!plain_value(lfirst(lc)))
			return false;
	}
	return true;
}

/* SELECT with a target list and no other clause at all. */
static bool
bare_select(const Query *query)
{
	return query->commandType == CMD_SELECT && query->rtable == NIL &&
		query->jointree->fromlist == NIL && query->jointree->quals == NULL &&
		query->cteList == NIL && query->setOperations == NULL &&
		query->havingQual == NULL && query->limitCount == NULL &&
		query->limitOffset == NULL && query->groupClause == NIL &&
		query->groupingSets == NIL && query->windowClause == NIL &&
		query->distinctClause == NIL && query->sortClause == NIL &&
		query->rowMarks == NIL && !query->hasSubLinks && !query->hasAggs &&
		!query->hasTargetSRFs && !query->hasWindowFuncs;
}

/* Nothing but values, enter() and leave(). */
static bool
is_gateway_query(const Query *query)
{
	bool		allowed = bare_select(query);
	ListCell   *lc;

	foreach(lc, query->targetList)
		allowed = allowed &&
			gateway_expression((Node *) ((TargetEntry *) lfirst(lc))->expr);
	return allowed;
}

void
warden_gateway_check(const Query *query)
{
	if (!is_gateway_query(query))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this gateway has not badged in"),
				 errhint("Send BEGIN; SELECT warden.enter(token, on_behalf_of, request, leave_key); first.")));
}

/* ----------------------------------------------------------------------
 * Plans
 * ---------------------------------------------------------------------- */

/* All arguments given, in their order, and nothing to compute for them. */
static bool
plain_call(const FuncExpr *call)
{
	int			nargs = 0;
	ListCell   *lc;

	if (!IsA(call, FuncExpr) || !OidIsValid(call->funcid) ||
		call->funcretset || call->funcvariadic)
		return false;
	if (call->funcid == warden_catalog_function("enter"))
		nargs = 4;
	else if (call->funcid == warden_catalog_function("leave"))
		nargs = 1;
	foreach(lc, call->args)
	{
		Node	   *arg = lfirst(lc);

		if (!IsA(arg, Const) && !(IsA(arg, Param) &&
								  ((Param *) arg)->paramkind == PARAM_EXTERN))
			return false;
	}
	return nargs > 0 && list_length(call->args) == nargs;
}

/*
 * There is one way only to run these, and a planner that looks for it takes a
 * seventh of the whole.  That the function may be executed is checked when the
 * plan starts, as always; that it is still the same, by what the plan cache
 * keeps of the query.
 */
PlannedStmt *
warden_gateway_plan(const Query *query)
{
	PlannedStmt *result;
	Result	   *tree;

	if (query->targetList == NIL || list_length(query->targetList) != 1 ||
		!bare_select(query) ||
		!plain_call((FuncExpr *) linitial_node(TargetEntry,
											   query->targetList)->expr))
		return NULL;
	tree = makeNode(Result);
	tree->plan.targetlist = query->targetList;
	tree->plan.plan_rows = 1;
	result = makeNode(PlannedStmt);
	result->commandType = CMD_SELECT;
	result->queryId = query->queryId;
	result->canSetTag = query->canSetTag;
	result->planTree = &tree->plan;
	result->stmt_location = query->stmt_location;
	result->stmt_len = query->stmt_len;
	return result;
}

/* ----------------------------------------------------------------------
 * Credentials
 * ---------------------------------------------------------------------- */

/* A text that the statement spells out, where a parameter would do. */
static bool
literal_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
		return !((Const *) node)->constisnull &&
			((Const *) node)->consttype != JSONBOID;
	return expression_tree_walker(node, literal_walker, context);
}

/*
 * enter() or leave() with arguments written out, and nothing with them that
 * an agent could want to hide.
 */
static bool
spells_credential(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		Expr	   *expr = lfirst_node(TargetEntry, lc)->expr;

		if (IsA(expr, FuncExpr) && literal_walker((Node *) expr, NULL))
			return is_gateway_query(query);
	}
	return false;
}

/*
 * A statement that holds a credential has no query id, which keeps it from
 * pg_stat_statements and whoever else counts by it; pg_stat_activity and the
 * log get other words.
 */
static void
hide_credential(Query *query, const char *text)
{
	query->queryId = 0;
	pgstat_report_activity(STATE_RUNNING, SHOWN_STATEMENT);
	warden_identity_hide_statement(text);
}

void
warden_gateway_parsed(const WardenPrincipal *principal, Query *query,
					  const char *text)
{
	if (query->commandType == CMD_UTILITY)
		return;
	if (spells_credential(query))
		hide_credential(query, text);
	if (principal->class == WARDEN_CLASS_GATEWAY)
		warden_gateway_check(query);
}
