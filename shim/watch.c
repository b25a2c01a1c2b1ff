/*
 * watch.c
 *		From NOTIFY warden_changes, or from polling, to subscriptions/listen.
 *
 * A notification is a hint that names a change and nothing else: what a
 * listener is told is read under its own credential and for its own person, as
 * a call on a worker, so it learns of its own changes only.  Where nothing
 * notifies, the changes that are watched are looked at again and again, all of
 * a credential's and person's in one call, and what stayed the same is not
 * told.  That is how further databases are looked at in any case, and changes
 * of which a look failed.  The first look comes when a stream is opened: it
 * shows whether the credential is any good, and if it is not, its streams end.
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
#define RECONNECT_MS 2000

/* Changes whose status is remembered; a newcomer takes the slot it falls on. */
#define MAX_SEEN 16384

typedef struct Seen
{
	AuthDigest	key;			/* of credential, person, database and change */
	char		status[16];
} Seen;

struct Watch
{
	const Config *cf;
	Mcp		   *mcp;
	WorkerPool *workers;
	pthread_t	thread;
	int			stop_fd;
	atomic_bool missed;			/* a look could not be had */
	pthread_mutex_t lock;		/* guards what was seen */
	Seen		seen[MAX_SEEN];
};

/* what one credential and person watch in one database, to be looked at */
typedef struct Look
{
	McpCall		call;			/* first: a McpCall is its Look */
	Watch	   *watch;
	TaskName	name;			/* the database, as tasks have it */
	Buf			ids;			/* an array of PostgreSQL's, yet open */
	json_t	   *meta;			/* with the person, if streams name one */
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
	json_decref(look->meta);
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
	buf_printf(&name, "%s:%s %s\n%s", look->name.text, id, look->credential,
			   json_util_string_or(look->meta, MCP_PERSON, ""));
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
	const char *database = look->name.database;
	char		name[sizeof(look->name.text) + 24];
	Buf			task;
	json_t	   *change;

	if (!tools_read_change(&look->call, tools_exec, database, change_id,
						   &change))
		return false;
	if (change == NULL)
		return true;			/* it is gone meanwhile */
	snprintf(name, sizeof(name), CHANGE_URI "%lld", change_id);
	if (database == NULL)
		mcp_publish_resource(look->watch->mcp, &look->call, name);
	buf_init(&task);
	tools_put_task(&task, look->name.text, change, true);
	snprintf(name, sizeof(name), "%s:%lld", look->name.text, change_id);
	if (buf_ok(&task))
		mcp_publish_task(look->watch->mcp, &look->call, name,
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

		if (status == NULL || !is_news(look, id, status) ||
			tell(look, strtoll(id, NULL, 10)))
			continue;
		is_news(look, id, "");
		atomic_store(&look->watch->missed, true);
	}
}

/* Which of the changes have another status than when they were last seen. */
static void
look_at_changes(McpCall *call)
{
	Look	   *look = (Look *) call;
	const char *params[1];
	ToolsRun	run = {
		.steps = {{SQL_CHANGE_STATUSES, 1, params, false}},
		.database = look->name.database
	};
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
	else if (call->verdict != MCP_REFUSED)
		atomic_store(&look->watch->missed, true);
	else if (look->name.database == NULL)
		mcp_refuse_streams(look->watch->mcp, call, outcome.error.message);
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
	const json_t *person;		/* with it, NULL where nobody is named */
	bool		others;			/* not the main database */
	Look	   *looks;
} Gathering;

static bool
is_for(const Look *look, const McpCall *stream, const TaskName *name)
{
	return strcmp(look->credential, stream->credential) == 0 &&
		strcmp(look->name.text, name->text) == 0 &&
		mcp_names_person(stream, json_object_get(look->meta, MCP_PERSON));
}

/* A copy of what the stream says of its person, NULL for want of memory. */
static json_t *
copy_person(const McpCall *stream)
{
	const json_t *person = json_object_get(stream->meta, MCP_PERSON);
	json_t	   *meta = json_object();

	if (meta != NULL && person != NULL &&
		json_object_set_new(meta, MCP_PERSON, json_deep_copy(person)) != 0)
	{
		json_decref(meta);
		return NULL;
	}
	return meta;
}

/* The look at a database for who has the stream, NULL for want of memory. */
static Look *
look_of(Gathering *all, const McpCall *stream, const TaskName *name)
{
	Look	   *look = all->looks;

	while (look != NULL && !is_for(look, stream, name))
		look = look->next;
	if (look != NULL || (look = calloc(1, sizeof(*look))) == NULL)
		return look;
	look->credential = strdup(stream->credential);
	look->meta = copy_person(stream);
	if (look->credential == NULL || look->meta == NULL)
	{
		free(look->credential);
		json_decref(look->meta);
		free(look);
		return NULL;
	}
	mcp_call_init(&look->call, all->watch->mcp, &watch_transport);
	buf_init(&look->ids);
	look->call.credential = look->credential;
	look->call.meta = look->meta;
	look->watch = all->watch;
	look->name = *name;
	if (name->database != NULL)
		look->name.database = look->name.text;
	look->next = all->looks;
	all->looks = look;
	return look;
}

/*
 * A change that a stream watches, unless this is about others.  Who notifies us
 * is the main database.
 */
static void
gather_change(Gathering *all, const McpCall *stream, const TaskName *name)
{
	Look	   *look;

	if (name->change_id == 0 || (all->others && name->database == NULL) ||
		(all->change_id != 0 && (name->database != NULL ||
								 name->change_id != all->change_id)) ||
		(look = look_of(all, stream, name)) == NULL)
		return;
	buf_putc(&look->ids, look->ids.len == 0 ? '{' : ',');
	buf_int(&look->ids, name->change_id);
}

/* Under the streams' lock. */
static void
gather_stream(McpCall *stream, void *arg)
{
	const json_t *filter = json_object_get(stream->msg.params, "notifications");
	Gathering  *all = arg;
	TaskName	name = {"main", NULL, 0};
	size_t		n = strlen(CHANGE_URI);
	size_t		i;
	json_t	   *item;

	if (stream->credential == NULL ||
		(all->credential != NULL &&
		 (strcmp(all->credential, stream->credential) != 0 ||
		  !mcp_names_person(stream, all->person))))
		return;
	if (all->credential != NULL)
		(void) look_of(all, stream, &name);
	json_array_foreach(json_object_get(filter, "resourceSubscriptions"), i, item)
	{
		const char *uri = json_string_value(item);

		name.change_id = strncmp(uri, CHANGE_URI, n) == 0 ?
			tools_parse_id(uri + n) : 0;
		gather_change(all, stream, &name);
	}
	json_array_foreach(json_object_get(filter, "taskIds"), i, item)
	{
		if (tools_parse_task(stream, json_string_value(item), &name))
			gather_change(all, stream, &name);
	}
}

/* A look that watches nothing is of use for its credential only. */
static void
look_at(Watch *watch, long long change_id, const char *credential,
		const json_t *person, bool others)
{
	Gathering	all = {watch, change_id, credential, person, others, NULL};
	Look	   *look;

	mcp_each_stream(watch->mcp, gather_stream, &all);
	while ((look = all.looks) != NULL)
	{
		all.looks = look->next;
		mcp_prepare(&look->call, &look_method);
		if (worker_submit(watch->workers, &look->call))
			continue;
		atomic_store(&watch->missed, true);
		finish_look(&look->call);
	}
}

void
watch_listening(void *watch, const char *credential, const json_t *person)
{
	if (credential != NULL)
		look_at(watch, 0, credential, person, false);
}

/* ------------------------------------------------------------------------
 * The thread
 * ------------------------------------------------------------------------
 */

/*
 * {"change":42,"status":"proposed"}, or NULL when listening begins: nobody
 * told what happened before.  Empty when some time has passed: other databases
 * do not tell, and what was missed is looked at again.
 */
static void
on_notification(const char *payload, void *arg)
{
	JsonFault	fault;
	json_t	   *note;
	long long	change_id;

	if (payload == NULL || *payload == '\0')
	{
		Watch	   *watch = arg;
		bool		missed = atomic_exchange(&watch->missed, false);

		look_at(watch, 0, NULL, NULL, payload != NULL && !missed);
		return;
	}
	note = json_util_load(payload, strlen(payload), &fault);
	change_id = json_integer_value(json_object_get(note, "change"));
	json_decref(note);
	if (change_id > 0)
		look_at(arg, change_id, NULL, NULL, false);
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
	int			interval = cf->poll_interval > 0 ?
		(int) cf->poll_interval * 1000 : -1;

	if (cf->notify_dsn != NULL)
	{
		do
			db_listen(cf->notify_dsn, cf->connect_timeout, watch->stop_fd,
					  interval, on_notification, watch);
		while (!stopped(watch, RECONNECT_MS));
		return NULL;
	}
	while (!stopped(watch, interval))
		look_at(watch, 0, NULL, NULL, false);
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
