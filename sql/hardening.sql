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
CREATE VIEW regress_h.queue AS SELECT id, status AS note FROM warden.pending_changes;
ALTER VIEW regress_h.queue OWNER TO regress_h_bob;
GRANT ALL ON regress_h.queue TO PUBLIC;
\c - regress_h_ann
UPDATE regress_h.bait SET note = 'y';
UPDATE regress_h.queue SET note = 'approved' WHERE id = 5002;
WITH w AS (UPDATE regress_h.bait SET note = 'y')
	UPDATE warden.pending_changes SET status = 'rejected' WHERE id = 5001;
SELECT status, approvals FROM warden.pending_changes WHERE id = 5002;
UPDATE warden.pending_changes SET status = 'approved' WHERE id = 5002;
SELECT status, approvals FROM warden.pending_changes WHERE id = 5002;

--
-- Cleaning up
--
\c - :superuser
SET client_min_messages = error;
DELETE FROM warden.agents WHERE role::text LIKE 'regress_h_%';
DELETE FROM warden.people WHERE role::text LIKE 'regress_h_%';
DROP SCHEMA regress_h CASCADE;
REVOKE regress_h_bot FROM warden_gateway;
DROP ROLE regress_h_bot, regress_h_reporter, regress_h_writer, regress_h_gate,
	regress_h_admin, regress_h_ann, regress_h_bob;
