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
#include "identity_store.h"
#include "pending.h"
#include "warden.h"

/* Distinguishes our lock from those that pg_advisory_lock() takes. */
#define BUDGET_LOCK_FIELD	8

/* The latest ones, as many as there may be, are all of this hour. */
static const char spent_sql[] =
	"SELECT a.max_open_changes OPERATOR(pg_catalog.<=)"
	" (SELECT pg_catalog.count(*) FROM warden.pending_changes c"
	"  WHERE c.agent OPERATOR(pg_catalog.=) $1"
	"  AND (c.status IN ('applying', 'unknown')"
	"   OR (c.status IN ('proposed', 'approved')"
	"   AND c.expires_at OPERATOR(pg_catalog.>) pg_catalog.statement_timestamp()))),"
	" a.changes_per_hour OPERATOR(pg_catalog.<=)"
	" (SELECT pg_catalog.count(*) FROM"
	"  (SELECT c.created_at FROM warden.pending_changes c"
	"   WHERE c.agent OPERATOR(pg_catalog.=) $1"
	"   ORDER BY c.id USING OPERATOR(pg_catalog.>)"
	"   LIMIT a.changes_per_hour) latest"
	"  WHERE latest.created_at OPERATOR(pg_catalog.>)"
	"   (pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) '1 hour'::interval))"
	" FROM warden.agents a WHERE a.agent OPERATOR(pg_catalog.=) $1";

/* In a snapshot of now; false where the agent has gone. */
static bool
read_spent(const char *agent)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(agent);

	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare_cursor(spent_sql, 1, &type,
											  CURSOR_OPT_GENERIC_PLAN);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not read the agent's limits");
		plan = made;
	}
	CommandCounterIncrement();
	if (SPI_execute_snapshot(plan, &value, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false,
							 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the agent's limits");
	return SPI_processed > 0;
}

static bool
is_spent(int column)
{
	char	   *spent = SPI_getvalue(SPI_tuptable->vals[0],
									 SPI_tuptable->tupdesc, column);

	return spent != NULL && spent[0] == 't';
}

static void
require_place(void)
{
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

void
warden_budget_require(const char *agent)
{
	WardenAgent row;
	LOCKTAG		tag;

	if (!warden_store_agent(agent, &row) || !row.limits_changes)
		return;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0,
						 hash_bytes((const unsigned char *) agent,
									strlen(agent)),
						 BUDGET_LOCK_FIELD);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (read_spent(agent))
		require_place();
	SPI_finish();
}
