/*-------------------------------------------------------------------------
 * identity_redact.c
 *	  Keeps credentials out of the server log.
 *
 * A gateway that binds its parameters and sets log_parameter_max_length to 0
 * leaves nothing to hide.  This is for everybody else: log_statement,
 * log_min_duration_statement, auto_explain, pgaudit and the STATEMENT line of
 * an error all quote the message that was sent.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#include "compat.h"
#include "identity.h"
#include "identity_binding.h"
#include "principal.h"

#define HIDDEN	"(hidden: it may hold a credential)"

/* Shorter runs are words that happen to begin as tokens do. */
#define SHORTEST_TOKEN	40

/* Of a text that has a credential in it even a piece of one counts. */
#define SHORTEST_PIECE	8

static emit_log_hook_type prev_emit_log = NULL;

/*
 * The text that has a credential, until the next message: that one may come to
 * lie at the same place.  Only ever compared.
 */
static const char *hidden = NULL;

/* What the library's own lines of the log begin with, and one is on its way. */
static const char *const own_lines[] = {
	WARDEN_LOG_RECORD, WARDEN_LOG_HEAD
};
static bool own_line = false;

/* enter() or leave() was called, since somebody asked. */
static bool badged = false;

static void
forget_hidden(void *arg pg_attribute_unused())
{
	hidden = NULL;
}

void
warden_identity_hide_statement(const char *text)
{
	MemoryContextCallback *callback;

	if (hidden == NULL && MessageContext != NULL)
	{
		callback = MemoryContextAllocZero(MessageContext, sizeof(*callback));
		callback->func = forget_hidden;
		MemoryContextRegisterResetCallback(MessageContext, callback);
	}
	hidden = text;
}

/* The parser may have been given the same words at another place. */
void
warden_redact_call(void)
{
	warden_identity_hide_statement(debug_query_string);
	badged = true;
}

bool
warden_identity_badged(void)
{
	bool		result = badged;

	badged = false;
	return result;
}

/*
 * The text calls warden.enter or warden.leave, or could, or has a token.  A
 * gateway that is not bound calls nothing else, however it spells that.
 */
static bool
may_badge(const char *text)
{
	const WardenPrincipal *principal = warden_principal_cached();
	const char *at = strcasestr(text, "warden");

	if (text == hidden || (principal != NULL && strchr(text, '(') != NULL &&
						   principal->class == WARDEN_CLASS_GATEWAY))
		return true;
	if (strstr(text, "wdn_") != NULL || strstr(text, "eyJ") != NULL)
		return true;
	/* Names can be spelled in escapes, until who badged in has left. */
	if (warden_binding_current() != NULL && strcasestr(text, "u&\"") != NULL)
		return true;
	return at != NULL && (strcasestr(at, "enter") != NULL ||
						  strcasestr(at, "leave") != NULL);
}

static bool
is_token_character(char c)
{
	return isalnum((unsigned char) c) || c == '-' || c == '_' || c == '.';
}

/* A copy without what begins as tokens do and is so long at least. */
static char *
redact(const char *text, int shortest)
{
	char	   *copy = pstrdup(text);
	char	   *at = copy;

	while ((at = strpbrk(at, "we")) != NULL)
	{
		if (strncmp(at, "wdn_", 4) == 0 || strncmp(at, "eyJ", 3) == 0)
		{
			char	   *end = at;

			while (is_token_character(*end))
				end++;
			if (end - at >= shortest)
				memset(at + 4, '*', (size_t) (end - at - 4));
			at = end;
		}
		else
			at++;
	}
	return copy;
}

char *
warden_identity_redact(const char *text)
{
	return redact(text, SHORTEST_TOKEN);
}

/*
 * pgaudit's line, from the object's name on: its statement is a CSV field, in
 * which quotes are doubled, and its parameters follow.  The five fields before
 * hold words and numbers.
 */
static char *
fields_of_pgaudit(char *message)
{
	int			i;

	if (strncmp(message, "AUDIT: ", 7) != 0)
		return NULL;
	for (i = 0; i < 5 && message != NULL; i++)
	{
		message = strchr(message, ',');
		if (message != NULL)
			message++;
	}
	return message;
}

/* "$1 = 'x', ...", in whatever language what stands before it is. */
static char *
listed_parameters(char *message)
{
	char	   *dollar = message;

	while ((dollar = strchr(dollar, '$')) != NULL)
	{
		size_t		digits = strspn(dollar + 1, "0123456789");

		if (digits > 0 && strncmp(dollar + 1 + digits, " = ", 3) == 0)
			return dollar;
		dollar++;
	}
	return NULL;
}

static char *
first_of(char *a, char *b)
{
	return a == NULL || (b != NULL && b < a) ? b : a;
}

/*
 * Cuts a quoted statement, or listed parameters, off a part of the message.
 * Errors of input quote single words besides, as far as they got.
 */
static void
hide_part(char **part, const char *statement)
{
	char	   *quoted;

	if (*part == NULL)
		return;
	quoted = fields_of_pgaudit(*part);
	if (quoted == NULL)
		quoted = first_of(strstr(*part, statement),
						  first_of(strcasestr(*part, "parameters: "),
								   listed_parameters(*part)));
	if (quoted != NULL)
		*part = psprintf("%.*s%s", (int) (quoted - *part), *part, HIDDEN);
	*part = redact(*part, SHORTEST_PIECE);
}

/*
 * Anybody's RAISE gets into the log.  Who reads the trail there must not take
 * that for a record, nor for a head to compare with.
 */
static void
disown(ErrorData *edata)
{
	int			i;

	for (i = 0; i < (int) lengthof(own_lines); i++)
	{
		if (edata->message != NULL &&
			strncmp(edata->message, own_lines[i], strlen(own_lines[i])) == 0)
			edata->message = psprintf("not of pg_warden: %s", edata->message);
	}
}

/* The client gets the cut text as well; it has the rest. */
static void
hide_credentials(ErrorData *edata)
{
	const char *statement = debug_query_string;

	/* In those nothing is left to hide: they quote what records have. */
	if (own_line)
	{
		own_line = false;
		if (prev_emit_log != NULL)
			prev_emit_log(edata);
		return;
	}
	disown(edata);

	/* pgaudit writes of some statements when others have begun. */
	if (edata->message != NULL && fields_of_pgaudit(edata->message) != NULL &&
		may_badge(edata->message))
		hide_part(&edata->message, edata->message);
	if (statement != NULL && statement[0] != '\0' && may_badge(statement))
	{
		edata->hide_stmt = true;
		hide_part(&edata->message, statement);
		hide_part(&edata->detail, statement);
		hide_part(&edata->detail_log, statement);
		hide_part(&edata->context, statement);
		hide_part(&edata->internalquery, statement);
	}
	if (prev_emit_log != NULL)
		prev_emit_log(edata);
}

void
warden_identity_log(const char *line)
{
	own_line = true;
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("%s", line), errhidestmt(true),
			 errhidecontext(true)));
	own_line = false;
}

void
warden_redact_init(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = hide_credentials;
}
