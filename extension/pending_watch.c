/*-------------------------------------------------------------------------
 * pending_watch.c
 *	  Sees every row that an apply or a preview changes.
 *
 * While a change runs, every table that a statement writes to has one more
 * row trigger in the executor's copy of its trigger list: nothing in the
 * catalogs, no lock, and it sees what trigger functions write as well.
 *
 * Two kinds of rows need more.  The writes of a foreign key's action are
 * queries of its own whose triggers fire with those of the query that set it
 * off, in lists that the executor makes for the purpose; so these are made
 * here, beforehand.  Partitions that INSERT routes rows to are opened as rows
 * come; there the rows are collected in a transition table of the parent.
 *
 * Invariants:
 * - What can not be seen is said: whoever keeps rows must not take what it
 *	 got for all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "catalog.h"
#include "pending.h"
#include "warden.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;

static bool watching = false;

void
warden_watch_begin(void)
{
	watching = true;
}

void
warden_watch_end(void)
{
	watching = false;
}

/* ---- the trigger -------------------------------------------------------- */

static void
pass_row(Relation relation, char operation, HeapTuple old, HeapTuple new)
{
	warden_footprint_row(relation, old);
	warden_sample_row(relation, old, new);
	warden_images_row(relation, operation, old, new);
}

/* Rows that INSERT into a partitioned table has routed. */
static void
pass_routed(TriggerData *trigger)
{
	TupleTableSlot *slot;

	if (trigger->tg_newtable == NULL)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
	tuplestore_rescan(trigger->tg_newtable);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
	{
		bool		should_free;
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);

		pass_row(trigger->tg_relation, 'i', NULL, tuple);
		if (should_free)
			heap_freetuple(tuple);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* The trigger that the executor believes every table to have. */
PG_FUNCTION_INFO_V1(warden_sql_capture_image);
Datum
warden_sql_capture_image(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	if (!watching)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		pass_routed(trigger);
	else if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		pass_row(trigger->tg_relation, 'i', NULL, trigger->tg_trigtuple);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		pass_row(trigger->tg_relation, 'd', trigger->tg_trigtuple, NULL);
	else
		pass_row(trigger->tg_relation, 'u', trigger->tg_trigtuple,
				 trigger->tg_newtuple);
	return PointerGetDatum(NULL);
}

static void
fill_trigger(Trigger *trigger, Oid function, bool routed)
{
	memset(trigger, 0, sizeof(*trigger));
	trigger->tgoid = function;
	trigger->tgname = "warden image";
	trigger->tgfoid = function;
	trigger->tgtype = routed ? TRIGGER_TYPE_STATEMENT | TRIGGER_TYPE_INSERT :
		TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
		TRIGGER_TYPE_DELETE;
	trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
	trigger->tgisinternal = true;
	if (routed)
		trigger->tgnewtable = "warden rows";
}

/*
 * Gives a result relation a trigger list with ours at its head, so that a row
 * is seen before what other triggers do about it.
 */
static void
add_trigger(ResultRelInfo *info, Oid function, bool routed)
{
	TriggerDesc *desc = palloc0(sizeof(TriggerDesc));
	int			n = 0;

	if (info->ri_TrigDesc != NULL)
	{
		*desc = *info->ri_TrigDesc;
		n = desc->numtriggers;
	}
	desc->triggers = palloc((n + 1) * sizeof(Trigger));
	if (n > 0)
		memcpy(desc->triggers + 1, info->ri_TrigDesc->triggers,
			   n * sizeof(Trigger));
	fill_trigger(&desc->triggers[0], function, routed);
	desc->numtriggers = n + 1;
	if (routed)
	{
		desc->trig_insert_after_statement = true;
		desc->trig_insert_new_table = true;
	}
	else
	{
		desc->trig_insert_after_row = true;
		desc->trig_update_after_row = true;
		desc->trig_delete_after_row = true;
	}
	info->ri_TrigDesc = desc;
	info->ri_TrigFunctions = palloc0((n + 1) * sizeof(FmgrInfo));
	info->ri_TrigWhenExprs = palloc0((n + 1) * sizeof(ExprState *));
	if (info->ri_TrigInstrument != NULL)
		info->ri_TrigInstrument = NULL;
}

/* ---- tables whose triggers fire with this query's ------------------------ */

/* An entry that the executor finds when it fires triggers of the table. */
static ResultRelInfo *
add_trigger_target(EState *estate, Oid relid, Oid function)
{
	ResultRelInfo *info = makeNode(ResultRelInfo);

	InitResultRelInfo(info, table_open(relid, AccessShareLock), 0, NULL,
					  estate->es_instrument);
	add_trigger(info, function, false);
	estate->es_trig_target_relations =
		lappend(estate->es_trig_target_relations, info);
	return info;
}

static bool
is_target(EState *estate, Oid relid)
{
	ListCell   *cell;

	foreach(cell, estate->es_opened_result_relations)
	{
		ResultRelInfo *info = lfirst(cell);

		if (RelationGetRelid(info->ri_RelationDesc) == relid &&
			info->ri_RootResultRelInfo == NULL)
			return true;
	}
	foreach(cell, estate->es_trig_target_relations)
	{
		ResultRelInfo *info = lfirst(cell);

		if (RelationGetRelid(info->ri_RelationDesc) == relid)
			return true;
	}
	return false;
}

static bool
is_action(Oid function)
{
	return function == F_RI_FKEY_CASCADE_DEL ||
		function == F_RI_FKEY_SETNULL_DEL ||
		function == F_RI_FKEY_SETDEFAULT_DEL ||
		function == F_RI_FKEY_CASCADE_UPD ||
		function == F_RI_FKEY_SETNULL_UPD ||
		function == F_RI_FKEY_SETDEFAULT_UPD;
}

static void add_cascades(EState *estate, TriggerDesc *desc, Oid function);

/* A table that the action of a foreign key writes to, and so on from there. */
static void
add_cascades_of(EState *estate, Oid relid, Oid function)
{
	if (get_rel_relkind(relid) == RELKIND_RELATION &&
		!is_target(estate, relid))
		add_cascades(estate,
					 add_trigger_target(estate, relid, function)->ri_TrigDesc,
					 function);
}

static void
add_cascades(EState *estate, TriggerDesc *desc, Oid function)
{
	ListCell   *cell;
	int			i;

	for (i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		Trigger    *trigger = &desc->triggers[i];

		if (!is_action(trigger->tgfoid))
			continue;
		/* of a partitioned table, its partitions */
		foreach(cell, find_all_inheritors(trigger->tgconstrrelid,
										  AccessShareLock, NULL))
			add_cascades_of(estate, lfirst_oid(cell), function);
	}
}

/* ---- statements --------------------------------------------------------- */

/* A row may go to another partition, which is not open yet. */
static bool
may_move(ModifyTableState *state, ResultRelInfo *info)
{
	ResultRelInfo *root = state->rootResultRelInfo;

	if (state->operation != CMD_UPDATE ||
		root->ri_RelationDesc->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	return (info->ri_TrigDesc != NULL &&
			info->ri_TrigDesc->trig_update_before_row) ||
		has_partition_attrs(root->ri_RelationDesc,
							ExecGetUpdatedCols(root, state->ps.state), NULL);
}

/*
 * Rows of other tables follow the key that is changed; they would follow it
 * back as well, and the inverse not find them as they were left.
 */
static bool
is_followed(ModifyTableState *state, ResultRelInfo *info)
{
	bool		followed = false;
	int			i;

	for (i = 0; info->ri_TrigDesc != NULL &&
		 i < info->ri_TrigDesc->numtriggers; i++)
	{
		Oid			trigger = info->ri_TrigDesc->triggers[i].tgfoid;

		followed = followed || trigger == F_RI_FKEY_CASCADE_UPD ||
			trigger == F_RI_FKEY_SETNULL_UPD ||
			trigger == F_RI_FKEY_SETDEFAULT_UPD;
	}
	return followed &&
		bms_overlap(ExecGetUpdatedCols(info, state->ps.state),
					RelationGetIndexAttrBitmap(info->ri_RelationDesc,
											   INDEX_ATTR_BITMAP_KEY));
}

/* A table that rows of are changed, whole or one partition of it. */
static void
watch_table(ModifyTableState *state, ResultRelInfo *info, bool outermost,
			Oid function)
{
	EState	   *estate = state->ps.state;
	Relation	relation = info->ri_RelationDesc;

	if (relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		warden_images_give_up("it writes to a foreign table");
	if (relation->rd_rel->relkind != RELKIND_RELATION)
		return;
	if (may_move(state, info))
		warden_images_give_up("it may move rows between partitions");
	if (is_followed(state, info))
		warden_images_give_up("foreign keys follow a key that it changes");
	if (outermost)
		add_cascades(estate, info->ri_TrigDesc, function);
	add_trigger(info, function, false);
	/* triggers of a partition fire without a view to its parent */
	if (outermost && info->ri_RootResultRelInfo != NULL &&
		!is_target(estate, RelationGetRelid(relation)))
		(void) add_trigger_target(estate, RelationGetRelid(relation),
								  function);
}

/* A partitioned table that rows are routed from. */
static void
watch_root(ModifyTableState *state, Oid function)
{
	ResultRelInfo *root = state->rootResultRelInfo;

	if (state->operation == CMD_MERGE)
		warden_images_give_up("it merges into a partitioned table");
	if (state->operation != CMD_INSERT)
		return;
	if (((ModifyTable *) state->ps.plan)->onConflictAction ==
		ONCONFLICT_UPDATE)
		warden_images_give_up("it updates on conflict in a partitioned table");
	add_trigger(root, function, true);
	state->mt_transition_capture =
		MakeTransitionCaptureState(root->ri_TrigDesc,
								   RelationGetRelid(root->ri_RelationDesc),
								   CMD_INSERT);
}

static void
watch_write(ModifyTableState *state, bool outermost, Oid function)
{
	Relation	root = state->rootResultRelInfo->ri_RelationDesc;
	int			i;

	/* the library's own tables are none of the change's business */
	if (RelationGetNamespace(root) == warden_catalog_schema())
		return;
	if (root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		watch_root(state, function);
	for (i = 0; i < state->mt_nrels; i++)
		watch_table(state, &state->resultRelInfo[i], outermost, function);
}

static void
watch_query(QueryDesc *queryDesc, int eflags)
{
	EState	   *estate = queryDesc->estate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	Oid			function = warden_catalog_function("capture_image");
	bool		outermost = (eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0;
	ListCell   *cell;

	if (!OidIsValid(function))
		elog(ERROR, "function warden.capture_image() is missing");
	if (queryDesc->planstate != NULL &&
		IsA(queryDesc->planstate, ModifyTableState))
		watch_write((ModifyTableState *) queryDesc->planstate, outermost,
					function);
	foreach(cell, estate->es_auxmodifytables)
		watch_write(lfirst(cell), outermost, function);
	MemoryContextSwitchTo(old);
}

static void
watch_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (watching && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		queryDesc->estate->es_opened_result_relations != NIL)
		watch_query(queryDesc, eflags);
}

void
warden_watch_init(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = watch_ExecutorStart;
}
