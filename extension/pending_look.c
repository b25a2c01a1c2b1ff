/*-------------------------------------------------------------------------
 * pending_look.c
 *	  Looking at the objects of a change: what of the catalogs could act without
 *	  being named, and a bound on the time that looking may take.
 *
 * Opening a relation waits for whoever alters it.  A review, a recording or an
 * approval must not hang behind a migration of hours, so it waits for a moment
 * and then says what it waited for.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_event_trigger.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "compat.h"
#include "pending.h"
#include "warden.h"

#define LOOK_TIMEOUT_MS		2000

/* ---- waiting ------------------------------------------------------------- */

static void
look_error_callback(void *arg)
{
	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		return;
	errhint("Another session holds a lock on an object of the change: try again when it is done.");
	errcontext("%s", (const char *) arg);
}

void
warden_look_begin(WardenLook *look, const char *what)
{
	look->callback.callback = look_error_callback;
	look->callback.arg = unconstify(char *, what);
	look->callback.previous = error_context_stack;
	error_context_stack = &look->callback;
	look->nest = -1;
	if (LockTimeout > 0 && LockTimeout <= LOOK_TIMEOUT_MS)
		return;
	look->nest = NewGUCNestLevel();
	(void) set_config_option("lock_timeout",
							 psprintf("%d", LOOK_TIMEOUT_MS), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* After an error the end of the transaction takes the setting back. */
void
warden_look_end(WardenLook *look)
{
	error_context_stack = look->callback.previous;
	if (look->nest >= 0)
		AtEOXact_GUC(false, look->nest);
}

/* ---- casts and event triggers -------------------------------------------- */

/* Those that did not come with the server (of WardenCast *). */
List *
warden_look_casts(void)
{
	Relation	rel = table_open(CastRelationId, AccessShareLock);
	List	   *casts = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_cast_oid, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(FirstNormalObjectId));
	scan = systable_beginscan(rel, CastOidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_cast form = (Form_pg_cast) GETSTRUCT(tuple);
		WardenCast *cast = palloc0(sizeof(WardenCast));

		cast->source = form->castsource;
		cast->target = form->casttarget;
		cast->function = form->castfunc;
		cast->state = psprintf("cast %u %u %u %u %c %c\n", form->oid,
							   form->castsource, form->casttarget,
							   form->castfunc, form->castcontext,
							   form->castmethod);
		casts = lappend(casts, cast);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return casts;
}

/* Functions of the event triggers that are on; their state goes to *states. */
List *
warden_look_event_triggers(List **states)
{
	Relation	rel = table_open(EventTriggerRelationId, AccessShareLock);
	List	   *functions = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_event_trigger form = (Form_pg_event_trigger) GETSTRUCT(tuple);

		if (form->evtenabled == 'D')
			continue;
		functions = lappend_oid(functions, form->evtfoid);
		*states = lappend(*states,
						  psprintf("event %u %u %u %c\n", form->oid,
								   HeapTupleHeaderGetRawXmin(tuple->t_data),
								   form->evtfoid, form->evtenabled));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return functions;
}
