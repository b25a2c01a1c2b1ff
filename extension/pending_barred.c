/*-------------------------------------------------------------------------
 * pending_barred.c
 *	  Applies a change whose statement is barred from transactions.
 *
 * The change is "applying", committed, before its statement starts, and
 * "applied" or "unknown" after it; see pending_toplevel.c for how it runs.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "pending.h"
#include "pending_apply_private.h"
#include "principal.h"
#include "warden.h"

static void
mark_applying_internally(void *arg)
{
	ApplyJob   *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_pending_move(&job->change, WARDEN_CHANGE_APPLYING, "", "applying",
						NULL);
	job->change.status = WARDEN_CHANGE_APPLYING;
	SPI_finish();
}

char *
warden_barred_invalid_indexes(const WardenStatement *statement)
{
	StringInfoData names;
	ListCell   *target;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(target, warden_capture_targets(statement->objects))
	{
		Relation	relation = try_relation_open(lfirst_oid(target),
												 AccessShareLock);

		if (relation == NULL)
			continue;
		foreach(cell, relation->rd_rel->relkind == RELKIND_RELATION ||
				relation->rd_rel->relkind == RELKIND_MATVIEW ?
				RelationGetIndexList(relation) : NIL)
		{
			if (!get_index_isvalid(lfirst_oid(cell)))
				appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
								 get_rel_name(lfirst_oid(cell)));
		}
		relation_close(relation, AccessShareLock);
	}
	return names.data;
}

/*
 * After a failure nothing may have happened, and the change is approved as
 * before; or some of it has, and a person has to look.
 */
static void
mark_interrupted_internally(void *arg)
{
	ApplyJob   *job = arg;
	WardenStatus to = job->committed ? WARDEN_CHANGE_UNKNOWN :
	WARDEN_CHANGE_APPROVED;
	char	   *invalid;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	invalid = warden_barred_invalid_indexes(linitial(job->statements));
	warden_pending_move(&job->change, to, "",
						job->committed ? "unknown" : "apply_failed",
						psprintf("SQLSTATE %s",
								 unpack_sql_state(job->error->sqlerrcode)));
	if (job->committed && invalid[0] != '\0')
		job->error->message = psprintf("%s (index not valid: %s)",
									   job->error->message, invalid);
	job->error->message = MemoryContextStrdup(job->context,
											  job->error->message);
	job->change.status = to;
	SPI_finish();
}

/*
 * pgaudit before 1.7.1, 16.1 and 17.1 takes no statement below a CALL, and
 * says so by an internal error of its own.
 */
static char *
hint_of(const ApplyJob *job)
{
	if (job->committed)
		return "Part of it may have stayed: look at the indexes it was to change, then settle it with warden.resolve().";
	if (job->error->sqlerrcode == ERRCODE_INTERNAL_ERROR &&
		GetConfigOption("pgaudit.log", true, false) != NULL)
		return "Nothing of the change remains. If the error is pgaudit's, upgrade it to 1.7.1, 16.1 or 17.1; until then run the statement by hand and reject the change.";
	return "Nothing of the change remains; it can be applied again when the cause is removed.";
}

void
warden_apply_barred(ApplyJob *job)
{
	List	   *names;
	int			nest;

	if (!warden_toplevel_lock(job->change.id))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " is being applied",
						job->change.id),
				 errhint("Wait until that is done.")));
	PG_TRY();
	{
		nest = warden_capture_begin(job->change.context);
		(void) warden_apply_same_objects(&job->change,
									linitial(job->statements), &names);
		warden_capture_end(nest);
		warden_principal_run_internal(mark_applying_internally, job);
		SPI_commit();
		SPI_finish();
		job->error = warden_toplevel_run(linitial(job->statements),
										 job->change.context,
										 job->apply_role, job->context,
										 &job->committed);
		if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		if (job->error == NULL)
			warden_principal_run_internal(warden_apply_mark_applied, job);
		else
		{
			warden_principal_run_internal(mark_interrupted_internally, job);
			warden_principal_run_internal(warden_apply_mark_failed, job);
		}
		SPI_commit();
	}
	PG_FINALLY();
	{
		warden_toplevel_unlock(job->change.id);
	}
	PG_END_TRY();
	if (job->error != NULL)
	{
		job->error->hint = hint_of(job);
		ReThrowError(job->error);
	}
}
