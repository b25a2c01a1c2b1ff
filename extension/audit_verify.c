/*-------------------------------------------------------------------------
 * audit_verify.c
 *	  Reads the audit chain back: is it what was written?
 *
 * Every record is hashed anew from its stored content; comparing the stored
 * hashes alone would miss content that was changed along with nothing else.
 * What a chain can not show, a tail cut off or everything written anew, shows
 * against an anchor: a head that was kept elsewhere.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "audit_partition.h"
#include "audit_record.h"
#include "catalog.h"
#include "warden.h"

typedef struct Verifier
{
	Relation store;
	List *partitions;
	int next;	/* position of the partition to scan next */
	int64 from; /* first id to return */

	/* the scan of one partition */
	Relation rel; /* NULL: none open */
	Relation index;
	SysScanDesc scan;
	pg_cryptohash_ctx *hasher;

	/* the record before */
	int64 id; /* 0: none yet */
	uint8 hash[WARDEN_HASH_BYTES];
	bool whole;	 /* from the first record to the last */
	bool linked; /* the first one's predecessor is known */

	/* "through=id hash=..." that a retention record has to say, or NULL */
	char *retired;

	MemoryContext memory; /* of this walk */

	/* what is wrong */
	int64 broken;
	const char *problem;
	char *detail;
} Verifier;

PG_FUNCTION_INFO_V1(warden_sql_verify_audit);
PG_FUNCTION_INFO_V1(warden_sql_get_audit_head);

/* ----------------------------------------------------------------------
 * Reading in the order of ids
 * ---------------------------------------------------------------------- */

static Oid
store_relation(void)
{
	Oid relid = warden_catalog_relation("audit_events");

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"warden.audit_events\" does not exist"),
				 errhint("Create the extension in this database.")));
	return relid;
}

static void
open_trail(Verifier *v, int64 from, ScanDirection direction)
{
	v->store = table_open(store_relation(), AccessShareLock);
	v->partitions = warden_partition_list(v->store);
	v->next = ScanDirectionIsForward(direction) ?
		0 :
		list_length(v->partitions) - 1;
	v->from = from;
	v->hasher = pg_cryptohash_create(PG_SHA256);
	if (v->hasher == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
				 errhint("Try again later.")));
}

static void
close_scan(Verifier *v)
{
	if (v->rel == NULL)
		return;
	systable_endscan_ordered(v->scan);
	index_close(v->index, AccessShareLock);
	table_close(v->rel, AccessShareLock);
	v->rel = NULL;
}

static void
open_scan(Verifier *v, Oid partition)
{
	ScanKeyData key;

	v->rel = table_open(partition, AccessShareLock);
	warden_record_check_table(RelationGetDescr(v->rel));
	v->index = index_open(warden_partition_key(v->rel), AccessShareLock);
	ScanKeyInit(&key, WARDEN_REC_ID, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(v->from));
	v->scan = systable_beginscan_ordered(v->rel, v->index, GetActiveSnapshot(),
										 1, &key);
}

static bool
next_record(Verifier *v, ScanDirection direction, WardenRecord *record)
{
	HeapTuple tuple;

	for (;;)
	{
		if (v->rel == NULL)
		{
			const WardenPartition *partition;

			if (v->next < 0 || v->next >= list_length(v->partitions))
				return false;
			partition = list_nth(v->partitions, v->next);
			v->next += direction;
			open_scan(v, partition->relid);
		}
		tuple = systable_getnext_ordered(v->scan, direction);
		if (HeapTupleIsValid(tuple))
			break;
		close_scan(v);
	}
	heap_deform_tuple(tuple, RelationGetDescr(v->rel), record->values,
					  record->nulls);
	return true;
}

static void
close_trail(Verifier *v)
{
	close_scan(v);
	pg_cryptohash_free(v->hasher);
	table_close(v->store, AccessShareLock);
}

static int64
record_id(const WardenRecord *record)
{
	return DatumGetInt64(WARDEN_RECORD_VALUE(record, WARDEN_REC_ID));
}

/* A stored hash; false where there is none of the right length. */
static bool
stored_hash(const WardenRecord *record, WardenRecordColumn column,
			uint8 hash[WARDEN_HASH_BYTES])
{
	bytea *value;

	memset(hash, 0, WARDEN_HASH_BYTES);
	if (WARDEN_RECORD_NULL(record, column))
		return false;
	value = DatumGetByteaPP(WARDEN_RECORD_VALUE(record, column));
	if (VARSIZE_ANY_EXHDR(value) != WARDEN_HASH_BYTES)
		return false;
	memcpy(hash, VARDATA_ANY(value), WARDEN_HASH_BYTES);
	return true;
}

/* ----------------------------------------------------------------------
 * Judging one record
 * ---------------------------------------------------------------------- */

static bool
report(Verifier *v, int64 id, const char *problem, char *detail)
{
	v->broken = id;
	v->problem = problem;
	v->detail = detail;
	return false;
}

/*
 * The content does not give the stored hash.  If it would after the right
 * predecessor, only the link was touched; if its link is wrong as well, the
 * record was not written in this place.
 */
static bool
report_mismatch(Verifier *v, WardenRecord *record, bool prev_is_right)
{
	uint8 hash[WARDEN_HASH_BYTES];
	uint8 with_right_link[WARDEN_HASH_BYTES];
	bytea *link;

	if (prev_is_right)
		return report(v, record_id(record), "altered",
					  pstrdup("its content does not give its hash"));
	link = palloc(VARHDRSZ + WARDEN_HASH_BYTES);
	SET_VARSIZE(link, VARHDRSZ + WARDEN_HASH_BYTES);
	memcpy(VARDATA(link), v->hash, WARDEN_HASH_BYTES);
	warden_record_set(record, WARDEN_REC_PREV, PointerGetDatum(link));
	warden_record_hash(record, v->hasher, with_right_link);
	if (stored_hash(record, WARDEN_REC_HASH, hash) &&
		memcmp(hash, with_right_link, WARDEN_HASH_BYTES) == 0)
		return report(v, record_id(record), "altered",
					  pstrdup("its link to the record before was changed"));
	return report(v, record_id(record), "swapped",
				  pstrdup(
					  "neither its content nor its link belong to its place"));
}

static bool
text_is(const WardenRecord *record, WardenRecordColumn column,
		const char *expected)
{
	return !WARDEN_RECORD_NULL(record, column) &&
		strcmp(TextDatumGetCString(WARDEN_RECORD_VALUE(record, column)),
			   expected) == 0;
}

/* Retention may have taken a head off, if a later record signs for it. */
static void
note_retention(Verifier *v, const WardenRecord *record)
{
	if (v->retired != NULL && text_is(record, WARDEN_REC_KIND, "action") &&
		text_is(record, WARDEN_REC_OUTCOME, WARDEN_RETENTION_ACTION) &&
		text_is(record, WARDEN_REC_DETAIL, v->retired))
		v->retired = NULL;
}

/*
 * The whole is walked, and its first record is not the first one written.  What
 * that one says of the record before it an anchor can say as well.
 */
static void
expect_retention(Verifier *v, const WardenRecord *record)
{
	uint8 prev[WARDEN_HASH_BYTES];

	if (!v->whole || !v->linked || v->id != 0 || record_id(record) <= 1)
		return;
	(void) stored_hash(record, WARDEN_REC_PREV, prev);
	v->id = record_id(record) - 1;
	memcpy(v->hash, prev, WARDEN_HASH_BYTES);
	v->retired = MemoryContextStrdup(v->memory,
									 warden_record_retired(v->id, prev));
}

/* true while the chain holds */
static bool
check_record(Verifier *v, WardenRecord *record)
{
	int64 id = record_id(record);
	uint8 prev[WARDEN_HASH_BYTES];
	uint8 stored[WARDEN_HASH_BYTES];
	uint8 computed[WARDEN_HASH_BYTES];
	bool has_prev = stored_hash(record, WARDEN_REC_PREV, prev);
	bool has_hash = stored_hash(record, WARDEN_REC_HASH, stored);
	bool prev_is_right;
	bool hash_is_right;

	if (v->linked && id > v->id + 1)
		return report(v, v->id + 1, "removed",
					  psprintf("the next record is " INT64_FORMAT, id));
	if (v->linked && id <= v->id)
		return report(v, id, "inserted",
					  pstrdup("there are several records with this id"));

	warden_record_hash(record, v->hasher, computed);
	hash_is_right = has_hash &&
		memcmp(stored, computed, WARDEN_HASH_BYTES) == 0;
	prev_is_right = has_prev &&
		(!v->linked || memcmp(prev, v->hash, WARDEN_HASH_BYTES) == 0);
	if (!hash_is_right)
		return report_mismatch(v, record, prev_is_right);
	if (!prev_is_right)
		return report(
			v, id, "inserted",
			pstrdup("it is whole, but does not follow the record before it"));
	note_retention(v, record);
	v->id = id;
	v->linked = true;
	memcpy(v->hash, stored, WARDEN_HASH_BYTES);
	return true;
}

/* ----------------------------------------------------------------------
 * The walk
 * ---------------------------------------------------------------------- */

/* An anchor is what audit_head() returned: id, colon, hash in hexadecimal. */
static int64
parse_anchor(const char *text, uint8 hash[WARDEN_HASH_BYTES])
{
	char *end;
	int64 id;

	errno = 0;
	id = strtoi64(text, &end, 10);
	if (errno == 0 && id > 0 && *end == ':' &&
		strlen(end + 1) == WARDEN_HASH_BYTES * 2 &&
		strspn(end + 1, "0123456789abcdef") == WARDEN_HASH_BYTES * 2)
	{
		hex_decode(end + 1, WARDEN_HASH_BYTES * 2, (char *) hash);
		return id;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid audit anchor"),
			 errhint("Give what warden.audit_head() returned.")));
}

static bool
check_anchor(Verifier *v, int64 anchor_id, const uint8 *anchor)
{
	if (anchor_id == 0 || anchor_id != v->id ||
		memcmp(v->hash, anchor, WARDEN_HASH_BYTES) == 0)
		return true;
	return report(v, anchor_id, "rewritten",
				  pstrdup("the anchor has another hash for it"));
}

/* Memory that a record needs is given back before the next one. */
static bool
walk(Verifier *v, int64 to, int64 anchor_id, const uint8 *anchor)
{
	MemoryContext per_record;
	MemoryContext old;
	WardenRecord record;
	bool more = true;

	per_record = AllocSetContextCreate(CurrentMemoryContext,
									   "warden audit verify",
									   ALLOCSET_DEFAULT_SIZES);
	while (more)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(per_record);
		if (!next_record(v, ForwardScanDirection, &record) ||
			record_id(&record) > to)
			break;
		old = MemoryContextSwitchTo(per_record);
		expect_retention(v, &record);
		more = check_anchor(v, anchor_id, anchor) &&
			check_record(v, &record) && check_anchor(v, anchor_id, anchor);
		MemoryContextSwitchTo(old);
	}
	/* the context stays while there is a problem: its text is in there */
	if (more)
		MemoryContextDelete(per_record);
	return more;
}

static void
verify(Verifier *v, int64 from, int64 to, const char *anchor)
{
	uint8 anchor_hash[WARDEN_HASH_BYTES];
	int64 anchor_id = 0;

	if (anchor != NULL)
		anchor_id = parse_anchor(anchor, anchor_hash);
	if (from > to)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no records from " INT64_FORMAT " to " INT64_FORMAT,
						from, to),
				 errhint("Give the lower id first.")));
	/* no row must not be taken for an anchor that holds */
	if (anchor_id != 0 &&
		(anchor_id > to || (from > 1 && anchor_id < from - 1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("record " INT64_FORMAT " of the anchor is none of those to be verified",
						anchor_id),
				 errhint("Begin at the record behind the anchor's, or before, and end at it or later.")));

	/* One record before the first gives its link; the whole starts at zero. */
	v->memory = CurrentMemoryContext;
	v->linked = (from <= 1);
	v->whole = (from <= 1 && to == PG_INT64_MAX);
	open_trail(v, from > 1 ? from - 1 : PG_INT64_MIN, ForwardScanDirection);
	if (walk(v, to, anchor_id, anchor_hash))
	{
		if (anchor_id > v->id && anchor_id <= to)
			(void) report(
				v, v->id + 1, "cut",
				psprintf(
					"the anchor says that there was a record " INT64_FORMAT,
					anchor_id));
		else if (v->id == 0 && from > 1)
			(void) report(v, from - 1, "cut",
						  pstrdup("there is no such record, and none after it"));
		else if (v->retired != NULL)
			(void) report(v, 1, "removed",
						  psprintf("no retention record says \"%s\"",
								   v->retired));
	}
	close_trail(v);
}

/* warden.verify_audit(from_id, to_id, anchor) -> (id, problem, detail) */
Datum
warden_sql_verify_audit(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Verifier v;
	Datum values[3];
	bool nulls[3] = {false, false, false};

	InitMaterializedSRF(fcinfo, 0);
	memset(&v, 0, sizeof(v));
	verify(&v, PG_ARGISNULL(0) ? 1 : PG_GETARG_INT64(0),
		   PG_ARGISNULL(1) ? PG_INT64_MAX : PG_GETARG_INT64(1),
		   PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (v.problem != NULL)
	{
		values[0] = Int64GetDatum(v.broken);
		values[1] = CStringGetTextDatum(v.problem);
		values[2] = CStringGetTextDatum(v.detail);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* warden.audit_head() -> text, NULL while there is no record */
Datum
warden_sql_get_audit_head(PG_FUNCTION_ARGS)
{
	Verifier v;
	WardenRecord record;
	uint8 hash[WARDEN_HASH_BYTES];
	char *head = NULL;

	memset(&v, 0, sizeof(v));
	open_trail(&v, PG_INT64_MIN, BackwardScanDirection);
	if (next_record(&v, BackwardScanDirection, &record))
	{
		(void) stored_hash(&record, WARDEN_REC_HASH, hash);
		head = psprintf(INT64_FORMAT ":%s", record_id(&record),
						warden_record_hex(hash, WARDEN_HASH_BYTES));
	}
	close_trail(&v);
	if (head == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(head));
}
