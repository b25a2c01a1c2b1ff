/*
 * rows.c
 *		No tree is built: cells go from libpq's result into the buffer.
 *
 * libpq is asked for each cell once, and a cell that JSON takes as it is was
 * measured for the table as well.
 *
 * int2, int4, int8 within 2^53, finite floats, booleans and json that clients
 * can read become JSON values, NULL becomes null, everything else stays
 * PostgreSQL's text.
 */
#include "rows.h"

#include "pg_types.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Longest integer text that is below 2^53 without looking at its value. */
#define SAFE_DIGITS 15
#define MAX_SAFE_INTEGER INT64_C(9007199254740991)

/*
 * What readers of JSON take: some go down 128 levels, of which a message has a
 * few of its own, and some take no number that no double holds.
 */
#define MAX_DEPTH 100
#define MAX_NUMBER 400

/* in the width of a cell that is not plain; of several lines; not measured */
#define ODD 0x80000000u
#define SEVERAL UINT_MAX
#define UNMEASURED ODD

/* Row -1 is the header. */
static Cell *
cell_at(const Rows *rows, int row, int column)
{
	return &rows->cells[(size_t) (row + 1) * (size_t) rows->columns +
						(size_t) column];
}

static Cell
read_cell(const DbOutcome *outcome, int row, int column)
{
	size_t		len = 0;
	const char *text;

	if (row >= 0)
		text = db_cell(outcome, row, column, &len);
	else
	{
		text = db_column_name(outcome, column);
		len = strlen(text);
	}
	return (Cell) {text, (unsigned) len, UNMEASURED};
}

bool
rows_open(Rows *rows, const DbOutcome *outcome)
{
	Cell	   *cell;

	*rows = (Rows) {outcome, db_rows(outcome), db_columns(outcome), 0, NULL};
	rows->cells = malloc(((size_t) rows->count + 1) *
						 ((size_t) rows->columns + 1) * sizeof(Cell));
	cell = rows->cells;
	if (cell == NULL)
		return false;
	for (int row = -1; row < rows->count; row++)
	{
		for (int column = 0; column < rows->columns; column++)
		{
			*cell = read_cell(outcome, row, column);
			rows->bytes += cell++->len;
		}
	}
	return true;
}

void
rows_close(Rows *rows)
{
	free(rows->cells);
	rows->cells = NULL;
}

/* ------------------------------------------------------------------------
 * JSON
 * ------------------------------------------------------------------------
 */

/* The surrogate that an escape at p stands for, 0 if it is none. */
static unsigned
surrogate_at(const unsigned char *p, size_t len)
{
	char		digits[5] = "";
	unsigned	value;

	if (len < 6 || p[0] != '\\' || p[1] != 'u')
		return 0;
	memcpy(digits, p + 2, 4);
	value = (unsigned) strtoul(digits, NULL, 16);
	return value >= 0xd800 && value <= 0xdfff ? value : 0;
}

/* Length of what JSON takes at p as it is; 0 for what it does not take. */
static size_t
json_run(const unsigned char *p, size_t len)
{
	unsigned	high;

	if (p[0] >= 0x80)
		return buf_utf8_len(p, len);
	if (p[0] != '\\')
		return p[0] >= 0x20 ? 1 : 0;
	high = surrogate_at(p, len);
	if (high == 0)
		return len > 1 ? 2 : 1;
	return high < 0xdc00 && surrogate_at(p + 6, len - 6) >= 0xdc00 ? 12 : 0;
}

/*
 * PostgreSQL has checked that this is JSON, so control characters stand
 * between tokens only; a line feed would break stdio's framing.  It does not
 * check that surrogates come in pairs, without which many readers take nothing
 * of a message.
 */
void
rows_put_raw_json(Buf *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		start = 0;
	size_t		i = 0;

	while (i < len)
	{
		size_t		n = json_run(p + i, len - i);

		if (n > 0)
		{
			i += n;
			continue;
		}
		buf_append(out, p + start, i - start);
		buf_puts(out, p[i] < 0x20 ? " " : "\xef\xbf\xbd");
		i += surrogate_at(p + i, len - i) != 0 ? 6 : 1;
		start = i;
	}
	buf_append(out, p + start, len - start);
}

/* Behind the string that begins at p. */
static const char *
skip_string(const char *p)
{
	for (p++; *p != '"' && *p != '\0'; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p == '"' ? p + 1 : p;
}

/*
 * Whether clients can read the cell.  One that can not reads nothing of the
 * message, and whoever may write to the column could keep it from all rows.
 */
static bool
is_readable_json(const char *p)
{
	int			depth = 0;

	while (*p != '\0')
	{
		size_t		n = 1;

		if (*p == '"')
			n = (size_t) (skip_string(p) - p);
		else if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
			depth--;
		else if (*p == '-' || isdigit((unsigned char) *p))
		{
			n = strspn(p, "-+.eE0123456789");
			if (n > MAX_NUMBER || (n > 3 && isinf(strtod(p, NULL))))
				return false;
		}
		if (depth > MAX_DEPTH)
			return false;
		p += n;
	}
	return true;
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

/* Whether the cell's text is JSON as it stands. */
static bool
is_literal(PgTypeClass class, const Cell *cell)
{
	return class == PG_TYPE_INTEGER ? is_safe_integer(cell->text, cell->len) :
		class == PG_TYPE_FLOAT && is_finite_number(cell->text, cell->len);
}

static void
put_cell(Buf *out, Cell *cell, PgTypeClass class)
{
	if (cell->text == NULL)
		buf_append(out, "null", 4);
	else if (class == PG_TYPE_BOOL)
	{
		buf_puts(out, cell->text[0] == 't' ? "true" : "false");
		cell->width = cell->len;
	}
	else if (class == PG_TYPE_JSON && is_readable_json(cell->text))
		rows_put_raw_json(out, cell->text, cell->len);
	else if (is_literal(class, cell))
	{
		buf_append(out, cell->text, cell->len);
		cell->width = cell->len;
	}
	else if (buf_json_string(out, cell->text, cell->len))
		cell->width = cell->len;
}

/* One class per column; there are at most DB_MAX_COLUMNS. */
static void
find_classes(const Rows *rows, PgTypeClass *classes)
{
	for (int i = 0; i < rows->columns; i++)
		classes[i] = pg_type_class(db_column_type(rows->outcome, i));
}

void
rows_put_json(Buf *out, Rows *rows, size_t max_bytes)
{
	size_t		start = out->len;
	size_t		size = rows->bytes +
		(size_t) rows->count * (size_t) (rows->columns + 1) * 3;
	PgTypeClass classes[DB_MAX_COLUMNS];

	/* in most cases it need not grow */
	if (!buf_reserve(out, size < max_bytes ? size : max_bytes))
		return;
	find_classes(rows, classes);
	buf_putc(out, '[');
	for (int row = 0; row < rows->count; row++)
	{
		size_t		mark = out->len;
		Cell	   *cells = cell_at(rows, row, 0);

		buf_puts(out, row > 0 ? ",[" : "[");
		for (int column = 0; column < rows->columns; column++)
		{
			if (column > 0)
				buf_putc(out, ',');
			put_cell(out, &cells[column], classes[column]);
		}
		buf_putc(out, ']');
		if (out->len - start > max_bytes)
		{
			buf_truncate(out, mark);
			rows->count = row;
		}
	}
	buf_putc(out, ']');
}

bool
rows_put_objects(Buf *out, const Rows *rows, size_t max_bytes)
{
	size_t		start = out->len;
	PgTypeClass classes[DB_MAX_COLUMNS];

	find_classes(rows, classes);
	buf_putc(out, '[');
	for (int row = 0; row < rows->count; row++)
	{
		buf_puts(out, row > 0 ? ",\n{" : "{");
		for (int column = 0; column < rows->columns; column++)
		{
			const Cell *name = cell_at(rows, -1, column);

			if (column > 0)
				buf_putc(out, ',');
			buf_json_string(out, name->text, name->len);
			buf_putc(out, ':');
			put_cell(out, cell_at(rows, row, column), classes[column]);
		}
		buf_putc(out, '}');
		if (out->len - start > max_bytes)
		{
			buf_truncate(out, start);
			return false;
		}
	}
	buf_putc(out, ']');
	return true;
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
rows_put_csv(Buf *out, const Rows *rows)
{
	for (int row = -1; row < rows->count; row++)
	{
		for (int column = 0; column < rows->columns; column++)
		{
			const Cell *cell = cell_at(rows, row, column);

			if (column > 0)
				buf_putc(out, ',');
			if (cell->text != NULL)
				put_csv_field(out, cell->text, cell->len);
		}
		buf_putc(out, '\n');
	}
}

/* ------------------------------------------------------------------------
 * Table
 * ------------------------------------------------------------------------
 */

/* One wide cell makes all rows wide: what is no table any more. */
#define FEW_BLANKS 65536
#define MOST_BLANKS 64

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

/*
 * As psql, a table shows control characters by escapes: a carriage return would
 * begin a line that is none of ours.  So would U+2028 and U+2029.  Tabs stay.
 * Bytes of such a character; 0: the character is none.
 */
static size_t
control_len(const unsigned char *p, size_t len)
{
	if (p[0] < 0x20)
		return p[0] != '\t';
	if (p[0] == 0xc2 && len > 1)
		return p[1] < 0xa0 ? 2 : 0;
	return len > 2 && p[0] == 0xe2 && p[1] == 0x80 &&
		(p[2] == 0xa8 || p[2] == 0xa9) ? 3 : 0;
}

#define ONES UINT64_C(0x0101010101010101)

/* Eight bytes at a time; tabs count, and all that is not ASCII. */
static bool
may_have_controls(const char *text, size_t len)
{
	uint64_t	w;

	for (; len >= 8; text += 8, len -= 8)
	{
		memcpy(&w, text, 8);
		if ((((w - ONES * 0x20) | w) & (ONES * 0x80)) != 0)
			return true;
	}
	while (len > 0 && (unsigned char) (text[len - 1] - 0x20) < 0x60)
		len--;
	return len > 0;
}

static void
put_printable(Buf *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		start = 0;
	size_t		i = may_have_controls(text, len) ? 0 : len;

	while (i < len)
	{
		size_t		n = control_len(p + i, len - i);

		if (n == 0)
		{
			i++;
			continue;
		}
		buf_json_chars(out, text + start, i - start);
		if (n > 1)
			buf_printf(out, "\\\\u%04X", decode(p + i, n));
		else if (p[i] == '\r')
			buf_puts(out, "\\\\r");
		else
			buf_printf(out, "\\\\x%02X", p[i]);
		i += n;
		start = i;
	}
	buf_json_chars(out, text + start, len - start);
}

static size_t
text_width(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		width = 0;

	while (len > 0)
	{
		size_t		control = control_len(p, len);
		size_t		n = *p < 0x80 ? 1 : buf_utf8_len(p, len);

		if (n == 0)
			n = 1;
		if (control > 0)
			width += control > 1 ? 6 : *p == '\r' ? 2 : 4;
		else
			width += n > 1 ? char_width(decode(p, n)) : 1;
		p += n;
		len -= n;
	}
	return width;
}

/* what is left of a cell of several lines; text is NULL behind the last one */
typedef struct Rest
{
	const char *text;
	size_t		len;
} Rest;

/* Takes the next line off; an empty one past the end. */
static Line
take_line(Rest *rest)
{
	Line		line = {rest->text, rest->len, 0, false};
	const char *end;

	if (line.text == NULL)
		return (Line) {"", 0, 0, false};
	end = memchr(line.text, '\n', line.len);
	line.more = end != NULL;
	if (line.more)
		line.len = (size_t) (end - line.text);
	line.width = text_width(line.text, line.len);
	*rest = line.more ? (Rest) {end + 1, rest->len - line.len - 1} :
		(Rest) {NULL, 0};
	return line;
}

/* what is measured once and printed from */
typedef struct Grid
{
	const Rows *rows;
	size_t		width;			/* of a line, with the end of it as JSON */
	size_t		lines;			/* of all rows and the header */
	size_t		widths[DB_MAX_COLUMNS];
	bool		right[DB_MAX_COLUMNS];	/* numbers */
	Rest		rests[DB_MAX_COLUMNS];	/* of the row that is printed */
} Grid;

/* Lines are asked for in their order: those before are not looked at again. */
static Line
grid_line(Grid *grid, int row, int column, int number)
{
	const Cell *cell = cell_at(grid->rows, row, column);

	if (cell->width == SEVERAL)
	{
		if (number == 0)
			grid->rests[column] = (Rest) {cell->text, cell->len};
		return take_line(&grid->rests[column]);
	}
	if (cell->text == NULL || number > 0)
		return (Line) {"", 0, 0, false};
	return (Line) {cell->text, cell->len, cell->width & ~ODD, false};
}

static void
widen(Grid *grid, int column, size_t width)
{
	if (width > grid->widths[column])
		grid->widths[column] = width;
}

/* What was not found to be plain; how many lines it has. */
static size_t
measure_cell(Grid *grid, Cell *cell, int column)
{
	Rest		rest = {cell->text, cell->len};
	size_t		lines = 0;
	Line		line;

	do
	{
		line = take_line(&rest);
		widen(grid, column, line.width);
		lines++;
	} while (line.more);
	cell->width = lines > 1 ? SEVERAL : (unsigned) line.width | ODD;
	if (cell->text == NULL)
		cell->width = 0;
	return lines;
}

/* One row; how many lines it takes. */
static size_t
measure_row(Grid *grid, Cell *cell)
{
	size_t		most = 1;

	for (int column = 0; column < grid->rows->columns; column++, cell++)
	{
		size_t		lines = 1;

		if ((cell->width & ODD) == 0)
			widen(grid, column, cell->width);
		else
			lines = measure_cell(grid, cell, column);
		if (lines > most)
			most = lines;
	}
	return most;
}

static void
measure(Grid *grid, const Rows *rows)
{
	grid->rows = rows;
	grid->width = 2;
	grid->lines = 0;
	for (int column = 0; column < rows->columns; column++)
	{
		grid->right[column] =
			pg_type_is_numeric(db_column_type(rows->outcome, column));
		grid->widths[column] = 0;
	}
	for (int row = -1; row < rows->count; row++)
		grid->lines += measure_row(grid, cell_at(rows, row, 0));
	for (int column = 0; column < rows->columns; column++)
		grid->width += grid->widths[column] + 3;
}

/*
 * A row of plain cells on one line, the usual case.  False, with nothing
 * written, for any other; there is room for a line.
 */
static bool
put_plain_row(Buf *out, const Grid *grid, const Cell *cell)
{
	int			columns = grid->rows->columns;
	char	   *p = out->data + out->len;

	memset(p, ' ', grid->width);
	for (int column = 0; column < columns; column++, cell++)
	{
		size_t		space = grid->widths[column] - cell->len;

		if (cell->width != cell->len)
			return false;
		if (column > 0)
			*p++ = '|';
		p += grid->right[column] ? space + 1 : 1;
		if (cell->len > 0)
			memcpy(p, cell->text, cell->len);
		p += cell->len;
		if (column + 1 < columns)
			p += grid->right[column] ? 1 : space + 1;
	}
	*p++ = '\\';
	*p++ = 'n';
	*p = '\0';
	out->len = (size_t) (p - out->data);
	return true;
}

/*
 * One printed line.  As in psql the header is centred and padded, numbers
 * stand right, and the last column of text is not padded.
 */
static bool
put_line(Buf *out, Grid *grid, int row, int number)
{
	bool		again = false;

	for (int column = 0; column < grid->rows->columns; column++)
	{
		Line		line = grid_line(grid, row, column, number);
		size_t		space = grid->widths[column] - line.width;
		size_t		left = 0;
		bool		last = column + 1 == grid->rows->columns;

		if (row < 0)
			left = space / 2;
		else if (grid->right[column])
			left = space;
		buf_puts(out, column > 0 ? "| " : " ");
		buf_fill(out, ' ', left);
		put_printable(out, line.text, line.len);
		if (!last || row < 0 || line.more)
		{
			buf_fill(out, ' ', space - left);
			buf_putc(out, line.more ? '+' : ' ');
		}
		again = again || line.more;
	}
	buf_puts(out, "\\n");
	return again;
}

static void
put_lines(Buf *out, Grid *grid, int row)
{
	int			number = 0;

	while (put_line(out, grid, row, number))
		number++;
}

static void
put_rule(Buf *out, const Grid *grid)
{
	for (int column = 0; column < grid->rows->columns; column++)
	{
		buf_puts(out, column > 0 ? "+" : "");
		buf_fill(out, '-', grid->widths[column] + 2);
	}
	buf_puts(out, "\\n");
}

bool
rows_put_table(Buf *out, const Rows *rows, size_t max_bytes)
{
	Grid		grid;
	size_t		size;

	measure(&grid, rows);
	size = grid.width * (grid.lines + 1);	/* and the rule */
	if (size > max_bytes || size > FEW_BLANKS + MOST_BLANKS * rows->bytes)
		return false;
	if (!buf_reserve(out, size))
		return true;
	put_lines(out, &grid, -1);
	put_rule(out, &grid);
	for (int row = 0; row < rows->count; row++)
		if (!buf_has_room(out, grid.width) ||
			!put_plain_row(out, &grid, cell_at(rows, row, 0)))
			put_lines(out, &grid, row);
	return true;
}
