/*-------------------------------------------------------------------------
 * audit_partition.h
 *	  Partitions of warden.audit_events, one after the other in time.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_PARTITION_H
#define WARDEN_AUDIT_PARTITION_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/parsenodes.h"
#include "utils/relcache.h"

/* Holds the records with from <= stored_at < upto. */
typedef struct WardenPartition
{
	Oid relid;
	TimestampTz from;
	TimestampTz upto;
} WardenPartition;

/*
 * The partitions in the order of time, which is that of ids; palloc'd.  The
 * store is locked by the caller.
 */
extern List *warden_partition_list(Relation store);

/* The index on id of a partition; an error if it has none. */
extern Oid warden_partition_key(Relation partition);

extern bool warden_partition_covers(const WardenPartition *partition,
									TimestampTz at);

/*
 * Makes the partition for a time that none of those listed covers.  Only the
 * worker does; the store is locked so that nothing in here waits, and closed.
 */
extern void warden_partition_create(List *partitions, Oid tablespace,
									TimestampTz at, WardenPartition *created);

/* Drops one, as retention does. The store is locked exclusively. */
extern void warden_partition_drop(Oid relid);

/* Refuses DROP TABLE of a partition, whoever sends it. */
extern void warden_partition_check_drop(Oid relid);

/* Refuses to detach one: the trail would go on without it, from record 1. */
extern void warden_partition_check_alter(const AlterTableStmt *stmt);

#endif /* WARDEN_AUDIT_PARTITION_H */
