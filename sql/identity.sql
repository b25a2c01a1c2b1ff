-- Badging in: who may, as whom, for whom, and that nothing of it is left.
\set superuser :USER

CREATE ROLE regress_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_other LOGIN;
CREATE ROLE regress_writer;
CREATE ROLE regress_ann LOGIN;
CREATE ROLE regress_admin LOGIN IN ROLE warden_admin;
CREATE TABLE regress_notes (id int PRIMARY KEY, person text);
INSERT INTO regress_notes
	SELECT i, CASE WHEN i % 2 = 0 THEN 'ann' ELSE 'bob' END
	FROM generate_series(1, 6) i;
ALTER TABLE regress_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON regress_notes
	USING (person = current_setting('warden.on_behalf_of'));
GRANT SELECT ON regress_notes TO regress_bot;

--
-- The registry refuses what would not hold
--
SET ROLE regress_ann;
SELECT warden.create_agent('bot', 'regress_bot');
SELECT * FROM warden.agent_tokens;
SELECT * FROM warden.people;
RESET ROLE;
\c - regress_admin
SELECT warden.create_agent('root', 'pg_read_server_files');
SELECT warden.create_agent('', 'regress_bot');
SELECT warden.create_agent(repeat('x', 64), 'regress_bot');
SELECT warden.create_agent('bot', 'regress_nobody');
SELECT warden.create_agent(NULL, 'regress_bot');
SELECT warden.create_agent('bot', 'regress_bot', 'regress_bot');
SELECT warden.create_agent('bot', 'regress_bot', 'no such role', 'text');
DO $$ BEGIN PERFORM warden.create_agent('bot', 'regress_bot'); END $$;
SELECT warden.issue_token('nobody');
SELECT warden.disable_agent('nobody');
SELECT * FROM warden.agent_tokens;
INSERT INTO warden.agents (agent, role) VALUES ('bot', 'regress_bot');
INSERT INTO warden.people (person, role) VALUES (NULL, 'regress_ann');
INSERT INTO warden.delegations (agent, person_pattern) VALUES ('bot', NULL);

-- A third argument that names no role is the description.
SELECT warden.create_agent('bot', 'regress_bot', 'answers questions');
SELECT warden.create_agent('bot', 'regress_bot');
SELECT warden.create_agent('writing bot', 'regress_other', 'regress_writer',
	'proposes');
SELECT agent, role, apply_role, description, enabled, max_rows, created_by
	FROM warden.agents WHERE role::text LIKE 'regress%' ORDER BY agent;

SELECT warden.allow_delegation('bot', '*');
SELECT warden.allow_delegation('bot', '?*');
SELECT warden.allow_delegation('bot', '%@example.com');
SELECT warden.allow_delegation('bot', E'a\nb');
SELECT warden.allow_delegation('nobody', 'ann');
SELECT warden.allow_delegation('bot', 'an?');
SELECT warden.allow_delegation('bot', 'an?');
SELECT warden.allow_delegation('bot', '*@example.com');
SELECT warden.add_person('ann', 'regress_bot');
SELECT warden.add_person('ann', 'regress_ann');
SELECT warden.add_person('ann', 'regress_ann');
SELECT warden.add_person('bob', 'regress_ann');
SELECT person, role FROM warden.people WHERE role::text LIKE 'regress%';

UPDATE warden.agents SET statement_timeout = 'soon' WHERE agent = 'bot';
UPDATE warden.agents SET work_mem = '-1' WHERE agent = 'bot';
\set VERBOSITY terse
UPDATE warden.agents SET max_rows = 0 WHERE agent = 'bot';
\set VERBOSITY default
UPDATE warden.agents SET apply_role = 'regress_other' WHERE agent = 'bot';
UPDATE warden.agents SET role = 'regress_admin' WHERE agent = 'bot';
UPDATE warden.agents SET statement_timeout = 7000, work_mem = '1MB',
		temp_file_limit = '10MB', lock_timeout = NULL
	WHERE agent = 'bot';

--
-- Tokens are shown once
--
SELECT warden.issue_token('bot', NULL, '-1 day');
SELECT warden.issue_token('bot', NULL, NULL);
SELECT warden.issue_token('bot', E'\t');
SELECT warden.issue_token('bot') AS token \gset
SELECT warden.issue_token('bot', 'bob') AS bound \gset
SELECT warden.issue_token('bot', 'bob', '1 microsecond') AS expired \gset
SELECT warden.issue_token('bot') AS revoked \gset
SELECT :'token' ~ '^wdn_[A-Za-z0-9_-]{43}$' AS well_formed;
SELECT max(id) AS id FROM warden.tokens \gset
SELECT warden.revoke_token(:id);
SELECT warden.revoke_token(0);
SELECT agent, on_behalf_of, issued_by, valid FROM warden.tokens
	WHERE agent = 'bot' ORDER BY id;

--
-- Settings that nobody can set
--
SET warden.agent = 'bot';
\echo :LAST_ERROR_SQLSTATE
SELECT set_config('warden.on_behalf_of', 'ceo', true);
\echo :LAST_ERROR_SQLSTATE
ALTER ROLE regress_admin SET warden.agent = 'bot';
RESET warden.agent;
SHOW warden.agent;

--
-- Credentials: one refusal for all that can be wrong
--
\c - regress_ann
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\c - regress_gate
SELECT warden.enter(:'token', 'ann', '{}', 'k');
BEGIN;
SELECT warden.enter('wdn_wrong', 'ann', '{}', 'k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(NULL, NULL, NULL, 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'expired', NULL, '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'revoked', 'ann', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'zoe', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', E'ann\nbob@example.com', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'bound', 'ann', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', NULL);
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '[]', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{"max_row": 5}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{"max_rows": 1.5}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{"tool": 7}', 'k');
ROLLBACK;
BEGIN \; SELECT warden.enter(:'token', 'ann', '{}', 'k') \; SELECT 1;
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k') \; /* and more */ SELECT 1;
ROLLBACK;

--
-- Bound: the agent, and for whom
--
BEGIN;
SELECT warden.enter(:'token', 'ann',
	'{"session_id": "s", "request_id": "r", "tool": "query",
	  "prompt_ref": "p", "max_rows": 5}', 'k');
SELECT current_user, session_user, current_setting('warden.agent') AS agent,
	current_setting('warden.on_behalf_of') AS person,
	current_setting('warden.session_id') AS session,
	current_setting('warden.request_id') AS request,
	current_setting('warden.tool') AS tool,
	current_setting('warden.prompt_ref') AS prompt;
SELECT * FROM regress_notes ORDER BY id;
SELECT whoami - 'database' FROM warden.whoami();
SHOW temp_file_limit;
SELECT warden.leave('k');
SHOW role;
SHOW warden.agent;
SHOW statement_timeout;
SHOW work_mem;
SELECT warden.enter(:'bound', NULL, '{"max_rows": 100000}', 'other');
SELECT * FROM regress_notes ORDER BY id;
SELECT whoami -> 'limits' -> 'max_rows' AS max_rows FROM warden.whoami();
SELECT warden.leave('k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT warden.leave('k');
SHOW warden.agent;
SHOW role;

-- A worker knows the person, too.
\c - :superuser
SELECT CASE WHEN current_setting('server_version_num')::int < 160000
        THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END AS parallel
\gset
ALTER ROLE regress_gate SET :parallel = on;
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELECT count(*) FROM regress_notes;
SELECT warden.leave('k');
COMMIT;

-- What is set while bound ends with it.
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SET search_path = pg_catalog;
SET statement_timeout = '1s';
SELECT warden.leave('k');
COMMIT;
SHOW search_path;
SHOW statement_timeout;

-- No way to be somebody else.
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SET ROLE regress_other;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
RESET ROLE;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SET SESSION AUTHORIZATION DEFAULT;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
RESET warden.agent;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
COMMIT;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELECT warden.enter(:'bound', 'ann', '{}', 'k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SHOW role;
SELECT current_user;
\echo :LAST_ERROR_SQLSTATE

-- However it is spelled
BEGIN;
SELECT warden.enter(leave_key => 'k', token => :'token', request => NULL,
	on_behalf_of => 'ann') AS entered, 1 AS one;
DECLARE c SCROLL CURSOR FOR SELECT warden.leave('k');
FETCH c;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
EXPLAIN (COSTS OFF) SELECT warden.leave('k');
SELECT warden.leave(leave_key => 'k') AS left;
COMMIT;
-- Only who may execute them
\c - :superuser
REVOKE EXECUTE ON FUNCTION warden.leave(text) FROM PUBLIC;
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELECT warden.leave('k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\c - :superuser
GRANT EXECUTE ON FUNCTION warden.leave(text) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION warden.enter(text, text, jsonb, text) FROM PUBLIC;
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\c - :superuser
GRANT EXECUTE ON FUNCTION warden.enter(text, text, jsonb, text) TO PUBLIC;

--
-- Direct logins need no badge
--
\c - regress_bot
SELECT whoami - 'database' FROM warden.whoami();
SELECT current_setting('warden.agent') AS agent;
\c - regress_admin
SELECT warden.create_agent('second bot', 'regress_bot');
\c - regress_bot
SELECT count(*) FROM regress_notes;
\echo :LAST_ERROR_SQLSTATE
\c - regress_admin
DELETE FROM warden.agents WHERE agent = 'second bot';
SELECT warden.disable_agent('bot');
SELECT count(*) FROM warden.tokens WHERE agent = 'bot' AND valid;
SELECT warden.issue_token('bot');
\c - regress_bot
SELECT count(*) FROM regress_notes;
\echo :LAST_ERROR_SQLSTATE
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
ROLLBACK;
\c - regress_admin
SELECT warden.enable_agent('bot');
SELECT warden.issue_token('bot') AS token \gset
UPDATE warden.agents SET require_on_behalf_of = true WHERE agent = 'bot';
\c - regress_bot
SELECT count(*) FROM regress_notes;
\c - regress_admin
SELECT warden.see_as('bot', 'SELECT count(*) FROM regress_notes');
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', NULL, '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token', 'zoe@example.com', '{}', 'k');
SELECT warden.leave('k');
COMMIT;

-- What has become of its roles does not keep an agent from being stopped.
\c - :superuser
ALTER ROLE regress_other SUPERUSER;
\c - regress_admin
SELECT warden.disable_agent('writing bot');
SELECT warden.enable_agent('writing bot');
\c - :superuser
ALTER ROLE regress_other NOSUPERUSER;
ALTER ROLE regress_writer SUPERUSER;
\c - regress_admin
SELECT warden.enable_agent('writing bot');
\c - :superuser
ALTER ROLE regress_writer NOSUPERUSER;
SELECT warden.enable_agent('writing bot');

--
-- What a role reaches, before it gets a token
--
\c - :superuser
CREATE ROLE regress_reader;
CREATE TABLE regress_people (id int, ssn text, email text, note text);
GRANT SELECT (id, ssn, email) ON regress_people TO regress_reader;
GRANT SELECT (note), INSERT ON regress_people TO PUBLIC;
GRANT regress_reader TO regress_bot;
SECURITY LABEL FOR warden ON COLUMN regress_people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN regress_people.email IS 'email';
SELECT * FROM warden.access_report('regress_bot')
	WHERE object LIKE '%regress_people%' OR kind = 'membership';
SELECT warden.set_mask('ssn', 'clear', 'regress_bot');
SELECT mask FROM warden.access_report('regress_bot')
	WHERE object = 'public.regress_people.ssn';
SELECT count(*) FROM warden.access_report('regress_nobody');
SELECT count(*) FROM warden.acting_agents();

-- The role can be made along with the agent.
CREATE SCHEMA regress_shop;
CREATE TABLE regress_shop.open (id int);
SELECT warden.create_agent('made', 'regress_made', create_role => true,
	read_schemas => '{pg_catalog}');
SELECT warden.create_agent('made', 'regress_made', create_role => true,
	read_schemas => '{regress_shop}');
SELECT rolcanlogin, rolinherit FROM pg_roles WHERE rolname = 'regress_made';
SELECT * FROM warden.access_report('regress_made')
	WHERE object LIKE 'regress_shop%';

--
-- Clean up
--
DROP SCHEMA regress_shop CASCADE;
SELECT warden.set_mask('ssn', NULL, 'regress_bot');
DROP TABLE regress_people;
DROP ROLE regress_reader;
DELETE FROM warden.agents WHERE role::text LIKE 'regress%';
DELETE FROM warden.people WHERE role::text LIKE 'regress%';
DROP TABLE regress_notes;
REVOKE regress_bot, regress_other, regress_made FROM warden_gateway;
DROP ROLE regress_made;
DROP ROLE regress_gate, regress_bot, regress_other, regress_writer,
	regress_ann, regress_admin;
