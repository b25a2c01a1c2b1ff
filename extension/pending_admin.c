/*-------------------------------------------------------------------------
 * pending_admin.c
 *	  What administrators do with changes: settle one whose apply was cut off,
 *	  and remove old ones.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "pending.h"
#include "principal.h"
#include "statement.h"
#include "warden.h"

typedef struct ResolveJob
{
	int64		id;
	WardenStatus outcome;
	const char *reason;
	bool		found;
	const char *invalid;		/* indexes of its tables, "a, b" or "" */
	MemoryContext context;
} ResolveJob;

typedef struct PurgeJob
{
	TimestampTz before;
	int64		purged;
} PurgeJob;

static bool purging = false;

bool
warden_purge_running(void)
{
	return purging;
}

/* ---- resolve ------------------------------------------------------------ */

/* An index without a name could be any. */
static bool
made_invalid(RawStmt *raw, const WardenStatement *statement)
{
	IndexStmt  *stmt = raw != NULL ? (IndexStmt *) raw->stmt : NULL;
	List	   *targets = warden_capture_targets(statement->objects);
	Oid			index;

	if (stmt == NULL || !IsA(stmt, IndexStmt) || targets == NIL)
		return false;
	if (stmt->idxname == NULL)
		return true;
	index = get_relname_relid(stmt->idxname,
							  get_rel_namespace(linitial_oid(targets)));
	return OidIsValid(index) && !get_index_isvalid(index);
}

/*
 * What a build that was cut off has left.  An index that is not valid is no
 * outcome that could be called applied, where the change was to make it.
 */
static void
inspect_indexes(ResolveJob *job, const WardenChange *change)
{
	WardenStatement *statement =
		linitial(warden_pending_statements(job->id, job->context));
	int			nest = warden_capture_begin(change->context);
	RawStmt    *raw = warden_statement_parse(statement->statement);
	char	   *invalid = warden_barred_invalid_indexes(statement);

	warden_capture_end(nest);
	job->invalid = MemoryContextStrdup(job->context, invalid);
	if (job->outcome != WARDEN_CHANGE_APPLIED || job->invalid[0] == '\0' ||
		!made_invalid(raw, statement))
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " was not applied", job->id),
			 errdetail("Not valid: %s.", job->invalid),
			 errhint("Drop the index, or make it valid with REINDEX INDEX CONCURRENTLY; then settle the change.")));
}

static void
resolve_internally(void *arg)
{
	ResolveJob *job = arg;
	WardenChange change;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->id, true, CurrentMemoryContext,
									 &change);
	if (job->found)
	{
		if (change.status != WARDEN_CHANGE_UNKNOWN)
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_TRANSITION),
					 errmsg("change " INT64_FORMAT " needs no resolution",
							job->id),
					 errdetail("It is %s.",
							   warden_pending_status_name(change.status)),
					 errhint("Only a change whose apply was cut off is resolved.")));
		inspect_indexes(job, &change);
		if (change.stored == WARDEN_CHANGE_APPLYING)
		{
			change.status = WARDEN_CHANGE_APPLYING;
			warden_pending_move(&change, WARDEN_CHANGE_UNKNOWN, "", "unknown",
								"its apply was cut off");
			change.status = WARDEN_CHANGE_UNKNOWN;
		}
		warden_pending_move(&change, job->outcome,
							job->outcome == WARDEN_CHANGE_APPLIED ?
							", applied_at = pg_catalog.now()" : "",
							"resolved",
							psprintf("%s: %s%s%s",
									 warden_pending_status_name(job->outcome),
									 job->reason,
									 job->invalid[0] != '\0' ?
									 "; not valid: " : "", job->invalid));
	}
	SPI_finish();
}

static WardenStatus
parse_outcome(const char *outcome)
{
	if (strcmp(outcome, "applied") == 0)
		return WARDEN_CHANGE_APPLIED;
	if (strcmp(outcome, "failed") == 0)
		return WARDEN_CHANGE_FAILED;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no outcome of a change", outcome),
			 errhint("Look at the catalogs, then give applied or failed.")));
}

PG_FUNCTION_INFO_V1(warden_sql_resolve);
Datum
warden_sql_resolve(PG_FUNCTION_ARGS)
{
	ResolveJob	job = {0};

	warden_pending_require_select(fcinfo, "resolve");
	warden_pending_require_admin();
	job.id = warden_pending_number(fcinfo);
	job.outcome = parse_outcome(PG_ARGISNULL(1) ? "" :
								text_to_cstring(PG_GETARG_TEXT_PP(1)));
	job.reason = PG_ARGISNULL(2) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (job.reason[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a change is settled for a reason only"),
				 errhint("Say what you have found, or done.")));
	job.context = CurrentMemoryContext;
	warden_principal_run_internal(resolve_internally, &job);
	if (!job.found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist", job.id),
				 errhint("List the changes to find its number.")));
	if (job.invalid[0] != '\0')
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index not valid: %s", job.invalid),
				 errhint("Drop it with DROP INDEX CONCURRENTLY, or make it valid with REINDEX INDEX CONCURRENTLY.")));
	PG_RETURN_VOID();
}

/* ---- purge -------------------------------------------------------------- */

/* Changes that can not move any more, decided or expired before a time. */
#define PURGEABLE \
	"SELECT id FROM warden.pending_changes" \
	" WHERE (status = ANY (ARRAY['rejected', 'withdrawn', 'expired', 'stale'," \
	"   'applied', 'failed'])" \
	"  AND GREATEST(created_at, decided_at, applied_at)" \
	"   OPERATOR(pg_catalog.<) $1)" \
	" OR (status = ANY (ARRAY['proposed', 'approved'])" \
	"  AND expires_at OPERATOR(pg_catalog.<) $1)"

static int64
delete_of(const char *sql, TimestampTz before)
{
	Oid			type = TIMESTAMPTZOID;
	Datum		value = TimestampTzGetDatum(before);

	if (SPI_execute_with_args(sql, 1, &type, &value, NULL, false,
							  0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old changes");
	return (int64) SPI_processed;
}

static void
purge_internally(void *arg)
{
	PurgeJob   *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	purging = true;
	PG_TRY();
	{
		delete_of("DELETE FROM warden.change_footprints"
				  " WHERE change_id = ANY (ARRAY(" PURGEABLE "))",
				  job->before);
		delete_of("DELETE FROM warden.change_images"
				  " WHERE change_id = ANY (ARRAY(" PURGEABLE "))",
				  job->before);
		delete_of("DELETE FROM warden.change_reviews"
				  " WHERE change_id = ANY (ARRAY(" PURGEABLE "))",
				  job->before);
		delete_of("DELETE FROM warden.change_statements"
				  " WHERE change_id = ANY (ARRAY(" PURGEABLE "))",
				  job->before);
		job->purged = delete_of("DELETE FROM warden.pending_changes"
								" WHERE id = ANY (ARRAY(" PURGEABLE "))",
								job->before);
	}
	PG_FINALLY();
	{
		purging = false;
	}
	PG_END_TRY();
	SPI_finish();
}

PG_FUNCTION_INFO_V1(warden_sql_purge);
Datum
warden_sql_purge(PG_FUNCTION_ARGS)
{
	PurgeJob	job = {0};

	warden_pending_require_select(fcinfo, "purge");
	warden_pending_require_admin();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the time is missing"),
				 errhint("Give the time before which changes are removed.")));
	job.before = PG_GETARG_TIMESTAMPTZ(0);
	if (job.before > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("changes of the future can not be removed"),
				 errhint("Give a time in the past.")));
	warden_principal_run_internal(purge_internally, &job);
	warden_audit_action("purged", 0, psprintf(INT64_FORMAT " changes before %s",
											  job.purged,
											  timestamptz_to_str(job.before)));
	PG_RETURN_INT64(job.purged);
}

/* ---- for views ---------------------------------------------------------- */

PG_FUNCTION_INFO_V1(warden_sql_apply_is_running);
Datum
warden_sql_apply_is_running(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(warden_toplevel_running(PG_GETARG_INT64(0)));
}
