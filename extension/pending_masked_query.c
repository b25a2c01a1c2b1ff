/*-------------------------------------------------------------------------
 * pending_masked_query.c
 *	  The queries that show what a statement would act on without running it:
 *	  one of a DELETE, UPDATE or INSERT, one of each WHEN clause of a MERGE.
 *
 * They are raw parse trees made of parts of the statement's own, so that
 * analysis gives every name the meaning that it has in the statement.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "pending_preview_private.h"

static void
add_target(SelectStmt *select, Node *value)
{
	ResTarget  *target = makeNode(ResTarget);

	target->val = value;
	target->location = -1;
	select->targetList = lappend(select->targetList, target);
}

/* The column of the target, by the name that the statement gives that. */
static Node *
column_of(const RangeVar *target, const char *column)
{
	ColumnRef  *ref = makeNode(ColumnRef);

	ref->location = -1;
	if (target->alias != NULL)
		ref->fields = list_make1(makeString(pstrdup(target->alias->aliasname)));
	else if (target->schemaname != NULL)
		ref->fields = list_make2(makeString(pstrdup(target->schemaname)),
								 makeString(pstrdup(target->relname)));
	else
		ref->fields = list_make1(makeString(pstrdup(target->relname)));
	ref->fields = lappend(ref->fields, makeString(pstrdup(column)));
	return (Node *) ref;
}

static bool
is_readable(Oid relid, AttrNumber attnum)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, attnum, GetUserId(),
							  ACL_SELECT) == ACLCHECK_OK;
}

static bool
is_assigned(List *targets, const char *column)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		if (strcmp(lfirst_node(ResTarget, cell)->name, column) == 0)
			return true;
	}
	return false;
}

/*
 * Columns of the row as it is: of an UPDATE the key and what it assigns, else
 * all; as far as the caller may read them.
 */
static void
select_before(WardenRowQuery *query, Oid relid, const RangeVar *target,
			  List *targets)
{
	Relation	relation = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *key =
		RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *name = NameStr(att->attname);

		if (att->attisdropped || !is_readable(relid, att->attnum) ||
			(targets != NIL && !is_assigned(targets, name) &&
			 !bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber,
							key)))
			continue;
		query->before = lappend(query->before, pstrdup(name));
		add_target(query->select, column_of(target, name));
	}
	relation_close(relation, AccessShareLock);
}

/* What an UPDATE assigns, where that is an expression of its own. */
static void
select_after(WardenRowQuery *query, List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);

		if (target->indirection != NIL || IsA(target->val, SetToDefault) ||
			IsA(target->val, MultiAssignRef))
			continue;
		query->after = lappend(query->after, pstrdup(target->name));
		add_target(query->select, copyObject(target->val));
	}
}

static WardenRowQuery *
create_query(WithClause *with)
{
	WardenRowQuery *query = palloc0(sizeof(WardenRowQuery));

	query->select = makeNode(SelectStmt);
	query->select->withClause = copyObject(with);
	return query;
}

static WardenRowQuery *
query_of_update(Oid relid, const UpdateStmt *stmt)
{
	WardenRowQuery *query = create_query(stmt->withClause);

	query->select->fromClause = lcons(copyObject(stmt->relation),
									  copyObject(stmt->fromClause));
	query->select->whereClause = copyObject(stmt->whereClause);
	select_before(query, relid, stmt->relation, stmt->targetList);
	select_after(query, stmt->targetList);
	return query;
}

static WardenRowQuery *
query_of_delete(Oid relid, const DeleteStmt *stmt)
{
	WardenRowQuery *query = create_query(stmt->withClause);

	query->select->fromClause = lcons(copyObject(stmt->relation),
									  copyObject(stmt->usingClause));
	query->select->whereClause = copyObject(stmt->whereClause);
	select_before(query, relid, stmt->relation, NIL);
	return query;
}

/* The names that an INSERT gives its columns, or that it leaves out. */
static List *
inserted_names(Oid relid, List *cols)
{
	List	   *names = NIL;
	Relation	relation;
	ListCell   *cell;
	int			i;

	foreach(cell, cols)
		names = lappend(names, pstrdup(lfirst_node(ResTarget, cell)->name));
	if (cols != NIL)
		return names;
	relation = relation_open(relid, AccessShareLock);
	for (i = 0; i < RelationGetNumberOfAttributes(relation); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(relation), i);

		if (!att->attisdropped)
			names = lappend(names, pstrdup(NameStr(att->attname)));
	}
	relation_close(relation, AccessShareLock);
	return names;
}

static WardenRowQuery *
query_of_insert(Oid relid, const InsertStmt *stmt)
{
	SelectStmt *select = (SelectStmt *) stmt->selectStmt;
	WardenRowQuery *query;

	if (select == NULL || !IsA(select, SelectStmt) ||
		(stmt->withClause != NULL && select->withClause != NULL))
		return NULL;
	query = palloc0(sizeof(WardenRowQuery));
	query->select = copyObject(select);
	if (stmt->withClause != NULL)
		query->select->withClause = copyObject(stmt->withClause);
	query->after = inserted_names(relid, stmt->cols);
	return query;
}

/* ---- MERGE -------------------------------------------------------------- */

static Node *
not_exists(Node *other, Node *condition)
{
	SelectStmt *select = makeNode(SelectStmt);
	SubLink    *exists = makeNode(SubLink);

	select->fromClause = list_make1(copyObject(other));
	select->whereClause = copyObject(condition);
	exists->subLinkType = EXISTS_SUBLINK;
	exists->subselect = (Node *) select;
	exists->location = -1;
	return (Node *) makeBoolExpr(NOT_EXPR, list_make1(exists), -1);
}

static Node *
is_not_true(Node *condition)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = (Expr *) copyObject(condition);
	test->booltesttype = IS_NOT_TRUE;
	test->location = -1;
	return (Node *) test;
}

/* Do the clauses get the same rows to choose from? */
static bool
same_kind(const MergeWhenClause *a, const MergeWhenClause *b)
{
	return WARDEN_WHEN_MATCHED(a) == WARDEN_WHEN_MATCHED(b) &&
		WARDEN_WHEN_BY_SOURCE(a) == WARDEN_WHEN_BY_SOURCE(b);
}

/*
 * The rows that come to a clause: those that no earlier one has taken.  Only
 * the last of a kind may have no condition.
 */
static void
choose_rows(WardenRowQuery *query, const MergeStmt *stmt,
			const MergeWhenClause *when)
{
	Node	   *target = (Node *) stmt->relation;
	List	   *conditions = NIL;
	ListCell   *cell;

	if (WARDEN_WHEN_MATCHED(when))
	{
		query->select->fromClause =
			list_make2(copyObject(target), copyObject(stmt->sourceRelation));
		conditions = list_make1(copyObject(stmt->joinCondition));
	}
	else if (WARDEN_WHEN_BY_SOURCE(when))
	{
		query->select->fromClause = list_make1(copyObject(target));
		conditions = list_make1(not_exists(stmt->sourceRelation,
										   stmt->joinCondition));
	}
	else
	{
		query->select->fromClause =
			list_make1(copyObject(stmt->sourceRelation));
		conditions = list_make1(not_exists(target, stmt->joinCondition));
	}
	foreach(cell, stmt->mergeWhenClauses)
	{
		MergeWhenClause *earlier = lfirst_node(MergeWhenClause, cell);

		if (earlier == when)
			break;
		if (same_kind(earlier, when))
			conditions = lappend(conditions, is_not_true(earlier->condition));
	}
	if (when->condition != NULL)
		conditions = lappend(conditions, copyObject(when->condition));
	query->select->whereClause = (Node *) makeBoolExpr(AND_EXPR, conditions,
													   -1);
}

/* Of the values of an INSERT those that are expressions. */
static void
select_values(WardenRowQuery *query, List *names, List *values)
{
	ListCell   *name;
	ListCell   *value;

	forboth(name, names, value, values)
	{
		if (IsA(lfirst(value), SetToDefault))
			continue;
		query->after = lappend(query->after, lfirst(name));
		add_target(query->select, copyObject(lfirst(value)));
	}
}

static WardenRowQuery *
query_of_when(Oid relid, const MergeStmt *stmt, const MergeWhenClause *when)
{
	WardenRowQuery *query = create_query(stmt->withClause);

	choose_rows(query, stmt, when);
	if (when->commandType == CMD_INSERT)
		select_values(query, inserted_names(relid, when->targetList),
					  when->values);
	else
	{
		select_before(query, relid, stmt->relation, when->targetList);
		select_after(query, when->targetList);
	}
	return query;
}

static List *
queries_of_merge(Oid relid, const MergeStmt *stmt)
{
	List	   *queries = NIL;
	ListCell   *cell;

	foreach(cell, stmt->mergeWhenClauses)
	{
		MergeWhenClause *when = lfirst_node(MergeWhenClause, cell);

		if (when->commandType != CMD_NOTHING)
			queries = lappend(queries, query_of_when(relid, stmt, when));
	}
	return queries;
}

/* ---- any ---------------------------------------------------------------- */

static RangeVar *
target_of(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			return ((InsertStmt *) stmt)->relation;
		case T_UpdateStmt:
			return ((UpdateStmt *) stmt)->relation;
		case T_DeleteStmt:
			return ((DeleteStmt *) stmt)->relation;
		case T_MergeStmt:
			return ((MergeStmt *) stmt)->relation;
		default:
			return NULL;
	}
}

static const char *
why_none(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_SelectStmt:
		case T_DoStmt:
		case T_CallStmt:
			return "it runs code, of which there is no sample";
		default:
			return "of DDL there is no sample, whatever it does to rows";
	}
}

List *
warden_masked_queries(Node *stmt, const char **table, const char **reason)
{
	RangeVar   *target = target_of(stmt);
	WardenRowQuery *query = NULL;
	Oid			relid;

	*reason = NULL;
	if (target == NULL)
	{
		*reason = why_none(stmt);
		return NIL;
	}
	relid = RangeVarGetRelid(target, AccessShareLock, false);
	*table = quote_qualified_identifier(
		get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	if (IsA(stmt, MergeStmt))
		return queries_of_merge(relid, (MergeStmt *) stmt);
	if (IsA(stmt, UpdateStmt))
		query = query_of_update(relid, (UpdateStmt *) stmt);
	else if (IsA(stmt, DeleteStmt))
		query = query_of_delete(relid, (DeleteStmt *) stmt);
	else
		query = query_of_insert(relid, (InsertStmt *) stmt);
	if (query == NULL)
	{
		*reason = "it is not an INSERT of one query";
		return NIL;
	}
	return list_make1(query);
}
