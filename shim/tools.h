/*
 * tools.h
 *		The tools of warden-mcp: one table, and what the handlers share.
 */
#ifndef TOOLS_H
#define TOOLS_H

#include "config.h"
#include "db.h"
#include "mcp.h"

typedef struct ToolsContext
{
	_Atomic(const Config *) cf; /* replaced by a reload */
	DbPool	   *pool;
} ToolsContext;

/* Fills *host; version is the program's.  False for want of memory. */
extern bool tools_setup(McpHost *host, ToolsContext *context,
						const char *version);

/* ------------------------------------------------------------------------
 * For the handlers
 * ------------------------------------------------------------------------
 */

extern const ToolsContext *tools_context(const McpCall *call);

/*
 * Holds the arguments against the tool's input schema; false after having
 * answered with an error result.  Where it is true a member is what the schema
 * says, without NUL characters, or an optional one that is absent or null.  A
 * number that is whole has become an integer.
 */
extern bool tools_check(McpCall *call, json_t *arguments);

/* Which database a tool is called for. */
extern const char *tools_database(const McpCall *call);

typedef struct ToolsRun
{
	DbStep		steps[2];		/* what has no statement is left out */
	const char *database;
	long long	max_rows;		/* 0: the agent's own limit */
	bool		replica;		/* may be tried on a replica first */
	bool		admission;		/* judges the credential, for some seconds */
} ToolsRun;

/* Calls that wait for the database and keep no thread meanwhile. */
extern const McpParking tools_parking;

/* For requests that ask nothing of PostgreSQL: false if enter refused. */
extern bool tools_admit(McpCall *call);

/* Runs the steps as one governed call and answers nothing. */
extern bool tools_exec(McpCall *call, const ToolsRun *run, DbOutcome *outcome);

/* The same, answering by an error result unless it is done; for tools. */
extern bool tools_run(McpCall *call, const ToolsRun *run, DbOutcome *outcome);

/* The same, answering by a protocol error; for methods that are no tools. */
extern bool tools_fetch(McpCall *call, const ToolsRun *run,
						DbOutcome *outcome);

/* The same for a tool whose arguments were checked: answer tells what came. */
extern void tools_answer(McpCall *call, ToolsRun *run,
						 void (*answer) (McpCall *call,
										 const DbOutcome *outcome));

/* The JSON object in the first column of a row; NULL if there is none. */
extern json_t *tools_load_object(const DbOutcome *outcome, int row);

#define SQLSTATE_INVALID_PARAMETER "22023"

/* An error result in the shape that every output schema has. */
extern void tools_fail(McpCall *call, const DbError *error);
extern void tools_invalid(McpCall *call, const char *message,
						  const char *hint);

/*
 * The result of a tool: tools_begin opens the text that people and models read,
 * to be written by json_util_text; tools_structure goes on to structuredContent
 * and writes its status.
 */
extern void tools_begin(McpCall *call);
extern void tools_structure(McpCall *call, const char *status);
extern void tools_end(McpCall *call);

/*
 * Text that others wrote, into a string that is open: its second line and those
 * that follow are indented, so that none can be taken for one of ours.
 */
extern void tools_put_lines(Buf *out, const char *text);

/* The answer to a diverted or proposed write; risk may be "". */
extern void tools_pending(McpCall *call, long long change_id,
						  const char *risk);

/*
 * Reads one change as its agent sees it, by tools_exec, tools_run or
 * tools_fetch; *change is NULL where there is none.
 */
typedef bool (*ToolsRunner) (McpCall *call, const ToolsRun *run,
							 DbOutcome *outcome);
extern bool tools_read_change(McpCall *call, ToolsRunner runner,
							  const char *database, long long change_id,
							  json_t **change);

/* The member change_id, of a change or of arguments. */
extern long long tools_change_id(const json_t *object);

/* Digits only, and few enough of them; 0 for anything else. */
extern long long tools_parse_id(const char *text);

/* One line about a change, into a string that is open. */
extern void tools_change_line(Buf *out, const json_t *change);

/* tools_task.c: changes as tasks of the tasks extension, "main:42" */
typedef struct TaskName
{
	char		text[160];		/* of the database: "main" */
	const char *database;		/* NULL: the main one */
	long long	change_id;
} TaskName;

/* False if the id is none that was handed out. */
extern bool tools_parse_task(const McpCall *call, const char *task_id,
							 TaskName *name);
extern bool tools_wants_task(const McpCall *call);
extern void tools_answer_task(McpCall *call, const char *database,
							  const json_t *change);
extern void tools_put_task(Buf *out, const char *database,
						   const json_t *change, bool details);
extern void tools_task(McpCall *call);

/* resources.c and prompts.c */
extern void resources_list(McpCall *call);
extern void resources_templates(McpCall *call);
extern void resources_read(McpCall *call);
extern void resources_complete(McpCall *call);
extern const McpPrompt prompts[];
extern const size_t prompts_count;

/*
 * A call that comes back with the state of an earlier one asks what became of
 * its change: answers and returns true.
 */
extern bool tools_resume(McpCall *call);

/* handlers */
extern void tools_query(McpCall *call, json_t *arguments);
extern void tools_explain(McpCall *call, json_t *arguments);
extern void tools_search_objects(McpCall *call, json_t *arguments);
extern void tools_whoami(McpCall *call, json_t *arguments);
extern void tools_propose_change(McpCall *call, json_t *arguments);
extern void tools_get_change(McpCall *call, json_t *arguments);
extern void tools_list_changes(McpCall *call, json_t *arguments);
extern void tools_withdraw_change(McpCall *call, json_t *arguments);

#endif							/* TOOLS_H */
