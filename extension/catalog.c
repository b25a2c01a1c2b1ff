/*-------------------------------------------------------------------------
 * catalog.c
 *	  OIDs of the extension's own objects, looked up by name in the schema
 *	  that the install script made, and cached until a catalog that they
 *	  could come from changes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "warden.h"

/* What the answers depend on, besides the name. */
typedef enum CatalogKind
{
	CATALOG_RELATION,
	CATALOG_TYPE,
	CATALOG_FUNCTION
} CatalogKind;

#define CATALOG_KINDS	(CATALOG_FUNCTION + 1)

typedef struct CatalogEntry
{
	char		name[NAMEDATALEN];
	Oid			oid;
} CatalogEntry;

static HTAB *entries[CATALOG_KINDS];	/* by name; NULL while empty */
static uint64 generation = 1;	/* counts what made us forget */
static bool known = false;		/* the next three are current */
static bool installed = false;
static Oid	schema_oid = InvalidOid;
static Oid	owner_oid = InvalidOid;

/* pg_extension has no syscache: read the row by its name. */
static void
load_extension(void)
{
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	installed = false;
	schema_oid = get_namespace_oid(WARDEN_SCHEMA, true);
	if (OidIsValid(schema_oid))
	{
		rel = table_open(ExtensionRelationId, AccessShareLock);
		ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
					F_NAMEEQ, CStringGetDatum(WARDEN_EXTENSION));
		scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1,
								  &key);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			installed = true;
			owner_oid = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	known = true;
}

static void
forget(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(),
	   uint32 hashvalue pg_attribute_unused())
{
	int			kind;

	known = false;
	generation++;
	for (kind = 0; kind < CATALOG_KINDS; kind++)
	{
		if (entries[kind] != NULL)
			hash_destroy(entries[kind]);
		entries[kind] = NULL;
	}
}

uint64
warden_catalog_generation(void)
{
	return generation;
}

bool
warden_catalog_installed(void)
{
	/*
	 * While CREATE EXTENSION runs the row in pg_extension is there before the
	 * objects are; nothing asks for them until the command is over.
	 */
	if (!known)
		load_extension();
	return installed;
}

bool
warden_catalog_known_missing(void)
{
	return known && !installed;
}

Oid
warden_catalog_schema(void)
{
	return warden_catalog_installed() ? schema_oid : InvalidOid;
}

Oid
warden_catalog_owner(void)
{
	return warden_catalog_installed() ? owner_oid : InvalidOid;
}

/* The one function of that name in the schema. */
static Oid
lookup_function(const char *name)
{
	CatCList   *list;
	Oid			result = InvalidOid;
	int			i;

	list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc;

		proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);
		if (proc->pronamespace == schema_oid)
			result = proc->oid;
	}
	ReleaseSysCacheList(list);
	return result;
}

static Oid
lookup(const char *name, CatalogKind kind)
{
	switch (kind)
	{
		case CATALOG_RELATION:
			return get_relname_relid(name, schema_oid);
		case CATALOG_TYPE:
			return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								   CStringGetDatum(name),
								   ObjectIdGetDatum(schema_oid));
		case CATALOG_FUNCTION:
			return lookup_function(name);
	}
	return InvalidOid;
}

static void
remember(const char *name, CatalogKind kind, Oid oid)
{
	CatalogEntry *entry;
	bool		found;

	if (entries[kind] == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = NAMEDATALEN;
		ctl.entrysize = sizeof(CatalogEntry);
		ctl.hcxt = TopMemoryContext;
		entries[kind] = hash_create("warden catalog", 16, &ctl,
									HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	entry = hash_search(entries[kind], name, HASH_ENTER, &found);
	entry->oid = oid;
}

static Oid
cached(const char *name, CatalogKind kind)
{
	CatalogEntry *entry;
	Oid			oid;

	if (!warden_catalog_installed())
		return InvalidOid;
	if (entries[kind] != NULL)
	{
		entry = hash_search(entries[kind], name, HASH_FIND, NULL);
		if (entry != NULL)
			return entry->oid;
	}

	/* The lookup can process invalidations, so enter the answer after it. */
	oid = lookup(name, kind);
	if (OidIsValid(oid) && known)
		remember(name, kind, oid);
	return oid;
}

Oid
warden_catalog_relation(const char *name)
{
	return cached(name, CATALOG_RELATION);
}

Oid
warden_catalog_type(const char *name)
{
	return cached(name, CATALOG_TYPE);
}

Oid
warden_catalog_function(const char *name)
{
	return cached(name, CATALOG_FUNCTION);
}

static void
forget_relation(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == ExtensionRelationId)
		forget(arg, 0, 0);
}

/*
 * The extension's objects come and go with CREATE and DROP EXTENSION, which
 * make and drop the schema, and with ALTER EXTENSION UPDATE, which is rare
 * enough to let new names be found as misses are not cached.
 */
void
warden_catalog_init(void)
{
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget, (Datum) 0);
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
}
