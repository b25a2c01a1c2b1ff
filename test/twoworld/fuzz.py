#!/usr/bin/env python3
"""Random statements of an agent, sent to both worlds and compared.

    fuzz.py [--seconds N] [--seed N] [--engine grammar|sqlsmith|both] [--stock]
            [--same] [--bindir DIR] [--destdir DIR] [--failures FILE]
            [--max N[,N]]

The grammar favours labelled columns. sqlsmith (if it is installed) writes its
statements in one world; they are replayed in both. Each failure is a statement
whose answers differ, that shows a raw value, that ends a backend, or that
raises WD008, or XX000 where an ungoverned session does not. --max ends the
engines after so many statements (grammar, sqlsmith), so that a run that ends
by it is the same on every machine. Fails as well where fewer than 40 % of the statements
ran, or fewer than 10 % ran and touched a labelled column: then the run has
proved nothing. The last line is "N passed, N failed".
"""

import argparse
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

import pgwire
import run as harness
import world as worlds

LABELLED = {
    "customers": ("ssn", "email", "notes"), "orders": ("ship_ssn",),
    "people_u": ("ssn", "email"), "watch": ("email", "ssn_chk"), "cust_p": ("ssn",),
    "cust_p1": ("ssn",), "cust_p2": ("ssn",), "cust_l": ("ssn",),
    "cust_base": ("ssn",), "cust_child": ("ssn",), "cust_gen": ("ssn", "area"),
    "cust_drop": ("ssn",), "v_cust": ("national_id", "contact"),
    "v_inv": ("ssn", "email"), "v_sb": ("ssn",), "v_chk": ("ssn", "email"),
    "ft_customers": ("ssn",), "cust_types": ("d", "ci"),
}
TABLES = {
    "customers": {"id": "int", "email": "text", "ssn": "text", "phone": "text",
                  "balance": "num"},
    "orders": {"id": "int", "customer_id": "int", "ship_ssn": "text",
               "total": "num"},
    "people_u": {"email": "text", "ssn": "text"},
    "watch": {"id": "int", "email": "text", "ssn_chk": "text"},
    "cust_p": {"id": "int", "ssn": "text"}, "cust_p1": {"id": "int", "ssn": "text"},
    "cust_p2": {"id": "int", "ssn": "text"}, "cust_l": {"id": "int", "ssn": "text"},
    "cust_base": {"id": "int", "ssn": "text"},
    "cust_child": {"id": "int", "ssn": "text", "extra": "int"},
    "cust_gen": {"id": "int", "ssn": "text", "area": "text"},
    "cust_drop": {"id": "int", "ssn": "text"},
    "v_cust": {"id": "int", "national_id": "text", "contact": "text"},
    "v_inv": {"id": "int", "ssn": "text", "email": "text"},
    "v_sb": {"id": "int", "ssn": "text", "balance": "num"},
    "v_chk": {"id": "int", "ssn": "text", "email": "text", "phone": "text"},
    "f_srf()": {"id": "int", "ssn": "text", "email": "text", "balance": "num"},
    "ft_customers": {"id": "int", "ssn": "text"},
    "cust_types": {"id": "int", "d": "text"},
}
WEIGHT = {"customers": 10, "orders": 4, "v_cust": 3, "v_inv": 2, "f_srf()": 2,
          "cust_p": 2}
CONSTANTS = ["'123-45-6789'", "'987-65-6789'", "'***-**-6789'", "'222-33-4444'",
             "'***-**-4444'", "'1%'", "'5'", "'9'", "'q'", "'qaa1@corp.example'",
             "'q******@corp.example'", "''", "'555-0001'", "'%4444'", "'2'", "NULL"]
# Answers that differ between any two servers
UNSTABLE = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|"
    r"random|setseed|gen_random_\w+|pg_backend_pid|txid_\w+|pg_current_\w+|"
    r"pg_(stat|ls|control|wal|logical|replication|export|notification|blocking|"
    r"safe|lock|postmaster|conf|terminate|cancel|sleep|rotate|reload|promote|"
    r"create|drop|switch|backup|import|is_other|my_temp|column_compression|"
    r"relation_size|total|table|database_size|tablespace|indexes|read|log_backend|"
    r"advisory|try_advisory|get_backend|get_wal|mcv|visible_in|xact|snapshot|"
    r"last|prepared|partition_tree|cursor|jit)\w*|inet_\w+|xmin|xmax|cmin|cmax|"
    r"current_timestamp|localtime\w*|current_time|pgp_\w+|gen_salt|normal_rand|"
    r"pgrowlocks|dblink\w*|lastval|version|cash_words|amcheck|bt_\w+|heap_\w+|"
    r"get_raw_page|brin_\w+|hash_page\w*|gin_\w+|pgstat\w+|cursor_to_\w+|"
    r"database_to_\w+|schema_to_\w+|table_to_\w+|query_to_\w+|crosstab\w*|"
    r"connectby|xpath_\w+|lo_\w+|lowrite|loread|ts_stat|age|query_id|pid|oid|"
    r"statistics|ruleutils|repeat|generate_series|lpad|rpad|word_similarity)\s*\(|"
    r"\bpg_(stat|lock|cursor|prepared|shmem|backend|config|file|hba|ident|tables|"
    r"settings|proc|class|attribute)\w*\b|\b(xmin|xmax|cmin|cmax|"
    r"current_timestamp|localtime\w*|current_time|"
    r"(created|decided|applied|expires|updated)_at|my_audit)\b", re.I)

# What the server's own parser turns down has tested nothing
INVALID = {"42601", "42883", "42804", "42846", "42725", "428C9", "42809", "42803",
           "42703", "42P10", "42P18", "42P19", "42P20"}


class Grammar:
    """Generates statements."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.count = 0

    def pick(self, *options):
        """One of the options, called if it is a function."""
        choice = self.rng.choice(options)
        return choice() if callable(choice) else choice

    def chance(self, percent):
        """True with that probability."""
        return self.rng.randrange(100) < percent

    # -- FROM ----------------------------------------------------------------

    def table(self):
        """A relation, labelled ones more often."""
        names = list(TABLES)
        return self.rng.choices(names, [WEIGHT.get(n, 1) for n in names])[0]

    def from_item(self, scope, depth):
        """One FROM item; fills the scope with (alias.column, type, labelled)."""
        self.count += 1
        alias = "t%d" % self.count
        if depth > 0 and self.chance(18):
            return self.sub_item(scope, depth, alias)
        name = self.table()
        base = name.replace("()", "")
        marked = LABELLED.get(base, ("ssn", "email"))
        for column, kind in TABLES[name].items():
            scope.append(("%s.%s" % (alias, column), kind, column in marked))
        scope.append((alias, "row", True))
        sample = ""
        if base in ("customers", "orders", "cust_drop") and self.chance(4):
            sample = " TABLESAMPLE BERNOULLI (%d) REPEATABLE (%d)" % (
                self.rng.choice((50, 100)), self.rng.randrange(9))
        only = "ONLY " if base in ("cust_base", "cust_p", "orders") and \
            self.chance(8) else ""
        return "%s%s AS %s%s" % (only, name, alias, sample)

    def sub_item(self, scope, depth, alias):
        """A subquery in FROM with known output columns."""
        inner = []
        body_from = self.from_clause(inner, depth - 1)
        columns = []
        for index, kind in enumerate(("text", "int", "text")):
            columns.append("%s AS c%d" % (self.expr(inner, kind, depth - 1), index))
        where = self.where(inner, depth - 1)
        lateral = self.pick("", "", "LATERAL ") if scope else ""
        tail = self.pick("", "", " OFFSET 0", " ORDER BY 1, 2, 3 LIMIT 9")
        for index, kind in enumerate(("text", "int", "text")):
            scope.append(("%s.c%d" % (alias, index), kind, kind == "text"))
        return "%s(SELECT %s FROM %s%s%s) AS %s" % (
            lateral, ", ".join(columns), body_from, where, tail, alias)

    def from_clause(self, scope, depth):
        """FROM with joins; small, so that statements end in time."""
        out = self.from_item(scope, depth)
        joins = self.rng.choices((0, 1, 2), (55, 35, 10))[0]
        for _ in range(joins):
            before = list(scope)
            item = self.from_item(scope, depth)
            fresh = scope[len(before):]
            kind = self.pick("JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN")
            left = self.column(before, self.pick("text", "int"))
            wanted = next((k for n, k, _ in before if n == left), "text")
            right = self.column(fresh, wanted)
            on = "%s = %s" % (left, right)
            if kind != "FULL JOIN" and self.chance(25):
                on += " AND " + self.condition(scope, 0)
            if item.startswith("LATERAL"):
                kind = self.pick("JOIN", "LEFT JOIN")
            out += " %s %s ON %s" % (kind, item, on)
        return out

    # -- expressions ------------------------------------------------------------

    def column(self, scope, kind):
        """A column of that type, labelled ones first; a constant if there is none."""
        fitting = [s for s in scope if s[1] == kind]
        marked = [s for s in fitting if s[2]]
        if marked and self.chance(70):
            return self.rng.choice(marked)[0]
        if fitting:
            return self.rng.choice(fitting)[0]
        return {"text": "'x'", "int": "1", "num": "1.5", "row": "ROW(1)"}[kind]

    def expr(self, scope, kind, depth):
        """An expression of a type."""
        if depth <= 0 or self.chance(35):
            return self.column(scope, kind)
        return {"text": self.text, "int": self.integer, "num": self.number,
                "bool": self.condition}[kind](scope, depth - 1)

    def text(self, scope, depth):
        """A text expression."""
        def one():
            return self.expr(scope, "text", depth)
        return self.pick(
            lambda: "left(%s, %d)" % (one(), self.rng.randrange(1, 8)),
            lambda: "right(%s, %d)" % (one(), self.rng.randrange(1, 8)),
            lambda: "substr(%s, %d, 3)" % (one(), self.rng.randrange(1, 9)),
            lambda: "upper(%s)" % one(),
            lambda: "md5(%s)" % one(),
            lambda: "replace(%s, '-', '')" % one(),
            lambda: "(%s || '/' || %s)" % (one(), one()),
            lambda: "coalesce(%s, %s)" % (one(), one()),
            lambda: "nullif(%s, %s)" % (one(), self.constant()),
            lambda: "greatest(%s, %s)" % (one(), self.constant()),
            lambda: "split_part(%s, '-', 1)" % one(),
            lambda: "regexp_replace(%s, '[0-9]', '#')" % one(),
            lambda: "(%s)::varchar(5)" % one(),
            lambda: "CASE WHEN %s THEN %s ELSE %s END" % (
                self.condition(scope, depth), one(), self.constant("text")),
            lambda: "(%s)::text" % self.column(scope, self.pick("int", "num", "row")),
            lambda: "to_jsonb(%s)->>'ssn'" % self.column(scope, "row"),
            lambda: "row_to_json(%s)::text" % self.column(scope, "row"),
            lambda: self.scalar(scope, "text", depth),
            lambda: "f_sql(%s)" % self.expr(scope, "int", 0),
            lambda: "f_pl(%d)" % self.rng.randrange(1, 7),
            lambda: "f_atomic(%d)" % self.rng.randrange(1, 7))

    def integer(self, scope, depth):
        """An integer expression; some of them fail on purpose."""
        def one():
            return self.expr(scope, "text", depth)
        return self.pick(
            lambda: "length(%s)" % one(), lambda: "ascii(%s)" % one(),
            lambda: "strpos(%s, '%d')" % (one(), self.rng.randrange(10)),
            lambda: "(%s + 1)" % self.expr(scope, "int", depth),
            lambda: "hashtext(%s)" % one(),
            lambda: "CASE WHEN %s THEN 1 ELSE 0 END" % self.condition(scope, depth),
            lambda: "pg_column_size(%s)" % one(),
            lambda: self.scalar(scope, "int", depth),
            lambda: "(%s %% 7)" % self.expr(scope, "int", depth),
            lambda: "(%s)::int" % one() if self.chance(15) else "length(%s)" % one(),
            lambda: "1 / (ascii(%s) - 49)" % one() if self.chance(15)
            else "octet_length(%s)" % one())

    def number(self, scope, depth):
        """A numeric expression."""
        return self.pick(
            lambda: "(%s * 2)" % self.column(scope, "num"),
            lambda: "round(%s)" % self.column(scope, "num"),
            lambda: "(%s)::numeric" % self.expr(scope, "int", depth))

    def scalar(self, scope, kind, depth):
        """A scalar subquery, correlated or not."""
        inner = []
        source = self.from_item(inner, 0)
        both = inner + scope
        aggregate = self.pick("min(%s)", "max(%s)", "max(%s)")
        if kind == "int":
            aggregate = self.pick("count(%s)", "max(%s)", "count(DISTINCT %s)")
            body = self.column(inner, "text") if "count" in aggregate else \
                self.column(inner, "int")
            out = "(SELECT (%s)::int FROM %s WHERE %s)"
        else:
            body = self.column(inner, "text")
            out = "(SELECT %s FROM %s WHERE %s)"
        return out % (aggregate % body, source, self.condition(both, min(depth, 1)))

    def constant(self, kind=None):
        """A literal, values of both worlds among them."""
        value = self.rng.choice(CONSTANTS)
        return "'x'" if kind == "text" and value == "NULL" else value

    def condition(self, scope, depth):
        """A predicate."""
        def one():
            return self.expr(scope, "text", depth)

        def number():
            return self.expr(scope, "int", depth)
        simple = (
            lambda: "%s = %s" % (one(), self.constant()),
            lambda: "%s %s %s" % (one(), self.pick("<", ">", "<=", ">=", "<>"),
                                  self.constant()),
            lambda: "%s LIKE %s" % (one(), self.constant()),
            lambda: "%s ~ '^[%d-9]'" % (one(), self.rng.randrange(9)),
            lambda: "%s IS %sNULL" % (one(), self.pick("", "NOT ")),
            lambda: "%s < %d" % (number(), self.rng.choice((3, 6, 50, 150))),
            lambda: "%s = %d" % (self.column(scope, "int"), self.rng.randrange(1, 7)),
            lambda: "%s BETWEEN %s AND %s" % (one(), self.constant(), self.constant()),
            lambda: "%s IN (%s, %s)" % (one(), self.constant(), self.constant()),
            lambda: "%s IS DISTINCT FROM %s" % (one(), self.constant()),
            lambda: "%s < %s" % (one(), self.column(scope, "text")))
        if depth <= 0 or self.chance(60):
            return self.rng.choice(simple)()
        return self.pick(
            lambda: "(%s AND %s)" % (self.condition(scope, depth - 1),
                                     self.condition(scope, depth - 1)),
            lambda: "(%s OR %s)" % (self.condition(scope, depth - 1),
                                    self.condition(scope, depth - 1)),
            lambda: "NOT (%s)" % self.condition(scope, depth - 1),
            lambda: self.membership(scope, depth))

    def membership(self, scope, depth):
        """EXISTS, IN, ANY, ALL over a subquery."""
        inner = []
        source = self.from_item(inner, 0)
        where = self.condition(inner + scope, min(depth - 1, 1))
        return self.pick(
            lambda: "%sEXISTS (SELECT 1 FROM %s WHERE %s)" % (
                self.pick("", "NOT "), source, where),
            lambda: "%s %sIN (SELECT %s FROM %s WHERE %s)" % (
                self.column(scope, "text"), self.pick("", "NOT "),
                self.column(inner, "text"), source, where),
            lambda: "%s %s (SELECT %s FROM %s WHERE %s)" % (
                self.column(scope, "text"), self.pick("= ANY", "> ALL", "<= ANY"),
                self.column(inner, "text"), source, where))

    def where(self, scope, depth):
        """An optional WHERE."""
        return " WHERE " + self.condition(scope, depth) if self.chance(70) else ""

    # -- statements ---------------------------------------------------------------

    def select(self, depth=2):
        """A SELECT of some shape."""
        return self.pick(self.plain, self.plain, self.plain, self.grouped,
                         self.windowed, self.set_operation, self.with_query)

    def plain(self):
        """A SELECT without grouping."""
        scope = []
        source = self.from_clause(scope, 2)
        items = [self.expr(scope, self.pick("text", "text", "int", "num"), 2)
                 for _ in range(self.rng.randrange(1, 4))]
        if self.chance(10):
            items.append(self.column(scope, "row"))
        if self.chance(5):
            items.append("*")
        distinct = "DISTINCT " if self.chance(12) else ""
        order = ""
        if self.chance(50):
            order = " ORDER BY %s" % (self.pick("1", "1 DESC") if distinct else self.pick(
                "1", self.expr(scope, "text", 1), "1 DESC NULLS LAST"))
        limit = " LIMIT %d" % self.rng.randrange(1, 40) if self.chance(60) else ""
        if order and limit and self.chance(10):
            limit = " FETCH FIRST 3 ROWS WITH TIES"
        return "SELECT %s%s FROM %s%s%s%s" % (
            distinct, ", ".join(items), source, self.where(scope, 2), order, limit)

    def grouped(self):
        """GROUP BY, grouping sets, HAVING, aggregates."""
        scope = []
        source = self.from_clause(scope, 1)
        key = self.expr(scope, "text", 1)
        column = self.column(scope, "text")
        aggregate = self.pick(
            "count(*)", "count(DISTINCT %s)" % column, "min(%s)" % column,
            "max(%s)" % column, "string_agg(%s, ',' ORDER BY %s)" % (column, column),
            "array_agg(%s ORDER BY %s)" % (column, column),
            "count(*) FILTER (WHERE %s)" % self.condition(scope, 1),
            "percentile_disc(0.5) WITHIN GROUP (ORDER BY %s)" % column,
            "bool_or(%s)" % self.condition(scope, 0),
            "sum(%s)" % self.column(scope, "int"))
        group = self.pick("1", "1", "GROUPING SETS ((%s), ())" % key)
        having = " HAVING count(*) > %d" % self.rng.randrange(3) if self.chance(25) else \
            " HAVING max(%s) > %s" % (column, self.constant()) if self.chance(15) else ""
        return "SELECT %s, %s FROM %s%s GROUP BY %s%s ORDER BY 1, 2 LIMIT 60" % (
            key, aggregate, source, self.where(scope, 1), group, having)

    def windowed(self):
        """Window functions."""
        scope = []
        source = self.from_clause(scope, 1)
        column, other = self.column(scope, "text"), self.expr(scope, "text", 1)
        func = self.pick("rank()", "row_number()", "lag(%s)" % column,
                         "first_value(%s)" % column, "count(*)", "dense_rank()",
                         "ntile(3)", "max(%s)" % column)
        frame = self.pick("", "PARTITION BY left(%s, 1) " % other)
        return "SELECT %s, %s OVER (%sORDER BY %s, %s) FROM %s%s ORDER BY 1, 2 " \
            "LIMIT 50" % (column, func, frame, other, column, source,
                          self.where(scope, 1))

    def set_operation(self):
        """UNION, INTERSECT, EXCEPT."""
        parts = []
        for _ in range(2):
            scope = []
            source = self.from_clause(scope, 1)
            parts.append("SELECT %s FROM %s%s" % (
                self.expr(scope, "text", 1), source, self.where(scope, 1)))
        return "%s %s %s ORDER BY 1 LIMIT 50" % (parts[0], self.pick(
            "UNION", "UNION ALL", "INTERSECT", "EXCEPT"), parts[1])

    def with_query(self):
        """A CTE that is used."""
        scope = []
        source = self.from_clause(scope, 1)
        hint = self.pick("", "MATERIALIZED ", "NOT MATERIALIZED ")
        inner = "SELECT %s AS a, %s AS b FROM %s%s" % (
            self.expr(scope, "text", 1), self.expr(scope, "int", 1), source,
            self.where(scope, 1))
        return self.pick(
            "WITH q AS %s(%s) SELECT a, count(*) FROM q GROUP BY a ORDER BY 1, 2 "
            "LIMIT 40" % (hint, inner),
            "WITH q AS %s(%s LIMIT 30) SELECT x.a, y.b FROM q x JOIN q y ON x.a = y.a "
            "WHERE x.a > %s ORDER BY 1, 2 LIMIT 40" % (hint, inner, self.constant()))

    def write(self):
        """A statement that writes."""
        scope = []
        name = self.pick("customers", "orders", "people_u", "cust_p", "v_cust", "watch")
        for column, kind in TABLES[name].items():
            scope.append((column, kind, column in LABELLED[name]))
        column = self.rng.choice([c for c, k in TABLES[name].items() if k == "text"])
        where = self.where(scope, 1)
        returning = " RETURNING " + self.column(scope, "text") if self.chance(30) else ""
        inner = []
        source = self.from_item(inner, 0)
        return self.pick(
            "UPDATE %s SET %s = %s%s%s" % (name, column, self.expr(scope, "text", 1),
                                           where, returning),
            "DELETE FROM %s%s%s" % (name, where, returning),
            "INSERT INTO orders SELECT 9000 + %d, 1, %s, 0 FROM %s%s" % (
                self.rng.randrange(1000), self.expr(inner, "text", 1), source,
                self.where(inner, 1)),
            "WITH w AS (DELETE FROM orders%s RETURNING *) SELECT count(*) FROM w" % (
                " WHERE ship_ssn > " + self.constant("text")),
            "MERGE INTO orders o USING customers c ON o.ship_ssn = c.ssn "
            "WHEN MATCHED THEN UPDATE SET total = 0",
            "SELECT %s INTO ws.tw_copy FROM %s" % (self.column(inner, "text"), source))

    def statements(self):
        """One test: a list of (protocol, SQL)."""
        query = self.select()
        roll = self.rng.randrange(100)
        if roll < 52:
            return [("simple", query)]
        if roll < 64:
            return [("extended", query)]
        if roll < 68:
            return [("simple", "EXPLAIN " + query)]
        if roll < 72:
            return [("simple", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "
                     + query)]
        if roll < 77:
            return [("simple", "PREPARE tw AS " + query), ("simple", "EXECUTE tw"),
                    ("simple", "EXECUTE tw"), ("simple", "DEALLOCATE tw")]
        if roll < 81:
            return [("simple", "BEGIN"), ("simple", "DECLARE c CURSOR FOR " + query),
                    ("simple", "FETCH 5 FROM c"), ("simple", "FETCH ALL FROM c"),
                    ("simple", "ROLLBACK")]
        if roll < 84:
            return [("simple", "COPY (%s) TO STDOUT" % query)]
        if roll < 88:
            return [("simple", "DO $tw$ DECLARE r record; BEGIN FOR r IN %s LOOP RAISE "
                     "NOTICE '%%', r; END LOOP; END $tw$" % query)]
        if roll < 92:
            return [("simple", "SELECT f_dyn($tw$SELECT q::text FROM (%s) q(%s)$tw$)"
                     % (query, "a"))]
        return [("simple", self.write())]


class Fuzz:
    """Sends statements to both worlds and keeps the score."""

    def __init__(self, pair, args):
        self.pair = pair
        self.args = args
        self.conns = None
        self.total = self.ran = self.touched = 0
        self.diverted = self.refused = self.errors = self.skipped = 0
        self.invalid = 0
        self.warned = 0
        self.failures = []
        self.states = {}

    def connect(self):
        """New agent sessions in both worlds."""
        if self.conns:
            for conn in self.conns:
                conn.close()
        self.conns = [w.connect("agent") for w in self.pair.worlds]

    def send(self, steps):
        """One test in both worlds."""
        def one(index):
            conn, tr = self.conns[index], pgwire.Transcript()
            for how, sql in steps:
                if how == "extended":
                    conn.extended(sql, transcript=tr)
                else:
                    conn.simple(sql, tr)
                if tr.lost:
                    break
            return tr
        return list(self.pair.pool.map(one, (0, 1)))

    def test(self, steps, engine):
        """Send, compare, count."""
        if self.conns is None or self.total % 300 == 0:
            self.connect()
        self.total += 1
        text = "; ".join(sql for _, sql in steps)
        one, two = self.send(steps)
        first = self.pair.worlds[0].plain(one.text())
        second = self.pair.worlds[1].plain(two.text())
        if "57014" in one.states + two.states and not (one.lost or two.lost):
            self.skipped += 1
            return
        self.count(one, text)
        problem = None
        if one.lost or two.lost:
            problem = "backend died: %s" % (one if one.lost else two).lines[-1]
        elif self.internal(steps, one, two):
            problem = "internal error: " + self.internal(steps, one, two)[:300]
        elif first != second:
            problem = "worlds differ: %s" % harness.first_difference(first, second)
        elif not self.pair.same:
            found = harness.raw_values(first + second, text)
            if found:
                problem = "raw values: " + ", ".join(found)
        if problem:
            self.fail(problem, text, engine)
        if one.lost or two.lost:
            self.pair.revive()
            self.conns = None

    def internal(self, steps, one, two):
        """An internal error that is not of core's own making, or None."""
        for line in one.lines + two.lines:
            if re.match(r"E .*C=(XX\w+|WD008)", line) and \
                    not self.cores_own(steps, line):
                return line
        return None

    def cores_own(self, steps, line):
        """Whether an ungoverned session gets that very error as well: hstore,
        xml and the coercion of unknown have such of their own."""
        def shape(text):
            return re.sub(r'"[^"]*"|\d+', "", text[text.index(" M="):])
        conn, tr = self.pair.worlds[0].connect("postgres"), pgwire.Transcript()
        try:
            for sql in ["BEGIN"] + [s for _, s in steps] + ["ROLLBACK"]:
                conn.simple(sql, tr)
                if tr.lost:
                    return False
        finally:
            conn.close()
        return any(re.match(r"E .*C=XX", got) and shape(got) == shape(line)
                   for got in tr.lines)

    def count(self, tr, text):
        """Which share this one belongs to."""
        for state in tr.states:
            self.states[state] = self.states.get(state, 0) + 1
        self.warned += tr.warnings.count("01WD1")
        kind = harness.kind_of(tr.states, "01WD1" in tr.warnings)
        if kind == "run":
            self.ran += 1
            if re.search(r"\b(ssn|email|notes|ship_ssn|national_id|contact|area|"
                         r"f_sql|f_pl|f_atomic|ci|d|arr|addr|hs|tsv|stmt)\b", text):
                self.touched += 1
        elif kind == "diverted":
            self.diverted += 1
        elif kind == "refused":
            self.refused += 1
        elif tr.states[0] in INVALID:
            self.invalid += 1
        else:
            self.errors += 1

    def fail(self, problem, text, engine):
        """One failure, also as a case that can be run again."""
        ident = "Z-" + hashlib.md5(text.encode()).hexdigest()[:6]
        self.failures.append((ident, text))
        print("FAIL %s %s seed %d: %s\n     %s" % (
            ident, engine, self.args.seed, harness.printable(problem),
            harness.printable(text)), flush=True)
        if self.args.failures:
            with open(self.args.failures, "a", encoding="utf-8") as out:
                out.write("=== %s | leak | %s, seed %d\n%s;\n-> NEUTRAL\n" % (
                    ident, engine, self.args.seed, text.replace("\n", " ")))

    def finish(self, before):
        """Nothing may have changed, and every diverted write is recorded."""
        for conn in self.conns or []:
            conn.close()
        problems = 0
        after = self.pair.each(worlds.World.checksums)
        for world, old, new in zip(self.pair.worlds, before, after):
            changed = [k for k in set(old) | set(new) if old.get(k) != new.get(k)]
            if changed and self.pair.warden:
                print("FAIL world %s changed: %s" % (world.name, ", ".join(changed)))
                problems += 1
        if self.pair.warden:
            for world in self.pair.worlds:
                if world.changes() != self.warned:
                    print("FAIL world %s: %d changes recorded, %d warnings" % (
                        world.name, world.changes(), self.warned))
                    problems += 1
        return problems

    def shares(self, engine):
        """The shares; whether they are large enough to prove anything."""
        total = max(self.total - self.invalid, 1)
        print("%s: %d statements and %d that are not valid SQL: %d%% ran (%d%% touched "
              "labelled columns), %d%% diverted, %d%% refused, %d%% errors, %d timed "
              "out" % (
                  engine, total, self.invalid, 100 * self.ran // total,
                  100 * self.touched // total, 100 * self.diverted // total,
                  100 * self.refused // total, 100 * self.errors // total,
                  self.skipped))
        print("SQLSTATEs: " + ", ".join("%s %d" % item for item in sorted(
            self.states.items(), key=lambda i: -i[1])[:12]))
        if 100 * self.ran < 40 * total or 100 * self.touched < 10 * total:
            print("FAIL %s: too few statements ran to prove anything" % engine)
            return 1
        return 0


def smith_statements(pair, seed, count):
    """Statements that sqlsmith writes against world a, not executing them."""
    binary = shutil.which("sqlsmith")
    if not binary:
        return None
    world = pair.worlds[0]
    proc = subprocess.run(
        [binary, "--target=host=%s port=%d dbname=w user=app_owner" % (
            world.sock, world.port), "--dry-run", "--exclude-catalog",
         "--seed=%d" % seed, "--max-queries=%d" % count],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
        env=world.env)
    # a sample without a seed differs from one run to the next
    out = re.sub(r"(tablesample \w+ \([\d.]+\))", r"\1 repeatable (3)", proc.stdout)
    return [s.strip() for s in re.split(r";\s*\n", out) if s.strip()]


def run_engine(pair, args, engine, seconds, most):
    """One engine for some seconds, most statements at most; number of problems
    and of statements."""
    fuzz = Fuzz(pair, args)
    pair.fresh()
    pair.each(lambda w: w.su().query(
        "ALTER ROLE agent IN DATABASE w SET statement_timeout = '3s'"))
    before = pair.each(worlds.World.checksums)
    end = time.time() + seconds
    grammar = Grammar(args.seed)
    seed, queue = args.seed, []
    while time.time() < end and fuzz.total < most and \
            len(fuzz.failures) < args.stop:
        if engine == "grammar":
            steps = grammar.statements()
        else:
            if not queue:
                queue = smith_statements(pair, seed, 250)
                seed += 1
                if not queue:
                    print("sqlsmith: not installed or no statements, skipped")
                    return 0, 0
            sql = queue.pop()
            if UNSTABLE.search(sql):
                continue
            steps = [("simple", sql)]
        fuzz.test(steps, engine)
    problems = len(fuzz.failures) + fuzz.finish(before)
    if pair.warden:
        problems += fuzz.shares(engine)
    else:
        fuzz.shares(engine)
    return problems, fuzz.total - len(fuzz.failures)


def main():
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bindir")
    parser.add_argument("--destdir")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max", default="1000000000")
    parser.add_argument("--stop", type=int, default=40, help="failures to stop at")
    parser.add_argument("--engine", default="both")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--port", type=int, default=7220)
    parser.add_argument("--dir")
    parser.add_argument("--failures")
    args = parser.parse_args()
    if not args.bindir:
        args.bindir = subprocess.run(["pg_config", "--bindir"], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip()
    pair = worlds.Pair(args.dir or tempfile.mkdtemp(prefix="twoworld-fuzz-"),
                       args.port, args.bindir, args.destdir,
                       warden=not args.stock, same=args.same)
    engines = ["grammar", "sqlsmith"] if args.engine == "both" else [args.engine]
    passed = failed = 0
    try:
        pair.create()
        most = [int(n) for n in args.max.split(",")]
        for index, engine in enumerate(engines):
            bad, good = run_engine(pair, args, engine, args.seconds / len(engines),
                                   most[min(index, len(most) - 1)])
            failed += bad
            passed += good
    finally:
        if args.keep:
            print("kept: psql -h %s -p %d" % (pair.worlds[0].sock, pair.port))
        else:
            pair.remove()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
