/*-------------------------------------------------------------------------
 * guc.h
 *	  Every setting of the library, except the identity ones (identity.h).
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_GUC_H
#define WARDEN_GUC_H

#include "postgres.h"

typedef enum WardenAuditMode
{
	WARDEN_AUDIT_SYNC,
	WARDEN_AUDIT_ASYNC
} WardenAuditMode;

typedef enum WardenStandbyAudit
{
	WARDEN_STANDBY_REFUSE,
	WARDEN_STANDBY_LOG
} WardenStandbyAudit;

typedef enum WardenReport
{
	WARDEN_REPORT_WARNING,
	WARDEN_REPORT_ERROR
} WardenReport;

extern int	warden_audit;				/* WardenAuditMode */
extern int	warden_standby_audit;		/* WardenStandbyAudit */
extern int	warden_audit_partition; /* seconds */
extern int	warden_audit_queue_size;	/* bytes of shared memory, in kB */
extern int	warden_audit_timeout;		/* ms that a statement waits */
extern int	warden_audit_idle_timeout;	/* ms until an idle worker leaves */
extern int	warden_audit_workers;		/* databases served at once */
extern int	warden_audit_statement_size;	/* bytes kept of one statement */
extern bool warden_unlabelled_masked;	/* warden.unlabelled_columns */
extern int	warden_change_size;			/* bytes that one statement may have */
extern int	warden_image_size;			/* bytes of images of one change */
extern int	warden_image_retention;		/* minutes that images are kept */
extern int	warden_divert_report;	/* WardenReport */
extern bool warden_allow_drop;

extern void warden_guc_init(void);

#endif							/* WARDEN_GUC_H */
