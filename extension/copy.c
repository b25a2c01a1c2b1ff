/*-------------------------------------------------------------------------
 * copy.c
 *	  COPY table TO STDOUT becomes COPY (SELECT columns FROM ONLY table) TO
 *	  STDOUT, so that the planner, and the masks with it, see the table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "copy.h"
#include "policy.h"
#include "warden.h"
#include "write_gate.h"

/* A column of the table, named through the table. */
static ResTarget *
make_target(const char *column)
{
	ColumnRef  *ref = makeNode(ColumnRef);
	ResTarget  *target = makeNode(ResTarget);

	ref->fields = list_make1(makeString(pstrdup(column)));
	ref->location = -1;
	target->val = (Node *) ref;
	target->location = -1;
	return target;
}

/* SELECT the columns that COPY would, FROM ONLY the relation; a partitioned
 * table's rows are in its partitions. */
static SelectStmt *
make_select(Relation rel, List *attlist)
{
	SelectStmt *select = makeNode(SelectStmt);
	RangeVar   *from;
	ListCell   *lc;

	from = makeRangeVar(get_namespace_name(RelationGetNamespace(rel)),
						pstrdup(RelationGetRelationName(rel)), -1);
	from->inh = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	select->fromClause = list_make1(from);
	foreach(lc, CopyGetAttnums(RelationGetDescr(rel), rel, attlist))
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  lfirst_int(lc) - 1);

		select->targetList = lappend(select->targetList,
									 make_target(NameStr(att->attname)));
	}
	return select;
}

void
warden_copy_check_from(CopyStmt *copy, const WardenPrincipal *principal)
{
	Relation	rel;
	ListCell   *lc;
	Bitmapset  *columns = NULL;
	TimestampTz expires = DT_NOEND;

	if (!copy->is_from || copy->relation == NULL)
		return;
	rel = relation_openrv(copy->relation, RowExclusiveLock);
	foreach(lc, CopyGetAttnums(RelationGetDescr(rel), rel, copy->attlist))
	{
		columns = bms_add_member(columns, lfirst_int(lc) -
								 FirstLowInvalidHeapAttributeNumber);
		if (warden_policy_mask(principal, RelationGetRelid(rel),
							   lfirst_int(lc), &expires) != NULL)
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("column \"%s\" of \"%s\" is masked and can not be assigned",
							get_attname(RelationGetRelid(rel), lfirst_int(lc),
										false),
							RelationGetRelationName(rel)),
					 errhint("Leave the column out, or ask a member of %s for an exemption.",
							 WARDEN_ROLE_ADMIN)));
	}
	warden_write_gate_check_references(RelationGetRelid(rel), columns,
									   principal);
	relation_close(rel, NoLock);
}

PlannedStmt *
warden_copy_rewrite(PlannedStmt *pstmt)
{
	CopyStmt   *copy = castNode(CopyStmt, pstmt->utilityStmt);
	Relation	rel;

	if (copy->relation == NULL || copy->is_from)
		return pstmt;
	rel = relation_openrv(copy->relation, AccessShareLock);

	/* Core refuses the rest, with hints of its own. */
	if (warden_copy_scans(rel->rd_rel->relkind))
	{
		pstmt = copyObject(pstmt);
		copy = castNode(CopyStmt, pstmt->utilityStmt);
		copy->query = (Node *) make_select(rel, copy->attlist);
		copy->relation = NULL;
		copy->attlist = NIL;
	}

	/* The lock stays: the query must meet the same table. */
	relation_close(rel, NoLock);
	return pstmt;
}
