/*-------------------------------------------------------------------------
 * identity_report.c
 *	  What an administrator asks about agents: who acts now, and what a role
 *	  would reach as one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "function_gate.h"
#include "identity_store.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

#define ACTING_COLUMNS	7

static void
put_acting(ReturnSetInfo *result, const WardenActing *acting)
{
	Datum		values[ACTING_COLUMNS];
	bool		nulls[ACTING_COLUMNS] = {false};

	values[0] = Int32GetDatum(acting->pid);
	values[1] = CStringGetTextDatum(acting->agent);
	values[2] = CStringGetTextDatum(acting->on_behalf_of);
	nulls[2] = acting->on_behalf_of[0] == '\0';
	values[3] = ObjectIdGetDatum(acting->login_role);
	values[4] = ObjectIdGetDatum(acting->role);
	values[5] = BoolGetDatum(acting->bound);
	values[6] = TimestampTzGetDatum(acting->since);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(warden_sql_acting_agents);

/* Backends of this database that act as an agent at this moment. */
Datum
warden_sql_acting_agents(PG_FUNCTION_ARGS)
{
	WardenActing *list;
	int			n;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	list = warden_shared_list(&n);
	for (i = 0; i < n; i++)
	{
		if (list[i].database == MyDatabaseId)
			put_acting((ReturnSetInfo *) fcinfo->resultinfo, &list[i]);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(warden_sql_mask_for);

/*
 * mask_for(role, relation, attnum): the mask that the role would see, 'clear',
 * or 'refused' where the relation holds copies that can not be masked.
 */
Datum
warden_sql_mask_for(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(1);
	WardenPrincipal principal;
	const WardenRelation *relation;
	const char *mask;
	TimestampTz expires = DT_NOEND;

	memset(&principal, 0, sizeof(principal));
	principal.class = WARDEN_CLASS_AGENT;
	principal.login_role = PG_GETARG_OID(0);
	principal.role = PG_GETARG_OID(0);
	relation = warden_policy_relation(relid);
	if (relation != NULL && relation->refused)
		PG_RETURN_DATUM(CStringGetTextDatum("refused"));
	mask = warden_policy_mask(&principal, relid, PG_GETARG_INT16(2), &expires);
	PG_RETURN_DATUM(CStringGetTextDatum(mask != NULL ? mask : "clear"));
}

PG_FUNCTION_INFO_V1(warden_sql_column_label);

/* column_label(relation, attnum): the type of its label, or NULL. */
Datum
warden_sql_column_label(PG_FUNCTION_ARGS)
{
	const WardenColumn *column = warden_policy_column(PG_GETARG_OID(0),
													  PG_GETARG_INT16(1));

	if (column == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CStringGetTextDatum(column->type));
}

PG_FUNCTION_INFO_V1(warden_sql_function_permitted);

/* function_permitted(function): the gate lets agents execute it. */
Datum
warden_sql_function_permitted(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(warden_function_gate_allows(PG_GETARG_OID(0)));
}

PG_FUNCTION_INFO_V1(warden_sql_agent_bar);

/* agent_bar(role): why the role can not act as an agent, or NULL. */
Datum
warden_sql_agent_bar(PG_FUNCTION_ARGS)
{
	const char *bar = warden_principal_agent_bar(PG_GETARG_OID(0));

	if (bar == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(CStringGetTextDatum(bar));
}
