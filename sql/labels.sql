-- What a label may be, what it may be put on, and who may change it.
SET client_min_messages = warning;

SELECT coalesce(max(id), 0) AS first FROM warden.audit_events \gset
CREATE ROLE regress_plain;
CREATE ROLE regress_owner LOGIN;
CREATE ROLE regress_warden LOGIN IN ROLE warden_admin;
CREATE SCHEMA regress_labels AUTHORIZATION regress_owner;
SET search_path = regress_labels;
SET ROLE regress_owner;
CREATE TABLE people (id int PRIMARY KEY, name text, email text, ssn text,
    born date, note text);
CREATE VIEW people_view AS SELECT * FROM people;
CREATE INDEX people_email ON people (email);
CREATE SEQUENCE numbers;
CREATE TYPE pair AS (a text, b text);
CREATE MATERIALIZED VIEW people_copy AS SELECT * FROM people;
CREATE DOMAIN digits AS text CHECK (VALUE ~ '^[0-9-]+$');
CREATE DOMAIN anything AS text CHECK (length(VALUE) < 100);
CREATE DOMAIN never_null AS text NOT NULL;
CREATE TABLE constrained (id int, ssn digits, email anything, pin never_null);
RESET ROLE;

--
-- Roles: must fail
--

-- unknown classes and malformed labels
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'robot';
SECURITY LABEL FOR warden ON ROLE regress_plain IS '';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'Agent';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent,';
SECURITY LABEL FOR warden ON ROLE regress_plain IS ' agent';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent, masked';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked, observe';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'ssn';
SELECT warden.label_role('regress_plain', 'robot');
SELECT warden.label_role('regress_missing', 'agent');
SELECT warden.label_role(NULL, 'agent');

-- roles that could step over a fence
CREATE ROLE regress_unfit SUPERUSER;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent, observe';
ALTER ROLE regress_unfit NOSUPERUSER BYPASSRLS;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
ALTER ROLE regress_unfit NOBYPASSRLS REPLICATION;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
ALTER ROLE regress_unfit NOREPLICATION CREATEROLE;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
ALTER ROLE regress_unfit NOCREATEROLE;
GRANT pg_read_server_files TO regress_unfit;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE pg_read_server_files FROM regress_unfit;
GRANT pg_write_server_files TO regress_unfit;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE pg_write_server_files FROM regress_unfit;
GRANT pg_execute_server_program TO regress_unfit;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE pg_execute_server_program FROM regress_unfit;
GRANT pg_signal_backend TO regress_unfit;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE pg_signal_backend FROM regress_unfit;
GRANT pg_monitor TO regress_unfit;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE pg_monitor FROM regress_unfit;
-- through another role, without inheriting from it, too
CREATE ROLE regress_between NOLOGIN;
GRANT pg_read_server_files TO regress_between;
GRANT regress_between TO regress_unfit;
ALTER ROLE regress_unfit NOINHERIT;
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
REVOKE regress_between FROM regress_unfit;
-- what is left of it is fit
SECURITY LABEL FOR warden ON ROLE regress_unfit IS 'agent';
SECURITY LABEL FOR warden ON ROLE regress_unfit IS NULL;
DROP ROLE regress_unfit, regress_between;

-- who does not create roles does not label them
SET ROLE regress_owner;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent';
SELECT warden.label_role('regress_plain', 'agent');
RESET ROLE;

--
-- Roles: must work
--
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent, observe';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent';
SELECT objname, label FROM pg_seclabels
 WHERE provider = 'warden' AND objtype = 'role' ORDER BY 1;

-- CREATEROLE may tighten and not weaken
CREATE ROLE regress_creator CREATEROLE;
SET ROLE regress_creator;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked';
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent, observe';
SECURITY LABEL FOR warden ON ROLE regress_plain IS NULL;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent';
RESET ROLE;
-- nor trade masks for records, or records for masks
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked';
SET ROLE regress_creator;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent, observe';
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent, observe';
SET ROLE regress_creator;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked';
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'agent';
DROP ROLE regress_creator;

-- warden_admin may, without CREATEROLE
SET ROLE regress_warden;
SELECT warden.label_role('regress_plain', 'masked');
SELECT warden.label_role('regress_plain', NULL);
RESET ROLE;
SELECT count(*) FROM pg_seclabels WHERE objname = 'regress_plain';

--
-- Columns: must fail
--

-- malformed labels
SECURITY LABEL FOR warden ON COLUMN people.ssn IS '';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'SSN';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS '1ssn';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ss n';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn,';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS ',untrusted';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn, trusted';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn; untrusted';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'partial(0,4)';
SELECT warden.label_column('people', 'ssn', 'SSN');
SELECT warden.label_column('people', 'missing', 'ssn');
SELECT warden.label_column('people', 'ctid', 'ssn');
SELECT warden.label_column('missing', 'ssn', 'ssn');
SELECT warden.label_column(0, 'ssn', 'ssn');
SELECT warden.label_column(NULL, 'ssn', 'ssn');
SELECT warden.label_column('people', NULL, 'ssn');

-- what is no column of a table
SECURITY LABEL FOR warden ON COLUMN people_view.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN pair.a IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN pg_catalog.pg_class.relname IS 'name';
SECURITY LABEL FOR warden ON COLUMN information_schema.sql_features.feature_id
    IS 'name';
SELECT warden.label_column('people_view', 'ssn', 'ssn');
SELECT warden.label_column('people_email', 'email', 'email');
SELECT warden.label_column('numbers', 'last_value', 'secret');
SELECT warden.label_column('pg_catalog.pg_authid', 'rolname', 'name');
SECURITY LABEL FOR warden ON TABLE people IS 'ssn';
SECURITY LABEL FOR warden ON SCHEMA regress_labels IS 'ssn';
SECURITY LABEL FOR warden ON VIEW people_view IS 'ssn';
SECURITY LABEL FOR warden ON FUNCTION pg_catalog.now() IS 'agent';
SECURITY LABEL FOR warden ON DATABASE :DBNAME IS 'agent';

-- a mask whose output the column's domain would not accept is NULL, and said so:
-- a label that is refused when it is restored would leave the column clear
SECURITY LABEL FOR warden ON COLUMN constrained.ssn IS 'ssn';
-- but full fits every type
SECURITY LABEL FOR warden ON COLUMN constrained.ssn IS 'full';
-- the policy may not come to that afterwards
SECURITY LABEL FOR warden ON COLUMN constrained.email IS 'email';
SELECT warden.set_mask('email', 'const(''' || repeat('x', 100) || ''')');
SELECT warden.set_mask('email', 'const(''' || repeat('x', 100) || ''')',
    'regress_plain');

--
-- Columns: must work
--
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN people.note IS 'free_text, untrusted';
SECURITY LABEL FOR warden ON COLUMN people_copy.ssn IS 'ssn';
-- NULL suits every column: an outer join gives it as well
SECURITY LABEL FOR warden ON COLUMN constrained.pin IS 'secret';
-- a type that is not defined yet: a restore must not fail open, nor fail
SECURITY LABEL FOR warden ON COLUMN people.name IS 'nickname';
GRANT USAGE ON SCHEMA regress_labels TO regress_plain;
GRANT SELECT ON ALL TABLES IN SCHEMA regress_labels TO regress_plain;
SET ROLE regress_owner;
INSERT INTO people VALUES (1, 'Alice', 'alice@example.com', '078-05-4801',
    '1984-06-23', 'hello');
REFRESH MATERIALIZED VIEW people_copy;
RESET ROLE;
SECURITY LABEL FOR warden ON ROLE regress_plain IS 'masked';
SET ROLE regress_plain;
SELECT * FROM people;
RESET ROLE;
SELECT warden.define_type('nickname', 'name');
SET ROLE regress_plain;
SELECT * FROM people;
RESET ROLE;

-- the owner may add and tighten
SET ROLE regress_owner;
SECURITY LABEL FOR warden ON COLUMN people.email IS 'none';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email, untrusted';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'full, untrusted';
-- and not weaken, in any way
SECURITY LABEL FOR warden ON COLUMN people.email IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email, untrusted';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'none, untrusted';
SECURITY LABEL FOR warden ON COLUMN people.email IS NULL;
SELECT warden.label_column('people', 'email', NULL);
RESET ROLE;
-- nor with a type that shows less by default and more to somebody
SELECT warden.define_type('staff', 'null');
SELECT warden.set_mask('staff', 'clear', 'regress_plain');
SET ROLE regress_owner;
SECURITY LABEL FOR warden ON COLUMN people.email IS 'staff, untrusted';
RESET ROLE;
-- who owns neither the table nor the policy may do nothing
CREATE ROLE regress_stranger;
GRANT USAGE ON SCHEMA regress_labels TO regress_stranger;
GRANT ALL ON ALL TABLES IN SCHEMA regress_labels TO regress_stranger;
SET ROLE regress_stranger;
SECURITY LABEL FOR warden ON COLUMN people.born IS 'birth_date';
SELECT warden.label_column('people', 'born', 'birth_date');
RESET ROLE;
-- a member of warden_admin may all of it, owning nothing
GRANT USAGE ON SCHEMA regress_labels TO regress_warden;
SET ROLE regress_warden;
SELECT warden.label_column('regress_labels.people', 'email', 'email');
SELECT warden.label_column('regress_labels.people', 'email', NULL);
SELECT warden.label_column('regress_labels.people', 'email', 'email');
RESET ROLE;
-- a governed role may not, owner or not
ALTER TABLE people OWNER TO regress_plain;
SET ROLE regress_plain;
SECURITY LABEL FOR warden ON COLUMN people.born IS 'birth_date';
RESET ROLE;
ALTER TABLE people OWNER TO regress_owner;
SELECT objname, label FROM pg_seclabels
 WHERE provider = 'warden' AND objtype = 'column'
   AND objname LIKE 'regress_labels.%' OR objname LIKE 'people.%'
 ORDER BY objname COLLATE "C";

--
-- Tables that hang together
--

-- a stored generated column over a labelled one is labelled by itself
CREATE TABLE derived (id int, email text,
    domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED,
    twice text GENERATED ALWAYS AS (email || email) STORED);
INSERT INTO derived VALUES (1, 'alice@example.com');
SECURITY LABEL FOR warden ON COLUMN derived.email IS 'email';
GRANT SELECT ON derived TO regress_plain;
SET ROLE regress_plain;
SELECT email, domain, twice FROM derived;
RESET ROLE;

-- a label anywhere in a tree holds in all of it
CREATE TABLE tree (id int, ssn text) PARTITION BY RANGE (id);
CREATE TABLE tree_low PARTITION OF tree FOR VALUES FROM (0) TO (10);
CREATE TABLE tree_high PARTITION OF tree FOR VALUES FROM (10) TO (20)
    PARTITION BY LIST (id);
CREATE TABLE tree_ten PARTITION OF tree_high FOR VALUES IN (10);
INSERT INTO tree VALUES (1, '078-05-4801'), (10, '219-09-2210');
CREATE TABLE parent (id int, ssn text);
CREATE TABLE child (extra text) INHERITS (parent);
CREATE TABLE grandchild () INHERITS (child);
INSERT INTO parent VALUES (1, '078-05-4801');
INSERT INTO child VALUES (2, '219-09-2210', 'x');
INSERT INTO grandchild VALUES (3, '123-45-6789', 'y');
GRANT SELECT ON ALL TABLES IN SCHEMA regress_labels TO regress_plain;
SECURITY LABEL FOR warden ON COLUMN tree.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN child.ssn IS 'ssn';
SET ROLE regress_plain;
SELECT tableoid::regclass, * FROM tree ORDER BY id;
SELECT * FROM tree_low;
SELECT * FROM tree_high;
SELECT * FROM tree_ten;
SELECT tableoid::regclass, * FROM parent ORDER BY id;
SELECT * FROM ONLY parent;
SELECT * FROM child ORDER BY id;
SELECT * FROM grandchild;
RESET ROLE;

-- what is attached gets it, what is detached keeps it
CREATE TABLE tree_more (id int, ssn text);
INSERT INTO tree_more VALUES (25, '111-22-3333');
GRANT SELECT ON tree_more TO regress_plain;
ALTER TABLE tree ATTACH PARTITION tree_more FOR VALUES FROM (20) TO (30);
SET ROLE regress_plain;
SELECT * FROM tree_more;
SELECT * FROM tree WHERE id = 25;
RESET ROLE;
ALTER TABLE tree DETACH PARTITION tree_more;
ALTER TABLE tree DETACH PARTITION tree_low;
ALTER TABLE grandchild NO INHERIT child;
SET ROLE regress_plain;
SELECT * FROM tree_more;
SELECT * FROM tree_low;
SELECT * FROM grandchild;
RESET ROLE;

-- who owns a partition does not make the tree clear by a label of its own
CREATE TABLE lent (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE lent_1 PARTITION OF lent FOR VALUES IN (1);
CREATE TABLE lent_2 PARTITION OF lent FOR VALUES IN (2);
INSERT INTO lent VALUES (1, '078-05-4801'), (2, '219-09-2210');
SECURITY LABEL FOR warden ON COLUMN lent.ssn IS 'ssn';
ALTER TABLE lent_1 OWNER TO regress_owner;
GRANT USAGE ON SCHEMA regress_labels TO regress_owner;
GRANT SELECT ON lent, lent_1, lent_2 TO regress_plain;
SET ROLE regress_owner;
SECURITY LABEL FOR warden ON COLUMN lent_1.ssn IS 'staff';
SET ROLE regress_plain;
SELECT * FROM lent ORDER BY id;
SELECT * FROM lent_1;
SELECT * FROM lent_2;
RESET ROLE;
-- what both types show is shown
SELECT warden.set_mask('ssn', 'clear', 'regress_plain');
SET ROLE regress_plain;
SELECT * FROM lent ORDER BY id;
RESET ROLE;
DELETE FROM warden.mask_rules WHERE role = 'regress_plain'::regrole;

-- a label outlives the relation, the column or the expression that it came
-- through, whatever of its tree stays
CREATE TABLE parts (id int, ssn text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (2);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2) TO (3);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (3) TO (4);
INSERT INTO parts VALUES (1, '078-05-4801'), (2, '111-22-2210'), (3, '222-33-4444');
GRANT SELECT ON parts TO regress_plain;
SECURITY LABEL FOR warden ON COLUMN parts_1.ssn IS 'ssn, untrusted';
ALTER TABLE parts DETACH PARTITION parts_1;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%parts%' ORDER BY 1;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM (1) TO (2);
SELECT warden.label_column('parts', 'ssn', NULL);
DROP TABLE parts_1;
SET ROLE regress_plain;
SELECT * FROM parts;
RESET ROLE;
-- 'none' is no label that hides
SECURITY LABEL FOR warden ON COLUMN parts_2.ssn IS 'none';
ALTER TABLE parts DETACH PARTITION parts_2;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%parts%' ORDER BY 1;
-- partitions that go with their root leave nothing
DROP TABLE parts, parts_2;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%parts%' ORDER BY 1;
CREATE TABLE top (id int, ssn text, code text);
CREATE TABLE inherits () INHERITS (top);
CREATE TABLE repeats (code text) INHERITS (top);
INSERT INTO inherits VALUES (1, '078-05-4801', 'a');
INSERT INTO repeats VALUES (2, '111-22-2210', 'b');
GRANT SELECT ON inherits, repeats TO regress_plain;
SECURITY LABEL FOR warden ON COLUMN top.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN top.code IS 'full';
ALTER TABLE ONLY top DROP COLUMN ssn;
ALTER TABLE top DROP COLUMN code;
SET ROLE regress_plain;
SELECT * FROM inherits;
SELECT * FROM repeats;
RESET ROLE;
-- by two ways to the same one
CREATE TABLE first (id int);
CREATE TABLE second (no int);
CREATE TABLE both_1 (ssn text) INHERITS (first, second);
CREATE TABLE both_2 (ssn text) INHERITS (first, second);
SECURITY LABEL FOR warden ON COLUMN both_1.ssn IS 'ssn';
ALTER TABLE both_1 DROP COLUMN ssn;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%both%' ORDER BY 1;
DROP TABLE first, second CASCADE;
-- nor is it replaced by one that shows more, by default or to a role
SELECT warden.define_type('shown', 'clear');
SELECT warden.define_type('shown_but', 'clear');
SELECT warden.set_mask('shown_but', 'full', 'regress_plain');
CREATE TABLE mixed (id int, ssn text, code text) PARTITION BY LIST (id);
CREATE TABLE mixed_1 PARTITION OF mixed FOR VALUES IN (1);
INSERT INTO mixed VALUES (1, '078-05-4801', 'a');
GRANT SELECT ON mixed_1 TO regress_plain;
SECURITY LABEL FOR warden ON COLUMN mixed.ssn IS 'ssn, untrusted';
SECURITY LABEL FOR warden ON COLUMN mixed_1.ssn IS 'shown';
SECURITY LABEL FOR warden ON COLUMN mixed.code IS 'shown_but';
SECURITY LABEL FOR warden ON COLUMN mixed_1.code IS 'none';
SELECT warden.column_label('mixed_1'::regclass, 3::int2);
ALTER TABLE mixed DETACH PARTITION mixed_1;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%mixed%' ORDER BY 1, 2;
SET ROLE regress_plain;
SELECT * FROM mixed_1;
RESET ROLE;
DROP TABLE mixed, mixed_1;
DELETE FROM warden.mask_rules WHERE semantic_type = 'shown_but';
DELETE FROM warden.semantic_types WHERE name LIKE 'shown%';
CREATE TABLE computed (ssn text, area text GENERATED ALWAYS AS (left(ssn, 3)) STORED,
    size int GENERATED ALWAYS AS (1) STORED);
INSERT INTO computed VALUES ('078-05-4801');
GRANT SELECT ON computed TO regress_plain;
SECURITY LABEL FOR warden ON COLUMN computed.ssn IS 'ssn';
ALTER TABLE computed ALTER area DROP EXPRESSION, ALTER size DROP EXPRESSION,
    DROP COLUMN ssn;
SET ROLE regress_plain;
SELECT * FROM computed;
RESET ROLE;

-- a renamed, moved or retyped column keeps its label; a new one of the same
-- name has none, and the label of a dropped one is gone
CREATE SCHEMA regress_elsewhere;
ALTER TABLE derived RENAME COLUMN email TO address;
ALTER TABLE derived DROP COLUMN domain, DROP COLUMN twice;
ALTER TABLE derived ADD COLUMN email text DEFAULT 'new';
ALTER TABLE derived ALTER COLUMN address TYPE varchar(8)
    USING left(address, 8);
ALTER TABLE derived RENAME TO moved;
ALTER TABLE moved SET SCHEMA regress_elsewhere;
GRANT USAGE ON SCHEMA regress_elsewhere TO regress_plain;
SET ROLE regress_plain;
SELECT address, email FROM regress_elsewhere.moved;
RESET ROLE;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%moved%';
ALTER TABLE regress_elsewhere.moved DROP COLUMN address;
SELECT objname, label FROM pg_seclabels WHERE objname LIKE '%moved%';
ALTER TABLE regress_elsewhere.moved ADD COLUMN address text DEFAULT 'new';
SET ROLE regress_plain;
SELECT email, address FROM regress_elsewhere.moved;
RESET ROLE;

-- every labelling by statement or function is in the trail, once
SELECT warden.flush_audit();
SELECT db_role, detail, count(*) FROM warden.audit_events
 WHERE id > :first AND kind = 'action' AND outcome = 'label'
   AND (detail LIKE 'role regress_plain %' OR detail LIKE '%born%'
        OR detail LIKE 'column email of table people IS NULL'
        OR detail LIKE '%information_schema%')
 GROUP BY 1, 2 ORDER BY min(id);

\set VERBOSITY terse
DROP SCHEMA regress_labels, regress_elsewhere CASCADE;
DELETE FROM warden.semantic_types WHERE name IN ('nickname', 'staff');
SECURITY LABEL FOR warden ON ROLE regress_plain IS NULL;
DROP ROLE regress_plain, regress_owner, regress_warden, regress_stranger;
