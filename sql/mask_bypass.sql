-- The same masked columns read in many ways. No value of the first rows'
-- ssn (078-05, 219-09), email (alice, mallory) or pin may be in an answer:
-- what cannot be masked is refused.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_bypass_agent LOGIN;
CREATE SCHEMA regress_bypass;
GRANT USAGE ON SCHEMA regress_bypass TO regress_bypass_agent;
SET search_path = regress_bypass;
CREATE DOMAIN code AS text;
CREATE TYPE pair AS (a text, b text);
CREATE TABLE people (id int PRIMARY KEY, gone text, ssn text, email text,
    pin int, secret code, both_names pair, tags text[], doc jsonb,
    derived text GENERATED ALWAYS AS (ssn || '!') STORED);
ALTER TABLE people DROP COLUMN gone;
INSERT INTO people (id, ssn, email, pin, secret, both_names, tags, doc) VALUES
    (1, '078-05-4801', 'alice@example.com', 7701, 'raw1', ('raw1', 'x'),
     '{raw1}', '{"k": "raw1"}'),
    (2, '219-09-2210', 'mallory@example.com', 7702, 'raw2', ('raw2', 'x'),
     '{raw2}', '{"k": "raw2"}');
CREATE INDEX people_ssn ON people (ssn);
CREATE INDEX people_lower ON people (lower(email));
CREATE STATISTICS people_stats (mcv, dependencies) ON ssn, pin FROM people;
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.pin IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.secret IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.both_names IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.tags IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.doc IS 'full';
ANALYZE people;

CREATE VIEW plain_view AS SELECT * FROM people;
CREATE VIEW view_of_view AS SELECT id, ssn AS s, email FROM plain_view;
CREATE VIEW barrier_view WITH (security_barrier) AS
    SELECT * FROM people WHERE ssn LIKE '078%';
CREATE VIEW invoker_view WITH (security_invoker) AS SELECT * FROM people;
CREATE VIEW aggregating_view AS
    SELECT max(ssn) AS ssn, array_agg(email ORDER BY id) AS emails FROM people;
CREATE MATERIALIZED VIEW copied AS SELECT id, ssn FROM people;
CREATE MATERIALIZED VIEW copied_labelled AS SELECT id, ssn FROM people;
SECURITY LABEL FOR warden ON COLUMN copied_labelled.ssn IS 'ssn';

CREATE FUNCTION old_sql() RETURNS text LANGUAGE sql STABLE
    AS 'SELECT ssn FROM regress_bypass.people WHERE id = 1';
CREATE FUNCTION old_sql_set() RETURNS SETOF people LANGUAGE sql STABLE
    AS 'SELECT * FROM regress_bypass.people';
CREATE FUNCTION atomic_sql() RETURNS text LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT ssn FROM people WHERE id = 1; END;
CREATE FUNCTION atomic_set() RETURNS TABLE (i int, s text) LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT id, ssn FROM people; END;
CREATE FUNCTION volatile_set() RETURNS SETOF text LANGUAGE sql VOLATILE
    AS 'SELECT email FROM regress_bypass.people ORDER BY id';
CREATE FUNCTION of_row(p people) RETURNS text LANGUAGE sql IMMUTABLE
    AS 'SELECT p.ssn';
CREATE FUNCTION pl() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; result text = '';
BEGIN
    FOR r IN SELECT * FROM regress_bypass.people ORDER BY id LOOP
        result := result || r.ssn || ' ' || r.email || ' ';
    END LOOP;
    RETURN result;
END $$;
CREATE FUNCTION pl_dynamic(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN EXECUTE query INTO result; RETURN result; END $$;
CREATE FUNCTION pl_definer() RETURNS SETOF text LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = regress_bypass
    AS $$ BEGIN RETURN QUERY SELECT ssn FROM people ORDER BY id; END $$;
CREATE FUNCTION sql_definer() RETURNS SETOF people LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = regress_bypass
    AS 'SELECT * FROM people ORDER BY id';
CREATE FUNCTION noisy(text) RETURNS bool LANGUAGE plpgsql COST 0.000001
    AS $$ BEGIN RAISE WARNING 'saw %', $1; RETURN true; END $$;
CREATE FUNCTION eq_noisy(text, text) RETURNS bool LANGUAGE plpgsql
    AS $$ BEGIN RAISE WARNING 'compared % and %', $1, $2; RETURN $1 = $2; END $$;
CREATE OPERATOR === (FUNCTION = eq_noisy, LEFTARG = text, RIGHTARG = text,
    RESTRICT = eqsel, HASHES, MERGES);
CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE sql IMMUTABLE
    AS $$ SELECT ROW($1, 'p')::regress_bypass.pair $$;
CREATE CAST (text AS pair) WITH FUNCTION to_pair(text);
CREATE FUNCTION collect(text, text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT $1 || $2 $$;
CREATE AGGREGATE glue(text) (SFUNC = collect, STYPE = text, INITCOND = '');
CREATE PROCEDURE show_all() LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    FOR r IN SELECT * FROM regress_bypass.people ORDER BY id LOOP
        RAISE WARNING 'row %', r;
    END LOOP;
END $$;

CREATE TABLE tree (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
CREATE TABLE tree_rest PARTITION OF tree DEFAULT;
INSERT INTO tree SELECT id, ssn FROM people;
SECURITY LABEL FOR warden ON COLUMN tree.ssn IS 'ssn';
CREATE TABLE base (id int, ssn text);
CREATE TABLE derived () INHERITS (base);
INSERT INTO base SELECT id, ssn FROM people WHERE id = 1;
INSERT INTO derived SELECT id, ssn FROM people WHERE id = 2;
SECURITY LABEL FOR warden ON COLUMN derived.ssn IS 'ssn';
CREATE TABLE guarded (id int, ssn text, owner_ssn text);
INSERT INTO guarded VALUES (1, '078-05-4801', 'a'), (2, '219-09-2210', 'b');
SECURITY LABEL FOR warden ON COLUMN guarded.ssn IS 'ssn';
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON guarded USING (ssn LIKE '078%');
CREATE TABLE listed (id int);
INSERT INTO listed VALUES (1), (2);
ALTER TABLE listed ENABLE ROW LEVEL SECURITY;
CREATE POLICY listed ON listed USING (id IN (SELECT id FROM old_sql_set()
    WHERE ssn LIKE '%-05-4801' OR ssn LIKE '***-**-22%'));
CREATE TABLE dictionary (word text);
INSERT INTO dictionary VALUES ('078-05-4801'), ('***-**-4801');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_bypass TO regress_bypass_agent;
GRANT UPDATE, DELETE ON people TO regress_bypass_agent;
SECURITY LABEL FOR warden ON ROLE regress_bypass_agent IS 'agent';

\c - regress_bypass_agent
SET search_path = regress_bypass;
\set SHOW_CONTEXT always

--
-- must fail
--

-- derived copies that hold raw values
SELECT * FROM copied;
SELECT count(*) FROM copied WHERE ssn LIKE '078%';
COPY (SELECT ssn FROM copied) TO STDOUT;
-- from 18 on core copies materialized views itself
SELECT CASE WHEN :SERVER_VERSION_NUM < 180000 THEN '(TABLE copied)'
    ELSE 'copied' END AS copied \gset
COPY :copied TO STDOUT;
-- locking, and functions that would show other sessions or files
SELECT ssn FROM people WHERE ssn LIKE '078%' FOR UPDATE SKIP LOCKED;
SELECT pg_read_file('PG_VERSION');
SELECT lo_create(0);
-- the mask functions are no oracle
SELECT word, warden.apply_mask(word, 'ssn') FROM dictionary;
-- errors that would quote the value
SELECT ssn::int FROM people WHERE id = 1;
SELECT (ssn || 'x')::numeric FROM people WHERE id = 2;
SELECT email::inet FROM people WHERE id = 1;
SELECT to_pair(ssn)::text::int FROM people WHERE id = 1;
SELECT json_object_agg(NULLIF(ssn, '***-**-4801'), 1) FROM people WHERE id = 1;
-- a statement that would leave a value behind in the session or the server
SELECT ssn INTO TEMP TABLE kept FROM people;
SELECT set_config('application_name', ssn, false) FROM people;
SELECT pg_notify('channel', ssn) FROM people;
SELECT setval('missing', pin) FROM people;

--
-- must be masked: names and rows
--
SELECT warden.apply_mask('078-05-4801'::text, NULL);
SELECT doc->'k'->0, tags[1]::int, 1 / (pin - 7701) FROM people WHERE id = 1;
SELECT ssn, email, pin, secret, both_names, tags, doc, derived FROM people
 ORDER BY id;
SELECT * FROM people WHERE id = 1;
TABLE people ORDER BY id LIMIT 1;
SELECT p FROM people p WHERE id = 1;
SELECT p.*, (p).ssn, (p.both_names).a FROM people p WHERE id = 1;
SELECT people::text, row_to_json(people), to_jsonb(people) - 'id' FROM people
 WHERE id = 1;
SELECT format('%s %s', p, p.email), concat(p.*) FROM people p WHERE id = 1;
SELECT z FROM people AS k(a, z) WHERE a = 1;
SELECT j FROM (people a JOIN tree b ON a.id = b.id) j ORDER BY 1 LIMIT 1;
SELECT ssn FROM people a JOIN tree b USING (id, ssn) WHERE id = 1;
SELECT ssn FROM people NATURAL JOIN tree ORDER BY id;
SELECT ctid, xmin IS NOT NULL AS x, tableoid::regclass, ssn FROM people
 WHERE id = 1;
SELECT ROW(p.*) = ROW(p.*), (p.ssn, p.id) < ('1', 0) FROM people p
 WHERE id = 1;
SELECT of_row(p), p.of_row, json_agg(p.ssn) OVER () FROM people p WHERE id = 1;
SELECT (SELECT x.c FROM (SELECT q.c FROM (SELECT p AS c) q) x) FROM people p
 WHERE id = 1;
SELECT jsonb_populate_record(NULL::people, to_jsonb(p)) FROM people p
 WHERE id = 1;

--
-- subqueries and conditions
--
WITH c AS (SELECT * FROM people) SELECT ssn FROM c ORDER BY id;
WITH c AS MATERIALIZED (SELECT * FROM people) SELECT ssn FROM c
 WHERE ssn LIKE '078%' OR id = 1;
WITH RECURSIVE r AS (SELECT id, ssn FROM people WHERE id = 1
    UNION ALL SELECT p.id, p.ssn FROM people p JOIN r ON p.id = r.id + 1)
SELECT ssn FROM r ORDER BY id;
SELECT (SELECT ssn FROM people WHERE id = 1), ARRAY(SELECT email FROM people
    ORDER BY id);
SELECT l.s FROM people p, LATERAL (SELECT p.ssn AS s) l ORDER BY p.id;
SELECT count(*) FROM dictionary d WHERE EXISTS
    (SELECT FROM people p WHERE p.ssn = d.word);
SELECT word FROM dictionary WHERE word IN (SELECT ssn FROM people);
SELECT word FROM dictionary JOIN people ON ssn = word;
SELECT count(*) FROM people WHERE ssn LIKE '078%' OR ssn ~ '^219'
    OR ssn BETWEEN SYMMETRIC '3' AND '0' OR pin = 7701 OR email > 'al';
SELECT id FROM people ORDER BY ssn DESC, id;
SELECT id FROM people ORDER BY pin DESC, id DESC LIMIT 1;
SELECT id FROM people ORDER BY id LIMIT (SELECT ascii(ssn) - 41 FROM people
    WHERE id = 1);
SELECT count(*) FROM generate_series(1, (SELECT coalesce(max(pin), 1)
    FROM people));
SELECT DISTINCT ON (pin) id FROM people ORDER BY pin, id;
SELECT left(ssn, 3), count(*) FROM people GROUP BY 1;
SELECT ssn, grouping(ssn) FROM people GROUP BY ROLLUP (ssn) ORDER BY 1;
SELECT min(ssn), max(pin), count(DISTINCT secret), glue(ssn ORDER BY id),
    xmlagg(xmlelement(name x, ssn) ORDER BY id) FROM people;
SELECT first_value(ssn) OVER w, ntile(2) OVER (ORDER BY ssn, id) FROM people
WINDOW w AS (ORDER BY ssn) ORDER BY id;
SELECT ssn FROM people EXCEPT SELECT word FROM dictionary;
VALUES ((SELECT ssn FROM people WHERE id = 1)), ((SELECT email FROM people
    WHERE id = 2));
SELECT ssn FROM people TABLESAMPLE BERNOULLI (100) REPEATABLE (1)
 ORDER BY id;
SELECT s FROM unnest((SELECT array_agg(ssn ORDER BY id) FROM people)) s;
SELECT x.* FROM people p, xmltable('/r' PASSING xmlelement(name r, p.ssn)
    COLUMNS v text PATH '.') x ORDER BY p.id;
SELECT a.ssn FROM people a FULL JOIN people b ON a.ssn = b.ssn
 WHERE a.id = 1;
SELECT ssn FROM people ORDER BY ssn FETCH FIRST 1 ROW WITH TIES;

--
-- views
--
SELECT ssn, email, derived FROM plain_view ORDER BY id;
SELECT * FROM view_of_view ORDER BY id;
SELECT id, ssn FROM barrier_view;
SELECT id, ssn FROM barrier_view WHERE noisy(ssn);
SELECT id, ssn FROM invoker_view ORDER BY id;
SELECT * FROM aggregating_view;
SELECT * FROM copied_labelled ORDER BY id;
SELECT plain_view FROM plain_view WHERE id = 1;

--
-- functions, operators, blocks
--
SELECT old_sql(), atomic_sql();
SELECT ssn, email FROM old_sql_set() ORDER BY id;
SELECT old_sql_set() LIMIT 1;
SELECT * FROM atomic_set() ORDER BY i;
SELECT * FROM atomic_set() a, LATERAL old_sql_set() b WHERE a.i = 1 AND b.id = 1;
SELECT volatile_set();
SELECT pl();
SELECT pl_dynamic('SELECT ssn FROM regress_bypass.people WHERE id = 1');
SELECT * FROM pl_definer();
SELECT ssn FROM sql_definer();
SELECT noisy(ssn) FROM people WHERE id = 1;
SELECT count(*) FROM people WHERE noisy(email) AND id = 2;
SELECT count(*) FROM people WHERE ssn === '078-05-4801';
SELECT ssn::pair, (email::pair).a FROM people WHERE id = 1;
CALL show_all();
DO $$ BEGIN RAISE WARNING '%', (SELECT p FROM people p WHERE id = 1); END $$;
SELECT query_to_xml('SELECT ssn FROM regress_bypass.people WHERE id = 1',
    false, true, '');
SELECT table_to_xml('regress_bypass.tree_1', false, true, '');
SELECT * FROM ts_stat('SELECT to_tsvector(''simple'', ssn)
    FROM regress_bypass.people') ORDER BY word;

--
-- cursors, prepared statements, COPY, EXPLAIN
--
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT ssn FROM people ORDER BY id;
FETCH 1 FROM c;
FETCH LAST FROM c;
MOVE ABSOLUTE 0 IN c;
FETCH ALL FROM c;
DECLARE h CURSOR WITH HOLD FOR SELECT email FROM people ORDER BY id;
COMMIT;
FETCH ALL FROM h;
CLOSE h;
PREPARE one(int) AS SELECT ssn FROM people WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE one(1);
SET plan_cache_mode = force_custom_plan;
EXECUTE one(1);
RESET plan_cache_mode;
PREPARE two(text) AS SELECT count(*) FROM people WHERE ssn = $1;
EXECUTE two('078-05-4801');
COPY (SELECT ssn, people FROM people WHERE id = 1) TO STDOUT;
COPY people (ssn, email) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY people TO STDOUT;
COPY tree_1 TO STDOUT;
COPY derived TO STDOUT;
EXPLAIN (COSTS OFF, VERBOSE) SELECT ssn FROM people
 WHERE id = 1 AND ssn = '078-05-4801';
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE $_$
        EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF)
        SELECT id FROM people WHERE ssn LIKE '078%' $_$
    LOOP
        RAISE INFO '%', replace(line, '.00', '');
    END LOOP;
END $$;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT ssn FROM people ORDER BY ssn;
SELECT ssn FROM people WHERE ssn >= '0' AND ssn < '1';
SELECT lower(email) FROM people WHERE lower(email) = 'alice@example.com';
SELECT max(ssn), min(ssn) FROM people;
RESET enable_seqscan;
SET parallel_setup_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_tuple_cost = 0;
SELECT ssn, count(*) FROM people GROUP BY ssn ORDER BY 1;
RESET parallel_setup_cost;
RESET min_parallel_table_scan_size;
RESET parallel_tuple_cost;

--
-- writes that return, and what they are told
--
\set VERBOSITY sqlstate
UPDATE people SET id = id WHERE id = 1 RETURNING ssn;
DELETE FROM people WHERE ssn = '078-05-4801' RETURNING *;
INSERT INTO dictionary SELECT ssn FROM people RETURNING word;
WITH d AS (DELETE FROM people RETURNING *) SELECT ssn FROM d;
INSERT INTO people (id) VALUES (1) ON CONFLICT (id) DO UPDATE
    SET email = people.ssn RETURNING email;
EXPLAIN (COSTS OFF) UPDATE people SET id = id WHERE ssn = '078-05-4801'
    RETURNING ssn;
EXPLAIN (ANALYZE, COSTS OFF) DELETE FROM people RETURNING ssn;
\set VERBOSITY default

--
-- trees, row security, statistics
--
SELECT tableoid::regclass, ssn FROM tree ORDER BY id;
SELECT ssn FROM tree_1 UNION ALL SELECT ssn FROM tree_rest ORDER BY 1;
SELECT tableoid::regclass, ssn FROM base ORDER BY id;
SELECT ssn FROM ONLY base;
SELECT ssn FROM derived;
SELECT id, ssn FROM guarded;
-- what a policy's function reads is masked, inlined or not
SELECT id FROM listed;
SELECT attname, most_common_vals, histogram_bounds FROM pg_stats
 WHERE schemaname = 'regress_bypass' AND attname <> 'id'
   AND tablename <> 'dictionary';
SELECT count(*) FROM pg_statistic;  -- privilege is core's matter
SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'regress_bypass';
SELECT count(*) FROM pg_stats_ext_exprs
 WHERE schemaname = 'regress_bypass';
SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%078%'
   AND pid <> pg_backend_pid();

--
-- statements made under another identity
--
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_bypass;
PREPARE reading AS SELECT ssn FROM people ORDER BY id;
EXECUTE reading;
SELECT old_sql(), atomic_sql(), pl();
SELECT * FROM pl_definer();
BEGIN;
DECLARE raw CURSOR FOR SELECT ssn FROM people ORDER BY id;
FETCH 1 FROM raw;
SET LOCAL ROLE regress_bypass_agent;
SAVEPOINT s;
FETCH ALL FROM raw;
ROLLBACK TO s;
EXECUTE reading;
SELECT old_sql(), atomic_sql(), pl();
SELECT * FROM pl_definer();
COMMIT;
DECLARE held CURSOR WITH HOLD FOR SELECT ssn FROM people ORDER BY id;
SET ROLE regress_bypass_agent;
FETCH ALL FROM held;
EXECUTE reading;
RESET ROLE;
EXECUTE reading;
-- the other way round nothing is lost either
SET ROLE regress_bypass_agent;
PREPARE masked AS SELECT ssn FROM people ORDER BY id;
EXECUTE masked;
RESET ROLE;
EXECUTE masked;
-- nor by a function that changes roles on the way
CREATE FUNCTION raise_up() RETURNS text LANGUAGE sql
    SET role = :"superuser" AS 'SELECT ssn FROM regress_bypass.people LIMIT 1';
GRANT EXECUTE ON FUNCTION raise_up() TO regress_bypass_agent;
SET ROLE regress_bypass_agent;
SELECT raise_up();
RESET ROLE;

\set VERBOSITY terse
CLOSE held;
DROP SCHEMA regress_bypass CASCADE;
DROP ROLE regress_bypass_agent;
