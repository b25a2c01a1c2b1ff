/*
 * session.c
 *		Session table: hash chains by id, one list by age of use.
 *
 * The table's lock is held for memory operations only.
 */
#include "session.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

/* Seconds for which a session that was used makes room for nobody. */
#define GRACE 600

typedef struct Session
{
	char		id[SESSION_ID_SIZE];
	AuthDigest	owner;
	const char *version;
	time_t		used;
	struct Session *chain;
	struct Session *newer;
	struct Session *older;
} Session;

struct SessionTable
{
	pthread_mutex_t lock;
	size_t		limit;
	long		idle;
	size_t		count;
	Session    *newest;
	Session    *oldest;
	Session    *buckets[BUCKETS];
};

SessionTable *
session_table_create(size_t limit, long idle_seconds)
{
	SessionTable *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	pthread_mutex_init(&table->lock, NULL);
	table->limit = limit;
	table->idle = idle_seconds;
	return table;
}

/* Ids are random hex, so any of their digits spread well. */
static Session **
bucket_of(SessionTable *table, const char *id)
{
	uint32_t	h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char) *id) * 16777619u;
	return &table->buckets[h % BUCKETS];
}

static void
unlink_age(SessionTable *table, Session *s)
{
	if (s->newer != NULL)
		s->newer->older = s->older;
	else
		table->newest = s->older;
	if (s->older != NULL)
		s->older->newer = s->newer;
	else
		table->oldest = s->newer;
}

static void
link_newest(SessionTable *table, Session *s)
{
	s->newer = NULL;
	s->older = table->newest;
	if (table->newest != NULL)
		table->newest->newer = s;
	else
		table->oldest = s;
	table->newest = s;
}

static void
drop(SessionTable *table, Session *s)
{
	Session   **at = bucket_of(table, s->id);

	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	unlink_age(table, s);
	table->count--;
	free(s);
}

static void
drop_expired(SessionTable *table, time_t now)
{
	while (table->oldest != NULL && table->oldest->used + table->idle < now)
		drop(table, table->oldest);
}

void
session_table_free(SessionTable *table)
{
	if (table == NULL)
		return;
	while (table->oldest != NULL)
		drop(table, table->oldest);
	pthread_mutex_destroy(&table->lock);
	free(table);
}

bool
session_open(SessionTable *table, const AuthDigest *owner, const char *version,
			 time_t now, char *id)
{
	Session    *s = calloc(1, sizeof(*s));
	Session   **bucket;

	if (s == NULL || !auth_random_hex(s->id, SESSION_ID_BYTES))
	{
		free(s);
		return false;
	}
	s->owner = *owner;
	s->version = version;
	s->used = now;
	pthread_mutex_lock(&table->lock);
	drop_expired(table, now);
	if (table->count >= table->limit && table->oldest->used + GRACE > now)
	{
		pthread_mutex_unlock(&table->lock);
		free(s);
		return false;
	}
	if (table->count >= table->limit)
		drop(table, table->oldest);
	memcpy(id, s->id, SESSION_ID_SIZE);
	bucket = bucket_of(table, s->id);
	s->chain = *bucket;
	*bucket = s;
	link_newest(table, s);
	table->count++;
	pthread_mutex_unlock(&table->lock);
	return true;
}

/* Under the lock. */
static Session *
lookup(SessionTable *table, const char *id, const AuthDigest *owner)
{
	Session    *s = *bucket_of(table, id);

	while (s != NULL && strcmp(s->id, id) != 0)
		s = s->chain;
	return s != NULL && auth_equal(&s->owner, owner) ? s : NULL;
}

const char *
session_find(SessionTable *table, const char *id, const AuthDigest *owner,
			 time_t now)
{
	const char *version = NULL;
	Session    *s;

	pthread_mutex_lock(&table->lock);
	drop_expired(table, now);
	s = lookup(table, id, owner);
	if (s != NULL)
	{
		version = s->version;
		s->used = now;
		unlink_age(table, s);
		link_newest(table, s);
	}
	pthread_mutex_unlock(&table->lock);
	return version;
}

bool
session_close(SessionTable *table, const char *id, const AuthDigest *owner)
{
	Session    *s;

	pthread_mutex_lock(&table->lock);
	s = lookup(table, id, owner);
	if (s != NULL)
		drop(table, s);
	pthread_mutex_unlock(&table->lock);
	return s != NULL;
}

size_t
session_count(SessionTable *table)
{
	size_t		count;

	pthread_mutex_lock(&table->lock);
	count = table->count;
	pthread_mutex_unlock(&table->lock);
	return count;
}
