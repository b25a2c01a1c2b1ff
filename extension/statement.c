/*-------------------------------------------------------------------------
 * statement.c
 *	  Raw statements: their text, what their names mean, and whether they may
 *	  be proposed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "statement.h"
#include "warden.h"

/* ---- text --------------------------------------------------------------- */

char *
warden_statement_text(const char *source, int location, int length)
{
	const char *start = source + Max(location, 0);
	const char *end = length > 0 ? start + length : start + strlen(start);

	while (start < end && scanner_isspace(*start))
		start++;
	while (end > start && (scanner_isspace(end[-1]) || end[-1] == ';'))
		end--;
	return pnstrdup(start, end - start);
}

RawStmt *
warden_statement_parse(const char *text)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_DEFAULT);

	if (list_length(parsed) != 1)
		return NULL;
	return linitial_node(RawStmt, parsed);
}

bool
warden_statement_is_dml(Node *stmt)
{
	return IsA(stmt, InsertStmt) || IsA(stmt, UpdateStmt) ||
		IsA(stmt, DeleteStmt) || IsA(stmt, MergeStmt);
}

IntoClause *
warden_statement_into(SelectStmt *select)
{
	while (select->op != SETOP_NONE)
		select = select->larg;
	return select->intoClause;
}

/*
 * AS is a reserved word and can not be part of PREPARE's name or type list,
 * so the query begins after the first token that is spelled so.
 */
char *
warden_statement_prepared(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	char	   *result = NULL;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	while (result == NULL && core_yylex(&value, &location, scanner) != 0)
	{
		if (pg_strncasecmp(text + location, "as", 2) == 0 &&
			!isalnum((unsigned char) text[location + 2]) &&
			text[location + 2] != '_' && text[location + 2] != '$' &&
			!IS_HIGHBIT_SET(text[location + 2]))
			result = warden_statement_text(text, location + 2, 0);
	}
	scanner_finish(scanner);
	return result;
}

/* 'x', e'x', b'x', u&'x', $tag$x$tag$ */
static bool
is_literal(const char *token)
{
	if (token[0] == '$')
		return !isdigit((unsigned char) token[1]);
	if (pg_strncasecmp(token, "u&'", 3) == 0)
		return true;
	return token[0] == '\'' ||
		(token[0] != '\0' && strchr("bexnBEXN", token[0]) != NULL &&
		 token[1] == '\'');
}

static bool
is_number(const char *token)
{
	return isdigit((unsigned char) token[token[0] == '.' ? 1 : 0]);
}

/*
 * A statement's words and operators alone, one space between them and none
 * around a dot: neither comments, in which a quote means nothing, nor literals
 * and numbers.
 * A name in Unicode escapes says what it names to the parser only.
 */
char *
warden_statement_code(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	StringInfoData code;

	initStringInfo(&code);
	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	while (core_yylex(&value, &location, scanner) != 0)
	{
		/* the scanner has put an end to what it has read */
		const char *token = extra.scanbuf + location;
		bool		dot = strcmp(token, ".") == 0;

		if (pg_strncasecmp(token, "u&\"", 3) == 0)
			ereport(ERROR,
					(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
					 errmsg("a name in Unicode escapes can not be proposed"),
					 errhint("Write the name itself, in double quotes.")));
		if (code.len > 0 && !dot && code.data[code.len - 1] != '.')
			appendStringInfoChar(&code, ' ');
		appendStringInfoString(&code, is_literal(token) || is_number(token) ?
							   "," : token);
	}
	scanner_finish(scanner);
	return code.data;
}

/*
 * The literals of a statement, each on a line, without their quotes and
 * escapes; those of Unicode escapes stay.
 */
char *
warden_statement_literals(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	StringInfoData literals;

	initStringInfo(&literals);
	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	while (core_yylex(&value, &location, scanner) != 0)
	{
		if (is_literal(extra.scanbuf + location))
			appendStringInfo(&literals, "%s\n", value.str);
	}
	scanner_finish(scanner);
	return literals.data;
}

/* The text of a token is there up to where the scanner is. */
bool
warden_statement_backslashes(const char *text)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	bool		found = false;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	extra.escape_string_warning = false;
	while (!found && core_yylex(&value, &location, scanner) != 0)
		found = extra.scanbuf[location] == '\'' &&
			strchr(extra.scanbuf + location, '\\') != NULL;
	scanner_finish(scanner);
	return found;
}

static bool
cursor_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CurrentOfExpr))
		return true;
	return raw_expression_tree_walker(node, cursor_walker, context);
}

void
warden_statement_refuse_cursor(Node *stmt)
{
	if ((warden_statement_is_dml(stmt) || IsA(stmt, SelectStmt)) &&
		cursor_walker(stmt, NULL))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
				 errmsg("WHERE CURRENT OF can not be proposed"),
				 errdetail("The cursor will be gone when the change is applied."),
				 errhint("Name the rows by their key.")));
}

/* ---- resolution --------------------------------------------------------- */

/* The last part of a name, which is what "created" holds. */
static char *
last_part(const WardenName *name)
{
	switch (nodeTag(name->name))
	{
		case T_RangeVar:
			return ((RangeVar *) name->name)->relname;
		case T_List:
			if (IsA(llast((List *) name->name), String))
				return strVal(llast((List *) name->name));
			return NULL;
		case T_String:
			return strVal(name->name);
		case T_TypeName:
			if (((TypeName *) name->name)->names == NIL)
				return NULL;
			return strVal(llast(((TypeName *) name->name)->names));
		case T_ObjectWithArgs:
			return strVal(llast(((ObjectWithArgs *) name->name)->objname));
		default:
			return NULL;
	}
}

static bool
is_created(const WardenName *name, List *created)
{
	char	   *last = last_part(name);
	ListCell   *cell;

	if (last == NULL)
		return false;
	foreach(cell, created)
	{
		if (strcmp(lfirst(cell), last) == 0)
			return true;
	}
	/* or it came with a table, as t_id_seq and t_pkey do */
	foreach(cell, IsA(name->name, RangeVar) ? created : NIL)
	{
		size_t		length = strlen(lfirst(cell));

		if (strncmp(last, lfirst(cell), length) == 0 && last[length] == '_')
			return true;
	}
	/* or all of its schema was */
	if (IsA(name->name, RangeVar) &&
		((RangeVar *) name->name)->schemaname != NULL)
	{
		foreach(cell, created)
		{
			if (strcmp(lfirst(cell),
					   ((RangeVar *) name->name)->schemaname) == 0)
				return true;
		}
	}
	return false;
}

List *
warden_statement_created(List *names)
{
	List	   *created = NIL;
	ListCell   *cell;

	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);

		if (name->use == WARDEN_USE_CREATE)
			created = lappend(created, last_part(name));
	}
	return created;
}

/* The first function of that name in the search path, whatever it takes. */
static Oid
lookup_function(List *names)
{
	char	   *schema;
	char	   *function;
	CatCList   *candidates;
	List	   *path;
	Oid			found = InvalidOid;
	int			best = -1;
	int			i;

	DeconstructQualifiedName(names, &schema, &function);
	path = schema != NULL ?
		list_make1_oid(get_namespace_oid(schema, true)) :
		fetch_search_path(true);
	candidates = SearchSysCacheList1(PROCNAMEARGSNSP,
									 CStringGetDatum(function));
	for (i = 0; i < candidates->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc)
			GETSTRUCT(&candidates->members[i]->tuple);
		ListCell   *cell;

		foreach(cell, path)
		{
			int			place = foreach_current_index(cell);

			if (lfirst_oid(cell) == proc->pronamespace &&
				(best < 0 || place < best ||
				 (place == best && proc->oid < found)))
			{
				best = place;
				found = proc->oid;
			}
		}
	}
	ReleaseSysCacheList(candidates);
	return found;
}

/*
 * Looks one name up.  Things that a statement makes are not looked up: whether
 * they exist already is for the apply to find.
 */
static void
lookup_name(WardenName *name, bool missing_ok)
{
	if (name->use == WARDEN_USE_CREATE)
		return;
	if (IsA(name->name, RangeVar))
	{
		name->address.classId = RelationRelationId;
		name->address.objectId = RangeVarGetRelid((RangeVar *) name->name,
												  NoLock, missing_ok);
	}
	else if (name->use == WARDEN_USE_READ && IsA(name->name, List))
	{
		/* a call: an unknown function is for the apply to complain about */
		name->address.classId = ProcedureRelationId;
		name->address.objectId = lookup_function((List *) name->name);
	}
	else
	{
		Relation	relation = NULL;

		name->address = get_object_address(name->type, name->name, &relation,
										   AccessShareLock, missing_ok);
		if (relation != NULL)
			relation_close(relation, NoLock);
	}
}

void
warden_statement_resolve(List *names, List *created)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);

		lookup_name(name, true);
		if (!OidIsValid(name->address.objectId) && !name->missing_ok &&
			!is_created(name, created))
			lookup_name(name, false);
	}
}

void
warden_statement_lookup(List *names)
{
	ListCell   *cell;

	foreach(cell, names)
		lookup_name(lfirst(cell), true);
}

/* ---- permission --------------------------------------------------------- */

static void
refuse_object(const char *what)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("%s can not be changed by a proposal", what),
			 errhint("Propose changes to the database's own tables only.")));
}

/* Nothing of the system and nothing of ours; USAGE on the rest. */
static void
permit_schema(Oid schema, WardenUse use)
{
	char	   *name = get_namespace_name(schema);

	if (name == NULL)
		return;
	if (use != WARDEN_USE_READ)
	{
		if (schema == warden_catalog_schema())
			refuse_object("schema \"warden\"");
		if (IsCatalogNamespace(schema) || IsToastNamespace(schema) ||
			strcmp(name, "information_schema") == 0)
			refuse_object("an object of the system");
		if (isAnyTempNamespace(schema))
			refuse_object("a temporary object");
	}
	if (warden_schema_usage(schema, GetUserId()) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, name);
}

/* Holds any of these privileges on the table or on any column of it. */
static bool
has_any_privilege(Oid relid, Oid roleid, AclMode mode)
{
	AclMode		bit;

	if (pg_class_aclmask(relid, roleid, mode, ACLMASK_ANY) != 0)
		return true;
	for (bit = 1; bit <= mode; bit <<= 1)
	{
		if ((mode & bit) != 0 && (bit & ACL_ALL_RIGHTS_COLUMN) != 0 &&
			pg_attribute_aclcheck_all(relid, roleid, bit,
									  ACLMASK_ANY) == ACLCHECK_OK)
			return true;
	}
	return false;
}

static void
require_privilege(Oid relid, Oid roleid, AclMode mode)
{
	if (!has_any_privilege(relid, roleid, mode))
		aclcheck_error(ACLCHECK_NO_PRIV,
					   get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

void
warden_statement_permit_write(Oid relid, Oid roleid)
{
	require_privilege(relid, roleid,
					  ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE);
}

static void
permit_relation(WardenName *name)
{
	Oid			relid = name->address.objectId;

	permit_schema(get_rel_namespace(relid), name->use);
	if (name->use == WARDEN_USE_WRITE)
		warden_statement_permit_write(relid, GetUserId());
	else if (name->use == WARDEN_USE_READ)
		require_privilege(relid, GetUserId(), ACL_SELECT);
}

/* Where something new would go. */
static void
permit_creation(WardenName *name)
{
	RangeVar   *rv = (RangeVar *) name->name;
	Oid			schema;

	if (rv->relpersistence == RELPERSISTENCE_TEMP ||
		(rv->schemaname != NULL && strncmp(rv->schemaname, "pg_temp", 7) == 0))
		refuse_object("a temporary object");
	if (rv->schemaname != NULL)
		schema = get_namespace_oid(rv->schemaname, true);
	else
		schema = RangeVarGetCreationNamespace(rv);
	/* a schema that does not exist may be made by the script itself */
	if (OidIsValid(schema))
		permit_schema(schema, WARDEN_USE_CREATE);
}

void
warden_statement_permit(List *names)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		WardenName *name = lfirst(cell);
		Oid			schema;

		if (name->use == WARDEN_USE_CREATE)
			permit_creation(name);
		else if (!OidIsValid(name->address.objectId))
			continue;			/* missing, and that is all right */
		else if (name->address.classId == RelationRelationId)
			permit_relation(name);
		else if (name->address.classId == NamespaceRelationId)
			permit_schema(name->address.objectId, name->use);
		else
		{
			schema = get_object_namespace(&name->address);
			if (OidIsValid(schema))
				permit_schema(schema, name->use);
		}
	}
}
