/*-------------------------------------------------------------------------
 * failure.h
 *	  Errors of governed backends on their way to the client or the log.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_FAILURE_H
#define WARDEN_FAILURE_H

#include "postgres.h"

#include "principal.h"

/* Records the error, and takes out of it what quotes stored rows. */
extern void warden_failure_report(ErrorData *edata);

/* Records errors that came before the backend's principal was known. */
extern void warden_failure_flush_early(const WardenPrincipal *principal);

extern void warden_failure_init(void);

#endif /* WARDEN_FAILURE_H */
