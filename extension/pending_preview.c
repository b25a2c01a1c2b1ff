/*-------------------------------------------------------------------------
 * pending_preview.c
 *	  warden.preview(): runs a change as its apply role and takes it all back.
 *
 * A rollback does not take back what code does outside of the transaction, so
 * a statement is executed only where everything that it reaches is known
 * (pending_preview_bar.c).  Of the others the planner's estimate is shown,
 * where planning can not run any of that either.
 *
 * Invariants:
 * - Everything runs in one subtransaction that is always rolled back, as the
 *	 apply role inside a local user id change, as at apply.
 * - Where it is not certain that a statement can be taken back, it is not run.
 * - For a caller who reads masks nothing is run at all (pending_masked.c): how
 *	 many rows a condition finds, how long that takes and what fails are facts
 *	 about the data, and whoever proposes the change chooses the condition.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "audit_event.h"
#include "pending.h"
#include "pending_preview_private.h"
#include "principal.h"
#include "statement.h"
#include "warden.h"

typedef struct PreviewJob
{
	WardenChange change;
	bool		found;
	List	   *statements;
	Oid			apply_role;
	const char *refusal;
	const char *hint;
	bool		masked;			/* the caller reads masks */
	List	   *footprints;		/* of WardenFootprint *: those that count now */
	List	   *measured;		/* of WardenMeasured * */
	bool		partial;		/* not all of them so far were executed */
	WardenMeasured   *current;		/* whose locks are to be read */
	List	   *seen;			/* of char *: locks of earlier statements */
	MemoryContext context;
} PreviewJob;

/* ---- what can not be executed is planned --------------------------------- */

/*
 * The planner's estimate for DML, as things are now; -1 where there is none.
 * Planning evaluates what it takes for constant, so what calls functions that
 * may not run is not planned either; and it may ask other servers.
 */
static double
estimate_now(WardenStatement *statement)
{
	RawStmt    *raw = warden_statement_parse(statement->statement);
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	List	   *queries;
	ListCell   *cell;
	int			n;

	if (raw == NULL || !warden_statement_is_dml(raw->stmt))
		return -1;
	n = warden_capture_replay(statement->parameters, &types, &values, &nulls);
	queries = pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
												 types, n, NULL);
	foreach(cell, queries)
	{
		Query	   *query = lfirst_node(Query, cell);
		PlannedStmt *plan;

		if (query->commandType == CMD_SELECT ||
			query->commandType == CMD_UTILITY ||
			warden_preview_unsafe((Node *) query) ||
			warden_preview_reads_foreign_table(query))
			continue;
		plan = pg_plan_query(query, statement->statement, 0, NULL);
		if (IsA(plan->planTree, ModifyTable) &&
			outerPlan(plan->planTree) != NULL)
			return outerPlan(plan->planTree)->plan_rows;
	}
	return -1;
}

/* ---- measuring ---------------------------------------------------------- */

/* Locks that this backend holds on user relations, those not seen before. */
static void
read_locks_internally(void *arg)
{
	PreviewJob *job = arg;
	MemoryContext old;
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT pg_catalog.format('%s on %s', l.mode,"
					"  l.relation::pg_catalog.regclass)"
					" FROM pg_catalog.pg_locks l"
					" JOIN pg_catalog.pg_class c ON c.oid = l.relation"
					" WHERE l.pid = pg_catalog.pg_backend_pid()"
					"  AND l.locktype = 'relation'"
					"  AND l.relation >= 16384"
					"  AND c.relnamespace <> 'warden'::pg_catalog.regnamespace"
					"  AND c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace"
					"  AND l.mode <> 'AccessShareLock'"
					" ORDER BY 1", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the locks");
	for (i = 0; i < SPI_processed; i++)
	{
		char	   *lock = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1);
		ListCell   *cell;

		foreach(cell, job->seen)
		{
			if (strcmp(lfirst(cell), lock) == 0)
				break;
		}
		if (cell != NULL)
			continue;
		old = MemoryContextSwitchTo(job->context);
		lock = pstrdup(lock);
		job->seen = lappend(job->seen, lock);
		job->current->locks = lappend(job->current->locks, lock);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/* What the statement names, and what DDL does to all of that goes with it. */
static List *
may_be_rewritten(const WardenStatement *statement)
{
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, warden_capture_targets(statement->objects))
	{
		Oid			relid = lfirst_oid(cell);
		char		kind = get_rel_relkind(relid);

		if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
			relids = list_concat_unique_oid(relids,
											find_all_inheritors(relid,
																AccessShareLock,
																NULL));
		else
			relids = list_append_unique_oid(relids, relid);
	}
	return relids;
}

static List *
filenodes(List *relids)
{
	List	   *nodes = NIL;
	ListCell   *cell;

	foreach(cell, relids)
	{
		Relation	relation = try_relation_open(lfirst_oid(cell),
												 AccessShareLock);

		nodes = lappend_oid(nodes, relation != NULL ?
							relation->rd_rel->relfilenode : InvalidOid);
		if (relation != NULL)
			relation_close(relation, NoLock);
	}
	return nodes;
}

static void
note_rewrites(PreviewJob *job, WardenMeasured *measured, List *relids,
			  List *before, List *after)
{
	ListCell   *relid;
	ListCell   *old;
	ListCell   *new;
	MemoryContext outer = MemoryContextSwitchTo(job->context);

	forthree(relid, relids, old, before, new, after)
	{
		char	   *name = get_rel_name(lfirst_oid(relid));

		if (name != NULL && lfirst_oid(old) != lfirst_oid(new))
			measured->rewritten = lappend(measured->rewritten, name);
	}
	MemoryContextSwitchTo(outer);
}

static void
execute_statement(PreviewJob *job, WardenMeasured *measured)
{
	List	   *relids = may_be_rewritten(measured->statement);
	List	   *before = filenodes(relids);
	instr_time	start;
	instr_time	end;
	uint64		rows;

	INSTR_TIME_SET_CURRENT(start);
	warden_footprint_begin(measured->statement != llast(job->statements));
	warden_sample_begin(job->context, job->apply_role);
	rows = warden_apply_statement(&job->change, measured->statement);
	warden_footprint_end(measured->statement->ordinal, rows,
						 &measured->footprint);
	measured->sample = warden_sample_end();
	measured->rows = (double) rows;
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	measured->duration = INSTR_TIME_GET_MILLISEC(end);
	measured->method = "executed";
	CommandCounterIncrement();
	note_rewrites(job, measured, relids, before, filenodes(relids));
	job->current = measured;
	warden_principal_run_internal(read_locks_internally, job);
}

/*
 * An error of its own, or the end of what a preview lets run.  Behind a
 * statement that was not executed it may be the lack of that one's work, and
 * nothing follows for an apply.
 */
static void
note_failure(const PreviewJob *job, WardenMeasured *measured,
			 const ErrorData *error, bool at_end)
{
	if (warden_preview_guard_stopped())
	{
		measured->method = "explained";
		measured->detail = "it calls a function that is not built in";
		measured->rows = measured->duration = -1;
		measured->sample = NULL;
		measured->locks = measured->rewritten = NIL;
		return;
	}
	if (!job->partial)
		measured->method = "failed";
	else if (!at_end)
		measured->method = "skipped";
	measured->detail = psprintf("%s: %s%s%s",
								unpack_sql_state(error->sqlerrcode),
								error->message,
								at_end ? " (deferred to the end)" : "",
								job->partial ? "; but a statement of the change was not run" : "");
}

/*
 * One statement, in a subtransaction so that the next one is still seen; or
 * what all of them have deferred, as at the end of an apply.
 */
static bool
try_statement(PreviewJob *job, WardenMeasured *measured, bool at_end)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		const char *bar = NULL;

		if (!at_end)
		{
			bar = warden_preview_bar(measured->statement);
			warden_preview_triggers(measured, job->context);
		}
		if (at_end)
			warden_apply_constraints();
		else if (bar == NULL)
			execute_statement(job, measured);
		else
		{
			measured->method = "explained";
			measured->detail = MemoryContextStrdup(job->context, bar);
			measured->rows = estimate_now(measured->statement);
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(job->context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(job->context);
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		note_failure(job, measured, error, at_end);
		ok = strcmp(measured->method, "failed") != 0;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/* A row of the result that nothing is known of yet. */
static WardenMeasured *
add_measured(PreviewJob *job, WardenStatement *statement)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);
	WardenMeasured *measured = palloc0(sizeof(WardenMeasured));

	job->measured = lappend(job->measured, measured);
	MemoryContextSwitchTo(old);
	measured->statement = statement;
	measured->method = "skipped";
	measured->rows = -1;
	measured->duration = -1;
	return measured;
}

static void
measure_statements(PreviewJob *job)
{
	bool		ok = true;
	WardenMeasured   *executed = NULL;
	ListCell   *cell;

	foreach(cell, job->statements)
	{
		WardenMeasured *measured = add_measured(job, lfirst(cell));

		if (ok)
			ok = try_statement(job, measured, false);
		else
			measured->detail = "an earlier statement failed";
		if (strcmp(measured->method, "executed") == 0)
			executed = measured;
		else
			job->partial = true;
	}
	if (ok && executed != NULL)
		(void) try_statement(job, executed, true);
}

/* Everything in a subtransaction that never commits. */
static void
measure_and_roll_back(PreviewJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Oid			user;
	int			security;
	bool		in_block = warden_sandbox_in_block();
	WardenSandbox sandbox;
	ErrorData  *volatile error = NULL;

	GetUserIdAndSecContext(&user, &security);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	if (in_block)
		warden_apply_constraints();
	warden_apply_set_running(true);
	warden_preview_guard(true);
	warden_watch_begin();
	PG_TRY();
	{
		(void) NewGUCNestLevel();
		warden_sandbox_enter(&sandbox, job->apply_role, in_block);
		warden_capture_restore(job->change.context);
		warden_apply_lock_timeout(WARDEN_PREVIEW_LOCK_TIMEOUT_MS);
		measure_statements(job);
	}
	PG_CATCH();
	{
		/* nobody else would end the subtransaction: not outside a block */
		MemoryContextSwitchTo(job->context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	warden_apply_set_running(false);
	warden_preview_guard(false);
	warden_watch_end();
	(void) warden_sample_end();
	/* the settings and the user go back with it */
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	SetUserIdAndSecContext(user, security);
	if (error != NULL)
		ReThrowError(error);
}

/*
 * Of a caller who reads masks nothing is measured and nothing kept: an apply
 * stays held to what somebody saw who sees the data.
 */
static void
measure_masked(PreviewJob *job)
{
	ListCell   *cell;

	foreach(cell, job->statements)
		warden_preview_masked(&job->change, add_measured(job, lfirst(cell)),
							  job->context);
}

static void
record_masked_internally(void *arg)
{
	PreviewJob *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_audit_action("previewed", job->change.id, "masked, nothing was run");
	job->footprints = warden_footprint_load(job->change.id, job->context);
	SPI_finish();
}

/* What an apply will be held to: statements before any that was not run. */
static void
store_footprints_internally(void *arg)
{
	PreviewJob *job = arg;
	List	   *footprints = NIL;
	int64		rows = 0;
	ListCell   *cell;

	foreach(cell, job->measured)
	{
		WardenMeasured   *measured = lfirst(cell);

		if (strcmp(measured->method, "executed") != 0)
			break;
		footprints = lappend(footprints, &measured->footprint);
		rows += measured->footprint.rows;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_footprint_store(job->change.id, footprints);
	job->footprints = warden_footprint_load(job->change.id, job->context);
	warden_audit_action("previewed", job->change.id,
						psprintf("%d of %d statements executed, " INT64_FORMAT " rows",
								 list_length(footprints),
								 list_length(job->measured), rows));
	SPI_finish();
}

/* ---- the function ------------------------------------------------------- */

static void
load_preview_internally(void *arg)
{
	PreviewJob *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->change.id, false, job->context,
									 &job->change);
	if (job->found)
	{
		job->statements = warden_pending_statements(job->change.id,
													job->context);
		if (strcmp(warden_pending_digest(&job->change, job->statements),
				   job->change.digest) != 0)
		{
			job->refusal = "its digest no longer follows from its rows";
			job->hint = "Have it proposed again.";
		}
		else if (!job->masked)
			job->refusal = warden_apply_role_bar(job->change.agent,
												 &job->apply_role, &job->hint);
	}
	SPI_finish();
}

static Datum
text_array(List *texts)
{
	Datum	   *elements = palloc((list_length(texts) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, texts)
		elements[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static void
put_measured(ReturnSetInfo *result, PreviewJob *job, WardenMeasured *measured)
{
	Datum		values[11] = {0};
	bool		nulls[11] = {false};
	bool		masked = strcmp(measured->method, "masked") == 0;

	values[0] = Int32GetDatum(measured->statement->ordinal);
	values[1] = CStringGetTextDatum(measured->statement->command);
	values[2] = CStringGetTextDatum(measured->method);
	nulls[3] = measured->rows < 0;
	values[3] = Int64GetDatum((int64) measured->rows);
	nulls[4] = measured->duration < 0;
	values[4] = Float8GetDatum(measured->duration);
	nulls[5] = nulls[6] = masked;
	values[5] = text_array(measured->locks);
	values[6] = text_array(measured->rewritten);
	nulls[7] = measured->detail == NULL;
	if (measured->detail != NULL)
		values[7] = CStringGetTextDatum(measured->detail);
	nulls[8] = measured->sample == NULL;
	if (measured->sample != NULL)
		values[8] = DirectFunctionCall1(jsonb_in,
										CStringGetDatum(measured->sample));
	nulls[9] = !measured->triggers_known;
	values[9] = text_array(measured->triggers);
	values[10] =
		CStringGetTextDatum(warden_footprint_compared(measured->statement,
													  job->footprints));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(warden_sql_preview);
Datum
warden_sql_preview(PG_FUNCTION_ARGS)
{
	PreviewJob	job = {0};
	ListCell   *cell;

	warden_pending_require_select(fcinfo, "preview");
	warden_pending_require_reviewer();
	job.masked = warden_principal_current()->class == WARDEN_CLASS_MASKED;
	if (!job.masked)
		warden_apply_require_sight();
	InitMaterializedSRF(fcinfo, 0);
	job.change.id = warden_pending_number(fcinfo);
	job.context = CurrentMemoryContext;
	warden_principal_run_internal(load_preview_internally, &job);
	if (!job.found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist",
						job.change.id),
				 errhint("List the changes to find its number.")));
	if (job.refusal == NULL && job.change.status != WARDEN_CHANGE_PROPOSED &&
		job.change.status != WARDEN_CHANGE_APPROVED)
	{
		job.refusal = psprintf("it is %s",
							   warden_pending_status_name(job.change.status));
		job.hint = "Only a change that may still be applied has a preview.";
	}
	if (job.refusal != NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " has no preview",
						job.change.id),
				 errdetail("%c%s.", toupper((unsigned char) job.refusal[0]),
						   job.refusal + 1),
				 errhint("%s", job.hint)));
	if (job.masked)
	{
		measure_masked(&job);
		warden_principal_run_internal(record_masked_internally, &job);
	}
	else
	{
		measure_and_roll_back(&job);
		warden_principal_run_internal(store_footprints_internally, &job);
	}
	foreach(cell, job.measured)
		put_measured((ReturnSetInfo *) fcinfo->resultinfo, &job,
					 lfirst(cell));
	return (Datum) 0;
}
