/*
 * worker.h
 *		Places for deferred calls, as many as there are connections, and
 *		threads for those of them that have to wait.
 *
 * Every call that runs has a place: on a thread of the pool, or with the event
 * loop where there is one, which then deals out the places that become free.
 */
#ifndef WORKER_H
#define WORKER_H

#include "mcp.h"

typedef struct WorkerPool WorkerPool;

extern WorkerPool *worker_pool_create(size_t threads, size_t max_queue);

/*
 * A thread runs the call, at once or when there is a place.  False when the
 * queue is full: the caller still owns the call.
 */
extern bool worker_submit(WorkerPool *pool, McpCall *call);

/* Runs what is queued, then joins every thread. */
extern void worker_pool_free(WorkerPool *pool);

/* ------------------------------------------------------------------------
 * For an event loop
 * ------------------------------------------------------------------------
 */

/*
 * From now on a thread that becomes free while calls are queued writes to this
 * eventfd, and the loop takes them by worker_next.
 */
extern void worker_set_loop(WorkerPool *pool, int event_fd);

/* Takes a place for a call of the caller's, if nobody waits for one. */
extern bool worker_claim(WorkerPool *pool);

/* The longest waiting call together with a place for it, or NULL. */
extern McpCall *worker_next(WorkerPool *pool);

/* Gives a place back. */
extern void worker_release(WorkerPool *pool);

/* A thread takes over the call together with its place. */
extern void worker_hand_over(WorkerPool *pool, McpCall *call);

#endif							/* WORKER_H */
