/*-------------------------------------------------------------------------
 * jwt.h
 *	  Signed JSON web tokens (RFC 7515, 7519) in compact form: taking one
 *	  apart, and checking its signature.  Knows no database and raises no
 *	  errors; every function that returns bool must be checked.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_JWT_H
#define WARDEN_JWT_H

#include "postgres.h"

#define WARDEN_JWT_MAX_LENGTH	8192	/* of the whole token */
#define WARDEN_JWT_MAX_SPKI		2048	/* DER of a public key */
#define WARDEN_JWT_NAME_SIZE	256 /* texts taken from it */

/* The closed list; each algorithm goes with one kind of key only. */
typedef enum WardenJwtAlgorithm
{
	WARDEN_JWT_NONE,			/* nothing that is accepted */
	WARDEN_JWT_RS256,
	WARDEN_JWT_ES256,
	WARDEN_JWT_EDDSA			/* Ed25519 */
} WardenJwtAlgorithm;

typedef struct WardenJwt
{
	WardenJwtAlgorithm algorithm;
	char		kid[WARDEN_JWT_NAME_SIZE];	/* "" where it has none */
	const char *signed_text;	/* within the caller's token */
	size_t		signed_length;
	uint8		signature[1024];
	size_t		signature_length;
	char		claims[WARDEN_JWT_MAX_LENGTH];	/* JSON, not terminated */
	size_t		claims_length;
} WardenJwt;

/* Takes a token apart; nothing of it is to be believed yet. */
extern bool warden_jwt_parse(const char *token, size_t length,
							 WardenJwt *jwt);

/* The signature is by this key (SubjectPublicKeyInfo in DER). */
extern bool warden_jwt_verify(const WardenJwt *jwt, const uint8 *spki,
							  size_t length);

/* A claim that is a text (or a number, in seconds); false where it is not. */
extern bool warden_jwt_text(const WardenJwt *jwt, const char *name,
							char *value, size_t size);
extern bool warden_jwt_seconds(const WardenJwt *jwt, const char *name,
							   int64 *value);
extern bool warden_jwt_has(const WardenJwt *jwt, const char *name);

/* The claim is that text, or an array with it in. */
extern bool warden_jwt_lists(const WardenJwt *jwt, const char *name,
							 const char *value);

/* The claim is a text of words with that one in (as "scope" is), or a list. */
extern bool warden_jwt_word(const WardenJwt *jwt, const char *name,
							const char *word);

/* Strict base64url without padding: false for anything else. */
extern bool warden_jwt_decode(const char *text, size_t length, uint8 *bytes,
							  size_t size, size_t *written);

/*
 * The kind of a public key, NONE where it is not one of the three or too
 * weak, and public keys made from the numbers of a JWK; 0 on failure, else
 * the length written.
 */
extern WardenJwtAlgorithm warden_jwt_key_algorithm(const uint8 *spki,
												   size_t length);
extern size_t warden_jwt_rsa_key(const uint8 *n, size_t n_length,
								 const uint8 *e, size_t e_length,
								 uint8 *spki, size_t size);
extern size_t warden_jwt_p256_key(const uint8 *x, const uint8 *y,
								  uint8 *spki, size_t size);
extern size_t warden_jwt_ed25519_key(const uint8 *x, uint8 *spki,
									 size_t size);

#endif							/* WARDEN_JWT_H */
