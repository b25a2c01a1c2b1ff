/*-------------------------------------------------------------------------
 * pending_footprint.c
 *	  Which rows a statement touches: at its preview, and again at its apply,
 *	  which refuses others.
 *
 * A footprint is the number of rows and, up to a cap, a hash over those that
 * were updated or deleted, as they were before, in no order.  Rows that the
 * change itself had written by then are left out of the hash: what they hold
 * may depend on the time or on a sequence.  Above the cap the number counts,
 * with a tolerance.
 *
 * Invariants:
 * - A preview stores footprints of statements before which all were executed
 *	 as well; the latest preview counts.
 * - Nobody is granted the table: a hash of one row could be guessed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "pending.h"
#include "warden.h"

/* Rows that are hashed; above, their number may differ by a tenth. */
#define MAX_HASHED_ROWS		10000
#define TOLERANCE			10

#define LANES	(PG_SHA256_DIGEST_LENGTH / sizeof(uint64))

/* Of the statement under way. */
static struct
{
	bool		active;
	bool		more;			/* other statements come behind it */
	int64		rows;			/* updated or deleted */
	uint64		lanes[LANES];	/* sums of the rows' hashes */
} current;

/*
 * Hashes of rows that the change has written into partitioned tables, as they
 * come out of these; until the next change is watched.
 */
static HTAB *written = NULL;

void
warden_footprint_begin(bool more)
{
	memset(&current, 0, sizeof(current));
	current.active = true;
	current.more = more;
}

static void
hash_row(Relation relation, HeapTuple row, uint64 *result)
{
	Oid			relid = RelationGetRelid(relation);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	char	   *text = warden_images_text(row, RelationGetDescr(relation));

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) &relid,
							 sizeof(relid)) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(hash, (uint8 *) result,
							PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
	pfree(text);
}

/* Rows that come out of a transition table do not say who has written them. */
static bool
is_written(const HeapTuple row, const uint64 *hash)
{
	TransactionId writer = HeapTupleHeaderGetXmin(row->t_data);

	if (TransactionIdIsValid(writer))
		return TransactionIdIsCurrentTransactionId(writer);
	return written != NULL &&
		hash_search(written, hash, HASH_FIND, NULL) != NULL;
}

void
warden_footprint_row(Relation relation, HeapTuple old)
{
	uint64		hash[LANES];
	int			i;

	if (!current.active || old == NULL || ++current.rows > MAX_HASHED_ROWS)
		return;
	hash_row(relation, old, hash);
	if (is_written(old, hash))
		return;
	for (i = 0; i < (int) LANES; i++)
		current.lanes[i] += hash[i];
}

void
warden_footprint_forget(void)
{
	if (written != NULL)
		hash_destroy(written);
	written = NULL;
}

static void
note_written(Relation relation, HeapTuple row)
{
	uint64		hash[LANES];

	if (written == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(hash), .entrysize = sizeof(hash),
			.hcxt = TopMemoryContext};

		written = hash_create("warden rows written", 128, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hash_row(relation, row, hash);
	(void) hash_search(written, hash, HASH_ENTER, NULL);
}

/* As it comes out of a partitioned table that the row is in. */
static void
note_converted(Relation relation, HeapTuple row, Oid relid)
{
	Relation	parent = relation_open(relid, AccessShareLock);
	TupleConversionMap *map;

	map = convert_tuples_by_name(RelationGetDescr(relation),
								 RelationGetDescr(parent));
	if (map == NULL)
		note_written(parent, row);
	else
	{
		HeapTuple	converted = execute_attr_map_tuple(row, map);

		note_written(parent, converted);
		heap_freetuple(converted);
		free_conversion_map(map);
	}
	relation_close(parent, NoLock);
}

/* One that is not noted is a row too many that is compared, and no more. */
void
warden_footprint_written(Relation relation, HeapTuple new)
{
	ListCell   *cell;

	if (!current.active || !current.more ||
		(written != NULL && hash_get_num_entries(written) >= MAX_HASHED_ROWS))
		return;
	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		note_written(relation, new);
	if (!relation->rd_rel->relispartition)
		return;
	foreach(cell, get_partition_ancestors(RelationGetRelid(relation)))
		note_converted(relation, new, lfirst_oid(cell));
}

void
warden_footprint_end(int ordinal, uint64 rows, WardenFootprint *footprint)
{
	int			i;

	memset(footprint, 0, sizeof(*footprint));
	footprint->ordinal = ordinal;
	footprint->rows = (int64) rows;
	if (current.rows <= MAX_HASHED_ROWS && rows <= MAX_HASHED_ROWS)
	{
		for (i = 0; i < (int) LANES; i++)
			snprintf(footprint->hash + 16 * i, 17, "%016llx",
					 (unsigned long long) current.lanes[i]);
	}
	current.active = false;
}

/* ---- kept with the change ------------------------------------------------ */

void
warden_footprint_store(int64 change_id, List *footprints)
{
	Oid			types[] = {INT8OID, INT4OID, INT8OID, TEXTOID};
	Datum		values[lengthof(types)];
	char		nulls[] = "    ";
	ListCell   *cell;

	values[0] = Int64GetDatum(change_id);
	if (SPI_execute_with_args("DELETE FROM warden.change_footprints"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1",
							  1, types, values, NULL, false,
							  0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove a footprint");
	foreach(cell, footprints)
	{
		WardenFootprint *footprint = lfirst(cell);

		values[1] = Int32GetDatum(footprint->ordinal);
		values[2] = Int64GetDatum(footprint->rows);
		nulls[3] = footprint->hash[0] != '\0' ? ' ' : 'n';
		values[3] = CStringGetTextDatum(footprint->hash);
		if (SPI_execute_with_args("INSERT INTO warden.change_footprints"
								  " (change_id, ordinal, rows, hash)"
								  " VALUES ($1, $2, $3, $4)"
								  " ON CONFLICT (change_id, ordinal) DO UPDATE"
								  " SET rows = $3, hash = $4,"
								  " at = pg_catalog.now()",
								  lengthof(types), types, values, nulls, false,
								  0) != SPI_OK_INSERT)
			elog(ERROR, "could not store a footprint");
	}
}

List *
warden_footprint_load(int64 change_id, MemoryContext context)
{
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(change_id);
	List	   *footprints = NIL;
	uint64		i;

	if (SPI_execute_with_args("SELECT ordinal, rows, hash,"
							  " pg_catalog.date_trunc('second', at)"
							  " FROM warden.change_footprints"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1",
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the footprints");
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *hash = SPI_getvalue(tuple, desc, 3);
		MemoryContext old = MemoryContextSwitchTo(context);
		WardenFootprint *footprint = palloc0(sizeof(WardenFootprint));

		footprint->ordinal = atoi(SPI_getvalue(tuple, desc, 1));
		footprint->rows = strtoll(SPI_getvalue(tuple, desc, 2), NULL, 10);
		strlcpy(footprint->hash, hash != NULL ? hash : "",
				sizeof(footprint->hash));
		strlcpy(footprint->at, SPI_getvalue(tuple, desc, 4),
				sizeof(footprint->at));
		footprints = lappend(footprints, footprint);
		MemoryContextSwitchTo(old);
	}
	return footprints;
}

/* ---- compared ------------------------------------------------------------ */

static const WardenFootprint *
find_footprint(List *footprints, int ordinal)
{
	ListCell   *cell;

	foreach(cell, footprints)
	{
		if (((WardenFootprint *) lfirst(cell))->ordinal == ordinal)
			return lfirst(cell);
	}
	return NULL;
}

static bool
is_dml(const char *command)
{
	return strcmp(command, "INSERT") == 0 || strcmp(command, "UPDATE") == 0 ||
		strcmp(command, "DELETE") == 0 || strcmp(command, "MERGE") == 0;
}

const char *
warden_footprint_compared(const WardenStatement *statement, List *footprints)
{
	const WardenFootprint *then = find_footprint(footprints,
												 statement->ordinal);

	if (!is_dml(statement->command))
		return "nothing";
	if (then == NULL)
		return statement->expected_rows != 0 ? "number of rows" : "nothing";
	if (then->hash[0] == '\0')
		return "number of rows, but for a tenth";
	return strcmp(statement->command, "INSERT") == 0 ?
		"number of rows" : "rows and contents";
}

static bool
is_same_number(const WardenFootprint *then, const WardenFootprint *now)
{
	int64		difference = Max(then->rows, now->rows) -
	Min(then->rows, now->rows);

	if (then->hash[0] != '\0')
		return difference == 0;
	return difference <= then->rows / TOLERANCE;
}

void
warden_footprint_require(int64 change_id, List *footprints,
						 const WardenFootprint *now)
{
	const WardenFootprint *then = find_footprint(footprints, now->ordinal);

	if (then == NULL)
		return;
	if (!is_same_number(then, now))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("rows of change " INT64_FORMAT " have changed since its preview",
						change_id),
				 errdetail("Statement %d touched " INT64_FORMAT " rows in the preview of %s, and " INT64_FORMAT " now.",
						   now->ordinal, then->rows, then->at, now->rows),
				 errhint("Preview it again to see what it does now; the apply compares with the latest preview.")));
	if (then->hash[0] != '\0' && strcmp(then->hash, now->hash) != 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("rows of change " INT64_FORMAT " have changed since its preview",
						change_id),
				 errdetail("Statement %d touches as many rows as in the preview of %s, but others, or with other contents.",
						   now->ordinal, then->at),
				 errhint("Preview it again to see what it does now; the apply compares with the latest preview.")));
}
