-- warden.divert_report = error: recorded in a transaction of its own, then an
-- error, for clients that take no rows for a lost write.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_rita LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot;
SET ROLE regress_writer;
CREATE TABLE regress_shop.items (id int PRIMARY KEY, name text, price numeric);
CREATE TABLE regress_shop.secret (id int PRIMARY KEY);
INSERT INTO regress_shop.items SELECT i, 'item ' || i, 10 * i FROM generate_series(1, 5) i;
GRANT SELECT ON regress_shop.items TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_shop.items.name IS 'name';
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('loud bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('rita@example.com', 'regress_rita');
SELECT FROM warden.add_person('ann@example.com', :'USER');
SELECT warden.issue_token('loud bot', 'ann@example.com') AS token \gset
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2501;

--
-- Nothing is recorded where the statement is refused or fails
--
\c - regress_bot
SET warden.divert_report = 'loud';
SET warden.divert_report = error;
INSERT INTO regress_shop.secret VALUES (1);
UPDATE regress_shop.items SET nothing = 1;
UPDATE regress_shop.items SET name = 'A****' WHERE id = 1;
DO $$BEGIN DELETE FROM regress_shop.items; END$$;
DO $$BEGIN RAISE EXCEPTION 'recorded as pending change 1' USING errcode = '01WD1'; END$$;
GRANT SELECT ON regress_shop.items TO PUBLIC;
SELECT id FROM warden.my_changes WHERE id < 2501;

--
-- Recorded, whatever becomes of the transaction
--
\set VERBOSITY default
UPDATE regress_shop.items SET price = 1 WHERE id = 1 RETURNING price;
\set VERBOSITY terse
PREPARE up (int, text) AS UPDATE regress_shop.items SET name = $2 WHERE id = $1;
EXECUTE up (3, 'Three');
ALTER TABLE regress_shop.items ADD colour text;
BEGIN;
DELETE FROM regress_shop.items WHERE id = 1;
ROLLBACK;
BEGIN READ ONLY;
SAVEPOINT a;
DELETE FROM regress_shop.items WHERE id = 2;
ROLLBACK TO a;
DELETE FROM regress_shop.items WHERE id = 3;
COMMIT;
-- one transaction, one way
RESET warden.divert_report;
BEGIN;
DELETE FROM regress_shop.items WHERE id = 4;
SET warden.divert_report = error;
DELETE FROM regress_shop.items WHERE id = 5;
ROLLBACK;
RESET warden.divert_report;
UPDATE regress_shop.items SET price = 1 WHERE id = 1 RETURNING price;

-- change 2507 is gone: it went with its transaction
SELECT c.id, c.status, c.risk, c.required_approvals, s ->> 'statement' AS statement, s -> 'parameters' AS parameters,
	jsonb_path_query_array(s, '$.findings[*].rule') AS rules
	FROM warden.my_changes c, jsonb_array_elements(statements) s ORDER BY id;

--
-- Through a gateway: the same person, asserted or bound
--
\c - :superuser
ALTER ROLE regress_gate SET warden.divert_report = error;
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', NULL, '{}', 'key');
DELETE FROM regress_shop.items WHERE id = 2;
ROLLBACK;

-- the same row, whichever way it was recorded
\c - :superuser
SELECT count(DISTINCT (agent, on_behalf_of, asserted, token_issuer, agent_role, apply_role, risk,
		statement_count, approvals, required_approvals, status, context,
		expires_at - created_at)) AS kinds,
	count(DISTINCT digest) AS digests
	FROM warden.pending_changes WHERE id IN (2501, (SELECT max(id) - 1 FROM warden.pending_changes));
SELECT agent, on_behalf_of, asserted, token_issuer::text = :'superuser' AS mine, agent_role, apply_role
	FROM warden.pending_changes ORDER BY id DESC LIMIT 1;
SELECT FROM warden.flush_audit();
SELECT outcome, sqlstate, change_id, statement FROM warden.audit_log
	WHERE agent = 'loud bot' AND (statement ~ '^(UPDATE|DELETE|ALTER|EXECUTE|DO)') ORDER BY id;

--
-- What an agent may have waiting is counted
--
UPDATE warden.agents SET max_open_changes = (SELECT 1 + count(*) FROM warden.pending_changes
	WHERE agent = 'loud bot' AND status = 'proposed') WHERE agent = 'loud bot';
\c - regress_bot
SET warden.divert_report = error;
DELETE FROM regress_shop.items WHERE id = 4;
DELETE FROM regress_shop.items WHERE id = 5;
SELECT max(id) - 2500 AS last FROM warden.my_changes;

--
-- Four eyes and apply are as ever
--
\c - :superuser
SELECT warden.approve(2501, NULL);
\c - regress_rita
SELECT warden.approve(2501, NULL);
CALL warden.apply(2501);
SELECT price FROM regress_shop.items WHERE id = 1;

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_shop CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person IN ('rita@example.com', 'ann@example.com');
SELECT FROM warden.disable_agent('loud bot');
DELETE FROM warden.agents WHERE agent = 'loud bot';
DROP ROLE regress_bot, regress_writer, regress_gate, regress_rita;
