/*-------------------------------------------------------------------------
 * policy_admin.c
 *	  SQL functions by which members of warden_admin make policy.
 *
 * Each checks its own right, validates what it is given against the columns
 * that it will apply to, writes one row as the extension's owner, and leaves
 * an audit action in the caller's transaction.  The triggers on the tables
 * tell every backend.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "condition.h"
#include "function_gate.h"
#include "label.h"
#include "mask.h"
#include "mask_recursion.h"
#include "nesting.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

PG_FUNCTION_INFO_V1(warden_sql_define_type);
PG_FUNCTION_INFO_V1(warden_sql_set_mask);
PG_FUNCTION_INFO_V1(warden_sql_grant_exemption);
PG_FUNCTION_INFO_V1(warden_sql_revoke_exemption);
PG_FUNCTION_INFO_V1(warden_sql_allow_function);
PG_FUNCTION_INFO_V1(warden_sql_disallow_function);
PG_FUNCTION_INFO_V1(warden_sql_check_policy_row);
PG_FUNCTION_INFO_V1(warden_sql_policy_changed);

/* One constant statement with its arguments. */
typedef struct Write
{
	const char *sql;
	int			nargs;
	Oid			types[8];
	Datum		values[8];
	char		nulls[8];
	bool		returning;		/* one bigint */
	int64		result;
	uint64		rows;
} Write;

static void
add_argument(Write *write, Oid type, Datum value, bool isnull)
{
	write->types[write->nargs] = type;
	write->values[write->nargs] = value;
	write->nulls[write->nargs++] = isnull ? 'n' : ' ';
}

static void
execute_write(void *arg)
{
	Write	   *write = arg;
	bool		isnull;
	int			code;

	SPI_connect();
	code = SPI_execute_with_args(write->sql, write->nargs, write->types,
								 write->values, write->nulls, false, 0);
	if (code < 0)
		elog(ERROR, "could not write policy: %s", SPI_result_code_string(code));
	write->rows = SPI_processed;
	if (write->returning && SPI_processed == 1)
		write->result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 1,
													&isnull));
	SPI_finish();
}

/* Policy is made by ungoverned members of warden_admin only. */
static void
require_admin(FunctionCallInfo fcinfo, const char *name, const char *what)
{
	Oid			admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	if (warden_principal_current()->class == WARDEN_CLASS_NONE &&
		(superuser() ||
		 (OidIsValid(admin) && has_privs_of_role(GetUserId(), admin))))
	{
		warden_nesting_require_toplevel(fcinfo, name,
										WARDEN_ERRCODE_NOT_PERMITTED);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s", what),
			 errhint("Only members of %s make policy.", WARDEN_ROLE_ADMIN)));
}

static char *
required_text(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", name),
				 errhint("Give a value that is not NULL.")));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* ----------------------------------------------------------------------
 * Masks
 * ---------------------------------------------------------------------- */

typedef struct Condition
{
	const char *unless;
	Oid			relid;
	bool		answered;
} Condition;

static void
run_condition_check(void *arg)
{
	Condition  *condition = arg;

	condition->answered = warden_condition_check(condition->unless,
												 condition->relid);
}

/*
 * False where the mask will always hold: the table lacks a column that the
 * condition names, or, with a warning, can not be asked it.
 */
static bool
check_condition(const char *unless, Oid relid, int elevel)
{
	Condition	condition = {unless, relid, false};

	if (elevel >= ERROR)
		run_condition_check(&condition);
	else if (!warden_mask_try(run_condition_check, &condition))
		ereport(elevel,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("condition \"%s\" can not be used for table \"%s\"",
						unless, get_rel_name(relid)),
				 errhint("See what is wrong with it by warden.set_mask() with the same arguments.")));
	return condition.answered;
}

static void
column_error_callback(void *arg)
{
	errcontext("the mask of column %s", (char *) arg);
}

/*
 * Whoever owns a table can label a column of it: an error says which one.
 * False where it was dropped since its label was read.
 */
static bool
validate_for_column(const char *mask, Oid relid, AttrNumber attnum, int elevel)
{
	HeapTuple	tuple = SearchSysCacheAttNum(relid, attnum);
	char	   *table = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	FormData_pg_attribute att;
	ErrorContextCallback callback;

	if (!HeapTupleIsValid(tuple))
		return false;
	memcpy(&att, GETSTRUCT(tuple), ATTRIBUTE_FIXED_PART_SIZE);
	ReleaseSysCache(tuple);
	if (table == NULL || schema == NULL)
		return false;
	callback.callback = column_error_callback;
	callback.arg = psprintf("%s.%s", quote_qualified_identifier(schema, table),
							quote_identifier(NameStr(att.attname)));
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	warden_mask_validate_type(mask, att.atttypid, att.atttypmod,
							  att.attcollation, elevel);
	error_context_stack = callback.previous;
	return true;
}

/*
 * Every column that carries a label of the type must be able to hold the
 * mask, and its table to answer the condition, if there is one; neither may
 * read the table itself.  Of the tables that have the columns, that is: in
 * others the mask always holds.  False where there are only others.
 */
static bool
check_labelled_columns(const char *type, const char *mask, const char *unless,
					   int elevel)
{
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	List	   *reads = NIL;
	bool		reads_known = false;
	bool		labelled = false;
	bool		answered = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		FormData_pg_seclabel *form = (FormData_pg_seclabel *) GETSTRUCT(tuple);
		bool		isnull;
		char	   *provider;
		Datum		label;
		char	   *label_type;
		bool		untrusted;
		bool		answers;

		if (form->classoid != RelationRelationId || form->objsubid <= 0)
			continue;
		provider = TextDatumGetCString(heap_getattr(tuple,
													Anum_pg_seclabel_provider,
													RelationGetDescr(rel),
													&isnull));
		if (strcmp(provider, WARDEN_PROVIDER) != 0)
			continue;
		label = heap_getattr(tuple, Anum_pg_seclabel_label,
							 RelationGetDescr(rel), &isnull);
		warden_label_parse_column(TextDatumGetCString(label), &label_type,
								  &untrusted);
		if (strcmp(label_type, type) != 0)
			continue;
		if (!validate_for_column(mask, form->objoid, form->objsubid, elevel))
			continue;
		labelled = true;
		answers = unless != NULL &&
			check_condition(unless, form->objoid, elevel);
		answered = answered || answers;
		if (unless != NULL || !reads_known)
			reads = warden_mask_recursion_reads(mask, answers ? unless : NULL,
												form->objoid);
		reads_known = true;
		warden_mask_recursion_check(reads, form->objoid, elevel);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return unless == NULL || answered || !labelled;
}

/* An elevel below ERROR says where a mask will show NULL, or always hold. */
static bool
check_mask(const char *type, const char *mask, const char *unless, int elevel)
{
	warden_mask_validate(mask, elevel);
	if (unless != NULL && warden_mask_is_clear(mask))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a condition says for which rows the mask is lifted, and \"clear\" lifts it for all"),
				 errhint("Give the mask that the other rows are to have, such as 'full'.")));
	return check_labelled_columns(type, mask, unless, elevel);
}

/* As the table's constraint has it, which rows from elsewhere meet. */
static void
check_type_name(const char *name)
{
	if (name[0] < 'a' || name[0] > 'z' || strlen(name) >= NAMEDATALEN ||
		name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" can not be the name of a semantic type", name),
				 errhint("Use up to 63 of a-z, 0-9 and _, a letter first.")));
}

/*
 * warden.define_type(name text, mask text, description text)
 *
 * Makes a semantic type with its default mask.  Raises duplicate_object for
 * one that exists: set_mask() changes it.
 */
Datum
warden_sql_define_type(PG_FUNCTION_ARGS)
{
	char	   *name = required_text(fcinfo, 0, "name");
	char	   *mask = required_text(fcinfo, 1, "mask");
	Write		write = {.sql = "INSERT INTO warden.semantic_types (name, mask, description) VALUES ($1, $2, $3)"};

	require_admin(fcinfo, "define_type", "define a semantic type");
	check_type_name(name);
	if (warden_policy_type_mask(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("semantic type \"%s\" exists already", name),
				 errhint("Change its mask with warden.set_mask().")));
	(void) check_mask(name, mask, NULL, ERROR);
	add_argument(&write, TEXTOID, CStringGetTextDatum(name), false);
	add_argument(&write, TEXTOID, CStringGetTextDatum(mask), false);
	add_argument(&write, TEXTOID, PG_ARGISNULL(2) ? (Datum) 0 :
				 PG_GETARG_DATUM(2), PG_ARGISNULL(2));
	warden_principal_run_internal(execute_write, &write);
	warden_audit_action("policy", 0,
						psprintf("semantic type %s: %s", name, mask));
	PG_RETURN_VOID();
}

/*
 * warden.set_mask(semantic_type text, mask text, for_role name, unless text)
 *
 * The mask of a semantic type for a role, or its default when for_role is
 * NULL.  A NULL mask takes a role's rule away.  "unless" is an expression
 * over the same row, on raw values: where it is true the role sees the value.
 */
Datum
warden_sql_set_mask(PG_FUNCTION_ARGS)
{
	char	   *type = required_text(fcinfo, 0, "semantic_type");
	char	   *mask = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *unless = PG_ARGISNULL(3) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(3));
	Write		write = {0};
	Oid			role = InvalidOid;

	require_admin(fcinfo, "set_mask", "set a mask");
	if (warden_policy_type_mask(type) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("semantic type \"%s\" is not defined", type),
				 errhint("See warden.semantic_types, or make it with warden.define_type().")));
	if (!PG_ARGISNULL(2))
		role = get_role_oid(NameStr(*PG_GETARG_NAME(2)), false);
	if (unless != NULL && (mask == NULL || !OidIsValid(role)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a condition goes with the mask of a role"),
				 errhint("Give the mask and the role that it is for.")));
	if (mask != NULL)
	{
		if (!check_mask(type, mask, unless, ERROR))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("condition \"%s\" can not be used: no table with a column labelled \"%s\" has all the columns that it names",
							unless, type),
					 errhint("Name columns of one of these tables, each without its table.")));
	}
	else if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a semantic type needs a default mask"),
				 errhint("Give a mask, or the role whose rule is to go.")));

	add_argument(&write, TEXTOID, CStringGetTextDatum(type), false);
	add_argument(&write, TEXTOID,
				 mask != NULL ? CStringGetTextDatum(mask) : (Datum) 0,
				 mask == NULL);
	add_argument(&write, OIDOID, ObjectIdGetDatum(role), false);
	add_argument(&write, TEXTOID,
				 unless != NULL ? CStringGetTextDatum(unless) : (Datum) 0,
				 unless == NULL);
	if (!OidIsValid(role))
		write.sql = "UPDATE warden.semantic_types SET mask = $2 WHERE name = $1 AND $3 = 0 AND $4::text IS NULL";
	else if (mask != NULL)
		write.sql = "INSERT INTO warden.mask_rules (semantic_type, role, mask, unless) VALUES ($1, $3::regrole, $2, $4)"
			" ON CONFLICT (semantic_type, role) DO UPDATE SET mask = excluded.mask, unless = excluded.unless";
	else
		write.sql = "DELETE FROM warden.mask_rules WHERE semantic_type = $1 AND role = $3::regrole AND $2::text IS NULL AND $4::text IS NULL";
	warden_principal_run_internal(execute_write, &write);
	warden_audit_action("policy", 0,
						psprintf("mask of %s for %s: %s%s%s", type,
								 OidIsValid(role) ? GetUserNameFromId(role, false) : "everyone",
								 mask != NULL ? mask : "default",
								 unless != NULL ? " unless " : "",
								 unless != NULL ? unless : ""));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Exemptions
 * ---------------------------------------------------------------------- */

/* What an exemption is for: a semantic type, a table, or table.column. */
typedef struct Target
{
	char	   *type;			/* or NULL */
	Oid			relation;
	AttrNumber	attnum;			/* 0: the whole table */
	char	   *column;
} Target;

static Oid
find_table(List *names)
{
	RangeVar   *range = makeRangeVarFromNameList(names);

	return RangeVarGetRelid(range, NoLock, true);
}

static void
resolve_target(const char *text, Target *target)
{
	List	   *names;
	char		relkind;

	memset(target, 0, sizeof(*target));
	if (warden_policy_type_mask(text) != NULL)
	{
		target->type = pstrdup(text);
		return;
	}
	names = textToQualifiedNameList(cstring_to_text(text));
	if (list_length(names) <= 2)
		target->relation = find_table(names);
	if (!OidIsValid(target->relation) && list_length(names) > 1)
	{
		target->column = strVal(llast(names));
		target->relation = find_table(list_truncate(list_copy(names),
													list_length(names) - 1));
		if (OidIsValid(target->relation))
			target->attnum = get_attnum(target->relation, target->column);
	}
	if (!OidIsValid(target->relation) ||
		(target->column != NULL && target->attnum <= 0))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" is no semantic type, table or column", text),
				 errhint("Write a semantic type, schema.table, or schema.table.column.")));
	relkind = get_rel_relkind(target->relation);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE &&
		relkind != RELKIND_FOREIGN_TABLE && relkind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" has no masks that an exemption could lift", text),
				 errhint("Name the table that carries the labels: what views show of it is exempt with it.")));
}

/*
 * warden.grant_exemption(grantee name, target text, until timestamptz,
 *						  reason text) -> bigint
 *
 * Lifts masks for a role until a time; returns the exemption's id.
 */
Datum
warden_sql_grant_exemption(PG_FUNCTION_ARGS)
{
	Target		target;
	char	   *text = required_text(fcinfo, 1, "target");
	char	   *reason = required_text(fcinfo, 3, "reason");
	Write		write = {.sql = "INSERT INTO warden.exemptions (grantee, semantic_type, relation, attnum, attname, until, reason, granted_by)"
		" VALUES ($1::regrole, $2, NULLIF($3, 0)::regclass, $4, $5, $6, $7, $8::regrole) RETURNING id",
	.returning = true};
	Oid			grantee;

	require_admin(fcinfo, "grant_exemption", "grant an exemption");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("grantee or end of the exemption is missing"),
				 errhint("Give a role and a time at which the exemption ends.")));
	if (PG_GETARG_TIMESTAMPTZ(2) <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the exemption would have ended already"),
				 errhint("Give a time in the future, such as now() + interval '1 hour'.")));
	grantee = get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
	resolve_target(text, &target);

	add_argument(&write, OIDOID, ObjectIdGetDatum(grantee), false);
	add_argument(&write, TEXTOID, target.type != NULL ?
				 CStringGetTextDatum(target.type) : (Datum) 0,
				 target.type == NULL);
	add_argument(&write, OIDOID, ObjectIdGetDatum(target.relation), false);
	add_argument(&write, INT2OID, Int16GetDatum(target.attnum), false);
	add_argument(&write, TEXTOID, target.column != NULL ?
				 CStringGetTextDatum(target.column) : (Datum) 0,
				 target.column == NULL);
	add_argument(&write, TIMESTAMPTZOID, PG_GETARG_DATUM(2), false);
	add_argument(&write, TEXTOID, CStringGetTextDatum(reason), false);
	add_argument(&write, OIDOID, ObjectIdGetDatum(GetSessionUserId()), false);
	warden_principal_run_internal(execute_write, &write);
	warden_audit_action("policy", 0,
						psprintf("exemption %lld: %s may read %s: %s",
								 (long long) write.result,
								 NameStr(*PG_GETARG_NAME(0)), text, reason));
	PG_RETURN_INT64(write.result);
}

/*
 * warden.revoke_exemption(id bigint)
 *
 * Ends an exemption now.
 */
Datum
warden_sql_revoke_exemption(PG_FUNCTION_ARGS)
{
	Write		write = {.sql = "DELETE FROM warden.exemptions WHERE id = $1"};

	require_admin(fcinfo, "revoke_exemption", "revoke an exemption");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the number of the exemption is missing"),
				 errhint("See warden.exemptions.")));
	add_argument(&write, INT8OID, PG_GETARG_DATUM(0), false);
	warden_principal_run_internal(execute_write, &write);
	if (write.rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no exemption " INT64_FORMAT,
						PG_GETARG_INT64(0)),
				 errhint("See warden.exemptions.")));
	warden_audit_action("policy", 0,
						psprintf("exemption " INT64_FORMAT " revoked",
								 PG_GETARG_INT64(0)));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Functions
 * ---------------------------------------------------------------------- */

static void
change_function_list(FunctionCallInfo fcinfo, const char *name,
					 const char *sql, const char *action, bool listed)
{
	Oid			funcid = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	Write		write = {.sql = sql};

	require_admin(fcinfo, name, "change the list of functions");
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(funcid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("there is no such function"),
				 errhint("Name a function with the types of its arguments.")));
	if (get_func_namespace(funcid) == warden_catalog_schema())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("functions of schema %s are not for agents to list",
						WARDEN_SCHEMA),
				 errhint("Agents may call warden.propose, warden.withdraw and warden.whoami.")));
	add_argument(&write, TEXTOID,
				 CStringGetTextDatum(warden_function_gate_name(funcid)),
				 false);
	warden_principal_run_internal(execute_write, &write);
	if (listed && write.rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("function %s is not on the list",
						format_procedure(funcid)),
				 errhint("See warden.allowed_functions.")));
	warden_audit_action("policy", 0,
						psprintf("%s %s", action,
								 format_procedure(funcid)));
}

/*
 * warden.allow_function(function regprocedure)
 *
 * Lets agents execute a function that the gate refuses by what it is.
 */
Datum
warden_sql_allow_function(PG_FUNCTION_ARGS)
{
	change_function_list(fcinfo, "allow_function",
						 "INSERT INTO warden.allowed_functions (function) VALUES ($1) ON CONFLICT DO NOTHING",
						 "allow function", false);
	PG_RETURN_VOID();
}

/*
 * warden.disallow_function(function regprocedure)
 *
 * Takes it from the list again.
 */
Datum
warden_sql_disallow_function(PG_FUNCTION_ARGS)
{
	change_function_list(fcinfo, "disallow_function",
						 "DELETE FROM warden.allowed_functions WHERE function = $1",
						 "disallow function", true);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------------
 * Triggers
 * ---------------------------------------------------------------------- */

static char *
column_text(TriggerData *trigger, HeapTuple row, const char *column)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	return SPI_getvalue(row, desc, SPI_fnumber(desc, column));
}

/* A type that is there already gets what the row says, as an update. */
static bool
merged_with_existing(TriggerData *trigger, const char *name, const char *mask)
{
	Write		write = {.sql = "UPDATE warden.semantic_types SET mask = $2 WHERE name = $1"};

	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		warden_policy_type_mask(name) == NULL ||
		strcmp(RelationGetRelationName(trigger->tg_relation),
			   "semantic_types") != 0)
		return false;
	add_argument(&write, TEXTOID, CStringGetTextDatum(name), false);
	add_argument(&write, TEXTOID, CStringGetTextDatum(mask), false);
	warden_principal_run_internal(execute_write, &write);
	return true;
}

/*
 * Row trigger of semantic_types and mask_rules: a mask that can not be is
 * refused however the row is written.  A restore inserts the built-in types,
 * which the install script has made already, and rows whose masks and
 * conditions tables and functions have come not to suit since they were made:
 * refused, one such would take all others of its table with it.  So an INSERT,
 * and the update that it can become, warns of what fails closed when it is
 * used.  (What the functions write they have checked.)
 */
Datum
warden_sql_check_policy_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	row;
	char	   *type;
	char	   *mask;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	type = column_text(trigger, row, trigger->tg_trigger->tgargs[0]);
	mask = column_text(trigger, row, "mask");
	if (type != NULL && mask != NULL)
	{
		/* a restore must not fail for columns that are gone by then */
		(void) check_mask(type, mask, trigger->tg_trigger->tgnargs > 1 ?
				   column_text(trigger, row, trigger->tg_trigger->tgargs[1]) :
				   NULL,
				   TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
				   warden_principal_internal() ? WARNING : ERROR);
		if (merged_with_existing(trigger, type, mask))
			return PointerGetDatum(NULL);
	}
	return PointerGetDatum(row);
}

/* What plain SQL did to a row; the functions say it better themselves. */
static void
audit_edit(TriggerData *trigger)
{
	Relation	rel = trigger->tg_relation;
	TriggerEvent event = trigger->tg_event;
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	const char *row = "all of it";
	Datum		record;

	if (TRIGGER_FIRED_FOR_ROW(event))
	{
		record = heap_copy_tuple_as_datum(tuple, RelationGetDescr(rel));
		row = OidOutputFunctionCall(F_RECORD_OUT, record);
	}
	warden_audit_action("policy", 0,
						psprintf("%s on warden.%s: %s",
								 TRIGGER_FIRED_BY_INSERT(event) ? "INSERT" :
								 TRIGGER_FIRED_BY_UPDATE(event) ? "UPDATE" :
								 TRIGGER_FIRED_BY_DELETE(event) ? "DELETE" :
								 "TRUNCATE", RelationGetRelationName(rel),
								 row));
}

/* Trigger of every policy table: its statements tell all backends. */
Datum
warden_sql_policy_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		truncate;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	truncate = TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event);
	if (!warden_principal_internal() &&
		(truncate || TRIGGER_FIRED_FOR_ROW(trigger->tg_event)))
		audit_edit(trigger);
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		warden_policy_changed();
	return PointerGetDatum(NULL);
}
