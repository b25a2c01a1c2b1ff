/*-------------------------------------------------------------------------
 * nesting.h
 *	  Is this statement one that the client sent, or one that a function,
 *	  DO block or trigger runs?
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_NESTING_H
#define WARDEN_NESTING_H

#include "postgres.h"

/* No executor or utility statement is running around this one, and there is a
 * portal (the fastpath protocol has none). */
extern bool warden_nesting_toplevel(void);

/* The same, asked from inside a SQL-callable function: the one statement
 * around it is the client's own and names that function itself. Raises
 * (errcode) with a hint otherwise. */
extern void warden_nesting_require_toplevel(Oid funcid, const char *name,
											int errcode);

#endif							/* WARDEN_NESTING_H */
