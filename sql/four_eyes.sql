-- Whoever had a hand in a proposal does not approve it.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_bot;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_bob LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_iris LOGIN IN ROLE warden_reviewer, warden_admin;
CREATE ROLE regress_iris_too LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot;
SET ROLE regress_writer;
CREATE TABLE regress_shop.items (id int PRIMARY KEY, price int);
INSERT INTO regress_shop.items VALUES (1, 1);
CREATE FUNCTION regress_shop.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON regress_shop.items TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('shop bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('ann@example.com', 'regress_ann');
SELECT FROM warden.add_person('bob@example.com', 'regress_bob');
SELECT FROM warden.add_person('iris@example.com', 'regress_iris');
SELECT FROM warden.add_person('iris@example.com', 'regress_iris_too');
SELECT FROM warden.allow_delegation('shop bot', 'ann@*');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 4001;
\c - regress_iris
SELECT warden.issue_token('shop bot', 'Bob@example.com') AS bound \gset
SELECT warden.issue_token('shop bot') AS open \gset

\c - regress_gate
-- for bob, who is bound to the token
BEGIN;
SELECT warden.enter(:'bound', NULL, '{}', 'key');
UPDATE regress_shop.items SET price = 2 WHERE id = 1;
SELECT warden.leave('key');
COMMIT;
-- for ann, whom the request names
BEGIN;
SELECT warden.enter(:'open', 'ann@example.com', '{}', 'key');
SELECT warden.propose('UPDATE regress_shop.items SET price = 3 WHERE id = 1', 'for ann', NULL);
SELECT id, on_behalf_of FROM warden.my_changes;
SELECT warden.withdraw(4001);
ROLLBACK;
BEGIN;
SELECT warden.enter(:'open', 'ann@example.com', '{}', 'key');
SELECT warden.propose('UPDATE regress_shop.items SET price = 3 WHERE id = 1', 'for ann', NULL);
SELECT warden.leave('key');
COMMIT;
-- a call of a function, and a truncate
BEGIN;
SELECT warden.enter(:'bound', NULL, '{}', 'key');
SELECT warden.propose('SELECT regress_shop.f()', 'a call', NULL);
TRUNCATE regress_shop.items;
SELECT id, on_behalf_of, risk FROM warden.my_changes ORDER BY id;
SELECT warden.leave('key');
COMMIT;

\c - :superuser
SELECT id, agent, on_behalf_of, asserted, token_issuer, risk, required_approvals
	FROM warden.pending_changes WHERE id BETWEEN 4001 AND 4999 ORDER BY id;

\set VERBOSITY default
\set SHOW_CONTEXT never
\c - regress_bob
-- bob stands behind the token, however his name is spelled
SELECT warden.approve(4001, NULL);
\c - regress_iris
-- iris issued it, in whatever role she comes
SELECT warden.approve(4001, NULL);
\c - regress_iris_too
SELECT warden.approve(4001, NULL);
-- which is so whatever becomes of the first one
\c - :superuser
SET client_min_messages = error;
DELETE FROM warden.people WHERE role = 'regress_iris'::regrole;
\c - regress_iris_too
SELECT warden.approve(4001, NULL);
\c - :superuser
SET client_min_messages = error;
SELECT FROM warden.add_person('iris@example.com', 'regress_iris');
\c - regress_ann
SELECT warden.approve(4001, NULL);
-- ann was named
SELECT warden.approve(4003, NULL);
-- but only by the request: whom else it could have named is out too
\c - :superuser
SET client_min_messages = error;
DELETE FROM warden.people WHERE role = 'regress_iris_too'::regrole;
SELECT FROM warden.add_person('ann@other.example.com', 'regress_iris_too');
\c - regress_iris_too
SELECT warden.approve(4003, NULL);
\c - regress_bob
SELECT warden.approve(4003, NULL);
CALL warden.apply(4003);
\set VERBOSITY terse
\c - regress_ann
CALL warden.apply(4001);
SELECT price FROM regress_shop.items;

-- a function replaced after approval is not what was approved
SELECT warden.approve(4004, NULL);
\c - regress_iris_too
SELECT warden.approve(4004, NULL);
\c - :superuser
CREATE OR REPLACE FUNCTION regress_shop.f() RETURNS int LANGUAGE sql AS 'SELECT 2';
\c - regress_ann
\set VERBOSITY default
CALL warden.apply(4004);
\set VERBOSITY terse

-- an approval of somebody who is no reviewer any more does not count
SELECT warden.approve(4005, NULL);
\c - regress_iris_too
SELECT warden.approve(4005, NULL);
\c - :superuser
REVOKE warden_reviewer FROM regress_iris_too;
\c - regress_ann
\set VERBOSITY default
CALL warden.apply(4005);
SELECT count(*) FROM regress_shop.items;

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_shop CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person LIKE '%@example.com';
SELECT FROM warden.disable_agent('shop bot');
DELETE FROM warden.agents WHERE agent = 'shop bot';
DROP ROLE regress_gate, regress_bot, regress_writer, regress_ann, regress_bob, regress_iris, regress_iris_too;
