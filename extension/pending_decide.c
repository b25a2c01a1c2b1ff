/*-------------------------------------------------------------------------
 * pending_decide.c
 *	  Decisions of persons about a change.
 *
 * warden.approve() and warden.reject() are an UPDATE of the status with a
 * comment, so there is one place where a decision is taken, the row trigger
 * guard_change(), with the row locked.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "identity.h"
#include "pending.h"
#include "pending_private.h"
#include "principal.h"
#include "warden.h"

/* How long an approved change may wait for its apply. */
#define APPROVED_FOR_US		(INT64CONST(7) * USECS_PER_DAY)

/* A decision under way. */
typedef struct Decision
{
	int64		id;
	WardenStatus to;
	const char *comment;
	const char *digest;			/* NULL: whatever it is */
	WardenStatus status;		/* result */
	int			approvals;		/* result */
} Decision;

typedef struct DecisionJob
{
	Decision   *decision;
	bool		found;
} DecisionJob;

/* The decision that approve() or reject() is putting through, or NULL. */
static Decision *requested_decision = NULL;

/*
 * A person's UPDATE under way, from its statement trigger before to the one
 * after, in this subtransaction; and the rows it has decided.  Another UPDATE
 * in between comes from a function that the first one calls.
 */
static SubTransactionId update_subid = InvalidSubTransactionId;
static int	decided_rows = 0;

static Datum
status_datum(WardenStatus status)
{
	return CStringGetTextDatum(warden_pending_status_name(status));
}

static const char *
is_now(WardenStatus status)
{
	return psprintf("It is %s.", warden_pending_status_name(status));
}

/* What was recorded must still be what would run. */
static void
require_unchanged(const WardenChange *change, Decision *decision,
				  List *statements)
{
	ListCell   *cell;
	int			nest;

	if (list_length(statements) != change->statement_count ||
		strcmp(warden_pending_digest(change, statements),
			   change->digest) != 0)
		warden_pending_refuse(change->id, decision->to,
							  "Its digest no longer follows from its rows, its database and its apply role.",
							  "Have it proposed again.");
	if (decision->digest != NULL &&
		strcmp(decision->digest, change->digest) != 0)
		warden_pending_refuse(change->id, decision->to,
							  "Its digest is not the one that was given.",
							  "Read the change again before deciding.");
	nest = warden_capture_begin(change->context);
	foreach(cell, statements)
	{
		WardenStatement *statement = lfirst(cell);
		char	   *drift = warden_capture_drift(statement, NIL);

		if (drift != NULL)
			warden_pending_refuse(change->id, decision->to,
								  psprintf("It is stale: %s (statement %d).",
										   drift, statement->ordinal),
								  "Have it proposed again.");
	}
	warden_capture_end(nest);
}

static void
insert_review(const WardenChange *change, Decision *decision,
			  const char *person)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[] = "      ";

	values[0] = Int64GetDatum(change->id);
	values[1] = CStringGetTextDatum(decision->to == WARDEN_CHANGE_APPROVED ?
									"approve" : "reject");
	if (person != NULL)
		values[2] = CStringGetTextDatum(person);
	else
		nulls[2] = 'n';
	values[3] = ObjectIdGetDatum(GetSessionUserId());
	if (decision->comment != NULL)
		values[4] = CStringGetTextDatum(decision->comment);
	else
		nulls[4] = 'n';
	values[5] = CStringGetTextDatum(change->digest);
	if (SPI_execute_with_args("INSERT INTO warden.change_reviews (change_id,"
							  " decision, person, role, comment, digest)"
							  " VALUES ($1, $2, $3, $4, $5, $6)",
							  lengthof(types), types, values, nulls, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a decision");
}

static bool
has_approved(const WardenChange *change, const char *person)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[3];

	values[0] = Int64GetDatum(change->id);
	values[1] = CStringGetTextDatum(change->digest);
	values[2] = CStringGetTextDatum(person);
	if (SPI_execute_with_args("SELECT FROM warden.change_reviews"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1"
							  " AND digest OPERATOR(pg_catalog.=) $2"
							  " AND pg_catalog.lower(person)"
							  " OPERATOR(pg_catalog.=) pg_catalog.lower($3)"
							  " AND decision OPERATOR(pg_catalog.=) 'approve'",
							  3, types, values, NULL, false,
							  1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the reviews");
	return SPI_processed > 0;
}

static void
decide_approve(WardenChange *change, Decision *decision)
{
	List	   *statements;
	List	   *scopes = NIL;
	ListCell   *cell;
	char	   *person;
	int			required;

	if (change->status != WARDEN_CHANGE_PROPOSED)
		warden_pending_refuse(change->id, decision->to,
							  is_now(change->status),
							  change->status == WARDEN_CHANGE_APPROVED ?
							  "It needs no further approval; CALL warden.apply() runs it." :
							  "Only a proposed change can be approved; have it proposed again.");
	person = warden_pending_require_approver(change);
	if (has_approved(change, person))
		warden_pending_refuse(change->id, decision->to,
							  "The same person has approved it already.",
							  "Ask another reviewer.");
	statements = warden_pending_statements(change->id, CurrentMemoryContext);
	require_unchanged(change, decision, statements);
	foreach(cell, statements)
		scopes = warden_capture_scopes(((WardenStatement *)
										lfirst(cell))->objects, scopes);
	required = Max(change->required,
				   warden_pending_required(change->risk, scopes));
	insert_review(change, decision, person);
	decision->approvals = warden_pending_approvals(change);
	decision->status = decision->approvals >= required ?
		WARDEN_CHANGE_APPROVED : WARDEN_CHANGE_PROPOSED;
	warden_audit_action("approved", change->id,
						psprintf("%d of %d approvals, digest %s",
								 decision->approvals, required,
								 change->digest));
}

static void
decide_reject(WardenChange *change, Decision *decision)
{
	if (change->status != WARDEN_CHANGE_PROPOSED &&
		change->status != WARDEN_CHANGE_APPROVED)
		warden_pending_refuse(change->id, decision->to,
							  is_now(change->status),
							  "Only a proposed or approved change can be rejected.");
	insert_review(change, decision,
				  warden_identity_person(GetSessionUserId()));
	decision->status = WARDEN_CHANGE_REJECTED;
	decision->approvals = warden_pending_approvals(change);
	warden_audit_action("rejected", change->id, decision->comment);
}

/* Judges a decision; the row is locked by the UPDATE that asks. */
static void
decide_internally(void *arg)
{
	Decision   *decision = arg;
	WardenChange change;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (!warden_pending_load(decision->id, false, CurrentMemoryContext,
							 &change))
		warden_pending_refuse_missing(decision->id);
	switch (decision->to)
	{
		case WARDEN_CHANGE_APPROVED:
			decide_approve(&change, decision);
			break;
		case WARDEN_CHANGE_REJECTED:
			decide_reject(&change, decision);
			break;
		case WARDEN_CHANGE_APPLIED:
			warden_pending_refuse(decision->id, decision->to,
								  "A state alone applies nothing.",
								  "CALL warden.apply() runs an approved change.");
			break;
		default:
			warden_pending_refuse(decision->id, decision->to,
								  is_now(change.status),
								  "Reviewers approve or reject.");
	}
	SPI_finish();
	warden_pending_notify(decision->id, decision->status);
}

/* ---- triggers ----------------------------------------------------------- */

/* Refuses an UPDATE that touches any column but status. */
static void
require_only_status(TriggerData *trigger, int64 id)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	int			status = SPI_fnumber(desc, "status");
	int			i;

	for (i = 1; i <= desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i - 1);
		bool		old_null;
		bool		new_null;
		Datum		old_value;
		Datum		new_value;

		if (i == status || att->attisdropped)
			continue;
		old_value = heap_getattr(trigger->tg_trigtuple, i, desc, &old_null);
		new_value = heap_getattr(trigger->tg_newtuple, i, desc, &new_null);
		if (old_null != new_null ||
			(!old_null && !datumIsEqual(old_value, new_value, att->attbyval,
										att->attlen)))
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_TRANSITION),
					 errmsg("column \"%s\" of change " INT64_FORMAT " can not be changed",
							NameStr(att->attname), id),
					 errhint("Only the status can be set, to approved or rejected.")));
	}
}

static WardenStatus
tuple_status(TriggerData *trigger, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	char	   *status = SPI_getvalue(tuple, desc, SPI_fnumber(desc, "status"));

	return warden_pending_parse_status(status != NULL ? status : "");
}

/* The new row with the outcome of the decision in it. */
static HeapTuple
decided_tuple(TriggerData *trigger, Decision *decision)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	int			columns[4];
	Datum		values[4];
	bool		nulls[4] = {false, false, false, false};
	int			n = 2;

	columns[0] = SPI_fnumber(desc, "status");
	values[0] = status_datum(decision->status);
	columns[1] = SPI_fnumber(desc, "approvals");
	values[1] = Int32GetDatum(decision->approvals);
	if (decision->status != WARDEN_CHANGE_PROPOSED)
	{
		columns[n] = SPI_fnumber(desc, "decided_at");
		values[n++] = TimestampTzGetDatum(now);
	}
	if (decision->status == WARDEN_CHANGE_APPROVED)
	{
		columns[n] = SPI_fnumber(desc, "expires_at");
		values[n++] = TimestampTzGetDatum(now + APPROVED_FOR_US);
	}
	return heap_modify_tuple_by_cols(trigger->tg_newtuple, desc, n, columns,
									 values, nulls);
}

/* An UPDATE that a person sent. */
static HeapTuple
decide_update(FunctionCallInfo fcinfo, int64 id)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Decision	decision = {0};

	require_only_status(trigger, id);
	if (requested_decision != NULL && requested_decision->id == id)
	{
		warden_principal_run_internal(decide_internally, requested_decision);
		return decided_tuple(trigger, requested_decision);
	}
	warden_pending_require_write(fcinfo);
	warden_pending_require_reviewer();
	if (decided_rows++ > 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("only one change can be decided about at a time"),
				 errhint("Name one id in the WHERE clause.")));
	decision.id = id;
	decision.to = tuple_status(trigger, trigger->tg_newtuple);
	warden_principal_run_internal(decide_internally, &decision);
	return decided_tuple(trigger, &decision);
}

static void
bracket_update(bool begins)
{
	if (begins && update_subid != InvalidSubTransactionId)
		warden_pending_refuse_nested("an UPDATE of changes");
	update_subid = begins ? GetCurrentSubTransactionId() :
		InvalidSubTransactionId;
	decided_rows = 0;
}

PG_FUNCTION_INFO_V1(warden_sql_guard_change);
Datum
warden_sql_guard_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	bool		isnull;
	int64		id;
	WardenStatus from;
	WardenStatus to;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		if (warden_pending_edited() == 0 && requested_decision == NULL)
			bracket_update(TRIGGER_FIRED_BEFORE(trigger->tg_event));
		return PointerGetDatum(NULL);
	}
	desc = RelationGetDescr(trigger->tg_relation);
	id = DatumGetInt64(heap_getattr(trigger->tg_trigtuple,
									SPI_fnumber(desc, "id"), desc, &isnull));
	if (warden_pending_edited() != id)
		return PointerGetDatum(decide_update(fcinfo, id));

	from = tuple_status(trigger, trigger->tg_trigtuple);
	to = tuple_status(trigger, trigger->tg_newtuple);
	if (from != to && !warden_pending_is_edge(from, to))
		elog(ERROR, "illegal transition of change " INT64_FORMAT
			 " from %s to %s", id, warden_pending_status_name(from), warden_pending_status_name(to));
	return PointerGetDatum(trigger->tg_newtuple);
}

/* ---- SQL functions ------------------------------------------------------ */

static void
update_status_internally(void *arg)
{
	DecisionJob *job = arg;
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	values[0] = Int64GetDatum(job->decision->id);
	values[1] = status_datum(job->decision->to);
	if (SPI_execute_with_args("UPDATE warden.pending_changes SET status = $2"
							  " WHERE id OPERATOR(pg_catalog.=) $1",
							  2, types, values, NULL, false,
							  0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update a change");
	job->found = SPI_processed == 1;
	SPI_finish();
}

static void
put_decision_through(Decision *decision)
{
	DecisionJob job = {decision, false};

	requested_decision = decision;
	PG_TRY();
	{
		warden_principal_run_internal(update_status_internally, &job);
	}
	PG_FINALLY();
	{
		requested_decision = NULL;
	}
	PG_END_TRY();
	if (!job.found)
		warden_pending_refuse_missing(decision->id);
}

PG_FUNCTION_INFO_V1(warden_sql_approve);
Datum
warden_sql_approve(PG_FUNCTION_ARGS)
{
	Decision	decision = {0};

	decision.id = warden_pending_number(fcinfo);
	warden_pending_require_select(fcinfo, "approve");
	warden_pending_require_reviewer();
	decision.to = WARDEN_CHANGE_APPROVED;
	if (!PG_ARGISNULL(1))
		decision.comment = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		decision.digest = text_to_cstring(PG_GETARG_TEXT_PP(2));
	put_decision_through(&decision);
	PG_RETURN_DATUM(status_datum(decision.status));
}

PG_FUNCTION_INFO_V1(warden_sql_reject);
Datum
warden_sql_reject(PG_FUNCTION_ARGS)
{
	Decision	decision = {0};

	decision.id = warden_pending_number(fcinfo);
	warden_pending_require_select(fcinfo, "reject");
	warden_pending_require_reviewer();
	decision.to = WARDEN_CHANGE_REJECTED;
	if (!PG_ARGISNULL(1))
		decision.comment = text_to_cstring(PG_GETARG_TEXT_PP(1));
	put_decision_through(&decision);
	PG_RETURN_VOID();
}

/* ---- transactions ------------------------------------------------------- */

static void
state_xact_callback(XactEvent event pg_attribute_unused(),
					void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		update_subid = InvalidSubTransactionId;
}

static void
state_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
					   SubTransactionId parentSubid,
					   void *arg pg_attribute_unused())
{
	if (update_subid != mySubid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		update_subid = InvalidSubTransactionId;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		update_subid = parentSubid;
}

void
warden_pending_state_init(void)
{
	RegisterXactCallback(state_xact_callback, NULL);
	RegisterSubXactCallback(state_subxact_callback, NULL);
}
