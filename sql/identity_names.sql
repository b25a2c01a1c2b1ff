-- Names: odd ones, ones that are given again, and roles that change theirs.
SET client_min_messages = warning;
\set superuser :USER
CREATE ROLE regress_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_first;
CREATE ROLE regress_second;
CREATE TABLE regress_names (id int);
GRANT SELECT, UPDATE ON regress_names TO regress_first, regress_second;

--
-- An agent that gets the name of one that is gone sees nothing of its
--
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 16001;
SELECT warden.create_agent('regress namesake', 'regress_first');
SELECT warden.issue_token('regress namesake') AS token \gset
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', NULL, '{}', 'k');
UPDATE regress_names SET id = 1;
SELECT id, status FROM warden.my_changes;
SELECT warden.leave('k') ->> 'change_id' AS change;
COMMIT;
\c - :superuser
SET client_min_messages = warning;
DELETE FROM warden.agents WHERE agent = 'regress namesake';
SELECT warden.create_agent('regress namesake', 'regress_second');
SELECT warden.issue_token('regress namesake') AS token \gset
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token', NULL, '{}', 'k');
SELECT id, status FROM warden.my_changes;
SELECT warden.withdraw(16001);
ROLLBACK;
-- nor a role that gets the name of one that is gone
\c - :superuser
SET client_min_messages = warning;
DELETE FROM warden.agents WHERE agent = 'regress namesake';
SELECT warden.label_role('regress_second', NULL);
CREATE ROLE regress_alone LOGIN;
GRANT SELECT, UPDATE ON regress_names TO regress_alone;
SELECT warden.label_role('regress_alone', 'agent');
\c - regress_alone
UPDATE regress_names SET id = 2;
SELECT id, status FROM warden.my_changes;
\c - :superuser
SET client_min_messages = warning;
SELECT warden.label_role('regress_alone', NULL);
DROP OWNED BY regress_alone;
DROP ROLE regress_alone;
CREATE ROLE regress_alone LOGIN;
SELECT warden.label_role('regress_alone', 'agent');
\c - regress_alone
SELECT id, status FROM warden.my_changes;
SELECT warden.withdraw(16002);
\c - :superuser
SET client_min_messages = warning;
DROP ROLE regress_alone;

--
-- Quotes, blanks, other scripts, and the longest names that there are
--
CREATE TABLE regress_odd (ordinal int, role name, agent text, person text);
INSERT INTO regress_odd VALUES
	(1, 'regress "q" ''s''; --', 'it''s "quoted" \ $1 %s', 'O''Brien; DROP'),
	(2, 'regress_ünïcødé ☃', 'агент ☃ 代理', 'Ærøskøbing ñ'),
	(3, rpad('regress_', 63, 'x'), repeat('y', 63), repeat('z', 255)),
	(4, rpad('regress_', 62, 'é'), repeat('é', 31), repeat('☃', 85)),
	(5, 'regress role, "other"', 'none', 'session_user');
SELECT format('CREATE ROLE %I', role) FROM regress_odd ORDER BY ordinal \gexec
SELECT warden.create_agent(repeat('é', 32), 'regress_first');
SELECT warden.create_agent('x' || chr(127), 'regress_first');
SELECT warden.create_agent(E'tab\t', 'regress_first');
SELECT warden.create_agent(agent, role) FROM regress_odd ORDER BY ordinal;
SELECT warden.allow_delegation(agent, person) FROM regress_odd ORDER BY ordinal;
GRANT SELECT ON regress_names TO PUBLIC;
SELECT count(*) FROM warden.agents a JOIN regress_odd o USING (agent)
 WHERE a.role = quote_ident(o.role)::regrole;
SELECT agent AS agent1, role AS role1, person AS person1,
	warden.issue_token(agent) AS token1 FROM regress_odd WHERE ordinal = 1 \gset
SELECT agent AS agent2, role AS role2, person AS person2,
	warden.issue_token(agent) AS token2 FROM regress_odd WHERE ordinal = 2 \gset
SELECT agent AS agent3, role AS role3, person AS person3,
	warden.issue_token(agent) AS token3 FROM regress_odd WHERE ordinal = 3 \gset
SELECT agent AS agent4, role AS role4, person AS person4,
	warden.issue_token(agent) AS token4 FROM regress_odd WHERE ordinal = 4 \gset
SELECT agent AS agent5, role AS role5, person AS person5,
	warden.issue_token(agent) AS token5 FROM regress_odd WHERE ordinal = 5 \gset
SELECT :'person1' || ' ' AS longer1, :'person3' || 'z' AS longer3,
	upper(:'person3') AS upper3 \gset
\c - regress_gate
BEGIN;
SELECT warden.enter(:'token1', :'person1', '{}', 'k');
SELECT current_user = :'role1' AS role,
	current_setting('warden.agent') = :'agent1' AS agent,
	current_setting('warden.on_behalf_of') = :'person1' AS person,
	warden.whoami() ->> 'agent' = :'agent1' AS whoami;
UPDATE regress_names SET id = 1;
SELECT agent = :'agent1' AND on_behalf_of = :'person1' AS mine FROM warden.my_changes;
SELECT warden.leave('k') ->> 'statements' AS statements;
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token2', :'person2', '{}', 'k');
SELECT current_user = :'role2' AS role,
	current_setting('warden.agent') = :'agent2' AS agent,
	current_setting('warden.on_behalf_of') = :'person2' AS person,
	warden.whoami() ->> 'agent' = :'agent2' AS whoami;
UPDATE regress_names SET id = 1;
SELECT agent = :'agent2' AND on_behalf_of = :'person2' AS mine FROM warden.my_changes;
SELECT warden.leave('k') ->> 'statements' AS statements;
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token3', :'person3', '{}', 'k');
SELECT current_user = :'role3' AS role,
	current_setting('warden.agent') = :'agent3' AS agent,
	current_setting('warden.on_behalf_of') = :'person3' AS person,
	warden.whoami() ->> 'agent' = :'agent3' AS whoami;
UPDATE regress_names SET id = 1;
SELECT agent = :'agent3' AND on_behalf_of = :'person3' AS mine FROM warden.my_changes;
SELECT warden.leave('k') ->> 'statements' AS statements;
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token4', :'person4', '{}', 'k');
SELECT current_user = :'role4' AS role,
	current_setting('warden.agent') = :'agent4' AS agent,
	current_setting('warden.on_behalf_of') = :'person4' AS person,
	warden.whoami() ->> 'agent' = :'agent4' AS whoami;
UPDATE regress_names SET id = 1;
SELECT agent = :'agent4' AND on_behalf_of = :'person4' AS mine FROM warden.my_changes;
SELECT warden.leave('k') ->> 'statements' AS statements;
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token5', :'person5', '{}', 'k');
SELECT current_user = :'role5' AS role,
	current_setting('warden.agent') = :'agent5' AS agent,
	current_setting('warden.on_behalf_of') = :'person5' AS person,
	warden.whoami() ->> 'agent' = :'agent5' AS whoami;
UPDATE regress_names SET id = 1;
SELECT agent = :'agent5' AND on_behalf_of = :'person5' AS mine FROM warden.my_changes;
SELECT warden.leave('k') ->> 'statements' AS statements;
ROLLBACK;
-- what a person is called is not trimmed, nor folded, nor cut
BEGIN;
SELECT warden.enter(:'token1', :'longer1', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token3', :'longer3', '{}', 'k');
ROLLBACK;
BEGIN;
SELECT warden.enter(:'token3', :'upper3', '{}', 'k');
ROLLBACK;
\c - :superuser
SET client_min_messages = warning;
SELECT warden.disable_agent(agent) FROM regress_odd ORDER BY ordinal;
SELECT count(*) FROM warden.tokens t JOIN regress_odd USING (agent) WHERE valid;
SELECT count(*) > 0 AS reported FROM regress_odd o, warden.access_report(o.role);
SELECT count(*) FROM warden.check() c JOIN regress_odd o ON c.object = o.agent;

DELETE FROM warden.agents WHERE agent IN (SELECT agent FROM regress_odd);
SELECT format('DROP ROLE %I', role) FROM regress_odd ORDER BY ordinal \gexec
DROP TABLE regress_names, regress_odd;
DROP ROLE regress_gate, regress_first, regress_second;
