/*
 * worker.c
 *		A bounded queue, places to run, and threads that are started when there
 *		is work.
 *
 * A call waits in the queue until it has a place; those that have one and need
 * a thread stand in the ready list until one has come, which is never long,
 * since there can be as many threads as places.  Each thread owns an eventfd
 * that cancellation writes to, so that one that waits for PostgreSQL can be
 * woken; they are made at the start, when there are descriptors.
 */
#include "worker.h"

#include "metrics.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* libpq and jansson are modest; glibc would reserve 8 MiB. */
#define STACK_SIZE (512 * 1024)

typedef struct CallList
{
	McpCall    *head;
	McpCall    *tail;
	size_t		count;
} CallList;

struct WorkerPool
{
	pthread_mutex_t lock;
	pthread_cond_t work;
	CallList	queue;			/* without a place */
	CallList	ready;			/* with one, for a thread */
	size_t		max_queue;
	size_t		limit;			/* of places, and of threads */
	size_t		taken;			/* places */
	size_t		started;
	size_t		awake;			/* of those: have their wake_fds */
	size_t		idle;
	bool		closing;
	int			loop_fd;		/* -1: threads take from the queue */
	pthread_t  *threads;
	int		   *wake_fds;		/* one per thread */
};

static void
push(CallList *list, McpCall *call)
{
	call->queued = NULL;
	if (list->tail != NULL)
		list->tail->queued = call;
	else
		list->head = call;
	list->tail = call;
	list->count++;
}

static McpCall *
pop(CallList *list)
{
	McpCall    *call = list->head;

	if (call == NULL)
		return NULL;
	list->head = call->queued;
	if (list->head == NULL)
		list->tail = NULL;
	list->count--;
	return call;
}

/* As many as it can; the limit is how many there are. */
static bool
make_wake_fds(WorkerPool *pool, size_t count)
{
	if (pool->wake_fds == NULL)
		return false;
	while (pool->limit < count)
	{
		int			fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return false;
		pool->wake_fds[pool->limit++] = fd;
	}
	return true;
}

WorkerPool *
worker_pool_create(size_t threads, size_t max_queue)
{
	WorkerPool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->threads = calloc(threads, sizeof(pthread_t));
	pool->wake_fds = calloc(threads, sizeof(int));
	pool->max_queue = max_queue;
	pool->loop_fd = -1;
	if (pool->threads == NULL || !make_wake_fds(pool, threads))
	{
		worker_pool_free(pool);
		return NULL;
	}
	return pool;
}

void
worker_set_loop(WorkerPool *pool, int event_fd)
{
	pthread_mutex_lock(&pool->lock);
	pool->loop_fd = event_fd;
	pthread_mutex_unlock(&pool->lock);
}

/* ------------------------------------------------------------------------
 * Places
 * ------------------------------------------------------------------------
 */

/* Under the lock. */
static bool
take_place(WorkerPool *pool)
{
	if (pool->taken >= pool->limit)
		return false;
	pool->taken++;
	metrics_gauge_add(METRICS_POOL_BUSY, 1);
	return true;
}

/* Under the lock. */
static void
free_place(WorkerPool *pool)
{
	pool->taken--;
	metrics_gauge_add(METRICS_POOL_BUSY, -1);
}

/* Under the lock; with a place. */
static McpCall *
pop_queued(WorkerPool *pool)
{
	McpCall    *call = NULL;

	if (pool->queue.head != NULL && take_place(pool))
	{
		call = pop(&pool->queue);
		metrics_gauge_add(METRICS_QUEUE, -1);
	}
	return call;
}

bool
worker_claim(WorkerPool *pool)
{
	bool		ok;

	pthread_mutex_lock(&pool->lock);
	ok = !pool->closing && pool->queue.head == NULL && take_place(pool);
	pthread_mutex_unlock(&pool->lock);
	return ok;
}

McpCall *
worker_next(WorkerPool *pool)
{
	McpCall    *call;

	pthread_mutex_lock(&pool->lock);
	call = pop_queued(pool);
	pthread_mutex_unlock(&pool->lock);
	return call;
}

void
worker_release(WorkerPool *pool)
{
	pthread_mutex_lock(&pool->lock);
	free_place(pool);
	pthread_mutex_unlock(&pool->lock);
}

/* ------------------------------------------------------------------------
 * Threads
 * ------------------------------------------------------------------------
 */

/* Under the lock: what a thread that has no call does next. */
static McpCall *
pop_work(WorkerPool *pool)
{
	McpCall    *call = pop(&pool->ready);

	if (call == NULL && (pool->loop_fd < 0 || pool->closing))
		call = pop_queued(pool);
	return call;
}

/*
 * The next call, NULL when the pool is closing and empty.  was_busy: the thread
 * comes from another one.
 */
static McpCall *
take(WorkerPool *pool, bool was_busy)
{
	McpCall    *call;
	int			loop_fd = -1;

	pthread_mutex_lock(&pool->lock);
	if (was_busy)
	{
		free_place(pool);
		if (pool->queue.head != NULL)
			loop_fd = pool->loop_fd;
	}
	if (loop_fd >= 0)
		eventfd_write(loop_fd, 1);
	while ((call = pop_work(pool)) == NULL && !pool->closing)
	{
		pool->idle++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
	}
	pthread_mutex_unlock(&pool->lock);
	return call;
}

static void *
work(void *arg)
{
	WorkerPool *pool = arg;
	int			wake_fd;
	McpCall    *call;

	pthread_mutex_lock(&pool->lock);
	wake_fd = pool->wake_fds[pool->awake++];
	pthread_mutex_unlock(&pool->lock);
	for (call = take(pool, false); call != NULL; call = take(pool, true))
		mcp_run(call, wake_fd);
	return NULL;
}

/* Under the lock. */
static bool
start_thread(WorkerPool *pool)
{
	pthread_attr_t attr;
	bool		ok;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	ok = pthread_create(&pool->threads[pool->started], &attr, work, pool) == 0;
	pthread_attr_destroy(&attr);
	if (ok)
		pool->started++;
	return ok;
}

/*
 * Under the lock: makes sure that a thread comes for one more ready call.  Any
 * thread will do if no other can be had.
 */
static bool
have_thread(WorkerPool *pool)
{
	if (pool->idle <= pool->ready.count && pool->started < pool->limit)
		start_thread(pool);
	return pool->started > 0;
}

bool
worker_submit(WorkerPool *pool, McpCall *call)
{
	bool		ready = false;
	bool		queued = false;

	pthread_mutex_lock(&pool->lock);
	if (!pool->closing && pool->queue.head == NULL && take_place(pool))
	{
		ready = have_thread(pool);
		if (ready)
			push(&pool->ready, call);
		else
			free_place(pool);
	}
	else if (!pool->closing && pool->queue.count < pool->max_queue)
	{
		queued = true;
		push(&pool->queue, call);
		metrics_gauge_add(METRICS_QUEUE, 1);
	}
	pthread_mutex_unlock(&pool->lock);
	if (ready)
		pthread_cond_signal(&pool->work);
	return ready || queued;
}

void
worker_hand_over(WorkerPool *pool, McpCall *call)
{
	bool		ok;

	pthread_mutex_lock(&pool->lock);
	ok = have_thread(pool);
	if (ok)
		push(&pool->ready, call);
	pthread_mutex_unlock(&pool->lock);
	if (ok)
	{
		pthread_cond_signal(&pool->work);
		return;
	}

	/* there is no thread at all: better late than never */
	mcp_run(call, -1);
	worker_release(pool);
}

void
worker_pool_free(WorkerPool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	for (size_t i = 0; i < pool->limit; i++)
		close(pool->wake_fds[i]);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->wake_fds);
	free(pool->threads);
	free(pool);
}
