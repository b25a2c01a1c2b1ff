/*
 * rows.h
 *		Writes a result straight into a buffer: JSON, table or CSV.
 */
#ifndef ROWS_H
#define ROWS_H

#include "buf.h"
#include "db.h"

/*
 * [[...],...] of at most max_bytes; returns how many rows were written.
 */
extern int	rows_put_json(Buf *out, const DbOutcome *outcome, size_t max_bytes);

/* The first `rows` rows as psql prints them, without a footer. */
extern void rows_put_table(Buf *out, const DbOutcome *outcome, int rows);

/* RFC 4180 with a header line. */
extern void rows_put_csv(Buf *out, const DbOutcome *outcome, int rows);

/* An array of objects, one per line. */
extern void rows_put_objects(Buf *out, const DbOutcome *outcome, int rows);

/* JSON text from the database as one line of valid UTF-8. */
extern void rows_put_raw_json(Buf *out, const char *text, size_t len);

#endif							/* ROWS_H */
