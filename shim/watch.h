/*
 * watch.h
 *		Tells listeners what became of changes.
 */
#ifndef WATCH_H
#define WATCH_H

#include "config.h"
#include "mcp.h"
#include "worker.h"

typedef struct Watch Watch;

/* Starts the thread that learns of changes. */
extern Watch *watch_start(const Config *cf, Mcp *mcp, WorkerPool *workers);

/* For McpHost: a stream of this credential, for this person, was opened. */
extern void watch_listening(void *watch, const char *credential,
							const json_t *person);

/* Ends the thread; to be freed when no worker runs any more. */
extern void watch_stop(Watch *watch);
extern void watch_free(Watch *watch);

#endif							/* WATCH_H */
