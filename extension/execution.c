/*-------------------------------------------------------------------------
 * execution.c
 *	  What happens to a plan that a governed backend executes: verified,
 *	  recorded before it runs, diverted when it writes, cut at the agent's
 *	  number of rows, and its outcome recorded.
 *
 * Invariants:
 * - No plan runs that was made for another principal, in any ExecutorRun.
 * - A top-level statement's intent is recorded before standard_ExecutorStart.
 * - A write of an agent is diverted at top level and refused below it; no
 *	 path leads to standard_ExecutorRun.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/prepare.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_event.h"
#include "catalog.h"
#include "divert.h"
#include "execution.h"
#include "identity.h"
#include "kept_rows.h"
#include "message.h"
#include "nesting.h"
#include "pending.h"
#include "plan_reads.h"
#include "plan_stamp.h"
#include "planning.h"
#include "policy.h"
#include "secret_column.h"
#include "statement.h"
#include "utility_gate.h"
#include "warden.h"
#include "write_gate.h"

/* Rows that a QueryDesc has sent to the client; lives in its query context. */
typedef struct Sent
{
	QueryDesc  *queryDesc;
	uint64		rows;
	uint64		recorded;		/* of these, in records that are closed */
	uint64		max_rows;
	uint64		from;			/* a cursor's rows behind this one ... */
	uint64		to;				/* ... up to this one are among them */
	bool		truncated;
	struct Sent *next;
} Sent;

/* Forwards rows until the limit, then stops the executor. */
typedef struct CappedReceiver
{
	DestReceiver pub;
	DestReceiver *inner;
	Sent	   *sent;
	uint64		received;
	uint64		again;			/* up to here those sent before come again */
	uint64		needed;			/* up to where the cursor stands */
	bool		follows;		/* upon the last row that was sent */
} CappedReceiver;

static Sent *sent_list = NULL;

/* The top-level QueryDesc whose audit record is open, if it is a query. */
static QueryDesc *audited = NULL;

/* The statement is leave(), whose text may hold its key. */
static bool secret_statement = false;

/* What an observed agent's open statement would have met. */
static const char *observation = NULL;

/* Rows of the open statement that are on their way to the client. */
static uint64 rows_sent = 0;

/* ----------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------- */

static void
forget_sent(void *arg)
{
	Sent	  **link;

	for (link = &sent_list; *link != NULL; link = &(*link)->next)
	{
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
	}
}

static Sent *
find_sent(const QueryDesc *queryDesc)
{
	Sent	   *sent;

	for (sent = sent_list; sent != NULL; sent = sent->next)
	{
		if (sent->queryDesc == queryDesc)
			return sent;
	}
	return NULL;
}

/* The entry goes when the query's memory does, however the query ends. */
static Sent *
make_sent(QueryDesc *queryDesc, int max_rows)
{
	MemoryContext context = queryDesc->estate->es_query_cxt;
	Sent	   *sent = MemoryContextAllocZero(context, sizeof(Sent));
	MemoryContextCallback *callback;

	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	callback->func = forget_sent;
	callback->arg = sent;
	MemoryContextRegisterResetCallback(context, callback);
	sent->queryDesc = queryDesc;
	sent->max_rows = max_rows;
	sent->next = sent_list;
	sent_list = sent;
	return sent;
}

static void
capped_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	DestReceiver *inner = ((CappedReceiver *) self)->inner;

	inner->rStartup(inner, operation, typeinfo);
}

static bool
capped_receive(TupleTableSlot *slot, DestReceiver *self)
{
	CappedReceiver *capped = (CappedReceiver *) self;
	Sent	   *sent = capped->sent;

	if (capped->received >= sent->from && capped->received < capped->again)
	{
		capped->received++;
		return capped->inner->receiveSlot(slot, capped->inner);
	}
	if (sent->rows >= sent->max_rows)
	{
		if (capped->received < capped->needed)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a cursor can not be held that has moved beyond the " UINT64_FORMAT " rows of a result",
							sent->max_rows),
					 errhint("Close it before COMMIT, or narrow the query.")));
		if (!sent->truncated)
			ereport(WARNING,
					(errcode(WARDEN_WARNING_TRUNCATED),
					 errmsg("result cut at " UINT64_FORMAT " rows",
							sent->max_rows),
					 errhint("Narrow the query, aggregate, or use LIMIT and OFFSET to page through it.")));
		sent->truncated = true;
		return false;
	}
	capped->received++;
	sent->rows++;
	sent->to += capped->follows;
	rows_sent++;
	return capped->inner->receiveSlot(slot, capped->inner);
}

static void
capped_shutdown(DestReceiver *self)
{
	DestReceiver *inner = ((CappedReceiver *) self)->inner;

	inner->rShutdown(inner);
}

/* The inner receiver belongs to the caller. */
static void
capped_destroy(DestReceiver *self pg_attribute_unused())
{
}

/* Rows that leave for the client, as far as a receiver tells. */
static bool
sends_to_client(const QueryDesc *queryDesc)
{
	switch (queryDesc->dest->mydest)
	{
		case DestRemote:
		case DestRemoteExecute:
		case DestRemoteSimple:
		case DestCopyOut:
			return true;
		case DestTuplestore:
			/* A held cursor being materialized; PL code nests. */
			return !warden_nesting_inside();
		default:
			return false;
	}
}

/* ----------------------------------------------------------------------
 * Audit
 * ---------------------------------------------------------------------- */

/* Does the plan read a relation with labelled columns? */
static bool
reads_labelled(const PlannedStmt *pstmt)
{
	ListCell   *lc;

	foreach(lc, pstmt->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION &&
			warden_policy_relation(rte->relid) != NULL)
			return true;
	}
	return false;
}

/*
 * The record of the query that is open ends here, with the rows that it has
 * sent since it began: a portal that goes on later gets another.
 */
static void
close_audited(void)
{
	Sent	   *sent;
	uint64		rows;

	if (audited == NULL)
		return;
	sent = find_sent(audited);
	rows = sent != NULL ? sent->rows - sent->recorded :
		audited->estate->es_processed;
	if (sent != NULL)
		sent->recorded = sent->rows;
	audited = NULL;
	if (warden_audit_open())
		warden_audit_outcome(sent != NULL && sent->truncated ? "truncated" :
							 "ok", 0, observation, rows, 0);
	observation = NULL;
	rows_sent = 0;
	if (warden_principal_current()->class == WARDEN_CLASS_AGENT)
		warden_identity_count_rows(rows);
}

/*
 * A statement of the masked class that reads nothing labelled itself has no
 * record.  What functions read for it belongs in one of its own, not in that
 * of the statement before.
 */
void
warden_execution_end_record(void)
{
	close_audited();
	warden_audit_close();
}

/* The text of what EXPLAIN EXECUTE explains, which is not in its own. */
static void
add_prepared_text(WardenIntent *intent, const ExplainStmt *stmt)
{
	ExecuteStmt *execute = warden_utility_explained_execute(stmt);
	PreparedStatement *prepared;

	if (execute == NULL)
		return;
	prepared = FetchPreparedStatement(execute->name, false);
	if (prepared != NULL)
		intent->statement = psprintf("%s\n%s", intent->statement,
									 prepared->plansource->query_string);
}

/* A utility statement that has its plan, or its text, elsewhere. */
static void
describe_utility(WardenIntent *intent, const WardenPrincipal *principal,
				 Node *stmt)
{
	Portal		portal;

	if (IsA(stmt, ExplainStmt))
		add_prepared_text(intent, (ExplainStmt *) stmt);
	if (!IsA(stmt, FetchStmt))
		return;
	portal = GetPortalByName(((FetchStmt *) stmt)->portalname);
	if (PortalIsValid(portal) && portal->stmts != NIL)
		warden_plan_reads(linitial_node(PlannedStmt, portal->stmts), principal,
						  &intent->reads);
}

static void
record_intent(const PlannedStmt *pstmt, const char *source,
			  ParamListInfo params)
{
	const WardenPrincipal *principal = warden_principal_current();
	WardenPrincipal self = *principal;
	WardenIntent intent = {0};

	close_audited();
	rows_sent = 0;
	intent.statement = warden_statement_text(source, pstmt->stmt_location,
											 pstmt->stmt_len);
	intent.params = params;
	intent.command = GetCommandTagName(CreateCommandTag((Node *) pstmt));
	intent.transaction = pstmt->commandType == CMD_UTILITY &&
		IsA(pstmt->utilityStmt, TransactionStmt);
	warden_plan_reads_begin();
	if (pstmt->commandType != CMD_UTILITY)
		warden_plan_reads(pstmt, &self, &intent.reads);
	else
		describe_utility(&intent, &self, pstmt->utilityStmt);
	warden_audit_intent(&intent);
}

/*
 * What runs below the statement reads for it: the query of a COPY or a cursor,
 * of a function, of EXPLAIN ANALYZE.  Before it starts, what it reads and
 * nothing before it did is recorded too.
 */
static void
record_reads_now(const PlannedStmt *pstmt)
{
	WardenPrincipal self = *warden_principal_current();
	WardenIntent intent = {0};

	if (warden_audit_unsettled() || IsParallelWorker())
	{
		if (warden_plan_reads_more(pstmt, &self, &intent.reads))
			warden_audit_reads(&intent.reads);
		return;
	}

	/*
	 * A portal that goes on after another statement, whose intent closed its
	 * own, or a statement that had none as long as it read nothing labelled.
	 */
	if (self.class == WARDEN_CLASS_MASKED && !reads_labelled(pstmt))
		return;
	warden_plan_reads_begin();
	if (!warden_plan_reads_more(pstmt, &self, &intent.reads))
		return;
	close_audited();
	intent.statement = ActivePortal != NULL ? ActivePortal->sourceText :
		debug_query_string;
	intent.command = "SELECT";
	warden_audit_intent(&intent);
}

static void
record_reads(const PlannedStmt *pstmt, int eflags)
{
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) || warden_principal_internal())
		return;
	PG_TRY();
	{
		record_reads_now(pstmt);
	}
	PG_CATCH();
	{
		/* A block may catch this and read again: that is new again. */
		warden_plan_reads_begin();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * A suspended portal goes on after another statement.  An open record that is
 * no query's is that of the FETCH which runs this one.
 */
static void
record_continuation(QueryDesc *queryDesc)
{
	if (audited == queryDesc)
		warden_audit_go_on();
	if (audited == queryDesc || (audited == NULL && warden_audit_open()) ||
		secret_statement || warden_principal_internal() ||
		!warden_nesting_toplevel(queryDesc->plannedstmt))
		return;
	record_intent(queryDesc->plannedstmt, queryDesc->sourceText,
				  queryDesc->params);
	audited = queryDesc;
}

void
warden_execution_utility_intent(const PlannedStmt *pstmt, const char *source,
								ParamListInfo params)
{
	WardenClass class = warden_principal_current()->class;

	/* Ending a transaction costs nothing: no budget must keep it from that. */
	if (IsA(pstmt->utilityStmt, TransactionStmt))
		;
	else if (class == WARDEN_CLASS_AGENT)
		warden_identity_apply_limits();
	else if (class == WARDEN_CLASS_OBSERVED)
		warden_identity_claim();
	record_intent(pstmt, source, params);
	warden_identity_facts()->truncated = false;
	audited = NULL;
	observation = NULL;
}

void
warden_execution_utility_done(const char *outcome, uint64 rows,
							  int64 change_id)
{
	if (warden_audit_open())
		warden_audit_outcome(outcome, 0, observation, rows, change_id);
	observation = NULL;
	rows_sent = 0;

	/* COPY and FETCH send rows, too. */
	if (warden_principal_current()->class == WARDEN_CLASS_AGENT)
		warden_identity_count_rows(rows);
}

/*
 * SELECT warden.leave(key), of a constant or a parameter and with nothing
 * else in it: whatever else it computed would go unrecorded.
 */
static bool
is_leave(const PlannedStmt *pstmt)
{
	Plan	   *tree = pstmt->planTree;
	FuncExpr   *call;

	if (!warden_identity_bound() || tree == NULL || !IsA(tree, Result) ||
		pstmt->subplans != NIL || tree->initPlan != NIL ||
		outerPlan(tree) != NULL ||
		((Result *) tree)->resconstantqual != NULL ||
		list_length(tree->targetlist) != 1)
		return false;
	call = (FuncExpr *) linitial_node(TargetEntry, tree->targetlist)->expr;
	return IsA(call, FuncExpr) &&
		call->funcid == warden_catalog_function("leave") &&
		list_length(call->args) == 1 &&
		(IsA(linitial(call->args), Const) || IsA(linitial(call->args), Param));
}

/* ----------------------------------------------------------------------
 * Start
 * ---------------------------------------------------------------------- */

static void
start(QueryDesc *queryDesc, int eflags, ExecutorStart_hook_type next)
{
	if (next != NULL)
		next(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/*
 * What a cascade writes can have triggers of a masked role's own.  It comes
 * here with every row, and its plan has every partition.
 */
static void
check_cascade(const PlannedStmt *pstmt, const WardenPrincipal *principal)
{
	WardenPrincipal self = *principal;
	List	   *checked = NIL;
	ListCell   *lc;

	if (self.class != WARDEN_CLASS_MASKED)
		return;
	foreach(lc, pstmt->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(lc), pstmt->rtable)->relid;

		if (!list_member_oid(checked, relid))
			checked = list_concat(checked,
								  warden_write_gate_check_code(relid, &self));
	}
}

/* A foreign key's own query is exempt; what it runs is not. */
static void
start_foreign_key(QueryDesc *queryDesc, int eflags,
				  ExecutorStart_hook_type next)
{
	WardenForeignKey saved;

	check_cascade(queryDesc->plannedstmt, warden_principal_current());
	warden_nesting_enter_query(&saved);
	PG_TRY();
	{
		start(queryDesc, eflags, next);
	}
	PG_FINALLY();
	{
		warden_nesting_leave_query(&saved);
	}
	PG_END_TRY();
}

static bool
is_write(const PlannedStmt *pstmt)
{
	return pstmt->commandType != CMD_SELECT || pstmt->hasModifyingCTE;
}

/* One flag per result column, set for those in the list of resnos. */
static bool *
column_flags(List *resnos, int ncolumns)
{
	bool	   *flags = MemoryContextAllocZero(TopTransactionContext,
											   Max(ncolumns, 1) *
											   sizeof(bool));
	ListCell   *lc;

	foreach(lc, resnos)
	{
		if (lfirst_int(lc) >= 1 && lfirst_int(lc) <= ncolumns)
			flags[lfirst_int(lc) - 1] = true;
	}
	return flags;
}

/* What leave() will say of the statement. */
static void
note_columns(QueryDesc *queryDesc)
{
	WardenStatementFacts *facts = warden_identity_facts();
	List	   *untrusted = warden_plan_stamp_untrusted(queryDesc->plannedstmt);

	facts->truncated = false;
	facts->ncolumns = queryDesc->tupDesc->natts;
	facts->masked =
		column_flags(warden_plan_stamp_masked(queryDesc->plannedstmt),
					 facts->ncolumns);
	facts->untrusted = untrusted == NIL ? NULL :
		column_flags(untrusted, facts->ncolumns);
}

static void
start_toplevel_read(QueryDesc *queryDesc, int eflags,
					ExecutorStart_hook_type next)
{
	warden_utility_check_startup();
	secret_statement = is_leave(queryDesc->plannedstmt);
	if (!secret_statement)
	{
		/* Leaving costs nothing: a spent budget must not keep it from that. */
		warden_identity_apply_limits();
		record_intent(queryDesc->plannedstmt, queryDesc->sourceText,
					  queryDesc->params);
		audited = queryDesc;
	}
	/* what a rule reads beside a write has that write's rights in it */
	if (!queryDesc->plannedstmt->canSetTag)
		warden_divert_rights(queryDesc);
	start(queryDesc, eflags, next);
	if (!secret_statement)
		note_columns(queryDesc);
}

static void
start_toplevel_write(QueryDesc *queryDesc, int eflags,
					 ExecutorStart_hook_type next)
{
	warden_utility_check_startup();
	warden_identity_apply_limits();
	record_intent(queryDesc->plannedstmt, queryDesc->sourceText,
				  queryDesc->params);
	audited = NULL;
	warden_divert_query(queryDesc, eflags, next);
	warden_audit_expect("diverted", warden_identity_facts()->change_id);
}

static void
start_agent(QueryDesc *queryDesc, int eflags, ExecutorStart_hook_type next)
{
	PlannedStmt *pstmt = queryDesc->plannedstmt;
	bool		toplevel = warden_nesting_toplevel(pstmt);

	if (is_write(pstmt))
	{
		if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		{
			warden_divert_rights(queryDesc);
			start(queryDesc, eflags, next);
		}
		else if (toplevel)
			start_toplevel_write(queryDesc, eflags, next);
		else
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NESTED_WRITE),
					 errmsg("a write inside a function or block can not be diverted"),
					 errhint("Propose the whole call with warden.propose(), or send the write as a statement of its own.")));
		return;
	}

	/* The second layer of the planner's refusal. */
	if (pstmt->rowMarks != NIL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("row locks are not permitted to agents"),
				 errhint("Leave out FOR UPDATE and FOR SHARE.")));
	if (toplevel)
		start_toplevel_read(queryDesc, eflags, next);
	else
	{
		warden_identity_keep_limits();
		record_reads(pstmt, eflags);
		if (warden_plan_stamp_untrusted(pstmt) != NIL)
			warden_identity_facts()->untrusted_below = true;
		start(queryDesc, eflags, next);
	}
}

void
warden_execution_observe(const char *what)
{
	if (observation == NULL && warden_audit_open())
		observation = what;
}

/* Reads what agents are refused since nothing in it can be masked. */
static bool
reads_copies(const PlannedStmt *pstmt)
{
	ListCell   *lc;

	foreach(lc, pstmt->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		const WardenRelation *relation;

		if (rte->rtekind != RTE_RELATION)
			continue;
		relation = warden_policy_relation(rte->relid);
		if (relation != NULL && relation->refused)
			return true;
	}
	return false;
}

void
warden_execution_observe_refusal(const char *message)
{
	static char note[200];

	if (observation != NULL || !warden_audit_open())
		return;
	snprintf(note, sizeof(note), "would have been refused: %s", message);
	note[pg_mbcliplen(note, (int) strlen(note), sizeof(note) - 1)] = '\0';
	observation = note;
}

/*
 * A call by the fastpath protocol has neither a plan nor a portal, and nobody
 * says when it is over.  So its outcome is known at once, and held back like
 * any other until its message has ended: an error takes its place.
 */
void
warden_execution_observe_call(const char *function)
{
	WardenIntent intent = {0};

	close_audited();
	warden_identity_claim();
	warden_plan_reads_begin();
	intent.statement = psprintf("function call: %s", function);
	intent.command = "FUNCTION CALL";
	warden_audit_intent(&intent);
	warden_audit_outcome("ok", 0,
						 "would have been refused: the fastpath protocol",
						 0, 0);
}

/* A write that has no plan to record it with: it is over as well. */
static void
observe_nothing(Query *query, const char *source)
{
	static const char note[] = "would have been refused: a rule does nothing instead of the write";
	WardenIntent intent = {0};

	if (warden_nesting_inside())
	{
		warden_execution_observe(note);
		return;
	}
	close_audited();
	warden_identity_claim();
	warden_plan_reads_begin();
	intent.statement = warden_statement_text(source, query->stmt_location,
											 query->stmt_len);
	intent.command = GetCommandTagName(CreateCommandTag((Node *) query));
	warden_audit_intent(&intent);
	warden_audit_outcome("ok", 0, note, 0, 0);
}

void
warden_execution_parsed(const WardenPrincipal *principal, Query *query,
						const char *source)
{
	bool		observed = principal->class == WARDEN_CLASS_OBSERVED;
	Oid			relid;

	if (!warden_divert_leaves_nothing(query))
		return;
	if (observed)
	{
		observe_nothing(query, source);
		return;
	}
	relid = rt_fetch(query->resultRelation, query->rtable)->relid;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a rule of \"%s\" does nothing instead of this write",
					get_rel_name(relid)),
			 errhint("Write to the table that holds the rows.")));
}

/*
 * An observed agent's statement runs as before; its record says what it would
 * have met.
 */
static void
start_observed(QueryDesc *queryDesc, int eflags, ExecutorStart_hook_type next)
{
	const PlannedStmt *pstmt = queryDesc->plannedstmt;

	if (warden_nesting_toplevel(pstmt))
	{
		warden_identity_claim();
		record_intent(pstmt, queryDesc->sourceText, queryDesc->params);
		audited = queryDesc;
		observation = is_write(pstmt) ? "would have been diverted" : NULL;
	}
	else
	{
		record_reads(pstmt, eflags);
		if (is_write(pstmt))
			warden_execution_observe("would have been refused: a write inside a function or block");
	}
	if (!is_write(pstmt) && pstmt->rowMarks != NIL)
		warden_execution_observe("would have been refused: row locks");
	if (reads_copies(pstmt))
		warden_execution_observe("would have been refused: a relation that holds copies of labelled data");
	start(queryDesc, eflags, next);
}

/* Of the masked class only what it reads masked is recorded. */
static void
start_masked(QueryDesc *queryDesc, int eflags, ExecutorStart_hook_type next)
{
	const PlannedStmt *pstmt = queryDesc->plannedstmt;

	if (warden_nesting_toplevel(pstmt))
	{
		warden_execution_end_record();
		if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && reads_labelled(pstmt))
		{
			record_intent(pstmt, queryDesc->sourceText, queryDesc->params);
			audited = queryDesc;
		}
	}
	else
		record_reads(pstmt, eflags);
	start(queryDesc, eflags, next);
}

void
warden_execution_start(const WardenPrincipal *principal,
					   QueryDesc *queryDesc, int eflags,
					   ExecutorStart_hook_type next)
{
	/* A worker's plan was verified by its leader, and carries no stamp. */
	if (IsParallelWorker())
	{
		if (warden_nesting_inside() && principal->class != WARDEN_CLASS_NONE)
			record_reads(queryDesc->plannedstmt, eflags);
		start(queryDesc, eflags, next);
		return;
	}
	warden_message_watch();
	if (warden_nesting_toplevel(queryDesc->plannedstmt))
		warden_message_statement(queryDesc->plannedstmt, queryDesc->sourceText);
	if (warden_nesting_foreign_key())
	{
		start_foreign_key(queryDesc, eflags, next);
		return;
	}
	warden_principal_require(principal);

	/*
	 * In a transaction that holds its locks already nothing else would make
	 * a change of policy known before the statement runs.
	 */
	AcceptInvalidationMessages();
	principal = warden_principal_current();
	warden_plan_stamp_verify(queryDesc->plannedstmt, principal);
	warden_plan_stamp_expire();
	warden_kept_rows_check();
	if (warden_principal_current()->class == WARDEN_CLASS_AGENT)
		start_agent(queryDesc, eflags, next);
	else if (warden_principal_current()->class == WARDEN_CLASS_MASKED)
		start_masked(queryDesc, eflags, next);
	else if (warden_principal_current()->class == WARDEN_CLASS_OBSERVED)
		start_observed(queryDesc, eflags, next);
	else
		start(queryDesc, eflags, next);
}

/* ----------------------------------------------------------------------
 * Run, finish, end
 * ---------------------------------------------------------------------- */

static void
leave_run(int depth, const WardenForeignKey *saved)
{
	warden_nesting_restore(depth);
	warden_nesting_leave_query(saved);
}

static void
run(EXECUTOR_RUN_ARGS, ExecutorRun_hook_type next)
{
	MemoryContext context = CurrentMemoryContext;
	WardenForeignKey saved;
	int			depth = warden_nesting_enter();

	warden_nesting_enter_query(&saved);
	PG_TRY();
	{
		if (next != NULL)
			next(EXECUTOR_RUN_PASS);
		else
			standard_ExecutorRun(EXECUTOR_RUN_PASS);
	}
	PG_CATCH();
	{
		leave_run(depth, &saved);
		warden_write_gate_rethrow(context);
	}
	PG_END_TRY();
	leave_run(depth, &saved);
}

/*
 * A cursor that can scroll is held from its first row on: what it has sent of
 * these comes again, and all of them up to where it stands must.
 */
static void
count_held(CappedReceiver *capped)
{
	if (ActivePortal == NULL || ActivePortal->holdStore == NULL ||
		ActivePortal->queryDesc != capped->sent->queryDesc ||
		(ActivePortal->cursorOptions & CURSOR_OPT_SCROLL) == 0)
		return;
	if (!ActivePortal->atEnd)
		capped->needed = ActivePortal->portalPos;
	capped->again = Min(ActivePortal->portalPos, capped->sent->to);
}

/* Of what it sends here and there, a cursor knows the first rows in a row. */
static bool
follows_sent(Sent *sent, ScanDirection direction)
{
	if (ActivePortal == NULL || ActivePortal->queryDesc != sent->queryDesc ||
		!ScanDirectionIsForward(direction))
		return false;
	if (sent->rows == 0)
		sent->from = sent->to = ActivePortal->portalPos;
	return ActivePortal->portalPos == sent->to;
}

/* Runs with a receiver between the executor and the client's. */
static void
run_capped(EXECUTOR_RUN_ARGS, ExecutorRun_hook_type next, int max_rows)
{
	CappedReceiver capped = {0};
	DestReceiver *inner = queryDesc->dest;

	capped.sent = find_sent(queryDesc);
	if (capped.sent == NULL)
		capped.sent = make_sent(queryDesc, max_rows);
	capped.pub.receiveSlot = capped_receive;
	capped.pub.rStartup = capped_startup;
	capped.pub.rShutdown = capped_shutdown;
	capped.pub.rDestroy = capped_destroy;
	capped.pub.mydest = inner->mydest;
	capped.inner = inner;
	count_held(&capped);
	capped.follows = follows_sent(capped.sent, direction);
	queryDesc->dest = (DestReceiver *) &capped;
	PG_TRY();
	{
		run(EXECUTOR_RUN_PASS, next);
	}
	PG_FINALLY();
	{
		queryDesc->dest = inner;
	}
	PG_END_TRY();
	if (capped.sent->truncated)
		warden_identity_facts()->truncated = true;
}

void
warden_execution_run(const WardenPrincipal *principal, EXECUTOR_RUN_ARGS,
					 ExecutorRun_hook_type next)
{
	int			max_rows = 0;

	if (warden_divert_started(queryDesc))
	{
		warden_audit_settle();
		return;
	}
	if (!IsParallelWorker() && !warden_nesting_foreign_key())
	{
		/* A portal that was bound, or suspended, before a change of policy. */
		if (!warden_nesting_inside())
			AcceptInvalidationMessages();
		principal = warden_principal_current();
		warden_principal_require(principal);
		warden_plan_stamp_verify(queryDesc->plannedstmt, principal);
		if (direction != NoMovementScanDirection &&
			(warden_principal_current()->class == WARDEN_CLASS_AGENT ||
			 warden_principal_current()->class == WARDEN_CLASS_OBSERVED))
			record_continuation(queryDesc);
		if (warden_principal_current()->class == WARDEN_CLASS_OBSERVED)
			(void) warden_identity_current();
		if (warden_principal_current()->class == WARDEN_CLASS_AGENT)
		{
			/* Nothing comes here that writes; if a new path did, it ends. */
			if (is_write(queryDesc->plannedstmt))
				ereport(ERROR,
						(errcode(WARDEN_ERRCODE_NESTED_WRITE),
						 errmsg("a write of an agent reached the executor"),
						 errhint("Propose it with warden.propose().")));
			/* A portal that was suspended comes here again. */
			warden_identity_recheck();
			if (sends_to_client(queryDesc))
				max_rows = warden_identity_current()->max_rows;
		}
	}
	if (max_rows > 0)
		run_capped(EXECUTOR_RUN_PASS, next, max_rows);
	else
		run(EXECUTOR_RUN_PASS, next);

	/* All has been sent, even if the client keeps the portal. */
	if (queryDesc == audited &&
		(count == 0 || queryDesc->estate->es_processed < count))
		close_audited();

	/*
	 * Whoever logs what was timed, auto_explain first, may do so when other
	 * messages have come, and with plan and parameters.
	 */
	if (warden_identity_badged())
	{
		queryDesc->totaltime = NULL;
		secret_statement = false;
	}
}

void
warden_execution_finish(QueryDesc *queryDesc, ExecutorFinish_hook_type next)
{
	MemoryContext context = CurrentMemoryContext;
	WardenForeignKey saved;
	int			depth;

	if (warden_divert_started(queryDesc))
		return;
	warden_nesting_enter_query(&saved);
	depth = warden_nesting_enter();
	PG_TRY();
	{
		if (next != NULL)
			next(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_CATCH();
	{
		leave_run(depth, &saved);
		warden_write_gate_rethrow(context);
	}
	PG_END_TRY();
	leave_run(depth, &saved);
}

void
warden_execution_end(QueryDesc *queryDesc)
{
	if (queryDesc != audited)
		return;
	close_audited();

	/* A later message replaces its portal: what that meets is not its own. */
	if (ActivePortal == NULL && debug_query_string != NULL &&
		debug_query_string != queryDesc->sourceText)
		warden_audit_close();
}

/* ----------------------------------------------------------------------
 * Relations
 * ---------------------------------------------------------------------- */

static void
check_relation(const RangeTblEntry *rte, const WardenPerms *perms)
{
	switch (rte->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_MATVIEW:
		case RELKIND_VIEW:
		case RELKIND_SEQUENCE:
			break;
		case RELKIND_COMPOSITE_TYPE:
			break;				/* EXCLUDED, whose rights 16 asks for */
		default:
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("relation \"%s\" is of a kind that agents may not read",
							get_rel_name(rte->relid)),
					 errhint("Read the table that it belongs to.")));
	}

	/* The library's own tables are read through its views, as their owner. */
	if (get_rel_namespace(rte->relid) == warden_catalog_schema() &&
		!OidIsValid(perms->checkAsUser) &&
		rte->relid != warden_catalog_relation("my_changes") &&
		rte->relid != warden_catalog_relation("my_audit"))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("\"%s.%s\" is not visible to agents", WARDEN_SCHEMA,
						get_rel_name(rte->relid)),
				 errhint("Agents may read %s.my_changes and %s.my_audit.",
						 WARDEN_SCHEMA, WARDEN_SCHEMA)));
}

/*
 * A right to read everything, as pg_read_all_data has it, reaches what holds
 * raw values under no name of a column: TOAST tables, images of rows, keys.
 */
static void
check_relation_masked(const RangeTblEntry *rte, const WardenPerms *perms)
{
	bool		raw = rte->relkind == RELKIND_TOASTVALUE;

	if (!raw && !OidIsValid(perms->checkAsUser) &&
		get_rel_namespace(rte->relid) == warden_catalog_schema())
		raw = rte->relid == warden_catalog_relation("mask_keys") ||
			rte->relid == warden_catalog_relation("change_images");
	if (raw)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("relation \"%s\" is not visible to governed roles",
						get_rel_name(rte->relid)),
				 errhint("It shows raw data: use a role of its own for it, without a warden label.")));
}

void
warden_execution_check_relations(const WardenPrincipal *principal,
								 List *rangeTable, List *permInfos)
{
	bool		agent = principal->class == WARDEN_CLASS_AGENT;
	ListCell   *lc;

	foreach(lc, rangeTable)
	{
		RangeTblEntry *rte = lfirst(lc);
		WardenPerms *perms;

		/* A view is a subquery that, from 16 on, still knows its name. */
		if (!OidIsValid(rte->relid))
			continue;
		perms = warden_rte_perms(permInfos, rte);
		if (perms == NULL || perms->requiredPerms == 0)
			continue;
		if (!agent)
		{
			check_relation_masked(rte, perms);
			continue;
		}
		check_relation(rte, perms);
		warden_secret_check(rte->relid, perms);
	}
}

/* ----------------------------------------------------------------------
 * Ends
 * ---------------------------------------------------------------------- */

uint64
warden_execution_failed(bool *secret)
{
	uint64		rows = rows_sent;

	*secret = secret_statement;
	secret_statement = false;
	if (audited != NULL && !warden_audit_unsettled())
	{
		/* Its portal waits, and another statement fails. */
		warden_audit_outcome("ok", 0, observation, rows, 0);
		warden_audit_close();
	}
	audited = NULL;
	rows_sent = 0;
	warden_identity_count_failed_rows(rows);
	return rows;
}

static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	/* Not that of a procedure within its CALL. */
	if ((event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) ||
		warden_nesting_inside())
		return;
	audited = NULL;
	secret_statement = false;
	observation = NULL;
}

void
warden_execution_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}
