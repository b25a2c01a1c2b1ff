-- What administrators look at: coverage, suggestions, an agent's view.
SET client_min_messages = warning;
SET search_path = pg_catalog;
CREATE ROLE regress_rep_agent LOGIN;
CREATE ROLE regress_rep_nobody;
CREATE SCHEMA rep;
CREATE TABLE rep.person (id int PRIMARY KEY, ssn text UNIQUE, email text, area text GENERATED ALWAYS AS (left(ssn, 3)) STORED, note text CHECK (note <> ''));
INSERT INTO rep.person (id, ssn, email, note) VALUES (1, '078-05-4801', 'alice@example.com', 'x'), (2, '111-22-2210', 'mallory@example.com', 'y');
CREATE TABLE rep.boxed (id int, p rep.person, ps rep.person[]);
CREATE VIEW rep.person_view AS SELECT id, ssn FROM rep.person;
CREATE VIEW rep.view_on_view AS SELECT ssn FROM rep.person_view;
CREATE MATERIALIZED VIEW rep.copied AS SELECT id, ssn FROM rep.person;
CREATE MATERIALIZED VIEW rep.chosen AS SELECT id FROM rep.person WHERE ssn LIKE '0%';
CREATE INDEX person_left ON rep.person (left(ssn, 3));
CREATE STATISTICS rep.person_stats ON ssn, email FROM rep.person;
CREATE FUNCTION rep.atomic(int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT ssn FROM rep.person WHERE id = $1; END;
CREATE FUNCTION rep.textual(int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN RETURN (SELECT ssn FROM rep.person WHERE id = $1); END$$;
CREATE FUNCTION rep.trigger_function() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER watch BEFORE UPDATE ON rep.person FOR EACH ROW EXECUTE FUNCTION rep.trigger_function();
CREATE POLICY own ON rep.person USING (ssn IS NOT NULL);
CREATE TABLE rep.plain (id int, phone text, contact text, "odd "" name" text, harmless text);
INSERT INTO rep.plain SELECT i, '555-0' || i, 'user' || i || '@example.org', '123-45-' || (6000 + i), 'word' FROM generate_series(100, 120) i;
GRANT USAGE ON SCHEMA rep TO regress_rep_agent;
GRANT SELECT ON ALL TABLES IN SCHEMA rep TO regress_rep_agent;
SECURITY LABEL FOR warden ON COLUMN rep.person.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN rep.person.email IS 'email, untrusted';

-- not for everyone
SET ROLE regress_rep_nobody;
SELECT * FROM warden.coverage();
SELECT * FROM warden.suggest_labels();
SELECT * FROM warden.see_as('regress-rep', 'SELECT 1');
RESET ROLE;

SELECT * FROM warden.coverage() WHERE object LIKE '%rep.%' ORDER BY kind COLLATE "C", object COLLATE "C", "column", detail COLLATE "C";
-- labels of a tree that differ: the stricter one holds, and is shown
CREATE TABLE rep.tree (id int, ssn text) PARTITION BY LIST (id);
CREATE TABLE rep.branch PARTITION OF rep.tree FOR VALUES IN (1);
SECURITY LABEL FOR warden ON COLUMN rep.tree.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN rep.branch.ssn IS 'full';
SELECT kind, object, label, detail FROM warden.coverage() WHERE object IN ('rep.tree', 'rep.branch') ORDER BY object COLLATE "C";
SECURITY LABEL FOR warden ON COLUMN rep.branch.ssn IS NULL;
SELECT * FROM warden.suggest_labels() WHERE relation::text LIKE 'rep.%' ORDER BY relation::text COLLATE "C", "column";
-- what cannot be read is left out, and what is labelled through its tree
CREATE MATERIALIZED VIEW rep.unfilled AS SELECT contact, 'x'::text AS mail_to FROM rep.plain WITH NO DATA;
CREATE FOREIGN DATA WRAPPER rep_wrapper;
CREATE SERVER rep_server FOREIGN DATA WRAPPER rep_wrapper;
CREATE FOREIGN TABLE rep.unreachable (word text, phone text) SERVER rep_server;
CREATE TABLE rep.root (id int, ssn text) PARTITION BY RANGE (id);
CREATE TABLE rep.leaf PARTITION OF rep.root FOR VALUES FROM (0) TO (10);
CREATE TABLE rep.base (email text);
CREATE TABLE rep.derived () INHERITS (rep.base);
SECURITY LABEL FOR warden ON COLUMN rep.root.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN rep.derived.email IS 'email';
SELECT * FROM warden.suggest_labels() WHERE relation::text LIKE 'rep.%' AND relation <> 'rep.plain'::regclass ORDER BY relation::text COLLATE "C", "column";
DROP FOREIGN DATA WRAPPER rep_wrapper CASCADE;
-- what hangs on a part of a labelled tree is covered as what hangs on its root
CREATE INDEX ON rep.root (ssn);
CREATE INDEX leaf_left ON rep.leaf (left(ssn, 3));
CREATE STATISTICS rep.leaf_stats ON (left(ssn, 3)) FROM rep.leaf;
CREATE TRIGGER watch AFTER UPDATE ON rep.root FOR EACH ROW EXECUTE FUNCTION rep.trigger_function();
CREATE TRIGGER watch_leaf BEFORE UPDATE ON rep.leaf FOR EACH ROW EXECUTE FUNCTION rep.trigger_function();
CREATE VIEW rep.leaf_view AS SELECT ssn FROM rep.leaf;
ALTER TABLE rep.leaf ADD CONSTRAINT leaf_check CHECK (ssn <> '');
SET client_min_messages = error;
CREATE PUBLICATION regress_rep_leaf FOR TABLE rep.leaf;
CREATE PUBLICATION regress_rep_ids FOR TABLE rep.leaf (id);
CREATE PUBLICATION regress_rep_schema FOR TABLES IN SCHEMA rep;
SET client_min_messages = warning;
SELECT * FROM warden.coverage() WHERE concat(object, detail) ~ 'root|leaf' ORDER BY kind COLLATE "C", object COLLATE "C", "column", detail COLLATE "C";
DROP PUBLICATION regress_rep_leaf, regress_rep_ids, regress_rep_schema;
-- a policy's function does not run for an administrator who looks for data
CREATE ROLE regress_rep_admin IN ROLE warden_admin;
GRANT USAGE ON SCHEMA rep TO regress_rep_admin;
CREATE FUNCTION rep.sprung() RETURNS boolean LANGUAGE plpgsql STABLE AS $$BEGIN RAISE WARNING 'run by %', current_user; RETURN true; END$$;
CREATE TABLE rep.trap (phone text, contact text);
INSERT INTO rep.trap SELECT phone, contact FROM rep.plain;
ALTER TABLE rep.trap OWNER TO regress_rep_nobody;
ALTER TABLE rep.trap ENABLE ROW LEVEL SECURITY;
CREATE POLICY trap ON rep.trap USING (rep.sprung());
GRANT SELECT ON rep.trap TO regress_rep_admin;
SET ROLE regress_rep_admin;
SELECT * FROM warden.suggest_labels() WHERE relation::text = 'rep.trap';
RESET ROLE;
DROP TABLE rep.trap;
DROP OWNED BY regress_rep_admin;
DROP ROLE regress_rep_admin;

-- as the agent would see it
SELECT * FROM warden.see_as('regress-rep', 'SELECT 1');
SELECT warden.create_agent('regress-rep', 'regress_rep_agent');
SELECT * FROM warden.see_as('regress-rep', 'SELECT id, ssn, email, area FROM rep.person ORDER BY id');
SELECT * FROM warden.see_as('regress-rep', 'SELECT current_user::text AS me, NULL AS nothing');
SELECT * FROM warden.see_as('regress-rep', 'SELECT id FROM rep.person WHERE ssn LIKE ''078%''');
GRANT SELECT ON rep.leaf TO regress_rep_agent;
SELECT * FROM warden.see_as('regress-rep', 'EXPLAIN (COSTS OFF) SELECT id FROM rep.leaf WHERE ssn LIKE ''078%''');
SELECT * FROM warden.see_as('regress-rep', 'EXPLAIN ANALYZE DELETE FROM rep.leaf');
SELECT * FROM warden.see_as('regress-rep', 'UPDATE rep.person SET note = ''z''');
SELECT * FROM warden.see_as('regress-rep', 'SELECT 1; SELECT 2');
SELECT * FROM warden.see_as('regress-rep', 'SELECT pg_read_file(''PG_VERSION'')');
SELECT * FROM warden.see_as('regress-rep', 'SELECT * FROM rep.copied');
SELECT * FROM warden.see_as('regress-rep', 'SELECT * FROM rep.chosen');
SELECT * FROM warden.see_as('regress-rep', 'SELECT * FROM warden.tokens');
-- and nothing of it stays
SELECT current_user = session_user AS myself, ssn FROM rep.person ORDER BY id;

-- copies become readable once their columns are labelled
SECURITY LABEL FOR warden ON COLUMN rep.copied.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN rep.chosen.id IS 'none';
SET ROLE regress_rep_agent;
SELECT * FROM rep.copied ORDER BY id;
SELECT * FROM rep.chosen;
RESET ROLE;

-- a copy of what a view showed when it was made stays one when the view changes
CREATE VIEW rep.shown AS SELECT id, ssn FROM rep.person_view;
CREATE MATERIALIZED VIEW rep.kept AS SELECT id, ssn, 1 AS one FROM rep.shown;
CREATE OR REPLACE VIEW rep.shown AS SELECT id, 'x'::text AS ssn FROM rep.person_view;
GRANT SELECT ON rep.kept TO regress_rep_agent;
SET ROLE regress_rep_agent;
SELECT * FROM rep.kept;
RESET ROLE;

DELETE FROM warden.agents WHERE agent = 'regress-rep';
DROP SCHEMA rep CASCADE;
SECURITY LABEL FOR warden ON ROLE regress_rep_agent IS NULL;
REVOKE regress_rep_agent FROM warden_gateway;
DROP ROLE regress_rep_agent, regress_rep_nobody;
