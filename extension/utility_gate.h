/*-------------------------------------------------------------------------
 * utility_gate.h
 *	  The closed list of what an agent may send that is not SELECT or DML.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_UTILITY_GATE_H
#define WARDEN_UTILITY_GATE_H

#include "postgres.h"

#include "nodes/nodes.h"

typedef enum WardenVerdict
{
	WARDEN_REFUSE,				/* WD002 */
	WARDEN_RUN,
	WARDEN_DIVERT
} WardenVerdict;

/*
 * What becomes of a utility statement of an agent, by its parse tree alone.
 * *reason (and *hint) say why it is refused.  DML and SELECT trees give
 * DIVERT and RUN, so that propose() can ask for any raw statement.
 */
extern WardenVerdict warden_utility_verdict(Node *stmt, const char **reason,
											const char **hint);

/* Raises WD002 with that reason. */
extern void warden_utility_refuse(Node *stmt, const char *reason,
								  const char *hint) pg_attribute_noreturn();

#endif							/* WARDEN_UTILITY_GATE_H */
