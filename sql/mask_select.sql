-- What a governed role sees of labelled columns, by ordinary queries. The
-- ways round are in mask_bypass.
SET client_min_messages = warning;
\pset null '(null)'
\set superuser :USER

CREATE ROLE regress_select_agent LOGIN;
CREATE SCHEMA regress_select;
GRANT USAGE ON SCHEMA regress_select TO regress_select_agent;
SET search_path = regress_select;
CREATE TABLE people (id int PRIMARY KEY, name text, email text, ssn text,
    phone text, card text, born date, ip inet, pin int, note text,
    password text, account text);
INSERT INTO people VALUES
    (1, 'Alice', 'alice@example.com', '078-05-4801', '+1 415-555-0132',
     '4111 1111 1111 1234', '1984-06-23', '192.0.2.77', 1234, 'first',
     'hunter2', 'DE-1'),
    (2, 'Mallory', 'mallory@example.com', '219-09-2210', '+44 20 7946 0018',
     '5500 0000 0000 0004', '1990-12-31', '2001:db8::1:2:3', 99, 'second',
     'letmein', 'DE-2'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'x', 'no at sign', '12', '1', '1', '2000-01-01', '::1', 0, '', '',
     'DE-1');
SECURITY LABEL FOR warden ON COLUMN people.name IS 'name';
SECURITY LABEL FOR warden ON COLUMN people.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN people.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN people.phone IS 'phone';
SECURITY LABEL FOR warden ON COLUMN people.card IS 'card';
SECURITY LABEL FOR warden ON COLUMN people.born IS 'birth_date';
SECURITY LABEL FOR warden ON COLUMN people.ip IS 'ip';
SECURITY LABEL FOR warden ON COLUMN people.pin IS 'full';
SECURITY LABEL FOR warden ON COLUMN people.note IS 'free_text, untrusted';
SECURITY LABEL FOR warden ON COLUMN people.password IS 'secret';
SECURITY LABEL FOR warden ON COLUMN people.account IS 'token';
CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people,
    ship_to text, total numeric);
INSERT INTO orders VALUES (1, 1, 'alice@example.com', 10),
    (2, 2, 'mallory@example.com', 20), (3, 1, 'alice@example.com', 30);
SECURITY LABEL FOR warden ON COLUMN orders.ship_to IS 'email';
CREATE TABLE hidden (id int, ssn text);
CREATE VIEW totals AS
    SELECT p.id, p.email, sum(o.total) AS total
      FROM people p JOIN orders o ON o.person = p.id GROUP BY p.id;
GRANT SELECT ON people, orders, totals TO regress_select_agent;
SECURITY LABEL FOR warden ON ROLE regress_select_agent IS 'agent';

--
-- must fail
--
\c - regress_select_agent
SET search_path = regress_select;
\pset null '(null)'

-- masks give no privilege
SELECT * FROM hidden;
SELECT ssn FROM people FOR UPDATE;
SELECT id FROM people FOR KEY SHARE;
-- errors quote masks only
SELECT email::int FROM people WHERE id = 1;
SELECT ssn::date FROM people WHERE id = 1;
SELECT 1 / (length(ssn) - 11) FROM people WHERE id = 1;
SELECT born / 2 FROM people;
SELECT password || missing FROM people;

--
-- must work
--
SELECT id, name, email, ssn, phone, card FROM people ORDER BY id;
SELECT id, born, ip, pin, note, password FROM people ORDER BY id;
-- hashes can be joined and compared, and not undone
SELECT a.id, b.id, a.account IS NULL AS nothing, a.account LIKE '%DE%' AS raw
  FROM people a LEFT JOIN people b ON a.account = b.account
 ORDER BY a.id, b.id;
-- types stay
SELECT pg_typeof(ssn), pg_typeof(born), pg_typeof(ip), pg_typeof(pin),
       pg_typeof(account) FROM people WHERE id = 1;
-- NULL stays NULL
SELECT id FROM people WHERE ssn IS NULL ORDER BY id;
SELECT count(ssn), count(pin), count(*) FROM people;

-- mask, then everything else: predicates
SELECT id FROM people WHERE ssn = '078-05-4801';
SELECT id FROM people WHERE ssn = '***-**-4801';
SELECT id FROM people WHERE email LIKE 'a%' ORDER BY id;
SELECT id FROM people WHERE email LIKE 'al%' ORDER BY id;
SELECT id FROM people WHERE born = '1984-01-01';
SELECT id FROM people WHERE ip << '192.0.2.0/23' ORDER BY id;
-- joins
SELECT p.id, o.id FROM people p JOIN orders o ON o.ship_to = p.email
 ORDER BY 1, 2;
SELECT * FROM totals ORDER BY id;
-- ordering, grouping, aggregates, windows
SELECT id, email FROM people ORDER BY email, id;
SELECT left(email, 1), count(*) FROM people GROUP BY 1 ORDER BY 1;
SELECT min(ssn), max(ssn), string_agg(name, ',' ORDER BY id) FROM people;
SELECT id, lag(ssn) OVER (ORDER BY id) FROM people ORDER BY id;
SELECT id, rank() OVER (ORDER BY born DESC NULLS LAST) FROM people
 ORDER BY id;
-- expressions
SELECT upper(email), length(ssn), ssn || '!', reverse(name) FROM people
 WHERE id = 1;
SELECT coalesce(name, 'nobody'), CASE WHEN pin = 1234 THEN 'hit' END
  FROM people ORDER BY id;
SELECT extract(month FROM born), born + 1, age(born) = age(born) FROM people
 WHERE id = 1;
-- set operations
SELECT ssn FROM people WHERE id = 1 INTERSECT SELECT '078-05-4801';
SELECT ssn FROM people WHERE id = 1 INTERSECT SELECT '***-**-4801';
-- GROUP BY of the primary key still covers the other columns
SELECT id, email FROM people GROUP BY id ORDER BY id;
-- unlabelled columns keep their indexes
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT email FROM people WHERE id = 2;
SELECT email FROM people WHERE id = 2;
RESET enable_seqscan;

-- results are cut at the agent's rows
\c - :superuser
SET client_min_messages = warning;
SELECT warden.create_agent('regress', 'regress_select_agent');
UPDATE warden.agents SET max_rows = 3 WHERE agent = 'regress';
\c - regress_select_agent
\set VERBOSITY sqlstate
SELECT id FROM regress_select.people ORDER BY id;
SELECT count(*) FROM generate_series(1, 10);
SELECT i FROM generate_series(1, 3) i;
COPY (SELECT i FROM generate_series(1, 5) i) TO STDOUT;
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 10) i;
FETCH 2 FROM c;
FETCH ALL FROM c;
COMMIT;
-- those of a cursor that is held once each, however it was read before
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i;
FETCH 2 FROM c;
COMMIT;
FETCH ALL FROM c;
FETCH FIRST FROM c;
CLOSE c;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 3) i;
FETCH ALL FROM c;
FETCH PRIOR FROM c;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
BEGIN;
DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i;
FETCH 2 FROM c;
COMMIT;
FETCH ALL FROM c;
CLOSE c;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i;
MOVE 1 IN c;
FETCH 1 FROM c;
COMMIT;
FETCH ALL FROM c;
FETCH FIRST FROM c;
CLOSE c;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i;
FETCH ABSOLUTE 9 FROM c;
FETCH ABSOLUTE 7 FROM c;
MOVE ABSOLUTE 2 IN c;
\set VERBOSITY terse
COMMIT;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT i FROM generate_series(1, 10) i;
MOVE 5 IN c;
COMMIT;
\set VERBOSITY default

-- people see clear text, and so does a role without a label
\c - :superuser
SET client_min_messages = warning;
SET search_path = regress_select;
SELECT id, name, email, ssn, born, ip, pin FROM people WHERE id = 1;
SELECT id FROM people WHERE ssn = '078-05-4801';

-- a default deny: columns that nobody has labelled
SET warden.unlabelled_columns = masked;
SET ROLE regress_select_agent;
SELECT id, ship_to, total FROM orders ORDER BY ship_to, id LIMIT 1;
SELECT note FROM people WHERE name = 'A****';
RESET ROLE;
SECURITY LABEL FOR warden ON COLUMN orders.total IS 'none';
SET ROLE regress_select_agent;
SELECT id, ship_to, total FROM orders ORDER BY total;
RESET ROLE;
RESET warden.unlabelled_columns;

\set VERBOSITY terse
DELETE FROM warden.agents WHERE agent = 'regress';
DROP SCHEMA regress_select CASCADE;
DROP ROLE regress_select_agent;
