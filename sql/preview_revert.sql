-- What a reviewer can see before, and undo afterwards.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_bob LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_cyd LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot, regress_ann, regress_bob;
SET ROLE regress_writer;
CREATE TABLE regress_shop.items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text, price numeric CHECK (price >= 0),
	double numeric GENERATED ALWAYS AS (price * 2) STORED, tags text[], doc json, gone int);
ALTER TABLE regress_shop.items DROP COLUMN gone;
INSERT INTO regress_shop.items (name, price, tags, doc)
	SELECT 'it"em, ' || i, i, ARRAY['a,b', NULL, '"'], '{"a" : null}' FROM generate_series(1, 5) i;
CREATE TABLE regress_shop.orders (id int PRIMARY KEY);
INSERT INTO regress_shop.orders VALUES (5);
CREATE TABLE regress_shop.lines (id int PRIMARY KEY,
	o int REFERENCES regress_shop.orders ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO regress_shop.lines VALUES (1, 5);
CREATE TABLE regress_shop.plain (id int);
CREATE TABLE regress_shop.traced (id int PRIMARY KEY);
CREATE FUNCTION regress_shop.trace() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE NOTICE 'fired'; RETURN NEW; END$$;
CREATE TRIGGER trace BEFORE INSERT ON regress_shop.traced
	FOR EACH ROW EXECUTE FUNCTION regress_shop.trace();
CREATE FUNCTION regress_shop.shout(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN RAISE NOTICE 'shouted'; RETURN upper($1); END$$;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_shop TO regress_bot, regress_ann, regress_bob;
RESET ROLE;
CREATE TABLE regress_before AS SELECT id, i::text AS row FROM regress_shop.items i;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('undo bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('ann', 'regress_ann');
SELECT FROM warden.add_person('bob', 'regress_bob');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 3001;

\c - regress_bot
SELECT warden.propose($$
UPDATE regress_shop.items SET price = price + 1;
ALTER TABLE regress_shop.items ALTER COLUMN name TYPE varchar(40);
CREATE TABLE regress_shop.more (id int PRIMARY KEY);
INSERT INTO regress_shop.more VALUES (1), (2);
CREATE INDEX ON regress_shop.items (name);
UPDATE regress_shop.items SET name = regress_shop.shout(name) WHERE id = 1;
INSERT INTO regress_shop.traced VALUES (1);
DO $do$BEGIN RAISE NOTICE 'done'; END$do$ $$, 'many', NULL);
SELECT warden.propose('INSERT INTO regress_shop.lines VALUES (2, 77); INSERT INTO regress_shop.lines VALUES (3, 1)', 'deferred', NULL);
SELECT warden.propose('VACUUM regress_shop.items', 'barred', NULL);
SELECT warden.propose($$
UPDATE regress_shop.items SET price = price * 10, name = 'x' WHERE id < 4;
DELETE FROM regress_shop.items WHERE id = 2;
INSERT INTO regress_shop.items (name, price) VALUES ('new', 1);
UPDATE regress_shop.items SET price = 7 WHERE id = 1$$, 'to be undone', NULL);
SELECT warden.propose('DELETE FROM regress_shop.orders WHERE id = 5', 'cascades', NULL);
SELECT warden.propose('INSERT INTO regress_shop.plain VALUES (1)', 'no key', NULL);

--
-- Preview
--
SELECT * FROM warden.preview(3001);
SELECT warden.revert(3004);
\c - regress_cyd
SELECT * FROM warden.preview(3001);
\c - regress_ann
SELECT * FROM warden.preview(0);
DO $$BEGIN PERFORM * FROM warden.preview(3001); END$$;
SELECT ordinal, command, method, rows, duration_ms IS NOT NULL AS timed, locks, rewritten, detail
	FROM warden.preview(3001);
SELECT ordinal, command, method, rows, detail FROM warden.preview(3002);
SELECT ordinal, command, method, rows, detail FROM warden.preview(3003);
SELECT ordinal, command, method, rows, rewritten, detail FROM warden.preview(3004);
-- the first rows, before and after
SELECT ordinal, jsonb_pretty(sample) AS sample FROM warden.preview(3004);
-- what the apply role may not read is not shown
\c - :superuser
ALTER TABLE regress_shop.items OWNER TO CURRENT_USER;
GRANT INSERT, UPDATE, DELETE ON regress_shop.items TO regress_writer;
GRANT SELECT (id, name, price) ON regress_shop.items TO regress_writer;
\c - regress_ann
SELECT ordinal, sample FROM warden.preview(3004) WHERE sample IS NOT NULL;
\c - :superuser
ALTER TABLE regress_shop.items OWNER TO regress_writer;
ALTER TABLE regress_shop.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE regress_shop.orders FORCE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON regress_shop.orders USING (true);
\c - regress_ann
SELECT ordinal, method, rows, sample FROM warden.preview(3005);
\c - :superuser
DROP POLICY all_of_it ON regress_shop.orders;
ALTER TABLE regress_shop.orders NO FORCE ROW LEVEL SECURITY;
ALTER TABLE regress_shop.orders DISABLE ROW LEVEL SECURITY;
\c - regress_ann
SELECT ordinal, method, rows, sample FROM warden.preview(3005);
SELECT to_regclass('regress_shop.more') IS NULL AS undone, sum(price) FROM regress_shop.items;
SELECT current_user, status FROM warden.pending_changes WHERE id = 3001;

--
-- Revert
--
SELECT warden.revert(3004);
SELECT warden.approve(3004, NULL);
SELECT warden.approve(3005, NULL);
SELECT warden.approve(3006, NULL);
\c - regress_bob
CALL warden.apply(3004);
CALL warden.apply(3005);
CALL warden.apply(3006);
SELECT id, name, price, double FROM regress_shop.items ORDER BY id;
SELECT warden.revert(3004);
SELECT warden.revert(3004);
SELECT * FROM warden.change_images;
SELECT agent, on_behalf_of, agent_role, title, reverts FROM warden.pending_changes WHERE id = 3007;
SELECT ordinal, statement, expected_rows FROM warden.change_statements
	WHERE change_id = 3007 ORDER BY ordinal;
-- whoever asks for it does not approve it
SELECT warden.approve(3007, NULL);
\c - regress_ann
SELECT warden.approve(3007, NULL);
SELECT warden.approve(3008, NULL);
CALL warden.apply(3007);
\c - :superuser
SELECT i.id, i::text = b.row AS same FROM regress_shop.items i
	FULL JOIN regress_before b USING (id) ORDER BY id;
\c - regress_ann
\set VERBOSITY default
-- rows that changed since are not overwritten
CALL warden.apply(3008);
-- a revert can be reverted
SELECT warden.revert(3007);

--
-- Tables like others, and what of DDL is not run
--
\c - :superuser
SET ROLE regress_writer;
CREATE TABLE regress_shop.coded (name text CHECK (regress_shop.shout(name) <> ''));
GRANT SELECT ON regress_shop.coded TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 3101;
\c - regress_bot
SELECT warden.propose($$
CREATE TABLE regress_shop.like_plain (LIKE regress_shop.plain);
CREATE TABLE regress_shop.like_items (LIKE regress_shop.items INCLUDING ALL, more int);
INSERT INTO regress_shop.like_items (name, price) VALUES ('copy', 1);
CREATE TABLE regress_shop.like_coded (LIKE regress_shop.coded INCLUDING ALL);
SELECT id INTO regress_shop.ids FROM regress_shop.items$$, 'tables like others', NULL);
\c - regress_ann
SELECT ordinal, method, rows, detail FROM warden.preview(3101);
-- what was not run is not there for what follows, which is no failure
\c - regress_bot
SELECT warden.propose($$
CREATE VIEW regress_shop.seen AS SELECT id FROM regress_shop.items;
COMMENT ON VIEW regress_shop.seen IS 'of items';
CREATE TABLE regress_shop.other (id int PRIMARY KEY);
INSERT INTO regress_shop.plain SELECT id FROM regress_shop.seen;
ALTER TABLE regress_shop.other REPLICA IDENTITY FULL$$, 'a view', NULL);
\c - regress_ann
SELECT ordinal, method, rows, detail FROM warden.preview(3102);
-- nor is what the server itself has in SQL somebody's code
\c - regress_bot
SELECT warden.propose($$
UPDATE regress_shop.items SET price = round(price), name = lpad(name, 3) || 5;
ALTER TABLE regress_shop.items ADD CHECK (price + 1 NOT BETWEEN SYMMETRIC -7 AND 0 AND price BETWEEN 0 AND 99999);
UPDATE regress_shop.items SET name = regress_shop.shout(name)$$, 'built in', NULL);
\c - regress_ann
SELECT ordinal, method, rows, detail FROM warden.preview(3103);

\c - :superuser
SET client_min_messages = error;
DROP TABLE regress_before;
DROP SCHEMA regress_shop CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.people WHERE person IN ('ann', 'bob');
DELETE FROM warden.agents WHERE agent = 'undo bot';
DROP ROLE regress_bot, regress_writer, regress_ann, regress_bob, regress_cyd;
