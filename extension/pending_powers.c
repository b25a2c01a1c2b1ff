/*-------------------------------------------------------------------------
 * pending_powers.c
 *	  What a change that is being applied or previewed may not do with the
 *	  powers of a superuser that a SECURITY DEFINER function lends it.
 *
 * The apply role is no superuser.  A careless function that runs SQL as one
 * must not become the way for a change to leave code behind that has these
 * powers later, when nobody watches: in views, functions or triggers, in other
 * sessions, or outside of the database.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "pending.h"
#include "warden.h"

/* These act on all sessions, or on other servers, or run as a superuser. */
static const NodeTag never[] = {
	T_AlterEventTrigStmt,
	T_AlterExtensionContentsStmt,
	T_AlterExtensionStmt,
	T_AlterSubscriptionStmt,
	T_AlterSystemStmt,
	T_CreateEventTrigStmt,
	T_CreateExtensionStmt,
	T_CreatePLangStmt,
	T_CreateSubscriptionStmt,
	T_DropSubscriptionStmt
};

/* These leave code behind, or rights. */
static const NodeTag not_as_superuser[] = {
	T_AlterDatabaseSetStmt,
	T_AlterFdwStmt,
	T_AlterForeignServerStmt,
	T_AlterFunctionStmt,
	T_AlterPolicyStmt,
	T_AlterRoleSetStmt,
	T_AlterRoleStmt,
	T_AlterUserMappingStmt,
	T_CreateCastStmt,
	T_CreateFdwStmt,
	T_CreateForeignServerStmt,
	T_CreateFunctionStmt,
	T_CreateOpClassStmt,
	T_CreatePolicyStmt,
	T_CreateRoleStmt,
	T_CreateTransformStmt,
	T_CreateTrigStmt,
	T_CreateUserMappingStmt,
	T_DefineStmt,
	T_GrantRoleStmt,
	T_RuleStmt,
	T_ViewStmt
};

static bool
is_listed(const NodeTag *tags, int n, Node *stmt)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (tags[i] == nodeTag(stmt))
			return true;
	}
	return false;
}

static void
refuse_power(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a change can not run %s", what),
			 errdetail("It would act beyond the change, with more rights than the apply role has."),
			 errhint("An administrator runs that in a statement of their own.")));
}

/* What it makes would run, or be read, with the rights of a superuser. */
static void
check_owner(RoleSpec *owner)
{
	if (superuser_arg(get_rolespec_oid(owner, false)))
		refuse_power("OWNER TO a superuser");
}

static void
check_alter_table(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		if (cmd->subtype == AT_ChangeOwner)
			check_owner(cmd->newowner);
	}
}

/* The tables of the library are among all tables. */
static void
check_all_tables(bool for_all_tables)
{
	if (for_all_tables)
		refuse_power("FOR ALL TABLES");
}

/* Later it would be filled as its owner. */
static bool
is_materialized(Node *stmt)
{
	return IsA(stmt, CreateTableAsStmt) &&
		((CreateTableAsStmt *) stmt)->objtype == OBJECT_MATVIEW;
}

static bool
is_file_copy(Node *stmt)
{
	return IsA(stmt, CopyStmt) && ((CopyStmt *) stmt)->filename != NULL;
}

void
warden_powers_check_utility(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterOwnerStmt:
			check_owner(((AlterOwnerStmt *) stmt)->newowner);
			break;
		case T_ReassignOwnedStmt:
			check_owner(((ReassignOwnedStmt *) stmt)->newrole);
			break;
		case T_AlterTableStmt:
			check_alter_table((AlterTableStmt *) stmt);
			break;
		case T_CreatePublicationStmt:
			check_all_tables(((CreatePublicationStmt *) stmt)->for_all_tables);
			break;
		case T_AlterPublicationStmt:
			check_all_tables(((AlterPublicationStmt *) stmt)->for_all_tables);
			break;
		default:
			break;
	}
	if (is_listed(never, lengthof(never), stmt) ||
		(superuser() &&
		 (is_listed(not_as_superuser, lengthof(not_as_superuser), stmt) ||
		  is_materialized(stmt) || is_file_copy(stmt))))
		refuse_power(CreateCommandName(stmt));
}

/* The catalogs are the state of everything else. */
void
warden_powers_check_relation(Oid relid, AclMode required)
{
	if ((required & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)) != 0 &&
		IsCatalogRelationOid(relid) &&
		get_rel_relkind(relid) == RELKIND_RELATION)
		refuse_power("a write to the system catalogs");
}

/* Twins of COPY with a file. */
void
warden_powers_check_function(Oid function)
{
	if (function == F_LO_EXPORT || function == F_LO_IMPORT_TEXT ||
		function == F_LO_IMPORT_TEXT_OID)
		refuse_power("a function that reads or writes files of the server");
}
