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

#define HTTP_MCP_PATH "/mcp"
#define HTTP_METADATA_PATH "/.well-known/oauth-protected-resource"
#define HTTP_SCOPES "query propose"

/* One more for each reload of certificates. */
#define MAX_DAEMONS 64

typedef struct Http
{
	Server	   *server;
	Loop	   *loop;
	bool		loopback;
	char	   *origin;			/* scheme://host:port of this server */
	char	   *metadata_url;
	char	   *metadata;		/* RFC 9728 document */
	size_t		metadata_len;
	atomic_int	requests;		/* HttpCalls that exist */
	struct MHD_Daemon *daemons[MAX_DAEMONS];	/* the last one accepts */
	int			daemon_count;
} Http;

typedef struct HttpCall
{
	McpCall		call;			/* first: a McpCall is its HttpCall */
	Http	   *http;
	struct MHD_Connection *connection;
	Buf			body;
	bool		too_large;
	size_t		discarded;
	bool		accepted;		/* the body was handed to the core */
	char	   *credential;
	AuthUse		use;			/* of it */
	char	   *origin;			/* allowed Origin to echo, or NULL */

	pthread_mutex_t lock;
	int			references;
	bool		suspended;
	bool		finished;
	bool		gone;			/* the connection is no more */
	bool		streaming;		/* answered as text/event-stream */
	Buf			events;
	size_t		sent;			/* of events */
} HttpCall;

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
