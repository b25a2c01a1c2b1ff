/*
 * auth.c
 *		Randomness, keyed digests and the Authorization header.
 *
 * The digest is SipHash-2-4 with 128 bits of output under a random key, a
 * pseudo-random function: enough to tell two credentials apart and to bind a
 * session to one, and of no use outside this process.
 */
#include "auth.h"

#include "buf.h"
#include "json_util.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* drawn once by auth_init before any thread starts */
static uint64_t key[2];

static bool
fill_random(void *out, size_t size)
{
	return size <= 256 && getrandom(out, size, 0) == (ssize_t) size;
}

bool
auth_init(void)
{
	return fill_random(key, sizeof(key));
}

/*
 * A few keys' worth at a time, since every call needs one.  What was handed out
 * is wiped from the reserve.
 */
static bool
draw(unsigned char *out, size_t size)
{
	static _Thread_local unsigned char reserve[256];
	static _Thread_local size_t left;

	if (size > left)
	{
		if (!fill_random(reserve, sizeof(reserve)))
			return false;
		left = sizeof(reserve);
	}
	left -= size;
	memcpy(out, reserve + left, size);
	explicit_bzero(reserve + left, size);
	return true;
}

bool
auth_random_hex(char *out, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char raw[64];

	if (size > sizeof(raw) || !draw(raw, size))
		return false;
	for (size_t i = 0; i < size; i++)
	{
		out[2 * i] = hex[raw[i] >> 4];
		out[2 * i + 1] = hex[raw[i] & 15];
	}
	out[2 * size] = '\0';
	explicit_bzero(raw, sizeof(raw));
	return true;
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static void
mix(uint64_t v[4], int rounds)
{
	while (rounds-- > 0)
	{
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t
load_word(const unsigned char *p, size_t n)
{
	uint64_t	w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t) p[i] << (8 * i);
	return w;
}

static void
absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
}

AuthDigest
auth_digest(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t	v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		key[0] ^ UINT64_C(0x6c7967656e657261),
	key[1] ^ UINT64_C(0x7465646279746573)};
	AuthDigest	digest;
	uint64_t	half;
	size_t		i = 0;

	for (; i + 8 <= len; i += 8)
	{
		uint64_t	word;

		memcpy(&word, p + i, 8);
		absorb(v, word);
	}
	absorb(v, load_word(p + i, len - i) | (uint64_t) len << 56);
	v[2] ^= 0xee;
	mix(v, 4);
	half = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(digest.bytes, &half, 8);
	v[1] ^= 0xdd;
	mix(v, 4);
	half = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(digest.bytes + 8, &half, 8);
	return digest;
}

/* Takes the same time wherever the two differ. */
bool
auth_equal(const AuthDigest *a, const AuthDigest *b)
{
	unsigned char diff = 0;

	for (size_t i = 0; i < AUTH_DIGEST_SIZE; i++)
		diff |= a->bytes[i] ^ b->bytes[i];
	return diff == 0;
}

/* ------------------------------------------------------------------------
 * Owners
 * ------------------------------------------------------------------------
 */

/* The claims of a JWT, unverified; NULL if it is none, or without memory. */
static json_t *
read_claims(const char *credential, bool *memory)
{
	const char *first = strchr(credential, '.');
	const char *last = first != NULL ? strchr(first + 1, '.') : NULL;
	json_t	   *claims = NULL;
	JsonFault	fault = JSON_FAULT_NONE;
	Buf			text;

	if (last == NULL)
		return NULL;
	buf_init(&text);
	if (buf_base64(&text, first + 1, (size_t) (last - first - 1), true))
		claims = json_util_load(buf_cstr(&text), text.len, &fault);
	*memory = buf_ok(&text) && fault != JSON_FAULT_MEMORY;
	buf_wipe(&text);
	return claims;
}

bool
auth_owner(const char *credential, AuthDigest *owner)
{
	bool		memory = true;
	json_t	   *claims = credential != NULL ?
		read_claims(credential, &memory) : NULL;
	const char *issuer = json_util_string(claims, "iss");
	const char *subject = json_util_string(claims, "sub");
	Buf			text;

	buf_init(&text);
	if (issuer != NULL && subject != NULL)
		buf_printf(&text, "jwt %s\n%s", issuer, subject);
	else if (credential != NULL)
		buf_puts(&text, credential);
	memory = memory && buf_ok(&text);
	if (memory)
		*owner = auth_digest(buf_cstr(&text), text.len);
	buf_wipe(&text);
	json_decref(claims);
	return memory;
}

/* ------------------------------------------------------------------------
 * Limits of failed attempts and of uses at once
 * ------------------------------------------------------------------------
 */

#define SLOTS 1024
#define WINDOW_SECONDS 60

typedef struct Failures
{
	AuthDigest	peer;
	long		count;
	time_t		since;
} Failures;

/* A newcomer takes the slot that its digest falls on; both under the lock. */
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static Failures failures[SLOTS];
static AuthDigest accepted_lately[SLOTS];

static size_t
slot_of(const AuthDigest *digest)
{
	return (digest->bytes[0] | (size_t) digest->bytes[1] << 8) % SLOTS;
}

/* Uses that are under way, in chains by what holds their place. */
static LIST_HEAD(, AuthUse) uses[SLOTS];

/* A clock that was set back ends it, too. */
static bool
window_is_over(const Failures *f, time_t now)
{
	return now < f->since || now - f->since >= WINDOW_SECONDS;
}

/* Under the lock. */
static bool
may_fail_again(const AuthDigest *peer, long per_minute, time_t now)
{
	const Failures *f = &failures[slot_of(peer)];

	return per_minute == 0 || !auth_equal(&f->peer, peer) ||
		f->count < per_minute || window_is_over(f, now);
}

/* Under the lock. */
static bool
take_place(AuthUse *use, long at_once)
{
	size_t		slot = slot_of(&use->counted);
	const AuthUse *other;
	long		count = 0;

	LIST_FOREACH(other, &uses[slot], link)
		count += auth_equal(&other->counted, &use->counted);
	if (at_once != 0 && count >= at_once)
		return false;
	use->holds = true;
	LIST_INSERT_HEAD(&uses[slot], use, link);
	return true;
}

AuthAdmission
auth_admit(AuthUse *use, long failures_per_minute, long at_once, time_t now)
{
	AuthAdmission result = AUTH_ADMITTED;
	bool		known;

	pthread_mutex_lock(&limit_lock);
	known = auth_equal(&accepted_lately[slot_of(&use->credential)],
					   &use->credential);
	use->counted = known ? use->credential : use->peer;
	use->counted.bytes[0] ^= use->kind;
	if (!known && !may_fail_again(&use->peer, failures_per_minute, now))
		result = AUTH_REFUSED_TOO_OFTEN;
	else if (!take_place(use, at_once))
		result = AUTH_BUSY;
	pthread_mutex_unlock(&limit_lock);
	return result;
}

void
auth_leave(AuthUse *use)
{
	if (!use->holds)
		return;
	pthread_mutex_lock(&limit_lock);
	LIST_REMOVE(use, link);
	use->holds = false;
	pthread_mutex_unlock(&limit_lock);
}

void
auth_note(const AuthUse *use, bool accepted, time_t now)
{
	Failures   *f = &failures[slot_of(&use->peer)];
	AuthDigest *known = &accepted_lately[slot_of(&use->credential)];

	pthread_mutex_lock(&limit_lock);
	if (accepted)
		*known = use->credential;
	else
	{
		if (auth_equal(known, &use->credential))
			memset(known, 0, sizeof(*known));
		if (!auth_equal(&f->peer, &use->peer) || window_is_over(f, now))
			*f = (Failures) {use->peer, 0, now};
		f->count++;
	}
	pthread_mutex_unlock(&limit_lock);
}

const char *
auth_bearer(const char *header)
{
	size_t		len;

	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return NULL;
	header += 7;
	header += strspn(header, " ");
	len = strlen(header);
	if (len == 0 || len > AUTH_MAX_TOKEN)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (header[i] <= 0x20 || header[i] > 0x7e)
			return NULL;
	return header;
}
