/*
 * jsonrpc.c
 *		Parses and builds envelopes.
 */
#include "jsonrpc.h"

#include "json_util.h"

#include <string.h>

static void
set_invalid(JsonRpcMessage *msg, int code, const char *message)
{
	msg->kind = JSONRPC_INVALID;
	msg->error_code = code;
	msg->error_message = message;
}

static void
set_fault(JsonRpcMessage *msg, JsonFault fault)
{
	if (fault == JSON_FAULT_DEPTH)
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: nested too deeply");
	else if (fault == JSON_FAULT_SIZE)
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: too many values");
	else if (fault == JSON_FAULT_MEMORY)
		set_invalid(msg, JSONRPC_INTERNAL_ERROR, "Out of memory");
	else
		set_invalid(msg, JSONRPC_PARSE_ERROR,
					"Parse error: not valid JSON in UTF-8");
}

/* MCP narrows JSON-RPC here: a string or an integer, never null. */
static bool
id_is_usable(const json_t *id)
{
	if (json_is_integer(id))
		return true;
	return json_is_string(id) && json_string_length(id) <= JSONRPC_MAX_ID;
}

static bool
read_id(JsonRpcMessage *msg)
{
	const json_t *id = json_object_get(msg->root, "id");

	if (id == NULL)
		return true;
	if (!id_is_usable(id))
	{
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: id must be a string or an integer");
		return false;
	}
	msg->id = id;
	return true;
}

static bool
read_method(JsonRpcMessage *msg, const json_t *method)
{
	size_t		len = json_string_length(method);

	msg->method = json_string_value(method);
	if (msg->method == NULL || len == 0 || len > JSONRPC_MAX_METHOD ||
		strlen(msg->method) != len)
	{
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: method must be a short string");
		return false;
	}
	return true;
}

static bool
read_params(JsonRpcMessage *msg)
{
	json_t	   *params = json_object_get(msg->root, "params");

	if (params != NULL && !json_is_object(params))
	{
		set_invalid(msg, json_is_array(params) ? JSONRPC_INVALID_PARAMS :
					JSONRPC_INVALID_REQUEST, "params must be an object");
		return false;
	}
	msg->params = params;
	return true;
}

static void
classify(JsonRpcMessage *msg)
{
	const char *version;
	const json_t *method;

	if (json_is_array(msg->root))
	{
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: batches are not supported");
		return;
	}
	if (!json_is_object(msg->root))
	{
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: not an object");
		return;
	}
	if (!read_id(msg))
		return;
	version = json_util_string(msg->root, "jsonrpc");
	if (version == NULL || strcmp(version, "2.0") != 0)
	{
		set_invalid(msg, JSONRPC_INVALID_REQUEST,
					"Invalid Request: jsonrpc must be \"2.0\"");
		return;
	}
	method = json_object_get(msg->root, "method");
	if (method == NULL && (json_object_get(msg->root, "result") != NULL ||
						   json_object_get(msg->root, "error") != NULL))
		msg->kind = JSONRPC_RESPONSE;
	else if (read_method(msg, method) && read_params(msg))
		msg->kind = msg->id != NULL ? JSONRPC_REQUEST : JSONRPC_NOTIFICATION;
}

void
jsonrpc_parse(const char *text, size_t len, JsonRpcMessage *msg)
{
	JsonFault	fault;

	memset(msg, 0, sizeof(*msg));
	msg->root = json_util_load_message(text, len, JSON_UTIL_MAX_VALUES, &fault);
	if (msg->root == NULL)
		set_fault(msg, fault);
	else
		classify(msg);
}

void
jsonrpc_take(json_t *root, JsonRpcMessage *msg)
{
	memset(msg, 0, sizeof(*msg));
	msg->root = root;
	classify(msg);
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
	if (json_is_integer(id))
		buf_int(out, json_integer_value(id));
	else
		buf_json_string(out, json_string_value(id), json_string_length(id));
	buf_putc(out, ',');
}

void
jsonrpc_error(Buf *out, const json_t *id, int code, const char *message)
{
	jsonrpc_begin(out, id);
	json_util_put(out, "'error':{'code':%d,'message':'%s'}}", code, message);
}
