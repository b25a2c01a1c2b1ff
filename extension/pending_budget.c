/*-------------------------------------------------------------------------
 * pending_budget.c
 *	  How many changes an agent may have waiting, and propose in an hour.
 *
 * Whoever counts holds a lock of the agent's until its transaction ends, and
 * counts in a snapshot that is newer than the lock, so that transactions side
 * by side do not each have the last place.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "pending.h"
#include "warden.h"

/* Distinguishes our lock from those that pg_advisory_lock() takes. */
#define BUDGET_LOCK_FIELD	8

static const char limits_sql[] =
	"SELECT FROM warden.agents a WHERE a.agent OPERATOR(pg_catalog.=) $1"
	" AND (a.max_open_changes IS NOT NULL OR a.changes_per_hour IS NOT NULL)";

/* The latest ones, as many as there may be, are all of this hour. */
static const char spent_sql[] =
	"SELECT a.max_open_changes OPERATOR(pg_catalog.<=)"
	" (SELECT pg_catalog.count(*) FROM warden.pending_changes c"
	"  WHERE c.agent OPERATOR(pg_catalog.=) $1"
	"  AND (c.status IN ('applying', 'unknown')"
	"   OR (c.status IN ('proposed', 'approved')"
	"   AND c.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()))),"
	" a.changes_per_hour OPERATOR(pg_catalog.<=)"
	" (SELECT pg_catalog.count(*) FROM"
	"  (SELECT c.created_at FROM warden.pending_changes c"
	"   WHERE c.agent OPERATOR(pg_catalog.=) $1"
	"   ORDER BY c.id USING OPERATOR(pg_catalog.>)"
	"   LIMIT a.changes_per_hour) latest"
	"  WHERE latest.created_at OPERATOR(pg_catalog.>)"
	"   (pg_catalog.now() OPERATOR(pg_catalog.-) '1 hour'::interval))"
	" FROM warden.agents a WHERE a.agent OPERATOR(pg_catalog.=) $1";

/* Runs a plan that is made in internal mode and kept, as of now. */
static void
run_latest(SPIPlanPtr *plan, const char *sql, Datum value)
{
	Oid			type = TEXTOID;

	if (*plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(sql, 1, &type,
											  CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not read the agent's limits");
		*plan = made;
	}
	CommandCounterIncrement();
	if (SPI_execute_snapshot(*plan, &value, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false,
							 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the agent's limits");
}

static bool
is_spent(int column)
{
	char	   *spent = SPI_getvalue(SPI_tuptable->vals[0],
									 SPI_tuptable->tupdesc, column);

	return spent != NULL && spent[0] == 't';
}

void
warden_budget_require(const char *agent)
{
	static SPIPlanPtr limits_plan = NULL;
	static SPIPlanPtr spent_plan = NULL;
	Datum		value = CStringGetTextDatum(agent);
	LOCKTAG		tag;

	run_latest(&limits_plan, limits_sql, value);
	if (SPI_processed == 0)
		return;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0,
						 hash_bytes((const unsigned char *) agent,
									strlen(agent)),
						 BUDGET_LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	run_latest(&spent_plan, spent_sql, value);
	if (SPI_processed == 0)
		return;
	if (is_spent(1))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_BUDGET),
				 errmsg("too many changes of this agent are waiting"),
				 errhint("Wait until people have decided about them, or withdraw some; they are in warden.my_changes.")));
	if (is_spent(2))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_BUDGET),
				 errmsg("this agent has proposed its changes of this hour"),
				 errhint("Propose it later, or several statements as one change; an administrator can raise changes_per_hour in warden.agents.")));
}
