/*-------------------------------------------------------------------------
 * audit_line.c
 *	  Audit records as JSON lines of the server log: where there is no store,
 *	  on a standby, and where there is no room.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "postmaster/postmaster.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_fill.h"
#include "audit_record.h"
#include "identity.h"

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

/* An error may be on its way: nothing is looked up here. */
static void
append_json_value(StringInfo line, Datum value, Oid type)
{
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
		case INETOID:
			escape_json(line,
						DatumGetCString(DirectFunctionCall1(inet_out, value)));
			break;
		case BYTEAOID:
			escape_json(line,
						DatumGetCString(DirectFunctionCall1(byteaout, value)));
			break;
		default:
			Assert(false);
			break;
	}
}

/*
 * Which server: node is that of the primary and of all its standbys, which the
 * host and the port tell apart.
 */
static void
append_server(StringInfo line)
{
	char host[256];

	appendStringInfo(line, "{\"node\":\"" UINT64_FORMAT "\"",
					 GetSystemIdentifier());
	if (gethostname(host, sizeof(host)) != 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	appendStringInfoString(line, ",\"host\":");
	escape_json(line, host);
	appendStringInfo(line, ",\"port\":%d", PostPortNumber);
}

/* Every field that is not NULL, under its column's name. */
void
warden_audit_log_line(const WardenRecord *record)
{
	StringInfoData line;
	int column;

	initStringInfo(&line);
	appendStringInfoString(&line, WARDEN_LOG_RECORD);
	append_server(&line);
	for (column = WARDEN_REC_AT; column < WARDEN_REC_PREV; column++)
	{
		if (WARDEN_RECORD_NULL(record, column))
			continue;
		appendStringInfo(&line, ",\"%s\":", warden_record_column_name(column));
		append_json_value(&line, WARDEN_RECORD_VALUE(record, column),
						  warden_record_column_type(column));
	}
	appendStringInfoChar(&line, '}');
	warden_identity_log(line.data);
	pfree(line.data);
}
