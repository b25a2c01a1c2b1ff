/*-------------------------------------------------------------------------
 * audit_worker.c
 *	  The background worker that writes one database's audit records.
 *
 * It is the only writer of warden.audit_events.  It writes all that is queued
 * in one transaction, and only then takes it off the queue.  An error leaves
 * the queue as it was; the next attempt numbers the same records anew.
 *
 * Interrupts are held while a batch is written, so that a batch is either not
 * committed or taken off, never half of each.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_queue.h"
#include "audit_record.h"
#include "audit_store.h"
#include "audit_worker.h"
#include "catalog.h"
#include "guc.h"
#include "identity.h"
#include "warden.h"

/* One transaction writes at most this much. */
#define BATCH_RECORDS 4096
#define BATCH_BYTES (8 * 1024 * 1024)

/* So many and no more for those who come while it is written. */
#define LATE_RECORDS 256

/*
 * Those whom a batch woke come back soon.  While fewer than half of them are
 * back the next batch waits for them, so long in parts of the time that the
 * last commits took: otherwise the few who came while one was written get a
 * flush of their own, and all others two.
 */
#define GATHER_PART 2
#define GATHER_MOST_US 2000

#define NAP_BUSY_MS 20
#define NAP_IDLE_MS 100
#define RETRY_FIRST_MS 100
#define RETRY_LAST_MS 1000
#define PREPARE_RETRY_MS 10000

/* Outcomes of statements that end with the server get that long. */
#define FAREWELL_MS 300

/* What is being written. */
typedef struct Batch
{
	WardenQueued *queued;
	int nqueued;
	bool outbox; /* the outbox was emptied in it */
	WardenStore *store;
	WardenChainHead head; /* after it */
} Batch;

int warden_audit_head_interval = 0;

static WardenStream *stream = NULL;
static WardenChainHead head;	  /* as committed */
static WardenChainHead attempted; /* of a batch whose commit was asked for */
static int attempted_n;			  /* records of the queue in it */
static int awaited_n;			  /* records that somebody waited for, in the
								   * last batch */
static long commit_us;			  /* that commits took, smoothed */
static char database_name[NAMEDATALEN];
static MemoryContext batch_context = NULL;
static int64 logged_head = 0;
static TimestampTz logged_at = 0;

/* ----------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------- */

static void
write_queued(Batch *batch, int i)
{
	for (; i < batch->nqueued; i++)
	{
		WardenQueued *queued = &batch->queued[i];
		WardenRecord record;
		int64 statement_id;

		warden_record_decode(queued->data, &record);
		if (queued->intent_seq != 0)
		{
			statement_id = warden_queue_find_intent(stream, queued);
			if (statement_id != 0)
				warden_record_set(&record, WARDEN_REC_STATEMENT_ID,
								  Int64GetDatum(statement_id));
		}
		queued->id = warden_store_append(batch->store, &record);
		if (queued->is_intent)
			warden_queue_note_intent(stream, queued);
	}
}

/* What has come meanwhile would wait for a flush of its own. */
static void
write_late(Batch *batch)
{
	int before;

	do
	{
		before = batch->nqueued;
		batch->nqueued = warden_queue_peek(stream, batch->queued, before,
										   BATCH_RECORDS, BATCH_BYTES / 8);
		/* stored_at is never before the time of the record */
		if (!warden_store_go_on(batch->store))
			batch->nqueued = before;
		write_queued(batch, before);
	}
	while (batch->nqueued > before && batch->nqueued < LATE_RECORDS);
}

/* ----------------------------------------------------------------------
 * The outbox: rows that transactions left for the chain
 * ---------------------------------------------------------------------- */

static const char outbox_sql[] =
	"WITH taken AS (DELETE FROM warden.audit_outbox RETURNING *) "
	"SELECT * FROM taken ORDER BY id";

/* The outbox names its columns as the store does. */
static void
write_outbox_row(Batch *batch, HeapTuple tuple, TupleDesc desc)
{
	WardenRecord record;
	int column;

	warden_record_init(&record, "action");
	for (column = WARDEN_REC_AT; column < WARDEN_REC_PREV; column++)
	{
		int attno = SPI_fnumber(desc, warden_record_column_name(column));
		bool isnull;
		Datum value;

		if (attno <= 0)
			continue;
		if (SPI_gettypeid(desc, attno) != warden_record_column_type(column))
			elog(ERROR, "column %d of the audit outbox has an unexpected type",
				 attno);
		value = SPI_getbinval(tuple, desc, attno, &isnull);
		if (!isnull)
			warden_record_set(&record, column, value);
	}
	(void) warden_store_append(batch->store, &record);
}

static void
write_outbox(Batch *batch)
{
	uint64 i;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute(outbox_sql, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the audit outbox");
	/* it may hold what was done since the store was opened */
	(void) warden_store_go_on(batch->store);
	for (i = 0; i < SPI_processed; i++)
		write_outbox_row(batch, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	/* before the rows' memory goes away */
	warden_store_flush(batch->store);
	SPI_finish();
}

/* ----------------------------------------------------------------------
 * A batch
 * ---------------------------------------------------------------------- */

/*
 * An attempt failed after its commit had been asked for.  If the chain ends
 * where it was to end, it did happen.
 */
static bool
was_committed(const WardenChainHead *stored)
{
	return attempted.id != 0 && stored->id == attempted.id &&
		memcmp(stored->hash, attempted.hash, WARDEN_HASH_BYTES) == 0;
}

static void
commit_batch(void)
{
	instr_time before;
	instr_time after;

	INSTR_TIME_SET_CURRENT(before);
	ForceSyncCommit();
	CommitTransactionCommand();
	INSTR_TIME_SET_CURRENT(after);
	INSTR_TIME_SUBTRACT(after, before);
	commit_us += ((long) INSTR_TIME_GET_MICROSEC(after) - commit_us) / 4;
}

static void
write_batch(Batch *batch)
{
	StartTransactionCommand();
	MemoryContextSwitchTo(batch_context);

	if (batch->outbox)
		(void) warden_store_lock("audit_outbox");
	batch->store = warden_store_open(&head);
	if (!head.known && was_committed(warden_store_head(batch->store)))
	{
		batch->nqueued = attempted_n;
		batch->outbox = false;
	}
	else
	{
		write_queued(batch, 0);
		if (batch->outbox)
			write_outbox(batch);
		write_late(batch);
	}
	batch->head = warden_store_close(batch->store);
	attempted = batch->head;
	attempted_n = batch->nqueued;
	commit_batch();
}

/* What was written is on disk: say so, and take it off the queue. */
static void
finish_batch(Batch *batch)
{
	int i;

	awaited_n = 0;
	for (i = 0; i < batch->nqueued; i++)
		awaited_n += batch->queued[i].waiter >= 0 ? 1 : 0;
	head = batch->head;
	attempted.id = 0;
	if (batch->outbox)
		warden_queue_outbox_done(stream, true);
	warden_queue_consume(stream, batch->queued, batch->nqueued);
}

/* Reports the error and leaves the transaction. */
static void
fail_batch(void)
{
	ErrorData *error;

	MemoryContextSwitchTo(batch_context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	ConditionVariableCancelSleep();
	head.known = false;
	warden_queue_note_failure(stream, error->sqlerrcode, error->message);
}

/*
 * Writes what is queued; false after a failure.  An error from inside leaves
 * the queue untouched, so nothing is skipped.
 */
static bool
run_batch(WardenQueued *queued)
{
	Batch batch;
	volatile bool ok = false;

	memset(&batch, 0, sizeof(batch));
	MemoryContextSwitchTo(batch_context);
	pgstat_report_activity(STATE_RUNNING, "writing audit records");
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		batch.queued = queued;
		batch.nqueued = warden_queue_peek(stream, queued, 0, BATCH_RECORDS,
										  BATCH_BYTES);
		batch.outbox = warden_queue_take_outbox(stream);
		write_batch(&batch);
		finish_batch(&batch);
		ok = true;
		RESUME_INTERRUPTS();
	}
	PG_CATCH();
	{
		/* errors reset the holdoff count */
		fail_batch();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(batch_context);
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(false);
	return ok;
}

/*
 * The next partition before it is needed.  A failure costs nobody anything
 * yet: it is reported, and tried again after a while.
 */
static void
prepare_partition(void)
{
	static TimestampTz not_before = 0;

	if (!warden_store_wants_partition() || GetCurrentTimestamp() < not_before)
		return;
	not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											 PREPARE_RETRY_MS);
	HOLD_INTERRUPTS();
	PG_TRY();
	{
		StartTransactionCommand();
		MemoryContextSwitchTo(batch_context);
		warden_store_add_partition();
		CommitTransactionCommand();
		not_before = 0;
		RESUME_INTERRUPTS();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(batch_context);
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		head.known = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(batch_context);
}

/* ----------------------------------------------------------------------
 * Life of the worker
 * ---------------------------------------------------------------------- */

/*
 * Does somebody want to drop, alter or copy the database?  They hold or wait
 * for a lock on it that ours would conflict with.
 */
static bool
database_is_wanted(void)
{
	LOCKTAG tag;
	bool wanted;

	StartTransactionCommand();
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	wanted = LockAcquire(&tag, RowExclusiveLock, false, true) ==
		LOCKACQUIRE_NOT_AVAIL;
	CommitTransactionCommand();
	return wanted;
}

/* A line for whoever keeps the head elsewhere. */
static void
log_head(bool leaving)
{
	TimestampTz now;
	char *line;
	char *hex;

	if (warden_audit_head_interval <= 0 || !head.known ||
		head.id == logged_head)
		return;
	now = GetCurrentTimestamp();
	if (!leaving &&
		!TimestampDifferenceExceeds(logged_at, now,
									warden_audit_head_interval * 1000))
		return;
	logged_head = head.id;
	logged_at = now;
	hex = warden_record_hex(head.hash, WARDEN_HASH_BYTES);
	line = psprintf(WARDEN_LOG_HEAD "\"%s\": " INT64_FORMAT ":%s", database_name,
					head.id, hex);
	warden_identity_log(line);
	pfree(line);
	pfree(hex);
}

/* The extension went away with records in the queue: nowhere to put them. */
static bool
store_exists(void)
{
	bool exists;

	StartTransactionCommand();
	exists = warden_catalog_installed();
	if (exists && database_name[0] == '\0')
		strlcpy(database_name, get_database_name(MyDatabaseId), NAMEDATALEN);
	CommitTransactionCommand();
	return exists;
}

static void
discard_queue(WardenQueued *queued)
{
	int n;

	while ((n = warden_queue_peek(stream, queued, 0, BATCH_RECORDS,
								  BATCH_BYTES)) > 0)
	{
		ereport(
			LOG,
			(errmsg(
				"dropped %d audit records of a database without the extension",
				n)));
		warden_queue_consume(stream, queued, n);
	}
	(void) warden_queue_take_outbox(stream);
	warden_queue_outbox_done(stream, true);
	warden_queue_consume(stream, queued, 0);
}

/* See GATHER_PART. */
static void
gather(void)
{
	if (awaited_n > 1 && warden_queue_awaited(stream) < awaited_n / 2)
		pg_usleep(Min(commit_us / GATHER_PART, GATHER_MOST_US));
}

/* true if nothing woke us */
static bool
nap(long ms)
{
	int events;

	events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					   ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	return (events & WL_LATCH_SET) == 0;
}

/* SIGTERM: what is queued, and what statements that end now leave behind. */
static void
say_farewell(WardenQueued *queued)
{
	TimestampTz give_up;

	give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FAREWELL_MS);
	for (;;)
	{
		if (!warden_queue_empty(stream) && !run_batch(queued))
			break;
		if (warden_queue_reserved(stream) == 0 ||
			GetCurrentTimestamp() >= give_up)
			break;
		HOLD_INTERRUPTS();
		(void) nap(NAP_BUSY_MS);
		RESUME_INTERRUPTS();
	}
	log_head(true);
	proc_exit(0);
}

static void
reload_settings(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

static void
serve(WardenQueued *queued)
{
	TimestampTz last_work = GetCurrentTimestamp();
	bool rested = false;
	long retry = 0;

	/* at the start: rows that a crash left in the outbox */
	warden_queue_signal_outbox();
	for (;;)
	{
		if (ProcDiePending)
			say_farewell(queued);
		CHECK_FOR_INTERRUPTS();
		reload_settings();
		if (warden_queue_urgent(stream) ||
			(rested && !warden_queue_empty(stream)))
		{
			rested = false;
			gather();
			if (run_batch(queued))
			{
				retry = 0;
				last_work = GetCurrentTimestamp();
				log_head(false);
				prepare_partition();
				continue;
			}
			retry = retry == 0 ? RETRY_FIRST_MS : Min(retry * 2, RETRY_LAST_MS);
			(void) nap(retry);
			if (!store_exists())
				discard_queue(queued);
			continue;
		}
		if (warden_queue_empty(stream) && warden_queue_reserved(stream) == 0 &&
			(TimestampDifferenceExceeds(last_work, GetCurrentTimestamp(),
										warden_audit_idle_timeout) ||
			 (rested && database_is_wanted())))
			break;
		rested = nap(TimestampDifferenceExceeds(last_work,
												GetCurrentTimestamp(),
												NAP_IDLE_MS) ?
						 NAP_IDLE_MS :
						 NAP_BUSY_MS);
	}
	log_head(true);
}

static void
leave(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	warden_queue_detach(stream);
}

bool
warden_audit_is_worker(void)
{
	return stream != NULL;
}

/*
 * Somebody changed the table, a restore perhaps: read the chain's head anew.
 * The message comes with the table's lock, before the head is used.
 */
static void
forget_head(Datum arg pg_attribute_unused(), Oid relid)
{
	if (relid == InvalidOid || warden_store_concerns(relid))
		head.known = false;
}

/* Settings of the database or of ALTER SYSTEM that would get in the way. */
static void
pin_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"default_tablespace", ""},
		{"session_replication_role", "origin"},
	};
	Size i;

	for (i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

void
warden_audit_worker_main(Datum main_arg)
{
	Oid database = DatumGetObjectId(main_arg);
	WardenQueued *queued;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	pin_settings();

	stream = warden_queue_attach(database);
	if (stream == NULL)
		proc_exit(0);
	before_shmem_exit(leave, (Datum) 0);
	CacheRegisterRelcacheCallback(forget_head, (Datum) 0);
	batch_context = AllocSetContextCreate(TopMemoryContext,
										  "warden audit batch",
										  ALLOCSET_DEFAULT_SIZES);
	queued = MemoryContextAlloc(TopMemoryContext,
								sizeof(WardenQueued) * BATCH_RECORDS);
	if (store_exists())
		serve(queued);
	else
		discard_queue(queued);
	proc_exit(0);
}
