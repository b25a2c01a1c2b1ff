/*-------------------------------------------------------------------------
 * own_code.c
 *	  Functions of a principal's own that would see raw rows.
 *
 * Whoever owns a function says what it does, whatever it is attached to: one
 * that a labelled table still calls when the table has been given to another
 * owner, or the right to make triggers has been taken away, hands the rows to
 * the role that can replace it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "own_code.h"

typedef struct Search
{
	const WardenPrincipal *principal;
	Oid			found;
} Search;

bool
warden_own_code_reaches(const WardenPrincipal *principal, Oid owner)
{
	return has_privs_of_role(principal->role, owner) ||
		(principal->login_governed &&
		 has_privs_of_role(principal->login_role, owner));
}

static bool
is_own(Oid funcid, void *context)
{
	Search	   *search = context;
	HeapTuple	tuple;

	if (funcid < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	if (warden_own_code_reaches(search->principal,
								((Form_pg_proc) GETSTRUCT(tuple))->proowner))
		search->found = funcid;
	ReleaseSysCache(tuple);
	return OidIsValid(search->found);
}

static bool own_walker(Node *node, Search *search);

/*
 * What is looked at is stored: in what the relation and type caches hold of it,
 * a function of SQL may stand no more, but its body.
 */
static bool
stored_is_own(const char *expression, Search *search)
{
	return expression != NULL && own_walker(stringToNode(expression), search);
}

static bool
attribute_own(int cache, HeapTuple tuple, AttrNumber attnum, Search *search)
{
	bool		isnull;
	Datum		stored = SysCacheGetAttr(cache, tuple, attnum, &isnull);

	return !isnull && stored_is_own(TextDatumGetCString(stored), search);
}

/* Is it in the constraints of one domain? */
static bool
domain_constraints_own(Oid type, Search *search)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		own = false;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1,
							  &key);
	while (!own && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		stored = heap_getattr(tuple, Anum_pg_constraint_conbin,
										  RelationGetDescr(rel), &isnull);

		own = !isnull && stored_is_own(TextDatumGetCString(stored), search);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return own;
}

static bool type_own(Oid type, Search *search);

static bool
row_type_own(Oid type, Search *search)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && type_own(att->atttypid, search))
			return true;
	}
	return false;
}

/* Is it in the constraints of the type, of one that it is made over, or of one
 * that values of it are made of? */
static bool
type_own(Oid type, Search *search)
{
	HeapTuple	tuple;
	FormData_pg_type form;

	check_stack_depth();
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		return false;
	memcpy(&form, GETSTRUCT(tuple), sizeof(form));
	ReleaseSysCache(tuple);
	switch (form.typtype)
	{
		case TYPTYPE_DOMAIN:
			return domain_constraints_own(type, search) ||
				type_own(form.typbasetype, search);
		case TYPTYPE_COMPOSITE:
			return row_type_own(type, search);
		case TYPTYPE_RANGE:
			return type_own(get_range_subtype(type), search);
		case TYPTYPE_MULTIRANGE:
			return type_own(get_multirange_range(type), search);
		default:
			return OidIsValid(form.typelem) && type_own(form.typelem, search);
	}
}

/* Casts by text and functions, as jsonb_populate_record(), make what they
 * return, all that is in it. */
static bool
makes_own(Node *node, Search *search)
{
	return (IsA(node, CoerceToDomain) || IsA(node, CoerceViaIO) ||
			IsA(node, FuncExpr)) &&
		type_own(exprType(node), search);
}

static bool
own_walker(Node *node, Search *search)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_own, search))
		return true;
	if (makes_own(node, search))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, own_walker, search, 0);
	return expression_tree_walker(node, own_walker, search);
}

/* Copied: it does not outlive a message that the relation has changed. */
static bool
triggers_own(TriggerDesc *trigdesc, Search *search)
{
	TriggerDesc *triggers = CopyTriggerDesc(trigdesc);
	int			i;

	for (i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (is_own(trigger->tgfoid, search) ||
			stored_is_own(trigger->tgqual, search))
			return true;
	}
	return false;
}

/* A default is computed from nothing of the row, a generated column is. */
static bool
constraints_own(TupleDesc desc, Search *search)
{
	const TupleConstr *constr = desc->constr;
	int			i;

	for (i = 0; constr != NULL && i < constr->num_check; i++)
	{
		if (stored_is_own(constr->check[i].ccbin, search))
			return true;
	}
	for (i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		const AttrDefault *def = &constr->defval[i];

		if (TupleDescAttr(desc, def->adnum - 1)->attgenerated != '\0' &&
			stored_is_own(def->adbin, search))
			return true;
	}
	return false;
}

/* GiST asks a range type's own functions how far values are apart, for
 * multiranges, too. */
static bool
range_own(Oid type, Search *search)
{
	Oid			base = getBaseType(type);
	TypeCacheEntry *range;

	if (type_is_multirange(base))
		base = get_multirange_range(base);
	range = lookup_type_cache(base, TYPECACHE_RANGE_INFO);
	return range->rngelemtype != NULL &&
		(is_own(range->rng_subdiff_finfo.fn_oid, search) ||
		 is_own(range->rng_canonical_finfo.fn_oid, search));
}

/* The types are those of what is indexed: what the index keeps of a multirange
 * is of none. */
static bool
index_own(Relation rel, Relation index, Search *search)
{
	const int2vector *key = &index->rd_index->indkey;
	ListCell   *lc;
	int			i;

	for (i = 0; i < key->dim1; i++)
	{
		if (key->values[i] > 0 &&
			range_own(TupleDescAttr(RelationGetDescr(rel),
									key->values[i] - 1)->atttypid, search))
			return true;
	}
	foreach(lc, RelationGetIndexExpressions(index))
	{
		if (range_own(exprType(lfirst(lc)), search))
			return true;
	}
	for (i = 0; i < IndexRelationGetNumberOfKeyAttributes(index) *
		 index->rd_indam->amsupport; i++)
	{
		if (is_own(index->rd_support[i], search))
			return true;
	}
	return attribute_own(INDEXRELID, index->rd_indextuple,
						 Anum_pg_index_indexprs, search) ||
		attribute_own(INDEXRELID, index->rd_indextuple,
					  Anum_pg_index_indpred, search);
}

static bool
indexes_own(Relation rel, Search *search)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = RelationIdGetRelation(lfirst_oid(lc));
		bool		own;

		if (!RelationIsValid(index))
			continue;
		own = index_own(rel, index, search);
		RelationClose(index);
		if (own)
			return true;
	}
	return false;
}

/* By what a partitioned table computes which partition a row belongs to. */
static bool
partition_key_own(Relation rel, Search *search)
{
	HeapTuple	tuple;
	bool		own;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	tuple = SearchSysCache1(PARTRELID,
							ObjectIdGetDatum(RelationGetRelid(rel)));
	if (!HeapTupleIsValid(tuple))
		return false;
	own = attribute_own(PARTRELID, tuple, Anum_pg_partitioned_table_partexprs,
						search);
	ReleaseSysCache(tuple);
	return own;
}

Oid
warden_own_code_attached(Relation rel, const WardenPrincipal *principal)
{
	Search		search = {principal, InvalidOid};

	if (!triggers_own(rel->trigdesc, &search) &&
		!constraints_own(RelationGetDescr(rel), &search) &&
		!partition_key_own(rel, &search))
		(void) indexes_own(rel, &search);
	return search.found;
}

bool
warden_own_code_in_policies(Relation rel, const WardenPrincipal *principal)
{
	Search		search = {principal, InvalidOid};
	ListCell   *lc;

	if (rel->rd_rsdesc == NULL)
		return false;
	foreach(lc, rel->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(lc);

		if (own_walker((Node *) policy->qual, &search) ||
			own_walker((Node *) policy->with_check_qual, &search))
			return true;
	}
	return false;
}
