"""Lines on stdin and stdout: framing, bad input, cancellation, the end."""

import json
import os
import re
import signal
import time

from bad_messages import BAD, GOOD_IDS, MAX_BODY, ping, query
from harness import LEGACY, MODERN, TOP, Process, main, modern

PING = ping(b"1")


def rpc(identifier, method, params=None):
    request = {"jsonrpc": "2.0", "id": identifier, "method": method}
    if params is not None:
        request["params"] = params
    return request


def error_code(message):
    return (message or {}).get("error", {}).get("code")


def eras(bench):
    client = bench.stdio()
    for version in LEGACY:
        answer = client.request("initialize", {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}})
        bench.equal(answer["result"]["protocolVersion"], version,
                    f"initialize echoes {version}")
        bench.check("resultType" not in answer["result"],
                    "a legacy result has no resultType")
        bench.equal(answer["result"]["capabilities"],
                    {"tools": {}, "resources": {}, "prompts": {},
                     "completions": {}}, "and offers what that revision has")
    answer = client.request("initialize", {
        "protocolVersion": "2030-01-01", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}})
    bench.equal(answer["result"]["protocolVersion"], LEGACY[0],
                "an unknown version is answered by the newest legacy one")
    bench.equal(client.request("ping")["result"], {}, "ping")
    answer = client.request("server/discover", modern=True)
    bench.equal(answer["result"]["supportedVersions"], [MODERN, *LEGACY],
                "discover lists the versions")
    bench.equal(answer["result"]["resultType"], "complete", "resultType")
    answer = client.request("tools/list", modern=True)
    names = [tool["name"] for tool in answer["result"]["tools"]]
    bench.equal(names, ["explain", "get_change", "list_changes",
                        "propose_change", "query", "search_objects", "whoami",
                        "withdraw_change"], "the tools, in order")
    bench.check(all("outputSchema" in t for t in answer["result"]["tools"]),
                "every tool has an output schema")
    answer = client.request("ping", modern=True)
    bench.equal(error_code(answer), -32601, "there is no modern ping")


def bad_input(bench):
    client = bench.stdio("--max-body", str(MAX_BODY))
    cases = [(data, code, what) for data, code, _, what in BAD]
    cases += [(b"[" + PING + b"]", -32600, "a batch"),
              (query(b'"' + b"x" * MAX_BODY + b'"'), -32600,
               "a line that is too long")]
    for data, code, what in cases:
        client.send_raw(data + b"\n")
        message = client.receive() or {}
        bench.equal((error_code(message), "result" in message), (code, False),
                    f"{what}: {code}")
    client.send_raw(b'{"jsonrpc":"2.0","method":"notifications/what"}\n\n \r\n')
    client.send_raw(b'{"jsonrpc":"2.0","id":7,"result":{}}\n')
    bench.equal(client.request("ping")["result"], {},
                "the server is still there, and said nothing in between")
    for identifier in GOOD_IDS:
        client.send_raw(ping(identifier.encode()) + b"\n")
        bench.equal(client.receive(),
                    {"jsonrpc": "2.0", "id": json.loads(identifier),
                     "result": {}}, f"id {identifier[:30]} comes back")


def endless(bench):
    """A number of 64 MiB, of 1 GiB in the full run, is not kept."""
    client = bench.stdio()
    block = b"9" * (1024 * 1024)
    client.send_raw(b'{"jsonrpc":"2.0","id":')
    for _ in range(1024 if os.environ.get("WARDEN_FULL") else 64):
        client.send_raw(block)
    client.send_raw(b"}\n")
    bench.equal(error_code(client.receive(60)), -32600, "a number without end")
    bench.check(client.rss_kib() < 32 * 1024, "takes no memory",
                client.rss_kib())
    bench.equal(client.request("ping")["result"], {}, "and the next line counts")


def bad_sql(bench):
    client = bench.stdio()
    before = bench.psql("SELECT count(*) FROM pg_class")
    cases = [
        ({"sql": "SELECT 1; SELECT 2"}, "42601", "several statements"),
        ({"sql": "SELECT 1; DROP TABLE tickets"}, "42601", "a stacked DROP"),
        ({"sql": "COMMIT; DROP SCHEMA public CASCADE"}, "42601",
         "COMMIT and a DROP"),
        ({"sql": ""}, "42601", "empty SQL"),
        ({"sql": " ;;\n"}, "42601", "nothing but semicolons"),
        ({"sql": "-- only a comment"}, "42601", "only a comment"),
        ({"sql": "SELECT '\0'"}, "22021", "a NUL character"),
        ({"sql": "SELECT $1::text", "params": ["a\0b"]}, "22023",
         "a NUL character in a parameter"),
        ({"sql": 7}, "22023", "SQL that is a number"),
        ({}, "22023", "no SQL at all"),
        ({"sql": "SELECT 1", "query": "x"}, "22023", "an unknown argument"),
        ({"sql": "SELECT 1", "format": "xml"}, "22023", "an unknown format"),
        ({"sql": "SELECT 1", "max_rows": 0}, "22023", "max_rows 0"),
        ({"sql": "SELECT 1", "max_rows": "5"}, "22023", "max_rows as text"),
        ({"sql": "SELECT 1", "params": {}}, "22023", "params as an object"),
        ({"sql": "SELECT $1", "params": []}, "08P01", "a missing parameter"),
        ({"sql": "SELECT 1", "database": "nope"}, "3D000",
         "an unknown database"),
        ({"sql": "SELEC 1"}, "42601", "a syntax error"),
        ({"sql": "SELECT * FROM nope"}, "42P01", "an unknown table"),
        ({"sql": "SELECT * FROM hidden"}, "42501", "a table without a grant"),
        ({"sql": "COPY customers TO STDOUT"}, "0A000", "COPY TO STDOUT"),
    ]
    for arguments, sqlstate, what in cases:
        result = client.call("query", arguments)
        content = result.get("structuredContent", {})
        bench.check(result.get("isError") is True and
                    content.get("status") == "error" and
                    content.get("sqlstate") == sqlstate,
                    f"{what}: {sqlstate}", result)
    result = client.call("query", {"sql": "SELECT 1 FROM nope"})
    bench.equal(result["structuredContent"].get("position"), 15,
                "the position of an error")
    bench.equal([result["structuredContent"].get(name, "absent")
                 for name in ("detail", "hint")], [None, None],
                "what an error lacks is null")
    result = client.call("query", {"sql": "SELECT 1/0"})
    bench.equal(result["structuredContent"].get("position", "absent"), None,
                "so is a position")
    bench.equal(bench.psql("SELECT count(*) FROM pg_class"), before,
                "nothing was created or dropped")
    bench.equal(client.call("query", {"sql": "SELECT 1"})
                ["structuredContent"]["rows"], [[1]], "and reads still run")


def cancellation(bench):
    client = bench.stdio()
    client.call("query", {"sql": "SELECT 1"})
    started = time.time()
    client.send(rpc("slow", "tools/call", {
        "name": "query", "arguments": {"sql": "SELECT pg_sleep(30)"}}))
    time.sleep(0.5)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                 "params": {"requestId": "slow", "reason": "test"}})
    deadline = time.time() + 10
    running = "1"
    while time.time() < deadline and running != "0":
        running = bench.psql("SELECT count(*) FROM pg_stat_activity WHERE "
                             "query LIKE '%pg_sleep(30)%' AND state = 'active'"
                             " AND pid <> pg_backend_pid()")
        time.sleep(0.05)
    bench.check(time.time() - started < 10, "the statement was cancelled")
    answer = client.request("ping")
    bench.check(answer is not None and answer.get("result") == {},
                "nothing was sent for the cancelled request", answer)
    bench.equal(client.call("query", {"sql": "SELECT 2"})
                ["structuredContent"]["rows"], [[2]], "the next call runs")


def progress(bench):
    client = bench.stdio()
    client.call("query", {"sql": "SELECT 1"})
    for number, meta in ((1, {"progressToken": "t"}), (2, {})):
        client.send(rpc(number, "tools/call", {
            "name": "query", "arguments": {"sql": "SELECT pg_sleep(5)"},
            "_meta": meta}))
    told = []
    answered = []
    while len(answered) < 2:
        message = client.receive()
        if "id" in message:
            answered.append(message["id"])
        else:
            told.append(message["params"])
            bench.check(1 not in answered, "progress comes before the answer")
    steps = [params["progress"] for params in told]
    bench.check(len(steps) == 2 and 0 < steps[0] < steps[1] and
                {params["progressToken"] for params in told} == {"t"},
                "who waits for long and gave a token is told so", told)


def no_progress_after_a_cancel(bench):
    client = bench.stdio("--cancel-timeout", "6")
    client.call("query", {"sql": "SELECT 1"})
    client.send(rpc("c", "tools/call", {
        "name": "query", "arguments": {"sql": "SELECT pg_sleep(30)"},
        "_meta": {"progressToken": "c"}}))
    time.sleep(0.5)
    bench.signal_gateways(signal.SIGSTOP)
    client.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                 "params": {"requestId": "c"}})
    bench.equal(client.receive(5), None, "who cancelled is told nothing more")
    bench.signal_gateways(signal.SIGCONT)
    bench.equal(client.request("ping").get("result"), {}, "the client goes on")


def the_end(bench):
    client = bench.stdio()
    client.send(rpc(1, "tools/call", {
        "name": "query", "arguments": {"sql": "SELECT pg_sleep(1), 42"}}))
    client.process.stdin.close()
    message = client.receive()
    bench.equal((message or {}).get("id"), 1,
                "a running call is answered after the end of the input")
    bench.equal(client.process.wait(20), 0, "and the exit code is 0")
    client = bench.stdio()
    client.send_raw(json.dumps(rpc(1, "ping")))
    client.process.stdin.close()
    bench.equal((client.receive() or {}).get("result"), {},
                "a last line without its line end counts")
    client = bench.stdio()
    client.request("ping")
    bench.equal(client.terminate(), 0, "SIGTERM: exit code 0")
    client = bench.stdio(WARDEN_TOKEN=None)
    bench.equal(client.process.wait(20), 2, "no credential: exit code 2")


def nobody_reads(bench):
    """A stop does not wait for a client that does not take its answers."""
    process = Process(bench, ["--drain-timeout", "1", "--cancel-timeout", "1"],
                      {}, ["--stdio"])
    bench.open.append(process)
    for n in range(3):
        request = rpc(n, "tools/call", {"name": "query", "arguments": {
            "sql": "SELECT repeat('x', 200000)"}})
        process.process.stdin.write(json.dumps(request).encode() + b"\n")
    process.process.stdin.flush()
    time.sleep(1)
    started = time.time()
    bench.equal(process.terminate(15), 1, "a stop with nobody to read: given up")
    bench.check(time.time() - started < 10, "in time", time.time() - started)


def wrong_token(bench):
    client = bench.stdio(WARDEN_TOKEN="nonsense")
    result = client.call("whoami")
    bench.equal(result.get("structuredContent", {}).get("sqlstate"), "WD001",
                "a bad token is an error result with WD001")
    log = (bench.dir / "shim.log").read_text()
    bench.check("nonsense" not in log and bench.env["token"] not in log,
                "no token is in the log")


def streams(bench):
    client = bench.stdio()
    client.send(modern(rpc("s", "subscriptions/listen", {"notifications": {
        "resourceSubscriptions": ["warden://x"]}})))
    message = client.receive()
    bench.equal(message.get("method"),
                "notifications/subscriptions/acknowledged",
                "listen is acknowledged first")
    bench.equal(message["params"]["_meta"]
                ["io.modelcontextprotocol/subscriptionId"], "s",
                "with its subscription id")
    client.process.stdin.close()
    message = client.receive()
    bench.equal((message or {}).get("id"), "s",
                "a stream ends with its answer")


def examples(bench):
    """The settings that we give clients, with a service and a token here."""
    token, service = bench.dir / "client.token", bench.dir / "pg_service.conf"
    token.write_text(bench.env["token"] + "\n")
    service.write_text("[shop]\n" + bench.dsn().replace(" ", "\n") + "\n")
    for path in sorted((TOP / "shim/examples").glob("*.json")):
        settings = json.loads(path.read_text())
        server = settings.get("mcpServers", settings.get("servers"))["warden"]
        if "url" in server:
            header = re.sub(r"\$\{.*\}", bench.env["token"],
                            server["headers"]["Authorization"])
            client = bench.http()
            status, _, answers = client.post(rpc(1, "tools/call", {
                "name": "whoami"}), {"Authorization": header})
            result = answers[0]["result"]
            bench.equal((status, server["url"]),
                        (200, "http://127.0.0.1:8642/mcp"), path.name)
        else:
            env = {"WARDEN_TOKEN": None, **server["env"],
                   "PGSERVICEFILE": str(service)}
            if env["WARDEN_TOKEN"]:
                env["WARDEN_TOKEN"] = bench.env["token"]
            bench.equal((server["command"], server["args"][0]),
                        ("warden-mcp", "--stdio"), path.name)
            client = bench.stdio(*[str(token) if "/" in word else word
                                   for word in server["args"][1:]], **env)
            result = client.call("whoami")
        bench.equal(result["structuredContent"].get("agent"), "support",
                    "works as it is")


main(eras, bad_input, endless, bad_sql, cancellation, progress,
     no_progress_after_a_cancel, the_end, nobody_reads, wrong_token, streams,
     examples)
