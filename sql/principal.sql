-- Who a session acts for: login role, SET ROLE, inherited roles, and what may
-- not change while it is governed.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_p_agent LOGIN;
CREATE ROLE regress_p_masked LOGIN;
CREATE ROLE regress_p_observed LOGIN;
CREATE ROLE regress_p_heir LOGIN IN ROLE regress_p_agent;
CREATE ROLE regress_p_deep LOGIN IN ROLE regress_p_heir;
CREATE ROLE regress_p_noinherit LOGIN NOINHERIT IN ROLE regress_p_agent;
CREATE ROLE regress_p_both LOGIN IN ROLE regress_p_masked, regress_p_agent;
CREATE ROLE regress_p_person LOGIN IN ROLE regress_p_agent NOINHERIT;
CREATE ROLE regress_p_free LOGIN;
CREATE ROLE regress_p_gate LOGIN NOINHERIT IN ROLE warden_gateway;
GRANT regress_p_free TO regress_p_agent, regress_p_masked;
CREATE SCHEMA regress_p;
GRANT USAGE ON SCHEMA regress_p TO PUBLIC;
CREATE TABLE regress_p.people (id int, ssn text);
INSERT INTO regress_p.people VALUES (1, '078-05-4801');
GRANT SELECT, UPDATE ON regress_p.people TO PUBLIC;
CREATE FUNCTION regress_p.read() RETURNS text LANGUAGE sql
    AS 'SELECT ssn FROM regress_p.people';
CREATE FUNCTION regress_p.read_definer() RETURNS text LANGUAGE sql
    SECURITY DEFINER SET search_path = pg_catalog
    AS 'SELECT ssn FROM regress_p.people';
CREATE FUNCTION regress_p.climb() RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN SET LOCAL ROLE regress_p_free; RETURN regress_p.read(); END $$;
CREATE FUNCTION regress_p.climb_config() RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN PERFORM set_config('role', 'regress_p_free', false);
          RETURN regress_p.read(); END $$;
CREATE FUNCTION regress_p.climb_reset() RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN RESET ROLE; RETURN regress_p.read(); END $$;
CREATE FUNCTION regress_p.climb_clause() RETURNS text LANGUAGE sql
    SET role = regress_p_free AS 'SELECT regress_p.read()';
CREATE FUNCTION regress_p.climb_session() RETURNS text LANGUAGE sql
    SET session_authorization = regress_p_free AS 'SELECT regress_p.read()';
SECURITY LABEL FOR warden ON COLUMN regress_p.people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_p_agent IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_p_masked IS 'masked';
SECURITY LABEL FOR warden ON ROLE regress_p_observed IS 'agent, observe';

--
-- must fail
--

-- an agent gets out of its role in no spelling
\c - regress_p_agent
SET ROLE regress_p_free;
SET LOCAL ROLE regress_p_free;
SET role TO 'regress_p_free';
SET SESSION ROLE NONE;
RESET ROLE;
SET SESSION AUTHORIZATION regress_p_free;
SET SESSION AUTHORIZATION DEFAULT;
RESET SESSION AUTHORIZATION;
RESET ALL;
DISCARD ALL;
SELECT set_config('role', 'regress_p_free', false);
DO $$ BEGIN SET ROLE regress_p_free; END $$;
DO $$ BEGIN RESET ROLE; END $$;
DO $$ BEGIN EXECUTE 'SET LOCAL SESSION AUTHORIZATION regress_p_free'; END $$;
SELECT regress_p.climb();
SELECT regress_p.climb_config();
SELECT regress_p.climb_reset();
SELECT regress_p.climb_clause();
SELECT regress_p.climb_session();
UPDATE pg_settings SET setting = 'regress_p_free' WHERE name = 'role';
-- nor gives itself an identity
SET warden.agent = 'somebody';
SET warden.on_behalf_of = 'somebody';
SET LOCAL warden.session_id = 'x';
SET warden.request_id TO DEFAULT;
RESET warden.tool;
DO $$ BEGIN SET warden.prompt_ref = 'x'; END $$;
SELECT warden.enter('x', 'y', '{}', 'z');
SELECT warden.leave('z');
SELECT current_user, session_user, current_setting('warden.agent', true);
SELECT ssn, regress_p.read(), regress_p.read_definer() FROM regress_p.people;

-- a masked role neither
\c - regress_p_masked
SET ROLE regress_p_free;
SELECT regress_p.climb();
SELECT regress_p.climb_reset();
SELECT ssn, regress_p.read(), regress_p.read_definer() FROM regress_p.people;

-- a gateway that has not badged in can do next to nothing
\c - regress_p_gate
\set VERBOSITY sqlstate
SELECT * FROM regress_p.people;
SELECT regress_p.read();
SELECT count(*) FROM pg_class;
SELECT current_user FROM (SELECT 1) x;
SELECT version(), now();
SET ROLE regress_p_free;
SET search_path = regress_p;
SET work_mem = '1GB';
UPDATE regress_p.people SET id = 2;
CREATE TABLE x ();
COPY regress_p.people TO STDOUT;
DO $$ BEGIN NULL; END $$;
PREPARE p AS SELECT 1;
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
EXPLAIN SELECT 1;
LISTEN other;
NOTIFY warden_changes;
LOCK regress_p.people;
CALL warden.apply(1);
SELECT warden.whoami();
SELECT count(*) FROM warden.my_changes;
-- while drivers and poolers get along
SELECT 1;
SELECT 'a' AS b, 2;
SHOW server_version_num \g /dev/null
SET client_encoding = 'UTF8';
SET DateStyle = 'ISO';
SET application_name = 'x';
BEGIN;
COMMIT;
LISTEN warden_changes;
UNLISTEN *;
DISCARD ALL;
\set VERBOSITY default

--
-- must work: the strictest label wins
--
\c - regress_p_heir
SELECT ssn FROM regress_p.people;
SET ROLE regress_p_free;
\c - regress_p_deep
SELECT ssn FROM regress_p.people;
\c - regress_p_both
SELECT ssn, warden.whoami() ->> 'class' AS class FROM regress_p.people;
\c - regress_p_noinherit
SELECT ssn FROM regress_p.people;
SET ROLE regress_p_agent;
SELECT ssn FROM regress_p.people;
RESET ROLE;
SELECT ssn FROM regress_p.people;
-- a person who goes into the role comes out again, at top level only
\c - regress_p_person
SET ROLE regress_p_agent;
SELECT ssn, regress_p.read_definer() FROM regress_p.people;
SELECT regress_p.climb_reset();
DO $$ BEGIN RESET ROLE; END $$;
SELECT ssn FROM regress_p.people;
BEGIN;
RESET ROLE;
SELECT ssn FROM regress_p.people;
ROLLBACK;
SELECT ssn FROM regress_p.people;
RESET ROLE;
BEGIN;
SET LOCAL ROLE regress_p_agent;
SELECT ssn FROM regress_p.people;
COMMIT;
SELECT ssn, regress_p.read_definer() FROM regress_p.people;
BEGIN;
SAVEPOINT s;
SET LOCAL ROLE regress_p_agent;
SELECT ssn FROM regress_p.people;
ROLLBACK TO s;
SELECT ssn FROM regress_p.people;
COMMIT;
-- so does a superuser, and what it is says nothing about the role
\c - :superuser
SET client_min_messages = warning;
SET ROLE regress_p_agent;
SELECT ssn FROM regress_p.people;
SET ROLE regress_p_masked;
SELECT ssn FROM regress_p.people;
RESET ROLE;
SELECT ssn FROM regress_p.people;

-- observed: everything as before
\c - regress_p_observed
SELECT ssn FROM regress_p.people;
UPDATE regress_p.people SET id = 1;
SELECT set_config('work_mem', '8MB', false);

-- and so nothing is taken from a role that is masked, by either's label
\c - :superuser
SET client_min_messages = warning;
GRANT regress_p_observed TO regress_p_masked;
SET ROLE regress_p_masked;
SELECT ssn FROM regress_p.people;
RESET ROLE;
REVOKE regress_p_observed FROM regress_p_masked;
GRANT regress_p_masked TO regress_p_observed;
\c - regress_p_observed
SELECT ssn FROM regress_p.people;
\c - :superuser
SET client_min_messages = warning;
REVOKE regress_p_masked FROM regress_p_observed;

-- a label or a membership that comes while the session is there
\c - :superuser
SET client_min_messages = warning;
SET ROLE regress_p_free;
PREPARE p AS SELECT ssn, regress_p.read(), regress_p.read_definer()
    FROM regress_p.people;
EXECUTE p;
RESET ROLE;
ALTER ROLE regress_p_noinherit INHERIT;
GRANT regress_p_masked TO regress_p_noinherit;
SET ROLE regress_p_noinherit;
EXECUTE p;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_p_free IS 'masked';
SET ROLE regress_p_free;
EXECUTE p;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_p_free IS NULL;
SET ROLE regress_p_free;
EXECUTE p;
RESET ROLE;

-- a role that gains what no agent may have is refused
ALTER ROLE regress_p_agent BYPASSRLS;
SET ROLE regress_p_agent;
SELECT 1;
RESET ROLE;
ALTER ROLE regress_p_agent NOBYPASSRLS;
GRANT pg_read_server_files TO regress_p_agent;
SET ROLE regress_p_agent;
SELECT 1;
RESET ROLE;
REVOKE pg_read_server_files FROM regress_p_agent;
SET ROLE regress_p_agent;
SELECT 1 AS again;
RESET ROLE;
-- and so is a registered agent whose label is gone
SELECT warden.create_agent('regress principal', 'regress_p_free');
\c - regress_p_free
SELECT ssn, warden.whoami() ->> 'agent' AS agent FROM regress_p.people;
\c - :superuser
SECURITY LABEL FOR warden ON ROLE regress_p_free IS NULL;
\c - regress_p_free
SELECT 1;
\c - :superuser
SELECT warden.label_role('regress_p_free', 'agent');
\c - regress_p_free
SELECT 1 AS again;
-- a disabled agent is, too
\c - :superuser
SELECT warden.disable_agent('regress principal');
\c - regress_p_free
SELECT 1;

\c - :superuser
SET client_min_messages = warning;
\set VERBOSITY terse
DELETE FROM warden.agents WHERE agent = 'regress principal';
DROP SCHEMA regress_p CASCADE;
DROP ROLE regress_p_agent, regress_p_masked, regress_p_observed,
    regress_p_heir, regress_p_deep, regress_p_noinherit, regress_p_both,
    regress_p_person, regress_p_free, regress_p_gate;
