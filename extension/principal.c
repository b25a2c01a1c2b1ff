/*-------------------------------------------------------------------------
 * principal.c
 *	  What governs this backend: resolved from the labels of its login role
 *	  and SET ROLE role and of every role whose privileges those inherit.
 *
 * Invariants:
 * - The strictest label wins; superusers inherit no label.
 * - A bound backend is an agent whatever the labels say.
 * - Nothing but a top-level statement of a person whose own login is not
 *	 governed can change the role while governed (the check hooks), unless it
 *	 is only observed.
 * - Whenever the answer could change, cached plans are reset: a plan made
 *	 for one principal must not be reused for another.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_shseclabel.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "catalog.h"
#include "identity.h"
#include "principal.h"
#include "warden.h"

typedef struct RoleLabel
{
	Oid			roleid;
	WardenClass class;
} RoleLabel;

typedef struct PrincipalKey
{
	WardenClass class;
	Oid			login_role;
	Oid			role;
} PrincipalKey;

typedef struct PrincipalId
{
	PrincipalKey key;
	uint32		id;
} PrincipalId;

bool		warden_principal_allow_role_change = false;
bool		warden_principal_hold_role = false;

static WardenPrincipal current;
static bool current_valid = false;
static Oid	current_session = InvalidOid;	/* what it was resolved for */
static Oid	current_outer = InvalidOid;
static Oid	current_authenticated = InvalidOid;
static Oid	current_restricted = InvalidOid;	/* see restricted_user() */
static bool ever_resolved = false;

/* Labelled roles of the cluster, in TopMemoryContext. */
static RoleLabel *role_labels = NULL;
static int	nrole_labels = 0;
static bool role_labels_valid = false;
static uint64 generation = 0;	/* counts invalidations */

static HTAB *principal_ids = NULL;
static uint32 last_principal_id = 0;

/*
 * Of bound backends: a binding is a principal of its own, so that no cursor or
 * plan goes from one identity to the next, unless it continues the one before.
 */
#define BINDING_ID	0x80000000u
static uint32 binding_serial = 0;

/*
 * What was found out about gateways and the agents that they became: a
 * gateway's backend changes between the two with every call.  Good until a
 * role, a membership, a label or the extension changes.
 */
typedef struct Resolved
{
	Oid			authenticated;
	WardenPrincipal principal;	/* class NONE: nothing here */
} Resolved;

static Resolved resolved[8];
static int	next_resolved = 0;

static WardenPrincipal assumed; /* valid while its role is */
static int	internal_depth = 0;
static const WardenPrincipal internal_principal;	/* class NONE */

static GucStringCheckHook prev_check_role = NULL;
static GucStringCheckHook prev_check_session_authorization = NULL;
static GucStringAssignHook prev_assign_role = NULL;
static GucStringAssignHook prev_assign_session_authorization = NULL;

/*
 * The label's class; an unknown spelling can only come from a restore by a
 * newer version, and is the strictest.
 */
static WardenClass
class_of_label(const char *label)
{
	if (strcmp(label, "masked") == 0)
		return WARDEN_CLASS_MASKED;
	if (strcmp(label, "agent, observe") == 0)
		return WARDEN_CLASS_OBSERVED;
	return WARDEN_CLASS_AGENT;
}

WardenClass
warden_principal_parse_class(const char *label)
{
	if (strcmp(label, "agent") != 0 && strcmp(label, "masked") != 0 &&
		strcmp(label, "agent, observe") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a class of roles", label),
				 errhint("Use 'agent', 'agent, observe' or 'masked'.")));
	return class_of_label(label);
}

/* Reads every role's label from the shared catalog. */
static void
load_role_labels(void)
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 16;
	RoleLabel  *labels = palloc(allocated * sizeof(RoleLabel));
	int			n = 0;

	rel = table_open(SharedSecLabelRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shseclabel form = (Form_pg_shseclabel) GETSTRUCT(tuple);
		Datum		provider;
		Datum		label;
		bool		isnull;

		if (form->classoid != AuthIdRelationId)
			continue;
		provider = heap_getattr(tuple, Anum_pg_shseclabel_provider,
								RelationGetDescr(rel), &isnull);
		if (strcmp(TextDatumGetCString(provider), WARDEN_PROVIDER) != 0)
			continue;
		label = heap_getattr(tuple, Anum_pg_shseclabel_label,
							 RelationGetDescr(rel), &isnull);
		if (n == allocated)
		{
			allocated *= 2;
			labels = repalloc(labels, allocated * sizeof(RoleLabel));
		}
		labels[n].roleid = form->objoid;
		labels[n++].class = class_of_label(TextDatumGetCString(label));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (role_labels != NULL)
		pfree(role_labels);
	role_labels = MemoryContextAlloc(TopMemoryContext,
									 Max(n, 1) * sizeof(RoleLabel));
	memcpy(role_labels, labels, n * sizeof(RoleLabel));
	nrole_labels = n;
	pfree(labels);
}

static void
require_role_labels(void)
{
	uint64		started = generation;

	if (role_labels_valid)
		return;
	load_role_labels();
	role_labels_valid = (generation == started);
}

/*
 * The strictest class of the labels that reach a role: its own, and those of
 * the roles whose privileges it inherits.  A superuser has everybody's
 * privileges, which says nothing about who governs it.
 */
static WardenClass
class_of_role(Oid roleid)
{
	WardenClass class = WARDEN_CLASS_NONE;
	bool		super = superuser_arg(roleid);
	int			i;

	for (i = 0; i < nrole_labels; i++)
	{
		if (role_labels[i].class <= class)
			continue;
		if (role_labels[i].roleid == roleid ||
			(!super && has_privs_of_role(roleid, role_labels[i].roleid)))
			class = role_labels[i].class;
	}
	return class;
}

/* Predefined roles that reach nothing an agent may not reach anyhow. */
static bool
harmless_predefined_role(Oid roleid)
{
	return roleid == ROLE_PG_READ_ALL_DATA ||
		roleid == ROLE_PG_WRITE_ALL_DATA ||
		roleid == ROLE_PG_DATABASE_OWNER;
}

/*
 * A predefined role (pg_read_server_files, pg_monitor, ...) that roleid is a
 * member of, directly or not, inheriting or not.
 */
static bool
in_server_access_role(Oid roleid)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	tuple;
	bool		member = false;

	while (!member && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		if (form->oid < FirstNormalObjectId && !form->rolsuper &&
			!harmless_predefined_role(form->oid))
			member = is_member_of_role_nosuper(roleid, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return member;
}

/* The library's own group roles, and whoever is in one of them. */
static bool
in_group_role(Oid roleid)
{
	static const char *const groups[] = {
		WARDEN_ROLE_ADMIN, WARDEN_ROLE_REVIEWER, WARDEN_ROLE_AUDITOR,
		WARDEN_ROLE_GATEWAY, WARDEN_ROLE_REFRESHER,
	};
	int			i;

	for (i = 0; i < (int) lengthof(groups); i++)
	{
		if (warden_principal_is_member(roleid, groups[i]))
			return true;
	}
	return false;
}

const char *
warden_principal_agent_bar(Oid roleid)
{
	HeapTuple	tuple;
	Form_pg_authid form;
	const char *bar = NULL;

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(roleid));
	if (!HeapTupleIsValid(tuple))
		return "it does not exist";
	form = (Form_pg_authid) GETSTRUCT(tuple);
	if (form->rolsuper)
		bar = "it is a superuser";
	else if (form->rolbypassrls)
		bar = "it has BYPASSRLS";
	else if (form->rolreplication)
		bar = "it has REPLICATION";
	else if (form->rolcreaterole)
		bar = "it has CREATEROLE";
	ReleaseSysCache(tuple);
	if (bar == NULL && in_group_role(roleid))
		bar = "it is, or is a member of, a group role of pg_warden";
	if (bar == NULL && in_server_access_role(roleid))
		bar = "it is a member of a predefined role that reaches the server";
	return bar;
}

/* The id that stamps plans made for this principal. */
static uint32
principal_id(const WardenPrincipal *principal)
{
	PrincipalKey key;
	PrincipalId *entry;
	bool		found;

	if (principal->class == WARDEN_CLASS_NONE)
		return 0;
	if (principal_ids == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(PrincipalKey);
		ctl.entrysize = sizeof(PrincipalId);
		ctl.hcxt = TopMemoryContext;
		principal_ids = hash_create("warden principals", 16, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	memset(&key, 0, sizeof(key));
	key.class = principal->class;
	key.login_role = principal->login_role;
	key.role = principal->role;
	entry = hash_search(principal_ids, &key, HASH_ENTER, &found);
	if (!found)
		entry->id = ++last_principal_id;
	return entry->id;
}

/* A role that warden.agents names must carry a label (a restore without the
 * library loses labels). */
static bool
registered_agent(Oid roleid)
{
	Oid			relid = warden_catalog_relation("agents");
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	AttrNumber	attnum;
	bool		found = false;

	if (!OidIsValid(relid))
		return false;
	attnum = get_attnum(relid, "role");
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		role = heap_getattr(tuple, attnum, RelationGetDescr(rel),
										&isnull);

		found = !isnull && DatumGetObjectId(role) == roleid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * PostgreSQL lets the sessions of a role that was dropped go on with what
 * PUBLIC may do.  What governed it is gone with it, and not known any more.
 */
static bool
role_is_gone(const WardenPrincipal *principal)
{
	return !SearchSysCacheExists1(AUTHOID,
								  ObjectIdGetDatum(principal->role)) ||
		!SearchSysCacheExists1(AUTHOID,
							   ObjectIdGetDatum(principal->login_role));
}

/* Why this principal may run nothing at all. */
static void
decide_refusal(WardenPrincipal *principal)
{
	const char *bar;

	if (principal->class == WARDEN_CLASS_NONE)
	{
		if (role_is_gone(principal))
		{
			/* Of no agent: its records would have no name. */
			principal->class = WARDEN_CLASS_MASKED;
			principal->refusal = "the role of this session does not exist any more";
			principal->refusal_hint = "RESET ROLE if it was set; else connect as a role that exists.";
			return;
		}
		if (!superuser_arg(principal->role) &&
			(registered_agent(principal->role) ||
			 registered_agent(principal->login_role)))
		{
			principal->class = WARDEN_CLASS_AGENT;
			principal->refusal = "this agent's role carries no warden label";
			principal->refusal_hint = "Ask an administrator to run warden.check() and to label the role again.";
		}
		return;
	}
	if (!warden_catalog_installed())
	{
		principal->refusal = "governed roles may not use a database without pg_warden";
		principal->refusal_hint = "Connect to a database where CREATE EXTENSION pg_warden has been run.";
		return;
	}
	if (principal->class == WARDEN_CLASS_GATEWAY ||
		principal->class == WARDEN_CLASS_MASKED)
		return;
	bar = warden_principal_agent_bar(principal->role);
	if (bar == NULL && !principal->bound)
		bar = superuser_arg(principal->login_role) ? NULL :
			warden_principal_agent_bar(principal->login_role);
	if (bar != NULL)
	{
		principal->refusal = "this role can not act as an agent";
		principal->refusal_hint = "It has gained rights that no agent may have; ask an administrator to run warden.check().";
	}
}

/*
 * Maintenance runs a table owner's functions as that owner, in anybody's
 * session and in autovacuum: there they must not see more than their owner,
 * through a SECURITY DEFINER function as little as without one.  InvalidOid
 * outside of such an operation.
 */
static Oid
restricted_user(void)
{
	static Oid	owner = InvalidOid;

	if (likely(!InSecurityRestrictedOperation()))
		return owner = InvalidOid;
	if (!InLocalUserIdChange() || !OidIsValid(owner))
		owner = GetUserId();
	return owner;
}

/* Governs such an operation of an owner who reads masked. */
static void
govern_restricted(WardenPrincipal *result, Oid owner)
{
	if (!OidIsValid(owner) || result->class >= WARDEN_CLASS_MASKED ||
		class_of_role(owner) < WARDEN_CLASS_MASKED)
		return;
	result->class = WARDEN_CLASS_MASKED;
	result->login_role = owner;
	result->role = owner;
}

/* What is remembered of the roles as they are now, or NULL. */
static const WardenPrincipal *
recall(void)
{
	Oid			authenticated = GetAuthenticatedUserId();
	int			i;

	if (OidIsValid(restricted_user()))
		return NULL;
	for (i = 0; i < (int) lengthof(resolved); i++)
	{
		const WardenPrincipal *principal = &resolved[i].principal;

		if (principal->class != WARDEN_CLASS_NONE &&
			resolved[i].authenticated == authenticated &&
			principal->login_role == GetSessionUserId() &&
			principal->role == GetOuterUserId() &&
			principal->bound == warden_identity_bound())
			return principal;
	}
	return NULL;
}

static void
remember(const WardenPrincipal *principal)
{
	if ((principal->class != WARDEN_CLASS_GATEWAY && !principal->bound) ||
		OidIsValid(restricted_user()))
		return;
	resolved[next_resolved].authenticated = GetAuthenticatedUserId();
	resolved[next_resolved].principal = *principal;
	next_resolved = (next_resolved + 1) % lengthof(resolved);
}

static void
forget_resolved(void)
{
	memset(resolved, 0, sizeof(resolved));
}

/* Computes the principal from the catalogs, but for its id. */
static void
resolve(WardenPrincipal *result)
{
	WardenClass login_class;
	WardenClass class;

	require_role_labels();
	memset(result, 0, sizeof(*result));
	result->login_role = GetSessionUserId();
	result->role = GetOuterUserId();
	result->bound = warden_identity_bound();
	login_class = class_of_role(GetAuthenticatedUserId());
	if (result->login_role != GetAuthenticatedUserId())
		login_class = Max(login_class, class_of_role(result->login_role));
	class = login_class;
	if (result->role != result->login_role)
		class = Max(class, class_of_role(result->role));

	/* GetAuthenticatedUserId: what SET SESSION AUTHORIZATION can not change */
	result->login_governed =
		class_of_role(GetAuthenticatedUserId()) != WARDEN_CLASS_NONE;
	if (result->bound)
		class = WARDEN_CLASS_AGENT;
	else if (warden_principal_is_member(result->login_role,
										WARDEN_ROLE_GATEWAY))
	{
		class = WARDEN_CLASS_GATEWAY;
		result->login_governed = true;
	}
	result->class = class;
	govern_restricted(result, restricted_user());
	decide_refusal(result);
}

/*
 * A binding is a principal of its own, however often it is resolved.  What was
 * planned for the one before is no use to another one.
 */
static void
identify(WardenPrincipal *result)
{
	if (result->bound && !current.bound && !warden_identity_continues())
	{
		binding_serial++;
		ResetPlanCache();
	}
	result->id = result->bound ?
		(BINDING_ID | (binding_serial & ~BINDING_ID)) : principal_id(result);
}

static bool
current_is_fresh(void)
{
	return current_valid &&
		current_session == GetSessionUserId() &&
		current_outer == GetOuterUserId() &&
		current.bound == warden_identity_bound() &&
		current_authenticated == GetAuthenticatedUserId() &&
		current_restricted == restricted_user();
}

/* Apart, so that the usual way through _current needs no stack. */
static pg_noinline void
resolve_current(void)
{
	while (!current_is_fresh())
	{
		uint64		started = generation;
		const WardenPrincipal *known = recall();
		WardenPrincipal result;

		/* Looking things up can process invalidations: then look again. */
		if (known != NULL)
			result = *known;
		else
			resolve(&result);
		if (known == NULL && generation == started)
			remember(&result);
		identify(&result);
		current = result;
		current_session = GetSessionUserId();
		current_outer = GetOuterUserId();
		current_restricted = restricted_user();
		current_authenticated = GetAuthenticatedUserId();
		current_valid = (generation == started);
		ever_resolved = true;
	}
}

const WardenPrincipal *
warden_principal_current(void)
{
	if (unlikely(internal_depth > 0))
		return &internal_principal;
	if (unlikely(OidIsValid(assumed.role)))
		return &assumed;
	if (unlikely(!current_is_fresh()))
		resolve_current();
	return &current;
}

void
warden_principal_assume(Oid role)
{
	memset(&assumed, 0, sizeof(assumed));
	ResetPlanCache();
	if (!OidIsValid(role))
		return;
	assumed.class = WARDEN_CLASS_AGENT;
	assumed.login_role = role;
	assumed.role = role;
	assumed.login_governed = true;
	if (warden_principal_agent_bar(role) != NULL)
	{
		assumed.refusal = "this role can not act as an agent";
		assumed.refusal_hint = "It has gained rights that no agent may have; see warden.check().";
	}
	assumed.id = principal_id(&assumed);
}

const WardenPrincipal *
warden_principal_cached(void)
{
	return ever_resolved ? &current : NULL;
}

const WardenPrincipal *
warden_principal_known(void)
{
	if (!ever_resolved || current_session != GetSessionUserId() ||
		current_outer != GetOuterUserId() ||
		current.bound != warden_identity_bound())
		return NULL;
	return &current;
}

void
warden_principal_require(const WardenPrincipal *principal)
{
	if (unlikely(principal->refusal != NULL))
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_IDENTITY),
				 errmsg("%s", principal->refusal),
				 errhint("%s", principal->refusal_hint)));
}

bool
warden_principal_labels_exist(void)
{
	return !role_labels_valid || nrole_labels > 0;
}

bool
warden_principal_governs(Oid roleid)
{
	require_role_labels();
	return class_of_role(roleid) != WARDEN_CLASS_NONE;
}

bool
warden_principal_masks(const WardenPrincipal *principal)
{
	return principal->class == WARDEN_CLASS_MASKED ||
		principal->class == WARDEN_CLASS_AGENT ||
		principal->class == WARDEN_CLASS_GATEWAY;
}

bool
warden_principal_agents_class(WardenClass class)
{
	return class == WARDEN_CLASS_OBSERVED || class == WARDEN_CLASS_AGENT;
}

bool
warden_principal_is_member(Oid roleid, const char *group)
{
	Oid			groupid = get_role_oid(group, true);

	return OidIsValid(groupid) && is_member_of_role_nosuper(roleid, groupid);
}

void
warden_principal_reset(void)
{
	generation++;
	current_valid = false;
}

bool
warden_principal_internal(void)
{
	return internal_depth > 0;
}

void
warden_principal_run_internal(void (*fn) (void *), void *arg)
{
	Oid			save_userid;
	int			save_sec_context;
	bool		save_read_only = XactReadOnly;
	int			nestlevel;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	nestlevel = NewGUCNestLevel();
	internal_depth++;
	PG_TRY();
	{
		SetUserIdAndSecContext(warden_catalog_owner(),
							   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
		(void) set_config_option("search_path", "pg_catalog, pg_temp",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
		if (!RecoveryInProgress())
			XactReadOnly = false;
		fn(arg);
		AtEOXact_GUC(true, nestlevel);
	}
	PG_FINALLY();
	{
		XactReadOnly = save_read_only;
		internal_depth--;
		SetUserIdAndSecContext(save_userid, save_sec_context);
	}
	PG_END_TRY();
}

/*
 * What the server sends to replicas is raw, and no hook of ours sees the
 * commands of such a connection.
 */
void
warden_principal_refuse_replication(const char *user)
{
	Oid			roleid = get_role_oid(user, true);

	if (!OidIsValid(roleid))
		return;
	load_role_labels();
	if (class_of_role(roleid) == WARDEN_CLASS_NONE &&
		!warden_principal_is_member(roleid, WARDEN_ROLE_GATEWAY))
		return;
	ereport(FATAL,
			(errcode(WARDEN_ERRCODE_IDENTITY),
			 errmsg("governed roles and gateways may not replicate"),
			 errhint("Replication carries raw data: use a role of its own for it, without a warden label.")));
}

/* ----------------------------------------------------------------------
 * Changes of role
 * ---------------------------------------------------------------------- */

/*
 * Whether "role" or "session_authorization" may change now.  Restoring the
 * old value at the end of a transaction does not come here.  What a start-up
 * packet sets is looked at when the backend first acts.  An observed agent does
 * what it did before; its login's label goes with it to whichever role.
 */
static bool
role_change_permitted(GucSource source)
{
	if (source == PGC_S_DEFAULT || InitializingParallelWorker ||
		!IsNormalProcessingMode() || !IsTransactionState() ||
		warden_principal_allow_role_change || internal_depth > 0)
		return true;
	return !warden_principal_hold_role &&
		(warden_principal_current()->class == WARDEN_CLASS_NONE ||
		 warden_principal_current()->class == WARDEN_CLASS_OBSERVED);
}

static bool
refuse_role_change(void)
{
	GUC_check_errcode(WARDEN_ERRCODE_IDENTITY);
	GUC_check_errmsg("a governed session can not change its role");
	GUC_check_errhint("Work as the role that you are; ask an administrator for another agent if it is not enough.");
	return false;
}

static bool
check_role(char **newval, void **extra, GucSource source)
{
	if (!role_change_permitted(source))
		return refuse_role_change();
	return prev_check_role == NULL || prev_check_role(newval, extra, source);
}

static bool
check_session_authorization(char **newval, void **extra, GucSource source)
{
	if (!role_change_permitted(source))
		return refuse_role_change();
	return prev_check_session_authorization == NULL ||
		prev_check_session_authorization(newval, extra, source);
}

/*
 * A SECURITY DEFINER function's plan has the same user whoever calls it, so
 * PostgreSQL would reuse it across SET ROLE.  With no labelled role in the
 * cluster there is only one way to plan.  Between a gateway, which calls no
 * function but enter() and leave(), and its agent plans are told apart by
 * their user; between two agents identify() comes in.
 */
static void
role_changed(void)
{
	if (warden_identity_bound())
		return;
	if (!role_labels_valid || nrole_labels > 0)
		ResetPlanCache();
}

static void
assign_role(const char *newval, void *extra)
{
	if (prev_assign_role != NULL)
		prev_assign_role(newval, extra);
	role_changed();
}

static void
assign_session_authorization(const char *newval, void *extra)
{
	if (prev_assign_session_authorization != NULL)
		prev_assign_session_authorization(newval, extra);
	role_changed();
}

static struct config_string *
string_option(const char *name)
{
	struct config_generic *option = warden_find_option(name);

	if (option == NULL || option->vartype != PGC_STRING)
		elog(ERROR, "setting \"%s\" not found", name);
	return (struct config_string *) option;
}

/* ----------------------------------------------------------------------
 * Invalidation
 * ---------------------------------------------------------------------- */

static void
labels_changed(void)
{
	forget_resolved();
	generation++;
	current_valid = false;
	role_labels_valid = false;
	ResetPlanCache();
}

static void
on_role_change(Datum arg pg_attribute_unused(),
			   int cacheid pg_attribute_unused(),
			   uint32 hashvalue pg_attribute_unused())
{
	labels_changed();
}

static void
on_relcache_change(Datum arg pg_attribute_unused(), Oid relid)
{
	if (relid == SharedSecLabelRelationId || relid == InvalidOid)
		labels_changed();
}

static void
on_extension_change(Datum arg pg_attribute_unused(),
					int cacheid pg_attribute_unused(),
					uint32 hashvalue pg_attribute_unused())
{
	forget_resolved();
	warden_principal_reset();
}

void
warden_principal_init(void)
{
	struct config_string *role = string_option("role");
	struct config_string *session = string_option("session_authorization");

	prev_check_role = role->check_hook;
	role->check_hook = check_role;
	prev_assign_role = role->assign_hook;
	role->assign_hook = assign_role;
	prev_check_session_authorization = session->check_hook;
	session->check_hook = check_session_authorization;
	prev_assign_session_authorization = session->assign_hook;
	session->assign_hook = assign_session_authorization;

	CacheRegisterSyscacheCallback(AUTHOID, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_extension_change, (Datum) 0);
	CacheRegisterRelcacheCallback(on_relcache_change, (Datum) 0);
}
