/*-------------------------------------------------------------------------
 * own_rows.c
 *	  Rows of the library's own tables, inserted below SQL.
 *
 * An INSERT builds and forgets a tree of executor nodes, compiles every CHECK
 * of the table and looks its foreign keys up; recording a change spends most of
 * its time so.  What a table asks of a row is kept here instead, until a
 * message says that the table, or a function or domain that it uses, has
 * changed.
 *
 * Invariants:
 * - A row gets the defaults and meets the constraints that an INSERT would have
 *	 given it and held it to; of foreign keys, those that somebody has added.
 * - What is kept is used only under a lock on the table, and remade when such a
 *	 message has come before it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "own_rows.h"

/* What a table asks of its rows; all in "memory". */
typedef struct OwnShape
{
	MemoryContext memory;
	Oid			relid;
	bool		stale;			/* something of it has changed since */
	AttrNumber *columns;		/* where the values go */
	ExprState **defaults;		/* by column of the table, NULL: none */
	ExprState **checks;			/* NULL: not enforced */
	int			nchecks;
	List	   *items;			/* PlanInvalItems: what these call */
	bool		triggers;		/* besides foreign keys of ours */
} OwnShape;

static WardenOwnTable *tables = NULL;	/* those with a shape */

/* ---- what a table asks --------------------------------------------------- */

/* What is in use now is remade by whoever inserts next. */
static void
forget_shapes(Datum arg pg_attribute_unused(), Oid relid)
{
	WardenOwnTable *table;

	for (table = tables; table != NULL; table = table->next)
	{
		if (!OidIsValid(relid) || relid == table->shape->relid)
			table->shape->stale = true;
	}
}

/* A function or a type was made, altered or dropped; 0: any of them. */
static void
forget_users(Datum arg pg_attribute_unused(), int cacheid, uint32 hashvalue)
{
	WardenOwnTable *table;
	ListCell   *cell;

	for (table = tables; table != NULL; table = table->next)
	{
		foreach(cell, table->shape->items)
		{
			const PlanInvalItem *item = lfirst_node(PlanInvalItem, cell);

			if (item->cacheId == cacheid &&
				(hashvalue == 0 || item->hashValue == hashvalue))
				table->shape->stale = true;
		}
	}
}

static void
find_columns(OwnShape *shape, const WardenOwnTable *table, TupleDesc desc)
{
	int			found = 0;
	int			i;

	shape->columns = palloc0(table->ncolumns * sizeof(AttrNumber));
	for (i = 0; i < desc->natts && found < table->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		/* values are put in as they are, without a cast */
		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), table->columns[found].name) == 0 &&
			att->atttypid == table->columns[found].type && att->atttypmod == -1)
			shape->columns[found++] = att->attnum;
	}
	if (found < table->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"warden.%s\" has no column \"%s\" of type %s in its place",
						table->name, table->columns[found].name,
						format_type_be(table->columns[found].type)),
				 errhint("ALTER EXTENSION pg_warden UPDATE, or reinstall it.")));
}

static bool
is_given(const OwnShape *shape, const WardenOwnTable *table, AttrNumber attnum)
{
	int			i;

	for (i = 0; i < table->ncolumns; i++)
	{
		if (shape->columns[i] == attnum)
			return true;
	}
	return false;
}

static ExprState *
compile_expression(OwnShape *shape, Node *expression)
{
	List	   *relations;
	List	   *items;
	Expr	   *planned = expression_planner_with_deps((Expr *) expression,
												 &relations, &items);

	shape->items = list_concat(shape->items, items);
	return ExecInitExpr(planned, NULL);
}

static void
compile_defaults(OwnShape *shape, const WardenOwnTable *table, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			i;

	shape->defaults = palloc0(desc->natts * sizeof(ExprState *));
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Node	   *value;

		/* what is generated needs the row, see put_row */
		if (att->attisdropped || att->attgenerated != '\0' ||
			is_given(shape, table, i + 1))
			continue;
		value = build_column_default(rel, i + 1);
		if (value != NULL)
			shape->defaults[i] = compile_expression(shape, value);
	}
}

static void
compile_checks(OwnShape *shape, Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	int			i;

	shape->nchecks = constr != NULL ? constr->num_check : 0;
	shape->checks = palloc0(shape->nchecks * sizeof(ExprState *));
	for (i = 0; i < shape->nchecks; i++)
	{
		Node	   *check = stringToNode(constr->check[i].ccbin);

		if (!WARDEN_CHECK_ENFORCED(&constr->check[i]))
			continue;
		check = expand_generated_columns_in_expr(check, rel, 1);
		shape->checks[i] = compile_expression(shape, check);
	}
}

/* Callers of warden_own_insert answer for foreign keys to tables of ours. */
static bool
has_triggers(Relation rel)
{
	int			i;

	for (i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) &&
			(trigger->tgfoid != F_RI_FKEY_CHECK_INS ||
			 get_rel_namespace(trigger->tgconstrrelid) !=
			 warden_catalog_schema()))
			return true;
	}
	return false;
}

/* Made apart, so that an error leaves nothing half done. */
static OwnShape *
make_shape(const WardenOwnTable *table, Relation rel)
{
	MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext,
												 "warden own rows",
												 ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(memory);
	OwnShape   *shape = palloc0(sizeof(OwnShape));
	uint64		messages = SharedInvalidMessageCounter;

	shape->memory = memory;
	shape->relid = RelationGetRelid(rel);
	find_columns(shape, table, RelationGetDescr(rel));
	compile_defaults(shape, table, rel);
	compile_checks(shape, rel);
	shape->triggers = has_triggers(rel);
	/* what came meanwhile may have been about what was compiled already */
	shape->stale = messages != SharedInvalidMessageCounter;
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(memory, CacheMemoryContext);
	return shape;
}

static const OwnShape *
shape_of(WardenOwnTable *table, Relation rel)
{
	static bool registered = false;
	OwnShape   *shape = table->shape;

	if (shape != NULL && !shape->stale &&
		shape->relid == RelationGetRelid(rel))
		return shape;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_shapes, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, forget_users, (Datum) 0);
		CacheRegisterSyscacheCallback(TYPEOID, forget_users, (Datum) 0);
		registered = true;
	}
	shape = make_shape(table, rel);
	/* a trigger of the row that is being put in may have led here */
	if (table->shape != NULL)
		MemoryContextSetParent(table->shape->memory, TopTransactionContext);
	else
	{
		table->next = tables;
		tables = table;
	}
	table->shape = shape;
	return shape;
}

/* ---- one row ------------------------------------------------------------- */

static void
fill_row(TupleTableSlot *slot, const WardenOwnTable *table,
		 const OwnShape *shape, const Datum *values, const bool *nulls,
		 ExprContext *econtext)
{
	int			natts = slot->tts_tupleDescriptor->natts;
	int			i;

	for (i = 0; i < natts; i++)
	{
		slot->tts_isnull[i] = true;
		if (shape->defaults[i] != NULL)
			slot->tts_values[i] =
				ExecEvalExprSwitchContext(shape->defaults[i], econtext,
										  &slot->tts_isnull[i]);
	}
	for (i = 0; i < table->ncolumns; i++)
	{
		slot->tts_values[shape->columns[i] - 1] = values[i];
		slot->tts_isnull[shape->columns[i] - 1] = nulls[i];
	}
	ExecStoreVirtualTuple(slot);
}

static void
check_row(TupleTableSlot *slot, Relation rel, const OwnShape *shape,
		  ExprContext *econtext)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			i;

	/* a trigger may have put another row into the slot */
	slot_getallattrs(slot);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attnotnull && slot->tts_isnull[i])
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("null value in column \"%s\" of \"warden.%s\"",
							NameStr(att->attname),
							RelationGetRelationName(rel)),
					 errhint("ALTER EXTENSION pg_warden UPDATE; columns that somebody has added need a default."),
					 errtablecol(rel, i + 1)));
	}
	econtext->ecxt_scantuple = slot;
	for (i = 0; i < shape->nchecks; i++)
	{
		if (shape->checks[i] != NULL &&
			!ExecCheck(shape->checks[i], econtext))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("new row of \"warden.%s\" violates check constraint \"%s\"",
							RelationGetRelationName(rel),
							desc->constr->check[i].ccname),
					 errhint("An administrator of the database has added it, or can drop it."),
					 errtableconstraint(rel, desc->constr->check[i].ccname)));
	}
}

/* Returns the indexes whose keys are to be looked at again later. */
static List *
put_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
		const OwnShape *shape)
{
	Relation	rel = target->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(target, estate, slot, CMD_INSERT);
	check_row(slot, rel, shape, GetPerTupleExprContext(estate));
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	if (target->ri_NumIndices == 0)
		return NIL;
	return ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL,
								 false);
}

static void
put_row_with_triggers(EState *estate, ResultRelInfo *target,
					  TupleTableSlot *slot, const OwnShape *shape)
{
	Relation	rel = target->ri_RelationDesc;
	TransitionCaptureState *transition;
	List	   *recheck;

	estate->es_opened_result_relations = list_make1(target);
	AfterTriggerBeginQuery();
	transition = MakeTransitionCaptureState(rel->trigdesc,
											RelationGetRelid(rel), CMD_INSERT);
	ExecBSInsertTriggers(estate, target);
	if (target->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(estate, target, slot))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger has suppressed a row of \"warden.%s\"",
						RelationGetRelationName(rel)),
				 errhint("An administrator of the database has made it, or can drop it.")));
	recheck = put_row(estate, target, slot, shape);
	ExecARInsertTriggers(estate, target, slot, recheck, transition);
	ExecASInsertTriggers(estate, target, transition);
	AfterTriggerEndQuery(estate);
	estate->es_opened_result_relations = NIL;
}

static Relation
open_table(const WardenOwnTable *table)
{
	Oid			relid = warden_catalog_relation(table->name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"warden.%s\" does not exist", table->name),
				 errhint("Reinstall the extension.")));
	return table_open(relid, RowExclusiveLock);
}

void
warden_own_insert(WardenOwnTable *table, const Datum *values,
				  const bool *nulls)
{
	Relation	rel = open_table(table);
	const OwnShape *shape = shape_of(table, rel);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot = table_slot_create(rel, &estate->es_tupleTable);

	InitResultRelInfo(target, rel, 1, NULL, 0);
	ExecOpenIndices(target, false);
	fill_row(slot, table, shape, values, nulls,
			 GetPerTupleExprContext(estate));
	if (shape->triggers)
		put_row_with_triggers(estate, target, slot, shape);
	else
		(void) put_row(estate, target, slot, shape);
	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
