/*-------------------------------------------------------------------------
 * identity_admin.h
 *	  What the functions that keep the registry have in common: who may call
 *	  them, their arguments, and constant SQL run as the extension's owner.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_IDENTITY_ADMIN_H
#define WARDEN_IDENTITY_ADMIN_H

#include "postgres.h"

#include "fmgr.h"

#define WARDEN_COMMAND_ARGS		8

/* One constant statement, its values, and what came of it. */
typedef struct WardenCommand
{
	const char *sql;
	int			nargs;
	Oid			types[WARDEN_COMMAND_ARGS];
	Datum		values[WARDEN_COMMAND_ARGS];
	char		nulls[WARDEN_COMMAND_ARGS + 1];
	uint64		processed;
	int64		number;			/* first column of the first row, if a bigint */
} WardenCommand;

extern void warden_admin_argument(WardenCommand *command, Oid type,
								  Datum value, bool isnull);
extern void warden_admin_text(WardenCommand *command, const char *value);
extern void warden_admin_role(WardenCommand *command, Oid role);
extern void warden_admin_run(WardenCommand *command);

/* Raises unless a person who is a member of one of the groups calls, in a
 * statement of its own; "other" may be NULL. */
extern void warden_admin_require(FunctionCallInfo fcinfo, const char *name,
								 const char *other);

/* Raises unless the text is one that logs and tables can show. */
extern void warden_admin_printable(const char *what, const char *text,
								   Size size);

/* Arguments: NULL for NULL, or an error where there must be one. */
extern char *warden_admin_optional(FunctionCallInfo fcinfo, int n);
extern char *warden_admin_required(FunctionCallInfo fcinfo, int n,
								   const char *what);
extern Oid	warden_admin_role_name(FunctionCallInfo fcinfo, int n,
								   const char *what);

/* Rules of the registry's rows (identity_guard.c). */
extern void warden_guard_apply_role(Oid role);
extern void warden_guard_person(const char *person, Oid role);
extern void warden_guard_pattern(const char *pattern);

#endif							/* WARDEN_IDENTITY_ADMIN_H */
