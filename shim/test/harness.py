"""What the end-to-end tests share: a cluster, two clients, and counting.

A test program calls main() with its functions; each test takes a Bench.
Every message that the server emits is kept in messages.jsonl, with the request
that it answers, for validate.mjs to hold against the protocol's schemas.
"""

import http.client
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

TOP = pathlib.Path(__file__).resolve().parents[2]
SHIM = pathlib.Path(os.environ.get("WARDEN_SHIM") or TOP / "shim/warden-mcp")
MODERN = "2026-07-28"
LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26"]
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Bench:
    """The running cluster, as cluster.py described it, and its checks."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.env = json.loads((self.dir / "env.json").read_text())
        self.messages = (self.dir / "messages.jsonl").open("a")
        self.passed = self.failed = 0
        self.lock = threading.Lock()
        self.open = []

    def check(self, ok, what, got=None):
        with self.lock:
            if ok:
                self.passed += 1
                print(f"ok - {what}")
            else:
                self.failed += 1
                print(f"not ok - {what}")
                if got is not None:
                    print(f"#   got {str(got)[:1500]}")
        return ok

    def equal(self, got, want, what):
        return self.check(got == want, what, f"{got!r} instead of {want!r}")

    def record(self, request, message, transport):
        with self.lock:
            json.dump({"transport": transport, "request": request,
                       "message": message}, self.messages)
            self.messages.write("\n")

    def dsn(self, user="gateway", **more):
        words = {"host": self.env["host"], "port": self.env["port"],
                 "dbname": self.env["dbname"], "user": user, **more}
        return " ".join(f"{k}={v}" for k, v in words.items())

    def psql(self, sql, user="postgres"):
        done = subprocess.run(
            [f"{self.env['bindir']}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
             "-d", self.dsn(user), "-c", sql],
            capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def pg_ctl(self, *args):
        subprocess.run([sys.executable, str(pathlib.Path(__file__).parent /
                                            "cluster.py"), *args,
                        str(self.dir)], check=True)

    def signal_gateways(self, number):
        """Sends a signal to the backends that serve gateways."""
        for pid in self.psql("SELECT pid FROM pg_stat_activity"
                             " WHERE usename = 'gateway'").split():
            os.kill(int(pid), number)

    def stdio(self, *args, **env):
        client = Stdio(self, args, env)
        self.open.append(client)
        return client

    def http(self, *args, **env):
        server = Http(self, args, env)
        self.open.append(server)
        return server

    def close_all(self):
        for thing in self.open:
            thing.kill()
        self.open = []


def environment(env):
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("WARDEN_", "PG"))}
    clean.update(env)
    return clean


class Process:
    """A running warden-mcp."""

    def __init__(self, bench, args, env, mode):
        base = {"WARDEN_DSN": bench.dsn()}
        if mode[0] == "--stdio":
            base["WARDEN_TOKEN"] = bench.env["token"]
        base.update(env)
        self.bench = bench
        log = base.pop("stderr", bench.dir / "shim.log")
        self.errors = log.open("ab")
        self.process = subprocess.Popen(
            [str(SHIM), *mode, *args], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.errors,
            env=environment({k: v for k, v in base.items() if v is not None}))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()
            except OSError:
                pass

    def terminate(self, timeout=20):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


def modern(request, capabilities=None):
    """The request with the metadata of the modern era."""
    request = json.loads(json.dumps(request))
    meta = dict(META)
    if capabilities is not None:
        meta["io.modelcontextprotocol/clientCapabilities"] = capabilities
    params = request.setdefault("params", {})
    params["_meta"] = {**meta, **params.get("_meta", {})}
    return request


class Stdio(Process):
    def __init__(self, bench, args, env):
        super().__init__(bench, args, env, ["--stdio"])
        self.next_id = 0
        self.sent = {}
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self.pump, daemon=True)
        self.thread.start()

    def pump(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def send_raw(self, data):
        self.process.stdin.write(data if isinstance(data, bytes)
                                 else data.encode())
        self.process.stdin.flush()

    def send(self, request):
        if "id" in request:
            self.sent[json.dumps(request["id"])] = request
        self.send_raw(json.dumps(request) + "\n")

    def receive(self, timeout=20):
        """The next message, None at the end or after the time."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if line is None:
            return None
        message = json.loads(line)
        request = self.sent.get(json.dumps(message.get("id")))
        self.bench.record(request, message, "stdio")
        return message

    def request(self, method, params=None, **more):
        self.next_id += 1
        request = {"jsonrpc": "2.0", "id": self.next_id, "method": method}
        if params is not None:
            request["params"] = params
        if more.get("modern"):
            request = modern(request, more.get("capabilities"))
        self.send(request)
        while True:
            message = self.receive()
            if message is None or message.get("id") == self.next_id:
                return message

    def call(self, tool, arguments=None, **more):
        answer = self.request("tools/call", {"name": tool, "arguments":
                                             arguments or {}}, **more)
        return answer["result"] if answer and "result" in answer else answer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Http(Process):
    def __init__(self, bench, args, env):
        self.port = free_port()
        self.token = bench.env["token"]     # first: without it nothing runs
        super().__init__(bench, args, env,
                         ["--http", f"127.0.0.1:{self.port}"])
        self.next_id = 0
        self.session = None
        deadline = time.time() + 20
        while time.time() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.02)

    def raw(self, method, path, body=None, headers=None, timeout=30):
        """One exchange: status, headers (lower case), body bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return (answer.status,
                    {k.lower(): v for k, v in answer.getheaders()},
                    answer.read())
        finally:
            connection.close()

    def headers(self, request, **changed):
        headers = {"Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream",
                   "Authorization": f"Bearer {self.token}"}
        params = request.get("params") or {}
        if "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {}):
            headers["MCP-Protocol-Version"] = MODERN
            headers["Mcp-Method"] = request["method"]
            name = params.get("name") or params.get("uri") or \
                params.get("taskId")
            if name:
                headers["Mcp-Name"] = name
        elif self.session:
            headers["Mcp-Session-Id"] = self.session
        headers.update({k: v for k, v in changed.items() if v is not None})
        return {k: v for k, v in headers.items()
                if k not in changed or changed[k] is not None}

    def post(self, request, headers=None, **options):
        """Status, headers, and the messages of the answer."""
        status, got, body = self.raw(
            "POST", "/mcp", json.dumps(request).encode(),
            self.headers(request, **(headers or {})), **options)
        messages = []
        if got.get("content-type", "").startswith("text/event-stream"):
            for line in body.decode().split("\n"):
                if line.startswith("data: "):
                    messages.append(json.loads(line[6:]))
        elif body:
            messages.append(json.loads(body))
        for message in messages:
            self.bench.record(request, message, "http")
        return status, got, messages

    def request(self, method, params=None, headers=None, **more):
        self.next_id += 1
        request = {"jsonrpc": "2.0", "id": self.next_id, "method": method}
        if params is not None:
            request["params"] = params
        if more.get("modern"):
            request = modern(request, more.get("capabilities"))
        status, got, messages = self.post(request, headers)
        return messages[-1] if messages else {"http": status}

    def call(self, tool, arguments=None, **more):
        answer = self.request("tools/call", {"name": tool, "arguments":
                                             arguments or {}}, **more)
        return answer.get("result", answer)


def main(*tests):
    bench = Bench(sys.argv[1])
    wanted = sys.argv[2:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        print(f"# {test.__name__}")
        sys.stdout.flush()
        try:
            test(bench)
        except Exception:
            bench.check(False, f"{test.__name__} runs to its end",
                        traceback.format_exc())
        finally:
            bench.close_all()
    print(f"# {bench.passed} passed, {bench.failed} failed")
    sys.exit(1 if bench.failed else 0)
