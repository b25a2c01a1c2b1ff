/*-------------------------------------------------------------------------
 * policy.h
 *	  Which columns are labelled and what a principal sees of them; cached
 *	  per backend, invalidated through relcache messages.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_POLICY_H
#define WARDEN_POLICY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "principal.h"

/* One column of one relation under policy. */
typedef struct WardenColumn
{
	AttrNumber	attnum;
	const char *type;			/* semantic type; of several in a tree the
								 * one that shows least by default */
	List	   *others;			/* the rest of them, of char * */
	bool		untrusted;		/* label attribute */
} WardenColumn;

/* What the labels say of a relation, whoever asks. */
typedef struct WardenRelation
{
	Oid			relid;			/* hash key */
	bool		refused;		/* holds unmaskable copies (WD004) */
	const char *refused_hint;	/* which label to add */
	int			ncolumns;		/* labelled ones, 0 for most relations */
	WardenColumn *columns;
} WardenRelation;

/* NULL where nothing is labelled. Valid until the next invalidation. */
extern const WardenRelation *warden_policy_relation(Oid relid);

/* Mixes what the labels say of the relation into a hash; nothing is labelled:
 * the hash as it was. */
extern uint64 warden_policy_hash_labels(uint64 hash, Oid relid);

/* The labelled column, or NULL. */
extern const WardenColumn *warden_policy_column(Oid relid, AttrNumber attnum);

/* A mask, and the row condition under which it does not hold, or NULL. */
typedef struct WardenMask
{
	const char *spec;
	const char *unless;
} WardenMask;

/* The mask of a column for a principal; spec is NULL when it is clear. */
extern WardenMask warden_policy_rule(const WardenPrincipal *principal,
									 Oid relid, AttrNumber attnum,
									 TimestampTz *expires);

/*
 * The mask specification of a column for a principal: NULL when it is clear.
 * Lowers *expires to the earliest end of an exemption that was used.
 */
extern const char *warden_policy_mask(const WardenPrincipal *principal,
									  Oid relid, AttrNumber attnum,
									  TimestampTz *expires);

/* The default mask of a semantic type, or NULL when it is not defined. */
extern const char *warden_policy_type_mask(const char *type);

/* Is any mask of the policy a function of the database? */
extern bool warden_policy_calls_functions(void);

/* Does the type hide what it labels from anybody, by its own mask or a rule? */
extern bool warden_policy_type_hides(const char *type);
extern bool warden_policy_column_hides(const WardenColumn *column);

/* Would a role see more of a column if it had the label new and not old, by
 * the rules and exemptions that there are? */
extern bool warden_policy_type_loosens(const char *old, const char *new);

/* Would the label hide, alone, what all of the column's labels do? */
extern bool warden_policy_type_suffices(const char *type,
										const WardenColumn *column);

/*
 * Counters that change whenever rules, or labels that this backend looked at,
 * do, and a fingerprint of which rules and exemptions reach the principal
 * through its memberships; for stamping plans.
 */
typedef struct WardenPolicyState
{
	uint32		rules;
	uint32		labels;
	uint32		reach;
} WardenPolicyState;

extern WardenPolicyState warden_policy_state(const WardenPrincipal *principal);

/* Calls fn for the default mask of a type and for each rule's, with the
 * rule's condition or NULL. */
extern void warden_policy_each_mask(const char *type,
									void (*fn) (const char *mask,
												const char *unless, void *arg),
									void *arg);

/* OIDs of relid, its inheritance ancestors and its descendants. */
extern List *warden_policy_tree(Oid relid);

/* The same as it was when the labels were looked at: not to be changed, and
 * valid to the end of the transaction. */
extern List *warden_policy_known_tree(Oid relid);

/* The same as if "left_out" were not there. */
extern List *warden_policy_tree_without(Oid relid, Oid left_out);

/* A relation's parents and children; one that is being detached is among them
 * to the end. */
extern List *warden_policy_neighbours(Oid relid);

/* The relation whose relcache message means "policy changed"; plans depend on
 * it. InvalidOid when the extension is not installed here. */
extern Oid	warden_policy_anchor(void);

/* The same without a lookup, for invalidation callbacks. */
extern Oid	warden_policy_known_anchor(void);

/* Tell every backend that policy changed (labels: relid's whole tree). */
extern void warden_policy_changed(void);
extern void warden_policy_label_changed(Oid relid);

extern void warden_policy_init(void);

#endif							/* WARDEN_POLICY_H */
