/*-------------------------------------------------------------------------
 * condition.c
 *	  Row conditions of mask rules.
 *
 * The text is policy, written by a member of warden_admin, and is parsed as
 * one expression with names resolved in pg_catalog alone and constants read
 * under fixed settings; what it reads is the row's raw columns.  A relation
 * of which it does not make sense, or whose labelled values an error could
 * quote, keeps its mask.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "condition.h"
#include "guc.h"
#include "policy.h"
#include "warden.h"

static void
refuse(const char *text, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("condition \"%s\" can not be used: %s", text, reason),
			 errhint("Write one boolean expression over columns of the table, such as region = current_setting('warden.on_behalf_of').")));
}

/* The raw expression; the text must hold nothing else. */
static Node *
parse_text(const char *text)
{
	List	   *raw = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt,
								  linitial_node(RawStmt, raw)->stmt);

	if (list_length(select->targetList) != 1 ||
		linitial_node(ResTarget, select->targetList)->name != NULL ||
		select->fromClause != NIL ||
		select->whereClause != NULL || select->groupClause != NIL ||
		select->havingClause != NULL || select->sortClause != NIL ||
		select->limitCount != NULL || select->limitOffset != NULL ||
		select->lockingClause != NIL || select->withClause != NULL ||
		select->op != SETOP_NONE || select->distinctClause != NIL ||
		select->intoClause != NULL || select->valuesLists != NIL ||
		select->windowClause != NIL)
		refuse(text, "it is not one expression");
	return linitial_node(ResTarget, select->targetList)->val;
}

/*
 * A position counts in the condition, not in the statement that called us.
 * Only who makes policy is shown the text.
 */
static void
condition_error_callback(void *arg)
{
	const char *text = arg;
	int			position = geterrposition();

	errposition(0);
	if (position > 0 && text != NULL)
	{
		internalerrposition(position);
		internalerrquery(text);
	}
	errcontext("condition of a mask");
}

static void
push_error_callback(ErrorContextCallback *callback, const char *shown)
{
	callback->callback = condition_error_callback;
	callback->arg = unconstify(char *, shown);
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

/* As a check constraint is: no subqueries, aggregates or other relations. */
static Expr *
transform(const char *text, Relation rel)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node	   *expr = parse_text(text);

	pstate->p_sourcetext = text;
	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										 false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	expr = transformExpr(pstate, expr, EXPR_KIND_CHECK_CONSTRAINT);
	expr = coerce_to_boolean(pstate, expr, "unless");
	assign_expr_collations(pstate, expr);
	free_parsestate(pstate);
	return (Expr *) expr;
}

/*
 * Settings that decide what a text means, or a constant in it.  An agent may
 * change most of them, and must not turn the day around on which its rows
 * become clear.
 */
static const char *const pinned_settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"standard_conforming_strings", "on"},
	{"backslash_quote", "safe_encoding"},
	{"transform_null_equals", "off"},
	{"array_nulls", "on"},
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"xmloption", "content"},
};

/* Until AtEOXact_GUC() of what it returns; an error ends them as well. */
static int
pin_settings(void)
{
	int			nestlevel = NewGUCNestLevel();
	int			i;

	for (i = 0; i < (int) lengthof(pinned_settings); i++)
		(void) set_config_option(pinned_settings[i][0], pinned_settings[i][1],
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	return nestlevel;
}

/* Every column that the raw expression names exists in the relation. */
static bool
names_walker(Node *node, void *context)
{
	Relation	rel = context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		List	   *fields = ((ColumnRef *) node)->fields;

		return list_length(fields) != 1 || !IsA(linitial(fields), String) ||
			get_attnum(RelationGetRelid(rel),
					   strVal(linitial(fields))) == InvalidAttrNumber;
	}
	return raw_expression_tree_walker(node, names_walker, rel);
}

/* Is the column masked for anybody, with a label or for want of one? */
static bool
hidden_column(Oid relid, AttrNumber attnum)
{
	const WardenColumn *column = warden_policy_column(relid, attnum);

	if (column == NULL)
		return attnum == 0 || (attnum > 0 && warden_unlabelled_masked);
	return warden_policy_column_hides(column);
}

/* Replaces the columns that anybody may see by constants. */
static Node *
forget_clear_columns(Node *node, void *context)
{
	Relation	rel = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (hidden_column(RelationGetRelid(rel), var->varattno))
			return copyObject(node);
		return (Node *) makeNullConst(var->vartype, var->vartypmod,
									  var->varcollid);
	}
	return expression_tree_mutator(node, forget_clear_columns, context);
}

/*
 * Could an error of what the condition calls quote the raw value of a labelled
 * column? Whether it is true is the rule's disclosure, and nothing else.
 */
static bool
leaks(Expr *expr, Relation rel)
{
	return contain_leaked_vars(forget_clear_columns((Node *) expr, rel));
}

/* Not a built-in, and not policy's own either? */
static bool
foreign_function(Oid funcid, void *context pg_attribute_unused())
{
	HeapTuple	tuple;
	Oid			owner;
	Oid			admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return true;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return !superuser_arg(owner) &&
		!(OidIsValid(admin) && has_privs_of_role(owner, admin));
}

static bool
foreign_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, foreign_function, NULL))
		return true;
	return expression_tree_walker(node, foreign_walker, context);
}

Expr *
warden_condition_build(const char *text, Relation rel, int varno)
{
	int			nestlevel = pin_settings();
	Expr	   *expr = NULL;
	ErrorContextCallback callback;

	push_error_callback(&callback, NULL);
	if (!names_walker(parse_text(text), rel))
		expr = transform(text, rel);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, nestlevel);
	if (expr == NULL || leaks(expr, rel) ||
		contain_volatile_functions((Node *) expr) ||
		foreign_walker((Node *) expr, NULL))
		return NULL;
	if (varno != 1)
		ChangeVarNodes((Node *) expr, 1, varno, 0);
	return expr;
}

bool
warden_condition_check(const char *text, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	int			nestlevel = pin_settings();
	Expr	   *expr = NULL;
	ErrorContextCallback callback;

	push_error_callback(&callback, text);
	if (!names_walker(parse_text(text), rel))
		expr = transform(text, rel);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, nestlevel);
	if (expr != NULL)
	{
		if (contain_volatile_functions((Node *) expr))
			refuse(text, "it calls a volatile function");
		if (leaks(expr, rel))
			refuse(text, "an error in it could quote the value of a labelled column");
		if (foreign_walker((Node *) expr, NULL))
			refuse(text, "it calls a function that neither a superuser nor a member of warden_admin owns");
	}
	table_close(rel, AccessShareLock);
	return expr != NULL;
}
