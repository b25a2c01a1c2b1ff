/*-------------------------------------------------------------------------
 * pending_preview_guard.c
 *	  While a preview runs, nobody's code runs.
 *
 * Before a statement is executed for a preview its tables are looked at, which
 * others may alter until it takes its locks: a trigger may come to a partition
 * that no row has been routed to yet, or a partition with one be attached.  And
 * the server calls some functions that neither statement nor table names, such
 * as the checks of a domain inside a literal's type, while it analyses them.
 * So the last word is at the call: the server asks before it calls a function
 * that is not built in, and one that could do anything is refused.
 *
 * What is refused here is what a statement is not executed for: functions in
 * SQL and procedural languages, and C functions that are triggers or volatile,
 * as dblink's are, and not on the gate's list.  Other C functions are the
 * operators and input functions of types, which only a superuser can have made.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "function_gate.h"
#include "pending.h"
#include "pending_preview_private.h"
#include "warden.h"

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;

static bool guarding = false;

/* Has it refused a function since it was last asked? */
static bool stopped = false;

void
warden_preview_guard(bool now)
{
	guarding = now;
	stopped = false;
}

bool
warden_preview_guard_stopped(void)
{
	bool		was = stopped;

	stopped = false;
	return was;
}

static bool
may_do_anything(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		may;

	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	if (form->pronamespace == warden_catalog_schema())
		may = false;
	else if (form->prolang == ClanguageId ||
			 form->prolang == INTERNALlanguageId)
		may = (form->prorettype == TRIGGEROID ||
			   form->provolatile == PROVOLATILE_VOLATILE) &&
			!warden_function_gate_allows(function);
	else
		may = true;
	ReleaseSysCache(tuple);
	return may;
}

/* Asked when a call is prepared, which need not come to anything. */
static bool
guard_needs_fmgr_hook(Oid function)
{
	if (unlikely(guarding) && function >= FirstNormalObjectId &&
		may_do_anything(function))
		return true;
	return prev_needs_fmgr_hook != NULL && prev_needs_fmgr_hook(function);
}

static void
guard_fmgr_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	if (event == FHET_START && unlikely(guarding) &&
		flinfo->fn_oid >= FirstNormalObjectId &&
		may_do_anything(flinfo->fn_oid))
	{
		stopped = true;
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("function %s does not run for a preview",
						get_func_name(flinfo->fn_oid)),
				 errhint("Apply the change to see what it does.")));
	}
	if (prev_fmgr_hook != NULL)
		prev_fmgr_hook(event, flinfo, arg);
}

void
warden_preview_guard_init(void)
{
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = guard_needs_fmgr_hook;
	prev_fmgr_hook = fmgr_hook;
	fmgr_hook = guard_fmgr_hook;
}
