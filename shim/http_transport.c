/*
 * http_transport.c
 *		Streamable HTTP on libmicrohttpd: one request.
 *
 * One thread polls all connections and never waits for PostgreSQL: a request
 * that needs the database is started, see loop.c.  While it is with that
 * thread, which most are to their end, the library asks for its answer in each
 * run.  Before it goes to a worker, or into the queue, its connection is
 * suspended; whoever has its answer then wakes the connection up.
 *
 * An HttpCall has two references, the connection's and the call's (or
 * stream's), and goes when both are done; its lock guards what the two share.
 */
#include "http_internal.h"

#include "log.h"
#include "metrics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is discarded of a body that is too large before the line is cut. */
#define MAX_DISCARD (8L * 1024 * 1024)

/*
 * Room for bodies that are here in part, of all requests, whose credentials
 * nobody has seen yet.  One of the largest, whose room doubles as it grows, may
 * come to that, and each may have a few bytes.
 */
#define MAX_UNREAD_BODIES ((size_t) 64 * 1024 * 1024)
#define FEW_BYTES ((size_t) 64 * 1024)

/* Bytes of events that may wait for a client before there is another one. */
#define MAX_UNREAD (1024 * 1024)

/* Nanoseconds for which it is known whether PostgreSQL can be reached. */
#define READY_NS UINT64_C(1000000000)

/* ------------------------------------------------------------------------
 * Life of a request
 * ------------------------------------------------------------------------
 */

/* By the loop's thread, unless there is none. */
static void
forget_body(HttpCall *hc)
{
	if (hc->body.cap > 0)
		hc->http->unread -= hc->body.cap;
	buf_wipe(&hc->body);
}

static void
release(HttpCall *hc)
{
	if (atomic_fetch_sub(&hc->references, 1) > 1)
		return;
	auth_leave(&hc->use);
	mcp_call_clear(&hc->call);
	forget_body(hc);
	buf_free(&hc->events);
	if (hc->credential != NULL)
		explicit_bzero(hc->credential, strlen(hc->credential));
	free(hc->credential);
	free(hc->origin);
	pthread_mutex_destroy(&hc->lock);
	atomic_fetch_sub(&hc->http->requests, 1);
	free(hc);
}

/* Under hc->lock. */
static void
wake(HttpCall *hc)
{
	if (hc->gone || !(hc->suspended || hc->waiting))
		return;
	if (hc->suspended)
		MHD_resume_connection(hc->connection);
	hc->suspended = false;
	loop_wake(hc->http->loop);
}

/* Under hc->lock, or before anybody else has it. */
static void
suspend(HttpCall *hc)
{
	hc->suspended = true;
	MHD_suspend_connection(hc->connection);
}

/* Under hc->lock, by the loop's thread. */
static void
set_waiting(HttpCall *hc, bool waiting)
{
	hc->http->waiting += waiting - hc->waiting;
	hc->waiting = waiting;
}

/*
 * From here on the library may not close the connection, which others look at.
 * It says that this is safe in its callbacks; what counts is that its thread
 * does it, while no run is under way or in the run of this connection.
 */
static void
detach(McpCall *call)
{
	HttpCall   *hc = (HttpCall *) call;
	const union MHD_ConnectionInfo *info;

	pthread_mutex_lock(&hc->lock);
	if (hc->waiting)
	{
		set_waiting(hc, false);
		info = MHD_get_connection_info(hc->connection,
									   MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info != NULL && call->era == MCP_MODERN)
			call->watch_fd = info->connect_fd;
		suspend(hc);
	}
	pthread_mutex_unlock(&hc->lock);
}

/* Forgets what was sent, once that is the larger part. */
static void
compact_events(HttpCall *hc)
{
	size_t		left = hc->events.len - hc->sent;

	if (hc->sent <= left || hc->events.failed)
		return;
	memmove(hc->events.data, hc->events.data + hc->sent, left);
	buf_truncate(&hc->events, left);
	hc->sent = 0;
}

/* The line of a client that does not read what it asked for is cut. */
static void
put_event(HttpCall *hc, const char *json, size_t len)
{
	compact_events(hc);
	if (hc->events.len - hc->sent > MAX_UNREAD)
	{
		hc->events.failed = true;
		return;
	}
	buf_puts(&hc->events, "event: message\ndata: ");
	buf_append(&hc->events, json, len);
	buf_puts(&hc->events, "\n\n");
}

/* Whether a request that could be answered by a plain result may get events. */
static bool
takes_events(const HttpCall *hc)
{
	const char *accept = hc->headers[HTTP_ACCEPT];

	return accept == NULL || strstr(accept, "text/event-stream") != NULL ||
		strstr(accept, "*/*") != NULL || strstr(accept, "text/*") != NULL;
}

static void
notify(McpCall *call, const char *json, size_t len)
{
	HttpCall   *hc = (HttpCall *) call;

	pthread_mutex_lock(&hc->lock);
	if (!hc->gone && (call->streaming || takes_events(hc)))
	{
		hc->streaming = true;
		put_event(hc, json, len);
		wake(hc);
	}
	pthread_mutex_unlock(&hc->lock);
}

/* What the database made of the credential, for the limit of failures. */
static void
note_credential(const HttpCall *hc)
{
	bool		refused = hc->call.verdict == MCP_REFUSED;

	if (refused)
		metrics_count(METRICS_AUTH_FAILED);
	if (hc->call.verdict != MCP_UNJUDGED)
		auth_note(&hc->use, !refused, time(NULL));
}

static void
finish(McpCall *call)
{
	HttpCall   *hc = (HttpCall *) call;

	note_credential(hc);
	pthread_mutex_lock(&hc->lock);
	hc->finished = true;
	if (hc->streaming && call->out.len > 0 && buf_ok(&call->out))
		put_event(hc, call->out.data, call->out.len);
	wake(hc);
	pthread_mutex_unlock(&hc->lock);
	release(hc);
}

static bool
refuse_late(HttpCall *hc)
{
	return mcp_error(&hc->call, MCP_OVERLOADED, "This server is stopping");
}

static bool
may_stream(McpCall *call)
{
	HttpCall   *hc = (HttpCall *) call;

	if (hc->http->leaving)
		return refuse_late(hc);
	return http_admit(hc, HTTP_USE_STREAM);
}

static const Transport http_transport = {
	.answer_when_cancelled = true,
	.challenges = true,
	.notify = notify,
	.finish = finish,
	.detach = detach,
	.may_stream = may_stream
};

static HttpCall *
create_call(Http *http, struct MHD_Connection *connection)
{
	HttpCall   *hc = calloc(1, sizeof(*hc));

	if (hc == NULL)
		return NULL;
	mcp_call_init(&hc->call, http->server->mcp, &http_transport);
	hc->http = http;
	hc->connection = connection;
	hc->references = 1;
	pthread_mutex_init(&hc->lock, NULL);
	atomic_fetch_add(&http->requests, 1);
	return hc;
}

void
http_request_completed(void *arg, struct MHD_Connection *connection,
					   void **state, enum MHD_RequestTerminationCode code)
{
	HttpCall   *hc = *state;

	(void) arg;
	(void) code;
	if (hc == NULL)
		return;
	*state = NULL;
	http_line_served(connection, false);
	pthread_mutex_lock(&hc->lock);
	set_waiting(hc, false);
	hc->gone = true;
	if (!hc->finished && hc->accepted && hc->call.era == MCP_MODERN)
		mcp_cancel(&hc->call);
	pthread_mutex_unlock(&hc->lock);
	if (mcp_leave_stream(&hc->call))
		release(hc);
	release(hc);
}

/* ------------------------------------------------------------------------
 * Responses
 * ------------------------------------------------------------------------
 */

static void
add_cors(HttpCall *hc, struct MHD_Response *response)
{
	if (hc->origin == NULL)
		return;
	MHD_add_response_header(response, "Access-Control-Allow-Origin", hc->origin);
	MHD_add_response_header(response, "Vary", "Origin");
	MHD_add_response_header(response, "Access-Control-Expose-Headers",
							"Mcp-Session-Id, WWW-Authenticate");
	if (!hc->preflight)
		return;
	MHD_add_response_header(response, "Access-Control-Allow-Methods",
							"POST, DELETE");
	MHD_add_response_header(response, "Access-Control-Allow-Headers",
							"Authorization, Content-Type, Accept, "
							"MCP-Protocol-Version, Mcp-Method, Mcp-Name, "
							"Mcp-Session-Id");
}

/* RFC 6750: why the credential does not do, and where to get one that does. */
static void
add_challenge(const HttpCall *hc, unsigned status,
			  struct MHD_Response *response)
{
	const char *scope = hc->call.scope;
	Buf			text;

	if (status != 401 && (status != 403 || scope[0] == '\0'))
		return;
	buf_init(&text);
	buf_puts(&text, "Bearer ");
	if (status == 403)
		buf_puts(&text, "error=\"insufficient_scope\", ");
	else if (hc->call.verdict == MCP_REFUSED)
		buf_puts(&text, "error=\"invalid_token\", ");
	buf_printf(&text, "resource_metadata=\"%s\", scope=\"%s\"",
			   hc->http->metadata_url, scope[0] != '\0' ? scope : HTTP_SCOPES);
	if (buf_ok(&text))
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
								text.data);
	buf_free(&text);
}

static void
add_retry_after(const HttpCall *hc, unsigned status,
				struct MHD_Response *response)
{
	char		seconds[16];

	if (status != 503 && status != 429)
		return;
	snprintf(seconds, sizeof(seconds), "%d", hc->call.retry_after > 0 ?
			 hc->call.retry_after : 1);
	MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
}

/* Takes over the body, which may be empty. */
static enum MHD_Result
respond(HttpCall *hc, unsigned status, const char *type, Buf body)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(body.len, body.data,
											   MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
	{
		buf_free(&body);
		return MHD_NO;
	}
	if (type != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == 405)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "POST, DELETE");
	if (hc->close || hc->http->leaving)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	add_challenge(hc, status, response);
	add_retry_after(hc, status, response);
	if (hc->call.session_opened)
		MHD_add_response_header(response, "Mcp-Session-Id", hc->call.session);
	add_cors(hc, response);
	result = MHD_queue_response(hc->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* A JSON-RPC error without an id, for what the core never saw. */
static enum MHD_Result
refuse(HttpCall *hc, unsigned status, int code, const char *message)
{
	Buf			body;

	metrics_count(METRICS_HTTP_REFUSED);
	buf_init(&body);
	jsonrpc_error(&body, NULL, code, message);
	return respond(hc, status, "application/json", body);
}

static enum MHD_Result
respond_text(HttpCall *hc, unsigned status, const char *type, const char *text)
{
	Buf			body;

	buf_init(&body);
	buf_puts(&body, text);
	return respond(hc, status, type, body);
}

static enum MHD_Result
respond_empty(HttpCall *hc, unsigned status)
{
	return respond(hc, status, NULL, (Buf) {NULL, 0, 0, false});
}

static enum MHD_Result
respond_answer(HttpCall *hc)
{
	Buf			body;

	/* cancelled in the queue, and not by its client */
	if (hc->call.out.len == 0 && hc->http->stopping)
		refuse_late(hc);
	body = hc->call.out;

	/* half an answer is none: the line is cut */
	if (!buf_ok(&body))
		return MHD_NO;
	if (body.len == 0)
		return respond_empty(hc, 202);
	buf_init(&hc->call.out);
	return respond(hc, (unsigned) hc->call.http_status, "application/json",
				   body);
}

/* ------------------------------------------------------------------------
 * Event streams
 * ------------------------------------------------------------------------
 */

static ssize_t
read_events(void *arg, uint64_t pos, char *out, size_t max)
{
	HttpCall   *hc = arg;
	ssize_t		n = 0;

	(void) pos;
	pthread_mutex_lock(&hc->lock);
	if (!buf_ok(&hc->events))
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	else if (hc->sent < hc->events.len)
	{
		size_t		left = hc->events.len - hc->sent;

		n = (ssize_t) (left < max ? left : max);
		memcpy(out, hc->events.data + hc->sent, (size_t) n);
		hc->sent += (size_t) n;
	}
	else if (hc->finished)
		n = MHD_CONTENT_READER_END_OF_STREAM;
	else
		suspend(hc);
	pthread_mutex_unlock(&hc->lock);
	return n;
}

static enum MHD_Result
respond_stream(HttpCall *hc)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096,
												 read_events, hc, NULL);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
							"text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	add_cors(hc, response);
	result = MHD_queue_response(hc->connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

void
http_keep_alive(McpCall *call, void *arg)
{
	HttpCall   *hc = (HttpCall *) call;

	(void) arg;
	pthread_mutex_lock(&hc->lock);
	if (!hc->gone && hc->sent == hc->events.len)
	{
		hc->sent = 0;
		buf_reset(&hc->events);
		buf_puts(&hc->events, ":\n\n");
		wake(hc);
	}
	pthread_mutex_unlock(&hc->lock);
}

/* ------------------------------------------------------------------------
 * Who may talk to us
 * ------------------------------------------------------------------------
 */

static bool
find_credential(HttpCall *hc)
{
	const char *text = hc->headers[HTTP_AUTHORIZATION];
	const char *fallback = hc->http->loopback ?
		hc->http->server->default_token : NULL;

	if (text != NULL)
		text = auth_bearer(text);
	else
		text = fallback;
	if (text == NULL)
		return false;
	hc->credential = strdup(text);
	hc->call.credential = hc->credential;
	return hc->credential != NULL;
}

/* ------------------------------------------------------------------------
 * POST /mcp
 * ------------------------------------------------------------------------
 */

static bool
content_is_json(HttpCall *hc)
{
	const char *type = hc->headers[HTTP_CONTENT_TYPE];

	return type != NULL && strncasecmp(type, "application/json", 16) == 0 &&
		strchr("; \t", type[16]) != NULL;
}

static bool
accept_is_fine(HttpCall *hc)
{
	const char *accept = hc->headers[HTTP_ACCEPT];

	return accept == NULL || strstr(accept, "application/json") != NULL ||
		strstr(accept, "*/*") != NULL || strstr(accept, "application/*") != NULL;
}

/*
 * A body that is too large is refused unread where the client waits to be asked
 * for it, or where it is larger than we care to discard.  Others are read
 * first: an answer to a client that still writes may be lost.
 */
static bool
length_is_fine(HttpCall *hc)
{
	const char *length = hc->headers[HTTP_CONTENT_LENGTH];
	unsigned long long n = length != NULL ? strtoull(length, NULL, 10) : 0;

	hc->too_large = n > (unsigned long long) hc->http->server->cf->max_body;
	return !hc->too_large ||
		(n <= MAX_DISCARD && hc->headers[HTTP_EXPECT] == NULL);
}

/* Everything that can be decided from the headers alone. */
static enum MHD_Result
check_post(HttpCall *hc)
{
	if (!find_credential(hc))
		return refuse(hc, 401, MCP_UNAUTHORIZED, "A bearer token is required");
	if (!content_is_json(hc))
		return refuse(hc, 415, JSONRPC_INVALID_REQUEST,
					  "Content-Type must be application/json");
	if (!accept_is_fine(hc))
		return refuse(hc, 406, JSONRPC_INVALID_REQUEST,
					  "Accept must list application/json and text/event-stream");
	if (!length_is_fine(hc))
		return refuse(hc, 413, JSONRPC_INVALID_REQUEST, "The body is too large");
	return MHD_YES;
}

static enum MHD_Result
take_body(HttpCall *hc, const char *data, size_t *size)
{
	size_t		n = *size;
	size_t		room = hc->body.cap;
	size_t		limit = (size_t) hc->http->server->cf->max_body;

	*size = 0;
	if (hc->too_large || hc->body.len + n > limit)
	{
		hc->too_large = true;
		hc->discarded += n;
		return hc->discarded > MAX_DISCARD ? MHD_NO : MHD_YES;
	}
	if (hc->body.len + n > FEW_BYTES &&
		hc->http->unread + n > MAX_UNREAD_BODIES + 2 * limit)
		return MHD_NO;
	buf_append(&hc->body, data, n);
	hc->http->unread += hc->body.cap - room;
	return buf_ok(&hc->body) ? MHD_YES : MHD_NO;
}

/* If the answer, or its first event, is here; else the library asks again. */
static enum MHD_Result
answer(HttpCall *hc)
{
	bool		streaming;
	bool		finished;

	pthread_mutex_lock(&hc->lock);
	streaming = hc->streaming;
	finished = hc->finished;
	if (streaming || finished)
		set_waiting(hc, false);
	pthread_mutex_unlock(&hc->lock);
	if (!streaming && !finished)
		return MHD_YES;
	hc->http->answered = true;
	return streaming ? respond_stream(hc) : respond_answer(hc);
}

/* The call may be done, or with another thread, when it has been submitted. */
static enum MHD_Result
defer(HttpCall *hc)
{
	hc->references++;
	set_waiting(hc, true);
	if (hc->http->stopping)
	{
		refuse_late(hc);
		finish(&hc->call);
	}
	else if (!loop_submit(hc->http->loop, &hc->call))
	{
		mcp_error(&hc->call, MCP_OVERLOADED, "Too many calls are waiting");
		finish(&hc->call);
	}
	return hc->waiting ? answer(hc) : MHD_YES;
}

static enum MHD_Result
accept_body(HttpCall *hc)
{
	McpHeaders	headers = {
		hc->headers[HTTP_MCP_VERSION], hc->headers[HTTP_MCP_METHOD],
		hc->headers[HTTP_MCP_NAME], hc->headers[HTTP_MCP_SESSION]
	};
	McpRoute	taken;

	if (hc->too_large)
		return refuse(hc, 413, JSONRPC_INVALID_REQUEST, "The body is too large");
	hc->accepted = true;
	http_line_served(hc->connection, true);

	/* a stream's reference, taken early: its end may come from any thread */
	hc->references++;
	taken = mcp_accept(&hc->call, buf_cstr(&hc->body), hc->body.len, &headers);
	forget_body(hc);
	if (taken == MCP_STREAMING)
		return respond_stream(hc);
	hc->references--;
	if (taken == MCP_DEFERRED && http_admit(hc, HTTP_USE_CALL))
		return defer(hc);
	hc->finished = true;
	if (taken == MCP_SILENT)
		return respond_empty(hc, 202);
	return respond_answer(hc);
}

static enum MHD_Result
handle_post(HttpCall *hc, const char *data, size_t *size)
{
	if (*size > 0)
		return take_body(hc, data, size);
	return hc->accepted ? answer(hc) : accept_body(hc);
}

/* ------------------------------------------------------------------------
 * Everything else
 * ------------------------------------------------------------------------
 */

static enum MHD_Result
handle_delete(HttpCall *hc)
{
	const char *session = hc->headers[HTTP_MCP_SESSION];

	if (session == NULL)
		return refuse(hc, 405, JSONRPC_INVALID_REQUEST, "Method not allowed");
	if (!find_credential(hc))
		return refuse(hc, 401, MCP_UNAUTHORIZED, "A bearer token is required");
	if (!mcp_session_end(hc->http->server->mcp, session, hc->credential))
		return refuse(hc, 404, MCP_UNKNOWN_SESSION, "Session not found");
	return respond_empty(hc, 204);
}

static enum MHD_Result
handle_mcp_other(HttpCall *hc, const char *method)
{
	if (strcmp(method, "DELETE") == 0)
		return handle_delete(hc);
	hc->preflight = strcmp(method, "OPTIONS") == 0 && hc->origin != NULL;
	if (hc->preflight)
		return respond_empty(hc, 204);
	return refuse(hc, 405, JSONRPC_INVALID_REQUEST, "Method not allowed");
}

static enum MHD_Result
handle_metrics(HttpCall *hc)
{
	Buf			text;

	buf_init(&text);
	metrics_write(&text);
	return respond(hc, 200, "text/plain; version=0.0.4", text);
}

static void
put_readiness(McpCall *call, bool ready)
{
	buf_puts(&call->out, ready ? "{\"ready\":true}" : "{\"ready\":false}");
	call->http_status = ready ? 200 : 503;
}

/* Runs on a worker, since it may have to connect. */
static void
answer_readiness(McpCall *call)
{
	Server	   *server = ((HttpCall *) call)->http->server;
	bool		ready = server->ready(server->ready_arg);

	atomic_store(&((HttpCall *) call)->http->ready, ready);
	put_readiness(call, ready);
}

static const McpMethod readiness = {
	"readyz", MCP_BOTH, true, NULL, answer_readiness
};

/* Anybody may ask, so PostgreSQL is not asked each time. */
static enum MHD_Result
handle_readiness(HttpCall *hc)
{
	Http	   *http = hc->http;
	uint64_t	now = metrics_clock();

	if (now < http->ready_until)
	{
		put_readiness(&hc->call, atomic_load(&http->ready));
		return respond_answer(hc);
	}
	http->ready_until = now + READY_NS;
	hc->accepted = true;
	mcp_prepare(&hc->call, &readiness);
	return defer(hc);
}

static enum MHD_Result
handle_get(HttpCall *hc, const char *path)
{
	if (strcmp(path, "/healthz") == 0)
		return respond_text(hc, 200, "text/plain", "ok\n");
	if (strcmp(path, "/readyz") == 0)
		return handle_readiness(hc);
	if (strcmp(path, "/metrics") == 0)
		return handle_metrics(hc);
	if (strcmp(path, HTTP_METADATA_PATH) == 0 ||
		strcmp(path, HTTP_METADATA_PATH HTTP_MCP_PATH) == 0)
		return respond_text(hc, 200, "application/json", hc->http->metadata);
	return respond_text(hc, 404, "text/plain", "not found\n");
}

/*
 * libmicrohttpd closes the connection behind an answer that it was given before
 * the end of the request, and of a request without a body too.
 */
static bool
is_without_body(HttpCall *hc, const char *method)
{
	return strcmp(method, "POST") != 0 &&
		http_header(hc, MHD_HTTP_HEADER_CONTENT_LENGTH) == NULL &&
		http_header(hc, MHD_HTTP_HEADER_TRANSFER_ENCODING) == NULL;
}

static enum MHD_Result
begin_request(HttpCall *hc, const char *path, const char *method)
{
	hc->begun = true;
	if (!http_framing_is_clear(hc))
	{
		hc->close = true;
		return refuse(hc, 400, JSONRPC_INVALID_REQUEST,
					  "Headers contradict each other or are malformed");
	}
	if (!http_host_is_allowed(hc))
		return refuse(hc, 403, MCP_FORBIDDEN, "This Host is not served here");
	if (!http_origin_is_allowed(hc))
		return refuse(hc, 403, MCP_FORBIDDEN, "This Origin is not allowed");
	if (strcmp(path, HTTP_MCP_PATH) == 0)
		return strcmp(method, "POST") == 0 ? check_post(hc) :
			handle_mcp_other(hc, method);
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return handle_get(hc, path);	/* the library leaves out the body */
	return respond_text(hc, 404, "text/plain", "not found\n");
}

enum MHD_Result
http_handle_request(void *arg, struct MHD_Connection *connection,
					const char *url, const char *method, const char *version,
					const char *data, size_t *size, void **state)
{
	HttpCall   *hc = *state;

	if (hc == NULL)
	{
		hc = create_call(arg, connection);
		if (hc == NULL)
			return MHD_NO;
		*state = hc;
		hc->old = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
		if (is_without_body(hc, method))
			return MHD_YES;
	}
	return hc->begun ? handle_post(hc, data, size) :
		begin_request(hc, url, method);
}
