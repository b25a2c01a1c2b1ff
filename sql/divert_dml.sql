-- An agent's write becomes a pending change, whatever its form, or is refused.
\set superuser :USER
\set VERBOSITY terse
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
CREATE SCHEMA regress_hidden AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot;
SET ROLE regress_writer;
CREATE TABLE regress_shop.items (id int PRIMARY KEY, name text, price numeric);
CREATE TABLE regress_shop.secret (id int PRIMARY KEY);
CREATE TABLE regress_shop.mailbox (id int, body text);
CREATE TABLE regress_hidden.t (id int);
CREATE VIEW regress_shop.cheap AS SELECT * FROM regress_shop.items WHERE price < 30;
CREATE TABLE regress_shop.log (what text);
CREATE TABLE regress_shop.ruled (id int, name text);
CREATE RULE also AS ON INSERT TO regress_shop.ruled DO ALSO
	INSERT INTO regress_shop.log VALUES ('also');
CREATE RULE instead AS ON UPDATE TO regress_shop.ruled DO INSTEAD
	INSERT INTO regress_shop.log VALUES ('instead');
CREATE FUNCTION regress_shop.write() RETURNS int LANGUAGE plpgsql AS
	$$BEGIN DELETE FROM regress_shop.items; RETURN 1; END$$;
CREATE FUNCTION regress_shop.write_by_cursor() RETURNS int LANGUAGE plpgsql AS
	$$DECLARE c refcursor; n int;
	BEGIN
		OPEN c FOR EXECUTE 'DELETE FROM regress_shop.items RETURNING id';
		FETCH c INTO n;
		RETURN n;
	END$$;
CREATE SEQUENCE regress_shop.seq;
INSERT INTO regress_shop.items SELECT i, 'item ' || i, 10 * i FROM generate_series(1, 5) i;
GRANT SELECT ON regress_shop.items, regress_shop.cheap, regress_shop.ruled TO regress_bot;
GRANT INSERT ON regress_shop.mailbox TO regress_bot;
GRANT SELECT ON regress_hidden.t TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT warden.create_agent('till bot', 'regress_bot', 'regress_writer');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2001;

\c - regress_bot
--
-- Refused
--
INSERT INTO regress_shop.secret VALUES (1);
UPDATE regress_shop.secret SET id = 1;
DELETE FROM regress_shop.items USING regress_shop.secret s WHERE s.id = items.id;
INSERT INTO regress_shop.mailbox SELECT id, 'x' FROM regress_shop.secret;
SELECT * FROM regress_shop.mailbox;
INSERT INTO regress_hidden.t VALUES (1);
CREATE TABLE regress_hidden.t2 (id int);
DROP TABLE regress_hidden.t;
TRUNCATE regress_shop.secret;
INSERT INTO regress_shop.nothing VALUES (1);
UPDATE regress_shop.items SET nothing = 1;
DROP TABLE regress_shop.nothing;
ALTER TABLE regress_shop.nothing ADD x int;
UPDATE pg_catalog.pg_class SET relname = 'x';
COMMENT ON TABLE pg_catalog.pg_class IS 'mine';
DROP TABLE warden.pending_changes;
COMMENT ON SCHEMA warden IS 'mine';
DROP SCHEMA warden;
CREATE TABLE warden.mine (id int);
CREATE TABLE regress_shop.copy AS EXECUTE nothing;
SELECT regress_shop.write();
SELECT regress_shop.write_by_cursor();
PREPARE number (int) AS SELECT $1;
EXECUTE number(regress_shop.write_by_cursor());
DEALLOCATE number;
DO $$BEGIN DELETE FROM regress_shop.items; END$$;
EXPLAIN ANALYZE DELETE FROM regress_shop.items;
PREPARE explained AS WITH d AS (DELETE FROM regress_shop.items RETURNING 1) SELECT * FROM d;
EXPLAIN ANALYZE EXECUTE explained;
DEALLOCATE explained;
EXPLAIN DELETE FROM regress_shop.secret;
EXPLAIN INSERT INTO regress_shop.mailbox SELECT id, 'x' FROM regress_shop.secret;
COPY (DELETE FROM regress_shop.items RETURNING id) TO STDOUT;
SELECT nextval('regress_shop.seq');
SELECT count(*) FROM warden.my_changes;

--
-- Explained, since it could be recorded
--
EXPLAIN (COSTS OFF) UPDATE regress_shop.items SET price = 0 WHERE id = 1;
EXPLAIN (COSTS OFF) UPDATE regress_shop.cheap SET price = 0 WHERE id = 1;
EXPLAIN (COSTS OFF) INSERT INTO regress_shop.mailbox VALUES (1, 'hello');
EXPLAIN (COSTS OFF) INSERT INTO regress_shop.ruled VALUES (1, 'hello');
EXPLAIN (COSTS OFF) WITH gone AS (DELETE FROM regress_shop.items RETURNING *) SELECT count(*) FROM gone;
SELECT count(*) FROM warden.my_changes;

--
-- Recorded
--
INSERT INTO regress_shop.items VALUES (6, 'six', 60);
INSERT INTO regress_shop.items VALUES (7, 'seven', 70) RETURNING id, name;
INSERT INTO regress_shop.mailbox VALUES (1, 'hello');
UPDATE regress_shop.items SET price = price + 1 WHERE id = 1 RETURNING *;
DELETE FROM regress_shop.items WHERE id = 2;
MERGE INTO regress_shop.items i USING (VALUES (1, 'one')) v(id, name) ON i.id = v.id
	WHEN MATCHED THEN UPDATE SET name = v.name
	WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name, 0);
WITH gone AS (DELETE FROM regress_shop.items RETURNING *) SELECT count(*) FROM gone;
UPDATE regress_shop.cheap SET name = 'cheap' WHERE id = 1;
INSERT INTO regress_shop.ruled VALUES (1, 'a');
UPDATE regress_shop.ruled SET name = 'b';
PREPARE up (int, numeric, text) AS UPDATE regress_shop.items SET price = $2, name = $3 WHERE id = $1;
EXECUTE up (3, 33.30, NULL);
EXECUTE up (4, 44.40, 'it''s');
-- not the data, not even whether there is any
DELETE FROM regress_shop.items WHERE id = 12345;
TRUNCATE regress_shop.items;
CREATE TABLE regress_shop.made (id int);
CREATE TABLE regress_shop.copy AS SELECT * FROM regress_shop.items;
SELECT * INTO regress_shop.copy FROM regress_shop.items;
CREATE VIEW regress_shop.view AS SELECT id FROM regress_shop.items;
CREATE INDEX ON regress_shop.items (price);
ALTER TABLE regress_shop.items ADD COLUMN colour text;
COMMENT ON COLUMN regress_shop.items.name IS 'name';
DROP VIEW regress_shop.cheap;
CREATE FUNCTION regress_shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
VACUUM regress_shop.items;
ANALYZE regress_shop.items;
REINDEX TABLE regress_shop.items;
-- two statements of one message, comments and all
/* first */ INSERT INTO regress_shop.items VALUES (8) /* in */ \; -- second
DELETE FROM regress_shop.items WHERE id = 8;

SELECT row_number() OVER (ORDER BY id) AS n, risk, s ->> 'command' AS command,
	-- from 18 on the parser leaves out what comes before a statement
	regexp_replace(s ->> 'statement', '^(/\* first \*/|-- second)\s', '') AS statement
	FROM warden.my_changes, jsonb_array_elements(statements) s
	ORDER BY id, s ->> 'ordinal';
SELECT * FROM regress_shop.items ORDER BY id;

--
-- One transaction, one change
--
BEGIN;
DELETE FROM regress_shop.items WHERE id = 1;
SAVEPOINT a;
DELETE FROM regress_shop.items WHERE id = 2;
ROLLBACK TO a;
DELETE FROM regress_shop.items WHERE id = 3;
COMMIT;
BEGIN;
SAVEPOINT a;
DELETE FROM regress_shop.items WHERE id = 1;
ROLLBACK TO a;
DELETE FROM regress_shop.items WHERE id = 2;
COMMIT;
BEGIN READ ONLY;
DELETE FROM regress_shop.items WHERE id = 5;
COMMIT;
BEGIN;
DELETE FROM regress_shop.items WHERE id = 4;
ROLLBACK;
SELECT id, statement_count, s ->> 'statement' AS statement
	FROM warden.my_changes, jsonb_array_elements(statements) s
	WHERE id > 2029 ORDER BY id, s ->> 'ordinal';

--
-- What is stored besides the text
--
\c - :superuser
SELECT parameters FROM warden.change_statements WHERE change_id BETWEEN 2011 AND 2012 ORDER BY 1;
SELECT agent, on_behalf_of, agent_role, apply_role, context ->> 'search_path' AS path,
	context ? 'TimeZone' AS zone, length(digest) AS digest
	FROM warden.pending_changes WHERE id = 2001;
SELECT o ->> 'spelled' AS spelled, o ->> 'use' AS use, o ->> 'name' AS name
	FROM warden.change_statements, jsonb_array_elements(objects) o
	WHERE change_id IN (2006, 2007, 2016) AND o ? 'spelled'
	ORDER BY change_id, 1, 2;
SELECT count(*) FROM regress_shop.log;

--
-- A rule with nothing that writes in the place of the statement
--
SET ROLE regress_writer;
CREATE TABLE regress_shop.told (id int);
CREATE RULE told AS ON UPDATE TO regress_shop.told DO INSTEAD NOTIFY regress_told;
CREATE RULE also AS ON DELETE TO regress_shop.told DO ALSO NOTIFY regress_told;
GRANT SELECT ON regress_shop.told TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2091;
\c - regress_bot
UPDATE regress_shop.told SET id = 1;
DELETE FROM regress_shop.told WHERE id = 1;
PREPARE told(int) AS UPDATE regress_shop.told SET id = $1;
EXECUTE told(2);
\c - :superuser
SELECT change_id, ordinal, command, statement, jsonb_path_query_array(parameters, '$[*].value') AS parameters
	FROM warden.change_statements WHERE change_id BETWEEN 2091 AND 2095 ORDER BY 1, 2;

--
-- Rules that leave nothing of a write: no plan, change or record would be left
--
SET ROLE regress_writer;
CREATE TABLE regress_shop.idle (id int);
CREATE VIEW regress_shop.idles AS SELECT * FROM regress_shop.idle;
CREATE RULE nothing AS ON INSERT TO regress_shop.idle DO INSTEAD NOTHING;
CREATE RULE nothing AS ON DELETE TO regress_shop.idles DO INSTEAD NOTHING;
GRANT SELECT ON regress_shop.idle, regress_shop.idles TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2094;
\c - regress_bot
INSERT INTO regress_shop.idle VALUES (1);
DELETE FROM regress_shop.idles;
PREPARE idle AS INSERT INTO regress_shop.idle VALUES (1);
DO $$BEGIN INSERT INTO regress_shop.idle VALUES (1); END$$;
UPDATE regress_shop.idles SET id = 1 WHERE id = 2;
\c - :superuser

--
-- A rule that reads beside a write needs no right to write, either
--
SET ROLE regress_writer;
CREATE TABLE regress_shop.shown (id int, name text);
CREATE RULE shown AS ON INSERT TO regress_shop.shown DO ALSO SELECT new.id;
CREATE RULE locks AS ON UPDATE TO regress_shop.shown DO ALSO SELECT id FROM regress_shop.shown FOR UPDATE;
GRANT SELECT ON regress_shop.shown TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2095;
\c - regress_bot
INSERT INTO regress_shop.shown VALUES (1, 'a');
UPDATE regress_shop.shown SET name = 'b' WHERE id = 1;
\c - :superuser
SELECT id, status FROM warden.pending_changes WHERE id = 2095;
REVOKE SELECT ON regress_shop.shown FROM regress_bot;
\c - regress_bot
INSERT INTO regress_shop.shown VALUES (1, 'a');
\c - :superuser

--
-- What a table computes for columns without a value is called by the apply
--
SET ROLE regress_writer;
CREATE TABLE regress_shop.numbered (id serial PRIMARY KEY, n int DEFAULT nextval('regress_shop.seq'), name text UNIQUE);
CREATE FUNCTION regress_shop.add_numbered() RETURNS int LANGUAGE sql AS
	$$INSERT INTO regress_shop.numbered (name) VALUES ('f') RETURNING id$$;
GRANT SELECT ON regress_shop.numbered TO regress_bot;
CREATE VIEW regress_shop.seen AS SELECT id, n, name FROM regress_shop.numbered;
CREATE VIEW regress_shop.named AS SELECT name, n AS num FROM regress_shop.seen;
ALTER VIEW regress_shop.named ALTER num SET DEFAULT nextval('regress_shop.seq') + 1;
GRANT SELECT, INSERT, UPDATE ON regress_shop.named TO regress_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2061;
\c - regress_bot
INSERT INTO regress_shop.numbered (name) VALUES ('a') RETURNING id;
INSERT INTO regress_shop.numbered VALUES (DEFAULT, 1, 'b'), (7, DEFAULT, 'c')
	ON CONFLICT (name) DO UPDATE SET n = DEFAULT;
UPDATE regress_shop.numbered SET n = DEFAULT;
MERGE INTO regress_shop.numbered o USING (VALUES ('d')) v(name) ON o.name = v.name
	WHEN MATCHED THEN UPDATE SET n = DEFAULT WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name);
WITH a AS (INSERT INTO regress_shop.numbered (name) VALUES ('e') RETURNING id) SELECT id FROM a;
PREPARE numbered (text) AS INSERT INTO regress_shop.numbered (name) VALUES ($1);
EXECUTE numbered ('g');
EXPLAIN (COSTS OFF) INSERT INTO regress_shop.numbered (name) VALUES ('h');
INSERT INTO regress_shop.named (name) VALUES ('m');
INSERT INTO regress_shop.named VALUES ('n', DEFAULT), ('o', 1);
UPDATE regress_shop.named SET num = DEFAULT;
INSERT INTO regress_shop.named VALUES ('p', nextval('regress_shop.seq') + 2);
SELECT regress_shop.add_numbered();
DO $$BEGIN INSERT INTO regress_shop.numbered (name) VALUES ('i'); END$$;
INSERT INTO regress_shop.numbered (id, name) VALUES (setval('regress_shop.seq', 1), 'j');
INSERT INTO regress_shop.numbered (name) SELECT 'k' || nextval('regress_shop.seq');
INSERT INTO regress_shop.items VALUES (nextval('regress_shop.seq'), 'l', 1);
\c - :superuser
SELECT change_id, statement FROM warden.change_statements WHERE change_id BETWEEN 2061 AND 2080 ORDER BY 1;
SELECT last_value, is_called FROM regress_shop.seq;

--
-- What was recorded before in the transaction is not there
--
\c - regress_bot
\set VERBOSITY default
BEGIN;
CREATE TABLE regress_shop.later (id int);
INSERT INTO regress_shop.later VALUES (1);
ROLLBACK;
INSERT INTO regress_shop.later VALUES (1);
\set VERBOSITY terse
\c - :superuser

--
-- How people read what is named in parts of several kinds
--
SET client_min_messages = error;
SET ROLE regress_writer;
CREATE TYPE regress_shop.pair AS (a int);
CREATE CAST (regress_shop.pair AS text) WITH INOUT;
CREATE DOMAIN regress_shop.some AS int CONSTRAINT "not none" CHECK (value > 0);
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2096;
\c - regress_bot
DROP CAST (regress_shop.pair AS text);
COMMENT ON CONSTRAINT "not none" ON DOMAIN regress_shop.some IS 'x';
COMMENT ON COLUMN price IS 'x';
\c - :superuser
SELECT o ->> 'spelled' AS spelled, o ->> 'use' AS use, o ->> 'name' AS name
	FROM warden.change_statements, jsonb_array_elements(objects) o
	WHERE change_id BETWEEN 2096 AND 2099 AND o ? 'spelled' ORDER BY change_id;

--
-- A cursor is the session's own
--
\c - regress_bot
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM regress_shop.items;
MOVE c;
SAVEPOINT s;
DELETE FROM regress_shop.items WHERE CURRENT OF c;
ROLLBACK TO s;
WITH d AS (DELETE FROM regress_shop.items WHERE CURRENT OF c RETURNING *) SELECT * FROM d;
ROLLBACK;
SELECT warden.propose('UPDATE regress_shop.items SET price = 1 WHERE CURRENT OF c', 'cursor', NULL);
\c - :superuser

SET client_min_messages = error;
DROP SCHEMA regress_shop, regress_hidden CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.agents WHERE agent = 'till bot';
DROP ROLE regress_bot, regress_writer;
