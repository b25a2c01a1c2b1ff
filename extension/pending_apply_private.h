/*-------------------------------------------------------------------------
 * pending_apply_private.h
 *	  An apply under way, as the modules that carry it out know it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_APPLY_PRIVATE_H
#define WARDEN_PENDING_APPLY_PRIVATE_H

#include "pending.h"

typedef struct ApplyJob
{
	WardenChange change;
	List	   *statements;		/* of WardenStatement * */
	List	   *footprints;		/* of WardenFootprint *, of a preview */
	bool		keep_images;	/* the agent's rows may be kept */
	Oid			apply_role;
	const char *glass;			/* reason of break_glass(), or NULL */
	bool		atomic;			/* no commits on the way */
	bool		in_block;		/* the caller's transaction goes on */
	MemoryContext context;		/* outlives a commit inside the CALL */
	ErrorData  *error;			/* of the run that failed */
	bool		found;
	const char *refusal;		/* why it may not be applied, or NULL */
	const char *hint;
	WardenStatus move_to;		/* with a refusal: the state that it shows */
	bool		barred;			/* its statement may not run in a transaction */
	bool		committed;		/* of a barred one: something has stayed */
	uint64		messages;		/* of the catalogs, read when last compared */
} ApplyJob;

/*
 * Loads and locks the change and judges whether it may be applied
 * (pending_apply_check.c).  Called in internal mode; arg is the ApplyJob.
 */
extern void warden_apply_load(void *arg);

/*
 * Raises where a name of the statement means something else now; *names are
 * its names (of WardenName *), looked up.
 */
extern RawStmt *warden_apply_same_objects(const WardenChange *change,
										  WardenStatement *statement,
										  List **names);

/* Write the outcome down, in internal mode; arg is the ApplyJob. */
extern void warden_apply_mark_applied(void *arg);
extern void warden_apply_mark_failed(void *arg);

/* Runs a statement that may not run in a transaction (pending_barred.c). */
extern void warden_apply_barred(ApplyJob *job);

#endif							/* WARDEN_PENDING_APPLY_PRIVATE_H */
