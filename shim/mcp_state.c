/*
 * mcp_state.c
 *		The sealed state of input_required results, by which a server asks a
 *		client for something and forgets the call.
 *
 * It may come back more than once until its time is over: a client whose answer
 * was lost asks again.  What is opened by it must do no harm then.
 */
#include "mcp_internal.h"

#include "auth.h"
#include "json_util.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * Over everything that must be the same when the state comes back: who, which
 * request, until when.  In which order a client writes members is its own
 * affair.  Appends hex digits.
 */
static void
put_seal(Buf *out, const McpCall *call, const char *body, size_t len)
{
	static const char *const members[] = {"name", "uri", "arguments"};
	AuthDigest	who;
	AuthDigest	seal;
	Buf			text;

	buf_init(&text);
	if (auth_owner(call->credential, &who))
		buf_append(&text, who.bytes, sizeof(who.bytes));
	else
		text.failed = true;
	buf_puts(&text, call->msg.method);
	for (size_t i = 0; i < 3; i++)
	{
		const json_t *value = json_object_get(call->msg.params, members[i]);

		buf_putc(&text, '\n');
		if (value != NULL)
			json_util_write_sorted(&text, value);
	}
	buf_putc(&text, '\n');
	buf_append(&text, body, len);
	seal = auth_digest(buf_cstr(&text), text.len);
	for (size_t i = 0; i < sizeof(seal.bytes); i++)
		buf_printf(out, "%02x", seal.bytes[i]);
	if (!buf_ok(&text))
		out->failed = true;
	buf_wipe(&text);
}

/* "<expiry>.<state>.<seal>" */
void
mcp_state_seal(McpCall *call, const char *state, int seconds, Buf *out)
{
	Buf			body;

	buf_init(&body);
	buf_printf(&body, "%lld.%s", (long long) time(NULL) + seconds, state);
	buf_append(out, buf_cstr(&body), body.len);
	buf_putc(out, '.');
	put_seal(out, call, buf_cstr(&body), body.len);
	if (!buf_ok(&body))
		out->failed = true;
	buf_free(&body);
}

/* By digests, whose comparison does not tell where the two differ. */
static bool
seal_matches(const McpCall *call, const char *text, const char *last_dot)
{
	AuthDigest	given = auth_digest(last_dot + 1, strlen(last_dot + 1));
	AuthDigest	right;
	Buf			seal;
	bool		matches;

	buf_init(&seal);
	put_seal(&seal, call, text, (size_t) (last_dot - text));
	right = auth_digest(buf_cstr(&seal), seal.len);
	matches = buf_ok(&seal) && auth_equal(&given, &right);
	buf_free(&seal);
	return matches;
}

bool
mcp_state_open(McpCall *call, Buf *state, bool *present)
{
	const json_t *given = json_object_get(call->msg.params, "requestState");
	const char *text = json_util_string(call->msg.params, "requestState");
	const char *first = text != NULL ? strchr(text, '.') : NULL;
	const char *last = text != NULL ? strrchr(text, '.') : NULL;

	*present = given != NULL;
	if (given == NULL)
		return true;
	if (first == NULL || first == last || !seal_matches(call, text, last) ||
		strtoll(text, NULL, 10) < (long long) time(NULL))
		return mcp_invalid_params(call,
								  "requestState is not valid for this request");
	buf_append(state, first + 1, (size_t) (last - first - 1));
	return true;
}
