/*-------------------------------------------------------------------------
 * audit_guard.c
 *	  What may happen to the audit tables besides the worker's writing:
 *	  retention, and what a restore puts into the outbox.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_partition.h"
#include "audit_record.h"
#include "audit_worker.h"
#include "catalog.h"
#include "nesting.h"
#include "principal.h"
#include "warden.h"

PG_FUNCTION_INFO_V1(warden_sql_drop_audit_before);
PG_FUNCTION_INFO_V1(warden_sql_guard_audit);

/* ----------------------------------------------------------------------
 * Retention
 * ---------------------------------------------------------------------- */

/* Only superusers drop records that are younger. */
#define MIN_RETENTION (30 * USECS_PER_DAY)

/* Readers of the trail are waited for so long, without stopping new ones. */
#define LOCK_WAIT_MS 5000
#define LOCK_RETRY_MS 20

typedef struct Retention
{
	TimestampTz before;
	int64 first;   /* first record to go */
	int64 through; /* last record to go; 0: none */
	uint8 hash[WARDEN_HASH_BYTES];
} Retention;

/*
 * Dropping takes the lock that excludes everybody.  Waiting for it in line
 * would make all that comes after wait for whoever is in front.
 */
static Relation
lock_store(void)
{
	Oid relid = warden_catalog_relation("audit_events");
	TimestampTz give_up;

	give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCK_WAIT_MS);
	while (!ConditionalLockRelationOid(relid, AccessExclusiveLock))
	{
		if (GetCurrentTimestamp() >= give_up)
			ereport(ERROR,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("somebody reads table \"warden.audit_events\""),
					 errhint("Try again when queries of the audit trail and dumps of the database have ended.")));
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_RETRY_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	return table_open(relid, NoLock);
}

/* First and last record of a partition; false when it is empty. */
static bool
partition_ends(Oid relid, int64 *first, int64 *last, uint8 *hash)
{
	const char *name = quote_identifier(get_rel_name(relid));
	TupleDesc desc;
	HeapTuple row;
	bytea *value;
	bool isnull;

	if (SPI_execute(psprintf(
						"SELECT (SELECT pg_catalog.min(id) FROM warden.%s), id,"
						" hash FROM warden.%s ORDER BY id DESC LIMIT 1",
						name, name),
					false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the audit trail");
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	*first = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	*last = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	value = DatumGetByteaPP(SPI_getbinval(row, desc, 3, &isnull));
	memset(hash, 0, WARDEN_HASH_BYTES);
	memcpy(hash, VARDATA_ANY(value),
		   Min(VARSIZE_ANY_EXHDR(value), WARDEN_HASH_BYTES));
	return true;
}

/* The first statement that still runs: its outcome will refer to it. */
static int64
first_open(void)
{
	bool isnull;
	Datum value;

	if (SPI_execute("SELECT pg_catalog.min(o.id) FROM"
					" pg_catalog.unnest(warden.audit_open_statements()) o(id)",
					false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the open statements");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &isnull);
	return isnull ? PG_INT64_MAX : DatumGetInt64(value);
}

/* Is there a record after this partition?  The chain goes on from it. */
static bool
has_successor(List *partitions, int position)
{
	int64 first;
	int64 last;
	uint8 hash[WARDEN_HASH_BYTES];
	int i;

	for (i = position + 1; i < list_length(partitions); i++)
	{
		const WardenPartition *partition = list_nth(partitions, i);

		if (partition_ends(partition->relid, &first, &last, hash))
			return true;
	}
	return false;
}

/* Whole partitions, from the oldest on; the last record always stays. */
static void
drop_partitions(void *arg)
{
	Retention *retention = arg;
	Relation store = lock_store();
	List *partitions = warden_partition_list(store);
	int64 running;
	int i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not read the audit trail");
	running = first_open();
	for (i = 0; i < list_length(partitions); i++)
	{
		const WardenPartition *partition = list_nth(partitions, i);
		uint8 hash[WARDEN_HASH_BYTES];
		int64 first;
		int64 last;

		if (partition->upto > retention->before ||
			!has_successor(partitions, i))
			break;
		if (partition_ends(partition->relid, &first, &last, hash))
		{
			if (last >= running)
				break;
			if (retention->through == 0)
				retention->first = first;
			retention->through = last;
			memcpy(retention->hash, hash, WARDEN_HASH_BYTES);
		}
		warden_partition_drop(partition->relid);
	}
	SPI_finish();
	table_close(store, NoLock);
}

/* Whoever makes policy can not erase the record of having made it. */
static void
require_retention(TimestampTz before)
{
	TimestampTz kept = GetCurrentTimestamp() - MIN_RETENTION;

	if (superuser() || before <= kept)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("audit records of the last 30 days are kept"),
			 errhint("Give a time before %s; a superuser can drop later ones.",
					 timestamptz_to_str(kept))));
}

/* warden.drop_audit_before(before) -> number of records dropped */
Datum
warden_sql_drop_audit_before(PG_FUNCTION_ARGS)
{
	Retention retention;

	warden_nesting_require_toplevel(fcinfo, "drop_audit_before",
									WARDEN_ERRCODE_NOT_PERMITTED);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the time is missing"),
				 errhint("Give the time before which records are dropped.")));
	memset(&retention, 0, sizeof(retention));
	retention.before = PG_GETARG_TIMESTAMPTZ(0);
	require_retention(retention.before);
	warden_principal_run_internal(drop_partitions, &retention);
	if (retention.through == 0)
		PG_RETURN_INT64(0);
	warden_audit_action(WARDEN_RETENTION_ACTION, 0,
						warden_record_retired(retention.through,
											  retention.hash));
	PG_RETURN_INT64(retention.through - retention.first + 1);
}

/* ----------------------------------------------------------------------
 * The guard
 * ---------------------------------------------------------------------- */

/*
 * Trigger on the store and the outbox.  The worker writes the store below
 * SQL; the outbox is written in internal mode and emptied by the worker.
 */
Datum
warden_sql_guard_audit(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this function can only be called as a trigger"),
				 errhint("It guards the audit tables.")));
	if (warden_principal_internal() || warden_audit_is_worker())
		return PointerGetDatum(NULL);
	/* a dump's rows; those of the store come before its triggers */
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event) && superuser() &&
		warden_principal_current()->class == WARDEN_CLASS_NONE &&
		RelationGetRelid(data->tg_relation) ==
			warden_catalog_relation("audit_outbox"))
		return PointerGetDatum(NULL);
	ereport(
		ERROR,
		(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
		 errmsg("table \"%s\" can not be changed by SQL",
				RelationGetRelationName(data->tg_relation)),
		 errhint(
			 "The audit trail is append-only and written by the library alone.")));
}
