/*-------------------------------------------------------------------------
 * review_text.c
 *	  Does a statement look like what it says?
 *
 * A reviewer reads the text, the server its characters.  Found here is what
 * makes the two differ; it may stand in literals where people write it, if it
 * leaves the rest of the text as it is.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "parser/parser.h"

#include "compat.h"
#include "review_private.h"
#include "statement.h"

typedef struct Range
{
	pg_wchar	first;
	pg_wchar	last;
} Range;

/* They turn the text around up to where it ends, code that follows included. */
static const Range directions[] = {
	{0x202A, 0x202E}, {0x2066, 0x2069}
};

/* Nothing is seen of them, or a blank that is none: they belong to names. */
static const Range unseen[] = {
	{0x80, 0xA0}, {0xAD, 0xAD}, {0x34F, 0x34F}, {0x61C, 0x61C},
	{0x115F, 0x1160}, {0x1680, 0x1680}, {0x17B4, 0x17B5}, {0x180B, 0x180E},
	{0x2000, 0x200F}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x2065},
	{0x206A, 0x206F}, {0x3000, 0x3000}, {0x3164, 0x3164}, {0xFE00, 0xFE0F},
	{0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xE0000, 0xE0FFF}
};

/* The first character of the ranges, 0 for none. */
static pg_wchar
find_character(const char *text, const Range *ranges, int n)
{
	const unsigned char *p = (const unsigned char *) text;
	int			i;

	if (GetDatabaseEncoding() != PG_UTF8)
		return 0;
	for (; *p != '\0'; p += pg_utf_mblen(p))
	{
		pg_wchar	c = IS_HIGHBIT_SET(*p) ? utf8_to_unicode(p) : 0;

		for (i = 0; c != 0 && i < n; i++)
		{
			if (c >= ranges[i].first && c <= ranges[i].last)
				return c;
		}
	}
	return 0;
}

/* What a terminal may obey instead of showing it. */
static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((unsigned char) *text == 0x7F ||
			((unsigned char) *text < ' ' && strchr("\t\n\r\f", *text) == NULL))
			return true;
	}
	return false;
}

void
warden_review_text(WardenReviewContext *context, const char *text)
{
	pg_wchar	c = find_character(text, directions, lengthof(directions));

	if (c != 0)
		warden_review_add(context, "text.direction", -1,
						  psprintf("has the character U+%04X, which shows text in another order than it is read in",
								   (unsigned int) c),
						  "Have it sent without that character.");
	c = find_character(warden_statement_code(text), unseen, lengthof(unseen));
	if (c != 0)
		warden_review_add(context, "text.invisible", -1,
						  psprintf("a name has the character U+%04X, which is not seen or looks like a blank",
								   (unsigned int) c),
						  "Look at which object the name means.");
	if (has_control(text))
		warden_review_add(context, "text.invisible", -1,
						  pstrdup("has control characters"),
						  "Have it sent without them.");
	if (!standard_conforming_strings && warden_statement_backslashes(text))
		warden_review_add(context, "text.backslash", -1,
						  pstrdup("backslashes in its literals are escapes: standard_conforming_strings was off"),
						  "A quote behind a backslash does not end a literal: read with care where each one ends.");
}
