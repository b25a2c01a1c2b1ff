-- How many must approve, by risk, schema and label; and how long there is to
-- approve, and then to apply.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_r_bot LOGIN;
CREATE ROLE regress_r_writer;
CREATE ROLE regress_r_ann LOGIN IN ROLE warden_reviewer, regress_r_writer;
CREATE ROLE regress_r_bob LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_r AUTHORIZATION regress_r_writer;
CREATE SCHEMA regress_r_money AUTHORIZATION regress_r_writer;
GRANT USAGE ON SCHEMA regress_r, regress_r_money TO regress_r_bot;
SET ROLE regress_r_writer;
CREATE TABLE regress_r.plain (id int PRIMARY KEY, n int);
CREATE TABLE regress_r.people (id int PRIMARY KEY, ssn text, n int);
CREATE TABLE regress_r.more () INHERITS (regress_r.people);
CREATE VIEW regress_r.seen AS SELECT id, n FROM regress_r.people;
CREATE VIEW regress_r.seen_again AS SELECT * FROM regress_r.seen;
CREATE TABLE regress_r_money.account (id int PRIMARY KEY, n int);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_r, regress_r_money TO regress_r_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_r.people.ssn IS 'ssn';
-- both hold; which of them is the stricter one does not matter here
SECURITY LABEL FOR warden ON COLUMN regress_r.more.ssn IS 'secret';
SECURITY LABEL FOR warden ON ROLE regress_r_bot IS 'agent';
SELECT FROM warden.create_agent('rules bot', 'regress_r_bot', 'regress_r_writer');
SELECT FROM warden.add_person('r ann', 'regress_r_ann');
SELECT FROM warden.add_person('r bob', 'regress_r_bob');
INSERT INTO warden.approval_rules (risk, scope, approvals) VALUES
	('low', 'schema:regress_r_money', 2), ('low', 'label:ssn', 3), ('moderate', 'label:email', 4);
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2201;
\c - regress_r_bot
\o /dev/null
SELECT warden.propose('UPDATE regress_r.plain SET n = 1 WHERE id = 1', 'by risk: low', '');
SELECT warden.propose('TRUNCATE regress_r.plain', 'by risk: high', '');
SELECT warden.propose('UPDATE regress_r_money.account SET n = 1 WHERE id = 1', 'by schema', '');
SELECT warden.propose('UPDATE regress_r.people SET n = 1 WHERE id = 1', 'by label', '');
SELECT warden.propose('UPDATE regress_r.plain SET n = 1 WHERE id = 1;
	UPDATE regress_r_money.account SET n = 1 WHERE id = 1;
	DELETE FROM regress_r.people WHERE id = 1', 'the highest of them', '');
SELECT warden.propose('DROP TABLE regress_r_money.account', 'of another risk', '');
SELECT warden.propose('UPDATE regress_r.plain SET n = ' || i || ' WHERE id = 1', 'clock ' || i, '') FROM generate_series(1, 3) i;
\o
SELECT id, title, risk, required_approvals FROM warden.my_changes WHERE id BETWEEN 2201 AND 2206 ORDER BY id;
-- by the label of a table behind views
BEGIN;
SELECT warden.propose('UPDATE regress_r.seen_again SET n = 1 WHERE id = 1', 'by label, through views', '') > 0 AS proposed;
SELECT title, risk, required_approvals FROM warden.my_changes ORDER BY id DESC LIMIT 1;
-- behind a thousand other statements, too
SELECT warden.propose(repeat('DELETE FROM regress_r.plain WHERE id = 1;', 1000) ||
	'DELETE FROM regress_r.seen_again WHERE id = 1', 'by label, at the end', '') > 0 AS proposed;
SELECT title, risk, required_approvals FROM warden.my_changes ORDER BY id DESC LIMIT 1;
ROLLBACK;
\c - :superuser
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2210;

--
-- Two clocks: the time to approve ends, and an approval begins another
--
\c - :superuser
ALTER TABLE warden.pending_changes DISABLE TRIGGER guard_change;
UPDATE warden.pending_changes SET expires_at = now() + '1 hour' WHERE id = 2207;
UPDATE warden.pending_changes SET expires_at = now() - '1 second'::interval WHERE id = 2208;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_change;
\c - regress_r_ann
SELECT warden.approve(2207, 'in time');
SELECT expires_at - decided_at AS to_apply FROM warden.pending_changes WHERE id = 2207;
\set VERBOSITY default
SELECT warden.approve(2208, 'too late');
\set VERBOSITY terse
UPDATE warden.pending_changes SET status = 'approved' WHERE id = 2208;
SELECT id, status FROM warden.open_changes WHERE id BETWEEN 2207 AND 2209 ORDER BY id;
SELECT warden.approve(2209, 'in time');
-- no transaction stops the clock
\c - regress_r_bot
\o /dev/null
SELECT warden.propose('UPDATE regress_r.plain SET n = 4 WHERE id = 1', 'clock 4', '');
\o
\c - :superuser
ALTER TABLE warden.pending_changes DISABLE TRIGGER guard_change;
UPDATE warden.pending_changes SET expires_at = clock_timestamp() + '0.5 s' WHERE id = 2210;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_change;
\c - regress_r_ann
BEGIN;
SELECT FROM pg_sleep(0.6);
SELECT id FROM warden.open_changes WHERE id = 2210;
SELECT warden.approve(2210, 'too late');
ROLLBACK;
\c - :superuser
ALTER TABLE warden.pending_changes DISABLE TRIGGER guard_change;
UPDATE warden.pending_changes SET expires_at = now() - '1 second'::interval WHERE id = 2209;
ALTER TABLE warden.pending_changes ENABLE ALWAYS TRIGGER guard_change;
\c - regress_r_ann
CALL warden.apply(2207);
\set VERBOSITY default
CALL warden.apply(2209);
\set VERBOSITY terse
-- stored when it is met
SELECT id, status FROM warden.pending_changes WHERE id BETWEEN 2207 AND 2209 ORDER BY id;
\c - regress_r_bot
SELECT id, status FROM warden.my_changes WHERE id BETWEEN 2207 AND 2209 ORDER BY id;

\c - :superuser
SET client_min_messages = error;
DELETE FROM warden.approval_rules WHERE scope <> '';
DROP SCHEMA regress_r, regress_r_money CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_r_bot IS NULL;
DELETE FROM warden.people WHERE person LIKE 'r %';
DELETE FROM warden.agents WHERE agent = 'rules bot';
DROP ROLE regress_r_bot, regress_r_writer, regress_r_ann, regress_r_bob;
