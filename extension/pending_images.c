/*-------------------------------------------------------------------------
 * pending_images.c
 *	  Row images: what an apply changed, kept with it, so that warden.revert()
 *	  can propose the inverse.
 *
 * While a change is applied, every table that a statement writes to has one
 * more row trigger in the executor's copy of its trigger list: nothing in the
 * catalogs, no lock, and it sees what trigger functions write as well.  Rows
 * are kept in the text form of their composite type, which reads back exactly
 * under the settings of the change.
 *
 * Invariants:
 * - Images are inserted in the transaction that applies the change.
 * - They are complete or not kept at all: tables without a primary key,
 *	 partitioned ones, writes that cascade through foreign keys, and changes
 *	 above the size cap have none.
 * - No role but the extension's owner can read them: they are raw.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "identity.h"
#include "pending.h"
#include "principal.h"
#include "statement.h"
#include "warden.h"

/* Bytes of images that one change may have. */
#define MAX_IMAGE_BYTES		(8 * 1024 * 1024)

/* Rows that one statement did one thing to. */
typedef struct Image
{
	int			ordinal;
	Oid			relid;
	char		operation;		/* i, u or d */
	ArrayBuildState *old_rows;	/* of text */
	ArrayBuildState *new_rows;
	int			rows;
} Image;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;

/* Of the apply under way, in its memory context. */
static struct
{
	MemoryContext context;		/* NULL: nothing is captured */
	List	   *images;			/* of Image * */
	int			ordinal;
	int64		bytes;
	bool		incomplete;
} capture;

/* ---- capturing ---------------------------------------------------------- */

void
warden_images_begin(MemoryContext context)
{
	memset(&capture, 0, sizeof(capture));
	capture.context = context;
}

void
warden_images_statement(int ordinal)
{
	capture.ordinal = ordinal;
}

void
warden_images_end(void)
{
	capture.context = NULL;
}

static void
give_up(void)
{
	capture.incomplete = true;
	capture.images = NIL;
}

static Image *
image_of(Oid relid, char operation)
{
	Image	   *image;

	if (capture.images != NIL)
	{
		image = llast(capture.images);
		if (image->ordinal == capture.ordinal && image->relid == relid &&
			image->operation == operation)
			return image;
	}
	image = palloc0(sizeof(Image));
	image->ordinal = capture.ordinal;
	image->relid = relid;
	image->operation = operation;
	capture.images = lappend(capture.images, image);
	return image;
}

static void
add_row(ArrayBuildState **rows, HeapTuple tuple, TupleDesc desc)
{
	char	   *text = OidOutputFunctionCall(F_RECORD_OUT,
											 heap_copy_tuple_as_datum(tuple,
																	  desc));

	capture.bytes += strlen(text);
	*rows = accumArrayResult(*rows, CStringGetTextDatum(text), false, TEXTOID,
							 capture.context);
}

/* The trigger that the executor believes every table to have. */
PG_FUNCTION_INFO_V1(warden_sql_capture_image);
Datum
warden_sql_capture_image(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	MemoryContext old;
	Image	   *image;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (capture.context == NULL || capture.incomplete)
		return PointerGetDatum(NULL);
	desc = RelationGetDescr(trigger->tg_relation);
	old = MemoryContextSwitchTo(capture.context);
	image = image_of(RelationGetRelid(trigger->tg_relation),
					 TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? 'i' :
					 TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? 'd' : 'u');
	image->rows++;
	if (image->operation == 'i')
		add_row(&image->new_rows, trigger->tg_trigtuple, desc);
	else
		add_row(&image->old_rows, trigger->tg_trigtuple, desc);
	if (image->operation == 'u')
		add_row(&image->new_rows, trigger->tg_newtuple, desc);
	if (capture.bytes > MAX_IMAGE_BYTES)
		give_up();
	MemoryContextSwitchTo(old);
	return PointerGetDatum(NULL);
}

static void
fill_trigger(Trigger *trigger, Oid function)
{
	memset(trigger, 0, sizeof(*trigger));
	trigger->tgoid = function;
	trigger->tgname = "warden image";
	trigger->tgfoid = function;
	trigger->tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT |
		TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
	trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
	trigger->tgisinternal = true;
}

/* Gives one opened result relation a trigger list with ours at its end. */
static void
add_trigger(ResultRelInfo *info, Oid function)
{
	TriggerDesc *desc = palloc0(sizeof(TriggerDesc));
	int			n = 0;

	if (info->ri_TrigDesc != NULL)
	{
		*desc = *info->ri_TrigDesc;
		n = desc->numtriggers;
	}
	desc->triggers = palloc((n + 1) * sizeof(Trigger));
	if (n > 0)
		memcpy(desc->triggers, info->ri_TrigDesc->triggers,
			   n * sizeof(Trigger));
	fill_trigger(&desc->triggers[n], function);
	desc->numtriggers = n + 1;
	desc->trig_insert_after_row = true;
	desc->trig_update_after_row = true;
	desc->trig_delete_after_row = true;
	info->ri_TrigDesc = desc;
	info->ri_TrigFunctions = palloc0((n + 1) * sizeof(FmgrInfo));
	info->ri_TrigWhenExprs = palloc0((n + 1) * sizeof(ExprState *));
	if (info->ri_TrigInstrument != NULL)
		info->ri_TrigInstrument = NULL;
}

/*
 * Foreign keys that write to other tables do so behind the executor's back:
 * their rows would be missing.
 */
static bool
sets_off_cascade(ResultRelInfo *info, CmdType operation, EState *estate)
{
	bool		cascades = false;
	int			i;

	for (i = 0; info->ri_TrigDesc != NULL &&
		 i < info->ri_TrigDesc->numtriggers; i++)
	{
		Oid			function = info->ri_TrigDesc->triggers[i].tgfoid;

		if (function == F_RI_FKEY_CASCADE_DEL ||
			function == F_RI_FKEY_SETNULL_DEL ||
			function == F_RI_FKEY_SETDEFAULT_DEL)
			cascades = cascades || operation != CMD_UPDATE;
		if (function == F_RI_FKEY_CASCADE_UPD ||
			function == F_RI_FKEY_SETNULL_UPD ||
			function == F_RI_FKEY_SETDEFAULT_UPD)
			cascades = cascades || operation != CMD_DELETE;
	}
	if (!cascades || operation == CMD_INSERT)
		return false;
	/* an update that leaves every key alone sets nothing off */
	return operation != CMD_UPDATE ||
		bms_overlap(ExecGetUpdatedCols(info, estate),
					RelationGetIndexAttrBitmap(info->ri_RelationDesc,
											   INDEX_ATTR_BITMAP_KEY));
}

static void
add_triggers(EState *estate, CmdType operation)
{
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	Oid			function = warden_catalog_function("capture_image");
	ListCell   *cell;

	foreach(cell, estate->es_opened_result_relations)
	{
		ResultRelInfo *info = lfirst(cell);
		Relation	relation = info->ri_RelationDesc;

		/* the library's own tables are none of the change's business */
		if (RelationGetNamespace(relation) == warden_catalog_schema())
			continue;
		if (relation->rd_rel->relkind != RELKIND_RELATION ||
			relation->rd_rel->relispartition ||
			!OidIsValid(RelationGetPrimaryKeyIndex(relation)) ||
			!OidIsValid(function) ||
			sets_off_cascade(info, operation, estate))
		{
			give_up();
			break;
		}
		add_trigger(info, function);
	}
	MemoryContextSwitchTo(old);
}

static void
images_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (capture.context != NULL && !capture.incomplete &&
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		queryDesc->estate->es_opened_result_relations != NIL)
		add_triggers(queryDesc->estate, queryDesc->operation);
}

/* ---- keeping ------------------------------------------------------------ */

/* Of text elements: reads back as an array of the table's row type, too. */
static char *
array_text(ArrayBuildState *rows)
{
	Oid			output;
	bool		varlena;

	if (rows == NULL)
		return NULL;
	getTypeOutputInfo(TEXTARRAYOID, &output, &varlena);
	return OidOutputFunctionCall(output,
								 makeArrayResult(rows, CurrentMemoryContext));
}

static void
store_image(int64 change_id, Image *image)
{
	Oid			types[] = {INT8OID, INT4OID, OIDOID, TEXTOID, INT4OID,
	TEXTOID, TEXTOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[] = "       ";
	char	   *old_rows = array_text(image->old_rows);
	char	   *new_rows = array_text(image->new_rows);

	values[0] = Int64GetDatum(change_id);
	values[1] = Int32GetDatum(image->ordinal);
	values[2] = ObjectIdGetDatum(image->relid);
	values[3] = CStringGetTextDatum(image->operation == 'i' ? "INSERT" :
									image->operation == 'u' ? "UPDATE" :
									"DELETE");
	values[4] = Int32GetDatum(image->rows);
	nulls[5] = old_rows != NULL ? ' ' : 'n';
	nulls[6] = new_rows != NULL ? ' ' : 'n';
	if (old_rows != NULL)
		values[5] = CStringGetTextDatum(old_rows);
	if (new_rows != NULL)
		values[6] = CStringGetTextDatum(new_rows);
	if (SPI_execute_with_args("INSERT INTO warden.change_images (change_id,"
							  " ordinal, relation, operation, row_count,"
							  " old_rows, new_rows)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7)",
							  lengthof(types), types, values, nulls, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not keep row images");
}

void
warden_images_store(int64 change_id)
{
	ListCell   *cell;

	foreach(cell, capture.images)
		store_image(change_id, lfirst(cell));
	capture.images = NIL;
	if (SPI_execute("DELETE FROM warden.change_images WHERE at"
					" OPERATOR(pg_catalog.<) (pg_catalog.now()"
					"  OPERATOR(pg_catalog.-) '7 days'::pg_catalog.interval)",
					false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old row images");
}

static char *
sha256_of(const char *text)
{
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
} FetchJob;

static void
fetch_internally(void *arg)
{
	FetchJob   *job = arg;
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(strtoll(job->id, NULL, 10));
	char	   *text;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args("SELECT old_rows, new_rows"
							  " FROM warden.change_images"
							  " WHERE id OPERATOR(pg_catalog.=) $1",
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read row images");
	if (SPI_processed == 1)
	{
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
							job->old ? 1 : 2);
		if (text != NULL)
			job->value = MemoryContextStrdup(job->context, text);
	}
	SPI_finish();
}

char *
warden_images_fetch(const char *id, bool old, const char *sha256)
{
	FetchJob	job = {id, old, CurrentMemoryContext, NULL};

	warden_principal_run_internal(fetch_internally, &job);
	if (job.value == NULL || strcmp(sha256_of(job.value), sha256) != 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("the row images of this change are gone"),
				 errhint("They are kept for 7 days; correct the rows by a new change.")));
	return job.value;
}

/* ---- revert ------------------------------------------------------------- */

typedef struct RevertJob
{
	WardenChange change;
	bool		found;
	List	   *captures;		/* of WardenCapture * */
	MemoryContext context;
} RevertJob;

/* "a.c1, a.c2": columns that can be read, or with writable assigned. */
static char *
column_list(TupleDesc desc, const char *alias, bool writable)
{
	StringInfoData list;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped || (writable && att->attgenerated != '\0'))
			continue;
		if (list.len > 0)
			appendStringInfoString(&list, ", ");
		if (alias != NULL)
			appendStringInfo(&list, "%s.", alias);
		appendStringInfoString(&list, quote_identifier(NameStr(att->attname)));
	}
	return list.data;
}

/* "t.k1 = n.k1 AND ...": by the primary key, and by nothing else changed. */
static char *
same_row(Relation relation, const char *alias)
{
	Relation	index = index_open(RelationGetPrimaryKeyIndex(relation),
								   AccessShareLock);
	TupleDesc	desc = RelationGetDescr(relation);
	StringInfoData text;
	int			i;

	initStringInfo(&text);
	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		int			attnum = index->rd_index->indkey.values[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, attnum - 1);
		const char *name = quote_identifier(NameStr(attribute->attname));

		appendStringInfo(&text, "t.%s = %s.%s AND ", name, alias, name);
	}
	appendStringInfo(&text, "ROW(%s)::text = ROW(%s)::text",
					 column_list(desc, "t", false),
					 column_list(desc, alias, false));
	index_close(index, AccessShareLock);
	return text.data;
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

		if (att->attisdropped || att->attgenerated != '\0' ||
			att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
			continue;
		appendStringInfo(&text, "%s%s = o.%s", text.len > 0 ? ", " : "", name,
						 name);
	}
	return text.data;
}

static char *
inverse_statement(Relation relation, const char *operation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	char	   *schema = get_namespace_name(RelationGetNamespace(relation));
	char	   *name;

	name = quote_qualified_identifier(schema,
									  RelationGetRelationName(relation));
	if (strcmp(operation, "INSERT") == 0)
		return psprintf("DELETE FROM %s AS t USING pg_catalog.unnest($1) AS n WHERE %s",
						name, same_row(relation, "n"));
	if (strcmp(operation, "DELETE") == 0)
		return psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM pg_catalog.unnest($1) AS o",
						name, column_list(desc, NULL, true),
						column_list(desc, "o", true));
	return psprintf("UPDATE %s AS t SET %s FROM pg_catalog.unnest($1) WITH ORDINALITY AS o(%s, \"#\"), pg_catalog.unnest($2) WITH ORDINALITY AS n(%s, \"#\") WHERE o.\"#\" = n.\"#\" AND %s",
					name, assignments(desc), column_list(desc, NULL, false),
					column_list(desc, NULL, false), same_row(relation, "n"));
}

static void
add_reference(StringInfo json, Oid type, const char *id, const char *side,
			  const char *rows)
{
	appendStringInfo(json, "%s{\"oid\": \"%u\", \"type\": ",
					 json->len > 1 ? ", " : "", type);
	escape_json(json, format_type_extended(type, -1,
										   FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfo(json, ", \"image\": \"%s\", \"side\": \"%s\", \"sha256\": \"%s\"}",
					 id, side, sha256_of(rows));
}

/* One row of warden.change_images turned round. */
static WardenCapture *
inverse_of(const char *id, Oid relid, const char *operation, int rows,
		   const char *old_rows, const char *new_rows)
{
	WardenCapture *inverse = palloc0(sizeof(WardenCapture));
	Relation	relation = try_relation_open(relid, AccessShareLock);
	StringInfoData json;
	Oid			type;

	if (relation == NULL || !OidIsValid(RelationGetPrimaryKeyIndex(relation)))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("a table that the change wrote to has gone or lost its primary key"),
				 errhint("Correct the rows by a new change.")));
	type = get_array_type(relation->rd_rel->reltype);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	if (old_rows != NULL)
		add_reference(&json, type, id, "old", old_rows);
	if (new_rows != NULL)
		add_reference(&json, type, id, "new", new_rows);
	appendStringInfoChar(&json, ']');
	inverse->statement = inverse_statement(relation, operation);
	inverse->raw = warden_statement_parse(inverse->statement);
	inverse->command = GetCommandTagName(CreateCommandTag(inverse->raw->stmt));
	inverse->parameters = warden_capture_canonical(json.data);
	inverse->estimated_rows = rows;
	inverse->expected_rows = rows;
	if (!warden_statement_names(inverse->raw->stmt, &inverse->names))
		elog(ERROR, "could not name the objects of an inverse statement");
	warden_statement_resolve(inverse->names, NIL);
	relation_close(relation, AccessShareLock);
	return inverse;
}

static void
load_revert_internally(void *arg)
{
	RevertJob  *job = arg;
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(job->change.id);
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->change.id, false, job->context,
									 &job->change);
	if (SPI_execute_with_args("SELECT id, relation::pg_catalog.oid, operation,"
							  " row_count, old_rows, new_rows"
							  " FROM warden.change_images"
							  " WHERE change_id OPERATOR(pg_catalog.=) $1"
							  " ORDER BY id DESC",
							  1, &type, &value, NULL, false,
							  0) != SPI_OK_SELECT)
		elog(ERROR, "could not read row images");
	for (i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(job->context);
		char	   *column[7];
		int			c;

		for (c = 1; c <= 6; c++)
			column[c] = SPI_getvalue(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, c);
		job->captures = lappend(job->captures,
								inverse_of(column[1], atooid(column[2]),
										   column[3], atoi(column[4]),
										   column[5], column[6]));
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
		return "There are no row images of it.";
	return psprintf("It is %s.",
					warden_pending_status_name(job->change.status));
}

PG_FUNCTION_INFO_V1(warden_sql_revert);
Datum
warden_sql_revert(PG_FUNCTION_ARGS)
{
	RevertJob	job = {0};
	int64		reverted = PG_GETARG_INT64(0);

	warden_pending_require_select(fcinfo, "revert");
	warden_pending_require_reviewer();
	job.change.id = reverted;
	job.context = CurrentMemoryContext;
	warden_principal_run_internal(load_revert_internally, &job);
	if (!job.found || job.change.status != WARDEN_CHANGE_APPLIED ||
		job.captures == NIL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " can not be reverted",
						reverted),
				 errdetail("%s", why_not_reverted(&job)),
				 errhint("Images are kept for 7 days, of INSERT, UPDATE and DELETE on tables with a primary key, up to 8 MB.")));
	job.change.on_behalf_of = require_reverter();
	job.change.asserted = false;
	job.change.token_issuer = InvalidOid;
	job.change.agent_role = GetSessionUserId();
	PG_RETURN_INT64(warden_pending_propose_as(&job.change, job.captures,
											  psprintf("revert of change " INT64_FORMAT,
													   reverted),
											  NULL, reverted));
}

void
warden_images_init(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = images_ExecutorStart;
}
