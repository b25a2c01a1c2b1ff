/*-------------------------------------------------------------------------
 * nesting.h
 *	  Is this statement one that the client sent, or one that a function,
 *	  DO block or trigger runs?
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_NESTING_H
#define WARDEN_NESTING_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/plannodes.h"

/*
 * Counts a governed statement that starts to run; the answer goes to
 * _restore when it is over, on the error path too.
 */
extern int	warden_nesting_enter(void);
extern void warden_nesting_restore(int saved);

/* A governed statement is running around this one. */
extern bool warden_nesting_inside(void);

/*
 * The query at hand checks or carries out a foreign key, and not something
 * that such a query runs in turn: a trigger or a function inherits the
 * security context of the check, and must not inherit its exemption.
 */
extern bool warden_nesting_foreign_key(void);

/*
 * Around whatever plans or runs a query: what an exempt query runs is not
 * exempt, and foreign keys that are checked below that are again.  _leave_
 * restores, on the error path too.
 */
typedef struct WardenForeignKey
{
	bool		inside;
	Oid			userid;
	int			sec_context;
} WardenForeignKey;

extern void warden_nesting_enter_query(WardenForeignKey *saved);
extern void warden_nesting_leave_query(const WardenForeignKey *saved);

/* The plan is one of the active portal's own (the fastpath protocol has no
 * portal), and no governed statement is running around it. */
extern bool warden_nesting_toplevel(const PlannedStmt *pstmt);

/*
 * For a SQL-callable function that may only be the client's own statement:
 * raises sqlstate, with a hint, when it is called from anywhere else. "name"
 * is the function's name in schema warden.
 */
extern void warden_nesting_require_toplevel(FunctionCallInfo fcinfo,
											const char *name, int sqlstate);

#endif							/* WARDEN_NESTING_H */
