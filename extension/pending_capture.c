/*-------------------------------------------------------------------------
 * pending_capture.c
 *	  What makes a recorded statement mean the same when it is applied: the
 *	  settings, the bind parameters, the objects its names resolved to, and
 *	  the digest over all of it.
 *
 * Invariants:
 * - The digest is computed from the text of what is stored, so that it can be
 *	 computed again from the rows alone; jsonb is made canonical first.
 * - Every field goes into the hash with its length, so that no two different
 *	 changes have the same input.
 * - A setting that is not in the list is never restored, whatever the stored
 *	 context says.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending.h"
#include "policy.h"
#include "statement.h"
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

/* ---- hashing ------------------------------------------------------------ */

/* What is to be hashed is put together first: most of it is very short. */
static StringInfo
hash_begin(void)
{
	return makeStringInfo();
}

/* A text with its length before it; NULL differs from the empty one. */
static void
hash_text_in(StringInfo input, const char *text)
{
	int64		length = text != NULL ? (int64) strlen(text) : -1;

	appendBinaryStringInfo(input, (const char *) &length, sizeof(length));
	if (text != NULL)
		appendBinaryStringInfo(input, text, (int) length);
}

static void
hash_number_in(StringInfo input, int64 number)
{
	char		text[MAXINT8LEN + 1];

	pg_lltoa(number, text);
	hash_text_in(input, text);
}

static char *
hash_end(StringInfo input, int bytes)
{
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_SHA256);
	uint8		result[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(bytes * 2 + 1);

	if (hash == NULL || pg_cryptohash_init(hash) < 0 ||
		pg_cryptohash_update(hash, (const uint8 *) input->data,
							 input->len) < 0 ||
		pg_cryptohash_final(hash, result, sizeof(result)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(hash);
	pfree(input->data);
	pfree(input);
	hex[hex_encode((const char *) result, bytes, hex)] = '\0';
	return hex;
}

char *
warden_digest_begin(const WardenChange *change, Oid apply_role)
{
	StringInfo	hash = hash_begin();

	hash_text_in(hash, "pg_warden change 1");
	hash_number_in(hash, MyDatabaseId);
	hash_text_in(hash, get_database_name(MyDatabaseId));
	hash_text_in(hash, change->agent);
	hash_text_in(hash, change->on_behalf_of);
	hash_number_in(hash, change->agent_role);
	hash_number_in(hash, apply_role);
	hash_text_in(hash, change->context);
	return hash_end(hash, PG_SHA256_DIGEST_LENGTH);
}

char *
warden_digest_add(const char *digest, const WardenStatement *statement)
{
	StringInfo	hash = hash_begin();

	hash_text_in(hash, digest);
	hash_number_in(hash, statement->ordinal);
	hash_text_in(hash, statement->statement);
	hash_text_in(hash, statement->command);
	hash_text_in(hash, statement->objects);
	hash_text_in(hash, statement->parameters);
	hash_number_in(hash, statement->expected_rows);
	return hash_end(hash, PG_SHA256_DIGEST_LENGTH);
}

/* ---- jsonb -------------------------------------------------------------- */

static Jsonb *
parse_json(const char *json)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(json)));
}

char *
warden_capture_canonical(const char *json)
{
	Jsonb	   *jsonb = parse_json(json);

	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/* A member of an object as a string, NULL where it is null or missing. */
static char *
json_member(JsonbContainer *object, const char *key)
{
	JsonbValue	found;

	if (getKeyJsonValueFromContainer(object, key, strlen(key), &found) == NULL)
		return NULL;
	if (found.type == jbvString)
		return pnstrdup(found.val.string.val, found.val.string.len);
	if (found.type == jbvNumeric)
	{
		Datum		number = NumericGetDatum(found.val.numeric);

		return DatumGetCString(DirectFunctionCall1(numeric_out, number));
	}
	return NULL;
}

/* The objects of an array, of JsonbContainer *. */
static List *
json_elements(const char *json)
{
	Jsonb	   *jsonb = parse_json(json);
	List	   *elements = NIL;
	uint32		i;

	for (i = 0; i < JB_ROOT_COUNT(jsonb); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(&jsonb->root, i);

		if (value == NULL || value->type != jbvBinary)
			elog(ERROR, "a recorded change is not readable");
		elements = lappend(elements, value->val.binary.data);
	}
	return elements;
}

static void
json_put(StringInfo json, const char *key, const char *value)
{
	if (json->data[json->len - 1] != '{')
		appendStringInfoString(json, ", ");
	escape_json(json, key);
	appendStringInfoString(json, ": ");
	if (value != NULL)
		escape_json(json, value);
	else
		appendStringInfoString(json, "null");
}

/* ---- settings ----------------------------------------------------------- */

/*
 * The schemas that names are looked up in now.  "$user" and schemas that do
 * not exist are resolved here, as another role would resolve them otherwise.
 */
static char *
effective_search_path(void)
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

/* Settings change seldom from one statement to the next. */
static char *
canonical_context(const char *json)
{
	static char *last = NULL;
	static char *canonical = NULL;
	char	   *made;

	if (last != NULL && strcmp(last, json) == 0)
		return pstrdup(canonical);
	made = warden_capture_canonical(json);
	if (last != NULL)
	{
		pfree(last);
		pfree(canonical);
		last = NULL;
	}
	canonical = MemoryContextStrdup(TopMemoryContext, made);
	last = MemoryContextStrdup(TopMemoryContext, json);
	return made;
}

char *
warden_capture_context(const char *delegations, const char *issuer)
{
	StringInfoData json;
	int			i;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	json_put(&json, "search_path", effective_search_path());
	if (delegations != NULL)
		json_put(&json, "delegations", delegations);
	if (issuer != NULL)
		json_put(&json, "issuer", issuer);
	for (i = 0; i < (int) lengthof(captured_settings); i++)
	{
		const char *value = GetConfigOption(captured_settings[i], true, false);

		if (value != NULL)
			json_put(&json, captured_settings[i], value);
	}
	appendStringInfoChar(&json, '}');
	return canonical_context(json.data);
}

char *
warden_capture_delegations(const char *context)
{
	return json_member(&parse_json(context)->root, "delegations");
}

char *
warden_capture_issuer(const char *context)
{
	return json_member(&parse_json(context)->root, "issuer");
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
	Jsonb	   *jsonb = parse_json(context);
	char	   *path = json_member(&jsonb->root, "search_path");
	int			i;

	/* Temporary tables of whoever applies must not shadow anything. */
	if (path == NULL)
		elog(ERROR, "a recorded change has no search_path");
	set_locally("search_path", path[0] == '\0' ? "pg_temp" :
				psprintf("%s, pg_temp", path));
	for (i = 0; i < (int) lengthof(captured_settings); i++)
	{
		char	   *value = json_member(&jsonb->root, captured_settings[i]);

		if (value != NULL &&
			GetConfigOption(captured_settings[i], true, false) != NULL)
			set_locally(captured_settings[i], value);
	}
	set_locally("session_replication_role", "origin");
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
	json_put(json, "type", OidIsValid(param->ptype) ?
			 format_type_extended(param->ptype, -1,
								  FORMAT_TYPE_FORCE_QUALIFY) : "-");
	json_put(json, "oid", psprintf("%u", param->ptype));
	json_put(json, "value", value);
	appendStringInfoChar(json, '}');
}

char *
warden_capture_params(ParamListInfo params)
{
	StringInfoData json;
	int			i;

	if (params == NULL || params->numParams == 0)
		return NULL;
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
	appendStringInfoChar(&json, ']');
	return warden_capture_canonical(json.data);
}

/* The value itself, or the row images that it refers to. */
static char *
param_value(JsonbContainer *param)
{
	char	   *image = json_member(param, "image");
	char	   *side = json_member(param, "side");
	char	   *sha256 = json_member(param, "sha256");

	if (image == NULL || side == NULL || sha256 == NULL)
		return json_member(param, "value");
	return warden_images_fetch(image, strcmp(side, "old") == 0, sha256);
}

int
warden_capture_replay(const char *parameters, Oid **types, Datum **values,
					  char **nulls)
{
	List	   *elements;
	ListCell   *cell;
	int			n = 0;

	*types = NULL;
	*values = NULL;
	*nulls = NULL;
	if (parameters == NULL)
		return 0;
	elements = json_elements(parameters);
	*types = palloc0(list_length(elements) * sizeof(Oid));
	*values = palloc0(list_length(elements) * sizeof(Datum));
	*nulls = palloc0(list_length(elements) + 1);
	foreach(cell, elements)
	{
		char	   *value = param_value(lfirst(cell));
		char	   *type = json_member(lfirst(cell), "oid");
		Oid			input;
		Oid			ioparam;

		(*types)[n] = type != NULL ? atooid(type) : InvalidOid;
		(*nulls)[n] = 'n';
		if (value != NULL && OidIsValid((*types)[n]))
		{
			getTypeInputInfo((*types)[n], &input, &ioparam);
			(*values)[n] = OidInputFunctionCall(input, value, ioparam, -1);
			(*nulls)[n] = ' ';
		}
		n++;
	}
	return n;
}

List *
warden_capture_values(const char *parameters)
{
	List	   *values = NIL;
	ListCell   *cell;

	foreach(cell, parameters != NULL ? json_elements(parameters) : NIL)
		values = lappend(values, json_member(lfirst(cell), "value"));
	return values;
}

/* ---- objects ------------------------------------------------------------ */

/* Functions are replaced under the same OID: what made this row counts. */
static void
hash_function_in(StringInfo hash, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	hash_number_in(hash, function);
	if (!HeapTupleIsValid(tuple))
		return;
	hash_number_in(hash, HeapTupleHeaderGetRawXmin(tuple->t_data));
	ReleaseSysCache(tuple);
}

/* All functions of the same name in the same schema: overloads may win. */
static void
hash_namesakes_in(StringInfo hash, Oid function)
{
	char	   *name = get_func_name(function);
	Oid			schema = get_func_namespace(function);
	CatCList   *list;
	int			i;

	if (name == NULL)
		return;
	list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	for (i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (proc->pronamespace == schema)
		{
			/* the list is in the order of the index */
			hash_number_in(hash, proc->oid);
			hash_number_in(hash, HeapTupleHeaderGetRawXmin(tuple->t_data));
		}
	}
	ReleaseSysCacheList(list);
}

static void
hash_columns_in(StringInfo hash, TupleDesc desc)
{
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		hash_text_in(hash, att->attisdropped ? "" : NameStr(att->attname));
		hash_number_in(hash, att->atttypid);
		hash_number_in(hash, att->atttypmod);
		hash_number_in(hash, att->attcollation);
		hash_number_in(hash, att->attnotnull);
		hash_number_in(hash, att->attidentity);
		hash_number_in(hash, att->attgenerated);
	}
	if (desc->constr == NULL)
		return;
	for (i = 0; i < desc->constr->num_check; i++)
	{
		hash_text_in(hash, desc->constr->check[i].ccname);
		hash_text_in(hash, desc->constr->check[i].ccbin);
	}
	for (i = 0; i < desc->constr->num_defval; i++)
	{
		hash_number_in(hash, desc->constr->defval[i].adnum);
		hash_text_in(hash, desc->constr->defval[i].adbin);
	}
}

/* What CREATE OR REPLACE can change of a trigger that stays the same one. */
static void
hash_trigger_in(StringInfo hash, const Trigger *trigger)
{
	int			i;

	hash_text_in(hash, trigger->tgqual);
	hash_text_in(hash, trigger->tgoldtable);
	hash_text_in(hash, trigger->tgnewtable);
	hash_number_in(hash, trigger->tgdeferrable);
	hash_number_in(hash, trigger->tginitdeferred);
	hash_number_in(hash, trigger->tgnattr);
	for (i = 0; i < trigger->tgnattr; i++)
		hash_number_in(hash, trigger->tgattr[i]);
	hash_number_in(hash, trigger->tgnargs);
	for (i = 0; i < trigger->tgnargs; i++)
		hash_text_in(hash, trigger->tgargs[i]);
}

static void
hash_roles_in(StringInfo hash, ArrayType *roles)
{
	Datum	   *oids;
	int			n;
	int			i;

	deconstruct_array(roles, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids,
					  NULL, &n);
	for (i = 0; i < n; i++)
		hash_number_in(hash, DatumGetObjectId(oids[i]));
}

/* What a write to the relation sets off: triggers, rules, row security. */
static void
hash_reactions_in(StringInfo hash, Relation relation)
{
	ListCell   *cell;
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		hash_number_in(hash, trigger->tgoid);
		hash_number_in(hash, trigger->tgtype);
		hash_number_in(hash, trigger->tgenabled);
		hash_function_in(hash, trigger->tgfoid);
		hash_trigger_in(hash, trigger);
	}
	for (i = 0; relation->rd_rules != NULL &&
		 i < relation->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = relation->rd_rules->rules[i];

		hash_number_in(hash, rule->ruleId);
		hash_number_in(hash, rule->enabled);
		hash_text_in(hash, nodeToString(rule->qual));
		hash_text_in(hash, nodeToString(rule->actions));
	}
	hash_number_in(hash, relation->rd_rel->relrowsecurity);
	hash_number_in(hash, relation->rd_rel->relforcerowsecurity);
	if (relation->rd_rsdesc == NULL)
		return;
	foreach(cell, relation->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		hash_text_in(hash, policy->policy_name);
		hash_number_in(hash, policy->polcmd);
		hash_number_in(hash, policy->permissive);
		hash_roles_in(hash, policy->roles);
		hash_text_in(hash, nodeToString(policy->qual));
		hash_text_in(hash, nodeToString(policy->with_check_qual));
	}
}

/*
 * What a proposal relied on of an object.  Statistics, storage, indexes and
 * grants are left out: approvals must not go stale for what is unrelated.
 */
char *
warden_capture_fingerprint(Oid classid, Oid objid)
{
	StringInfo	hash = hash_begin();

	hash_number_in(hash, classid);
	hash_number_in(hash, objid);
	if (classid == RelationRelationId)
	{
		Relation	relation = try_relation_open(objid, AccessShareLock);

		if (relation != NULL)
		{
			hash_number_in(hash, relation->rd_rel->relkind);
			hash_number_in(hash, relation->rd_rel->relnamespace);
			hash_text_in(hash, RelationGetRelationName(relation));
			hash_columns_in(hash, RelationGetDescr(relation));
			hash_reactions_in(hash, relation);
			relation_close(relation, AccessShareLock);
		}
	}
	else if (classid == ProcedureRelationId)
		hash_namesakes_in(hash, objid);
	else
	{
		ObjectAddress address;

		ObjectAddressSet(address, classid, objid);
		hash_text_in(hash, getObjectIdentity(&address, true));
	}
	return hash_end(hash, 16);
}

char *
warden_capture_hash(const char *text)
{
	StringInfo	hash = hash_begin();

	hash_text_in(hash, text);
	return hash_end(hash, 16);
}

static const char *
use_name(WardenUse use)
{
	switch (use)
	{
		case WARDEN_USE_READ:
			return "read";
		case WARDEN_USE_WRITE:
			return "write";
		case WARDEN_USE_ALTER:
			return "alter";
		case WARDEN_USE_DROP:
			return "drop";
		case WARDEN_USE_CREATE:
			return "create";
	}
	return "?";
}

char *
warden_capture_objects(List *names, const char *text, const char *parameters)
{
	char	   *path = effective_search_path();
	WardenReached reached;
	StringInfoData json;
	ListCell   *cell;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);
		bool		found = OidIsValid(name->address.objectId);

		if (json.len > 1)
			appendStringInfoString(&json, ", ");
		appendStringInfoChar(&json, '{');
		json_put(&json, "spelled", warden_statement_spelling(name));
		json_put(&json, "use", use_name(name->use));
		if (found)
		{
			json_put(&json, "name", getObjectIdentity(&name->address, true));
			json_put(&json, "class", psprintf("%u", name->address.classId));
			json_put(&json, "oid", psprintf("%u", name->address.objectId));
			json_put(&json, "state",
					 warden_capture_fingerprint(name->address.classId,
												name->address.objectId));
		}
		appendStringInfoChar(&json, '}');
	}

	/* last, since the others are counted off against the names */
	appendStringInfoString(&json, json.len > 1 ? ", {" : "{");
	json_put(&json, "path", path);
	warden_reach_state(text, parameters, path, &reached);
	json_put(&json, "reach", reached.state);
	if (reached.dynamic != NULL)
		json_put(&json, reached.set_off ? "sets off" : "calls",
				 reached.dynamic);
	appendStringInfoChar(&json, '}');
	appendStringInfoChar(&json, ']');
	return warden_capture_canonical(json.data);
}

/* The last element of the objects says what the statement reaches. */
static bool
reaches_the_same(const WardenStatement *statement, JsonbContainer *element)
{
	char	   *path = json_member(element, "path");
	char	   *state = json_member(element, "reach");
	WardenReached reached;

	if (path == NULL || state == NULL)
		return false;
	warden_reach_state(statement->statement, statement->parameters, path,
					   &reached);
	return strcmp(reached.state, state) == 0;
}

static char *
find_drift(const WardenStatement *statement, List *names)
{
	List	   *elements = json_elements(statement->objects);
	JsonbContainer *reach = elements != NIL ? llast(elements) : NULL;
	ListCell   *cell;

	elements = list_truncate(elements, list_length(elements) - 1);
	if (reach == NULL ||
		(names != NIL && list_length(names) != list_length(elements)))
		return pstrdup("its statement names other objects now");
	foreach(cell, elements)
	{
		char	   *oid = json_member(lfirst(cell), "oid");
		char	   *class = json_member(lfirst(cell), "class");
		char	   *state = json_member(lfirst(cell), "state");
		char	   *spelled = json_member(lfirst(cell), "spelled");

		/* what did not exist then is made by the change itself */
		if (oid == NULL || class == NULL || state == NULL)
			continue;
		if (names == NIL)
		{
			if (strcmp(warden_capture_fingerprint(atooid(class), atooid(oid)),
					   state) != 0)
				return psprintf("%s has changed since", spelled);
		}
		else
		{
			WardenName *name = list_nth(names, foreach_current_index(cell));

			if (OidIsValid(name->address.objectId) &&
				name->address.objectId != atooid(oid))
				return psprintf("%s means another object now", spelled);
		}
	}
	if (names == NIL && !reaches_the_same(statement, reach))
		return pstrdup("something that it calls or sets off has changed since");
	return NULL;
}

char *
warden_capture_drift(const WardenStatement *statement, List *names)
{
	WardenLook	look;
	char	   *drift;

	warden_look_begin(&look, "comparing the objects of the change with those of its proposal");
	drift = find_drift(statement, names);
	warden_look_end(&look);
	return drift;
}

char *
warden_capture_dynamic(const char *objects, bool *set_off)
{
	List	   *elements = json_elements(objects);
	char	   *dynamic = json_member(llast(elements), "calls");

	*set_off = dynamic == NULL;
	return dynamic != NULL ? dynamic :
		json_member(llast(elements), "sets off");
}

/* The scopes of approval rules that a relation falls under. */
static List *
relation_scopes(Oid relid, List *scopes)
{
	const WardenRelation *labels = warden_policy_relation(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	int			i;

	if (schema != NULL)
		scopes = lappend(scopes, psprintf("schema:%s", schema));
	for (i = 0; labels != NULL && i < labels->ncolumns; i++)
		scopes = lappend(scopes,
						 psprintf("label:%s", labels->columns[i].type));
	return scopes;
}

List *
warden_capture_scopes(const char *objects, List *scopes)
{
	ListCell   *cell;

	foreach(cell, json_elements(objects))
	{
		char	   *oid = json_member(lfirst(cell), "oid");
		char	   *class = json_member(lfirst(cell), "class");

		if (oid != NULL && class != NULL &&
			atooid(class) == RelationRelationId)
			scopes = relation_scopes(atooid(oid), scopes);
		if (list_length(scopes) > 1000)
			break;
	}
	return scopes;
}

List *
warden_capture_targets(const char *objects)
{
	List	   *targets = NIL;
	ListCell   *cell;

	foreach(cell, json_elements(objects))
	{
		char	   *oid = json_member(lfirst(cell), "oid");
		char	   *class = json_member(lfirst(cell), "class");
		char	   *use = json_member(lfirst(cell), "use");

		if (oid != NULL && class != NULL && use != NULL &&
			atooid(class) == RelationRelationId &&
			strcmp(use, "read") != 0)
			targets = list_append_unique_oid(targets, atooid(oid));
	}
	return targets;
}
