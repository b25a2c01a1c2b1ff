/*
 * stdio.c
 *		Calls a server that speaks MCP over its standard input and output, one
 *		call after the other.
 *
 * stdio SECONDS REQUEST-FILE PROGRAM [ARG ...]
 *
 * The file has one message per line: those that open the conversation and are
 * each answered, or are notifications, and as the last one the call that is
 * repeated.  Prints calls per second, the median latency in us, the CPU us per
 * call that the server used in user and in system mode, and the length of an
 * answer.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_LINES 16
#define MAX_SAMPLES 2000000

static FILE *to_server;
static FILE *from_server;
static char *lines[MAX_LINES];
static float samples[MAX_SAMPLES];
static char *answer;
static size_t answer_size;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int
read_lines(const char *path)
{
	FILE	   *file = fopen(path, "r");
	size_t		size = 0;
	int			n = 0;

	if (file == NULL)
		die(path);
	while (n < MAX_LINES && getline(&lines[n], &size, file) > 1)
	{
		n++;
		size = 0;
	}
	fclose(file);
	return n;
}

static pid_t
start(char **argv)
{
	int			in[2];
	int			out[2];
	pid_t		pid;

	if (pipe(in) != 0 || pipe(out) != 0 || (pid = fork()) < 0)
		die("fork");
	if (pid == 0)
	{
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		close(in[1]);
		close(out[0]);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	close(in[0]);
	close(out[1]);
	to_server = fdopen(in[1], "w");
	from_server = fdopen(out[0], "r");
	return pid;
}

/* Length of the answer. */
static ssize_t
exchange(const char *line)
{
	ssize_t		n;

	fputs(line, to_server);
	if (fflush(to_server) != 0)
		die("write");
	n = getline(&answer, &answer_size, from_server);
	if (n <= 0 || strstr(answer, "\"error\"") != NULL)
	{
		fprintf(stderr, "not answered: %s", n > 0 ? answer : "\n");
		exit(1);
	}
	return n;
}

/* User and system time of a process, in us. */
static void
cpu_of(pid_t pid, double *user, double *sys)
{
	char		path[64];
	char		text[1024];
	FILE	   *file;
	unsigned long u;
	unsigned long s;
	double		tick = 1e6 / (double) sysconf(_SC_CLK_TCK);

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	file = fopen(path, "r");
	if (file == NULL || fgets(text, sizeof(text), file) == NULL ||
		sscanf(strrchr(text, ')') + 1,
			   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			   &u, &s) != 2)
		die(path);
	fclose(file);
	*user = (double) u * tick;
	*sys = (double) s * tick;
}

static int
compare(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	pid_t		pid;
	int			n;
	long		calls = 0;
	ssize_t		len = 0;
	double		before[2];
	double		after[2];
	double		start_time;
	double		until;

	if (argc < 4)
		return 2;
	n = read_lines(argv[2]);
	pid = start(argv + 3);
	for (int i = 0; i + 1 < n; i++)
	{
		if (strstr(lines[i], "\"id\"") != NULL)
			exchange(lines[i]);
		else
			fputs(lines[i], to_server);
	}
	for (int i = 0; i < 200; i++)
		exchange(lines[n - 1]);
	cpu_of(pid, &before[0], &before[1]);
	start_time = now();
	until = start_time + atof(argv[1]) * 1e6;
	for (double t = start_time; t < until && calls < MAX_SAMPLES; calls++)
	{
		double		end;

		len = exchange(lines[n - 1]);
		end = now();
		samples[calls] = (float) (end - t);
		t = end;
	}
	until = now();
	cpu_of(pid, &after[0], &after[1]);
	fclose(to_server);
	waitpid(pid, NULL, 0);
	qsort(samples, (size_t) calls, sizeof(samples[0]), compare);
	printf("%.0f %.0f %.1f %.1f %zd\n",
		   (double) calls / (until - start_time) * 1e6,
		   (double) samples[calls / 2],
		   (after[0] - before[0]) / (double) calls,
		   (after[1] - before[1]) / (double) calls, len);
	return 0;
}
