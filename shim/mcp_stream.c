/*
 * mcp_stream.c
 *		Messages ahead of an answer: progress, and subscriptions/listen.
 *
 * An open stream is a call that stays in mcp->streams.  Everything that is
 * sent to one is sent under mcp->lock, so that it can not be freed meanwhile;
 * a transport's notify therefore only queues and never blocks.
 */
#include "mcp_internal.h"

#include "json_util.h"

#include <string.h>

void
mcp_progress(McpCall *call, double progress, double total, const char *message)
{
	const json_t *token = json_object_get(call->meta, "progressToken");
	Buf			note;

	if ((!json_is_string(token) && !json_is_integer(token)) ||
		progress <= call->progress_sent)
		return;
	call->progress_sent = progress;
	buf_init(&note);
	buf_puts(&note, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\","
			 "\"params\":{\"progressToken\":");
	json_util_write(&note, token);
	buf_printf(&note, ",\"progress\":%g", progress);
	if (total > 0)
		buf_printf(&note, ",\"total\":%g", total);
	if (message != NULL)
	{
		buf_puts(&note, ",\"message\":");
		buf_json_cstr(&note, message);
	}
	buf_puts(&note, "}}");
	if (buf_ok(&note))
		call->transport->notify(call, note.data, note.len);
	buf_free(&note);
}

static int
level_rank(const char *level)
{
	static const char *const levels[] = {
		"debug", "info", "notice", "warning", "error", "critical", "alert",
		"emergency"
	};

	for (int i = 0; level != NULL && i < 8; i++)
		if (strcmp(levels[i], level) == 0)
			return i;
	return -1;
}

void
mcp_log(McpCall *call, const char *level, const char *data)
{
	int			wanted = level_rank(json_util_string(call->meta,
													 "io.modelcontextprotocol/logLevel"));
	Buf			note;

	if (call->era == MCP_MODERN && (wanted < 0 || level_rank(level) < wanted))
		return;
	buf_init(&note);
	buf_printf(&note, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\","
			   "\"params\":{\"level\":\"%s\",\"data\":%s}}", level, data);
	if (buf_ok(&note))
		call->transport->notify(call, note.data, note.len);
	buf_free(&note);
}

/* ------------------------------------------------------------------------
 * subscriptions/listen
 * ------------------------------------------------------------------------
 */

/* items of one list of a filter */
#define MAX_WATCHED 256

static const char *const list_kinds[] = {"tools", "prompts", "resources"};

static const json_t *
filter_of(const McpCall *call)
{
	return json_object_get(call->msg.params, "notifications");
}

static bool
is_string_list(const json_t *value)
{
	size_t		i;
	json_t	   *item;

	if (!json_is_array(value) || json_array_size(value) > MAX_WATCHED)
		return false;
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static bool
filter_is_valid(const json_t *filter)
{
	const json_t *uris = json_object_get(filter, "resourceSubscriptions");
	const json_t *tasks = json_object_get(filter, "taskIds");

	return json_is_object(filter) &&
		(uris == NULL || is_string_list(uris)) &&
		(tasks == NULL || is_string_list(tasks));
}

/* "toolsListChanged" and its like */
static bool
wants_list(const json_t *filter, const char *kind)
{
	char		name[32];

	snprintf(name, sizeof(name), "%sListChanged", kind);
	return json_is_true(json_object_get(filter, name));
}

static void
put_meta(Buf *out, const McpCall *call)
{
	buf_puts(out, "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
	json_util_write(out, call->msg.id);
	buf_putc(out, '}');
}

static void
put_list(Buf *out, const json_t *filter, const char *name)
{
	const json_t *value = json_object_get(filter, name);

	if (value == NULL)
		return;
	if (out->len > 0 && out->data[out->len - 1] != '{')
		buf_putc(out, ',');
	buf_printf(out, "\"%s\":", name);
	json_util_write(out, value);
}

static void
put_acknowledgement(Buf *out, const McpCall *call)
{
	const json_t *filter = filter_of(call);

	buf_puts(out, "{\"jsonrpc\":\"2.0\",\"method\":"
			 "\"notifications/subscriptions/acknowledged\",\"params\":{");
	put_meta(out, call);
	buf_puts(out, ",\"notifications\":{");
	for (size_t i = 0; i < 3; i++)
	{
		if (!wants_list(filter, list_kinds[i]))
			continue;
		if (buf_ok(out) && out->data[out->len - 1] != '{')
			buf_putc(out, ',');
		buf_printf(out, "\"%sListChanged\":true", list_kinds[i]);
	}
	put_list(out, filter, "resourceSubscriptions");
	put_list(out, filter, "taskIds");
	buf_puts(out, "}}}");
}

/* The filter is good, and the client and its transport may listen. */
static bool
may_listen(McpCall *call)
{
	const json_t *filter = filter_of(call);

	if (!filter_is_valid(filter))
	{
		mcp_error(call, JSONRPC_INVALID_PARAMS,
				  "Invalid params: notifications must be a filter object, with at most 256 items in a list",
				  NULL);
		return false;
	}
	if (json_object_get(filter, "taskIds") != NULL &&
		!mcp_client_extension(call, MCP_TASKS_EXTENSION))
	{
		mcp_missing_capability(call, "{\"extensions\":{\"" MCP_TASKS_EXTENSION
							   "\":{}}}");
		return false;
	}
	return call->transport->may_stream == NULL ||
		call->transport->may_stream(call);
}

/*
 * True if the call is a stream now, and then it may have ended already and be
 * gone: only its transport knows what is left of it.
 */
bool
mcp_listen(McpCall *call)
{
	Mcp		   *mcp = call->mcp;
	const char *credential = call->credential;
	bool		opened = false;
	Buf			ack;

	if (!may_listen(call))
		return false;
	buf_init(&ack);
	put_acknowledgement(&ack, call);
	if (buf_ok(&ack))
	{
		pthread_mutex_lock(&mcp->lock);
		call->streaming = true;
		mcp_list_add(&mcp->streams, call);
		call->transport->notify(call, ack.data, ack.len);
		pthread_mutex_unlock(&mcp->lock);
		opened = true;
	}
	else
		mcp_error(call, JSONRPC_INTERNAL_ERROR, "Out of memory", NULL);
	buf_free(&ack);
	if (opened && mcp->host->listening != NULL)
		mcp->host->listening(mcp->host->context, credential);
	return opened;
}

/* Sends one notification: members go after _meta in params. */
static void
send_note(McpCall *call, const char *method, const char *members)
{
	Buf			note;

	buf_init(&note);
	buf_printf(&note, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{",
			   method);
	put_meta(&note, call);
	buf_puts(&note, members);
	buf_puts(&note, "}}");
	if (buf_ok(&note))
		call->transport->notify(call, note.data, note.len);
	buf_free(&note);
}

static bool
list_contains(const json_t *list, const char *text)
{
	size_t		i;
	json_t	   *item;

	json_array_foreach(list, i, item)
	{
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

bool
mcp_stream_wants(const McpCall *stream, const char *list, const char *item)
{
	return list_contains(json_object_get(filter_of(stream), list), item);
}

/* To every stream whose filter names `key` in its list `filter_name`. */
static void
publish_to(Mcp *mcp, const char *credential, const char *filter_name,
		   const char *key, const char *method, const char *members)
{
	pthread_mutex_lock(&mcp->lock);
	for (McpCall *call = mcp->streams; call != NULL; call = call->next)
		if (mcp_stream_wants(call, filter_name, key) &&
			(credential == NULL || (call->credential != NULL &&
									strcmp(call->credential, credential) == 0)))
			send_note(call, method, members);
	pthread_mutex_unlock(&mcp->lock);
}

void
mcp_publish_resource(Mcp *mcp, const char *credential, const char *uri)
{
	Buf			members;

	buf_init(&members);
	buf_puts(&members, ",\"uri\":");
	buf_json_cstr(&members, uri);
	if (buf_ok(&members))
		publish_to(mcp, credential, "resourceSubscriptions", uri,
				   "notifications/resources/updated", members.data);
	buf_free(&members);
}

void
mcp_publish_task(Mcp *mcp, const char *credential, const char *task_id,
				 const char *task)
{
	Buf			members;

	buf_init(&members);
	buf_printf(&members, ",%s", task);
	if (buf_ok(&members))
		publish_to(mcp, credential, "taskIds", task_id, "notifications/tasks",
				   members.data);
	buf_free(&members);
}

void
mcp_publish_list_changed(Mcp *mcp, const char *kind)
{
	char		method[64];

	snprintf(method, sizeof(method), "notifications/%s/list_changed", kind);
	pthread_mutex_lock(&mcp->lock);
	for (McpCall *call = mcp->streams; call != NULL; call = call->next)
		if (wants_list(filter_of(call), kind))
			send_note(call, method, "");
	pthread_mutex_unlock(&mcp->lock);
}

void
mcp_each_stream(Mcp *mcp, void (*fn) (McpCall *call, void *arg), void *arg)
{
	pthread_mutex_lock(&mcp->lock);
	for (McpCall *call = mcp->streams; call != NULL; call = call->next)
		fn(call, arg);
	pthread_mutex_unlock(&mcp->lock);
}

bool
mcp_leave_stream(McpCall *call)
{
	Mcp		   *mcp = call->mcp;
	bool		open;

	pthread_mutex_lock(&mcp->lock);
	open = call->streaming;
	if (open)
		mcp_list_remove(&mcp->streams, call);
	call->streaming = false;
	pthread_mutex_unlock(&mcp->lock);
	return open;
}

static void
end_stream(McpCall *call)
{
	Buf			meta;

	buf_init(&meta);
	buf_puts(&meta, "\"io.modelcontextprotocol/subscriptionId\":");
	json_util_write(&meta, call->msg.id);
	buf_putc(&meta, ',');
	mcp_result_begin_as(call, "complete", buf_cstr(&meta));
	mcp_result_end(call);
	if (!buf_ok(&meta) || !buf_ok(&call->out))
		mcp_error(call, JSONRPC_INTERNAL_ERROR, "Out of memory", NULL);
	buf_free(&meta);
	call->transport->finish(call);
}

/*
 * Takes one stream out of the list, of one credential or, where that is NULL,
 * of any; it is the caller's then.
 */
static McpCall *
take_stream(Mcp *mcp, const char *credential)
{
	McpCall    *call;

	pthread_mutex_lock(&mcp->lock);
	call = mcp->streams;
	while (call != NULL && credential != NULL &&
		   (call->credential == NULL ||
			strcmp(call->credential, credential) != 0))
		call = call->next;
	if (call != NULL)
	{
		mcp_list_remove(&mcp->streams, call);
		call->streaming = false;
	}
	pthread_mutex_unlock(&mcp->lock);
	return call;
}

void
mcp_close_streams(Mcp *mcp)
{
	McpCall    *call;

	while ((call = take_stream(mcp, NULL)) != NULL)
		end_stream(call);
}

void
mcp_refuse_streams(Mcp *mcp, const char *credential, const char *message)
{
	McpCall    *call;

	while ((call = take_stream(mcp, credential)) != NULL)
	{
		call->verdict = MCP_REFUSED;
		mcp_error(call, MCP_UNAUTHORIZED, message, NULL);
		call->transport->finish(call);
	}
}
