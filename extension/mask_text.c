/*-------------------------------------------------------------------------
 * mask_text.c
 *	  The masks that know a pattern of text: ssn, email, phone, card, name
 *	  and partial.
 *
 * Values come with their bytes only; what a character is, the database's
 * encoding says, and all that patterns are made of is ASCII, whose bytes are
 * never part of a longer character in a server encoding.  See mask_funcs.c
 * for the rules that all masks keep.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "mask.h"
#include "mask_private.h"

/* Largest values, in bytes, that can fit a pattern of bounded length. */
#define SSN_LEN 11
#define MAX_CARD_LEN 40
#define MAX_PHONE_LEN 40
#define MAX_DOMAIN_LEN 255

#define MIN_PHONE_DIGITS 7
#define MAX_PHONE_DIGITS 18
#define PHONE_DIGITS_SHOWN 2

#define MIN_CARD_DIGITS 13
#define MAX_CARD_DIGITS 19
#define CARD_DIGITS_SHOWN 4

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Bytes of the first character; len must not be 0. */
static inline int
first_char_len(const char *data, int len)
{
	if (!IS_HIGHBIT_SET(data[0]))
		return 1;
	return Min(pg_encoding_mblen(GetDatabaseEncoding(), data), len);
}

/* Bytes that the first nchars characters take; len if there are fewer. */
static int
prefix_len(const char *data, int len, int nchars)
{
	int pos = 0;

	while (nchars-- > 0 && pos < len)
		pos += first_char_len(data + pos, len - pos);
	return pos;
}

/*
 * A byte of SQL_ASCII that may be a part of a character, of whose other parts
 * nothing is known.  Where a mask would begin or end beside one, what it shows
 * could be half a character, which no client can read.
 */
static inline bool
may_be_half(char c)
{
	return IS_HIGHBIT_SET(c) && GetDatabaseEncoding() == PG_SQL_ASCII;
}

/*
 * Cuts or pads a freshly made text to what the column's type takes.
 */
static struct varlena *
fit_text(const WardenMaskSpec *spec, struct varlena *text)
{
	int len = VARSIZE(text) - VARHDRSZ;
	int nchars;
	struct varlena *padded;

	if (spec->maxchars == 0 || (len <= spec->maxchars && !spec->padded))
		return text;

	nchars = pg_mbstrlen_with_len(VARDATA(text), len);
	if (nchars > spec->maxchars)
		SET_VARSIZE(text,
					VARHDRSZ + prefix_len(VARDATA(text), len, spec->maxchars));
	if (nchars >= spec->maxchars || !spec->padded)
		return text;

	padded = palloc(VARHDRSZ + len + spec->maxchars - nchars);
	memcpy(VARDATA(padded), VARDATA(text), len);
	memset(VARDATA(padded) + len, ' ', spec->maxchars - nchars);
	SET_VARSIZE(padded, VARHDRSZ + len + spec->maxchars - nchars);
	return padded;
}

/* head || middle || tail, as a value of the column's type */
static struct varlena *
join_text(const WardenMaskSpec *spec, WardenMaskBytes head,
		  WardenMaskBytes middle, WardenMaskBytes tail)
{
	Size size = VARHDRSZ + head.len + middle.len + tail.len;
	struct varlena *text = palloc(size);
	char *data = VARDATA(text);

	SET_VARSIZE(text, size);
	memcpy(data, head.data, head.len);
	memcpy(data + head.len, middle.data, middle.len);
	memcpy(data + head.len + middle.len, tail.data, tail.len);
	return fit_text(spec, text);
}

struct varlena *
warden_mask_fit(const WardenMaskSpec *spec, const char *data, int len)
{
	struct varlena *text = palloc(VARHDRSZ + len);

	SET_VARSIZE(text, VARHDRSZ + len);
	memcpy(VARDATA(text), data, len);
	return fit_text(spec, text);
}

static const WardenMaskBytes stars = {WARDEN_MASK_STARS, WARDEN_MASK_STARS_LEN};

/* What a value becomes that does not fit the pattern. */
static struct varlena *
hide_text(const WardenMaskSpec *spec)
{
	return warden_mask_fit(spec, stars.data, stars.len);
}

/*
 * The value's bytes; without the padding of bpchar, which is no part of it.
 */
WardenMaskBytes
warden_mask_open(const WardenMaskSpec *spec, Datum value)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
	WardenMaskBytes bytes = {VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)};

	if (spec->class == WARDEN_VALUE_BPCHAR)
		bytes.len = bpchartruelen(VARDATA_ANY(text), bytes.len);
	return bytes;
}

/*
 * The same for a pattern of at most max bytes: false, without looking at the
 * value, when it is longer.  Padding may make a bpchar longer than it is.
 */
static bool
open_short_text(const WardenMaskSpec *spec, Datum value, int max,
				WardenMaskBytes *bytes)
{
	struct varlena *text = (struct varlena *) DatumGetPointer(value);

	if ((VARATT_IS_EXTERNAL(text) || VARATT_IS_COMPRESSED(text)) &&
		spec->class != WARDEN_VALUE_BPCHAR &&
		toast_raw_datum_size(value) > (Size) max + VARHDRSZ)
		return false;
	*bytes = warden_mask_open(spec, value);
	return bytes->len <= max;
}

/* 078-05-4801 -> ***-**-4801 */
static struct varlena *
mask_ssn(const WardenMaskSpec *spec, Datum value)
{
	static const char pattern[] = "ddd-dd-dddd";
	static const WardenMaskBytes none = {"", 0};
	static const WardenMaskBytes head = {"***-**-", 7};
	WardenMaskBytes in;
	WardenMaskBytes shown;

	if (!open_short_text(spec, value, SSN_LEN, &in) || in.len != SSN_LEN)
		return hide_text(spec);
	for (int i = 0; i < SSN_LEN; i++)
	{
		if (pattern[i] == 'd' ? !is_digit(in.data[i]) : in.data[i] != '-')
			return hide_text(spec);
	}
	shown.data = in.data + head.len;
	shown.len = in.len - head.len;
	return join_text(spec, head, none, shown);
}

/* The bytes after the @ may be read as a host name. */
static bool
is_domain(WardenMaskBytes domain)
{
	if (domain.len < 1 || domain.len > MAX_DOMAIN_LEN ||
		domain.data[0] == '.' || domain.data[domain.len - 1] == '.')
		return false;
	for (int i = 0; i < domain.len; i++)
	{
		unsigned char c = domain.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
			  c == '-' || c == '.' || c == '_' || IS_HIGHBIT_SET(c)))
			return false;
	}
	return true;
}

/* The bytes before the @: not empty, no spaces or control characters. */
static bool
is_local_part(WardenMaskBytes local)
{
	for (int i = 0; i < local.len; i++)
	{
		unsigned char c = local.data[i];

		if (c <= ' ' || c == 0x7f)
			return false;
	}
	return local.len > 0;
}

/* alice@example.com -> a******@example.com */
static struct varlena *
mask_email(const WardenMaskSpec *spec, Datum value)
{
	WardenMaskBytes in = warden_mask_open(spec, value);
	const char *at = memchr(in.data, '@', in.len);
	WardenMaskBytes local;
	WardenMaskBytes domain;

	if (at == NULL)
		return hide_text(spec);
	local.data = in.data;
	local.len = at - in.data;
	domain.data = at + 1;
	domain.len = in.len - local.len - 1;
	if (!is_local_part(local) || !is_domain(domain) ||
		may_be_half(local.data[0]))
		return hide_text(spec);

	local.len = first_char_len(local.data, local.len);
	domain.data--;
	domain.len++;
	return join_text(spec, local, stars, domain);
}

/* Alice -> A**** */
static struct varlena *
mask_name(const WardenMaskSpec *spec, Datum value)
{
	static const WardenMaskBytes rest = {"****", 4};
	static const WardenMaskBytes none = {"", 0};
	struct varlena *text = PG_DETOAST_DATUM_SLICE(value, 0,
												  MAX_MULTIBYTE_CHAR_LEN);
	WardenMaskBytes in = {VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)};
	char c;

	if (in.len == 0)
		return hide_text(spec);
	c = in.data[0];
	if ((!IS_HIGHBIT_SET(c) && !(c >= 'a' && c <= 'z') &&
		 !(c >= 'A' && c <= 'Z')) || may_be_half(c))
		return hide_text(spec);
	in.len = first_char_len(in.data, in.len);
	return join_text(spec, in, rest, none);
}

/*
 * A copy in which all digits but the last "shown" ones are stars.  Digits
 * must be there in a number from min to max, and all else be separators.
 */
static struct varlena *
mask_digits(const WardenMaskSpec *spec, WardenMaskBytes in, int min, int max,
			int shown, const char *separators)
{
	struct varlena *text;
	char *out;
	int digits = 0;

	for (int i = 0; i < in.len; i++)
	{
		if (is_digit(in.data[i]))
			digits++;
		else if (in.data[i] == '\0' || strchr(separators, in.data[i]) == NULL)
			return hide_text(spec);
	}
	if (digits < min || digits > max)
		return hide_text(spec);

	text = palloc(VARHDRSZ + in.len);
	SET_VARSIZE(text, VARHDRSZ + in.len);
	out = VARDATA(text);
	for (int i = 0; i < in.len; i++)
	{
		out[i] = in.data[i];
		if (is_digit(in.data[i]) && digits-- > shown)
			out[i] = '*';
	}
	return fit_text(spec, text);
}

/* 4111 1111 1111 1234 -> **** **** **** 1234 */
static struct varlena *
mask_card(const WardenMaskSpec *spec, Datum value)
{
	WardenMaskBytes in;

	if (!open_short_text(spec, value, MAX_CARD_LEN, &in))
		return hide_text(spec);
	return mask_digits(spec, in, MIN_CARD_DIGITS, MAX_CARD_DIGITS,
					   CARD_DIGITS_SHOWN, " -");
}

/* +1 415-555-0132 -> +* ***-***-**32 */
static struct varlena *
mask_phone(const WardenMaskSpec *spec, Datum value)
{
	WardenMaskBytes in;

	if (!open_short_text(spec, value, MAX_PHONE_LEN, &in))
		return hide_text(spec);
	return mask_digits(spec, in, MIN_PHONE_DIGITS, MAX_PHONE_DIGITS,
					   PHONE_DIGITS_SHOWN, " +-()./");
}

/*
 * partial(prefix,suffix): what is between is always six stars, so that the
 * length does not show.  Hidden whole unless something is between.
 */
static struct varlena *
mask_partial(const WardenMaskSpec *spec, Datum value)
{
	WardenMaskBytes in = warden_mask_open(spec, value);
	WardenMaskBytes head = {in.data,
							prefix_len(in.data, in.len, spec->numbers[0])};
	WardenMaskBytes tail = {in.data + head.len, in.len - head.len};
	int middle;

	/* prefix_len says len too when there are just enough characters */
	middle = pg_mbstrlen_with_len(tail.data, tail.len) - spec->numbers[1];
	if (middle <= 0)
		return hide_text(spec);
	middle = prefix_len(tail.data, tail.len, middle);
	tail.data += middle;
	tail.len -= middle;
	if ((head.len > 0 && may_be_half(head.data[head.len - 1])) ||
		(tail.len > 0 && may_be_half(tail.data[0])))
		return hide_text(spec);
	return join_text(spec, head, stars, tail);
}

struct varlena *
warden_mask_text(const WardenMaskSpec *spec, Datum value)
{
	switch (spec->kind)
	{
		case WARDEN_MASK_SSN:
			return mask_ssn(spec, value);
		case WARDEN_MASK_EMAIL:
			return mask_email(spec, value);
		case WARDEN_MASK_NAME:
			return mask_name(spec, value);
		case WARDEN_MASK_PHONE:
			return mask_phone(spec, value);
		case WARDEN_MASK_CARD:
			return mask_card(spec, value);
		case WARDEN_MASK_PARTIAL:
			return mask_partial(spec, value);
		default:
			return hide_text(spec);
	}
}
