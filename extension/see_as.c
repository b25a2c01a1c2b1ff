/*-------------------------------------------------------------------------
 * see_as.c
 *	  warden.see_as(): what an agent would get, shown to an administrator
 *	  before a token exists.
 *
 * The query runs as the agent's role under an agent's principal, through the
 * same planner and executor hooks as the agent's own statements, so that what
 * is shown is what would be sent.  It is nested in the administrator's
 * statement: a write is refused instead of diverted.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "nesting.h"
#include "principal.h"
#include "warden.h"

PG_FUNCTION_INFO_V1(warden_sql_see_as);

/* What the query is run for. */
typedef struct SeeAs
{
	const char *agent;
	const char *sql;
	Oid			role;
	int			max_rows;
	bool		explain;
	ReturnSetInfo *result;
} SeeAs;

/* Reads the agent's role and row limit, as the extension's owner. */
static void
load_agent(void *arg)
{
	SeeAs	   *see = arg;
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(see->agent)};
	bool		isnull;
	int			status;

	SPI_connect();
	status = SPI_execute_with_args("SELECT role::oid, max_rows FROM warden.agents WHERE agent = $1 AND enabled",
								   1, types, values, NULL, true, 1);
	if (status == SPI_OK_SELECT && SPI_processed == 1)
	{
		see->role = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
												   SPI_tuptable->tupdesc, 1,
												   &isnull));
		see->max_rows = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 2,
													&isnull));
		if (isnull)
			see->max_rows = 0;
	}
	SPI_finish();
}

/*
 * One SELECT or EXPLAIN, decided on its parse tree.  SPI counts no utility
 * statement among those that only read.
 */
static void
require_read(SeeAs *see)
{
	List	   *raw = raw_parser(see->sql, RAW_PARSE_DEFAULT);

	if (list_length(raw) != 1 ||
		(!IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt) &&
		 !IsA(linitial_node(RawStmt, raw)->stmt, ExplainStmt)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("see_as shows the result of one SELECT or EXPLAIN"),
				 errhint("A write of the agent would be recorded as a pending change.")));
	see->explain = IsA(linitial_node(RawStmt, raw)->stmt, ExplainStmt);
}

/* The row as jsonb, in the output functions' own text for other types. */
static Datum
row_as_json(HeapTuple tuple, TupleDesc desc)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	int			i;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 1; i <= desc->natts; i++)
	{
		char	   *text = SPI_getvalue(tuple, desc, i);
		JsonbValue	value;

		value.type = jbvString;
		value.val.string.val = SPI_fname(desc, i);
		value.val.string.len = strlen(value.val.string.val);
		(void) pushJsonbValue(&state, WJB_KEY, &value);
		value.type = text != NULL ? jbvString : jbvNull;
		if (text != NULL)
		{
			value.val.string.val = text;
			value.val.string.len = strlen(text);
		}
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

static void
collect(SeeAs *see)
{
	uint64		i;

	SPI_connect();
	(void) SPI_execute(see->sql, !see->explain, see->max_rows);
	for (i = 0; SPI_tuptable != NULL && i < SPI_processed; i++)
	{
		Datum		value = row_as_json(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc);
		bool		isnull = false;

		tuplestore_putvalues(see->result->setResult, see->result->setDesc,
							 &value, &isnull);
	}
	SPI_finish();
}

/* Under the agent's principal and role, which end however it ends. */
static void
collect_as_agent(SeeAs *see)
{
	Oid			save_userid;
	int			save_sec_context;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	PG_TRY();
	{
		warden_principal_assume(see->role);
		SetUserIdAndSecContext(see->role,
							   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		collect(see);
	}
	PG_FINALLY();
	{
		SetUserIdAndSecContext(save_userid, save_sec_context);
		warden_principal_assume(InvalidOid);
	}
	PG_END_TRY();
}

/*
 * warden.see_as(agent text, sql text) -> setof jsonb
 *
 * The rows that the agent would get, one object each, values as text.  For
 * members of warden_admin, as a statement of its own.
 */
Datum
warden_sql_see_as(PG_FUNCTION_ARGS)
{
	SeeAs		see = {0};
	Oid			admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	if (!superuser() &&
		!(OidIsValid(admin) && has_privs_of_role(GetUserId(), admin)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to see as an agent"),
				 errhint("Only members of %s may.", WARDEN_ROLE_ADMIN)));
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a governed session can not see as another"),
				 errhint("Ask a member of %s.", WARDEN_ROLE_ADMIN)));
	warden_nesting_require_toplevel(fcinfo, "see_as",
									WARDEN_ERRCODE_NOT_PERMITTED);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the agent or the query is missing"),
				 errhint("Name an agent of warden.agents, and give one SELECT.")));
	see.agent = text_to_cstring(PG_GETARG_TEXT_PP(0));
	see.sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	require_read(&see);
	warden_principal_run_internal(load_agent, &see);
	if (!OidIsValid(see.role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no enabled agent \"%s\"", see.agent),
				 errhint("See warden.agents.")));
	warden_audit_action("see_as", 0, psprintf("%s: %s", see.agent, see.sql));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	see.result = (ReturnSetInfo *) fcinfo->resultinfo;
	collect_as_agent(&see);
	return (Datum) 0;
}
