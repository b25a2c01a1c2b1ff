/*
 * http_internal.h
 *		Shared by http_transport.c (requests) and http_server.c (the daemon).
 */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "auth.h"
#include "loop.h"
#include "server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define HTTP_MCP_PATH "/mcp"
#define HTTP_METADATA_PATH "/.well-known/oauth-protected-resource"
#define HTTP_SCOPES "query propose"

/* One for each reload of certificates since which a connection is left. */
#define MAX_DAEMONS 64

typedef struct Http
{
	Server	   *server;
	Loop	   *loop;
	bool		loopback;
	char	   *origin;			/* scheme://host:port of this server */
	char	   *metadata_url;
	char	   *metadata;		/* RFC 9728 document */
	atomic_int	requests;		/* HttpCalls that exist */
	atomic_bool ready;			/* PostgreSQL was reached when last tried */
	uint64_t	ready_until;	/* and until when that will do */
	LIST_HEAD(, HttpLine) lines;	/* one per connection */
	struct MHD_Daemon *daemons[MAX_DAEMONS];	/* the last one accepts */
	int			daemon_count;
	uint64_t	next_cut;		/* when to look who lets us wait */
	int			idle_ms;		/* until one of them has to be run */
	int			waiting;		/* calls that are not suspended meanwhile */
	size_t		unread;			/* room of bodies that are not whole yet */
	bool		answered;		/* one of them, in this run */
	bool		leaving;		/* each answer ends its connection */
	bool		stopping;		/* and what would wait is not begun */
} Http;

/* what is looked at in each request; see their names in http_guard.c */
typedef enum HttpHeader
{
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_HOST,
	HTTP_ORIGIN,
	HTTP_AUTHORIZATION,
	HTTP_CONTENT_TYPE,
	HTTP_MCP_VERSION,
	HTTP_MCP_METHOD,
	HTTP_MCP_NAME,
	HTTP_MCP_SESSION,
	HTTP_ONCE,					/* those above may come once */
	HTTP_ACCEPT = HTTP_ONCE,
	HTTP_EXPECT,
	HTTP_HEADERS
} HttpHeader;

typedef struct HttpCall
{
	McpCall		call;			/* first: a McpCall is its HttpCall */
	Http	   *http;
	struct MHD_Connection *connection;
	const char *headers[HTTP_HEADERS];	/* the first of each, or NULL */
	Buf			body;
	bool		old;			/* HTTP/1.0, which has no chunks */
	bool		too_large;
	size_t		discarded;
	bool		begun;			/* its headers were judged */
	bool		accepted;		/* the body was handed to the core */
	char	   *credential;
	AuthUse		use;			/* of it */
	char	   *origin;			/* allowed Origin to echo, or NULL */

	pthread_mutex_t lock;
	atomic_int	references;
	bool		waiting;		/* its connection is ours to look at */
	bool		suspended;		/* or to be woken up */
	bool		finished;
	bool		gone;			/* the connection is no more */
	bool		close;			/* after the answer */
	bool		preflight;		/* asks what a page may send us */
	bool		streaming;		/* answered as text/event-stream */
	Buf			events;
	size_t		sent;			/* of events */
} HttpCall;

/* A connection, and for how long we have been waiting for a request on it. */
typedef struct HttpLine
{
	struct MHD_Connection *connection;
	bool		served;			/* a request is here, whole */
	bool		used;			/* and it is not the first one */
	bool		over;			/* seen once: nothing more will come */
	Http	   *http;
	uint64_t	since;			/* else: when the wait began */
	LIST_ENTRY(HttpLine) link;
} HttpLine;

/* A request of the connection has come in, or its answer has gone out. */
extern void http_line_served(struct MHD_Connection *connection, bool served);

/* kinds of use of a credential */
#define HTTP_USE_CALL 0
#define HTTP_USE_STREAM 1

extern const char *http_header(HttpCall *hc, const char *name);

/*
 * Where this request ends must be beyond doubt, and who it is from: what we and
 * a proxy read differently could be a second request to one of us.  Finds
 * hc->headers.
 */
extern bool http_framing_is_clear(HttpCall *hc);
extern bool http_host_is_allowed(HttpCall *hc);

/* Keeps the origin, to be echoed. */
extern bool http_origin_is_allowed(HttpCall *hc);

/* False, with the answer given, for who has to wait. */
extern bool http_admit(HttpCall *hc, unsigned char kind);

/* libmicrohttpd's callbacks; arg is the Http */
extern enum MHD_Result http_handle_request(void *arg,
										   struct MHD_Connection *connection,
										   const char *url, const char *method,
										   const char *version,
										   const char *data, size_t *size,
										   void **state);
extern void http_request_completed(void *arg, struct MHD_Connection *connection,
								   void **state,
								   enum MHD_RequestTerminationCode code);

/* A comment line for an open stream, so that the line is not cut. */
extern void http_keep_alive(McpCall *call, void *arg);

#endif							/* HTTP_INTERNAL_H */
