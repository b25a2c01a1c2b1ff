/*-------------------------------------------------------------------------
 * guc.c
 *	  Every setting of the library in one table-like list, in alphabetical
 *	  order.  None can be changed by an agent but warden.divert_report, which is
 *	  about the form of its own replies: the utility gate's list of settings
 *	  does not name the others, and all but warden.audit_* waits are superuser's
 *	  anyway.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "datatype/timestamp.h"
#include "utils/guc.h"
#include "utils/plancache.h"

#include "compat.h"
#include "guc.h"
#include "warden.h"

int			warden_audit = WARDEN_AUDIT_SYNC;
int			warden_audit_idle_timeout = 2000;
int			warden_audit_partition = 30 * SECS_PER_DAY;
int			warden_audit_queue_size = 4096;
int			warden_audit_statement_size = 65536;
int			warden_audit_timeout = 10000;
int			warden_audit_workers = 4;
bool		warden_allow_drop = false;
int			warden_change_size = 1024 * 1024;
int			warden_image_size = 8 * 1024 * 1024;
int			warden_image_retention = 7 * 24 * 60;
int			warden_divert_report = WARDEN_REPORT_WARNING;
int			warden_standby_audit = WARDEN_STANDBY_REFUSE;
bool		warden_unlabelled_masked = false;

/* An enum setting that C code reads as a boolean. */
static int	unlabelled_columns = 0;

static const struct config_enum_entry audit_modes[] = {
	{"sync", WARDEN_AUDIT_SYNC, false},
	{"async", WARDEN_AUDIT_ASYNC, false},
	{NULL, 0, false}
};

static const struct config_enum_entry divert_reports[] = {
	{"warning", WARDEN_REPORT_WARNING, false},
	{"error", WARDEN_REPORT_ERROR, false},
	{NULL, 0, false}
};

static const struct config_enum_entry standby_audits[] = {
	{"refuse", WARDEN_STANDBY_REFUSE, false},
	{"log", WARDEN_STANDBY_LOG, false},
	{NULL, 0, false}
};

static const struct config_enum_entry unlabelled_modes[] = {
	{"clear", 0, false},
	{"masked", 1, false},
	{NULL, 0, false}
};

/* Plans that were made under the other value must not be reused. */
static void
assign_unlabelled_columns(int newval, void *extra pg_attribute_unused())
{
	if (warden_unlabelled_masked != (newval != 0))
		ResetPlanCache();
	warden_unlabelled_masked = (newval != 0);
}

/* The settings of the audit, which need shared memory or reserve processes. */
static void
define_audit_settings(void)
{
	DefineCustomEnumVariable("warden.audit",
							 "Whether a statement of an agent waits until its audit record is durable.",
							 NULL, &warden_audit, WARDEN_AUDIT_SYNC,
							 audit_modes, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("warden.audit_idle_timeout",
							"Time after which an idle audit worker leaves its database.",
							NULL, &warden_audit_idle_timeout, 2000, 100,
							INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL,
							NULL);
	DefineCustomIntVariable("warden.audit_partition",
							"Time that one partition of the audit trail covers.",
							"Those that are there already keep their range.",
							&warden_audit_partition, 30 * SECS_PER_DAY, 1,
							10 * 365 * SECS_PER_DAY, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomIntVariable("warden.audit_queue_size",
							"Shared memory for audit records that are not written yet.",
							NULL, &warden_audit_queue_size, 4096, 256,
							1024 * 1024, PGC_POSTMASTER, GUC_UNIT_KB, NULL,
							NULL, NULL);
	DefineCustomIntVariable("warden.audit_statement_size",
							"Bytes of a statement that its audit record keeps.",
							"A longer one is kept as a prefix with its digest.",
							&warden_audit_statement_size, 65536, 1024,
							16 * 1024 * 1024, PGC_SIGHUP, GUC_UNIT_BYTE, NULL,
							NULL, NULL);
	DefineCustomIntVariable("warden.audit_timeout",
							"Time that a statement of an agent waits for its audit record.",
							NULL, &warden_audit_timeout, 10000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("warden.audit_workers",
							"Number of databases whose audit records can be written at once.",
							"That many background worker slots are added to max_worker_processes.",
							&warden_audit_workers, 4, 1, 64, PGC_POSTMASTER,
							0, NULL, NULL, NULL);
	DefineCustomEnumVariable("warden.standby_audit",
							 "How statements of agents are recorded on a hot standby.",
							 NULL, &warden_standby_audit,
							 WARDEN_STANDBY_REFUSE, standby_audits,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

void
warden_guc_init(void)
{
	define_audit_settings();
	DefineCustomBoolVariable("warden.allow_drop",
							 "Allows a superuser to drop the extension.",
							 NULL, &warden_allow_drop, false, PGC_SUSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("warden.change_size",
							"Bytes that one statement of a pending change may have.",
							NULL, &warden_change_size, 1024 * 1024, 1024,
							64 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL,
							NULL, NULL);
	DefineCustomIntVariable("warden.image_retention",
							"How long rows that an apply changed are kept for warden.revert().",
							NULL, &warden_image_retention, 7 * 24 * 60, 0,
							INT_MAX, PGC_SUSET, GUC_UNIT_MIN, NULL, NULL,
							NULL);
	DefineCustomIntVariable("warden.image_size",
							"Bytes of rows that one apply may keep for warden.revert().",
							"With 0 none are kept.",
							&warden_image_size, 8 * 1024 * 1024, 0,
							256 * 1024 * 1024, PGC_SUSET, GUC_UNIT_BYTE, NULL,
							NULL, NULL);
	DefineCustomEnumVariable("warden.divert_report",
							 "How an agent is told that its write became a pending change.",
							 "With error it is recorded in a transaction of its own and the statement fails.",
							 &warden_divert_report, WARDEN_REPORT_WARNING,
							 divert_reports, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("warden.unlabelled_columns",
							 "What governed roles see of columns without a label.",
							 NULL, &unlabelled_columns, 0, unlabelled_modes,
							 PGC_SUSET, 0, NULL, assign_unlabelled_columns,
							 NULL);
}
