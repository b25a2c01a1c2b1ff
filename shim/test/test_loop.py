"""Calls that the HTTP loop runs by itself, and those that it hands over."""

import ctypes
import http.client
import json
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import main, modern


def counters(server):
    """Metrics that are plain numbers, by name."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    line.request("GET", "/metrics")
    text = line.getresponse().read().decode()
    line.close()
    return {name: int(value) for name, value in
            re.findall(r"^warden_mcp_(\w+) (\d+)$", text, re.M)}


def rows(server, sql, **arguments):
    return server.call("query", {"sql": sql, **arguments})[
        "structuredContent"].get("rows")


def short(bench):
    server = bench.http("--pool", "2")
    wrong = [n for n in range(50) if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal(wrong, [], "short calls")
    bench.check(counters(server)["loop_calls_total"] > 0,
                "no worker is needed for them", counters(server))
    bench.equal(server.call("query", {"sql": "SELECT 1/0"})[
        "structuredContent"].get("sqlstate"), "22012", "an error")
    bench.equal(rows(server, "SELECT 7"), [[7]], "a call after it")
    bench.equal(rows(server, "SELECT $1::mood", params=["ok"]), [["ok"]],
                "a type that has to be learned")
    change = server.call("query", {
        "sql": "UPDATE customers SET name = 'x' WHERE id = 1"})[
            "structuredContent"]
    bench.equal(change.get("status"), "pending_review",
                "a write, whose findings are another statement")
    before = counters(server)["handed_over_total"]
    many = rows(server, "SELECT id, profile, repeat('x', 500) FROM customers"
                " ORDER BY id LIMIT 1000")
    bench.equal([len(many), many[999][0]], [1000, 1000], "a long answer")
    bench.check(counters(server)["handed_over_total"] > before,
                "which a worker writes")
    bench.equal(rows(server, "SELECT length('%s')" % ("y" * 100000)),
                [[100000]], "a long statement")


def parts(bench):
    """Answers that come in some reads, alone and beside each other."""
    server = bench.http("--pool", "3")
    sql = "SELECT n, repeat('x', 90) FROM generate_series(1, 900) n"
    expected = [[n, "x" * 90] for n in range(1, 901)]
    wrong = []

    def ask(times):
        for _ in range(times):
            if rows(server, sql) != expected:
                wrong.append(sql)

    ask(1)
    before = counters(server)["handed_over_total"]
    ask(20)
    alone = counters(server)["handed_over_total"] - before
    bench.check(alone < 20, "a longer answer needs no worker where no other"
                " call is under way", alone)
    threads = [threading.Thread(target=ask, args=(20,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.check(counters(server)["handed_over_total"] > before + alone,
                "beside others some do")
    bench.equal(wrong, [], "141 longer answers")


def lost(bench):
    """A new connection has the descriptor of the one that was given up."""
    server = bench.http("--pool", "1")
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def ask(sql):
        line.request("POST", "/mcp", json.dumps(query(1, sql)), {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {bench.env['token']}"})
        return json.loads(line.getresponse().read())["result"][
            "structuredContent"].get("rows")

    answers = [ask("SELECT 1")]
    before = counters(server)["handed_over_total"]
    for _ in range(8):
        answers += [ask("COPY (SELECT 1) TO STDOUT"), ask("SELECT 1"),
                    ask("SELECT 1")]
    bench.equal(answers, [[[1]]] + [None, [[1]], [[1]]] * 8,
                "calls after connections that were given up")
    slow = counters(server)["handed_over_total"] - before
    bench.check(slow < 8, "which do not wait in vain", slow)
    line.close()


def beside_slow_ones(bench):
    server = bench.http("--pool", "2")
    slow = []

    def wait():
        slow.append(rows(server, "SELECT 'slow' FROM pg_sleep(5)"))

    thread = threading.Thread(target=wait)
    thread.start()
    wrong = [n for n in range(50) if rows(server, f"SELECT {n}") != [[n]]]
    bench.equal((wrong, slow), ([], []),
                "short calls do not wait for a long one")
    thread.join()
    bench.equal(slow, [[["slow"]]], "which gets its answer")


def places(bench):
    """One connection, eight clients; some calls are long, some are refused."""
    server = bench.http("--pool", "1")
    statements = [
        ("SELECT 1", [[1]]), ("SELECT 2 FROM pg_sleep(0.05)", [[2]]),
        ("SELECT 3/0", None), ("SELECT n FROM generate_series(1, 900) n",
                               [[n] for n in range(1, 901)]), ("", None)]
    wrong = []

    def work(number):
        for turn in range(15):
            sql, expected = statements[(number + turn) % len(statements)]
            got = rows(server, sql)
            if got != expected:
                wrong.append((sql, got))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.equal(wrong, [], "120 calls take turns on one connection")
    numbers = counters(server)
    bench.equal((numbers["pool_busy"], numbers["queue_length"],
                 numbers["pool_open"]), (0, 0, 1), "all places are free again")


def resets(bench):
    """DISCARD ALL stands between identities and after errors only."""
    server = bench.http("--pool", "1")
    log = pathlib.Path(bench.dir) / "postgres.log"

    def discards():
        return log.read_text(errors="replace").count("DISCARD ALL")

    def call(token, sql="SELECT 1"):
        before = discards()
        server.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                     "params": {"name": "query", "arguments": {"sql": sql}}},
                    {"Authorization": f"Bearer {bench.env[token]}"})
        return discards() - before

    bench.psql("ALTER SYSTEM SET log_statement = 'all'")
    bench.psql("SELECT pg_reload_conf()")
    while bench.psql("SHOW log_statement") != "all":
        pass
    bench.equal([call("token"), call("token"), call("other_token"),
                 call("other_token"), call("other_token", "SELECT 1/0"),
                 call("other_token"), call("other_token"), call("token")],
                [1, 0, 1, 0, 0, 1, 0, 1],
                "a connection is reset for another identity, and after errors")
    bench.psql("ALTER SYSTEM RESET log_statement")
    bench.psql("SELECT pg_reload_conf()")


def crowd(bench):
    """1000 idle connections, and 16 long answers at a time beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(1000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, many + 100), hard))
    server = bench.http()
    request = json.dumps({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "query", "arguments": {
                "sql": "SELECT id, email, ssn, name, joined FROM customers"
                       " ORDER BY id LIMIT 1000"}}})
    headers = {"Content-Type": "application/json",
               "Authorization": f"Bearer {bench.env['token']}"}
    wrong = []

    def ask(line, path="/mcp"):
        if path == "/mcp":
            line.request("POST", path, request, headers)
        else:
            line.request("GET", path)
        answer = line.getresponse()
        text = answer.read()
        if answer.status != 200 or (path == "/mcp" and
                                    b'"row_count":1000' not in text):
            wrong.append(text[:200])

    def work():
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(4):
            ask(line)
        line.close()

    idle = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for _ in range(many)]
    for line in idle:
        ask(line, "/healthz")
    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    process = pathlib.Path(f"/proc/{server.process.pid}")
    bench.check(counters(server)["http_connections"] > many,
                "all connections are still open")
    status = (process / "status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])
    for line in (idle[0], idle[-1]):
        ask(line, "/healthz")
    bench.equal(wrong, [], f"{many} idle connections and 64 long answers")
    bench.check(peak < 48 * 1024, f"resident memory was at most {peak} KiB"
                " < 48 MiB")
    for line in idle:
        line.close()


def until(server, gauge, value):
    deadline = time.time() + 30
    while counters(server)[gauge] != value and time.time() < deadline:
        time.sleep(0.02)


def query(number, sql):
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call",
            "params": {"name": "query", "arguments": {"sql": sql}}}


def open_session(server):
    _, headers, _ = server.post({
        "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}})
    server.session = headers["mcp-session-id"]


def in_background(server, number, sql, answers):
    def call():
        answers[number] = server.post(query(number, sql))

    thread = threading.Thread(target=call)
    thread.start()
    return thread


def cancel(server, number):
    server.post({"jsonrpc": "2.0", "method": "notifications/cancelled",
                 "params": {"requestId": number}})


def cancelled_in_the_queue(bench):
    """What is given up before it has a place is never sent."""
    server = bench.http("--pool", "1")
    open_session(server)
    answers = {}
    write = "UPDATE customers SET name = 'given up' WHERE id = 3"
    threads = [in_background(server, 2, "SELECT pg_sleep(3)", answers)]
    until(server, "pool_busy", 1)
    threads.append(in_background(server, 3, write, answers))
    until(server, "queue_length", 1)
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    request = modern(query(4, write))
    line.request("POST", "/mcp", json.dumps(request), server.headers(request))
    until(server, "queue_length", 2)
    line.close()
    cancel(server, 3)
    for thread in threads:
        thread.join()
    until(server, "queue_length", 0)
    until(server, "pool_busy", 0)
    bench.equal(answers[3][0], 202, "a call that is cancelled in the queue")
    bench.equal(bench.psql(
        "SELECT count(*) FROM warden.change_statements"
        " WHERE statement LIKE '%''given up''%'"), "0",
        "does not run, nor one whose client has gone")


def raw(server, message):
    """A request as bytes."""
    body = json.dumps(message).encode()
    headers = {"Host": f"127.0.0.1:{server.port}", "Content-Length": len(body),
               **server.headers(message)}
    return ("POST /mcp HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items())
            ).encode() + b"\r\n" + body


def cut_while_waiting(bench):
    """A line that is reset while the loop has its call, and after that."""
    server = bench.http("--pool", "2")
    for number, sql in enumerate(["SELECT 1", "SELECT pg_sleep(0.01)",
                                  "SELECT pg_sleep(0.03)",
                                  "SELECT pg_sleep(60)"] * 5):
        for pause in (0, 0.005):
            line = socket.create_connection(("127.0.0.1", server.port), 20)
            line.sendall(raw(server, modern(query(number, sql))))
            time.sleep(pause)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            line.close()
    until(server, "pool_busy", 0)
    numbers = counters(server)
    bench.equal((numbers["pool_busy"], numbers["queue_length"]), (0, 0),
                "calls whose clients reset their lines keep no place")
    bench.equal(rows(server, "SELECT 7"), [[7]], "the next one is served")


def watched_in_the_queue(bench):
    """A look at changes, which is no client's call, waits for a place, too."""
    server = bench.http("--pool", "1")
    answers = {}
    thread = in_background(server, 2, "SELECT 2 FROM pg_sleep(2)", answers)
    until(server, "pool_busy", 1)
    request = modern({"jsonrpc": "2.0", "id": "s",
                      "method": "subscriptions/listen", "params": {
                          "notifications": {"toolsListChanged": True}}})
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    line.request("POST", "/mcp", json.dumps(request), server.headers(
        request, Authorization="Bearer guess"))
    stream = line.getresponse()
    until(server, "queue_length", 1)
    bench.equal(counters(server)["streams"], 1, "an open stream is counted")
    thread.join()
    bench.equal(answers[2][2][0]["result"]["structuredContent"].get("rows"),
                [[2]], "a stream is opened while all places are taken")
    bench.check(b"401" in stream.read(), "and ends when it is refused")
    bench.equal(rows(server, "SELECT 7"), [[7]], "the server goes on")
    line.close()
    until(server, "http_connections", 1)
    numbers = counters(server)
    bench.equal((numbers["streams"], numbers["http_connections"]), (0, 1),
                "what is over is not counted")


def half_closed(bench):
    """Who sends nothing more gets an answer and the end of the line."""
    server = bench.http()
    late = []

    def ask(number):
        request = raw(server, modern(query(number, "SELECT 1")))
        line = socket.create_connection(("127.0.0.1", server.port), 10)
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        try:
            while line.recv(65536):
                pass
        except TimeoutError:
            late.append(number)
        line.close()

    for number in range(120):
        if not late:
            ask(number)
    bench.equal(late, [], "120 half-closed lines are closed at once")
    line = socket.create_connection(("127.0.0.1", server.port), 10)
    line.sendall(b"".join(raw(server, modern(query(n, f"SELECT {n}")))
                          for n in range(1, 6)))
    line.shutdown(socket.SHUT_WR)
    answers = b""
    while part := line.recv(65536):
        answers += part
    line.close()
    bench.equal(re.findall(rb'"rows":\[\[(\d)\]\]', answers),
                [b"%d" % n for n in range(1, 6)],
                "all that was sent before is answered")


def kept_blocks(bench):
    """Values of one thread that another one frees and keeps."""
    library = "libc_malloc_debug.so.0"
    try:
        ctypes.CDLL(library)
    except OSError:
        return
    server = bench.http("--pool", "1", LD_PRELOAD=library,
                        GLIBC_TUNABLES="glibc.malloc.check=3")
    for number in range(60):
        rows(server, f"SELECT {number}, $1::mood", params=["ok"])
        rows(server, "UPDATE customers SET name = 'x' WHERE id = 1")
        rows(server, "SELECT 1 FROM pg_sleep(0.03)")
        for other in range(3):
            rows(server, f"SELECT {other}, 'a', 'b'", max_rows=1)
    bench.equal(rows(server, "SELECT 7"), [[7]],
                "glibc's checks find nothing wrong")


def wide(bench):
    """One wide cell among many rows does not make a table of blanks."""
    server = bench.http()
    for width in (100000, 900000):
        result = server.call("query", {
            "sql": f"SELECT n, CASE n WHEN 1 THEN repeat('x', {width}) ELSE 'y'"
            " END AS c FROM generate_series(1, 900) n"})
        text = result["content"][0]["text"]
        bench.equal((result["structuredContent"]["row_count"], text[:6],
                     len(text) < width + 20000), (900, "n,c\n1,", True),
                    f"a cell of {width} characters comes as CSV")


def tall(bench):
    """Nor does a cell of many lines, and it is looked through once."""
    server = bench.http()
    began = time.time()
    for lines, csv in ((60000, False), (4000000, True)):
        result = server.call("query", {"sql": f"SELECT repeat(E'\\n', {lines})"})
        text = result["content"][0]["text"]
        bench.equal((text.count("\n") >= lines, text.startswith("repeat\n")),
                    (True, csv), f"a cell of {lines} lines")
    result = server.call("query", {
        "sql": "SELECT repeat(E'\\n', 100000) AS a, repeat('x', 10000) AS b"})
    text = result["content"][0]["text"]
    bench.equal((text[:4], len(text) < 200000), ("a,b\n", True),
                "a wide cell beside a tall one")
    bench.check(time.time() - began < 5, "all in good time",
                time.time() - began)


def too_large(bench):
    """Counted also where PostgreSQL is faster than we are."""
    server = bench.http("--max-result", "1048576")
    burners = [subprocess.Popen([sys.executable, "-c", "while 1: pass"])
               for _ in range(os.cpu_count())]
    try:
        states = [server.call("query", {
            "sql": "SELECT repeat('x', 10000) FROM generate_series(1, 1000)"})[
                "structuredContent"].get("sqlstate") for _ in range(10)]
        bench.equal(set(states), {"54000"}, "10 MB where 4 may be received")
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def pipelined(bench):
    """Requests that come at once, while other calls are under way."""
    server = bench.http("--pool", "4")
    waiting = threading.Event()

    def ask():
        while not waiting.is_set():
            rows(server, "SELECT pg_sleep(0.012)")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    line = socket.create_connection(("127.0.0.1", server.port), 20)
    answers = b""
    for turn in range(20):
        for number in range(3):
            sql = f"SELECT {turn}, {number}"
            line.sendall(raw(server, modern(query(number, sql))))
        while answers.count(b'"row_count":1') < 3 * (turn + 1):
            part = line.recv(65536)
            if not part:
                break
            answers += part
    waiting.set()
    for thread in threads:
        thread.join()
    line.close()
    bench.equal(re.findall(rb'"rows":\[\[(\d+),(\d+)\]\]', answers),
                [(b"%d" % turn, b"%d" % number) for turn in range(20)
                 for number in range(3)],
                "pipelined calls are answered in their order")


def without_descriptors(bench):
    """A worker that began when there were none can be woken all the same."""
    server = bench.http("--pool", "2")
    pid = server.process.pid
    open_session(server)
    rows(server, "SELECT 1")
    answers = {}
    first = in_background(server, 2, "SELECT pg_sleep(15)", answers)
    until(server, "pool_busy", 1)
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    line.request("GET", "/healthz")
    line.getresponse().read()
    bench.check(line.sock is not None, "a connection stays open after a GET")
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    try:
        used = {int(fd.name)
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    except PermissionError:
        print("# only root sees the descriptors of what gives no core file")
        return
    first_free = min(set(range(len(used) + 1)) - used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, limits[1]))
    request = query(3, "SELECT 1")
    line.request("POST", "/mcp", json.dumps(request), server.headers(request))
    bench.check(b"08001" in line.getresponse().read(),
                "no connection can be had without a descriptor")
    line.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    second = in_background(server, 4, "SELECT pg_sleep(14)", answers)
    until(server, "pool_busy", 2)
    time.sleep(0.5)
    for number in (4, 2):
        cancel(server, number)
    for thread in (first, second):
        thread.join()
    bench.equal([answers[n][2][0]["result"]["structuredContent"].get("sqlstate")
                 for n in (2, 4)], ["57014"] * 2, "both workers hear of it")


def stuck_at_the_end(bench):
    """A database that accepts and says nothing does not break the end."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        log = pathlib.Path(bench.dir) / "stuck.log"
        server = bench.http(
            "--drain-timeout", "0", "--cancel-timeout", "1",
            "--connect-timeout", "60", stderr=log,
            WARDEN_DSN=f"host=127.0.0.1 port={silent.getsockname()[1]}")
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        line.request("GET", "/readyz")
        until(server, "pool_open", 1)
        bench.equal(server.terminate(60), 1, "it ends without the call")
        line.close()
        bench.check("calls_abandoned" in log.read_text(), "and says so")


main(short, parts, lost, beside_slow_ones, places, resets, crowd,
     cancelled_in_the_queue, cut_while_waiting, watched_in_the_queue,
     half_closed, kept_blocks, wide, tall, too_large, pipelined, without_descriptors,
     stuck_at_the_end)
