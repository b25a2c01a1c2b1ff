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
#include <unistd.h>

#ifndef WARDEN_VERSION
#error "WARDEN_VERSION comes from the control file through make"
#endif

extern char **environ;

/* written to by the signal handler, read by the transports */
static int	stop_fd = -1;
static int	reload_fd = -1;

/* Seconds that a stop may take from its first signal on; 0: no limit */
static volatile sig_atomic_t patience;

/* Those before the newest are kept: running calls may still look at them. */
typedef struct Settings
{
	Config		cf;
	char	   *token;
	struct Settings *older;
} Settings;

typedef struct Startup
{
	char	  **argv;
	ToolsContext context;
	Settings   *settings;		/* the newest */
} Startup;

static void
on_signal(int signum)
{
	if (signum == SIGALRM)
		_exit(1);
	if (signum != SIGHUP && patience > 0)
	{
		alarm((unsigned) patience);
		patience = 0;
	}
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
	sigaction(SIGALRM, &action, NULL);
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
free_settings(Settings *settings)
{
	while (settings != NULL)
	{
		Settings   *older = settings->older;

		config_free(&settings->cf);
		if (settings->token != NULL)
			explicit_bzero(settings->token, strlen(settings->token));
		free(settings->token);
		free(settings);
		settings = older;
	}
}

static bool
are_usable(const Config *cf, Buf *error)
{
	if (cf->stdio == (cf->http != NULL))
		buf_puts(error, "give either --stdio or --http ADDRESS:PORT");
	else if (!log_setup(cf->log_level, cf->log_format))
		buf_puts(error, "log_level must be debug, info, warn or error");
	return error->len == 0;
}

/* Reads the settings anew and puts them in front of those there are. */
static bool
load_settings(Startup *startup, Buf *error)
{
	Settings   *next = calloc(1, sizeof(*next));

	if (next == NULL ||
		!config_load(&next->cf, startup->argv, environ, error) ||
		!read_token(&next->cf, &next->token, error) ||
		!are_usable(&next->cf, error))
	{
		free_settings(next);
		return false;
	}
	next->older = startup->settings;
	startup->settings = next;
	startup->context.cf = &next->cf;
	return true;
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
	Buf			error;
	bool		ok;

	buf_init(&error);
	ok = load_settings(startup, &error);
	if (ok)
	{
		server->cf = &startup->settings->cf;
		server->default_token = startup->settings->token;
		log_event(LOG_LEVEL_INFO, "reloaded", NULL);
	}
	else
		log_event(LOG_LEVEL_ERROR, "reload_failed", "message", buf_cstr(&error),
				  NULL);
	buf_free(&error);
	return ok;
}

static bool
is_ready(void *pool)
{
	return db_reachable(pool);
}

static int
serve(Startup *startup, Buf *error)
{
	const Config *cf = &startup->settings->cf;
	Server		server = {
		.cf = cf,.default_token = startup->settings->token,
		.stop_fd = stop_fd,.reload_fd = reload_fd,
		.reload = reload_settings,.reload_arg = startup,
		.ready = is_ready,.ready_arg = startup->context.pool
	};
	McpHost		host;
	SessionTable *sessions = NULL;
	Watch	   *watch = NULL;
	int			code = 1;
	bool		ready = tools_setup(&host, &startup->context, WARDEN_VERSION);

	/* a client that does not read its pipe holds whoever writes to it */
	if (cf->stdio)
		patience = (int) (cf->drain_timeout + cf->cancel_timeout + 2);
	else
		sessions = session_table_create((size_t) cf->max_sessions,
										cf->session_idle);
	server.mcp = mcp_create(&host, sessions);
	server.workers = worker_pool_create((size_t) cf->pool,
										(size_t) cf->max_queue);
	if (ready && server.mcp != NULL && server.workers != NULL)
		watch = watch_start(cf, server.mcp, server.workers);
	host.listening = watch_listening;
	host.listener = watch;
	if (watch != NULL && (cf->stdio || sessions != NULL))
		code = cf->stdio ? stdio_serve(&server) : http_serve(&server);
	else
		complain(error);
	watch_stop(watch);
	worker_pool_free(server.workers);
	watch_free(watch);
	mcp_free(server.mcp);
	session_table_free(sessions);
	return code;
}

static int
start(char **argv, Buf *error)
{
	Startup		startup = {.argv = argv};
	int			code;

	if (!auth_init() || !install_signals())
		buf_puts(error, "the system gives neither randomness nor descriptors");
	else if (load_settings(&startup, error))
		startup.context.pool = db_pool_create(&startup.settings->cf, error);
	if (startup.context.pool == NULL)
		code = complain(error);
	else
		code = serve(&startup, error);
	db_pool_free(startup.context.pool);
	free_settings(startup.settings);
	return code;
}

int
main(int argc, char **argv)
{
	Config		cf;
	Buf			text;
	int			code = 0;

	(void) argc;
	tune_process();
	buf_init(&text);
	if (!config_load(&cf, argv, environ, &text))
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
		code = start(argv, &text);
	config_free(&cf);
	buf_free(&text);
	return code;
}
