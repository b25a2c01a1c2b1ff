/*-------------------------------------------------------------------------
 * label.c
 *	  The label provider "warden": validates labels of roles and columns.
 *
 * ExecSecLabelStmt asks the provider after it has checked that the user owns
 * the object, so an owner may add a label or tighten one; weakening needs
 * warden_admin as well.  Neither pg_seclabel nor pg_shseclabel sends an
 * invalidation of its own, so the provider does.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_shseclabel.h"
#include "commands/seclabel.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "label.h"
#include "mask.h"
#include "mask_recursion.h"
#include "nesting.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

PG_FUNCTION_INFO_V1(warden_sql_label_role);
PG_FUNCTION_INFO_V1(warden_sql_label_column);

/* Set while the library itself writes a label for a warden_admin. */
static bool writing_as_admin = false;

/* One word of a label, without the blanks around it; *label moves on. */
static char *
next_word(const char **label)
{
	const char *start = *label;
	const char *end;

	while (*start == ' ')
		start++;
	for (end = start; *end != '\0' && *end != ','; end++)
		;
	*label = (*end == ',') ? end + 1 : NULL;
	while (end > start && end[-1] == ' ')
		end--;
	return pnstrdup(start, end - start);
}

void
warden_label_parse_column(const char *label, char **type, bool *untrusted)
{
	*untrusted = false;
	*type = next_word(&label);
	while (label != NULL)
	{
		if (strcmp(next_word(&label), "untrusted") == 0)
			*untrusted = true;
	}
}

/* A semantic type's name: letters, digits and underscores. */
static bool
valid_type_name(const char *name)
{
	return name[0] >= 'a' && name[0] <= 'z' &&
		strlen(name) < NAMEDATALEN &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* Refuses what warden_label_parse_column would have to guess at. */
static void
check_column_syntax(const char *label)
{
	const char *rest = label;
	bool		valid = valid_type_name(next_word(&rest));

	while (valid && rest != NULL)
		valid = strcmp(next_word(&rest), "untrusted") == 0;
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a column label", label),
				 errhint("Write a semantic type, as in 'ssn', and attributes after commas, as in 'free_text, untrusted'.")));
}

static bool
is_admin(void)
{
	Oid			admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	return superuser() ||
		(OidIsValid(admin) && has_privs_of_role(GetUserId(), admin));
}

static void
require_admin_to_weaken(void)
{
	if (!writing_as_admin && !is_admin())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a warden label can be weakened or removed by a member of %s only",
						WARDEN_ROLE_ADMIN),
				 errhint("Ask a member of %s; an owner may add a label or tighten one.",
						 WARDEN_ROLE_ADMIN)));
}

/* Labels are policy: no statement of a governed session makes one. */
static void
require_ungoverned(void)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a governed session can not change labels"),
				 errhint("Ask a member of %s.", WARDEN_ROLE_ADMIN)));
}

/* ----------------------------------------------------------------------
 * Roles
 * ---------------------------------------------------------------------- */

char *
warden_label_of_role(Oid roleid)
{
	ObjectAddress address;

	ObjectAddressSet(address, AuthIdRelationId, roleid);
	return GetSecurityLabel(&address, WARDEN_PROVIDER);
}

/* A class that masks for one that records everything takes something, too. */
static bool
class_weakens(WardenClass old, WardenClass new)
{
	return new < old || (old == WARDEN_CLASS_OBSERVED &&
						 new == WARDEN_CLASS_MASKED);
}

static void
check_role_label(Oid roleid, const char *label)
{
	char	   *old = warden_label_of_role(roleid);
	WardenClass new_class = WARDEN_CLASS_NONE;

	if (label != NULL)
		new_class = warden_principal_parse_class(label);
	if (old != NULL && class_weakens(warden_principal_parse_class(old),
									 new_class))
		require_admin_to_weaken();
	if (warden_principal_agents_class(new_class))
	{
		const char *bar = warden_principal_agent_bar(roleid);

		if (bar != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("role \"%s\" can not be an agent: %s",
							GetUserNameFromId(roleid, false), bar),
					 errhint("Make a role of its own for the agent, without such rights.")));
	}
}

/* What names the libraries that a role's logins load. */
#define LOGIN_LIBRARIES "session_preload_libraries"

static bool
is_this_library(const char *name)
{
	const char *base = last_dir_separator(name);

	base = base != NULL ? base + 1 : name;
	return strcmp(base, WARDEN_EXTENSION) == 0 ||
		strcmp(base, WARDEN_EXTENSION DLSUFFIX) == 0;
}

/* The library, by the name under which this server found it. */
static char *
this_library(void)
{
	List	   *libraries;
	ListCell   *cell;

	if (SplitDirectoriesString(pstrdup(shared_preload_libraries_string), ',',
							   &libraries))
	{
		foreach(cell, libraries)
		{
			if (is_this_library(lfirst(cell)))
				return lfirst(cell);
		}
	}
	return pstrdup("$libdir/" WARDEN_EXTENSION);
}

static Node *
string_constant(const char *value)
{
	A_Const    *constant = makeNode(A_Const);

	constant->val.sval.type = T_String;
	constant->val.sval.sval = pstrdup(value);
	constant->location = -1;
	return (Node *) constant;
}

/* One value of session_preload_libraries that a role has of its own. */
typedef struct LoginSetting
{
	Oid			database;		/* InvalidOid: in all that have none */
	List	   *libraries;		/* of char * */
} LoginSetting;

/* The value of session_preload_libraries among settings; false: not there. */
static bool
find_libraries(ArrayType *settings, List **libraries)
{
	ArrayIterator iterator = array_create_iterator(settings, 0, NULL);
	Datum		item;
	bool		isnull;

	while (array_iterate(iterator, &item, &isnull))
	{
		char	   *entry = TextDatumGetCString(item);

		if (strncmp(entry, LOGIN_LIBRARIES "=",
					strlen(LOGIN_LIBRARIES "=")) != 0)
			continue;
		if (!SplitDirectoriesString(entry + strlen(LOGIN_LIBRARIES "="), ',',
									libraries))
			*libraries = NIL;
		return true;
	}
	return false;
}

/* All of a role's; the first is the one for all databases, there or not. */
static List *
login_settings(Oid roleid)
{
	Relation	rel = table_open(DbRoleSettingRelationId, AccessShareLock);
	LoginSetting *general = palloc0(sizeof(LoginSetting));
	List	   *result = list_make1(general);
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_db_role_setting form =
			(Form_pg_db_role_setting) GETSTRUCT(tuple);
		LoginSetting found = {form->setdatabase, NIL};
		bool		isnull;
		Datum		config;

		if (form->setrole != roleid)
			continue;
		config = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig,
							  RelationGetDescr(rel), &isnull);
		if (isnull || !find_libraries(DatumGetArrayTypePCopy(config),
									  &found.libraries))
			continue;
		if (!OidIsValid(found.database))
			*general = found;
		else
		{
			LoginSetting *special = palloc(sizeof(LoginSetting));

			*special = found;
			result = lappend(result, special);
		}
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static void
set_libraries_at_login(Oid database, Oid roleid, List *libraries)
{
	VariableSetStmt *stmt = makeNode(VariableSetStmt);
	Oid			save_userid;
	int			save_sec_context;
	ListCell   *cell;

	stmt->kind = libraries != NIL ? VAR_SET_VALUE : VAR_RESET;
	stmt->name = pstrdup(LOGIN_LIBRARIES);
	foreach(cell, libraries)
		stmt->args = lappend(stmt->args,
							 string_constant(lfirst(cell)));

	/* The setting is a superuser's; who may label need not be one. */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
	AlterSetting(database, roleid, stmt);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	CommandCounterIncrement();
}

/*
 * Without the library nothing governs a labelled role.  So a role that gets a
 * label asks for the library when it logs in: where the shared preload line
 * was lost the library refuses to load that late, and with it the login.  What
 * the role has for one database goes before what it has for all, so the
 * library is put there, too.  (An error resets the user as every error in an
 * outer transaction does.)
 */
static void
require_library_at_login(Oid roleid, bool require)
{
	ListCell   *lc;

	foreach(lc, login_settings(roleid))
	{
		LoginSetting *setting = lfirst(lc);
		List	   *new = NIL;
		ListCell   *cell;

		foreach(cell, setting->libraries)
		{
			if (!is_this_library(lfirst(cell)))
				new = lappend(new, lfirst(cell));
		}
		if (require)
			new = lappend(new, this_library());
		if (list_length(new) != list_length(setting->libraries))
			set_libraries_at_login(setting->database, roleid, new);
	}
}

/* ----------------------------------------------------------------------
 * Columns
 * ---------------------------------------------------------------------- */

static void
check_relkind(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_MATVIEW:
			if (IsSystemRelation(rel) ||
				RelationGetRelid(rel) < FirstNormalObjectId)
				break;
			return;
		case RELKIND_VIEW:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is a view", RelationGetRelationName(rel)),
					 errhint("Label the column of the base table: what views show of it is masked with it.")));
			break;
		default:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("columns of \"%s\" can not be labelled",
					RelationGetRelationName(rel)),
			 errhint("Labels go on columns of tables, partitioned tables, foreign tables and materialized views.")));
}

/* The column that a mask is checked against. */
typedef struct ColumnType
{
	Oid			relid;
	Oid			type;
	int32		typmod;
	Oid			collation;
} ColumnType;

/*
 * Says so where a mask will show NULL, and no more: types, domains and
 * functions change under labels that were made, and when such a label is
 * restored the column would be clear without it.
 */
static void
check_mask(const char *mask, const char *unless, void *arg)
{
	ColumnType *column = arg;

	warden_mask_validate_type(mask, column->type, column->typmod,
							  column->collation, WARNING);
	warden_mask_recursion_check(warden_mask_recursion_reads(mask, unless,
															column->relid),
								column->relid, WARNING);
}

/* How much a label hides by default. */
static int
label_strictness(const char *label)
{
	char	   *type;
	bool		untrusted;
	const char *mask;

	warden_label_parse_column(label, &type, &untrusted);
	mask = warden_policy_type_mask(type);
	return 2 * warden_mask_strictness(mask != NULL ? mask : "full") +
		(untrusted ? 1 : 0);
}

/* A different label that is no stricter counts as weakening, and so does one
 * that shows more to a role which policy treats apart. */
static bool
weakens(const char *old, const char *new)
{
	char	   *old_type;
	char	   *new_type;
	bool		old_untrusted;
	bool		new_untrusted;

	if (new == NULL)
		return true;
	warden_label_parse_column(old, &old_type, &old_untrusted);
	warden_label_parse_column(new, &new_type, &new_untrusted);
	if (old_untrusted && !new_untrusted)
		return true;
	return strcmp(old_type, new_type) != 0 &&
		(label_strictness(new) <= label_strictness(old) ||
		 warden_policy_type_loosens(old_type, new_type));
}

static void
check_column_label(const ObjectAddress *object, const char *label)
{
	Relation	rel = relation_open(object->objectId, NoLock);
	char	   *old = GetSecurityLabel(object, WARDEN_PROVIDER);
	char	   *type;
	bool		untrusted;
	ColumnType	column;

	check_relkind(rel);
	relation_close(rel, NoLock);
	if (label != NULL)
		check_column_syntax(label);
	if (!warden_catalog_installed())
	{
		/* A restore may label before the extension is there: never refused. */
		return;
	}
	if (old != NULL && weakens(old, label))
		require_admin_to_weaken();
	if (label == NULL)
		return;

	warden_label_parse_column(label, &type, &untrusted);
	if (warden_policy_type_mask(type) == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("semantic type \"%s\" is not defined, the column is masked as \"full\"",
						type),
				 errhint("Define it with SELECT warden.define_type('%s', mask), or use one of warden.semantic_types.",
						 type)));
	column.relid = object->objectId;
	get_atttypetypmodcoll(object->objectId, object->objectSubId,
						  &column.type, &column.typmod, &column.collation);
	warden_policy_each_mask(type, check_mask, &column);
}

/* ----------------------------------------------------------------------
 * The provider
 * ---------------------------------------------------------------------- */

/* Records the label as a policy action, where there is a trail for it. */
static void
audit_label(const ObjectAddress *object, const char *label)
{
	if (warden_catalog_installed())
		warden_audit_action("label", 0,
							psprintf("%s IS %s",
									 getObjectDescription(object, false),
									 label != NULL ? quote_literal_cstr(label) : "NULL"));
}

/* check_object_relabel_type: raises when the label can not be. */
static void
relabel(const ObjectAddress *object, const char *label)
{
	if (IsBinaryUpgrade)
		return;
	require_ungoverned();
	if (object->classId == AuthIdRelationId)
		check_role_label(object->objectId, label);
	else if (object->classId == RelationRelationId && object->objectSubId > 0)
		check_column_label(object, label);
	else
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("warden labels go on roles and columns"),
				 errhint("SECURITY LABEL FOR warden ON COLUMN t.c IS 'ssn'; SECURITY LABEL FOR warden ON ROLE r IS 'agent';")));
	audit_label(object, label);

	/* Last: the caller writes the label before these are processed. */
	if (object->classId == AuthIdRelationId)
	{
		require_library_at_login(object->objectId, label != NULL);
		CacheInvalidateRelcacheByRelid(SharedSecLabelRelationId);
	}
	else
		warden_policy_label_changed(object->objectId);
}

static void
set_label(const ObjectAddress *object, const char *label)
{
	writing_as_admin = true;
	PG_TRY();
	{
		relabel(object, label);
		SetSecurityLabel(object, WARDEN_PROVIDER, label);
	}
	PG_FINALLY();
	{
		writing_as_admin = false;
	}
	PG_END_TRY();
}

void
warden_label_set_role(Oid roleid, const char *label)
{
	ObjectAddress address;

	ObjectAddressSet(address, AuthIdRelationId, roleid);
	set_label(&address, label);
}

void
warden_label_set_column(Oid relid, AttrNumber attnum, const char *label)
{
	ObjectAddress address;

	ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
	set_label(&address, label);
}

char *
warden_label_of_column(Oid relid, AttrNumber attnum)
{
	ObjectAddress address;

	ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
	return GetSecurityLabel(&address, WARDEN_PROVIDER);
}

void
warden_label_keep(Oid relid, AttrNumber attnum, const char *label)
{
	ObjectAddress address;

	ObjectAddressSubSet(address, RelationRelationId, relid, attnum);
	SetSecurityLabel(&address, WARDEN_PROVIDER, label);
}

static void
require_admin(FunctionCallInfo fcinfo, const char *name)
{
	if (!is_admin())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to label for others"),
				 errhint("Only members of %s may.", WARDEN_ROLE_ADMIN)));
	warden_nesting_require_toplevel(fcinfo, name,
									WARDEN_ERRCODE_NOT_PERMITTED);
}

/*
 * warden.label_role(role name, class text)
 *
 * As SECURITY LABEL FOR warden ON ROLE, for members of warden_admin.  A NULL
 * class removes the label.
 */
Datum
warden_sql_label_role(PG_FUNCTION_ARGS)
{
	require_admin(fcinfo, "label_role");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("role is missing"),
				 errhint("Name the role to label.")));
	warden_label_set_role(get_role_oid(NameStr(*PG_GETARG_NAME(0)), false),
						  PG_ARGISNULL(1) ? NULL :
						  text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/*
 * warden.label_column("table" regclass, "column" name, label text)
 *
 * As SECURITY LABEL FOR warden ON COLUMN, for members of warden_admin.  A
 * NULL label removes the label.
 */
Datum
warden_sql_label_column(PG_FUNCTION_ARGS)
{
	Oid			relid;
	AttrNumber	attnum;
	Relation	rel;

	require_admin(fcinfo, "label_column");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("table or column is missing"),
				 errhint("Name the column to label.")));
	relid = PG_GETARG_OID(0);
	rel = try_relation_open(relid, ShareUpdateExclusiveLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("Name the table whose column is to be labelled.")));
	attnum = get_attnum(relid, NameStr(*PG_GETARG_NAME(1)));
	if (attnum <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						NameStr(*PG_GETARG_NAME(1)),
						RelationGetRelationName(rel)),
				 errhint("Name a column of the table.")));
	warden_label_set_column(relid, attnum,
							PG_ARGISNULL(2) ? NULL :
							text_to_cstring(PG_GETARG_TEXT_PP(2)));
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}

void
warden_label_init(void)
{
	register_label_provider(WARDEN_PROVIDER, relabel);
}
