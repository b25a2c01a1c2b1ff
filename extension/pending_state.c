/*-------------------------------------------------------------------------
 * pending_state.c
 *	  The states of a pending change, its rows, and the one way to move it.
 *
 *	from		to
 *	proposed	approved rejected withdrawn expired stale applied(break_glass)
 *	approved	applied rejected withdrawn expired stale applying failed
 *	applying	applied unknown approved(nothing was done)
 *	unknown		applied failed
 *
 * Every UPDATE of warden.pending_changes passes the row trigger
 * guard_change() (pending_decide.c): the library's own edits are announced to
 * it here, everything else is a person's decision and is judged as one.
 *
 * Invariants:
 * - Rows of a decided change never change, and no row is ever removed except
 *	 by warden.purge().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "audit_event.h"
#include "pending.h"
#include "pending_private.h"
#include "warden.h"

typedef struct Edge
{
	WardenStatus from;
	WardenStatus to;
} Edge;

static const char *const status_names[] = {
	[WARDEN_CHANGE_PROPOSED] = "proposed",
	[WARDEN_CHANGE_APPROVED] = "approved",
	[WARDEN_CHANGE_REJECTED] = "rejected",
	[WARDEN_CHANGE_WITHDRAWN] = "withdrawn",
	[WARDEN_CHANGE_EXPIRED] = "expired",
	[WARDEN_CHANGE_STALE] = "stale",
	[WARDEN_CHANGE_APPLYING] = "applying",
	[WARDEN_CHANGE_APPLIED] = "applied",
	[WARDEN_CHANGE_UNKNOWN] = "unknown",
	[WARDEN_CHANGE_FAILED] = "failed"
};

static const Edge edges[] = {
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_APPROVED},
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_REJECTED},
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_WITHDRAWN},
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_EXPIRED},
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_STALE},
	{WARDEN_CHANGE_PROPOSED, WARDEN_CHANGE_APPLIED},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_APPLIED},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_REJECTED},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_WITHDRAWN},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_EXPIRED},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_STALE},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_APPLYING},
	{WARDEN_CHANGE_APPROVED, WARDEN_CHANGE_FAILED},
	{WARDEN_CHANGE_APPLYING, WARDEN_CHANGE_APPLIED},
	{WARDEN_CHANGE_APPLYING, WARDEN_CHANGE_UNKNOWN},
	{WARDEN_CHANGE_APPLYING, WARDEN_CHANGE_APPROVED},
	{WARDEN_CHANGE_UNKNOWN, WARDEN_CHANGE_APPLIED},
	{WARDEN_CHANGE_UNKNOWN, WARDEN_CHANGE_FAILED}
};

/* The change that the library's own SQL is updating now, 0 for none. */
static int64 edited_change = 0;

const char *
warden_pending_status_name(WardenStatus status)
{
	return status_names[status];
}

/* False for a name that is none. */
static bool
find_status(const char *name, WardenStatus *status)
{
	int			i;

	for (i = 0; i < (int) lengthof(status_names); i++)
	{
		if (strcmp(status_names[i], name) == 0)
		{
			*status = (WardenStatus) i;
			return true;
		}
	}
	return false;
}

WardenStatus
warden_pending_parse_status(const char *name)
{
	WardenStatus status = WARDEN_CHANGE_PROPOSED;

	if (!find_status(name, &status))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no state of a change", name),
				 errhint("Reviewers set the status to approved or rejected.")));
	return status;
}

bool
warden_pending_is_edge(WardenStatus from, WardenStatus to)
{
	int			i;

	for (i = 0; i < (int) lengthof(edges); i++)
	{
		if (edges[i].from == from && edges[i].to == to)
			return true;
	}
	return false;
}

void
warden_pending_refuse(int64 id, WardenStatus to, const char *detail,
				  const char *hint)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " can not become %s",
					id, status_names[to]),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

void
warden_pending_refuse_missing(int64 id)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " does not exist", id),
			 errhint("List the changes to find its number.")));
}

int64
warden_pending_number(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the number of the change is missing"),
				 errhint("Give the id of the change.")));
	return PG_GETARG_INT64(0);
}

int64
warden_pending_edited(void)
{
	return edited_change;
}

/* ---- rows --------------------------------------------------------------- */

char *
warden_pending_column(int row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						column);
}

static char *
copy_text(MemoryContext context, const char *text)
{
	return text != NULL ? MemoryContextStrdup(context, text) : NULL;
}

Oid
warden_pending_oid_column(int row, int column)
{
	char	   *text = warden_pending_column(row, column);

	return text != NULL ? atooid(text) : InvalidOid;
}

#define LOAD_CHANGE \
	"SELECT CASE WHEN status IN ('proposed', 'approved')" \
	"   AND expires_at OPERATOR(pg_catalog.<=) pg_catalog.statement_timestamp()" \
	"   THEN 'expired' ELSE status END," \
	" agent, on_behalf_of, asserted, token_issuer::pg_catalog.oid," \
	" agent_role::pg_catalog.oid, apply_role::pg_catalog.oid, risk," \
	" statement_count, digest, context::pg_catalog.text," \
	" required_approvals, attempts, status" \
	" FROM warden.pending_changes WHERE id OPERATOR(pg_catalog.=) $1"

bool
warden_pending_load(int64 id, bool lock, MemoryContext context,
					WardenChange *change)
{
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(id);

	if (SPI_execute_with_args(lock ? LOAD_CHANGE " FOR UPDATE" : LOAD_CHANGE,
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a change");
	if (SPI_processed != 1)
		return false;
	memset(change, 0, sizeof(*change));
	change->id = id;
	change->status = warden_pending_parse_status(warden_pending_column(0, 1));
	change->agent = copy_text(context, warden_pending_column(0, 2));
	change->on_behalf_of = copy_text(context, warden_pending_column(0, 3));
	change->asserted = warden_pending_column(0, 4)[0] == 't';
	change->token_issuer = warden_pending_oid_column(0, 5);
	change->agent_role = warden_pending_oid_column(0, 6);
	change->apply_role = warden_pending_oid_column(0, 7);
	change->risk = copy_text(context, warden_pending_column(0, 8));
	change->statement_count = atoi(warden_pending_column(0, 9));
	change->digest = copy_text(context, warden_pending_column(0, 10));
	change->context = copy_text(context, warden_pending_column(0, 11));
	change->required = atoi(warden_pending_column(0, 12));
	change->attempts = atoi(warden_pending_column(0, 13));
	change->stored = warden_pending_parse_status(warden_pending_column(0, 14));
	if (change->stored == WARDEN_CHANGE_APPLYING &&
		!warden_toplevel_running(id))
		change->status = WARDEN_CHANGE_UNKNOWN;
	return true;
}

List *
warden_pending_statements(int64 id, MemoryContext context)
{
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(id);
	List	   *statements = NIL;
	MemoryContext old;
	uint64		i;

	if (SPI_execute_with_args("SELECT ordinal, statement, command,"
							  " objects::pg_catalog.text,"
							  " parameters::pg_catalog.text, expected_rows"
							  " FROM warden.change_statements"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1"
							  " ORDER BY ordinal USING OPERATOR(pg_catalog.<)",
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a change");
	for (i = 0; i < SPI_processed; i++)
	{
		WardenStatement *statement;

		statement = MemoryContextAllocZero(context, sizeof(WardenStatement));
		statement->ordinal = atoi(warden_pending_column(i, 1));
		statement->statement = copy_text(context, warden_pending_column(i, 2));
		statement->command = copy_text(context, warden_pending_column(i, 3));
		statement->objects = copy_text(context, warden_pending_column(i, 4));
		statement->parameters = copy_text(context, warden_pending_column(i, 5));
		statement->expected_rows = strtoll(warden_pending_column(i, 6), NULL,
										   10);
		old = MemoryContextSwitchTo(context);
		statements = lappend(statements, statement);
		MemoryContextSwitchTo(old);
	}
	return statements;
}

Oid
warden_pending_apply_role(const char *agent)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(agent);

	if (SPI_execute_with_args("SELECT apply_role::pg_catalog.oid"
							  " FROM warden.agents"
							  " WHERE agent OPERATOR(pg_catalog.=) $1",
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the agents");
	return SPI_processed == 1 ? warden_pending_oid_column(0, 1) : InvalidOid;
}

char *
warden_pending_digest(const WardenChange *change, List *statements)
{
	char	   *digest;
	ListCell   *cell;

	digest = warden_digest_begin(change,
								 warden_pending_apply_role(change->agent));
	foreach(cell, statements)
		digest = warden_digest_add(digest, lfirst(cell));
	return digest;
}

/* ---- moving ------------------------------------------------------------- */

void
warden_pending_notify(int64 id, WardenStatus status)
{
	Async_Notify(WARDEN_CHANNEL,
				 psprintf("{\"change\":" INT64_FORMAT ",\"status\":\"%s\"}",
						  id, status_names[status]));
}

void
warden_pending_edit(int64 id, const char *sql, int nargs, Oid *types,
					Datum *values, const char *nulls)
{
	int64		outer = edited_change;

	edited_change = id;
	PG_TRY();
	{
		if (SPI_execute_with_args(sql, nargs, types, values, nulls, false,
								  0) != SPI_OK_UPDATE || SPI_processed != 1)
			elog(ERROR, "could not update change " INT64_FORMAT, id);
	}
	PG_FINALLY();
	{
		edited_change = outer;
	}
	PG_END_TRY();
}

void
warden_pending_move(const WardenChange *change, WardenStatus to,
					const char *assignments, const char *action,
					const char *detail)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];

	if (!warden_pending_is_edge(change->status, to))
		warden_pending_refuse(change->id, to,
							  psprintf("It is %s.", status_names[change->status]),
							  "Read its state again.");
	values[0] = Int64GetDatum(change->id);
	values[1] = CStringGetTextDatum(status_names[to]);
	warden_pending_edit(change->id,
						psprintf("UPDATE warden.pending_changes SET status = $2%s"
								 " WHERE id OPERATOR(pg_catalog.=) $1",
								 assignments),
						2, types, values, NULL);
	warden_audit_action(action, change->id, detail);
	warden_pending_notify(change->id, to);
}
