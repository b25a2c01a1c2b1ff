/*
 * main.c
 *		argv, signals, one transport, exit codes: 0 fine, 1 failed, 2 misused.
 */
#include "auth.h"
#include "config.h"
#include "db.h"
#include "log.h"
#include "mcp.h"
#include "server.h"
#include "session.h"
#include "tools.h"
#include "watch.h"
#include "worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef WARDEN_VERSION
#error "WARDEN_VERSION comes from the control file through make"
#endif

extern char **environ;

/* written to by the signal handler, read by the transports */
static int	stop_fd = -1;

static void
request_stop(int signum)
{
	uint64_t	one = 1;
	ssize_t		ignored = write(stop_fd, &one, sizeof(one));

	(void) signum;
	(void) ignored;
}

static bool
install_signals(void)
{
	struct sigaction action;

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0)
		return false;
	memset(&action, 0, sizeof(action));
	action.sa_handler = request_stop;
	action.sa_flags = SA_RESTART;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	return true;
}

/* Memory is given back between calls, and secrets stay out of core files. */
static void
tune_process(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
	prctl(PR_SET_DUMPABLE, 0);
}

static int
complain(const Buf *error)
{
	fprintf(stderr, "warden-mcp: %s\n", error->len > 0 ? error->data :
			"out of memory");
	return 2;
}

static bool
read_token(const Config *cf, char **token, Buf *error)
{
	const char *path = cf->stdio ? cf->token_file : cf->default_token_file;

	if (cf->stdio && cf->token != NULL)
		*token = strdup(cf->token);
	else if (path != NULL)
		*token = config_read_secret(path, error);
	else if (cf->stdio)
		buf_puts(error, "a stdio client needs WARDEN_TOKEN or --token-file");
	else
		return true;
	return *token != NULL;
}

static bool
is_ready(void *pool)
{
	return db_reachable(pool);
}

static int
serve(Config *cf, ToolsContext *context, Server *server, Buf *error)
{
	McpHost		host;
	SessionTable *sessions = NULL;
	Watch	   *watch = NULL;
	int			code = 1;

	tools_setup(&host, context, WARDEN_VERSION);
	if (!cf->stdio)
		sessions = session_table_create((size_t) cf->max_sessions,
										cf->session_idle);
	server->cf = cf;
	server->stop_fd = stop_fd;
	server->ready = is_ready;
	server->ready_arg = context->pool;
	server->mcp = mcp_create(&host, sessions);
	server->workers = worker_pool_create((size_t) cf->pool,
										 (size_t) cf->max_queue);
	if (server->mcp != NULL && server->workers != NULL)
		watch = watch_start(cf, server->mcp, server->workers);
	if (watch != NULL && (cf->stdio || sessions != NULL))
		code = cf->stdio ? stdio_serve(server) : http_serve(server);
	else
		complain(error);
	watch_stop(watch);
	worker_pool_free(server->workers);
	mcp_free(server->mcp);
	session_table_free(sessions);
	return code;
}

static int
start(Config *cf, Buf *error)
{
	ToolsContext context = {cf, NULL};
	Server		server;
	int			code = 2;

	memset(&server, 0, sizeof(server));
	if (cf->stdio == (cf->http != NULL))
		buf_puts(error, "give either --stdio or --http ADDRESS:PORT");
	else if (!log_setup(cf->log_level, cf->log_format))
		buf_puts(error, "log_level must be debug, info, warn or error");
	else if (!auth_init() || !install_signals())
		buf_puts(error, "the system gives neither randomness nor descriptors");
	else if (read_token(cf, &server.default_token, error))
		context.pool = db_pool_create(cf, error);
	if (context.pool == NULL)
		return complain(error);
	code = serve(cf, &context, &server, error);
	db_pool_free(context.pool);
	if (server.default_token != NULL)
		explicit_bzero(server.default_token, strlen(server.default_token));
	free(server.default_token);
	return code;
}

int
main(int argc, char **argv)
{
	Config		cf;
	Buf			text;
	int			code = 0;

	tune_process();
	buf_init(&text);
	if (!config_load(&cf, argc, argv, environ, &text))
		code = complain(&text);
	else if (cf.help)
	{
		config_help(&text);
		fputs(buf_cstr(&text), stdout);
	}
	else if (cf.version)
		puts("warden-mcp " WARDEN_VERSION);
	else
		code = start(&cf, &text);
	config_free(&cf);
	buf_free(&text);
	return code;
}
