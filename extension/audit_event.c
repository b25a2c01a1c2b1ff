/*-------------------------------------------------------------------------
 * audit_event.c
 *	  Audit events: intent before a statement, outcome after it, and events
 *	  of the policy and the change workflow.
 *
 * A backend has at most one statement open.  Whatever way it ends, its
 * outcome goes into the room that the intent reserved: by the hooks, else by
 * the end of the transaction, else by the end of the backend.  Only a crash
 * takes it, and then the log says so.
 *
 * On a standby there is no store.  Events become JSON lines of the server
 * log, as far as warden.standby_audit allows statements there at all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/cryptohash.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inet.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_queue.h"
#include "audit_record.h"
#include "audit_worker.h"
#include "catalog.h"
#include "guc.h"
#include "identity.h"
#include "principal.h"
#include "warden.h"

/* Values of bind parameters are cut to this, each. */
#define PARAMETER_BYTES 8192

/* Cut further, so that an outcome fits into the room reserved for it. */
#define OUTCOME_MESSAGE_BYTES 600

/* The statement that is open. */
static bool is_open = false;
static bool on_standby = false; /* it was logged, not queued */
static WardenTicket ticket;
static instr_time started;

/*
 * Who the last record was for: an error may be reported where no catalog can
 * be read any more.  A gateway's backend is somebody else with every call.
 */
static char last_agent[NAMEDATALEN] = "";
static char last_role[NAMEDATALEN] = "";
static char last_person[WARDEN_RECORD_FIELD_BYTES] = "";
static bool last_asserted = false;

static bool outbox_written = false; /* in this transaction */
static bool exit_registered = false;

PG_FUNCTION_INFO_V1(warden_sql_flush_audit);
PG_FUNCTION_INFO_V1(warden_sql_list_audit_open);

/* ----------------------------------------------------------------------
 * Filling a record
 * ---------------------------------------------------------------------- */

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

static void
fill_intent(WardenRecord *record, const WardenIntent *intent)
{
	const WardenPrincipal *principal = warden_principal_current();
	const WardenIdentity *identity = warden_identity_current();

	warden_record_init(record, "intent");
	set_identity(record, identity);
	set_connection(record);
	remember_names(identity, set_roles(record, principal->role,
									   principal->login_role));
	set_statement(record, intent->statement);
	set_names(record, WARDEN_REC_PARAMETERS,
			  warden_record_array(describe_parameters(intent->params)));
	set_field(record, WARDEN_REC_COMMAND, intent->command);
	set_reads(record, &intent->reads);
}

static void
fill_outcome(WardenRecord *record, const char *outcome, int sqlstate,
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

/* ----------------------------------------------------------------------
 * JSON lines, where there is no store
 * ---------------------------------------------------------------------- */

static void
append_json_list(StringInfo line, ArrayType *array)
{
	Datum *elements;
	int n;
	int i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &n);
	appendStringInfoChar(line, '[');
	for (i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(line, ',');
		escape_json(line, TextDatumGetCString(elements[i]));
	}
	appendStringInfoChar(line, ']');
}

static void
append_json_value(StringInfo line, Datum value, Oid type)
{
	Oid output;
	bool is_varlena;

	switch (type)
	{
		case INT8OID:
			appendStringInfo(line, INT64_FORMAT, DatumGetInt64(value));
			break;
		case INT4OID:
			appendStringInfo(line, "%d", DatumGetInt32(value));
			break;
		case BOOLOID:
			appendStringInfoString(line,
								   DatumGetBool(value) ? "true" : "false");
			break;
		case TEXTOID:
			escape_json(line, TextDatumGetCString(value));
			break;
		case TEXTARRAYOID:
			append_json_list(line, DatumGetArrayTypeP(value));
			break;
		case TIMESTAMPTZOID:
			escape_json(line, timestamptz_to_str(DatumGetTimestampTz(value)));
			break;
		default:
			getTypeOutputInfo(type, &output, &is_varlena);
			escape_json(line, OidOutputFunctionCall(output, value));
			break;
	}
}

/* Every field that is not NULL, under its column's name. */
static void
log_record(const WardenRecord *record)
{
	StringInfoData line;
	int column;

	initStringInfo(&line);
	appendStringInfo(&line, "{\"node\":\"" UINT64_FORMAT "\"",
					 GetSystemIdentifier());
	for (column = WARDEN_REC_AT; column < WARDEN_REC_PREV; column++)
	{
		if (WARDEN_RECORD_NULL(record, column))
			continue;
		appendStringInfo(&line, ",\"%s\":", warden_record_column_name(column));
		append_json_value(&line, WARDEN_RECORD_VALUE(record, column),
						  warden_record_column_type(column));
	}
	appendStringInfoChar(&line, '}');
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("pg_warden audit: %s", line.data),
			 errhidestmt(true), errhidecontext(true)));
	pfree(line.data);
}

/* ----------------------------------------------------------------------
 * Intent and outcome
 * ---------------------------------------------------------------------- */

/* The backend ends inside a statement. */
static void
close_at_exit(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	warden_audit_outcome("error", ERRCODE_ADMIN_SHUTDOWN,
						 "the connection ended", 0, 0);
}

static void
open_on_standby(const WardenRecord *record)
{
	if (warden_standby_audit != WARDEN_STANDBY_LOG)
		ereport(
			ERROR,
			(errcode(WARDEN_ERRCODE_STANDBY),
			 errmsg("agents are not served on a standby"),
			 errdetail("There is no durable audit there."),
			 errhint(
				 "Connect to the primary, or ask an administrator to set warden.standby_audit to log.")));
	log_record(record);
	on_standby = true;
	is_open = true;
}

static void
open_in_queue(const WardenRecord *record, bool wait)
{
	TimestampTz deadline;
	StringInfoData data;

	initStringInfo(&data);
	warden_record_encode(record, &data);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_put_intent(&ticket, data.data, data.len, deadline, wait);
	on_standby = false;
	is_open = true;
	pfree(data.data);
	if (wait)
		warden_queue_wait(&ticket, deadline);
}

/* For one record at a time; what an error left there goes with the next. */
static MemoryContext
record_context(void)
{
	static MemoryContext context = NULL;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "warden audit record",
										ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	return context;
}

void
warden_audit_intent(const WardenIntent *intent)
{
	MemoryContext old;
	WardenRecord record;

	if (is_open)
		warden_audit_outcome("ok", 0, NULL, 0, 0);
	if (!exit_registered)
	{
		before_shmem_exit(close_at_exit, (Datum) 0);
		exit_registered = true;
	}
	old = MemoryContextSwitchTo(record_context());
	fill_intent(&record, intent);
	INSTR_TIME_SET_CURRENT(started);
	if (RecoveryInProgress())
		open_on_standby(&record);
	else
		/* transaction control reads nothing: it need not wait for the disk */
		open_in_queue(&record, warden_audit == WARDEN_AUDIT_SYNC &&
								   !intent->transaction);
	MemoryContextSwitchTo(old);
}

void
warden_audit_reads(const WardenReads *more)
{
	WardenRecord record;
	WardenTicket reads;
	StringInfoData data;
	TimestampTz deadline;

	warden_record_init(&record, "read");
	set_identity(&record, warden_identity_current());
	warden_record_set(&record, WARDEN_REC_BACKEND, Int32GetDatum(MyProcPid));
	set_reads(&record, more);
	if (RecoveryInProgress())
	{
		log_record(&record);
		return;
	}
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_put_reads(&ticket, &reads, data.data, data.len, deadline);
	pfree(data.data);
	if (warden_audit == WARDEN_AUDIT_SYNC)
		warden_queue_wait(&reads, deadline);
}

bool
warden_audit_open(void)
{
	return is_open;
}

void
warden_audit_outcome(const char *outcome, int sqlstate, const char *message,
					 uint64 rows, int64 change_id)
{
	WardenRecord record;
	StringInfoData data;
	instr_time now;

	if (!is_open)
		return;
	is_open = false;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, started);
	warden_record_init(&record, "outcome");
	fill_outcome(&record, outcome, sqlstate, message, change_id);
	warden_record_set(&record, WARDEN_REC_ROWS, Int64GetDatum((int64) rows));
	warden_record_set(&record, WARDEN_REC_DURATION_US,
					  Int64GetDatum((int64) INSTR_TIME_GET_MICROSEC(now)));
	if (on_standby)
	{
		log_record(&record);
		return;
	}
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	warden_queue_put_outcome(&ticket, data.data, data.len);
	pfree(data.data);
}

/* ----------------------------------------------------------------------
 * Failures before an intent
 * ---------------------------------------------------------------------- */

/* The library's own SQLSTATEs say no; any other says that it did not work. */
static const char *
failure_outcome(int sqlstate)
{
	const char *state = unpack_sql_state(sqlstate);

	return strncmp(state, "WD", 2) == 0 ? "refused" : "error";
}

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

/*
 * Called where an error is being reported: nothing here may raise, read a
 * catalog or wait.
 */
static void
record_at_once(const char *kind, const char *statement, const char *command,
			   const char *outcome, int sqlstate, const char *message)
{
	const char *login = GetConfigOption("session_authorization", true, false);
	bool is_end = strcmp(kind, "rollback") == 0;
	WardenRecord record;
	StringInfoData data;

	if (MyProc == NULL || !OidIsValid(MyDatabaseId))
		return;
	warden_record_init(&record, kind);
	set_names_at_once(&record, login, is_end);
	set_connection(&record);
	set_field(&record, WARDEN_REC_LOGIN_ROLE, login);
	set_statement(&record, statement);
	set_field(&record, WARDEN_REC_COMMAND, command);
	fill_outcome(&record, outcome, sqlstate, message, 0);
	if (RecoveryInProgress())
	{
		log_record(&record);
		return;
	}
	initStringInfo(&data);
	warden_record_encode(&record, &data);
	if (!warden_queue_try_put(data.data, data.len))
		log_record(&record);
	pfree(data.data);
}

void
warden_audit_failure(const char *statement, const char *command, int sqlstate,
					 const char *message)
{
	record_at_once("failure", statement, command, failure_outcome(sqlstate),
				   sqlstate, message);
}

void
warden_audit_rollback(const char *statement, const char *command)
{
	record_at_once("rollback", statement, command, "ok", 0, NULL);
}

/* ----------------------------------------------------------------------
 * Actions: through a row of the caller's own transaction
 * ---------------------------------------------------------------------- */

static const char outbox_sql[] =
	"INSERT INTO warden.audit_outbox (at, agent, on_behalf_of, asserted, db_role,"
	" login_role, client_addr, backend, session_id, request_id, tool, prompt_ref,"
	" outcome, change_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
	" $10, $11, $12, $13, $14, $15)";

/* The columns of the statement above. */
static const WardenRecordColumn outbox_columns[] =
	{WARDEN_REC_AT,			 WARDEN_REC_AGENT,	   WARDEN_REC_ON_BEHALF_OF,
	 WARDEN_REC_ASSERTED,	 WARDEN_REC_DB_ROLE,   WARDEN_REC_LOGIN_ROLE,
	 WARDEN_REC_CLIENT_ADDR, WARDEN_REC_BACKEND,   WARDEN_REC_SESSION_ID,
	 WARDEN_REC_REQUEST_ID,	 WARDEN_REC_TOOL,	   WARDEN_REC_PROMPT_REF,
	 WARDEN_REC_OUTCOME,	 WARDEN_REC_CHANGE_ID, WARDEN_REC_DETAIL};

static void
insert_outbox(void *arg)
{
	const WardenRecord *record = arg;
	Oid types[lengthof(outbox_columns)];
	Datum values[lengthof(outbox_columns)];
	char nulls[lengthof(outbox_columns)];
	Size i;

	for (i = 0; i < lengthof(outbox_columns); i++)
	{
		types[i] = warden_record_column_type(outbox_columns[i]);
		values[i] = WARDEN_RECORD_VALUE(record, outbox_columns[i]);
		nulls[i] = WARDEN_RECORD_NULL(record, outbox_columns[i]) ? 'n' : ' ';
	}
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(outbox_sql, lengthof(outbox_columns), types,
							  values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the audit outbox");
	SPI_finish();
}

/* A person is recorded as on_behalf_of: it is who acted. */
static void
fill_actor(WardenRecord *record)
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

void
warden_audit_action(const char *action, int64 change_id, const char *detail)
{
	WardenRecord record;

	/* the install script and pg_upgrade are nobody's action */
	if (creating_extension || IsBinaryUpgrade || !warden_catalog_installed())
		return;
	warden_record_init(&record, "action");
	fill_actor(&record);
	fill_outcome(&record, action, 0, NULL, change_id);
	warden_record_set_text(&record, WARDEN_REC_DETAIL, detail,
						   warden_audit_statement_size);
	warden_principal_run_internal(insert_outbox, &record);

	/*
	 * A restore labels columns before it gets to the trail.  Its actions stay
	 * in the outbox until something else is recorded, so that the worker does
	 * not begin a trail of its own where the dump's is to be.
	 */
	if (check_function_bodies || !superuser_arg(GetSessionUserId()))
		outbox_written = true;
}

/* ----------------------------------------------------------------------
 * Ends of transactions
 * ---------------------------------------------------------------------- */

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (outbox_written)
				warden_queue_signal_outbox();
			outbox_written = false;
			warden_audit_outcome("ok", 0, NULL, 0, 0);
			break;
		case XACT_EVENT_ABORT:
			outbox_written = false;
			warden_audit_outcome("error", 0, NULL, 0, 0);
			break;
		case XACT_EVENT_PREPARE:
			/* the worker looks into the outbox whenever it starts */
			outbox_written = false;
			break;
		default:
			break;
	}
}

/* ----------------------------------------------------------------------
 * SQL
 * ---------------------------------------------------------------------- */

/* warden.flush_audit(): waits until all that is recorded can be seen */
Datum
warden_sql_flush_audit(PG_FUNCTION_ARGS)
{
	TimestampTz deadline;

	(void) fcinfo;
	if (RecoveryInProgress())
		PG_RETURN_VOID();
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
										   warden_audit_timeout);
	warden_queue_flush(deadline);
	PG_RETURN_VOID();
}

/* warden.audit_open_statements() -> bigint[] */
Datum
warden_sql_list_audit_open(PG_FUNCTION_ARGS)
{
	List *ids = NIL;
	ListCell *cell;
	Datum *elements;
	int n = 0;

	(void) fcinfo;
	if (!RecoveryInProgress())
		ids = warden_queue_open_statements();
	elements = palloc(sizeof(Datum) * (list_length(ids) + 1));
	foreach(cell, ids)
		elements[n++] = Int64GetDatum(*(int64 *) lfirst(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, INT8OID, sizeof(int64),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

void
warden_audit_init(void)
{
	DefineCustomIntVariable(
		"warden.audit_head_interval",
		"Time between two lines with the audit chain's head in the server log.",
		"Zero writes none.", &warden_audit_head_interval, 0, 0, 86400,
		PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	warden_queue_init();
	RegisterXactCallback(end_transaction, NULL);
}
