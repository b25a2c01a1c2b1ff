/*-------------------------------------------------------------------------
 * pending_lasting.c
 *	  What a change that is being applied or previewed would leave to the
 *	  session that it runs on, or take from it.
 *
 * Temporary objects that a change makes and drops again are no harm, and
 * counted at its end (pending_sandbox.c).  A statement that commits on the way
 * could not be taken back by then, so there they are refused at once.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending.h"
#include "warden.h"

/* ---- functions ---------------------------------------------------------- */

/* They take or give back locks that last as long as the session. */
static const Oid session_lock_functions[] = {
	F_PG_ADVISORY_LOCK_INT8,
	F_PG_ADVISORY_LOCK_INT4_INT4,
	F_PG_ADVISORY_LOCK_SHARED_INT8,
	F_PG_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_INT8,
	F_PG_TRY_ADVISORY_LOCK_INT4_INT4,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT8,
	F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_INT8,
	F_PG_ADVISORY_UNLOCK_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_SHARED_INT8,
	F_PG_ADVISORY_UNLOCK_SHARED_INT4_INT4,
	F_PG_ADVISORY_UNLOCK_ALL
};

/* A connection that the session keeps, by their names in the library. */
static bool
keeps_connection(Oid function)
{
	HeapTuple	tuple;
	bool		isnull;
	bool		keeps = false;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		char	   *symbol =
			TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple,
												Anum_pg_proc_prosrc,
												&isnull));

		keeps = strcmp(symbol, "dblink_connect") == 0 ||
			strcmp(symbol, "dblink_disconnect") == 0;
	}
	ReleaseSysCache(tuple);
	return keeps;
}

void
warden_apply_check_function(Oid function)
{
	int			i;

	warden_powers_check_function(function);
	if (keeps_connection(function))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("a change can not open or close connections of the session"),
				 errhint("Give the connection to each call of dblink().")));

	for (i = 0; i < (int) lengthof(session_lock_functions); i++)
	{
		if (function == session_lock_functions[i])
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("a change can not take or release session locks"),
					 errhint("Use pg_advisory_xact_lock(), which ends with the change.")));
	}
}

/* ---- statements --------------------------------------------------------- */

static void
refuse_lasting(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a change can not run %s", what),
			 errdetail("It would reach beyond the change, into the session that applies it."),
			 errhint("Leave it out.")));
}

/*
 * CREATE TABLE AS or EXPLAIN of EXECUTE, or the one of the other: what the
 * session's owner prepared.
 */
static void
check_execute(Query *query)
{
	Node	   *stmt = IsA(query, Query) ? query->utilityStmt : NULL;

	if (stmt != NULL && IsA(stmt, CreateTableAsStmt))
		check_execute((Query *) ((CreateTableAsStmt *) stmt)->query);
	if (stmt != NULL && IsA(stmt, ExecuteStmt))
		refuse_lasting("EXECUTE of a prepared statement");
}

void
warden_lasting_check_utility(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DeclareCursorStmt:
			if (((DeclareCursorStmt *) stmt)->options & CURSOR_OPT_HOLD)
				refuse_lasting("DECLARE ... WITH HOLD");
			break;
		case T_ClosePortalStmt:
			if (((ClosePortalStmt *) stmt)->portalname == NULL)
				refuse_lasting("CLOSE ALL");
			break;
		case T_PrepareStmt:
			refuse_lasting("PREPARE");
			break;
		case T_ExecuteStmt:
			refuse_lasting("EXECUTE of a prepared statement");
			break;
		case T_CreateTableAsStmt:
			check_execute((Query *) ((CreateTableAsStmt *) stmt)->query);
			break;
		case T_ExplainStmt:
			check_execute((Query *) ((ExplainStmt *) stmt)->query);
			break;
		case T_DeallocateStmt:
			refuse_lasting("DEALLOCATE");
			break;
		case T_ListenStmt:
			refuse_lasting("LISTEN");
			break;
		case T_UnlistenStmt:
			refuse_lasting("UNLISTEN");
			break;
		case T_DiscardStmt:
			refuse_lasting("DISCARD");
			break;
		case T_LoadStmt:
			refuse_lasting("LOAD");
			break;
		default:
			break;
	}
}

/* ---- objects ------------------------------------------------------------ */

/* As it is, or as the command under way has just made it. */
static Oid
namespace_of(Oid classid, Oid objid)
{
	AttrNumber	attnum = get_object_attnum_namespace(classid);
	Oid			namespace = InvalidOid;
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	if (attnum == InvalidAttrNumber)
		return InvalidOid;
	catalog = table_open(classid, AccessShareLock);
	ScanKeyInit(&key, get_object_attnum_oid(classid), BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(catalog, get_object_oid_index(classid), true,
							  SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		namespace = DatumGetObjectId(heap_getattr(tuple, attnum,
												  RelationGetDescr(catalog),
												  &isnull));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return namespace;
}

void
warden_lasting_check_object(ObjectAccessType access, Oid classid, Oid objid)
{
	if (!warden_toplevel_active() ||
		(access != OAT_POST_CREATE && access != OAT_DROP) ||
		!is_objectclass_supported(classid) ||
		!isAnyTempNamespace(namespace_of(classid, objid)))
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a change can not leave or drop temporary objects"),
			 errhint("What this statement sets off can not use any: it commits on its way.")));
}
