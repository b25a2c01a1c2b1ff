/*-------------------------------------------------------------------------
 * audit_worker.h
 *	  The background worker that writes one database's audit records.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_WORKER_H
#define WARDEN_AUDIT_WORKER_H

#include "postgres.h"

/* seconds between two lines with the chain's head in the server log; 0: none */
extern int warden_audit_head_interval;

/* This process is an audit worker, and so writes the audit tables. */
extern bool warden_audit_is_worker(void);

/* Entry point by name; its argument is the database's OID. */
extern PGDLLEXPORT void warden_audit_worker_main(Datum main_arg);

#endif /* WARDEN_AUDIT_WORKER_H */
