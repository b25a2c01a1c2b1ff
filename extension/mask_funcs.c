/*-------------------------------------------------------------------------
 * mask_funcs.c
 *	  warden.apply_mask: what a mask makes of one value.
 *
 * Everything that can be known before the first row is in the compiled
 * specification (mask_build.c); what runs per row is a switch and the work
 * itself.  Rules that every mask here keeps:
 *
 *	- it never raises an error that depends on the value, and a value that
 *	  does not fit the mask's pattern is hidden whole;
 *	- nothing but the value, the specification and the stored key decides the
 *	  result: no setting that the session can change (DateStyle, TimeZone),
 *	  or varying the setting would bring out the value bit by bit;
 *	- a mask that ignores its input, or can tell from its size that it does
 *	  not fit, does not detoast it.
 *
 * The result may point into the specification, which lives as long as the
 * plan that it is a constant of.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <sys/socket.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "common/hmac.h"
#include "common/int.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/formatting.h"
#include "utils/inet.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "mask.h"
#include "mask_private.h"
#include "warden.h"

/* The row of warden.mask_keys with the key of hash. */
#define HASH_KEY_NAME "hash"

/* ---- hash ----------------------------------------------------------- */

/* Copies the key into "key"; raises if it is not there. */
static void
load_hash_key(uint8 *key)
{
	Relation relation;
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	relation = table_open(warden_catalog_relation("mask_keys"),
						  AccessShareLock);
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc desc = RelationGetDescr(relation);
		bool isnull;
		Datum name = heap_getattr(tuple, 1, desc, &isnull);
		Datum value;
		bytea *bytes;

		if (isnull || strcmp(TextDatumGetCString(name), HASH_KEY_NAME) != 0)
			continue;
		value = heap_getattr(tuple, 2, desc, &isnull);
		if (isnull)
			continue;
		bytes = DatumGetByteaPP(value);
		if (VARSIZE_ANY_EXHDR(bytes) != WARDEN_MASK_HASH_LEN)
			continue;
		memcpy(key, VARDATA_ANY(bytes), WARDEN_MASK_HASH_LEN);
		found = true;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);

	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key of the hash mask is missing"),
				 errhint("A superuser can put one into warden.mask_keys with "
						 "warden.generate_mask_key().")));
}

/*
 * HMAC-SHA256 under the stored key, which is read once per execution: it is
 * one page, and a key that is replaced takes effect at the next statement.
 */
static void
compute_hash(WardenMaskBytes in, uint8 *digest, void **cache,
			 MemoryContext context)
{
	pg_hmac_ctx *hmac;

	if (*cache == NULL)
	{
		uint8 *key = MemoryContextAlloc(context, WARDEN_MASK_HASH_LEN);

		load_hash_key(key);
		*cache = key;
	}

	hmac = pg_hmac_create(PG_SHA256);
	if (hmac == NULL ||
		pg_hmac_init(hmac, (uint8 *) *cache, WARDEN_MASK_HASH_LEN) < 0 ||
		pg_hmac_update(hmac, (const uint8 *) in.data, in.len) < 0 ||
		pg_hmac_final(hmac, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a keyed hash"),
				 errhint("Check that OpenSSL works on this server.")));
	pg_hmac_free(hmac);
}

static Datum
hash_text(const WardenMaskSpec *spec, Datum value, void **cache,
		  MemoryContext context)
{
	WardenMaskBytes in = warden_mask_open(spec, value);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	char digits[32];

	/* equal values must have equal hashes, whatever "equal" is to the type */
	if (spec->class == WARDEN_VALUE_CITEXT)
	{
		in.data = str_tolower(in.data, in.len, DEFAULT_COLLATION_OID);
		in.len = strlen(in.data);
	}
	compute_hash(in, digest, cache, context);
	hex_encode((char *) digest, sizeof(digits) / 2, digits);
	return PointerGetDatum(warden_mask_fit(spec, digits, sizeof(digits)));
}

static Datum
hash_bytea(Datum value, void **cache, MemoryContext context)
{
	bytea *bytes = DatumGetByteaPP(value);
	WardenMaskBytes in = {VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)};
	bytea *result = palloc(VARHDRSZ + PG_SHA256_DIGEST_LENGTH);

	SET_VARSIZE(result, VARHDRSZ + PG_SHA256_DIGEST_LENGTH);
	compute_hash(in, (uint8 *) VARDATA(result), cache, context);
	return PointerGetDatum(result);
}

/* A UUID of version 8, the one for values of somebody's own making. */
static Datum
hash_uuid(Datum value, void **cache, MemoryContext context)
{
	WardenMaskBytes in = {(char *) DatumGetUUIDP(value)->data, UUID_LEN};
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	pg_uuid_t *result = palloc(sizeof(pg_uuid_t));

	compute_hash(in, digest, cache, context);
	memcpy(result->data, digest, UUID_LEN);
	result->data[6] = (result->data[6] & 0x0f) | 0x80;
	result->data[8] = (result->data[8] & 0x3f) | 0x80;
	return UUIDPGetDatum(result);
}

/* Never negative, so that it looks like what identifies rows. */
static int64
hash_int(int64 value, void **cache, MemoryContext context)
{
	uint64 wire = pg_hton64((uint64) value);
	WardenMaskBytes in = {(char *) &wire, sizeof(wire)};
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	uint64 word;

	compute_hash(in, digest, cache, context);
	memcpy(&word, digest, sizeof(word));
	return (int64) (pg_ntoh64(word) >> 1);
}

static Datum
mask_hash(const WardenMaskSpec *spec, Datum value, void **cache,
		  MemoryContext context, bool *isnull)
{
	switch (spec->class)
	{
		case WARDEN_VALUE_TEXT:
		case WARDEN_VALUE_CITEXT:
		case WARDEN_VALUE_BPCHAR:
			return hash_text(spec, value, cache, context);
		case WARDEN_VALUE_BYTEA:
			return hash_bytea(value, cache, context);
		case WARDEN_VALUE_UUID:
			return hash_uuid(value, cache, context);
		case WARDEN_VALUE_INT4:
			return Int32GetDatum(
				(int32) (hash_int(DatumGetInt32(value), cache, context) >> 32));
		case WARDEN_VALUE_INT8:
			return Int64GetDatum(
				hash_int(DatumGetInt64(value), cache, context));
		default:
			/* mask_build.c made a NULL constant of it */
			*isnull = true;
			return (Datum) 0;
	}
}

/* ---- numbers -------------------------------------------------------- */

/* The multiple of width at or below value, but not below min. */
static int64
bucket_int(int64 value, int64 width, int64 min)
{
	int64 rest = value % width;
	int64 result = value - rest;

	if (rest < 0 && pg_sub_s64_overflow(result, width, &result))
		return min;
	return Max(result, min);
}

/*
 * "limit" is where the type's own spacing gets as wide as the bucket: from
 * there on the value would stand there as it is.
 */
static double
bucket_float(double value, double width, double limit, bool *isnull)
{
	double quotient;

	if (isnan(value) || isinf(value))
		return value;
	quotient = floor(value / width);
	if (isnan(quotient) || fabs(quotient) >= limit)
	{
		*isnull = true;
		return 0;
	}
	return quotient * width;
}

static Datum
bucket_numeric(const WardenMaskSpec *spec, Datum value)
{
	Datum width = PointerGetDatum(WARDEN_MASK_PAYLOAD(spec));
	Datum zero;
	Datum rest;
	Datum result;

	if (numeric_is_nan(DatumGetNumeric(value)) ||
		numeric_is_inf(DatumGetNumeric(value)))
		return value;

	zero = NumericGetDatum(int64_to_numeric(0));
	rest = DirectFunctionCall2(numeric_mod, value, width);
	result = DirectFunctionCall2(numeric_sub, value, rest);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, rest, zero)))
		result = DirectFunctionCall2(numeric_sub, result, width);
	if (spec->bounded)
		result = DirectFunctionCall2(numeric_larger, result,
									 PointerGetDatum((char *) spec +
													 spec->bound_offset));
	/* exact: only the number of zeros after the point, which would show how
	 * many digits the value has */
	return DirectFunctionCall2(numeric_round, result,
							   Int32GetDatum(spec->numbers[0]));
}

static Datum
mask_bucket(const WardenMaskSpec *spec, Datum value, bool *isnull)
{
	int64 width = 1;
	double real = 1;

	if (spec->class == WARDEN_VALUE_FLOAT4 ||
		spec->class == WARDEN_VALUE_FLOAT8)
		memcpy(&real, WARDEN_MASK_PAYLOAD(spec), sizeof(real));
	else if (spec->class != WARDEN_VALUE_NUMERIC)
		memcpy(&width, WARDEN_MASK_PAYLOAD(spec), sizeof(width));

	switch (spec->class)
	{
		case WARDEN_VALUE_INT2:
			return Int16GetDatum(
				(int16) bucket_int(DatumGetInt16(value), width, PG_INT16_MIN));
		case WARDEN_VALUE_INT4:
			return Int32GetDatum(
				(int32) bucket_int(DatumGetInt32(value), width, PG_INT32_MIN));
		case WARDEN_VALUE_INT8:
			return Int64GetDatum(
				bucket_int(DatumGetInt64(value), width, PG_INT64_MIN));
		case WARDEN_VALUE_FLOAT4:
			return Float4GetDatum((float4) bucket_float(DatumGetFloat4(value),
														real, 8388608.0,
														isnull));
		case WARDEN_VALUE_FLOAT8:
			return Float8GetDatum(bucket_float(DatumGetFloat8(value), real,
											   4503599627370496.0, isnull));
		case WARDEN_VALUE_NUMERIC:
			return bucket_numeric(spec, value);
		default:
			*isnull = true;
			return (Datum) 0;
	}
}

/* ---- dates ---------------------------------------------------------- */

/* The largest multiple of unit that is not above year. */
static int
floor_year(int year, int unit)
{
	int rest = year % unit;

	return year - (rest < 0 ? rest + unit : rest);
}

/* First day of the unit that a day (counted from 2000-01-01) lies in. */
static int64
truncate_day(int64 day, WardenMaskUnit unit)
{
	int julian = (int) day + POSTGRES_EPOCH_JDATE;
	int year;
	int month;
	int mday;

	if (unit <= WARDEN_UNIT_DAY)
		return day;
	if (unit == WARDEN_UNIT_WEEK)
		return day - (j2day(julian) + 6) % 7;

	j2date(julian, &year, &month, &mday);
	switch (unit)
	{
		case WARDEN_UNIT_MONTH:
			break;
		case WARDEN_UNIT_QUARTER:
			month = (month - 1) / 3 * 3 + 1;
			break;
		case WARDEN_UNIT_DECADE:
			year = floor_year(year, 10);
			month = 1;
			break;
		case WARDEN_UNIT_CENTURY:
			year = floor_year(year - 1, 100) + 1;
			month = 1;
			break;
		case WARDEN_UNIT_MILLENNIUM:
			year = floor_year(year - 1, 1000) + 1;
			month = 1;
			break;
		default:
			month = 1;
			break;
	}
	/* before what Julian days can count */
	if (!IS_VALID_JULIAN(year, month, 1))
		return PG_INT32_MIN;
	return date2j(year, month, 1) - POSTGRES_EPOCH_JDATE;
}

static Datum
mask_date(const WardenMaskSpec *spec, Datum value, bool *isnull)
{
	DateADT date = DatumGetDateADT(value);
	int64 day;

	if (DATE_NOT_FINITE(date))
		return value;
	day = truncate_day(date, spec->unit);
	if (day == PG_INT32_MIN || !IS_VALID_DATE(day))
	{
		*isnull = true;
		return (Datum) 0;
	}
	return DateADTGetDatum((DateADT) day);
}

/*
 * With time zone: in UTC, whatever the session's TimeZone, which an agent may
 * set, to a second: where the day changes would tell it the time.
 */
static Datum
mask_timestamp(const WardenMaskSpec *spec, Datum value, bool *isnull)
{
	Timestamp time = DatumGetTimestamp(value);
	int64 day;
	int64 rest;
	int64 unit = 0;

	if (TIMESTAMP_NOT_FINITE(time))
		return value;

	rest = time % USECS_PER_DAY;
	if (rest < 0)
		rest += USECS_PER_DAY;
	day = (time - rest) / USECS_PER_DAY;

	if (spec->unit == WARDEN_UNIT_SECOND)
		unit = USECS_PER_SEC;
	else if (spec->unit == WARDEN_UNIT_MINUTE)
		unit = USECS_PER_MINUTE;
	else if (spec->unit == WARDEN_UNIT_HOUR)
		unit = USECS_PER_HOUR;

	if (unit != 0)
		time -= rest % unit;
	else
	{
		day = truncate_day(day, spec->unit);
		time = day == PG_INT32_MIN ? DT_NOBEGIN : day * USECS_PER_DAY;
	}
	if (!IS_VALID_TIMESTAMP(time))
	{
		*isnull = true;
		return (Datum) 0;
	}
	return TimestampGetDatum(time);
}

/* ---- network addresses ---------------------------------------------- */

/* 192.0.2.77 -> 192.0.2.0/24 */
static Datum
mask_inet(const WardenMaskSpec *spec, Datum value)
{
	inet *in = DatumGetInetPP(value);
	Size size = VARHDRSZ + offsetof(inet_struct, ipaddr) +
		(ip_family(in) == PGSQL_AF_INET ? 4 : 16);
	inet *out = palloc0(size);
	int bits = spec->numbers[ip_family(in) == PGSQL_AF_INET ? 0 : 1];

	/* a wider network is shown as it is, not as a narrower one */
	bits = Min(bits, ip_bits(in));

	SET_VARSIZE(out, size);
	ip_family(out) = ip_family(in);
	ip_bits(out) = bits;
	memcpy(ip_addr(out), ip_addr(in), bits / 8);
	if (bits % 8 != 0)
		ip_addr(out)[bits / 8] = ip_addr(in)[bits / 8] &
			(unsigned char) (0xff << (8 - bits % 8));
	return InetPGetDatum(out);
}

/* ---- dispatch ------------------------------------------------------- */

Datum
warden_mask_apply(const WardenMaskSpec *spec, Datum value, void **cache,
				  MemoryContext context, bool *isnull)
{
	*isnull = false;
	switch (spec->kind)
	{
		case WARDEN_MASK_CONST:
			if (spec->byval)
			{
				Datum constant;

				memcpy(&constant, WARDEN_MASK_PAYLOAD(spec), sizeof(Datum));
				return constant;
			}
			return PointerGetDatum(WARDEN_MASK_PAYLOAD(spec));
		case WARDEN_MASK_SSN:
		case WARDEN_MASK_EMAIL:
		case WARDEN_MASK_NAME:
		case WARDEN_MASK_PHONE:
		case WARDEN_MASK_CARD:
		case WARDEN_MASK_PARTIAL:
			return PointerGetDatum(warden_mask_text(spec, value));
		case WARDEN_MASK_HASH:
			return mask_hash(spec, value, cache, context, isnull);
		case WARDEN_MASK_BUCKET:
			return mask_bucket(spec, value, isnull);
		case WARDEN_MASK_DATE:
			if (spec->class == WARDEN_VALUE_DATE)
				return mask_date(spec, value, isnull);
			return mask_timestamp(spec, value, isnull);
		case WARDEN_MASK_INET:
			return mask_inet(spec, value);
		case WARDEN_MASK_JSON:
			return warden_mask_json(spec, value, cache, context, isnull);
		default:
			/* unknown: show nothing */
			*isnull = true;
			return (Datum) 0;
	}
}

PG_FUNCTION_INFO_V1(warden_sql_apply_mask);

Datum
warden_sql_apply_mask(PG_FUNCTION_ARGS)
{
	FmgrInfo *flinfo = fcinfo->flinfo;
	bool isnull;
	Datum result;

	result = warden_mask_apply(PG_GETARG_MASK_SPEC(1), PG_GETARG_DATUM(0),
							   &flinfo->fn_extra, flinfo->fn_mcxt, &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

PG_FUNCTION_INFO_V1(warden_sql_generate_mask_key);

Datum
warden_sql_generate_mask_key(PG_FUNCTION_ARGS)
{
	bytea *key = palloc(VARHDRSZ + WARDEN_MASK_HASH_LEN);

	(void) fcinfo;
	SET_VARSIZE(key, VARHDRSZ + WARDEN_MASK_HASH_LEN);
	if (!pg_strong_random(VARDATA(key), WARDEN_MASK_HASH_LEN))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random key"),
				 errhint("The operating system gave no random numbers.")));
	PG_RETURN_BYTEA_P(key);
}
