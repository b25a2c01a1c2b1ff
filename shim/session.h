/*
 * session.h
 *		Sessions of initialize-based clients over HTTP.
 *
 * A session is bound to the owner of the credential that opened it; to another
 * its id is unknown.  It carries no rights: every call badges in by itself.
 */
#ifndef SESSION_H
#define SESSION_H

#include "auth.h"

#include <stdbool.h>
#include <time.h>

#define SESSION_ID_BYTES 16
#define SESSION_ID_SIZE (2 * SESSION_ID_BYTES + 1)

typedef struct SessionTable SessionTable;

extern SessionTable *session_table_create(size_t limit, long idle_seconds);
extern void session_table_free(SessionTable *table);

/*
 * Opens a session.  When the table is full the one unused for longest makes
 * room if that is long enough; else there is none, so that nobody can drive
 * out sessions in use by opening many.
 */
extern bool session_open(SessionTable *table, const AuthDigest *owner,
						 const char *version, time_t now, char *id);

/*
 * The protocol version of a live session, NULL when there is none of that id
 * for that owner.  The text is one of the constants given to session_open.
 */
extern const char *session_find(SessionTable *table, const char *id,
								const AuthDigest *owner, time_t now);
extern bool session_close(SessionTable *table, const char *id,
						  const AuthDigest *owner);

#endif							/* SESSION_H */
