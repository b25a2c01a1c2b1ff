/*-------------------------------------------------------------------------
 * pending_sandbox.c
 *	  Where a change runs: as its apply role, on a connection that is somebody
 *	  else's, to whom nothing of it may stay.
 *
 * Core's security-restricted operation would refuse what outlives the
 * statements, but every deferred constraint as well.  So the statements run
 * without it, what it refuses is refused in pending_bind.c, and what they have
 * deferred fires at the end, restricted: nothing is left that could fire as
 * the caller.
 *
 * Invariants:
 * - From enter to leave the user is the apply role inside a local user id
 *	 change, so that core refuses every change of role.
 * - At the end nothing is deferred, and the session has the temporary objects
 *	 that it had before; it had no cursors, and has none.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "pending.h"
#include "principal.h"
#include "statement.h"
#include "warden.h"

static bool running = false;

/* Something of it has changed the catalogs. */
static bool made_ddl = false;

bool
warden_apply_running(void)
{
	return running;
}

void
warden_apply_note_ddl(void)
{
	made_ddl = true;
}

bool
warden_apply_made_ddl(void)
{
	return made_ddl;
}

void
warden_apply_set_running(bool now)
{
	running = now;
	made_ddl = false;
	warden_principal_hold_role = now;
}

/*
 * Everything that was deferred happens now.  Restricted, since what fires
 * could defer something else, which would fire as somebody else.
 */
void
warden_apply_constraints(void)
{
	ConstraintsSetStmt *immediate = makeNode(ConstraintsSetStmt);
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	if (running)
		SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
	immediate->deferred = false;
	AfterTriggerSetState(immediate);
	SetUserIdAndSecContext(user, security);
}

/*
 * Other statements may have run in this transaction before.  Asked before the
 * caller begins a subtransaction, which looks like a block.
 */
bool
warden_sandbox_in_block(void)
{
	return IsTransactionBlock() || (MyXactFlags & XACT_FLAGS_PIPELINING) != 0;
}

/*
 * A table is not altered while triggers on its rows are outstanding; an
 * ordinary script would say SET CONSTRAINTS there, which a change can not.
 */
void
warden_sandbox_settle(Node *stmt, List *names)
{
	ListCell   *cell;

	if (warden_statement_is_dml(stmt) || IsA(stmt, SelectStmt))
		return;

	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);

		if (name->use != WARDEN_USE_READ &&
			name->address.classId == RelationRelationId &&
			OidIsValid(name->address.objectId) &&
			AfterTriggerPendingOnRel(name->address.objectId))
		{
			warden_apply_constraints();
			return;
		}
	}
}

/* Cursors that are open in the session, but for the statement under way. */
static int
count_cursors(void)
{
	int			n;

	Oid			type = TEXTOID;
	Datum		active = CStringGetTextDatum(ActivePortal->name);

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("SELECT FROM pg_catalog.pg_cursor() c"
							  " WHERE c.name OPERATOR(pg_catalog.<>) $1",
							  1, &type, &active, NULL, true,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the cursors");
	n = (int) SPI_processed;
	SPI_finish();
	return n;
}

/* Objects in this backend's schema of temporary ones. */
static int
count_temporary(void)
{
	Oid			namespace;
	Oid			toast;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData keys[2];
	int			n = 0;

	GetTempNamespaceState(&namespace, &toast);
	if (!OidIsValid(namespace))
		return 0;
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(namespace));
	rel = table_open(DependRelationId, AccessShareLock);
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(systable_getnext(scan)))
		n++;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return n;
}

void
warden_sandbox_enter(WardenSandbox *sandbox, Oid role, bool in_block)
{
	GetUserIdAndSecContext(&sandbox->user, &sandbox->security);
	sandbox->temporary = count_temporary();
	sandbox->in_block = in_block;
	/* whoever knows the name of a cursor can fetch from it, or replace it */
	if (count_cursors() > 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("a change can not run in a session with open cursors"),
				 errhint("Close them, then try again.")));
	SetUserIdAndSecContext(role, sandbox->security |
						   SECURITY_LOCAL_USERID_CHANGE);
}

void
warden_sandbox_leave(const WardenSandbox *sandbox)
{
	/* deferred triggers must have fired as the apply role too */
	warden_apply_constraints();
	CommandCounterIncrement();
	if (count_temporary() != sandbox->temporary)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not leave or drop temporary objects"),
				 errhint("Drop in the same change what it makes.")));
	/* outside a block they end with the transaction */
	if (sandbox->in_block && count_cursors() > 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not leave cursors open"),
				 errhint("Close them in the same change.")));
	SetUserIdAndSecContext(sandbox->user, sandbox->security);
}
