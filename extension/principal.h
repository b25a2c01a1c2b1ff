/*-------------------------------------------------------------------------
 * principal.h
 *	  What governs this backend right now.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PRINCIPAL_H
#define WARDEN_PRINCIPAL_H

#include "postgres.h"

/* Classes in order of strictness: the strictest that applies wins. */
typedef enum WardenClass
{
	WARDEN_CLASS_NONE,			/* ungoverned */
	WARDEN_CLASS_MASKED,		/* reads masked, writes run */
	WARDEN_CLASS_OBSERVED,		/* "agent, observe": runs, would-be outcomes
								 * are recorded */
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
	bool		login_governed; /* the login role itself carries a label, so
								 * no SET ROLE can loosen it */
} WardenPrincipal;

/*
 * The principal of this backend, resolved from labels, memberships and the
 * current login and SET ROLE roles, cached until one of those changes.  Must
 * be called inside a transaction.  Raises WD001 when an agent role has since
 * got attributes that no agent may have.
 */
extern const WardenPrincipal *warden_principal_current(void);

/* Masks apply (masked, agent). */
extern bool warden_principal_masks(const WardenPrincipal *principal);

/* True while the library itself runs SQL (see warden_principal_run_internal) */
extern bool warden_principal_internal(void);

/*
 * Runs fn(arg) as the owner of the extension with search_path pinned to
 * pg_catalog and the gates off, so that the library can read and write its
 * own tables from inside an agent's statement, in read-only transactions too.
 * fn must not run anything that an agent supplied.  Always restores.
 */
extern void warden_principal_run_internal(void (*fn) (void *), void *arg);

/* Forget what is cached; the next call of _current resolves anew. */
extern void warden_principal_reset(void);

/* From principal validation at SECURITY LABEL time and at session start. */
extern void warden_principal_check_agent_role(Oid roleid);

/* The class that a role label spells, by the label's text; raises for an
 * unknown one. */
extern WardenClass warden_principal_parse_class(const char *label);

/*
 * Set while enter()/leave() change the role themselves; every other change of
 * role while governed or bound is refused by the check hooks on "role" and
 * "session_authorization".
 */
extern bool warden_principal_allow_role_change;

/* member (even NOINHERIT) of one of the group roles, superusers excluded */
extern bool warden_principal_is_member(Oid roleid, const char *group);

extern void warden_principal_init(void);

#endif							/* WARDEN_PRINCIPAL_H */
