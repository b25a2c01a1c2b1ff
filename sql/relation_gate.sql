-- Which relations an agent may read beside tables and views: of the catalogs
-- what is its own, of schema warden next to nothing.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_rel_agent LOGIN;
CREATE SCHEMA regress_rel;
GRANT USAGE ON SCHEMA regress_rel TO regress_rel_agent;
SET search_path = regress_rel;
CREATE TABLE people (id int PRIMARY KEY, ssn text, name text);
INSERT INTO people VALUES (1, '078-05-4801', 'Alice');
INSERT INTO people
    SELECT i, '219-09-' || i, 'x' FROM generate_series(2, 300) i;
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
CREATE STATISTICS both_stats (mcv) ON ssn, name FROM people;
CREATE INDEX expression ON people (upper(ssn));
CREATE TABLE open (id int, word text);
INSERT INTO open SELECT i % 3, 'w' || i % 3 FROM generate_series(1, 300) i;
CREATE STATISTICS open_stats (mcv) ON id, word FROM open;
CREATE SEQUENCE s;
CREATE MATERIALIZED VIEW derived AS SELECT id, ssn FROM people;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM people;
CREATE MATERIALIZED VIEW of_open AS SELECT * FROM open;
CREATE VIEW over_derived AS SELECT id FROM derived;
CREATE VIEW shown AS SELECT id, ssn FROM people;
CREATE VIEW chosen AS SELECT id FROM people WHERE ssn LIKE '1%';
CREATE MATERIALIZED VIEW of_view AS SELECT s.* FROM shown s, shown t;
CREATE MATERIALIZED VIEW of_rows AS SELECT count(*) FROM chosen;
CREATE MATERIALIZED VIEW of_cte AS
    WITH c AS (SELECT id FROM people WHERE ssn LIKE '1%') SELECT count(*) FROM c;
CREATE MATERIALIZED VIEW of_lateral AS
    SELECT count(*) FROM people p, generate_series(1, length(p.ssn));
CREATE MATERIALIZED VIEW of_frame AS
    SELECT sum(id) OVER (ORDER BY id ROWS (SELECT length(min(ssn)) FROM people)
        PRECEDING) FROM people;
CREATE MATERIALIZED VIEW of_union AS
    SELECT id % 2 AS half, ssn FROM people UNION SELECT 0, ssn FROM people;
CREATE MATERIALIZED VIEW of_series AS
    SELECT id, generate_series(1, length(ssn)) AS n FROM people;
CREATE MATERIALIZED VIEW of_groups AS
    SELECT left(ssn, 1) AS first, count(*) FROM people GROUP BY 1;
CREATE MATERIALIZED VIEW of_walk AS
    WITH RECURSIVE t (n, s) AS (SELECT 1, ssn FROM people WHERE id = 1
        UNION ALL SELECT n + 1, s FROM t WHERE s LIKE '078%' AND n < 5)
    SELECT count(*) FROM t;
CREATE MATERIALIZED VIEW of_steps AS
    WITH RECURSIVE t (n) AS (SELECT min(id) FROM people
        UNION ALL SELECT q.n + 1 FROM (SELECT n FROM t WHERE n < 3) q)
    SELECT n FROM t;
-- in each of many views, and no slower for that
CREATE VIEW walk_0 AS SELECT id, ssn, id - 1 AS up FROM people;
DO $$ BEGIN
    FOR i IN 1..24 LOOP
        EXECUTE format('CREATE VIEW walk_%1$s AS WITH RECURSIVE t AS (
            SELECT * FROM walk_%2$s
            UNION ALL SELECT w.id, t.ssn, w.up FROM walk_%2$s w JOIN t ON w.up = t.id)
            SELECT * FROM t', i, i - 1);
    END LOOP;
END $$;
CREATE MATERIALIZED VIEW of_walks AS SELECT id FROM walk_24 WITH NO DATA;
SELECT clock_timestamp() AS start \gset
SELECT warden.column_label('of_walks'::regclass, 1::int2);
SELECT clock_timestamp() < :'start'::timestamptz + interval '9 s' AS soon;
DROP MATERIALIZED VIEW of_walks;
CREATE MATERIALIZED VIEW of_copy AS SELECT id FROM derived;
CREATE MATERIALIZED VIEW of_sums AS SELECT count(*) FROM shown;
-- filled through a view that meanwhile shows something else
CREATE VIEW was AS SELECT id, ssn FROM people WHERE id = 1;
CREATE VIEW over_was AS SELECT ssn AS s, id FROM was;
CREATE MATERIALIZED VIEW of_was AS SELECT id, s FROM over_was;
CREATE MATERIALIZED VIEW unfilled AS SELECT ssn FROM was WITH NO DATA;
CREATE OR REPLACE VIEW was AS SELECT id, name AS ssn FROM people WHERE id = 1;
-- or from a table that has become a view, as PostgreSQL 15 lets it
CREATE TABLE emptied AS SELECT id, ssn FROM people;
SECURITY LABEL FOR warden ON COLUMN emptied.ssn IS 'ssn';
CREATE MATERIALIZED VIEW of_emptied AS SELECT ssn FROM emptied WHERE id = 1;
CREATE TABLE turned (ssn text);
CREATE MATERIALIZED VIEW of_turned AS SELECT ssn FROM turned;
DELETE FROM emptied;
DO $$ BEGIN
    CREATE RULE "_RETURN" AS ON SELECT TO emptied DO INSTEAD
        SELECT 1 AS id, name AS ssn FROM people;
    CREATE RULE "_RETURN" AS ON SELECT TO turned DO INSTEAD
        SELECT ssn FROM people;
EXCEPTION WHEN wrong_object_type THEN
    DROP TABLE emptied, turned CASCADE;
    CREATE VIEW emptied AS SELECT 1 AS id, name AS ssn FROM people;
    CREATE MATERIALIZED VIEW of_emptied AS SELECT ''::text AS ssn;
    SECURITY LABEL FOR warden ON COLUMN of_emptied.ssn IS 'full';
    CREATE VIEW turned AS SELECT ssn FROM people;
    CREATE MATERIALIZED VIEW of_turned AS SELECT ssn FROM turned WITH NO DATA;
END $$;
REFRESH MATERIALIZED VIEW of_turned;
ANALYZE;
CREATE EXTENSION file_fdw SCHEMA regress_rel;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE file (line text) SERVER files
    OPTIONS (filename '/dev/null');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_rel TO regress_rel_agent;
-- more than an agent should have: the gate does not rest on privileges
GRANT SELECT ON ALL TABLES IN SCHEMA pg_catalog, warden TO regress_rel_agent;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA regress_rel, warden TO regress_rel_agent;
GRANT USAGE ON SCHEMA pg_toast TO regress_rel_agent;
DO $$ BEGIN
    EXECUTE format('GRANT SELECT ON %s TO regress_rel_agent',
        (SELECT reltoastrelid::regclass FROM pg_class
          WHERE oid = 'regress_rel.people'::regclass));
END $$;
-- how many rows the planner expects
CREATE FUNCTION estimate(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN coalesce(plan -> 0 -> 'Plan' -> 'Plans' -> 0 ->> 'Plan Rows',
        plan -> 0 -> 'Plan' ->> 'Plan Rows');
END $$;
GRANT UPDATE ON people TO regress_rel_agent;
CREATE INDEX by_ssn ON people (ssn);
SECURITY LABEL FOR warden ON ROLE regress_rel_agent IS 'agent';
BEGIN;
CREATE TABLE gone ();
PREPARE TRANSACTION 'regress_rel_somebody_else';
SELECT format('SELECT count(*) FROM %s', reltoastrelid::regclass) AS toast
  FROM pg_class WHERE oid = 'people'::regclass \gset

\c - regress_rel_agent
SET search_path = regress_rel;

--
-- must fail
--
SELECT * FROM derived;
SELECT id FROM over_derived;
SELECT id FROM of_view;
SELECT * FROM of_rows;
SELECT * FROM of_cte;
SELECT * FROM of_lateral;
SELECT * FROM of_frame;
SELECT half FROM of_union;
SELECT id FROM of_series;
SELECT count FROM of_groups;
SELECT * FROM of_walk;
SELECT * FROM of_copy;
SELECT count(*) FROM pg_prepared_xacts;
SELECT count(*) FROM pg_stat_replication;
SELECT rolname FROM pg_authid WHERE rolname = 'regress_rel_agent';
\set VERBOSITY sqlstate
SELECT relname FROM expression;
:toast;
-- columns of the catalogs that hold passwords, or data without labels
SELECT rolpassword FROM pg_authid;
SELECT a FROM pg_authid a;
SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM%';
SELECT passwd FROM pg_shadow;
SELECT data FROM pg_largeobject;
SELECT umoptions FROM pg_user_mapping;
SELECT umoptions FROM pg_user_mappings;
SELECT option_value FROM information_schema.user_mapping_options;
SELECT subconninfo FROM pg_subscription;
COPY pg_authid TO STDOUT;
SELECT * FROM missing;
-- all of schema warden that is not for agents
SELECT format('SELECT count(*) FROM warden.%I', relname)
  FROM pg_class
 WHERE relnamespace = 'warden'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
   AND NOT relispartition AND relname NOT IN ('my_changes', 'my_audit')
 ORDER BY relname COLLATE "C" \gexec
COPY warden.agents TO STDOUT;
COPY (SELECT value FROM warden.mask_keys) TO STDOUT;
DO $$ BEGIN PERFORM * FROM warden.audit_events; END $$;
DO $$ BEGIN
	EXECUTE (SELECT format('SELECT FROM %s', inhrelid::regclass)
		FROM pg_inherits WHERE inhparent = 'warden.audit_events'::regclass
		ORDER BY inhrelid LIMIT 1);
END $$;
SELECT query_to_xml('SELECT * FROM warden.agent_tokens', false, false, '');
WITH w AS (SELECT a FROM warden.agents a) SELECT 1 FROM w;
SELECT EXISTS (SELECT FROM warden.exemptions);
EXPLAIN SELECT * FROM warden.people;
\set VERBOSITY default

--
-- must work
--
SELECT count(*) FROM counted;
SELECT count(*) FROM of_sums;
SELECT n FROM of_steps ORDER BY n;
SELECT id, s FROM of_was;
SELECT count(*) FROM of_open;
SELECT last_value FROM s;
SELECT * FROM file;
SELECT count(*) >= 0 AS readable FROM warden.my_changes;
SELECT count(*) >= 0 AS readable FROM warden.my_audit;
SELECT relname, relkind FROM pg_class
 WHERE relnamespace = 'regress_rel'::regnamespace AND relname ~ '^[ops]'
 ORDER BY relname COLLATE "C";
SELECT column_name, data_type FROM information_schema.columns
 WHERE table_schema = 'regress_rel' AND table_name = 'people'
 ORDER BY ordinal_position;
-- psql's own queries
\t on
\dt regress_rel.o*
\t off
\d regress_rel.open

-- statistics: of labelled columns none
SELECT tablename, attname, most_common_vals IS NOT NULL AS mcv,
       histogram_bounds IS NOT NULL AS histogram
  FROM pg_stats WHERE schemaname = 'regress_rel'
 ORDER BY 1, 2;
SELECT starelid::regclass, staattnum, stavalues1 IS NOT NULL AS v
  FROM pg_statistic
 WHERE starelid::regclass::text IN ('people', 'open', 'expression', 'derived')
 ORDER BY starelid::regclass::text COLLATE "C", staattnum;
SELECT statistics_name FROM pg_stats_ext WHERE schemaname = 'regress_rel';
SELECT stxname FROM pg_statistic_ext_data
  JOIN pg_statistic_ext e ON e.oid = stxoid
 WHERE stxnamespace = 'regress_rel'::regnamespace;
-- and the planner's estimates come from none either
SELECT estimate('SELECT FROM people WHERE ssn = ''078-05-4801''')
     = estimate('SELECT FROM people WHERE ssn = ''nobody''') AS equal,
       estimate('SELECT FROM people WHERE ssn < ''1''')
     = estimate('SELECT FROM people WHERE ssn < ''z''') AS range,
       estimate('SELECT FROM people WHERE upper(ssn) LIKE ''219%''')
     = estimate('SELECT FROM people WHERE upper(ssn) LIKE ''9%''') AS expression;
-- that of a write, which is planned on the table as it is, as little
SELECT estimate('UPDATE people SET id = id WHERE ssn = ''078-05-4801''')
     = estimate('UPDATE people SET id = id WHERE ssn = ''nobody''') AS equal,
       estimate('UPDATE people SET id = id WHERE ssn < ''1''')
     = estimate('UPDATE people SET id = id WHERE ssn < ''z''') AS range,
       estimate('UPDATE people SET id = id WHERE upper(ssn) = ''219-09-2''')
     = estimate('UPDATE people SET id = id WHERE upper(ssn) = ''9''') AS expression,
       estimate('UPDATE people SET id = id WHERE ssn LIKE ''078%'' AND name = ''Alice''')
     = estimate('UPDATE people SET id = id WHERE ssn LIKE ''9%'' AND name = ''Alice''') AS combined;
SELECT estimate('SELECT FROM people WHERE name = ''Alice''')
    <> estimate('SELECT FROM people WHERE name = ''x''') AS unlabelled;

-- what other sessions run or hold
SELECT count(*), bool_and(pid = pg_backend_pid()) FROM pg_stat_activity;
SELECT count(*) > 0, bool_and(pid = pg_backend_pid()) FROM pg_locks;
SELECT count(*) FROM pg_stat_get_activity(NULL) WHERE pid <> pg_backend_pid();
SELECT count(*) FROM pg_cursors WHERE statement LIKE '%somebody%';

-- the labels themselves are no secret
SELECT objname, label FROM pg_seclabels
 WHERE provider = 'warden' AND objname LIKE '%people%';

\c - :superuser
SET client_min_messages = warning;
ROLLBACK PREPARED 'regress_rel_somebody_else';
\set VERBOSITY terse
REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog, warden FROM regress_rel_agent;
REVOKE SELECT ON ALL SEQUENCES IN SCHEMA warden FROM regress_rel_agent;
REVOKE USAGE ON SCHEMA pg_toast FROM regress_rel_agent;
DROP SCHEMA regress_rel CASCADE;
DROP ROLE regress_rel_agent;
