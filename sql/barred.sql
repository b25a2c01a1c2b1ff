-- A statement that may not run in a transaction runs in the session of whoever
-- applies it, and commits on its way: what it sets off stays out of that session.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_b_bot LOGIN;
CREATE ROLE regress_b_writer;
CREATE ROLE regress_b_ann LOGIN IN ROLE warden_reviewer, regress_b_writer;
CREATE ROLE regress_b_bob LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_b AUTHORIZATION regress_b_writer;
GRANT USAGE ON SCHEMA regress_b TO PUBLIC;
SET ROLE regress_b_writer;
CREATE TABLE regress_b.t (n int);
CREATE TABLE regress_b.todo (event text, sql text);
CREATE FUNCTION regress_b.react() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	s text;
BEGIN
	FOR s IN SELECT sql FROM regress_b.todo WHERE event = TG_EVENT LOOP
		EXECUTE s;
	END LOOP;
END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_b TO regress_b_bot;
RESET ROLE;
CREATE EVENT TRIGGER regress_b_start ON ddl_command_start WHEN TAG IN ('CREATE INDEX')
	EXECUTE FUNCTION regress_b.react();
CREATE EVENT TRIGGER regress_b_end ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
	EXECUTE FUNCTION regress_b.react();
SECURITY LABEL FOR warden ON ROLE regress_b_bot IS 'agent';
SELECT FROM warden.create_agent('barred bot', 'regress_b_bot', 'regress_b_writer');
SELECT FROM warden.add_person('b ann', 'regress_b_ann');
SELECT FROM warden.add_person('b bob', 'regress_b_bob');
CREATE EXTENSION dblink SCHEMA regress_b;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2401;

\c - regress_b_bot
\o /dev/null
SELECT warden.propose('CREATE INDEX CONCURRENTLY i' || i || ' ON regress_b.t (n)', 'index', '')
	FROM generate_series(1, 9) i;
SELECT warden.propose('SELECT regress_b.dblink_connect(''mine'', ''dbname=postgres'')', 'connect', '');
SELECT warden.propose('SELECT regress_b.dblink_disconnect()', 'disconnect', '');
\o
\c - regress_b_bob
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(2401, 2411) id;
\c - regress_b_ann
SELECT warden.approve(id, 'ok') FROM generate_series(2401, 2411) id;
\o
SELECT DISTINCT status FROM warden.pending_changes WHERE id BETWEEN 2401 AND 2411;

--
-- Settings, of its own and of others
--
SET ROLE regress_b_writer;
INSERT INTO regress_b.todo VALUES
	('ddl_command_start', 'SET work_mem = ''64MB'''),
	('ddl_command_start', 'SELECT set_config(''regress.left'', ''behind'', false)'),
	('ddl_command_start', 'SET regress.mine = ''yours'''),
	('ddl_command_start', 'SET search_path = regress_b'),
	('ddl_command_start', 'RESET DateStyle'),
	('ddl_command_start', 'SET enable_seqscan = off'),
	('ddl_command_end', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'),
	('ddl_command_end', 'SET TimeZone = ''Asia/Tokyo'''),
	('ddl_command_end', 'SET LOCAL extra_float_digits = 0'),
	('ddl_command_end', 'RESET ALL');
RESET ROLE;
SET regress.mine = 'mine';
SET DateStyle = 'German';
SET TimeZone = 'Europe/Berlin';
SET enable_seqscan = on;
DO 'BEGIN END';
CREATE TEMP TABLE before AS SELECT name, setting FROM pg_settings;
CALL warden.apply(2401);
SELECT name, b.setting, s.setting FROM before b FULL JOIN pg_settings s USING (name)
	WHERE b.setting IS DISTINCT FROM s.setting;
SELECT current_setting('regress.mine'), current_setting('regress.left', true), current_user;
-- the end of a transaction that fails does not bring them back
BEGIN;
SELECT 1/0;
ROLLBACK;
SELECT name, b.setting, s.setting FROM before b FULL JOIN pg_settings s USING (name)
	WHERE b.setting IS DISTINCT FROM s.setting;
-- nor does it matter that the statement itself fails, after it has committed
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'SELECT 1/0' WHERE sql = 'RESET ALL';
RESET ROLE;
CALL warden.apply(2402);
SELECT name, b.setting, s.setting FROM before b FULL JOIN pg_settings s USING (name)
	WHERE b.setting IS DISTINCT FROM s.setting;
SELECT current_setting('regress.mine'), current_setting('regress.left', true), current_user;

--
-- What would stay in the session is refused
--
SET ROLE regress_b_writer;
TRUNCATE regress_b.todo;
INSERT INTO regress_b.todo VALUES ('ddl_command_start', 'LISTEN regress');
RESET ROLE;
CALL warden.apply(2403);
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'PREPARE regress AS SELECT 1';
RESET ROLE;
CALL warden.apply(2403);
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'SELECT pg_advisory_lock(1)';
RESET ROLE;
CALL warden.apply(2403);
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'CREATE TEMP TABLE left_behind (n int)';
RESET ROLE;
CALL warden.apply(2403);
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'CREATE TYPE pg_temp.left_behind AS ENUM ()';
RESET ROLE;
CALL warden.apply(2403);
SELECT status, last_sqlstate, attempts FROM warden.pending_changes WHERE id = 2403;
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'DECLARE regress CURSOR WITH HOLD FOR SELECT 1';
RESET ROLE;
CALL warden.apply(2404);
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'SET ROLE regress_b_bob';
RESET ROLE;
CALL warden.apply(2404);
-- what is left when it is too late
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET event = 'ddl_command_end', sql = 'CREATE TEMP TABLE left_behind (n int)';
RESET ROLE;
CALL warden.apply(2405);
SELECT relname FROM pg_class WHERE relname = 'left_behind';
SELECT count(*) FROM pg_listening_channels();
SELECT count(*) FROM pg_prepared_statements;
SELECT count(*) FROM pg_cursors WHERE is_holdable;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT id, status, last_sqlstate FROM warden.pending_changes WHERE id BETWEEN 2401 AND 2405 ORDER BY id;
-- a near miss: a lock of the transaction, a cursor of the block
SET ROLE regress_b_writer;
UPDATE regress_b.todo SET sql = 'SELECT pg_advisory_xact_lock(1)';
INSERT INTO regress_b.todo VALUES ('ddl_command_end', 'DO ''DECLARE c refcursor; BEGIN OPEN c FOR SELECT 1; END''');
RESET ROLE;
CALL warden.apply(2406);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
-- connections that a library keeps
CALL warden.apply(2410);
CALL warden.apply(2411);

--
-- Partitions are worked on one by one, each in a transaction
--
\c - :superuser
DROP EVENT TRIGGER regress_b_start;
DROP EVENT TRIGGER regress_b_end;
SET ROLE regress_b_writer;
CREATE TABLE regress_b.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE regress_b.part PARTITION OF regress_b.parted FOR VALUES FROM (0) TO (10);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_b TO regress_b_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2421;
\c - regress_b_bot
SET search_path = regress_b;
REINDEX TABLE parted;
REINDEX INDEX parted_pkey;
CLUSTER parted USING parted_pkey;
REINDEX TABLE part;
\c - regress_b_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(2421, 2424) id;
\o
CALL warden.apply(2421);
CALL warden.apply(2422);
CALL warden.apply(2423);
CALL warden.apply(2424);
BEGIN;
CALL warden.apply(2421);
ROLLBACK;
SELECT id, status, last_sqlstate FROM warden.pending_changes WHERE id BETWEEN 2421 AND 2424 ORDER BY id;

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_b CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_b_bot IS NULL;
DELETE FROM warden.people WHERE person LIKE 'b %';
DELETE FROM warden.agents WHERE agent = 'barred bot';
DROP ROLE regress_b_bot, regress_b_writer, regress_b_ann, regress_b_bob;
