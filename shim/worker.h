/*
 * worker.h
 *		Threads that run deferred calls, as many as there are connections.
 */
#ifndef WORKER_H
#define WORKER_H

#include "mcp.h"

typedef struct WorkerPool WorkerPool;

extern WorkerPool *worker_pool_create(size_t threads, size_t max_queue);

/* False when the queue is full: the caller still owns the call. */
extern bool worker_submit(WorkerPool *pool, McpCall *call);

/* Runs what is queued, then joins every thread. */
extern void worker_pool_free(WorkerPool *pool);

#endif							/* WORKER_H */
