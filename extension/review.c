/*-------------------------------------------------------------------------
 * review.c
 *	  Static review of the statements of a change: the table of rules, the
 *	  walk over the kinds of statements, and what is said about them.
 *
 * The rules are decided from the raw parse tree and the catalogs, never from
 * the text.  A statement of a kind that no rule knows is of the highest risk.
 *
 * Invariant: a review reads catalogs and sizes, never rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "pending.h"
#include "review.h"
#include "review_private.h"
#include "statement.h"
#include "warden.h"

typedef struct Rule
{
	const char *name;
	WardenLevel level;
	WardenRisk	risk;			/* least risk of a statement it is true of */
} Rule;

#define INFO_LEVEL	WARDEN_LEVEL_INFO
#define WARN_LEVEL	WARDEN_LEVEL_WARNING
#define ERROR_LEVEL	WARDEN_LEVEL_ERROR
#define LOW			WARDEN_RISK_LOW
#define MODERATE	WARDEN_RISK_MODERATE
#define HIGH		WARDEN_RISK_HIGH
#define CRITICAL	WARDEN_RISK_CRITICAL

/* Alphabetical. */
static const Rule rules[] = {
	{"apply.not_compared", INFO_LEVEL, LOW},
	{"code.call", WARN_LEVEL, HIGH},
	{"code.cast", WARN_LEVEL, HIGH},
	{"code.do", WARN_LEVEL, HIGH},
	{"code.dynamic_sql", WARN_LEVEL, HIGH},
	{"code.function", WARN_LEVEL, HIGH},
	{"code.operator", WARN_LEVEL, HIGH},
	{"code.policy", WARN_LEVEL, HIGH},
	{"code.rule", WARN_LEVEL, HIGH},
	{"code.security_definer", ERROR_LEVEL, CRITICAL},
	{"code.trigger", WARN_LEVEL, HIGH},
	{"column.add_not_null", ERROR_LEVEL, MODERATE},
	{"column.default_volatile", ERROR_LEVEL, MODERATE},
	{"column.drop", ERROR_LEVEL, HIGH},
	{"column.drop_not_null", INFO_LEVEL, LOW},
	{"column.generated_stored", ERROR_LEVEL, MODERATE},
	{"column.index_rebuild", WARN_LEVEL, LOW},
	{"column.not_null_scan", WARN_LEVEL, LOW},
	{"column.rename", WARN_LEVEL, HIGH},
	{"column.serial", INFO_LEVEL, LOW},
	{"column.type_change", WARN_LEVEL, LOW},
	{"column.type_rewrite", ERROR_LEVEL, MODERATE},
	{"constraint.build", WARN_LEVEL, LOW},
	{"constraint.drop", WARN_LEVEL, MODERATE},
	{"constraint.fk_no_index", WARN_LEVEL, LOW},
	{"constraint.not_valid_missing", WARN_LEVEL, LOW},
	{"constraint.on_delete_cascade", WARN_LEVEL, LOW},
	{"dml.cascades", WARN_LEVEL, MODERATE},
	{"dml.condition_labelled", INFO_LEVEL, LOW},
	{"dml.condition_mask", ERROR_LEVEL, HIGH},
	{"dml.evaluated_at_apply", INFO_LEVEL, LOW},
	{"dml.insert_many", INFO_LEVEL, LOW},
	{"dml.insert_no_columns", INFO_LEVEL, LOW},
	{"dml.leading_wildcard", INFO_LEVEL, LOW},
	{"dml.many_rows", WARN_LEVEL, MODERATE},
	{"dml.mask_literal", ERROR_LEVEL, HIGH},
	{"dml.no_where", ERROR_LEVEL, HIGH},
	{"dml.parameters", INFO_LEVEL, LOW},
	{"dml.triggers", INFO_LEVEL, LOW},
	{"dml.update_key", WARN_LEVEL, MODERATE},
	{"dml.where_always_true", ERROR_LEVEL, HIGH},
	{"dml.writes_labelled", INFO_LEVEL, LOW},
	{"domain.constraint_scan", WARN_LEVEL, MODERATE},
	{"drop.cascade", ERROR_LEVEL, CRITICAL},
	{"drop.dependents", ERROR_LEVEL, HIGH},
	{"enum.value_used", ERROR_LEVEL, MODERATE},
	{"flow.copies_labelled", WARN_LEVEL, HIGH},
	{"flow.view_of_labelled", WARN_LEVEL, HIGH},
	{"grant.labelled", ERROR_LEVEL, CRITICAL},
	{"grant.option", ERROR_LEVEL, CRITICAL},
	{"grant.privileges", WARN_LEVEL, HIGH},
	{"grant.public", ERROR_LEVEL, CRITICAL},
	{"index.drop", INFO_LEVEL, MODERATE},
	{"index.drop_not_concurrent", WARN_LEVEL, LOW},
	{"index.duplicate", WARN_LEVEL, LOW},
	{"index.duplicate_column", WARN_LEVEL, LOW},
	{"index.many_columns", INFO_LEVEL, LOW},
	{"index.not_concurrent", WARN_LEVEL, LOW},
	{"index.unique_existing", INFO_LEVEL, LOW},
	{"label.column", WARN_LEVEL, HIGH},
	{"lock.access_exclusive", WARN_LEVEL, LOW},
	{"lock.exclusive", INFO_LEVEL, LOW},
	{"lock.held_on", WARN_LEVEL, LOW},
	{"lock.no_timeout", WARN_LEVEL, LOW},
	{"lock.other_table", WARN_LEVEL, LOW},
	{"lock.partitions", WARN_LEVEL, LOW},
	{"maintenance.rewrite", ERROR_LEVEL, MODERATE},
	{"name.quoted", INFO_LEVEL, LOW},
	{"name.unqualified", INFO_LEVEL, LOW},
	{"object.alter", INFO_LEVEL, MODERATE},
	{"object.drop", WARN_LEVEL, HIGH},
	{"object.rename", WARN_LEVEL, HIGH},
	{"owner.change", ERROR_LEVEL, CRITICAL},
	{"partition.attach_scan", WARN_LEVEL, MODERATE},
	{"partition.detach", WARN_LEVEL, MODERATE},
	{"refresh.not_concurrent", WARN_LEVEL, LOW},
	{"reindex.not_concurrent", WARN_LEVEL, LOW},
	{"schema.drop", ERROR_LEVEL, CRITICAL},
	{"script.barred_from_transaction", ERROR_LEVEL, MODERATE},
	{"security.row_security", ERROR_LEVEL, CRITICAL},
	{"security.trigger_disabled", ERROR_LEVEL, HIGH},
	{"security.view_options", ERROR_LEVEL, HIGH},
	{"sequence.alter", WARN_LEVEL, MODERATE},
	{"statement.unknown", ERROR_LEVEL, CRITICAL},
	{"table.drop", ERROR_LEVEL, HIGH},
	{"table.no_primary_key", INFO_LEVEL, LOW},
	{"table.rename", WARN_LEVEL, HIGH},
	{"table.rewrite", ERROR_LEVEL, MODERATE},
	{"table.several_alters", INFO_LEVEL, LOW},
	{"table.truncate", ERROR_LEVEL, HIGH},
	{"text.backslash", WARN_LEVEL, MODERATE},
	{"text.direction", ERROR_LEVEL, HIGH},
	{"text.invisible", ERROR_LEVEL, HIGH},
	{"type.char", INFO_LEVEL, LOW},
	{"type.int_primary_key", INFO_LEVEL, LOW},
	{"type.json", INFO_LEVEL, LOW},
	{"type.money", INFO_LEVEL, LOW},
	{"type.timestamp", INFO_LEVEL, LOW},
	{"type.varchar", INFO_LEVEL, LOW},
	{"view.select_star", INFO_LEVEL, LOW}
};

static const char *const risk_names[] = {"low", "moderate", "high", "critical"};
static const char *const level_names[] = {"info", "warning", "error"};

const char *
warden_review_risk_name(WardenRisk risk)
{
	return risk_names[risk];
}

const char *
warden_review_level_name(WardenLevel level)
{
	return level_names[level];
}

/* ---- findings ----------------------------------------------------------- */

static const Rule *
find_rule(const char *name)
{
	int			i;

	for (i = 0; i < (int) lengthof(rules); i++)
	{
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	}
	elog(ERROR, "there is no review rule \"%s\"", name);
}

void
warden_review_add_risk(WardenReviewContext *context, const char *rule,
					   WardenRisk risk, int position, char *message,
					   const char *advice)
{
	const Rule *found = find_rule(rule);
	WardenFinding *finding = palloc(sizeof(WardenFinding));

	finding->rule = found->name;
	finding->level = found->level;
	finding->risk = Max(found->risk, risk);
	finding->position = position;
	finding->message = message;
	finding->advice = pstrdup(advice);
	context->findings = lappend(context->findings, finding);
	context->risk = Max(context->risk, finding->risk);
}

void
warden_review_add(WardenReviewContext *context, const char *rule,
				  int position, char *message, const char *advice)
{
	warden_review_add_risk(context, rule, WARDEN_RISK_LOW, position, message,
						   advice);
}

/* ---- facts -------------------------------------------------------------- */

/* A relation that an earlier statement makes, renames or moves. */
typedef struct Made
{
	char	   *schema;			/* NULL: not known */
	char	   *name;
	Oid			relid;			/* the one that gets the name, or InvalidOid */
} Made;

/* What has the name now, whoever may look into its schema. */
static Oid
existing(const RangeVar *rv)
{
	Oid			schema;

	if (rv->schemaname == NULL)
		return RelnameGetRelid(rv->relname);
	schema = get_namespace_oid(rv->schemaname, true);
	return OidIsValid(schema) ? get_relname_relid(rv->relname, schema) :
		InvalidOid;
}

/* Where something new of that name goes, NULL: nowhere. */
static char *
creation_schema(const RangeVar *rv)
{
	List	   *path;

	if (rv->schemaname != NULL)
		return rv->schemaname;
	path = fetch_search_path(false);
	return path != NIL ? get_namespace_name(linitial_oid(path)) : NULL;
}

static bool
is_in(const Made *made, const char *schema)
{
	return schema != NULL && made->schema != NULL &&
		strcmp(made->schema, schema) == 0;
}

/*
 * By an earlier statement, or NULL.  Where there is a relation of that name,
 * only what goes into its schema, or before it in the search path, is another
 * one: else a table made elsewhere would hide what is done to this one.  Where
 * there is none, one that gets the name counts before one that is new.
 */
static Made *
find_made(WardenReviewContext *context, const RangeVar *rv)
{
	Oid			relid = existing(rv);
	char	   *home = OidIsValid(relid) ?
		get_namespace_name(get_rel_namespace(relid)) : NULL;
	char	   *first = creation_schema(rv);
	Made	   *found = NULL;
	bool		exact = false;
	ListCell   *cell;

	foreach(cell, context->made)
	{
		Made	   *made = lfirst(cell);
		bool		here = is_in(made, first) || is_in(made, home);

		if (strcmp(made->name, rv->relname) != 0 ||
			(!here && (exact || OidIsValid(relid))))
			continue;
		if (here || found == NULL || OidIsValid(made->relid))
			found = made;
		exact = exact || here;
	}
	return found;
}

static void
add_made(WardenReviewContext *context, const char *schema, const char *name,
		 Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(context->memory);
	Made	   *made = palloc0(sizeof(Made));

	made->schema = schema != NULL ? pstrdup(schema) : NULL;
	made->name = pstrdup(name);
	made->relid = relid;
	context->made = lappend(context->made, made);
	MemoryContextSwitchTo(old);
}

void
warden_review_stands_for(WardenReviewContext *context, const RangeVar *rv,
						 bool unless_there, Oid relid)
{
	if (!unless_there || !OidIsValid(existing(rv)))
		add_made(context, creation_schema(rv), rv->relname, relid);
}

void
warden_review_created(WardenReviewContext *context, const RangeVar *rv,
					  bool unless_there)
{
	warden_review_stands_for(context, rv, unless_there, InvalidOid);
}

/* The schema of the name as it is called now. */
static RangeVar *
by_old_schema(WardenReviewContext *context, RangeVar *rv)
{
	int			i;

	for (i = list_length(context->schemas) - 1; i >= 0; i--)
	{
		List	   *names = list_nth_node(List, context->schemas, i);

		if (rv->schemaname != NULL &&
			strcmp(rv->schemaname, linitial(names)) == 0)
		{
			rv = copyObject(rv);
			rv->schemaname = lsecond(names);
		}
	}
	return rv;
}

void
warden_review_gone(WardenReviewContext *context, RangeVar *rv)
{
	RangeVar   *old = by_old_schema(context, rv);
	Made	   *made = find_made(context, old);

	if (made != NULL && is_in(made, creation_schema(old)))
		context->made = list_delete_ptr(context->made, made);
}

void
warden_review_moved(WardenReviewContext *context, RangeVar *rv,
					const ReviewTable *table, const char *schema,
					const char *name)
{
	if (!table->created && !OidIsValid(table->relid))
		return;
	warden_review_gone(context, rv);
	if (schema == NULL && rv->schemaname == NULL && OidIsValid(table->relid))
		schema = get_namespace_name(get_rel_namespace(table->relid));
	else if (schema == NULL)
		schema = creation_schema(rv);
	add_made(context, schema, name != NULL ? name : rv->relname, table->relid);
}

void
warden_review_schema_renamed(WardenReviewContext *context, const char *old,
							 const char *new)
{
	MemoryContext outer = MemoryContextSwitchTo(context->memory);
	ListCell   *cell;

	foreach(cell, context->made)
	{
		if (is_in(lfirst(cell), old))
			((Made *) lfirst(cell))->schema = pstrdup(new);
	}
	context->schemas = lappend(context->schemas,
							   list_make2(pstrdup(new), pstrdup(old)));
	MemoryContextSwitchTo(outer);
}

static char *
describe_size(const ReviewTable *table)
{
	const char *unit = "kB";
	double		size = (double) table->bytes / 1024;

	if (size >= 1024)
	{
		size /= 1024;
		unit = "MB";
	}
	if (size >= 1024)
	{
		size /= 1024;
		unit = "GB";
	}
	return psprintf("about " INT64_FORMAT " rows, " INT64_FORMAT " %s",
					(int64) rint(table->rows), (int64) rint(size), unit);
}

/* What the name means when the statement runs; created: not there before. */
Oid
warden_review_relid(WardenReviewContext *context, RangeVar *rv, bool *created)
{
	RangeVar   *old = by_old_schema(context, rv);
	Made	   *made = NULL;

	/* in a schema that has got another name since what is there counts */
	if (old == rv || !OidIsValid(existing(old)))
		made = find_made(context, old);
	*created = made != NULL && !OidIsValid(made->relid);
	return made != NULL ? made->relid : RangeVarGetRelid(old, NoLock, true);
}

void
warden_review_table(WardenReviewContext *context, RangeVar *rv,
					ReviewTable *table)
{
	memset(table, 0, sizeof(*table));
	table->name = quote_qualified_identifier(rv->schemaname, rv->relname);
	table->relid = warden_review_relid(context, rv, &table->created);
	if (OidIsValid(table->relid))
		warden_review_measure(table);
	table->size = describe_size(table);
}

WardenRisk
warden_review_size_risk(const ReviewTable *table)
{
	if (table->created || table->rows < 10000)
		return WARDEN_RISK_LOW;
	if (table->rows < 1000000)
		return WARDEN_RISK_MODERATE;
	return WARDEN_RISK_HIGH;
}

void
warden_review_exclusive(WardenReviewContext *context,
						const ReviewTable *table)
{
	MemoryContext old;

	if (table->created || context->exclusive_on != NULL)
		return;
	old = MemoryContextSwitchTo(context->memory);
	context->exclusive_on = pstrdup(table->name);
	MemoryContextSwitchTo(old);
}

/* Some function of that name, in any schema, is volatile; or there is none. */
static bool
is_volatile_name(List *funcname)
{
	char	   *name = strVal(llast(funcname));
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));
	bool		is_volatile = list->n_members == 0;
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		if (proc->provolatile == PROVOLATILE_VOLATILE)
			is_volatile = true;
	}
	ReleaseSysCacheList(list);
	return is_volatile;
}

static bool
volatile_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) && is_volatile_name(((FuncCall *) node)->funcname))
		return true;
	return raw_expression_tree_walker(node, volatile_walker, context);
}

bool
warden_review_volatile_call(Node *expression)
{
	return volatile_walker(expression, NULL);
}

/* Some function of that name is somebody's and declared to have effects. */
static bool
is_code_name(List *funcname)
{
	char	   *name = strVal(llast(funcname));
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));
	bool		is_code = false;
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		if (proc->provolatile == PROVOLATILE_VOLATILE &&
			proc->prolang != INTERNALlanguageId &&
			proc->prolang != ClanguageId && proc->oid >= FirstNormalObjectId)
			is_code = true;
	}
	ReleaseSysCacheList(list);
	return is_code;
}

/*
 * The same of an operator.  One whose name the server has as well is taken for
 * the server's, or every "=" would be somebody's code.
 */
static bool
is_code_operator(List *name)
{
	char	   *last = strVal(llast(name));
	CatCList   *list = SearchSysCacheList1(OPERNAMENSP, CStringGetDatum(last));
	bool		is_code = false;
	bool		is_servers = false;
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_operator op = (Form_pg_operator)
			GETSTRUCT(&list->members[i]->tuple);

		is_servers |= op->oid < FirstNormalObjectId;
		is_code |= OidIsValid(op->oprcode) &&
			op->oprcode >= FirstNormalObjectId &&
			func_volatile(op->oprcode) == PROVOLATILE_VOLATILE;
	}
	ReleaseSysCacheList(list);
	return is_code && !is_servers;
}

typedef struct CodeSearch
{
	List	   *name;			/* of what is called, NIL: nothing yet */
	int			location;
	bool		is_operator;
} CodeSearch;

static bool
found_code(CodeSearch *search, List *name, int location, bool is_operator)
{
	search->name = name;
	search->location = location;
	search->is_operator = is_operator;
	return true;
}

/* What columns and constraints are given is not walked to by itself. */
static bool
code_walker(Node *node, CodeSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Constraint))
		return code_walker(((Constraint *) node)->raw_expr, search);
	if (IsA(node, ColumnDef) &&
		code_walker((Node *) ((ColumnDef *) node)->constraints, search))
		return true;
	if (IsA(node, FuncCall) && is_code_name(((FuncCall *) node)->funcname))
		return found_code(search, ((FuncCall *) node)->funcname,
						  ((FuncCall *) node)->location, false);
	if (IsA(node, A_Expr) && ((A_Expr *) node)->name != NIL &&
		is_code_operator(((A_Expr *) node)->name))
		return found_code(search, ((A_Expr *) node)->name,
						  ((A_Expr *) node)->location, true);
	return raw_expression_tree_walker(node, code_walker, search);
}

void
warden_review_calls(WardenReviewContext *context, Node *part)
{
	CodeSearch	search = {NIL, -1, false};

	if (code_walker(part, &search))
		warden_review_add(context, "code.call", search.location,
						  psprintf("calls %s %s; what it does is not known to the review",
								   search.is_operator ? "operator" :
								   "function",
								   NameListToString(search.name)),
						  "Read the function's source.");
}

/* ---- one statement ------------------------------------------------------ */

WardenReviewContext *
warden_review_begin(void)
{
	WardenReviewContext *context = palloc0(sizeof(WardenReviewContext));

	context->memory = CurrentMemoryContext;
	return context;
}

static bool
mentions_enum_value(Node *node, WardenReviewContext *context)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, A_Const) && !((A_Const *) node)->isnull &&
		IsA(&((A_Const *) node)->val, String))
	{
		foreach(cell, context->enum_values)
		{
			if (strcmp(lfirst(cell),
					   strVal(&((A_Const *) node)->val)) == 0)
				return true;
		}
	}
	return raw_expression_tree_walker(node, mentions_enum_value, context);
}

/* What a statement means to those before and after it in the change. */
static void
review_place(WardenReviewContext *context, Node *stmt)
{
	bool		barred = warden_review_barred(stmt);
	bool		dml = warden_statement_is_dml(stmt);

	if ((barred && context->statements > 1) || context->barred_seen)
		warden_review_add(context, "script.barred_from_transaction", -1,
						  pstrdup(barred ? "this statement can not run in a transaction with others" :
								  "an earlier statement of the change can not run in a transaction with this one"),
						  "Propose the statement that may not run in a transaction as a change of its own.");
	context->barred_seen = context->barred_seen || barred;
	if (context->exclusive_on != NULL)
		warden_review_add(context, "lock.held_on", -1,
						  psprintf("runs while table %s is locked against readers by an earlier statement",
								   context->exclusive_on),
						  "Split the change, so that the strong lock is held for a moment only.");
	if (dml && context->enum_values != NIL &&
		mentions_enum_value(stmt, context))
		warden_review_add(context, "enum.value_used", -1,
						  pstrdup("uses an enum value that the same change adds"),
						  "Add the value in a change of its own and use it after that is applied.");
}

/*
 * Something new without a schema: what exists is pinned by its OID, where a
 * new object goes is not.
 */
static void
review_new_names(WardenReviewContext *context, Node *stmt)
{
	List	   *names = NIL;
	ListCell   *cell;

	if (!warden_statement_names(stmt, &names))
		return;
	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);

		if (name->use != WARDEN_USE_CREATE || !IsA(name->name, RangeVar) ||
			((RangeVar *) name->name)->schemaname != NULL)
			continue;
		warden_review_add(context, "name.unqualified", -1,
						  psprintf("where %s goes depends on the search path",
								   ((RangeVar *) name->name)->relname),
						  "Name its schema.");
	}
}

/* Nobody knows what it does, nor is told when that changes. */
static void
review_dynamic(WardenReviewContext *context, const char *objects)
{
	bool		set_off;
	char	   *dynamic = warden_capture_dynamic(objects, &set_off);

	if (dynamic == NULL)
		return;
	warden_review_add_risk(context, "code.dynamic_sql",
						   set_off ? WARDEN_RISK_HIGH : WARDEN_RISK_CRITICAL,
						   -1,
						   psprintf("%s %s, which runs SQL that is made only then: what that does and reaches is not known",
									set_off ? "sets off" : "runs", dynamic),
						   "Read where that SQL comes from; better propose the statements themselves.");
}

List *
warden_review_statement(WardenReviewContext *context, RawStmt *raw,
						const WardenStatement *statement,
						double estimated_rows, WardenRisk *risk)
{
	Node	   *stmt = raw->stmt;

	context->statement = statement->statement;
	context->params = warden_capture_values(statement->parameters);
	context->rows = estimated_rows;
	context->risk = WARDEN_RISK_LOW;
	context->findings = NIL;
	context->views = NIL;
	context->statements++;
	review_place(context, stmt);
	if (!warden_review_dml(context, stmt) &&
		!warden_review_alter_table(context, stmt) &&
		!warden_review_create_table(context, stmt) &&
		!warden_review_drop(context, stmt) &&
		!warden_review_grant(context, stmt) &&
		!warden_review_object(context, stmt))
		warden_review_add(context, "statement.unknown", -1,
						  pstrdup("no rule knows this kind of statement"),
						  "Read it with care: nothing was checked.");
	review_new_names(context, stmt);
	review_dynamic(context, statement->objects);
	warden_review_text(context, statement->statement);
	*risk = context->risk;
	return context->findings;
}

/* ---- the rules as rows --------------------------------------------------- */

PG_FUNCTION_INFO_V1(warden_sql_review_rule_defaults);
Datum
warden_sql_review_rule_defaults(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < (int) lengthof(rules); i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		values[0] = CStringGetTextDatum(rules[i].name);
		values[1] = CStringGetTextDatum(level_names[rules[i].level]);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}
