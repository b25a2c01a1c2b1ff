/* unit_auth.c: digests and the Authorization header */
#include "unit.h"

#include "auth.h"

#include <stdlib.h>

static void
test_digest(void)
{
	AuthDigest	a = auth_digest("token", 5);
	AuthDigest	b = auth_digest("token", 5);
	AuthDigest	c = auth_digest("tokeN", 5);
	AuthDigest	d = auth_digest("token\0", 6);
	AuthDigest	e = auth_digest("", 0);

	CHECK(auth_equal(&a, &b));
	CHECK(!auth_equal(&a, &c));
	CHECK(!auth_equal(&a, &d));
	CHECK(!auth_equal(&a, &e));
}

static void
test_random(void)
{
	char		a[65];
	char		b[65];

	CHECK(auth_random_hex(a, 32) && auth_random_hex(b, 32));
	CHECK(strlen(a) == 64 && strspn(a, "0123456789abcdef") == 64);
	CHECK(strcmp(a, b) != 0);
	CHECK(!auth_random_hex(a, 65));
}

static void
test_bearer(void)
{
	size_t		n = AUTH_MAX_TOKEN + 1;
	char	   *longest = malloc(n + 8);

	CHECK_TEXT(auth_bearer("Bearer abc"), "abc");
	CHECK_TEXT(auth_bearer("bearer   a.b-c_d~+/="), "a.b-c_d~+/=");
	CHECK(auth_bearer("Basic abc") == NULL);
	CHECK(auth_bearer("Bearer") == NULL);
	CHECK(auth_bearer("Bearer ") == NULL);
	CHECK(auth_bearer("Bearer a b") == NULL);
	CHECK(auth_bearer("Bearer a\tb") == NULL);
	CHECK(auth_bearer("Bearer \xc3\xa9") == NULL);
	CHECK(auth_bearer("") == NULL);
	CHECK(auth_bearer(NULL) == NULL);
	strcpy(longest, "Bearer ");
	memset(longest + 7, 'x', n);
	longest[7 + n] = '\0';
	CHECK(auth_bearer(longest) == NULL);
	longest[6 + n] = '\0';
	CHECK(auth_bearer(longest) != NULL);
	free(longest);
}

/* header.{"iss":...,"sub":...}.signature, in base64url by hand */
#define CLAIMS_BOB "eyJpc3MiOiJpIiwic3ViIjoiYm9iIiwiZXhwIjoxfQ"
#define CLAIMS_BOB_LATER "eyJpc3MiOiJpIiwic3ViIjoiYm9iIiwiZXhwIjoyfQ"
#define CLAIMS_EVE "eyJpc3MiOiJpIiwic3ViIjoiZXZlIiwiZXhwIjoxfQ"

static bool
same_owner(const char *a, const char *b)
{
	AuthDigest	x;
	AuthDigest	y;

	return auth_owner(a, &x) && auth_owner(b, &y) && auth_equal(&x, &y);
}

static void
test_owner(void)
{
	CHECK(same_owner("h." CLAIMS_BOB ".s", "g." CLAIMS_BOB_LATER ".t"));
	CHECK(!same_owner("h." CLAIMS_BOB ".s", "h." CLAIMS_EVE ".s"));
	CHECK(!same_owner("h." CLAIMS_BOB, "h." CLAIMS_BOB_LATER));
	CHECK(!same_owner("h." CLAIMS_BOB "!.s", "h." CLAIMS_BOB_LATER "!.s"));
	CHECK(!same_owner("h.e30.s", "h.e30.t"));
	CHECK(!same_owner("h..s", "h..t"));
	CHECK(!same_owner("..", "..."));
	CHECK(same_owner("opaque", "opaque"));
	CHECK(!same_owner("opaque", "opaquE"));
	CHECK(same_owner(NULL, NULL));
	CHECK(!same_owner(NULL, "opaque"));
}

static AuthUse
use_of(const char *peer, const char *credential)
{
	AuthUse		use = {0};

	use.peer = auth_digest(peer, strlen(peer));
	use.credential = auth_digest(credential, strlen(credential));
	return use;
}

static void
test_failures(void)
{
	AuthUse		guess = use_of("198.51.100.1", "guess");
	AuthUse		good = use_of("198.51.100.1", "good");
	AuthUse		far = use_of("198.51.100.2", "guess");

	for (int i = 0; i < 3; i++)
	{
		CHECK(auth_admit(&guess, 3, 0, 1000) == AUTH_ADMITTED);
		auth_leave(&guess);
		auth_note(&guess, false, 1000);
	}
	CHECK(auth_admit(&guess, 3, 0, 1001) == AUTH_REFUSED_TOO_OFTEN);
	CHECK(auth_admit(&good, 3, 0, 1001) == AUTH_REFUSED_TOO_OFTEN);
	CHECK(auth_admit(&far, 3, 0, 1001) == AUTH_ADMITTED);
	auth_leave(&far);
	auth_note(&good, true, 1001);
	CHECK(auth_admit(&good, 3, 0, 1001) == AUTH_ADMITTED);
	auth_leave(&good);
	auth_note(&good, false, 1002);
	CHECK(auth_admit(&good, 3, 0, 1002) == AUTH_REFUSED_TOO_OFTEN);
	CHECK(auth_admit(&good, 3, 0, 1060) == AUTH_ADMITTED);
	auth_leave(&good);
	CHECK(auth_admit(&good, 3, 0, 900) == AUTH_ADMITTED);	/* set back */
	auth_leave(&good);
}

/* Known credentials count by themselves, unknown ones by their peer. */
static void
test_at_once(void)
{
	AuthUse		uses[5];
	AuthUse		stream;

	for (int i = 0; i < 3; i++)
		uses[i] = use_of("203.0.113.1", "known");
	uses[3] = use_of("203.0.113.1", "new");
	uses[4] = use_of("203.0.113.1", "newer");
	auth_note(&uses[0], true, 1000);
	CHECK(auth_admit(&uses[0], 10, 2, 1000) == AUTH_ADMITTED);
	CHECK(auth_admit(&uses[1], 10, 2, 1000) == AUTH_ADMITTED);
	CHECK(auth_admit(&uses[2], 10, 2, 1000) == AUTH_BUSY);
	stream = use_of("203.0.113.1", "known");
	stream.kind = 1;
	CHECK(auth_admit(&stream, 10, 2, 1000) == AUTH_ADMITTED);
	CHECK(auth_admit(&uses[3], 10, 1, 1000) == AUTH_ADMITTED);
	CHECK(auth_admit(&uses[4], 10, 1, 1000) == AUTH_BUSY);
	auth_leave(&uses[0]);
	auth_leave(&uses[2]);
	CHECK(auth_admit(&uses[2], 10, 2, 1000) == AUTH_ADMITTED);
	auth_leave(&uses[1]);
	auth_leave(&uses[2]);
	auth_leave(&uses[3]);
	auth_leave(&stream);
	CHECK(auth_admit(&uses[4], 10, 1, 1000) == AUTH_ADMITTED);
	auth_leave(&uses[4]);
	auth_leave(&uses[4]);
}

int
main(void)
{
	CHECK(auth_init());
	test_digest();
	test_random();
	test_bearer();
	test_owner();
	test_failures();
	test_at_once();
	UNIT_EXIT();
}
