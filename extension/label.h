/*-------------------------------------------------------------------------
 * label.h
 *	  The label provider "warden": what SECURITY LABEL accepts.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_LABEL_H
#define WARDEN_LABEL_H

#include "postgres.h"

/*
 * Splits a column label, "type[, attribute]...", in palloc'd copies.  Unknown
 * attributes are refused when a label is made and ignored here.
 */
extern void warden_label_parse_column(const char *label, char **type,
									  bool *untrusted);

/*
 * Labels a role or column whoever owns it, after the same validation as
 * SECURITY LABEL.  The caller has checked that the user may.
 */
extern void warden_label_set_role(Oid roleid, const char *label);
extern void warden_label_set_column(Oid relid, AttrNumber attnum,
									const char *label);

/* Gives a column the label that it had through others; nothing is asked or
 * recorded. */
extern void warden_label_keep(Oid relid, AttrNumber attnum,
							  const char *label);

/* The label that a column has of its own, NULL when it has none. */
extern char *warden_label_of_column(Oid relid, AttrNumber attnum);

/* The label of a role, NULL when it has none. */
extern char *warden_label_of_role(Oid roleid);

extern void warden_label_init(void);

#endif							/* WARDEN_LABEL_H */
