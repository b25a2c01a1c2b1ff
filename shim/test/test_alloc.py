"""Every allocation of a serving process fails in turn, libraries included."""

import mmap
import os
import pathlib
import struct
import subprocess

from harness import main, modern

TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


def tool(name, **arguments):
    return {"jsonrpc": "2.0", "id": "x", "method": "tools/call",
            "params": {"name": name, "arguments": arguments}}


# What is sent; the last one of its kind also opens a connection to PostgreSQL.
REQUESTS = {
    "a read": tool("query", sql="SELECT id, email, feeling FROM customers "
                   "ORDER BY id LIMIT 2", params=[], format="csv"),
    "a write": tool("query", sql="UPDATE tickets SET body = 'a' WHERE id = 1"),
    "a write as a task": modern(tool(
        "query", sql="UPDATE tickets SET body = 'b' WHERE id = 1"), TASKS),
    "an error": tool("query", sql="SELECT * FROM nope"),
    "explain": tool("explain", sql="SELECT 1"),
    "search_objects": tool("search_objects", pattern="*", detail=True),
    "resources": {"jsonrpc": "2.0", "id": 1, "method": "resources/list"},
    "initialize": {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                   "clientInfo": {"name": "t", "version": "1"}}},
}


class Counters:
    """The counters of fail_alloc.c, in a file that both sides map."""

    def __init__(self, path):
        path.write_bytes(struct.pack("4q", -1, 0, 0, 0))
        self.file = path.open("r+b")
        self.map = mmap.mmap(self.file.fileno(), 32)

    def arm(self, countdown):
        self.map[0:8] = struct.pack("q", countdown)

    def read(self):
        _, _, failed, live = struct.unpack("4q", self.map[:32])
        return failed, live


def exchange(server, request):
    """True for an answer that says what it should, in whatever way."""
    try:
        return bool(server.post(request, timeout=60)[2])
    except (OSError, ValueError, EOFError) as reason:
        return str(reason) or type(reason).__name__
    except Exception as reason:     # http.client's: the line was cut
        if type(reason).__module__ != "http.client":
            raise
        return type(reason).__name__


def fail_each(server, counters, request, most=3000):
    """Fails the first, the second ... allocation that the request needs."""
    for n in range(most):
        failed = counters.read()[0]
        counters.arm(n)
        exchange(server, request)
        counters.arm(-1)
        if counters.read()[0] == failed or server.process.poll() is not None:
            return n
    return most


def allocations(bench):
    here = pathlib.Path(__file__).parent
    library = bench.dir / "fail_alloc.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1",
                    "-DFAIL_ALLOC_PRELOADED", "-o", str(library),
                    str(here / "fail_alloc.c")], check=True)
    counters = Counters(bench.dir / "fail_alloc")
    server = bench.http("--log-level", "error", "--pool", "1",
                        "--auth-failures", "0", "--cancel-timeout", "1",
                        LD_PRELOAD=str(library),
                        WARDEN_FAIL_ALLOC=str(bench.dir / "fail_alloc"))
    for what, request in REQUESTS.items():
        exchange(server, request)
        n = fail_each(server, counters, request)
        if not bench.check(server.process.poll() is None and n > 20,
                           f"{what}: each of {n} allocations fails in turn",
                           server.process.poll()):
            return
        got = exchange(server, request)
        bench.check(got is True, "and then none", got)
    read = REQUESTS["a read"]
    fail_each(server, counters, read)
    exchange(server, read)
    before = counters.read()[1]

    # connections to PostgreSQL, some forty blocks, come and go in between
    n = 0
    grown = []
    for _ in range(4):
        n += fail_each(server, counters, read)
        exchange(server, read)
        grown.append((counters.read()[1] - before, n))
    bench.check(any(blocks < n / 4 for blocks, n in grown),
                "what failed left nothing behind",
                f"blocks after so many failures: {grown}")
    bench.equal(server.terminate(), 0, "exit code 0")


main(allocations)
