/*
 * loop.h
 *		The one thread that everything goes through: connections of clients by
 *		way of the HTTP library, and calls that are under way.
 */
#ifndef LOOP_H
#define LOOP_H

#include "server.h"

typedef struct Loop Loop;

/* The loop deals out the places of server's workers from now on. */
extern Loop *loop_create(Server *server);

/* When no call is under way any more. */
extern void loop_free(Loop *loop);

/* loop_wait shall return LOOP_OTHER when this is readable. */
extern bool loop_watch(Loop *loop, int fd);

/*
 * Runs a deferred call: starts it without waiting, or leaves it to a worker.
 * For the loop's own thread.  False when too many wait: the caller still owns
 * the call.
 */
extern bool loop_submit(Loop *loop, McpCall *call);

/* Makes the current or next loop_wait return at once; from any thread. */
extern void loop_wake(Loop *loop);

/* what loop_wait saw */
#define LOOP_STOP 1				/* told once */
#define LOOP_RELOAD 2
#define LOOP_OTHER 4			/* what is watched, a wake, or no event */

/*
 * Waits for at most ms, and goes on with the calls whose answers came.  What
 * they wake is for the caller to see to before it waits again.
 */
extern unsigned loop_wait(Loop *loop, int ms);

#endif							/* LOOP_H */
