/*-------------------------------------------------------------------------
 * mask_json.c
 *	  json(path,...): hides what stands at some paths of a document.
 *
 * A path is a list of keys; arrays on the way are gone through, element by
 * element.  What stands at its end, scalar or not, becomes "******".  Where a
 * path wants to go on and finds a scalar, the document does not fit the mask
 * and the scalar is hidden as well.  Paths that are not there are ignored,
 * and a JSON null stays null.
 *
 * The json type is taken apart with the server's own parser and put together
 * again, without the white space; a document that the parser gives up on (an
 * escape that has no character in the database's encoding) becomes NULL,
 * because the parser's message would quote it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "mask.h"
#include "mask_private.h"

typedef struct Path
{
	int nkeys;
	const char *keys[WARDEN_MASK_MAX_KEYS];
} Path;

/* The specification's paths, decoded at the first call of an execution. */
typedef struct Paths
{
	int npaths;
	Path paths[WARDEN_MASK_MAX_PATHS];
} Paths;

/* How far the paths have come at some place of the document. */
typedef struct Progress
{
	uint32 active; /* bit set of the paths that lead here */
	int depth;	   /* keys behind it */
} Progress;

/* A container that is open. */
typedef struct Level
{
	Progress progress;
	bool array;
	bool empty; /* so far */
} Level;

typedef struct Walk
{
	const Paths *paths;
	Level *levels;
	int nlevels;
	int size;
	Progress next;		/* of the value that comes next */
	int hidden;			/* json: fields open since one was hidden */
	StringInfoData out; /* json */
} Walk;

/* ---- paths ---------------------------------------------------------- */

/*
 * The payload has each key with its terminating NUL, and an empty key after
 * the last one of each path.
 */
static const Paths *
get_paths(const WardenMaskSpec *spec, void **cache, MemoryContext context)
{
	Paths *paths;
	char *pos;
	char *end;

	if (*cache != NULL)
		return (const Paths *) *cache;

	paths = MemoryContextAllocZero(context, sizeof(Paths));
	pos = MemoryContextAlloc(context, spec->payload_len);
	memcpy(pos, WARDEN_MASK_PAYLOAD(spec), spec->payload_len);
	for (end = pos + spec->payload_len; pos < end; pos += strlen(pos) + 1)
	{
		Path *path = &paths->paths[paths->npaths];

		if (*pos == '\0')
			paths->npaths++;
		else
			path->keys[path->nkeys++] = pos;
	}
	*cache = paths;
	return paths;
}

static void
begin_walk(Walk *walk, const Paths *paths)
{
	memset(walk, 0, sizeof(*walk));
	walk->paths = paths;
	walk->size = 16;
	walk->levels = palloc(walk->size * sizeof(Level));
	walk->next.active = PG_UINT32_MAX >> (32 - paths->npaths);
}

static Level *
top_level(Walk *walk)
{
	return &walk->levels[walk->nlevels - 1];
}

static void
enter_level(Walk *walk, bool array)
{
	Level *level;

	if (walk->nlevels == walk->size)
	{
		walk->size *= 2;
		walk->levels = repalloc(walk->levels, walk->size * sizeof(Level));
	}
	level = &walk->levels[walk->nlevels++];
	level->progress = walk->next;
	level->array = array;
	level->empty = true;
}

/* Elements of an array stand where the array does. */
static void
enter_element(Walk *walk)
{
	walk->next = top_level(walk)->progress;
}

/* Notes where the value of a key stands; true if a path ends there. */
static bool
enter_key(Walk *walk, const char *key, int len)
{
	Progress here = top_level(walk)->progress;

	walk->next.active = 0;
	walk->next.depth = here.depth + 1;
	for (int i = 0; i < walk->paths->npaths; i++)
	{
		const Path *path = &walk->paths->paths[i];
		const char *wanted;

		if ((here.active & ((uint32) 1 << i)) == 0)
			continue;
		wanted = path->keys[here.depth];
		if (strncmp(wanted, key, len) != 0 || wanted[len] != '\0')
			continue;
		if (path->nkeys == walk->next.depth)
			return true;
		walk->next.active |= (uint32) 1 << i;
	}
	return false;
}

/* ---- json ----------------------------------------------------------- */

static void
separate(Walk *walk)
{
	Level *level = top_level(walk);

	if (!level->empty)
		appendStringInfoChar(&walk->out, ',');
	level->empty = false;
}

static void
hide_scalar(Walk *walk, bool isnull)
{
	appendStringInfoString(&walk->out,
						   isnull ? "null" : "\"" WARDEN_MASK_STARS "\"");
}

static JSON_ACTION_RESULT
object_start(void *state)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden == 0)
	{
		enter_level(walk, false);
		appendStringInfoChar(&walk->out, '{');
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
object_end(void *state)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden == 0)
	{
		walk->nlevels--;
		appendStringInfoChar(&walk->out, '}');
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
array_start(void *state)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden == 0)
	{
		enter_level(walk, true);
		appendStringInfoChar(&walk->out, '[');
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
array_end(void *state)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden == 0)
	{
		walk->nlevels--;
		appendStringInfoChar(&walk->out, ']');
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
field_start(void *state, char *name, bool isnull)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden > 0)
		walk->hidden++;
	else
	{
		separate(walk);
		escape_json(&walk->out, name);
		appendStringInfoChar(&walk->out, ':');
		if (enter_key(walk, name, strlen(name)))
		{
			hide_scalar(walk, isnull);
			walk->hidden = 1;
		}
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
field_end(void *state, char *name pg_attribute_unused(),
		  bool isnull pg_attribute_unused())
{
	Walk *walk = (Walk *) state;

	if (walk->hidden > 0)
		walk->hidden--;
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
element_start(void *state, bool isnull pg_attribute_unused())
{
	Walk *walk = (Walk *) state;

	if (walk->hidden == 0)
	{
		separate(walk);
		enter_element(walk);
	}
	JSON_ACTION_RETURN;
}

static JSON_ACTION_RESULT
scalar(void *state, char *token, JsonTokenType type)
{
	Walk *walk = (Walk *) state;

	if (walk->hidden > 0)
		JSON_ACTION_RETURN;
	if (walk->next.active != 0)
		hide_scalar(walk, type == JSON_TOKEN_NULL);
	else if (type == JSON_TOKEN_STRING)
		escape_json(&walk->out, token);
	else
		appendStringInfoString(&walk->out, token);
	JSON_ACTION_RETURN;
}

static Datum
mask_json_text(const Paths *paths, Datum value, bool *isnull)
{
	text *in = DatumGetTextPP(value);
	JsonLexContext *lex;
	JsonSemAction actions = {0};
	Walk walk;

	begin_walk(&walk, paths);
	initStringInfo(&walk.out);
	actions.semstate = &walk;
	actions.object_start = object_start;
	actions.object_end = object_end;
	actions.array_start = array_start;
	actions.array_end = array_end;
	actions.object_field_start = field_start;
	actions.object_field_end = field_end;
	actions.array_element_start = element_start;
	actions.scalar = scalar;

	/* escapes decoded: "s\u0073n" is ssn */
	lex = make_json_lex_context(VARDATA_ANY(in), VARSIZE_ANY_EXHDR(in),
								GetDatabaseEncoding(), true);
	if (pg_parse_json(lex, &actions) != JSON_SUCCESS)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return PointerGetDatum(
		cstring_to_text_with_len(walk.out.data, walk.out.len));
}

/* ---- jsonb ---------------------------------------------------------- */

static void
hide_jsonb(JsonbValue *value)
{
	if (value->type == jbvNull)
		return;
	value->type = jbvString;
	value->val.string.val = pstrdup(WARDEN_MASK_STARS);
	value->val.string.len = WARDEN_MASK_STARS_LEN;
}

static Datum
mask_jsonb(const Paths *paths, Datum value)
{
	Jsonb *in = DatumGetJsonbP(value);
	JsonbIterator *it = JsonbIteratorInit(&in->root);
	JsonbParseState *state = NULL;
	JsonbValue *result = NULL;
	JsonbIteratorToken token;
	JsonbValue item;
	Walk walk;
	bool hide = false;

	begin_walk(&walk, paths);
	while ((token = JsonbIteratorNext(&it, &item, hide)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_BEGIN_OBJECT:
			case WJB_BEGIN_ARRAY:
				if (walk.nlevels > 0 && top_level(&walk)->array)
					enter_element(&walk);
				enter_level(&walk, token == WJB_BEGIN_ARRAY);
				break;
			case WJB_END_OBJECT:
			case WJB_END_ARRAY:
				walk.nlevels--;
				break;
			case WJB_KEY:
				hide = enter_key(&walk, item.val.string.val,
								 item.val.string.len);
				break;
			case WJB_ELEM:
				enter_element(&walk);
				if (walk.next.active != 0)
					hide_jsonb(&item);
				break;
			case WJB_VALUE:
				if (hide || walk.next.active != 0)
					hide_jsonb(&item);
				hide = false;
				break;
			default:
				break;
		}
		result = pushJsonbValue(&state, token,
								token < WJB_BEGIN_ARRAY ||
										(token == WJB_BEGIN_ARRAY &&
										 item.val.array.rawScalar) ?
									&item :
									NULL);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(result));
}

Datum
warden_mask_json(const WardenMaskSpec *spec, Datum value, void **cache,
				 MemoryContext context, bool *isnull)
{
	const Paths *paths = get_paths(spec, cache, context);

	if (spec->class == WARDEN_VALUE_JSONB)
		return mask_jsonb(paths, value);
	return mask_json_text(paths, value, isnull);
}
