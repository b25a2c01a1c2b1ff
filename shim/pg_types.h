/*
 * pg_types.h
 *		What the shim knows of PostgreSQL's built-in types.
 */
#ifndef PG_TYPES_H
#define PG_TYPES_H

typedef enum PgTypeClass
{
	PG_TYPE_TEXT,				/* everything that stays PostgreSQL's text */
	PG_TYPE_INTEGER,
	PG_TYPE_FLOAT,
	PG_TYPE_BOOL,
	PG_TYPE_JSON
} PgTypeClass;

extern PgTypeClass pg_type_class(unsigned oid);

/* numbers are right-aligned in tables */
extern int	pg_type_is_numeric(unsigned oid);

/* format_type's name of a built-in type, else NULL */
extern const char *pg_type_name(unsigned oid);

#endif							/* PG_TYPES_H */
