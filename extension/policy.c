/*-------------------------------------------------------------------------
 * policy.c
 *	  Which columns are labelled, and what a principal sees of them.
 *
 * Two caches, each rebuilt whole: labels by relation, filled as relations
 * are asked for (so the cost follows the relations of a query, not the number
 * of labels), and the rule tables, which are small.  An invalidation only
 * marks a cache as stale; the memory it replaces lives to the end of the
 * transaction, so answers stay valid while a statement is being planned.
 *
 * A label reaches every relation of an inheritance or partition tree that has
 * a column of the name, since a child can be read through any parent; a stored
 * generated column over a labelled one counts as labelled.  Every relation of
 * such a tree is watched.  One that leaves the tree takes the labels along.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_seclabel.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "catalog.h"
#include "guc.h"
#include "label.h"
#include "lineage.h"
#include "mask.h"
#include "policy.h"
#include "warden.h"

/* The relations whose messages mean "some rule changed" and "some label
 * changed": an idle table's own traffic does not get in between. */
#define POLICY_ANCHOR "semantic_types"
#define LABEL_ANCHOR "mask_rules"

/* Columns of the rule tables, as the install script orders them. */
#define Anum_types_name			1
#define Anum_types_mask			2
#define Anum_rules_type			1
#define Anum_rules_role			2
#define Anum_rules_mask			3
#define Anum_rules_unless		4
#define Anum_exemptions_grantee 2
#define Anum_exemptions_type	3
#define Anum_exemptions_relation 4
#define Anum_exemptions_attnum	5
#define Anum_exemptions_attname 6
#define Anum_exemptions_until	7

typedef struct SemanticType
{
	const char *name;
	const char *mask;
} SemanticType;

typedef struct MaskRule
{
	const char *type;
	Oid			role;
	const char *mask;
	const char *unless;			/* row condition, or NULL */
} MaskRule;

typedef struct Exemption
{
	Oid			grantee;
	const char *type;			/* NULL when relation is set */
	Oid			relation;
	AttrNumber	attnum;			/* 0: every column */
	const char *attname;		/* of that column when it was granted */
	TimestampTz until;
} Exemption;

/* A label of a tree, by the name of the column, which inheritance keeps. */
typedef struct TreeLabel
{
	const char *name;
	const char *type;
	bool		untrusted;
} TreeLabel;

/* What holds for every relation of a tree. */
typedef struct Tree
{
	List	   *members;		/* OIDs */
	List	   *labels;			/* of TreeLabel *, each once */
	List	   *generated;		/* names of columns that show labelled ones */
} Tree;

typedef struct TreeEntry
{
	Oid			relid;
	const Tree *tree;
} TreeEntry;

static MemoryContext relation_context = NULL;
static HTAB *relations = NULL;	/* WardenRelation by relid */
static HTAB *trees = NULL;		/* TreeEntry by relid */
static HTAB *watched = NULL;	/* OIDs whose relcache messages matter */
static bool relations_stale = true;
static uint64 relation_resets = 0;

static MemoryContext rule_context = NULL;
static SemanticType *types;
static int	ntypes;
static MaskRule *rules;
static int	nrules;
static Exemption *exemptions;
static int	nexemptions;
static bool rules_call_functions;	/* a mask among them is func(...) */
static bool rules_stale = true;
static uint64 rule_messages = 0;	/* invalidations received */
static uint64 rules_hash = 0;	/* of what was loaded last */
static uint32 rules_generation = 0; /* changes with rules_hash */
static uint32 label_generation = 0; /* changes with every label, at least */
static uint32 membership_messages = 0;	/* of roles and their memberships */
static Oid	anchor = InvalidOid;
static Oid	label_anchor = InvalidOid;
static uint32 schema_hash = 0;	/* of schema warden in its syscache */

/* What a fingerprint of memberships was computed from, and it. */
typedef struct Reach
{
	uint32		rules;
	uint32		memberships;
	Oid			role;
	Oid			login_role;
	uint32		fingerprint;
} Reach;

/* The stale cache's memory goes with the transaction. */
static void
retire_context(MemoryContext context)
{
	if (context != NULL)
		MemoryContextSetParent(context, TopTransactionContext);
}

/* ----------------------------------------------------------------------
 * Rules
 * ---------------------------------------------------------------------- */

static char *
text_column(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Datum
value_column(HeapTuple tuple, TupleDesc desc, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? (Datum) 0 : value;
}

/* What no row can be without.  Constraints see to it, until they are gone. */
static void
require_columns(HeapTuple tuple, TupleDesc desc, const AttrNumber *columns,
				int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (columns[i] <= desc->natts &&
			!TupleDescAttr(desc, columns[i] - 1)->attisdropped &&
			!heap_attisnull(tuple, columns[i], desc))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row of policy table \"%s.%s\" can not be read",
						WARDEN_SCHEMA, get_rel_name(tuple->t_tableOid)),
				 errhint("Governed sessions are refused until a superuser has repaired or deleted the row.")));
	}
}

static void
load_type(HeapTuple tuple, TupleDesc desc, void *row)
{
	static const AttrNumber required[] = {Anum_types_name, Anum_types_mask};
	SemanticType *type = row;

	require_columns(tuple, desc, required, lengthof(required));
	type->name = text_column(tuple, desc, Anum_types_name);
	type->mask = text_column(tuple, desc, Anum_types_mask);
}

static void
load_rule(HeapTuple tuple, TupleDesc desc, void *row)
{
	static const AttrNumber required[] = {Anum_rules_type, Anum_rules_role,
	Anum_rules_mask};
	MaskRule   *rule = row;

	require_columns(tuple, desc, required, lengthof(required));
	rule->type = text_column(tuple, desc, Anum_rules_type);
	rule->role = DatumGetObjectId(value_column(tuple, desc, Anum_rules_role));
	rule->mask = text_column(tuple, desc, Anum_rules_mask);
	rule->unless = text_column(tuple, desc, Anum_rules_unless);
}

static void
load_exemption(HeapTuple tuple, TupleDesc desc, void *row)
{
	static const AttrNumber required[] = {Anum_exemptions_grantee,
	Anum_exemptions_until};
	Exemption  *exemption = row;

	require_columns(tuple, desc, required, lengthof(required));
	exemption->grantee =
		DatumGetObjectId(value_column(tuple, desc, Anum_exemptions_grantee));
	exemption->type = text_column(tuple, desc, Anum_exemptions_type);
	exemption->relation =
		DatumGetObjectId(value_column(tuple, desc, Anum_exemptions_relation));
	exemption->attnum = DatumGetInt16(value_column(tuple, desc,
												   Anum_exemptions_attnum));
	exemption->until = DatumGetTimestampTz(value_column(tuple, desc,
														Anum_exemptions_until));
	exemption->attname = text_column(tuple, desc, Anum_exemptions_attname);
}

/* Reads a whole table into an array of rows of the given size. */
static void *
load_table(const char *name, Size size, int *nrows,
		   void (*load) (HeapTuple, TupleDesc, void *))
{
	Oid			relid = warden_catalog_relation(name);
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 16;
	char	   *result = palloc0(allocated * size);

	*nrows = 0;
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("policy table \"%s.%s\" is missing", WARDEN_SCHEMA,
						name),
				 errhint("Governed sessions are refused until the extension is whole again.")));
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (*nrows == allocated)
		{
			result = repalloc(result, 2 * allocated * size);
			memset(result + allocated * size, 0, allocated * size);
			allocated *= 2;
		}
		load(tuple, RelationGetDescr(rel), result + (*nrows)++ * size);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static uint64
hash_text(uint64 hash, const char *text)
{
	const unsigned char *bytes = (const unsigned char *) text;

	if (text == NULL)
		return hash_combine64(hash, 1);
	return hash_combine64(hash, hash_bytes_extended(bytes, strlen(text), 0));
}

uint64
warden_policy_hash_labels(uint64 hash, Oid relid)
{
	const WardenRelation *relation = warden_policy_relation(relid);
	ListCell   *lc;
	int			i;

	if (relation == NULL)
		return hash;
	hash = hash_combine64(hash, ((uint64) relid << 1) | relation->refused);
	for (i = 0; i < relation->ncolumns; i++)
	{
		const WardenColumn *column = &relation->columns[i];

		hash = hash_combine64(hash, ((uint64) column->attnum << 1) |
							  column->untrusted);
		hash = hash_text(hash, column->type);
		foreach(lc, column->others)
			hash = hash_text(hash, lfirst(lc));
	}
	return hash;
}

/* A fingerprint of the rules that are loaded. */
static uint64
hash_rules(void)
{
	uint64		hash = 0;
	int			i;

	for (i = 0; i < ntypes; i++)
		hash = hash_text(hash_text(hash, types[i].name), types[i].mask);
	for (i = 0; i < nrules; i++)
	{
		hash = hash_text(hash_text(hash, rules[i].type), rules[i].mask);
		hash = hash_text(hash_combine64(hash, rules[i].role), rules[i].unless);
	}
	for (i = 0; i < nexemptions; i++)
	{
		hash = hash_text(hash_combine64(hash, exemptions[i].grantee),
						 exemptions[i].type);
		hash = hash_text(hash_combine64(hash, exemptions[i].relation),
						 exemptions[i].attname);
		hash = hash_combine64(hash_combine64(hash, exemptions[i].attnum),
							  (uint64) exemptions[i].until);
	}
	return hash;
}

static bool
find_functions(void)
{
	bool		found = false;
	int			i;

	for (i = 0; i < ntypes && !found; i++)
		found = warden_mask_calls_function(types[i].mask);
	for (i = 0; i < nrules && !found; i++)
		found = warden_mask_calls_function(rules[i].mask);
	return found;
}

/*
 * The generation moves when what was loaded differs from before, and not with
 * every message: those come for other reasons too.
 */
static void
load_rules(void)
{
	MemoryContext old;
	uint64		hash;

	while (rules_stale)
	{
		uint64		started = rule_messages;
		Datum		schema;

		retire_context(rule_context);
		rule_context = AllocSetContextCreate(TopMemoryContext,
											 "warden policy rules",
											 ALLOCSET_SMALL_SIZES);
		old = MemoryContextSwitchTo(rule_context);
		types = load_table("semantic_types", sizeof(SemanticType), &ntypes,
						   load_type);
		rules = load_table("mask_rules", sizeof(MaskRule), &nrules,
						   load_rule);
		exemptions = load_table("exemptions", sizeof(Exemption), &nexemptions,
								load_exemption);
		MemoryContextSwitchTo(old);
		anchor = warden_catalog_relation(POLICY_ANCHOR);
		label_anchor = warden_catalog_relation(LABEL_ANCHOR);
		schema = ObjectIdGetDatum(warden_catalog_schema());
		schema_hash = GetSysCacheHashValue1(NAMESPACEOID, schema);
		hash = hash_rules();
		if (hash != rules_hash)
		{
			rules_generation++;
			rules_call_functions = find_functions();
		}
		rules_hash = hash;
		rules_stale = (rule_messages != started);
	}
}

/* Asked for with every plan, an ungoverned backend's too. */
Oid
warden_policy_anchor(void)
{
	static uint64 generation = 0;
	uint64		started = warden_catalog_generation();

	if (likely(generation == started))
		return anchor;
	if (!warden_catalog_installed())
		return InvalidOid;
	anchor = warden_catalog_relation(POLICY_ANCHOR);
	/* Looking it up can be what makes the answer stale. */
	if (OidIsValid(anchor) && warden_catalog_generation() == started)
		generation = started;
	return anchor;
}

Oid
warden_policy_known_anchor(void)
{
	return anchor;
}

const char *
warden_policy_type_mask(const char *type)
{
	int			i;

	load_rules();
	for (i = 0; i < ntypes; i++)
	{
		if (strcmp(types[i].name, type) == 0)
			return types[i].mask;
	}
	return NULL;
}

bool
warden_policy_calls_functions(void)
{
	load_rules();
	return rules_call_functions;
}

bool
warden_policy_type_hides(const char *type)
{
	const char *mask = warden_policy_type_mask(type);
	int			i;

	if (mask == NULL || !warden_mask_is_clear(mask))
		return true;
	for (i = 0; i < nrules; i++)
	{
		if (strcmp(rules[i].type, type) == 0 &&
			!warden_mask_is_clear(rules[i].mask))
			return true;
	}
	return false;
}

bool
warden_policy_column_hides(const WardenColumn *column)
{
	ListCell   *lc;

	if (warden_policy_type_hides(column->type))
		return true;
	foreach(lc, column->others)
	{
		if (warden_policy_type_hides(lfirst(lc)))
			return true;
	}
	return false;
}

void
warden_policy_each_mask(const char *type,
						void (*fn) (const char *mask, const char *unless,
									void *arg),
						void *arg)
{
	const char *mask = warden_policy_type_mask(type);
	MaskRule   *loaded = rules; /* fn() may load them anew */
	int			n = nrules;
	int			i;

	fn(mask != NULL ? mask : "full", NULL, arg);
	for (i = 0; i < n; i++)
	{
		if (strcmp(loaded[i].type, type) == 0)
			fn(loaded[i].mask, loaded[i].unless, arg);
	}
}

/* Does what is granted to "grantee" reach "role"? */
static bool
reaches(Oid grantee, Oid role)
{
	return grantee == role ||
		(!superuser_arg(role) && has_privs_of_role(role, grantee));
}

/* One bit of the fingerprint per rule: does it reach the principal's roles? */
static uint64
hash_reach(uint64 hash, Oid grantee, const WardenPrincipal *principal)
{
	return hash_combine64(hash, (reaches(grantee, principal->role) ? 2 : 0) +
						  (reaches(grantee, principal->login_role) ? 1 : 0));
}

/* Counted anew only where rules, memberships or the principal are others. */
static uint32
current_reach(const WardenPrincipal *principal)
{
	static Reach last = {0, 0, InvalidOid, InvalidOid, 0};
	Reach		now = {rules_generation, membership_messages,
	principal->role, principal->login_role, 0};
	uint64		hash = 0;
	int			i;

	if (likely(memcmp(&last, &now, offsetof(Reach, fingerprint)) == 0))
		return last.fingerprint;
	for (i = 0; i < nrules; i++)
		hash = hash_reach(hash, rules[i].role, principal);
	for (i = 0; i < nexemptions; i++)
		hash = hash_reach(hash, exemptions[i].grantee, principal);
	now.fingerprint = (uint32) (hash ^ (hash >> 32));
	last = now;
	return now.fingerprint;
}

WardenPolicyState
warden_policy_state(const WardenPrincipal *principal)
{
	WardenPolicyState state;

	load_rules();
	state.rules = 2 * rules_generation + (warden_unlabelled_masked ? 1 : 0);
	state.labels = label_generation;
	state.reach = current_reach(principal);
	return state;
}

/* Shows less; of two that show the same, the one that always holds. */
static bool
stricter(WardenMask a, WardenMask b)
{
	int			difference = warden_mask_strictness(a.spec) -
		warden_mask_strictness(b.spec);

	return difference > 0 ||
		(difference == 0 && a.unless == NULL && b.unless != NULL);
}

/*
 * The mask that a semantic type has for one role: the role's own rule, else
 * the strictest of those it inherits, else the type's default.
 */
static WardenMask
mask_for_role(const char *type, Oid role)
{
	WardenMask	inherited = {NULL, NULL};
	WardenMask	result = {NULL, NULL};
	int			i;

	for (i = 0; i < nrules; i++)
	{
		WardenMask	rule = {rules[i].mask, rules[i].unless};

		if (strcmp(rules[i].type, type) != 0)
			continue;
		if (rules[i].role == role)
			return rule;
		if (reaches(rules[i].role, role) &&
			(inherited.spec == NULL || stricter(rule, inherited)))
			inherited = rule;
	}
	if (inherited.spec != NULL)
		return inherited;
	result.spec = warden_policy_type_mask(type);
	if (result.spec == NULL)
		result.spec = "full";
	return result;
}

bool
warden_policy_type_loosens(const char *old, const char *new)
{
	TimestampTz now = GetCurrentTimestamp();
	int			i;

	load_rules();
	for (i = 0; i < nrules; i++)
	{
		WardenMask	before;
		WardenMask	after;

		if (strcmp(rules[i].type, old) != 0 && strcmp(rules[i].type, new) != 0)
			continue;
		before = mask_for_role(old, rules[i].role);
		after = mask_for_role(new, rules[i].role);
		if (stricter(before, after) ||
			(after.unless != NULL &&
			 (before.unless == NULL ||
			  strcmp(before.unless, after.unless) != 0)))
			return true;
	}
	for (i = 0; i < nexemptions; i++)
	{
		if (exemptions[i].type != NULL && exemptions[i].until > now &&
			strcmp(exemptions[i].type, new) == 0)
			return true;
	}
	return false;
}

/* Does the type show more than the other, by default or to a role? */
static bool
shows_more(const char *type, const char *other)
{
	const char *mask;
	const char *other_mask;

	if (strcmp(type, other) == 0)
		return false;
	mask = warden_policy_type_mask(type);
	other_mask = warden_policy_type_mask(other);
	return warden_mask_strictness(mask != NULL ? mask : "full") <
		warden_mask_strictness(other_mask != NULL ? other_mask : "full") ||
		warden_policy_type_loosens(other, type);
}

bool
warden_policy_type_suffices(const char *type, const WardenColumn *column)
{
	ListCell   *lc;

	if (shows_more(type, column->type))
		return false;
	foreach(lc, column->others)
	{
		if (shows_more(type, lfirst(lc)))
			return false;
	}
	return true;
}

/*
 * Is the exemption for this column?  Number and name must agree: a restore
 * renumbers columns, and an exemption must not move to another one.
 */
static bool
covers(const Exemption *exemption, Oid relid, AttrNumber attnum,
	   const char *type)
{
	char	   *name;

	if (exemption->type != NULL)
		return strcmp(exemption->type, type) == 0;
	if (exemption->relation != relid)
		return false;
	if (exemption->attnum == 0)
		return true;
	if (exemption->attnum != attnum || exemption->attname == NULL)
		return false;
	name = get_attname(relid, attnum, true);
	return name != NULL && strcmp(name, exemption->attname) == 0;
}

/* Is the column exempt for the role now? Then lowers *expires. */
static bool
exempt_for_role(Oid role, Oid relid, AttrNumber attnum, const char *type,
				TimestampTz *expires)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = DT_NOBEGIN;
	int			i;

	for (i = 0; i < nexemptions; i++)
	{
		Exemption  *e = &exemptions[i];

		if (e->until <= now || e->until <= until || !reaches(e->grantee, role))
			continue;
		if (covers(e, relid, attnum, type))
			until = e->until;
	}
	if (until == DT_NOBEGIN)
		return false;
	*expires = Min(*expires, until);
	return true;
}

/* The mask of a column for one role; spec is NULL when it is clear. */
static WardenMask
column_mask_for_role(Oid role, Oid relid, AttrNumber attnum,
					 const char *type, TimestampTz *expires)
{
	WardenMask	mask = mask_for_role(type, role);

	if (warden_mask_is_clear(mask.spec) ||
		exempt_for_role(role, relid, attnum, type, expires))
		mask.spec = NULL;
	return mask;
}

/* Catalogs have no labels of their own and are not masked by default. */
static bool
user_relation(Oid relid)
{
	return relid >= FirstNormalObjectId &&
		get_rel_namespace(relid) != warden_catalog_schema();
}

/* What two masks leave to be seen, where both hold; spec is NULL for clear. */
static WardenMask
both_masks(WardenMask a, WardenMask b)
{
	if (a.spec == NULL)
		return b;
	if (b.spec == NULL)
		return a;
	if (a.unless == NULL || b.unless == NULL ||
		strcmp(a.unless, b.unless) != 0)
		a.unless = b.unless = NULL;
	return stricter(b, a) ? b : a;
}

/*
 * The mask of a column with all the labels that its tree has for it: a type
 * that shows less by default can be the one that shows more to the role.
 */
static WardenMask
labelled_mask_for_role(Oid role, Oid relid, const WardenColumn *column,
					   TimestampTz *expires)
{
	WardenMask	mask = column_mask_for_role(role, relid, column->attnum,
											column->type, expires);
	ListCell   *lc;

	foreach(lc, column->others)
		mask = both_masks(mask, column_mask_for_role(role, relid,
													 column->attnum,
													 lfirst(lc), expires));
	return mask;
}

WardenMask
warden_policy_rule(const WardenPrincipal *principal, Oid relid,
				   AttrNumber attnum, TimestampTz *expires)
{
	const WardenColumn *column = warden_policy_column(relid, attnum);
	WardenColumn unlabelled = {.attnum = attnum, .type = "full"};
	WardenMask	mask = {NULL, NULL};

	if (column == NULL && warden_unlabelled_masked && user_relation(relid))
		column = &unlabelled;
	if (column == NULL)
		return mask;
	load_rules();
	mask = labelled_mask_for_role(principal->role, relid, column, expires);
	if (!principal->login_governed || principal->login_role == principal->role)
		return mask;

	/* SET ROLE inside a session whose login is governed loosens nothing. */
	return both_masks(mask, labelled_mask_for_role(principal->login_role, relid,
												   column, expires));
}

const char *
warden_policy_mask(const WardenPrincipal *principal, Oid relid,
				   AttrNumber attnum, TimestampTz *expires)
{
	return warden_policy_rule(principal, relid, attnum, expires).spec;
}

/* ----------------------------------------------------------------------
 * Labels
 * ---------------------------------------------------------------------- */

static void
watch(Oid relid)
{
	hash_search(watched, &relid, HASH_ENTER, NULL);
}

static WardenColumn *
find_column(WardenRelation *relation, AttrNumber attnum)
{
	int			i;

	for (i = 0; i < relation->ncolumns; i++)
	{
		if (relation->columns[i].attnum == attnum)
			return &relation->columns[i];
	}
	return NULL;
}

/*
 * Adds a label to a column.  Where two relations of a tree disagree both hold:
 * who owns a partition must not loosen its root's label.  The type is "none"
 * only where there is no other: one that is clear by default can hide, too.
 */
static void
add_column(WardenRelation *relation, AttrNumber attnum, const char *type,
		   bool untrusted)
{
	WardenColumn *column = find_column(relation, attnum);

	if (column != NULL)
	{
		const char *old = warden_policy_type_mask(column->type);
		const char *new = warden_policy_type_mask(type);
		ListCell   *lc;

		column->untrusted |= untrusted;
		if (strcmp(column->type, type) == 0)
			return;
		if (old != NULL &&
			(new == NULL ||
			 warden_mask_strictness(new) > warden_mask_strictness(old) ||
			 (strcmp(column->type, "none") == 0 && warden_mask_is_clear(old))))
		{
			const char *weaker = column->type;

			column->type = type;
			type = weaker;
		}
		foreach(lc, column->others)
		{
			if (strcmp(lfirst(lc), type) == 0)
				return;
		}
		column->others = lappend(column->others, unconstify(char *, type));
		return;
	}
	if (relation->columns == NULL)
		relation->columns = palloc(sizeof(WardenColumn));
	else
		relation->columns = repalloc(relation->columns,
									 (relation->ncolumns + 1) *
									 sizeof(WardenColumn));
	column = &relation->columns[relation->ncolumns++];
	column->attnum = attnum;
	column->type = type;
	column->others = NIL;
	column->untrusted = untrusted;
}

static void
add_tree_label(Tree *tree, const char *name, const char *type, bool untrusted)
{
	TreeLabel  *label;
	ListCell   *lc;

	foreach(lc, tree->labels)
	{
		label = lfirst(lc);
		if (strcmp(label->name, name) == 0 && strcmp(label->type, type) == 0 &&
			label->untrusted == untrusted)
			return;
	}
	label = palloc(sizeof(TreeLabel));
	label->name = name;
	label->type = type;
	label->untrusted = untrusted;
	tree->labels = lappend(tree->labels, label);
}

/* Adds the labels that "source" carries itself. */
static void
add_labels_of(Tree *tree, Oid source)
{
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_seclabel_objoid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(source));
	ScanKeyInit(&keys[1], Anum_pg_seclabel_classoid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	scan = systable_beginscan(rel, SecLabelObjectIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		FormData_pg_seclabel *form = (FormData_pg_seclabel *) GETSTRUCT(tuple);
		char	   *provider = text_column(tuple, RelationGetDescr(rel),
										   Anum_pg_seclabel_provider);
		char	   *name;
		char	   *type;
		bool		untrusted;

		if (form->objsubid <= 0 || strcmp(provider, WARDEN_PROVIDER) != 0)
			continue;
		warden_label_parse_column(text_column(tuple, RelationGetDescr(rel),
											  Anum_pg_seclabel_label),
								  &type, &untrusted);
		/* Nothing keeps a relation of the tree from being dropped meanwhile. */
		name = get_attname(source, form->objsubid, true);
		if (name != NULL)
			add_tree_label(tree, name, type, untrusted);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Gives the relation's own columns the labels that there are for them. */
static void
add_labels(WardenRelation *relation, const Tree *tree)
{
	ListCell   *lc;

	foreach(lc, tree->labels)
	{
		const TreeLabel *label = lfirst(lc);
		AttrNumber	attnum = get_attnum(relation->relid, label->name);

		if (attnum != InvalidAttrNumber)
			add_column(relation, attnum, label->type, label->untrusted);
	}
}

/* OIDs of the direct parents of a relation. */
static List *
parents_of(Oid relid)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		result = lappend_oid(result,
							 ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* No error where the relation has been dropped meanwhile. */
static bool
has_children(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relhassubclass;
	ReleaseSysCache(tuple);
	return result;
}

List *
warden_policy_neighbours(Oid relid)
{
	List	   *result = parents_of(relid);
	List	   *children;

	if (!has_children(relid))
		return result;
	children = find_inheritance_children_extended(relid, false, NoLock, NULL,
												  NULL);
	return list_concat_unique_oid(result, children);
}

/*
 * Parents of parents, children of children, and the other parents of those: a
 * value can be read through any of them.  The list grows under the loop.
 */
List *
warden_policy_tree_without(Oid relid, Oid left_out)
{
	List	   *tree = list_make1_oid(relid);
	int			i;

	for (i = 0; i < list_length(tree); i++)
	{
		Oid			member = list_nth_oid(tree, i);

		tree = list_concat_unique_oid(tree, warden_policy_neighbours(member));
		tree = list_delete_oid(tree, left_out);
	}
	return tree;
}

List *
warden_policy_tree(Oid relid)
{
	return warden_policy_tree_without(relid, InvalidOid);
}

/* Does the expression use a column of relid that is labelled, by its name? */
static bool
uses_labelled(const char *adbin, Oid relid, const Tree *tree)
{
	Bitmapset  *used = NULL;
	int			member = -1;

	pull_varattnos(stringToNode(adbin), 1, &used);
	while ((member = bms_next_member(used, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;
		char	   *name = NULL;
		ListCell   *lc;

		if (attnum == 0)
			return true;
		if (attnum > 0)
			name = get_attname(relid, attnum, true);
		foreach(lc, tree->labels)
		{
			const TreeLabel *label = lfirst(lc);

			if (name != NULL && strcmp(name, label->name) == 0 &&
				strcmp(label->type, "none") != 0)
				return true;
		}
	}
	return false;
}

/* The name of the column, if it is a generated one. */
static char *
generated_name(Oid relid, AttrNumber attnum)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										Int16GetDatum(attnum));
	Form_pg_attribute att;
	char	   *result = NULL;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (att->attgenerated != '\0' && !att->attisdropped)
		result = pstrdup(NameStr(att->attname));
	ReleaseSysCache(tuple);
	return result;
}

/*
 * A stored generated column shows what it was computed from, through the
 * parents of its table as well, where it can be an ordinary column.  The
 * catalog is read, and not the relation opened: whoever reads one partition
 * need not wait for those who work on another.
 */
static void
add_generated_columns(Tree *tree, Oid member)
{
	Relation	rel = table_open(AttrDefaultRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_attrdef_adrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(member));
	scan = systable_beginscan(rel, AttrDefaultIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		AttrNumber	attnum = ((Form_pg_attrdef) GETSTRUCT(tuple))->adnum;
		char	   *name = generated_name(member, attnum);

		if (name == NULL ||
			!uses_labelled(text_column(tuple, RelationGetDescr(rel),
									   Anum_pg_attrdef_adbin),
						   member, tree))
			continue;
		foreach(lc, tree->generated)
		{
			if (strcmp(lfirst(lc), name) == 0)
				break;
		}
		if (lc == NULL)
			tree->generated = lappend(tree->generated, name);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static bool
hides_anything(const Tree *tree)
{
	ListCell   *lc;

	foreach(lc, tree->labels)
	{
		if (strcmp(((TreeLabel *) lfirst(lc))->type, "none") != 0)
			return true;
	}
	return false;
}

/*
 * The tree of a relation, looked at once for all of them: a query of a root
 * asks for each.  In an order that does not depend on which one asks first.
 */
static const Tree *
tree_of(Oid relid)
{
	TreeEntry  *entry = hash_search(trees, &relid, HASH_FIND, NULL);
	List	   *members;
	Tree	   *tree;
	ListCell   *lc;

	if (entry != NULL)
		return entry->tree;
	members = warden_policy_tree(relid);
	list_sort(members, list_oid_cmp);
	tree = palloc0(sizeof(Tree));
	tree->members = members;
	foreach(lc, members)
	{
		watch(lfirst_oid(lc));
		add_labels_of(tree, lfirst_oid(lc));
	}
	if (hides_anything(tree))
	{
		foreach(lc, members)
			add_generated_columns(tree, lfirst_oid(lc));
	}
	foreach(lc, members)
	{
		Oid			member = lfirst_oid(lc);

		entry = hash_search(trees, &member, HASH_ENTER, NULL);
		entry->tree = tree;
	}
	return tree;
}

/* The relation's own labels come first, where others hide as much. */
static void
add_tree(WardenRelation *relation)
{
	const Tree *tree = tree_of(relation->relid);
	Tree		own = {0};
	ListCell   *lc;

	if (tree->labels == NIL)
		return;
	add_labels_of(&own, relation->relid);
	add_labels(relation, &own);
	add_labels(relation, tree);
	foreach(lc, tree->generated)
	{
		AttrNumber	attnum = get_attnum(relation->relid, lfirst(lc));

		if (attnum > 0 && find_column(relation, attnum) == NULL)
			add_column(relation, attnum, "full", false);
	}
}

/*
 * A materialized view is a copy that nothing masks but labels of its own:
 * refused while a column that comes from a labelled one has none.
 */
static void
check_copies(WardenRelation *relation)
{
	Relation	rel = try_relation_open(relation->relid, AccessShareLock);
	List	   *sources = NIL;
	List	   *tainted;
	ListCell   *lc;

	if (rel == NULL)
		return;
	tainted = warden_lineage_matview(rel, &sources);
	foreach(lc, sources)
		watch(lfirst_oid(lc));
	foreach(lc, tainted)
	{
		AttrNumber	attnum = lfirst_int(lc);
		Form_pg_attribute attribute;
		char	   *schema;

		if (find_column(relation, attnum) != NULL)
			continue;
		schema = get_namespace_name(RelationGetNamespace(rel));
		attribute = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		relation->refused = true;
		relation->refused_hint =
			psprintf("Label it: SECURITY LABEL FOR warden ON COLUMN %s.%s IS '...', as the column that it copies.",
					 quote_qualified_identifier(schema,
												RelationGetRelationName(rel)),
					 quote_identifier(NameStr(attribute->attname)));
		break;
	}
	relation_close(rel, AccessShareLock);
}

/*
 * Fills an entry whose relid is set.  A table is not opened: its labels are
 * asked for by who reads its statistics too, and need not wait for its lock.
 */
static void
build_relation(WardenRelation *relation)
{
	char		relkind = get_rel_relkind(relation->relid);

	if (relkind == '\0')
		return;
	watch(relation->relid);
	switch (relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_MATVIEW:
			add_tree(relation);
			if (relkind == RELKIND_MATVIEW)
				check_copies(relation);
			break;
		default:
			break;
	}
}

static void
reset_relations(void)
{
	HASHCTL		ctl;

	retire_context(relation_context);
	relation_context = AllocSetContextCreate(TopMemoryContext,
											 "warden policy relations",
											 ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.hcxt = relation_context;
	ctl.entrysize = sizeof(WardenRelation);
	relations = hash_create("warden relations", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.entrysize = sizeof(TreeEntry);
	trees = hash_create("warden trees", 64, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.entrysize = sizeof(Oid);
	watched = hash_create("warden watched relations", 64, &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	relations_stale = false;
	relation_resets++;
}

const WardenRelation *
warden_policy_relation(Oid relid)
{
	WardenRelation *entry;
	WardenRelation built;
	MemoryContext old;

	/* Catalogs can not be labelled; the rewrite knows the ones that matter. */
	if (relid < FirstNormalObjectId)
		return NULL;
	if (relations_stale)
		reset_relations();
	entry = hash_search(relations, &relid, HASH_FIND, NULL);
	while (entry == NULL)
	{
		uint64		started = relation_resets;

		/*
		 * Building can process invalidations, so the entry goes into the
		 * table only after it is complete, and only if still true.
		 */
		memset(&built, 0, sizeof(built));
		built.relid = relid;
		old = MemoryContextSwitchTo(relation_context);
		build_relation(&built);
		MemoryContextSwitchTo(old);
		if (relations_stale)
			reset_relations();
		if (relation_resets != started)
			continue;
		entry = hash_search(relations, &relid, HASH_ENTER, NULL);
		*entry = built;
	}
	return (entry->ncolumns > 0 || entry->refused) ? entry : NULL;
}

List *
warden_policy_known_tree(Oid relid)
{
	TreeEntry  *entry = NULL;

	if (warden_policy_relation(relid) != NULL)
		entry = hash_search(trees, &relid, HASH_FIND, NULL);
	return entry != NULL ? entry->tree->members : warden_policy_tree(relid);
}

const WardenColumn *
warden_policy_column(Oid relid, AttrNumber attnum)
{
	const WardenRelation *relation = warden_policy_relation(relid);

	if (relation == NULL)
		return NULL;
	return find_column((WardenRelation *) relation, attnum);
}

/* ----------------------------------------------------------------------
 * Invalidation
 * ---------------------------------------------------------------------- */

void
warden_policy_changed(void)
{
	Oid			relid = warden_policy_anchor();

	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
}

void
warden_policy_label_changed(Oid relid)
{
	Oid			signal = warden_catalog_relation(LABEL_ANCHOR);
	ListCell   *lc;

	foreach(lc, warden_policy_tree(relid))
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lfirst_oid(lc))))
			CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
	}
	if (OidIsValid(signal))
		CacheInvalidateRelcacheByRelid(signal);
}

static void
on_relcache_change(Datum arg pg_attribute_unused(), Oid relid)
{
	if (relid == InvalidOid || relid == anchor || relid == label_anchor)
	{
		rule_messages++;
		rules_stale = true;
		relations_stale = true;
		/* Messages were lost, perhaps that of a label. */
		if (relid == InvalidOid || relid == label_anchor)
		{
			label_generation++;
			/* A statement that was prepared is planned anew, not refused. */
			ResetPlanCache();
		}
	}
	else if (!relations_stale && watched != NULL &&
			 hash_search(watched, &relid, HASH_FIND, NULL) != NULL)
		relations_stale = true;
}

/* CREATE and DROP EXTENSION make and drop the schema. */
static void
on_namespace_change(Datum arg pg_attribute_unused(),
					int cacheid pg_attribute_unused(), uint32 hashvalue)
{
	if (hashvalue != 0 && schema_hash != 0 && hashvalue != schema_hash)
		return;
	rule_messages++;
	rules_stale = true;
}

/*
 * Role memberships decide which rules and exemptions reach a role.  That is
 * asked anew at each planning, and principal.c resets the plans; an open
 * cursor has its plan already, and learns of it by the stamp.
 */
static void
on_membership_change(Datum arg pg_attribute_unused(),
					 int cacheid pg_attribute_unused(),
					 uint32 hashvalue pg_attribute_unused())
{
	membership_messages++;
}

void
warden_policy_init(void)
{
	CacheRegisterRelcacheCallback(on_relcache_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_namespace_change,
								  (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, on_membership_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_membership_change,
								  (Datum) 0);
}
