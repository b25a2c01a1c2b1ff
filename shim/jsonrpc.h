/*
 * jsonrpc.h
 *		JSON-RPC 2.0 envelopes.  Knows no MCP method and no transport.
 */
#ifndef JSONRPC_H
#define JSONRPC_H

#include "buf.h"

#include <jansson.h>

#define JSONRPC_PARSE_ERROR (-32700)
#define JSONRPC_INVALID_REQUEST (-32600)
#define JSONRPC_METHOD_NOT_FOUND (-32601)
#define JSONRPC_INVALID_PARAMS (-32602)
#define JSONRPC_INTERNAL_ERROR (-32603)

/* Longest method name and longest id (as JSON text) that are accepted. */
#define JSONRPC_MAX_METHOD 128
#define JSONRPC_MAX_ID 512

typedef enum JsonRpcKind
{
	JSONRPC_REQUEST,
	JSONRPC_NOTIFICATION,
	JSONRPC_RESPONSE,			/* what a client sends to a server's request */
	JSONRPC_INVALID
} JsonRpcKind;

typedef struct JsonRpcMessage
{
	JsonRpcKind kind;
	json_t	   *root;			/* owned; the rest is borrowed from it */
	const json_t *id;			/* NULL unless it is usable for an answer */
	const char *method;
	json_t	   *params;			/* an object, or NULL when absent */
	int			error_code;		/* for JSONRPC_INVALID */
	const char *error_message;	/* constant text */
} JsonRpcMessage;

/* Always fills *msg; the caller calls jsonrpc_clear whatever the kind. */
extern void jsonrpc_parse(const char *text, size_t len, JsonRpcMessage *msg);

/* The same for a value that was parsed already, which it takes over. */
extern void jsonrpc_take(json_t *root, JsonRpcMessage *msg);
extern void jsonrpc_clear(JsonRpcMessage *msg);

/* {"jsonrpc":"2.0","id":..., up to the member that follows */
extern void jsonrpc_begin(Buf *out, const json_t *id);

/* A whole error response. */
extern void jsonrpc_error(Buf *out, const json_t *id, int code,
						  const char *message);

#endif							/* JSONRPC_H */
