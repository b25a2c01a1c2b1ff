/*
 * db_connect.h
 *		Connecting, for the two modules that know libpq.
 */
#ifndef DB_CONNECT_H
#define DB_CONNECT_H

#include <libpq-fe.h>

/* Never NULL except out of memory; PQstatus tells the rest. */
extern PGconn *db_connect(const char *dsn, long timeout);

#endif							/* DB_CONNECT_H */
