/*
 * mcp_batch.c
 *		JSON-RPC batches, which revision 2025-03-26 has and no other.
 *
 * A batch is one deferred call of its own.  Its messages run one after the
 * other on its worker, each as a call that borrows session and credential;
 * the answers become one array.  What a message of the batch says of another
 * era is not looked at, since no header could vouch for it.
 */
#include "mcp_internal.h"

#include <string.h>

#define BATCH_VERSION "2025-03-26"
#define MAX_BATCH 100

/* When the answers have come to this, what is left is not run. */
#define ENOUGH (16 * 1024 * 1024)

/* On stdio the version is the one that initialize agreed on. */
static bool
version_has_batches(const McpCall *call)
{
	const char *version = call->mcp->sessions != NULL ? call->version :
		call->mcp->agreed_version;

	return version != NULL && strcmp(version, BATCH_VERSION) == 0;
}

static void
keep_answer(McpCall *part)
{
	(void) part;
}

/* The status of the whole is that of a credential that does not do. */
static void
inherit(McpCall *batch, const McpCall *part)
{
	if (part->http_status == MCP_UNAUTHORIZED ||
		part->http_status == MCP_FORBIDDEN ||
		part->http_status == MCP_TOO_MANY)
	{
		batch->http_status = part->http_status;
		batch->retry_after = part->retry_after;
		memcpy(batch->scope, part->scope, sizeof(batch->scope));
	}
	if (part->verdict != MCP_UNJUDGED)
		batch->verdict = part->verdict;
	if (!buf_ok(&part->out))
		batch->out.failed = true;
}

static McpRoute
refuse_part(McpCall *part, const char *message)
{
	mcp_bad_request(part, JSONRPC_INVALID_REQUEST, message);
	return MCP_ANSWERED;
}

static McpRoute
accept_part(McpCall *part, const McpCall *batch, json_t *message)
{
	jsonrpc_take(json_incref(message), &part->msg);
	if (part->msg.kind == JSONRPC_INVALID)
	{
		mcp_bad_request(part, part->msg.error_code, part->msg.error_message);
		return MCP_ANSWERED;
	}
	part->meta = json_object_get(part->msg.params, "_meta");
	if (part->msg.kind != JSONRPC_REQUEST)
		return mcp_accept_notification(part, part->mcp->sessions != NULL);
	if (strcmp(part->msg.method, "initialize") == 0)
		return refuse_part(part, "Invalid Request: initialize can not be part of a batch");
	if (batch->out.len > ENOUGH)
		return refuse_part(part, "Invalid Request: the answers to this batch are too large");
	return mcp_accept_request(part, NULL);
}

static void
run_part(McpCall *batch, const Transport *transport, json_t *message)
{
	McpCall		part;
	McpRoute	taken;

	mcp_call_init(&part, batch->mcp, transport);
	part.credential = batch->credential;
	part.version = batch->version;
	memcpy(part.session, batch->session, sizeof(part.session));
	taken = accept_part(&part, batch, message);
	if (taken == MCP_DEFERRED)
		mcp_run(&part, atomic_load(&batch->wake_fd));
	inherit(batch, &part);
	if (taken != MCP_SILENT && part.out.len > 0)
	{
		buf_putc(&batch->out, batch->out.len == 0 ? '[' : ',');
		buf_append(&batch->out, part.out.data, part.out.len);
	}
	mcp_call_clear(&part);
}

static void
run_batch(McpCall *batch)
{
	Transport	transport = *batch->transport;
	size_t		i;
	json_t	   *message;

	transport.notify = NULL;
	transport.finish = keep_answer;
	transport.may_stream = NULL;
	json_array_foreach(batch->msg.root, i, message)
	{
		if (atomic_load(&batch->cancelled) || batch->verdict == MCP_REFUSED)
			break;
		run_part(batch, &transport, message);
	}
	if (batch->out.len > 0)
		buf_putc(&batch->out, ']');
	else if (batch->http_status == 200)
		batch->http_status = 202;
}

static const McpMethod batch_method = {
	"batch", MCP_LEGACY, true, NULL, run_batch
};

bool
mcp_is_batch(const McpCall *call)
{
	size_t		n = json_array_size(call->msg.root);

	return n > 0 && n <= MAX_BATCH && version_has_batches(call);
}

McpRoute
mcp_accept_batch(McpCall *call)
{
	mcp_prepare(call, &batch_method);
	return MCP_DEFERRED;
}
