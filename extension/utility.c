/*-------------------------------------------------------------------------
 * utility.c
 *	  What happens to a utility statement of a governed backend: the gate's
 *	  verdict is carried out and recorded.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "compat.h"
#include "audit_event.h"
#include "audit_partition.h"
#include "copy.h"
#include "divert.h"
#include "execution.h"
#include "identity.h"
#include "kept_rows.h"
#include "message.h"
#include "nesting.h"
#include "plan_stamp.h"
#include "statement.h"
#include "utility.h"
#include "utility_gate.h"
#include "warden.h"
#include "write_gate.h"

static void
run_statement(WardenUtility *u)
{
	if (u->next != NULL)
		u->next(u->pstmt, u->queryString, u->readOnlyTree, u->context,
				u->params, u->queryEnv, u->dest, u->qc);
	else
		standard_ProcessUtility(u->pstmt, u->queryString, u->readOnlyTree,
								u->context, u->params, u->queryEnv, u->dest,
								u->qc);
}

/* Runs it while the check hooks let it change the role. */
static void
run_role_change(WardenUtility *u)
{
	PG_TRY();
	{
		warden_principal_allow_role_change = true;
		run_statement(u);
	}
	PG_FINALLY();
	{
		warden_principal_allow_role_change = false;
	}
	PG_END_TRY();
}

/* A cursor that will have its rows when its transaction is over. */
static void
note_held(Node *stmt)
{
	if (IsA(stmt, DeclareCursorStmt) &&
		(((DeclareCursorStmt *) stmt)->options & CURSOR_OPT_HOLD) != 0)
		warden_kept_rows_add(((DeclareCursorStmt *) stmt)->portalname,
							 warden_principal_current());
}

/*
 * Setting the session user resets the role as well, when the principal may be
 * a governed one already: for a person's own statement that is in order.
 */
void
warden_utility_run_ungoverned(WardenUtility *u)
{
	Node	   *stmt = u->pstmt->utilityStmt;

	note_held(stmt);
	if (IsA(stmt, AlterTableStmt))
		warden_partition_check_alter((AlterTableStmt *) stmt);
	if (IsA(stmt, VariableSetStmt) && warden_nesting_toplevel(u->pstmt))
		run_role_change(u);
	else
		run_statement(u);
	if (IsA(stmt, VariableSetStmt) && IsTransactionState())
		warden_kept_rows_check();
}

/*
 * A held cursor bypasses the executor: what it holds was computed for the
 * principal that opened it.
 */
static void
check_fetch(FetchStmt *fetch, const WardenPrincipal *principal)
{
	Portal		portal = GetPortalByName(fetch->portalname);

	if (PortalIsValid(portal) && portal->stmts != NIL)
		warden_plan_stamp_verify(linitial_node(PlannedStmt, portal->stmts),
								 principal);
}

/* Statements around which nothing else of the client's runs. */
static bool
is_transparent(Node *stmt)
{
	return IsA(stmt, TransactionStmt) || IsA(stmt, ExecuteStmt) ||
		IsA(stmt, FetchStmt);
}

/*
 * Runs it as something that statements below it are nested in.  SET
 * CONSTRAINTS checks rows, and so does what builds an index or reads a file.
 */
static void
run_nested(WardenUtility *u)
{
	MemoryContext context = CurrentMemoryContext;
	int			depth = warden_nesting_enter();
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = warden_write_gate_redact_early
	};

	PG_TRY();
	{
		error_context_stack = &callback;
		run_statement(u);
	}
	PG_CATCH();
	{
		warden_nesting_restore(depth);
		warden_write_gate_rethrow(context);
	}
	PG_END_TRY();
	error_context_stack = callback.previous;
	warden_nesting_restore(depth);
}

/* A SET of a bound backend must not outlive the binding. */
static void
make_local(WardenUtility *u)
{
	u->pstmt = copyObject(u->pstmt);
	castNode(VariableSetStmt, u->pstmt->utilityStmt)->is_local = true;
}

/* EXECUTE has the record of what it executes. */
static bool
is_recorded(Node *stmt)
{
	return !IsA(stmt, ExecuteStmt);
}

/* A commit is done when the transaction is: its end closes the record. */
static void
finish_record(const WardenUtility *u)
{
	Node	   *stmt = u->pstmt->utilityStmt;

	if (IsA(stmt, TransactionStmt) &&
		((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT)
		return;
	warden_execution_utility_done(warden_identity_facts()->truncated ?
								  "truncated" : "ok",
								  u->qc != NULL ? u->qc->nprocessed : 0, 0);
}

static void
run_agent(WardenUtility *u, const WardenPrincipal *principal, bool toplevel)
{
	Node	   *stmt = u->pstmt->utilityStmt;
	bool		recorded = toplevel && is_recorded(stmt);
	bool		change_role;

	warden_utility_check_run(stmt, principal, toplevel, &change_role);
	if (change_role)
	{
		run_role_change(u);
		if (recorded)
			warden_execution_utility_done("ok", 0, 0);
		return;
	}
	if (IsA(stmt, VariableSetStmt) && principal->bound)
		make_local(u);
	if (IsA(stmt, FetchStmt))
		check_fetch((FetchStmt *) stmt, principal);
	if (IsA(stmt, CopyStmt))
		u->pstmt = warden_copy_rewrite(u->pstmt);
	if (is_transparent(stmt))
		run_statement(u);
	else
		run_nested(u);
	if (recorded)
		finish_record(u);
}

static void
divert_agent(WardenUtility *u, bool toplevel)
{
	if (!toplevel)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NESTED_WRITE),
				 errmsg("a write inside a function or block can not be diverted"),
				 errhint("Propose the whole call with warden.propose(), or send the write as a statement of its own.")));

	warden_divert_utility(u->pstmt, u->queryString, u->params, u->qc);
	warden_execution_utility_done("diverted", 0,
								  warden_identity_facts()->change_id);
}

static void
govern_agent(WardenUtility *u, const WardenPrincipal *principal)
{
	Node	   *stmt = u->pstmt->utilityStmt;
	bool		toplevel = warden_nesting_toplevel(u->pstmt);
	bool		recorded = toplevel && is_recorded(stmt);
	const char *reason;
	const char *hint;
	bool		in_place = false;

	/* What a rule adds to a statement is applied with the statement. */
	if (toplevel && !u->pstmt->canSetTag)
	{
		in_place = warden_divert_left_alone(u->pstmt);
		if (!in_place)
			return;
	}
	if (!IsA(stmt, TransactionStmt))
		warden_utility_check_startup();

	/* Refused or not: the record says what was asked for. */
	if (recorded)
		warden_execution_utility_intent(u->pstmt, u->queryString, u->params);
	if (in_place)
	{
		divert_agent(u, toplevel);
		return;
	}
	switch (warden_utility_verdict(stmt, &reason, &hint))
	{
		case WARDEN_RUN:
			run_agent(u, principal, toplevel);
			break;
		case WARDEN_DIVERT:
			divert_agent(u, toplevel);
			break;
		default:
			warden_utility_refuse(stmt, reason, hint);
	}
}

/* The table of an index, any other relation itself. */
static Oid
table_of(Oid relid)
{
	switch (get_rel_relkind(relid))
	{
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return IndexGetRelation(relid, false);
		default:
			return relid;
	}
}

/* Dropping a copy shows nothing, and what fills it anew reads masks. */
static bool
harmless_to_copies(Node *stmt, const WardenName *name)
{
	return (name->use == WARDEN_USE_DROP || IsA(stmt, RefreshMatViewStmt)) &&
		get_rel_relkind(name->address.objectId) == RELKIND_MATVIEW;
}

/*
 * Whoever owns a labelled table, or holds TRIGGER on it, could attach code to
 * it that reads raw rows: no DDL of the masked class may name one then.
 */
static void
check_named_relations(Node *stmt, const WardenPrincipal *principal)
{
	List	   *names = NIL;
	ListCell   *lc;

	if (!warden_statement_names(stmt, &names))
		return;
	warden_statement_lookup(names);
	foreach(lc, names)
	{
		WardenName *name = lfirst(lc);

		if (name->use != WARDEN_USE_READ &&
			name->address.classId == RelationRelationId &&
			OidIsValid(name->address.objectId) &&
			!harmless_to_copies(stmt, name))
			(void)
				warden_write_gate_check_code(table_of(name->address.objectId),
											 principal);
	}
}

/* The masked class writes, but reads nothing past its masks. */
static void
govern_masked(WardenUtility *u, const WardenPrincipal *principal)
{
	Node	   *stmt = u->pstmt->utilityStmt;

	if (warden_nesting_toplevel(u->pstmt))
		warden_execution_end_record();
	if (IsA(stmt, FetchStmt))
		check_fetch((FetchStmt *) stmt, principal);
	else if (IsA(stmt, CopyStmt))
	{
		warden_copy_check_from((CopyStmt *) stmt, principal);
		u->pstmt = warden_copy_rewrite(u->pstmt);
	}
	warden_write_gate_check_ddl(stmt, principal);
	check_named_relations(stmt, principal);
	if (warden_utility_check_role(stmt, principal,
								  warden_nesting_toplevel(u->pstmt)))
		run_role_change(u);
	else if (is_transparent(stmt))
		run_statement(u);
	else
		run_nested(u);
}

/*
 * What else an agent would have been told of a statement that runs for it.  The
 * check holds nothing that a rollback would have to give back.
 */
static void
observe_refusal(Node *stmt, const WardenPrincipal *principal, bool toplevel)
{
	MemoryContext context = CurrentMemoryContext;
	bool		change_role;

	PG_TRY();
	{
		warden_utility_check_run(stmt, principal, toplevel, &change_role);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (strcmp(warden_audit_word(error->sqlerrcode), "refused") != 0)
			PG_RE_THROW();
		FlushErrorState();
		warden_execution_observe_refusal(error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
}

/* Runs it and records what an agent would have met. */
static void
observe(WardenUtility *u, const WardenPrincipal *principal)
{
	Node	   *stmt = u->pstmt->utilityStmt;
	bool		toplevel = warden_nesting_toplevel(u->pstmt);
	bool		recorded = toplevel && is_recorded(stmt);
	const char *reason;
	const char *hint;

	if (recorded)
		warden_execution_utility_intent(u->pstmt, u->queryString, u->params);
	switch (warden_utility_verdict(stmt, &reason, &hint))
	{
		case WARDEN_RUN:
			observe_refusal(stmt, principal, toplevel);
			break;
		case WARDEN_DIVERT:
			warden_execution_observe("would have been diverted");
			break;
		default:
			warden_execution_observe_refusal(reason);
			break;
	}
	/* what is copied shows in the record, as of an agent */
	if (IsA(stmt, CopyStmt))
		u->pstmt = warden_copy_rewrite(u->pstmt);
	if (is_transparent(stmt))
		run_statement(u);
	else
		run_nested(u);
	if (recorded)
		finish_record(u);
}

/*
 * The end of a transaction that has failed.  It stays possible whatever the
 * audit does, and nothing can be looked up.
 */
void
warden_utility_record_way_out(const WardenUtility *u)
{
	const WardenPrincipal *principal = warden_principal_cached();

	if (principal == NULL || (principal->class != WARDEN_CLASS_AGENT &&
							  principal->class != WARDEN_CLASS_OBSERVED))
		return;
	warden_message_watch();
	warden_audit_rollback(warden_statement_text(u->queryString,
												u->pstmt->stmt_location,
												u->pstmt->stmt_len),
						  GetCommandTagName(
							  CreateCommandTag(u->pstmt->utilityStmt)));
}

void
warden_utility_govern(WardenUtility *u, const WardenPrincipal *principal)
{
	/* What runs below can resolve the principal anew. */
	WardenPrincipal self = *principal;
	Node	   *stmt = u->pstmt->utilityStmt;
	bool		change_role;

	warden_message_watch();
	if (warden_nesting_toplevel(u->pstmt))
		warden_message_statement(u->pstmt, u->queryString);

	/* So that EXECUTE meets the policy as it is now. */
	AcceptInvalidationMessages();
	warden_plan_stamp_expire();
	warden_kept_rows_check();
	note_held(stmt);

	/* A way out of a failed state must stay open. */
	if (!IsA(stmt, TransactionStmt) && !IsA(stmt, VariableSetStmt))
		warden_principal_require(&self);
	switch (self.class)
	{
		case WARDEN_CLASS_GATEWAY:
			warden_utility_check_gateway(stmt, &change_role);
			if (change_role)
				run_role_change(u);
			else
				run_statement(u);
			break;
		case WARDEN_CLASS_AGENT:
			govern_agent(u, &self);
			break;
		case WARDEN_CLASS_MASKED:
			govern_masked(u, &self);
			break;
		case WARDEN_CLASS_OBSERVED:
			observe(u, &self);
			break;
		default:
			run_statement(u);
			break;
	}
}
