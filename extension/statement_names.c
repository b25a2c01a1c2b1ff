/*-------------------------------------------------------------------------
 * statement_names.c
 *	  The objects that a raw statement names.
 *
 * They are taken from the raw parse tree because a change may be a script
 * whose later statements can not be analysed before its earlier ones ran.
 *
 * Invariant: a statement of a kind that is not listed here has no names we
 * could check, so it is refused by whoever asked.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"

#include "compat.h"
#include "statement.h"

typedef struct NameWalk
{
	List	   *names;			/* of WardenName * */
	List	   *ctes;			/* of char *, in scope */
} NameWalk;

static WardenName *
add_name(NameWalk *walk, WardenUse use, ObjectType type, Node *node)
{
	WardenName *name;
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	foreach(cell, walk->names)
	{
		name = lfirst(cell);
		if (name->name == node)
			return name;
	}
	name = palloc0(sizeof(WardenName));
	name->use = use;
	name->type = type;
	name->name = node;
	name->address.objectId = InvalidOid;
	walk->names = lappend(walk->names, name);
	return name;
}

static void
add_relation(NameWalk *walk, WardenUse use, RangeVar *rv)
{
	add_name(walk, use, OBJECT_TABLE, (Node *) rv);
}

static void
add_relations(NameWalk *walk, WardenUse use, List *rvs)
{
	ListCell   *cell;

	foreach(cell, rvs)
		add_relation(walk, use, lfirst_node(RangeVar, cell));
}

static bool
is_cte(NameWalk *walk, RangeVar *rv)
{
	ListCell   *cell;

	if (rv->schemaname != NULL)
		return false;
	foreach(cell, walk->ctes)
	{
		if (strcmp(lfirst(cell), rv->relname) == 0)
			return true;
	}
	return false;
}

static bool walk_query(Node *node, NameWalk *walk);

/* Each CTE is in scope from its end on, with RECURSIVE from the beginning. */
static void
walk_with(WithClause *with, NameWalk *walk)
{
	ListCell   *cell;

	if (with->recursive)
	{
		foreach(cell, with->ctes)
			walk->ctes = lappend(walk->ctes,
								 lfirst_node(CommonTableExpr, cell)->ctename);
	}
	foreach(cell, with->ctes)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);

		walk_query(cte->ctequery, walk);
		walk->ctes = lappend(walk->ctes, cte->ctename);
	}
}

static bool
walk_statement(Node *node, NameWalk *walk, RangeVar *target,
			   WardenUse use, WithClause *with)
{
	List	   *outer = walk->ctes;

	walk->ctes = list_copy(outer);
	if (target != NULL)
		add_relation(walk, use, target);
	if (with != NULL)
		walk_with(with, walk);
	raw_expression_tree_walker(node, walk_query, walk);
	walk->ctes = outer;
	return false;
}

static bool
walk_query(Node *node, NameWalk *walk)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			if (!is_cte(walk, (RangeVar *) node))
				add_relation(walk, WARDEN_USE_READ, (RangeVar *) node);
			return false;
		case T_WithClause:
			return false;		/* walk_statement has been there */
		case T_FuncCall:
			add_name(walk, WARDEN_USE_READ, OBJECT_FUNCTION,
					 (Node *) ((FuncCall *) node)->funcname);
			break;
		case T_InsertStmt:
			return walk_statement(node, walk, ((InsertStmt *) node)->relation,
								  WARDEN_USE_WRITE,
								  ((InsertStmt *) node)->withClause);
		case T_UpdateStmt:
			return walk_statement(node, walk, ((UpdateStmt *) node)->relation,
								  WARDEN_USE_WRITE,
								  ((UpdateStmt *) node)->withClause);
		case T_DeleteStmt:
			return walk_statement(node, walk, ((DeleteStmt *) node)->relation,
								  WARDEN_USE_WRITE,
								  ((DeleteStmt *) node)->withClause);
		case T_MergeStmt:
			return walk_statement(node, walk, ((MergeStmt *) node)->relation,
								  WARDEN_USE_WRITE,
								  ((MergeStmt *) node)->withClause);
		case T_SelectStmt:
			{
				SelectStmt *select = (SelectStmt *) node;

				return walk_statement(node, walk, select->intoClause ?
									  select->intoClause->rel : NULL,
									  WARDEN_USE_CREATE, select->withClause);
			}
		default:
			break;
	}
	return raw_expression_tree_walker(node, walk_query, walk);
}

/* Kinds of objects whose DROP, COMMENT and the like name a relation. */
static bool
is_relation_type(ObjectType type)
{
	return type == OBJECT_TABLE || type == OBJECT_VIEW ||
		type == OBJECT_MATVIEW || type == OBJECT_INDEX ||
		type == OBJECT_SEQUENCE || type == OBJECT_FOREIGN_TABLE;
}

/* Kinds that are named as parts of a relation: relation first, name last. */
static bool
is_relation_part(ObjectType type)
{
	return type == OBJECT_COLUMN || type == OBJECT_TABCONSTRAINT ||
		type == OBJECT_TRIGGER || type == OBJECT_RULE ||
		type == OBJECT_POLICY;
}

/* An object as DROP, COMMENT or ALTER ... SET SCHEMA name it. */
static void
add_object(NameWalk *walk, WardenUse use, ObjectType type, Node *object,
		   bool missing_ok)
{
	WardenName *name;

	if (is_relation_type(type))
		name = add_name(walk, use, OBJECT_TABLE, (Node *)
						makeRangeVarFromNameList(castNode(List, object)));
	else if (is_relation_part(type))
	{
		List	   *relation = list_copy(castNode(List, object));

		if (list_length(relation) == 1)
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("column name must be qualified"),
					 errhint("Name the table as well: table.column.")));
		relation = list_truncate(relation, list_length(relation) - 1);
		name = add_name(walk, WARDEN_USE_ALTER, OBJECT_TABLE,
						(Node *) makeRangeVarFromNameList(relation));
	}
	else
		name = add_name(walk, use, type, object);
	if (name != NULL)
		name->missing_ok = missing_ok;
}

/* A qualified name of something that the statement makes. */
static void
add_created(NameWalk *walk, List *names)
{
	if (names != NIL)
		add_name(walk, WARDEN_USE_CREATE, OBJECT_TABLE,
				 (Node *) makeRangeVarFromNameList(names));
}

static void
add_constraints(NameWalk *walk, List *constraints)
{
	ListCell   *cell;

	foreach(cell, constraints)
	{
		Node	   *node = lfirst(cell);

		if (IsA(node, Constraint))
		{
			Constraint *constraint = (Constraint *) node;

			if (constraint->pktable != NULL)
				add_relation(walk, WARDEN_USE_ALTER, constraint->pktable);
			walk_query(constraint->raw_expr, walk);
		}
		else if (IsA(node, ColumnDef))
		{
			walk_query(((ColumnDef *) node)->raw_default, walk);
			add_constraints(walk, ((ColumnDef *) node)->constraints);
		}
		else if (IsA(node, TableLikeClause))
			add_relation(walk, WARDEN_USE_READ,
						 ((TableLikeClause *) node)->relation);
	}
}

/* A role that is given or loses something; PUBLIC is none. */
static void
add_role(NameWalk *walk, RoleSpec *role)
{
	if (role->roletype == ROLESPEC_CSTRING)
		add_name(walk, WARDEN_USE_READ, OBJECT_ROLE,
				 (Node *) makeString(role->rolename));
}

/* An object as GRANT and ALTER ... OWNER TO name it; false: not of a schema */
static bool
add_owned(NameWalk *walk, ObjectType type, Node *object)
{
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
			if (!IsA(object, RangeVar))
				return false;
			add_relation(walk, WARDEN_USE_ALTER, (RangeVar *) object);
			return true;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			add_name(walk, WARDEN_USE_ALTER, type, (Node *)
					 makeTypeNameFromNameList(castNode(List, object)));
			return true;
		case OBJECT_AGGREGATE:
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_SCHEMA:
			add_name(walk, WARDEN_USE_ALTER, type, object);
			return true;
		default:
			return false;
	}
}

/* Privileges and owners; what is not named one by one can not be checked. */
static bool
names_of_rights_statement(Node *stmt, NameWalk *walk)
{
	GrantStmt  *grant = (GrantStmt *) stmt;
	ListCell   *cell;

	if (IsA(stmt, AlterOwnerStmt))
	{
		add_role(walk, ((AlterOwnerStmt *) stmt)->newowner);
		return add_owned(walk, ((AlterOwnerStmt *) stmt)->objectType,
						 ((AlterOwnerStmt *) stmt)->object);
	}
	if (!IsA(stmt, GrantStmt) || grant->targtype != ACL_TARGET_OBJECT ||
		grant->grantor != NULL)
		return false;
	foreach(cell, grant->objects)
	{
		if (!add_owned(walk, grant->objtype, lfirst(cell)))
			return false;
	}
	foreach(cell, grant->grantees)
		add_role(walk, lfirst_node(RoleSpec, cell));
	return true;
}

static void
add_alter_table(NameWalk *walk, AlterTableStmt *stmt)
{
	ListCell   *cell;
	WardenName *name;

	name = add_name(walk, WARDEN_USE_ALTER, OBJECT_TABLE,
					(Node *) stmt->relation);
	name->missing_ok = stmt->missing_ok;
	foreach(cell, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		if (cmd->subtype == AT_ChangeOwner)
			add_role(walk, cmd->newowner);
		if (cmd->def == NULL)
			continue;
		if (IsA(cmd->def, Constraint) || IsA(cmd->def, ColumnDef))
			add_constraints(walk, list_make1(cmd->def));
		else if (IsA(cmd->def, PartitionCmd))
			add_relation(walk, WARDEN_USE_ALTER,
						 ((PartitionCmd *) cmd->def)->name);
		else if (IsA(cmd->def, RangeVar))
			add_relation(walk, WARDEN_USE_ALTER, (RangeVar *) cmd->def);
	}
}

static void
add_drop(NameWalk *walk, DropStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->objects)
		add_object(walk, WARDEN_USE_DROP, stmt->removeType, lfirst(cell),
				   stmt->missing_ok);
}

static void
add_rename(NameWalk *walk, RenameStmt *stmt)
{
	if (stmt->relation != NULL)
	{
		WardenName *name = add_name(walk, WARDEN_USE_ALTER, OBJECT_TABLE,
									(Node *) stmt->relation);

		name->missing_ok = stmt->missing_ok;
	}
	else if (stmt->renameType == OBJECT_SCHEMA)
		add_name(walk, WARDEN_USE_ALTER, OBJECT_SCHEMA,
				 (Node *) makeString(stmt->subname));
	else if (stmt->renameType == OBJECT_DOMCONSTRAINT)
		add_name(walk, WARDEN_USE_ALTER, OBJECT_DOMAIN,
				 (Node *) makeTypeNameFromNameList((List *) stmt->object));
	else if (stmt->renameType == OBJECT_TYPE ||
			 stmt->renameType == OBJECT_DOMAIN)
		add_name(walk, WARDEN_USE_ALTER, stmt->renameType,
				 (Node *) makeTypeNameFromNameList((List *) stmt->object));
	else
		add_name(walk, WARDEN_USE_ALTER, stmt->renameType, stmt->object);
}

/* Tables, views, indexes, sequences and what hangs on them. */
static bool
names_of_relation_statement(Node *stmt, NameWalk *walk)
{
	ListCell   *cell;

	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			{
				CreateStmt *create = (CreateStmt *) stmt;

				add_relation(walk, WARDEN_USE_CREATE, create->relation);
				add_relations(walk, WARDEN_USE_ALTER, create->inhRelations);
				add_constraints(walk, create->tableElts);
				add_constraints(walk, create->constraints);
				return true;
			}
		case T_CreateTableAsStmt:
			add_relation(walk, WARDEN_USE_CREATE,
						 ((CreateTableAsStmt *) stmt)->into->rel);
			/* EXECUTE names nothing that would still be there at apply */
			if (!IsA(((CreateTableAsStmt *) stmt)->query, SelectStmt))
				return false;
			walk_query(((CreateTableAsStmt *) stmt)->query, walk);
			return true;
		case T_ViewStmt:
			add_relation(walk, WARDEN_USE_CREATE, ((ViewStmt *) stmt)->view);
			walk_query(((ViewStmt *) stmt)->query, walk);
			return true;
		case T_IndexStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((IndexStmt *) stmt)->relation);
			return true;
		case T_AlterTableStmt:
			add_alter_table(walk, (AlterTableStmt *) stmt);
			return true;
		case T_CreateSeqStmt:
			add_relation(walk, WARDEN_USE_CREATE,
						 ((CreateSeqStmt *) stmt)->sequence);
			return true;
		case T_AlterSeqStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((AlterSeqStmt *) stmt)->sequence);
			return true;
		case T_CreateTrigStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((CreateTrigStmt *) stmt)->relation);
			add_name(walk, WARDEN_USE_READ, OBJECT_FUNCTION,
					 (Node *) ((CreateTrigStmt *) stmt)->funcname);
			return true;
		case T_RuleStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((RuleStmt *) stmt)->relation);
			return true;
		case T_CreatePolicyStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((CreatePolicyStmt *) stmt)->table);
			return true;
		case T_AlterPolicyStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((AlterPolicyStmt *) stmt)->table);
			return true;
		case T_CreateStatsStmt:
			foreach(cell, ((CreateStatsStmt *) stmt)->relations)
			{
				if (!IsA(lfirst(cell), RangeVar))
					return false;
				add_relation(walk, WARDEN_USE_ALTER, lfirst(cell));
			}
			return true;
		case T_TruncateStmt:
			add_relations(walk, WARDEN_USE_WRITE,
						  ((TruncateStmt *) stmt)->relations);
			return true;
		case T_RefreshMatViewStmt:
			add_relation(walk, WARDEN_USE_ALTER,
						 ((RefreshMatViewStmt *) stmt)->relation);
			return true;
		case T_VacuumStmt:
			foreach(cell, ((VacuumStmt *) stmt)->rels)
				add_relation(walk, WARDEN_USE_ALTER,
							 lfirst_node(VacuumRelation, cell)->relation);
			return true;
		case T_ClusterStmt:
			if (((ClusterStmt *) stmt)->relation != NULL)
				add_relation(walk, WARDEN_USE_ALTER,
							 ((ClusterStmt *) stmt)->relation);
			return true;
		case T_ReindexStmt:
			if (((ReindexStmt *) stmt)->relation != NULL)
				add_relation(walk, WARDEN_USE_ALTER,
							 ((ReindexStmt *) stmt)->relation);
			else if (((ReindexStmt *) stmt)->kind == REINDEX_OBJECT_SCHEMA)
				add_name(walk, WARDEN_USE_ALTER, OBJECT_SCHEMA, (Node *)
						 makeString(pstrdup(((ReindexStmt *) stmt)->name)));
			return true;
		default:
			return false;
	}
}

/* Schemas, types, functions, and what applies to any kind of object. */
static bool
names_of_object_statement(Node *stmt, NameWalk *walk)
{
	List	   *names;

	switch (nodeTag(stmt))
	{
		case T_CreateSchemaStmt:
			/* elements could be GRANTs; each can be a statement of its own */
			return ((CreateSchemaStmt *) stmt)->schemaElts == NIL &&
				((CreateSchemaStmt *) stmt)->authrole == NULL;
		case T_CompositeTypeStmt:
			add_relation(walk, WARDEN_USE_CREATE,
						 ((CompositeTypeStmt *) stmt)->typevar);
			return true;
		case T_CreateEnumStmt:
			add_created(walk, ((CreateEnumStmt *) stmt)->typeName);
			return true;
		case T_CreateRangeStmt:
			add_created(walk, ((CreateRangeStmt *) stmt)->typeName);
			return true;
		case T_CreateDomainStmt:
			add_created(walk, ((CreateDomainStmt *) stmt)->domainname);
			return true;
		case T_CreateFunctionStmt:
			add_created(walk, ((CreateFunctionStmt *) stmt)->funcname);
			return true;
		case T_DefineStmt:
			add_created(walk, ((DefineStmt *) stmt)->defnames);
			return true;
		case T_AlterEnumStmt:
			names = ((AlterEnumStmt *) stmt)->typeName;
			add_name(walk, WARDEN_USE_ALTER, OBJECT_TYPE,
					 (Node *) makeTypeNameFromNameList(names));
			return true;
		case T_AlterDomainStmt:
			names = ((AlterDomainStmt *) stmt)->typeName;
			add_name(walk, WARDEN_USE_ALTER, OBJECT_DOMAIN,
					 (Node *) makeTypeNameFromNameList(names));
			return true;
		case T_AlterFunctionStmt:
			add_name(walk, WARDEN_USE_ALTER,
					 ((AlterFunctionStmt *) stmt)->objtype,
					 (Node *) ((AlterFunctionStmt *) stmt)->func);
			return true;
		case T_AlterObjectSchemaStmt:
			{
				AlterObjectSchemaStmt *move = (AlterObjectSchemaStmt *) stmt;

				if (move->relation != NULL)
					add_relation(walk, WARDEN_USE_ALTER, move->relation);
				else if (IsA(move->object, List) &&
						 (move->objectType == OBJECT_TYPE ||
						  move->objectType == OBJECT_DOMAIN))
					add_name(walk, WARDEN_USE_ALTER, move->objectType, (Node *)
							 makeTypeNameFromNameList((List *) move->object));
				else
					add_name(walk, WARDEN_USE_ALTER, move->objectType,
							 move->object);
				add_name(walk, WARDEN_USE_ALTER, OBJECT_SCHEMA,
						 (Node *) makeString(move->newschema));
				return true;
			}
		case T_AlterStatsStmt:
			add_name(walk, WARDEN_USE_ALTER, OBJECT_STATISTIC_EXT,
					 (Node *) ((AlterStatsStmt *) stmt)->defnames);
			return true;
		case T_CreateCastStmt:
			add_name(walk, WARDEN_USE_READ, OBJECT_FUNCTION,
					 (Node *) ((CreateCastStmt *) stmt)->func);
			return true;
		case T_RenameStmt:
			add_rename(walk, (RenameStmt *) stmt);
			return true;
		case T_DropStmt:
			add_drop(walk, (DropStmt *) stmt);
			return true;
		case T_CommentStmt:
			add_object(walk, WARDEN_USE_ALTER,
					   ((CommentStmt *) stmt)->objtype,
					   ((CommentStmt *) stmt)->object, false);
			return true;
		case T_DoStmt:
			return true;
		case T_CallStmt:
			walk_query((Node *) ((CallStmt *) stmt)->funccall, walk);
			return true;
		default:
			return false;
	}
}

bool
warden_statement_names(Node *stmt, List **names)
{
	NameWalk	walk = {NIL, NIL};
	bool		known;

	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_SelectStmt:
			walk_query(stmt, &walk);
			known = true;
			break;
		default:
			known = names_of_relation_statement(stmt, &walk) ||
				names_of_object_statement(stmt, &walk) ||
				names_of_rights_statement(stmt, &walk);
			break;
	}
	*names = walk.names;
	return known;
}

/* Of a cast two types, of a constraint on a domain that and its own name. */
static char *
spell_list(List *parts)
{
	StringInfoData spelling;
	ListCell   *cell;
	bool		types = false;

	initStringInfo(&spelling);
	foreach(cell, parts)
	{
		Node	   *part = lfirst(cell);

		if (spelling.len > 0)
			appendStringInfoString(&spelling, types && IsA(part, TypeName) ?
								   " AS " : ".");
		types = IsA(part, TypeName);
		appendStringInfoString(&spelling, types ?
							   TypeNameToString((TypeName *) part) :
							   quote_identifier(strVal(part)));
	}
	return spelling.data;
}

char *
warden_statement_spelling(const WardenName *name)
{
	List	   *names;

	switch (nodeTag(name->name))
	{
		case T_RangeVar:
			{
				RangeVar   *rv = (RangeVar *) name->name;

				return quote_qualified_identifier(rv->schemaname, rv->relname);
			}
		case T_List:
			return spell_list((List *) name->name);
		case T_String:
			return pstrdup(quote_identifier(strVal(name->name)));
		case T_TypeName:
			if (((TypeName *) name->name)->names != NIL)
				return NameListToQuotedString(((TypeName *) name->name)->names);
			break;
		case T_ObjectWithArgs:
			names = ((ObjectWithArgs *) name->name)->objname;
			return NameListToQuotedString(names);
		default:
			break;
	}
	return pstrdup("?");
}
