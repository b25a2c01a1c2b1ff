/*-------------------------------------------------------------------------
 * pending_revert.c
 *	  warden.revert(): proposes the inverse of an applied change, from the row
 *	  images that were kept with it.
 *
 * The statements are made of the table's columns and have the images for
 * their parameters: by reference and hash, so that they are digest-bound and
 * nobody reads raw rows in a change.
 *
 * Invariants:
 * - A row is only touched that is still as the change has left it: by primary
 *	 key, where there is one, and in every column; and exactly as many.
 * - All of a change is undone, or the reason is said.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity.h"
#include "pending.h"
#include "pending_json.h"
#include "principal.h"
#include "statement.h"
#include "warden.h"

/* ---- images -------------------------------------------------------------- */

static char *
sha256_of(const char *salt, const char *rows)
{
	char	   *text = psprintf("%s%s", salt, rows);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		result[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(PG_SHA256_DIGEST_LENGTH * 2 + 1);

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) text, strlen(text)) < 0 ||
		pg_cryptohash_final(hash, result, sizeof(result)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
	hex[hex_encode((const char *) result, sizeof(result), hex)] = '\0';
	return hex;
}

typedef struct FetchJob
{
	const char *id;
	bool		old;
	MemoryContext context;
	char	   *value;
	char	   *salt;
} FetchJob;

static void
fetch_internally(void *arg)
{
	FetchJob   *job = arg;
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[2];
	char	   *text;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	values[0] = Int64GetDatum(strtoll(job->id, NULL, 10));
	values[1] = TimestampTzGetDatum(warden_images_horizon());
	if (SPI_execute_with_args("SELECT old_rows, new_rows, salt"
							  " FROM warden.change_images"
							  " WHERE id OPERATOR(pg_catalog.=) $1"
							  " AND at OPERATOR(pg_catalog.>=) $2",
							  2, types, values, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read row images");
	if (SPI_processed == 1)
	{
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
							job->old ? 1 : 2);
		if (text != NULL)
			job->value = MemoryContextStrdup(job->context, text);
		job->salt = MemoryContextStrdup(job->context,
										SPI_getvalue(SPI_tuptable->vals[0],
													 SPI_tuptable->tupdesc,
													 3));
	}
	SPI_finish();
}

char *
warden_images_fetch(const char *id, bool old, const char *sha256)
{
	FetchJob	job = {id, old, CurrentMemoryContext, NULL, NULL};

	warden_principal_run_internal(fetch_internally, &job);
	if (job.value == NULL ||
		strcmp(sha256_of(job.salt, job.value), sha256) != 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("the row images of this change are gone"),
				 errhint("They are kept for as long as warden.image_retention says; correct the rows by a new change.")));
	return job.value;
}

/* ---- revert ------------------------------------------------------------- */

/* A row of warden.change_images, and what puts it right. */
typedef struct Inverse
{
	int			ordinal;
	Oid			relid;
	bool		inserts;		/* rows that were deleted */
	WardenCapture *capture;
} Inverse;

typedef struct RevertJob
{
	WardenChange change;
	bool		found;
	List	   *inverses;		/* of Inverse *, the last image first */
	const char *reason;			/* why there are no images, or NULL */
	MemoryContext context;
} RevertJob;

/* which columns a list has */
typedef enum Columns
{
	COLUMNS_ALL,
	COLUMNS_HELD,				/* not what is computed when it is read */
	COLUMNS_WRITABLE
} Columns;

static bool
is_listed(Form_pg_attribute att, Columns which)
{
	if (att->attisdropped)
		return false;
	return which == COLUMNS_ALL ||
		(which == COLUMNS_HELD && !WARDEN_ATT_VIRTUAL(att)) ||
		att->attgenerated == '\0';
}

/* "a.c1, a.c2" */
static char *
column_list(TupleDesc desc, const char *alias, Columns which)
{
	StringInfoData list;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!is_listed(att, which))
			continue;
		if (list.len > 0)
			appendStringInfoString(&list, ", ");
		if (alias != NULL)
			appendStringInfo(&list, "%s.", alias);
		appendStringInfoString(&list, quote_identifier(NameStr(att->attname)));
	}
	return list.data;
}

/* "t.k1 = n.k1 AND ", or "" for a table without a primary key. */
static char *
same_key(Relation relation, const char *alias)
{
	Oid			key = RelationGetPrimaryKeyIndex(relation, false);
	TupleDesc	desc = RelationGetDescr(relation);
	Relation	index;
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	if (!OidIsValid(key))
		return text.data;
	index = index_open(key, AccessShareLock);
	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		int			attnum = index->rd_index->indkey.values[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
		const char *name = quote_identifier(NameStr(attribute->attname));

		appendStringInfo(&text, "t.%s = %s.%s AND ", name, alias, name);
	}
	index_close(index, AccessShareLock);
	return text.data;
}

/* The same row, and nothing of it changed. */
static char *
same_row(Relation relation, const char *alias)
{
	TupleDesc	desc = RelationGetDescr(relation);

	return psprintf("%sROW(%s)::text = ROW(%s)::text",
					same_key(relation, alias),
					column_list(desc, "t", COLUMNS_HELD),
					column_list(desc, alias, COLUMNS_HELD));
}

/* "(c1, c2) = (o.c1, o.c2)" without identity columns that refuse a value. */
static char *
assignments(TupleDesc desc)
{
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		const char *name = quote_identifier(NameStr(att->attname));

		if (!is_listed(att, COLUMNS_WRITABLE) ||
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			continue;
		appendStringInfo(&text, "%s%s = o.%s", text.len > 0 ? ", " : "", name,
						 name);
	}
	return text.data;
}

/* A name for the places of rows, which no column has. */
static const char *
place_name(TupleDesc desc)
{
	char	   *name = pstrdup("#");
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) != 0)
			continue;
		name = psprintf("%s#", name);
		i = -1;					/* from the first column again */
	}
	return quote_identifier(name);
}

static char *
inverse_statement(Relation relation, const char *operation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	const char *place = place_name(desc);
	const char *only = relation->rd_rel->relkind == RELKIND_RELATION &&
		relation->rd_rel->relhassubclass ? "ONLY " : "";
	char	   *schema = get_namespace_name(RelationGetNamespace(relation));
	char	   *name;

	name = quote_qualified_identifier(schema,
									  RelationGetRelationName(relation));
	if (strcmp(operation, "INSERT") == 0)
		return psprintf("DELETE FROM %s%s AS t USING pg_catalog.unnest($1) AS n WHERE %s",
						only, name, same_row(relation, "n"));
	if (strcmp(operation, "DELETE") == 0)
		return psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_catalog.unnest($1) AS o",
						name, column_list(desc, NULL, COLUMNS_WRITABLE),
						column_list(desc, "o", COLUMNS_WRITABLE));
	return psprintf("UPDATE %s%s AS t SET %s FROM pg_catalog.unnest($1) WITH ORDINALITY AS o(%s, %s), pg_catalog.unnest($2) WITH ORDINALITY AS n(%s, %s) WHERE o.%s = n.%s AND %s",
					only, name, assignments(desc),
					column_list(desc, NULL, COLUMNS_ALL), place,
					column_list(desc, NULL, COLUMNS_ALL), place, place, place,
					same_row(relation, "n"));
}

static void
add_reference(StringInfo json, Oid type, const char *id, const char *side,
			  const char *salt, const char *rows)
{
	appendStringInfo(json, "%s{\"oid\": \"%u\", \"type\": ",
					 json->len > 1 ? ", " : "", type);
	escape_json(json, format_type_extended(type, -1,
										   FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfo(json, ", \"image\": \"%s\", \"side\": \"%s\", \"sha256\": \"%s\"}",
					 id, side, sha256_of(salt, rows));
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Rows without a key are told apart by what they hold. */
static void
require_distinct(Relation relation, const char *rows)
{
	Oid			input;
	Oid			ioparam;
	Datum		array;
	Datum	   *elements;
	char	  **texts;
	bool	   *nulls;
	int			n;
	int			i;

	getTypeInputInfo(TEXTARRAYOID, &input, &ioparam);
	array = OidInputFunctionCall(input, unconstify(char *, rows), ioparam, -1);
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	texts = palloc((n + 1) * sizeof(char *));
	for (i = 0; i < n; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	qsort(texts, n, sizeof(char *), compare_texts);
	for (i = 1; i < n; i++)
	{
		if (strcmp(texts[i - 1], texts[i]) == 0)
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_TRANSITION),
					 errmsg("rows of table \"%s\" can not be told apart",
							RelationGetRelationName(relation)),
					 errdetail("The table has no primary key, and the change has left two of its rows alike."),
					 errhint("Correct the rows by a new change.")));
	}
}

/* Values would come into other columns, labelled ones into any, or nowhere. */
static void
require_same_shape(Relation relation, const char *shape)
{
	if (shape != NULL && shape[0] == '\0')
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("table \"%s\" has no columns, and nothing to tell its rows by",
						RelationGetRelationName(relation)),
				 errhint("Correct the rows by a new change.")));
	if (shape != NULL &&
		strcmp(warden_images_shape(RelationGetDescr(relation)), shape) == 0)
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_TRANSITION),
			 errmsg("table \"%s\" has other columns than when the change was applied",
					RelationGetRelationName(relation)),
			 errhint("Correct the rows by a new change.")));
}

/* One row of warden.change_images turned round. */
static WardenCapture *
inverse_of(const char *id, Oid relid, const char *operation, int rows,
		   const char *old_rows, const char *new_rows, const char *salt,
		   const char *shape)
{
	WardenCapture *inverse = palloc0(sizeof(WardenCapture));
	Relation	relation = try_relation_open(relid, AccessShareLock);
	StringInfoData json;
	Oid			type;

	if (relation == NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("a table that the change wrote to has gone"),
				 errhint("Correct the rows by a new change.")));
	require_same_shape(relation, shape);
	if (new_rows != NULL &&
		!OidIsValid(RelationGetPrimaryKeyIndex(relation, false)))
		require_distinct(relation, new_rows);
	type = get_array_type(relation->rd_rel->reltype);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	if (old_rows != NULL)
		add_reference(&json, type, id, "old", salt, old_rows);
	if (new_rows != NULL)
		add_reference(&json, type, id, "new", salt, new_rows);
	appendStringInfoChar(&json, ']');
	inverse->statement = inverse_statement(relation, operation);
	inverse->raw = warden_statement_parse(inverse->statement);
	inverse->command = GetCommandTagName(CreateCommandTag(inverse->raw->stmt));
	inverse->parameters = warden_json_canonical(json.data);
	inverse->estimated_rows = rows;
	inverse->expected_rows = rows;
	if (!warden_statement_names(inverse->raw->stmt, &inverse->names))
		elog(ERROR, "could not name the objects of an inverse statement");
	warden_statement_resolve(inverse->names, NIL);
	relation_close(relation, AccessShareLock);
	return inverse;
}

static void
add_inverse(RevertJob *job, char **column)
{
	Inverse    *inverse = palloc0(sizeof(Inverse));

	inverse->relid = atooid(column[2]);
	inverse->inserts = strcmp(column[3], "DELETE") == 0;
	inverse->ordinal = atoi(column[7]);
	inverse->capture = inverse_of(column[1], inverse->relid, column[3],
								  atoi(column[4]), column[5], column[6],
								  column[8], column[9]);
	job->inverses = lappend(job->inverses, inverse);
}

static bool
references(Oid relid, Oid referenced)
{
	Relation	relation = relation_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *cell;

	foreach(cell, RelationGetFKeyList(relation))
	{
		ForeignKeyCacheInfo *key = lfirst(cell);

		found = found || key->confrelid == referenced;
	}
	relation_close(relation, AccessShareLock);
	return found;
}

/*
 * Backwards is the right order, but for rows that a foreign key has deleted
 * or set to NULL: the row that these refer to must be back before.  Among the
 * writes of one statement it goes ahead of them, and of nothing that was done
 * to its own table.
 */
static int
place_of(List *inverses, const Inverse *inverse)
{
	int			place = list_length(inverses);
	int			i;

	for (i = place - 1; inverse->inserts && i >= 0; i--)
	{
		Inverse    *other = list_nth(inverses, i);

		if (other->ordinal != inverse->ordinal ||
			other->relid == inverse->relid)
			break;
		if (references(other->relid, inverse->relid))
			place = i;
	}
	return place;
}

/* What is to be proposed (of WardenCapture *), in order. */
static List *
ordered_captures(const RevertJob *job)
{
	List	   *inverses = NIL;
	List	   *captures = NIL;
	ListCell   *cell;

	foreach(cell, job->inverses)
		inverses = list_insert_nth(inverses, place_of(inverses, lfirst(cell)),
								   lfirst(cell));
	foreach(cell, inverses)
		captures = lappend(captures, ((Inverse *) lfirst(cell))->capture);
	return captures;
}

static void
load_revert_internally(void *arg)
{
	RevertJob  *job = arg;
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[2];
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->change.id, false, job->context,
									 &job->change);
	values[0] = Int64GetDatum(job->change.id);
	values[1] = TimestampTzGetDatum(warden_images_horizon());
	if (SPI_execute_with_args("SELECT id, relation::pg_catalog.oid, operation,"
							  " row_count, old_rows, new_rows, ordinal, salt,"
							  " shape"
							  " FROM warden.change_images"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1"
							  " AND at OPERATOR(pg_catalog.>=) $2"
							  " ORDER BY id DESC",
							  2, types, values, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read row images");
	for (i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(job->context);
		char	   *column[10];
		int			c;

		for (c = 1; c <= 9; c++)
			column[c] = SPI_getvalue(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, c);
		if (strcmp(column[3], "NONE") == 0)
			job->reason = column[5];
		else
			add_inverse(job, column);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/* The person who asks stands where an agent's would: four eyes again. */
static char *
require_reverter(void)
{
	char	   *person = warden_identity_person(GetSessionUserId());

	if (person == NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("the login role is not mapped to exactly one person"),
				 errhint("Ask an administrator to map it with warden.add_person().")));
	return person;
}

static const char *
why_not_reverted(const RevertJob *job)
{
	if (!job->found)
		return "It does not exist.";
	if (job->change.status == WARDEN_CHANGE_APPLIED)
		return job->reason != NULL ?
			psprintf("No row images were kept: %s.", job->reason) :
			"There are no row images of it.";
	return psprintf("It is %s.",
					warden_pending_status_name(job->change.status));
}

PG_FUNCTION_INFO_V1(warden_sql_revert);
Datum
warden_sql_revert(PG_FUNCTION_ARGS)
{
	RevertJob	job = {0};
	int64		reverted = warden_pending_number(fcinfo);

	warden_pending_require_select(fcinfo, "revert");
	warden_pending_require_reviewer();
	job.change.id = reverted;
	job.context = CurrentMemoryContext;
	warden_principal_run_internal(load_revert_internally, &job);
	if (!job.found || job.change.status != WARDEN_CHANGE_APPLIED ||
		job.inverses == NIL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " can not be reverted",
						reverted),
				 errdetail("%s", why_not_reverted(&job)),
				 errhint("Images are kept of INSERT, UPDATE, DELETE and MERGE, as long and as large as warden.image_retention and warden.image_size say; correct the rows by a new change.")));
	job.change.on_behalf_of = require_reverter();
	job.change.asserted = false;
	job.change.token_issuer = InvalidOid;
	job.change.agent_role = GetSessionUserId();
	job.change.context = warden_capture_exact(job.change.context);
	PG_RETURN_INT64(warden_pending_propose_as(&job.change,
											  ordered_captures(&job),
											  psprintf("revert of change " INT64_FORMAT,
													   reverted),
											  NULL, reverted));
}
