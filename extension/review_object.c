/*-------------------------------------------------------------------------
 * review_object.c
 *	  Review of everything that is neither DML nor the definition of a table:
 *	  indexes, views, code, maintenance.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "compat.h"
#include "review_private.h"

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

/* Partitions are worked on in transactions of their own, one by one. */
static bool
is_partitioned(const RangeVar *relation)
{
	Oid			relid = RangeVarGetRelid(relation, NoLock, true);
	char		kind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	return kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_PARTITIONED_INDEX;
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
				((ReindexStmt *) stmt)->relation == NULL ||
				is_partitioned(((ReindexStmt *) stmt)->relation);
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL ||
				is_partitioned(((ClusterStmt *) stmt)->relation);
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

/* More columns than this are seldom of use in an index that is not unique. */
#define MANY_INDEX_COLUMNS	3

static void
review_index_columns(WardenReviewContext *context, IndexStmt *stmt,
					 ReviewTable *table)
{
	ListCell   *cell;
	ListCell   *other;

	if (!stmt->unique && list_length(stmt->indexParams) > MANY_INDEX_COLUMNS)
		warden_review_add(context, "index.many_columns", -1,
						  psprintf("an index on %d columns of %s",
								   list_length(stmt->indexParams),
								   table->name),
						  "Start with the columns that select best; the rest costs every write.");
	foreach(cell, stmt->indexParams)
	{
		IndexElem  *elem = lfirst_node(IndexElem, cell);

		foreach(other, stmt->indexParams)
		{
			if (foreach_current_index(other) <= foreach_current_index(cell) ||
				elem->name == NULL ||
				lfirst_node(IndexElem, other)->name == NULL ||
				strcmp(elem->name,
					   lfirst_node(IndexElem, other)->name) != 0)
				continue;
			warden_review_add(context, "index.duplicate_column", -1,
							  psprintf("names column \"%s\" twice",
									   elem->name),
							  "Leave the second one out.");
		}
	}
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
	review_index_columns(context, stmt, &table);
	if (!OidIsValid(table.relid))
		return;
	if (stmt->unique && !table.created)
		warden_review_add(context, "index.unique_existing", -1,
						  psprintf("fails if rows of %s (%s) are the same in these columns",
								   table.name, table.size),
						  "Look for duplicates first.");
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

bool
warden_review_view_option(const char *name)
{
	return strcmp(name, "security_barrier") == 0 ||
		strcmp(name, "security_invoker") == 0 ||
		strcmp(name, "check_option") == 0;
}

static bool
gives_check_option(ViewStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "check_option") == 0)
			return true;
	}
	return stmt->withCheckOption != NO_CHECK_OPTION;
}

static const char *
lost_option(Relation view, ViewStmt *stmt)
{
	if (view->rd_rel->relkind != RELKIND_VIEW)
		return NULL;
	if (RelationIsSecurityView(view) &&
		!option_is_on(stmt->options, "security_barrier"))
		return "security_barrier";
	if (RelationHasSecurityInvoker(view) &&
		!option_is_on(stmt->options, "security_invoker"))
		return "security_invoker";
	if (RelationHasCheckOption(view) && !gives_check_option(stmt))
		return "check_option";
	return NULL;
}

/* The options of the view that is replaced go with it. */
static void
review_lost_options(WardenReviewContext *context, ViewStmt *stmt)
{
	Oid			relid = RangeVarGetRelid(stmt->view, NoLock, true);
	Relation	view = OidIsValid(relid) ?
	try_relation_open(relid, AccessShareLock) : NULL;
	const char *lost;

	if (view == NULL)
		return;
	lost = lost_option(view, stmt);
	relation_close(view, AccessShareLock);
	if (lost != NULL)
		warden_review_add(context, "security.view_options", -1,
						  psprintf("takes %s from view %s", lost,
								   stmt->view->relname),
						  "Give the new definition the option as well.");
}

static void
review_view(WardenReviewContext *context, ViewStmt *stmt)
{
	char	   *source = warden_review_labelled_relation(context,
														 (Node *) stmt);
	Oid			relid = warden_review_read_relation(context, stmt);

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
	{
		warden_review_add(context, "object.alter", -1,
						  pstrdup("may replace a view that is in use"),
						  "Compare it with the definition it replaces.");
		review_lost_options(context, stmt);
	}
	/* writes to it would be writes to what it reads */
	warden_review_stands_for(context, stmt->view, stmt->replace, relid);
}

static void
review_table_as(WardenReviewContext *context, CreateTableAsStmt *stmt)
{
	char	   *source = warden_review_labelled_relation(context,
														 (Node *) stmt);

	if (source != NULL)
		warden_review_add(context, "flow.copies_labelled", -1,
						  psprintf("copies rows of \"%s\", which has labelled columns, into %s",
								   source, stmt->into->rel->relname),
						  "Label the new columns in the same way, or leave them out.");
	warden_review_calls(context, stmt->query);
	warden_review_created(context, stmt->into->rel, stmt->if_not_exists);
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
	warden_review_no_timeout(context, "a lock against readers and writers");
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
		warden_review_no_timeout(context,
								 "a lock against readers and writers");
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

	if (option_is_on(stmt->params, "concurrently"))
		return;
	if (stmt->relation == NULL)
	{
		warden_review_no_timeout(context, "locks against writers");
		return;
	}
	warden_review_table(context, stmt->relation, &table);
	warden_review_add_risk(context, "reindex.not_concurrent",
						   warden_review_size_risk(&table), -1,
						   psprintf("locks %s (%s) against writers meanwhile",
									table.name, table.size),
						   "Use REINDEX CONCURRENTLY, in a change of its own.");
	if (stmt->kind == REINDEX_OBJECT_INDEX && OidIsValid(table.relid))
		warden_review_lock_indexed(context, table.relid, ShareLock,
								   "the index is a part of it");
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
		warden_review_lock(context, &table, AccessExclusiveLock);
	}
}

static void
review_refresh(WardenReviewContext *context, RefreshMatViewStmt *stmt)
{
	ReviewTable table;

	warden_review_table(context, stmt->relation, &table);
	if (stmt->concurrent)
		warden_review_lock(context, &table, ExclusiveLock);
	else if (!table.created)
		warden_review_add_risk(context, "refresh.not_concurrent",
							   warden_review_size_risk(&table), -1,
							   psprintf("locks %s (%s) against readers meanwhile",
										table.name, table.size),
							   "Use REFRESH MATERIALIZED VIEW CONCURRENTLY; it needs a unique index.");
}

/* Functions of its own make it code: they run wherever its values go. */
static bool
has_functions(CreateRangeStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->params)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "canonical") == 0 ||
			strcmp(option->defname, "subtype_diff") == 0)
			return true;
	}
	return false;
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
review_lock_name(WardenReviewContext *context, RangeVar *name,
				 LOCKMODE lockmode)
{
	ReviewTable table;

	warden_review_table(context, name, &table);
	warden_review_lock(context, &table, lockmode);
}

static void
review_domain(WardenReviewContext *context, AlterDomainStmt *stmt)
{
	warden_review_add(context, "object.alter", -1,
					  pstrdup("alters an object that others may use"),
					  "Check what uses it.");
	if (stmt->subtype == 'O' ||
		(stmt->subtype == 'C' && IsA(stmt->def, Constraint) &&
		 !((Constraint *) stmt->def)->skip_validation))
		warden_review_add(context, "domain.constraint_scan", -1,
						  psprintf("checks every row of every table with a column of domain %s, writers wait meanwhile",
								   NameListToString(stmt->typeName)),
						  stmt->subtype == 'O' ?
						  "Use a CHECK constraint NOT VALID and validate it later." :
						  "Add it NOT VALID, then VALIDATE CONSTRAINT in a change of its own.");
	warden_review_calls(context, stmt->def);
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
			review_lock_name(context, ((CreateTrigStmt *) stmt)->relation,
							 ShareRowExclusiveLock);
			return true;
		case T_RuleStmt:
			add_code(context, "code.rule", "a rule");
			review_lock_name(context, ((RuleStmt *) stmt)->relation,
							 AccessExclusiveLock);
			return true;
		case T_CreatePolicyStmt:
			add_code(context, "code.policy", "a row security policy");
			review_lock_name(context, ((CreatePolicyStmt *) stmt)->table,
							 AccessExclusiveLock);
			return true;
		case T_AlterPolicyStmt:
			add_code(context, "code.policy", "a row security policy");
			review_lock_name(context, ((AlterPolicyStmt *) stmt)->table,
							 AccessExclusiveLock);
			return true;
		case T_DefineStmt:
			add_code(context, "code.operator",
					 "an operator, aggregate or type");
			return true;
		case T_CreateRangeStmt:
			if (has_functions((CreateRangeStmt *) stmt))
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

static void
review_move(WardenReviewContext *context, AlterObjectSchemaStmt *stmt)
{
	ReviewTable table;

	warden_review_add(context, "object.alter", -1,
					  pstrdup("alters an object that others may use"),
					  "Check what uses it.");
	if (stmt->relation == NULL)
		return;
	warden_review_table(context, stmt->relation, &table);
	warden_review_moved(context, stmt->relation, &table, stmt->newschema,
						NULL);
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
		case T_AlterEnumStmt:
			review_enum(context, (AlterEnumStmt *) stmt);
			return true;
		case T_AlterDomainStmt:
			review_domain(context, (AlterDomainStmt *) stmt);
			return true;
		case T_AlterObjectSchemaStmt:
			review_move(context, (AlterObjectSchemaStmt *) stmt);
			return true;
		case T_AlterStatsStmt:
			warden_review_add(context, "object.alter", -1,
							  pstrdup("alters an object that others may use"),
							  "Check what uses it.");
			return true;
		case T_AlterSeqStmt:
			warden_review_add(context, "sequence.alter", -1,
							  pstrdup("alters a sequence; values may repeat"),
							  "Check that no row holds the values to come.");
			review_lock_name(context, ((AlterSeqStmt *) stmt)->sequence,
							 ShareRowExclusiveLock);
			return true;
		case T_CreateSeqStmt:
		case T_CreateSchemaStmt:
		case T_CreateEnumStmt:
		case T_CompositeTypeStmt:
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
