-- Every rule of the review: a statement that sets it off, and a near miss.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE ROLE regress_bot LOGIN;
CREATE SCHEMA s;
GRANT USAGE ON SCHEMA s TO regress_bot;
CREATE TYPE s.mood AS ENUM ('sad');
CREATE DOMAIN s.positive AS int CHECK (value > 0);
CREATE TABLE s.small (id int PRIMARY KEY, a int, b text, v varchar(10), j json, ts timestamp, mood s.mood);
CREATE INDEX small_a ON s.small (a);
CREATE TABLE s.child (id int PRIMARY KEY, small_id int REFERENCES s.small ON DELETE CASCADE);
CREATE TABLE s.big (id int PRIMARY KEY, a int, b text);
INSERT INTO s.big SELECT i, i, 'b' FROM generate_series(1, 20000) i;
ANALYZE s.big;
CREATE TABLE s.people (id int PRIMARY KEY, ssn text, note text);
CREATE VIEW s.small_view AS SELECT id FROM s.small;
CREATE TABLE s.below (id int PRIMARY KEY, a int, b text);
INSERT INTO s.below SELECT i, i, 'b' FROM generate_series(1, 2000) i;
ANALYZE s.below;
CREATE VIEW s.big_view AS SELECT b, a, id FROM s.below WHERE b <> '';
CREATE VIEW s.big_again AS SELECT id AS number, a FROM s.big_view;
CREATE VIEW s.people_view AS SELECT id, ssn FROM s.people;
CREATE VIEW s.people_number AS SELECT id AS person, ssn AS number FROM s.people_view;
CREATE VIEW s.nested AS SELECT id FROM (SELECT id FROM s.below OFFSET 0) b;
CREATE VIEW s.round_1 AS SELECT 1 AS a;
CREATE VIEW s.round_2 AS SELECT a FROM s.round_1;
CREATE OR REPLACE VIEW s.round_1 AS SELECT a FROM s.round_2;
CREATE VIEW s.barrier WITH (security_barrier) AS SELECT id FROM s.small;
CREATE VIEW s.invoker WITH (security_invoker) AS SELECT id FROM s.small;
CREATE VIEW s.checked AS SELECT id FROM s.small WITH CHECK OPTION;
CREATE TABLE s.traced (id int);
CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON s.traced FOR EACH ROW EXECUTE FUNCTION s.f();
CREATE FUNCTION s.run(sql text) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; RETURN 1; END';
CREATE FUNCTION s.log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE TG_ARGV[0]; RETURN NEW; END';
CREATE TABLE s.logged (id int);
CREATE TRIGGER t BEFORE INSERT ON s.logged FOR EACH ROW EXECUTE FUNCTION s.log('SELECT 1');
CREATE SEQUENCE s.seq;
CREATE MATERIALIZED VIEW s.mat AS SELECT id FROM s.big;
CREATE UNIQUE INDEX ON s.mat (id);
CREATE TABLE s.parted (id int) PARTITION BY LIST (id);
CREATE TABLE s.part PARTITION OF s.parted FOR VALUES IN (1);
CREATE TABLE s.rest PARTITION OF s.parted DEFAULT;
INSERT INTO s.parted SELECT 1 FROM generate_series(1, 500);
INSERT INTO s.parted SELECT 2 FROM generate_series(1, 700);
ANALYZE s.parted;
-- each view looks twice at each of 20 columns of the one below
DO $$ BEGIN
	EXECUTE 'CREATE VIEW s.deep_0 AS SELECT ' ||
		(SELECT string_agg(i || ' AS c' || i, ', ') FROM generate_series(1, 20) i);
	FOR n IN 1..8 LOOP
		EXECUTE format('CREATE VIEW s.deep_%s AS SELECT %s FROM s.deep_%s', n,
			(SELECT string_agg(format('c%s + c%s AS c%s', i, 1 + i % 20, i), ', ')
				FROM generate_series(1, 20) i), n - 1);
	END LOOP;
END $$;
DO $$ BEGIN
	EXECUTE 'CREATE TABLE s.broad (' ||
		(SELECT string_agg(format('c%s int', i), ', ') FROM generate_series(1, 200) i) || ')';
END $$;
CREATE VIEW s.broad_view AS SELECT * FROM s.broad;
CREATE TABLE s.lone (id int);
CREATE TABLE s.own_parts (id int PRIMARY KEY CHECK (id > 0), up int REFERENCES s.own_parts, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE s.typed (id bigint PRIMARY KEY, num numeric(10,2), ip cidr, t text, sorted text, ts timestamp, mood s.mood,
	proven int CHECK (proven IS NOT NULL), doubted int);
ALTER TABLE s.typed ADD CHECK (doubted IS NOT NULL) NOT VALID;
CREATE INDEX ON s.typed (sorted);
CREATE FUNCTION s.unused() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION s.operates(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR s.@@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = s.operates);
CREATE FUNCTION s.pure() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION s.mood_int(s.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE POLICY p ON s.small;
SECURITY LABEL FOR warden ON COLUMN s.people.ssn IS 'ssn';
GRANT SELECT ON ALL TABLES IN SCHEMA s TO regress_bot;
CREATE ROLE regress_other;
UPDATE warden.proposable SET enabled = true;

CREATE TABLE s.cases (n int GENERATED ALWAYS AS IDENTITY, rule text, hit text, miss text);
INSERT INTO s.cases (rule, hit, miss) VALUES
('code.call', 'SELECT s.f()', 'INSERT INTO s.small (id) VALUES (1)'),
('code.call', 'UPDATE s.small SET a = s.unused() WHERE id = 1', 'UPDATE s.small SET a = s.pure() WHERE id = 1'),
('code.call', 'DELETE FROM s.small WHERE id = 1 AND a = s.unused()', 'DELETE FROM s.small WHERE id = 1 AND a = random()'),
('code.cast', 'CREATE CAST (s.mood AS int) WITH FUNCTION s.mood_int(s.mood)', 'COMMENT ON TYPE s.mood IS ''x'''),
('code.do', 'DO ''BEGIN NULL; END''', 'UPDATE s.small SET a = 1 WHERE id = 1'),
('code.dynamic_sql', 'SELECT s.run(''SELECT 1'')', 'SELECT s.unused()'),
('code.dynamic_sql', 'UPDATE s.small SET a = s.run(''SELECT 1'') WHERE id = 1', 'UPDATE s.small SET b = ''s.run'' WHERE id = 1'),
('code.dynamic_sql', 'DO $$BEGIN EXECUTE ''SELECT 1''; END$$', 'DO $$BEGIN RAISE NOTICE ''execute''; END$$'),
('code.dynamic_sql', 'INSERT INTO s.logged (id) VALUES (1)', 'INSERT INTO s.traced (id) VALUES (1)'),
('code.dynamic_sql', 'CREATE TABLE s.n AS SELECT query_to_xml(''SELECT 1'', true, true, '''')', 'CREATE TABLE s.n AS SELECT xmlforest(1 AS a)'),
('code.function', 'CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'COMMENT ON FUNCTION s.f() IS ''x'''),
('code.call', 'WITH w AS (UPDATE s.small SET a = 1 WHERE id = 1) SELECT s.unused()', 'WITH w AS (UPDATE s.small SET a = 1 WHERE id = 1) SELECT s.pure()'),
('code.call', 'WITH w AS (SELECT 1) SELECT s.pure()', 'WITH w AS (DELETE FROM s.small WHERE id = 1 RETURNING *) SELECT count(*) FROM w'),
('code.call', 'UPDATE s.small SET a = 1 WHERE id OPERATOR(s.@@@@) 1', 'UPDATE s.small SET a = 1 WHERE id OPERATOR(pg_catalog.=) 1'),
('code.call', 'CREATE TABLE s.n AS SELECT s.unused()', 'CREATE TABLE s.n AS SELECT s.pure()'),
('code.call', 'SELECT s.unused() AS a INTO s.n', 'SELECT s.pure() AS a INTO s.n'),
('code.call', 'SELECT s.unused() AS a INTO s.n UNION SELECT 1', 'SELECT 1 AS a INTO s.n UNION SELECT 2'),
('code.call', 'CREATE MATERIALIZED VIEW s.n AS SELECT s.unused()', 'CREATE VIEW s.n AS SELECT s.unused()'),
('code.call', 'CREATE TABLE s.n PARTITION OF s.parted FOR VALUES IN (s.unused())', 'CREATE TABLE s.n PARTITION OF s.parted FOR VALUES IN (s.pure())'),
('code.call', 'ALTER TABLE s.parted ATTACH PARTITION s.lone FOR VALUES IN (s.unused())', 'ALTER TABLE s.parted ATTACH PARTITION s.lone FOR VALUES IN (2)'),
('code.call', 'ALTER TABLE s.small ADD c int DEFAULT s.unused()', 'ALTER TABLE s.small ADD c int DEFAULT s.pure()'),
('code.call', 'ALTER TABLE s.small ADD c int CHECK (c > s.unused())', 'CREATE TABLE s.n (a int DEFAULT s.unused(), PRIMARY KEY (a)); ALTER TABLE s.n ADD c int DEFAULT s.unused()'),
('code.call', 'ALTER TABLE s.small ALTER a SET DEFAULT s.unused()', 'ALTER TABLE s.small ALTER a DROP DEFAULT'),
('code.call', 'ALTER TABLE s.small ALTER a TYPE int USING s.unused()', 'ALTER TABLE s.small ALTER a TYPE int USING s.pure()'),
('code.call', 'ALTER TABLE s.small ADD CHECK (a > s.unused()) NOT VALID', 'ALTER TABLE s.small ADD CHECK (a > 1) NOT VALID'),
('code.call', 'ALTER DOMAIN s.positive ADD CHECK (value > s.unused()) NOT VALID', 'ALTER DOMAIN s.positive DROP DEFAULT'),
('code.operator', 'CREATE TYPE s.n AS RANGE (subtype = int, subtype_diff = s.difference)', 'CREATE TYPE s.n AS RANGE (subtype = int)'),
('code.operator', 'CREATE AGGREGATE s.total (int) (sfunc = int4pl, stype = int)', 'CREATE TYPE s.pair AS (a int)'),
('code.policy', 'CREATE POLICY q ON s.small', 'COMMENT ON TABLE s.small IS ''x'''),
('code.rule', 'CREATE RULE r AS ON INSERT TO s.small DO ALSO SELECT 1', 'CREATE VIEW s.v AS SELECT id FROM s.small'),
('code.security_definer', 'CREATE FUNCTION s.g() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''', 'CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
('code.trigger', 'CREATE TRIGGER t BEFORE INSERT ON s.small FOR EACH ROW EXECUTE FUNCTION s.f()', 'COMMENT ON TRIGGER t ON s.traced IS ''x'''),
('column.add_not_null', 'ALTER TABLE s.small ADD c int NOT NULL', 'ALTER TABLE s.small ADD c int NOT NULL DEFAULT 0'),
('column.default_volatile', 'ALTER TABLE s.small ADD c float DEFAULT random()', 'ALTER TABLE s.small ADD c timestamptz DEFAULT now()'),
('column.drop', 'ALTER TABLE s.small DROP a', 'ALTER TABLE s.small ALTER a DROP DEFAULT'),
('column.generated_stored', 'ALTER TABLE s.small ADD c int GENERATED ALWAYS AS (a + 1) STORED', 'CREATE TABLE s.n (a int, c int GENERATED ALWAYS AS (a + 1) STORED)'),
('column.not_null_scan', 'ALTER TABLE s.small ALTER a SET NOT NULL', 'ALTER TABLE s.small ALTER a DROP NOT NULL'),
('column.rename', 'ALTER TABLE s.small RENAME a TO c', 'ALTER INDEX s.small_a RENAME TO small_c'),
('column.serial', 'CREATE TABLE s.n (id serial)', 'CREATE TABLE s.n (id bigint GENERATED BY DEFAULT AS IDENTITY)'),
('column.type_change', 'ALTER TABLE s.small ALTER v TYPE varchar(20)', 'ALTER TABLE s.small ALTER v TYPE varchar(5)'),
('column.type_rewrite', 'ALTER TABLE s.small ALTER a TYPE bigint', 'ALTER TABLE s.small ALTER v TYPE text'),
('column.type_rewrite', 'ALTER TABLE s.small ALTER a TYPE text USING a::text', 'ALTER TABLE s.small ALTER b TYPE varchar'),
('column.type_rewrite', 'ALTER TABLE s.small ALTER j TYPE jsonb', 'CREATE TABLE s.n (a int); ALTER TABLE s.n ALTER a TYPE bigint'),
('column.type_rewrite', 'ALTER TABLE s.small ALTER a TYPE s.positive', 'ALTER TABLE s.small ALTER v TYPE varchar(11)'),
('constraint.build', 'ALTER TABLE s.small ADD UNIQUE (b)', 'CREATE TABLE s.n (b text UNIQUE)'),
('constraint.drop', 'ALTER TABLE s.small DROP CONSTRAINT small_pkey', 'ALTER TABLE s.small ALTER a DROP NOT NULL'),
('constraint.fk_no_index', 'ALTER TABLE s.big ADD FOREIGN KEY (a) REFERENCES s.small NOT VALID', 'ALTER TABLE s.small ADD FOREIGN KEY (a) REFERENCES s.big NOT VALID'),
('constraint.not_valid_missing', 'ALTER TABLE s.small ADD CHECK (a > 0)', 'ALTER TABLE s.small ADD CHECK (a > 0) NOT VALID'),
('constraint.not_valid_missing', 'ALTER TABLE s.small ADD FOREIGN KEY (a) REFERENCES s.big', 'ALTER TABLE s.small ADD FOREIGN KEY (a) REFERENCES s.big NOT VALID'),
('dml.cascades', 'DELETE FROM s.small WHERE id = 1', 'DELETE FROM s.child WHERE id = 1'),
('dml.evaluated_at_apply', 'UPDATE s.small SET b = session_user WHERE id = 1', 'UPDATE s.small SET b = ''session_user'' WHERE id = 1'),
('dml.evaluated_at_apply', 'UPDATE s.small SET a = 1 WHERE b = current_user', 'UPDATE s.small SET a = 1 WHERE b = ''x'''),
('dml.evaluated_at_apply', 'UPDATE s.small SET b = current_setting(''warden.agent'') WHERE id = 1', 'UPDATE s.small SET b = upper(''x'') WHERE id = 1'),
('dml.evaluated_at_apply', 'UPDATE s.small SET ts = now() WHERE id = 1', 'UPDATE s.small SET ts = ''2020-01-01'' WHERE id = 1'),
('dml.evaluated_at_apply', 'INSERT INTO s.small (id, ts) VALUES (1, CURRENT_TIMESTAMP)', 'INSERT INTO s.small (id, b) VALUES (1, ''now'')'),
('dml.insert_no_columns', 'INSERT INTO s.small VALUES (1)', 'INSERT INTO s.small (id) VALUES (1)'),
('dml.many_rows', 'UPDATE s.big SET a = 1 WHERE b = ''b''', 'UPDATE s.big SET a = 1 WHERE id = 7'),
('dml.many_rows', 'DELETE FROM s.big WHERE a > 5', 'DELETE FROM s.big WHERE id IN (1, 2, 3)'),
('dml.no_where', 'UPDATE s.small SET a = 1', 'UPDATE s.small SET a = 1 WHERE id > 0'),
('dml.no_where', 'DELETE FROM s.small', 'CREATE TABLE s.n (a int); DELETE FROM s.n'),
('dml.no_where', 'WITH x AS (DELETE FROM s.small RETURNING *) SELECT count(*) FROM x', 'WITH x AS (SELECT 1) DELETE FROM s.small WHERE id = 1'),
('dml.triggers', 'INSERT INTO s.traced (id) VALUES (1)', 'INSERT INTO s.lone (id) VALUES (1)'),
('dml.update_key', 'UPDATE s.small SET id = 2 WHERE id = 1', 'UPDATE s.small SET a = 2 WHERE id = 1'),
('dml.where_always_true', 'DELETE FROM s.small WHERE true', 'DELETE FROM s.small WHERE false'),
('dml.where_always_true', 'DELETE FROM s.small WHERE 1 = 1', 'DELETE FROM s.small WHERE 1 = id'),
('dml.where_always_true', 'DELETE FROM s.small WHERE id = id', 'DELETE FROM s.small WHERE id = a'),
('dml.where_always_true', 'DELETE FROM s.small WHERE id = 1 OR 1 = 1', 'DELETE FROM s.small WHERE id = 1 AND 1 = 1'),
('dml.writes_labelled', 'UPDATE s.people SET ssn = ''1'' WHERE id = 1', 'UPDATE s.people SET note = ''1'' WHERE id = 1'),
('drop.cascade', 'DROP TABLE s.lone CASCADE', 'DROP TABLE s.lone RESTRICT'),
('drop.cascade', 'TRUNCATE s.small CASCADE', 'TRUNCATE s.lone'),
('drop.dependents', 'DROP TABLE s.small', 'DROP TABLE s.lone'),
('drop.dependents', 'DROP TABLE s.small', 'DROP TABLE s.own_parts'),
('enum.value_used', 'ALTER TYPE s.mood ADD VALUE ''glad''; UPDATE s.small SET mood = ''glad'' WHERE id = 1', 'ALTER TYPE s.mood ADD VALUE ''glad''; UPDATE s.small SET mood = ''sad'' WHERE id = 1'),
('flow.copies_labelled', 'UPDATE s.people SET note = ssn WHERE id = 1', 'UPDATE s.people SET note = upper(note) WHERE id = 1'),
('flow.copies_labelled', 'SELECT ssn INTO s.n FROM s.people UNION SELECT b FROM s.small', 'SELECT note INTO s.n FROM s.people UNION SELECT b FROM s.small'),
('flow.copies_labelled', 'INSERT INTO s.small (id, b) SELECT id, ssn FROM s.people', 'INSERT INTO s.small (id, b) SELECT id, note FROM s.people'),
('flow.copies_labelled', 'CREATE TABLE s.n AS SELECT * FROM s.people', 'CREATE TABLE s.n AS SELECT * FROM s.small'),
('flow.view_of_labelled', 'CREATE VIEW s.v AS SELECT ssn FROM s.people', 'CREATE VIEW s.v AS SELECT b FROM s.small'),
('grant.labelled', 'GRANT SELECT ON s.small, s.people TO regress_other', 'REVOKE SELECT ON s.people FROM regress_other'),
('grant.option', 'GRANT SELECT ON s.small TO regress_other WITH GRANT OPTION', 'REVOKE GRANT OPTION FOR SELECT ON s.small FROM regress_other'),
('grant.privileges', 'REVOKE SELECT ON s.small FROM regress_other', 'COMMENT ON TABLE s.small IS ''x'''),
('grant.public', 'GRANT SELECT ON s.small TO regress_other, PUBLIC', 'GRANT SELECT ON s.small TO regress_other'),
('index.drop', 'DROP INDEX s.small_a', 'REINDEX INDEX s.small_a'),
('index.drop_not_concurrent', 'DROP INDEX s.small_a', 'DROP INDEX CONCURRENTLY s.small_a'),
('index.duplicate', 'CREATE INDEX ON s.small (a)', 'CREATE INDEX ON s.small (b)'),
('index.not_concurrent', 'CREATE INDEX ON s.small (b)', 'CREATE INDEX CONCURRENTLY ON s.small (b)'),
('index.not_concurrent', 'CREATE INDEX ON s.small (b)', 'CREATE TABLE s.n (a int); CREATE INDEX ON s.n (a)'),
('label.column', 'ALTER TABLE s.people ALTER ssn TYPE varchar', 'ALTER TABLE s.people ALTER note TYPE varchar'),
('lock.access_exclusive', 'ALTER TABLE s.small ADD c int', 'ALTER TABLE s.small ALTER a SET STATISTICS 100'),
('lock.exclusive', 'ALTER TABLE s.small ADD FOREIGN KEY (a) REFERENCES s.big NOT VALID', 'ALTER TABLE s.small VALIDATE CONSTRAINT small_pkey'),
('lock.held_on', 'ALTER TABLE s.small ADD c int; UPDATE s.big SET a = 1 WHERE id = 1', 'UPDATE s.big SET a = 1 WHERE id = 1; ALTER TABLE s.small ADD c int'),
('maintenance.rewrite', 'VACUUM FULL s.small', 'VACUUM s.small'),
('maintenance.rewrite', 'CLUSTER s.small USING small_a', 'ANALYZE s.small'),
('name.unqualified', 'CREATE TABLE n (id int)', 'CREATE TABLE s.n (id int)'),
('object.alter', 'ALTER DOMAIN s.positive DROP CONSTRAINT positive_check', 'CREATE DOMAIN s.n AS int'),
('object.drop', 'DROP VIEW s.small_view', 'CREATE VIEW s.n AS SELECT 1 AS a'),
('object.rename', 'ALTER TYPE s.mood RENAME TO moods', 'CREATE TYPE s.n AS ENUM (''a'')'),
('owner.change', 'ALTER TABLE s.small OWNER TO regress_other', 'ALTER TABLE s.small SET (fillfactor = 90)'),
('owner.change', 'ALTER FUNCTION s.f() OWNER TO regress_other', 'COMMENT ON FUNCTION s.f() IS ''x'''),
('partition.attach_scan', 'ALTER TABLE s.parted ATTACH PARTITION s.lone FOR VALUES IN (2)', 'CREATE TABLE s.n PARTITION OF s.parted FOR VALUES IN (3)'),
('partition.detach', 'ALTER TABLE s.parted DETACH PARTITION s.part', 'COMMENT ON TABLE s.part IS ''x'''),
('refresh.not_concurrent', 'REFRESH MATERIALIZED VIEW s.mat', 'REFRESH MATERIALIZED VIEW CONCURRENTLY s.mat'),
('reindex.not_concurrent', 'REINDEX TABLE s.small', 'REINDEX TABLE CONCURRENTLY s.small'),
('schema.drop', 'DROP SCHEMA s', 'DROP SCHEMA IF EXISTS not_there'),
('script.barred_from_transaction', 'UPDATE s.small SET a = 1 WHERE id = 1; VACUUM s.small', 'VACUUM s.small'),
('script.barred_from_transaction', 'UPDATE s.small SET a = 1 WHERE id = 1; REINDEX TABLE s.parted', 'UPDATE s.small SET a = 1 WHERE id = 1; REINDEX TABLE s.small'),
('security.row_security', 'ALTER TABLE s.small DISABLE ROW LEVEL SECURITY', 'ALTER TABLE s.small SET (fillfactor = 90)'),
('security.row_security', 'DROP POLICY p ON s.small', 'COMMENT ON POLICY p ON s.small IS ''x'''),
('security.trigger_disabled', 'ALTER TABLE s.traced DISABLE TRIGGER t', 'ALTER TABLE s.traced ALTER id SET DEFAULT 1'),
('security.view_options', 'ALTER VIEW s.barrier SET (security_barrier = false)', 'ALTER TABLE s.small SET (fillfactor = 90)'),
('security.view_options', 'ALTER VIEW s.invoker RESET (security_invoker)', 'ALTER VIEW s.small_view ALTER id SET DEFAULT 1'),
('security.view_options', 'CREATE OR REPLACE VIEW s.barrier AS SELECT id FROM s.small', 'CREATE OR REPLACE VIEW s.barrier WITH (security_barrier) AS SELECT id FROM s.small'),
('security.view_options', 'CREATE OR REPLACE VIEW s.checked AS SELECT id FROM s.small', 'CREATE OR REPLACE VIEW s.checked AS SELECT id FROM s.small WITH CHECK OPTION'),
('security.view_options', 'CREATE OR REPLACE VIEW s.invoker WITH (security_barrier) AS SELECT id FROM s.small', 'CREATE OR REPLACE VIEW s.small_view AS SELECT id FROM s.small'),
('sequence.alter', 'ALTER SEQUENCE s.seq RESTART', 'CREATE SEQUENCE s.n'),
('table.drop', 'DROP TABLE s.lone', 'CREATE TABLE s.n (a int); DROP TABLE s.n'),
('table.no_primary_key', 'CREATE TABLE s.n (a int)', 'CREATE TABLE s.n (a int, PRIMARY KEY (a))'),
('table.rename', 'ALTER TABLE s.small RENAME TO smaller', 'ALTER TABLE s.small RENAME CONSTRAINT small_pkey TO pk'),
('table.rewrite', 'ALTER TABLE s.small SET UNLOGGED', 'ALTER TABLE s.small SET (fillfactor = 90)'),
('table.rewrite', 'ALTER TABLE s.small ADD c s.positive', 'ALTER TABLE s.small ADD c int'),
('table.truncate', 'TRUNCATE s.lone', 'DELETE FROM s.lone WHERE id = 1'),
('text.direction', U&'UPDATE s.small SET b = ''\202E'' WHERE id = 1', U&'UPDATE s.small SET b = ''\200F'' WHERE id = 1'),
('text.direction', U&'UPDATE s.small SET b = NULL WHERE id = 1 /* \2066 */', 'UPDATE s.small SET b = NULL WHERE id = 1 /* x */'),
('text.invisible', U&'CREATE TABLE s."n\200B" (a int)', U&'UPDATE s.small SET b = ''a\200Db'' WHERE id = 1 /* \200B */'),
('text.invisible', U&'UPDATE s.small SET a = 1 FROM s.big AS b\00A0 WHERE small.id = 1', U&'UPDATE s.small SET b = ''\00A0'' WHERE id = 1'),
('text.invisible', E'UPDATE s.small SET a = 1 WHERE id = 1 /* \x1b[2K */', E'UPDATE s.small SET\r\n\ta = 1 WHERE id = 1'),
('type.char', 'CREATE TABLE s.n (a char(3))', 'CREATE TABLE s.n (a varchar(3))'),
('type.int_primary_key', 'CREATE TABLE s.n (a int PRIMARY KEY)', 'CREATE TABLE s.n (a bigint PRIMARY KEY)'),
('type.json', 'CREATE TABLE s.n (a json)', 'CREATE TABLE s.n (a jsonb)'),
('type.money', 'CREATE TABLE s.n (a money)', 'CREATE TABLE s.n (a numeric)'),
('type.timestamp', 'CREATE TABLE s.n (a timestamp)', 'CREATE TABLE s.n (a timestamptz)'),
('column.drop_not_null', 'ALTER TABLE s.small ALTER b DROP NOT NULL', 'CREATE TABLE s.n (a int NOT NULL); ALTER TABLE s.n ALTER a DROP NOT NULL'),
('column.index_rebuild', 'ALTER TABLE s.typed ALTER sorted TYPE text COLLATE "C"', 'ALTER TABLE s.typed ALTER t TYPE text COLLATE "C"'),
('column.not_null_scan', 'ALTER TABLE s.typed ALTER doubted SET NOT NULL', 'ALTER TABLE s.typed ALTER proven SET NOT NULL'),
('column.not_null_scan', 'ALTER TABLE s.typed ALTER t SET NOT NULL', 'ALTER TABLE s.typed ALTER id SET NOT NULL'),
('column.type_rewrite', 'ALTER TABLE s.typed ALTER num TYPE numeric(12,4)', 'ALTER TABLE s.typed ALTER num TYPE numeric(12,2)'),
('column.type_rewrite', 'ALTER TABLE s.typed ALTER t TYPE varchar(5)', 'ALTER TABLE s.typed ALTER t TYPE varchar'),
('column.type_rewrite', 'ALTER TABLE s.typed ALTER ts TYPE timestamp(3)', 'ALTER TABLE s.typed ALTER ip TYPE inet'),
('column.type_rewrite', 'ALTER TABLE s.typed ALTER mood TYPE text', 'ALTER TABLE s.typed ALTER sorted TYPE text COLLATE "C"'),
('constraint.on_delete_cascade', 'ALTER TABLE s.typed ADD FOREIGN KEY (id) REFERENCES s.big ON DELETE CASCADE', 'ALTER TABLE s.typed ADD FOREIGN KEY (id) REFERENCES s.big ON DELETE SET NULL'),
('dml.condition_labelled', 'UPDATE s.people SET note = ''x'' WHERE ssn = ''1''', 'UPDATE s.people SET note = ''x'' WHERE note = ''1'''),
('dml.condition_labelled', 'MERGE INTO s.people p USING s.small t ON p.ssn = t.b WHEN MATCHED THEN DELETE', 'MERGE INTO s.people p USING s.small t ON p.id = t.id WHEN MATCHED THEN DELETE'),
('dml.condition_mask', 'DELETE FROM s.people WHERE ssn <> ''***-**-4801''', 'DELETE FROM s.people WHERE note <> ''***'''),
('dml.insert_many', 'INSERT INTO s.small (id) VALUES (0)' || repeat(', (1)', 999), 'INSERT INTO s.small (id) VALUES (0)' || repeat(', (1)', 998)),
('dml.leading_wildcard', 'DELETE FROM s.small WHERE b ILIKE ''%x''', 'DELETE FROM s.small WHERE b LIKE ''x%'''),
('dml.writes_labelled', 'INSERT INTO s.people VALUES (1, ''x'')', 'INSERT INTO s.people (id, note) VALUES (1, ''x'')'),
('dml.writes_labelled', 'INSERT INTO s.people (id, ssn) SELECT 1, b FROM s.small', 'INSERT INTO s.people (id, note) SELECT 1, b FROM s.small'),
('dml.writes_labelled', 'UPDATE s.people SET (note, ssn) = (''x'', ''y'') WHERE id = 1', 'UPDATE s.people SET (note, id) = (''x'', 1) WHERE id = 1'),
('dml.writes_labelled', 'MERGE INTO s.people p USING s.small t ON p.id = t.id WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (t.id, t.b)', 'MERGE INTO s.people p USING s.small t ON p.id = t.id WHEN NOT MATCHED THEN INSERT (id, note) VALUES (t.id, t.b)'),
('dml.writes_labelled', 'INSERT INTO s.people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = ''x''', 'INSERT INTO s.people (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = ''x'''),
('domain.constraint_scan', 'ALTER DOMAIN s.positive ADD CHECK (value < 10)', 'ALTER DOMAIN s.positive ADD CHECK (value < 10) NOT VALID'),
('domain.constraint_scan', 'ALTER DOMAIN s.positive SET NOT NULL', 'ALTER DOMAIN s.positive DROP NOT NULL'),
('drop.dependents', 'ALTER TABLE s.small DROP id', 'ALTER TABLE s.small DROP b'),
('drop.dependents', 'ALTER TABLE s.small ALTER id TYPE bigint', 'ALTER TABLE s.small ALTER a TYPE bigint'),
('drop.dependents', 'DROP FUNCTION s.f()', 'DROP FUNCTION s.unused()'),
('drop.dependents', 'DROP TYPE s.mood', 'DROP VIEW s.small_view'),
('index.duplicate_column', 'CREATE INDEX ON s.small (a, b, a)', 'CREATE INDEX ON s.small (a, b)'),
('index.many_columns', 'CREATE INDEX ON s.small (a, b, v, ts)', 'CREATE INDEX ON s.small (a, b, v)'),
('index.unique_existing', 'CREATE UNIQUE INDEX ON s.small (b)', 'CREATE TABLE s.n (a int); CREATE UNIQUE INDEX ON s.n (a)'),
-- what a change makes elsewhere, or does not make, hides nothing; nor do new names
('table.drop', 'CREATE TABLE public.small (a int); DROP TABLE s.small', 'CREATE TABLE s.n (a int); DROP TABLE s.n'),
('table.drop', 'CREATE TABLE IF NOT EXISTS s.small (a int); DROP TABLE s.small', 'CREATE TABLE IF NOT EXISTS s.n (a int); DROP TABLE s.n'),
('table.drop', 'ALTER TABLE s.small RENAME TO n; ALTER TABLE s.n RENAME TO m; DROP TABLE s.m', 'CREATE TABLE s.n (a int); ALTER TABLE s.n RENAME TO small_2; DROP TABLE s.small_2'),
('table.drop', 'CREATE SCHEMA n; ALTER TABLE s.small SET SCHEMA n; DROP TABLE n.small', 'CREATE SCHEMA n; CREATE TABLE n.small (a int); DROP TABLE n.small'),
('table.drop', 'ALTER SCHEMA s RENAME TO n; DROP TABLE n.small', 'ALTER SCHEMA s RENAME TO n; CREATE TABLE n.m (a int); DROP TABLE n.m'),
('table.drop', 'ALTER TABLE s.small RENAME TO n; CREATE TABLE s.small (a int); DROP TABLE s.n', 'ALTER TABLE s.small RENAME TO n; CREATE TABLE s.small (a int); DROP TABLE s.small'),
('dml.no_where', 'CREATE OR REPLACE VIEW s.small_view AS SELECT id FROM s.small; DELETE FROM s.small_view', 'CREATE OR REPLACE VIEW s.n AS SELECT 1 AS id; DELETE FROM s.n'),
('dml.writes_labelled', 'ALTER TABLE s.people RENAME TO n; UPDATE s.n SET ssn = ''1'' WHERE id = 1', 'CREATE TABLE s.n (ssn text); UPDATE s.n SET ssn = ''1'''),
('flow.copies_labelled', 'ALTER TABLE s.people RENAME TO n; CREATE TABLE s.m AS SELECT ssn FROM s.n', 'CREATE TABLE public.people (ssn text); CREATE TABLE s.m AS SELECT ssn FROM public.people'),
-- nor do ways to a table's rows that a change makes
('dml.no_where', 'CREATE VIEW s.n AS SELECT id FROM s.small; DELETE FROM s.n', 'CREATE VIEW s.n AS SELECT 1 AS a; DELETE FROM s.n'),
('dml.no_where', 'CREATE OR REPLACE VIEW s.n AS SELECT id FROM s.small_view; UPDATE s.n SET id = 1', 'CREATE VIEW s.n AS SELECT id FROM s.small; UPDATE s.n SET id = 1 WHERE id = 2'),
('dml.no_where', 'CREATE TABLE s.n (id int); ALTER TABLE s.lone INHERIT s.n; DELETE FROM s.n', 'CREATE TABLE s.n (id int); CREATE TABLE s.m () INHERITS (s.n); DELETE FROM s.n'),
('table.drop', 'CREATE TABLE s.n (id int) PARTITION BY LIST (id); ALTER TABLE s.n ATTACH PARTITION s.lone DEFAULT; DROP TABLE s.n', 'CREATE TABLE s.n (id int) PARTITION BY LIST (id); CREATE TABLE s.m (id int); ALTER TABLE s.n ATTACH PARTITION s.m DEFAULT; DROP TABLE s.n'),
('dml.many_rows', 'CREATE VIEW s.n AS SELECT (SELECT max(id) FROM s.people) AS m, id FROM s.below; DELETE FROM s.n WHERE id > 0', 'CREATE VIEW s.n AS SELECT (SELECT max(id) FROM s.below) AS m, id FROM s.small; DELETE FROM s.n WHERE id > 0'),
('dml.writes_labelled', 'CREATE VIEW s.n AS SELECT id, ssn FROM s.people; UPDATE s.n SET ssn = ''1'' WHERE id = 1', 'CREATE VIEW s.n AS SELECT id, note FROM s.people; UPDATE s.n SET note = ''1'' WHERE id = 1'),
('drop.dependents', 'CREATE OR REPLACE VIEW s.people_view AS SELECT id, ssn FROM s.people; DROP VIEW s.people_view', 'CREATE VIEW s.n AS SELECT id FROM s.small; DROP VIEW s.n'),
('dml.many_rows', 'DELETE FROM s.big USING s.small WHERE small.id = 1', 'DELETE FROM s.big USING s.small WHERE big.id = 1 AND small.id = 2'),
('dml.many_rows', 'UPDATE s.big b SET a = 1 FROM s.small big WHERE big.id = 1', 'UPDATE s.big b SET a = 1 FROM s.small big WHERE b.id = 1'),
('dml.many_rows', 'DELETE FROM s.big_again WHERE number > 0', 'DELETE FROM s.big_again WHERE number = 7'),
('dml.many_rows', 'DELETE FROM s.big_again WHERE a = 7', 'UPDATE s.big_again SET a = 1 WHERE number IN (1, 2)'),
('dml.no_where', 'DELETE FROM s.nested', 'DELETE FROM s.nested WHERE id = 7'),
('dml.no_where', 'UPDATE s.round_1 SET a = 1', 'UPDATE s.round_1 SET a = 1 WHERE a = 7'),
('dml.many_rows', 'MERGE INTO s.big b USING s.small big ON big.id = 1 WHEN MATCHED THEN DELETE', 'MERGE INTO s.big b USING s.small big ON b.id = big.id AND big.id = 1 WHEN MATCHED THEN DELETE'),
('dml.many_rows', 'MERGE INTO s.big b USING s.small x ON b.a = 1 WHEN MATCHED THEN DELETE', 'MERGE INTO s.big b USING s.small x ON b.id = 1 WHEN MATCHED THEN DELETE'),
('dml.many_rows', 'MERGE INTO s.big b USING s.small x ON b.id = b.a WHEN MATCHED THEN DELETE', 'MERGE INTO s.big b USING s.small x ON x.id + 1 = b.a WHEN MATCHED THEN DELETE'),
-- labels show through views
('flow.copies_labelled', 'INSERT INTO s.small (id, b) SELECT c1, ssn FROM s.deep_8, s.people_view', 'INSERT INTO s.small (id) SELECT c1 FROM s.deep_8'),
('dml.writes_labelled', 'UPDATE s.people_number SET number = ''1'' WHERE person = 1', 'UPDATE s.people_number SET person = 2 WHERE person = 1'),
('dml.condition_labelled', 'DELETE FROM s.small USING s.people_number p WHERE small.id = 1 AND p.number = ''1''', 'DELETE FROM s.small USING s.people_number p WHERE small.id = p.person'),
('flow.copies_labelled', 'INSERT INTO s.small (id, b) SELECT person, number FROM s.people_number', 'INSERT INTO s.small (id) SELECT person FROM s.people_number'),
('flow.view_of_labelled', 'CREATE VIEW s.v AS SELECT upper(number) FROM s.people_number', 'CREATE VIEW s.v AS SELECT id FROM s.small_view'),
('label.column', 'ALTER TABLE s.people RENAME ssn TO number', 'ALTER TABLE s.people RENAME note TO remark'),
('label.column', 'DROP TABLE s.people', 'DROP TABLE s.lone'),
('lock.access_exclusive', 'CREATE POLICY q ON s.small', 'CREATE STATISTICS s.n ON a, b FROM s.small'),
('lock.exclusive', 'CREATE TRIGGER t BEFORE INSERT ON s.small FOR EACH ROW EXECUTE FUNCTION s.f()', 'COMMENT ON TABLE s.small IS ''x'''),
('lock.exclusive', 'ALTER SEQUENCE s.seq RESTART', 'CREATE SEQUENCE s.n'),
('lock.exclusive', 'REFRESH MATERIALIZED VIEW CONCURRENTLY s.mat', 'ANALYZE s.mat'),
('lock.no_timeout', 'VACUUM FULL s.small', 'VACUUM s.small'),
('lock.no_timeout', 'REINDEX SCHEMA s', 'REINDEX TABLE s.small'),
('lock.other_table', 'ALTER TABLE s.small ADD FOREIGN KEY (a) REFERENCES s.big NOT VALID', 'ALTER TABLE s.small ADD CHECK (a > 0) NOT VALID'),
('lock.other_table', 'CREATE TABLE s.n PARTITION OF s.parted FOR VALUES IN (7)', 'CREATE TABLE s.n (LIKE s.parted)'),
('lock.other_table', 'ALTER TABLE s.parted ATTACH PARTITION s.lone FOR VALUES IN (2)', 'ALTER TABLE s.parted ADD c int'),
('lock.other_table', 'ALTER TABLE s.parted DETACH PARTITION s.part', 'ALTER TABLE s.parted DETACH PARTITION s.part CONCURRENTLY'),
('lock.other_table', 'DROP INDEX s.small_a', 'DROP INDEX CONCURRENTLY s.small_a'),
('lock.other_table', 'REINDEX INDEX s.small_a', 'REINDEX INDEX CONCURRENTLY s.small_a'),
('lock.partitions', 'ALTER TABLE s.parted ADD c int', 'ALTER TABLE s.lone ADD c int'),
('name.quoted', 'CREATE TABLE s."Order" (id bigint)', 'CREATE TABLE s."orders" (id bigint)'),
('name.quoted', 'CREATE TABLE s.n ("userId" bigint)', 'CREATE TABLE s.n ("user_id" bigint)'),
('name.unqualified', 'CREATE VIEW v AS SELECT id FROM s.small', 'CREATE VIEW s.v AS SELECT id FROM s.small'),
('name.unqualified', 'CREATE TYPE moods AS ENUM (''a'')', 'CREATE TYPE s.moods AS ENUM (''a'')'),
('object.drop', 'DROP FUNCTION s.unused()', 'COMMENT ON FUNCTION s.unused() IS ''x'''),
('table.several_alters', 'ALTER TABLE s.small ADD c int; ALTER TABLE s.small ADD d int', 'ALTER TABLE s.small ADD c int; ALTER TABLE s.lone ADD d int'),
('type.int_primary_key', 'CREATE TABLE s.n (a int, PRIMARY KEY (a))', 'CREATE TABLE s.n (a int, b int, PRIMARY KEY (a, b))'),
('type.varchar', 'CREATE TABLE s.n (a varchar(3))', 'CREATE TABLE s.n (a varchar)'),
('view.select_star', 'CREATE VIEW s.v AS SELECT * FROM s.small', 'CREATE VIEW s.v AS SELECT id FROM s.small');

-- What agents should be able to send all day.
CREATE TABLE s.harmless (n int GENERATED ALWAYS AS IDENTITY, script text);
INSERT INTO s.harmless (script) VALUES
('INSERT INTO s.small (id, a) VALUES (1, 2)'),
('INSERT INTO s.small (id, a) VALUES (1, 2), (3, 4), (5, 6)'),
('INSERT INTO s.small (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a'),
('INSERT INTO s.small (id, a) VALUES (1, 2) ON CONFLICT DO NOTHING'),
('INSERT INTO s.child (id, small_id) SELECT id, id FROM s.small WHERE a = 3'),
('UPDATE s.small SET a = a + 1 WHERE id = 1'),
('UPDATE s.small SET a = 1, b = ''x'' WHERE id IN (1, 2)'),
('UPDATE s.big SET b = ''y'' WHERE id = 17'),
('UPDATE s.small SET ts = now() WHERE id = 3 RETURNING id'),
('UPDATE s.small SET b = big.b FROM s.big WHERE big.id = small.id AND small.id = 4'),
('DELETE FROM s.child WHERE id = 9'),
('DELETE FROM s.small WHERE a = 4 AND b IS NULL'),
('MERGE INTO s.small t USING (VALUES (1, 2)) v(id, a) ON t.id = v.id WHEN MATCHED THEN UPDATE SET a = v.a WHEN NOT MATCHED THEN INSERT (id, a) VALUES (v.id, v.a)'),
('WITH moved AS (SELECT id FROM s.small WHERE a = 1) DELETE FROM s.child USING moved WHERE small_id = moved.id'),
('CREATE TABLE s.n (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)'),
('CREATE TABLE s.n (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()); CREATE INDEX ON s.n (at)'),
('CREATE TABLE s.n (id uuid PRIMARY KEY, data jsonb); INSERT INTO s.n (id) VALUES (gen_random_uuid()); UPDATE s.n SET data = ''{}''; DELETE FROM s.n'),
('CREATE TABLE s.n (id bigint PRIMARY KEY, small_id int REFERENCES s.small); CREATE INDEX ON s.n (small_id)'),
('CREATE TABLE s.n (id bigint PRIMARY KEY); ALTER TABLE s.n ADD c int NOT NULL; ALTER TABLE s.n ALTER c TYPE bigint; DROP TABLE s.n'),
('CREATE TABLE s.n (id bigint PRIMARY KEY); TRUNCATE s.n; ALTER TABLE s.n RENAME TO m'),
('CREATE TABLE s.n PARTITION OF s.parted FOR VALUES IN (5)'),
('CREATE TABLE s.n (LIKE s.small INCLUDING ALL)'),
('CREATE TABLE s.n AS SELECT id, a FROM s.small WHERE a > 3'),
('CREATE VIEW s.n AS SELECT id, a FROM s.small'),
('CREATE MATERIALIZED VIEW s.n AS SELECT a, count(*) AS c FROM s.small GROUP BY a'),
('CREATE INDEX CONCURRENTLY ON s.big (a)'),
('CREATE INDEX ON s.small (b)'),
('CREATE UNIQUE INDEX CONCURRENTLY ON s.big (a, b)'),
('CREATE INDEX CONCURRENTLY ON s.big (lower(b)) WHERE a > 0'),
('DROP INDEX CONCURRENTLY s.small_a'),
('REINDEX TABLE CONCURRENTLY s.big'),
('REINDEX INDEX s.small_a'),
('ALTER TABLE s.small ADD COLUMN c text'),
('ALTER TABLE s.small ADD COLUMN c int NOT NULL DEFAULT 7'),
('ALTER TABLE s.big ADD COLUMN c timestamptz DEFAULT now()'),
('ALTER TABLE s.small ADD COLUMN c text, ADD COLUMN d text'),
('ALTER TABLE s.small ALTER b SET DEFAULT ''x'''),
('ALTER TABLE s.small ALTER b DROP DEFAULT'),
('ALTER TABLE s.small ALTER b DROP NOT NULL'),
('ALTER TABLE s.small ALTER v TYPE varchar(100)'),
('ALTER TABLE s.small ALTER v TYPE text'),
('ALTER TABLE s.small ALTER a SET NOT NULL'),
('ALTER TABLE s.small ADD CONSTRAINT c CHECK (a > 0) NOT VALID'),
('ALTER TABLE s.big ADD CONSTRAINT c CHECK (a > 0) NOT VALID'),
('ALTER TABLE s.child ADD FOREIGN KEY (id) REFERENCES s.big NOT VALID'),
('ALTER TABLE s.small ALTER a SET STATISTICS 500'),
('ALTER TABLE s.small SET (fillfactor = 80)'),
('ALTER TABLE s.big SET (autovacuum_vacuum_scale_factor = 0.01)'),
('ALTER INDEX s.small_a RENAME TO small_by_a'),
('COMMENT ON TABLE s.small IS ''small things'''),
('COMMENT ON COLUMN s.small.a IS ''a thing'''),
('CREATE SCHEMA reports'),
('CREATE SEQUENCE s.n'),
('CREATE TYPE s.n AS ENUM (''a'', ''b'')'),
('CREATE TYPE s.n AS (x int, y int)'),
('CREATE DOMAIN s.n AS text CHECK (value <> '''')'),
('ALTER TYPE s.mood ADD VALUE ''glad'''),
('CREATE STATISTICS s.n ON a, b FROM s.small'),
('VACUUM s.big'),
('VACUUM (ANALYZE) s.small'),
('ANALYZE s.big'),
('REFRESH MATERIALIZED VIEW CONCURRENTLY s.mat'),
('REFRESH MATERIALIZED VIEW s.mat'),
('UPDATE s.people SET note = ''called back'' WHERE id = 1'),
('INSERT INTO s.people (id, note) VALUES (3, ''new'')'),
('DELETE FROM s.people WHERE id = 3');
GRANT SELECT ON s.cases, s.harmless TO regress_bot;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('rule bot', 'regress_bot');

\c - regress_bot
SELECT count(warden.propose(hit, 'hit ' || n, rule)) AS hits,
	count(warden.propose(miss, 'miss ' || n, rule)) AS misses FROM s.cases;
-- nor does a table hide one behind it in the search path when it is gone
SET search_path = public, s;
SELECT count(warden.propose(script, title, 'dml.no_where')) FROM (VALUES
	('hit dropped', 'CREATE TABLE public.small (a int); DROP TABLE small; DELETE FROM small'),
	('hit renamed', 'CREATE TABLE public.small (a int); ALTER TABLE public.small RENAME TO n; DELETE FROM small'),
	('hit moved', 'CREATE SCHEMA n; CREATE VIEW public.small AS SELECT 1 AS a; ALTER VIEW small SET SCHEMA n; DELETE FROM small'),
	('hit in a schema', 'CREATE TABLE public.small (a int); ALTER SCHEMA public RENAME TO n; DELETE FROM small'),
	('miss there', 'CREATE TABLE public.small (a int); DELETE FROM small'),
	('miss again', 'CREATE TABLE public.small (a int); DROP TABLE small; CREATE TABLE small (a int); DELETE FROM small'),
	('miss in a schema', 'CREATE TABLE public.n (a int); ALTER SCHEMA public RENAME TO n; DELETE FROM n.n')) v (title, script);
RESET search_path;
SELECT count(warden.propose(script, 'harmless', n::text)) AS harmless FROM s.harmless;
-- a view of many columns is looked at once for a statement: a tenth of a second
SET statement_timeout = '8s';
SELECT warden.propose(repeat('INSERT INTO s.broad_view VALUES (1);', 500), 'broad', NULL) > 0 AS proposed;

\c - :superuser
-- cases that did not do what they should: none
SELECT c.title, c.reason AS rule, jsonb_path_query_array(jsonb_agg(s.findings), '$[*][*].rule') AS found
	FROM warden.pending_changes c JOIN warden.change_statements s ON s.change_id = c.id
	WHERE c.agent = 'rule bot' AND c.title ~ '^(hit|miss)'
	GROUP BY c.id, c.title, c.reason
	HAVING bool_or(EXISTS (SELECT FROM jsonb_array_elements(s.findings) f
			WHERE f ->> 'rule' = c.reason)) <> (c.title ~ '^hit')
	ORDER BY c.id;
-- rules without a case, because agents can not send what sets them off
SELECT rule FROM warden.review_rules r
	WHERE NOT EXISTS (SELECT FROM s.cases c WHERE c.rule = r.rule)
		AND rule <> 'text.backslash'	-- in captured_context
	ORDER BY rule;
-- harmless scripts that are rated high: one in twenty at most
SELECT h.script, c.risk, (SELECT jsonb_path_query_array(jsonb_agg(s.findings), '$[*][*].rule')
		FROM warden.change_statements s WHERE s.change_id = c.id) AS found
	FROM warden.pending_changes c JOIN s.harmless h ON h.n::text = c.reason
	WHERE c.agent = 'rule bot' AND c.title = 'harmless' AND c.risk IN ('high', 'critical')
	ORDER BY h.n;

--
-- The wording, and what the risk asks for
--
\c - regress_bot
SELECT warden.propose('UPDATE s.big SET b = NULL;
ALTER TABLE s.big ALTER a TYPE bigint;
DROP TABLE s.small CASCADE;
CREATE FUNCTION s.g() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'wording', NULL) > 0 AS proposed;
\x on
SELECT risk, required_approvals, f ->> 'rule' AS rule, f ->> 'level' AS level,
	f ->> 'message' AS message, f ->> 'advice' AS advice
	FROM warden.my_changes, jsonb_array_elements(statements) s, jsonb_array_elements(s -> 'findings') f
	WHERE title = 'wording';
\x off

--
-- What depends on a setting says so
--
SET TimeZone = 'UTC';
SELECT FROM warden.propose('ALTER TABLE s.typed ALTER ts TYPE timestamptz', 'zone UTC', NULL);
SET TimeZone = 'Europe/Berlin';
SELECT FROM warden.propose('ALTER TABLE s.typed ALTER ts TYPE timestamptz', 'zone Berlin', NULL);
SELECT title, f ->> 'rule' AS rule, f ->> 'message' AS message
	FROM warden.my_changes, jsonb_array_elements(statements) s, jsonb_array_elements(s -> 'findings') f
	WHERE title ~ '^zone' AND f ->> 'rule' ~ '^column' ORDER BY id;

--
-- A partitioned table is as large as its partitions
--
SELECT FROM warden.propose('ALTER TABLE s.parted ADD c int', 'parts', NULL);
SELECT f ->> 'rule' AS rule, f ->> 'message' AS message
	FROM warden.my_changes, jsonb_array_elements(statements) s, jsonb_array_elements(s -> 'findings') f
	WHERE title = 'parts' ORDER BY 1;

--
-- What the agent is told follows from masked statistics: two tables that differ
-- in nothing but what a labelled column holds
--
\c - :superuser
SET client_min_messages = error;
CREATE TABLE s.same1 (id int PRIMARY KEY, ssn text, n int);
CREATE TABLE s.same2 (LIKE s.same1 INCLUDING ALL);
INSERT INTO s.same1 SELECT i, '078-05-1001', i FROM generate_series(1, 20000) i;
INSERT INTO s.same2 SELECT i, '999-' || lpad((i % 100)::text, 2, '0') || '-' || lpad((i % 10000)::text, 4, '0'), i FROM generate_series(1, 20000) i;
SECURITY LABEL FOR warden ON COLUMN s.same1.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN s.same2.ssn IS 'ssn';
CREATE INDEX ON s.same1 (ssn);
CREATE INDEX ON s.same2 (ssn);
ANALYZE s.same1, s.same2;
GRANT SELECT ON s.same1, s.same2 TO regress_bot;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2801;
\c - regress_bot
UPDATE s.same1 SET n = 1 WHERE ssn = '078-05-1001';
UPDATE s.same2 SET n = 1 WHERE ssn = '078-05-1001';
DELETE FROM s.same1 WHERE ssn LIKE '078%';
DELETE FROM s.same2 WHERE ssn LIKE '078%';
UPDATE s.same1 SET n = 1 WHERE ssn > '5';
UPDATE s.same2 SET n = 1 WHERE ssn > '5';
INSERT INTO s.same1 SELECT id + 100000, ssn, n FROM s.same1 WHERE ssn = '078-05-1001';
INSERT INTO s.same2 SELECT id + 100000, ssn, n FROM s.same2 WHERE ssn = '078-05-1001';
DELETE FROM s.same1 USING s.same1 o WHERE same1.ssn = o.ssn AND o.n > 19000;
DELETE FROM s.same2 USING s.same2 o WHERE same2.ssn = o.ssn AND o.n > 19000;
SELECT replace(s ->> 'statement', 'same2', 'same1') AS statement, count(*),
	count(DISTINCT concat(risk, required_approvals, replace((s -> 'findings')::text, 'same2', 'same1'))) AS answers
	FROM warden.my_changes, jsonb_array_elements(statements) s WHERE s ->> 'statement' ~ 'same[12]' GROUP BY 1 ORDER BY 1;

\c - :superuser
SELECT count(DISTINCT (estimated_rows, risk)) AS estimates, replace(statement, 'same2', 'same1') AS statement
	FROM warden.change_statements WHERE statement ~ 'same[12]' GROUP BY 2 ORDER BY 2;
SET client_min_messages = error;
DROP SCHEMA s CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.agents WHERE agent = 'rule bot';
UPDATE warden.proposable SET enabled = false;
DROP ROLE regress_bot, regress_other;
