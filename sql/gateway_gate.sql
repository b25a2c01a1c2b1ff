-- A gateway's login before it badges in: values and enter(), nothing else.
SET client_min_messages = warning;
\set owner :USER
CREATE ROLE regress_gate LOGIN NOINHERIT;
GRANT warden_gateway TO regress_gate;
\c - regress_gate
-- refused
SELECT current_user;
SELECT version();
TABLE pg_class;
SELECT 1 LIMIT length(set_config('application_name', 'evil', false));
SELECT 1 OFFSET length(set_config('application_name', 'evil', false));
SELECT 1 HAVING pg_notify('warden_changes', 'forged') IS NOT NULL;
SELECT 1 WHERE pg_sleep(0) IS NOT NULL;
SELECT 1 ORDER BY pg_sleep(0)::text;
SELECT DISTINCT 1;
SELECT 1 GROUP BY 1;
SELECT generate_series(1, 2);
SELECT (SELECT 1);
SELECT 1 UNION SELECT 2;
WITH x AS (SELECT 1) SELECT 1;
VALUES (pg_sleep(0));
SELECT ARRAY[1];
SELECT warden.leave(pg_sleep(0)::text);
SELECT warden.leave((SELECT 'k'));
SELECT warden.whoami();
SELECT warden.propose('SELECT 1', 't', 'r');
DO $$BEGIN NULL; END$$;
SET search_path = public;
SET ROLE regress_gate;
RESET ROLE;
SET SESSION AUTHORIZATION DEFAULT;
CREATE TEMP TABLE t (a int);
PREPARE p AS SELECT 1;
DECLARE c CURSOR FOR SELECT 1;
EXPLAIN SELECT 1;
COPY (SELECT 1) TO STDOUT;
LISTEN other;
NOTIFY warden_changes;
LOCK pg_class;
INSERT INTO pg_class DEFAULT VALUES;
PREPARE TRANSACTION 'x';
-- runs
SELECT 1;
SELECT 'a' AS a, NULL, 2.5;
SET application_name = 'pooler';
SET client_encoding = 'UTF8';
SHOW application_name;
RESET application_name;
BEGIN;
SAVEPOINT a;
ROLLBACK TO a;
COMMIT;
LISTEN warden_changes;
UNLISTEN *;
DISCARD ALL;
\c - :owner
DROP ROLE regress_gate;
