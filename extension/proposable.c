/*-------------------------------------------------------------------------
 * proposable.c
 *	  What warden.proposable lets agents propose: privileges on objects,
 *	  owners, functions with their owner's rights.
 *
 * Invariants:
 * - A class that has no row, or no table to have it in, is off.
 * - No role that is governed, or that a governed one could act as, and none
 *	 with powers over the server or the library is given or loses anything.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_shseclabel.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "compat.h"
#include "identity_scan.h"
#include "principal.h"
#include "proposable.h"
#include "warden.h"

/* Columns of warden.proposable. */
#define PROPOSABLE_CLASS	1
#define PROPOSABLE_ENABLED	2

bool
warden_proposable_enabled(const char *class)
{
	WardenScan	scan;
	HeapTuple	tuple;
	bool		enabled = false;

	if (!warden_scan_begin(&scan, "proposable", NULL, 0, NULL))
		return false;
	while (HeapTupleIsValid(tuple = warden_scan_next(&scan)))
	{
		char		name[NAMEDATALEN];
		bool		isnull;
		Datum		value;

		warden_scan_text(&scan, tuple, PROPOSABLE_CLASS, name, sizeof(name));
		value = warden_scan_column(&scan, tuple, PROPOSABLE_ENABLED, &isnull);
		if (strcmp(name, class) == 0)
			enabled = !isnull && DatumGetBool(value);
	}
	warden_scan_end(&scan);
	return enabled;
}

/* ---- roles -------------------------------------------------------------- */

/* A labelled role is this one, acts as it, or is what it could act as. */
static bool
reaches_governed(Oid role)
{
	Relation	rel = table_open(SharedSecLabelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shseclabel form = (Form_pg_shseclabel) GETSTRUCT(tuple);
		Datum		provider;
		bool		isnull;

		if (form->classoid != AuthIdRelationId)
			continue;
		provider = heap_getattr(tuple, Anum_pg_shseclabel_provider,
								RelationGetDescr(rel), &isnull);
		if (!isnull && strcmp(TextDatumGetCString(provider),
							  WARDEN_PROVIDER) == 0)
			found = is_member_of_role_nosuper(form->objoid, role) ||
				is_member_of_role_nosuper(role, form->objoid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Why a change may give a role nothing and take nothing from it, or NULL. */
static const char *
role_bar(RoleSpec *spec, bool may_be_public)
{
	const char *bar;
	Oid			role;

	if (spec->roletype == ROLESPEC_PUBLIC && may_be_public)
		return NULL;
	if (spec->roletype != ROLESPEC_CSTRING)
		return "who is meant depends on who applies it";
	role = get_role_oid(spec->rolename, true);
	if (!OidIsValid(role))
		return psprintf("role \"%s\" does not exist", spec->rolename);
	if (role < FirstNormalObjectId)
		return psprintf("role \"%s\" is the server's own", spec->rolename);
	bar = warden_principal_agent_bar(role);
	if (bar != NULL)
		return psprintf("role \"%s\" is not for changes: %s", spec->rolename,
						bar);
	if (reaches_governed(role))
		return psprintf("role \"%s\" is governed, or shares its rights with one that is",
						spec->rolename);
	return NULL;
}

/* The first such reason of the roles that a statement names, or NULL. */
static const char *
roles_bar(Node *stmt)
{
	const char *bar = NULL;
	ListCell   *cell;

	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			foreach(cell, ((GrantStmt *) stmt)->grantees)
			{
				if (bar == NULL)
					bar = role_bar(lfirst_node(RoleSpec, cell), true);
			}
			return bar;
		case T_AlterOwnerStmt:
			return role_bar(((AlterOwnerStmt *) stmt)->newowner, false);
		case T_AlterTableStmt:
			foreach(cell, ((AlterTableStmt *) stmt)->cmds)
			{
				AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

				if (bar == NULL && cmd->subtype == AT_ChangeOwner)
					bar = role_bar(cmd->newowner, false);
			}
			return bar;
		default:
			return NULL;
	}
}

#define ROLES_HINT	"Name an ordinary role that no agent can act as; ask an administrator for anything else."

bool
warden_proposable_permits(Node *stmt, const char **reason, const char **hint)
{
	const char *bar;

	if (!warden_proposable_enabled(IsA(stmt, GrantStmt) ?
								   WARDEN_PROPOSABLE_PRIVILEGES :
								   WARDEN_PROPOSABLE_OWNER))
		return false;
	bar = roles_bar(stmt);
	if (bar == NULL)
		return true;
	*reason = bar;
	*hint = ROLES_HINT;
	return false;
}

void
warden_proposable_check_roles(Node *stmt)
{
	const char *bar = roles_bar(stmt);

	if (bar != NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not do this: %s", bar),
				 errhint(ROLES_HINT)));
}
