/*
 * rows.c
 *		No tree is built: cells go from libpq's result into the buffer.
 *
 * int2, int4, int8 within 2^53, finite floats, booleans and json become JSON
 * values, NULL becomes null, everything else stays PostgreSQL's text.
 */
#include "rows.h"

#include "pg_types.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Longest integer text that is below 2^53 without looking at its value. */
#define SAFE_DIGITS 15
#define MAX_SAFE_INTEGER INT64_C(9007199254740991)

/* ------------------------------------------------------------------------
 * JSON
 * ------------------------------------------------------------------------
 */

/*
 * PostgreSQL has checked that this is JSON, so control characters stand
 * between tokens only; a line feed would break stdio's framing.
 */
void
rows_put_raw_json(Buf *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		start = 0;
	size_t		i = 0;

	while (i < len)
	{
		size_t		n = buf_utf8_len(p + i, len - i);

		if (n > 0 && p[i] >= 0x20)
		{
			i += n;
			continue;
		}
		buf_append(out, p + start, i - start);
		buf_puts(out, n == 0 ? "\xef\xbf\xbd" : " ");
		start = ++i;
	}
	buf_append(out, p + start, len - start);
}

static bool
is_safe_integer(const char *cell, size_t len)
{
	long long	value;

	if (len <= SAFE_DIGITS)
		return true;
	value = strtoll(cell, NULL, 10);
	return value >= -MAX_SAFE_INTEGER && value <= MAX_SAFE_INTEGER;
}

/* NaN, Infinity and -Infinity are the only floats without a digit in front. */
static bool
is_finite_number(const char *cell, size_t len)
{
	size_t		at = len > 0 && cell[0] == '-' ? 1 : 0;

	return at < len && cell[at] >= '0' && cell[at] <= '9';
}

static void
put_value(Buf *out, PgTypeClass class, const char *cell, size_t len)
{
	switch (class)
	{
		case PG_TYPE_BOOL:
			buf_puts(out, cell[0] == 't' ? "true" : "false");
			return;
		case PG_TYPE_INTEGER:
			if (is_safe_integer(cell, len))
			{
				buf_append(out, cell, len);
				return;
			}
			break;
		case PG_TYPE_FLOAT:
			if (is_finite_number(cell, len))
			{
				buf_append(out, cell, len);
				return;
			}
			break;
		case PG_TYPE_JSON:
			rows_put_raw_json(out, cell, len);
			return;
		case PG_TYPE_TEXT:
			break;
	}
	buf_json_string(out, cell, len);
}

static void
put_cell(Buf *out, const DbOutcome *outcome, int row, int column,
		 PgTypeClass class)
{
	size_t		len;
	const char *cell = db_cell(outcome, row, column, &len);

	if (cell == NULL)
		buf_append(out, "null", 4);
	else
		put_value(out, class, cell, len);
}

static void
put_row(Buf *out, const DbOutcome *outcome, int row,
		const PgTypeClass *classes, int columns)
{
	buf_putc(out, '[');
	for (int column = 0; column < columns; column++)
	{
		if (column > 0)
			buf_putc(out, ',');
		put_cell(out, outcome, row, column, classes[column]);
	}
	buf_putc(out, ']');
}

/* One class per column; there are at most DB_MAX_COLUMNS. */
static int
find_classes(const DbOutcome *outcome, PgTypeClass *classes)
{
	int			columns = db_columns(outcome);

	for (int i = 0; i < columns; i++)
		classes[i] = pg_type_class(db_column_type(outcome, i));
	return columns;
}

int
rows_put_json(Buf *out, const DbOutcome *outcome, size_t max_bytes)
{
	int			rows = db_rows(outcome);
	size_t		start = out->len;
	PgTypeClass classes[DB_MAX_COLUMNS];
	int			columns = find_classes(outcome, classes);

	buf_putc(out, '[');
	for (int row = 0; row < rows; row++)
	{
		size_t		mark = out->len;

		if (row > 0)
			buf_putc(out, ',');
		put_row(out, outcome, row, classes, columns);
		if (out->len - start > max_bytes)
		{
			buf_truncate(out, mark);
			rows = row;
		}
	}
	buf_putc(out, ']');
	return rows;
}

void
rows_put_objects(Buf *out, const DbOutcome *outcome, int rows)
{
	PgTypeClass classes[DB_MAX_COLUMNS];
	int			columns = find_classes(outcome, classes);

	buf_putc(out, '[');
	for (int row = 0; row < rows; row++)
	{
		buf_puts(out, row > 0 ? ",\n{" : "{");
		for (int column = 0; column < columns; column++)
		{
			if (column > 0)
				buf_putc(out, ',');
			buf_json_cstr(out, db_column_name(outcome, column));
			buf_putc(out, ':');
			put_cell(out, outcome, row, column, classes[column]);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

/* ------------------------------------------------------------------------
 * CSV
 * ------------------------------------------------------------------------
 */

static void
put_csv_field(Buf *out, const char *text, size_t len)
{
	bool		quote = len == 0;

	for (size_t i = 0; i < len && !quote; i++)
		quote = text[i] == '"' || text[i] == ',' || text[i] == '\n' ||
			text[i] == '\r';
	if (!quote)
	{
		buf_append(out, text, len);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '"')
			buf_putc(out, '"');
		buf_putc(out, text[i]);
	}
	buf_putc(out, '"');
}

/* As COPY writes it: NULL is an empty field, an empty string is quoted. */
void
rows_put_csv(Buf *out, const DbOutcome *outcome, int rows)
{
	int			columns = db_columns(outcome);

	for (int row = -1; row < rows; row++)
	{
		for (int column = 0; column < columns; column++)
		{
			const char *text = db_column_name(outcome, column);
			size_t		len = strlen(text);

			if (row >= 0)
				text = db_cell(outcome, row, column, &len);
			if (column > 0)
				buf_putc(out, ',');
			if (text != NULL)
				put_csv_field(out, text, len);
		}
		buf_putc(out, '\n');
	}
}

/* ------------------------------------------------------------------------
 * Table
 * ------------------------------------------------------------------------
 */

/* one line of a cell */
typedef struct Line
{
	const char *text;
	size_t		len;
	size_t		width;
	bool		more;			/* another line follows in this cell */
} Line;

static unsigned
decode(const unsigned char *p, size_t n)
{
	unsigned	cp = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | (p[i] & 0x3f);
	return cp;
}

/* Columns that a terminal gives to a character: coarse, but monotonous. */
static size_t
char_width(unsigned cp)
{
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x200b && cp <= 0x200f) ||
		(cp >= 0xfe00 && cp <= 0xfe0f))
		return 0;
	if ((cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
		(cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0xf900 && cp <= 0xfaff) ||
		(cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
		(cp >= 0x1f300 && cp <= 0x1f64f) || (cp >= 0x20000 && cp <= 0x3fffd))
		return 2;
	return 1;
}

/* Printable ASCII at the start, eight bytes at a time. */
static size_t
plain_prefix(const unsigned char *p, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t high = UINT64_C(0x8080808080808080);
	size_t		n = 0;

	for (; n + 8 <= len; n += 8)
	{
		uint64_t	word;

		memcpy(&word, p + n, 8);
		if (((word | (word - ones * 0x20)) & high) != 0)
			break;
	}
	while (n < len && p[n] >= 0x20 && p[n] < 0x80)
		n++;
	return n;
}

static size_t
text_width(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		width = 0;

	while (len > 0)
	{
		size_t		n = 1;

		if (*p < 0x80)
			width++;
		else
		{
			n = buf_utf8_len(p, len);
			if (n == 0)
				n = 1;
			width += n > 1 ? char_width(decode(p, n)) : 1;
		}
		p += n;
		len -= n;
	}
	return width;
}

/* Line `number` of a text; an empty one past its end. */
static Line
nth_line(const char *text, size_t len, int number)
{
	Line		line = {text, len, 0, false};

	while (line.text != NULL)
	{
		const char *end = memchr(line.text, '\n', line.len);

		if (number-- == 0)
		{
			line.more = end != NULL;
			if (line.more)
				line.len = (size_t) (end - line.text);
			line.width = text_width(line.text, line.len);
			return line;
		}
		if (end == NULL)
			break;
		line.len -= (size_t) (end + 1 - line.text);
		line.text = end + 1;
	}
	return (Line) {"", 0, 0, false};
}

/* Row -1 is the header. */
static Line
cell_line(const DbOutcome *outcome, int row, int column, int number)
{
	const char *text = db_column_name(outcome, column);
	size_t		len = text != NULL ? strlen(text) : 0;

	if (row >= 0)
		text = db_cell(outcome, row, column, &len);
	return nth_line(text, text != NULL ? len : 0, number);
}

/* a cell as it was measured; text is NULL where it has several lines */
typedef struct Measured
{
	const char *text;
	unsigned	len;
	unsigned	width;
} Measured;

/* what is measured once and printed from */
typedef struct Grid
{
	const DbOutcome *outcome;
	int			columns;
	size_t	   *widths;			/* per column */
	bool	   *right;			/* numbers, per column */
	Measured   *cells;			/* per cell, header included */
} Grid;

static Measured *
measured(const Grid *grid, int row, int column)
{
	return &grid->cells[(size_t) (row + 1) * (size_t) grid->columns +
						(size_t) column];
}

static void
widen(size_t *width, size_t to)
{
	if (to > *width)
		*width = to;
}

static void
measure_lines(Grid *grid, int row, int column)
{
	Line		line;
	int			number = 0;

	do
	{
		line = cell_line(grid->outcome, row, column, number++);
		widen(&grid->widths[column], line.width);
	} while (line.more);
}

static void
measure_cell(Grid *grid, int row, int column)
{
	Measured   *cell = measured(grid, row, column);
	size_t		len = 0;
	size_t		width;
	const char *text;

	if (row >= 0)
		text = db_cell(grid->outcome, row, column, &len);
	else
	{
		text = db_column_name(grid->outcome, column);
		len = strlen(text);
	}
	width = plain_prefix((const unsigned char *) text, text != NULL ? len : 0);
	if (width < len && memchr(text, '\n', len) != NULL)
	{
		*cell = (Measured) {NULL, 0, 0};
		measure_lines(grid, row, column);
		return;
	}
	if (width < len)
		width = text_width(text, len);
	*cell = (Measured) {text != NULL ? text : "", (unsigned) len,
	(unsigned) width};
	widen(&grid->widths[column], width);
}

/* Line `number` of a cell, from what was measured where that is enough. */
static Line
grid_line(const Grid *grid, int row, int column, int number)
{
	const Measured *cell = measured(grid, row, column);

	if (cell->text == NULL)
		return cell_line(grid->outcome, row, column, number);
	if (number > 0)
		return (Line) {"", 0, 0, false};
	return (Line) {cell->text, cell->len, cell->width, false};
}

/* Bytes that the first line of a row takes at most; 0: it has several. */
static size_t
line_size(const Grid *grid, int row)
{
	size_t		size = 2;

	for (int column = 0; column < grid->columns; column++)
	{
		const Measured *cell = measured(grid, row, column);

		if (cell->text == NULL)
			return 0;
		size += grid->widths[column] + cell->len + 3;
	}
	return size;
}

/* A row of one line, the usual case; there is room for it. */
static void
put_plain_row(Buf *out, const Grid *grid, int row)
{
	char	   *p = out->data + out->len;

	for (int column = 0; column < grid->columns; column++)
	{
		const Measured *cell = measured(grid, row, column);
		size_t		space = grid->widths[column] - cell->width;

		if (column > 0)
			*p++ = '|';
		*p++ = ' ';
		if (grid->right[column])
		{
			memset(p, ' ', space);
			p += space;
			space = 0;
		}
		memcpy(p, cell->text, cell->len);
		p += cell->len;
		if (column + 1 < grid->columns)
		{
			memset(p, ' ', space + 1);
			p += space + 1;
		}
	}
	*p++ = '\n';
	*p = '\0';
	out->len = (size_t) (p - out->data);
}

/*
 * One printed line.  As in psql the header is centred and padded, numbers
 * stand right, and the last column of text is not padded.
 */
static bool
put_line(Buf *out, const Grid *grid, int row, int number)
{
	bool		again = false;

	for (int column = 0; column < grid->columns; column++)
	{
		Line		line = grid_line(grid, row, column, number);
		size_t		space = grid->widths[column] - line.width;
		size_t		left = 0;
		bool		last = column + 1 == grid->columns;

		if (row < 0)
			left = space / 2;
		else if (grid->right[column])
			left = space;
		buf_puts(out, column > 0 ? "| " : " ");
		buf_fill(out, ' ', left);
		buf_append(out, line.text, line.len);
		if (!last || row < 0 || line.more)
		{
			buf_fill(out, ' ', space - left);
			buf_putc(out, line.more ? '+' : ' ');
		}
		again = again || line.more;
	}
	buf_putc(out, '\n');
	return again;
}

static void
put_grid_row(Buf *out, const Grid *grid, int row)
{
	size_t		size = row >= 0 ? line_size(grid, row) : 0;
	int			number = 0;

	if (size > 0 && buf_reserve(out, size))
		put_plain_row(out, grid, row);
	else
		while (put_line(out, grid, row, number))
			number++;
}

static void
put_rule(Buf *out, const Grid *grid)
{
	for (int column = 0; column < grid->columns; column++)
	{
		buf_puts(out, column > 0 ? "+" : "");
		buf_fill(out, '-', grid->widths[column] + 2);
	}
	buf_putc(out, '\n');
}

static void
put_grid(Buf *out, const Grid *grid, int rows)
{
	for (int row = -1; row < rows; row++)
	{
		put_grid_row(out, grid, row);
		if (row < 0)
			put_rule(out, grid);
	}
}

void
rows_put_table(Buf *out, const DbOutcome *outcome, int rows)
{
	Grid		grid = {outcome, db_columns(outcome), NULL, NULL, NULL};
	size_t		cells = (size_t) (rows + 1) * (size_t) grid.columns;

	grid.widths = calloc((size_t) grid.columns + 1, sizeof(size_t));
	grid.right = calloc((size_t) grid.columns + 1, sizeof(bool));
	grid.cells = malloc((cells + 1) * sizeof(Measured));
	if (grid.widths != NULL && grid.right != NULL && grid.cells != NULL)
	{
		for (int column = 0; column < grid.columns; column++)
			grid.right[column] =
				pg_type_is_numeric(db_column_type(outcome, column));
		for (int row = -1; row < rows; row++)
			for (int column = 0; column < grid.columns; column++)
				measure_cell(&grid, row, column);
		put_grid(out, &grid, rows);
	}
	else
		out->failed = true;
	free(grid.widths);
	free(grid.right);
	free(grid.cells);
}
