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
extern void watch_stop(Watch *watch);

#endif							/* WATCH_H */
