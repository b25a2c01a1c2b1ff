/*
 * jsonrpc.c
 *		Parses and builds envelopes.
 */
#include "jsonrpc.h"

#include "json_util.h"

#include <string.h>

static JsonRpcKind
invalid(JsonRpcMessage *msg, int code, const char *message)
{
	msg->error_code = code;
	msg->error_message = message;
	return JSONRPC_INVALID;
}

static JsonRpcKind
invalid_text(JsonRpcMessage *msg, JsonFault fault)
{
	if (fault == JSON_FAULT_DEPTH)
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: nested too deeply");
	if (fault == JSON_FAULT_SIZE)
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: too many values");
	if (fault == JSON_FAULT_MEMORY)
		return invalid(msg, JSONRPC_INTERNAL_ERROR, "Out of memory");
	return invalid(msg, JSONRPC_PARSE_ERROR,
				   "Parse error: not valid JSON in UTF-8");
}

/* MCP narrows JSON-RPC here: a string or an integer, never null. */
static bool
id_is_usable(const json_t *id)
{
	const char *number = json_util_number(id);

	if (json_is_integer(id))
		return true;
	return json_is_string(id) && json_string_length(id) <= JSONRPC_MAX_ID &&
		(number == NULL || strpbrk(number, ".eE") == NULL);
}

static bool
method_is_usable(const json_t *method)
{
	size_t		len = json_string_length(method);

	return json_is_string(method) && len > 0 && len <= JSONRPC_MAX_METHOD &&
		strlen(json_string_value(method)) == len;
}

static JsonRpcKind
read_members(JsonRpcMessage *msg)
{
	const json_t *id = json_object_get(msg->root, "id");
	const char *version;
	const json_t *method;
	json_t	   *params;

	if (json_is_array(msg->root))
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: batches are not supported");
	if (!json_is_object(msg->root))
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: not an object");
	if (id != NULL && !id_is_usable(id))
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: id must be a string or an integer");
	msg->id = id;
	version = json_util_string(msg->root, "jsonrpc");
	if (version == NULL || strcmp(version, "2.0") != 0)
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: jsonrpc must be \"2.0\"");
	method = json_object_get(msg->root, "method");
	if (method == NULL && (json_object_get(msg->root, "result") != NULL ||
						   json_object_get(msg->root, "error") != NULL))
		return JSONRPC_RESPONSE;
	if (!method_is_usable(method))
		return invalid(msg, JSONRPC_INVALID_REQUEST,
					   "Invalid Request: method must be a short string");
	params = json_object_get(msg->root, "params");
	if (params != NULL && !json_is_object(params))
		return invalid(msg, json_is_array(params) ? JSONRPC_INVALID_PARAMS :
					   JSONRPC_INVALID_REQUEST, "params must be an object");
	msg->method = json_string_value(method);
	msg->params = params;
	return id != NULL ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
}

void
jsonrpc_parse(const char *text, size_t len, JsonRpcMessage *msg)
{
	JsonFault	fault;

	memset(msg, 0, sizeof(*msg));
	msg->root = json_util_load_message(text, len, JSON_UTIL_MAX_VALUES, &fault);
	msg->kind = msg->root != NULL ? read_members(msg) :
		invalid_text(msg, fault);
}

void
jsonrpc_take(json_t *root, JsonRpcMessage *msg)
{
	memset(msg, 0, sizeof(*msg));
	msg->root = root;
	msg->kind = read_members(msg);
}

void
jsonrpc_clear(JsonRpcMessage *msg)
{
	json_decref(msg->root);
	memset(msg, 0, sizeof(*msg));
}

void
jsonrpc_begin(Buf *out, const json_t *id)
{
	buf_puts(out, "{\"jsonrpc\":\"2.0\",");
	if (id == NULL)
		return;
	buf_puts(out, "\"id\":");
	json_util_write(out, id);
	buf_putc(out, ',');
}

void
jsonrpc_error(Buf *out, const json_t *id, int code, const char *message)
{
	jsonrpc_begin(out, id);
	json_util_put(out, "'error':{'code':%d,'message':'%s'}}", code, message);
}
