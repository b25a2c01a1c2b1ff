/*-------------------------------------------------------------------------
 * audit_fill.h
 *	  What audit records say: who, from where, which statement, what became
 *	  of it.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_AUDIT_FILL_H
#define WARDEN_AUDIT_FILL_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/pg_list.h"

#include "audit_record.h"
#include "principal.h"

/* What a statement reads: arrays of text, 0 where there is nothing. */
typedef struct WardenReads
{
	Datum relations;	  /* schema.table */
	Datum masked_columns; /* schema.table.column=mask */
	Datum clear_columns;  /* clear by exemption or rule */
} WardenReads;

/* What a statement is about to do. Strings may be NULL. */
typedef struct WardenIntent
{
	const char *statement;
	ParamListInfo params;
	const char *command; /* command tag text */
	WardenReads reads;
	bool transaction; /* BEGIN, COMMIT and the like */
} WardenIntent;

/* An array for WardenReads, of a list of char *, cut to what a record takes. */
extern Datum warden_audit_names(List *names);

/* An intent of the current principal; it is who failures are ascribed to. */
extern void
warden_fill_intent(WardenRecord *record, const WardenIntent *intent);

/* Who it is that failures are of from now on; looks into catalogs. */
extern void warden_fill_remember(const WardenPrincipal *principal);

/* What the open statement reads beyond its intent. */
extern void warden_fill_reads(WardenRecord *record, const WardenReads *more);

/* What became of something; strings may be NULL. */
extern void
warden_fill_outcome(WardenRecord *record, const char *outcome, int sqlstate,
					const char *message, int64 change_id);

/* Who acts, a person as on_behalf_of. */
extern void warden_fill_actor(WardenRecord *record);

/*
 * Who fails, or ends what has failed, and by which text.  Never raises, and
 * reads no catalog.
 */
extern void warden_fill_at_once(WardenRecord *record, const char *statement,
								const char *command, bool is_end);

/* Writes the record to the server log, as one line of JSON. */
extern void warden_audit_log_line(const WardenRecord *record);

#endif /* WARDEN_AUDIT_FILL_H */
