/* unit_session.c: sessions belong to a credential, expire, and make room */
#include "unit.h"

#include "session.h"

static const char version[] = "2025-11-25";

static AuthDigest
owner_of(const char *token)
{
	return auth_digest(token, strlen(token));
}

static void
test_owner(void)
{
	SessionTable *table = session_table_create(10, 100);
	AuthDigest	alice = owner_of("alice");
	AuthDigest	bob = owner_of("bob");
	char		id[SESSION_ID_SIZE];

	CHECK(session_open(table, &alice, version, 1000, id));
	CHECK(strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32);
	CHECK(session_find(table, id, &alice, 1001) == version);
	CHECK(session_find(table, id, &bob, 1001) == NULL);
	CHECK(session_find(table, "nonsense", &alice, 1001) == NULL);
	CHECK(!session_close(table, id, &bob));
	CHECK(session_close(table, id, &alice));
	CHECK(session_find(table, id, &alice, 1001) == NULL);
	session_table_free(table);
}

static void
test_expiry(void)
{
	SessionTable *table = session_table_create(2, 100);
	AuthDigest	alice = owner_of("alice");
	char		first[SESSION_ID_SIZE];
	char		second[SESSION_ID_SIZE];
	char		third[SESSION_ID_SIZE];

	CHECK(session_open(table, &alice, version, 1000, first));
	CHECK(session_open(table, &alice, version, 1000, second));
	CHECK(strcmp(first, second) != 0);
	CHECK(session_find(table, first, &alice, 1090) != NULL);
	CHECK(session_find(table, second, &alice, 1101) == NULL);
	CHECK(session_find(table, first, &alice, 1101) != NULL);

	/* the one that expired takes no place */
	CHECK(session_open(table, &alice, version, 1101, second));
	CHECK(!session_open(table, &alice, version, 1101, third));
	session_table_free(table);
}

static void
test_limit(void)
{
	SessionTable *table = session_table_create(2, 10000);
	AuthDigest	alice = owner_of("alice");
	AuthDigest	bob = owner_of("bob");
	char		ids[3][SESSION_ID_SIZE];

	for (int i = 0; i < 2; i++)
	{
		CHECK(session_open(table, &alice, version, 1000 + i, ids[i]));
		CHECK(session_find(table, ids[0], &alice, 1000 + i) != NULL);
	}
	CHECK(!session_open(table, &bob, version, 1002, ids[2]));
	CHECK(session_find(table, ids[0], &alice, 1500) != NULL);
	CHECK(!session_open(table, &bob, version, 1600, ids[2]));
	CHECK(session_open(table, &bob, version, 1601, ids[2]));
	CHECK(session_find(table, ids[1], &alice, 1602) == NULL);
	CHECK(session_find(table, ids[0], &alice, 1602) != NULL);
	CHECK(session_find(table, ids[2], &bob, 1602) != NULL);
	session_table_free(table);
}

int
main(void)
{
	CHECK(auth_init());
	test_owner();
	test_expiry();
	test_limit();
	UNIT_EXIT();
}
