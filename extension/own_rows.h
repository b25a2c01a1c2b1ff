/*-------------------------------------------------------------------------
 * own_rows.h
 *	  Rows of the library's own tables, inserted below SQL.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_OWN_ROWS_H
#define WARDEN_OWN_ROWS_H

#include "postgres.h"

typedef struct WardenOwnColumn
{
	const char *name;
	Oid			type;
} WardenOwnColumn;

/* A table of schema warden and those of its columns that get values. */
typedef struct WardenOwnTable
{
	const char *name;
	const WardenOwnColumn *columns; /* in the order of the table */
	int			ncolumns;
	struct OwnShape *shape;		/* begins as NULL; own_rows.c only */
	struct WardenOwnTable *next;
} WardenOwnTable;

/*
 * Inserts a row; values and nulls go with the columns.  Other columns get their
 * defaults; constraints are checked, and triggers that somebody has added fire;
 * rules do not.  Foreign keys to tables of schema warden need not be looked up:
 * the caller has made, or locked, the row that they refer to.  For internal
 * mode; the row is visible afterwards.  "table" is static.
 */
extern void warden_own_insert(WardenOwnTable *table, const Datum *values,
							  const bool *nulls);

#endif							/* WARDEN_OWN_ROWS_H */
