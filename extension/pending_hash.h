/*-------------------------------------------------------------------------
 * pending_hash.h
 *	  SHA-256 over fields of which each goes in with its length, so that no two
 *	  different lists of fields have the same input.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_HASH_H
#define WARDEN_PENDING_HASH_H

#include "lib/stringinfo.h"

/* What is to be hashed is put together first: most of it is very short. */
extern StringInfo warden_hash_begin(void);

/* A text with its length before it; NULL differs from the empty one. */
extern void warden_hash_text(StringInfo input, const char *text);
extern void warden_hash_number(StringInfo input, int64 number);

/* The first "bytes" of the hash in hexadecimal, palloc'd; frees the input. */
extern char *warden_hash_end(StringInfo input, int bytes);

#endif							/* WARDEN_PENDING_HASH_H */
