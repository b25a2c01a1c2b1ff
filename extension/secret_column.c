/*-------------------------------------------------------------------------
 * secret_column.c
 *	  Columns of the catalogs that hold passwords, or data without labels.
 *
 * PostgreSQL keeps them from ordinary roles, but not from members of
 * pg_read_all_data, nor one's own foreign password from oneself.  An agent
 * with a password of somebody's needs no gate any more; and large objects are
 * rows of one table, on which no label fits.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "secret_column.h"
#include "warden.h"

static const struct
{
	const char *schema;
	const char *relation;
	const char *column;
} secrets[] = {
	{"pg_catalog", "pg_authid", "rolpassword"},
	{"pg_catalog", "pg_shadow", "passwd"},
	{"pg_catalog", "pg_largeobject", "data"},
	{"pg_catalog", "pg_subscription", "subconninfo"},
	{"pg_catalog", "pg_user_mapping", "umoptions"},
	{"pg_catalog", "pg_user_mappings", "umoptions"},
	{"information_schema", "user_mapping_options", "option_value"},
	{"information_schema", "_pg_user_mappings", "umoptions"},
};

/* The column, or the whole row. */
static bool
selects(const WardenPerms *perms, AttrNumber attnum)
{
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
						 perms->selectedCols) ||
		bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber,
					  perms->selectedCols);
}

void
warden_secret_check(Oid relid, const WardenPerms *perms)
{
	char	   *relation;
	char	   *schema;
	int			i;

	/* A view's own reads, whose columns only the view's query selects. */
	if (relid >= FirstNormalObjectId || OidIsValid(perms->checkAsUser))
		return;
	relation = get_rel_name(relid);
	schema = get_namespace_name(get_rel_namespace(relid));
	for (i = 0; i < (int) lengthof(secrets); i++)
	{
		if (strcmp(relation, secrets[i].relation) != 0 ||
			strcmp(schema, secrets[i].schema) != 0 ||
			!selects(perms, get_attnum(relid, secrets[i].column)))
			continue;
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("column \"%s\" of \"%s\" is not for agents to read",
						secrets[i].column, relation),
				 errhint("Name the other columns that you need.")));
	}
}
