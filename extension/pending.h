/*-------------------------------------------------------------------------
 * pending.h
 *	  The store of pending changes and its state machine.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_PENDING_H
#define WARDEN_PENDING_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "catalog/objectaccess.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "utils/relcache.h"

#include "review.h"

/* One statement to record. */
typedef struct WardenCapture
{
	const char *statement;		/* its text alone, without the semicolon */
	RawStmt    *raw;			/* its raw parse tree */
	const char *command;		/* command tag text, e.g. UPDATE */
	ParamListInfo params;		/* bind values, or NULL */
	const char *parameters;		/* instead of params: as jsonb text */
	double		estimated_rows; /* planner's estimate, -1 when unknown */
	int64		expected_rows;	/* that it must touch when applied; 0: any */
	List	   *names;			/* of WardenName *, resolved */
} WardenCapture;

typedef struct WardenRecorded
{
	int64		change_id;
	int			ordinal;
	const char *risk;
} WardenRecorded;

/* States of a change; the legal edges are in pending_state.c. */
typedef enum WardenStatus
{
	WARDEN_CHANGE_PROPOSED,		/* waits for approvals */
	WARDEN_CHANGE_APPROVED,		/* may be applied */
	WARDEN_CHANGE_REJECTED,		/* final */
	WARDEN_CHANGE_WITHDRAWN,	/* final */
	WARDEN_CHANGE_EXPIRED,		/* final, stored only when met */
	WARDEN_CHANGE_STALE,		/* final: what it names has changed */
	WARDEN_CHANGE_APPLYING,		/* non-transactional statement under way */
	WARDEN_CHANGE_APPLIED,		/* final */
	WARDEN_CHANGE_UNKNOWN,		/* cut off while applying; a person decides */
	WARDEN_CHANGE_FAILED		/* final */
} WardenStatus;

/* One row of warden.pending_changes, palloc'd. */
typedef struct WardenChange
{
	int64		id;
	WardenStatus status;		/* with expiry and lost applies counted in */
	WardenStatus stored;		/* as the row says */
	const char *agent;
	const char *on_behalf_of;	/* NULL: nobody */
	bool		asserted;
	Oid			token_issuer;
	Oid			agent_role;
	Oid			apply_role;		/* as recorded */
	const char *risk;
	int			statement_count;
	const char *digest;
	const char *context;
	int			required;		/* as recorded */
	int			attempts;
} WardenChange;

/* One row of warden.change_statements. */
typedef struct WardenStatement
{
	int			ordinal;
	const char *statement;
	const char *command;
	const char *objects;
	const char *parameters;		/* may be NULL */
	int64		expected_rows;	/* 0: any */
} WardenStatement;

/*
 * Appends the statement to the pending change of this transaction (making
 * one if there is none in a live subtransaction), reviews it, sends the
 * notification, and raises the WARNING 01WD1 with its DETAIL.
 */
extern WardenRecorded warden_pending_record(const WardenCapture *capture);

/*
 * With warden.divert_report = error the statement is recorded in a transaction
 * of its own and 01WD1 is an error.  While that is being reported this is the
 * number of the change, for the audit; 0 from then on.
 */
extern int64 warden_pending_reported(void);

/* Has this transaction recorded something? */
extern bool warden_pending_open(void);

/* Records a whole script (of WardenCapture *) as a change of its own. */
extern int64 warden_pending_propose(List *captures, const char *title,
									const char *reason);

/*
 * The same for a person: "as" says in whose name, for whom and as which role.
 * "reverts" is the change that it undoes.
 */
extern int64 warden_pending_propose_as(const WardenChange *as, List *captures,
									   const char *title, const char *reason,
									   int64 reverts);

/* ---- recording (pending.c, pending_separate.c) ----------------------- */

/* A statement with everything that its row holds. */
typedef struct WardenPrepared
{
	WardenStatement row;
	List	   *findings;		/* of WardenFinding * */
	const char *findings_json;	/* instead of findings */
	WardenRisk	risk;
	double		estimated_rows;
} WardenPrepared;

typedef struct WardenRecordJob
{
	List	   *prepared;		/* of WardenPrepared * */
	WardenChange change;		/* id 0: to be made */
	const char *title;
	const char *reason;
	List	   *scopes;			/* of char * */
	WardenRisk	risk;			/* of the whole change, in and out */
	int			ordinal;		/* of the last statement, in and out */
	int64		reverts;		/* the change that it undoes, or 0 */
	MemoryContext context;
} WardenRecordJob;

/*
 * Stores a job (WardenRecordJob *) in the current transaction; in internal
 * mode.  The caller notifies.
 */
extern void warden_record_store(void *arg);

/*
 * Has a background worker store the job in a transaction of its own, with the
 * notification, and returns the number of the change.  Raises where nothing
 * was stored, or where it is not known whether it was.
 */
extern int64 warden_separate_store(WardenRecordJob *job);

/* Entry point by name; its argument is the handle of a DSM segment. */
extern PGDLLEXPORT void warden_separate_worker_main(Datum main_arg);

/* Raises where a text is longer than warden.change_size. */
extern void warden_pending_check_size(const char *text);

/*
 * Raises where the agent has as many changes waiting, or proposed in the last
 * hour, as it may.  In internal mode.
 */
extern void warden_budget_require(const char *agent);

extern void warden_pending_init(void);
extern void warden_pending_state_init(void);	/* called by _init */

/* ---- what makes a statement mean the same later (pending_capture.c) ------ */

/*
 * The settings as a jsonb text; canonical.  With them the delegations (lines,
 * or NULL) by which the person was asserted and the person, or NULL, who issued
 * the token; and those of a stored context.
 */
extern char *warden_capture_context(const char *delegations,
									const char *issuer);
extern char *warden_capture_delegations(const char *context);
extern char *warden_capture_issuer(const char *context);

/* Sets them for the current GUC nest level; pg_temp comes last. */
extern void warden_capture_restore(const char *context);

/*
 * The same between these two, for whoever reads a recorded statement without
 * running it; the one takes what the other returns.  An error ends it as well.
 */
extern int	warden_capture_begin(const char *context);
extern void warden_capture_end(int nest);

/* The context of statements that compare values by their text. */
extern char *warden_capture_exact(const char *context);

/*
 * Between these every value has one text, which reads back as that value; the
 * one takes what the other returns.  An error ends it as well.
 */
extern int	warden_capture_exact_begin(void);
extern void warden_capture_exact_end(int nest);

/* Bind parameters by type and value as a jsonb text, NULL for none. */
extern char *warden_capture_params(ParamListInfo params);

/* The reverse: counts, types and values palloc'd. */
extern int	warden_capture_replay(const char *parameters, Oid **types,
								  Datum **values, char **nulls);

/* The types of recorded parameters (of Oid). */
extern List *warden_capture_types(const char *parameters);

/* The values of recorded parameters (of char *), NULL for NULLs and images. */
extern List *warden_capture_values(const char *parameters);

/* The schemas that names are looked up in now, as search_path is written. */
extern char *warden_capture_path(void);

/* ---- the objects of a statement (pending_objects.c) ---------------------- */

/*
 * Resolved names with the fingerprint of each, and the state of all that the
 * statement (its tree, text and parameters) reaches, as a jsonb text.
 */
extern char *warden_capture_objects(List *names, RawStmt *raw,
									const char *text, const char *parameters);

/*
 * What the statement reaches that runs SQL made when it runs, NULL for
 * nothing; *set_off: it is not called by name.
 */
extern char *warden_capture_dynamic(const char *objects, bool *set_off);

/* What a proposal relied on of one object, and the hash of a text. */
extern char *warden_capture_fingerprint(Oid classid, Oid objid);
extern char *warden_capture_hash(const char *text);

/*
 * Compares recorded objects with what is there now, NULL where nothing
 * differs, else what does ("table public.orders has changed").  With names
 * (resolved anew) also refuses a name that means another object now.
 */
extern char *warden_capture_drift(const WardenStatement *statement,
								  List *names);

/*
 * All that a statement could run, with names looked up in the schemas of the
 * path (pending_reach.c).
 */
typedef struct WardenReached
{
	char	   *state;			/* the same as long as none of it has changed */
	char	   *dynamic;		/* see warden_capture_dynamic */
	bool		set_off;
	bool		literals;		/* it depends on literals and parameters */
} WardenReached;

extern void warden_reach_state(const char *text, const char *parameters,
							   const char *path, WardenReached *reached);

/* OIDs of the relations that a call of the function could read. */
extern List *warden_reach_reads(Oid function);

/*
 * Looking at objects (pending_look.c): between _begin and _end a wait for a
 * lock is short, and its error says what was being done.
 */
typedef struct WardenLook
{
	ErrorContextCallback callback;
	int			nest;			/* of settings, -1: none */
} WardenLook;

extern void warden_look_begin(WardenLook *look, const char *what);
extern void warden_look_end(WardenLook *look);

/* Casts that somebody made, each with a text that is its state. */
typedef struct WardenCast
{
	Oid			source;
	Oid			target;
	Oid			function;
	char	   *state;
	bool		used;
} WardenCast;

extern List *warden_look_casts(void);
extern List *warden_look_event_triggers(List **states);

/* Adds the scopes (char *) of approval rules that the objects fall under. */
extern List *warden_capture_scopes(const char *objects, List *scopes);

/* OIDs of the recorded relations that the statement writes or alters. */
extern List *warden_capture_targets(const char *objects);

/* Digest of a change without statements, and with one more: hexadecimal. */
extern char *warden_digest_begin(const WardenChange *change, Oid apply_role);
extern char *warden_digest_add(const char *digest,
							   const WardenStatement *statement);

/* ---- states (pending_state.c) -------------------------------------------- */

extern const char *warden_pending_status_name(WardenStatus status);

/*
 * Reads a change, with FOR UPDATE locked until the end of the transaction;
 * false where there is none.  Called in internal mode, connected to SPI;
 * results in the given context.
 */
extern bool warden_pending_load(int64 id, bool lock, MemoryContext context,
								WardenChange *change);

/* Its statements (of WardenStatement *), the same way. */
extern List *warden_pending_statements(int64 id, MemoryContext context);

/* The digest as it follows from the rows and the agent's apply role now. */
extern char *warden_pending_digest(const WardenChange *change,
								   List *statements);

/* The role that the agent's changes are applied as now, or InvalidOid. */
extern Oid	warden_pending_apply_role(const char *agent);

/* Persons that must approve, by the rules as they are now, for a risk and
 * scopes (char *). */
extern int	warden_pending_required(const char *risk, List *scopes);

/* Distinct persons who approved this digest and may still do so. */
extern int	warden_pending_approvals(const WardenChange *change);

/*
 * Moves a change, row locked by _load, along a legal edge with the
 * assignments (SQL after SET, constant) that go with it; audits and notifies.
 * In internal mode, connected to SPI.
 */
extern void warden_pending_move(const WardenChange *change, WardenStatus to,
								const char *assignments, const char *action,
								const char *detail);

/* Lets a change's own row be updated by constant SQL of this library. */
extern void warden_pending_edit(int64 id, const char *sql, int nargs,
								Oid *types, Datum *values, const char *nulls);

/* Notification of a transition. */
extern void warden_pending_notify(int64 id, WardenStatus status);

/* A function's first argument, the number of a change; raises for NULL. */
extern int64 warden_pending_number(FunctionCallInfo fcinfo);

/*
 * Raise WD007 unless the statement is a person's own, sent by the client:
 * SELECT of the function, CALL of the procedure.
 */
extern void warden_pending_require_select(FunctionCallInfo fcinfo,
										  const char *name);
extern void warden_pending_require_call(FunctionCallInfo fcinfo,
										const char *name);

/* Raises unless the login role is a member of warden_reviewer. */
extern void warden_pending_require_reviewer(void);

/* Raises unless the login role is a member of warden_admin. */
extern void warden_pending_require_admin(void);

/* ---- apply (pending_apply.c, pending_toplevel.c) ------------------------- */

/*
 * Applies a change; connected to SPI.  "glass" is the reason for doing so
 * without approvals, or NULL; "atomic": the caller's transaction can not be
 * committed on the way.
 */
extern void warden_apply_change(int64 id, const char *glass, bool atomic);

/*
 * The role that the agent's changes are applied as, and why the caller can
 * not apply anything as it, or NULL; *hint goes with that.  In internal mode,
 * connected to SPI.
 */
extern const char *warden_apply_role_bar(const char *agent, Oid *apply_role,
										 const char **hint);

/* Raises unless the caller is a person who sees data as it is. */
extern void warden_apply_require_sight(void);

/*
 * Runs one statement as the current user, under the settings that were
 * restored before; refuses it when its names mean other objects now.  Returns
 * the rows it processed.
 */
extern uint64 warden_apply_statement(const WardenChange *change,
									 WardenStatement *statement);

/* Fires what is deferred, as the current user; nothing is from then on. */
extern void warden_apply_constraints(void);

/* The same where the statement and its names (of WardenName *) need it. */
extern void warden_sandbox_settle(Node *stmt, List *names);

/* Lowers lock_timeout to at most that many ms for the GUC nest level. */
extern void warden_apply_lock_timeout(int limit);

extern void warden_apply_set_running(bool now);

/* DDL of the change itself, from wherever it comes, while it is running. */
extern void warden_apply_note_ddl(void);
extern bool warden_apply_made_ddl(void);

/*
 * Refuse what leaves something in the session, while running
 * (pending_lasting.c).
 */
extern void warden_apply_check_function(Oid function);
extern void warden_lasting_check_utility(Node *stmt);
extern void warden_lasting_check_object(ObjectAccessType access, Oid classid,
										Oid objid);

/* Refuses a query that touches the library's own tables, while running. */
extern void warden_apply_check_relations(List *rangeTable, List *permInfos);

/* Refuse what DDL and other utility statements may not touch, while running. */
extern void warden_apply_check_object(ObjectAccessType access, Oid classid,
									  Oid objid, void *arg);
extern void warden_apply_check_utility(Node *stmt);

/*
 * Refuse what would act beyond the change with the rights of a superuser
 * (pending_powers.c).
 */
extern void warden_powers_check_utility(Node *stmt);
extern void warden_powers_check_relation(Oid relid, AclMode required);
extern void warden_powers_check_function(Oid function);

/*
 * Where a change runs (pending_sandbox.c): from _enter to _leave the user is
 * the role, and nothing may outlive the statements.  On error the caller's
 * subtransaction restores the user.  In a block of the caller's, what that
 * one has deferred must have fired before.
 */
typedef struct WardenSandbox
{
	Oid			user;
	int			security;
	int			temporary;		/* objects that were there before */
	bool		in_block;		/* the transaction goes on afterwards */
} WardenSandbox;

extern bool warden_sandbox_in_block(void);
extern void warden_sandbox_enter(WardenSandbox *sandbox, Oid role,
								 bool in_block);
extern void warden_sandbox_leave(const WardenSandbox *sandbox);

/*
 * Rows that are changed between _begin and _end (pending_watch.c) go to the
 * row images and to the footprint.
 */
extern void warden_watch_begin(void);
extern void warden_watch_end(void);
extern void warden_watch_init(void);	/* called by warden_pending_init */

/* What a preview may not call (pending_preview_guard.c); called there, too. */
extern void warden_preview_guard_init(void);

/*
 * Row images (pending_images.c): captured between _begin and _end, per
 * statement; _store, in internal mode and connected to SPI, keeps them.
 * _begin with NULL drops what has been captured.  _give_up says why there can
 * be none, a constant.  "old" or "new" may be NULL.
 */
extern void warden_images_begin(MemoryContext context);
extern void warden_images_statement(int ordinal);
extern void warden_images_row(Relation relation, char operation,
							  HeapTuple old, HeapTuple new);
extern void warden_images_give_up(const char *reason);
extern void warden_images_end(void);
extern void warden_images_store(int64 change_id);

/* A row in the text form of its type, and the time that images go back to. */
extern char *warden_images_text(HeapTuple tuple, TupleDesc desc);

/* What a row must be like to be read back from its text. */
extern char *warden_images_shape(TupleDesc desc);
extern TimestampTz warden_images_horizon(void);

/*
 * Rows of an image, checked against what the statement was recorded with
 * (pending_revert.c).
 */
extern char *warden_images_fetch(const char *id, bool old,
								 const char *sha256);

/*
 * The first rows that a statement changes, before and after, as a jsonb text
 * (pending_sample.c), as far as the role may read them; collected between
 * _begin and _end, NULL for none.
 */
extern void warden_sample_begin(MemoryContext context, Oid role);
extern void warden_sample_row(Relation relation, HeapTuple old,
							  HeapTuple new);
extern char *warden_sample_end(void);

/*
 * Rows that leave a partition come back, in this order, as rows that are
 * inserted into this partitioned table: they are shown as updated.
 */
extern void warden_sample_moving(Oid relid);

/* So many rows of each statement, and how one value is put: "name": "text". */
#define WARDEN_SAMPLE_ROWS	5
extern void warden_sample_value(StringInfo json, const char *name, Oid type,
								Datum value, bool isnull);

/*
 * What a statement touched (pending_footprint.c), between _begin and _end;
 * "more" statements of the change come behind it.
 */
typedef struct WardenFootprint
{
	int			ordinal;
	int64		rows;
	char		hash[65];		/* "": too many rows to be hashed */
	char		at[40];			/* of a stored one: when, as text */
} WardenFootprint;

extern void warden_footprint_begin(bool more);
extern void warden_footprint_row(Relation relation, HeapTuple old);

/*
 * A row that the change has written, to be known again when a later statement
 * changes it in a partitioned table; _forget when another change begins.
 */
extern void warden_footprint_written(Relation relation, HeapTuple new);
extern void warden_footprint_forget(void);
extern void warden_footprint_end(int ordinal, uint64 rows,
								 WardenFootprint *footprint);

/* Those of a change; in internal mode and connected to SPI. */
extern void warden_footprint_store(int64 change_id, List *footprints);
extern List *warden_footprint_load(int64 change_id, MemoryContext context);

/* What an apply will compare with them: "nothing", "number of rows", ... */
extern const char *warden_footprint_compared(const WardenStatement *statement,
											 List *footprints);

/* Raises WD007 where a stored one is there and differs. */
extern void warden_footprint_require(int64 change_id, List *footprints,
									 const WardenFootprint *now);

/* Indexes of the statement's tables that are not valid, "a, b" or "". */
extern char *warden_barred_invalid_indexes(const WardenStatement *statement);

/* The sign that somebody is running a change's barred statement. */
extern bool warden_toplevel_lock(int64 change_id);
extern void warden_toplevel_unlock(int64 change_id);
extern bool warden_toplevel_running(int64 change_id);

/*
 * Runs a statement that may not run in a transaction block; not connected to
 * SPI, outside a transaction block.  Returns in a transaction of its own, with
 * the error in "memory" or NULL; *committed: something of it has stayed.
 */
extern ErrorData *warden_toplevel_run(const WardenStatement *statement,
									  const char *context, Oid apply_role,
									  MemoryContext memory, bool *committed);

/* That is being done: what is made or dropped may be committed at once. */
extern bool warden_toplevel_active(void);

/*
 * The settings of the session (pending_settings.c), in the context; set back
 * outside a transaction.
 */
extern List *warden_settings_remember(MemoryContext context);
extern void warden_settings_restore(List *settings);

extern void warden_toplevel_init(void); /* called by warden_pending_init */

/* Old changes are being removed by warden.purge() in this backend. */
extern bool warden_purge_running(void);

/* A change is being applied (or previewed) by this backend. */
extern bool warden_apply_running(void);

#endif							/* WARDEN_PENDING_H */
