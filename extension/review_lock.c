/*-------------------------------------------------------------------------
 * review_lock.c
 *	  What a statement locks besides the table that it names: partitions,
 *	  parents, defaults, the other side of a foreign key; and whether anything
 *	  bounds the wait for a lock.
 *
 * Nothing is said of tables that the same change makes: nobody uses them yet.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/makefuncs.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "review_private.h"

/* Partitions that are measured; of a larger number these stand for all. */
#define MAX_MEASURED	200

/* ---- sizes --------------------------------------------------------------- */

/* Rows by the last ANALYZE, or a guess from the size where there was none. */
static void
add_relation(ReviewTable *table, Oid relid, double *largest)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	BlockNumber blocks = 0;
	double		rows;

	if (relation == NULL)
		return;
	if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind))
		blocks = RelationGetNumberOfBlocks(relation);
	rows = relation->rd_rel->reltuples >= 0 &&
		relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE ?
		relation->rd_rel->reltuples : (double) blocks * 100;
	table->bytes += (int64) blocks * BLCKSZ;
	table->rows += rows;
	if (relid != table->relid)
	{
		if (table->largest == NULL || rows > *largest)
		{
			char	   *schema;

			schema = get_namespace_name(RelationGetNamespace(relation));
			table->largest =
				quote_qualified_identifier(schema,
										   RelationGetRelationName(relation));
			*largest = rows;
		}
	}
	else
	{
		table->relkind = relation->rd_rel->relkind;
		table->has_children = relation->rd_rel->relhassubclass;
	}
	relation_close(relation, AccessShareLock);
}

/* A table and all that is stored under it. */
void
warden_review_measure(ReviewTable *table)
{
	double		largest = 0;
	List	   *children;
	ListCell   *cell;

	add_relation(table, table->relid, &largest);
	if (!table->has_children)
		return;
	children = find_all_inheritors(table->relid, NoLock, NULL);
	table->partitions = list_length(children) - 1;
	foreach(cell, children)
	{
		if (foreach_current_index(cell) > MAX_MEASURED)
			break;
		if (lfirst_oid(cell) != table->relid)
			add_relation(table, lfirst_oid(cell), &largest);
	}
	if (table->partitions > MAX_MEASURED)
	{
		table->rows *= (double) table->partitions / MAX_MEASURED;
		table->bytes *= table->partitions / MAX_MEASURED;
	}
}

/* ---- locks --------------------------------------------------------------- */

static const char *
whom(LOCKMODE lockmode)
{
	return lockmode >= AccessExclusiveLock ? "readers and writers" : "writers";
}

void
warden_review_lock(WardenReviewContext *context, ReviewTable *table,
				   LOCKMODE lockmode)
{
	if (table->created || lockmode < ShareLock)
		return;
	if (lockmode >= AccessExclusiveLock)
	{
		warden_review_add(context, "lock.access_exclusive", -1,
						  psprintf("locks %s (%s) against readers and writers",
								   table->name, table->size),
						  "It waits for running queries and others wait behind it; apply it at a quiet time.");
		warden_review_exclusive(context, table);
	}
	else
		warden_review_add(context, "lock.exclusive", -1,
						  psprintf("locks %s (%s) against writers",
								   table->name, table->size),
						  "Apply it at a quiet time.");
	if (table->partitions > 0)
		warden_review_add(context, "lock.partitions", -1,
						  psprintf("does the same to %d partitions or children of %s, the largest is %s",
								   table->partitions, table->name,
								   table->largest),
						  "Do it partition by partition where PostgreSQL lets you (ONLY, then ATTACH).");
}

void
warden_review_lock_other(WardenReviewContext *context, ReviewTable *other,
						 LOCKMODE lockmode, const char *why)
{
	if (other->created || !OidIsValid(other->relid))
		return;
	warden_review_add(context, "lock.other_table", -1,
					  psprintf("also locks %s (%s) against %s: %s",
							   other->name, other->size, whom(lockmode), why),
					  "Count its users in when you choose the time.");
	if (lockmode >= AccessExclusiveLock)
		warden_review_exclusive(context, other);
}

void
warden_review_by_oid(WardenReviewContext *context, Oid relid,
					 ReviewTable *table)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	warden_review_table(context,
						makeRangeVar(schema, get_rel_name(relid), -1), table);
}

/* The partition that holds what fits no other one. */
void
warden_review_lock_default(WardenReviewContext *context, ReviewTable *parent)
{
	Oid			partition;
	ReviewTable table;

	if (parent->created || parent->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	partition = get_default_partition_oid(parent->relid);
	if (!OidIsValid(partition))
		return;
	warden_review_by_oid(context, partition, &table);
	warden_review_lock_other(context, &table, AccessExclusiveLock,
							 "it is the default partition");
}

/* The table of an index. */
void
warden_review_lock_indexed(WardenReviewContext *context, Oid index,
						   LOCKMODE lockmode, const char *why)
{
	Oid			relid = IndexGetRelation(index, true);
	ReviewTable table;

	if (!OidIsValid(relid))
		return;
	warden_review_by_oid(context, relid, &table);
	warden_review_lock_other(context, &table, lockmode, why);
}

void
warden_review_no_timeout(WardenReviewContext *context, const char *what)
{
	warden_review_add(context, "lock.no_timeout", -1,
					  psprintf("runs outside of a transaction, where an apply sets no lock_timeout: it waits for %s as long as it takes, and others behind it",
							   what),
					  "SET lock_timeout in the session that applies it.");
}
