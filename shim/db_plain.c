/*
 * db_plain.c
 *		Reading results, and the two uses of PostgreSQL that badge in as nobody:
 *		listening, and renewing keys.
 */
#include "db.h"
#include "db_connect.h"
#include "db_sql.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------
 * Listening
 * ------------------------------------------------------------------------
 */

static void
deliver_notifications(PGconn *pg, void (*fn) (const char *payload, void *arg),
					  void *arg)
{
	PGnotify   *note;

	while ((note = PQnotifies(pg)) != NULL)
	{
		fn(note->extra, arg);
		PQfreemem(note);
	}
}

void
db_listen(const char *dsn, long connect_timeout, int stop_fd,
		  void (*fn) (const char *payload, void *arg), void *arg)
{
	PGconn	   *pg = db_connect(dsn, connect_timeout);
	PGresult   *res = PQexec(pg, SQL_LISTEN);
	struct pollfd fds[2] = {{PQsocket(pg), POLLIN, 0}, {stop_fd, POLLIN, 0}};
	bool		alive = PQresultStatus(res) == PGRES_COMMAND_OK;

	PQclear(res);
	if (!alive)
		log_event(LOG_LEVEL_WARN, "listen_failed", "message",
				  PQerrorMessage(pg), NULL);
	if (alive)
		fn(NULL, arg);
	while (alive)
	{
		deliver_notifications(pg, fn, arg);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		alive = fds[1].revents == 0 && PQconsumeInput(pg) == 1;
	}
	PQfinish(pg);
}

/* ------------------------------------------------------------------------
 * Renewing keys
 * ------------------------------------------------------------------------
 */

struct DbPlain
{
	PGconn	   *pg;
};

static void
log_failure(const DbPlain *plain)
{
	log_event(LOG_LEVEL_ERROR, "database", "message",
			  PQerrorMessage(plain->pg), NULL);
}

DbPlain *
db_plain_open(const char *dsn, long connect_timeout)
{
	DbPlain    *plain = calloc(1, sizeof(*plain));

	if (plain == NULL)
		return NULL;
	plain->pg = db_connect(dsn, connect_timeout);
	if (PQstatus(plain->pg) == CONNECTION_OK)
		return plain;
	log_failure(plain);
	db_plain_close(plain);
	return NULL;
}

void
db_plain_close(DbPlain *plain)
{
	if (plain == NULL)
		return;
	PQfinish(plain->pg);
	free(plain);
}

bool
db_plain_each_issuer(DbPlain *plain,
					 void (*fn) (const char *issuer, const char *url,
								 void *arg),
					 void *arg)
{
	PGresult   *res = PQexec(plain->pg, SQL_ISSUERS);
	bool		ok = PQresultStatus(res) == PGRES_TUPLES_OK;

	if (!ok)
		log_failure(plain);
	for (int row = 0; ok && row < PQntuples(res); row++)
		fn(PQgetvalue(res, row, 0), PQgetvalue(res, row, 1), arg);
	PQclear(res);
	return ok;
}

bool
db_plain_set_keys(DbPlain *plain, const char *issuer, const char *jwks)
{
	const char *params[2] = {issuer, jwks};
	PGresult   *res = PQexecParams(plain->pg, SQL_SET_KEYS, 2, NULL, params,
								   NULL, NULL, 0);
	bool		ok = PQresultStatus(res) == PGRES_TUPLES_OK;

	if (!ok)
		log_failure(plain);
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
db_column_masked(const DbOutcome *outcome, int column)
{
	return column < DB_MAX_COLUMNS &&
		(outcome->masked[column / 8] & (1u << (column % 8))) != 0;
}

bool
db_column_untrusted(const DbOutcome *outcome, int column)
{
	return column < DB_MAX_COLUMNS &&
		(outcome->untrusted[column / 8] & (1u << (column % 8))) != 0;
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
