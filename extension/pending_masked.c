/*-------------------------------------------------------------------------
 * pending_masked.c
 *	  A preview for somebody who reads masks.
 *
 * To run a change and hide its values would still tell how many rows its
 * conditions find, how long that takes, and which constraint stops it; the
 * agent that wrote the conditions chooses what that gives away.  So nothing of
 * the change runs.  What an UPDATE, DELETE or INSERT would act on is selected
 * instead, as the caller: with the caller's rights, policies and masks, below
 * which every condition and expression works.  It shows what the caller could
 * have selected, and no more.
 *
 * Invariants:
 * - The caller's own query is planned and executed through the same hooks as
 *	 any other of the caller's; the user is never another.
 * - The transaction is read-only meanwhile, and a subtransaction is rolled
 *	 back whatever happens.
 * - Nothing that somebody wrote is called with the caller's rights.
 * - An error of the query gives its SQLSTATE and nothing else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "pending.h"
#include "pending_apply_private.h"
#include "pending_preview_private.h"
#include "statement.h"
#include "warden.h"

#define NOT_RUN		"not run: your role reads masks"

/* One statement that is looked at. */
typedef struct Look
{
	const WardenChange *change;
	WardenMeasured *measured;
	MemoryContext context;		/* of what is found */
	RawStmt    *raw;
	Oid			relid;			/* its target */
	const char *table;			/* the name to show */
	List	   *before;			/* of char *: names of the columns selected */
	List	   *after;			/* the same, behind those */
	const char *reason;			/* why there is nothing to show */
} Look;

/* Puts the rows of the query into the sample. */
typedef struct SampleReceiver
{
	DestReceiver pub;
	Look	   *look;
	StringInfoData json;
	int			rows;
} SampleReceiver;

/* ---- the query ----------------------------------------------------------- */

static void
add_target(SelectStmt *select, Node *value)
{
	ResTarget  *target = makeNode(ResTarget);

	target->val = value;
	target->location = -1;
	select->targetList = lappend(select->targetList, target);
}

/* The column of the target, by the name that the statement gives that. */
static Node *
column_of(const RangeVar *target, const char *column)
{
	ColumnRef  *ref = makeNode(ColumnRef);

	ref->location = -1;
	if (target->alias != NULL)
		ref->fields = list_make1(makeString(pstrdup(target->alias->aliasname)));
	else if (target->schemaname != NULL)
		ref->fields = list_make2(makeString(pstrdup(target->schemaname)),
								 makeString(pstrdup(target->relname)));
	else
		ref->fields = list_make1(makeString(pstrdup(target->relname)));
	ref->fields = lappend(ref->fields, makeString(pstrdup(column)));
	return (Node *) ref;
}

static bool
is_readable(Oid relid, AttrNumber attnum)
{
	return pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, attnum, GetUserId(),
							  ACL_SELECT) == ACLCHECK_OK;
}

static bool
is_assigned(List *targets, const char *column)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		if (strcmp(lfirst_node(ResTarget, cell)->name, column) == 0)
			return true;
	}
	return false;
}

/*
 * Columns of the row as it is: of an UPDATE the key and what it assigns, else
 * all; as far as the caller may read them.
 */
static void
select_before(Look *look, SelectStmt *select, const RangeVar *target,
			  List *targets)
{
	Relation	relation = relation_open(look->relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(relation);
	Bitmapset  *key =
		RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		char	   *name = NameStr(att->attname);

		if (att->attisdropped || !is_readable(look->relid, att->attnum) ||
			(targets != NIL && !is_assigned(targets, name) &&
			 !bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber,
							key)))
			continue;
		look->before = lappend(look->before, pstrdup(name));
		add_target(select, column_of(target, name));
	}
	relation_close(relation, AccessShareLock);
}

/* What an UPDATE assigns, where that is an expression of its own. */
static void
select_after(Look *look, SelectStmt *select, List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst_node(ResTarget, cell);

		if (target->indirection != NIL || IsA(target->val, SetToDefault) ||
			IsA(target->val, MultiAssignRef))
			continue;
		look->after = lappend(look->after, pstrdup(target->name));
		add_target(select, copyObject(target->val));
	}
}

static SelectStmt *
select_for_update(Look *look, const UpdateStmt *stmt)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->fromClause = lcons(copyObject(stmt->relation),
							   copyObject(stmt->fromClause));
	select->whereClause = copyObject(stmt->whereClause);
	select->withClause = copyObject(stmt->withClause);
	select_before(look, select, stmt->relation, stmt->targetList);
	select_after(look, select, stmt->targetList);
	return select;
}

static SelectStmt *
select_for_delete(Look *look, const DeleteStmt *stmt)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->fromClause = lcons(copyObject(stmt->relation),
							   copyObject(stmt->usingClause));
	select->whereClause = copyObject(stmt->whereClause);
	select->withClause = copyObject(stmt->withClause);
	select_before(look, select, stmt->relation, NIL);
	return select;
}

/* The names that an INSERT gives its columns, or that it leaves out. */
static void
name_inserted(Look *look, const InsertStmt *stmt)
{
	Relation	relation;
	ListCell   *cell;
	int			i;

	foreach(cell, stmt->cols)
		look->after = lappend(look->after,
							  pstrdup(lfirst_node(ResTarget, cell)->name));
	if (stmt->cols != NIL)
		return;
	relation = relation_open(look->relid, AccessShareLock);
	for (i = 0; i < RelationGetNumberOfAttributes(relation); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(relation), i);

		if (!att->attisdropped)
			look->after = lappend(look->after, pstrdup(NameStr(att->attname)));
	}
	relation_close(relation, AccessShareLock);
}

static SelectStmt *
select_for_insert(Look *look, const InsertStmt *stmt)
{
	SelectStmt *select = (SelectStmt *) copyObject(stmt->selectStmt);

	if (select == NULL || !IsA(select, SelectStmt) ||
		(stmt->withClause != NULL && select->withClause != NULL))
	{
		look->reason = "it is not an INSERT of one query";
		return NULL;
	}
	if (stmt->withClause != NULL)
		select->withClause = copyObject(stmt->withClause);
	name_inserted(look, stmt);
	return select;
}

/* What the statement would act on, or NULL and the reason. */
static SelectStmt *
select_for(Look *look)
{
	Node	   *stmt = look->raw->stmt;
	RangeVar   *target;
	char	   *schema;

	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
			target = ((InsertStmt *) stmt)->relation;
			break;
		case T_UpdateStmt:
			target = ((UpdateStmt *) stmt)->relation;
			break;
		case T_DeleteStmt:
			target = ((DeleteStmt *) stmt)->relation;
			break;
		default:
			look->reason = "this kind of statement is not shown";
			return NULL;
	}
	look->relid = RangeVarGetRelid(target, AccessShareLock, false);
	schema = get_namespace_name(get_rel_namespace(look->relid));
	look->table = quote_qualified_identifier(schema,
											 get_rel_name(look->relid));
	if (IsA(stmt, InsertStmt))
		return select_for_insert(look, (InsertStmt *) stmt);
	if (IsA(stmt, UpdateStmt))
		return select_for_update(look, (UpdateStmt *) stmt);
	return select_for_delete(look, (DeleteStmt *) stmt);
}

/* ---- may it be executed? ------------------------------------------------- */

/* Row locks, writes, and what is read from another server. */
static bool
reach_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_RELATION &&
			((RangeTblEntry *) node)->relkind == RELKIND_FOREIGN_TABLE;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		return query->commandType != CMD_SELECT || query->hasModifyingCTE ||
			query->rowMarks != NIL ||
			query_tree_walker(query, reach_walker, context,
							  QTW_EXAMINE_RTES_BEFORE);
	}
	return expression_tree_walker(node, reach_walker, context);
}

/* Partitions are behind their parent's back. */
static bool
tree_has_foreign_table(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		ListCell   *cell;

		if (rte->rtekind != RTE_RELATION || !rte->inh)
			return false;
		foreach(cell, find_all_inheritors(rte->relid, AccessShareLock, NULL))
		{
			if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
				return true;
		}
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, tree_has_foreign_table,
								 context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, tree_has_foreign_table, context);
}

static const char *
query_bar(Query *query)
{
	if (warden_preview_unsafe((Node *) query))
		return "it calls a function that is not built in";
	if (contain_volatile_functions((Node *) query))
		return "it calls a volatile function";
	if (reach_walker((Node *) query, NULL) ||
		tree_has_foreign_table((Node *) query, NULL))
		return "it writes, locks rows or reads a foreign table";
	return NULL;
}

/* ---- the sample ---------------------------------------------------------- */

static void
sample_startup(DestReceiver *self pg_attribute_unused(),
			   int operation pg_attribute_unused(),
			   TupleDesc desc pg_attribute_unused())
{
}

static void
sample_shutdown(DestReceiver *self pg_attribute_unused())
{
}

/* Columns from "first" on, as many as there are names. */
static void
put_columns(StringInfo json, const char *side, TupleTableSlot *slot,
			List *names, int first)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	ListCell   *cell;
	int			i = first;

	if (names == NIL)
		return;
	appendStringInfo(json, ", \"%s\": {", side);
	foreach(cell, names)
	{
		if (i >= desc->natts)
			break;
		if (i > first)
			appendStringInfoString(json, ", ");
		warden_sample_value(json, lfirst(cell),
							TupleDescAttr(desc, i)->atttypid,
							slot->tts_values[i], slot->tts_isnull[i]);
		i++;
	}
	appendStringInfoChar(json, '}');
}

static bool
sample_receive(TupleTableSlot *slot, DestReceiver *self)
{
	SampleReceiver *receiver = (SampleReceiver *) self;
	Look	   *look = receiver->look;

	slot_getallattrs(slot);
	appendStringInfo(&receiver->json, "%s{\"table\": ",
					 receiver->rows++ > 0 ? ", " : "");
	escape_json(&receiver->json, look->table);
	put_columns(&receiver->json, "before", slot, look->before, 0);
	put_columns(&receiver->json, "after", slot, look->after,
				list_length(look->before));
	appendStringInfoChar(&receiver->json, '}');
	return true;
}

static void
run_query(Look *look, Query *query, ParamListInfo params)
{
	const char *text = look->measured->statement->statement;
	PlannedStmt *plan = pg_plan_query(query, text, 0, params);
	SampleReceiver receiver = {0};
	QueryDesc  *desc;

	receiver.pub.receiveSlot = sample_receive;
	receiver.pub.rStartup = sample_startup;
	receiver.pub.rShutdown = sample_shutdown;
	receiver.pub.rDestroy = sample_shutdown;
	receiver.pub.mydest = DestNone;
	receiver.look = look;
	initStringInfo(&receiver.json);
	appendStringInfoChar(&receiver.json, '[');
	look->measured->rows = clamp_row_est(plan->planTree->plan_rows);

	PushActiveSnapshot(GetTransactionSnapshot());
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   (DestReceiver *) &receiver, params, NULL, 0);
	ExecutorStart(desc, 0);
	executor_run(desc, ForwardScanDirection, WARDEN_SAMPLE_ROWS);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	appendStringInfoChar(&receiver.json, ']');
	if (receiver.rows > 0)
		look->measured->sample = MemoryContextStrdup(look->context,
													 receiver.json.data);
}

static ParamListInfo
make_params(int n, const Oid *types, const Datum *values, const char *nulls)
{
	ParamListInfo params = makeParamList(n);
	int			i;

	for (i = 0; i < n; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = nulls[i] != ' ';
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = types[i];
	}
	return params;
}

static void
show_rows(Look *look)
{
	const WardenStatement *statement = look->measured->statement;
	SelectStmt *select = select_for(look);
	RawStmt    *raw = makeNode(RawStmt);
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	List	   *queries;
	int			n;

	if (select == NULL)
		return;
	raw->stmt = (Node *) select;
	n = warden_capture_replay(statement->parameters, &types, &values, &nulls);
	queries = pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
												 types, n, NULL);
	if (list_length(queries) != 1)
	{
		look->reason = "it is not one query";
		return;
	}
	look->reason = query_bar(linitial_node(Query, queries));
	if (look->reason == NULL)
		run_query(look, linitial_node(Query, queries),
				  n > 0 ? make_params(n, types, values, nulls) : NULL);
}

/* ---- one statement ------------------------------------------------------- */

/*
 * In a subtransaction that is rolled back, and everything that was set for it
 * with it.
 */
static void
enter(Look *look)
{
	Oid			user;
	int			security;

	(void) NewGUCNestLevel();
	XactReadOnly = true;
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
	warden_capture_restore(look->change->context);
	warden_apply_lock_timeout(WARDEN_PREVIEW_LOCK_TIMEOUT_MS);
	(void) set_config_option("client_min_messages", "error", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
look_at(Look *look)
{
	List	   *names;

	look->raw = warden_apply_same_objects(look->change,
										  look->measured->statement, &names);
	warden_preview_triggers(look->measured, look->context);
	show_rows(look);
}

static void
try_to_look(Look *look)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	warden_apply_set_running(true);
	PG_TRY();
	{
		enter(look);
		look_at(look);
		warden_apply_set_running(false);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		warden_apply_set_running(false);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		look->measured->sample = NULL;
		look->reason = psprintf("it ends with %s",
								unpack_sql_state(error->sqlerrcode));
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
warden_preview_masked(const WardenChange *change, WardenMeasured *measured,
					  MemoryContext context)
{
	Look		look = {.change = change, .measured = measured,
	.context = context};

	measured->method = "masked";
	try_to_look(&look);
	measured->detail = MemoryContextStrdup(context, look.reason == NULL ?
										   NOT_RUN :
										   psprintf(NOT_RUN "; %s",
													look.reason));
}
