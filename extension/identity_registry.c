/*-------------------------------------------------------------------------
 * identity_registry.c
 *	  The SQL functions by which an administrator keeps the registry: agents,
 *	  their tokens and delegations, and people.
 *
 * Each one runs only as the top-level statement of a person with the rights
 * of warden_admin: called from a function, a trigger or a DO block, it could
 * be somebody else's idea.  The tables' own triggers check every row, also
 * where an administrator edits with plain SQL, and tell all backends.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "identity_store.h"
#include "label.h"
#include "nesting.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

#define TOKEN_PREFIX		"wdn_"
#define TOKEN_RANDOM_BYTES	32
#define TOKEN_CHARACTERS	43	/* of base64url for that many bytes */
#define MAX_COMMAND_ARGS	6

/* One constant statement to run as the extension's owner. */
typedef struct Command
{
	const char *sql;
	int			nargs;
	Oid			types[MAX_COMMAND_ARGS];
	Datum		values[MAX_COMMAND_ARGS];
	char		nulls[MAX_COMMAND_ARGS + 1];
	uint64		processed;
	int64		number;			/* first column of the first row, if a bigint */
} Command;

/* ----------------------------------------------------------------------
 * Running SQL as the owner
 * ---------------------------------------------------------------------- */

static void
add_argument(Command *command, Oid type, Datum value, bool isnull)
{
	Assert(command->nargs < MAX_COMMAND_ARGS);
	command->types[command->nargs] = type;
	command->values[command->nargs] = isnull ? (Datum) 0 : value;
	command->nulls[command->nargs++] = isnull ? 'n' : ' ';
}

/* NULL for a null pointer. */
static void
add_text(Command *command, const char *value)
{
	add_argument(command, TEXTOID,
				 value ? CStringGetTextDatum(value) : (Datum) 0,
				 value == NULL);
}

static void
add_role(Command *command, Oid role)
{
	add_argument(command, REGROLEOID, ObjectIdGetDatum(role),
				 !OidIsValid(role));
}

static void
execute_command(void *arg)
{
	Command    *command = arg;
	int			status;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	status = SPI_execute_with_args(command->sql, command->nargs,
								   command->types, command->values,
								   command->nulls, false, 0);
	if (status < 0)
		elog(ERROR, "could not run a statement of the registry: %s",
			 SPI_result_code_string(status));
	command->processed = SPI_processed;
	if (SPI_tuptable != NULL && SPI_processed > 0)
	{
		bool		isnull;

		command->number =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
}

static void
run_command(Command *command)
{
	warden_principal_run_internal(execute_command, command);
}

/* ----------------------------------------------------------------------
 * Checks
 * ---------------------------------------------------------------------- */

static void
require_admin(FunctionCallInfo fcinfo, const char *name)
{
	Oid			admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("warden.%s is not for agents", name),
				 errhint("Ask a person who is an administrator.")));
	if (!superuser() &&
		(!OidIsValid(admin) || !has_privs_of_role(GetUserId(), admin)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for warden.%s", name),
				 errhint("Only members of %s may.", WARDEN_ROLE_ADMIN)));
	warden_nesting_require_toplevel(fcinfo, name,
									WARDEN_ERRCODE_NOT_PERMITTED);
}

/* A name that logs and tables can show: not empty, short, printable. */
static void
require_printable(const char *what, const char *text, Size size)
{
	const char *p;
	bool		good = text[0] != '\0' && strlen(text) < size;

	for (p = text; good && *p; p++)
		good = (unsigned char) *p >= ' ' && *p != 0x7f;
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a usable name", what),
				 errhint("Use at most %d bytes and no control characters.",
						 (int) size - 1)));
}

/* Text argument, NULL for NULL. */
static char *
text_or_null(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static char *
required_text(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", what),
				 errhint("It can not be NULL.")));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static Oid
required_role(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", what),
				 errhint("Name a role that exists.")));
	return get_role_oid(NameStr(*PG_GETARG_NAME(n)), false);
}

static void
require_agent(const char *name, WardenAgent *agent)
{
	if (!warden_store_agent(name, agent))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" does not exist", name),
				 errhint("warden.agents lists them; warden.create_agent makes one.")));
}

static void
refuse_apply_role(Oid role, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("role \"%s\" can not apply an agent's changes",
					GetUserNameFromId(role, true)),
			 errdetail("%s", why),
			 errhint("Choose an unlabelled role that owns what is to be changed, is no superuser, and has no agent as a member.")));
}

/* An agent could reach the role by itself. */
static bool
reached_by_agent(Oid role)
{
	Command		command = {
		.sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_shseclabel l"
		" JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) l.objoid"
		" WHERE l.provider OPERATOR(pg_catalog.=) 'warden'"
		" AND l.classoid OPERATOR(pg_catalog.=)"
		" 'pg_catalog.pg_authid'::pg_catalog.regclass"
		" AND l.label OPERATOR(pg_catalog.<>) 'masked'"
		" AND (pg_catalog.pg_has_role(r.oid, $1, 'MEMBER')"
		" OR pg_catalog.pg_has_role($1, r.oid, 'USAGE'))"
	};

	add_argument(&command, OIDOID, ObjectIdGetDatum(role), false);
	run_command(&command);
	return command.number > 0;
}

/* Checked again when a change is applied: roles gain rights later, too. */
static void
check_apply_role(Oid role)
{
	if (superuser_arg(role))
		refuse_apply_role(role, "It is a superuser.");
	if (warden_store_has_label(role))
		refuse_apply_role(role, "It carries a warden label.");
	if (reached_by_agent(role))
		refuse_apply_role(role, "An agent is a member of it, or it of an agent's role.");
}

/* ----------------------------------------------------------------------
 * Triggers of the registry's tables
 * ---------------------------------------------------------------------- */

static Datum
row_value(TriggerData *trigger, HeapTuple row, const char *name, bool *isnull)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);

	return heap_getattr(row, SPI_fnumber(tupdesc, name), tupdesc, isnull);
}

static char *
row_text(TriggerData *trigger, HeapTuple row, const char *name)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Oid
row_role(TriggerData *trigger, HeapTuple row, const char *name)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, name, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static bool
row_enabled(TriggerData *trigger, HeapTuple row)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, "enabled", &isnull);

	return !isnull && DatumGetBool(value);
}

static void
check_limit(TriggerData *trigger, HeapTuple row, const char *name, int unit)
{
	char	   *value = row_text(trigger, row, name);

	if (value != NULL)
		(void) warden_store_parse_limit(name, value, unit);
}

/* A row of warden.agents as it is to be. */
static void
check_agent(TriggerData *trigger, HeapTuple row)
{
	Oid			role = row_role(trigger, row, "role");
	Oid			apply_role = row_role(trigger, row, "apply_role");
	const char *bar = warden_principal_agent_bar(role);

	require_printable("the agent's name", row_text(trigger, row, "agent"),
					  NAMEDATALEN);
	if (bar != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this role can not be an agent's"),
				 errdetail("It can not because %s.", bar),
				 errhint("Make a role for the agent with nothing but the reads it needs.")));
	if (OidIsValid(apply_role))
		check_apply_role(apply_role);
	check_limit(trigger, row, "statement_timeout", GUC_UNIT_MS);
	check_limit(trigger, row, "lock_timeout", GUC_UNIT_MS);
	check_limit(trigger, row, "work_mem", GUC_UNIT_KB);
	check_limit(trigger, row, "temp_file_limit", GUC_UNIT_KB);
}

static void
check_person(const char *person, Oid role)
{
	require_printable("the person", person, WARDEN_PERSON_SIZE);
	if (warden_store_has_label(role))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a labelled role is nobody's login"),
				 errhint("Give people roles of their own.")));
}

/* A pattern that matches everyone would leave nobody who may approve. */
static void
check_pattern(const char *pattern)
{
	require_printable("the pattern", pattern, WARDEN_PERSON_SIZE);
	if (strspn(pattern, "*?") == strlen(pattern))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the pattern matches everyone"),
				 errhint("Name a person or a domain, as in '*@example.com': whom it matches can not approve what the agent proposes.")));
	if (strchr(pattern, '%') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("patterns know no %%"),
				 errhint("Write * for any text and ? for one character.")));
}

/* An agent that is switched off, or gone, stops what it runs. */
static void
stop_agent(TriggerData *trigger)
{
	HeapTuple	old = trigger->tg_trigtuple;

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		 row_enabled(trigger, old) &&
		 !row_enabled(trigger, trigger->tg_newtuple)))
		warden_store_cancel_at_commit(row_text(trigger, old, "agent"));
}

/* What plain SQL did; the functions say it better themselves. */
static void
audit_edit(TriggerData *trigger, HeapTuple row)
{
	const char *table = RelationGetRelationName(trigger->tg_relation);
	const char *name;

	if (warden_principal_internal())
		return;
	name = row_text(trigger, row,
					strcmp(table, "people") == 0 ? "person" : "agent");
	warden_audit_action("policy", 0,
						psprintf("%s on warden.%s: %s",
								 TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? "INSERT" :
								 TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "UPDATE" : "DELETE",
								 table, quote_literal_cstr(name)));
}

PG_FUNCTION_INFO_V1(warden_sql_guard_registry);

/*
 * Row trigger of agents, agent_tokens, delegations and people, and statement
 * trigger for TRUNCATE.
 */
Datum
warden_sql_guard_registry(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *table;
	HeapTuple	row;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by trigger manager"),
				 errhint("This function belongs to the registry's tables.")));
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("the registry is not for agents"),
				 errhint("Ask a person who is an administrator.")));
	table = RelationGetRelationName(trigger->tg_relation);
	warden_store_changed(RelationGetRelid(trigger->tg_relation));
	if (strcmp(table, "agents") == 0)
		warden_policy_changed();
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		PG_RETURN_POINTER(NULL);

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		if (strcmp(table, "agents") == 0)
			check_agent(trigger, row);
		else if (strcmp(table, "people") == 0)
			check_person(row_text(trigger, row, "person"),
						 row_role(trigger, row, "role"));
		else if (strcmp(table, "delegations") == 0)
			check_pattern(row_text(trigger, row, "person_pattern"));
	}
	if (strcmp(table, "agents") == 0)
		stop_agent(trigger);
	audit_edit(trigger, row);
	PG_RETURN_POINTER(row);
}

/* ----------------------------------------------------------------------
 * Agents
 * ---------------------------------------------------------------------- */

/* Members of warden_gateway may then SET ROLE to it, and enter() does. */
static void
grant_to_gateway(Oid role)
{
	Oid			gateway = get_role_oid(WARDEN_ROLE_GATEWAY, false);
	Command		command = {.nargs = 0};

	if (is_member_of_role_nosuper(gateway, role))
		return;
	command.sql = psprintf("GRANT %s TO %s" WARDEN_GRANT_SET_ONLY,
						   quote_identifier(GetUserNameFromId(role, false)),
						   WARDEN_ROLE_GATEWAY);
	run_command(&command);
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

PG_FUNCTION_INFO_V1(warden_sql_create_agent);

/* create_agent(agent, role, apply_role, description) */
Datum
warden_sql_create_agent(PG_FUNCTION_ARGS)
{
	char	   *name = required_text(fcinfo, 0, "the agent's name");
	char	   *description = text_or_null(fcinfo, 3);
	Command		command = {
		.sql = "INSERT INTO warden.agents"
		" (agent, role, apply_role, description, created_by)"
		" VALUES ($1, $2, $3, $4, $5)"
	};
	WardenAgent existing;
	Oid			role;
	Oid			apply_role;

	require_admin(fcinfo, "create_agent");
	role = required_role(fcinfo, 1, "the agent's role");
	apply_role = resolve_apply_role(fcinfo, &description);
	if (OidIsValid(apply_role))
		check_apply_role(apply_role);
	require_printable("the agent's name", name, NAMEDATALEN);
	if (warden_store_agent(name, &existing))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("agent \"%s\" already exists", name),
				 errhint("Update its row in warden.agents.")));
	if (!warden_store_has_label(role))
		warden_principal_run_internal(set_agent_label, &role);
	grant_to_gateway(role);

	add_text(&command, name);
	add_role(&command, role);
	add_role(&command, apply_role);
	add_text(&command, description);
	add_role(&command, GetSessionUserId());
	run_command(&command);
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
	Command		update = {
		.sql = "UPDATE warden.agents SET enabled = $2"
		" WHERE agent OPERATOR(pg_catalog.=) $1"
	};
	Command		revoke = {
		.sql = "UPDATE warden.agent_tokens SET revoked_at = pg_catalog.now()"
		" WHERE agent OPERATOR(pg_catalog.=) $1 AND revoked_at IS NULL"
	};

	require_agent(name, &agent);
	add_text(&update, name);
	add_argument(&update, BOOLOID, BoolGetDatum(enabled), false);
	run_command(&update);
	if (!enabled)
	{
		add_text(&revoke, name);
		run_command(&revoke);
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
	require_admin(fcinfo, "disable_agent");
	set_enabled(required_text(fcinfo, 0, "the agent"), false);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(warden_sql_enable_agent);

/* Revoked tokens stay revoked. */
Datum
warden_sql_enable_agent(PG_FUNCTION_ARGS)
{
	require_admin(fcinfo, "enable_agent");
	set_enabled(required_text(fcinfo, 0, "the agent"), true);
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
	char	   *name = required_text(fcinfo, 0, "the agent");
	char	   *person = text_or_null(fcinfo, 1);
	char		token[sizeof(TOKEN_PREFIX) + TOKEN_CHARACTERS];
	bytea	   *digest = palloc(VARHDRSZ + WARDEN_DIGEST_LENGTH);
	Command		command = {
		.sql = "INSERT INTO warden.agent_tokens"
		" (agent, digest, on_behalf_of, issued_by, expires_at)"
		" VALUES ($1, $2, $3, $4, $5) RETURNING id"
	};
	WardenAgent agent;
	Datum		result;

	require_admin(fcinfo, "issue_token");
	require_agent(name, &agent);
	if (!agent.enabled)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("agent \"%s\" is disabled", name),
				 errhint("Enable it with warden.enable_agent() first.")));
	if (person != NULL)
		require_printable("the person", person, WARDEN_PERSON_SIZE);

	make_token(token);
	SET_VARSIZE(digest, VARHDRSZ + WARDEN_DIGEST_LENGTH);
	warden_store_digest(token, strlen(token), (uint8 *) VARDATA(digest));
	add_text(&command, name);
	add_argument(&command, BYTEAOID, PointerGetDatum(digest), false);
	add_text(&command, person);
	add_role(&command, GetSessionUserId());
	add_argument(&command, TIMESTAMPTZOID,
				 TimestampTzGetDatum(token_expiry(fcinfo, 2)), false);
	run_command(&command);
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
	Command		command = {
		.sql = "UPDATE warden.agent_tokens SET revoked_at ="
		" coalesce(revoked_at, pg_catalog.now())"
		" WHERE id OPERATOR(pg_catalog.=) $1"
	};

	require_admin(fcinfo, "revoke_token");
	add_argument(&command, INT8OID, PG_GETARG_DATUM(0), PG_ARGISNULL(0));
	run_command(&command);
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
	char	   *name = required_text(fcinfo, 0, "the agent");
	char	   *pattern = required_text(fcinfo, 1, "the pattern");
	Command		command = {
		.sql = "INSERT INTO warden.delegations (agent, person_pattern)"
		" VALUES ($1, $2) ON CONFLICT DO NOTHING"
	};
	WardenAgent agent;

	require_admin(fcinfo, "allow_delegation");
	require_agent(name, &agent);
	check_pattern(pattern);
	add_text(&command, name);
	add_text(&command, pattern);
	run_command(&command);
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
	char	   *person = required_text(fcinfo, 0, "the person");
	Command		command = {
		.sql = "INSERT INTO warden.people (person, role) VALUES ($1, $2)"
	};
	Oid			role;
	char	   *mapped;

	require_admin(fcinfo, "add_person");
	role = required_role(fcinfo, 1, "the person's role");
	check_person(person, role);
	mapped = warden_store_person(role);
	if (mapped != NULL && strcmp(mapped, person) == 0)
		PG_RETURN_VOID();
	if (mapped != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("role \"%s\" is another person's login already",
						GetUserNameFromId(role, false)),
				 errhint("Delete its row in warden.people first, if that is meant.")));
	add_text(&command, person);
	add_role(&command, role);
	run_command(&command);
	warden_audit_action("policy", 0,
						psprintf("role %s is %s",
								 GetUserNameFromId(role, false),
								 quote_literal_cstr(person)));
	PG_RETURN_VOID();
}
