-- Dropping the extension: labels stay behind, so agents are refused rather
-- than freed, and everybody else goes on as before.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_t_agent LOGIN;
CREATE ROLE regress_t_masked LOGIN;
CREATE ROLE regress_t_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE TABLE regress_t (id int, ssn text);
INSERT INTO regress_t VALUES (1, '078-05-4801');
GRANT SELECT ON regress_t TO PUBLIC;
SECURITY LABEL FOR warden ON COLUMN regress_t.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_t_agent IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_t_masked IS 'masked';

--
-- must fail
--
\c - regress_t_agent
SELECT ssn FROM regress_t;
DROP EXTENSION pg_warden CASCADE;
\c - :superuser
SET client_min_messages = warning;
DROP EXTENSION pg_warden;
SET warden.allow_drop = on;
DROP EXTENSION pg_warden;
SELECT objname, label FROM pg_seclabels
 WHERE provider = 'warden' AND objname ~ 'regress_t' ORDER BY 1;
\c - regress_t_agent
SELECT ssn FROM regress_t;
SELECT 1;
SET search_path = public;
\c - regress_t_masked
SELECT ssn FROM regress_t;
\c - regress_t_gate
SELECT ssn FROM regress_t;

--
-- must work
--
\c - :superuser
SET client_min_messages = warning;
SELECT ssn FROM regress_t;
-- labels can be made and taken away without it
SECURITY LABEL FOR warden ON ROLE regress_t_masked IS NULL;
\c - regress_t_masked
SELECT ssn FROM regress_t;
-- the labels hold again as soon as it is there
\c - :superuser
SET client_min_messages = warning;
CREATE EXTENSION pg_warden;
\c - regress_t_agent
SELECT ssn FROM regress_t;

\c - :superuser
SET client_min_messages = warning;
DROP TABLE regress_t;
DROP ROLE regress_t_agent, regress_t_masked, regress_t_gate;
-- nothing of these tests is left
SELECT rolname FROM pg_roles WHERE rolname ~ '^(regress|mask)_' ORDER BY 1;
SELECT objtype, objname, label FROM pg_seclabels WHERE provider = 'warden';
