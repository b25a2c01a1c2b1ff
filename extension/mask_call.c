/*-------------------------------------------------------------------------
 * mask_call.c
 *	  func(schema.f): masks that are functions of the database.
 *
 * The function is called past the ACL check, because policy names it and not
 * the query, as the current user and with its own search_path.  Its rules are
 * checked when policy is made, when a query is planned and again at the first
 * call of each execution: a constant of the plan names it, so no invalidation
 * tells the plan that it was replaced.
 *
 * Whatever goes wrong inside ends as NULL, in a subtransaction: an error's
 * text may quote the raw value.  So does a call inside itself: what a function
 * reads can not be known before it runs, and if that is masked by the same
 * function there is no end to it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "mask.h"
#include "mask_private.h"
#include "warden.h"

/* State of one call site for one execution, in fn_mcxt. */
typedef struct CallState
{
	bool usable;		   /* the function meets its rules */
	MemoryContext context; /* of function; NULL when it must be looked
								 * up (again) */
	FmgrInfo function;
	FmgrInfo coercion;
	void *domain_cache; /* of domain_check() */
} CallState;

/* One call, for warden_mask_try(). */
typedef struct Call
{
	CallState *state;
	const WardenMaskSpec *spec;
	Datum value;
	Oid collation;
	Datum result;
	bool isnull;
	struct Call *outer; /* the call that this one runs in */
} Call;

/* The innermost call that is running. */
static Call *running = NULL;

/* ---- rules ---------------------------------------------------------- */

static bool
owner_is_trusted(Oid owner)
{
	Oid admin = get_role_oid(WARDEN_ROLE_ADMIN, true);

	return superuser_arg(owner) ||
		(OidIsValid(admin) && is_member_of_role_nosuper(owner, admin));
}

static bool
has_search_path(HeapTuple tuple)
{
	Datum config;
	bool isnull;
	Datum *settings;
	int count;

	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (isnull)
		return false;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &settings, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (strncmp(TextDatumGetCString(settings[i]),
					"search_path=", strlen("search_path=")) == 0)
			return true;
	}
	return false;
}

static const char *
find_problem(HeapTuple tuple, Oid argtype)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (proc->prokind != PROKIND_FUNCTION || proc->proretset ||
		proc->pronargs != 1)
		return "it must be a function of one argument that returns one value";
	if (proc->prorettype != proc->proargtypes.values[0] ||
		get_typtype(proc->prorettype) == TYPTYPE_PSEUDO)
		return "it must return the type that it takes";
	if (OidIsValid(argtype) && proc->prorettype != argtype)
		return "it takes another type";
	if (proc->provolatile == PROVOLATILE_VOLATILE)
		return "it must be declared IMMUTABLE or STABLE";
	if (!owner_is_trusted(proc->proowner))
		return "its owner must be a superuser or a member of warden_admin";
	if (!has_search_path(tuple))
		return "it must be declared with SET search_path";
	return NULL;
}

const char *
warden_mask_function_problem(Oid function, Oid argtype)
{
	HeapTuple tuple;
	const char *problem;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return "it does not exist";
	problem = find_problem(tuple, argtype);
	ReleaseSysCache(tuple);
	return problem;
}

/* ---- containment ---------------------------------------------------- */

/* Errors that are not about the value and must end the statement. */
static bool
must_propagate(int sqlerrcode)
{
	int category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_INSUFFICIENT_RESOURCES ||
		sqlerrcode == ERRCODE_STATEMENT_TOO_COMPLEX;
}

bool
warden_mask_try(void (*fn)(void *), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int failure = 0;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		fn(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		failure = geterrcode();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	if (failure != 0 && must_propagate(failure))
		ereport(ERROR,
				(errcode(failure),
				 errmsg("statement interrupted while computing a mask"),
				 errhint("Try again, or ask for fewer rows.")));
	return failure == 0;
}

/* ---- the call ------------------------------------------------------- */

/*
 * The function's lookup data lives in a context of its own, because after an
 * error what the language handler left in it can not be used again.
 */
static void
open_function(CallState *state, const WardenMaskSpec *spec,
			  MemoryContext parent)
{
	state->context = AllocSetContextCreate(parent, "warden mask function",
										   ALLOCSET_SMALL_SIZES);
	state->domain_cache = NULL;
	fmgr_info_cxt(spec->function, &state->function, state->context);
	if (OidIsValid(spec->coercion))
		fmgr_info_cxt(spec->coercion, &state->coercion, state->context);
}

static void
run_call(void *arg)
{
	Call *call = (Call *) arg;
	const WardenMaskSpec *spec = call->spec;
	CallState *state = call->state;

	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, &state->function, 1, call->collation,
							 NULL, NULL);
	fcinfo->args[0].value = call->value;
	fcinfo->args[0].isnull = false;
	call->result = FunctionCallInvoke(fcinfo);
	call->isnull = fcinfo->isnull;
	if (call->isnull)
		return;

	if (WARDEN_VALUE_IS_TEXT(spec->class))
	{
		struct varlena *text = PG_DETOAST_DATUM_PACKED(call->result);

		call->result = PointerGetDatum(
			warden_mask_fit(spec, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)));
	}
	else if (OidIsValid(spec->coercion))
		call->result = FunctionCall3(&state->coercion, call->result,
									 Int32GetDatum(spec->typmod),
									 BoolGetDatum(false));
	if (OidIsValid(spec->domain))
		domain_check(call->result, false, spec->domain, &state->domain_cache,
					 state->context);
}

static bool
is_running(Oid function)
{
	for (Call *call = running; call != NULL; call = call->outer)
	{
		if (call->spec->function == function)
			return true;
	}
	return false;
}

/*
 * false when it failed, or would be a call inside itself.  What it says, as
 * core's functions do of a word that is too long, may quote the value: the
 * client hears none of it.
 */
static bool
try_call(Call *call)
{
	CommandDest destination = whereToSendOutput;
	bool done = false;

	if (is_running(call->spec->function))
		return false;
	call->outer = running;
	running = call;
	PG_TRY();
	{
		whereToSendOutput = DestNone;
		done = warden_mask_try(run_call, call);
	}
	PG_FINALLY();
	{
		whereToSendOutput = destination;
		running = call->outer;
	}
	PG_END_TRY();
	return done;
}

PG_FUNCTION_INFO_V1(warden_sql_apply_mask_function);

Datum
warden_sql_apply_mask_function(PG_FUNCTION_ARGS)
{
	WardenMaskSpec *spec = PG_GETARG_MASK_SPEC(1);
	FmgrInfo *flinfo = fcinfo->flinfo;
	CallState *state = (CallState *) flinfo->fn_extra;
	Call call = {0};

	/* only a query inside a function that a worker runs can come here */
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("a mask function can not run in a parallel query"),
				 errhint("Set max_parallel_workers_per_gather to 0.")));

	if (state == NULL)
	{
		state = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(CallState));
		state->usable = warden_mask_function_problem(spec->function,
													 spec->argtype) == NULL;
		flinfo->fn_extra = state;
	}
	if (!state->usable)
		PG_RETURN_NULL();
	if (state->context == NULL)
		open_function(state, spec, flinfo->fn_mcxt);

	call.state = state;
	call.spec = spec;
	call.value = PG_GETARG_DATUM(0);
	call.collation = PG_GET_COLLATION();
	if (!try_call(&call))
	{
		MemoryContextDelete(state->context);
		state->context = NULL;
		PG_RETURN_NULL();
	}
	if (call.isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(call.result);
}
