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
	bool		reads_only;		/* the credential's scope excludes proposing */
	const char *session_id;
	const char *request_id;
	const char *tool;
	const char *prompt_ref;
	int			max_rows;		/* 0: no limit */
	Oid			apply_role;		/* of the agent, or InvalidOid */
	bool		registered;		/* warden.agents has a row for it */
} WardenIdentity;

/*
 * Who this governed backend is.  For a direct login it is the agent that is
 * mapped to the login (or SET ROLE) role, looked up once and cached.  Raises
 * WD001 for a disabled agent, or a role that several agents share.
 */
extern const WardenIdentity *warden_identity_current(void);

/* Raises WD001 where the credential's scope excludes changes. */
extern void warden_identity_require_propose(void);

/* Between enter() and leave(); in a parallel worker, the leader was. */
extern bool warden_identity_bound(void);

/*
 * Whether the binding is for the credential, agent, person and limits that the
 * one before it was for, in another transaction.
 */
extern bool warden_identity_continues(void);

/* warden.agents has a row with this role, enabled or not. */
extern bool warden_identity_registered(Oid role);

/*
 * Start of a top-level statement of an agent: counts it, refuses it where a
 * budget is spent (WD005), and brings the settings that limit it down to the
 * agent's where they are above.  Idempotent but for the count.
 */
extern void warden_identity_apply_limits(void);

/*
 * Before anything more is run or sent for a bound backend: raises WD001 where
 * its credential has ended, or its agent was switched off, since enter().
 */
extern void warden_identity_recheck(void);

/*
 * Of an observed agent's login, which has no limits: says that it acts now, so
 * that switching its agent off ends the statement, and raises WD001 where that
 * has happened.
 */
extern void warden_identity_claim(void);

/* The same limits, without counting, for a statement below another. */
extern void warden_identity_keep_limits(void);

/* Rows that the statement sent, for the budget per hour. */
extern void warden_identity_count_rows(uint64 rows);

/* The same, where an error is being reported. */
extern void warden_identity_count_failed_rows(uint64 rows);

/* The person a login role is mapped to in warden.people, or NULL. */
extern char *warden_identity_person(Oid role);

/* The patterns of persons that the agent may act for, a line each, or NULL. */
extern char *warden_identity_delegations(const char *agent);

/* Is the person, spelled in any case, one whom such patterns match? */
extern bool warden_identity_may_be(const char *patterns, const char *person);

/*
 * A palloc'd copy with what looks like a token or a JWT struck out in place,
 * for whoever stores statements.
 */
extern char *warden_identity_redact(const char *text);

/* The message holds a credential: the log shall not quote it. */
extern void warden_identity_hide_statement(const char *text);

/*
 * Writes a line of the library's own to the server log, which begins with one
 * of these; others that do are marked.
 */
#define WARDEN_LOG_RECORD	"pg_warden audit: "
#define WARDEN_LOG_HEAD		"audit head of database "

extern void warden_identity_log(const char *line);

/* Was enter() or leave() called since this was asked last? */
extern bool warden_identity_badged(void);

/* Facts about the last top-level statement, reported by leave(). */
typedef struct WardenStatementFacts
{
	int			ncolumns;		/* of the result */
	bool	   *masked;			/* in TopTransactionContext */
	bool	   *untrusted;		/* the same, or NULL for none */
	bool		untrusted_below;	/* a function read some: may be in any */
	bool		truncated;
	int64		change_id;		/* 0: none */
	const char *risk;
	int			statements;
} WardenStatementFacts;

extern WardenStatementFacts *warden_identity_facts(void);

/* From _PG_init: settings, shared memory request, callbacks. */
extern void warden_identity_init(void);

#endif							/* WARDEN_IDENTITY_H */
