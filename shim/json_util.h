/*
 * json_util.h
 *		Strict loading of untrusted JSON, and typed getters.
 */
#ifndef JSON_UTIL_H
#define JSON_UTIL_H

#include "buf.h"

#include <jansson.h>
#include <stdarg.h>

/* Deepest nesting that a message may have. */
#define JSON_UTIL_MAX_DEPTH 64

/*
 * What a client's message may hold: an array or object counts for
 * JSON_UTIL_COLLECTION values.  Two bytes of text can become a hundred in
 * memory, and a message is read before anybody has looked at its credential.
 */
#define JSON_UTIL_MAX_VALUES 100000
#define JSON_UTIL_COLLECTION 8

typedef enum JsonFault
{
	JSON_FAULT_NONE,
	JSON_FAULT_SYNTAX,			/* not JSON, not UTF-8, or a duplicate key */
	JSON_FAULT_DEPTH,			/* nested too deeply */
	JSON_FAULT_SIZE,			/* more values than max_values */
	JSON_FAULT_MEMORY
} JsonFault;

/* The caller owns the value.  NULL with *fault set otherwise. */
extern json_t *json_util_load(const char *text, size_t len, JsonFault *fault)
			__attribute__((warn_unused_result));

/* The same for a message, which may not hold more than max_values. */
extern json_t *json_util_load_message(const char *text, size_t len,
									  size_t max_values, JsonFault *fault)
			__attribute__((warn_unused_result));

/*
 * A number that neither an integer nor a double holds is a string that begins
 * with this, which is not UTF-8: no string that was read does.  To
 * json_util_string it is none, and json_util_write writes the number.
 */
#define JSON_UTIL_NUMBER "\0\xff"

/* The number as it was written; NULL for anything else. */
extern const char *json_util_number(const json_t *value);

/* A string, and not such a number. */
extern bool json_util_is_text(const json_t *value);

/* Borrowed string of `key`; NULL when absent, no string, or with a NUL. */
extern const char *json_util_string(const json_t *object, const char *key);

/* The same, and the fallback in place of NULL. */
extern const char *json_util_string_or(const json_t *object, const char *key,
									   const char *fallback);

/* Borrowed member that is an object, else NULL. */
extern json_t *json_util_object(const json_t *object, const char *key);

/* Writes the value compactly. */
extern void json_util_write(Buf *out, const json_t *value);

/* The same with the members of objects in the order of their names. */
extern void json_util_write_sorted(Buf *out, const json_t *value);

/*
 * Writes JSON by a template, in which ' stands for a quote and %s, %d, %ld and
 * %lld take what they take in printf: within quotes the text of %s is escaped,
 * outside it is JSON already.  %p takes a json_t.  Anything else of printf's
 * makes the buffer fail.
 */
extern void json_util_put(Buf *out, const char *template,...)
			__attribute__((format(printf, 2, 3)));
extern void json_util_vput(Buf *out, const char *template, va_list args)
			__attribute__((format(printf, 2, 0)));

/* Writes into a string whose quote is open: all of it is text, ' too. */
extern void json_util_text(Buf *out, const char *template,...)
			__attribute__((format(printf, 2, 3)));

#endif							/* JSON_UTIL_H */
