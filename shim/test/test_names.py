"""Statements that come again are prepared, and nobody is the wiser.

Which are is told by PostgreSQL's log: an agent can not see it.
"""

import os
import pathlib
import re
import shutil
import subprocess
import time

from harness import free_port, main

NAMES = "SELECT statement FROM pg_prepared_statements ORDER BY 1"


def call(server, sql, **arguments):
    return server.call("query", {"sql": sql, **arguments})["structuredContent"]


def rows(server, sql, **arguments):
    found = call(server, sql, **arguments)
    return found.get("rows", found)


def executed(bench, work):
    """Runs work(); pairs of name and statement that the log has of it."""
    log = pathlib.Path(bench.dir) / "postgres.log"
    if bench.psql("SHOW log_statement") != "all":
        bench.psql("ALTER SYSTEM SET log_statement = 'all'")
        bench.psql("SELECT pg_reload_conf()")
        while bench.psql("SHOW log_statement") != "all":
            time.sleep(0.01)
    before = log.stat().st_size
    work()
    with log.open("rb") as lines:
        lines.seek(before)
        text = lines.read().decode(errors="replace")
    return re.findall(r"LOG:  execute (\S+): (.*)$", text, re.M)


def names_of(pairs, sql):
    return [name for name, found in pairs if found == sql]


UNNAMED = "<unnamed>"


def again(bench):
    server = bench.http("--pool", "1")
    rows(server, "SELECT 0")
    got = []
    sent = executed(bench, lambda: [
        got.append(rows(server, "SELECT 'again', $1::int", params=[n]))
        for n in range(8)] + [rows(server, "SELECT 'once'")])
    bench.equal(got, [[["again", n]] for n in range(8)], "the same answers")
    names = names_of(sent, "SELECT 'again', $1::int")
    bench.check(len(names) == 8 and names[0] == UNNAMED and
                len(set(names[1:])) == 1 and names[1] != UNNAMED,
                "what comes again is prepared, once", names)
    bench.equal(names_of(sent, "SELECT 'once'"), [UNNAMED],
                "what comes once is not")
    bench.equal(call(server, "SELECT 'again', $1::int", params=["x"])[
        "sqlstate"], "22P02", "an error in a statement that is prepared")
    sent = executed(bench, lambda: bench.equal(
        rows(server, "SELECT 'again', $1::int", params=[9]),
        [["again", 9]], "and the call after it"))
    bench.equal({name for name, _ in sent}, {UNNAMED},
                "for which all was reset")
    bench.psql("SELECT warden.flush_audit()")
    bench.equal(bench.psql("SELECT outcome, count(*) FROM warden.audit_log "
                           "WHERE statement LIKE '%again%int' "
                           "GROUP BY outcome ORDER BY outcome"),
                "error|1\nok|9", "each call has its record")
    update = "UPDATE customers SET name = 'again' WHERE id = 1"
    states = []
    sent = executed(bench, lambda: [
        states.append(call(server, update)["status"]) for _ in range(3)])
    bench.equal(states, ["pending_review"] * 3, "writes that come again")
    bench.equal(names_of(sent, update), [UNNAMED] * 3, "are not prepared")


def many(bench):
    """More statements than a connection keeps names for."""
    server = bench.http("--pool", "1")
    wrong = [n for turn in range(4) for n in range(40)
             if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal(wrong, [], "forty statements in turns")
    wrong = [n for n in range(40) for turn in range(4)
             if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal(wrong, [], "and each several times")


def identities(bench):
    server = bench.http("--pool", "1")
    sent = executed(bench, lambda: [rows(server, "SELECT 'mine'")
                                    for _ in range(5)])
    names = names_of(sent, "SELECT 'mine'")
    bench.check(names[-1] != UNNAMED, "one identity's statement", names)
    server.token = bench.env["other_token"]
    sent = executed(bench, lambda: bench.equal(
        rows(server, NAMES), [], "another finds nothing of it"))
    bench.equal({name for name, _ in sent}, {UNNAMED}, "and uses none of it")
    bench.equal(call(server, f"EXECUTE {names[-1]}").get("status"), "error",
                "not even by its name")


def changed(bench):
    """A table that is altered under a prepared statement."""
    bench.psql("CREATE TABLE altered (a int);"
               "INSERT INTO altered VALUES (1);"
               "GRANT SELECT ON altered TO PUBLIC")
    for server in (bench.http("--pool", "1"), bench.stdio("--pool", "1")):
        for _ in range(5):
            rows(server, "SELECT * FROM altered")
        bench.psql("ALTER TABLE altered ADD COLUMN b int DEFAULT 2")
        bench.equal(rows(server, "SELECT * FROM altered"), [[1, 2]],
                    "has its new column at once")
        for _ in range(4):
            rows(server, "SELECT * FROM altered")
        bench.psql("ALTER TABLE altered DROP COLUMN b")
        bench.equal(rows(server, "SELECT * FROM altered"), [[1]],
                    "and loses it")
    bench.psql("DROP TABLE altered")
    bench.equal(call(server, "SELECT * FROM altered")["sqlstate"], "42P01",
                "a table that is gone")


def renamed(bench):
    """A type gets another name than the shim has learned."""
    server = bench.http()

    def name():
        return call(server, "SELECT '(1)'::public.pair AS p")["columns"][0]["type"] \
            if bench.psql("SELECT to_regtype('pair')") else \
            call(server, "SELECT '(1)'::public.couple AS p")["columns"][0]["type"]

    bench.psql("CREATE TYPE pair AS (a int)")
    bench.equal([name(), name()], ["pair", "pair"], "a type's name is learned")
    bench.psql("ALTER TYPE pair RENAME TO couple")
    until = time.monotonic() + 20
    while name() != "couple" and time.monotonic() < until:
        time.sleep(0.5)
    bench.equal(name(), "couple", "and forgotten when it has another one")


def many_names(bench):
    """Two agents see the same types by different names, again and again."""
    count = 200
    bench.psql("CREATE SCHEMA support_agent; GRANT USAGE ON SCHEMA "
               "support_agent TO support_agent, other_agent; " + "; ".join(
                   f"CREATE TYPE support_agent.t{n} AS ENUM ('a')"
                   for n in range(count)))
    server = bench.http()
    sql = "SELECT " + ", ".join(f"NULL::support_agent.t{n}"
                                for n in range(count))
    own = [f"t{n}" for n in range(count)]
    both = [(bench.env["token"], own),
            (bench.env["other_token"], [f"support_agent.{n}" for n in own])]
    for token, wanted in [*both, both[0]]:
        server.token = token
        until = time.monotonic() + 20
        while time.monotonic() < until and wanted != (names := [
                column["type"] for column in call(server, sql)["columns"]]):
            time.sleep(0.5)
        bench.equal(names, wanted, f"{wanted[0]} and others")
    bench.psql("DROP SCHEMA support_agent CASCADE")


def retyped(bench):
    """A column gets another type than a prepared parameter has."""
    bench.psql("CREATE TABLE retyped (a int, b date, c int);"
               "INSERT INTO retyped VALUES (1, '2024-01-01', 1);"
               "GRANT SELECT ON retyped TO PUBLIC")
    server = bench.http("--pool", "1")
    by_c = "SELECT a FROM retyped WHERE c = $1"
    for kind in ("text", "int USING c::int"):
        for _ in range(4):
            rows(server, by_c, params=[1])
        bench.psql(f"ALTER TABLE retyped ALTER c TYPE {kind}")
        bench.equal(rows(server, by_c, params=[1]), [[1]],
                    f"one that can not be compared is {kind.split()[0]} then")
    by_b = "SELECT a FROM retyped WHERE b = $1"
    for _ in range(4):
        rows(server, by_b, params=["2024-01-01"])
    bench.psql("ALTER TABLE retyped ALTER b TYPE timestamp;"
               "UPDATE retyped SET b = b + '10 h'")
    deadline = time.time() + 20
    found = []
    while not found and time.time() < deadline:
        found = rows(server, by_b, params=["2024-01-01 10:00"])
        time.sleep(0.2)
    bench.equal(found, [[1]], "one that did not fail is, after some seconds")


def moments(bench):
    """Literals that get their value when the statement is read."""
    server = bench.http("--pool", "1")
    for literal in ("'now'", "E' NOW'", "$$now$$"):
        seen = [rows(server, f"SELECT {literal}::timestamptz::text")[0][0]
                for _ in range(6)]
        bench.equal(len(set(seen)), 6, f"{literal} is another each time")
    function, literal = "SELECT NOW () IS NULL", "SELECT now() > 'yesterday'"
    sent = executed(bench, lambda: [rows(server, sql) for _ in range(4)
                                    for sql in (function, literal)])
    bench.check(names_of(sent, function)[-1] != UNNAMED,
                "functions do not mind", sent)
    bench.equal(names_of(sent, literal), [UNNAMED] * 4, "literals do")


def masks(bench):
    server = bench.http("--pool", "1")
    ssn = "SELECT ssn FROM customers WHERE id = 1"
    before = [rows(server, ssn) for _ in range(5)][-1]
    bench.psql("SELECT warden.set_mask('ssn', 'null')")
    bench.equal(rows(server, ssn), [[None]],
                "a new mask is in the next answer")
    bench.psql("SELECT warden.set_mask('ssn', 'ssn')")
    bench.equal(rows(server, ssn), before, "and the old one again")


def attempts(bench):
    """What an agent may do with the names that its calls have."""
    server = bench.http("--pool", "1")

    def names():
        return {sql: name for name, sql in executed(
            bench, lambda: [rows(server, "SELECT 'mine'") for _ in range(5)])}

    known = names()
    bench.check(known.get("BEGIN", UNNAMED) != UNNAMED and
                known.get("COMMIT", UNNAMED) != UNNAMED,
                "what every call sends is prepared too", known)
    for sql in sorted(sql for sql in known if known[sql] != UNNAMED):
        for form in ("EXECUTE {}", "EXECUTE {}('x')"):
            name = names()[sql]     # an error has made an end of the others
            got = call(server, form.format(name))
            bench.equal(got.get("status"), "error", form.format(sql))
    for sql in ("DEALLOCATE ALL", "DEALLOCATE warden_mcp_0",
                "PREPARE warden_mcp_0 AS SELECT 1"):
        bench.equal(call(server, sql).get("status"), "error", sql)
    bench.equal(rows(server, "SELECT 'mine'"), [["mine"]], "calls go on")


def pgbouncer(bench, program, setting):
    """Start one with one connection; return the process and its port."""
    folder = pathlib.Path(bench.dir) / "pooler"
    folder.mkdir(exist_ok=True)
    port = free_port()
    (folder / "users").write_text('"gateway" ""\n')
    (folder / "ini").write_text(
        f"[databases]\nshop = host=127.0.0.1 port={bench.env['port']}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        "unix_socket_dir =\nauth_type = trust\n"
        f"auth_file = {folder}/users\npool_mode = transaction\n"
        f"default_pool_size = 1\nlogfile = {folder}/log\n"
        f"pidfile = {folder}/pid\n{setting}")
    return subprocess.Popen(
        [str(pathlib.Path(__file__).resolve().parents[2] / "tools" /
             "as-postgres"), program, "-q", str(folder / "ini")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL), port


def behind(bench, port):
    """Two servers on the one connection, once it is there."""
    servers = [bench.http("--pool", "1", "--dsn",
                          f"host=127.0.0.1 port={port} dbname=shop "
                          "user=gateway") for _ in range(2)]
    deadline = time.time() + 20
    while rows(servers[0], "SELECT 1") != [[1]] and time.time() < deadline:
        time.sleep(0.1)
    return servers


def explained(server):
    """What there is of a plan, or why there is none."""
    result = server.call("explain", {"sql": "SELECT 1"})["structuredContent"]
    return "plan" in result or (result["sqlstate"],
                                "max_prepared_statements" in result["hint"])


def pooler(bench):
    """Behind PgBouncer nothing is prepared."""
    program = shutil.which("pgbouncer", path="/usr/sbin:" + os.environ["PATH"])
    if program is None:
        print("# SKIPPED: pgbouncer is not installed")
        return
    version = subprocess.run([program, "--version"], capture_output=True,
                             text=True, check=True).stdout.split()[1]
    renames = tuple(map(int, version.split(".")[:2])) >= (1, 21)
    process, port = pgbouncer(bench, program, "max_prepared_statements = 0\n"
                              if renames else "")
    try:
        servers = behind(bench, port)
        servers[1].token = bench.env["other_token"]
        got = []
        sent = executed(bench, lambda: [
            got.append(rows(server, "SELECT 'pooled'"))
            for _ in range(6) for server in servers])
        bench.equal(got, [[["pooled"]]] * 12, "two servers on one connection")
        bench.equal({name for name, _ in sent}, {UNNAMED},
                    "behind a pooler there are no names")
        servers[1].token = servers[0].token
        rows(servers[0], "SELECT 1")
        bench.equal([explained(server) for server in reversed(servers)],
                    [True, True], "and that of explain is in nobody's way")
    finally:
        process.kill()          # from 1.23 on it waits for clients else
        process.wait()
    if not renames:
        return
    process, port = pgbouncer(bench, program, "max_prepared_statements = 9\n")
    try:
        servers = behind(bench, port)
        bench.equal(explained(servers[0]), ("0A000", True),
                    "where names are the pooler's, explain says so")
        bench.equal([rows(server, "SELECT 2") for server in servers],
                    [[[2]]] * 2, "and the rest goes on")
    finally:
        process.kill()
        process.wait()


def quiet(bench):
    """The log need not be told by the tests after these."""
    bench.psql("ALTER SYSTEM RESET log_statement")
    bench.psql("SELECT pg_reload_conf()")


if __name__ == "__main__":
    main(again, many, identities, changed, renamed, many_names, retyped,
         moments, masks, attempts, pooler, quiet)
