/*-------------------------------------------------------------------------
 * utility_gate.h
 *	  The closed list of what an agent may send that is not SELECT or DML.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_UTILITY_GATE_H
#define WARDEN_UTILITY_GATE_H

#include "postgres.h"

#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "principal.h"

typedef enum WardenVerdict
{
	WARDEN_REFUSE,				/* WD002 */
	WARDEN_RUN,
	WARDEN_DIVERT
} WardenVerdict;

/*
 * What becomes of a statement of an agent, by its raw or analysed parse tree
 * and the classes enabled in warden.proposable alone.  *reason says why it is
 * refused, *hint what to do instead.  DML gives DIVERT and SELECT gives RUN, so
 * that propose() can ask for any raw statement.
 */
extern WardenVerdict warden_utility_verdict(Node *stmt, const char **reason,
											const char **hint);

/* The EXECUTE whose statement an EXPLAIN explains, or NULL. */
extern ExecuteStmt *warden_utility_explained_execute(const ExplainStmt *stmt);

/* Raises WD002 with that reason. */
pg_noreturn extern void warden_utility_refuse(Node *stmt, const char *reason,
								  const char *hint);

/*
 * Raises WD002 unless the principal, as it is bound or logged in, may send a
 * statement that the verdict lets run: transaction control, SET, cursors.
 * *change_role: the statement may change the role.
 */
extern void warden_utility_check_run(Node *stmt,
									 const WardenPrincipal *principal,
									 bool toplevel, bool *change_role);

/*
 * Is it SET ROLE, RESET ROLE or the like?  Raises WD001 unless a person whose
 * own login is not governed sends it as a statement of its own.
 */
extern bool warden_utility_check_role(Node *stmt,
									  const WardenPrincipal *principal,
									  bool toplevel);

/* Raises WD001 when the connection was opened with settings off the list. */
extern void warden_utility_check_startup(void);

/* Raises WD001 unless an unbound gateway may send the utility statement. */
extern void warden_utility_check_gateway(Node *stmt, bool *change_role);

#endif							/* WARDEN_UTILITY_GATE_H */
