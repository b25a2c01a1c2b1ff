/*-------------------------------------------------------------------------
 * identity_scan.h
 *	  Scans of the registry's tables, in the way catalogs are scanned: no
 *	  privileges, search_path or row security of the caller, and a snapshot
 *	  taken now.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_IDENTITY_SCAN_H
#define WARDEN_IDENTITY_SCAN_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"
#include "access/skey.h"
#include "utils/relcache.h"

typedef struct WardenScan
{
	Relation	rel;
	SysScanDesc scan;
} WardenScan;

/* false where the extension's tables are not there; index may be NULL. */
extern bool warden_scan_begin(WardenScan *scan, const char *table,
							  const char *index, int nkeys, ScanKey keys);
extern HeapTuple warden_scan_next(WardenScan *scan);
extern void warden_scan_end(WardenScan *scan);

/* Columns of a row: "", 0 or InvalidOid for NULL. */
extern Datum warden_scan_column(WardenScan *scan, HeapTuple tuple,
								AttrNumber attnum, bool *isnull);
extern void warden_scan_text(WardenScan *scan, HeapTuple tuple,
							 AttrNumber attnum, char *target, Size size);

#endif							/* WARDEN_IDENTITY_SCAN_H */
