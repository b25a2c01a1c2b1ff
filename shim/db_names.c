/*
 * db_names.c
 *		Which statements a connection knows by a name.
 *
 * Half of what PostgreSQL does for a short statement is reading and planning
 * it.  The first time a statement is sent as it is, and its text is kept; the
 * second time it gets a name.  Places are taken over from statements that came
 * once only.  What is long, or tells the time, gets no name.
 *
 * PostgreSQL keeps what it made of a statement's words when it read them,
 * though they may mean something else by now: a parameter has the type of a
 * column that has another one since, the label of an enum was renamed,
 * 'x'::regtype was made anew.  So all names are given up from time to time.
 */
#include "db_internal.h"

#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nanoseconds; reading sixteen statements anew costs some milliseconds. */
#define MAX_AGE (10 * SECOND)

DbName *
db_names_find(DbNames *names, const char *sql, int param_count)
{
	size_t		len = strlen(sql);

	for (int i = 0; i < DB_NAMES; i++)
	{
		DbName	   *name = &names->places[i];

		if (name->sql != NULL && name->len == len &&
			name->param_count == param_count &&
			memcmp(name->sql, sql, len) == 0)
			return name;
	}
	return NULL;
}

/*
 * Literals such as 'now' and 'today' get their value when a statement is read,
 * so it has to be read each time.  A word too many is no harm: a column
 * "known" costs its statements their names.
 */
static bool
tells_time(const char *sql)
{
	static const char *const words[] = {"today", "tomorrow", "yesterday"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(sql, words[i]) != NULL)
			return true;
	for (sql = strcasestr(sql, "now"); sql != NULL; sql = strcasestr(sql, "now"))
	{
		sql += 3;
		if (sql[strspn(sql, " \t\r\n")] != '(')
			return true;
	}
	return false;
}

void
db_names_forget(DbName *name)
{
	free(name->sql);
	memset(name, 0, sizeof(*name));
}

DbName *
db_names_add(DbNames *names, const char *sql, int param_count)
{
	DbName	   *name = NULL;
	size_t		len = strlen(sql);

	if (len > DB_MAX_SHORT || tells_time(sql))
		return NULL;
	for (int i = 0; i < DB_NAMES && name == NULL; i++)
	{
		name = &names->places[names->next++ % DB_NAMES];
		if (name->prepared)
			name = NULL;
	}
	names->full = name == NULL;
	if (name == NULL)
		return NULL;
	db_names_forget(name);
	name->sql = strdup(sql);
	name->len = len;
	name->param_count = param_count;
	snprintf(name->name, sizeof(name->name), "warden_mcp_%u", names->given++);
	if (names->since == 0)
		names->since = metrics_clock();
	return name->sql != NULL ? name : NULL;
}

bool
db_names_are_old(const DbNames *names)
{
	return names->since != 0 && metrics_clock() - names->since > MAX_AGE;
}

void
db_names_clear(DbNames *names)
{
	names->since = 0;
	for (int i = 0; i < DB_NAMES; i++)
		db_names_forget(&names->places[i]);
	names->full = false;
}
