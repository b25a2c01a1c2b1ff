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
#include "audit_record.h"
#include "audit_store.h"
#include "catalog.h"
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

static Oid store_relid = InvalidOid;

/* The row with the highest id, or with that id; false when there is none. */
static bool
fetch_record(Relation rel, int64 id, WardenRecord *record)
{
	Relation index = index_open(RelationGetPrimaryKeyIndex(rel),
								AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

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
	index_close(index, AccessShareLock);
	return HeapTupleIsValid(tuple);
}

static void
read_head(Relation rel, WardenChainHead *result)
{
	WardenRecord record;
	bytea *hash;

	memset(result, 0, sizeof(*result));
	result->known = true;
	if (!fetch_record(rel, 0, &record))
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
epoch_is_over(Relation rel, const WardenChainHead *last, const char *detail)
{
	WardenRecord record;

	if (last->id == 0 || !fetch_record(rel, last->epoch, &record) ||
		WARDEN_RECORD_NULL(&record, WARDEN_REC_DETAIL))
		return true;
	return strcmp(TextDatumGetCString(
					  WARDEN_RECORD_VALUE(&record, WARDEN_REC_DETAIL)),
				  detail) != 0;
}

/* ----------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------- */

/*
 * The lock without waiting behind somebody for long: that one may be waiting
 * for us, in a way that no deadlock detector sees.
 */
Oid
warden_store_lock(const char *name)
{
	Oid relid = warden_catalog_relation(name);
	TimestampTz give_up;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"warden.%s\" does not exist", name),
				 errhint("Reinstall the extension.")));
	give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCK_WAIT_MS);
	while (!ConditionalLockRelationOid(relid, RowExclusiveLock))
	{
		if (GetCurrentTimestamp() >= give_up)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("table \"warden.%s\" is locked", name),
					 errhint("End the transaction that holds the lock.")));
		(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOCK_RETRY_MS,
						 PG_WAIT_EXTENSION);
	}
	return relid;
}

/* Where the chain stands, and whether it goes on in the same epoch. */
static void
find_head(WardenStore *store)
{
	const char *detail;

	if (store->head.known)
		return;
	read_head(store->rel, &store->head);
	detail = epoch_detail();
	if (epoch_is_over(store->rel, &store->head, detail))
		store->new_epoch = detail;
}

WardenStore *
warden_store_open(const WardenChainHead *head)
{
	WardenStore *store = palloc0(sizeof(WardenStore));

	store_relid = warden_store_lock("audit_events");
	store->memory = CurrentMemoryContext;
	store->rel = table_open(store_relid, NoLock);
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
	store->head = *head;
	find_head(store);
	return store;
}

const WardenChainHead *
warden_store_head(const WardenStore *store)
{
	return &store->head;
}

Oid
warden_store_relation(void)
{
	return store_relid;
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
