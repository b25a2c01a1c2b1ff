/*-------------------------------------------------------------------------
 * identity_admin.c
 *	  Common ground of the functions that keep the registry.
 *
 * Each one runs only as the top-level statement of a person with the rights
 * of warden_admin: called from a function, a trigger or a DO block, it could
 * be somebody else's idea.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "identity_admin.h"
#include "nesting.h"
#include "principal.h"
#include "warden.h"

void
warden_admin_argument(WardenCommand *command, Oid type, Datum value,
					  bool isnull)
{
	Assert(command->nargs < WARDEN_COMMAND_ARGS);
	command->types[command->nargs] = type;
	command->values[command->nargs] = isnull ? (Datum) 0 : value;
	command->nulls[command->nargs++] = isnull ? 'n' : ' ';
}

/* NULL for a null pointer. */
void
warden_admin_text(WardenCommand *command, const char *value)
{
	warden_admin_argument(command, TEXTOID,
				 value ? CStringGetTextDatum(value) : (Datum) 0,
				 value == NULL);
}

void
warden_admin_role(WardenCommand *command, Oid role)
{
	warden_admin_argument(command, REGROLEOID, ObjectIdGetDatum(role),
				 !OidIsValid(role));
}

static void
execute_command(void *arg)
{
	WardenCommand    *command = arg;
	int			status;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	status = SPI_execute_with_args(command->sql, command->nargs,
								   command->types, command->values,
								   command->nulls, false, 0);
	if (status < 0)
		elog(ERROR, "could not run a statement of the registry: %s",
			 SPI_result_code_string(status));
	command->processed = SPI_processed;
	if (SPI_tuptable != NULL && SPI_processed > 0)
	{
		bool		isnull;

		command->number =
			DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
}

void
warden_admin_run(WardenCommand *command)
{
	warden_principal_run_internal(execute_command, command);
}

static bool
in_group(const char *group)
{
	Oid			groupid = get_role_oid(group, true);

	return OidIsValid(groupid) && has_privs_of_role(GetUserId(), groupid);
}

void
warden_admin_require(FunctionCallInfo fcinfo, const char *name,
					 const char *other)
{
	if (warden_principal_current()->class != WARDEN_CLASS_NONE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("warden.%s is not for agents", name),
				 errhint("Ask a person who is an administrator.")));
	if (!superuser() && !in_group(WARDEN_ROLE_ADMIN) &&
		(other == NULL || !in_group(other)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for warden.%s", name),
				 errhint("Only members of %s may.",
						 other ? other : WARDEN_ROLE_ADMIN)));
	warden_nesting_require_toplevel(fcinfo, name,
									WARDEN_ERRCODE_NOT_PERMITTED);
}

/* A name that logs and tables can show: not empty, short, printable. */
void
warden_admin_printable(const char *what, const char *text, Size size)
{
	const char *p;
	bool		good;

	/* a row that comes by plain SQL has not met its NOT NULL yet */
	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", what),
				 errhint("It can not be NULL.")));
	good = text[0] != '\0' && strlen(text) < size;
	for (p = text; good && *p; p++)
		good = (unsigned char) *p >= ' ' && *p != 0x7f;
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is not a usable name", what),
				 errhint("Use at most %d bytes and no control characters.",
						 (int) size - 1)));
}

/* Text argument, NULL for NULL. */
char *
warden_admin_optional(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

char *
warden_admin_required(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", what),
				 errhint("It can not be NULL.")));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

Oid
warden_admin_role_name(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s is missing", what),
				 errhint("Name a role that exists.")));
	return get_role_oid(NameStr(*PG_GETARG_NAME(n)), false);
}
