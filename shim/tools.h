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
	struct Watch *watch;		/* of whom main.c tells who listens */
} ToolsContext;

/* Fills *host; version is the program's. */
extern void tools_setup(McpHost *host, ToolsContext *context,
						const char *version);

/* ------------------------------------------------------------------------
 * For the handlers
 * ------------------------------------------------------------------------
 */

extern const ToolsContext *tools_context(const McpCall *call);

/*
 * Arguments.  Each returns false after having answered with an error result.
 * An absent optional argument leaves *value as it was.
 */
extern bool tools_only(McpCall *call, json_t *arguments,
					   const char *const *names);
extern bool tools_text(McpCall *call, json_t *arguments, const char *name,
					   bool required, const char **value);
extern bool tools_integer(McpCall *call, json_t *arguments, const char *name,
						  bool required, long long min, long long max,
						  long long *value);
extern bool tools_flag(McpCall *call, json_t *arguments, const char *name,
					   bool *value);
extern bool tools_choice(McpCall *call, json_t *arguments, const char *name,
						 const char *const *choices, const char **value);
extern bool tools_sql(McpCall *call, json_t *arguments, const char **value);

typedef struct ToolsRun
{
	const DbStep *steps;
	int			step_count;
	const char *database;
	long long	max_rows;		/* 0: the agent's own limit */
	bool		replica;		/* may be tried on a replica first */
} ToolsRun;

/* Calls that wait for the database and keep no thread meanwhile. */
extern const McpParking tools_parking;

/* Runs the steps as one governed call and answers nothing. */
extern bool tools_exec(McpCall *call, const ToolsRun *run, DbOutcome *outcome);

/* The same, answering by an error result unless it is done; for tools. */
extern bool tools_run(McpCall *call, const ToolsRun *run, DbOutcome *outcome);

/* The same, answering by a protocol error; for methods that are no tools. */
extern bool tools_fetch(McpCall *call, const ToolsRun *run,
						DbOutcome *outcome);

/* The text of the only cell, NULL if there is none; lives with the outcome. */
extern const char *tools_cell(const DbOutcome *outcome, size_t *len);

/* An error result in the shape that every output schema has. */
extern void tools_fail(McpCall *call, const DbError *error);
extern void tools_invalid(McpCall *call, const char *message,
						  const char *hint);

/* content, then structuredContent's opening, left open for the handler */
extern void tools_begin(McpCall *call, const char *text, size_t len);
extern void tools_end(McpCall *call);

/* The answer to a diverted or proposed write. */
extern void tools_pending(McpCall *call, const char *database,
						  const DbOutcome *outcome);

/*
 * One change as its agent sees it.  tools_change_step fills a step and its
 * parameter; tools_load_change takes the object out of a row.
 */
typedef struct ToolsChangeStep
{
	char		id[24];
	const char *params[1];
	DbStep		step;
} ToolsChangeStep;

extern void tools_change_step(ToolsChangeStep *step, long long change_id);
extern json_t *tools_load_change(const DbOutcome *outcome, int row);
extern void tools_change_line(Buf *text, const json_t *change);
extern void tools_put_review_url(Buf *out, const McpCall *call,
								 long long change_id);

/* tools_task.c: changes as tasks of the tasks extension */
extern bool tools_wants_task(const McpCall *call);
extern void tools_answer_task(McpCall *call, const char *database,
							  const json_t *change);
extern void tools_put_task(Buf *out, const char *database,
						   const json_t *change, bool details);
extern void tools_get_task(McpCall *call, const char *task_id);
extern void tools_cancel_task(McpCall *call, const char *task_id);
extern void tools_update_task(McpCall *call, const char *task_id,
							  json_t *responses);

/* resources.c and prompts.c */
extern const char resources_templates[];
extern void resources_list(McpCall *call, const char *cursor);
extern void resources_read(McpCall *call, const char *uri);
extern void resources_complete(McpCall *call, const McpReference *ref);
extern const McpPrompt prompts[];
extern const size_t prompts_count;

/*
 * A call that comes back with the state of an earlier one asks what became of
 * its change: answers and returns true.
 */
extern bool tools_resume(McpCall *call, const char *database);

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
