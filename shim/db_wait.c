/*
 * db_wait.c
 *		Waiting for PostgreSQL: what a wait ends on besides input, and how much
 *		may come.
 */
#include "db_internal.h"

#include "metrics.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

/* How often those who wait with us are told that we still do. */
#define TELL_NS (2 * SECOND)

/* When a statement that was cancelled and goes on is cancelled again. */
#define CANCEL_AGAIN_NS (300 * 1000 * 1000)

/* libpq makes room for so many bytes before it reads. */
#define LEAST_READ 8192

/* How long who can do without the outcome waits for it. */
#define BRIEF_NS (3 * SECOND)

void
db_wait_begin(DbWait *wait, const DbPool *pool, const DbRequest *request)
{
	uint64_t	now = metrics_clock();

	*wait = (DbWait) {
		.cancelled = request->cancelled,.wake_fd = request->wake_fd,
		.watch_fd = request->watch_fd,.limit = pool->max_receive,
		.brief = request->brief,
		.deadline = now + (request->brief ? BRIEF_NS :
						   (uint64_t) pool->call_timeout * SECOND),
		.tell = request->tell,.tell_arg = request->tell_arg,
		.tell_again = now + TELL_NS
	};
}

void
db_wait_cancel(DbPool *pool, DbConn *conn, DbWait *wait)
{
	char		message[256];
	uint64_t	now = metrics_clock();

	if (wait->give_up == 0)
		wait->give_up = now + (uint64_t) pool->cancel_timeout * SECOND;
	wait->cancel_again = now + CANCEL_AGAIN_NS;
	wait->tell = NULL;
	if (!PQcancel(conn->cancel, message, sizeof(message)))
		wait->give_up = 1;		/* gone: do not wait for it */
}

static int
milliseconds_left(const DbWait *wait)
{
	uint64_t	end = wait->give_up == 0 ? wait->deadline :
		wait->give_up < wait->cancel_again ? wait->give_up : wait->cancel_again;
	uint64_t	now = metrics_clock();

	if (wait->tell != NULL && wait->tell_again < end)
		end = wait->tell_again;
	return end <= now ? 0 : (int) ((end - now) / 1000000 + 1);
}

/*
 * True if it was time to.  Who has not badged in is told nothing: that may get
 * another answer than one with events ahead of it.
 */
static bool
tell(const DbConn *conn, DbWait *wait)
{
	uint64_t	now = metrics_clock();

	if (wait->tell == NULL || now < wait->tell_again)
		return false;
	if (conn->outcome != NULL && conn->outcome->entered)
		wait->tell(wait->tell_arg);
	wait->tell_again = now + TELL_NS;
	return true;
}

/* What a TCP connection has received since it was opened; false for others. */
static bool
received_by_tcp(int fd, size_t *bytes)
{
	struct tcp_info info;
	socklen_t	len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
		len < offsetof(struct tcp_info, tcpi_bytes_received) +
		sizeof(info.tcpi_bytes_received))
		return false;
	*bytes = (size_t) info.tcpi_bytes_received;
	return true;
}

/*
 * Of another connection: what arrived since the last look.  Bytes that arrive
 * while libpq reads are missed, which are most of them where the server is
 * faster; at least so many were read each time.  So this is a floor.
 */
static void
count_arrivals(DbConn *conn, DbWait *wait, bool before)
{
	size_t		queued;
	int			n = 0;

	if (ioctl(PQsocket(conn->pg), FIONREAD, &n) != 0)
		return;
	queued = (size_t) n;
	if (before)
		wait->read += queued < LEAST_READ ? queued : LEAST_READ;
	if (before && queued > wait->backlog)
		wait->received += queued - wait->backlog;
	wait->backlog = queued;
	if (wait->read > wait->received)
		wait->received = wait->read;
}

/* A guard against results that would fill the memory. */
static void
count_received(DbConn *conn, DbWait *wait, bool before)
{
	size_t		total;

	if (wait->limit == 0 || wait->reads <= DB_FREE_READS)
		return;
	if (received_by_tcp(PQsocket(conn->pg), &total))
	{
		if (wait->base == 0)
			wait->base = total;
		wait->received = total - wait->base;
	}
	else
		count_arrivals(conn, wait, before);
	wait->too_large = wait->received > wait->limit;
}

bool
db_wait_was_cancelled(const DbWait *wait)
{
	return wait->cancelled != NULL && atomic_load(wait->cancelled);
}

bool
db_wait_input(DbPool *pool, DbConn *conn, DbWait *wait)
{
	bool		cancelling = wait->give_up != 0;
	struct pollfd fds[3] = {
		{PQsocket(conn->pg), POLLIN, 0},
		{cancelling ? -1 : wait->wake_fd, POLLIN, 0},
		{cancelling ? -1 : wait->watch_fd, POLLRDHUP, 0}
	};
	int			n = poll(fds, 3, milliseconds_left(wait));
	eventfd_t	stale;

	if (n < 0)
		return errno == EINTR;
	if (tell(conn, wait) && n == 0)
		return true;
	if (n == 0)
	{
		if (wait->brief || (cancelling && metrics_clock() >= wait->give_up))
			return false;
		db_wait_cancel(pool, conn, wait);
		return true;
	}
	if (!cancelling && (fds[2].revents != 0 || db_wait_was_cancelled(wait)))
		db_wait_cancel(pool, conn, wait);
	else if (fds[1].revents != 0)
		eventfd_read(wait->wake_fd, &stale);	/* meant for an earlier call */
	if (fds[0].revents == 0)
		return true;
	wait->reads++;
	count_received(conn, wait, true);
	if (wait->too_large || !PQconsumeInput(conn->pg))
		return false;
	count_received(conn, wait, false);
	return true;
}
