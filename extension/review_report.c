/*-------------------------------------------------------------------------
 * review_report.c
 *	  Findings as people and agents get them: with the levels that
 *	  administrators gave the rules, as jsonb for a recorded statement, or as
 *	  the rows of warden.review().
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "identity_scan.h"
#include "pending.h"
#include "principal.h"
#include "review_private.h"
#include "statement.h"
#include "warden.h"

/* ---- levels -------------------------------------------------------------- */

/* Columns of warden.review_rules. */
#define RULE_NAME	1
#define RULE_LEVEL	2

/* Level by warden.review_rules, NULL: the built-in one. */
static char *
configured_level(const char *rule)
{
	WardenScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *level = NULL;
	bool		isnull;

	ScanKeyEntryInitialize(&key, 0, RULE_NAME, BTEqualStrategyNumber,
						   TEXTOID, DEFAULT_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(rule));
	if (!warden_scan_begin(&scan, "review_rules", "review_rules_pkey", 1,
						   &key))
		elog(ERROR, "could not read the review rules");
	tuple = warden_scan_next(&scan);
	if (HeapTupleIsValid(tuple))
		level = TextDatumGetCString(warden_scan_column(&scan, tuple,
													   RULE_LEVEL, &isnull));
	warden_scan_end(&scan);
	return level;
}

/* The level to show, NULL where the rule is switched off. */
static const char *
shown_level(const WardenFinding *finding)
{
	char	   *level = configured_level(finding->rule);

	if (level == NULL)
		return warden_review_level_name(finding->level);
	return strcmp(level, "off") == 0 ? NULL : level;
}

char *
warden_review_json(List *findings)
{
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(cell, findings)
	{
		WardenFinding *finding = lfirst(cell);
		const char *level = shown_level(finding);

		if (level == NULL)
			continue;
		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		appendStringInfoString(&json, "{\"rule\": ");
		escape_json(&json, finding->rule);
		appendStringInfoString(&json, ", \"level\": ");
		escape_json(&json, level);
		appendStringInfoString(&json, ", \"message\": ");
		escape_json(&json, finding->message);
		appendStringInfoString(&json, ", \"advice\": ");
		escape_json(&json, finding->advice);
		if (finding->position >= 0)
			appendStringInfo(&json, ", \"position\": %d",
							 finding->position + 1);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

/* ---- warden.review() ----------------------------------------------------- */

typedef struct ReviewJob
{
	int64		id;
	bool		found;
	WardenChange change;
	List	   *statements;
	List	   *footprints;		/* of WardenFootprint *, of a preview */
	List	   *findings;		/* per statement: List of WardenFinding * */
	MemoryContext context;
	ReturnSetInfo *result;
} ReviewJob;

static void
load_review_internally(void *arg)
{
	ReviewJob  *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->id, false, job->context,
									 &job->change);
	if (job->found)
	{
		job->statements = warden_pending_statements(job->id, job->context);
		job->footprints = warden_footprint_load(job->id, job->context);
	}
	SPI_finish();
}

/* Will the rows be those that somebody saw? */
static void
review_comparison(WardenReviewContext *context, ReviewJob *job, Node *stmt,
				  WardenStatement *statement)
{
	if (warden_statement_is_dml(stmt) &&
		strcmp(warden_footprint_compared(statement, job->footprints),
			   "nothing") == 0)
		warden_review_add(context, "apply.not_compared", -1,
						  pstrdup("an apply compares its rows with nothing: no preview has executed it and all before it"),
						  "Preview it; where that can only explain it, apply it soon after a look at the rows.");
}

/* Looks names up as they were meant when the change was proposed. */
static void
review_statements(ReviewJob *job)
{
	WardenReviewContext *context = warden_review_begin();
	int			nest = NewGUCNestLevel();
	WardenLook	look;
	WardenRisk	risk;
	ListCell   *cell;

	warden_capture_restore(job->change.context);
	warden_look_begin(&look, "looking at the objects of the change");
	foreach(cell, job->statements)
	{
		WardenStatement *statement = lfirst(cell);
		RawStmt    *raw = warden_statement_parse(statement->statement);

		if (raw != NULL)
		{
			(void) warden_review_statement(context, raw, statement, -1, &risk);
			review_comparison(context, job, raw->stmt, statement);
		}
		job->findings = lappend(job->findings,
								raw != NULL ? context->findings : NIL);
	}
	warden_look_end(&look);
	AtEOXact_GUC(false, nest);
}

static void
put_findings_internally(void *arg)
{
	ReviewJob  *job = arg;
	ListCell   *statement;
	ListCell   *findings;
	ListCell   *cell;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	forboth(statement, job->statements, findings, job->findings)
	{
		foreach(cell, (List *) lfirst(findings))
		{
			WardenFinding *finding = lfirst(cell);
			const char *level = shown_level(finding);
			Datum		values[5];
			bool		nulls[5] = {false};

			if (level == NULL)
				continue;
			values[0] = Int32GetDatum(((WardenStatement *)
									   lfirst(statement))->ordinal);
			values[1] = CStringGetTextDatum(finding->rule);
			values[2] = CStringGetTextDatum(level);
			values[3] = CStringGetTextDatum(finding->message);
			values[4] = CStringGetTextDatum(finding->advice);
			tuplestore_putvalues(job->result->setResult,
								 job->result->setDesc, values, nulls);
		}
	}
	SPI_finish();
}

PG_FUNCTION_INFO_V1(warden_sql_review);
Datum
warden_sql_review(PG_FUNCTION_ARGS)
{
	ReviewJob	job = {0};

	warden_pending_require_reviewer();
	InitMaterializedSRF(fcinfo, 0);
	job.id = warden_pending_number(fcinfo);
	job.context = CurrentMemoryContext;
	job.result = (ReturnSetInfo *) fcinfo->resultinfo;
	warden_principal_run_internal(load_review_internally, &job);
	if (!job.found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist", job.id),
				 errhint("List the changes to find its number.")));
	review_statements(&job);
	warden_principal_run_internal(put_findings_internally, &job);
	return (Datum) 0;
}
