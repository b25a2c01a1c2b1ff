/*
 * messages.c
 *		Messages ahead of an answer that the protocol has and the product does
 *		not need: log messages, changed lists, and questions to a legacy client.
 *		Included by the tests that send them.
 */
#include "json_util.h"
#include "mcp_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

/*
 * Sends a message ahead of the answer, unless memory was short or the call is
 * part of a batch; frees it.
 */
static void
send_message(McpCall *call, Buf *message)
{
	if (buf_ok(message) && call->transport->notify != NULL)
		call->transport->notify(call, message->data, message->len);
	buf_free(message);
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

/*
 * notifications/message; data is JSON text.  In the modern era only if the
 * request asked for that level or a lower one.
 */
static inline void
send_log(McpCall *call, const char *level, const char *data)
{
	int			wanted = level_rank(json_util_string(call->meta,
													 "io.modelcontextprotocol/logLevel"));
	Buf			note;

	if (call->era == MCP_MODERN && (wanted < 0 || level_rank(level) < wanted))
		return;
	buf_init(&note);
	json_util_put(&note, "{'jsonrpc':'2.0','method':'notifications/message',"
				  "'params':{'level':'%s','data':%s}}", level, data);
	send_message(call, &note);
}

static void
tell_list_changed(McpCall *stream, void *kind)
{
	const json_t *filter = json_object_get(stream->msg.params, "notifications");
	char		wish[32];
	Buf			note;

	snprintf(wish, sizeof(wish), "%sListChanged", (const char *) kind);
	if (!json_is_true(json_object_get(filter, wish)))
		return;
	buf_init(&note);
	json_util_put(&note, "{'jsonrpc':'2.0',"
				  "'method':'notifications/%s/list_changed','params':{'_meta':"
				  "{'io.modelcontextprotocol/subscriptionId':%p}}}",
				  (const char *) kind, stream->msg.id);
	send_message(stream, &note);
}

/* To all streams that asked for it; "tools", "prompts" or "resources". */
static inline void
tell_all_list_changed(Mcp *mcp, char *kind)
{
	mcp_each_stream(mcp, tell_list_changed, kind);
}

/* ------------------------------------------------------------------------
 * Requests to a legacy client
 * ------------------------------------------------------------------------
 */

/* lives on the asking worker's stack while it is in the list */
typedef struct Question
{
	char		id[32];
	const char *session;
	bool		answered;
	json_t	   *result;
	pthread_cond_t ready;
	LIST_ENTRY(Question) link;
} Question;

static pthread_mutex_t questions_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, Question) questions;

/*
 * Asks a legacy client.  The result is the caller's; NULL after seconds, or for
 * an error.
 */
static inline json_t *
ask_client(McpCall *call, const char *method, const char *params, int seconds)
{
	static unsigned long asked;
	Question	question = {.session = call->session};
	struct timespec until;
	Buf			request;

	if (call->era != MCP_LEGACY)
		return NULL;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += seconds;
	pthread_cond_init(&question.ready, NULL);
	pthread_mutex_lock(&questions_lock);
	snprintf(question.id, sizeof(question.id), "ask-%lu", ++asked);
	LIST_INSERT_HEAD(&questions, &question, link);
	pthread_mutex_unlock(&questions_lock);
	buf_init(&request);
	json_util_put(&request, "{'jsonrpc':'2.0','id':'%s','method':'%s',"
				  "'params':%s}", question.id, method, params);
	send_message(call, &request);
	pthread_mutex_lock(&questions_lock);
	while (!question.answered && !atomic_load(&call->cancelled) &&
		   pthread_cond_timedwait(&question.ready, &questions_lock,
								  &until) != ETIMEDOUT)
		continue;
	LIST_REMOVE(&question, link);
	pthread_mutex_unlock(&questions_lock);
	pthread_cond_destroy(&question.ready);
	return question.result;
}

/* A client's answer, for McpHost; only the session that was asked can. */
static inline void
take_response(McpCall *response)
{
	const char *id = json_string_value(response->msg.id);
	Question   *q;

	if (id == NULL)
		return;
	pthread_mutex_lock(&questions_lock);
	LIST_FOREACH(q, &questions, link)
	{
		if (strcmp(q->id, id) != 0 || q->answered ||
			strcmp(q->session, response->session) != 0)
			continue;
		q->answered = true;
		q->result = json_incref(json_object_get(response->msg.root, "result"));
		pthread_cond_signal(&q->ready);
	}
	pthread_mutex_unlock(&questions_lock);
}
