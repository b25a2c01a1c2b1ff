-- What a change that is applied may defer, and what it can not reach, with
-- whoever's rights.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_a_bot LOGIN;
CREATE ROLE regress_a_writer;
CREATE ROLE regress_a_ann LOGIN IN ROLE warden_reviewer, regress_a_writer;
CREATE ROLE regress_a_bob LOGIN IN ROLE warden_reviewer, regress_a_writer;
CREATE SCHEMA regress_a AUTHORIZATION regress_a_writer;
GRANT USAGE ON SCHEMA regress_a TO PUBLIC;
SET ROLE regress_a_writer;
CREATE TABLE regress_a.pair (id int PRIMARY KEY,
	other int REFERENCES regress_a.pair DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE regress_a.people (id int PRIMARY KEY, ssn text);
INSERT INTO regress_a.people VALUES (1, '078-05-4801');
CREATE TABLE regress_a.uniq (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO regress_a.uniq VALUES (1), (2);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_a TO regress_a_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_a.people.ssn IS 'ssn';
-- what careless superusers have in their databases
CREATE FUNCTION regress_a.run(sql text) RETURNS void LANGUAGE plpgsql
	SECURITY DEFINER AS 'BEGIN EXECUTE sql; END';
SECURITY LABEL FOR warden ON ROLE regress_a_bot IS 'agent';
SELECT FROM warden.create_agent('bound bot', 'regress_a_bot', 'regress_a_writer');
SELECT FROM warden.add_person('a ann', 'regress_a_ann');
SELECT FROM warden.add_person('a bob', 'regress_a_bob');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 17001;

--
-- Constraints that are deferred are checked at the end of the apply
--
\c - regress_a_bot
\o /dev/null
SELECT warden.propose('INSERT INTO regress_a.pair VALUES (1, 2); INSERT INTO regress_a.pair VALUES (2, 1)', 'a ring', '');
SELECT warden.propose('INSERT INTO regress_a.pair VALUES (3, 4); INSERT INTO regress_a.pair VALUES (5, 3)', 'half a ring', '');
SELECT warden.propose('UPDATE regress_a.uniq SET n = 3 - n', 'a swap', '');
-- an ordinary script would need SET CONSTRAINTS before the second statement
SELECT warden.propose('INSERT INTO regress_a.pair VALUES (6, 6); COMMENT ON TABLE regress_a.pair IS ''x''; TRUNCATE regress_a.pair', 'outstanding', '');
\o
\c - regress_a_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(17001, 17004) id;
\c - regress_a_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 17001 AND 17004 AND status = 'proposed';
\o
SELECT ordinal, method, rows, detail FROM warden.preview(17001);
SELECT ordinal, method, rows, detail FROM warden.preview(17002);
CALL warden.apply(17001);
CALL warden.apply(17002);
CALL warden.apply(17003);
SET ROLE regress_a_writer;
SELECT * FROM regress_a.pair ORDER BY id;
RESET ROLE;
-- in a block what the caller has deferred fires first, as the caller
BEGIN;
SET LOCAL ROLE regress_a_writer;
INSERT INTO regress_a.pair VALUES (7, 8);
RESET ROLE;
CALL warden.apply(17004);
ROLLBACK;
CALL warden.apply(17004);
SET ROLE regress_a_writer;
SELECT count(*) FROM regress_a.pair;
RESET ROLE;

--
-- What it calls can not touch the library, nor leave anything behind
--
\c - regress_a_bot
\o /dev/null
SELECT warden.propose('SELECT regress_a.run(''' || replace(sql, '''', '''''') || ''')', sql, '')
FROM (VALUES
	(1, 'TRUNCATE warden.change_images'),
	(2, 'TRUNCATE warden.pending_changes CASCADE'),
	(3, 'ALTER TABLE warden.pending_changes DISABLE TRIGGER ALL'),
	(4, 'DROP TRIGGER guard_change ON warden.pending_changes'),
	(5, 'CREATE TRIGGER mine BEFORE INSERT ON warden.change_reviews FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'),
	(6, 'CREATE RULE mine AS ON UPDATE TO warden.pending_changes DO INSTEAD NOTHING'),
	(7, 'ALTER TABLE warden.pending_changes OWNER TO regress_a_writer'),
	(8, 'ALTER FUNCTION warden.approve(bigint, text, text) RENAME TO disapprove'),
	(9, 'DROP VIEW warden.open_changes CASCADE'),
	(10, 'ALTER SCHEMA warden RENAME TO unwarden'),
	(11, 'GRANT UPDATE ON warden.pending_changes TO regress_a_writer'),
	(12, 'GRANT ALL ON ALL TABLES IN SCHEMA warden TO regress_a_writer'),
	(13, 'GRANT EXECUTE ON FUNCTION warden.break_glass(bigint, text) TO PUBLIC'),
	(14, 'GRANT warden_admin TO regress_a_writer'),
	(15, 'SECURITY LABEL FOR warden ON ROLE regress_a_bot IS NULL'),
	(16, 'UPDATE warden.approval_rules SET approvals = 1'),
	(17, 'INSERT INTO warden.people VALUES (''a eve'', ''regress_a_writer'')'),
	(18, 'SELECT warden.approve(17005, ''from within'')'),
	(19, 'CALL warden.apply(17005)'),
	(31, 'CREATE OR REPLACE FUNCTION warden.whoami() RETURNS jsonb LANGUAGE sql AS ''SELECT NULL::jsonb'''),
	(32, 'CREATE FUNCTION warden.approve(int, text) RETURNS text LANGUAGE sql AS ''SELECT NULL::text'''),
	(33, 'CREATE TABLE public.stolen AS SELECT * FROM warden.tokens'),
	(34, 'SELECT old_rows FROM warden.change_images'),
	(28, 'SELECT pg_advisory_unlock_all()'),
	(29, 'DROP EXTENSION pg_warden CASCADE'),
	(30, 'CREATE INDEX ON warden.pending_changes (id)'),
	(20, 'SELECT warden.add_person(''a eve'', ''regress_a_writer'')'),
	(21, 'SET ROLE regress_a_bob'),
	(22, 'SET SESSION AUTHORIZATION regress_a_bob'),
	(23, 'DEALLOCATE ALL'),
	(24, 'CLOSE ALL'),
	(25, 'UNLISTEN *'),
	(26, 'LOAD ''plpgsql'''),
	(27, 'ALTER EXTENSION pg_warden DROP FUNCTION warden.guard_change()')) AS attack (n, sql)
ORDER BY n;
SELECT warden.propose('DO $$DECLARE c refcursor; BEGIN OPEN c FOR SELECT 1; END$$', 'a cursor', '');
\o
\c - regress_a_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(17005, 17039) id;
\c - regress_a_bob
SELECT warden.approve(id, 'ok') FROM generate_series(17005, 17039) id;
\o
SELECT format('CALL warden.apply(%s) -- %s', id, title) FROM warden.pending_changes
	WHERE id BETWEEN 17005 AND 17038 ORDER BY id
\gexec
SELECT status, last_sqlstate, count(*) FROM warden.pending_changes
	WHERE id BETWEEN 17005 AND 17038 GROUP BY 1, 2 ORDER BY 2;
-- a cursor ends with the transaction, or would be the caller's
BEGIN;
CALL warden.apply(17039);
ROLLBACK;
CALL warden.apply(17039);

--
-- What reaches the library by another object, or by no object at all
--
\c - :superuser
CREATE TABLE regress_a.labelled (a int);
SECURITY LABEL FOR warden ON COLUMN regress_a.labelled.a IS 'ssn';
CREATE TYPE regress_a.made AS (a int);
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 17101;
\c - regress_a_bot
\o /dev/null
SELECT warden.propose('SELECT regress_a.run(''' || replace(sql, '''', '''''') || ''')', sql, '')
FROM (VALUES
	(1, 'CREATE TABLE regress_a.kid (LIKE warden.people INCLUDING ALL); ALTER TABLE regress_a.kid INHERIT warden.people'),
	(2, 'CREATE TABLE regress_a.kid () INHERITS (warden.change_reviews)'),
	(3, 'CREATE TABLE regress_a.fk (id bigint REFERENCES warden.pending_changes)'),
	(4, 'CREATE STATISTICS regress_a.st ON id, status FROM warden.pending_changes'),
	(5, 'COMMENT ON TABLE warden.pending_changes IS NULL'),
	(6, 'COMMENT ON COLUMN warden.pending_changes.id IS NULL'),
	(7, 'COMMENT ON EXTENSION pg_warden IS NULL'),
	(8, 'ALTER DEFAULT PRIVILEGES IN SCHEMA warden GRANT ALL ON TABLES TO PUBLIC'),
	(9, 'ALTER GROUP warden_admin ADD USER regress_a_writer'),
	(10, 'CREATE ROLE regress_a_new IN ROLE warden_admin'),
	(11, 'DROP OWNED BY warden_reviewer'),
	(12, 'ALTER ROLE warden_reviewer RENAME TO regress_a_nobody'),
	(13, 'ALTER ROLE warden_gateway SUPERUSER'),
	(14, 'CREATE PUBLICATION regress_a FOR TABLE warden.pending_changes'),
	(15, 'CREATE TYPE warden.made AS (a int)'),
	(16, 'CREATE SEQUENCE warden.made'),
	(17, 'CREATE DOMAIN warden.made AS int'),
	(18, 'CREATE OPERATOR warden.=== (leftarg = int, rightarg = int, function = int4eq)'),
	(19, 'ALTER TABLE regress_a.pair SET SCHEMA warden'),
	(20, 'ALTER TYPE regress_a.made SET SCHEMA warden'),
	(21, 'ALTER ROLE ALL SET warden.divert_report = ''warning'''),
	(22, 'SECURITY LABEL FOR warden ON COLUMN regress_a.labelled.a IS NULL'),
	(23, 'EXECUTE regress_a'),
	(24, 'CREATE TABLE regress_a.executed AS EXECUTE regress_a'),
	(25, 'EXPLAIN ANALYZE EXECUTE regress_a'),
	(26, 'EXPLAIN ANALYZE CREATE TABLE regress_a.explained AS EXECUTE regress_a')) AS attack (n, sql)
ORDER BY n;
SELECT warden.propose($do$DO $$DECLARE
	c refcursor; r record;
BEGIN
	FOR c IN SELECT name FROM pg_cursors WHERE name = 'mine' LOOP
		FETCH c INTO r;
		INSERT INTO regress_a.people VALUES (2, r::text);
	END LOOP;
END$$$do$, 'cursors of others', '');
\o
\c - regress_a_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(17101, 17127) id;
\c - regress_a_bob
SELECT warden.approve(id, 'ok') FROM generate_series(17101, 17127) id;
\o
PREPARE regress_a AS SELECT 1 AS a;
SELECT format('CALL warden.apply(%s) -- %s', id, title) FROM warden.pending_changes
	WHERE id BETWEEN 17101 AND 17126 ORDER BY id
\gexec
DEALLOCATE regress_a;
BEGIN;
DECLARE mine CURSOR WITH HOLD FOR SELECT 'for my eyes';
COMMIT;
CALL warden.apply(17127);
SELECT * FROM warden.preview(17127);
CLOSE mine;
BEGIN;
DECLARE mine CURSOR FOR SELECT 'for my eyes';
CALL warden.apply(17127);
ROLLBACK;
CALL warden.apply(17127);
SELECT status, last_sqlstate, count(*) FROM warden.pending_changes
	WHERE id BETWEEN 17101 AND 17127 GROUP BY 1, 2 ORDER BY 2;

--
-- What would act later, elsewhere or on everything with the rights that a
-- superuser's function lends
--
\c - :superuser
SET client_min_messages = error;
CREATE VIEW regress_a.existing AS SELECT * FROM warden.tokens;
GRANT SELECT ON regress_a.existing TO PUBLIC;
SET ROLE regress_a_writer;
CREATE VIEW regress_a.mine AS SELECT 1 AS a;
CREATE FUNCTION regress_a.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_a.event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION regress_a.row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE regress_a.parts (id int) PARTITION BY LIST (id);
RESET ROLE;
CREATE ROLE regress_a_super SUPERUSER;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 17201;
\c - regress_a_bot
\o /dev/null
SELECT warden.propose('SELECT regress_a.run(' || quote_literal(sql) || ')', sql, '')
FROM (VALUES
	(1, 'CREATE PUBLICATION regress_p FOR ALL TABLES'),
	(2, 'SET LOCAL search_path = warden; CREATE PUBLICATION regress_p FOR TABLES IN SCHEMA CURRENT_SCHEMA'),
	(3, 'CREATE SUBSCRIPTION regress_s CONNECTION ''dbname=x'' PUBLICATION x WITH (connect = false)'),
	(4, 'CREATE VIEW regress_a.peek AS SELECT * FROM warden.tokens'),
	(5, 'CREATE MATERIALIZED VIEW regress_a.peek AS SELECT * FROM warden.tokens WITH NO DATA'),
	(6, 'CREATE RULE peek AS ON INSERT TO regress_a.people DO ALSO DELETE FROM warden.tokens'),
	(7, 'CREATE FUNCTION regress_a.peek() RETURNS SETOF warden.tokens LANGUAGE sql SECURITY DEFINER AS ''SELECT * FROM warden.tokens'''),
	(8, 'ALTER FUNCTION regress_a.mine() SECURITY DEFINER'),
	(9, 'ALTER FUNCTION regress_a.mine() OWNER TO regress_a_super'),
	(10, 'ALTER VIEW regress_a.mine OWNER TO regress_a_super'),
	(11, 'REASSIGN OWNED BY regress_a_writer TO regress_a_super'),
	(12, 'CREATE EVENT TRIGGER regress_e ON ddl_command_end EXECUTE FUNCTION regress_a.event()'),
	(13, 'CREATE TRIGGER mine BEFORE INSERT ON regress_a.people FOR EACH ROW EXECUTE FUNCTION regress_a.row()'),
	(14, 'ALTER SYSTEM SET work_mem = ''5MB'''),
	(15, 'ALTER ROLE regress_a_ann SET search_path = regress_a'),
	(16, 'ALTER ROLE regress_a_bob VALID UNTIL ''infinity'''),
	(17, 'GRANT regress_a_ann TO regress_a_writer'),
	(18, 'GRANT pg_read_server_files TO regress_a_writer'),
	(19, 'CREATE ROLE regress_a_new SUPERUSER'),
	(20, 'UPDATE pg_catalog.pg_authid SET rolsuper = true WHERE rolname = ''regress_a_writer'''),
	(21, 'COPY regress_a.pair TO PROGRAM ''true'''),
	(22, 'SELECT lo_export(1, ''/nowhere'')'),
	(23, 'CREATE EXTENSION hstore'),
	(24, 'CREATE TABLE regress_a.peeked AS SELECT * FROM regress_a.existing'),
	-- what such a function is for
	(25, 'CREATE TABLE regress_a.part1 PARTITION OF regress_a.parts FOR VALUES IN (1); ALTER TABLE regress_a.part1 OWNER TO regress_a_writer; GRANT SELECT ON regress_a.part1 TO PUBLIC'),
	(26, 'CREATE PUBLICATION regress_p FOR TABLE regress_a.pair'),
	(27, 'UPDATE pg_settings SET setting = ''5MB'' WHERE name = ''work_mem''')) AS attack (n, sql)
ORDER BY n;
-- and what the apply role can do itself
SELECT warden.propose($do$DO $$BEGIN
	CREATE VIEW regress_a.own AS SELECT 1 AS a;
	CREATE FUNCTION regress_a.own() RETURNS int LANGUAGE sql AS 'SELECT 1';
	ALTER VIEW regress_a.own OWNER TO CURRENT_USER;
	CREATE TRIGGER own BEFORE INSERT ON regress_a.people FOR EACH ROW EXECUTE FUNCTION regress_a.row();
END$$$do$, 'its own', '');
\o
\c - regress_a_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(17201, 17228) id;
\c - regress_a_bob
SELECT warden.approve(id, 'ok') FROM generate_series(17201, 17228) id;
\o
SELECT format('CALL warden.apply(%s) -- %s', id, title) FROM warden.pending_changes
	WHERE id BETWEEN 17201 AND 17228 ORDER BY id
\gexec
SELECT status, last_sqlstate, count(*) FROM warden.pending_changes
	WHERE id BETWEEN 17201 AND 17228 GROUP BY 1, 2 ORDER BY 1, 2;
\c - :superuser
SET client_min_messages = error;
SHOW work_mem;
DROP PUBLICATION regress_p;
DROP VIEW regress_a.existing;
DROP ROLE regress_a_super;
\c - :superuser
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 17340;

--
-- What an agent is told of a failure carries no data
--
\c - regress_a_bot
\o /dev/null
SELECT warden.propose($do$DO $$BEGIN
	RAISE EXCEPTION USING MESSAGE = (SELECT ssn FROM regress_a.people),
		ERRCODE = (SELECT left(replace(ssn, '-', ''), 5) FROM regress_a.people);
END$$$do$, 'tell me', '');
SELECT warden.propose('INSERT INTO regress_a.people VALUES (1, ''x'')', 'a duplicate', '');
\o
\c - regress_a_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(17340, 17341) id;
\c - regress_a_bob
SELECT warden.approve(17340, 'ok');
\o
CALL warden.apply(17340);
CALL warden.apply(17341);
SELECT id, last_sqlstate, last_error FROM warden.pending_changes WHERE id IN (17340, 17341) ORDER BY id;
\c - regress_a_bot
SELECT id, status, last_sqlstate FROM warden.my_changes WHERE id IN (17340, 17341) ORDER BY id;

--
-- Rules that have become stricter since, and objects that have gone
--
\c - regress_a_bot
\o /dev/null
SELECT warden.propose('INSERT INTO regress_a.pair VALUES (50, 50)', 'rules', '');
SELECT warden.propose('INSERT INTO regress_a.uniq VALUES (50)', 'gone', '');
\o
\c - regress_a_ann
SELECT warden.approve(17342, 'ok');
SELECT warden.approve(17343, 'ok');
\c - :superuser
INSERT INTO warden.approval_rules (risk, scope, approvals)
	VALUES ('low', 'schema:regress_a', 2);
DROP TABLE regress_a.uniq;
\c - regress_a_ann
\set VERBOSITY default
CALL warden.apply(17342);
CALL warden.apply(17343);
\set VERBOSITY terse
\c - :superuser
DELETE FROM warden.approval_rules WHERE scope = 'schema:regress_a';
\c - regress_a_ann
CALL warden.apply(17342);
SELECT id, status FROM warden.pending_changes WHERE id IN (17342, 17343) ORDER BY id;

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_a CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_a_bot IS NULL;
DELETE FROM warden.people WHERE person LIKE 'a %';
DELETE FROM warden.agents WHERE agent = 'bound bot';
DROP ROLE regress_a_bot, regress_a_writer, regress_a_ann, regress_a_bob;
