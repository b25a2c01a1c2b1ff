/*
 * watch.c
 *		From NOTIFY warden_changes, or from polling, to subscriptions/listen.
 *
 * A notification is a hint that names a change and nothing else: what a
 * listener is told is read under its own credential, as a call on a worker,
 * so it learns of its own changes only.  Where nothing notifies, the changes
 * that are watched are looked at again and again, all of a credential's in
 * one call, and what stayed the same is not told.  The first look comes when a
 * stream is opened: it shows whether the credential is any good, and if it is
 * not, its streams end.
 */
#include "watch.h"

#include "auth.h"
#include "db.h"
#include "db_sql.h"
#include "json_util.h"
#include "tools.h"

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHANGE_URI "warden://change/"
#define TASK_PREFIX "main:"
#define RECONNECT_MS 2000

/* Changes whose status is remembered; a newcomer takes the slot it falls on. */
#define MAX_SEEN 16384

typedef struct Seen
{
	AuthDigest	key;			/* of credential and change */
	char		status[16];
} Seen;

struct Watch
{
	const Config *cf;
	Mcp		   *mcp;
	WorkerPool *workers;
	pthread_t	thread;
	int			stop_fd;
	pthread_mutex_t lock;		/* guards what was seen */
	Seen		seen[MAX_SEEN];
};

/* what one credential watches, to be looked at */
typedef struct Look
{
	McpCall		call;			/* first: a McpCall is its Look */
	Watch	   *watch;
	Buf			ids;			/* an array of PostgreSQL's, yet open */
	char	   *credential;
	struct Look *next;
} Look;

/* ------------------------------------------------------------------------
 * Looking at a change, on a worker
 * ------------------------------------------------------------------------
 */

static void
finish_look(McpCall *call)
{
	Look	   *look = (Look *) call;

	mcp_call_clear(call);
	buf_free(&look->ids);
	explicit_bzero(look->credential, strlen(look->credential));
	free(look->credential);
	free(look);
}

static const Transport watch_transport = {.finish = finish_look};

/*
 * Remembers the status; true if it is not what listeners were told last.  One
 * that was not told after all is forgotten by an empty one.
 */
static bool
is_news(const Look *look, const char *id, const char *status)
{
	Watch	   *watch = look->watch;
	Buf			name;
	AuthDigest	key;
	Seen	   *seen;
	bool		news;

	buf_init(&name);
	buf_printf(&name, "%s %s", id, look->credential);
	key = auth_digest(buf_cstr(&name), name.len);
	buf_wipe(&name);
	seen = &watch->seen[(key.bytes[0] | (size_t) key.bytes[1] << 8) % MAX_SEEN];
	pthread_mutex_lock(&watch->lock);
	news = !auth_equal(&seen->key, &key) || strcmp(seen->status, status) != 0;
	seen->key = key;
	snprintf(seen->status, sizeof(seen->status), "%s", status);
	pthread_mutex_unlock(&watch->lock);
	return news;
}

/* False where the change could not be read. */
static bool
tell(Look *look, long long change_id)
{
	char		name[48];
	Buf			task;
	json_t	   *change;

	if (!tools_read_change(&look->call, tools_exec, NULL, change_id, &change))
		return false;
	if (change == NULL)
		return true;			/* it is gone meanwhile */
	snprintf(name, sizeof(name), CHANGE_URI "%lld", change_id);
	mcp_publish_resource(look->watch->mcp, look->credential, name);
	buf_init(&task);
	tools_put_task(&task, "main", change, true);
	snprintf(name, sizeof(name), TASK_PREFIX "%lld", change_id);
	if (buf_ok(&task))
		mcp_publish_task(look->watch->mcp, look->credential, name,
						 buf_cstr(&task));
	buf_free(&task);
	json_decref(change);
	return true;
}

static void
tell_news(Look *look, const json_t *statuses)
{
	const char *id;
	json_t	   *value;

	json_object_foreach((json_t *) statuses, id, value)
	{
		const char *status = json_string_value(value);

		if (status != NULL && is_news(look, id, status) &&
			!tell(look, strtoll(id, NULL, 10)))
			is_news(look, id, "");
	}
}

/* Which of the changes have another status than when they were last seen. */
static void
look_at_changes(McpCall *call)
{
	Look	   *look = (Look *) call;
	const char *params[1];
	ToolsRun	run = {.steps = {{SQL_CHANGE_STATUSES, 1, params, false}}};
	DbOutcome	outcome;

	buf_puts(&look->ids, look->ids.len > 0 ? "}" : "{}");
	params[0] = buf_cstr(&look->ids);
	if (!buf_ok(&look->ids))
		return;
	if (tools_exec(call, &run, &outcome))
	{
		json_t	   *statuses = tools_load_object(&outcome, 0);

		tell_news(look, statuses);
		json_decref(statuses);
	}
	else if (call->verdict == MCP_REFUSED)
		mcp_refuse_streams(look->watch->mcp, look->credential,
						   outcome.error.message);
	db_outcome_free(&outcome);
}

static const McpMethod look_method = {
	"subscriptions/listen", MCP_BOTH, true, NULL, look_at_changes
};

/* ------------------------------------------------------------------------
 * Who wants to know
 * ------------------------------------------------------------------------
 */

typedef struct Gathering
{
	Watch	   *watch;
	long long	change_id;		/* the one that was notified of, or 0 */
	const char *credential;		/* the only one of interest, or NULL */
	Look	   *looks;
} Gathering;

/* The look of a credential, NULL for want of memory. */
static Look *
look_of(Gathering *all, const char *credential)
{
	Look	   *look = all->looks;

	while (look != NULL && strcmp(look->credential, credential) != 0)
		look = look->next;
	if (look != NULL || (look = calloc(1, sizeof(*look))) == NULL)
		return look;
	look->credential = strdup(credential);
	if (look->credential == NULL)
	{
		free(look);
		return NULL;
	}
	mcp_call_init(&look->call, all->watch->mcp, &watch_transport);
	buf_init(&look->ids);
	look->call.credential = look->credential;
	look->watch = all->watch;
	look->next = all->looks;
	all->looks = look;
	return look;
}

/* Takes the changes that a list of the stream's filter names, or just one. */
static void
gather(Look *look, const McpCall *stream, const char *list, const char *prefix,
	   long long only)
{
	const json_t *filter = json_object_get(stream->msg.params, "notifications");
	size_t		n = strlen(prefix);
	size_t		i;
	json_t	   *item;

	json_array_foreach(json_object_get(filter, list), i, item)
	{
		const char *text = json_string_value(item);
		long long	change_id = strncmp(text, prefix, n) == 0 ?
			tools_parse_id(text + n) : 0;

		if (change_id == 0 || (only != 0 && change_id != only))
			continue;
		buf_putc(&look->ids, look->ids.len == 0 ? '{' : ',');
		buf_int(&look->ids, change_id);
	}
}

/* Under the streams' lock. */
static void
gather_stream(McpCall *stream, void *arg)
{
	Gathering  *all = arg;
	Look	   *look;

	if (stream->credential == NULL ||
		(all->credential != NULL &&
		 strcmp(all->credential, stream->credential) != 0) ||
		(look = look_of(all, stream->credential)) == NULL)
		return;
	gather(look, stream, "resourceSubscriptions", CHANGE_URI, all->change_id);
	gather(look, stream, "taskIds", TASK_PREFIX, all->change_id);
}

/* A look that watches nothing is of use for its credential only. */
static void
look_at(Watch *watch, long long change_id, const char *credential)
{
	Gathering	all = {watch, change_id, credential, NULL};
	Look	   *look;

	mcp_each_stream(watch->mcp, gather_stream, &all);
	while ((look = all.looks) != NULL)
	{
		all.looks = look->next;
		if (look->ids.len > 0 || credential != NULL)
		{
			mcp_prepare(&look->call, &look_method);
			if (worker_submit(watch->workers, &look->call))
				continue;
		}
		finish_look(&look->call);
	}
}

void
watch_listening(void *watch, const char *credential)
{
	if (credential != NULL)
		look_at(watch, 0, credential);
}

/* ------------------------------------------------------------------------
 * The thread
 * ------------------------------------------------------------------------
 */

/*
 * {"change":42,"status":"proposed"}, or NULL when listening begins: nobody
 * told what happened before.
 */
static void
on_notification(const char *payload, void *arg)
{
	JsonFault	fault;
	json_t	   *note;
	long long	change_id;

	if (payload == NULL)
	{
		look_at(arg, 0, NULL);
		return;
	}
	note = json_util_load(payload, strlen(payload), &fault);
	change_id = json_integer_value(json_object_get(note, "change"));
	json_decref(note);
	if (change_id > 0)
		look_at(arg, change_id, NULL);
}

static bool
stopped(Watch *watch, int timeout_ms)
{
	struct pollfd fd = {watch->stop_fd, POLLIN, 0};

	return poll(&fd, 1, timeout_ms) > 0;
}

static void *
run_watch(void *arg)
{
	Watch	   *watch = arg;
	const Config *cf = watch->cf;

	if (cf->notify_dsn != NULL)
	{
		do
			db_listen(cf->notify_dsn, cf->connect_timeout, watch->stop_fd,
					  on_notification, watch);
		while (!stopped(watch, RECONNECT_MS));
		return NULL;
	}
	while (!stopped(watch, cf->poll_interval > 0 ?
					(int) cf->poll_interval * 1000 : -1))
		look_at(watch, 0, NULL);
	return NULL;
}

Watch *
watch_start(const Config *cf, Mcp *mcp, WorkerPool *workers)
{
	Watch	   *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->cf = cf;
	watch->mcp = mcp;
	watch->workers = workers;
	watch->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&watch->lock, NULL);
	if (watch->stop_fd >= 0 &&
		pthread_create(&watch->thread, NULL, run_watch, watch) == 0)
		return watch;
	free(watch);
	return NULL;
}

void
watch_stop(Watch *watch)
{
	if (watch == NULL)
		return;
	eventfd_write(watch->stop_fd, 1);
	pthread_join(watch->thread, NULL);
}

void
watch_free(Watch *watch)
{
	if (watch == NULL)
		return;
	close(watch->stop_fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}
