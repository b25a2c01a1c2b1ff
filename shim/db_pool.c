/*
 * db_pool.c
 *		Connections to PostgreSQL: where to, those that are idle, their lease,
 *		and what was learned of each database.  The lock is never held across a
 *		libpq call.
 */
#include "db_internal.h"

#include "db_sql.h"
#include "log.h"
#include "metrics.h"
#include "pg_types.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Seconds for which a server that is not there need not be tried again. */
#define DOWN_PAUSE 5

/* How long a connection that was just used counts as alive. */
#define TRUSTED_NS (20 * 1000 * 1000)

/* A type may be renamed: how long its name is believed. */
#define TYPE_NS (10 * SECOND)

/* A result may take up this many times max_result in libpq's memory. */
#define RECEIVE_FACTOR 4

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
		if (strncmp(item, "main=", 5) == 0)
		{
			buf_puts(error, "\"main\" is the database of dsn; give another name");
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

void
db_close_conn(DbConn *conn)
{
	if (conn == NULL)
		return;
	db_names_clear(&conn->names);
	json_decref(conn->leave);
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
		db_close_conn(conn);
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

DbTarget *
db_find_target(const DbPool *pool, const char *name)
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
	return db_find_target(pool, name) != NULL;
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

/*
 * What a statement says on its way anybody may have written, with any code: a
 * function that is called, or a block.  What became of it is said by leave.
 */
static void
ignore_notice(void *arg, const PGresult *notice)
{
	(void) arg;
	(void) notice;
}

/* ------------------------------------------------------------------------
 * Connecting
 * ------------------------------------------------------------------------
 */

DbConn *
db_open_conn(DbPool *pool, DbTarget *target)
{
	static atomic_ullong opened;
	DbConn	   *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->line = atomic_fetch_add(&opened, 1) + 1;
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
		db_close_conn(conn);
		return NULL;
	}
	PQsetNoticeReceiver(conn->pg, ignore_notice, NULL);
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

/* ------------------------------------------------------------------------
 * Lease
 * ------------------------------------------------------------------------
 */

bool
db_send_text(DbConn *conn, const char *sql)
{
	return PQsendQueryParams(conn->pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

bool
db_send_rollback(DbConn *conn)
{
	conn->rolling_back = true;
	return db_send_text(conn, SQL_ROLLBACK) && PQpipelineSync(conn->pg) == 1;
}

/* Reads the answer to a rollback; true if the connection is clean. */
static bool
finish_rollback(DbPool *pool, DbConn *conn)
{
	DbWait		wait = {.wake_fd = -1,.watch_fd = -1};
	bool		lost = false;

	wait.deadline = metrics_clock() + (uint64_t) pool->cancel_timeout * SECOND;
	while (conn->rolling_back && !lost)
	{
		PGresult   *res;

		if (PQisBusy(conn->pg))
		{
			lost = !db_wait_input(pool, conn, &wait);
			continue;
		}
		lost = PQstatus(conn->pg) != CONNECTION_OK;
		res = PQgetResult(conn->pg);
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

/* What was not there: a replica is left alone for a while, all by the brief. */
DbConn *
db_lease(DbPool *pool, DbTarget *target, bool brief)
{
	DbConn	   *conn;

	while ((conn = take_idle(pool, target)) != NULL)
	{
		if (finish_rollback(pool, conn) && is_quiet(conn))
			return conn;
		db_close_conn(conn);
	}
	if ((brief || target == pool->replica) &&
		metrics_clock() < target->down_until)
		return NULL;
	conn = db_open_conn(pool, target);
	target->down_until = conn != NULL ? 0 :
		metrics_clock() + DOWN_PAUSE * SECOND;
	return conn;
}

DbConn *
db_lease_idle(DbPool *pool, DbTarget *target)
{
	DbConn	   *conn = take_idle(pool, target);

	if (conn == NULL || (!conn->rolling_back && is_quiet(conn)))
		return conn;
	put_idle(pool, conn);
	return NULL;
}

void
db_give_back(DbPool *pool, DbConn *conn)
{
	conn->used = metrics_clock();
	put_idle(pool, conn);
}

bool
db_reachable(DbPool *pool)
{
	DbConn	   *conn = db_lease(pool, &pool->targets[0], false);

	if (conn == NULL)
		return false;
	db_give_back(pool, conn);
	return true;
}

/* ------------------------------------------------------------------------
 * Names of types
 * ------------------------------------------------------------------------
 */

/* Under the lock; NULL if it was not learned. */
static LearnedType *
learned_type(DbTarget *target, unsigned type)
{
	for (size_t i = 0; i < target->type_count; i++)
		if (target->types[i].oid == type)
			return &target->types[i];
	return NULL;
}

const char *
db_type_name(DbPool *pool, const char *database, unsigned type)
{
	const LearnedType *learned;
	const char *name = pg_type_name(type);

	if (name != NULL)
		return name;
	pthread_mutex_lock(&pool->lock);
	learned = learned_type(db_find_target(pool, database), type);
	if (learned != NULL)
		name = learned->name;
	pthread_mutex_unlock(&pool->lock);
	return name;
}

bool
db_knows_type(DbPool *pool, const char *database, unsigned type)
{
	const LearnedType *learned;
	bool		known = pg_type_name(type) != NULL;

	if (known)
		return true;
	pthread_mutex_lock(&pool->lock);
	learned = learned_type(db_find_target(pool, database), type);
	known = learned != NULL && metrics_clock() - learned->asked < TYPE_NS;
	pthread_mutex_unlock(&pool->lock);
	return known;
}

/* Under the lock; a place whose name no type has now, NULL if there is none. */
static LearnedType *
unused_name(DbTarget *target, const char *name)
{
	for (size_t i = 0; i < target->type_count; i++)
		if (target->types[i].oid == 0 &&
			strcmp(target->types[i].name, name) == 0)
			return &target->types[i];
	return NULL;
}

/*
 * Learned names are never dropped, so that callers may keep the pointer.  One
 * comes back where agents see a type by different search paths.
 */
void
db_learn_type(DbPool *pool, const char *database, unsigned type,
			  const char *name)
{
	DbTarget   *target = db_find_target(pool, database);
	LearnedType *slot;

	pthread_mutex_lock(&pool->lock);
	slot = learned_type(target, type);
	if (slot != NULL && strcmp(slot->name, name) != 0)
	{
		slot->oid = 0;
		slot = unused_name(target, name);
		if (slot != NULL)
			slot->oid = type;
	}
	if (slot == NULL && target->type_count < DB_MAX_TYPES)
	{
		slot = &target->types[target->type_count];
		*slot = (LearnedType) {type, strdup(name), 0};
		if (slot->name != NULL)
			target->type_count++;
	}
	if (slot != NULL)
		slot->asked = metrics_clock();
	pthread_mutex_unlock(&pool->lock);
}
