/*-------------------------------------------------------------------------
 * copy.h
 *	  COPY table TO STDOUT of a governed backend.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_COPY_H
#define WARDEN_COPY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "principal.h"

/*
 * COPY reads a table without the planner, past every mask.  Returns a copy of
 * the statement that copies the equivalent query instead, or the statement
 * itself where core copies a query already, or refuses.
 */
extern PlannedStmt *warden_copy_rewrite(PlannedStmt *pstmt);

/* Raises WD002 for a COPY FROM of the masked class into a masked column. */
extern void warden_copy_check_from(CopyStmt *copy,
								   const WardenPrincipal *principal);

#endif							/* WARDEN_COPY_H */
