/*-------------------------------------------------------------------------
 * identity_enter.c
 *	  warden.enter() and warden.leave(): how a gateway's backend becomes an
 *	  agent for a part of a transaction.
 *
 * Every refusal of a credential takes the same path, with the same look-ups,
 * whatever is wrong with it.  An error ends the transaction and so the
 * binding: nothing is ever bound half.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity.h"
#include "identity_binding.h"
#include "identity_store.h"
#include "kept_rows.h"
#include "nesting.h"
#include "principal.h"
#include "warden.h"

/* The request argument of enter(), checked. */
typedef struct EnterRequest
{
	const char *session_id;
	const char *request_id;
	const char *tool;
	const char *prompt_ref;
	int			max_rows;		/* 0: not given */
} EnterRequest;

static int	failed_attempts = 0;	/* of this backend, never reset */
static int	warden_enter_attempts = 10;

/* A message with other statements would show the credential to them. */
static void
require_lone_statement(void)
{
	const char *text = ActivePortal->sourceText;
	const char *semicolon = strchr(text, ';');

	/* Where nothing follows the first one there is no other statement. */
	if (semicolon == NULL ||
		semicolon[1 + strspn(semicolon + 1, " \t\r\n")] == '\0')
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

/* Log lines and audit views show it: no control characters. */
static bool
is_control(char c)
{
	return (unsigned char) c < ' ' || c == 0x7f;
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
		if (is_control(*p))
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
		char	   *digits = DatumGetCString(DirectFunctionCall1(numeric_out,
																 number));

		if (strspn(digits, "0123456789") != strlen(digits) ||
			!parse_int(digits, &rows, 0, NULL))
			rows = 0;
	}
	if (rows <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max_rows\" of the request must be a positive whole number"),
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
 * The token (or what a JWT comes to) and its agent, or false.  Whatever is
 * wrong, the same look-ups are made: an unknown token has the agent "", which
 * does not exist.
 */
static bool
authenticate(const char *credential, WardenToken *token, WardenAgent *agent)
{
	uint8		digest[WARDEN_DIGEST_LENGTH];
	bool		known;
	bool		valid;

	memset(token, 0, sizeof(*token));
	memset(agent, 0, sizeof(*agent));
	if (strchr(credential, '.') != NULL)
		known = warden_store_jwt(credential, token);
	else
	{
		warden_store_digest(credential, strlen(credential), digest);
		known = warden_store_token(digest, token);
	}
	valid = warden_store_agent(token->agent, agent);
	valid &= known;
	valid &= !token->revoked;
	valid &= token->expires_at > GetCurrentTimestamp();
	valid &= agent->enabled;
	valid &= OidIsValid(agent->role);
	valid &= agent->labelled;
	return valid;
}

/* Why it is not accepted: for the server log, never for the client. */
static const char *
credential_fault(const WardenToken *token, const WardenAgent *agent)
{
	if (token->fault != NULL)
		return token->fault;
	if (token->agent[0] == '\0')
		return "No token has this digest.";
	if (token->revoked)
		return psprintf("Token " INT64_FORMAT " was revoked.", token->id);
	if (token->expires_at <= GetCurrentTimestamp())
		return psprintf("Token " INT64_FORMAT " has expired.", token->id);
	if (agent->agent[0] == '\0')
		return psprintf("Agent \"%s\" does not exist.", token->agent);
	if (!agent->enabled)
		return psprintf("Agent \"%s\" is disabled.", token->agent);
	return psprintf("The role of agent \"%s\" is gone, or carries no label.",
					token->agent);
}

/*
 * A backend that has seen many bad credentials goes away: through a pooler it
 * would otherwise keep refusing everybody else.
 */
static void
refuse_credential(const char *fault)
{
	bool		too_many = ++failed_attempts >= warden_enter_attempts;

	ereport(too_many ? FATAL : ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("credential not accepted"),
			 errdetail_log("%s", fault),
			 too_many ?
			 errhint("Too many attempts failed on this connection; connect again.") :
			 errhint("Ask an administrator for a new token for your agent.")));
}

/* To a good JWT only, so it may be told what to ask for. */
static void
refuse_scope(const char *scope)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("the scope of this credential does not suffice"),
			 errdetail("scope=%s", scope),
			 errhint("Ask the authorization server for a token of that scope.")));
}

static void
refuse_person(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("%s", message), errhint("%s", hint)));
}

/* A pattern would match more than a name: what looks like two lines, say. */
static bool
is_name(const char *person)
{
	while (*person != '\0' && !is_control(*person))
		person++;
	return *person == '\0';
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
	if (strlen(requested) >= WARDEN_PERSON_SIZE || !is_name(requested) ||
		!warden_store_delegated(agent->agent, requested))
		refuse_person("this agent may not act for that person",
					  "An administrator can allow it with warden.allow_delegation().");
	*asserted = true;
	return requested;
}

/* Copies all that must outlive the statement. */
static WardenBinding *
make_binding(const WardenToken *token, const WardenAgent *agent,
			 const char *person, bool asserted, const EnterRequest *request,
			 const char *leave_key, uint64 generation)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	WardenBinding *made = palloc0(sizeof(WardenBinding));
	WardenIdentity *identity = &made->identity;

	made->agent = *agent;
	made->subid = GetCurrentSubTransactionId();
	warden_store_digest(leave_key, strlen(leave_key), made->leave_digest);
	memcpy(made->token_digest, token->digest, sizeof(made->token_digest));
	made->expires_at = token->expires_at;
	made->generation = generation;
	identity->bound = true;
	identity->registered = true;
	identity->agent = made->agent.agent;
	identity->on_behalf_of = pstrdup(person);
	identity->asserted = asserted;
	identity->token_issuer = token->issued_by;
	identity->reads_only = token->reads_only;
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
	char	   *jwt = NULL;
	WardenBinding *made;

	warden_redact_call();
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
	if (accepted && token.id == 0)
		jwt = MemoryContextStrdup(TopTransactionContext, credential);
	OPENSSL_cleanse(credential, strlen(credential));
	if (!accepted)
		refuse_credential(credential_fault(&token, &agent));
	if (token.missing_scope != NULL)
		refuse_scope(token.missing_scope);

	person = choose_person(&token, &agent, requested, &asserted);
	warden_limits_refuse_calls(&agent);
	made = make_binding(&token, &agent, person, asserted, &request, leave_key,
						generation);
	made->jwt = jwt;
	warden_binding_begin(made);
	OPENSSL_cleanse(leave_key, strlen(leave_key));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Leaving
 * ---------------------------------------------------------------------- */

static void
put_key(JsonbParseState **state, const char *name)
{
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = (char *) name;
	key.val.string.len = (int) strlen(name);
	(void) pushJsonbValue(state, WJB_KEY, &key);
}

static void
put_bool(JsonbParseState **state, const char *name, bool is_true)
{
	JsonbValue	value;

	put_key(state, name);
	value.type = jbvBool;
	value.val.boolean = is_true;
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

static void
put_number(JsonbParseState **state, const char *name, int64 number)
{
	JsonbValue	value;

	put_key(state, name);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(number);
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/* NULL: all are set. */
static void
put_flags(JsonbParseState **state, const char *name, const bool *flags,
		  int count)
{
	JsonbValue	value;
	int			i;

	put_key(state, name);
	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	value.type = jbvBool;
	for (i = 0; i < count; i++)
	{
		value.val.boolean = flags == NULL || flags[i];
		(void) pushJsonbValue(state, WJB_ELEM, &value);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* What the call did, as the caller is told. */
static Datum
facts_as_jsonb(void)
{
	const WardenStatementFacts *told = warden_identity_facts();
	JsonbParseState *state = NULL;
	JsonbValue *result;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (told->ncolumns > 0)
		put_flags(&state, "masked", told->masked, told->ncolumns);
	if (told->ncolumns > 0 && told->untrusted_below)
		put_flags(&state, "untrusted", NULL, told->ncolumns);
	else if (told->ncolumns > 0 && told->untrusted != NULL)
		put_flags(&state, "untrusted", told->untrusted, told->ncolumns);
	put_bool(&state, "truncated", told->truncated);
	if (told->change_id != 0)
		put_number(&state, "change_id", told->change_id);
	if (told->risk != NULL)
	{
		JsonbValue	value;

		put_key(&state, "risk");
		value.type = jbvString;
		value.val.string.val = (char *) told->risk;
		value.val.string.len = (int) strlen(told->risk);
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
	}
	put_number(&state, "statements", told->statements);
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(result));
}

PG_FUNCTION_INFO_V1(warden_sql_leave);

/* leave(leave_key) */
Datum
warden_sql_leave(PG_FUNCTION_ARGS)
{
	char	   *leave_key = text_argument(fcinfo, 0);
	const WardenBinding *binding = warden_binding_current();
	uint8		digest[WARDEN_DIGEST_LENGTH];
	Datum		result;

	warden_redact_call();
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
	warden_binding_end();
	warden_kept_rows_check();
	PG_RETURN_DATUM(result);
}

void
warden_enter_init(void)
{
	DefineCustomIntVariable("warden.enter_attempts",
							"Bad credentials after which a gateway's connection is closed.",
							NULL, &warden_enter_attempts, 10, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}
