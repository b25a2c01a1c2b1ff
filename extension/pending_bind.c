/*-------------------------------------------------------------------------
 * pending_bind.c
 *	  What a change that is being applied or previewed may not do, with
 *	  whoever's rights a function of its gives it.
 *
 * Invariant:
 * - Nothing of schema warden is read, written, altered, dropped or given
 *	 away, and no group role of the library is granted.
 *
 * What would stay in the session is refused in pending_lasting.c, what would
 * act with more rights later in pending_powers.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/seclabel.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "catalog.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"

static void
refuse_own_schema(void)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a change can not touch schema \"%s\"", WARDEN_SCHEMA),
			 errhint("An administrator makes policy in statements of their own.")));
}

/* Through a function with its owner's rights, say. */
void
warden_apply_check_relations(List *rangeTable, List *permInfos)
{
	ListCell   *cell;

	if (warden_principal_internal())
		return;
	foreach(cell, rangeTable)
	{
		RangeTblEntry *rte = lfirst(cell);
		WardenPerms *perms;

		if (rte->rtekind != RTE_RELATION)
			continue;
		perms = warden_rte_perms(permInfos, rte);
		if (perms == NULL || perms->requiredPerms == 0)
			continue;
		if (get_rel_namespace(rte->relid) == warden_catalog_schema())
			refuse_own_schema();
		warden_powers_check_relation(rte->relid, perms->requiredPerms);
	}
}

/* Objects that belong to a relation, or say which one they reach. */
static const struct
{
	Oid			classid;
	AttrNumber	relid;
} parts[] = {
	{TriggerRelationId, Anum_pg_trigger_tgrelid},
	{RewriteRelationId, Anum_pg_rewrite_ev_class},
	{PolicyRelationId, Anum_pg_policy_polrelid},
	{StatisticExtRelationId, Anum_pg_statistic_ext_stxrelid},
	{ConstraintRelationId, Anum_pg_constraint_conrelid},
	{ConstraintRelationId, Anum_pg_constraint_confrelid}
};

static bool
is_own_schema(Oid schema)
{
	return OidIsValid(schema) && schema == warden_catalog_schema();
}

static bool
is_own_extension(Oid extension)
{
	char	   *name = get_extension_name(extension);

	return name != NULL && strcmp(name, WARDEN_EXTENSION) == 0;
}

static Oid
tuple_oid(TupleDesc desc, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/* By its own schema, or that of a relation. */
static bool
is_own_tuple(Oid classid, TupleDesc desc, HeapTuple tuple)
{
	AttrNumber	schema = get_object_attnum_namespace(classid);
	int			i;

	if (schema != InvalidAttrNumber &&
		is_own_schema(tuple_oid(desc, tuple, schema)))
		return true;
	for (i = 0; i < (int) lengthof(parts); i++)
	{
		if (parts[i].classid == classid &&
			is_own_schema(get_rel_namespace(tuple_oid(desc, tuple,
													  parts[i].relid))))
			return true;
	}
	return false;
}

/* With SnapshotSelf as the command under way has just made it. */
static bool
is_own_seen(Oid classid, Oid objid, Snapshot snapshot)
{
	Relation	catalog = table_open(classid, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		own = false;

	ScanKeyInit(&key, get_object_attnum_oid(classid), BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(catalog, get_object_oid_index(classid), true,
							  snapshot, 1, &key);
	while (!own && HeapTupleIsValid(tuple = systable_getnext(scan)))
		own = is_own_tuple(classid, RelationGetDescr(catalog), tuple);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return own;
}

static bool
is_own_object(Oid classid, Oid objid)
{
	if (classid == NamespaceRelationId)
		return is_own_schema(objid);
	if (classid == ExtensionRelationId)
		return is_own_extension(objid);
	if (!is_objectclass_supported(classid))
		return false;
	/* as it was, and as it is now */
	return is_own_seen(classid, objid, NULL) ||
		is_own_seen(classid, objid, SnapshotSelf);
}

/* A group of the library, or one who has its authority or could take it. */
static bool
is_own_role(const char *name)
{
	static const char *const groups[] = {
		WARDEN_ROLE_ADMIN, WARDEN_ROLE_REVIEWER, WARDEN_ROLE_AUDITOR,
		WARDEN_ROLE_GATEWAY, WARDEN_ROLE_REFRESHER
	};
	int			i;

	Oid			role = name != NULL ? get_role_oid(name, true) : InvalidOid;

	for (i = 0; OidIsValid(role) && i < (int) lengthof(groups); i++)
	{
		if (warden_principal_is_member(role, groups[i]))
			return true;
	}
	return OidIsValid(role) && superuser_arg(role);
}

static void
check_role(const char *name)
{
	if (is_own_role(name))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not grant, revoke or alter role \"%s\"",
						name),
				 errhint("An administrator does that in a statement of their own.")));
}

/* DDL has looked the object up or made it, however it was named. */
void
warden_apply_check_object(ObjectAccessType access, Oid classid, Oid objid,
						  void *arg)
{
	if (warden_principal_internal())
		return;
	warden_lasting_check_object(access, classid, objid);
	if (classid == InheritsRelationId)
	{
		/* a row of a child is a row of its parent */
		Oid			parent = access == OAT_POST_ALTER && arg != NULL ?
		((ObjectAccessPostAlter *) arg)->auxiliary_id : InvalidOid;

		if (is_own_schema(get_rel_namespace(parent)) ||
			is_own_schema(get_rel_namespace(objid)))
			refuse_own_schema();
	}
	else if (classid == AuthIdRelationId)
	{
		if (access != OAT_POST_CREATE)
			check_role(GetUserNameFromId(objid, true));
	}
	else if (is_own_object(classid, objid))
		refuse_own_schema();
}

/* COMMENT and the like, which no hook is told of. */
static void
check_named(ObjectType type, Node *object)
{
	Relation	relation = NULL;
	ObjectAddress address;

	if (type == OBJECT_ROLE)
	{
		check_role(strVal(object));
		return;
	}
	address = get_object_address(type, object, &relation, AccessShareLock,
								 true);
	if (relation != NULL)
		relation_close(relation, NoLock);
	if (OidIsValid(address.objectId) &&
		is_own_object(address.classId, address.objectId))
		refuse_own_schema();
}

/* Labels are policy: a change may add one, and alter none. */
static void
check_label(SecLabelStmt *stmt)
{
	Relation	relation = NULL;
	ObjectAddress address;

	if (stmt->objtype == OBJECT_ROLE)
		refuse_own_schema();
	check_named(stmt->objtype, stmt->object);
	if (stmt->provider != NULL &&
		strcmp(stmt->provider, WARDEN_PROVIDER) != 0)
		return;
	address = get_object_address(stmt->objtype, stmt->object, &relation,
								 AccessShareLock, true);
	if (relation != NULL)
		relation_close(relation, NoLock);
	if (OidIsValid(address.objectId) &&
		GetSecurityLabel(&address, WARDEN_PROVIDER) != NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not alter or remove a label"),
				 errhint("An administrator makes policy in statements of their own.")));
}

static void
check_relation(const RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);

	if (OidIsValid(relid) &&
		get_rel_namespace(relid) == warden_catalog_schema())
		refuse_own_schema();
}

/* An object that is made, by its name in full or the first of the path. */
static void
check_created(List *names)
{
	char	   *name;

	if (QualifiedNameGetCreationNamespace(names, &name) ==
		warden_catalog_schema())
		refuse_own_schema();
}

static void
check_created_relation(RangeVar *relation)
{
	if (relation->schemaname != NULL &&
		strcmp(relation->schemaname, WARDEN_SCHEMA) == 0)
		refuse_own_schema();
}

/* One object of GRANT or REVOKE, or with "whole" the name of a schema. */
static void
check_granted(ObjectType type, bool whole, Node *object)
{
	Oid			function;

	if (whole || type == OBJECT_SCHEMA)
	{
		if (strcmp(strVal(object), WARDEN_SCHEMA) == 0)
			refuse_own_schema();
	}
	else if (type == OBJECT_TABLE || type == OBJECT_SEQUENCE)
		check_relation((RangeVar *) object);
	else if (type == OBJECT_FUNCTION || type == OBJECT_PROCEDURE ||
			 type == OBJECT_ROUTINE)
	{
		function = LookupFuncWithArgs(type, (ObjectWithArgs *) object, true);
		if (OidIsValid(function) &&
			get_func_namespace(function) == warden_catalog_schema())
			refuse_own_schema();
	}
}

static void
check_grant(GrantStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->targtype == ACL_TARGET_DEFAULTS ? NIL : stmt->objects)
		check_granted(stmt->objtype,
					  stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA,
					  lfirst(cell));
}

static void
check_grant_role(GrantRoleStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->granted_roles)
		check_role(lfirst_node(AccessPriv, cell)->priv_name);
}

static void
check_roles(List *roles)
{
	ListCell   *cell;

	foreach(cell, roles)
	{
		RoleSpec   *role = lfirst_node(RoleSpec, cell);

		if (role->roletype != ROLESPEC_PUBLIC)
			check_role(get_rolespec_name(role));
	}
}

/* CREATE ROLE ... IN ROLE */
static void
check_create_role(CreateRoleStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "addroleto") == 0)
			check_roles(castNode(List, option->arg));
	}
}

static void
check_default_privileges(AlterDefaultPrivilegesStmt *stmt)
{
	ListCell   *cell;
	ListCell   *schema;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "schemas") != 0)
			continue;
		foreach(schema, castNode(List, option->arg))
		{
			if (strcmp(strVal(lfirst(schema)), WARDEN_SCHEMA) == 0)
				refuse_own_schema();
		}
	}
}

/* ALTER ROLE and ALTER DATABASE ... SET, for every session to come. */
static void
check_setting(VariableSetStmt *stmt)
{
	if (stmt->name != NULL &&
		pg_strncasecmp(stmt->name, WARDEN_SCHEMA ".",
					   strlen(WARDEN_SCHEMA ".")) == 0)
		refuse_own_schema();
}

static Oid
published_schema(const PublicationObjSpec *object)
{
	List	   *path;

	if (object->name != NULL)
		return get_namespace_oid(object->name, true);
	path = fetch_search_path(false);
	return path != NIL ? linitial_oid(path) : InvalidOid;
}

static void
check_publication(List *objects)
{
	ListCell   *cell;

	foreach(cell, objects)
	{
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, cell);

		if (object->pubtable != NULL)
			check_relation(object->pubtable->relation);
		else if (is_own_schema(published_schema(object)))
			refuse_own_schema();
	}
}

/* Who belongs to the roles of the library, and what they may do. */
static void
check_authority(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			check_grant((GrantStmt *) stmt);
			break;
		case T_GrantRoleStmt:
			check_grant_role((GrantRoleStmt *) stmt);
			break;
		case T_CreateRoleStmt:
			check_create_role((CreateRoleStmt *) stmt);
			break;
		case T_AlterRoleStmt:
			check_roles(list_make1(((AlterRoleStmt *) stmt)->role));
			break;
		case T_AlterDefaultPrivilegesStmt:
			check_default_privileges((AlterDefaultPrivilegesStmt *) stmt);
			break;
		case T_DropOwnedStmt:
			check_roles(((DropOwnedStmt *) stmt)->roles);
			break;
		case T_ReassignOwnedStmt:
			check_roles(((ReassignOwnedStmt *) stmt)->roles);
			break;
		case T_AlterRoleSetStmt:
			check_setting(((AlterRoleSetStmt *) stmt)->setstmt);
			break;
		case T_AlterDatabaseSetStmt:
			check_setting(((AlterDatabaseSetStmt *) stmt)->setstmt);
			break;
		case T_CreatePublicationStmt:
			check_publication(((CreatePublicationStmt *) stmt)->pubobjects);
			break;
		case T_AlterPublicationStmt:
			check_publication(((AlterPublicationStmt *) stmt)->pubobjects);
			break;
		default:
			break;
	}
}

/* Early, where the hooks would come late or not at all. */
void
warden_apply_check_utility(Node *stmt)
{
	if (GetCommandLogLevel(stmt) == LOGSTMT_DDL)
		warden_apply_note_ddl();
	warden_lasting_check_utility(stmt);
	check_authority(stmt);
	switch (nodeTag(stmt))
	{
		case T_TruncateStmt:
		case T_DropStmt:
		case T_AlterTableStmt:
		case T_RenameStmt:
			/* rows go, or take another form, without being changed */
			warden_images_give_up("it also drops, truncates or alters something");
			break;
		case T_CommentStmt:
			check_named(((CommentStmt *) stmt)->objtype,
						((CommentStmt *) stmt)->object);
			break;
		case T_SecLabelStmt:
			check_label((SecLabelStmt *) stmt);
			break;
		case T_CreateTrigStmt:
			check_relation(((CreateTrigStmt *) stmt)->relation);
			break;
		case T_RuleStmt:
			check_relation(((RuleStmt *) stmt)->relation);
			break;
		case T_CreatePolicyStmt:
			check_relation(((CreatePolicyStmt *) stmt)->table);
			break;
		case T_CreateFunctionStmt:
			check_created(((CreateFunctionStmt *) stmt)->funcname);
			break;
		case T_CreateStmt:
			check_created_relation(((CreateStmt *) stmt)->relation);
			break;
		case T_CreateTableAsStmt:
			check_created_relation(((CreateTableAsStmt *) stmt)->into->rel);
			break;
		case T_ViewStmt:
			check_created_relation(((ViewStmt *) stmt)->view);
			break;
		case T_IndexStmt:
			check_relation(((IndexStmt *) stmt)->relation);
			break;
		default:
			break;
	}
	warden_powers_check_utility(stmt);
}
