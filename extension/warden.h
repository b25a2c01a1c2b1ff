/*-------------------------------------------------------------------------
 * warden.h
 *	  Vocabulary that every module of pg_warden shares.
 *
 * principal	  what governs a backend: a class and the roles it follows from
 * binding		  one-way attachment of a gateway backend to an agent, from
 *				  warden.enter() to warden.leave() or the transaction's end
 * identity		  the agent, and the person it acts for
 * policy		  which columns are labelled and which mask a principal gets
 * mask			  an expression that takes the place of a labelled column
 * gate			  a module that may refuse a statement
 * divert		  turn a write into a pending change instead of running it
 * pending change an ordered list of statements that people review
 * review		  static findings about one statement
 * audit event	  one record of the audit trail
 * session		  an MCP session; the PostgreSQL one is called backend
 *-------------------------------------------------------------------------
 */
#ifndef WARDEN_H
#define WARDEN_H

#include "utils/elog.h"

/* Name of the extension, of its schema, GUC prefix and label provider. */
#define WARDEN_EXTENSION	"pg_warden"
#define WARDEN_SCHEMA		"warden"
#define WARDEN_PROVIDER		"warden"

/* Group roles that the install script creates. */
#define WARDEN_ROLE_ADMIN		"warden_admin"
#define WARDEN_ROLE_REVIEWER	"warden_reviewer"
#define WARDEN_ROLE_AUDITOR		"warden_auditor"
#define WARDEN_ROLE_GATEWAY		"warden_gateway"
#define WARDEN_ROLE_REFRESHER	"warden_key_refresher"

/* NOTIFY channel of change transitions; its payload is a hint only. */
#define WARDEN_CHANNEL			"warden_changes"

/* SQLSTATEs; the README lists them with their meaning. */
#define WARDEN_WARNING_DIVERTED		MAKE_SQLSTATE('0','1','W','D','1')
#define WARDEN_WARNING_TRUNCATED	MAKE_SQLSTATE('0','1','W','D','2')
#define WARDEN_ERRCODE_IDENTITY		MAKE_SQLSTATE('W','D','0','0','1')
#define WARDEN_ERRCODE_NOT_PERMITTED MAKE_SQLSTATE('W','D','0','0','2')
#define WARDEN_ERRCODE_NESTED_WRITE MAKE_SQLSTATE('W','D','0','0','3')
#define WARDEN_ERRCODE_UNMASKABLE	MAKE_SQLSTATE('W','D','0','0','4')
#define WARDEN_ERRCODE_BUDGET		MAKE_SQLSTATE('W','D','0','0','5')
#define WARDEN_ERRCODE_FLOW			MAKE_SQLSTATE('W','D','0','0','6')
#define WARDEN_ERRCODE_TRANSITION	MAKE_SQLSTATE('W','D','0','0','7')
#define WARDEN_ERRCODE_UNMASKED		MAKE_SQLSTATE('W','D','0','0','8')
#define WARDEN_ERRCODE_AUDIT		MAKE_SQLSTATE('W','D','0','0','9')
#define WARDEN_ERRCODE_STANDBY		MAKE_SQLSTATE('W','D','0','1','0')

#endif							/* WARDEN_H */
