/*-------------------------------------------------------------------------
 * message.h
 *	  The client's message that is being worked on: its end, and which of its
 *	  statements is the last.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MESSAGE_H
#define WARDEN_MESSAGE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* Called at the end of each; false while its statement is not over yet. */
typedef bool (*WardenMessageEnd)(void);
extern void warden_message_on_end(WardenMessageEnd fn);

/* A governed backend runs something: see to the end of its message. */
extern void warden_message_watch(void);

/* A statement of the client begins; source is the text that it is a part of. */
extern void
warden_message_statement(const PlannedStmt *pstmt, const char *source);

/* Messages so far: the same number is the same message. */
extern uint64 warden_message_serial(void);

/* The message goes on after the statement that began last. */
extern bool warden_message_has_more(void);

#endif /* WARDEN_MESSAGE_H */
