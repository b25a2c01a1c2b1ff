/*-------------------------------------------------------------------------
 * utility.h
 *	  What happens to a utility statement of a governed backend.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_UTILITY_H
#define WARDEN_UTILITY_H

#include "postgres.h"

#include "principal.h"
#include "tcop/utility.h"

/* The arguments of ProcessUtility, with the next hook in the chain. */
typedef struct WardenUtility
{
	PlannedStmt *pstmt;
	const char *queryString;
	bool		readOnlyTree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *queryEnv;
	DestReceiver *dest;
	QueryCompletion *qc;
	ProcessUtility_hook_type next;
} WardenUtility;

/* Runs a statement of an ungoverned backend as the chain would. */
extern void warden_utility_run_ungoverned(WardenUtility *utility);

/* Runs, diverts or refuses it as the principal's class demands. */
extern void warden_utility_govern(WardenUtility *utility,
								  const WardenPrincipal *principal);

/* Records ROLLBACK and the like in an aborted transaction; runs nothing. */
extern void warden_utility_record_way_out(const WardenUtility *utility);

#endif							/* WARDEN_UTILITY_H */
