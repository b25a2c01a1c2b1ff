/*
 * http_server.c
 *		The HTTP daemon: address, texts, TLS, reload and drain.
 */
#include "http_internal.h"

#include "log.h"
#include "metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_MS 15000
#define KEEPALIVE_NS (KEEPALIVE_MS * UINT64_C(1000000))
#define DRAIN_MS 2
#define MAX_RUNS 3
#define LOOK_MS 5
#define SECOND UINT64_C(1000000000)

/* "127.0.0.1:8642", "[::1]:8642" */
static bool
parse_address(const char *text, struct sockaddr_storage *address,
			  bool *loopback)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) address;
	const char *colon = strrchr(text, ':');
	char		host[64];
	size_t		n;
	char	   *end;
	unsigned long port;

	n = colon != NULL ? (size_t) (colon - text) : 0;
	if (n == 0 || n >= sizeof(host))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || port > 65535)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	memset(address, 0, sizeof(*address));
	if (host[0] == '[' && host[n - 1] == ']')
	{
		host[n - 1] = '\0';
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t) port);
		*loopback = strcmp(host + 1, "::1") == 0;
		return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t) port);
	if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
				  &v4->sin_addr) != 1)
		return false;
	*loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return true;
}

static void
put_string_list(Buf *out, const ConfigList *list)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < list->count; i++)
	{
		if (i > 0)
			buf_putc(out, ',');
		buf_json_cstr(out, list->items[i]);
	}
	buf_putc(out, ']');
}

/* The texts that depend on the public URL only. */
static bool
prepare_texts(Http *http, const Config *cf)
{
	Buf			metadata;
	Buf			url;
	Buf			resource;

	buf_init(&metadata);
	buf_init(&url);
	buf_init(&resource);
	buf_printf(&resource, "%s" HTTP_MCP_PATH, http->origin);
	buf_puts(&metadata, "{\"resource\":");
	buf_json_string(&metadata, buf_cstr(&resource), resource.len);
	buf_puts(&metadata, ",\"authorization_servers\":");
	put_string_list(&metadata, &cf->authorization_servers);
	buf_puts(&metadata, ",\"scopes_supported\":[\"query\",\"propose\"],"
			 "\"bearer_methods_supported\":[\"header\"],"
			 "\"resource_name\":\"pg_warden\"}");
	buf_printf(&url, "%s" HTTP_METADATA_PATH HTTP_MCP_PATH, http->origin);
	buf_free(&resource);
	http->metadata = metadata.data;
	http->metadata_url = url.data;
	return buf_ok(&metadata) && buf_ok(&url);
}

/* The address is that of the start, whatever settings were read since. */
static bool
token_is_allowed(const Http *http)
{
	if (http->loopback || http->server->cf->default_token_file == NULL)
		return true;
	log_event(LOG_LEVEL_ERROR, "refused", "message",
			  "default_token_file is for loopback addresses only", NULL);
	return false;
}

static bool
setup(Http *http, Server *server, struct sockaddr_storage *address)
{
	const Config *cf = server->cf;
	Buf			origin;

	memset(http, 0, sizeof(*http));
	http->server = server;
	if (!parse_address(cf->http, address, &http->loopback))
	{
		log_event(LOG_LEVEL_ERROR, "bad_address", "http", cf->http, NULL);
		return false;
	}
	if (!token_is_allowed(http))
		return false;
	if ((cf->tls_cert == NULL) != (cf->tls_key == NULL))
	{
		log_event(LOG_LEVEL_ERROR, "refused", "message",
				  "tls_cert and tls_key go together", NULL);
		return false;
	}
	buf_init(&origin);
	if (cf->public_url != NULL)
		buf_puts(&origin, cf->public_url);
	else
		buf_printf(&origin, "%s://%s", cf->tls_cert != NULL ? "https" : "http",
				   cf->http);
	while (origin.len > 0 && origin.data[origin.len - 1] == '/')
		buf_truncate(&origin, origin.len - 1);
	http->origin = origin.data;
	return buf_ok(&origin) && prepare_texts(http, cf);
}

static char *
read_pem(const char *path)
{
	Buf			error;
	char	   *text;

	if (path == NULL)
		return NULL;
	buf_init(&error);
	text = config_read_secret(path, &error);
	if (text == NULL)
		log_event(LOG_LEVEL_ERROR, "tls", "message", buf_cstr(&error), NULL);
	buf_free(&error);
	return text;
}

static void
log_mhd(void *arg, const char *fmt, va_list args)
{
	char		message[256];

	(void) arg;
	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	vsnprintf(message, sizeof(message), fmt, args);
	log_event(LOG_LEVEL_DEBUG, "microhttpd", "message", message, NULL);
}

/* Certificate and key for a daemon with TLS; false if they can not be had. */
static bool
read_certificate(const Config *cf, char **cert, char **key)
{
	*cert = *key = NULL;
	if (cf->tls_cert == NULL)
		return true;
	*cert = read_pem(cf->tls_cert);
	*key = read_pem(cf->tls_key);
	return *cert != NULL && *key != NULL;
}

/* ------------------------------------------------------------------------
 * Lines: who lets us wait is cut off
 * ------------------------------------------------------------------------
 */

static HttpLine *
line_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info != NULL ? info->socket_context : NULL;
}

static void
note_connection(void *arg, struct MHD_Connection *connection,
				void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	Http	   *http = arg;
	HttpLine   *line = *socket_context;

	metrics_gauge_add(METRICS_CONNECTIONS,
					  code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		line = calloc(1, sizeof(*line));
		*socket_context = line;
		if (line == NULL)
			return;
		line->connection = connection;
		line->http = http;
		line->since = metrics_clock();
		LIST_INSERT_HEAD(&http->lines, line, link);
	}
	else if (line != NULL)
	{
		LIST_REMOVE(line, link);
		*socket_context = NULL;
		free(line);
	}
}

static int
fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info != NULL ? info->connect_fd : -1;
}

/* Whether its client will send nothing more, and all of it was read. */
static bool
is_over(const HttpLine *line)
{
	struct pollfd fd = {fd_of(line->connection), POLLRDHUP, 0};
	int			unread = 0;

	return poll(&fd, 1, 0) > 0 && ioctl(fd.fd, FIONREAD, &unread) == 0 &&
		unread == 0;
}

/*
 * The library does not hear of an end that came together with a request.  To
 * look for it costs a system call: behind the first one, which may be all that
 * the client wants, and from time to time.  When a run is over, what was read
 * in it is a request that is here, or one that will never be whole.
 */
void
http_line_served(struct MHD_Connection *connection, bool served)
{
	HttpLine   *line = line_of(connection);

	if (line == NULL)
		return;
	line->served = served;
	line->since = metrics_clock();
	if (served)
		return;
	if ((!line->used || line->over) && is_over(line))
	{
		line->over = true;
		line->http->next_cut = 0;
	}
	line->used = true;
}

static void
cut_line(const HttpLine *line)
{
	shutdown(fd_of(line->connection), SHUT_RDWR);
}

/*
 * The library's own timeout begins anew with every byte, so that a client could
 * hold a connection for ever with one byte now and then.
 */
static void
cut_lines(Http *http)
{
	uint64_t	limit = (uint64_t) http->server->cf->idle_timeout * SECOND;
	uint64_t	now = metrics_clock();
	HttpLine   *line;

	LIST_FOREACH(line, &http->lines, link)
	{
		bool		over = !line->served && is_over(line);

		/* twice, so that what was just read has been looked at */
		if ((over && line->over) ||
			(!line->served && now - line->since > limit))
			cut_line(line);
		line->over = line->over || over;
	}
}

/*
 * Listens on the address, or takes over a listening socket (else -1), which is
 * closed if that fails.
 */
static struct MHD_Daemon *
start_daemon(Http *http, struct sockaddr_storage *address, int listener)
{
	const Config *cf = http->server->cf;
	char	   *cert;
	char	   *key;
	struct MHD_Daemon *daemon = NULL;
	unsigned	flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
		MHD_USE_ERROR_LOG | MHD_USE_ITC;
	bool		have_pem = read_certificate(cf, &cert, &key);
	struct MHD_OptionItem more[] = {
		{listener >= 0 ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_SOCK_ADDR,
		listener, listener >= 0 ? NULL : (void *) address},
		{cert != NULL ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, key},
		{MHD_OPTION_END, 0, NULL}
	};

	if (address->ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (cf->tls_cert != NULL)
		flags |= MHD_USE_TLS;
	if (have_pem)
		daemon = MHD_start_daemon(flags, 0, NULL, NULL, http_handle_request,
								  http, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
								  NULL, MHD_OPTION_CONNECTION_LIMIT,
								  (unsigned) cf->max_connections,
								  MHD_OPTION_CONNECTION_TIMEOUT,
								  (unsigned) cf->idle_timeout,
								  MHD_OPTION_CONNECTION_MEMORY_LIMIT,
								  (size_t) cf->header_memory,
								  MHD_OPTION_NOTIFY_COMPLETED,
								  http_request_completed, NULL,
								  MHD_OPTION_NOTIFY_CONNECTION,
								  note_connection, http,
								  MHD_OPTION_STRICT_FOR_CLIENT, 1,
								  MHD_OPTION_ARRAY, more,
								  MHD_OPTION_END);
	else if (listener >= 0)
		close(listener);		/* as the library does when it can not start */
	if (key != NULL)
		explicit_bzero(key, strlen(key));
	free(cert);
	free(key);
	return daemon;
}

/* The daemon's own set of descriptors becomes readable when it has work. */
static bool
add_daemon(Http *http, struct sockaddr_storage *address, int listener)
{
	struct MHD_Daemon *daemon = start_daemon(http, address, listener);
	const union MHD_DaemonInfo *info;

	if (daemon == NULL)
		return false;
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || !loop_watch(http->loop, info->epoll_fd))
	{
		MHD_stop_daemon(daemon);
		return false;
	}
	http->daemons[http->daemon_count++] = daemon;
	return true;
}

/* Those before the last one that have no connection left. */
static void
stop_idle_daemons(Http *http)
{
	int			kept = 0;

	for (int i = 0; i < http->daemon_count; i++)
	{
		struct MHD_Daemon *daemon = http->daemons[i];
		const union MHD_DaemonInfo *info =
			MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

		if (i + 1 < http->daemon_count && info != NULL &&
			info->num_connections == 0)
			MHD_stop_daemon(daemon);
		else
			http->daemons[kept++] = daemon;
	}
	http->daemon_count = kept;
}

/*
 * Certificates belong to a daemon: a new one takes over the listening socket,
 * the old one keeps the connections that it has.
 */
static void
renew_daemon(Http *http, struct sockaddr_storage *address)
{
	struct MHD_Daemon *current = http->daemons[http->daemon_count - 1];
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(current, MHD_DAEMON_INFO_LISTEN_FD);
	int			listener = -1;

	stop_idle_daemons(http);
	if (info != NULL && http->daemon_count < MAX_DAEMONS)
		listener = dup(info->listen_fd);
	if (listener < 0 || !add_daemon(http, address, listener))
	{
		log_event(LOG_LEVEL_ERROR, "certificate_not_loaded", NULL);
		return;
	}
	close(MHD_quiesce_daemon(current));
}

static void
reload(Http *http, struct sockaddr_storage *address)
{
	Server	   *server = http->server;

	if (!server->reload(server))
		return;
	(void) token_is_allowed(http);	/* where it is not it serves nobody */
	if (server->cf->tls_cert != NULL)
		renew_daemon(http, address);
}

/* Milliseconds until the daemon has something to do by itself. */
static int
idle_time(struct MHD_Daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(daemon, &ms) != MHD_YES || ms > KEEPALIVE_MS)
		return KEEPALIVE_MS;
	return (int) ms;
}

/*
 * Runs a daemon until it has nothing to do.  It sends an answer, ends the
 * request and looks for the next one in runs of their own.  While calls wait it
 * always has something to do, so that it does not tell: then it is run once,
 * once more behind an answer, and looked after from time to time.
 */
static int
run_daemon(Http *http, struct MHD_Daemon *daemon)
{
	int			runs = MAX_RUNS;
	int			idle;

	do
	{
		http->answered = false;
		MHD_run(daemon);
		idle = idle_time(daemon);
	} while (idle == 0 && --runs > 0 &&
			 (http->waiting == 0 || http->answered));
	return idle == 0 && http->waiting > 0 ? LOOK_MS : idle;
}

/* One turn of the loop: what happened within ms, and all that follows of it. */
static unsigned
turn(Http *http, int ms)
{
	unsigned	seen = loop_wait(http->loop,
								 http->idle_ms < ms ? http->idle_ms : ms);

	if ((seen & LOOP_OTHER) == 0)
		return seen;
	http->idle_ms = KEEPALIVE_MS;
	for (int i = 0; i < http->daemon_count; i++)
	{
		int			idle = run_daemon(http, http->daemons[i]);

		if (idle < http->idle_ms)
			http->idle_ms = idle;
	}
	return seen;
}

static void
serve_until_stop(Http *http, struct sockaddr_storage *address)
{
	uint64_t	next = metrics_clock() + KEEPALIVE_NS;

	for (;;)
	{
		long		ms = http->server->cf->idle_timeout * 500;
		unsigned	seen;

		if (ms > KEEPALIVE_MS)
			ms = KEEPALIVE_MS;
		seen = turn(http, (int) ms);
		if ((seen & LOOP_STOP) != 0)
			return;
		if ((seen & LOOP_RELOAD) != 0)
			reload(http, address);
		if (metrics_clock() >= http->next_cut)
		{
			cut_lines(http);
			http->next_cut = metrics_clock() + (uint64_t) ms * (SECOND / 1000);
		}
		if (metrics_clock() < next)
			continue;
		mcp_each_stream(http->server->mcp, http_keep_alive, NULL);
		next = metrics_clock() + KEEPALIVE_NS;
	}
}

static void
turn_until_idle(Http *http, uint64_t ns)
{
	uint64_t	deadline = metrics_clock() + ns;

	while (atomic_load(&http->requests) > 0 && metrics_clock() < deadline)
		turn(http, DRAIN_MS);
}

/*
 * Those that are left are held by workers that do not come back, say from a
 * host that does not answer.  Their connections are suspended, which the
 * library does not stop with, and what they hold is ours: so nothing is freed.
 */
static void
abandon_calls(Http *http)
{
	if (atomic_load(&http->requests) == 0)
		return;
	log_event(LOG_LEVEL_ERROR, "calls_abandoned", "message",
			  "calls did not end in time: stopped without them", NULL);
	_exit(1);
}

/*
 * No new connections, streams get their end, running calls their time.  Those
 * that still come on connections that are kept share it; behind its end none
 * begins, since nothing would end it.
 */
static void
drain(Http *http)
{
	Server	   *server = http->server;
	int			listener =
		MHD_quiesce_daemon(http->daemons[http->daemon_count - 1]);
	uint64_t	deadline = metrics_clock() +
		(uint64_t) server->cf->drain_timeout * SECOND;
	HttpLine   *line;

	if (listener >= 0)
		close(listener);
	http->leaving = true;
	mcp_close_streams(server->mcp);
	while (mcp_running(server->mcp) > 0 && metrics_clock() < deadline)
		turn(http, DRAIN_MS);
	http->stopping = true;
	mcp_cancel_all(server->mcp);
	turn_until_idle(http, (uint64_t) (server->cf->cancel_timeout + 1) * SECOND);
	LIST_FOREACH(line, &http->lines, link)
		cut_line(line);
	turn_until_idle(http, SECOND);
	abandon_calls(http);
	for (int i = 0; i < http->daemon_count; i++)
		MHD_stop_daemon(http->daemons[i]);
}

int
http_serve(Server *server)
{
	Http		http;
	struct sockaddr_storage address;
	bool		started = false;

	if (setup(&http, server, &address))
	{
		http.loop = loop_create(server);
		if (http.loop != NULL)
			started = add_daemon(&http, &address, -1);
	}
	if (started)
	{
		log_event(LOG_LEVEL_INFO, "serving", "transport", "http", "address",
				  server->cf->http, NULL);
		serve_until_stop(&http, &address);
		drain(&http);
		log_event(LOG_LEVEL_INFO, "stopped", NULL);
	}
	else
		log_event(LOG_LEVEL_ERROR, "start_failed", "http", server->cf->http,
				  NULL);
	loop_free(http.loop);
	free(http.origin);
	free(http.metadata_url);
	free(http.metadata);
	return started ? 0 : 1;
}
