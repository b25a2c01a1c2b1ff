/*
 * loop.c
 *		Calls that are under way without a thread of their own.
 *
 * Most calls are one short statement: it is sent from here, its answer is read
 * and written out here, and no other thread is woken for it.  What turns out to
 * be longer goes to a worker together with its place: an answer that is large,
 * or larger than others should wait for, a statement that takes its time, a
 * handler that has to wait again.  So whatever
 * a wait can end on (a cancellation, a hang-up, the end of the time) is looked
 * at by workers only.
 */
#include "loop.h"

#include "metrics.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS 64

/* What has not answered by then goes to a worker. */
#define SLOW_NS UINT64_C(20000000)
#define SLOW_MS 20

/* Parts of a long answer that are read here where no other call waits. */
#define MAX_PARTS 16

/*
 * How long the next part of the only answer is looked for without going to
 * sleep.  PostgreSQL sends 8 KiB at a time, and on a machine that is idle
 * otherwise waking up takes both sides longer than filling them.
 */
#define SPIN_NS UINT64_C(100000)

/* How long a client is taken to be there without a look. */
#define PATIENCE_NS UINT64_C(10000000)

/*
 * What is known of a descriptor by its number.  Those that calls wait for stay
 * in the set between calls; line tells a connection from one that had the same
 * descriptor before it.
 */
typedef struct Watched
{
	uint64_t	line;			/* 0: it is not in the set */
	McpCall    *call;			/* that waits for it */
	int			parts;			/* of its answer that were too many */
} Watched;

/* what an event means, if not a descriptor's number */
typedef enum Source
{
	SOURCE_STOP = -4,
	SOURCE_RELOAD,
	SOURCE_WAKE,				/* a place is free, or a connection woke up */
	SOURCE_OTHER
} Source;

struct Loop
{
	Server	   *server;
	pthread_t	thread;
	int			epoll_fd;
	int			wake_fd;
	bool		again;			/* the thread woke itself after loop_wait */
	bool		may_spin;		/* there is a processor for PostgreSQL, too */
	bool		incoming;		/* the only answer has come in part */
	McpCall    *parked;			/* by queued */
	size_t		count;			/* of them */
	int			watched_count;
	Watched    *watched;		/* by descriptor */
};

static bool
watch(Loop *loop, int fd, int meaning)
{
	struct epoll_event event = {.events = EPOLLIN,.data.fd = meaning};

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool
loop_watch(Loop *loop, int fd)
{
	return watch(loop, fd, SOURCE_OTHER);
}

Loop *
loop_create(Server *server)
{
	Loop	   *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	loop->server = server;
	loop->thread = pthread_self();
	loop->may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
		!watch(loop, server->stop_fd, SOURCE_STOP) ||
		(server->reload_fd >= 0 &&
		 !watch(loop, server->reload_fd, SOURCE_RELOAD)) ||
		!watch(loop, loop->wake_fd, SOURCE_WAKE))
	{
		loop_free(loop);
		return NULL;
	}
	worker_set_loop(server->workers, loop->wake_fd);
	return loop;
}

void
loop_free(Loop *loop)
{
	if (loop == NULL)
		return;
	worker_set_loop(loop->server->workers, -1);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop->watched);
	free(loop);
}

/* ------------------------------------------------------------------------
 * Parked calls
 * ------------------------------------------------------------------------
 */

static const McpParking *
parking_of(const McpCall *call)
{
	return mcp_host(call->mcp)->parking;
}

/* Its place in the table, NULL for want of memory. */
static Watched *
watched(Loop *loop, int fd)
{
	if (fd >= loop->watched_count)
	{
		int			count = fd + 64;
		Watched    *more = realloc(loop->watched,
								   (size_t) count * sizeof(*more));

		if (more == NULL)
			return NULL;
		memset(more + loop->watched_count, 0,
			   (size_t) (count - loop->watched_count) * sizeof(*more));
		loop->watched = more;
		loop->watched_count = count;
	}
	return &loop->watched[fd];
}

static bool
park(Loop *loop, McpCall *call, int fd, uint64_t line)
{
	Watched    *place = watched(loop, fd);

	if (place == NULL || (place->line != line && !watch(loop, fd, fd)))
		return false;
	*place = (Watched) {line, call, 0};
	call->queued = loop->parked;
	loop->parked = call;
	loop->count++;
	return true;
}

/* Whoever has the connection now, we are not to be woken by it. */
static void
stop_watching(Loop *loop, int fd)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	loop->watched[fd].line = 0;
}

static void
forget(Loop *loop, McpCall *call, int fd)
{
	McpCall   **at = &loop->parked;

	while (*at != call)
		at = &(*at)->queued;
	*at = call->queued;
	loop->count--;
	loop->watched[fd].call = NULL;
}

static void
detach(McpCall *call)
{
	if (call->transport->detach != NULL)
		call->transport->detach(call);
}

static void
hand_over(Loop *loop, McpCall *call)
{
	detach(call);
	worker_hand_over(loop->server->workers, call);
}

/* What it waits for is here already, or can not be waited for. */
static bool
finish(Loop *loop, McpCall *call)
{
	if (mcp_finish(call))
	{
		metrics_count(METRICS_LOOP_CALLS);
		return true;
	}
	metrics_count(METRICS_HANDED_OVER);
	hand_over(loop, call);
	return false;
}

/* With a place.  True if that is free again. */
static bool
begin(Loop *loop, McpCall *call)
{
	uint64_t	line;
	int			fd;

	switch (mcp_start(call))
	{
		case MCP_START_DONE:
			return true;
		case MCP_START_DECLINED:
			break;
		case MCP_START_PARKED:
			fd = parking_of(call)->fd(call->parked, &line);
			if (fd < 0)
				return finish(loop, call);
			if (!park(loop, call, fd, line))
				break;
			return false;
	}
	hand_over(loop, call);
	return false;
}

/* Whose call has just come is there. */
static bool
has_hung_up(const McpCall *call)
{
	struct pollfd fd = {call->watch_fd, POLLRDHUP, 0};

	return call->watch_fd >= 0 &&
		metrics_clock() - call->accepted > PATIENCE_NS && poll(&fd, 1, 0) > 0;
}

/*
 * A place has become free: the next in the queue gets it.  Whose client did not
 * wait for that is cancelled.
 */
static void
deal_out(Loop *loop)
{
	McpCall    *call;

	while ((call = worker_next(loop->server->workers)) != NULL)
	{
		if (has_hung_up(call))
			mcp_cancel(call);
		if (begin(loop, call))
			worker_release(loop->server->workers);
	}
}

static void
leave_place(Loop *loop)
{
	worker_release(loop->server->workers);
	deal_out(loop);
}

bool
loop_submit(Loop *loop, McpCall *call)
{
	if (!worker_claim(loop->server->workers))
	{
		call->accepted = metrics_clock();
		detach(call);
		return worker_submit(loop->server->workers, call);
	}
	if (begin(loop, call))
		leave_place(loop);
	return true;
}

static void
hand_over_parked(Loop *loop, McpCall *call, int fd)
{
	forget(loop, call, fd);
	stop_watching(loop, fd);
	metrics_count(METRICS_HANDED_OVER);
	hand_over(loop, call);
}

/* Something came for who waits there, if anybody does. */
static void
advance(Loop *loop, int fd)
{
	Watched    *place = &loop->watched[fd];
	McpCall    *call = place->call;
	McpProgress progress;

	if (call == NULL)
	{
		stop_watching(loop, fd);
		return;
	}
	progress = parking_of(call)->advance(call->parked);
	if (progress == MCP_WAITING || (progress == MCP_SLOW && loop->count == 1 &&
									place->parts++ < MAX_PARTS))
		loop->incoming = loop->may_spin && loop->count == 1;
	else if (progress == MCP_READY)
	{
		forget(loop, call, fd);
		if (finish(loop, call))
			leave_place(loop);
	}
	else
		hand_over_parked(loop, call, fd);
}

/* Those that have waited for long go to workers. */
static void
hand_over_slow(Loop *loop)
{
	uint64_t	now = loop->count > 0 ? metrics_clock() : 0;
	uint64_t	line;

	for (McpCall *call = loop->parked, *next; call != NULL; call = next)
	{
		next = call->queued;
		if (now - call->started >= SLOW_NS)
			hand_over_parked(loop, call,
							 parking_of(call)->fd(call->parked, &line));
	}
}

/* ------------------------------------------------------------------------
 * Waiting
 * ------------------------------------------------------------------------
 */

void
loop_wake(Loop *loop)
{
	if (pthread_equal(pthread_self(), loop->thread))
		loop->again = true;
	else
		eventfd_write(loop->wake_fd, 1);
}

static unsigned
note(Loop *loop, int meaning)
{
	eventfd_t	stale;

	switch (meaning)
	{
		case SOURCE_STOP:
			/* stays readable */
			epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, loop->server->stop_fd,
					  NULL);
			return LOOP_STOP;
		case SOURCE_RELOAD:
			eventfd_read(loop->server->reload_fd, &stale);
			return LOOP_RELOAD;
		case SOURCE_WAKE:
			eventfd_read(loop->wake_fd, &stale);
			deal_out(loop);
			return LOOP_OTHER;
		case SOURCE_OTHER:
			return LOOP_OTHER;
		default:
			advance(loop, meaning);
			break;
	}
	return 0;
}

static int
await_events(Loop *loop, struct epoll_event *events, int ms)
{
	uint64_t	until = loop->incoming && ms > 0 ?
		metrics_clock() + SPIN_NS : 0;
	int			n = 0;

	loop->incoming = false;
	while (n == 0 && metrics_clock() < until)
		n = epoll_wait(loop->epoll_fd, events, MAX_EVENTS, 0);
	return n != 0 ? n : epoll_wait(loop->epoll_fd, events, MAX_EVENTS, ms);
}

unsigned
loop_wait(Loop *loop, int ms)
{
	struct epoll_event events[MAX_EVENTS];
	unsigned	seen = 0;
	int			n;

	if (loop->count > 0 && ms > SLOW_MS)
		ms = SLOW_MS;
	if (loop->again)
		ms = 0;
	n = await_events(loop, events, ms);
	for (int i = 0; i < n; i++)
		seen |= note(loop, events[i].data.fd);
	hand_over_slow(loop);
	if (n <= 0 || loop->again)
		seen |= LOOP_OTHER;
	loop->again = false;
	return seen;
}
