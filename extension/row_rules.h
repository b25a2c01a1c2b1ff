/*-------------------------------------------------------------------------
 * row_rules.h
 *	  Whose row rules a query carries: the owner's, which work on raw values,
 *	  or what a governed role could have written.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_ROW_RULES_H
#define WARDEN_ROW_RULES_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "principal.h"

/*
 * Whether row security policies of the relation may see raw values: neither
 * is its owner governed, nor could the principal have made them as the owner.
 */
extern bool warden_row_rules_trusted(Oid relid,
									 const WardenPrincipal *principal);

/* The securityQuals of a target that came from security barrier views. */
extern List *warden_row_rules_of_views(Query *query, int rti);

/* Whether a check of new rows is a policy's and not a view's. */
extern bool warden_row_rules_check_of_policy(const WithCheckOption *check);

#endif							/* WARDEN_ROW_RULES_H */
