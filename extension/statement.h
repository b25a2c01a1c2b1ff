/*-------------------------------------------------------------------------
 * statement.h
 *	  Raw statements: their text, and the objects that they name.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_STATEMENT_H
#define WARDEN_STATEMENT_H

#include "postgres.h"

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"

typedef enum WardenUse
{
	WARDEN_USE_READ,			/* named in a query */
	WARDEN_USE_WRITE,			/* target of DML or TRUNCATE */
	WARDEN_USE_ALTER,			/* target of DDL or maintenance */
	WARDEN_USE_DROP,
	WARDEN_USE_CREATE
} WardenUse;

/* One name in a statement. */
typedef struct WardenName
{
	WardenUse	use;
	ObjectType	type;			/* OBJECT_TABLE stands for any relation */
	Node	   *name;			/* RangeVar of a relation, list of String of a
								 * function in a query, else what
								 * get_object_address takes */
	bool		missing_ok;
	ObjectAddress address;		/* set by _resolve; objectId may be invalid */
} WardenName;

/* The text of one statement within a string of several, trimmed, palloc'd. */
extern char *warden_statement_text(const char *source, int location,
								   int length);

/* INSERT, UPDATE, DELETE or MERGE, raw. */
extern bool warden_statement_is_dml(Node *stmt);

/* SELECT INTO, or NULL: the leftmost of a set operation has the INTO. */
extern IntoClause *warden_statement_into(SelectStmt *select);

/* Raw parse tree of a text that is exactly one statement, else NULL. */
extern RawStmt *warden_statement_parse(const char *text);

/*
 * For the text of PREPARE ... AS query: the text of the query, palloc'd; NULL
 * where there is none.
 */
extern char *warden_statement_prepared(const char *text);

/* A statement without its literals and comments, and its literals alone. */
extern char *warden_statement_code(const char *text);
extern char *warden_statement_literals(const char *text);

/* Has a literal without an E before it that has backslashes in it. */
extern bool warden_statement_backslashes(const char *text);

/* Raises where a statement, given by tree and text, holds a password. */
extern void warden_statement_refuse_secrets(Node *stmt, const char *text);

/* Raises where a statement acts on the row of a cursor. */
extern void warden_statement_refuse_cursor(Node *stmt);

/*
 * Collects the names of a raw statement into *names (of WardenName *).
 * Returns false for a statement of a kind that it does not know.
 */
extern bool warden_statement_names(Node *stmt, List **names);

/*
 * Looks the names up in the current search_path, as the current role.
 * "created" holds names (char *) that earlier statements of the same script
 * made: such names stay unresolved where they do not exist.  Raises the
 * ordinary errors for what does not exist.
 */
extern void warden_statement_resolve(List *names, List *created);

/* The same for replay: nothing raised, what is missing stays unresolved. */
extern void warden_statement_lookup(List *names);

/* The names (char *) that a statement makes, for "created". */
extern List *warden_statement_created(List *names);

/* The name as the statement spells it. */
extern char *warden_statement_spelling(const WardenName *name);

/*
 * Raises unless the role may propose a statement with these names: objects
 * of the system and of schema warden are refused (WD002), everything else is
 * an ordinary permission error.
 */
extern void warden_statement_permit(List *names);

/* A write to the relation may be proposed by whoever may read or write it. */
extern void warden_statement_permit_write(Oid relid, Oid roleid);

#endif							/* WARDEN_STATEMENT_H */
