/*-------------------------------------------------------------------------
 * audit_record.c
 *	  One row of warden.audit_events: its columns, its form in the queue and
 *	  its hash.
 *
 * The hash is taken over values, not over bytes on disk: integers in network
 * order, text as it is, arrays element by element, each with its length in
 * front, so that it can be recomputed from a dump, on another architecture,
 * or by a program that is not PostgreSQL.  docs describe the encoding; any
 * change to it needs a new format number in the epoch record.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_record.h"
#include "warden.h"

typedef struct RecordColumnDef
{
	const char *name;
	Oid type;
} RecordColumnDef;

/* In the order of WardenRecordColumn and of the table. */
static const RecordColumnDef columns[WARDEN_RECORD_COLUMNS] = {
	{"id", INT8OID},
	{"epoch", INT8OID},
	{"at", TIMESTAMPTZOID},
	{"stored_at", TIMESTAMPTZOID},
	{"kind", TEXTOID},
	{"statement_id", INT8OID},
	{"agent", TEXTOID},
	{"on_behalf_of", TEXTOID},
	{"asserted", BOOLOID},
	{"db_role", TEXTOID},
	{"login_role", TEXTOID},
	{"client_addr", INETOID},
	{"backend", INT4OID},
	{"session_id", TEXTOID},
	{"request_id", TEXTOID},
	{"tool", TEXTOID},
	{"prompt_ref", TEXTOID},
	{"statement", TEXTOID},
	{"statement_bytes", INT8OID},
	{"statement_digest", BYTEAOID},
	{"parameters", TEXTARRAYOID},
	{"command", TEXTOID},
	{"relations", TEXTARRAYOID},
	{"masked_columns", TEXTARRAYOID},
	{"clear_columns", TEXTARRAYOID},
	{"rows", INT8OID},
	{"duration_us", INT8OID},
	{"outcome", TEXTOID},
	{"sqlstate", TEXTOID},
	{"message", TEXTOID},
	{"change_id", INT8OID},
	{"detail", TEXTOID},
	{"prev", BYTEAOID},
	{"hash", BYTEAOID},
};

void
warden_record_init(WardenRecord *record, const char *kind)
{
	memset(record->values, 0, sizeof(record->values));
	memset(record->nulls, true, sizeof(record->nulls));
	warden_record_set(record, WARDEN_REC_AT,
					  TimestampTzGetDatum(GetCurrentTimestamp()));
	warden_record_set(record, WARDEN_REC_KIND, CStringGetTextDatum(kind));
}

void
warden_record_set(WardenRecord *record, WardenRecordColumn column, Datum value)
{
	WARDEN_RECORD_VALUE(record, column) = value;
	WARDEN_RECORD_NULL(record, column) = false;
}

void
warden_record_set_text(WardenRecord *record, WardenRecordColumn column,
					   const char *value, int limit)
{
	int len;

	if (value == NULL || value[0] == '\0')
		return;
	len = (int) Min(strlen(value), (size_t) MaxAllocSize / 2);
	if (len > limit)
		len = pg_mbcliplen(value, len, limit);
	warden_record_set(record, column,
					  PointerGetDatum(cstring_to_text_with_len(value, len)));
}

Datum
warden_record_array(List *values)
{
	Datum *elements;
	ListCell *cell;
	int n = 0;

	if (values == NIL)
		return 0;
	elements = palloc(sizeof(Datum) * list_length(values));
	foreach(cell, values)
		elements[n++] = CStringGetTextDatum((const char *) lfirst(cell));
	return PointerGetDatum(
		construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* ----------------------------------------------------------------------
 * The form in the queue: a null flag per column, then the values at their
 * natural alignment, in this machine's own representation.
 * ---------------------------------------------------------------------- */

static bool
is_by_value(Oid type)
{
	return type == INT8OID || type == TIMESTAMPTZOID || type == INT4OID ||
		type == BOOLOID;
}

/* Appends at the next aligned place; what is between is zero. */
static void
append_aligned(StringInfo out, const void *data, int len)
{
	int at = MAXALIGN(out->len);

	if (out->maxlen < at + len + 1)
		enlargeStringInfo(out, at + len - out->len);
	memset(out->data + out->len, 0, at - out->len);
	memcpy(out->data + at, data, len);
	out->len = at + len;
}

void
warden_record_encode(const WardenRecord *record, StringInfo out)
{
	int i;

	Assert(out->len == 0);
	append_aligned(out, record->nulls, sizeof(record->nulls));
	for (i = 0; i < WARDEN_RECORD_COLUMNS; i++)
	{
		struct varlena *value;

		if (record->nulls[i])
			continue;
		if (is_by_value(columns[i].type))
		{
			append_aligned(out, &record->values[i], sizeof(Datum));
			continue;
		}
		value = PG_DETOAST_DATUM(record->values[i]);
		append_aligned(out, value, VARSIZE(value));
	}
	append_aligned(out, "", 0);
}

void
warden_record_decode(char *data, WardenRecord *record)
{
	Size at = sizeof(record->nulls);
	int i;

	Assert(data == (char *) MAXALIGN(data));
	memset(record->values, 0, sizeof(record->values));
	memcpy(record->nulls, data, sizeof(record->nulls));
	for (i = 0; i < WARDEN_RECORD_COLUMNS; i++)
	{
		if (record->nulls[i])
			continue;
		at = MAXALIGN(at);
		if (is_by_value(columns[i].type))
		{
			memcpy(&record->values[i], data + at, sizeof(Datum));
			at += sizeof(Datum);
			continue;
		}
		record->values[i] = PointerGetDatum(data + at);
		at += VARSIZE(data + at);
	}
}

/* ----------------------------------------------------------------------
 * The hash
 * ---------------------------------------------------------------------- */

static void
append_uint32(StringInfo buf, uint32 value)
{
	value = pg_hton32(value);
	appendBinaryStringInfo(buf, (char *) &value, sizeof(value));
}

static void
append_uint64(StringInfo buf, uint64 value)
{
	value = pg_hton64(value);
	appendBinaryStringInfo(buf, (char *) &value, sizeof(value));
}

/* the length in front; -1 (all ones) says NULL, which no length can be */
static void
append_bytes(StringInfo buf, const char *bytes, int len)
{
	append_uint32(buf, (uint32) len);
	appendBinaryStringInfo(buf, bytes, len);
}

static void
append_array(StringInfo buf, ArrayType *array)
{
	Datum *elements;
	bool *nulls;
	int n;
	int i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	append_uint32(buf, (uint32) n);
	for (i = 0; i < n; i++)
	{
		text *element;

		if (nulls[i])
		{
			append_uint32(buf, PG_UINT32_MAX);
			continue;
		}
		element = DatumGetTextPP(elements[i]);
		append_bytes(buf, VARDATA_ANY(element), VARSIZE_ANY_EXHDR(element));
	}
}

static void
append_value(StringInfo buf, Datum value, Oid type)
{
	struct varlena *bytes;

	switch (type)
	{
		case INT8OID:
		case TIMESTAMPTZOID:
			append_uint32(buf, sizeof(uint64));
			append_uint64(buf, (uint64) DatumGetInt64(value));
			break;
		case INT4OID:
			append_uint32(buf, sizeof(uint32));
			append_uint32(buf, (uint32) DatumGetInt32(value));
			break;
		case BOOLOID:
			append_bytes(buf, DatumGetBool(value) ? "t" : "f", 1);
			break;
		case TEXTARRAYOID:
			append_array(buf, DatumGetArrayTypeP(value));
			break;
		default:
			bytes = PG_DETOAST_DATUM_PACKED(value);
			append_bytes(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
	}
}

void
warden_record_hash(const WardenRecord *record, pg_cryptohash_ctx *context,
				   uint8 hash[WARDEN_HASH_BYTES])
{
	StringInfoData buf;
	int i;

	initStringInfo(&buf);
	for (i = 0; i < WARDEN_REC_HASH - 1; i++)
	{
		if (record->nulls[i])
			append_uint32(&buf, PG_UINT32_MAX);
		else
			append_value(&buf, record->values[i], columns[i].type);
	}
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (uint8 *) buf.data, buf.len) < 0 ||
		pg_cryptohash_final(context, hash, WARDEN_HASH_BYTES) < 0)
		ereport(
			ERROR,
			(errcode(WARDEN_ERRCODE_AUDIT),
			 errmsg("could not hash an audit record: %s",
					pg_cryptohash_error(context)),
			 errhint(
				 "Ask an administrator to look at the server's OpenSSL configuration.")));
	pfree(buf.data);
}

/* ----------------------------------------------------------------------
 * The table
 * ---------------------------------------------------------------------- */

void
warden_record_check_table(TupleDesc desc)
{
	int i;

	for (i = 0; i < WARDEN_RECORD_COLUMNS && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || att->atttypid != columns[i].type ||
			strcmp(NameStr(att->attname), columns[i].name) != 0)
			break;
	}
	if (i == WARDEN_RECORD_COLUMNS && desc->natts == WARDEN_RECORD_COLUMNS)
		return;
	ereport(
		ERROR,
		(errcode(WARDEN_ERRCODE_AUDIT),
		 errmsg(
			 "table \"warden.audit_events\" does not have the columns that the library writes"),
		 errhint("Run ALTER EXTENSION pg_warden UPDATE.")));
}

const char *
warden_record_column_name(WardenRecordColumn column)
{
	return columns[column - 1].name;
}

Oid
warden_record_column_type(WardenRecordColumn column)
{
	return columns[column - 1].type;
}

char *
warden_record_hex(const uint8 *bytes, int n)
{
	char *hex = palloc(n * 2 + 1);

	hex_encode((const char *) bytes, n, hex);
	hex[n * 2] = '\0';
	return hex;
}

char *
warden_record_retired(int64 id, const uint8 *hash)
{
	return psprintf("through=" INT64_FORMAT " hash=%s", id,
					warden_record_hex(hash, WARDEN_HASH_BYTES));
}
