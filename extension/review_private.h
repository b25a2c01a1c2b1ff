/*-------------------------------------------------------------------------
 * review_private.h
 *	  What the files of the review share: the state of one review, the facts
 *	  about a table that messages quote, and the entry points by kind of
 *	  statement.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_REVIEW_PRIVATE_H
#define WARDEN_REVIEW_PRIVATE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

#include "review.h"

struct WardenReviewContext
{
	MemoryContext memory;		/* of what is remembered between statements */
	List	   *made;			/* relations made or renamed by this change */
	List	   *schemas;		/* renamed: lists of the new and the old name */
	List	   *enum_values;	/* of char *: added by this change */
	int			statements;		/* seen so far, this one included */
	bool		barred_seen;	/* one that may not run in a transaction */
	char	   *exclusive_on;	/* table under ACCESS EXCLUSIVE since before */
	List	   *altered;		/* of char *: tables of ALTER TABLE so far */

	/* of the current statement */
	const char *statement;
	List	   *params;			/* of char *: parameters as text, or NULL */
	double		rows;			/* estimate, -1: unknown */
	WardenRisk	risk;
	List	   *findings;		/* of WardenFinding * */
	List	   *views;			/* what is known of their labels */
};

/* What is known of a table that a statement names. */
typedef struct ReviewTable
{
	Oid			relid;			/* InvalidOid: does not exist (yet) */
	bool		created;		/* by an earlier statement of the change */
	char	   *name;
	char		relkind;
	double		rows;			/* 0 for a created one */
	int64		bytes;
	char	   *size;			/* "about 12000 rows, 1.2 MB" */
	bool		has_children;
	int			partitions;		/* all below it, counted in rows and bytes */
	char	   *largest;		/* of them, or NULL */
} ReviewTable;

/*
 * Adds a finding; level and least risk come from the table of rules.
 * warden_review_add_risk raises the risk above the rule's own.
 */
extern void warden_review_add(WardenReviewContext *context, const char *rule,
							  int position, char *message,
							  const char *advice);
extern void warden_review_add_risk(WardenReviewContext *context,
								   const char *rule, WardenRisk risk,
								   int position, char *message,
								   const char *advice);

extern void warden_review_table(WardenReviewContext *context, RangeVar *rv,
								ReviewTable *table);
extern Oid	warden_review_relid(WardenReviewContext *context, RangeVar *rv,
								bool *created);

/* Risk of holding a strong lock on, or rewriting, a table of that size. */
extern WardenRisk warden_review_size_risk(const ReviewTable *table);

/*
 * Remembers that the change makes a relation; with unless_there the statement
 * takes one that is there already.
 */
extern void warden_review_created(WardenReviewContext *context,
								  const RangeVar *rv, bool unless_there);

/* The same, where who names the relation acts on rows of another. */
extern void warden_review_stands_for(WardenReviewContext *context,
									 const RangeVar *rv, bool unless_there,
									 Oid relid);

/*
 * Remembers that it gives another schema or name (the other is NULL) to one, or
 * another name to a schema: what comes later is about the same relations.
 */
extern void warden_review_moved(WardenReviewContext *context, RangeVar *rv,
								const ReviewTable *table, const char *schema,
								const char *name);
extern void warden_review_schema_renamed(WardenReviewContext *context,
										 const char *old, const char *new);

/* Forgets one that an earlier statement made: nothing has the name any more. */
extern void warden_review_gone(WardenReviewContext *context, RangeVar *rv);

/* Remembers a strong lock, and warns about one that is held already. */
extern void warden_review_exclusive(WardenReviewContext *context,
									const ReviewTable *table);

/* By OID; and size and kind of a table whose OID is known. */
extern void warden_review_by_oid(WardenReviewContext *context, Oid relid,
								 ReviewTable *table);
extern void warden_review_measure(ReviewTable *table);

/* What else is locked, and for how long (review_lock.c). */
extern void warden_review_lock(WardenReviewContext *context,
							   ReviewTable *table, LOCKMODE lockmode);
extern void warden_review_lock_other(WardenReviewContext *context,
									 ReviewTable *other, LOCKMODE lockmode,
									 const char *why);
extern void warden_review_lock_default(WardenReviewContext *context,
									   ReviewTable *parent);
extern void warden_review_lock_indexed(WardenReviewContext *context,
									   Oid index, LOCKMODE lockmode,
									   const char *why);
extern void warden_review_no_timeout(WardenReviewContext *context,
									 const char *what);

/* Labels (review_flow.c). */
extern bool warden_review_labelled(WardenReviewContext *context, Oid relid,
								   const char *column);
extern char *warden_review_labelled_source(WardenReviewContext *context,
										   Node *stmt, Node *expressions);
extern char *warden_review_labelled_relation(WardenReviewContext *context,
											 Node *stmt);
extern Oid	warden_review_read_relation(WardenReviewContext *context,
										ViewStmt *view);
extern char *warden_review_labelled_target(WardenReviewContext *context,
										   Node *stmt);
extern void warden_review_flow(WardenReviewContext *context,
							   const char *source, ReviewTable *table,
							   const char *column);

/*
 * What is written is what a mask shows, by its stars or by the column's own
 * mask (review_mask.c).
 */
extern bool warden_review_has_stars(WardenReviewContext *context, Node *node,
									int *position);
extern bool warden_review_is_own_mask(WardenReviewContext *context, Oid relid,
									  const char *column, Node *value,
									  int *position);

/* A value goes into a column; NULL: somewhere in the statement. */
extern void warden_review_assignment(WardenReviewContext *context,
									 ReviewTable *table, const char *column,
									 Node *value, Node *stmt);

/* Conditions of a statement that writes. */
extern void warden_review_condition(WardenReviewContext *context, Node *stmt,
									Node *condition);

/* Types (review_type.c); InvalidOid for one that does not exist (yet). */
extern Oid	warden_review_type_of(TypeName *name, int32 *typmod);
extern bool warden_review_serial(TypeName *name);
extern bool warden_review_small_integer(TypeName *name);
extern void warden_review_type(WardenReviewContext *context,
							   ColumnDef *column);
extern void warden_review_type_change(WardenReviewContext *context,
									  ReviewTable *table,
									  AlterTableCmd *cmd);

/* Some index of the table begins with these columns, in any order. */
extern bool warden_review_indexed(Oid relid, List *columns);

/* What depends on an object, or a column of it ("a, b"), or NULL. */
extern char *warden_review_dependents(Oid classid, Oid objid, int subid);

/* A function of that name is volatile; unknown ones are. */
extern bool warden_review_volatile_call(Node *expression);

/* What the text shows otherwise than it is read (review_text.c). */
extern void warden_review_text(WardenReviewContext *context,
							   const char *text);

/* An option of a view that decides whose rights and which rows it shows. */
extern bool warden_review_view_option(const char *name);

/*
 * Finds a call of somebody's function that is declared to have effects, in a
 * query, an expression, the definition of a column or a constraint.
 */
extern void warden_review_calls(WardenReviewContext *context, Node *part);

/* By kind of statement; false: not one of theirs. */
extern bool warden_review_dml(WardenReviewContext *context, Node *stmt);
extern bool warden_review_alter_table(WardenReviewContext *context,
									  Node *stmt);
extern bool warden_review_create_table(WardenReviewContext *context,
									   Node *stmt);
extern bool warden_review_drop(WardenReviewContext *context, Node *stmt);
extern bool warden_review_grant(WardenReviewContext *context, Node *stmt);
extern bool warden_review_object(WardenReviewContext *context, Node *stmt);

/* Somebody else becomes an owner (review_grant.c). */
extern void warden_review_owner(WardenReviewContext *context,
								RoleSpec *owner);

#endif							/* WARDEN_REVIEW_PRIVATE_H */
