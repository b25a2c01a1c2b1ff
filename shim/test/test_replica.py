"""Reads on a hot standby, writes and the rest on the primary."""

import shutil
import subprocess

from cluster import AS_POSTGRES, free_port
from harness import main


def command(*words):
    subprocess.run([str(w) for w in words], check=True, capture_output=True)


def standby(bench, **settings):
    """A streaming standby of the bench's server; its conninfo."""
    folder, port = bench.dir / "standby", free_port()
    shutil.rmtree(folder, ignore_errors=True)
    bindir = bench.env["bindir"]
    command(*AS_POSTGRES, f"{bindir}/pg_basebackup", "-D", folder, "-R", "-c",
            "fast", "-d", f"host=127.0.0.1 port={bench.env['port']} "
            "user=postgres")
    with (folder / "postgresql.conf").open("a") as out:
        out.write(f"port = {port}\n")
        for name, value in settings.items():
            out.write(f"{name.replace('__', '.')} = '{value}'\n")
    command(*AS_POSTGRES, f"{bindir}/pg_ctl", "-D", folder, "-l",
            bench.dir / "standby.log", "-w", "start")
    return folder, bench.dsn(port=port)


def stop(bench, folder):
    command(*AS_POSTGRES, f"{bench.env['bindir']}/pg_ctl", "-D", folder,
            "-m", "immediate", "stop")


def rows(client, sql):
    return client.call("query", {"sql": sql})["structuredContent"]


def replica(bench):
    recovery = "SELECT pg_is_in_recovery()"
    client = bench.stdio("--read-dsn", "host=127.0.0.1 port=1 dbname=x")
    bench.equal(rows(client, recovery).get("rows"), [[False]],
                "a replica that is not there: the primary")
    for audit, where in (("log", True), ("refuse", False)):
        folder, dsn = standby(bench, warden__standby_audit=audit)
        try:
            client = bench.stdio("--read-dsn", dsn)
            bench.equal(rows(client, recovery).get("rows"), [[where]],
                        f"standby_audit {audit}: a read")
            bench.equal(rows(client, "SELECT email FROM customers WHERE "
                             "id = 2").get("rows"), [["m******@example.com"]],
                        "is masked")
            bench.equal(rows(client, "UPDATE tickets SET body = 'r'")
                        .get("status"), "pending_review",
                        "a write goes on to the primary")
            bench.equal(rows(client, "SELECT * FROM nope").get("sqlstate"),
                        "42P01", "an error stays an error")
        finally:
            stop(bench, folder)


main(replica)
