/*-------------------------------------------------------------------------
 * pending_images.c
 *	  Row images: what an apply changed, kept with it, so that warden.revert()
 *	  can propose the inverse.
 *
 * Rows are kept in the text form of their composite type, under settings by
 * which it reads back exactly.
 *
 * Invariants:
 * - Images are inserted in the transaction that applies the change.
 * - They are complete or not kept at all, and then it is said why.
 * - No role but the extension's owner can read them: they are raw.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "pending.h"
#include "warden.h"

/* Times that one change may go from one table or operation to another. */
#define MAX_IMAGES			2000

/* Rows that one statement did one thing to. */
typedef struct Image
{
	int			ordinal;
	Oid			relid;
	char		operation;		/* i, u or d */
	ArrayBuildState *old_rows;	/* of text */
	ArrayBuildState *new_rows;
	int			rows;
	char	   *shape;
} Image;

/* Of the apply under way, in its memory context. */
static struct
{
	MemoryContext context;		/* NULL: nothing is captured */
	List	   *images;			/* of Image * */
	int			ordinal;
	int64		bytes;
	const char *reason;			/* why there are no images, or NULL */
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

void
warden_images_give_up(const char *reason)
{
	if (capture.context == NULL || capture.reason != NULL)
		return;
	capture.reason = reason;
	capture.images = NIL;
}

/* By number, as labels are: a name can go to another column. */
char *
warden_images_shape(TupleDesc desc)
{
	StringInfoData shape;
	int			i;

	initStringInfo(&shape);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			appendStringInfo(&shape, "%s%d %u %d", shape.len > 0 ? ", " : "",
							 att->attnum, att->atttypid, att->atttypmod);
	}
	return shape.data;
}

static Image *
image_of(Relation relation, char operation)
{
	Oid			relid = RelationGetRelid(relation);
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
	image->shape = warden_images_shape(RelationGetDescr(relation));
	capture.images = lappend(capture.images, image);
	return image;
}

static void
add_row(ArrayBuildState **rows, HeapTuple tuple, TupleDesc desc)
{
	char	   *text = warden_images_text(tuple, desc);

	capture.bytes += strlen(text);
	*rows = accumArrayResult(*rows, CStringGetTextDatum(text), false, TEXTOID,
							 capture.context);
}

char *
warden_images_text(HeapTuple tuple, TupleDesc desc)
{
	int			nest = warden_capture_exact_begin();
	char	   *text;

	text = OidOutputFunctionCall(F_RECORD_OUT,
								 heap_copy_tuple_as_datum(tuple, desc));
	warden_capture_exact_end(nest);
	return text;
}

void
warden_images_row(Relation relation, char operation, HeapTuple old,
				  HeapTuple new)
{
	MemoryContext outer;
	Image	   *image;

	if (capture.context == NULL || capture.reason != NULL)
		return;
	outer = MemoryContextSwitchTo(capture.context);
	image = image_of(relation, operation);
	image->rows++;
	if (old != NULL)
		add_row(&image->old_rows, old, RelationGetDescr(relation));
	if (new != NULL)
		add_row(&image->new_rows, new, RelationGetDescr(relation));
	if (capture.bytes > (int64) warden_image_size)
		warden_images_give_up("its rows are more than warden.image_size");
	else if (list_length(capture.images) > MAX_IMAGES)
		warden_images_give_up("it goes from one table or operation to another too often");
	MemoryContextSwitchTo(outer);
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
	TEXTOID, TEXTOID, TEXTOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[] = "        ";
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
	values[7] = CStringGetTextDatum(image->shape);
	if (SPI_execute_with_args("INSERT INTO warden.change_images (change_id,"
							  " ordinal, relation, operation, row_count,"
							  " old_rows, new_rows, shape)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
							  lengthof(types), types, values, nulls, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not keep row images");
}

/* Instead of rows: why there are none. */
static void
store_reason(int64 change_id, const char *reason)
{
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[2];

	values[0] = Int64GetDatum(change_id);
	values[1] = CStringGetTextDatum(reason);
	if (SPI_execute_with_args("INSERT INTO warden.change_images (change_id,"
							  " ordinal, relation, operation, row_count,"
							  " old_rows) VALUES ($1, 0, 0, 'NONE', 0, $2)",
							  2, types, values, NULL, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not say why there are no row images");
}

TimestampTz
warden_images_horizon(void)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									   -INT64CONST(60000) *
									   warden_image_retention);
}

void
warden_images_store(int64 change_id)
{
	Oid			type = TIMESTAMPTZOID;
	Datum		horizon = TimestampTzGetDatum(warden_images_horizon());
	ListCell   *cell;

	if (capture.reason != NULL)
		store_reason(change_id, capture.reason);
	foreach(cell, capture.images)
		store_image(change_id, lfirst(cell));
	capture.images = NIL;
	capture.reason = NULL;
	if (SPI_execute_with_args("DELETE FROM warden.change_images"
							  " WHERE at OPERATOR(pg_catalog.<) $1",
							  1, &type, &horizon, NULL, false,
							  0) != SPI_OK_DELETE)
		elog(ERROR, "could not remove old row images");
}
