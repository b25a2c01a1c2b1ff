/*-------------------------------------------------------------------------
 * identity.h
 *	  The agent that a governed backend is, and the person it acts for.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_IDENTITY_H
#define WARDEN_IDENTITY_H

#include "postgres.h"

/* Strings are never NULL; "" where there is none. */
typedef struct WardenIdentity
{
	bool		bound;			/* through enter() */
	const char *agent;			/* registered name, else the role's name */
	const char *on_behalf_of;
	bool		asserted;		/* the person was named by the request */
	Oid			token_issuer;	/* role that issued the token, or InvalidOid */
	const char *session_id;
	const char *request_id;
	const char *tool;
	const char *prompt_ref;
	int			max_rows;		/* 0: no limit */
	Oid			apply_role;		/* of the agent, or InvalidOid */
} WardenIdentity;

/*
 * Who this governed backend is.  For a direct login it is the agent that is
 * mapped to the login (or SET ROLE) role, looked up once and cached.  Raises
 * WD001 for a disabled agent, or a role that several agents share.
 */
extern const WardenIdentity *warden_identity_current(void);

/* Between enter() and leave(). */
extern bool warden_identity_bound(void);

/* The person a login role is mapped to in warden.people, or NULL. */
extern char *warden_identity_person(Oid role);

/* does the person match a delegation pattern of that agent? */
extern bool warden_identity_delegated(const char *agent, const char *person);

/* Facts about the last top-level statement, reported by leave(). */
typedef struct WardenStatementFacts
{
	int			nmasked;		/* result columns */
	bool	   *masked;			/* in TopTransactionContext */
	bool		truncated;
	int64		change_id;		/* 0: none */
	const char *risk;
	int			statements;
} WardenStatementFacts;

extern WardenStatementFacts *warden_identity_facts(void);

/* Checked by the gates: a function only enter() may be called as. */
extern void warden_identity_init(void);

#endif							/* WARDEN_IDENTITY_H */
