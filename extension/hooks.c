/*-------------------------------------------------------------------------
 * hooks.c
 *	  Every hook entry point.  A hook asks who governs the backend and
 *	  dispatches; it decides nothing.
 *
 * Our gates run before the next hook of a chain, which may refuse as well;
 * nothing here overrules a refusal.  An ungoverned backend goes straight on.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "replication/walsender.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/selfuncs.h"

#include "compat.h"
#include "audit_partition.h"
#include "execution.h"
#include "failure.h"
#include "function_gate.h"
#include "gateway.h"
#include "guc.h"
#include "hooks.h"
#include "kept_rows.h"
#include "label_copy.h"
#include "label_tree.h"
#include "nesting.h"
#include "pending.h"
#include "planning.h"
#include "policy.h"
#include "principal.h"
#include "utility.h"
#include "warden.h"

static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static planner_hook_type prev_planner = NULL;
static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;
static ExecutorCheckPerms_hook_type prev_ExecutorCheckPerms = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static object_access_hook_type prev_object_access = NULL;
static get_relation_info_hook_type prev_get_relation_info = NULL;
static get_relation_stats_hook_type prev_get_relation_stats = NULL;
static get_index_stats_hook_type prev_get_index_stats = NULL;
static get_attavgwidth_hook_type prev_get_attavgwidth = NULL;
static emit_log_hook_type prev_emit_log = NULL;
static ClientAuthentication_hook_type prev_ClientAuthentication = NULL;

/* Average width to plan with for a column whose statistics are hidden. */
#define HIDDEN_WIDTH	32

/* Before others look at the query, who may count it by its id. */
static void
warden_post_parse_analyze(ParseState *pstate, Query *query,
						  JumbleState *jstate)
{
	/* In an aborted transaction, without catalogs, only its end comes here. */
	if (IsTransactionState())
	{
		const WardenPrincipal *principal = warden_principal_current();

		if (principal->class == WARDEN_CLASS_GATEWAY || principal->bound)
			warden_gateway_parsed(principal, query, pstate->p_sourcetext);
		if (warden_principal_agents_class(principal->class))
			warden_execution_parsed(principal, query, pstate->p_sourcetext);
	}
	if (prev_post_parse_analyze != NULL)
		prev_post_parse_analyze(pstate, query, jstate);
}

static PlannedStmt *
warden_planner(Query *parse, const char *query_string, int cursorOptions,
			   ParamListInfo boundParams)
{
	const WardenPrincipal *principal = warden_principal_current();

	warden_failure_flush_early(principal);
	return warden_planning_run(principal, parse, query_string, cursorOptions,
							   boundParams, prev_planner);
}

static void
warden_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	const WardenPrincipal *principal = warden_principal_current();

	warden_kept_rows_note(principal);
	if (principal->class != WARDEN_CLASS_NONE)
		warden_execution_start(principal, queryDesc, eflags,
							   prev_ExecutorStart);
	else if (prev_ExecutorStart != NULL)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
warden_ExecutorRun(EXECUTOR_RUN_ARGS)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (principal->class != WARDEN_CLASS_NONE)
		warden_execution_run(principal, EXECUTOR_RUN_PASS, prev_ExecutorRun);
	else if (prev_ExecutorRun != NULL)
		prev_ExecutorRun(EXECUTOR_RUN_PASS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_PASS);
}

static void
warden_ExecutorFinish(QueryDesc *queryDesc)
{
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		warden_execution_finish(queryDesc, prev_ExecutorFinish);
	else if (prev_ExecutorFinish != NULL)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);

	/* set_config('role', ...) needs no statement of its own. */
	warden_kept_rows_check();
}

static void
warden_ExecutorEnd(QueryDesc *queryDesc)
{
	warden_execution_end(queryDesc);
	if (prev_ExecutorEnd != NULL)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
}

static bool
warden_ExecutorCheckPerms(CHECK_PERMS_ARGS)
{
	if (unlikely(warden_apply_running()))
		warden_apply_check_relations(rangeTable, CHECK_PERMS_INFOS);
	if (warden_principal_masks(warden_principal_current()))
		warden_execution_check_relations(warden_principal_current(), rangeTable,
										 CHECK_PERMS_INFOS);
	return prev_ExecutorCheckPerms == NULL ||
		prev_ExecutorCheckPerms(CHECK_PERMS_PASS);
}

static void
warden_ProcessUtility(PlannedStmt *pstmt, const char *queryString,
					  bool readOnlyTree, ProcessUtilityContext context,
					  ParamListInfo params, QueryEnvironment *queryEnv,
					  DestReceiver *dest, QueryCompletion *qc)
{
	WardenUtility utility = {pstmt, queryString, readOnlyTree, context,
	params, queryEnv, dest, qc, prev_ProcessUtility};
	const WardenPrincipal *principal = NULL;

	if (unlikely(warden_apply_running()))
		warden_apply_check_utility(pstmt->utilityStmt);

	/* In an aborted transaction only its end can come here. */
	if (IsTransactionState())
	{
		/*
		 * These can run on without taking a lock, which is what makes a
		 * backend learn that its role has been labelled.
		 */
		if (IsA(pstmt->utilityStmt, FetchStmt) ||
			IsA(pstmt->utilityStmt, ExecuteStmt))
			AcceptInvalidationMessages();
		principal = warden_principal_current();
		warden_failure_flush_early(principal);
	}
	else
		warden_utility_record_way_out(&utility);
	if (principal != NULL)
		warden_kept_rows_note(principal);
	if (principal != NULL && principal->class != WARDEN_CLASS_NONE)
		warden_utility_govern(&utility, principal);
	else
		warden_utility_run_ungoverned(&utility);
}

/* DROP EXTENSION would free every agent of this database. */
static void
check_drop_extension(Oid extension)
{
	char	   *name = get_extension_name(extension);

	if (name != NULL && strcmp(name, WARDEN_EXTENSION) == 0 &&
		!warden_allow_drop)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is protected", WARDEN_EXTENSION),
				 errhint("A superuser can drop it after SET warden.allow_drop = on; agents are refused in this database afterwards.")));
}

/*
 * The fastpath protocol calls a function with no portal around it, and unlike
 * binding a parameter of a domain type, with no error context either.
 */
static bool
is_fastpath_call(void)
{
	return ActivePortal == NULL && error_context_stack == NULL &&
		!warden_nesting_inside() && !IsParallelWorker() &&
		!warden_planning_active();
}

static void
check_function_execution(Oid funcid)
{
	const WardenPrincipal *principal = warden_principal_current();

	if (unlikely(warden_apply_running()))
		warden_apply_check_function(funcid);
	if (principal->class == WARDEN_CLASS_NONE || InitializingParallelWorker)
		return;
	warden_principal_require(principal);
	if (principal->class == WARDEN_CLASS_MASKED)
	{
		warden_function_gate_check_masked(funcid);
		return;
	}
	if (unlikely(is_fastpath_call()))
	{
		if (principal->class == WARDEN_CLASS_OBSERVED)
		{
			warden_execution_observe_call(warden_function_gate_name(funcid));
			return;
		}
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("the fastpath protocol is not permitted to governed roles"),
				 errhint("Send SELECT function(...) instead.")));
	}
	if (principal->class == WARDEN_CLASS_AGENT)
		warden_function_gate_check(funcid);
	else if (principal->class == WARDEN_CLASS_OBSERVED &&
			 !warden_function_gate_allows(funcid))
		warden_execution_observe("would have been refused: a function that is not permitted to agents");
}

static void
relation_dropping(Oid relid, int subId)
{
	if (subId == 0)
		warden_partition_check_drop(relid);
	if (subId >= 0)
		warden_label_tree_drop(relid, subId);
}

static void
warden_object_access(ObjectAccessType access, Oid classId, Oid objectId,
					 int subId, void *arg)
{
	if (access == OAT_FUNCTION_EXECUTE)
		check_function_execution(objectId);
	else if (unlikely(warden_apply_running()) &&
			 (access == OAT_DROP || access == OAT_POST_ALTER ||
			  access == OAT_POST_CREATE || access == OAT_TRUNCATE))
		warden_apply_check_object(access, classId, objectId, arg);
	if (access == OAT_DROP && classId == ExtensionRelationId)
		check_drop_extension(objectId);
	else if (access == OAT_DROP && classId == RelationRelationId)
		relation_dropping(objectId, subId);
	else if (access == OAT_POST_ALTER && classId == RelationRelationId)
		warden_label_tree_altered(objectId, subId);
	else if (access == OAT_POST_ALTER && classId == InheritsRelationId)
	{
		ObjectAccessPostAlter *alter = arg;

		warden_label_tree_link(objectId, alter->auxiliary_id);
	}
	else if (access == OAT_POST_CREATE && classId == RewriteRelationId)
		warden_label_copy_rule(objectId);
	if (prev_object_access != NULL)
		prev_object_access(access, classId, objectId, subId, arg);
}

static void
warden_get_relation_info(PlannerInfo *root, Oid relationObjectId,
						 bool inhparent, RelOptInfo *rel)
{
	if (warden_planning_active())
		warden_planning_check_relation(root, rel);
	if (prev_get_relation_info != NULL)
		prev_get_relation_info(root, relationObjectId, inhparent, rel);
}

/* Answering "no statistics" hides them from the planner too. */
static bool
warden_get_relation_stats(PlannerInfo *root, RangeTblEntry *rte,
						  AttrNumber attnum, VariableStatData *vardata)
{
	if (warden_planning_active() && rte->rtekind == RTE_RELATION &&
		warden_planning_hides_column(rte->relid, attnum))
	{
		vardata->statsTuple = NULL;
		return true;
	}
	return prev_get_relation_stats != NULL &&
		prev_get_relation_stats(root, rte, attnum, vardata);
}

static bool
warden_get_index_stats(PlannerInfo *root, Oid indexOid,
					   AttrNumber indexattnum, VariableStatData *vardata)
{
	if (warden_planning_active() &&
		warden_planning_hides_index(indexOid, indexattnum))
	{
		vardata->statsTuple = NULL;
		return true;
	}
	return prev_get_index_stats != NULL &&
		prev_get_index_stats(root, indexOid, indexattnum, vardata);
}

static int32
warden_get_attavgwidth(Oid relid, AttrNumber attnum)
{
	if (warden_planning_active() && attnum > 0 &&
		warden_planning_hides_column(relid, attnum))
		return HIDDEN_WIDTH;
	return prev_get_attavgwidth != NULL ?
		prev_get_attavgwidth(relid, attnum) : 0;
}

static void
warden_emit_log(ErrorData *edata)
{
	if (edata->elevel >= ERROR)
		warden_failure_report(edata);
	if (prev_emit_log != NULL)
		prev_emit_log(edata);
}

static void
warden_ClientAuthentication(Port *port, int status)
{
	if (prev_ClientAuthentication != NULL)
		prev_ClientAuthentication(port, status);
	if (status == STATUS_OK && am_walsender)
		warden_principal_refuse_replication(port->user_name);
}

void
warden_hooks_init(void)
{
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = warden_post_parse_analyze;
	prev_planner = planner_hook;
	planner_hook = warden_planner;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = warden_ExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = warden_ExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = warden_ExecutorFinish;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = warden_ExecutorEnd;
	prev_ExecutorCheckPerms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = warden_ExecutorCheckPerms;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = warden_ProcessUtility;
	prev_object_access = object_access_hook;
	object_access_hook = warden_object_access;
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = warden_get_relation_info;
	prev_get_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = warden_get_relation_stats;
	prev_get_index_stats = get_index_stats_hook;
	get_index_stats_hook = warden_get_index_stats;
	prev_get_attavgwidth = get_attavgwidth_hook;
	get_attavgwidth_hook = warden_get_attavgwidth;
	prev_emit_log = emit_log_hook;
	emit_log_hook = warden_emit_log;
	prev_ClientAuthentication = ClientAuthentication_hook;
	ClientAuthentication_hook = warden_ClientAuthentication;
}
