/*-------------------------------------------------------------------------
 * pending_hash.c
 *	  SHA-256 over the fields of a change.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "utils/builtins.h"

#include "compat.h"
#include "pending_hash.h"

StringInfo
warden_hash_begin(void)
{
	return makeStringInfo();
}

void
warden_hash_text(StringInfo input, const char *text)
{
	int64		length = text != NULL ? (int64) strlen(text) : -1;

	appendBinaryStringInfo(input, (const char *) &length, sizeof(length));
	if (text != NULL)
		appendBinaryStringInfo(input, text, (int) length);
}

void
warden_hash_number(StringInfo input, int64 number)
{
	char		text[MAXINT8LEN + 1];

	pg_lltoa(number, text);
	warden_hash_text(input, text);
}

char *
warden_hash_end(StringInfo input, int bytes)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		result[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(bytes * 2 + 1);

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) input->data,
							 input->len) < 0 ||
		pg_cryptohash_final(hash, result, sizeof(result)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
	pfree(input->data);
	pfree(input);
	hex[hex_encode((const char *) result, bytes, hex)] = '\0';
	return hex;
}
