/*-------------------------------------------------------------------------
 * audit_store.h
 *	  The tail of the audit chain.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_STORE_H
#define WARDEN_AUDIT_STORE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "audit_record.h"

/* The last record of the chain. */
typedef struct WardenChainHead
{
	bool known; /* read from the table, or written by this process */
	int64 id;	/* 0: the table is empty */
	int64 epoch;
	TimestampTz stored_at;
	uint8 hash[WARDEN_HASH_BYTES];
} WardenChainHead;

typedef struct WardenStore WardenStore;

/*
 * Locks a table of the library for writing, waiting a second at most: whoever
 * holds the lock may be waiting for us, in a way that no deadlock detector
 * sees.
 */
extern Oid warden_store_lock(const char *name);

/*
 * Opens the store for appending, in a transaction, and makes a snapshot active
 * that is newer than its locks; its memory is the current context's.  A head
 * that is not known is read, and so it is when it becomes unknown meanwhile:
 * somebody changed the table before the lock was had.
 */
extern WardenStore *warden_store_open(const WardenChainHead *head);
extern const WardenChainHead *warden_store_head(const WardenStore *store);

/*
 * Lets the time go on for records that have come since the store was opened;
 * false if they belong in another partition.
 */
extern bool warden_store_go_on(WardenStore *store);

/* Numbers, chains and inserts a record; returns its id. */
extern int64 warden_store_append(WardenStore *store, WardenRecord *record);

/* Rows appended so far leave the memory that the records are in. */
extern void warden_store_flush(WardenStore *store);

/* Returns the head as it is once the transaction is committed. */
extern WardenChainHead warden_store_close(WardenStore *store);

/* The store, or the partition that is written to. */
extern bool warden_store_concerns(Oid relid);

/* The time to make the next partition has come. */
extern bool warden_store_wants_partition(void);

/* Makes it, in a transaction of the caller's. */
extern void warden_store_add_partition(void);

#endif /* WARDEN_AUDIT_STORE_H */
