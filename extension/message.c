/*-------------------------------------------------------------------------
 * message.c
 *	  The client's message that is being worked on: its end, and which of its
 *	  statements is the last.
 *
 * PostgreSQL has no hook there, but resets MessageContext before it reads the
 * next message, whatever became of this one.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "compat.h"
#include "message.h"

static uint64 serial = 0;
static bool watched = false;
static WardenMessageEnd at_end = NULL;

/* The statement that began last, where it is a part of a message's text. */
static const char *last_text = NULL;
static const char *last_end = NULL;

/*
 * statement_timeout can come when the statement has nothing left to do that
 * would notice.  PostgreSQL would raise it while it reads the next message,
 * and lose that: a statement without a trace.
 */
static void
drop_late_timeout(void)
{
	if (get_timeout_indicator(STATEMENT_TIMEOUT, true))
		QueryCancelPending = false;
}

static void
end_message(void *arg pg_attribute_unused())
{
	watched = false;
	serial++;
	last_text = NULL;
	if (at_end())
		drop_late_timeout();
}

void
warden_message_watch(void)
{
	static MemoryContextCallback callback = {end_message, NULL, NULL};

	if (likely(watched) || MessageContext == NULL)
		return;
	MemoryContextRegisterResetCallback(MessageContext, &callback);
	watched = true;
}

void
warden_message_on_end(WardenMessageEnd fn)
{
	at_end = fn;
}

void
warden_message_statement(const PlannedStmt *pstmt, const char *source)
{
	if (source == NULL || source != debug_query_string)
		return;
	last_text = source;
	last_end = pstmt->stmt_len > 0 && pstmt->stmt_location >= 0 ?
		source + pstmt->stmt_location + pstmt->stmt_len :
		NULL;
}

/* Who asks wants to know when it is over. */
uint64
warden_message_serial(void)
{
	warden_message_watch();
	return serial;
}

/* Past a comment; comments nest. */
static const char *
skip_comment(const char *text)
{
	int depth = 0;

	if (text[0] == '-')
		return text + strcspn(text, "\r\n");
	do
	{
		if (text[0] == '/' && text[1] == '*')
			depth++, text++;
		else if (text[0] == '*' && text[1] == '/')
			depth--, text++;
		text++;
	}
	while (depth > 0 && *text != '\0');
	return text;
}

bool
warden_message_has_more(void)
{
	const char *rest = last_end;

	/* without an end the statement goes to that of the text */
	if (last_text == NULL || last_text != debug_query_string || rest == NULL)
		return false;
	for (;;)
	{
		rest += strspn(rest, " \t\n\r\f\v;");
		if (strncmp(rest, "--", 2) != 0 && strncmp(rest, "/*", 2) != 0)
			return *rest != '\0';
		rest = skip_comment(rest);
	}
}
