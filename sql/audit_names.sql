-- Whose a record is: a gateway's backend is another agent with every call, and
-- the masked class has records of its own for what functions read.
SET client_min_messages = warning;
\set superuser :USER
CREATE ROLE regress_names_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_names_one LOGIN;
CREATE ROLE regress_names_two LOGIN;
CREATE ROLE regress_names_person LOGIN;
SECURITY LABEL FOR warden ON ROLE regress_names_one IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_names_two IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_names_person IS 'masked';
SELECT warden.create_agent('names one', 'regress_names_one');
SELECT warden.create_agent('names two', 'regress_names_two');
SELECT warden.issue_token('names one', 'ann') AS one \gset
SELECT warden.issue_token('names two', 'bob') AS two \gset
CREATE TABLE regress_names (id int, ssn text);
INSERT INTO regress_names VALUES (1, '078-05-4801');
SECURITY LABEL FOR warden ON COLUMN regress_names.ssn IS 'ssn';
GRANT SELECT ON regress_names TO regress_names_person;
CREATE FUNCTION regress_names_read() RETURNS text LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN (SELECT ssn FROM regress_names); END';

-- what fails before it has a record, and the end of what failed
\c - regress_names_gate
BEGIN;
SELECT warden.enter(:'one', NULL, '{}', 'k');
SELECT 1 AS one;
SELECT warden.leave('k') \gset
COMMIT;
BEGIN;
SELECT warden.enter(:'two', NULL, '{}', 'k');
SELEC 2;
ROLLBACK;
BEGIN;
SELECT warden.enter('nonsense', NULL, '{}', 'k');
ROLLBACK;

-- one record for each statement of a transaction
\c - regress_names_person
BEGIN;
SELECT regress_names_read();
SELECT 'again', regress_names_read();
SELECT 'nothing';
DO 'BEGIN PERFORM regress_names_read(); END';
COMMIT;

\c - :superuser
SELECT warden.flush_audit();
SELECT kind, agent, on_behalf_of, db_role, command, statement
    FROM warden.audit_log WHERE login_role = 'regress_names_gate' ORDER BY id;
SELECT kind, db_role, statement, relations, outcome
    FROM warden.audit_log WHERE login_role = 'regress_names_person' ORDER BY id;

-- a name that is given again has no past
DELETE FROM warden.agents WHERE agent = 'names one';
SELECT warden.create_agent('names one', 'regress_names_one');
SELECT warden.issue_token('names one', 'ann') AS one \gset
\c - regress_names_gate
BEGIN;
SELECT warden.enter(:'one', NULL, '{}', 'k');
SELECT 2 AS two;
SELECT count(*) FROM warden.my_audit;
SELECT warden.leave('k') \gset
COMMIT;

\c - :superuser
DELETE FROM warden.agents WHERE agent LIKE 'names %';
DROP FUNCTION regress_names_read();
DROP TABLE regress_names;
DROP ROLE regress_names_gate, regress_names_one, regress_names_two,
    regress_names_person;
