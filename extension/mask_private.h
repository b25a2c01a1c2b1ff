/*-------------------------------------------------------------------------
 * mask_private.h
 *	  What the mask_*.c files share: the parsed form of a specification, its
 *	  compiled form (the SQL type warden.mask_spec), and the rules for func().
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MASK_PRIVATE_H
#define WARDEN_MASK_PRIVATE_H

#include "postgres.h"

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "compat.h"

/* What stands for text that is hidden, and for text that does not fit. */
#define WARDEN_MASK_STARS "******"
#define WARDEN_MASK_STARS_LEN 6

/* Limits of a specification. */
#define WARDEN_MASK_MAX_SPEC 1000  /* bytes of its text */
#define WARDEN_MASK_MAX_CHARS 1000 /* shown at either end by partial() */
#define WARDEN_MASK_MAX_PATHS 32   /* of json(), bits of a uint32 */
#define WARDEN_MASK_MAX_KEYS 16	   /* of one json() path */
#define WARDEN_MASK_MAX_DIGITS 18  /* of bucket(), each side of the dot */

/* Size of a hash and of its key. */
#define WARDEN_MASK_HASH_LEN 32

typedef enum WardenMaskKind
{
	WARDEN_MASK_CLEAR,
	WARDEN_MASK_JSON,
	WARDEN_MASK_DATE,
	WARDEN_MASK_BUCKET,
	WARDEN_MASK_INET,
	WARDEN_MASK_EMAIL,
	WARDEN_MASK_PARTIAL,
	WARDEN_MASK_SSN,
	WARDEN_MASK_CARD,
	WARDEN_MASK_PHONE,
	WARDEN_MASK_NAME,
	WARDEN_MASK_FUNC,
	WARDEN_MASK_HASH,
	WARDEN_MASK_CONST,
	WARDEN_MASK_FULL,
	WARDEN_MASK_NULL
} WardenMaskKind;

typedef enum WardenMaskUnit
{
	WARDEN_UNIT_SECOND,
	WARDEN_UNIT_MINUTE,
	WARDEN_UNIT_HOUR,
	WARDEN_UNIT_DAY,
	WARDEN_UNIT_WEEK,
	WARDEN_UNIT_MONTH,
	WARDEN_UNIT_QUARTER,
	WARDEN_UNIT_YEAR,
	WARDEN_UNIT_DECADE,
	WARDEN_UNIT_CENTURY,
	WARDEN_UNIT_MILLENNIUM
} WardenMaskUnit;

/* A specification as written; fields that its kind has no use for are 0. */
typedef struct WardenMask
{
	WardenMaskKind kind;
	int numbers[2];		 /* partial: prefix, suffix; inet: v4, v6 */
	WardenMaskUnit unit; /* date */
	char *literal;		 /* bucket: width; const: text */
	char *schema;		 /* func */
	char *function;
	List *paths; /* json: list of lists of char * */
} WardenMask;

/* How the values of a column are stored, as far as masks care. */
typedef enum WardenMaskClass
{
	WARDEN_VALUE_OTHER,
	WARDEN_VALUE_TEXT, /* varlena, category S, same bytes as text */
	WARDEN_VALUE_CITEXT,
	WARDEN_VALUE_BPCHAR,
	WARDEN_VALUE_INT2,
	WARDEN_VALUE_INT4,
	WARDEN_VALUE_INT8,
	WARDEN_VALUE_NUMERIC,
	WARDEN_VALUE_FLOAT4,
	WARDEN_VALUE_FLOAT8,
	WARDEN_VALUE_DATE,
	WARDEN_VALUE_TIMESTAMP, /* with or without time zone */
	WARDEN_VALUE_INET,		/* and cidr */
	WARDEN_VALUE_JSON,
	WARDEN_VALUE_JSONB,
	WARDEN_VALUE_UUID,
	WARDEN_VALUE_BYTEA
} WardenMaskClass;

/*
 * A mask compiled for one column: the varlena behind warden.mask_spec.  It is
 * a constant in plans, compared byte by byte and copied to parallel workers,
 * so it holds no pointers and no uninitialized bytes, and nothing secret.
 * Only the C code can make one: the type's input function refuses.
 */
typedef struct WardenMaskSpec
{
	int32 vl_len_;	  /* varlena header, never short or toasted */
	int32 kind;		  /* WardenMaskKind; CONST stands for FULL too */
	int32 class;	  /* WardenMaskClass */
	int32 maxchars;	  /* length limit of the type, 0 when none */
	int32 numbers[2]; /* as in WardenMask; bucket: [0] is the scale
								 * of the result */
	int32 unit;		  /* WardenMaskUnit */
	bool padded;	  /* bpchar: pad to maxchars */
	bool byval;		  /* const: payload is a Datum */
	bool bounded;	  /* bucket on numeric: there is a lower bound */
	bool unused;
	Oid function;		  /* func */
	Oid argtype;		  /* func: type that it takes and gives */
	Oid coercion;		  /* func: enforces the type's typmod */
	Oid domain;			  /* func: type whose constraints it must meet */
	int32 typmod;		  /* func: for coercion */
	int32 spec_offset;	  /* the specification as written, for people */
	int32 payload_offset; /* const: the value; bucket: the width; json:
								 * the paths; all MAXALIGNed */
	int32 payload_len;
	int32 bound_offset; /* bucket on numeric: lower bound */
} WardenMaskSpec;

#define WARDEN_MASK_PAYLOAD(spec) ((char *) (spec) + (spec)->payload_offset)

#define PG_GETARG_MASK_SPEC(n) ((WardenMaskSpec *) PG_GETARG_POINTER(n))

#define WARDEN_VALUE_IS_TEXT(class) \
	((class) >= WARDEN_VALUE_TEXT && (class) <= WARDEN_VALUE_BPCHAR)

/* mask_spec.c: raises ERRCODE_INVALID_PARAMETER_VALUE */
extern WardenMask *warden_mask_parse(const char *spec);

/* A column's type, as far as masks care. */
typedef struct WardenMaskColumn
{
	Oid type;
	int32 typmod;
	Oid collation;
	Oid base; /* below all domains */
	int32 base_typmod;
	WardenMaskClass class;
} WardenMaskColumn;

/* A value from its text, for warden_mask_try(). */
typedef struct WardenMaskLiteral
{
	const WardenMaskColumn *column;
	const char *text;
	Datum value;
} WardenMaskLiteral;

/* Bytes of one value, not NUL-terminated. */
typedef struct WardenMaskBytes
{
	const char *data;
	int len;
} WardenMaskBytes;

/* mask_compile.c */
extern WardenMaskColumn
warden_mask_describe(Oid type, int32 typmod, Oid collation);

/*
 * NULL when the column can only be shown as NULL; with *problem set when that
 * is because the mask does not suit it.
 */
extern WardenMaskSpec *
warden_mask_compile(const WardenMask *mask, const char *text,
					const WardenMaskColumn *column, const char **problem);

/* arg is a WardenMaskLiteral: sets its value, or raises the type's error. */
extern void warden_mask_read_literal(void *arg);

/* Without a column: why no function of func() could serve, or NULL. */
extern const char *warden_mask_check_function(const WardenMask *mask);

/* mask_text.c: the value's bytes, without the padding of bpchar, which is no
 * part of it. */
extern WardenMaskBytes
warden_mask_open(const WardenMaskSpec *spec, Datum value);

/* The masks from ssn to partial; six stars for a value that does not fit. */
extern struct varlena *
warden_mask_text(const WardenMaskSpec *spec, Datum value);

/* Text of len bytes as a value of the column's type: cut, or padded. */
extern struct varlena *
warden_mask_fit(const WardenMaskSpec *spec, const char *data, int len);

/*
 * mask_funcs.c: the value that takes the place of "value" (never NULL), for
 * every kind but func.  cache is where per-query state hangs, in context.
 */
extern Datum
warden_mask_apply(const WardenMaskSpec *spec, Datum value, void **cache,
				  MemoryContext context, bool *isnull);

/* mask_json.c */
extern Datum
warden_mask_json(const WardenMaskSpec *spec, Datum value, void **cache,
				 MemoryContext context, bool *isnull);

/*
 * mask_call.c: why a function can not be a mask, or NULL when it can.  With a
 * valid argtype its argument and result must be of that type.
 */
extern const char *warden_mask_function_problem(Oid function, Oid argtype);

#endif /* WARDEN_MASK_PRIVATE_H */
