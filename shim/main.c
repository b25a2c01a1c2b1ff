/*
 * main.c
 *		argv, signals, one transport, exit codes: 0 fine, 1 failed, 2 misused.
 */
#include "auth.h"
#include "config.h"
#include "db.h"
#include "keys.h"
#include "log.h"
#include "mcp.h"
#include "server.h"
#include "session.h"
#include "tools.h"
#include "watch.h"
#include "worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef WARDEN_VERSION
#error "WARDEN_VERSION comes from the control file through make"
#endif

extern char **environ;

/* written to by the signal handler, read by the transports */
static int	stop_fd = -1;
static int	reload_fd = -1;

/* Settings that a reload replaced: running calls may still look at them. */
typedef struct Reloaded
{
	Config		cf;
	char	   *token;
	struct Reloaded *older;
} Reloaded;

typedef struct Startup
{
	int			argc;
	char	  **argv;
	ToolsContext *context;
	Reloaded   *reloaded;
} Startup;

static void
on_signal(int signum)
{
	eventfd_write(signum == SIGHUP ? reload_fd : stop_fd, 1);
}

static bool
install_signals(void)
{
	struct sigaction action;

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0 || reload_fd < 0)
		return false;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = SA_RESTART;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	return true;
}

/* As many descriptors as we may have: max_connections clients need theirs. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * What an answer of a few thousand rows takes is kept for the next one: asking
 * the kernel for it anew costs as much as filling it.  Secrets stay out of core
 * files.
 */
static void
tune_process(void)
{
	raise_descriptor_limit();
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 2048 * 1024);
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

static void
wipe_token(char *token)
{
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
}

/*
 * SIGHUP: log settings, allowed hosts and origins, limits of requests, default
 * token, review link and certificates change; addresses, pool and databases
 * are those of the start.
 */
static bool
reload_settings(Server *server)
{
	Startup    *startup = server->reload_arg;
	Reloaded   *next = calloc(1, sizeof(*next));
	Buf			error;
	bool		ok;

	buf_init(&error);
	ok = next != NULL &&
		config_load(&next->cf, startup->argc, startup->argv, environ, &error) &&
		read_token(&next->cf, &next->token, &error) &&
		log_setup(next->cf.log_level, next->cf.log_format);
	if (ok)
	{
		next->older = startup->reloaded;
		startup->reloaded = next;
		server->cf = &next->cf;
		startup->context->cf = &next->cf;
		server->default_token = next->token;
		log_event(LOG_LEVEL_INFO, "reloaded", NULL);
	}
	else
	{
		log_event(LOG_LEVEL_ERROR, "reload_failed", "message", buf_cstr(&error),
				  NULL);
		if (next != NULL)
			config_free(&next->cf);
		free(next);
	}
	buf_free(&error);
	return ok;
}

static void
free_reloaded(Startup *startup)
{
	while (startup->reloaded != NULL)
	{
		Reloaded   *newest = startup->reloaded;

		startup->reloaded = newest->older;
		config_free(&newest->cf);
		wipe_token(newest->token);
		free(newest);
	}
}

static bool
is_ready(void *pool)
{
	return db_reachable(pool);
}

static void
tell_watch(void *context, const char *credential)
{
	watch_listening(((ToolsContext *) context)->watch, credential);
}

static int
serve(Config *cf, Startup *startup, Server *server, Buf *error)
{
	McpHost		host;
	SessionTable *sessions = NULL;
	Watch	   *watch = NULL;
	int			code = 1;

	if (!tools_setup(&host, startup->context, WARDEN_VERSION))
		return complain(error);
	host.listening = tell_watch;
	if (!cf->stdio)
		sessions = session_table_create((size_t) cf->max_sessions,
										cf->session_idle);
	server->cf = cf;
	server->stop_fd = stop_fd;
	server->reload_fd = reload_fd;
	server->reload = reload_settings;
	server->reload_arg = startup;
	server->ready = is_ready;
	server->ready_arg = startup->context->pool;
	server->mcp = mcp_create(&host, sessions);
	server->workers = worker_pool_create((size_t) cf->pool,
										 (size_t) cf->max_queue);
	if (server->mcp != NULL && server->workers != NULL)
		watch = watch_start(cf, server->mcp, server->workers);
	startup->context->watch = watch;
	if (watch != NULL && (cf->stdio || sessions != NULL))
		code = cf->stdio ? stdio_serve(server) : http_serve(server);
	else
		complain(error);
	watch_stop(watch);
	worker_pool_free(server->workers);
	watch_free(watch);
	mcp_free(server->mcp);
	session_table_free(sessions);
	return code;
}

static int
start(Config *cf, int argc, char **argv, Buf *error)
{
	ToolsContext context = {cf, NULL, NULL};
	Startup		startup = {argc, argv, &context, NULL};
	Server		server;
	char	   *token = NULL;
	int			code;

	memset(&server, 0, sizeof(server));
	if (cf->stdio == (cf->http != NULL))
		buf_puts(error, "give either --stdio or --http ADDRESS:PORT");
	else if (!log_setup(cf->log_level, cf->log_format))
		buf_puts(error, "log_level must be debug, info, warn or error");
	else if (!auth_init() || !install_signals())
		buf_puts(error, "the system gives neither randomness nor descriptors");
	else if (read_token(cf, &token, error))
		context.pool = db_pool_create(cf, error);
	if (context.pool == NULL)
		code = complain(error);
	else
	{
		server.default_token = token;
		code = serve(cf, &startup, &server, error);
	}
	db_pool_free(context.pool);
	free_reloaded(&startup);
	wipe_token(token);
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
	else if (cf.refresh_keys)
		code = log_setup(cf.log_level, cf.log_format) ? keys_refresh(&cf) : 2;
	else
		code = start(&cf, argc, argv, &text);
	config_free(&cf);
	buf_free(&text);
	return code;
}
