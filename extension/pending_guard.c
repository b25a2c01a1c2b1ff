/*-------------------------------------------------------------------------
 * pending_guard.c
 *	  Triggers that keep what is recorded about changes as it is, and that
 *	  audit edits of the rules.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "compat.h"
#include "audit_event.h"
#include "pending.h"
#include "pending_private.h"
#include "principal.h"
#include "warden.h"

PG_FUNCTION_INFO_V1(warden_sql_guard_record);
Datum
warden_sql_guard_record(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (warden_purge_running() &&
		TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return PointerGetDatum(trigger->tg_trigtuple);
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("what is recorded about a change can not be altered or removed"),
			 errhint("Old changes are removed with warden.purge().")));
}

static void
delete_namesake(void *arg)
{
	TriggerData *trigger = arg;
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	const char *table = RelationGetRelationName(trigger->tg_relation);
	bool		scoped = strcmp(table, "approval_rules") == 0;
	bool		class = strcmp(table, "proposable") == 0;
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];
	bool		isnull[2];

	values[0] = heap_getattr(trigger->tg_trigtuple,
							 SPI_fnumber(desc, scoped ? "risk" :
										 class ? "class" : "rule"),
							 desc, &isnull[0]);
	values[1] = heap_getattr(trigger->tg_trigtuple,
							 SPI_fnumber(desc, scoped ? "scope" :
										 class ? "class" : "rule"),
							 desc, &isnull[1]);
	if (isnull[0] || isnull[1])
		return;					/* NOT NULL will refuse the row */
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(scoped ?
							  "DELETE FROM warden.approval_rules"
							  " WHERE risk OPERATOR(pg_catalog.=) $1"
							  " AND scope OPERATOR(pg_catalog.=) $2" :
							  class ?
							  "DELETE FROM warden.proposable"
							  " WHERE class OPERATOR(pg_catalog.=) $1"
							  " AND class OPERATOR(pg_catalog.=) $2" :
							  "DELETE FROM warden.review_rules"
							  " WHERE rule OPERATOR(pg_catalog.=) $1"
							  " AND rule OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false,
							  0) != SPI_OK_DELETE)
		elog(ERROR, "could not replace a rule");
	SPI_finish();
}

/*
 * Edits of the rules are a person's own statements too.  An inserted rule
 * replaces its namesake, so that a dump restores over what CREATE EXTENSION
 * has put there.
 */
PG_FUNCTION_INFO_V1(warden_sql_guard_rule);
Datum
warden_sql_guard_rule(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	HeapTuple	tuple;
	int			column;
	Datum		changed = BoolGetDatum(true);
	bool		null = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (warden_principal_internal())
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
							   trigger->tg_newtuple : trigger->tg_trigtuple);
	if (!creating_extension)
		warden_pending_require_write(fcinfo);
	desc = RelationGetDescr(trigger->tg_relation);
	warden_audit_action("policy", 0,
						psprintf("%s of %s (%s)",
								 TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ?
								 "delete" : "edit",
								 RelationGetRelationName(trigger->tg_relation),
								 SPI_getvalue(trigger->tg_trigtuple, desc, 1)));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		return PointerGetDatum(trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		warden_principal_run_internal(delete_namesake, trigger);
		tuple = trigger->tg_trigtuple;
	}
	else
		tuple = trigger->tg_newtuple;
	column = SPI_fnumber(desc, "changed");
	return PointerGetDatum(heap_modify_tuple_by_cols(tuple, desc, 1, &column,
													 &changed, &null));
}
