/*-------------------------------------------------------------------------
 * pending_reach_words.c
 *	  What a text names that could be code: a statement, the body of a
 *	  function, or a literal that somebody may run.
 *
 * Every object that a word could name counts, whichever of them the parser
 * would choose.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "pending_reach_private.h"

#define OPERATOR_CHARACTERS "~!@#^&|`?+-*/%<>="

typedef struct Word
{
	Oid			schema;			/* that qualifies it, or InvalidOid */
	char		name[NAMEDATALEN];
} Word;

/*
 * Words behind which the parser looks for operators of other names, in the
 * path as for any that is spelled out.
 */
static const struct
{
	const char *word;
	const char *operators[4];	/* ends with NULL, if there are fewer */
} implied_operators[] = {
	{"!=", {"<>"}},
	{"between", {"<", "<=", ">", ">="}},
	{"case", {"="}},
	{"distinct", {"="}},
	{"ilike", {"~~*", "!~~*"}},
	{"in", {"=", "<>"}},
	{"like", {"~~", "!~~"}},
	{"natural", {"="}},
	{"nullif", {"="}},
	{"similar", {"~", "!~"}},
	{"using", {"="}}
};

/* Functions and types that take the name of an object as text. */
static const char *const name_readers[] = {
	"currval", "nextval", "regclass", "regcollation", "regoper",
	"regoperator", "regproc", "regprocedure", "regtype", "setval",
	"to_regclass", "to_regcollation", "to_regoper", "to_regoperator",
	"to_regproc", "to_regprocedure", "to_regtype"
};

/* ---- names -------------------------------------------------------------- */

static bool
in_schemas(List *schemas, Oid namespace)
{
	return list_member_oid(schemas, namespace) &&
		namespace != warden_catalog_schema();
}

/* Functions of the server count where they run SQL that they are given. */
static void
reach_functions(Reach *reach, const char *name, List *schemas, bool system)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));
	int			i;

	for (i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc)
			GETSTRUCT(&list->members[i]->tuple);

		if (in_schemas(schemas, proc->pronamespace) ||
			(system && proc->pronamespace == PG_CATALOG_NAMESPACE))
			warden_reach_object(reach, ProcedureRelationId, proc->oid);
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
			warden_reach_object(reach, OperatorRelationId, op->oid);
	}
	ReleaseSysCacheList(list);
}

static void
reach_collations(Reach *reach, const char *name, Oid schema)
{
	int			encodings[] = {GetDatabaseEncoding(), -1};
	int			i;

	for (i = 0; i < (int) lengthof(encodings); i++)
		warden_reach_object(reach, CollationRelationId,
					 GetSysCacheOid3(COLLNAMEENCNSP, Anum_pg_collation_oid,
									 CStringGetDatum(name),
									 Int32GetDatum(encodings[i]),
									 ObjectIdGetDatum(schema)));
}

static void
reach_implied(Reach *reach, const char *word, Oid qualifier)
{
	List	   *schemas = OidIsValid(qualifier) ?
		list_make1_oid(qualifier) : reach->path;
	int			i;
	int			j;

	for (i = 0; i < (int) lengthof(implied_operators); i++)
	{
		if (strcmp(implied_operators[i].word, word) != 0)
			continue;
		for (j = 0; j < (int) lengthof(implied_operators[i].operators) &&
			 implied_operators[i].operators[j] != NULL; j++)
			reach_operators(reach, implied_operators[i].operators[j],
							schemas);
	}
}

static bool
reads_names(const char *word)
{
	int			i;

	for (i = 0; i < (int) lengthof(name_readers); i++)
	{
		if (strcmp(name_readers[i], word) == 0)
			return true;
	}
	return false;
}

static void
reach_name(Reach *reach, const char *name, Oid qualifier)
{
	List	   *schemas = OidIsValid(qualifier) ?
		list_make1_oid(qualifier) : reach->path;
	ListCell   *cell;

	reach_implied(reach, name, qualifier);
	reach->literals |= reads_names(name);
	if (strchr(OPERATOR_CHARACTERS, name[0]) != NULL)
	{
		reach_operators(reach, name, schemas);
		return;
	}
	reach_functions(reach, name, schemas, !OidIsValid(qualifier));
	foreach(cell, schemas)
	{
		Oid			schema = lfirst_oid(cell);

		if (schema == warden_catalog_schema())
			continue;
		warden_reach_object(reach, TypeRelationId,
					 GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
									 CStringGetDatum(name),
									 ObjectIdGetDatum(schema)));
		warden_reach_object(reach, RelationRelationId,
					 get_relname_relid(name, schema));
		reach_collations(reach, name, schema);
	}
}

/* ---- words -------------------------------------------------------------- */

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

/*
 * A name in double quotes, which ends at the next one that is not doubled; cut
 * as the parser cuts it.
 */
static const char *
quoted_name(const char *p, char *name)
{
	StringInfoData whole;
	const char *end = p + 1;

	initStringInfo(&whole);
	while (*end != '\0' && (*end != '"' || end[1] == '"'))
	{
		appendStringInfoChar(&whole, *end);
		end += *end == '"' ? 2 : 1;
	}
	if (*end == '\0')
		return p + 1;
	truncate_identifier(whole.data, whole.len, false);
	strlcpy(name, whole.data, NAMEDATALEN);
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
void
warden_reach_text(Reach *reach, const char *text)
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

/* ---- EXECUTE ------------------------------------------------------------ */

/* Comments nest. */
static const char *
comment_end(const char *p)
{
	int			depth = 0;

	for (; *p != '\0'; p++)
	{
		if (p[0] == '/' && p[1] == '*')
		{
			depth++;
			p++;
		}
		else if (p[0] == '*' && p[1] == '/')
		{
			p++;
			if (--depth == 0)
				return p + 1;
		}
	}
	return NULL;
}

/* $$ or $tag$, to the same again. */
static const char *
dollar_end(const char *p)
{
	const char *tag = word_end(p + 1);
	const char *end;

	/* a word may have dollars in it, a tag has none */
	if (is_word_start(p[1]))
		tag = p + 1 + strcspn(p + 1, "$");
	if (*tag != '$' || (tag > p + 1 && !is_word_start(p[1])))
		return p;
	end = strstr(tag + 1, pnstrdup(p, tag + 1 - p));
	return end != NULL ? end + (tag + 1 - p) : NULL;
}

/*
 * The end of a comment, literal or quoted name that begins at p; p where none
 * does, NULL where it has no end.  A doubled quote is the end of one and the
 * beginning of another.
 */
static const char *
quoted_end(const char *p)
{
	const char *end;

	if (p[0] == '-' && p[1] == '-')
		return p + strcspn(p, "\r\n");
	if (p[0] == '/' && p[1] == '*')
		return comment_end(p);
	if (p[0] == '$')
		return dollar_end(p);
	if (p[0] != '\'' && p[0] != '"')
		return p;
	end = strchr(p + 1, p[0]);
	return end != NULL ? end + 1 : NULL;
}

bool
warden_reach_hides_names(const char *body)
{
	const char *p;

	for (p = strstr(body, "&\""); p != NULL; p = strstr(p + 1, "&\""))
	{
		if (p > body && (p[-1] == 'u' || p[-1] == 'U'))
			return true;
	}
	return false;
}

bool
warden_reach_executes(const char *body)
{
	/* whether that is the end of a literal depends on more than the body */
	bool		escaped = strstr(body, "\\'") != NULL;
	const char *p = body;

	while (*p != '\0')
	{
		const char *end = escaped ? p : quoted_end(p);

		if (end == NULL)
			return true;
		if (end == p)
		{
			end = is_word_start(*p) ? word_end(p) : p + 1;
			if (end - p == 7 && pg_strncasecmp(p, "execute", 7) == 0)
				return true;
		}
		p = end;
	}
	return false;
}
