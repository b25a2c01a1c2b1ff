/*-------------------------------------------------------------------------
 * audit_queue.c
 *	  The shared-memory queue between governed backends and the audit
 *	  workers, as backends see it: claiming their database's stream,
 *	  appending, waiting.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_queue.h"
#include "audit_queue_private.h"
#include "guc.h"
#include "warden.h"

/* A worker that has not shown up by then is started again. */
#define LAUNCH_PATIENCE_MS 3000

/* How often a wait looks whether the worker is still there. */
#define WAIT_SLICE_MS 250

Queue *warden_queue = NULL;

static WardenStream *my_stream = NULL; /* of this backend's database */
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;
static GucIntCheckHook prev_check_max_worker_processes = NULL;
static GucIntCheckHook prev_check_max_parallel_workers = NULL;

/* ----------------------------------------------------------------------
 * Shared memory
 * ---------------------------------------------------------------------- */

static uint32
block_count(void)
{
	return (uint32) ((Size) warden_audit_queue_size * 1024 / sizeof(Block));
}

static Size
open_size(void)
{
	return mul_size(MaxBackends, sizeof(OpenStatement));
}

static Size
shmem_size(void)
{
	Size size = MAXALIGN(sizeof(Queue));

	size = add_size(size, mul_size(block_count(), sizeof(Block)));
	size = add_size(size,
					mul_size(warden_audit_workers,
							 MAXALIGN(sizeof(WardenStream))));
	size = add_size(size, mul_size(warden_audit_workers, open_size()));
	return add_size(size, MAXIMUM_ALIGNOF);
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche("warden_audit", 1);
}

static void
init_stream(WardenStream *stream, OpenStatement *open)
{
	memset(stream, 0, sizeof(WardenStream));
	stream->head = stream->tail = NO_BLOCK;
	stream->next_seq = 1;
	pg_atomic_init_u64(&stream->durable_seq, 0);
	ConditionVariableInit(&stream->durable);
	stream->open = open;
	memset(open, 0, open_size());
}

static void
init_queue(char *memory)
{
	uint32 i;

	warden_queue->lock = &(GetNamedLWLockTranche("warden_audit"))->lock;
	ConditionVariableInit(&warden_queue->space);
	warden_queue->nblocks = block_count();
	warden_queue->free_blocks = warden_queue->nblocks;
	warden_queue->reserved_blocks = 0;
	warden_queue->nstreams = warden_audit_workers;
	memory += MAXALIGN(sizeof(Queue));
	warden_queue->blocks = (Block *) memory;
	memory += warden_queue->nblocks * sizeof(Block);
	warden_queue->streams = (WardenStream *) memory;
	memory += warden_queue->nstreams * sizeof(WardenStream);

	warden_queue->first_free = 0;
	for (i = 0; i < warden_queue->nblocks; i++)
		warden_queue->blocks[i].next = (i + 1 < warden_queue->nblocks) ?
			i + 1 :
			NO_BLOCK;
	for (i = 0; i < (uint32) warden_queue->nstreams; i++)
		init_stream(&warden_queue->streams[i],
					(OpenStatement *) (memory + i * open_size()));
}

static void
startup_shmem(void)
{
	bool found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	warden_queue = ShmemInitStruct("warden audit queue", shmem_size(), &found);
	if (!found)
		init_queue((char *) warden_queue);
	LWLockRelease(AddinShmemInitLock);
	my_stream = NULL;
}

/* No database may fill more than this, so that one that is stuck leaves room
 * for the others. */
static uint32
stream_quota(void)
{
	if (warden_queue->nstreams == 1)
		return warden_queue->nblocks;
	return warden_queue->nblocks - warden_queue->nblocks / 4;
}

Size
warden_queue_record_limit(void)
{
	/* an eighth of the queue, so that one giant does not stop everybody */
	return (Size) (warden_queue->nblocks / 8) * WARDEN_QUEUE_BLOCK_BYTES;
}

static uint32
blocks_needed(Size len)
{
	return (uint32) ((HEADER_BYTES + len + WARDEN_QUEUE_BLOCK_BYTES - 1) /
					 WARDEN_QUEUE_BLOCK_BYTES);
}

/* ----------------------------------------------------------------------
 * Streams: found, claimed and served
 * ---------------------------------------------------------------------- */

/* A stream that nobody needs may serve another database. Lock held. */
static bool
stream_is_idle(WardenStream *stream)
{
	return stream->nrecords == 0 && stream->nreserved == 0 &&
		stream->worker_pid == 0 && stream->outbox_wanted == stream->outbox_done;
}

/*
 * The stream of this database, claiming an idle one if need be; NULL when
 * every one is taken.  Lock held exclusively.  Sequence numbers go on, so a
 * ticket of the former database stays true.
 */
static WardenStream *
claim_stream(void)
{
	WardenStream *candidate = NULL;
	int i;

	if (my_stream != NULL && my_stream->database == MyDatabaseId)
		return my_stream;
	for (i = 0; i < warden_queue->nstreams; i++)
	{
		WardenStream *stream = &warden_queue->streams[i];

		if (stream->database == MyDatabaseId)
			return my_stream = stream;
		if (candidate == NULL || OidIsValid(candidate->database))
		{
			if (!OidIsValid(stream->database) ||
				(candidate == NULL && stream_is_idle(stream)))
				candidate = stream;
		}
	}
	if (candidate != NULL)
	{
		candidate->database = MyDatabaseId;
		candidate->failure = 0;
		candidate->launched_at = 0;
		memset(candidate->open, 0, open_size());
	}
	return my_stream = candidate;
}

/* Asks the postmaster for the worker of a database; no memory of it here. */
static bool
register_worker(Oid database)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "$libdir/" WARDEN_EXTENSION, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "warden_audit_worker_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "warden audit worker");
	snprintf(worker.bgw_type, BGW_MAXLEN, "warden audit worker");
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/*
 * Starts the worker unless it runs or is on its way.  When there is no slot
 * for it the next look tries again.
 */
void
warden_queue_ensure_worker(WardenStream *stream)
{
	TimestampTz now;
	Oid database;
	bool start = false;

	if (stream->worker_pid != 0)
		return;
	now = GetCurrentTimestamp();
	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	database = stream->database;
	if (stream->worker_pid == 0 && OidIsValid(database) &&
		(stream->launched_at == 0 ||
		 TimestampDifferenceExceeds(stream->launched_at, now,
									LAUNCH_PATIENCE_MS)))
	{
		stream->launched_at = now;
		start = true;
	}
	LWLockRelease(warden_queue->lock);

	if (start && !register_worker(database))
	{
		LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
		stream->launched_at = 0;
		stream->failure = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		strlcpy(stream->failure_message, "no background worker slot is free",
				sizeof(stream->failure_message));
		LWLockRelease(warden_queue->lock);
	}
}

/*
 * Frees a stream whose database was dropped with records still queued.  In a
 * transaction, without the lock.
 */
static void
sweep_streams(void)
{
	int i;

	for (i = 0; i < warden_queue->nstreams; i++)
	{
		WardenStream *stream = &warden_queue->streams[i];
		Oid database = stream->database;
		uint32 dropped = 0;

		if (!OidIsValid(database) || stream->worker_pid != 0 ||
			SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			continue;
		LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
		if (stream->database == database && stream->worker_pid == 0 &&
			stream->nreserved == 0)
		{
			dropped = warden_queue_release(stream, stream->nrecords);
			stream->outbox_done = stream->outbox_wanted;
			stream->database = InvalidOid;
		}
		LWLockRelease(warden_queue->lock);
		if (dropped > 0)
			ereport(
				LOG,
				(errmsg(
					"dropped %u audit records of database %u, which no longer exists",
					dropped, database)));
	}
}

/* ----------------------------------------------------------------------
 * Appending
 * ---------------------------------------------------------------------- */

/* Takes n blocks off the free list, chained. Lock held, and they are there. */
static uint32
take_blocks(uint32 n)
{
	uint32 first = warden_queue->first_free;
	uint32 last = first;
	uint32 i;

	for (i = 1; i < n; i++)
		last = warden_queue->blocks[last].next;
	warden_queue->first_free = warden_queue->blocks[last].next;
	warden_queue->blocks[last].next = NO_BLOCK;
	warden_queue->free_blocks -= n;
	return first;
}

static void
copy_in(uint32 block, const char *data, Size len)
{
	Size offset = HEADER_BYTES;

	while (len > 0)
	{
		Size n = Min(len, WARDEN_QUEUE_BLOCK_BYTES - offset);

		memcpy(warden_queue->blocks[block].data + offset, data, n);
		data += n;
		len -= n;
		offset = 0;
		block = warden_queue->blocks[block].next;
	}
}

/* What there is to say of a record besides its data. */
typedef struct Entry
{
	const char *data;
	Size len;
	int procno;		   /* whose statement it is of */
	uint64 intent_seq; /* 0: an intent, or of none */
	bool is_intent;
	bool is_outcome;
	bool awaited; /* this process sleeps until it is durable */
} Entry;

static int
my_procno(void)
{
	return (int) (MyProc - ProcGlobal->allProcs);
}

/* Lock held; the caller has made sure of the blocks. */
static uint64
append(WardenStream *stream, const Entry *entry)
{
	uint32 n = blocks_needed(entry->len);
	uint32 block = take_blocks(n);
	RecordHeader *header = record_header(block);

	header->seq = stream->next_seq++;
	header->intent_seq = entry->intent_seq;
	header->queued_at = GetCurrentTimestamp();
	header->len = (uint32) entry->len;
	header->next_record = NO_BLOCK;
	header->procno = entry->procno;
	header->is_intent = entry->is_intent;
	header->is_outcome = entry->is_outcome;
	header->waiter = entry->awaited ? my_procno() : NO_WAITER;
	copy_in(block, entry->data, entry->len);

	if (stream->tail == NO_BLOCK)
		stream->head = block;
	else
		record_header(stream->tail)->next_record = block;
	stream->tail = block;
	stream->nrecords++;
	stream->nawaited += entry->awaited ? 1 : 0;
	stream->nblocks += n;
	return header->seq;
}

/* Room for n more blocks, those of outcomes to come left alone. Lock held. */
static bool
has_room(WardenStream *stream, uint32 n)
{
	return warden_queue->free_blocks >= warden_queue->reserved_blocks + n &&
		stream->nblocks + stream->nreserved + n <= stream_quota();
}

/*
 * A worker naps between batches: wake it when somebody waits for what is in
 * the queue, or when that fills.  Outcomes wait for the next intents, which
 * saves a flush of the WAL for each.  Lock held; returns what the caller is to
 * set once it is not, or NULL.  A worker that leaves meanwhile does not mind.
 */
static Latch *
wake_worker(WardenStream *stream, bool urgent)
{
	if (!urgent && stream->nblocks <= stream_quota() / 2)
		return NULL;
	stream->urgent_seq = stream->next_seq - 1;
	return stream->worker_latch;
}

static void
release_and_wake(Latch *latch)
{
	LWLockRelease(warden_queue->lock);
	if (latch != NULL)
		SetLatch(latch);
}

pg_noreturn static void
raise_unwritable(WardenStream *stream, const char *what)
{
	char message[sizeof(stream->failure_message)] = "";
	int failure = 0;

	ConditionVariableCancelSleep();
	if (stream != NULL)
	{
		LWLockAcquire(warden_queue->lock, LW_SHARED);
		failure = stream->failure;
		strlcpy(message, stream->failure_message, sizeof(message));
		LWLockRelease(warden_queue->lock);
	}
	ereport(
		ERROR,
		(errcode(WARDEN_ERRCODE_AUDIT),
		 errmsg("the statement can not be audited: %s", what),
		 failure ? errdetail("The audit worker reports %s: %s.",
							 unpack_sql_state(failure), message) :
				   0,
		 errhint(
			 "Nothing was run. Try again later; if it persists, an administrator has to look at the server log.")));
}

static bool
is_past(TimestampTz deadline)
{
	return GetCurrentTimestamp() >= deadline;
}

/* Next slice of a wait. */
static long
slice_ms(TimestampTz deadline)
{
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												deadline);

	return Max(1, Min(left, WAIT_SLICE_MS));
}

/* One attempt; *stream is NULL when no stream could be had. */
static bool
try_append(WardenStream **stream, const Entry *entry, uint64 *seq)
{
	uint32 n = blocks_needed(entry->len) + (entry->is_intent ? 1 : 0);
	Latch *latch = NULL;
	bool done = false;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	*stream = claim_stream();
	if (*stream != NULL && has_room(*stream, n))
	{
		*seq = append(*stream, entry);
		if (entry->is_intent)
		{
			(*stream)->nreserved++;
			warden_queue->reserved_blocks++;
			(*stream)->open[entry->procno].latest_seq = *seq;
		}
		latch = wake_worker(*stream, entry->awaited);
		done = true;
	}
	else if (*stream != NULL)
		latch = wake_worker(*stream, true);
	release_and_wake(latch);
	return done;
}

/* Waits for room, at most until the deadline. */
static void
put(const Entry *entry, WardenTicket *ticket, TimestampTz deadline)
{
	WardenStream *stream;

	ticket->stream = NULL;
	if (entry->len > warden_queue_record_limit())
		ereport(
			ERROR,
			(errcode(WARDEN_ERRCODE_AUDIT),
			 errmsg(
				 "the statement can not be audited: its record is too large"),
			 errhint(
				 "Send less in one statement, or ask an administrator to raise warden.audit_queue_size.")));
	while (!try_append(&stream, entry, &ticket->seq))
	{
		if (stream != NULL)
			warden_queue_ensure_worker(stream);
		else
			sweep_streams();
		if (is_past(deadline))
			raise_unwritable(stream,
							 stream != NULL ? "its queue is full" :
											  "too many databases are in use");
		ConditionVariableTimedSleep(&warden_queue->space, slice_ms(deadline),
									PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	ticket->stream = stream;
	warden_queue_ensure_worker(stream);
}

void
warden_queue_put_intent(WardenTicket *ticket, const char *data, Size len,
						TimestampTz deadline, bool awaited)
{
	Entry entry = {data, len, my_procno(), 0, true, false, awaited};

	put(&entry, ticket, deadline);
}

/* A parallel worker reads for the statement of its leader. */
static void
find_statement(const WardenTicket *intent, Entry *entry)
{
	PGPROC *leader = MyProc->lockGroupLeader;
	WardenStream *stream;

	if (intent->stream != NULL || leader == NULL)
	{
		entry->intent_seq = intent->seq;
		return;
	}
	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream = claim_stream();
	entry->procno = (int) (leader - ProcGlobal->allProcs);
	if (stream != NULL)
		entry->intent_seq = stream->open[entry->procno].latest_seq;
	LWLockRelease(warden_queue->lock);
}

void
warden_queue_put_reads(const WardenTicket *intent, WardenTicket *ticket,
					   const char *data, Size len, TimestampTz deadline)
{
	Entry entry = {data,
				   len,
				   my_procno(),
				   0,
				   false,
				   false,
				   warden_audit == WARDEN_AUDIT_SYNC};

	find_statement(intent, &entry);
	put(&entry, ticket, deadline);
}

static bool
is_durable(const WardenTicket *ticket)
{
	return pg_atomic_read_u64(&ticket->stream->durable_seq) >= ticket->seq;
}

/* The worker sets our latch once the record is durable: ours alone, since a
 * herd that wakes for each batch costs more than what it waits for. */
void
warden_queue_wait(const WardenTicket *ticket, TimestampTz deadline)
{
	while (!is_durable(ticket))
	{
		if (is_past(deadline))
			raise_unwritable(ticket->stream,
							 "its record was not written in time");
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 slice_ms(deadline), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (!is_durable(ticket))
			warden_queue_ensure_worker(ticket->stream);
	}
}

void
warden_queue_put_outcome(WardenTicket *ticket, const char *data, Size len)
{
	WardenStream *stream = ticket->stream;
	Entry entry = {data, len, my_procno(), ticket->seq, false, true, false};
	Latch *latch;

	Assert(len <= WARDEN_QUEUE_OUTCOME_BYTES && blocks_needed(len) == 1);
	ticket->stream = NULL;
	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream->nreserved--;
	warden_queue->reserved_blocks--;
	(void) append(stream, &entry);
	latch = wake_worker(stream, false);
	release_and_wake(latch);
	warden_queue_ensure_worker(stream);
}

bool
warden_queue_try_put(const char *data, Size len)
{
	Entry entry = {data, len, my_procno(), 0, false, false, false};
	WardenStream *stream;
	uint64 seq;

	if (len > warden_queue_record_limit() || !try_append(&stream, &entry, &seq))
		return false;
	warden_queue_ensure_worker(stream);
	return true;
}

void
warden_queue_signal_outbox(void)
{
	WardenStream *stream;
	Latch *latch = NULL;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream = claim_stream();
	if (stream != NULL)
	{
		stream->outbox_wanted++;
		latch = wake_worker(stream, true);
	}
	release_and_wake(latch);

	/* without a stream the rows stay in the outbox for the next worker */
	if (stream != NULL)
		warden_queue_ensure_worker(stream);
}

/* What a flush waits for, and whether it is there. */
static bool
is_flushed(WardenStream *stream, uint64 seq, uint64 outbox)
{
	bool done;

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	done = pg_atomic_read_u64(&stream->durable_seq) >= seq &&
		stream->outbox_done >= outbox;
	LWLockRelease(warden_queue->lock);
	return done;
}

void
warden_queue_flush(TimestampTz deadline)
{
	WardenStream *stream;
	uint64 seq = 0;
	uint64 outbox = 0;
	Latch *latch = NULL;

	LWLockAcquire(warden_queue->lock, LW_EXCLUSIVE);
	stream = claim_stream();
	if (stream != NULL)
	{
		seq = stream->next_seq - 1;
		outbox = ++stream->outbox_wanted;
		latch = wake_worker(stream, true);
	}
	release_and_wake(latch);
	if (stream == NULL)
		raise_unwritable(NULL, "too many databases are in use");

	while (!is_flushed(stream, seq, outbox))
	{
		warden_queue_ensure_worker(stream);
		if (is_past(deadline))
			raise_unwritable(stream, "its record was not written in time");
		ConditionVariableTimedSleep(&stream->durable, slice_ms(deadline),
									PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

List *
warden_queue_open_statements(void)
{
	List *ids = NIL;
	int64 *found;
	int n = 0;
	int i;

	found = palloc(sizeof(int64) * MaxBackends);
	LWLockAcquire(warden_queue->lock, LW_SHARED);
	for (i = 0; i < warden_queue->nstreams; i++)
	{
		WardenStream *stream = &warden_queue->streams[i];
		int j;

		if (stream->database != MyDatabaseId)
			continue;
		for (j = 0; j < MaxBackends; j++)
		{
			if (stream->open[j].id != 0)
				found[n++] = stream->open[j].id;
		}
		break;
	}
	LWLockRelease(warden_queue->lock);
	for (i = 0; i < n; i++)
		ids = lappend(ids, &found[i]);
	return ids;
}

/*
 * The workers' process slots are added to what the administrator configured,
 * so that parallel queries and other extensions can not use them up.  Done
 * where the setting is checked, so that reading the files again gives the
 * same value.  The raised value goes into the WAL: a standby has to preload
 * the library too, which it needs anyway to govern agents there, and so
 * raises it as well.
 */
static bool
check_max_worker_processes(int *newval, void **extra, GucSource source)
{
	*newval += warden_audit_workers;
	return prev_check_max_worker_processes == NULL ||
		prev_check_max_worker_processes(newval, extra, source);
}

/*
 * Anybody may set this, and with it have parallel queries take every slot that
 * there is: those of the workers are left out.
 */
static bool
check_max_parallel_workers(int *newval, void **extra, GucSource source)
{
	*newval = Min(*newval, max_worker_processes - warden_audit_workers);
	return prev_check_max_parallel_workers == NULL ||
		prev_check_max_parallel_workers(newval, extra, source);
}

/* What is set already was set before there was a check. */
static void
limit_parallel_workers(void)
{
	struct config_int *option;
	int limit = max_worker_processes - warden_audit_workers;

	option = (struct config_int *) warden_find_option("max_parallel_workers");
	prev_check_max_parallel_workers = option->check_hook;
	option->check_hook = check_max_parallel_workers;
	option->reset_val = Min(option->reset_val, limit);
	max_parallel_workers = Min(max_parallel_workers, limit);
}

static void
reserve_workers(void)
{
	struct config_int *option;
	char value[32];

	option = (struct config_int *) warden_find_option("max_worker_processes");
	prev_check_max_worker_processes = option->check_hook;
	option->check_hook = check_max_worker_processes;
	snprintf(value, sizeof(value), "%d", max_worker_processes);
	SetConfigOption("max_worker_processes", value, PGC_POSTMASTER,
					PGC_S_OVERRIDE);
	limit_parallel_workers();
}

void
warden_queue_init(void)
{
	reserve_workers();
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}
