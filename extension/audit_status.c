/*-------------------------------------------------------------------------
 * audit_status.c
 *	  How the audit queue of this database does: for warden.status.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_queue.h"
#include "audit_queue_private.h"
#include "warden.h"

#define STATUS_COLUMNS 7

PG_FUNCTION_INFO_V1(warden_sql_get_audit_queue);

/* The stream that serves this database, or NULL.  Lock held. */
static WardenStream *
my_stream(void)
{
	int i;

	for (i = 0; i < warden_queue->nstreams; i++)
	{
		if (warden_queue->streams[i].database == MyDatabaseId)
			return &warden_queue->streams[i];
	}
	return NULL;
}

/*
 * warden.audit_queue(): worker, records, since when the first of them waits,
 * bytes and their limit, statements that run, the last failure.  Everything
 * is copied under the lock and made into datums after it.
 */
Datum
warden_sql_get_audit_queue(PG_FUNCTION_ARGS)
{
	WardenStream copy = {0};
	WardenStream *stream;
	TimestampTz oldest = 0;
	TupleDesc desc;
	Datum values[STATUS_COLUMNS];
	bool nulls[STATUS_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	LWLockAcquire(warden_queue->lock, LW_SHARED);
	stream = my_stream();
	if (stream != NULL)
	{
		copy = *stream;
		if (stream->head != NO_BLOCK)
			oldest = record_header(stream->head)->queued_at;
	}
	LWLockRelease(warden_queue->lock);

	values[0] = Int32GetDatum(copy.worker_pid);
	nulls[0] = copy.worker_pid == 0;
	values[1] = Int32GetDatum((int32) copy.nrecords);
	values[2] = TimestampTzGetDatum(oldest);
	nulls[2] = oldest == 0;
	values[3] = Int64GetDatum((int64) copy.nblocks * WARDEN_QUEUE_BLOCK_BYTES);
	values[4] = Int64GetDatum((int64) warden_queue->nblocks *
							  WARDEN_QUEUE_BLOCK_BYTES);
	values[5] = Int32GetDatum((int32) copy.nreserved);
	nulls[6] = copy.failure == 0;
	if (copy.failure != 0)
		values[6] = CStringGetTextDatum(
			psprintf("%s: %s", unpack_sql_state(copy.failure),
					 copy.failure_message));
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
