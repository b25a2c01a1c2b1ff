/*-------------------------------------------------------------------------
 * review_table.c
 *	  Review of CREATE TABLE and ALTER TABLE: what they lock, rewrite or scan,
 *	  and the choice of types.
 *
 * The lock comes from core's AlterTableGetLockLevel(); this file adds what
 * that can not see.  A table that the same change makes is empty and nobody's
 * yet, so locks, scans and rewrites of it are not mentioned.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "policy.h"
#include "review_private.h"

/* ---- constraints -------------------------------------------- */

static void
review_foreign_key(WardenReviewContext *context, ReviewTable *table,
				   Constraint *constraint)
{
	ReviewTable other;

	warden_review_table(context, constraint->pktable, &other);
	if (!table->created && !constraint->skip_validation)
		warden_review_add_risk(context, "constraint.not_valid_missing",
							   warden_review_size_risk(table), -1,
							   psprintf("checks every row of %s (%s) while writes to it and to %s wait",
										table->name, table->size, other.name),
							   "Add it NOT VALID, then VALIDATE CONSTRAINT in a change of its own.");
	if (!table->created && OidIsValid(table->relid) &&
		constraint->fk_attrs != NIL &&
		!warden_review_indexed(table->relid, constraint->fk_attrs))
		warden_review_add(context, "constraint.fk_no_index", -1,
						  psprintf("no index of %s begins with the referencing columns",
								   table->name),
						  "Create one, or deletes from the referenced table scan this one.");
	if (constraint->fk_del_action == FKCONSTR_ACTION_CASCADE)
		warden_review_add(context, "constraint.on_delete_cascade", -1,
						  psprintf("rows of %s will be deleted with those of %s that they refer to",
								   table->name, other.name),
						  "ON DELETE RESTRICT makes whoever deletes say so.");
	warden_review_lock_other(context, &other, ShareRowExclusiveLock,
							 "the foreign key refers to it");
	if (!other.created)
		warden_review_exclusive(context, table);
}

/* A validated CHECK, a key or NOT NULL itself says already that it is not. */
static bool
not_null_is_proven(ReviewTable *table, const char *column)
{
	Relation	relation;
	AttrNumber	attnum = OidIsValid(table->relid) ?
	get_attnum(table->relid, column) : InvalidAttrNumber;
	Form_pg_attribute att;
	NullTest   *test;
	bool		proven;

	if (attnum <= 0)
		return false;
	relation = try_relation_open(table->relid, AccessShareLock);
	if (relation == NULL)
		return false;
	att = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
	test = makeNode(NullTest);
	test->arg = (Expr *) makeVar(1, attnum, att->atttypid, att->atttypmod,
								 att->attcollation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->argisrow = false;
	test->location = -1;
	proven = att->attnotnull ||
		PartConstraintImpliedByRelConstraint(relation, list_make1(test));
	relation_close(relation, AccessShareLock);
	return proven;
}

static void
review_set_not_null(WardenReviewContext *context, ReviewTable *table,
					const char *column)
{
	if (table->created || not_null_is_proven(table, column))
		return;
	warden_review_add_risk(context, "column.not_null_scan",
						   warden_review_size_risk(table), -1,
						   psprintf("scans %s (%s) for NULLs in \"%s\" under a lock against readers",
									table->name, table->size, column),
						   "Add CHECK (column IS NOT NULL) NOT VALID, validate it, then set NOT NULL.");
}

static void
review_constraint(WardenReviewContext *context, ReviewTable *table,
				  Constraint *constraint)
{
	WardenRisk	size = warden_review_size_risk(table);

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			if (!table->created && !constraint->skip_validation)
				warden_review_add_risk(context, "constraint.not_valid_missing",
									   size, -1,
									   psprintf("checks every row of %s (%s) under a lock against readers",
												table->name, table->size),
									   "Add it NOT VALID, then VALIDATE CONSTRAINT in a change of its own.");
			break;
		case CONSTR_FOREIGN:
			review_foreign_key(context, table, constraint);
			break;
		case CONSTR_PRIMARY:
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
			if (!table->created && constraint->indexname == NULL)
				warden_review_add_risk(context, "constraint.build", size, -1,
									   psprintf("builds an index on %s (%s) under a lock against readers",
												table->name, table->size),
									   "Build the index CONCURRENTLY first and add the constraint USING INDEX.");
			break;
		case CONSTR_NOTNULL:
			/* as one of the table it has keys, from 18 on */
			if (constraint->keys != NIL && !constraint->skip_validation)
				review_set_not_null(context, table,
									strVal(linitial(constraint->keys)));
			break;
		default:
			break;
	}
}

/* ---- columns ------------------------------------------------------------ */

static Constraint *
column_constraint(ColumnDef *column, ConstrType type)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == type)
			return constraint;
	}
	return NULL;
}

static void
add_rewrite(WardenReviewContext *context, const char *rule,
			ReviewTable *table, char *message, const char *advice)
{
	warden_review_add_risk(context, rule,
						   Max(warden_review_size_risk(table),
							   WARDEN_RISK_MODERATE), -1, message, advice);
}

static void
review_add_column(WardenReviewContext *context, ReviewTable *table,
				  ColumnDef *column)
{
	Constraint *value = column_constraint(column, CONSTR_DEFAULT);
	Constraint *generated = column_constraint(column, CONSTR_GENERATED);
	int32		typmod;
	Oid			type = warden_review_type_of(column->typeName, &typmod);
	ListCell   *cell;

	warden_review_type(context, column);
	foreach(cell, column->constraints)
		review_constraint(context, table, lfirst_node(Constraint, cell));
	if (table->created)
		return;
	if (generated != NULL && WARDEN_GENERATED_STORED(generated))
		add_rewrite(context, "column.generated_stored", table,
					psprintf("rewrites table %s (%s) to compute column \"%s\", locked against readers meanwhile",
							 table->name, table->size, column->colname),
					"Add a plain column, fill it in batches, and keep it by a trigger.");
	else if ((value != NULL && warden_review_volatile_call(value->raw_expr)) ||
			 warden_review_serial(column->typeName) ||
			 column_constraint(column, CONSTR_IDENTITY) != NULL)
		add_rewrite(context, "column.default_volatile", table,
					psprintf("rewrites table %s (%s) to give column \"%s\" a value of its own in each row, locked against readers meanwhile",
							 table->name, table->size, column->colname),
					"Add the column without a default, fill it in batches, then set the default.");
	else if (OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
			 DomainHasConstraints(type))
		add_rewrite(context, "table.rewrite", table,
					psprintf("rewrites table %s (%s): the type of column \"%s\" is a domain with constraints",
							 table->name, table->size, column->colname),
					"Use the base type with a CHECK constraint added NOT VALID.");
	if (column_constraint(column, CONSTR_NOTNULL) != NULL && value == NULL &&
		generated == NULL &&
		column_constraint(column, CONSTR_IDENTITY) == NULL &&
		!warden_review_serial(column->typeName))
		warden_review_add(context, "column.add_not_null", -1,
						  psprintf("column \"%s\" is NOT NULL without a default: fails unless %s is empty (%s)",
								   column->colname, table->name, table->size),
						  "Give it a default, or add it nullable and fill it first.");
}

/* Dropping, retyping or renaming a column that carries a label. */
static void
review_label(WardenReviewContext *context, ReviewTable *table,
			 const char *column)
{
	AttrNumber	attnum;
	const WardenColumn *label;

	if (!OidIsValid(table->relid) || column == NULL)
		return;
	attnum = get_attnum(table->relid, column);
	label = attnum > 0 ? warden_policy_column(table->relid, attnum) : NULL;
	if (label != NULL)
		warden_review_add(context, "label.column", -1,
						  psprintf("column \"%s\" of %s carries the label \"%s\"",
								   column, table->name, label->type),
						  "Check that what replaces it carries the same label.");
}

/* ---- ALTER TABLE -------------------------------------------------------- */

/* Is it a column whose values stand in the rows? */
static bool
is_stored(ReviewTable *table, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(table->relid, column);
	bool		stored = true;

	if (HeapTupleIsValid(tuple))
	{
		stored = !WARDEN_ATT_VIRTUAL((Form_pg_attribute) GETSTRUCT(tuple));
		ReleaseSysCache(tuple);
	}
	return stored;
}

static void
review_set_expression(WardenReviewContext *context, ReviewTable *table,
					  const char *column)
{
	review_label(context, table, column);
	if (!table->created && is_stored(table, column))
		add_rewrite(context, "column.generated_stored", table,
					psprintf("rewrites table %s (%s) to compute column \"%s\" anew, locked against readers meanwhile",
							 table->name, table->size, column),
					"Add a plain column, fill it in batches, and keep it by a trigger.");
}

/* Views and functions stop the drop, or the change of type, of a column. */
static void
review_column_dependents(WardenReviewContext *context, ReviewTable *table,
						 const char *column)
{
	AttrNumber	attnum = OidIsValid(table->relid) ?
	get_attnum(table->relid, column) : InvalidAttrNumber;
	char	   *dependents = attnum > 0 ?
	warden_review_dependents(RelationRelationId, table->relid, attnum) : NULL;

	if (dependents != NULL)
		warden_review_add(context, "drop.dependents", -1,
						  psprintf("column \"%s\" of %s is used by %s", column,
								   table->name, dependents),
						  "Change or drop them first, in the same change.");
}

static void
review_drop_column(WardenReviewContext *context, ReviewTable *table,
				   AlterTableCmd *cmd)
{
	if (table->created)
		return;
	warden_review_add_risk(context, "column.drop",
						   cmd->behavior == DROP_CASCADE ?
						   WARDEN_RISK_CRITICAL : WARDEN_RISK_HIGH, -1,
						   psprintf("drops column \"%s\" of %s (%s)", cmd->name,
									table->name, table->size),
						   "Running clients may still use it; stop using it first.");
	if (cmd->behavior == DROP_CASCADE)
		warden_review_add(context, "drop.cascade", -1,
						  pstrdup("drops whatever depends on the column as well"),
						  "Name what is to be dropped.");
	review_column_dependents(context, table, cmd->name);
}

static void
review_security_command(WardenReviewContext *context, ReviewTable *table,
						AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
			warden_review_add(context, "security.row_security", -1,
							  psprintf("switches row security of %s",
									   table->name),
							  "Have whoever owns the access rules look at it.");
			break;
		case AT_EnableTrig:
		case AT_EnableAlwaysTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
		case AT_EnableTrigAll:
		case AT_DisableTrigAll:
		case AT_EnableTrigUser:
		case AT_DisableTrigUser:
		case AT_EnableRule:
		case AT_EnableAlwaysRule:
		case AT_EnableReplicaRule:
		case AT_DisableRule:
			warden_review_add(context, "security.trigger_disabled", -1,
							  psprintf("switches triggers or rules of %s, foreign keys may be among them",
									   table->name),
							  "Say in the change what switches them back.");
			break;
		default:
			break;
	}
}

/* The bounds of a partition are computed when it comes. */
static void
review_bounds(WardenReviewContext *context, PartitionBoundSpec *bound)
{
	if (bound == NULL)
		return;
	warden_review_calls(context, (Node *) bound->listdatums);
	warden_review_calls(context, (Node *) bound->lowerdatums);
	warden_review_calls(context, (Node *) bound->upperdatums);
}

/* Who names a table of the change's own from now on has rows of another. */
static void
review_child(WardenReviewContext *context, RangeVar *parent, RangeVar *child)
{
	ReviewTable above;
	ReviewTable below;

	warden_review_table(context, parent, &above);
	warden_review_table(context, child, &below);
	if (above.created && OidIsValid(below.relid))
		warden_review_stands_for(context, parent, false, below.relid);
}

/* ATTACH and DETACH: the partition, and the default one. */
static void
review_partition_locks(WardenReviewContext *context, ReviewTable *table,
					   AlterTableCmd *cmd)
{
	PartitionCmd *partition = castNode(PartitionCmd, cmd->def);
	ReviewTable child;

	/* an index has no rows to attach */
	if (table->relkind == RELKIND_PARTITIONED_INDEX)
		return;
	warden_review_table(context, partition->name, &child);
	if (cmd->subtype == AT_AttachPartition || !partition->concurrent)
	{
		warden_review_lock_other(context, &child, AccessExclusiveLock,
								 "it is the partition");
		warden_review_lock_default(context, table);
	}
}

static void
review_structure_command(WardenReviewContext *context, ReviewTable *table,
						 AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_AttachPartition:
			review_partition_locks(context, table, cmd);
			review_bounds(context, ((PartitionCmd *) cmd->def)->bound);
			warden_review_add_risk(context, "partition.attach_scan",
								   warden_review_size_risk(table), -1,
								   psprintf("scans the new partition of %s, and the default one, unless a CHECK constraint proves the bounds",
											table->name),
								   "Add the matching CHECK constraint first.");
			break;
		case AT_DetachPartition:
			review_partition_locks(context, table, cmd);
			warden_review_add(context, "partition.detach", -1,
							  psprintf("removes rows from %s", table->name),
							  "DETACH PARTITION CONCURRENTLY does not lock out readers.");
			break;
		case AT_SetUnLogged:
		case AT_SetLogged:
		case AT_SetTableSpace:
		case AT_SetAccessMethod:
			add_rewrite(context, "table.rewrite", table,
						psprintf("rewrites table %s (%s), locked against readers meanwhile",
								 table->name, table->size),
						"Do it in a maintenance window.");
			break;
		case AT_DropConstraint:
			warden_review_add(context, "constraint.drop", -1,
							  psprintf("drops constraint \"%s\" of %s",
									   cmd->name, table->name),
							  "Check what relies on it, foreign keys and query plans included.");
			break;
		default:
			break;
	}
}

/* What becomes of the options by which a view keeps its readers apart. */
static void
review_view_options(WardenReviewContext *context, ReviewTable *table,
					List *options)
{
	ListCell   *cell;

	foreach(cell, table->relkind == RELKIND_VIEW ? options : NIL)
	{
		if (warden_review_view_option(lfirst_node(DefElem, cell)->defname))
			warden_review_add(context, "security.view_options", -1,
							  psprintf("sets or resets %s of view %s",
									   lfirst_node(DefElem, cell)->defname,
									   table->name),
							  "Have whoever owns the access rules look at whose rights the view reads with, and which rows it shows.");
	}
}

/* Code that the command runs for the rows there are, or for those to come. */
static void
review_command_calls(WardenReviewContext *context, ReviewTable *table,
					 AlterTableCmd *cmd)
{
	if (!table->created &&
		(cmd->subtype == AT_AddColumn || cmd->subtype == AT_AlterColumnType ||
		 cmd->subtype == AT_AddConstraint ||
		 cmd->subtype == AT_ColumnDefault || WARDEN_SETS_EXPRESSION(cmd)))
		warden_review_calls(context, cmd->def);
}

static void
review_command(WardenReviewContext *context, ReviewTable *table,
			   AlterTableCmd *cmd)
{
	review_command_calls(context, table, cmd);
	switch (cmd->subtype)
	{
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
			review_view_options(context, table, castNode(List, cmd->def));
			break;
		case AT_AddColumn:
			review_add_column(context, table, castNode(ColumnDef, cmd->def));
			break;
		case AT_AlterColumnType:
			review_label(context, table, cmd->name);
			warden_review_type_change(context, table, cmd);
			if (!table->created)
				review_column_dependents(context, table, cmd->name);
			break;
		case AT_DropColumn:
			review_label(context, table, cmd->name);
			review_drop_column(context, table, cmd);
			break;
		case AT_SetNotNull:
			review_set_not_null(context, table, cmd->name);
			break;
		case AT_DropNotNull:
			if (!table->created)
				warden_review_add(context, "column.drop_not_null", -1,
								  psprintf("lets column \"%s\" of %s be NULL",
										   cmd->name, table->name),
								  "Running clients may not expect NULL there.");
			break;
		case AT_AddConstraint:
			review_constraint(context, table,
							  castNode(Constraint, cmd->def));
			break;
		case AT_ChangeOwner:
			warden_review_owner(context, cmd->newowner);
			break;
		default:
			if (WARDEN_SETS_EXPRESSION(cmd))
				review_set_expression(context, table, cmd->name);
			review_security_command(context, table, cmd);
			review_structure_command(context, table, cmd);
			break;
	}
}

static bool
altered_before(WardenReviewContext *context, ReviewTable *table)
{
	MemoryContext old;
	ListCell   *cell;

	foreach(cell, context->altered)
	{
		if (strcmp(lfirst(cell), table->name) == 0)
			return true;
	}
	old = MemoryContextSwitchTo(context->memory);
	context->altered = lappend(context->altered, pstrdup(table->name));
	MemoryContextSwitchTo(old);
	return false;
}

bool
warden_review_alter_table(WardenReviewContext *context, Node *stmt)
{
	AlterTableStmt *alter = (AlterTableStmt *) stmt;
	ReviewTable table;
	ListCell   *cell;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	warden_review_table(context, alter->relation, &table);
	foreach(cell, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		review_command(context, &table, cmd);
		if (cmd->subtype == AT_AttachPartition)
			review_child(context, alter->relation,
						 ((PartitionCmd *) cmd->def)->name);
		else if (cmd->subtype == AT_AddInherit)
			review_child(context, castNode(RangeVar, cmd->def),
						 alter->relation);
	}
	warden_review_lock(context, &table, AlterTableGetLockLevel(alter->cmds));
	if (alter->objtype == OBJECT_TABLE && altered_before(context, &table) &&
		!table.created)
		warden_review_add(context, "table.several_alters", -1,
						  psprintf("an earlier statement of the change alters %s, too",
								   table.name),
						  "One ALTER TABLE with both takes the lock once, and rewrites or scans once.");
	return true;
}

/* ---- CREATE TABLE ------------------------------------------------------- */

static void
review_key_type(WardenReviewContext *context, ColumnDef *column)
{
	if (warden_review_small_integer(column->typeName))
		warden_review_add(context, "type.int_primary_key", column->location,
						  psprintf("primary key \"%s\" ends at 2147483647 at the latest",
								   column->colname),
						  "Use bigint.");
}

/* PRIMARY KEY (column), where it is the only one. */
static void
review_named_key(WardenReviewContext *context, CreateStmt *create,
				 Constraint *key)
{
	ListCell   *cell;

	foreach(cell, list_length(key->keys) == 1 ? create->tableElts : NIL)
	{
		ColumnDef  *column = lfirst(cell);

		if (IsA(column, ColumnDef) &&
			strcmp(column->colname, strVal(linitial(key->keys))) == 0)
			review_key_type(context, column);
	}
}

static void
review_primary_key(WardenReviewContext *context, CreateStmt *create)
{
	ListCell   *cell;
	bool		found = create->inhRelations != NIL ||
	create->partbound != NULL || create->ofTypename != NULL;

	foreach(cell, create->tableElts)
	{
		Node	   *element = lfirst(cell);

		if (IsA(element, TableLikeClause))
			found = true;
		else if (IsA(element, Constraint) &&
				 ((Constraint *) element)->contype == CONSTR_PRIMARY)
		{
			found = true;
			review_named_key(context, create, (Constraint *) element);
		}
		else if (IsA(element, ColumnDef) &&
				 column_constraint((ColumnDef *) element, CONSTR_PRIMARY))
		{
			found = true;
			review_key_type(context, (ColumnDef *) element);
		}
	}
	if (!found)
		warden_review_add(context, "table.no_primary_key", -1,
						  psprintf("table %s has no primary key",
								   create->relation->relname),
						  "Give it one: replication and corrections need it.");
}

static bool
needs_quotes(const char *name)
{
	return !quote_all_identifiers && quote_identifier(name)[0] == '"';
}

/* The first name that every client will have to put into double quotes. */
static void
review_quoted(WardenReviewContext *context, CreateStmt *create)
{
	const char *name = create->relation->relname;
	ListCell   *cell;

	foreach(cell, create->tableElts)
	{
		if (!needs_quotes(name) && IsA(lfirst(cell), ColumnDef))
			name = ((ColumnDef *) lfirst(cell))->colname;
	}
	if (needs_quotes(name))
		warden_review_add(context, "name.quoted", -1,
						  psprintf("the name %s has to be quoted wherever it is used",
								   quote_identifier(name)),
						  "Use lower case, digits and underscores, and no reserved word.");
}

bool
warden_review_create_table(WardenReviewContext *context, Node *stmt)
{
	CreateStmt *create = (CreateStmt *) stmt;
	ReviewTable table;
	ListCell   *cell;

	if (!IsA(stmt, CreateStmt))
		return false;
	memset(&table, 0, sizeof(table));
	table.name = create->relation->relname;
	table.created = true;
	table.size = "new";
	foreach(cell, create->tableElts)
	{
		Node	   *element = lfirst(cell);
		ListCell   *inner;

		if (IsA(element, Constraint))
			review_constraint(context, &table, (Constraint *) element);
		if (!IsA(element, ColumnDef))
			continue;
		warden_review_type(context, (ColumnDef *) element);
		foreach(inner, ((ColumnDef *) element)->constraints)
			review_constraint(context, &table,
							  lfirst_node(Constraint, inner));
	}
	review_primary_key(context, create);
	review_quoted(context, create);
	if (create->partbound != NULL && create->inhRelations != NIL)
	{
		ReviewTable parent;

		warden_review_table(context, linitial(create->inhRelations),
							&parent);
		/* the parent alone: its other partitions are left in peace */
		parent.partitions = 0;
		warden_review_lock(context, &parent, AccessExclusiveLock);
		warden_review_lock_default(context, &parent);
		review_bounds(context, create->partbound);
	}
	warden_review_created(context, create->relation, create->if_not_exists);
	return true;
}
