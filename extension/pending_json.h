/*-------------------------------------------------------------------------
 * pending_json.h
 *	  The jsonb columns of changes: as text, which is what digests are made of,
 *	  and taken apart.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_JSON_H
#define WARDEN_PENDING_JSON_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* The text that a jsonb of it is shown as, palloc'd. */
extern char *warden_json_canonical(const char *json);

/* palloc'd */
extern Jsonb *warden_json_parse(const char *json);

/* A member of an object as a string, NULL where it is null or missing. */
extern char *warden_json_member(JsonbContainer *object, const char *key);

/* The objects of an array, of JsonbContainer *. */
extern List *warden_json_elements(const char *json);

/* Appends a member to an object that is being written; NULL becomes null. */
extern void warden_json_put(StringInfo json, const char *key,
							const char *value);

#endif							/* WARDEN_PENDING_JSON_H */
