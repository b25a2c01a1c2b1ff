/*-------------------------------------------------------------------------
 * mask_rewrite.c
 *	  Replaces each range table entry of a relation with masked columns by a
 *	  subquery that computes the masks, before the planner sees the query.
 *
 * The planner pulls such a subquery up again, so columns without a mask keep
 * their indexes and plans, and nothing above the scan can see a raw value:
 * predicates, joins, whole rows, errors.  Views are expanded and row security
 * quals attached by then, so one rewrite serves every road to the planner.
 *
 * Invariants:
 * - Every relation that was looked at carries the mark of plan_stamp.c, masked
 *	 or found to need no mask: the verifier refuses a labelled one without.
 * - rte->securityQuals are the owner's row rules and work on raw values; what
 *	 they read is marked, not masked.
 * - Output columns of the subquery have the number, type, typmod and collation
 *	 of the relation's, so no Var of the outer query changes but those of
 *	 system columns.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "parser/analyze.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "catalog.h"
#include "function_gate.h"
#include "lineage.h"
#include "mask_output.h"
#include "mask_rewrite.h"
#include "nesting.h"
#include "plan_stamp.h"
#include "policy.h"
#include "row_rules.h"
#include "warden.h"
#include "write_gate.h"

static void rewrite_query(Query *query, WardenRewrite *rewrite);
static bool subquery_walker(Node *node, WardenRewrite *rewrite);
static void inline_function_entry(Query *query, RangeTblEntry *rte,
								  WardenRewrite *rewrite);

static void
mark(RangeTblEntry *rte)
{
	rte->enrname = pstrdup(warden_plan_stamp_mark());
}

/* ----------------------------------------------------------------------
 * Row security quals
 * ---------------------------------------------------------------------- */

/*
 * Marks every relation below a row security qual as one to be read raw.  What
 * a function reads is masked, whether the planner would inline it or not.
 */
static bool
exempt_walker(Node *node, WardenRewrite *rewrite)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst(lc);

			if (rte->rtekind == RTE_RELATION)
				mark(rte);
			else if (rte->rtekind == RTE_FUNCTION)
			{
				inline_function_entry(query, rte, rewrite);
				if (rte->rtekind == RTE_SUBQUERY)
					rewrite_query(rte->subquery, rewrite);
			}
		}
		return query_tree_walker(query, exempt_walker, rewrite, 0);
	}
	return expression_tree_walker(node, exempt_walker, rewrite);
}

/* ----------------------------------------------------------------------
 * Columns that the query names
 * ---------------------------------------------------------------------- */

typedef struct NamedColumns
{
	int			rti;
	Index		levels_up;
	Bitmapset  *own;			/* the relation's, by attnum */
	bool		system[-FirstLowInvalidHeapAttributeNumber];	/* by -attnum */
	bool		any_system;
	bool		whole_row;
	AttrNumber	position[-FirstLowInvalidHeapAttributeNumber];
	AttrNumber	whole_row_position;
	bool		remap;			/* second pass */
} NamedColumns;

/*
 * First pass: which columns of the relation the outer query names, and
 * whether it names the whole row.  Second pass: renumbers the Vars of system
 * columns.  A Var that was renumbered has a positive number, so meeting it
 * twice is harmless.
 */
static bool
named_column_walker(Node *node, NamedColumns *columns)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno != columns->rti ||
			var->varlevelsup != columns->levels_up)
			return false;
		if (var->varattno > 0)
		{
			if (!columns->remap)
				columns->own = bms_add_member(columns->own, var->varattno);
			return false;
		}
		if (var->varattno == 0)
		{
			columns->whole_row = true;
			if (columns->remap && columns->any_system)
				var->varattno = var->varattnosyn =
					columns->whole_row_position;
			return false;
		}
		columns->system[-var->varattno] = true;
		columns->any_system = true;
		if (columns->remap)
			var->varattno = var->varattnosyn =
				columns->position[-var->varattno];
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		columns->levels_up++;
		result = query_tree_walker((Query *) node, named_column_walker,
								   columns, 0);
		columns->levels_up--;
		return result;
	}
	return expression_tree_walker(node, named_column_walker, columns);
}

/* Row rules of the relation are still the outer query's: theirs count too. */
static void
find_named_columns(Query *outer, int rti, NamedColumns *columns)
{
	memset(columns, 0, sizeof(*columns));
	columns->rti = rti;
	(void) query_tree_walker(outer, named_column_walker, columns, 0);
}

/* A RowExpr of the relation's own columns, of its row type. */
static Expr *
make_row(Query *inner, Relation rel)
{
	RowExpr    *row = makeNode(RowExpr);
	ListCell   *lc;

	foreach(lc, inner->targetList)
	{
		TargetEntry *entry = lfirst(lc);

		if (entry->resno > RelationGetNumberOfAttributes(rel))
			break;
		row->args = lappend(row->args, copyObject(entry->expr));
		row->colnames = lappend(row->colnames, makeString(entry->resname));
	}
	row->row_typeid = rel->rd_rel->reltype;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->location = -1;
	return (Expr *) row;
}

static AttrNumber
append_output(Query *inner, RangeTblEntry *rte, Expr *expr, const char *name)
{
	AttrNumber	resno = list_length(inner->targetList) + 1;

	/* Not junk: the planner could not find it when it pushes a qual down. */
	inner->targetList = lappend(inner->targetList,
								makeTargetEntry(expr, resno, pstrdup(name),
												false));
	rte->eref->colnames = lappend(rte->eref->colnames,
								  makeString(pstrdup(name)));
	return resno;
}

/* Adds the system columns that the outer query names to the outputs. */
static void
add_system_columns(Query *outer, RangeTblEntry *rte, Query *inner,
				   Relation rel, NamedColumns *columns)
{
	AttrNumber	attnum;

	if (!columns->any_system)
		return;

	if (columns->whole_row)
		columns->whole_row_position =
			append_output(inner, rte, make_row(inner, rel),
						  RelationGetRelationName(rel));
	for (attnum = -1; attnum > FirstLowInvalidHeapAttributeNumber; attnum--)
	{
		const FormData_pg_attribute *att;
		Var		   *var;

		if (!columns->system[-attnum])
			continue;
		att = SystemAttributeDefinition(attnum);
		var = makeVar(1, attnum, att->atttypid, att->atttypmod,
					  att->attcollation, 0);
		columns->position[-attnum] = append_output(inner, rte, (Expr *) var,
												   NameStr(att->attname));
	}
	columns->remap = true;
	(void) query_tree_walker(outer, named_column_walker, columns, 0);
}

/* ----------------------------------------------------------------------
 * One relation
 * ---------------------------------------------------------------------- */

/* The subquery's only range table entry takes over what the outer one had. */
static RangeTblEntry *
make_inner_entry(Query *outer, int rti, RangeTblEntry *rte, Query *inner)
{
	RangeTblEntry *entry = copyObject(rte);

	mark(entry);
	entry->lateral = false;
	warden_move_perms(outer, rte, inner, entry);
	if (entry->securityQuals != NIL)
	{
		ChangeVarNodes((Node *) entry->securityQuals, rti, 1, 0);
		inner->hasRowSecurity = true;
		inner->hasSubLinks = checkExprHasSubLink((Node *) entry->securityQuals);
	}
	if (entry->tablesample != NULL)
		IncrementVarSublevelsUp((Node *) entry->tablesample, 1, 0);
	return entry;
}

static Query *
make_inner_query(Query *outer, int rti, RangeTblEntry *rte)
{
	Query	   *inner = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);
	RangeTblEntry *entry;

	inner->commandType = CMD_SELECT;
	inner->querySource = QSRC_ORIGINAL;
	inner->canSetTag = true;
	entry = make_inner_entry(outer, rti, rte, inner);
	inner->rtable = list_make1(entry);
	ref->rtindex = 1;
	inner->jointree = makeFromExpr(list_make1(ref), NULL);
	return inner;
}

/* The outer entry becomes that subquery. */
static void
replace_entry(RangeTblEntry *rte, Query *inner)
{
	RangeTblEntry *entry = linitial(inner->rtable);

	rte->lateral |= entry->tablesample != NULL &&
		contain_vars_of_level((Node *) entry->tablesample, 1);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = inner;
	rte->security_barrier = false;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->tablesample = NULL;
	rte->inh = false;
	rte->securityQuals = NIL;
}

/* FOR UPDATE of the masked class: the lock must reach the relation's rows. */
static void
push_row_marks(Query *outer, int rti, Query *inner)
{
	ListCell   *lc;

	foreach(lc, outer->rowMarks)
	{
		RowMarkClause *clause = lfirst(lc);

		if (clause->rti == (Index) rti)
			applyLockingClause(inner, 1, clause->strength, clause->waitPolicy,
							   true);
	}
}

/*
 * Policies that are not the owner's to declare see what the query sees;
 * outputs are what stands for the entry's columns, the first of its query.
 */
static void
rewrite_row_rules(RangeTblEntry *rte, List *outputs, WardenRewrite *rewrite)
{
	if (rte->securityQuals == NIL)
		return;
	if (warden_row_rules_trusted(rte->relid, rewrite->principal))
	{
		(void) exempt_walker((Node *) rte->securityQuals, rewrite);
		return;
	}
	(void) subquery_walker((Node *) rte->securityQuals, rewrite);
	if (outputs != NIL)
		rte->securityQuals = (List *)
			warden_mask_output_replace((Node *) rte->securityQuals, 1, rte,
									   outputs);
}

static TargetEntry *
make_output(Form_pg_attribute att, WardenMask mask, Relation rel,
			const NamedColumns *columns)
{
	if (mask.spec == NULL || columns->whole_row ||
		bms_is_member(att->attnum, columns->own))
		return warden_mask_output_make(att, mask, rel, 1);
	return warden_mask_output_unread(att, mask);
}

static void
mask_relation(Query *query, int rti, RangeTblEntry *rte, Relation rel,
			  WardenMask *masks, WardenRewrite *rewrite)
{
	Query	   *inner = make_inner_query(query, rti, rte);
	NamedColumns columns;
	int			i;

	find_named_columns(query, rti, &columns);
	for (i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		inner->targetList =
			lappend(inner->targetList,
					make_output(TupleDescAttr(RelationGetDescr(rel), i),
								masks[i + 1], rel, &columns));
	rewrite_row_rules(linitial(inner->rtable), inner->targetList, rewrite);
	add_system_columns(query, rte, inner, rel, &columns);
	push_row_marks(query, rti, inner);
	replace_entry(rte, inner);
	rewrite->any = true;
}

/*
 * Statistics hold values: rows of labelled columns are hidden by a filter of
 * our own inside the same kind of subquery.
 */
static const char *
statistics_filter(Oid relid)
{
	if (relid == StatisticRelationId)
		return "statistics_visible";
	if (relid == StatisticExtDataRelationId)
		return "extended_statistics_visible";
	return NULL;
}

static void
filter_statistics(Query *query, int rti, RangeTblEntry *rte,
				  const char *filter)
{
	Relation	rel = table_open(rte->relid, NoLock);
	Query	   *inner = make_inner_query(query, rti, rte);
	Oid			funcid = warden_catalog_function(filter);
	WardenMask	clear = {NULL, NULL};
	NamedColumns columns;
	RangeTblEntry *entry;
	List	   *args;
	int			i;

	if (!OidIsValid(funcid))
		elog(ERROR, "function %s.%s is missing", WARDEN_SCHEMA, filter);
	for (i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(rel), i);

		inner->targetList = lappend(inner->targetList,
									warden_mask_output_make(attribute, clear,
															rel, 1));
	}
	args = list_make1(makeVar(1, 1, OIDOID, -1, InvalidOid, 0));
	if (rte->relid == StatisticRelationId)
		args = lappend(args, makeVar(1, 2, INT2OID, -1, InvalidOid, 0));

	/* Before whatever the query's conditions could tell of a hidden row. */
	entry = linitial(inner->rtable);
	entry->securityQuals = list_make1(makeFuncExpr(funcid, BOOLOID, args,
												   InvalidOid, InvalidOid,
												   COERCE_EXPLICIT_CALL));
	inner->hasRowSecurity = true;
	find_named_columns(query, rti, &columns);
	add_system_columns(query, rte, inner, rel, &columns);
	replace_entry(rte, inner);
	table_close(rel, NoLock);
}

/*
 * The value that rows have of a column that was added after them is in
 * pg_attribute: nobody is shown that one.
 */
typedef struct NamesColumn
{
	int			rti;
	AttrNumber	attnum;
	Index		levels_up;
} NamesColumn;

/* Is the column named, or the whole row? */
static bool
names_column_walker(Node *node, NamesColumn *column)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		return var->varno == column->rti &&
			var->varlevelsup == column->levels_up &&
			(var->varattno == column->attnum || var->varattno == 0);
	}
	if (IsA(node, Query))
	{
		bool		result;

		column->levels_up++;
		result = query_tree_walker((Query *) node, names_column_walker,
								   column, 0);
		column->levels_up--;
		return result;
	}
	return expression_tree_walker(node, names_column_walker, column);
}

static void
hide_missing_values(Query *query, int rti, RangeTblEntry *rte)
{
	NamesColumn column = {.rti = rti,
	.attnum = Anum_pg_attribute_attmissingval};
	WardenMask	clear = {NULL, NULL};
	NamedColumns columns;
	Relation	rel;
	Query	   *inner;
	int			i;

	if (!query_tree_walker(query, names_column_walker, &column, 0))
		return;
	rel = table_open(rte->relid, NoLock);
	inner = make_inner_query(query, rti, rte);
	for (i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		TargetEntry *entry = warden_mask_output_make(att, clear, rel, 1);

		if (att->attnum == Anum_pg_attribute_attmissingval)
			entry->expr = (Expr *) makeNullConst(att->atttypid, att->atttypmod,
												 att->attcollation);
		inner->targetList = lappend(inner->targetList, entry);
	}
	find_named_columns(query, rti, &columns);
	add_system_columns(query, rte, inner, rel, &columns);
	replace_entry(rte, inner);
	table_close(rel, NoLock);
}

static bool
has_untrusted(const WardenRelation *relation)
{
	int			i;

	for (i = 0; relation != NULL && i < relation->ncolumns; i++)
	{
		if (relation->columns[i].untrusted)
			return true;
	}
	return false;
}

/* One relation that the join tree reads. */
static void
rewrite_relation(Query *query, int rti, RangeTblEntry *rte,
				 WardenRewrite *rewrite)
{
	const WardenRelation *relation = warden_policy_relation(rte->relid);
	const char *filter = statistics_filter(rte->relid);
	WardenMask *masks;
	bool		any;
	Relation	rel;

	if (filter != NULL)
	{
		filter_statistics(query, rti, rte, filter);
		return;
	}
	if (rte->relid == AttributeRelationId)
		hide_missing_values(query, rti, rte);
	if (relation != NULL && relation->refused)
		warden_plan_stamp_refuse_copies(relation);
	if (rte->rtekind != RTE_RELATION || rte->relid < FirstNormalObjectId)
		return;
	if (has_untrusted(relation))
		rewrite->any_untrusted = true;
	rel = table_open(rte->relid, NoLock);
	masks = warden_mask_output_collect(rel, rewrite->principal,
									   &rewrite->expires, &any);
	if (any && rewrite->principal->class == WARDEN_CLASS_MASKED)
		warden_write_gate_check_rights(rte->relid, rewrite->principal);
	if (any)
		mask_relation(query, rti, rte, rel, masks, rewrite);
	else
	{
		mark(rte);
		rewrite_row_rules(rte, NIL, rewrite);
	}
	table_close(rel, NoLock);
}

/* ----------------------------------------------------------------------
 * Set-returning SQL functions
 * ---------------------------------------------------------------------- */

/*
 * The planner would inline such a function after the rewrite, and the body
 * would escape it.  So it is inlined here, by the planner's own code, with
 * just as much of a planner's state as that code looks at.
 */
static void
inline_function_entry(Query *query, RangeTblEntry *rte,
					  WardenRewrite *rewrite)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	Query	   *body;

	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = rewrite->params;
	root->parse = query;
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	rte->functions = (List *)
		eval_const_expressions(root, (Node *) rte->functions);
	body = inline_set_returning_function(root, rte);
	rewrite->invalItems = list_concat(rewrite->invalItems,
									  root->glob->invalItems);
	if (body == NULL)
		return;

	/* The gate's walk has seen the call, and not what it stands for. */
	if (rewrite->principal->class == WARDEN_CLASS_AGENT)
		warden_function_gate_query(body);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = body;
	rte->security_barrier = false;
	rte->functions = NIL;
}

/* ----------------------------------------------------------------------
 * Functions that show other sessions
 * ---------------------------------------------------------------------- */

/* The function of this entry that is to be narrowed, or InvalidOid. */
static Oid
narrowed_function(RangeTblEntry *rte)
{
	ListCell   *lc;

	foreach(lc, rte->functions)
	{
		Node	   *call = ((RangeTblFunction *) lfirst(lc))->funcexpr;

		if (!IsA(call, FuncExpr) ||
			!warden_function_gate_narrowed(((FuncExpr *) call)->funcid))
			continue;
		if (list_length(rte->functions) == 1)
			return ((FuncExpr *) call)->funcid;
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("%s is not permitted inside ROWS FROM",
						get_func_name(((FuncExpr *) call)->funcid)),
				 errhint("Use the view pg_locks or pg_prepared_statements, which shows what is the session's own.")));
	}
	return InvalidOid;
}

/*
 * Of all locks those whose pid is the backend's, of the statements that were
 * prepared in it those that this transaction has prepared.
 */
static Node *
own_rows(Oid funcid, List *columns)
{
	bool		locks = (funcid == F_PG_LOCK_STATUS);
	FuncExpr   *own = makeFuncExpr(locks ? F_PG_BACKEND_PID : F_NOW,
								   locks ? INT4OID : TIMESTAMPTZOID, NIL,
								   InvalidOid, InvalidOid,
								   COERCE_EXPLICIT_CALL);

	return (Node *) makeFuncExpr(locks ? F_INT4EQ : F_TIMESTAMPTZ_GE, BOOLOID,
								 list_make2(list_nth(columns, locks ? 11 : 2),
											own),
								 InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/*
 * Such a call becomes a subquery that keeps what is the session's own; its
 * entry has no volatile call left that the gate would have to let through.
 */
static void
narrow_function(RangeTblEntry *rte, Oid funcid)
{
	Query	   *inner = makeNode(Query);
	RangeTblEntry *entry = copyObject(rte);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List	   *names;
	List	   *vars;
	ListCell   *lc;
	ListCell   *lname;

	inner->commandType = CMD_SELECT;
	inner->querySource = QSRC_ORIGINAL;
	inner->canSetTag = true;
	inner->rtable = list_make1(entry);
	ref->rtindex = 1;
	expandRTE(entry, 1, 0, VAR_RETURNING_DEFAULT, -1, true, &names, &vars);
	forboth(lc, vars, lname, names)
	{
		AttrNumber	position = list_length(inner->targetList) + 1;

		inner->targetList = lappend(inner->targetList,
									makeTargetEntry(lfirst(lc), position,
													strVal(lfirst(lname)),
													false));
	}
	inner->jointree = makeFromExpr(list_make1(ref), own_rows(funcid, vars));
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = inner;
	rte->security_barrier = false;
	rte->functions = NIL;
	rte->funcordinality = false;
}

/* ----------------------------------------------------------------------
 * The walk
 * ---------------------------------------------------------------------- */

static bool
subquery_walker(Node *node, WardenRewrite *rewrite)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		rewrite_query((Query *) node, rewrite);
		return false;
	}
	return expression_tree_walker(node, subquery_walker, rewrite);
}

/* Range table indexes that the join tree reads. */
static void
collect_read(Node *node, Bitmapset **read)
{
	ListCell   *lc;

	if (node == NULL)
		return;
	switch (nodeTag(node))
	{
		case T_RangeTblRef:
			*read = bms_add_member(*read, ((RangeTblRef *) node)->rtindex);
			break;
		case T_FromExpr:
			foreach(lc, ((FromExpr *) node)->fromlist)
				collect_read(lfirst(lc), read);
			break;
		case T_JoinExpr:
			collect_read(((JoinExpr *) node)->larg, read);
			collect_read(((JoinExpr *) node)->rarg, read);
			break;
		default:
			elog(ERROR, "unrecognized node type in a join tree: %d",
				 (int) nodeTag(node));
	}
}

/* What one range table entry holds below itself. */
static void
rewrite_entry_children(Query *query, RangeTblEntry *rte,
					   WardenRewrite *rewrite)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			(void) subquery_walker((Node *) rte->tablesample, rewrite);
			break;
		case RTE_SUBQUERY:
			break;
		case RTE_FUNCTION:
			if (OidIsValid(narrowed_function(rte)))
			{
				narrow_function(rte, narrowed_function(rte));
				return;
			}
			inline_function_entry(query, rte, rewrite);
			(void) subquery_walker((Node *) rte->functions, rewrite);
			break;
		case RTE_JOIN:
			(void) subquery_walker((Node *) rte->joinaliasvars, rewrite);
			break;
		case RTE_TABLEFUNC:
			(void) subquery_walker((Node *) rte->tablefunc, rewrite);
			break;
		case RTE_VALUES:
			(void) subquery_walker((Node *) rte->values_lists, rewrite);
			break;
		case RTE_CTE:
		case RTE_RESULT:
			break;
		case RTE_NAMEDTUPLESTORE:
			/* A transition table: rows of a write that was allowed to run. */
			break;
		default:
			if (WARDEN_GROUP_EXPRS(rte) != NIL)
			{
				(void) subquery_walker((Node *) WARDEN_GROUP_EXPRS(rte),
									   rewrite);
				return;
			}
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("unrecognized kind of range table entry: %d",
							(int) rte->rtekind),
					 errhint("This version of pg_warden does not know how to mask it; write the query in another way.")));
	}
	if (rte->rtekind == RTE_SUBQUERY)
		rewrite_query(rte->subquery, rewrite);
}

/* Would planning the target ask a foreign server? */
static bool
reads_foreign(RangeTblEntry *target)
{
	ListCell   *lc;

	if (!target->inh)
		return target->relkind == RELKIND_FOREIGN_TABLE;
	foreach(lc, find_all_inheritors(target->relid, NoLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

/*
 * The target of a write.  Its columns stay raw where the write runs: the gate
 * has decided what it may read of them.  An agent's does not: EXPLAIN shows
 * its plan, and one that is recorded has its number of rows estimated, with
 * statistics hidden, which no raw value decides but at a foreign server.
 */
static void
rewrite_target(Query *query, WardenRewrite *rewrite)
{
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	List	   *views = warden_row_rules_of_views(query, query->resultRelation);
	List	   *policies = list_copy_head(target->securityQuals,
										  list_length(target->securityQuals) -
										  list_length(views));

	mark(target);
	if (warden_row_rules_trusted(target->relid, rewrite->principal))
		(void) exempt_walker((Node *) policies, rewrite);
	else
		(void) subquery_walker((Node *) policies, rewrite);
	(void) subquery_walker((Node *) views, rewrite);
	if (rewrite->principal->class == WARDEN_CLASS_AGENT &&
		(warden_nesting_inside() || reads_foreign(target)))
		warden_mask_output_target(query, rewrite->principal,
								  &rewrite->expires);
}

/* Takes the owner's checks of new rows out of a query that is to be walked. */
static List *
detach_row_checks(Query *query, WardenRewrite *rewrite)
{
	List	   *policies = NIL;
	List	   *views = NIL;
	RangeTblEntry *target;
	ListCell   *lc;

	if (query->withCheckOptions == NIL)
		return NIL;
	target = rt_fetch(query->resultRelation, query->rtable);
	if (!warden_row_rules_trusted(target->relid, rewrite->principal))
		return NIL;
	foreach(lc, query->withCheckOptions)
	{
		WithCheckOption *check = lfirst(lc);

		if (warden_row_rules_check_of_policy(check))
			policies = lappend(policies, check);
		else
			views = lappend(views, check);
	}
	(void) exempt_walker((Node *) policies, rewrite);
	query->withCheckOptions = views;
	return policies;
}

static void
rewrite_query(Query *query, WardenRewrite *rewrite)
{
	Bitmapset  *read = NULL;
	int			rti;

	List	   *checks;

	if (query->commandType == CMD_UTILITY)
		return;
	check_stack_depth();
	checks = detach_row_checks(query, rewrite);
	(void) query_tree_walker(query, subquery_walker, rewrite,
							 QTW_IGNORE_RANGE_TABLE);
	for (rti = 1; rti <= list_length(query->rtable); rti++)
		rewrite_entry_children(query, rt_fetch(rti, query->rtable), rewrite);

	collect_read((Node *) query->jointree, &read);
	if (query->resultRelation > 0)
	{
		rewrite_target(query, rewrite);
		query->withCheckOptions = list_concat(checks, query->withCheckOptions);
		read = bms_del_member(read, query->resultRelation);
	}
	for (rti = 1; rti <= list_length(query->rtable); rti++)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind != RTE_RELATION)
			continue;
		if (bms_is_member(rti, read))
			rewrite_relation(query, rti, rte, rewrite);
		else
			/* OLD, NEW and excluded stand for rows of the target; nothing
			 * scans an entry that the join tree does not name. */
			mark(rte);
	}
}

/* ----------------------------------------------------------------------
 * Which results are masked, and which hold what outsiders wrote
 * ---------------------------------------------------------------------- */

static bool
masked_column(RangeTblEntry *rte, AttrNumber attnum, void *arg)
{
	WardenRewrite *rewrite = arg;

	return warden_policy_mask(rewrite->principal, rte->relid, attnum,
							  &rewrite->expires) != NULL;
}

static bool
untrusted_column(RangeTblEntry *rte, AttrNumber attnum,
				 void *arg pg_attribute_unused())
{
	const WardenColumn *column = warden_policy_column(rte->relid, attnum);

	return column != NULL && column->untrusted;
}

void
warden_mask_rewrite(Query *query, WardenRewrite *rewrite)
{
	rewrite->expires = DT_NOEND;
	rewrite->invalItems = NIL;
	rewrite->masked = NIL;
	rewrite->untrusted = NIL;
	rewrite->any = false;
	rewrite->any_untrusted = false;
	rewrite_query(query, rewrite);
	if (rewrite->any)
		rewrite->masked = warden_lineage_query(query, masked_column, rewrite,
											   NULL);
	if (rewrite->any_untrusted)
		rewrite->untrusted = warden_lineage_query(query, untrusted_column,
												  NULL, NULL);
}
