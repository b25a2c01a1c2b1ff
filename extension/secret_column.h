/*-------------------------------------------------------------------------
 * secret_column.h
 *	  Columns of the catalogs that hold passwords, or data without labels.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_SECRET_COLUMN_H
#define WARDEN_SECRET_COLUMN_H

#include "postgres.h"

#include "compat.h"

/* Raises WD002 where an agent's query selects such a column. */
extern void warden_secret_check(Oid relid, const WardenPerms *perms);

#endif							/* WARDEN_SECRET_COLUMN_H */
