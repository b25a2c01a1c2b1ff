/*-------------------------------------------------------------------------
 * pending.c
 *	  Recording: an agent's statements become rows of a pending change.
 *
 * Invariants:
 * - All statements diverted in one transaction form one change; it is
 *	 forgotten when the subtransaction that made it aborts, and its count and
 *	 digest are read back from its row, so a rolled-back statement leaves none
 *	 of itself behind.
 * - What needs the agent's own view of the database (names, settings, values)
 *	 is computed before the library's identity is taken on for the inserts.
 * - The reply does not depend on data: it carries the number of the change and
 *	 a risk that follows from the statement, the catalogs and estimates made
 *	 of masked statistics.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "guc.h"
#include "identity.h"
#include "own_rows.h"
#include "pending.h"
#include "pending_json.h"
#include "principal.h"
#include "review.h"
#include "warden.h"

/* The change that this transaction's diverted statements go to. */
static struct
{
	int64		id;				/* 0: none yet */
	SubTransactionId subid;		/* that it was made in */
	WardenRisk	risk;
	WardenReviewContext *review;	/* in TopTransactionContext */
	char	   *proposer;		/* whose it is; the same */
} open_change;

bool
warden_pending_open(void)
{
	return open_change.id != 0;
}

void
warden_pending_check_size(const char *text)
{
	if (text == NULL || strlen(text) <= (size_t) warden_change_size)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("statement is too long to be recorded"),
			 errdetail("It has %zu bytes, the limit is %d.",
					   strlen(text), warden_change_size),
			 errhint("Split it into several changes, or ask for a higher warden.change_size.")));
}

static void
refuse_on_standby(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_STANDBY),
				 errmsg("a change can not be recorded on a standby"),
				 errhint("Send the statement to the primary server.")));
}

/* ---- preparation, as the agent ------------------------------------------ */

/*
 * An agent that writes back what it has read of a labelled column would
 * replace the data by its mask.
 */
static void
refuse_masks(const WardenPrepared *prepared)
{
	bool		writes_labelled = false;
	bool		masked = false;
	ListCell   *cell;

	foreach(cell, prepared->findings)
	{
		WardenFinding *finding = lfirst(cell);

		if (strcmp(finding->rule, "dml.writes_labelled") == 0)
			writes_labelled = true;
		else if (strcmp(finding->rule, "dml.mask_literal") == 0)
			masked = true;
	}
	if (writes_labelled && masked)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a mask can not be written into a labelled column"),
				 errhint("What you read of this column is masked. Leave it out, or give the real value.")));
}

static WardenPrepared *
prepare_statement(const WardenCapture *capture, int ordinal,
				  WardenReviewContext *review)
{
	WardenPrepared *prepared = palloc0(sizeof(WardenPrepared));
	WardenLook	look;

	warden_pending_check_size(capture->statement);
	warden_look_begin(&look, "looking at the objects of the statement");
	prepared->row.ordinal = ordinal;
	prepared->row.statement = capture->statement;
	prepared->row.command = capture->command;
	prepared->row.parameters = capture->parameters != NULL ?
		capture->parameters : warden_capture_params(capture->params);
	warden_pending_check_size(prepared->row.parameters);
	prepared->row.objects = warden_capture_objects(capture->names,
												   capture->raw,
												   capture->statement,
												   prepared->row.parameters);
	prepared->row.expected_rows = capture->expected_rows;
	prepared->estimated_rows = capture->estimated_rows;
	prepared->findings = warden_review_statement(review, capture->raw,
												 &prepared->row,
												 capture->estimated_rows,
												 &prepared->risk);
	warden_look_end(&look);
	refuse_masks(prepared);
	return prepared;
}

/* Who proposes. */
static void
fill_identity(WardenChange *change)
{
	const WardenIdentity *identity = warden_identity_current();
	char	   *delegations = NULL;
	char	   *issuer = NULL;

	warden_identity_require_propose();
	change->agent = pstrdup(identity->agent);
	change->on_behalf_of = identity->on_behalf_of[0] != '\0' ?
		pstrdup(identity->on_behalf_of) : NULL;
	change->asserted = identity->asserted;
	change->token_issuer = identity->token_issuer;
	change->apply_role = identity->apply_role;
	change->agent_role = GetOuterUserId();
	if (identity->asserted)
		delegations = warden_identity_delegations(identity->agent);
	if (OidIsValid(identity->token_issuer))
		issuer = warden_identity_person(identity->token_issuer);
	change->context = warden_capture_context(delegations, issuer);
}

/* Equal for changes that may be one. */
static char *
proposer_of(const WardenChange *change)
{
	const char *person = change->on_behalf_of ? change->on_behalf_of : "";

	return psprintf("%s\n%s\n%d %u %u %u %u", change->agent, person,
					change->asserted, change->token_issuer,
					change->apply_role, change->agent_role,
					GetSessionUserId());
}

/* ---- inserts, as the library -------------------------------------------- */

static Datum
text_or_null(const char *text, bool *null)
{
	*null = text == NULL;
	return text != NULL ? CStringGetTextDatum(text) : (Datum) 0;
}

static Datum
jsonb_or_null(const char *text, bool *null)
{
	*null = text == NULL;
	return text != NULL ? JsonbPGetDatum(warden_json_parse(text)) : (Datum) 0;
}

static Datum
role_or_null(Oid role, bool *null)
{
	*null = !OidIsValid(role);
	return ObjectIdGetDatum(role);
}

static int64
next_change_id(void)
{
	return nextval_internal(warden_catalog_relation("pending_changes_id_seq"),
							false);
}

static void
insert_change(WardenRecordJob *job, const char *digest)
{
	static const WardenOwnColumn columns[] = {
		{"id", INT8OID},
		{"agent", TEXTOID},
		{"on_behalf_of", TEXTOID},
		{"asserted", BOOLOID},
		{"token_issuer", REGROLEOID},
		{"agent_role", REGROLEOID},
		{"apply_role", REGROLEOID},
		{"title", TEXTOID},
		{"reason", TEXTOID},
		{"risk", TEXTOID},
		{"statement_count", INT4OID},
		{"digest", TEXTOID},
		{"context", JSONBOID},
		{"required_approvals", INT4OID},
		{"reverts", INT8OID},
	};
	static WardenOwnTable table = {.name = "pending_changes",
	.columns = columns,.ncolumns = lengthof(columns)};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)] = {false};
	WardenChange *change = &job->change;
	const char *risk = warden_review_risk_name(job->risk);

	values[0] = Int64GetDatum(change->id);
	values[1] = text_or_null(change->agent, &nulls[1]);
	values[2] = text_or_null(change->on_behalf_of, &nulls[2]);
	values[3] = BoolGetDatum(change->asserted);
	values[4] = role_or_null(change->token_issuer, &nulls[4]);
	values[5] = role_or_null(change->agent_role, &nulls[5]);
	values[6] = role_or_null(change->apply_role, &nulls[6]);
	values[7] = text_or_null(job->title, &nulls[7]);
	values[8] = text_or_null(job->reason, &nulls[8]);
	values[9] = text_or_null(risk, &nulls[9]);
	values[10] = Int32GetDatum(job->ordinal);
	values[11] = text_or_null(digest, &nulls[11]);
	values[12] = jsonb_or_null(change->context, &nulls[12]);
	values[13] = Int32GetDatum(warden_pending_required(risk, job->scopes));
	values[14] = Int64GetDatum(job->reverts);
	nulls[14] = job->reverts == 0;
	warden_own_insert(&table, values, nulls);
}

static void
update_change(WardenRecordJob *job, const char *digest)
{
	Oid			types[] = {INT8OID, INT4OID, TEXTOID, TEXTOID, INT4OID};
	Datum		values[lengthof(types)];
	const char *risk = warden_review_risk_name(job->risk);

	values[0] = Int64GetDatum(job->change.id);
	values[1] = Int32GetDatum(job->ordinal);
	values[2] = CStringGetTextDatum(digest);
	values[3] = CStringGetTextDatum(risk);
	values[4] = Int32GetDatum(warden_pending_required(risk, job->scopes));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_pending_edit(job->change.id,
						"UPDATE warden.pending_changes SET"
						" statement_count = $2, digest = $3, risk = $4,"
						" required_approvals = GREATEST(required_approvals, $5)"
						" WHERE id OPERATOR(pg_catalog.=) $1",
						lengthof(types), types, values, NULL);
	SPI_finish();
}

static void
insert_statement(int64 change_id, WardenPrepared *prepared)
{
	static const WardenOwnColumn columns[] = {
		{"change_id", INT8OID},
		{"ordinal", INT4OID},
		{"statement", TEXTOID},
		{"command", TEXTOID},
		{"objects", JSONBOID},
		{"parameters", JSONBOID},
		{"risk", TEXTOID},
		{"findings", JSONBOID},
		{"estimated_rows", FLOAT8OID},
		{"expected_rows", INT8OID},
	};
	static WardenOwnTable table = {.name = "change_statements",
	.columns = columns,.ncolumns = lengthof(columns)};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)] = {false};
	WardenStatement *row = &prepared->row;

	values[0] = Int64GetDatum(change_id);
	values[1] = Int32GetDatum(row->ordinal);
	values[2] = text_or_null(row->statement, &nulls[2]);
	values[3] = text_or_null(row->command, &nulls[3]);
	values[4] = jsonb_or_null(row->objects, &nulls[4]);
	values[5] = jsonb_or_null(row->parameters, &nulls[5]);
	values[6] = CStringGetTextDatum(warden_review_risk_name(prepared->risk));
	values[7] = jsonb_or_null(prepared->findings_json != NULL ?
							  prepared->findings_json :
							  warden_review_json(prepared->findings),
							  &nulls[7]);
	values[8] = Float8GetDatum(prepared->estimated_rows);
	nulls[8] = prepared->estimated_rows < 0;
	values[9] = Int64GetDatum(row->expected_rows);
	warden_own_insert(&table, values, nulls);
}

/* The change as it is stored, which earlier statements made. */
static const char *
continue_change(WardenRecordJob *job)
{
	WardenChange stored;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (!warden_pending_load(job->change.id, true, job->context, &stored))
		elog(ERROR, "pending change " INT64_FORMAT " has gone",
			 job->change.id);
	SPI_finish();
	job->ordinal = stored.statement_count;
	return stored.digest;
}

static const char *
begin_change(WardenRecordJob *job)
{
	if (job->reverts == 0)
		warden_budget_require(job->change.agent);
	job->change.id = next_change_id();
	return warden_digest_begin(&job->change, job->change.apply_role);
}

void
warden_record_store(void *arg)
{
	WardenRecordJob *job = arg;
	bool		appended = job->change.id != 0;
	const char *digest = appended ? continue_change(job) : begin_change(job);
	ListCell   *cell;

	foreach(cell, job->prepared)
	{
		WardenPrepared *prepared = lfirst(cell);

		prepared->row.ordinal = ++job->ordinal;
		digest = warden_digest_add(digest, &prepared->row);
	}
	if (appended)
		update_change(job, digest);
	else
		insert_change(job, digest);
	foreach(cell, job->prepared)
		insert_statement(job->change.id, lfirst(cell));
}

/* For leave(), which tells the gateway what became of the statement. */
static void
fill_facts(WardenRecordJob *job)
{
	WardenStatementFacts *facts = warden_identity_facts();

	facts->change_id = job->change.id;
	facts->risk = warden_review_risk_name(job->risk);
	facts->statements = job->ordinal;
}

/* ---- entry points ------------------------------------------------------- */

/* The review's memory of this transaction's change, begun anew after abort. */
static WardenReviewContext *
transaction_review(void)
{
	MemoryContext old;

	if (open_change.review == NULL)
	{
		old = MemoryContextSwitchTo(TopTransactionContext);
		open_change.review = warden_review_begin();
		MemoryContextSwitchTo(old);
	}
	return open_change.review;
}

/* The change that the error which is about to be raised names. */
static int64 reported_separately = 0;

int64
warden_pending_reported(void)
{
	int64		change_id = reported_separately;

	reported_separately = 0;
	return change_id;
}

/* The levels of the rules are the library's to read. */
static void
describe_findings(void *arg)
{
	WardenPrepared *prepared = arg;

	prepared->findings_json = warden_review_json(prepared->findings);
}

/*
 * Stored in a transaction of its own and reported as an error, for clients
 * that take no rows for a lost write.
 */
static void
record_separately(const WardenCapture *capture)
{
	WardenRecordJob job = {0};
	WardenPrepared *prepared;

	if (open_change.id != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("earlier writes of this transaction are recorded with it"),
				 errhint("Commit first; warden.divert_report counts from the first write of a transaction.")));
	prepared = prepare_statement(capture, 0, warden_review_begin());
	job.prepared = list_make1(prepared);
	job.context = CurrentMemoryContext;
	job.scopes = warden_capture_scopes(prepared->row.objects, NIL);
	job.risk = prepared->risk;
	fill_identity(&job.change);
	warden_principal_run_internal(describe_findings, prepared);
	job.change.id = warden_separate_store(&job);
	job.ordinal = 1;
	fill_facts(&job);
	reported_separately = job.change.id;
	ereport(ERROR,
			(errcode(WARDEN_WARNING_DIVERTED),
			 errmsg("recorded as pending change " INT64_FORMAT ", not run",
					job.change.id),
			 errdetail("change=" INT64_FORMAT " statement=1 risk=%s",
					   job.change.id, warden_review_risk_name(job.risk)),
			 errhint("Do not repeat it: change " INT64_FORMAT " stays recorded whatever becomes of this transaction, and people decide about it. Its state is in warden.my_changes.",
					 job.change.id)));
}

/*
 * The client is told.  The audit trail has it, so that the server's log need
 * not have a line for each write; without a client the log is all there is.
 */
static int
told_level(void)
{
	return whereToSendOutput == DestRemote ? WARNING_CLIENT_ONLY : WARNING;
}

WardenRecorded
warden_pending_record(const WardenCapture *capture)
{
	WardenRecordJob job = {0};
	WardenRecorded recorded;
	WardenPrepared *prepared;
	char	   *proposer;

	refuse_on_standby();
	if (warden_divert_report == WARDEN_REPORT_ERROR)
		record_separately(capture);
	prepared = prepare_statement(capture, 0, transaction_review());
	job.prepared = list_make1(prepared);
	job.context = CurrentMemoryContext;
	job.scopes = warden_capture_scopes(prepared->row.objects, NIL);
	job.risk = prepared->risk;
	fill_identity(&job.change);
	proposer = proposer_of(&job.change);
	/* one change has one proposer, whatever one transaction has */
	if (open_change.id != 0 &&
		strcmp(proposer, open_change.proposer) != 0)
		open_change.id = 0;
	if (open_change.id != 0)
	{
		job.change.id = open_change.id;
		job.risk = Max(job.risk, open_change.risk);
	}

	warden_principal_run_internal(warden_record_store, &job);

	if (open_change.id == 0)
	{
		open_change.id = job.change.id;
		open_change.proposer = MemoryContextStrdup(TopTransactionContext,
												   proposer);
		open_change.subid = GetCurrentSubTransactionId();
		warden_pending_notify(job.change.id, WARDEN_CHANGE_PROPOSED);
	}
	open_change.risk = job.risk;
	fill_facts(&job);

	recorded.change_id = job.change.id;
	recorded.ordinal = job.ordinal;
	recorded.risk = warden_review_risk_name(prepared->risk);
	ereport(told_level(),
			(errcode(WARDEN_WARNING_DIVERTED),
			 errmsg("recorded as pending change " INT64_FORMAT ", not run",
					recorded.change_id),
			 errdetail("change=" INT64_FORMAT " statement=%d risk=%s",
					   recorded.change_id, recorded.ordinal, recorded.risk),
			 errhint("Do not repeat it: people decide about it. Its state is in warden.my_changes.")));
	return recorded;
}

int64
warden_pending_propose_as(const WardenChange *as, List *captures,
						  const char *title, const char *reason,
						  int64 reverts)
{
	WardenRecordJob job = {0};
	WardenReviewContext *review = warden_review_begin();
	size_t		size = 0;
	ListCell   *cell;

	refuse_on_standby();
	job.context = CurrentMemoryContext;
	job.title = title;
	job.reason = reason;
	job.reverts = reverts;
	foreach(cell, captures)
	{
		WardenPrepared *prepared = prepare_statement(lfirst(cell), 0, review);

		job.prepared = lappend(job.prepared, prepared);
		job.scopes = warden_capture_scopes(prepared->row.objects, job.scopes);
		job.risk = Max(job.risk, prepared->risk);
		size += strlen(prepared->row.statement);
	}
	if (as != NULL)
	{
		job.change = *as;
		job.change.id = 0;
	}
	else
		fill_identity(&job.change);
	warden_principal_run_internal(warden_record_store, &job);
	warden_pending_notify(job.change.id, WARDEN_CHANGE_PROPOSED);
	warden_audit_action("proposed", job.change.id,
						psprintf("%d statements, %zu bytes", job.ordinal,
								 size));
	if (as == NULL)
		fill_facts(&job);
	return job.change.id;
}

int64
warden_pending_propose(List *captures, const char *title, const char *reason)
{
	return warden_pending_propose_as(NULL, captures, title, reason, 0);
}

/* ---- transactions ------------------------------------------------------- */

static void
forget_open_change(void)
{
	memset(&open_change, 0, sizeof(open_change));
}

static void
pending_xact_callback(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE || event == XACT_EVENT_PARALLEL_COMMIT ||
		event == XACT_EVENT_PARALLEL_ABORT)
		forget_open_change();
}

static void
pending_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						 SubTransactionId parentSubid,
						 void *arg pg_attribute_unused())
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		/* what the review learnt may have been rolled back */
		open_change.review = NULL;
		if (open_change.subid == mySubid)
			forget_open_change();
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB && open_change.subid == mySubid)
		open_change.subid = parentSubid;
}

void
warden_pending_init(void)
{
	RegisterXactCallback(pending_xact_callback, NULL);
	RegisterSubXactCallback(pending_subxact_callback, NULL);
	warden_pending_state_init();
	warden_toplevel_init();
	warden_watch_init();
	warden_preview_guard_init();
}
