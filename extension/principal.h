/*-------------------------------------------------------------------------
 * principal.h
 *	  What governs this backend right now.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PRINCIPAL_H
#define WARDEN_PRINCIPAL_H

#include "postgres.h"

/*
 * Classes in order of strictness: the strictest that applies wins.  One that
 * sees values is less strict than one that does not, whatever is recorded.
 */
typedef enum WardenClass
{
	WARDEN_CLASS_NONE,			/* ungoverned */
	WARDEN_CLASS_OBSERVED,		/* "agent, observe": runs, would-be outcomes
								 * are recorded */
	WARDEN_CLASS_MASKED,		/* reads masked, writes run */
	WARDEN_CLASS_AGENT,			/* reads masked, writes diverted, audited */
	WARDEN_CLASS_GATEWAY		/* unbound gateway login: may only badge in */
} WardenClass;

typedef struct WardenPrincipal
{
	WardenClass class;
	uint32		id;				/* 0 when ungoverned; else unique in this
								 * backend for (class, login, role): stamps
								 * plans */
	Oid			login_role;		/* GetSessionUserId() */
	Oid			role;			/* GetOuterUserId() */
	bool		bound;			/* through warden.enter() */
	bool		login_governed; /* the login role itself is governed, so no
								 * SET ROLE can loosen it */
	const char *refusal;		/* not NULL: every statement is refused with
								 * this message (WD001) */
	const char *refusal_hint;
} WardenPrincipal;

/*
 * The principal of this backend, resolved from labels, memberships and the
 * current login and SET ROLE roles, cached until one of those changes.  Must
 * be called inside a transaction.
 */
extern const WardenPrincipal *warden_principal_current(void);

/* The one resolved last, without any catalog access; NULL when none was. */
extern const WardenPrincipal *warden_principal_cached(void);

/* The same, but NULL where it was resolved for others than the roles now. */
extern const WardenPrincipal *warden_principal_known(void);

/* Raises WD001 if the principal may run nothing at all. */
extern void warden_principal_require(const WardenPrincipal *principal);

/* Some role of the cluster carries a label, as far as this backend knows;
 * while none does plans need no stamp, and the first label resets them. */
extern bool warden_principal_labels_exist(void);

/* Masks apply (masked, agent). */
extern bool warden_principal_masks(const WardenPrincipal *principal);

/* Is it an agent's class, all of whose statements are recorded? */
extern bool warden_principal_agents_class(WardenClass class);

/* A label reaches the role, its own or one that it inherits. */
extern bool warden_principal_governs(Oid roleid);

/* True while the library itself runs SQL (see warden_principal_run_internal) */
extern bool warden_principal_internal(void);

/*
 * Runs fn(arg) as the owner of the extension with search_path pinned to
 * pg_catalog and the gates off, so that the library can read and write its
 * own tables from inside an agent's statement, in read-only transactions too.
 * fn must not run anything that an agent supplied.  Always restores.
 */
extern void warden_principal_run_internal(void (*fn) (void *), void *arg);

/*
 * Makes the backend an agent of that role until called with InvalidOid, for
 * an administrator who looks at what the agent would see.  The caller ends it
 * on the error path too.
 */
extern void warden_principal_assume(Oid role);

/*
 * Raises FATAL where a login that is governed, or a gateway's, asks for a
 * replication connection.  Before the session has a user: by its name.
 */
extern void warden_principal_refuse_replication(const char *user);

/* Forget what is cached; the next call of _current resolves anew. */
extern void warden_principal_reset(void);

/*
 * Why a role can not be an agent (superuser, BYPASSRLS, ...), or NULL.  Asked
 * when the label is made and again when a backend starts acting.
 */
extern const char *warden_principal_agent_bar(Oid roleid);

/* The class that a role label spells, by the label's text; raises for an
 * unknown one. */
extern WardenClass warden_principal_parse_class(const char *label);

/*
 * Set while enter()/leave() change the role themselves, and by the utility
 * gate around a top-level SET ROLE, RESET ROLE or DISCARD ALL that the
 * principal may send; every other change of role while governed is refused by
 * the check hooks on "role" and "session_authorization".  Cleared by whoever
 * set it, on the error path too.
 */
extern bool warden_principal_allow_role_change;

/* Set while a change is applied: nobody's role changes, governed or not. */
extern bool warden_principal_hold_role;

/* member (even NOINHERIT) of one of the group roles, superusers excluded */
extern bool warden_principal_is_member(Oid roleid, const char *group);

extern void warden_principal_init(void);

#endif							/* WARDEN_PRINCIPAL_H */
