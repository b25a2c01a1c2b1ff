/*-------------------------------------------------------------------------
 * lineage.c
 *	  Which output columns of a query carry values of labelled columns.
 *
 * An output is tainted when any column that its expression names, through
 * subqueries, CTEs, joins and set operations, is.  For a query as it runs
 * conditions do not count, they meet masks.  A materialized view met raw
 * values when it was filled, so there they taint every column: a column that
 * tells nothing is declared so with the label 'none'.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "lineage.h"
#include "mask.h"
#include "plan_stamp.h"
#include "policy.h"

/* What one query of the tree was found to be. */
typedef struct Known
{
	Query	   *query;
	Bitmapset  *tainted;
} Known;

typedef struct Lineage
{
	WardenLabelledColumn labelled;
	void	   *arg;
	List	   *sources;		/* OIDs of relations read */
	bool		opaque;			/* functions of users may read anything */
	bool		conditions;		/* out: rows were chosen, grouped or ordered by
								 * a labelled column */
	List	   *known;			/* of Known * */
} Lineage;

/* A query and the ones around it, for Vars of outer levels. */
typedef struct Scope
{
	Query	   *query;
	struct Scope *outer;
} Scope;

typedef struct Walk
{
	Lineage    *lineage;
	Scope	   *scope;
} Walk;

static Bitmapset *taint_query(Lineage *lineage, Query *query, Scope *outer);
static bool taint_walker(Node *node, Walk *walk);

static bool
tainted_expr(Lineage *lineage, Node *node, Scope *scope)
{
	Walk		walk = {lineage, scope};

	return taint_walker(node, &walk);
}

/* The query that a view or materialized view stands for. */
static Query *
view_query(Relation view)
{
	RuleLock   *rules = view->rd_rules;
	int			i;

	for (i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		RewriteRule *rule = rules->rules[i];

		if (rule->event == CMD_SELECT && list_length(rule->actions) == 1)
			return copyObject(linitial_node(Query, rule->actions));
	}
	return NULL;
}

/* Is attribute attnum (0: any) in the set of resnos? */
static bool
in_set(Bitmapset *set, AttrNumber attnum)
{
	return attnum == 0 ? !bms_is_empty(set) : bms_is_member(attnum, set);
}

static bool
tainted_view(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum)
{
	Relation	view = relation_open(rte->relid, AccessShareLock);
	Query	   *query = view_query(view);
	bool		result;

	lineage->sources = list_append_unique_oid(lineage->sources, rte->relid);
	result = query == NULL ||
		in_set(taint_query(lineage, query, NULL), attnum);
	relation_close(view, AccessShareLock);
	return result;
}

static bool
tainted_relation(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum)
{
	int			natts;

	if (rte->relkind == RELKIND_VIEW)
		return tainted_view(lineage, rte, attnum);
	lineage->sources = list_append_unique_oid(lineage->sources, rte->relid);
	if (attnum != 0)
		return attnum > 0 && lineage->labelled(rte, attnum, lineage->arg);
	natts = list_length(rte->eref->colnames);
	for (attnum = 1; attnum <= natts; attnum++)
	{
		if (lineage->labelled(rte, attnum, lineage->arg))
			return true;
	}
	return false;
}

static bool
tainted_cte(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum,
			Scope *scope)
{
	Index		levels;
	ListCell   *lc;

	for (levels = rte->ctelevelsup; levels > 0 && scope != NULL; levels--)
		scope = scope->outer;
	if (scope == NULL)
		return true;
	foreach(lc, scope->query->cteList)
	{
		CommonTableExpr *cte = lfirst(lc);

		if (strcmp(cte->ctename, rte->ctename) != 0)
			continue;

		/* A recursive term can move a value into any of the columns. */
		if (cte->cterecursive)
			attnum = 0;
		return in_set(taint_query(lineage, (Query *) cte->ctequery, scope),
					  attnum);
	}
	return true;
}

/* The nth alias of a join, or any of them. */
static bool
tainted_join(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum,
			 Scope *scope)
{
	if (attnum == 0)
		return tainted_expr(lineage, (Node *) rte->joinaliasvars, scope);
	return tainted_expr(lineage, list_nth(rte->joinaliasvars, attnum - 1),
						scope);
}

static bool
tainted_var(Lineage *lineage, Var *var, Scope *scope)
{
	RangeTblEntry *rte;
	Index		levels;

	for (levels = var->varlevelsup; levels > 0 && scope != NULL; levels--)
		scope = scope->outer;
	if (scope == NULL || var->varno <= 0 ||
		var->varno > list_length(scope->query->rtable))
		return false;
	rte = rt_fetch(var->varno, scope->query->rtable);
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return tainted_relation(lineage, rte, var->varattno);
		case RTE_SUBQUERY:
			return in_set(taint_query(lineage, rte->subquery, scope),
						  var->varattno);
		case RTE_JOIN:
			return tainted_join(lineage, rte, var->varattno, scope);
		case RTE_CTE:
			return tainted_cte(lineage, rte, var->varattno, scope);
		case RTE_FUNCTION:
			return tainted_expr(lineage, (Node *) rte->functions, scope);
		case RTE_TABLEFUNC:
			return tainted_expr(lineage, (Node *) rte->tablefunc, scope);
		case RTE_VALUES:
			return tainted_expr(lineage, (Node *) rte->values_lists, scope);
		default:
			return false;
	}
}

static bool
opaque_function(Oid funcid, void *context pg_attribute_unused())
{
	return funcid >= FirstNormalObjectId;
}

static bool
taint_walker(Node *node, Walk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return tainted_var(walk->lineage, (Var *) node, walk->scope);
	if (IsA(node, SubLink))
	{
		SubLink    *link = (SubLink *) node;

		/* EXISTS shows no value, but its own conditions are looked at. */
		if (!bms_is_empty(taint_query(walk->lineage,
									  (Query *) link->subselect,
									  walk->scope)) &&
			link->subLinkType != EXISTS_SUBLINK)
			return true;
		return taint_walker(link->testexpr, walk);
	}
	if (IsA(node, Query))
		return !bms_is_empty(taint_query(walk->lineage, (Query *) node,
										 walk->scope));
	if (walk->lineage->opaque &&
		check_functions_in_node(node, opaque_function, NULL))
		return true;
	return expression_tree_walker(node, taint_walker, walk);
}

/* The union of what the arms of a set operation give. */
static Bitmapset *
taint_set_operation(Lineage *lineage, Node *node, Scope *scope)
{
	SetOperationStmt *operation;

	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex,
									  scope->query->rtable);

		return taint_query(lineage, rte->subquery, scope);
	}
	operation = castNode(SetOperationStmt, node);
	return bms_union(taint_set_operation(lineage, operation->larg, scope),
					 taint_set_operation(lineage, operation->rarg, scope));
}

/* The subquery that mask_relation() made: its outputs are the columns. */
static RangeTblEntry *
masked_relation(Query *query)
{
	RangeTblEntry *rte;

	if (list_length(query->rtable) != 1)
		return NULL;
	rte = linitial(query->rtable);
	if (rte->rtekind == RTE_RELATION && warden_plan_stamp_marked(rte))
		return rte;
	return NULL;
}

static Bitmapset *
taint_outputs(Lineage *lineage, Scope *scope)
{
	Query	   *query = scope->query;
	RangeTblEntry *relation = masked_relation(query);
	Bitmapset  *result = NULL;
	ListCell   *lc;

	if (query->setOperations != NULL)
		return taint_set_operation(lineage, query->setOperations, scope);
	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst(lc);

		if (tainted_expr(lineage, (Node *) entry->expr, scope) ||
			(relation != NULL && IsA(entry->expr, Const) &&
			 lineage->labelled(relation, entry->resno, lineage->arg)))
			result = bms_add_member(result, entry->resno);
	}
	return result;
}

/* Is which rows there are, or their order, decided by a labelled column? */
static bool
tainted_conditions(Lineage *lineage, Scope *scope)
{
	Query	   *query = scope->query;
	ListCell   *lc;

	if (tainted_expr(lineage, (Node *) query->jointree, scope) ||
		tainted_expr(lineage, query->havingQual, scope) ||
		tainted_expr(lineage, query->limitCount, scope) ||
		tainted_expr(lineage, query->limitOffset, scope))
		return true;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		/* Joined for its rows alone, maybe. */
		if (rte->rtekind == RTE_SUBQUERY)
			(void) taint_query(lineage, rte->subquery, scope);
		else if (rte->rtekind == RTE_RELATION &&
				 rte->relkind == RELKIND_VIEW)
			(void) tainted_view(lineage, rte, 0);
	}
	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst(lc);

		if (entry->ressortgroupref != 0 &&
			tainted_expr(lineage, (Node *) entry->expr, scope))
			return true;
	}
	return false;
}

/* Resnos of tainted outputs; each query of the tree is looked at once. */
static Bitmapset *
taint_query(Lineage *lineage, Query *query, Scope *outer)
{
	Scope		scope = {query, outer};
	Known	   *known;
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, lineage->known)
	{
		known = lfirst(lc);
		if (known->query == query)
			return known->tainted;
	}

	/* Entered before it is done: a recursive CTE meets itself, untainted. */
	known = palloc0(sizeof(Known));
	known->query = query;
	lineage->known = lappend(lineage->known, known);
	known->tainted = taint_outputs(lineage, &scope);
	/* A query inside this one may have found it so meanwhile. */
	if (lineage->opaque && !lineage->conditions &&
		tainted_conditions(lineage, &scope))
		lineage->conditions = true;
	return known->tainted;
}

static List *
bitmap_to_list(Bitmapset *set)
{
	List	   *result = NIL;
	int			member = -1;

	while ((member = bms_next_member(set, member)) >= 0)
		result = lappend_int(result, member);
	return result;
}

List *
warden_lineage_query(Query *query, WardenLabelledColumn labelled, void *arg,
					 List **sources)
{
	Lineage		lineage = {.labelled = labelled, .arg = arg};
	Bitmapset  *tainted = taint_query(&lineage, query, NULL);

	if (sources != NULL)
		*sources = lineage.sources;
	return bitmap_to_list(tainted);
}

/* Labelled with something that is not declared clear. */
static bool
labelled_column(RangeTblEntry *rte, AttrNumber attnum,
				void *arg pg_attribute_unused())
{
	const WardenColumn *column = warden_policy_column(rte->relid, attnum);
	const char *mask;

	if (column == NULL)
		return false;
	mask = warden_policy_type_mask(column->type);
	return mask == NULL || !warden_mask_is_clear(mask);
}

List *
warden_lineage_matview(Relation rel, List **sources)
{
	Lineage		lineage = {.labelled = labelled_column, .opaque = true};
	Query	   *query = view_query(rel);
	Bitmapset  *tainted;

	if (query == NULL)
		return NIL;
	tainted = taint_query(&lineage, query, NULL);
	*sources = lineage.sources;

	/* Rows that labelled values chose tell about them in every column. */
	if (lineage.conditions)
		tainted = bms_add_range(tainted, 1,
								RelationGetNumberOfAttributes(rel));
	return bitmap_to_list(tainted);
}
