/*-------------------------------------------------------------------------
 * mask_output.c
 *	  What stands for a column of a relation: itself, or its mask.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"

#include "compat.h"
#include "condition.h"
#include "mask.h"
#include "mask_output.h"

WardenMask *
warden_mask_output_collect(Relation rel, const WardenPrincipal *principal,
						   TimestampTz *expires, bool *any)
{
	int			natts = RelationGetNumberOfAttributes(rel);
	WardenMask *masks = palloc0((natts + 1) * sizeof(WardenMask));
	AttrNumber	attnum;

	*any = false;
	for (attnum = 1; attnum <= natts; attnum++)
	{
		if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attisdropped)
			continue;
		masks[attnum] = warden_policy_rule(principal, RelationGetRelid(rel),
										   attnum, expires);
		if (masks[attnum].spec != NULL)
			*any = true;
	}
	return masks;
}

/* The mask, but the raw value in rows for which the rule's condition holds. */
static Expr *
make_conditional(const char *unless, Expr *raw, Expr *mask, Relation rel,
				 int varno)
{
	Expr	   *condition = warden_condition_build(unless, rel, varno);
	CaseExpr   *result;
	CaseWhen   *when;

	if (condition == NULL)
		return mask;
	when = makeNode(CaseWhen);
	when->expr = condition;
	when->result = copyObject(raw);
	when->location = -1;
	result = makeNode(CaseExpr);
	result->casetype = exprType((Node *) raw);
	result->casecollid = exprCollation((Node *) raw);
	result->args = list_make1(when);
	result->defresult = mask;
	result->location = -1;
	return (Expr *) result;
}

TargetEntry *
warden_mask_output_make(Form_pg_attribute att, WardenMask mask, Relation rel,
						int varno)
{
	Expr	   *raw;
	Expr	   *expr;

	if (att->attisdropped)
		return makeTargetEntry((Expr *) makeNullConst(INT4OID, -1, InvalidOid),
							   att->attnum, pstrdup(""), false);
	raw = (Expr *) makeVar(varno, att->attnum, att->atttypid, att->atttypmod,
						   att->attcollation, 0);
	expr = raw;
	if (mask.spec != NULL)
		expr = warden_mask_build(mask.spec, raw, att->atttypid,
								 att->atttypmod, att->attcollation);
	if (mask.spec != NULL && mask.unless != NULL)
		expr = make_conditional(mask.unless, raw, expr, rel, varno);
	return makeTargetEntry(expr, att->attnum, pstrdup(NameStr(att->attname)),
						   false);
}

/*
 * The planner would put a NULL there in the end: to build and carry the masks
 * of all the columns of a wide table costs more than the rest of a small query.
 * A policy that can not be read refuses the relation all the same.
 */
TargetEntry *
warden_mask_output_unread(Form_pg_attribute att, WardenMask mask)
{
	warden_mask_require(mask.spec);
	return makeTargetEntry((Expr *) makeNullConst(att->atttypid,
												  att->atttypmod,
												  att->attcollation),
						   att->attnum, pstrdup(NameStr(att->attname)), false);
}

Node *
warden_mask_output_replace(Node *node, int varno, RangeTblEntry *rte,
						   List *outputs)
{
	bool		sublinks = false;

	return replace_vars(node, varno, rte, outputs, &sublinks);
}

/* Outputs for the masked columns alone: other references stay as they are. */
static List *
masked_outputs(Relation rel, WardenMask *masks, int varno)
{
	List	   *result = NIL;
	int			i;

	for (i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		if (masks[i + 1].spec != NULL)
			result = lappend(result,
							 warden_mask_output_make(
								 TupleDescAttr(RelationGetDescr(rel), i),
								 masks[i + 1], rel, varno));
	}
	return result;
}

/*
 * In everything that the statement says, but not in what finds the index of
 * an ON CONFLICT, nor in the owner's checks: those show no value.
 */
static void
replace_in_query(Query *query, RangeTblEntry *rte, List *outputs)
{
	OnConflictExpr *conflict = query->onConflict;

#define REPLACE(node) \
	warden_mask_output_replace((Node *) (node), query->resultRelation, rte, \
							   outputs)
	query->targetList = (List *) REPLACE(query->targetList);
	query->jointree = (FromExpr *) REPLACE(query->jointree);
	query->returningList = (List *) REPLACE(query->returningList);
	query->mergeActionList = (List *) REPLACE(query->mergeActionList);
	warden_set_merge_condition(query, REPLACE(WARDEN_MERGE_CONDITION(query)));
	if (conflict != NULL)
	{
		conflict->onConflictSet = (List *) REPLACE(conflict->onConflictSet);
		conflict->onConflictWhere = REPLACE(conflict->onConflictWhere);
	}
#undef REPLACE
}

void
warden_mask_output_target(Query *query, const WardenPrincipal *principal,
						  TimestampTz *expires)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	WardenMask *masks;
	Relation	rel;
	bool		any;

	if (rte->relkind == RELKIND_VIEW)
		return;
	rel = table_open(rte->relid, NoLock);
	masks = warden_mask_output_collect(rel, principal, expires, &any);
	if (any)
		replace_in_query(query, rte,
						 masked_outputs(rel, masks, query->resultRelation));
	table_close(rel, NoLock);
}
