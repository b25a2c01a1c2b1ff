/*-------------------------------------------------------------------------
 * function_gate.c
 *	  The closed list of functions that an agent's statement may execute.
 *
 * Allowed are: immutable and stable built-ins; SQL and trusted PL functions,
 * since what they run is itself governed; aggregates, whose parts are checked
 * one by one; and what the lists below, or warden.allowed_functions, name.
 * Everything else is refused, however it is reached: the walk below sees what
 * the query names, and the executor asks again for each function that it
 * initializes (object_access_hook), through views, inlined bodies, domain
 * checks and constant folding as well.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "function_gate.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

/* Volatile built-ins that act on nothing outside the statement. */
static const Oid allowed_volatile[] = {
	F_CLOCK_TIMESTAMP,
	F_TIMEOFDAY,
	WARDEN_RANDOM_FUNCTIONS,
	F_GEN_RANDOM_UUID,
	F_PG_SLEEP,
	F_PG_SLEEP_FOR,
	F_PG_SLEEP_UNTIL,
	F_PG_IS_IN_RECOVERY,
	F_PG_IS_WAL_REPLAY_PAUSED,
	F_PG_GET_WAL_REPLAY_PAUSE_STATE,
	F_PG_LAST_XACT_REPLAY_TIMESTAMP,
	F_PG_JIT_AVAILABLE,
	F_PG_SEQUENCE_LAST_VALUE,
	F_PG_PARTITION_TREE,
	F_PG_PARTITION_ANCESTORS,
	F_PG_COLLATION_ACTUAL_VERSION,
	F_PG_DATABASE_COLLATION_ACTUAL_VERSION,
	F_PG_DATABASE_SIZE_NAME,
	F_PG_DATABASE_SIZE_OID,
	F_PG_TABLESPACE_SIZE_NAME,
	F_PG_TABLESPACE_SIZE_OID,
	F_PG_RELATION_SIZE_REGCLASS,
	F_PG_RELATION_SIZE_REGCLASS_TEXT,
	F_PG_TOTAL_RELATION_SIZE,
	F_PG_TABLE_SIZE,
	F_PG_INDEXES_SIZE,
	/* In FROM it keeps the backend's own rows (mask_rewrite.c), and the walk
	 * refuses it anywhere else. */
	F_PG_LOCK_STATUS,
	/* These run SQL, which comes back to the planner and is masked there. */
	F_QUERY_TO_XML,
	F_QUERY_TO_XMLSCHEMA,
	F_QUERY_TO_XML_AND_XMLSCHEMA,
	F_CURSOR_TO_XML,
	F_CURSOR_TO_XMLSCHEMA,
	F_TS_STAT_TEXT,
	F_TS_STAT_TEXT_TEXT,
	F_TS_REWRITE_TSQUERY_TEXT,
};

/* Stable built-ins that show what other sessions run or hold. */
static const Oid refused_stable[] = {
	F_PG_STAT_GET_BACKEND_IDSET,
	F_PG_STAT_GET_BACKEND_PID,
	F_PG_STAT_GET_BACKEND_DBID,
	F_PG_STAT_GET_BACKEND_USERID,
	F_PG_STAT_GET_BACKEND_ACTIVITY,
	F_PG_STAT_GET_BACKEND_ACTIVITY_START,
	F_PG_STAT_GET_BACKEND_XACT_START,
	F_PG_STAT_GET_BACKEND_START,
	F_PG_STAT_GET_BACKEND_CLIENT_ADDR,
	F_PG_STAT_GET_BACKEND_CLIENT_PORT,
	F_PG_STAT_GET_BACKEND_WAIT_EVENT,
	F_PG_STAT_GET_BACKEND_WAIT_EVENT_TYPE,
	F_PG_STAT_GET_PROGRESS_INFO,
	F_PG_STAT_GET_WAL_SENDERS,
	F_PG_STAT_GET_WAL_RECEIVER,
	F_PG_STAT_GET_SUBSCRIPTION,
	WARDEN_SESSION_FUNCTIONS
};

/*
 * Extensions of the distribution whose immutable and stable C functions
 * compute from their arguments alone, or run SQL through SPI.  isn is none: its
 * immutable isn_weak() changes what the session's next statements accept.
 */
static const char *const pure_extensions[] = {
	"btree_gin", "btree_gist", "citext", "cube", "earthdistance",
	"fuzzystrmatch", "hstore", "intarray", "ltree", "pg_trgm", "seg", "tablefunc",
	"unaccent", "uuid-ossp", "vector",
};

/* The extension's own functions that an agent's statement may contain. */
static const char *const own_functions[] = {
	"apply_mask", "apply_mask_function", "mask_spec_out",
	"statistics_visible", "extended_statistics_visible",
	"whoami", "propose", "withdraw", "leave", "acting_agent", "acting_role",
	"acting_person",
};

typedef struct GateEntry
{
	Oid			funcid;
	bool		allowed;
} GateEntry;

static HTAB *verdicts = NULL;
static uint64 generation = 0;

static bool
listed(const Oid *list, int n, Oid funcid)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (list[i] == funcid)
			return true;
	}
	return false;
}

char *
warden_function_gate_name(Oid funcid)
{
	bool		quote_all = quote_all_identifiers;
	char	   *name;

	quote_all_identifiers = false;
	PG_TRY();
	{
		name = format_procedure_qualified(funcid);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	return name;
}

/*
 * In warden.allowed_functions, which warden_admin extends.  It has names, since
 * OIDs of functions do not survive pg_upgrade; what is compared is made from
 * the catalogs, here and there, and never parsed.
 */
static bool
allowed_by_admin(Oid funcid)
{
	Oid			relid = warden_catalog_relation("allowed_functions");
	char	   *name;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(relid))
		return false;
	name = warden_function_gate_name(funcid);
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, 1, RelationGetDescr(rel),
										 &isnull);

		found = !isnull && strcmp(TextDatumGetCString(value), name) == 0;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* C, or a name for a C function of the server's: by its extension. */
static bool
extension_function_allowed(Oid funcid, const FormData_pg_proc *proc)
{
	Oid			extension = getExtensionOfObject(ProcedureRelationId, funcid);
	char	   *name;
	int			i;

	if (!OidIsValid(extension))
		return false;
	name = get_extension_name(extension);
	if (name == NULL)
		return false;
	if (strcmp(name, WARDEN_EXTENSION) == 0)
	{
		for (i = 0; i < (int) lengthof(own_functions); i++)
		{
			if (strcmp(NameStr(proc->proname), own_functions[i]) == 0)
				return true;
		}
		return false;
	}
	if (proc->provolatile == PROVOLATILE_VOLATILE)
		return false;
	for (i = 0; i < (int) lengthof(pure_extensions); i++)
	{
		if (strcmp(name, pure_extensions[i]) == 0)
			return true;
	}
	return false;
}

/*
 * A trusted procedural language runs SQL only through SPI.  "internal" and
 * "c" are not trusted by their pg_language rows; SQL is.
 */
bool
warden_function_gate_language(Oid language)
{
	HeapTuple	tuple = SearchSysCache1(LANGOID, ObjectIdGetDatum(language));
	bool		trusted;

	if (!HeapTupleIsValid(tuple))
		return false;
	trusted = ((Form_pg_language) GETSTRUCT(tuple))->lanpltrusted;
	ReleaseSysCache(tuple);
	return trusted;
}

/* Made by the server along with the type, and gone with it. */
static bool
is_part_of_type(Oid funcid, Oid type)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ProcedureRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(funcid));
	scan = systable_beginscan(rel, DependDependerIndexId, true, NULL, 2, keys);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		found = depend->deptype == DEPENDENCY_INTERNAL &&
			depend->refclassid == TypeRelationId && depend->refobjid == type;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* What comes with a user's range type, and makes a value of it. */
static bool
is_range_constructor(Oid funcid, const FormData_pg_proc *proc)
{
	return (type_is_range(proc->prorettype) ||
			type_is_multirange(proc->prorettype)) &&
		is_part_of_type(funcid, proc->prorettype);
}

static bool
internal_function_allowed(Oid funcid, const FormData_pg_proc *proc)
{
	if (proc->prokind == PROKIND_AGGREGATE)
		return true;
	/* A user's alias can stand for any C function of the server. */
	if (funcid >= FirstNormalObjectId)
		return is_range_constructor(funcid, proc) ||
			extension_function_allowed(funcid, proc);
	if (proc->provolatile == PROVOLATILE_VOLATILE)
		return listed(allowed_volatile, lengthof(allowed_volatile), funcid);
	return !listed(refused_stable, lengthof(refused_stable), funcid);
}

bool
warden_function_is_procedural(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Oid			language;

	if (!HeapTupleIsValid(tuple))
		return true;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language != INTERNALlanguageId && language != ClanguageId;
}

static bool
decide(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc proc;
	bool		allowed;

	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	switch (proc->prolang)
	{
		case INTERNALlanguageId:
			allowed = internal_function_allowed(funcid, proc);
			break;
		case ClanguageId:
			allowed = extension_function_allowed(funcid, proc);
			break;
		case SQLlanguageId:
			allowed = true;
			break;
		default:
			allowed = warden_function_gate_language(proc->prolang);
			break;
	}
	ReleaseSysCache(tuple);
	return allowed || allowed_by_admin(funcid);
}

bool
warden_function_gate_allows(Oid funcid)
{
	GateEntry  *entry;
	uint64		started = generation;
	bool		allowed;

	if (verdicts != NULL)
	{
		entry = hash_search(verdicts, &funcid, HASH_FIND, NULL);
		if (entry != NULL)
			return entry->allowed;
	}
	allowed = decide(funcid);
	if (generation != started)
		return allowed;
	if (verdicts == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(GateEntry);
		ctl.hcxt = TopMemoryContext;
		verdicts = hash_create("warden function gate", 128, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(verdicts, &funcid, HASH_ENTER, NULL);
	entry->allowed = allowed;
	return allowed;
}

void
warden_function_gate_check(Oid funcid)
{
	char	   *name;

	if (warden_function_gate_allows(funcid))
		return;
	name = get_func_name(funcid);
	if (get_func_namespace(funcid) == warden_catalog_schema())
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("function %s.%s is not for agents", WARDEN_SCHEMA,
						name != NULL ? name : "?"),
				 errhint("Agents may call warden.propose, warden.withdraw and warden.whoami.")));
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("function %s is not permitted to agents",
					name != NULL ? name : "?"),
			 errhint("Use another function, or ask a member of %s to call warden.allow_function() for it.",
					 WARDEN_ROLE_ADMIN)));
}

/* They return the rows of the write-ahead log, as replication does. */
static const Oid raw_functions[] = {
	F_PG_LOGICAL_SLOT_GET_CHANGES,
	F_PG_LOGICAL_SLOT_PEEK_CHANGES,
	F_PG_LOGICAL_SLOT_GET_BINARY_CHANGES,
	F_PG_LOGICAL_SLOT_PEEK_BINARY_CHANGES,
};

void
warden_function_gate_check_masked(Oid funcid)
{
	if (listed(raw_functions, lengthof(raw_functions), funcid))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("function %s is not permitted to governed roles",
						get_func_name(funcid)),
				 errhint("It shows raw data: use a role of its own for it, without a warden label.")));
}

/* ----------------------------------------------------------------------
 * The walk over a query
 * ---------------------------------------------------------------------- */

static bool
check_function(Oid funcid, void *context pg_attribute_unused())
{
	warden_function_gate_check(funcid);
	return false;
}

/*
 * What these return can be narrowed only where they are alone in FROM.  A
 * gateway's connection has statements that earlier calls have prepared.
 */
bool
warden_function_gate_narrowed(Oid funcid)
{
	return funcid == F_PG_LOCK_STATUS ||
		(funcid == F_PG_PREPARED_STATEMENT &&
		 warden_principal_current()->bound);
}

/* pg_stat_get_activity(pid) shows the backend itself, whatever is asked. */
static void
narrow_to_own_backend(FuncExpr *expr)
{
	if (warden_function_gate_narrowed(expr->funcid))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("function %s is not permitted to agents",
						get_func_name(expr->funcid)),
				 errhint("Use the view pg_locks or pg_prepared_statements, which shows what is the session's own.")));
	if (expr->funcid == F_PG_STAT_GET_ACTIVITY)
		expr->args = list_make1(makeFuncExpr(F_PG_BACKEND_PID, INT4OID, NIL,
											 InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL));
}

/* A call in FROM that mask_rewrite.c knows how to narrow. */
static bool
is_narrowed_entry(Node *node)
{
	Node	   *call;

	if (!IsA(node, RangeTblFunction))
		return false;
	call = ((RangeTblFunction *) node)->funcexpr;
	return IsA(call, FuncExpr) &&
		warden_function_gate_narrowed(((FuncExpr *) call)->funcid);
}

static bool
gate_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, gate_walker, context, 0);
	if (is_narrowed_entry(node))
		return false;
	if (IsA(node, FuncExpr))
		narrow_to_own_backend((FuncExpr *) node);
	(void) check_functions_in_node(node, check_function, NULL);
	return expression_tree_walker(node, gate_walker, context);
}

void
warden_function_gate_query(Query *query)
{
	(void) query_tree_walker(query, gate_walker, NULL, 0);
}

void
warden_function_gate_expression(Node *node)
{
	(void) gate_walker(node, NULL);
}

/* ----------------------------------------------------------------------
 * Invalidation
 * ---------------------------------------------------------------------- */

static void
forget(Datum arg pg_attribute_unused(), int cacheid pg_attribute_unused(),
	   uint32 hashvalue pg_attribute_unused())
{
	generation++;
	if (verdicts != NULL)
	{
		hash_destroy(verdicts);
		verdicts = NULL;
	}
}

static void
forget_policy(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == warden_policy_known_anchor())
		forget(arg, 0, 0);
}

void
warden_function_gate_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
	CacheRegisterSyscacheCallback(LANGOID, forget, (Datum) 0);
	CacheRegisterRelcacheCallback(forget_policy, (Datum) 0);
}
