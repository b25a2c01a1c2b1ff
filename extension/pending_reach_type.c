/*-------------------------------------------------------------------------
 * pending_reach_type.c
 *	  What values of a type are made of and call: input and output functions,
 *	  base types, the constraints of a domain, the labels of an enum, the
 *	  columns of a composite type, what a range is over.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending_reach_private.h"

void
warden_reach_opclass(Reach *reach, Oid opclass)
{
	CatCList   *list;
	int			i;

	if (opclass < FirstNormalObjectId)
		return;
	list = SearchSysCacheList1(AMPROCNUM,
							   ObjectIdGetDatum(get_opclass_family(opclass)));
	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc)
			GETSTRUCT(&list->members[i]->tuple);

		warden_reach_object(reach, ProcedureRelationId, form->amproc);
	}
	ReleaseSysCacheList(list);
}

static void
reach_domain_constraints(Reach *reach, Oid type, StringInfo state)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		stored = heap_getattr(tuple, Anum_pg_constraint_conbin,
										  RelationGetDescr(rel), &isnull);

		if (isnull)
			continue;
		warden_reach_stored(reach, TextDatumGetCString(stored));
		appendStringInfo(state, " %s", TextDatumGetCString(stored));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
reach_domain(Reach *reach, HeapTuple tuple, StringInfo state)
{
	bool		isnull;
	Datum		stored = SysCacheGetAttr(TYPEOID, tuple,
										 Anum_pg_type_typdefaultbin, &isnull);

	if (!isnull)
	{
		warden_reach_stored(reach, TextDatumGetCString(stored));
		appendStringInfo(state, " %s", TextDatumGetCString(stored));
	}
	reach_domain_constraints(reach, ((Form_pg_type) GETSTRUCT(tuple))->oid,
							 state);
}

/* Its labels, in no order but that of the catalog's index. */
static void
describe_enum(Oid type, StringInfo state)
{
	CatCList   *list = SearchSysCacheList1(ENUMTYPOIDNAME,
										   ObjectIdGetDatum(type));
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_enum form = (Form_pg_enum)
			GETSTRUCT(&list->members[i]->tuple);

		appendStringInfo(state, " %u %g %s", form->oid, form->enumsortorder,
						 NameStr(form->enumlabel));
	}
	ReleaseSysCacheList(list);
}

/* Of a table as well, where something is of the type of its rows. */
static void
reach_composite(Reach *reach, Oid relid, StringInfo state)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	TupleDesc	desc;
	int			i;

	if (relation == NULL)
		return;
	desc = RelationGetDescr(relation);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		warden_reach_object(reach, TypeRelationId, att->atttypid);
		appendStringInfo(state, " %d %s %u %d %u", att->attnum,
						 NameStr(att->attname), att->atttypid, att->atttypmod,
						 att->attcollation);
	}
	relation_close(relation, AccessShareLock);
}

static void
reach_range(Reach *reach, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type));
	Form_pg_range form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_range) GETSTRUCT(tuple);
	warden_reach_object(reach, TypeRelationId, form->rngsubtype);
	warden_reach_object(reach, ProcedureRelationId, form->rngcanonical);
	warden_reach_object(reach, ProcedureRelationId, form->rngsubdiff);
	warden_reach_opclass(reach, form->rngsubopc);
	ReleaseSysCache(tuple);
}

/* What its kind has to say. */
static void
reach_kind(Reach *reach, HeapTuple tuple, StringInfo state)
{
	Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

	switch (form->typtype)
	{
		case TYPTYPE_DOMAIN:
			reach_domain(reach, tuple, state);
			break;
		case TYPTYPE_ENUM:
			describe_enum(form->oid, state);
			break;
		case TYPTYPE_COMPOSITE:
			reach_composite(reach, form->typrelid, state);
			break;
		case TYPTYPE_RANGE:
			reach_range(reach, form->oid);
			break;
		case TYPTYPE_MULTIRANGE:
			warden_reach_object(reach, TypeRelationId,
								get_multirange_range(form->oid));
			break;
		default:
			break;
	}
}

char *
warden_reach_type(Reach *reach, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	StringInfoData state;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("gone");
	form = (Form_pg_type) GETSTRUCT(tuple);
	initStringInfo(&state);
	appendStringInfo(&state, "%c %u %d", form->typtype, form->typbasetype,
					 form->typnotnull);
	warden_reach_object(reach, TypeRelationId, form->typbasetype);
	warden_reach_object(reach, TypeRelationId, form->typelem);
	warden_reach_object(reach, ProcedureRelationId, form->typinput);
	warden_reach_object(reach, ProcedureRelationId, form->typoutput);
	reach_kind(reach, tuple, &state);
	ReleaseSysCache(tuple);
	return state.data;
}
