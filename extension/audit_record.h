/*-------------------------------------------------------------------------
 * audit_record.h
 *	  One row of warden.audit_events: its columns, its form in the queue and
 *	  its hash.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_RECORD_H
#define WARDEN_AUDIT_RECORD_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "common/cryptohash.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* Attribute numbers of warden.audit_events, in the order of the table. */
typedef enum WardenRecordColumn
{
	WARDEN_REC_ID = 1,
	WARDEN_REC_EPOCH,
	WARDEN_REC_AT,
	WARDEN_REC_STORED_AT,
	WARDEN_REC_KIND,
	WARDEN_REC_STATEMENT_ID,
	WARDEN_REC_AGENT,
	WARDEN_REC_ON_BEHALF_OF,
	WARDEN_REC_ASSERTED,
	WARDEN_REC_DB_ROLE,
	WARDEN_REC_LOGIN_ROLE,
	WARDEN_REC_CLIENT_ADDR,
	WARDEN_REC_BACKEND,
	WARDEN_REC_SESSION_ID,
	WARDEN_REC_REQUEST_ID,
	WARDEN_REC_TOOL,
	WARDEN_REC_PROMPT_REF,
	WARDEN_REC_STATEMENT,
	WARDEN_REC_STATEMENT_BYTES,
	WARDEN_REC_STATEMENT_DIGEST,
	WARDEN_REC_PARAMETERS,
	WARDEN_REC_COMMAND,
	WARDEN_REC_RELATIONS,
	WARDEN_REC_MASKED_COLUMNS,
	WARDEN_REC_CLEAR_COLUMNS,
	WARDEN_REC_ROWS,
	WARDEN_REC_DURATION_US,
	WARDEN_REC_OUTCOME,
	WARDEN_REC_SQLSTATE,
	WARDEN_REC_MESSAGE,
	WARDEN_REC_CHANGE_ID,
	WARDEN_REC_DETAIL,
	WARDEN_REC_PREV,
	WARDEN_REC_HASH
} WardenRecordColumn;

#define WARDEN_RECORD_COLUMNS WARDEN_REC_HASH
#define WARDEN_HASH_BYTES 32

/* Text fields other than statement and parameters are cut to this. */
#define WARDEN_RECORD_FIELD_BYTES 512

/* A row; Datums point into memory of whoever made it. */
typedef struct WardenRecord
{
	Datum values[WARDEN_RECORD_COLUMNS];
	bool nulls[WARDEN_RECORD_COLUMNS];
} WardenRecord;

#define WARDEN_RECORD_VALUE(record, column) ((record)->values[(column) -1])
#define WARDEN_RECORD_NULL(record, column) ((record)->nulls[(column) -1])

extern void warden_record_init(WardenRecord *record, const char *kind);
extern void
warden_record_set(WardenRecord *record, WardenRecordColumn column, Datum value);

/* NULL and "" become NULL; longer than limit is cut at a character. */
extern void
warden_record_set_text(WardenRecord *record, WardenRecordColumn column,
					   const char *value, int limit);

/* An array of text from a list of char *; 0 for NIL. */
extern Datum warden_record_array(List *values);

/* The form in which a record waits in the queue. */
extern void warden_record_encode(const WardenRecord *record, StringInfo out);

/* Reverses it; data must be MAXALIGNed and stay as long as the record. */
extern void warden_record_decode(char *data, WardenRecord *record);

/*
 * SHA-256 over a canonical, length-prefixed encoding of every column but the
 * hash itself, the previous hash included.
 */
extern void
warden_record_hash(const WardenRecord *record, pg_cryptohash_ctx *context,
				   uint8 hash[WARDEN_HASH_BYTES]);

/* Raises an error unless the table has exactly the columns known here. */
extern void warden_record_check_table(TupleDesc desc);

/* Name of a column, for messages and JSON. */
extern const char *warden_record_column_name(WardenRecordColumn column);
extern Oid warden_record_column_type(WardenRecordColumn column);

/*
 * Name and detail of the action that retention leaves behind: the id and the
 * hash of the last record dropped, which is what the first one kept links to.
 */
#define WARDEN_RETENTION_ACTION "audit_dropped"
extern char *warden_record_retired(int64 id, const uint8 *hash);

/* Lower case hexadecimal of a hash, palloc'd. */
extern char *warden_record_hex(const uint8 *bytes, int n);

#endif /* WARDEN_AUDIT_RECORD_H */
