-- Previews of what is written to partitioned tables, and to tables with
-- children: executed only where all of them could be taken back, and an apply
-- is held to what was seen.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_p_bot LOGIN;
CREATE ROLE regress_p_writer;
CREATE ROLE regress_p_ann LOGIN IN ROLE warden_reviewer, regress_p_writer;
CREATE ROLE regress_p_bob LOGIN IN ROLE warden_reviewer, regress_p_writer;
CREATE ROLE regress_p_mia LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_p AUTHORIZATION regress_p_writer;
GRANT USAGE ON SCHEMA regress_p TO PUBLIC;
SET ROLE regress_p_writer;
-- two levels, a default, and one partition with its columns in another order
CREATE TABLE regress_p.sales (day int, region text, id int, amount numeric,
	PRIMARY KEY (day, region, id)) PARTITION BY RANGE (day);
CREATE TABLE regress_p.sales1 PARTITION OF regress_p.sales FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_p.sales2 PARTITION OF regress_p.sales FOR VALUES FROM (10) TO (20)
	PARTITION BY LIST (region);
CREATE TABLE regress_p.sales2a PARTITION OF regress_p.sales2 FOR VALUES IN ('a');
CREATE TABLE regress_p.sales2b (gone int, amount numeric, id int NOT NULL, region text NOT NULL,
	day int NOT NULL);
ALTER TABLE regress_p.sales2b DROP COLUMN gone;
ALTER TABLE regress_p.sales2 ATTACH PARTITION regress_p.sales2b FOR VALUES IN ('b');
CREATE TABLE regress_p.sales0 PARTITION OF regress_p.sales DEFAULT;
INSERT INTO regress_p.sales VALUES (1, 'a', 1, 10), (2, 'b', 2, 20), (11, 'a', 3, 30),
	(12, 'a', 4, 40), (13, 'b', 5, 50), (14, 'b', 6, 60), (30, 'a', 7, 70);
CREATE TABLE regress_p.news (id int, amount numeric, day int, region text);
INSERT INTO regress_p.news VALUES (3, 31, 11, 'a'), (5, NULL, 13, 'b'), (9, 90, 15, 'a');
CREATE SEQUENCE regress_p.fired;
CREATE FUNCTION regress_p.fire() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN NEW; END$$;
CREATE FUNCTION regress_p.fire(text) RETURNS boolean LANGUAGE plpgsql AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN true; END$$;
CREATE FUNCTION regress_p.one() RETURNS int LANGUAGE plpgsql AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN 1; END$$;
CREATE FUNCTION regress_p.same(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN $1; END$$;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_p TO PUBLIC;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_p_bot IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_p_mia IS 'masked';
SELECT FROM warden.create_agent('part bot', 'regress_p_bot', 'regress_p_writer');
SELECT FROM warden.add_person('p ann', 'regress_p_ann');
SELECT FROM warden.add_person('p bob', 'regress_p_bob');
CREATE TABLE regress_p_before AS SELECT s::text AS row, tableoid::regclass AS part FROM regress_p.sales s;

--
-- What is done to a partitioned table is seen, and held to that
--
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42001;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose(sql, 'rows', '') FROM (VALUES
	(1, 'UPDATE regress_p.sales SET amount = amount + 1 WHERE id IN (1, 5)'),
	(2, 'DELETE FROM regress_p.sales WHERE region = ''b'''),
	(3, 'INSERT INTO regress_p.sales VALUES (3, ''a'', 10, 1), (16, ''b'', 11, 1), (99, ''c'', 12, 1)'),
	(4, 'UPDATE regress_p.sales SET day = day + 10 WHERE id IN (1, 2, 6)'),
	(5, 'UPDATE regress_p.sales SET region = ''b'' WHERE region = ''a'' AND day BETWEEN 10 AND 19'),
	(6, 'MERGE INTO regress_p.sales s USING regress_p.news n ON s.id = n.id WHEN MATCHED AND n.amount IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET amount = n.amount WHEN NOT MATCHED THEN INSERT VALUES (n.day, n.region, n.id, n.amount)'),
	(7, 'MERGE INTO regress_p.sales s USING regress_p.news n ON s.id = n.id WHEN MATCHED THEN UPDATE SET day = 40'),
	(8, 'INSERT INTO regress_p.sales VALUES (2, ''b'', 2, 0), (14, ''b'', 6, 0), (17, ''a'', 13, 0) ON CONFLICT (day, region, id) DO UPDATE SET amount = sales.amount + 100'),
	(9, 'UPDATE regress_p.sales2 SET region = CASE region WHEN ''a'' THEN ''b'' ELSE ''a'' END')
	) AS t (n, sql) ORDER BY n;
\o
\c - regress_p_ann
SELECT id, command, method, rows, compared, detail
	FROM generate_series(42001, 42009) id, warden.preview(id) ORDER BY id;
SELECT id, s ->> 'table' AS table, s -> 'before' AS before, s -> 'after' AS after
	FROM generate_series(42001, 42009) id, warden.preview(id), jsonb_array_elements(sample) s;
-- whether the indexes of partitioned tables are opened depends on the version
SELECT (SELECT array_agg(l) FROM unnest(locks) l WHERE l !~ '_pkey$') AS locks, rewritten FROM warden.preview(42005);
\c - :superuser
CREATE VIEW regress_p_differ AS
	(SELECT s::text, tableoid::regclass FROM regress_p.sales s EXCEPT ALL TABLE regress_p_before)
	UNION ALL
	(TABLE regress_p_before EXCEPT ALL SELECT s::text, tableoid::regclass FROM regress_p.sales s);
-- nothing of it stays
TABLE regress_p_differ;
\c - regress_p_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(42001, 42009) id;
\c - regress_p_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 42001 AND 42009 AND status = 'proposed';
\o
-- each of them finds a row with other contents
\c - :superuser
BEGIN;
UPDATE regress_p.sales SET amount = 51 WHERE id = 5;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
CALL warden.apply(42001);
ROLLBACK TO s;
CALL warden.apply(42002);
ROLLBACK TO s;
CALL warden.apply(42006);
ROLLBACK TO s;
CALL warden.apply(42009);
ROLLBACK;
BEGIN;
UPDATE regress_p.sales SET amount = 61 WHERE id IN (6, 3);
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
CALL warden.apply(42004);
ROLLBACK TO s;
CALL warden.apply(42005);
ROLLBACK TO s;
CALL warden.apply(42007);
ROLLBACK TO s;
CALL warden.apply(42008);
ROLLBACK;
-- or another number of them
BEGIN;
INSERT INTO regress_p.sales VALUES (16, 'b', 20, 0);
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
CALL warden.apply(42002);
ROLLBACK TO s;
CALL warden.apply(42009);
ROLLBACK;
-- others than it touches do not count
BEGIN;
UPDATE regress_p.sales SET amount = 71 WHERE id = 7;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
CALL warden.apply(42004);
ROLLBACK TO s;
CALL warden.apply(42008);
ROLLBACK TO s;
CALL warden.apply(42003);
ROLLBACK;

--
-- Each of them can be undone, exactly, and not where rows have changed since
--
\c - regress_p_ann
\o /dev/null
SELECT FROM warden.preview(42008);
CALL warden.apply(42008);
SELECT FROM warden.preview(42001);
CALL warden.apply(42001);
SELECT FROM warden.preview(42002);
CALL warden.apply(42002);
SELECT FROM warden.preview(42003);
CALL warden.apply(42003);
SELECT FROM warden.preview(42004);
CALL warden.apply(42004);
SELECT FROM warden.preview(42005);
CALL warden.apply(42005);
SELECT FROM warden.preview(42006);
CALL warden.apply(42006);
SELECT FROM warden.preview(42007);
CALL warden.apply(42007);
SELECT FROM warden.preview(42009);
CALL warden.apply(42009);
\o
SELECT id, status FROM warden.pending_changes WHERE id BETWEEN 42001 AND 42009 ORDER BY id;
\c - :superuser
SELECT change_id, relation, operation, row_count FROM warden.change_images
	WHERE change_id BETWEEN 42001 AND 42009 ORDER BY id;
SELECT count(*) > 5 AS differ FROM regress_p_differ;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42021;
\c - regress_p_ann
\o /dev/null
SELECT warden.revert(id) FROM unnest('{42009, 42007, 42006, 42005, 42004, 42003, 42002, 42001, 42008}'::int[]) id;
\c - regress_p_bob
SELECT warden.approve(id, 'ok') FROM generate_series(42021, 42029) id;
\c - :superuser
SELECT FROM warden.add_person('p cyd', current_user);
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 42021 AND 42029 AND status = 'proposed';
\o
-- a row that was moved has changed since
BEGIN;
UPDATE regress_p.sales SET amount = -1 WHERE id = 11;
SET SESSION AUTHORIZATION regress_p_bob;
CALL warden.apply(42021);
ROLLBACK;
\c - regress_p_bob
CALL warden.apply(42021);
CALL warden.apply(42022);
CALL warden.apply(42023);
CALL warden.apply(42024);
CALL warden.apply(42025);
CALL warden.apply(42026);
CALL warden.apply(42027);
CALL warden.apply(42028);
-- one that was updated on conflict has
BEGIN;
SET LOCAL ROLE regress_p_writer;
UPDATE regress_p.sales SET amount = amount + 1 WHERE (day, region, id) = (2, 'b', 2);
COMMIT;
CALL warden.apply(42029);
BEGIN;
SET LOCAL ROLE regress_p_writer;
UPDATE regress_p.sales SET amount = amount - 1 WHERE (day, region, id) = (2, 'b', 2);
COMMIT;
CALL warden.apply(42029);
\c - :superuser
TABLE regress_p_differ;

--
-- Rows that the change itself has written are not compared: they may differ
--
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42041;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose('INSERT INTO regress_p.sales VALUES (4, ''a'', 14, extract(epoch FROM clock_timestamp())); UPDATE regress_p.sales SET amount = extract(epoch FROM clock_timestamp()) WHERE id = 6; INSERT INTO regress_p.sales VALUES (4, ''a'', 14, 0), (14, ''b'', 6, 0) ON CONFLICT (day, region, id) DO UPDATE SET amount = 0; MERGE INTO regress_p.sales s USING (VALUES (14)) n (id) ON s.id = n.id WHEN MATCHED THEN UPDATE SET day = 50', 'own rows', '');
\c - regress_p_ann
SELECT warden.approve(42041, 'ok');
\o
SELECT ordinal, method, rows, compared FROM warden.preview(42041);
CALL warden.apply(42041);
SELECT warden.revert(42041);
\c - regress_p_bob
\o /dev/null
SELECT warden.approve(42042, 'ok');
\o
CALL warden.apply(42042);
\c - :superuser
TABLE regress_p_differ;

--
-- A row of a partition is shown to whoever may select from the whole
--
ALTER TABLE regress_p.sales2b OWNER TO CURRENT_USER;
ALTER TABLE regress_p.sales2 OWNER TO CURRENT_USER;
ALTER TABLE regress_p.sales OWNER TO CURRENT_USER;
REVOKE ALL ON regress_p.sales2b, regress_p.sales2, regress_p.sales FROM PUBLIC, regress_p_writer;
GRANT SELECT (day, region, id), INSERT, UPDATE, DELETE ON regress_p.sales TO regress_p_writer;
GRANT SELECT ON regress_p.sales TO regress_p_bot;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42051;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose('DELETE FROM regress_p.sales WHERE id = 5; UPDATE regress_p.sales SET day = 1 WHERE id = 6', 'rights', '');
\o
\c - regress_p_ann
SELECT ordinal, method, sample FROM warden.preview(42051);
\c - :superuser
ALTER TABLE regress_p.sales ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON regress_p.sales USING (true);
\c - regress_p_ann
SELECT ordinal, method, rows, sample FROM warden.preview(42051);
\c - :superuser
DROP POLICY all_of_it ON regress_p.sales;
ALTER TABLE regress_p.sales DISABLE ROW LEVEL SECURITY;
GRANT ALL ON regress_p.sales TO regress_p_writer;
ALTER TABLE regress_p.sales OWNER TO regress_p_writer;
ALTER TABLE regress_p.sales2 OWNER TO regress_p_writer;
ALTER TABLE regress_p.sales2b OWNER TO regress_p_writer;

--
-- A reviewer who reads masks: those of the partition as well, whoever looks
--
SELECT FROM warden.label_column('regress_p.sales2a', 'amount', 'full');
SELECT FROM warden.label_column('regress_p.sales1', 'region', 'full');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_p TO regress_p_mia;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42061;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose('UPDATE regress_p.sales SET amount = amount + 1 WHERE id IN (1, 3, 5); UPDATE regress_p.sales SET day = 50 WHERE amount = 30; DELETE FROM regress_p.sales2a WHERE amount = 30; MERGE INTO regress_p.sales s USING regress_p.news n ON s.id = n.id WHEN MATCHED THEN UPDATE SET day = 40', 'masks', '');
\o
\c - regress_p_mia
SELECT ordinal, method, sample FROM warden.preview(42061);
\c - regress_p_ann
SELECT ordinal, method, rows FROM warden.preview(42061);
\c - :superuser
SELECT FROM warden.label_column('regress_p.sales2a', 'amount', NULL);
SELECT FROM warden.label_column('regress_p.sales1', 'region', NULL);

--
-- What one partition would set off, nobody runs just to look, and no change
-- that was previewed before is applied with it.  "fired" would count.
--
SET client_min_messages = error;
SET ROLE regress_p_writer;
CREATE TABLE regress_p.logs (n int, v text) PARTITION BY RANGE (n);
CREATE TABLE regress_p.logs1 PARTITION OF regress_p.logs FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_p.logs2 PARTITION OF regress_p.logs FOR VALUES FROM (10) TO (20)
	PARTITION BY LIST (n);
CREATE TABLE regress_p.parent (n int, v text);
CREATE TABLE regress_p.child (w text) INHERITS (regress_p.parent);
CREATE TABLE regress_p.keys (n int PRIMARY KEY);
CREATE TABLE regress_p.keys_of (n int PRIMARY KEY REFERENCES regress_p.keys ON DELETE CASCADE);
CREATE TABLE regress_p.notes (n int REFERENCES regress_p.keys_of ON DELETE CASCADE);
INSERT INTO regress_p.logs VALUES (1, 'x');
INSERT INTO regress_p.parent VALUES (1, 'x');
INSERT INTO regress_p.child VALUES (2, 'x', 'y');
INSERT INTO regress_p.keys VALUES (1), (2);
INSERT INTO regress_p.keys_of VALUES (1);
INSERT INTO regress_p.notes VALUES (1);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_p TO regress_p_bot;
RESET ROLE;
GRANT SELECT ON regress_p.fired TO PUBLIC;
CREATE FOREIGN DATA WRAPPER regress_p_wrapper;
CREATE SERVER regress_p_server FOREIGN DATA WRAPPER regress_p_wrapper;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42101;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose(sql, 'code', '') FROM (VALUES
	(1, 'UPDATE regress_p.sales SET amount = 0 WHERE day = 1'),
	(2, 'UPDATE regress_p.logs SET v = v WHERE n = 1'),
	(3, 'UPDATE regress_p.parent SET v = v || ''!'''),
	(4, 'DELETE FROM regress_p.keys'),
	(5, 'DELETE FROM regress_p.sales1 USING regress_p.logs WHERE logs.n = id'),
	(6, 'ALTER TABLE regress_p.sales ADD COLUMN more int DEFAULT 1'),
	(7, 'UPDATE regress_p.sales SET region = ''b'' WHERE id = 3')
	) AS t (n, sql) ORDER BY n;
\c - regress_p_ann
SELECT warden.approve(id, 'ok') FROM generate_series(42101, 42106) id;
\c - regress_p_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 42101 AND 42106 AND status = 'proposed';
\o
\c - regress_p_ann
SELECT id, method, rows, compared, detail
	FROM generate_series(42101, 42106) id, warden.preview(id) ORDER BY id;
\c - :superuser
\set VERBOSITY default
-- a trigger, of a partition that the rows are not in
BEGIN;
CREATE TRIGGER fire BEFORE INSERT ON regress_p.sales2b
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42101);
CALL warden.apply(42101);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- one of a statement, of a table in between
BEGIN;
CREATE TRIGGER fire AFTER UPDATE ON regress_p.sales2
	FOR EACH STATEMENT EXECUTE FUNCTION regress_p.fire();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42101);
CALL warden.apply(42101);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a default of its own
BEGIN;
ALTER TABLE regress_p.sales2b ALTER amount SET DEFAULT regress_p.one();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42101);
CALL warden.apply(42101);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a constraint
BEGIN;
ALTER TABLE regress_p.sales2b ADD CONSTRAINT fire CHECK (regress_p.fire(region)) NOT VALID;
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42101);
CALL warden.apply(42101);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- an index
BEGIN;
CREATE INDEX fire ON regress_p.sales0 ((regress_p.same(id)));
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42101);
CALL warden.apply(42101);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a predicate of one
BEGIN;
CREATE INDEX fire ON regress_p.logs1 (n) WHERE regress_p.same(n) > 0;
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- the key of partitions below
BEGIN;
CREATE TABLE regress_p.logs3 PARTITION OF regress_p.logs FOR VALUES FROM (20) TO (30)
	PARTITION BY LIST (regress_p.same(n));
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- how that key is hashed
BEGIN;
CREATE FUNCTION regress_p.hash(int, bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN $1 + $2; END$$;
CREATE OPERATOR CLASS regress_p.hashed FOR TYPE int USING hash AS
	OPERATOR 1 =, FUNCTION 2 regress_p.hash(int, bigint);
CREATE TABLE regress_p.logs3 PARTITION OF regress_p.logs FOR VALUES FROM (20) TO (30)
	PARTITION BY HASH (n regress_p.hashed);
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a domain, inside what a column holds
BEGIN;
CREATE DOMAIN regress_p.checked AS text CHECK (regress_p.fire(VALUE));
CREATE TYPE regress_p.pair AS (a regress_p.checked[]);
ALTER TABLE regress_p.logs ADD w regress_p.pair;
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a partition with one of all that
BEGIN;
CREATE TABLE regress_p.logs3 PARTITION OF regress_p.logs2 FOR VALUES IN (10);
CREATE TRIGGER fire BEFORE INSERT OR UPDATE ON regress_p.logs3
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a table of another server
BEGIN;
CREATE FOREIGN TABLE regress_p.logs3 PARTITION OF regress_p.logs2 FOR VALUES IN (10)
	SERVER regress_p_server;
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42102);
CALL warden.apply(42102);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- which is only read
BEGIN;
CREATE FOREIGN TABLE regress_p.logs3 PARTITION OF regress_p.logs2 FOR VALUES IN (10)
	SERVER regress_p_server;
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42105);
CALL warden.apply(42105);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- a child, not a partition
BEGIN;
CREATE TRIGGER fire BEFORE UPDATE ON regress_p.child
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42103);
CALL warden.apply(42103);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- where cascades lead to
BEGIN;
CREATE TRIGGER fire AFTER DELETE ON regress_p.notes
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42104);
CALL warden.apply(42104);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
-- the same of DDL
BEGIN;
ALTER TABLE regress_p.sales2b ALTER amount SET DEFAULT regress_p.one();
ALTER SEQUENCE regress_p.fired RESTART;
SET SESSION AUTHORIZATION regress_p_ann;
SAVEPOINT s;
SELECT method, compared, detail FROM warden.preview(42106);
CALL warden.apply(42106);
ROLLBACK TO s;
SELECT is_called AS fired FROM regress_p.fired;
ROLLBACK;
\set VERBOSITY terse
-- more of them than can be looked at
BEGIN;
DO $$BEGIN
	FOR i IN 1 .. 500 LOOP
		EXECUTE format('CREATE TABLE regress_p.many%s PARTITION OF regress_p.logs FOR VALUES FROM (%s) TO (%s)',
			i, 1000 + i, 1001 + i);
	END LOOP;
END$$;
SET SESSION AUTHORIZATION regress_p_ann;
SELECT method, compared, detail FROM warden.preview(42102);
ROLLBACK;
-- and what it says that could be set off, where the key further down moves rows
BEGIN;
CREATE TRIGGER gone AFTER DELETE ON regress_p.sales2a
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
CREATE TRIGGER come AFTER INSERT ON regress_p.sales2b
	FOR EACH ROW EXECUTE FUNCTION regress_p.fire();
SET SESSION AUTHORIZATION regress_p_ann;
SELECT id, method, triggers FROM unnest('{42101, 42107}'::int[]) id, warden.preview(id);
ROLLBACK;

--
-- What no statement and no table names is stopped when it is called
--
CREATE DOMAIN regress_p.free AS text;
CREATE TYPE regress_p.mood AS ENUM ('1', '2');
CREATE FUNCTION regress_p.to_int(regress_p.mood) RETURNS int LANGUAGE plpgsql AS
	$$BEGIN PERFORM nextval('regress_p.fired'); RETURN 1; END$$;
CREATE CAST (regress_p.mood AS int) WITH FUNCTION regress_p.to_int(regress_p.mood) AS ASSIGNMENT;
SET ROLE regress_p_writer;
CREATE TABLE regress_p.moods (n int, m regress_p.mood) PARTITION BY RANGE (n);
CREATE TABLE regress_p.moods1 PARTITION OF regress_p.moods DEFAULT;
INSERT INTO regress_p.moods VALUES (1, '1');
CREATE TRIGGER fire BEFORE TRUNCATE ON regress_p.notes
	FOR EACH STATEMENT EXECUTE FUNCTION regress_p.fire();
GRANT SELECT ON regress_p.moods TO regress_p_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42201;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose(sql, 'calls', '') FROM (VALUES
	(1, 'UPDATE regress_p.logs SET v = v WHERE ''{x}''::regress_p.free[] IS NOT NULL; UPDATE regress_p.logs SET v = v WHERE n = 1'),
	(2, 'ALTER TABLE regress_p.moods ALTER m TYPE int'),
	(3, 'TRUNCATE regress_p.keys CASCADE'),
	(4, 'UPDATE regress_p.moods SET n = 2')
	) AS t (n, sql) ORDER BY n;
\o
\c - :superuser
ALTER DOMAIN regress_p.free ADD CHECK (regress_p.fire(VALUE)) NOT VALID;
ALTER SEQUENCE regress_p.fired RESTART;
\c - regress_p_ann
SELECT id, ordinal, method, rows, compared, detail
	FROM generate_series(42201, 42204) id, warden.preview(id) ORDER BY id, ordinal;
SELECT is_called AS fired FROM regress_p.fired;
-- and is not stopped afterwards
SELECT regress_p.same(1);
SELECT is_called AS fired FROM regress_p.fired;
\c - regress_p_mia
SELECT ordinal, method, detail FROM warden.preview(42201);
\c - :superuser
ALTER SEQUENCE regress_p.fired RESTART;

--
-- DDL reaches all partitions, which count together
--
SET ROLE regress_p_writer;
CREATE TABLE regress_p.large (n int, v text) PARTITION BY RANGE (n);
CREATE UNLOGGED TABLE regress_p.large1 PARTITION OF regress_p.large FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE regress_p.large2 PARTITION OF regress_p.large FOR VALUES FROM (10) TO (20);
ALTER TABLE regress_p.large1 ALTER v SET STORAGE PLAIN;
ALTER TABLE regress_p.large2 ALTER v SET STORAGE PLAIN;
INSERT INTO regress_p.large1 SELECT 1, repeat('x', 8000) FROM generate_series(1, 4200);
INSERT INTO regress_p.large2 SELECT 11, repeat('x', 8000) FROM generate_series(1, 4200);
GRANT SELECT ON regress_p.large, regress_p.large1 TO regress_p_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42301;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose(sql, 'ddl', '') FROM (VALUES
	(1, 'ALTER TABLE regress_p.sales ADD COLUMN u float8 DEFAULT random()'),
	(2, 'CREATE INDEX ON regress_p.sales (amount)'),
	(3, 'TRUNCATE regress_p.logs'),
	(4, 'CREATE TABLE regress_p.sales5 PARTITION OF regress_p.sales FOR VALUES FROM (200) TO (210); INSERT INTO regress_p.sales VALUES (200, ''z'', 1, 1)'),
	(5, 'CREATE TABLE regress_p.sales5 PARTITION OF regress_p.sales FOR VALUES FROM (regress_p.one() + 200) TO (210)'),
	(6, 'CREATE INDEX ON regress_p.large1 (n)'),
	(7, 'ALTER TABLE regress_p.large ADD COLUMN more int'),
	(8, 'CREATE INDEX ON regress_p.large (n)'),
	(9, 'ALTER TABLE regress_p.parent ALTER n TYPE bigint')
	) AS t (n, sql) ORDER BY n;
\o
\c - regress_p_ann
SELECT id, ordinal, method, rows, rewritten, detail
	FROM generate_series(42301, 42309) id, warden.preview(id) ORDER BY id, ordinal;
\c - :superuser
TABLE regress_p_differ;
SELECT is_called AS fired FROM regress_p.fired;

--
-- Triggers of others fire as ever, and no more; rows are seen once
--
SET ROLE regress_p_writer;
CREATE TABLE regress_p.log (i int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION regress_p.log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	n text := '';
BEGIN
	IF TG_NARGS > 0 THEN
		EXECUTE 'SELECT count(*) FROM ' || TG_ARGV[0] INTO n;
	END IF;
	INSERT INTO regress_p.log (what)
		VALUES (concat_ws(' ', TG_TABLE_NAME, TG_OP, TG_LEVEL, n));
	RETURN NULL;
END $$;
CREATE TABLE regress_p.loud (n int, v text, PRIMARY KEY (n)) PARTITION BY RANGE (n);
CREATE TABLE regress_p.loud1 PARTITION OF regress_p.loud FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_p.loud2 PARTITION OF regress_p.loud FOR VALUES FROM (10) TO (20);
INSERT INTO regress_p.loud VALUES (1, 'a'), (2, 'b'), (11, 'c');
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON regress_p.loud
	FOR EACH STATEMENT EXECUTE FUNCTION regress_p.log();
CREATE TRIGGER log_row AFTER INSERT OR UPDATE OR DELETE ON regress_p.loud
	FOR EACH ROW EXECUTE FUNCTION regress_p.log();
CREATE TRIGGER log_rows AFTER INSERT ON regress_p.loud REFERENCING NEW TABLE AS new
	FOR EACH STATEMENT EXECUTE FUNCTION regress_p.log('new');
CREATE TABLE regress_p.louder (n int, v text) PARTITION BY RANGE (n);
CREATE TABLE regress_p.louder1 PARTITION OF regress_p.louder FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_p.louder2 PARTITION OF regress_p.louder FOR VALUES FROM (10) TO (20);
INSERT INTO regress_p.louder VALUES (1, 'a'), (2, 'b');
CREATE TRIGGER log_rows AFTER UPDATE ON regress_p.louder
	REFERENCING OLD TABLE AS old NEW TABLE AS new
	FOR EACH STATEMENT EXECUTE FUNCTION regress_p.log('new');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_p TO regress_p_bot;
RESET ROLE;
CREATE VIEW regress_p_all AS
	SELECT tableoid::regclass AS part, l::text AS r FROM regress_p.loud l
	UNION ALL SELECT tableoid::regclass, l::text FROM regress_p.louder l
	UNION ALL SELECT tableoid::regclass, p::text FROM regress_p.parent p;
CREATE TABLE regress_p_all_before AS TABLE regress_p_all;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42401;
\c - regress_p_bot
\o /dev/null
SELECT warden.propose(sql, 'loud', '') FROM (VALUES
	(1, 'UPDATE regress_p.loud SET n = n + 10 WHERE n = 2'),
	(2, 'MERGE INTO regress_p.loud l USING (VALUES (1), (3)) s (n) ON l.n = s.n WHEN MATCHED THEN UPDATE SET n = 15 WHEN NOT MATCHED THEN INSERT VALUES (s.n, ''m'')'),
	(3, 'MERGE INTO regress_p.loud l USING (VALUES (11)) s (n) ON l.n = s.n WHEN MATCHED THEN UPDATE SET n = 5'),
	(4, 'INSERT INTO regress_p.loud VALUES (5, ''x''), (6, ''y'') ON CONFLICT (n) DO UPDATE SET v = excluded.v'),
	(5, 'MERGE INTO regress_p.parent p USING (VALUES (1), (2), (3)) s (n) ON p.n = s.n WHEN MATCHED AND s.n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET v = ''m'' WHEN NOT MATCHED THEN INSERT VALUES (s.n, ''m'')'),
	-- and what is not seen to the end
	(6, 'UPDATE regress_p.louder SET n = n + 10 WHERE n = 2'),
	(7, 'WITH w AS (INSERT INTO regress_p.louder VALUES (3, ''w'') RETURNING n) UPDATE regress_p.louder SET n = 13 WHERE n = (SELECT min(n) - 2 FROM w)')
	) AS t (n, sql) ORDER BY n;
\c - regress_p_ann
SELECT warden.approve(id, 'ok') FROM generate_series(42401, 42407) id;
\c - regress_p_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 42401 AND 42407 AND status = 'proposed';
\o
-- as they fire without any of this
\c - :superuser
BEGIN;
DO $$DECLARE
	statement text;
BEGIN
	FOR statement IN SELECT s.statement FROM warden.change_statements s
		WHERE change_id BETWEEN 42401 AND 42405 ORDER BY change_id LOOP
		EXECUTE statement;
	END LOOP;
END$$;
SELECT string_agg(what, ', ' ORDER BY i) AS plain FROM regress_p.log
\gset
ROLLBACK;
\c - regress_p_ann
CALL warden.apply(42401);
CALL warden.apply(42402);
CALL warden.apply(42403);
CALL warden.apply(42404);
CALL warden.apply(42405);
\c - :superuser
SELECT what FROM regress_p.log ORDER BY i;
SELECT string_agg(what, ', ' ORDER BY i) = :'plain' AS same FROM regress_p.log;
SELECT change_id, relation, operation, row_count FROM warden.change_images
	WHERE change_id BETWEEN 42401 AND 42405 ORDER BY id;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 42421;
\c - regress_p_ann
\o /dev/null
SELECT warden.revert(id) FROM generate_series(42405, 42401, -1) id;
\c - regress_p_bob
SELECT warden.approve(id, 'ok') FROM generate_series(42421, 42425) id;
\c - :superuser
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 42421 AND 42425 AND status = 'proposed';
\o
\c - regress_p_bob
CALL warden.apply(42421);
CALL warden.apply(42422);
CALL warden.apply(42423);
CALL warden.apply(42424);
CALL warden.apply(42425);
\c - :superuser
(TABLE regress_p_all EXCEPT ALL TABLE regress_p_all_before)
	UNION ALL (TABLE regress_p_all_before EXCEPT ALL TABLE regress_p_all);
TRUNCATE regress_p.log;
\c - regress_p_bob
\set VERBOSITY default
CALL warden.apply(42406);
CALL warden.apply(42407);
SELECT warden.revert(42406);
SELECT warden.revert(42407);
\c - :superuser
SELECT what FROM regress_p.log ORDER BY i;

\c - :superuser
SET client_min_messages = error;
DROP VIEW regress_p_differ, regress_p_all;
DROP TABLE regress_p_before, regress_p_all_before;
DROP SCHEMA regress_p CASCADE;
DROP FOREIGN DATA WRAPPER regress_p_wrapper CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_p_bot IS NULL;
SECURITY LABEL FOR warden ON ROLE regress_p_mia IS NULL;
DELETE FROM warden.people WHERE person LIKE 'p %';
DELETE FROM warden.agents WHERE agent = 'part bot';
DROP ROLE regress_p_bot, regress_p_writer, regress_p_ann, regress_p_bob, regress_p_mia;
