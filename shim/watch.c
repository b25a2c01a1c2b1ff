/*
 * watch.c
 *		From NOTIFY warden_changes, or from polling, to subscriptions/listen.
 *
 * A notification is a hint that names a change and nothing else: what a
 * listener is told is read under its own credential, as a call on a worker,
 * so it learns of its own changes only.  Where nothing notifies, the changes
 * that are watched are looked at again and again, and what stayed the same is
 * not told.
 */
#include "watch.h"

#include "db.h"
#include "json_util.h"
#include "log.h"
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

/* Watched changes whose status is remembered between two polls. */
#define MAX_SEEN 1024

typedef struct Seen
{
	AuthDigest	who;
	long long	change_id;
	char		status[16];
} Seen;

struct Watch
{
	const Config *cf;
	Mcp		   *mcp;
	WorkerPool *workers;
	pthread_t	thread;
	int			stop_fd;
	bool		polling;
	pthread_mutex_t lock;		/* guards what was seen */
	Seen		seen[MAX_SEEN];
	size_t		next_seen;
};

/* one change to look at for one credential */
typedef struct Look
{
	McpCall		call;			/* first: a McpCall is its Look */
	Watch	   *watch;
	long long	change_id;
	char	   *credential;
	struct Look *next;
} Look;

/* ------------------------------------------------------------------------
 * Looking at a change, on a worker
 * ------------------------------------------------------------------------
 */

static void
ignore_message(McpCall *call, const char *json, size_t len)
{
	(void) call;
	(void) json;
	(void) len;
}

static void
finish_look(McpCall *call)
{
	Look	   *look = (Look *) call;

	mcp_call_clear(call);
	explicit_bzero(look->credential, strlen(look->credential));
	free(look->credential);
	free(look);
}

static const Transport watch_transport = {
	.name = "watch",.notify = ignore_message,.finish = finish_look
};

/* Remembers the status; true if listeners should be told of it. */
static bool
is_news(const Look *look, const char *status)
{
	Watch	   *watch = look->watch;
	AuthDigest	who = auth_digest(look->credential, strlen(look->credential));
	Seen	   *seen = NULL;
	bool		news;

	pthread_mutex_lock(&watch->lock);
	for (size_t i = 0; seen == NULL && i < MAX_SEEN; i++)
		if (watch->seen[i].change_id == look->change_id &&
			auth_equal(&watch->seen[i].who, &who))
			seen = &watch->seen[i];
	news = seen != NULL ? strcmp(seen->status, status) != 0 : !watch->polling;
	if (seen == NULL)
		seen = &watch->seen[watch->next_seen++ % MAX_SEEN];
	seen->who = who;
	seen->change_id = look->change_id;
	snprintf(seen->status, sizeof(seen->status), "%s", status);
	pthread_mutex_unlock(&watch->lock);
	return news;
}

static void
publish(const Look *look, const json_t *change)
{
	char		name[48];
	Buf			task;

	snprintf(name, sizeof(name), CHANGE_URI "%lld", look->change_id);
	mcp_publish_resource(look->watch->mcp, look->credential, name);
	buf_init(&task);
	tools_put_task(&task, "main", change, true);
	snprintf(name, sizeof(name), TASK_PREFIX "%lld", look->change_id);
	if (buf_ok(&task))
		mcp_publish_task(look->watch->mcp, look->credential, name,
						 buf_cstr(&task));
	buf_free(&task);
}

static void
look_at_change(McpCall *call)
{
	Look	   *look = (Look *) call;
	ToolsChangeStep get;
	ToolsRun	run = {&get.step, 1, NULL, 0, false};
	DbOutcome	outcome;
	json_t	   *change = NULL;
	const char *status;

	tools_change_step(&get, look->change_id);
	if (tools_exec(call, &run, &outcome))
		change = tools_load_change(&outcome, 0);
	status = json_util_string(change, "status");
	if (status != NULL && is_news(look, status))
		publish(look, change);
	json_decref(change);
	db_outcome_free(&outcome);
}

static const McpMethod look_method = {
	"subscriptions/listen", MCP_BOTH, true, NULL, look_at_change
};

static void
submit_looks(Watch *watch, Look *look)
{
	while (look != NULL)
	{
		Look	   *next = look->next;

		mcp_prepare(&look->call, &look_method);
		if (!worker_submit(watch->workers, &look->call))
			finish_look(&look->call);
		look = next;
	}
}

/* ------------------------------------------------------------------------
 * Who wants to know
 * ------------------------------------------------------------------------
 */

typedef struct Gathering
{
	Watch	   *watch;
	long long	change_id;
	Look	   *looks;
} Gathering;

static bool
is_gathered(const Look *look, const char *credential, long long change_id)
{
	for (; look != NULL; look = look->next)
		if (look->change_id == change_id &&
			strcmp(look->credential, credential) == 0)
			return true;
	return false;
}

static void
gather(Gathering *all, const McpCall *stream, long long change_id)
{
	Look	   *look;

	if (stream->credential == NULL ||
		is_gathered(all->looks, stream->credential, change_id) ||
		(look = calloc(1, sizeof(*look))) == NULL)
		return;
	look->credential = strdup(stream->credential);
	if (look->credential == NULL)
	{
		free(look);
		return;
	}
	mcp_call_init(&look->call, all->watch->mcp, &watch_transport, NULL);
	look->call.credential = look->credential;
	look->watch = all->watch;
	look->change_id = change_id;
	look->next = all->looks;
	all->looks = look;
}

/* For one change that was notified of; under the streams' lock. */
static void
gather_one(McpCall *stream, void *arg)
{
	Gathering  *all = arg;
	char		name[48];
	bool		wanted;

	snprintf(name, sizeof(name), CHANGE_URI "%lld", all->change_id);
	wanted = mcp_stream_wants(stream, "resourceSubscriptions", name);
	snprintf(name, sizeof(name), TASK_PREFIX "%lld", all->change_id);
	if (wanted || mcp_stream_wants(stream, "taskIds", name))
		gather(all, stream, all->change_id);
}

static void
gather_list(Gathering *all, const McpCall *stream, const char *list,
			const char *prefix)
{
	const json_t *filter = json_object_get(stream->msg.params, "notifications");
	size_t		n = strlen(prefix);
	size_t		i;
	json_t	   *item;

	json_array_foreach(json_object_get(filter, list), i, item)
	{
		const char *text = json_string_value(item);

		if (strncmp(text, prefix, n) == 0 && strlen(text + n) <= 18 &&
			strtoll(text + n, NULL, 10) > 0)
			gather(all, stream, strtoll(text + n, NULL, 10));
	}
}

/* For everything that is watched; under the streams' lock. */
static void
gather_all(McpCall *stream, void *arg)
{
	gather_list(arg, stream, "resourceSubscriptions", CHANGE_URI);
	gather_list(arg, stream, "taskIds", TASK_PREFIX);
}

/* ------------------------------------------------------------------------
 * The thread
 * ------------------------------------------------------------------------
 */

/* {"change":42,"status":"proposed"} */
static void
on_notification(const char *payload, void *arg)
{
	Gathering	all = {arg, 0, NULL};
	JsonFault	fault;
	json_t	   *note = json_util_load(payload, strlen(payload), &fault);

	all.change_id = json_integer_value(json_object_get(note, "change"));
	json_decref(note);
	if (all.change_id <= 0)
		return;
	mcp_each_stream(all.watch->mcp, gather_one, &all);
	submit_looks(all.watch, all.looks);
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

	if (!watch->polling)
	{
		do
			db_listen(cf->notify_dsn, cf->connect_timeout, watch->stop_fd,
					  on_notification, watch);
		while (!stopped(watch, RECONNECT_MS));
		return NULL;
	}
	while (!stopped(watch, cf->poll_interval > 0 ?
					(int) cf->poll_interval * 1000 : -1))
	{
		Gathering	all = {watch, 0, NULL};

		mcp_each_stream(watch->mcp, gather_all, &all);
		submit_looks(watch, all.looks);
	}
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
	watch->polling = cf->notify_dsn == NULL;
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
	uint64_t	one = 1;
	ssize_t		ignored;

	if (watch == NULL)
		return;
	ignored = write(watch->stop_fd, &one, sizeof(one));
	(void) ignored;
	pthread_join(watch->thread, NULL);
	close(watch->stop_fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}
