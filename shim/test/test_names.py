"""Statements that come again are prepared, and nobody is the wiser."""

import os
import pathlib
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


def named(server):
    """What of the tests' own is prepared on the one connection."""
    return [sql for sql, in rows(server, NAMES) if sql.startswith("SELECT '")]


def again(bench):
    server = bench.http("--pool", "1")
    rows(server, "SELECT 0")
    got = [rows(server, "SELECT 'again', $1::int", params=[n])
           for n in range(8)]
    bench.equal(got, [[["again", n]] for n in range(8)], "the same answers")
    rows(server, "SELECT 'once'")
    bench.equal(named(server), ["SELECT 'again', $1::int"],
                "what came again is prepared, what came once is not")
    bench.equal(call(server, "SELECT 'again', $1::int", params=["x"])[
        "sqlstate"], "22P02", "an error in a statement that is prepared")
    bench.equal(rows(server, "SELECT 'again', $1::int", params=[9]),
                [["again", 9]], "and the call after it")
    bench.equal(named(server), [], "for which all was reset")
    bench.psql("SELECT warden.flush_audit()")
    bench.equal(bench.psql("SELECT outcome, count(*) FROM warden.audit_log "
                           "WHERE statement LIKE '%again%int' "
                           "GROUP BY outcome ORDER BY outcome"),
                "error|1\nok|9", "each call has its record")
    update = "UPDATE customers SET name = 'again' WHERE id = 1"
    states = [call(server, update)["status"] for _ in range(3)]
    bench.equal(states, ["pending_review"] * 3, "writes that come again")
    bench.check(not any(sql == update for sql, in rows(server, NAMES)),
                "are not prepared")


def many(bench):
    """More statements than a connection keeps names for."""
    server = bench.http("--pool", "1")
    wrong = [n for turn in range(4) for n in range(40)
             if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal(wrong, [], "forty statements in turns")
    wrong = [n for n in range(40) for turn in range(4)
             if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal(wrong, [], "and each several times")
    bench.check(len(rows(server, NAMES)) <= 16, "there is an end to it")


def identities(bench):
    server = bench.http("--pool", "1")
    for _ in range(5):
        rows(server, "SELECT 'mine'")
    bench.equal(named(server), ["SELECT 'mine'"], "one identity's statement")
    server.token = bench.env["other_token"]
    for turn in range(3):
        bench.equal(rows(server, NAMES), [], "another finds nothing of it")
        server.token = bench.env["token"]
        rows(server, "SELECT 'mine'")
        rows(server, "SELECT 'mine'")
        rows(server, "SELECT 'mine'")
        server.token = bench.env["other_token"]
    bench.equal(rows(server, "EXECUTE warden_mcp_0")["sqlstate"], "26000",
                "nor by guessing its name")


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


def moments(bench):
    """Literals that get their value when the statement is read."""
    server = bench.http("--pool", "1")
    for literal in ("'now'", "E' NOW'", "$$now$$"):
        seen = [rows(server, f"SELECT {literal}::timestamptz::text")[0][0]
                for _ in range(6)]
        bench.equal(len(set(seen)), 6, f"{literal} is another each time")
    for _ in range(4):
        rows(server, "SELECT 'x', now() > 'yesterday'")
        rows(server, "SELECT 'x', NOW () IS NULL")
    bench.equal(named(server), ["SELECT 'x', NOW () IS NULL"],
                "functions do not mind")


def masks(bench):
    server = bench.http("--pool", "1")
    ssn = "SELECT ssn FROM customers WHERE id = 1"
    before = [rows(server, ssn) for _ in range(5)][-1]
    bench.psql("SELECT warden.set_mask('ssn', 'null')")
    bench.equal(rows(server, ssn), [[None]],
                "a new mask is in the next answer")
    bench.psql("SELECT warden.set_mask('ssn', 'ssn')")
    bench.equal(rows(server, ssn), before, "and the old one again")


def execute(server, form, sql):
    """Runs form with the name of a prepared statement.  An error makes an end
    of the names, and so does a statement too many: then there is another."""
    for _ in range(5):
        for _ in range(5):
            rows(server, "SELECT 'mine'")
        name = dict(rows(server, "SELECT statement, name FROM "
                         "pg_prepared_statements")).get(sql)
        got = call(server, form.format(name))
        if got.get("sqlstate") != "26000":
            break
    return got


def attempts(bench):
    """What an agent may do with names that are not its own."""
    server = bench.http("--pool", "1")
    for _ in range(5):
        rows(server, "SELECT 'mine'")
    known = dict(rows(server, "SELECT name, statement FROM "
                      "pg_prepared_statements"))
    bench.check({"BEGIN", "COMMIT", "SELECT 'mine'"} <= set(known.values()),
                "what every call sends is prepared too", known)
    for sql in sorted(set(known.values()) - {"SELECT 'mine'"}):
        for form in ("EXECUTE {}", "EXECUTE {}('x')"):
            got = execute(server, form, sql)
            bench.check(got.get("sqlstate", "26000") != "26000",
                        form.format(sql), got)
    for sql in ("DEALLOCATE ALL", "DEALLOCATE warden_mcp_0",
                "PREPARE warden_mcp_0 AS SELECT 1"):
        bench.equal(call(server, sql).get("status"), "error", sql)
    bench.equal(rows(server, "SELECT 'mine'"), [["mine"]], "calls go on")


def pooler(bench):
    """Behind PgBouncer nothing is prepared."""
    program = shutil.which("pgbouncer", path="/usr/sbin:" + os.environ["PATH"])
    if program is None:
        print("# SKIPPED: pgbouncer is not installed")
        return
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
        f"pidfile = {folder}/pid\n")
    process = subprocess.Popen(
        [str(pathlib.Path(__file__).resolve().parents[2] / "tools" /
             "as-postgres"), program, "-q", str(folder / "ini")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        servers = [bench.http("--pool", "1", "--dsn",
                              f"host=127.0.0.1 port={port} dbname=shop "
                              "user=gateway") for _ in range(2)]
        deadline = time.time() + 20
        while rows(servers[0], "SELECT 1") != [[1]] and \
                time.time() < deadline:
            time.sleep(0.1)
        servers[1].token = bench.env["other_token"]
        got = [rows(server, "SELECT 'pooled'")
               for _ in range(6) for server in servers]
        bench.equal(got, [[["pooled"]]] * 12, "two servers on one connection")
        bench.equal(rows(servers[0], NAMES), [], "behind a pooler no names")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(again, many, identities, changed, moments, masks, attempts, pooler)
