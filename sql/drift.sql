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
CREATE FUNCTION regress_d.inner(i int) RETURNS int LANGUAGE sql STABLE AS 'SELECT i';
CREATE FUNCTION regress_d.outer(i int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN regress_d.inner(i); END';
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

--
-- Types: what their values are made of
--
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE TYPE regress_d.pair AS (a int, b int);
CREATE TYPE regress_d.apart AS (a int, b int);
CREATE DOMAIN regress_d.pairs AS regress_d.pair[];
CREATE FUNCTION regress_d.make() RETURNS regress_d.pair LANGUAGE plpgsql STABLE AS 'BEGIN RETURN NULL; END';
CREATE TABLE regress_d.v (id int, p regress_d.pair);
CREATE TABLE regress_d.w (id int, p regress_d.pairs);
CREATE TYPE regress_d.levels AS RANGE (subtype = regress_d.level);
CREATE TABLE regress_d.x (id int, l regress_d.level);
CREATE TABLE regress_d.y (id int, l regress_d.levels);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_d TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2720;
\c - regress_bot
SELECT warden.propose(sql, sql, NULL) FROM (VALUES
	(1, 'UPDATE regress_d.v SET id = 2 WHERE id = 1'),
	(2, 'UPDATE regress_d.w SET id = 2 WHERE id = 1'),
	(3, 'UPDATE regress_d.u SET n = (ROW(1, 2)::regress_d.pair).a WHERE id = 1'),
	(4, 'INSERT INTO regress_d.u (id, n) SELECT (regress_d.make()).*'),
	(5, 'UPDATE regress_d.x SET id = 2 WHERE id = 1'),
	(6, 'UPDATE regress_d.y SET id = 2 WHERE id = 1'),
	(7, 'UPDATE regress_d.u SET id = 2 WHERE id = 1')) s (i, sql) ORDER BY i;
-- unrelated
\c - :superuser
ALTER TYPE regress_d.apart ADD ATTRIBUTE c int;
ALTER TYPE regress_d.other ADD VALUE 'y';
COMMENT ON TYPE regress_d.pair IS 'two numbers';
\c - regress_ann
SELECT id, warden.approve(id, NULL) FROM warden.pending_changes WHERE id BETWEEN 2720 AND 2726 ORDER BY id;
\c - :superuser
ALTER TYPE regress_d.pair ADD ATTRIBUTE c int;
ALTER TYPE regress_d.level RENAME VALUE 'low' TO 'lower';
\c - regress_ann
SELECT format('CALL warden.apply(%s) -- %s', id, title) FROM warden.pending_changes WHERE id BETWEEN 2720 AND 2726 ORDER BY id
\gexec
-- a label more, a column less
\c - regress_bot
SELECT warden.propose('UPDATE regress_d.x SET id = 2 WHERE id = 1', 'label', NULL),
	warden.propose('UPDATE regress_d.v SET id = 2 WHERE id = 1', 'column', NULL);
\c - :superuser
ALTER TYPE regress_d.level ADD VALUE 'middle' BEFORE 'high';
ALTER TYPE regress_d.pair DROP ATTRIBUTE c;
\c - regress_ann
SELECT warden.approve(2727, NULL);
SELECT warden.approve(2728, NULL);

--
-- Other people's operator classes, and the key of partitions
--
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE FUNCTION regress_d.compare(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($1, $2)';
CREATE FUNCTION regress_d.part(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2';
RESET ROLE;
CREATE OPERATOR CLASS regress_d.ops FOR TYPE int USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 regress_d.compare(int, int);
SET ROLE regress_writer;
CREATE TABLE regress_d.sorted (id int, n int);
CREATE INDEX ON regress_d.sorted (n regress_d.ops);
CREATE TABLE regress_d.parted (id int) PARTITION BY LIST (regress_d.part(id));
CREATE TABLE regress_d.parted0 PARTITION OF regress_d.parted FOR VALUES IN (0);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_d TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2730;
\c - regress_bot
SELECT warden.propose('INSERT INTO regress_d.sorted (id, n) VALUES (1, 1)', 'operator class', NULL),
	warden.propose('INSERT INTO regress_d.parted (id) VALUES (2)', 'partition key', NULL);
\c - :superuser
CREATE OR REPLACE FUNCTION regress_d.compare(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
CREATE OR REPLACE FUNCTION regress_d.part(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1 + 1) % 2';
\c - regress_ann
SELECT warden.approve(2730, NULL);
SELECT warden.approve(2731, NULL);

--
-- SQL that is made only when it runs: what its makers are given counts, and
-- the review says that there may be more
--
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE FUNCTION regress_d.run(sql text) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; RETURN 1; END';
CREATE FUNCTION regress_d.run_it(sql text) RETURNS int LANGUAGE sql AS 'SELECT regress_d.run(sql)';
CREATE FUNCTION regress_d.log() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE format('SELECT %L', NEW.note); RETURN NEW; END$$;
CREATE TABLE regress_d.logged (id int, note text);
CREATE TRIGGER log BEFORE INSERT OR UPDATE ON regress_d.logged FOR EACH ROW EXECUTE FUNCTION regress_d.log();
CREATE FUNCTION regress_d.calm(sql text) RETURNS int LANGUAGE plpgsql AS $b$
	-- nothing here does EXECUTE
	/* EXECUTE /* EXECUTE */ sql */
	DECLARE "execute" text := 'it''s -- ' || $$EXECUTE$$ || $q$EXECUTE $$ $q$; executed int;
	BEGIN RETURN length("execute") / 1; END$b$;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_d TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2740;
\c - regress_bot
SELECT warden.propose(sql, sql, NULL) FROM (VALUES
	(1, $q$SELECT regress_d.run('DELETE FROM regress_d.u WHERE id = regress_d.inner(1)')$q$),
	(2, $q$SELECT regress_d.run_it(E'DELETE FROM regress_d.u WHERE id =\nregress_d.\x69nner(1)')$q$),
	(3, $q$INSERT INTO regress_d.logged VALUES (1, 'regress_d.inner')$q$),
	(4, $q$SELECT query_to_xml('SELECT regress_d.inner(1)', true, true, '')$q$),
	(5, $q$DO 'BEGIN EXECUTE ''SELECT regress_d.'' || ''inner(1)''; END'$q$),
	(6, $q$SELECT regress_d.run('SELECT 1')$q$),
	(7, $q$SELECT regress_d.calm('regress_d.inner')$q$)) s (i, sql) ORDER BY i;
PREPARE given(text) AS UPDATE regress_d.u SET n = regress_d.run($1) WHERE id = 1;
EXECUTE given(E'SELECT\nregress_d.inner(1)');
\c - regress_ann
SELECT ordinal, level, message FROM generate_series(2740, 2747) id, warden.review(id) WHERE rule = 'code.dynamic_sql';
\o /dev/null
SELECT warden.approve(id, NULL) FROM generate_series(2740, 2747) id;
\o
SELECT id, risk, required_approvals FROM warden.pending_changes WHERE id BETWEEN 2740 AND 2747 ORDER BY id;
\c - :superuser
CREATE OR REPLACE FUNCTION regress_d.inner(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 2';
SELECT format('SELECT warden.break_glass(%s, $$%s$$)', id, 'none') FROM generate_series(2740, 2747) id
\gexec
SELECT id, status, title FROM warden.pending_changes WHERE id BETWEEN 2740 AND 2747 ORDER BY id;

--
-- Names that nobody has spelled out: operators behind a word, and what is
-- quoted or escaped in the body of a block
--
CREATE ROLE regress_maker;
GRANT CREATE, USAGE ON SCHEMA regress_d TO regress_maker;
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE TABLE regress_d.z (id int, n varchar(10));
INSERT INTO regress_d.z VALUES (1, 'a'), (2, 'b');
CREATE FUNCTION regress_d."in ""quotes"""() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_d."äääääääääääääääääääääääääääääääää"() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE COLLATION regress_d.mine (LOCALE = 'C');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_d TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2760;
\c - regress_bot
SET search_path = regress_d;
\o /dev/null
SELECT warden.propose(sql, sql, NULL) FROM (VALUES
	(1, $q$DELETE FROM z WHERE n LIKE 'b'$q$),
	(2, $q$DELETE FROM z WHERE n NOT ILIKE 'b'$q$),
	(3, $q$DELETE FROM z WHERE n IN ('b', 'c')$q$),
	(4, $q$DELETE FROM z WHERE n BETWEEN 'b' AND 'c'$q$),
	(5, $q$DELETE FROM z WHERE n SIMILAR TO 'b'$q$),
	(6, $q$DELETE FROM z WHERE n != 'b'$q$),
	(7, $q$DELETE FROM z WHERE n IS DISTINCT FROM 'b'$q$),
	(8, $q$DELETE FROM z WHERE CASE n WHEN 'b' THEN true END$q$),
	(9, $q$DELETE FROM z WHERE NULLIF(n, 'b') IS NULL$q$),
	(10, $q$DELETE FROM z WHERE id = 1 AND EXISTS (SELECT FROM z a JOIN z b USING (n))$q$),
	(11, $q$DELETE FROM z WHERE id = (SELECT 2 FROM z a NATURAL JOIN z b LIMIT 1)$q$),
	(12, $q$DELETE FROM z WHERE n < 'b' COLLATE mine$q$),
	(13, $q$DO $$BEGIN PERFORM regress_d."in ""quotes"""(); END$$$q$),
	(14, $q$DO $$BEGIN PERFORM regress_d."äääääääääääääääääääääääääääääääää"(); END$$$q$),
	(15, $q$DO $$BEGIN PERFORM regress_d.U&"in \0022quotes\0022"(); END$$$q$),
	(16, $q$DELETE FROM z WHERE id > 7$q$)) s (i, sql) ORDER BY i;
\o
-- whoever may make objects in the path
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_maker;
CREATE FUNCTION regress_d.any_row(varchar, varchar) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR regress_d.~~ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
CREATE OPERATOR regress_d.!~~* (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
CREATE OPERATOR regress_d.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
CREATE OPERATOR regress_d.<> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
CREATE OPERATOR regress_d.>= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
CREATE OPERATOR regress_d.~ (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = regress_d.any_row);
SET ROLE regress_writer;
CREATE OR REPLACE FUNCTION regress_d."in ""quotes"""() RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE OR REPLACE FUNCTION regress_d."äääääääääääääääääääääääääääääääää"() RETURNS int LANGUAGE sql AS 'SELECT 2';
DROP COLLATION regress_d.mine;
CREATE COLLATION regress_d.mine (LOCALE = 'POSIX');
\c - regress_ann
SET client_min_messages = error;
SELECT format('SELECT warden.approve(%s, %L)', id, title) FROM warden.pending_changes WHERE id BETWEEN 2760 AND 2775 ORDER BY id
\gexec
SELECT ordinal, level, message FROM warden.review(2774) WHERE rule = 'code.dynamic_sql';
\c - :superuser

--
-- A name in a literal: another sequence in the path
--
CREATE SCHEMA regress_d_later AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_d_later TO regress_bot;
SET ROLE regress_writer;
CREATE SEQUENCE regress_d_later.numbers;
CREATE SEQUENCE regress_d_later.others;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2780;
\c - regress_bot
SET search_path = regress_d, regress_d_later;
\o /dev/null
SELECT warden.propose($$UPDATE z SET id = nextval('numbers') WHERE id = 1$$, 'name', NULL),
	warden.propose($$UPDATE z SET id = 'numbers'::regclass::oid::int WHERE id = 1$$, 'cast', NULL),
	warden.propose($$UPDATE z SET n = 'numbers' WHERE id = 1$$, 'text', NULL),
	warden.propose($$UPDATE z SET id = nextval('others') WHERE id = 2$$, 'other', NULL);
\o
\c - :superuser
SET client_min_messages = error;
SELECT nextval('regress_d_later.others');
CREATE SEQUENCE regress_d.numbers;
\c - regress_ann
SELECT warden.approve(2780, NULL);
SELECT warden.approve(2781, NULL);
SELECT warden.approve(2782, NULL);
SELECT warden.approve(2783, NULL);
\c - :superuser
DROP SCHEMA regress_d_later CASCADE;

--
-- A default of an argument that the statement leaves out; a statistics object
-- for whoever analyses
--
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE FUNCTION regress_d.inner_default() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION regress_d.with_default(i int DEFAULT regress_d.inner_default()) RETURNS int LANGUAGE sql STABLE AS 'SELECT i';
CREATE FUNCTION regress_d.measured(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE STATISTICS regress_d.on_z ON (regress_d.measured(id)) FROM regress_d.z;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2784;
\c - regress_bot
\o /dev/null
SELECT warden.propose('UPDATE regress_d.z SET id = regress_d.with_default() WHERE id = 1', 'default', NULL),
	warden.propose('ANALYZE regress_d.z', 'statistics', NULL);
\o
\c - :superuser
CREATE OR REPLACE FUNCTION regress_d.inner_default() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
CREATE OR REPLACE FUNCTION regress_d.measured(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
\c - regress_ann
SELECT warden.approve(2784, NULL);
SELECT warden.approve(2785, NULL);
\c - :superuser

--
-- "$user" in the path of a function is the schema of whoever applies it, a body
-- sets another path, and what a function calls has the path of its caller
--
SET client_min_messages = error;
CREATE SCHEMA regress_writer;
GRANT USAGE, CREATE ON SCHEMA regress_writer TO regress_maker;
GRANT USAGE ON SCHEMA regress_writer TO regress_writer;
SET ROLE regress_writer;
CREATE FUNCTION regress_d.helper() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION regress_d.helped() RETURNS int LANGUAGE plpgsql STABLE SET search_path = "$user", regress_d
	AS 'BEGIN RETURN helper(); END';
CREATE FUNCTION regress_d.callee() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN helper(); END';
CREATE FUNCTION regress_d.caller() RETURNS int LANGUAGE plpgsql STABLE SET search_path = regress_writer, regress_d
	AS 'BEGIN RETURN regress_d.callee(); END';
CREATE FUNCTION regress_d.elsewhere() RETURNS int LANGUAGE plpgsql STABLE
	AS $$BEGIN PERFORM set_config('search_path', 'regress_writer, regress_d', true); RETURN helper(); END$$;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2786;
\c - regress_bot
UPDATE regress_d.z SET id = regress_d.helped() WHERE id = 1;
SELECT warden.propose('UPDATE regress_d.z SET id = regress_d.elsewhere() WHERE id = 1', 'path', NULL),
	warden.propose('DO $$BEGIN SET LOCAL search_path = regress_writer, regress_d; PERFORM helper(); END$$', 'path', NULL),
	warden.propose('UPDATE regress_d.z SET id = regress_d.caller() WHERE id = 1', 'path', NULL);
\c - :superuser
SET ROLE regress_maker;
CREATE FUNCTION regress_writer.helper() RETURNS int LANGUAGE sql STABLE AS 'SELECT 666';
\c - regress_ann
SELECT warden.approve(2786, NULL);
SELECT warden.approve(2787, NULL);
SELECT warden.approve(2788, NULL);
SELECT warden.approve(2789, NULL);
\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_writer CASCADE;

SET client_min_messages = error;
DROP SCHEMA regress_d CASCADE;
DROP FUNCTION public.regress_event();
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person = 'ann';
DELETE FROM warden.agents WHERE agent = 'drift bot';
DROP ROLE regress_bot, regress_writer, regress_ann, regress_maker;
