/*-------------------------------------------------------------------------
 * write_gate.h
 *	  Writes of the masked class, which run.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_WRITE_GATE_H
#define WARDEN_WRITE_GATE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "principal.h"

/*
 * Raises WD002 for a write, at any depth of the query, that reads a masked
 * column of its target or assigns one: columns of a target stay raw, and what
 * a masked role sees of them is not what it should write back.
 */
extern void warden_write_gate_check(Query *query,
									const WardenPrincipal *principal);

/*
 * Raises WD002 when the role owns the relation or holds TRIGGER on it: either
 * lets it attach code that reads raw rows.
 */
extern void warden_write_gate_check_rights(Oid relid,
										   const WardenPrincipal *principal);

/*
 * The same for a write of the relation, whose rows can be in any relation of
 * its tree, and for functions of the role's own that would run on them.
 * Returns the OIDs of the tree, for all of which that is true then, or NIL
 * where nothing is masked.
 */
extern List *warden_write_gate_check_code(Oid relid,
										  const WardenPrincipal *principal);

/*
 * Raises WD002 when one of the columns (as pull_varattnos counts them) of the
 * role's own table refers to a masked column.
 */
extern void warden_write_gate_check_references(Oid relid,
											   const Bitmapset *columns,
											   const WardenPrincipal *self);

/*
 * Raises WD002 for DDL that adds a foreign key to a masked column, since
 * whether a row may be inserted would tell whether the value is there, or a
 * constraint to a domain, which is checked against raw values; and for what
 * works on tables without naming them, where one is what _check_rights refuses.
 */
extern void warden_write_gate_check_ddl(Node *stmt,
										const WardenPrincipal *principal);

/* Takes the DETAIL, which quotes rows, from an integrity violation. */
extern void warden_write_gate_redact(ErrorData *edata);

/* The same as an error context callback: before any code can catch it. */
extern void warden_write_gate_redact_early(void *arg);

/* In a PG_CATCH: goes on with the error so, since PL code could read it before
 * it gets to the client. */
extern void warden_write_gate_rethrow(MemoryContext context);

#endif							/* WARDEN_WRITE_GATE_H */
