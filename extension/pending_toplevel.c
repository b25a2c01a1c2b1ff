/*-------------------------------------------------------------------------
 * pending_toplevel.c
 *	  Runs a statement that is barred from transaction blocks (VACUUM, CREATE
 *	  INDEX CONCURRENTLY, ...) as if the client had sent it, from inside CALL
 *	  warden.apply() outside a transaction block.
 *
 * Such a statement commits transactions of its own, so the state of the
 * change can not move in the same one.  The change is "applying" while it
 * runs; a lock that the session holds shows that somebody still does, and a
 * change that is "applying" without that lock was cut off: nobody knows how
 * far it came.
 *
 * Invariants:
 * - The user id is switched without a security context, since StartTransaction
 *	 allows none; these statements run other people's code as the table's owner
 *	 in a restricted operation of their own, where role changes are refused.
 * - Nothing of it stays in the session: neither settings, nor what
 *	 pending_bind.c refuses.
 * - Whatever happens, the caller continues in a transaction that was started
 *	 under the original user, so that its abort restores that one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "pending.h"
#include "statement.h"
#include "warden.h"

/*
 * Distinguishes our lock from those that pg_advisory_lock() takes.  Only
 * advisory locks of a session outlive an aborted transaction.
 */
#define APPLYING_LOCK_FIELD		7

/* Commits since the statement started. */
static int	commits = 0;

static bool active = false;

static void
set_lock_tag(LOCKTAG *tag, int64 change_id)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (change_id >> 32),
						 (uint32) change_id, APPLYING_LOCK_FIELD);
}

bool
warden_toplevel_lock(int64 change_id)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, change_id);
	return LockAcquire(&tag, ExclusiveLock, true, true) !=
		LOCKACQUIRE_NOT_AVAIL;
}

void
warden_toplevel_unlock(int64 change_id)
{
	LOCKTAG		tag;

	set_lock_tag(&tag, change_id);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

bool
warden_toplevel_running(int64 change_id)
{
	if (!warden_toplevel_lock(change_id))
		return true;
	warden_toplevel_unlock(change_id);
	return false;
}

bool
warden_toplevel_active(void)
{
	return active;
}

static void
set_active(bool now)
{
	active = now;
	warden_apply_set_running(now);
}

static PlannedStmt *
plan_utility(const char *text)
{
	RawStmt    *raw = warden_statement_parse(text);
	PlannedStmt *pstmt = makeNode(PlannedStmt);

	if (raw == NULL)
		elog(ERROR, "a recorded statement is not one statement");
	pstmt->commandType = CMD_UTILITY;
	pstmt->canSetTag = true;
	pstmt->utilityStmt = raw->stmt;
	pstmt->stmt_location = raw->stmt_location;
	pstmt->stmt_len = raw->stmt_len;
	return pstmt;
}

/*
 * The settings last until the statement's first commit, which comes after it
 * has looked up every name.
 */
static void
run_statement(const WardenStatement *statement, const char *context)
{
	QueryCompletion qc;

	(void) NewGUCNestLevel();
	warden_capture_restore(context);
	PushActiveSnapshot(GetTransactionSnapshot());
	InitializeQueryCompletion(&qc);
	ProcessUtility(plan_utility(statement->statement), statement->statement,
				   false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL,
				   None_Receiver, &qc);
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
}

ErrorData *
warden_toplevel_run(const WardenStatement *statement, const char *context,
					Oid apply_role, MemoryContext memory, bool *committed)
{
	MemoryContext old = MemoryContextSwitchTo(memory);
	ErrorData  *volatile error = NULL;
	List	   *settings = warden_settings_remember(memory);
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	commits = 0;
	PG_TRY();
	{
		SetUserIdAndSecContext(apply_role, 0);
		set_active(true);
		run_statement(statement, context);
		set_active(false);
		*committed = commits > 0;
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		set_active(false);
		MemoryContextSwitchTo(memory);
		error = CopyErrorData();
		FlushErrorState();
		*committed = commits > 0;
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	SetUserIdAndSecContext(user, security);
	MemoryContextSwitchTo(memory);
	warden_settings_restore(settings);
	StartTransactionCommand();
	MemoryContextSwitchTo(old);
	return error;
}

static void
toplevel_xact_callback(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT)
		commits++;
}

void
warden_toplevel_init(void)
{
	RegisterXactCallback(toplevel_xact_callback, NULL);
}
