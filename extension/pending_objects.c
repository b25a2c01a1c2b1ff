/*-------------------------------------------------------------------------
 * pending_objects.c
 *	  The objects that a recorded statement names, with a fingerprint of each
 *	  and the state of all that it reaches; and whether that is still so.
 *
 * Statistics, storage, indexes and grants are left out of a fingerprint:
 * approvals must not go stale for what is unrelated.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "storage/sinval.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "pending.h"
#include "pending_hash.h"
#include "pending_json.h"
#include "policy.h"
#include "statement.h"

/* ---- fingerprints -------------------------------------------------------- */

/* Functions are replaced under the same OID: what made this row counts. */
static void
hash_function_in(StringInfo hash, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	warden_hash_number(hash, function);
	if (!HeapTupleIsValid(tuple))
		return;
	warden_hash_number(hash, HeapTupleHeaderGetRawXmin(tuple->t_data));
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
			warden_hash_number(hash, proc->oid);
			warden_hash_number(hash, HeapTupleHeaderGetRawXmin(tuple->t_data));
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

		warden_hash_text(hash, att->attisdropped ? "" : NameStr(att->attname));
		warden_hash_number(hash, att->atttypid);
		warden_hash_number(hash, att->atttypmod);
		warden_hash_number(hash, att->attcollation);
		warden_hash_number(hash, att->attnotnull);
		warden_hash_number(hash, att->attidentity);
		warden_hash_number(hash, att->attgenerated);
	}
	if (desc->constr == NULL)
		return;
	for (i = 0; i < desc->constr->num_check; i++)
	{
		warden_hash_text(hash, desc->constr->check[i].ccname);
		warden_hash_text(hash, desc->constr->check[i].ccbin);
	}
	for (i = 0; i < desc->constr->num_defval; i++)
	{
		warden_hash_number(hash, desc->constr->defval[i].adnum);
		warden_hash_text(hash, desc->constr->defval[i].adbin);
	}
}

/* What CREATE OR REPLACE can change of a trigger that stays the same one. */
static void
hash_trigger_in(StringInfo hash, const Trigger *trigger)
{
	int			i;

	warden_hash_text(hash, trigger->tgqual);
	warden_hash_text(hash, trigger->tgoldtable);
	warden_hash_text(hash, trigger->tgnewtable);
	warden_hash_number(hash, trigger->tgdeferrable);
	warden_hash_number(hash, trigger->tginitdeferred);
	warden_hash_number(hash, trigger->tgnattr);
	for (i = 0; i < trigger->tgnattr; i++)
		warden_hash_number(hash, trigger->tgattr[i]);
	warden_hash_number(hash, trigger->tgnargs);
	for (i = 0; i < trigger->tgnargs; i++)
		warden_hash_text(hash, trigger->tgargs[i]);
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
		warden_hash_number(hash, DatumGetObjectId(oids[i]));
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

		warden_hash_number(hash, trigger->tgoid);
		warden_hash_number(hash, trigger->tgtype);
		warden_hash_number(hash, trigger->tgenabled);
		hash_function_in(hash, trigger->tgfoid);
		hash_trigger_in(hash, trigger);
	}
	for (i = 0; relation->rd_rules != NULL &&
		 i < relation->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = relation->rd_rules->rules[i];

		warden_hash_number(hash, rule->ruleId);
		warden_hash_number(hash, rule->enabled);
		warden_hash_text(hash, nodeToString(rule->qual));
		warden_hash_text(hash, nodeToString(rule->actions));
	}
	warden_hash_number(hash, relation->rd_rel->relrowsecurity);
	warden_hash_number(hash, relation->rd_rel->relforcerowsecurity);
	if (relation->rd_rsdesc == NULL)
		return;
	foreach(cell, relation->rd_rsdesc->policies)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		warden_hash_text(hash, policy->policy_name);
		warden_hash_number(hash, policy->polcmd);
		warden_hash_number(hash, policy->permissive);
		hash_roles_in(hash, policy->roles);
		warden_hash_text(hash, nodeToString(policy->qual));
		warden_hash_text(hash, nodeToString(policy->with_check_qual));
	}
}

char *
warden_capture_fingerprint(Oid classid, Oid objid)
{
	StringInfo	hash = warden_hash_begin();

	warden_hash_number(hash, classid);
	warden_hash_number(hash, objid);
	if (classid == RelationRelationId)
	{
		Relation	relation = try_relation_open(objid, AccessShareLock);

		if (relation != NULL)
		{
			warden_hash_number(hash, relation->rd_rel->relkind);
			warden_hash_number(hash, relation->rd_rel->relnamespace);
			warden_hash_text(hash, RelationGetRelationName(relation));
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
		warden_hash_text(hash, getObjectIdentity(&address, true));
	}
	return warden_hash_end(hash, 16);
}

char *
warden_capture_hash(const char *text)
{
	StringInfo	hash = warden_hash_begin();

	warden_hash_text(hash, text);
	return warden_hash_end(hash, 16);
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

/* ---- recording ----------------------------------------------------------- */

/*
 * What was recorded of statements with these words and names, as long as no
 * message has come that a catalog has changed.  What the catalogs say is looked
 * up anew when a change is reviewed, approved or applied: should something be
 * out of date here, the change is stale.
 */
#define KNOWN_OBJECTS	8
#define KNOWN_MAX_BYTES	16384

typedef struct KnownObjects
{
	uint64		messages;		/* that had been read by then */
	char	   *key;			/* in TopMemoryContext, NULL: not in use */
	char	   *objects;		/* the same */
} KnownObjects;

static KnownObjects known_objects[KNOWN_OBJECTS];

/*
 * All that the objects follow from besides the catalogs; NULL where the
 * literals count as well, or this transaction may have changed a catalog.
 */
static char *
key_of(List *names, RawStmt *raw, const char *text, const char *parameters,
	   const char *path)
{
	StringInfoData key;
	ListCell   *cell;

	if (!warden_statement_is_dml(raw->stmt) ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return NULL;
	initStringInfo(&key);
	appendStringInfo(&key, "%s\n%d\n%s\n", path, quote_all_identifiers,
					 warden_statement_code(text));
	foreach(cell, names)
	{
		const WardenName *name = lfirst(cell);

		appendStringInfo(&key, "%d %u %u\n", name->use,
						 name->address.classId, name->address.objectId);
	}
	foreach(cell, warden_capture_types(parameters))
		appendStringInfo(&key, "%u\n", lfirst_oid(cell));
	return key.data;
}

static const char *
find_known(const char *key)
{
	int			i;

	for (i = 0; i < KNOWN_OBJECTS; i++)
	{
		if (known_objects[i].key != NULL &&
			known_objects[i].messages == SharedInvalidMessageCounter &&
			strcmp(known_objects[i].key, key) == 0)
			return known_objects[i].objects;
	}
	return NULL;
}

static void
remember(const char *key, const char *objects, uint64 messages)
{
	static int	next = 0;
	KnownObjects *known = &known_objects[next];

	if (strlen(key) + strlen(objects) > KNOWN_MAX_BYTES)
		return;
	next = (next + 1) % KNOWN_OBJECTS;
	if (known->key != NULL)
		pfree(known->key);
	known->key = NULL;
	if (known->objects != NULL)
		pfree(known->objects);
	known->objects = NULL;		/* an error may come between */
	known->objects = MemoryContextStrdup(TopMemoryContext, objects);
	known->messages = messages;
	known->key = MemoryContextStrdup(TopMemoryContext, key);
}

static void
put_name(StringInfo json, const WardenName *name)
{
	appendStringInfoChar(json, '{');
	warden_json_put(json, "spelled", warden_statement_spelling(name));
	warden_json_put(json, "use", use_name(name->use));
	if (OidIsValid(name->address.objectId))
	{
		warden_json_put(json, "name", getObjectIdentity(&name->address, true));
		warden_json_put(json, "class", psprintf("%u", name->address.classId));
		warden_json_put(json, "oid", psprintf("%u", name->address.objectId));
		warden_json_put(json, "state",
						warden_capture_fingerprint(name->address.classId,
												   name->address.objectId));
	}
	appendStringInfoString(json, "}, ");
}

char *
warden_capture_objects(List *names, RawStmt *raw, const char *text,
					   const char *parameters)
{
	char	   *path = warden_capture_path();
	char	   *key = key_of(names, raw, text, parameters, path);
	const char *known = key != NULL ? find_known(key) : NULL;
	uint64		messages = SharedInvalidMessageCounter;
	WardenReached reached;
	StringInfoData json;
	ListCell   *cell;
	char	   *objects;

	if (known != NULL)
		return pstrdup(known);
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	foreach(cell, names)
		put_name(&json, lfirst(cell));

	/* last, since the others are counted off against the names */
	appendStringInfoChar(&json, '{');
	warden_json_put(&json, "path", path);
	warden_reach_state(text, parameters, path, &reached);
	warden_json_put(&json, "reach", reached.state);
	if (reached.dynamic != NULL)
		warden_json_put(&json, reached.set_off ? "sets off" : "calls",
						reached.dynamic);
	appendStringInfoString(&json, "}]");
	objects = warden_json_canonical(json.data);
	if (key != NULL && !reached.literals)
		remember(key, objects, messages);
	return objects;
}

/* ---- comparing ----------------------------------------------------------- */

/* The last element of the objects says what the statement reaches. */
static bool
reaches_the_same(const WardenStatement *statement, JsonbContainer *element)
{
	char	   *path = warden_json_member(element, "path");
	char	   *state = warden_json_member(element, "reach");
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
	List	   *elements = warden_json_elements(statement->objects);
	JsonbContainer *reach = elements != NIL ? llast(elements) : NULL;
	ListCell   *cell;

	elements = list_truncate(elements, list_length(elements) - 1);
	if (reach == NULL ||
		(names != NIL && list_length(names) != list_length(elements)))
		return pstrdup("its statement names other objects now");
	foreach(cell, elements)
	{
		char	   *oid = warden_json_member(lfirst(cell), "oid");
		char	   *class = warden_json_member(lfirst(cell), "class");
		char	   *state = warden_json_member(lfirst(cell), "state");
		char	   *spelled = warden_json_member(lfirst(cell), "spelled");

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
	List	   *elements = warden_json_elements(objects);
	char	   *dynamic = warden_json_member(llast(elements), "calls");

	*set_off = dynamic == NULL;
	return dynamic != NULL ? dynamic :
		warden_json_member(llast(elements), "sets off");
}

static bool
relations_walker(Node *node, void *context)
{
	List	  **relations = context;
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, relations_walker, context);
	foreach(cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);

		if (rte->rtekind == RTE_RELATION)
			*relations = list_append_unique_oid(*relations, rte->relid);
	}
	return query_tree_walker((Query *) node, relations_walker, context, 0);
}

/* What a view reads. */
static List *
relations_of_view(Oid relid)
{
	Relation	view = RelationIdGetRelation(relid);
	List	   *relations = NIL;

	if (!RelationIsValid(view))
		return NIL;
	if (view->rd_rel->relkind == RELKIND_VIEW)
		(void) relations_walker((Node *) get_view_query(view), &relations);
	RelationClose(view);
	/* a view's query may have the view itself in it, for its rules */
	return list_delete_oid(relations, relid);
}

/* Each once: however many statements a change has, none of its scopes is left
 * out. */
static List *
add_scope(List *scopes, char *scope)
{
	ListCell   *cell;

	foreach(cell, scopes)
	{
		if (strcmp(lfirst(cell), scope) == 0)
			return scopes;
	}
	return lappend(scopes, scope);
}

/* The scopes of approval rules that a relation falls under, a view also under
 * those of what it reads. */
static List *
relation_scopes(Oid relid, List *scopes, List **seen)
{
	const WardenRelation *labels = warden_policy_relation(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	ListCell   *lc;
	int			i;

	if (list_member_oid(*seen, relid))
		return scopes;
	*seen = lappend_oid(*seen, relid);
	if (schema != NULL)
		scopes = add_scope(scopes, psprintf("schema:%s", schema));
	for (i = 0; labels != NULL && i < labels->ncolumns; i++)
	{
		const WardenColumn *column = &labels->columns[i];

		scopes = add_scope(scopes, psprintf("label:%s", column->type));
		foreach(lc, column->others)
			scopes = add_scope(scopes,
							   psprintf("label:%s", (char *) lfirst(lc)));
	}
	if (get_rel_relkind(relid) == RELKIND_VIEW)
	{
		check_stack_depth();
		foreach(lc, relations_of_view(relid))
			scopes = relation_scopes(lfirst_oid(lc), scopes, seen);
	}
	return scopes;
}

List *
warden_capture_scopes(const char *objects, List *scopes)
{
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, warden_json_elements(objects))
	{
		char	   *oid = warden_json_member(lfirst(cell), "oid");
		char	   *class = warden_json_member(lfirst(cell), "class");

		if (oid != NULL && class != NULL &&
			atooid(class) == RelationRelationId)
			scopes = relation_scopes(atooid(oid), scopes, &seen);
	}
	return scopes;
}

List *
warden_capture_targets(const char *objects)
{
	List	   *targets = NIL;
	ListCell   *cell;

	foreach(cell, warden_json_elements(objects))
	{
		char	   *oid = warden_json_member(lfirst(cell), "oid");
		char	   *class = warden_json_member(lfirst(cell), "class");
		char	   *use = warden_json_member(lfirst(cell), "use");

		if (oid != NULL && class != NULL && use != NULL &&
			atooid(class) == RelationRelationId &&
			strcmp(use, "read") != 0)
			targets = list_append_unique_oid(targets, atooid(oid));
	}
	return targets;
}
