-- What PostgreSQL has from 17 and 18 on.
SELECT current_setting('server_version_num')::int < 170000 AS old,
       current_setting('server_version_num')::int < 180000 AS before_18 \gset
\if :old
\quit
\endif
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_v_bot LOGIN;
ALTER ROLE regress_v_bot SET client_min_messages = error;
CREATE ROLE regress_v_writer;
CREATE ROLE regress_v_ann LOGIN IN ROLE warden_reviewer, regress_v_writer;
CREATE ROLE regress_v_bob LOGIN IN ROLE warden_reviewer, regress_v_writer;
CREATE SCHEMA regress_v AUTHORIZATION regress_v_writer;
GRANT USAGE ON SCHEMA regress_v TO PUBLIC;
SELECT warden.create_agent('regress_v_bot', 'regress_v_bot', 'regress_v_writer');
SELECT warden.add_person('ann', 'regress_v_ann'), warden.add_person('bob', 'regress_v_bob');

-- the expression of a generated column is another: it is computed anew
CREATE TABLE regress_v.stored (id int PRIMARY KEY, a int,
	twice int GENERATED ALWAYS AS (a * 2) STORED);
ALTER TABLE regress_v.stored OWNER TO regress_v_writer;
GRANT SELECT ON regress_v.stored TO regress_v_bot;
\c - regress_v_bot
ALTER TABLE regress_v.stored ALTER COLUMN twice SET EXPRESSION AS (a * 3);
\c - regress_v_ann
SELECT max(id) AS change FROM warden.pending_changes \gset
SELECT rule, message FROM warden.review(:change) WHERE rule ~ '^column';
SELECT warden.approve(:change, NULL);
CALL warden.apply(:change);
\d regress_v.stored

\if :before_18
\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_v CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_v_bot IS NULL;
DELETE FROM warden.agents WHERE agent = 'regress_v_bot';
DELETE FROM warden.people WHERE person IN ('ann', 'bob');
DROP ROLE regress_v_bot, regress_v_ann, regress_v_bob, regress_v_writer;
\quit
\endif

-- a column that is computed when it is read stands in no row: samples do not
-- say that it is NULL, and a revert does not look for that
\c - :superuser
CREATE TABLE regress_v.read (id int PRIMARY KEY, a int, secret text,
	twice int GENERATED ALWAYS AS (a * 2) VIRTUAL,
	shown text GENERATED ALWAYS AS (upper(secret)) VIRTUAL);
ALTER TABLE regress_v.read OWNER TO regress_v_writer;
INSERT INTO regress_v.read VALUES (1, 1, 'abc'), (2, 2, 'def');
SECURITY LABEL FOR warden ON COLUMN regress_v.read.secret IS 'full';
GRANT SELECT ON regress_v.read TO regress_v_bot;
\c - regress_v_bot
SELECT * FROM regress_v.read ORDER BY shown DESC, id;
SELECT r, to_jsonb(r) FROM regress_v.read r WHERE shown NOT LIKE 'A%' ORDER BY id;
UPDATE regress_v.read SET a = a + 10 WHERE id > 0;
\c - regress_v_ann
SELECT max(id) AS change FROM warden.pending_changes \gset
SELECT method, rows, sample FROM warden.preview(:change);
SELECT warden.approve(:change, NULL);
CALL warden.apply(:change);
SELECT id, a, twice FROM regress_v.read ORDER BY id;
SELECT warden.revert(:change) AS change \gset
\c - regress_v_bob
SELECT warden.approve(:change, NULL);
CALL warden.apply(:change);
SELECT id, a, twice FROM regress_v.read ORDER BY id;

-- the old and the new row in RETURNING
\c - :superuser
CREATE ROLE regress_v_masked LOGIN;
SECURITY LABEL FOR warden ON ROLE regress_v_masked IS 'masked';
GRANT USAGE ON SCHEMA regress_v TO regress_v_masked;
GRANT SELECT, INSERT, UPDATE, DELETE ON regress_v.read TO regress_v_masked;
\c - regress_v_masked
UPDATE regress_v.read SET a = 5 WHERE id = 1 RETURNING old.a, new.a, new.twice;
UPDATE regress_v.read SET a = 5 RETURNING old.secret;
UPDATE regress_v.read SET a = 5 RETURNING new.shown;
UPDATE regress_v.read SET a = 5 RETURNING old;
UPDATE regress_v.read SET a = 5 RETURNING WITH (OLD AS o) o.id, o.secret;
MERGE INTO regress_v.read USING (VALUES (1)) v (i) ON id = i
	WHEN MATCHED THEN UPDATE SET a = 6 RETURNING merge_action(), old.secret;
DELETE FROM regress_v.read RETURNING old.shown;

-- what is not read yet costs nothing, what is checked does
\c - regress_v_bot
SELECT warden.propose($$
	ALTER TABLE regress_v.read ADD COLUMN more int GENERATED ALWAYS AS (a + 1);
	ALTER TABLE regress_v.read ALTER COLUMN twice SET EXPRESSION AS (a * 4);
	ALTER TABLE regress_v.read ADD CONSTRAINT above CHECK (a > 0) NOT ENFORCED;
	ALTER TABLE regress_v.read ADD CONSTRAINT later NOT NULL a NOT VALID;
	ALTER TABLE regress_v.read ADD CONSTRAINT now NOT NULL a;
	$$, 'cheap and dear', 'test') AS change \gset
\c - regress_v_ann
SELECT ordinal, rule, message FROM warden.review(:change)
	WHERE rule ~ '^(column|constraint|table)';

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_v CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_v_bot IS NULL;
DROP ROLE regress_v_masked;
DELETE FROM warden.agents WHERE agent = 'regress_v_bot';
DELETE FROM warden.people WHERE person IN ('ann', 'bob');
DROP ROLE regress_v_bot, regress_v_ann, regress_v_bob, regress_v_writer;
