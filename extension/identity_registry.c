/*-------------------------------------------------------------------------
 * identity_registry.c
 *	  The SQL functions by which an administrator keeps agents, their tokens
 *	  and delegations, and people.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "identity_admin.h"
#include "identity_store.h"
#include "label.h"
#include "principal.h"
#include "warden.h"

#define TOKEN_PREFIX		"wdn_"
#define TOKEN_RANDOM_BYTES	32
#define TOKEN_CHARACTERS	43	/* of base64url for that many bytes */

static void
require_agent(const char *name, WardenAgent *agent)
{
	if (!warden_store_agent(name, agent))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" does not exist", name),
				 errhint("warden.agents lists them; warden.create_agent makes one.")));
}

/* ----------------------------------------------------------------------
 * Agents
 * ---------------------------------------------------------------------- */

/* Members of warden_gateway may then SET ROLE to it, and enter() does. */
static void
grant_to_gateway(Oid role)
{
	Oid			gateway = get_role_oid(WARDEN_ROLE_GATEWAY, false);
	WardenCommand		command = {.nargs = 0};

	if (is_member_of_role_nosuper(gateway, role))
		return;
	command.sql = psprintf("GRANT %s TO %s" WARDEN_GRANT_SET_ONLY,
						   quote_identifier(GetUserNameFromId(role, false)),
						   WARDEN_ROLE_GATEWAY);
	warden_admin_run(&command);
}

static void
set_agent_label(void *arg)
{
	warden_label_set_role(*(Oid *) arg, "agent");
}

/*
 * The third argument is the apply role; a text that names no role is taken
 * for the description, which fails safe: changes can be approved and not
 * applied.
 */
static Oid
resolve_apply_role(FunctionCallInfo fcinfo, char **description)
{
	char	   *name;
	Oid			role;

	if (PG_ARGISNULL(2))
		return InvalidOid;
	name = NameStr(*PG_GETARG_NAME(2));
	role = get_role_oid(name, true);
	if (OidIsValid(role))
		return role;
	if (*description != NULL)
		(void) get_role_oid(name, false);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("\"%s\" names no role and was taken for the agent's description",
					name),
			 errhint("Set apply_role in warden.agents before its changes are to be applied.")));
	*description = pstrdup(name);
	return InvalidOid;
}

/* A role that nobody can log in as, with no privileges but PUBLIC's. */
static void
make_role(const char *name)
{
	WardenCommand command = {.nargs = 0};

	command.sql = psprintf("CREATE ROLE %s NOLOGIN NOINHERIT",
						   quote_identifier(name));
	warden_admin_run(&command);
}

static void
grant_reads(Oid role, const char *schema)
{
	const char *grantee = quote_identifier(GetUserNameFromId(role, false));
	const char *quoted = quote_identifier(schema);
	WardenCommand command = {.nargs = 0};

	command.sql = psprintf("GRANT USAGE ON SCHEMA %s TO %s", quoted, grantee);
	warden_admin_run(&command);
	command.sql = psprintf("GRANT SELECT ON ALL TABLES IN SCHEMA %s TO %s",
						   quoted, grantee);
	warden_admin_run(&command);
}

/* Nothing of the system, and nothing of ours. */
static void
check_schema(const char *schema)
{
	(void) get_namespace_oid(schema, false);
	if (strncmp(schema, "pg_", 3) == 0 || strcmp(schema, WARDEN_SCHEMA) == 0 ||
		strcmp(schema, "information_schema") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema \"%s\" is not for agents", schema),
				 errhint("Name schemas with the application's own tables.")));
}

/*
 * SELECT on what is in the schemas named, tables made later excluded.  Only a
 * superuser can hand that out here: an administrator of policy need not own
 * the data.
 */
static void
grant_schemas(Oid role, ArrayType *schemas)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;
	int			i;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to grant reads"),
				 errhint("Let the owner of the tables grant SELECT to the agent's role.")));
	deconstruct_array(schemas, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &names, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			continue;
		check_schema(NameStr(*DatumGetName(names[i])));
		grant_reads(role, NameStr(*DatumGetName(names[i])));
	}
}

/* The agent's role, made first where that is asked for. */
static Oid
agent_role(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(4) && PG_GETARG_BOOL(4) &&
		!OidIsValid(get_role_oid(NameStr(*PG_GETARG_NAME(1)), true)))
		make_role(NameStr(*PG_GETARG_NAME(1)));
	return warden_admin_role_name(fcinfo, 1, "the agent's role");
}

PG_FUNCTION_INFO_V1(warden_sql_create_agent);

/*
 * create_agent(agent, role, apply_role, description, create_role,
 * read_schemas)
 */
Datum
warden_sql_create_agent(PG_FUNCTION_ARGS)
{
	char	   *name = warden_admin_required(fcinfo, 0, "the agent's name");
	char	   *description = warden_admin_optional(fcinfo, 3);
	WardenCommand		command = {
		.sql = "INSERT INTO warden.agents"
		" (agent, role, apply_role, description, created_by)"
		" VALUES ($1, $2, $3, $4, $5)"
	};
	WardenAgent existing;
	Oid			role;
	Oid			apply_role;
	char	   *label;

	warden_admin_require(fcinfo, "create_agent", NULL);
	role = agent_role(fcinfo);
	apply_role = resolve_apply_role(fcinfo, &description);
	if (OidIsValid(apply_role))
		warden_guard_apply_role(apply_role);
	warden_admin_printable("the agent's name", name, NAMEDATALEN);
	if (warden_store_agent(name, &existing))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("agent \"%s\" already exists", name),
				 errhint("Update its row in warden.agents.")));
	label = warden_label_of_role(role);
	if (label == NULL)
		warden_principal_run_internal(set_agent_label, &role);
	else if (strcmp(label, "masked") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("role \"%s\" has the class \"masked\", which writes by itself",
						GetUserNameFromId(role, false)),
				 errhint("Make it an agent's first with warden.label_role(), or name another role.")));
	grant_to_gateway(role);
	if (!PG_ARGISNULL(5))
		grant_schemas(role, PG_GETARG_ARRAYTYPE_P(5));

	warden_admin_text(&command, name);
	warden_admin_role(&command, role);
	warden_admin_role(&command, apply_role);
	warden_admin_text(&command, description);
	warden_admin_role(&command, GetSessionUserId());
	warden_admin_run(&command);
	warden_audit_action("policy", 0,
						psprintf("agent %s created for role %s",
								 quote_literal_cstr(name),
								 GetUserNameFromId(role, false)));
	PG_RETURN_VOID();
}

static void
set_enabled(const char *name, bool enabled)
{
	WardenAgent agent;
	WardenCommand		update = {
		.sql = "UPDATE warden.agents SET enabled = $2"
		" WHERE agent OPERATOR(pg_catalog.=) $1"
	};
	WardenCommand		revoke = {
		.sql = "UPDATE warden.agent_tokens SET revoked_at = pg_catalog.now()"
		" WHERE agent OPERATOR(pg_catalog.=) $1 AND revoked_at IS NULL"
	};

	require_agent(name, &agent);
	warden_admin_text(&update, name);
	warden_admin_argument(&update, BOOLOID, BoolGetDatum(enabled), false);
	warden_admin_run(&update);
	if (!enabled)
	{
		warden_admin_text(&revoke, name);
		warden_admin_run(&revoke);
		/* Also where it was disabled already. */
		warden_store_cancel_at_commit(name);
	}
	warden_audit_action("policy", 0,
						psprintf("agent %s %s", quote_literal_cstr(name),
								 enabled ? "enabled" : "disabled"));
}

PG_FUNCTION_INFO_V1(warden_sql_disable_agent);

/* Its tokens are revoked, its statements end when this commits. */
Datum
warden_sql_disable_agent(PG_FUNCTION_ARGS)
{
	warden_admin_require(fcinfo, "disable_agent", NULL);
	set_enabled(warden_admin_required(fcinfo, 0, "the agent"), false);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(warden_sql_enable_agent);

/* Revoked tokens stay revoked. */
Datum
warden_sql_enable_agent(PG_FUNCTION_ARGS)
{
	warden_admin_require(fcinfo, "enable_agent", NULL);
	set_enabled(warden_admin_required(fcinfo, 0, "the agent"), true);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Tokens
 * ---------------------------------------------------------------------- */

/* 32 bytes in 43 characters, without padding. */
static void
encode_base64url(const uint8 *bytes, char *text)
{
	static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32		bits = 0;
	int			nbits = 0;
	int			i;

	for (i = 0; i < TOKEN_RANDOM_BYTES; i++)
	{
		bits = (bits << 8) | bytes[i];
		nbits += 8;
		while (nbits >= 6)
		{
			nbits -= 6;
			*text++ = alphabet[(bits >> nbits) & 0x3f];
		}
	}
	*text++ = alphabet[(bits << (6 - nbits)) & 0x3f];
	*text = '\0';
}

static void
make_token(char *token)
{
	uint8		random[TOKEN_RANDOM_BYTES];

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random token"),
				 errhint("The server's random number generator failed; try again.")));
	strcpy(token, TOKEN_PREFIX);
	encode_base64url(random, token + strlen(TOKEN_PREFIX));
	OPENSSL_cleanse(random, sizeof(random));
}

static TimestampTz
token_expiry(FunctionCallInfo fcinfo, int n)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz expiry;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a token needs an end"),
				 errhint("Say for how long it is valid, for example '90 days'.")));
	expiry = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													 TimestampTzGetDatum(now),
													 PG_GETARG_DATUM(n)));
	if (expiry <= now || TIMESTAMP_NOT_FINITE(expiry))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the token would never be valid"),
				 errhint("Say for how long it is valid, for example '90 days'.")));
	return expiry;
}

PG_FUNCTION_INFO_V1(warden_sql_issue_token);

/* issue_token(agent, on_behalf_of, valid_for): the only time it is shown */
Datum
warden_sql_issue_token(PG_FUNCTION_ARGS)
{
	char	   *name = warden_admin_required(fcinfo, 0, "the agent");
	char	   *person = warden_admin_optional(fcinfo, 1);
	char		token[sizeof(TOKEN_PREFIX) + TOKEN_CHARACTERS];
	bytea	   *digest = palloc(VARHDRSZ + WARDEN_DIGEST_LENGTH);
	WardenCommand		command = {
		.sql = "INSERT INTO warden.agent_tokens"
		" (agent, digest, on_behalf_of, issued_by, expires_at)"
		" VALUES ($1, $2, $3, $4, $5) RETURNING id"
	};
	WardenAgent agent;
	Datum		result;

	warden_admin_require(fcinfo, "issue_token", NULL);
	require_agent(name, &agent);
	if (!agent.enabled)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("agent \"%s\" is disabled", name),
				 errhint("Enable it with warden.enable_agent() first.")));
	if (person != NULL)
		warden_admin_printable("the person", person, WARDEN_PERSON_SIZE);

	make_token(token);
	SET_VARSIZE(digest, VARHDRSZ + WARDEN_DIGEST_LENGTH);
	warden_store_digest(token, strlen(token), (uint8 *) VARDATA(digest));
	warden_admin_text(&command, name);
	warden_admin_argument(&command, BYTEAOID, PointerGetDatum(digest), false);
	warden_admin_text(&command, person);
	warden_admin_role(&command, GetSessionUserId());
	warden_admin_argument(&command, TIMESTAMPTZOID,
				 TimestampTzGetDatum(token_expiry(fcinfo, 2)), false);
	warden_admin_run(&command);
	warden_audit_action("token", 0,
						psprintf("token " INT64_FORMAT " issued to agent %s%s%s",
								 command.number, quote_literal_cstr(name),
								 person ? " for " : "",
								 person ? quote_literal_cstr(person) : ""));
	result = CStringGetTextDatum(token);
	OPENSSL_cleanse(token, sizeof(token));
	PG_RETURN_DATUM(result);
}

PG_FUNCTION_INFO_V1(warden_sql_revoke_token);

/* revoke_token(id) */
Datum
warden_sql_revoke_token(PG_FUNCTION_ARGS)
{
	WardenCommand		command = {
		.sql = "UPDATE warden.agent_tokens SET revoked_at ="
		" coalesce(revoked_at, pg_catalog.now())"
		" WHERE id OPERATOR(pg_catalog.=) $1"
	};

	warden_admin_require(fcinfo, "revoke_token", NULL);
	warden_admin_argument(&command, INT8OID, PG_GETARG_DATUM(0),
						  PG_ARGISNULL(0));
	warden_admin_run(&command);
	if (command.processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no such token"),
				 errhint("warden.tokens lists them by number.")));
	warden_audit_action("token", 0,
						psprintf("token " INT64_FORMAT " revoked",
								 PG_GETARG_INT64(0)));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Delegation and people
 * ---------------------------------------------------------------------- */

PG_FUNCTION_INFO_V1(warden_sql_allow_delegation);

/* allow_delegation(agent, person_pattern) */
Datum
warden_sql_allow_delegation(PG_FUNCTION_ARGS)
{
	char	   *name = warden_admin_required(fcinfo, 0, "the agent");
	char	   *pattern = warden_admin_required(fcinfo, 1, "the pattern");
	WardenCommand		command = {
		.sql = "INSERT INTO warden.delegations (agent, person_pattern)"
		" VALUES ($1, $2) ON CONFLICT DO NOTHING"
	};
	WardenAgent agent;

	warden_admin_require(fcinfo, "allow_delegation", NULL);
	require_agent(name, &agent);
	warden_guard_pattern(pattern);
	warden_admin_text(&command, name);
	warden_admin_text(&command, pattern);
	warden_admin_run(&command);
	warden_audit_action("policy", 0,
						psprintf("agent %s may act for %s",
								 quote_literal_cstr(name),
								 quote_literal_cstr(pattern)));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(warden_sql_add_person);

/* add_person(person, role) */
Datum
warden_sql_add_person(PG_FUNCTION_ARGS)
{
	char	   *person = warden_admin_required(fcinfo, 0, "the person");
	WardenCommand		command = {
		.sql = "INSERT INTO warden.people (person, role) VALUES ($1, $2)"
	};
	Oid			role;
	char	   *mapped;

	warden_admin_require(fcinfo, "add_person", NULL);
	role = warden_admin_role_name(fcinfo, 1, "the person's role");
	warden_guard_person(person, role);
	mapped = warden_store_person(role);
	if (mapped != NULL && strcmp(mapped, person) == 0)
		PG_RETURN_VOID();
	if (mapped != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("role \"%s\" is another person's login already",
						GetUserNameFromId(role, false)),
				 errhint("Delete its row in warden.people first, if that is meant.")));
	warden_admin_text(&command, person);
	warden_admin_role(&command, role);
	warden_admin_run(&command);
	warden_audit_action("policy", 0,
						psprintf("role %s is %s",
								 GetUserNameFromId(role, false),
								 quote_literal_cstr(person)));
	PG_RETURN_VOID();
}
