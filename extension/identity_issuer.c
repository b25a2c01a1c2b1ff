/*-------------------------------------------------------------------------
 * identity_issuer.c
 *	  The SQL functions that keep issuers of JWTs, their public keys, and what
 *	  their subjects are mapped to.
 *
 * A member of warden_key_refresher may replace the keys of an issuer that an
 * administrator has put on file, and nothing else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "audit_event.h"
#include "identity_admin.h"
#include "identity_store.h"
#include "jwt.h"
#include "warden.h"

#define MAX_KEYS	64			/* of one issuer */

/* One public key out of a JWK. */
typedef struct PublicKey
{
	char		kid[WARDEN_JWT_NAME_SIZE];
	WardenJwtAlgorithm algorithm;
	uint8		spki[WARDEN_JWT_MAX_SPKI];
	size_t		length;
} PublicKey;

static const char *
algorithm_name(WardenJwtAlgorithm algorithm)
{
	switch (algorithm)
	{
		case WARDEN_JWT_RS256:
			return "RS256";
		case WARDEN_JWT_ES256:
			return "ES256";
		case WARDEN_JWT_EDDSA:
			return "EdDSA";
		case WARDEN_JWT_NONE:
			break;
	}
	return "none";
}

/* ----------------------------------------------------------------------
 * JWKs
 * ---------------------------------------------------------------------- */

/* A member that is a text; "" where it is not there. */
static bool
jwk_text(JsonbContainer *jwk, const char *name, char *value, size_t size)
{
	JsonbValue	found;

	value[0] = '\0';
	if (getKeyJsonValueFromContainer(jwk, name, (int) strlen(name),
									 &found) == NULL)
		return true;
	if (found.type != jbvString || (size_t) found.val.string.len >= size)
		return false;
	memcpy(value, found.val.string.val, (size_t) found.val.string.len);
	value[found.val.string.len] = '\0';
	return true;
}

/* A member in base64url. */
static bool
jwk_bytes(JsonbContainer *jwk, const char *name, uint8 *bytes, size_t size,
		  size_t *length)
{
	char		text[WARDEN_JWT_MAX_SPKI];

	return jwk_text(jwk, name, text, sizeof(text)) && text[0] != '\0' &&
		warden_jwt_decode(text, strlen(text), bytes, size, length);
}

static size_t
rsa_key(JsonbContainer *jwk, uint8 *spki)
{
	uint8		n[1024];
	uint8		e[8];
	size_t		n_length;
	size_t		e_length;

	if (!jwk_bytes(jwk, "n", n, sizeof(n), &n_length) ||
		!jwk_bytes(jwk, "e", e, sizeof(e), &e_length))
		return 0;
	return warden_jwt_rsa_key(n, n_length, e, e_length, spki,
							  WARDEN_JWT_MAX_SPKI);
}

static size_t
curve_key(JsonbContainer *jwk, const char *kty, uint8 *spki)
{
	char		curve[16];
	uint8		x[32];
	uint8		y[32];
	size_t		x_length;
	size_t		y_length;

	if (!jwk_text(jwk, "crv", curve, sizeof(curve)) ||
		!jwk_bytes(jwk, "x", x, sizeof(x), &x_length) || x_length != 32)
		return 0;
	if (strcmp(kty, "OKP") == 0)
		return strcmp(curve, "Ed25519") != 0 ? 0 :
			warden_jwt_ed25519_key(x, spki, WARDEN_JWT_MAX_SPKI);
	if (strcmp(curve, "P-256") != 0 ||
		!jwk_bytes(jwk, "y", y, sizeof(y), &y_length) || y_length != 32)
		return 0;
	return warden_jwt_p256_key(x, y, spki, WARDEN_JWT_MAX_SPKI);
}

/* false for keys that are not for signing, or not of a kind we take. */
static bool
read_jwk(JsonbContainer *jwk, PublicKey *key)
{
	char		kty[16];
	char		use[16];
	char		alg[16];

	if (!jwk_text(jwk, "kty", kty, sizeof(kty)) ||
		!jwk_text(jwk, "use", use, sizeof(use)) ||
		!jwk_text(jwk, "alg", alg, sizeof(alg)) ||
		!jwk_text(jwk, "kid", key->kid, sizeof(key->kid)))
		return false;
	if (use[0] != '\0' && strcmp(use, "sig") != 0)
		return false;
	if (strcmp(kty, "RSA") == 0)
		key->length = rsa_key(jwk, key->spki);
	else if (strcmp(kty, "EC") == 0 || strcmp(kty, "OKP") == 0)
		key->length = curve_key(jwk, kty, key->spki);
	else
		key->length = 0;
	if (key->length == 0)
		return false;
	key->algorithm = warden_jwt_key_algorithm(key->spki, key->length);
	return alg[0] == '\0' ||
		strcmp(alg, algorithm_name(key->algorithm)) == 0;
}

/* The usable keys of a JWK set. */
static PublicKey *
read_jwks(Jsonb *jwks, int *n)
{
	PublicKey  *keys = palloc0(sizeof(PublicKey) * MAX_KEYS);
	JsonbValue	list;
	int			count;
	int			i;

	*n = 0;
	if (!JB_ROOT_IS_OBJECT(jwks) ||
		getKeyJsonValueFromContainer(&jwks->root, "keys", 4, &list) == NULL ||
		list.type != jbvBinary ||
		!JsonContainerIsArray(list.val.binary.data))
		return keys;
	count = JsonContainerSize(list.val.binary.data);
	for (i = 0; i < count && *n < MAX_KEYS; i++)
	{
		JsonbValue *element;

		element = getIthJsonbValueFromContainer(list.val.binary.data,
												(uint32) i);
		if (element != NULL && element->type == jbvBinary &&
			JsonContainerIsObject(element->val.binary.data) &&
			read_jwk(element->val.binary.data, &keys[*n]))
			(*n)++;
	}
	return keys;
}

/* ----------------------------------------------------------------------
 * Functions
 * ---------------------------------------------------------------------- */

PG_FUNCTION_INFO_V1(warden_sql_set_issuer);

/* set_issuer(issuer, audience, jwks_uri, scope) */
Datum
warden_sql_set_issuer(PG_FUNCTION_ARGS)
{
	char	   *issuer = warden_admin_required(fcinfo, 0, "the issuer");
	char	   *audience = warden_admin_required(fcinfo, 1, "the audience");
	WardenCommand command = {
		.sql = "INSERT INTO warden.identity_issuers"
		" (issuer, audience, jwks_uri, scope) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (issuer) DO UPDATE SET audience = excluded.audience,"
		" jwks_uri = excluded.jwks_uri, scope = excluded.scope"
	};

	warden_admin_require(fcinfo, "set_issuer", NULL);
	warden_admin_printable("the issuer", issuer, WARDEN_JWT_NAME_SIZE);
	warden_admin_printable("the audience", audience, WARDEN_JWT_NAME_SIZE);
	warden_admin_text(&command, issuer);
	warden_admin_text(&command, audience);
	warden_admin_text(&command, warden_admin_optional(fcinfo, 2));
	warden_admin_text(&command, warden_admin_optional(fcinfo, 3));
	warden_admin_run(&command);
	warden_audit_action("policy", 0,
						psprintf("tokens of issuer %s are taken for audience %s",
								 quote_literal_cstr(issuer),
								 quote_literal_cstr(audience)));
	PG_RETURN_VOID();
}

static void
require_issuer(const char *issuer)
{
	WardenCommand command = {
		.sql = "SELECT pg_catalog.count(*) FROM warden.identity_issuers"
		" WHERE issuer OPERATOR(pg_catalog.=) $1"
	};

	warden_admin_text(&command, issuer);
	warden_admin_run(&command);
	if (command.number == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("issuer \"%s\" is not on file", issuer),
				 errhint("An administrator can add it with warden.set_issuer().")));
}

static void
insert_key(const char *issuer, const PublicKey *key)
{
	WardenCommand command = {
		.sql = "INSERT INTO warden.identity_keys"
		" (issuer, kid, algorithm, spki, set_by) VALUES ($1, $2, $3, $4, $5)"
		" ON CONFLICT DO NOTHING"
	};
	bytea	   *spki = palloc(VARHDRSZ + key->length);

	SET_VARSIZE(spki, VARHDRSZ + key->length);
	memcpy(VARDATA(spki), key->spki, key->length);
	warden_admin_text(&command, issuer);
	warden_admin_text(&command, key->kid);
	warden_admin_text(&command, algorithm_name(key->algorithm));
	warden_admin_argument(&command, BYTEAOID, PointerGetDatum(spki), false);
	warden_admin_role(&command, GetSessionUserId());
	warden_admin_run(&command);
}

PG_FUNCTION_INFO_V1(warden_sql_set_identity_keys);

/* set_identity_keys(issuer, jwks): the number of keys that are on file now */
Datum
warden_sql_set_identity_keys(PG_FUNCTION_ARGS)
{
	char	   *issuer = warden_admin_required(fcinfo, 0, "the issuer");
	WardenCommand command = {
		.sql = "DELETE FROM warden.identity_keys"
		" WHERE issuer OPERATOR(pg_catalog.=) $1"
	};
	PublicKey  *keys;
	int			n = 0;
	int			i;

	warden_admin_require(fcinfo, "set_identity_keys", WARDEN_ROLE_REFRESHER);
	require_issuer(issuer);
	keys = PG_ARGISNULL(1) ? NULL : read_jwks(PG_GETARG_JSONB_P(1), &n);
	/* A broken answer must not lock everybody out. */
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the set has no usable key"),
				 errhint("Usable are RSA keys of at least 2048 bits, P-256 and Ed25519 keys for signing, as a JWK set.")));
	warden_admin_text(&command, issuer);
	warden_admin_run(&command);
	for (i = 0; i < n; i++)
		insert_key(issuer, &keys[i]);
	warden_audit_action("policy", 0,
						psprintf("issuer %s has %d keys",
								 quote_literal_cstr(issuer), n));
	PG_RETURN_INT32(n);
}

PG_FUNCTION_INFO_V1(warden_sql_map_subject);

/*
 * map_subject(issuer, subject, agent, on_behalf_of, subject_claim,
 * person_claim)
 */
Datum
warden_sql_map_subject(PG_FUNCTION_ARGS)
{
	char	   *issuer = warden_admin_required(fcinfo, 0, "the issuer");
	char	   *subject = warden_admin_required(fcinfo, 1, "the subject");
	char	   *name = warden_admin_required(fcinfo, 2, "the agent");
	char	   *person = warden_admin_optional(fcinfo, 3);
	char	   *claim = warden_admin_required(fcinfo, 4, "the claim");
	char	   *person_claim = warden_admin_optional(fcinfo, 5);
	WardenCommand command = {
		.sql = "INSERT INTO warden.identity_subjects (issuer, subject, agent,"
		" on_behalf_of, subject_claim, person_claim)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (issuer, subject_claim, subject) DO UPDATE SET"
		" agent = excluded.agent, on_behalf_of = excluded.on_behalf_of,"
		" person_claim = excluded.person_claim"
	};
	WardenAgent agent;

	warden_admin_require(fcinfo, "map_subject", NULL);
	require_issuer(issuer);
	if (!warden_store_agent(name, &agent))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("agent \"%s\" does not exist", name),
				 errhint("warden.agents lists them; warden.create_agent makes one.")));
	if (person != NULL && person_claim != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the person is either fixed or in a claim"),
				 errhint("Give on_behalf_of or person_claim, not both.")));
	warden_admin_printable("the subject", subject, WARDEN_PERSON_SIZE);
	warden_admin_printable("the claim", claim, WARDEN_JWT_NAME_SIZE);
	if (person != NULL)
		warden_admin_printable("the person", person, WARDEN_PERSON_SIZE);
	if (person_claim != NULL)
		warden_admin_printable("the claim", person_claim,
							   WARDEN_JWT_NAME_SIZE);
	warden_admin_text(&command, issuer);
	warden_admin_text(&command, subject);
	warden_admin_text(&command, name);
	warden_admin_text(&command, person);
	warden_admin_text(&command, claim);
	warden_admin_text(&command, person_claim);
	warden_admin_run(&command);
	warden_audit_action("policy", 0,
						psprintf("subject %s of issuer %s is agent %s",
								 quote_literal_cstr(subject),
								 quote_literal_cstr(issuer),
								 quote_literal_cstr(name)));
	PG_RETURN_VOID();
}
