/*-------------------------------------------------------------------------
 * utility_gate.c
 *	  What becomes of an agent's statement, by the kind of its parse tree.
 *
 * Every table here says what is allowed; what it does not name is refused, so
 * a statement, subcommand or setting of a later PostgreSQL is refused until
 * somebody has thought about it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/prepare.h"
#include "commands/proclang.h"
#include "nodes/nodeFuncs.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "compat.h"
#include "function_gate.h"
#include "principal.h"
#include "proposable.h"
#include "statement.h"
#include "utility_gate.h"
#include "warden.h"

/* ----------------------------------------------------------------------
 * Tables
 * ---------------------------------------------------------------------- */

typedef struct Rule
{
	NodeTag		tag;
	WardenVerdict verdict;
	/* Decides by what the statement contains; NULL: the verdict as it is. */
	WardenVerdict (*decide) (Node *stmt, const char **reason,
							 const char **hint);
} Rule;

static WardenVerdict decide_select(Node *stmt, const char **reason,
								   const char **hint);
static WardenVerdict decide_explain(Node *stmt, const char **reason,
									const char **hint);
static WardenVerdict decide_copy(Node *stmt, const char **reason,
								 const char **hint);
static WardenVerdict decide_do(Node *stmt, const char **reason,
							   const char **hint);
static WardenVerdict decide_relation(Node *stmt, const char **reason,
									 const char **hint);
static WardenVerdict decide_alter_table(Node *stmt, const char **reason,
										const char **hint);
static WardenVerdict decide_function(Node *stmt, const char **reason,
									 const char **hint);
static WardenVerdict decide_object(Node *stmt, const char **reason,
								   const char **hint);
static WardenVerdict decide_schema(Node *stmt, const char **reason,
								   const char **hint);
static WardenVerdict decide_define(Node *stmt, const char **reason,
								   const char **hint);
static WardenVerdict decide_reindex(Node *stmt, const char **reason,
									const char **hint);
static WardenVerdict decide_rights(Node *stmt, const char **reason,
								   const char **hint);

static const Rule rules[] = {
	/* What runs, masked; warden_utility_check_run looks closer. */
	{T_SelectStmt, WARDEN_RUN, decide_select},
	{T_ExplainStmt, WARDEN_RUN, decide_explain},
	{T_VariableShowStmt, WARDEN_RUN, NULL},
	{T_VariableSetStmt, WARDEN_RUN, NULL},
	{T_TransactionStmt, WARDEN_RUN, NULL},
	{T_DeclareCursorStmt, WARDEN_RUN, NULL},
	{T_FetchStmt, WARDEN_RUN, NULL},
	{T_ClosePortalStmt, WARDEN_RUN, NULL},
	{T_PrepareStmt, WARDEN_RUN, NULL},
	{T_ExecuteStmt, WARDEN_RUN, NULL},
	{T_DeallocateStmt, WARDEN_RUN, NULL},
	{T_CopyStmt, WARDEN_RUN, decide_copy},
	{T_DoStmt, WARDEN_RUN, decide_do},
	{T_CallStmt, WARDEN_RUN, NULL},
	{T_DiscardStmt, WARDEN_RUN, NULL},

	/* Writes. */
	{T_InsertStmt, WARDEN_DIVERT, NULL},
	{T_UpdateStmt, WARDEN_DIVERT, NULL},
	{T_DeleteStmt, WARDEN_DIVERT, NULL},
	{T_MergeStmt, WARDEN_DIVERT, NULL},
	{T_TruncateStmt, WARDEN_DIVERT, NULL},

	/* Ordinary DDL. */
	{T_CreateStmt, WARDEN_DIVERT, decide_relation},
	{T_CreateTableAsStmt, WARDEN_DIVERT, decide_relation},
	{T_ViewStmt, WARDEN_DIVERT, decide_relation},
	{T_CreateSeqStmt, WARDEN_DIVERT, decide_relation},
	{T_AlterTableStmt, WARDEN_DIVERT, decide_alter_table},
	{T_AlterSeqStmt, WARDEN_DIVERT, NULL},
	{T_IndexStmt, WARDEN_DIVERT, NULL},
	{T_DropStmt, WARDEN_DIVERT, decide_object},
	{T_RenameStmt, WARDEN_DIVERT, decide_object},
	{T_AlterObjectSchemaStmt, WARDEN_DIVERT, decide_object},
	{T_CommentStmt, WARDEN_DIVERT, decide_object},
	{T_CreateSchemaStmt, WARDEN_DIVERT, decide_schema},
	{T_CreateFunctionStmt, WARDEN_DIVERT, decide_function},
	{T_AlterFunctionStmt, WARDEN_DIVERT, decide_function},
	{T_CreateTrigStmt, WARDEN_DIVERT, NULL},
	{T_RuleStmt, WARDEN_DIVERT, NULL},
	{T_CreatePolicyStmt, WARDEN_DIVERT, NULL},
	{T_AlterPolicyStmt, WARDEN_DIVERT, NULL},
	{T_CreateEnumStmt, WARDEN_DIVERT, NULL},
	{T_AlterEnumStmt, WARDEN_DIVERT, NULL},
	{T_CreateRangeStmt, WARDEN_DIVERT, NULL},
	{T_CompositeTypeStmt, WARDEN_DIVERT, NULL},
	{T_CreateDomainStmt, WARDEN_DIVERT, NULL},
	{T_AlterDomainStmt, WARDEN_DIVERT, NULL},
	{T_CreateCastStmt, WARDEN_DIVERT, NULL},
	{T_DefineStmt, WARDEN_DIVERT, decide_define},
	{T_CreateStatsStmt, WARDEN_DIVERT, NULL},
	{T_AlterStatsStmt, WARDEN_DIVERT, NULL},

	/* Maintenance. */
	{T_VacuumStmt, WARDEN_DIVERT, NULL},
	{T_ClusterStmt, WARDEN_DIVERT, NULL},
	{T_ReindexStmt, WARDEN_DIVERT, decide_reindex},
	{T_RefreshMatViewStmt, WARDEN_DIVERT, NULL},

	/* Where an administrator lets them be proposed. */
	{T_GrantStmt, WARDEN_REFUSE, decide_rights},
	{T_AlterOwnerStmt, WARDEN_REFUSE, decide_rights},
};

/* Objects that an agent may propose to drop, rename, move or comment on. */
static const ObjectType user_objects[] = {
	OBJECT_AGGREGATE, OBJECT_ATTRIBUTE, OBJECT_CAST, OBJECT_COLLATION,
	OBJECT_COLUMN, OBJECT_DOMAIN, OBJECT_DOMCONSTRAINT, OBJECT_FUNCTION,
	OBJECT_INDEX, OBJECT_MATVIEW, OBJECT_OPERATOR, OBJECT_POLICY,
	OBJECT_PROCEDURE, OBJECT_ROUTINE, OBJECT_RULE, OBJECT_SCHEMA,
	OBJECT_SEQUENCE, OBJECT_STATISTIC_EXT, OBJECT_TABCONSTRAINT,
	OBJECT_TABLE, OBJECT_TRIGGER, OBJECT_TSCONFIGURATION,
	OBJECT_TSDICTIONARY, OBJECT_TYPE, OBJECT_VIEW,
};

/* Subcommands of ALTER TABLE and its relatives. */
static const AlterTableType alter_commands[] = {
	AT_AddColumn, AT_AddColumnToView, AT_ColumnDefault, AT_CookedColumnDefault,
	AT_DropNotNull, AT_SetNotNull, AT_DropExpression, AT_SetStatistics,
	AT_SetOptions, AT_ResetOptions, AT_SetStorage, AT_SetCompression,
	AT_DropColumn, AT_AddIndex, AT_AddConstraint, AT_AlterConstraint,
	AT_ValidateConstraint, AT_AddIndexConstraint, AT_DropConstraint,
	AT_AlterColumnType, AT_ClusterOn, AT_DropCluster, AT_SetLogged,
	AT_SetUnLogged, AT_SetRelOptions, AT_ResetRelOptions, AT_EnableTrig,
	AT_EnableAlwaysTrig, AT_EnableReplicaTrig, AT_DisableTrig,
	AT_EnableTrigAll, AT_DisableTrigAll, AT_EnableTrigUser,
	AT_DisableTrigUser, AT_EnableRule, AT_EnableAlwaysRule,
	AT_EnableReplicaRule, AT_DisableRule, AT_AddInherit, AT_DropInherit,
	AT_AddOf, AT_DropOf, AT_ReplicaIdentity, AT_EnableRowSecurity,
	AT_DisableRowSecurity, AT_ForceRowSecurity, AT_NoForceRowSecurity,
	AT_AttachPartition, AT_DetachPartition, AT_DetachPartitionFinalize,
	AT_AddIdentity, AT_SetIdentity, AT_DropIdentity,
	WARDEN_NEWER_ALTER_COMMANDS
};

/* Settings that an agent may change: they change the form of its own
 * results or the choice of its own plans. */
static const char *const agent_settings[] = {
	"application_name", "bytea_output", "client_encoding",
	"client_min_messages", "cpu_index_tuple_cost", "cpu_operator_cost",
	"cpu_tuple_cost", "cursor_tuple_fraction", "datestyle",
	"default_transaction_deferrable", "default_transaction_isolation",
	"default_transaction_read_only", "effective_cache_size",
	"enable_async_append", "enable_bitmapscan", "enable_distinct_reordering",
	"enable_gathermerge", "enable_group_by_reordering",
	"enable_hashagg", "enable_hashjoin", "enable_incremental_sort",
	"enable_indexonlyscan", "enable_indexscan", "enable_material",
	"enable_memoize", "enable_mergejoin", "enable_nestloop",
	"enable_parallel_append", "enable_parallel_hash",
	"enable_partition_pruning", "enable_partitionwise_aggregate",
	"enable_partitionwise_join", "enable_presorted_aggregate",
	"enable_self_join_elimination", "enable_seqscan", "enable_sort",
	"enable_tidscan",
	"extra_float_digits", "from_collapse_limit", "geqo", "intervalstyle",
	"jit", "jit_above_cost", "jit_inline_above_cost",
	"jit_optimize_above_cost", "join_collapse_limit", "lock_timeout",
	"min_parallel_index_scan_size", "min_parallel_table_scan_size",
	"parallel_setup_cost", "parallel_tuple_cost", "plan_cache_mode",
	"random_page_cost", "search_path", "seq_page_cost",
	"standard_conforming_strings", "statement_timeout", "timezone",
	"transaction_deferrable", "transaction_isolation",
	"transaction_read_only", "warden.divert_report", "xmlbinary", "xmloption",
};

/* Those of them that may only be lowered, and never to "no limit". */
static const char *const limit_settings[] = {
	"lock_timeout", "statement_timeout",
};

/* What poolers and drivers send before a gateway badges in. */
static const char *const gateway_settings[] = {
	"application_name", "client_encoding", "datestyle", "extra_float_digits",
	"intervalstyle", "standard_conforming_strings", "timezone",
};

/* Levels of client_min_messages: no debug output, no hidden WARNING. */
static const char *const message_levels[] = {
	"info", "log", "notice", "warning",
};

static bool
named(const char *const *list, int n, const char *name)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (pg_strcasecmp(list[i], name) == 0)
			return true;
	}
	return false;
}

#define NAMED(list, name) named(list, lengthof(list), name)

/* ----------------------------------------------------------------------
 * Verdicts
 * ---------------------------------------------------------------------- */

static WardenVerdict
refuse(const char **reason, const char **hint, const char *why,
	   const char *instead)
{
	*reason = why;
	*hint = instead;
	return WARDEN_REFUSE;
}

/* A raw SELECT, as propose() and COPY meet it. */
static WardenVerdict
decide_select(Node *stmt, const char **reason, const char **hint)
{
	SelectStmt *select = castNode(SelectStmt, stmt);
	ListCell   *lc;

	if (select->lockingClause != NIL)
		return refuse(reason, hint, "row locks are not permitted to agents",
					  "Leave out FOR UPDATE and FOR SHARE.");
	if (select->intoClause != NULL)
		return decide_relation(stmt, reason, hint);
	if (select->withClause == NULL)
		return WARDEN_RUN;
	foreach(lc, select->withClause->ctes)
	{
		if (!IsA(((CommonTableExpr *) lfirst(lc))->ctequery, SelectStmt))
			return WARDEN_DIVERT;
	}
	return WARDEN_RUN;
}

static bool
explains_analyze(ExplainStmt *stmt)
{
	ListCell   *lc;
	bool		analyze = false;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

/* The EXECUTE whose statement an EXPLAIN explains, if it does that. */
ExecuteStmt *
warden_utility_explained_execute(const ExplainStmt *explain)
{
	Query	   *query = (Query *) explain->query;

	if (IsA(query, Query) && query->utilityStmt != NULL &&
		IsA(query->utilityStmt, CreateTableAsStmt))
		query = (Query *) ((CreateTableAsStmt *) query->utilityStmt)->query;
	if (!IsA(query, Query) || query->utilityStmt == NULL ||
		!IsA(query->utilityStmt, ExecuteStmt))
		return NULL;
	return (ExecuteStmt *) query->utilityStmt;
}

static WardenVerdict
refuse_analyze(const char **reason, const char **hint)
{
	return refuse(reason, hint, "EXPLAIN ANALYZE of a write would run it",
				  "Use EXPLAIN without ANALYZE, or propose the write.");
}

static bool
modifies_in_with(const CachedPlanSource *source)
{
	ListCell   *lc;

	foreach(lc, source->query_list)
	{
		if (lfirst_node(Query, lc)->hasModifyingCTE)
			return true;
	}
	return false;
}

/*
 * EXPLAIN EXECUTE.  The protocol prepares statements of every kind, and core
 * explains what it finds, by no way that leads past here: a table would be made
 * and filled by ANALYZE.  An EXECUTE that was prepared could be of itself,
 * which core follows until its stack is used up, and the server goes down.
 */
static WardenVerdict
decide_explain_execute(const ExecuteStmt *execute, bool analyze,
					   const char **reason, const char **hint)
{
	PreparedStatement *prepared = FetchPreparedStatement(execute->name, false);
	RawStmt    *raw = prepared != NULL ?
		prepared->plansource->raw_parse_tree : NULL;

	if (raw == NULL)
		return WARDEN_RUN;		/* there is none, or an empty one */
	switch (nodeTag(raw->stmt))
	{
		case T_SelectStmt:
			if (analyze &&
				(warden_statement_into((SelectStmt *) raw->stmt) != NULL ||
				 modifies_in_with(prepared->plansource)))
				return refuse_analyze(reason, hint);
			return WARDEN_RUN;
		case T_CreateTableAsStmt:
			if (IsA(((CreateTableAsStmt *) raw->stmt)->query, ExecuteStmt))
				break;
			return analyze ? refuse_analyze(reason, hint) : WARDEN_RUN;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return analyze ? refuse_analyze(reason, hint) : WARDEN_RUN;
		case T_DeclareCursorStmt:
			return WARDEN_RUN;
		default:
			break;
	}
	return refuse(reason, hint, "the statement has no plan of its own",
				  "Explain SELECT, INSERT, UPDATE, DELETE, MERGE, DECLARE CURSOR or CREATE TABLE AS.");
}

static WardenVerdict
decide_explain(Node *stmt, const char **reason, const char **hint)
{
	ExplainStmt *explain = castNode(ExplainStmt, stmt);
	bool		analyze = explains_analyze(explain);
	ExecuteStmt *execute;
	Query	   *query;

	if (!IsA(explain->query, Query))
		return refuse(reason, hint, "EXPLAIN can not be proposed",
					  "Send the EXPLAIN itself.");
	query = castNode(Query, explain->query);
	execute = warden_utility_explained_execute(explain);
	if (execute != NULL &&
		decide_explain_execute(execute, analyze, reason, hint) != WARDEN_RUN)
		return WARDEN_REFUSE;
	if (!analyze)
		return WARDEN_RUN;
	if (query->commandType == CMD_SELECT && !query->hasModifyingCTE)
		return WARDEN_RUN;
	if (query->commandType == CMD_UTILITY && query->utilityStmt != NULL &&
		(IsA(query->utilityStmt, DeclareCursorStmt) ||
		 IsA(query->utilityStmt, ExecuteStmt)))
		return WARDEN_RUN;
	return refuse_analyze(reason, hint);
}

static WardenVerdict
decide_copy(Node *stmt, const char **reason, const char **hint)
{
	CopyStmt   *copy = castNode(CopyStmt, stmt);

	if (copy->is_from)
		return refuse(reason, hint, "COPY FROM is not permitted to agents",
					  "Propose INSERT statements instead.");
	if (copy->is_program || copy->filename != NULL)
		return refuse(reason, hint,
					  "COPY to a file or program is not permitted to agents",
					  "Use COPY ... TO STDOUT.");
	if (copy->query != NULL && !IsA(copy->query, SelectStmt))
		return refuse(reason, hint, "COPY of a write is not permitted to agents",
					  "Send the write itself: it becomes a pending change.");
	return WARDEN_RUN;
}

/* Languages whose functions can do only what SQL can. */
static bool
language_permitted(const char *name)
{
	Oid			language = get_language_oid(name, true);

	return OidIsValid(language) && warden_function_gate_language(language);
}

static const char *
block_language(const DoStmt *stmt)
{
	const char *language = "plpgsql";
	ListCell   *lc;

	foreach(lc, stmt->args)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
	}
	return language;
}

static WardenVerdict
decide_do(Node *stmt, const char **reason, const char **hint)
{
	if (!language_permitted(block_language(castNode(DoStmt, stmt))))
		return refuse(reason, hint,
					  "DO blocks in an untrusted language are not permitted to agents",
					  "Use plpgsql.");
	return WARDEN_RUN;
}

/* The relation that a statement makes. */
static RangeVar *
created_relation(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return ((CreateStmt *) stmt)->relation;
		case T_CreateTableAsStmt:
			return ((CreateTableAsStmt *) stmt)->into->rel;
		case T_ViewStmt:
			return ((ViewStmt *) stmt)->view;
		case T_CreateSeqStmt:
			return ((CreateSeqStmt *) stmt)->sequence;
		case T_SelectStmt:
			return ((SelectStmt *) stmt)->intoClause->rel;
		default:
			elog(ERROR, "unexpected statement: %d", (int) nodeTag(stmt));
	}
	return NULL;
}

static WardenVerdict
decide_relation(Node *stmt, const char **reason, const char **hint)
{
	RangeVar   *relation = created_relation(stmt);

	if (relation->relpersistence == RELPERSISTENCE_TEMP ||
		(relation->schemaname != NULL &&
		 strncmp(relation->schemaname, "pg_temp", 7) == 0))
		return refuse(reason, hint,
					  "temporary objects are not permitted to agents",
					  "Use a WITH query, or propose an ordinary table.");
	if (IsA(stmt, CreateTableAsStmt))
	{
		Node	   *query = ((CreateTableAsStmt *) stmt)->query;

		if (IsA(query, Query) &&
			((Query *) query)->commandType == CMD_UTILITY)
			query = ((Query *) query)->utilityStmt;
		if (IsA(query, ExecuteStmt))
			return refuse(reason, hint,
						  "CREATE TABLE AS EXECUTE can not be proposed",
						  "Write the query out: the prepared statement will be gone when the change is applied.");
	}
	return WARDEN_DIVERT;
}

static WardenVerdict
decide_alter_table(Node *stmt, const char **reason, const char **hint)
{
	ListCell   *lc;

	foreach(lc, castNode(AlterTableStmt, stmt)->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		bool		known = false;
		int			i;

		if (command->subtype == AT_ChangeOwner &&
			warden_proposable_enabled(WARDEN_PROPOSABLE_OWNER))
		{
			if (!warden_proposable_permits(stmt, reason, hint))
				return WARDEN_REFUSE;
			known = true;
		}
		for (i = 0; i < (int) lengthof(alter_commands); i++)
			known |= (alter_commands[i] == command->subtype);
		if (!known)
			return refuse(reason, hint,
						  "this form of ALTER is not permitted to agents",
						  "Owners, tablespaces and foreign options are for administrators.");
	}
	return WARDEN_DIVERT;
}

/* One option of CREATE or ALTER FUNCTION. */
static bool
function_option_permitted(DefElem *option)
{
	if (strcmp(option->defname, "security") == 0)
		return !boolVal(option->arg) ||
			warden_proposable_enabled(WARDEN_PROPOSABLE_DEFINER);
	if (strcmp(option->defname, "language") == 0)
		return language_permitted(strVal(option->arg));
	if (strcmp(option->defname, "set") == 0)
	{
		VariableSetStmt *set = castNode(VariableSetStmt, option->arg);

		return set->name != NULL && NAMED(agent_settings, set->name);
	}
	return strcmp(option->defname, "leakproof") != 0 &&
		strcmp(option->defname, "support") != 0;
}

static WardenVerdict
decide_function(Node *stmt, const char **reason, const char **hint)
{
	List	   *options = IsA(stmt, CreateFunctionStmt) ?
		((CreateFunctionStmt *) stmt)->options :
		castNode(AlterFunctionStmt, stmt)->actions;
	ListCell   *lc;

	foreach(lc, options)
	{
		if (!function_option_permitted(lfirst_node(DefElem, lc)))
			return refuse(reason, hint,
						  "SECURITY DEFINER, LEAKPROOF, untrusted languages and such settings are not permitted to agents",
						  "Propose a function in SQL or plpgsql that runs with its caller's rights.");
	}
	return WARDEN_DIVERT;
}

static ObjectType
object_type(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropStmt:
			return ((DropStmt *) stmt)->removeType;
		case T_RenameStmt:
			return ((RenameStmt *) stmt)->renameType;
		case T_AlterObjectSchemaStmt:
			return ((AlterObjectSchemaStmt *) stmt)->objectType;
		case T_CommentStmt:
			return ((CommentStmt *) stmt)->objtype;
		default:
			elog(ERROR, "unexpected statement: %d", (int) nodeTag(stmt));
	}
	return OBJECT_ROLE;
}

static WardenVerdict
decide_object(Node *stmt, const char **reason, const char **hint)
{
	ObjectType	type = object_type(stmt);
	int			i;

	for (i = 0; i < (int) lengthof(user_objects); i++)
	{
		if (user_objects[i] == type)
			return WARDEN_DIVERT;
	}
	return refuse(reason, hint,
				  "objects of this kind are not for agents to change",
				  "Ask an administrator.");
}

static WardenVerdict
decide_schema(Node *stmt, const char **reason, const char **hint)
{
	CreateSchemaStmt *schema = castNode(CreateSchemaStmt, stmt);
	ListCell   *lc;

	if (schema->authrole != NULL)
		return refuse(reason, hint,
					  "a schema for another owner is not permitted to agents",
					  "Leave out AUTHORIZATION.");
	foreach(lc, schema->schemaElts)
	{
		if (warden_utility_verdict(lfirst(lc), reason, hint) != WARDEN_DIVERT)
			return refuse(reason, hint,
						  "an element of this schema is not permitted to agents",
						  "Make the schema alone, then each object.");
	}
	return WARDEN_DIVERT;
}

static WardenVerdict
decide_define(Node *stmt, const char **reason, const char **hint)
{
	switch (castNode(DefineStmt, stmt)->kind)
	{
		case OBJECT_AGGREGATE:
		case OBJECT_OPERATOR:
		case OBJECT_COLLATION:
		case OBJECT_TSCONFIGURATION:
		case OBJECT_TSDICTIONARY:
			return WARDEN_DIVERT;
		default:
			return refuse(reason, hint,
						  "base types and text search parsers are not for agents to make",
						  "Use a composite type, an enum or a domain.");
	}
}

static WardenVerdict
decide_reindex(Node *stmt, const char **reason, const char **hint)
{
	switch (castNode(ReindexStmt, stmt)->kind)
	{
		case REINDEX_OBJECT_INDEX:
		case REINDEX_OBJECT_TABLE:
		case REINDEX_OBJECT_SCHEMA:
			return WARDEN_DIVERT;
		default:
			return refuse(reason, hint,
						  "REINDEX of a whole database is not permitted to agents",
						  "Name the index or the table.");
	}
}

/* GRANT, REVOKE and ALTER ... OWNER TO. */
static WardenVerdict
decide_rights(Node *stmt, const char **reason, const char **hint)
{
	return warden_proposable_permits(stmt, reason, hint) ? WARDEN_DIVERT :
		WARDEN_REFUSE;
}

WardenVerdict
warden_utility_verdict(Node *stmt, const char **reason, const char **hint)
{
	int			i;

	*reason = "this kind of statement is not permitted to agents";
	*hint = "Agents read with SELECT and propose writes and ordinary DDL; for anything else ask an administrator.";
	for (i = 0; i < (int) lengthof(rules); i++)
	{
		if (rules[i].tag != nodeTag(stmt))
			continue;
		if (rules[i].decide != NULL)
			return rules[i].decide(stmt, reason, hint);
		return rules[i].verdict;
	}
	return WARDEN_REFUSE;
}

void
warden_utility_refuse(Node *stmt, const char *reason, const char *hint)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("%s: %s", GetCommandTagName(CreateCommandTag(stmt)),
					reason),
			 errhint("%s", hint)));
}

/* ----------------------------------------------------------------------
 * Statements that run
 * ---------------------------------------------------------------------- */

static void
refuse_setting(const char *name)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("setting \"%s\" is not for agents to change", name),
			 errhint("Leave it as it is; search_path, time zone, formats and planner settings may be changed.")));
}

/* The current value of an integer setting, in its base unit. */
static int
current_limit(const char *name)
{
	struct config_generic *option = warden_find_option(name);

	if (option == NULL || option->vartype != PGC_INT)
		return 0;
	return *((struct config_int *) option)->variable;
}

/* A timeout may be lowered only: 0 would lift it. */
static void
check_limit(VariableSetStmt *set)
{
	char	   *text = ExtractSetVariableArgs(set);
	int			limit = current_limit(set->name);
	int			value;

	if (text == NULL || !parse_int(text, &value, GUC_UNIT_MS, NULL))
		return;					/* core reports what is wrong with it */
	if (limit > 0 && (value <= 0 || value > limit))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("\"%s\" can only be lowered", set->name),
				 errhint("It is %d ms now.", limit)));
}

static void
check_setting(VariableSetStmt *set)
{
	if (set->kind == VAR_RESET_ALL)
		refuse_setting("all");
	if (set->kind == VAR_SET_MULTI)
	{
		/* SET TRANSACTION and SESSION CHARACTERISTICS change modes that are
		 * on the list; a snapshot is another session's. */
		if (strcmp(set->name, "TRANSACTION SNAPSHOT") == 0)
			refuse_setting("transaction_snapshot");
		return;
	}
	if (!NAMED(agent_settings, set->name))
		refuse_setting(set->name);
	if (NAMED(limit_settings, set->name))
	{
		if (set->kind != VAR_SET_VALUE)
			refuse_setting(set->name);
		check_limit(set);
	}
	if (pg_strcasecmp(set->name, "client_min_messages") == 0 &&
		set->kind == VAR_SET_VALUE)
	{
		char	   *value = ExtractSetVariableArgs(set);

		if (value != NULL && !NAMED(message_levels, value))
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("client_min_messages can not be \"%s\" for agents",
							value),
					 errhint("Use notice or warning: recorded changes are reported as warnings.")));
	}
}

/* SET ROLE and its like, in any spelling that is a statement. */
static bool
changes_role(VariableSetStmt *set)
{
	return set->name != NULL &&
		(pg_strcasecmp(set->name, "role") == 0 ||
		 pg_strcasecmp(set->name, "session_authorization") == 0);
}

/*
 * RESET and SET ... TO DEFAULT restore a value without asking its check hook,
 * so changes of role are decided here as well.
 */
bool
warden_utility_check_role(Node *stmt, const WardenPrincipal *principal,
						  bool toplevel)
{
	if (!IsA(stmt, VariableSetStmt) ||
		!changes_role((VariableSetStmt *) stmt))
		return false;
	if (principal->bound || principal->login_governed || !toplevel)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("a governed session can not change its role"),
				 errhint("Work as the role that you are; ask an administrator for another agent if it is not enough.")));
	return true;
}

static void
refuse_bound(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("%s is not permitted between enter and leave", what),
			 errhint("Send one statement; the gateway controls the transaction.")));
}

static void
check_transaction(TransactionStmt *stmt, const WardenPrincipal *principal)
{
	if (principal->bound)
		refuse_bound("transaction control");
	switch (stmt->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_ROLLBACK:
		case TRANS_STMT_SAVEPOINT:
		case TRANS_STMT_RELEASE:
		case TRANS_STMT_ROLLBACK_TO:
			break;
		default:
			warden_utility_refuse((Node *) stmt,
								  "two-phase commit is not permitted to agents",
								  "Use COMMIT.");
	}
}

/*
 * Statements that other calls on the gateway's connection have prepared are
 * theirs: what they say, and the values in them.
 */
static void
check_prepared(const ExecuteStmt *stmt)
{
	PreparedStatement *prepared = FetchPreparedStatement(stmt->name, false);

	if (prepared != NULL &&
		prepared->prepare_time < GetCurrentTransactionStartTimestamp())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("this statement was not prepared by this call"),
				 errhint("Send the statement itself.")));
}

/* EXPLAIN EXECUTE shows it all the same. */
static void
check_explained(const ExplainStmt *stmt)
{
	ExecuteStmt *execute = warden_utility_explained_execute(stmt);

	if (execute != NULL)
		check_prepared(execute);
}

/*
 * Interpreters of other languages last as long as the connection, and a block
 * can leave variables in them, or put code in the place of what functions call,
 * for whoever badges in next with the same role.
 */
static void
check_block(const DoStmt *stmt)
{
	if (strcmp(block_language(stmt), "plpgsql") != 0)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a block in this language is not permitted between enter and leave"),
				 errhint("Use plpgsql, or propose the block.")));
}

void
warden_utility_check_run(Node *stmt, const WardenPrincipal *principal,
						 bool toplevel, bool *change_role)
{
	*change_role = false;
	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
			check_transaction((TransactionStmt *) stmt, principal);
			break;
		case T_VariableSetStmt:
			*change_role = warden_utility_check_role(stmt, principal,
													 toplevel);
			if (!*change_role)
				check_setting((VariableSetStmt *) stmt);
			break;
		case T_DiscardStmt:
			warden_utility_refuse(stmt, "DISCARD is not permitted to agents",
								  "Open another connection instead.");
			break;
		case T_DeclareCursorStmt:
			if (principal->bound &&
				(((DeclareCursorStmt *) stmt)->options & CURSOR_OPT_HOLD))
				refuse_bound("a cursor WITH HOLD");
			break;
		case T_PrepareStmt:
		case T_DeallocateStmt:
			if (principal->bound)
				refuse_bound("PREPARE");
			break;
		case T_ExecuteStmt:
			if (principal->bound)
				check_prepared((ExecuteStmt *) stmt);
			break;
		case T_ExplainStmt:
			if (principal->bound)
				check_explained((ExplainStmt *) stmt);
			break;
		case T_DoStmt:
			if (principal->bound)
				check_block((DoStmt *) stmt);
			break;
		case T_CallStmt:
			warden_function_gate_expression((Node *)
											((CallStmt *) stmt)->funcexpr);
			break;
		default:
			break;
	}
}

/* ----------------------------------------------------------------------
 * Connections
 * ---------------------------------------------------------------------- */

/*
 * Start-up packets and PGOPTIONS bypass ProcessUtility, so what they set is
 * looked for by its source.  Settings made by ALTER ROLE or ALTER DATABASE
 * are an administrator's.
 */
void
warden_utility_check_startup(void)
{
	static bool checked = false;
	struct config_generic **options;
	int			n;
	int			i;

	if (checked)
		return;
	options = warden_all_options(&n);
	for (i = 0; i < n; i++)
	{
		if (options[i]->source != PGC_S_CLIENT)
			continue;
		if (NAMED(agent_settings, options[i]->name) &&
			(!NAMED(limit_settings, options[i]->name) ||
			 current_limit(options[i]->name) > 0) &&
			(strcmp(options[i]->name, "client_min_messages") != 0 ||
			 NAMED(message_levels,
				   GetConfigOption("client_min_messages", false, false))))
			continue;
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("this connection was opened with \"%s\", which is not for agents to set",
						options[i]->name),
				 errhint("Connect without that option.")));
	}
	checked = true;
}

void
warden_utility_check_gateway(Node *stmt, bool *change_role)
{
	*change_role = false;
	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
			{
				TransactionStmtKind kind = ((TransactionStmt *) stmt)->kind;

				if (kind != TRANS_STMT_PREPARE &&
					kind != TRANS_STMT_COMMIT_PREPARED &&
					kind != TRANS_STMT_ROLLBACK_PREPARED)
					return;
				break;
			}
		case T_VariableShowStmt:
			return;
		case T_VariableSetStmt:
			{
				VariableSetStmt *set = (VariableSetStmt *) stmt;

				if ((set->kind == VAR_SET_VALUE ||
					 set->kind == VAR_SET_DEFAULT || set->kind == VAR_RESET) &&
					NAMED(gateway_settings, set->name))
					return;
				break;
			}
		case T_DiscardStmt:
			*change_role = true;
			return;
		case T_ListenStmt:
			if (strcmp(((ListenStmt *) stmt)->conditionname,
					   WARDEN_CHANNEL) == 0)
				return;
			break;
		case T_UnlistenStmt:
			return;
		case T_DeallocateStmt:
			return;
		default:
			break;
	}
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("this gateway has not badged in"),
			 errhint("Send BEGIN; SELECT warden.enter(token, on_behalf_of, request, leave_key); first.")));
}
