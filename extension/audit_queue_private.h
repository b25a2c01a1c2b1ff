/*-------------------------------------------------------------------------
 * audit_queue_private.h
 *	  The queue's shared memory, for the two files that work on it:
 *	  audit_queue.c for backends, audit_drain.c for workers.
 *
 * A record is a chain of blocks; a stream is a list of records in the order
 * of their sequence numbers.  Backends append at the tail, the stream's one
 * worker reads from the head without removing, and takes records off only
 * once they are on disk, so a worker that ends loses nothing.
 *
 * Invariants, all under warden_queue->lock:
 *	 - free_blocks counts the free list; reserved_blocks of them, one per open
 *	   intent, belong to outcomes to come and are given to nobody else;
 *	 - records between head and tail do not change, but for the link from the
 *	   last one, so the worker may read those it counted without the lock;
 *	 - durable_seq never decreases; a record with seq <= durable_seq is on
 *	   disk.
 * The lock is never held across a wait, an allocation or an error.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_QUEUE_PRIVATE_H
#define WARDEN_AUDIT_QUEUE_PRIVATE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#define NO_BLOCK PG_UINT32_MAX
#define NO_WAITER (-1)

typedef struct Block
{
	uint32 next; /* next of the record, or of the free list */
	uint32 padding;
	char data[WARDEN_QUEUE_BLOCK_BYTES];
} Block;

/* At the start of the first block of a record. */
typedef struct RecordHeader
{
	uint64 seq;
	uint64 intent_seq;
	TimestampTz queued_at;
	uint32 len;			/* of what follows */
	uint32 next_record; /* first block of the next one */
	int32 procno;
	bool is_intent;
	bool is_outcome;
	int32 waiter; /* process that sleeps until it is durable, or none */
} RecordHeader;

#define HEADER_BYTES MAXALIGN(sizeof(RecordHeader))

/*
 * The last intent of a process, kept by the worker so that the outcome finds
 * its statement.  next_* is what a batch that is not committed yet assigned.
 */
typedef struct OpenStatement
{
	uint64 latest_seq; /* the last intent appended, which backends set */
	uint64 seq;
	int64 id; /* 0: closed */
	uint64 next_seq;
	int64 next_id;
} OpenStatement;

/* The public header has the name only. */
typedef struct WardenStream WardenStream;

struct WardenStream
{
	Oid database; /* InvalidOid: unused */
	uint32 head;
	uint32 tail;
	uint32 nrecords;
	uint32 nblocks;
	uint32 nreserved; /* open intents */
	uint32 nawaited;  /* records that somebody waits for */
	uint64 next_seq;
	uint64 urgent_seq; /* the last record that somebody waits for */
	pg_atomic_uint64 durable_seq;
	ConditionVariable durable; /* for those who wait for no record of theirs */

	/* the worker */
	pid_t worker_pid; /* 0: none */
	Latch *worker_latch;
	TimestampTz launched_at; /* 0: not asked for */

	/* outbox: requests made, and those that a worker has dealt with */
	uint64 outbox_wanted;
	uint64 outbox_taken;
	uint64 outbox_done;

	/* last failure to write; 0 after a success */
	int failure;
	char failure_message[128];

	OpenStatement *open; /* by process number */
};

typedef struct Queue
{
	LWLock *lock;
	ConditionVariable space;
	uint32 nblocks;
	uint32 first_free;
	uint32 free_blocks;
	uint32 reserved_blocks;
	int nstreams;
	Block *blocks;
	WardenStream *streams;
} Queue;

/* NULL until shared memory is there. */
extern Queue *warden_queue;

static inline RecordHeader *
record_header(uint32 block)
{
	return (RecordHeader *) warden_queue->blocks[block].data;
}

/* Starts the stream's worker unless it runs or is on its way. */
extern void warden_queue_ensure_worker(WardenStream *stream);

/* Takes the first n records off and frees their blocks. Lock held. */
extern uint32 warden_queue_release(WardenStream *stream, uint32 n);

#endif /* WARDEN_AUDIT_QUEUE_PRIVATE_H */
