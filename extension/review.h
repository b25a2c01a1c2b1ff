/*-------------------------------------------------------------------------
 * review.h
 *	  Static review of one statement: findings, risk.  Raises nothing.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_REVIEW_H
#define WARDEN_REVIEW_H

#include "postgres.h"

#include "nodes/parsenodes.h"

typedef enum WardenRisk
{
	WARDEN_RISK_LOW,
	WARDEN_RISK_MODERATE,
	WARDEN_RISK_HIGH,
	WARDEN_RISK_CRITICAL
} WardenRisk;

typedef enum WardenLevel
{
	WARDEN_LEVEL_INFO,
	WARDEN_LEVEL_WARNING,
	WARDEN_LEVEL_ERROR
} WardenLevel;

typedef struct WardenFinding
{
	const char *rule;			/* dotted name, e.g. dml.no_where */
	WardenLevel level;			/* default; warden.review_rules overrides */
	WardenRisk	risk;			/* least risk that this finding implies */
	int			position;		/* byte offset in the statement, -1 unknown */
	char	   *message;
	char	   *advice;
} WardenFinding;

/* State across the statements of one change, e.g. tables created in it. */
typedef struct WardenReviewContext WardenReviewContext;

/* Allocated, with all that it will hold, in the current memory context. */
extern WardenReviewContext *warden_review_begin(void);

struct WardenStatement;

/*
 * List of WardenFinding * of one raw statement, with its text, objects and
 * parameters; estimated_rows < 0: unknown.
 */
extern List *warden_review_statement(WardenReviewContext *context,
									 RawStmt *raw,
									 const struct WardenStatement *statement,
									 double estimated_rows, WardenRisk *risk);

/* The statement may not run inside a transaction block. */
extern bool warden_review_barred(Node *stmt);

extern const char *warden_review_risk_name(WardenRisk risk);
extern const char *warden_review_level_name(WardenLevel level);

/*
 * The findings as a jsonb text, with the levels of warden.review_rules; in
 * internal mode, connected to SPI.
 */
extern char *warden_review_json(List *findings);

#endif							/* WARDEN_REVIEW_H */
