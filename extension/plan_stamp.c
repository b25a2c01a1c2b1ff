/*-------------------------------------------------------------------------
 * plan_stamp.c
 *	  The second layer behind the rewrite: what a plan was made for, and that
 *	  every labelled relation in it went through the rewrite.
 *
 * A plan outlives the principal that it was made for: prepared statements,
 * plpgsql's caches and cursors keep it.  So each plan carries a stamp, as
 * entries of PlannedStmt.invalItems whose cacheId no syscache has: copied and
 * freed with the plan, ignored by the plan cache.  And each range table entry
 * that the rewrite has dealt with carries a mark that no statement can write,
 * in enrname, which is unused for relations, kept by copyObject and by the
 * planner's flattening, inherited by partition children, and never shown.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "plan_stamp.h"
#include "policy.h"
#include "warden.h"

/* cacheIds of the stamp's entries, far above those of real caches. */
#define STAMP_PRINCIPAL		0x57440000
#define STAMP_EXPIRES_HIGH	0x57440001
#define STAMP_EXPIRES_LOW	0x57440002
#define STAMP_MASKED		0x57440003
#define STAMP_RULES			0x57440004
#define STAMP_LABELS		0x57440005
#define STAMP_UNTRUSTED		0x57440006
#define STAMP_REACH			0x57440007
#define STAMP_SERIAL		0x57440008
#define STAMP_COLUMNS		0x57440009

static char mark[40] = "";

/* The earliest end of an exemption that a plan of this backend relies on. */
static TimestampTz earliest_expiry = DT_NOEND;

/* Of the plans stamped; stays at the end, so that none is given out twice. */
static uint32 last_serial = 0;

/* Different in every backend, so that not even a stored tree could hold it. */
const char *
warden_plan_stamp_mark(void)
{
	if (mark[0] == '\0')
	{
		uint64		nonce[2];

		if (!pg_strong_random(nonce, sizeof(nonce)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values"),
					 errhint("Check that the server's source of randomness works.")));
		snprintf(mark, sizeof(mark), "w" UINT64_FORMAT "." UINT64_FORMAT,
				 nonce[0], nonce[1]);
	}
	return mark;
}

bool
warden_plan_stamp_marked(const RangeTblEntry *rte)
{
	return rte->enrname != NULL && mark[0] != '\0' &&
		strcmp(rte->enrname, mark) == 0;
}

static void
stamp(PlannedStmt *pstmt, int cacheid, uint32 value)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = cacheid;
	item->hashValue = value;
	pstmt->invalItems = lappend(pstmt->invalItems, item);
}

/* No entry says zero as well, and is nothing to copy with the plan. */
static void
stamp_policy(PlannedStmt *pstmt, const WardenPolicyState *policy)
{
	if (policy->rules != 0)
		stamp(pstmt, STAMP_RULES, policy->rules);
	if (policy->labels != 0)
		stamp(pstmt, STAMP_LABELS, policy->labels);
	if (policy->reach != 0)
		stamp(pstmt, STAMP_REACH, policy->reach);
}

/* What the labels say now of the relations that the plan names. */
static uint32
hash_labels(const PlannedStmt *pstmt)
{
	uint64		hash = 0;
	ListCell   *lc;

	foreach(lc, pstmt->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW)
			hash = warden_policy_hash_labels(hash, rte->relid);
	}
	return (uint32) (hash ^ (hash >> 32));
}

/*
 * The number of labels' changes moves for those of other relations too, and
 * when it can not be known whether there was one.  Without this entry, because
 * they changed while the plan was made, such a move makes it stale.
 */
static void
stamp_labels(PlannedStmt *pstmt, const WardenPrincipal *principal,
			 const WardenPolicyState *policy)
{
	uint32		hash;

	/* A foreign key's own plan has no policy. */
	if (policy->rules == 0)
		return;
	hash = hash_labels(pstmt);
	if (warden_policy_state(principal).labels == policy->labels)
		stamp(pstmt, STAMP_COLUMNS, hash);
}

void
warden_plan_stamp_set(PlannedStmt *pstmt, const WardenPrincipal *principal,
					  const WardenPolicyState *policy, TimestampTz expires,
					  List *masked, List *untrusted)
{
	Oid			anchor = warden_policy_anchor();
	ListCell   *lc;

	if (OidIsValid(anchor))
		pstmt->relationOids = list_append_unique_oid(pstmt->relationOids,
													 anchor);
	pstmt->dependsOnRole = true;
	/* Made ungoverned: that is what no stamp says. */
	if (principal->id == 0)
		return;
	stamp(pstmt, STAMP_PRINCIPAL, principal->id);
	if (last_serial != PG_UINT32_MAX)
		stamp(pstmt, STAMP_SERIAL, ++last_serial);
	stamp_policy(pstmt, policy);
	stamp_labels(pstmt, principal, policy);
	earliest_expiry = Min(earliest_expiry, expires);
	if (expires != DT_NOEND)
	{
		stamp(pstmt, STAMP_EXPIRES_HIGH, (uint32) ((uint64) expires >> 32));
		stamp(pstmt, STAMP_EXPIRES_LOW, (uint32) expires);
	}
	foreach(lc, masked)
		stamp(pstmt, STAMP_MASKED, lfirst_int(lc));
	foreach(lc, untrusted)
		stamp(pstmt, STAMP_UNTRUSTED, lfirst_int(lc));
}

void
warden_plan_stamp_expire(void)
{
	if (earliest_expiry == DT_NOEND || earliest_expiry > GetCurrentTimestamp())
		return;
	earliest_expiry = DT_NOEND;
	ResetPlanCache();
}

static List *
stamped(const PlannedStmt *pstmt, int cacheid)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, pstmt->invalItems)
	{
		PlanInvalItem *item = lfirst(lc);

		if (item->cacheId == cacheid)
			result = lappend_int(result, item->hashValue);
	}
	return result;
}

List *
warden_plan_stamp_masked(const PlannedStmt *pstmt)
{
	return stamped(pstmt, STAMP_MASKED);
}

List *
warden_plan_stamp_untrusted(const PlannedStmt *pstmt)
{
	return stamped(pstmt, STAMP_UNTRUSTED);
}

uint32
warden_plan_stamp_serial(const PlannedStmt *pstmt)
{
	ListCell   *lc;

	foreach(lc, pstmt->invalItems)
	{
		PlanInvalItem *item = lfirst(lc);

		if (item->cacheId == STAMP_SERIAL)
			return item->hashValue;
	}
	return 0;
}

/* What a plan's stamp says. */
typedef struct Stamp
{
	uint32		id;				/* of the principal; 0: made ungoverned */
	WardenPolicyState policy;
	uint32		columns;		/* hash of labels */
	bool		columns_known;
	TimestampTz expires;
} Stamp;

/* Reads the stamp; a plan without one was made for nobody in particular. */
static void
read_stamp(const PlannedStmt *pstmt, Stamp *result)
{
	uint64		high = 0;
	uint64		low = 0;
	bool		limited = false;
	ListCell   *lc;

	memset(result, 0, sizeof(*result));
	foreach(lc, pstmt->invalItems)
	{
		PlanInvalItem *item = lfirst(lc);

		switch (item->cacheId)
		{
			case STAMP_PRINCIPAL:
				result->id = item->hashValue;
				break;
			case STAMP_RULES:
				result->policy.rules = item->hashValue;
				break;
			case STAMP_LABELS:
				result->policy.labels = item->hashValue;
				break;
			case STAMP_REACH:
				result->policy.reach = item->hashValue;
				break;
			case STAMP_COLUMNS:
				result->columns = item->hashValue;
				result->columns_known = true;
				break;
			case STAMP_EXPIRES_HIGH:
				high = item->hashValue;
				limited = true;
				break;
			case STAMP_EXPIRES_LOW:
				low = item->hashValue;
				break;
			default:
				break;
		}
	}
	result->expires = limited ? (TimestampTz) (high << 32 | low) : DT_NOEND;
}

/* So that trying again plans anew. */
static void
refuse_stale(const char *message, const char *hint)
{
	ResetPlanCache();
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("%s", message),
			 errhint("%s", hint)));
}

static void
refuse_unmasked(Oid relid)
{
	char	   *name = get_rel_name(relid);

	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_UNMASKED),
			 errmsg("plan would read relation \"%s\" unmasked",
					name != NULL ? name : "?"),
			 errhint("This is a defect of pg_warden: nothing was read; please report the statement.")));
}

void
warden_plan_stamp_refuse_copies(const WardenRelation *relation)
{
	char	   *name = get_rel_name(relation->relid);

	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_UNMASKABLE),
			 errmsg("relation \"%s\" holds copies of labelled data that can not be masked",
					name != NULL ? name : "?"),
			 errhint("%s", relation->refused_hint)));
}

/* Does the entry scan what has masked columns, for this principal or not? */
static bool
has_labels(const RangeTblEntry *rte)
{
	if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
		return false;
	return warden_policy_relation(rte->relid) != NULL ||
		(warden_unlabelled_masked && rte->relid >= FirstNormalObjectId);
}

static void
verify_rte(const RangeTblEntry *rte)
{
	const WardenRelation *relation;

	if (!has_labels(rte) || warden_plan_stamp_marked(rte))
		return;
	relation = warden_policy_relation(rte->relid);
	if (relation != NULL && relation->refused)
		warden_plan_stamp_refuse_copies(relation);
	refuse_unmasked(rte->relid);
}

/* Why a plan must not be used any more, for refuse_stale(). */
typedef struct Staleness
{
	const char *message;
	const char *hint;
} Staleness;

static const Staleness other_identity = {
	"this statement or cursor was made under another identity",
	"Prepare or declare it again in the session as it is now.",
};
static const Staleness other_policy = {
	"policy has changed since this statement or cursor was made",
	"Run the statement again, or declare the cursor again.",
};
static const Staleness exemption_ended = {
	"an exemption that this statement relied on has ended",
	"Run the statement again; what the exemption showed is masked now.",
};
static const Staleness other_labels = {
	"a label has changed since this statement or cursor was made",
	"Run the statement again, or declare the cursor again.",
};

/* NULL where it may be used. */
static const Staleness *
find_staleness(const PlannedStmt *pstmt, const WardenPrincipal *principal)
{
	Stamp		made_for;
	WardenPolicyState now;
	ListCell   *lc;

	read_stamp(pstmt, &made_for);
	if (made_for.id != principal->id)
		return &other_identity;
	if (!warden_principal_masks(principal))
		return NULL;
	now = warden_policy_state(principal);
	if (made_for.policy.rules != now.rules ||
		made_for.policy.reach != now.reach)
		return &other_policy;
	if (made_for.expires != DT_NOEND &&
		made_for.expires <= GetCurrentTimestamp())
		return &exemption_ended;
	if (likely(made_for.policy.labels == now.labels))
		return NULL;
	if (made_for.columns_known && made_for.columns == hash_labels(pstmt))
		return NULL;
	foreach(lc, pstmt->rtable)
	{
		if (has_labels(lfirst(lc)))
			return &other_labels;
	}
	return NULL;
}

bool
warden_plan_stamp_stale(const PlannedStmt *pstmt,
						const WardenPrincipal *principal)
{
	return find_staleness(pstmt, principal) != NULL;
}

void
warden_plan_stamp_verify(const PlannedStmt *pstmt,
						 const WardenPrincipal *principal)
{
	const Staleness *stale = find_staleness(pstmt, principal);
	uint32		labels;
	ListCell   *lc;

	if (stale != NULL)
		refuse_stale(stale->message, stale->hint);
	if (!warden_principal_masks(principal))
		return;
	labels = warden_policy_state(principal).labels;
	foreach(lc, pstmt->rtable)
		verify_rte(lfirst(lc));

	/* Looking labels up can bring news of them. */
	if (unlikely(labels != warden_policy_state(principal).labels))
		warden_plan_stamp_verify(pstmt, principal);
}

void
warden_plan_stamp_verify_relation(PlannerInfo *root, RelOptInfo *rel,
								  const WardenPrincipal *principal)
{
	if (!warden_principal_masks(principal) ||
		!has_labels(root->simple_rte_array[rel->relid]))
		return;
	verify_rte(root->simple_rte_array[rel->relid]);

	/* Extended statistics are of raw values, whatever they are asked for. */
	rel->statlist = NIL;
}

/* The mark is made when first needed: the postmaster's would be shared. */
void
warden_plan_stamp_init(void)
{
	mark[0] = '\0';
}
