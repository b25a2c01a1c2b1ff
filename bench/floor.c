/*
 * floor.c
 *		The least that a governed call can cost: the transaction that the MCP
 *		server sends, sent by libpq alone.
 *
 * floor CONNINFO CLIENTS SECONDS SQL TOKEN|- parse|named
 *
 * One thread and as many connections as there are clients, each with one
 * transaction under way.  A token of "-" sends BEGIN, the statement and COMMIT
 * only.  "named" prepares every statement once, as the MCP server does with what
 * comes again.  Prints calls per second, the median latency in us, and CPU us per
 * call of this program.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_CLIENTS 256
#define MAX_SAMPLES 2000000

#define ENTER "SELECT warden.enter($1, $2, $3, $4)"
#define REQUEST "{\"tool\":\"query\",\"request_id\":\"1\"}"
#define LEAVE "SELECT warden.leave($1)"

typedef struct Client
{
	PGconn	   *pg;
	double		started;
	bool		prepared;		/* the statement, by the first call */
} Client;

/* text and jsonb, as the server sends them */
static const Oid types[4] = {25, 25, 3802, 25};

static Client clients[MAX_CLIENTS];
static const char *sql;
static const char *token;
static bool named;
static float samples[MAX_SAMPLES];
static long calls;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

static double
cpu_used(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double) (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
		(double) (use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static void
die(PGconn *pg, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, PQerrorMessage(pg));
	exit(1);
}

/* One of the constant statements: by its name, or parsed each time. */
static bool
send_fixed(PGconn *pg, const char *name, const char *text, int count,
		   const char *const *params)
{
	if (named)
		return PQsendQueryPrepared(pg, name, count, params, NULL, NULL,
								   0) == 1;
	return PQsendQueryParams(pg, text, count, types, params, NULL, NULL,
							 0) == 1;
}

/* The statement is the agent's, so it is prepared where the agent is. */
static bool
send_statement(Client *client)
{
	PGconn	   *pg = client->pg;

	if (!named)
		return PQsendQueryParams(pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
	if (!client->prepared && !PQsendPrepare(pg, "f_statement", sql, 0, NULL))
		return false;
	client->prepared = true;
	return PQsendQueryPrepared(pg, "f_statement", 0, NULL, NULL, NULL, 0) == 1;
}

static void
send_call(Client *client)
{
	static const char key[] = "0123456789abcdef0123456789abcdef";
	const char *enter[4] = {token, NULL, REQUEST, key};
	const char *leave[1] = {key};
	PGconn	   *pg = client->pg;
	bool		governed = token != NULL;
	bool		ok;

	client->started = now();
	ok = send_fixed(pg, "f_begin", "BEGIN", 0, NULL);
	if (governed)
		ok = ok && send_fixed(pg, "f_enter", ENTER, 4, enter);
	ok = ok && send_statement(client);
	if (governed)
		ok = ok && send_fixed(pg, "f_leave", LEAVE, 1, leave);
	if (!ok || !send_fixed(pg, "f_commit", "COMMIT", 0, NULL) ||
		!PQpipelineSync(pg))
		die(pg, "send");
}

/* True when the call's sync was read. */
static bool
read_results(PGconn *pg)
{
	bool		synced = false;
	int			nulls = 0;

	while (!synced && !PQisBusy(pg) && nulls < 2)
	{
		PGresult   *res = PQgetResult(pg);
		ExecStatusType status = PQresultStatus(res);

		nulls = res == NULL ? nulls + 1 : 0;
		if (res != NULL && status != PGRES_COMMAND_OK &&
			status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC)
			die(pg, "result");
		synced = res != NULL && status == PGRES_PIPELINE_SYNC;
		PQclear(res);
	}
	return synced;
}

static void
open_client(Client *client, const char *conninfo)
{
	static const char *const texts[5][2] = {
		{"f_begin", "BEGIN"}, {"f_enter", ENTER}, {"f_leave", LEAVE},
		{"f_commit", "COMMIT"}, {NULL, NULL}
	};

	client->pg = PQconnectdb(conninfo);
	if (PQstatus(client->pg) != CONNECTION_OK)
		die(client->pg, "connect");
	for (int i = 0; named && texts[i][0] != NULL; i++)
	{
		PGresult   *res;

		if (token == NULL && (i == 1 || i == 2))
			continue;
		res = PQprepare(client->pg, texts[i][0], texts[i][1],
						i == 1 ? 4 : i == 2 ? 1 : 0, types);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			die(client->pg, "prepare");
		PQclear(res);
	}
	if (!PQenterPipelineMode(client->pg))
		die(client->pg, "pipeline");
}

static int
compare(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

static void
drive(int count, double until)
{
	struct pollfd fds[MAX_CLIENTS];

	for (int i = 0; i < count; i++)
	{
		fds[i] = (struct pollfd) {PQsocket(clients[i].pg), POLLIN, 0};
		send_call(&clients[i]);
	}
	while (now() < until)
	{
		poll(fds, (nfds_t) count, 1000);
		for (int i = 0; i < count; i++)
		{
			PGconn	   *pg = clients[i].pg;

			if (fds[i].revents == 0)
				continue;
			if (!PQconsumeInput(pg))
				die(pg, "read");
			if (!read_results(pg))
				continue;
			if (calls < MAX_SAMPLES)
				samples[calls] = (float) (now() - clients[i].started);
			calls++;
			send_call(&clients[i]);
		}
	}
}

int
main(int argc, char **argv)
{
	int			count;
	double		seconds;
	double		start;
	double		used;

	if (argc != 7)
		return 2;
	count = atoi(argv[2]);
	seconds = atof(argv[3]);
	sql = argv[4];
	token = strcmp(argv[5], "-") != 0 ? argv[5] : NULL;
	named = strcmp(argv[6], "named") == 0;
	if (count < 1 || count > MAX_CLIENTS)
		return 2;
	for (int i = 0; i < count; i++)
		open_client(&clients[i], argv[1]);
	used = cpu_used();
	start = now();
	drive(count, start + seconds * 1e6);
	used = cpu_used() - used;
	seconds = (now() - start) / 1e6;
	if (calls == 0)
		return 1;
	qsort(samples, (size_t) (calls < MAX_SAMPLES ? calls : MAX_SAMPLES),
		  sizeof(samples[0]), compare);
	printf("%.0f %.0f %.1f\n", (double) calls / seconds,
		   (double) samples[(calls < MAX_SAMPLES ? calls : MAX_SAMPLES) / 2],
		   used / (double) calls);
	return 0;
}
