/*-------------------------------------------------------------------------
 * review_flow.c
 *	  Review of what becomes of labelled columns: values that go into them,
 *	  conditions on them, and what is copied out of them.
 *
 * An agent sees masks, an apply works on the data: a condition that it tried
 * out selects other rows then, and a value that it read is not the value.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "lineage.h"
#include "policy.h"
#include "review_private.h"
#include "statement.h"

/* ---- labels ------------------------------------------------------------- */

/* What is known of a view: it is looked at once, however often it is named. */
typedef struct ViewLabels
{
	Oid			relid;
	List	   *columns;		/* int list: that show labelled ones */
} ViewLabels;

static bool is_labelled(Oid relid, AttrNumber attnum, List **known);

static bool
is_labelled_below(RangeTblEntry *rte, AttrNumber attnum, void *arg)
{
	return is_labelled(rte->relid, attnum, arg);
}

/*
 * Those of a view, through others, too.  Without a lock: who replaces the view
 * makes the change stale.
 */
static List *
labelled_of_view(Oid relid, List **known)
{
	ViewLabels *labels;
	Relation	view;
	ListCell   *cell;

	check_stack_depth();
	foreach(cell, *known)
	{
		labels = lfirst(cell);
		if (labels->relid == relid)
			return labels->columns;
	}
	labels = palloc0(sizeof(ViewLabels));
	labels->relid = relid;
	/* known before it is looked at: views can read each other in a circle */
	*known = lappend(*known, labels);
	view = RelationIdGetRelation(relid);
	if (RelationIsValid(view))
	{
		if (view->rd_rel->relkind == RELKIND_VIEW)
			labels->columns =
				warden_lineage_query(copyObject(get_view_query(view)),
									 is_labelled_below, known, NULL);
		RelationClose(view);
	}
	return labels->columns;
}

/* attnum 0: the whole row */
static bool
is_labelled(Oid relid, AttrNumber attnum, List **known)
{
	const WardenColumn *label;
	const WardenRelation *labels;

	if (get_rel_relkind(relid) == RELKIND_VIEW)
	{
		List	   *columns = labelled_of_view(relid, known);

		return attnum == 0 ? columns != NIL : list_member_int(columns, attnum);
	}
	if (attnum == 0)
	{
		labels = warden_policy_relation(relid);
		return labels != NULL && labels->ncolumns > 0;
	}
	label = warden_policy_column(relid, attnum);
	return label != NULL && strcmp(label->type, "none") != 0;
}

bool
warden_review_labelled(WardenReviewContext *context, Oid relid,
					   const char *column)
{
	AttrNumber	attnum;

	if (!OidIsValid(relid))
		return false;
	attnum = get_attnum(relid, column);
	return attnum > 0 && is_labelled(relid, attnum, &context->views);
}

/* Relations with labelled columns that a statement reads or writes (OIDs). */
static List *
labelled_relations(WardenReviewContext *context, Node *stmt, bool only_read)
{
	List	   *names = NIL;
	List	   *found = NIL;
	ListCell   *cell;

	if (!warden_statement_names(stmt, &names))
		return NIL;
	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);
		const WardenRelation *labels;
		Oid			relid;
		bool		created;

		if (!IsA(name->name, RangeVar) || name->use == WARDEN_USE_CREATE ||
			(only_read && name->use != WARDEN_USE_READ))
			continue;
		relid = warden_review_relid(context, (RangeVar *) name->name,
									&created);
		if (!OidIsValid(relid))
			continue;
		labels = warden_policy_relation(relid);
		if ((labels != NULL && labels->ncolumns > 0) ||
			(get_rel_relkind(relid) == RELKIND_VIEW &&
			 labelled_of_view(relid, &context->views) != NIL))
			found = lappend_oid(found, relid);
	}
	return found;
}

char *
warden_review_labelled_relation(WardenReviewContext *context, Node *stmt)
{
	List	   *relations = labelled_relations(context, stmt, true);

	return relations != NIL ? get_rel_name(linitial_oid(relations)) : NULL;
}

/* What is alone in FROM, through which a view can be written to, or NULL. */
static RangeVar *
only_source(const SelectStmt *select)
{
	if (!IsA(select, SelectStmt) || select->withClause != NULL ||
		list_length(select->fromClause) != 1 ||
		!IsA(linitial(select->fromClause), RangeVar))
		return NULL;
	return linitial_node(RangeVar, select->fromClause);
}

/* The one that a view is of, else one that it reads, with labels if there is
 * any, or InvalidOid. */
Oid
warden_review_read_relation(WardenReviewContext *context, ViewStmt *view)
{
	Node	   *stmt = (Node *) view;
	RangeVar   *source = only_source((SelectStmt *) view->query);
	List	   *relations;
	List	   *names = NIL;
	ListCell   *cell;

	if (source != NULL)
	{
		bool		created;

		return warden_review_relid(context, source, &created);
	}
	relations = labelled_relations(context, stmt, true);
	if (relations != NIL)
		return linitial_oid(relations);
	(void) warden_statement_names(stmt, &names);
	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);
		Oid			relid = InvalidOid;
		bool		created;

		if (IsA(name->name, RangeVar) && name->use == WARDEN_USE_READ)
			relid = warden_review_relid(context, (RangeVar *) name->name,
										&created);
		if (OidIsValid(relid))
			return relid;
	}
	return InvalidOid;
}

char *
warden_review_labelled_target(WardenReviewContext *context, Node *stmt)
{
	List	   *relations = labelled_relations(context, stmt, false);

	return relations != NIL ? get_rel_name(linitial_oid(relations)) : NULL;
}

/* ---- reading ------------------------------------------------------------ */

typedef struct FlowSearch
{
	WardenReviewContext *context;
	List	   *relations;		/* OIDs that the statement reads */
	char	   *found;			/* labelled column that is read */
	int			position;
} FlowSearch;

static bool
flow_walker(Node *node, FlowSearch *search)
{
	ListCell   *cell;

	if (node == NULL || search->found != NULL)
		return search->found != NULL;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		foreach(cell, search->relations)
		{
			if (IsA(last, A_Star))
				search->found = psprintf("%s.*",
										 get_rel_name(lfirst_oid(cell)));
			else if (warden_review_labelled(search->context, lfirst_oid(cell),
											strVal(last)))
				search->found = psprintf("%s.%s",
										 get_rel_name(lfirst_oid(cell)),
										 strVal(last));
			if (search->found != NULL)
			{
				search->position = ((ColumnRef *) node)->location;
				return true;
			}
		}
		return false;
	}
	return raw_expression_tree_walker(node, flow_walker, search);
}

/* A labelled column that the expressions of a statement read, or NULL. */
char *
warden_review_labelled_source(WardenReviewContext *context, Node *stmt,
							  Node *expressions)
{
	FlowSearch	search = {context, NIL, NULL, -1};

	if (expressions == NULL)
		return NULL;
	search.relations = labelled_relations(context, stmt, false);
	if (search.relations != NIL)
		(void) flow_walker(expressions, &search);
	return search.found;
}

void
warden_review_flow(WardenReviewContext *context, const char *source,
				   ReviewTable *table, const char *column)
{
	warden_review_add(context, "flow.copies_labelled", -1,
					  column != NULL ?
					  psprintf("copies labelled %s into column \"%s\" of %s, which carries no label",
							   source, column, table->name) :
					  psprintf("copies labelled %s into %s", source,
							   table->name),
					  "Label the target as its source, or leave the column out.");
}

/* ---- writing ------------------------------------------------------------ */

static bool
has_finding(WardenReviewContext *context, const char *rule,
			const char *message)
{
	ListCell   *cell;

	foreach(cell, context->findings)
	{
		WardenFinding *finding = lfirst(cell);

		if (strcmp(finding->rule, rule) == 0 &&
			(message == NULL || strcmp(finding->message, message) == 0))
			return true;
	}
	return false;
}

/* Takes its value from elsewhere in the statement: another column, a query. */
static bool
source_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef) || IsA(node, SubLink))
		return true;
	return raw_expression_tree_walker(node, source_walker, context);
}

void
warden_review_assignment(WardenReviewContext *context, ReviewTable *table,
						 const char *column, Node *value, Node *stmt)
{
	bool		elsewhere = value == NULL || source_walker(value, NULL);
	char	   *message;
	int			position = -1;

	if (column != NULL &&
		!warden_review_labelled(context, table->relid, column))
		return;
	message = column == NULL ?
		psprintf("writes labelled columns of %s", table->name) :
		psprintf("writes column \"%s\" of %s, which carries a label", column,
				 table->name);
	if (!has_finding(context, "dml.writes_labelled",
					 column != NULL ? message : NULL))
		warden_review_add(context, "dml.writes_labelled", -1, message,
						  "Check that the new value is a real one and not a masked one.");
	if ((warden_review_has_stars(context, elsewhere ? stmt : value,
								 &position) ||
		 (column != NULL && value != NULL &&
		  warden_review_is_own_mask(context, table->relid, column, value,
									&position))) &&
		!has_finding(context, "dml.mask_literal", NULL))
		warden_review_add(context, "dml.mask_literal", position,
						  column == NULL ?
						  psprintf("would overwrite labelled columns of %s with a mask",
								   table->name) :
						  psprintf("would overwrite column \"%s\" of %s with a mask",
								   column, table->name),
						  "Give the real value: what agents read of this column is masked.");
}

/* ---- conditions ---------------------------------------------------------- */

/* LIKE with a pattern that begins with a wildcard. */
static bool
wildcard_walker(Node *node, int *position)
{
	A_Expr	   *expr = (A_Expr *) node;

	if (node == NULL)
		return false;
	if (IsA(node, A_Expr) &&
		(expr->kind == AEXPR_LIKE || expr->kind == AEXPR_ILIKE) &&
		expr->rexpr != NULL && IsA(expr->rexpr, A_Const) &&
		!((A_Const *) expr->rexpr)->isnull &&
		IsA(&((A_Const *) expr->rexpr)->val, String) &&
		strVal(&((A_Const *) expr->rexpr)->val)[0] == '%')
	{
		*position = expr->location;
		return true;
	}
	return raw_expression_tree_walker(node, wildcard_walker, position);
}

void
warden_review_condition(WardenReviewContext *context, Node *stmt,
						Node *condition)
{
	char	   *source;
	int			position = -1;

	if (condition == NULL)
		return;
	if (wildcard_walker(condition, &position))
		warden_review_add(context, "dml.leading_wildcard", position,
						  pstrdup("looks for a pattern that begins with %, which no ordinary index helps with"),
						  "Begin the pattern with what is known, or expect a scan of the whole table.");
	source = warden_review_labelled_source(context, stmt, condition);
	if (source == NULL)
		return;
	warden_review_add(context, "dml.condition_labelled", -1,
					  psprintf("its rows depend on %s, which carries a label",
							   source),
					  "The agent tried it on masked values, the apply will compare the real ones: look at the preview.");
	if (warden_review_has_stars(context, condition, &position))
		warden_review_add(context, "dml.condition_mask", position,
						  psprintf("compares %s with a mask, which is in no row",
								   source),
						  "Choose the rows by a key.");
}
