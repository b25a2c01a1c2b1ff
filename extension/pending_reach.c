/*-------------------------------------------------------------------------
 * pending_reach.c
 *	  Everything that a recorded statement could run when it is applied: the
 *	  functions, operators and types that its words could mean in the captured
 *	  path, and what these and its tables call or set off in turn, through
 *	  defaults, constraints, index expressions, triggers, rules, policies,
 *	  views, children, cascades, types and the bodies of functions.
 *
 * A body in a language is text; so is the statement, whose names can come to
 * mean something else when somebody makes an overload.  Both are read word by
 * word, and every object that a word could name counts, whichever of them the
 * parser would choose: a word too many makes a change stale that need not be,
 * one too few would let approved text run code that nobody has seen.
 *
 * Where a function runs SQL that is made when it runs, nobody can say what that
 * reaches.  The literals and parameters of the statement are read as well then,
 * which may be that SQL, and the review says that there is more.  They are read
 * where one may be the name of an object, too, as of a sequence.
 *
 * What came with the server is left out: only superusers change that.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/proclang.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "pending_reach_private.h"
#include "statement.h"

/* Functions of the server that run SQL which they are given. */
static const Oid dynamic_functions[] = {
	F_QUERY_TO_XML,
	F_QUERY_TO_XMLSCHEMA,
	F_QUERY_TO_XML_AND_XMLSCHEMA,
	F_TABLE_TO_XML,
	F_TABLE_TO_XML_AND_XMLSCHEMA,
	F_SCHEMA_TO_XML,
	F_SCHEMA_TO_XML_AND_XMLSCHEMA,
	F_DATABASE_TO_XML,
	F_DATABASE_TO_XML_AND_XMLSCHEMA,
	F_TS_STAT_TEXT,
	F_TS_STAT_TEXT_TEXT,
	F_TS_REWRITE_TSQUERY_TEXT
};

/* The same of extensions of the distribution, by their names in the library. */
static const char *const dynamic_symbols[] = {
	"connectby_text", "connectby_text_serial", "crosstab", "crosstab_hash",
	"dblink_exec", "dblink_open", "dblink_record", "dblink_send_query",
	"xpath_table"
};

/* ---- finding ------------------------------------------------------------ */

void
warden_reach_dynamic(Reach *reach, char *what)
{
	if (reach->dynamic != NULL)
		return;
	reach->literals = true;
	reach->dynamic = what;
	reach->dynamic_set_off = reach->set_off;
}

static char *
describe_function(Oid function)
{
	char	   *schema = get_namespace_name(get_func_namespace(function));

	return psprintf("function %s",
					quote_qualified_identifier(schema,
											   get_func_name(function)));
}

/* Of the server's own functions nothing else counts. */
static void
reach_system_function(Reach *reach, Oid function)
{
	int			i;

	for (i = 0; i < (int) lengthof(dynamic_functions); i++)
	{
		if (function == dynamic_functions[i])
			warden_reach_dynamic(reach, describe_function(function));
	}
}

void
warden_reach_object(Reach *reach, Oid classid, Oid objid)
{
	ReachedObject key = {classid, objid};
	ReachedObject *entry;
	bool		found;

	if (objid < FirstNormalObjectId)
	{
		if (classid == ProcedureRelationId)
			reach_system_function(reach, objid);
		return;
	}
	entry = hash_search(reach->seen, &key, HASH_ENTER, &found);
	if (found)
		return;
	if (classid == RelationRelationId)
		reach->relations = lappend(reach->relations, entry);
	else
		reach->objects = lappend(reach->objects, entry);
}

/* ---- expressions -------------------------------------------------------- */

static bool
reach_function_id(Oid function, void *context)
{
	warden_reach_object(context, ProcedureRelationId, function);
	return false;
}

static bool
reach_walker(Node *node, Reach *reach)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, reach_function_id, reach);
	if (IsA(node, CoerceToDomain))
		warden_reach_object(reach, TypeRelationId,
					 ((CoerceToDomain *) node)->resulttype);
	else if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			warden_reach_object(reach, RelationRelationId,
						 ((RangeTblEntry *) node)->relid);
		return false;
	}
	else if (IsA(node, Query))
		return query_tree_walker((Query *) node, reach_walker, reach,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reach_walker, reach);
}

void
warden_reach_expression(Reach *reach, Node *expression)
{
	(void) reach_walker(expression, reach);
}

void
warden_reach_stored(Reach *reach, const char *stored)
{
	if (stored != NULL && stored[0] != '\0')
		(void) reach_walker(stringToNode(stored), reach);
}

/* ---- functions and operators -------------------------------------------- */

static void
reach_aggregate(Reach *reach, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	warden_reach_object(reach, ProcedureRelationId, form->aggtransfn);
	warden_reach_object(reach, ProcedureRelationId, form->aggfinalfn);
	warden_reach_object(reach, ProcedureRelationId, form->aggcombinefn);
	warden_reach_object(reach, ProcedureRelationId, form->aggmtransfn);
	warden_reach_object(reach, ProcedureRelationId, form->aggminvtransfn);
	warden_reach_object(reach, ProcedureRelationId, form->aggmfinalfn);
	ReleaseSysCache(tuple);
}

/* The path with all schemas of some kind; with a body those that it names. */
static List *
add_schemas(List *path, const char *body)
{
	Relation	rel = table_open(NamespaceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tuple);
		const char *name = NameStr(form->nspname);

		if (body != NULL ? strstr(body, name) != NULL :
			OidIsValid(get_role_oid(name, true)))
			path = list_append_unique_oid(path, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return path;
}

/*
 * "$user" in the path of a function is the schema of whoever calls it: that of
 * any role here, since nobody knows yet who that will be.
 */
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
		else if (strcmp(lfirst(cell), "$user") == 0)
			path = add_schemas(path, NULL);
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

/*
 * Nothing is known of what other languages do, and little of C; nor of a name
 * that only the parser can read.
 */
static bool
runs_made_sql(Form_pg_proc form, const char *body)
{
	int			i;

	if (form->prolang == INTERNALlanguageId ||
		form->prokind == PROKIND_AGGREGATE)
		return false;
	if (form->prolang == SQLlanguageId)
		return warden_reach_hides_names(body);
	if (form->prolang == get_language_oid("plpgsql", true))
		return warden_reach_executes(body) || warden_reach_hides_names(body);
	if (form->prolang != ClanguageId)
		return true;
	for (i = 0; i < (int) lengthof(dynamic_symbols); i++)
	{
		if (strcmp(body, dynamic_symbols[i]) == 0)
			return true;
	}
	return false;
}

/* A body that sets the path may look names up in any schema that it names. */
static List *
body_path(const char *body, List *path)
{
	char	   *lower = asc_tolower(body, strlen(body));

	if (strstr(lower, "search_path") == NULL)
		return path;
	return add_schemas(add_schemas(list_copy(path), body), lower);
}

/*
 * What a function calls has its path, too, however far from it: so that one is
 * kept for all of them.
 */
static void
reach_in_path(Reach *reach, const char *body, List *path)
{
	List	   *outer = reach->path;

	if (path != outer)
		reach->wider = list_concat_unique_oid(reach->wider, path);
	reach->path = path;
	warden_reach_text(reach, body);
	reach->path = outer;
}

/* The types that it takes and returns. */
static void
reach_signature(Reach *reach, HeapTuple tuple, Form_pg_proc form)
{
	bool		isnull;
	Datum		all = SysCacheGetAttr(PROCOID, tuple,
									  Anum_pg_proc_proallargtypes, &isnull);
	Datum	   *types = NULL;
	int			n = 0;
	int			i;

	warden_reach_object(reach, TypeRelationId, form->prorettype);
	for (i = 0; i < form->pronargs; i++)
		warden_reach_object(reach, TypeRelationId,
							form->proargtypes.values[i]);
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(all), OIDOID, sizeof(Oid), true,
						  TYPALIGN_INT, &types, NULL, &n);
	for (i = 0; i < n; i++)
		warden_reach_object(reach, TypeRelationId,
							DatumGetObjectId(types[i]));
}

/* What is called for arguments that a call leaves out. */
static void
reach_defaults(Reach *reach, HeapTuple tuple)
{
	bool		isnull;
	Datum		defaults = SysCacheGetAttr(PROCOID, tuple,
										   Anum_pg_proc_proargdefaults,
										   &isnull);

	if (!isnull)
		warden_reach_stored(reach, TextDatumGetCString(defaults));
}

/* A body in the parser's form, or as its language gets it. */
static void
reach_body(Reach *reach, HeapTuple tuple, Form_pg_proc form)
{
	List	   *path = reach->path;
	bool		isnull;
	Datum		body;
	char	   *source;

	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
		warden_reach_stored(reach, TextDatumGetCString(body));
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (isnull)
		return;
	source = TextDatumGetCString(body);
	if (runs_made_sql(form, source))
		warden_reach_dynamic(reach, describe_function(form->oid));
	if (form->prolang == ClanguageId || form->prolang == INTERNALlanguageId)
		return;
	reach_in_path(reach, source,
				  body_path(source, function_path(tuple, path)));
}

static char *
reach_function(Reach *reach, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	char	   *state;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("gone");
	form = (Form_pg_proc) GETSTRUCT(tuple);
	state = psprintf("%u", HeapTupleHeaderGetRawXmin(tuple->t_data));
	if (form->prokind == PROKIND_AGGREGATE)
		reach_aggregate(reach, function);
	reach_signature(reach, tuple, form);
	reach_defaults(reach, tuple);
	reach_body(reach, tuple, form);
	ReleaseSysCache(tuple);
	return state;
}

/* The planner may put its commutator or its negator in its place. */
static char *
reach_operator(Reach *reach, Oid operator)
{
	Oid			function = get_opcode(operator);
	Oid			commutator = get_commutator(operator);
	Oid			negator = get_negator(operator);

	warden_reach_object(reach, ProcedureRelationId, function);
	warden_reach_object(reach, OperatorRelationId, commutator);
	warden_reach_object(reach, OperatorRelationId, negator);
	return psprintf("%u %u %u", function, commutator, negator);
}

static char *
reach_collation(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	char	   *state;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("gone");
	state = psprintf("%u", HeapTupleHeaderGetRawXmin(tuple->t_data));
	ReleaseSysCache(tuple);
	return state;
}

/* ---- following ---------------------------------------------------------- */

/* Finds what an object reaches, and says what it is like itself. */
static char *
expand(Reach *reach, const ReachedObject *object)
{
	switch (object->classid)
	{
		case RelationRelationId:
			return warden_reach_relation(reach, object->objid);
		case ProcedureRelationId:
			return reach_function(reach, object->objid);
		case OperatorRelationId:
			return reach_operator(reach, object->objid);
		case CollationRelationId:
			return reach_collation(object->objid);
		default:
			return warden_reach_type(reach, object->objid);
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
		warden_reach_object(reach, ProcedureRelationId, cast->function);
	}
	return found;
}

/* Event triggers act on what is not DML, whatever it names. */
static void
reach_event_triggers(Reach *reach, RawStmt *raw, List **states)
{
	ListCell   *cell;

	if (raw != NULL && warden_statement_is_dml(raw->stmt))
		return;
	foreach(cell, warden_look_event_triggers(states))
		warden_reach_object(reach, ProcedureRelationId, lfirst_oid(cell));
}

/* A block, whose language does not see it as a literal. */
static void
reach_block(Reach *reach, DoStmt *stmt)
{
	const char *language = "plpgsql";
	const char *body = "";
	ListCell   *cell;

	foreach(cell, stmt->args)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
		else
			body = strVal(option->arg);
	}
	reach_in_path(reach, body, body_path(body, reach->path));
	if (strcmp(language, "plpgsql") != 0 || warden_reach_executes(body) ||
		warden_reach_hides_names(body))
		warden_reach_dynamic(reach, pstrdup("its block"));
}

/* The same of a function that is made; nothing runs it yet. */
static void
reach_new_body(Reach *reach, CreateFunctionStmt *stmt)
{
	ListCell   *cell;
	ListCell   *body;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "as") != 0)
			continue;
		foreach(body, castNode(List, option->arg))
			warden_reach_text(reach, strVal(lfirst(body)));
	}
}

/* What it names itself. */
static void
reach_statement(Reach *reach, const char *text, RawStmt *raw)
{
	warden_reach_text(reach, raw == NULL ? text : warden_statement_code(text));
	if (raw != NULL && IsA(raw->stmt, DoStmt))
		reach_block(reach, (DoStmt *) raw->stmt);
	else if (raw != NULL && IsA(raw->stmt, CreateFunctionStmt))
		reach_new_body(reach, (CreateFunctionStmt *) raw->stmt);
}

/* PREPARE gives them types that the statement need not name. */
static void
reach_parameters(Reach *reach, const char *parameters)
{
	ListCell   *cell;

	foreach(cell, warden_capture_types(parameters))
		warden_reach_object(reach, TypeRelationId, lfirst_oid(cell));
}

/* What could be SQL, or names, by the time that it runs. */
static void
reach_literals(Reach *reach, const char *text, const char *parameters)
{
	List	   *values = warden_capture_values(parameters);
	ListCell   *cell;

	warden_reach_text(reach, warden_statement_literals(text));
	foreach(cell, values)
	{
		if (lfirst(cell) != NULL)
			warden_reach_text(reach, lfirst(cell));
	}
}

/* ---- all of it ---------------------------------------------------------- */

/* The next object that has not been followed: relations come last. */
static ReachedObject *
next_object(Reach *reach, int *object, int *relation)
{
	if (*object < list_length(reach->objects))
		return list_nth(reach->objects, (*object)++);
	if (*relation >= list_length(reach->relations))
		return NULL;
	reach->set_off = true;
	return list_nth(reach->relations, (*relation)++);
}

/* Until there is nothing more; what has been followed stays so. */
static void
follow(Reach *reach, int *object, int *relation, List **states)
{
	ReachedObject *next;

	while ((next = next_object(reach, object, relation)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		*states = lappend(*states, psprintf("%u %u %s\n", next->classid,
											next->objid, expand(reach, next)));
	}
}

static Reach *
create_reach(List *path)
{
	Reach	   *reach = palloc0(sizeof(Reach));

	reach->seen = create_seen();
	reach->path = path;
	return reach;
}

static char *
hash_states(List *states)
{
	StringInfoData all;
	ListCell   *cell;

	list_sort(states, compare_states);
	initStringInfo(&all);
	foreach(cell, states)
		appendStringInfoString(&all, lfirst(cell));
	return warden_capture_hash(all.data);
}

/* With names looked up in a path; returns the schemas of others in use. */
static List *
reach_once(const char *text, RawStmt *raw, const char *parameters,
		   List *path, WardenReached *reached)
{
	Reach	   *reach = create_reach(path);
	List	   *casts = warden_look_casts();
	List	   *states = NIL;
	bool		read = false;
	int			object = 0;
	int			relation = 0;

	reach->analyses = raw != NULL && IsA(raw->stmt, VacuumStmt);
	reach_statement(reach, text, raw);
	reach_parameters(reach, parameters);
	follow(reach, &object, &relation, &states);
	reach->set_off = true;
	reach_event_triggers(reach, raw, &states);
	do
	{
		if (reach->literals && !read)
		{
			read = true;
			reach_literals(reach, text, parameters);
		}
		follow(reach, &object, &relation, &states);
	} while (reach_casts(reach, casts, &states) ||
			 (reach->literals && !read));
	hash_destroy(reach->seen);
	reached->state = hash_states(states);
	reached->literals = reach->literals;
	reached->dynamic = reach->dynamic;
	reached->set_off = reach->dynamic_set_off;
	return reach->wider;
}

void
warden_reach_state(const char *text, const char *parameters, const char *path,
				   WardenReached *reached)
{
	List	   *schemas = parse_path(path, NIL);
	RawStmt    *raw = warden_statement_parse(text);
	int			known;

	do
	{
		known = list_length(schemas);
		schemas = list_concat_unique_oid(schemas,
										 reach_once(text, raw, parameters,
													list_copy(schemas),
													reached));
	} while (list_length(schemas) > known);
}

List *
warden_reach_reads(Oid function)
{
	Reach	   *reach = create_reach(NIL);
	List	   *states = NIL;
	List	   *result = NIL;
	int			object = 0;
	int			relation = 0;
	ListCell   *cell;

	reach->reads = true;
	warden_reach_object(reach, ProcedureRelationId, function);
	follow(reach, &object, &relation, &states);
	foreach(cell, reach->relations)
		result = lappend_oid(result,
							 ((ReachedObject *) lfirst(cell))->objid);
	hash_destroy(reach->seen);
	return result;
}
