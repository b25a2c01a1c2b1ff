-- Creating and dropping the extension. The database of these tests has it
-- already when this file starts, and again when it ends.
SET client_min_messages = warning;

--
-- must fail
--

-- dropping it frees nobody by accident
DROP EXTENSION pg_warden;
DROP EXTENSION pg_warden CASCADE;
DROP SCHEMA warden CASCADE;
CREATE ROLE regress_dropper;
SET ROLE regress_dropper;
SET warden.allow_drop = on;
DROP EXTENSION pg_warden;
RESET ROLE;
DROP ROLE regress_dropper;

-- the label provider knows roles and columns, with or without the extension
SET warden.allow_drop = on;
DROP EXTENSION pg_warden;
RESET warden.allow_drop;
SECURITY LABEL FOR warden ON SCHEMA public IS 'agent';

-- neither another schema nor one that somebody has planted
CREATE EXTENSION pg_warden SCHEMA public;
CREATE SCHEMA warden;
\set SHOW_CONTEXT never
CREATE EXTENSION pg_warden;
\set SHOW_CONTEXT errors
DROP SCHEMA warden;
CREATE EXTENSION pg_warden VERSION '0.9';

--
-- must work
--
CREATE EXTENSION pg_warden;
SELECT extname, nspname, extrelocatable
  FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
 WHERE extname = 'pg_warden';
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
       rolreplication, rolbypassrls
  FROM pg_roles WHERE rolname ~ '^warden_' ORDER BY rolname;
SELECT provider, count(*) FROM pg_seclabels WHERE provider = 'warden'
 GROUP BY provider;

-- what is there from the start
SELECT name, mask FROM warden.semantic_types ORDER BY name COLLATE "C";
SELECT count(*) AS rules FROM warden.mask_rules;
SELECT count(*) AS exemptions FROM warden.exemptions;
SELECT count(*) AS agents FROM warden.agents;
SELECT length(value) AS key_bytes FROM warden.mask_keys;
