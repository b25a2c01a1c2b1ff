/*-------------------------------------------------------------------------
 * pending_capture.c
 *	  What makes a recorded statement mean the same when it is applied: the
 *	  settings, the bind parameters, and the digest over all that is recorded.
 *
 * Invariants:
 * - The digest is computed from the text of what is stored, so that it can be
 *	 computed again from the rows alone; jsonb is made canonical first.
 * - A setting that is not in the list is never restored, whatever the stored
 *	 context says.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/xml.h"

#include "compat.h"
#include "pending.h"
#include "pending_hash.h"
#include "pending_json.h"
#include "warden.h"

/*
 * Settings that change what a statement means or how a literal is read.
 * Those that a server does not know (other versions) are passed over.
 * search_path is treated apart.
 */
static const char *const captured_settings[] = {
	"TimeZone",
	"DateStyle",
	"IntervalStyle",
	"timezone_abbreviations",
	"standard_conforming_strings",
	"backslash_quote",
	"escape_string_warning",
	"array_nulls",
	"bytea_output",
	"check_function_bodies",
	"default_table_access_method",
	"default_tablespace",
	"default_text_search_config",
	"default_toast_compression",
	"extra_float_digits",
	"gin_fuzzy_search_limit",
	"lc_monetary",
	"lc_numeric",
	"lc_time",
	"quote_all_identifiers",
	"restrict_nonsystem_relation_kind",
	"row_security",
	"transform_null_equals",
	"xmlbinary",
	"xmloption"
};

/* ---- the digest ---------------------------------------------------------- */

/* Most changes begin like the one before. */
static char *
digest_of_beginning(StringInfo hash)
{
	static StringInfo last = NULL;
	static char digest[PG_SHA256_DIGEST_STRING_LENGTH] = "";

	if (last == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		last = makeStringInfo();
		MemoryContextSwitchTo(old);
	}
	if (digest[0] == '\0' || hash->len != last->len ||
		memcmp(hash->data, last->data, hash->len) != 0)
	{
		digest[0] = '\0';
		resetStringInfo(last);
		appendBinaryStringInfo(last, hash->data, hash->len);
		strlcpy(digest, warden_hash_end(hash, PG_SHA256_DIGEST_LENGTH),
				sizeof(digest));
	}
	return pstrdup(digest);
}

char *
warden_digest_begin(const WardenChange *change, Oid apply_role)
{
	StringInfo	hash = warden_hash_begin();

	warden_hash_text(hash, "pg_warden change 1");
	warden_hash_number(hash, MyDatabaseId);
	warden_hash_text(hash, get_database_name(MyDatabaseId));
	warden_hash_text(hash, change->agent);
	warden_hash_text(hash, change->on_behalf_of);
	warden_hash_number(hash, change->agent_role);
	warden_hash_number(hash, apply_role);
	warden_hash_text(hash, change->context);
	return digest_of_beginning(hash);
}

char *
warden_digest_add(const char *digest, const WardenStatement *statement)
{
	StringInfo	hash = warden_hash_begin();

	warden_hash_text(hash, digest);
	warden_hash_number(hash, statement->ordinal);
	warden_hash_text(hash, statement->statement);
	warden_hash_text(hash, statement->command);
	warden_hash_text(hash, statement->objects);
	warden_hash_text(hash, statement->parameters);
	warden_hash_number(hash, statement->expected_rows);
	return warden_hash_end(hash, PG_SHA256_DIGEST_LENGTH);
}

/* ---- settings ----------------------------------------------------------- */

/* "$user" and schemas that do not exist are resolved here, as another role
 * would resolve them otherwise. */
char *
warden_capture_path(void)
{
	StringInfoData path;
	ListCell   *cell;

	initStringInfo(&path);
	foreach(cell, fetch_search_path(false))
	{
		char	   *schema = get_namespace_name(lfirst_oid(cell));

		if (schema == NULL || isAnyTempNamespace(lfirst_oid(cell)))
			continue;
		if (path.len > 0)
			appendStringInfoString(&path, ", ");
		appendStringInfoString(&path, quote_identifier(schema));
	}
	return path.data;
}

static char *
write_context(const char *path, const char *delegations, const char *issuer,
			  const char **settings)
{
	StringInfoData json;
	int			i;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	warden_json_put(&json, "search_path", path);
	if (delegations != NULL)
		warden_json_put(&json, "delegations", delegations);
	if (issuer != NULL)
		warden_json_put(&json, "issuer", issuer);
	for (i = 0; i < (int) lengthof(captured_settings); i++)
	{
		if (settings[i] != NULL)
			warden_json_put(&json, captured_settings[i], settings[i]);
	}
	appendStringInfoChar(&json, '}');
	return warden_json_canonical(json.data);
}

/* Settings change seldom from one statement to the next. */
char *
warden_capture_context(const char *delegations, const char *issuer)
{
	static StringInfo last_fields = NULL;
	static char *last_context = NULL;
	const char *settings[lengthof(captured_settings)];
	const char *path = warden_capture_path();
	StringInfo	fields = warden_hash_begin();
	int			i;

	warden_hash_text(fields, path);
	warden_hash_text(fields, delegations);
	warden_hash_text(fields, issuer);
	for (i = 0; i < (int) lengthof(captured_settings); i++)
	{
		settings[i] = GetConfigOption(captured_settings[i], true, false);
		warden_hash_text(fields, settings[i]);
	}
	if (last_context == NULL || fields->len != last_fields->len ||
		memcmp(fields->data, last_fields->data, fields->len) != 0)
	{
		char	   *context = write_context(path, delegations, issuer,
											settings);
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		if (last_fields == NULL)
			last_fields = makeStringInfo();
		if (last_context != NULL)
			pfree(last_context);
		last_context = NULL;
		resetStringInfo(last_fields);
		appendBinaryStringInfo(last_fields, fields->data, fields->len);
		last_context = pstrdup(context);
		MemoryContextSwitchTo(old);
	}
	return pstrdup(last_context);
}

char *
warden_capture_delegations(const char *context)
{
	return warden_json_member(&warden_json_parse(context)->root, "delegations");
}

char *
warden_capture_issuer(const char *context)
{
	return warden_json_member(&warden_json_parse(context)->root, "issuer");
}

/* For the current nest level, whoever runs: these are the library's values. */
static void
set_locally(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
warden_capture_restore(const char *context)
{
	Jsonb	   *jsonb = warden_json_parse(context);
	char	   *path = warden_json_member(&jsonb->root, "search_path");
	int			i;

	/* Temporary tables of whoever applies must not shadow anything. */
	if (path == NULL)
		elog(ERROR, "a recorded change has no search_path");
	set_locally("search_path", path[0] == '\0' ? "pg_temp" :
				psprintf("%s, pg_temp", path));
	for (i = 0; i < (int) lengthof(captured_settings); i++)
	{
		char	   *value = warden_json_member(&jsonb->root,
											   captured_settings[i]);

		if (value != NULL &&
			GetConfigOption(captured_settings[i], true, false) != NULL)
			set_locally(captured_settings[i], value);
	}
	set_locally("session_replication_role", "origin");
}

int
warden_capture_begin(const char *context)
{
	int			nest = NewGUCNestLevel();

	warden_capture_restore(context);
	return nest;
}

void
warden_capture_end(int nest)
{
	AtEOXact_GUC(false, nest);
}

/* ---- values as text ------------------------------------------------------ */

/*
 * Under these every value has one text, which reads back as that value.  Under
 * others a time can have the abbreviation of a zone, which is read as another
 * one's, and a number fewer digits than it has.
 */
static const char *const exact_settings[][2] = {
	{"DateStyle", "ISO, MDY"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"array_nulls", "on"},
	{"xmloption", "content"}
};

int
warden_capture_exact_begin(void)
{
	int			nest;
	int			i;

	/* called for each row: as a rule nothing needs to be set */
	if (DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits > 0 && Array_nulls &&
		xmloption == XMLOPTION_CONTENT)
		return -1;
	nest = NewGUCNestLevel();
	for (i = 0; i < (int) lengthof(exact_settings); i++)
		set_locally(exact_settings[i][0], exact_settings[i][1]);
	return nest;
}

void
warden_capture_exact_end(int nest)
{
	if (nest >= 0)
		AtEOXact_GUC(false, nest);
}

char *
warden_capture_exact(const char *context)
{
	StringInfoData json;
	Datum		both;
	int			i;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (i = 0; i < (int) lengthof(exact_settings); i++)
		warden_json_put(&json, exact_settings[i][0], exact_settings[i][1]);
	appendStringInfoChar(&json, '}');
	both = DirectFunctionCall2(jsonb_concat,
							   JsonbPGetDatum(warden_json_parse(context)),
							   JsonbPGetDatum(warden_json_parse(json.data)));
	return JsonbToCString(NULL, &DatumGetJsonbP(both)->root, 0);
}

/* ---- parameters --------------------------------------------------------- */

static void
capture_param(StringInfo json, const ParamExternData *param)
{
	char	   *value = NULL;

	if (json->len > 1)
		appendStringInfoString(json, ", ");
	if (!param->isnull && OidIsValid(param->ptype))
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(param->ptype, &output, &varlena);
		value = OidOutputFunctionCall(output, param->value);
	}
	appendStringInfoChar(json, '{');
	warden_json_put(json, "type", OidIsValid(param->ptype) ?
			 format_type_extended(param->ptype, -1,
								  FORMAT_TYPE_FORCE_QUALIFY) : "-");
	warden_json_put(json, "oid", psprintf("%u", param->ptype));
	warden_json_put(json, "value", value);
	appendStringInfoChar(json, '}');
}

char *
warden_capture_params(ParamListInfo params)
{
	StringInfoData json;
	int			nest;
	int			i;

	if (params == NULL || params->numParams == 0)
		return NULL;
	nest = warden_capture_exact_begin();
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (i = 0; i < params->numParams; i++)
	{
		ParamExternData workspace;
		ParamExternData *param = &params->params[i];

		if (params->paramFetch != NULL)
			param = params->paramFetch(params, i + 1, false, &workspace);
		capture_param(&json, param);
	}
	warden_capture_exact_end(nest);
	appendStringInfoChar(&json, ']');
	return warden_json_canonical(json.data);
}

/* The value itself, or the row images that it refers to. */
static char *
param_value(JsonbContainer *param)
{
	char	   *image = warden_json_member(param, "image");
	char	   *side = warden_json_member(param, "side");
	char	   *sha256 = warden_json_member(param, "sha256");

	if (image == NULL || side == NULL || sha256 == NULL)
		return warden_json_member(param, "value");
	return warden_images_fetch(image, strcmp(side, "old") == 0, sha256);
}

int
warden_capture_replay(const char *parameters, Oid **types, Datum **values,
					  char **nulls)
{
	List	   *elements;
	ListCell   *cell;
	int			nest;
	int			n = 0;

	*types = NULL;
	*values = NULL;
	*nulls = NULL;
	if (parameters == NULL)
		return 0;
	elements = warden_json_elements(parameters);
	*types = palloc0(list_length(elements) * sizeof(Oid));
	*values = palloc0(list_length(elements) * sizeof(Datum));
	*nulls = palloc0(list_length(elements) + 1);
	nest = warden_capture_exact_begin();
	foreach(cell, elements)
	{
		char	   *value = param_value(lfirst(cell));
		char	   *type = warden_json_member(lfirst(cell), "oid");
		Oid			input;
		Oid			ioparam;

		(*types)[n] = type != NULL ? atooid(type) : InvalidOid;
		(*nulls)[n] = 'n';
		if (OidIsValid((*types)[n]) &&
			!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum((*types)[n])))
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_TRANSITION),
					 errmsg("the type of parameter $%d has gone", n + 1),
					 errhint("Have it proposed again.")));
		if (value != NULL && OidIsValid((*types)[n]))
		{
			getTypeInputInfo((*types)[n], &input, &ioparam);
			(*values)[n] = OidInputFunctionCall(input, value, ioparam, -1);
			(*nulls)[n] = ' ';
		}
		n++;
	}
	warden_capture_exact_end(nest);
	return n;
}

List *
warden_capture_types(const char *parameters)
{
	List	   *types = NIL;
	ListCell   *cell;

	foreach(cell, parameters != NULL ? warden_json_elements(parameters) : NIL)
	{
		char	   *type = warden_json_member(lfirst(cell), "oid");

		types = lappend_oid(types, type != NULL ? atooid(type) : InvalidOid);
	}
	return types;
}

List *
warden_capture_values(const char *parameters)
{
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, parameters != NULL ? warden_json_elements(parameters) : NIL)
		values = lappend(values, warden_json_member(lfirst(cell), "value"));
	return values;
}

