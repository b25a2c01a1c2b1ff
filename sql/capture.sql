-- What can not be part of a change is refused at the door, with a reason, and
-- nothing of it is recorded.
\set superuser :USER
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_bot LOGIN;
CREATE ROLE regress_writer;
CREATE SCHEMA regress_shop AUTHORIZATION regress_writer;
GRANT USAGE ON SCHEMA regress_shop TO regress_bot;
SET ROLE regress_writer;
CREATE TABLE regress_shop.t (id int PRIMARY KEY, ssn text, note text, n int);
GRANT SELECT ON regress_shop.t TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_shop.t.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE regress_bot IS 'agent';
SELECT FROM warden.create_agent('door bot', 'regress_bot', 'regress_writer');

CREATE TABLE public.cases (n int GENERATED ALWAYS AS IDENTITY, what text, script text, allowed boolean DEFAULT false);
INSERT INTO public.cases (what, script) VALUES
('password', 'CREATE ROLE x PASSWORD ''a'''),
('password', 'ALTER ROLE regress_bot ENCRYPTED PASSWORD ''a'''),
('password', 'CREATE USER MAPPING FOR x SERVER s OPTIONS (password ''p'')'),
('password', 'CREATE SUBSCRIPTION s CONNECTION ''password=x'' PUBLICATION p'),
('password', 'CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (password ''x'')'),
('password', 'SELECT dblink_connect(''host=x password=secret'')'),
('password', 'SELECT dblink_connect(E''host=x\npassword = secret'')'),
('password', 'SELECT dblink_connect(''host=x password=''''my secret'''' dbname=y'')'),
('password', 'SELECT dblink_exec(''postgresql://bob:secret@host/db'', ''DELETE FROM t'')'),
('password', 'SELECT dblink_exec(''postgres:///db?user=bob&password=secret'', ''DELETE FROM t'')'),
('password', 'INSERT INTO regress_shop.t (id, note) SELECT 1, x FROM dblink($$dbname=x sslpassword=y$$, ''SELECT 1'') AS d(x text)'),
('password', 'DO $do$ BEGIN PERFORM dblink_connect(''dbname=x password=secret''); END $do$'),
('password', 'DO $do$ BEGIN EXECUTE ''ALTER ROLE x PASSWORD ''''s''''''; END $do$'),
('password', 'DO $do$ BEGIN EXECUTE $x$CREATE USER MAPPING FOR u SERVER s OPTIONS (user ''u'', password ''s'')$x$; END $do$'),
('password', 'CREATE FUNCTION regress_shop.f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN ALTER ROLE x PASSWORD /* new */ ''s''; END $f$'),
('password', 'COMMENT ON TABLE regress_shop.t IS ''host=db user=u password=p'''),
('copy', 'COPY regress_shop.t FROM STDIN'),
('copy', 'COPY regress_shop.t FROM ''/etc/passwd'''),
('copy', 'COPY regress_shop.t TO PROGRAM ''cat'''),
('temporary', 'CREATE TEMP TABLE x (i int)'),
('temporary', 'CREATE TABLE pg_temp.x (i int)'),
('temporary', 'CREATE TEMP VIEW x AS SELECT 1'),
('temporary', 'CREATE TEMP SEQUENCE x'),
('temporary', 'CREATE TEMP TABLE x AS SELECT 1'),
('temporary', 'SELECT 1 AS a INTO TEMP x'),
('temporary', 'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS ''SELECT 1'''),
('temporary', 'CREATE TYPE pg_temp.c AS (a int)'),
('temporary', 'CREATE TYPE pg_temp.e AS ENUM (''a'')'),
('temporary', 'CREATE DOMAIN pg_temp.d AS int'),
('transaction', 'BEGIN; DELETE FROM regress_shop.t WHERE id = 1; COMMIT'),
('transaction', 'DELETE FROM regress_shop.t WHERE id = 1; SAVEPOINT x'),
('transaction', 'ROLLBACK'),
('transaction', 'PREPARE TRANSACTION ''x'''),
('setting', 'SET search_path = x; DELETE FROM regress_shop.t WHERE id = 1'),
('setting', 'SET LOCAL lock_timeout = 1; DELETE FROM regress_shop.t WHERE id = 1'),
('setting', 'SET SESSION AUTHORIZATION regress_writer'),
('setting', 'SET ROLE regress_writer; DELETE FROM regress_shop.t WHERE id = 1'),
('setting', 'RESET ALL'),
('setting', 'SET CONSTRAINTS ALL DEFERRED; DELETE FROM regress_shop.t WHERE id = 1'),
('setting', 'SELECT set_config(''search_path'', ''x'', false)'),
('setting', 'SELECT pg_catalog.set_config(''role'', ''x'', true), now()'),
('setting', 'WITH d AS (DELETE FROM regress_shop.t WHERE id = 1 RETURNING 1) SELECT set_config(''role'', ''x'', true) FROM d'),
('session', 'DISCARD ALL'),
('session', 'PREPARE x AS DELETE FROM regress_shop.t'),
('session', 'EXECUTE x'),
('session', 'DEALLOCATE ALL'),
('session', 'LISTEN x'),
('session', 'NOTIFY x'),
('session', 'LOAD ''x'''),
('session', 'LOCK TABLE regress_shop.t'),
('session', 'DECLARE c CURSOR FOR SELECT 1'),
('session', 'EXPLAIN ANALYZE DELETE FROM regress_shop.t'),
('nothing', ''), ('nothing', '-- nothing'), ('nothing', ';;'), ('nothing', 'SELECT 1'),
('nothing', 'SELECT id FROM regress_shop.t FOR UPDATE'),
('psql', '\d regress_shop.t'),
('psql', E'DELETE FROM regress_shop.t WHERE id = 1;\n\\i /etc/passwd'),
('psql', 'DELETE FROM regress_shop.t WHERE id = 1 \gexec'),
('size', 'DELETE FROM regress_shop.t WHERE note = ''' || repeat('x', 1024 * 1024) || ''''),
('size', repeat(' ', 1024 * 1024 + 1)),
('mask', 'UPDATE regress_shop.t SET ssn = ''***-**-4801'' WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET ssn = coalesce(NULL, ''***-**-4801'') WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET ssn = ''***-**'' || ''-4801'' WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET ssn = CAST(''***-**-4801'' AS text) WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET (ssn, n) = (''***-**-4801'', 1) WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET (ssn, n) = (SELECT ''***-**-4801'', 1) WHERE id = 1'),
('mask', 'UPDATE regress_shop.t SET ssn = v.s FROM (VALUES (1, ''***-**-4801'')) v (i, s) WHERE id = v.i'),
('mask', 'INSERT INTO regress_shop.t VALUES (1, ''***-**-4801'')'),
('mask', 'INSERT INTO regress_shop.t (id, ssn) VALUES (1, ''078-05-1120''), (2, ''***-**-4801'')'),
('mask', 'INSERT INTO regress_shop.t (id, ssn) SELECT 1, ''***-**-4801'''),
('mask', 'INSERT INTO regress_shop.t (id, ssn) SELECT * FROM (VALUES (1, ''***-**-4801'')) v'),
('mask', 'INSERT INTO regress_shop.t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = ''***-**-4801'''),
('mask', 'MERGE INTO regress_shop.t USING (VALUES (1)) v (i) ON id = i WHEN MATCHED THEN UPDATE SET ssn = ''***-**-4801'''),
('mask', 'MERGE INTO regress_shop.t USING (VALUES (1)) v (i) ON id = i WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (i, ''***-**-4801'')'),
('mask', 'WITH x AS (UPDATE regress_shop.t SET ssn = ''***-**-4801'' WHERE id = 1 RETURNING 1) SELECT * FROM x'),
('none', 'DELETE FROM regress_shop.t WHERE id = 1; SELEC 1');
-- what resembles it
INSERT INTO public.cases (what, script, allowed) VALUES
('password', 'UPDATE regress_shop.t SET note = ''your password is wrong'' WHERE id = 1', true),
('password', 'UPDATE regress_shop.t SET note = ''password='' WHERE id = 1', true),
('password', 'UPDATE regress_shop.t SET note = ''postgresql://host/db'' WHERE id = 1', true),
('password', 'CREATE TABLE regress_shop.accounts (password text DEFAULT ''x'')', true),
('password', 'DO $do$ BEGIN UPDATE regress_shop.t SET note = ''password ''''%'''' is wrong'' WHERE id = 1; END $do$', true),
('password', 'DO $do$ BEGIN RAISE NOTICE ''don''''t forget the password''; END $do$', true),
('setting', 'UPDATE regress_shop.t SET note = ''SET search_path = x'' WHERE id = 1', true),
('setting', 'UPDATE regress_shop.t SET role = 1 WHERE id = 1', NULL),
('mask', 'UPDATE regress_shop.t SET ssn = ''078-05-1120'', note = ''*** new ***'' WHERE id = 1', true),
('mask', 'UPDATE regress_shop.t SET note = ''***-**-4801'' WHERE id = 1', true),
('mask', 'INSERT INTO regress_shop.t (id, ssn, note) VALUES (1, ''078-05-1120'', ''***'')', true),
('temporary', 'CREATE TABLE regress_shop.temporary (i int)', true),
('transaction', 'DO $do$ BEGIN NULL; END $do$', true),
('psql', E'UPDATE regress_shop.t SET note = ''\\d'' WHERE id = 1', true);
GRANT SELECT ON public.cases TO regress_bot;

-- Refusals and their reasons, as the agent meets them.
CREATE FUNCTION public.try(script text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE h text;
BEGIN
	PERFORM warden.propose(script, 'try', NULL);
	RETURN 'recorded';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS h = PG_EXCEPTION_HINT;
	RETURN sqlstate || ' ' || sqlerrm || CASE WHEN h = '' THEN ' (no hint)' ELSE '' END;
END $$;

\c - regress_bot
SELECT what, left(script, 70) AS script, public.try(script) AS answer FROM public.cases
	WHERE NOT allowed ORDER BY n;
SELECT what, script, public.try(script) AS answer FROM public.cases
	WHERE allowed IS DISTINCT FROM false ORDER BY n;
-- directly, too
\set VERBOSITY default
DO $do$ BEGIN EXECUTE 'ALTER ROLE x PASSWORD ''s'''; END $do$;
COMMENT ON TABLE regress_shop.t IS 'host=db user=u password=p';
UPDATE regress_shop.t SET ssn = left('***-**-4801', 11) WHERE id = 1;
PREPARE up AS UPDATE regress_shop.t SET ssn = $1 WHERE id = 1;
EXECUTE up ('***-**-4801');

--
-- Masks that are not told by their stars
--
\c - :superuser
SET client_min_messages = warning;
INSERT INTO warden.semantic_types (name, mask, description) VALUES
	('regress_const', 'const(''n/a'')', 'a constant'), ('regress_doc', 'json(ssn)', 'a document');
SET ROLE regress_writer;
CREATE TABLE regress_shop.m (id int PRIMARY KEY, code text, two varchar(2), tags text[], doc jsonb, ssn text, note text, born date, nick char(4));
GRANT SELECT ON regress_shop.m TO regress_bot;
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.code IS 'regress_const';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.two IS 'full';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.tags IS 'full';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.doc IS 'regress_doc';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.born IS 'birth_date';
SECURITY LABEL FOR warden ON COLUMN regress_shop.m.nick IS 'regress_const';
TRUNCATE public.cases;
ALTER SEQUENCE warden.pending_changes_id_seq RESTART 2301;
INSERT INTO public.cases (what, script) VALUES
('const', 'UPDATE regress_shop.m SET code = ''n/a'' WHERE id = 1'),
('const', 'UPDATE regress_shop.m SET code = (''n/a''::text) WHERE id = 1'),
('const', 'UPDATE regress_shop.m SET code = coalesce(NULL, ''n/a'') WHERE id = 1'),
('const', 'UPDATE regress_shop.m SET code = CASE id WHEN 1 THEN ''n/a'' ELSE code END WHERE id < 3'),
('const', 'UPDATE regress_shop.m SET code = CASE id WHEN 1 THEN code ELSE ''n/a'' END WHERE id < 3'),
('const', 'UPDATE regress_shop.m SET code = ''n'' || ''/'' || ''a'' WHERE id = 1'),
('const', 'UPDATE regress_shop.m SET (note, code) = (''x'', ''n/a'') WHERE id = 1'),
('const', 'INSERT INTO regress_shop.m (id, code) VALUES (1, ''x''), (2, ''n/a'')'),
('const', 'INSERT INTO regress_shop.m SELECT 1, ''n/a'''),
('const', 'INSERT INTO regress_shop.m (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET code = ''n/a'''),
('const', 'MERGE INTO regress_shop.m USING (VALUES (1)) v (i) ON id = i WHEN NOT MATCHED THEN INSERT (id, code) VALUES (i, ''n/a'')'),
('const', 'UPDATE regress_shop.m SET nick = ''n/a'' WHERE id = 1'),
('short', 'UPDATE regress_shop.m SET two = ''**'' WHERE id = 1'),
('joined', 'UPDATE regress_shop.m SET ssn = ''**'' || ''*-**-4801'' WHERE id = 1'),
('joined', 'UPDATE regress_shop.m SET ssn = note || ''**'' || ''*-**-4801'' WHERE id = 1'),
('joined', 'UPDATE regress_shop.m SET ssn = concat(''*'', ''*'', ''*-**-4801'') WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET tags = ''{a,***-**-4801}'' WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET tags = ARRAY[''a'', ''******''] WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET tags = tags || ''******'' WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET doc = ''{"ssn": "******", "n": 1}'' WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET doc = jsonb_build_object(''ssn'', ''******'') WHERE id = 1'),
('inside', 'UPDATE regress_shop.m SET doc = jsonb_set(doc, ''{ssn}'', ''"******"'') WHERE id = 1');
INSERT INTO public.cases (what, script, allowed) VALUES
('const', 'UPDATE regress_shop.m SET code = ''n/a '' WHERE id = 1', true),
('const', 'UPDATE regress_shop.m SET code = ''N/A'' WHERE id = 1', true),
('const', 'UPDATE regress_shop.m SET note = ''n/a'' WHERE id = 1', true),
('const', 'UPDATE regress_shop.m SET code = code || ''n/a'' WHERE id = 1', true),
('const', 'UPDATE regress_shop.m SET code = CASE note WHEN ''n/a'' THEN ''x'' ELSE ''y'' END WHERE id = 1', true),
('const', 'UPDATE regress_shop.m SET (note, code) = (''n/a'', ''x'') WHERE id = 1', true),
('const', 'INSERT INTO regress_shop.m (id, note, code) VALUES (1, ''n/a'', ''x'')', true),
('const', 'DELETE FROM regress_shop.m WHERE code = ''x'' AND note = ''n/a''', true),
('null', 'UPDATE regress_shop.m SET code = NULL, tags = NULL WHERE id = 1', true),
('short', 'UPDATE regress_shop.m SET two = ''*a'' WHERE id = 1', true),
('date', 'UPDATE regress_shop.m SET born = ''1984-01-01'' WHERE id = 1', true),
('joined', 'UPDATE regress_shop.m SET ssn = ''**'' || note || ''*'' WHERE id = 1', true),
('inside', 'UPDATE regress_shop.m SET tags = ''{a,b}'', note = ''{***}'' WHERE id = 1', true),
('inside', 'UPDATE regress_shop.m SET doc = ''{"ssn": "078-05-4801"}'' WHERE id = 1', true),
('inside', 'UPDATE regress_shop.m SET (note, ssn) = (''*** new ***'', ''078-05-4801'') WHERE id = 1', true);
\c - regress_bot
SELECT what, script, public.try(script) AS answer FROM public.cases WHERE NOT allowed ORDER BY n;
SELECT what, script, public.try(script) AS answer FROM public.cases WHERE allowed ORDER BY n;
-- parameters, each by the column that it goes to
PREPARE pair(text, text) AS UPDATE regress_shop.m SET ssn = $1, note = $2 WHERE id = 1;
EXECUTE pair('078-05-4801', '*** new ***');
EXECUTE pair('***-**-4801', 'new');
PREPARE code(text) AS UPDATE regress_shop.m SET code = coalesce($1, 'x') WHERE id = 1;
EXECUTE code('n/a');
EXECUTE code('n/b');
PREPARE tail(text) AS UPDATE regress_shop.m SET ssn = '**' || $1 WHERE id = 1;
EXECUTE tail('*-**-4801');
EXECUTE tail('-4801');
-- the agent's own mask
\c - :superuser
SELECT warden.set_mask('regress_const', 'const(''gone'')', 'regress_bot');
\c - regress_bot
SELECT public.try('UPDATE regress_shop.m SET code = ''gone'' WHERE id = 1'),
	public.try('UPDATE regress_shop.m SET code = ''n/a'' WHERE id = 1');
\c - :superuser
SELECT warden.set_mask('regress_const', NULL, 'regress_bot');
\c - regress_bot

--
-- Large scripts, and where they are wrong
--
SELECT warden.propose((SELECT string_agg('UPDATE regress_shop.t SET n = ' || i || ' WHERE id = ' || i, E';\n')
	FROM generate_series(1, 10000) i), '10000', NULL) > 0 AS recorded;
SELECT statement_count, risk, statements -> 9999 ->> 'statement' AS last FROM warden.my_changes WHERE title = '10000';
SELECT warden.propose((SELECT string_agg(CASE i WHEN 4711 THEN 'UPDATE regress_shop.t SE n = 1'
	ELSE 'UPDATE regress_shop.t SET n = 1 WHERE id = ' || i END, E';\n') FROM generate_series(1, 5000) i), '4711', NULL);
SELECT warden.propose(repeat('DELETE FROM regress_shop.t WHERE id = 1; ', 1000) || 'SELEC 1', 'one line', NULL);
SELECT warden.propose(E'DELETE FROM regress_shop.t\nWHERE id = 1;\n\n  SELEC 1', 'short', NULL);
SELECT warden.propose(E'-- caf\u00e9 \u4e2d\nDELETE FROM regress_shop.t WHERE id = 1; SELEC 1', 'wide', NULL);
SELECT warden.propose(E'DELETE FROM regress_shop.t WHERE id = 1;\n\\echo done', 'psql', NULL);
\set VERBOSITY default
SELECT warden.propose('DELETE FROM regress_shop.t WHERE id = 1; DROP TABLE regress_shop.missing', 'which', NULL);
SELECT warden.propose('DELETE FROM regress_shop.t WHERE id = 1; SELECT 1', 'which', NULL);
-- a parameter that nobody gives a value, not that of a function
SELECT warden.propose('DELETE FROM regress_shop.t WHERE id = (SELECT $2::int)', 'which', NULL);
SELECT warden.propose('CALL regress_shop.p($1)', 'which', NULL);
SELECT warden.propose('CREATE FUNCTION regress_shop.twice(int) RETURNS int LANGUAGE sql
    BEGIN ATOMIC SELECT $1 * 2; END', 'of its own', NULL) > 0 AS recorded;
\set VERBOSITY terse
-- a comment that is not UTF-8, and one in another encoding
SELECT warden.propose(E'DELETE FROM regress_shop.t /* caf\xe9 */ WHERE id = 1', 'latin', NULL);
SET client_encoding = 'LATIN1';
SELECT warden.propose(E'DELETE FROM regress_shop.t /* caf\u00e9 */ WHERE id = 1', 'latin', NULL) > 0 AS recorded;
RESET client_encoding;
SELECT statements -> 0 ->> 'statement' = U&'DELETE FROM regress_shop.t /* caf\00e9 */ WHERE id = 1' AS kept
	FROM warden.my_changes WHERE title = 'latin';

\c - :superuser
SET client_min_messages = error;
DROP SCHEMA regress_shop CASCADE;
DROP TABLE public.cases;
DROP FUNCTION public.try(text);
SECURITY LABEL FOR warden ON ROLE regress_bot IS NULL;
DELETE FROM warden.semantic_types WHERE name LIKE 'regress\_%';
DELETE FROM warden.agents WHERE agent = 'door bot';
DROP ROLE regress_bot, regress_writer;
