/*-------------------------------------------------------------------------
 * mask_build.c
 *	  From a mask's text and a column to an expression.
 *
 * The expression stands for the column everywhere in the query, so it has
 * exactly the column's type, typmod and collation; a domain's constraints
 * hold for what it yields, or it yields NULL.  Building never fails because
 * of what policy says: a mask that does not suit the column shows less (six
 * stars where the column is text, else NULL), never more, and never stops
 * the query.  Saying so is for warden_mask_validate_type(), when policy is
 * made.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "mask.h"
#include "mask_private.h"
#include "warden.h"

/* A column's type, as far as masks care. */
typedef struct Column
{
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			base;			/* below all domains */
	int32		base_typmod;
	WardenMaskClass class;
} Column;

/* A value from its text, for warden_mask_try(). */
typedef struct Literal
{
	const Column *column;
	const char *text;
	Datum		value;
} Literal;

/* What a mask makes of a value, checked against a domain; likewise. */
typedef struct Sample
{
	const Column *column;
	const WardenMaskSpec *spec;
	const char *text;
} Sample;

/* ---- columns ------------------------------------------------------------ */

static WardenMaskClass
classify_string(Oid base)
{
	WardenMaskClass class = WARDEN_VALUE_OTHER;
	HeapTuple	tuple;
	Form_pg_type form;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
	if (!HeapTupleIsValid(tuple))
		return class;
	form = (Form_pg_type) GETSTRUCT(tuple);
	if (form->typcategory == TYPCATEGORY_STRING && form->typlen == -1 &&
		IsBinaryCoercible(base, TEXTOID))
		class = strcmp(NameStr(form->typname), "citext") == 0 ?
			WARDEN_VALUE_CITEXT : WARDEN_VALUE_TEXT;
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

static Column
describe_column(Oid type, int32 typmod, Oid collation)
{
	Column		column;

	column.type = type;
	column.typmod = typmod;
	column.collation = collation;
	column.base_typmod = typmod;
	column.base = getBaseTypeAndTypmod(type, &column.base_typmod);
	column.class = classify(column.base);
	return column;
}

/* ---- func() -------------------------------------------------------------- */

static Oid
lookup_function(const WardenMask *mask, Oid argtype)
{
	Oid			namespace = get_namespace_oid(mask->schema, true);

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
resolve_function(const WardenMask *mask, const Column *column,
				 WardenMaskSpec *spec, const char **problem)
{
	Oid			types[3];

	types[0] = column->type;
	types[1] = column->base;
	types[2] = WARDEN_VALUE_IS_TEXT(column->class) ? TEXTOID : InvalidOid;

	*problem = "no such function takes the column's type";
	for (int i = 0; i < (int) lengthof(types); i++)
	{
		Oid			function = lookup_function(mask, types[i]);

		if (!OidIsValid(function))
			continue;
		*problem = warden_mask_function_problem(function, types[i]);
		if (*problem != NULL)
			continue;
		spec->function = function;
		spec->argtype = types[i];
		if (!WARDEN_VALUE_IS_TEXT(column->class) && column->base_typmod >= 0)
			(void) find_typmod_coercion_function(column->base,
												 &spec->coercion);
		spec->typmod = column->base_typmod;
		spec->domain = column->type != column->base ?
			column->type : InvalidOid;
		return true;
	}
	return false;
}

/* Without a column: is there any function of that name that could serve? */
static const char *
check_function(const WardenMask *mask)
{
	Oid			namespace = get_namespace_oid(mask->schema, true);
	const char *problem = "there is no such function";
	CatCList   *candidates;

	candidates = SearchSysCacheList1(PROCNAMEARGSNSP,
									 CStringGetDatum(mask->function));
	for (int i = 0; i < candidates->n_members && problem != NULL; i++)
	{
		HeapTuple	tuple = &candidates->members[i]->tuple;
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (proc->pronamespace == namespace)
			problem = warden_mask_function_problem(proc->oid, InvalidOid);
	}
	ReleaseSysCacheList(candidates);
	return problem;
}

/* ---- compiling ------------------------------------------------------------ */

static int32
append_part(StringInfo buf, const void *data, int len)
{
	int32		offset;

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

static void
read_literal(void *arg)
{
	Literal    *literal = (Literal *) arg;
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(literal->column->base, &input, &ioparam);
	literal->value = OidInputFunctionCall(input, (char *) literal->text,
										  ioparam,
										  literal->column->base_typmod);
}

static bool
compile_const(StringInfo buf, WardenMaskSpec *spec, const char *text,
			  const Column *column, const char **problem)
{
	Literal		literal = {column, text, 0};
	int16		typlen;
	bool		typbyval;

	*problem = "the constant is not a value of the column's type";
	if (get_typtype(column->base) == TYPTYPE_PSEUDO || IsInParallelMode() ||
		!warden_mask_try(read_literal, &literal))
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
					  const Column *column, const char **problem)
{
	int32		typmod = column->base_typmod - VARHDRSZ;
	int			precision = (typmod >> 16) & 0xffff;
	int			scale = ((typmod & 0x7ff) ^ 1024) - 1024;
	Datum		rounded;
	Datum		bound;

	if (typmod < 0)
	{
		spec->numbers[0] = DatumGetInt32(DirectFunctionCall1(numeric_scale,
															 width));
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
			   const Column *column, const char **problem)
{
	Datum		width = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1));
	Datum		whole;
	int64		whole_width;
	double		real_width;

	switch (spec->class)
	{
		case WARDEN_VALUE_NUMERIC:
			return compile_numeric_width(buf, spec, width, column, problem);
		case WARDEN_VALUE_FLOAT4:
		case WARDEN_VALUE_FLOAT8:
			real_width = DatumGetFloat8(DirectFunctionCall1(numeric_float8,
															width));
			append_payload(buf, spec, &real_width, sizeof(real_width));
			return true;
		default:
			whole = DirectFunctionCall2(numeric_round, width,
										Int32GetDatum(0));
			if (!DatumGetBool(DirectFunctionCall2(numeric_eq, width, whole)))
			{
				*problem = "the width must be a whole number here";
				return false;
			}
			whole_width = DatumGetInt64(DirectFunctionCall1(numeric_int8,
															whole));
			append_payload(buf, spec, &whole_width, sizeof(whole_width));
			return true;
	}
}

/* Keys with their NULs, an empty one after each path: see mask_json.c. */
static void
compile_paths(StringInfo buf, WardenMaskSpec *spec, List *paths)
{
	StringInfoData payload;
	ListCell   *path;
	ListCell   *key;

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
compile_text_kind(StringInfo buf, WardenMaskSpec *spec,
				  const WardenMask *mask)
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
compile_other_kind(StringInfo buf, WardenMaskSpec *spec,
				   const WardenMask *mask, const Column *column,
				   const char **problem)
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
			return class >= WARDEN_VALUE_INT2 &&
				class <= WARDEN_VALUE_FLOAT8 &&
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
static WardenMaskSpec *
compile(const WardenMask *mask, const char *text, const Column *column,
		const char **problem)
{
	StringInfoData buf;
	WardenMaskSpec spec;
	bool		done;

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

/* ---- domains -------------------------------------------------------------- */

typedef struct ReplaceContext
{
	Expr	   *masked;
} ReplaceContext;

/* Puts the masked value where a CHECK expression says VALUE. */
static Node *
replace_domain_value(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, CoerceToDomainValue))
	{
		CoerceToDomainValue *value = (CoerceToDomainValue *) node;
		ReplaceContext *replace = (ReplaceContext *) context;

		return (Node *) makeRelabelType(copyObject(replace->masked),
										value->typeId, value->typeMod,
										value->collation,
										COERCE_IMPLICIT_CAST);
	}
	return expression_tree_mutator(node, replace_domain_value, context);
}

/* Adds "check IS NOT FALSE" for each CHECK of one domain. */
static List *
add_domain_checks(List *checks, Oid domain, Expr *masked)
{
	Relation	relation = table_open(ConstraintRelationId, AccessShareLock);
	ReplaceContext replace = {masked};
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(relation, ConstraintTypidIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		BooleanTest *test;
		Datum		source;
		bool		isnull;

		if (form->contype != CONSTRAINT_CHECK)
			continue;
		source = fastgetattr(tuple, Anum_pg_constraint_conbin,
							 RelationGetDescr(relation), &isnull);
		if (isnull)
			continue;
		test = makeNode(BooleanTest);
		test->arg = (Expr *)
			replace_domain_value(stringToNode(TextDatumGetCString(source)),
								 &replace);
		test->booltesttype = IS_NOT_FALSE;
		test->location = -1;
		checks = lappend(checks, test);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return checks;
}

/* The type that a domain is directly over. */
static Oid
domain_base(Oid domain)
{
	HeapTuple	tuple;
	Oid			base;

	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", domain);
	base = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	return base;
}

/*
 * CASE WHEN the masked value meets the domain's constraints THEN it END.
 * They see only the masked value.
 */
static Expr *
guard_domain(Expr *masked, const Column *column)
{
	List	   *checks = NIL;
	Oid			type;
	CaseExpr   *result;
	CaseWhen   *when;

	for (type = column->type; get_typtype(type) == TYPTYPE_DOMAIN;
		 type = domain_base(type))
		checks = add_domain_checks(checks, type, masked);
	if (checks == NIL)
		return masked;

	when = makeNode(CaseWhen);
	when->expr = make_ands_explicit(checks);
	when->result = masked;
	when->location = -1;

	result = makeNode(CaseExpr);
	result->casetype = column->type;
	result->casecollid = column->collation;
	result->args = list_make1(when);
	result->defresult = (Expr *) makeNullConst(column->type, column->typmod,
											   column->collation);
	result->location = -1;
	return (Expr *) result;
}

/* ---- building --------------------------------------------------------------- */

static Oid
mask_function(WardenMaskKind kind)
{
	Oid			function;

	function = warden_catalog_function(kind == WARDEN_MASK_FUNC ?
									   "apply_mask_function" : "apply_mask");
	if (!OidIsValid(function))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_UNMASKED),
				 errmsg("the mask functions are missing"),
				 errhint("An administrator has to repair the extension "
						 "pg_warden in this database.")));
	return function;
}

Expr *
warden_mask_build(const char *spec, Expr *value, Oid type, int32 typmod,
				  Oid collation)
{
	WardenMask *mask = warden_mask_parse(spec);
	Column		column;
	WardenMaskSpec *compiled;
	const char *problem;
	Const	   *constant;
	Expr	   *masked;

	if (mask->kind == WARDEN_MASK_CLEAR)
		return value;

	column = describe_column(type, typmod, collation);
	compiled = compile(mask, spec, &column, &problem);
	if (compiled == NULL)
		return (Expr *) makeNullConst(type, typmod, collation);

	constant = makeConst(warden_catalog_type("mask_spec"), -1, InvalidOid, -1,
						 PointerGetDatum(compiled), false, false);
	masked = (Expr *) makeFuncExpr(mask_function(mask->kind), type,
								   list_make2(value, constant),
								   collation, collation,
								   COERCE_EXPLICIT_CALL);
	if (typmod >= 0)
		masked = (Expr *) makeRelabelType(masked, type, typmod, collation,
										  COERCE_IMPLICIT_CAST);

	/* a mask function's result is checked where its errors are caught */
	if (mask->kind == WARDEN_MASK_FUNC)
		return masked;
	return guard_domain(masked, &column);
}

bool
warden_mask_is_function(Oid funcid)
{
	return OidIsValid(funcid) &&
		(funcid == warden_catalog_function("apply_mask") ||
		 funcid == warden_catalog_function("apply_mask_function"));
}

/* ---- validating --------------------------------------------------------------- */

static void pg_attribute_noreturn()
reject_mask(const char *spec, Oid type, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 OidIsValid(type) ?
			 errmsg("mask \"%s\" does not suit type %s", spec,
					format_type_be(type)) :
			 errmsg("mask \"%s\" can not be used", spec),
			 errdetail_internal("The reason: %s.", problem),
			 errhint("Choose another mask; null suits every column.")));
	pg_unreachable();
}

void
warden_mask_validate(const char *spec)
{
	WardenMask *mask = warden_mask_parse(spec);
	const char *problem = NULL;

	if (mask->kind == WARDEN_MASK_FUNC)
		problem = check_function(mask);
	if (problem != NULL)
		reject_mask(spec, InvalidOid, problem);
}

/* A typical value of each class; texts have several, one for each pattern. */
static const char *
sample_text(WardenMaskClass class)
{
	switch (class)
	{
		case WARDEN_VALUE_INT2:
		case WARDEN_VALUE_INT4:
		case WARDEN_VALUE_INT8:
		case WARDEN_VALUE_NUMERIC:
		case WARDEN_VALUE_FLOAT4:
		case WARDEN_VALUE_FLOAT8:
			return "1";
		case WARDEN_VALUE_DATE:
		case WARDEN_VALUE_TIMESTAMP:
			return "1984-06-23";
		case WARDEN_VALUE_INET:
			return "192.0.2.0";
		case WARDEN_VALUE_JSON:
		case WARDEN_VALUE_JSONB:
			return "{}";
		case WARDEN_VALUE_UUID:
			return "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
		default:
			return "";
	}
}

static void
check_sample(void *arg)
{
	Sample	   *sample = (Sample *) arg;
	Column		any_length = *sample->column;
	Literal		literal = {&any_length, sample->text, 0};
	void	   *cache = NULL;
	Datum		result;
	bool		isnull;

	any_length.base_typmod = -1;
	if (sample->spec->kind != WARDEN_MASK_CONST)
		read_literal(&literal);
	result = warden_mask_apply(sample->spec, literal.value, &cache,
							   CurrentMemoryContext, &isnull);
	if (!isnull)
		domain_check(result, false, sample->column->type, NULL, NULL);
}

static bool
meets_domain(const WardenMaskSpec *spec, const Column *column)
{
	static const char *const texts[] = {
		"", "078-05-4801", "alice@example.com", "4111 1111 1111 1234",
		"+1 415-555-0132", "Alice"
	};
	Sample		sample = {column, spec, NULL};

	if (!WARDEN_VALUE_IS_TEXT(column->class))
	{
		sample.text = sample_text(column->class);
		return warden_mask_try(check_sample, &sample);
	}
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		sample.text = texts[i];
		if (!warden_mask_try(check_sample, &sample))
			return false;
	}
	return true;
}

void
warden_mask_validate_type(const char *spec, Oid type, int32 typmod,
						  Oid collation)
{
	WardenMask *mask = warden_mask_parse(spec);
	Column		column = describe_column(type, typmod, collation);
	WardenMaskSpec *compiled;
	const char *problem;

	if (mask->kind == WARDEN_MASK_CLEAR)
		return;
	compiled = compile(mask, spec, &column, &problem);
	if (problem != NULL)
		reject_mask(spec, type, problem);
	if (compiled != NULL && mask->kind != WARDEN_MASK_FUNC &&
		column.type != column.base && !meets_domain(compiled, &column))
		reject_mask(spec, type, "its results violate the domain's constraints");
}
