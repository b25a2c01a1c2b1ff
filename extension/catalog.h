/*-------------------------------------------------------------------------
 * catalog.h
 *	  OIDs of the extension's own objects in the current database, cached.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_CATALOG_H
#define WARDEN_CATALOG_H

#include "postgres.h"

/* CREATE EXTENSION pg_warden has been run in this database. */
extern bool warden_catalog_installed(void);

/* It has not, as far as is known without looking into a catalog. */
extern bool warden_catalog_known_missing(void);

/* The schema "warden" and the extension's owner; InvalidOid when absent. */
extern Oid	warden_catalog_schema(void);
extern Oid	warden_catalog_owner(void);

/* A table, type or function of the schema by name; InvalidOid when absent.
 * Functions are looked up by name alone: names the C code asks for are not
 * overloaded.  Answers are cached until the schema changes. */
extern Oid	warden_catalog_relation(const char *name);
extern Oid	warden_catalog_type(const char *name);
extern Oid	warden_catalog_function(const char *name);

/* Changes whenever an answer of one of the above could. */
extern uint64 warden_catalog_generation(void);

extern void warden_catalog_init(void);

#endif							/* WARDEN_CATALOG_H */
