/*-------------------------------------------------------------------------
 * kept_rows.h
 *	  Portals whose rows are computed already: held cursors, and what the
 *	  extended protocol left of a statement that is not a plain SELECT.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_KEPT_ROWS_H
#define WARDEN_KEPT_ROWS_H

#include "postgres.h"

#include "nodes/plannodes.h"
#include "principal.h"
#include "tcop/pquery.h"
#include "utils/portal.h"

/* There may be such portals. */
extern bool warden_kept_rows_any;

extern void warden_kept_rows_add(const char *portal,
								 const WardenPrincipal *principal);
extern void warden_kept_rows_close_stale(void);

/* Called before a statement of the client's runs, whoever sends it. */
static inline void
warden_kept_rows_note(const WardenPrincipal *principal)
{
	if (likely(ActivePortal == NULL || !ActivePortal->visible ||
			   ActivePortal->strategy == PORTAL_ONE_SELECT ||
			   ActivePortal->strategy == PORTAL_MULTI_QUERY))
		return;
	warden_kept_rows_add(ActivePortal->name, principal);
}

/*
 * Makes unusable what was computed for another principal or another policy.
 * Called where either may have changed, before anything else can run.
 */
static inline void
warden_kept_rows_check(void)
{
	if (unlikely(warden_kept_rows_any))
		warden_kept_rows_close_stale();
}

#endif							/* WARDEN_KEPT_ROWS_H */
