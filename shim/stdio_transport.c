/*
 * stdio_transport.c
 *		One JSON-RPC message per line on stdin and stdout.
 *
 * stdout carries protocol only, through one writer under its own lock.  At the
 * end of stdin running calls are answered, then the process ends.
 */
#include "server.h"

#include "log.h"
#include "metrics.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Stdio
{
	Server	   *server;
	Buf			line;			/* what has been read of one */
	bool		skipping;		/* in a line that is too long */
} Stdio;

/* One stdio server per process: transports have no context of their own. */
static Stdio stdio;

/* Nothing more after an error: half a line may have been written. */
static void
write_line(const char *json, size_t len)
{
	flockfile(stdout);
	if (!ferror_unlocked(stdout))
	{
		fwrite_unlocked(json, 1, len, stdout);
		putc_unlocked('\n', stdout);
		fflush_unlocked(stdout);
	}
	funlockfile(stdout);
}

static void
notify(McpCall *call, const char *json, size_t len)
{
	(void) call;
	write_line(json, len);
}

/* There is no memory for an answer: one that needs none. */
static void
answer_without_memory(const McpCall *call)
{
	const json_t *id = call->msg.id;
	char		text[128];
	int			n;

	log_event(LOG_LEVEL_ERROR, "out_of_memory", NULL);
	if (!json_is_integer(id))
		return;
	n = snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%lld,"
				 "\"error\":{\"code\":-32603,\"message\":\"Out of memory\"}}",
				 (long long) json_integer_value(id));
	write_line(text, (size_t) n);
}

static void
finish(McpCall *call)
{
	if (!buf_ok(&call->out))
		answer_without_memory(call);
	else if (call->out.len > 0)
		write_line(call->out.data, call->out.len);
	mcp_call_clear(call);
	free(call);
}

static const Transport stdio_transport = {
	.answer_when_cancelled = false,
	.challenges = false,
	.notify = notify,
	.finish = finish
};

static void
handle_line(const char *line, size_t len)
{
	Server	   *server = stdio.server;
	McpCall    *call = malloc(sizeof(*call));
	McpRoute	taken;

	if (call == NULL)
	{
		log_event(LOG_LEVEL_ERROR, "out_of_memory", NULL);
		return;
	}
	mcp_call_init(call, server->mcp, &stdio_transport);
	call->credential = server->default_token;
	taken = mcp_accept(call, line, len, NULL);
	if (taken == MCP_STREAMING ||
		(taken == MCP_DEFERRED && worker_submit(server->workers, call)))
		return;
	if (taken == MCP_DEFERRED)
		mcp_error(call, MCP_OVERLOADED, "Too many calls are waiting");
	finish(call);
}

static void
refuse_long_line(void)
{
	Buf			answer;

	buf_init(&answer);
	jsonrpc_error(&answer, NULL, JSONRPC_INVALID_REQUEST,
				  "Invalid Request: the message is too large");
	if (buf_ok(&answer))
		write_line(answer.data, answer.len);
	buf_free(&answer);
}

/* Of a line that is too long only that it is one is remembered. */
static void
add_to_line(const char *part, size_t n)
{
	if (!stdio.skipping &&
		stdio.line.len + n > (size_t) stdio.server->cf->max_body)
	{
		refuse_long_line();
		stdio.skipping = true;
	}
	if (!stdio.skipping)
		buf_append(&stdio.line, part, n);
}

/* A blank line is no message. */
static void
end_line(void)
{
	if (!stdio.skipping &&
		strspn(buf_cstr(&stdio.line), " \t\r") < stdio.line.len)
		handle_line(stdio.line.data, stdio.line.len);
	stdio.skipping = false;
	buf_truncate(&stdio.line, 0);
}

/* False at the end of the input. */
static bool
read_input(void)
{
	char		chunk[16384];
	const char *at = chunk;
	const char *end;
	ssize_t		n = read(STDIN_FILENO, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	while ((end = memchr(at, '\n', (size_t) (chunk + n - at))) != NULL)
	{
		add_to_line(at, (size_t) (end - at));
		if (!buf_ok(&stdio.line))
			return false;
		end_line();
		at = end + 1;
	}
	add_to_line(at, (size_t) (chunk + n - at));
	return n > 0 && buf_ok(&stdio.line);
}

static void
drain(Server *server)
{
	uint64_t	deadline = metrics_clock() +
		(uint64_t) server->cf->drain_timeout * UINT64_C(1000000000);

	mcp_close_streams(server->mcp);
	while (mcp_running(server->mcp) > 0 && metrics_clock() < deadline)
		usleep(2000);
	mcp_cancel_all(server->mcp);
}

int
stdio_serve(Server *server)
{
	static char out_buffer[64 * 1024];
	struct pollfd fds[2] = {
		{STDIN_FILENO, POLLIN, 0}, {server->stop_fd, POLLIN, 0}
	};

	memset(&stdio, 0, sizeof(stdio));
	stdio.server = server;
	setvbuf(stdout, out_buffer, _IOFBF, sizeof(out_buffer));
	log_event(LOG_LEVEL_INFO, "serving", "transport", "stdio", NULL);
	for (;;)
	{
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		/* without the lock, which a worker may hold that can not write */
		if (fds[1].revents != 0 || ferror_unlocked(stdout))
			break;
		if (fds[0].revents != 0 && !read_input())
			break;
	}
	/* a last line without its line end is still a message */
	if (buf_ok(&stdio.line))
		end_line();
	drain(server);
	buf_free(&stdio.line);
	return 0;
}
