-- Which functions an agent's statement may execute, however it reaches them.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_func_agent LOGIN;
CREATE ROLE regress_func_warden LOGIN IN ROLE warden_admin;
CREATE SCHEMA regress_func;
GRANT USAGE ON SCHEMA regress_func TO regress_func_agent;
SET search_path = regress_func;
CREATE TABLE t (id int, a text);
INSERT INTO t VALUES (1, 'x');
CREATE SEQUENCE s;
GRANT SELECT ON t TO regress_func_agent;
GRANT ALL ON s TO regress_func_agent;

-- The gate's verdict of each built-in function of a volatility: what it does
-- when a statement that calls it is planned.
CREATE FUNCTION verdicts(volatility "char")
RETURNS TABLE (function text, verdict text) LANGUAGE plpgsql AS $$
DECLARE
    f record;
    plan text;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure::text AS name,
               format('EXPLAIN SELECT pg_catalog.%I(%s)', p.proname,
                   (SELECT string_agg(format('%sNULL::%s',
                        CASE WHEN p.provariadic <> 0
                              AND p.provariadic <> '"any"'::regtype
                              AND n = p.pronargs THEN 'VARIADIC ' ELSE '' END,
                        CASE a.typname WHEN 'anyelement' THEN 'text'
                            WHEN 'anycompatible' THEN 'text'
                            WHEN 'anynonarray' THEN 'text'
                            WHEN 'anycompatiblenonarray' THEN 'text'
                            WHEN 'anyarray' THEN 'text[]'
                            WHEN 'anycompatiblearray' THEN 'text[]'
                            WHEN 'anyrange' THEN 'int4range'
                            WHEN 'anymultirange' THEN 'int4multirange'
                            WHEN 'anycompatiblerange' THEN 'int4range'
                            WHEN 'anycompatiblemultirange' THEN 'int4multirange'
                            WHEN 'any' THEN 'text'
                            ELSE format_type(a.oid, NULL) END), ', '
                        ORDER BY n)
                      FROM unnest(p.proargtypes) WITH ORDINALITY u (type, n)
                      JOIN pg_type a ON a.oid = u.type)) AS query
          FROM pg_proc p
         WHERE p.oid < 10000 AND p.prokind = 'f'
           AND p.pronamespace = 'pg_catalog'::regnamespace
           AND p.provolatile = volatility
           AND p.prolang = (SELECT l.oid FROM pg_language l
                             WHERE l.lanname = 'internal')
           AND NOT EXISTS (SELECT FROM pg_type x
                WHERE x.oid = ANY (p.proargtypes || p.prorettype)
                  AND x.typtype = 'p'
                  AND x.typname IN ('internal', 'trigger', 'event_trigger',
                        'language_handler', 'index_am_handler',
                        'table_am_handler', 'tsm_handler', 'fdw_handler',
                        'anyenum', 'pg_ddl_command'))
         ORDER BY 1
    LOOP
        function := f.name;
        BEGIN
            EXECUTE f.query INTO plan;
            verdict := 'allowed';
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN 'WD002' THEN 'refused'
                WHEN '42501' THEN 'no privilege' ELSE SQLSTATE END;
        END;
        RETURN NEXT;
    END LOOP;
END $$;

-- ways to reach one: each of these calls nextval() or pg_notify() somewhere
CREATE FUNCTION next_sql() RETURNS bigint LANGUAGE sql
    AS $$ SELECT nextval('regress_func.s') $$;
CREATE FUNCTION next_atomic() RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT nextval('s'); END;
CREATE FUNCTION next_pl() RETURNS bigint LANGUAGE plpgsql
    AS $$ BEGIN RETURN nextval('regress_func.s'); END $$;
CREATE FUNCTION next_dynamic(f text) RETURNS text LANGUAGE plpgsql
    AS $$ DECLARE r text; BEGIN EXECUTE 'SELECT ' || f INTO r; RETURN r; END $$;
CREATE FUNCTION next_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog AS $$ SELECT nextval('regress_func.s') $$;
CREATE FUNCTION next_default(x bigint DEFAULT nextval('s')) RETURNS bigint
    LANGUAGE sql AS 'SELECT x';
CREATE PROCEDURE next_procedure() LANGUAGE sql
    AS $$ SELECT nextval('regress_func.s') $$;
CREATE VIEW next_view AS SELECT nextval('s') AS n;
CREATE FUNCTION alias_of_next(regclass) RETURNS bigint LANGUAGE internal
    AS 'nextval_oid';
CREATE FUNCTION alias_immutable(text) RETURNS text LANGUAGE internal IMMUTABLE
    AS 'pg_read_file_all';
CREATE FUNCTION step(bigint, regclass) RETURNS bigint LANGUAGE sql
    AS 'SELECT nextval($2)';
CREATE AGGREGATE next_steps (regclass) (SFUNC = step, STYPE = int8);
CREATE OPERATOR @+@ (FUNCTION = nextval, RIGHTARG = regclass);
CREATE TYPE wrapped AS (x regclass);
CREATE FUNCTION to_wrapped(regclass) RETURNS wrapped LANGUAGE sql
    AS $$ SELECT ROW(nextval($1)::int::regclass)::regress_func.wrapped $$;
CREATE CAST (regclass AS wrapped) WITH FUNCTION to_wrapped(regclass);
CREATE DOMAIN noticing AS text
    CHECK (VALUE IS NOT NULL AND next_pl() IS NOT NULL);
CREATE TABLE secured (id int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY advancing ON secured USING (nextval('s') > 0);
INSERT INTO secured VALUES (1);
GRANT SELECT ON next_view, secured TO regress_func_agent;
SECURITY LABEL FOR warden ON ROLE regress_func_agent IS 'agent';

--
-- must fail
--
\c - regress_func_agent
SET search_path = regress_func;
\set VERBOSITY sqlstate

-- sequences, notifications, settings, locks, large objects
SELECT nextval('s');
SELECT setval('s', 1);
SELECT currval('s');
SELECT lastval();
SELECT pg_notify('warden_changes', '');
SELECT set_config('role', 'none', false);
SELECT set_config('search_path', 'public', false);
SELECT pg_advisory_lock(1);
SELECT pg_try_advisory_xact_lock(1);
SELECT lo_create(0);
SELECT lo_from_bytea(0, 'x');
SELECT lo_get(0);
-- the server's files, processes and log
SELECT pg_read_file('PG_VERSION');
SELECT pg_ls_dir('.');
SELECT pg_stat_file('PG_VERSION');
SELECT pg_terminate_backend(pg_backend_pid());
SELECT pg_cancel_backend(0);
SELECT pg_reload_conf();
SELECT pg_export_snapshot();
SELECT pg_logical_emit_message(false, 'x', 'x');
SELECT pg_create_restore_point('x');
SELECT pg_stat_reset();
-- what other sessions do
SELECT pg_stat_get_backend_activity(1);
SELECT pg_stat_get_backend_idset();
SELECT pg_lock_status();
SELECT * FROM ROWS FROM (pg_lock_status(), generate_series(1, 2)) AS x;
SELECT pg_prepared_xact();

-- in any part of a statement
SELECT id FROM t WHERE nextval('s') > 0;
SELECT id FROM t ORDER BY nextval('s');
SELECT count(*) FROM t GROUP BY nextval('s');
SELECT id FROM t LIMIT nextval('s');
SELECT (SELECT nextval('s'));
SELECT CASE WHEN false THEN nextval('s') END;
WITH w AS (SELECT nextval('s')) SELECT 1;
SELECT * FROM nextval('s');
VALUES (nextval('s'));
SELECT max(nextval('s')) FILTER (WHERE pg_notify('x', '') IS NULL) FROM t;
SELECT rank() OVER (ORDER BY nextval('s')) FROM t;
SELECT * FROM t TABLESAMPLE BERNOULLI (nextval('s'));
EXPLAIN SELECT nextval('s');
COPY (SELECT nextval('s')) TO STDOUT;
PREPARE p AS SELECT nextval('s');
EXECUTE p;
DO $$ BEGIN PERFORM nextval('s'); END $$;
CALL next_procedure();
DECLARE c CURSOR WITH HOLD FOR SELECT nextval('s');

-- by way of what others have made
SELECT next_sql();
SELECT next_atomic();
SELECT next_pl();
SELECT next_dynamic('nextval(''s'')');
SELECT next_definer();
SELECT next_default();
SELECT * FROM next_view;
SELECT alias_of_next('s');
SELECT alias_immutable('PG_VERSION');
SELECT next_steps('s') FROM t;
SELECT @+@ 's'::regclass;
SELECT 's'::regclass::wrapped;
SELECT 'x'::noticing;
SELECT NULL::noticing;
SELECT id FROM secured;
SELECT query_to_xml('SELECT nextval(''s'')', false, false, '');
SELECT ts_stat('SELECT to_tsvector(nextval(''s'')::text)');

-- in schema warden there is nothing for it, or nearly
SELECT warden.create_agent('x', 'regress_func_agent');
SELECT warden.set_mask('ssn', 'clear');
SELECT warden.grant_exemption('regress_func_agent', 'ssn', 'infinity', 'x');
SELECT warden.label_role('regress_func_agent', NULL);
SELECT warden.allow_function('nextval(regclass)');
SELECT warden.approve(1, 'x');
SELECT warden.flush_audit();
SELECT warden.generate_mask_key();

-- and no call has got through
\c - :superuser
SET client_min_messages = warning;
SELECT is_called FROM regress_func.s;

--
-- must work
--
\c - regress_func_agent
SET search_path = regress_func;
SELECT random() < 1, clock_timestamp() > '2000-01-01',
       gen_random_uuid() IS NOT NULL, pg_sleep(0)::text = '';
SELECT pg_relation_size('t') > 0, pg_total_relation_size('t') > 0,
       pg_table_size('t') > 0, pg_size_pretty(0::bigint);
SELECT count(*), max(a), string_agg(a, ','), array_agg(id) FROM t;
SELECT generate_series(1, 2), unnest('{a,b}'::text[]);
SELECT query_to_xml('SELECT 1 AS one', false, true, '')::text LIKE '%<one>1%';
SELECT current_setting('search_path'), pg_get_viewdef('next_view'::regclass);
SELECT next_dynamic('upper(''x'')');
SELECT next_default(1);
SELECT has_table_privilege('t', 'SELECT'), pg_has_role('regress_func_agent', 'USAGE'),
       to_regclass('t'), obj_description('t'::regclass);
SELECT (warden.whoami() ->> 'class');

-- Built-in functions by class: volatile ones that are allowed, the others
-- that are refused.
SELECT function FROM verdicts('v') WHERE verdict = 'allowed'
   AND function !~ '^uuidv[47]' -- 18's
 ORDER BY function COLLATE "C";
SELECT function FROM verdicts('s') WHERE verdict = 'refused'
 ORDER BY function COLLATE "C";
SELECT function FROM verdicts('i') WHERE verdict = 'refused'
 ORDER BY function COLLATE "C";
SELECT v, verdict, count(*) > 0 AS some
  FROM (VALUES ('v'), ('s'), ('i')) x (v), verdicts(v::"char")
 WHERE verdict IN ('allowed', 'refused')
 GROUP BY v, verdict ORDER BY 1, 2;

-- warden_admin may let one through, and take it back
\c - regress_func_warden
SELECT warden.allow_function('pg_catalog.nextval(regclass)');
SELECT * FROM warden.allowed_functions;
\c - regress_func_agent
SELECT nextval('regress_func.s');
SELECT regress_func.next_pl();
\c - regress_func_warden
SELECT warden.disallow_function('pg_catalog.nextval(regclass)');
\c - regress_func_agent
SELECT nextval('regress_func.s');
SELECT regress_func.next_pl();

-- C functions of extensions: none, but the pure ones of some
\c - :superuser
SET client_min_messages = warning;
CREATE EXTENSION dblink SCHEMA regress_func;
CREATE EXTENSION tablefunc SCHEMA regress_func;
CREATE EXTENSION pg_trgm SCHEMA regress_func;
CREATE EXTENSION hstore SCHEMA regress_func;
CREATE EXTENSION pgcrypto SCHEMA regress_func;
CREATE EXTENSION pageinspect SCHEMA regress_func;
CREATE EXTENSION citext SCHEMA regress_func;
CREATE EXTENSION isn SCHEMA regress_func;
CREATE EXTENSION adminpack;
CREATE TYPE regress_func.span AS RANGE (subtype = float8);
-- such names can stand for any function of the server's
CREATE FUNCTION regress_func.alias_of_sleep(float8) RETURNS void LANGUAGE internal
    IMMUTABLE AS 'pg_sleep';
CREATE FUNCTION regress_func.alias_of_range(float8, float8)
    RETURNS regress_func.span LANGUAGE internal
    IMMUTABLE AS 'range_constructor2';
CREATE EXTENSION file_fdw SCHEMA regress_func;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA regress_func TO regress_func_agent;
GRANT EXECUTE ON FUNCTION pg_file_write(text, text, boolean) TO regress_func_agent;
SECURITY LABEL FOR warden ON COLUMN regress_func.t.a IS 'full';
\c - regress_func_agent
SET search_path = regress_func;
SELECT * FROM dblink('', 'SELECT a FROM regress_func.t') AS r (a text);
SELECT dblink_connect('');
SELECT dblink_get_connections();
SELECT get_raw_page('t', 0);
SELECT heap_page_items('\x00'::bytea);
SELECT pg_file_write('x', 'y', false);
SELECT digest(a, 'md5') FROM t;
SELECT similarity(a, 'x') FROM t;
SELECT hstore(t) FROM t;
SELECT * FROM crosstab('SELECT a, a, a FROM regress_func.t')
    AS r (a text, b text);
-- what extensions name anew, and what comes with a range type
SELECT a::citext LIKE 'X', a::citext ~ 'Y', true::citext FROM t;
-- not isn, whose immutable function leaves something behind
SELECT isn_weak(true);
SELECT span(1, 2), span(1, 2, '[]') && span(2, 3), span_multirange(span(1, 2)),
       multirange(span(3, 4)), span_multirange();
SELECT alias_of_sleep(1);
SELECT alias_of_range(1, 2);

\c - :superuser
SET client_min_messages = warning;
\set VERBOSITY terse
DROP SCHEMA regress_func CASCADE;
DROP EXTENSION adminpack;
DROP ROLE regress_func_agent, regress_func_warden;
