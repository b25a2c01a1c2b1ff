/*-------------------------------------------------------------------------
 * pending_sample.c
 *	  The first rows that a statement changes in a preview, before and after:
 *	  of an UPDATE what changes, beside the key.
 *
 * Values are in the text form of their types, which is made by the output
 * functions of the types and by nothing else: no cast of anybody's runs.
 *
 * Invariant: whoever may have a preview is a member of the apply role and not
 * governed, and sees here what that role could SELECT, no more: columns that it
 * has no right to are left out, and so are tables with row security for it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"

#include "compat.h"
#include "pending.h"

/* Of each value. */
#define MAX_BYTES		200

/* Of the statement under way; in the context of whoever began it. */
static struct
{
	MemoryContext context;		/* NULL: nothing is collected */
	StringInfoData json;
	int			rows;
	Oid			role;			/* that must be able to read what is shown */
} current;

void
warden_sample_begin(MemoryContext context, Oid role)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	current.context = context;
	current.rows = 0;
	current.role = role;
	initStringInfo(&current.json);
	appendStringInfoChar(&current.json, '[');
	MemoryContextSwitchTo(old);
}

/* A jsonb text, NULL where no row was changed. */
char *
warden_sample_end(void)
{
	if (current.context == NULL)
		return NULL;
	current.context = NULL;
	appendStringInfoChar(&current.json, ']');
	return current.rows > 0 ? current.json.data : NULL;
}

void
warden_sample_value(StringInfo json, const char *name, Oid type, Datum value,
					bool isnull)
{
	Oid			output;
	bool		varlena;
	char	   *text;
	size_t		length;

	escape_json(json, name);
	appendStringInfoString(json, ": ");
	if (isnull)
	{
		appendStringInfoString(json, "null");
		return;
	}
	getTypeOutputInfo(type, &output, &varlena);
	text = OidOutputFunctionCall(output, value);
	length = strlen(text);
	if (length > MAX_BYTES)
		text = psprintf("%s...",
						pnstrdup(text, pg_mbcliplen(text, length, MAX_BYTES)));
	escape_json(json, text);
}

static bool
is_readable(Relation relation, AttrNumber attnum)
{
	return pg_class_aclcheck(RelationGetRelid(relation), current.role,
							 ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(RelationGetRelid(relation), attnum, current.role,
							  ACL_SELECT) == ACLCHECK_OK;
}

static bool
same_value(TupleDesc desc, int i, HeapTuple a, HeapTuple b)
{
	Form_pg_attribute att = TupleDescAttr(desc, i);
	bool		null_a;
	bool		null_b;
	Datum		value_a = heap_getattr(a, i + 1, desc, &null_a);
	Datum		value_b = heap_getattr(b, i + 1, desc, &null_b);

	if (null_a || null_b)
		return null_a && null_b;
	return datum_image_eq(value_a, value_b, att->attbyval, att->attlen);
}

/* Without "other" the whole row, else the key and what differs from it. */
static void
put_row(StringInfo json, const char *name, Relation relation, HeapTuple tuple,
		HeapTuple other)
{
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *key = other == NULL ? NULL :
	RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	bool		first = true;
	int			i;

	appendStringInfo(json, ", \"%s\": {", name);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Datum		value;
		bool		isnull;

		if (att->attisdropped || !is_readable(relation, att->attnum) ||
			(other != NULL && same_value(desc, i, tuple, other) &&
			 !bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber,
							key)))
			continue;
		if (!first)
			appendStringInfoString(json, ", ");
		first = false;
		value = heap_getattr(tuple, i + 1, desc, &isnull);
		warden_sample_value(json, NameStr(att->attname), att->atttypid, value,
							isnull);
	}
	appendStringInfoChar(json, '}');
}

void
warden_sample_row(Relation relation, HeapTuple old, HeapTuple new)
{
	char	   *schema;

	if (current.context == NULL || current.rows >= WARDEN_SAMPLE_ROWS ||
		check_enable_rls(RelationGetRelid(relation), current.role,
						 true) == RLS_ENABLED)
		return;
	current.rows++;
	schema = get_namespace_name(RelationGetNamespace(relation));
	if (current.rows > 1)
		appendStringInfoString(&current.json, ", ");
	appendStringInfoString(&current.json, "{\"table\": ");
	escape_json(&current.json,
				quote_qualified_identifier(schema,
										   RelationGetRelationName(relation)));
	if (old != NULL)
		put_row(&current.json, "before", relation, old, new);
	if (new != NULL)
		put_row(&current.json, "after", relation, new, old);
	appendStringInfoChar(&current.json, '}');
}
