/*-------------------------------------------------------------------------
 * audit_store.c
 *	  The tail of the audit chain: numbers records without gaps, chains them
 *	  by their hashes, begins epochs, and inserts them into the table.
 *
 * It inserts below SQL: that is how the triggers that refuse every SQL command
 * on the table do not meet it, and what keeps a record at a few microseconds.
 * Only the audit worker comes here, with interrupts held; so nothing here may
 * wait without bound, and table locks are asked for conditionally.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_partition.h"
#include "audit_record.h"
#include "audit_store.h"
#include "catalog.h"
#include "guc.h"
#include "warden.h"

/* Rows that go to the table in one call. */
#define INSERT_ROWS 64

#define LOCK_WAIT_MS 1000
#define LOCK_RETRY_MS 20

struct WardenStore
{
	WardenChainHead head;  /* after what was appended so far */
	const char *new_epoch; /* its record goes before the next one */
	MemoryContext memory;
	Relation rel;
	EState *estate;
	ResultRelInfo *target; /* rel and its indexes */
	pg_cryptohash_ctx *hasher;
	TupleTableSlot *slots[INSERT_ROWS];
	int nslots;
};

/*
 * The store and the partition that is written to, as long as the head of the
 * chain is known: what makes that unknown may have changed these as well.
 */
static Oid store_relid = InvalidOid;
static WardenPartition current = {InvalidOid, 0, 0};

/* Partitions are there up to this time. */
static TimestampTz prepared_until = 0;

/* ----------------------------------------------------------------------
 * Locks
 * ---------------------------------------------------------------------- */

/*
 * The lock without waiting behind somebody for long: that one may be waiting
 * for us, in a way that no deadlock detector sees.
 */
static void
lock_table(Oid relid, LOCKMODE mode, const char *name)
{
	TimestampTz give_up;

	give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCK_WAIT_MS);
	while (!ConditionalLockRelationOid(relid, mode))
	{
		if (GetCurrentTimestamp() >= give_up)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("table \"warden.%s\" is locked", name),
					 errhint("End the transaction that holds the lock.")));
		(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_RETRY_MS,
						 PG_WAIT_EXTENSION);
	}
}

static Oid
find_table(const char *name)
{
	Oid relid = warden_catalog_relation(name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"warden.%s\" does not exist", name),
				 errhint("Reinstall the extension.")));
	return relid;
}

Oid
warden_store_lock(const char *name)
{
	Oid relid = find_table(name);

	lock_table(relid, RowExclusiveLock, name);
	return relid;
}

/* ----------------------------------------------------------------------
 * The end of the chain
 * ---------------------------------------------------------------------- */

/* The row with the highest id, or with that id; false when there is none. */
static bool
fetch_from(Oid partition, int64 id, WardenRecord *record)
{
	Relation rel;
	Relation index;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	lock_table(partition, AccessShareLock, "audit_events");
	rel = table_open(partition, NoLock);
	warden_record_check_table(RelationGetDescr(rel));
	index = index_open(warden_partition_key(rel), AccessShareLock);
	PushActiveSnapshot(GetTransactionSnapshot());
	ScanKeyInit(&key, WARDEN_REC_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	scan = systable_beginscan_ordered(rel, index, GetActiveSnapshot(),
									  id != 0 ? 1 : 0, &key);
	tuple = systable_getnext_ordered(scan,
									 id != 0 ? ForwardScanDirection :
											   BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		heap_deform_tuple(tuple, RelationGetDescr(rel), record->values,
						  record->nulls);
	}
	systable_endscan_ordered(scan);
	PopActiveSnapshot();
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
	return HeapTupleIsValid(tuple);
}

static bool
fetch_record(List *partitions, int64 id, WardenRecord *record)
{
	int i;

	for (i = list_length(partitions) - 1; i >= 0; i--)
	{
		const WardenPartition *partition = list_nth(partitions, i);

		if (fetch_from(partition->relid, id, record))
			return true;
	}
	return false;
}

static void
read_head(List *partitions, WardenChainHead *result)
{
	WardenRecord record;
	bytea *hash;

	memset(result, 0, sizeof(*result));
	result->known = true;
	if (!fetch_record(partitions, 0, &record))
		return;
	hash = DatumGetByteaPP(WARDEN_RECORD_VALUE(&record, WARDEN_REC_HASH));
	if (VARSIZE_ANY_EXHDR(hash) != WARDEN_HASH_BYTES)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the last audit record has no valid hash"),
			 errhint(
				 "Run warden.verify_audit() and restore the audit table.")));
	result->id = DatumGetInt64(WARDEN_RECORD_VALUE(&record, WARDEN_REC_ID));
	result->epoch = DatumGetInt64(
		WARDEN_RECORD_VALUE(&record, WARDEN_REC_EPOCH));
	result->stored_at = DatumGetTimestampTz(
		WARDEN_RECORD_VALUE(&record, WARDEN_REC_STORED_AT));
	memcpy(result->hash, VARDATA_ANY(hash), WARDEN_HASH_BYTES);
}

/* What must be the same for the chain to go on without a new epoch. */
static char *
epoch_detail(void)
{
	return psprintf("format=1 system=" UINT64_FORMAT " timeline=%u database=%u",
					GetSystemIdentifier(), GetWALInsertionTimeLine(),
					MyDatabaseId);
}

/* A restore, a copied database or a failover since the last epoch record. */
static bool
epoch_is_over(List *partitions, const WardenChainHead *last, const char *detail)
{
	WardenRecord record;

	if (last->id == 0 || !fetch_record(partitions, last->epoch, &record) ||
		WARDEN_RECORD_NULL(&record, WARDEN_REC_DETAIL))
		return true;
	return strcmp(TextDatumGetCString(
					  WARDEN_RECORD_VALUE(&record, WARDEN_REC_DETAIL)),
				  detail) != 0;
}

/* Where the chain stands, and whether it goes on in the same epoch. */
static void
find_head(WardenStore *store, List *partitions)
{
	const char *detail;

	read_head(partitions, &store->head);
	detail = epoch_detail();
	if (epoch_is_over(partitions, &store->head, detail))
		store->new_epoch = detail;
}

/* ----------------------------------------------------------------------
 * The partition to write to
 * ---------------------------------------------------------------------- */

/* The time of what is written now, which never goes back. */
static TimestampTz
time_after(TimestampTz last)
{
	return Max(last, GetCurrentTimestamp());
}

/* The store's partitions; it stays locked, and is not open. */
static List *
list_partitions(LOCKMODE mode, Oid *tablespace)
{
	Relation rel;
	List *partitions;

	store_relid = find_table("audit_events");
	lock_table(store_relid, mode, "audit_events");
	rel = table_open(store_relid, NoLock);
	partitions = warden_partition_list(rel);
	*tablespace = rel->rd_rel->reltablespace;
	table_close(rel, NoLock);

	prepared_until = 0;
	if (partitions != NIL)
		prepared_until = ((WardenPartition *) llast(partitions))->upto;
	return partitions;
}

/* The one for that time, else a new one. */
static void
choose_partition(List *partitions, Oid tablespace, TimestampTz at)
{
	ListCell *cell;

	current.relid = InvalidOid;
	foreach(cell, partitions)
	{
		const WardenPartition *partition = lfirst(cell);

		if (warden_partition_covers(partition, at))
			current = *partition;
	}
	if (!OidIsValid(current.relid))
	{
		/* what attaching asks for, so that it need not wait for it */
		lock_table(store_relid, ShareUpdateExclusiveLock, "audit_events");
		warden_partition_create(partitions, tablespace, at, &current);
		prepared_until = Max(prepared_until, current.upto);
	}
	lock_table(current.relid, RowExclusiveLock, "audit_events");
}

/*
 * A partition ahead of time, so that no statement waits for it.  Half of a
 * range ahead, but a day at most.
 */
bool
warden_store_wants_partition(void)
{
	int64 lead = Min((int64) warden_audit_partition * USECS_PER_SEC / 2,
					 USECS_PER_DAY);

	return prepared_until != 0 &&
		prepared_until - lead <= GetCurrentTimestamp();
}

void
warden_store_add_partition(void)
{
	Oid tablespace;
	List *partitions = list_partitions(ShareUpdateExclusiveLock, &tablespace);
	WardenPartition next;

	if (!warden_store_wants_partition())
		return;
	/* after a pause the last range may be long over */
	warden_partition_create(partitions, tablespace, time_after(prepared_until),
							&next);
	prepared_until = next.upto;
}

/* ----------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------- */

static void
find_end(WardenStore *store, const WardenChainHead *head)
{
	List *partitions;
	Oid tablespace;

	store->head = *head;
	store->head.stored_at = time_after(head->stored_at);
	if (head->known && warden_partition_covers(&current, store->head.stored_at))
	{
		lock_table(current.relid, RowExclusiveLock, "audit_events");
		/* the lock brings messages: is it still what it was? */
		if (head->known)
			return;
	}
	partitions = list_partitions(AccessShareLock, &tablespace);
	if (!head->known)
	{
		find_head(store, partitions);
		store->head.stored_at = time_after(store->head.stored_at);
	}
	choose_partition(partitions, tablespace, store->head.stored_at);
}

WardenStore *
warden_store_open(const WardenChainHead *head)
{
	WardenStore *store = palloc0(sizeof(WardenStore));

	store->memory = CurrentMemoryContext;
	find_end(store, head);
	store->rel = table_open(current.relid, NoLock);
	warden_record_check_table(RelationGetDescr(store->rel));
	store->estate = CreateExecutorState();
	store->target = makeNode(ResultRelInfo);
	InitResultRelInfo(store->target, store->rel, 1, NULL, 0);
	ExecOpenIndices(store->target, false);
	store->hasher = pg_cryptohash_create(PG_SHA256);
	if (store->hasher == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
				 errhint("The audit worker tries again.")));
	PushActiveSnapshot(GetTransactionSnapshot());
	return store;
}

bool
warden_store_go_on(WardenStore *store)
{
	TimestampTz now = time_after(store->head.stored_at);

	if (!warden_partition_covers(&current, now))
		return false;
	store->head.stored_at = now;
	return true;
}

const WardenChainHead *
warden_store_head(const WardenStore *store)
{
	return &store->head;
}

bool
warden_store_concerns(Oid relid)
{
	return relid == store_relid || relid == current.relid;
}

void
warden_store_flush(WardenStore *store)
{
	int i;

	if (store->nslots == 0)
		return;
	table_multi_insert(store->rel, store->slots, store->nslots,
					   GetCurrentCommandId(true), 0, NULL);
	for (i = 0; i < store->nslots; i++)
	{
		(void) ExecInsertIndexTuples(store->target, store->slots[i],
									 store->estate, false, false, NULL, NIL,
									 false);
		ResetPerTupleExprContext(store->estate);
		ExecClearTuple(store->slots[i]);
	}
	store->nslots = 0;
}

static void
insert_row(WardenStore *store, const WardenRecord *record)
{
	TupleTableSlot *slot = store->slots[store->nslots];

	if (slot == NULL)
	{
		/* it outlives the outbox's SPI connection */
		MemoryContext old = MemoryContextSwitchTo(store->memory);

		slot = table_slot_create(store->rel, NULL);
		store->slots[store->nslots] = slot;
		MemoryContextSwitchTo(old);
	}
	store->nslots++;
	memcpy(slot->tts_values, record->values, sizeof(record->values));
	memcpy(slot->tts_isnull, record->nulls, sizeof(record->nulls));
	ExecStoreVirtualTuple(slot);
	if (store->nslots == INSERT_ROWS)
		warden_store_flush(store);
}

static Datum
hash_datum(const uint8 *hash)
{
	bytea *value = palloc(VARHDRSZ + WARDEN_HASH_BYTES);

	SET_VARSIZE(value, VARHDRSZ + WARDEN_HASH_BYTES);
	memcpy(VARDATA(value), hash, WARDEN_HASH_BYTES);
	return PointerGetDatum(value);
}

/* Numbers the record, chains it, and hands it to the table. */
static void
append_record(WardenStore *store, WardenRecord *record)
{
	WardenChainHead *last = &store->head;

	warden_record_set(record, WARDEN_REC_ID, Int64GetDatum(last->id + 1));
	warden_record_set(record, WARDEN_REC_EPOCH, Int64GetDatum(last->epoch));
	warden_record_set(record, WARDEN_REC_STORED_AT,
					  TimestampTzGetDatum(last->stored_at));
	warden_record_set(record, WARDEN_REC_PREV, hash_datum(last->hash));
	warden_record_hash(record, store->hasher, last->hash);
	warden_record_set(record, WARDEN_REC_HASH, hash_datum(last->hash));
	last->id++;

	insert_row(store, record);
}

/* Before the first record of a new epoch comes that epoch's own. */
int64
warden_store_append(WardenStore *store, WardenRecord *record)
{
	if (store->new_epoch != NULL)
	{
		WardenRecord epoch;

		warden_record_init(&epoch, "epoch");
		warden_record_set(&epoch, WARDEN_REC_AT,
						  TimestampTzGetDatum(store->head.stored_at));
		warden_record_set_text(&epoch, WARDEN_REC_DETAIL, store->new_epoch,
							   WARDEN_RECORD_FIELD_BYTES);
		store->new_epoch = NULL;
		store->head.epoch = store->head.id + 1;
		append_record(store, &epoch);
	}
	append_record(store, record);
	return store->head.id;
}

WardenChainHead
warden_store_close(WardenStore *store)
{
	WardenChainHead head;
	int i;

	warden_store_flush(store);
	PopActiveSnapshot();
	for (i = 0; i < INSERT_ROWS && store->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	pg_cryptohash_free(store->hasher);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	table_close(store->rel, NoLock);
	head = store->head;
	/* nothing written: the epoch is still to be looked at */
	head.known = (store->new_epoch == NULL);
	return head;
}
