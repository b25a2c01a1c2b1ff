/*-------------------------------------------------------------------------
 * row_rules.c
 *	  Whose row rules a query carries.
 *
 * A policy of row security is the declared disclosure of the relation's owner
 * and works on raw values.  Two things look like one and are not: the
 * condition of an updatable security barrier view, which stands in the same
 * list of its target and is part of a query as every view's is; and the policy
 * of a table whose owner is governed, who would read labelled columns of
 * other tables by it, or one that calls a function of the role's own.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "parser/parsetree.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "own_code.h"
#include "row_rules.h"

static bool
calls_own_code(Oid relid, const WardenPrincipal *principal)
{
	Relation	rel = table_open(relid, NoLock);
	bool		result = warden_own_code_in_policies(rel, principal);

	table_close(rel, NoLock);
	return result;
}

bool
warden_row_rules_trusted(Oid relid, const WardenPrincipal *principal)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return !calls_own_code(relid, principal) &&
		!warden_principal_governs(owner) &&
		!is_member_of_role_nosuper(principal->role, owner) &&
		!(principal->login_governed &&
		  is_member_of_role_nosuper(principal->login_role, owner));
}

/*
 * The rewriter puts a target's policies before what its views have left
 * there, so it is asked again how many there are.
 */
List *
warden_row_rules_of_views(Query *query, int rti)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	List	   *policies = NIL;
	List	   *checks = NIL;
	Relation	rel;
	bool		enabled;
	bool		row_security;
	bool		sublinks;

	if (rte->rtekind != RTE_RELATION || rte->securityQuals == NIL)
		return NIL;
	rel = table_open(rte->relid, NoLock);
	enabled = rel->rd_rel->relrowsecurity;
	table_close(rel, NoLock);
	if (enabled)
		get_row_security_policies(query, rte, rti, &policies, &checks,
								  &row_security, &sublinks);
	return list_copy_tail(rte->securityQuals, list_length(policies));
}

/* Every other kind, one of a later minor version too, is a view's. */
bool
warden_row_rules_check_of_policy(const WithCheckOption *check)
{
	switch (check->kind)
	{
		case WCO_RLS_INSERT_CHECK:
		case WCO_RLS_UPDATE_CHECK:
		case WCO_RLS_CONFLICT_CHECK:
		case WCO_RLS_MERGE_UPDATE_CHECK:
		case WCO_RLS_MERGE_DELETE_CHECK:
			return true;
		default:
			return false;
	}
}
