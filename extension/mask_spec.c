/*-------------------------------------------------------------------------
 * mask_spec.c
 *	  The text form of masks, such as "partial(0,4)", and the SQL type
 *	  warden.mask_spec.
 *
 * The parser accepts exactly the forms of the table below, bounded in length
 * and number, and knows neither tables nor types: whether a mask suits a
 * column is decided in mask_build.c.
 *
 * Values of warden.mask_spec can only be made by mask_build.c.  Its input
 * function refuses and there is no receive function, so the mask functions,
 * which are executable by everybody because plans call them, can not be put
 * to use by a query: without a specification they are strict in, there is
 * nothing to ask them.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "mask.h"
#include "mask_private.h"
#include "warden.h"

#define MASK_FORMS                                                            \
	"Masks are full, null, partial(prefix,suffix), ssn, email, phone, card, " \
	"name, hash, bucket(width), date(unit), inet(v4bits,v6bits), "            \
	"json(path,...), const('x'), func(schema.f) and clear."

/* Where the parser stands. */
typedef struct Scanner
{
	const char *spec; /* the whole, for messages */
	const char *next;
} Scanner;

typedef void (*ParseArguments)(Scanner *scanner, WardenMask *mask);

static void parse_partial(Scanner *scanner, WardenMask *mask);
static void parse_bucket(Scanner *scanner, WardenMask *mask);
static void parse_date(Scanner *scanner, WardenMask *mask);
static void parse_inet(Scanner *scanner, WardenMask *mask);
static void parse_json(Scanner *scanner, WardenMask *mask);
static void parse_const(Scanner *scanner, WardenMask *mask);
static void parse_func(Scanner *scanner, WardenMask *mask);

typedef struct MaskForm
{
	const char *name;
	WardenMaskKind kind;
	int			strictness;		/* higher shows less */
	ParseArguments arguments;	/* NULL: takes none */
} MaskForm;

static const MaskForm mask_forms[] = {
	{"clear", WARDEN_MASK_CLEAR, 0, NULL},
	{"json", WARDEN_MASK_JSON, 10, parse_json},
	{"date", WARDEN_MASK_DATE, 20, parse_date},
	{"bucket", WARDEN_MASK_BUCKET, 20, parse_bucket},
	{"inet", WARDEN_MASK_INET, 20, parse_inet},
	{"email", WARDEN_MASK_EMAIL, 30, NULL},
	{"partial", WARDEN_MASK_PARTIAL, 30, parse_partial},
	{"func", WARDEN_MASK_FUNC, 30, parse_func},
	{"ssn", WARDEN_MASK_SSN, 40, NULL},
	{"card", WARDEN_MASK_CARD, 40, NULL},
	{"phone", WARDEN_MASK_PHONE, 50, NULL},
	{"name", WARDEN_MASK_NAME, 60, NULL},
	{"hash", WARDEN_MASK_HASH, 70, NULL},
	{"const", WARDEN_MASK_CONST, 80, parse_const},
	{"full", WARDEN_MASK_FULL, 90, NULL},
	{"null", WARDEN_MASK_NULL, 100, NULL},
};

typedef struct MaskUnit
{
	const char *name;
	WardenMaskUnit unit;
} MaskUnit;

static const MaskUnit mask_units[] = {
	{"second", WARDEN_UNIT_SECOND},
	{"minute", WARDEN_UNIT_MINUTE},
	{"hour", WARDEN_UNIT_HOUR},
	{"day", WARDEN_UNIT_DAY},
	{"week", WARDEN_UNIT_WEEK},
	{"month", WARDEN_UNIT_MONTH},
	{"quarter", WARDEN_UNIT_QUARTER},
	{"year", WARDEN_UNIT_YEAR},
	{"decade", WARDEN_UNIT_DECADE},
	{"century", WARDEN_UNIT_CENTURY},
	{"millennium", WARDEN_UNIT_MILLENNIUM},
};

static void
reject_spec(const Scanner *scanner, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid mask \"%s\": %s", scanner->spec, reason),
			 errhint(MASK_FORMS)));
}

/* ---- scanning ------------------------------------------------------- */

static void
skip_spaces(Scanner *scanner)
{
	while (*scanner->next == ' ' || *scanner->next == '\t')
		scanner->next++;
}

/* Takes the character if it comes next, spaces around it aside. */
static bool
accept_char(Scanner *scanner, char c)
{
	skip_spaces(scanner);
	if (*scanner->next != c)
		return false;
	scanner->next++;
	skip_spaces(scanner);
	return true;
}

static void
expect_char(Scanner *scanner, char c)
{
	if (!accept_char(scanner, c))
		reject_spec(scanner, psprintf("\"%c\" expected", c));
}

/* A lower-cased word of letters, "" if there is none. */
static char *
scan_word(Scanner *scanner)
{
	const char *start;
	char *word;

	skip_spaces(scanner);
	start = scanner->next;
	while ((*scanner->next >= 'a' && *scanner->next <= 'z') ||
		   (*scanner->next >= 'A' && *scanner->next <= 'Z'))
		scanner->next++;
	word = pnstrdup(start, scanner->next - start);
	for (char *c = word; *c != '\0'; c++)
		*c = pg_tolower((unsigned char) *c);
	return word;
}

static int
scan_number(Scanner *scanner, int max)
{
	int number = 0;

	skip_spaces(scanner);
	if (*scanner->next < '0' || *scanner->next > '9')
		reject_spec(scanner, "a number without sign expected");
	while (*scanner->next >= '0' && *scanner->next <= '9')
	{
		number = number * 10 + (*scanner->next++ - '0');
		if (number > max)
			reject_spec(scanner, psprintf("a number above %d", max));
	}
	return number;
}

/* A string between two of the quote character, which stands doubled inside. */
static char *
scan_quoted(Scanner *scanner, char quote)
{
	StringInfoData text;

	if (*scanner->next++ != quote)
		reject_spec(scanner, psprintf("%c expected", quote));
	initStringInfo(&text);
	for (;;)
	{
		if (*scanner->next == '\0')
			reject_spec(scanner, "unterminated quoted string");
		if (*scanner->next == quote && *++scanner->next != quote)
			return text.data;
		appendStringInfoChar(&text, *scanner->next++);
	}
}

static bool
is_name_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '$' || c == '-' ||
		IS_HIGHBIT_SET(c);
}

/* A bare or double-quoted name, not empty. */
static char *
scan_name(Scanner *scanner, bool *quoted)
{
	const char *start;
	char *name;

	skip_spaces(scanner);
	*quoted = *scanner->next == '"';
	if (*quoted)
		name = scan_quoted(scanner, '"');
	else
	{
		start = scanner->next;
		while (is_name_char((unsigned char) *scanner->next))
			scanner->next++;
		name = pnstrdup(start, scanner->next - start);
	}
	if (name[0] == '\0')
		reject_spec(scanner, "a name expected");
	return name;
}

/* ---- the arguments of each mask ------------------------------------- */

static void
parse_partial(Scanner *scanner, WardenMask *mask)
{
	mask->numbers[0] = scan_number(scanner, WARDEN_MASK_MAX_CHARS);
	expect_char(scanner, ',');
	mask->numbers[1] = scan_number(scanner, WARDEN_MASK_MAX_CHARS);
}

static void
parse_inet(Scanner *scanner, WardenMask *mask)
{
	mask->numbers[0] = scan_number(scanner, 32);
	expect_char(scanner, ',');
	mask->numbers[1] = scan_number(scanner, 128);
}

/* How many digits come next; notes whether one of them is not zero. */
static int
count_digits(Scanner *scanner, bool *nonzero)
{
	int digits = 0;

	while (*scanner->next >= '0' && *scanner->next <= '9')
	{
		if (*scanner->next++ != '0')
			*nonzero = true;
		digits++;
	}
	return digits;
}

static void
parse_bucket(Scanner *scanner, WardenMask *mask)
{
	const char *start;
	bool nonzero = false;
	int whole;
	int fraction = 1;

	skip_spaces(scanner);
	start = scanner->next;
	whole = count_digits(scanner, &nonzero);
	if (*scanner->next == '.')
	{
		scanner->next++;
		fraction = count_digits(scanner, &nonzero);
	}
	if (whole < 1 || fraction < 1)
		reject_spec(scanner, "a width such as 10 or 0.5 expected");
	if (whole > WARDEN_MASK_MAX_DIGITS || fraction > WARDEN_MASK_MAX_DIGITS)
		reject_spec(scanner, "the width has too many digits");
	if (!nonzero)
		reject_spec(scanner, "the width must be above zero");
	mask->literal = pnstrdup(start, scanner->next - start);
}

static void
parse_date(Scanner *scanner, WardenMask *mask)
{
	char *word = scan_word(scanner);

	for (int i = 0; i < (int) lengthof(mask_units); i++)
	{
		if (strcmp(word, mask_units[i].name) == 0)
		{
			mask->unit = mask_units[i].unit;
			return;
		}
	}
	reject_spec(scanner,
				"the unit must be second, minute, hour, day, week, month, "
				"quarter, year, decade, century or millennium");
}

/* A bare $ in front is the whole value, as in jsonpath, not a member. */
static char *
scan_first_key(Scanner *scanner)
{
	bool quoted;
	char *name = scan_name(scanner, &quoted);

	if (quoted || strcmp(name, "$") != 0)
		return name;
	expect_char(scanner, '.');
	return scan_name(scanner, &quoted);
}

static void
parse_json(Scanner *scanner, WardenMask *mask)
{
	bool quoted;

	do
	{
		List *path = list_make1(scan_first_key(scanner));

		while (accept_char(scanner, '.'))
			path = lappend(path, scan_name(scanner, &quoted));
		if (list_length(path) > WARDEN_MASK_MAX_KEYS)
			reject_spec(scanner,
						psprintf("a path of more than %d keys",
								 WARDEN_MASK_MAX_KEYS));
		mask->paths = lappend(mask->paths, path);
	}
	while (accept_char(scanner, ','));

	if (list_length(mask->paths) > WARDEN_MASK_MAX_PATHS)
		reject_spec(scanner,
					psprintf("more than %d paths", WARDEN_MASK_MAX_PATHS));
}

static void
parse_const(Scanner *scanner, WardenMask *mask)
{
	skip_spaces(scanner);
	mask->literal = scan_quoted(scanner, '\'');
}

/* An SQL identifier: folded to lower case unless quoted. */
static char *
scan_identifier(Scanner *scanner)
{
	bool quoted;
	char *name = scan_name(scanner, &quoted);

	if (!quoted)
		name = downcase_truncate_identifier(name, strlen(name), false);
	if (strlen(name) >= NAMEDATALEN)
		reject_spec(scanner, "a name that is too long");
	return name;
}

static void
parse_func(Scanner *scanner, WardenMask *mask)
{
	mask->schema = scan_identifier(scanner);
	if (!accept_char(scanner, '.'))
		reject_spec(scanner, "the function's name needs its schema");
	mask->function = scan_identifier(scanner);
}

/* ---- exported ------------------------------------------------------- */

WardenMask *
warden_mask_parse(const char *spec)
{
	WardenMask *mask = palloc0(sizeof(WardenMask));
	Scanner scanner = {spec, spec};
	char *word;
	int form;

	if (strlen(spec) > WARDEN_MASK_MAX_SPEC)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("mask of more than %d bytes", WARDEN_MASK_MAX_SPEC),
				 errhint(MASK_FORMS)));

	word = scan_word(&scanner);
	for (form = 0; form < (int) lengthof(mask_forms); form++)
	{
		if (strcmp(word, mask_forms[form].name) == 0)
			break;
	}
	if (form == (int) lengthof(mask_forms))
		reject_spec(&scanner, "no such mask");

	mask->kind = mask_forms[form].kind;
	if (mask_forms[form].arguments != NULL)
	{
		expect_char(&scanner, '(');
		mask_forms[form].arguments(&scanner, mask);
		expect_char(&scanner, ')');
	}
	skip_spaces(&scanner);
	if (*scanner.next != '\0')
		reject_spec(&scanner,
					mask_forms[form].arguments != NULL ?
						"nothing may follow" :
						"it takes no arguments");
	return mask;
}

void
warden_mask_require(const char *spec)
{
	(void) warden_mask_parse(spec);
}

bool
warden_mask_is_clear(const char *spec)
{
	const char *word = spec + strspn(spec, " \t");

	/* Asked for each labelled column of each query: most begin otherwise. */
	return pg_tolower((unsigned char) *word) == 'c' &&
		warden_mask_parse(spec)->kind == WARDEN_MASK_CLEAR;
}

bool
warden_mask_calls_function(const char *spec)
{
	const char *word = spec + strspn(spec, " \t");

	/* Not parsed: one that is no mask must not refuse who does not meet it. */
	return pg_strncasecmp(word, "func", strlen("func")) == 0;
}

int
warden_mask_strictness(const char *spec)
{
	WardenMaskKind kind = warden_mask_parse(spec)->kind;

	for (int i = 0; i < (int) lengthof(mask_forms); i++)
	{
		if (mask_forms[i].kind == kind)
			return mask_forms[i].strictness;
	}
	return 0;
}

/* ---- warden.mask_spec ----------------------------------------------- */

PG_FUNCTION_INFO_V1(warden_sql_mask_spec_in);

Datum
warden_sql_mask_spec_in(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("masks can not be written into a query"),
			 errhint("Read the column as it is: masks come from policy.")));
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(warden_sql_mask_spec_out);

Datum
warden_sql_mask_spec_out(PG_FUNCTION_ARGS)
{
	WardenMaskSpec *spec = PG_GETARG_MASK_SPEC(0);

	PG_RETURN_CSTRING(pstrdup((char *) spec + spec->spec_offset));
}
