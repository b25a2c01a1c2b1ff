/*-------------------------------------------------------------------------
 * pending_trigger.c
 *	  Which triggers a statement of a change can set off, by the catalogs.
 *
 * Whether one fires may depend on the rows (WHEN, no row at all), so this
 * names those that could: rather one too many.  Nothing of the statement runs
 * and no row is read.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending.h"
#include "pending_preview_private.h"
#include "statement.h"

/* What happens to a relation; "columns" are numbered as pull_varattnos does. */
typedef struct Event
{
	Oid			relid;
	int16		type;			/* TRIGGER_TYPE_INSERT, ... */
	Bitmapset  *columns;		/* that an UPDATE assigns, NULL: any */
	bool		children;		/* those of the tree as well */
} Event;

typedef struct Search
{
	List	   *names;			/* of char *, what was found */
	List	   *seen;			/* of Event *, not followed twice */
	MemoryContext context;		/* of the names */
} Search;

static void follow(Search *search, const Event *event);

/* ---- one trigger --------------------------------------------------------- */

static void
add_name(Search *search, const char *name)
{
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, search->names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return;
	}
	old = MemoryContextSwitchTo(search->context);
	search->names = lappend(search->names, pstrdup(name));
	MemoryContextSwitchTo(old);
}

static char *
relation_name(Relation relation)
{
	Oid			relid = RelationGetRelid(relation);
	char	   *schema = get_namespace_name(RelationGetNamespace(relation));

	return quote_qualified_identifier(RelationIsVisible(relid) ? NULL : schema,
									  RelationGetRelationName(relation));
}

/* Of a constraint's key on either side, as pull_varattnos counts them. */
static Bitmapset *
key_columns(HeapTuple tuple, AttrNumber key)
{
	Bitmapset  *columns = NULL;
	bool		isnull;
	Datum		datum = SysCacheGetAttr(CONSTROID, tuple, key, &isnull);
	ArrayType  *array;
	int			i;

	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(datum);
	for (i = 0; i < ARR_DIMS(array)[0]; i++)
		columns = bms_add_member(columns,
								 ((int16 *) ARR_DATA_PTR(array))[i] -
								 FirstLowInvalidHeapAttributeNumber);
	return columns;
}

/* An UPDATE that leaves the key alone sets no trigger of a constraint off. */
static bool
touches_key(const Event *event, Oid constraint, Oid relid)
{
	HeapTuple	tuple;
	Form_pg_constraint form;
	bool		touches = false;

	if (event->columns == NULL)
		return true;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return true;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	if (form->conrelid == relid)
		touches = bms_overlap(event->columns,
							  key_columns(tuple, Anum_pg_constraint_conkey));
	if (form->confrelid == relid)
		touches = touches ||
			bms_overlap(event->columns,
						key_columns(tuple, Anum_pg_constraint_confkey));
	ReleaseSysCache(tuple);
	return touches;
}

static bool
assigns_column(const Event *event, const Trigger *trigger)
{
	int			i;

	if (trigger->tgnattr == 0 || event->columns == NULL)
		return true;
	for (i = 0; i < trigger->tgnattr; i++)
	{
		if (bms_is_member(trigger->tgattr[i] -
						  FirstLowInvalidHeapAttributeNumber, event->columns))
			return true;
	}
	return false;
}

static bool
is_set_off(const Event *event, const Trigger *trigger, Oid relid)
{
	if ((trigger->tgtype & event->type) == 0 ||
		trigger->tgenabled == TRIGGER_DISABLED ||
		trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA)
		return false;

	/* Of a child rows are touched; what the parent gave it is named there. */
	if (relid != event->relid &&
		(trigger->tgisclone || !TRIGGER_FOR_ROW(trigger->tgtype)))
		return false;
	if (event->type != TRIGGER_TYPE_UPDATE)
		return true;
	if (trigger->tgisinternal)
		return !OidIsValid(trigger->tgconstraint) ||
			touches_key(event, trigger->tgconstraint, relid);
	return assigns_column(event, trigger);
}

/* A foreign key that acts on the rows that refer to these. */
static void
follow_cascade(Search *search, const Trigger *trigger)
{
	Event		event = {trigger->tgconstrrelid, 0, NULL, true};

	switch (trigger->tgfoid)
	{
		case F_RI_FKEY_CASCADE_DEL:
			event.type = TRIGGER_TYPE_DELETE;
			break;
		case F_RI_FKEY_CASCADE_UPD:
		case F_RI_FKEY_SETNULL_DEL:
		case F_RI_FKEY_SETNULL_UPD:
		case F_RI_FKEY_SETDEFAULT_DEL:
		case F_RI_FKEY_SETDEFAULT_UPD:
			event.type = TRIGGER_TYPE_UPDATE;
			break;
		default:
			return;
	}
	follow(search, &event);
}

/* ---- one relation -------------------------------------------------------- */

/* An UPDATE computes the generated columns anew. */
static void
add_generated(Relation relation, Event *event)
{
	TupleDesc	desc = RelationGetDescr(relation);
	int			i;

	for (i = 0; event->columns != NULL && i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attgenerated != '\0')
			event->columns = bms_add_member(event->columns, i + 1 -
											FirstLowInvalidHeapAttributeNumber);
	}
}

static void
look_at_relation(Search *search, const Event *event, Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	Event		own = *event;
	int			i;

	if (relation == NULL)
		return;
	own.columns = bms_copy(event->columns);
	add_generated(relation, &own);
	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if (!is_set_off(&own, trigger, relid))
			continue;
		if (trigger->tgisinternal && OidIsValid(trigger->tgconstraint))
		{
			char	   *name = get_constraint_name(trigger->tgconstraint);

			add_name(search, psprintf("constraint %s on %s",
									  quote_identifier(name),
									  relation_name(relation)));
		}
		else
			add_name(search, psprintf("%s on %s",
									  quote_identifier(trigger->tgname),
									  relation_name(relation)));
		follow_cascade(search, trigger);
	}
	relation_close(relation, AccessShareLock);
}

/* Are any of these columns of its parent's among its partition key? */
static bool
assigns_key(const Event *event, Oid relid)
{
	Relation	relation;
	Bitmapset  *columns = NULL;
	int			column = -1;
	bool		assigns;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	while ((column = bms_next_member(event->columns, column)) >= 0)
	{
		char	   *name = get_attname(event->relid, column +
									   FirstLowInvalidHeapAttributeNumber,
									   true);

		if (name != NULL)
			columns = bms_add_member(columns, get_attnum(relid, name) -
									 FirstLowInvalidHeapAttributeNumber);
	}
	relation = relation_open(relid, AccessShareLock);
	assigns = has_partition_attrs(relation, columns, NULL);
	relation_close(relation, AccessShareLock);
	return assigns;
}

/*
 * A row that leaves its partition, at any depth, is deleted there and inserted
 * elsewhere.
 */
static bool
moves_rows(const Event *event, List *tree)
{
	ListCell   *cell;

	if (event->type != TRIGGER_TYPE_UPDATE ||
		get_rel_relkind(event->relid) != RELKIND_PARTITIONED_TABLE)
		return false;
	if (event->columns == NULL)
		return true;
	foreach(cell, tree)
	{
		if (assigns_key(event, lfirst_oid(cell)))
			return true;
	}
	return false;
}

static void
follow(Search *search, const Event *event)
{
	Event	   *seen;
	List	   *tree;
	ListCell   *cell;

	check_stack_depth();
	foreach(cell, search->seen)
	{
		seen = lfirst(cell);
		if (seen->relid == event->relid && seen->type == event->type &&
			seen->children == event->children &&
			bms_equal(seen->columns, event->columns))
			return;
	}
	seen = palloc(sizeof(Event));
	*seen = *event;
	search->seen = lappend(search->seen, seen);

	/* an INSERT goes to partitions, but not to other children */
	if (event->children &&
		(event->type != TRIGGER_TYPE_INSERT ||
		 get_rel_relkind(event->relid) == RELKIND_PARTITIONED_TABLE))
		tree = find_all_inheritors(event->relid, AccessShareLock, NULL);
	else
		tree = list_make1_oid(event->relid);
	foreach(cell, tree)
		look_at_relation(search, event, lfirst_oid(cell));
	if (moves_rows(event, tree))
	{
		Event		moved = {event->relid, TRIGGER_TYPE_DELETE, NULL, true};

		follow(search, &moved);
		moved.type = TRIGGER_TYPE_INSERT;
		follow(search, &moved);
	}
}

/* ---- statements ---------------------------------------------------------- */

/* Columns that a target list assigns; never NULL, which means any. */
static Bitmapset *
assigned_columns(List *targets)
{
	Bitmapset  *columns = bms_make_singleton(0);
	ListCell   *cell;

	foreach(cell, targets)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk)
			columns = bms_add_member(columns, entry->resno -
									 FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

static void
follow_command(Search *search, const RangeTblEntry *target, CmdType command,
			   List *targets)
{
	Event		event = {target->relid, 0, NULL, target->inh};

	switch (command)
	{
		case CMD_INSERT:
			/* the entry of an INSERT does not say */
			event.type = TRIGGER_TYPE_INSERT;
			event.children = true;
			break;
		case CMD_UPDATE:
			event.type = TRIGGER_TYPE_UPDATE;
			event.columns = assigned_columns(targets);
			break;
		case CMD_DELETE:
			event.type = TRIGGER_TYPE_DELETE;
			break;
		default:
			return;
	}
	follow(search, &event);
}

static void
follow_write(Search *search, Query *query)
{
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	ListCell   *cell;

	follow_command(search, target, query->commandType, query->targetList);
	if (query->onConflict != NULL &&
		query->onConflict->action == ONCONFLICT_UPDATE)
	{
		RangeTblEntry *all = copyObject(target);

		all->inh = true;
		follow_command(search, all, CMD_UPDATE,
					   query->onConflict->onConflictSet);
	}
	foreach(cell, query->mergeActionList)
	{
		MergeAction *action = lfirst_node(MergeAction, cell);

		follow_command(search, target, action->commandType,
					   action->targetList);
	}
}

/* Queries that write, in WITH as well. */
static bool
write_walker(Node *node, Search *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		if (((Query *) node)->resultRelation > 0)
			follow_write(search, (Query *) node);
		return query_tree_walker((Query *) node, write_walker, search, 0);
	}
	return expression_tree_walker(node, write_walker, search);
}

static void
follow_dml(Search *search, RawStmt *raw, const WardenStatement *statement)
{
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	int			n = warden_capture_replay(statement->parameters, &types,
										  &values, &nulls);
	ListCell   *cell;

	foreach(cell, pg_analyze_and_rewrite_fixedparams(raw, statement->statement,
													 types, n, NULL))
		(void) write_walker(lfirst(cell), search);
}

/* With CASCADE the tables that refer to these, and so on. */
static void
follow_truncate(Search *search, TruncateStmt *stmt)
{
	List	   *relids = NIL;
	ListCell   *cell;

	foreach(cell, stmt->relations)
	{
		RangeVar   *name = lfirst_node(RangeVar, cell);
		Oid			relid = RangeVarGetRelid(name, AccessShareLock, false);

		if (name->inh)
			relids = list_concat_unique_oid(relids,
											find_all_inheritors(relid,
																AccessShareLock,
																NULL));
		else
			relids = list_append_unique_oid(relids, relid);
	}
	while (stmt->behavior == DROP_CASCADE)
	{
		int			before = list_length(relids);

		relids = list_concat_unique_oid(relids,
										heap_truncate_find_FKs(relids));
		if (list_length(relids) == before)
			break;
	}
	foreach(cell, relids)
	{
		Event		event = {lfirst_oid(cell), TRIGGER_TYPE_TRUNCATE, NULL,
		false};

		follow(search, &event);
	}
}

/* Event triggers that look out for this command. */
static void
follow_ddl(Search *search, const char *command)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(command)};
	uint64		i;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args("SELECT pg_catalog.quote_ident(evtname)"
							  " FROM pg_catalog.pg_event_trigger"
							  " WHERE evtenabled OPERATOR(pg_catalog.=) ANY ('{O,A}')"
							  "  AND evtevent OPERATOR(pg_catalog.<>) 'login'"
							  "  AND (evttags IS NULL"
							  "   OR $1 OPERATOR(pg_catalog.=) ANY (evttags))"
							  " ORDER BY evtname", 1, types, values, NULL,
							  true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the event triggers");
	for (i = 0; i < SPI_processed; i++)
		add_name(search, psprintf("event trigger %s",
								  SPI_getvalue(SPI_tuptable->vals[i],
											   SPI_tuptable->tupdesc, 1)));
	SPI_finish();
}

void
warden_preview_triggers(WardenMeasured *measured, MemoryContext context)
{
	const WardenStatement *statement = measured->statement;
	RawStmt    *raw = warden_statement_parse(statement->statement);
	Search		search = {NIL, NIL, context};

	if (raw == NULL)
		return;
	switch (nodeTag(raw->stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			follow_dml(&search, raw, statement);
			break;
		case T_SelectStmt:
		case T_DoStmt:
		case T_CallStmt:
			return;				/* whatever their code does */
		case T_TruncateStmt:
			follow_truncate(&search, (TruncateStmt *) raw->stmt);
			break;
		default:
			follow_ddl(&search, statement->command);
			break;
	}
	measured->triggers = search.names;
	measured->triggers_known = true;
}
