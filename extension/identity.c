/*-------------------------------------------------------------------------
 * identity.c
 *	  The binding of a gateway backend to an agent, from warden.enter() to
 *	  warden.leave() or the end of the transaction, and who a directly
 *	  logged-in agent is.
 *
 * Invariants:
 * - Only this file sets the identity settings; where they are read in the
 *	 backend that is bound, the binding answers, not the variable.  The
 *	 variables exist for parallel workers, which receive nothing else.
 * - A binding belongs to a subtransaction and dies with it.  The settings that
 *	 enter() makes live on a nest level of their own, which leave() takes away
 *	 with everything that was set in between: nothing of one call is there for
 *	 the next.
 * - An error ends the transaction and so the binding: there is no way to be
 *	 bound half.
 * - Every refusal of a credential takes the same path, whatever is wrong.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity.h"
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

/* In TopTransactionContext. */
typedef struct Binding
{
	WardenIdentity identity;
	WardenAgent agent;
	SubTransactionId subid;
	int			nestlevel;		/* of the settings that enter() made */
	uint8		leave_digest[WARDEN_DIGEST_LENGTH];
} Binding;

/* Why a direct login can not act, if it can not. */
typedef enum DirectRefusal
{
	DIRECT_ACCEPTED,
	DIRECT_DISABLED,
	DIRECT_AMBIGUOUS
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

/* The request argument of enter(), checked. */
typedef struct EnterRequest
{
	const char *session_id;
	const char *request_id;
	const char *tool;
	const char *prompt_ref;
	int			max_rows;		/* 0: not given */
} EnterRequest;

static Binding *binding = NULL;
static WardenStatementFacts *facts = NULL;	/* in TopTransactionContext */
static DirectIdentity direct;
static bool setting_identity = false;
static int	failed_attempts = 0;
static int	warden_enter_attempts = 10;

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

/* An agent role that nobody registered acts under its own name. */
static void
use_role_name(const WardenPrincipal *principal)
{
	Oid			role = principal->login_governed ?
		direct.login_role : direct.role;

	strlcpy(direct.agent.agent, GetUserNameFromId(role, false), NAMEDATALEN);
	direct.agent.enabled = true;
	direct.agent.role = role;
	direct.agent.temp_file_limit = -1;
	if (direct.class >= WARDEN_CLASS_OBSERVED)
		direct.agent.max_rows = WARDEN_DEFAULT_MAX_ROWS;
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
			direct.refusal = DIRECT_AMBIGUOUS;
		else if (!direct.agent.enabled)
			direct.refusal = DIRECT_DISABLED;
		/* A person who tries SET ROLE answers for what comes of it. */
		person = warden_store_person(direct.login_role);
	}
	if (person != NULL)
		strlcpy(direct.person, person, sizeof(direct.person));
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

bool
warden_identity_delegated(const char *agent, const char *person)
{
	return warden_store_delegated(agent, person);
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
 * Settings and limits
 * ---------------------------------------------------------------------- */

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* Brings a setting down to the limit, never up.  0 or -1 is no limit. */
static bool
lower_setting(const char *name, int current, int limit, const char *unit)
{
	char		value[32];

	if (limit <= 0 || (current > 0 && current <= limit))
		return false;
	snprintf(value, sizeof(value), "%d%s", limit, unit);
	set_local(name, value);
	return true;
}

/* true where the statement timeout was lowered */
static bool
lower_settings(const WardenAgent *agent)
{
	(void) lower_setting("lock_timeout", LockTimeout, agent->lock_timeout,
						 "ms");
	(void) lower_setting("work_mem", work_mem, agent->work_mem, "kB");
	(void) lower_setting("temp_file_limit", temp_file_limit,
						 agent->temp_file_limit, "kB");
	return lower_setting("statement_timeout", StatementTimeout,
						 agent->statement_timeout, "ms");
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
		!warden_shared_spend(WARDEN_SPENDER_AGENT, agent->agent, 1, 0,
							 agent->statements_per_hour,
							 agent->rows_per_hour))
		refuse_budget("hourly budget", "agent");
	if (person[0] != '\0' &&
		(agent->person_statements_per_hour > 0 ||
		 agent->person_rows_per_hour > 0) &&
		!warden_shared_spend(WARDEN_SPENDER_PERSON, person, 1, 0,
							 agent->person_statements_per_hour,
							 agent->person_rows_per_hour))
		refuse_budget("hourly budget", "person");
}

static void
refuse_more_calls(const WardenAgent *agent)
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
 * A direct login has no enter() that could set its limits, and what SET LOCAL
 * did ends with each transaction: so every statement makes sure.
 */
static void
limit_direct_login(void)
{
	uint64		generation;

	/* See identity_shared.c for why the slot comes before the second look. */
	do
	{
		generation = warden_store_generation();
		(void) warden_identity_current();
		warden_shared_begin(direct.agent.agent, direct.person, direct.role,
							false);
	} while (generation != warden_store_generation());

	refuse_more_calls(&direct.agent);

	/* The timer of this statement was armed before we lowered its setting. */
	if (lower_settings(&direct.agent))
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

void
warden_identity_apply_limits(void)
{
	if (binding != NULL)
	{
		spend_statement(&binding->agent, binding->identity.on_behalf_of);
		return;
	}
	if (IsParallelWorker())
		return;
	limit_direct_login();
	spend_statement(&direct.agent, direct.person);
}

void
warden_identity_count_rows(uint64 rows)
{
	const WardenAgent *agent = binding ? &binding->agent : &direct.agent;
	const char *person = binding ? binding->identity.on_behalf_of :
		direct.person;

	if (rows == 0 || IsParallelWorker() || (binding == NULL && !direct.valid))
		return;
	if (agent->rows_per_hour > 0)
		(void) warden_shared_spend(WARDEN_SPENDER_AGENT, agent->agent, 0,
								   (int64) rows, 0, 0);
	if (agent->person_rows_per_hour > 0 && person[0] != '\0')
		(void) warden_shared_spend(WARDEN_SPENDER_PERSON, person, 0,
								   (int64) rows, 0, 0);
}

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
 * Badging in
 * ---------------------------------------------------------------------- */

/* A message with other statements would show the credential to them. */
static void
require_lone_statement(void)
{
	const char *text = ActivePortal->sourceText;

	if (strchr(text, ';') == NULL)
		return;
	if (list_length(raw_parser(text, RAW_PARSE_DEFAULT)) != 1)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("warden.enter can not share a message with other statements"),
				 errhint("Send it as a message of its own, with the credential as a bind parameter.")));
}

static void
require_gateway(FunctionCallInfo fcinfo)
{
	warden_nesting_require_toplevel(fcinfo, "enter",
									WARDEN_ERRCODE_IDENTITY);
	if (!warden_principal_is_member(GetSessionUserId(), WARDEN_ROLE_GATEWAY))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("only a member of %s may badge in",
						WARDEN_ROLE_GATEWAY),
				 errhint("Log in as the gateway's role; an agent's own login needs no warden.enter.")));
	if (warden_identity_bound())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this session is already bound to an agent"),
				 errhint("Call warden.leave first, or end the transaction.")));
	if (warden_principal_current()->class != WARDEN_CLASS_GATEWAY)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this session is governed already and can not badge in"),
				 errhint("The gateway's login role must carry no label and be no agent itself.")));
	if (!IsTransactionBlock())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("warden.enter needs a transaction block"),
				 errhint("Send BEGIN first: the binding lasts until the transaction ends.")));
	require_lone_statement();
}

/* Text of a request: short, printable. */
static const char *
request_text(const char *name, JsonbValue *value)
{
	char	   *text;
	char	   *p;

	if (value->type == jbvNull)
		return "";
	if (value->type != jbvString || value->val.string.len > WARDEN_REQUEST_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of the request must be a text of at most %d bytes",
						name, WARDEN_REQUEST_SIZE),
				 errhint("Leave the field out if there is nothing to say.")));
	text = pnstrdup(value->val.string.val, value->val.string.len);
	for (p = text; *p; p++)
	{
		/* Log lines and audit views show it: no control characters. */
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			*p = ' ';
	}
	return text;
}

static int
request_max_rows(JsonbValue *value)
{
	int			rows = 0;

	if (value->type == jbvNull)
		return 0;
	if (value->type == jbvNumeric)
	{
		Datum		number = NumericGetDatum(value->val.numeric);

		if (!parse_int(DatumGetCString(DirectFunctionCall1(numeric_out,
														   number)),
					   &rows, 0, NULL))
			rows = 0;
	}
	if (rows <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max_rows\" of the request must be a positive number"),
				 errhint("Leave the field out for the agent's own limit.")));
	return rows;
}

/* A field that is not known here might be a limit: refuse it. */
static void
set_request_field(EnterRequest *request, const char *name, JsonbValue *value)
{
	if (strcmp(name, "session_id") == 0)
		request->session_id = request_text(name, value);
	else if (strcmp(name, "request_id") == 0)
		request->request_id = request_text(name, value);
	else if (strcmp(name, "tool") == 0)
		request->tool = request_text(name, value);
	else if (strcmp(name, "prompt_ref") == 0)
		request->prompt_ref = request_text(name, value);
	else if (strcmp(name, "max_rows") == 0)
		request->max_rows = request_max_rows(value);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown field in the request"),
				 errhint("Fields are session_id, request_id, tool, prompt_ref and max_rows.")));
}

static void
parse_request(Jsonb *json, EnterRequest *request)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	request->session_id = request->request_id = "";
	request->tool = request->prompt_ref = "";
	request->max_rows = 0;
	if (json == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the request must be a JSON object"),
				 errhint("It may be empty: '{}'.")));
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE)
			set_request_field(request, name, &value);
	}
}

/*
 * The token and its agent, or false.  Whatever is wrong, the same look-ups are
 * made: an unknown token has the agent "", which does not exist.
 */
static bool
authenticate(const char *credential, WardenToken *token, WardenAgent *agent)
{
	uint8		digest[WARDEN_DIGEST_LENGTH];
	bool		known;
	bool		valid;

	warden_store_digest(credential, strlen(credential), digest);
	memset(token, 0, sizeof(*token));
	memset(agent, 0, sizeof(*agent));
	known = warden_store_token(digest, token);
	valid = warden_store_agent(token->agent, agent);
	valid &= known;
	valid &= !token->revoked;
	valid &= token->expires_at > GetCurrentTimestamp();
	valid &= agent->enabled;
	valid &= OidIsValid(agent->role);
	valid &= agent->labelled;
	return valid;
}

/*
 * A backend that has seen many bad credentials goes away: through a pooler it
 * would otherwise keep refusing everybody else.
 */
static void
refuse_credential(void)
{
	bool		too_many = ++failed_attempts >= warden_enter_attempts;

	ereport(too_many ? FATAL : ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("credential not accepted"),
			 too_many ?
			 errhint("Too many attempts failed on this connection; connect again.") :
			 errhint("Ask an administrator for a new token for your agent.")));
}

static void
refuse_person(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("%s", message), errhint("%s", hint)));
}

/* Whom the agent acts for; *asserted where only the request says so. */
static const char *
choose_person(const WardenToken *token, const WardenAgent *agent,
			  const char *requested, bool *asserted)
{
	*asserted = false;
	if (token->on_behalf_of[0] != '\0')
	{
		if (requested[0] != '\0' &&
			strcmp(requested, token->on_behalf_of) != 0)
			refuse_person("this credential acts for another person",
						  "Leave on_behalf_of out, or use a credential of that person's.");
		return token->on_behalf_of;
	}
	if (requested[0] == '\0')
	{
		if (agent->require_on_behalf_of)
			refuse_person("this agent only acts for a person",
						  "Name the person in on_behalf_of.");
		return "";
	}
	if (strlen(requested) >= WARDEN_PERSON_SIZE ||
		!warden_store_delegated(agent->agent, requested))
		refuse_person("this agent may not act for that person",
					  "An administrator can allow it with warden.allow_delegation().");
	*asserted = true;
	return requested;
}

/* Copies all that must outlive the statement. */
static Binding *
make_binding(const WardenToken *token, const WardenAgent *agent,
			 const char *person, bool asserted, const EnterRequest *request,
			 const char *leave_key)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Binding    *made = palloc0(sizeof(Binding));
	WardenIdentity *identity = &made->identity;

	made->agent = *agent;
	made->subid = GetCurrentSubTransactionId();
	warden_store_digest(leave_key, strlen(leave_key), made->leave_digest);
	identity->bound = true;
	identity->registered = true;
	identity->agent = made->agent.agent;
	identity->on_behalf_of = pstrdup(person);
	identity->asserted = asserted;
	identity->token_issuer = token->issued_by;
	identity->session_id = pstrdup(request->session_id);
	identity->request_id = pstrdup(request->request_id);
	identity->tool = pstrdup(request->tool);
	identity->prompt_ref = pstrdup(request->prompt_ref);
	identity->apply_role = agent->apply_role;
	identity->max_rows = agent->max_rows;
	if (request->max_rows > 0 &&
		(identity->max_rows == 0 || request->max_rows < identity->max_rows))
		identity->max_rows = request->max_rows;
	MemoryContextSwitchTo(old);
	return made;
}

/* Sets the identity settings for workers, and the role. */
static void
set_identity(const Binding *made)
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
				set_local(settings[i].name, values[i]);
		}
		set_local("role", GetUserNameFromId(made->agent.role, false));
	}
	PG_FINALLY();
	{
		setting_identity = false;
		warden_principal_allow_role_change = false;
	}
	PG_END_TRY();
}

/* From here on this backend is the agent, until it is unbound. */
static void
bind_backend(Binding *made)
{
	facts = NULL;
	made->nestlevel = NewGUCNestLevel();
	binding = made;
	set_identity(made);
	warden_principal_reset();
	warden_principal_require(warden_principal_current());
	(void) lower_settings(&made->agent);
	warden_shared_begin(made->agent.agent, made->identity.on_behalf_of,
						made->agent.role, true);
}

/* Undoes it, settings first: their hooks look at the binding. */
static void
unbind_backend(void)
{
	Binding    *was = binding;

	setting_identity = true;
	warden_principal_allow_role_change = true;
	PG_TRY();
	{
		AtEOXact_GUC(false, was->nestlevel);
	}
	PG_FINALLY();
	{
		setting_identity = false;
		warden_principal_allow_role_change = false;
	}
	PG_END_TRY();
	binding = NULL;
	warden_shared_end();
	warden_principal_reset();
}

/* Text argument, "" for NULL. */
static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? pstrdup("") :
		text_to_cstring(PG_GETARG_TEXT_PP(n));
}

PG_FUNCTION_INFO_V1(warden_sql_enter);

/* enter(token, on_behalf_of, request, leave_key) */
Datum
warden_sql_enter(PG_FUNCTION_ARGS)
{
	char	   *credential = text_argument(fcinfo, 0);
	char	   *requested = text_argument(fcinfo, 1);
	char	   *leave_key = text_argument(fcinfo, 3);
	EnterRequest request;
	WardenToken token;
	WardenAgent agent;
	const char *person;
	bool		asserted;
	bool		accepted;
	uint64		generation;

	require_gateway(fcinfo);
	parse_request(PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), &request);
	if (leave_key[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a leave key is needed"),
				 errhint("Make up a random text for each call; warden.leave asks for it.")));

	/* See identity_shared.c for why the slot comes before the second look. */
	do
	{
		generation = warden_store_generation();
		accepted = authenticate(credential, &token, &agent);
		if (accepted)
			warden_shared_begin(agent.agent, requested, agent.role, true);
	} while (accepted && generation != warden_store_generation());
	OPENSSL_cleanse(credential, strlen(credential));
	if (!accepted)
		refuse_credential();

	person = choose_person(&token, &agent, requested, &asserted);
	refuse_more_calls(&agent);
	bind_backend(make_binding(&token, &agent, person, asserted, &request,
							  leave_key));
	OPENSSL_cleanse(leave_key, strlen(leave_key));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Leaving
 * ---------------------------------------------------------------------- */

/* What the call did, as the caller is told. */
static Datum
facts_as_jsonb(void)
{
	const WardenStatementFacts *told = warden_identity_facts();
	StringInfoData json;
	int			i;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (told->nmasked > 0)
	{
		appendStringInfoString(&json, "\"masked\":[");
		for (i = 0; i < told->nmasked; i++)
			appendStringInfo(&json, "%s%s", i > 0 ? "," : "",
							 told->masked[i] ? "true" : "false");
		appendStringInfoString(&json, "],");
	}
	appendStringInfo(&json, "\"truncated\":%s",
					 told->truncated ? "true" : "false");
	if (told->change_id != 0)
		appendStringInfo(&json, ",\"change_id\":" INT64_FORMAT,
						 told->change_id);
	if (told->risk != NULL)
	{
		appendStringInfoString(&json, ",\"risk\":");
		escape_json(&json, told->risk);
	}
	appendStringInfo(&json, ",\"statements\":%d}", told->statements);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

PG_FUNCTION_INFO_V1(warden_sql_leave);

/* leave(leave_key) */
Datum
warden_sql_leave(PG_FUNCTION_ARGS)
{
	char	   *leave_key = text_argument(fcinfo, 0);
	uint8		digest[WARDEN_DIGEST_LENGTH];
	Datum		result;

	warden_nesting_require_toplevel(fcinfo, "leave",
									WARDEN_ERRCODE_IDENTITY);
	if (binding == NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this session is not bound to an agent"),
				 errhint("Badge in with warden.enter first.")));
	warden_store_digest(leave_key, strlen(leave_key), digest);
	OPENSSL_cleanse(leave_key, strlen(leave_key));
	/* Leaving in a subtransaction could be rolled back, the binding not. */
	if (CRYPTO_memcmp(digest, binding->leave_digest, sizeof(digest)) != 0 ||
		binding->subid != GetCurrentSubTransactionId())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this session stays bound"),
				 errhint("Only who badged in can leave, with the key given to warden.enter, in the same transaction.")));
	result = facts_as_jsonb();
	unbind_backend();
	PG_RETURN_DATUM(result);
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
		warden_principal_reset();
	binding = NULL;
	facts = NULL;
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
	if (binding == NULL || binding->subid != mySubid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		binding->subid = parentSubid;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_transaction();
}

void
warden_identity_init(void)
{
	int			i;

	for (i = 0; i < (int) lengthof(settings); i++)
		DefineCustomStringVariable(settings[i].name, settings[i].description,
								   "Set by warden.enter; nobody else can set it.",
								   &settings[i].value, "", PGC_USERSET,
								   GUC_NO_RESET_ALL | GUC_NOT_IN_SAMPLE |
								   GUC_DISALLOW_IN_FILE, check_identity,
								   assign_identity, settings[i].show);
	DefineCustomIntVariable("warden.enter_attempts",
							"Bad credentials after which a gateway's connection is closed.",
							NULL, &warden_enter_attempts, 10, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	warden_store_init();
	warden_shared_init();
	RegisterXactCallback(on_xact_event, NULL);
	RegisterSubXactCallback(on_subxact_event, NULL);
}
