"""Streamable HTTP: credentials, headers, limits, disconnects, restarts."""

import base64
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

from bad_messages import BAD, GOOD_IDS, MAX_BODY, ping
from harness import LEGACY, MODERN, SHIM, Process, free_port, main, modern

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def tool(name, arguments=None, identifier=1):
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call",
            "params": {"name": name, "arguments": arguments or {}}}


def credentials(bench):
    server = bench.http()
    status, headers, messages = server.post(PING, {"Authorization": None})
    bench.equal(status, 401, "no credential: 401")
    challenge = headers.get("www-authenticate", "")
    url = f"http://127.0.0.1:{server.port}" \
        "/.well-known/oauth-protected-resource/mcp"
    bench.check(challenge.startswith("Bearer ") and
                f'resource_metadata="{url}"' in challenge and
                'scope="query propose"' in challenge,
                "with a challenge that names metadata and scopes", challenge)
    for bad in ("Basic eDp5", "Bearer", "Bearer ", "nonsense"):
        bench.equal(server.post(PING, {"Authorization": bad})[0], 401,
                    f"Authorization {bad!r}: 401")
    status, headers, messages = server.post(
        tool("whoami"), {"Authorization": "Bearer nonsense"})
    bench.equal((status, "www-authenticate" in headers), (401, True),
                "a token that enter refuses: 401 with a challenge")
    bench.check("nonsense" not in json.dumps(messages), "without the token")
    for method, params in (
            ("initialize", {"protocolVersion": LEGACY[0], "capabilities": {},
                            "clientInfo": {"name": "t", "version": "1"}}),
            ("tools/list", {}), ("prompts/list", {}),
            ("resources/templates/list", {})):
        request = {"jsonrpc": "2.0", "id": 1, "method": method,
                   "params": params}
        status, headers, _ = server.post(request)
        bench.equal(status, 200, f"{method} is answered")
        status, headers, _ = server.post(
            request, {"Authorization": "Bearer nonsense"})
        bench.equal((status, "www-authenticate" in headers,
                     "mcp-session-id" in headers), (401, True, False),
                    "and not to a token that enter refuses")
    for method in ("server/discover", "tools/list"):
        request = modern({"jsonrpc": "2.0", "id": 1, "method": method})
        bench.equal(server.post(request)[0], 200, f"modern {method}")
        bench.equal(server.post(request, {"Authorization": "Bearer nonsense"})
                    [0], 401, "needs one that it accepts")
    for path in ("", "/mcp"):
        status, headers, body = server.raw(
            "GET", "/.well-known/oauth-protected-resource" + path)
        document = json.loads(body)
        bench.check(status == 200 and document["resource"] ==
                    f"http://127.0.0.1:{server.port}/mcp" and
                    document["scopes_supported"] == ["query", "propose"],
                    f"metadata at {path or 'the root'}", document)
    bench.check(bench.env["token"] not in
                (bench.dir / "shim.log").read_text(), "no token in the log")


def without_person(bench):
    """Who begins is for nobody, even where calls have to be for a person."""
    server = bench.http("--auth-failures", "3")
    server.token = bench.env["unbound_token"]
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
               "params": {}}
    person = {"warden/onBehalfOf": 42}
    bench.psql("UPDATE warden.agents SET require_on_behalf_of = true"
               " WHERE agent = 'other'")
    try:
        got = [server.post(request)[0] for _ in range(5)]
        bench.equal(got, [200] * 5, "an agent that only acts for a person")
        bench.equal(server.post(tool("whoami"))[0], 401, "says so in calls")
    finally:
        bench.psql("UPDATE warden.agents SET require_on_behalf_of = false"
                   " WHERE agent = 'other'")
    request["params"] = {"_meta": person}
    bench.equal(server.post(request)[0], 200, "nor is a person looked at")
    bench.equal(server.post(request, {"Authorization": "Bearer nonsense"})[0],
                401, "in whose place the credential is")


def unjudged(bench):
    """Who asks nothing of PostgreSQL does not wait for one that is silent."""
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": LEGACY[0], "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}}}

    def initialize(server):
        since = time.time()
        status, headers, _ = server.post(request)
        return (status, "mcp-session-id" in headers), time.time() - since

    server = bench.http()
    server.call("whoami")
    bench.signal_gateways(signal.SIGSTOP)
    try:
        got, seconds = initialize(server)
    finally:
        bench.signal_gateways(signal.SIGCONT)
    bench.equal(got, (200, True), "backend that hangs: initialize is answered")
    bench.check(seconds < 8, "soon", seconds)
    bench.check(server.call("whoami").get("isError") is False,
                "and calls go on")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = bench.http("--connect-timeout", "2", WARDEN_DSN=bench.dsn(
            host="127.0.0.1", port=silent.getsockname()[1]))
        bench.equal(initialize(server)[0], (200, True),
                    "server that does not answer: so it is")
        got, seconds = initialize(server)
        bench.equal(got, (200, True), "and again")
        bench.check(seconds < 1, "at once then", seconds)


def default_token(bench):
    path = bench.dir / "token"
    path.write_text(bench.env["token"] + "\n")
    server = bench.http("--default-token-file", str(path))
    status, _, messages = server.post(tool("whoami"), {"Authorization": None})
    bench.equal(messages[0]["result"]["structuredContent"]["agent"], "support",
                "the default token serves those without one")
    status, _, messages = server.post(
        tool("whoami"), {"Authorization": f"Bearer {bench.env['other_token']}"})
    bench.equal(messages[0]["result"]["structuredContent"]["agent"], "other",
                "and no others")
    bench.equal(server.post(tool("whoami"),
                            {"Authorization": "Bearer nonsense"})[0], 401,
                "a bad token does not fall back to it")


def origins(bench):
    server = bench.http("--allowed-origin", "https://app.example",
                        "--allowed-host", "mcp.example")
    for origin, want in (("http://evil.example", 403), ("null", 403),
                         ("https://app.example", 200),
                         ("http://localhost:3000", 200),
                         ("http://localhost.evil.example", 403),
                         ("http://127.0.0.1:x", 403)):
        bench.equal(server.post(PING, {"Origin": origin})[0], want,
                    f"Origin {origin}: {want}")
    for host, want in (("evil.example", 403), ("localhost:1", 200),
                       ("[::1]:80", 200), ("127.0.0.1.evil.example", 403),
                       ("mcp.example", 200)):
        bench.equal(server.post(PING, {"Host": host})[0], want,
                    f"Host {host}: {want}")
    status, headers, _ = server.raw("OPTIONS", "/mcp", headers={
        "Origin": "https://app.example"})
    bench.equal((status, headers.get("access-control-allow-origin")),
                (204, "https://app.example"), "preflight of an allowed origin")


def methods(bench):
    server = bench.http()
    authorization = {"Authorization": f"Bearer {server.token}"}
    bench.equal(server.raw("GET", "/mcp", headers=authorization)[0], 405,
                "GET: 405")
    bench.equal(server.raw("DELETE", "/mcp", headers=authorization)[0], 405,
                "DELETE without a session: 405")
    bench.equal(server.raw("PUT", "/mcp", b"x", authorization)[0], 405,
                "PUT: 405")
    bench.equal(server.raw("GET", "/nope")[0], 404, "another path: 404")
    bench.equal(server.raw("GET", "/healthz")[2], b"ok\n", "healthz")
    bench.equal([server.raw("HEAD", path)[::2] for path in
                 ("/healthz", "/readyz", "/metrics", "/nope")],
                [(200, b""), (200, b""), (200, b""), (404, b"")], "HEAD")
    bench.equal([server.raw("GET", "/readyz")[0] for _ in range(3)],
                [200, 200, 200], "readyz")
    server.call("whoami")
    metrics = server.raw("GET", "/metrics")[2].decode()
    bench.check('warden_mcp_calls_total{name="whoami",outcome="ok"} 1' in
                metrics, "metrics", metrics)
    bench.equal(server.post(PING, {"Content-Type": "text/plain"})[0], 415,
                "another content type: 415")
    bench.equal(server.post(PING, {"Accept": "text/html"})[0], 406,
                "Accept without JSON: 406")
    status, _, messages = server.post(
        {"jsonrpc": "2.0", "method": "notifications/initialized"})
    bench.equal((status, messages), (202, []), "a notification: 202")


def bodies(bench):
    server = bench.http("--max-body", "4096")
    headers = server.headers(PING)

    def post(body, **changed):
        status, _, answer = server.raw("POST", "/mcp", body,
                                       {**headers, **changed})
        code = json.loads(answer).get("error", {}).get("code")
        return status, code

    bench.equal(post(b"x" * 4097), (413, -32600), "a body too large: 413")
    bench.equal(post(iter([b"x" * 3000] * 3)), (413, -32600),
                "a chunked one as well")
    bench.equal(post(b""), (400, -32700), "an empty body")
    bench.equal(server.post(PING)[0], 200, "and the server is still there")
    with socket.create_connection(("127.0.0.1", server.port), 20) as line:
        head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        line.sendall(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}"
                     "Content-Length: 1073741824\r\n\r\n".encode())
        bench.equal(line.recv(12), b"HTTP/1.1 413",
                    "one of 1 GiB is refused unread")


def bad_messages(bench):
    server = bench.http("--max-body", str(MAX_BODY))
    headers = server.headers(PING)

    def post(body):
        status, _, answer = server.raw("POST", "/mcp", body, headers)
        return status, json.loads(answer)

    for data, code, status, what in BAD:
        got, answer = post(data)
        bench.equal((got, answer.get("error", {}).get("code"),
                     "result" in answer), (status, code, False),
                    f"{what}: {code}")
    for identifier in GOOD_IDS:
        bench.equal(post(ping(identifier.encode())),
                    (200, {"jsonrpc": "2.0", "id": json.loads(identifier),
                           "result": {}}), f"id {identifier[:30]} comes back")


def swollen(bench):
    """What a message becomes in memory is limited, before anybody knows who."""
    server = bench.http()
    headers = {"Content-Type": "application/json",
               "Authorization": "Bearer nobody"}
    before = server.rss_kib()

    def post(item, count):
        body = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":[%s]}}' \
            % ",".join([item] * count)
        return server.raw("POST", "/mcp", body, headers)[0]

    for item, count in (("{}", 340000), ("[]", 340000), ("1", 500000)):
        bench.equal(post(item, count), 400, f"{count} times {item}: 400")
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    more = int(status.split("VmHWM:")[1].split()[0]) - before
    bench.check(more < 24 * 1024, f"they took {more} KiB < 24 MiB")
    bench.equal(post("1", 90000), 200, "90000 numbers are not too many")


def half_bodies(bench):
    """What all clients together have sent of bodies is limited, too."""
    server = bench.http()
    before = server.rss_kib()
    head = "".join(f"{k}: {v}\r\n" for k, v in {
        **server.headers(PING), "Authorization": "Bearer nobody"}.items())
    lines = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(150)]
    try:
        for line in lines:
            line.settimeout(5)
            try:
                line.sendall(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}"
                             "Content-Length: 1000000\r\n\r\n"
                             f"{' ' * 900000}".encode())
            except OSError:
                pass
        wait_for(lambda: server.rss_kib() - before > 110 * 1024, 3)
        more = server.rss_kib() - before
        bench.check(more < 110 * 1024, f"135 MB in part: {more} KiB < 110 MiB")
        bench.equal(server.post(PING)[0], 200, "a short message is taken")
    finally:
        for line in lines:
            line.close()

    def takes_a_long_one():
        try:
            return server.post(modern(tool("query", {
                "sql": "SELECT 1 -- " + "x" * 900000})))[0] == 200
        except (http.client.HTTPException, OSError):
            return False

    bench.check(wait_for(takes_a_long_one), "and a long one when they are gone")


def batches(bench):
    """2025-03-26 has batches, and no other revision."""
    server = bench.http()
    requests = [PING, tool("query", {"sql": "SELECT 1"}, "q"),
                {"jsonrpc": "2.0", "method": "notifications/initialized"},
                {"jsonrpc": "2.0", "id": 3, "method": "nope"}, 7,
                tool("query", {"sql": "SELECT 2"}, 4),
                {"jsonrpc": "2.0", "id": 5, "method": "initialize",
                 "params": {"protocolVersion": LEGACY[2]}},
                modern({"jsonrpc": "2.0", "id": 6,
                        "method": "subscriptions/listen",
                        "params": {"notifications": {}}})]

    def post(body, **changed):
        status, headers, answer = server.raw(
            "POST", "/mcp", json.dumps(body).encode(),
            {**server.headers(PING), **changed})
        return status, json.loads(answer) if answer else None

    status, answers = post(requests)
    bench.equal((status, [(a.get("id"), a.get("error", {}).get("code"))
                          for a in answers]),
                (200, [(1, None), ("q", None), (3, -32601), (None, -32600),
                       (4, None), (5, -32600), (6, -32601)]),
                "each message of a batch is answered")
    for request, answer in zip([PING, requests[1]], answers):
        bench.record(request, answer, "http")
    bench.equal([answers[i]["result"]["structuredContent"]["rows"]
                 for i in (1, 4)], [[[1]], [[2]]], "in its own way")
    bench.equal(post([requests[2]]), (202, None), "one of notifications only")
    bench.equal(post([requests[1]], Authorization="Bearer nonsense")[0], 401,
                "one under a credential that is not accepted")
    for version in [*LEGACY[:2], MODERN]:
        status, answer = post([PING], **{"MCP-Protocol-Version": version})
        bench.equal((status, answer["error"]["code"]), (400, -32600),
                    f"none in {version}")
    bench.equal(post([PING] * 101)[0], 400, "nor one of more than a hundred")
    bench.equal(post([PING], **{"Mcp-Session-Id": "0" * 32})[0], 404,
                "nor in a session that is not there")
    client = bench.stdio()
    for version, want in ((LEGACY[0], dict), (LEGACY[2], list)):
        client.request("initialize", {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}})
        client.send_raw(json.dumps(requests[:2]) + "\n")
        answer = json.loads(client.lines.get(timeout=20))
        bench.check(isinstance(answer, want), f"stdio, {version}", answer)


def modern_headers(bench):
    server = bench.http()
    request = modern(tool("whoami"))

    def post(message=request, **changed):
        status, _, messages = server.post(message, {
            k.replace("_", "-"): v for k, v in changed.items()})
        code = messages[0].get("error", {}).get("code")
        return status, code

    bench.equal(post(), (200, None), "headers that match")
    encoded = "=?base64?" + base64.b64encode(b"whoami").decode() + "?="
    bench.equal(post(Mcp_Name=encoded), (200, None), "a name in base64")
    bench.equal(post(Mcp_Name="query"), (400, -32020), "another name")
    bench.equal(post(Mcp_Name=None), (400, -32020), "no name")
    bench.equal(post(Mcp_Method="tools/list"), (400, -32020), "another method")
    bench.equal(post(Mcp_Method=None), (400, -32020), "no method")
    bench.equal(post(MCP_Protocol_Version=LEGACY[0]), (400, -32020),
                "another version")
    bench.equal(post(MCP_Protocol_Version=None), (400, -32020), "no version")
    old = modern(PING)
    old["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "1900"
    bench.equal(post(old, MCP_Protocol_Version="1900"), (400, -32022),
                "a version that nobody speaks")
    bench.equal(post(PING, MCP_Protocol_Version="1900"), (400, -32022),
                "the same in the header only")
    bench.equal(post(PING, MCP_Protocol_Version=MODERN), (400, -32602),
                "modern header, no metadata")
    bench.equal(post(modern(PING)), (404, -32601), "no modern ping: 404")
    bench.equal(post(modern(tool("nope"))), (200, -32602), "an unknown tool")


def sessions(bench):
    server = bench.http()
    status, headers, messages = server.post({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": LEGACY[0], "capabilities": {},
                   "clientInfo": {"name": "t", "version": "1"}}})
    session = headers.get("mcp-session-id", "")
    bench.check(len(session) == 32, "initialize gives a session", session)
    bench.equal(server.post(PING, {"Mcp-Session-Id": session})[0], 200,
                "which is known")
    bench.equal(server.post(PING, {"Mcp-Session-Id": "0" * 32})[0], 404,
                "another one is not")
    bench.equal(server.post(PING, {
        "Mcp-Session-Id": session,
        "Authorization": f"Bearer {bench.env['other_token']}"})[0], 404,
        "nor is it under another credential")
    authorization = {"Authorization": f"Bearer {server.token}",
                     "Mcp-Session-Id": session}
    bench.equal(server.raw("DELETE", "/mcp", headers=authorization)[0], 204,
                "DELETE ends it")
    bench.equal(server.post(PING, {"Mcp-Session-Id": session})[0], 404,
                "then it is gone")


def is_running(bench, text):
    return bench.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
        f"query LIKE '%{text}%' AND pid <> pg_backend_pid()") != "0"


def wait_for(condition, seconds=10):
    deadline = time.time() + seconds
    while time.time() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def send_off(server, request):
    """Sends the request; the socket on which there will be an answer."""
    body = json.dumps(request)
    head = "".join(f"{k}: {v}\r\n" for k, v in server.headers(request).items())
    line = socket.create_connection(("127.0.0.1", server.port))
    line.sendall(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}"
                 f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return line


def hang_up(bench, server, request):
    """Sends the request and closes before there is an answer."""
    with send_off(server, request):
        return wait_for(lambda: is_running(bench, "pg_sleep(29)"))


def unheard_cancel(bench):
    """A cancel that reaches the server between two messages is ignored."""
    server = bench.http("--pool", "1")
    pid = server.call("query", {"sql": "SELECT pg_backend_pid()"})[
        "structuredContent"]["rows"][0][0]
    slow = tool("query", {"sql": "SELECT pg_sleep(24)"})
    os.kill(pid, signal.SIGSTOP)
    try:
        with send_off(server, modern(slow)):
            time.sleep(0.3)
        time.sleep(0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    bench.check(wait_for(lambda: not is_running(bench, "pg_sleep(24)")),
                "a cancel that was not heard is sent again")
    bench.equal(server.call("query", {"sql": "SELECT 1"})[
        "structuredContent"].get("rows"), [[1]], "and the connection goes on")


def disconnects(bench):
    server = bench.http()
    slow = tool("query", {"sql": "SELECT pg_sleep(29)"})
    bench.check(hang_up(bench, server, modern(slow)), "a statement runs")
    bench.check(wait_for(lambda: not is_running(bench, "pg_sleep(29)")),
                "closing the response stream cancels it")
    bench.equal(server.call("query", {"sql": "SELECT 1"})
                ["structuredContent"]["rows"], [[1]], "the next call runs")


def cancelled(bench):
    server = bench.http()
    _, headers, _ = server.post({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": LEGACY[0], "capabilities": {},
                   "clientInfo": {"name": "t", "version": "1"}}})
    server.session = headers["mcp-session-id"]
    slow = tool("query", {"sql": "SELECT pg_sleep(28)"}, "slow")
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(server.post(slow)))
    thread.start()
    bench.check(wait_for(lambda: is_running(bench, "pg_sleep(28)")),
                "a statement runs")
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": "slow"}}
    server.post(note, {"Mcp-Session-Id": None})
    time.sleep(0.3)
    bench.check(is_running(bench, "pg_sleep(28)"),
                "a cancellation from outside its session does nothing")
    server.post(note)
    thread.join(10)
    bench.check(not thread.is_alive() and
                not is_running(bench, "pg_sleep(28)"),
                "one from inside ends it")


def call_timeout(bench):
    server = bench.http("--call-timeout", "1")
    started = time.time()
    result = server.call("query", {"sql": "SELECT pg_sleep(27)"})
    bench.equal(result["structuredContent"].get("sqlstate"), "57014",
                "a call that takes too long is cancelled")
    bench.check(time.time() - started < 5, "in time")


def restarts(bench):
    server = bench.http()
    bench.check("agent" in server.call("whoami")["structuredContent"],
                "a call before")
    bench.pg_ctl("restart")
    result = server.call("whoami")
    bench.check("agent" in result["structuredContent"],
                "the first call after a restart of PostgreSQL", result)
    bench.pg_ctl("down")
    result = server.call("whoami")
    bench.equal(result["structuredContent"].get("sqlstate"), "08001",
                "an error result while it is down")
    bench.equal(server.raw("GET", "/readyz")[0], 503, "readyz: 503")
    bench.equal(server.raw("GET", "/healthz")[0], 200, "healthz: 200")
    bench.pg_ctl("up")
    bench.check("agent" in server.call("whoami")["structuredContent"],
                "and calls again when it is back")


def lazy(bench):
    server = bench.http(WARDEN_DSN="host=127.0.0.1 port=1 user=x dbname=x")
    bench.equal(server.post(PING)[0], 200, "no database is needed to start")
    bench.equal(server.call("whoami")["structuredContent"].get("sqlstate"),
                "08001", "calls say that it is not there")


def concurrency(bench):
    server = bench.http("--pool", "4")
    wrong = []

    def work(number):
        token = bench.env["token" if number % 2 else "other_token"]
        agent = "support" if number % 2 else "other"
        for _ in range(20):
            result = server.post(tool("query", {
                "sql": f"SELECT {number}, current_setting('warden.agent')"}),
                {"Authorization": f"Bearer {token}"})[2][0]["result"]
            rows = result["structuredContent"].get("rows")
            if rows != [[number, agent]]:
                wrong.append(result)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.equal(wrong, [], "240 calls on 4 connections, each its own agent")
    count = bench.psql("SELECT count(*) FROM pg_stat_activity "
                       "WHERE usename = 'gateway'")
    bench.check(int(count) <= 4, "at most 4 connections", count)


def queue_limit(bench):
    server = bench.http("--pool", "1", "--max-queue", "1")
    statuses = []

    def work():
        statuses.append(server.post(tool("query", {
            "sql": "SELECT pg_sleep(1)"}))[0])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.check(statuses.count(200) >= 2 and statuses.count(503) >= 1 and
                set(statuses) == {200, 503}, "a full queue: 503", statuses)


def listening(bench):
    server = bench.http()
    request = modern({"jsonrpc": "2.0", "id": "s",
                      "method": "subscriptions/listen",
                      "params": {"notifications": {"toolsListChanged": True}}})
    connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                            timeout=20)
    connection.request("POST", "/mcp", json.dumps(request),
                       server.headers(request))
    answer = connection.getresponse()
    bench.equal((answer.status, answer.getheader("content-type"),
                 answer.getheader("x-accel-buffering")),
                (200, "text/event-stream", "no"), "listen is a stream")
    bench.equal(answer.readline(), b"event: message\n", "of events")
    message = json.loads(answer.readline()[6:])
    bench.record(request, message, "http")
    bench.equal(message["method"],
                "notifications/subscriptions/acknowledged", "acknowledged")
    answer.readline()
    bench.equal(server.post(PING)[0], 200, "others are served meanwhile")
    server.process.terminate()
    rest = answer.read().decode()
    bench.check('"id":"s"' in rest and '"resultType":"complete"' in rest,
                "it ends with its answer", rest)
    connection.close()
    bench.equal(server.process.wait(20), 0, "exit code 0")


def progress(bench):
    """Events ahead of an answer, to who takes them."""
    server = bench.http()
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "query", "arguments": {"sql": "SELECT 5 FROM pg_sleep(5)"},
        "_meta": {"progressToken": 7}}}
    got = {}

    def ask(what, message, **changed):
        status, headers, messages = server.post(message, changed)
        got[what] = (status, headers["content-type"],
                     [m["params"]["progress"] for m in messages[:-1]],
                     messages[-1]["result"]["structuredContent"]["rows"])

    threads = [threading.Thread(target=ask, args=("legacy", request)),
               threading.Thread(target=ask, args=("modern", modern(request))),
               threading.Thread(target=ask, args=("plain", request), kwargs={
                   "Accept": "application/json"})]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for what in ("legacy", "modern"):
        status, kind, steps, rows = got[what]
        bench.equal((status, kind, len(steps), rows),
                    (200, "text/event-stream", 2, [[5]]),
                    f"progress over HTTP, {what}")
        bench.check(0 < steps[0] < steps[1], "which rises", steps)
    bench.equal(got["plain"], (200, "application/json", [], [[5]]),
                "a client that takes JSON only gets no events")
    bench.signal_gateways(signal.SIGSTOP)
    timer = threading.Timer(3, bench.signal_gateways, (signal.SIGCONT,))
    timer.start()
    status, headers, _ = server.post(request, {"Authorization": "Bearer guess"})
    timer.join()
    bench.equal((status, "www-authenticate" in headers), (401, True),
                "who has not badged in is told nothing ahead of the answer")


def drains(bench):
    server = bench.http()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.call(
        "query", {"sql": "SELECT pg_sleep(1.5), 26"})))
    thread.start()
    wait_for(lambda: is_running(bench, "pg_sleep(1.5)"))
    code = server.terminate()
    thread.join(10)
    bench.equal(code, 0, "SIGTERM: exit code 0")
    bench.check(answers and answers[0]["structuredContent"]["rows"] ==
                [[None if answers[0]["structuredContent"]["rows"][0][0] is None
                  else "", 26]],
                "after running calls got their answer", answers)
    server = bench.http("--drain-timeout", "1", "--pool", "1")
    thread = threading.Thread(target=lambda: server.post(tool(
        "query", {"sql": "SELECT pg_sleep(25)"})))
    thread.start()
    wait_for(lambda: is_running(bench, "pg_sleep(25)"))
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(
        server.post(tool("whoami"))))
    waiting.start()
    wait_for(lambda: b"warden_mcp_queue_length 1" in
             server.raw("GET", "/metrics")[2])
    started = time.time()
    bench.equal(server.terminate(), 0, "even when one takes too long")
    bench.check(time.time() - started < 6, "which is cancelled")
    thread.join(10)
    bench.check(not is_running(bench, "pg_sleep(25)"), "in PostgreSQL too")
    waiting.join(10)
    bench.equal([(status, "error" in messages[0])
                 for status, _, messages in answers if messages],
                [(503, True)], "what still waited for its turn is refused")


def late_calls(bench):
    """What comes on a kept connection when the time of a drain is over."""
    server = bench.http("--drain-timeout", "1", "--cancel-timeout", "4")
    lines = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
             for _ in range(2)]

    def ask(line, message):
        line.request("POST", "/mcp", json.dumps(message),
                     server.headers(message))
        answer = line.getresponse()
        return answer.status, answer.headers["Connection"], answer.read()

    for line in lines:
        bench.equal(ask(line, PING)[:2], (200, None), "a connection is kept")
    thread = threading.Thread(target=lambda: server.post(tool(
        "query", {"sql": "SELECT pg_sleep(23)"})))
    thread.start()
    wait_for(lambda: is_running(bench, "pg_sleep(23)"))
    pid = int(bench.psql("SELECT pid FROM pg_stat_activity WHERE query LIKE"
                         " 'SELECT pg_sleep(23)%'"))
    os.kill(pid, signal.SIGSTOP)
    try:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        bench.equal(ask(lines[0], tool("query", {"sql": "SELECT 1"}))[:2],
                    (200, "close"), "an answer during the drain ends it")
        time.sleep(1.7)
        bench.equal(ask(lines[1], tool("query", {"sql": "SELECT pg_sleep(22)"}))
                    [0], 503, "nothing begins behind its end")
    finally:
        os.kill(pid, signal.SIGCONT)
    bench.equal(server.process.wait(20), 0, "so that it comes to an end")
    thread.join(10)


def shed(bench):
    """Slow and half-closed clients hold nothing up."""
    server = bench.http("--idle-timeout", "2")
    lines = [socket.create_connection(("127.0.0.1", server.port))
             for _ in range(50)]
    for line in lines:
        line.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-")
    bench.equal(server.post(PING)[0], 200, "50 slow clients hold nothing up")
    time.sleep(4)
    closed = 0
    for line in lines:
        line.settimeout(1)
        try:
            closed += line.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
        except (TimeoutError, ConnectionError):
            closed += 1
        line.close()
    bench.equal(closed, 50, "and are closed after the idle time")


def memory(bench):
    server = bench.http()
    server.call("whoami")
    rss = server.rss_kib()
    bench.check(rss < 12 * 1024, f"idle resident memory: {rss} KiB < 12 MiB")
    for sql in ("SELECT repeat('x', 20000000)",
                "SELECT repeat('x', 20000000)::int",
                "DO $$BEGIN RAISE WARNING '%', repeat('x', 20000000); END$$"):
        result = server.call("query", {"sql": sql})
        bench.check("structuredContent" in result, sql[:50], result)
        server.call("whoami")
        bench.check(server.rss_kib() - rss < 16 * 1024,
                    "a connection to PostgreSQL keeps no room for that",
                    server.rss_kib() - rss)


def dribble(bench):
    """A byte now and then keeps no connection."""
    server = bench.http("--idle-timeout", "2")
    body = json.dumps(PING)
    head = "".join(f"{k}: {v}\r\n" for k, v in server.headers(PING).items())
    starts = (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ",
              (f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}"
               f"Content-Length: {len(body)}\r\n\r\n").encode())
    for start, what in zip(starts, ("headers", "a body")):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.sendall(start)
            line.settimeout(0.5)

            def is_cut():
                try:
                    line.sendall(b" ")
                    return line.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
                except TimeoutError:
                    return False
                except ConnectionError:
                    return True

            bench.check(wait_for(is_cut, 20), f"{what} byte by byte: cut off")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(4):
        connection.request("POST", "/mcp", body, server.headers(PING))
        answer = connection.getresponse()
        bench.equal((answer.status, bool(answer.read())), (200, True),
                    "who sends requests now and then is not")
        time.sleep(0.8)
    connection.close()
    slow = http.client.HTTPConnection("127.0.0.1", server.port)
    request = tool("query", {"sql": "SELECT pg_sleep(4.5)"})
    slow.request("POST", "/mcp", json.dumps(request), server.headers(request))
    bench.equal(slow.getresponse().status, 200, "nor who waits for an answer")
    slow.close()


def framing(bench):
    """Requests that a proxy could read in another way than we do."""
    server = bench.http()
    body = json.dumps(PING)
    n = len(body)
    lines = {k: v for k, v in server.headers(PING).items()}
    lines["Host"] = "localhost"

    def send(extra, payload=body, version="1.1", **changed):
        head = "".join(f"{k}: {v}\r\n" for k, v in {**lines, **changed}.items()
                       if v)
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.settimeout(20)
            line.sendall(f"POST /mcp HTTP/{version}\r\n{head}{extra}\r\n{payload}"
                         "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                         "Connection: close\r\n\r\n".encode("latin1"))
            got = b""
            try:
                while data := line.recv(65536):
                    got += data
            except (TimeoutError, ConnectionError):
                pass
        return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]

    length = f"Content-Length: {n}\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    chunks = f"{n:x}\r\n{body}\r\n0\r\n\r\n"
    bench.equal(send(length), [200, 200], "two requests on one connection")
    bench.equal(send(chunked, chunks), [200, 200], "the first one in chunks")
    bench.equal(send("X:\r\nY: \t a b \r\nZ:c\r\n" + length), [200, 200],
                "values that are empty, or have blanks around them")
    bench.equal(send("Connection: keep-alive\r\n" + length, version="1.0"),
                [200, 200], "HTTP/1.0")
    bench.equal(send("Connection: keep-alive\r\n" + chunked, chunks,
                     version="1.0"), [400], "which has no chunks")
    for extra, what in (
            (length + chunked, "a length and chunks"),
            (chunked + "Content-Length: 4\r\n", "chunks and a length"),
            (length + "Content-Length: 0\r\n", "two lengths"),
            (length + length, "the same length twice"),
            (f"Content-Length : {n}\r\n", "a space in a header's name"),
            ("Transfer-Encoding: identity\r\n" + length, "another encoding"),
            ("Transfer-Encoding: xchunked\r\n", "one that is none"),
            (length + "X: a\rtransfer-encoding: chunked\r\n", "a bare CR"),
            (f"Content-Length:\r\n {n}\r\n", "a length on a line of its own"),
            (f"Content-Length: {n}\r\n\t1\r\n", "one on two lines"),
            ("Transfer-Encoding:\r\n chunked\r\n", "chunks on the next line"),
            (f"Content-Len: {n}\r\n gth\r\n", "one that becomes a length"),
            ("Transfer-Enc: chunked\r\n\toding\r\n", "or chunks"),
            (length + "X:\r\n b\r\n", "another header on two lines"),
            (length + "X: a\r\n \r\n  b\r\n", "or on three"),
            (length + "X/Y: a\r\n", "a name that is none"),
            (length + "Host: evil.example\r\n", "two hosts"),
            (length + "Authorization: Bearer x\r\n", "two credentials"),
            (length + "Origin: http://localhost\r\n" * 2, "two origins"),
            (length + "Mcp-Method: ping\r\nmcp-method: tools/call\r\n",
             "two methods")):
        payload = chunks if chunked in extra else body
        got = send(extra, payload)
        bench.check(got in ([400], [400, 400]), f"{what}: 400, and no more",
                    got)
    bench.equal(server.post(PING)[0], 200, "and the server is still there")


def unread(bench):
    """A stream that nobody reads is cut, and holds no memory meanwhile."""
    server = bench.http("--poll-interval", "0", "--notify-dsn", bench.dsn())
    filler = "x" * 400000
    first = int(bench.psql("SELECT coalesce(max(id), 0) "
                           "FROM warden.pending_changes"))
    request = modern({
        "jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen",
        "params": {"notifications": {"taskIds": [
            f"main:{first + n}" for n in range(1, 200)]}}},
        {"extensions": {"io.modelcontextprotocol/tasks": {}}})
    body = json.dumps(request)
    head = "".join(f"{k}: {v}\r\n" for k, v in server.headers(request).items())
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", server.port))
        line.sendall(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\n{head}"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        server.call("whoami")
        ids = [server.call("query", {
            "sql": f"UPDATE tickets SET body = '{filler}' WHERE id = 1"})
            ["structuredContent"]["change_id"] for _ in range(40)]
        before = server.rss_kib()
        for number in ids:
            bench.psql(f"SELECT warden.reject({number}, 'no')", "rita")
        wait_for(lambda: server.rss_kib() - before > 8 * 1024, 2)
        grown = server.rss_kib() - before
        bench.check(grown < 8 * 1024, "40 unread events of 0.4 MiB",
                    f"{grown} KiB more")


def failed_attempts(bench):
    server = bench.http("--auth-failures", "3")
    server.call("whoami")
    statuses = [server.post(tool("whoami"),
                            {"Authorization": f"Bearer guess-{n}"})[0]
                for n in range(5)]
    bench.equal(statuses, [401, 401, 401, 429, 429],
                "after three refused credentials an address has to wait")
    bench.equal(server.post(tool("whoami"))[0], 200,
                "but not with a credential that was accepted lately")
    bench.equal(server.post(tool("whoami"), {
        "Authorization": f"Bearer {bench.env['other_token']}"})[0], 429,
        "another one has to wait too")


    server = bench.http("--auth-failures", "3")
    for n in range(4):
        status = server.post(
            {"jsonrpc": "2.0", "id": n, "method": "prompts/get",
             "params": {"name": "nope"}},
            {"Authorization": f"Bearer guess-{n}"})[0]
        bench.equal(status, 200, "what asks no database judges no credential")
    statuses = [server.post(tool("whoami"),
                            {"Authorization": f"Bearer guess-{n}"})[0]
                for n in range(4)]
    bench.equal(statuses, [401, 401, 401, 429],
                "and spares none the limit afterwards")


def in_background(server, text, token, count):
    """So many slow calls; returns their threads and where statuses go."""
    statuses = []
    request = tool("query", {"sql": text})
    threads = [threading.Thread(target=lambda: statuses.append(server.post(
        request, {"Authorization": f"Bearer {token}"})[0]))
        for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, statuses


def running(bench, text):
    return int(bench.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
        f"query LIKE '%{text}%' AND pid <> pg_backend_pid()"))


def at_once(bench):
    """Calls of one credential, and of one agent, at once."""
    server = bench.http("--calls-at-once", "2")
    for token in ("token", "other_token"):
        server.post(tool("whoami"),
                    {"Authorization": f"Bearer {bench.env[token]}"})
    threads, statuses = in_background(server, "SELECT pg_sleep(3.1)",
                                      bench.env["token"], 2)
    bench.check(wait_for(lambda: running(bench, "pg_sleep(3.1)") == 2),
                "two calls run")
    status, headers, messages = server.post(tool("whoami"))
    bench.equal((status, headers.get("retry-after")), (429, "1"),
                "a third one of the credential has to wait")
    bench.equal(messages[0].get("id"), 1, "as its answer says")
    bench.equal(server.post(tool("whoami"), {
        "Authorization": f"Bearer {bench.env['other_token']}"})[0], 200,
        "another credential has not")
    for thread in threads:
        thread.join()
    bench.equal(statuses, [200, 200], "the two get their answers")
    bench.equal(server.post(tool("whoami"))[0], 200, "then it goes on")
    bench.psql("UPDATE warden.agents SET max_calls = 1 "
               "WHERE agent = 'support'")
    server = bench.http()
    threads, statuses = in_background(server, "SELECT pg_sleep(3.2)",
                                      bench.env["token"], 1)
    bench.check(wait_for(lambda: running(bench, "pg_sleep(3.2)") == 1),
                "one call of an agent that may have one")
    status, headers, messages = server.post(tool("whoami"))
    bench.equal((status, headers.get("retry-after")), (429, "1"),
                "a second one: 429")
    threads[0].join()
    bench.psql("UPDATE warden.agents SET max_calls = NULL "
               "WHERE agent = 'support'")


def bad_listeners(bench):
    """A stream under a credential that is none ends, and counts."""
    server = bench.http("--auth-failures", "3")
    request = modern({"jsonrpc": "2.0", "id": "s",
                      "method": "subscriptions/listen",
                      "params": {"notifications": {"toolsListChanged": True}}})
    for n in range(3):
        status, _, messages = server.post(
            request, {"Authorization": f"Bearer guess-{n}"})
        bench.equal((status, messages[-1].get("id"),
                     messages[-1].get("error", {}).get("code")),
                    (200, "s", 401), "a stream of a bad credential ends")
    bench.equal(server.post(request, {"Authorization": "Bearer guess"})[0],
                429, "a fourth one is not opened")
    request["params"]["notifications"] = {
        "resourceSubscriptions": ["warden://change/1"] * 257}
    status, _, messages = server.post(request)
    bench.equal(messages[0].get("error", {}).get("code"), -32602,
                "nor one with too many items")


def certificate(bench, name):
    cert, key = bench.dir / f"{name}.pem", bench.dir / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", str(key),
                    "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def peer_name(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        with context.wrap_socket(line) as secure:
            return secure.getpeercert(True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def descriptors(server):
    """How many it has; 0 where only root sees them."""
    try:
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))
    except PermissionError:
        print("# only root sees the descriptors of what gives no core file")
        return 0


def tls(bench):
    first, first_key = certificate(bench, "first")
    second, second_key = certificate(bench, "second")
    cert, key = bench.dir / "live.pem", bench.dir / "live.key"
    cert.write_bytes(first.read_bytes())
    key.write_bytes(first_key.read_bytes())
    server = bench.http("--tls-cert", str(cert), "--tls-key", str(key))
    bench.equal(peer_name(server.port), der(first), "https is served")
    context = ssl.create_default_context(cafile=str(first))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port,
                                             timeout=20, context=context)
    request = tool("whoami")

    def call():
        connection.request("POST", "/mcp", json.dumps(request),
                           server.headers(request))
        return json.loads(connection.getresponse().read())

    bench.equal(call()["result"]["structuredContent"].get("agent"), "support",
                "a call over https")
    cert.write_bytes(second.read_bytes())
    key.write_bytes(second_key.read_bytes())
    server.process.send_signal(signal.SIGHUP)
    bench.check(wait_for(lambda: peer_name(server.port) == der(second)),
                "SIGHUP: new connections get the new certificate")
    bench.equal(call()["result"]["structuredContent"].get("agent"), "support",
                "and the old ones go on")
    connection.close()
    cert.write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    bench.equal(peer_name(server.port), der(second),
                "a certificate that can not be read changes nothing")
    cert.unlink()
    before = descriptors(server)
    for _ in range(10):
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    cert.write_bytes(second.read_bytes())
    for _ in range(70):
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    cert.write_bytes(first.read_bytes())
    key.write_bytes(first_key.read_bytes())
    server.process.send_signal(signal.SIGHUP)
    bench.check(wait_for(lambda: peer_name(server.port) == der(first)),
                "the last of many certificates is served")
    after = descriptors(server)
    bench.check(after <= before + 5, "which do not add up", (before, after))
    bench.equal(server.terminate(), 0, "exit code 0")


def reload(bench):
    config = bench.dir / "settings.json"
    config.write_text('{"allowed_origin": ["https://one.example"]}')
    server = bench.http("--config", str(config))

    def status(origin):
        return server.post(PING, {"Origin": origin})[0]

    bench.equal(status("https://one.example"), 200, "an origin of the settings")
    config.write_text('{"allowed_origin": ["https://two.example"]}')
    server.process.send_signal(signal.SIGHUP)
    bench.check(wait_for(lambda: status("https://two.example") == 200),
                "SIGHUP: the settings are read again")
    bench.equal(status("https://one.example"), 403, "the old ones are gone")
    config.write_text('{"nonsense": 1}')
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    bench.equal(status("https://two.example"), 200,
                "settings that are wrong change nothing")


def late_default_token(bench):
    """Nor is there one on all addresses by way of settings that are reread."""
    config = bench.dir / "settings.json"
    config.write_text("{}")
    path = bench.dir / "token"
    path.write_text(bench.env["token"] + "\n")
    log = bench.dir / "late.log"
    port = free_port()
    process = Process(bench, ["--config", str(config)], {"stderr": log},
                      ["--http", f"0.0.0.0:{port}"])
    bench.open.append(process)

    def status():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/mcp", json.dumps(PING), {
                "Content-Type": "application/json"})
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    bench.check(wait_for(lambda: status() == 401), "without a token: 401")
    config.write_text(json.dumps({"default_token_file": str(path)}))
    process.process.send_signal(signal.SIGHUP)
    bench.check(wait_for(lambda: "for loopback addresses" in log.read_text()),
                "a default token that comes later is refused, too")
    bench.equal(status(), 401, "and serves nobody")


def addresses(bench):
    path = bench.dir / "token"
    path.write_text(bench.env["token"] + "\n")
    for args, what in (
            (["--http", "nonsense"], "an address that is none"),
            (["--http", "0.0.0.0:0", "--default-token-file", str(path)],
             "a default token on all addresses"),
            (["--http", "127.0.0.1:0", "--tls-cert", str(path)],
             "a certificate without a key"),
            (["--http", f"127.0.0.1:{bench.http().port}"],
             "an address that another server has")):
        done = subprocess.run([str(SHIM), *args], capture_output=True,
                              timeout=20)
        bench.check(done.returncode != 0, f"{what} is refused")


main(credentials, without_person, unjudged, default_token, origins, methods, bodies,
     bad_messages, swollen, half_bodies, batches, modern_headers,
     sessions, disconnects, unheard_cancel, cancelled, call_timeout, restarts,
     lazy, concurrency, queue_limit, listening, progress, drains, late_calls, shed,
     dribble, framing, unread, failed_attempts, at_once, bad_listeners, tls,
     reload, memory, late_default_token, addresses)
