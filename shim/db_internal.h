/*
 * db_internal.h
 *		Shared by the files of a call, db_call.c, db_pool.c (connections),
 *		db_wait.c and db_names.c (prepared statements), and by db_plain.c.
 */
#ifndef DB_INTERNAL_H
#define DB_INTERNAL_H

#include "auth.h"
#include "db.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdint.h>

#define SECOND UINT64_C(1000000000)

/* How long a statement may be whose text is kept. */
#define DB_MAX_SHORT 8192

#define DB_MAX_TYPES 512

typedef struct LearnedType
{
	unsigned	oid;			/* 0: the type has another name now */
	char	   *name;
	uint64_t	asked;			/* when it was last said to be this */
} LearnedType;

typedef struct DbTarget
{
	char	   *name;			/* NULL: the main one */
	char	   *dsn;
	struct DbConn *idle;
	_Atomic(uint64_t) down_until;	/* when it was not there */
	LearnedType types[DB_MAX_TYPES];
	size_t		type_count;
} DbTarget;

/* who a call was made for, as far as the request says it */
typedef struct Identity
{
	AuthDigest	credential;
	AuthDigest	person;
} Identity;

/*
 * Statements that were sent on a connection since it was reset.  One that comes
 * again is prepared under a name, and after that only its name is sent.
 */
#define DB_NAMES 16

typedef struct DbName
{
	char	   *sql;			/* NULL: a free place */
	size_t		len;
	int			param_count;
	bool		prepared;
	char		name[24];
} DbName;

typedef struct DbNames
{
	DbName		places[DB_NAMES];
	unsigned	given;			/* names so far */
	uint64_t	since;			/* the first one was given */
	unsigned	next;			/* place to be looked at for the next one */
	bool		full;			/* of prepared statements */
} DbNames;

typedef struct DbConn
{
	PGconn	   *pg;
	PGcancel   *cancel;
	DbTarget   *target;
	uint64_t	line;			/* this is the so manieth connection */
	bool		rolling_back;	/* the answer to a ROLLBACK is not read yet */
	bool		clean;			/* as far as we know */
	bool		asked;			/* whom we are connected to */
	bool		direct;			/* to the backend itself: no pooler between */
	DbNames		names;
	Identity	user;			/* of the last call */
	json_t	   *leave;			/* what it read, and the start of its text */
	char		leave_text[256];
	uint64_t	used;			/* when it was last given back */
	DbOutcome  *outcome;		/* of the running call */
	struct DbConn *next;
} DbConn;

struct DbPool
{
	pthread_mutex_t lock;		/* guards idle lists and learned types */
	DbTarget   *targets;		/* the main one, those by name, the replica */
	size_t		target_count;
	DbTarget   *replica;		/* or NULL */
	long		connect_timeout;
	long		call_timeout;
	long		cancel_timeout;
	size_t		max_receive;
};

/* The target of that name, NULL for the main one; NULL if there is none. */
extern DbTarget *db_find_target(const DbPool *pool, const char *name);

/* Never NULL except out of memory; PQstatus tells the rest. */
extern PGconn *db_connect(const char *dsn, long timeout);

/* Connects, which may take as long as connect_timeout. */
extern DbConn *db_open_conn(DbPool *pool, DbTarget *target);
extern void db_close_conn(DbConn *conn);

/*
 * A connection that is outside a transaction and alive, a new one if need be,
 * or NULL; and its way back.  The idle one is for who may not wait: NULL where
 * there is none that can be used at once.
 */
extern DbConn *db_lease(DbPool *pool, DbTarget *target, bool brief);
extern DbConn *db_lease_idle(DbPool *pool, DbTarget *target);
extern void db_give_back(DbPool *pool, DbConn *conn);

extern bool db_send_text(DbConn *conn, const char *sql);

/* Right after a failed call, so that nothing stays locked; lease reads on. */
extern bool db_send_rollback(DbConn *conn);

/* Small results come in this many reads; only more are counted. */
#define DB_FREE_READS 2

/* what a wait for PostgreSQL ends on, besides input */
typedef struct DbWait
{
	const atomic_bool *cancelled;
	int			wake_fd;
	int			watch_fd;
	bool		brief;			/* nothing is cancelled at the deadline */
	uint64_t	deadline;
	uint64_t	give_up;		/* after a cancel was sent, else 0 */
	uint64_t	cancel_again;
	void		(*tell) (void *arg);
	void	   *tell_arg;
	uint64_t	tell_again;
	size_t		received;
	size_t		limit;
	size_t		base;			/* that a TCP connection had received before */
	size_t		backlog;		/* of another one: what was not read yet */
	size_t		read;			/* at least */
	int			reads;
	bool		too_large;
} DbWait;

extern void db_wait_begin(DbWait *wait, const DbPool *pool,
						  const DbRequest *request);

/*
 * Waits for input, a cancellation, a hang-up or the end of the time.  False
 * when the connection has to be given up.
 */
extern bool db_wait_input(DbPool *pool, DbConn *conn, DbWait *wait);

/*
 * May be called again: the server ignores a cancel that comes while it looks
 * for the next message of the pipeline.
 */
extern void db_wait_cancel(DbPool *pool, DbConn *conn, DbWait *wait);
extern bool db_wait_was_cancelled(const DbWait *wait);

/* The statement's place, NULL if it has none. */
extern DbName *db_names_find(DbNames *names, const char *sql, int param_count);

/* Gives a statement a place; NULL where that can not be. */
extern DbName *db_names_add(DbNames *names, const char *sql, int param_count);

/* It may not be prepared. */
extern void db_names_forget(DbName *name);

/* They were given so long ago that the connection should be reset. */
extern bool db_names_are_old(const DbNames *names);

/* After DISCARD ALL. */
extern void db_names_clear(DbNames *names);

#endif							/* DB_INTERNAL_H */
