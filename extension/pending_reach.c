/*-------------------------------------------------------------------------
 * pending_reach.c
 *	  Everything that a recorded statement could run when it is applied: the
 *	  functions, operators and types that its words could mean in the captured
 *	  path, and what these and its tables call or set off in turn, through
 *	  defaults, constraints, index expressions, triggers, rules, policies,
 *	  views, children, cascades, domains and the bodies of functions.
 *
 * A body in a language is text; so is the statement, whose names can come to
 * mean something else when somebody makes an overload.  Both are read word by
 * word, and every object that a word could name counts, whichever of them the
 * parser would choose: a word too many makes a change stale that need not be,
 * one too few would let approved text run code that nobody has seen.
 *
 * What came with the server is left out: only superusers change that.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/scansup.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "catalog.h"
#include "pending.h"
#include "statement.h"
#include "warden.h"

#define OPERATOR_CHARACTERS "~!@#^&|`?+-*/%<>="

typedef struct ReachedObject
{
	Oid			classid;
	Oid			objid;
} ReachedObject;

typedef struct Word
{
	Oid			schema;			/* that qualifies it, or InvalidOid */
	char		name[NAMEDATALEN];
} Word;

typedef struct Reach
{
	HTAB	   *seen;			/* of ReachedObject */
	List	   *objects;		/* of ReachedObject *, in order of finding */
	List	   *path;			/* OIDs of schemas */
	bool		reads;			/* only what a reader of relations sets off */
} Reach;

static void
reach_object(Reach *reach, Oid classid, Oid objid)
{
	ReachedObject key = {classid, objid};
	ReachedObject *entry;
	bool		found;

	if (objid < FirstNormalObjectId)
		return;
	entry = hash_search(reach->seen, &key, HASH_ENTER, &found);
	if (!found)
		reach->objects = lappend(reach->objects, entry);
}

/* ---- words -------------------------------------------------------------- */

static bool
in_schemas(List *schemas, Oid namespace)
{
	return list_member_oid(schemas, namespace) &&
		namespace != warden_catalog_schema();
}

static void
reach_functions(Reach *reach, const char *name, List *schemas)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		if (in_schemas(schemas, proc->pronamespace))
			reach_object(reach, ProcedureRelationId, proc->oid);
	}
	ReleaseSysCacheList(list);
}

static void
reach_operators(Reach *reach, const char *name, List *schemas)
{
	CatCList   *list = SearchSysCacheList1(OPERNAMENSP,
										   CStringGetDatum(name));
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_operator op = (Form_pg_operator)
			GETSTRUCT(&list->members[i]->tuple);

		if (in_schemas(schemas, op->oprnamespace))
			reach_object(reach, OperatorRelationId, op->oid);
	}
	ReleaseSysCacheList(list);
}

static void
reach_name(Reach *reach, const char *name, Oid qualifier)
{
	List	   *schemas = OidIsValid(qualifier) ?
		list_make1_oid(qualifier) : reach->path;
	ListCell   *cell;

	if (strchr(OPERATOR_CHARACTERS, name[0]) != NULL)
	{
		reach_operators(reach, name, schemas);
		return;
	}
	reach_functions(reach, name, schemas);
	foreach(cell, schemas)
	{
		Oid			schema = lfirst_oid(cell);

		if (schema == warden_catalog_schema())
			continue;
		reach_object(reach, TypeRelationId,
					 GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									 CStringGetDatum(name),
									 ObjectIdGetDatum(schema)));
		reach_object(reach, RelationRelationId,
					 get_relname_relid(name, schema));
	}
}

static bool
is_word_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

/* The end of a word or an operator that begins at p, or p. */
static const char *
word_end(const char *p)
{
	const char *end = p;

	if (is_word_start(*p))
	{
		while (is_word_start(*end) || isdigit((unsigned char) *end) ||
			   *end == '$')
			end++;
	}
	else
	{
		while (*end != '\0' && strchr(OPERATOR_CHARACTERS, *end) != NULL)
			end++;
	}
	return end;
}

/* A name in double quotes, which ends at the next one. */
static const char *
quoted_name(const char *p, char *name)
{
	const char *end = strchr(p + 1, '"');
	size_t		length = end != NULL ? (size_t) (end - p - 1) : 0;

	if (end == NULL)
		return p + 1;
	strlcpy(name, p + 1, Min(length + 1, NAMEDATALEN));
	return end + 1;
}

static void
reach_word(Reach *reach, HTAB *words, const char *name, Oid qualifier)
{
	Word		word;
	bool		found;

	memset(&word, 0, sizeof(word));
	word.schema = qualifier;
	strlcpy(word.name, name, NAMEDATALEN);
	(void) hash_search(words, &word, HASH_ENTER, &found);
	if (!found)
		reach_name(reach, word.name, qualifier);
}

/* The scanner may end an operator before the run of characters does. */
static void
reach_operator_run(Reach *reach, HTAB *words, const char *run, Oid qualifier)
{
	size_t		start;
	size_t		length;

	for (start = 0; run[start] != '\0'; start++)
	{
		for (length = strlen(run + start); length > 0; length--)
			reach_word(reach, words, pnstrdup(run + start, length), qualifier);
	}
}

/* White space and comments. */
static const char *
blanks_end(const char *p)
{
	for (;;)
	{
		if (isspace((unsigned char) *p))
			p++;
		else if (strncmp(p, "--", 2) == 0)
			p += strcspn(p, "\r\n");
		else if (strncmp(p, "/*", 2) == 0 && strstr(p, "*/") != NULL)
			p = strstr(p, "*/") + 2;
		else
			return p;
	}
}

/* "schema . name" with blanks, from the end of what may be a schema's name. */
static void
reach_apart(Reach *reach, HTAB *words, const char *end, const char *schema)
{
	const char *dot = blanks_end(end);
	const char *start = *dot == '.' ? blanks_end(dot + 1) : dot;
	Oid			qualifier;
	char		name[NAMEDATALEN] = "";

	if (*dot != '.' || start == end + 1)
		return;
	qualifier = get_namespace_oid(schema, true);
	if (!OidIsValid(qualifier))
		return;
	if (*start == '"')
		(void) quoted_name(start, name);
	else if (is_word_start(*start))
		strlcpy(name, downcase_truncate_identifier(start,
												   word_end(start) - start,
												   false), NAMEDATALEN);
	else
		reach_operator_run(reach, words,
						   pnstrdup(start, word_end(start) - start),
						   qualifier);
	if (name[0] != '\0')
		reach_word(reach, words, name, qualifier);
}

/*
 * What the words of a text name.  In a body literals count, which can be
 * statements; and comments, since who is to say where a literal ends.
 */
static void
reach_text(Reach *reach, const char *text)
{
	HASHCTL		ctl = {.keysize = sizeof(Word), .entrysize = sizeof(Word),
	.hcxt = CurrentMemoryContext};
	HTAB	   *words = hash_create("warden words", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Oid			qualifier = InvalidOid;
	const char *p = text;

	while (*p != '\0')
	{
		char		name[NAMEDATALEN] = "";
		const char *end = word_end(p);

		if (end > p && is_word_start(*p))
			strlcpy(name, downcase_truncate_identifier(p, end - p, false),
					NAMEDATALEN);
		else if (end > p)
			strlcpy(name, p, Min(end - p + 1, NAMEDATALEN));
		else if (*p == '"')
			end = quoted_name(p, name);
		else
			end = p + 1;
		if (name[0] != '\0')
		{
			if (strchr(OPERATOR_CHARACTERS, name[0]) != NULL)
				reach_operator_run(reach, words, name, qualifier);
			else
			{
				reach_word(reach, words, name, qualifier);
				reach_apart(reach, words, end, name);
			}
			qualifier = *end == '.' ? get_namespace_oid(name, true) :
				InvalidOid;
		}
		else if (*p != '.' && !isspace((unsigned char) *p))
			qualifier = InvalidOid;
		p = end;
		CHECK_FOR_INTERRUPTS();
	}
	hash_destroy(words);
}

/* ---- expressions -------------------------------------------------------- */

static bool
reach_function_id(Oid function, void *context)
{
	reach_object(context, ProcedureRelationId, function);
	return false;
}

static bool
reach_walker(Node *node, Reach *reach)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, reach_function_id, reach);
	if (IsA(node, CoerceToDomain))
		reach_object(reach, TypeRelationId,
					 ((CoerceToDomain *) node)->resulttype);
	else if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			reach_object(reach, RelationRelationId,
						 ((RangeTblEntry *) node)->relid);
		return false;
	}
	else if (IsA(node, Query))
		return query_tree_walker((Query *) node, reach_walker, reach,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reach_walker, reach);
}

static void
reach_stored(Reach *reach, const char *stored)
{
	if (stored != NULL && stored[0] != '\0')
		(void) reach_walker(stringToNode(stored), reach);
}

/* ---- relations ---------------------------------------------------------- */

static void
reach_columns(Reach *reach, TupleDesc desc)
{
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			reach_object(reach, TypeRelationId,
						 TupleDescAttr(desc, i)->atttypid);
	}
	if (desc->constr == NULL)
		return;
	for (i = 0; i < desc->constr->num_check; i++)
		reach_stored(reach, desc->constr->check[i].ccbin);
	for (i = 0; i < desc->constr->num_defval; i++)
		reach_stored(reach, desc->constr->defval[i].adbin);
}

static bool
is_cascade(Oid function)
{
	return function == F_RI_FKEY_CASCADE_DEL ||
		function == F_RI_FKEY_CASCADE_UPD ||
		function == F_RI_FKEY_SETNULL_DEL ||
		function == F_RI_FKEY_SETNULL_UPD ||
		function == F_RI_FKEY_SETDEFAULT_DEL ||
		function == F_RI_FKEY_SETDEFAULT_UPD;
}

static void
reach_triggers(Reach *reach, Relation relation)
{
	int			i;

	for (i = 0; relation->trigdesc != NULL &&
		 i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		reach_object(reach, ProcedureRelationId, trigger->tgfoid);
		if (trigger->tgqual != NULL)
			reach_stored(reach, trigger->tgqual);
		if (is_cascade(trigger->tgfoid))
			reach_object(reach, RelationRelationId, trigger->tgconstrrelid);
	}
}

static void
reach_rules(Reach *reach, Relation relation)
{
	ListCell   *cell;
	int			i;

	for (i = 0; relation->rd_rules != NULL &&
		 i < relation->rd_rules->numLocks; i++)
	{
		(void) reach_walker(relation->rd_rules->rules[i]->qual, reach);
		(void) reach_walker((Node *) relation->rd_rules->rules[i]->actions,
							reach);
	}
	foreach(cell, relation->rd_rsdesc != NULL ?
			relation->rd_rsdesc->policies : NIL)
	{
		RowSecurityPolicy *policy = lfirst(cell);

		(void) reach_walker((Node *) policy->qual, reach);
		(void) reach_walker((Node *) policy->with_check_qual, reach);
	}
}

/* As stored: the relation cache has inlined what the expressions call. */
static void
reach_indexes(Reach *reach, Relation relation)
{
	ListCell   *cell;

	if (!relation->rd_rel->relhasindex)
		return;
	foreach(cell, RelationGetIndexList(relation))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID,
											ObjectIdGetDatum(lfirst_oid(cell)));
		Datum		stored;
		bool		isnull;

		if (!HeapTupleIsValid(tuple))
			continue;
		stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indexprs,
								 &isnull);
		if (!isnull)
			reach_stored(reach, TextDatumGetCString(stored));
		stored = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred,
								 &isnull);
		if (!isnull)
			reach_stored(reach, TextDatumGetCString(stored));
		ReleaseSysCache(tuple);
	}
}

/* What else a statement sets off that writes the relation. */
static void
reach_written(Reach *reach, Relation relation)
{
	char		kind = relation->rd_rel->relkind;

	reach_columns(reach, RelationGetDescr(relation));
	reach_triggers(reach, relation);
	if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_MATVIEW)
		reach_indexes(reach, relation);
}

static char *
reach_relation(Reach *reach, Oid relid)
{
	Relation	relation = try_relation_open(relid, AccessShareLock);
	ListCell   *cell;

	if (relation == NULL)
		return pstrdup("gone");
	if (relation->rd_rel->relnamespace == warden_catalog_schema())
	{
		relation_close(relation, AccessShareLock);
		return pstrdup("ours");
	}
	reach_rules(reach, relation);
	if (!reach->reads)
		reach_written(reach, relation);
	if (relation->rd_rel->relhassubclass)
	{
		foreach(cell, find_inheritance_children(relid, NoLock))
			reach_object(reach, RelationRelationId, lfirst_oid(cell));
	}
	relation_close(relation, AccessShareLock);
	return warden_capture_fingerprint(RelationRelationId, relid);
}

/* ---- functions, operators, types ---------------------------------------- */

static void
reach_aggregate(Reach *reach, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	reach_object(reach, ProcedureRelationId, form->aggtransfn);
	reach_object(reach, ProcedureRelationId, form->aggfinalfn);
	reach_object(reach, ProcedureRelationId, form->aggcombinefn);
	reach_object(reach, ProcedureRelationId, form->aggmtransfn);
	reach_object(reach, ProcedureRelationId, form->aggminvtransfn);
	reach_object(reach, ProcedureRelationId, form->aggmfinalfn);
	ReleaseSysCache(tuple);
}

static List *
parse_path(const char *text, List *path)
{
	List	   *names;
	ListCell   *cell;

	if (!SplitIdentifierString(pstrdup(text), ',', &names))
		return path;
	foreach(cell, names)
	{
		Oid			schema = get_namespace_oid(lfirst(cell), true);

		if (OidIsValid(schema))
			path = list_append_unique_oid(path, schema);
	}
	return path;
}

/* The path that the function sets for itself, if any, joins the caller's. */
static List *
function_path(HeapTuple tuple, List *path)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, tuple,
										 Anum_pg_proc_proconfig, &isnull);
	Datum	   *settings;
	int			n;
	int			i;

	if (isnull)
		return path;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &settings, NULL, &n);
	for (i = 0; i < n; i++)
	{
		char	   *setting = TextDatumGetCString(settings[i]);

		if (strncmp(setting, "search_path=", 12) == 0)
			path = parse_path(setting + 12, list_copy(path));
	}
	return path;
}

static char *
reach_function(Reach *reach, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	List	   *path = reach->path;
	Form_pg_proc form;
	Datum		body;
	bool		isnull;
	char	   *state;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("gone");
	form = (Form_pg_proc) GETSTRUCT(tuple);
	state = psprintf("%u", HeapTupleHeaderGetRawXmin(tuple->t_data));
	if (form->prokind == PROKIND_AGGREGATE)
		reach_aggregate(reach, function);
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
		reach_stored(reach, TextDatumGetCString(body));
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (!isnull && form->prolang != ClanguageId &&
		form->prolang != INTERNALlanguageId)
	{
		reach->path = function_path(tuple, path);
		reach_text(reach, TextDatumGetCString(body));
		reach->path = path;
	}
	ReleaseSysCache(tuple);
	return state;
}

static char *
reach_operator(Reach *reach, Oid operator)
{
	Oid			function = get_opcode(operator);

	reach_object(reach, ProcedureRelationId, function);
	return psprintf("%u", function);
}

static void
reach_domain_constraints(Reach *reach, Oid type, StringInfo state)
{
	Relation	rel = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, ConstraintTypidIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		stored = heap_getattr(tuple, Anum_pg_constraint_conbin,
										  RelationGetDescr(rel), &isnull);

		if (isnull)
			continue;
		reach_stored(reach, TextDatumGetCString(stored));
		appendStringInfo(state, " %s", TextDatumGetCString(stored));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static char *
reach_type(Reach *reach, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;
	StringInfoData state;
	Datum		stored;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("gone");
	form = (Form_pg_type) GETSTRUCT(tuple);
	initStringInfo(&state);
	appendStringInfo(&state, "%c %u %d", form->typtype, form->typbasetype,
					 form->typnotnull);
	reach_object(reach, TypeRelationId, form->typbasetype);
	reach_object(reach, TypeRelationId, form->typelem);
	reach_object(reach, ProcedureRelationId, form->typinput);
	reach_object(reach, ProcedureRelationId, form->typoutput);
	if (form->typtype == TYPTYPE_DOMAIN)
	{
		stored = SysCacheGetAttr(TYPEOID, tuple, Anum_pg_type_typdefaultbin,
								 &isnull);
		if (!isnull)
		{
			reach_stored(reach, TextDatumGetCString(stored));
			appendStringInfo(&state, " %s", TextDatumGetCString(stored));
		}
		reach_domain_constraints(reach, type, &state);
	}
	ReleaseSysCache(tuple);
	return state.data;
}

/* ---- all of it ---------------------------------------------------------- */

/* Finds what an object reaches, and says what it is like itself. */
static char *
expand(Reach *reach, const ReachedObject *object)
{
	switch (object->classid)
	{
		case RelationRelationId:
			return reach_relation(reach, object->objid);
		case ProcedureRelationId:
			return reach_function(reach, object->objid);
		case OperatorRelationId:
			return reach_operator(reach, object->objid);
		default:
			return reach_type(reach, object->objid);
	}
}

static int
compare_states(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static HTAB *
create_seen(void)
{
	HASHCTL		ctl = {.keysize = sizeof(ReachedObject),
		.entrysize = sizeof(ReachedObject), .hcxt = CurrentMemoryContext};

	return hash_create("warden reach", 64, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static bool
is_reached_type(Reach *reach, Oid type)
{
	ReachedObject key = {TypeRelationId, type};

	return type < FirstNormalObjectId ||
		hash_search(reach->seen, &key, HASH_FIND, NULL) != NULL;
}

/*
 * A cast is used without being named wherever values of its types meet.  True
 * where one of them was found to be among what is reached.
 */
static bool
reach_casts(Reach *reach, List *casts, List **states)
{
	bool		found = false;
	ListCell   *cell;

	foreach(cell, casts)
	{
		WardenCast *cast = lfirst(cell);

		if (cast->used || !is_reached_type(reach, cast->source) ||
			!is_reached_type(reach, cast->target))
			continue;
		cast->used = found = true;
		*states = lappend(*states, cast->state);
		reach_object(reach, ProcedureRelationId, cast->function);
	}
	return found;
}

/* Event triggers act on what is not DML, whatever it names. */
static void
reach_event_triggers(Reach *reach, RawStmt *raw, List **states)
{
	ListCell   *cell;

	if (raw != NULL &&
		(IsA(raw->stmt, InsertStmt) || IsA(raw->stmt, UpdateStmt) ||
		 IsA(raw->stmt, DeleteStmt) || IsA(raw->stmt, MergeStmt)))
		return;
	foreach(cell, warden_look_event_triggers(states))
		reach_object(reach, ProcedureRelationId, lfirst_oid(cell));
}

/* A body as its language gets it: in the statement it is a literal. */
static void
reach_bodies(Reach *reach, Node *stmt)
{
	List	   *options = IsA(stmt, DoStmt) ? ((DoStmt *) stmt)->args :
		IsA(stmt, CreateFunctionStmt) ?
		((CreateFunctionStmt *) stmt)->options : NIL;
	ListCell   *cell;
	ListCell   *body;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "as") != 0)
			continue;
		if (IsA(option->arg, String))
			reach_text(reach, strVal(option->arg));
		else
		{
			foreach(body, castNode(List, option->arg))
				reach_text(reach, strVal(lfirst(body)));
		}
	}
}

char *
warden_reach_state(const char *text, const char *path)
{
	Reach		reach = {.objects = NIL};
	RawStmt    *raw = warden_statement_parse(text);
	List	   *casts = warden_look_casts();
	List	   *states = NIL;
	StringInfoData all;
	ListCell   *cell;
	int			i = 0;

	reach.seen = create_seen();
	reach.path = parse_path(path, NIL);
	reach_text(&reach, raw == NULL ? text : warden_statement_code(text));
	if (raw != NULL)
		reach_bodies(&reach, raw->stmt);
	reach_event_triggers(&reach, raw, &states);
	do
	{
		/* the list grows while it is worked through */
		for (; i < list_length(reach.objects); i++)
		{
			ReachedObject *object = list_nth(reach.objects, i);

			CHECK_FOR_INTERRUPTS();
			states = lappend(states, psprintf("%u %u %s\n", object->classid,
											  object->objid,
											  expand(&reach, object)));
		}
	} while (reach_casts(&reach, casts, &states));
	list_sort(states, compare_states);
	initStringInfo(&all);
	foreach(cell, states)
		appendStringInfoString(&all, lfirst(cell));
	hash_destroy(reach.seen);
	return warden_capture_hash(all.data);
}

List *
warden_reach_reads(Oid function)
{
	Reach		reach = {.objects = NIL, .reads = true};
	List	   *result = NIL;
	int			i;

	reach.seen = create_seen();
	reach_object(&reach, ProcedureRelationId, function);
	/* the list grows while it is worked through */
	for (i = 0; i < list_length(reach.objects); i++)
	{
		ReachedObject *object = list_nth(reach.objects, i);

		CHECK_FOR_INTERRUPTS();
		if (object->classid == RelationRelationId)
			result = lappend_oid(result, object->objid);
		(void) expand(&reach, object);
	}
	hash_destroy(reach.seen);
	return result;
}
