/*-------------------------------------------------------------------------
 * label_tree.h
 *	  Labels of a tree of relations outlive what they are taken from.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_LABEL_TREE_H
#define WARDEN_LABEL_TREE_H

#include "postgres.h"

#include "access/attnum.h"

/* As the link between child and parent is made or removed, before the command
 * sees its own change. */
extern void warden_label_tree_link(Oid child, Oid parent);

/* Before a relation (attnum 0) or a column of one is dropped. */
extern void warden_label_tree_drop(Oid relid, AttrNumber attnum);

/* After a column was altered, before the command sees it. */
extern void warden_label_tree_altered(Oid relid, AttrNumber attnum);

#endif							/* WARDEN_LABEL_TREE_H */
