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
 * here, beforehand.  Partitions that rows are routed to are opened as rows
 * come; there the rows are collected in transition tables of the parent: what
 * is inserted or moved, and by ON CONFLICT updated.
 *
 * An UPDATE fires no trigger of the parent for what it inserts elsewhere, nor
 * does a MERGE that can only do that; ours is fired here, at the end of the
 * query, by itself: those that others have on the parent are not theirs.
 *
 * Invariants:
 * - A row is seen once: where the parent collects what is inserted, the
 *	 triggers of its partitions do not see that.
 * - What can not be seen is said: whoever keeps rows must not take what it
 *	 got for all.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
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
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

static bool watching = false;

void
warden_watch_begin(void)
{
	watching = true;
	warden_footprint_forget();
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
	if (new != NULL)
		warden_footprint_written(relation, new);
	warden_sample_row(relation, old, new);
	warden_images_row(relation, operation, old, new);
}

/* The next row of a transition table; the caller frees it if told to. */
static HeapTuple
next_row(Tuplestorestate *rows, TupleTableSlot *slot, bool *should_free)
{
	*should_free = false;
	if (rows == NULL || !tuplestore_gettupleslot(rows, true, false, slot))
		return NULL;
	return ExecFetchSlotHeapTuple(slot, false, should_free);
}

/*
 * Rows that have been routed from a partitioned table.  Of an update both
 * tables have as many, in the same order.
 */
static void
pass_routed(TriggerData *trigger)
{
	Relation	relation = trigger->tg_relation;
	bool		updated = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	Tuplestorestate *old_rows = updated ? trigger->tg_oldtable : NULL;
	TupleTableSlot *old_slot;
	TupleTableSlot *new_slot;
	HeapTuple	old;
	HeapTuple	new;
	bool		free_old;
	bool		free_new;

	if (trigger->tg_newtable == NULL || (updated && old_rows == NULL))
		return;
	old_slot = MakeSingleTupleTableSlot(RelationGetDescr(relation),
										&TTSOpsMinimalTuple);
	new_slot = MakeSingleTupleTableSlot(RelationGetDescr(relation),
										&TTSOpsMinimalTuple);
	tuplestore_rescan(trigger->tg_newtable);
	if (updated)
		tuplestore_rescan(old_rows);
	for (;;)
	{
		new = next_row(trigger->tg_newtable, new_slot, &free_new);
		old = next_row(old_rows, old_slot, &free_old);
		if (updated && (old == NULL) != (new == NULL))
			elog(ERROR, "rows before and after an update do not match");
		if (new == NULL)
			break;
		pass_row(relation, updated ? 'u' : 'i', old, new);
		if (free_new)
			heap_freetuple(new);
		if (free_old)
			heap_freetuple(old);
	}
	ExecDropSingleTupleTableSlot(old_slot);
	ExecDropSingleTupleTableSlot(new_slot);
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

/* By its name one that the executor does not fire is known again. */
static char by_itself[] = "warden moved";

static void
fill_trigger(Trigger *trigger, Oid function, int16 type)
{
	memset(trigger, 0, sizeof(*trigger));
	trigger->tgoid = function;
	trigger->tgname = type == 0 ? by_itself : "warden image";
	trigger->tgfoid = function;
	trigger->tgtype = type;
	trigger->tgenabled = TRIGGER_FIRES_ALWAYS;
	trigger->tgisinternal = true;
	if (!TRIGGER_FOR_ROW(type))
	{
		trigger->tgnewtable = "warden rows";
		trigger->tgoldtable = "warden old rows";
	}
}

/* What the executor asks before it looks at the triggers themselves. */
static void
note_type(TriggerDesc *desc, int16 type)
{
	bool		row = TRIGGER_FOR_ROW(type);

	if (TRIGGER_FOR_INSERT(type))
	{
		desc->trig_insert_after_row |= row;
		desc->trig_insert_after_statement |= !row;
		desc->trig_insert_new_table |= !row;
	}
	if (TRIGGER_FOR_UPDATE(type))
	{
		desc->trig_update_after_row |= row;
		desc->trig_update_after_statement |= !row;
		desc->trig_update_old_table |= !row;
		desc->trig_update_new_table |= !row;
	}
	if (TRIGGER_FOR_DELETE(type))
		desc->trig_delete_after_row |= row;
}

#define EVERY_ROW	(TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | \
					 TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE)

/*
 * Gives a result relation a trigger list with ours at its head, so that a row
 * is seen before what other triggers do about it.  The type is that of
 * pg_trigger, AFTER; 0 for one of a statement that the executor never fires.
 */
static void
add_trigger(ResultRelInfo *info, Oid function, int16 type)
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
	fill_trigger(&desc->triggers[0], function, type);
	desc->numtriggers = n + 1;
	note_type(desc, type);
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
	add_trigger(info, function, EVERY_ROW);
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

	if (state->operation == CMD_INSERT || state->operation == CMD_DELETE ||
		root->ri_RelationDesc->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	return state->operation == CMD_MERGE ||
		((ModifyTable *) state->ps.plan)->partColsUpdated ||
		(info->ri_TrigDesc != NULL &&
		 info->ri_TrigDesc->trig_update_before_row);
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

/*
 * A table that rows of are changed, whole or one partition of it; "collected":
 * the root sees what is inserted.
 */
static void
watch_table(ModifyTableState *state, ResultRelInfo *info, bool outermost,
			bool collected, Oid function)
{
	EState	   *estate = state->ps.state;
	Relation	relation = info->ri_RelationDesc;

	if (relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		warden_images_give_up("it writes to a foreign table");
	if (relation->rd_rel->relkind != RELKIND_RELATION)
		return;
	if (!collected && may_move(state, info))
		warden_images_give_up("it may move rows between partitions");
	if (is_followed(state, info))
		warden_images_give_up("foreign keys follow a key that it changes");
	if (outermost)
		add_cascades(estate, info->ri_TrigDesc, function);
	add_trigger(info, function,
				collected ? EVERY_ROW & ~TRIGGER_TYPE_INSERT : EVERY_ROW);
	/* triggers of a partition fire without a view to its parent */
	if (outermost && info->ri_RootResultRelInfo != NULL &&
		!is_target(estate, RelationGetRelid(relation)))
		(void) add_trigger_target(estate, RelationGetRelid(relation),
								  function);
}

/* A partitioned table that INSERT routes rows from. */
static void
collect_inserted(ModifyTableState *state, Oid function)
{
	ResultRelInfo *root = state->rootResultRelInfo;
	Oid			relid = RelationGetRelid(root->ri_RelationDesc);
	bool		updates = ((ModifyTable *) state->ps.plan)->onConflictAction ==
	ONCONFLICT_UPDATE;

	add_trigger(root, function, updates ?
				TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE :
				TRIGGER_TYPE_INSERT);
	state->mt_transition_capture =
		MakeTransitionCaptureState(root->ri_TrigDesc, relid, CMD_INSERT);
	if (updates)
		state->mt_oc_transition_capture =
			MakeTransitionCaptureState(root->ri_TrigDesc, relid, CMD_UPDATE);
}

/*
 * A partitioned table that UPDATE or MERGE may move rows from, or insert into.
 * Not beside other writes of the query, whose triggers of the same kind on the
 * same table would count as ours; not where others collect what is updated,
 * since rows that are moved are among those then.
 */
static bool
collect_moved(ModifyTableState *state, bool alone, Oid function)
{
	ResultRelInfo *root = state->rootResultRelInfo;
	Oid			relid = RelationGetRelid(root->ri_RelationDesc);
	TriggerDesc *desc = root->ri_TrigDesc;
	bool		fires;

	if (!alone || (desc != NULL && (desc->trig_update_old_table ||
									desc->trig_update_new_table ||
									desc->trig_delete_old_table)))
		return false;
	fires = state->operation == CMD_MERGE &&
		(state->mt_merge_subcommands & MERGE_INSERT) != 0;
	add_trigger(root, function, fires ? TRIGGER_TYPE_INSERT : 0);
	root->ri_TrigDesc->trig_insert_new_table = true;
	state->mt_transition_capture =
		MakeTransitionCaptureState(root->ri_TrigDesc, relid, CMD_INSERT);
	if (state->operation == CMD_UPDATE)
		warden_sample_moving(relid);
	return true;
}

/*
 * A table with children that is written whole.  It is among the tables whose
 * rows are changed, but its triggers are looked for where it stands for all of
 * them; and MERGE inserts from there.
 */
static bool
has_children(ModifyTableState *state)
{
	return state->rootResultRelInfo != state->resultRelInfo &&
		state->rootResultRelInfo->ri_RelationDesc->rd_rel->relkind ==
		RELKIND_RELATION;
}

static void
watch_write(ModifyTableState *state, bool outermost, bool alone, Oid function)
{
	Relation	root = state->rootResultRelInfo->ri_RelationDesc;
	bool		collected = false;
	int			i;

	/* the library's own tables are none of the change's business */
	if (RelationGetNamespace(root) == warden_catalog_schema())
		return;
	if (root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		if (state->operation == CMD_INSERT)
			collect_inserted(state, function);
		else if (state->operation != CMD_DELETE)
			collected = collect_moved(state, outermost && alone, function);
		if (state->operation == CMD_MERGE && !collected)
			warden_images_give_up("it merges into a partitioned table");
	}
	else if (has_children(state))
		add_trigger(state->rootResultRelInfo, function, EVERY_ROW);
	for (i = 0; i < state->mt_nrels; i++)
		watch_table(state, &state->resultRelInfo[i], outermost, collected,
					function);
}

static void
watch_query(QueryDesc *queryDesc, int eflags)
{
	EState	   *estate = queryDesc->estate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	Oid			function = warden_catalog_function("capture_image");
	bool		outermost = (eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0;
	bool		alone = estate->es_auxmodifytables == NIL;
	ListCell   *cell;

	if (!OidIsValid(function))
		elog(ERROR, "function warden.capture_image() is missing");
	if (queryDesc->planstate != NULL &&
		IsA(queryDesc->planstate, ModifyTableState))
		watch_write((ModifyTableState *) queryDesc->planstate, outermost,
					alone, function);
	foreach(cell, estate->es_auxmodifytables)
		watch_write(lfirst(cell), outermost, false, function);
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

/* The trigger for what has been moved, alone on a table that is as the root. */
static void
fire_moved(ModifyTableState *state)
{
	ResultRelInfo *root = state->rootResultRelInfo;
	TriggerDesc *desc = root->ri_TrigDesc;
	ResultRelInfo *alone;

	if (desc == NULL || desc->numtriggers == 0 ||
		desc->triggers[0].tgname != by_itself)
		return;
	alone = makeNode(ResultRelInfo);
	InitResultRelInfo(alone, root->ri_RelationDesc, 0, NULL, 0);
	alone->ri_TrigDesc = NULL;
	add_trigger(alone, desc->triggers[0].tgoid, TRIGGER_TYPE_INSERT);
	ExecASInsertTriggers(state->ps.state, alone, state->mt_transition_capture);
}

static void
watch_ExecutorFinish(QueryDesc *queryDesc)
{
	if (watching && queryDesc->planstate != NULL &&
		IsA(queryDesc->planstate, ModifyTableState))
	{
		MemoryContext old =
			MemoryContextSwitchTo(queryDesc->estate->es_query_cxt);

		fire_moved((ModifyTableState *) queryDesc->planstate);
		MemoryContextSwitchTo(old);
	}
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

void
warden_watch_init(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = watch_ExecutorStart;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = watch_ExecutorFinish;
}
