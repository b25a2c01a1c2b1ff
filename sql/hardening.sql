-- What attacks have found: each part fails where its defence is missing.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_h_bot LOGIN;
CREATE ROLE regress_h_reporter LOGIN;
CREATE ROLE regress_h_writer;
CREATE ROLE regress_h_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_h_admin LOGIN IN ROLE warden_admin;
CREATE ROLE regress_h_ann LOGIN IN ROLE warden_reviewer, regress_h_writer;
CREATE ROLE regress_h_bob LOGIN IN ROLE warden_reviewer, regress_h_writer;
CREATE SCHEMA regress_h AUTHORIZATION regress_h_writer;
GRANT USAGE ON SCHEMA regress_h TO PUBLIC;
SECURITY LABEL FOR warden ON ROLE regress_h_bot IS 'agent';
SELECT warden.create_agent('hard bot', 'regress_h_bot', 'regress_h_writer');
SELECT warden.add_person('Ann@Example.com', 'regress_h_ann');
SELECT warden.add_person('bob', 'regress_h_bob');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 5001;
RESET client_min_messages;

--
-- A role that is no agent's does not pass for the agent of its name
--
SELECT warden.create_agent('regress_h_reporter', 'regress_h_bot');
SECURITY LABEL FOR warden ON ROLE regress_h_reporter IS 'agent';
\c - regress_h_reporter
SELECT warden.whoami();
SELECT count(*) FROM warden.my_changes;
SHOW warden.agent;
\c - :superuser
DELETE FROM warden.agents WHERE agent = 'regress_h_reporter';
SELECT warden.create_agent('regress_h_reporter', 'regress_h_bot');
\c - regress_h_reporter
SELECT warden.whoami() -> 'agent' AS agent;
SELECT warden.whoami() -> 'limits' ->> 'statement_timeout_ms' AS timeout;

--
-- A person may be the one that a delegation names in another case
--
\c - :superuser
SET ROLE regress_h_writer;
CREATE TABLE regress_h.items (id int PRIMARY KEY, name text);
INSERT INTO regress_h.items VALUES (1, 'one'), (2, 'two'), (3, 'three');
GRANT SELECT ON regress_h.items TO regress_h_bot;
RESET ROLE;
SELECT warden.allow_delegation('hard bot', '*@example.com');
\o /dev/null
SELECT warden.issue_token('hard bot') AS token \gset
\c - regress_h_gate
BEGIN;
SELECT warden.enter(:'token', 'dave@example.com', '{}', 'k');
DELETE FROM regress_h.items WHERE id = 1;
SELECT warden.leave('k');
COMMIT;
\o
\c - regress_h_ann
SELECT asserted, on_behalf_of FROM warden.pending_changes WHERE id = 5001;
SELECT warden.approve(5001, 'as Ann@Example.com');
-- whatever became of the delegation since
\c - :superuser
DELETE FROM warden.delegations WHERE agent = 'hard bot';
\c - regress_h_ann
SELECT warden.approve(5001, 'as Ann@Example.com');
\c - :superuser
INSERT INTO warden.delegations VALUES ('hard bot', '*@example.com');

--
-- The registry is written by a person's own statements, not by what somebody
-- else has hung on another table
--
\c - :superuser
CREATE TABLE regress_h.bait (id int, note text);
INSERT INTO regress_h.bait VALUES (1, 'x');
GRANT ALL ON regress_h.bait TO PUBLIC;
CREATE FUNCTION regress_h.plant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer');
	RETURN NEW;
END $$;
CREATE FUNCTION regress_h.plant_sql() RETURNS void LANGUAGE sql AS
	$$ INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer') $$;
CREATE FUNCTION regress_h.unplant() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM warden.people WHERE person = 'bob';
	RETURN true;
END $$;
CREATE TRIGGER plant BEFORE INSERT ON regress_h.bait
	FOR EACH ROW EXECUTE FUNCTION regress_h.plant();
CREATE RULE swap AS ON UPDATE TO regress_h.bait
	DO INSTEAD DELETE FROM warden.delegations;
CREATE VIEW regress_h.friends AS SELECT * FROM warden.people;
GRANT ALL ON regress_h.friends TO PUBLIC;
\c - regress_h_admin
INSERT INTO regress_h.bait VALUES (2, 'y');
UPDATE regress_h.bait SET note = 'z';
INSERT INTO regress_h.friends VALUES ('mallory', 'regress_h_writer');
SELECT regress_h.plant_sql();
DO $$ BEGIN UPDATE warden.agents SET enabled = false; END $$;
PREPARE planting AS INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer');
EXECUTE planting;
WITH w AS (INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer'))
	SELECT 1;
WITH w AS (UPDATE regress_h.bait SET note = 'z')
	INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer');
DELETE FROM warden.people WHERE person = 'nobody' OR regress_h.unplant();
-- its own statements go through, alone or in one message
INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer') RETURNING person;
DELETE FROM warden.people WHERE person = 'mallory';
BEGIN\; INSERT INTO warden.people VALUES ('mallory', 'regress_h_writer')\; ROLLBACK;
COPY warden.people FROM stdin;
mallory	regress_h_writer
\.
DELETE FROM warden.people WHERE person = 'mallory' RETURNING person;
UPDATE warden.agents SET max_rows = 10 WHERE agent = 'hard bot';
\c - :superuser
BEGIN;
DELETE FROM warden.agents WHERE agent = 'hard bot';
SELECT count(*) FROM warden.delegations WHERE agent = 'hard bot';
ROLLBACK;
BEGIN;
TRUNCATE warden.agents CASCADE;
ROLLBACK;
SELECT person FROM warden.people WHERE role::text LIKE 'regress_h_%' ORDER BY 1;
SELECT agent, person_pattern FROM warden.delegations WHERE agent = 'hard bot';

--
-- Nor is a decision smuggled in through a rule or a view
--
\c - regress_h_bot
DELETE FROM regress_h.items WHERE id = 2;
\c - :superuser
DROP TABLE regress_h.bait;
CREATE TABLE regress_h.bait (id int, note text);
INSERT INTO regress_h.bait VALUES (1, 'x');
GRANT ALL ON regress_h.bait TO PUBLIC;
ALTER TABLE regress_h.bait OWNER TO regress_h_bob;
SET ROLE regress_h_bob;
CREATE RULE decide AS ON UPDATE TO regress_h.bait DO INSTEAD
	UPDATE warden.pending_changes SET status = 'approved' WHERE id = 5002;
RESET ROLE;
CREATE VIEW regress_h.trap AS
	SELECT id, warden.approve(5002, 'not mine') AS note FROM regress_h.bait;
CREATE FUNCTION regress_h.approve(bigint, text) RETURNS text LANGUAGE sql
	AS $$SELECT warden.approve(5002, 'not mine')$$;
CREATE FUNCTION regress_h.peek(text DEFAULT warden.approve(5002, 'not mine'))
	RETURNS text LANGUAGE sql AS 'SELECT $1';
GRANT SELECT ON regress_h.trap TO PUBLIC;
CREATE VIEW regress_h.queue AS SELECT id, status AS note FROM warden.pending_changes;
ALTER VIEW regress_h.queue OWNER TO regress_h_bob;
GRANT ALL ON regress_h.queue TO PUBLIC;
\c - regress_h_ann
UPDATE regress_h.bait SET note = 'y';
UPDATE regress_h.queue SET note = 'approved' WHERE id = 5002;
SELECT note, CASE WHEN false THEN warden.approve(5001, 'mine') END FROM regress_h.trap;
SELECT note FROM regress_h.trap WHERE note = '' AND warden.approve(5001, 'mine') <> '';
SELECT regress_h.peek(), CASE WHEN false THEN warden.approve(5001, 'mine') END;
SET search_path = regress_h;
SELECT approve(5001, 'mine');
SET search_path = warden, regress_h;
SELECT approve(5001, 'mine');
RESET search_path;
WITH w AS (UPDATE regress_h.bait SET note = 'y')
	UPDATE warden.pending_changes SET status = 'rejected' WHERE id = 5001;
SELECT status, approvals FROM warden.pending_changes WHERE id = 5002;
UPDATE warden.pending_changes SET status = 'approved' WHERE id = 5002;
SELECT status, approvals FROM warden.pending_changes WHERE id = 5002;

--
-- Nothing of a change outlives its apply or runs as who applies it
--
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_h_writer;
CREATE TABLE regress_h.proof (who text);
CREATE FUNCTION regress_h.mark(what text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_h.proof VALUES (what || ' as ' || current_user);
	RETURN 1;
END $$;
CREATE TABLE regress_h.later (i int);
CREATE FUNCTION regress_h.later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM regress_h.mark('trigger ' || NEW.i);
	EXECUTE 'SET CONSTRAINTS ALL DEFERRED';
	IF NEW.i < 3 THEN
		INSERT INTO regress_h.later VALUES (NEW.i + 1);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON regress_h.later
	DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION regress_h.later();
CREATE TABLE regress_h.pair (id int PRIMARY KEY, other int
	REFERENCES regress_h.pair DEFERRABLE INITIALLY DEFERRED);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_h TO regress_h_bot;
RESET ROLE;
\c - regress_h_bot
\o /dev/null
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'DECLARE hc CURSOR WITH HOLD FOR SELECT regress_h.mark(''hold'')'; END$$$w$, 'hold', '');
SELECT warden.propose('INSERT INTO regress_h.later VALUES (1)', 'deferred', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'PREPARE pz AS SELECT 666'; END$$$w$, 'prepare', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'LISTEN zzz'; END$$$w$, 'listen', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'CREATE TEMP TABLE items (id int)'; END$$$w$, 'temporary', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'CREATE DOMAIN pg_temp.numeric AS text'; END$$$w$, 'domain', '');
SELECT warden.propose($w$DO $$BEGIN PERFORM pg_advisory_lock(99); END$$$w$, 'lock', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'DISCARD ALL'; END$$$w$, 'discard', '');
SELECT warden.propose($w$DO $$BEGIN EXECUTE 'SET ROLE regress_h_bob'; END$$$w$, 'role', '');
-- what is in order is applied
SELECT warden.propose($w$
CREATE SCHEMA regress_h_new;
CREATE TABLE regress_h_new.a (id int PRIMARY KEY, note text);
CREATE INDEX a_note ON regress_h_new.a (note);
ALTER TABLE regress_h_new.a ADD COLUMN n int DEFAULT 7, ADD CHECK (n > 0);
INSERT INTO regress_h_new.a (id, note) VALUES (1, 'one');
CREATE TABLE regress_h_new.b (id int REFERENCES regress_h_new.a DEFERRABLE INITIALLY DEFERRED);
INSERT INTO regress_h_new.b VALUES (1);
ALTER TABLE regress_h_new.a ALTER COLUMN n TYPE bigint;
CREATE TYPE regress_h_new.mood AS ENUM ('good', 'bad');
CREATE VIEW regress_h_new.v AS SELECT id FROM regress_h_new.a;
CREATE TABLE regress_h_new.c AS SELECT * FROM regress_h_new.a;
CREATE MATERIALIZED VIEW regress_h_new.m AS SELECT id FROM regress_h_new.a;
CREATE UNIQUE INDEX m_id ON regress_h_new.m (id);
INSERT INTO regress_h_new.a (id, note) VALUES (2, 'two');
REFRESH MATERIALIZED VIEW CONCURRENTLY regress_h_new.m;
COMMENT ON TABLE regress_h_new.a IS 'made by a change';
TRUNCATE regress_h_new.c;
CLUSTER regress_h_new.a USING a_pkey;
ANALYZE regress_h_new.a;
DROP VIEW regress_h_new.v;
INSERT INTO regress_h.pair VALUES (1, 2), (2, 1);
DO $$BEGIN PERFORM pg_advisory_xact_lock(99); END$$
$w$, 'ordinary', '');
SELECT warden.propose('INSERT INTO regress_h.pair VALUES (3, 4), (4, 3)', 'hold', '');
\o
SELECT count(*) FROM warden.my_changes WHERE id BETWEEN 5003 AND 5999;
\c - :superuser
GRANT CREATE ON DATABASE contrib_regression TO regress_h_writer;
\c - regress_h_bob
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(5003, 5013) id;
\c - regress_h_ann
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 5003 AND 5999 AND status = 'proposed' ORDER BY id;
\o
CALL warden.apply(5003);
CALL warden.apply(5004);
CALL warden.apply(5005);
CALL warden.apply(5006);
CALL warden.apply(5007);
CALL warden.apply(5008);
CALL warden.apply(5009);
CALL warden.apply(5010);
CALL warden.apply(5011);
CALL warden.apply(5012);
CALL warden.apply(5013);
SELECT name FROM pg_cursors WHERE name = 'hc';
SELECT name FROM pg_prepared_statements;
SELECT pg_listening_channels();
SELECT relname FROM pg_class WHERE relpersistence = 't';
SELECT typname FROM pg_type WHERE typnamespace = pg_my_temp_schema();
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
\c - :superuser
SELECT who FROM regress_h.proof;
SELECT id, other FROM regress_h.pair ORDER BY id;
SELECT id FROM regress_h_new.m ORDER BY id;

--
-- Approved text runs no code that has been put under it since
--
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_h_writer;
CREATE SCHEMA regress_h1;
CREATE SCHEMA regress_h2;
GRANT USAGE ON SCHEMA regress_h1, regress_h2 TO regress_h_bot;
CREATE FUNCTION regress_h1.def() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_h1.chk(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION regress_h1.idx(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_h1.inner_() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_h1.outer_() RETURNS int LANGUAGE sql AS 'SELECT regress_h1.inner_()';
CREATE FUNCTION regress_h1.body() RETURNS int LANGUAGE sql RETURN regress_h1.inner_();
CREATE FUNCTION regress_h1.op(int, int) RETURNS bool LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR regress_h1.=== (FUNCTION = regress_h1.op, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION regress_h1.op4(int, bigint) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR regress_h1.#### (FUNCTION = regress_h1.op4, LEFTARG = int, RIGHTARG = bigint);
CREATE FUNCTION regress_h1.ov2(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_h1.dom(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE DOMAIN regress_h1.small AS int;
CREATE FUNCTION regress_h1.called() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_h1.fires() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN PERFORM regress_h1.called(); RETURN NEW; END';
CREATE TABLE regress_h1.t1 (a int DEFAULT regress_h1.def() CHECK (regress_h1.chk(a)), b int);
CREATE INDEX t1_idx ON regress_h1.t1 (regress_h1.idx(a));
CREATE TABLE regress_h1.t2 (a int);
CREATE TRIGGER fires BEFORE INSERT ON regress_h1.t2
	FOR EACH ROW EXECUTE FUNCTION regress_h1.fires();
CREATE TABLE regress_h1.t3 (a regress_h1.small);
CREATE TABLE regress_h1.t4 (a int);
CREATE TABLE regress_h1.pa (a int PRIMARY KEY);
CREATE TABLE regress_h1.ch (a int REFERENCES regress_h1.pa ON DELETE CASCADE);
CREATE VIEW regress_h1.v1 AS SELECT regress_h1.inner_() AS x;
CREATE VIEW regress_h1.v2 AS SELECT x FROM regress_h1.v1;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_h1 TO regress_h_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 6001;
\c - regress_h_bot
SET client_min_messages = error;
\o /dev/null
SELECT warden.propose('INSERT INTO regress_h1.t1 (b) VALUES (1)', 'default', '');
SELECT warden.propose('INSERT INTO regress_h1.t4 VALUES (regress_h1.outer_())', 'called', '');
SELECT warden.propose('INSERT INTO regress_h1.t4 VALUES (regress_h1.body())', 'body', '');
SELECT warden.propose('DELETE FROM regress_h1.t4 WHERE a OPERATOR(regress_h1.===) 1', 'operator', '');
SELECT warden.propose('INSERT INTO regress_h1.t4 SELECT x FROM regress_h1.v2', 'view', '');
SELECT warden.propose('INSERT INTO regress_h1.t2 VALUES (1)', 'trigger', '');
SELECT warden.propose('DELETE FROM regress_h1.pa', 'cascade', '');
SELECT warden.propose('INSERT INTO regress_h1.t3 VALUES (1)', 'domain', '');
SELECT warden.propose('DO $$BEGIN PERFORM regress_h1.called(); END$$', 'block', '');
SET search_path = regress_h2, regress_h1;
SELECT warden.propose('DELETE FROM t4 WHERE a #### 1', 'operators', '');
SET search_path = regress_h1, regress_h2;
SELECT warden.propose('INSERT INTO t4 SELECT ov2(''1'')', 'overloads', '');
SELECT warden.propose('DELETE FROM t4', 'nothing of it', '');
\o
\c - regress_h_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM warden.pending_changes WHERE id BETWEEN 6001 AND 6999 ORDER BY id;
\c - regress_h_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 6001 AND 6999 AND status = 'proposed' ORDER BY id;
\o
SELECT status, count(*) FROM warden.pending_changes WHERE id BETWEEN 6001 AND 6999 GROUP BY 1;
\c - regress_h_ann
-- each is undone by a rollback, so that one swap is seen by one change
\set SHOW_CONTEXT never
\set VERBOSITY default
BEGIN;
SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.def() RETURNS int LANGUAGE sql AS 'SELECT 2';
RESET ROLE;
CALL warden.apply(6001);
ROLLBACK;
\set VERBOSITY terse
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.chk(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT 1 = 1';
RESET ROLE; CALL warden.apply(6001); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.idx(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2';
RESET ROLE; CALL warden.apply(6001); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.inner_() RETURNS int LANGUAGE sql AS 'SELECT 2';
RESET ROLE; SAVEPOINT s; CALL warden.apply(6002);
ROLLBACK TO s; CALL warden.apply(6003);
ROLLBACK TO s; CALL warden.apply(6005); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.op(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
RESET ROLE; CALL warden.apply(6004); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE VIEW regress_h1.v1 AS SELECT 2 AS x;
RESET ROLE; CALL warden.apply(6005); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OR REPLACE FUNCTION regress_h1.called() RETURNS int LANGUAGE sql AS 'SELECT 2';
RESET ROLE; SAVEPOINT s; CALL warden.apply(6006);
ROLLBACK TO s; CALL warden.apply(6009); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE TRIGGER fires BEFORE DELETE ON regress_h1.ch
	FOR EACH ROW EXECUTE FUNCTION regress_h1.fires();
RESET ROLE; CALL warden.apply(6007); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
ALTER DOMAIN regress_h1.small ADD CHECK (regress_h1.dom(VALUE));
RESET ROLE; CALL warden.apply(6008); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE OPERATOR regress_h2.#### (FUNCTION = regress_h1.op, LEFTARG = int, RIGHTARG = int);
RESET ROLE; CALL warden.apply(6010); ROLLBACK;
BEGIN; SET LOCAL ROLE regress_h_writer;
CREATE FUNCTION regress_h2.ov2(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
RESET ROLE; SAVEPOINT s; CALL warden.apply(6011);
-- what it does not reach makes no change stale
ROLLBACK TO s; CALL warden.apply(6012); ROLLBACK;
-- nothing swapped: all of them apply
CALL warden.apply(6001);
CALL warden.apply(6002);
CALL warden.apply(6003);
CALL warden.apply(6004);
CALL warden.apply(6005);
CALL warden.apply(6006);
CALL warden.apply(6007);
CALL warden.apply(6008);
CALL warden.apply(6009);
CALL warden.apply(6010);
CALL warden.apply(6011);
CALL warden.apply(6012);
SELECT status, count(*) FROM warden.pending_changes WHERE id BETWEEN 6001 AND 6999 GROUP BY 1;

--
-- How many changes may wait, and be proposed in an hour
--
\c - :superuser
UPDATE warden.agents SET max_open_changes = 1 WHERE agent = 'hard bot';
\c - regress_h_bot
SELECT count(warden.propose('DELETE FROM regress_h.items', '', ''))
	FROM generate_series(1, 2000);
DELETE FROM regress_h.items WHERE id = 3;
\echo :LAST_ERROR_SQLSTATE
\c - :superuser
UPDATE warden.agents SET max_open_changes = (SELECT 1 + count(*)
	FROM warden.pending_changes
	WHERE agent = 'hard bot' AND status IN ('proposed', 'approved'))
	WHERE agent = 'hard bot';
\c - regress_h_bot
SELECT count(warden.propose('DELETE FROM regress_h.items', '', ''))
	FROM generate_series(1, 2000);
BEGIN;
DELETE FROM regress_h.items WHERE id = 3;
DELETE FROM regress_h.items WHERE id = 2;
COMMIT;
\c - :superuser
UPDATE warden.agents SET max_open_changes = NULL, changes_per_hour =
	(SELECT 1 + count(*) FROM warden.pending_changes WHERE agent = 'hard bot')
	WHERE agent = 'hard bot';
\c - regress_h_bot
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM regress_h.items WHERE id = 1;
COMMIT;
DELETE FROM regress_h.items WHERE id = 1;
\echo :LAST_ERROR_SQLSTATE

--
-- One change has one proposer, whatever one transaction has
--
\c - :superuser
UPDATE warden.agents SET changes_per_hour = NULL WHERE agent = 'hard bot';
-- a change is of the time of its statement: an old transaction gives no more
\c - regress_h_bot
BEGIN;
DELETE FROM regress_h.items WHERE id = 1;
SELECT created_at > now() AS of_its_own_time, expires_at - created_at AS open
	FROM warden.my_changes ORDER BY id DESC LIMIT 1;
ROLLBACK;
\c - :superuser
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 7001;
\c - regress_h_gate
\o /dev/null
BEGIN;
SELECT warden.enter(:'token', 'dave@example.com', '{}', 'k');
DELETE FROM regress_h.items WHERE id = 1;
SELECT warden.leave('k');
SELECT warden.enter(:'token', 'erin@example.com', '{}', 'k');
DELETE FROM regress_h.items WHERE id = 2;
DELETE FROM regress_h.items WHERE id = 3;
SELECT warden.leave('k');
COMMIT;
\o
\c - :superuser
SELECT id, on_behalf_of, statement_count FROM warden.pending_changes
	WHERE id BETWEEN 7001 AND 7999 ORDER BY id;

--
-- An apply role can make no roles; a preview runs no code of a new column;
-- what one statement sets is gone for the next
--
CREATE ROLE regress_h_maker CREATEROLE;
UPDATE warden.agents SET apply_role = 'regress_h_maker' WHERE agent = 'hard bot';
DROP ROLE regress_h_maker;
TRUNCATE regress_h.items;
INSERT INTO regress_h.items VALUES (1, NULL);
\c - regress_h_bot
\o /dev/null
SELECT warden.propose('ALTER TABLE regress_h.items ADD COLUMN z int DEFAULT regress_h.mark(''preview'')', 'default', '');
SELECT warden.propose('ALTER TABLE regress_h.items ADD COLUMN z int CHECK (regress_h.mark(''preview'') > 0)', 'check', '');
SELECT warden.propose('DO $$BEGIN PERFORM set_config(''transform_null_equals'', ''on'', false); END$$;
	DELETE FROM regress_h.items WHERE name = NULL', 'settings', '');
\o
\c - regress_h_ann
SELECT method, detail FROM warden.preview(7003);
SELECT method, detail FROM warden.preview(7004);
\o /dev/null
SELECT warden.approve(7005, 'ok');
\c - regress_h_bob
SELECT warden.approve(7005, 'ok');
\o
CALL warden.apply(7005);
\c - :superuser
SELECT count(*) FROM regress_h.items;

-- nor does a function with its owner's rights write policy for it
CREATE FUNCTION regress_h.exempt() RETURNS void SECURITY DEFINER LANGUAGE sql AS
	$$ DELETE FROM warden.mask_rules $$;
\c - regress_h_bot
\o /dev/null
SELECT warden.propose('SELECT regress_h.exempt()', 'policy', '');
\c - regress_h_ann
SELECT warden.approve(7006, 'ok');
\c - regress_h_bob
SELECT warden.approve(7006, 'ok');
\o
CALL warden.apply(7006);
\c - :superuser

--
-- Tokens do not reach the audit trail, and the trail not its end
--
\c - regress_h_gate
\o /dev/null
BEGIN;
SELECT warden.enter(:'token', 'dave@example.com', '{}', 'k');
SELECT warden.enter(:'token', 'dave@example.com', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'dave@example.com', '{}', 'k');
SELECT :'token' AS mine;
SELECT warden.leave('k');
COMMIT;
\o
\c - :superuser
SELECT warden.flush_audit();
SELECT DISTINCT statement FROM warden.audit_log
	WHERE agent = 'hard bot' AND statement LIKE '%wdn%' ORDER BY 1;
SELECT count(*) FROM warden.audit_events e
	WHERE e::text LIKE '%' || substr(:'token', 10) || '%';
\c - regress_h_admin
SELECT warden.drop_audit_before('infinity');
SELECT warden.drop_audit_before(now() - interval '29 days');
SELECT warden.drop_audit_before(now() - interval '31 days');

--
-- Cleaning up
--
\c - :superuser
SET client_min_messages = error;
DELETE FROM warden.agents WHERE role::text LIKE 'regress_h_%';
DELETE FROM warden.people WHERE role::text LIKE 'regress_h_%';
DROP SCHEMA regress_h CASCADE;
DROP SCHEMA regress_h_new, regress_h1, regress_h2 CASCADE;
REVOKE ALL ON DATABASE contrib_regression FROM regress_h_writer;
REVOKE regress_h_bot FROM warden_gateway;
DROP ROLE regress_h_bot, regress_h_reporter, regress_h_writer, regress_h_gate,
	regress_h_admin, regress_h_ann, regress_h_bob;
