/*-------------------------------------------------------------------------
 * identity_store.c
 *	  Look-ups in the registry's tables (agents, agent_tokens, delegations,
 *	  people), cached per backend.
 *
 * Rows are read with catalog-style scans: no privileges, no search_path and
 * no row security of the caller are involved, and the snapshot is fresh, so
 * that a revoked token is refused in an old REPEATABLE READ snapshot too.
 *
 * The cache is dropped when a relcache message names one of the tables or
 * the role labels (that also works on a standby), and when the shared epoch
 * has advanced, which it does before the committing backend goes on: whoever
 * disabled an agent can rely on it.  Only rows that were found are cached.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_shseclabel.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "catalog.h"
#include "identity_scan.h"
#include "identity_store.h"
#include "label.h"
#include "warden.h"

/* Column numbers, as the install script has them. */
enum
{
	Anum_agents_agent = 1,
	Anum_agents_role,
	Anum_agents_apply_role,
	Anum_agents_description,
	Anum_agents_enabled,
	Anum_agents_require_on_behalf_of,
	Anum_agents_max_rows,
	Anum_agents_statement_timeout,
	Anum_agents_lock_timeout,
	Anum_agents_work_mem,
	Anum_agents_temp_file_limit,
	Anum_agents_max_calls,
	Anum_agents_statements_per_hour,
	Anum_agents_rows_per_hour,
	Anum_agents_person_statements_per_hour,
	Anum_agents_person_rows_per_hour,
	Anum_agents_max_open_changes,
	Anum_agents_changes_per_hour
};

enum
{
	Anum_tokens_id = 1,
	Anum_tokens_agent,
	Anum_tokens_digest,
	Anum_tokens_on_behalf_of,
	Anum_tokens_issued_by,
	Anum_tokens_created_at,
	Anum_tokens_expires_at,
	Anum_tokens_revoked_at
};

enum
{
	Anum_delegations_agent = 1,
	Anum_delegations_person_pattern
};

enum
{
	Anum_people_person = 1,
	Anum_people_role
};

/* A backend behind a pooler may meet many tokens; then start over. */
#define MAX_CACHED_TOKENS	4096

/* An agent's patterns, a line each. */
typedef struct Delegations
{
	char		agent[NAMEDATALEN]; /* hash key */
	char	   *patterns;
} Delegations;

/* All in cache_context, dropped as a whole. */
static MemoryContext cache_context = NULL;
static HTAB *agent_cache = NULL;
static HTAB *token_cache = NULL;
static HTAB *delegation_cache = NULL;
static uint64 cache_epoch = 0;
static uint64 generation = 1;	/* counts drops */
static bool stale = true;

/* Of this transaction: it changed the registry; agents to be stopped. */
static bool registry_changed = false;
static List *cancel_agents = NIL;	/* of char *, in TopTransactionContext */

/* The tables' OIDs as last seen, for the relcache callback. */
static const char *const registry_tables[] = {
	"agents", "agent_tokens", "delegations", "people"
};
static Oid	registry_oids[lengthof(registry_tables)];

/* ----------------------------------------------------------------------
 * Cache
 * ---------------------------------------------------------------------- */

static HTAB *
make_cache(const char *name, Size keysize, Size entrysize, int flags)
{
	HASHCTL		ctl;

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = cache_context;
	return hash_create(name, 16, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

/* Drops what is stale.  Call before every look-up, not during one. */
static void
refresh_cache(void)
{
	uint64		epoch = warden_shared_epoch();
	int			i;

	if (likely(!stale && epoch == cache_epoch))
		return;
	agent_cache = token_cache = delegation_cache = NULL;
	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext,
											  "warden identity cache",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cache_context);
	agent_cache = make_cache("warden agents", NAMEDATALEN,
							 sizeof(WardenAgent), HASH_STRINGS);
	token_cache = make_cache("warden tokens", WARDEN_DIGEST_LENGTH,
							 sizeof(WardenToken), HASH_BLOBS);
	delegation_cache = make_cache("warden delegations", NAMEDATALEN,
								  sizeof(Delegations), HASH_STRINGS);
	cache_epoch = epoch;
	stale = false;
	generation++;
	for (i = 0; i < (int) lengthof(registry_tables); i++)
		registry_oids[i] = warden_catalog_relation(registry_tables[i]);
}

uint64
warden_store_generation(void)
{
	refresh_cache();
	return generation;
}

void
warden_store_changed(Oid relid)
{
	stale = true;
	registry_changed = true;
	CacheInvalidateRelcacheByRelid(relid);
}

/* A rollback to a savepoint leaves it in the list: then statements of an
 * agent that stays enabled are cancelled once, which harms nobody. */
void
warden_store_cancel_at_commit(const char *agent)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	cancel_agents = lappend(cancel_agents, pstrdup(agent));
	MemoryContextSwitchTo(old);
}

/* From the transaction callback, where the commit is visible to everyone but
 * its invalidation messages may not be out yet. */
void
warden_store_end_xact(bool committed)
{
	ListCell   *cell;

	if (likely(!registry_changed && cancel_agents == NIL))
		return;
	stale = true;
	warden_shared_advance();
	if (committed)
	{
		foreach(cell, cancel_agents)
			warden_shared_cancel(lfirst(cell));
	}
	registry_changed = false;
	cancel_agents = NIL;
}

static void
on_relcache_change(Datum arg pg_attribute_unused(), Oid relid)
{
	int			i;

	if (relid == InvalidOid || relid == SharedSecLabelRelationId)
		stale = true;
	for (i = 0; i < (int) lengthof(registry_tables); i++)
	{
		if (relid == registry_oids[i])
			stale = true;
	}
}

/* A role was made, altered or dropped. */
static void
on_role_change(Datum arg pg_attribute_unused(),
			   int cacheid pg_attribute_unused(),
			   uint32 hashvalue pg_attribute_unused())
{
	stale = true;
}

/* ----------------------------------------------------------------------
 * Scans
 * ---------------------------------------------------------------------- */

/* false where the extension's tables are not there. */
bool
warden_scan_begin(WardenScan *scan, const char *table, const char *index,
				  int nkeys, ScanKey keys)
{
	Oid			relid = warden_catalog_relation(table);
	Oid			indexid = index ? warden_catalog_relation(index) : InvalidOid;

	if (!OidIsValid(relid))
		return false;
	scan->rel = table_open(relid, AccessShareLock);
	scan->scan = systable_beginscan(scan->rel, indexid, OidIsValid(indexid),
									NULL, nkeys, keys);
	return true;
}

void
warden_scan_end(WardenScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->rel, AccessShareLock);
}

HeapTuple
warden_scan_next(WardenScan *scan)
{
	return systable_getnext(scan->scan);
}

Datum
warden_scan_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum,
				   bool *isnull)
{
	return heap_getattr(tuple, attnum, RelationGetDescr(scan->rel), isnull);
}

/* A text column, "" for NULL; cut to fit, which the table's checks prevent. */
void
warden_scan_text(WardenScan *scan, HeapTuple tuple, AttrNumber attnum,
				 char *target, Size size)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	if (isnull)
		target[0] = '\0';
	else
		text_to_cstring_buffer(DatumGetTextPP(value), target, size);
}

static Oid
oid_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static bool
bool_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	return !isnull && DatumGetBool(value);
}

static int
int_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static int64
bigint_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static int
limit_column(WardenScan *scan, HeapTuple tuple, AttrNumber attnum,
			 const char *name, int unit, int none)
{
	bool		isnull;
	Datum		value = warden_scan_column(scan, tuple, attnum, &isnull);

	if (isnull)
		return none;
	return warden_store_parse_limit(name, TextDatumGetCString(value), unit);
}

static void
fill_agent(WardenScan *scan, HeapTuple tuple, WardenAgent *agent)
{
	memset(agent, 0, sizeof(*agent));
	warden_scan_text(scan, tuple, Anum_agents_agent, agent->agent, NAMEDATALEN);
	agent->role = oid_column(scan, tuple, Anum_agents_role);
	agent->apply_role = oid_column(scan, tuple, Anum_agents_apply_role);
	agent->enabled = bool_column(scan, tuple, Anum_agents_enabled);
	agent->require_on_behalf_of =
		bool_column(scan, tuple, Anum_agents_require_on_behalf_of);
	agent->max_rows = int_column(scan, tuple, Anum_agents_max_rows);
	agent->statement_timeout =
		limit_column(scan, tuple, Anum_agents_statement_timeout,
					 "statement_timeout", GUC_UNIT_MS, 0);
	agent->lock_timeout =
		limit_column(scan, tuple, Anum_agents_lock_timeout,
					 "lock_timeout", GUC_UNIT_MS, 0);
	agent->work_mem = limit_column(scan, tuple, Anum_agents_work_mem,
								   "work_mem", GUC_UNIT_KB, 0);
	agent->temp_file_limit =
		limit_column(scan, tuple, Anum_agents_temp_file_limit,
					 "temp_file_limit", GUC_UNIT_KB, -1);
	agent->max_calls = int_column(scan, tuple, Anum_agents_max_calls);
	agent->statements_per_hour =
		int_column(scan, tuple, Anum_agents_statements_per_hour);
	agent->rows_per_hour =
		bigint_column(scan, tuple, Anum_agents_rows_per_hour);
	agent->person_statements_per_hour =
		int_column(scan, tuple, Anum_agents_person_statements_per_hour);
	agent->person_rows_per_hour =
		bigint_column(scan, tuple, Anum_agents_person_rows_per_hour);
	agent->limits_changes =
		int_column(scan, tuple, Anum_agents_max_open_changes) != 0 ||
		int_column(scan, tuple, Anum_agents_changes_per_hour) != 0;
	agent->labelled = OidIsValid(agent->role) &&
		warden_store_has_label(agent->role);
}

static void
fill_token(WardenScan *scan, HeapTuple tuple, WardenToken *token)
{
	bool		isnull;
	Datum		value;

	token->id = bigint_column(scan, tuple, Anum_tokens_id);
	warden_scan_text(scan, tuple, Anum_tokens_agent, token->agent,
					 NAMEDATALEN);
	warden_scan_text(scan, tuple, Anum_tokens_on_behalf_of,
					 token->on_behalf_of, WARDEN_PERSON_SIZE);
	token->issued_by = oid_column(scan, tuple, Anum_tokens_issued_by);
	value = warden_scan_column(scan, tuple, Anum_tokens_expires_at, &isnull);
	token->expires_at = DatumGetTimestampTz(value);
	(void) warden_scan_column(scan, tuple, Anum_tokens_revoked_at, &isnull);
	token->revoked = !isnull;
}

/* ----------------------------------------------------------------------
 * Look-ups
 * ---------------------------------------------------------------------- */

bool
warden_store_agent(const char *agent, WardenAgent *result)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	WardenAgent *entry;
	bool		found;

	refresh_cache();
	if (strlen(agent) >= NAMEDATALEN)
		return false;
	entry = hash_search(agent_cache, agent, HASH_FIND, NULL);
	if (entry != NULL)
	{
		*result = *entry;
		return true;
	}

	ScanKeyInit(&key, Anum_agents_agent, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(agent));
	if (!warden_scan_begin(&scan, "agents", "agents_pkey", 1, &key))
		return false;
	tuple = warden_scan_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		fill_agent(&scan, tuple, result);
	warden_scan_end(&scan);

	/* What changed while we looked must not be remembered. */
	if (found && !stale)
		*(WardenAgent *) hash_search(agent_cache, agent, HASH_ENTER,
									 NULL) = *result;
	return found;
}

bool
warden_store_token(const uint8 *digest, WardenToken *result)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	WardenToken *entry;
	bytea	   *wanted;
	bool		found;

	refresh_cache();
	entry = hash_search(token_cache, digest, HASH_FIND, NULL);
	if (entry != NULL)
	{
		*result = *entry;
		return true;
	}

	wanted = palloc(VARHDRSZ + WARDEN_DIGEST_LENGTH);
	SET_VARSIZE(wanted, VARHDRSZ + WARDEN_DIGEST_LENGTH);
	memcpy(VARDATA(wanted), digest, WARDEN_DIGEST_LENGTH);
	ScanKeyInit(&key, Anum_tokens_digest, BTEqualStrategyNumber, F_BYTEAEQ,
				PointerGetDatum(wanted));
	memset(result, 0, sizeof(*result));
	memcpy(result->digest, digest, WARDEN_DIGEST_LENGTH);
	if (!warden_scan_begin(&scan, "agent_tokens", "agent_tokens_digest_key", 1, &key))
		return false;
	tuple = warden_scan_next(&scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		fill_token(&scan, tuple, result);
	warden_scan_end(&scan);

	if (found && !stale)
	{
		if (hash_get_num_entries(token_cache) >= MAX_CACHED_TOKENS)
			stale = true;
		else
			*(WardenToken *) hash_search(token_cache, digest, HASH_ENTER,
										 NULL) = *result;
	}
	return found;
}

/* Not cached: the caller keeps the answer for the backend's own roles. */
WardenRoleAgents
warden_store_role(Oid role, WardenAgent *result)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	int			n = 0;

	ScanKeyInit(&key, Anum_agents_role, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(role));
	if (!warden_scan_begin(&scan, "agents", "agents_role_idx", 1, &key))
		return WARDEN_ROLE_HAS_NONE;
	while (n < 2 && HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		if (n++ == 0)
			fill_agent(&scan, tuple, result);
	}
	warden_scan_end(&scan);
	return n == 0 ? WARDEN_ROLE_HAS_NONE :
		n == 1 ? WARDEN_ROLE_HAS_ONE : WARDEN_ROLE_HAS_SEVERAL;
}

char *
warden_store_person(Oid role)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *person = NULL;

	ScanKeyInit(&key, Anum_people_role, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(role));
	if (!warden_scan_begin(&scan, "people", "people_role_key", 1, &key))
		return NULL;
	tuple = warden_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = warden_scan_column(&scan, tuple,
											   Anum_people_person, &isnull);

		person = TextDatumGetCString(value);
	}
	warden_scan_end(&scan);
	return person;
}

static char *
read_delegations(const char *agent)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	StringInfoData patterns;

	ScanKeyInit(&key, Anum_delegations_agent, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(agent));
	if (!warden_scan_begin(&scan, "delegations", "delegations_pkey", 1, &key))
		return NULL;
	initStringInfo(&patterns);
	while (HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		char		pattern[WARDEN_PERSON_SIZE];

		warden_scan_text(&scan, tuple, Anum_delegations_person_pattern, pattern,
				  sizeof(pattern));
		appendStringInfo(&patterns, "%s\n", pattern);
	}
	warden_scan_end(&scan);
	return patterns.len > 0 ? patterns.data : NULL;
}

/* The agent's patterns, a line each; NULL where there is none. */
char *
warden_store_delegations(const char *agent)
{
	Delegations *entry;
	char	   *patterns;

	refresh_cache();
	if (strlen(agent) >= NAMEDATALEN)
		return NULL;
	entry = hash_search(delegation_cache, agent, HASH_FIND, NULL);
	if (entry != NULL)
		return pstrdup(entry->patterns);
	patterns = read_delegations(agent);
	if (patterns != NULL && !stale)
	{
		char	   *kept = MemoryContextStrdup(cache_context, patterns);

		entry = hash_search(delegation_cache, agent, HASH_ENTER, NULL);
		entry->patterns = kept;
	}
	return patterns;
}

bool
warden_store_matches(const char *patterns, const char *person)
{
	char	   *copy = pstrdup(patterns != NULL ? patterns : "");
	char	   *rest;
	char	   *pattern;

	for (pattern = strtok_r(copy, "\n", &rest); pattern != NULL;
		 pattern = strtok_r(NULL, "\n", &rest))
	{
		if (warden_store_glob(pattern, person))
			return true;
	}
	return false;
}

bool
warden_store_delegated(const char *agent, const char *person)
{
	return warden_store_matches(warden_store_delegations(agent), person);
}

/*
 * "*" stands for any text, "?" for one character, everything else for
 * itself.  The last star is the only one that can still grow, so this takes
 * no more than length times length steps whatever the pattern.
 */
bool
warden_store_glob(const char *pattern, const char *text)
{
	const char *star = NULL;
	const char *resume = NULL;

	while (*text != '\0')
	{
		if (*pattern == '*')
		{
			star = ++pattern;
			resume = text;
		}
		else if (*pattern == '?')
		{
			pattern++;
			text += pg_mblen(text);
		}
		else if (*pattern == *text)
		{
			pattern++;
			text++;
		}
		else if (star != NULL)
		{
			resume += pg_mblen(resume);
			text = resume;
			pattern = star;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Looked up once: that takes longer than hashing. */
static bool
digest_once(const void *data, size_t length, uint8 *digest)
{
	static const EVP_MD *sha256 = NULL;
	static EVP_MD_CTX *context = NULL;
	unsigned int written = 0;

	if (context == NULL)
	{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
		sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
#else
		sha256 = EVP_sha256();
#endif
		context = sha256 != NULL ? EVP_MD_CTX_new() : NULL;
	}
	return context != NULL &&
		EVP_DigestInit_ex(context, sha256, NULL) == 1 &&
		EVP_DigestUpdate(context, data, length) == 1 &&
		EVP_DigestFinal_ex(context, digest, &written) == 1 &&
		written == WARDEN_DIGEST_LENGTH;
}

void
warden_store_digest(const void *data, size_t length, uint8 *digest)
{
	if (!digest_once(data, length, digest))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 digest"),
				 errhint("Check the server's OpenSSL installation.")));
}

bool
warden_store_has_label(Oid role)
{
	return warden_label_of_role(role) != NULL;
}

int
warden_store_parse_limit(const char *name, const char *value, int unit)
{
	const char *hint = NULL;
	int			result;

	if (!parse_int(value, &result, unit, &hint) || result <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a limit for %s", value, name),
				 errhint("Write it as the setting itself is written, for example %s; NULL is no limit.",
						 unit == GUC_UNIT_MS ? "'30s'" : "'64MB'")));
	return result;
}

void
warden_store_init(void)
{
	CacheRegisterRelcacheCallback(on_relcache_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_change, (Datum) 0);
}
