/*-------------------------------------------------------------------------
 * identity_jwt.c
 *	  JWTs as credentials: issued by whom an administrator trusts, signed by a
 *	  key that is on file for that issuer, meant for this database, in time,
 *	  and mapped to an agent.
 *
 * The signature is checked before any claim but "iss" is believed, and "iss"
 * only chooses among the issuers on file.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity_scan.h"
#include "identity_store.h"
#include "jwt.h"

/* Column numbers, as the install script has them. */
enum
{
	Anum_issuers_issuer = 1,
	Anum_issuers_audience,
	Anum_issuers_scope,
	Anum_issuers_leeway,
	Anum_issuers_enabled
};

enum
{
	Anum_keys_issuer = 1,
	Anum_keys_kid,
	Anum_keys_algorithm,
	Anum_keys_spki,
	Anum_keys_set_at,
	Anum_keys_set_by
};

enum
{
	Anum_subjects_issuer = 1,
	Anum_subjects_subject_claim,
	Anum_subjects_subject,
	Anum_subjects_agent,
	Anum_subjects_on_behalf_of,
	Anum_subjects_person_claim,
	Anum_subjects_issued_after
};

/* Keys of one issuer that a token without "kid" is tried with. */
#define MAX_KEYS_TRIED	8

typedef struct Issuer
{
	char		issuer[WARDEN_JWT_NAME_SIZE];
	char		audience[WARDEN_JWT_NAME_SIZE];
	char		scope[WARDEN_JWT_NAME_SIZE];	/* "" for none */
	int			leeway;			/* seconds that clocks may differ */
} Issuer;

/* One row that maps subjects to an agent, as far as it applies. */
typedef struct Mapping
{
	char		agent[NAMEDATALEN];
	char		on_behalf_of[WARDEN_PERSON_SIZE];
	char		person_claim[WARDEN_JWT_NAME_SIZE];
	TimestampTz issued_after;	/* DT_NOBEGIN: whenever */
} Mapping;

static ScanKeyData
text_key(AttrNumber attnum, const char *value)
{
	ScanKeyData key;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(value));
	return key;
}

static bool
find_issuer(const WardenJwt *jwt, Issuer *issuer)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	if (!warden_jwt_text(jwt, "iss", issuer->issuer, sizeof(issuer->issuer)) ||
		!pg_verifymbstr(issuer->issuer, (int) strlen(issuer->issuer), true))
		return false;
	key = text_key(Anum_issuers_issuer, issuer->issuer);
	if (!warden_scan_begin(&scan, "identity_issuers", "identity_issuers_pkey",
						   1, &key))
		return false;
	tuple = warden_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		warden_scan_text(&scan, tuple, Anum_issuers_audience, issuer->audience,
						 sizeof(issuer->audience));
		warden_scan_text(&scan, tuple, Anum_issuers_scope, issuer->scope,
						 sizeof(issuer->scope));
		issuer->leeway =
			DatumGetInt32(warden_scan_column(&scan, tuple,
											 Anum_issuers_leeway, &isnull));
		found = DatumGetBool(warden_scan_column(&scan, tuple,
												Anum_issuers_enabled,
												&isnull));
	}
	warden_scan_end(&scan);
	return found;
}

static bool
signed_by(WardenScan *scan, HeapTuple tuple, const WardenJwt *jwt)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, Anum_keys_spki,
										   &isnull);
	bytea	   *spki = DatumGetByteaPP(value);

	return warden_jwt_verify(jwt, (const uint8 *) VARDATA_ANY(spki),
							 VARSIZE_ANY_EXHDR(spki));
}

/* Whoever put a key on file can sign with it, for all that is known here. */
static Oid
set_by(WardenScan *scan, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, Anum_keys_set_by,
										   &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static bool
signature_holds(const WardenJwt *jwt, const Issuer *issuer,
				WardenToken *result)
{
	WardenScan	scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	int			tried = 0;
	bool		holds = false;

	if (!pg_verifymbstr(jwt->kid, (int) strlen(jwt->kid), true))
		return false;
	keys[0] = text_key(Anum_keys_issuer, issuer->issuer);
	keys[1] = text_key(Anum_keys_kid, jwt->kid);
	if (!warden_scan_begin(&scan, "identity_keys", "identity_keys_pkey",
						   jwt->kid[0] != '\0' ? 2 : 1, keys))
		return false;
	while (!holds && tried++ < MAX_KEYS_TRIED &&
		   HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		holds = signed_by(&scan, tuple, jwt);
		if (holds)
			result->issued_by = set_by(&scan, tuple);
	}
	warden_scan_end(&scan);
	return holds;
}

/* A claim that may be missing must be a time where it is there. */
static bool
optional_seconds(const WardenJwt *jwt, const char *name, int64 *value)
{
	*value = 0;
	return !warden_jwt_has(jwt, name) || warden_jwt_seconds(jwt, name, value);
}

/* exp must be there; nbf and iat must not lie in the future. */
static bool
in_time(const WardenJwt *jwt, const Issuer *issuer, WardenToken *result)
{
	int64		now = (int64) time(NULL);
	int64		expires;
	int64		not_before;
	int64		issued;

	if (!warden_jwt_seconds(jwt, "exp", &expires) ||
		!optional_seconds(jwt, "nbf", &not_before) ||
		!optional_seconds(jwt, "iat", &issued))
		return false;
	/* The caller looks at the result's expiry as it does at a token's. */
	result->expires_at = time_t_to_timestamptz((pg_time_t) expires +
											   issuer->leeway);
	return now < expires + issuer->leeway &&
		now >= not_before - issuer->leeway &&
		now >= issued - issuer->leeway;
}

static bool
has_scope(const WardenJwt *jwt, const char *word)
{
	return warden_jwt_word(jwt, "scope", word) ||
		warden_jwt_word(jwt, "scp", word);
}

/*
 * Tokens are used for many calls, so a list of those seen would tell nothing.
 * What takes a stolen one back is a time before which all of a subject's are
 * void; one that does not say when it was issued may be older.
 */
static bool
not_taken_back(const WardenJwt *jwt, const Mapping *mapping)
{
	int64		issued;

	return mapping->issued_after == DT_NOBEGIN ||
		(warden_jwt_seconds(jwt, "iat", &issued) &&
		 time_t_to_timestamptz((pg_time_t) issued) >= mapping->issued_after);
}

/* Every word of the issuer's scope is in the token's. */
static bool
in_scope(const WardenJwt *jwt, const Issuer *issuer)
{
	char		words[WARDEN_JWT_NAME_SIZE];
	char	   *rest = words;
	char	   *word;

	strlcpy(words, issuer->scope, sizeof(words));
	while ((word = strsep(&rest, " ")) != NULL)
	{
		if (word[0] != '\0' && !has_scope(jwt, word))
			return false;
	}
	return true;
}

/* A claim as a name that can be shown and stored. */
static bool
name_claim(const WardenJwt *jwt, const char *claim, char *value, size_t size)
{
	return warden_jwt_text(jwt, claim, value, size) && value[0] != '\0' &&
		pg_verifymbstr(value, (int) strlen(value), true);
}

/* 2: the row names this very subject, 1: its pattern matches, 0: neither. */
static int
matches(WardenScan *scan, HeapTuple tuple, const WardenJwt *jwt)
{
	char		claim[WARDEN_JWT_NAME_SIZE];
	char		subject[WARDEN_PERSON_SIZE];
	char		value[WARDEN_PERSON_SIZE];

	warden_scan_text(scan, tuple, Anum_subjects_subject_claim, claim,
					 sizeof(claim));
	warden_scan_text(scan, tuple, Anum_subjects_subject, subject,
					 sizeof(subject));
	if (!name_claim(jwt, claim, value, sizeof(value)))
		return 0;
	if (strcmp(subject, value) == 0)
		return 2;
	return warden_store_glob(subject, value) ? 1 : 0;
}

/*
 * The one mapping that applies: the exact one, else the only pattern that
 * matches.  Two that are equally good are none: nobody could say which agent
 * was meant.
 */
static bool
find_mapping(const WardenJwt *jwt, const Issuer *issuer, Mapping *mapping)
{
	WardenScan	scan;
	ScanKeyData key = text_key(Anum_subjects_issuer, issuer->issuer);
	HeapTuple	tuple;
	int			best = 0;
	int			equals = 0;

	if (!warden_scan_begin(&scan, "identity_subjects",
						   "identity_subjects_pkey", 1, &key))
		return false;
	while (HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		int			match = matches(&scan, tuple, jwt);
		bool		isnull;

		if (match == 0 || match < best)
			continue;
		equals = match > best ? 1 : equals + 1;
		best = match;
		warden_scan_text(&scan, tuple, Anum_subjects_agent, mapping->agent,
						 sizeof(mapping->agent));
		warden_scan_text(&scan, tuple, Anum_subjects_on_behalf_of,
						 mapping->on_behalf_of, sizeof(mapping->on_behalf_of));
		warden_scan_text(&scan, tuple, Anum_subjects_person_claim,
						 mapping->person_claim, sizeof(mapping->person_claim));
		mapping->issued_after =
			DatumGetTimestampTz(warden_scan_column(&scan, tuple,
												   Anum_subjects_issued_after,
												   &isnull));
		if (isnull)
			mapping->issued_after = DT_NOBEGIN;
	}
	warden_scan_end(&scan);
	return equals == 1;
}

/* What is wrong with it, NULL for nothing. */
static const char *
find_fault(const char *jwt, WardenJwt *parsed, Issuer *issuer,
		   Mapping *mapping, WardenToken *result)
{
	if (!warden_jwt_parse(jwt, strlen(jwt), parsed))
		return "It is no JWT of an algorithm that is accepted.";
	if (!find_issuer(parsed, issuer))
		return "The JWT's issuer is not on file, or disabled.";
	if (!signature_holds(parsed, issuer, result))
		return "The JWT is not signed by a key on file of its issuer.";
	if (!warden_jwt_lists(parsed, "aud", issuer->audience))
		return "The JWT is for another audience.";
	if (!in_time(parsed, issuer, result))
		return "The JWT has expired, or is not valid yet.";
	if (!find_mapping(parsed, issuer, mapping))
		return "Not exactly one row of warden.identity_subjects fits the JWT.";
	if (!not_taken_back(parsed, mapping))
		return "The JWT was taken back by issued_after of its subject.";
	if (mapping->person_claim[0] != '\0' &&
		!name_claim(parsed, mapping->person_claim, mapping->on_behalf_of,
					sizeof(mapping->on_behalf_of)))
		return "The JWT lacks the claim that names the person.";
	return NULL;
}

bool
warden_store_jwt(const char *jwt, WardenToken *result)
{
	WardenJwt  *parsed = palloc(sizeof(WardenJwt));
	Issuer		issuer;
	Mapping		mapping;

	result->fault = find_fault(jwt, parsed, &issuer, &mapping, result);
	if (result->fault != NULL)
		return false;
	strlcpy(result->agent, mapping.agent, sizeof(result->agent));
	strlcpy(result->on_behalf_of, mapping.on_behalf_of,
			sizeof(result->on_behalf_of));
	if (!in_scope(parsed, &issuer))
		result->missing_scope = pstrdup(issuer.scope);
	result->reads_only = has_scope(parsed, "query") &&
		!has_scope(parsed, "propose");
	return true;
}
