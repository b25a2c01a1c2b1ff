/*-------------------------------------------------------------------------
 * review_mask.c
 *	  Values that are what a mask shows, and not what a row holds: an agent
 *	  that writes them back would replace the data by its mask.
 *
 * Three stars in a row are taken for a mask wherever they stand in what is
 * written: in the middle of a text, of an array's or a document's literal, in a
 * parameter, or where literals are put together.  What the agent's own mask
 * shows without them, such as const('x') or a mask cut to fit a short column,
 * is known where the value is nothing else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "mask.h"
#include "policy.h"
#include "principal.h"
#include "review_private.h"

#define STARS	"***"

typedef struct MaskSearch
{
	List	   *params;			/* of char *, NULL for NULL */
	int			position;		/* of what was found, -1: unknown */
} MaskSearch;

/* ---- constants ---------------------------------------------------------- */

/* The text of a literal or a parameter, whatever it is cast to, or NULL. */
static const char *
constant_text(Node *node, MaskSearch *search)
{
	while (node != NULL && IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (node == NULL)
		return NULL;
	if (IsA(node, A_Const) && !((A_Const *) node)->isnull &&
		IsA(&((A_Const *) node)->val, String))
	{
		search->position = ((A_Const *) node)->location;
		return strVal(&((A_Const *) node)->val);
	}
	if (IsA(node, ParamRef) && ((ParamRef *) node)->number > 0 &&
		((ParamRef *) node)->number <= list_length(search->params))
	{
		search->position = ((ParamRef *) node)->location;
		return list_nth(search->params, ((ParamRef *) node)->number - 1);
	}
	return NULL;
}

/* What || or concat() puts together, else NIL. */
static List *
joined_parts(Node *node)
{
	if (IsA(node, A_Expr) && ((A_Expr *) node)->kind == AEXPR_OP &&
		((A_Expr *) node)->lexpr != NULL && ((A_Expr *) node)->rexpr != NULL &&
		strcmp(strVal(llast(((A_Expr *) node)->name)), "||") == 0)
		return list_make2(((A_Expr *) node)->lexpr, ((A_Expr *) node)->rexpr);
	if (IsA(node, FuncCall) &&
		strcmp(strVal(llast(((FuncCall *) node)->funcname)), "concat") == 0)
		return list_copy(((FuncCall *) node)->args);
	return NIL;
}

static void
flatten(Node *node, List **parts)
{
	List	   *joined = joined_parts(node);
	ListCell   *cell;

	if (joined == NIL)
		*parts = lappend(*parts, node);
	foreach(cell, joined)
		flatten(lfirst(cell), parts);
}

/* A text that consists of constants alone, or NULL. */
static const char *
whole_text(Node *node, MaskSearch *search)
{
	List	   *parts = NIL;
	StringInfoData text;
	ListCell   *cell;

	flatten(node, &parts);
	if (list_length(parts) == 1)
		return constant_text(node, search);
	initStringInfo(&text);
	foreach(cell, parts)
	{
		const char *part = constant_text(lfirst(cell), search);

		if (part == NULL)
			return NULL;
		appendStringInfoString(&text, part);
	}
	return text.data;
}

/* ---- stars -------------------------------------------------------------- */

static bool stars_walker(Node *node, MaskSearch *search);

/* In what stands next to each other. */
static bool
stars_in_parts(List *parts, MaskSearch *search)
{
	StringInfoData run;
	ListCell   *cell;

	initStringInfo(&run);
	foreach(cell, parts)
	{
		const char *part = constant_text(lfirst(cell), search);

		if (part != NULL)
			appendStringInfoString(&run, part);
		else
			resetStringInfo(&run);
		if (strstr(run.data, STARS) != NULL ||
			(part == NULL && stars_walker(lfirst(cell), search)))
			return true;
	}
	return false;
}

static bool
stars_walker(Node *node, MaskSearch *search)
{
	List	   *parts = NIL;

	if (node == NULL)
		return false;
	if (IsA(node, A_Const) || IsA(node, ParamRef))
	{
		const char *text = constant_text(node, search);

		return text != NULL && strstr(text, STARS) != NULL;
	}
	flatten(node, &parts);
	if (list_length(parts) > 1)
		return stars_in_parts(parts, search);
	return raw_expression_tree_walker(node, stars_walker, search);
}

bool
warden_review_has_stars(WardenReviewContext *context, Node *node,
						int *position)
{
	MaskSearch	search = {context->params, -1};
	bool		found = stars_walker(node, &search);

	if (found)
		*position = search.position;
	return found;
}

/* ---- the column's own mask ---------------------------------------------- */

/* For whoever proposes; where people look at it later, the type's own. */
static const char *
own_mask(Oid relid, AttrNumber attnum)
{
	const WardenPrincipal *principal = warden_principal_current();
	const WardenColumn *label = warden_policy_column(relid, attnum);
	TimestampTz expires = DT_NOEND;

	if (principal->class == WARDEN_CLASS_AGENT ||
		principal->class == WARDEN_CLASS_OBSERVED)
		return warden_policy_mask(principal, relid, attnum, &expires);
	return label != NULL ? warden_policy_type_mask(label->type) : NULL;
}

typedef struct ColumnMask
{
	const char *spec;
	Oid			type;
	int32		typmod;
	Oid			collation;
} ColumnMask;

/* One of the values that an expression can have as a whole is the mask. */
static bool
some_value_is(Node *node, const ColumnMask *mask, MaskSearch *search)
{
	const char *text;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, CoalesceExpr))
	{
		foreach(cell, ((CoalesceExpr *) node)->args)
		{
			if (some_value_is(lfirst(cell), mask, search))
				return true;
		}
		return false;
	}
	if (IsA(node, CaseExpr))
	{
		foreach(cell, ((CaseExpr *) node)->args)
		{
			if (some_value_is((Node *) lfirst_node(CaseWhen, cell)->result,
							  mask, search))
				return true;
		}
		return some_value_is((Node *) ((CaseExpr *) node)->defresult, mask,
							 search);
	}
	text = whole_text(node, search);
	return text != NULL &&
		warden_mask_shows(mask->spec, text, mask->type, mask->typmod,
						  mask->collation);
}

bool
warden_review_is_own_mask(WardenReviewContext *context, Oid relid,
						  const char *column, Node *value, int *position)
{
	MaskSearch	search = {context->params, -1};
	AttrNumber	attnum = get_attnum(relid, column);
	ColumnMask	mask;

	mask.spec = own_mask(relid, attnum);
	if (mask.spec == NULL)
		return false;
	get_atttypetypmodcoll(relid, attnum, &mask.type, &mask.typmod,
						  &mask.collation);
	if (!some_value_is(value, &mask, &search))
		return false;
	*position = search.position;
	return true;
}
