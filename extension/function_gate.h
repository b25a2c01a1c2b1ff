/*-------------------------------------------------------------------------
 * function_gate.h
 *	  Which functions an agent's statement may execute.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_FUNCTION_GATE_H
#define WARDEN_FUNCTION_GATE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* May an agent execute it, however it is reached?  Cached. */
extern bool warden_function_gate_allows(Oid funcid);

/*
 * Schema, name and types of arguments, as warden.allowed_functions has them:
 * no two functions share it, and no setting changes how it is written.
 */
extern char *warden_function_gate_name(Oid funcid);

/* Raises WD002 unless allowed. */
extern void warden_function_gate_check(Oid funcid);

/* The same for the masked class, which may run all but what shows raw data. */
extern void warden_function_gate_check_masked(Oid funcid);

/* Its rows are to be narrowed to what is the session's own. */
extern bool warden_function_gate_narrowed(Oid funcid);

/*
 * Checks every function, operator, cast and aggregate that the query names,
 * its subqueries included, and narrows those that would show other people's
 * sessions to the backend's own.
 */
extern void warden_function_gate_query(Query *query);

/* The same for one expression, such as the call of a CALL. */
extern void warden_function_gate_expression(Node *node);

/* In another language than C, or gone. */
extern bool warden_function_is_procedural(Oid funcid);

/* A trusted procedural language, or SQL. */
extern bool warden_function_gate_language(Oid language);

extern void warden_function_gate_init(void);

#endif							/* WARDEN_FUNCTION_GATE_H */
