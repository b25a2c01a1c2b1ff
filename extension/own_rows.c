/*-------------------------------------------------------------------------
 * own_rows.c
 *	  Rows of the library's own tables, inserted below SQL.
 *
 * An INSERT builds and forgets a tree of executor nodes, compiles every CHECK
 * of the table and looks its foreign keys up; recording a change spends most of
 * its time so.  What a table asks of a row is kept here instead, until the
 * relation cache says that the table has changed.
 *
 * Invariants:
 * - A row gets the defaults and meets the constraints that an INSERT would have
 *	 given it and held it to, foreign keys apart.
 * - What is kept is used only under a lock on the table, and remade when a
 *	 message about the table has come before it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "catalog.h"
#include "own_rows.h"

/* What a table asks of its rows; all in "memory". */
typedef struct OwnShape
{
	MemoryContext memory;
	Oid			relid;
	bool		stale;			/* the table has changed since */
	AttrNumber *columns;		/* where the values go */
	ExprState **defaults;		/* by column of the table, NULL: none */
	ExprState **checks;
	int			nchecks;
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

static void
find_columns(OwnShape *shape, const WardenOwnTable *table, TupleDesc desc)
{
	int			found = 0;
	int			i;

	shape->columns = palloc0(table->ncolumns * sizeof(AttrNumber));
	for (i = 0; i < desc->natts && found < table->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), table->columns[found]) == 0)
			shape->columns[found++] = att->attnum;
	}
	if (found < table->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"warden.%s\" has no column \"%s\" in its place",
						table->name, table->columns[found]),
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

static void
compile(OwnShape *shape, const WardenOwnTable *table, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	int			i;

	find_columns(shape, table, desc);
	shape->defaults = palloc0(desc->natts * sizeof(ExprState *));
	for (i = 0; i < desc->natts; i++)
	{
		Node	   *value;

		if (TupleDescAttr(desc, i)->attisdropped ||
			is_given(shape, table, i + 1))
			continue;
		value = build_column_default(rel, i + 1);
		if (value != NULL)
			shape->defaults[i] =
				ExecInitExpr(expression_planner((Expr *) value), NULL);
	}
	shape->nchecks = desc->constr != NULL ? desc->constr->num_check : 0;
	shape->checks = palloc0(shape->nchecks * sizeof(ExprState *));
	for (i = 0; i < shape->nchecks; i++)
	{
		Expr	   *check = stringToNode(desc->constr->check[i].ccbin);

		shape->checks[i] = ExecInitExpr(expression_planner(check), NULL);
	}
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

	shape->memory = memory;
	shape->relid = RelationGetRelid(rel);
	compile(shape, table, rel);
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
		registered = true;
	}
	shape = make_shape(table, rel);
	if (table->shape != NULL)
		MemoryContextDelete(table->shape->memory);
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
		if (!ExecCheck(shape->checks[i], econtext))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("new row of \"warden.%s\" violates check constraint \"%s\"",
							RelationGetRelationName(rel),
							desc->constr->check[i].ccname),
					 errhint("An administrator of the database has added it, or can drop it."),
					 errtableconstraint(rel, desc->constr->check[i].ccname)));
	}
}

/* One that is not the server's own for a foreign key. */
static bool
has_triggers(Relation rel)
{
	int			i;

	for (i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_INSERT(trigger->tgtype) &&
			trigger->tgfoid != F_RI_FKEY_CHECK_INS)
			return true;
	}
	return false;
}

static void
put_row(EState *estate, ResultRelInfo *target, TupleTableSlot *slot,
		const OwnShape *shape)
{
	check_row(slot, target->ri_RelationDesc, shape,
			  GetPerTupleExprContext(estate));
	table_tuple_insert(target->ri_RelationDesc, slot,
					   GetCurrentCommandId(true), 0, NULL);
	if (target->ri_NumIndices > 0)
		(void) ExecInsertIndexTuples(target, slot, estate, false, false, NULL,
									 NIL, false);
}

static void
put_row_with_triggers(EState *estate, ResultRelInfo *target,
					  TupleTableSlot *slot, const OwnShape *shape)
{
	estate->es_opened_result_relations = list_make1(target);
	AfterTriggerBeginQuery();
	ExecBSInsertTriggers(estate, target);
	if (target->ri_TrigDesc->trig_insert_before_row &&
		!ExecBRInsertTriggers(estate, target, slot))
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("a trigger has suppressed a row of \"warden.%s\"",
						RelationGetRelationName(target->ri_RelationDesc)),
				 errhint("An administrator of the database has made it, or can drop it.")));
	put_row(estate, target, slot, shape);
	ExecARInsertTriggers(estate, target, slot, NIL, NULL);
	ExecASInsertTriggers(estate, target, NULL);
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
	if (has_triggers(rel))
		put_row_with_triggers(estate, target, slot, shape);
	else
		put_row(estate, target, slot, shape);
	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}
