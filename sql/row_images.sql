-- Rows that an apply touches: held to what a preview saw, and kept so that
-- they can be put back.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_i_bot LOGIN;
CREATE ROLE regress_i_shy LOGIN;
CREATE ROLE regress_i_writer;
CREATE ROLE regress_i_ann LOGIN IN ROLE warden_reviewer, regress_i_writer;
CREATE ROLE regress_i_bob LOGIN IN ROLE warden_reviewer, regress_i_writer;
CREATE SCHEMA regress_i AUTHORIZATION regress_i_writer;
GRANT USAGE ON SCHEMA regress_i TO PUBLIC;
SET ROLE regress_i_writer;
CREATE TABLE regress_i.items (id int PRIMARY KEY, name text, at timestamptz);
INSERT INTO regress_i.items SELECT i, 'item ' || i FROM generate_series(1, 5) i;
CREATE TABLE regress_i.parent (id int PRIMARY KEY);
CREATE TABLE regress_i.child (id int PRIMARY KEY,
	p int REFERENCES regress_i.parent ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE regress_i.grandchild (id int,
	c int REFERENCES regress_i.child ON DELETE SET NULL);
CREATE TABLE regress_i.spread (id int, c int REFERENCES regress_i.child ON DELETE CASCADE)
	PARTITION BY LIST (c);
CREATE TABLE regress_i.spread1 PARTITION OF regress_i.spread FOR VALUES IN (10);
CREATE TABLE regress_i.spread2 PARTITION OF regress_i.spread DEFAULT;
CREATE TABLE regress_i.node (id int PRIMARY KEY,
	up int REFERENCES regress_i.node ON DELETE CASCADE);
INSERT INTO regress_i.parent VALUES (1), (2);
INSERT INTO regress_i.child VALUES (10, 1), (11, 1), (20, 2);
INSERT INTO regress_i.grandchild VALUES (100, 10), (101, 11), (200, 20);
INSERT INTO regress_i.spread VALUES (1, 10), (2, 11), (3, 20);
INSERT INTO regress_i.node VALUES (1, NULL), (2, 1), (3, 2), (4, 1);
CREATE TABLE regress_i.part (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE regress_i.part1 PARTITION OF regress_i.part FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_i.part2 (v text, id int NOT NULL);
ALTER TABLE regress_i.part ATTACH PARTITION regress_i.part2 FOR VALUES FROM (10) TO (20);
INSERT INTO regress_i.part VALUES (1, 'a'), (2, 'b'), (11, 'c'), (12, 'd');
CREATE TABLE regress_i.heap (n int, v text);
INSERT INTO regress_i.heap VALUES (1, 'a'), (2, 'b'), (3, 'c');
CREATE TABLE regress_i.gen (id int GENERATED ALWAYS AS IDENTITY, a int,
	twice int GENERATED ALWAYS AS (a * 2) STORED, UNIQUE (id));
INSERT INTO regress_i.gen (a) VALUES (1), (2);
CREATE TABLE regress_i.traced (id int PRIMARY KEY, n int);
CREATE TABLE regress_i.trace (id int REFERENCES regress_i.traced, n int);
INSERT INTO regress_i.traced VALUES (1, 1), (2, 2);
CREATE FUNCTION regress_i.trace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.n < 100 THEN
		INSERT INTO regress_i.trace VALUES (NEW.id, NEW.n);
		UPDATE regress_i.traced SET n = NEW.n + 100 WHERE id = NEW.id;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER trace AFTER INSERT ON regress_i.traced
	FOR EACH ROW EXECUTE FUNCTION regress_i.trace();
CREATE VIEW regress_i.everything AS
	SELECT 'traced' AS t, i::text AS r FROM regress_i.traced i
	UNION ALL SELECT 'trace', i::text FROM regress_i.trace i
	UNION ALL
	SELECT 'items' AS t, i::text AS r FROM regress_i.items i
	UNION ALL SELECT 'parent', i::text FROM regress_i.parent i
	UNION ALL SELECT 'child', i::text FROM regress_i.child i
	UNION ALL SELECT 'grandchild', i::text FROM regress_i.grandchild i
	UNION ALL SELECT 'spread', i::text FROM regress_i.spread i
	UNION ALL SELECT 'node', i::text FROM regress_i.node i
	UNION ALL SELECT 'part', i::text FROM regress_i.part i
	UNION ALL SELECT 'heap', i::text FROM regress_i.heap i
	UNION ALL SELECT 'gen', i::text FROM regress_i.gen i;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_i TO regress_i_bot, regress_i_shy;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_i_bot IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_i_shy IS 'agent';
SELECT FROM warden.create_agent('row bot', 'regress_i_bot', 'regress_i_writer');
SELECT FROM warden.create_agent('row shy', 'regress_i_shy', 'regress_i_writer');
UPDATE warden.agents SET keep_images = false WHERE agent = 'row shy';
SELECT FROM warden.add_person('i ann', 'regress_i_ann');
SELECT FROM warden.add_person('i bob', 'regress_i_bob');

--
-- What a preview saw is what an apply may touch
--
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 18001;
SET ROLE regress_i_writer;
CREATE TABLE regress_i.many (i int);
INSERT INTO regress_i.many SELECT generate_series(1, 10001);
GRANT SELECT ON regress_i.many TO regress_i_bot;
\c - regress_i_bot
\o /dev/null
SELECT warden.propose('UPDATE regress_i.items SET name = upper(name), at = now() WHERE id < 4; DELETE FROM regress_i.items WHERE at IS NOT NULL AND id = 1', 'drift', '');
SELECT warden.propose('INSERT INTO regress_i.heap SELECT id, name FROM regress_i.items', 'count', '');
SELECT warden.propose('UPDATE regress_i.part SET v = v || ''!'' WHERE id > 1', 'partitions', '');
SELECT warden.propose('COMMENT ON TABLE regress_i.items IS ''x''; UPDATE regress_i.items SET name = name WHERE id = 2; UPDATE regress_i.traced SET id = id WHERE id = 3; UPDATE regress_i.items SET name = name WHERE id = 3', 'not all of it', '');
SELECT warden.propose('DELETE FROM regress_i.many WHERE i > 0', 'many', '');
\o
\c - regress_i_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(18001, 18003) id;
\o
-- which comparison an apply will make, before a preview and after it
SELECT id, ordinal, level FROM generate_series(18001, 18005) id, warden.review(id) WHERE rule = 'apply.not_compared';
SELECT ordinal, method, rows, compared FROM warden.preview(18001);
SELECT ordinal, method, rows, compared FROM warden.preview(18002);
SELECT ordinal, method, rows, compared FROM warden.preview(18003);
SELECT ordinal, command, method, compared FROM warden.preview(18004);
SELECT ordinal, method, rows, compared FROM warden.preview(18005);
SELECT id, ordinal, message FROM generate_series(18001, 18005) id, warden.review(id) WHERE rule = 'apply.not_compared';
SELECT * FROM warden.change_footprints;
-- the same rows with other contents
BEGIN;
SET LOCAL ROLE regress_i_writer;
UPDATE regress_i.items SET name = 'other' WHERE id = 2;
COMMIT;
\set VERBOSITY sqlstate
CALL warden.apply(18001);
\set VERBOSITY terse
SELECT status, attempts, last_sqlstate FROM warden.pending_changes WHERE id = 18001;
-- the same contents again, as another row version
BEGIN;
SET LOCAL ROLE regress_i_writer;
UPDATE regress_i.items SET name = 'item 2' WHERE id = 2;
COMMIT;
CALL warden.apply(18001);
-- another number of rows
CALL warden.apply(18002);
BEGIN;
SET LOCAL ROLE regress_i_writer;
UPDATE regress_i.part SET v = 'x' WHERE id = 1;
COMMIT;
CALL warden.apply(18003);
-- a new preview is a new look
SELECT ordinal, method, rows FROM warden.preview(18002);
CALL warden.apply(18002);
\c - regress_i_bot
SELECT id, status, last_sqlstate FROM warden.my_changes WHERE id BETWEEN 18001 AND 18099 ORDER BY id;
\c - :superuser
SELECT warden.flush_audit();
SELECT outcome, change_id FROM warden.audit_log
	WHERE outcome = 'previewed' AND change_id BETWEEN 18001 AND 18099 ORDER BY id;

--
-- What was applied can be undone, all of it
--
SET client_min_messages = error;
CREATE TABLE regress_i_before AS SELECT * FROM regress_i.everything;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 18101;
\c - regress_i_bot
\o /dev/null
SELECT warden.propose(sql, 'to be undone', '') FROM (VALUES
	(1, 'DELETE FROM regress_i.parent WHERE id = 1'),
	(2, 'INSERT INTO regress_i.traced VALUES (3, 3), (4, 4)'),
	(3, 'DELETE FROM regress_i.node WHERE id = 1'),
	(4, 'UPDATE regress_i.part SET v = v || ''?'' WHERE id <> 2'),
	(5, 'INSERT INTO regress_i.part VALUES (5, ''new''), (15, ''new''), (6, ''new'')'),
	(6, 'DELETE FROM regress_i.part WHERE id IN (2, 11)'),
	(7, 'DELETE FROM regress_i.heap WHERE n = 1; UPDATE regress_i.heap SET v = v || v WHERE n = 2; INSERT INTO regress_i.heap VALUES (9, ''z'')'),
	(8, 'UPDATE regress_i.gen SET a = a + 10; DELETE FROM regress_i.gen WHERE a = 12; INSERT INTO regress_i.gen (a) VALUES (5)'),
	(9, 'INSERT INTO regress_i.items VALUES (2, ''two''), (7, ''seven'') ON CONFLICT (id) DO UPDATE SET name = excluded.name'),
	(10, 'MERGE INTO regress_i.items i USING (VALUES (3, ''three''), (4, NULL), (8, ''eight'')) n (id, name) ON i.id = n.id WHEN MATCHED AND n.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = n.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (n.id, n.name)'),
	(11, 'WITH gone AS (DELETE FROM regress_i.items WHERE id = 5 RETURNING *) INSERT INTO regress_i.heap SELECT id + 100, name FROM gone'),
	-- and what can not, but for 12 and 15
	(12, 'UPDATE regress_i.part SET id = 19 WHERE id = 2'),
	(13, 'UPDATE regress_i.heap SET n = 0, v = ''same'''),
	(14, 'INSERT INTO regress_i.heap VALUES (4, ''d''); TRUNCATE regress_i.heap'),
	(15, 'INSERT INTO regress_i.part VALUES (3, ''x'') ON CONFLICT (id) DO UPDATE SET v = ''y'''),
	(17, 'UPDATE regress_i.parent SET id = 22 WHERE id = 2'),
	(16, 'INSERT INTO regress_i.heap SELECT i, repeat(''x'', 1000) FROM generate_series(1, 9000) i')
	) AS t (n, sql) ORDER BY n;
\c - regress_i_shy
SELECT warden.propose('UPDATE regress_i.items SET name = ''shy''', 'no images', '');
\c - regress_i_ann
SELECT warden.approve(id, 'ok') FROM generate_series(18101, 18118) id;
\c - regress_i_bob
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 18101 AND 18118 AND status = 'proposed';
\o
-- each is applied, reverted, and then nothing must differ
\c - regress_i_ann
CALL warden.apply(18101);
CALL warden.apply(18102);
CALL warden.apply(18103);
CALL warden.apply(18104);
CALL warden.apply(18105);
CALL warden.apply(18106);
CALL warden.apply(18107);
CALL warden.apply(18108);
CALL warden.apply(18109);
CALL warden.apply(18110);
CALL warden.apply(18111);
\c - :superuser
SELECT change_id, ordinal, relation, operation, row_count FROM warden.change_images
	WHERE change_id BETWEEN 18101 AND 18111 ORDER BY id;
SELECT count(*) > 10 AS differ FROM (TABLE regress_i.everything EXCEPT ALL TABLE regress_i_before) d;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 18201;
\c - regress_i_ann
SELECT warden.revert(id) FROM generate_series(18111, 18101, -1) id;
\c - regress_i_bob
\o /dev/null
SELECT warden.approve(id, 'ok') FROM generate_series(18201, 18211) id;
\c - :superuser
SELECT FROM warden.add_person('i cyd', current_user);
SELECT warden.approve(id, 'ok') FROM warden.pending_changes
	WHERE id BETWEEN 18201 AND 18211 AND status = 'proposed';
\o
\c - regress_i_bob
CALL warden.apply(18201);
CALL warden.apply(18202);
CALL warden.apply(18203);
CALL warden.apply(18204);
CALL warden.apply(18205);
CALL warden.apply(18206);
CALL warden.apply(18207);
CALL warden.apply(18208);
CALL warden.apply(18209);
CALL warden.apply(18210);
CALL warden.apply(18211);
\c - :superuser
TABLE regress_i.everything EXCEPT ALL TABLE regress_i_before;
TABLE regress_i_before EXCEPT ALL TABLE regress_i.everything;

--
-- What can not be undone says why
--
\set VERBOSITY default
\c - regress_i_bob
CALL warden.apply(18112);
CALL warden.apply(18113);
CALL warden.apply(18114);
CALL warden.apply(18115);
CALL warden.apply(18116);
CALL warden.apply(18117);
CALL warden.apply(18118);
SELECT warden.revert(18112);
SELECT warden.revert(18113);
SELECT warden.revert(18114);
SELECT warden.revert(18115);
SELECT warden.revert(18116);
SELECT warden.revert(18117);
SELECT warden.revert(18118);
-- rows of a table that has children, and theirs
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_i_writer;
CREATE TABLE regress_i.whole (id int, v text);
CREATE TABLE regress_i.half () INHERITS (regress_i.whole);
INSERT INTO regress_i.whole VALUES (1, 'whole'), (2, 'whole');
INSERT INTO regress_i.half VALUES (1, 'half'), (2, 'half');
CREATE FUNCTION regress_i.shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% %', TG_OP, OLD;
	RETURN NULL;
END $$;
CREATE TRIGGER shout AFTER UPDATE OR DELETE ON regress_i.whole
	FOR EACH ROW EXECUTE FUNCTION regress_i.shout();
GRANT SELECT ON regress_i.whole TO regress_i_bot;
RESET ROLE;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 18250;
\c - regress_i_bot
UPDATE regress_i.whole SET v = v || '!' WHERE id = 1;
DELETE FROM regress_i.whole WHERE id = 2;
WITH u AS (UPDATE regress_i.whole SET id = 3 WHERE id = 1 RETURNING id) SELECT count(*) FROM u;
\c - regress_i_ann
\o /dev/null
SELECT warden.approve(id, NULL) FROM generate_series(18250, 18252) id;
\o
CALL warden.apply(18250);
CALL warden.apply(18251);
CALL warden.apply(18252);
SELECT warden.revert(18252), warden.revert(18251), warden.revert(18250);
\c - :superuser
SELECT relation, operation, row_count, old_rows, new_rows FROM warden.change_images
	WHERE change_id BETWEEN 18250 AND 18252 ORDER BY id;
SELECT tableoid::regclass, * FROM regress_i.whole ORDER BY 1, 2;
\c - regress_i_bob
\o /dev/null
SELECT warden.approve(id, NULL) FROM generate_series(18253, 18255) id;
\o
CALL warden.apply(18253);
CALL warden.apply(18254);
CALL warden.apply(18255);
\c - :superuser
SELECT tableoid::regclass, * FROM regress_i.whole ORDER BY 1, 2;
-- and one of them that is like one of a child
INSERT INTO regress_i.half VALUES (5, 'same');
\c - regress_i_bot
INSERT INTO regress_i.whole (id, v) VALUES (5, 'same');
\c - regress_i_ann
SELECT warden.approve(18256, NULL);
CALL warden.apply(18256);
SELECT warden.revert(18256);
\c - regress_i_bob
SELECT warden.approve(18257, NULL);
CALL warden.apply(18257);
\c - :superuser
SELECT tableoid::regclass, * FROM regress_i.whole WHERE id = 5;
-- columns have come and gone: none of the values goes to another one
\c - :superuser
SET client_min_messages = error;
SET ROLE regress_i_writer;
CREATE TABLE regress_i.altered (id int PRIMARY KEY, ssn text, "#" int);
INSERT INTO regress_i.altered VALUES (1, '078-05-1120', 1), (2, '078-05-1121', 2);
GRANT SELECT ON regress_i.altered TO regress_i_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_i.altered.ssn IS 'ssn';
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 18301;
\c - regress_i_bot
DELETE FROM regress_i.altered WHERE id = 1;
UPDATE regress_i.altered SET "#" = 3 WHERE id = 2;
\c - regress_i_ann
SELECT warden.approve(18301, NULL), warden.approve(18302, NULL);
CALL warden.apply(18301);
CALL warden.apply(18302);
SELECT warden.revert(18302);
\c - regress_i_bob
SELECT warden.approve(18303, NULL);
CALL warden.apply(18303);
\c - :superuser
SELECT * FROM regress_i.altered;
ALTER TABLE regress_i.altered DROP ssn, DROP "#";
ALTER TABLE regress_i.altered ADD note text, ADD "#" int;
\c - regress_i_ann
\set VERBOSITY default
SELECT warden.revert(18301);
\set VERBOSITY terse
-- raw rows are nobody's to read, and their time is limited
SELECT * FROM warden.change_images;
\c - :superuser
SET warden.image_retention = 0;
\set VERBOSITY terse
SELECT pg_sleep(0.001);
SELECT warden.revert(18201);

\c - :superuser
SET client_min_messages = error;
DROP TABLE regress_i_before;
DROP SCHEMA regress_i CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_i_bot IS NULL;
SECURITY LABEL FOR warden ON ROLE regress_i_shy IS NULL;
DELETE FROM warden.people WHERE person LIKE 'i %';
DELETE FROM warden.agents WHERE agent LIKE 'row %';
DROP ROLE regress_i_bot, regress_i_shy, regress_i_writer, regress_i_ann, regress_i_bob;
