/*-------------------------------------------------------------------------
 * compat.h
 *	  The only file that knows PostgreSQL versions.  Macros and inline
 *	  functions are named after the newest API.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_COMPAT_H
#define WARDEN_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_relation.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 150000
#error "pg_warden needs PostgreSQL 15 or newer"
#endif

/* 18 puts it before the declaration. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* From 18 on Vars above a GROUP BY lead to an entry that holds what is
 * grouped by; NIL for other entries. */
#if PG_VERSION_NUM >= 180000
#define WARDEN_GROUP_EXPRS(rte) \
	((rte)->rtekind == RTE_GROUP ? (rte)->groupexprs : NIL)
#else
#define WARDEN_GROUP_EXPRS(rte)	((List *) ((void) (rte), NULL))
#endif

/* Does COPY TO of this version scan such a relation?  It refuses the rest; of
 * a kind that is new nobody knows. */
static inline bool
warden_copy_scans(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_SEQUENCE:
			return false;
		case RELKIND_MATVIEW:
			return PG_VERSION_NUM >= 180000;
		case RELKIND_PARTITIONED_TABLE:
			return PG_VERSION_NUM >= 190000;
		default:
			return true;
	}
}

/* 18 took execute_once from ExecutorRun. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_ARGS	QueryDesc *queryDesc, ScanDirection direction, \
							uint64 count
#define EXECUTOR_RUN_PASS	queryDesc, direction, count
#define standard_executor_run(queryDesc, direction, count, once) \
	standard_ExecutorRun(queryDesc, direction, count)
#define executor_run(queryDesc, direction, count) \
	ExecutorRun(queryDesc, direction, count)
#else
#define EXECUTOR_RUN_ARGS	QueryDesc *queryDesc, ScanDirection direction, \
							uint64 count, bool execute_once
#define EXECUTOR_RUN_PASS	queryDesc, direction, count, execute_once
#define executor_run(queryDesc, direction, count) \
	ExecutorRun(queryDesc, direction, count, true)
#endif

/* 16 added the permission infos to ExecutorCheckPerms_hook. */
#if PG_VERSION_NUM >= 160000
#define CHECK_PERMS_ARGS	List *rangeTable, List *permInfos, \
							bool ereport_on_violation
#define CHECK_PERMS_PASS	rangeTable, permInfos, ereport_on_violation
#define CHECK_PERMS_INFOS	permInfos
#else
#define CHECK_PERMS_ARGS	List *rangeTable, bool ereport_on_violation
#define CHECK_PERMS_PASS	rangeTable, ereport_on_violation
#define CHECK_PERMS_INFOS	NIL
#endif

/*
 * Permission fields of a range table entry: in the entry itself on 15, in
 * RTEPermissionInfo since 16.  WardenPerms is what both have.
 */
#if PG_VERSION_NUM >= 160000
typedef RTEPermissionInfo WardenPerms;

static inline WardenPerms *
warden_rte_perms(List *perminfos, RangeTblEntry *rte)
{
	if (rte->perminfoindex == 0)
		return NULL;
	return getRTEPermissionInfo(perminfos, rte);
}
#define WARDEN_QUERY_PERMS(query)	((query)->rteperminfos)
#define WARDEN_PLAN_PERMS(pstmt)	((pstmt)->permInfos)
#define WARDEN_COPY_PLAN_PERMS(pstmt) \
	((pstmt)->permInfos = copyObject((pstmt)->permInfos))
#else
typedef RangeTblEntry WardenPerms;

static inline WardenPerms *
warden_rte_perms(List *perminfos pg_attribute_unused(), RangeTblEntry *rte)
{
	return rte;
}
#define WARDEN_QUERY_PERMS(query)	NIL
#define WARDEN_PLAN_PERMS(pstmt)	NIL
#define WARDEN_COPY_PLAN_PERMS(pstmt)	((void) 0)
#endif

/*
 * Moves the permission check of rte from the outer query's list into a query
 * of which it becomes the only relation; the outer entry keeps none.
 */
static inline void
warden_move_perms(Query *outer, RangeTblEntry *outer_rte,
				  Query *inner, RangeTblEntry *inner_rte)
{
#if PG_VERSION_NUM >= 160000
	if (outer_rte->perminfoindex != 0)
	{
		RTEPermissionInfo *info = getRTEPermissionInfo(outer->rteperminfos,
													   outer_rte);

		inner->rteperminfos = list_make1(copyObject(info));
		inner_rte->perminfoindex = 1;
		/* The outer entry's info stays in the list, unreferenced: it must not
		 * ask for anything, or the check would be made twice. */
		info->requiredPerms = 0;
		info->selectedCols = NULL;
		info->insertedCols = NULL;
		info->updatedCols = NULL;
		outer_rte->perminfoindex = 0;
	}
#else
	(void) outer;
	(void) inner;
	(void) inner_rte;
	outer_rte->requiredPerms = 0;
	outer_rte->checkAsUser = InvalidOid;
	outer_rte->selectedCols = NULL;
	outer_rte->insertedCols = NULL;
	outer_rte->updatedCols = NULL;
	outer_rte->extraUpdatedCols = NULL;
#endif
}

/* 16 gave the array of settings a hash table, and find_option an export. */
static inline struct config_generic *
warden_find_option(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	struct config_generic **options = get_guc_variables();
	int			n = GetNumConfigOptions();
	int			i;

	for (i = 0; i < n; i++)
	{
		if (pg_strcasecmp(options[i]->name, name) == 0)
			return options[i];
	}
	return NULL;
#endif
}

static inline struct config_generic **
warden_all_options(int *n)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(n);
#else
	*n = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

/* 16 added onlySummarizing to ExecInsertIndexTuples. */
#if PG_VERSION_NUM < 160000
#define ExecInsertIndexTuples(rri, slot, estate, update, nodup, conflict, \
							  arbiters, summarizing) \
	ExecInsertIndexTuples(rri, slot, estate, update, nodup, conflict, arbiters)
#endif

/* 18 has CHECKs that nothing is held to, and columns that are computed when
 * they are read. */
#if PG_VERSION_NUM >= 180000
#define WARDEN_CHECK_ENFORCED(check)	((check)->ccenforced)
#else
#define WARDEN_CHECK_ENFORCED(check)	((void) (check), true)
#define expand_generated_columns_in_expr(node, relation, varno)	(node)
#endif

#if PG_VERSION_NUM >= 180000
#define WARDEN_ATT_VIRTUAL(att) \
	((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#define WARDEN_GENERATED_STORED(constraint) \
	((constraint)->generated_kind == ATTRIBUTE_GENERATED_STORED)
#else
#define WARDEN_ATT_VIRTUAL(att)	((void) (att), false)
#define WARDEN_GENERATED_STORED(constraint)	((void) (constraint), true)
#endif

/* 17 lets the expression of a generated column be replaced. */
#if PG_VERSION_NUM >= 170000
#define WARDEN_NEWER_ALTER_COMMANDS	AT_SetExpression,
#define WARDEN_SETS_EXPRESSION(cmd)	((cmd)->subtype == AT_SetExpression)
#else
#define WARDEN_NEWER_ALTER_COMMANDS
#define WARDEN_SETS_EXPRESSION(cmd)	((void) (cmd), false)
#endif

/* 18 lets a deferrable key count, if asked to. */
#if PG_VERSION_NUM < 180000
#define RelationGetPrimaryKeyIndex(relation, deferrable_ok) \
	RelationGetPrimaryKeyIndex(relation)
#endif

/* 18 tells OLD from NEW in RETURNING. */
#if PG_VERSION_NUM < 180000
#define expandRTE(rte, rtindex, sublevels_up, returning_type, location, \
				  include_dropped, colnames, colvars) \
	expandRTE(rte, rtindex, sublevels_up, location, include_dropped, \
			  colnames, colvars)
#endif

/* 16 replaced pg_*_aclcheck by object_aclcheck. */
static inline AclResult
warden_schema_usage(Oid schema, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, roleid, ACL_USAGE);
#else
	return pg_namespace_aclcheck(schema, roleid, ACL_USAGE);
#endif
}

/* 16: actions of the JSON parser return a result. */
#if PG_VERSION_NUM >= 160000
#define JSON_ACTION_RESULT	JsonParseErrorType
#define JSON_ACTION_RETURN	return JSON_SUCCESS
#else
#define JSON_ACTION_RESULT	void
#define JSON_ACTION_RETURN	return
#endif

/* 17: the lexer's state may be the caller's. */
#if PG_VERSION_NUM >= 170000
#define make_json_lex_context(json, len, encoding, need_escapes) \
	makeJsonLexContextCstringLen(NULL, json, len, encoding, need_escapes)
#else
#define make_json_lex_context(json, len, encoding, need_escapes) \
	makeJsonLexContextCstringLen(json, len, encoding, need_escapes)
#endif

/* 16 split membership: let a role be set without inheriting from it. */
#if PG_VERSION_NUM >= 160000
#define WARDEN_GRANT_SET_ONLY	" WITH INHERIT FALSE, SET TRUE"
#else
#define WARDEN_GRANT_SET_ONLY	""
#endif

/* 17 has a third kind of WHEN clauses in a MERGE. */
#if PG_VERSION_NUM >= 170000
#define WARDEN_WHEN_MATCHED(when)	((when)->matchKind == MERGE_WHEN_MATCHED)
#define WARDEN_WHEN_BY_SOURCE(when)	\
	((when)->matchKind == MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
#else
#define WARDEN_WHEN_MATCHED(when)	((when)->matched)
#define WARDEN_WHEN_BY_SOURCE(when)	((void) (when), false)
#endif

/* 17 keeps the condition of a MERGE apart from the jointree. */
#if PG_VERSION_NUM >= 170000
#define WARDEN_MERGE_CONDITION(query)	((query)->mergeJoinCondition)
#else
#define WARDEN_MERGE_CONDITION(query)	((Node *) NULL)
#endif

static inline void
warden_set_merge_condition(Query *query, Node *condition)
{
#if PG_VERSION_NUM >= 170000
	query->mergeJoinCondition = condition;
#else
	(void) query;
	(void) condition;
#endif
}

/* 18: RETURNING can name the old and the new row of the target. */
#if PG_VERSION_NUM >= 180000
#define replace_vars(node, varno, rte, outputs, sublinks) \
	ReplaceVarsFromTargetList(node, varno, 0, rte, outputs, varno, \
							  REPLACEVARS_CHANGE_VARNO, varno, sublinks)
#else
#define replace_vars(node, varno, rte, outputs, sublinks) \
	ReplaceVarsFromTargetList(node, varno, 0, rte, outputs, \
							  REPLACEVARS_CHANGE_VARNO, varno, sublinks)
#endif

/* What there is to draw at random; 17 gave random() bounds. */
#if PG_VERSION_NUM >= 180000
#define WARDEN_RANDOM_FUNCTIONS F_RANDOM_, F_RANDOM_INT4_INT4, \
	F_RANDOM_INT8_INT8, F_RANDOM_NUMERIC_NUMERIC, F_RANDOM_NORMAL, \
	F_ARRAY_SAMPLE, F_ARRAY_SHUFFLE, F_UUIDV4, F_UUIDV7_, F_UUIDV7_INTERVAL
#elif PG_VERSION_NUM >= 170000
#define WARDEN_RANDOM_FUNCTIONS F_RANDOM_, F_RANDOM_INT4_INT4, \
	F_RANDOM_INT8_INT8, F_RANDOM_NUMERIC_NUMERIC, F_RANDOM_NORMAL, \
	F_ARRAY_SAMPLE, F_ARRAY_SHUFFLE
#elif PG_VERSION_NUM >= 160000
#define WARDEN_RANDOM_FUNCTIONS F_RANDOM, F_RANDOM_NORMAL, F_ARRAY_SAMPLE, \
	F_ARRAY_SHUFFLE
#else
#define WARDEN_RANDOM_FUNCTIONS F_RANDOM
#endif

/* Stable functions of newer versions that show what other sessions hold. */
#if PG_VERSION_NUM >= 160000
#define WARDEN_SESSION_FUNCTIONS F_PG_STAT_GET_BACKEND_SUBXACT,
#else
#define WARDEN_SESSION_FUNCTIONS
#endif

#endif							/* WARDEN_COMPAT_H */
