/*
 * transport.h
 *		What the protocol core may ask of whatever carried a request.
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

struct McpCall;

typedef struct Transport
{
	/* false where a client's hang-up or cancellation leaves nobody to read */
	bool		answer_when_cancelled;

	/* a credential that is not accepted gets a challenge instead of a result */
	bool		challenges;

	/*
	 * Sends a message ahead of the answer.  Any thread; copies the text.  NULL
	 * where nothing is sent but answers.
	 */
	void		(*notify) (struct McpCall *call, const char *json, size_t len);

	/*
	 * The answer stands in call->out, or nothing when that is empty.  Called
	 * once per deferred call; the call may be freed when it returns.
	 */
	void		(*finish) (struct McpCall *call);

	/*
	 * The event loop is about to give the call to another thread, or to let it
	 * wait; called by the loop's thread.  NULL where nothing has to be done.
	 */
	void		(*detach) (struct McpCall *call);

	/* False, with the answer given, where no stream may be opened; or NULL. */
	bool		(*may_stream) (struct McpCall *call);
} Transport;

#endif							/* TRANSPORT_H */
