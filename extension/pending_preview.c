/*-------------------------------------------------------------------------
 * pending_preview.c
 *	  warden.preview(): runs a change as its apply role and takes it all back.
 *
 * A rollback does not take back what code does outside of the transaction, so
 * a statement is executed only when everything it reaches is known: no
 * functions but the built-in ones that agents may use (and sequences), no
 * triggers but those of foreign keys, no rules, no event triggers.  Of the
 * others the planner's estimate is shown, where planning can not run any of
 * that either.
 *
 * Invariants:
 * - Everything runs in one subtransaction that is always rolled back, as the
 *	 apply role inside a local user id change, as at apply.
 * - Where it is not certain that a statement can be taken back, it is not run.
 * - For a caller who reads masks nothing is run at all (pending_masked.c): how
 *	 many rows a condition finds, how long that takes and what fails are facts
 *	 about the data, and whoever proposes the change chooses the condition.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "portability/instr_time.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "parser/parse_type.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "compat.h"
#include "audit_event.h"
#include "function_gate.h"
#include "pending.h"
#include "pending_preview_private.h"
#include "principal.h"
#include "review.h"
#include "statement.h"
#include "warden.h"

/* Larger tables are not rewritten, scanned or indexed just to be looked at. */
#define PREVIEW_MAX_BYTES		(64 * 1024 * 1024)

typedef struct PreviewJob
{
	WardenChange change;
	bool		found;
	List	   *statements;
	Oid			apply_role;
	const char *refusal;
	const char *hint;
	bool		masked;			/* the caller reads masks */
	List	   *measured;		/* of WardenMeasured * */
	WardenMeasured   *current;		/* whose locks are to be read */
	List	   *seen;			/* of char *: locks of earlier statements */
	MemoryContext context;
} PreviewJob;

/* ---- can it be taken back? ---------------------------------------------- */

/* check_functions_in_node callback: true for one that may not run. */
static bool
is_unsafe_function(Oid funcid, void *context pg_attribute_unused())
{
	HeapTuple	tuple;
	bool		safe;

	if (funcid == F_NEXTVAL)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return true;
	safe = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == INTERNALlanguageId ||
		((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId;
	ReleaseSysCache(tuple);
	return !safe || !warden_function_gate_allows(funcid);
}

static bool
is_constrained_domain(Oid type)
{
	return OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
		DomainHasConstraints(type);
}

static bool
unsafe_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_unsafe_function, context))
		return true;
	if (IsA(node, CoerceToDomain))
		return true;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, unsafe_walker, context, 0);
	return expression_tree_walker(node, unsafe_walker, context);
}

bool
warden_preview_unsafe(Node *node)
{
	return unsafe_walker(node, NULL);
}

/* Triggers other than those of foreign keys run code. */
static const char *
trigger_bar(Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!trigger->tgisinternal || OidIsValid(trigger->tgconstrindid) == 0)
			return psprintf("table %s has trigger %s",
							RelationGetRelationName(relation),
							trigger->tgname);
	}
	return NULL;
}

static const char *
expressions_bar(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	ListCell   *cell;
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (is_constrained_domain(TupleDescAttr(desc, i)->atttypid))
			return "a column's type is a domain with constraints";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_check; i++)
	{
		if (unsafe_walker(stringToNode(desc->constr->check[i].ccbin), NULL))
			return "a CHECK constraint calls a function that is not built in";
	}
	for (i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
	{
		if (unsafe_walker(stringToNode(desc->constr->defval[i].adbin), NULL))
			return "a default calls a function that is not built in";
	}
	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		bool		unsafe;

		unsafe = unsafe_walker((Node *) RelationGetIndexExpressions(index),
							   NULL) ||
			unsafe_walker((Node *) RelationGetIndexPredicate(index), NULL);
		index_close(index, AccessShareLock);
		if (unsafe)
			return "an index calls a function that is not built in";
	}
	return NULL;
}

/* What a change to the rows or the shape of a relation would set off. */
static const char *
relation_bar(Oid relid, bool ddl)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	const char *bar = NULL;

	if (relation == NULL)
		return NULL;
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		!(ddl && relation->rd_rel->relkind != RELKIND_FOREIGN_TABLE &&
		  relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE))
		bar = "it reaches something else than a plain table";
	else if (relation->rd_rel->relkind == RELKIND_RELATION)
	{
		bar = trigger_bar(relation);
		if (bar == NULL)
			bar = expressions_bar(relation);
		if (bar == NULL && ddl &&
			(int64) RelationGetNumberOfBlocks(relation) * BLCKSZ >
			PREVIEW_MAX_BYTES)
			bar = "the table is too large to be changed just to look";
	}
	relation_close(relation, AccessShareLock);
	return bar;
}

/*
 * Foreign keys act on other tables, whose triggers count as well.  One step
 * is followed; a chain of cascades is not run.
 */
static const char *
cascade_bar(Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	const char *bar = NULL;
	int			i;

	if (relation == NULL)
		return NULL;
	for (i = 0; bar == NULL && relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (trigger->tgfoid == F_RI_FKEY_CASCADE_DEL ||
			trigger->tgfoid == F_RI_FKEY_CASCADE_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETNULL_UPD ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_DEL ||
			trigger->tgfoid == F_RI_FKEY_SETDEFAULT_UPD)
			bar = relation_bar(trigger->tgconstrrelid, false);
	}
	relation_close(relation, AccessShareLock);
	return bar;
}

static const char *
query_bar(Query *query)
{
	ListCell   *cell;
	const char *bar;

	if (unsafe_walker((Node *) query, NULL))
		return "it calls a function that is not built in";
	if (query->resultRelation == 0)
		return "it writes in a WITH query";
	foreach(cell, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		if (castNode(Query, cte->ctequery)->commandType != CMD_SELECT)
			return "it writes in a WITH query";
	}
	{
		Oid			relid = list_nth_node(RangeTblEntry, query->rtable,
										  query->resultRelation - 1)->relid;

		bar = relation_bar(relid, false);
		return bar != NULL ? bar : cascade_bar(relid);
	}
}

/*
 * DML: judged by its analysed and rewritten form.  One query in, one out:
 * anything else is the work of rules.
 */
static const char *
dml_bar(RawStmt *raw, WardenStatement *statement)
{
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	List	   *queries;
	int			n = warden_capture_replay(statement->parameters, &types,
										  &values, &nulls);

	queries = pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
												 types, n, NULL);
	if (list_length(queries) != 1)
		return "rules rewrite it";
	return query_bar(linitial_node(Query, queries));
}

/* ---- DDL: judged by what its raw form names ------------------------------ */

static bool
unsafe_name(List *names, int cache)
{
	char	   *name = strVal(llast(names));
	CatCList   *list = SearchSysCacheList1(cache, CStringGetDatum(name));
	bool		unsafe = list->n_members == 0;
	int			i;

	for (i = 0; i < list->n_members && !unsafe; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Oid			function = cache == OPERNAMENSP ?
		((Form_pg_operator) GETSTRUCT(tuple))->oprcode :
		((Form_pg_proc) GETSTRUCT(tuple))->oid;

		unsafe = OidIsValid(function) && is_unsafe_function(function, NULL);
	}
	ReleaseSysCacheList(list);
	return unsafe;
}

/* A type whose values are checked by code of somebody's. */
static bool
is_checked_domain(TypeName *name)
{
	Oid			type = LookupTypeNameOid(NULL, name, true);

	return OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
		DomainHasConstraints(type);
}

static bool
unsafe_raw_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) &&
		unsafe_name(((FuncCall *) node)->funcname, PROCNAMEARGSNSP))
		return true;
	if (IsA(node, A_Expr) && ((A_Expr *) node)->name != NIL &&
		unsafe_name(((A_Expr *) node)->name, OPERNAMENSP))
		return true;
	if (IsA(node, Constraint))
		return unsafe_raw_walker(((Constraint *) node)->raw_expr, context);
	/* DEFAULT, CHECK and GENERATED of a column are there before analysis */
	if (IsA(node, ColumnDef) &&
		unsafe_raw_walker((Node *) ((ColumnDef *) node)->constraints, context))
		return true;
	if (IsA(node, TypeName) && is_checked_domain((TypeName *) node))
		return true;
	return raw_expression_tree_walker(node, unsafe_raw_walker, context);
}

static bool
alter_is_safe(AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		switch (cmd->subtype)
		{
			case AT_AddColumn:
			case AT_ColumnDefault:
			case AT_AlterColumnType:
			case AT_AddConstraint:
				if (unsafe_raw_walker(cmd->def, NULL))
					return false;
				break;
			case AT_DropColumn:
			case AT_DropConstraint:
			case AT_DropNotNull:
			case AT_SetNotNull:
			case AT_SetStatistics:
			case AT_SetStorage:
			case AT_SetRelOptions:
			case AT_ResetRelOptions:
			case AT_ValidateConstraint:
			case AT_ChangeOwner:
				break;
			default:
				return false;
		}
	}
	return true;
}

/* Kinds of DDL that act on catalogs and on the tables that they name only. */
static const char *
ddl_bar(Node *stmt, WardenStatement *statement)
{
	ListCell   *cell;
	const char *bar;
	bool		safe;

	switch (nodeTag(stmt))
	{
		case T_TruncateStmt:
		case T_RenameStmt:
		case T_CommentStmt:
		case T_DropStmt:
		case T_CreateEnumStmt:
		case T_CreateSeqStmt:
		case T_CreateSchemaStmt:
		case T_GrantStmt:
		case T_AlterOwnerStmt:
			safe = true;
			break;
		case T_CreateStmt:
			safe = !unsafe_raw_walker((Node *) ((CreateStmt *) stmt)->tableElts,
									  NULL);
			break;
		case T_IndexStmt:
			{
				IndexStmt  *index = (IndexStmt *) stmt;

				safe = !unsafe_raw_walker((Node *) index->indexParams, NULL) &&
					!unsafe_raw_walker(index->whereClause, NULL);
			}
			break;
		case T_AlterTableStmt:
			safe = alter_is_safe((AlterTableStmt *) stmt);
			break;
		default:
			return "this kind of statement is not run for a preview";
	}
	if (!safe)
		return "it calls a function that is not built in";
	foreach(cell, warden_capture_targets(statement->objects))
	{
		bar = relation_bar(lfirst_oid(cell), true);
		if (bar != NULL)
			return bar;
	}
	return NULL;
}

/* Event triggers run code at DDL. */
static bool
have_event_triggers(void)
{
	bool		have;

	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute("SELECT FROM pg_catalog.pg_event_trigger"
					" WHERE evtenabled <> 'D'", true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event triggers");
	have = SPI_processed > 0;
	SPI_finish();
	return have;
}

/* Why a statement is not executed, or NULL. */
static const char *
execution_bar(WardenStatement *statement)
{
	RawStmt    *raw = warden_statement_parse(statement->statement);

	if (raw == NULL)
		return "it is not one statement";
	if (warden_review_barred(raw->stmt))
		return "it can not run in a transaction";
	switch (nodeTag(raw->stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return dml_bar(raw, statement);
		case T_SelectStmt:
		case T_DoStmt:
		case T_CallStmt:
			return "it runs code";
		default:
			if (have_event_triggers())
				return "an event trigger runs code";
			return ddl_bar(raw->stmt, statement);
	}
}

/* ---- what can not be executed is planned --------------------------------- */

/*
 * The planner's estimate for DML, as things are now; -1 where there is none.
 * Planning evaluates what it takes for constant, so what calls functions that
 * may not run is not planned either.
 */
static double
estimate_now(WardenStatement *statement)
{
	RawStmt    *raw = warden_statement_parse(statement->statement);
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	List	   *queries;
	ListCell   *cell;
	int			n;

	if (raw == NULL ||
		!(IsA(raw->stmt, InsertStmt) || IsA(raw->stmt, UpdateStmt) ||
		  IsA(raw->stmt, DeleteStmt) || IsA(raw->stmt, MergeStmt)))
		return -1;
	n = warden_capture_replay(statement->parameters, &types, &values, &nulls);
	queries = pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
												 types, n, NULL);
	foreach(cell, queries)
	{
		Query	   *query = lfirst_node(Query, cell);
		PlannedStmt *plan;

		if (query->commandType == CMD_SELECT ||
			query->commandType == CMD_UTILITY ||
			unsafe_walker((Node *) query, NULL))
			continue;
		plan = pg_plan_query(query, statement->statement, 0, NULL);
		if (IsA(plan->planTree, ModifyTable) &&
			outerPlan(plan->planTree) != NULL)
			return outerPlan(plan->planTree)->plan_rows;
	}
	return -1;
}

/* ---- measuring ---------------------------------------------------------- */

/* Locks that this backend holds on user relations, those not seen before. */
static void
read_locks_internally(void *arg)
{
	PreviewJob *job = arg;
	MemoryContext old;
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT pg_catalog.format('%s on %s', l.mode,"
					"  l.relation::pg_catalog.regclass)"
					" FROM pg_catalog.pg_locks l"
					" JOIN pg_catalog.pg_class c ON c.oid = l.relation"
					" WHERE l.pid = pg_catalog.pg_backend_pid()"
					"  AND l.locktype = 'relation'"
					"  AND l.relation >= 16384"
					"  AND c.relnamespace <> 'warden'::pg_catalog.regnamespace"
					"  AND c.relnamespace <> 'pg_toast'::pg_catalog.regnamespace"
					"  AND l.mode <> 'AccessShareLock'"
					" ORDER BY 1", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the locks");
	for (i = 0; i < SPI_processed; i++)
	{
		char	   *lock = SPI_getvalue(SPI_tuptable->vals[i],
										SPI_tuptable->tupdesc, 1);
		ListCell   *cell;

		foreach(cell, job->seen)
		{
			if (strcmp(lfirst(cell), lock) == 0)
				break;
		}
		if (cell != NULL)
			continue;
		old = MemoryContextSwitchTo(job->context);
		lock = pstrdup(lock);
		job->seen = lappend(job->seen, lock);
		job->current->locks = lappend(job->current->locks, lock);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

static List *
filenodes(List *relids)
{
	List	   *nodes = NIL;
	ListCell   *cell;

	foreach(cell, relids)
	{
		Relation	relation = try_relation_open(lfirst_oid(cell),
												 AccessShareLock);

		nodes = lappend_oid(nodes, relation != NULL ?
							relation->rd_rel->relfilenode : InvalidOid);
		if (relation != NULL)
			relation_close(relation, NoLock);
	}
	return nodes;
}

static void
note_rewrites(PreviewJob *job, WardenMeasured *measured, List *relids,
			  List *before, List *after)
{
	ListCell   *relid;
	ListCell   *old;
	ListCell   *new;
	MemoryContext outer = MemoryContextSwitchTo(job->context);

	forthree(relid, relids, old, before, new, after)
	{
		char	   *name = get_rel_name(lfirst_oid(relid));

		if (name != NULL && lfirst_oid(old) != lfirst_oid(new))
			measured->rewritten = lappend(measured->rewritten, name);
	}
	MemoryContextSwitchTo(outer);
}

static void
execute_statement(PreviewJob *job, WardenMeasured *measured)
{
	List	   *relids = warden_capture_targets(measured->statement->objects);
	List	   *before = filenodes(relids);
	instr_time	start;
	instr_time	end;
	uint64		rows;

	INSTR_TIME_SET_CURRENT(start);
	warden_footprint_begin();
	warden_sample_begin(job->context, job->apply_role);
	rows = warden_apply_statement(&job->change, measured->statement);
	warden_footprint_end(measured->statement->ordinal, rows,
						 &measured->footprint);
	measured->sample = warden_sample_end();
	measured->rows = (double) rows;
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	measured->duration = INSTR_TIME_GET_MILLISEC(end);
	measured->method = "executed";
	CommandCounterIncrement();
	note_rewrites(job, measured, relids, before, filenodes(relids));
	job->current = measured;
	warden_principal_run_internal(read_locks_internally, job);
}

/*
 * One statement, in a subtransaction so that the next one is still seen; or
 * what all of them have deferred, as at the end of an apply.
 */
static bool
try_statement(PreviewJob *job, WardenMeasured *measured, bool at_end)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool ok = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		const char *bar = NULL;

		if (!at_end)
		{
			bar = execution_bar(measured->statement);
			warden_preview_triggers(measured, job->context);
		}
		if (at_end)
			warden_apply_constraints();
		else if (bar == NULL)
			execute_statement(job, measured);
		else
		{
			measured->method = "explained";
			measured->detail = MemoryContextStrdup(job->context, bar);
			measured->rows = estimate_now(measured->statement);
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(job->context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(job->context);
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		measured->method = "failed";
		measured->detail = psprintf("%s: %s%s",
									unpack_sql_state(error->sqlerrcode),
									error->message,
									at_end ? " (deferred to the end)" : "");
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return ok;
}

/* A row of the result that nothing is known of yet. */
static WardenMeasured *
add_measured(PreviewJob *job, WardenStatement *statement)
{
	MemoryContext old = MemoryContextSwitchTo(job->context);
	WardenMeasured *measured = palloc0(sizeof(WardenMeasured));

	job->measured = lappend(job->measured, measured);
	MemoryContextSwitchTo(old);
	measured->statement = statement;
	measured->method = "skipped";
	measured->rows = -1;
	measured->duration = -1;
	return measured;
}

static void
measure_statements(PreviewJob *job)
{
	bool		ok = true;
	WardenMeasured   *executed = NULL;
	ListCell   *cell;

	foreach(cell, job->statements)
	{
		WardenMeasured *measured = add_measured(job, lfirst(cell));

		if (ok)
			ok = try_statement(job, measured, false);
		else
			measured->detail = "an earlier statement failed";
		if (ok && strcmp(measured->method, "executed") == 0)
			executed = measured;
	}
	if (ok && executed != NULL)
		(void) try_statement(job, executed, true);
}

/* Everything in a subtransaction that never commits. */
static void
measure_and_roll_back(PreviewJob *job)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Oid			user;
	int			security;
	bool		in_block = warden_sandbox_in_block();
	WardenSandbox sandbox;
	ErrorData  *volatile error = NULL;

	GetUserIdAndSecContext(&user, &security);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	if (in_block)
		warden_apply_constraints();
	warden_apply_set_running(true);
	warden_watch_begin();
	PG_TRY();
	{
		(void) NewGUCNestLevel();
		warden_sandbox_enter(&sandbox, job->apply_role, in_block);
		warden_capture_restore(job->change.context);
		warden_apply_lock_timeout(WARDEN_PREVIEW_LOCK_TIMEOUT_MS);
		measure_statements(job);
	}
	PG_CATCH();
	{
		/* nobody else would end the subtransaction: not outside a block */
		MemoryContextSwitchTo(job->context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	warden_apply_set_running(false);
	warden_watch_end();
	(void) warden_sample_end();
	/* the settings and the user go back with it */
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	SetUserIdAndSecContext(user, security);
	if (error != NULL)
		ReThrowError(error);
}

/*
 * Of a caller who reads masks nothing is measured and nothing kept: an apply
 * stays held to what somebody saw who sees the data.
 */
static void
measure_masked(PreviewJob *job)
{
	ListCell   *cell;

	foreach(cell, job->statements)
		warden_preview_masked(&job->change, add_measured(job, lfirst(cell)),
							  job->context);
}

static void
record_masked_internally(void *arg)
{
	PreviewJob *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_audit_action("previewed", job->change.id, "masked, nothing was run");
	SPI_finish();
}

/* What an apply will be held to: statements before any that was not run. */
static void
store_footprints_internally(void *arg)
{
	PreviewJob *job = arg;
	List	   *footprints = NIL;
	int64		rows = 0;
	ListCell   *cell;

	foreach(cell, job->measured)
	{
		WardenMeasured   *measured = lfirst(cell);

		if (strcmp(measured->method, "executed") != 0)
			break;
		footprints = lappend(footprints, &measured->footprint);
		rows += measured->footprint.rows;
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	warden_footprint_store(job->change.id, footprints);
	warden_audit_action("previewed", job->change.id,
						psprintf("%d of %d statements executed, " INT64_FORMAT " rows",
								 list_length(footprints),
								 list_length(job->measured), rows));
	SPI_finish();
}

/* ---- the function ------------------------------------------------------- */

static void
load_preview_internally(void *arg)
{
	PreviewJob *job = arg;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	job->found = warden_pending_load(job->change.id, false, job->context,
									 &job->change);
	if (job->found)
	{
		job->statements = warden_pending_statements(job->change.id,
													job->context);
		if (strcmp(warden_pending_digest(&job->change, job->statements),
				   job->change.digest) != 0)
		{
			job->refusal = "its digest no longer follows from its rows";
			job->hint = "Have it proposed again.";
		}
		else if (!job->masked)
			job->refusal = warden_apply_role_bar(job->change.agent,
												 &job->apply_role, &job->hint);
	}
	SPI_finish();
}

static Datum
text_array(List *texts)
{
	Datum	   *elements = palloc((list_length(texts) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *cell;

	foreach(cell, texts)
		elements[n++] = CStringGetTextDatum(lfirst(cell));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static void
put_measured(ReturnSetInfo *result, WardenMeasured *measured)
{
	Datum		values[10] = {0};
	bool		nulls[10] = {false};
	bool		masked = strcmp(measured->method, "masked") == 0;

	values[0] = Int32GetDatum(measured->statement->ordinal);
	values[1] = CStringGetTextDatum(measured->statement->command);
	values[2] = CStringGetTextDatum(measured->method);
	nulls[3] = measured->rows < 0;
	values[3] = Int64GetDatum((int64) measured->rows);
	nulls[4] = measured->duration < 0;
	values[4] = Float8GetDatum(measured->duration);
	nulls[5] = nulls[6] = masked;
	values[5] = text_array(measured->locks);
	values[6] = text_array(measured->rewritten);
	nulls[7] = measured->detail == NULL;
	if (measured->detail != NULL)
		values[7] = CStringGetTextDatum(measured->detail);
	nulls[8] = measured->sample == NULL;
	if (measured->sample != NULL)
		values[8] = DirectFunctionCall1(jsonb_in,
										CStringGetDatum(measured->sample));
	nulls[9] = !measured->triggers_known;
	values[9] = text_array(measured->triggers);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(warden_sql_preview);
Datum
warden_sql_preview(PG_FUNCTION_ARGS)
{
	PreviewJob	job = {0};
	ListCell   *cell;

	warden_pending_require_select(fcinfo, "preview");
	warden_pending_require_reviewer();
	job.masked = warden_principal_current()->class == WARDEN_CLASS_MASKED;
	if (!job.masked)
		warden_apply_require_sight();
	InitMaterializedSRF(fcinfo, 0);
	job.change.id = PG_GETARG_INT64(0);
	job.context = CurrentMemoryContext;
	warden_principal_run_internal(load_preview_internally, &job);
	if (!job.found)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " does not exist",
						job.change.id),
				 errhint("List the changes to find its number.")));
	if (job.refusal == NULL && job.change.status != WARDEN_CHANGE_PROPOSED &&
		job.change.status != WARDEN_CHANGE_APPROVED)
	{
		job.refusal = psprintf("it is %s",
							   warden_pending_status_name(job.change.status));
		job.hint = "Only a change that may still be applied has a preview.";
	}
	if (job.refusal != NULL)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_TRANSITION),
				 errmsg("change " INT64_FORMAT " has no preview",
						job.change.id),
				 errdetail("%c%s.", toupper((unsigned char) job.refusal[0]),
						   job.refusal + 1),
				 errhint("%s", job.hint)));
	if (job.masked)
	{
		measure_masked(&job);
		warden_principal_run_internal(record_masked_internally, &job);
	}
	else
	{
		measure_and_roll_back(&job);
		warden_principal_run_internal(store_footprints_internally, &job);
	}
	foreach(cell, job.measured)
		put_measured((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));
	return (Datum) 0;
}
