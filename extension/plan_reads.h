/*-------------------------------------------------------------------------
 * plan_reads.h
 *	  What a plan reads, as its audit record says it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PLAN_READS_H
#define WARDEN_PLAN_READS_H

#include "postgres.h"

#include "audit_event.h"
#include "nodes/plannodes.h"
#include "principal.h"

/*
 * Fills in the base tables of a plan that was verified for the principal just
 * now, views resolved, and their labelled columns.  Good until the statement
 * ends.
 */
extern void warden_plan_reads(const PlannedStmt *pstmt,
							  const WardenPrincipal *principal,
							  WardenReads *result);

/* A statement of the client's begins: nothing that it runs is known. */
extern void warden_plan_reads_begin(void);

/*
 * The same of a plan that runs below the statement; false where all that it
 * reads was asked about since the statement began.
 */
extern bool warden_plan_reads_more(const PlannedStmt *pstmt,
								   const WardenPrincipal *principal,
								   WardenReads *result);

#endif							/* WARDEN_PLAN_READS_H */
