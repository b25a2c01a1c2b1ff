/*-------------------------------------------------------------------------
 * pending_preview_tables.c
 *	  Can be taken back what a statement's tables would set off?
 *
 * A statement that names a partitioned table, or one with children, reaches
 * all of these, whichever of them hold the rows: a row may be routed anywhere,
 * and what is pruned now need not be when it runs.  So does a foreign key that
 * acts on other tables, and these on others.  All of them are looked at, up to
 * a number of tables; beyond it nobody knows, and the statement is not run.
 *
 * What is looked at here may change before the statement runs, since the locks
 * of reading block neither CREATE TRIGGER nor ATTACH PARTITION: code that comes
 * in between is stopped by pending_preview_guard.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "function_gate.h"
#include "pending.h"
#include "pending_preview_private.h"

/* Larger tables are not rewritten, scanned or indexed just to be looked at. */
#define PREVIEW_MAX_BYTES		(64 * 1024 * 1024)

/* Tables that one statement may reach. */
#define PREVIEW_MAX_TABLES		500

/* What is looked at for one statement. */
typedef struct Look
{
	List	   *relids;			/* those that were found, in that order */
	int			named;			/* as many as the statement names itself */
	bool		ddl;
	int64		bytes;			/* of the tables so far */
} Look;

/* ---- types --------------------------------------------------------------- */

static bool
row_is_checked(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	bool		checked = false;
	int			i;

	for (i = 0; i < desc->natts && !checked; i++)
		checked = !TupleDescAttr(desc, i)->attisdropped &&
			warden_preview_is_checked(TupleDescAttr(desc, i)->atttypid);
	ReleaseTupleDesc(desc);
	return checked;
}

/* Reading a value in runs the checks of the domains in it, at any depth. */
bool
warden_preview_is_checked(Oid type)
{
	Oid			element;

	check_stack_depth();
	if (!OidIsValid(type))
		return false;
	element = get_element_type(type);
	if (OidIsValid(element))
		return warden_preview_is_checked(element);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return DomainHasConstraints(type) ||
				warden_preview_is_checked(getBaseType(type));
		case TYPTYPE_COMPOSITE:
			return row_is_checked(type);
		case TYPTYPE_RANGE:
			return warden_preview_is_checked(get_range_subtype(type));
		case TYPTYPE_MULTIRANGE:
			return warden_preview_is_checked(get_multirange_range(type));
		case TYPTYPE_BASE:
		case TYPTYPE_ENUM:
		case TYPTYPE_PSEUDO:
			return false;
		default:
			return true;
	}
}

/* ---- one table ----------------------------------------------------------- */

/* Triggers other than those of foreign keys run code. */
static const char *
trigger_bar(Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!trigger->tgisinternal || !OidIsValid(trigger->tgconstrindid))
			return psprintf("table %s has trigger %s",
							RelationGetRelationName(relation),
							trigger->tgname);
	}
	return NULL;
}

static bool
any_is_procedural(const Oid *functions, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (OidIsValid(functions[i]) &&
			warden_function_is_procedural(functions[i]))
			return true;
	}
	return false;
}

/* What it computes of a row, and how it compares that. */
static bool
index_is_unsafe(Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	int			keys = IndexRelationGetNumberOfKeyAttributes(index);
	List	   *computed = RelationGetIndexExpressions(index);
	List	   *predicate = RelationGetIndexPredicate(index);
	bool		unsafe;

	unsafe = warden_preview_unsafe((Node *) computed) ||
		warden_preview_unsafe((Node *) predicate) ||
		any_is_procedural(index->rd_support,
						  keys * index->rd_indam->amsupport);
	if (!unsafe && index->rd_index->indisexclusion)
	{
		Oid		   *operators;
		Oid		   *functions;
		uint16	   *strategies;

		RelationGetExclusionInfo(index, &operators, &functions, &strategies);
		unsafe = any_is_procedural(functions, keys);
	}
	index_close(index, AccessShareLock);
	return unsafe;
}

/* Rows find their partition by these. */
static bool
partition_key_is_unsafe(Relation relation)
{
	PartitionKey key = RelationGetPartitionKey(relation);
	int			i;

	if (warden_preview_unsafe((Node *) key->partexprs))
		return true;
	for (i = 0; i < key->partnatts; i++)
	{
		if (OidIsValid(key->partsupfunc[i].fn_oid) &&
			warden_function_is_procedural(key->partsupfunc[i].fn_oid))
			return true;
	}
	return false;
}

static const char *
expressions_bar(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	ListCell   *cell;
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped &&
			warden_preview_is_checked(TupleDescAttr(desc, i)->atttypid))
			return "a column's type is a domain with constraints";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (warden_preview_unsafe(stringToNode(desc->constr->check[i].ccbin)))
			return "a CHECK constraint calls a function that is not built in";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
	{
		if (warden_preview_unsafe(stringToNode(desc->constr->defval[i].adbin)))
			return "a default calls a function that is not built in";
	}
	foreach(cell, RelationGetIndexList(relation))
	{
		if (index_is_unsafe(lfirst_oid(cell)))
			return "an index calls a function that is not built in";
	}
	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		partition_key_is_unsafe(relation))
		return "a partition key calls a function that is not built in";
	return NULL;
}

bool
warden_preview_computes(Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	bool		computes;

	if (relation == NULL)
		return false;
	computes = expressions_bar(relation) != NULL;
	relation_close(relation, AccessShareLock);
	return computes;
}

/* ---- and what it leads to ------------------------------------------------ */

static void
add_table(Look *look, Oid relid)
{
	if (list_length(look->relids) <= PREVIEW_MAX_TABLES)
		look->relids = list_append_unique_oid(look->relids, relid);
}

/* One that is being detached may still get rows. */
static void
add_children(Look *look, Relation relation)
{
	ListCell   *cell;

	if (!relation->rd_rel->relhassubclass)
		return;
	foreach(cell, find_inheritance_children_extended(RelationGetRelid(relation),
													 false, NoLock, NULL,
													 NULL))
		add_table(look, lfirst_oid(cell));
}

static void
add_cascades(Look *look, Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (trigger->tgfoid == F_RI_FKEY_CASCADE_DEL ||
			trigger->tgfoid == F_RI_FKEY_CASCADE_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_UPD)
			add_table(look, trigger->tgconstrrelid);
	}
}

static const char *
table_bar(Look *look, Relation relation)
{
	const char *bar = trigger_bar(relation);

	if (bar == NULL)
		bar = expressions_bar(relation);
	if (bar != NULL)
		return bar;
	add_children(look, relation);
	if (!look->ddl)
		add_cascades(look, relation);
	else if (relation->rd_rel->relkind == RELKIND_RELATION)
		look->bytes += (int64) RelationGetNumberOfBlocks(relation) * BLCKSZ;
	return look->bytes > PREVIEW_MAX_BYTES ?
		"the table is too large to be changed just to look" : NULL;
}

/* Kinds whose rows nobody writes: DDL may name them. */
static bool
is_derived(char kind)
{
	return kind == RELKIND_VIEW || kind == RELKIND_MATVIEW ||
		kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX ||
		kind == RELKIND_SEQUENCE || kind == RELKIND_COMPOSITE_TYPE;
}

static const char *
relation_bar(Look *look, Oid relid, bool named)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	const char *bar = NULL;
	char		kind;

	if (relation == NULL)
		return NULL;
	kind = relation->rd_rel->relkind;
	if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
		bar = table_bar(look, relation);
	else if (!look->ddl || !named || !is_derived(kind))
		bar = psprintf("it reaches %s, which is not a plain table",
					   RelationGetRelationName(relation));
	relation_close(relation, AccessShareLock);
	return bar;
}

const char *
warden_preview_tables_bar(List *relids, bool ddl)
{
	Look		look = {.ddl = ddl};
	const char *bar = NULL;
	ListCell   *cell;
	int			i;

	foreach(cell, relids)
		add_table(&look, lfirst_oid(cell));
	look.named = list_length(look.relids);
	for (i = 0; bar == NULL && i < list_length(look.relids); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i >= PREVIEW_MAX_TABLES)
			bar = psprintf("it reaches more than %d tables",
						   PREVIEW_MAX_TABLES);
		else
			bar = relation_bar(&look, list_nth_oid(look.relids, i),
							   i < look.named);
	}
	return bar;
}

/* ---- tables that are read ------------------------------------------------ */

static bool
tree_has_foreign_table(Oid relid)
{
	ListCell   *cell;

	foreach(cell, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			return true;
	}
	return false;
}

/* Partitions are behind their parent's back. */
static bool
foreign_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		return rte->rtekind == RTE_RELATION &&
			(rte->relkind == RELKIND_FOREIGN_TABLE ||
			 (rte->inh && tree_has_foreign_table(rte->relid)));
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, foreign_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, foreign_walker, context);
}

bool
warden_preview_reads_foreign_table(Query *query)
{
	return foreign_walker((Node *) query, NULL);
}
