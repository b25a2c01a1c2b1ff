-- What a reviewer who reads masks is told of a change, and which triggers a
-- change can set off.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_clear LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE ROLE regress_dim LOGIN IN ROLE warden_reviewer;
CREATE SCHEMA regress_pm AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_pm TO regress_bot, regress_clear, regress_dim;
SET ROLE regress_writer;
CREATE TABLE regress_pm.person (id int PRIMARY KEY, ssn text, n int, secret text,
	CHECK (n < 100));
INSERT INTO regress_pm.person SELECT i, '078-05-480' || i, i, 'hush' FROM generate_series(1, 9) i;
CREATE TABLE regress_pm.child (id int PRIMARY KEY,
	person int REFERENCES regress_pm.person ON DELETE CASCADE);
INSERT INTO regress_pm.child VALUES (1, 1);
ANALYZE regress_pm.person;
CREATE TABLE regress_pm.traced (id int PRIMARY KEY, a int, b int);
INSERT INTO regress_pm.traced VALUES (1, 1, 1);
CREATE FUNCTION regress_pm.trace() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN RAISE WARNING 'fired'; RETURN NEW; END$$;
CREATE TRIGGER on_insert BEFORE INSERT ON regress_pm.traced
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
CREATE TRIGGER on_a AFTER UPDATE OF a ON regress_pm.traced
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
CREATE TRIGGER at_all AFTER UPDATE OR DELETE OR TRUNCATE ON regress_pm.traced
	FOR EACH STATEMENT EXECUTE FUNCTION regress_pm.trace();
CREATE TRIGGER asleep AFTER UPDATE ON regress_pm.traced
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
ALTER TABLE regress_pm.traced DISABLE TRIGGER asleep;
CREATE PROCEDURE regress_pm.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE TABLE regress_pm.head (id int PRIMARY KEY, v int);
CREATE TABLE regress_pm.tail (id int REFERENCES regress_pm.head ON DELETE CASCADE);
CREATE TRIGGER on_tail AFTER DELETE ON regress_pm.tail
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
CREATE TABLE regress_pm.parts (k int, v int) PARTITION BY LIST (k);
CREATE TABLE regress_pm.part1 PARTITION OF regress_pm.parts FOR VALUES IN (1);
CREATE TABLE regress_pm.part2 PARTITION OF regress_pm.parts FOR VALUES IN (2);
CREATE TRIGGER on_parts AFTER INSERT ON regress_pm.parts
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
CREATE TRIGGER on_part2 AFTER INSERT ON regress_pm.part2
	FOR EACH ROW EXECUTE FUNCTION regress_pm.trace();
CREATE FUNCTION regress_pm.shout(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
	$$BEGIN RAISE WARNING 'shouted %', $1; RETURN upper($1); END$$;
CREATE TABLE regress_pm.tenants (id int PRIMARY KEY, who name);
INSERT INTO regress_pm.tenants VALUES (1, 'regress_dim'), (2, 'regress_clear');
ALTER TABLE regress_pm.tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON regress_pm.tenants USING (who = current_user);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_pm TO regress_bot, regress_dim;
REVOKE SELECT ON regress_pm.person FROM regress_dim;
GRANT SELECT (id, ssn, n) ON regress_pm.person TO regress_dim;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_pm.person.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_dim IS 'masked';
SELECT FROM warden.create_agent('dim bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('clear', 'regress_clear');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 41001;

\c - regress_bot
-- oracles: as many rows, errors, seconds as the data says
SELECT warden.propose($$
UPDATE regress_pm.person SET n = n WHERE ssn LIKE '078%';
UPDATE regress_pm.person SET n = n WHERE ssn LIKE '999%';
UPDATE regress_pm.person SET n = 1000 WHERE ssn = '078-05-4801';
UPDATE regress_pm.person SET n = 1 / (CASE WHEN ssn LIKE '078%' THEN 0 ELSE 1 END);
UPDATE regress_pm.person SET n = n + 1 WHERE id IN (SELECT id FROM regress_pm.person WHERE ssn < '1');
DELETE FROM regress_pm.child c USING regress_pm.person p WHERE p.id = c.person AND p.ssn LIKE '078%';
ALTER TABLE regress_pm.person ADD CHECK (ssn NOT LIKE '078%');
CREATE UNIQUE INDEX ON regress_pm.person (left(ssn, 3))$$, 'oracles', NULL);
SELECT warden.propose($$
UPDATE regress_pm.person SET n = n * 10, ssn = '000-00-0000' WHERE id < 3;
UPDATE regress_pm.person p SET (n, secret) = (SELECT 5, ssn), ssn = ssn || '!' WHERE id = 1;
INSERT INTO regress_pm.person (id, ssn) SELECT id + 100, ssn FROM regress_pm.person WHERE id = 2;
INSERT INTO regress_pm.traced VALUES (7, 7, 7);
INSERT INTO regress_pm.traced DEFAULT VALUES;
DELETE FROM regress_pm.person WHERE id = 3;
UPDATE regress_pm.person SET n = 0 WHERE secret = 'hush';
DELETE FROM regress_pm.tenants$$, 'plain', NULL);
-- nothing runs with the reviewer's rights
SELECT warden.propose($$
UPDATE regress_pm.person SET n = length(regress_pm.shout(ssn));
UPDATE regress_pm.person SET n = (random() * 10)::int;
UPDATE regress_pm.person SET n = 1 WHERE id IN (SELECT id FROM regress_pm.child FOR UPDATE);
WITH gone AS (DELETE FROM regress_pm.child RETURNING id)
	UPDATE regress_pm.person SET n = 2 WHERE id IN (SELECT id FROM gone);
DO $do$BEGIN RAISE WARNING 'done'; END$do$;
MERGE INTO regress_pm.traced t USING regress_pm.child c ON c.id = t.id
	WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT (id) VALUES (c.id)$$, 'code', NULL);
SELECT warden.propose($$
UPDATE regress_pm.traced SET b = 2;
UPDATE regress_pm.traced SET a = 2 WHERE false;
INSERT INTO regress_pm.traced VALUES (1, 1, 1) ON CONFLICT (id) DO UPDATE SET a = 1;
TRUNCATE regress_pm.traced;
DELETE FROM regress_pm.head WHERE id = 9;
UPDATE regress_pm.head SET id = id;
UPDATE regress_pm.head SET v = 3;
DELETE FROM regress_pm.person WHERE id = 9;
INSERT INTO regress_pm.child VALUES (5, 5);
INSERT INTO regress_pm.parts VALUES (1, 1);
UPDATE regress_pm.parts SET v = 2;
UPDATE regress_pm.parts SET k = 2;
COMMENT ON TABLE regress_pm.traced IS 'traced';
DO $do$BEGIN RAISE WARNING 'done'; END$do$ $$, 'triggers', NULL);
-- each WHEN clause with the rows that no earlier one takes
SELECT warden.propose($$
MERGE INTO regress_pm.person p USING (VALUES (1, 5), (3, NULL), (4, 40), (77, 7), (101, 8)) v (id, n) ON p.id = v.id
	WHEN MATCHED AND v.n IS NULL THEN DELETE
	WHEN MATCHED AND p.ssn LIKE '078%' THEN UPDATE SET n = 0
	WHEN MATCHED THEN UPDATE SET n = v.n, ssn = p.ssn || '!'
	WHEN NOT MATCHED AND v.id > 100 THEN DO NOTHING
	WHEN NOT MATCHED THEN INSERT (id, n, secret) VALUES (v.id, v.n, DEFAULT);
WITH c AS (SELECT person AS id FROM regress_pm.child)
	MERGE INTO regress_pm.traced USING c ON traced.id = c.id
	WHEN MATCHED THEN DO NOTHING
	WHEN NOT MATCHED THEN INSERT VALUES (c.id, 2);
MERGE INTO regress_pm.person p USING regress_pm.child c ON p.id = c.person AND p.ssn LIKE '078%'
	WHEN MATCHED THEN UPDATE SET n = 0 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (c.id + 50, 1);
MERGE INTO regress_pm.person p USING regress_pm.child c ON p.id = c.person
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, n) VALUES (c.id, (random() * 10)::int);
MERGE INTO regress_pm.person p USING regress_pm.child c ON p.id = c.person
	WHEN MATCHED THEN UPDATE SET secret = 'x';
MERGE INTO regress_pm.person p USING regress_pm.tenants t ON p.id = t.id
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT DEFAULT VALUES;
TRUNCATE regress_pm.child;
CALL regress_pm.nothing()$$, 'merge', NULL);

--
-- A masked reviewer
--
\c - regress_dim
SELECT ordinal, command, method, rows IS NOT NULL AS estimated, duration_ms, locks, rewritten, detail
	FROM warden.preview(41001);
SELECT ordinal, s -> 'before' AS before, s -> 'after' AS after
	FROM warden.preview(41001), jsonb_array_elements(sample) s;
-- the same estimate whatever the data says
SELECT count(DISTINCT rows) FROM warden.preview(41001) WHERE ordinal IN (1, 2);
SELECT ordinal, command, method, detail, s -> 'before' AS before, s -> 'after' AS after
	FROM warden.preview(41002) LEFT JOIN jsonb_array_elements(sample) s ON true;
SELECT ordinal, command, method, rows IS NOT NULL AS estimated, detail, sample FROM warden.preview(41003);
SELECT ordinal, command, triggers FROM warden.preview(41003);
SELECT ordinal, command, method, rows > 0 AS estimated, detail FROM warden.preview(41005);
SELECT ordinal, s -> 'before' AS before, s -> 'after' AS after
	FROM warden.preview(41005), jsonb_array_elements(sample) s;
SELECT count(*) FROM generate_series(41001, 41005) id, warden.preview(id) WHERE sample::text LIKE '%078-05%';
CALL warden.apply(41001);
SELECT current_user, current_setting('transaction_read_only'), current_setting('client_min_messages');
-- nothing of it is kept
SELECT * FROM warden.change_footprints;
\c - :superuser
SELECT count(*) FROM warden.change_footprints WHERE change_id BETWEEN 41001 AND 41099;
SELECT sum(n), max(ssn) FROM regress_pm.person;

--
-- A clear one
--
\c - regress_clear
SELECT ordinal, method, rows, detail, triggers, jsonb_array_length(sample) AS sample FROM warden.preview(41001);
SELECT ordinal, command, method, triggers FROM warden.preview(41004);
-- a masked look does not loosen what an apply is held to
\c - regress_dim
SELECT ordinal, command, compared FROM warden.preview(41001);
\c - :superuser
SELECT ordinal, rows FROM warden.change_footprints WHERE change_id = 41001 ORDER BY 1;
\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_pm CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
SECURITY LABEL FOR warden ON ROLE regress_dim IS NULL;
DELETE FROM warden.people WHERE person = 'clear';
DELETE FROM warden.agents WHERE agent = 'dim bot';
DROP ROLE regress_bot, regress_writer, regress_clear, regress_dim;
