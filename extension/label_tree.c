/*-------------------------------------------------------------------------
 * label_tree.c
 *	  Labels of an inheritance or partition tree while the tree changes.
 *
 * A label holds for the whole tree, wherever in it it was put.  So what takes
 * a relation or a column out of the tree, which its owner may do, could take a
 * label from others, which only warden_admin may: before it does, the label
 * is given to what stays.  pg_upgrade brings labels over as they are, before
 * our own tables are all there.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "catalog.h"
#include "label.h"
#include "label_tree.h"
#include "policy.h"

/* Is the column's own label enough for what the tree says of it? */
static bool
label_suffices(Oid relid, AttrNumber attnum, const WardenColumn *column)
{
	char	   *label = warden_label_of_column(relid, attnum);
	char	   *type;
	bool		untrusted;

	if (label == NULL)
		return false;
	warden_label_parse_column(label, &type, &untrusted);
	return (untrusted || !column->untrusted) &&
		warden_policy_type_suffices(type, column);
}

/* One label in place of all that the tree has for a column. */
static const char *
one_label(const WardenColumn *column)
{
	const char *type = column->type;
	ListCell   *lc;

	foreach(lc, column->others)
	{
		if (warden_policy_type_suffices(type, column))
			break;
		type = lfirst(lc);
	}
	if (!warden_policy_type_suffices(type, column))
		type = "full";
	return column->untrusted ? psprintf("%s, untrusted", type) : type;
}

/*
 * The part of a tree that "start" stays in when "left_out" is gone keeps what
 * the whole said of a column: one of its relations carries the label.  Mostly
 * "start" has it, which takes no look at the rest.
 */
static void
keep_column(Oid start, Oid left_out, const char *name,
			const WardenColumn *column)
{
	AttrNumber	attnum = get_attnum(start, name);
	Oid			carrier = attnum > 0 ? start : InvalidOid;
	ListCell   *lc;

	if (attnum > 0 && label_suffices(start, attnum, column))
		return;
	foreach(lc, warden_policy_tree_without(start, left_out))
	{
		attnum = get_attnum(lfirst_oid(lc), name);
		if (attnum <= 0)
			continue;
		if (label_suffices(lfirst_oid(lc), attnum, column))
			return;
		if (!OidIsValid(carrier))
			carrier = lfirst_oid(lc);
	}
	if (OidIsValid(carrier))
		warden_label_keep(carrier, get_attnum(carrier, name),
						  one_label(column));
}

/* The same for every column that "source" has a label of, its own or not. */
static void
keep_columns(Oid start, Oid left_out, Oid source)
{
	const WardenRelation *policy = warden_policy_relation(source);
	int			i;

	for (i = 0; policy != NULL && i < policy->ncolumns; i++)
	{
		char	   *name = get_attname(source, policy->columns[i].attnum, true);

		if (name != NULL)
			keep_column(start, left_out, name, &policy->columns[i]);
	}
}

static bool
has_type(const WardenColumn *column, const char *type)
{
	ListCell   *lc;

	if (strcmp(column->type, type) == 0)
		return true;
	foreach(lc, column->others)
	{
		if (strcmp(lfirst(lc), type) == 0)
			return true;
	}
	return false;
}

/* Has the column, which may have no label, all that the other one has? */
static bool
has_labels_of(const WardenColumn *column, const WardenColumn *other)
{
	ListCell   *lc;

	if (column == NULL || !has_type(column, other->type) ||
		(other->untrusted && !column->untrusted))
		return false;
	foreach(lc, other->others)
	{
		if (!has_type(column, lfirst(lc)))
			return false;
	}
	return true;
}

/* Does "from" have a label for a column that does not have it in "to"? */
static bool
adds_labels(Oid from, Oid to)
{
	const WardenRelation *policy = warden_policy_relation(from);
	int			i;

	for (i = 0; policy != NULL && i < policy->ncolumns; i++)
	{
		char	   *name = get_attname(from, policy->columns[i].attnum, true);
		AttrNumber	attnum = name != NULL ? get_attnum(to, name) :
			InvalidAttrNumber;

		if (attnum > 0 && !has_labels_of(warden_policy_column(to, attnum),
										 &policy->columns[i]))
			return true;
	}
	return false;
}

/* Asked of the child: a parent can have many children. */
static bool
is_linked(Oid child, Oid parent)
{
	return list_member_oid(warden_policy_neighbours(child), parent);
}

/* Nobody has plans or cursors for what this transaction has made. */
static bool
is_new(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	bool		result = rel->rd_createSubid != InvalidSubTransactionId;

	relation_close(rel, NoLock);
	return result;
}

/*
 * Called as the link between the two is made or removed, before the command
 * sees its own change: a link that is still there is being removed.  What the
 * tree said of columns becomes labels of its two parts.  A new link can bring
 * labels to relations that the command does not touch, so it counts as their
 * change.
 */
void
warden_label_tree_link(Oid child, Oid parent)
{
	if (IsBinaryUpgrade || !warden_catalog_installed())
		return;
	if (is_linked(child, parent))
	{
		keep_columns(child, parent, child);
		keep_columns(parent, child, parent);
	}
	else if (adds_labels(child, parent) ||
			 (!is_new(child) && adds_labels(parent, child)))
	{
		warden_policy_label_changed(child);
		warden_policy_label_changed(parent);
	}
}

/*
 * Does the relation, or that column of it, bring labels into its tree?  What
 * has none of its own and is computed from nothing does not.
 */
static bool
brings_labels(Oid relid, AttrNumber attnum)
{
	Relation	rel = relation_open(relid, NoLock);
	bool		result = false;
	int			i;

	for (i = 0; !result && i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && (attnum == 0 || attnum == att->attnum))
			result = att->attgenerated != '\0' ||
				warden_label_of_column(relid, att->attnum) != NULL;
	}
	relation_close(rel, NoLock);
	return result;
}

/*
 * Called before a relation (attnum 0) or a column of one is dropped.  Others of
 * its tree may stay, or keep the column: what was hidden there by the label
 * that goes stays hidden.
 */
void
warden_label_tree_drop(Oid relid, AttrNumber attnum)
{
	const WardenColumn *column;
	List	   *others;
	List	   *done = NIL;
	ListCell   *lc;

	if (IsBinaryUpgrade || relid < FirstNormalObjectId ||
		!warden_catalog_installed())
		return;
	others = warden_policy_neighbours(relid);
	if (others == NIL)
		return;

	/* Mostly a partition, whose root has the label: not to look at them all. */
	if ((attnum != 0 || list_length(others) == 1) &&
		!brings_labels(relid, attnum))
		return;
	if (warden_policy_relation(relid) == NULL)
		return;
	column = attnum != 0 ? warden_policy_column(relid, attnum) : NULL;
	foreach(lc, others)
	{
		/* in one part with another, which has what is not seen yet */
		if (list_member_oid(done, lfirst_oid(lc)))
			continue;
		if (attnum == 0)
			keep_columns(lfirst_oid(lc), relid, relid);
		else if (column != NULL)
			keep_column(lfirst_oid(lc), relid,
						get_attname(relid, attnum, false), column);
		if (lnext(others, lc) != NULL)
			done = list_concat(done, warden_policy_tree_without(lfirst_oid(lc),
																relid));
	}
}

/* Is the column a generated one, after what the command has written? */
static bool
is_generated_now(Oid relid, AttrNumber attnum)
{
	Relation	rel = table_open(AttributeRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	bool		result;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(attnum));
	scan = systable_beginscan(rel, AttributeRelidNumIndexId, true,
							  SnapshotSelf, 2, keys);
	tuple = systable_getnext(scan);
	result = HeapTupleIsValid(tuple) &&
		((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated != '\0';
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Called after a column was altered, before the command sees it.  One that is
 * generated no longer keeps the values that it was computed from.
 */
void
warden_label_tree_altered(Oid relid, AttrNumber attnum)
{
	const WardenColumn *column;
	Relation	rel;
	bool		generated;

	if (IsBinaryUpgrade || relid < FirstNormalObjectId || attnum <= 0 ||
		!warden_catalog_installed())
		return;
	rel = relation_open(relid, NoLock);
	generated = attnum <= RelationGetNumberOfAttributes(rel) &&
		TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated != '\0';
	relation_close(rel, NoLock);
	if (!generated || is_generated_now(relid, attnum))
		return;
	column = warden_policy_column(relid, attnum);
	if (column != NULL && warden_label_of_column(relid, attnum) == NULL)
		warden_label_keep(relid, attnum, one_label(column));
}
