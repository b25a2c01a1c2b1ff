/*-------------------------------------------------------------------------
 * label_copy.c
 *	  Labels of materialized views over a view that is replaced.
 *
 * A materialized view is refused for what the views below it read.  When a
 * view's query goes, what was copied through it stays where it is; so the
 * columns that held it get a label of their own.  To remove that one takes
 * warden_admin, as for every other.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_rewrite.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "label.h"
#include "label_copy.h"
#include "lineage.h"
#include "policy.h"

/*
 * The relation that the rule is of, or InvalidOid.  *query, when asked for,
 * gets what a view stands for, and is left alone for another kind of rule.
 * SnapshotSelf shows the rule as the command has just made it.
 */
static Oid
read_rule(Oid rule, Snapshot snapshot, Query **query)
{
	Relation	rel = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rel, RewriteOidIndexId, true, snapshot, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_rewrite form = (Form_pg_rewrite) GETSTRUCT(tuple);

		result = form->ev_class;
		if (query != NULL && form->ev_type == '0' + CMD_SELECT)
		{
			bool		isnull;
			Datum		action = heap_getattr(tuple, Anum_pg_rewrite_ev_action,
											  RelationGetDescr(rel), &isnull);

			*query = linitial_node(Query,
								   stringToNode(TextDatumGetCString(action)));
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* Adds the views and materialized views whose queries name the relation. */
static List *
add_readers(List *readers, Oid relid)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		Oid			reader;

		if (form->classid != RewriteRelationId)
			continue;
		reader = read_rule(form->objid, NULL, NULL);
		if (get_rel_relkind(reader) == RELKIND_VIEW ||
			get_rel_relkind(reader) == RELKIND_MATVIEW)
			readers = list_append_unique_oid(readers, reader);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return readers;
}

/*
 * Columns that held labelled values as the view was, and would not as it is
 * going to be, would be shown.  Without a lock, which REFRESH could hold while
 * it waits for the view's: the query does not change, and who holds the view's
 * knows what it was filled through.
 */
static void
keep_copies(Oid matview, Oid view, Query *query)
{
	Relation	rel = RelationIdGetRelation(matview);
	List	   *sources;
	List	   *before;
	List	   *after;
	ListCell   *lc;

	if (!RelationIsValid(rel))
		return;
	if (rel->rd_rel->relispopulated)
	{
		before = warden_lineage_matview(rel, &sources);
		/* what was a table had values of its own, which are gone */
		after = get_rel_relkind(view) == RELKIND_VIEW ?
			warden_lineage_matview_with(rel, view, query) : NIL;
		foreach(lc, list_difference_int(before, after))
		{
			if (warden_label_of_column(matview, lfirst_int(lc)) != NULL)
				continue;
			warden_label_keep(matview, lfirst_int(lc), "full");
			warden_policy_label_changed(matview);
		}
	}
	RelationClose(rel);
}

void
warden_label_copy_rule(Oid rule)
{
	Query	   *query = NULL;
	Oid			view = read_rule(rule, SnapshotSelf, &query);
	List	   *readers;
	int			i;

	/* PostgreSQL 15 makes a view of an empty table by such a rule */
	if (query == NULL || get_rel_relkind(view) == RELKIND_MATVIEW ||
		IsBinaryUpgrade || !warden_catalog_installed())
		return;
	readers = add_readers(NIL, view);
	/* the list grows while it is worked through */
	for (i = 0; i < list_length(readers); i++)
	{
		Oid			reader = list_nth_oid(readers, i);

		if (get_rel_relkind(reader) == RELKIND_MATVIEW)
			keep_copies(reader, view, query);
		else if (reader != view)
			readers = add_readers(readers, reader);
	}
}
