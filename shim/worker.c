/*
 * worker.c
 *		A bounded queue and threads that are started when there is work.
 *
 * Each thread owns an eventfd that cancellation writes to, so that a worker
 * that waits for PostgreSQL can be woken.
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

struct WorkerPool
{
	pthread_mutex_t lock;
	pthread_cond_t work;
	McpCall    *head;
	McpCall    *tail;
	size_t		queued;
	size_t		max_queue;
	size_t		limit;
	size_t		started;
	size_t		idle;
	size_t		busy;			/* threads that run a call */
	bool		closing;
	pthread_t  *threads;
};

WorkerPool *
worker_pool_create(size_t threads, size_t max_queue)
{
	WorkerPool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->threads = calloc(threads, sizeof(pthread_t));
	if (pool->threads == NULL)
	{
		free(pool);
		return NULL;
	}
	pool->limit = threads;
	pool->max_queue = max_queue;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	return pool;
}

/*
 * The next call, NULL when the pool is closing and empty.  was_busy: the thread
 * comes from another one.
 */
static McpCall *
take(WorkerPool *pool, bool was_busy)
{
	McpCall    *call;

	pthread_mutex_lock(&pool->lock);
	if (was_busy)
		pool->busy--;
	while (pool->head == NULL && !pool->closing)
	{
		pool->idle++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
	}
	call = pool->head;
	if (call != NULL)
	{
		pool->head = call->queued;
		if (pool->head == NULL)
			pool->tail = NULL;
		pool->queued--;
		pool->busy++;
		metrics_gauge_add(METRICS_QUEUE, -1);
	}
	pthread_mutex_unlock(&pool->lock);
	return call;
}

static void *
work(void *arg)
{
	WorkerPool *pool = arg;
	int			wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	McpCall    *call = take(pool, false);

	for (; call != NULL; call = take(pool, true))
	{
		metrics_gauge_add(METRICS_POOL_BUSY, 1);
		mcp_run(call, wake_fd);
		metrics_gauge_add(METRICS_POOL_BUSY, -1);
	}
	close(wake_fd);
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

bool
worker_submit(WorkerPool *pool, McpCall *call)
{
	bool		ok = false;

	pthread_mutex_lock(&pool->lock);

	/* what a free thread will take at once does not wait */
	if (!pool->closing &&
		pool->queued < pool->max_queue + pool->limit - pool->busy)
	{
		if (pool->idle <= pool->queued && pool->started < pool->limit)
			start_thread(pool);
		ok = pool->started > 0;
	}
	if (ok)
	{
		call->queued = NULL;
		if (pool->tail != NULL)
			pool->tail->queued = call;
		else
			pool->head = call;
		pool->tail = call;
		pool->queued++;
		metrics_gauge_add(METRICS_QUEUE, 1);
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return ok;
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
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}
