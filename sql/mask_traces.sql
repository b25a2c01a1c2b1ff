-- What raw values leave traces in besides rows: errors of a rule's condition,
-- copies, the order of an index.
SET client_min_messages = warning;
CREATE SCHEMA traces;
CREATE ROLE regress_traces_agent LOGIN;
SECURITY LABEL FOR warden ON ROLE regress_traces_agent IS 'agent';
CREATE TABLE traces.people (id int PRIMARY KEY, name text, region text, ssn text);
INSERT INTO traces.people
    SELECT i, 'name ' || i, 'region ' || i, '000' FROM generate_series(1, 10) i;
SECURITY LABEL FOR warden ON COLUMN traces.people.ssn IS 'full';
GRANT USAGE ON SCHEMA traces TO regress_traces_agent;
GRANT SELECT ON traces.people TO regress_traces_agent;

-- a condition's error does not quote columns that are masked for want of a
-- label, nor those that a rule masks for some
SELECT warden.define_type('traced', 'full');
SELECT warden.define_type('traced_region', 'clear');
SECURITY LABEL FOR warden ON COLUMN traces.people.ssn IS 'traced';
SELECT warden.set_mask('traced', 'full', 'regress_traces_agent', 'name::int > 0');
SET warden.unlabelled_columns = 'masked';
SET ROLE regress_traces_agent;
SELECT name, ssn FROM traces.people LIMIT 1;
RESET ROLE;
SELECT warden.set_mask('traced', 'full', 'regress_traces_agent', 'name::int > 1');
RESET warden.unlabelled_columns;
SECURITY LABEL FOR warden ON COLUMN traces.people.region IS 'traced_region';
SELECT warden.set_mask('traced', 'full', 'regress_traces_agent', 'region::int > 0');
SELECT warden.set_mask('traced_region', 'full', 'regress_traces_agent');
SET ROLE regress_traces_agent;
SELECT region, ssn FROM traces.people WHERE id = 2;
RESET ROLE;
SELECT warden.set_mask('traced', NULL, 'regress_traces_agent');

-- a copy of what is clear but for some is refused to all
CREATE MATERIALIZED VIEW traces.copy AS SELECT region FROM traces.people;
GRANT SELECT ON traces.copy TO regress_traces_agent;
SET ROLE regress_traces_agent;
SELECT * FROM traces.copy;
RESET ROLE;
SELECT warden.set_mask('traced_region', NULL, 'regress_traces_agent');
SET ROLE regress_traces_agent;
SELECT count(*) FROM traces.copy;
RESET ROLE;

-- rows do not come in the order of an index that has hidden values in it, by
-- the same index they are found as before
CREATE TABLE traces.pay (id int, team int, wage int, bonus int);
INSERT INTO traces.pay SELECT i, i % 100, (i * 37) % 1000, i FROM generate_series(1, 1000) i;
CREATE INDEX pay_wage ON traces.pay (team, wage);
CREATE INDEX pay_double ON traces.pay (team, (2 * wage));
CREATE INDEX pay_covering ON traces.pay (wage, id);
CREATE INDEX pay_bonus ON traces.pay (bonus) INCLUDE (wage);
SECURITY LABEL FOR warden ON COLUMN traces.pay.wage IS 'full';
GRANT SELECT ON traces.pay TO regress_traces_agent;
VACUUM ANALYZE traces.pay;
SET ROLE regress_traces_agent;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM traces.pay WHERE team = 7;
EXPLAIN (COSTS OFF) SELECT id FROM traces.pay WHERE bonus = 7;
SET enable_bitmapscan = off;
SELECT array_agg(id) FROM traces.pay WHERE team = 7;
SELECT array_agg(id) FROM (SELECT id FROM traces.pay LIMIT 10) first;
RESET ROLE;
DROP INDEX traces.pay_wage;
SET ROLE regress_traces_agent;
SELECT array_agg(id) FROM traces.pay WHERE team = 7;
RESET ROLE;
RESET enable_seqscan;
RESET enable_bitmapscan;

DROP SCHEMA traces CASCADE;
DELETE FROM warden.semantic_types WHERE name LIKE 'traced%';
SECURITY LABEL FOR warden ON ROLE regress_traces_agent IS NULL;
DROP ROLE regress_traces_agent;
