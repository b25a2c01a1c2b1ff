/*-------------------------------------------------------------------------
 * mask_output.h
 *	  What stands for a column of a relation: itself, or its mask.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MASK_OUTPUT_H
#define WARDEN_MASK_OUTPUT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/parsenodes.h"
#include "policy.h"
#include "principal.h"
#include "utils/rel.h"

/*
 * The masks of a relation's columns by attribute number, and whether there
 * are any.  Lowers *expires to the earliest end of an exemption relied on.
 */
extern WardenMask *warden_mask_output_collect(Relation rel,
											  const WardenPrincipal *principal,
											  TimestampTz *expires, bool *any);

/* An output for the column of range table entry varno; NULL when dropped. */
extern TargetEntry *warden_mask_output_make(Form_pg_attribute att,
											WardenMask mask, Relation rel,
											int varno);

/* What stands for a masked column that nothing in the query names. */
extern TargetEntry *warden_mask_output_unread(Form_pg_attribute att,
											  WardenMask mask);

/* The expression with those outputs in place of rte's columns. */
extern Node *warden_mask_output_replace(Node *node, int varno,
										RangeTblEntry *rte, List *outputs);

/*
 * Masks what a write that will not run says of its target.  Its plan is made
 * for EXPLAIN, and to name the columns of RETURNING.
 */
extern void warden_mask_output_target(Query *query,
									  const WardenPrincipal *principal,
									  TimestampTz *expires);

#endif							/* WARDEN_MASK_OUTPUT_H */
