/*-------------------------------------------------------------------------
 * review_dml.c
 *	  Review of INSERT, UPDATE, DELETE, MERGE, of SELECT that writes or calls,
 *	  and of DO and CALL.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "review_private.h"
#include "statement.h"

/* A statement that touches more rows than this deserves a second look. */
#define MANY_ROWS		1000.0
#define VERY_MANY_ROWS	100000.0

/* Rows of VALUES that nobody reads one by one. */
#define MANY_VALUES		1000

/* ---- WHERE -------------------------------------------------------------- */

static bool
same_column(Node *left, Node *right)
{
	return IsA(left, ColumnRef) && IsA(right, ColumnRef) &&
		equal(((ColumnRef *) left)->fields, ((ColumnRef *) right)->fields);
}

static bool
same_constant(Node *left, Node *right)
{
	return IsA(left, A_Const) && IsA(right, A_Const) &&
		!((A_Const *) left)->isnull && !((A_Const *) right)->isnull &&
		equal(&((A_Const *) left)->val, &((A_Const *) right)->val);
}

static bool
is_true_constant(Node *node)
{
	if (IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (!IsA(node, A_Const) || ((A_Const *) node)->isnull)
		return false;
	if (IsA(&((A_Const *) node)->val, Boolean))
		return boolVal(&((A_Const *) node)->val);
	return IsA(&((A_Const *) node)->val, String) &&
		(pg_strcasecmp(strVal(&((A_Const *) node)->val), "t") == 0 ||
		 pg_strcasecmp(strVal(&((A_Const *) node)->val), "true") == 0);
}

/* True of every row, but for NULLs: not a proof, the usual spellings. */
static bool
is_always_true(Node *node)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, A_Expr))
	{
		A_Expr	   *expr = (A_Expr *) node;
		char	   *name = strVal(llast(expr->name));

		if (expr->kind != AEXPR_OP || expr->lexpr == NULL ||
			expr->rexpr == NULL)
			return false;
		return (strcmp(name, "=") == 0 || strcmp(name, "<=") == 0 ||
				strcmp(name, ">=") == 0) &&
			(same_column(expr->lexpr, expr->rexpr) ||
			 same_constant(expr->lexpr, expr->rexpr));
	}
	if (IsA(node, BoolExpr))
	{
		BoolExpr   *expr = (BoolExpr *) node;

		foreach(cell, expr->args)
		{
			bool		one = is_always_true(lfirst(cell));

			if (expr->boolop == OR_EXPR && one)
				return true;
			if (expr->boolop == AND_EXPR && !one)
				return false;
		}
		return expr->boolop == AND_EXPR;
	}
	return is_true_constant(node);
}

static void
review_where(WardenReviewContext *context, Node *where, ReviewTable *table,
			 const char *verb)
{
	if (table->created)
		return;
	if (where == NULL)
		warden_review_add_risk(context, "dml.no_where",
							   table->rows >= VERY_MANY_ROWS ?
							   WARDEN_RISK_CRITICAL : WARDEN_RISK_HIGH, -1,
							   psprintf("%s every row of %s (%s)", verb,
										table->name, table->size),
							   "Add a WHERE clause that names the rows that are meant.");
	else if (is_always_true(where))
		warden_review_add(context, "dml.where_always_true",
						  exprLocation(where),
						  psprintf("the WHERE clause is true of every row of %s (%s)",
								   table->name, table->size),
						  "Add a condition that names the rows that are meant.");
}

/* ---- how many ----------------------------------------------------------- */

typedef struct KeySearch
{
	const char *name;			/* by which the statement calls its target */
	List	   *columns;		/* of char *: compared with = to a constant */
} KeySearch;

/* A column of the target, or NULL: another table's has that one's name. */
static char *
target_column(const ColumnRef *column, const KeySearch *search)
{
	int			n = list_length(column->fields);

	if (!IsA(llast(column->fields), String) ||
		(n > 1 && strcmp(strVal(list_nth(column->fields, n - 2)),
						 search->name) != 0))
		return NULL;
	return strVal(llast(column->fields));
}

static bool
is_plain_value(Node *node)
{
	if (node != NULL && IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	return node != NULL && (IsA(node, A_Const) || IsA(node, ParamRef));
}

/* Columns that conjuncts fix to one value (or, with IN, to a few). */
static void
collect_fixed(Node *node, KeySearch *search, int *few)
{
	ListCell   *cell;

	if (node == NULL)
		return;
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
	{
		foreach(cell, ((BoolExpr *) node)->args)
			collect_fixed(lfirst(cell), search, few);
	}
	else if (IsA(node, A_Expr))
	{
		A_Expr	   *expr = (A_Expr *) node;
		Node	   *column = expr->lexpr;
		bool		fixed = false;

		if (strcmp(strVal(llast(expr->name)), "=") != 0 || column == NULL)
			return;
		if (expr->kind == AEXPR_OP)
		{
			fixed = is_plain_value(expr->rexpr);
			if (!fixed && is_plain_value(column))
			{
				column = expr->rexpr;
				fixed = true;
			}
		}
		else if (expr->kind == AEXPR_IN && IsA(expr->rexpr, List))
		{
			fixed = true;
			foreach(cell, (List *) expr->rexpr)
				fixed = fixed && is_plain_value(lfirst(cell));
			*few = Max(*few, list_length((List *) expr->rexpr));
		}
		if (fixed && IsA(column, ColumnRef) &&
			target_column((ColumnRef *) column, search) != NULL)
			search->columns = lappend(search->columns,
									  target_column((ColumnRef *) column,
													search));
	}
}

/* A column of the target on the one side, something of others on the other. */
static bool
joins_target(Node *column, Node *other, const KeySearch *search)
{
	return column != NULL && IsA(column, ColumnRef) &&
		target_column((ColumnRef *) column, search) != NULL &&
		!is_plain_value(other) &&
		!(IsA(other, ColumnRef) &&
		  list_length(((ColumnRef *) other)->fields) > 1 &&
		  target_column((ColumnRef *) other, search) != NULL);
}

/* Some conjunct compares a column of the target with = to something that is not
 * the same for all rows of the source. */
static bool
compares_target(Node *node, const KeySearch *search)
{
	A_Expr	   *expr = (A_Expr *) node;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == AND_EXPR)
	{
		foreach(cell, ((BoolExpr *) node)->args)
		{
			if (compares_target(lfirst(cell), search))
				return true;
		}
		return false;
	}
	if (!IsA(node, A_Expr) || expr->kind != AEXPR_OP ||
		strcmp(strVal(llast(expr->name)), "=") != 0)
		return false;
	return joins_target(expr->lexpr, expr->rexpr, search) ||
		(expr->lexpr != NULL &&
		 joins_target(expr->rexpr, expr->lexpr, search));
}

static bool
index_is_fixed(Relation index, Oid relid, KeySearch *search)
{
	int			i;

	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];
		char	   *name;
		ListCell   *cell;

		if (attnum <= 0)
			return false;
		name = get_attname(relid, attnum, false);
		foreach(cell, search->columns)
		{
			if (strcmp(lfirst(cell), name) == 0)
				break;
		}
		if (cell == NULL)
			return false;
	}
	return true;
}

/* The WHERE clause fixes all columns of a unique index. */
static bool
fixes_unique_key(ReviewTable *table, KeySearch *search)
{
	Relation	relation = try_relation_open(table->relid, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	if (relation == NULL)
		return false;
	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (index->rd_index->indisunique && index->rd_index->indisvalid &&
			RelationGetIndexPredicate(index) == NIL &&
			index_is_fixed(index, table->relid, search))
			found = true;
		index_close(index, AccessShareLock);
	}
	relation_close(relation, AccessShareLock);
	return found;
}

/*
 * The table that a view is of, for the rows that a write to the view may touch,
 * and what its columns are called there.
 */
static void
look_through_view(ReviewTable *table, KeySearch *search)
{
	Relation	view = RelationIdGetRelation(table->relid);
	List	   *columns = NIL;
	ListCell   *cell;
	RangeTblEntry *rte = NULL;
	Query	   *query;

	if (!RelationIsValid(view))
	{
		memset(table, 0, sizeof(*table));
		return;
	}
	query = copyObject(get_view_query(view));
	RelationClose(view);
	if (list_length(query->jointree->fromlist) == 1 &&
		IsA(linitial(query->jointree->fromlist), RangeTblRef))
		rte = rt_fetch(linitial_node(RangeTblRef,
									 query->jointree->fromlist)->rtindex,
					   query->rtable);
	if (rte != NULL && rte->rtekind != RTE_RELATION)
		rte = NULL;
	foreach(cell, rte != NULL ? search->columns : NIL)
	{
		AttrNumber	attnum = get_attnum(table->relid, lfirst(cell));
		TargetEntry *entry = attnum > 0 ?
			get_tle_by_resno(query->targetList, attnum) : NULL;
		Var		   *var = entry != NULL ? (Var *) entry->expr : NULL;

		if (var != NULL && IsA(var, Var) && var->varattno > 0)
			columns = lappend(columns, get_attname(rte->relid, var->varattno,
												   false));
	}
	search->columns = columns;
	memset(table, 0, sizeof(*table));
	if (rte == NULL)
		return;
	table->relid = rte->relid;
	warden_review_measure(table);
}

static const char *
target_name(const RangeVar *target)
{
	return target->alias != NULL ? target->alias->aliasname : target->relname;
}

/*
 * Rows that the statement may touch: the planner's estimate where there is
 * one, else one per value of a unique key, else all of them.
 */
static double
bound_rows(WardenReviewContext *context, ReviewTable *table, RangeVar *target,
		   Node *where)
{
	KeySearch	search = {.name = target_name(target)};
	ReviewTable below = *table;
	List	   *views = NIL;
	int			few = 1;

	if (context->rows >= 0)
		return context->rows;
	if (table->created || !OidIsValid(table->relid))
		return 0;
	collect_fixed(where, &search, &few);
	/* each once: CREATE OR REPLACE VIEW can close a circle */
	while (below.relkind == RELKIND_VIEW &&
		   !list_member_oid(views, below.relid))
	{
		views = lappend_oid(views, below.relid);
		look_through_view(&below, &search);
	}
	if (search.columns != NIL && fixes_unique_key(&below, &search))
		return few;
	return below.rows;
}

static void
review_rows(WardenReviewContext *context, ReviewTable *table, RangeVar *target,
			Node *where)
{
	double		rows = bound_rows(context, table, target, where);

	if (where == NULL || rows < MANY_ROWS)
		return;
	warden_review_add_risk(context, "dml.many_rows",
						   rows >= VERY_MANY_ROWS ?
						   WARDEN_RISK_HIGH : WARDEN_RISK_MODERATE, -1,
						   psprintf("may touch about %.0f rows of %s", rows,
									table->name),
						   "Work in batches, or narrow the WHERE clause.");
}

/* ---- columns ------------------------------------------------------------- */

/* Columns that belong to the primary key. */
static void
review_key_update(WardenReviewContext *context, ReviewTable *table,
				  List *targets)
{
	Relation	relation;
	Bitmapset  *key;
	ListCell   *cell;

	if (!OidIsValid(table->relid))
		return;
	relation = try_relation_open(table->relid, AccessShareLock);
	if (relation == NULL)
		return;
	key = RelationGetIndexAttrBitmap(relation,
									 INDEX_ATTR_BITMAP_PRIMARY_KEY);
	relation_close(relation, AccessShareLock);
	foreach(cell, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);
		AttrNumber	attnum = target->name != NULL ?
		get_attnum(table->relid, target->name) : InvalidAttrNumber;

		if (attnum > 0 &&
			bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, key))
			warden_review_add(context, "dml.update_key", target->location,
							  psprintf("changes column \"%s\" of the primary key of %s",
									   target->name, table->name),
							  "Other systems may hold the old key; add a new row instead.");
	}
}

/* ---- flow --------------------------------------------------------------- */

static void
review_update_flow(WardenReviewContext *context, Node *stmt, List *targets,
				   ReviewTable *table)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);
		char	   *source;

		if (target->name == NULL ||
			warden_review_labelled(context, table->relid, target->name))
			continue;
		source = warden_review_labelled_source(context, stmt, target->val);
		if (source != NULL)
			warden_review_flow(context, source, table, target->name);
	}
}

static void
review_insert_flow(WardenReviewContext *context, InsertStmt *stmt,
				   ReviewTable *table)
{
	SelectStmt *select = (SelectStmt *) stmt->selectStmt;
	char	   *source;
	ListCell   *cell;

	if (select == NULL || !IsA(select, SelectStmt) ||
		select->valuesLists != NIL)
		return;
	/* every target labelled: nothing leaves the labels */
	if (stmt->cols != NIL)
	{
		foreach(cell, stmt->cols)
		{
			if (!warden_review_labelled(context, table->relid,
							 lfirst_node(ResTarget, cell)->name))
				break;
		}
		if (cell == NULL)
			return;
	}
	source = warden_review_labelled_source(context, (Node *) stmt,
										   (Node *) select);
	if (source != NULL)
		warden_review_flow(context, source, table, NULL);
}

/* ---- what else happens -------------------------------------------------- */

static bool
cascades(Trigger *trigger, bool deletes)
{
	if (deletes)
		return trigger->tgfoid == F_RI_FKEY_CASCADE_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_DEL;
	return trigger->tgfoid == F_RI_FKEY_CASCADE_UPD;
}

static void
review_triggers(WardenReviewContext *context, ReviewTable *table,
				bool deletes)
{
	Relation	relation;
	int			i;

	if (!OidIsValid(table->relid))
		return;
	relation = try_relation_open(table->relid, AccessShareLock);
	if (relation == NULL)
		return;
	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (deletes && cascades(trigger, deletes))
			warden_review_add(context, "dml.cascades", -1,
							  psprintf("rows of table \"%s\" follow what is deleted from %s",
									   get_rel_name(trigger->tgconstrrelid),
									   table->name),
							  "Look at how many rows of that table refer to the deleted ones.");
		else if (!trigger->tgisinternal)
			warden_review_add(context, "dml.triggers", -1,
							  psprintf("table %s has trigger \"%s\"",
									   table->name, trigger->tgname),
							  "Read what the trigger does.");
	}
	relation_close(relation, AccessShareLock);
}

static bool
evaluated_walker(Node *node, WardenReviewContext *context)
{
	if (node == NULL)
		return false;
	/* the time, and CURRENT_USER and its like */
	if (IsA(node, SQLValueFunction))
		return true;
	if (IsA(node, FuncCall))
	{
		char	   *name = strVal(llast(((FuncCall *) node)->funcname));

		if (strcmp(name, "now") == 0 || strcmp(name, "random") == 0 ||
			strcmp(name, "nextval") == 0 ||
			strcmp(name, "clock_timestamp") == 0 ||
			strcmp(name, "statement_timestamp") == 0 ||
			strcmp(name, "transaction_timestamp") == 0 ||
			strcmp(name, "gen_random_uuid") == 0 ||
			strcmp(name, "current_setting") == 0 ||
			strcmp(name, "pg_backend_pid") == 0 ||
			strcmp(name, "inet_client_addr") == 0)
			return true;
	}
	return raw_expression_tree_walker(node, evaluated_walker, context);
}

static bool
param_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ParamRef))
		return true;
	return raw_expression_tree_walker(node, param_walker, context);
}

static void
review_values(WardenReviewContext *context, Node *stmt)
{
	if (evaluated_walker(stmt, context))
		warden_review_add(context, "dml.evaluated_at_apply", -1,
						  pstrdup("uses the time, a sequence, a random value, the user or the session"),
						  "It gets its value when and by whom the change is applied, not now: CURRENT_USER is the apply role, SESSION_USER whoever applies it.");
	if (param_walker(stmt, NULL))
		warden_review_add(context, "dml.parameters", -1,
						  pstrdup("has parameters"),
						  "Read their values in warden.change_statements.");
}

/* ---- statements --------------------------------------------------------- */

/* The names of the columns that an INSERT gives values to, in order. */
static List *
target_columns(ReviewTable *table, List *cols)
{
	List	   *names = NIL;
	Relation	relation;
	ListCell   *cell;
	int			i;

	foreach(cell, cols)
		names = lappend(names, lfirst_node(ResTarget, cell)->name);
	if (cols != NIL || !OidIsValid(table->relid))
		return names;
	relation = try_relation_open(table->relid, AccessShareLock);
	if (relation == NULL)
		return NIL;
	for (i = 0; i < RelationGetDescr(relation)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(relation), i);

		if (!att->attisdropped)
			names = lappend(names, pstrdup(NameStr(att->attname)));
	}
	relation_close(relation, AccessShareLock);
	return names;
}

/* The values of one row, by the columns that they go to. */
static void
review_inserted(WardenReviewContext *context, ReviewTable *table,
				List *names, List *row, Node *stmt, bool *labelled)
{
	ListCell   *name;
	ListCell   *value;

	forboth(name, names, value, row)
	{
		Node	   *node = lfirst(value);

		if (labelled[foreach_current_index(name)])
			warden_review_assignment(context, table, lfirst(name),
									 IsA(node, ResTarget) ?
									 ((ResTarget *) node)->val : node, stmt);
	}
}

static void
review_insert_source(WardenReviewContext *context, ReviewTable *table,
					 List *cols, SelectStmt *select, Node *stmt)
{
	List	   *names = target_columns(table, cols);
	bool	   *labelled = palloc0(list_length(names) + 1);
	bool		any = false;
	ListCell   *cell;

	foreach(cell, names)
	{
		labelled[foreach_current_index(cell)] =
			warden_review_labelled(context, table->relid, lfirst(cell));
		any = any || labelled[foreach_current_index(cell)];
	}
	if (!any || select == NULL || !IsA(select, SelectStmt))
		return;
	if (select->valuesLists != NIL)
	{
		foreach(cell, select->valuesLists)
			review_inserted(context, table, names, lfirst(cell), stmt,
							labelled);
	}
	else
		review_inserted(context, table, names,
						select->op == SETOP_NONE ? select->targetList : NIL,
						stmt, labelled);
	/* what comes from elsewhere in the statement */
	if (select->valuesLists == NIL)
		warden_review_assignment(context, table, NULL, NULL, stmt);
}

/* Of (a, b) = (1, 2) its own part, of a query all of it. */
static Node *
assigned_value(const MultiAssignRef *ref)
{
	RowExpr    *row = (RowExpr *) ref->source;

	if (IsA(row, RowExpr) && ref->colno <= list_length(row->args))
		return list_nth(row->args, ref->colno - 1);
	return ref->source;
}

static void
review_targets(WardenReviewContext *context, ReviewTable *table,
			   List *targets, Node *stmt)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);
		Node	   *value = target->val;

		if (target->name == NULL)
			continue;
		if (value != NULL && IsA(value, MultiAssignRef))
			value = assigned_value((MultiAssignRef *) value);
		warden_review_assignment(context, table, target->name, value, stmt);
	}
}

static void
review_insert(WardenReviewContext *context, InsertStmt *stmt)
{
	ReviewTable table;
	SelectStmt *select = (SelectStmt *) stmt->selectStmt;
	int			rows = 0;

	warden_review_table(context, stmt->relation, &table);
	if (stmt->cols == NIL && stmt->selectStmt != NULL)
		warden_review_add(context, "dml.insert_no_columns", -1,
						  psprintf("does not name the columns of %s",
								   table.name),
						  "Name the columns: their order can change.");
	review_insert_source(context, &table, stmt->cols, select, (Node *) stmt);
	review_insert_flow(context, stmt, &table);
	if (select != NULL && IsA(select, SelectStmt))
		rows = list_length(select->valuesLists);
	if (rows >= MANY_VALUES)
		warden_review_add(context, "dml.insert_many", -1,
						  psprintf("gives %d rows to %s in one statement",
								   rows, table.name),
						  "Several smaller statements are easier to review and to revert.");
	if (select != NULL && rows == 0 && context->rows >= MANY_ROWS)
		review_rows(context, &table, stmt->relation, (Node *) select);
	if (stmt->onConflictClause != NULL)
	{
		List	   *targets = stmt->onConflictClause->targetList;

		review_targets(context, &table, targets, (Node *) stmt);
		review_key_update(context, &table, targets);
		review_update_flow(context, (Node *) stmt, targets, &table);
		warden_review_condition(context, (Node *) stmt,
								stmt->onConflictClause->whereClause);
	}
	review_triggers(context, &table, false);
}

static void
review_update(WardenReviewContext *context, UpdateStmt *stmt)
{
	ReviewTable table;

	warden_review_table(context, stmt->relation, &table);
	review_where(context, stmt->whereClause, &table, "changes");
	review_rows(context, &table, stmt->relation, stmt->whereClause);
	warden_review_condition(context, (Node *) stmt, stmt->whereClause);
	review_targets(context, &table, stmt->targetList, (Node *) stmt);
	review_key_update(context, &table, stmt->targetList);
	review_update_flow(context, (Node *) stmt, stmt->targetList, &table);
	review_triggers(context, &table, false);
}

static void
review_delete(WardenReviewContext *context, DeleteStmt *stmt)
{
	ReviewTable table;

	warden_review_table(context, stmt->relation, &table);
	review_where(context, stmt->whereClause, &table, "deletes");
	review_rows(context, &table, stmt->relation, stmt->whereClause);
	warden_review_condition(context, (Node *) stmt, stmt->whereClause);
	review_triggers(context, &table, true);
}

static void
review_inserted_by_merge(WardenReviewContext *context, ReviewTable *table,
						 MergeWhenClause *when, Node *stmt)
{
	List	   *names = target_columns(table, when->targetList);
	bool	   *all = palloc(list_length(names) + 1);

	memset(all, true, list_length(names) + 1);
	review_inserted(context, table, names, when->values, stmt, all);
}

static bool
changes_matched(const MergeStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->mergeWhenClauses)
	{
		CmdType		command = lfirst_node(MergeWhenClause, cell)->commandType;

		if (command == CMD_UPDATE || command == CMD_DELETE)
			return true;
	}
	return false;
}

static void
review_merge(WardenReviewContext *context, MergeStmt *stmt)
{
	ReviewTable table;
	KeySearch	search = {.name = target_name(stmt->relation)};
	bool		deletes = false;
	ListCell   *cell;

	warden_review_table(context, stmt->relation, &table);
	if (is_always_true(stmt->joinCondition))
		warden_review_add(context, "dml.where_always_true", -1,
						  psprintf("the ON clause is true of every row of %s (%s)",
								   table.name, table.size),
						  "Join on a key.");
	/* without an estimate one that joins by some column is not doubted */
	if (context->rows >= MANY_ROWS ||
		(context->rows < 0 && changes_matched(stmt) &&
		 !compares_target(stmt->joinCondition, &search)))
		review_rows(context, &table, stmt->relation, stmt->joinCondition);
	warden_review_condition(context, (Node *) stmt, stmt->joinCondition);
	foreach(cell, stmt->mergeWhenClauses)
	{
		MergeWhenClause *when = lfirst_node(MergeWhenClause, cell);

		deletes = deletes || when->commandType == CMD_DELETE;
		warden_review_condition(context, (Node *) stmt, when->condition);
		if (when->commandType == CMD_INSERT)
			review_inserted_by_merge(context, &table, when, (Node *) stmt);
		if (when->commandType == CMD_UPDATE)
		{
			review_targets(context, &table, when->targetList, (Node *) stmt);
			review_key_update(context, &table, when->targetList);
			review_update_flow(context, (Node *) stmt, when->targetList,
							   &table);
		}
	}
	review_triggers(context, &table, deletes);
}

/* Writes inside WITH are reviewed as statements of their own. */
static bool
with_walker(Node *node, WardenReviewContext *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CommonTableExpr))
	{
		Node	   *query = ((CommonTableExpr *) node)->ctequery;

		if (!IsA(query, SelectStmt))
			(void) warden_review_dml(context, query);
	}
	return raw_expression_tree_walker(node, with_walker, context);
}

static bool
writes_in_with(WithClause *with)
{
	ListCell   *cell;

	foreach(cell, with != NULL ? with->ctes : NIL)
	{
		if (!IsA(lfirst_node(CommonTableExpr, cell)->ctequery, SelectStmt))
			return true;
	}
	return false;
}

static bool
review_select(WardenReviewContext *context, SelectStmt *stmt)
{
	IntoClause *into = warden_statement_into(stmt);

	if (into != NULL)
	{
		ReviewTable table;
		char	   *source;

		warden_review_table(context, into->rel, &table);
		source = warden_review_labelled_source(context, (Node *) stmt,
											   stmt->op == SETOP_NONE ?
											   (Node *) stmt->targetList :
											   (Node *) stmt);
		if (source != NULL)
			warden_review_flow(context, source, &table, NULL);
		warden_review_created(context, into->rel, false);
	}
	if (into != NULL || writes_in_with(stmt->withClause))
		warden_review_calls(context, (Node *) stmt);
	else
		warden_review_add(context, "code.call", -1,
						  pstrdup("calls a function; what it does is not known to the review"),
						  "Read the function's source.");
	return true;
}

bool
warden_review_dml(WardenReviewContext *context, Node *stmt)
{
	WithClause *with = NULL;

	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			review_insert(context, (InsertStmt *) stmt);
			with = ((InsertStmt *) stmt)->withClause;
			break;
		case T_UpdateStmt:
			review_update(context, (UpdateStmt *) stmt);
			with = ((UpdateStmt *) stmt)->withClause;
			break;
		case T_DeleteStmt:
			review_delete(context, (DeleteStmt *) stmt);
			with = ((DeleteStmt *) stmt)->withClause;
			break;
		case T_MergeStmt:
			review_merge(context, (MergeStmt *) stmt);
			with = ((MergeStmt *) stmt)->withClause;
			break;
		case T_SelectStmt:
			(void) review_select(context, (SelectStmt *) stmt);
			with = ((SelectStmt *) stmt)->withClause;
			break;
		case T_DoStmt:
			warden_review_add(context, "code.do", -1,
							  pstrdup("runs a code block; what it does is not known to the review"),
							  "Propose plain statements where they can do the same.");
			return true;
		case T_CallStmt:
			warden_review_add(context, "code.call", -1,
							  pstrdup("calls a procedure; what it does is not known to the review"),
							  "Read the procedure's source.");
			return true;
		default:
			return false;
	}
	review_values(context, stmt);
	if (!IsA(stmt, SelectStmt))
		warden_review_calls(context, stmt);
	if (with != NULL)
		with_walker((Node *) with->ctes, context);
	return true;
}
