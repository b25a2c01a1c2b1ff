/*
 * metrics.h
 *		Counters of the shim in Prometheus' text format.
 */
#ifndef METRICS_H
#define METRICS_H

#include "buf.h"

#include <stdint.h>

typedef enum MetricsValue
{
	METRICS_POOL_BUSY,
	METRICS_POOL_OPEN,
	METRICS_QUEUE,
	METRICS_CONNECTIONS,
	METRICS_STREAMS,
	METRICS_HTTP_REFUSED,		/* answered before the protocol core saw it */
	METRICS_AUTH_FAILED,
	METRICS_DB_CONNECTS,
	METRICS_DB_FAILURES,
	METRICS_LOOP_CALLS,			/* answered without a worker */
	METRICS_HANDED_OVER,		/* begun without one */
	METRICS_VALUES
} MetricsValue;

/* monotonic nanoseconds */
extern uint64_t metrics_clock(void);

/* name is a constant; outcome is a McpOutcome */
extern void metrics_count_call(const char *name, int outcome, uint64_t ns);
extern const char *metrics_outcome_name(int outcome);
extern void metrics_count(MetricsValue counter);
extern void metrics_gauge_add(MetricsValue gauge, int delta);
extern void metrics_write(Buf *out);

#endif							/* METRICS_H */
