/*-------------------------------------------------------------------------
 * planning.h
 *	  What happens to a query of a governed backend before it is planned.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PLANNING_H
#define WARDEN_PLANNING_H

#include "postgres.h"

#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "principal.h"
#include "utils/selfuncs.h"

/*
 * Checks, rewrites, plans through "next" (or standard_planner) and stamps the
 * plan.  An ungoverned principal's plan is only stamped.
 */
extern PlannedStmt *warden_planning_run(const WardenPrincipal *principal,
										Query *parse, const char *query_string,
										int cursorOptions,
										ParamListInfo boundParams,
										planner_hook_type next);

/* A governed query is being planned right now. */
extern bool warden_planning_active(void);

/* Raises WD008 for a labelled relation that escaped the rewrite, and keeps rows
 * from coming in the order of hidden values. */
extern void warden_planning_check_relation(PlannerInfo *root,
										   RelOptInfo *rel);

/* Statistics of this column hold values that the planner must not see. */
extern bool warden_planning_hides_column(Oid relid, AttrNumber attnum);
extern bool warden_planning_hides_index(Oid indexid, AttrNumber attnum);

#endif							/* WARDEN_PLANNING_H */
