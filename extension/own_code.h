/*-------------------------------------------------------------------------
 * own_code.h
 *	  Functions of a principal's own that would see raw rows.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_OWN_CODE_H
#define WARDEN_OWN_CODE_H

#include "postgres.h"

#include "utils/relcache.h"

#include "principal.h"

/* Has the principal the rights of that owner, so that it can change what he
 * owns? */
extern bool warden_own_code_reaches(const WardenPrincipal *principal,
									Oid owner);

/* A function of the principal's own that runs on rows of the relation, or of
 * its partitions, when these are written, from a trigger, a constraint, an
 * index, a partition key or a generated column, or InvalidOid.  The relation
 * need not be locked. */
extern Oid	warden_own_code_attached(Relation rel,
									 const WardenPrincipal *principal);

/* Does one of the relation's policies call such a function? */
extern bool warden_own_code_in_policies(Relation rel,
										const WardenPrincipal *principal);

#endif							/* WARDEN_OWN_CODE_H */
