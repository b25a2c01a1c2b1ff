/*-------------------------------------------------------------------------
 * divert.h
 *	  An agent's write becomes a pending change instead of running.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_DIVERT_H
#define WARDEN_DIVERT_H

#include "postgres.h"

#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"

/*
 * A parsed write of which rules leave nothing: it has no plan, so nothing else
 * would see it, and it would be gone without a change or a record.
 */
extern bool warden_divert_leaves_nothing(Query *query);

/*
 * Called before the gate of functions looks at an agent's write.  Takes out of
 * it what its table computes where it gets no value, such as nextval(): that is
 * the owner's, runs when the change is applied, and never in this plan.
 */
extern void warden_divert_defaults(Query *query);

/*
 * Called before an agent's write is planned: the planner checks the rights on
 * a view that is written to, which is too early for a write that will not
 * run.  Decides them as for a proposal instead.
 */
extern void warden_divert_prepare(Query *query);

/*
 * Called by the ExecutorStart hook for a top-level write of an agent, in
 * place of the next hook: checks that the write may be proposed, records it,
 * and leaves the QueryDesc started with EXEC_FLAG_EXPLAIN_ONLY so that the Run
 * and Finish hooks skip it and the tag says zero rows.
 */
extern void warden_divert_query(QueryDesc *queryDesc, int eflags,
								ExecutorStart_hook_type next);

/*
 * What may be proposed may be explained before, and so may be read what a rule
 * reads beside it: the rights to write are not asked for then either.  For
 * what writes nothing.
 */
extern void warden_divert_rights(QueryDesc *queryDesc);

/* A QueryDesc that warden_divert_query started. */
extern bool warden_divert_started(QueryDesc *queryDesc);

/*
 * Called by the utility gate for a top-level utility statement of an agent
 * that is to be diverted: checks permissions, records it and sets *qc.
 */
extern void warden_divert_utility(PlannedStmt *pstmt, const char *queryString,
								  ParamListInfo params,
								  QueryCompletion *qc);

/*
 * A rule has put this utility statement, and nothing that writes, in the place
 * of a top-level statement: it stands for that one.
 */
extern bool warden_divert_left_alone(const PlannedStmt *pstmt);

#endif							/* WARDEN_DIVERT_H */
