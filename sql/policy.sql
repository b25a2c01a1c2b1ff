-- What a role sees of a semantic type: defaults, rules for roles, exemptions;
-- and that a change of them holds from the next statement on.
SET client_min_messages = warning;
\pset null '(null)'
\set superuser :USER

SELECT coalesce(max(id), 0) AS first FROM warden.audit_events \gset
CREATE ROLE regress_pol_agent LOGIN;
CREATE ROLE regress_pol_other LOGIN;
CREATE ROLE regress_pol_group;
CREATE ROLE regress_pol_admin LOGIN IN ROLE warden_admin;
CREATE SCHEMA regress_pol;
GRANT USAGE ON SCHEMA regress_pol TO PUBLIC;
SET search_path = regress_pol;
CREATE TABLE people (id int PRIMARY KEY, email text, ssn text, born date);
INSERT INTO people VALUES (1, 'alice@example.com', '078-05-4801', '1984-06-23');
CREATE TABLE staff (id int, email text);
INSERT INTO staff VALUES (1, 'bob@example.com');
GRANT SELECT ON people, staff TO regress_pol_agent, regress_pol_other;
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN people.born IS 'birth_date';
SECURITY LABEL FOR warden ON COLUMN staff.email IS 'email';
SECURITY LABEL FOR warden ON ROLE regress_pol_agent IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_pol_other IS 'masked';

--
-- must fail
--

-- only an ungoverned member of warden_admin makes policy
SET ROLE regress_pol_group;
SELECT warden.set_mask('ssn', 'clear');
SELECT warden.define_type('mine', 'clear');
SELECT warden.grant_exemption('regress_pol_group', 'ssn', 'infinity', 'x');
SELECT warden.revoke_exemption(1);
UPDATE warden.semantic_types SET mask = 'clear';
SELECT * FROM warden.exemptions;
RESET ROLE;
GRANT warden_admin TO regress_pol_other;
SET ROLE regress_pol_other;
SELECT warden.set_mask('ssn', 'clear', 'regress_pol_other');
SELECT warden.grant_exemption('regress_pol_other', 'ssn', 'infinity', 'x');
RESET ROLE;
REVOKE warden_admin FROM regress_pol_other;

-- what would not hold is refused when it is made
\c - regress_pol_admin
SELECT warden.define_type('Bad Name', 'full');
SELECT warden.define_type('', 'full');
SELECT warden.define_type(repeat('x', 64), 'full');
SELECT warden.define_type('mine', 'nonsense');
SELECT warden.define_type('mine', NULL);
SELECT warden.define_type(NULL, 'full');
SELECT warden.define_type('ssn', 'full');
SELECT warden.set_mask('missing', 'full');
SELECT warden.set_mask('ssn', 'partial(');
SELECT warden.set_mask('ssn', NULL);
SELECT warden.set_mask(NULL, 'full');
SELECT warden.set_mask('ssn', 'full', 'regress_pol_nobody');
SELECT warden.set_mask('ssn', 'func(pg_catalog.upper)');
SELECT warden.set_mask('ssn', 'func(missing.f)');
SELECT warden.grant_exemption('regress_pol_agent', 'missing', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.missing', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.people.missing', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.people.ctid', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'ssn', now(), 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'ssn', '-infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'ssn', NULL, 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'ssn', 'infinity', NULL);
SELECT warden.grant_exemption('regress_pol_nobody', 'ssn', 'infinity', 'x');
SELECT warden.grant_exemption(NULL, 'ssn', 'infinity', 'x');
SELECT warden.revoke_exemption(0);
SELECT warden.revoke_exemption((SELECT id FROM warden.exemptions WHERE false));
SELECT warden.allow_function('regress_pol.missing(int)');
SELECT warden.allow_function(to_regprocedure('regress_pol.missing(int)'));
SELECT warden.allow_function(0);
SELECT warden.disallow_function('nextval(regclass)');
SELECT warden.see_as('nobody', NULL);
SELECT warden.drop_audit_before(NULL);
-- nor past the functions, which say what they did in the trail
INSERT INTO warden.mask_rules VALUES ('ssn', 'regress_pol_agent', 'clear');
DELETE FROM warden.semantic_types;
INSERT INTO warden.exemptions (grantee, semantic_type, until, reason, granted_by)
    VALUES ('regress_pol_agent', 'ssn', 'infinity', 'x', 'regress_pol_agent');
-- nor from where nobody would see it
DO $$ BEGIN PERFORM warden.set_mask('ssn', 'clear'); END $$;
DO $$ BEGIN PERFORM warden.grant_exemption('regress_pol_agent', 'ssn', 'infinity', 'x'); END $$;
DO $$ BEGIN PERFORM warden.label_role('regress_pol_agent', NULL); END $$;
DO $$ BEGIN PERFORM warden.label_column('regress_pol.people', 'ssn', NULL); END $$;
DO $$ BEGIN PERFORM warden.allow_function('nextval(regclass)'); END $$;

--
-- must work
--
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_pol;
\pset null '(null)'
PREPARE p AS SELECT email, ssn, born FROM people;
SET plan_cache_mode = force_generic_plan;
SET ROLE regress_pol_agent;
EXECUTE p;
RESET ROLE;
-- the default of a type
SELECT warden.set_mask('ssn', 'partial(3,0)');
SET ROLE regress_pol_agent;
EXECUTE p;
RESET ROLE;
SELECT warden.set_mask('ssn', 'ssn');
-- a rule for one role
SELECT warden.set_mask('email', 'full', 'regress_pol_agent');
SELECT warden.set_mask('birth_date', 'clear', 'regress_pol_agent');
SELECT * FROM warden.mask_rules ORDER BY semantic_type;
SET ROLE regress_pol_agent;
EXECUTE p;
SET ROLE regress_pol_other;
EXECUTE p;
RESET ROLE;
-- for a role that it inherits from
GRANT regress_pol_group TO regress_pol_other;
SELECT warden.set_mask('birth_date', 'date(month)', 'regress_pol_group');
SET ROLE regress_pol_other;
EXECUTE p;
RESET ROLE;
-- taken back
SELECT warden.set_mask('email', NULL, 'regress_pol_agent');
SELECT warden.set_mask('birth_date', NULL, 'regress_pol_agent');
SELECT warden.set_mask('birth_date', NULL, 'regress_pol_group');
SET ROLE regress_pol_agent;
EXECUTE p;
RESET ROLE;
SELECT count(*) FROM warden.mask_rules;

-- exemptions: of a type, a table, a column
SELECT warden.grant_exemption('regress_pol_agent', 'email',
    now() + interval '1 day', 'audit of 2026') AS exemption \gset
SET ROLE regress_pol_agent;
EXECUTE p;
SELECT email FROM staff;
RESET ROLE;
SELECT grantee, semantic_type, relation, attname, until > now() AS open,
       reason, granted_by = :'superuser'::regrole AS by_me
  FROM warden.exemptions;
SELECT warden.revoke_exemption(:exemption);
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.people',
    'infinity', 'x') AS exemption \gset
SET ROLE regress_pol_agent;
EXECUTE p;
SELECT email FROM staff;
SET ROLE regress_pol_other;
EXECUTE p;
RESET ROLE;
SELECT warden.revoke_exemption(:exemption);
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.people.ssn',
    'infinity', 'x') AS exemption \gset
SET ROLE regress_pol_agent;
EXECUTE p;
RESET ROLE;
-- it means the column that there was: not one that takes its place
ALTER TABLE people RENAME COLUMN ssn TO old_ssn;
ALTER TABLE people ADD COLUMN ssn text DEFAULT '999-99-9999';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
SET ROLE regress_pol_agent;
SELECT ssn, old_ssn FROM people;
RESET ROLE;
ALTER TABLE people DROP COLUMN ssn;
ALTER TABLE people RENAME COLUMN old_ssn TO ssn;
SELECT warden.revoke_exemption(:exemption);
-- for a group it holds for those who inherit from it
SELECT warden.grant_exemption('regress_pol_group', 'ssn', 'infinity', 'x')
    AS exemption \gset
SET ROLE regress_pol_other;
EXECUTE p;
RESET ROLE;
SELECT warden.revoke_exemption(:exemption);
-- an end ends it, in cached plans and running transactions as well
SELECT warden.grant_exemption('regress_pol_agent', 'ssn',
    clock_timestamp() + interval '2 seconds', 'short') AS exemption \gset
SET ROLE regress_pol_agent;
EXECUTE p;
SELECT pg_sleep(2.1);
EXECUTE p;
SELECT ssn FROM people;
RESET ROLE;

-- what would count for nothing is refused: the base table's label does
CREATE VIEW mine AS SELECT ssn FROM people;
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.mine', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'regress_pol.mine.ssn', 'infinity', 'x');
SELECT warden.grant_exemption('regress_pol_agent', 'warden.exemptions_id_seq', 'infinity', 'x');

-- masks of one's own
CREATE FUNCTION initials(text) RETURNS text LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog AS $$ SELECT left($1, 2) || '~' $$;
CREATE FUNCTION failing(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog
    AS $$ BEGIN RAISE EXCEPTION 'about %', $1; END $$;
SELECT warden.set_mask('ssn', 'func(regress_pol.initials)', 'regress_pol_agent');
SET ROLE regress_pol_agent;
SELECT ssn FROM people;
RESET ROLE;
SELECT warden.set_mask('ssn', 'func(regress_pol.failing)', 'regress_pol_agent');
SET ROLE regress_pol_agent;
SELECT ssn FROM people;
RESET ROLE;
-- and what becomes of one that is none any more
SELECT warden.set_mask('ssn', 'func(regress_pol.initials)', 'regress_pol_agent');
ALTER FUNCTION initials(text) OWNER TO regress_pol_group;
SET ROLE regress_pol_agent;
SELECT ssn FROM people;
RESET ROLE;
ALTER FUNCTION initials(text) OWNER TO :"superuser";
ALTER FUNCTION initials(text) VOLATILE;
SET ROLE regress_pol_agent;
SELECT ssn FROM people;
RESET ROLE;
DROP FUNCTION initials(text);
SET ROLE regress_pol_agent;
SELECT ssn FROM people;
RESET ROLE;

-- all of it is in the trail
SELECT warden.flush_audit();
SELECT regexp_replace(detail, '\d+', 'N') AS detail FROM warden.audit_events
 WHERE id > :first AND kind = 'action' AND outcome = 'policy'
   AND detail ~ 'regress_pol'
 ORDER BY id;

\set VERBOSITY terse
DELETE FROM warden.exemptions WHERE grantee::text ~ '^regress_pol';
DELETE FROM warden.mask_rules WHERE role::text ~ '^regress_pol';
DROP SCHEMA regress_pol CASCADE;
DROP ROLE regress_pol_agent, regress_pol_other, regress_pol_group,
    regress_pol_admin;
