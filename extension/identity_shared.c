/*-------------------------------------------------------------------------
 * identity_shared.c
 *	  Shared memory of the identity module: which backend acts as which agent
 *	  now, an epoch that tells backends to look the registry up again, and the
 *	  counters of hourly budgets.
 *
 * The order that makes disable_agent() exact: it commits, advances the epoch,
 * then reads the slots; enter() writes its slot, then reads the epoch and
 * looks everything up again if it has advanced.  Whichever comes first, one
 * of them sees the other.
 *
 * A slot is written by its own backend only and protected by its spinlock;
 * slots are claimed and released, and counters kept, under the one LWLock.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "identity_store.h"

#define TRANCHE			"warden identity"
#define MAX_COUNTERS	16384

/* Of these, room that persons leave to agents. */
#define AGENT_COUNTERS	1024

/*
 * Persons of an hour that one agent may bring: where a request names whom it is
 * for, names are without end, and the others need counters, too.
 */
#define PERSONS_OF_AGENT	4096

typedef struct Slot
{
	slock_t		mutex;
	bool		claimed;		/* by a backend, under the LWLock */
	bool		cancelled;		/* since it began to act */
	WardenActing acting;
} Slot;

typedef struct SharedIdentity
{
	pg_atomic_uint64 epoch;
	int			nslots;
	Slot		slots[FLEXIBLE_ARRAY_MEMBER];
} SharedIdentity;

typedef enum Spender
{
	SPENDER_AGENT,
	SPENDER_PERSON
} Spender;

typedef struct CounterKey
{
	Oid			database;
	Spender		kind;
	uint8		name[WARDEN_DIGEST_LENGTH];
} CounterKey;

typedef struct Counter
{
	CounterKey	key;
	int64		hour;
	int64		statements;
	int64		rows;
	int			persons;		/* that an agent was the first to bring */
} Counter;

static SharedIdentity *shared = NULL;
static HTAB *counters = NULL;
static LWLock *lock = NULL;
static Slot *my_slot = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
shared_size(void)
{
	return add_size(offsetof(SharedIdentity, slots),
					mul_size(MaxBackends, sizeof(Slot)));
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestAddinShmemSpace(hash_estimate_size(MAX_COUNTERS, sizeof(Counter)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
startup_shmem(void)
{
	HASHCTL		ctl;
	bool		found;
	int			i;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("warden identity", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		pg_atomic_init_u64(&shared->epoch, 1);
		shared->nslots = MaxBackends;
		for (i = 0; i < shared->nslots; i++)
			SpinLockInit(&shared->slots[i].mutex);
	}
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(CounterKey);
	ctl.entrysize = sizeof(Counter);
	counters = ShmemInitHash("warden budgets", MAX_COUNTERS, MAX_COUNTERS,
							 &ctl, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	lock = &(GetNamedLWLockTranche(TRANCHE))->lock;
	LWLockRelease(AddinShmemInitLock);
}

/* ----------------------------------------------------------------------
 * Slots
 * ---------------------------------------------------------------------- */

static void
release_slot(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	if (my_slot == NULL)
		return;
	warden_shared_end();
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_slot->claimed = false;
	LWLockRelease(lock);
	my_slot = NULL;
}

/* There are as many slots as backends, so one is always free. */
static void
claim_slot(void)
{
	int			i;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	for (i = 0; i < shared->nslots; i++)
	{
		if (!shared->slots[i].claimed)
		{
			shared->slots[i].claimed = true;
			my_slot = &shared->slots[i];
			break;
		}
	}
	LWLockRelease(lock);
	if (my_slot == NULL)
		elog(ERROR, "no free slot for an agent's backend");
	before_shmem_exit(release_slot, (Datum) 0);
}

void
warden_shared_begin(const char *agent, const char *on_behalf_of, Oid role,
					bool bound)
{
	WardenActing acting;

	if (my_slot == NULL)
		claim_slot();
	memset(&acting, 0, offsetof(WardenActing, agent));
	acting.pid = MyProcPid;
	acting.database = MyDatabaseId;
	acting.login_role = GetSessionUserId();
	acting.role = role;
	acting.bound = bound;
	acting.since = GetCurrentTimestamp();
	strlcpy(acting.agent, agent, sizeof(acting.agent));
	strlcpy(acting.on_behalf_of, on_behalf_of, sizeof(acting.on_behalf_of));
	SpinLockAcquire(&my_slot->mutex);
	my_slot->acting = acting;
	my_slot->cancelled = false;
	SpinLockRelease(&my_slot->mutex);
	pg_memory_barrier();
}

void
warden_shared_end(void)
{
	if (!warden_shared_acting())
		return;
	SpinLockAcquire(&my_slot->mutex);
	my_slot->acting.pid = 0;
	SpinLockRelease(&my_slot->mutex);
}

WardenActing *
warden_shared_list(int *n)
{
	WardenActing *list = palloc(sizeof(WardenActing) * shared->nslots);
	int			i;

	*n = 0;
	for (i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		SpinLockAcquire(&slot->mutex);
		list[*n] = slot->acting;
		SpinLockRelease(&slot->mutex);
		if (list[*n].pid != 0)
			(*n)++;
	}
	return list;
}

/* Without copying: enter() of an agent with max_calls comes here. */
int
warden_shared_count(const char *agent)
{
	int			count = 0;
	int			i;

	for (i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		SpinLockAcquire(&slot->mutex);
		if (slot->acting.pid != 0 && slot->acting.database == MyDatabaseId &&
			strcmp(slot->acting.agent, agent) == 0)
			count++;
		SpinLockRelease(&slot->mutex);
	}
	return count;
}

/*
 * Called after commit, where nothing may fail: no allocation, no errors.  A
 * cancel that arrives between two statements is ignored by its backend.
 */
void
warden_shared_cancel(const char *agent)
{
	int			i;

	for (i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];
		int			pid = 0;

		SpinLockAcquire(&slot->mutex);
		if (slot->acting.pid != 0 && slot->acting.database == MyDatabaseId &&
			strcmp(slot->acting.agent, agent) == 0)
		{
			pid = slot->acting.pid;
			slot->cancelled = true;
		}
		SpinLockRelease(&slot->mutex);
		if (pid != 0 && pid != MyProcPid && BackendPidGetProc(pid) != NULL)
			(void) kill(pid, SIGINT);
	}
}

/* Only the backend itself changes this, so no lock is needed. */
bool
warden_shared_acting(void)
{
	return my_slot != NULL && my_slot->acting.pid != 0;
}

bool
warden_shared_cancelled(void)
{
	bool		cancelled;

	if (!warden_shared_acting())
		return false;
	SpinLockAcquire(&my_slot->mutex);
	cancelled = my_slot->cancelled;
	SpinLockRelease(&my_slot->mutex);
	return cancelled;
}

/* ----------------------------------------------------------------------
 * Epoch
 * ---------------------------------------------------------------------- */

uint64
warden_shared_epoch(void)
{
	return pg_atomic_read_u64(&shared->epoch);
}

void
warden_shared_advance(void)
{
	pg_atomic_fetch_add_u64(&shared->epoch, 1);
}

/* ----------------------------------------------------------------------
 * Budgets
 * ---------------------------------------------------------------------- */

/* Frees the counters of past hours; under the lock. */
static void
forget_past_hours(int64 hour)
{
	HASH_SEQ_STATUS status;
	Counter    *counter;

	hash_seq_init(&status, counters);
	while ((counter = hash_seq_search(&status)) != NULL)
	{
		if (counter->hour != hour)
			(void) hash_search(counters, &counter->key, HASH_REMOVE, NULL);
	}
}

static CounterKey
counter_key(Spender kind, const char *name)
{
	CounterKey	key;

	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.kind = kind;
	warden_store_digest(name, strlen(name), key.name);
	return key;
}

/* The counter for this hour, or NULL; under the lock. */
static Counter *
find_counter(const CounterKey *key, int64 hour)
{
	Counter    *counter = hash_search(counters, key, HASH_FIND, NULL);

	return counter != NULL && counter->hour == hour ? counter : NULL;
}

/* The same, made where there are fewer than "room"; under the lock. */
static Counter *
make_counter(const CounterKey *key, int64 hour, long room)
{
	Counter    *counter = find_counter(key, hour);

	if (counter != NULL)
		return counter;
	if (hash_get_num_entries(counters) >= room)
		forget_past_hours(hour);
	if (hash_get_num_entries(counters) >= room)
		return NULL;
	counter = hash_search(counters, key, HASH_ENTER_NULL, NULL);
	if (counter == NULL)
		return NULL;
	counter->hour = hour;
	counter->statements = 0;
	counter->rows = 0;
	counter->persons = 0;
	return counter;
}

/* A person's counter, whom the agent may be the first to bring. */
static Counter *
make_person_counter(const CounterKey *key, const CounterKey *agent_key,
					int64 hour)
{
	Counter    *counter = find_counter(key, hour);
	Counter    *agent;

	if (counter != NULL)
		return counter;
	agent = make_counter(agent_key, hour, MAX_COUNTERS);
	if (agent == NULL || agent->persons >= PERSONS_OF_AGENT)
		return NULL;
	counter = make_counter(key, hour, MAX_COUNTERS - AGENT_COUNTERS);
	if (counter != NULL)
		agent->persons++;
	return counter;
}

bool
warden_shared_spend(const char *agent, const char *person, int64 statements,
					int64 rows, int64 statement_limit, int64 row_limit)
{
	CounterKey	agent_key = counter_key(SPENDER_AGENT, agent);
	CounterKey	person_key;
	Counter    *counter;
	int64		hour = GetCurrentTimestamp() / USECS_PER_HOUR;
	bool		within = false;

	if (person != NULL)
		person_key = counter_key(SPENDER_PERSON, person);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	counter = person == NULL ? make_counter(&agent_key, hour, MAX_COUNTERS) :
		make_person_counter(&person_key, &agent_key, hour);
	/* No room to count in is no budget left. */
	if (counter != NULL)
	{
		counter->statements += statements;
		counter->rows += rows;
		within = (statement_limit == 0 ||
				  counter->statements <= statement_limit) &&
			(row_limit == 0 || counter->rows < row_limit || rows > 0);
	}
	LWLockRelease(lock);
	return within;
}

void
warden_shared_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}
