/*
 * log.c
 *		One line per event, logfmt or JSON, written with one write(2) so that
 *		lines of several threads never mix.  stdout is never touched.
 */
#include "log.h"

#include "buf.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* set by main before any thread starts, and again on SIGHUP */
static _Atomic LogLevel threshold = LOG_LEVEL_INFO;
static atomic_bool as_json = false;

bool
log_setup(const char *level, const char *format)
{
	for (int i = 0; i < 4; i++)
	{
		if (strcasecmp(level, level_names[i]) == 0)
		{
			threshold = (LogLevel) i;
			as_json = strcasecmp(format, "json") == 0;
			return true;
		}
	}
	return false;
}

bool
log_enabled(LogLevel level)
{
	return level >= threshold;
}

static void
put_pair(Buf *b, const char *key, const char *value)
{
	if (as_json)
	{
		buf_putc(b, b->len > 0 ? ',' : '{');
		buf_json_cstr(b, key);
		buf_putc(b, ':');
		buf_json_cstr(b, value);
		return;
	}
	if (b->len > 0)
		buf_putc(b, ' ');
	buf_puts(b, key);
	buf_putc(b, '=');
	if (*value != '\0' && strpbrk(value, " \"=\\\n\r\t") == NULL)
		buf_json_chars(b, value, strlen(value));
	else
		buf_json_cstr(b, value);
}

static void
format_time(char *out, size_t size)
{
	struct timespec now;
	struct tm	tm;
	size_t		n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

void
log_event(LogLevel level, const char *event,...)
{
	char		stamp[40];
	Buf			line;
	va_list		args;
	const char *key;

	if (!log_enabled(level))
		return;
	buf_init(&line);
	format_time(stamp, sizeof(stamp));
	put_pair(&line, "ts", stamp);
	put_pair(&line, "level", level_names[level]);
	put_pair(&line, "event", event);
	va_start(args, event);
	while ((key = va_arg(args, const char *)) != NULL)
	{
		const char *value = va_arg(args, const char *);

		if (value != NULL)
			put_pair(&line, key, value);
	}
	va_end(args);
	buf_puts(&line, as_json ? "}\n" : "\n");
	if (buf_ok(&line))
	{
		ssize_t		ignored = write(STDERR_FILENO, line.data, line.len);

		(void) ignored;			/* nowhere left to complain */
	}
	buf_free(&line);
}
