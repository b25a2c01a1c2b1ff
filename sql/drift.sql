-- What counts as a change of what a statement reaches, though it names neither:
-- casts between its types, and event triggers.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE SCHEMA regress_d AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_d TO regress_bot, regress_ann;
SET ROLE regress_writer;
CREATE TYPE regress_d.level AS ENUM ('low', 'high');
CREATE TYPE regress_d.other AS ENUM ('x');
CREATE TABLE regress_d.t (id int PRIMARY KEY, l regress_d.level, n int);
CREATE FUNCTION regress_d.to_level(int) RETURNS regress_d.level LANGUAGE sql AS $$SELECT 'low'::regress_d.level$$;
CREATE FUNCTION regress_d.to_other(int) RETURNS regress_d.other LANGUAGE sql AS $$SELECT 'x'::regress_d.other$$;
GRANT SELECT ON regress_d.t TO regress_bot;
RESET ROLE;
CREATE CAST (int AS regress_d.level) WITH FUNCTION regress_d.to_level(int) AS ASSIGNMENT;
CREATE FUNCTION public.regress_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('drift bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('ann', 'regress_ann');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2701;

\c - regress_bot
SELECT warden.propose('INSERT INTO regress_d.t (id, l) VALUES (' || i || ', 1)', 'cast', NULL) FROM generate_series(1, 2) i;
SELECT warden.propose('ALTER TABLE regress_d.t ADD c' || i || ' int', 'event', NULL) FROM generate_series(1, 2) i;

-- unrelated: types that the statement does not reach
\c - :superuser
CREATE CAST (int AS regress_d.other) WITH FUNCTION regress_d.to_other(int) AS ASSIGNMENT;
\c - regress_ann
SELECT warden.approve(2701, NULL), warden.approve(2702, NULL), warden.approve(2703, NULL);
CALL warden.apply(2701);

-- the function of a cast that is used without being named
\c - :superuser
CREATE OR REPLACE FUNCTION regress_d.to_level(int) RETURNS regress_d.level LANGUAGE sql AS $$SELECT 'high'::regress_d.level$$;
\c - regress_ann
\set VERBOSITY default
CALL warden.apply(2702);
\set VERBOSITY terse
-- the cast itself
\c - regress_bot
SELECT warden.propose('INSERT INTO regress_d.t (id, l) VALUES (9, 1)', 'cast', NULL);
\c - :superuser
CREATE CAST (regress_d.level AS int) WITH INOUT AS IMPLICIT;
\c - regress_ann
SELECT warden.approve(2705, NULL);
-- an event trigger: DDL, and not DML
\c - regress_bot
SELECT warden.propose('INSERT INTO regress_d.t (id) VALUES (10)', 'no DDL', NULL);
SELECT warden.propose('ALTER TABLE regress_d.t ADD d int', 'DDL', NULL);
\c - :superuser
CREATE EVENT TRIGGER regress_event ON ddl_command_end EXECUTE FUNCTION public.regress_event();
\c - regress_ann
SELECT warden.approve(2706, NULL);
SELECT warden.approve(2707, NULL);
\c - :superuser
DROP EVENT TRIGGER regress_event;
SELECT id, status FROM warden.pending_changes WHERE id BETWEEN 2701 AND 2707 ORDER BY id;
SELECT id, l FROM regress_d.t ORDER BY id;

-- the function within a function, however the statement hides its name; and
-- what of a trigger can be replaced without making another one
SET ROLE regress_writer;
CREATE FUNCTION regress_d.inner(i int) RETURNS int LANGUAGE sql AS 'SELECT i';
CREATE FUNCTION regress_d.outer(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN regress_d.inner(i); END';
CREATE FUNCTION regress_d.argument() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := TG_ARGV[0]; RETURN NEW; END';
CREATE TABLE regress_d.u (id int, n int);
CREATE TRIGGER replaced BEFORE INSERT ON regress_d.u FOR EACH ROW EXECUTE FUNCTION regress_d.argument('1');
GRANT SELECT ON regress_d.u TO regress_bot;
\c - regress_bot
SELECT warden.propose(sql, sql, NULL) FROM (VALUES
	(1, $q$DELETE FROM regress_d.t /* ' */ WHERE n = regress_d.outer(1) /* ' */$q$),
	(2, $q$DELETE FROM regress_d.t WHERE n = regress_d . outer(1)$q$),
	(3, $q$DELETE FROM regress_d.t WHERE l::text = $$'$$ AND n = regress_d.outer(1) AND l::text = $$'$$$q$),
	(4, $q$DO $d$BEGIN DELETE FROM regress_d.t WHERE n = regress_d -- ' "
		. outer(1); END$d$$q$),
	(5, $q$DO E'BEGIN DELETE FROM regress_d.t WHERE n = regress_d.\x6futer(1); END'$q$),
	(6, $q$DELETE FROM regress_d.t WHERE l::text = 'regress_d.outer'$q$)) s (i, sql) ORDER BY i;
SELECT warden.propose('DELETE FROM regress_d.t WHERE n = regress_d.U&"\006futer"(1)', 'escaped', NULL);
SELECT warden.propose('INSERT INTO regress_d.u (id) VALUES (1)', 'trigger', NULL);
\c - regress_ann
\o /dev/null
SELECT warden.approve(id, NULL) FROM warden.pending_changes WHERE id BETWEEN 2708 AND 2714;
\o
\c - :superuser
CREATE OR REPLACE FUNCTION regress_d.inner(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 1';
CREATE OR REPLACE TRIGGER replaced BEFORE INSERT ON regress_d.u FOR EACH ROW EXECUTE FUNCTION regress_d.argument('2');
\c - regress_ann
SELECT format('CALL warden.apply(%s)', id) FROM warden.pending_changes WHERE id BETWEEN 2708 AND 2714 AND status = 'approved' ORDER BY id
\gexec
\c - :superuser
SELECT id, status, title FROM warden.pending_changes WHERE id BETWEEN 2708 AND 2714 ORDER BY id;
\set VERBOSITY default
SELECT warden.break_glass(2711, 'two approvals');
SELECT warden.break_glass(2712, 'two approvals');
\set VERBOSITY terse

SET client_min_messages = error;
DROP SCHEMA regress_d CASCADE;
DROP FUNCTION public.regress_event();
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person = 'ann';
DELETE FROM warden.agents WHERE agent = 'drift bot';
DROP ROLE regress_bot, regress_writer, regress_ann;
