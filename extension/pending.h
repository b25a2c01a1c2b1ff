/*-------------------------------------------------------------------------
 * pending.h
 *	  The store of pending changes and its state machine.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_H
#define WARDEN_PENDING_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/parsenodes.h"

/* One statement to record. */
typedef struct WardenCapture
{
	const char *statement;		/* its text alone, without the semicolon */
	RawStmt    *raw;			/* its raw parse tree */
	const char *command;		/* command tag text, e.g. UPDATE */
	ParamListInfo params;		/* bind values, or NULL */
	double		estimated_rows; /* planner's estimate, -1 when unknown */
	List	   *relations;		/* OIDs that it resolved to, may be NIL */
} WardenCapture;

typedef struct WardenRecorded
{
	int64		change_id;
	int			ordinal;
	const char *risk;
} WardenRecorded;

/*
 * Appends the statement to the pending change of this transaction (making
 * one if there is none in a live subtransaction), reviews it, sends the
 * notification, and raises the WARNING 01WD1 with its DETAIL.
 */
extern WardenRecorded warden_pending_record(const WardenCapture *capture);

extern void warden_pending_init(void);

#endif							/* WARDEN_PENDING_H */
