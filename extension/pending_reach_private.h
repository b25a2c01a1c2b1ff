/*-------------------------------------------------------------------------
 * pending_reach_private.h
 *	  The walk over what a statement reaches, as the modules that take its
 *	  steps know it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_REACH_PRIVATE_H
#define WARDEN_PENDING_REACH_PRIVATE_H

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

#include "pending.h"

typedef struct ReachedObject
{
	Oid			classid;
	Oid			objid;
} ReachedObject;

/*
 * What is called by name is followed first, then the relations and what these
 * set off.
 */
typedef struct Reach
{
	HTAB	   *seen;			/* of ReachedObject */
	List	   *objects;		/* of ReachedObject *, in order of finding */
	List	   *relations;		/* those that are relations */
	List	   *path;			/* OIDs of schemas */
	List	   *wider;			/* those of the paths that functions have */
	bool		reads;			/* only what a reader of relations sets off */
	bool		analyses;		/* statistics are computed */
	bool		set_off;		/* relations are being followed by now */
	bool		literals;		/* some may name objects, or be SQL */
	char	   *dynamic;		/* what runs SQL that is made when it runs */
	bool		dynamic_set_off;	/* and that is nothing called by name */
} Reach;

/* Adds an object; what came with the server is left out. */
extern void warden_reach_object(Reach *reach, Oid classid, Oid objid);

/* The first thing of its kind counts, "function public.run". */
extern void warden_reach_dynamic(Reach *reach, char *what);

/* Functions, types and relations of a stored expression or query. */
extern void warden_reach_expression(Reach *reach, Node *expression);
extern void warden_reach_stored(Reach *reach, const char *stored);

/* What the words of a text name (pending_reach_words.c). */
extern void warden_reach_text(Reach *reach, const char *text);

/* A body in PL/pgSQL has the word EXECUTE in its code. */
extern bool warden_reach_executes(const char *body);

/*
 * A body may have names in Unicode escapes, which say what they name to the
 * parser only.
 */
extern bool warden_reach_hides_names(const char *body);

/*
 * Find what an object reaches, and return what it is like itself
 * (pending_reach_relation.c, pending_reach_type.c).
 */
extern char *warden_reach_relation(Reach *reach, Oid relid);
extern char *warden_reach_type(Reach *reach, Oid type);

/* Support functions of an operator class that somebody made. */
extern void warden_reach_opclass(Reach *reach, Oid opclass);

#endif							/* WARDEN_PENDING_REACH_PRIVATE_H */
