-- A change means at its apply what it meant when it was proposed, whatever the
-- settings of the agent were and those of whoever decides.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_c_bot LOGIN;
CREATE ROLE regress_c_writer;
CREATE ROLE regress_c_ann LOGIN IN ROLE warden_reviewer, regress_c_writer;
CREATE ROLE regress_c_bob LOGIN IN ROLE warden_reviewer, regress_c_writer;
CREATE SCHEMA regress_c AUTHORIZATION regress_c_writer;
CREATE SCHEMA regress_c_other;
CREATE TABLE regress_c_other.t (id int);
GRANT USAGE ON SCHEMA regress_c, regress_c_other TO PUBLIC;
SET ROLE regress_c_writer;
CREATE TABLE regress_c.t (id int PRIMARY KEY, n text, at timestamptz, f float8, i interval);
INSERT INTO regress_c.t VALUES
	(1, 'a', '2026-08-01 12:00+00', 0.1::float8 + 0.7::float8, '-1 day 2 hours'),
	(2, 'b', '2026-08-01 12:00+00', 1, NULL);
GRANT SELECT ON regress_c.t TO regress_c_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_c_bot IS 'agent';
SELECT FROM warden.create_agent('context bot', 'regress_c_bot', 'regress_c_writer');
SELECT FROM warden.add_person('c ann', 'regress_c_ann');
SELECT FROM warden.add_person('c bob', 'regress_c_bob');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2461;

--
-- Values: IST is Irish time in Dublin, and read as that of Israel; and a
-- number has more digits than these settings show
--
\c - regress_c_bot
SET TimeZone = 'Europe/Dublin';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -3;
PREPARE set_all(timestamptz, float8, interval) AS
	UPDATE regress_c.t SET at = $1, f = $2, i = $3 WHERE id = 1;
EXECUTE set_all('2026-07-01 12:00:00+01', 0.1::float8 + 0.2::float8, '-1 day 2 hours');
\c - regress_c_ann
SELECT jsonb_path_query_array(parameters, '$[*].value') FROM warden.change_statements WHERE change_id = 2461;
SELECT warden.approve(2461, NULL);
CALL warden.apply(2461);
SELECT warden.revert(2461);
\c - :superuser
SET TimeZone = 'UTC';
SELECT * FROM regress_c.t WHERE id = 1;
-- what the revert is held to, and what it restores
UPDATE regress_c.t SET f = 0.3 WHERE id = 1;
\c - regress_c_bob
SELECT warden.approve(2462, NULL);
CALL warden.apply(2462);
\c - :superuser
UPDATE regress_c.t SET f = 0.1::float8 + 0.2::float8 WHERE id = 1;
\c - regress_c_bob
CALL warden.apply(2462);
\c - :superuser
SET TimeZone = 'UTC';
SELECT * FROM regress_c.t WHERE id = 1;

--
-- A type of a parameter that the statement does not name
--
\c - :superuser
SET client_min_messages = error;
CREATE TYPE regress_c.mood AS ENUM ('good', 'bad');
CREATE TYPE regress_c.gone AS ENUM ('good', 'bad');
\c - regress_c_bot
PREPARE mood(regress_c.mood) AS UPDATE regress_c.t SET n = $1::text WHERE id = 2;
EXECUTE mood('good');
PREPARE gone(regress_c.gone) AS UPDATE regress_c.t SET n = $1::text WHERE id = 2;
EXECUTE gone('good');
\c - :superuser
ALTER TYPE regress_c.mood RENAME VALUE 'bad' TO 'worse';
DROP TYPE regress_c.gone;
\c - regress_c_ann
\set VERBOSITY default
SELECT warden.approve(2463, NULL);
SELECT warden.approve(2464, NULL);
SELECT method, detail FROM warden.preview(2464);
\set VERBOSITY terse

--
-- Quotes and names: the reviewer's own settings read them otherwise
--
\c - :superuser
ALTER ROLE regress_c_bot SET escape_string_warning = off;
\c - regress_c_bot
SET search_path = regress_c;
SET standard_conforming_strings = off;
UPDATE t SET n = E'it\'s' || 'it\'s' WHERE id = 2;
CREATE INDEX CONCURRENTLY c_index ON t (n) WHERE n <> 'it\'s';
UPDATE t SET n = E'it\'s' WHERE id = 2;
\c - regress_c_ann
SET search_path = regress_c_other;
SELECT id, level, message FROM generate_series(2465, 2467) id, warden.review(id) WHERE rule = 'text.backslash' ORDER BY id;
SELECT warden.approve(2465, NULL), warden.approve(2466, NULL);
CALL warden.apply(2465);
CALL warden.apply(2466);
SELECT n FROM regress_c.t WHERE id = 2;
SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'regress_c.c_index'::regclass;
SHOW search_path;
SHOW standard_conforming_strings;

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_c, regress_c_other CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_c_bot IS NULL;
DELETE FROM warden.people WHERE person LIKE 'c %';
DELETE FROM warden.agents WHERE agent = 'context bot';
DROP ROLE regress_c_bot, regress_c_writer, regress_c_ann, regress_c_bob;
