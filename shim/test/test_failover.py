"""The primary is killed under load, its standby is promoted: the same shim
goes on, and what it said was recorded is there."""

import os
import pathlib
import signal
import threading
import time

import cluster
from harness import Bench, main, modern

WRITERS = 4
MARK = "SELECT substring(statement FROM 'mark-[0-9]+-[0-9]+') FROM " \
    "warden.change_statements WHERE statement LIKE '%mark-%'"


def wait_for(condition, seconds=60):
    deadline = time.time() + seconds
    while time.time() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def state(pid):
    """The letter of /proc/PID/status; that of a zombie for who is no more."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "Z"
    return status.split("State:\t")[1][0]


class Load:
    """Writers that propose a change with a mark of its own, again and again,
    and keep what they were told of each."""

    def __init__(self, server):
        self.server = server
        self.recorded = {}          # mark: id of the change
        self.failed = {}            # mark: SQLSTATE
        self.unread = []            # SQLSTATEs of reads
        self.odd = []
        self.longest = 0
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n,))
                        for n in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def work(self, writer):
        turn = 0
        while not self.over.is_set():
            turn += 1
            mark = f"mark-{writer}-{turn}"
            try:
                self.propose(mark)
                self.read(turn)
            except Exception as problem:
                self.odd.append((mark, repr(problem)))
            self.over.wait(0.02)

    def query(self, sql):
        started = time.time()
        answer = self.server.call("query", {"sql": sql})
        self.longest = max(self.longest, time.time() - started)
        return answer["structuredContent"]

    def propose(self, mark):
        answer = self.query(
            f"UPDATE tickets SET body = '{mark}' WHERE id = 1")
        if answer.get("status") == "pending_review":
            self.recorded[mark] = answer["change_id"]
        elif answer.get("status") == "error":
            self.failed[mark] = answer["sqlstate"]
        else:
            self.odd.append((mark, answer))

    def read(self, turn):
        answer = self.query(f"SELECT {turn}")
        if answer.get("status") == "error":
            self.unread.append(answer["sqlstate"])
        elif answer.get("rows") != [[turn]]:
            self.odd.append((turn, answer))

    def succeeds(self, more):
        """Waits for so many changes beyond those of now."""
        return wait_for(lambda n=len(self.recorded) + more:
                        len(self.recorded) >= n)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Pair:
    """A primary of its own and a standby that has whatever was committed."""

    def __init__(self, bench):
        home = bench.dir / "pair"
        cluster.start(home)
        self.bench = bench
        self.primary = Bench(home)
        self.data = home / "data"
        self.folder = home / "standby"
        self.port = cluster.standby(self.primary.env, self.folder,
                                    warden__standby_audit="log")
        self.standby = Bench(home)
        self.standby.env["port"] = self.port
        # else calls would wait for their audit records, not in their commits
        self.primary.psql("ALTER SYSTEM SET warden.audit = 'async'")
        self.primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.psql("SELECT pg_reload_conf()")
        bench.check(wait_for(lambda: self.primary.psql(
            "SELECT sync_state FROM pg_stat_replication") == "sync"),
            "a synchronous standby")
        self.env = {
            "WARDEN_TOKEN": self.primary.env["token"],
            "WARDEN_DSN": self.primary.dsn(
                host="127.0.0.1,127.0.0.1",
                port=f"{self.primary.env['port']},{self.port}",
                target_session_attrs="read-write")}

    def http(self, *args):
        server = self.bench.http(*args, **self.env)
        server.token = self.primary.env["token"]
        return server

    def stdio(self, *args):
        return self.bench.stdio(*args, **self.env)

    def waiting(self):
        """Whose commits have waited for the standby longer than it takes."""
        return self.primary.psql(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = "
            "'client backend' AND wait_event = 'SyncRep' AND "
            "xact_start < clock_timestamp() - interval '1 s'").split()

    def kill(self):
        """With a commit under way that waits for a standby which is slow just
        now: nobody can know what becomes of it."""
        receiver = int(self.standby.psql("SELECT pid FROM pg_stat_wal_receiver"))
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(receiver, signal.SIGSTOP)
        try:
            wait_for(lambda: state(receiver) == "T")
            self.bench.check(wait_for(self.waiting),
                             "a commit waits for the standby")
            backends = self.waiting()
            os.kill(pid, signal.SIGKILL)
            # else the standby might still answer them before they notice
            wait_for(lambda: all(state(b) == "Z" for b in backends))
        finally:
            os.kill(receiver, signal.SIGCONT)

    def promote(self):
        cluster.server(self.primary.env, self.folder, "promote")

    def close(self):
        for data in (self.data, self.folder):
            try:
                cluster.server(self.primary.env, data, "-m", "immediate",
                               "stop")
            except SystemExit:
                pass                # the one that was killed


def content(client, sql):
    return client.call("query", {"sql": sql})["structuredContent"]


def listen(bench, client, change):
    client.send(modern({
        "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen",
        "params": {"notifications": {
            "resourceSubscriptions": [f"warden://change/{change}"]}}}))
    bench.equal(client.receive().get("method"),
                "notifications/subscriptions/acknowledged",
                "a change is listened to")


def told_of(client, change):
    """Whether an update of the change is told, among others."""
    note = client.receive(60)
    while note is not None:
        if note.get("params", {}).get("uri") == f"warden://change/{change}":
            return True
        note = client.receive(60)
    return False


def before(bench, pair, load, reader, listener):
    bench.check(load.succeeds(20), "changes are recorded", load.failed)
    bench.equal(load.failed, {}, "none fails")
    bench.equal(content(reader, "SELECT pg_is_in_recovery(), email FROM "
                        "customers WHERE id = 2").get("rows"),
                [[True, "m******@example.com"]], "the standby reads, masked")
    change = content(reader, "UPDATE tickets SET body = 'r' WHERE id = 1")
    bench.equal(change.get("status"), "pending_review",
                "and leaves a write to the primary")
    listen(bench, listener, change["change_id"])
    return change["change_id"]


def between(bench, load, reader):
    known = len(load.failed)
    bench.check(wait_for(lambda: len(load.failed) >= known + 2 * WRITERS),
                "without a primary calls fail", load.failed)
    bench.equal(content(reader, "SELECT count(*) FROM customers").get("rows"),
                [[2000]], "reads go on meanwhile")
    bench.equal(content(reader, "UPDATE tickets SET body = 'no'")
                .get("sqlstate"), "08001", "writes say that they can not")
    bench.equal(load.server.raw("GET", "/healthz")[0], 200, "the shim is up")
    bench.check(wait_for(lambda: load.server.raw("GET", "/readyz")[0] == 503),
                "and says that it is not ready")


def after(bench, pair, load, reader, listener, change):
    started = time.time()
    bench.check(load.succeeds(20), "calls succeed again", load.failed)
    print(f"# {time.time() - started:.1f} s after the promotion; the longest"
          f" call took {load.longest:.1f} s")
    bench.check(wait_for(lambda: load.server.raw("GET", "/readyz")[0] == 200),
                "the shim is ready again")
    bench.equal(content(reader, "SELECT pg_is_in_recovery()").get("rows"),
                [[False]], "the replica of before is read as what it is now")
    bench.equal(content(reader, "UPDATE tickets SET body = 's' WHERE id = 1")
                .get("status"), "pending_review", "and takes writes")
    pair.standby.psql(f"SELECT warden.reject({change}, 'no')", "rita")
    bench.check(told_of(listener, change),
                "a listener of before hears of its change")
    bench.check(wait_for(lambda: pair.standby.psql(
        "SELECT count(*) FROM warden.audit_log WHERE statement LIKE "
        "'%SET body = ''s''%'") != "0"), "what is done now is audited")


def whole_story(bench, pair, load):
    """What was said against what is there."""
    there = set(pair.standby.psql(MARK).split())
    lost = {m for m, s in load.failed.items() if s == "08006"}
    print(f"# {len(load.recorded)} recorded, {len(load.failed)} failed, "
          f"{len(lost)} of them unknown, {len(there & lost)} of those there")
    bench.check(lost or "08006" in load.unread, "a call whose commit was under way says"
                " that it does not know", load.failed)
    bench.equal(load.odd, [], "every call was answered, by a change or an"
                " error, and every read by its row")
    bench.equal({s for s in load.failed.values()
                 if s[:2] != "08" and s[:4] != "57P0"}, set(),
                "errors are those of a lost server")
    bench.equal(set(load.recorded) - there, set(),
                "no change was reported that was not recorded")
    bench.equal(there - set(load.recorded) - lost, set(),
                "none was recorded whose call said that it was not")
    bench.check(load.server.process.poll() is None, "one shim all the time")


def failover(bench):
    pair = Pair(bench)
    try:
        load = Load(pair.http("--pool", str(WRITERS)))
        try:
            reader = pair.stdio("--read-dsn", pair.standby.dsn())
            listener = pair.stdio("--notify-dsn", pair.env["WARDEN_DSN"])
            change = before(bench, pair, load, reader, listener)
            pair.kill()
            between(bench, load, reader)
            pair.promote()
            after(bench, pair, load, reader, listener, change)
        finally:
            load.end()
        whole_story(bench, pair, load)
    finally:
        pair.close()


main(failover)
