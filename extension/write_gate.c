/*-------------------------------------------------------------------------
 * write_gate.c
 *	  Writes of the masked class, which run: what they must not read or
 *	  assign.
 *
 * Columns of a result relation can not be masked: the executor needs them
 * raw to form the new row.  So a statement that would let one of them reach
 * a condition, an expression or RETURNING is refused, and so is one that
 * assigns a masked column, since an application would write back what it saw.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guc.h"
#include "own_code.h"
#include "policy.h"
#include "row_rules.h"
#include "warden.h"
#include "write_gate.h"

typedef struct TargetReads
{
	const WardenPrincipal *principal;
	Oid			relid;
	Index		rti;
	Index		levels_up;
} TargetReads;

static bool
masked(const WardenPrincipal *principal, Oid relid, AttrNumber attnum)
{
	TimestampTz expires = DT_NOEND;

	return attnum > 0 &&
		warden_policy_mask(principal, relid, attnum, &expires) != NULL;
}

static void
refuse(Oid relid, AttrNumber attnum, const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("column \"%s\" of \"%s\" is masked and can not be %s",
					get_attname(relid, attnum, false), get_rel_name(relid),
					what),
			 errhint("Leave the column out, or ask a member of %s for an exemption.",
					 WARDEN_ROLE_ADMIN)));
}

static void
check_target_var(TargetReads *reads, AttrNumber attnum)
{
	AttrNumber	i;

	if (attnum > 0)
	{
		if (masked(reads->principal, reads->relid, attnum))
			refuse(reads->relid, attnum, "read by a statement that writes the table");
		return;
	}
	if (attnum < 0)
		return;
	for (i = 1; get_attname(reads->relid, i, true) != NULL; i++)
	{
		if (masked(reads->principal, reads->relid, i))
			refuse(reads->relid, i, "read by a statement that writes the table");
	}
}

static bool
target_walker(Node *node, TargetReads *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if ((Index) var->varno == reads->rti &&
			var->varlevelsup == reads->levels_up)
			check_target_var(reads, var->varattno);
		return false;
	}
	if (IsA(node, Query))
	{
		reads->levels_up++;
		(void) query_tree_walker((Query *) node, target_walker, reads, 0);
		reads->levels_up--;
		return false;
	}
	return expression_tree_walker(node, target_walker, reads);
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Is one of its labels one that hides, from this role or another? */
static bool
has_hiding_label(const WardenRelation *relation)
{
	int			i;

	for (i = 0; i < relation->ncolumns; i++)
	{
		if (warden_policy_column_hides(&relation->columns[i]))
			return true;
	}
	return false;
}

/*
 * Holds the relation what is masked, or can not be, for the principal?  Where
 * a column without a label counts as one, what a session keeps for itself does
 * not: nobody else writes there.
 */
static bool
holds_masked(Oid relid, const WardenPrincipal *principal)
{
	const WardenRelation *relation;
	AttrNumber	attnum;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
		case RELKIND_MATVIEW:
			break;
		default:
			return false;
	}
	relation = warden_policy_relation(relid);
	if (relation != NULL && (relation->refused || has_hiding_label(relation)))
		return true;
	if (!warden_unlabelled_masked ||
		isTempNamespace(get_rel_namespace(relid)))
		return false;
	for (attnum = 1; get_attname(relid, attnum, true) != NULL; attnum++)
	{
		if (masked(principal, relid, attnum))
			return true;
	}
	return false;
}

/* The rights that would let the role attach code of its own to a relation. */
static void
check_rights(Oid relid, const WardenPrincipal *principal)
{
	if (!has_privs_of_role(principal->role, relation_owner(relid)) &&
		pg_class_aclcheck(relid, principal->role, ACL_TRIGGER) != ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a masked role may not own \"%s\" or hold TRIGGER on it",
					get_rel_name(relid)),
			 errhint("Give the table to another owner, and REVOKE TRIGGER from the role.")));
}

/*
 * And code of its own that is attached already.  Without a lock: who writes to
 * one partition need not wait for those who work on another.
 */
static void
check_attached(Oid relid, const WardenPrincipal *principal)
{
	Relation	rel = RelationIdGetRelation(relid);
	Oid			funcid;

	if (!RelationIsValid(rel))
		return;
	funcid = warden_own_code_attached(rel, principal);
	RelationClose(rel);
	if (!OidIsValid(funcid))
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("function %s of a masked role would see raw rows of \"%s\"",
					format_procedure(funcid), get_rel_name(relid)),
			 errhint("Give the function to another owner with ALTER FUNCTION ... OWNER TO, or drop what calls it.")));
}

/* Columns that the statement itself assigns, as its permissions say. */
static void
check_assigned(const WardenPrincipal *principal, Oid relid, Bitmapset *columns)
{
	int			member = -1;

	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (masked(principal, relid, attnum))
			refuse(relid, attnum, "assigned");
	}
}

/*
 * The conditions of views that the statement writes through: whether a row is
 * written, or refused, would tell whether they are true.
 */
static void
check_views(Query *query, TargetReads *reads)
{
	ListCell   *lc;

	(void) target_walker((Node *) warden_row_rules_of_views(query, reads->rti),
						 reads);
	foreach(lc, query->withCheckOptions)
	{
		WithCheckOption *check = lfirst(lc);

		if (!warden_row_rules_check_of_policy(check) ||
			!warden_row_rules_trusted(reads->relid, reads->principal))
			(void) target_walker(check->qual, reads);
	}
}

/*
 * Where the role says itself what its table refers to, whether a row may be
 * written there tells whether the value is in the other table.  (What others
 * let a table of theirs refer to, they also keep in it.)
 */
void
warden_write_gate_check_references(Oid relid, const Bitmapset *columns,
								   const WardenPrincipal *principal)
{
	Relation	rel;
	ListCell   *lc;

	if (!warden_own_code_reaches(principal, relation_owner(relid)))
		return;
	rel = relation_open(relid, NoLock);
	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *key = lfirst(lc);
		int			i;

		for (i = 0; i < key->nkeys; i++)
		{
			if (bms_is_member(key->conkey[i] -
							  FirstLowInvalidHeapAttributeNumber, columns) &&
				masked(principal, key->confrelid, key->confkey[i]))
				refuse(key->confrelid, key->confkey[i],
					   "asked for by a foreign key of this role's");
		}
	}
	relation_close(rel, NoLock);
}

/* The owner's row rules are not the statement's and work on raw values. */
static void
check_write(Query *query, const WardenPrincipal *principal)
{
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	WardenPerms *perms = warden_rte_perms(WARDEN_QUERY_PERMS(query), target);
	TargetReads reads = {principal, target->relid, query->resultRelation, 0};

	(void) warden_write_gate_check_code(target->relid, principal);
	(void) target_walker((Node *) query->targetList, &reads);
	(void) target_walker((Node *) query->jointree, &reads);
	(void) target_walker((Node *) query->returningList, &reads);
	(void) target_walker((Node *) query->onConflict, &reads);
	(void) target_walker((Node *) query->mergeActionList, &reads);
	(void) target_walker(WARDEN_MERGE_CONDITION(query), &reads);
	check_views(query, &reads);
	if (perms != NULL)
	{
		check_assigned(principal, target->relid, perms->insertedCols);
		check_assigned(principal, target->relid, perms->updatedCols);
		warden_write_gate_check_references(target->relid, perms->insertedCols,
										   principal);
		warden_write_gate_check_references(target->relid, perms->updatedCols,
										   principal);
	}
}

static bool
write_walker(Node *node, const WardenPrincipal *principal)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->resultRelation > 0)
			check_write(query, principal);
		return query_tree_walker(query, write_walker, (void *) principal, 0);
	}
	return expression_tree_walker(node, write_walker, (void *) principal);
}

void
warden_write_gate_check(Query *query, const WardenPrincipal *principal)
{
	(void) write_walker((Node *) query, principal);
}

void
warden_write_gate_check_rights(Oid relid, const WardenPrincipal *principal)
{
	if (holds_masked(relid, principal))
		check_rights(relid, principal);
}

/* A row of a tree can be in any relation of it. */
List *
warden_write_gate_check_code(Oid relid, const WardenPrincipal *principal)
{
	List	   *tree;
	ListCell   *lc;

	if (!holds_masked(relid, principal))
		return NIL;
	tree = warden_policy_known_tree(relid);
	foreach(lc, tree)
	{
		check_rights(lfirst_oid(lc), principal);
		check_attached(lfirst_oid(lc), principal);
	}
	return tree;
}

/* The columns that a foreign key refers to, as pull_varattnos counts them. */
static Bitmapset *
referenced_columns(Constraint *constraint, Oid relid)
{
	Bitmapset  *result = NULL;
	Oid			primary_key;
	ListCell   *lc;

	if (constraint->pk_attrs == NIL)
		return get_primary_key_attnos(relid, true, &primary_key);
	foreach(lc, constraint->pk_attrs)
		result = bms_add_member(result, get_attnum(relid, strVal(lfirst(lc))) -
								FirstLowInvalidHeapAttributeNumber);
	return result;
}

static void
check_constraint(Node *node, const WardenPrincipal *principal)
{
	Constraint *constraint = (Constraint *) node;
	Bitmapset  *columns;
	Oid			relid;
	int			member = -1;

	if (node == NULL || !IsA(node, Constraint) ||
		constraint->contype != CONSTR_FOREIGN)
		return;
	relid = RangeVarGetRelid(constraint->pktable, NoLock, true);
	if (!OidIsValid(relid))
		return;
	columns = referenced_columns(constraint, relid);
	while ((member = bms_next_member(columns, member)) >= 0)
	{
		AttrNumber	attnum = member + FirstLowInvalidHeapAttributeNumber;

		if (masked(principal, relid, attnum))
			refuse(relid, attnum, "referred to by a foreign key");
	}
}

static void
check_column_constraints(Node *node, const WardenPrincipal *principal)
{
	ListCell   *lc;

	check_constraint(node, principal);
	if (node == NULL || !IsA(node, ColumnDef))
		return;
	foreach(lc, ((ColumnDef *) node)->constraints)
		check_constraint(lfirst(lc), principal);
}

/*
 * A foreign table of its own would show the rows of another server, or of this
 * one, without the labels that others have put on them.
 */
static void
check_foreign(Node *stmt)
{
	ListCell   *lc;
	bool		foreign = IsA(stmt, CreateForeignTableStmt) ||
		IsA(stmt, ImportForeignSchemaStmt);

	if (IsA(stmt, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) stmt)->cmds)
			foreign |= lfirst_node(AlterTableCmd, lc)->subtype ==
				AT_GenericOptions;
	}
	if (foreign)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a masked role can not say what a foreign table shows"),
				 errhint("Ask for a foreign table of another owner's, whose columns are labelled.")));
}

/* What changes a composite type changes the tables that were made of it. */
static void
check_typed_tables(AlterTableStmt *stmt, const WardenPrincipal *principal)
{
	Oid			relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	Relation	rel;
	TableScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return;
	rel = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_reloftype, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(get_rel_type_id(relid)));
	scan = table_beginscan_catalog(rel, 1, &key);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		(void) warden_write_gate_check_code(form->oid, principal);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Does it work on all tables of a schema, or on all that the role owns? */
static bool
names_no_table(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->rels == NIL;
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL;
		case T_ReindexStmt:
			return ((ReindexStmt *) stmt)->relation == NULL;
		default:
			return false;
	}
}

static void
check_owned_tables(const WardenPrincipal *principal)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (warden_own_code_reaches(principal, form->relowner))
			warden_write_gate_check_rights(form->oid, principal);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
}

void
warden_write_gate_check_ddl(Node *stmt, const WardenPrincipal *principal)
{
	ListCell   *lc;

	check_foreign(stmt);
	if (names_no_table(stmt))
		check_owned_tables(principal);
	if (IsA(stmt, AlterTableStmt) &&
		((AlterTableStmt *) stmt)->objtype == OBJECT_TYPE)
		check_typed_tables((AlterTableStmt *) stmt, principal);
	if (IsA(stmt, CreateStmt))
	{
		foreach(lc, ((CreateStmt *) stmt)->tableElts)
			check_column_constraints(lfirst(lc), principal);
		foreach(lc, ((CreateStmt *) stmt)->constraints)
			check_constraint(lfirst(lc), principal);
	}
	else if (IsA(stmt, AlterTableStmt))
	{
		foreach(lc, ((AlterTableStmt *) stmt)->cmds)
			check_column_constraints(((AlterTableCmd *) lfirst(lc))->def,
									 principal);
	}
	else if (IsA(stmt, AlterDomainStmt) &&
			 (((AlterDomainStmt *) stmt)->subtype == 'C' ||
			  ((AlterDomainStmt *) stmt)->subtype == 'V'))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a masked role can not add a constraint to a domain"),
				 errhint("It would be checked against raw values of every table that uses the domain; ask its owner or an administrator.")));
	else if (IsA(stmt, CreateSchemaStmt))
	{
		foreach(lc, ((CreateSchemaStmt *) stmt)->schemaElts)
			warden_write_gate_check_ddl(lfirst(lc), principal);
	}
}

/* Their DETAIL quotes the row. */
static bool
quotes_row(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) ==
		ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		sqlstate == ERRCODE_WITH_CHECK_OPTION_VIOLATION;
}

void
warden_write_gate_redact(ErrorData *edata)
{
	const WardenPrincipal *principal = warden_principal_cached();

	/* Who is only observed sees rows anyhow. */
	if (principal != NULL && principal->class == WARDEN_CLASS_OBSERVED)
		return;
	if (quotes_row(edata->sqlerrcode))
		edata->detail = NULL;
}

/*
 * An error context callback that does the same as soon as there is an error.
 * Deferred constraints are checked when a procedure commits, with nothing of
 * ours between them and the procedure, which can catch what they say.
 */
void
warden_write_gate_redact_early(void *arg pg_attribute_unused())
{
	const WardenPrincipal *principal = warden_principal_cached();

	if (principal != NULL && principal->class == WARDEN_CLASS_OBSERVED)
		return;
	if (quotes_row(geterrcode()))
		(void) errdetail("%s", "");
}

void
warden_write_gate_rethrow(MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();
	warden_write_gate_redact(edata);
	ReThrowError(edata);
}
