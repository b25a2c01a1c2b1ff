/*-------------------------------------------------------------------------
 * own_statement.h
 *	  Is it the client's own statement that writes one of our tables?
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_OWN_STATEMENT_H
#define WARDEN_OWN_STATEMENT_H

#include "postgres.h"

#include "fmgr.h"

/*
 * The active portal runs what the client sent, not a cursor that a function
 * opened or a prepared statement: those have a text of their own.
 */
extern bool warden_own_portal(void);

/*
 * For a trigger on one of our tables: the client's own statement is INSERT,
 * UPDATE, DELETE, TRUNCATE or COPY FROM of that very table and nothing else,
 * and has fired the trigger itself.  A rule, a view, a WITH, a function or
 * EXECUTE that comes to write the table does not pass.
 */
extern bool warden_own_writes(FunctionCallInfo fcinfo);

#endif							/* WARDEN_OWN_STATEMENT_H */
