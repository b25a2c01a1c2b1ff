/*-------------------------------------------------------------------------
 * kept_rows.c
 *	  Portals whose rows are computed already.
 *
 * A held cursor has its rows, and so has a portal of the extended protocol
 * that ran an EXECUTE or a RETURNING and was asked for some of them.  Nothing
 * runs, and no hook is called, when PL code, cursor_to_xml() or the protocol
 * fetches the rest.  So such portals are remembered by name, and become
 * unusable when the principal or the policy is not the one any more that they
 * were computed for.  (FETCH, which a hook sees, says so with WD001.)
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "catalog.h"
#include "kept_rows.h"
#include "plan_stamp.h"
#include "policy.h"

bool		warden_kept_rows_any = false;

typedef struct KeptRows
{
	char		portal[NAMEDATALEN];
	uint32		principal;
	WardenPolicyState policy;
	struct KeptRows *next;
} KeptRows;

static KeptRows *kept = NULL;	/* in TopMemoryContext */

static WardenPolicyState
policy_of(const WardenPrincipal *principal)
{
	WardenPolicyState none = {0, 0, 0};

	if (!warden_principal_masks(principal) || !warden_catalog_installed())
		return none;
	return warden_policy_state(principal);
}

/* Forgets the one of that name, if one is given, and those that are gone. */
static void
forget(const char *portal)
{
	KeptRows  **link = &kept;

	while (*link != NULL)
	{
		KeptRows   *rows = *link;

		if ((portal == NULL || strcmp(rows->portal, portal) != 0) &&
			PortalIsValid(GetPortalByName(rows->portal)))
		{
			link = &rows->next;
			continue;
		}
		*link = rows->next;
		pfree(rows);
	}
}

void
warden_kept_rows_add(const char *portal, const WardenPrincipal *principal)
{
	KeptRows   *rows;

	forget(portal);
	rows = MemoryContextAlloc(TopMemoryContext, sizeof(KeptRows));
	strlcpy(rows->portal, portal, NAMEDATALEN);
	rows->principal = principal->id;
	rows->policy = policy_of(principal);
	rows->next = kept;
	kept = rows;
	warden_kept_rows_any = true;
}

/* A plan's stamp knows best; a utility statement has none. */
static bool
is_stale(const KeptRows *rows, Portal portal, const WardenPrincipal *principal)
{
	const PlannedStmt *pstmt = portal->stmts == NIL ? NULL :
		linitial_node(PlannedStmt, portal->stmts);
	WardenPolicyState policy;

	if (pstmt != NULL && pstmt->commandType != CMD_UTILITY)
		return warden_plan_stamp_stale(pstmt, principal);
	policy = policy_of(principal);
	return rows->principal != principal->id ||
		memcmp(&rows->policy, &policy, sizeof(policy)) != 0;
}

void
warden_kept_rows_close_stale(void)
{
	WardenPrincipal self = *warden_principal_current();
	KeptRows   *rows;

	forget(NULL);
	for (rows = kept; rows != NULL; rows = rows->next)
	{
		Portal		portal = GetPortalByName(rows->portal);

		if (PortalIsValid(portal) && portal->status == PORTAL_READY &&
			self.class != WARDEN_CLASS_NONE && is_stale(rows, portal, &self))
			portal->status = PORTAL_FAILED;
	}
	warden_kept_rows_any = kept != NULL;
}
