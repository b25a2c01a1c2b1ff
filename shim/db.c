/*
 * db.c
 *		Connections to PostgreSQL and the one transaction that a call is.
 *
 * A call is one flush: BEGIN; enter; the statements; leave; COMMIT; sync.  The
 * extension leaves nothing behind on a connection, whatever was run.  Should it
 * fail in that, one identity must not meet what another one left: unless the
 * call before was the same one's and ended well, DISCARD ALL goes first, and if
 * that fails, the server skips everything up to the sync.  After an error the
 * transaction is rolled back at once; the answer to that is read when the
 * connection is next wanted.  A connection that is not outside a transaction
 * then is closed.  The pool's lock is never held across a libpq call.
 *
 * A call that was started is a DbTicket.  Whoever holds it reads what came so
 * far and goes on to other things, or waits for the rest; what a wait can end
 * on is looked at only by those who wait.
 */
#include "db.h"

#include "auth.h"
#include "db_connect.h"
#include "db_sql.h"
#include "json_util.h"
#include "log.h"
#include "metrics.h"
#include "pg_types.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LEAVE_KEY_BYTES 16
#define SECOND UINT64_C(1000000000)

/* A result may take up this many times max_result in libpq's memory. */
#define RECEIVE_FACTOR 4

#define MAX_LEARNED_TYPES 512

/* Seconds for which a replica that is not there is not tried again. */
#define REPLICA_PAUSE 5

/* How long a connection that was just used counts as alive. */
#define TRUSTED_NS (20 * 1000 * 1000)

/* Small results come in this many reads; only more are counted. */
#define FREE_READS 2

/* What is started without waiting is at most this long. */
#define MAX_SHORT 8192

/* of pg_type, and never any other */
#define TYPE_TEXT 25
#define TYPE_JSONB 3802

/* places in the pipeline */
#define AT_BEGIN 1
#define AT_ENTER 2
#define AT_STEPS 3

typedef struct LearnedType
{
	unsigned	oid;
	char	   *name;
} LearnedType;

typedef struct DbTarget
{
	char	   *name;			/* NULL: the main one */
	char	   *dsn;
	struct DbConn *idle;
	_Atomic(uint64_t) down_until;	/* of the replica, when it was not there */
	LearnedType types[MAX_LEARNED_TYPES];
	size_t		type_count;
} DbTarget;

/* who a call was made for, as far as the request says it */
typedef struct Identity
{
	AuthDigest	credential;
	AuthDigest	person;
} Identity;

typedef struct DbConn
{
	PGconn	   *pg;
	PGcancel   *cancel;
	DbTarget   *target;
	bool		rolling_back;	/* the answer to a ROLLBACK is not read yet */
	bool		clean;			/* as far as we know */
	Identity	user;			/* of the last call */
	uint64_t	used;			/* when it was last given back */
	DbOutcome  *outcome;		/* of the running call, for notices */
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

/* what a wait for PostgreSQL ends on, besides input */
typedef struct Wait
{
	const atomic_bool *cancelled;
	int			wake_fd;
	int			watch_fd;
	uint64_t	deadline;
	uint64_t	give_up;		/* after a cancel was sent, else 0 */
	size_t		received;
	size_t		limit;
	int			backlog;
	int			reads;
	bool		too_large;
} Wait;

/* How far the reading of a call's answer has come. */
typedef enum Reading
{
	READING_MORE,				/* input is needed */
	READING_DONE,				/* up to the sync */
	READING_BROKEN				/* the connection has to be given up */
} Reading;

struct DbTicket
{
	DbPool	   *pool;
	DbConn	   *conn;			/* NULL once it is all read */
	Wait		wait;
	int			step_count;
	bool		prepared;		/* a step leaves a statement behind */
	int			index;			/* of the command whose result comes next */
	DbOutcome	outcome;
};

/* ------------------------------------------------------------------------
 * Pool
 * ------------------------------------------------------------------------
 */

static bool
add_target(DbPool *pool, const char *name, size_t name_len, const char *dsn)
{
	DbTarget   *target = &pool->targets[pool->target_count];

	target->dsn = strdup(dsn);
	if (name != NULL)
		target->name = strndup(name, name_len);
	pool->target_count++;
	return target->dsn != NULL && (name == NULL || target->name != NULL);
}

static bool
check_dsn(const char *dsn, Buf *error)
{
	char	   *message = NULL;
	PQconninfoOption *options = PQconninfoParse(dsn, &message);

	/* libpq quotes the string, which may hold a password */
	if (options == NULL && *dsn != '\0' &&
		(strchr(dsn, '=') != NULL || strstr(dsn, "://") != NULL))
	{
		buf_puts(error, "a dsn can not be parsed as conninfo or URI");
		PQfreemem(message);
		return false;
	}
	PQconninfoFree(options);
	PQfreemem(message);
	return true;
}

static bool
add_targets(DbPool *pool, const Config *cf, Buf *error)
{
	pool->targets = calloc(cf->databases.count + 2, sizeof(DbTarget));
	if (pool->targets == NULL || !check_dsn(cf->dsn, error) ||
		!add_target(pool, NULL, 0, cf->dsn))
		return false;
	for (size_t i = 0; i < cf->databases.count; i++)
	{
		const char *item = cf->databases.items[i];
		const char *equals = strchr(item, '=');

		if (equals == NULL || equals == item)
		{
			buf_puts(error, "database must be given as name=conninfo");
			return false;
		}
		if (!check_dsn(equals + 1, error) ||
			!add_target(pool, item, (size_t) (equals - item), equals + 1))
			return false;
	}
	if (cf->read_dsn == NULL)
		return true;
	pool->replica = &pool->targets[pool->target_count];
	return check_dsn(cf->read_dsn, error) &&
		add_target(pool, NULL, 0, cf->read_dsn);
}

DbPool *
db_pool_create(const Config *cf, Buf *error)
{
	DbPool	   *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pool->connect_timeout = cf->connect_timeout;
	pool->call_timeout = cf->call_timeout;
	pool->cancel_timeout = cf->cancel_timeout;
	pool->max_receive = (size_t) cf->max_result * RECEIVE_FACTOR;
	if (!add_targets(pool, cf, error))
	{
		db_pool_free(pool);
		return NULL;
	}
	return pool;
}

static void
close_conn(DbConn *conn)
{
	if (conn == NULL)
		return;
	PQfreeCancel(conn->cancel);
	PQfinish(conn->pg);
	free(conn);
	metrics_gauge_add(METRICS_POOL_OPEN, -1);
}

static void
free_target(DbTarget *target)
{
	while (target->idle != NULL)
	{
		DbConn	   *conn = target->idle;

		target->idle = conn->next;
		close_conn(conn);
	}
	for (size_t i = 0; i < target->type_count; i++)
		free(target->types[i].name);
	if (target->dsn != NULL)
		explicit_bzero(target->dsn, strlen(target->dsn));
	free(target->dsn);
	free(target->name);
}

void
db_pool_free(DbPool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; i < pool->target_count; i++)
		free_target(&pool->targets[i]);
	free(pool->targets);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static DbTarget *
find_target(const DbPool *pool, const char *name)
{
	if (name == NULL)
		return &pool->targets[0];
	for (size_t i = 1; i < pool->target_count; i++)
		if (pool->targets[i].name != NULL &&
			strcmp(pool->targets[i].name, name) == 0)
			return &pool->targets[i];
	return NULL;
}

bool
db_has_database(const DbPool *pool, const char *name)
{
	return find_target(pool, name) != NULL;
}

bool
db_has_replica(const DbPool *pool)
{
	return pool->replica != NULL;
}

/* ------------------------------------------------------------------------
 * Notices
 * ------------------------------------------------------------------------
 */

/* "change=42 statement=1 risk=high" */
static void
parse_change_detail(DbOutcome *outcome, const char *detail)
{
	const char *change = strstr(detail, "change=");
	const char *risk = strstr(detail, "risk=");
	size_t		n;

	if (change != NULL)
		outcome->change_id = strtoll(change + 7, NULL, 10);
	if (risk == NULL)
		return;
	n = strspn(risk + 5, "abcdefghijklmnopqrstuvwxyz");
	if (n >= sizeof(outcome->risk))
		n = sizeof(outcome->risk) - 1;
	memcpy(outcome->risk, risk + 5, n);
	outcome->risk[n] = '\0';
}

static void
receive_notice(void *arg, const PGresult *notice)
{
	DbConn	   *conn = arg;
	const char *sqlstate = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(notice, PG_DIAG_MESSAGE_DETAIL);

	if (conn->outcome == NULL || sqlstate == NULL)
		return;
	if (strcmp(sqlstate, "01WD1") == 0 && detail != NULL)
		parse_change_detail(conn->outcome, detail);
	else if (strcmp(sqlstate, "01WD2") == 0)
		conn->outcome->truncated = true;
}

/* ------------------------------------------------------------------------
 * Connecting
 * ------------------------------------------------------------------------
 */

static DbConn *
open_conn(DbPool *pool, DbTarget *target)
{
	DbConn	   *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	metrics_gauge_add(METRICS_POOL_OPEN, 1);
	metrics_count(METRICS_DB_CONNECTS);
	conn->target = target;
	conn->pg = db_connect(target->dsn, pool->connect_timeout);
	if (PQstatus(conn->pg) == CONNECTION_OK)
		conn->cancel = PQgetCancel(conn->pg);
	if (conn->cancel == NULL || !PQenterPipelineMode(conn->pg))
	{
		log_event(LOG_LEVEL_ERROR, "connect_failed", "database", target->name,
				  "message", PQerrorMessage(conn->pg), NULL);
		metrics_count(METRICS_DB_FAILURES);
		close_conn(conn);
		return NULL;
	}
	PQsetNoticeReceiver(conn->pg, receive_notice, conn);
	return conn;
}

static DbConn *
take_idle(DbPool *pool, DbTarget *target)
{
	DbConn	   *conn;

	pthread_mutex_lock(&pool->lock);
	conn = target->idle;
	if (conn != NULL)
		target->idle = conn->next;
	pthread_mutex_unlock(&pool->lock);
	return conn;
}

static void
put_idle(DbPool *pool, DbConn *conn)
{
	pthread_mutex_lock(&pool->lock);
	conn->next = conn->target->idle;
	conn->target->idle = conn;
	pthread_mutex_unlock(&pool->lock);
}

static void
give_back(DbPool *pool, DbConn *conn)
{
	conn->used = metrics_clock();
	put_idle(pool, conn);
}

/* ------------------------------------------------------------------------
 * Waiting
 * ------------------------------------------------------------------------
 */

static void
send_cancel(DbPool *pool, DbConn *conn, Wait *wait)
{
	char		message[256];

	if (wait->give_up != 0)
		return;
	wait->give_up = metrics_clock() + (uint64_t) pool->cancel_timeout * SECOND;
	if (!PQcancel(conn->cancel, message, sizeof(message)))
		wait->give_up = 1;		/* gone: do not wait for it */
}

static int
milliseconds_left(const Wait *wait)
{
	uint64_t	end = wait->give_up != 0 ? wait->give_up : wait->deadline;
	uint64_t	now = metrics_clock();

	return end <= now ? 0 : (int) ((end - now) / 1000000 + 1);
}

/*
 * Counts what arrived since the last look.  Bytes that arrive while libpq
 * reads are missed, so this is a floor: a guard against results that would
 * fill the memory, not an exact limit.
 */
static void
count_arrivals(DbConn *conn, Wait *wait, bool before)
{
	int			queued = 0;

	if (wait->limit == 0 || wait->reads <= FREE_READS ||
		ioctl(PQsocket(conn->pg), FIONREAD, &queued) != 0)
		return;
	if (before && queued > wait->backlog)
		wait->received += (size_t) (queued - wait->backlog);
	wait->backlog = queued;
	if (before && wait->received > wait->limit)
		wait->too_large = true;
}

static bool
was_cancelled(const Wait *wait)
{
	return wait->cancelled != NULL && atomic_load(wait->cancelled);
}

/*
 * Waits for input, a cancellation, a hang-up or the end of the time.  False
 * when the connection has to be given up.
 */
static bool
await_input(DbPool *pool, DbConn *conn, Wait *wait)
{
	bool		cancelling = wait->give_up != 0;
	struct pollfd fds[3] = {
		{PQsocket(conn->pg), POLLIN, 0},
		{cancelling ? -1 : wait->wake_fd, POLLIN, 0},
		{cancelling ? -1 : wait->watch_fd, POLLRDHUP, 0}
	};
	int			n = poll(fds, 3, milliseconds_left(wait));

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
	{
		if (cancelling)
			return false;
		send_cancel(pool, conn, wait);
		return true;
	}
	if (fds[2].revents != 0 || was_cancelled(wait))
		send_cancel(pool, conn, wait);
	else if (fds[1].revents != 0)
	{
		uint64_t	stale;
		ssize_t		ignored = read(wait->wake_fd, &stale, sizeof(stale));

		(void) ignored;			/* meant for an earlier call */
	}
	if (fds[0].revents == 0)
		return true;
	wait->reads++;
	count_arrivals(conn, wait, true);
	if (wait->too_large || !PQconsumeInput(conn->pg))
		return false;
	count_arrivals(conn, wait, false);
	return true;
}

/* The next result; *lost when there will be none any more. */
static PGresult *
next_result(DbPool *pool, DbConn *conn, Wait *wait, bool *lost)
{
	while (PQisBusy(conn->pg))
	{
		if (!await_input(pool, conn, wait))
		{
			*lost = true;
			return NULL;
		}
	}
	if (PQstatus(conn->pg) != CONNECTION_OK)
		*lost = true;
	return PQgetResult(conn->pg);
}

/* ------------------------------------------------------------------------
 * Rollback and lease
 * ------------------------------------------------------------------------
 */

static bool
send_text(DbConn *conn, const char *sql)
{
	return PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* Right after a failed call, so that nothing stays locked. */
static bool
send_rollback(DbConn *conn)
{
	conn->rolling_back = true;
	return send_text(conn, SQL_ROLLBACK) && PQpipelineSync(conn->pg) == 1;
}

/* Reads the answer to a rollback; true if the connection is clean. */
static bool
finish_rollback(DbPool *pool, DbConn *conn)
{
	Wait		wait = {.wake_fd = -1,.watch_fd = -1};
	bool		lost = false;

	wait.deadline = metrics_clock() + (uint64_t) pool->cancel_timeout * SECOND;
	while (conn->rolling_back && !lost)
	{
		PGresult   *res = next_result(pool, conn, &wait, &lost);

		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
			conn->rolling_back = false;
		PQclear(res);
	}
	return !lost && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}

/*
 * A server that went away has left a message or a hang-up behind.  Under load
 * nobody looks: the connection was fine some milliseconds ago.
 */
static bool
is_quiet(DbConn *conn)
{
	struct pollfd fd = {PQsocket(conn->pg), POLLIN, 0};

	return metrics_clock() - conn->used < TRUSTED_NS || poll(&fd, 1, 0) == 0;
}

static DbConn *
lease(DbPool *pool, DbTarget *target)
{
	DbConn	   *conn;

	while ((conn = take_idle(pool, target)) != NULL)
	{
		if (finish_rollback(pool, conn) && is_quiet(conn))
			return conn;
		close_conn(conn);
	}
	if (target == pool->replica && metrics_clock() < target->down_until)
		return NULL;
	conn = open_conn(pool, target);
	if (conn == NULL)
		target->down_until = metrics_clock() + REPLICA_PAUSE * SECOND;
	return conn;
}

bool
db_reachable(DbPool *pool)
{
	DbConn	   *conn = lease(pool, &pool->targets[0]);

	if (conn == NULL)
		return false;
	give_back(pool, conn);
	return true;
}

/* ------------------------------------------------------------------------
 * One call
 * ------------------------------------------------------------------------
 */

static void
fail(DbOutcome *outcome, DbStatus status, const char *sqlstate,
	 const char *message, const char *hint)
{
	outcome->status = status;
	outcome->error = (DbError) {sqlstate, message, NULL, hint, 0};
}

static void
fail_with_result(DbOutcome *outcome, DbStatus status, PGresult *res)
{
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	outcome->status = status;
	outcome->failure = res;
	outcome->error.sqlstate = sqlstate != NULL ? sqlstate : "08006";
	outcome->error.message = message != NULL ? message :
		"the connection to PostgreSQL was lost";
	outcome->error.detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	outcome->error.hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	outcome->error.position = position != NULL ? atol(position) : 0;
}

static bool
send_step(DbConn *conn, const DbStep *step)
{
	if (step->prepare)
		return PQsendPrepare(conn->pg, SQL_PREPARED, step->sql, 0, NULL) == 1;
	return PQsendQueryParams(conn->pg, step->sql, step->param_count, NULL,
							 step->params, NULL, NULL, 0) == 1;
}

/*
 * One of our own statements.  Its parameters' types are said, which spares the
 * server the casts.
 */
static bool
send_typed(DbConn *conn, const char *sql, int count, const Oid *types,
		   const char *const *params)
{
	return PQsendQueryParams(conn->pg, sql, count, types, params, NULL, NULL,
							 0) == 1;
}

static bool
send_call(DbConn *conn, const DbRequest *request, const char *key, bool reset)
{
	static const Oid types[4] = {TYPE_TEXT, TYPE_TEXT, TYPE_JSONB, TYPE_TEXT};
	const char *enter[4] = {request->credential, request->on_behalf_of,
	request->request, key};
	const char *leave[1] = {key};
	bool		ok = (!reset || send_text(conn, SQL_RESET)) &&
		send_text(conn, SQL_BEGIN) &&
		send_typed(conn, SQL_ENTER, 4, types, enter);

	for (int i = 0; ok && i < request->step_count; i++)
		ok = send_step(conn, &request->steps[i]);
	return ok && send_typed(conn, SQL_LEAVE, 1, types, leave) &&
		send_text(conn, SQL_COMMIT) &&
		PQpipelineSync(conn->pg) == 1;
}

/* A list of booleans, one per column, as bits. */
static void
read_flags(const json_t *list, unsigned char *bits)
{
	for (size_t i = 0; i < json_array_size(list) && i < DB_MAX_COLUMNS; i++)
		if (json_is_true(json_array_get(list, i)))
			bits[i / 8] |= (unsigned char) (1u << (i % 8));
}

static void
read_leave(DbOutcome *outcome, const PGresult *res)
{
	JsonFault	fault;
	json_t	   *root;

	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0))
		return;
	root = json_util_load(PQgetvalue(res, 0, 0),
						  (size_t) PQgetlength(res, 0, 0), &fault);
	read_flags(json_object_get(root, "masked"), outcome->masked);
	read_flags(json_object_get(root, "untrusted"), outcome->untrusted);
	if (json_is_true(json_object_get(root, "truncated")))
		outcome->truncated = true;
	if (json_is_integer(json_object_get(root, "change_id")))
		outcome->change_id = json_integer_value(json_object_get(root, "change_id"));
	if (json_util_string(root, "risk") != NULL)
		snprintf(outcome->risk, sizeof(outcome->risk), "%s",
				 json_util_string(root, "risk"));
	json_decref(root);
}

/*
 * Takes the result of the command whose turn it is: the reset, BEGIN, enter,
 * the steps, leave and COMMIT.  False when the protocol itself can not go on.
 */
static bool
take_result(DbTicket *ticket, PGresult *res)
{
	DbOutcome  *outcome = &ticket->outcome;
	ExecStatusType status = PQresultStatus(res);
	int			leave = AT_STEPS + ticket->step_count;

	if (status == PGRES_FATAL_ERROR && outcome->status == DB_DONE)
	{
		const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		bool		refused = ticket->index == AT_ENTER && sqlstate != NULL &&
			strcmp(sqlstate, "WD001") == 0;

		fail_with_result(outcome, refused ? DB_REFUSED : DB_FAILED, res);
		return true;
	}
	if (status == PGRES_EMPTY_QUERY && outcome->status == DB_DONE)
		fail(outcome, DB_FAILED, "42601", "the statement is empty",
			 "Send one SQL statement.");
	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
		status == PGRES_COPY_BOTH)
	{
		PQclear(res);
		return false;
	}
	if (ticket->index == AT_ENTER && status == PGRES_TUPLES_OK)
		outcome->entered = true;
	if (ticket->index == leave && status == PGRES_TUPLES_OK)
		read_leave(outcome, res);
	if (ticket->index == leave - 1 && outcome->status == DB_DONE)
		outcome->result = res;
	else
		PQclear(res);
	return true;
}

static void
fail_lost(DbTicket *ticket)
{
	DbOutcome  *outcome = &ticket->outcome;

	if (ticket->wait.too_large)
		fail(outcome, DB_FAILED, "54000", "the result is too large",
			 "Select fewer or shorter columns, or fewer rows.");
	else if (ticket->wait.give_up != 0)
		fail(outcome, DB_FAILED, "57014", "the statement was cancelled", NULL);
	else if (outcome->status == DB_DONE)
		fail(outcome, DB_UNREACHABLE, "08006",
			 "the connection to PostgreSQL was lost during the call",
			 "Whether a write was recorded is unknown: look at list_changes, then try again.");
}

/* Takes what has arrived, at most up to the sync of the call's own group. */
static Reading
read_arrived(DbTicket *ticket)
{
	PGconn	   *pg = ticket->conn->pg;
	int			last = AT_STEPS + ticket->step_count + 2;

	while (!PQisBusy(pg))
	{
		bool		lost = PQstatus(pg) != CONNECTION_OK;
		PGresult   *res = PQgetResult(pg);

		if (res == NULL && (lost || ticket->index > last))
		{
			fail_lost(ticket);
			return READING_BROKEN;
		}
		if (res == NULL)
			ticket->index++;
		else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
		{
			PQclear(res);
			return lost ? READING_BROKEN : READING_DONE;
		}
		else if (!take_result(ticket, res))
		{
			fail(&ticket->outcome, DB_FAILED, "0A000",
				 "COPY can not be answered through this tool",
				 "Use SELECT; the argument format can be csv.");
			return READING_BROKEN;
		}
	}
	return READING_MORE;
}

/*
 * The end of a call's use of its connection.  Whatever went wrong between enter
 * and COMMIT, nothing of it was committed; the result is given out only if
 * everything was.
 */
static void
part(DbTicket *ticket, bool usable)
{
	DbConn	   *conn = ticket->conn;
	DbOutcome  *outcome = &ticket->outcome;

	ticket->conn = NULL;
	conn->outcome = NULL;
	conn->clean = !ticket->prepared && outcome->status == DB_DONE;

	/* an error of libpq's own, for want of memory: it may have lost count */
	if (outcome->failure != NULL &&
		PQresultErrorField(outcome->failure, PG_DIAG_SQLSTATE) == NULL)
		usable = false;
	if (usable && outcome->status != DB_DONE)
		usable = send_rollback(conn);
	if (usable)
		give_back(ticket->pool, conn);
	else
		close_conn(conn);
	if (outcome->status == DB_DONE && outcome->result == NULL)
		fail(outcome, DB_FAILED, "XX000", "the statement gave no result", NULL);
}

static size_t
length_of(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

static AuthDigest
digest_text(const char *text)
{
	return auth_digest(text, length_of(text));
}

/* Notes who has the connection now; true if that was not so before. */
static bool
change_user(DbConn *conn, const DbRequest *request)
{
	Identity	user = {digest_text(request->credential),
	digest_text(request->on_behalf_of)};
	bool		same = auth_equal(&user.credential, &conn->user.credential) &&
		auth_equal(&user.person, &conn->user.person);

	conn->user = user;
	return !same;
}

/* Sends the call.  Where that fails the outcome says so, without a conn. */
static void
begin(DbTicket *ticket, DbPool *pool, DbConn *conn, const DbRequest *request)
{
	char		key[2 * LEAVE_KEY_BYTES + 1];
	bool		reset = change_user(conn, request) || !conn->clean;

	memset(ticket, 0, sizeof(*ticket));
	ticket->pool = pool;
	ticket->conn = conn;
	ticket->step_count = request->step_count;
	for (int i = 0; i < request->step_count; i++)
		ticket->prepared = ticket->prepared || request->steps[i].prepare;
	ticket->index = reset ? 0 : AT_BEGIN;
	ticket->wait = (Wait) {
		.cancelled = request->cancelled,.wake_fd = request->wake_fd,
		.watch_fd = request->watch_fd,.limit = pool->max_receive,
		.deadline = metrics_clock() + (uint64_t) pool->call_timeout * SECOND
	};
	conn->outcome = &ticket->outcome;
	if (!auth_random_hex(key, LEAVE_KEY_BYTES))
	{
		fail(&ticket->outcome, DB_FAILED, "58000", "no randomness is available",
			 NULL);
		part(ticket, false);
	}
	else if (!send_call(conn, request, key, reset))
	{
		/* parts of it may have been sent, up to the COMMIT */
		fail_lost(ticket);
		part(ticket, false);
	}
	explicit_bzero(key, sizeof(key));
}

static void
wait_for_rest(DbTicket *ticket)
{
	Reading		reading = READING_MORE;

	while (ticket->conn != NULL)
	{
		reading = read_arrived(ticket);
		if (reading != READING_MORE)
			part(ticket, reading == READING_DONE);
		else if (!await_input(ticket->pool, ticket->conn, &ticket->wait))
		{
			fail_lost(ticket);
			part(ticket, false);
		}
	}
}

void
db_call(DbPool *pool, const DbRequest *request, DbOutcome *outcome)
{
	DbTarget   *target = request->replica ? pool->replica :
		find_target(pool, request->database);
	DbTicket	ticket;
	DbConn	   *conn;

	memset(outcome, 0, sizeof(*outcome));
	if (target == NULL)
	{
		fail(outcome, DB_FAILED, "3D000", "no database of that name is configured",
			 "Leave the argument \"database\" out for the main one.");
		return;
	}
	conn = lease(pool, target);
	if (conn == NULL)
	{
		fail(outcome, DB_UNREACHABLE, "08001", "PostgreSQL can not be reached",
			 "Try again later; the operator of this server finds the cause in its log.");
		return;
	}
	begin(&ticket, pool, conn, request);
	wait_for_rest(&ticket);
	*outcome = ticket.outcome;
}

/* ------------------------------------------------------------------------
 * Calls that are not waited for
 * ------------------------------------------------------------------------
 */

/* Whether sending the request can not fill the socket's buffer. */
static bool
is_short(const DbRequest *request)
{
	size_t		size = length_of(request->request) +
		length_of(request->credential) + length_of(request->on_behalf_of);

	for (int i = 0; i < request->step_count; i++)
	{
		const DbStep *step = &request->steps[i];

		size += strlen(step->sql);
		for (int k = 0; k < step->param_count; k++)
			size += length_of(step->params[k]);
	}
	return size <= MAX_SHORT;
}

DbTicket *
db_start(DbPool *pool, const DbRequest *request)
{
	DbTarget   *target = find_target(pool, request->database);
	DbConn	   *conn = NULL;
	DbTicket   *ticket;

	if (target == NULL || request->replica || !is_short(request))
		return NULL;
	ticket = malloc(sizeof(*ticket));
	if (ticket != NULL)
		conn = take_idle(pool, target);
	if (conn == NULL)
	{
		free(ticket);
		return NULL;
	}
	if (conn->rolling_back || !is_quiet(conn))
	{
		put_idle(pool, conn);
		free(ticket);
		return NULL;
	}
	begin(ticket, pool, conn, request);
	return ticket;
}

int
db_ticket_fd(const DbTicket *ticket)
{
	return ticket->conn != NULL ? PQsocket(ticket->conn->pg) : -1;
}

DbProgress
db_advance(DbTicket *ticket)
{
	Reading		reading;

	if (ticket->conn == NULL)
		return DB_READY;
	ticket->wait.reads++;
	if (!PQconsumeInput(ticket->conn->pg))
	{
		fail_lost(ticket);
		reading = READING_BROKEN;
	}
	else
		reading = read_arrived(ticket);
	if (reading == READING_MORE)
		return ticket->wait.reads < FREE_READS ? DB_WAITING : DB_SLOW;
	part(ticket, reading == READING_DONE);
	return DB_READY;
}

void
db_finish(DbTicket *ticket, int wake_fd, DbOutcome *outcome)
{
	ticket->wait.wake_fd = wake_fd;
	if (ticket->conn != NULL && was_cancelled(&ticket->wait))
		send_cancel(ticket->pool, ticket->conn, &ticket->wait);
	wait_for_rest(ticket);
	*outcome = ticket->outcome;
	outcome->borrowed = true;
}

void
db_ticket_free(DbTicket *ticket)
{
	if (ticket == NULL)
		return;
	if (ticket->conn != NULL)
	{
		ticket->conn->outcome = NULL;
		close_conn(ticket->conn);
	}
	db_outcome_free(&ticket->outcome);
	free(ticket);
}

void
db_outcome_free(DbOutcome *outcome)
{
	if (!outcome->borrowed)
	{
		PQclear(outcome->failure);
		PQclear(outcome->result);
	}
	memset(outcome, 0, sizeof(*outcome));
}

/* ------------------------------------------------------------------------
 * Names of types
 * ------------------------------------------------------------------------
 */

const char *
db_type_name(DbPool *pool, const char *database, unsigned type)
{
	DbTarget   *target = find_target(pool, database);
	const char *name = pg_type_name(type);

	if (name != NULL)
		return name;
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; name == NULL && i < target->type_count; i++)
		if (target->types[i].oid == type)
			name = target->types[i].name;
	pthread_mutex_unlock(&pool->lock);
	return name;
}

/* Learned names are never dropped, so that callers may keep the pointer. */
void
db_learn_type(DbPool *pool, const char *database, unsigned type,
			  const char *name)
{
	DbTarget   *target = find_target(pool, database);

	if (db_type_name(pool, database, type) != NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	if (target->type_count < MAX_LEARNED_TYPES)
	{
		LearnedType *slot = &target->types[target->type_count];

		slot->oid = type;
		slot->name = strdup(name);
		if (slot->name != NULL)
			target->type_count++;
	}
	pthread_mutex_unlock(&pool->lock);
}
