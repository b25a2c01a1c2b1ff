/*
 * mcp_dispatch.c
 *		From one message to one handler: era, version, headers, method.
 *
 * Nothing is remembered between messages of the modern era.  In the legacy one
 * a session id, where HTTP carries one, names the version that was agreed.
 */
#include "mcp_internal.h"

#include "auth.h"
#include "json_util.h"
#include "metrics.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define META_VERSION "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"

const char	mcp_modern_version[] = "2026-07-28";

/* newest first; the last one is what an absent header means */
const char *const mcp_legacy_versions[] = {
	"2025-11-25", "2025-06-18", "2025-03-26", NULL
};

static const char default_legacy_version[] = "2025-03-26";

/* ------------------------------------------------------------------------
 * Life of the server object and of calls
 * ------------------------------------------------------------------------
 */

/* {"name":... of whatever has a name and perhaps a title */
void
mcp_put_names(Buf *out, const char *name, const char *title)
{
	json_util_put(out, "{'name':'%s'", name);
	if (title != NULL)
		json_util_put(out, ",'title':'%s'", title);
}

static char *
make_server_info(const McpHost *host)
{
	Buf			b;

	buf_init(&b);
	mcp_put_names(&b, host->name, host->title);
	json_util_put(&b, ",'version':'%s'}", host->version);
	if (buf_ok(&b))
		return b.data;
	buf_free(&b);
	return NULL;
}

Mcp *
mcp_create(const McpHost *host, SessionTable *sessions)
{
	Mcp		   *mcp = calloc(1, sizeof(*mcp));

	if (mcp == NULL)
		return NULL;
	mcp->server_info = make_server_info(host);
	if (mcp->server_info == NULL)
	{
		free(mcp);
		return NULL;
	}
	mcp->host = host;
	mcp->sessions = sessions;
	pthread_mutex_init(&mcp->lock, NULL);
	return mcp;
}

void
mcp_free(Mcp *mcp)
{
	if (mcp == NULL)
		return;
	pthread_mutex_destroy(&mcp->lock);
	free(mcp->server_info);
	free(mcp);
}

const McpHost *
mcp_host(const Mcp *mcp)
{
	return mcp->host;
}

void
mcp_call_init(McpCall *call, Mcp *mcp, const Transport *transport)
{
	memset(call, 0, sizeof(*call));
	call->mcp = mcp;
	call->transport = transport;
	call->http_status = 200;
	call->watch_fd = -1;
	call->progress = -1;
	call->era = MCP_LEGACY;
	call->version = default_legacy_version;
	atomic_init(&call->cancelled, false);
	atomic_init(&call->wake_fd, -1);
}

static void
register_call(McpCall *call)
{
	Mcp		   *mcp = call->mcp;

	pthread_mutex_lock(&mcp->lock);
	LIST_INSERT_HEAD(&mcp->calls, call, link);
	mcp->call_count++;
	call->registered = true;
	pthread_mutex_unlock(&mcp->lock);
}

static void
release_parked(McpCall *call)
{
	if (call->parked != NULL)
		call->mcp->host->parking->release(call->parked);
	call->parked = NULL;
}

void
mcp_call_clear(McpCall *call)
{
	Mcp		   *mcp = call->mcp;

	if (call->registered || call->streaming)
	{
		pthread_mutex_lock(&mcp->lock);
		if (call->streaming)
			mcp_unlink_stream(call);
		else if (call->registered)
		{
			LIST_REMOVE(call, link);
			call->registered = false;
			mcp->call_count--;
		}
		pthread_mutex_unlock(&mcp->lock);
	}
	release_parked(call);
	jsonrpc_clear(&call->msg);
	buf_free(&call->out);
}

size_t
mcp_running(Mcp *mcp)
{
	size_t		n;

	pthread_mutex_lock(&mcp->lock);
	n = mcp->call_count;
	pthread_mutex_unlock(&mcp->lock);
	return n;
}

/* ------------------------------------------------------------------------
 * Cancellation
 * ------------------------------------------------------------------------
 */

/* Safe from any thread while the call is registered. */
void
mcp_cancel(McpCall *call)
{
	int			fd;

	atomic_store(&call->cancelled, true);
	fd = atomic_load(&call->wake_fd);
	if (fd >= 0)
		eventfd_write(fd, 1);
}

void
mcp_cancel_all(Mcp *mcp)
{
	McpCall    *call;

	pthread_mutex_lock(&mcp->lock);
	LIST_FOREACH(call, &mcp->calls, link)
		mcp_cancel(call);
	pthread_mutex_unlock(&mcp->lock);
}

/*
 * Ends a stream that its client gave up.  Runs without the lock, since finish
 * frees the call.
 */
static void
drop_stream(McpCall *stream)
{
	buf_reset(&stream->out);
	stream->transport->finish(stream);
}

static McpCall *
find_by_id(McpCalls *list, const char *session, const json_t *id)
{
	McpCall    *call;

	LIST_FOREACH(call, list, link)
		if (json_equal(call->msg.id, id) && strcmp(call->session, session) == 0)
			return call;
	return NULL;
}

/*
 * notifications/cancelled.  Over HTTP a request id says nothing without the
 * session it belongs to: two clients count from the same number.
 */
static void
cancel_by_id(McpCall *note, bool http)
{
	Mcp		   *mcp = note->mcp;
	const json_t *id = json_object_get(note->msg.params, "requestId");
	McpCall    *call;
	McpCall    *stream = NULL;

	if (id == NULL || (http && note->session[0] == '\0'))
		return;
	pthread_mutex_lock(&mcp->lock);
	call = find_by_id(&mcp->calls, note->session, id);
	if (call != NULL)
		mcp_cancel(call);
	else
		stream = find_by_id(&mcp->streams, note->session, id);
	if (stream != NULL)
		mcp_unlink_stream(stream);
	pthread_mutex_unlock(&mcp->lock);
	if (stream != NULL)
		drop_stream(stream);
}

/* ------------------------------------------------------------------------
 * Answers
 * ------------------------------------------------------------------------
 */

void
mcp_result_begin_as(McpCall *call, const char *result_type)
{
	buf_reset(&call->out);
	jsonrpc_begin(&call->out, call->msg.id);
	buf_puts(&call->out, "\"result\":{");
	if (call->era != MCP_MODERN)
		return;
	buf_puts(&call->out, "\"resultType\":");
	buf_json_cstr(&call->out, result_type);
	buf_puts(&call->out,
			 ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":");
	buf_puts(&call->out, call->mcp->server_info);
	buf_putc(&call->out, '}');
}

void
mcp_result_begin(McpCall *call)
{
	mcp_result_begin_as(call, "complete");
}

void
mcp_member(McpCall *call, const char *name)
{
	if (call->out.len > 0 && call->out.data[call->out.len - 1] != '{')
		buf_putc(&call->out, ',');
	buf_json_cstr(&call->out, name);
	buf_putc(&call->out, ':');
}

void
mcp_put(McpCall *call, const char *template,...)
{
	va_list		args;

	if (call->out.len > 0 && call->out.data[call->out.len - 1] != '{')
		buf_putc(&call->out, ',');
	va_start(args, template);
	json_util_vput(&call->out, template, args);
	va_end(args);
}

void
mcp_cache_hint(McpCall *call)
{
	if (call->era == MCP_MODERN)
		mcp_put(call, "'ttlMs':%ld,'cacheScope':'%s'",
				call->mcp->host->list_ttl_ms, call->mcp->host->list_scope);
}

void
mcp_result_end(McpCall *call)
{
	buf_puts(&call->out, "}}");
}

bool
mcp_error_put(McpCall *call, int code, const char *template,...)
{
	va_list		args;

	buf_reset(&call->out);
	jsonrpc_begin(&call->out, call->msg.id);
	json_util_put(&call->out, "'error':{'code':%d,'message':", code);
	va_start(args, template);
	json_util_vput(&call->out, template, args);
	va_end(args);
	buf_puts(&call->out, "}}");
	call->outcome = MCP_OUTCOME_FAULT;
	if (code > 0)
		call->http_status = code;
	else if (code == JSONRPC_INTERNAL_ERROR)
		call->http_status = 500;
	else if (code == MCP_HEADER_MISMATCH || code == MCP_MISSING_CAPABILITY ||
			 code == MCP_UNSUPPORTED_VERSION)
		call->http_status = 400;
	return false;
}

bool
mcp_error(McpCall *call, int code, const char *message)
{
	return mcp_error_put(call, code, "'%s'", message);
}

/* message goes on after "Invalid params: " */
bool
mcp_invalid_params(McpCall *call, const char *message)
{
	return mcp_error_put(call, JSONRPC_INVALID_PARAMS, "'Invalid params: %s'",
						 message);
}

bool
mcp_bad_request(McpCall *call, int code, const char *message)
{
	mcp_error(call, code, message);
	call->http_status = 400;
	return false;
}

bool
mcp_refuse_cursor(McpCall *call)
{
	return json_object_get(call->msg.params, "cursor") != NULL &&
		!mcp_invalid_params(call, "unknown cursor");
}

void
mcp_not_found(McpCall *call, const char *uri)
{
	mcp_error_put(call, call->era == MCP_MODERN ? JSONRPC_INVALID_PARAMS :
				  MCP_RESOURCE_NOT_FOUND_LEGACY,
				  "'Resource not found','data':{'uri':'%s'}", uri);
}

bool
mcp_missing_capability(McpCall *call, const char *capabilities)
{
	return mcp_error_put(call, MCP_MISSING_CAPABILITY,
						 "'Missing required client capability',"
						 "'data':{'requiredCapabilities':%s}", capabilities);
}

void
mcp_put_versions(Buf *out)
{
	json_util_put(out, "['%s'", mcp_modern_version);
	for (const char *const *v = mcp_legacy_versions; *v != NULL; v++)
		json_util_put(out, ",'%s'", *v);
	buf_putc(out, ']');
}

static bool
unsupported_version(McpCall *call, const char *requested)
{
	Buf			supported;

	buf_init(&supported);
	mcp_put_versions(&supported);
	mcp_error_put(call, MCP_UNSUPPORTED_VERSION, "'Unsupported protocol version',"
				  "'data':{'supported':%s,'requested':'%s'}",
				  buf_cstr(&supported), requested);
	if (!buf_ok(&supported))
		call->out.failed = true;
	buf_free(&supported);
	return false;
}

/* ------------------------------------------------------------------------
 * What the client said about itself
 * ------------------------------------------------------------------------
 */

json_t *
mcp_client_capability(const McpCall *call, const char *name)
{
	return json_util_object(json_object_get(call->meta, META_CAPABILITIES),
							name);
}

bool
mcp_client_extension(const McpCall *call, const char *name)
{
	return json_util_object(mcp_client_capability(call, "extensions"),
							name) != NULL;
}

/* ------------------------------------------------------------------------
 * The two eras
 * ------------------------------------------------------------------------
 */

const char *
mcp_legacy_version(const char *version)
{
	for (const char *const *v = mcp_legacy_versions; *v != NULL; v++)
		if (strcmp(*v, version) == 0)
			return *v;
	return NULL;
}

static bool
says_modern(const McpHeaders *headers)
{
	return headers != NULL && headers->version != NULL &&
		strcmp(headers->version, mcp_modern_version) == 0;
}

static bool
is_modern(const McpCall *call, const McpHeaders *headers)
{
	const json_t *version = json_object_get(call->meta, META_VERSION);
	const char *text = json_string_value(version);

	if (version != NULL)
		return text == NULL || mcp_legacy_version(text) == NULL;
	if (call->msg.kind == JSONRPC_REQUEST &&
		(strcmp(call->msg.method, "server/discover") == 0 ||
		 strcmp(call->msg.method, "subscriptions/listen") == 0))
		return true;
	return says_modern(headers);
}

static bool
check_modern(McpCall *call, const McpHeaders *headers)
{
	const char *version = json_util_string(call->meta, META_VERSION);

	if (version == NULL)
		return mcp_bad_request(call, JSONRPC_INVALID_PARAMS,
							   "Invalid params: _meta lacks " META_VERSION);
	if (headers != NULL &&
		!mcp_check_header(call, headers->version, version, strlen(version),
					  "MCP-Protocol-Version"))
		return false;
	if (strcmp(version, mcp_modern_version) != 0)
		return unsupported_version(call, version);
	if (json_util_object(call->meta, META_CAPABILITIES) == NULL)
		return mcp_bad_request(call, JSONRPC_INVALID_PARAMS,
							   "Invalid params: _meta lacks " META_CAPABILITIES);
	return headers == NULL ||
		mcp_check_header(call, headers->method, call->msg.method,
					 strlen(call->msg.method), "Mcp-Method");
}

static bool
join_session(McpCall *call, const char *id)
{
	AuthDigest	owner;
	const char *version;

	if (call->mcp->sessions == NULL)
		return true;
	if (!auth_owner(call->credential, &owner))
		return mcp_error(call, JSONRPC_INTERNAL_ERROR, "Out of memory");
	version = session_find(call->mcp->sessions, id, &owner, time(NULL));
	if (version == NULL)
		return mcp_error(call, MCP_UNKNOWN_SESSION, "Session not found");
	call->version = version;
	strncpy(call->session, id, sizeof(call->session) - 1);
	return true;
}

static bool
check_legacy(McpCall *call, const McpHeaders *headers)
{
	if (headers == NULL || (call->msg.kind == JSONRPC_REQUEST &&
							strcmp(call->msg.method, "initialize") == 0))
		return true;
	if (headers->version != NULL)
	{
		const char *version = mcp_legacy_version(headers->version);

		if (version == NULL)
			return unsupported_version(call, headers->version);
		call->version = version;
	}
	return headers->session == NULL || join_session(call, headers->session);
}

/* ------------------------------------------------------------------------
 * Dispatch
 * ------------------------------------------------------------------------
 */

McpRoute
mcp_accept_notification(McpCall *call, bool http)
{
	if (call->msg.method != NULL &&
		strcmp(call->msg.method, "notifications/cancelled") == 0)
		cancel_by_id(call, http);
	if (call->msg.kind == JSONRPC_RESPONSE &&
		call->mcp->host->responded != NULL)
		call->mcp->host->responded(call);
	call->http_status = 202;
	return MCP_SILENT;
}

static McpRoute
reject_method(McpCall *call)
{
	mcp_error_put(call, JSONRPC_METHOD_NOT_FOUND, "'Method not found: %s'",
				  call->msg.method);
	if (call->era == MCP_MODERN)
		call->http_status = 404;
	return MCP_ANSWERED;
}

/* tools/call is looked at before a worker is asked for it. */
static bool
check_tool(McpCall *call)
{
	const char *name = json_util_string(call->msg.params, "name");
	const json_t *arguments = json_object_get(call->msg.params, "arguments");

	call->tool = name != NULL ? mcp_find_tool(call->mcp, name) : NULL;
	if (call->tool == NULL)
		return mcp_invalid_params(call, name == NULL ?
								  "name must be a string" : "unknown tool");
	if (arguments != NULL && !json_is_object(arguments))
		return mcp_invalid_params(call, "arguments must be an object");
	return true;
}

/*
 * Whether a credential has to be judged before the handler, which does not ask
 * for anything.  What blocks is judged, if at all, by what it asks for.
 */
static bool
needs_admission(const McpCall *call)
{
	return call->mcp->host->admit != NULL && call->transport->challenges &&
		!call->method->blocking && call->method->handler != NULL &&
		strcmp(call->method->name, "ping") != 0;
}

McpRoute
mcp_accept_request(McpCall *call, const McpHeaders *headers)
{
	call->method = mcp_find_method(call->mcp, call->msg.method, call->era);
	if (call->era == MCP_MODERN && headers != NULL &&
		!mcp_check_name_header(call, headers))
		return MCP_ANSWERED;
	if (call->method == NULL)
		return reject_method(call);
	if (strcmp(call->method->name, "tools/call") == 0 && !check_tool(call))
		return MCP_ANSWERED;
	if (call->method->blocking || needs_admission(call))
	{
		register_call(call);
		return MCP_DEFERRED;
	}
	if (call->method->handler == NULL)
		return mcp_listen(call) ? MCP_STREAMING : MCP_ANSWERED;
	call->method->handler(call);
	return MCP_ANSWERED;
}

static McpRoute
route(McpCall *call, const McpHeaders *headers)
{
	if (json_is_array(call->msg.root) && !says_modern(headers))
	{
		if (!check_legacy(call, headers))
			return MCP_ANSWERED;
		if (mcp_is_batch(call))
			return mcp_accept_batch(call);
	}
	if (call->msg.kind == JSONRPC_INVALID)
	{
		mcp_bad_request(call, call->msg.error_code, call->msg.error_message);
		return MCP_ANSWERED;
	}
	call->meta = json_util_object(call->msg.params, "_meta");
	if (call->msg.kind == JSONRPC_REQUEST && is_modern(call, headers))
	{
		call->era = MCP_MODERN;
		call->version = mcp_modern_version;
		return check_modern(call, headers) ? mcp_accept_request(call, headers) :
			MCP_ANSWERED;
	}
	if (call->msg.kind != JSONRPC_REQUEST && says_modern(headers))
		return mcp_accept_notification(call, headers != NULL);
	if (!check_legacy(call, headers))
		return MCP_ANSWERED;
	if (call->msg.kind != JSONRPC_REQUEST)
		return mcp_accept_notification(call, headers != NULL);
	return mcp_accept_request(call, headers);
}

McpRoute
mcp_accept(McpCall *call, const char *text, size_t len,
		   const McpHeaders *headers)
{
	McpRoute	taken;

	jsonrpc_parse(text, len, &call->msg);
	taken = route(call, headers);
	if (taken == MCP_ANSWERED && !buf_ok(&call->out))
		mcp_error(call, JSONRPC_INTERNAL_ERROR, "Out of memory");
	return taken;
}

void
mcp_prepare(McpCall *call, const McpMethod *method)
{
	call->method = method;
	register_call(call);
}

/* A cancelled call over stdio gets no answer; see Transport. */
static void
settle(McpCall *call)
{
	if (!buf_ok(&call->out))
		mcp_error(call, JSONRPC_INTERNAL_ERROR,
				  "The result is larger than this server can hold");
	if (atomic_load(&call->cancelled))
	{
		call->outcome = MCP_OUTCOME_CANCELLED;
		if (!call->transport->answer_when_cancelled)
			buf_reset(&call->out);
	}
}

/* The end of every deferred call; the call may be gone afterwards. */
static void
conclude(McpCall *call)
{
	const char *name = call->tool != NULL ? call->tool->name :
		call->method->name;

	settle(call);
	release_parked(call);
	metrics_count_call(name, (int) call->outcome,
					   metrics_clock() - call->started);
	mcp_log_call(call, name);
	call->transport->finish(call);
}

void
mcp_run(McpCall *call, int wake_fd)
{
	if (call->started == 0)
		call->started = metrics_clock();
	atomic_store(&call->wake_fd, wake_fd);

	/* what is under way is cancelled by the handler's wait */
	if ((call->parked != NULL || !atomic_load(&call->cancelled)) &&
		(!needs_admission(call) || call->mcp->host->admit(call)))
		call->method->handler(call);
	atomic_store(&call->wake_fd, -1);
	conclude(call);
}

/* ------------------------------------------------------------------------
 * Without waiting
 * ------------------------------------------------------------------------
 */

/*
 * A call that comes back with a state is left out: opening it is not to be
 * done twice.  One that was cancelled in the queue is not to be begun at all.
 */
static bool
can_park(const McpCall *call)
{
	return call->mcp->host->parking != NULL && call->tool != NULL &&
		!atomic_load(&call->cancelled) &&
		(call->tool->flags & MCP_TOOL_PARKS) != 0 &&
		json_object_get(call->msg.params, "requestState") == NULL;
}

/* Runs the handler; false if it stopped, and nothing of it is left. */
static bool
try_handler(McpCall *call, McpPhase phase)
{
	call->phase = phase;
	call->stopped = false;
	call->method->handler(call);
	call->phase = MCP_PHASE_WORKER;
	if (!call->stopped)
		return true;
	call->stopped = call->unparked = false;
	buf_reset(&call->out);
	call->outcome = MCP_OUTCOME_OK;
	call->verdict = MCP_UNJUDGED;
	call->http_status = 200;
	call->retry_after = 0;
	call->scope[0] = '\0';
	return false;
}

McpStart
mcp_start(McpCall *call)
{
	call->started = metrics_clock();
	if (!can_park(call))
		return MCP_START_DECLINED;
	if (!try_handler(call, MCP_PHASE_START))
		return call->parked != NULL ? MCP_START_PARKED : MCP_START_DECLINED;
	conclude(call);
	return MCP_START_DONE;
}

bool
mcp_finish(McpCall *call)
{
	if (!try_handler(call, MCP_PHASE_FINISH))
		return false;
	conclude(call);
	return true;
}

bool
mcp_session_end(Mcp *mcp, const char *id, const char *credential)
{
	AuthDigest	owner;

	if (mcp->sessions == NULL || !auth_owner(credential, &owner))
		return false;
	return session_close(mcp->sessions, id, &owner);
}
