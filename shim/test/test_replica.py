"""Reads on a hot standby, writes and the rest on the primary."""

import cluster
from harness import main


def rows(client, sql):
    return client.call("query", {"sql": sql})["structuredContent"]


def replica(bench):
    recovery = "SELECT pg_is_in_recovery()"
    client = bench.stdio("--read-dsn", "host=127.0.0.1 port=1 dbname=x")
    bench.equal(rows(client, recovery).get("rows"), [[False]],
                "a replica that is not there: the primary")
    for audit, where in (("log", True), ("refuse", False)):
        folder = bench.dir / "standby"
        port = cluster.standby(bench.env, folder, warden__standby_audit=audit)
        try:
            client = bench.stdio("--read-dsn", bench.dsn(port=port))
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
            bench.equal(rows(client, "DO $$ BEGIN IF pg_is_in_recovery() THEN "
                             "RAISE serialization_failure; END IF; END $$")
                        .get("status"), "ok",
                        "a conflict with recovery: the primary")
        finally:
            cluster.server(bench.env, folder, "-m", "immediate", "stop")


main(replica)
