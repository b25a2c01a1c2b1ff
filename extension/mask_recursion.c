/*-------------------------------------------------------------------------
 * mask_recursion.c
 *	  func() masks and row conditions that read what they mask.
 *
 * A mask runs as the governed user, so a table that it reads is masked for
 * it, by the masks of that table's columns.  One that comes back to where it
 * started would compute itself.  Bodies are read word by word (see
 * pending_reach.c), so a table counts as read as soon as it is named.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "condition.h"
#include "mask.h"
#include "mask_recursion.h"
#include "pending.h"
#include "policy.h"

/* A relation whose masks are looked at, and what they call. */
typedef struct Calls
{
	Oid			relid;
	List	   *functions;		/* OIDs, grows */
} Calls;

static bool
is_users_function(Oid funcid, void *arg)
{
	List	  **functions = arg;

	if (funcid >= FirstNormalObjectId)
		*functions = list_append_unique_oid(*functions, funcid);
	return false;
}

static bool
functions_walker(Node *node, List **functions)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, is_users_function, functions);
	return expression_tree_walker(node, functions_walker, functions);
}

/* The callback of warden_policy_each_mask(). */
static void
add_calls(const char *spec, const char *unless, void *arg)
{
	Calls	   *calls = arg;
	Relation	rel;

	if (spec != NULL)
		calls->functions = list_concat_unique_oid(calls->functions,
												  warden_mask_functions(spec));
	if (unless == NULL)
		return;
	rel = table_open(calls->relid, AccessShareLock);
	(void) functions_walker((Node *) warden_condition_build(unless, rel, 1),
							&calls->functions);
	table_close(rel, NoLock);
}

/* What reading the relation would call. */
static void
add_calls_of_relation(Oid relid, Calls *calls)
{
	const WardenRelation *relation = warden_policy_relation(relid);
	int			i;

	calls->relid = relid;
	for (i = 0; relation != NULL && i < relation->ncolumns; i++)
	{
		const WardenColumn *column = &relation->columns[i];
		ListCell   *lc;

		warden_policy_each_mask(column->type, add_calls, calls);
		foreach(lc, column->others)
			warden_policy_each_mask(lfirst(lc), add_calls, calls);
	}
}

List *
warden_mask_recursion_reads(const char *spec, const char *unless, Oid relid)
{
	Calls		calls = {.relid = relid};
	List	   *result = NIL;
	int			i;

	add_calls(spec, unless, &calls);
	/* the list grows while it is worked through */
	for (i = 0; i < list_length(calls.functions); i++)
	{
		Oid			function = list_nth_oid(calls.functions, i);
		List	   *reads = warden_reach_reads(function);
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		foreach(lc, reads)
		{
			if (list_member_oid(result, lfirst_oid(lc)))
				continue;
			result = lappend_oid(result, lfirst_oid(lc));
			add_calls_of_relation(lfirst_oid(lc), &calls);
		}
	}
	return result;
}

void
warden_mask_recursion_check(List *reads, Oid relid, int elevel)
{
	List	   *tree = reads != NIL ? warden_policy_tree(relid) : NIL;
	ListCell   *lc;

	foreach(lc, tree)
	{
		if (!list_member_oid(reads, lfirst_oid(lc)))
			continue;
		ereport(elevel,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a mask of \"%s\" could read that table itself",
						get_rel_name(relid)),
				 errhint("What its function reads is masked by the same function. Let it use its argument alone, or read tables without labels; a table counts as read where the function, or what it calls, names it.")));
		return;
	}
}
