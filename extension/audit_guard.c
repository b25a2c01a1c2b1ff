/*-------------------------------------------------------------------------
 * audit_guard.c
 *	  What may happen to the audit tables besides the worker's writing: a
 *	  restore into an empty store, and retention.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_record.h"
#include "audit_worker.h"
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

typedef struct Retention
{
	TimestampTz before;
	int64 through; /* last record to go; 0: none */
	uint8 hash[WARDEN_HASH_BYTES];
	int64 dropped;
} Retention;

/* The records up to the first that is not older, or whose statement runs. */
static const char retention_sql[] =
	"SELECT e.id, e.hash FROM warden.audit_events e WHERE e.id"
	" OPERATOR(pg_catalog.<) LEAST((SELECT pg_catalog.min(n.id)"
	" FROM warden.audit_events n WHERE n.at OPERATOR(pg_catalog.>=) $1),"
	" (SELECT pg_catalog.max(m.id) FROM warden.audit_events m),"
	" (SELECT pg_catalog.min(o.id)"
	" FROM pg_catalog.unnest(warden.audit_open_statements()) AS o(id)))"
	" ORDER BY e.id DESC LIMIT 1";

static const char drop_sql[] =
	"DELETE FROM warden.audit_events WHERE id OPERATOR(pg_catalog.<=) $1";

static void
drop_records(void *arg)
{
	Retention *retention = arg;
	Oid type = TIMESTAMPTZOID;
	Datum value = TimestampTzGetDatum(retention->before);
	bytea *hash;
	bool isnull;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(retention_sql, 1, &type, &value, NULL, false,
							  1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the audit trail");
	if (SPI_processed == 1)
	{
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
							  &isnull);
		retention->through = DatumGetInt64(value);
		hash = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0],
											 SPI_tuptable->tupdesc, 2,
											 &isnull));
		memcpy(retention->hash, VARDATA_ANY(hash),
			   Min(VARSIZE_ANY_EXHDR(hash), WARDEN_HASH_BYTES));
		type = INT8OID;
		if (SPI_execute_with_args(drop_sql, 1, &type, &value, NULL, false, 0) !=
			SPI_OK_DELETE)
			elog(ERROR, "could not drop audit records");
		retention->dropped = (int64) SPI_processed;
	}
	SPI_finish();
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
	memset(&retention, 0, sizeof(retention));
	retention.before = PG_GETARG_TIMESTAMPTZ(0);
	require_retention(retention.before);
	warden_principal_run_internal(drop_records, &retention);
	if (retention.through != 0)
		warden_audit_action(WARDEN_RETENTION_ACTION, 0,
							warden_record_retired(retention.through,
												  retention.hash));
	PG_RETURN_INT64(retention.dropped);
}

/* ----------------------------------------------------------------------
 * The guard
 * ---------------------------------------------------------------------- */

static const char has_statements_sql[] =
	"SELECT FROM warden.audit_events WHERE kind OPERATOR(pg_catalog.<>)"
	" ALL (ARRAY['epoch', 'action']) LIMIT 1";

static const char give_back_sql[] =
	"INSERT INTO warden.audit_outbox (at, agent, on_behalf_of, asserted, db_role,"
	" login_role, client_addr, backend, session_id, request_id, tool, prompt_ref,"
	" outcome, change_id, detail) SELECT at, agent, on_behalf_of, asserted,"
	" db_role, login_role, client_addr, backend, session_id, request_id, tool,"
	" prompt_ref, outcome, change_id, detail FROM warden.audit_events"
	" WHERE kind OPERATOR(pg_catalog.=) 'action' ORDER BY id";

static const char clear_sql[] = "DELETE FROM warden.audit_events";

static void
execute(const char *sql, int expected)
{
	if (SPI_execute(sql, false, 0) != expected)
		elog(ERROR, "could not prepare the audit tables for a restore");
}

/*
 * Restoring a dump labels columns before it copies the trail back, so this
 * new database has recorded those labels already.  They go back to the outbox,
 * to be chained after what is restored.  Once there are statements of agents,
 * nothing can be inserted any more.
 */
static void
make_way(void *arg)
{
	bool *refused = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not prepare the audit tables for a restore");
	execute(has_statements_sql, SPI_OK_SELECT);
	*refused = (SPI_processed > 0);
	if (!*refused)
	{
		execute(give_back_sql, SPI_OK_INSERT);
		execute(clear_sql, SPI_OK_DELETE);
	}
	SPI_finish();
}

/* A superuser may insert into a store that is as good as new. */
static bool
is_restore(Relation rel)
{
	bool refused = false;

	if (!superuser() || warden_principal_current()->class != WARDEN_CLASS_NONE)
		return false;
	if (strcmp(RelationGetRelationName(rel), "audit_events") != 0)
		return true;

	/* the worker asks for its lock without waiting, so this can not hang */
	LockRelationOid(RelationGetRelid(rel), AccessExclusiveLock);
	warden_principal_run_internal(make_way, &refused);
	/* the worker has to look anew where the chain ends */
	CacheInvalidateRelcache(rel);
	return !refused;
}

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
	if (TRIGGER_FIRED_BY_INSERT(data->tg_event) &&
		is_restore(data->tg_relation))
		return PointerGetDatum(NULL);
	ereport(
		ERROR,
		(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
		 errmsg("table \"%s\" can not be changed by SQL",
				RelationGetRelationName(data->tg_relation)),
		 errhint(
			 "The audit trail is append-only and written by the library alone.")));
}
