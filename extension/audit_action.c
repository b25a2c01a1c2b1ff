/*-------------------------------------------------------------------------
 * audit_action.c
 *	  Events of the policy and the change workflow: through a row of the
 *	  transaction that does it, so that it is recorded exactly if it happens.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_fill.h"
#include "audit_queue.h"
#include "audit_record.h"
#include "catalog.h"
#include "guc.h"
#include "principal.h"
#include "warden.h"

static bool outbox_written = false; /* in this transaction */

static const char outbox_sql[] =
	"INSERT INTO warden.audit_outbox (at, agent, on_behalf_of, asserted, db_role,"
	" login_role, client_addr, backend, session_id, request_id, tool, prompt_ref,"
	" outcome, change_id, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
	" $10, $11, $12, $13, $14, $15)";

/* The columns of the statement above. */
static const WardenRecordColumn outbox_columns[] =
	{WARDEN_REC_AT,			 WARDEN_REC_AGENT,	   WARDEN_REC_ON_BEHALF_OF,
	 WARDEN_REC_ASSERTED,	 WARDEN_REC_DB_ROLE,   WARDEN_REC_LOGIN_ROLE,
	 WARDEN_REC_CLIENT_ADDR, WARDEN_REC_BACKEND,   WARDEN_REC_SESSION_ID,
	 WARDEN_REC_REQUEST_ID,	 WARDEN_REC_TOOL,	   WARDEN_REC_PROMPT_REF,
	 WARDEN_REC_OUTCOME,	 WARDEN_REC_CHANGE_ID, WARDEN_REC_DETAIL};

static void
insert_outbox(void *arg)
{
	const WardenRecord *record = arg;
	Oid types[lengthof(outbox_columns)];
	Datum values[lengthof(outbox_columns)];
	char nulls[lengthof(outbox_columns)];
	Size i;

	for (i = 0; i < lengthof(outbox_columns); i++)
	{
		types[i] = warden_record_column_type(outbox_columns[i]);
		values[i] = WARDEN_RECORD_VALUE(record, outbox_columns[i]);
		nulls[i] = WARDEN_RECORD_NULL(record, outbox_columns[i]) ? 'n' : ' ';
	}
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args(outbox_sql, lengthof(outbox_columns), types,
							  values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the audit outbox");
	SPI_finish();
}

void
warden_audit_action(const char *action, int64 change_id, const char *detail)
{
	WardenRecord record;

	/* the install script and pg_upgrade are nobody's action */
	if (creating_extension || IsBinaryUpgrade || !warden_catalog_installed())
		return;
	warden_record_init(&record, "action");
	warden_fill_actor(&record);
	warden_fill_outcome(&record, action, 0, NULL, change_id);
	warden_record_set_text(&record, WARDEN_REC_DETAIL, detail,
						   warden_audit_statement_size);
	warden_principal_run_internal(insert_outbox, &record);

	/*
	 * A restore labels columns before it gets to the trail.  Its actions stay
	 * in the outbox until something else is recorded, so that the worker does
	 * not begin a trail of its own where the dump's is to be.
	 */
	if (check_function_bodies || !superuser_arg(GetSessionUserId()))
		outbox_written = true;
}

/* After a PREPARE the worker finds the row when it looks next. */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT && outbox_written)
		warden_queue_signal_outbox();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		outbox_written = false;
}

void
warden_audit_action_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
}
