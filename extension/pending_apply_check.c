/*-------------------------------------------------------------------------
 * pending_apply_check.c
 *	  May a change be applied, by this caller, now?
 *
 * Invariants:
 * - Everything is checked again under the lock on the row of the change:
 *	 state, expiry, digest, objects, approvals, rules, apply role.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/seclabel.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/sinval.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending.h"
#include "pending_apply_private.h"
#include "principal.h"
#include "review.h"
#include "statement.h"
#include "warden.h"

static bool
refuse(ApplyJob *job, const char *refusal, const char *hint)
{
	job->refusal = MemoryContextStrdup(job->context, refusal);
	job->hint = hint;
	return false;
}

static bool
is_group_member(Oid role)
{
	return warden_principal_is_member(role, WARDEN_ROLE_ADMIN) ||
		warden_principal_is_member(role, WARDEN_ROLE_REVIEWER) ||
		warden_principal_is_member(role, WARDEN_ROLE_GATEWAY) ||
		warden_principal_is_member(role, WARDEN_ROLE_REFRESHER);
}

/* An agent could become the apply role, and its changes need no approval. */
static bool
agent_is_member(Oid role)
{
	uint64		i;

	if (SPI_execute("SELECT role::pg_catalog.oid FROM warden.agents", true,
					0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the agents");
	for (i = 0; i < SPI_processed; i++)
	{
		char	   *agent = SPI_getvalue(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1);

		if (agent != NULL &&
			is_member_of_role_nosuper(atooid(agent), role))
			return true;
	}
	return false;
}

const char *
warden_apply_role_bar(const char *agent, Oid *apply_role, const char **hint)
{
	Oid			role = warden_pending_apply_role(agent);
	const char *bar;
	ObjectAddress address;

	*apply_role = role;
	*hint = "Set apply_role in warden.agents, then have it proposed again.";
	if (!OidIsValid(role) ||
		!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return "its agent has no apply role";
	ObjectAddressSet(address, AuthIdRelationId, role);
	*hint = "Give the agent an apply role with the rights it needs and no more.";
	if (superuser_arg(role))
		return "its apply role is a superuser";
	bar = warden_principal_agent_bar(role);
	if (bar != NULL)
		return psprintf("its apply role can not be one because %s", bar);
	if (GetSecurityLabel(&address, WARDEN_PROVIDER) != NULL ||
		is_group_member(role))
		return "its apply role carries a label or belongs to a role of pg_warden";
	*hint = "Revoke the membership: an apply role is for people.";
	if (agent_is_member(role))
		return "an agent is a member of its apply role";
	*hint = "Approval is no privilege: ask a reviewer who is a member of that role.";
	if (!is_member_of_role(GetSessionUserId(), role))
		return "the caller is not a member of its apply role";
	return NULL;
}

static bool
check_apply_role(ApplyJob *job)
{
	const char *hint;
	const char *bar = warden_apply_role_bar(job->change.agent,
											&job->apply_role, &hint);

	return bar == NULL || refuse(job, bar, hint);
}

static bool
check_approvals(ApplyJob *job)
{
	WardenChange *change = &job->change;
	List	   *scopes = NIL;
	ListCell   *cell;
	int			approvals;
	int			required;

	foreach(cell, job->statements)
		scopes = warden_capture_scopes(((WardenStatement *)
										lfirst(cell))->objects, scopes);
	required = Max(change->required,
				   warden_pending_required(change->risk, scopes));
	approvals = warden_pending_approvals(change);
	if (approvals >= required)
		return true;
	return refuse(job, psprintf("it has %d of %d approvals that count now",
								approvals, required),
				  "Approvals of persons who may not approve any more do not count, and the rules may ask for more by now; have it proposed again.");
}

static bool
check_state(ApplyJob *job)
{
	WardenStatus status = job->change.status;

	if (status == WARDEN_CHANGE_APPROVED)
		return true;
	if (job->glass != NULL && status == WARDEN_CHANGE_PROPOSED)
		return true;
	if (status == WARDEN_CHANGE_EXPIRED)
		job->move_to = WARDEN_CHANGE_EXPIRED;
	return refuse(job, psprintf("it is %s",
								warden_pending_status_name(status)),
				  status == WARDEN_CHANGE_PROPOSED ?
				  "It needs its approvals first." :
				  "Only an approved change can be applied; have it proposed again.");
}

/* The first drift of its statements, with the place of the one, or NULL. */
static char *
find_drift(ApplyJob *job)
{
	int			nest = warden_capture_begin(job->change.context);
	char	   *found = NULL;
	ListCell   *cell;

	foreach(cell, job->statements)
	{
		WardenStatement *statement = lfirst(cell);
		char	   *drift = warden_capture_drift(statement, NIL);

		if (drift == NULL)
			continue;
		found = psprintf("it is stale: %s (statement %d)", drift,
						 statement->ordinal);
		break;
	}
	warden_capture_end(nest);
	return found;
}

static bool
check_unchanged(ApplyJob *job)
{
	char	   *drift;

	job->move_to = WARDEN_CHANGE_STALE;
	if (list_length(job->statements) != job->change.statement_count ||
		strcmp(warden_pending_digest(&job->change, job->statements),
			   job->change.digest) != 0)
		return refuse(job, "its digest no longer follows from its rows, its database and its apply role",
					  "Have it proposed again.");
	job->messages = SharedInvalidMessageCounter;
	drift = find_drift(job);
	if (drift != NULL)
		return refuse(job, drift, "Have it proposed again.");
	job->move_to = WARDEN_CHANGE_PROPOSED;
	return true;
}

/*
 * A statement that may not run in a transaction must be alone, and the CALL
 * outside a transaction block.
 */
static bool
check_barred(ApplyJob *job, bool atomic)
{
	int			nest = warden_capture_begin(job->change.context);
	ListCell   *cell;

	foreach(cell, job->statements)
	{
		WardenStatement *statement = lfirst(cell);
		RawStmt    *raw = warden_statement_parse(statement->statement);

		if (raw != NULL && warden_review_barred(raw->stmt))
			job->barred = true;
	}
	warden_capture_end(nest);
	if (!job->barred)
		return true;
	if (list_length(job->statements) > 1)
		return refuse(job, "one of its statements can not run in a transaction with the others",
					  "Have that statement proposed as a change of its own.");
	if (atomic)
		return refuse(job, "its statement can not run inside a transaction block",
					  "CALL warden.apply() outside a transaction block, with autocommit on.");
	return true;
}

/* Rows that the agent's changes touch may be kept for a revert. */
static bool
keeps_images(const char *agent)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(agent);

	if (SPI_execute_with_args("SELECT FROM warden.agents"
							  " WHERE agent OPERATOR(pg_catalog.=) $1"
							  " AND NOT keep_images",
							  1, &type, &value, NULL, false,
							  1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the agents");
	return SPI_processed == 0;
}

/*
 * Loads and locks the change.  A refusal that is a fact about the change
 * (expired, stale) is stored as its state, if the caller can commit that.
 */
void
warden_apply_load(void *arg)
{
	ApplyJob   *job = arg;
	WardenStatus stored;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->change.id, true, job->context,
									 &job->change);
	if (job->found)
	{
		job->statements = warden_pending_statements(job->change.id,
													job->context);
		job->footprints = warden_footprint_load(job->change.id, job->context);
		job->keep_images = keeps_images(job->change.agent);
		if (check_state(job) && check_unchanged(job) &&
			(job->glass != NULL || check_approvals(job)) &&
			check_apply_role(job))
			(void) check_barred(job, job->atomic);
		stored = job->move_to;
		if (job->refusal != NULL && stored != WARDEN_CHANGE_PROPOSED)
		{
			job->change.status = job->change.stored;
			warden_pending_move(&job->change, stored, "",
								warden_pending_status_name(stored),
								job->refusal);
		}
	}
	SPI_finish();
}
