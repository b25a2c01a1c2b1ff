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
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "mask.h"
#include "mask_private.h"
#include "warden.h"

/* What a mask makes of a value, checked against a domain; likewise. */
typedef struct Sample
{
	const WardenMaskColumn *column;
	const WardenMaskSpec *spec;
	const char *text;
} Sample;

/* ---- domains -------------------------------------------------------- */

typedef struct ReplaceContext
{
	Expr *masked;
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
										value->collation, COERCE_IMPLICIT_CAST);
	}
	return expression_tree_mutator(node, replace_domain_value, context);
}

/* Adds "check IS NOT FALSE" for each CHECK of one domain. */
static List *
add_domain_checks(List *checks, Oid domain, Expr *masked)
{
	Relation relation = table_open(ConstraintRelationId, AccessShareLock);
	ReplaceContext replace = {masked};
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(relation, ConstraintTypidIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		BooleanTest *test;
		Datum source;
		bool isnull;

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
	HeapTuple tuple;
	Oid base;

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
guard_domain(Expr *masked, const WardenMaskColumn *column)
{
	List *checks = NIL;
	Oid type;
	CaseExpr *result;
	CaseWhen *when;

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

/* ---- building ------------------------------------------------------- */

static Oid
mask_function(WardenMaskKind kind)
{
	Oid function;

	function = warden_catalog_function(
		kind == WARDEN_MASK_FUNC ? "apply_mask_function" : "apply_mask");
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
	WardenMaskColumn column;
	WardenMaskSpec *compiled;
	const char *problem;
	Const *constant;
	Expr *masked;

	if (mask->kind == WARDEN_MASK_CLEAR)
		return value;

	column = warden_mask_describe(type, typmod, collation);
	compiled = warden_mask_compile(mask, spec, &column, &problem);
	if (compiled == NULL)
		return (Expr *) makeNullConst(type, typmod, collation);

	constant = makeConst(warden_catalog_type("mask_spec"), -1, InvalidOid, -1,
						 PointerGetDatum(compiled), false, false);
	masked = (Expr *) makeFuncExpr(mask_function(mask->kind), type,
								   list_make2(value, constant), collation,
								   collation, COERCE_EXPLICIT_CALL);
	if (typmod >= 0)
		masked = (Expr *) makeRelabelType(masked, type, typmod, collation,
										  COERCE_IMPLICIT_CAST);

	/* a mask function's result is checked where its errors are caught */
	if (mask->kind == WARDEN_MASK_FUNC)
		return masked;
	return guard_domain(masked, &column);
}

static bool
is_telling(WardenMaskKind kind)
{
	switch (kind)
	{
		case WARDEN_MASK_EMAIL:
		case WARDEN_MASK_PARTIAL:
		case WARDEN_MASK_SSN:
		case WARDEN_MASK_CARD:
		case WARDEN_MASK_PHONE:
		case WARDEN_MASK_NAME:
		case WARDEN_MASK_CONST:
		case WARDEN_MASK_FULL:
			return true;
		default:
			return false;
	}
}

bool
warden_mask_shows(const char *spec, const char *text, Oid type, int32 typmod,
				  Oid collation)
{
	WardenMask *mask = warden_mask_parse(spec);
	WardenMaskColumn column = warden_mask_describe(type, typmod, collation);
	WardenMaskSpec *compiled;
	WardenMaskBytes shown;
	const char *problem;
	void	   *cache = NULL;
	bool		isnull = false;
	Datum		masked;

	if (!is_telling(mask->kind) || !WARDEN_VALUE_IS_TEXT(column.class))
		return false;
	compiled = warden_mask_compile(mask, spec, &column, &problem);
	if (compiled == NULL)
		return false;
	masked = warden_mask_apply(compiled, CStringGetTextDatum(text), &cache,
							   CurrentMemoryContext, &isnull);
	if (isnull)
		return false;
	shown = warden_mask_open(compiled, masked);
	return shown.len == (int) strlen(text) &&
		memcmp(shown.data, text, shown.len) == 0;
}

bool
warden_mask_is_function(Oid funcid)
{
	return OidIsValid(funcid) &&
		(funcid == warden_catalog_function("apply_mask") ||
		 funcid == warden_catalog_function("apply_mask_function"));
}

/* ---- validating ----------------------------------------------------- */

static void
reject_mask(const char *spec, Oid type, const char *problem, int elevel)
{
	ereport(elevel,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 OidIsValid(type) ? errmsg("mask \"%s\" does not suit type %s",
									   spec, format_type_be(type)) :
								errmsg("mask \"%s\" can not be used", spec),
			 errdetail_internal("The reason: %s.", problem),
			 errhint("Choose another mask; null suits every column.")));
}

void
warden_mask_validate(const char *spec, int elevel)
{
	WardenMask *mask = warden_mask_parse(spec);
	const char *problem = NULL;

	if (mask->kind == WARDEN_MASK_FUNC)
		problem = warden_mask_check_function(mask);
	if (problem != NULL)
		reject_mask(spec, InvalidOid, problem, elevel);
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
	Sample *sample = (Sample *) arg;
	WardenMaskColumn any_length = *sample->column;
	WardenMaskLiteral literal = {&any_length, sample->text, 0};
	void *cache = NULL;
	Datum result;
	bool isnull;

	any_length.base_typmod = -1;
	if (sample->spec->kind != WARDEN_MASK_CONST)
		warden_mask_read_literal(&literal);
	result = warden_mask_apply(sample->spec, literal.value, &cache,
							   CurrentMemoryContext, &isnull);
	if (!isnull)
		domain_check(result, false, sample->column->type, NULL, NULL);
}

static bool
meets_domain(const WardenMaskSpec *spec, const WardenMaskColumn *column)
{
	static const char *const texts[] = {"",
										"078-05-4801",
										"alice@example.com",
										"4111 1111 1111 1234",
										"+1 415-555-0132",
										"Alice"};
	Sample sample = {column, spec, NULL};

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
						  Oid collation, int elevel)
{
	WardenMask *mask = warden_mask_parse(spec);
	WardenMaskColumn column = warden_mask_describe(type, typmod, collation);
	WardenMaskSpec *compiled;
	const char *problem;

	if (mask->kind == WARDEN_MASK_CLEAR)
		return;
	compiled = warden_mask_compile(mask, spec, &column, &problem);
	if (problem != NULL)
	{
		reject_mask(spec, type, problem, elevel);
		return;
	}
	/* full fits every type: what a domain does not accept of it is NULL */
	if (compiled != NULL && mask->kind != WARDEN_MASK_FUNC &&
		mask->kind != WARDEN_MASK_FULL && column.type != column.base &&
		!meets_domain(compiled, &column))
		reject_mask(spec, type, "its results violate the domain's constraints",
					elevel);
}
