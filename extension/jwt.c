/*-------------------------------------------------------------------------
 * jwt.c
 *	  Signed JSON web tokens: a small strict parser, and signatures checked by
 *	  OpenSSL.
 *
 * The token is the attacker's until its signature is checked, so: lengths are
 * capped before anything is decoded, nothing is allocated, nesting is bounded,
 * and there is one way to write each thing (no padding, no duplicate members,
 * no trailing bytes).  The algorithm comes from a closed list and must fit the
 * key that is on file: a token can choose neither "none" nor a symmetric
 * algorithm with the public key as its secret.  Keys never come from the token
 * (jku, jwk, x5u and x5c mean nothing here), and a "crit" that asks for more
 * is refused.
 *
 * No server function is called, so that the parser can be fuzzed by itself.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "jwt.h"

#define MAX_DEPTH		8
#define MAX_MEMBERS		64
#define MIN_RSA_BITS	2048
#define MAX_RSA_BITS	8192

/* What is left of a JSON text. */
typedef struct Cursor
{
	const char *at;
	const char *end;
	int			depth;
} Cursor;

typedef enum JsonKind
{
	JSON_TEXT,					/* span without the quotes, escapes in place */
	JSON_NUMBER,
	JSON_LITERAL,				/* true, false, null */
	JSON_ARRAY,
	JSON_OBJECT
} JsonKind;

typedef struct JsonSpan
{
	JsonKind	kind;
	const char *start;
	const char *end;
} JsonSpan;

/* DER up to the point of a P-256 key, and up to an Ed25519 key. */
static const uint8 p256_prefix[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03,
	0x42, 0x00, 0x04
};
static const uint8 ed25519_prefix[] = {
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00
};

/* AlgorithmIdentifier of RSA. */
static const uint8 rsa_algorithm[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
	0x01, 0x05, 0x00
};

/* ----------------------------------------------------------------------
 * base64url
 * ---------------------------------------------------------------------- */

static int
base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

bool
warden_jwt_decode(const char *text, size_t length, uint8 *bytes, size_t size,
				  size_t *written)
{
	uint32		bits = 0;
	int			nbits = 0;
	size_t		n = 0;
	size_t		i;

	*written = 0;
	if (length % 4 == 1)
		return false;
	for (i = 0; i < length; i++)
	{
		int			value = base64url_value(text[i]);

		if (value < 0)
			return false;
		bits = (bits << 6) | (uint32) value;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			if (n >= size)
				return false;
			bytes[n++] = (uint8) (bits >> nbits);
			bits &= (1U << nbits) - 1;
		}
	}
	/* Bits that are left over must be zero, or there are two spellings. */
	if (bits != 0)
		return false;
	*written = n;
	return true;
}

/* ----------------------------------------------------------------------
 * JSON: syntax
 * ---------------------------------------------------------------------- */

static void
skip_space(Cursor *cursor)
{
	while (cursor->at < cursor->end &&
		   (*cursor->at == ' ' || *cursor->at == '\t' ||
			*cursor->at == '\n' || *cursor->at == '\r'))
		cursor->at++;
}

static bool
take(Cursor *cursor, char c)
{
	skip_space(cursor);
	if (cursor->at >= cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hexadecimal digits; -1 where there are none. */
static int
read_hex4(const char *at, const char *end)
{
	int			value = 0;
	int			i;

	if (end - at < 4)
		return -1;
	for (i = 0; i < 4; i++)
	{
		int			digit = hex_value(at[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* Length of the UTF-8 character at "at", 0 where it is none. */
static int
utf8_length(const char *at, const char *end)
{
	const unsigned char *s = (const unsigned char *) at;
	size_t		left = (size_t) (end - at);
	int			n;
	int			i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (left < (size_t) n)
		return 0;
	for (i = 1; i < n; i++)
	{
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, and beyond the last code point. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/*
 * One character of a text, escaped or not: its code point and the bytes that
 * it takes, 0 where it is none.  No control characters, NUL least of all.
 */
static int
read_character(const char *at, const char *end, int *codepoint)
{
	int			low;
	int			length;

	*codepoint = -1;			/* as it stands */
	if ((unsigned char) *at < 0x20 || *at == 0x7f)
		return 0;
	if (*at != '\\')
	{
		length = utf8_length(at, end);
		return length;
	}
	if (end - at < 2)
		return 0;
	switch (at[1])
	{
		case '"':
		case '\\':
		case '/':
			*codepoint = at[1];
			return 2;
		case 'u':
			break;
		default:
			return 0;			/* \b \f \n \r \t are control characters */
	}
	*codepoint = read_hex4(at + 2, end);
	if (*codepoint < 0x20 || *codepoint == 0x7f)
		return 0;
	if (*codepoint < 0xd800 || *codepoint > 0xdfff)
		return 6;
	/* A surrogate needs its other half. */
	if (*codepoint > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u')
		return 0;
	low = read_hex4(at + 8, end);
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*codepoint = 0x10000 + ((*codepoint - 0xd800) << 10) + (low - 0xdc00);
	return 12;
}

static bool
scan_text(Cursor *cursor, JsonSpan *span)
{
	if (!take(cursor, '"'))
		return false;
	span->kind = JSON_TEXT;
	span->start = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != '"')
	{
		int			codepoint;
		int			length = read_character(cursor->at, cursor->end,
											&codepoint);

		if (length == 0)
			return false;
		cursor->at += length;
	}
	span->end = cursor->at;
	return take(cursor, '"');
}

static bool
take_digits(Cursor *cursor)
{
	const char *start = cursor->at;

	while (cursor->at < cursor->end &&
		   *cursor->at >= '0' && *cursor->at <= '9')
		cursor->at++;
	return cursor->at > start;
}

static bool
scan_number(Cursor *cursor, JsonSpan *span)
{
	span->kind = JSON_NUMBER;
	span->start = cursor->at;
	if (cursor->at < cursor->end && *cursor->at == '-')
		cursor->at++;
	if (cursor->at < cursor->end && *cursor->at == '0')
		cursor->at++;
	else if (!take_digits(cursor))
		return false;
	if (cursor->at < cursor->end && *cursor->at == '.')
	{
		cursor->at++;
		if (!take_digits(cursor))
			return false;
	}
	if (cursor->at < cursor->end && (*cursor->at == 'e' || *cursor->at == 'E'))
	{
		cursor->at++;
		if (cursor->at < cursor->end &&
			(*cursor->at == '+' || *cursor->at == '-'))
			cursor->at++;
		if (!take_digits(cursor))
			return false;
	}
	span->end = cursor->at;
	return true;
}

static bool
scan_literal(Cursor *cursor, JsonSpan *span)
{
	static const char *const literals[] = {"true", "false", "null"};
	int			i;

	span->kind = JSON_LITERAL;
	span->start = cursor->at;
	for (i = 0; i < (int) lengthof(literals); i++)
	{
		size_t		length = strlen(literals[i]);

		if ((size_t) (cursor->end - cursor->at) >= length &&
			memcmp(cursor->at, literals[i], length) == 0)
		{
			cursor->at += length;
			span->end = cursor->at;
			return true;
		}
	}
	return false;
}

static bool scan_value(Cursor *cursor, JsonSpan *span);

/* The members or elements of a container whose first character is taken. */
static bool
scan_container(Cursor *cursor, char close, bool named)
{
	JsonSpan	ignored;

	if (++cursor->depth > MAX_DEPTH)
		return false;
	if (!take(cursor, close))
	{
		do
		{
			if (named && (!scan_text(cursor, &ignored) || !take(cursor, ':')))
				return false;
			if (!scan_value(cursor, &ignored))
				return false;
		} while (take(cursor, ','));
		if (!take(cursor, close))
			return false;
	}
	cursor->depth--;
	return true;
}

static bool
scan_value(Cursor *cursor, JsonSpan *span)
{
	skip_space(cursor);
	if (cursor->at >= cursor->end)
		return false;
	span->start = cursor->at;
	switch (*cursor->at)
	{
		case '"':
			return scan_text(cursor, span);
		case '{':
		case '[':
			span->kind = *cursor->at == '{' ? JSON_OBJECT : JSON_ARRAY;
			cursor->at++;
			if (!scan_container(cursor, span->kind == JSON_OBJECT ? '}' : ']',
								span->kind == JSON_OBJECT))
				return false;
			span->end = cursor->at;
			return true;
		case 't':
		case 'f':
		case 'n':
			return scan_literal(cursor, span);
		default:
			return scan_number(cursor, span);
	}
}

/* ----------------------------------------------------------------------
 * JSON: values
 * ---------------------------------------------------------------------- */

static int
write_utf8(int codepoint, char *bytes)
{
	if (codepoint < 0x80)
	{
		bytes[0] = (char) codepoint;
		return 1;
	}
	if (codepoint < 0x800)
	{
		bytes[0] = (char) (0xc0 | (codepoint >> 6));
		bytes[1] = (char) (0x80 | (codepoint & 0x3f));
		return 2;
	}
	if (codepoint < 0x10000)
	{
		bytes[0] = (char) (0xe0 | (codepoint >> 12));
		bytes[1] = (char) (0x80 | ((codepoint >> 6) & 0x3f));
		bytes[2] = (char) (0x80 | (codepoint & 0x3f));
		return 3;
	}
	bytes[0] = (char) (0xf0 | (codepoint >> 18));
	bytes[1] = (char) (0x80 | ((codepoint >> 12) & 0x3f));
	bytes[2] = (char) (0x80 | ((codepoint >> 6) & 0x3f));
	bytes[3] = (char) (0x80 | (codepoint & 0x3f));
	return 4;
}

/* A scanned text with its escapes resolved; false where it does not fit. */
static bool
copy_text(const JsonSpan *span, char *value, size_t size)
{
	const char *at = span->start;
	size_t		n = 0;

	while (at < span->end)
	{
		char		bytes[4];
		int			codepoint;
		int			taken = read_character(at, span->end, &codepoint);
		int			length = taken;

		if (taken == 0)
			return false;
		if (codepoint >= 0)
			length = write_utf8(codepoint, bytes);
		else
			memcpy(bytes, at, (size_t) length);
		if (n + (size_t) length >= size)
			return false;
		memcpy(value + n, bytes, (size_t) length);
		n += (size_t) length;
		at += taken;
	}
	value[n] = '\0';
	return true;
}

static bool
text_is(const JsonSpan *span, const char *wanted)
{
	char		value[WARDEN_JWT_NAME_SIZE];

	return span->kind == JSON_TEXT &&
		copy_text(span, value, sizeof(value)) && strcmp(value, wanted) == 0;
}

/* The member of that name of an object that check_object has passed. */
static bool
find_member(const char *json, size_t length, const char *name, JsonSpan *value)
{
	Cursor		cursor = {json, json + length, 0};
	JsonSpan	member;

	if (!take(&cursor, '{'))
		return false;
	do
	{
		if (!scan_text(&cursor, &member) || !take(&cursor, ':') ||
			!scan_value(&cursor, value))
			return false;
		if (text_is(&member, name))
			return true;
	} while (take(&cursor, ','));
	return false;
}

/* No name twice: which of the two counts is what parsers disagree about. */
static bool
names_differ(char names[][WARDEN_JWT_NAME_SIZE], int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (strcmp(names[i], names[n]) == 0)
			return false;
	}
	return true;
}

/* The whole text is one object, well-formed, without duplicate members. */
static bool
check_object(const char *json, size_t length)
{
	Cursor		cursor = {json, json + length, 0};
	char		names[MAX_MEMBERS][WARDEN_JWT_NAME_SIZE];
	JsonSpan	name;
	JsonSpan	value;
	int			n = 0;

	if (!take(&cursor, '{'))
		return false;
	if (!take(&cursor, '}'))
	{
		do
		{
			if (n == MAX_MEMBERS || !scan_text(&cursor, &name) ||
				!take(&cursor, ':') || !scan_value(&cursor, &value) ||
				!copy_text(&name, names[n], sizeof(names[n])) ||
				!names_differ(names, n))
				return false;
			n++;
		} while (take(&cursor, ','));
		if (!take(&cursor, '}'))
			return false;
	}
	skip_space(&cursor);
	return cursor.at == cursor.end;
}

/* ----------------------------------------------------------------------
 * Tokens
 * ---------------------------------------------------------------------- */

static bool
parse_algorithm(const JsonSpan *value, WardenJwtAlgorithm *algorithm)
{
	if (text_is(value, "RS256"))
		*algorithm = WARDEN_JWT_RS256;
	else if (text_is(value, "ES256"))
		*algorithm = WARDEN_JWT_ES256;
	else if (text_is(value, "EdDSA"))
		*algorithm = WARDEN_JWT_EDDSA;
	else
		return false;
	return true;
}

static bool
parse_header(const char *json, size_t length, WardenJwt *jwt)
{
	JsonSpan	value;

	if (!check_object(json, length))
		return false;
	if (!find_member(json, length, "alg", &value) ||
		!parse_algorithm(&value, &jwt->algorithm))
		return false;
	if (find_member(json, length, "typ", &value) &&
		!text_is(&value, "JWT") && !text_is(&value, "jwt") &&
		!text_is(&value, "at+jwt") && !text_is(&value, "application/at+jwt"))
		return false;
	if (find_member(json, length, "crit", &value) ||
		find_member(json, length, "b64", &value))
		return false;
	/* An empty name would pass for none, which any key of the issuer fits. */
	if (find_member(json, length, "kid", &value))
		return value.kind == JSON_TEXT &&
			copy_text(&value, jwt->kid, sizeof(jwt->kid)) &&
			jwt->kid[0] != '\0';
	return true;
}

bool
warden_jwt_parse(const char *token, size_t length, WardenJwt *jwt)
{
	char		header[WARDEN_JWT_MAX_LENGTH];
	const char *dot1;
	const char *dot2;
	const char *end = token + length;
	size_t		n;

	memset(jwt, 0, offsetof(WardenJwt, claims));
	jwt->claims_length = 0;
	if (length > WARDEN_JWT_MAX_LENGTH)
		return false;
	dot1 = memchr(token, '.', length);
	if (dot1 == NULL)
		return false;
	dot2 = memchr(dot1 + 1, '.', (size_t) (end - dot1 - 1));
	if (dot2 == NULL)
		return false;
	jwt->signed_text = token;
	jwt->signed_length = (size_t) (dot2 - token);
	return warden_jwt_decode(token, (size_t) (dot1 - token),
							 (uint8 *) header, sizeof(header), &n) &&
		parse_header(header, n, jwt) &&
		warden_jwt_decode(dot1 + 1, (size_t) (dot2 - dot1 - 1),
						  (uint8 *) jwt->claims, sizeof(jwt->claims),
						  &jwt->claims_length) &&
		check_object(jwt->claims, jwt->claims_length) &&
		warden_jwt_decode(dot2 + 1, (size_t) (end - dot2 - 1),
						  jwt->signature, sizeof(jwt->signature),
						  &jwt->signature_length) &&
		jwt->signature_length > 0;
}

bool
warden_jwt_has(const WardenJwt *jwt, const char *name)
{
	JsonSpan	value;

	return find_member(jwt->claims, jwt->claims_length, name, &value);
}

bool
warden_jwt_text(const WardenJwt *jwt, const char *name, char *value,
				size_t size)
{
	JsonSpan	span;

	return find_member(jwt->claims, jwt->claims_length, name, &span) &&
		span.kind == JSON_TEXT && copy_text(&span, value, size);
}

/* Whole seconds; a fraction is cut, an exponent is not understood. */
bool
warden_jwt_seconds(const WardenJwt *jwt, const char *name, int64 *value)
{
	JsonSpan	span;
	const char *at;

	*value = 0;
	if (!find_member(jwt->claims, jwt->claims_length, name, &span) ||
		span.kind != JSON_NUMBER)
		return false;
	for (at = span.start; at < span.end && *at >= '0' && *at <= '9'; at++)
	{
		if (at - span.start > 11)
			return false;
		*value = *value * 10 + (*at - '0');
	}
	if (at < span.end && *at == '.')
		for (at++; at < span.end && *at >= '0' && *at <= '9'; at++)
			;
	return at == span.end;
}

bool
warden_jwt_lists(const WardenJwt *jwt, const char *name, const char *value)
{
	JsonSpan	span;
	JsonSpan	element;
	Cursor		cursor;

	if (!find_member(jwt->claims, jwt->claims_length, name, &span))
		return false;
	if (span.kind != JSON_ARRAY)
		return text_is(&span, value);
	cursor.at = span.start;
	cursor.end = span.end;
	cursor.depth = 0;
	if (!take(&cursor, '['))
		return false;
	do
	{
		if (!scan_value(&cursor, &element))
			return false;		/* an empty array */
		if (text_is(&element, value))
			return true;
	} while (take(&cursor, ','));
	return false;
}

bool
warden_jwt_word(const WardenJwt *jwt, const char *name, const char *word)
{
	char		words[WARDEN_JWT_MAX_LENGTH];
	char	   *at;
	char	   *rest = words;

	if (warden_jwt_lists(jwt, name, word))
		return true;
	if (!warden_jwt_text(jwt, name, words, sizeof(words)))
		return false;
	while ((at = strsep(&rest, " ")) != NULL)
	{
		if (strcmp(at, word) == 0)
			return true;
	}
	return false;
}

/* ----------------------------------------------------------------------
 * Keys and signatures
 * ---------------------------------------------------------------------- */

static bool
starts_with(const uint8 *spki, size_t length, const uint8 *prefix,
			size_t prefix_length, size_t key_length)
{
	return length == prefix_length + key_length &&
		memcmp(spki, prefix, prefix_length) == 0;
}

/* The key and what it is for; NULL where it is none of ours. */
static EVP_PKEY *
read_key(const uint8 *spki, size_t length, WardenJwtAlgorithm *algorithm)
{
	const unsigned char *at = spki;
	EVP_PKEY   *key;

	*algorithm = WARDEN_JWT_NONE;
	if (length == 0 || length > WARDEN_JWT_MAX_SPKI)
		return NULL;
	key = d2i_PUBKEY(NULL, &at, (long) length);
	if (key != NULL && at == spki + length)
	{
		if (starts_with(spki, length, p256_prefix, sizeof(p256_prefix), 64))
			*algorithm = WARDEN_JWT_ES256;
		else if (starts_with(spki, length, ed25519_prefix,
							 sizeof(ed25519_prefix), 32))
			*algorithm = WARDEN_JWT_EDDSA;
		else if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA &&
				 EVP_PKEY_bits(key) >= MIN_RSA_BITS &&
				 EVP_PKEY_bits(key) <= MAX_RSA_BITS)
			*algorithm = WARDEN_JWT_RS256;
	}
	if (*algorithm == WARDEN_JWT_NONE)
	{
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

WardenJwtAlgorithm
warden_jwt_key_algorithm(const uint8 *spki, size_t length)
{
	WardenJwtAlgorithm algorithm;

	EVP_PKEY_free(read_key(spki, length, &algorithm));
	return algorithm;
}

/* R and S side by side, as JWS has them, into the DER that OpenSSL takes. */
static int
ecdsa_der(const uint8 *raw, size_t length, uint8 *der)
{
	ECDSA_SIG  *signature;
	BIGNUM	   *r;
	BIGNUM	   *s;
	int			written = 0;

	if (length != 64)
		return 0;
	signature = ECDSA_SIG_new();
	r = BN_bin2bn(raw, 32, NULL);
	s = BN_bin2bn(raw + 32, 32, NULL);
	if (signature != NULL && r != NULL && s != NULL &&
		ECDSA_SIG_set0(signature, r, s) == 1)
	{
		r = s = NULL;			/* the signature's now */
		written = i2d_ECDSA_SIG(signature, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(signature);
	return written;
}

bool
warden_jwt_verify(const WardenJwt *jwt, const uint8 *spki, size_t length)
{
	WardenJwtAlgorithm algorithm;
	EVP_PKEY   *key = read_key(spki, length, &algorithm);
	EVP_MD_CTX *context = NULL;
	uint8		der[80];
	const uint8 *signature = jwt->signature;
	size_t		signature_length = jwt->signature_length;
	bool		valid = false;

	if (key == NULL || algorithm != jwt->algorithm)
		goto done;
	if (algorithm == WARDEN_JWT_ES256)
	{
		int			n = ecdsa_der(jwt->signature, jwt->signature_length, der);

		if (n <= 0)
			goto done;
		signature = der;
		signature_length = (size_t) n;
	}
	context = EVP_MD_CTX_new();
	valid = context != NULL &&
		EVP_DigestVerifyInit(context, NULL,
							 algorithm == WARDEN_JWT_EDDSA ? NULL :
							 EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestVerify(context, signature, signature_length,
						 (const uint8 *) jwt->signed_text,
						 jwt->signed_length) == 1;
done:
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return valid;
}

/* Writes a DER header: tag and length. */
static size_t
der_header(uint8 tag, size_t length, uint8 *der)
{
	der[0] = tag;
	if (length < 0x80)
	{
		der[1] = (uint8) length;
		return 2;
	}
	if (length < 0x100)
	{
		der[1] = 0x81;
		der[2] = (uint8) length;
		return 3;
	}
	der[1] = 0x82;
	der[2] = (uint8) (length >> 8);
	der[3] = (uint8) length;
	return 4;
}

/* A positive INTEGER. */
static size_t
der_integer(const uint8 *bytes, size_t length, uint8 *der)
{
	size_t		n;
	bool		pad;

	while (length > 1 && bytes[0] == 0)
	{
		bytes++;
		length--;
	}
	pad = bytes[0] >= 0x80;
	n = der_header(0x02, length + (pad ? 1 : 0), der);
	if (pad)
		der[n++] = 0;
	memcpy(der + n, bytes, length);
	return n + length;
}

size_t
warden_jwt_rsa_key(const uint8 *n, size_t n_length, const uint8 *e,
				   size_t e_length, uint8 *spki, size_t size)
{
	uint8		numbers[MAX_RSA_BITS / 8 + 32];
	uint8		sequence[sizeof(numbers) + 8];
	size_t		length;
	size_t		inner;
	size_t		at;

	if (n_length == 0 || n_length > MAX_RSA_BITS / 8 || e_length == 0 ||
		e_length > 8 || size < WARDEN_JWT_MAX_SPKI)
		return 0;
	length = der_integer(n, n_length, numbers);
	length += der_integer(e, e_length, numbers + length);
	inner = der_header(0x30, length, sequence);
	memcpy(sequence + inner, numbers, length);
	inner += length;

	/* SEQUENCE { algorithm, BIT STRING { 0, sequence } } */
	{
		uint8		bits[4];
		size_t		bits_length = der_header(0x03, inner + 1, bits);

		at = der_header(0x30, sizeof(rsa_algorithm) + bits_length + 1 + inner,
						spki);
		memcpy(spki + at, rsa_algorithm, sizeof(rsa_algorithm));
		at += sizeof(rsa_algorithm);
		memcpy(spki + at, bits, bits_length);
		at += bits_length;
	}
	spki[at++] = 0;
	memcpy(spki + at, sequence, inner);
	at += inner;
	return warden_jwt_key_algorithm(spki, at) == WARDEN_JWT_RS256 ? at : 0;
}

size_t
warden_jwt_p256_key(const uint8 *x, const uint8 *y, uint8 *spki, size_t size)
{
	size_t		length = sizeof(p256_prefix) + 64;

	if (size < length)
		return 0;
	memcpy(spki, p256_prefix, sizeof(p256_prefix));
	memcpy(spki + sizeof(p256_prefix), x, 32);
	memcpy(spki + sizeof(p256_prefix) + 32, y, 32);
	return warden_jwt_key_algorithm(spki, length) == WARDEN_JWT_ES256 ?
		length : 0;
}

size_t
warden_jwt_ed25519_key(const uint8 *x, uint8 *spki, size_t size)
{
	size_t		length = sizeof(ed25519_prefix) + 32;

	if (size < length)
		return 0;
	memcpy(spki, ed25519_prefix, sizeof(ed25519_prefix));
	memcpy(spki + sizeof(ed25519_prefix), x, 32);
	return warden_jwt_key_algorithm(spki, length) == WARDEN_JWT_EDDSA ?
		length : 0;
}
