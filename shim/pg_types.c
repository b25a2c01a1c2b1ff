/*
 * pg_types.c
 *		Object ids of built-in types; they never change between releases.
 */
#include "pg_types.h"

#include <stddef.h>

typedef struct PgType
{
	unsigned	oid;
	const char *name;
} PgType;

/* by oid */
static const PgType types[] = {
	{16, "boolean"}, {17, "bytea"}, {18, "\"char\""}, {19, "name"},
	{20, "bigint"}, {21, "smallint"}, {23, "integer"}, {24, "regproc"},
	{25, "text"}, {26, "oid"}, {114, "json"}, {142, "xml"},
	{199, "json[]"}, {600, "point"}, {601, "lseg"}, {602, "path"},
	{603, "box"}, {604, "polygon"}, {650, "cidr"}, {700, "real"},
	{701, "double precision"}, {705, "unknown"}, {718, "circle"},
	{774, "macaddr8"}, {790, "money"}, {829, "macaddr"}, {869, "inet"},
	{1000, "boolean[]"}, {1001, "bytea[]"}, {1003, "name[]"},
	{1005, "smallint[]"}, {1007, "integer[]"}, {1009, "text[]"},
	{1014, "character[]"}, {1015, "character varying[]"}, {1016, "bigint[]"},
	{1021, "real[]"}, {1022, "double precision[]"}, {1028, "oid[]"},
	{1033, "aclitem"}, {1034, "aclitem[]"}, {1041, "inet[]"},
	{1042, "character"}, {1043, "character varying"}, {1082, "date"},
	{1083, "time without time zone"}, {1114, "timestamp without time zone"},
	{1115, "timestamp without time zone[]"}, {1182, "date[]"},
	{1184, "timestamp with time zone"}, {1185, "timestamp with time zone[]"},
	{1186, "interval"}, {1231, "numeric[]"}, {1266, "time with time zone"},
	{1560, "bit"}, {1562, "bit varying"}, {1700, "numeric"},
	{2205, "regclass"}, {2206, "regtype"}, {2249, "record"}, {2278, "void"},
	{2950, "uuid"}, {2951, "uuid[]"}, {3220, "pg_lsn"}, {3614, "tsvector"},
	{3615, "tsquery"}, {3802, "jsonb"}, {3807, "jsonb[]"},
	{3904, "int4range"}, {3906, "numrange"}, {3908, "tsrange"},
	{3910, "tstzrange"}, {3912, "daterange"}, {3926, "int8range"},
	{4072, "jsonpath"}, {4089, "regnamespace"}, {4096, "regrole"},
};

PgTypeClass
pg_type_class(unsigned oid)
{
	switch (oid)
	{
		case 16:
			return PG_TYPE_BOOL;
		case 20:
		case 21:
		case 23:
			return PG_TYPE_INTEGER;
		case 114:
		case 3802:
			return PG_TYPE_JSON;
		case 700:
		case 701:
			return PG_TYPE_FLOAT;
		default:
			return PG_TYPE_TEXT;
	}
}

int
pg_type_is_numeric(unsigned oid)
{
	PgTypeClass class = pg_type_class(oid);

	return class == PG_TYPE_INTEGER || class == PG_TYPE_FLOAT ||
		oid == 1700 || oid == 26 || oid == 790;
}

const char *
pg_type_name(unsigned oid)
{
	size_t		low = 0;
	size_t		high = sizeof(types) / sizeof(types[0]);

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (types[middle].oid == oid)
			return types[middle].name;
		if (types[middle].oid < oid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
