/*
 * db_call.c
 *		The one transaction that a call is.
 *
 * A call is one flush: BEGIN; enter; the statements; leave; COMMIT; sync.  What
 * comes again on a connection is prepared, if that leads to the backend itself:
 * behind a pooler our names would meet those of others.
 *
 * The extension leaves nothing behind on a connection, whatever was run.
 * Should it fail in that, one identity must not meet what another one left:
 * unless the call before was the same one's and ended well, DISCARD ALL goes
 * first, and if that fails, the server skips everything up to the sync.  After
 * an error the transaction is rolled back at once; the answer to that is read
 * when the connection is next wanted.  A connection that is not outside a
 * transaction then is closed.
 *
 * A call that was started is a DbTicket.  Whoever holds it reads what came so
 * far and goes on to other things, or waits for the rest; what a wait can end
 * on is looked at only by those who wait.
 */
#include "db_internal.h"

#include "db_sql.h"
#include "json_util.h"
#include "log.h"
#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LEAVE_KEY_BYTES 16

/* of pg_type, and never any other */
#define TYPE_TEXT 25
#define TYPE_JSONB 3802

/* Commands of a call: at most eight, and one more for each that gets a name. */
#define MAX_COMMANDS 16

/* What a call may have received for its connection to be kept. */
#define MAX_KEPT ((size_t) 4 * 1024 * 1024)

/* Longest message, detail or hint: what is longer quotes a value at length. */
#define MAX_TEXT 4096

/* How far the reading of a call's answer has come. */
typedef enum Reading
{
	READING_MORE,				/* input is needed */
	READING_DONE,				/* up to the sync */
	READING_BROKEN				/* the connection has to be given up */
} Reading;

/* What a command in the pipeline is, for who reads its result. */
typedef enum Command
{
	COMMAND_OTHER,
	COMMAND_BACKEND,			/* asks whom we talk to */
	COMMAND_ENTER,
	COMMAND_LAST_STEP,
	COMMAND_LEAVE
} Command;

typedef struct Sent
{
	Command		command;
	bool		by_name;		/* that an earlier call gave it */
} Sent;

struct DbTicket
{
	DbPool	   *pool;
	DbConn	   *conn;			/* NULL once it is all read */
	DbWait		wait;
	bool		use_names;
	bool		prepared;		/* a step leaves a statement behind */
	DbName	   *fresh[MAX_COMMANDS];	/* what was sent the first time */
	int			fresh_count;
	Sent		commands[MAX_COMMANDS];
	int			sent;			/* of them */
	int			index;			/* of the command whose result comes next */
	DbOutcome	outcome;
};

/* ------------------------------------------------------------------------
 * One call
 * ------------------------------------------------------------------------
 */

static void
fail(DbOutcome *outcome, DbStatus status, const char *sqlstate,
	 const char *message, const char *hint)
{
	outcome->status = status;
	outcome->error = (DbError) {sqlstate, message, NULL, hint, 0, NULL};
}

/* Where in a script an error is: the context that propose() gives last. */
static const char *
where_in_script(const char *context)
{
	static const char end[] = " of the proposed script";
	const char *line;
	size_t		len;

	if (context == NULL)
		return NULL;
	line = strrchr(context, '\n');
	line = line != NULL ? line + 1 : context;
	len = strlen(line);
	return len >= sizeof(end) &&
		strcmp(line + len - (sizeof(end) - 1), end) == 0 ? line : NULL;
}

/* For PostgreSQL's own errors about how a call was put, which have none. */
static const char *
missing_hint(const DbError *error)
{
	if (strcmp(error->sqlstate, "08P01") == 0)
		return "params takes one value for each $1, $2, ... of the statement.";
	if (strcmp(error->sqlstate, "42601") == 0 && error->position == 0 &&
		error->where == NULL)
		return "Send one statement; explain takes none with $1; propose_change takes scripts.";
	return NULL;
}

/* Cut in its place where it is too long; not within a character. */
static const char *
error_text(PGresult *res, int field)
{
	char	   *text = PQresultErrorField(res, field);
	size_t		n = MAX_TEXT;

	if (text == NULL || strlen(text) <= MAX_TEXT + 3)
		return text;
	while (n > MAX_TEXT - 3 && ((unsigned char) text[n] & 0xc0) == 0x80)
		n--;
	memcpy(text + n, "...", 4);
	return text;
}

static void
fail_with_result(DbOutcome *outcome, DbStatus status, PGresult *res)
{
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = error_text(res, PG_DIAG_MESSAGE_PRIMARY);

	outcome->status = status;
	outcome->failure = res;
	outcome->error.sqlstate = sqlstate != NULL ? sqlstate : "08006";
	outcome->error.message = message != NULL ? message :
		"the connection to PostgreSQL was lost";
	outcome->error.detail = error_text(res, PG_DIAG_MESSAGE_DETAIL);
	outcome->error.hint = error_text(res, PG_DIAG_MESSAGE_HINT);
	outcome->error.position = position != NULL ? atol(position) : 0;
	outcome->error.where =
		where_in_script(PQresultErrorField(res, PG_DIAG_CONTEXT));
	if (sqlstate != NULL && outcome->error.hint == NULL)
		outcome->error.hint = missing_hint(&outcome->error);
}

/* Notes what was sent, if it was. */
static bool
note_sent(DbTicket *ticket, Command command, int ok)
{
	if (ok != 1 || ticket->sent == MAX_COMMANDS)
		return false;
	ticket->commands[ticket->sent++] = (Sent) {command, false};
	return true;
}

static bool
send_plain(DbTicket *ticket, Command command, const char *sql)
{
	return note_sent(ticket, command, db_send_text(ticket->conn, sql));
}

static bool
send_by_name(DbTicket *ticket, Command command, const DbName *name,
			 const char *const *params)
{
	return note_sent(ticket, command,
					 PQsendQueryPrepared(ticket->conn->pg, name->name,
										 name->param_count, params, NULL,
										 NULL, 0));
}

/*
 * Sends a statement: by its name, with a name from now on, or as it is.  types
 * may be NULL; where they are said the server is spared the casts.
 */
static bool
send_statement(DbTicket *ticket, Command command, const char *sql, int count,
			   const Oid *types, const char *const *params)
{
	DbConn	   *conn = ticket->conn;
	DbName	   *name = ticket->use_names ?
		db_names_find(&conn->names, sql, count) : NULL;
	bool		ok;

	if (name != NULL && name->prepared)
	{
		ok = send_by_name(ticket, command, name, params);
		if (ok)
			ticket->commands[ticket->sent - 1].by_name = true;
		return ok;
	}
	if (name != NULL)
	{
		name->prepared = true;
		return note_sent(ticket, COMMAND_OTHER,
						 PQsendPrepare(conn->pg, name->name, sql,
									   types != NULL ? count : 0, types)) &&
			send_by_name(ticket, command, name, params);
	}
	if (ticket->use_names)
		name = db_names_add(&conn->names, sql, count);
	if (name != NULL)
		ticket->fresh[ticket->fresh_count++] = name;
	return note_sent(ticket, command,
					 PQsendQueryParams(conn->pg, sql, count, types, params,
									   NULL, NULL, 0));
}

static bool
send_steps(DbTicket *ticket, const DbRequest *request)
{
	bool		ok = true;

	for (int i = 0; ok && i < request->step_count; i++)
	{
		const DbStep *step = &request->steps[i];
		Command		command = i == request->step_count - 1 ?
			COMMAND_LAST_STEP : COMMAND_OTHER;

		if (step->prepare)
			ok = note_sent(ticket, command,
						   PQsendPrepare(ticket->conn->pg, SQL_PREPARED,
										 step->sql, 0, NULL));
		else
			ok = send_statement(ticket, command, step->sql, step->param_count,
								NULL, step->params);
	}
	return ok;
}

static bool
send_reset(DbTicket *ticket)
{
	db_names_clear(&ticket->conn->names);
	return send_plain(ticket, COMMAND_OTHER, SQL_RESET);
}

static bool
send_call(DbTicket *ticket, const DbRequest *request, const char *key,
		  bool reset)
{
	static const Oid types[4] = {TYPE_TEXT, TYPE_TEXT, TYPE_JSONB, TYPE_TEXT};
	const char *enter[4] = {request->credential, request->on_behalf_of,
	request->request, key};
	const char *leave[1] = {key};
	bool		asked = ticket->conn->asked;

	ticket->conn->asked = true;
	return (!reset || send_reset(ticket)) &&
		send_statement(ticket, COMMAND_OTHER, SQL_BEGIN, 0, NULL, NULL) &&
		(asked || send_plain(ticket, COMMAND_BACKEND, SQL_BACKEND)) &&
		send_statement(ticket, COMMAND_ENTER, SQL_ENTER, 4, types, enter) &&
		(request->tell == NULL ||
		 PQsendFlushRequest(ticket->conn->pg) == 1) &&
		send_steps(ticket, request) &&
		send_statement(ticket, COMMAND_LEAVE, SQL_LEAVE, 1, types, leave) &&
		send_statement(ticket, COMMAND_OTHER, SQL_COMMIT, 0, NULL, NULL) &&
		PQpipelineSync(ticket->conn->pg) == 1;
}

/* A list of booleans, one per column, as bits. */
static void
read_flags(const json_t *list, unsigned char *bits)
{
	for (size_t i = 0; i < json_array_size(list) && i < DB_MAX_COLUMNS; i++)
		if (json_is_true(json_array_get(list, i)))
			bits[i / 8] |= (unsigned char) (1u << (i % 8));
}

/*
 * What leave says, which for one statement is the same time and again.  What is
 * kept of a longer text is no JSON, and so equal to none.
 */
static const json_t *
load_leave(DbConn *conn, const char *text)
{
	JsonFault	fault;

	if (conn->leave != NULL && strcmp(conn->leave_text, text) == 0)
		return conn->leave;
	json_decref(conn->leave);
	conn->leave = json_util_load(text, strlen(text), &fault);
	snprintf(conn->leave_text, sizeof(conn->leave_text), "%s", text);
	return conn->leave;
}

static void
read_leave(DbConn *conn, DbOutcome *outcome, const PGresult *res)
{
	const json_t *root;

	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0))
		return;
	root = load_leave(conn, PQgetvalue(res, 0, 0));
	read_flags(json_object_get(root, "masked"), outcome->masked);
	read_flags(json_object_get(root, "untrusted"), outcome->untrusted);
	if (json_is_true(json_object_get(root, "truncated")))
		outcome->truncated = true;
	if (json_is_integer(json_object_get(root, "change_id")))
		outcome->change_id = json_integer_value(json_object_get(root, "change_id"));
	if (json_util_string(root, "risk") != NULL)
		snprintf(outcome->risk, sizeof(outcome->risk), "%s",
				 json_util_string(root, "risk"));
}

/* Between us and the backend itself nobody hands out numbers. */
static void
read_backend(DbConn *conn, const PGresult *res)
{
	conn->direct = PQntuples(res) == 1 &&
		atoi(PQgetvalue(res, 0, 0)) == PQbackendPID(conn->pg);
}

/*
 * Whether a call may do better without names.  A prepared statement can be
 * gone, or what it gives have changed, or a parameter still be of the type that
 * a column had; nothing of the call has been done then.
 */
static bool
is_stale(const Sent *sent, const char *sqlstate)
{
	static const char *const states[] = {"0A000", "WD001", "42883", "42804"};

	if (!sent->by_name)
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return sent->command == COMMAND_LAST_STEP;
	return strcmp(sqlstate, "26000") == 0;
}

/*
 * Whether it is the scope of a credential that does not suffice.  What a
 * statement calls may raise the same, word for word; but only C says where in C
 * an error comes from.
 */
static bool
is_about_scope(const Sent *sent, const DbError *error, const PGresult *res)
{
	const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	return strcmp(error->sqlstate, "WD001") == 0 && error->detail != NULL &&
		strncmp(error->detail, "scope=", 6) == 0 &&
		(sent->command == COMMAND_ENTER ||
		 (function != NULL &&
		  strcmp(function, "warden_identity_require_propose") == 0));
}

/* It is refused by the same code, behind the credential. */
static bool
is_about_person(const Sent *sent, const DbError *error, const PGresult *res)
{
	const char *function = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

	return sent->command == COMMAND_ENTER && function != NULL &&
		strcmp(error->sqlstate, "WD001") == 0 &&
		strcmp(function, "refuse_person") == 0;
}

/*
 * What was prepared a moment ago is not there: a pooler has given the statement
 * another name, by which SQL can not ask for it.
 */
static bool
was_renamed(const DbTicket *ticket, const Sent *sent, const char *sqlstate)
{
	return ticket->prepared && sent->command == COMMAND_LAST_STEP &&
		strcmp(sqlstate, "26000") == 0;
}

/* There is nothing to badge in by: no library, no extension, or an old one. */
static bool
is_about_warden(const Sent *sent, const char *sqlstate)
{
	if (sent->command == COMMAND_BACKEND)
		return strcmp(sqlstate, "42704") == 0;
	return sent->command == COMMAND_ENTER &&
		(strcmp(sqlstate, "3F000") == 0 || strcmp(sqlstate, "42883") == 0);
}

static void
take_failure(DbTicket *ticket, const Sent *sent, PGresult *res)
{
	DbOutcome  *outcome = &ticket->outcome;

	fail_with_result(outcome, DB_FAILED, res);
	if (was_renamed(ticket, sent, outcome->error.sqlstate))
		fail(outcome, DB_FAILED, "0A000",
			 "the pooler in front of PostgreSQL renames prepared statements, so that none can be explained",
			 "The operator of this server can set max_prepared_statements = 0 in PgBouncer, or connect past it.");
	if (is_about_warden(sent, outcome->error.sqlstate))
		fail(outcome, DB_FAILED, "0A000",
			 "this database has no pg_warden, or one that is too old",
			 "The operator of this server can preload and create it there, or name another database.");
	if (sent->command == COMMAND_ENTER &&
		strcmp(outcome->error.sqlstate, "WD001") == 0)
		outcome->status = DB_REFUSED;
	outcome->lacks_scope = is_about_scope(sent, &outcome->error, res);
	outcome->lacks_person = is_about_person(sent, &outcome->error, res);
	outcome->stale = is_stale(sent, outcome->error.sqlstate);
}

/*
 * Takes the result of the command whose turn it is.  False when the protocol
 * itself can not go on.
 */
static bool
take_result(DbTicket *ticket, PGresult *res)
{
	DbOutcome  *outcome = &ticket->outcome;
	ExecStatusType status = PQresultStatus(res);
	static const Sent nothing = {COMMAND_OTHER, false};
	const Sent *sent = ticket->index < ticket->sent ?
		&ticket->commands[ticket->index] : &nothing;
	Command		command = sent->command;

	/* an error of libpq's own, for want of memory: it may have lost count */
	bool		countable = status != PGRES_FATAL_ERROR ||
		PQresultErrorField(res, PG_DIAG_SQLSTATE) != NULL;

	if (status == PGRES_FATAL_ERROR && outcome->status == DB_DONE)
	{
		take_failure(ticket, sent, res);
		return countable;
	}
	if (status == PGRES_EMPTY_QUERY && outcome->status == DB_DONE)
		fail(outcome, DB_FAILED, "42601", "the statement is empty",
			 "Send one SQL statement.");
	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
		status == PGRES_COPY_BOTH)
	{
		fail(outcome, DB_FAILED, "0A000",
			 "COPY can not be answered through this tool",
			 "Use SELECT; the argument format can be csv.");
		countable = false;
	}
	if (status == PGRES_TUPLES_OK && command == COMMAND_BACKEND)
		read_backend(ticket->conn, res);
	if (status == PGRES_TUPLES_OK && command == COMMAND_ENTER)
		outcome->entered = true;
	if (status == PGRES_TUPLES_OK && command == COMMAND_LEAVE)
		read_leave(ticket->conn, outcome, res);
	if (command == COMMAND_LAST_STEP && outcome->status == DB_DONE)
		outcome->result = res;
	else
		PQclear(res);
	return countable;
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

	while (!PQisBusy(pg))
	{
		bool		lost = PQstatus(pg) != CONNECTION_OK;
		PGresult   *res = PQgetResult(pg);

		if (res == NULL && (lost || ticket->index > ticket->sent))
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
			return READING_BROKEN;
	}

	/* libpq that has no memory for the sync waits for another one, for ever */
	if (ticket->index >= ticket->sent && ticket->outcome.status == DB_DONE &&
		*PQerrorMessage(pg) != '\0')
	{
		fail_lost(ticket);
		return READING_BROKEN;
	}
	return READING_MORE;
}

/* Writes are not prepared: each is a change of its own. */
static void
forget_fresh(DbTicket *ticket)
{
	for (int i = 0; i < ticket->fresh_count; i++)
		db_names_forget(ticket->fresh[i]);
}

/*
 * libpq keeps the room that it once made for a row or a message, in each idle
 * connection: one that was sent a lot goes, and the room with it.
 */
static bool
has_grown(const DbTicket *ticket)
{
	return ticket->wait.received > MAX_KEPT ||
		PQresultMemorySize(ticket->outcome.result) > MAX_KEPT ||
		PQresultMemorySize(ticket->outcome.failure) > MAX_KEPT;
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
	conn->clean = !ticket->prepared && outcome->status == DB_DONE &&
		!conn->names.full;
	if (outcome->change_id != 0)
		forget_fresh(ticket);
	if (has_grown(ticket))
		usable = false;
	if (usable && outcome->status != DB_DONE)
		usable = db_send_rollback(conn);
	if (usable)
		db_give_back(ticket->pool, conn);
	else
		db_close_conn(conn);
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

static bool
leaves_a_statement(const DbRequest *request)
{
	bool		prepare = false;

	for (int i = 0; i < request->step_count; i++)
		prepare = prepare || request->steps[i].prepare;
	return prepare;
}

/*
 * Sends the call.  Where that fails the outcome says so, without a conn.  A
 * pooler's connection may have the name of a statement from another's call.
 */
static void
begin(DbTicket *ticket, DbPool *pool, DbConn *conn, const DbRequest *request,
	  bool use_names)
{
	char		key[2 * LEAVE_KEY_BYTES + 1];
	bool		prepare = leaves_a_statement(request);
	bool		reset = change_user(conn, request) || !conn->clean ||
		db_names_are_old(&conn->names) || (prepare && !conn->direct);

	memset(ticket, 0, sizeof(*ticket));
	ticket->pool = pool;
	ticket->conn = conn;
	ticket->use_names = use_names && conn->direct;
	ticket->prepared = prepare;
	db_wait_begin(&ticket->wait, pool, request);
	conn->outcome = &ticket->outcome;
	if (!auth_random_hex(key, LEAVE_KEY_BYTES))
	{
		fail(&ticket->outcome, DB_FAILED, "58000", "no randomness is available",
			 NULL);
		part(ticket, false);
	}
	else if (!send_call(ticket, request, key, reset))
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
		else if (!db_wait_input(ticket->pool, ticket->conn, &ticket->wait))
		{
			fail_lost(ticket);
			part(ticket, false);
		}
	}
}

/* True if it may do better without names. */
static bool
try_call(DbPool *pool, DbTarget *target, const DbRequest *request,
		 bool use_names, DbOutcome *outcome)
{
	DbTicket	ticket;
	DbConn	   *conn = db_lease(pool, target, request->brief);

	memset(outcome, 0, sizeof(*outcome));
	if (conn == NULL)
	{
		fail(outcome, DB_UNREACHABLE, "08001", "PostgreSQL can not be reached",
			 "Try again later; the operator of this server finds the cause in its log.");
		return false;
	}
	begin(&ticket, pool, conn, request, use_names);
	wait_for_rest(&ticket);
	*outcome = ticket.outcome;
	return outcome->stale;
}

void
db_call(DbPool *pool, const DbRequest *request, DbOutcome *outcome)
{
	DbTarget   *target = request->replica ? pool->replica :
		db_find_target(pool, request->database);

	if (target == NULL)
	{
		memset(outcome, 0, sizeof(*outcome));
		fail(outcome, DB_FAILED, "3D000", "no database of that name is configured",
			 "Leave the argument \"database\" out for the main one.");
		return;
	}
	if (!try_call(pool, target, request, true, outcome))
		return;
	db_outcome_free(outcome);
	(void) try_call(pool, target, request, false, outcome);
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
	return size <= DB_MAX_SHORT;
}

DbTicket *
db_start(DbPool *pool, const DbRequest *request)
{
	DbTarget   *target = db_find_target(pool, request->database);
	DbConn	   *conn = NULL;
	DbTicket   *ticket;

	if (target == NULL || request->replica || !is_short(request))
		return NULL;
	ticket = malloc(sizeof(*ticket));
	if (ticket != NULL)
		conn = db_lease_idle(pool, target);
	if (conn == NULL)
	{
		free(ticket);
		return NULL;
	}
	begin(ticket, pool, conn, request, true);
	return ticket;
}

int
db_ticket_fd(const DbTicket *ticket, uint64_t *line)
{
	if (ticket->conn == NULL)
		return -1;
	*line = ticket->conn->line;
	return PQsocket(ticket->conn->pg);
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
		return ticket->wait.reads < DB_FREE_READS ? DB_WAITING : DB_SLOW;
	part(ticket, reading == READING_DONE);
	return DB_READY;
}

void
db_finish(DbTicket *ticket, int wake_fd, int watch_fd, DbOutcome *outcome)
{
	ticket->wait.wake_fd = wake_fd;
	ticket->wait.watch_fd = watch_fd;
	if (ticket->conn != NULL && db_wait_was_cancelled(&ticket->wait))
		db_wait_cancel(ticket->pool, ticket->conn, &ticket->wait);
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
		db_close_conn(ticket->conn);
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

