/*
 * json_util.c
 *		Typed getters, writing, and memory for values.
 */
#include "json_util.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/*
 * A message is some fifty small allocations.  malloc keeps seven of a size at
 * hand, and the others took a tenth of all that a call cost.
 */
#define KEPT_SIZES 9			/* of malloc's, in steps of 16 bytes */
#define KEPT_EACH 64

typedef struct Kept
{
	struct Kept *next;
} Kept;

static _Thread_local struct
{
	bool		on;
	unsigned	count[KEPT_SIZES];
	Kept	   *first[KEPT_SIZES];
} kept;

static void *
allocate(size_t size)
{
	size_t		i = (size + 7) / 16;
	Kept	   *found;

	if (!kept.on || i >= KEPT_SIZES)
		return malloc(size);
	found = kept.first[i];
	if (found == NULL)
		return malloc(16 * i + 8);
	kept.first[i] = found->next;
	kept.count[i]--;
	return found;
}

static void
release(void *place)
{
	size_t		i = kept.on && place != NULL ? malloc_usable_size(place) / 16 :
		KEPT_SIZES;

	if (i >= KEPT_SIZES || kept.count[i] == KEPT_EACH)
	{
		free(place);
		return;
	}
	((Kept *) place)->next = kept.first[i];
	kept.first[i] = place;
	kept.count[i]++;
}

void
json_util_keep(bool on)
{
	json_set_alloc_funcs(allocate, release);
	kept.on = on;
	for (size_t i = 0; !on && i < KEPT_SIZES; i++)
	{
		for (Kept *next; kept.first[i] != NULL; kept.first[i] = next)
		{
			next = kept.first[i]->next;
			free(kept.first[i]);
		}
		kept.count[i] = 0;
	}
}

const char *
json_util_string(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value) ||
		strlen(json_string_value(value)) != json_string_length(value))
		return NULL;
	return json_string_value(value);
}

json_t *
json_util_object(const json_t *object, const char *key)
{
	json_t	   *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

static int
append_chunk(const char *chunk, size_t size, void *out)
{
	buf_append(out, chunk, size);
	return buf_ok(out) ? 0 : -1;
}

void
json_util_write(Buf *out, const json_t *value)
{
	if (json_dump_callback(value, append_chunk, out,
						   JSON_COMPACT | JSON_ENCODE_ANY) != 0)
		out->failed = true;
}
