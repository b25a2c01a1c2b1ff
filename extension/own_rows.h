/*-------------------------------------------------------------------------
 * own_rows.h
 *	  Rows of the library's own tables, inserted below SQL.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_OWN_ROWS_H
#define WARDEN_OWN_ROWS_H

#include "postgres.h"

/* A table of schema warden and those of its columns that get values. */
typedef struct WardenOwnTable
{
	const char *name;
	const char *const *columns; /* in the order of the table */
	int			ncolumns;
	struct OwnShape *shape;		/* begins as NULL; own_rows.c only */
	struct WardenOwnTable *next;
} WardenOwnTable;

/*
 * Inserts a row; values and nulls go with the columns, and the types are
 * theirs.  Other columns get their defaults; constraints are checked, and
 * triggers that somebody has added fire.  Foreign keys are not looked up: the
 * caller has made, or locked, the row that they refer to.  For internal mode;
 * the row is visible afterwards.  "table" is static.
 */
extern void warden_own_insert(WardenOwnTable *table, const Datum *values,
							  const bool *nulls);

#endif							/* WARDEN_OWN_ROWS_H */
