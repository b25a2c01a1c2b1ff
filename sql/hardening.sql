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
