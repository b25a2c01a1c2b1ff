/*-------------------------------------------------------------------------
 * pending_separate.c
 *	  Recording in a transaction of its own: with warden.divert_report = error
 *	  an agent's write is stored by a background worker before the statement
 *	  fails, so that the error takes nothing of it back.
 *
 * Everything that depends on who asks is computed before, by the agent's own
 * backend, exactly as for a change that goes with the agent's transaction; the
 * worker gets the finished rows in a segment of shared memory and does what
 * that backend would have done as the library.
 *
 * Invariants:
 * - Whoever asks gives up, or the worker commits, never both: the state leaves
 *	 WAITING once, by compare and exchange, the worker's doing so last before
 *	 it commits.
 * - The agent's backend waits for a bounded time, and can be cancelled.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"

#define SEPARATE_MAGIC		0x57445350
#define SEPARATE_WAIT_MS	10000
#define SEPARATE_LOCK_WAIT	"5s"

/* How often a wait looks whether the worker is still there. */
#define WAIT_SLICE_MS		250

typedef enum SeparateState
{
	SEPARATE_WAITING,			/* not stored yet */
	SEPARATE_COMMITTING,		/* the worker can no longer be stopped */
	SEPARATE_DONE,				/* stored */
	SEPARATE_FAILED,			/* nothing stored, and the error says why */
	SEPARATE_GIVEN_UP			/* nothing will be stored */
} SeparateState;

/* At the start of the segment; the packed job follows. */
typedef struct Separate
{
	uint32		magic;
	pg_atomic_uint32 state;		/* SeparateState */
	Oid			database;
	Latch	   *asker;
	int64		change_id;
	int			sqlstate;
	char		message[256];
	char		hint[256];
	int			len;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Separate;

/* ---- packing ------------------------------------------------------------ */

static void
pack_text(StringInfo buf, const char *text)
{
	int			len = text != NULL ? (int) strlen(text) : -1;

	pq_sendint32(buf, len);
	if (len > 0)
		appendBinaryStringInfo(buf, text, len);
}

static const char *
unpack_text(StringInfo buf)
{
	int			len = (int) pq_getmsgint(buf, 4);

	return len < 0 ? NULL : pnstrdup(pq_getmsgbytes(buf, len), len);
}

static void
pack_change(StringInfo buf, const WardenChange *change)
{
	pack_text(buf, change->agent);
	pack_text(buf, change->on_behalf_of);
	pq_sendint32(buf, change->asserted);
	pq_sendint32(buf, change->token_issuer);
	pq_sendint32(buf, change->agent_role);
	pq_sendint32(buf, change->apply_role);
	pack_text(buf, change->context);
}

static void
unpack_change(StringInfo buf, WardenChange *change)
{
	change->agent = unpack_text(buf);
	change->on_behalf_of = unpack_text(buf);
	change->asserted = pq_getmsgint(buf, 4) != 0;
	change->token_issuer = pq_getmsgint(buf, 4);
	change->agent_role = pq_getmsgint(buf, 4);
	change->apply_role = pq_getmsgint(buf, 4);
	change->context = unpack_text(buf);
}

static void
pack_prepared(StringInfo buf, const WardenPrepared *prepared)
{
	pack_text(buf, prepared->row.statement);
	pack_text(buf, prepared->row.command);
	pack_text(buf, prepared->row.objects);
	pack_text(buf, prepared->row.parameters);
	pq_sendint64(buf, prepared->row.expected_rows);
	pack_text(buf, prepared->findings_json);
	pq_sendint32(buf, prepared->risk);
	pq_sendfloat8(buf, prepared->estimated_rows);
}

static WardenPrepared *
unpack_prepared(StringInfo buf)
{
	WardenPrepared *prepared = palloc0(sizeof(WardenPrepared));

	prepared->row.statement = unpack_text(buf);
	prepared->row.command = unpack_text(buf);
	prepared->row.objects = unpack_text(buf);
	prepared->row.parameters = unpack_text(buf);
	prepared->row.expected_rows = pq_getmsgint64(buf);
	prepared->findings_json = unpack_text(buf);
	prepared->risk = pq_getmsgint(buf, 4);
	prepared->estimated_rows = pq_getmsgfloat8(buf);
	return prepared;
}

static void
pack_job(StringInfo buf, const WardenRecordJob *job)
{
	ListCell   *cell;

	pack_change(buf, &job->change);
	pq_sendint32(buf, job->risk);
	pq_sendint32(buf, list_length(job->scopes));
	foreach(cell, job->scopes)
		pack_text(buf, lfirst(cell));
	pack_prepared(buf, linitial(job->prepared));
}

static void
unpack_job(StringInfo buf, WardenRecordJob *job)
{
	int			n;

	memset(job, 0, sizeof(*job));
	job->context = CurrentMemoryContext;
	unpack_change(buf, &job->change);
	job->risk = pq_getmsgint(buf, 4);
	for (n = pq_getmsgint(buf, 4); n > 0; n--)
		job->scopes = lappend(job->scopes, unconstify(char *,
													  unpack_text(buf)));
	job->prepared = list_make1(unpack_prepared(buf));
	pq_getmsgend(buf);
}

/* ---- the one who asks ---------------------------------------------------- */

static bool
leave_waiting(Separate *separate, SeparateState to)
{
	uint32		waiting = SEPARATE_WAITING;

	return pg_atomic_compare_exchange_u32(&separate->state, &waiting, to);
}

static bool
is_over(Separate *separate)
{
	uint32		state = pg_atomic_read_u32(&separate->state);

	return state == SEPARATE_DONE || state == SEPARATE_FAILED;
}

static Separate *
make_request(const WardenRecordJob *job, dsm_segment **segment)
{
	StringInfoData buf;
	Separate   *separate;

	initStringInfo(&buf);
	pack_job(&buf, job);
	*segment = dsm_create(offsetof(Separate, data) + buf.len, 0);
	separate = dsm_segment_address(*segment);
	memset(separate, 0, offsetof(Separate, data));
	separate->magic = SEPARATE_MAGIC;
	pg_atomic_init_u32(&separate->state, SEPARATE_WAITING);
	separate->database = MyDatabaseId;
	separate->asker = MyLatch;
	separate->len = buf.len;
	memcpy(separate->data, buf.data, buf.len);
	return separate;
}

static BackgroundWorkerHandle *
start_worker(dsm_segment *segment)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle = NULL;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "$libdir/" WARDEN_EXTENSION, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "warden_separate_worker_main",
			BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "warden recorder for PID %d",
			 MyProcPid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "warden recorder");
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the write could not be recorded: no background worker is free"),
				 errdetail("Nothing was recorded, and nothing was run."),
				 errhint("Try again, or set warden.divert_report to warning; an administrator can raise max_worker_processes.")));
	return handle;
}

/*
 * Somebody wants this backend to stop: not before it is certain that nothing
 * will be stored.  Once the worker commits it is a moment only.
 */
static void
heed_interrupts(Separate *separate, BackgroundWorkerHandle *handle)
{
	if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();
	if (!QueryCancelPending && !ProcDiePending)
		return;
	if (!leave_waiting(separate, SEPARATE_GIVEN_UP))
		return;
	TerminateBackgroundWorker(handle);
	CHECK_FOR_INTERRUPTS();
	/* interrupts are held: the wait is over all the same */
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("the write was not recorded: it was cancelled"),
			 errhint("Send it again.")));
}

static void
wait_for_worker(Separate *separate, BackgroundWorkerHandle *handle)
{
	TimestampTz give_up = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													  SEPARATE_WAIT_MS);
	pid_t		pid;

	while (!is_over(separate) && GetCurrentTimestamp() < give_up)
	{
		heed_interrupts(separate, handle);
		if (GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT |
						 WL_EXIT_ON_PM_DEATH, WAIT_SLICE_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	if (is_over(separate))
		return;
	if (leave_waiting(separate, SEPARATE_GIVEN_UP))
	{
		TerminateBackgroundWorker(handle);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the write could not be recorded: its background worker did not do it"),
				 errdetail("Nothing was recorded, and nothing was run."),
				 errhint("Try again, or set warden.divert_report to warning; the server log may say more.")));
	}
	if (!is_over(separate))
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
				 errmsg("it is not known whether the write was recorded"),
				 errhint("Look into warden.my_changes before you send it again.")));
}

int64
warden_separate_store(WardenRecordJob *job)
{
	dsm_segment *segment;
	Separate   *separate = make_request(job, &segment);
	BackgroundWorkerHandle *handle = start_worker(segment);
	int64		change_id;

	wait_for_worker(separate, handle);
	if (pg_atomic_read_u32(&separate->state) == SEPARATE_FAILED)
		ereport(ERROR,
				(errcode(separate->sqlstate),
				 errmsg("%s", separate->message),
				 separate->hint[0] != '\0' ?
				 errhint("%s", separate->hint) : 0));
	pg_read_barrier();
	change_id = separate->change_id;
	dsm_detach(segment);
	return change_id;
}

/* ---- the worker ---------------------------------------------------------- */

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
		{"lock_timeout", SEPARATE_LOCK_WAIT},
		{"session_replication_role", "origin"},
	};
	int			i;

	for (i = 0; i < (int) lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

/* Interrupts stay held from the moment that the commit is certain. */
static void
store_request(Separate *separate)
{
	StringInfoData buf;
	WardenRecordJob job;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, separate->data, separate->len);
	unpack_job(&buf, &job);
	warden_principal_run_internal(warden_record_store, &job);
	warden_pending_notify(job.change.id, WARDEN_CHANGE_PROPOSED);
	PopActiveSnapshot();
	separate->change_id = job.change.id;
	HOLD_INTERRUPTS();
	if (!leave_waiting(separate, SEPARATE_COMMITTING))
	{
		RESUME_INTERRUPTS();
		AbortCurrentTransaction();
		return;
	}
	CommitTransactionCommand();
	pg_write_barrier();
	pg_atomic_write_u32(&separate->state, SEPARATE_DONE);
	RESUME_INTERRUPTS();
}

/* A commit that failed after all: what came of it the error does not say. */
static void
report_failure(Separate *separate)
{
	ErrorData  *error;

	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	separate->sqlstate = error->sqlerrcode;
	strlcpy(separate->message, error->message, sizeof(separate->message));
	if (error->hint != NULL)
		strlcpy(separate->hint, error->hint, sizeof(separate->hint));
	pg_write_barrier();
	(void) leave_waiting(separate, SEPARATE_FAILED);
}

void
warden_separate_worker_main(Datum main_arg)
{
	dsm_segment *segment;
	Separate   *separate;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);			/* whoever asked has given up */
	dsm_pin_mapping(segment);
	separate = dsm_segment_address(segment);
	if (separate->magic != SEPARATE_MAGIC)
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(separate->database, InvalidOid,
											  0);
	pin_settings();
	PG_TRY();
	{
		store_request(separate);
	}
	PG_CATCH();
	{
		report_failure(separate);
	}
	PG_END_TRY();
	SetLatch(separate->asker);
	proc_exit(0);
}
