/*-------------------------------------------------------------------------
 * pending_admin.c
 *	  What only administrators do with changes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pending.h"

static bool purging = false;

bool
warden_purge_running(void)
{
	return purging;
}
