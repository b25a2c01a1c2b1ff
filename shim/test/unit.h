/*
 * unit.h
 *		Ten lines of test framework: one line per check, exit code at the end.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>
#include <string.h>

static int	unit_failed;

#define CHECK(condition) \
	unit_check((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

#define CHECK_TEXT(actual, wanted) \
	unit_check_text((actual), (wanted), #actual, __FILE__, __LINE__)

static inline void
unit_check(int ok, const char *what, const char *file, int line)
{
	printf("%sok - %s\n", ok ? "" : "not ", what);
	if (ok)
		return;
	printf("#   %s:%d\n", file, line);
	unit_failed++;
}

static inline void
unit_check_text(const char *actual, const char *wanted, const char *what,
				const char *file, int line)
{
	unit_check(strcmp(actual, wanted) == 0, what, file, line);
	if (strcmp(actual, wanted) != 0)
		printf("#   got    %s\n#   wanted %s\n", actual, wanted);
}

#define UNIT_EXIT() return unit_failed == 0 ? 0 : 1

#endif							/* UNIT_H */
