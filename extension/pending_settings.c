/*-------------------------------------------------------------------------
 * pending_settings.c
 *	  The settings of the session in which a change runs that commits on the
 *	  way: what a trigger or a function of it sets would stay with each commit.
 *
 * Invariant: afterwards every setting that a session can change has the value
 * that it had before; one that did not exist has its default.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "pending.h"

typedef struct WardenSetting
{
	char	   *name;
	char	   *value;			/* NULL: its default */
} WardenSetting;

/* Of the transaction, and one that can not be read. */
static const char *const left_alone[] = {
	"transaction_isolation", "transaction_read_only",
	"transaction_deferrable", "seed"
};

static bool
is_kept(struct config_generic *option)
{
	int			i;

	if (option->context != PGC_USERSET && option->context != PGC_SUSET)
		return false;
	for (i = 0; i < (int) lengthof(left_alone); i++)
	{
		if (strcmp(option->name, left_alone[i]) == 0)
			return false;
	}
	return true;
}

List *
warden_settings_remember(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	int			n;
	struct config_generic **options = warden_all_options(&n);
	List	   *settings = NIL;
	int			i;

	for (i = 0; i < n; i++)
	{
		WardenSetting *setting;
		const char *value;

		if (!is_kept(options[i]))
			continue;
		value = GetConfigOption(options[i]->name, true, false);
		setting = palloc(sizeof(WardenSetting));
		setting->name = pstrdup(options[i]->name);
		setting->value = value != NULL ? pstrdup(value) : NULL;
		settings = lappend(settings, setting);
	}
	MemoryContextSwitchTo(old);
	return settings;
}

static bool
same_value(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Outside a transaction, so that no abort brings them back. */
static void
set_back(const char *name, const char *value)
{
	Assert(!IsTransactionState());
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, WARNING, false);
}

void
warden_settings_restore(List *settings)
{
	int			n;
	struct config_generic **options = warden_all_options(&n);
	int			i;

	for (i = 0; i < n; i++)
	{
		const char *name = options[i]->name;
		const char *before = NULL;
		ListCell   *cell;

		if (!is_kept(options[i]))
			continue;
		foreach(cell, settings)
		{
			WardenSetting *setting = lfirst(cell);

			if (strcmp(setting->name, name) == 0)
				before = setting->value;
		}
		if (!same_value(GetConfigOption(name, true, false), before))
			set_back(name, before);
	}
}
