/*
 * db_connect.c
 *		How every connection is made.
 */
#include "db_connect.h"

#include <stdio.h>

/* Keywords before dbname are defaults, those after it are ours. */
PGconn *
db_connect(const char *dsn, long timeout)
{
	char		seconds[24];
	const char *const keywords[] = {
		"connect_timeout", "fallback_application_name", "dbname",
		"client_encoding", NULL
	};
	const char *const values[] = {seconds, "warden-mcp", dsn, "UTF8", NULL};

	snprintf(seconds, sizeof(seconds), "%ld", timeout);
	return PQconnectdbParams(keywords, values, 1);
}
