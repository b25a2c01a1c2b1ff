/*
 * loop.c
 *		Calls that are under way without a thread of their own.
 *
 * Most calls are one short statement: it is sent from here, its answer is read
 * and written out here, and no other thread is woken for it.  What turns out to
 * be longer goes to a worker together with its place: a large answer, a
 * statement that takes its time, a handler that has to wait again.  So whatever
 * a wait can end on (a cancellation, a hang-up, the end of the time) is looked
 * at by workers only.
 */
#include "loop.h"

#include "metrics.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS 64

/* What has not answered by then goes to a worker. */
#define SLOW_NS UINT64_C(20000000)
#define SLOW_MS 20

/* How long a client is taken to be there without a look. */
#define PATIENCE_NS UINT64_C(10000000)

typedef struct Parked
{
	McpCall    *call;
	uint64_t	since;
} Parked;

/* what an event means, if not a parked call; used by their addresses */
typedef enum Source
{
	SOURCE_STOP,
	SOURCE_RELOAD,
	SOURCE_WAKE,				/* a place is free, or a connection woke up */
	SOURCE_OTHER,
	SOURCES
} Source;

struct Loop
{
	Server	   *server;
	pthread_t	thread;
	int			epoll_fd;
	int			wake_fd;
	bool		again;			/* the thread woke itself after loop_wait */
	char		sources[SOURCES];
	size_t		count;
	Parked	   *parked;			/* as many as there are places */
};

static bool
watch(Loop *loop, int fd, Source source)
{
	struct epoll_event event = {
		.events = EPOLLIN,.data.ptr = &loop->sources[source]
	};

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
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->parked = calloc(worker_places(server->workers), sizeof(Parked));
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 || loop->parked == NULL ||
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
	free(loop->parked);
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

/*
 * One event, then none until the next arming: whoever has the connection
 * afterwards is not disturbed.  The descriptor is in the set from its first
 * call on.
 */
static bool
arm(Loop *loop, McpCall *call)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLONESHOT,.data.ptr = call
	};
	int			fd = parking_of(call)->fd(call->parked);

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return true;
	return errno == ENOENT &&
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
forget(Loop *loop, const McpCall *call)
{
	size_t		i = 0;

	while (loop->parked[i].call != call)
		i++;
	loop->parked[i] = loop->parked[--loop->count];
}

static void
hand_over(Loop *loop, McpCall *call)
{
	metrics_count(METRICS_HANDED_OVER);
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
	hand_over(loop, call);
	return false;
}

/* With a place.  True if that is free again. */
static bool
begin(Loop *loop, McpCall *call)
{
	switch (mcp_start(call))
	{
		case MCP_START_DONE:
			return true;
		case MCP_START_DECLINED:
			break;
		case MCP_START_PARKED:
			if (parking_of(call)->fd(call->parked) < 0)
				return finish(loop, call);
			if (!arm(loop, call))
				break;
			loop->parked[loop->count++] = (Parked) {call, metrics_clock()};
			return false;
	}
	worker_hand_over(loop->server->workers, call);
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
		return worker_submit(loop->server->workers, call);
	}
	if (begin(loop, call))
		leave_place(loop);
	return true;
}

static void
advance(Loop *loop, McpCall *call)
{
	McpProgress progress = parking_of(call)->advance(call->parked);

	if (progress == MCP_WAITING && arm(loop, call))
		return;
	forget(loop, call);
	if (progress != MCP_READY)
		hand_over(loop, call);
	else if (finish(loop, call))
		leave_place(loop);
}

/* Those that have waited for long go to workers. */
static void
hand_over_slow(Loop *loop)
{
	uint64_t	now = loop->count > 0 ? metrics_clock() : 0;
	size_t		i = 0;

	while (i < loop->count)
	{
		McpCall    *call = loop->parked[i].call;

		if (now - loop->parked[i].since < SLOW_NS)
		{
			i++;
			continue;
		}
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL,
				  parking_of(call)->fd(call->parked), NULL);
		forget(loop, call);
		hand_over(loop, call);
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
note(Loop *loop, Source source)
{
	eventfd_t	stale;

	switch (source)
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
			break;
		default:
			break;
	}
	return 0;
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
	n = epoll_wait(loop->epoll_fd, events, MAX_EVENTS, ms);
	for (int i = 0; i < n; i++)
	{
		char	   *source = events[i].data.ptr;

		if (source >= loop->sources && source < loop->sources + SOURCES)
			seen |= note(loop, (Source) (source - loop->sources));
		else
			advance(loop, events[i].data.ptr);
	}
	hand_over_slow(loop);
	loop->again = false;
	return seen;
}
