/*-------------------------------------------------------------------------
 * failure.c
 *	  Errors of governed backends on their way to the client or the log: each
 *	  becomes the outcome of the statement that is open, or a record of its
 *	  own.
 *
 * An error comes here because it is going to be logged, so no setting may
 * keep errors out of the server's log.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_fill.h"
#include "execution.h"
#include "failure.h"
#include "pending.h"
#include "principal.h"
#include "warden.h"
#include "write_gate.h"

/*
 * An error of a backend whose principal is not known yet, a syntax error in
 * its first statement: kept until it is, or until the backend ends.
 */
typedef struct EarlyError
{
	char *statement; /* in TopMemoryContext */
	char *message;
	int sqlstate;
} EarlyError;

/* A session that sends nothing else must not fill the memory. */
#define MAX_EARLY_ERRORS 256

static EarlyError early[MAX_EARLY_ERRORS];
static int n_early = 0;
static uint64 n_early_left_out = 0;

static GucEnumCheckHook prev_check_log_min_messages = NULL;

static void
record_early_error(const WardenPrincipal *principal, const EarlyError *error)
{
	if (principal->class == WARDEN_CLASS_GATEWAY)
		warden_audit_failure(NULL, "BADGE IN", error->sqlstate, error->message);
	else if (warden_principal_agents_class(principal->class))
		warden_audit_failure(error->statement, NULL, error->sqlstate,
							 error->message);
}

/* Its principal is known now: records of them, if it is governed. */
void
warden_failure_flush_early(const WardenPrincipal *principal)
{
	EarlyError rest = {NULL, NULL, ERRCODE_PROGRAM_LIMIT_EXCEEDED};
	int n = n_early;
	int i;

	if (likely(n == 0))
		return;
	n_early = 0;
	if ((principal->class == WARDEN_CLASS_GATEWAY ||
		 warden_principal_agents_class(principal->class)) &&
		principal->refusal == NULL)
		warden_fill_remember(principal);
	for (i = 0; i < n; i++)
	{
		record_early_error(principal, &early[i]);
		if (early[i].statement != NULL)
			pfree(early[i].statement);
		pfree(early[i].message);
	}
	if (n_early_left_out == 0)
		return;
	rest.message = psprintf(
		UINT64_FORMAT
		" more statements failed before it was known whose session this is",
		n_early_left_out);
	n_early_left_out = 0;
	record_early_error(principal, &rest);
}

/* The backend ends without a statement that got further. */
static void
flush_at_exit(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	if (n_early == 0)
		return;
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	warden_failure_flush_early(warden_principal_current());
	CommitTransactionCommand();
}

/* Whose it is will be known later. */
static void
keep_early_error(ErrorData *edata)
{
	static bool registered = false;
	EarlyError *error;

	if (!IsNormalProcessingMode() || !OidIsValid(MyDatabaseId))
		return;
	if (n_early == MAX_EARLY_ERRORS)
	{
		n_early_left_out++;
		return;
	}
	if (!registered)
		before_shmem_exit(flush_at_exit, (Datum) 0);
	registered = true;
	error = &early[n_early];
	error->statement = debug_query_string == NULL ?
		NULL :
		MemoryContextStrdup(TopMemoryContext, debug_query_string);
	error->message = MemoryContextStrdup(TopMemoryContext, edata->message);
	error->sqlstate = edata->sqlerrcode;
	n_early++;
}

/* Who sends a script statement by statement meets what was not run before. */
static void
hint_at_recorded(ErrorData *edata)
{
	if (edata->hint != NULL || !warden_pending_open())
		return;
	switch (edata->sqlerrcode)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_SCHEMA:
			edata->hint = pstrdup("What this transaction wrote before is recorded, not run. If this statement needs it, propose all of them as one script with warden.propose().");
			break;
		default:
			break;
	}
}

/*
 * Called while the error is being reported, before the transaction aborts:
 * nothing here may look into a catalog or raise.
 */
void
warden_failure_report(ErrorData *edata)
{
	const WardenPrincipal *principal = warden_principal_known();
	uint64 rows;
	int64 change_id;
	bool secret;

	if (edata->elevel < ERROR || edata->elevel > FATAL)
		return;
	if (principal == NULL ? MyBackendType != B_BACKEND :
							principal->class == WARDEN_CLASS_NONE)
		return;

	/* Deferred constraints fail outside the executor. */
	warden_write_gate_redact(edata);
	if (principal == NULL)
	{
		keep_early_error(edata);
		return;
	}
	if (principal->class == WARDEN_CLASS_MASKED && !warden_audit_unsettled())
		return;
	hint_at_recorded(edata);
	rows = warden_execution_failed(&secret);
	change_id = warden_pending_reported();
	if (warden_audit_unsettled() && change_id != 0)
		warden_audit_outcome("diverted", edata->sqlerrcode, NULL, 0, change_id);
	else if (warden_audit_unsettled())
		warden_audit_outcome(warden_audit_word(edata->sqlerrcode),
							 edata->sqlerrcode, edata->message, rows, 0);
	else if (principal->class == WARDEN_CLASS_GATEWAY || secret)
		/* The text may hold a token or a key. */
		warden_audit_failure(NULL, "BADGE IN", edata->sqlerrcode,
							 edata->message);
	else
		warden_audit_failure(debug_query_string, NULL, edata->sqlerrcode,
							 edata->message);
}

/* Values that would leave errors out become the nearest that does not. */
static bool
check_log_min_messages(int *newval, void **extra, GucSource source)
{
	if (*newval == LOG || *newval > ERROR)
		*newval = ERROR;
	return prev_check_log_min_messages == NULL ||
		prev_check_log_min_messages(newval, extra, source);
}

void
warden_failure_init(void)
{
	struct config_enum *option;

	option = (struct config_enum *) warden_find_option("log_min_messages");
	prev_check_log_min_messages = option->check_hook;
	option->check_hook = check_log_min_messages;
	if (log_min_messages == LOG || log_min_messages > ERROR)
		log_min_messages = ERROR;
	if (option->reset_val == LOG || option->reset_val > ERROR)
		option->reset_val = ERROR;
}
