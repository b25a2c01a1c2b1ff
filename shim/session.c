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
#include <sys/queue.h>

#define BUCKETS 1024

/* Seconds for which a session that was used makes room for nobody. */
#define GRACE 600

typedef struct Session
{
	char		id[SESSION_ID_SIZE];
	AuthDigest	owner;
	const char *version;
	time_t		used;
	LIST_ENTRY(Session) chain;
	TAILQ_ENTRY(Session) age;
} Session;

LIST_HEAD(SessionChain, Session);

struct SessionTable
{
	pthread_mutex_t lock;
	size_t		limit;
	long		idle;
	size_t		count;
	TAILQ_HEAD(SessionsByUse, Session) by_use; /* newest first */
	struct SessionChain buckets[BUCKETS];
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
	TAILQ_INIT(&table->by_use);
	return table;
}

static struct SessionChain *
bucket_of(SessionTable *table, const char *id)
{
	uint32_t	h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char) *id) * 16777619u;
	return &table->buckets[h % BUCKETS];
}

static void
drop(SessionTable *table, Session *s)
{
	LIST_REMOVE(s, chain);
	TAILQ_REMOVE(&table->by_use, s, age);
	table->count--;
	free(s);
}

static Session *
oldest(SessionTable *table)
{
	return TAILQ_LAST(&table->by_use, SessionsByUse);
}

static void
drop_expired(SessionTable *table, time_t now)
{
	while (table->count > 0 && oldest(table)->used + table->idle < now)
		drop(table, oldest(table));
}

void
session_table_free(SessionTable *table)
{
	if (table == NULL)
		return;
	while (table->count > 0)
		drop(table, oldest(table));
	pthread_mutex_destroy(&table->lock);
	free(table);
}

bool
session_open(SessionTable *table, const AuthDigest *owner, const char *version,
			 time_t now, char *id)
{
	Session    *s = calloc(1, sizeof(*s));

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
	if (table->count >= table->limit && oldest(table)->used + GRACE > now)
	{
		pthread_mutex_unlock(&table->lock);
		free(s);
		return false;
	}
	if (table->count >= table->limit)
		drop(table, oldest(table));
	memcpy(id, s->id, SESSION_ID_SIZE);
	LIST_INSERT_HEAD(bucket_of(table, id), s, chain);
	TAILQ_INSERT_HEAD(&table->by_use, s, age);
	table->count++;
	pthread_mutex_unlock(&table->lock);
	return true;
}

/* Under the lock. */
static Session *
lookup(SessionTable *table, const char *id, const AuthDigest *owner)
{
	Session    *s;

	LIST_FOREACH(s, bucket_of(table, id), chain)
	{
		if (strcmp(s->id, id) == 0)
			return auth_equal(&s->owner, owner) ? s : NULL;
	}
	return NULL;
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
		TAILQ_REMOVE(&table->by_use, s, age);
		TAILQ_INSERT_HEAD(&table->by_use, s, age);
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
