/*
 * auth.h
 *		Bearer credentials as the shim sees them: opaque text with a digest.
 *		Whether one is good is decided in the database.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define AUTH_DIGEST_SIZE 16
#define AUTH_MAX_TOKEN 8192

typedef struct AuthDigest
{
	unsigned char bytes[AUTH_DIGEST_SIZE];
} AuthDigest;

/* Draws the process's key; false when the system gives no randomness. */
extern bool auth_init(void);

/* size random bytes as lower-case hex, with terminator: 2 * size + 1 chars */
extern bool auth_random_hex(char *out, size_t size)
			__attribute__((warn_unused_result));

/* Keyed digest of any bytes, meaningful in this process only. */
extern AuthDigest auth_digest(const void *data, size_t len);
extern bool auth_equal(const AuthDigest *a, const AuthDigest *b);

/*
 * Failed attempts are limited per peer, before they cost a connection.  A
 * credential that was accepted lately is not held up by its neighbours.
 */
extern bool auth_may_try(const AuthDigest *peer, const AuthDigest *credential,
						 long per_minute, time_t now);
extern void auth_note(const AuthDigest *peer, const AuthDigest *credential,
					  bool accepted, time_t now);

/* The credential of an Authorization header, NULL if it is no usable bearer. */
extern const char *auth_bearer(const char *header);

#endif							/* AUTH_H */
