/*-------------------------------------------------------------------------
 * planning.c
 *	  What happens to a query of a governed backend before it is planned:
 *	  the gates look at it, the masks go in, and the plan is stamped.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "divert.h"
#include "function_gate.h"
#include "gateway.h"
#include "guc.h"
#include "mask_rewrite.h"
#include "nesting.h"
#include "plan_stamp.h"
#include "planning.h"
#include "policy.h"
#include "statement.h"
#include "utility_gate.h"
#include "warden.h"
#include "write_gate.h"

PG_FUNCTION_INFO_V1(warden_sql_statistics_visible);
PG_FUNCTION_INFO_V1(warden_sql_extended_statistics_visible);

static int	active = 0;			/* governed queries being planned */

bool
warden_planning_active(void)
{
	return active > 0;
}

static PlannedStmt *
plan(Query *parse, const char *query_string, int cursorOptions,
	 ParamListInfo boundParams, planner_hook_type next)
{
	if (next != NULL)
		return next(parse, query_string, cursorOptions, boundParams);
	return standard_planner(parse, query_string, cursorOptions, boundParams);
}

/* ----------------------------------------------------------------------
 * Gates
 * ---------------------------------------------------------------------- */

/* Row locks are writes to the table that nobody reviews. */
static bool
row_mark_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		if (((Query *) node)->rowMarks != NIL)
			return true;
		return query_tree_walker((Query *) node, row_mark_walker, context, 0);
	}
	return expression_tree_walker(node, row_mark_walker, context);
}

static bool
is_write(const Query *query)
{
	return query->commandType != CMD_SELECT || query->hasModifyingCTE;
}

static void
check_agent_query(Query *query)
{
	if (is_write(query))
		warden_divert_defaults(query);
	warden_function_gate_query(query);
	if (is_write(query))
		warden_divert_prepare(query);
	else if (row_mark_walker((Node *) query, NULL))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("row locks are not permitted to agents"),
				 errhint("Leave out FOR UPDATE and FOR SHARE.")));
}

/* ----------------------------------------------------------------------
 * Planning
 * ---------------------------------------------------------------------- */

/*
 * A statement that fails while it is planned, refused by a gate or by a
 * function that the planner evaluates, never gets to the executor, where
 * intents are recorded: it leaves its intent here, before the error goes on.
 */
static void
record_failed(Query *parse, const char *query_string, MemoryContext context)
{
	ErrorData  *edata;
	WardenIntent intent = {0};

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	intent.statement = warden_statement_text(query_string,
											 parse->stmt_location,
											 parse->stmt_len);
	intent.command = GetCommandTagName(CreateCommandTag((Node *) parse));
	warden_audit_intent(&intent);
	ReThrowError(edata);
}

/* A function that may run queries of its own: of SQL or a PL. */
static bool
runs_queries(Oid funcid, void *context pg_attribute_unused())
{
	return funcid >= FirstNormalObjectId &&
		warden_function_is_procedural(funcid);
}

static bool
runs_queries_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, runs_queries, context))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, runs_queries_walker, context,
								 0);
	return expression_tree_walker(node, runs_queries_walker, context);
}

/*
 * A mask function runs in a subtransaction, which a parallel worker can not
 * have.  The planner sees those of the query itself; one below a function that
 * says it may run in a worker would fail there.
 */
static int
planner_options(const WardenPrincipal *principal, Query *parse,
				int cursorOptions)
{
	if ((cursorOptions & CURSOR_OPT_PARALLEL_OK) != 0 &&
		warden_principal_masks(principal) && warden_policy_calls_functions() &&
		query_tree_walker(parse, runs_queries_walker, NULL, 0))
		return cursorOptions & ~CURSOR_OPT_PARALLEL_OK;
	return cursorOptions;
}

static PlannedStmt *
plan_governed(const WardenPrincipal *principal, Query *parse,
			  const char *query_string, int cursorOptions,
			  ParamListInfo boundParams, planner_hook_type next)
{
	/* Catalog lookups can resolve the principal anew under our feet. */
	WardenPrincipal self = *principal;
	WardenRewrite rewrite = {.principal = &self, .params = boundParams,
	.expires = DT_NOEND};
	PlannedStmt *volatile result = NULL;
	MemoryContext context = CurrentMemoryContext;

	WardenPolicyState policy = {0, 0, 0};

	warden_principal_require(&self);

	/* Before it is looked at: what changes meanwhile makes the plan stale. */
	if (warden_principal_masks(&self) && warden_catalog_installed())
		policy = warden_policy_state(&self);
	if (self.class == WARDEN_CLASS_GATEWAY)
		warden_gateway_check(parse);
	active++;
	PG_TRY();
	{
		if (self.class == WARDEN_CLASS_AGENT)
		{
			warden_utility_check_startup();
			check_agent_query(parse);
		}
		else if (self.class == WARDEN_CLASS_MASKED)
			warden_write_gate_check(parse, &self);
		if (warden_principal_masks(&self))
			warden_mask_rewrite(parse, &rewrite);
		/* Another library's planner wants to see every query. */
		if (next == NULL && (cursorOptions & CURSOR_OPT_SCROLL) == 0)
			result = warden_gateway_plan(parse);
		if (result == NULL)
			result = plan(parse, query_string,
					  planner_options(&self, parse, cursorOptions),
					  boundParams, next);
	}
	PG_CATCH();
	{
		active--;
		if (self.class == WARDEN_CLASS_AGENT && active == 0 &&
			query_string != NULL && !warden_nesting_inside() &&
			!warden_audit_unsettled())
			record_failed(parse, query_string, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	active--;
	result->invalItems = list_concat(result->invalItems, rewrite.invalItems);
	warden_plan_stamp_set(result, &self, &policy, rewrite.expires,
						  rewrite.masked, rewrite.untrusted);
	return result;
}

/*
 * A foreign key's own query, which names its two tables and nothing else.
 * What a rule of the table adds to it, or puts in its place, is a query like
 * any other.
 */
static bool
is_foreign_key_query(const Query *query)
{
	ListCell   *lc;

	if (query->querySource != QSRC_ORIGINAL || query->hasSubLinks ||
		query->cteList != NIL)
		return false;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind != RTE_RELATION && rte->rtekind != RTE_JOIN)
			return false;
	}
	return true;
}

/*
 * Foreign key checks run as the table's owner on raw values, whoever wrote
 * the row; no row of theirs reaches the statement.  What such a query calls
 * is governed again.
 */
static PlannedStmt *
plan_foreign_key(const WardenPrincipal *principal, Query *parse,
				 const char *query_string, int cursorOptions,
				 ParamListInfo boundParams, planner_hook_type next)
{
	WardenPolicyState policy = {0, 0, 0};
	WardenForeignKey saved;
	PlannedStmt *volatile result = NULL;

	warden_nesting_enter_query(&saved);
	PG_TRY();
	{
		if (!is_foreign_key_query(parse))
			result = plan_governed(principal, parse, query_string,
								   cursorOptions, boundParams, next);
		else
		{
			result = plan(parse, query_string, cursorOptions, boundParams,
						  next);
			warden_plan_stamp_set(result, principal, &policy, DT_NOEND, NIL,
								  NIL);
		}
	}
	PG_FINALLY();
	{
		warden_nesting_leave_query(&saved);
	}
	PG_END_TRY();
	return result;
}

PlannedStmt *
warden_planning_run(const WardenPrincipal *principal, Query *parse,
					const char *query_string, int cursorOptions,
					ParamListInfo boundParams, planner_hook_type next)
{
	WardenPolicyState policy = {0, 0, 0};
	PlannedStmt *result;

	if (principal->class == WARDEN_CLASS_NONE)
	{
		result = plan(parse, query_string, cursorOptions, boundParams, next);
		if (warden_principal_labels_exist() && !warden_principal_internal())
			warden_plan_stamp_set(result, principal, &policy, DT_NOEND, NIL,
								  NIL);
		return result;
	}
	if (warden_nesting_foreign_key())
		return plan_foreign_key(principal, parse, query_string, cursorOptions,
								boundParams, next);
	return plan_governed(principal, parse, query_string, cursorOptions,
						 boundParams, next);
}

/* ----------------------------------------------------------------------
 * Statistics and indexes
 * ---------------------------------------------------------------------- */

bool
warden_planning_hides_column(Oid relid, AttrNumber attnum)
{
	const WardenPrincipal *principal = warden_principal_current();
	const WardenRelation *relation;
	TimestampTz expires = DT_NOEND;

	if (!warden_principal_masks(principal) || relid < FirstNormalObjectId)
		return false;
	relation = warden_policy_relation(relid);
	return (relation != NULL && relation->refused) ||
		warden_policy_mask(principal, relid, attnum, &expires) != NULL;
}

/* Does an index expression use a column whose values are hidden? */
static bool
expression_uses_hidden(Node *expression, Index varno, Oid relid)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	pull_varattnos(expression, varno, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (attnum == 0 || warden_planning_hides_column(relid, attnum))
			return true;
	}
	return false;
}

/* Does the index key? */
static bool
key_uses_hidden(Relation index, int key, List *expressions, Oid relid)
{
	AttrNumber	attnum = index->rd_index->indkey.values[key];
	int			position = 0;
	int			i;

	if (attnum != 0)
		return warden_planning_hides_column(relid, attnum);
	for (i = 0; i < key; i++)
		position += (index->rd_index->indkey.values[i] == 0);
	if (position >= list_length(expressions))
		return true;
	return expression_uses_hidden(list_nth(expressions, position), 1, relid);
}

bool
warden_planning_hides_index(Oid indexid, AttrNumber attnum)
{
	Relation	index = try_relation_open(indexid, AccessShareLock);
	bool		hidden = true;

	/* A row of statistics does not keep its index from being dropped. */
	if (index == NULL)
		return true;
	if (index->rd_index != NULL && attnum >= 1 &&
		attnum <= index->rd_index->indnatts)
		hidden = key_uses_hidden(index, attnum - 1,
								 RelationGetIndexExpressions(index),
								 index->rd_index->indrelid);
	relation_close(index, AccessShareLock);
	return hidden;
}

/* Do rows come out of the index in an order that hidden values take part in? */
static bool
orders_hidden(const IndexOptInfo *index, Oid relid)
{
	int			i;

	for (i = 0; i < index->nkeycolumns; i++)
	{
		if (index->indexkeys[i] != 0 &&
			warden_planning_hides_column(relid, index->indexkeys[i]))
			return true;
	}
	return expression_uses_hidden((Node *) index->indexprs, index->rel->relid,
								  relid);
}

/*
 * What is asked of its other columns may use such an index, but by a bitmap,
 * which gives the rows in the order in which they lie.
 */
void
warden_planning_check_relation(PlannerInfo *root, RelOptInfo *rel)
{
	Oid			relid = root->simple_rte_array[rel->relid]->relid;
	ListCell   *lc;

	warden_plan_stamp_verify_relation(root, rel, warden_principal_current());
	if (warden_policy_relation(relid) == NULL && !warden_unlabelled_masked)
		return;
	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(lc);

		if (orders_hidden(index, relid))
		{
			index->amhasgettuple = false;
			index->amcanparallel = false;
		}
	}
}

/*
 * warden.statistics_visible(relation oid, attnum int2) -> bool
 *
 * Whether the caller may see statistics of that column, or index column.
 * The rewrite puts it into every query of a governed role on pg_statistic.
 */
Datum
warden_sql_statistics_visible(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	AttrNumber	attnum = PG_GETARG_INT16(1);
	char		relkind = get_rel_relkind(relid);

	if (!warden_principal_masks(warden_principal_current()))
		PG_RETURN_BOOL(true);
	/* What others ran is in the library's own tables. */
	if (get_rel_namespace(relid) == warden_catalog_schema())
		PG_RETURN_BOOL(false);
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		PG_RETURN_BOOL(!warden_planning_hides_index(relid, attnum));
	PG_RETURN_BOOL(relkind != '\0' &&
				   !warden_planning_hides_column(relid, attnum));
}

/* Any column that the statistics object covers, or computes from, hidden? */
static bool
extended_statistics_hidden(const FormData_pg_statistic_ext *form,
						   bool has_expressions)
{
	int			i;

	if (has_expressions)
		return warden_policy_relation(form->stxrelid) != NULL ||
			warden_unlabelled_masked;
	for (i = 0; i < form->stxkeys.dim1; i++)
	{
		if (warden_planning_hides_column(form->stxrelid,
										 form->stxkeys.values[i]))
			return true;
	}
	return false;
}

/*
 * warden.extended_statistics_visible(statistics oid) -> bool
 *
 * The same for an extended statistics object.
 */
Datum
warden_sql_extended_statistics_visible(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple;
	Form_pg_statistic_ext form;
	bool		no_expressions;
	bool		hidden;

	if (!warden_principal_masks(warden_principal_current()))
		PG_RETURN_BOOL(true);
	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(PG_GETARG_OID(0)));
	if (!HeapTupleIsValid(tuple))
		PG_RETURN_BOOL(false);
	(void) SysCacheGetAttr(STATEXTOID, tuple, Anum_pg_statistic_ext_stxexprs,
						   &no_expressions);
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	hidden = extended_statistics_hidden(form, !no_expressions);
	ReleaseSysCache(tuple);
	PG_RETURN_BOOL(!hidden);
}
