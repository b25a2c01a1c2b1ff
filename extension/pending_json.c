/*-------------------------------------------------------------------------
 * pending_json.c
 *	  The jsonb columns of changes, as text and taken apart.
 *
 * Recording one change takes the same few texts apart and together several
 * times, and the next change has mostly the same settings and objects.  So
 * those that were seen last are kept in both forms.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "compat.h"
#include "pending_json.h"

#define KNOWN_TEXTS		4
#define KNOWN_MAX_BYTES	16384

/* One text in all its forms; in "memory", NULL: not in use. */
typedef struct KnownJson
{
	MemoryContext memory;
	char	   *given;
	char	   *canonical;
	Jsonb	   *jsonb;
} KnownJson;

static KnownJson known_texts[KNOWN_TEXTS];
static int	next_known = 0;

static Jsonb *
read_json(const char *json)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(json)));
}

static char *
write_json(Jsonb *jsonb)
{
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

/* Takes the place of the one that came first. */
static const KnownJson *
remember(const char *json, Jsonb *jsonb)
{
	KnownJson  *known = &known_texts[next_known];
	MemoryContext memory = AllocSetContextCreate(CurrentMemoryContext,
												 "warden known json",
												 ALLOCSET_SMALL_SIZES);
	KnownJson	made = {.memory = memory};
	MemoryContext old = MemoryContextSwitchTo(memory);

	made.given = pstrdup(json);
	made.canonical = write_json(jsonb);
	made.jsonb = palloc(VARSIZE(jsonb));
	memcpy(made.jsonb, jsonb, VARSIZE(jsonb));
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(memory, TopMemoryContext);
	if (known->memory != NULL)
		MemoryContextDelete(known->memory);
	*known = made;
	next_known = (next_known + 1) % KNOWN_TEXTS;
	return known;
}

/* NULL where it is too long to be kept: then *jsonb is what it says. */
static const KnownJson *
know(const char *json, Jsonb **jsonb)
{
	int			i;

	for (i = 0; i < KNOWN_TEXTS; i++)
	{
		if (known_texts[i].memory != NULL &&
			(strcmp(known_texts[i].canonical, json) == 0 ||
			 strcmp(known_texts[i].given, json) == 0))
			return &known_texts[i];
	}
	*jsonb = read_json(json);
	if (strlen(json) > KNOWN_MAX_BYTES)
		return NULL;
	return remember(json, *jsonb);
}

char *
warden_json_canonical(const char *json)
{
	Jsonb	   *jsonb;
	const KnownJson *known = know(json, &jsonb);

	return known != NULL ? pstrdup(known->canonical) : write_json(jsonb);
}

Jsonb *
warden_json_parse(const char *json)
{
	Jsonb	   *jsonb;
	const KnownJson *known = know(json, &jsonb);

	if (known == NULL)
		return jsonb;
	/* the text may be forgotten while the caller has it */
	jsonb = palloc(VARSIZE(known->jsonb));
	memcpy(jsonb, known->jsonb, VARSIZE(known->jsonb));
	return jsonb;
}

char *
warden_json_member(JsonbContainer *object, const char *key)
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

List *
warden_json_elements(const char *json)
{
	Jsonb	   *jsonb = warden_json_parse(json);
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

void
warden_json_put(StringInfo json, const char *key, const char *value)
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
