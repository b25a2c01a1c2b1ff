-- The class "masked": reads are masked, writes run, and neither reads nor
-- assigns a masked column of its target.
SET client_min_messages = warning;
CREATE ROLE regress_masked LOGIN;
CREATE SCHEMA mc;
CREATE TABLE mc.person (id int PRIMARY KEY, ssn text, n int CHECK (n >= 0));
CREATE TABLE mc.source (id int PRIMARY KEY, ssn text);
CREATE TABLE mc.plain (id int PRIMARY KEY, note text, person int REFERENCES mc.person);
CREATE VIEW mc.person_view AS SELECT * FROM mc.person;
CREATE FUNCTION mc.noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.n := coalesce(NEW.n, 0); RETURN NEW; END$$;
CREATE TRIGGER noted BEFORE INSERT ON mc.person FOR EACH ROW EXECUTE FUNCTION mc.noted();
INSERT INTO mc.person VALUES (1, '078-05-4801', 1), (2, '111-22-2210', 2);
INSERT INTO mc.source SELECT id, ssn FROM mc.person;
GRANT USAGE ON SCHEMA mc TO regress_masked;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mc TO regress_masked;
SECURITY LABEL FOR warden ON COLUMN mc.person.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN mc.source.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_masked IS 'masked';

SET ROLE regress_masked;
-- refused: reading a masked column of the target
UPDATE mc.person SET n = 9 WHERE ssn LIKE '0%';
UPDATE mc.person SET n = length(ssn) WHERE id = 1;
UPDATE mc.person SET n = 9 WHERE id = 1 RETURNING ssn;
UPDATE mc.person SET n = 9 WHERE id = 1 RETURNING *;
UPDATE mc.person p SET n = 9 WHERE id = 1 RETURNING p;
UPDATE mc.person_view SET n = 9 WHERE ssn LIKE '0%';
DELETE FROM mc.person WHERE ssn IS NULL;
DELETE FROM mc.person p USING mc.source s WHERE s.ssn = p.ssn;
MERGE INTO mc.person p USING mc.source s ON p.ssn = s.ssn WHEN MATCHED THEN UPDATE SET n = 9;
INSERT INTO mc.person (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = length(person.ssn);
WITH u AS (UPDATE mc.person SET n = 9 WHERE id = 1 RETURNING ssn) SELECT * FROM u;
DO $$BEGIN UPDATE mc.person SET n = 9 WHERE ssn LIKE '0%'; END$$;
-- refused: assigning one
UPDATE mc.person SET ssn = '***-**-4801' WHERE id = 1;
INSERT INTO mc.person VALUES (3, '999-99-9999', 3);
INSERT INTO mc.person SELECT id + 10, ssn FROM mc.source;
\copy mc.person FROM /dev/null
\copy mc.person (id, ssn) FROM /dev/null
-- constraint errors come without the row
INSERT INTO mc.plain VALUES (1, 'x', 1), (1, 'y', 1);
INSERT INTO mc.plain VALUES (7, 'x', 77);
UPDATE mc.person SET n = -1 WHERE id = 1;
DO $$
DECLARE d text;
BEGIN
	UPDATE mc.person SET n = -1 WHERE id = 1;
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RAISE WARNING 'detail: "%"', d;
END$$;

-- runs
UPDATE mc.person SET n = 5 WHERE id = 1 RETURNING id, n;
INSERT INTO mc.person (id, n) VALUES (4, 4) RETURNING id;
INSERT INTO mc.person (id) VALUES (4) ON CONFLICT (id) DO UPDATE SET n = excluded.n;
MERGE INTO mc.person p USING mc.source s ON p.id = s.id WHEN MATCHED THEN UPDATE SET n = 6;
INSERT INTO mc.plain SELECT id, ssn, id FROM mc.source;
TABLE mc.plain;
DELETE FROM mc.person WHERE id = 4;
COPY mc.plain (id) FROM STDIN;
100
\.
COPY mc.person TO STDOUT;
SELECT * FROM mc.person ORDER BY id;
RESET ROLE;
SELECT * FROM mc.person ORDER BY id;

-- an exemption lifts it
SELECT warden.grant_exemption('regress_masked', 'mc.person.ssn', now() + interval '1 hour', 'test') > 0 AS granted \gset
SET ROLE regress_masked;
UPDATE mc.person SET ssn = '078-05-4802' WHERE ssn = '078-05-4801' RETURNING ssn;
RESET ROLE;
DELETE FROM warden.exemptions;

-- neither owner nor holder of TRIGGER
GRANT TRIGGER ON mc.person TO regress_masked;
SET ROLE regress_masked;
SELECT * FROM mc.person;
UPDATE mc.person SET n = 1;
RESET ROLE;
REVOKE TRIGGER ON mc.person FROM regress_masked;
ALTER TABLE mc.source OWNER TO regress_masked;
SET ROLE regress_masked;
SELECT * FROM mc.source;
RESET ROLE;

-- DDL that would hand raw rows to its own code, a foreign key, a domain
GRANT CREATE ON SCHEMA mc TO regress_masked;
SET ROLE regress_masked;
CREATE FUNCTION mc.show(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE WARNING 'raw %', $1; RETURN $1; END$$;
CREATE FUNCTION mc.show_row() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'raw %', OLD; RETURN OLD; END$$;
CREATE INDEX ON mc.source (mc.show(ssn));
ALTER TABLE mc.source ADD CHECK (mc.show(ssn) <> '');
ALTER TABLE mc.source ALTER ssn TYPE text USING mc.show(ssn);
CREATE TRIGGER show BEFORE UPDATE ON mc.source FOR EACH ROW EXECUTE FUNCTION mc.show_row();
CREATE DOMAIN mc.word AS text;
ALTER DOMAIN mc.word ADD CHECK (mc.show(VALUE) <> '');
RESET ROLE;
ALTER TABLE mc.source OWNER TO CURRENT_USER;
CREATE UNIQUE INDEX source_ssn ON mc.source (ssn);
GRANT SELECT, REFERENCES ON mc.source TO regress_masked;
SET ROLE regress_masked;
CREATE TABLE mc.oracle (ssn text REFERENCES mc.source (ssn));
CREATE TABLE mc.oracle (id int REFERENCES mc.source (id));
RESET ROLE;

-- nor does a foreign table of its own show what nobody has labelled there
CREATE FOREIGN DATA WRAPPER mc_wrapper;
CREATE SERVER mc_server FOREIGN DATA WRAPPER mc_wrapper;
GRANT USAGE ON FOREIGN SERVER mc_server TO regress_masked;
SET ROLE regress_masked;
CREATE FOREIGN TABLE mc.window (ssn text) SERVER mc_server;
IMPORT FOREIGN SCHEMA mc FROM SERVER mc_server INTO mc;
RESET ROLE;
CREATE FOREIGN TABLE mc.window (ssn text) SERVER mc_server;
ALTER FOREIGN TABLE mc.window OWNER TO regress_masked;
SET ROLE regress_masked;
ALTER FOREIGN TABLE mc.window OPTIONS (table_name 'source');
ALTER FOREIGN TABLE mc.window ADD COLUMN id int;
RESET ROLE;
DROP FOREIGN DATA WRAPPER mc_wrapper CASCADE;

-- nor what the write-ahead log has of rows
ALTER ROLE regress_masked REPLICATION;
SET ROLE regress_masked;
SELECT * FROM pg_logical_slot_peek_changes('nobodys', NULL, NULL);
SELECT * FROM pg_logical_slot_get_binary_changes('nobodys', NULL, NULL);
RESET ROLE;
ALTER ROLE regress_masked NOREPLICATION;

-- its code below somebody's foreign key or maintenance reads masks as well,
-- and foreign keys below that are checked on raw values
CREATE FUNCTION mc.definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT min(ssn) FROM mc.source';
SET ROLE regress_masked;
CREATE TABLE mc.loot (t text);
CREATE FUNCTION mc.keep(text) RETURNS void LANGUAGE sql VOLATILE AS 'INSERT INTO mc.loot VALUES ($1)';
CREATE FUNCTION mc.look(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM mc.keep((SELECT min(ssn) FROM mc.source)); PERFORM mc.keep(mc.definer()); RETURN $1; END$$;
CREATE TABLE mc.trap (id int);
CREATE INDEX ON mc.trap (mc.look(id));
INSERT INTO mc.trap VALUES (1);
CREATE TABLE mc.parent (id int PRIMARY KEY);
CREATE TABLE mc.child (id int REFERENCES mc.parent ON DELETE CASCADE);
CREATE FUNCTION mc.cascade() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM mc.keep((SELECT min(ssn) FROM mc.source)); RETURN OLD; END$$;
CREATE TRIGGER cascade BEFORE DELETE ON mc.child FOR EACH ROW EXECUTE FUNCTION mc.cascade();
INSERT INTO mc.parent VALUES (1);
INSERT INTO mc.child VALUES (1);
DELETE FROM mc.parent;
CREATE TABLE mc.deferred (id int REFERENCES mc.parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO mc.deferred VALUES (1);
RESET ROLE;
ANALYZE mc.trap;
REINDEX TABLE mc.trap;
SELECT DISTINCT t FROM mc.loot;

-- a right to read everything does not reach the files of the table
CREATE TABLE mc.wide (id int, ssn text);
ALTER TABLE mc.wide ALTER ssn SET STORAGE EXTERNAL;
INSERT INTO mc.wide VALUES (1, repeat('078-05-4801', 400));
SECURITY LABEL FOR warden ON COLUMN mc.wide.ssn IS 'ssn';
ALTER ROLE regress_masked BYPASSRLS;
GRANT pg_read_all_data TO regress_masked;
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'mc.wide'::regclass \gset
SET ROLE regress_masked;
\set VERBOSITY sqlstate
SELECT chunk_data FROM :toast;
\set VERBOSITY default
SELECT value FROM warden.mask_keys;
SELECT old_rows FROM warden.change_images;
SELECT ssn FROM mc.wide;
RESET ROLE;
REVOKE pg_read_all_data FROM regress_masked;
ALTER ROLE regress_masked NOBYPASSRLS;

-- its code sees no raw rows, through a part of the tree, through a foreign key
-- or by what it owns of what is attached to the table
CREATE TABLE mc.whole (id int PRIMARY KEY, ssn text, n int) PARTITION BY RANGE (id);
CREATE TABLE mc.part PARTITION OF mc.whole FOR VALUES FROM (0) TO (100);
INSERT INTO mc.whole VALUES (1, '078-05-4801', 1);
SECURITY LABEL FOR warden ON COLUMN mc.whole.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.whole TO regress_masked;
GRANT TRIGGER ON mc.part TO regress_masked;
CREATE TRIGGER show BEFORE UPDATE ON mc.part FOR EACH ROW EXECUTE FUNCTION mc.show_row();
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
RESET ROLE;
REVOKE TRIGGER ON mc.part FROM regress_masked;
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
RESET ROLE;
DROP TRIGGER show ON mc.part;
CREATE INDEX whole_show ON mc.whole (n) WHERE mc.show(n::text) <> '';
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
RESET ROLE;
DROP INDEX mc.whole_show;
SET client_min_messages = error;
ALTER TABLE mc.whole ADD CONSTRAINT show CHECK (mc.show(ssn) <> '');
SET client_min_messages = warning;
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
RESET ROLE;
ALTER TABLE mc.whole DROP CONSTRAINT show;
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
RESET ROLE;
-- as by the constraint of a domain that is cast to, or by a range type
CREATE DOMAIN mc.shown AS text CHECK (mc.show(VALUE) <> '');
CREATE INDEX whole_shown ON mc.whole ((ssn::mc.shown));
SET ROLE regress_masked;
UPDATE mc.whole SET n = 2;
CREATE FUNCTION mc.apart(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN RAISE WARNING 'saw % and %', $1, $2; RETURN $1 - $2; END $$;
CREATE TYPE mc.span AS RANGE (subtype = float8, subtype_diff = mc.apart,
    multirange_type_name = mc.several_spans);
RESET ROLE;
DROP INDEX mc.whole_shown;
DROP DOMAIN mc.shown;
CREATE TABLE mc.spans (id int, wages mc.span);
CREATE INDEX spans_wages ON mc.spans USING gist (wages);
SECURITY LABEL FOR warden ON COLUMN mc.spans.wages IS 'full';
GRANT SELECT, UPDATE ON mc.spans TO regress_masked;
SET ROLE regress_masked;
UPDATE mc.spans SET id = 2;
RESET ROLE;
DROP INDEX mc.spans_wages;
SET ROLE regress_masked;
UPDATE mc.spans SET id = 2;
RESET ROLE;
CREATE INDEX spans_several ON mc.spans USING gist (mc.several_spans(wages));
SET ROLE regress_masked;
UPDATE mc.spans SET id = 2;
RESET ROLE;
DROP INDEX mc.spans_several;
ALTER TABLE mc.spans ADD several mc.several_spans;
CREATE INDEX spans_several ON mc.spans USING gist (several);
SET ROLE regress_masked;
UPDATE mc.spans SET id = 2;
RESET ROLE;
DROP TABLE mc.spans;
-- nor is a function of SQL out of sight where it has been inlined
SET ROLE regress_masked;
CREATE FUNCTION mc.brief(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left($1, 3)';
RESET ROLE;
CREATE DOMAIN mc.briefed AS text CHECK (mc.brief(VALUE) <> '');
CREATE DOMAIN mc.rebriefed AS mc.briefed CHECK (VALUE <> '');
CREATE TABLE mc.briefs (id int, ssn text, CHECK (ssn::mc.rebriefed <> ''));
SECURITY LABEL FOR warden ON COLUMN mc.briefs.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.briefs TO regress_masked;
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
ALTER TABLE mc.briefs DROP CONSTRAINT briefs_ssn_check;
CREATE INDEX briefs_key ON mc.briefs (mc.brief(ssn));
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
DROP INDEX mc.briefs_key;
CREATE INDEX briefs_some ON mc.briefs (id) WHERE mc.brief(ssn) > '0';
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
DROP TABLE mc.briefs;
CREATE TABLE mc.briefs (id int, ssn text) PARTITION BY HASH (mc.brief(ssn));
CREATE TABLE mc.brief_0 PARTITION OF mc.briefs FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SECURITY LABEL FOR warden ON COLUMN mc.briefs.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.briefs TO regress_masked;
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
DROP TABLE mc.briefs;
-- nor is a domain in what a cast by text makes, or a function
CREATE TYPE mc.carrier AS (brief mc.rebriefed);
CREATE TABLE mc.briefs (id int, ssn text,
    CONSTRAINT read CHECK (('(' || ssn || ')')::mc.carrier IS NOT NULL));
SECURITY LABEL FOR warden ON COLUMN mc.briefs.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.briefs TO regress_masked;
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
ALTER TABLE mc.briefs DROP CONSTRAINT read, ADD CONSTRAINT made
    CHECK (jsonb_populate_record(NULL::mc.carrier, jsonb_build_object('brief', ssn)) IS NOT NULL);
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
ALTER TABLE mc.briefs DROP CONSTRAINT made, ADD CONSTRAINT listed
    CHECK (('{' || ssn || '}')::mc.rebriefed[] IS NOT NULL);
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
ALTER TABLE mc.briefs DROP CONSTRAINT listed;
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
DROP TYPE mc.carrier;
-- nor is what an operator class compares by
SET ROLE regress_masked;
CREATE FUNCTION mc.compare(text, text) RETURNS int LANGUAGE plpgsql IMMUTABLE
    AS $$ BEGIN RAISE WARNING 'saw % and %', $1, $2; RETURN bttextcmp($1, $2); END $$;
RESET ROLE;
CREATE OPERATOR CLASS mc.told FOR TYPE text USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 mc.compare(text, text);
CREATE INDEX briefs_told ON mc.briefs (ssn mc.told);
SET ROLE regress_masked;
UPDATE mc.briefs SET id = 2;
RESET ROLE;
DROP TABLE mc.briefs;
DROP OPERATOR FAMILY mc.told USING btree;
DROP DOMAIN mc.rebriefed, mc.briefed;
CREATE POLICY show ON mc.whole USING (mc.show(ssn) LIKE '078%');
ALTER TABLE mc.whole ENABLE ROW LEVEL SECURITY;
SET ROLE regress_masked;
SELECT * FROM mc.whole;
RESET ROLE;
CREATE TABLE mc.keyed (ssn text, n int) PARTITION BY LIST (mc.show(ssn));
CREATE TABLE mc.keyed_1 PARTITION OF mc.keyed DEFAULT;
SECURITY LABEL FOR warden ON COLUMN mc.keyed.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.keyed_1 TO regress_masked;
SET ROLE regress_masked;
UPDATE mc.keyed_1 SET n = 2;
RESET ROLE;
DROP TABLE mc.keyed;
CREATE TABLE mc.cascaded (id int REFERENCES mc.parent ON DELETE CASCADE, ssn text);
INSERT INTO mc.parent VALUES (2);
INSERT INTO mc.cascaded VALUES (2, '078-05-4801');
SECURITY LABEL FOR warden ON COLUMN mc.cascaded.ssn IS 'ssn';
GRANT TRIGGER ON mc.cascaded TO regress_masked;
SET ROLE regress_masked;
DELETE FROM mc.parent WHERE id = 2;
RESET ROLE;
DROP TABLE mc.cascaded;

-- nor does DDL on copies, on an index, on a table's type, on what it does not
-- name, or on what counts as labelled
CREATE TYPE mc.kind AS (id int, ssn text);
CREATE TABLE mc.typed OF mc.kind;
INSERT INTO mc.typed VALUES (1, '078-05-4801');
SECURITY LABEL FOR warden ON COLUMN mc.typed.ssn IS 'ssn';
ALTER TYPE mc.kind OWNER TO regress_masked;
ALTER TABLE mc.typed OWNER TO regress_masked;
SET ROLE regress_masked;
ANALYZE;
CREATE DOMAIN mc.shown AS text CHECK (mc.show(VALUE) <> '');
ALTER TYPE mc.kind ALTER ATTRIBUTE ssn TYPE mc.shown CASCADE;
RESET ROLE;
CREATE INDEX typed_id ON mc.typed (id);
SET ROLE regress_masked;
REINDEX INDEX mc.typed_id;
RESET ROLE;
DROP TABLE mc.typed;
CREATE MATERIALIZED VIEW mc.copy AS SELECT * FROM mc.source;
ALTER MATERIALIZED VIEW mc.copy OWNER TO regress_masked;
SET ROLE regress_masked;
CREATE INDEX ON mc.copy (mc.show(ssn));
REFRESH MATERIALIZED VIEW mc.copy;
RESET ROLE;
SELECT * FROM mc.copy;
SET ROLE regress_masked;
DROP MATERIALIZED VIEW mc.copy;
RESET ROLE;
CREATE TABLE mc.unlabelled (id int, word text);
INSERT INTO mc.unlabelled VALUES (1, 'raw');
GRANT DELETE, TRIGGER ON mc.unlabelled TO regress_masked;
SET warden.unlabelled_columns = masked;
SET ROLE regress_masked;
CREATE TRIGGER show BEFORE DELETE ON mc.unlabelled FOR EACH ROW EXECUTE FUNCTION mc.show_row();
CREATE TEMP TABLE kept AS SELECT 1 AS id;
CREATE INDEX ON kept (id);
DROP TABLE kept;
RESET ROLE;
RESET warden.unlabelled_columns;

-- nor does a foreign key of its own that was there before the label
CREATE TABLE mc.referred (ssn text PRIMARY KEY, id int UNIQUE);
INSERT INTO mc.referred VALUES ('078-05-4801', 1);
CREATE TABLE mc.asking (ssn text REFERENCES mc.referred, id int REFERENCES mc.referred (id));
ALTER TABLE mc.asking OWNER TO regress_masked;
SECURITY LABEL FOR warden ON COLUMN mc.referred.ssn IS 'ssn';
SET ROLE regress_masked;
INSERT INTO mc.asking VALUES ('078-05-4801', 1);
\copy mc.asking FROM /dev/null
INSERT INTO mc.asking (id) VALUES (1);
UPDATE mc.asking SET ssn = '078-05-4801';
RESET ROLE;

-- it owns what was looked at and found clear
CREATE TABLE mc.clear (id int, word text);
SECURITY LABEL FOR warden ON COLUMN mc.clear.id IS 'none';
SECURITY LABEL FOR warden ON COLUMN mc.clear.word IS 'none, untrusted';
ALTER TABLE mc.clear OWNER TO regress_masked;
SET warden.unlabelled_columns = masked;
SET ROLE regress_masked;
INSERT INTO mc.clear VALUES (1, 'one') RETURNING *;
ALTER TABLE mc.clear ADD CHECK (word <> '');
ALTER TABLE mc.clear ADD note text;
UPDATE mc.clear SET word = 'two';
RESET ROLE;
RESET warden.unlabelled_columns;

-- nor do deferred constraints show rows to code that catches them
CREATE TABLE mc.late (id int, ssn text, UNIQUE (id, ssn) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO mc.late VALUES (1, '078-05-4801'), (2, '078-05-4801');
SECURITY LABEL FOR warden ON COLUMN mc.late.ssn IS 'ssn';
GRANT SELECT, UPDATE ON mc.late TO regress_masked;
SET ROLE regress_masked;
DO $$
DECLARE d text;
BEGIN
	UPDATE mc.late SET id = 2;
	SET CONSTRAINTS ALL IMMEDIATE;
EXCEPTION WHEN unique_violation THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RAISE WARNING 'detail: "%"', d;
END$$;
UPDATE mc.late SET id = 2;
RESET ROLE;

ALTER TABLE mc.source OWNER TO CURRENT_USER;
DROP SCHEMA mc CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_masked IS NULL;
DROP ROLE regress_masked;
