/*-------------------------------------------------------------------------
 * mask_recursion.h
 *	  func() masks and row conditions that read what they mask.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MASK_RECURSION_H
#define WARDEN_MASK_RECURSION_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * OIDs of the relations that a mask and the condition it has on relid (either
 * may be NULL) could read, themselves or through views, functions and the
 * masks of what they read.
 */
extern List *warden_mask_recursion_reads(const char *spec, const char *unless,
										 Oid relid);

/*
 * Raises, or warns, when one of them belongs to relid's inheritance tree.  What
 * a function composes at run time is not seen here: mask_call.c stops it there.
 */
extern void warden_mask_recursion_check(List *reads, Oid relid, int elevel);

#endif							/* WARDEN_MASK_RECURSION_H */
