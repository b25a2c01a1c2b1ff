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

int
main(void)
{
	CHECK(auth_init());
	test_digest();
	test_random();
	test_bearer();
	UNIT_EXIT();
}
