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

#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/prs2lock.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "lineage.h"
#include "plan_stamp.h"
#include "policy.h"

/* What one query of the tree was found to be. */
typedef struct Known
{
	Query	   *query;
	Bitmapset  *tainted;
	int			pass;			/* in which it was looked at last */
	bool		looking;		/* is looked at now */
	bool		met;			/* by itself: a recursive CTE */
} Known;

/* The query of a view, copied once so that it is known when met again. */
typedef struct View
{
	Oid			relid;
	Query	   *query;
} View;

typedef struct Lineage
{
	WardenLabelledColumn labelled;
	void	   *arg;
	List	   *sources;		/* OIDs of relations read */
	bool		opaque;			/* functions of users may read anything */
	bool		conditions;		/* out: rows were chosen, grouped or ordered by
								 * a labelled column */
	List	   *known;			/* of Known * */
	List	   *views;			/* of View * */
	int			pass;
	bool		again;			/* out: a recursive CTE met itself untainted,
								 * and is not */
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

/*
 * Without a lock, for which whoever replaces a view would wait, having it, for
 * who replaces another.
 */
static Query *
known_view_query(Lineage *lineage, Oid relid)
{
	Relation	rel;
	View	   *view;
	ListCell   *lc;

	foreach(lc, lineage->views)
	{
		view = lfirst(lc);
		if (view->relid == relid)
			return view->query;
	}
	view = palloc0(sizeof(View));
	view->relid = relid;
	rel = RelationIdGetRelation(relid);
	if (RelationIsValid(rel))
	{
		view->query = view_query(rel);
		RelationClose(rel);
	}
	lineage->views = lappend(lineage->views, view);
	return view->query;
}

static bool
tainted_view(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum)
{
	Query	   *query = known_view_query(lineage, rte->relid);

	lineage->sources = list_append_unique_oid(lineage->sources, rte->relid);
	return query == NULL ||
		in_set(taint_query(lineage, query, NULL), attnum);
}

/* Now, that is: a query that was stored can have it for the table it was. */
static bool
is_view(const RangeTblEntry *rte)
{
	return get_rel_relkind(rte->relid) == RELKIND_VIEW;
}

static bool
tainted_relation(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum)
{
	int			natts;

	if (is_view(rte))
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

/* The nth expression that a query groups by, or any of them. */
static bool
tainted_group(Lineage *lineage, RangeTblEntry *rte, AttrNumber attnum,
			  Scope *scope)
{
	List	   *exprs = WARDEN_GROUP_EXPRS(rte);

	if (attnum > 0 && attnum <= list_length(exprs))
		return tainted_expr(lineage, list_nth(exprs, attnum - 1), scope);
	return tainted_expr(lineage, (Node *) exprs, scope);
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
			return tainted_group(lineage, rte, var->varattno, scope);
	}
}

/* Functions of users, and the server's own that run SQL they are given. */
static bool
opaque_function(Oid funcid, void *context pg_attribute_unused())
{
	switch (funcid)
	{
		case F_QUERY_TO_XML:
		case F_QUERY_TO_XML_AND_XMLSCHEMA:
		case F_TABLE_TO_XML:
		case F_TABLE_TO_XML_AND_XMLSCHEMA:
		case F_SCHEMA_TO_XML:
		case F_SCHEMA_TO_XML_AND_XMLSCHEMA:
		case F_DATABASE_TO_XML:
		case F_DATABASE_TO_XML_AND_XMLSCHEMA:
		case F_CURSOR_TO_XML:
		case F_TS_STAT_TEXT:
		case F_TS_STAT_TEXT_TEXT:
		case F_TS_REWRITE_TSQUERY_TEXT:
			return true;
		default:
			return funcid >= FirstNormalObjectId;
	}
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

/*
 * What is joined for its rows alone, maybe, has conditions of its own, and a
 * function or a sample as many rows as its arguments say.  Only what the join
 * tree reaches: a view's query names the view itself beside it.
 */
static bool
tainted_rows(Lineage *lineage, RangeTblEntry *rte, Scope *scope)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			if (is_view(rte))
				(void) tainted_view(lineage, rte, 0);
			return tainted_expr(lineage, (Node *) rte->tablesample, scope);
		case RTE_SUBQUERY:
			(void) taint_query(lineage, rte->subquery, scope);
			return false;
		case RTE_CTE:
			(void) tainted_cte(lineage, rte, 0, scope);
			return false;
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
joined_walker(Node *node, Walk *walk)
{
	if (node == NULL || IsA(node, Query))
		return false;
	if (IsA(node, RangeTblRef))
		return tainted_rows(walk->lineage,
							rt_fetch(((RangeTblRef *) node)->rtindex,
									 walk->scope->query->rtable),
							walk->scope);
	return expression_tree_walker(node, joined_walker, walk);
}

/* The offsets of a window's frame choose rows for what is computed over it. */
static bool
tainted_windows(Lineage *lineage, Scope *scope)
{
	ListCell   *lc;

	foreach(lc, scope->query->windowClause)
	{
		WindowClause *window = lfirst(lc);

		if (tainted_expr(lineage, window->startOffset, scope) ||
			tainted_expr(lineage, window->endOffset, scope))
			return true;
	}
	return false;
}

static bool
compares_rows(Node *node)
{
	SetOperationStmt *operation = (SetOperationStmt *) node;

	return node != NULL && IsA(node, SetOperationStmt) &&
		(!operation->all || operation->op != SETOP_UNION ||
		 compares_rows(operation->larg) || compares_rows(operation->rarg));
}

/*
 * Do tainted outputs decide how many rows there are: rows that a set
 * operation compares, or what functions in the target list return?
 */
static bool
tainted_count(Query *query, Bitmapset *tainted)
{
	return !bms_is_empty(tainted) &&
		(query->hasTargetSRFs || compares_rows(query->setOperations));
}

/* Is which rows there are, or their order, decided by a labelled column? */
static bool
tainted_conditions(Lineage *lineage, Scope *scope)
{
	Query	   *query = scope->query;
	Walk		walk = {lineage, scope};
	ListCell   *lc;

	if (joined_walker((Node *) query->jointree, &walk) ||
		tainted_expr(lineage, (Node *) query->jointree, scope) ||
		tainted_expr(lineage, query->havingQual, scope) ||
		tainted_expr(lineage, query->limitCount, scope) ||
		tainted_expr(lineage, query->limitOffset, scope) ||
		tainted_windows(lineage, scope))
		return true;
	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst(lc);

		if (entry->ressortgroupref != 0 &&
			tainted_expr(lineage, (Node *) entry->expr, scope))
			return true;
	}
	return false;
}

/* Looks at one query; what it is known as says what it finds of itself. */
static Bitmapset *
look_at_query(Lineage *lineage, Query *query, Scope *outer)
{
	Scope		scope = {query, outer};
	Bitmapset  *tainted = taint_outputs(lineage, &scope);

	/* A query inside this one may have found it so meanwhile. */
	if (lineage->opaque && !lineage->conditions &&
		(tainted_count(query, tainted) ||
		 tainted_conditions(lineage, &scope)))
		lineage->conditions = true;
	return tainted;
}

static Known *
find_known(Lineage *lineage, Query *query)
{
	Known	   *known;
	ListCell   *lc;

	foreach(lc, lineage->known)
	{
		known = lfirst(lc);
		if (known->query == query)
			return known;
	}
	known = palloc0(sizeof(Known));
	known->query = query;
	lineage->known = lappend(lineage->known, known);
	return known;
}

/*
 * Resnos of tainted outputs; each query of the tree is looked at once in a
 * pass.  A recursive CTE meets itself as it was found in the pass before.
 */
static Bitmapset *
taint_query(Lineage *lineage, Query *query, Scope *outer)
{
	Known	   *known = find_known(lineage, query);
	Bitmapset  *tainted;

	check_stack_depth();
	if (known->pass == lineage->pass)
	{
		known->met |= known->looking;
		return known->tainted;
	}
	known->pass = lineage->pass;
	known->looking = true;
	tainted = look_at_query(lineage, query, outer);
	known->looking = false;
	if (known->met && bms_is_empty(known->tainted) && !bms_is_empty(tainted))
		lineage->again = true;
	known->tainted = tainted;
	return tainted;
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
	Lineage		lineage = {.labelled = labelled, .arg = arg, .pass = 1};
	Bitmapset  *tainted = taint_query(&lineage, query, NULL);

	if (sources != NULL)
		*sources = lineage.sources;
	return bitmap_to_list(tainted);
}

/* Catalogs that hold values of users' columns. */
static bool
value_catalog(Oid relid, AttrNumber attnum)
{
	return relid == StatisticRelationId ||
		relid == StatisticExtDataRelationId ||
		(relid == AttributeRelationId &&
		 attnum == Anum_pg_attribute_attmissingval);
}

/*
 * Labelled with something that is not clear for everybody, or of a copy that
 * is refused itself, or of statistics.
 */
static bool
labelled_column(RangeTblEntry *rte, AttrNumber attnum,
				void *arg pg_attribute_unused())
{
	const WardenColumn *column = warden_policy_column(rte->relid, attnum);
	const WardenRelation *relation;

	if (column == NULL)
	{
		relation = warden_policy_relation(rte->relid);
		return (relation != NULL && relation->refused) ||
			value_catalog(rte->relid, attnum);
	}
	return warden_policy_column_hides(column);
}

/*
 * The attribute numbers of a materialized view's tainted columns.  What the
 * recursive term of a CTE is chosen by matters for a copy, so where one turns
 * out to be tainted all is looked at again.  Which of its columns are is not
 * asked, so each CTE lets that happen once at most.
 */
static List *
taint_matview(Lineage *lineage, Relation rel)
{
	Query	   *query = view_query(rel);
	Bitmapset  *tainted;

	if (query == NULL)
		return NIL;
	do
	{
		lineage->pass++;
		lineage->again = false;
		tainted = taint_query(lineage, query, NULL);
	} while (lineage->again);

	/* Rows that labelled values chose tell about them in every column. */
	if (lineage->conditions)
		tainted = bms_add_range(tainted, 1,
								RelationGetNumberOfAttributes(rel));
	return bitmap_to_list(tainted);
}

List *
warden_lineage_matview(Relation rel, List **sources)
{
	Lineage		lineage = {.labelled = labelled_column, .opaque = true};
	List	   *result = taint_matview(&lineage, rel);

	*sources = lineage.sources;
	return result;
}

List *
warden_lineage_matview_with(Relation rel, Oid relid, Query *query)
{
	Lineage		lineage = {.labelled = labelled_column, .opaque = true};
	View	   *view = palloc(sizeof(View));

	view->relid = relid;
	view->query = query;
	lineage.views = list_make1(view);
	return taint_matview(&lineage, rel);
}
