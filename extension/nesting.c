/*-------------------------------------------------------------------------
 * nesting.c
 *	  Top-level or nested: decided by what the active portal is running.
 *
 * A statement that the client sent is one of its portal's own plans.  One
 * that a function, DO block, trigger or rule action's function runs comes
 * from a plan of SPI's.  A cursor that PL code opens has a portal too, so the
 * hooks also count the governed statements around it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parser.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"

#include "compat.h"
#include "catalog.h"
#include "nesting.h"
#include "warden.h"

static int	depth = 0;
static bool inside_foreign_key = false;

int
warden_nesting_enter(void)
{
	return depth++;
}

void
warden_nesting_restore(int saved)
{
	depth = saved;
}

bool
warden_nesting_inside(void)
{
	return depth > 0;
}

bool
warden_nesting_foreign_key(void)
{
	return InNoForceRLSOperation() && !inside_foreign_key;
}

void
warden_nesting_enter_query(WardenForeignKey *saved)
{
	saved->inside = inside_foreign_key;
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	if (!InNoForceRLSOperation())
		return;
	inside_foreign_key = !inside_foreign_key;

	/* Below a governed query the flag means a new foreign key again. */
	if (!inside_foreign_key)
		SetUserIdAndSecContext(saved->userid, saved->sec_context &
							   ~SECURITY_NOFORCE_RLS);
}

void
warden_nesting_leave_query(const WardenForeignKey *saved)
{
	inside_foreign_key = saved->inside;
	if (saved->sec_context & SECURITY_NOFORCE_RLS)
		SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

bool
warden_nesting_toplevel(const PlannedStmt *pstmt)
{
	return depth == 0 && ActivePortal != NULL &&
		list_member_ptr(ActivePortal->stmts, (void *) pstmt);
}

/* Does a raw statement call the function in its own target list? */
typedef struct CallSearch
{
	const char *name;
	bool		found;
} CallSearch;

static bool
call_walker(Node *node, CallSearch *search)
{
	if (node == NULL || search->found)
		return search->found;
	if (IsA(node, FuncCall))
	{
		List	   *names = ((FuncCall *) node)->funcname;

		if (list_length(names) == 2 &&
			strcmp(strVal(linitial(names)), WARDEN_SCHEMA) == 0 &&
			strcmp(strVal(lsecond(names)), search->name) == 0)
			search->found = true;
		else if (list_length(names) == 1 &&
				 strcmp(strVal(linitial(names)), search->name) == 0)
			search->found = true;
	}
	return search->found ||
		raw_expression_tree_walker(node, call_walker, search);
}

/*
 * A text that was found to call a function.  Gateways send the same ones all
 * the time.
 */
typedef struct KnownText
{
	char		name[NAMEDATALEN];
	char		text[256];		/* "": none */
} KnownText;

static KnownText known_texts[4];

/* Nothing with quotes in it: it may hold a secret, and mean something else
 * under another standard_conforming_strings. */
static bool
may_be_known(const char *text)
{
	const char *dollar = text;

	if (strlen(text) >= sizeof(known_texts[0].text) ||
		strchr(text, '\'') != NULL)
		return false;
	while ((dollar = strchr(dollar, '$')) != NULL)
	{
		if (*++dollar < '0' || *dollar > '9')
			return false;
	}
	return true;
}

static bool
is_known(const char *name, const char *text)
{
	int			i;

	for (i = 0; i < (int) lengthof(known_texts); i++)
	{
		if (strcmp(known_texts[i].text, text) == 0 &&
			strcmp(known_texts[i].name, name) == 0)
			return text[0] != '\0';
	}
	return false;
}

static void
remember_text(const char *name, const char *text)
{
	static int	next = 0;

	if (!may_be_known(text))
		return;
	strlcpy(known_texts[next].name, name, NAMEDATALEN);
	strlcpy(known_texts[next].text, text, sizeof(known_texts[next].text));
	next = (next + 1) % lengthof(known_texts);
}

/* The text names the function itself. */
static bool
text_calls(const char *text, const char *name)
{
	CallSearch	search = {name, false};
	List	   *raw = raw_parser(text, RAW_PARSE_DEFAULT);
	ListCell   *lc;

	foreach(lc, raw)
	{
		Node	   *stmt = lfirst_node(RawStmt, lc)->stmt;

		if (IsA(stmt, PrepareStmt))
			stmt = ((PrepareStmt *) stmt)->query;
		if (IsA(stmt, SelectStmt))
			(void) call_walker(stmt, &search);
	}
	return search.found;
}

static bool
portal_calls(const char *name)
{
	const char *text = ActivePortal->sourceText;

	if (is_known(name, text))
		return true;
	if (!text_calls(text, name))
		return false;
	remember_text(name, text);
	return true;
}

/* A cursor that PL code opened has a portal too, with a text of its own. */
static bool
clients_own_portal(void)
{
	return debug_query_string != NULL && ActivePortal->sourceText != NULL &&
		strcmp(debug_query_string, ActivePortal->sourceText) == 0;
}

/*
 * The function's own executor state is the portal's, not that of a query in
 * a function, and the text that the client sent names it, so that a SQL
 * function which the planner inlined does not pass for the client.
 */
void
warden_nesting_require_toplevel(FunctionCallInfo fcinfo, const char *name,
								int sqlstate)
{
	EState	   *estate = NULL;

	if (ActivePortal != NULL && ActivePortal->queryDesc != NULL)
		estate = ActivePortal->queryDesc->estate;
	if (estate != NULL && fcinfo->flinfo->fn_mcxt == estate->es_query_cxt &&
		depth <= 1 && clients_own_portal() && portal_calls(name))
		return;
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("warden.%s() must be called by a statement of its own",
					name),
			 errhint("Send SELECT warden.%s(...) itself, not from a function, DO block, trigger or rule.",
					 name)));
}
