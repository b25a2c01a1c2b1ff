/*-------------------------------------------------------------------------
 * pending_preview_private.h
 *	  A preview under way, as the modules that carry it out know it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_PREVIEW_PRIVATE_H
#define WARDEN_PENDING_PREVIEW_PRIVATE_H

#include "pending.h"

/* What is waited for a lock. */
#define WARDEN_PREVIEW_LOCK_TIMEOUT_MS	1000

/* One row of the result. */
typedef struct WardenMeasured
{
	WardenStatement *statement;
	const char *method;			/* executed, explained, masked, failed,
								 * skipped */
	const char *detail;			/* why, NULL: nothing to say */
	double		rows;			/* -1: unknown */
	double		duration;		/* ms, -1: not run */
	List	   *locks;			/* of char * */
	List	   *rewritten;		/* of char * */
	List	   *triggers;		/* of char * */
	bool		triggers_known; /* the list is all of them */
	char	   *sample;			/* jsonb text, or NULL */
	WardenFootprint footprint;	/* where it was executed */
} WardenMeasured;

/*
 * Why a statement is not executed, or NULL; and does an expression or query
 * call what may not run for a preview (pending_preview_bar.c)?
 */
extern const char *warden_preview_bar(WardenStatement *statement);
extern bool warden_preview_unsafe(Node *node);

/*
 * Why what these relations lead to may not be set off, or NULL; with ddl they
 * are altered, else rows of them are written (pending_preview_tables.c).
 */
extern const char *warden_preview_tables_bar(List *relids, bool ddl);

/* Has a relation, if it is there, columns, constraints or indexes that call
 * what may not run? */
extern bool warden_preview_computes(Oid relid);

/* Does it scan a foreign table, or a table with such a partition? */
extern bool warden_preview_reads_foreign_table(Query *query);

/* Are there domains with constraints in a type, however deep? */
extern bool warden_preview_is_checked(Oid type);

/*
 * While it is on, functions that may do anything are refused when they are
 * called (pending_preview_guard.c).  _stopped: was one, since it was switched
 * on or last asked?
 */
extern void warden_preview_guard(bool now);
extern bool warden_preview_guard_stopped(void);

/*
 * Looks up which triggers a statement can set off as things are now, into its
 * "triggers" (pending_trigger.c); names of the statement mean then what they
 * mean when it runs.
 */
extern void warden_preview_triggers(WardenMeasured *measured,
									MemoryContext context);

/*
 * What a masked caller may be told of a statement: nothing of it runs, and
 * everything is computed of what the caller could read (pending_masked.c).
 */
extern void warden_preview_masked(const WardenChange *change,
								  WardenMeasured *measured,
								  MemoryContext context);

/* Selects rows that a statement acts on, and what it would make of them. */
typedef struct WardenRowQuery
{
	SelectStmt *select;
	List	   *before;			/* of char *: names of its first columns */
	List	   *after;			/* the same, of those behind them */
} WardenRowQuery;

/*
 * The queries for a raw statement, together with the name of its target
 * (pending_masked_query.c); NIL, perhaps with a reason, where there is nothing
 * to select.
 */
extern List *warden_masked_queries(Node *stmt, const char **table,
								   const char **reason);

#endif							/* WARDEN_PENDING_PREVIEW_PRIVATE_H */
