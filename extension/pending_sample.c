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
 * has no right to are left out, and so are tables with row security for it.  Of
 * a partition it may be able to select through the partitioned table only.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/tupconvert.h"
#include "catalog/partition.h"
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
	Oid			moving;			/* partitioned table that rows move in */
	List	   *moved;			/* of HeapTuple, in its form, not yet arrived */
} current;

void
warden_sample_begin(MemoryContext context, Oid role)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	current.context = context;
	current.rows = 0;
	current.role = role;
	current.moving = InvalidOid;
	current.moved = NIL;
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

/*
 * Whoever can select from a partitioned table can read the rows of its
 * partitions, and needs no right to these.  Row security of the table that is
 * selected from applies, and no other.
 */
static List *
readable_through(Relation relation)
{
	Oid			relid = RelationGetRelid(relation);
	List	   *relids = list_make1_oid(relid);
	List	   *open = NIL;
	ListCell   *cell;

	if (relation->rd_rel->relispartition)
		relids = list_concat(relids, get_partition_ancestors(relid));
	foreach(cell, relids)
	{
		Oid			table = lfirst_oid(cell);

		if (check_enable_rls(table, current.role, true) != RLS_ENABLED &&
			(pg_class_aclcheck(table, current.role,
							   ACL_SELECT) == ACLCHECK_OK ||
			 pg_attribute_aclcheck_all(table, current.role, ACL_SELECT,
									   ACLMASK_ANY) == ACLCHECK_OK))
			open = lappend_oid(open, table);
	}
	return open;
}

static bool
is_readable(List *relids, const char *column)
{
	ListCell   *cell;

	foreach(cell, relids)
	{
		Oid			relid = lfirst_oid(cell);
		AttrNumber	attnum = get_attnum(relid, column);

		if (attnum != InvalidAttrNumber &&
			(pg_class_aclcheck(relid, current.role,
							   ACL_SELECT) == ACLCHECK_OK ||
			 pg_attribute_aclcheck(relid, attnum, current.role,
								   ACL_SELECT) == ACLCHECK_OK))
			return true;
	}
	return false;
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
put_row(StringInfo json, const char *name, Relation relation, List *through,
		HeapTuple tuple, HeapTuple other)
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

		if (att->attisdropped || WARDEN_ATT_VIRTUAL(att) ||
			!is_readable(through, NameStr(att->attname)) ||
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

static void
put_change(Relation relation, HeapTuple old, HeapTuple new)
{
	List	   *through = readable_through(relation);
	char	   *schema;

	if (current.rows >= WARDEN_SAMPLE_ROWS || through == NIL)
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
		put_row(&current.json, "before", relation, through, old, new);
	if (new != NULL)
		put_row(&current.json, "after", relation, through, new, old);
	appendStringInfoChar(&current.json, '}');
}

/* ---- rows that move between partitions ----------------------------------- */

void
warden_sample_moving(Oid relid)
{
	current.moving = relid;
}

static bool
leaves(Relation relation)
{
	return OidIsValid(current.moving) && relation->rd_rel->relispartition &&
		list_member_oid(get_partition_ancestors(RelationGetRelid(relation)),
						current.moving);
}

/* In the form of the partitioned table: as it will arrive. */
static void
remember_moved(Relation relation, HeapTuple row)
{
	Relation	root;
	TupleConversionMap *map;
	MemoryContext old;

	if (current.rows + list_length(current.moved) >= WARDEN_SAMPLE_ROWS)
		return;
	old = MemoryContextSwitchTo(current.context);
	root = relation_open(current.moving, AccessShareLock);
	map = convert_tuples_by_name(RelationGetDescr(relation),
								 RelationGetDescr(root));
	current.moved = lappend(current.moved, map != NULL ?
							execute_attr_map_tuple(row, map) :
							heap_copytuple(row));
	relation_close(root, NoLock);
	MemoryContextSwitchTo(old);
}

void
warden_sample_row(Relation relation, HeapTuple old, HeapTuple new)
{
	if (current.context == NULL || current.rows >= WARDEN_SAMPLE_ROWS)
		return;
	if (new == NULL && leaves(relation))
	{
		remember_moved(relation, old);
		return;
	}
	if (old == NULL && RelationGetRelid(relation) == current.moving)
	{
		if (current.moved == NIL)
			return;
		old = linitial(current.moved);
		current.moved = list_delete_first(current.moved);
	}
	put_change(relation, old, new);
}
