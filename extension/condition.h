/*-------------------------------------------------------------------------
 * condition.h
 *	  Row conditions of mask rules: "unless" an expression over the same row
 *	  is true.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_CONDITION_H
#define WARDEN_CONDITION_H

#include "postgres.h"

#include "nodes/primnodes.h"
#include "utils/rel.h"

/*
 * The condition as an expression over the relation's raw columns, of which
 * varno is the range table index.  NULL where the relation lacks a column
 * that it names, an error in it could quote a labelled column, or it has come
 * to call what warden_condition_check() refuses: the mask
 * holds then.
 */
extern Expr *warden_condition_build(const char *text, Relation rel, int varno);

/*
 * Raises when the condition can not be used with that relation: not one
 * boolean expression over its columns, subqueries, volatile functions, or
 * functions of others than superusers and members of warden_admin.  False
 * where the relation lacks a column that it names.
 */
extern bool warden_condition_check(const char *text, Oid relid);

#endif							/* WARDEN_CONDITION_H */
