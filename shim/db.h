/*
 * db.h
 *		One governed call to PostgreSQL: badge in, one statement, leave, commit.
 *
 * The only module that knows libpq.
 */
#ifndef DB_H
#define DB_H

#include "config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DB_MAX_COLUMNS 1664

struct pg_result;

typedef struct DbPool DbPool;

typedef struct DbStep
{
	const char *sql;
	int			param_count;
	const char *const *params;	/* text, NULL for null */
	bool		prepare;		/* Parse only, under the name SQL_PREPARED */
} DbStep;

typedef struct DbRequest
{
	const char *database;		/* a configured name, NULL: the main one */
	bool		replica;		/* of the main one, where one is configured */
	const char *credential;
	const char *on_behalf_of;	/* may be NULL */
	const char *request;		/* JSON object for enter */
	const DbStep *steps;
	int			step_count;
	bool		brief;			/* its client can do without the outcome */
	const atomic_bool *cancelled;
	int			wake_fd;		/* readable when cancelled changes, or -1 */
	int			watch_fd;		/* a hang-up here cancels, or -1 */
	void		(*tell) (void *arg);	/* in long waits after enter; or NULL */
	void	   *tell_arg;
} DbRequest;

typedef enum DbStatus
{
	DB_DONE,
	DB_FAILED,					/* SQL error: see error */
	DB_REFUSED,					/* enter did not accept the credential */
	DB_UNREACHABLE				/* no connection, or lost on the way */
} DbStatus;

typedef struct DbError
{
	const char *sqlstate;
	const char *message;
	const char *detail;			/* the rest may be NULL */
	const char *hint;
	long		position;		/* 1-based character, 0: none */
	const char *where;			/* "line 3 of the proposed script", or NULL */
} DbError;

typedef struct DbOutcome
{
	DbStatus	status;
	DbError		error;			/* texts live as long as the outcome */
	struct pg_result *failure;
	struct pg_result *result;	/* of the last step */
	bool		entered;		/* enter accepted the credential */
	bool		lacks_scope;	/* it is good, but for less: "scope=..." */
	bool		lacks_person;	/* it is good, but not for whom it was used */
	bool		truncated;
	long long	change_id;		/* 0: nothing was diverted or proposed */
	char		risk[16];
	bool		borrowed;		/* the results are a ticket's */
	bool		stale;			/* nothing was done: db_call may do better */

	/* sets of columns, for db_column_in */
	unsigned char masked[(DB_MAX_COLUMNS + 7) / 8];
	unsigned char untrusted[(DB_MAX_COLUMNS + 7) / 8];
} DbOutcome;

extern DbPool *db_pool_create(const Config *cf, Buf *error);
extern void db_pool_free(DbPool *pool);
extern bool db_has_database(const DbPool *pool, const char *name);
extern bool db_has_replica(const DbPool *pool);

/* True when PostgreSQL answers; for readiness. */
extern bool db_reachable(DbPool *pool);

/* Always fills *outcome; db_outcome_free it. */
extern void db_call(DbPool *pool, const DbRequest *request,
					DbOutcome *outcome);
extern void db_outcome_free(DbOutcome *outcome);

/*
 * A call that is under way.  db_start returns NULL where it would have to wait:
 * no idle connection, or much to send.  Until db_advance says otherwise the
 * ticket is to be advanced when its descriptor is readable; line is a number
 * that no other connection has or had.
 */
typedef struct DbTicket DbTicket;

typedef enum DbProgress
{
	DB_WAITING,
	DB_READY,					/* db_finish will not wait */
	DB_SLOW						/* the answer is long: somebody should wait */
} DbProgress;

extern DbTicket *db_start(DbPool *pool, const DbRequest *request);
extern int	db_ticket_fd(const DbTicket *ticket, uint64_t *line);
extern DbProgress db_advance(DbTicket *ticket);

/*
 * Waits for what is missing, and fills *outcome, whose results stay the
 * ticket's.  May be called again.
 */
extern void db_finish(DbTicket *ticket, int wake_fd, int watch_fd,
					  DbOutcome *outcome);
extern void db_ticket_free(DbTicket *ticket);

/*
 * Listens on a connection of its own until stop_fd is readable; calls fn with
 * NULL when it has begun, with the payload of each notification, and with an
 * empty one each interval_ms, unless that is -1.  Returns when the connection
 * is lost.
 */
extern void db_listen(const char *dsn, long connect_timeout, int stop_fd,
					  int interval_ms,
					  void (*fn) (const char *payload, void *arg), void *arg);

/*
 * A plain connection, without badging in: what --refresh-keys uses under its
 * own login.
 */
typedef struct pg_conn DbPlain;

extern DbPlain *db_plain_open(const char *dsn, long connect_timeout);
extern void db_plain_close(DbPlain *plain);
extern bool db_plain_each_issuer(DbPlain *plain,
								 void (*fn) (const char *issuer,
											 const char *url, void *arg),
								 void *arg);
extern bool db_plain_set_keys(DbPlain *plain, const char *issuer,
							  const char *jwks);

/* ------------------------------------------------------------------------
 * The result
 * ------------------------------------------------------------------------
 */

extern int	db_rows(const DbOutcome *outcome);
extern int	db_columns(const DbOutcome *outcome);
extern const char *db_column_name(const DbOutcome *outcome, int column);
extern unsigned db_column_type(const DbOutcome *outcome, int column);
extern bool db_column_in(const unsigned char *columns, int column);

/* NULL for null; *len is set otherwise */
extern const char *db_cell(const DbOutcome *outcome, int row, int column,
						   size_t *len);
extern const char *db_command(const DbOutcome *outcome);
extern long long db_affected(const DbOutcome *outcome);

/* Name of a type that pg_types knows or that was resolved, else NULL. */
extern const char *db_type_name(DbPool *pool, const char *database,
								unsigned type);

/* Whether that name, if any, is new enough not to be asked for. */
extern bool db_knows_type(DbPool *pool, const char *database, unsigned type);
extern void db_learn_type(DbPool *pool, const char *database, unsigned type,
						  const char *name);

#endif							/* DB_H */
