"""MCP servers side by side: warden-mcp, three others, and libpq alone.

All of them run the same statement on the same PostgreSQL over TCP. What
warden-mcp runs is badged in, masked and audited; the others are logged in as a
role that nothing governs. wrk sends the calls over HTTP, stdio.c over a pipe,
and floor.c is what libpq takes to send warden-mcp's transaction by itself.
"""

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from server import Server, run

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 100000
MODERN = "2026-07-28"
SELECT = "SELECT id, name, email, ssn, city FROM customers WHERE id <= %d"

SCHEMA = """
SET client_min_messages = warning;
CREATE TABLE customers (id int PRIMARY KEY, name text, email text, ssn text,
                        city text);
INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.com',
       lpad((n % 1000)::text, 3, '0') || '-' || lpad((n % 100)::text, 2, '0')
           || '-' || lpad((n % 10000)::text, 4, '0'), 'city ' || n % 100
  FROM generate_series(1, ROWS) n;
CREATE ROLE bench_reader LOGIN;
CREATE ROLE bench_agent LOGIN;
CREATE ROLE bench_gateway LOGIN NOINHERIT;
GRANT SELECT ON customers TO bench_reader, bench_agent;
CREATE EXTENSION pg_warden;
GRANT warden_gateway TO bench_gateway;
SECURITY LABEL FOR warden ON COLUMN customers.email IS 'email';
SECURITY LABEL FOR warden ON COLUMN customers.ssn IS 'ssn';
SECURITY LABEL FOR warden ON ROLE bench_agent IS 'agent';
"""

OURS = "warden-mcp"
BY_SOCKET = "warden-mcp, PostgreSQL by its socket"
DBHUB = "@bytebase/dbhub"
TOOLBOX = "@toolbox-sdk/server"
REFERENCE = "@modelcontextprotocol/server-postgres"


class Missing(Exception):
    """Why something is not measured."""


# ---------------------------------------------------------------------------
# Processes


def free_port():
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_of(pid):
    """Return (user, system) CPU seconds of a process with all its threads."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def cluster_cpu(postmaster):
    """Return CPU seconds of a cluster's processes, past and present."""
    tick = os.sysconf("SC_CLK_TCK")
    with open("/proc/%d/stat" % postmaster, encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    total = (int(fields[13]) + int(fields[14])) / tick
    with open("/proc/%d/task/%d/children" % (postmaster, postmaster),
              encoding="utf-8") as children:
        for child in children.read().split():
            try:
                total += sum(cpu_of(int(child)))
            except OSError:
                pass
    return total


def memory_of(pid, name):
    """Return VmRSS or VmHWM of a process in MiB."""
    with open("/proc/%d/status" % pid, encoding="utf-8") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    raise Missing("no %s" % name)


class Target:
    """A server that answers MCP over HTTP."""

    def __init__(self, name, command, port, headers, body):
        """Start it, and wait until it gives two rows."""
        self.name = name
        self.port = port
        self.headers = {"Content-Type": "application/json",
                        "Accept": "application/json, text/event-stream",
                        **headers}
        self.body = body
        self.directory = tempfile.mkdtemp(prefix="pg_warden-bench.")
        self.log = os.path.join(self.directory, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory)
        self.lengths = {}
        try:
            self.await_answer()
        except BaseException:
            self.stop()
            raise

    def await_answer(self):
        """Wait until it answers."""
        deadline = time.time() + 60
        while True:
            try:
                return self.length_of(2)
            except (OSError, http.client.HTTPException, Missing) as error:
                if self.process.poll() is not None or time.time() > deadline:
                    with open(self.log, encoding="utf-8",
                              errors="replace") as log:
                        raise Missing("%s: %s" % (
                            error, log.read()[-300:].strip())) from error
            time.sleep(0.1)

    def write(self, rows):
        """Write body and headers for wrk; return their paths."""
        body = os.path.join(self.directory, "body")
        headers = os.path.join(self.directory, "headers")
        with open(body, "w", encoding="utf-8") as out:
            out.write(json.dumps(self.body(SELECT % rows)))
        with open(headers, "w", encoding="utf-8") as out:
            out.writelines("%s: %s\n" % pair for pair in self.headers.items())
        return body, headers

    def length_of(self, rows):
        """Make one call; return its answer's length if all rows are in it."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request("POST", "/mcp", json.dumps(self.body(SELECT % rows)),
                     self.headers)
        answer = line.getresponse().read().decode()
        line.close()
        if "city %d" % (rows % 100) not in answer or \
                answer.count("city ") < rows:
            raise Missing("answers %s" % answer[:300])
        self.lengths[rows] = len(answer)
        return self.lengths[rows]

    def load(self, rows, connections, seconds, postmaster):
        """Return (calls/s, p50 in us, user us, system us, PostgreSQL's)."""
        self.length_of(rows)
        cluster = cluster_cpu(postmaster)
        before = cpu_of(self.process.pid)
        output = run(["wrk", "-t1", "-c%d" % connections, "-d%ds" % seconds,
                      "--timeout", "30s", "--latency", "-s",
                      os.path.join(HERE, "post.lua"),
                      "http://127.0.0.1:%d/mcp" % self.port, "--",
                      *self.write(rows)])
        after = cpu_of(self.process.pid)
        cluster = cluster_cpu(postmaster) - cluster
        if "Non-2xx" in output or "Socket errors" in output:
            raise Missing("%s under load:\n%s" % (self.name, output))
        fields = dict(wrk_fields(output))
        if fields["bytes"] < 0.9 * fields["calls"] * self.lengths[rows]:
            raise Missing("%s gave other answers under load" % self.name)
        return (fields["rate"], fields["p50"],
                (after[0] - before[0]) / fields["calls"] * 1e6,
                (after[1] - before[1]) / fields["calls"] * 1e6,
                cluster / fields["calls"] * 1e6)

    def stop(self):
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def scaled(text):
    """Return a number as wrk prints it: 12.34MB, 1.50ms, 890.00us."""
    units = {"us": 1, "ms": 1e3, "s": 1e6, "B": 1, "KB": 1 << 10,
             "MB": 1 << 20, "GB": 1 << 30}
    digits = text.rstrip("usmKMGB")
    return float(digits) * units[text[len(digits):]]


def wrk_fields(output):
    """Yield what wrk measured."""
    for line in output.splitlines():
        words = line.split()
        if "requests in" in line:
            yield "calls", int(words[0])
            yield "bytes", scaled(words[4])
        elif line.startswith("Requests/sec"):
            yield "rate", float(words[1])
        elif words[:1] == ["50%"]:
            yield "p50", scaled(words[1])


# ---------------------------------------------------------------------------
# The servers


def modern_call(sql):
    """Return a tools/call of the newest revision for warden-mcp."""
    prefix = "io.modelcontextprotocol/"
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "query", "arguments": {"sql": sql}, "_meta": {
            prefix + "protocolVersion": MODERN,
            prefix + "clientInfo": {"name": "bench", "version": "1"},
            prefix + "clientCapabilities": {}}}}


def legacy_call(tool):
    """Return what makes a tools/call of the older revisions."""
    return lambda sql: {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                        "params": {"name": tool, "arguments": {"sql": sql}}}


class Mcp:
    """A PostgreSQL, warden-mcp and its peers on it."""

    def __init__(self, settings, seconds, rounds, table):
        """Take the settings of a server that loads the extension."""
        self.seconds = seconds
        self.rounds = rounds
        self.table = table
        self.pg_port = free_port()
        self.server = Server(settings + [
            "listen_addresses = '127.0.0.1'", "port = %d" % self.pg_port,
            "warden.audit = 'async'"])
        self.directory = tempfile.mkdtemp(prefix="pg_warden-bench.")
        self.targets = []
        self.missing = []

    def path(self, name):
        """Return a path in a directory that goes away."""
        return os.path.join(self.directory, name)

    def dsn(self, role):
        """Return a connection string; over TCP, as the others connect."""
        return "host=127.0.0.1 port=%d dbname=postgres user=%s" % (
            self.pg_port, role)

    def url(self):
        """Return the peers' connection string."""
        return "postgres://bench_reader@127.0.0.1:%d/postgres" \
            "?sslmode=disable" % self.pg_port

    def sql(self, text):
        """Run SQL as superuser."""
        return run([os.path.join(os.environ["PG_BINDIR"], "psql"), "-XAtq",
                    "-v", "ON_ERROR_STOP=1", "-d", self.dsn("postgres"),
                    "-c", text]).strip()

    def prepare(self):
        """Start PostgreSQL, load it, build the drivers, fetch the peers."""
        self.server.start()
        with open(os.path.join(self.server.data, "postmaster.pid"),
                  encoding="utf-8") as pidfile:
            self.postmaster = int(pidfile.readline())
        self.sql(SCHEMA.replace("ROWS", str(ROWS)))
        self.sql("VACUUM ANALYZE")
        self.sql("SELECT warden.create_agent('bench', 'bench_agent')")
        self.token = self.sql("SELECT warden.issue_token('bench')")
        with open(self.path("token"), "w", encoding="utf-8") as out:
            out.write(self.token)
        self.shim = os.path.join(os.environ["WARDEN_BUILD"], "shim",
                                 "warden-mcp")
        flags = run(["sh", "-c", "pkg-config --cflags --libs libpq"]).split()
        for name in ("floor", "stdio"):
            run([os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE",
                 "-O2", "-o", self.path(name),
                 os.path.join(HERE, name + ".c"), *flags])
        self.fetch_peers()

    def fetch_peers(self):
        """Install the peers at the versions of package-lock.json."""
        self.peers = os.path.join(os.environ["CHECK_DIR"], "peers")
        os.makedirs(self.peers, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "peers", name), self.peers)
        self.no_peers = None
        if os.path.isdir(os.path.join(self.peers, "node_modules", "node")):
            return
        try:
            run(["npm", "install", "--no-audit", "--no-fund"], cwd=self.peers)
        except (OSError, RuntimeError) as error:
            self.no_peers = str(error).strip().splitlines()[-1]

    def peer(self, *path):
        """Return the path of a file of the peers' packages."""
        if self.no_peers is not None:
            raise Missing("npm: " + self.no_peers)
        found = os.path.join(self.peers, "node_modules", *path)
        if not os.path.exists(found):
            raise Missing("its package has no file for this machine")
        return found

    def start(self):
        """Start all that speak HTTP, and note why one does not start."""
        for name, starter in ((OURS, self.start_ours),
                              (BY_SOCKET, self.start_by_socket),
                              (DBHUB, self.start_dbhub),
                              (TOOLBOX, self.start_toolbox)):
            try:
                self.targets.append(starter(name, free_port()))
            except (OSError, Missing) as error:
                self.missing.append("%s is not measured: %s" % (name, error))

    def start_by_socket(self, name, port):
        """Start warden-mcp, connected as it would be on the same machine."""
        return self.start_ours(name, port, "host=%s port=%d dbname=postgres "
                               "user=bench_gateway" % (self.server.directory,
                                                       self.pg_port))

    def start_ours(self, name, port, dsn=None):
        """Start warden-mcp with its default settings."""
        return Target(name, [
            self.shim, "--http", "127.0.0.1:%d" % port, "--dsn",
            dsn or self.dsn("bench_gateway"), "--default-token-file",
            self.path("token")], port, {
                "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call",
                "Mcp-Name": "query"}, modern_call)

    def start_dbhub(self, name, port):
        """Start DBHub, read-only."""
        with open(self.path("dbhub.toml"), "w", encoding="utf-8") as out:
            out.write('[[sources]]\nid = "bench"\ndsn = "%s"\n\n[[tools]]\n'
                      'name = "execute_sql"\nsource = "bench"\n'
                      'readonly = true\nmax_rows = 1000\n' % self.url())
        return Target(name, [
            self.peer("node", "bin", "node"),
            self.peer("@bytebase", "dbhub", "dist", "index.js"),
            "--transport", "http", "--host", "127.0.0.1", "--port", str(port),
            "--config", self.path("dbhub.toml")], port,
                      {"MCP-Protocol-Version": "2025-06-18"},
                      legacy_call("execute_sql"))

    def start_toolbox(self, name, port):
        """Start Toolbox with its tool that runs SQL."""
        with open(self.path("tools.yaml"), "w", encoding="utf-8") as out:
            out.write("sources:\n  bench:\n    kind: postgres\n"
                      "    host: 127.0.0.1\n    port: %d\n"
                      "    database: postgres\n    user: bench_reader\n"
                      "    password: none\ntools:\n  execute_sql:\n"
                      "    kind: postgres-execute-sql\n    source: bench\n"
                      "    description: Run SQL\n" % self.pg_port)
        return Target(name, [
            self.peer("@toolbox-sdk", "server-linux-x64", "bin", "toolbox"),
            "--config", self.path("tools.yaml"), "--port", str(port),
            "--log-level", "ERROR", "--disable-reload",
            "--disable-version-check"], port,
                      {"MCP-Protocol-Version": "2025-06-18"},
                      legacy_call("execute_sql"))

    def destroy(self):
        """End and remove everything."""
        for target in self.targets:
            target.stop()
        self.server.destroy()
        shutil.rmtree(self.directory, ignore_errors=True)

    # -----------------------------------------------------------------------
    # What is measured

    def floor(self, rows, connections, seconds):
        """Return what Target.load does, for libpq alone."""
        cluster = cluster_cpu(self.postmaster)
        rate, p50, cpu = [float(word) for word in run([
            self.path("floor"), self.dsn("bench_gateway"), str(connections),
            str(seconds), SELECT % rows, self.token, "named"]).split()]
        cluster = cluster_cpu(self.postmaster) - cluster
        return rate, p50, cpu, 0, cluster / rate / seconds * 1e6

    def over_http(self, rows, connections):
        """Measure all over HTTP, in turns; print a table."""
        names = ["libpq alone, governed"] + [t.name for t in self.targets]
        samples = {name: [] for name in names}
        for _ in range(self.rounds):
            samples[names[0]].append(
                self.floor(rows, connections, self.seconds))
            for target in self.targets:
                samples[target.name].append(target.load(
                    rows, connections, self.seconds, self.postmaster))
        medians = {name: [statistics.median(column)
                          for column in zip(*values)]
                   for name, values in samples.items()}
        lines = []
        for name in names:
            rate, p50, user, system, cluster = medians[name]
            pairs = list(zip(samples[OURS], samples[name]))
            lines.append([
                name, "%.0f" % rate, "%.0f" % p50,
                "%.1f + %.1f" % (user, system) if name != names[0] else
                "%.1f" % user, "%.1f" % cluster,
                "%.2f" % statistics.median(a[0] / b[0] for a, b in pairs),
                "%.2f" % statistics.median(a[1] / b[1] for a, b in pairs),
                "%.2f" % statistics.median(
                    (a[2] + a[3]) / (b[2] + b[3]) for a, b in pairs)])
        self.table("%d rows, HTTP, %d in flight; audit async" % (
            rows, connections),
                   ["", "calls/s", "p50 us", "its CPU us, user + system",
                    "PostgreSQL's", "our calls/s in its", "our p50 in its",
                    "our CPU in its"],
                   lines)

    def http(self):
        """Print the tables of calls over HTTP."""
        self.over_http(2, 1)
        self.over_http(2, 16)
        self.over_http(1000, 1)
        self.over_http(1000, 16)

    def durable(self):
        """Print what waiting for durable audit records costs."""
        lines = []
        ours = self.targets[0]
        for mode in ("async", "sync"):
            self.sql("ALTER SYSTEM SET warden.audit = '%s'" % mode)
            self.sql("SELECT pg_reload_conf()")
            time.sleep(0.5)
            for connections in (1, 16):
                rate, p50, user, system, cluster = ours.load(
                    2, connections, self.seconds, self.postmaster)
                lines.append(["%s, %d in flight" % (mode, connections),
                              "%.0f" % rate, "%.0f" % p50,
                              "%.1f + %.1f" % (user, system),
                              "%.1f" % cluster])
        self.sql("ALTER SYSTEM RESET warden.audit")
        self.sql("SELECT pg_reload_conf()")
        self.table("warden-mcp, 2 rows, by warden.audit",
                   ["", "calls/s", "p50 us", "its CPU us, user + system",
                    "PostgreSQL's"], lines)

    def stdio(self):
        """Print the table of calls over a pipe, one at a time."""
        call = dict(legacy_call("query")(SELECT % 2))
        opening = [
            {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "bench", "version": "1"}}},
            {"jsonrpc": "2.0", "method": "notifications/initialized"}]
        with open(self.path("requests"), "w", encoding="utf-8") as out:
            for message in opening + [call]:
                out.write(json.dumps(message) + "\n")
        with open(self.path("shim.json"), "w", encoding="utf-8") as out:
            json.dump({"dsn": self.dsn("bench_gateway"),
                       "token_file": self.path("token")}, out)
        lines = []
        for name, command in (
                (OURS, lambda: [self.shim, "--stdio", "--config",
                                self.path("shim.json")]),
                (REFERENCE, lambda: [
                    self.peer("node", "bin", "node"),
                    self.peer("@modelcontextprotocol", "server-postgres",
                              "dist", "index.js"), self.url()])):
            try:
                words = [run([self.path("stdio"), str(self.seconds),
                              self.path("requests")] + command(),
                             ).split()[-5:] for _ in range(self.rounds)]
                rate, p50, user, system, _ = [
                    statistics.median(float(word) for word in column)
                    for column in zip(*words)]
                lines.append([name, rate, p50, user, system])
            except (RuntimeError, Missing) as error:
                self.missing.append("%s is not measured: %s" % (name, error))
        self.table("2 rows, stdio, one call at a time; audit async",
                   ["", "calls/s", "p50 us", "its CPU us, user + system",
                    "our calls/s in its"],
                   [[name, "%.0f" % rate, "%.0f" % p50,
                     "%.1f + %.1f" % (user, system),
                     "%.2f" % (lines[0][1] / rate)]
                    for name, rate, p50, user, system in lines])

    def memory(self):
        """Print resident memory: at rest, and with many connections."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        fresh = self.start_ours(OURS, free_port())
        lines = []
        held = []
        try:
            pid = fresh.process.pid
            lines.append(["after one call; target: under 12",
                          "%.1f" % memory_of(pid, "VmRSS")])
            for _ in range(1000):
                line = http.client.HTTPConnection("127.0.0.1", fresh.port,
                                                  timeout=30)
                line.request("POST", "/mcp",
                             json.dumps(fresh.body(SELECT % 2)),
                             fresh.headers)
                line.getresponse().read()
                held.append(line)
            lines.append(["1000 idle connections, a call on each",
                          "%.1f" % memory_of(pid, "VmRSS")])
            fresh.load(1000, 16, self.seconds, self.postmaster)
            lines.append(["and 16 calls of 1000 rows at once, at its most; "
                          "target: under 48", "%.1f" % memory_of(pid, "VmHWM")])
            alive = sum(1 for line in held if line.sock is not None)
            lines.append(["connections that were kept", str(alive)])
        finally:
            for line in held:
                line.close()
            fresh.stop()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.table("warden-mcp, MiB resident", ["", "MiB"], lines)

    def run(self):
        """Measure everything."""
        self.prepare()
        self.start()
        if not self.targets or self.targets[0].name != OURS:
            raise RuntimeError("\n".join(self.missing))
        self.memory()
        self.http()
        self.durable()
        self.stdio()
        for line in self.missing:
            print("\n" + line)
