/*-------------------------------------------------------------------------
 * identity.c
 *	  Who this backend is: the binding of a gateway's backend to an agent, or
 *	  the agent that a direct login is; and the settings that show it.
 *
 * Invariants:
 * - Only this file sets the identity settings; where they are read in the
 *	 backend that is bound, the binding answers, not the variable.  The
 *	 variables exist for parallel workers, which receive nothing else.
 * - A binding belongs to a subtransaction and dies with it.  The settings that
 *	 enter() makes live on a nest level of their own, which leave() takes away
 *	 with everything that was set in between: nothing of one call is there for
 *	 the next.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "compat.h"
#include "identity.h"
#include "identity_binding.h"
#include "identity_store.h"
#include "nesting.h"
#include "principal.h"
#include "warden.h"

/* One identity setting: what parallel workers and current_setting see. */
typedef struct IdentitySetting
{
	const char *name;
	const char *description;
	GucShowHook show;
	char	   *value;
} IdentitySetting;

typedef enum IdentityField
{
	FIELD_AGENT,
	FIELD_ON_BEHALF_OF,
	FIELD_SESSION_ID,
	FIELD_REQUEST_ID,
	FIELD_TOOL,
	FIELD_PROMPT_REF
} IdentityField;

/* Why a direct login can not act, if it can not. */
typedef enum DirectRefusal
{
	DIRECT_ACCEPTED,
	DIRECT_DISABLED,
	DIRECT_AMBIGUOUS,
	DIRECT_NAMESAKE,
	DIRECT_FOR_NOBODY
} DirectRefusal;

/* Who this backend is without a binding; in place, so that pointers to it
 * stay good when it is looked up again. */
typedef struct DirectIdentity
{
	bool		valid;
	uint64		generation;		/* of the registry's cache */
	Oid			login_role;
	Oid			role;
	WardenClass class;
	DirectRefusal refusal;
	WardenIdentity identity;
	WardenAgent agent;
	char		person[WARDEN_PERSON_SIZE];
} DirectIdentity;

/*
 * What is the same for every call of one credential: plans that were made for
 * one of them are good for the next.
 */
typedef struct BindingKey
{
	uint8		token_digest[WARDEN_DIGEST_LENGTH];
	WardenAgent agent;
	char		person[WARDEN_PERSON_SIZE];
	bool		asserted;
	bool		reads_only;
	Oid			token_issuer;
	int			max_rows;
} BindingKey;

static WardenBinding *binding = NULL;
static BindingKey last_key;		/* of the binding, or of the last one */
static TimestampTz last_transaction = 0;	/* when that one's began */
static bool continues = false;
static WardenStatementFacts *facts = NULL;	/* in TopTransactionContext */
static DirectIdentity direct;
static bool setting_identity = false;

static const char *show_agent(void);
static const char *show_on_behalf_of(void);
static const char *show_session_id(void);
static const char *show_request_id(void);
static const char *show_tool(void);
static const char *show_prompt_ref(void);

static IdentitySetting settings[] = {
	[FIELD_AGENT] = {"warden.agent",
		"The agent that this backend acts as.", show_agent, NULL},
	[FIELD_ON_BEHALF_OF] = {"warden.on_behalf_of",
		"The person that the agent acts for.", show_on_behalf_of, NULL},
	[FIELD_SESSION_ID] = {"warden.session_id",
		"The session of the agent's call.", show_session_id, NULL},
	[FIELD_REQUEST_ID] = {"warden.request_id",
		"The request that the agent's call belongs to.", show_request_id, NULL},
	[FIELD_TOOL] = {"warden.tool",
		"The tool that the agent called.", show_tool, NULL},
	[FIELD_PROMPT_REF] = {"warden.prompt_ref",
		"Where the prompt behind the call is kept.", show_prompt_ref, NULL},
};

/* ----------------------------------------------------------------------
 * Who this backend is
 * ---------------------------------------------------------------------- */

bool
warden_identity_bound(void)
{
	/* The variable of a worker can only have come from its leader. */
	return binding != NULL ||
		(IsParallelWorker() && settings[FIELD_AGENT].value != NULL &&
		 settings[FIELD_AGENT].value[0] != '\0');
}

/* All strings empty, no limits. */
static void
clear_identity(WardenIdentity *identity)
{
	memset(identity, 0, sizeof(*identity));
	identity->agent = identity->on_behalf_of = "";
	identity->session_id = identity->request_id = "";
	identity->tool = identity->prompt_ref = "";
}

/* A worker knows its leader's identity from the settings alone. */
static const WardenIdentity *
worker_identity(void)
{
	static WardenIdentity identity;

	clear_identity(&identity);
	identity.bound = true;
	identity.agent = settings[FIELD_AGENT].value;
	identity.on_behalf_of = settings[FIELD_ON_BEHALF_OF].value;
	identity.session_id = settings[FIELD_SESSION_ID].value;
	identity.request_id = settings[FIELD_REQUEST_ID].value;
	identity.tool = settings[FIELD_TOOL].value;
	identity.prompt_ref = settings[FIELD_PROMPT_REF].value;
	return &identity;
}

/*
 * The registered agent of the login role, else of the SET ROLE role.  A login
 * as an agent stays that agent whatever role it sets.
 */
static WardenRoleAgents
find_direct_agent(WardenAgent *agent)
{
	WardenRoleAgents found = warden_store_role(direct.login_role, agent);

	if (found == WARDEN_ROLE_HAS_NONE && direct.role != direct.login_role)
		found = warden_store_role(direct.role, agent);
	return found;
}

/*
 * An agent role that nobody registered acts under its own name, which must
 * not be a registered agent's: their changes and records would be one.
 */
static void
use_role_name(const WardenPrincipal *principal)
{
	Oid			role = principal->login_governed ?
		direct.login_role : direct.role;
	char	   *name = GetUserNameFromId(role, false);
	WardenAgent namesake;

	if (warden_store_agent(name, &namesake))
	{
		direct.refusal = DIRECT_NAMESAKE;
		return;
	}
	strlcpy(direct.agent.agent, name, NAMEDATALEN);
	direct.agent.enabled = true;
	direct.agent.role = role;
	direct.agent.temp_file_limit = -1;
	if (direct.class == WARDEN_CLASS_MASKED)
		return;
	direct.agent.max_rows = WARDEN_DEFAULT_MAX_ROWS;
	direct.agent.statement_timeout = WARDEN_DEFAULT_STATEMENT_TIMEOUT;
	direct.agent.lock_timeout = WARDEN_DEFAULT_LOCK_TIMEOUT;
}

/* Neither of the agents that share the role is named anywhere. */
static void
refuse_as_ambiguous(void)
{
	memset(&direct.agent, 0, sizeof(direct.agent));
	direct.refusal = DIRECT_AMBIGUOUS;
}

static void
resolve_direct(const WardenPrincipal *principal)
{
	WardenRoleAgents found = WARDEN_ROLE_HAS_NONE;
	char	   *person = NULL;

	direct.valid = false;
	direct.login_role = principal->login_role;
	direct.role = principal->role;
	direct.class = principal->class;
	direct.refusal = DIRECT_ACCEPTED;
	clear_identity(&direct.identity);
	memset(&direct.agent, 0, sizeof(direct.agent));
	direct.person[0] = '\0';

	/* What is not governed, or is nobody yet, has no identity. */
	if (direct.class != WARDEN_CLASS_NONE &&
		direct.class != WARDEN_CLASS_GATEWAY)
	{
		found = find_direct_agent(&direct.agent);
		if (found == WARDEN_ROLE_HAS_NONE)
			use_role_name(principal);
		else if (found == WARDEN_ROLE_HAS_SEVERAL)
			refuse_as_ambiguous();
		else if (!direct.agent.enabled)
			direct.refusal = DIRECT_DISABLED;
		/* A person who tries SET ROLE answers for what comes of it. */
		person = warden_store_person(direct.login_role);
	}
	if (person != NULL)
		strlcpy(direct.person, person, sizeof(direct.person));
	else if (direct.agent.require_on_behalf_of && principal->login_governed &&
			 direct.login_role == GetAuthenticatedUserId() &&
			 direct.refusal == DIRECT_ACCEPTED)
		direct.refusal = DIRECT_FOR_NOBODY;
	direct.identity.agent = direct.agent.agent;
	direct.identity.on_behalf_of = direct.person;
	direct.identity.max_rows = direct.agent.max_rows;
	direct.identity.apply_role = direct.agent.apply_role;
	direct.identity.registered = (found == WARDEN_ROLE_HAS_ONE);
}

/* Never raises for what the registry says, see refuse_direct. */
static const DirectIdentity *
direct_identity(void)
{
	const WardenPrincipal *principal;
	uint64		generation;

	/* Outside a transaction nothing can be looked up. */
	if (!IsTransactionState() || warden_principal_internal())
		return &direct;
	principal = warden_principal_current();
	generation = warden_store_generation();
	while (unlikely(!direct.valid || direct.generation != generation ||
					direct.login_role != principal->login_role ||
					direct.role != principal->role ||
					direct.class != principal->class))
	{
		resolve_direct(principal);
		direct.generation = generation;
		direct.valid = true;
		/* The look-up may have learnt of a change: then do it again. */
		generation = warden_store_generation();
		principal = warden_principal_current();
	}
	return &direct;
}

static void
refuse_direct(void)
{
	if (direct.refusal == DIRECT_DISABLED)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("agent \"%s\" is disabled", direct.agent.agent),
				 errhint("An administrator can enable it with warden.enable_agent().")));
	if (direct.refusal == DIRECT_AMBIGUOUS)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("several agents share this role"),
				 errhint("Badge in with warden.enter() through the gateway, which says which of them it is.")));
	if (direct.refusal == DIRECT_NAMESAKE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("an agent of this role's name exists and has another role"),
				 errhint("An administrator can make an agent of this role with warden.create_agent().")));
	if (direct.refusal == DIRECT_FOR_NOBODY)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this agent only acts for a person"),
				 errhint("Badge in with warden.enter() through the gateway, which says for whom.")));
}

const WardenIdentity *
warden_identity_current(void)
{
	if (binding != NULL)
		return &binding->identity;
	if (warden_identity_bound())
		return worker_identity();
	if (direct_identity()->refusal != DIRECT_ACCEPTED && IsTransactionState())
		refuse_direct();
	return &direct.identity;
}

bool
warden_identity_registered(Oid role)
{
	WardenAgent agent;

	return warden_store_role(role, &agent) != WARDEN_ROLE_HAS_NONE;
}

char *
warden_identity_person(Oid role)
{
	return warden_store_person(role);
}

char *
warden_identity_delegations(const char *agent)
{
	return warden_store_delegations(agent);
}

/* Persons are told apart without regard to case. */
bool
warden_identity_may_be(const char *patterns, const char *person)
{
	if (patterns == NULL)
		return false;
	patterns = str_tolower(patterns, strlen(patterns), DEFAULT_COLLATION_OID);
	person = str_tolower(person, strlen(person), DEFAULT_COLLATION_OID);
	return warden_store_matches(patterns, person);
}

/* The shim knows this error from another one by the name of the function. */
void
warden_identity_require_propose(void)
{
	if (warden_identity_current()->reads_only)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("the scope of this credential is for reading only"),
				 errdetail("scope=query propose"),
				 errhint("Ask the authorization server for a token whose scope has propose as well.")));
}

WardenStatementFacts *
warden_identity_facts(void)
{
	if (facts == NULL)
		facts = MemoryContextAllocZero(TopTransactionContext,
									   sizeof(WardenStatementFacts));
	return facts;
}

/* ----------------------------------------------------------------------
 * Settings
 * ---------------------------------------------------------------------- */

/*
 * Nobody but enter() and leave() sets an identity setting.  Workers take over
 * their leader's values; the default is what the library itself defines.
 */
static bool
check_identity(char **newval, void **extra pg_attribute_unused(),
			   GucSource source)
{
	if (setting_identity || InitializingParallelWorker ||
		(source == PGC_S_DEFAULT && *newval != NULL && **newval == '\0'))
		return true;
	GUC_check_errcode(WARDEN_ERRCODE_IDENTITY);
	GUC_check_errmsg("identity settings can not be changed");
	GUC_check_errhint("They follow from the credential given to warden.enter(), or from the login role.");
	return false;
}

/* RESET and SET TO DEFAULT do not ask the check hook.  The restoring at the
 * end of a transaction finds the binding gone already. */
static void
assign_identity(const char *newval pg_attribute_unused(),
				void *extra pg_attribute_unused())
{
	if (binding != NULL && !setting_identity)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("identity settings can not be changed"),
				 errhint("They follow from the credential given to warden.enter(), or from the login role.")));
}

static const char *
setting_value(IdentityField field)
{
	const char *value = settings[field].value;

	return value != NULL ? value : "";
}

/* Bound: the binding's; a worker: its leader's; a direct login: looked up. */
static const char *
show_agent(void)
{
	if (binding != NULL)
		return binding->identity.agent;
	if (warden_identity_bound())
		return setting_value(FIELD_AGENT);
	return IsTransactionState() ? direct_identity()->identity.agent : "";
}

static const char *
show_on_behalf_of(void)
{
	if (binding != NULL)
		return binding->identity.on_behalf_of;
	if (warden_identity_bound())
		return setting_value(FIELD_ON_BEHALF_OF);
	return IsTransactionState() ? direct_identity()->identity.on_behalf_of : "";
}

static const char *
show_session_id(void)
{
	return binding ? binding->identity.session_id :
		setting_value(FIELD_SESSION_ID);
}

static const char *
show_request_id(void)
{
	return binding ? binding->identity.request_id :
		setting_value(FIELD_REQUEST_ID);
}

static const char *
show_tool(void)
{
	return binding ? binding->identity.tool : setting_value(FIELD_TOOL);
}

static const char *
show_prompt_ref(void)
{
	return binding ? binding->identity.prompt_ref :
		setting_value(FIELD_PROMPT_REF);
}

/* ----------------------------------------------------------------------
 * The binding
 * ---------------------------------------------------------------------- */

const WardenBinding *
warden_binding_current(void)
{
	return binding;
}

void
warden_binding_confirm(uint64 generation)
{
	binding->generation = generation;
}

const WardenAgent *
warden_binding_direct_agent(void)
{
	return &direct.agent;
}

const char *
warden_binding_person(void)
{
	return binding != NULL ? binding->identity.on_behalf_of :
							 direct.identity.on_behalf_of;
}

/* Sets the identity settings for workers, and the role. */
static void
set_identity(const WardenBinding *made)
{
	const WardenIdentity *identity = &made->identity;
	const char *values[lengthof(settings)];
	int			i;

	values[FIELD_AGENT] = identity->agent;
	values[FIELD_ON_BEHALF_OF] = identity->on_behalf_of;
	values[FIELD_SESSION_ID] = identity->session_id;
	values[FIELD_REQUEST_ID] = identity->request_id;
	values[FIELD_TOOL] = identity->tool;
	values[FIELD_PROMPT_REF] = identity->prompt_ref;

	setting_identity = true;
	warden_principal_allow_role_change = true;
	PG_TRY();
	{
		for (i = 0; i < (int) lengthof(settings); i++)
		{
			if (values[i][0] != '\0')
				warden_limits_set(settings[i].name, values[i]);
		}
		warden_limits_set("role", GetUserNameFromId(made->agent.role, false));
	}
	PG_FINALLY();
	{
		setting_identity = false;
		warden_principal_allow_role_change = false;
	}
	PG_END_TRY();
}

bool
warden_identity_continues(void)
{
	return continues;
}

/* Within one transaction each binding is another, for portals live as long. */
static void
compare_with_last(const WardenBinding *made)
{
	const WardenIdentity *identity = &made->identity;
	BindingKey	key;

	memset(&key, 0, sizeof(key));
	memcpy(key.token_digest, made->token_digest, sizeof(key.token_digest));
	memcpy(&key.agent, &made->agent, sizeof(key.agent));
	strlcpy(key.person, identity->on_behalf_of, sizeof(key.person));
	key.asserted = identity->asserted;
	key.reads_only = identity->reads_only;
	key.token_issuer = identity->token_issuer;
	key.max_rows = identity->max_rows;
	continues = last_transaction != GetCurrentTransactionStartTimestamp() &&
		memcmp(&key, &last_key, sizeof(key)) == 0;
	memcpy(&last_key, &key, sizeof(key));
	last_transaction = GetCurrentTransactionStartTimestamp();
}

void
warden_binding_begin(WardenBinding *made)
{
	facts = NULL;
	compare_with_last(made);
	made->nestlevel = NewGUCNestLevel();
	binding = made;
	set_identity(made);
	warden_principal_reset();
	warden_principal_require(warden_principal_current());
	(void) warden_limits_lower(&made->agent);
	warden_shared_begin(made->agent.agent, made->identity.on_behalf_of,
						made->agent.role, true);
}

/* Its memory goes back when the transaction ends, with what is in it. */
static void
forget_credential(void)
{
	if (binding->jwt != NULL)
		OPENSSL_cleanse(binding->jwt, strlen(binding->jwt));
}

/* Settings first: their hooks look at the binding. */
void
warden_binding_end(void)
{
	int			nestlevel = binding->nestlevel;

	setting_identity = true;
	warden_principal_allow_role_change = true;
	PG_TRY();
	{
		AtEOXact_GUC(false, nestlevel);
	}
	PG_FINALLY();
	{
		setting_identity = false;
		warden_principal_allow_role_change = false;
	}
	PG_END_TRY();
	forget_credential();
	binding = NULL;
	warden_shared_end();
	warden_principal_reset();
}

/* ----------------------------------------------------------------------
 * whoami
 * ---------------------------------------------------------------------- */

static const char *
class_name(WardenClass class)
{
	switch (class)
	{
		case WARDEN_CLASS_NONE:
			return "none";
		case WARDEN_CLASS_MASKED:
			return "masked";
		case WARDEN_CLASS_OBSERVED:
			return "agent, observe";
		case WARDEN_CLASS_AGENT:
			return "agent";
		case WARDEN_CLASS_GATEWAY:
			return "gateway";
	}
	return "unknown";
}

/* "name":"value", with null for the empty text */
static void
append_field(StringInfo json, const char *name, const char *value)
{
	escape_json(json, name);
	appendStringInfoChar(json, ':');
	if (value == NULL || value[0] == '\0')
		appendStringInfoString(json, "null");
	else
		escape_json(json, value);
	appendStringInfoChar(json, ',');
}

PG_FUNCTION_INFO_V1(warden_sql_whoami);

Datum
warden_sql_whoami(PG_FUNCTION_ARGS)
{
	const WardenPrincipal *principal = warden_principal_current();
	const WardenIdentity *identity = warden_identity_current();
	StringInfoData json;

	(void) fcinfo;
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_field(&json, "agent", identity->agent);
	append_field(&json, "on_behalf_of", identity->on_behalf_of);
	append_field(&json, "role", GetUserNameFromId(principal->role, true));
	append_field(&json, "login_role",
				 GetUserNameFromId(principal->login_role, true));
	append_field(&json, "class", class_name(principal->class));
	append_field(&json, "database", get_database_name(MyDatabaseId));
	appendStringInfoString(&json, "\"limits\":{\"max_rows\":");
	if (identity->max_rows > 0)
		appendStringInfo(&json, "%d", identity->max_rows);
	else
		appendStringInfoString(&json, "null");
	appendStringInfo(&json, ",\"statement_timeout_ms\":%d,\"lock_timeout_ms\":%d,\"work_mem_kb\":%d}}",
					 StatementTimeout, LockTimeout, work_mem);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* ----------------------------------------------------------------------
 * Ends of transactions
 * ---------------------------------------------------------------------- */

static void
forget_transaction(void)
{
	if (binding != NULL)
	{
		forget_credential();
		warden_principal_reset();
	}
	binding = NULL;
	facts = NULL;

	/* A block that commits and goes on is still the agent's, to be stopped. */
	if (!warden_nesting_inside())
		warden_shared_end();
}

/* Runs before settings are restored, so that their hooks see it unbound. */
static void
on_xact_event(XactEvent event, void *arg pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			warden_store_end_xact(true);
			forget_transaction();
			break;
		case XACT_EVENT_ABORT:
			warden_store_end_xact(false);
			forget_transaction();
			break;
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

static void
on_subxact_event(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid,
				 void *arg pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		warden_limits_insist();
	if (binding == NULL || binding->subid != mySubid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		binding->subid = parentSubid;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_transaction();
}

/*
 * By this number, which SHOW tells to a gateway that is not bound, it can tell
 * the backend from a pooler, which gives its clients numbers of its own.
 */
static const char *
show_backend_pid(void)
{
	static char pid[12];

	snprintf(pid, sizeof(pid), "%d", MyProcPid);
	return pid;
}

void
warden_identity_init(void)
{
	static int	unused = 0;
	int			i;

	DefineCustomIntVariable("warden.backend_pid",
							"Process number of the backend.", NULL, &unused,
							0, 0, 0, PGC_INTERNAL,
							GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, NULL,
							NULL, show_backend_pid);

	for (i = 0; i < (int) lengthof(settings); i++)
		DefineCustomStringVariable(settings[i].name, settings[i].description,
								   "Set by warden.enter; nobody else can set it.",
								   &settings[i].value, "", PGC_USERSET,
								   GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE |
								   GUC_DISALLOW_IN_FILE, check_identity,
								   assign_identity, settings[i].show);
	warden_enter_init();
	warden_redact_init();
	warden_store_init();
	warden_shared_init();
	RegisterXactCallback(on_xact_event, NULL);
	RegisterSubXactCallback(on_subxact_event, NULL);
}
