/*
 * mcp_internal.h
 *		Shared by the protocol core's own files only.
 */
#ifndef MCP_INTERNAL_H
#define MCP_INTERNAL_H

#include "mcp.h"

#include <pthread.h>

typedef LIST_HEAD(McpCalls, McpCall) McpCalls;

struct Mcp
{
	const McpHost *host;
	SessionTable *sessions;		/* NULL on stdio */
	char	   *server_info;	/* Implementation, JSON text */
	pthread_mutex_t lock;		/* guards the two lists */
	McpCalls	calls;			/* accepted, on a worker or waiting for one */
	size_t		call_count;
	McpCalls	streams;		/* open subscriptions/listen */
	const char *agreed_version; /* on stdio, by initialize; else NULL */
};

extern const char *const mcp_legacy_versions[];
extern const char mcp_modern_version[];

/* The core's own methods, then the host's. */
extern const McpMethod *mcp_find_method(const Mcp *mcp, const char *name,
										McpEra era);
extern const McpTool *mcp_find_tool(const Mcp *mcp, const char *name);

/* The constant of a supported legacy version, else NULL. */
extern const char *mcp_legacy_version(const char *version);
extern void mcp_put_versions(Buf *out);

/* The opening of an object with these members, title where it is not NULL. */
extern void mcp_put_names(Buf *out, const char *name, const char *title);

/* One line about a call that is over, where the level is debug. */
extern void mcp_log_call(const McpCall *call, const char *name);

/* Answers with an error unless the client declared the extension. */
extern bool mcp_may_use_tasks(McpCall *call);

/* Answers with an error and HTTP's 400; false, as mcp_invalid_params. */
extern bool mcp_bad_request(McpCall *call, int code, const char *message);

/* Each answers with a header mismatch and returns false unless all is well. */
extern bool mcp_check_header(McpCall *call, const char *header,
							 const char *body, size_t body_len,
							 const char *name);
extern bool mcp_check_name_header(McpCall *call, const McpHeaders *headers);

/* Under the lock: an open stream is none of the list's any more. */
extern void mcp_unlink_stream(McpCall *call);

/* subscriptions/listen; true if the call is a stream now, or was one. */
extern bool mcp_listen(McpCall *call);
extern McpRoute mcp_accept_request(McpCall *call, const McpHeaders *headers);
extern McpRoute mcp_accept_notification(McpCall *call, bool http);

/* A batch that the agreed version allows. */
extern bool mcp_is_batch(const McpCall *call);
extern McpRoute mcp_accept_batch(McpCall *call);

#endif							/* MCP_INTERNAL_H */
