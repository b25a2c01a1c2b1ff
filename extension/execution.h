/*-------------------------------------------------------------------------
 * execution.h
 *	  What happens to a plan that a governed backend executes.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_EXECUTION_H
#define WARDEN_EXECUTION_H

#include "postgres.h"

#include "compat.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "principal.h"

/* Each calls "next", or the standard function where there is none, unless
 * the statement is refused or diverted. */
extern void warden_execution_start(const WardenPrincipal *principal,
								   QueryDesc *queryDesc, int eflags,
								   ExecutorStart_hook_type next);
extern void warden_execution_run(const WardenPrincipal *principal,
								 EXECUTOR_RUN_ARGS,
								 ExecutorRun_hook_type next);
extern void warden_execution_finish(QueryDesc *queryDesc,
									ExecutorFinish_hook_type next);

/* Closes the audit record of the statement, if it was one. */
extern void warden_execution_end(QueryDesc *queryDesc);

/* The masked class's next statement begins: the record of its last one ends. */
extern void warden_execution_end_record(void);

/* Relation kinds and the library's own schema; raises WD002. */
extern void warden_execution_check_relations(const WardenPrincipal *principal,
											 List *rangeTable,
											 List *permInfos);

/*
 * Opens the audit record of a top-level utility statement, and closes it.
 * The record of one that fails is closed by warden_failure_report.
 */
extern void warden_execution_utility_intent(const PlannedStmt *pstmt,
											const char *source,
											ParamListInfo params);
extern void warden_execution_utility_done(const char *outcome, uint64 rows,
										  int64 change_id);

/* Notes what the open statement of an observed agent would have met; the
 * first note stays.  "what" is a constant. */
extern void warden_execution_observe(const char *what);

/* The same of a refusal by that message, which is copied. */
extern void warden_execution_observe_refusal(const char *message);

/*
 * A query of an agent has been parsed.  Refuses a write of which rules leave
 * nothing, since no plan will come of it, and records it where the agent is
 * observed.
 */
extern void warden_execution_parsed(const WardenPrincipal *principal,
									Query *query, const char *source);

/* Records an observed agent's call by the fastpath protocol. */
extern void warden_execution_observe_call(const char *function);

/*
 * The statement has failed: returns how many rows it had sent, and whether its
 * text may hold a secret.  Reads no catalog.
 */
extern uint64 warden_execution_failed(bool *secret);

extern void warden_execution_init(void);

#endif							/* WARDEN_EXECUTION_H */
