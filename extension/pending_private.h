/*-------------------------------------------------------------------------
 * pending_private.h
 *	  What the modules of the state machine share (pending_state.c,
 *	  pending_who.c, pending_decide.c, pending_guard.c).
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_PRIVATE_H
#define WARDEN_PENDING_PRIVATE_H

#include "pending.h"

/* Columns of a row of the SPI result at hand. */
extern char *warden_pending_column(int row, int column);
extern Oid	warden_pending_oid_column(int row, int column);

extern WardenStatus warden_pending_parse_status(const char *name);
extern bool warden_pending_is_edge(WardenStatus from, WardenStatus to);

/* The change that the library's own SQL is updating now, 0 for none. */
extern int64 warden_pending_edited(void);

/* Raise WD007. */
extern void warden_pending_refuse(int64 id, WardenStatus to,
								  const char *detail, const char *hint);
extern void warden_pending_refuse_missing(int64 id);
extern void warden_pending_refuse_nested(const char *what);

/* Raises unless the trigger fired for a person's own statement. */
extern void warden_pending_require_write(FunctionCallInfo fcinfo);

/* Why a person may not approve this change, or NULL. */
extern const char *warden_pending_approval_bar(const WardenChange *change,
											   const char *person);

/* The one person behind the login role, who may approve; raises else. */
extern char *warden_pending_require_approver(const WardenChange *change);

#endif							/* WARDEN_PENDING_PRIVATE_H */
