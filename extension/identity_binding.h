/*-------------------------------------------------------------------------
 * identity_binding.h
 *	  Between the files of the identity module: the binding itself, and the
 *	  limits that follow from it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_IDENTITY_BINDING_H
#define WARDEN_IDENTITY_BINDING_H

#include "postgres.h"

#include "identity.h"
#include "identity_store.h"

/* In TopTransactionContext, with all that it points to. */
typedef struct WardenBinding
{
	WardenIdentity identity;
	WardenAgent agent;
	SubTransactionId subid;
	int			nestlevel;		/* of the settings that enter() made */
	uint8		leave_digest[WARDEN_DIGEST_LENGTH];

	/* What was accepted, and the registry's state when it was. */
	uint8		token_digest[WARDEN_DIGEST_LENGTH];
	char	   *jwt;			/* NULL: by a token, which has a row */
	TimestampTz expires_at;
	uint64		generation;
} WardenBinding;

/* NULL where this backend is not bound (a parallel worker never is). */
extern const WardenBinding *warden_binding_current(void);

/* From here on this backend is the agent, until it is unbound. */
extern void warden_binding_begin(WardenBinding *made);
extern void warden_binding_end(void);

/* The registry has been looked at again for it, in this state. */
extern void warden_binding_confirm(uint64 generation);

/* The agent of a direct login as last looked up. */
extern const WardenAgent *warden_binding_direct_agent(void);

/* Whom this backend acts for, as last looked up. */
extern const char *warden_binding_person(void);

/* SET LOCAL, also of what only superusers may set. */
extern void warden_limits_set(const char *name, const char *value);

/* Brings settings down to the agent's limits, never up; true where the
 * statement timeout was. */
extern bool warden_limits_lower(const WardenAgent *agent);

/* In place of an exception handler that caught the end of its time. */
extern void warden_limits_insist(void);

/* Raises WD005 where the agent runs as much as it may besides this call. */
extern void warden_limits_refuse_calls(const WardenAgent *agent);

/* From warden_identity_init. */
extern void warden_enter_init(void);
extern void warden_redact_init(void);

/* The statement that runs has called enter() or leave(). */
extern void warden_redact_call(void);

#endif							/* WARDEN_IDENTITY_BINDING_H */
