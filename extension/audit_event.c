/*-------------------------------------------------------------------------
 * audit_event.c
 *	  Audit events: intent before a statement, outcome after it, and failures
 *	  of what did not get that far.
 *
 * A backend has at most one statement open.  Whatever way it ends, its
 * outcome goes into the room that the intent reserved: by the hooks, else by
 * the end of the transaction, else by the end of the backend.  Only a crash
 * takes it, and then the log says so.
 *
 * A statement that has run can fail yet, while its transaction commits.  So
 * its outcome is held back until that is over, or its message in a transaction
 * block, or the next statement begins; an error meanwhile takes its place.
 *
 * On a standby there is no store, nor in a database without the extension,
 * where agents are refused.  Events become JSON lines of the server log, as far
 * as warden.standby_audit allows statements there at all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_fill.h"
#include "audit_queue.h"
#include "audit_record.h"
#include "audit_worker.h"
#include "catalog.h"
#include "guc.h"
#include "message.h"
#include "nesting.h"
#include "warden.h"

typedef enum StatementState
{
	STATEMENT_NONE,
	STATEMENT_OPEN, /* it has an intent */
	STATEMENT_HELD	/* its outcome is known, but not yet recorded */
} StatementState;

/* The statement that is open or held. */
static StatementState state = STATEMENT_NONE;
static bool in_log = false; /* it was logged, not queued */
static WardenTicket ticket;
static instr_time started;

/* What becomes of the open statement if nothing else is said. */
static const char *expected_outcome;
static int64 expected_change;

/* The message that it last did something in. */
static uint64 active_in;

/* The outcome that is held, encoded. */
static union
{
	char data[WARDEN_QUEUE_OUTCOME_BYTES];
	int64 align;
} held;
static int held_len;
static uint64 held_rows;

static bool exit_registered = false;

PG_FUNCTION_INFO_V1(warden_sql_flush_audit);
PG_FUNCTION_INFO_V1(warden_sql_list_audit_open);

/* ----------------------------------------------------------------------
 * Intent and outcome
 * ---------------------------------------------------------------------- */

/* Nothing, or nothing that a worker could write to. */
static bool
has_no_store(void)
{
	return RecoveryInProgress() || warden_catalog_known_missing();
}

/* What is held becomes what is recorded. */
static void
release(void)
{
	WardenRecord record;

	if (state != STATEMENT_HELD)
		return;
	state = STATEMENT_NONE;
	if (!in_log)
	{
		warden_queue_put_outcome(&ticket, held.data, held_len);
		return;
	}
	warden_record_decode(held.data, &record);
	warden_audit_log_line(&record);
}

/* The backend ends inside a statement. */
static void
close_at_exit(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	if (state == STATEMENT_OPEN)
		warden_audit_outcome("error", ERRCODE_ADMIN_SHUTDOWN,
							 "the connection ended", 0, 0);
	release();
}

static void
open_in_log(const WardenRecord *record)
{
	if (RecoveryInProgress() &&
		warden_standby_audit != WARDEN_STANDBY_LOG)
		ereport(
			ERROR,
			(errcode(WARDEN_ERRCODE_STANDBY),
			 errmsg("agents are not served on a standby"),
			 errdetail("There is no durable audit there."),
			 errhint(
				 "Connect to the primary, or ask an administrator to set warden.standby_audit to log.")));
	warden_audit_log_line(record);
	in_log = true;
	state = STATEMENT_OPEN;
}

static void
open_in_queue(const WardenRecord *record, bool wait)
{
	TimestampTz deadline;
	StringInfoData data;

	initStringInfo(&data);
	warden_record_encode(record, &data);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_put_intent(&ticket, data.data, data.len, deadline, wait);
	in_log = false;
	state = STATEMENT_OPEN;
	pfree(data.data);
	if (wait)
		warden_queue_wait(&ticket, deadline);
}

/* For one record at a time; what an error left there goes with the next. */
static MemoryContext
record_context(void)
{
	static MemoryContext context = NULL;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "warden audit record",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	return context;
}

void
warden_audit_intent(const WardenIntent *intent)
{
	MemoryContext old;
	WardenRecord record;

	warden_audit_close();
	if (!exit_registered)
	{
		before_shmem_exit(close_at_exit, (Datum) 0);
		exit_registered = true;
	}
	old = MemoryContextSwitchTo(record_context());
	warden_fill_intent(&record, intent);
	expected_outcome = "ok";
	expected_change = 0;
	active_in = warden_message_serial();
	INSTR_TIME_SET_CURRENT(started);
	if (has_no_store())
		open_in_log(&record);
	else
		/* transaction control reads nothing: it need not wait for the disk */
		open_in_queue(&record,
					  warden_audit == WARDEN_AUDIT_SYNC &&
						  !intent->transaction);
	MemoryContextSwitchTo(old);
}

void
warden_audit_reads(const WardenReads *more)
{
	WardenRecord record;
	WardenTicket reads;
	StringInfoData data;
	TimestampTz deadline;

	warden_fill_reads(&record, more);
	if (RecoveryInProgress())
	{
		warden_audit_log_line(&record);
		return;
	}
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_put_reads(&ticket, &reads, data.data, data.len, deadline);
	pfree(data.data);
	if (warden_audit == WARDEN_AUDIT_SYNC)
		warden_queue_wait(&reads, deadline);
}

bool
warden_audit_open(void)
{
	return state == STATEMENT_OPEN;
}

/*
 * A message without a text is a Sync, with the commit, or the end of a portal.
 * In others it is theirs what runs or fails, once the statement has run theirs
 * if one follows in the text.
 */
bool
warden_audit_unsettled(void)
{
	if (state == STATEMENT_NONE)
		return false;
	if (debug_query_string == NULL)
		return true;
	return active_in == warden_message_serial() &&
		(state == STATEMENT_OPEN || !warden_message_has_more());
}

void
warden_audit_go_on(void)
{
	active_in = warden_message_serial();
}

void
warden_audit_outcome(const char *outcome, int sqlstate, const char *message,
					 uint64 rows, int64 change_id)
{
	WardenRecord record;
	StringInfoData data;
	instr_time now;

	if (state == STATEMENT_NONE)
		return;
	if (state == STATEMENT_HELD)
		rows += held_rows;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, started);
	warden_record_init(&record, "outcome");
	warden_fill_outcome(&record, outcome, sqlstate, message, change_id);
	warden_record_set(&record, WARDEN_REC_ROWS, Int64GetDatum((int64) rows));
	warden_record_set(&record, WARDEN_REC_DURATION_US,
					  Int64GetDatum((int64) INSTR_TIME_GET_MICROSEC(now)));
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	Assert(data.len <= (int) sizeof(held.data));
	memcpy(held.data, data.data, data.len);
	held_len = data.len;
	held_rows = rows;
	active_in = warden_message_serial();
	pfree(data.data);
	state = STATEMENT_HELD;
}

void
warden_audit_expect(const char *outcome, int64 change_id)
{
	expected_outcome = outcome;
	expected_change = change_id;
}

void
warden_audit_settle(void)
{
	if (state == STATEMENT_OPEN)
		warden_audit_outcome(expected_outcome, 0, NULL, 0, expected_change);
}

void
warden_audit_close(void)
{
	warden_audit_settle();
	release();
}

/*
 * In a transaction block nothing more comes of the statement; without one its
 * transaction is over, or waits for a Sync.
 */
static bool
end_message(void)
{
	if (!IsTransactionState() || IsTransactionBlock())
		release();
	return state != STATEMENT_OPEN;
}

/* ----------------------------------------------------------------------
 * Failures before an intent
 * ---------------------------------------------------------------------- */

/* The library's own SQLSTATEs say no; any other says that it did not work. */
const char *
warden_audit_word(int sqlstate)
{
	const char *state = unpack_sql_state(sqlstate);

	return strncmp(state, "WD", 2) == 0 ? "refused" : "error";
}

/*
 * Called where an error is being reported: nothing here may raise, read a
 * catalog or wait.
 */
static void
record_at_once(const char *kind, const char *statement, const char *command,
			   const char *outcome, int sqlstate, const char *message)
{
	WardenRecord record;
	StringInfoData data;

	release();
	if (MyProc == NULL || !OidIsValid(MyDatabaseId))
		return;
	warden_record_init(&record, kind);
	warden_fill_at_once(&record, statement, command,
						strcmp(kind, "rollback") == 0);
	warden_fill_outcome(&record, outcome, sqlstate, message, 0);
	if (has_no_store())
	{
		warden_audit_log_line(&record);
		return;
	}
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	if (!warden_queue_try_put(data.data, data.len))
		warden_audit_log_line(&record);
	pfree(data.data);
}

void
warden_audit_failure(const char *statement, const char *command, int sqlstate,
					 const char *message)
{
	record_at_once("failure", statement, command, warden_audit_word(sqlstate),
				   sqlstate, message);
}

void
warden_audit_rollback(const char *statement, const char *command)
{
	record_at_once("rollback", statement, command, "ok", 0, NULL);
}

/* ----------------------------------------------------------------------
 * Ends of transactions
 * ---------------------------------------------------------------------- */

/*
 * A procedure's own COMMIT and ROLLBACK do not end the CALL.  An error that
 * reached neither the log nor the client ends the record too.
 */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	bool nested = warden_nesting_inside();

	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			if (!nested)
				warden_audit_close();
			break;
		case XACT_EVENT_ABORT:
			if (!nested && state == STATEMENT_OPEN)
				warden_audit_outcome("error", ERRCODE_INTERNAL_ERROR, NULL, 0,
									 0);
			release();
			break;
		default:
			break;
	}
}

/* ----------------------------------------------------------------------
 * SQL
 * ---------------------------------------------------------------------- */

/* warden.flush_audit(): waits until all that is recorded can be seen */
Datum
warden_sql_flush_audit(PG_FUNCTION_ARGS)
{
	TimestampTz deadline;

	(void) fcinfo;
	if (RecoveryInProgress())
		PG_RETURN_VOID();
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_flush(deadline);
	PG_RETURN_VOID();
}

/* warden.audit_open_statements() -> bigint[] */
Datum
warden_sql_list_audit_open(PG_FUNCTION_ARGS)
{
	List *ids = NIL;
	ListCell *cell;
	Datum *elements;
	int n = 0;

	(void) fcinfo;
	if (!RecoveryInProgress())
		ids = warden_queue_open_statements();
	elements = palloc(sizeof(Datum) * (list_length(ids) + 1));
	foreach(cell, ids)
		elements[n++] = Int64GetDatum(*(int64 *) lfirst(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, INT8OID, sizeof(int64),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

void
warden_audit_init(void)
{
	DefineCustomIntVariable(
		"warden.audit_head_interval",
		"Time between two lines with the audit chain's head in the server log.",
		"Zero writes none.", &warden_audit_head_interval, 0, 0, 86400,
		PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	warden_queue_init();
	warden_audit_action_init();
	warden_message_on_end(end_message);
	RegisterXactCallback(end_transaction, NULL);
}
