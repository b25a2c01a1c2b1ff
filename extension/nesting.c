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

#include "catalog/namespace.h"
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

/* A cursor that PL code opened has a portal too, with a text of its own. */
static bool
clients_own_portal(void)
{
	return debug_query_string != NULL && ActivePortal->sourceText != NULL &&
		strcmp(debug_query_string, ActivePortal->sourceText) == 0;
}

/*
 * Functions in the arguments of EXECUTE, in the checks of bind parameters and
 * in what the planner evaluates run before a statement does: nothing is counted
 * around them.  Their cursors can be seen and have another text; the portals of
 * EXECUTE and of the simple protocol can not.  Without a text it is a Sync.
 */
static bool
opened_by_function(void)
{
	return ActivePortal->visible && debug_query_string != NULL &&
		!clients_own_portal();
}

bool
warden_nesting_toplevel(const PlannedStmt *pstmt)
{
	return depth == 0 && ActivePortal != NULL &&
		list_member_ptr(ActivePortal->stmts, (void *) pstmt) &&
		!opened_by_function();
}

/* How often does a raw statement call the function itself, and is it there? */
typedef struct CallSearch
{
	const char *name;
	int			location;
	int			calls;
	bool		found;
} CallSearch;

/* Without a schema it is the library's if no function of that name is not. */
static bool
means_own(List *names)
{
	FuncCandidateList candidates;

	candidates = FuncnameGetCandidates(names, -1, NIL, false, false, false,
									   true);
	if (candidates == NULL)
		return false;
	for (; candidates != NULL; candidates = candidates->next)
	{
		if (get_func_namespace(candidates->oid) != warden_catalog_schema())
			return false;
	}
	return true;
}

static bool
call_walker(Node *node, CallSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		List	   *names = ((FuncCall *) node)->funcname;

		if (strcmp(strVal(llast(names)), search->name) == 0 &&
			((list_length(names) == 2 &&
			  strcmp(strVal(linitial(names)), WARDEN_SCHEMA) == 0) ||
			 (list_length(names) == 1 && means_own(names))))
		{
			search->calls++;
			search->found |= (((FuncCall *) node)->location ==
							  search->location);
		}
	}
	return raw_expression_tree_walker(node, call_walker, search);
}

/*
 * A text of a gateway's that was found to call a function: they send the same
 * ones all the time.
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

/* How often the text calls the function itself; 0 where it is not this call. */
static int
text_calls(const char *text, const char *name, Node *call)
{
	CallSearch	search = {name, -1, 0, false};
	List	   *raw = raw_parser(text, RAW_PARSE_DEFAULT);
	ListCell   *lc;

	/* What a view brings has no place in any text. */
	if (call != NULL && IsA(call, FuncExpr))
		search.location = ((FuncExpr *) call)->location;
	foreach(lc, raw)
	{
		Node	   *stmt = lfirst_node(RawStmt, lc)->stmt;

		if (IsA(stmt, PrepareStmt))
			stmt = ((PrepareStmt *) stmt)->query;
		if (IsA(stmt, SelectStmt))
			(void) call_walker(stmt, &search);
	}
	return search.found ? search.calls : 0;
}

/* How often the plan does, with what views and inlined functions brought. */
static int
plan_calls(PlannedStmt *plan, Oid funcid)
{
	char	   *text = nodeToString(plan);
	char	   *call = psprintf(":funcid %u ", funcid);
	int			calls = 0;

	while ((text = strstr(text, call)) != NULL)
	{
		text++;
		calls++;
	}
	return calls;
}

static bool
portal_calls(const char *name, const FmgrInfo *function)
{
	int			calls = text_calls(ActivePortal->sourceText, name,
								   function->fn_expr);

	return calls > 0 &&
		plan_calls(ActivePortal->queryDesc->plannedstmt,
				   function->fn_oid) <= calls;
}

/*
 * The function's own executor state is the portal's, not that of a query in
 * a function, and the text that the client sent names it as often as the plan
 * does, so that a view, or a SQL function which the planner inlined, does not
 * pass for the client.
 */
void
warden_nesting_require_toplevel(FunctionCallInfo fcinfo, const char *name,
								int sqlstate)
{
	EState	   *estate = NULL;

	if (ActivePortal != NULL && ActivePortal->queryDesc != NULL)
		estate = ActivePortal->queryDesc->estate;
	if (estate != NULL && fcinfo->flinfo->fn_mcxt == estate->es_query_cxt &&
		depth <= 1 && clients_own_portal())
	{
		if (is_known(name, ActivePortal->sourceText))
			return;
		if (portal_calls(name, fcinfo->flinfo))
		{
			/* A gateway's statement has nothing that could change in it. */
			if (sqlstate == WARDEN_ERRCODE_IDENTITY)
				remember_text(name, ActivePortal->sourceText);
			return;
		}
	}
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("warden.%s() must be called by a statement of its own",
					name),
			 errhint("Send SELECT warden.%s(...) itself, not from a function, DO block, trigger or rule.",
					 name)));
}
