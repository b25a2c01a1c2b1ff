/*-------------------------------------------------------------------------
 * gateway.h
 *	  A gateway's backend before it has badged in.
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_GATEWAY_H
#define WARDEN_GATEWAY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "principal.h"

/* Until it has badged in a gateway may ask for constants, enter() and
 * leave(), and nothing else: raises WD001. */
extern void warden_gateway_check(const Query *query);

/* The plan of enter() or leave() alone, or NULL: then the planner is asked. */
extern PlannedStmt *warden_gateway_plan(const Query *query);

/*
 * A query of a gateway's backend, bound or not, has been parsed.  Checks it
 * before the backend is bound; keeps credentials that are spelled out in it
 * from statistics, activity and log.
 */
extern void warden_gateway_parsed(const WardenPrincipal *principal,
								  Query *query, const char *text);

#endif							/* WARDEN_GATEWAY_H */
