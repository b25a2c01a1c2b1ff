/*-------------------------------------------------------------------------
 * pending_reach_relation.c
 *	  What a relation sets off that a statement reads or writes: its rules and
 *	  policies; and where it is written defaults, constraints, triggers,
 *	  indexes, the key of its partitions and cascades.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rowsecurity.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "pending_reach_private.h"

static void
reach_columns(Reach *reach, TupleDesc desc)
{
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			warden_reach_object(reach, TypeRelationId,
						 TupleDescAttr(desc, i)->atttypid);
	}
	if (desc->constr == NULL)
		return;
	for (i = 0; i < desc->constr->num_check; i++)
		warden_reach_stored(reach, desc->constr->check[i].ccbin);
	for (i = 0; i < desc->constr->num_defval; i++)
		warden_reach_stored(reach, desc->constr->defval[i].adbin);
}

static bool
is_cascade(Oid function)
{
	return function == F_RI_FKEY_CASCADE_DEL ||
		function == F_RI_FKEY_CASCADE_UPD ||
		function == F_RI_FKEY_SETNULL_DEL ||
		function == F_RI_FKEY_SETNULL_UPD ||
		function == F_RI_FKEY_SETDEFAULT_DEL ||
		function == F_RI_FKEY_SETDEFAULT_UPD;
}

static void
reach_triggers(Reach *reach, Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		warden_reach_object(reach, ProcedureRelationId, trigger->tgfoid);
		if (trigger->tgqual != NULL)
			warden_reach_stored(reach, trigger->tgqual);
		if (is_cascade(trigger->tgfoid))
			warden_reach_object(reach, RelationRelationId,
								trigger->tgconstrrelid);
	}
}

static void
reach_rules(Reach *reach, Relation relation)
{
	ListCell   *cell;
	int			i;

	for (i = 0; relation->rd_rules != NULL &&
		 i < relation->rd_rules->numLocks; i++)
	{
		warden_reach_expression(reach, relation->rd_rules->rules[i]->qual);
		warden_reach_expression(reach, (Node *)
								relation->rd_rules->rules[i]->actions);
	}
	foreach(cell, relation->rd_rsdesc != NULL ?
			relation->rd_rsdesc->policies : NIL)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		warden_reach_expression(reach, (Node *) policy->qual);
		warden_reach_expression(reach, (Node *) policy->with_check_qual);
	}
}

/* As stored: the relation cache has inlined what the expressions call. */
static void
reach_index(Reach *reach, HeapTuple tuple)
{
	bool		isnull;
	oidvector  *classes;
	Datum		stored;
	int			i;

	stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indexprs,
							 &isnull);
	if (!isnull)
		warden_reach_stored(reach, TextDatumGetCString(stored));
	stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
							 &isnull);
	if (!isnull)
		warden_reach_stored(reach, TextDatumGetCString(stored));
	stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass,
							 &isnull);
	classes = (oidvector *) DatumGetPointer(stored);
	for (i = 0; !isnull && i < classes->dim1; i++)
		warden_reach_opclass(reach, classes->values[i]);
}

static void
reach_indexes(Reach *reach, Relation relation)
{
	ListCell   *cell;

	if (!relation->rd_rel->relhasindex)
		return;
	foreach(cell, RelationGetIndexList(relation))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));

		if (!HeapTupleIsValid(tuple))
			continue;
		reach_index(reach, tuple);
		ReleaseSysCache(tuple);
	}
}

/* Only ANALYZE computes these. */
static void
reach_statistics(Reach *reach, Relation relation)
{
	ListCell   *cell;

	foreach(cell, RelationGetStatExtList(relation))
	{
		HeapTuple	tuple = SearchSysCache1(STATEXTOID,
											ObjectIdGetDatum(lfirst_oid(cell)));
		bool		isnull;
		Datum		stored;

		if (!HeapTupleIsValid(tuple))
			continue;
		stored = SysCacheGetAttr(STATEXTOID, tuple,
								 Anum_pg_statistic_ext_stxexprs, &isnull);
		if (!isnull)
			warden_reach_stored(reach, TextDatumGetCString(stored));
		ReleaseSysCache(tuple);
	}
}

/* Rows find their partition by these; as stored, too. */
static void
reach_partition_key(Reach *reach, Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	bool		isnull;
	Datum		stored;
	oidvector  *classes;
	int			i;

	if (!HeapTupleIsValid(tuple))
		return;
	stored = SysCacheGetAttr(PARTRELID, tuple,
							 Anum_pg_partitioned_table_partexprs, &isnull);
	if (!isnull)
		warden_reach_stored(reach, TextDatumGetCString(stored));
	stored = SysCacheGetAttr(PARTRELID, tuple,
							 Anum_pg_partitioned_table_partclass, &isnull);
	classes = (oidvector *) DatumGetPointer(stored);
	for (i = 0; !isnull && i < classes->dim1; i++)
		warden_reach_opclass(reach, classes->values[i]);
	ReleaseSysCache(tuple);
}

/* What else a statement sets off that writes the relation. */
static void
reach_written(Reach *reach, Relation relation)
{
	char		kind = relation->rd_rel->relkind;

	reach_columns(reach, RelationGetDescr(relation));
	reach_triggers(reach, relation);
	if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_MATVIEW)
		reach_indexes(reach, relation);
	if (reach->analyses)
		reach_statistics(reach, relation);
	if (kind == RELKIND_PARTITIONED_TABLE)
		reach_partition_key(reach, RelationGetRelid(relation));
}

char *
warden_reach_relation(Reach *reach, Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	ListCell   *cell;

	if (relation == NULL)
		return pstrdup("gone");
	if (relation->rd_rel->relnamespace == warden_catalog_schema())
	{
		relation_close(relation, AccessShareLock);
		return pstrdup("ours");
	}
	reach_rules(reach, relation);
	if (!reach->reads)
		reach_written(reach, relation);
	if (relation->rd_rel->relhassubclass)
	{
		foreach(cell, find_inheritance_children(relid, NoLock))
			warden_reach_object(reach, RelationRelationId, lfirst_oid(cell));
	}
	relation_close(relation, AccessShareLock);
	return warden_capture_fingerprint(RelationRelationId, relid);
}
