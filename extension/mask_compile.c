/*-------------------------------------------------------------------------
 * mask_compile.c
 *	  From the parsed form of a mask and a column's type to a value of
 *	  warden.mask_spec: everything that can be decided before the first row.
 *
 * The result may show less than the mask says, where it does not suit the
 * column, and never more.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "mask.h"
#include "mask_private.h"

/* ---- columns -------------------------------------------------------- */

static WardenMaskClass
classify_string(Oid base)
{
	WardenMaskClass class = WARDEN_VALUE_OTHER;
	HeapTuple tuple;
	Form_pg_type form;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
	if (!HeapTupleIsValid(tuple))
		return class;
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typcategory == TYPCATEGORY_STRING && form->typlen == -1 &&
		IsBinaryCoercible(base, TEXTOID))
		class = strcmp(NameStr(form->typname), "citext") == 0 ?
			WARDEN_VALUE_CITEXT :
			WARDEN_VALUE_TEXT;
	ReleaseSysCache(tuple);
	return class;
}

static WardenMaskClass
classify(Oid base)
{
	switch (base)
	{
		case BPCHAROID:
			return WARDEN_VALUE_BPCHAR;
		case INT2OID:
			return WARDEN_VALUE_INT2;
		case INT4OID:
			return WARDEN_VALUE_INT4;
		case INT8OID:
			return WARDEN_VALUE_INT8;
		case NUMERICOID:
			return WARDEN_VALUE_NUMERIC;
		case FLOAT4OID:
			return WARDEN_VALUE_FLOAT4;
		case FLOAT8OID:
			return WARDEN_VALUE_FLOAT8;
		case DATEOID:
			return WARDEN_VALUE_DATE;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return WARDEN_VALUE_TIMESTAMP;
		case INETOID:
		case CIDROID:
			return WARDEN_VALUE_INET;
		case JSONOID:
			return WARDEN_VALUE_JSON;
		case JSONBOID:
			return WARDEN_VALUE_JSONB;
		case UUIDOID:
			return WARDEN_VALUE_UUID;
		case BYTEAOID:
			return WARDEN_VALUE_BYTEA;
		default:
			return classify_string(base);
	}
}

WardenMaskColumn
warden_mask_describe(Oid type, int32 typmod, Oid collation)
{
	WardenMaskColumn column;

	column.type = type;
	column.typmod = typmod;
	column.collation = collation;
	column.base_typmod = typmod;
	column.base = getBaseTypeAndTypmod(type, &column.base_typmod);
	column.class = classify(column.base);
	return column;
}

/* ---- func() --------------------------------------------------------- */

static Oid
lookup_function(const WardenMask *mask, Oid argtype)
{
	Oid namespace = get_namespace_oid(mask->schema, true);

	if (!OidIsValid(namespace) || !OidIsValid(argtype))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(mask->function),
						   PointerGetDatum(buildoidvector(&argtype, 1)),
						   ObjectIdGetDatum(namespace));
}

/*
 * The function for a column: one that takes the column's type, or its base
 * type, or text where the base type has text's form.
 */
static bool
resolve_function(const WardenMask *mask, const WardenMaskColumn *column,
				 WardenMaskSpec *spec, const char **problem)
{
	Oid types[3];

	types[0] = column->type;
	types[1] = column->base;
	types[2] = WARDEN_VALUE_IS_TEXT(column->class) ? TEXTOID : InvalidOid;

	*problem = "no such function takes the column's type";
	for (int i = 0; i < (int) lengthof(types); i++)
	{
		Oid function = lookup_function(mask, types[i]);

		if (!OidIsValid(function))
			continue;
		*problem = warden_mask_function_problem(function, types[i]);
		if (*problem != NULL)
			continue;
		spec->function = function;
		spec->argtype = types[i];
		if (!WARDEN_VALUE_IS_TEXT(column->class) && column->base_typmod >= 0)
			(void) find_typmod_coercion_function(column->base, &spec->coercion);
		spec->typmod = column->base_typmod;
		spec->domain = column->type != column->base ? column->type : InvalidOid;
		return true;
	}
	return false;
}

/* Without a column: is there any function of that name that could serve? */
const char *
warden_mask_check_function(const WardenMask *mask)
{
	Oid namespace = get_namespace_oid(mask->schema, true);
	const char *problem = "there is no such function";
	CatCList *candidates;

	candidates = SearchSysCacheList1(PROCNAMEARGSNSP,
									 CStringGetDatum(mask->function));
	for (int i = 0; i < candidates->n_members && problem != NULL; i++)
	{
		HeapTuple tuple = &candidates->members[i]->tuple;
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (proc->pronamespace == namespace)
			problem = warden_mask_function_problem(proc->oid, InvalidOid);
	}
	ReleaseSysCacheList(candidates);
	return problem;
}

List *
warden_mask_functions(const char *spec)
{
	WardenMask *mask = warden_mask_parse(spec);
	Oid namespace;
	CatCList *candidates;
	List *result = NIL;

	if (mask->kind != WARDEN_MASK_FUNC)
		return NIL;
	namespace = get_namespace_oid(mask->schema, true);
	candidates = SearchSysCacheList1(PROCNAMEARGSNSP,
									 CStringGetDatum(mask->function));
	for (int i = 0; i < candidates->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(
			&candidates->members[i]->tuple);

		if (proc->pronamespace == namespace && proc->pronargs == 1)
			result = lappend_oid(result, proc->oid);
	}
	ReleaseSysCacheList(candidates);
	return result;
}

/* ---- compiling ------------------------------------------------------ */

static int32
append_part(StringInfo buf, const void *data, int len)
{
	int32 offset;

	while (buf->len % MAXIMUM_ALIGNOF != 0)
		appendStringInfoChar(buf, '\0');
	offset = buf->len;
	appendBinaryStringInfo(buf, data, len);
	return offset;
}

static void
append_payload(StringInfo buf, WardenMaskSpec *spec, const void *data, int len)
{
	spec->payload_offset = append_part(buf, data, len);
	spec->payload_len = len;
}

static void
append_text(StringInfo buf, WardenMaskSpec *spec, const char *text)
{
	struct varlena *value = warden_mask_fit(spec, text, strlen(text));

	spec->kind = WARDEN_MASK_CONST;
	append_payload(buf, spec, value, VARSIZE(value));
}

void
warden_mask_read_literal(void *arg)
{
	WardenMaskLiteral *literal = (WardenMaskLiteral *) arg;
	Oid input;
	Oid ioparam;

	getTypeInputInfo(literal->column->base, &input, &ioparam);
	literal->value = OidInputFunctionCall(input, (char *) literal->text,
										  ioparam,
										  literal->column->base_typmod);
}

static bool
compile_const(StringInfo buf, WardenMaskSpec *spec, const char *text,
			  const WardenMaskColumn *column, const char **problem)
{
	WardenMaskLiteral literal = {column, text, 0};
	int16 typlen;
	bool typbyval;

	*problem = "the constant is not a value of the column's type";
	if (get_typtype(column->base) == TYPTYPE_PSEUDO || IsInParallelMode() ||
		!warden_mask_try(warden_mask_read_literal, &literal))
		return false;

	get_typlenbyval(column->base, &typlen, &typbyval);
	spec->byval = typbyval;
	if (typbyval)
		append_payload(buf, spec, &literal.value, sizeof(Datum));
	else
	{
		if (typlen == -1)
			literal.value = PointerGetDatum(PG_DETOAST_DATUM(literal.value));
		append_payload(buf, spec, DatumGetPointer(literal.value),
					   datumGetSize(literal.value, typbyval, typlen));
	}
	return true;
}

/*
 * The width as numeric, in the scale of the column: a finer one would show
 * values of the column as they are, which is not what was asked for.
 */
static bool
compile_numeric_width(StringInfo buf, WardenMaskSpec *spec, Datum width,
					  const WardenMaskColumn *column, const char **problem)
{
	int32 typmod = column->base_typmod - VARHDRSZ;
	int precision = (typmod >> 16) & 0xffff;
	int scale = ((typmod & 0x7ff) ^ 1024) - 1024;
	Datum rounded;
	Datum bound;

	if (typmod < 0)
	{
		spec->numbers[0] = DatumGetInt32(
			DirectFunctionCall1(numeric_scale, width));
		append_payload(buf, spec, DatumGetPointer(width),
					   VARSIZE(DatumGetPointer(width)));
		return true;
	}

	rounded = DirectFunctionCall2(numeric_round, width, Int32GetDatum(scale));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, width, rounded)))
	{
		*problem = "the width is finer than the column";
		return false;
	}
	spec->numbers[0] = Max(scale, 0);
	append_payload(buf, spec, DatumGetPointer(rounded),
				   VARSIZE(DatumGetPointer(rounded)));

	/* rounding down must not leave what precision and scale allow */
	{
		StringInfoData digits;

		initStringInfo(&digits);
		appendStringInfoChar(&digits, '-');
		for (int i = 0; i < precision; i++)
			appendStringInfoChar(&digits, '9');
		appendStringInfo(&digits, "e%d", -scale);
		bound = DirectFunctionCall3(numeric_in, CStringGetDatum(digits.data),
									ObjectIdGetDatum(InvalidOid),
									Int32GetDatum(-1));
	}
	spec->bounded = true;
	spec->bound_offset = append_part(buf, DatumGetPointer(bound),
									 VARSIZE(DatumGetPointer(bound)));
	return true;
}

static bool
compile_bucket(StringInfo buf, WardenMaskSpec *spec, const char *text,
			   const WardenMaskColumn *column, const char **problem)
{
	Datum width = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
									  ObjectIdGetDatum(InvalidOid),
									  Int32GetDatum(-1));
	Datum whole;
	int64 whole_width;
	double real_width;

	switch (spec->class)
	{
		case WARDEN_VALUE_NUMERIC:
			return compile_numeric_width(buf, spec, width, column, problem);
		case WARDEN_VALUE_FLOAT4:
		case WARDEN_VALUE_FLOAT8:
			real_width = DatumGetFloat8(
				DirectFunctionCall1(numeric_float8, width));
			append_payload(buf, spec, &real_width, sizeof(real_width));
			return true;
		default:
			whole = DirectFunctionCall2(numeric_round, width, Int32GetDatum(0));
			if (!DatumGetBool(DirectFunctionCall2(numeric_eq, width, whole)))
			{
				*problem = "the width must be a whole number here";
				return false;
			}
			whole_width = DatumGetInt64(
				DirectFunctionCall1(numeric_int8, whole));
			append_payload(buf, spec, &whole_width, sizeof(whole_width));
			return true;
	}
}

/* Keys with their NULs, an empty one after each path: see mask_json.c. */
static void
compile_paths(StringInfo buf, WardenMaskSpec *spec, List *paths)
{
	StringInfoData payload;
	ListCell *path;
	ListCell *key;

	initStringInfo(&payload);
	foreach(path, paths)
	{
		foreach(key, (List *) lfirst(path))
			appendBinaryStringInfo(&payload, lfirst(key),
								   strlen(lfirst(key)) + 1);
		appendStringInfoChar(&payload, '\0');
	}
	append_payload(buf, spec, payload.data, payload.len);
}

static bool
compile_text_kind(StringInfo buf, WardenMaskSpec *spec, const WardenMask *mask)
{
	switch (mask->kind)
	{
		case WARDEN_MASK_EMAIL:
		case WARDEN_MASK_PARTIAL:
		case WARDEN_MASK_SSN:
		case WARDEN_MASK_CARD:
		case WARDEN_MASK_PHONE:
		case WARDEN_MASK_NAME:
		case WARDEN_MASK_HASH:
			return true;
		case WARDEN_MASK_CONST:
			append_text(buf, spec, mask->literal);
			return true;
		default:
			append_text(buf, spec, WARDEN_MASK_STARS);
			return true;
	}
}

/* Any other class; false means NULL, with *problem when that is a mistake. */
static bool
compile_other_kind(StringInfo buf, WardenMaskSpec *spec, const WardenMask *mask,
				   const WardenMaskColumn *column, const char **problem)
{
	WardenMaskClass class = column->class;

	switch (mask->kind)
	{
		case WARDEN_MASK_CONST:
			return compile_const(buf, spec, mask->literal, column, problem);
		case WARDEN_MASK_HASH:
			return class == WARDEN_VALUE_INT4 || class == WARDEN_VALUE_INT8 ||
				class == WARDEN_VALUE_UUID || class == WARDEN_VALUE_BYTEA;
		case WARDEN_MASK_BUCKET:
			return class >= WARDEN_VALUE_INT2 && class <= WARDEN_VALUE_FLOAT8 &&
				compile_bucket(buf, spec, mask->literal, column, problem);
		case WARDEN_MASK_DATE:
			if (class == WARDEN_VALUE_DATE && mask->unit < WARDEN_UNIT_DAY)
				*problem = "a date has no such unit";
			return class == WARDEN_VALUE_TIMESTAMP ||
				(class == WARDEN_VALUE_DATE && mask->unit >= WARDEN_UNIT_DAY);
		case WARDEN_MASK_INET:
			return class == WARDEN_VALUE_INET;
		case WARDEN_MASK_JSON:
			if (class != WARDEN_VALUE_JSON && class != WARDEN_VALUE_JSONB)
				return false;
			compile_paths(buf, spec, mask->paths);
			return true;
		default:
			return false;
	}
}

/*
 * NULL when the column can only be shown as NULL; with *problem set when that
 * is because the mask does not suit it.
 */
WardenMaskSpec *
warden_mask_compile(const WardenMask *mask, const char *text,
					const WardenMaskColumn *column, const char **problem)
{
	StringInfoData buf;
	WardenMaskSpec spec;
	bool done;

	*problem = NULL;
	memset(&spec, 0, sizeof(spec));
	spec.kind = mask->kind;
	spec.class = column->class;
	spec.numbers[0] = mask->numbers[0];
	spec.numbers[1] = mask->numbers[1];
	spec.unit = mask->unit;
	if ((column->base == VARCHAROID || column->base == BPCHAROID) &&
		column->base_typmod >= (int32) VARHDRSZ)
	{
		spec.maxchars = column->base_typmod - VARHDRSZ;
		spec.padded = column->base == BPCHAROID;
	}

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (char *) &spec, sizeof(spec));
	if (mask->kind == WARDEN_MASK_NULL)
		done = false;
	else if (mask->kind == WARDEN_MASK_FUNC)
		done = resolve_function(mask, column, &spec, problem);
	else if (WARDEN_VALUE_IS_TEXT(column->class))
		done = compile_text_kind(&buf, &spec, mask);
	else
		done = compile_other_kind(&buf, &spec, mask, column, problem);
	if (!done)
		return NULL;

	*problem = NULL;
	spec.spec_offset = append_part(&buf, text, strlen(text) + 1);
	SET_VARSIZE(&spec, buf.len);
	memcpy(buf.data, &spec, sizeof(spec));
	return (WardenMaskSpec *) buf.data;
}
