/*
 * buf.c
 *		Growable byte buffer, and the one place that writes JSON strings.
 */
#include "buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Enough for most texts, so that they do not grow step by step; malloc keeps
 * what is no larger at hand for the next one.
 */
#define MIN_CAPACITY 1000

void
buf_init(Buf *b)
{
	memset(b, 0, sizeof(*b));
}

void
buf_free(Buf *b)
{
	free(b->data);
	buf_init(b);
}

void
buf_reset(Buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* For buffers that held a secret. */
void
buf_wipe(Buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

bool
buf_ok(const Buf *b)
{
	return !b->failed;
}

/*
 * Makes room for `more` bytes and a terminator.  Capacity doubles, so that
 * appending stays linear; the cap is checked before any addition can wrap.
 */
bool
buf_reserve(Buf *b, size_t more)
{
	size_t		need;
	size_t		cap;
	char	   *data;

	if (b->failed)
		return false;
	if (more >= BUF_MAX || b->len >= BUF_MAX - more)
	{
		b->failed = true;
		return false;
	}
	need = b->len + more + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap < MIN_CAPACITY ? MIN_CAPACITY : b->cap;
	while (cap < need)
		cap *= 2;
	data = realloc(b->data, cap);
	if (data == NULL)
	{
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void
buf_truncate(Buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

void
buf_grow_append(Buf *b, const void *src, size_t n)
{
	if (n == 0 || !buf_reserve(b, n))
		return;
	memcpy(b->data + b->len, src, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_fill(Buf *b, char c, size_t n)
{
	if (n == 0 || !buf_reserve(b, n))
		return;
	memset(b->data + b->len, c, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void
buf_int(Buf *b, long long value)
{
	char		digits[24];
	char	   *at = digits + sizeof(digits);
	unsigned long long left = value < 0 ? 0 - (unsigned long long) value :
		(unsigned long long) value;

	do
		*--at = (char) ('0' + left % 10);
	while ((left /= 10) > 0);
	if (value < 0)
		*--at = '-';
	buf_append(b, at, (size_t) (digits + sizeof(digits) - at));
}

void
buf_printf(Buf *b, const char *fmt,...)
{
	va_list		args;
	int			n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0 || !buf_reserve(b, (size_t) n))
	{
		b->failed = true;
		return;
	}
	va_start(args, fmt);
	vsnprintf(b->data + b->len, (size_t) n + 1, fmt, args);
	va_end(args);
	b->len += (size_t) n;
}

const char *
buf_cstr(const Buf *b)
{
	return b->len > 0 ? b->data : "";
}

bool
buf_base64(Buf *b, const char *s, size_t n, bool url)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	unsigned	word = 0;
	int			bits = 0;

	if (!url && n % 4 != 0)
		return false;
	for (int pad = 0; !url && pad < 2 && n > 0 && s[n - 1] == '='; pad++)
		n--;
	for (size_t i = 0; i < n; i++)
	{
		const char *at = s[i] != '\0' ? strchr(digits, s[i]) : NULL;
		unsigned	value = at != NULL ? (unsigned) (at - digits) :
			s[i] == (url ? '-' : '+') ? 62 : 63;

		if (value == 63 && s[i] != (url ? '_' : '/'))
			return false;
		word = word << 6 | value;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		buf_putc(b, (char) (word >> bits & 0xff));
	}
	return buf_ok(b);
}

/* ------------------------------------------------------------------------
 * JSON strings
 * ------------------------------------------------------------------------
 */

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t
buf_utf8_len(const unsigned char *s, size_t n)
{
	unsigned char c = s[0];
	size_t		len;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
		(c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

static void
escape_byte(Buf *b, char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[128] = {
		['"'] = '"',['\\'] = '\\',['\n'] = 'n',['\r'] = 'r',['\t'] = 't'
	};
	char		text[6] = {'\\', 'u', '0', '0', hex[c >> 4 & 15], hex[c & 15]};

	if (letters[c & 127] != '\0')
		text[1] = letters[c & 127];
	buf_append(b, text, letters[c & 127] != '\0' ? 2 : sizeof(text));
}

#define ONES UINT64_C(0x0101010101010101)
#define BLANKS (ONES * ' ')

static inline uint64_t
load_word(const char *s, size_t n)
{
	uint64_t	w = BLANKS;

	memcpy(&w, s, n);
	return w;
}

/*
 * Has bit 7 of the first of eight bytes that is not plain, and perhaps some
 * behind it; 0 where all are.
 */
static inline uint64_t
odd_bytes(uint64_t w)
{
	uint64_t	quote = w ^ (ONES * '"');
	uint64_t	slash = w ^ (ONES * '\\');

	return (w | (w - BLANKS) | (quote - ONES) | (slash - ONES)) &
		(ONES * 0x80);
}

/* Eight bytes at a time; the last ones reach back over what was seen. */
size_t
buf_plain_run(const char *s, size_t n)
{
	size_t		i = 0;
	uint64_t	odd = 0;

	if (n < 8)
		odd = odd_bytes(le64toh(load_word(s, n)));
	while (odd == 0 && i + 8 <= n &&
		   (odd = odd_bytes(le64toh(load_word(s + i, 8)))) == 0)
		i += 8;
	if (odd == 0 && n > 8 && i < n)
	{
		i = n - 8;
		odd = odd_bytes(le64toh(load_word(s + i, 8)));
	}
	return odd != 0 ? i + (size_t) __builtin_ctzll(odd) / 8 : n;
}

/* Copies in the same steps; false where something is not plain. */
static inline bool
copy_plain(char *to, const char *s, size_t n)
{
	uint64_t	w = BLANKS;
	uint64_t	odd = 0;
	size_t		i = 0;

	for (; i + 8 <= n; i += 8)
	{
		w = load_word(s + i, 8);
		odd |= odd_bytes(w);
		memcpy(to + i, &w, 8);
	}
	if (i == n)
		return odd == 0;
	if (n >= 8)
	{
		w = load_word(s + n - 8, 8);
		memcpy(to + n - 8, &w, 8);
	}
	else if (n >= 4)
	{
		uint32_t	ends[2];

		memcpy(&ends[0], s, 4);
		memcpy(&ends[1], s + n - 4, 4);
		memcpy(to, &ends[0], 4);
		memcpy(to + n - 4, &ends[1], 4);
		w = (uint64_t) ends[0] << 32 | ends[1];
	}
	else
	{
		char		ends[3] = {s[0], s[n / 2], s[n - 1]};

		to[0] = ends[0];
		to[n / 2] = ends[1];
		to[n - 1] = ends[2];
		memcpy(&w, ends, 3);
	}
	return (odd | odd_bytes(w)) == 0;
}

void
buf_json_chars(Buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *) s;

	while (n > 0)
	{
		size_t		run = buf_plain_run((const char *) p, n);
		size_t		seq;

		buf_append(b, p, run);
		p += run;
		n -= run;
		if (n == 0)
			break;
		if (*p < 0x80)
		{
			escape_byte(b, (char) *p);
			seq = 1;
		}
		else if ((seq = buf_utf8_len(p, n)) > 0)
			buf_append(b, p, seq);
		else
		{
			buf_append(b, "\xef\xbf\xbd", 3);
			seq = 1;
		}
		p += seq;
		n -= seq;
	}
}

bool
buf_json_string(Buf *b, const char *s, size_t n)
{
	char	   *at;

	if (n >= BUF_MAX || !buf_has_room(b, n + 2))
	{
		b->failed = true;
		return false;
	}
	at = b->data + b->len;
	*at++ = '"';
	b->len++;
	if (copy_plain(at, s, n))
	{
		at[n] = '"';
		at[n + 1] = '\0';
		b->len += n + 1;
		return true;
	}
	buf_json_chars(b, s, n);
	buf_putc(b, '"');
	return false;
}

void
buf_json_cstr(Buf *b, const char *s)
{
	buf_json_string(b, s, strlen(s));
}
