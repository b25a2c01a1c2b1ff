/*-------------------------------------------------------------------------
 * audit_queue.h
 *	  The shared-memory queue between governed backends and the audit
 *	  workers: one stream per database, all over one pool of blocks.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_QUEUE_H
#define WARDEN_AUDIT_QUEUE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

typedef struct WardenStream WardenStream;

/* ---- what backends use -------------------------------------------------- */

/* A record in the queue of this backend's database. */
typedef struct WardenTicket
{
	WardenStream *stream; /* NULL: none */
	uint64 seq;
} WardenTicket;

/*
 * Appends the record of an intent, and reserves the room for its outcome.
 * Waits for room, at most until the deadline; raises WD009 after it.  Awaited:
 * the caller is going to wait until it is on disk.
 */
extern void
warden_queue_put_intent(WardenTicket *ticket, const char *data, Size len,
						TimestampTz deadline, bool awaited);

/* Appends what the statement of an intent reads beyond it. */
extern void
warden_queue_put_reads(const WardenTicket *intent, WardenTicket *ticket,
					   const char *data, Size len, TimestampTz deadline);

/* Waits until the record is on disk; raises WD009 after the deadline. */
extern void warden_queue_wait(const WardenTicket *ticket, TimestampTz deadline);

/*
 * Appends the outcome of an intent into the room that was reserved for it.
 * Neither waits nor raises.  len is at most WARDEN_QUEUE_OUTCOME_BYTES.
 */
extern void
warden_queue_put_outcome(WardenTicket *ticket, const char *data, Size len);

/* Appends a record that nobody waits for; false if there is no room. */
extern bool warden_queue_try_put(const char *data, Size len);

/* Tells the worker that a transaction left rows in the outbox. */
extern void warden_queue_signal_outbox(void);

/* Waits until everything queued or in the outbox so far is in the store. */
extern void warden_queue_flush(TimestampTz deadline);

/* Ids of this database's statements whose outcome is still to come. */
extern List *warden_queue_open_statements(void);

/* Payload of one block: an outcome has to fit. */
#define WARDEN_QUEUE_BLOCK_BYTES 1024
#define WARDEN_QUEUE_OUTCOME_BYTES (WARDEN_QUEUE_BLOCK_BYTES - 64)

/* The most bytes that a record may have. */
extern Size warden_queue_record_limit(void);

/* ---- what the worker uses ----------------------------------------------- */

typedef struct WardenQueued
{
	uint32 block; /* where it is, as long as it is queued */
	uint64 seq;
	uint64 intent_seq; /* of an outcome or reads: the intent; else 0 */
	int procno;
	bool is_intent;
	bool is_outcome;
	int waiter; /* process that sleeps until it is on disk, or -1 */
	int64 id;	/* assigned by the worker */
	char *data; /* palloc'd, MAXALIGNed */
	Size len;
} WardenQueued;

/* Becomes the worker of that database; NULL if there is one, or no queue. */
extern WardenStream *warden_queue_attach(Oid database);
extern void warden_queue_detach(WardenStream *stream);

/*
 * Copies records from the head without taking them off, after those that are
 * known already.  Returns how many are known then, max at the most.
 */
extern int warden_queue_peek(WardenStream *stream, WardenQueued *records,
							 int known, int max, Size max_bytes);

/* Notes the id of an intent, or finds the one that an outcome belongs to. */
extern void
warden_queue_note_intent(WardenStream *stream, const WardenQueued *record);
extern int64
warden_queue_find_intent(WardenStream *stream, const WardenQueued *record);

/* Takes the first n records off: they are on disk. */
extern void
warden_queue_consume(WardenStream *stream, WardenQueued *records, int n);

extern bool warden_queue_take_outbox(WardenStream *stream);
extern void warden_queue_outbox_done(WardenStream *stream, bool drained);

/* The last attempt to write failed; shown to those whose wait ends. */
extern void warden_queue_note_failure(WardenStream *stream, int sqlstate,
									  const char *message);

extern bool warden_queue_empty(WardenStream *stream);

/* Somebody waits for what is queued. */
extern bool warden_queue_urgent(WardenStream *stream);

/* How many do so. */
extern int warden_queue_awaited(WardenStream *stream);

/* Statements whose outcome is still to come, by reservation. */
extern int warden_queue_reserved(WardenStream *stream);

extern void warden_queue_init(void);

#endif /* WARDEN_AUDIT_QUEUE_H */
