/*
 * rows.h
 *		Writes a result straight into a buffer: JSON, table or CSV.
 */
#ifndef ROWS_H
#define ROWS_H

#include "buf.h"
#include "db.h"

/* A cell's text, NULL for null; its width is rows.c's own. */
typedef struct Cell
{
	const char *text;
	unsigned	len;
	unsigned	width;
} Cell;

typedef struct Rows
{
	const DbOutcome *outcome;
	int			count;			/* of those that are written */
	int			columns;
	size_t		bytes;			/* in all cells */
	Cell	   *cells;			/* the names first */
} Rows;

/* The texts stay the outcome's.  False for want of memory. */
extern bool rows_open(Rows *rows, const DbOutcome *outcome);
extern void rows_close(Rows *rows);

/* [[...],...] of at most max_bytes: what is more does not count any longer */
extern void rows_put_json(Buf *out, Rows *rows, size_t max_bytes);

/*
 * The rows as psql prints them, without a footer; into a JSON string.  False,
 * with nothing written, where that would be mostly blanks, or over max_bytes.
 */
extern bool rows_put_table(Buf *out, const Rows *rows, size_t max_bytes);

/* RFC 4180 with a header line. */
extern void rows_put_csv(Buf *out, const Rows *rows);

/*
 * An array of objects, one per line.  False, with nothing written, where the
 * names in each of them make that more than max_bytes.
 */
extern bool rows_put_objects(Buf *out, const Rows *rows, size_t max_bytes);

/* JSON text from the database as one line of valid UTF-8. */
extern void rows_put_raw_json(Buf *out, const char *text, size_t len);

#endif							/* ROWS_H */
