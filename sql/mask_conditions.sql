-- Row conditions of mask rules: values shown unless a condition fails.
SET client_min_messages = warning;
CREATE ROLE regress_cond_agent LOGIN;
CREATE SCHEMA cond;
CREATE TABLE cond.people (id int PRIMARY KEY, region text, ssn text, score int);
CREATE TABLE cond.other (id int, ssn text);
INSERT INTO cond.people VALUES (1, 'north', '078-05-4801', 1), (2, 'south', '111-22-2210', 2), (3, NULL, '333-44-5555', 3);
INSERT INTO cond.other VALUES (1, '078-05-4801');
GRANT USAGE ON SCHEMA cond TO regress_cond_agent;
GRANT SELECT ON ALL TABLES IN SCHEMA cond TO regress_cond_agent;
SECURITY LABEL FOR warden ON ROLE regress_cond_agent IS 'agent';
SELECT warden.define_type('regional', 'ssn');
SECURITY LABEL FOR warden ON COLUMN cond.people.ssn IS 'regional';

-- conditions that can not be
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'no_such_column = 1');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'random() > 0.5');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'EXISTS (SELECT 1)');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'count(*) > 1');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'true FROM cond.other');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'true; DROP TABLE cond.people');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'score');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'ssn::bigint > 5');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'people::text LIKE ''%x''');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'people.region = ''south''');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'region = ');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'score = ''south''');
SELECT warden.set_mask('regional', 'ssn', NULL, 'true');
SELECT warden.set_mask('regional', NULL, 'regress_cond_agent', 'true');
CREATE ROLE regress_cond_other;
CREATE FUNCTION cond.mine(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER FUNCTION cond.mine(text) OWNER TO regress_cond_other;
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'cond.mine(region)');

-- the agent sees its own region in clear, and predicates see what it sees
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'region = ''south''');
SET ROLE regress_cond_agent;
SELECT id, ssn FROM cond.people ORDER BY id;
SELECT id FROM cond.people WHERE ssn LIKE '0%' OR ssn LIKE '1%' OR ssn LIKE '3%' ORDER BY id;
SELECT p FROM cond.people p ORDER BY id;
PREPARE conditional AS SELECT ssn FROM cond.people ORDER BY id;
EXECUTE conditional;
RESET ROLE;

-- a table without the column keeps its mask, and so does a renamed column
SECURITY LABEL FOR warden ON COLUMN cond.other.ssn IS 'regional';
SET ROLE regress_cond_agent;
SELECT ssn FROM cond.other;
RESET ROLE;
-- the rule can be made again, and comes back from a dump, also where no table has the column any more
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'region = ''south''');
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'regoin = ''south''');
BEGIN;
ALTER TABLE cond.people DROP region;
DELETE FROM warden.mask_rules;
INSERT INTO warden.mask_rules VALUES ('regional', 'regress_cond_agent', 'ssn', 'region = ''south''');
SELECT * FROM warden.mask_rules;
ROLLBACK;
-- a table that has it, of another type
ALTER TABLE cond.other ADD region int;
SECURITY LABEL FOR warden ON COLUMN cond.other.ssn IS 'regional';
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'region = ''south''');
ALTER TABLE cond.other DROP region;
ALTER TABLE cond.people RENAME region TO area;
SET ROLE regress_cond_agent;
EXECUTE conditional;
RESET ROLE;
ALTER TABLE cond.people RENAME area TO region;

-- what the condition reads may itself be labelled: the rule reads raw values
SECURITY LABEL FOR warden ON COLUMN cond.people.region IS 'full';
SET ROLE regress_cond_agent;
SELECT id, region, ssn FROM cond.people ORDER BY id;
RESET ROLE;
-- but not so that an error could quote them
SECURITY LABEL FOR warden ON COLUMN cond.other.ssn IS NULL;
SELECT warden.set_mask('regional', 'ssn', 'regress_cond_agent', 'score::text::date > now()');
SECURITY LABEL FOR warden ON COLUMN cond.people.score IS 'full';
SET ROLE regress_cond_agent;
SELECT id, ssn FROM cond.people ORDER BY id;
RESET ROLE;

-- the rule goes
SELECT warden.set_mask('regional', NULL, 'regress_cond_agent');
SET ROLE regress_cond_agent;
EXECUTE conditional;
RESET ROLE;
DEALLOCATE conditional;
DROP SCHEMA cond CASCADE;
DELETE FROM warden.semantic_types WHERE name = 'regional';
SECURITY LABEL FOR warden ON ROLE regress_cond_agent IS NULL;
DROP ROLE regress_cond_agent, regress_cond_other;
