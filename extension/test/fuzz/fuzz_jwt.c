/*-------------------------------------------------------------------------
 * fuzz_jwt.c
 *	  libFuzzer entry for extension/jwt.c, which calls no server function.
 *
 * clang -g -fsanitize=fuzzer,address,undefined -Iextension \
 *	 -isystem $(pg_config --includedir-server) \
 *	 extension/test/fuzz/fuzz_jwt.c extension/jwt.c -lcrypto -o fuzz_jwt
 *
 * The first byte says what the rest is: a token as sent, or the claims of a
 * token whose header and signature are well-formed, so that the fuzzer need
 * not learn base64.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "jwt.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static const char base64url[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The key of the all-ones scalar; no signature of the fuzzer's is by it. */
static const uint8 ed25519_x[32] = {
	0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3,
	0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
	0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a
};

static size_t
encode(const uint8 *bytes, size_t length, char *text)
{
	size_t		n = 0;
	size_t		i;

	for (i = 0; i < length; i += 3)
	{
		uint32		left = (uint32) Min(length - i, 3);
		uint32		bits = (uint32) bytes[i] << 16;

		bits |= left > 1 ? (uint32) bytes[i + 1] << 8 : 0;
		bits |= left > 2 ? bytes[i + 2] : 0;
		text[n++] = base64url[bits >> 18 & 63];
		text[n++] = base64url[bits >> 12 & 63];
		if (left > 1)
			text[n++] = base64url[bits >> 6 & 63];
		if (left > 2)
			text[n++] = base64url[bits & 63];
	}
	return n;
}

/* Asks everything that identity_jwt.c asks. */
static void
use(const WardenJwt *jwt)
{
	char		text[WARDEN_JWT_NAME_SIZE];
	int64		seconds;
	uint8		spki[WARDEN_JWT_MAX_SPKI];
	size_t		length;

	if (warden_jwt_text(jwt, "iss", text, sizeof(text)) &&
		memchr(text, '\0', sizeof(text)) == NULL)
		abort();
	(void) !warden_jwt_seconds(jwt, "exp", &seconds);
	(void) !warden_jwt_lists(jwt, "aud", "db");
	(void) !warden_jwt_word(jwt, "scope", "query");
	(void) warden_jwt_has(jwt, "nbf");
	length = warden_jwt_ed25519_key(ed25519_x, spki, sizeof(spki));
	if (length == 0 || warden_jwt_verify(jwt, spki, length))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	static const uint8 header[] = "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}";
	static WardenJwt jwt;
	static char token[WARDEN_JWT_MAX_LENGTH * 2];
	char	   *exact;
	size_t		length;

	if (size < 1 || size > WARDEN_JWT_MAX_LENGTH)
		return 0;
	if (data[0] & 1)
	{
		length = encode(header, sizeof(header) - 1, token);
		token[length++] = '.';
		length += encode(data + 1, size - 1, token + length);
		memcpy(token + length, ".c2ln", 5);
		length += 5;
	}
	else
	{
		length = size - 1;
		memcpy(token, data + 1, length);
	}
	/* On the heap, so that a read past its end is seen. */
	exact = malloc(length + 1);
	if (exact == NULL)
		return 0;
	memcpy(exact, token, length);
	if (warden_jwt_parse(exact, length, &jwt))
		use(&jwt);
	free(exact);
	return 0;
}
