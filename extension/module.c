/*-------------------------------------------------------------------------
 * module.c
 *	  Entry point of the library: refuses to load wrong, and initializes the
 *	  modules in their order.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "execution.h"
#include "failure.h"
#include "function_gate.h"
#include "guc.h"
#include "hooks.h"
#include "identity.h"
#include "label.h"
#include "pending.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s must be loaded via shared_preload_libraries",
						WARDEN_EXTENSION),
				 errhint("Add %s to shared_preload_libraries in postgresql.conf and restart the server.",
						 WARDEN_EXTENSION)));

	/* pg_upgrade restores labels: they need the provider, and no checks. */
	warden_label_init();
	if (IsBinaryUpgrade)
		return;
	warden_guc_init();
	warden_catalog_init();
	warden_principal_init();
	warden_identity_init();
	warden_policy_init();
	warden_function_gate_init();
	warden_audit_init();
	warden_pending_init();
	warden_execution_init();
	warden_failure_init();
	warden_hooks_init();
	MarkGUCPrefixReserved(WARDEN_SCHEMA);
}
