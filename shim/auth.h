/*
 * auth.h
 *		Bearer credentials as the shim sees them: opaque text with a digest.
 *		Whether one is good is decided in the database.
 */
#ifndef AUTH_H
#define AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
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
 * Whose a credential says it is: the same for all the JWTs that one subject
 * gets from its issuer, one after the other; any other credential stands for
 * itself, and none for nobody.  Unverified: it tells apart, and grants nothing.
 * False for want of memory.
 */
extern bool auth_owner(const char *credential, AuthDigest *owner)
			__attribute__((warn_unused_result));

/*
 * One use of a credential by a peer, from before it costs a connection to
 * PostgreSQL until it is over.  Refused credentials are limited per peer and
 * minute.  Uses at once are limited per credential, and those of credentials
 * that nobody has accepted yet per peer; so nobody is held up by neighbours.
 */
typedef struct AuthUse
{
	AuthDigest	peer;
	AuthDigest	credential;
	AuthDigest	counted;		/* what holds the place */
	unsigned char kind;			/* kinds of use are counted apart */
	bool		holds;
	LIST_ENTRY(AuthUse) link;
} AuthUse;

typedef enum AuthAdmission
{
	AUTH_ADMITTED,
	AUTH_REFUSED_TOO_OFTEN,
	AUTH_BUSY
} AuthAdmission;

/* 0 stands for no limit.  auth_leave is due after AUTH_ADMITTED only. */
extern AuthAdmission auth_admit(AuthUse *use, long failures_per_minute,
								long at_once, time_t now);
extern void auth_note(const AuthUse *use, bool accepted, time_t now);
extern void auth_leave(AuthUse *use);

/* The credential of an Authorization header, NULL if it is no usable bearer. */
extern const char *auth_bearer(const char *header);

#endif							/* AUTH_H */
