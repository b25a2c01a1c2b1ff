#!/usr/bin/env python3
"""Measure what pg_warden costs, and print tables.

Run by "make bench", which builds and stages the extension. What is compared is
measured in turns within one run, so that a machine that slows down does so for
both. Numbers are medians; CPU is that of the server's backends, which is less
noisy than rates and what a busy server is short of. Where there is a target,
the table says it and its rows say how they compare; nothing fails here.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time

from instructions import against, count
from mcp import Mcp
from server import Server, run

ROWS = 100000
SCAN_ROWS = 1000000
MODES = ("simple", "prepared")
AUDIT_CLIENTS = 16
LABELLED = (10, 100, 1000, 10000)       # columns, in tables of up to 1000 each

SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text,
                        city text);
INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.com',
       lpad((n % 1000)::text, 3, '0') || '-' || lpad((n % 100)::text, 2, '0')
           || '-' || lpad((n % 10000)::text, 4, '0'), 'city ' || n % 100
  FROM generate_series(1, ROWS) n;
CREATE VIEW masked_customers AS
SELECT id, name, left(email, 1) || '******' || substr(email,
           strpos(email, '@')) AS email,
       '***-**-' || right(ssn, 4) AS ssn, city
  FROM customers;
CREATE TABLE big AS SELECT id, email, ssn FROM customers,
    generate_series(1, COPIES) copies;
CREATE VIEW masked_big AS
SELECT id, left(email, 1) || '******' || substr(email,
           strpos(email, '@')) AS email,
       '***-**-' || right(ssn, 4) AS ssn FROM big;
CREATE VIEW overlaid_big AS
SELECT id, overlay(email PLACING '******' FROM 2
                   FOR strpos(email, '@') - 2) AS email,
       overlay(ssn PLACING '***-**-' FROM 1 FOR 7) AS ssn FROM big;
CREATE TABLE own_log (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(),
                      who text, statement text);
CREATE ROLE bench_reader LOGIN;
CREATE ROLE bench_masked LOGIN;
CREATE ROLE bench_agent LOGIN;
GRANT SELECT ON masked_customers, masked_big, overlaid_big, big
      TO bench_reader;
GRANT INSERT ON own_log TO bench_reader;
GRANT USAGE ON SEQUENCE own_log_id_seq TO bench_reader;
GRANT SELECT ON customers, big TO bench_masked, bench_agent;
GRANT UPDATE ON customers TO bench_agent;
"""

GOVERN = """
SECURITY LABEL FOR warden ON COLUMN customers.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN customers.ssn IS 'ssn';
SECURITY LABEL FOR warden ON COLUMN big.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN big.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE bench_masked IS 'masked';
SECURITY LABEL FOR warden ON ROLE bench_agent IS 'agent';
SELECT warden.create_agent('bench', 'bench_agent');
CREATE ROLE bench_gateway LOGIN NOINHERIT;
GRANT warden_gateway TO bench_gateway;
"""

UPDATE = ("\\set id random(1, %d)\nUPDATE customers SET city = 'x' "
          "WHERE id = :id;\n" % ROWS)

# The rows that one recorded statement makes, by hand
CHANGES = """
CREATE TABLE own_changes (LIKE warden.pending_changes INCLUDING DEFAULTS
                          INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TABLE own_statements (LIKE warden.change_statements INCLUDING DEFAULTS
                             INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE SEQUENCE own_changes_seq;
"""
BY_HAND = """BEGIN;
INSERT INTO own_changes (id, agent, asserted, agent_role, risk, digest, context,
                         statement_count, required_approvals)
VALUES (nextval('own_changes_seq'), 'bench', false, 10, 'low', repeat('a', 64),
        '{"search_path": "public", "TimeZone": "UTC"}', 1, 1);
INSERT INTO own_statements (change_id, ordinal, statement, command, objects,
                            risk, findings)
VALUES (currval('own_changes_seq'), 1, 'UPDATE customers', 'UPDATE', '[]',
        'low', '[]');
NOTIFY own_changes, '{"change":42,"status":"proposed"}';
COMMIT;
"""

SCAN = "SELECT count(email), count(ssn), max(length(email || ssn)) FROM %s;\n"

# What unlabelled columns are asked for, with masked ones in the output
PLANS = (
    "WHERE id = 7", "WHERE id BETWEEN 10 AND 20", "WHERE city = 'city 7'",
    "WHERE city = 'city 7' AND name > 'Customer 5' ORDER BY name LIMIT 5",
    "ORDER BY id DESC LIMIT 3", "WHERE id IN (SELECT n FROM generate_series(1, 5) n)",
    "JOIN (VALUES (1), (2)) v(k) ON v.k = c.id", "WHERE city LIKE 'city 7%' AND id < 50",
    "LEFT JOIN LATERAL (SELECT d.name FROM customers d WHERE d.id = c.id + 1) e "
    "ON true WHERE c.id < 5",
)

OWN_LOG = ("INSERT INTO own_log (who, statement) VALUES ('bench', "
           "'SELECT id, email, ssn FROM customers WHERE id = 12345');\n")

# As the gateway sends them: parameters, no name for the statement, and one
# pipeline for the transaction.
ENTER = "SELECT warden.enter(:token, :person, :request, :key);\n"
LEAVE = "SELECT warden.leave(:key);\n"
CALL = "\\startpipeline\nBEGIN;\n%sCOMMIT;\n\\endpipeline\n"

POINT = ("\\set id random(1, %d)\n"
         "SELECT id, email, ssn FROM %s WHERE id = :id;\n")


def table(title, header, rows):
    """Print one table."""
    rows = [header] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    print("\n" + title)
    for row in rows:
        print("  " + "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))))
    sys.stdout.flush()


def in_turns(measures, rounds):
    """Call each (name, function) in turn, this often; return medians."""
    samples = {name: [] for name, _ in measures}
    for _ in range(rounds):
        for name, measure in measures:
            samples[name].append(measure())
    return {name: tuple(statistics.median(column)
                        for column in zip(*values))
            for name, values in samples.items()}


def compared(results, base):
    """Make table rows of medians, with ratios to the base."""
    return [[name, "%.0f" % rate, "%.1f" % cpu,
             "%+.1f %%" % ((cpu / results[base][1] - 1) * 100)]
            for name, (rate, cpu) in results.items()]


COLUMNS = ["", "per second", "CPU us each", "CPU against the first"]


# A year of an audit trail, in parts like the one that is there already.
TRAIL = """
DO $$
DECLARE
    part regclass := (SELECT inhrelid FROM pg_inherits
        WHERE inhparent = 'warden.audit_events'::regclass
        ORDER BY inhrelid LIMIT 1);
    bound text := (SELECT pg_get_expr(relpartbound, oid) FROM pg_class
        WHERE oid = part);
    start timestamptz := substring(bound, $re$FROM \\('(.*?)'\\)$re$);
    records bigint := RECORDS;
    share bigint := records / 13;
    first bigint := 1000000000;
    definition text;
BEGIN
    FOR n IN REVERSE 12 .. 0 LOOP
        IF n > 0 THEN
            EXECUTE format('CREATE TABLE warden.audit_past_%s
                (LIKE warden.audit_events)', n);
        ELSE
            EXECUTE format('ALTER TABLE %s DISABLE TRIGGER guard_audit', part);
        END IF;
        EXECUTE format($q$
            INSERT INTO %s (id, epoch, at, stored_at, kind, statement_id,
                agent, on_behalf_of, db_role, login_role, statement, command,
                relations, masked_columns, rows, duration_us, outcome,
                prev, hash)
            SELECT %s + g, 1, t.at, t.at,
                CASE WHEN intent THEN 'intent' ELSE 'outcome' END,
                CASE WHEN NOT intent THEN %2$s + g - 1 END,
                CASE WHEN intent THEN 'agent_' || (g / 2) %% 50 END,
                CASE WHEN intent THEN 'person_' || (g / 2) %% 1000 END,
                CASE WHEN intent THEN 'support_agent' END,
                CASE WHEN intent THEN 'gateway' END,
                CASE WHEN intent THEN
                    'SELECT name, ssn FROM customers WHERE id = ' || g END,
                CASE WHEN intent THEN 'SELECT' END,
                CASE WHEN intent THEN ARRAY['public.customers'] END,
                CASE WHEN intent AND (g / 2000) %% 10 = 0
                    THEN ARRAY['public.customers.ssn=ssn']
                    WHEN intent THEN ARRAY['public.customers.email=email'] END,
                CASE WHEN NOT intent THEN 1 END,
                CASE WHEN NOT intent THEN 250 END,
                CASE WHEN NOT intent THEN 'ok' END,
                sha256(g::text::bytea), sha256(g::text::bytea)
            FROM generate_series(0, %s - 1) AS g,
                LATERAL (SELECT g %% 2 = 0 AS intent,
                    %L::timestamptz + (%L::timestamptz - %4$L::timestamptz)
                        * (g::float8 / %3$s) AS at) t $q$,
            CASE n WHEN 0 THEN part::text ELSE 'warden.audit_past_' || n END,
            first, share, start - n * interval '30 days',
            CASE n WHEN 0 THEN now()
                ELSE start - (n - 1) * interval '30 days' END);
        first := first + share;
        IF n > 0 THEN
            FOR definition IN SELECT pg_get_indexdef(indexrelid)
                FROM pg_index WHERE indrelid = part
            LOOP
                EXECUTE replace(definition,
                    (SELECT relname FROM pg_class WHERE oid = part),
                    'audit_past_' || n);
            END LOOP;
            EXECUTE format('ALTER TABLE warden.audit_events
                ATTACH PARTITION warden.audit_past_%s
                FOR VALUES FROM (%L) TO (%L)', n,
                start - n * interval '30 days',
                start - (n - 1) * interval '30 days');
        END IF;
    END LOOP;
END $$"""

QUESTION = """SELECT at, agent, mask, clear, rows FROM warden.audit_columns
WHERE on_behalf_of = 'person_17' AND at > now() - interval '7 days'
  AND column_name = 'public.customers.ssn'"""


class Bench:
    """The servers, and what is measured on them."""

    def __init__(self, args):
        """Start a server without the library and one with it."""
        self.args = args
        with open(os.environ["WARDEN_STAGE_CONF"], encoding="utf-8") as conf:
            lines = [line.strip() for line in conf
                     if line.startswith(("extension_", "dynamic_library",
                                         "shared_preload",
                                         "max_worker"))]
        self.lines = lines
        self.plain = Server([line for line in lines
                             if not line.startswith("shared_preload")])
        self.loaded = Server(lines)
        self.scripts = tempfile.mkdtemp(prefix="pg_warden-bench.")

    def audited(self, mode):
        """Choose how long statements wait for their audit records."""
        self.loaded.psql("ALTER SYSTEM SET warden.audit = '%s'" % mode)
        self.loaded.psql("SELECT pg_reload_conf()")
        time.sleep(0.5)

    def setup(self):
        """Load the same data into both; govern the loaded one."""
        for server in (self.plain, self.loaded):
            server.start()
            server.psql("SET client_min_messages = warning;" + SCHEMA.replace(
                "ROWS", str(ROWS)).replace("COPIES", str(SCAN_ROWS // ROWS)))
            server.psql("VACUUM ANALYZE")
            run([os.path.join(os.environ["PG_BINDIR"], "pgbench"), "-i", "-q",
                 "-s", "10", "-h", server.directory, "-U", "postgres",
                 "postgres"])
        self.loaded.psql("SET client_min_messages = warning;"
                         "CREATE EXTENSION pg_warden;" + GOVERN)
        self.audited("async")

    def destroy(self):
        """Remove everything."""
        for server in (self.plain, self.loaded):
            server.destroy()
        run(["rm", "-rf", self.scripts])

    def script(self, relation):
        """Write a pgbench script that reads one row; return its path."""
        return self.write(relation, POINT % (ROWS, relation))

    def write(self, name, text):
        """Write a pgbench script; return its path."""
        path = os.path.join(self.scripts, name)
        with open(path, "w", encoding="utf-8") as script:
            script.write(text)
        return path

    def ungoverned(self):
        """Measure what sessions pay that nothing governs."""
        for mode in MODES:
            arguments = ["-S", "-M", mode, "-c", "1"]
            results = in_turns(
                [("not loaded", lambda: self.plain.pgbench(
                    arguments, self.args.seconds)),
                 ("loaded, ungoverned", lambda: self.loaded.pgbench(
                     arguments, self.args.seconds))], self.args.rounds)
            table("pgbench -S -M %s, one client; target: within 5 %%" % mode,
                  COLUMNS, compared(results, "not loaded"))

    def governed(self):
        """Measure a masked point read against a view with such masks."""
        for mode in MODES:
            def read(relation, role):
                arguments = ["-M", mode, "-c", "1", "-f",
                             self.script(relation)]
                return lambda: self.loaded.pgbench(
                    arguments, self.args.seconds, role)
            results = in_turns(
                [("ungoverned, hand-written view", read("masked_customers",
                                                        "bench_reader")),
                 ("governed, class masked", read("customers",
                                                 "bench_masked")),
                 ("governed, class agent", read("customers",
                                                "bench_agent"))],
                self.args.rounds)
            table("masked point read with its audit (async), -M %s; target: "
                  "within 5 %%" % mode, COLUMNS, compared(
                      results, "ungoverned, hand-written view"))

    def scan(self):
        """Measure a scan of many rows against such masks in plain SQL."""
        def read(relation, role):
            path = self.write("scan_" + relation, SCAN % relation)
            return lambda: self.loaded.pgbench(
                ["-c", "1", "-t", "3", "-f", path], 0, role)
        results = in_turns(
            [("left() || substr()", read("masked_big", "bench_reader")),
             ("overlay()", read("overlaid_big", "bench_reader")),
             ("no masks", read("big", "bench_reader")),
             ("governed, class masked", read("big", "bench_masked")),
             ("governed, class agent", read("big", "bench_agent"))],
            min(self.args.rounds, 3))
        table("scan of %d rows, two masked columns; target: no slower than "
              "plain SQL" % SCAN_ROWS, COLUMNS,
              [[row[0], "%.2f" % results[row[0]][0], "%.0f" % results[
                  row[0]][1], row[3]] for row in compared(
                      results, "left() || substr()")])

    def label(self, wanted):
        """Have this many labelled columns in tables beside the one read."""
        have = int(self.loaded.psql(
            "SELECT count(*) FROM pg_seclabel WHERE provider = 'warden' AND "
            "objoid IN (SELECT oid FROM pg_class WHERE relname ~ '^wide_')"))
        while have < wanted:
            name, count = "wide_%d" % have, min(1000, wanted - have)
            self.loaded.psql("CREATE TABLE %s (%s); GRANT SELECT ON %s TO "
                             "bench_masked" % (name, ", ".join(
                                 "c%d int" % n for n in range(count)), name))
            self.loaded.psql("BEGIN;" + "".join(
                "SECURITY LABEL FOR warden ON COLUMN %s.c%d IS 'full';" % (
                    name, n) for n in range(count)) + "COMMIT")
            have += count

    def growth(self):
        """Measure planning while more and more columns are labelled."""
        path = self.write("plan", "EXPLAIN SELECT id, email, ssn FROM customers "
                          "WHERE id = 1;\n")
        rows, base = [], None
        for count in LABELLED:
            self.label(count)
            rates = [self.loaded.pgbench(["-c", "1", "-f", path],
                                         self.args.seconds, "bench_masked")
                     for _ in range(self.args.rounds)]
            connect = [self.loaded.pgbench(["-C", "-c", "1", "-f", path],
                                           self.args.seconds, "bench_masked")
                       for _ in range(self.args.rounds)]
            # what is left when nothing else disturbs: a few percent are asked
            cpu = min(r[1] for r in rates)
            base = base or cpu
            rows.append(["%d labelled columns" % count, "%.1f" % cpu,
                         "%.1f" % statistics.median(r[1] for r in connect),
                         "%+.1f %%" % ((cpu / base - 1) * 100)])
        table("EXPLAIN of a masked point read, as more is labelled elsewhere",
              ["", "CPU us", "CPU us, new session", "against the first"], rows)
        self.memory()

    def memory(self):
        """What a backend keeps of policy once it has met every label."""
        tables = self.loaded.psql("SELECT relname FROM pg_class WHERE relname ~ "
                                  "'^wide_[0-9]+$'").split()
        used = ("RESET ROLE; SELECT name, sum(total_bytes) / 1024 FROM "
                "pg_backend_memory_contexts WHERE name LIKE 'warden%' OR ident "
                "LIKE 'warden%' GROUP BY ROLLUP (name) ORDER BY 2; ")
        out = self.loaded.psql("SET ROLE bench_masked; " + "".join(
            "EXPLAIN SELECT * FROM %s; " % name for name in tables) + used)
        rows = [line.split("|") for line in out.splitlines()
                if re.match(r"^[\w ]*\|[\d.]+$", line)]
        table("Memory for policy in a backend that has planned reads of all %d "
              "tables (the target is 4096 in all)" % len(tables),
              ["", "KiB"], [[name or "in all", "%.0f" % float(size)]
                            for name, size in rows])

    def plans(self):
        """Whether predicates on unlabelled columns keep their index."""
        self.loaded.psql("CREATE INDEX by_city ON customers (city, name)")
        self.loaded.psql("VACUUM ANALYZE customers")
        rows = []
        for where in PLANS:
            sql = "EXPLAIN (FORMAT json) SELECT id, email, ssn FROM customers c " \
                + where
            nodes = [re.findall(r'"(?:Node Type|Index Name|Scan Direction|Join Type)"'
                                r': "(.*?)"', self.loaded.psql(sql, role))
                     for role in ("postgres", "bench_masked")]
            rows.append([where, " / ".join(nodes[0]),
                         "yes" if nodes[0] == nodes[1] else
                         "no: " + " / ".join(nodes[1])])
        table("Plans by predicates on unlabelled columns", [
            "SELECT id, email, ssn FROM customers c", "in clear", "same masked"],
              rows)

    def calls(self):
        """Return (name, pgbench's arguments, role) of one MCP call's
        transaction, and of the same SELECT in BEGIN and COMMIT alone: a
        gateway's own connection may not run it without badging in, so those
        are connections of other logins."""
        token = self.loaded.psql("SELECT warden.issue_token('bench')")
        self.loaded.psql("SELECT warden.allow_delegation('bench', 'pat')")
        arguments = ["-M", "extended", "-c", "1"]
        for name, value in (("token", token), ("person", "pat"),
                            ("request", "{}"), ("key", "bench-key-1")):
            arguments += ["-D", "%s=%s" % (name, value)]
        read = POINT % (ROWS, "customers")
        view = POINT % (ROWS, "masked_customers")
        return [(name, arguments + ["-f", self.write(file, CALL % call)], role)
                for name, file, call, role in (
                    ("ungoverned, in clear", "clear", read, "postgres"),
                    ("ungoverned, hand-written view", "view", view,
                     "bench_reader"),
                    ("agent's own login", "bare", read, "bench_agent"),
                    ("gateway, enter and leave", "enter", ENTER + read + LEAVE,
                     "bench_gateway"))]

    def enter(self):
        """Measure what badging in and out adds to a gateway's call."""
        def measure(arguments, role):
            return lambda: self.loaded.pgbench(arguments, self.args.seconds,
                                               role)
        results = in_turns([(name, measure(arguments, role))
                            for name, arguments, role in self.calls()],
                           self.args.rounds)
        rows = compared(results, "ungoverned, in clear")
        rows.append(["enter and leave", "", "%.1f" % (
            float(rows[3][2]) - float(rows[2][2])), ""])
        table("BEGIN, point read, COMMIT in a pipeline; the same within enter "
              "and leave; target: under 60 us for the two", COLUMNS, rows)

    def instructions(self):
        """Count what a backend does for a transaction: README's table."""
        def read(mode, relation, role):
            return (mode + role, ["-M", mode, "-f", self.script(relation)],
                    role)
        bare = [(mode, ["-S", "-M", mode], "postgres") for mode in MODES]
        reads = [read(mode, relation, role) for mode in MODES
                 for relation, role in (("masked_customers", "bench_reader"),
                                        ("customers", "bench_masked"),
                                        ("customers", "bench_agent"))]
        calls = self.calls()
        writes = [(role, ["-f", self.write("update", UPDATE)], role)
                  for role in ("postgres", "bench_agent")]
        self.no_budget()
        without = count(self.plain, bare)
        having = count(self.loaded, bare + reads + calls + writes)
        rows = [against("ungoverned pgbench -S, %s; library not loaded, loaded"
                        % mode, without[mode], having[mode]) for mode in MODES]
        rows += [against("read by key, %s; hand-written view, %s" % (
            mode, role), having[mode + "bench_reader"], having[mode + role])
                 for mode in MODES for role in ("bench_masked", "bench_agent")]
        rows += [against("the same in BEGIN and COMMIT; %s, %s" % (
            calls[0][0], name), having[calls[0][0]], having[name])
                 for name, _, _ in calls[1:]]
        rows.append(against("UPDATE by key; run ungoverned, recorded",
                            having["postgres"], having["bench_agent"]))
        table("Instructions of a backend for a transaction", [
            "", "without", "with", ""], rows)

    def run_logged(self, name, text, mode, role):
        """Return a measure of many clients, of the worker's CPU as well."""
        arguments = ["-c", str(AUDIT_CLIENTS), "-f", self.write(name, text)]

        def measure():
            if mode:
                self.audited(mode)
            worker = self.loaded.worker_cpu()
            rate, cpu = self.loaded.pgbench(arguments, self.args.seconds, role)
            worker = self.loaded.worker_cpu() - worker
            return rate, cpu, max(worker, 0) / (rate * self.args.seconds)
        return measure

    def audit(self):
        """Measure audited reads against statements that log themselves."""
        read = POINT % (ROWS, "customers")
        logged = POINT % (ROWS, "masked_customers") + OWN_LOG
        results = in_turns(
            [("view, then an INSERT of its own",
              self.run_logged("logged", logged, None, "bench_reader")),
             ("an INSERT alone",
              self.run_logged("log", OWN_LOG, None, "bench_reader")),
             ("governed read, sync",
              self.run_logged("sync", read, "sync", "bench_agent")),
             ("governed read, async",
              self.run_logged("async", read, "async", "bench_agent"))],
            min(self.args.rounds, 3))
        self.audited("async")
        base = results["governed read, async"][0]
        table("%d clients; targets: sync at least as fast as statements that "
              "each commit an INSERT, and 60 %% of async" % AUDIT_CLIENTS,
              ["", "per second", "of async", "CPU us each",
               "worker us a record"],
              [[name, "%.0f" % rate, "%.0f %%" % (rate / base * 100),
                "%.1f" % cpu, "%.1f" % (worker / 2) if worker else "-"]
               for name, (rate, cpu, worker) in results.items()])

    def no_budget(self):
        """Let the agent propose as many changes as it likes."""
        self.loaded.psql("UPDATE warden.agents SET max_open_changes = NULL, "
                         "changes_per_hour = NULL")

    def divert(self):
        """Measure the recording of a write as a pending change."""
        self.no_budget()
        self.loaded.psql(CHANGES)

        def measure(name, text, role, mode="simple"):
            arguments = ["-c", "1", "-M", mode, "-f", self.write(name, text)]

            def some(count):
                rate, cpu = self.loaded.pgbench(
                    arguments + ["-t", str(count)], 0, role)
                return rate, cpu * count

            def each():
                first = some(1)[1]
                rate, cpu = some(1001)
                return rate, (cpu - first) / 1000
            return each
        results = in_turns(
            [("run, ungoverned", measure("update", UPDATE, "postgres")),
             ("recorded as a change", measure("update", UPDATE,
                                              "bench_agent")),
             ("such rows and NOTIFY by hand, prepared",
              measure("by_hand", BY_HAND, "postgres", "prepared"))],
            self.args.rounds)
        ran = results["run, ungoverned"][1]
        table("an UPDATE by key; target: recording takes under 150 us",
              ["", "per second", "CPU us each", "above the one that runs"],
              [[name, "%.0f" % rate, "%.0f" % cpu, "%+.0f" % (cpu - ran)]
               for name, (rate, cpu) in results.items()])
        self.review()

    def review(self):
        """Time the review of a long script, once its catalogs are cached."""
        kinds = ["UPDATE customers SET city = 'x' WHERE id = %d",
                 "DELETE FROM customers WHERE city = 'nowhere %d'",
                 "ALTER TABLE customers ADD added%d int",
                 "INSERT INTO customers (id, city) VALUES (%d, 'x')",
                 "CREATE INDEX added%d ON customers (city)"]
        script = ";\n".join(kinds[i % len(kinds)] % i for i in range(500))
        self.loaded.psql("CREATE ROLE bench_reviewer LOGIN "
                         "IN ROLE warden_reviewer")
        change = self.loaded.psql(
            "SELECT warden.propose($s$%s$s$, 'long', NULL)" % script,
            "bench_agent")
        explained = self.loaded.psql(
            ("EXPLAIN (ANALYZE, TIMING OFF) SELECT FROM warden.review(%s);"
             % change) * 6, "bench_reviewer")
        times = [float(ms) for ms in
                 re.findall(r"Execution Time: ([0-9.]+)", explained)]
        table("review of a script of 500 statements; target: under 200 ms",
              ["", "first ms", "best ms"],
              [["review", "%.0f" % times[0], "%.0f" % min(times)]])

    def trail(self):
        """Ask a year's audit trail who read a column for a person last week.

        The records are made up: what is measured is finding them.
        """
        self.loaded.psql("SELECT warden.flush_audit()")
        self.loaded.psql(TRAIL.replace("RECORDS", str(self.args.records)))
        self.loaded.psql("VACUUM ANALYZE warden.audit_events")
        lines = self.loaded.psql(
            "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + QUESTION).splitlines()
        times = [float(re.search(r"Execution Time: ([0-9.]+)",
                                 self.loaded.psql("EXPLAIN ANALYZE " +
                                                  QUESTION)).group(1))
                 for _ in range(self.args.rounds)]
        table("who read customers.ssn for a person last week, by EXPLAIN",
              ["records", "parts", "found", "best ms", "worst ms"],
              [[str(self.args.records),
                self.loaded.psql("SELECT count(*) FROM pg_inherits WHERE"
                                 " inhparent = 'warden.audit_events'"
                                 "::regclass"),
                self.loaded.psql("SELECT count(*) FROM (%s) q" % QUESTION),
                "%.2f" % min(times), "%.2f" % max(times)]])
        executed = True
        for line in lines:
            if "->" in line:
                executed = "never executed" not in line
            if executed or "SubPlan" in line:
                executed = True
                print(line)

    def mcp(self):
        """Measure warden-mcp beside other MCP servers."""
        side_by_side = Mcp(self.lines, self.args.seconds, self.args.rounds,
                           table)
        try:
            side_by_side.run()
        finally:
            side_by_side.destroy()


def main():
    """Run the sections asked for."""
    sections = ["ungoverned", "governed", "scan", "plans", "growth", "enter",
                "audit", "trail", "divert", "instructions", "mcp"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", choices=sections + [[]])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=200000,
                        help="of the audit trail, for the section trail")
    args = parser.parse_args()

    bench = Bench(args)
    try:
        if args.section != ["mcp"]:
            bench.setup()
        for section in args.section or sections:
            getattr(bench, section)()
    finally:
        bench.destroy()


if __name__ == "__main__":
    main()
