/*-------------------------------------------------------------------------
 * lineage.h
 *	  Which output columns of a query carry values of labelled columns.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_LINEAGE_H
#define WARDEN_LINEAGE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/rel.h"

/*
 * Attribute numbers (int list) of a materialized view that copy labelled
 * columns, or all of them where labelled columns decide which rows it has;
 * *sources gets the OIDs of the relations that the view reads.
 */
extern List *warden_lineage_matview(Relation rel, List **sources);

/* The same if the view relid, somewhere below it, stood for that query. */
extern List *warden_lineage_matview_with(Relation rel, Oid relid,
										 Query *query);

/*
 * Resnos (int list) of a query's outputs that depend on a column for which
 * labelled() says true.  Views must have been expanded.  *sources, when not
 * NULL, collects the OIDs of the relations read.
 */
typedef bool (*WardenLabelledColumn) (RangeTblEntry *rte, AttrNumber attnum,
									  void *arg);
extern List *warden_lineage_query(Query *query, WardenLabelledColumn labelled,
								  void *arg, List **sources);

#endif							/* WARDEN_LINEAGE_H */
