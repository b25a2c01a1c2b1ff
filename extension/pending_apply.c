/*-------------------------------------------------------------------------
 * pending_apply.c
 *	  Apply: an approved change runs, once, as its apply role.
 *
 * The row of the change is locked from the first look at it to the end of the
 * transaction, and becomes "applied" in the transaction that ran the
 * statements, so a change is applied exactly once or not at all.
 *
 * Invariants:
 * - While statements run, the user is the apply role inside a local user id
 *	 change and a security-restricted operation, so that core refuses SET ROLE,
 *	 SET SESSION AUTHORIZATION and whatever outlives the statements or runs
 *	 after them as the caller; decisions about changes are refused.
 * - The statements run in a subtransaction.  When it fails it is rolled back
 *	 and the failure recorded; CALL outside a transaction block commits that
 *	 record before the error is raised.  Inside a block the record goes with
 *	 the transaction, as everything else does.
 * - Settings that the statements change do not outlive them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "audit_event.h"
#include "pending.h"
#include "pending_apply_private.h"
#include "principal.h"
#include "proposable.h"
#include "review.h"
#include "statement.h"
#include "warden.h"

#define MAX_ATTEMPTS		5	/* failed applies until a change is failed */
#define LOCK_TRIES			3	/* within one apply, when locks are busy */
#define LOCK_TIMEOUT_MS		5000

/* ---- run ---------------------------------------------------------------- */

/*
 * Two applies that write the same table would wait for each other with half
 * of their statements done; the second one is told instead.
 */
static void
lock_target(const WardenChange *change, Oid relid)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, relid, 1);
	if (LockAcquire(&tag, ExclusiveLock, false, true) !=
		LOCKACQUIRE_NOT_AVAIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("another change to table \"%s\" is being applied",
					get_rel_name(relid)),
			 errhint("Apply change " INT64_FORMAT " when that one is done.",
					 change->id)));
}

static void
lock_targets(ApplyJob *job)
{
	ListCell   *cell;
	ListCell   *target;

	foreach(cell, job->statements)
	{
		WardenStatement *statement = lfirst(cell);

		foreach(target, warden_capture_targets(statement->objects))
			lock_target(&job->change, lfirst_oid(target));
	}
}

static void
refuse_drift(const WardenChange *change, const WardenStatement *statement,
			 const char *drift)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " is stale", change->id),
			 errdetail("Statement %d: %s.", statement->ordinal, drift),
			 errhint("Have it proposed again.")));
}

/*
 * Earlier statements take their time, in which others may replace what this
 * one reaches.  Compared again where a message has come that a catalog has
 * changed; but not behind DDL of the change's own, whose work can not be told
 * from others'.
 */
static void
require_same_reach(ApplyJob *job, WardenStatement *statement)
{
	char	   *drift;

	AcceptInvalidationMessages();
	if (job->messages == SharedInvalidMessageCounter ||
		warden_apply_made_ddl())
		return;
	drift = warden_capture_drift(statement, NIL);
	if (drift != NULL)
		refuse_drift(&job->change, statement, drift);
}

/*
 * And once more when all of them have run: one that had to wait for a table
 * or a row may have called what was replaced meanwhile.
 */
static void
require_same_reach_still(ApplyJob *job)
{
	ListCell   *cell;

	foreach(cell, job->statements)
		require_same_reach(job, lfirst(cell));
}

/* Names must still mean what they meant when the change was proposed. */
RawStmt *
warden_apply_same_objects(const WardenChange *change,
						  WardenStatement *statement, List **names)
{
	RawStmt    *raw = warden_statement_parse(statement->statement);
	char	   *drift = NULL;

	*names = NIL;
	if (raw == NULL || !warden_statement_names(raw->stmt, names))
		drift = "it is not one statement any more";
	else if (*names != NIL)
	{
		warden_statement_lookup(*names);
		drift = warden_capture_drift(statement, *names);
	}
	if (drift != NULL)
		refuse_drift(change, statement, drift);
	return raw;
}

uint64
warden_apply_statement(const WardenChange *change, WardenStatement *statement)
{
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	RawStmt    *raw;
	List	   *names;
	uint64		rows;
	int			n;
	int			result;

	CHECK_FOR_INTERRUPTS();
	CommandCounterIncrement();
	raw = warden_apply_same_objects(change, statement, &names);
	warden_proposable_check_roles(raw->stmt);
	warden_sandbox_settle(raw->stmt, names);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	n = warden_capture_replay(statement->parameters, &types, &values, &nulls);
	result = SPI_execute_with_args(statement->statement, n, types, values,
								   nulls, false, 0);
	if (result < 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("statement %d of change " INT64_FORMAT " can not run in a transaction (%s)",
						statement->ordinal, change->id,
						SPI_result_code_string(result)),
				 errhint("Have it proposed again without transaction control or COPY.")));
	rows = result == SPI_OK_UTILITY ? 0 : SPI_processed;
	SPI_finish();
	if (statement->expected_rows != 0 &&
		(uint64) statement->expected_rows != rows)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("rows of change " INT64_FORMAT " have changed since",
						change->id),
				 errdetail("Statement %d was to touch " INT64_FORMAT " rows and found " UINT64_FORMAT ".",
						   statement->ordinal, statement->expected_rows, rows),
				 errhint("Have it proposed again from what the rows are now.")));
	return rows;
}

void
warden_apply_lock_timeout(int limit)
{
	const char *current = GetConfigOptionByName("lock_timeout", NULL, false);
	int			ms;

	if (!parse_int(current, &ms, GUC_UNIT_MS, NULL) || ms <= 0 ||
		ms > limit)
		(void) set_config_option("lock_timeout",
								 psprintf("%d", limit), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
								 false);
}

static void
statement_error_callback(void *arg)
{
	int		   *ordinal = arg;

	errcontext("statement %d of the change", *ordinal);
}

/* All statements, then the constraints, all as the apply role. */
static void
run_statements(ApplyJob *job)
{
	ErrorContextCallback callback;
	int			ordinal = 0;
	int			nest = NewGUCNestLevel();
	WardenSandbox sandbox;
	ListCell   *cell;

	warden_sandbox_enter(&sandbox, job->apply_role, job->in_block);
	warden_capture_restore(job->change.context);
	warden_apply_lock_timeout(LOCK_TIMEOUT_MS);
	lock_targets(job);

	callback.callback = statement_error_callback;
	callback.arg = &ordinal;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	foreach(cell, job->statements)
	{
		WardenStatement *statement = lfirst(cell);
		int			inner = NewGUCNestLevel();
		WardenFootprint footprint;
		uint64		rows;

		/* what one statement sets is not there for the next */
		ordinal = statement->ordinal;
		warden_capture_restore(job->change.context);
		require_same_reach(job, statement);
		warden_images_statement(ordinal);
		warden_footprint_begin(lnext(job->statements, cell) != NULL);
		rows = warden_apply_statement(&job->change, statement);
		warden_footprint_end(ordinal, rows, &footprint);
		warden_footprint_require(job->change.id, job->footprints, &footprint);
		AtEOXact_GUC(false, inner);
	}
	warden_sandbox_leave(&sandbox);
	require_same_reach_still(job);
	error_context_stack = callback.previous;

	/* the statements' own SETs are undone with ours */
	AtEOXact_GUC(false, nest);
}

/* Runs it in a subtransaction; the error is kept in job->error. */
static bool
try_statements(ApplyJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	job->error = NULL;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	warden_apply_set_running(true);
	warden_images_begin(job->context);
	if (!job->keep_images)
		warden_images_give_up("they are switched off for its agent");
	warden_watch_begin();
	PG_TRY();
	{
		run_statements(job);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(job->context);
		job->error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	warden_apply_set_running(false);
	warden_watch_end();
	if (job->error != NULL)
		warden_images_begin(NULL);
	else
		warden_images_end();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return job->error == NULL;
}

static bool
is_lock_failure(ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

static void
sleep_jittered(int try)
{
	long		ms = 50L * try + (long) (pg_prng_double(&pg_global_prng_state) *
										 200.0);

	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
run_change(ApplyJob *job)
{
	int			try;

	for (try = 1;; try++)
	{
		if (try_statements(job))
			return true;
		if (try >= LOCK_TRIES || !is_lock_failure(job->error))
			return false;
		sleep_jittered(try);
	}
}

/* ---- outcome ------------------------------------------------------------ */

void
warden_apply_mark_applied(void *arg)
{
	ApplyJob   *job = arg;
	Oid			types[] = {INT8OID, OIDOID, TEXTOID};
	Datum		values[3];
	char		nulls[] = "   ";

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_pending_move(&job->change, WARDEN_CHANGE_APPLIED,
						", applied_at = pg_catalog.now(), last_error = NULL,"
						" last_sqlstate = NULL",
						job->glass != NULL ? "broken_glass" : "applied",
						job->glass != NULL ? job->glass :
						psprintf("digest %s", job->change.digest));
	values[0] = Int64GetDatum(job->change.id);
	values[1] = ObjectIdGetDatum(GetSessionUserId());
	if (job->glass != NULL)
		values[2] = CStringGetTextDatum(job->glass);
	else
		nulls[2] = 'n';
	warden_pending_edit(job->change.id,
						"UPDATE warden.pending_changes"
						" SET applied_by = $2, broken_glass = $3"
						" WHERE id OPERATOR(pg_catalog.=) $1",
						3, types, values, nulls);
	warden_images_store(job->change.id);
	SPI_finish();
}

/* A cancelled apply, or a refused one, says nothing about the change. */
static bool
counts_as_attempt(ErrorData *error)
{
	return error->sqlerrcode != ERRCODE_QUERY_CANCELED &&
		error->sqlerrcode != WARDEN_ERRCODE_TRANSITION &&
		!is_lock_failure(error);
}

void
warden_apply_mark_failed(void *arg)
{
	ApplyJob   *job = arg;
	Oid			types[] = {INT8OID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[4];
	int			attempts = job->change.attempts +
	(counts_as_attempt(job->error) ? 1 : 0);
	const char *sqlstate = unpack_sql_state(job->error->sqlerrcode);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	values[0] = Int64GetDatum(job->change.id);
	values[1] = Int32GetDatum(attempts);
	values[2] = CStringGetTextDatum(job->error->message ?
									job->error->message : "");
	values[3] = CStringGetTextDatum(sqlstate);
	warden_pending_edit(job->change.id,
						"UPDATE warden.pending_changes SET attempts = $2,"
						" last_error = $3, last_sqlstate = $4"
						" WHERE id OPERATOR(pg_catalog.=) $1",
						4, types, values, NULL);
	if (attempts >= MAX_ATTEMPTS &&
		job->change.status == WARDEN_CHANGE_APPROVED)
		warden_pending_move(&job->change, WARDEN_CHANGE_FAILED, "", "failed",
							psprintf("SQLSTATE %s", sqlstate));
	else
		warden_audit_action("apply_failed", job->change.id,
							psprintf("SQLSTATE %s, attempt %d", sqlstate,
									 attempts));
	SPI_finish();
}

/* Outside a transaction block what was just recorded can be made to stay. */
static void
commit_record(bool atomic)
{
	if (!atomic)
		SPI_commit();
}

static void
raise_refusal(ApplyJob *job)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " can not be applied",
					job->change.id),
			 errdetail("%c%s.", toupper((unsigned char) job->refusal[0]),
					   job->refusal + 1),
			 errhint("%s", job->hint)));
}

static void
raise_failure(ApplyJob *job)
{
	ErrorData  *error = job->error;

	if (error->hint == NULL)
		error->hint = "Nothing of the change remains; it can be applied again when the cause is removed, five times at most.";
	ReThrowError(error);
}

/* ---- entry points ------------------------------------------------------- */

void
warden_apply_change(int64 id, const char *glass, bool atomic)
{
	ApplyJob   *job;
	MemoryContext context = AllocSetContextCreate(PortalContext,
												  "warden apply",
												  ALLOCSET_DEFAULT_SIZES);

	job = MemoryContextAllocZero(context, sizeof(ApplyJob));
	job->context = context;
	job->change.id = id;
	job->glass = glass != NULL ? MemoryContextStrdup(context, glass) : NULL;
	job->atomic = atomic;
	job->move_to = WARDEN_CHANGE_PROPOSED;

	warden_principal_run_internal(warden_apply_load, job);
	if (!job->found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist", id),
				 errhint("List the changes to find its number.")));
	if (job->refusal != NULL)
	{
		if (job->move_to != WARDEN_CHANGE_PROPOSED)
			commit_record(atomic);
		raise_refusal(job);
	}
	if (job->barred)
	{
		warden_apply_barred(job);
		return;
	}
	job->in_block = warden_sandbox_in_block();
	if (job->in_block)
		warden_apply_constraints();
	if (!run_change(job))
	{
		warden_principal_run_internal(warden_apply_mark_failed, job);
		commit_record(atomic);
		raise_failure(job);
	}
	warden_principal_run_internal(warden_apply_mark_applied, job);
	MemoryContextDelete(context);
}

/* Masked persons read masks, and would write them back. */
void
warden_apply_require_sight(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_STANDBY),
				 errmsg("a change can not be applied on a standby"),
				 errhint("Apply it on the primary server.")));
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("a change is applied by a person who is not governed"),
				 errhint("Ask a reviewer whose role carries no label.")));
}

PG_FUNCTION_INFO_V1(warden_sql_apply);
Datum
warden_sql_apply(PG_FUNCTION_ARGS)
{
	bool		atomic = !(fcinfo->context != NULL &&
						   IsA(fcinfo->context, CallContext) &&
						   !((CallContext *) fcinfo->context)->atomic);
	int64		id;

	warden_pending_require_call(fcinfo, "apply");
	warden_pending_require_reviewer();
	warden_apply_require_sight();
	id = warden_pending_number(fcinfo);
	if (SPI_connect_ext(atomic ? 0 : SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_apply_change(id, NULL, atomic);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(warden_sql_break_glass);
Datum
warden_sql_break_glass(PG_FUNCTION_ARGS)
{
	char	   *reason = PG_ARGISNULL(1) ? NULL :
	text_to_cstring(PG_GETARG_TEXT_PP(1));

	warden_pending_require_select(fcinfo, "break_glass");
	warden_pending_require_admin();
	warden_apply_require_sight();
	if (PG_ARGISNULL(0) || reason == NULL || reason[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a change is applied without approvals for a reason only"),
				 errhint("Give the id of the change and a reason.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_apply_change(PG_GETARG_INT64(0), reason, true);
	SPI_finish();
	PG_RETURN_VOID();
}
