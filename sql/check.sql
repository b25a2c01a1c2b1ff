-- What is wrong with the registry (warden.check) and how the worker does
-- (warden.status).
SET client_min_messages = error;
SET search_path = pg_catalog;
CREATE ROLE regress_chk_admin IN ROLE warden_admin;
CREATE ROLE regress_chk_bot;
CREATE ROLE regress_chk_strong;
CREATE ROLE regress_chk_login IN ROLE regress_chk_strong;
CREATE ROLE regress_chk_apply;
CREATE ROLE regress_chk_one;
CREATE ROLE regress_chk_two;
CREATE SCHEMA chk;
CREATE TABLE chk.person (id int, ssn text, note text);
CREATE MATERIALIZED VIEW chk.copied AS SELECT ssn FROM chk.person;
CREATE VIEW pg_temp.problems AS
    SELECT * FROM warden.check()
    WHERE concat(object, problem, hint) ~ 'regress|chk';

-- not for everyone
SET ROLE regress_chk_one;
SELECT * FROM warden.check();
SELECT * FROM warden.status;
SELECT * FROM warden.audit_queue();
SELECT warden.agent_bar(10);
RESET ROLE;

-- nothing is wrong
SELECT warden.create_agent('regress-chk', 'regress_chk_bot', 'regress_chk_apply');
SELECT warden.create_agent('regress-chk-strong', 'regress_chk_strong');
SELECT warden.label_column('chk.person', 'ssn', 'ssn');
SELECT warden.label_column('chk.copied', 'ssn', 'ssn');
SELECT warden.add_person('Regress Chk', 'regress_chk_one');
SELECT warden.grant_exemption('regress_chk_bot', 'chk.person.note', 'infinity', 'test') > 0 AS granted;
SELECT * FROM pg_temp.problems;
SELECT warden.issue_token('regress-chk') AS token \gset
SELECT valid FROM warden.tokens WHERE agent = 'regress-chk';

-- and each of these is
SELECT warden.label_role('regress_chk_bot', NULL);
SELECT valid FROM warden.tokens WHERE agent = 'regress-chk';
ALTER ROLE regress_chk_strong REPLICATION;
ALTER ROLE regress_chk_login CREATEROLE;
ALTER ROLE regress_chk_apply SUPERUSER;
GRANT regress_chk_apply TO regress_chk_bot;
SELECT warden.label_column('chk.copied', 'ssn', NULL);
SELECT warden.label_column('chk.person', 'id', 'regress_unknown');
ALTER TABLE chk.person RENAME note TO remark;
SELECT warden.add_person('regress chk', 'regress_chk_two');
CREATE ROLE regress_chk_masked;
SELECT warden.label_role('regress_chk_masked', 'masked');
CREATE TABLE chk.parts (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE chk.part PARTITION OF chk.parts DEFAULT;
SELECT warden.label_column('chk.parts', 'ssn', 'ssn');
CREATE TABLE chk.owned (id int, ssn text);
SELECT warden.label_column('chk.owned', 'ssn', 'ssn');
ALTER TABLE chk.owned OWNER TO regress_chk_masked;
GRANT TRIGGER ON chk.part TO regress_chk_masked;
CREATE FUNCTION chk.looks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION chk.same(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
ALTER FUNCTION chk.looks() OWNER TO regress_chk_masked;
ALTER FUNCTION chk.same(text) OWNER TO regress_chk_masked;
CREATE TRIGGER looks BEFORE UPDATE ON chk.part FOR EACH ROW EXECUTE FUNCTION chk.looks();
CREATE INDEX ON chk.parts (chk.same(ssn));
SET ROLE regress_chk_admin;
SELECT kind, CASE kind WHEN 'exemption' THEN '#' ELSE object END AS object, problem
  FROM warden.check()
 WHERE concat(object, problem, hint) ~ 'regress|chk';
SELECT count(*) AS without_hint FROM warden.check() WHERE hint ~ '^.{10}' IS NOT TRUE;

-- the worker
SELECT audit, queued_records >= 0 AND queued_bytes >= 0 AS queue,
       queue_limit_bytes > 0 AS room, worker_lag >= '0' AS lag, last_error,
       last_durable_id > 0 AS written, last_durable_at <= clock_timestamp() AS at,
       acting_sessions, bound_sessions
  FROM warden.status;
RESET ROLE;

-- a role that an apply role must not be
ALTER ROLE regress_chk_apply NOSUPERUSER;
REVOKE regress_chk_apply FROM regress_chk_bot;
SELECT warden.label_role('regress_chk_apply', 'masked');
SELECT warden.label_role('regress_chk_two', 'masked');
SELECT kind, object, problem FROM pg_temp.problems WHERE problem LIKE '%governed%';

-- a class that writes by itself is no agent's
SELECT warden.create_agent('regress-chk-two', 'regress_chk_two');
SELECT warden.label_role('regress_chk_bot', 'masked');
SELECT kind, object, problem, hint FROM warden.check() WHERE object = 'regress-chk';

-- a mask whose function is gone hides all
CREATE FUNCTION chk.shout(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS 'SELECT upper($1)';
SELECT warden.define_type('regress_shout', 'func(chk.shout)');
SELECT warden.set_mask('ssn', 'func(chk.shout)', 'regress_chk_one');
SELECT object FROM warden.check() WHERE kind = 'mask';
DROP FUNCTION chk.shout(text);
SELECT object, problem, hint FROM warden.check() WHERE kind = 'mask';
DELETE FROM warden.semantic_types WHERE name = 'regress_shout';
DELETE FROM warden.mask_rules WHERE role = 'regress_chk_one'::regrole;

-- an approval rule whose scope is misspelt asks nobody
INSERT INTO warden.approval_rules (risk, scope, approvals) VALUES
    ('low', 'schema:regress_chk_no', 2), ('high', 'label:regress_chk_no', 2),
    ('low', 'schema:chk', 2), ('high', 'label:ssn', 2);
SELECT object, problem, hint FROM warden.check() WHERE kind = 'approval rule';
DELETE FROM warden.approval_rules WHERE scope <> '';
DROP VIEW pg_temp.problems;
DELETE FROM warden.people WHERE person ILIKE 'regress chk';
DELETE FROM warden.exemptions WHERE grantee = 'regress_chk_bot'::regrole;
DELETE FROM warden.agents WHERE agent LIKE 'regress-chk%';
SELECT warden.label_role('regress_chk_apply', NULL);
DROP SCHEMA chk CASCADE;
DROP ROLE regress_chk_admin, regress_chk_bot, regress_chk_strong,
    regress_chk_login, regress_chk_apply, regress_chk_one, regress_chk_two,
    regress_chk_masked;
