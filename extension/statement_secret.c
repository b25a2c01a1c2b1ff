/*-------------------------------------------------------------------------
 * statement_secret.c
 *	  Passwords in a statement that is about to be stored, where reviewers,
 *	  auditors and backups would have them.
 *
 * A statement is read token by token, as the parser reads it.  A password is a
 * literal after the word PASSWORD (of a role, a user mapping, a server), or in
 * a connection string, which any literal can be.  The literals of a function's
 * body, or of a DO block's, can be statements and are read in the same way.
 * What a body puts together from pieces is not found.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/keywords.h"
#include "parser/scanner.h"
#include "parser/scansup.h"

#include "compat.h"
#include "statement.h"
#include "warden.h"

/* Literals in literals in bodies. */
#define MAX_DEPTH	4

static const char *const secret_keys[] = {"password", "sslpassword"};

/* Words that stand before PASSWORD 'x', in a body that makes a statement. */
static const char *const holders[] = {"role", "user", "group", "mapping",
"server", "options", "subscription"};

static bool
is_one_of(const char *word, size_t length, const char *const *words, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (strlen(words[i]) == length &&
			pg_strncasecmp(word, words[i], length) == 0)
			return true;
	}
	return false;
}

/* ---- connection strings -------------------------------------------------- */

/* postgresql://user:password@host or with it among the parameters. */
static bool
is_secret_uri(const char *text)
{
	const char *authority;
	const char *end;
	const char *at;
	const char *colon;

	if (pg_strncasecmp(text, "postgresql://", 13) == 0)
		authority = text + 13;
	else if (pg_strncasecmp(text, "postgres://", 11) == 0)
		authority = text + 11;
	else
		return false;
	end = authority + strcspn(authority, "/?");
	at = memchr(authority, '@', end - authority);
	colon = memchr(authority, ':', end - authority);
	if (at != NULL && colon != NULL && colon + 1 < at)
		return true;
	return strstr(end, "password=") != NULL;
}

static const char *
skip_blanks(const char *p)
{
	while (isspace((unsigned char) *p))
		p++;
	return p;
}

/* The end of a value as libpq reads it, quoted or not. */
static const char *
value_end(const char *p)
{
	bool		quoted = *p == '\'';

	if (quoted)
		p++;
	while (*p != '\0' && (quoted ? *p != '\'' : !isspace((unsigned char) *p)))
	{
		if (*p == '\\' && p[1] != '\0')
			p++;
		p++;
	}
	return quoted && *p == '\'' ? p + 1 : p;
}

/* key = value pairs and nothing else, one of them a password. */
static bool
is_secret_conninfo(const char *text)
{
	const char *p = skip_blanks(text);
	bool		secret = false;

	while (*p != '\0')
	{
		const char *key = p;
		const char *value;
		size_t		length = strspn(p, "abcdefghijklmnopqrstuvwxyz_");

		p = skip_blanks(p + length);
		if (length == 0 || *p != '=')
			return false;
		value = skip_blanks(p + 1);
		p = value_end(value);
		if (p > value && strncmp(value, "''", 2) != 0 &&
			is_one_of(key, length, secret_keys, lengthof(secret_keys)))
			secret = true;
		p = skip_blanks(p);
	}
	return secret;
}

/* ---- tokens -------------------------------------------------------------- */

/* A literal begins here: 'x', E'x', U&'x', N'x', $$x$$. */
static bool
is_literal(const char *p)
{
	if (*p == '\'')
		return true;
	if (*p == '$')
		return !isdigit((unsigned char) p[1]);
	if (strchr("eEnN", *p) != NULL)
		return p[1] == '\'';
	return (*p == 'u' || *p == 'U') && p[1] == '&' && p[2] == '\'';
}

static bool scan(const char *text, bool body, int depth);

/* What does not scan is not a statement. */
static bool
scan_nested(const char *text, int depth)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool secret = false;

	if (depth > MAX_DEPTH)
		return false;
	PG_TRY();
	{
		secret = scan(text, true, depth);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
			ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
			ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return secret;
}

static bool
scan(const char *text, bool body, int depth)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	bool		holder = depth == 0;
	bool		after_password = false;
	bool		secret = false;

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	while (!secret && core_yylex(&value, &location, scanner) != 0)
	{
		const char *token = text + location;
		size_t		length = strspn(token, "abcdefghijklmnopqrstuvwxyz"
									"ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

		if (is_literal(token))
			secret = (after_password && value.str[0] != '\0') ||
				is_secret_uri(value.str) || is_secret_conninfo(value.str) ||
				(body && scan_nested(value.str, depth + 1));
		holder = holder || is_one_of(token, length, holders,
									 lengthof(holders));
		after_password = holder &&
			is_one_of(token, length, secret_keys, lengthof(secret_keys));
	}
	scanner_finish(scanner);
	return secret;
}

/* Nothing that a password could hide in: what most statements are. */
static bool
is_harmless(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if ((*text | 0x20) == 'p' &&
			(pg_strncasecmp(text, "password", 8) == 0 ||
			 pg_strncasecmp(text, "postgres", 8) == 0))
			return false;
	}
	return true;
}

void
warden_statement_refuse_secrets(Node *stmt, const char *text)
{
	bool		body = IsA(stmt, DoStmt) || IsA(stmt, CreateFunctionStmt);

	if (is_harmless(text) || !scan(text, body, 0))
		return;
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("a password can not be part of a change"),
			 errdetail("It would be stored for everybody who reviews or audits the change."),
			 errhint("Have an administrator set it, or keep it in a password file of the server.")));
}
