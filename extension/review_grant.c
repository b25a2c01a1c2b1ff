/*-------------------------------------------------------------------------
 * review_grant.c
 *	  Review of what changes who may do what: privileges and owners.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "compat.h"
#include "review_private.h"

static bool
names_public(GrantStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->grantees)
	{
		if (lfirst_node(RoleSpec, cell)->roletype == ROLESPEC_PUBLIC)
			return true;
	}
	return false;
}

/* Whole relations, or columns by name of which one is labelled. */
static bool
covers_labelled(WardenReviewContext *context, GrantStmt *stmt)
{
	ListCell   *cell;
	ListCell   *object;
	ListCell   *column;
	ReviewTable table;

	foreach(cell, stmt->privileges)
	{
		AccessPriv *privilege = lfirst_node(AccessPriv, cell);

		if (privilege->cols == NIL)
			return true;
		foreach(object, stmt->objects)
		{
			if (!IsA(lfirst(object), RangeVar))
				continue;
			warden_review_table(context, lfirst(object), &table);
			foreach(column, privilege->cols)
			{
				if (warden_review_labelled(context, table.relid,
										   strVal(lfirst(column))))
					return true;
			}
		}
	}
	return stmt->privileges == NIL;
}

static void
review_granted(WardenReviewContext *context, GrantStmt *stmt)
{
	char	   *labelled;

	warden_review_add(context, "grant.privileges", -1,
					  pstrdup(stmt->is_grant ? "gives privileges away" :
							  "takes privileges away"),
					  stmt->is_grant ?
					  "Check who is in these roles and what they need." :
					  "Check what runs as these roles.");
	if (!stmt->is_grant)
		return;
	if (names_public(stmt))
		warden_review_add(context, "grant.public", -1,
						  pstrdup("every role may do it then, agents included"),
						  "Name the roles that need it.");
	if (stmt->grant_option)
		warden_review_add(context, "grant.option", -1,
						  pstrdup("those who are given it can give it to others"),
						  "Leave WITH GRANT OPTION out.");
	labelled = warden_review_labelled_target(context, (Node *) stmt);
	if (labelled != NULL && covers_labelled(context, stmt))
		warden_review_add(context, "grant.labelled", -1,
						  psprintf("gives rights on \"%s\", which has labelled columns",
								   labelled),
						  "Ungoverned roles see them clear: grant the other columns only.");
}

void
warden_review_owner(WardenReviewContext *context, RoleSpec *owner)
{
	warden_review_add(context, "owner.change", -1,
					  psprintf("makes %s the owner, who may do anything with it",
							   owner->rolename != NULL ?
							   quote_identifier(owner->rolename) :
							   "another role"),
					  "Grant the privileges that are needed instead.");
}

bool
warden_review_grant(WardenReviewContext *context, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			review_granted(context, (GrantStmt *) stmt);
			return true;
		case T_AlterOwnerStmt:
			warden_review_owner(context, ((AlterOwnerStmt *) stmt)->newowner);
			return true;
		default:
			return false;
	}
}
