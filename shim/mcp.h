/*
 * mcp.h
 *		The Model Context Protocol, server side: eras, methods, tools.
 *
 * Knows neither PostgreSQL nor HTTP.  A program gives it a McpHost (what it
 * offers) and feeds it messages as McpCalls; it answers into call->out.
 */
#ifndef MCP_H
#define MCP_H

#include "buf.h"
#include "jsonrpc.h"
#include "session.h"
#include "transport.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* error codes that the protocol adds to JSON-RPC's */
#define MCP_HEADER_MISMATCH (-32020)
#define MCP_MISSING_CAPABILITY (-32021)
#define MCP_UNSUPPORTED_VERSION (-32022)
#define MCP_RESOURCE_NOT_FOUND_LEGACY (-32002)

/* and ours, outside the reserved range: the HTTP status that goes with them */
#define MCP_UNAUTHORIZED 401
#define MCP_FORBIDDEN 403
#define MCP_UNKNOWN_SESSION 404
#define MCP_TOO_MANY 429
#define MCP_OVERLOADED 503

#define MCP_TASKS_EXTENSION "io.modelcontextprotocol/tasks"

typedef struct Mcp Mcp;
typedef struct McpCall McpCall;

/* modern: per-request metadata; legacy: opened by initialize */
typedef enum McpEra
{
	MCP_LEGACY = 1,
	MCP_MODERN = 2
} McpEra;

#define MCP_BOTH (MCP_LEGACY | MCP_MODERN)

typedef void (*McpHandler) (McpCall *call);

typedef struct McpMethod
{
	const char *name;
	int			eras;			/* McpEra bits in which it exists */
	bool		blocking;		/* must run on a worker thread */
	const char *name_param;		/* member that the Mcp-Name header mirrors */
	McpHandler	handler;		/* NULL: opens a stream */
} McpMethod;

/* tool flags, told to clients as annotations */
#define MCP_TOOL_READ_ONLY 1
#define MCP_TOOL_DESTRUCTIVE 2
#define MCP_TOOL_IDEMPOTENT 4

/*
 * Not told: up to the end of its first wait the handler only looks at the call,
 * so that it can be run up to there, left, and run again from its beginning
 * when what it waits for has come.
 */
#define MCP_TOOL_PARKS 8

typedef struct McpTool
{
	const char *name;
	const char *title;
	const char *description;
	const char *input_schema;	/* JSON text */
	const char *output_schema;	/* JSON text or NULL */
	int			flags;
	void		(*handler) (McpCall *call, json_t *arguments);	/* NULL: none */
} McpTool;

typedef struct McpPrompt
{
	const char *name;
	const char *title;
	const char *description;
	const char *arguments;		/* JSON array, or NULL */
	const char *const *required;	/* names, NULL-terminated; or NULL */
	void		(*handler) (McpCall *call, json_t *arguments);
} McpPrompt;

/* What a parked call waits for; the host's own. */
typedef enum McpProgress
{
	MCP_WAITING,
	MCP_READY,					/* mcp_finish can go on */
	MCP_SLOW					/* a worker should go on */
} McpProgress;

typedef struct McpParking
{
	/* line tells apart what had the same descriptor at different times */
	int			(*fd) (const void *parked, uint64_t *line);
	McpProgress (*advance) (void *parked);	/* when fd is readable */
	void		(*release) (void *parked);
} McpParking;

typedef struct McpHost
{
	const char *name;
	const char *title;
	const char *version;
	const char *instructions;
	const char *capabilities;	/* members of the capabilities object */
	const char *legacy_capabilities;	/* for initialize; NULL: the same */
	const McpTool *tools;		/* in the order of tools/list */
	size_t		tool_count;
	const McpMethod *methods;	/* besides the core's; ends with no name */
	const McpParking *parking;	/* NULL: no tool parks */
	const char *list_scope;		/* cacheScope of lists and reads */
	long		list_ttl_ms;
	const McpPrompt *prompts;	/* in the order of prompts/list */
	size_t		prompt_count;
	void	   *context;

	/*
	 * Judges the credential of a request that asks nothing of it, where the
	 * transport has challenges; false after an answer.  NULL: nobody does.
	 */
	bool		(*admit) (McpCall *call);

	/* a stream was opened; not on a worker, and the stream may end any time */
	void		(*listening) (void *listener, const char *credential,
							  const json_t *person);
	void	   *listener;

	/* a client answered what the host had asked it; NULL: it asks nothing */
	void		(*responded) (McpCall *response);
} McpHost;

/* What HTTP says beside the body; NULL members were absent. */
typedef struct McpHeaders
{
	const char *version;
	const char *method;
	const char *name;
	const char *session;
} McpHeaders;

/* what became of the call's credential */
typedef enum McpVerdict
{
	MCP_UNJUDGED,				/* nobody was asked */
	MCP_ACCEPTED,
	MCP_REFUSED
} McpVerdict;

#define MCP_SCOPE_SIZE 128

/* how a call ended, for metrics and logs */
typedef enum McpOutcome
{
	MCP_OUTCOME_OK,
	MCP_OUTCOME_PENDING,
	MCP_OUTCOME_ERROR,
	MCP_OUTCOME_REFUSED,
	MCP_OUTCOME_CANCELLED,
	MCP_OUTCOME_FAULT
} McpOutcome;

/* Where a handler may wait: what a call is in while its handler runs. */
typedef enum McpPhase
{
	MCP_PHASE_WORKER,			/* wherever it likes */
	MCP_PHASE_START,			/* not at all: it parks at the first wait */
	MCP_PHASE_FINISH			/* not again: what it parked for has come */
} McpPhase;

struct McpCall
{
	Mcp		   *mcp;
	JsonRpcMessage msg;
	McpEra		era;
	const char *version;		/* constant */
	const McpMethod *method;
	const McpTool *tool;		/* for tools/call */
	json_t	   *meta;			/* params._meta when it is an object */
	Buf			out;
	McpOutcome	outcome;
	McpVerdict	verdict;
	int			http_status;
	int			retry_after;	/* seconds; 0: not said */
	char		scope[MCP_SCOPE_SIZE];	/* with status 403: what to ask for */

	/* set by the transport before mcp_accept */
	const Transport *transport;
	const char *credential;		/* NULL when none came */
	int			watch_fd;		/* a hang-up here cancels, -1: none */

	char		session[SESSION_ID_SIZE];	/* empty: none */
	bool		session_opened;
	bool		registered;
	bool		streaming;
	atomic_bool cancelled;
	atomic_int	wake_fd;		/* written to when cancelled; -1: none */
	McpPhase	phase;
	bool		stopped;		/* where it may not wait: answer nothing */
	void	   *parked;			/* what it waits for */
	bool		unparked;		/* the handler has been given it */
	uint64_t	accepted;		/* where it has to wait for a place */
	uint64_t	started;
	double		progress;		/* that was told */
	LIST_ENTRY(McpCall) link;	/* with the calls or with the streams */
	McpCall    *queued;			/* worker queue, or those that are parked */
};

typedef enum McpRoute
{
	MCP_ANSWERED,				/* call->out holds the answer */
	MCP_SILENT,					/* nothing to say: a notification */
	MCP_DEFERRED,				/* hand the call to mcp_run on a worker */
	MCP_STREAMING				/* stays open; messages come by notify */
} McpRoute;

extern Mcp *mcp_create(const McpHost *host, SessionTable *sessions);
extern void mcp_free(Mcp *mcp);
extern const McpHost *mcp_host(const Mcp *mcp);

extern void mcp_call_init(McpCall *call, Mcp *mcp, const Transport *transport);
extern void mcp_call_clear(McpCall *call);

/* headers is NULL where the transport has none. */
extern McpRoute mcp_accept(McpCall *call, const char *text, size_t len,
						   const McpHeaders *headers);

/* Makes a call of the transport's own out of no message, to be deferred. */
extern void mcp_prepare(McpCall *call, const McpMethod *method);

/*
 * Runs a deferred call to its end and finishes it through its transport.  One
 * that is parked waits for what it parked for.
 */
extern void mcp_run(McpCall *call, int wake_fd);

/*
 * The same for a thread that must not wait.  MCP_START_PARKED: advance it by
 * the host's parking, then mcp_finish.  MCP_START_DECLINED: nothing was done;
 * use mcp_run.  mcp_finish returns false if the handler needs to wait again:
 * use mcp_run, which begins it anew.
 */
typedef enum McpStart
{
	MCP_START_DONE,
	MCP_START_PARKED,
	MCP_START_DECLINED
} McpStart;

extern McpStart mcp_start(McpCall *call);
extern bool mcp_finish(McpCall *call);

/* Cancels one call: what a hang-up does, or notifications/cancelled. */
extern void mcp_cancel(McpCall *call);

/* Cancels every running call; for the end of a drain. */
extern void mcp_cancel_all(Mcp *mcp);

/* Calls that are accepted and not cleared yet, streams excluded. */
extern size_t mcp_running(Mcp *mcp);

extern bool mcp_session_end(Mcp *mcp, const char *id, const char *credential);

/* ------------------------------------------------------------------------
 * For handlers
 * ------------------------------------------------------------------------
 */

/* {"jsonrpc":...,"result":{ with resultType and serverInfo where they belong */
extern void mcp_result_begin(McpCall *call);
extern void mcp_result_begin_as(McpCall *call, const char *result_type);
extern void mcp_member(McpCall *call, const char *name);

/* Members by a template of json_util_put. */
extern void mcp_put(McpCall *call, const char *template,...)
			__attribute__((format(printf, 2, 3)));
extern void mcp_cache_hint(McpCall *call);
extern void mcp_result_end(McpCall *call);

/*
 * Each replaces whatever was written by an error, sets the HTTP status that
 * goes with its code, and returns false, which the caller may return.
 */
extern bool mcp_error(McpCall *call, int code, const char *message);

/* The message, quoted, and what follows it by a template of json_util_put. */
extern bool mcp_error_put(McpCall *call, int code, const char *template,...)
			__attribute__((format(printf, 3, 4)));
extern bool mcp_invalid_params(McpCall *call, const char *message);
extern bool mcp_missing_capability(McpCall *call, const char *capabilities);
extern void mcp_not_found(McpCall *call, const char *uri);

/* Whether the client declared a capability ("elicitation"), or an extension. */
extern json_t *mcp_client_capability(const McpCall *call, const char *name);
extern bool mcp_client_extension(const McpCall *call, const char *name);

/* A string among the params; NULL after having answered that it is none. */
extern const char *mcp_text_param(McpCall *call, const char *name);

/*
 * notifications/progress ahead of the answer, to a client that asked for it;
 * what does not rise is not sent.  total is 0, and message NULL, where there is
 * none.
 */
extern void mcp_progress(McpCall *call, double progress, double total,
						 const char *message);

/* Of lists that fit in one page: true, with the answer given, for a cursor. */
extern bool mcp_refuse_cursor(McpCall *call);

/* prompts/list and prompts/get by the host's table */
extern void mcp_prompts_list(McpCall *call);
extern void mcp_prompts_get(McpCall *call);

/*
 * For a method of tasks: the one it is about.  NULL after having answered that
 * the client did not declare the extension, or what its params lack.
 */
extern const char *mcp_task_id(McpCall *call);

/* The argument that completion/complete is about; NULL after an answer. */
extern const char *mcp_completion_of(McpCall *call, const char **typed);

/* The values of a completion, at most 100 of them; more: there are others. */
extern void mcp_completion(McpCall *call, const char *const *values,
						   size_t count, bool more);

/*
 * requestState of an input_required result: text that comes back from the
 * client, bound to its credential, its request and a time.  mcp_state_open
 * answers with an error itself unless the state is good; *state is NULL when
 * the request has none.
 */
extern void mcp_state_seal(McpCall *call, const char *state, int seconds,
						   Buf *out);
extern bool mcp_state_open(McpCall *call, Buf *state, bool *present);

/* ------------------------------------------------------------------------
 * Streams: subscriptions/listen
 * ------------------------------------------------------------------------
 */

/* The member of _meta that names whom a call, or a stream, is for. */
#define MCP_PERSON "warden/onBehalfOf"

/* Whether the call names that one, or nobody if that is NULL. */
extern bool mcp_names_person(const McpCall *call, const json_t *person);

/*
 * Tells listeners that asked for it, those of whom `as` is or, where that is
 * NULL, all; task is the members of a DetailedTask.
 */
extern void mcp_publish_resource(Mcp *mcp, const McpCall *as,
								 const char *uri);
extern void mcp_publish_task(Mcp *mcp, const McpCall *as,
							 const char *task_id, const char *task);

/*
 * For a transport whose client hung up: true if the call was still an open
 * stream, which it no longer is; its reference is the caller's to drop.
 */
extern bool mcp_leave_stream(McpCall *call);

/* Ends every stream with its answer. */
extern void mcp_close_streams(Mcp *mcp);

/* Ends the streams of a credential that is not accepted. */
extern void mcp_refuse_streams(Mcp *mcp, const McpCall *as,
							   const char *message);

/* Calls fn for every open stream, under the streams' lock. */
extern void mcp_each_stream(Mcp *mcp, void (*fn) (McpCall *call, void *arg),
							void *arg);

#endif							/* MCP_H */
