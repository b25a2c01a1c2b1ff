/*-------------------------------------------------------------------------
 * identity_limits.c
 *	  What an agent may use up: settings brought down to its limits, calls at
 *	  once, and budgets of statements and rows per hour.
 *
 * warden.enter() sets the limits of a call once.  A direct login has no such
 * moment, and a rollback takes settings away, so every statement makes sure
 * that nothing stands above its limit.  Only locks that the very first
 * statement of a login takes while it is parsed are not under them; ALTER ROLE
 * ... SET lock_timeout on the agent's role covers those.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity.h"
#include "identity_binding.h"
#include "identity_store.h"
#include "principal.h"
#include "warden.h"

static void
set_limit(const char *name, const char *value, GucAction action)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, action,
							 true, 0, false);
}

void
warden_limits_set(const char *name, const char *value)
{
	set_limit(name, value, GUC_ACTION_LOCAL);
}

/*
 * An agent's own login keeps its limits, since statements are parsed before
 * anybody can apply them.  A call through the gateway leaves nothing behind,
 * and a person is only lent an agent's limits by SET ROLE.
 */
static GucAction
limit_action(void)
{
	return warden_identity_bound() ||
		!warden_principal_current()->login_governed ?
		GUC_ACTION_LOCAL : GUC_ACTION_SET;
}

/*
 * Brings a setting down to the limit, never up, both in the setting's own
 * unit.  0 or -1 is no limit.
 */
static bool
lower_setting(const char *name, int current, int limit)
{
	char		value[32];

	if (limit <= 0 || (current > 0 && current <= limit))
		return false;
	(void) pg_ltoa(limit, value);
	set_limit(name, value, limit_action());
	return true;
}

bool
warden_limits_lower(const WardenAgent *agent)
{
	(void) lower_setting("lock_timeout", LockTimeout, agent->lock_timeout);
	(void) lower_setting("work_mem", work_mem, agent->work_mem);
	(void) lower_setting("temp_file_limit", temp_file_limit,
						 agent->temp_file_limit);
	return lower_setting("statement_timeout", StatementTimeout,
						 agent->statement_timeout);
}

static void
refuse_budget(const char *what, const char *whose)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_BUDGET),
			 errmsg("the %s of this %s is spent", what, whose),
			 errhint("Wait for the next hour, or ask an administrator to raise the limits in warden.agents.")));
}

/* Counts a statement, and refuses it where a budget of the hour is spent. */
static void
spend_statement(const WardenAgent *agent, const char *person)
{
	if ((agent->statements_per_hour > 0 || agent->rows_per_hour > 0) &&
		!warden_shared_spend(agent->agent, NULL, 1, 0,
							 agent->statements_per_hour,
							 agent->rows_per_hour))
		refuse_budget("hourly budget", "agent");
	if (person[0] != '\0' &&
		(agent->person_statements_per_hour > 0 ||
		 agent->person_rows_per_hour > 0) &&
		!warden_shared_spend(agent->agent, person, 1, 0,
							 agent->person_statements_per_hour,
							 agent->person_rows_per_hour))
		refuse_budget("hourly budget", "person");
}

void
warden_limits_refuse_calls(const WardenAgent *agent)
{
	if (agent->max_calls > 0 &&
		warden_shared_count(agent->agent) > agent->max_calls)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_BUDGET),
				 errmsg("this agent already runs %d calls at once",
						agent->max_calls),
				 errhint("Wait until one of them has ended.")));
}

/*
 * Says in shared memory whose statement runs here, before the registry is
 * asked for the last time: see identity_shared.c.
 */
static const WardenAgent *
claim_direct_agent(void)
{
	const WardenIdentity *identity;
	const WardenAgent *agent = warden_binding_direct_agent();
	uint64		generation;

	do
	{
		generation = warden_store_generation();
		identity = warden_identity_current();
		warden_shared_begin(identity->agent, identity->on_behalf_of,
							agent->role, false);
	} while (generation != warden_store_generation());
	return agent;
}

void
warden_identity_claim(void)
{
	if (!IsParallelWorker())
		(void) claim_direct_agent();
}

/* The JWT comes to the same by issuers, keys and subjects as they are now. */
static bool
jwt_still_accepted(const WardenBinding *binding)
{
	const WardenIdentity *identity = &binding->identity;
	WardenToken token;

	memset(&token, 0, sizeof(token));
	return warden_store_jwt(binding->jwt, &token) &&
		token.missing_scope == NULL &&
		strcmp(token.agent, identity->agent) == 0 &&
		strcmp(token.on_behalf_of,
			   identity->asserted ? "" : identity->on_behalf_of) == 0;
}

/* The rows of the registry by which the backend was bound, as they are now. */
static bool
still_accepted(const WardenBinding *binding)
{
	const WardenIdentity *identity = &binding->identity;
	WardenAgent agent;
	WardenToken token;

	if (!warden_store_agent(binding->agent.agent, &agent) || !agent.enabled ||
		!agent.labelled || agent.role != binding->agent.role)
		return false;
	if (identity->asserted &&
		!warden_store_delegated(agent.agent, identity->on_behalf_of))
		return false;
	if (binding->jwt != NULL)
		return jwt_still_accepted(binding);
	return warden_store_token(binding->token_digest, &token) &&
		!token.revoked && token.expires_at > GetCurrentTimestamp() &&
		strcmp(token.agent, agent.agent) == 0;
}

/*
 * A transaction can stay open for long, and the cancel that disable_agent()
 * sends does nothing to a backend that runs nothing.
 */
void
warden_identity_recheck(void)
{
	const WardenBinding *binding = warden_binding_current();
	uint64		generation;

	if (binding == NULL || IsParallelWorker())
		return;
	generation = warden_store_generation();
	if (likely(binding->generation == generation &&
			   binding->expires_at > GetCurrentStatementStartTimestamp()))
		return;
	if (binding->expires_at <= GetCurrentStatementStartTimestamp() ||
		!still_accepted(binding))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this credential is not accepted any more"),
				 errhint("End the transaction; ask an administrator for a new token for your agent.")));
	warden_binding_confirm(generation);
}

void
warden_identity_apply_limits(void)
{
	const WardenBinding *binding = warden_binding_current();
	const WardenAgent *agent;

	if (IsParallelWorker())
		return;
	if (binding != NULL)
	{
		warden_identity_recheck();
		agent = &binding->agent;
	}
	else
	{
		agent = claim_direct_agent();
		warden_limits_refuse_calls(agent);
		/* This statement's timer was armed before the setting was lowered. */
		if (warden_limits_lower(agent))
			enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	}
	spend_statement(agent, warden_identity_current()->on_behalf_of);
}

/* A block that ends its transaction has lost what was set in it. */
void
warden_identity_keep_limits(void)
{
	if (warden_binding_current() == NULL && !IsParallelWorker())
		(void) warden_limits_lower(warden_binding_direct_agent());
}

/* The time that the agent has for a statement is over. */
static bool
out_of_time(void)
{
	const WardenBinding *binding = warden_binding_current();
	const WardenAgent *agent = binding ? &binding->agent :
		warden_binding_direct_agent();
	int			limit = agent->statement_timeout;

	/* What is only observed has no limits. */
	if (warden_principal_cached()->class != WARDEN_CLASS_AGENT)
		return false;
	if (StatementTimeout > 0 && (limit == 0 || StatementTimeout < limit))
		limit = StatementTimeout;
	return limit > 0 &&
		TimestampDifferenceExceeds(GetCurrentStatementStartTimestamp(),
								   GetCurrentTimestamp(), limit);
}

/*
 * PL/pgSQL can catch query_canceled by name and go on, for ever: statement
 * timeouts and cancels come once.  So where a subtransaction of an agent ends
 * badly after its time, or after its agent was switched off, the cancel is
 * made again, outside of the block that caught it.
 */
void
warden_limits_insist(void)
{
	if (warden_shared_acting() &&
		(warden_shared_cancelled() || out_of_time()))
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
}

static void
count_rows(uint64 rows, const char *person)
{
	const WardenBinding *binding = warden_binding_current();
	const WardenAgent *agent = binding ? &binding->agent :
		warden_binding_direct_agent();

	if (agent->rows_per_hour > 0)
		(void) warden_shared_spend(agent->agent, NULL, 0, (int64) rows,
								   0, 0);
	if (agent->person_rows_per_hour > 0 && person[0] != '\0')
		(void) warden_shared_spend(agent->agent, person, 0, (int64) rows,
								   0, 0);
}

void
warden_identity_count_rows(uint64 rows)
{
	if (rows > 0 && !IsParallelWorker())
		count_rows(rows, warden_identity_current()->on_behalf_of);
}

void
warden_identity_count_failed_rows(uint64 rows)
{
	if (rows > 0 && !IsParallelWorker())
		count_rows(rows, warden_binding_person());
}
