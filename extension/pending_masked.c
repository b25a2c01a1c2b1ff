/*-------------------------------------------------------------------------
 * pending_masked.c
 *	  A preview for somebody who reads masks.
 *
 * To run a change and hide its values would still tell how many rows its
 * conditions find, how long that takes, and which constraint stops it; the
 * agent that wrote the conditions chooses what that gives away.  So nothing of
 * the change runs.  What an UPDATE, DELETE, INSERT or MERGE would act on is
 * selected instead (pending_masked_query.c), as the caller: with the caller's
 * rights, policies and masks, below which every condition and expression works.
 * It shows what the caller could have selected, and no more.
 *
 * Invariants:
 * - The caller's own query is planned and executed through the same hooks as
 *	 any other of the caller's; the user is never another.
 * - The transaction is read-only meanwhile, and a subtransaction is rolled
 *	 back whatever happens.
 * - Nothing that somebody wrote is called with the caller's rights.
 * - An error of the query gives its SQLSTATE and nothing else.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "pending.h"
#include "pending_apply_private.h"
#include "pending_preview_private.h"
#include "statement.h"
#include "warden.h"

#define NOT_RUN		"not run: your role reads masks"

/* One statement that is looked at. */
typedef struct Look
{
	const WardenChange *change;
	WardenMeasured *measured;
	MemoryContext context;		/* of what is found */
	RawStmt    *raw;
	const char *table;			/* name of its target, to be shown */
	StringInfoData sample;
	int			rows;			/* in it */
	const char *reason;			/* why there is nothing to show */
} Look;

/* Puts the rows of a query into the sample. */
typedef struct SampleReceiver
{
	DestReceiver pub;
	Look	   *look;
	const WardenRowQuery *query;
} SampleReceiver;

/* ---- may it be executed? ------------------------------------------------- */

/* Row locks and writes. */
static bool
reach_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		return query->commandType != CMD_SELECT || query->hasModifyingCTE ||
			query->rowMarks != NIL ||
			query_tree_walker(query, reach_walker, context, 0);
	}
	return expression_tree_walker(node, reach_walker, context);
}

static const char *
query_bar(Query *query)
{
	if (warden_preview_unsafe((Node *) query))
		return "it calls a function that is not built in";
	if (contain_volatile_functions((Node *) query))
		return "it calls a volatile function";
	if (reach_walker((Node *) query, NULL) ||
		warden_preview_reads_foreign_table(query))
		return "it writes, locks rows or reads a foreign table";
	return NULL;
}

/* ---- the sample ---------------------------------------------------------- */

static void
sample_startup(DestReceiver *self pg_attribute_unused(),
			   int operation pg_attribute_unused(),
			   TupleDesc desc pg_attribute_unused())
{
}

static void
sample_shutdown(DestReceiver *self pg_attribute_unused())
{
}

/* Columns from "first" on, as many as there are names. */
static void
put_columns(StringInfo json, const char *side, TupleTableSlot *slot,
			List *names, int first)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	ListCell   *cell;
	int			i = first;

	if (names == NIL)
		return;
	appendStringInfo(json, ", \"%s\": {", side);
	foreach(cell, names)
	{
		if (i >= desc->natts)
			break;
		if (i > first)
			appendStringInfoString(json, ", ");
		warden_sample_value(json, lfirst(cell),
							TupleDescAttr(desc, i)->atttypid,
							slot->tts_values[i], slot->tts_isnull[i]);
		i++;
	}
	appendStringInfoChar(json, '}');
}

static bool
sample_receive(TupleTableSlot *slot, DestReceiver *self)
{
	SampleReceiver *receiver = (SampleReceiver *) self;
	const WardenRowQuery *query = receiver->query;
	Look	   *look = receiver->look;

	slot_getallattrs(slot);
	appendStringInfo(&look->sample, "%s{\"table\": ",
					 look->rows++ > 0 ? ", " : "[");
	escape_json(&look->sample, look->table);
	put_columns(&look->sample, "before", slot, query->before, 0);
	put_columns(&look->sample, "after", slot, query->after,
				list_length(query->before));
	appendStringInfoChar(&look->sample, '}');
	return true;
}

static void
run_query(Look *look, const WardenRowQuery *source, Query *query,
		  ParamListInfo params)
{
	const char *text = look->measured->statement->statement;
	PlannedStmt *plan = pg_plan_query(query, text, 0, params);
	SampleReceiver receiver = {0};
	QueryDesc  *desc;

	look->measured->rows = Max(look->measured->rows, 0) +
		clamp_row_est(plan->planTree->plan_rows);
	if (look->rows >= WARDEN_SAMPLE_ROWS)
		return;
	receiver.pub.receiveSlot = sample_receive;
	receiver.pub.rStartup = sample_startup;
	receiver.pub.rShutdown = sample_shutdown;
	receiver.pub.rDestroy = sample_shutdown;
	receiver.pub.mydest = DestNone;
	receiver.look = look;
	receiver.query = source;

	PushActiveSnapshot(GetTransactionSnapshot());
	desc = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
						   (DestReceiver *) &receiver, params, NULL, 0);
	ExecutorStart(desc, 0);
	executor_run(desc, ForwardScanDirection, WARDEN_SAMPLE_ROWS - look->rows);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
}

static ParamListInfo
make_params(int n, const Oid *types, const Datum *values, const char *nulls)
{
	ParamListInfo params = makeParamList(n);
	int			i;

	for (i = 0; i < n; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = nulls[i] != ' ';
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = types[i];
	}
	return params;
}

/* Its analysed form, or NULL where it may not be executed. */
static Query *
analyse_query(Look *look, const WardenRowQuery *source, Oid *types, int n)
{
	const char *text = look->measured->statement->statement;
	RawStmt    *raw = makeNode(RawStmt);
	List	   *queries;

	raw->stmt = (Node *) source->select;
	queries = pg_analyze_and_rewrite_fixedparams(raw, text, types, n, NULL);
	look->reason = list_length(queries) == 1 ?
		query_bar(linitial_node(Query, queries)) : "it is not one query";
	return look->reason == NULL ? linitial_node(Query, queries) : NULL;
}

static void
show_rows(Look *look)
{
	const WardenStatement *statement = look->measured->statement;
	List	   *sources = warden_masked_queries(look->raw->stmt, &look->table,
												&look->reason);
	List	   *queries = NIL;
	Oid		   *types;
	Datum	   *values;
	char	   *nulls;
	ListCell   *source;
	ListCell   *query;
	int			n = warden_capture_replay(statement->parameters, &types,
										  &values, &nulls);

	foreach(source, sources)
	{
		queries = lappend(queries, analyse_query(look, lfirst(source), types,
												 n));
		if (look->reason != NULL)
			return;
	}
	initStringInfo(&look->sample);
	forboth(source, sources, query, queries)
		run_query(look, lfirst(source), lfirst_node(Query, query),
				  n > 0 ? make_params(n, types, values, nulls) : NULL);
	if (look->rows > 0)
	{
		appendStringInfoChar(&look->sample, ']');
		look->measured->sample = MemoryContextStrdup(look->context,
													 look->sample.data);
	}
}

/* ---- one statement ------------------------------------------------------- */

/*
 * In a subtransaction that is rolled back, and everything that was set for it
 * with it.
 */
static void
enter(Look *look)
{
	Oid			user;
	int			security;

	(void) NewGUCNestLevel();
	XactReadOnly = true;
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
	warden_capture_restore(look->change->context);
	warden_apply_lock_timeout(WARDEN_PREVIEW_LOCK_TIMEOUT_MS);
	(void) set_config_option("client_min_messages", "error", PGC_SUSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
look_at(Look *look)
{
	List	   *names;

	look->raw = warden_apply_same_objects(look->change,
										  look->measured->statement, &names);
	warden_preview_triggers(look->measured, look->context);
	show_rows(look);
}

static void
try_to_look(Look *look)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	warden_apply_set_running(true);
	warden_preview_guard(true);
	PG_TRY();
	{
		enter(look);
		look_at(look);
		warden_preview_guard(false);
		warden_apply_set_running(false);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		warden_preview_guard(false);
		warden_apply_set_running(false);
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		look->measured->sample = NULL;
		look->reason = psprintf("it ends with %s",
								unpack_sql_state(error->sqlerrcode));
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

void
warden_preview_masked(const WardenChange *change, WardenMeasured *measured,
					  MemoryContext context)
{
	Look		look = {.change = change, .measured = measured,
	.context = context};

	measured->method = "masked";
	try_to_look(&look);
	measured->detail = MemoryContextStrdup(context, look.reason == NULL ?
										   NOT_RUN :
										   psprintf(NOT_RUN "; %s",
													look.reason));
}
