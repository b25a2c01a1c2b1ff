-- Policy that can not be read, or makes no sense, when a statement needs it: the
-- statement is refused, or more is masked, and never less. Only a superuser can
-- bring rows into such a state.
SET client_min_messages = warning;
\pset null '(null)'
\set superuser :USER
CREATE ROLE regress_row_agent LOGIN;
CREATE SCHEMA regress_row;
GRANT USAGE ON SCHEMA regress_row TO regress_row_agent;
SET search_path = regress_row;
CREATE TABLE person (id int, ssn text, email text, region text);
INSERT INTO person VALUES (1, '078-05-4801', 'alice@example.com', 'north');
GRANT SELECT ON person TO regress_row_agent;
SECURITY LABEL FOR warden ON COLUMN person.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN person.email IS 'email';
SECURITY LABEL FOR warden ON ROLE regress_row_agent IS 'agent';
SELECT warden.set_mask('ssn', 'full', 'regress_row_agent', 'region = ''north''');
SELECT id FROM warden.grant_exemption('regress_row_agent', 'email', 'infinity', 'x') id \gset
PREPARE p AS SELECT ssn, email FROM person;
SET ROLE regress_row_agent;
EXECUTE p;
RESET ROLE;

--
-- must fail
--

-- text that is no mask, found when a column of the type is read
BEGIN;
ALTER TABLE warden.mask_rules DISABLE TRIGGER USER;
ALTER TABLE warden.mask_rules ENABLE TRIGGER policy_changed;
UPDATE warden.mask_rules SET mask = 'nonsense(' WHERE semantic_type = 'ssn';
SET LOCAL ROLE regress_row_agent;
SAVEPOINT s;
EXECUTE p;
ROLLBACK TO s;
SELECT count(ssn) FROM person;
ROLLBACK TO s;
COPY person TO STDOUT;
ROLLBACK TO s;
SELECT region FROM person;
ROLLBACK TO s;
SELECT 1 AS one;
ROLLBACK;
-- a condition that is none, and one over columns that are not there
BEGIN;
ALTER TABLE warden.mask_rules DISABLE TRIGGER USER;
ALTER TABLE warden.mask_rules ENABLE TRIGGER policy_changed;
UPDATE warden.mask_rules SET unless = 'true true' WHERE semantic_type = 'ssn';
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
BEGIN;
ALTER TABLE warden.mask_rules DISABLE TRIGGER USER;
ALTER TABLE warden.mask_rules ENABLE TRIGGER policy_changed;
UPDATE warden.mask_rules SET unless = 'district = ''north'''
 WHERE semantic_type = 'ssn';
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
BEGIN;
ALTER TABLE warden.mask_rules DISABLE TRIGGER USER;
ALTER TABLE warden.mask_rules ENABLE TRIGGER policy_changed;
UPDATE warden.mask_rules SET unless = 'region' WHERE semantic_type = 'ssn';
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
-- values that are missing
BEGIN;
ALTER TABLE warden.mask_rules DISABLE TRIGGER USER;
ALTER TABLE warden.mask_rules ENABLE TRIGGER policy_changed;
ALTER TABLE warden.mask_rules ALTER mask DROP NOT NULL;
UPDATE warden.mask_rules SET mask = NULL;
SET LOCAL ROLE regress_row_agent;
SAVEPOINT s;
EXECUTE p;
ROLLBACK TO s;
SELECT 1 AS one FROM person;
ROLLBACK;
BEGIN;
ALTER TABLE warden.semantic_types DISABLE TRIGGER USER;
ALTER TABLE warden.semantic_types ENABLE TRIGGER policy_changed;
ALTER TABLE warden.semantic_types ALTER mask DROP NOT NULL;
UPDATE warden.semantic_types SET mask = NULL WHERE name = 'phone';
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
BEGIN;
ALTER TABLE warden.exemptions ALTER until DROP NOT NULL;
UPDATE warden.exemptions SET until = NULL;
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
-- columns, and tables, that are missing
BEGIN;
ALTER TABLE warden.exemptions DROP COLUMN until;
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
ALTER TABLE warden.exemptions RENAME TO exemption_list;
\c - regress_row_agent
SELECT ssn, email FROM regress_row.person;
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_row;
ALTER TABLE warden.exemption_list RENAME TO exemptions;
PREPARE p AS SELECT ssn, email FROM person;
-- a condition that would lift what lifts the mask
SELECT warden.set_mask('ssn', 'clear', 'regress_row_agent', 'region = ''north''');
INSERT INTO warden.mask_rules VALUES
    ('email', 'regress_row_agent', 'clear', 'region = ''north''');

--
-- must work
--

-- a type that is gone hides everything
BEGIN;
DELETE FROM warden.exemptions;
DELETE FROM warden.mask_rules;
DELETE FROM warden.semantic_types WHERE name IN ('ssn', 'email');
SET LOCAL ROLE regress_row_agent;
EXECUTE p;
ROLLBACK;
-- labels that nobody could have given: a role's makes an agent of it, a
-- column's hides everything
UPDATE pg_seclabel SET label = ' ,' WHERE objoid = 'person'::regclass
    AND label = 'ssn';
UPDATE pg_seclabel SET label = '' WHERE objoid = 'person'::regclass
    AND label = 'email';
UPDATE pg_shseclabel SET label = 'nonsense'
 WHERE objoid = 'regress_row_agent'::regrole;
\c - regress_row_agent
SET search_path = regress_row;
SELECT ssn, email FROM person;
\set VERBOSITY sqlstate
DELETE FROM person;
\set VERBOSITY default
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_row;
SELECT count(*) FROM person;
UPDATE pg_seclabel SET label = 'ssn' WHERE objoid = 'person'::regclass
    AND label = ' ,';
UPDATE pg_seclabel SET label = 'email' WHERE objoid = 'person'::regclass
    AND label = '';
UPDATE pg_shseclabel SET label = 'agent'
 WHERE objoid = 'regress_row_agent'::regrole;

SELECT warden.set_mask('ssn', NULL, 'regress_row_agent');
SELECT warden.revoke_exemption(:id);
DROP SCHEMA regress_row CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_row_agent IS NULL;
DROP OWNED BY regress_row_agent;
DROP ROLE regress_row_agent;
