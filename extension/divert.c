/*-------------------------------------------------------------------------
 * divert.c
 *	  An agent's write becomes a pending change instead of running.
 *
 * The plan is started for explanation only: permissions of what it reads are
 * checked as ever, nothing is opened for writing, and the Run and Finish hooks
 * leave it alone, so that the client sees the tag of the command with no rows
 * and, with RETURNING, the right row description.
 *
 * Invariants:
 * - Permission is decided before anything is recorded, without a look at data.
 * - One statement of the client is recorded once, whatever rules made of it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "compat.h"
#include "divert.h"
#include "pending.h"
#include "statement.h"
#include "utility_gate.h"
#include "warden.h"

#define WRITE_RIGHTS	(ACL_INSERT | ACL_UPDATE | ACL_DELETE)

/* ---- the statement as the client sent it -------------------------------- */

/*
 * The text and raw tree of a planned statement.  What EXECUTE runs has the
 * whole PREPARE for a source.
 */
static RawStmt *
raw_of_plan(PlannedStmt *pstmt, const char *source, char **text)
{
	RawStmt    *raw;

	*text = warden_statement_text(source, pstmt->stmt_location,
								  pstmt->stmt_len);
	raw = warden_statement_parse(*text);
	if (raw != NULL && IsA(raw->stmt, PrepareStmt))
	{
		*text = warden_statement_prepared(*text);
		raw = *text != NULL ? warden_statement_parse(*text) : NULL;
	}
	if (raw == NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("the statement can not be recorded by itself"),
				 errhint("Send one statement at a time, or propose it with warden.propose().")));
	return raw;
}

static void
fill_capture(WardenCapture *capture, RawStmt *raw, char *text,
			 ParamListInfo params)
{
	memset(capture, 0, sizeof(*capture));
	capture->statement = text;
	capture->raw = raw;
	capture->command = GetCommandTagName(CreateCommandTag(raw->stmt));
	capture->params = params;
	capture->estimated_rows = -1;
	warden_statement_refuse_secrets(raw->stmt, text);
	warden_statement_refuse_cursor(raw->stmt);
	if (!warden_statement_names(raw->stmt, &capture->names))
		warden_utility_refuse(raw->stmt,
							  "this form of the statement can not be proposed",
							  "Propose it as plain statements, one by one.");
	warden_statement_resolve(capture->names, NIL);
	warden_statement_permit(capture->names);
}

/* ---- what the table computes --------------------------------------------- */

/* Those defaults of the relation which call what is volatile, as the rewriter
 * puts them into the query. */
static List *
volatile_defaults(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	List	   *defaults = NIL;
	int			i;

	for (i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Node	   *value = NULL;

		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			value = build_column_default(rel, i + 1);
		if (value != NULL && contain_volatile_functions(value))
			defaults = lappend(defaults, value);
	}
	relation_close(rel, NoLock);
	return defaults;
}

/* Of the relation that is written to, and of the views that led to it, which
 * stay in the query as no others do. */
static List *
target_defaults(const Query *query)
{
	List	   *defaults = NIL;
	ListCell   *cell;

	if (query->resultRelation == 0)
		return NIL;
	foreach(cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte == rt_fetch(query->resultRelation, query->rtable) ||
			(rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_VIEW))
			defaults = list_concat(defaults, volatile_defaults(rte->relid));
	}
	return defaults;
}

static Node *
without_default(Node *value, List *defaults)
{
	if (!list_member(defaults, value))
		return value;
	return (Node *) makeNullConst(exprType(value), exprTypmod(value),
								  exprCollation(value));
}

static void
targets_without_defaults(List *targets, List *defaults)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		target->expr = (Expr *) without_default((Node *) target->expr,
												defaults);
	}
}

/* INSERT of several rows: DEFAULT may stand in any of them. */
static void
rows_without_defaults(List *rtable, List *defaults)
{
	ListCell   *cell;
	ListCell   *row;
	ListCell   *value;

	foreach(cell, rtable)
	{
		foreach(row, lfirst_node(RangeTblEntry, cell)->values_lists)
		{
			foreach(value, lfirst_node(List, row))
				lfirst(value) = without_default(lfirst(value), defaults);
		}
	}
}

static bool
drop_defaults(Node *node, void *context)
{
	Query	   *query;
	List	   *defaults;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, drop_defaults, context);
	query = (Query *) node;
	defaults = target_defaults(query);
	if (defaults != NIL)
	{
		targets_without_defaults(query->targetList, defaults);
		rows_without_defaults(query->rtable, defaults);
		if (query->onConflict != NULL)
			targets_without_defaults(query->onConflict->onConflictSet,
									 defaults);
		foreach(cell, query->mergeActionList)
			targets_without_defaults(lfirst_node(MergeAction, cell)->targetList,
									 defaults);
	}
	return query_tree_walker(query, drop_defaults, context, 0);
}

void
warden_divert_defaults(Query *query)
{
	(void) drop_defaults((Node *) query, NULL);
}

/* ---- queries ------------------------------------------------------------ */

static bool
writes(const PlannedStmt *pstmt)
{
	return pstmt->commandType == CMD_INSERT ||
		pstmt->commandType == CMD_UPDATE ||
		pstmt->commandType == CMD_DELETE ||
		pstmt->commandType == CMD_MERGE || pstmt->hasModifyingCTE;
}

/*
 * Rules can turn one statement into several plans; the first of them that
 * writes stands for the statement.
 */
static bool
stands_for_statement(PlannedStmt *pstmt)
{
	ListCell   *cell;

	if (ActivePortal == NULL ||
		!list_member_ptr(ActivePortal->stmts, pstmt))
		return true;
	foreach(cell, ActivePortal->stmts)
	{
		PlannedStmt *other = lfirst_node(PlannedStmt, cell);

		if (other == pstmt)
			return true;
		if (writes(other))
			return false;
	}
	return true;
}

bool
warden_divert_left_alone(const PlannedStmt *pstmt)
{
	const PlannedStmt *first = NULL;
	ListCell   *cell;

	foreach(cell, ActivePortal->stmts)
	{
		PlannedStmt *other = lfirst_node(PlannedStmt, cell);

		if (writes(other))
			return false;
		if (first == NULL && other->commandType == CMD_UTILITY)
			first = other;
	}
	return first == pstmt;
}

/* The rows that the plan expects to write, -1 where it does not say. */
static double
estimate_rows(PlannedStmt *pstmt)
{
	Plan	   *plan = pstmt->planTree;

	if (plan == NULL || !IsA(plan, ModifyTable) || outerPlan(plan) == NULL)
		return -1;
	return outerPlan(plan)->plan_rows;
}

/*
 * A copy of the plan that asks for no right to write: whether the write may
 * be proposed is decided here instead.
 */
static PlannedStmt *
plan_without_write_rights(PlannedStmt *pstmt)
{
	PlannedStmt *copy = makeNode(PlannedStmt);
	ListCell   *cell;

	/* the executor leaves the rest as it is */
	*copy = *pstmt;
	copy->rtable = copyObject(pstmt->rtable);
	WARDEN_COPY_PLAN_PERMS(copy);
	foreach(cell, copy->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		WardenPerms *perms = warden_rte_perms(WARDEN_PLAN_PERMS(copy), rte);

		if (perms == NULL || (perms->requiredPerms & WRITE_RIGHTS) == 0)
			continue;
		warden_statement_permit_write(rte->relid,
									  OidIsValid(perms->checkAsUser) ?
									  perms->checkAsUser : GetUserId());
		perms->requiredPerms &= ~WRITE_RIGHTS;
	}
	return copy;
}

static bool
relax_views(Node *node, void *context)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, relax_views, context);
	foreach(cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		WardenPerms *perms;

		if (rte->relkind != RELKIND_VIEW || !OidIsValid(rte->relid))
			continue;
		perms = warden_rte_perms(WARDEN_QUERY_PERMS((Query *) node), rte);
		if (perms == NULL || (perms->requiredPerms & WRITE_RIGHTS) == 0)
			continue;
		warden_statement_permit_write(rte->relid,
									  OidIsValid(perms->checkAsUser) ?
									  perms->checkAsUser : GetUserId());
		perms->requiredPerms &= ~WRITE_RIGHTS;
	}
	return query_tree_walker((Query *) node, relax_views, context, 0);
}

bool
warden_divert_leaves_nothing(Query *query)
{
	Relation	target;
	bool		ruled;

	if (likely(query->resultRelation == 0))
		return false;
	target = relation_open(rt_fetch(query->resultRelation,
									query->rtable)->relid, NoLock);
	ruled = target->rd_rules != NULL;
	relation_close(target, NoLock);
	return ruled && QueryRewrite(copyObject(query)) == NIL;
}

void
warden_divert_prepare(Query *query)
{
	(void) relax_views((Node *) query, NULL);
}

/*
 * By way of the next library: those that keep a stack of statements, as pgaudit
 * does, look for this one on it when permissions are checked.
 */
static void
start_explained(QueryDesc *queryDesc, int eflags, ExecutorStart_hook_type next)
{
	eflags |= EXEC_FLAG_EXPLAIN_ONLY;
	if (next != NULL)
		next(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (!warden_divert_started(queryDesc))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_UNMASKED),
				 errmsg("another library has started a write that must not run"),
				 errhint("Take the libraries that were added last out of shared_preload_libraries, and report this.")));
}

void
warden_divert_query(QueryDesc *queryDesc, int eflags,
					ExecutorStart_hook_type next)
{
	PlannedStmt *pstmt = queryDesc->plannedstmt;
	WardenCapture capture;
	RawStmt    *raw;
	char	   *text;
	bool		record = stands_for_statement(pstmt);

	if (record)
	{
		raw = raw_of_plan(pstmt, queryDesc->sourceText, &text);
		fill_capture(&capture, raw, text, queryDesc->params);
		capture.estimated_rows = estimate_rows(pstmt);
	}
	queryDesc->plannedstmt = plan_without_write_rights(pstmt);
	start_explained(queryDesc, eflags, next);
	if (record)
		(void) warden_pending_record(&capture);
}

void
warden_divert_rights(QueryDesc *queryDesc)
{
	queryDesc->plannedstmt = plan_without_write_rights(queryDesc->plannedstmt);
}

bool
warden_divert_started(QueryDesc *queryDesc)
{
	/* nothing else runs what was started so: EXPLAIN stops after Start */
	return queryDesc->estate != NULL &&
		(queryDesc->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
}

/* ---- utility statements ------------------------------------------------- */

/* The tag of a command that filled nothing. */
static CommandTag
tag_of_utility(Node *stmt)
{
	if (IsA(stmt, CreateTableAsStmt) &&
		!((CreateTableAsStmt *) stmt)->into->skipData)
		return CMDTAG_SELECT;
	return CreateCommandTag(stmt);
}

void
warden_divert_utility(PlannedStmt *pstmt, const char *queryString,
					  ParamListInfo params, QueryCompletion *qc)
{
	WardenCapture capture;
	RawStmt    *raw;
	char	   *text;

	raw = raw_of_plan(pstmt, queryString, &text);
	fill_capture(&capture, raw, text, params);
	(void) warden_pending_record(&capture);
	if (qc != NULL)
		SetQueryCompletion(qc, tag_of_utility(pstmt->utilityStmt), 0);
}
