-- Classes of statements that agents may propose once an administrator says so,
-- and what stays refused then.
\set superuser :USER
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE ROLE regress_g_bot LOGIN;
CREATE ROLE regress_g_bots;
GRANT regress_g_bots TO regress_g_bot;
CREATE ROLE regress_g_staff;
CREATE ROLE regress_g_writer IN ROLE regress_g_staff;
CREATE ROLE regress_g_ann LOGIN IN ROLE warden_reviewer, regress_g_writer;
CREATE ROLE regress_g_bob LOGIN IN ROLE warden_reviewer, regress_g_writer;
CREATE ROLE regress_g_admin LOGIN IN ROLE warden_admin;
CREATE ROLE regress_g_strong CREATEROLE;
CREATE ROLE regress_g_other;
CREATE SCHEMA regress_g AUTHORIZATION regress_g_writer;
GRANT USAGE ON SCHEMA regress_g TO PUBLIC;
GRANT CREATE ON SCHEMA regress_g TO regress_g_staff;
CREATE SCHEMA regress_g_closed AUTHORIZATION regress_g_writer;
SET ROLE regress_g_writer;
CREATE TABLE regress_g.t (id int PRIMARY KEY, ssn text);
CREATE TABLE regress_g_closed.t (id int);
CREATE VIEW regress_g.v AS SELECT id FROM regress_g.t;
CREATE SEQUENCE regress_g.q;
CREATE TYPE regress_g.mood AS ENUM ('sad');
CREATE FUNCTION regress_g.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_g.g() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION regress_g.h() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON regress_g.t TO regress_g_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_g.t.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_g_bot IS 'agent';
SELECT FROM warden.create_agent('grant bot', 'regress_g_bot', 'regress_g_writer');
SELECT FROM warden.add_person('g ann', 'regress_g_ann');
SELECT FROM warden.add_person('g bob', 'regress_g_bob');
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 19001;
-- every statement that some class is about
CREATE TABLE regress_g.classes (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO regress_g.classes (statement) VALUES
	('GRANT SELECT (id) ON regress_g.t TO regress_g_staff'),
	('GRANT SELECT (id, ssn) ON regress_g.t TO regress_g_other'),
	('GRANT SELECT ON regress_g.v TO PUBLIC'),
	('GRANT USAGE ON SEQUENCE regress_g.q TO regress_g_staff WITH GRANT OPTION'),
	('REVOKE EXECUTE ON FUNCTION regress_g.f(int) FROM PUBLIC'),
	('GRANT CREATE ON SCHEMA regress_g TO regress_g_staff'),
	('GRANT USAGE ON TYPE regress_g.mood TO regress_g_staff'),
	('ALTER VIEW regress_g.v OWNER TO regress_g_staff'),
	('ALTER FUNCTION regress_g.g() OWNER TO regress_g_staff'),
	('ALTER TYPE regress_g.mood OWNER TO regress_g_staff'),
	('CREATE FUNCTION regress_g.definer() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS ''SELECT current_user::text'''),
	('ALTER FUNCTION regress_g.h() SECURITY DEFINER');
-- what no class is about
CREATE TABLE regress_g.never (n int GENERATED ALWAYS AS IDENTITY, statement text);
INSERT INTO regress_g.never (statement) VALUES
	('GRANT SELECT ON warden.tokens TO regress_g_staff'),
	('GRANT USAGE ON SCHEMA warden TO regress_g_staff'),
	('GRANT EXECUTE ON FUNCTION warden.approve(bigint, text, text) TO regress_g_staff'),
	('ALTER TABLE warden.tokens OWNER TO regress_g_staff'),
	('ALTER SCHEMA warden OWNER TO regress_g_staff'),
	('CREATE FUNCTION warden.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1'''),
	('ALTER FUNCTION warden.whoami() SECURITY DEFINER'),
	('GRANT SELECT ON pg_catalog.pg_authid TO regress_g_staff'),
	('GRANT SELECT ON regress_g_closed.t TO regress_g_staff'),
	('GRANT SELECT ON regress_g.missing TO regress_g_staff'),
	('GRANT SELECT ON regress_g.t TO regress_g_missing'),
	('GRANT SELECT ON regress_g.t TO regress_g_bot'),
	('GRANT SELECT ON regress_g.t TO regress_g_staff, regress_g_bots'),
	('REVOKE SELECT ON regress_g.t FROM regress_g_bot'),
	('GRANT SELECT ON regress_g.t TO warden_reviewer'),
	('GRANT SELECT ON regress_g.t TO regress_g_ann'),
	('GRANT SELECT ON regress_g.t TO regress_g_strong'),
	('GRANT SELECT ON regress_g.t TO pg_read_all_data'),
	('GRANT SELECT ON regress_g.t TO CURRENT_USER'),
	('GRANT SELECT ON regress_g.t TO regress_g_staff GRANTED BY regress_g_writer'),
	('GRANT SELECT ON ALL TABLES IN SCHEMA regress_g TO regress_g_staff'),
	('GRANT CONNECT ON DATABASE contrib_regression TO regress_g_staff'),
	('GRANT USAGE ON LANGUAGE plpgsql TO regress_g_staff'),
	('GRANT SET ON PARAMETER work_mem TO regress_g_staff'),
	('GRANT regress_g_staff TO regress_g_writer'),
	('GRANT warden_admin TO regress_g_staff'),
	('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC'),
	('ALTER TABLE regress_g.t OWNER TO regress_g_bot'),
	('ALTER TABLE regress_g.t OWNER TO CURRENT_USER'),
	('ALTER TABLE regress_g.t OWNER TO warden_admin'),
	('ALTER TABLE regress_g.t OWNER TO regress_g_staff, SET TABLESPACE pg_default'),
	('ALTER DATABASE contrib_regression OWNER TO regress_g_staff'),
	('REASSIGN OWNED BY regress_g_writer TO regress_g_staff'),
	('CREATE SCHEMA regress_g_n AUTHORIZATION regress_g_staff'),
	('CREATE SCHEMA regress_g_n GRANT ALL ON SCHEMA regress_g_n TO PUBLIC'),
	('CREATE FUNCTION regress_g.c() RETURNS int LANGUAGE c SECURITY DEFINER AS ''x'''),
	('CREATE FUNCTION regress_g.l() RETURNS int LANGUAGE sql LEAKPROOF SECURITY DEFINER AS ''SELECT 1'''),
	('CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1'''),
	('CREATE ROLE regress_g_new PASSWORD ''x'''),
	('ALTER ROLE regress_g_staff SUPERUSER'),
	('SECURITY LABEL FOR warden ON ROLE regress_g_staff IS ''masked'''),
	('ALTER SYSTEM SET work_mem = ''1GB'''),
	('CREATE EXTENSION hstore'),
	('CREATE PUBLICATION regress_g_p FOR TABLE regress_g.t'),
	('LOAD ''x''');
GRANT SELECT ON regress_g.classes, regress_g.never TO PUBLIC;

--
-- As installed all are off, and only an administrator sees and edits them
--
SELECT class, enabled, description, changed FROM warden.proposable ORDER BY class;
\c - regress_g_bot
SELECT statement FROM regress_g.classes ORDER BY n
\gexec
SELECT format('SELECT warden.propose(%L, %L, NULL)', statement, 'off') FROM regress_g.classes ORDER BY n
\gexec
SELECT count(*) FROM warden.my_changes;
SELECT * FROM warden.proposable;
UPDATE warden.proposable SET enabled = true;
\c - regress_g_ann
SELECT count(*) FROM warden.proposable;
UPDATE warden.proposable SET enabled = true;
\c - regress_g_admin
INSERT INTO warden.proposable VALUES ('extension', true, 'x');
DELETE FROM warden.proposable;
UPDATE warden.proposable SET class = 'owner';
DO 'BEGIN UPDATE warden.proposable SET enabled = true; END';
UPDATE warden.proposable SET enabled = true WHERE class = 'privileges';
SELECT class, enabled, changed FROM warden.proposable ORDER BY class;
\c - :superuser
INSERT INTO warden.proposable VALUES ('extension', true, 'x');
SELECT warden.flush_audit();
SELECT login_role, outcome, detail FROM warden.audit_events WHERE detail ~ 'of proposable' ORDER BY id;

--
-- Each by itself
--
\c - regress_g_bot
GRANT SELECT ON regress_g.t TO regress_g_staff;
ALTER TABLE regress_g.t OWNER TO regress_g_staff;
ALTER FUNCTION regress_g.f(int) SECURITY DEFINER;
\c - regress_g_admin
UPDATE warden.proposable SET enabled = (class = 'owner');
\c - regress_g_bot
GRANT SELECT ON regress_g.t TO regress_g_staff;
ALTER TABLE regress_g.t OWNER TO regress_g_staff;
ALTER FUNCTION regress_g.f(int) SECURITY DEFINER;
\c - regress_g_admin
UPDATE warden.proposable SET enabled = (class = 'security_definer');
\c - regress_g_bot
GRANT SELECT ON regress_g.t TO regress_g_staff;
ALTER TABLE regress_g.t OWNER TO regress_g_staff;
ALTER FUNCTION regress_g.f(int) SECURITY DEFINER;
-- switched on and off under a session's feet
\c - regress_g_admin
UPDATE warden.proposable SET enabled = true;
SELECT count(*) FROM warden.proposable WHERE enabled;

--
-- All on: what is never proposed, as a statement and in a script
--
\c - regress_g_bot
SELECT statement FROM regress_g.never ORDER BY n
\gexec
SELECT format('SELECT warden.propose(%L, %L, NULL)', statement, 'never') FROM regress_g.never ORDER BY n
\gexec
DO 'BEGIN GRANT SELECT ON regress_g.t TO regress_g_staff; END';
DO 'BEGIN ALTER TABLE regress_g.t OWNER TO regress_g_staff; END';
SELECT count(*) FROM warden.my_changes;

--
-- What can be: recorded, rated, applied
--
SELECT format('SELECT warden.propose(%L, %L, NULL)', statement, 'on') FROM regress_g.classes ORDER BY n
\gexec
SELECT m.id, m.risk, s ->> 'command' AS command, jsonb_path_query_array(s -> 'findings', '$[*].rule') AS rules
	FROM warden.my_changes m, jsonb_array_elements(statements) s WHERE title = 'on' ORDER BY id;
SELECT warden.propose('CREATE TABLE regress_g.n (id bigint PRIMARY KEY); GRANT SELECT ON regress_g.n TO regress_g_staff; ALTER TABLE regress_g.n OWNER TO regress_g_staff', 'script', NULL) AS id \gset
\c - regress_g_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM warden.open_changes WHERE agent = 'grant bot' ORDER BY id;
\c - regress_g_bob
SELECT warden.approve(id, 'ok') FROM warden.open_changes WHERE agent = 'grant bot' AND status = 'proposed' ORDER BY id;
\o
SELECT ordinal, command, method, detail FROM warden.open_changes o, warden.preview(o.id) WHERE title IN ('on', 'script') ORDER BY o.id, ordinal;
SELECT format('CALL warden.apply(%s)', id) FROM warden.open_changes WHERE title IN ('on', 'script') ORDER BY id
\gexec
SELECT id, title, status FROM warden.pending_changes WHERE agent = 'grant bot' AND title IN ('on', 'script') ORDER BY id;
SELECT has_column_privilege('regress_g_staff', 'regress_g.t', 'id', 'SELECT') AS id,
	has_column_privilege('regress_g_staff', 'regress_g.t', 'ssn', 'SELECT') AS ssn;
SELECT relname, relowner::regrole, name AS grantee, privilege_type, is_grantable
	FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) a,
		LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) g (name)
	WHERE relnamespace = 'regress_g'::regnamespace AND relname IN ('t', 'v', 'q', 'n')
		AND (a.grantee <> relowner OR privilege_type = 'SELECT') ORDER BY relname, name, privilege_type;
SELECT proname, proowner::regrole, prosecdef, proacl FROM pg_proc
	WHERE pronamespace = 'regress_g'::regnamespace ORDER BY proname;
SELECT typname, typowner::regrole, typacl FROM pg_type WHERE typname = 'mood' AND typnamespace = 'regress_g'::regnamespace;
SELECT regress_g.definer();

-- a role that goes makes it stale, one that is labelled meanwhile stops it
\c - :superuser
SET client_min_messages = error;
CREATE ROLE regress_g_short;
\c - regress_g_bot
\set QUIET off
GRANT SELECT ON regress_g.t TO regress_g_short;
GRANT INSERT ON regress_g.t TO regress_g_other;
ALTER TABLE regress_g.t OWNER TO regress_g_staff;
\set QUIET on
\c - regress_g_ann
\o /dev/null
SELECT warden.approve(id, 'ok') FROM warden.open_changes WHERE agent = 'grant bot' AND status = 'proposed' ORDER BY id;
\c - regress_g_bob
SELECT warden.approve(id, 'ok') FROM warden.open_changes WHERE agent = 'grant bot' AND status = 'proposed' ORDER BY id;
\o
\c - :superuser
DROP ROLE regress_g_short;
CREATE ROLE regress_g_short;
SECURITY LABEL FOR warden ON ROLE regress_g_other IS 'masked';
\c - regress_g_bob
SELECT format('CALL warden.apply(%s)', id) FROM warden.open_changes
	WHERE agent = 'grant bot' AND id > 19016 ORDER BY id
\gexec
SELECT s.change_id, s.statement, c.status FROM warden.pending_changes c JOIN warden.change_statements s ON s.change_id = c.id
	WHERE agent = 'grant bot' AND c.id > 19016 ORDER BY 1, ordinal;

\c - :superuser
SET client_min_messages = error;
SELECT count(*) FROM warden.pending_changes WHERE agent = 'grant bot' AND risk NOT IN ('high', 'critical');
UPDATE warden.proposable SET enabled = false;
SECURITY LABEL FOR warden ON ROLE regress_g_bot IS NULL;
SECURITY LABEL FOR warden ON ROLE regress_g_other IS NULL;
DELETE FROM warden.agents WHERE agent = 'grant bot';
DELETE FROM warden.people WHERE person LIKE 'g %';
DROP SCHEMA regress_g, regress_g_closed CASCADE;
DROP OWNED BY regress_g_staff, regress_g_writer;
DROP ROLE regress_g_bot, regress_g_bots, regress_g_ann, regress_g_bob, regress_g_admin,
	regress_g_strong, regress_g_other, regress_g_short, regress_g_writer, regress_g_staff;
