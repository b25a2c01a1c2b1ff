/*-------------------------------------------------------------------------
 * copy.h
 *	  COPY table TO STDOUT of a governed backend.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_COPY_H
#define WARDEN_COPY_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * COPY reads a table without the planner, past every mask.  Returns a copy of
 * the statement that copies the equivalent query instead, or the statement
 * itself where core copies a query already, or refuses.
 */
extern PlannedStmt *warden_copy_rewrite(PlannedStmt *pstmt);

#endif							/* WARDEN_COPY_H */
