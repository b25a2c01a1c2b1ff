/*-------------------------------------------------------------------------
 * audit_drain.c
 *	  The shared-memory queue as audit workers see it: reading records from
 *	  the head of their stream, and taking them off once they are on disk.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"

#include "compat.h"
#include "audit_queue.h"
#include "audit_queue_private.h"

WardenStream *
warden_queue_attach(Oid database)
{
	WardenStream *found = NULL;
	int i;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	for (i = 0; i < warden_queue->nstreams; i++)
	{
		WardenStream *stream = &warden_queue->streams[i];

		if (stream->database != database || stream->worker_pid != 0)
			continue;
		stream->worker_pid = MyProcPid;
		stream->worker_latch = MyLatch;
		stream->launched_at = 0;
		found = stream;
		break;
	}
	LWLockRelease(warden_queue->lock);
	return found;
}

void
warden_queue_detach(WardenStream *stream)
{
	bool pending;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream->worker_pid = 0;
	stream->worker_latch = NULL;
	stream->launched_at = 0;
	pending = (stream->nrecords > 0);
	LWLockRelease(warden_queue->lock);

	/*
	 * Whoever waits looks after a successor, but outcomes have nobody who
	 * waits.  (While the server shuts down the postmaster ignores this.)
	 */
	ConditionVariableBroadcast(&stream->durable);
	if (pending)
		warden_queue_ensure_worker(stream);
}

static char *
copy_out(uint32 block, Size len)
{
	char *data = palloc(len);
	char *to = data;
	Size offset = HEADER_BYTES;

	while (len > 0)
	{
		Size n = Min(len, WARDEN_QUEUE_BLOCK_BYTES - offset);

		memcpy(to, warden_queue->blocks[block].data + offset, n);
		to += n;
		len -= n;
		offset = 0;
		block = warden_queue->blocks[block].next;
	}
	return data;
}

int
warden_queue_peek(WardenStream *stream, WardenQueued *records, int known,
				  int max, Size max_bytes)
{
	uint32 block = NO_BLOCK;
	Size bytes = 0;
	int available;
	int n = known;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	available = (int) Min(stream->nrecords, (uint32) max);
	if (known < available)
		block = known == 0 ?
			stream->head :
			record_header(records[known - 1].block)->next_record;
	LWLockRelease(warden_queue->lock);

	while (n < available && bytes < max_bytes)
	{
		RecordHeader *header = record_header(block);
		WardenQueued *record = &records[n++];

		record->block = block;
		record->seq = header->seq;
		record->intent_seq = header->intent_seq;
		record->procno = header->procno;
		record->is_intent = header->is_intent;
		record->is_outcome = header->is_outcome;
		record->waiter = header->waiter;
		record->id = 0;
		record->len = header->len;
		record->data = copy_out(block, header->len);
		bytes += header->len;
		/* the last one's link may be written right now, and is not needed */
		if (n < available)
			block = header->next_record;
	}
	return n;
}

void
warden_queue_note_intent(WardenStream *stream, const WardenQueued *record)
{
	OpenStatement *open = &stream->open[record->procno];

	open->next_seq = record->seq;
	open->next_id = record->id;
}

int64
warden_queue_find_intent(WardenStream *stream, const WardenQueued *record)
{
	OpenStatement *open = &stream->open[record->procno];

	if (open->next_seq == record->intent_seq)
		return open->next_id;
	return open->seq == record->intent_seq ? open->id : 0;
}

/* Statements that the batch opened and closed become so for readers. */
static void
settle_open(WardenStream *stream, WardenQueued *records, int n)
{
	int i;

	for (i = 0; i < n; i++)
	{
		OpenStatement *open = &stream->open[records[i].procno];

		if (records[i].is_intent)
		{
			open->seq = records[i].seq;
			open->id = records[i].id;
		}
		else if (records[i].is_outcome && open->seq == records[i].intent_seq)
			open->id = 0;
	}
}

/* Chains the blocks of the first n records into one list. Lock held. */
static uint32
chain_blocks(WardenStream *stream, uint32 n, uint32 *last, uint32 *next_record)
{
	uint32 first = stream->head;
	uint32 record = first;
	uint32 count = 0;
	uint32 i;

	*last = NO_BLOCK;
	for (i = 0; i < n; i++)
	{
		uint32 block = record;

		if (*last != NO_BLOCK)
			warden_queue->blocks[*last].next = record;
		if (record_header(record)->waiter != NO_WAITER)
			stream->nawaited--;
		record = record_header(record)->next_record;
		for (; block != NO_BLOCK; block = warden_queue->blocks[block].next)
		{
			*last = block;
			count++;
		}
	}
	*next_record = record;
	return count;
}

/* Takes the first n records off and frees their blocks. Lock held. */
uint32
warden_queue_release(WardenStream *stream, uint32 n)
{
	uint32 first = stream->head;
	uint32 last;
	uint32 next_record;
	uint32 count;

	if (n == 0)
		return 0;
	count = chain_blocks(stream, n, &last, &next_record);
	pg_atomic_write_u64(&stream->durable_seq,
						stream->next_seq - 1 - (stream->nrecords - n));
	stream->head = next_record;
	if (next_record == NO_BLOCK)
		stream->tail = NO_BLOCK;
	stream->nrecords -= n;
	stream->nblocks -= count;
	warden_queue->blocks[last].next = warden_queue->first_free;
	warden_queue->first_free = first;
	warden_queue->free_blocks += count;
	return n;
}

void
warden_queue_consume(WardenStream *stream, WardenQueued *records, int n)
{
	int i;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	settle_open(stream, records, n);
	(void) warden_queue_release(stream, n);
	stream->failure = 0;
	LWLockRelease(warden_queue->lock);
	for (i = 0; i < n; i++)
	{
		/* by now it may be another backend's latch, which does not mind */
		if (records[i].waiter != NO_WAITER)
			SetLatch(&ProcGlobal->allProcs[records[i].waiter].procLatch);
	}
	ConditionVariableBroadcast(&stream->durable);
	ConditionVariableBroadcast(&warden_queue->space);
}

bool
warden_queue_take_outbox(WardenStream *stream)
{
	bool wanted;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	wanted = (stream->outbox_wanted != stream->outbox_done);
	stream->outbox_taken = stream->outbox_wanted;
	LWLockRelease(warden_queue->lock);
	return wanted;
}

void
warden_queue_outbox_done(WardenStream *stream, bool drained)
{
	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	if (drained)
		stream->outbox_done = stream->outbox_taken;
	LWLockRelease(warden_queue->lock);
}

void
warden_queue_note_failure(WardenStream *stream, int sqlstate,
						  const char *message)
{
	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream->failure = sqlstate;
	strlcpy(stream->failure_message, message, sizeof(stream->failure_message));
	LWLockRelease(warden_queue->lock);
}

bool
warden_queue_empty(WardenStream *stream)
{
	bool empty;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	empty = stream->nrecords == 0 &&
		stream->outbox_wanted == stream->outbox_done;
	LWLockRelease(warden_queue->lock);
	return empty;
}

bool
warden_queue_urgent(WardenStream *stream)
{
	bool urgent;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	urgent = stream->urgent_seq > pg_atomic_read_u64(&stream->durable_seq) ||
		stream->outbox_wanted != stream->outbox_done;
	LWLockRelease(warden_queue->lock);
	return urgent;
}

int
warden_queue_awaited(WardenStream *stream)
{
	int n;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	n = (int) stream->nawaited;
	LWLockRelease(warden_queue->lock);
	return n;
}

int
warden_queue_reserved(WardenStream *stream)
{
	int n;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	n = (int) stream->nreserved;
	LWLockRelease(warden_queue->lock);
	return n;
}
