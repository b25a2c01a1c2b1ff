/*
 * json_util.c
 *		Typed getters, and writing by templates.
 */
#include "json_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
json_util_number(const json_t *value)
{
	size_t		n = sizeof(JSON_UTIL_NUMBER) - 1;

	if (!json_is_string(value) || json_string_length(value) <= n ||
		memcmp(json_string_value(value), JSON_UTIL_NUMBER, n) != 0)
		return NULL;
	return json_string_value(value) + n;
}

bool
json_util_is_text(const json_t *value)
{
	return json_is_string(value) && json_util_number(value) == NULL;
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

const char *
json_util_string_or(const json_t *object, const char *key, const char *fallback)
{
	const char *value = json_util_string(object, key);

	return value != NULL ? value : fallback;
}

json_t *
json_util_object(const json_t *object, const char *key)
{
	json_t	   *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

/* The shortest text that is read as the same number again. */
static void
write_real(Buf *out, double real)
{
	char		text[32];
	int			digits = 15;

	do
		snprintf(text, sizeof(text), "%.*g", digits, real);
	while (strtod(text, NULL) != real && ++digits <= 17);
	buf_puts(out, text);
}

static void
write_object(Buf *out, const json_t *object)
{
	const char *comma = "";
	const char *key;
	json_t	   *value;

	buf_putc(out, '{');
	json_object_foreach((json_t *) object, key, value)
	{
		buf_puts(out, comma);
		buf_json_cstr(out, key);
		buf_putc(out, ':');
		json_util_write(out, value);
		comma = ",";
	}
	buf_putc(out, '}');
}

static void
write_array(Buf *out, const json_t *array)
{
	size_t		i;
	json_t	   *value;

	buf_putc(out, '[');
	json_array_foreach(array, i, value)
	{
		buf_puts(out, i > 0 ? "," : "");
		json_util_write(out, value);
	}
	buf_putc(out, ']');
}

/*
 * Not by jansson, which makes 19.989999999999998 of 19.99: PostgreSQL takes the
 * text for a numeric.  Recursion ends where that of reading did.
 */
void
json_util_write(Buf *out, const json_t *value)
{
	if (json_is_object(value))
		write_object(out, value);
	else if (json_is_array(value))
		write_array(out, value);
	else if (json_util_number(value) != NULL)
		buf_puts(out, json_util_number(value));
	else if (json_is_string(value))
		buf_json_string(out, json_string_value(value),
						json_string_length(value));
	else if (json_is_integer(value))
		buf_int(out, json_integer_value(value));
	else if (json_is_real(value))
		write_real(out, json_real_value(value));
	else if (json_is_boolean(value))
		buf_puts(out, json_is_true(value) ? "true" : "false");
	else if (json_is_null(value))
		buf_puts(out, "null");
	else
		out->failed = true;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
write_sorted_object(Buf *out, const json_t *object)
{
	const char **names = malloc((json_object_size(object) + 1) *
								sizeof(*names));
	size_t		n = 0;
	const char *name;
	json_t	   *value;

	if (names == NULL)
	{
		out->failed = true;
		return;
	}
	json_object_foreach((json_t *) object, name, value)
		names[n++] = name;
	qsort(names, n, sizeof(*names), compare_names);
	buf_putc(out, '{');
	for (size_t i = 0; i < n; i++)
	{
		buf_puts(out, i > 0 ? "," : "");
		buf_json_cstr(out, names[i]);
		buf_putc(out, ':');
		json_util_write_sorted(out, json_object_get(object, names[i]));
	}
	buf_putc(out, '}');
	free(names);
}

void
json_util_write_sorted(Buf *out, const json_t *value)
{
	size_t		i;
	json_t	   *member;

	if (json_is_object(value))
		write_sorted_object(out, value);
	else if (json_is_array(value))
	{
		buf_putc(out, '[');
		json_array_foreach(value, i, member)
		{
			buf_puts(out, i > 0 ? "," : "");
			json_util_write_sorted(out, member);
		}
		buf_putc(out, ']');
	}
	else
		json_util_write(out, value);
}

/* One value of a template, from behind its %; returns what comes after it. */
static const char *
put_value(Buf *out, const char *at, bool quoted, va_list *args)
{
	const char *text;

	if (*at == 's')
	{
		text = va_arg(*args, const char *);
		if (quoted)
			buf_json_chars(out, text, strlen(text));
		else
			buf_puts(out, text);
	}
	else if (*at == 'p')
		json_util_write(out, va_arg(*args, const json_t *));
	else if (*at == 'd')
		buf_int(out, va_arg(*args, int));
	else if (strncmp(at, "lld", 3) == 0)
	{
		buf_int(out, va_arg(*args, long long));
		at += 2;
	}
	else if (strncmp(at, "ld", 2) == 0)
	{
		buf_int(out, va_arg(*args, long));
		at++;
	}
	else
		out->failed = true;
	return at + 1;
}

void
json_util_vput(Buf *out, const char *template, va_list args)
{
	va_list		rest;
	bool		quoted = false;

	va_copy(rest, args);
	for (;;)
	{
		size_t		plain = strcspn(template, "'%");

		buf_append(out, template, plain);
		template += plain;
		if (*template == '\0')
			break;
		if (*template++ == '%')
			template = put_value(out, template, quoted, &rest);
		else
		{
			buf_putc(out, '"');
			quoted = !quoted;
		}
	}
	va_end(rest);
}

void
json_util_put(Buf *out, const char *template,...)
{
	va_list		args;

	va_start(args, template);
	json_util_vput(out, template, args);
	va_end(args);
}

void
json_util_text(Buf *out, const char *template,...)
{
	va_list		args;

	va_start(args, template);
	for (;;)
	{
		size_t		plain = strcspn(template, "%");

		buf_json_chars(out, template, plain);
		if (template[plain] == '\0')
			break;
		template = put_value(out, template + plain + 1, true, &args);
	}
	va_end(args);
}
