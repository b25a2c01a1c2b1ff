/*-------------------------------------------------------------------------
 * audit_fill.c
 *	  What audit records say: who, from where, which statement, what became
 *	  of it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inet.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "audit_fill.h"
#include "audit_queue.h"
#include "audit_record.h"
#include "guc.h"
#include "identity.h"
#include "principal.h"
#include "warden.h"

/* Values of bind parameters are cut to this, each. */
#define PARAMETER_BYTES 8192

/* Cut further, so that an outcome fits into the room reserved for it. */
#define OUTCOME_MESSAGE_BYTES 600

/*
 * Who the last record was for: an error may be reported where no catalog can
 * be read any more.  A gateway's backend is somebody else with every call.
 */
static char last_agent[NAMEDATALEN] = "";
static char last_role[NAMEDATALEN] = "";
static char last_person[WARDEN_RECORD_FIELD_BYTES] = "";
static bool last_asserted = false;

/* NULL through a Unix-domain socket; the same as long as the backend lives. */
static void
set_client_addr(WardenRecord *record)
{
	static bool known = false;
	static Datum address = 0;
	LOCAL_FCINFO(fcinfo, 0);

	if (!known)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
		address = inet_client_addr(fcinfo);
		if (fcinfo->isnull)
			address = 0;
		known = true;
		MemoryContextSwitchTo(old);
	}
	if (address != 0)
		warden_record_set(record, WARDEN_REC_CLIENT_ADDR, address);
}

static void
set_field(WardenRecord *record, WardenRecordColumn column, const char *value)
{
	warden_record_set_text(record, column, value, WARDEN_RECORD_FIELD_BYTES);
}

/* What the identity says; neither the roles nor anything from a catalog. */
static void
set_identity(WardenRecord *record, const WardenIdentity *identity)
{
	set_field(record, WARDEN_REC_AGENT, identity->agent);
	set_field(record, WARDEN_REC_ON_BEHALF_OF, identity->on_behalf_of);
	if (identity->on_behalf_of[0] != '\0')
		warden_record_set(record, WARDEN_REC_ASSERTED,
						  BoolGetDatum(identity->asserted));
	set_field(record, WARDEN_REC_SESSION_ID, identity->session_id);
	set_field(record, WARDEN_REC_REQUEST_ID, identity->request_id);
	set_field(record, WARDEN_REC_TOOL, identity->tool);
	set_field(record, WARDEN_REC_PROMPT_REF, identity->prompt_ref);
}

static void
set_connection(WardenRecord *record)
{
	set_client_addr(record);
	warden_record_set(record, WARDEN_REC_BACKEND, Int32GetDatum(MyProcPid));
}

/* Returns the name of the first one. */
static const char *
set_roles(WardenRecord *record, Oid role, Oid login_role)
{
	const char *name = GetUserNameFromId(role, true);

	set_field(record, WARDEN_REC_DB_ROLE, name);
	set_field(record, WARDEN_REC_LOGIN_ROLE,
			  login_role == role ? name : GetUserNameFromId(login_role, true));
	return name;
}

/* Stored as sent up to the cap; beyond it the start, the length, the digest. */
static void
set_statement(WardenRecord *record, const char *statement)
{
	Size len;
	Size limit;
	bytea *digest;
	pg_cryptohash_ctx *context;

	if (statement == NULL)
		return;
	/* struck out in place, so the length is that of what was sent */
	statement = warden_identity_redact(statement);
	len = strlen(statement);
	limit = Min((Size) warden_audit_statement_size,
				warden_queue_record_limit() / 2);
	warden_record_set_text(record, WARDEN_REC_STATEMENT, statement,
						   (int) limit);
	if (len <= limit)
		return;
	warden_record_set(record, WARDEN_REC_STATEMENT_BYTES,
					  Int64GetDatum((int64) len));
	digest = palloc(VARHDRSZ + WARDEN_HASH_BYTES);
	SET_VARSIZE(digest, VARHDRSZ + WARDEN_HASH_BYTES);
	context = pg_cryptohash_create(PG_SHA256);
	if (context != NULL && pg_cryptohash_init(context) == 0 &&
		pg_cryptohash_update(context, (const uint8 *) statement, len) == 0 &&
		pg_cryptohash_final(context, (uint8 *) VARDATA(digest),
							WARDEN_HASH_BYTES) == 0)
		warden_record_set(record, WARDEN_REC_STATEMENT_DIGEST,
						  PointerGetDatum(digest));
	if (context != NULL)
		pg_cryptohash_free(context);
}

/* The same as for any other type, without looking anything up. */
static char *
describe_integer(int64 value, const char *type)
{
	char *text = palloc(MAXINT8LEN + 16);
	char *end = text;

	*end++ = '\'';
	end += pg_lltoa(value, end);
	strcpy(end, "'::");
	strcpy(end + 3, type);
	return text;
}

/* One bind value as a literal of its type: '42'::integer, NULL::text. */
static char *
describe_parameter(ParamListInfo params, int i)
{
	ParamExternData *param = &params->params[i];
	ParamExternData workspace;
	Oid output;
	bool is_varlena;
	char *value;
	int len;

	if (params->paramFetch != NULL)
		param = params->paramFetch(params, i + 1, false, &workspace);
	if (!OidIsValid(param->ptype))
		return pstrdup("NULL");
	if (param->isnull)
		return psprintf("NULL::%s", format_type_be(param->ptype));
	if (param->ptype == INT4OID)
		return describe_integer(DatumGetInt32(param->value), "integer");
	if (param->ptype == INT8OID)
		return describe_integer(DatumGetInt64(param->value), "bigint");
	getTypeOutputInfo(param->ptype, &output, &is_varlena);
	value = OidOutputFunctionCall(output, param->value);
	value = warden_identity_redact(value);
	len = (int) strlen(value);
	if (len > PARAMETER_BYTES)
	{
		len = pg_mbcliplen(value, len, PARAMETER_BYTES);
		value[len] = '\0';
		value = psprintf("%s... (cut)", value);
	}
	return psprintf("%s::%s", quote_literal_cstr(value),
					format_type_be(param->ptype));
}

/* Until together they are as large as a statement may be. */
static List *
describe_parameters(ParamListInfo params)
{
	List *result = NIL;
	Size bytes = 0;
	Size limit;
	int i;

	limit = Min((Size) warden_audit_statement_size,
				warden_queue_record_limit() / 8);
	for (i = 0; params != NULL && i < params->numParams; i++)
	{
		char *value = describe_parameter(params, i);

		bytes += strlen(value) + VARHDRSZ;
		if (bytes > limit)
		{
			result = lappend(result,
							 psprintf("... (%d of %d cut)",
									  params->numParams - i,
									  params->numParams));
			break;
		}
		result = lappend(result, value);
	}
	return result;
}

/* A query over thousands of partitions is recorded up to a size. */
static List *
cap_list(List *names)
{
	List *result = NIL;
	ListCell *cell;
	Size bytes = 0;
	Size limit = warden_queue_record_limit() / 16;

	foreach(cell, names)
	{
		bytes += strlen((const char *) lfirst(cell)) + 2 * VARHDRSZ;
		if (bytes > limit)
			return lappend(result,
						   psprintf("... (%d cut)",
									list_length(names) - list_length(result)));
		result = lappend(result, lfirst(cell));
	}
	return result;
}

Datum
warden_audit_names(List *names)
{
	return warden_record_array(cap_list(names));
}

/* An array of warden_audit_names, or nothing. */
static void
set_names(WardenRecord *record, WardenRecordColumn column, Datum names)
{
	if (names != 0)
		warden_record_set(record, column, names);
}

static void
set_reads(WardenRecord *record, const WardenReads *reads)
{
	set_names(record, WARDEN_REC_RELATIONS, reads->relations);
	set_names(record, WARDEN_REC_MASKED_COLUMNS, reads->masked_columns);
	set_names(record, WARDEN_REC_CLEAR_COLUMNS, reads->clear_columns);
}

static void
remember_names(const WardenIdentity *identity, const char *role)
{
	strlcpy(last_agent, identity->agent, NAMEDATALEN);
	strlcpy(last_role, role ? role : "", NAMEDATALEN);
	strlcpy(last_person, identity->on_behalf_of, sizeof(last_person));
	last_asserted = identity->asserted;
}

void
warden_fill_remember(const WardenPrincipal *principal)
{
	WardenPrincipal self = *principal;

	remember_names(warden_identity_current(),
				   GetUserNameFromId(self.role, true));
}

void
warden_fill_intent(WardenRecord *record, const WardenIntent *intent)
{
	const WardenPrincipal *principal = warden_principal_current();
	const WardenIdentity *identity = warden_identity_current();

	warden_record_init(record, "intent");
	set_identity(record, identity);
	set_connection(record);
	remember_names(identity,
				   set_roles(record, principal->role, principal->login_role));
	set_statement(record, intent->statement);
	set_names(record, WARDEN_REC_PARAMETERS,
			  warden_record_array(describe_parameters(intent->params)));
	set_field(record, WARDEN_REC_COMMAND, intent->command);
	set_reads(record, &intent->reads);
}

void
warden_fill_reads(WardenRecord *record, const WardenReads *more)
{
	warden_record_init(record, "read");
	set_identity(record, warden_identity_current());
	warden_record_set(record, WARDEN_REC_BACKEND, Int32GetDatum(MyProcPid));
	set_reads(record, more);
}

void
warden_fill_outcome(WardenRecord *record, const char *outcome, int sqlstate,
					const char *message, int64 change_id)
{
	warden_record_set_text(record, WARDEN_REC_OUTCOME, outcome, NAMEDATALEN);
	if (sqlstate != 0)
		set_field(record, WARDEN_REC_SQLSTATE, unpack_sql_state(sqlstate));
	warden_record_set_text(record, WARDEN_REC_MESSAGE,
						   message ? warden_identity_redact(message) : NULL,
						   OUTCOME_MESSAGE_BYTES);
	if (change_id != 0)
		warden_record_set(record, WARDEN_REC_CHANGE_ID,
						  Int64GetDatum(change_id));
}

/* A person is recorded as on_behalf_of: it is who acted. */
void
warden_fill_actor(WardenRecord *record)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class == WARDEN_CLASS_AGENT ||
		principal->class == WARDEN_CLASS_OBSERVED || warden_identity_bound())
		set_identity(record, warden_identity_current());
	else
		set_field(record, WARDEN_REC_ON_BEHALF_OF,
				  warden_identity_person(GetSessionUserId()));
	set_connection(record);
	(void) set_roles(record, GetOuterUserId(), GetSessionUserId());
}

/* ----------------------------------------------------------------------
 * While an error is reported
 * ---------------------------------------------------------------------- */

/* Those of the last record, which was for this role. */
static void
set_last_names(WardenRecord *record)
{
	set_field(record, WARDEN_REC_AGENT, last_agent);
	set_field(record, WARDEN_REC_ON_BEHALF_OF, last_person);
	if (last_person[0] != '\0')
		warden_record_set(record, WARDEN_REC_ASSERTED,
						  BoolGetDatum(last_asserted));
	set_field(record, WARDEN_REC_DB_ROLE, last_role);
}

/*
 * Who fails here, without a catalog: a bound backend's identity is memory, a
 * direct login's is what its last statement as the same role was recorded
 * under, and else the role's name.  When the end of a failed transaction comes
 * the settings are back already, but the failure was recorded before.
 */
static void
set_names_at_once(WardenRecord *record, const char *login, bool is_end)
{
	const char *role = GetConfigOption("role", true, false);

	if (role == NULL || strcmp(role, "none") == 0)
		role = login != NULL ? login : "";
	if (warden_identity_bound())
	{
		set_identity(record, warden_identity_current());
		set_field(record, WARDEN_REC_DB_ROLE, role);
		remember_names(warden_identity_current(), role);
	}
	else if (last_agent[0] != '\0' && (is_end || strcmp(role, last_role) == 0))
		set_last_names(record);
	else
	{
		set_field(record, WARDEN_REC_AGENT, role);
		set_field(record, WARDEN_REC_DB_ROLE, role);
	}
}

void
warden_fill_at_once(WardenRecord *record, const char *statement,
					const char *command, bool is_end)
{
	const char *login = GetConfigOption("session_authorization", true, false);

	set_names_at_once(record, login, is_end);
	set_connection(record);
	set_field(record, WARDEN_REC_LOGIN_ROLE, login);
	set_statement(record, statement);
	set_field(record, WARDEN_REC_COMMAND, command);
}
