/*
 * metrics.c
 *		Atomic counters; no lock, no allocation while counting.
 */
#include "metrics.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#define MAX_NAMES 64
#define OUTCOMES 6
#define BUCKETS 12

static const char *const outcome_names[OUTCOMES] = {
	"ok", "pending_review", "error", "refused", "cancelled", "fault"
};

/* upper bounds of the latency histogram, microseconds */
static const uint64_t bounds[BUCKETS] = {
	250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2500000,
	10000000
};

/* in the order of MetricsValue */
static const struct
{
	const char *type;
	const char *name;
}			kinds[METRICS_VALUES] = {
	{"gauge", "warden_mcp_pool_busy"}, {"gauge", "warden_mcp_pool_open"},
	{"gauge", "warden_mcp_queue_length"},
	{"gauge", "warden_mcp_http_connections"}, {"gauge", "warden_mcp_streams"},
	{"counter", "warden_mcp_http_refused_total"},
	{"counter", "warden_mcp_auth_failed_total"},
	{"counter", "warden_mcp_db_connects_total"},
	{"counter", "warden_mcp_db_failures_total"},
	{"counter", "warden_mcp_loop_calls_total"},
	{"counter", "warden_mcp_handed_over_total"},
};

typedef struct NameCounts
{
	_Atomic(const char *) name;
	atomic_ullong outcomes[OUTCOMES];
} NameCounts;

/* process-wide, zero from the start */
static NameCounts calls[MAX_NAMES];
static atomic_ullong histogram[BUCKETS + 1];
static atomic_ullong total_us;
static atomic_llong values[METRICS_VALUES];

uint64_t
metrics_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* Names are constants, so their addresses identify them. */
static NameCounts *
find_name(const char *name)
{
	for (int i = 0; i < MAX_NAMES; i++)
	{
		const char *seen = atomic_load(&calls[i].name);

		if (seen == NULL &&
			atomic_compare_exchange_strong(&calls[i].name, &seen, name))
			return &calls[i];
		if (seen == name)
			return &calls[i];
	}
	return NULL;
}

const char *
metrics_outcome_name(int outcome)
{
	return outcome >= 0 && outcome < OUTCOMES ? outcome_names[outcome] : "?";
}

void
metrics_count_call(const char *name, int outcome, uint64_t ns)
{
	NameCounts *counts = find_name(name);
	uint64_t	us = ns / 1000;
	int			i = 0;

	if (counts != NULL && outcome >= 0 && outcome < OUTCOMES)
		atomic_fetch_add(&counts->outcomes[outcome], 1);
	while (i < BUCKETS && us > bounds[i])
		i++;
	atomic_fetch_add(&histogram[i], 1);
	atomic_fetch_add(&total_us, us);
}

void
metrics_count(MetricsValue counter)
{
	atomic_fetch_add(&values[counter], 1);
}

void
metrics_gauge_add(MetricsValue gauge, int delta)
{
	atomic_fetch_add(&values[gauge], delta);
}

static void
write_calls(Buf *out)
{
	buf_puts(out, "# TYPE warden_mcp_calls_total counter\n");
	for (int i = 0; i < MAX_NAMES; i++)
	{
		const char *name = atomic_load(&calls[i].name);

		for (int k = 0; name != NULL && k < OUTCOMES; k++)
		{
			unsigned long long n = atomic_load(&calls[i].outcomes[k]);

			if (n > 0)
				buf_printf(out, "warden_mcp_calls_total{name=\"%s\",outcome=\"%s\"} %llu\n",
						   name, outcome_names[k], n);
		}
	}
}

static void
write_histogram(Buf *out)
{
	unsigned long long sum = 0;

	buf_puts(out, "# TYPE warden_mcp_call_seconds histogram\n");
	for (int i = 0; i < BUCKETS; i++)
	{
		sum += atomic_load(&histogram[i]);
		buf_printf(out, "warden_mcp_call_seconds_bucket{le=\"%g\"} %llu\n",
				   (double) bounds[i] / 1e6, sum);
	}
	sum += atomic_load(&histogram[BUCKETS]);
	buf_printf(out, "warden_mcp_call_seconds_bucket{le=\"+Inf\"} %llu\n"
			   "warden_mcp_call_seconds_sum %g\n"
			   "warden_mcp_call_seconds_count %llu\n", sum,
			   (double) atomic_load(&total_us) / 1e6, sum);
}

void
metrics_write(Buf *out)
{
	write_calls(out);
	write_histogram(out);
	for (int i = 0; i < METRICS_VALUES; i++)
		buf_printf(out, "# TYPE %s %s\n%s %lld\n", kinds[i].name,
				   kinds[i].type, kinds[i].name, atomic_load(&values[i]));
}
