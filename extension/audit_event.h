/*-------------------------------------------------------------------------
 * audit_event.h
 *	  Audit events: intent before a statement, outcome after it, and events
 *	  of the policy and the change workflow.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_EVENT_H
#define WARDEN_AUDIT_EVENT_H

#include "postgres.h"

#include "audit_fill.h"

/*
 * Records the intent of the current top-level statement of a governed
 * backend and waits as warden.audit demands.  Raises WD009 when it can not be
 * recorded.  One statement at a time: a second intent before the outcome of
 * the first closes the first one as "ok".
 */
extern void warden_audit_intent(const WardenIntent *intent);

/*
 * What the open statement reads beyond its intent, before it does: relations
 * and columns of the argument.  Waits and raises as the intent does.
 */
extern void warden_audit_reads(const WardenReads *more);

/* An intent of the current statement is open. */
extern bool warden_audit_open(void);

/*
 * The same, or its outcome is known and could still become another: what
 * fails or reads now does so for it.
 */
extern bool warden_audit_unsettled(void);

/*
 * Closes the open intent.  outcome is one of ok, truncated, diverted,
 * refused, error.  Never raises and never waits for durability.  It takes the
 * place of one that is held back; without either it does nothing.
 */
extern void
warden_audit_outcome(const char *outcome, int sqlstate, const char *message,
					 uint64 rows, int64 change_id);

/* The open statement goes on, maybe in another message. */
extern void warden_audit_go_on(void);

/* "refused" or "error". */
extern const char *warden_audit_word(int sqlstate);

/* What becomes of the open statement if nothing else is said: not "ok". */
extern void warden_audit_expect(const char *outcome, int64 change_id);

/* What is open has run, and becomes what was expected of it. */
extern void warden_audit_settle(void);

/* The same, and nothing changes its outcome any more. */
extern void warden_audit_close(void);

/*
 * A statement that failed before its intent could be recorded (syntax error,
 * refusal by a gate, failed badge-in): one record, never raises.
 */
extern void warden_audit_failure(const char *statement, const char *command,
								 int sqlstate, const char *message);

/*
 * The end of a transaction that has failed: one record, never raises.  No
 * catalog can be read then, and the way out has to stay open.
 */
extern void warden_audit_rollback(const char *statement, const char *command);

/*
 * An event of the policy or the change workflow, written as a row of the
 * caller's own transaction (outbox), so that change and audit never diverge.
 * action: approved, rejected, applied, withdrawn, policy, label, token, ...
 */
extern void
warden_audit_action(const char *action, int64 change_id, const char *detail);

extern void warden_audit_action_init(void);
extern void warden_audit_init(void); /* from _PG_init: GUCs, shmem request,
										 * callbacks */

#endif /* WARDEN_AUDIT_EVENT_H */
