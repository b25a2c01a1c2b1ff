/*-------------------------------------------------------------------------
 * mask.h
 *	  Mask specifications: text such as "partial(0,4)", validated when policy
 *	  is made, compiled into an expression when a query is planned.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_MASK_H
#define WARDEN_MASK_H

#include "postgres.h"

#include "nodes/primnodes.h"

/*
 * Checks the syntax and parameters of a specification and, for func(), the
 * function's rules (contract: immutable or stable, one argument, same result
 * type, owner, own search_path).  Raises ERRCODE_INVALID_PARAMETER_VALUE with
 * a hint that lists the masks; elevel is for the function's rules.
 */
extern void warden_mask_validate(const char *spec, int elevel);

/*
 * The same for one column's type; also refuses a mask whose output would
 * violate the type's domain constraints.  With an elevel of WARNING it says so
 * only: what does not suit shows NULL.
 */
extern void warden_mask_validate_type(const char *spec, Oid type, int32 typmod,
									  Oid collation, int elevel);

/*
 * The expression that stands for "value" (a Var of the column) under the
 * mask: exactly the column's type, typmod and collation, NULL for NULL,
 * STABLE or IMMUTABLE, nothing secret in it.  Returns value itself for
 * "clear" and a NULL constant where the mask can only give NULL.
 */
extern Expr *warden_mask_build(const char *spec, Expr *value, Oid type,
							   int32 typmod, Oid collation);

/* OIDs of the functions that a func() mask could call, for any column. */
extern List *warden_mask_functions(const char *spec);

/*
 * Would a mask of text show this text for a value of its own, so that whoever
 * read the column could have got it from there?  The masks that leave ordinary
 * values as they are (date, bucket, hash, ...) show nothing that can be told.
 */
extern bool warden_mask_shows(const char *spec, const char *text, Oid type,
							  int32 typmod, Oid collation);

/* Raises what building it would where the specification is no mask. */
extern void warden_mask_require(const char *spec);

/* true for "clear" */
extern bool warden_mask_is_clear(const char *spec);

/* Is it a function of the database? */
extern bool warden_mask_calls_function(const char *spec);

/* How strict a mask is, for choosing between two: higher shows less. */
extern int warden_mask_strictness(const char *spec);

/* true if funcid is one of the mask functions, which no query may name */
extern bool warden_mask_is_function(Oid funcid);

/*
 * Runs fn(arg) in a subtransaction; false if it failed, and then the error is
 * gone: nobody sees a message that may quote a value.  Cancellation,
 * shutdown and lack of resources are raised again in fixed words.
 */
extern bool warden_mask_try(void (*fn) (void *), void *arg);

#endif /* WARDEN_MASK_H */
