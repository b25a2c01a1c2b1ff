/*-------------------------------------------------------------------------
 * pending_who.c
 *	  Who may do what to a change: a person, in a statement of their own, and
 *	  never the one whose change it is.
 *
 * Invariants:
 * - Nobody decides from inside a function, a DO block, a trigger or an apply.
 * - An approval counts for the digest it saw, by person, and only while that
 *	 person may approve.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/portal.h"
#include "utils/syscache.h"

#include "compat.h"
#include "identity.h"
#include "identity_scan.h"
#include "nesting.h"
#include "own_statement.h"
#include "pending.h"
#include "pending_private.h"
#include "principal.h"
#include "review.h"
#include "warden.h"

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

void
warden_pending_refuse_nested(const char *what)
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
		warden_pending_refuse_nested(psprintf("warden.%s()", name));
}

void
warden_pending_require_call(FunctionCallInfo fcinfo, const char *name)
{
	require_person_class();
	if (!portal_calls_procedure(fcinfo->flinfo->fn_oid))
		warden_pending_refuse_nested(psprintf("CALL warden.%s()", name));
}

void
warden_pending_require_write(FunctionCallInfo fcinfo)
{
	require_person_class();
	if (!warden_own_writes(fcinfo))
		warden_pending_refuse_nested("this edit");
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

/* Whoever the role that issued the token was when it proposed, and is now. */
static bool
is_issuer(const WardenChange *change, const char *person)
{
	char	   *then;
	char	   *now;

	if (!OidIsValid(change->token_issuer))
		return false;
	then = warden_capture_issuer(change->context);
	now = warden_identity_person(change->token_issuer);
	return (then != NULL && same_person(then, person)) ||
		(now != NULL && same_person(now, person));
}

/* Why a person may not approve this change, or NULL. */
const char *
warden_pending_approval_bar(const WardenChange *change, const char *person)
{
	if (change->on_behalf_of != NULL &&
		same_person(change->on_behalf_of, person))
		return "It was proposed on behalf of the same person.";
	if (may_be_asserted(change, person))
		return "The person it was proposed for was only asserted, and could have been the same.";
	if (is_issuer(change, person))
		return "The same person issued the token that it was proposed with.";
	return NULL;
}

/* The one person behind the login role, who may approve. */
char *
warden_pending_require_approver(const WardenChange *change)
{
	char	   *person = warden_identity_person(GetSessionUserId());
	const char *bar;

	if (person == NULL)
		warden_pending_refuse(change->id, WARDEN_CHANGE_APPROVED,
							  "The login role is not mapped to exactly one person.",
							  "Ask an administrator to map it with warden.add_person().");
	if (GetSessionUserId() == change->token_issuer)
		warden_pending_refuse(change->id, WARDEN_CHANGE_APPROVED,
							  "The same role issued the token that it was proposed with.",
							  "Ask another reviewer.");
	bar = warden_pending_approval_bar(change, person);
	if (bar != NULL)
		warden_pending_refuse(change->id, WARDEN_CHANGE_APPROVED, bar,
							  "Ask another reviewer: four eyes are needed.");
	return person;
}

/* ---- how many ----------------------------------------------------------- */

/* Columns of warden.approval_rules. */
#define RULE_RISK		1
#define RULE_SCOPE		2
#define RULE_APPROVALS	3

/* Names of risks are compared by their place. */
static int
risk_place(const char *risk)
{
	int			place;

	for (place = WARDEN_RISK_LOW; place < WARDEN_RISK_CRITICAL; place++)
	{
		if (strcmp(warden_review_risk_name(place), risk) == 0)
			break;
	}
	return place;
}

/* The rule is about changes of this risk, and those scopes or all. */
static bool
rule_applies(WardenScan *scan, HeapTuple tuple, const char *risk, List *scopes)
{
	char		least[NAMEDATALEN];
	char	   *scope;
	bool		isnull;
	ListCell   *cell;

	warden_scan_text(scan, tuple, RULE_RISK, least, sizeof(least));
	if (risk_place(least) > risk_place(risk))
		return false;
	scope = TextDatumGetCString(warden_scan_column(scan, tuple, RULE_SCOPE,
												   &isnull));
	if (scope[0] == '\0')
		return true;
	foreach(cell, scopes)
	{
		if (strcmp(scope, lfirst(cell)) == 0)
			return true;
	}
	return false;
}

/*
 * Two where no rule says anything: rules that somebody deleted must not mean
 * that nobody needs to look.
 */
int
warden_pending_required(const char *risk, List *scopes)
{
	WardenScan	scan;
	HeapTuple	tuple;
	int			required = 0;

	if (!warden_scan_begin(&scan, "approval_rules", NULL, 0, NULL))
		elog(ERROR, "could not read the approval rules");
	while (HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		bool		isnull;
		Datum		approvals = warden_scan_column(&scan, tuple,
												   RULE_APPROVALS, &isnull);

		if (rule_applies(&scan, tuple, risk, scopes))
			required = Max(required, DatumGetInt32(approvals));
	}
	warden_scan_end(&scan);
	return required > 0 ? required : 2;
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
		char	   *person = warden_pending_column(i, 1);
		Oid			role = warden_pending_oid_column(i, 2);
		ListCell   *cell;

		if (person == NULL ||
			warden_pending_approval_bar(change, person) != NULL ||
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
