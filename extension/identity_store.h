/*-------------------------------------------------------------------------
 * identity_store.h
 *	  What the identity module's files share: rows of the registry as C
 *	  structs, their cached look-ups, and the shared memory that says which
 *	  backend acts as which agent.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_IDENTITY_STORE_H
#define WARDEN_IDENTITY_STORE_H

#include "postgres.h"

#include "datatype/timestamp.h"

#define WARDEN_DIGEST_LENGTH	32	/* SHA-256 */
#define WARDEN_PERSON_SIZE		256 /* bytes, with the terminating zero */
#define WARDEN_REQUEST_SIZE		512 /* longest text of a request */
#define WARDEN_DEFAULT_MAX_ROWS 1000
#define WARDEN_DEFAULT_STATEMENT_TIMEOUT 60000	/* ms */
#define WARDEN_DEFAULT_LOCK_TIMEOUT 10000	/* ms */

/* One row of warden.agents.  Limits are 0 where the agent has none. */
typedef struct WardenAgent
{
	char		agent[NAMEDATALEN]; /* hash key of the cache */
	Oid			role;
	Oid			apply_role;
	bool		enabled;
	bool		labelled;		/* the role still carries a label */
	bool		require_on_behalf_of;
	int			max_rows;
	int			statement_timeout;	/* ms */
	int			lock_timeout;	/* ms */
	int			work_mem;		/* kB */
	int			temp_file_limit;	/* kB, -1: none */
	int			max_calls;		/* at once */
	int			statements_per_hour;
	int64		rows_per_hour;
	int			person_statements_per_hour;
	int64		person_rows_per_hour;
	bool		limits_changes; /* that wait, or in an hour */
} WardenAgent;

/* One row of warden.agent_tokens. */
typedef struct WardenToken
{
	uint8		digest[WARDEN_DIGEST_LENGTH];	/* hash key of the cache */
	int64		id;
	char		agent[NAMEDATALEN];
	char		on_behalf_of[WARDEN_PERSON_SIZE];	/* "" where not bound */
	Oid			issued_by;
	TimestampTz expires_at;
	bool		revoked;
	bool		reads_only;		/* a JWT whose scope has no word to propose */
	const char *missing_scope;	/* what a good JWT lacks of it, or NULL */
	const char *fault;			/* why a JWT is not good, or NULL */
} WardenToken;

/* What a role's direct login finds. */
typedef enum WardenRoleAgents
{
	WARDEN_ROLE_HAS_NONE,
	WARDEN_ROLE_HAS_ONE,
	WARDEN_ROLE_HAS_SEVERAL
} WardenRoleAgents;

/* Look-ups (identity_store.c): false where there is no such row. */
extern bool warden_store_agent(const char *agent, WardenAgent *result);
extern bool warden_store_token(const uint8 *digest, WardenToken *result);
extern WardenRoleAgents warden_store_role(Oid role, WardenAgent *result);
extern char *warden_store_person(Oid role);

/* Does a delegation of the agent match? */
extern bool warden_store_delegated(const char *agent, const char *person);

/* The agent's patterns, a line each, or NULL; and does one of them match? */
extern char *warden_store_delegations(const char *agent);
extern bool warden_store_matches(const char *patterns, const char *person);

/*
 * The agent and person that a JWT stands for (identity_jwt.c): false unless
 * its signature, its claims and one mapping say so.  A scope that is too small
 * is told apart, for it can be asked for: see missing_scope.
 */
extern bool warden_store_jwt(const char *jwt, WardenToken *result);

/* Changes whenever anything in the registry may have. */
extern uint64 warden_store_generation(void);

/* From a trigger on one of the registry's tables. */
extern void warden_store_changed(Oid relid);

/* What the agent runs is to be cancelled when this transaction commits. */
extern void warden_store_cancel_at_commit(const char *agent);
extern void warden_store_end_xact(bool committed);

extern bool warden_store_glob(const char *pattern, const char *text);
extern void warden_store_digest(const void *data, size_t length,
								uint8 *digest);
extern bool warden_store_has_label(Oid role);
extern void warden_store_init(void);

/* Limits in the spelling of settings; raise for one that is none. */
extern int	warden_store_parse_limit(const char *name, const char *value,
									 int unit);

/* Shared memory (identity_shared.c). */
typedef struct WardenActing
{
	int			pid;			/* 0: this backend acts for no agent now */
	Oid			database;
	Oid			login_role;
	Oid			role;
	bool		bound;
	TimestampTz since;
	char		agent[NAMEDATALEN];
	char		on_behalf_of[WARDEN_PERSON_SIZE];
} WardenActing;

/* This backend acts as that agent until further notice / no longer. */
extern void warden_shared_begin(const char *agent, const char *on_behalf_of,
								Oid role, bool bound);
extern void warden_shared_end(void);

/* Backends of this database that act as the agent now. */
extern int	warden_shared_count(const char *agent);

/* Copies of all entries, palloc'd. */
extern WardenActing *warden_shared_list(int *n);

/* Cancels what the agent's backends in this database run. */
extern void warden_shared_cancel(const char *agent);

/* This backend acts for an agent now. */
extern bool warden_shared_acting(void);

/* What it runs has been cancelled so. */
extern bool warden_shared_cancelled(void);

/* Bumped after a change of the registry has been committed. */
extern uint64 warden_shared_epoch(void);
extern void warden_shared_advance(void);

/*
 * Adds to this hour's counters of an agent, or of the person that it acts for
 * where one is given; false where one of them is above its limit then.  A limit
 * of 0 is none.
 */
extern bool warden_shared_spend(const char *agent, const char *person,
								int64 statements, int64 rows,
								int64 statement_limit, int64 row_limit);

extern void warden_shared_init(void);

#endif							/* WARDEN_IDENTITY_STORE_H */
