-- Changes are recorded below SQL: what an administrator asks of the tables
-- holds all the same, at once; and what is kept from one statement to the next
-- does not outlive what it came from.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION dblink;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN IN ROLE warden_reviewer, regress_writer;
CREATE SCHEMA regress_o;
CREATE TABLE regress_o.t (id int PRIMARY KEY, n int);
INSERT INTO regress_o.t SELECT i, 0 FROM generate_series(1, 9) i;
GRANT USAGE ON SCHEMA regress_o TO regress_bot, regress_writer;
GRANT SELECT ON regress_o.t TO regress_bot, regress_writer;
GRANT UPDATE ON regress_o.t TO regress_writer;
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('own bot', 'regress_bot', 'regress_writer');
SELECT FROM warden.add_person('ann', 'regress_ann');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 6901;

-- one session of the agent's
SELECT FROM dblink_connect('bot', format('host=%s port=%s dbname=%s user=regress_bot',
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()));
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
SELECT expires_at - created_at FROM warden.pending_changes WHERE id = 6901;
-- a default
ALTER TABLE warden.pending_changes ALTER expires_at SET DEFAULT pg_catalog.now() + interval '2 days';
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 2');
SELECT expires_at - created_at FROM warden.pending_changes WHERE id = 6902;
ALTER TABLE warden.pending_changes ALTER expires_at SET DEFAULT pg_catalog.now() OPERATOR(pg_catalog.+) '7 days'::interval;
-- a constraint
ALTER TABLE warden.change_statements ADD CONSTRAINT regress_short CHECK (length(statement) < 40) NOT VALID;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 3 AND n <> 1');
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n=1 WHERE id=4');
ALTER TABLE warden.change_statements DROP CONSTRAINT regress_short;
ALTER TABLE warden.change_statements ADD regress_added int NOT NULL DEFAULT 5;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 5');
ALTER TABLE warden.change_statements ALTER regress_added DROP DEFAULT;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 5');
SELECT change_id, ordinal, statement, regress_added FROM warden.change_statements WHERE change_id BETWEEN 6901 AND 6999 ORDER BY 1;
ALTER TABLE warden.change_statements DROP regress_added;
-- triggers of every kind
CREATE TABLE regress_o.seen (n serial, kind text, id bigint);
CREATE FUNCTION regress_o.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO regress_o.seen (kind, id) VALUES (TG_WHEN || ' ' || TG_LEVEL, CASE TG_LEVEL WHEN 'ROW' THEN NEW.id END);
	IF NEW.title = 'no' THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END$$;
CREATE TRIGGER regress_1 BEFORE INSERT ON warden.pending_changes FOR EACH STATEMENT EXECUTE FUNCTION regress_o.see();
CREATE TRIGGER regress_2 BEFORE INSERT ON warden.pending_changes FOR EACH ROW EXECUTE FUNCTION regress_o.see();
CREATE TRIGGER regress_3 AFTER INSERT ON warden.pending_changes FOR EACH ROW EXECUTE FUNCTION regress_o.see();
CREATE TRIGGER regress_4 AFTER INSERT ON warden.pending_changes FOR EACH STATEMENT EXECUTE FUNCTION regress_o.see();
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 6');
SELECT kind, id - (SELECT max(id) FROM warden.pending_changes WHERE id < 6920) AS id FROM regress_o.seen ORDER BY n;
SELECT * FROM dblink('bot', $$SELECT warden.propose('UPDATE regress_o.t SET n = 1 WHERE id = 7', 'no', NULL)$$) AS p (id bigint);
DROP FUNCTION regress_o.see() CASCADE;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 7');
SELECT count(*) FROM regress_o.seen;

-- the objects of a statement with the same words: before, and after, somebody
-- changes what it reaches
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 6921;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 2 WHERE id = 1');
ALTER TABLE regress_o.t ADD CHECK (n < 100);
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 3 WHERE id = 1');
-- a word of it gets a meaning
CREATE FUNCTION regress_o.n(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT dblink_exec('bot', 'SET search_path = regress_o');
SELECT dblink_exec('bot', 'UPDATE t SET n = 4 WHERE id = 1');
CREATE OR REPLACE FUNCTION regress_o.n(int) RETURNS int LANGUAGE sql AS 'SELECT 2';
SELECT dblink_exec('bot', 'UPDATE t SET n = 5 WHERE id = 1');
-- parameters, and a table of the same name first in the path
SELECT dblink_exec('bot', 'PREPARE p (int) AS UPDATE t SET n = $1 WHERE id = 2');
SELECT dblink_exec('bot', 'EXECUTE p(6)');
CREATE SCHEMA regress_first;
CREATE TABLE regress_first.t (id int PRIMARY KEY, n int);
GRANT USAGE ON SCHEMA regress_first TO regress_bot;
GRANT SELECT ON regress_first.t TO regress_bot;
SELECT dblink_exec('bot', 'SET search_path = regress_first, regress_o');
SELECT dblink_exec('bot', 'EXECUTE p(7)');
SELECT change_id, objects->0->>'name' AS object, objects->0->>'state' = lag(objects->0->>'state') OVER w AS same_state,
	objects->-1->>'reach' = lag(objects->-1->>'reach') OVER w AS same_reach, parameters->0->>'value' AS parameter
	FROM warden.change_statements WHERE change_id BETWEEN 6921 AND 6999 WINDOW w AS (ORDER BY change_id) ORDER BY change_id;
\c - regress_ann
SELECT warden.approve(6921, NULL);
SELECT warden.approve(6922, NULL);
SELECT warden.approve(6923, NULL);
SELECT warden.approve(6924, NULL);
CALL warden.apply(6922);
CALL warden.apply(6924);
\c - :superuser
SELECT id, n FROM regress_o.t WHERE n > 0 ORDER BY 1;

-- what a check calls, and what a default is, change without the table
\c - :superuser
SET client_min_messages = error;
\set VERBOSITY terse
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 6701;
SELECT FROM dblink_connect('bot', format('host=%s port=%s dbname=%s user=regress_bot',
	split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()));
CREATE FUNCTION regress_o.short(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) < 1000';
CREATE FUNCTION regress_o.known(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
ALTER TABLE warden.change_statements ADD CONSTRAINT regress_short CHECK (regress_o.short(statement)) NOT VALID,
	ADD CONSTRAINT regress_known CHECK (regress_o.known(statement)) NOT VALID;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
CREATE OR REPLACE FUNCTION regress_o.short(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length($1) < 10';
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
CREATE OR REPLACE FUNCTION regress_o.short(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OR REPLACE FUNCTION regress_o.known(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
ALTER TABLE warden.change_statements DROP CONSTRAINT regress_short, DROP CONSTRAINT regress_known;
CREATE DOMAIN regress_o.some AS int;
ALTER TABLE warden.change_statements ADD regress_added regress_o.some DEFAULT 3;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
ALTER DOMAIN regress_o.some ADD CHECK (VALUE > 3) NOT VALID;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
ALTER TABLE warden.change_statements DROP regress_added;
-- a key that is looked at later, and one to a table that is not ours
ALTER TABLE warden.change_statements ADD CONSTRAINT regress_once
	EXCLUDE USING btree (statement WITH =) WHERE (statement LIKE '%once%') DEFERRABLE;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1 /* once */');
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1 /* once */');
ALTER TABLE warden.change_statements DROP CONSTRAINT regress_once;
CREATE TABLE regress_o.commands (command text PRIMARY KEY);
INSERT INTO regress_o.commands VALUES ('UPDATE');
ALTER TABLE warden.change_statements ADD CONSTRAINT regress_command FOREIGN KEY (command) REFERENCES regress_o.commands NOT VALID;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
SELECT dblink_exec('bot', 'DELETE FROM regress_o.t WHERE id = 1');
ALTER TABLE warden.change_statements DROP CONSTRAINT regress_command;
-- columns that are computed
ALTER TABLE warden.change_statements ADD regress_length int GENERATED ALWAYS AS (length(statement)) STORED;
ALTER TABLE warden.change_statements ADD CONSTRAINT regress_short CHECK (regress_length < 50) NOT VALID;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1 AND n <> 1 AND n <> 2');
SELECT regress_length FROM warden.change_statements WHERE change_id BETWEEN 6701 AND 6899 ORDER BY change_id DESC LIMIT 1;
ALTER TABLE warden.change_statements DROP regress_length;
-- what a trigger makes of a row is held to the constraints, and shown to others
CREATE FUNCTION regress_o.edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_WHEN = 'AFTER' THEN
		INSERT INTO regress_o.seen (kind, id) SELECT 'new rows', count(*) FROM fresh;
	ELSIF NEW.statement LIKE '%spoil%' THEN
		NEW.command := NULL;
		NEW.regress_added := 'filled';
	ELSE
		NEW.regress_added := 'filled';
	END IF;
	RETURN NEW;
END$$;
ALTER TABLE warden.change_statements ADD regress_added text NOT NULL DEFAULT '';
ALTER TABLE warden.change_statements ALTER regress_added DROP DEFAULT;
CREATE TRIGGER regress_1 BEFORE INSERT ON warden.change_statements FOR EACH ROW EXECUTE FUNCTION regress_o.edit();
CREATE TRIGGER regress_2 AFTER INSERT ON warden.change_statements REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION regress_o.edit();
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1 /* spoil */');
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
SELECT command, regress_added FROM warden.change_statements WHERE change_id BETWEEN 6701 AND 6899 ORDER BY change_id DESC LIMIT 1;
SELECT kind, id FROM regress_o.seen ORDER BY n DESC LIMIT 1;
DROP FUNCTION regress_o.edit() CASCADE;
ALTER TABLE warden.change_statements DROP regress_added;
-- values are not put as they are into a column of another type
ALTER TABLE warden.change_statements ALTER expected_rows DROP DEFAULT, ALTER expected_rows TYPE numeric;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');
ALTER TABLE warden.change_statements ALTER expected_rows TYPE bigint, ALTER expected_rows SET DEFAULT 0;
SELECT dblink_exec('bot', 'UPDATE regress_o.t SET n = 1 WHERE id = 1');

-- whatever was recorded before: the objects are those that a session records
-- which remembers nothing
CREATE TABLE regress_o.u (id int PRIMARY KEY, n int, b int);
CREATE TYPE regress_o.b AS ENUM ('x');
CREATE DOMAIN regress_o.n AS text;
CREATE FUNCTION regress_o.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_o.f(numeric) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION regress_o.e5() RETURNS int LANGUAGE sql AS 'SELECT 3';
CREATE FUNCTION regress_o."f , g"(int) RETURNS int LANGUAGE sql AS 'SELECT 4';
CREATE FUNCTION regress_o.minus(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 - $2';
CREATE OPERATOR regress_o.-# (FUNCTION = regress_o.minus, LEFTARG = int, RIGHTARG = int);
GRANT SELECT ON regress_o.u TO regress_bot;
CREATE TABLE regress_o.tried (n serial, statement text, known jsonb, fresh jsonb);
INSERT INTO regress_o.tried (statement) VALUES
	('UPDATE t SET n = f(1)'), ('UPDATE t SET n = f(1.5)'), ('UPDATE t SET n = f(1e5)'),
	('UPDATE t SET n = f(int ''1'')'), ('UPDATE t SET n = f(int $$1$$)'), ('UPDATE t SET n = f(/* e5() */ 1)'),
	('UPDATE u SET n = f(1)'), ('UPDATE t SET n = "f , g"(1)'), ('UPDATE t SET n = "f" ( 1)'),
	('UPDATE t SET n = F(1)'), ('UPDATE t SET n = e5()'), ('UPDATE t SET n = 1e5'), ('UPDATE t SET n = 1'),
	('UPDATE t SET n = 1-#2'), ('UPDATE t SET n = 1 - /**/ 2'), ('UPDATE t SET n = 1 -2'),
	('INSERT INTO u (id, n) SELECT n, b FROM u'), ('INSERT INTO u (n) SELECT length(n ''1'') b FROM u'),
	('INSERT INTO u (n) SELECT length(n''1'') b FROM u'), ('INSERT INTO u (id, n) SELECT b, n FROM u'),
	('UPDATE t SET n = 1 WHERE ''u''::regclass IS NULL'), ('UPDATE t SET n = 1 WHERE ''t''::regclass IS NULL'),
	('WITH u AS (SELECT 1) UPDATE t SET n = 1'), ('WITH x AS (SELECT 1 FROM u) UPDATE t SET n = 1'),
	('WITH u AS (SELECT 1) UPDATE t SET n = (SELECT 1 FROM u)'), ('UPDATE t SET n = (SELECT 1 FROM u)'),
	('UPDATE t SET n = 1 WHERE query_to_xml(''SELECT regress_o.f(1)'', true, true, '''') IS NULL'),
	('UPDATE t SET n = 1 WHERE query_to_xml(''SELECT regress_o.e5()'', true, true, '''') IS NULL'),
	('MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE'),
	('MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DO NOTHING'),
	('DELETE FROM t WHERE id = 1'), ('DELETE FROM regress_o.t WHERE id = 1'), ('DELETE FROM ONLY t WHERE id = 1');
SELECT dblink_exec('bot', 'SET search_path = regress_o');
DO $$
DECLARE
	one record;
	fresh text := format('host=%s port=%s dbname=%s user=regress_bot options=''-c search_path=regress_o''',
		split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
	recorded CONSTANT text := 'SELECT objects FROM warden.change_statements WHERE change_id BETWEEN 6701 AND 6899 ORDER BY change_id DESC LIMIT 1';
BEGIN
	FOR one IN SELECT * FROM regress_o.tried ORDER BY n LOOP
		PERFORM dblink_exec('bot', one.statement);
		EXECUTE recorded INTO one.known;
		PERFORM dblink_exec(fresh, one.statement);
		EXECUTE recorded INTO one.fresh;
		UPDATE regress_o.tried SET known = one.known, fresh = one.fresh WHERE n = one.n;
	END LOOP;
END$$;
SELECT count(*) AS tried, count(DISTINCT known) AS different, count(*) FILTER (WHERE known IS DISTINCT FROM fresh) AS wrong FROM regress_o.tried;
SELECT statement, known, fresh FROM regress_o.tried WHERE known IS DISTINCT FROM fresh;

SET client_min_messages = error;
DELETE FROM warden.people;
DELETE FROM warden.agents;
DROP SCHEMA regress_o, regress_first CASCADE;
DROP EXTENSION dblink;
DROP ROLE regress_ann, regress_writer, regress_bot;
