/*-------------------------------------------------------------------------
 * proposable.h
 *	  Classes of statements that agents may propose where an administrator
 *	  has enabled them in warden.proposable, and never otherwise.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PROPOSABLE_H
#define WARDEN_PROPOSABLE_H

#include "postgres.h"

#include "nodes/nodes.h"

#define WARDEN_PROPOSABLE_OWNER			"owner"
#define WARDEN_PROPOSABLE_PRIVILEGES	"privileges"
#define WARDEN_PROPOSABLE_DEFINER		"security_definer"

/* As committed, or as this transaction has left it: nothing is cached. */
extern bool warden_proposable_enabled(const char *class);

/*
 * May an agent propose this GRANT, REVOKE or change of an owner?  Where its
 * class is off *reason and *hint stay as they are.
 */
extern bool warden_proposable_permits(Node *stmt, const char **reason,
									  const char **hint);

/* Raises WD002 where a role that a statement names may be given nothing by a
 * change: it can have been labelled since the proposal. */
extern void warden_proposable_check_roles(Node *stmt);

#endif							/* WARDEN_PROPOSABLE_H */
