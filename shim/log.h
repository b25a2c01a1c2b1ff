/*
 * log.h
 *		Structured log lines on stderr.  Never a token, never SQL, never rows.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

typedef enum LogLevel
{
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR
} LogLevel;

extern bool log_setup(const char *level, const char *format);
extern bool log_enabled(LogLevel level);

/*
 * event is a constant; then pairs of key (constant) and value (any text, may
 * be NULL: left out), ended by a NULL key.
 */
extern void log_event(LogLevel level, const char *event,...)
			__attribute__((sentinel));

#endif							/* LOG_H */
