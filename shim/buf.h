/*
 * buf.h
 *		Growable byte buffer with overflow-checked arithmetic.
 *
 * A failed allocation makes the buffer sticky-failed: later appends do nothing
 * and buf_ok() says so, so that writers check once, at the end.
 */
#ifndef BUF_H
#define BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* No message that the shim builds may be larger than this. */
#define BUF_MAX ((size_t) 512 * 1024 * 1024)

typedef struct Buf
{
	char	   *data;			/* NUL-terminated whenever len > 0 */
	size_t		len;
	size_t		cap;
	bool		failed;
} Buf;

extern void buf_init(Buf *b);
extern void buf_free(Buf *b);
extern void buf_reset(Buf *b);
extern void buf_wipe(Buf *b);
extern bool buf_ok(const Buf *b);
extern bool buf_reserve(Buf *b, size_t more)
			__attribute__((warn_unused_result));
extern void buf_truncate(Buf *b, size_t len);
extern void buf_grow_append(Buf *b, const void *src, size_t n);
extern void buf_fill(Buf *b, char c, size_t n);
extern void buf_int(Buf *b, long long value);
extern void buf_printf(Buf *b, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));
extern const char *buf_cstr(const Buf *b);

/* Whether there is room for so many bytes more, now. */
static inline bool
buf_has_room(Buf *b, size_t n)
{
	return (!b->failed && n < b->cap - b->len) || buf_reserve(b, n);
}

/* In line, since most of what is written is short and constant. */
static inline void
buf_append(Buf *b, const void *src, size_t n)
{
	if (b->failed || n >= b->cap - b->len)
	{
		buf_grow_append(b, src, n);
		return;
	}
	memcpy(b->data + b->len, src, n);
	b->len += n;
	b->data[b->len] = '\0';
}

static inline void
buf_puts(Buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

static inline void
buf_putc(Buf *b, char c)
{
	if (b->failed || b->len + 1 >= b->cap)
	{
		buf_grow_append(b, &c, 1);
		return;
	}
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

/*
 * Appends what base64 text stands for: the kind of URLs, without padding, or
 * the usual one, which needs it.  False where it is not that.
 */
extern bool buf_base64(Buf *b, const char *s, size_t n, bool url);

/*
 * JSON text: quoted and escaped; bytes that are no UTF-8 become U+FFFD.  True
 * where all of it was plain: what JSON takes as it is, and a terminal, too.
 */
extern void buf_json_chars(Buf *b, const char *s, size_t n);
extern bool buf_json_string(Buf *b, const char *s, size_t n);
extern void buf_json_cstr(Buf *b, const char *s);

/* length of the plain prefix: ASCII without quote, backslash and control */
extern size_t buf_plain_run(const char *s, size_t n);

/* length of the UTF-8 sequence at s (1..4), 0 if there is none */
extern size_t buf_utf8_len(const unsigned char *s, size_t n);

#endif							/* BUF_H */
