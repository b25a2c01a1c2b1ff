/*-------------------------------------------------------------------------
 * pending_sandbox.c
 *	  Where a change runs: as its apply role, on a connection that is somebody
 *	  else's, to whom nothing of it may stay.
 *
 * Invariants:
 * - Core's security-restricted operation refuses what outlives a transaction
 *	 or runs at its end: held cursors, prepared statements, LISTEN, temporary
 *	 tables, DISCARD, and deferred triggers.  So that tables with deferrable
 *	 constraints can be written, all constraints are immediate.
 * - What core lets through is refused here: session locks, and other objects
 *	 in the schema for temporary ones, which names are looked up in first.
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
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "catalog.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"

/* They take or give back locks that last as long as the session. */
static const Oid session_lock_functions[] = {
	F_PG_ADVISORY_LOCK_INT8,
	F_PG_ADVISORY_LOCK_INT4_INT4,
	F_PG_ADVISORY_LOCK_SHARED_INT8,
	F_PG_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_INT8,
	F_PG_TRY_ADVISORY_LOCK_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT8,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_INT8,
	F_PG_ADVISORY_UNLOCK_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_SHARED_INT8,
	F_PG_ADVISORY_UNLOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_ALL
};

static bool running = false;

bool
warden_apply_running(void)
{
	return running;
}

void
warden_apply_set_running(bool now)
{
	running = now;
}

void
warden_apply_check_function(Oid function)
{
	int			i;

	for (i = 0; i < (int) lengthof(session_lock_functions); i++)
	{
		if (function == session_lock_functions[i])
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("a change can not take or release session locks"),
					 errhint("Use pg_advisory_xact_lock(), which ends with the change.")));
	}
}

/* Through a function with its owner's rights, say. */
void
warden_apply_check_writes(List *rangeTable, List *permInfos)
{
	ListCell   *cell;

	if (warden_principal_internal())
		return;
	foreach(cell, rangeTable)
	{
		RangeTblEntry *rte = lfirst(cell);
		WardenPerms *perms;

		if (rte->rtekind != RTE_RELATION)
			continue;
		perms = warden_rte_perms(permInfos, rte);
		if (perms != NULL &&
			(perms->requiredPerms & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)) &&
			get_rel_namespace(rte->relid) == warden_catalog_schema())
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("a change can not write schema \"%s\"",
							WARDEN_SCHEMA),
					 errhint("An administrator makes policy in statements of their own.")));
	}
}

/* Everything that was deferred happens now. */
void
warden_apply_constraints(void)
{
	ConstraintsSetStmt *immediate = makeNode(ConstraintsSetStmt);

	immediate->deferred = false;
	AfterTriggerSetState(immediate);
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
warden_sandbox_enter(WardenSandbox *sandbox, Oid role)
{
	GetUserIdAndSecContext(&sandbox->user, &sandbox->security);
	sandbox->temporary = count_temporary();
	SetUserIdAndSecContext(role, sandbox->security |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
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
				 errhint("Make them in an ordinary schema and drop them in the same change.")));
	SetUserIdAndSecContext(sandbox->user, sandbox->security);
}

bool
warden_sandbox_relax(Node *stmt, int *security)
{
	Oid			user;

	GetUserIdAndSecContext(&user, security);
	if (!IsA(stmt, RefreshMatViewStmt) ||
		!((RefreshMatViewStmt *) stmt)->concurrent)
		return false;
	SetUserIdAndSecContext(user, *security & ~SECURITY_RESTRICTED_OPERATION);
	return true;
}

void
warden_sandbox_restrict(int security)
{
	SetUserIdAndSecContext(GetUserId(), security);
}
