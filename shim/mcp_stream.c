/*
 * mcp_stream.c
 *		subscriptions/listen.
 *
 * An open stream is a call that stays in mcp->streams.  Everything that is
 * sent to one is sent under mcp->lock, so that it can not be freed meanwhile;
 * a transport's notify therefore only queues and never blocks.
 */
#include "mcp_internal.h"

#include "json_util.h"
#include "metrics.h"

#include <string.h>

/* items of one list of a filter */
#define MAX_WATCHED 256

static const json_t *
filter_of(const McpCall *call)
{
	return json_object_get(call->msg.params, "notifications");
}

/* What a filter lists, if anything, are strings and not too many. */
static bool
list_is_valid(const json_t *list)
{
	size_t		i;
	json_t	   *item;

	if (list == NULL)
		return true;
	if (!json_is_array(list) || json_array_size(list) > MAX_WATCHED)
		return false;
	json_array_foreach(list, i, item)
	{
		if (!json_util_is_text(item))
			return false;
	}
	return true;
}

/* A notification on a stream, up to the members that come after _meta. */
static void
put_note(Buf *out, const McpCall *stream, const char *method)
{
	json_util_put(out, "{'jsonrpc':'2.0','method':'%s','params':{"
				  "'_meta':{'io.modelcontextprotocol/subscriptionId':%p}",
				  method, stream->msg.id);
}

/* Says back what of the filter is known here. */
static void
put_acknowledgement(McpCall *call)
{
	static const char *const wishes[] = {
		"toolsListChanged", "promptsListChanged", "resourcesListChanged",
		"resourceSubscriptions", "taskIds"
	};
	const char *comma = "";
	Buf		   *out = &call->out;

	put_note(out, call, "notifications/subscriptions/acknowledged");
	buf_puts(out, ",\"notifications\":{");
	for (size_t i = 0; i < 5; i++)
	{
		const json_t *wish = json_object_get(filter_of(call), wishes[i]);

		if (i < 3 ? !json_is_true(wish) : wish == NULL)
			continue;
		json_util_put(out, "%s'%s':%p", comma, wishes[i], wish);
		comma = ",";
	}
	buf_puts(out, "}}}");
}

/* The filter is good, and the client and its transport may listen. */
static bool
may_listen(McpCall *call)
{
	const json_t *filter = filter_of(call);
	const json_t *person = json_object_get(call->meta, MCP_PERSON);

	if (!json_is_object(filter) ||
		!list_is_valid(json_object_get(filter, "resourceSubscriptions")) ||
		!list_is_valid(json_object_get(filter, "taskIds")))
		return mcp_invalid_params(call,
								  "notifications must be a filter object, "
								  "with at most 256 items in a list");
	if (!json_is_null(person) && person != NULL &&
		json_util_string(call->meta, MCP_PERSON) == NULL)
		return mcp_invalid_params(call, "_meta " MCP_PERSON " must be a string");
	if (json_object_get(filter, "taskIds") != NULL && !mcp_may_use_tasks(call))
		return false;
	return call->transport->may_stream == NULL ||
		call->transport->may_stream(call);
}

bool
mcp_names_person(const McpCall *call, const json_t *person)
{
	const json_t *own = json_object_get(call->meta, MCP_PERSON);

	return own == person || json_equal(own, person);
}

/*
 * True if the call is a stream now, and then it may have ended already and be
 * gone: only its transport knows what is left of it.
 */
void
mcp_unlink_stream(McpCall *call)
{
	LIST_REMOVE(call, link);
	call->streaming = false;
	metrics_gauge_add(METRICS_STREAMS, -1);
}

bool
mcp_listen(McpCall *call)
{
	Mcp		   *mcp = call->mcp;
	const char *credential = call->credential;
	json_t	   *person;

	if (!may_listen(call))
		return false;
	put_acknowledgement(call);
	if (!buf_ok(&call->out))
		return false;			/* mcp_accept says so */
	person = json_deep_copy(json_object_get(call->meta, MCP_PERSON));
	pthread_mutex_lock(&mcp->lock);
	call->streaming = true;
	LIST_INSERT_HEAD(&mcp->streams, call, link);
	metrics_gauge_add(METRICS_STREAMS, 1);
	call->transport->notify(call, call->out.data, call->out.len);
	buf_reset(&call->out);
	pthread_mutex_unlock(&mcp->lock);
	if (mcp->host->listening != NULL)
		mcp->host->listening(mcp->host->listener, credential, person);
	json_decref(person);
	return true;
}

/* Sends one notification: members go after _meta in params. */
static void
send_note(McpCall *stream, const char *method, const char *members)
{
	Buf			note;

	buf_init(&note);
	put_note(&note, stream, method);
	json_util_put(&note, ",%s}}", members);
	if (buf_ok(&note))
		stream->transport->notify(stream, note.data, note.len);
	buf_free(&note);
}

/* Whether its filter names the item in the list so called. */
static bool
watches(const McpCall *stream, const char *list, const char *item)
{
	size_t		i;
	json_t	   *listed;

	json_array_foreach(json_object_get(filter_of(stream), list), i, listed)
	{
		if (strcmp(json_string_value(listed), item) == 0)
			return true;
	}
	return false;
}

/* Whether both have the same credential and name the same person. */
static bool
is_of(const McpCall *stream, const McpCall *as)
{
	return as == NULL ||
		(stream->credential != NULL &&
		 strcmp(stream->credential, as->credential) == 0 &&
		 mcp_names_person(stream, json_object_get(as->meta, MCP_PERSON)));
}

/* To every stream whose filter names `item` in the list so called. */
static void
publish(Mcp *mcp, const McpCall *as, const char *list, const char *item,
		const char *method, const char *members)
{
	McpCall    *call;

	pthread_mutex_lock(&mcp->lock);
	LIST_FOREACH(call, &mcp->streams, link)
		if (is_of(call, as) && watches(call, list, item))
			send_note(call, method, members);
	pthread_mutex_unlock(&mcp->lock);
}

void
mcp_publish_resource(Mcp *mcp, const McpCall *as, const char *uri)
{
	Buf			members;

	buf_init(&members);
	json_util_put(&members, "'uri':'%s'", uri);
	if (buf_ok(&members))
		publish(mcp, as, "resourceSubscriptions", uri,
				"notifications/resources/updated", members.data);
	buf_free(&members);
}

void
mcp_publish_task(Mcp *mcp, const McpCall *as, const char *task_id,
				 const char *task)
{
	publish(mcp, as, "taskIds", task_id, "notifications/tasks", task);
}

void
mcp_each_stream(Mcp *mcp, void (*fn) (McpCall *call, void *arg), void *arg)
{
	McpCall    *call;

	pthread_mutex_lock(&mcp->lock);
	LIST_FOREACH(call, &mcp->streams, link)
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
		mcp_unlink_stream(call);
	pthread_mutex_unlock(&mcp->lock);
	return open;
}

static void
end_stream(McpCall *call)
{
	jsonrpc_begin(&call->out, call->msg.id);
	json_util_put(&call->out, "'result':{'resultType':'complete','_meta':{"
				  "'io.modelcontextprotocol/subscriptionId':%p,"
				  "'io.modelcontextprotocol/serverInfo':%s}}}",
				  call->msg.id, call->mcp->server_info);
	if (!buf_ok(&call->out))
		mcp_error(call, JSONRPC_INTERNAL_ERROR, "Out of memory");
	call->transport->finish(call);
}

/*
 * Takes one stream out of the list, of those as `as` or, where that is NULL, of
 * any; it is the caller's then.
 */
static McpCall *
take_stream(Mcp *mcp, const McpCall *as)
{
	McpCall    *call;

	pthread_mutex_lock(&mcp->lock);
	LIST_FOREACH(call, &mcp->streams, link)
		if (is_of(call, as))
			break;
	if (call != NULL)
		mcp_unlink_stream(call);
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
mcp_refuse_streams(Mcp *mcp, const McpCall *as, const char *message)
{
	McpCall    *call;

	while ((call = take_stream(mcp, as)) != NULL)
	{
		call->verdict = MCP_REFUSED;
		mcp_error(call, MCP_UNAUTHORIZED, message);
		call->transport->finish(call);
	}
}
