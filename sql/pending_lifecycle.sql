-- A change from its proposal to its end: who may move it, and when not.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_ann_too LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_bob LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_cyd LOGIN IN ROLE warden_reviewer;
CREATE ROLE regress_admin LOGIN IN ROLE warden_admin;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot;
SET ROLE regress_writer;
CREATE TABLE regress_shop.items (id int PRIMARY KEY, name text,
	price numeric CHECK (price >= 0));
INSERT INTO regress_shop.items
	SELECT i, 'item ' || i, 10 * i FROM generate_series(1, 5) i;
GRANT SELECT ON regress_shop.items TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT warden.create_agent('shop bot', 'regress_bot', 'regress_writer');
SELECT warden.add_person('ann', 'regress_ann');
SELECT warden.add_person('ann', 'regress_ann_too');
SELECT warden.add_person('bob', 'regress_bob');
-- Numbers that do not depend on what other tests have proposed.
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 1001;
GRANT USAGE ON SCHEMA regress_shop TO regress_ann, regress_bob;
RESET client_min_messages;

--
-- What an agent may not do
--
\c - regress_bot
SELECT count(*) FROM warden.pending_changes;
SELECT warden.approve(1, 'myself');
CALL warden.apply(1);
SELECT * FROM warden.review(1);
UPDATE warden.pending_changes SET status = 'approved';
SELECT warden.withdraw(0);
SELECT warden.withdraw(NULL);
SELECT warden.propose(NULL, 'nothing', NULL);
SELECT warden.propose('', 'nothing', NULL);
SELECT warden.propose('SELECT 1', 'a read', NULL);
SELECT warden.propose('SELECT * FROM regress_shop.items FOR UPDATE', 'a lock', NULL);
SELECT warden.propose('BEGIN; DELETE FROM regress_shop.items; COMMIT', 'control', NULL);
SELECT warden.propose('SET ROLE regress_writer', 'a role', NULL);
SELECT warden.propose('SET search_path = public', 'a setting', NULL);
SELECT warden.propose('EXECUTE something', 'prepared', NULL);
SELECT warden.propose('GRANT SELECT ON regress_shop.items TO PUBLIC', 'a grant', NULL);
SELECT warden.propose('CREATE TEMP TABLE t (a int)', 'temporary', NULL);
SELECT warden.propose('CREATE SCHEMA s GRANT ALL ON SCHEMA s TO PUBLIC', 'hidden', NULL);
SELECT warden.propose('DELETE FROM warden.pending_changes', 'own tables', NULL);
SELECT warden.propose('DELETE FROM pg_catalog.pg_class', 'catalogs', NULL);
SELECT warden.propose('DELETE FROM regress_shop.nothing', 'missing', NULL);
SELECT warden.propose('\d regress_shop.items', 'psql', NULL);
SELECT warden.propose(E'UPDATE regress_shop.items SET price = 1;\n\nDELETE FORM x', 'syntax', NULL);
SELECT warden.propose('UPDATE regress_shop.items SET price = $2 WHERE id = $1', 'values', NULL);
SELECT warden.propose('CREATE TABLE regress_shop.x AS SELECT * FROM regress_shop.items WHERE id = $1', 'values', NULL);
SELECT count(*) FROM warden.my_changes;

--
-- What it may
--
UPDATE regress_shop.items SET price = 11 WHERE id = 1;
SELECT warden.propose('UPDATE regress_shop.items SET price = 12 WHERE id = 2;
CREATE TABLE regress_shop.notes (id bigint PRIMARY KEY);
INSERT INTO regress_shop.notes (id) VALUES (1), (2)', 'a script', 'three statements');
DELETE FROM regress_shop.items;
UPDATE regress_shop.items SET price = -1 WHERE id = 3;
UPDATE regress_shop.items SET name = 'withdrawn' WHERE id = 4;
UPDATE regress_shop.items SET name = 'rejected' WHERE id = 4;
SELECT warden.propose('DO $$BEGIN RESET ROLE; END$$', 'out', NULL);
SELECT warden.propose('DO $$BEGIN UPDATE warden.pending_changes SET status = ''approved''; END$$', 'approve', NULL);
SELECT warden.withdraw(max(id)) FROM warden.my_changes WHERE statements::text LIKE '%withdrawn%';
SELECT row_number() OVER (ORDER BY id) AS n, status, risk, statement_count,
	approvals, required_approvals, title
	FROM warden.my_changes ORDER BY id;
SELECT statements FROM warden.my_changes WHERE title = 'a script';
SELECT * FROM regress_shop.items ORDER BY id;

--
-- Approval
--
\c - :superuser
SET client_min_messages = error;
\set VERBOSITY sqlstate
-- not a person
SELECT warden.approve(1001, 'superuser');
\c - regress_cyd
-- a reviewer without a person
SELECT warden.approve(1001, 'unmapped');
\c - regress_admin
-- no reviewer
SELECT warden.approve(1001, 'admin');
CALL warden.apply(1001);
\c - regress_ann
CALL warden.apply(1001);
SELECT warden.approve(1001, 'wrong digest', 'abc');
SELECT warden.approve(0, 'missing');
SELECT warden.approve(NULL, 'missing');
SELECT warden.approve(1005, 'withdrawn');
-- only status, one at a time, by a statement of its own
UPDATE warden.pending_changes SET status = 'approved', risk = 'low' WHERE id = 1001;
UPDATE warden.pending_changes SET status = 'approved';
UPDATE warden.pending_changes SET status = 'applied' WHERE id = 1001;
UPDATE warden.pending_changes SET status = 'nonsense' WHERE id = 1001;
DELETE FROM warden.pending_changes;
INSERT INTO warden.change_reviews (change_id, decision, person, role, digest)
	SELECT 1001, 'approve', 'bob', 'regress_bob', digest
	FROM warden.pending_changes WHERE id = 1001;
DO $$BEGIN UPDATE warden.pending_changes SET status = 'approved'
	WHERE title IS NULL; END$$;
DO $$BEGIN PERFORM warden.approve(id, 'x') FROM warden.pending_changes; END$$;
DO $$DECLARE r record; BEGIN
	FOR r IN SELECT warden.approve(1, 'cursor') LOOP NULL; END LOOP; END$$;
DO $$DECLARE r record; BEGIN
	FOR r IN UPDATE warden.pending_changes SET status = 'approved'
		WHERE title IS NULL RETURNING id LOOP NULL; END LOOP; END$$;
DO $$BEGIN CALL warden.apply(1); END$$;
PREPARE approve AS UPDATE warden.pending_changes SET status = 'approved' WHERE id = $1;
EXECUTE approve(1001);
SELECT status, approvals FROM warden.pending_changes WHERE id = 1001;
\set VERBOSITY terse
-- and what goes through
SELECT warden.approve(1001, 'right digest', digest) FROM warden.pending_changes WHERE id = 1001;
SELECT warden.approve(1001, 'twice');
UPDATE warden.pending_changes SET status = 'approved' WHERE id = 1002
	RETURNING status, approvals;
SELECT warden.approve(1003, 'one of two');
SELECT warden.approve(1003, 'the same person');
\c - regress_ann_too
SELECT warden.approve(1003, 'the same person in another role');
SELECT status, approvals FROM warden.pending_changes WHERE id = 1003;
SELECT warden.approve(1004, 'let it fail');
SELECT warden.reject(1006, 'no');
SELECT warden.reject(1006, 'no');
SELECT warden.approve(1006, 'yes');
SELECT warden.approve(1007, 'one');
SELECT warden.approve(1008, 'one');
\c - regress_bob
SELECT warden.approve(1007, 'two');
SELECT warden.approve(1008, 'two');

--
-- Apply
--
\set VERBOSITY default
\set SHOW_CONTEXT never
CALL warden.apply(1001);
\set VERBOSITY sqlstate
CALL warden.apply(1001);
CALL warden.apply(1003);
CALL warden.apply(0);
\set VERBOSITY terse
SELECT id, price FROM regress_shop.items WHERE id = 1;
CALL warden.apply(1002);
SELECT count(*) FROM regress_shop.notes;
\c - regress_cyd
-- not a member of the apply role
CALL warden.apply(1004);
\c - regress_bob
-- fails, stays approved, fails for good the fifth time
CALL warden.apply(1004);
SELECT status, attempts, last_sqlstate FROM warden.pending_changes WHERE id = 1004;
BEGIN;
CALL warden.apply(1004);
ROLLBACK;
SELECT status, attempts FROM warden.pending_changes WHERE id = 1004;
CALL warden.apply(1004);
CALL warden.apply(1004);
CALL warden.apply(1004);
CALL warden.apply(1004);
CALL warden.apply(1004);
SELECT status, attempts, last_error FROM warden.pending_changes WHERE id = 1004;
-- a change neither leaves its role nor approves another
CALL warden.apply(1007);
CALL warden.apply(1008);
SELECT current_user, status FROM warden.pending_changes WHERE id = 1003;
-- in a transaction block it is part of the transaction
SELECT warden.approve(1003, 'two of two');
BEGIN;
CALL warden.apply(1003);
SELECT count(*) FROM regress_shop.items;
ROLLBACK;
SELECT count(*) FROM regress_shop.items;
SELECT status FROM warden.pending_changes WHERE id = 1003;
SELECT warden.reject(1003, 'on second thoughts');
SELECT decision, person, role, comment FROM warden.change_reviews
	WHERE change_id = 1003 ORDER BY id;

--
-- A change is bound to what it was about
--
\c - regress_bot
UPDATE regress_shop.items SET price = 20 WHERE id = 1;
UPDATE regress_shop.items SET price = 21 WHERE id = 1;
\c - :superuser
\c - regress_ann
SELECT warden.approve(1009, NULL);
\c - :superuser
ALTER TABLE regress_shop.items ADD COLUMN added int;
CREATE TABLE regress_shop.unrelated ();
\c - regress_ann
\set VERBOSITY default
CALL warden.apply(1009);
SELECT warden.approve(1010, NULL);
\set VERBOSITY terse
SELECT status FROM warden.pending_changes WHERE id IN (1009, 1010) ORDER BY id;
-- edits of a row behind the library's back show in the digest
\c - :superuser
\set VERBOSITY terse
UPDATE warden.change_statements SET statement = 'DROP TABLE regress_shop.items';
ALTER TABLE warden.change_statements DISABLE TRIGGER guard_record;
UPDATE warden.change_statements SET statement = 'DROP TABLE regress_shop.items'
	WHERE change_id = 1010;
ALTER TABLE warden.change_statements ENABLE ALWAYS TRIGGER guard_record;
\c - regress_bob
SELECT warden.approve(1010, NULL);

--
-- The rules
--
\c - regress_admin
UPDATE warden.approval_rules SET approvals = 0 WHERE risk = 'low';
UPDATE warden.approval_rules SET approvals = 3 WHERE risk = 'low';
INSERT INTO warden.approval_rules (risk, scope, approvals)
	VALUES ('low', 'schema:regress_shop', 2);
UPDATE warden.review_rules SET level = 'off' WHERE rule = 'dml.no_where';
SELECT risk, scope, approvals, changed FROM warden.approval_rules
	ORDER BY scope, risk;
\c - regress_bot
UPDATE regress_shop.items SET price = 1;
SELECT risk, required_approvals, statements -> 0 -> 'findings' AS findings
	FROM warden.my_changes ORDER BY id DESC LIMIT 1;
\c - regress_admin
UPDATE warden.approval_rules SET approvals = 1 WHERE risk = 'low' AND scope = '';
DELETE FROM warden.approval_rules WHERE scope <> '';
UPDATE warden.review_rules SET level = 'error' WHERE rule = 'dml.no_where';

--
-- Administrators
--
\c - regress_ann
UPDATE warden.pending_changes SET status = NULL WHERE id = 1011;
-- a subquery that finds no change must not look as if something was done
SELECT warden.review(NULL);
SELECT warden.preview(NULL);
SELECT warden.approve(NULL, NULL);
SELECT warden.reject(NULL, NULL);
SELECT warden.revert(NULL);
CALL warden.apply(NULL);
SELECT warden.break_glass(1011, 'urgent');
SELECT warden.resolve(1011, 'applied', 'no reason');
SELECT warden.purge(now());
\c - regress_admin
SELECT warden.break_glass(1011, '');
SELECT warden.break_glass(1011, 'not a member of the apply role');
SELECT warden.break_glass(1006, 'rejected');
DO $$BEGIN PERFORM warden.break_glass(1011, 'nested'); END$$;
SELECT warden.resolve(1011, 'applied', 'not unknown');
SELECT warden.resolve(1011, 'maybe', 'no outcome');
SELECT warden.resolve(1011, NULL, 'no outcome');
SELECT warden.resolve(1011, 'applied', NULL);
SELECT warden.resolve(NULL, 'applied', 'no number');
SELECT warden.purge(NULL);
INSERT INTO warden.approval_rules (risk, scope, approvals) VALUES (NULL, NULL, NULL);
INSERT INTO warden.approval_rules (risk, scope, approvals) VALUES ('low', NULL, 1);
\c - :superuser
GRANT regress_writer TO regress_admin;
\c - regress_admin
SELECT warden.break_glass(1011, 'the shop is down');
SELECT status, approvals, applied_by, broken_glass FROM warden.pending_changes WHERE id = 1011;
SELECT warden.purge(now() + interval '1 day');
SELECT warden.purge('2001-01-01');
SELECT warden.purge(now()) > 5 AS purged;
SELECT id, status FROM warden.pending_changes WHERE id BETWEEN 1001 AND 1011 ORDER BY id;

--
-- Scripts as tools write them
--
\c - regress_bot
-- what statements make besides tables
SELECT warden.propose($$CREATE TABLE regress_shop.serials (id serial PRIMARY KEY, a int);
CREATE INDEX serials_index ON regress_shop.serials (a);
ALTER INDEX regress_shop.serials_index RENAME TO serials_by_a;
COMMENT ON INDEX regress_shop.serials_pkey IS 'its key';
ALTER SEQUENCE regress_shop.serials_id_seq RESTART 10;
CREATE STATISTICS regress_shop.serials_both ON id, a FROM regress_shop.serials;
ALTER STATISTICS regress_shop.serials_both SET STATISTICS 10$$, 'a table', NULL) > 0 AS proposed;
SELECT warden.propose('CREATE TABLE regress_shop.serials (id serial); DROP TABLE regress_shop.serial_ids', 'another', NULL);
\c - :superuser
SET ROLE regress_writer;
CREATE SEQUENCE regress_shop.stock;
CREATE TABLE regress_shop.closed (id int);
CREATE FUNCTION regress_shop.restock(int) RETURNS int LANGUAGE plpgsql AS
	$$BEGIN UPDATE regress_shop.items SET price = $1; RETURN 1; END$$;
RESET ROLE;
\c - regress_bot
-- what has got another name or schema, which needs the same rights as before
SELECT warden.propose($$ALTER TABLE regress_shop.items RENAME TO things;
UPDATE regress_shop.things SET price = 1 WHERE id = 1;
ALTER TABLE regress_shop.things RENAME TO items$$, 'there and back', NULL) > 0 AS proposed,
	warden.propose($$CREATE SCHEMA regress_old; ALTER TABLE regress_shop.items SET SCHEMA regress_old;
DELETE FROM regress_old.items WHERE id = 1$$, 'put away', NULL) > 0 AS proposed;
SELECT warden.propose($$ALTER TABLE regress_shop.closed RENAME TO shut; ALTER TABLE regress_shop.shut RENAME TO things;
UPDATE regress_shop.things SET id = 1$$, 'a closed one', NULL);
SELECT warden.propose($$ALTER TABLE regress_shop.items RENAME TO things; ALTER TABLE regress_shop.closed RENAME TO items;
INSERT INTO regress_shop.things (id) SELECT id FROM regress_shop.items$$, 'in the place of another', NULL);
SELECT warden.propose($$ALTER TABLE regress_shop.closed SET SCHEMA public;
INSERT INTO regress_shop.items (id) SELECT id FROM closed$$, 'from there', NULL);
SELECT warden.propose($$ALTER SCHEMA regress_shop RENAME TO regress_store;
DELETE FROM regress_store.closed$$, 'all of them', NULL);
SELECT warden.propose($$ALTER SCHEMA regress_shop RENAME TO regress_store; ALTER SCHEMA regress_store RENAME TO regress_mall;
DELETE FROM regress_mall.closed$$, 'all of them twice', NULL);
-- what writes need not be alone
SELECT warden.propose($$SELECT setval('regress_shop.stock', max(id)) FROM regress_shop.items$$, 'from a table', NULL) > 0 AS proposed,
	warden.propose('SELECT * FROM regress_shop.restock(3)', 'in FROM', NULL) > 0 AS proposed;
SELECT warden.propose('SELECT count(*), random() FROM regress_shop.items', 'only reads', NULL);
SELECT warden.propose('SELECT regress_shop.restock(id) FROM regress_shop.items FOR UPDATE', 'locks, too', NULL);
-- what is not seen
\set VERBOSITY default
SELECT warden.propose(E'\uFEFFDROP TABLE regress_shop.items', 'a mark', NULL);
\set VERBOSITY terse

-- What became of a change outlives it, with who did it.
\c - :superuser
SELECT warden.flush_audit();
SELECT outcome, on_behalf_of, login_role,
		CASE outcome WHEN 'broken_glass' THEN detail END AS reason
	FROM warden.audit_log WHERE kind = 'action' AND
		(change_id IN (1001, 1011) OR outcome = 'purged' AND login_role = 'regress_admin')
	ORDER BY id;
SET client_min_messages = error;
SELECT warden.disable_agent('shop bot');
DROP SCHEMA regress_shop CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person IN ('ann', 'bob');
DELETE FROM warden.agents WHERE agent = 'shop bot';
DROP ROLE regress_bot, regress_writer, regress_ann, regress_ann_too,
	regress_bob, regress_cyd, regress_admin;
