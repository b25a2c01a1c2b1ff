/*-------------------------------------------------------------------------
 * pending_bind.c
 *	  What a change that is being applied or previewed may not do, with
 *	  whoever's rights a function of its gives it.
 *
 * Invariants:
 * - Nothing of schema warden is read, written, altered, dropped or given
 *	 away, and no group role of the library is granted.
 * - Nothing is left to the session that the change runs on.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "catalog.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"

/* They take or give back locks that last as long as the session. */
static const Oid session_lock_functions[] = {
	F_PG_ADVISORY_LOCK_INT8,
	F_PG_ADVISORY_LOCK_INT4_INT4,
	F_PG_ADVISORY_LOCK_SHARED_INT8,
	F_PG_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_INT8,
	F_PG_TRY_ADVISORY_LOCK_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT8,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_INT8,
	F_PG_ADVISORY_UNLOCK_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_SHARED_INT8,
	F_PG_ADVISORY_UNLOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_ALL
};

void
warden_apply_check_function(Oid function)
{
	int			i;

	for (i = 0; i < (int) lengthof(session_lock_functions); i++)
	{
		if (function == session_lock_functions[i])
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("a change can not take or release session locks"),
					 errhint("Use pg_advisory_xact_lock(), which ends with the change.")));
	}
}

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
		if (perms != NULL && perms->requiredPerms != 0 &&
			get_rel_namespace(rte->relid) == warden_catalog_schema())
			refuse_own_schema();
	}
}

/* Objects that belong to a relation: their catalog, and where it says whose. */
static const struct
{
	Oid			classid;
	AttrNumber	oid;
	AttrNumber	relid;
} parts[] = {
	{TriggerRelationId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid},
	{RewriteRelationId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class},
	{PolicyRelationId, Anum_pg_policy_oid, Anum_pg_policy_polrelid},
	{ConstraintRelationId, Anum_pg_constraint_oid,
	Anum_pg_constraint_conrelid}
};

/* The relation that an object is a part of, or InvalidOid. */
static Oid
whole_of(Oid classid, Oid objid)
{
	Relation	catalog;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;
	bool		isnull;
	int			i;

	for (i = 0; i < (int) lengthof(parts); i++)
	{
		if (parts[i].classid == classid)
			break;
	}
	if (i == (int) lengthof(parts))
		return InvalidOid;
	catalog = table_open(classid, AccessShareLock);
	tuple = get_catalog_object_by_oid(catalog, parts[i].oid, objid);
	if (HeapTupleIsValid(tuple))
		relid = DatumGetObjectId(heap_getattr(tuple, parts[i].relid,
											  RelationGetDescr(catalog),
											  &isnull));
	table_close(catalog, AccessShareLock);
	return relid;
}

static bool
is_own_extension(Oid extension)
{
	char	   *name = get_extension_name(extension);

	return name != NULL && strcmp(name, WARDEN_EXTENSION) == 0;
}

/* DDL has looked the object up, however it was named. */
void
warden_apply_check_object(Oid classid, Oid objid)
{
	Oid			schema = InvalidOid;

	if (warden_principal_internal())
		return;
	if (classid == NamespaceRelationId)
		schema = objid;
	else if (classid == RelationRelationId)
		schema = get_rel_namespace(objid);
	else if (classid == ProcedureRelationId)
		schema = get_func_namespace(objid);
	else if (classid == ExtensionRelationId && is_own_extension(objid))
		schema = warden_catalog_schema();
	else
		schema = get_rel_namespace(whole_of(classid, objid));
	if (OidIsValid(schema) && schema == warden_catalog_schema())
		refuse_own_schema();
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

static void
check_extension(const char *name)
{
	if (strcmp(name, WARDEN_EXTENSION) == 0)
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
	static const char *const groups[] = {
		WARDEN_ROLE_ADMIN, WARDEN_ROLE_REVIEWER, WARDEN_ROLE_AUDITOR,
		WARDEN_ROLE_GATEWAY, WARDEN_ROLE_REFRESHER
	};
	ListCell   *cell;
	int			i;

	foreach(cell, stmt->granted_roles)
	{
		const char *name = lfirst_node(AccessPriv, cell)->priv_name;

		for (i = 0; name != NULL && i < (int) lengthof(groups); i++)
		{
			if (strcmp(name, groups[i]) == 0)
				ereport(ERROR,
						(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
						 errmsg("a change can not grant or revoke role \"%s\"",
								name),
						 errhint("An administrator does that in a statement of their own.")));
		}
	}
}

static void
refuse_lasting(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a change can not run %s", what),
			 errdetail("It would last longer than the change, in the session that applies it."),
			 errhint("Leave it out.")));
}

void
warden_apply_check_utility(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DeclareCursorStmt:
			if (((DeclareCursorStmt *) stmt)->options & CURSOR_OPT_HOLD)
				refuse_lasting("DECLARE ... WITH HOLD");
			break;
		case T_ClosePortalStmt:
			if (((ClosePortalStmt *) stmt)->portalname == NULL)
				refuse_lasting("CLOSE ALL");
			break;
		case T_PrepareStmt:
			refuse_lasting("PREPARE");
			break;
		case T_DeallocateStmt:
			refuse_lasting("DEALLOCATE");
			break;
		case T_ListenStmt:
			refuse_lasting("LISTEN");
			break;
		case T_UnlistenStmt:
			refuse_lasting("UNLISTEN");
			break;
		case T_DiscardStmt:
			refuse_lasting("DISCARD");
			break;
		case T_LoadStmt:
			refuse_lasting("LOAD");
			break;
		case T_TruncateStmt:
		case T_DropStmt:
		case T_AlterTableStmt:
		case T_RenameStmt:
			/* rows go, or take another form, without being changed */
			warden_images_give_up("it also drops, truncates or alters something");
			break;
		case T_SecLabelStmt:
			if (((SecLabelStmt *) stmt)->objtype == OBJECT_ROLE)
				refuse_own_schema();
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
		case T_AlterExtensionStmt:
			check_extension(((AlterExtensionStmt *) stmt)->extname);
			break;
		case T_AlterExtensionContentsStmt:
			check_extension(((AlterExtensionContentsStmt *) stmt)->extname);
			break;
		case T_GrantStmt:
			check_grant((GrantStmt *) stmt);
			break;
		case T_GrantRoleStmt:
			check_grant_role((GrantRoleStmt *) stmt);
			break;
		default:
			break;
	}
}
