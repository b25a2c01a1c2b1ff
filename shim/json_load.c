/*
 * json_load.c
 *		The only way for untrusted bytes to become a JSON value.
 *
 * The values are jansson's; the reading is ours.  jansson 2.14 does not look
 * whether its buffer for a string could grow: where memory is short it writes
 * past the end of a smaller one, and these are everybody's bytes.  Its reader
 * also takes some 150 instructions for every byte, a third of all that a call
 * cost here.  What is accepted is what jansson accepts with
 * JSON_REJECT_DUPLICATES, JSON_ALLOW_NUL and JSON_DECODE_ANY, and numbers of
 * any size; a fuzzer holds one against the other.
 * Recursion ends at JSON_UTIL_MAX_DEPTH.
 */
#include "json_util.h"

#include <errno.h>
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct Reader
{
	const char *at;
	const char *end;
	size_t		depth;
	size_t		values;			/* that may still come */
	JsonFault	fault;
	Buf			text;			/* of a string with escapes, or a number */
} Reader;

static json_t *read_value(Reader *r);

static bool
fail(Reader *r, JsonFault fault)
{
	if (r->fault == JSON_FAULT_NONE)
		r->fault = fault;
	return false;
}

static json_t *
no_value(Reader *r)
{
	fail(r, JSON_FAULT_SYNTAX);
	return NULL;
}

/* The value, or NULL for want of memory. */
static json_t *
made(Reader *r, json_t *value)
{
	if (value == NULL)
		fail(r, JSON_FAULT_MEMORY);
	return value;
}

/* Counts what stands for so many values. */
static bool
take(Reader *r, size_t values)
{
	if (values > r->values)
		return fail(r, JSON_FAULT_SIZE);
	r->values -= values;
	return true;
}

/* The next byte that is no white space, 0 at the end. */
static char
peek(Reader *r)
{
	while (r->at < r->end &&
		   (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' ||
			*r->at == '\t'))
		r->at++;
	return r->at < r->end ? *r->at : '\0';
}

/* ------------------------------------------------------------------------
 * Strings
 * ------------------------------------------------------------------------
 */

static bool
read_hex(Reader *r, unsigned *value)
{
	*value = 0;
	if (r->end - r->at < 4)
		return false;
	for (int i = 0; i < 4; i++)
	{
		char		c = *r->at++;
		unsigned	digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned) (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned) ((c | 0x20) - 'a' + 10);
		else
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

static void
put_code_point(Buf *out, unsigned cp)
{
	static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
	int			more = (cp >= 0x80) + (cp >= 0x800) + (cp >= 0x10000);

	buf_putc(out, (char) (lead[more] | cp >> (6 * more)));
	while (more-- > 0)
		buf_putc(out, (char) (0x80 | (cp >> (6 * more) & 0x3f)));
}

/* What follows \u; surrogates come in pairs only. */
static bool
read_code_point(Reader *r)
{
	unsigned	cp;
	unsigned	low;

	if (!read_hex(r, &cp) || (cp >= 0xdc00 && cp <= 0xdfff))
		return false;
	if (cp >= 0xd800 && cp <= 0xdbff)
	{
		if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
			return false;
		r->at += 2;
		if (!read_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
	}
	put_code_point(&r->text, cp);
	return true;
}

/* What follows a backslash. */
static bool
read_escape(Reader *r)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (r->at == r->end)
		return false;
	if (*r->at == 'u')
	{
		r->at++;
		return read_code_point(r);
	}
	found = *r->at != '\0' ? strchr(names, *r->at) : NULL;
	if (found == NULL)
		return false;
	buf_putc(&r->text, values[found - names]);
	r->at++;
	return true;
}

/* Goes to the quote or backslash that ends a run of characters as they are. */
static bool
skip_run(Reader *r)
{
	for (;;)
	{
		size_t		n;

		r->at += buf_plain_run(r->at, (size_t) (r->end - r->at));
		if (r->at == r->end || (unsigned char) *r->at < 0x20)
			return false;
		if (*r->at == '"' || *r->at == '\\')
			return true;
		n = buf_utf8_len((const unsigned char *) r->at,
						 (size_t) (r->end - r->at));
		if (n == 0)
			return false;
		r->at += n;
	}
}

/*
 * A string, of which the quote has been seen.  It stays where it is, or is in
 * r->text if it had escapes.
 */
static bool
read_chars(Reader *r, const char **chars, size_t *len)
{
	const char *start = ++r->at;
	bool		copied = false;

	for (;;)
	{
		if (!skip_run(r))
			return fail(r, JSON_FAULT_SYNTAX);
		if (*r->at == '"' && !copied)
			break;
		if (!copied)
			buf_reset(&r->text);
		copied = true;
		buf_append(&r->text, start, (size_t) (r->at - start));
		if (*r->at++ == '"')
		{
			*chars = buf_cstr(&r->text);
			*len = r->text.len;
			return buf_ok(&r->text) || fail(r, JSON_FAULT_MEMORY);
		}
		if (!read_escape(r))
			return fail(r, JSON_FAULT_SYNTAX);
		start = r->at;
	}
	*chars = start;
	*len = (size_t) (r->at - start);
	r->at++;
	return true;
}

static json_t *
read_string(Reader *r)
{
	const char *chars;
	size_t		len;

	if (!read_chars(r, &chars, &len))
		return NULL;
	return made(r, json_stringn_nocheck(chars, len));
}

/* ------------------------------------------------------------------------
 * Numbers and words
 * ------------------------------------------------------------------------
 */

static size_t
skip_digits(Reader *r)
{
	const char *start = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return (size_t) (r->at - start);
}

/* -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)? */
static bool
skip_number(Reader *r, bool *integer)
{
	bool		zero;

	if (r->at < r->end && *r->at == '-')
		r->at++;
	zero = r->at < r->end && *r->at == '0';
	*integer = true;
	if (zero)
		r->at++;
	else if (skip_digits(r) == 0)
		return false;
	if (zero && r->at < r->end && *r->at >= '0' && *r->at <= '9')
		return false;
	if (r->at < r->end && *r->at == '.')
	{
		*integer = false;
		r->at++;
		if (skip_digits(r) == 0)
			return false;
	}
	if (r->at < r->end && (*r->at == 'e' || *r->at == 'E'))
	{
		*integer = false;
		r->at++;
		if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
			r->at++;
		return skip_digits(r) > 0;
	}
	return true;
}

/* Whether a double gives back all the digits of a number in its range. */
static bool
double_holds(const char *number)
{
	int			digits = 0;

	for (; *number != '\0' && (*number | 0x20) != 'e'; number++)
		if (*number >= (digits > 0 ? '0' : '1') && *number <= '9')
			digits++;
	return digits <= DBL_DIG;
}

/* What neither of jansson's numbers holds is kept as it was written. */
static json_t *
read_number(Reader *r)
{
	const char *start = r->at;
	const char *digits;
	bool		integer;
	long long	whole = 0;
	double		real = 0;

	if (!skip_number(r, &integer))
		return no_value(r);
	buf_reset(&r->text);
	buf_append(&r->text, JSON_UTIL_NUMBER, sizeof(JSON_UTIL_NUMBER) - 1);
	buf_append(&r->text, start, (size_t) (r->at - start));
	if (!buf_ok(&r->text))
		return made(r, NULL);
	digits = buf_cstr(&r->text) + sizeof(JSON_UTIL_NUMBER) - 1;
	errno = 0;

	/* the process never leaves the C locale, so the point is a point */
	if (integer)
		whole = strtoll(digits, NULL, 10);
	else
		real = strtod(digits, NULL);
	if (errno == ERANGE || (!integer && !double_holds(digits)))
		return made(r, json_stringn_nocheck(buf_cstr(&r->text), r->text.len));
	return made(r, integer ? json_integer(whole) : json_real(real));
}

static json_t *
read_word(Reader *r, const char *word, json_t *value)
{
	size_t		len = strlen(word);

	if ((size_t) (r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return no_value(r);
	r->at += len;
	return value;
}

/* ------------------------------------------------------------------------
 * Arrays and objects
 * ------------------------------------------------------------------------
 */

static bool
read_element(Reader *r, json_t *array)
{
	json_t	   *value = read_value(r);

	if (value == NULL)
		return false;
	return json_array_append_new(array, value) == 0 ||
		fail(r, JSON_FAULT_MEMORY);
}

static bool
read_member(Reader *r, json_t *object)
{
	const char *key;
	size_t		len;
	Buf			kept = {NULL, 0, 0, false};
	size_t		size = json_object_size(object);
	json_t	   *value = NULL;

	if (peek(r) != '"')
		return fail(r, JSON_FAULT_SYNTAX);
	if (!read_chars(r, &key, &len))
		return false;
	if (memchr(key, '\0', len) != NULL)
		return fail(r, JSON_FAULT_SYNTAX);

	/* one with escapes stands where the value may be written */
	if (key == r->text.data)
	{
		kept = r->text;
		buf_init(&r->text);
	}
	if (peek(r) != ':')
		fail(r, JSON_FAULT_SYNTAX);
	else
	{
		r->at++;
		value = read_value(r);
	}
	if (value != NULL &&
		json_object_setn_new_nocheck(object, key, len, value) != 0)
		fail(r, JSON_FAULT_MEMORY);

	/* a key that was there already has been replaced */
	if (value != NULL && json_object_size(object) == size)
		fail(r, JSON_FAULT_SYNTAX);
	buf_free(&kept);
	return r->fault == JSON_FAULT_NONE;
}

/* Frees the collection unless it is read to its end. */
static json_t *
read_collection(Reader *r, json_t *collection, char close,
				bool (*read_one) (Reader *, json_t *))
{
	bool		ok = made(r, collection) != NULL;

	r->at++;
	if (ok && ++r->depth > JSON_UTIL_MAX_DEPTH)
		ok = fail(r, JSON_FAULT_DEPTH);
	ok = ok && take(r, JSON_UTIL_COLLECTION);
	if (ok && peek(r) != close)
	{
		ok = read_one(r, collection);
		while (ok && peek(r) == ',')
		{
			r->at++;
			ok = take(r, 1) && read_one(r, collection);
		}
		if (ok && peek(r) != close)
			ok = fail(r, JSON_FAULT_SYNTAX);
	}
	if (!ok)
	{
		json_decref(collection);
		return NULL;
	}
	r->at++;
	r->depth--;
	return collection;
}

static json_t *
read_value(Reader *r)
{
	switch (peek(r))
	{
		case '{':
			return read_collection(r, json_object(), '}', read_member);
		case '[':
			return read_collection(r, json_array(), ']', read_element);
		case '"':
			return read_string(r);
		case 't':
			return read_word(r, "true", json_true());
		case 'f':
			return read_word(r, "false", json_false());
		case 'n':
			return read_word(r, "null", json_null());
		default:
			return read_number(r);
	}
}

json_t *
json_util_load_message(const char *text, size_t len, size_t max_values,
					   JsonFault *fault)
{
	Reader		r = {.at = text,.end = text + len,.values = max_values};
	json_t	   *value = NULL;

	buf_init(&r.text);
	if (take(&r, 1))
		value = read_value(&r);

	/* peek stops at a NUL byte too, which is as good as any other garbage */
	if (value != NULL && (peek(&r) != '\0' || r.at != r.end))
	{
		json_decref(value);
		value = no_value(&r);
	}
	buf_free(&r.text);
	*fault = r.fault;
	return value;
}

json_t *
json_util_load(const char *text, size_t len, JsonFault *fault)
{
	return json_util_load_message(text, len, SIZE_MAX, fault);
}
