/*-------------------------------------------------------------------------
 * audit_partition.c
 *	  Partitions of warden.audit_events, one after the other in time.
 *
 * They are ranges of stored_at, the time at which the worker wrote a record.
 * That never goes back, so the partitions follow each other as ids do: the
 * chain runs through them in order, and the oldest can go as a whole.
 *
 * Each has its own primary key, indexes and guard, and the store has none of
 * them.  That is for pg_dump: the store is the extension's, its partitions are
 * not (the extension's script could not make them again), and an index that
 * hung below one of the extension's would be made twice by a restore.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "audit_partition.h"
#include "catalog.h"
#include "guc.h"
#include "principal.h"
#include "warden.h"

/* Ranges begin at a multiple of their length after this Monday. */
#define ORIGIN (2 * USECS_PER_DAY)

/* %s is the partition; the rest follows from audit_events. */
static const char *const partition_sql[] = {
	"CREATE INDEX %s_statement ON warden.%s (statement_id)%s"
	" WHERE statement_id IS NOT NULL",
	"CREATE INDEX %s_agent ON warden.%s (agent, at)%s WHERE agent IS NOT NULL",
	"CREATE INDEX %s_person ON warden.%s (on_behalf_of, at)%s"
	" WHERE on_behalf_of IS NOT NULL",
	"CREATE INDEX %s_change ON warden.%s (change_id)%s"
	" WHERE change_id IS NOT NULL",
	"CREATE INDEX %s_at ON warden.%s USING brin (at)"
	" WITH (autosummarize = on)%s",
};

/* ----------------------------------------------------------------------
 * Finding
 * ---------------------------------------------------------------------- */

static TimestampTz
bound_value(const PartitionBoundInfo bounds, int i)
{
	if (i < 0)
		return DT_NOBEGIN;
	switch (bounds->kind[i][0])
	{
		case PARTITION_RANGE_DATUM_MINVALUE:
			return DT_NOBEGIN;
		case PARTITION_RANGE_DATUM_MAXVALUE:
			return DT_NOEND;
		default:
			return DatumGetTimestampTz(bounds->datums[i][0]);
	}
}

List *
warden_partition_list(Relation store)
{
	PartitionDesc desc;
	PartitionBoundInfo bounds;
	List *result = NIL;
	int i;

	if (store->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(WARDEN_ERRCODE_AUDIT),
				 errmsg("table \"warden.audit_events\" is not partitioned"),
				 errhint("Run ALTER EXTENSION pg_warden UPDATE.")));
	desc = RelationGetPartitionDesc(store, true);
	bounds = desc->boundinfo;
	for (i = 0; bounds != NULL && i < bounds->ndatums; i++)
	{
		WardenPartition *partition;

		if (bounds->indexes[i] < 0)
			continue;
		partition = palloc(sizeof(WardenPartition));
		partition->relid = desc->oids[bounds->indexes[i]];
		partition->from = bound_value(bounds, i - 1);
		partition->upto = bound_value(bounds, i);
		result = lappend(result, partition);
	}
	return result;
}

Oid
warden_partition_key(Relation partition)
{
	Oid index = RelationGetPrimaryKeyIndex(partition, false);

	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("audit partition \"%s\" has no primary key",
						RelationGetRelationName(partition)),
				 errhint("Add PRIMARY KEY (id) to it, which a restore may have left out.")));
	return index;
}

bool
warden_partition_covers(const WardenPartition *partition, TimestampTz at)
{
	return OidIsValid(partition->relid) && partition->from <= at &&
		at < partition->upto;
}

/* ----------------------------------------------------------------------
 * Creating
 * ---------------------------------------------------------------------- */

/* The range around a time, as far as its neighbours leave room. */
static void
choose_range(List *partitions, TimestampTz at, WardenPartition *range)
{
	int64 length = (int64) warden_audit_partition * USECS_PER_SEC;
	int64 offset = (at - ORIGIN) % length;
	ListCell *cell;

	if (offset < 0)
		offset += length;
	range->from = at - offset;
	range->upto = range->from + length;
	foreach(cell, partitions)
	{
		const WardenPartition *other = lfirst(cell);

		if (other->upto <= at)
			range->from = Max(range->from, other->upto);
		else
			range->upto = Min(range->upto, other->from);
	}
}

/* audit_events_20261123, with the time of day where a range begins in one. */
static char *
choose_name(TimestampTz from)
{
	struct pg_tm tm;
	fsec_t fsec;
	char *name;
	char *base;
	int n;

	if (timestamp2tm(from, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "audit partition begins out of range");
	base = psprintf("audit_events_%04d%02d%02d", tm.tm_year, tm.tm_mon,
					tm.tm_mday);
	if (tm.tm_hour != 0 || tm.tm_min != 0 || tm.tm_sec != 0)
		base = psprintf("%s_%02d%02d%02d", base, tm.tm_hour, tm.tm_min,
						tm.tm_sec);

	/* one that was taken out of the store may still have the name */
	name = base;
	for (n = 2; OidIsValid(get_relname_relid(name, warden_catalog_schema()));
		 n++)
		name = psprintf("%s_%d", base, n);
	return name;
}

static void
execute(const char *sql)
{
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not make an audit partition");
}

/*
 * Only the store's grants count.  Default privileges may have given others
 * rights on the new table.
 */
static void
revoke_all(const char *name)
{
	SPITupleTable *rows;
	uint64 n;
	uint64 i;

	execute(psprintf(
		"SELECT pg_catalog.format('REVOKE ALL ON TABLE warden.%s FROM %%s CASCADE',"
		" CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE"
		" a.grantee::pg_catalog.regrole::pg_catalog.text END)"
		" FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a"
		" WHERE c.oid OPERATOR(pg_catalog.=) 'warden.%s'::pg_catalog.regclass"
		" AND a.grantee OPERATOR(pg_catalog.<>) c.relowner"
		" GROUP BY a.grantee",
		name, name));
	rows = SPI_tuptable;
	n = SPI_processed;
	for (i = 0; i < n; i++)
		execute(SPI_getvalue(rows->vals[i], rows->tupdesc, 1));
}

static char *
bound_literal(TimestampTz bound)
{
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(bound, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "audit partition ends out of range");
	return psprintf("'%04d-%02d-%02d %02d:%02d:%02d.%06d+00'", tm.tm_year,
					tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
					(int) fsec);
}

static void
create_table(const char *name, Oid tablespace)
{
	const char *in = "";
	const char *index_in = "";
	Size i;

	if (OidIsValid(tablespace))
	{
		const char *space = quote_identifier(get_tablespace_name(tablespace));

		in = psprintf(" TABLESPACE %s", space);
		index_in = psprintf(" USING INDEX TABLESPACE %s", space);
	}
	execute(psprintf(
		"CREATE TABLE warden.%s (LIKE warden.audit_events INCLUDING COMMENTS"
		" INCLUDING STORAGE INCLUDING COMPRESSION,"
		" PRIMARY KEY (id)%s) USING heap%s",
		name, index_in, in));
	for (i = 0; i < lengthof(partition_sql); i++)
	{
		/* TABLESPACE stands before WHERE and after WITH */
		execute(psprintf(partition_sql[i], name, name, in));
	}
	execute(psprintf(
		"COMMENT ON TABLE warden.%s IS 'a part of warden.audit_events'", name));
	revoke_all(name);
	execute(psprintf("CREATE TRIGGER guard_audit BEFORE INSERT OR UPDATE OR"
					 " DELETE OR TRUNCATE ON warden.%s FOR EACH STATEMENT"
					 " EXECUTE FUNCTION warden.guard_audit()",
					 name));
	execute(psprintf(
		"ALTER TABLE warden.%s ENABLE ALWAYS TRIGGER guard_audit", name));
	execute(psprintf("COMMENT ON TRIGGER guard_audit ON warden.%s IS"
					 " 'refuses every change by SQL, of owners and superusers too'",
					 name));
}

/*
 * Attaching takes no lock on the store that readers, or writing to other
 * partitions, would have to wait for; CREATE ... PARTITION OF would.
 */
void
warden_partition_create(List *partitions, Oid tablespace, TimestampTz at,
						WardenPartition *created)
{
	WardenPartition range;
	char *name;

	choose_range(partitions, at, &range);
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not make an audit partition");
	name = choose_name(range.from);
	create_table(name, tablespace);
	execute(psprintf("ALTER TABLE warden.audit_events ATTACH PARTITION"
					 " warden.%s FOR VALUES FROM (%s) TO (%s)",
					 name, bound_literal(range.from),
					 bound_literal(range.upto)));
	range.relid = get_relname_relid(name, warden_catalog_schema());
	SPI_finish();
	PopActiveSnapshot();
	*created = range;
}

/* ----------------------------------------------------------------------
 * Dropping
 * ---------------------------------------------------------------------- */

void
warden_partition_drop(Oid relid)
{
	ObjectAddress object;

	ObjectAddressSet(object, RelationRelationId, relid);
	performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

static void
refuse_removal(void)
{
	ereport(ERROR,
			(errcode(WARDEN_ERRCODE_NOT_PERMITTED),
			 errmsg("the audit trail is protected"),
			 errhint("Drop what is old with warden.drop_audit_before(). A superuser can drop the extension after SET warden.allow_drop = on; agents are refused in this database afterwards.")));
}

/* An extension that is dropped takes them along. */
void
warden_partition_check_drop(Oid relid)
{
	if (!warden_allow_drop && !warden_principal_internal() &&
		get_rel_relkind(relid) == RELKIND_RELATION &&
		get_rel_relispartition(relid) &&
		get_rel_namespace(relid) == warden_catalog_schema())
		refuse_removal();
}

void
warden_partition_check_alter(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		Oid			relid;

		if (lfirst_node(AlterTableCmd, lc)->subtype != AT_DetachPartition ||
			warden_allow_drop || warden_principal_internal())
			continue;
		relid = RangeVarGetRelid(stmt->relation, NoLock, true);
		if (OidIsValid(relid) &&
			relid == warden_catalog_relation("audit_events"))
			refuse_removal();
	}
}
