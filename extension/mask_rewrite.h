/*-------------------------------------------------------------------------
 * mask_rewrite.h
 *	  Puts masks in place of labelled columns in a query about to be planned.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MASK_REWRITE_H
#define WARDEN_MASK_REWRITE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "principal.h"

typedef struct WardenRewrite
{
	const WardenPrincipal *principal;
	ParamListInfo params;		/* bind values, for inlining functions */
	TimestampTz expires;		/* out: earliest end of an exemption used */
	List	   *invalItems;		/* out: of functions that were inlined */
	List	   *masked;			/* out: resnos of results that are masked */
	List	   *untrusted;		/* out: resnos that outsiders wrote */
	bool		any;			/* out: something was masked */
	bool		any_untrusted;	/* out: a relation has untrusted columns */
} WardenRewrite;

/*
 * Rewrites the query in place, its subqueries, CTEs, sublinks and inlinable
 * set-returning functions included, so that it runs as if every table held
 * the masked values.  Row security quals keep seeing raw ones.  Raises WD004
 * for a relation whose copies can not be masked.
 */
extern void warden_mask_rewrite(Query *query, WardenRewrite *rewrite);

#endif							/* WARDEN_MASK_REWRITE_H */
