/*-------------------------------------------------------------------------
 * pending_state.c
 *	  The state machine of a pending change, and who may move it.
 *
 * Every UPDATE of warden.pending_changes passes the row trigger
 * guard_change(): the library's own edits are announced to it, everything
 * else is a person's decision and is judged as one.  warden.approve() and
 * warden.reject() are such an UPDATE with a comment, so there is one place
 * where a decision is taken, with the row locked.
 *
 *	from		to
 *	proposed	approved rejected withdrawn expired stale applied(break_glass)
 *	approved	applied rejected withdrawn expired stale applying failed
 *	applying	applied unknown approved(nothing was done)
 *	unknown		applied failed
 *
 * Invariants:
 * - Rows of a decided change never change, and no row is ever removed except
 *	 by warden.purge().
 * - An approval counts for the digest it saw, by person, and only while that
 *	 person may approve.
 * - Nobody approves from inside a function, a DO block, a trigger or an apply.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/formatting.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "identity.h"
#include "nesting.h"
#include "own_statement.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"

/* How long an approved change may wait for its apply. */
#define APPROVED_FOR_US		(INT64CONST(7) * USECS_PER_DAY)

typedef struct Edge
{
	WardenStatus from;
	WardenStatus to;
} Edge;

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

/* The decision that approve() or reject() is putting through, or NULL. */
static Decision *requested_decision = NULL;

/*
 * A person's UPDATE under way, from its statement trigger before to the one
 * after, in this subtransaction; and the rows it has decided.  Another UPDATE
 * in between comes from a function that the first one calls.
 */
static SubTransactionId update_subid = InvalidSubTransactionId;
static int	decided_rows = 0;

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

static WardenStatus
parse_status(const char *name)
{
	WardenStatus status = WARDEN_CHANGE_PROPOSED;

	if (!find_status(name, &status))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no state of a change", name),
				 errhint("Reviewers set the status to approved or rejected.")));
	return status;
}

static bool
is_legal(WardenStatus from, WardenStatus to)
{
	int			i;

	for (i = 0; i < (int) lengthof(edges); i++)
	{
		if (edges[i].from == from && edges[i].to == to)
			return true;
	}
	return false;
}

static void
refuse_transition(int64 id, WardenStatus to, const char *detail,
				  const char *hint)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " can not become %s",
					id, status_names[to]),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

static void
refuse_missing(int64 id)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("change " INT64_FORMAT " does not exist", id),
			 errhint("List the changes to find its number.")));
}

/* ---- who ---------------------------------------------------------------- */

/* The client's statement is CALL of that procedure. */
static bool
portal_calls_procedure(Oid procedure)
{
	PlannedStmt *pstmt;

	if (!warden_own_portal() || list_length(ActivePortal->stmts) != 1)
		return false;
	pstmt = linitial_node(PlannedStmt, ActivePortal->stmts);
	return pstmt->utilityStmt != NULL &&
		IsA(pstmt->utilityStmt, CallStmt) &&
		((CallStmt *) pstmt->utilityStmt)->funcexpr->funcid == procedure;
}

static void
require_person_class(void)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class != WARDEN_CLASS_NONE &&
		principal->class != WARDEN_CLASS_MASKED)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("agents do not decide about changes"),
				 errhint("A person who reviews changes decides; wait for the decision.")));
	if (warden_apply_running())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("a change can not decide about changes"),
				 errhint("Decide in a statement of your own.")));
}

static void
refuse_nested(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("%s must be a statement of its own", what),
			 errhint("Send it by itself, not from a function, DO block, trigger or prepared statement.")));
}

void
warden_pending_require_select(FunctionCallInfo fcinfo, const char *name)
{
	require_person_class();
	warden_nesting_require_toplevel(fcinfo, name, WARDEN_ERRCODE_TRANSITION);
	if (!warden_own_portal())
		refuse_nested(psprintf("warden.%s()", name));
}

void
warden_pending_require_call(FunctionCallInfo fcinfo, const char *name)
{
	require_person_class();
	if (!portal_calls_procedure(fcinfo->flinfo->fn_oid))
		refuse_nested(psprintf("CALL warden.%s()", name));
}

static void
require_write(FunctionCallInfo fcinfo)
{
	require_person_class();
	if (!warden_own_writes(fcinfo))
		refuse_nested("this edit");
}

/* Superusers are held to the rules on persons, not to a membership. */
static bool
is_reviewer(Oid role)
{
	return superuser_arg(role) ||
		warden_principal_is_member(role, WARDEN_ROLE_REVIEWER);
}

void
warden_pending_require_reviewer(void)
{
	if (!is_reviewer(GetSessionUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a reviewer decides about changes"),
				 errhint("Ask for membership of the role \"%s\".",
						 WARDEN_ROLE_REVIEWER)));
}

void
warden_pending_require_admin(void)
{
	if (!superuser_arg(GetSessionUserId()) &&
		!warden_principal_is_member(GetSessionUserId(), WARDEN_ROLE_ADMIN))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only an administrator may do that to changes"),
				 errhint("Ask for membership of the role \"%s\".",
						 WARDEN_ROLE_ADMIN)));
}

/* As lower() in SQL has it. */
static bool
same_person(const char *a, const char *b)
{
	a = str_tolower(a, strlen(a), DEFAULT_COLLATION_OID);
	b = str_tolower(b, strlen(b), DEFAULT_COLLATION_OID);
	return strcmp(a, b) == 0;
}

/* Delegations as they were, and as they are now. */
static bool
may_be_asserted(const WardenChange *change, const char *person)
{
	return change->asserted &&
		(warden_identity_may_be(warden_capture_delegations(change->context),
								person) ||
		 warden_identity_may_be(warden_identity_delegations(change->agent),
								person));
}

/* Why a person may not approve this change, or NULL. */
static const char *
approval_bar(const WardenChange *change, const char *person)
{
	char	   *issuer;

	if (change->on_behalf_of != NULL &&
		same_person(change->on_behalf_of, person))
		return "It was proposed on behalf of the same person.";
	if (may_be_asserted(change, person))
		return "The person it was proposed for was only asserted, and could have been the same.";
	if (OidIsValid(change->token_issuer))
	{
		issuer = warden_identity_person(change->token_issuer);
		if (issuer != NULL && same_person(issuer, person))
			return "The same person issued the token that it was proposed with.";
	}
	return NULL;
}

/* The one person behind the login role, who may approve. */
static char *
require_approver(const WardenChange *change)
{
	char	   *person = warden_identity_person(GetSessionUserId());
	const char *bar;

	if (person == NULL)
		refuse_transition(change->id, WARDEN_CHANGE_APPROVED,
						  "The login role is not mapped to exactly one person.",
						  "Ask an administrator to map it with warden.add_person().");
	if (GetSessionUserId() == change->token_issuer)
		refuse_transition(change->id, WARDEN_CHANGE_APPROVED,
						  "The same role issued the token that it was proposed with.",
						  "Ask another reviewer.");
	bar = approval_bar(change, person);
	if (bar != NULL)
		refuse_transition(change->id, WARDEN_CHANGE_APPROVED, bar,
						  "Ask another reviewer: four eyes are needed.");
	return person;
}

/* ---- rows --------------------------------------------------------------- */

static char *
column_text(int row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						column);
}

static char *
copy_text(MemoryContext context, const char *text)
{
	return text != NULL ? MemoryContextStrdup(context, text) : NULL;
}

static Oid
column_oid(int row, int column)
{
	char	   *text = column_text(row, column);

	return text != NULL ? atooid(text) : InvalidOid;
}

#define LOAD_CHANGE \
	"SELECT CASE WHEN status IN ('proposed', 'approved')" \
	"   AND expires_at OPERATOR(pg_catalog.<=) pg_catalog.now()" \
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
	change->status = parse_status(column_text(0, 1));
	change->agent = copy_text(context, column_text(0, 2));
	change->on_behalf_of = copy_text(context, column_text(0, 3));
	change->asserted = column_text(0, 4)[0] == 't';
	change->token_issuer = column_oid(0, 5);
	change->agent_role = column_oid(0, 6);
	change->apply_role = column_oid(0, 7);
	change->risk = copy_text(context, column_text(0, 8));
	change->statement_count = atoi(column_text(0, 9));
	change->digest = copy_text(context, column_text(0, 10));
	change->context = copy_text(context, column_text(0, 11));
	change->required = atoi(column_text(0, 12));
	change->attempts = atoi(column_text(0, 13));
	change->stored = parse_status(column_text(0, 14));
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
		statement->ordinal = atoi(column_text(i, 1));
		statement->statement = copy_text(context, column_text(i, 2));
		statement->command = copy_text(context, column_text(i, 3));
		statement->objects = copy_text(context, column_text(i, 4));
		statement->parameters = copy_text(context, column_text(i, 5));
		statement->expected_rows = strtoll(column_text(i, 6), NULL, 10);
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
	return SPI_processed == 1 ? column_oid(0, 1) : InvalidOid;
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

static Datum
text_array(List *texts)
{
	Datum	   *elements = palloc((list_length(texts) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, texts)
		elements[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * Two where no rule says anything: rules that somebody deleted must not mean
 * that nobody needs to look.
 */
int
warden_pending_required(const char *risk, List *scopes)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2];
	char	   *text;

	if (plan == NULL)
	{
		SPIPlanPtr	made;

		made = SPI_prepare_cursor("SELECT pg_catalog.max(approvals)"
						   " FROM warden.approval_rules WHERE"
						   " pg_catalog.array_position(ARRAY['low', 'moderate',"
						   "  'high', 'critical'], risk) OPERATOR(pg_catalog.<=)"
						   " pg_catalog.array_position(ARRAY['low', 'moderate',"
						   "  'high', 'critical'], $1)"
						   " AND (scope OPERATOR(pg_catalog.=) ''"
						   " OR scope OPERATOR(pg_catalog.=) ANY ($2))",
						   2, types, CURSOR_OPT_GENERIC_PLAN);
		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not read the approval rules");
		plan = made;
	}
	values[0] = CStringGetTextDatum(risk);
	values[1] = text_array(scopes);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the approval rules");
	text = column_text(0, 1);
	return text != NULL ? Max(atoi(text), 1) : 2;
}

int
warden_pending_approvals(const WardenChange *change)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];
	List	   *persons = NIL;
	uint64		i;

	values[0] = Int64GetDatum(change->id);
	values[1] = CStringGetTextDatum(change->digest);
	if (SPI_execute_with_args("SELECT person, role::pg_catalog.oid"
							  " FROM warden.change_reviews"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1"
							  " AND digest OPERATOR(pg_catalog.=) $2"
							  " AND decision OPERATOR(pg_catalog.=) 'approve'"
							  " ORDER BY id USING OPERATOR(pg_catalog.<)",
							  2, types, values, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the reviews");
	for (i = 0; i < SPI_processed; i++)
	{
		char	   *person = column_text(i, 1);
		Oid			role = column_oid(i, 2);
		ListCell   *cell;

		if (person == NULL || approval_bar(change, person) != NULL ||
			role == change->token_issuer ||
			!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)) ||
			!is_reviewer(role))
			continue;
		foreach(cell, persons)
		{
			if (same_person(lfirst(cell), person))
				break;
		}
		if (cell == NULL)
			persons = lappend(persons, person);
	}
	return list_length(persons);
}

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

	if (!is_legal(change->status, to))
		refuse_transition(change->id, to,
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

/* ---- decisions ---------------------------------------------------------- */

/* What was recorded must still be what would run. */
static void
require_unchanged(const WardenChange *change, Decision *decision,
				  List *statements)
{
	ListCell   *cell;

	if (list_length(statements) != change->statement_count ||
		strcmp(warden_pending_digest(change, statements),
			   change->digest) != 0)
		refuse_transition(change->id, decision->to,
						  "Its digest no longer follows from its rows, its database and its apply role.",
						  "Have it proposed again.");
	if (decision->digest != NULL &&
		strcmp(decision->digest, change->digest) != 0)
		refuse_transition(change->id, decision->to,
						  "Its digest is not the one that was given.",
						  "Read the change again before deciding.");
	foreach(cell, statements)
	{
		WardenStatement *statement = lfirst(cell);
		char	   *drift = warden_capture_drift(statement, NIL);

		if (drift != NULL)
			refuse_transition(change->id, decision->to,
							  psprintf("It is stale: %s (statement %d).",
									   drift, statement->ordinal),
							  "Have it proposed again.");
	}
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
		refuse_transition(change->id, decision->to,
						  psprintf("It is %s.", status_names[change->status]),
						  change->status == WARDEN_CHANGE_APPROVED ?
						  "It needs no further approval; CALL warden.apply() runs it." :
						  "Only a proposed change can be approved; have it proposed again.");
	person = require_approver(change);
	if (has_approved(change, person))
		refuse_transition(change->id, decision->to,
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
		refuse_transition(change->id, decision->to,
						  psprintf("It is %s.", status_names[change->status]),
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
		refuse_missing(decision->id);
	switch (decision->to)
	{
		case WARDEN_CHANGE_APPROVED:
			decide_approve(&change, decision);
			break;
		case WARDEN_CHANGE_REJECTED:
			decide_reject(&change, decision);
			break;
		case WARDEN_CHANGE_APPLIED:
			refuse_transition(decision->id, decision->to,
							  "A state alone applies nothing.",
							  "CALL warden.apply() runs an approved change.");
			break;
		default:
			refuse_transition(decision->id, decision->to,
							  psprintf("It is %s.",
									   status_names[change.status]),
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

	return parse_status(SPI_getvalue(tuple, desc,
									 SPI_fnumber(desc, "status")));
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
	values[0] = CStringGetTextDatum(status_names[decision->status]);
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
	require_write(fcinfo);
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
		refuse_nested("an UPDATE of changes");
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
		if (edited_change == 0 && requested_decision == NULL)
			bracket_update(TRIGGER_FIRED_BEFORE(trigger->tg_event));
		return PointerGetDatum(NULL);
	}
	desc = RelationGetDescr(trigger->tg_relation);
	id = DatumGetInt64(heap_getattr(trigger->tg_trigtuple,
									SPI_fnumber(desc, "id"), desc, &isnull));
	if (edited_change != id)
		return PointerGetDatum(decide_update(fcinfo, id));

	from = tuple_status(trigger, trigger->tg_trigtuple);
	to = tuple_status(trigger, trigger->tg_newtuple);
	if (from != to && !is_legal(from, to))
		elog(ERROR, "illegal transition of change " INT64_FORMAT
			 " from %s to %s", id, status_names[from], status_names[to]);
	return PointerGetDatum(trigger->tg_newtuple);
}

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
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[2];
	bool		isnull;

	values[0] = heap_getattr(trigger->tg_trigtuple,
							 SPI_fnumber(desc, scoped ? "risk" : "rule"),
							 desc, &isnull);
	values[1] = scoped ? heap_getattr(trigger->tg_trigtuple,
									  SPI_fnumber(desc, "scope"), desc,
									  &isnull) : values[0];
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args(scoped ?
							  "DELETE FROM warden.approval_rules"
							  " WHERE risk OPERATOR(pg_catalog.=) $1"
							  " AND scope OPERATOR(pg_catalog.=) $2" :
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
		require_write(fcinfo);
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
	values[1] = CStringGetTextDatum(status_names[job->decision->to]);
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
		refuse_missing(decision->id);
}

static void
require_argument(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the number of the change is missing"),
				 errhint("Give the id of the change.")));
}

PG_FUNCTION_INFO_V1(warden_sql_approve);
Datum
warden_sql_approve(PG_FUNCTION_ARGS)
{
	Decision	decision = {0};

	require_argument(fcinfo, 0);
	warden_pending_require_select(fcinfo, "approve");
	warden_pending_require_reviewer();
	decision.id = PG_GETARG_INT64(0);
	decision.to = WARDEN_CHANGE_APPROVED;
	if (!PG_ARGISNULL(1))
		decision.comment = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!PG_ARGISNULL(2))
		decision.digest = text_to_cstring(PG_GETARG_TEXT_PP(2));
	put_decision_through(&decision);
	PG_RETURN_TEXT_P(cstring_to_text(status_names[decision.status]));
}

PG_FUNCTION_INFO_V1(warden_sql_reject);
Datum
warden_sql_reject(PG_FUNCTION_ARGS)
{
	Decision	decision = {0};

	require_argument(fcinfo, 0);
	warden_pending_require_select(fcinfo, "reject");
	warden_pending_require_reviewer();
	decision.id = PG_GETARG_INT64(0);
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
