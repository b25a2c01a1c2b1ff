/*-------------------------------------------------------------------------
 * label_copy.h
 *	  Labels of materialized views over a view that is replaced.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_LABEL_COPY_H
#define WARDEN_LABEL_COPY_H

#include "postgres.h"

/*
 * Called by the object access hook when a rule was made or replaced, before the
 * command sees it: if it is a view's, materialized views that hold labelled
 * values through it as it was get labels for them.
 */
extern void warden_label_copy_rule(Oid rule);

#endif							/* WARDEN_LABEL_COPY_H */
