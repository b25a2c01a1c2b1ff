/*-------------------------------------------------------------------------
 * plan_stamp.h
 *	  What a plan was made for, written into the plan itself.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PLAN_STAMP_H
#define WARDEN_PLAN_STAMP_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/plannodes.h"
#include "optimizer/pathnode.h"
#include "policy.h"
#include "principal.h"

/* The mark on range table entries that were masked or found to need none. */
extern const char *warden_plan_stamp_mark(void);
extern bool warden_plan_stamp_marked(const RangeTblEntry *rte);

/*
 * Stamps a plan with its principal, the state of the policy that it was made
 * under (read before the policy was looked at), the earliest end of an
 * exemption it relies on and which result columns are masked or untrusted, and
 * makes it depend on the policy and the role.
 */
extern void warden_plan_stamp_set(PlannedStmt *pstmt,
								  const WardenPrincipal *principal,
								  const WardenPolicyState *policy,
								  TimestampTz expires, List *masked,
								  List *untrusted);

/*
 * Raises WD001 when the plan was made for another principal or relies on an
 * exemption that has ended; WD008 when a governed plan scans a labelled
 * relation that was not masked.
 */
extern void warden_plan_stamp_verify(const PlannedStmt *pstmt,
									 const WardenPrincipal *principal);

/* Whether _verify would raise WD001. */
extern bool warden_plan_stamp_stale(const PlannedStmt *pstmt,
									const WardenPrincipal *principal);

/*
 * Resets the plan cache if an exemption that a plan relies on has ended, so
 * that what is executed below is planned anew.  A plan that the extended
 * protocol has bound already is refused by _verify.
 */
extern void warden_plan_stamp_expire(void);

/* The same as _verify for a relation that the planner is about to look at. */
extern void warden_plan_stamp_verify_relation(PlannerInfo *root,
											  RelOptInfo *rel,
											  const WardenPrincipal *principal);

/* Raises WD004 for a relation whose copies can not be masked. */
extern void warden_plan_stamp_refuse_copies(const WardenRelation *relation);

/* Resnos of result columns that are masked, or untrusted (int lists). */
extern List *warden_plan_stamp_masked(const PlannedStmt *pstmt);
extern List *warden_plan_stamp_untrusted(const PlannedStmt *pstmt);

/* The number of the plan among all that this backend has stamped for governed
 * principals, the same in its copies; 0 where it has none. */
extern uint32 warden_plan_stamp_serial(const PlannedStmt *pstmt);

extern void warden_plan_stamp_init(void);

#endif							/* WARDEN_PLAN_STAMP_H */
