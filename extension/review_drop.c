/*-------------------------------------------------------------------------
 * review_drop.c
 *	  Review of DROP and RENAME, and of what depends on the objects.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "policy.h"
#include "review_private.h"
#include "statement.h"

#define MAX_DEPENDENTS	5		/* named in a message */

/* ---- dependents -------------------------------------------------------- */

/* A view's rule stands for the view. */
static Oid
view_of_rule(Oid rule)
{
	Relation	rewrite = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			view = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rewrite, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		view = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rewrite, AccessShareLock);
	return view;
}

/* A constraint or a default of the relation itself. */
static bool
is_own_part(Form_pg_depend form)
{
	HeapTuple	tuple;
	bool		own;

	if (form->refclassid != RelationRelationId)
		return false;
	if (form->classid == AttrDefaultRelationId)
		return GetAttrDefaultColumnAddress(form->objid).objectId ==
			form->refobjid;
	if (form->classid != ConstraintRelationId)
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(form->objid));
	own = HeapTupleIsValid(tuple) &&
		((Form_pg_constraint) GETSTRUCT(tuple))->conrelid == form->refobjid;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return own;
}

/* The name of what depends; NULL for what is a part of the object itself. */
static char *
dependent_name(Form_pg_depend form, Oid objid, bool whole)
{
	ObjectAddress address;
	Oid			view;

	if (form->deptype != DEPENDENCY_NORMAL || (whole && is_own_part(form)))
		return NULL;
	switch (form->classid)
	{
		case RewriteRelationId:
			view = view_of_rule(form->objid);
			return OidIsValid(view) && view != objid ?
				get_rel_name(view) : NULL;
		case ProcedureRelationId:
			return get_func_name(form->objid);
		default:
			ObjectAddressSet(address, form->classid, form->objid);
			address.objectSubId = form->objsubid;
			return getObjectDescription(&address, true);
	}
}

/* Of the whole object with subid 0, else of one column of it. */
char *
warden_review_dependents(Oid classid, Oid objid, int subid)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *names = NIL;
	StringInfoData text;
	ListCell   *cell;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(subid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL,
							  subid != 0 ? 3 : 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)) &&
		   list_length(names) <= MAX_DEPENDENTS)
	{
		char	   *name = dependent_name((Form_pg_depend) GETSTRUCT(tuple),
										  objid, subid == 0);

		if (name != NULL)
			names = list_append_unique(names, makeString(name));
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (names == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(cell, names)
		appendStringInfo(&text, "%s%s",
						 foreach_current_index(cell) > 0 ? ", " : "",
						 foreach_current_index(cell) < MAX_DEPENDENTS ?
						 strVal(lfirst(cell)) : "...");
	return text.data;
}

static void
review_dependents(WardenReviewContext *context, Oid classid, Oid objid,
				  const char *name)
{
	char	   *dependents = warden_review_dependents(classid, objid, 0);

	if (dependents != NULL)
		warden_review_add(context, "drop.dependents", -1,
						  psprintf("%s is used by %s", name, dependents),
						  "Change or drop them first, in the same change.");
}

/* ---- DROP -------------------------------------------------------------- */

static void
review_drop_table(WardenReviewContext *context, RangeVar *rv)
{
	ReviewTable table;
	const WardenRelation *labels;

	warden_review_table(context, rv, &table);
	if (table.created || !OidIsValid(table.relid))
		return;
	warden_review_add_risk(context, "table.drop",
						   table.rows >= 100000 ? WARDEN_RISK_CRITICAL :
						   WARDEN_RISK_HIGH, -1,
						   psprintf("drops %s (%s)", table.name, table.size),
						   "Rename it first and drop it when nobody has missed it.");
	review_dependents(context, RelationRelationId, table.relid, table.name);
	labels = warden_policy_relation(table.relid);
	if (labels != NULL && labels->ncolumns > 0)
		warden_review_add(context, "label.column", -1,
						  psprintf("%d columns of %s carry labels, which go with it",
								   labels->ncolumns, table.name),
						  "Check that what replaces it carries the same labels.");
	warden_review_exclusive(context, &table);
}

static void
review_drop_index(WardenReviewContext *context, RangeVar *rv,
				  bool concurrent)
{
	ReviewTable index;

	warden_review_table(context, rv, &index);
	warden_review_add(context, "index.drop", -1,
					  psprintf("drops index %s", index.name),
					  "Check in pg_stat_user_indexes that it is not used.");
	if (concurrent || !OidIsValid(index.relid))
		return;
	warden_review_add(context, "index.drop_not_concurrent", -1,
					  psprintf("locks the table of index %s against readers",
							   index.name),
					  "Use DROP INDEX CONCURRENTLY, in a change of its own.");
	warden_review_lock_indexed(context, index.relid, AccessExclusiveLock,
							   "the index is a part of it");
}

static void
review_drop_view(WardenReviewContext *context, RangeVar *rv)
{
	ReviewTable table;

	warden_review_table(context, rv, &table);
	warden_review_add(context, "object.drop", -1,
					  psprintf("drops %s", table.name),
					  "Running clients may still use it.");
	if (OidIsValid(table.relid) && table.relkind != RELKIND_RELATION &&
		table.relkind != RELKIND_PARTITIONED_TABLE)
		review_dependents(context, RelationRelationId, table.relid,
						  table.name);
}

/* Functions, types and whatever else has a name. */
static void
review_drop_other(WardenReviewContext *context, DropStmt *drop, Node *object)
{
	Relation	relation = NULL;
	ObjectAddress address;
	char	   *description;

	address = get_object_address(drop->removeType, object, &relation,
								 AccessShareLock, true);
	if (relation != NULL)
		relation_close(relation, NoLock);
	description = OidIsValid(address.objectId) ?
		getObjectDescription(&address, true) : NULL;
	warden_review_add(context, "object.drop", -1,
					  description != NULL ?
					  psprintf("drops %s, which others may use", description) :
					  pstrdup("drops an object that others may use"),
					  "Check what uses it.");
	if (description != NULL)
		review_dependents(context, address.classId, address.objectId,
						  description);
}

static void
review_drop_object(WardenReviewContext *context, DropStmt *drop, Node *object)
{
	switch (drop->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_MATVIEW:
			review_drop_table(context,
							  makeRangeVarFromNameList((List *) object));
			break;
		case OBJECT_INDEX:
			review_drop_index(context,
							  makeRangeVarFromNameList((List *) object),
							  drop->concurrent);
			break;
		case OBJECT_SCHEMA:
			if (OidIsValid(get_namespace_oid(strVal(object), true)))
				warden_review_add(context, "schema.drop", -1,
								  psprintf("drops schema \"%s\"",
										   strVal(object)),
								  "Drop its objects one by one.");
			break;
		case OBJECT_VIEW:
		case OBJECT_SEQUENCE:
			review_drop_view(context,
							 makeRangeVarFromNameList((List *) object));
			break;
		case OBJECT_POLICY:
			warden_review_add(context, "security.row_security", -1,
							  pstrdup("drops a row security policy"),
							  "Have whoever owns the access rules look at it.");
			break;
		default:
			review_drop_other(context, drop, object);
			break;
	}
}

static bool
names_relation(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW ||
		type == OBJECT_MATVIEW || type == OBJECT_INDEX ||
		type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE;
}

static void
review_drop(WardenReviewContext *context, DropStmt *drop)
{
	ListCell   *cell;

	if (drop->behavior == DROP_CASCADE)
		warden_review_add(context, "drop.cascade", -1,
						  pstrdup("drops whatever depends on it as well"),
						  "Name what is to be dropped.");
	foreach(cell, drop->objects)
	{
		review_drop_object(context, drop, lfirst(cell));
		if (names_relation(drop->removeType))
			warden_review_gone(context,
							   makeRangeVarFromNameList(lfirst(cell)));
	}
}

/* ---- RENAME -------------------------------------------------------------- */

static void
review_rename_part(WardenReviewContext *context, RenameStmt *stmt,
				   ReviewTable *table)
{
	warden_review_add(context, "object.alter", -1,
					  psprintf("renames a part of %s to \"%s\"", table->name,
							   stmt->newname),
					  "Only who names it will notice.");
}

static void
review_rename(WardenReviewContext *context, RenameStmt *stmt)
{
	ReviewTable table;
	const char *rule = "object.rename";

	if (stmt->relation == NULL)
	{
		if (stmt->renameType == OBJECT_SCHEMA)
			warden_review_schema_renamed(context, stmt->subname,
										 stmt->newname);
		warden_review_add(context, rule, -1,
						  psprintf("renames an object to \"%s\"",
								   stmt->newname),
						  "Running clients use the old name.");
		return;
	}
	warden_review_table(context, stmt->relation, &table);
	if (names_relation(stmt->renameType))
		warden_review_moved(context, stmt->relation, &table, NULL,
							stmt->newname);
	if (table.created)
		return;
	if (stmt->renameType == OBJECT_COLUMN)
		rule = "column.rename";
	else if (stmt->renameType == OBJECT_TABLE ||
			 stmt->renameType == OBJECT_VIEW)
		rule = "table.rename";
	else if (stmt->renameType == OBJECT_INDEX ||
			 stmt->renameType == OBJECT_TABCONSTRAINT ||
			 stmt->renameType == OBJECT_TRIGGER)
	{
		review_rename_part(context, stmt, &table);
		return;
	}
	warden_review_add(context, rule, -1,
					  psprintf("renames \"%s\" of %s to \"%s\"",
							   stmt->subname != NULL ? stmt->subname :
							   stmt->relation->relname,
							   table.name, stmt->newname),
					  "Running clients use the old name: add the new one beside it first.");
	if (stmt->renameType == OBJECT_COLUMN &&
		warden_review_labelled(context, table.relid, stmt->subname))
		warden_review_add(context, "label.column", -1,
						  psprintf("column \"%s\" of %s carries a label, which stays with it",
								   stmt->subname, table.name),
						  "Check what names the column in policies and conditions.");
	warden_review_exclusive(context, &table);
}

bool
warden_review_drop(WardenReviewContext *context, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropStmt:
			review_drop(context, (DropStmt *) stmt);
			return true;
		case T_RenameStmt:
			review_rename(context, (RenameStmt *) stmt);
			return true;
		default:
			return false;
	}
}
