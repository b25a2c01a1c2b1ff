/*-------------------------------------------------------------------------
 * identity_guard.c
 *	  What holds of the registry's rows, whoever writes them: the functions, or
 *	  an administrator's plain SQL.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"

#include "compat.h"
#include "audit_event.h"
#include "identity_admin.h"
#include "identity_store.h"
#include "own_statement.h"
#include "policy.h"
#include "principal.h"
#include "warden.h"

static void
refuse_apply_role(Oid role, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("role \"%s\" can not apply an agent's changes",
					GetUserNameFromId(role, true)),
			 errdetail("%s", why),
			 errhint("Choose an unlabelled role that owns what is to be changed, is no superuser, and has no agent as a member.")));
}

/* An agent could reach the role by itself. */
static bool
reached_by_agent(Oid role)
{
	WardenCommand		command = {
		.sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_shseclabel l"
		" JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) l.objoid"
		" WHERE l.provider OPERATOR(pg_catalog.=) 'warden'"
		" AND l.classoid OPERATOR(pg_catalog.=)"
		" 'pg_catalog.pg_authid'::pg_catalog.regclass"
		" AND l.label OPERATOR(pg_catalog.<>) 'masked'"
		" AND (pg_catalog.pg_has_role(r.oid, $1, 'MEMBER')"
		" OR pg_catalog.pg_has_role($1, r.oid, 'USAGE'))"
	};

	warden_admin_argument(&command, OIDOID, ObjectIdGetDatum(role), false);
	warden_admin_run(&command);
	return command.number > 0;
}

/* Checked again when a change is applied: roles gain rights later, too. */
void
warden_guard_apply_role(Oid role)
{
	if (superuser_arg(role))
		refuse_apply_role(role, "It is a superuser.");
	if (warden_principal_agent_bar(role) != NULL)
		refuse_apply_role(role, psprintf("It can not because %s.",
										 warden_principal_agent_bar(role)));
	if (warden_store_has_label(role))
		refuse_apply_role(role, "It carries a warden label.");
	if (reached_by_agent(role))
		refuse_apply_role(role, "An agent is a member of it, or it of an agent's role.");
}

/* ----------------------------------------------------------------------
 * The trigger
 * ---------------------------------------------------------------------- */

static Datum
row_value(TriggerData *trigger, HeapTuple row, const char *name, bool *isnull)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);

	return heap_getattr(row, SPI_fnumber(tupdesc, name), tupdesc, isnull);
}

static char *
row_text(TriggerData *trigger, HeapTuple row, const char *name)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Oid
row_role(TriggerData *trigger, HeapTuple row, const char *name)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, name, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static bool
row_enabled(TriggerData *trigger, HeapTuple row)
{
	bool		isnull;
	Datum		value = row_value(trigger, row, "enabled", &isnull);

	return !isnull && DatumGetBool(value);
}

static void
check_limit(TriggerData *trigger, HeapTuple row, const char *name, int unit)
{
	char	   *value = row_text(trigger, row, name);

	if (value != NULL)
		(void) warden_store_parse_limit(name, value, unit);
}

/* Another role of the agent's name would be taken for the agent. */
static void
refuse_namesake(const char *agent, Oid role)
{
	Oid			namesake = get_role_oid(agent, true);

	if (OidIsValid(namesake) && namesake != role &&
		warden_store_has_label(namesake))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("another labelled role has the name \"%s\"", agent),
				 errhint("Give the agent a name that is no other role's.")));
}

/*
 * An agent that is switched off, or is so and keeps its roles: that must be
 * possible whatever these have become.  Switching it on again looks at them.
 */
static bool
stays_off(TriggerData *trigger, HeapTuple row)
{
	HeapTuple	old = trigger->tg_trigtuple;

	return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		!row_enabled(trigger, row) &&
		strcmp(row_text(trigger, old, "agent"),
			   row_text(trigger, row, "agent")) == 0 &&
		row_role(trigger, old, "role") == row_role(trigger, row, "role") &&
		row_role(trigger, old, "apply_role") ==
		row_role(trigger, row, "apply_role");
}

static void
check_roles(const char *agent, Oid role, Oid apply_role)
{
	const char *bar = warden_principal_agent_bar(role);

	if (bar != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this role can not be an agent's"),
				 errdetail("It can not because %s.", bar),
				 errhint("Make a role for the agent with nothing but the reads it needs.")));
	refuse_namesake(agent, role);
	if (OidIsValid(apply_role))
		warden_guard_apply_role(apply_role);
}

/* A row of warden.agents as it is to be. */
static void
check_agent(TriggerData *trigger, HeapTuple row)
{
	warden_admin_printable("the agent's name", row_text(trigger, row, "agent"),
					  NAMEDATALEN);
	if (!stays_off(trigger, row))
		check_roles(row_text(trigger, row, "agent"),
					row_role(trigger, row, "role"),
					row_role(trigger, row, "apply_role"));
	check_limit(trigger, row, "statement_timeout", GUC_UNIT_MS);
	check_limit(trigger, row, "lock_timeout", GUC_UNIT_MS);
	check_limit(trigger, row, "work_mem", GUC_UNIT_KB);
	check_limit(trigger, row, "temp_file_limit", GUC_UNIT_KB);
}

void
warden_guard_person(const char *person, Oid role)
{
	warden_admin_printable("the person", person, WARDEN_PERSON_SIZE);
	if (warden_store_has_label(role))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a labelled role is nobody's login"),
				 errhint("Give people roles of their own.")));
}

/* A pattern that matches everyone would leave nobody who may approve. */
void
warden_guard_pattern(const char *pattern)
{
	warden_admin_printable("the pattern", pattern, WARDEN_PERSON_SIZE);
	if (strspn(pattern, "*?") == strlen(pattern))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the pattern matches everyone"),
				 errhint("Name a person or a domain, as in '*@example.com': whom it matches can not approve what the agent proposes.")));
	if (strchr(pattern, '%') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("patterns know no %%"),
				 errhint("Write * for any text and ? for one character.")));
}

/* An agent that is switched off, or gone, stops what it runs. */
static void
stop_agent(TriggerData *trigger)
{
	HeapTuple	old = trigger->tg_trigtuple;

	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ||
		(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		 row_enabled(trigger, old) &&
		 !row_enabled(trigger, trigger->tg_newtuple)))
		warden_store_cancel_at_commit(row_text(trigger, old, "agent"));
}

/* What plain SQL did; the functions say it better themselves. */
static void
audit_edit(TriggerData *trigger, HeapTuple row)
{
	const char *table = RelationGetRelationName(trigger->tg_relation);
	const char *name;

	if (warden_principal_internal())
		return;
	name = row_text(trigger, row, strcmp(table, "people") == 0 ? "person" :
					strncmp(table, "identity_", 9) == 0 ? "issuer" : "agent");
	if (name == NULL)
		return;					/* NOT NULL will refuse the row */
	warden_audit_action("policy", 0,
						psprintf("%s on warden.%s: %s",
								 TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? "INSERT" :
								 TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "UPDATE" : "DELETE",
								 table, quote_literal_cstr(name)));
}

PG_FUNCTION_INFO_V1(warden_sql_guard_registry);

/*
 * Row trigger of all tables of the registry, and statement trigger for
 * TRUNCATE.
 */
Datum
warden_sql_guard_registry(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *table;
	HeapTuple	row;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by trigger manager"),
				 errhint("This function belongs to the registry's tables.")));
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("the registry is not for agents"),
				 errhint("Ask a person who is an administrator.")));
	if (!warden_principal_internal() && !creating_extension &&
		!IsLogicalWorker() &&
		!warden_own_writes(fcinfo))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("the registry is written by statements of their own only"),
				 errhint("Send the INSERT, UPDATE or DELETE itself, not from a function, DO block, trigger, rule, view, WITH or prepared statement.")));
	table = RelationGetRelationName(trigger->tg_relation);
	warden_store_changed(RelationGetRelid(trigger->tg_relation));
	if (strcmp(table, "agents") == 0)
		warden_policy_changed();
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		PG_RETURN_POINTER(NULL);

	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
		trigger->tg_newtuple : trigger->tg_trigtuple;
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		if (strcmp(table, "agents") == 0)
			check_agent(trigger, row);
		else if (strcmp(table, "people") == 0)
			warden_guard_person(row_text(trigger, row, "person"),
						 row_role(trigger, row, "role"));
		else if (strcmp(table, "delegations") == 0)
			warden_guard_pattern(row_text(trigger, row, "person_pattern"));
	}
	if (strcmp(table, "agents") == 0)
		stop_agent(trigger);
	audit_edit(trigger, row);
	PG_RETURN_POINTER(row);
}
