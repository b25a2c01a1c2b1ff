-- What becomes of each kind of statement: run, diverted or refused. There is
-- a row for every statement node of the running server, so a new one in a
-- later PostgreSQL fails this test until somebody has thought about it.
SET client_min_messages = warning;
\set superuser :USER

CREATE ROLE regress_gate_agent LOGIN;
CREATE ROLE regress_gate_other;
CREATE SCHEMA regress_gate;
GRANT USAGE, CREATE ON SCHEMA regress_gate TO regress_gate_agent;
SET search_path = regress_gate;
CREATE TABLE t (id int PRIMARY KEY, a text, b text);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);
CREATE TABLE loose (id int);
CREATE INDEX t_a ON t (a);
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
CREATE SEQUENCE s;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN END';
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
CREATE TYPE e AS ENUM ('x');
CREATE TYPE c AS (x int);
CREATE DOMAIN d AS int;
CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING;
CREATE POLICY po ON t;
CREATE STATISTICS st ON a, b FROM t;
GRANT ALL ON ALL TABLES IN SCHEMA regress_gate TO regress_gate_agent;

-- node: without "Stmt"; kind: what is done to what, where that decides.
CREATE TABLE cases (ordinal int GENERATED ALWAYS AS IDENTITY, node text,
    outcome text, statement text UNIQUE);
GRANT SELECT ON cases TO regress_gate_agent;
INSERT INTO cases (node, outcome, statement) VALUES
-- read
('Select', 'run', 'SELECT count(*) FROM t'),
('Select', 'run', 'TABLE t'),
('Select', 'run', 'VALUES (1)'),
('Select', 'run', 'WITH w AS (SELECT 1 AS x) SELECT x FROM w'),
('Select', 'refused', 'SELECT id FROM t FOR UPDATE'),
('Select', 'refused', 'SELECT id FROM t FOR NO KEY UPDATE'),
('Select', 'refused', 'SELECT id FROM t FOR SHARE'),
('Select', 'refused', 'SELECT id FROM t FOR KEY SHARE SKIP LOCKED'),
('Select', 'refused', 'SELECT x FROM (SELECT id AS x FROM t FOR UPDATE) q'),
('Explain', 'run', 'EXPLAIN (COSTS OFF) SELECT 1'),
('Explain', 'run', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1'),
('Explain', 'run', 'EXPLAIN (COSTS OFF) DELETE FROM t'),
('Explain', 'run', 'EXPLAIN (COSTS OFF) CREATE TABLE n AS SELECT 1'),
('Explain', 'refused', 'EXPLAIN ANALYZE DELETE FROM t'),
('Explain', 'refused', 'EXPLAIN ANALYZE CREATE TABLE n AS SELECT 1'),
('Explain', 'refused', 'EXPLAIN (ANALYZE) WITH x AS (DELETE FROM t RETURNING 1) SELECT 1'),
('VariableShow', 'run', 'SHOW search_path'),
('Transaction', 'run', 'BEGIN'),
('Transaction', 'run', 'SAVEPOINT sp'),
('Transaction', 'run', 'ROLLBACK TO sp'),
('Transaction', 'run', 'RELEASE sp'),
('DeclareCursor', 'run', 'DECLARE cu CURSOR FOR SELECT 1'),
('Fetch', 'run', 'FETCH cu'),
('Fetch', 'run', 'MOVE cu'),
('ClosePortal', 'run', 'CLOSE cu'),
('Transaction', 'run', 'COMMIT'),
('Transaction', 'run', 'START TRANSACTION READ ONLY'),
('Transaction', 'run', 'ROLLBACK'),
('Prepare', 'run', 'PREPARE ps AS SELECT 1'),
('Execute', 'run', 'EXECUTE ps'),
('Deallocate', 'run', 'DEALLOCATE ps'),
('Execute', 'diverted', 'EXECUTE pw'),
('Explain', 'refused', 'EXPLAIN ANALYZE EXECUTE pw'),
('CreateTableAs', 'refused', 'CREATE TABLE n AS EXECUTE pw'),
('Deallocate', 'run', 'DEALLOCATE ALL'),
('Copy', 'run', 'COPY t TO STDOUT'),
('Copy', 'run', 'COPY (SELECT 1) TO STDOUT'),
('Copy', 'refused', 'COPY t FROM ''/dev/null'''),
('Copy', 'refused', 'COPY t TO ''/dev/null'''),
('Copy', 'refused', 'COPY t TO PROGRAM ''cat'''),
('Copy', 'refused', 'COPY t FROM PROGRAM ''true'''),
('Copy', 'refused', 'COPY (DELETE FROM t RETURNING id) TO STDOUT'),
('Do', 'run', 'DO ''BEGIN PERFORM 1; END'''),
('Do', 'refused', 'DO ''BEGIN DELETE FROM regress_gate.t; END'''),
('Do', 'refused', 'DO ''BEGIN CREATE TABLE n (); END'''),
('Do', 'refused', 'DO LANGUAGE missing '''''),
('Call', 'run', 'CALL p()'),
-- settings: more of them below
('VariableSet', 'run', 'SET search_path = regress_gate'),
('VariableSet', 'run', 'SET TRANSACTION READ ONLY'),
('VariableSet', 'refused', 'SET work_mem = ''1GB'''),
('VariableSet', 'refused', 'SET ROLE regress_gate_other'),
('Discard', 'refused', 'DISCARD ALL'),
('Discard', 'refused', 'DISCARD PLANS'),
('Discard', 'refused', 'DISCARD TEMP'),
('Discard', 'refused', 'DISCARD SEQUENCES'),
-- writes
('Insert', 'diverted', 'INSERT INTO t VALUES (1)'),
('Insert', 'diverted', 'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING'),
('Update', 'diverted', 'UPDATE t SET a = b WHERE id = 1'),
('Delete', 'diverted', 'DELETE FROM t WHERE id = 1'),
('Merge', 'diverted', 'MERGE INTO t USING loose l ON t.id = l.id WHEN MATCHED THEN DELETE'),
('Select', 'diverted', 'WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x'),
('Truncate', 'diverted', 'TRUNCATE t'),
('CreateTableAs', 'diverted', 'CREATE TABLE n AS SELECT 1 AS x'),
('CreateTableAs', 'diverted', 'SELECT 1 AS x INTO n'),
('CreateTableAs', 'diverted', 'CREATE MATERIALIZED VIEW n AS SELECT 1 AS x'),
-- ordinary DDL
('Create', 'diverted', 'CREATE TABLE n (id int)'),
('Create', 'diverted', 'CREATE UNLOGGED TABLE n (id int)'),
('Create', 'diverted', 'CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (19)'),
('Create', 'refused', 'CREATE TEMP TABLE n (id int)'),
('Create', 'refused', 'CREATE TABLE pg_temp.n (id int)'),
('CreateTableAs', 'refused', 'CREATE TEMP TABLE n AS SELECT 1 AS x'),
('CreateTableAs', 'refused', 'SELECT 1 AS x INTO TEMP n'),
('View', 'diverted', 'CREATE VIEW n AS SELECT 1 AS x'),
('View', 'diverted', 'CREATE OR REPLACE VIEW v AS SELECT * FROM t'),
('View', 'refused', 'CREATE TEMP VIEW n AS SELECT 1 AS x'),
('CreateSeq', 'diverted', 'CREATE SEQUENCE n'),
('CreateSeq', 'refused', 'CREATE TEMP SEQUENCE n'),
('AlterSeq', 'diverted', 'ALTER SEQUENCE s RESTART'),
('AlterTable', 'diverted', 'ALTER TABLE t ADD COLUMN n int'),
('AlterTable', 'refused', 'ALTER TABLE t OWNER TO regress_gate_agent'),
('AlterTable', 'refused', 'ALTER TABLE t SET TABLESPACE pg_default'),
('AlterTable', 'refused', 'ALTER VIEW v OWNER TO regress_gate_agent'),
('AlterTableMoveAll', 'refused', 'ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE pg_default'),
('Index', 'diverted', 'CREATE INDEX n ON t (b)'),
('Index', 'diverted', 'CREATE UNIQUE INDEX CONCURRENTLY n ON t (b)'),
('Drop', 'diverted', 'DROP TABLE t'),
('Drop', 'diverted', 'DROP VIEW v'),
('Drop', 'diverted', 'DROP MATERIALIZED VIEW m'),
('Drop', 'diverted', 'DROP INDEX t_a'),
('Drop', 'diverted', 'DROP SEQUENCE s'),
('Drop', 'diverted', 'DROP FUNCTION f()'),
('Drop', 'diverted', 'DROP PROCEDURE p()'),
('Drop', 'diverted', 'DROP TYPE e'),
('Drop', 'diverted', 'DROP DOMAIN d'),
('Drop', 'diverted', 'DROP RULE r ON v'),
('Drop', 'diverted', 'DROP POLICY po ON t'),
('Drop', 'diverted', 'DROP STATISTICS st'),
('Drop', 'diverted', 'DROP SCHEMA regress_gate CASCADE'),
('Drop', 'refused', 'DROP EXTENSION pg_warden'),
('Drop', 'refused', 'DROP LANGUAGE plpgsql'),
('Drop', 'refused', 'DROP EVENT TRIGGER IF EXISTS n'),
('Drop', 'refused', 'DROP SERVER IF EXISTS n'),
('Drop', 'refused', 'DROP FOREIGN DATA WRAPPER IF EXISTS n'),
('Drop', 'refused', 'DROP PUBLICATION IF EXISTS n'),
('Drop', 'refused', 'DROP ACCESS METHOD heap'),
('Drop', 'refused', 'DROP TRANSFORM IF EXISTS FOR int LANGUAGE plpgsql'),
('Drop', 'refused', 'DROP SCHEMA warden CASCADE'),
('Drop', 'refused', 'DROP TABLE warden.audit_events'),
('Rename', 'diverted', 'ALTER TABLE t RENAME TO n'),
('Rename', 'diverted', 'ALTER TABLE t RENAME COLUMN a TO n'),
('Rename', 'diverted', 'ALTER FUNCTION f() RENAME TO n'),
('Rename', 'refused', 'ALTER ROLE regress_gate_other RENAME TO n'),
('Rename', 'refused', 'ALTER DATABASE template1 RENAME TO n'),
('Rename', 'refused', 'ALTER TABLESPACE pg_default RENAME TO n'),
('Rename', 'refused', 'ALTER TABLE warden.agents RENAME TO n'),
('AlterObjectSchema', 'diverted', 'ALTER TABLE t SET SCHEMA regress_gate'),
('AlterObjectSchema', 'refused', 'ALTER TABLE t SET SCHEMA warden'),
('AlterObjectSchema', 'refused', 'ALTER TABLE warden.agents SET SCHEMA regress_gate'),
('AlterObjectSchema', 'refused', 'ALTER EXTENSION pg_warden SET SCHEMA regress_gate'),
('Comment', 'diverted', 'COMMENT ON TABLE t IS ''n'''),
('Comment', 'diverted', 'COMMENT ON COLUMN t.a IS ''n'''),
('Comment', 'diverted', 'COMMENT ON FUNCTION f() IS ''n'''),
('Comment', 'refused', 'COMMENT ON ROLE regress_gate_other IS ''n'''),
('Comment', 'refused', 'COMMENT ON DATABASE template1 IS ''n'''),
('Comment', 'refused', 'COMMENT ON EXTENSION pg_warden IS ''n'''),
('Comment', 'refused', 'COMMENT ON TABLE warden.agents IS ''n'''),
('CreateSchema', 'diverted', 'CREATE SCHEMA n'),
('CreateSchema', 'refused', 'CREATE SCHEMA n CREATE TABLE o (id int)'),
('CreateSchema', 'refused', 'CREATE SCHEMA n AUTHORIZATION regress_gate_agent'),
('CreateSchema', 'refused', 'CREATE SCHEMA n GRANT SELECT ON o TO PUBLIC'),
('CreateFunction', 'diverted', 'CREATE FUNCTION n() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
('CreateFunction', 'diverted', 'CREATE PROCEDURE n() LANGUAGE plpgsql AS ''BEGIN END'''),
('CreateFunction', 'refused', 'CREATE FUNCTION n() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1'''),
('CreateFunction', 'refused', 'CREATE FUNCTION n() RETURNS int LANGUAGE c AS ''pg_warden'''),
('CreateFunction', 'refused', 'CREATE FUNCTION n() RETURNS int LANGUAGE internal AS ''pg_backend_pid'''),
('CreateFunction', 'refused', 'CREATE FUNCTION n() RETURNS int LANGUAGE sql LEAKPROOF AS ''SELECT 1'''),
('CreateFunction', 'refused', 'CREATE FUNCTION n() RETURNS int LANGUAGE sql SET role = regress_gate_other AS ''SELECT 1'''),
('CreateFunction', 'refused', 'CREATE FUNCTION warden.n() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
('AlterFunction', 'diverted', 'ALTER FUNCTION f() STABLE'),
('AlterFunction', 'refused', 'ALTER FUNCTION f() SECURITY DEFINER'),
('AlterFunction', 'refused', 'ALTER FUNCTION f() SET work_mem = ''1GB'''),
('CreateTrig', 'diverted', 'CREATE TRIGGER n BEFORE INSERT ON t EXECUTE FUNCTION tf()'),
('Rule', 'diverted', 'CREATE RULE n AS ON DELETE TO t DO INSTEAD NOTHING'),
('CreatePolicy', 'diverted', 'CREATE POLICY n ON t'),
('AlterPolicy', 'diverted', 'ALTER POLICY po ON t USING (true)'),
('CreateEnum', 'diverted', 'CREATE TYPE n AS ENUM (''x'')'),
('AlterEnum', 'diverted', 'ALTER TYPE e ADD VALUE ''y'''),
('CreateRange', 'diverted', 'CREATE TYPE n AS RANGE (subtype = int)'),
('CompositeType', 'diverted', 'CREATE TYPE n AS (x int)'),
('CreateDomain', 'diverted', 'CREATE DOMAIN n AS int'),
('AlterDomain', 'diverted', 'ALTER DOMAIN d SET NOT NULL'),
('CreateCast', 'diverted', 'CREATE CAST (c AS d) WITH INOUT'),
('Define', 'diverted', 'CREATE AGGREGATE n (int) (SFUNC = int4pl, STYPE = int)'),
('Define', 'diverted', 'CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)'),
('Define', 'diverted', 'CREATE COLLATION n FROM "C"'),
('Define', 'diverted', 'CREATE TEXT SEARCH CONFIGURATION n (COPY = simple)'),
('Define', 'diverted', 'CREATE TEXT SEARCH DICTIONARY n (TEMPLATE = simple)'),
('Define', 'refused', 'CREATE TYPE n'),
('Define', 'refused', 'CREATE TYPE n (INPUT = int4in, OUTPUT = int4out)'),
('Define', 'refused', 'CREATE TEXT SEARCH PARSER n (START = x, GETTOKEN = x, END = x, LEXTYPES = x)'),
('Define', 'refused', 'CREATE TEXT SEARCH TEMPLATE n (LEXIZE = x)'),
('CreateStats', 'diverted', 'CREATE STATISTICS n ON a, b FROM t'),
('AlterStats', 'diverted', 'ALTER STATISTICS st SET STATISTICS 10'),
-- maintenance
('Vacuum', 'diverted', 'VACUUM t'),
('Vacuum', 'diverted', 'ANALYZE t'),
('Cluster', 'diverted', 'CLUSTER t USING t_a'),
('Reindex', 'diverted', 'REINDEX TABLE t'),
('Reindex', 'refused', 'REINDEX SYSTEM template1'),
('RefreshMatView', 'diverted', 'REFRESH MATERIALIZED VIEW m'),
-- not for agents
('Grant', 'refused', 'GRANT SELECT ON t TO PUBLIC'),
('Grant', 'refused', 'REVOKE SELECT ON t FROM PUBLIC'),
('GrantRole', 'refused', 'GRANT regress_gate_other TO regress_gate_agent'),
('GrantRole', 'refused', 'REVOKE regress_gate_other FROM regress_gate_agent'),
('AlterDefaultPrivileges', 'refused', 'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC'),
('AlterOwner', 'refused', 'ALTER FUNCTION f() OWNER TO regress_gate_agent'),
('AlterOwner', 'refused', 'ALTER SCHEMA regress_gate OWNER TO regress_gate_agent'),
('CreateRole', 'refused', 'CREATE ROLE n'),
('CreateRole', 'refused', 'CREATE USER n'),
('AlterRole', 'refused', 'ALTER ROLE regress_gate_agent PASSWORD ''n'''),
('AlterRole', 'refused', 'ALTER GROUP regress_gate_other ADD USER regress_gate_agent'),
('AlterRoleSet', 'refused', 'ALTER ROLE regress_gate_agent SET work_mem = ''1GB'''),
('AlterRoleSet', 'refused', 'ALTER ROLE regress_gate_agent RESET ALL'),
('DropRole', 'refused', 'DROP ROLE regress_gate_other'),
('DropOwned', 'refused', 'DROP OWNED BY regress_gate_agent'),
('ReassignOwned', 'refused', 'REASSIGN OWNED BY regress_gate_other TO regress_gate_agent'),
('Createdb', 'refused', 'CREATE DATABASE n'),
('AlterDatabase', 'refused', 'ALTER DATABASE template1 CONNECTION LIMIT 1'),
('AlterDatabaseSet', 'refused', 'ALTER DATABASE template1 SET work_mem = ''1GB'''),
('AlterDatabaseRefreshColl', 'refused', 'ALTER DATABASE template1 REFRESH COLLATION VERSION'),
('Dropdb', 'refused', 'DROP DATABASE template1'),
('CreateTableSpace', 'refused', 'CREATE TABLESPACE n LOCATION ''/tmp'''),
('AlterTableSpaceOptions', 'refused', 'ALTER TABLESPACE pg_default SET (seq_page_cost = 1)'),
('DropTableSpace', 'refused', 'DROP TABLESPACE n'),
('AlterSystem', 'refused', 'ALTER SYSTEM SET work_mem = ''1GB'''),
('AlterSystem', 'refused', 'ALTER SYSTEM RESET ALL'),
('CreateExtension', 'refused', 'CREATE EXTENSION dblink'),
('AlterExtension', 'refused', 'ALTER EXTENSION pg_warden UPDATE'),
('AlterExtensionContents', 'refused', 'ALTER EXTENSION pg_warden DROP TABLE warden.agents'),
('CreatePLang', 'refused', 'CREATE LANGUAGE n HANDLER plpgsql_call_handler'),
('CreateEventTrig', 'refused', 'CREATE EVENT TRIGGER n ON ddl_command_start EXECUTE FUNCTION ef()'),
('AlterEventTrig', 'refused', 'ALTER EVENT TRIGGER n DISABLE'),
('CreatePublication', 'refused', 'CREATE PUBLICATION n FOR TABLE t'),
('AlterPublication', 'refused', 'ALTER PUBLICATION n ADD TABLE t'),
('CreateSubscription', 'refused', 'CREATE SUBSCRIPTION n CONNECTION '''' PUBLICATION n WITH (connect = false)'),
('AlterSubscription', 'refused', 'ALTER SUBSCRIPTION n DISABLE'),
('DropSubscription', 'refused', 'DROP SUBSCRIPTION n'),
('CreateFdw', 'refused', 'CREATE FOREIGN DATA WRAPPER n'),
('AlterFdw', 'refused', 'ALTER FOREIGN DATA WRAPPER n NO HANDLER'),
('CreateForeignServer', 'refused', 'CREATE SERVER n FOREIGN DATA WRAPPER n'),
('AlterForeignServer', 'refused', 'ALTER SERVER n VERSION ''1'''),
('CreateForeignTable', 'refused', 'CREATE FOREIGN TABLE n (x int) SERVER n'),
('ImportForeignSchema', 'refused', 'IMPORT FOREIGN SCHEMA n FROM SERVER n INTO regress_gate'),
('CreateUserMapping', 'refused', 'CREATE USER MAPPING FOR regress_gate_agent SERVER n'),
('AlterUserMapping', 'refused', 'ALTER USER MAPPING FOR regress_gate_agent SERVER n OPTIONS (x ''1'')'),
('DropUserMapping', 'refused', 'DROP USER MAPPING FOR regress_gate_agent SERVER n'),
('SecLabel', 'refused', 'SECURITY LABEL FOR warden ON COLUMN t.a IS NULL'),
('SecLabel', 'refused', 'SECURITY LABEL FOR warden ON ROLE regress_gate_agent IS NULL'),
('Lock', 'refused', 'LOCK TABLE t IN ACCESS SHARE MODE'),
('Notify', 'refused', 'NOTIFY warden_changes'),
('Listen', 'refused', 'LISTEN warden_changes'),
('Unlisten', 'refused', 'UNLISTEN *'),
('Load', 'refused', 'LOAD ''auto_explain'''),
('CheckPoint', 'refused', 'CHECKPOINT'),
('Transaction', 'refused', 'PREPARE TRANSACTION ''n'''),
('Transaction', 'refused', 'COMMIT PREPARED ''n'''),
('Transaction', 'refused', 'ROLLBACK PREPARED ''n'''),
('ConstraintsSet', 'refused', 'SET CONSTRAINTS ALL DEFERRED'),
('CreateAm', 'refused', 'CREATE ACCESS METHOD n TYPE TABLE HANDLER heap_tableam_handler'),
('CreateConversion', 'refused', 'CREATE CONVERSION n FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8'),
('CreateTransform', 'refused', 'CREATE TRANSFORM FOR int LANGUAGE plpgsql (FROM SQL WITH FUNCTION f())'),
('CreateOpClass', 'refused', 'CREATE OPERATOR CLASS n FOR TYPE int USING btree AS OPERATOR 1 <'),
('CreateOpFamily', 'refused', 'CREATE OPERATOR FAMILY n USING btree'),
('AlterOpFamily', 'refused', 'ALTER OPERATOR FAMILY integer_ops USING btree DROP OPERATOR 1 (int, int)'),
('AlterOperator', 'refused', 'ALTER OPERATOR pg_catalog.+ (int, int) SET (RESTRICT = NONE)'),
('AlterCollation', 'refused', 'ALTER COLLATION "C" REFRESH VERSION'),
('AlterType', 'refused', 'ALTER TYPE int SET (STORAGE = plain)'),
('AlterTSConfiguration', 'refused', 'ALTER TEXT SEARCH CONFIGURATION simple DROP MAPPING FOR word'),
('AlterTSDictionary', 'refused', 'ALTER TEXT SEARCH DICTIONARY simple (accept)'),
('AlterObjectDepends', 'refused', 'ALTER FUNCTION f() DEPENDS ON EXTENSION plpgsql'),
('ReplicaIdentity', 'diverted', 'ALTER TABLE t REPLICA IDENTITY FULL'),
('SetOperation', 'run', 'SELECT 1 UNION SELECT 2'),
('Return', 'diverted', 'CREATE FUNCTION n() RETURNS int RETURN 1'),
('PLAssign', 'run', 'DO ''DECLARE x int; BEGIN x := 1; END'''),
-- the grammar's outermost node
('Raw', 'run', 'SELECT 1 AS raw');
-- One per form of ALTER TABLE and its relatives.
CREATE TABLE alter_cases (ordinal int GENERATED ALWAYS AS IDENTITY,
    subtype text, outcome text, statement text UNIQUE);
GRANT SELECT ON alter_cases TO regress_gate_agent;
INSERT INTO alter_cases (subtype, outcome, statement) VALUES
('AddColumn', 'diverted', 'ALTER TABLE t ADD n int'),
('AddColumnToView', 'diverted', 'CREATE OR REPLACE VIEW v AS SELECT *, 1 AS n FROM t'),
('ColumnDefault', 'diverted', 'ALTER TABLE t ALTER a SET DEFAULT ''n'''),
('DropNotNull', 'diverted', 'ALTER TABLE t ALTER a DROP NOT NULL'),
('SetNotNull', 'diverted', 'ALTER TABLE t ALTER a SET NOT NULL'),
('SetExpression', 'diverted', 'ALTER TABLE t ALTER a SET EXPRESSION AS (1)'),
('DropExpression', 'diverted', 'ALTER TABLE t ALTER a DROP EXPRESSION IF EXISTS'),
('SetStatistics', 'diverted', 'ALTER TABLE t ALTER a SET STATISTICS 10'),
('SetOptions', 'diverted', 'ALTER TABLE t ALTER a SET (n_distinct = 1)'),
('ResetOptions', 'diverted', 'ALTER TABLE t ALTER a RESET (n_distinct)'),
('SetStorage', 'diverted', 'ALTER TABLE t ALTER a SET STORAGE plain'),
('SetCompression', 'diverted', 'ALTER TABLE t ALTER a SET COMPRESSION pglz'),
('ReplaceRelOptions', 'diverted', 'CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT * FROM t'),
('DropColumn', 'diverted', 'ALTER TABLE t DROP a'),
('AddIndex', 'diverted', 'ALTER TABLE t ADD UNIQUE (a)'),
('AddConstraint', 'diverted', 'ALTER TABLE t ADD CHECK (id > 0)'),
('AlterConstraint', 'diverted', 'ALTER TABLE t ALTER CONSTRAINT n DEFERRABLE'),
('ValidateConstraint', 'diverted', 'ALTER TABLE t VALIDATE CONSTRAINT n'),
('AddIndexConstraint', 'diverted', 'ALTER TABLE t ADD UNIQUE USING INDEX t_a'),
('DropConstraint', 'diverted', 'ALTER TABLE t DROP CONSTRAINT t_pkey'),
('AlterColumnType', 'diverted', 'ALTER TABLE t ALTER a TYPE varchar(9)'),
('AlterColumnGenericOptions', 'refused', 'ALTER TABLE t ALTER a OPTIONS (ADD n ''1'')'),
('ChangeOwner', 'refused', 'ALTER TABLE t OWNER TO regress_gate_other'),
('ClusterOn', 'diverted', 'ALTER TABLE t CLUSTER ON t_a'),
('DropCluster', 'diverted', 'ALTER TABLE t SET WITHOUT CLUSTER'),
('SetLogged', 'diverted', 'ALTER TABLE t SET LOGGED'),
('SetUnLogged', 'diverted', 'ALTER TABLE t SET UNLOGGED'),
('DropOids', 'refused', 'ALTER TABLE t SET WITHOUT OIDS'),
('SetAccessMethod', 'refused', 'ALTER TABLE t SET ACCESS METHOD heap'),
('SetTableSpace', 'refused', 'ALTER TABLE t SET TABLESPACE pg_global'),
('SetRelOptions', 'diverted', 'ALTER TABLE t SET (fillfactor = 50)'),
('ResetRelOptions', 'diverted', 'ALTER TABLE t RESET (fillfactor)'),
('EnableTrig', 'diverted', 'ALTER TABLE t ENABLE TRIGGER n'),
('EnableAlwaysTrig', 'diverted', 'ALTER TABLE t ENABLE ALWAYS TRIGGER n'),
('EnableReplicaTrig', 'diverted', 'ALTER TABLE t ENABLE REPLICA TRIGGER n'),
('DisableTrig', 'diverted', 'ALTER TABLE t DISABLE TRIGGER n'),
('EnableTrigAll', 'diverted', 'ALTER TABLE t ENABLE TRIGGER ALL'),
('DisableTrigAll', 'diverted', 'ALTER TABLE t DISABLE TRIGGER ALL'),
('EnableTrigUser', 'diverted', 'ALTER TABLE t ENABLE TRIGGER USER'),
('DisableTrigUser', 'diverted', 'ALTER TABLE t DISABLE TRIGGER USER'),
('EnableRule', 'diverted', 'ALTER TABLE t ENABLE RULE n'),
('EnableAlwaysRule', 'diverted', 'ALTER TABLE t ENABLE ALWAYS RULE n'),
('EnableReplicaRule', 'diverted', 'ALTER TABLE t ENABLE REPLICA RULE n'),
('DisableRule', 'diverted', 'ALTER TABLE t DISABLE RULE n'),
('AddInherit', 'diverted', 'ALTER TABLE t INHERIT loose'),
('DropInherit', 'diverted', 'ALTER TABLE t NO INHERIT loose'),
('AddOf', 'diverted', 'ALTER TABLE t OF c'),
('DropOf', 'diverted', 'ALTER TABLE t NOT OF'),
('ReplicaIdentity', 'diverted', 'ALTER TABLE t REPLICA IDENTITY NOTHING'),
('EnableRowSecurity', 'diverted', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY'),
('DisableRowSecurity', 'diverted', 'ALTER TABLE t DISABLE ROW LEVEL SECURITY'),
('ForceRowSecurity', 'diverted', 'ALTER TABLE t FORCE ROW LEVEL SECURITY'),
('NoForceRowSecurity', 'diverted', 'ALTER TABLE t NO FORCE ROW LEVEL SECURITY'),
('GenericOptions', 'refused', 'ALTER FOREIGN TABLE t OPTIONS (ADD n ''1'')'),
('AttachPartition', 'diverted', 'ALTER TABLE part ATTACH PARTITION loose FOR VALUES FROM (10) TO (19)'),
('DetachPartition', 'diverted', 'ALTER TABLE part DETACH PARTITION part_1'),
('DetachPartitionFinalize', 'diverted', 'ALTER TABLE part DETACH PARTITION part_1 FINALIZE'),
('AddIdentity', 'diverted', 'ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY'),
('SetIdentity', 'diverted', 'ALTER TABLE t ALTER id SET GENERATED ALWAYS'),
('DropIdentity', 'diverted', 'ALTER TABLE t ALTER id DROP IDENTITY');

-- Statement nodes of the server's own headers that have no row.
CREATE FUNCTION header(file text) RETURNS text LANGUAGE sql AS $$
    SELECT pg_read_file(setting || '/nodes/' || file)
      FROM pg_config AS c WHERE c.name = 'INCLUDEDIR-SERVER' $$;
SELECT node[1] AS "statement without a row"
  FROM regexp_matches(header('parsenodes.h'),
                      'typedef struct (\w+)Stmt\M', 'g') AS node
EXCEPT SELECT node FROM cases ORDER BY 1;
-- Forms of ALTER TABLE that have none: those that only core itself makes,
-- while it works on another, can not be written.
SELECT form[1] AS "ALTER without a row"
  FROM regexp_matches(header('parsenodes.h'), '\n\tAT_(\w+)', 'g') AS form
 WHERE form[1] !~ '^(Cooked|CheckNotNull|ReAdd)' AND form[1] !~ 'Recurse$'
EXCEPT SELECT subtype FROM alter_cases ORDER BY 1;
SELECT count(*) > 100 AS header_was_read
  FROM regexp_matches(header('parsenodes.h'),
                      'typedef struct (\w+)Stmt\M', 'g');

SECURITY LABEL FOR warden ON ROLE regress_gate_agent IS 'agent';
\c - regress_gate_agent
SET search_path = regress_gate;
\set VERBOSITY sqlstate
\pset format unaligned
\pset tuples_only on

PREPARE pw AS DELETE FROM regress_gate.t;
BEGIN;
DECLARE cu CURSOR FOR SELECT id FROM t FOR UPDATE;
ROLLBACK;
-- WD002 and WD003: refused; 01WD1: diverted; neither: run
SELECT statement FROM regress_gate.cases
 ORDER BY outcome <> 'refused', ordinal \gexec
SELECT statement FROM regress_gate.alter_cases
 ORDER BY outcome <> 'refused', ordinal \gexec

-- settings: those that change the form of results and the choice of plans
SELECT format('SET %I = DEFAULT', name) FROM pg_settings
 WHERE context = 'user' ORDER BY name COLLATE "C" \gexec
SET statement_timeout = '10s';
SET statement_timeout = '20s';
SET statement_timeout = 0;
SET lock_timeout = '5s';
RESET lock_timeout;
SET client_min_messages = debug1;
SET client_min_messages = error;
SET client_min_messages = warning;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SET TRANSACTION SNAPSHOT '00000003-0000001B-1';
SET warden.agent = 'somebody';
SET warden.audit = async;
SET something.new = 'x';
RESET ALL;
RESET ROLE;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_gate_other;
SET LOCAL ROLE NONE;
\pset format aligned
\pset tuples_only off

-- The trail says the same: transaction control and EXECUTE have no records of
-- their own, and what this server's grammar does not know is an error.
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_gate;
SELECT warden.flush_audit();
CREATE VIEW judged AS
    SELECT node, statement, outcome FROM cases
    UNION ALL SELECT 'AlterTable', statement, outcome FROM alter_cases;
SELECT j.statement, j.outcome AS expected, l.outcome, l.sqlstate
  FROM judged j
  LEFT JOIN LATERAL (SELECT a.outcome, a.sqlstate FROM warden.audit_log a
       WHERE a.statement = j.statement AND a.db_role = 'regress_gate_agent'
       ORDER BY a.id DESC LIMIT 1) l ON true
 WHERE l.outcome IS DISTINCT FROM replace(j.outcome, 'run', 'ok')
   AND j.node NOT IN ('Execute', 'Transaction') AND l.sqlstate <> '42601'
 ORDER BY j.statement COLLATE "C";
-- nothing has happened
SELECT count(*) FROM t;
SELECT relname FROM pg_class WHERE relnamespace = 'regress_gate'::regnamespace
   AND relname IN ('n', 'o', 'part_2');
SELECT rolname FROM pg_roles WHERE rolname = 'n';

\set VERBOSITY terse
DROP SCHEMA regress_gate CASCADE;
DROP ROLE regress_gate_agent, regress_gate_other;
