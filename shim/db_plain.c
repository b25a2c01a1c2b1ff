/*
 * db_plain.c
 *		Connecting, reading results, and the two uses of PostgreSQL that badge
 *		in as nobody: listening, and renewing keys.
 */
#include "db_internal.h"

#include "db_sql.h"
#include "log.h"
#include "metrics.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

/*
 * Keywords before dbname are defaults, those after it are ours.  Who listens
 * sends nothing: what went down between us and the server, without a word, is
 * noticed after a minute and not after the system's two hours.
 */
PGconn *
db_connect(const char *dsn, long timeout)
{
	char		seconds[24];
	const char *const keywords[] = {
		"connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "fallback_application_name",
		"dbname", "client_encoding", NULL
	};
	const char *const values[] = {
		seconds, "30", "10", "3", "60000", "warden-mcp", dsn, "UTF8", NULL
	};

	snprintf(seconds, sizeof(seconds), "%ld", timeout);
	return PQconnectdbParams(keywords, values, 1);
}

/* ------------------------------------------------------------------------
 * Listening
 * ------------------------------------------------------------------------
 */

/* For poll: rounded up, and -1 where there is no interval. */
static int
milliseconds_until(uint64_t time, int interval_ms)
{
	uint64_t	now = metrics_clock();

	if (interval_ms < 0 || time <= now)
		return interval_ms < 0 ? -1 : 0;
	return (int) ((time - now) / (SECOND / 1000) + 1);
}

void
db_listen(const char *dsn, long connect_timeout, int stop_fd, int interval_ms,
		  void (*fn) (const char *payload, void *arg), void *arg)
{
	PGconn	   *pg = db_connect(dsn, connect_timeout);
	PGresult   *res = PQexec(pg, SQL_LISTEN);
	struct pollfd fds[2] = {{PQsocket(pg), POLLIN, 0}, {stop_fd, POLLIN, 0}};
	bool		alive = PQresultStatus(res) == PGRES_COMMAND_OK;
	uint64_t	next = metrics_clock();

	PQclear(res);
	if (!alive)
		log_event(LOG_LEVEL_WARN, "listen_failed", "message",
				  PQerrorMessage(pg), NULL);
	if (alive)
		fn(NULL, arg);
	while (alive)
	{
		PGnotify   *note;

		while ((note = PQnotifies(pg)) != NULL)
		{
			fn(note->extra, arg);
			PQfreemem(note);
		}
		if (poll(fds, 2, milliseconds_until(next, interval_ms)) < 0 &&
			errno != EINTR)
			break;
		if (interval_ms >= 0 && metrics_clock() >= next)
		{
			next = metrics_clock() + (uint64_t) interval_ms * (SECOND / 1000);
			fn("", arg);
		}
		alive = fds[1].revents == 0 && PQconsumeInput(pg) == 1;
	}
	PQfinish(pg);
}

/* ------------------------------------------------------------------------
 * Renewing keys
 * ------------------------------------------------------------------------
 */

static void
log_failure(const DbPlain *plain)
{
	log_event(LOG_LEVEL_ERROR, "database", "message", PQerrorMessage(plain),
			  NULL);
}

DbPlain *
db_plain_open(const char *dsn, long connect_timeout)
{
	DbPlain    *plain = db_connect(dsn, connect_timeout);

	if (PQstatus(plain) == CONNECTION_OK)
		return plain;
	log_failure(plain);
	db_plain_close(plain);
	return NULL;
}

void
db_plain_close(DbPlain *plain)
{
	PQfinish(plain);
}

/* NULL, with the reason logged, if there are no rows. */
static PGresult *
run_plain(DbPlain *plain, const char *sql, int param_count,
		  const char *const *params)
{
	PGresult   *res = PQexecParams(plain, sql, param_count, NULL, params, NULL,
								   NULL, 0);

	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		return res;
	log_failure(plain);
	PQclear(res);
	return NULL;
}

bool
db_plain_each_issuer(DbPlain *plain,
					 void (*fn) (const char *issuer, const char *url,
								 void *arg),
					 void *arg)
{
	PGresult   *res = run_plain(plain, SQL_ISSUERS, 0, NULL);
	bool		ok = res != NULL;

	for (int row = 0; row < PQntuples(res); row++)
		fn(PQgetvalue(res, row, 0), PQgetvalue(res, row, 1), arg);
	PQclear(res);
	return ok;
}

bool
db_plain_set_keys(DbPlain *plain, const char *issuer, const char *jwks)
{
	const char *params[2] = {issuer, jwks};
	PGresult   *res = run_plain(plain, SQL_SET_KEYS, 2, params);
	bool		ok = res != NULL;

	PQclear(res);
	return ok;
}

/* ------------------------------------------------------------------------
 * The result
 * ------------------------------------------------------------------------
 */

int
db_rows(const DbOutcome *outcome)
{
	return PQntuples(outcome->result);
}

int
db_columns(const DbOutcome *outcome)
{
	return PQnfields(outcome->result);
}

const char *
db_column_name(const DbOutcome *outcome, int column)
{
	return PQfname(outcome->result, column);
}

unsigned
db_column_type(const DbOutcome *outcome, int column)
{
	return PQftype(outcome->result, column);
}

bool
db_column_in(const unsigned char *columns, int column)
{
	return column < DB_MAX_COLUMNS &&
		(columns[column / 8] & (1u << (column % 8))) != 0;
}

const char *
db_cell(const DbOutcome *outcome, int row, int column, size_t *len)
{
	*len = (size_t) PQgetlength(outcome->result, row, column);
	if (*len == 0 && PQgetisnull(outcome->result, row, column))
		return NULL;
	return PQgetvalue(outcome->result, row, column);
}

const char *
db_command(const DbOutcome *outcome)
{
	return PQcmdStatus(outcome->result);
}

long long
db_affected(const DbOutcome *outcome)
{
	return atoll(PQcmdTuples(outcome->result));
}
