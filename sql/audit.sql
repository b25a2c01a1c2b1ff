-- The audit trail: who reads it, that nobody writes it, what is in it, and
-- that it shows every change made to it.
\set superuser :USER
\pset null '-'

CREATE ROLE regress_audit_bot LOGIN;
CREATE ROLE regress_audit_gate LOGIN NOINHERIT IN ROLE warden_gateway;
CREATE ROLE regress_audit_reader LOGIN IN ROLE warden_auditor;
CREATE ROLE regress_audit_admin LOGIN IN ROLE warden_admin;
CREATE ROLE regress_audit_nobody LOGIN;
CREATE TABLE regress_audit (id int PRIMARY KEY, email text, note text);
INSERT INTO regress_audit VALUES (1, 'ann@example.com', 'x'),
	(2, 'bob@example.com', 'y'), (3, 'cyd@example.com', 'z');
SECURITY LABEL FOR warden ON COLUMN regress_audit.email IS 'email';
GRANT SELECT, UPDATE ON regress_audit TO regress_audit_bot;
CREATE FUNCTION regress_audit_reads(times int) RETURNS text LANGUAGE plpgsql
	STABLE SECURITY DEFINER AS $$
BEGIN
	PERFORM id FROM regress_audit;
	RETURN (SELECT string_agg(email, ' ')
		FROM regress_audit, generate_series(1, times));
END $$;
SECURITY LABEL FOR warden ON ROLE regress_audit_bot IS 'agent';
SELECT warden.create_agent('audited', 'regress_audit_bot');
SELECT warden.allow_delegation('audited', 'ann');
SELECT warden.issue_token('audited') AS token \gset

-- Something to read, so that nobody is told apart from an empty store.
SET ROLE regress_audit_bot;
SELECT 'first' AS first;
RESET ROLE;

--
-- Who may read it
--
\c - regress_audit_nobody
SELECT count(*) FROM warden.audit_events;
SELECT count(*) FROM warden.audit_log;
SELECT count(*) FROM warden.audit_outbox;
SELECT * FROM warden.verify_audit();
SELECT warden.audit_head();
SELECT warden.audit_open_statements();
SELECT warden.flush_audit();
SELECT warden.drop_audit_before('infinity');
\c - regress_audit_admin
SELECT count(*) FROM warden.audit_log;
SELECT * FROM warden.verify_audit();
\c - regress_audit_bot
SELECT count(*) FROM warden.audit_log;
SELECT count(*) FROM warden.audit_by_person;
SELECT * FROM warden.verify_audit();
\c - regress_audit_reader
SELECT count(*) > 0 AS some FROM warden.audit_log;
SELECT count(*) FROM warden.audit_outbox;
SELECT warden.drop_audit_before('infinity');

--
-- Nobody writes it, whoever owns it
--
INSERT INTO warden.audit_events SELECT * FROM warden.audit_events;
\c - :superuser
INSERT INTO warden.audit_events SELECT * FROM warden.audit_events;
UPDATE warden.audit_events SET agent = 'other';
DELETE FROM warden.audit_events WHERE false;
TRUNCATE warden.audit_events;
MERGE INTO warden.audit_events e USING (SELECT 1) s ON true
	WHEN MATCHED THEN DELETE;
TRUNCATE warden.audit_outbox;
UPDATE warden.audit_outbox SET outcome = 'other';
DELETE FROM warden.audit_outbox;
SET session_replication_role = replica;
DELETE FROM warden.audit_events;
RESET session_replication_role;
SELECT warden.guard_audit();

-- nor its partitions
SELECT inhrelid::regclass AS part FROM pg_inherits
	WHERE inhparent = 'warden.audit_events'::regclass
	ORDER BY inhrelid DESC LIMIT 1 \gset
SELECT has_table_privilege('warden_auditor', :'part', 'SELECT') AS readable,
	relacl FROM pg_class WHERE oid = :'part'::regclass;
\set VERBOSITY sqlstate
INSERT INTO :part SELECT * FROM warden.audit_events;
UPDATE :part SET agent = 'other';
DELETE FROM :part WHERE false;
TRUNCATE :part;
DROP TABLE :part;
ALTER TABLE warden.audit_events DETACH PARTITION :part;
ALTER TABLE warden.audit_events DETACH PARTITION :part CONCURRENTLY;
DO $$ BEGIN EXECUTE format('ALTER TABLE warden.audit_events DETACH PARTITION %s',
	(SELECT max(inhrelid)::regclass FROM pg_inherits WHERE inhparent = 'warden.audit_events'::regclass)); END $$;
SET session_replication_role = replica;
DELETE FROM :part;
RESET session_replication_role;
\set VERBOSITY default

--
-- Every statement of an agent, whatever became of it
--
\c - regress_audit_bot
SELECT id, email FROM regress_audit ORDER BY id LIMIT 2;
SELECT note FROM regress_audit WHERE id = 1;
SELECT 1 / (id - 1) FROM regress_audit ORDER BY id;
SELECT nothing FROM regress_audit;
SELEC 1;
LOCK TABLE regress_audit;
SELECT pg_read_file('postgresql.conf');
PREPARE by_id (int) AS SELECT email FROM regress_audit WHERE id = $1;
EXECUTE by_id(2);
BEGIN;
SELECT 'rolled back' AS note;
ROLLBACK;
EXPLAIN (COSTS OFF) SELECT email FROM regress_audit;
EXPLAIN (COSTS OFF) EXECUTE by_id(2);
BEGIN;
DECLARE pages CURSOR FOR SELECT email FROM regress_audit;
FETCH 1 FROM pages;
SELECT 1 / 0;
SELECT 'not run';
COMMIT;
SELECT regress_audit_reads(2);
DO 'BEGIN PERFORM note FROM regress_audit; END';
\copy (SELECT id, email FROM regress_audit) TO stdout

--
-- Its own records it sees, without texts
--
SELECT attname FROM pg_attribute
	WHERE attrelid = 'warden.my_audit'::regclass AND attnum > 0;
SELECT count(*) > 10 AS several, bool_and(request_id IS NULL) AS its_own
	FROM warden.my_audit;

--
-- Under two identities
--
\c - regress_audit_gate
BEGIN;
SELECT warden.enter(:'token', 'ann', '{"session_id": "s1",
	"request_id": "r1", "tool": "query", "prompt_ref": "p1"}', 'k');
SELECT email FROM regress_audit WHERE id = 3;
SELECT command, relations, masked_columns, request_id FROM warden.my_audit;
\o /dev/null
SELECT warden.leave('k');
\o
COMMIT;
BEGIN;
SELECT warden.enter('wdn_nonsense', 'ann', '{}', 'k');
ROLLBACK;

-- Only the text of enter and leave is left out, not that of what comes next.
BEGIN;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
\o /dev/null
SELECT warden.leave('k');
\o
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELEC after;
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELECT warden.leave('not the key');
ROLLBACK TO a;
SELECT warden.enter(:'token', 'ann', '{}', 'k');
SELEC again;
ROLLBACK;

\c - regress_audit_reader
SELECT warden.flush_audit();
SELECT agent, on_behalf_of, db_role, login_role, session_id, request_id, tool,
		prompt_ref, command, statement, outcome
	FROM warden.audit_log WHERE session_id = 's1' ORDER BY id;
SELECT command, statement, parameters, relations, masked_columns, clear_columns
	FROM warden.audit_log
	WHERE agent = 'audited' AND login_role = 'regress_audit_bot' ORDER BY id;
SELECT kind, command, rows, duration_us >= 0 AS timed, outcome, sqlstate,
		message
	FROM warden.audit_log
	WHERE agent = 'audited' AND login_role = 'regress_audit_bot' ORDER BY id;
SELECT kind, command, statement, outcome, sqlstate FROM warden.audit_log
	WHERE login_role = 'regress_audit_gate' AND kind = 'failure' ORDER BY id;
SELECT column_name, mask, clear, count(*) FROM warden.audit_columns
	WHERE agent = 'audited' GROUP BY 1, 2, 3;
SELECT agent, statements > 10 AS many, diverted, refused, errors, unknown,
		persons FROM warden.audit_by_agent WHERE agent = 'audited';
SELECT on_behalf_of, agent, statements, rows FROM warden.audit_by_person
	WHERE agent = 'audited';
SELECT outcome, detail FROM warden.audit_log
	WHERE kind = 'action' AND detail LIKE '%regress_audit%' ORDER BY id;
SELECT line #>> '{warden,on_behalf_of}' AS on_behalf_of,
		line #>> '{event,outcome}' AS outcome, line -> 'related' AS related
	FROM warden.audit_ecs WHERE line #>> '{warden,session_id}' = 's1'
	ORDER BY id LIMIT 1;

--
-- A rolled-back action leaves nothing, an exemption shows, a long text is cut
--
\c - :superuser
BEGIN;
SELECT warden.grant_exemption('regress_audit_bot', 'regress_audit.email',
	'infinity', 'rolled back') IS NOT NULL AS granted;
ROLLBACK;
SELECT warden.grant_exemption('regress_audit_bot', 'regress_audit.email',
	'infinity', 'to be seen') IS NOT NULL AS granted;
\c - regress_audit_bot
SELECT email FROM regress_audit WHERE id = 1;
\o /dev/null
SELECT 'SELECT ''' || repeat('y', 100000) || ''' AS long' AS long
\gset
:long;
\o
\c - regress_audit_reader
SELECT warden.flush_audit();
SELECT masked_columns, clear_columns FROM warden.audit_log
	WHERE agent = 'audited' AND 'public.regress_audit' = ANY (relations)
	ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM warden.audit_log WHERE detail LIKE '%rolled back%';
SELECT length(statement), statement_bytes, statement_digest =
		sha256(convert_to('SELECT ''' || repeat('y', 100000) || ''' AS long', 'UTF8')) AS digest
	FROM warden.audit_log WHERE statement_bytes IS NOT NULL AND agent = 'audited';

-- Tokens that come and go, and policy that is changed by plain SQL, are actions.
\c - :superuser
SELECT warden.revoke_token(max(id)) FROM warden.agent_tokens WHERE agent = 'audited';
UPDATE warden.semantic_types SET mask = mask WHERE name = 'ssn';
UPDATE warden.semantic_types SET mask = mask WHERE name = 'no such type';
DELETE FROM warden.exemptions WHERE reason = 'to be seen';
\c - regress_audit_reader
SELECT warden.flush_audit();
SELECT outcome, regexp_replace(detail, '\(.*', '') FROM warden.audit_log
	WHERE detail ~ '^[A-Z]+ on warden.(semantic|exemp)' ORDER BY id DESC LIMIT 2;
SELECT outcome, regexp_replace(detail, '\d+', 'N') FROM warden.audit_log
	WHERE outcome = 'token' ORDER BY id DESC LIMIT 1;
SELECT outcome, regexp_replace(detail, '\d+', 'N') FROM warden.audit_log
	WHERE outcome = 'token' AND detail LIKE '%''audited''%';

--
-- The chain
--
SELECT * FROM warden.verify_audit();
SELECT warden.audit_head() AS anchor \gset
SELECT split_part(:'anchor', ':', 1)::bigint = max(id) AS last FROM warden.audit_events;
SELECT * FROM warden.verify_audit(anchor => :'anchor');
SELECT * FROM warden.verify_audit(2, 5);
-- no row says that something was looked at
SELECT * FROM warden.verify_audit(5, 2);
SELECT * FROM warden.verify_audit(1000000);
SELECT * FROM warden.verify_audit((SELECT max(id) FROM warden.audit_events) + 1);
SELECT * FROM warden.verify_audit(5, 7, '3:' || repeat('0', 64));
SELECT * FROM warden.verify_audit(2, 5, '6:' || repeat('0', 64));
SELECT problem FROM warden.verify_audit(4, 5, '3:' || repeat('0', 64));
SELECT problem FROM warden.verify_audit(4, 5, '5:' || repeat('0', 64));
SELECT * FROM warden.verify_audit(anchor => 'nonsense');
SELECT * FROM warden.verify_audit(anchor => '1:ab');
SELECT problem FROM warden.verify_audit(anchor => '1:' || repeat('0', 64));
SELECT problem FROM warden.verify_audit(anchor => '999999999:' || repeat('0', 64));
SELECT count(*) = max(id) - min(id) + 1 AS gapless FROM warden.audit_events;

-- What a superuser does who first takes the guard away.
\c - :superuser
BEGIN;
ALTER TABLE warden.audit_events DISABLE TRIGGER guard_audit;
SELECT max(id) - 4 AS victim FROM warden.audit_events \gset
CREATE FUNCTION pg_temp.tamper(name text, victim bigint) RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	type text := (SELECT atttypid::regtype FROM pg_attribute
				  WHERE attrelid = 'warden.audit_events'::regclass
					AND attname = name);
	new_value text;
	found text;
BEGIN
	new_value := CASE type
		WHEN 'text' THEN 'coalesce(%1$I, '''') || ''x'''
		WHEN 'bigint' THEN 'coalesce(%1$I, 0) + 1000000'
		WHEN 'integer' THEN 'coalesce(%1$I, 0) + 1'
		WHEN 'boolean' THEN 'not coalesce(%1$I, false)'
		WHEN 'text[]' THEN 'array_append(%1$I, ''x'')'
		WHEN 'inet' THEN '''192.0.2.1'''
		WHEN 'bytea' THEN 'coalesce(%1$I, '''') || ''\x00'''
		WHEN 'timestamp with time zone' THEN '%1$I + interval ''1 us'''
		END;
	EXECUTE format('UPDATE warden.audit_events SET %1$I = ' || new_value ||
				   ' WHERE id = %2$s', name, victim);
	SELECT problem || CASE WHEN id = victim THEN '' ELSE ' elsewhere' END
		INTO found FROM warden.verify_audit();
	RAISE EXCEPTION USING MESSAGE = coalesce(found, 'NOT DETECTED');
EXCEPTION WHEN raise_exception THEN
	RETURN SQLERRM;
END $$;
SELECT attname, pg_temp.tamper(attname, :victim) FROM pg_attribute
	WHERE attrelid = 'warden.audit_events'::regclass AND attnum > 0
	ORDER BY attnum;
SAVEPOINT whole;
DELETE FROM warden.audit_events WHERE id = :victim;
SELECT id = :victim AS found, problem FROM warden.verify_audit();
ROLLBACK TO whole;
DELETE FROM warden.audit_events WHERE id = 1;
SELECT id, problem FROM warden.verify_audit();
ROLLBACK TO whole;
DELETE FROM warden.audit_events WHERE id >= :victim;
SELECT id = :victim AS found, problem FROM warden.verify_audit();
SELECT id = :victim AS found, problem FROM warden.verify_audit(anchor => :'anchor');
ROLLBACK TO whole;
UPDATE warden.audit_events SET id = 0 WHERE id = :victim;
UPDATE warden.audit_events SET id = :victim WHERE id = :victim + 1;
UPDATE warden.audit_events SET id = :victim + 1 WHERE id = 0;
SELECT id = :victim AS found, problem FROM warden.verify_audit();
ROLLBACK TO whole;

-- The hash, as docs/audit.md gives it to other programs; and what it is worth
-- to somebody who computes it anew.
CREATE FUNCTION pg_temp.sized(bytea) RETURNS bytea
	RETURN coalesce(int4send(length($1)) || $1, '\xffffffff');
CREATE FUNCTION pg_temp.bytes(bigint) RETURNS bytea
	RETURN pg_temp.sized(int8send($1));
CREATE FUNCTION pg_temp.bytes(int) RETURNS bytea
	RETURN pg_temp.sized(int4send($1));
CREATE FUNCTION pg_temp.bytes(timestamptz) RETURNS bytea
	RETURN pg_temp.sized(timestamptz_send($1));
CREATE FUNCTION pg_temp.bytes(boolean) RETURNS bytea
	RETURN pg_temp.sized(CASE WHEN $1 THEN 't' WHEN NOT $1 THEN 'f' END::bytea);
CREATE FUNCTION pg_temp.bytes(text) RETURNS bytea
	RETURN pg_temp.sized(convert_to($1, 'UTF8'));
CREATE FUNCTION pg_temp.bytes(bytea) RETURNS bytea
	RETURN pg_temp.sized($1);
CREATE FUNCTION pg_temp.bytes(inet) RETURNS bytea
	RETURN pg_temp.sized(substr(inet_send($1), 1, 2) || substr(inet_send($1), 5));
CREATE FUNCTION pg_temp.bytes(text[]) RETURNS bytea
	RETURN CASE WHEN $1 IS NULL THEN '\xffffffff' ELSE int4send(cardinality($1)) ||
		coalesce((SELECT string_agg(pg_temp.bytes(x), '' ORDER BY i)
			FROM unnest($1) WITH ORDINALITY u (x, i)), '') END;
CREATE FUNCTION pg_temp.hash_of(e warden.audit_events) RETURNS bytea
	LANGUAGE plpgsql AS $$
DECLARE
	name name;
	part bytea;
	whole bytea := '';
BEGIN
	FOR name IN SELECT attname FROM pg_attribute
		WHERE attrelid = 'warden.audit_events'::regclass AND attnum > 0
			AND attname <> 'hash' ORDER BY attnum
	LOOP
		EXECUTE format('SELECT pg_temp.bytes(($1).%I)', name) INTO part USING e;
		whole := whole || part;
	END LOOP;
	RETURN sha256(whole);
END $$;
SELECT count(*) > 30 AS several, bool_and(pg_temp.hash_of(e) = hash) AS documented
	FROM warden.audit_events e;
SAVEPOINT whole;
UPDATE warden.audit_events SET agent = 'other' WHERE id = :victim;
UPDATE warden.audit_events e SET hash = pg_temp.hash_of(e) WHERE id = :victim;
SELECT id = :victim + 1 AS found, problem FROM warden.verify_audit();
ROLLBACK TO whole;
SELECT max(id) AS last FROM warden.audit_events \gset
UPDATE warden.audit_events SET agent = 'other' WHERE id = :last;
SELECT id = :last AS found, problem FROM warden.verify_audit();
UPDATE warden.audit_events e SET hash = pg_temp.hash_of(e) WHERE id = :last;
SELECT id = :last AS found, problem FROM warden.verify_audit();
SELECT id = :last AS found, problem FROM warden.verify_audit(anchor => :'anchor');
ROLLBACK;
SELECT * FROM warden.verify_audit();

--
-- A publication of all tables asks for a key of each that rows go from
--
SET client_min_messages = error;
CREATE PUBLICATION regress_audit_all FOR ALL TABLES;
SELECT warden.add_person('published', 'regress_audit_nobody');
DELETE FROM warden.people WHERE person = 'published';
SELECT warden.flush_audit();
SELECT count(*) AS waiting FROM warden.audit_outbox;
DROP PUBLICATION regress_audit_all;
RESET client_min_messages;

--
-- Clean up
--
DROP FUNCTION regress_audit_reads(int);
DROP TABLE regress_audit;
DELETE FROM warden.agents WHERE agent = 'audited';
DROP OWNED BY regress_audit_bot;
DROP ROLE regress_audit_bot, regress_audit_gate, regress_audit_reader,
	regress_audit_admin, regress_audit_nobody;
