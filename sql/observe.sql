-- The class "agent, observe": everything runs as before, and the audit trail
-- says what an agent would have met.
\set superuser :USER
SET client_min_messages = warning;
CREATE ROLE regress_observed LOGIN;
CREATE ROLE regress_observed_owner;
GRANT regress_observed_owner TO regress_observed;
CREATE SCHEMA obs;
CREATE TABLE obs.person (id int PRIMARY KEY, ssn text, n int);
INSERT INTO obs.person VALUES (1, '078-05-4801', 1), (2, '111-22-2210', 2);
GRANT USAGE ON SCHEMA obs TO regress_observed;
CREATE MATERIALIZED VIEW obs.copied AS SELECT ssn FROM obs.person;
CREATE TABLE obs.idle (id int);
CREATE RULE nothing AS ON INSERT TO obs.idle DO INSTEAD NOTHING;
GRANT ALL ON obs.person, obs.copied, obs.idle TO regress_observed;
SECURITY LABEL FOR warden ON COLUMN obs.person.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_observed IS 'agent, observed';
SECURITY LABEL FOR warden ON ROLE regress_observed IS 'agent, observe';

SET ROLE regress_observed;
SELECT ssn FROM obs.person ORDER BY id;
UPDATE obs.person SET n = 3 WHERE id = 1;
SELECT n FROM obs.person WHERE id = 1 FOR UPDATE;
DO $$BEGIN UPDATE obs.person SET n = 4 WHERE id = 1; END$$;
SELECT set_config('application_name', 'observed', true);
NOTIFY observed;
COPY obs.person TO STDOUT;
SELECT count(*) FROM obs.copied;
SET work_mem = '8MB';
RESET work_mem;
SET search_path = obs;
CREATE TEMPORARY TABLE observed (i int);
RESET ROLE;
DROP TABLE observed;
RESET search_path;
SELECT n FROM obs.person WHERE id = 1;
-- errors are what they were, and what PL code makes of them
SET ROLE regress_observed;
INSERT INTO obs.person VALUES (1);
RESET ROLE;

-- the records are written by the worker: wait for them
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		EXIT WHEN (SELECT count(*) FROM warden.audit_log WHERE db_role = 'regress_observed' AND command <> 'RESET' AND outcome <> 'running') >= 12;
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
SELECT command, masked_columns, outcome, sqlstate, message FROM warden.audit_log WHERE db_role = 'regress_observed' AND command <> 'RESET' ORDER BY id;

-- As a login: it stays observed in whichever role it takes, and what an agent
-- may not do with statements that it may send is noted as well.
\c - regress_observed
SET ROLE regress_observed_owner;
SELECT current_user;
SELECT set_config('role', 'none', false);
SELECT current_user;
SET work_mem = '8MB';
SET search_path = obs;
SET client_min_messages = error;
DISCARD PLANS;
PREPARE TRANSACTION 'regress_observed';
-- no plan comes of these
INSERT INTO obs.idle VALUES (1); INSERT INTO obs.idle VALUES (2);
DO $$BEGIN INSERT INTO obs.idle VALUES (3); END$$;
\c - :superuser
SET client_min_messages = warning;
SELECT warden.flush_audit();
SELECT db_role, command, outcome, message FROM warden.audit_log WHERE login_role = 'regress_observed' ORDER BY id;

DROP SCHEMA obs CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_observed IS NULL;
DROP ROLE regress_observed, regress_observed_owner;
