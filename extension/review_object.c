/*-------------------------------------------------------------------------
 * review_object.c
 *	  Review of everything that is neither DML nor the definition of a table:
 *	  indexes, drops, renames, views, code, maintenance.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "policy.h"
#include "review_private.h"
#include "statement.h"

#define MAX_DEPENDENTS	5		/* named in a message */

static bool
option_is_on(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return false;
}

bool
warden_review_barred(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent;
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd;
		case T_ReindexStmt:
			return option_is_on(((ReindexStmt *) stmt)->params,
								"concurrently") ||
				((ReindexStmt *) stmt)->relation == NULL;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL;
		case T_AlterTableStmt:
			{
				ListCell   *cell;

				foreach(cell, ((AlterTableStmt *) stmt)->cmds)
				{
					AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

					if (cmd->subtype == AT_DetachPartition &&
						((PartitionCmd *) cmd->def)->concurrent)
						return true;
				}
				return false;
			}
		default:
			return false;
	}
}

/* ---- dependents --------------------------------------------------------- */

/* A view's rule stands for the view. */
static Oid
view_of_rule(Oid rule)
{
	Relation	rewrite = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			view = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rewrite, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		view = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rewrite, AccessShareLock);
	return view;
}

/* Views and functions that depend on an object, "a, b, c" or NULL. */
static char *
dependents_of(Oid classid, Oid objid)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *names = NIL;
	StringInfoData text;
	ListCell   *cell;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)) &&
		   list_length(names) <= MAX_DEPENDENTS)
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		char	   *name = NULL;

		if (form->deptype != DEPENDENCY_NORMAL)
			continue;
		if (form->classid == RewriteRelationId)
		{
			Oid			view = view_of_rule(form->objid);

			if (OidIsValid(view) && view != objid)
				name = get_rel_name(view);
		}
		else if (form->classid == ProcedureRelationId)
			name = get_func_name(form->objid);
		if (name != NULL)
			names = list_append_unique(names, makeString(name));
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (names == NIL)
		return NULL;
	initStringInfo(&text);
	foreach(cell, names)
		appendStringInfo(&text, "%s%s",
						 foreach_current_index(cell) > 0 ? ", " : "",
						 foreach_current_index(cell) < MAX_DEPENDENTS ?
						 strVal(lfirst(cell)) : "...");
	return text.data;
}

static void
review_dependents(WardenReviewContext *context, Oid classid, Oid objid,
				  const char *name)
{
	char	   *dependents = dependents_of(classid, objid);

	if (dependents != NULL)
		warden_review_add(context, "drop.dependents", -1,
						  psprintf("%s is used by %s", name, dependents),
						  "Change or drop them first, in the same change.");
}

/* ---- DROP --------------------------------------------------------------- */

static void
review_drop_table(WardenReviewContext *context, RangeVar *rv)
{
	ReviewTable table;

	warden_review_table(context, rv, &table);
	if (table.created || !OidIsValid(table.relid))
		return;
	warden_review_add_risk(context, "table.drop",
						   table.rows >= 100000 ? WARDEN_RISK_CRITICAL :
						   WARDEN_RISK_HIGH, -1,
						   psprintf("drops %s (%s)", table.name, table.size),
						   "Rename it first and drop it when nobody has missed it.");
	review_dependents(context, RelationRelationId, table.relid, table.name);
	warden_review_exclusive(context, &table);
}

static void
review_drop_index(WardenReviewContext *context, RangeVar *rv,
				  bool concurrent)
{
	ReviewTable index;

	warden_review_table(context, rv, &index);
	warden_review_add(context, "index.drop", -1,
					  psprintf("drops index %s", index.name),
					  "Check in pg_stat_user_indexes that it is not used.");
	if (!concurrent && OidIsValid(index.relid))
		warden_review_add(context, "index.drop_not_concurrent", -1,
						  psprintf("locks the table of index %s against readers",
								   index.name),
						  "Use DROP INDEX CONCURRENTLY, in a change of its own.");
}

static void
review_drop(WardenReviewContext *context, DropStmt *drop)
{
	ListCell   *cell;

	if (drop->behavior == DROP_CASCADE)
		warden_review_add(context, "drop.cascade", -1,
						  pstrdup("drops whatever depends on it as well"),
						  "Name what is to be dropped.");
	foreach(cell, drop->objects)
	{
		Node	   *object = lfirst(cell);

		switch (drop->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_FOREIGN_TABLE:
			case OBJECT_MATVIEW:
				review_drop_table(context,
								  makeRangeVarFromNameList((List *) object));
				break;
			case OBJECT_INDEX:
				review_drop_index(context,
								  makeRangeVarFromNameList((List *) object),
								  drop->concurrent);
				break;
			case OBJECT_SCHEMA:
				if (!OidIsValid(get_namespace_oid(strVal(object), true)))
					break;
				warden_review_add(context, "schema.drop", -1,
								  psprintf("drops schema \"%s\"",
										   strVal(object)),
								  "Drop its objects one by one.");
				break;
			case OBJECT_VIEW:
			case OBJECT_SEQUENCE:
				{
					RangeVar   *rangevar;
					ReviewTable table;

					rangevar = makeRangeVarFromNameList((List *) object);
					warden_review_table(context, rangevar, &table);
					warden_review_add(context, "object.drop", -1,
									  psprintf("drops %s", table.name),
									  "Running clients may still use it.");
					if (OidIsValid(table.relid))
						review_dependents(context, RelationRelationId,
										  table.relid, table.name);
					break;
				}
			case OBJECT_POLICY:
				warden_review_add(context, "security.row_security", -1,
								  pstrdup("drops a row security policy"),
								  "Have whoever owns the access rules look at it.");
				break;
			default:
				warden_review_add(context, "object.drop", -1,
								  pstrdup("drops an object that others may use"),
								  "Check what uses it.");
				break;
		}
	}
}

/* ---- indexes ------------------------------------------------------------ */

/* An index with the same plain columns in the same order. */
static char *
duplicate_index(Oid relid, IndexStmt *stmt)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	char	   *duplicate = NULL;
	ListCell   *cell;

	if (relation == NULL)
		return NULL;
	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		int			n = IndexRelationGetNumberOfKeyAttributes(index);
		ListCell   *column;
		bool		same = list_length(stmt->indexParams) <= n &&
		stmt->whereClause == NULL &&
		RelationGetIndexPredicate(index) == NIL &&
		strcmp(stmt->accessMethod, "btree") == 0 &&
		(!stmt->unique || (index->rd_index->indisunique &&
						   n == list_length(stmt->indexParams)));

		foreach(column, stmt->indexParams)
		{
			IndexElem  *elem = lfirst_node(IndexElem, column);
			int			i = foreach_current_index(column);

			if (elem->name == NULL || !same ||
				index->rd_index->indkey.values[i] !=
				get_attnum(relid, elem->name))
				same = false;
		}
		if (same)
			duplicate = pstrdup(RelationGetRelationName(index));
		index_close(index, AccessShareLock);
	}
	relation_close(relation, AccessShareLock);
	return duplicate;
}

static void
review_index(WardenReviewContext *context, IndexStmt *stmt)
{
	ReviewTable table;
	char	   *duplicate;

	warden_review_table(context, stmt->relation, &table);
	if (!table.created && !stmt->concurrent)
		warden_review_add_risk(context, "index.not_concurrent",
							   warden_review_size_risk(&table), -1,
							   psprintf("locks %s (%s) against writers while the index is built",
										table.name, table.size),
							   "Use CREATE INDEX CONCURRENTLY, in a change of its own.");
	if (!OidIsValid(table.relid))
		return;
	duplicate = duplicate_index(table.relid, stmt);
	if (duplicate != NULL)
		warden_review_add(context, "index.duplicate", -1,
						  psprintf("index \"%s\" of %s covers the same columns",
								   duplicate, table.name),
						  "Leave the new one out.");
}

/* ---- views and copies --------------------------------------------------- */

static bool
star_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef) &&
		IsA(llast(((ColumnRef *) node)->fields), A_Star))
		return true;
	return raw_expression_tree_walker(node, star_walker, context);
}

/* A relation with labelled columns that the statement reads, or NULL. */
static char *
labelled_relation(Node *stmt)
{
	List	   *names = NIL;
	ListCell   *cell;

	if (!warden_statement_names(stmt, &names))
		return NULL;
	warden_statement_lookup(names);
	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);
		const WardenRelation *labels;

		if (name->use != WARDEN_USE_READ ||
			name->address.classId != RelationRelationId ||
			!OidIsValid(name->address.objectId))
			continue;
		labels = warden_policy_relation(name->address.objectId);
		if (labels != NULL && labels->ncolumns > 0)
			return get_rel_name(name->address.objectId);
	}
	return NULL;
}

static void
review_view(WardenReviewContext *context, ViewStmt *stmt)
{
	char	   *source = labelled_relation((Node *) stmt);

	if (star_walker(stmt->query, NULL))
		warden_review_add(context, "view.select_star", -1,
						  pstrdup("the view selects *, which is fixed when it is created"),
						  "Name the columns.");
	if (source != NULL)
		warden_review_add(context, "flow.view_of_labelled", -1,
						  psprintf("the view reads \"%s\", which has labelled columns",
								   source),
						  "Ungoverned roles that may read the view see them clear: check its grants.");
	if (stmt->replace)
		warden_review_add(context, "object.alter", -1,
						  pstrdup("may replace a view that is in use"),
						  "Compare it with the definition it replaces.");
	warden_review_created(context, stmt->view->relname);
}

static void
review_table_as(WardenReviewContext *context, CreateTableAsStmt *stmt)
{
	char	   *source = labelled_relation((Node *) stmt);

	if (source != NULL)
		warden_review_add(context, "flow.copies_labelled", -1,
						  psprintf("copies rows of \"%s\", which has labelled columns, into %s",
								   source, stmt->into->rel->relname),
						  "Label the new columns in the same way, or leave them out.");
	warden_review_created(context, stmt->into->rel->relname);
}

/* ---- code --------------------------------------------------------------- */

static void
review_function(WardenReviewContext *context, List *options, bool replace)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "security") == 0 && defGetBoolean(option))
			warden_review_add(context, "code.security_definer", -1,
							  pstrdup("the function will run with its owner's rights"),
							  "Leave SECURITY DEFINER out.");
	}
	warden_review_add(context, "code.function", -1,
					  replace ? pstrdup("plants code, maybe over a function in use") :
					  pstrdup("plants code that others will run"),
					  "Read its body.");
}

/* ---- maintenance -------------------------------------------------------- */

static void
review_vacuum(WardenReviewContext *context, VacuumStmt *stmt)
{
	ListCell   *cell;
	ReviewTable table;

	if (!option_is_on(stmt->options, "full"))
		return;
	if (stmt->rels == NIL)
		warden_review_add_risk(context, "maintenance.rewrite",
							   WARDEN_RISK_HIGH, -1,
							   pstrdup("rewrites every table, each locked against readers meanwhile"),
							   "Plain VACUUM does without locks.");
	foreach(cell, stmt->rels)
	{
		if (lfirst_node(VacuumRelation, cell)->relation == NULL)
			continue;
		warden_review_table(context,
							lfirst_node(VacuumRelation, cell)->relation,
							&table);
		warden_review_add_risk(context, "maintenance.rewrite",
							   warden_review_size_risk(&table), -1,
							   psprintf("rewrites %s (%s), locked against readers meanwhile",
										table.name, table.size),
							   "Plain VACUUM does without locks.");
	}
}

static void
review_cluster(WardenReviewContext *context, ClusterStmt *stmt)
{
	ReviewTable table;

	if (stmt->relation == NULL)
	{
		warden_review_add_risk(context, "maintenance.rewrite",
							   WARDEN_RISK_HIGH, -1,
							   pstrdup("rewrites every clustered table"),
							   "Name one table.");
		return;
	}
	warden_review_table(context, stmt->relation, &table);
	warden_review_add_risk(context, "maintenance.rewrite",
						   warden_review_size_risk(&table), -1,
						   psprintf("rewrites %s (%s), locked against readers meanwhile",
									table.name, table.size),
						   "Do it in a maintenance window.");
}

static void
review_reindex(WardenReviewContext *context, ReindexStmt *stmt)
{
	ReviewTable table;

	if (option_is_on(stmt->params, "concurrently") || stmt->relation == NULL)
		return;
	warden_review_table(context, stmt->relation, &table);
	warden_review_add_risk(context, "reindex.not_concurrent",
						   warden_review_size_risk(&table), -1,
						   psprintf("locks %s (%s) against writers meanwhile",
									table.name, table.size),
						   "Use REINDEX CONCURRENTLY, in a change of its own.");
}

static void
review_truncate(WardenReviewContext *context, TruncateStmt *stmt)
{
	ListCell   *cell;
	ReviewTable table;

	if (stmt->behavior == DROP_CASCADE)
		warden_review_add(context, "drop.cascade", -1,
						  pstrdup("empties every table that refers to it as well"),
						  "Name the tables that are to be emptied.");
	foreach(cell, stmt->relations)
	{
		warden_review_table(context, lfirst_node(RangeVar, cell), &table);
		if (table.created)
			continue;
		warden_review_add_risk(context, "table.truncate",
							   table.rows >= 100000 ? WARDEN_RISK_CRITICAL :
							   WARDEN_RISK_HIGH, -1,
							   psprintf("empties %s (%s) without firing row triggers",
										table.name, table.size),
							   "DELETE with a WHERE clause can be reviewed and reverted.");
		warden_review_exclusive(context, &table);
	}
}

static void
review_refresh(WardenReviewContext *context, RefreshMatViewStmt *stmt)
{
	ReviewTable table;

	warden_review_table(context, stmt->relation, &table);
	if (!stmt->concurrent && !table.created)
		warden_review_add_risk(context, "refresh.not_concurrent",
							   warden_review_size_risk(&table), -1,
							   psprintf("locks %s (%s) against readers meanwhile",
										table.name, table.size),
							   "Use REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index.");
}

/* ---- renames ------------------------------------------------------------ */

static void
review_rename(WardenReviewContext *context, RenameStmt *stmt)
{
	ReviewTable table;
	const char *rule = "object.rename";

	if (stmt->relation == NULL)
	{
		warden_review_add(context, rule, -1,
						  psprintf("renames an object to \"%s\"",
								   stmt->newname),
						  "Running clients use the old name.");
		return;
	}
	warden_review_table(context, stmt->relation, &table);
	if (table.created)
		return;
	if (stmt->renameType == OBJECT_COLUMN)
		rule = "column.rename";
	else if (stmt->renameType == OBJECT_TABLE ||
			 stmt->renameType == OBJECT_VIEW)
		rule = "table.rename";
	else if (stmt->renameType == OBJECT_INDEX ||
			 stmt->renameType == OBJECT_TABCONSTRAINT ||
			 stmt->renameType == OBJECT_TRIGGER)
	{
		warden_review_add(context, "object.alter", -1,
						  psprintf("renames a part of %s to \"%s\"",
								   table.name, stmt->newname),
						  "Only who names it will notice.");
		return;
	}
	warden_review_add(context, rule, -1,
					  psprintf("renames \"%s\" of %s to \"%s\"",
							   stmt->subname != NULL ? stmt->subname :
							   stmt->relation->relname,
							   table.name, stmt->newname),
					  "Running clients use the old name: add the new one beside it first.");
	warden_review_exclusive(context, &table);
}

/* ---- the rest ----------------------------------------------------------- */

static void
add_code(WardenReviewContext *context, const char *rule, const char *what)
{
	warden_review_add(context, rule, -1,
					  psprintf("plants %s that acts on other people's statements",
							   what),
					  "Read it as you would read a function.");
}

static void
review_enum(WardenReviewContext *context, AlterEnumStmt *stmt)
{
	MemoryContext old;

	if (stmt->oldVal != NULL)
	{
		warden_review_add(context, "object.rename", -1,
						  psprintf("renames an enum value to \"%s\"",
								   stmt->newVal),
						  "Running clients use the old name.");
		return;
	}
	old = MemoryContextSwitchTo(context->memory);
	context->enum_values = lappend(context->enum_values,
								   pstrdup(stmt->newVal));
	MemoryContextSwitchTo(old);
}

static bool
review_code(WardenReviewContext *context, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateFunctionStmt:
			review_function(context, ((CreateFunctionStmt *) stmt)->options,
							((CreateFunctionStmt *) stmt)->replace);
			return true;
		case T_AlterFunctionStmt:
			review_function(context, ((AlterFunctionStmt *) stmt)->actions,
							true);
			return true;
		case T_CreateTrigStmt:
			add_code(context, "code.trigger", "a trigger");
			return true;
		case T_RuleStmt:
			add_code(context, "code.rule", "a rule");
			return true;
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
			add_code(context, "code.policy", "a row security policy");
			return true;
		case T_DefineStmt:
			add_code(context, "code.operator",
					 "an operator, aggregate or type");
			return true;
		case T_CreateCastStmt:
			add_code(context, "code.cast", "a cast");
			return true;
		default:
			return false;
	}
}

static bool
review_definition(WardenReviewContext *context, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_ViewStmt:
			review_view(context, (ViewStmt *) stmt);
			return true;
		case T_CreateTableAsStmt:
			review_table_as(context, (CreateTableAsStmt *) stmt);
			return true;
		case T_IndexStmt:
			review_index(context, (IndexStmt *) stmt);
			return true;
		case T_DropStmt:
			review_drop(context, (DropStmt *) stmt);
			return true;
		case T_RenameStmt:
			review_rename(context, (RenameStmt *) stmt);
			return true;
		case T_AlterEnumStmt:
			review_enum(context, (AlterEnumStmt *) stmt);
			return true;
		case T_AlterDomainStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterStatsStmt:
			warden_review_add(context, "object.alter", -1,
							  pstrdup("alters an object that others may use"),
							  "Check what uses it.");
			return true;
		case T_AlterSeqStmt:
			warden_review_add(context, "sequence.alter", -1,
							  pstrdup("alters a sequence; values may repeat"),
							  "Check that no row holds the values to come.");
			return true;
		case T_CreateSeqStmt:
		case T_CreateSchemaStmt:
		case T_CreateEnumStmt:
		case T_CompositeTypeStmt:
		case T_CreateRangeStmt:
		case T_CreateDomainStmt:
		case T_CreateStatsStmt:
		case T_CommentStmt:
			return true;
		default:
			return false;
	}
}

bool
warden_review_object(WardenReviewContext *context, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_TruncateStmt:
			review_truncate(context, (TruncateStmt *) stmt);
			return true;
		case T_VacuumStmt:
			review_vacuum(context, (VacuumStmt *) stmt);
			return true;
		case T_ClusterStmt:
			review_cluster(context, (ClusterStmt *) stmt);
			return true;
		case T_ReindexStmt:
			review_reindex(context, (ReindexStmt *) stmt);
			return true;
		case T_RefreshMatViewStmt:
			review_refresh(context, (RefreshMatViewStmt *) stmt);
			return true;
		default:
			return review_code(context, stmt) ||
				review_definition(context, stmt);
	}
}
