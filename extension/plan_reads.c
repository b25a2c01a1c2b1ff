/*-------------------------------------------------------------------------
 * plan_reads.c
 *	  What a plan reads, as its audit record says it: base tables, which of
 *	  their columns came masked and by what, which came clear.
 *
 * A plan that comes again is described from memory.  The description follows
 * from the plan, the principal that it is stamped with, and the policy that it
 * was made under; the caller has verified those.  A renamed table, column or
 * schema makes a new plan, and so a new serial number.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "plan_reads.h"
#include "plan_stamp.h"
#include "policy.h"
#include "warden.h"

/* Plans remembered, and the size up to which one is worth it. */
#define REMEMBERED_PLANS 64
#define REMEMBERED_BYTES 4096

/*
 * A slot for all plans whose serial number ends like this.  Only the second
 * time that a plan comes is it kept: most come once.
 */
typedef struct Remembered
{
	uint32		came;			/* who was here last without being kept */
	uint32		serial;			/* whom the rest is about; 0: nobody */
	uint32		principal;
	WardenPolicyState policy;
	WardenReads reads;
	MemoryContext context;
} Remembered;

/* As lists of char *. */
typedef struct Description
{
	List	   *relations;
	List	   *masked_columns;
	List	   *clear_columns;
} Description;

static Remembered remembered[REMEMBERED_PLANS];

/* ----------------------------------------------------------------------
 * Describing
 * ---------------------------------------------------------------------- */

/* Was the column read by the statement?  Whole rows read every column. */
static bool
column_selected(const WardenPerms *perms, AttrNumber attnum)
{
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						 perms->selectedCols) ||
		bms_is_member(0 - FirstLowInvalidHeapAttributeNumber,
					  perms->selectedCols);
}

/* Labelled columns of one relation that the plan reads. */
static void
add_columns(Description *description, const WardenPrincipal *principal,
			const RangeTblEntry *rte, const WardenPerms *perms,
			const char *relation)
{
	const WardenRelation *labels = warden_policy_relation(rte->relid);
	TimestampTz expires = DT_NOEND;
	int			i;

	for (i = 0; labels != NULL && i < labels->ncolumns; i++)
	{
		AttrNumber	attnum = labels->columns[i].attnum;
		const char *mask;
		char	   *column;

		if (!column_selected(perms, attnum))
			continue;
		mask = warden_policy_mask(principal, rte->relid, attnum, &expires);
		column = psprintf("%s.%s", relation,
						  quote_identifier(get_attname(rte->relid, attnum,
													   false)));
		if (mask != NULL)
			description->masked_columns =
				lappend(description->masked_columns,
						psprintf("%s=%s", column, mask));
		else
			description->clear_columns = lappend(description->clear_columns,
												 column);
	}
}

static bool
list_has_string(List *list, const char *string)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		if (strcmp(lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

static void
describe(const PlannedStmt *pstmt, const WardenPrincipal *principal,
		 WardenReads *result)
{
	Description description = {NIL, NIL, NIL};
	ListCell   *lc;

	foreach(lc, pstmt->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);
		WardenPerms *perms;
		char	   *name;

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			continue;
		perms = warden_rte_perms(WARDEN_PLAN_PERMS(pstmt), rte);
		if (perms == NULL || perms->requiredPerms == 0)
			continue;			/* a child that its parent stands for */
		name = get_namespace_name(get_rel_namespace(rte->relid));
		name = quote_qualified_identifier(name, get_rel_name(rte->relid));
		if (!list_has_string(description.relations, name))
			description.relations = lappend(description.relations, name);
		add_columns(&description, principal, rte, perms, name);
	}
	result->relations = warden_audit_names(description.relations);
	result->masked_columns = warden_audit_names(description.masked_columns);
	result->clear_columns = warden_audit_names(description.clear_columns);
}

/* ----------------------------------------------------------------------
 * Remembering
 * ---------------------------------------------------------------------- */

static Size
names_size(Datum names)
{
	return names != 0 ? VARSIZE(DatumGetPointer(names)) : 0;
}

static Datum
copy_names(Datum names)
{
	return names != 0 ? datumCopy(names, false, -1) : 0;
}

static void
remember(Remembered *slot, uint32 serial, const WardenPrincipal *principal,
		 const WardenReads *reads)
{
	MemoryContext old;

	if (names_size(reads->relations) + names_size(reads->masked_columns) +
		names_size(reads->clear_columns) > REMEMBERED_BYTES)
		return;
	slot->serial = 0;
	if (slot->context == NULL)
		slot->context = AllocSetContextCreate(TopMemoryContext,
											  "warden plan description",
											  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(slot->context);
	old = MemoryContextSwitchTo(slot->context);
	slot->reads.relations = copy_names(reads->relations);
	slot->reads.masked_columns = copy_names(reads->masked_columns);
	slot->reads.clear_columns = copy_names(reads->clear_columns);
	MemoryContextSwitchTo(old);
	slot->principal = principal->id;
	slot->policy = warden_policy_state(principal);
	slot->serial = serial;
}

static bool
is_about(const Remembered *slot, uint32 serial,
		 const WardenPrincipal *principal)
{
	WardenPolicyState policy;

	if (slot->serial != serial || slot->principal != principal->id)
		return false;
	policy = warden_policy_state(principal);
	return slot->policy.rules == policy.rules &&
		slot->policy.labels == policy.labels &&
		slot->policy.reach == policy.reach;
}

void
warden_plan_reads(const PlannedStmt *pstmt, const WardenPrincipal *principal,
				  WardenReads *result)
{
	uint32		serial = warden_plan_stamp_serial(pstmt);
	Remembered *slot = &remembered[serial % REMEMBERED_PLANS];

	if (serial != 0 && is_about(slot, serial, principal))
	{
		*result = slot->reads;
		return;
	}
	describe(pstmt, principal, result);
	if (serial == 0)
		return;
	if (slot->came == serial)
		remember(slot, serial, principal, result);
	else
		slot->came = serial;
}

/* ----------------------------------------------------------------------
 * Below a statement
 * ---------------------------------------------------------------------- */

/* What was described of a relation since the statement began. */
typedef struct KnownRelation
{
	Oid			relid;			/* hash key */
	Bitmapset  *columns;
} KnownRelation;

/* Of the open statement, in a context of its own. */
static MemoryContext known_context = NULL;
static HTAB *known = NULL;

void
warden_plan_reads_begin(void)
{
	if (known == NULL)
		return;
	known = NULL;
	MemoryContextReset(known_context);
}

static HTAB *
known_relations(void)
{
	HASHCTL		ctl;

	if (known != NULL)
		return known;
	if (known_context == NULL)
		known_context = AllocSetContextCreate(TopMemoryContext,
											  "warden reads of a statement",
											  ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(KnownRelation);
	ctl.hcxt = known_context;
	known = hash_create("warden reads of a statement", 16, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return known;
}

/* Is there anything new about these columns? */
static bool
learn(Oid relid, const Bitmapset *columns)
{
	KnownRelation *entry;
	MemoryContext old;
	bool		found;

	entry = hash_search(known_relations(), &relid, HASH_ENTER, &found);
	if (!found)
		entry->columns = NULL;
	if (found && bms_is_subset(columns, entry->columns))
		return false;
	old = MemoryContextSwitchTo(known_context);
	entry->columns = bms_add_members(entry->columns, columns);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * A function called for every row costs a look into a table, and its reads
 * one record.
 */
bool
warden_plan_reads_more(const PlannedStmt *pstmt,
					   const WardenPrincipal *principal, WardenReads *result)
{
	bool		more = false;
	ListCell   *lc;

	foreach(lc, pstmt->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);
		WardenPerms *perms;

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			continue;
		perms = warden_rte_perms(WARDEN_PLAN_PERMS(pstmt), rte);
		if (perms != NULL && perms->requiredPerms != 0 &&
			learn(rte->relid, perms->selectedCols))
			more = true;
	}
	if (more)
		warden_plan_reads(pstmt, principal, result);
	return more;
}
