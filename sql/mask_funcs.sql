-- Every mask on every kind of type, as a governed role sees it.
\set VERBOSITY terse
\pset null '(null)'
SET client_min_messages = warning;

--
-- must fail
--

-- nobody can write a specification, so the mask functions are no oracle
SELECT 'full'::warden.mask_spec;
SELECT warden.apply_mask('x'::text, 'full');
SELECT warden.apply_mask_function('x'::text, 'full');
SELECT '{full}'::warden.mask_spec[];
SELECT * FROM json_to_record('{"a": "full"}') AS r(a warden.mask_spec);
SELECT '\x00'::bytea::warden.mask_spec;
SELECT warden.apply_mask('x'::text, NULL) IS NULL AS nothing;

-- what the mask functions rest on is the owner's
CREATE ROLE mask_reader;
SET ROLE mask_reader;
SELECT value FROM warden.mask_keys;
SELECT warden.generate_mask_key();
CREATE TEMP TABLE specs (spec warden.mask_spec);
RESET ROLE;

-- bad specifications
SELECT warden.set_mask('ssn', '');
SELECT warden.set_mask('ssn', 'nope');
SELECT warden.set_mask('ssn', 'full()');
SELECT warden.set_mask('ssn', 'full; select 1');
SELECT warden.set_mask('ssn', 'partial');
SELECT warden.set_mask('ssn', 'partial(1)');
SELECT warden.set_mask('ssn', 'partial(-1,2)');
SELECT warden.set_mask('ssn', 'partial(1,2,3)');
SELECT warden.set_mask('ssn', 'partial(1001,0)');
SELECT warden.set_mask('ssn', 'partial(99999999999999999999,0)');
SELECT warden.set_mask('ssn', 'bucket(0.00)');
SELECT warden.set_mask('ssn', 'bucket(-1)');
SELECT warden.set_mask('ssn', 'bucket(1e5)');
SELECT warden.set_mask('ssn', 'bucket(.5)');
SELECT warden.set_mask('ssn', 'bucket(1234567890123456789)');
SELECT warden.set_mask('ssn', 'date(fortnight)');
SELECT warden.set_mask('ssn', 'inet(33,0)');
SELECT warden.set_mask('ssn', 'inet(0,129)');
SELECT warden.set_mask('ssn', 'json()');
SELECT warden.set_mask('ssn', 'json(a.)');
SELECT warden.set_mask('ssn', 'json("")');
SELECT warden.set_mask('ssn', 'json("a)');
SELECT warden.set_mask('ssn', 'json($)');
SELECT warden.set_mask('ssn', 'json(' || repeat('a,', 32) || 'a)');
SELECT warden.set_mask('ssn', 'json(' || repeat('a.', 16) || 'a)');
SELECT warden.set_mask('ssn', 'const(x)');
SELECT warden.set_mask('ssn', 'const(''x)');
SELECT warden.set_mask('ssn', 'func(f)');
SELECT warden.set_mask('ssn', 'func(a.b.c)');
SELECT warden.set_mask('ssn', repeat('x', 1001));

-- functions that can not be masks
CREATE SCHEMA masks;
CREATE ROLE mask_author;
CREATE FUNCTION masks.volatile(text) RETURNS text LANGUAGE sql VOLATILE
    SET search_path = pg_catalog AS 'SELECT $1';
CREATE FUNCTION masks.any_path(text) RETURNS text LANGUAGE sql STABLE
    AS 'SELECT $1';
CREATE FUNCTION masks.two(text, text) RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog AS 'SELECT $1';
CREATE FUNCTION masks.number(text) RETURNS int LANGUAGE sql STABLE
    SET search_path = pg_catalog AS 'SELECT 1';
CREATE FUNCTION masks.anything(anyelement) RETURNS anyelement LANGUAGE sql
    STABLE SET search_path = pg_catalog AS 'SELECT $1';
CREATE FUNCTION masks.foreign(text) RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog AS 'SELECT $1';
ALTER FUNCTION masks.foreign(text) OWNER TO mask_author;
SELECT warden.set_mask('ssn', 'func(masks.missing)');
SELECT warden.set_mask('ssn', 'func(masks.volatile)');
SELECT warden.set_mask('ssn', 'func(masks.any_path)');
SELECT warden.set_mask('ssn', 'func(masks.two)');
SELECT warden.set_mask('ssn', 'func(masks.number)');
SELECT warden.set_mask('ssn', 'func(masks.anything)');
SELECT warden.set_mask('ssn', 'func(masks.foreign)');

-- nor can one that reads what it masks: directly, through a view or another
-- function, or in a circle with the mask of another table
CREATE TABLE masks.person (id int, code text, region text);
CREATE TABLE masks.person_part (more text) INHERITS (masks.person);
CREATE TABLE masks.other (code text, plain text);
CREATE VIEW masks.seen AS SELECT code AS c FROM masks.person;
CREATE FUNCTION masks.by_sql(text) RETURNS text LANGUAGE sql STABLE
    SET search_path = masks AS 'SELECT max(code) FROM person';
CREATE FUNCTION masks.by_atomic(text) RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog
    BEGIN ATOMIC SELECT max(c) FROM masks.seen; END;
CREATE FUNCTION masks.by_call(text) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog
    AS $$ BEGIN RETURN masks.by_sql($1); END $$;
CREATE FUNCTION masks.by_string(text) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = masks
    AS $$ DECLARE r text; BEGIN
    EXECUTE 'SELECT max(code) FROM "person_part"' INTO r; RETURN r; END $$;
CREATE FUNCTION masks.by_other(text) RETURNS text LANGUAGE sql STABLE
    SET search_path = masks AS 'SELECT max(code) FROM other';
CREATE FUNCTION masks.known(text) RETURNS bool LANGUAGE sql STABLE
    SET search_path = masks AS 'SELECT EXISTS (SELECT FROM person WHERE region = $1)';
-- what it puts together at run time nobody can know
CREATE FUNCTION masks.by_pieces(text) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = masks
    AS $$ DECLARE r text; BEGIN
    EXECUTE 'SELECT max(code) FROM per' || 'son' INTO r;
    RETURN coalesce(r, 'nothing'); END $$;
INSERT INTO warden.semantic_types (name, mask, description) VALUES
    ('mt_code', 'full', 'test'), ('mt_other', 'func(masks.by_sql)', 'test'),
    ('mt_sql', 'func(masks.by_sql)', 'test');
SECURITY LABEL FOR warden ON COLUMN masks.person.code IS 'mt_code';
SECURITY LABEL FOR warden ON COLUMN masks.other.code IS 'mt_other';
SELECT warden.set_mask('mt_code', 'func(masks.by_sql)');
SELECT warden.set_mask('mt_code', 'func(masks.by_atomic)', 'mask_reader');
SELECT warden.set_mask('mt_code', 'func(masks.by_call)');
SELECT warden.set_mask('mt_code', 'func(masks.by_string)');
SELECT warden.set_mask('mt_code', 'func(masks.by_other)');
SELECT warden.set_mask('mt_code', 'full', 'mask_reader', 'masks.known(region)');
UPDATE warden.semantic_types SET mask = 'func(masks.by_sql)'
    WHERE name = 'mt_code';
-- a label is only warned about: one that was restored must be there
SECURITY LABEL FOR warden ON COLUMN masks.person.region IS 'mt_sql';
SECURITY LABEL FOR warden ON COLUMN masks.person_part.more IS 'mt_sql';
SECURITY LABEL FOR warden ON COLUMN masks.person.region IS NULL;
SECURITY LABEL FOR warden ON COLUMN masks.person_part.more IS NULL;
SECURITY LABEL FOR warden ON COLUMN masks.other.plain IS 'mt_sql';

--
-- must work
--
GRANT USAGE ON SCHEMA masks TO mask_reader;
SECURITY LABEL FOR warden ON ROLE mask_reader IS 'masked';
INSERT INTO warden.semantic_types (name, mask, description) VALUES
    ('mt_partial', 'partial(1,2)', 'test'),
    ('mt_tail', ' PARTIAL( 0 , 4 )', 'test'),
    ('mt_const', 'const(''it''''s'')', 'test'),
    ('mt_42', 'const(''42'')', 'test'),
    ('mt_bucket', 'bucket(10)', 'test'),
    ('mt_half', 'bucket(0.5)', 'test'),
    ('mt_week', 'date(week)', 'test'),
    ('mt_hour', 'date(hour)', 'test'),
    ('mt_century', 'date(century)', 'test'),
    ('mt_json', 'json(ssn, x.y.z)', 'test'),
    ('mt_jsonpath', 'json($.ssn, $.x.y.z, "$".t)', 'test');

-- text: the same values in columns with different masks
CREATE TABLE masks.texts (
    id int,
    raw text,
    ssn text, email text, phone text, card text, name text, partial text,
    tail text, "full" text, secret text, const text, token text
);
INSERT INTO masks.texts
SELECT ordinality, v, v, v, v, v, v, v, v, v, v, v, v
FROM unnest(ARRAY['078-05-4801', '123-45-6789-1', '12a-45-6789', '', NULL,
    'alice@example.com', 'élodie@exämple.fr', '@x.de', 'a@', 'a@b@c', 'no at',
    'x y@z.de', 'a@localhost', 'a@ssn is 1', '4111 1111 1111 1234',
    '4111-1111-1111-1234', '4111111111111', '411111111111',
    '41111111111111111111', '+1 415-555-0132', '555-0001', '555-000',
    '(030) 12/34.567', '12345678x', 'Alice', 'Émile', ' Bob', '9Bob', '日本語',
    'ab', '078-05-480１']) WITH ORDINALITY AS t(v);
SECURITY LABEL FOR warden ON COLUMN masks.texts.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN masks.texts.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN masks.texts.phone IS 'phone';
SECURITY LABEL FOR warden ON COLUMN masks.texts.card IS 'card';
SECURITY LABEL FOR warden ON COLUMN masks.texts.name IS 'name';
SECURITY LABEL FOR warden ON COLUMN masks.texts.partial IS 'mt_partial';
SECURITY LABEL FOR warden ON COLUMN masks.texts.tail IS 'mt_tail';
SECURITY LABEL FOR warden ON COLUMN masks.texts."full" IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.texts.secret IS 'secret';
SECURITY LABEL FOR warden ON COLUMN masks.texts.const IS 'mt_const';
SECURITY LABEL FOR warden ON COLUMN masks.texts.token IS 'token';

-- types of limited length, domains
CREATE DOMAIN masks.word AS varchar(4);
CREATE DOMAIN masks.strict AS text;
CREATE TABLE masks.strings (
    id int, vc varchar(5), bp char(8), bpe char(20), w masks.word,
    d masks.strict, dp masks.strict, t varchar(10), born text
);
INSERT INTO masks.strings VALUES
    (1, 'Alice', 'Alice', 'alice@example.com', 'abcd', '1abc', '1abc', 'x',
     '1984-06-23'),
    (2, 'élodi', 'élodie', 'é@x.fr', 'é', '2', '2', '', ''),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SECURITY LABEL FOR warden ON COLUMN masks.strings.vc IS 'name';
SECURITY LABEL FOR warden ON COLUMN masks.strings.bp IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.strings.bpe IS 'email';
SECURITY LABEL FOR warden ON COLUMN masks.strings.w IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.strings.d IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.strings.dp IS 'mt_partial';
SECURITY LABEL FOR warden ON COLUMN masks.strings.t IS 'token';
SECURITY LABEL FOR warden ON COLUMN masks.strings.born IS 'birth_date';
-- after the labels: what the masks give does not meet this any more
ALTER DOMAIN masks.strict ADD CHECK (VALUE ~ '^\d') NOT VALID;

CREATE TABLE masks.numbers (
    id int, a int2, b int4, c int8, d numeric, e numeric(5,2), f float4,
    g float8, h numeric, hb int4, hc int8, k bool, c42 numeric(5,2)
);
INSERT INTO masks.numbers VALUES
    (1, 1234, 1234, 1234, 1234.5678, 123.45, 1234.5, 1234.25, 1.7, 5, 5, true,
     1),
    (2, -32768, -2147483648, -9223372036854775808, -0.1, -999.99, -0.5, -0.25,
     -0.0001, 5, 5, false, 2),
    (3, 0, 0, 0, 'NaN', 'NaN', 'NaN', 'Infinity', '-Infinity', 6, 6, NULL, 3),
    (4, 7, -7, -10, 'Infinity', -10, 1e30, 1e300, 2.50, -6, -6, true, NULL),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SECURITY LABEL FOR warden ON COLUMN masks.numbers.a IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.b IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.c IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.d IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.e IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.f IS 'mt_bucket';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.g IS 'mt_half';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.h IS 'mt_half';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.hb IS 'token';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.hc IS 'token';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.k IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.numbers.c42 IS 'mt_42';

SET timezone = 'UTC';
CREATE TABLE masks.dates (
    id int, a date, w date, c date, b timestamp, z timestamptz
);
INSERT INTO masks.dates VALUES
    (1, '1984-06-23', '1984-06-23', '1984-06-23', '1984-06-23 13:14:15.678',
     '1984-06-23 23:14:15.678+00'),
    (2, '0001-01-01 BC', '0001-01-01 BC', '0001-01-01 BC', '0001-01-01 BC',
     '0001-01-01 00:00+00 BC'),
    (3, '4713-11-24 BC', '4713-11-24 BC', '4713-11-24 BC', '4713-11-24 BC',
     '4713-11-25 00:00+00 BC'),
    (4, 'infinity', '-infinity', 'infinity', '-infinity', 'infinity'),
    (5, '5874897-12-31', '2000-12-31', '2000-12-31',
     '294276-12-31 23:59:59.999999', '2001-01-01 00:00+00'),
    (6, NULL, NULL, NULL, NULL, NULL);
SECURITY LABEL FOR warden ON COLUMN masks.dates.a IS 'birth_date';
SECURITY LABEL FOR warden ON COLUMN masks.dates.w IS 'mt_week';
SECURITY LABEL FOR warden ON COLUMN masks.dates.c IS 'mt_century';
SECURITY LABEL FOR warden ON COLUMN masks.dates.b IS 'mt_hour';
SECURITY LABEL FOR warden ON COLUMN masks.dates.z IS 'birth_date';

CREATE TABLE masks.others (
    id int, a inet, b cidr, u uuid, y bytea, m macaddr, ar text[], js json,
    jb jsonb, jf jsonb
);
INSERT INTO masks.others VALUES
    (1, '192.0.2.77', '192.0.2.64/26', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
     '\xdeadbeef', '08:00:2b:01:02:03', '{a,b}',
     '{"ssn": "1", "x": {"y": [1, {"z": "raw", "w": 2.50}], "ssn": 2}, "s\u0073n": 3, "t": "a\"b"}',
     '{"ssn": "1", "x": {"y": [1, {"z": "raw", "w": 2.50}], "ssn": 2}, "t": "a\"b"}',
     '{}'),
    (2, '10.1.2.3/8', '10.0.0.0/8', NULL, '', NULL, '{}',
     '[{"ssn": 1}, {"ssn": {"a": [1]}}, "plain", null]',
     '[{"ssn": 1}, {"ssn": {"a": [1]}}, "plain", null]', '[]'),
    (3, '2001:db8:1:2::5', '2001:db8::/32', NULL, NULL, NULL, NULL,
     '"scalar"', '"scalar"', '1'),
    (4, '2001:db8:1:2::5/30', '::/0', NULL, NULL, NULL, NULL,
     '{"q": "raw\u0000"}', '{"ssn": null, "x": {"y": "scalar"}}', 'null'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, NULL, NULL, NULL, NULL, NULL, NULL, '{"x": [], "a": {}}',
     '{"x": [], "a": {}}', NULL);
SECURITY LABEL FOR warden ON COLUMN masks.others.a IS 'ip';
SECURITY LABEL FOR warden ON COLUMN masks.others.b IS 'ip';
SECURITY LABEL FOR warden ON COLUMN masks.others.u IS 'token';
SECURITY LABEL FOR warden ON COLUMN masks.others.y IS 'token';
SECURITY LABEL FOR warden ON COLUMN masks.others.m IS 'ip';
SECURITY LABEL FOR warden ON COLUMN masks.others.ar IS 'full';
SECURITY LABEL FOR warden ON COLUMN masks.others.js IS 'mt_jsonpath';
SECURITY LABEL FOR warden ON COLUMN masks.others.jb IS 'mt_json';
SECURITY LABEL FOR warden ON COLUMN masks.others.jf IS 'email';

-- masks that are functions: an error, its text included, ends as NULL
CREATE FUNCTION masks.head(text) RETURNS text LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog AS $$
BEGIN
    IF $1 = 'boom' THEN
        RAISE EXCEPTION 'raw value %', $1;
    ELSIF $1 = 'null' THEN
        RETURN NULL;
    END IF;
    RETURN '<' || left($1, 2) || '>';
END $$;
CREATE FUNCTION masks.third(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog AS 'SELECT $1 * 100 / 3';
CREATE FUNCTION masks.inverse(text) RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog AS 'SELECT (6 / length($1))::text';
INSERT INTO warden.semantic_types (name, mask, description) VALUES
    ('mt_head', 'func(masks.head)', 'test'),
    ('mt_third', 'func(Masks."third")', 'test'),
    ('mt_inverse', 'func(masks.inverse)', 'test');
CREATE TABLE masks.called (
    id int, v text, vc varchar(3), n numeric(5,2), i text, w masks.word
);
INSERT INTO masks.called VALUES
    (1, 'hello', 'hel', 1.5, 'abc', 'abc'),
    (2, 'boom', 'boo', 999.99, '', 'boom'),
    (3, 'null', 'nul', NULL, 'ab', NULL),
    (4, NULL, NULL, -3, NULL, 'é');
SECURITY LABEL FOR warden ON COLUMN masks.called.v IS 'mt_head';
SECURITY LABEL FOR warden ON COLUMN masks.called.vc IS 'mt_head';
SECURITY LABEL FOR warden ON COLUMN masks.called.n IS 'mt_third';
SECURITY LABEL FOR warden ON COLUMN masks.called.i IS 'mt_inverse';
SECURITY LABEL FOR warden ON COLUMN masks.called.w IS 'mt_head';

-- values out of line
CREATE TABLE masks.long (id int, email text, ssn text, name text);
INSERT INTO masks.long
SELECT i, v, v, v
FROM (VALUES (1, 'q' || repeat('x', 20000) || '@corp.example'),
             (2, repeat('é', 5000)),
             (3, 'a@' || repeat('a', 256))) AS t(i, v);
INSERT INTO masks.long
SELECT 4, v, v, v
FROM (SELECT 'z' || string_agg(md5(i::text), '') || '@corp.example'
      FROM generate_series(1, 1000) i) AS t(v);
SECURITY LABEL FOR warden ON COLUMN masks.long.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN masks.long.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN masks.long.name IS 'name';

GRANT SELECT ON ALL TABLES IN SCHEMA masks TO mask_reader;

SET ROLE mask_reader;
SELECT id, ssn, email, phone, card, name, partial, tail FROM masks.texts
ORDER BY id;
SELECT count(*), count("full"), count(DISTINCT "full"), count(secret),
    count(const), min(const), max(const)
FROM masks.texts;
SELECT count(DISTINCT raw) = count(DISTINCT token) AS one_to_one,
    bool_and(token ~ '^[0-9a-f]{32}$') AS shape,
    bool_or(token LIKE '%' || left(md5(raw), 8) || '%') AS unkeyed
FROM masks.texts;
SELECT id, vc, bp || '|' AS bp, octet_length(bp), bpe, w, d, dp,
    t ~ '^[0-9a-f]{10}$' AS t, born
FROM masks.strings ORDER BY id;
SELECT pg_typeof(vc), pg_typeof(bp), pg_typeof(w), pg_typeof(d)
FROM masks.strings LIMIT 1;
SELECT id, a, b, c, d, e, f, g, h, k, c42 FROM masks.numbers ORDER BY id;
SELECT l.id, r.id, l.hb <> 5 AS hidden, l.hb >= 0 AS b, l.hc >= 0 AS c
FROM masks.numbers l JOIN masks.numbers r USING (hb, hc)
WHERE l.id <= r.id ORDER BY 1, 2;
SELECT * FROM masks.dates ORDER BY id;
-- the session's time zone moves what is printed, not what is behind it
SET timezone = 'Asia/Tokyo';
SELECT id, z, extract(epoch FROM z) FROM masks.dates WHERE id IN (1, 5)
ORDER BY id;
SET timezone = 'UTC';
SELECT id, a, b, substr(u::text, 15, 1) AS version, length(y), m, ar
FROM masks.others ORDER BY id;
SELECT id, js, jb, jf FROM masks.others ORDER BY id;
SELECT * FROM masks.called ORDER BY id;
SELECT id, length(email), right(email, 20), ssn, name FROM masks.long
ORDER BY id;
PREPARE called AS SELECT v FROM masks.called WHERE id = 1;
EXECUTE called;
RESET ROLE;

-- a function that stopped keeping the rules stops being a mask
ALTER FUNCTION masks.head(text) VOLATILE;
SET ROLE mask_reader;
EXECUTE called;
RESET ROLE;
ALTER FUNCTION masks.head(text) STABLE RESET search_path;
SET ROLE mask_reader;
EXECUTE called;
RESET ROLE;
DROP FUNCTION masks.head(text);
SET ROLE mask_reader;
EXECUTE called;
RESET ROLE;

-- a function that comes back to itself has nothing to say there
INSERT INTO masks.person VALUES (1, 'raw', 'north');
SELECT warden.set_mask('mt_code', 'func(masks.by_pieces)');
GRANT SELECT ON masks.person TO mask_reader;
SET ROLE mask_reader;
SELECT * FROM masks.person;
RESET ROLE;

-- without a key nothing is shown
BEGIN;
DELETE FROM warden.mask_keys;
SET LOCAL ROLE mask_reader;
SELECT token FROM masks.texts;
ROLLBACK;

DEALLOCATE ALL;
RESET timezone;
DELETE FROM warden.semantic_types WHERE name LIKE 'mt\_%';
DROP SCHEMA masks CASCADE;
DROP ROLE mask_author;

-- no half characters where the database does not know what a character is
SELECT current_database() AS here \gset
CREATE DATABASE regress_mask_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c regress_mask_ascii
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
CREATE EXTENSION pg_warden;
CREATE TABLE people (name text, email text, other text);
INSERT INTO people VALUES (E'\xc3\x89mile', E'\xc3\xa9mile@ex\xc3\xa4mple.com', E'abc\xc3\xa9\xc3\xa9xyz'),
	(E'Zo\xc3\xab', E'zo\xc3\xab@example.com', E'a\xc3\xa9defgx\xc3\xa9z');
SELECT warden.define_type('mt_other', 'partial(2,3)');
SECURITY LABEL FOR warden ON COLUMN people.name IS 'name';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.other IS 'mt_other';
GRANT SELECT ON people TO mask_reader;
SET ROLE mask_reader;
SELECT * FROM people;
RESET ROLE;
\c :here
DROP DATABASE regress_mask_ascii;
SECURITY LABEL FOR warden ON ROLE mask_reader IS NULL;
DROP ROLE mask_reader;
