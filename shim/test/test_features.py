"""Resources, prompts, completion and tasks, against the real extension."""

import json
import os
import pathlib
import subprocess
import time

from harness import main, modern as harness_modern

TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


def code(answer):
    return (answer or {}).get("error", {}).get("code")


def resources(bench):
    bench.psql('CREATE SCHEMA "odd name"; CREATE TABLE "odd name"."t/a b%" '
               '(x int); GRANT USAGE ON SCHEMA "odd name" TO support_agent; '
               'GRANT SELECT ON "odd name"."t/a b%" TO support_agent')
    client = bench.stdio()
    for modern in (False, True):
        found = client.request("resources/list", {}, modern=modern)["result"]
        uris = [r["uri"] for r in found["resources"]]
        bench.check("warden://table/public/customers" in uris and
                    "warden://schema/public" in uris and
                    "warden://table/odd%20name/t%2Fa%20b%25" in uris,
                    "schemas and tables are resources", uris)
        bench.check(not any("hidden" in uri for uri in uris),
                    "not what the agent may not read")
        bench.equal("ttlMs" in found, modern, "cache hints if modern")
    read = client.request("resources/read", {
        "uri": "warden://table/public/customers"}, modern=True)["result"]
    table = json.loads(read["contents"][0]["text"])
    columns = {c["name"]: c for c in table["columns"]}
    bench.equal(columns["ssn"].get("semantic_type"), "ssn", "a table")
    read = client.request("resources/read", {
        "uri": "warden://table/odd%20name/t%2Fa%20b%25"})["result"]
    bench.equal(json.loads(read["contents"][0]["text"])["name"], "t/a b%",
                "one with an odd name")
    read = client.request("resources/read",
                          {"uri": "warden://schema/public"})["result"]
    bench.check("customers" in
                json.loads(read["contents"][0]["text"])["tables"], "a schema")
    for uri in ("warden://table/public/hidden", "warden://table/public/nope",
                "warden://table/public", "warden://change/999999",
                "warden://change/x", "warden://schema/pg_catalog",
                "warden://table/%zz/x", "warden://table/%00/x",
                "warden://table/%ff/x", "file:///etc/passwd", ""):
        answer = client.request("resources/read", {"uri": uri}, modern=True)
        bench.equal(code(answer), -32602, f"{uri!r} is not there")
    bench.equal(code(client.request("resources/read", {"uri": "x"})), -32002,
                "a legacy client gets the legacy code")
    bench.equal(code(client.request("resources/read", {"uri": 7})), -32602,
                "a URI that is a number")
    for cursor in ("%%%", "public", "public/customers", "after:"):
        bench.equal(code(client.request("resources/list", {"cursor": cursor})),
                    -32602, f"a cursor of one's own making: {cursor}")


def pages(bench):
    bench.psql("CREATE SCHEMA many; GRANT USAGE ON SCHEMA many TO other_agent;"
               "DO $$ BEGIN FOR i IN 1..250 LOOP EXECUTE format("
               "'CREATE TABLE many.t%s (x int)', i); END LOOP; END $$;"
               "GRANT SELECT ON ALL TABLES IN SCHEMA many TO other_agent")
    client = bench.stdio(WARDEN_TOKEN=bench.env["other_token"])
    uris, cursor, count = [], None, 0
    while count < 10:
        params = {"cursor": cursor} if cursor else {}
        page = client.request("resources/list", params)["result"]
        uris += [r["uri"] for r in page["resources"]]
        cursor, count = page.get("nextCursor"), count + 1
        if not cursor:
            break
    mine = [uri for uri in uris if "/many" in uri]
    bench.equal((len(mine), len(set(uris)), count), (251, len(uris), 3),
                "all of 251, once each, in 3 pages")


def small_limit(bench):
    """An agent whose own limit of rows is less than a page sees all pages."""
    client = bench.stdio("--poll-interval", "1",
                         WARDEN_TOKEN=bench.env["other_token"])
    bench.psql("CREATE SCHEMA few; GRANT USAGE ON SCHEMA few TO other_agent;"
               "CREATE TABLE few.a (); CREATE TABLE few.b ();"
               "CREATE TABLE few.c ();"
               "GRANT SELECT ON ALL TABLES IN SCHEMA few TO other_agent")
    numbers = [propose(client)["taskId"].split(":")[1] for _ in range(3)]
    bench.psql("UPDATE warden.agents SET max_rows = 2 WHERE agent = 'other'")
    try:
        uris, cursor = [], None
        while len(uris) < 500:
            page = client.request("resources/list", {"cursor": cursor}
                                  if cursor else {})["result"]
            uris += [r["uri"] for r in page["resources"]]
            cursor = page.get("nextCursor")
            if not cursor:
                break
        bench.equal([uri for uri in uris if "few" in uri],
                    ["warden://schema/few", "warden://table/few/a",
                     "warden://table/few/b", "warden://table/few/c"],
                    "all resources")
        page = client.call("list_changes")["structuredContent"]
        rest = client.call("list_changes", {"cursor": page.get(
            "next_cursor", "c0")})["structuredContent"].get("changes", [])
        bench.equal([str(c["change_id"]) for c in page["changes"] + rest][:3],
                    numbers[::-1], "all changes")
        found = client.request("completion/complete", {
            "ref": {"type": "ref/prompt", "name": "investigate_table"},
            "argument": {"name": "table", "value": ""}})["result"]
        bench.equal(found["completion"].get("hasMore"), True,
                    "that there are more completions")
        client.send(harness_modern({
            "jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen",
            "params": {"notifications": {"resourceSubscriptions": [
                f"warden://change/{n}" for n in numbers]}}}))
        client.receive()
        told = {(client.receive(10) or {}).get("params", {}).get("uri")
                for _ in numbers}
        bench.equal(told, {f"warden://change/{n}" for n in numbers},
                    "and is told of all that it watches")
    finally:
        bench.psql("UPDATE warden.agents SET max_rows = DEFAULT"
                   " WHERE agent = 'other'")


def persons(bench):
    """A stream is told of the changes of the person that it names."""
    client = bench.stdio("--poll-interval", "1",
                         WARDEN_TOKEN=bench.env["unbound_token"])

    def about(person, params):
        return {**params, "_meta": {"warden/onBehalfOf": person}}

    def listen_for(person):
        client.send(harness_modern({
            "jsonrpc": "2.0", "id": person, "method": "subscriptions/listen",
            "params": about(person, {"notifications": {
                "resourceSubscriptions": [f"warden://change/{number}"]}})}))

    number = client.request("tools/call", about("dave@example.com", {
        "name": "query", "arguments": {
            "sql": "UPDATE tickets SET body = 'dave' WHERE id = 1"}}))[
                "result"]["structuredContent"]["change_id"]
    for person in ("dave@example.com", "erin@example.com", "eve@evil.example"):
        listen_for(person)
    got = []
    while (message := client.receive(3)) is not None:
        got.append((message.get("method", message.get("id")),
                    message.get("params", {}).get("_meta", {}).get(
                        "io.modelcontextprotocol/subscriptionId")))
    bench.equal(sorted(m for m in got if "acknowledged" not in m[0]),
                [("eve@evil.example", None),
                 ("notifications/resources/updated", "dave@example.com")],
                "and not of another's; one that it may not name ends it")
    listen_for(7)
    bench.equal(code(client.receive()), -32602, "a number names nobody")


def prompts(bench):
    client = bench.stdio()
    listed = client.request("prompts/list", {}, modern=True)["result"]
    bench.equal([p["name"] for p in listed["prompts"]],
                ["investigate_table", "propose_migration"], "the prompts")
    got = client.request("prompts/get", {
        "name": "investigate_table", "arguments": {"table": "customers"}})
    bench.check("customers" in got["result"]["messages"][0]["content"]["text"],
                "with its argument")
    for params in ({"name": "nope"}, {"name": "investigate_table"},
                   {"name": "investigate_table", "arguments": {"table": 7}},
                   {"name": "investigate_table", "arguments": []}, {}):
        bench.equal(code(client.request("prompts/get", params)), -32602,
                    f"prompts/get {params}")


def completion(bench):
    client = bench.stdio()

    def ask(ref, argument, value):
        return client.request("completion/complete", {
            "ref": ref, "argument": {"name": argument, "value": value}})

    prompt = {"type": "ref/prompt", "name": "investigate_table"}
    template = {"type": "ref/resource",
                "uri": "warden://table/{schema}/{table}"}
    values = ask(prompt, "table", "cust")["result"]["completion"]["values"]
    bench.equal(values, ["customers"], "tables by their beginning")
    values = ask(template, "schema", "pub")["result"]["completion"]["values"]
    bench.equal(values, ["public"], "schemas by their beginning")
    values = ask(template, "table", "hid")["result"]["completion"]["values"]
    bench.equal(values, [], "not what the agent may not read")
    values = ask(template, "other", "x")["result"]["completion"]["values"]
    bench.equal(values, [], "an argument without suggestions")
    bench.equal(code(ask({"type": "ref/prompt", "name": "nope"}, "a", "")),
                -32602, "an unknown prompt")
    bench.equal(code(ask({"type": "nope"}, "a", "")), -32602,
                "an unknown reference")


def propose(client, **more):
    return client.request("tools/call", {
        "name": "query", "arguments": {
            "sql": "UPDATE tickets SET body = 'task' WHERE id = 1"}},
        modern=True, capabilities=TASKS, **more)["result"]


def get(client, task, capabilities=TASKS):
    return client.request("tasks/get", {"taskId": task}, modern=True,
                          capabilities=capabilities)


def tasks(bench):
    for client in (bench.stdio(), bench.http()):
        task = propose(client)
        bench.check(task.get("resultType") == "task" and
                    task.get("status") == "working" and
                    task.get("taskId", "").startswith("main:"),
                    "a diverted write is a task", task)
        bench.equal(get(client, task["taskId"])["result"].get("status"),
                    "working", "which can be looked at")
        bench.equal(code(get(client, task["taskId"], {})), -32021,
                    "not without the extension")
        for wrong in ("main:999999", "nope", "main:x", ":1", "a b:1"):
            bench.equal(code(get(client, wrong)), -32602,
                        f"task {wrong!r} is not there")
    number = task["taskId"].split(":")[1]
    again = bench.stdio()
    bench.equal(get(again, task["taskId"])["result"].get("status"), "working",
                "any instance of the shim knows it")
    other = bench.stdio(WARDEN_TOKEN=bench.env["other_token"])
    bench.equal(code(get(other, task["taskId"])), -32602,
                "another agent does not")
    required = int(bench.psql("SELECT required_approvals FROM "
                              f"warden.pending_changes WHERE id = {number}"))
    bench.psql(f"SELECT warden.approve({number}, 'yes')", "rita")
    if required > 1:
        bench.psql(f"SELECT warden.approve({number}, 'yes')", "rico")
    bench.psql(f"CALL warden.apply({number})", "rita")
    result = get(again, task["taskId"])["result"]
    bench.check(result.get("status") == "completed" and
                result["result"]["structuredContent"]["change"]["status"] ==
                "applied", "an applied change completes it", result)
    task = propose(again)
    answer = again.request("tasks/cancel", {"taskId": task["taskId"]},
                           modern=True, capabilities=TASKS)
    bench.equal(answer["result"].get("resultType"), "complete",
                "cancelling is acknowledged")
    bench.equal(get(again, task["taskId"])["result"].get("status"),
                "cancelled", "and withdraws the change")
    task = propose(again)
    number = task["taskId"].split(":")[1]
    bench.psql(f"SELECT warden.reject({number}, 'no, sorry')", "rita")
    result = get(again, task["taskId"])["result"]
    bench.check(result.get("status") == "failed" and "error" in result,
                "a rejected change fails it", result)
    plain = again.request("tools/call", {"name": "query", "arguments": {
        "sql": "DELETE FROM tickets"}}, modern=True)["result"]
    bench.equal((plain.get("resultType"),
                 plain["structuredContent"].get("status")),
                ("complete", "pending_review"),
                "a client without the extension gets no task")


def review_links(bench):
    client = bench.http("--review-url", "https://review.example/{change_id}")
    capable = {"elicitation": {"url": {}}}
    params = {"name": "query", "arguments": {
        "sql": "UPDATE tickets SET body = 'link' WHERE id = 1",
        "max_rows": 5}}

    def call(server=client, **more):
        return server.request("tools/call", {**params, **more}, modern=True,
                              capabilities=capable)

    result = call()["result"]
    url = result.get("inputRequests", {}).get("review", {}) \
        .get("params", {}).get("url", "")
    bench.check(result.get("resultType") == "input_required" and
                url.startswith("https://review.example/"),
                "a client that can open links is led to the review", result)
    state = result["requestState"]
    number = int(url.rsplit("/", 1)[1])
    answers = {"review": {"action": "accept"}}
    count = bench.psql("SELECT count(*) FROM warden.pending_changes")
    params["arguments"] = dict(reversed(params["arguments"].items()))
    result = call(requestState=state, inputResponses=answers)["result"]
    bench.equal((result["structuredContent"].get("status"),
                 result["structuredContent"].get("change_id")),
                ("pending_review", number), "then it is told the change")
    bench.equal(bench.psql("SELECT count(*) FROM warden.pending_changes"),
                count, "and nothing was proposed again")
    flipped = state[:-1] + ("0" if state[-1] != "0" else "1")
    bench.equal(code(call(requestState=flipped)), -32602, "a forged state")
    bench.equal(code(call(requestState=state.replace(str(number), "1", 1))),
                -32602, "a state for another change")
    params["arguments"]["sql"] = "DELETE FROM tickets"
    bench.equal(code(call(requestState=state)), -32602,
                "a state of another request")
    params["arguments"]["sql"] = "UPDATE tickets SET body = 'link' WHERE id = 1"
    client.token = bench.env["other_token"]
    bench.equal(code(call(requestState=state)), -32602,
                "a state of another credential")
    client.token = bench.env["token"]
    bench.psql(f"SELECT warden.reject({number}, 'no')", "rita")
    result = call(requestState=state, inputResponses=answers)["result"]
    bench.equal(result["structuredContent"].get("change", {}).get("status"),
                "rejected", "a decision shows")


def listen(bench):
    for args in (["--poll-interval", "1"],
                 ["--notify-dsn", bench.dsn(), "--poll-interval", "0"]):
        client = bench.stdio(*args)
        task = propose(client)["taskId"]
        number = task.split(":")[1]
        other = bench.stdio(*args, WARDEN_TOKEN=bench.env["other_token"])
        wanted = {"notifications": {
            "resourceSubscriptions": [f"warden://change/{number}"],
            "taskIds": [task]}}
        for reader in (client, other):
            reader.next_id += 1
            request = {"jsonrpc": "2.0", "id": f"listen-{reader.next_id}",
                       "method": "subscriptions/listen", "params": wanted}
            reader.send(harness_modern(request, TASKS))
            bench.equal(reader.receive().get("method"),
                        "notifications/subscriptions/acknowledged",
                        "a change is listened to")
        time.sleep(2.5)
        bench.psql(f"SELECT warden.reject({number}, 'no')", "rita")
        notes = {}
        while notes.get("notifications/tasks", {}).get("status") != "failed":
            note = client.receive(10)
            if note is None:
                break
            notes[note.get("method")] = note.get("params", {})
        bench.equal(notes.get("notifications/resources/updated", {}).get("uri"),
                    f"warden://change/{number}", f"an update ({args[0]})")
        bench.equal(notes.get("notifications/tasks", {}).get("status"),
                    "failed", "and the task's new state")
        again = client.receive(0.5)
        bench.check(again is None or again.get("method") ==
                    "notifications/resources/updated", "told once", again)
        bench.check(other.receive(2) is None,
                    "another agent hears nothing of it")


def probes(port):
    """In how many seconds the kernel asks whether the server at that port is
    still there, for each idle connection to it, by the client's address."""
    lines = [line.split() for line in
             pathlib.Path("/proc/net/tcp").read_text().split("\n")[1:] if line]
    return {line[1]: int(line[5].split(":")[1], 16) / os.sysconf("SC_CLK_TCK")
            for line in lines if line[2].endswith(f":{port:04X}") and
            line[5].startswith("02:")}


def silent(bench):
    """A server that is gone without a word is not listened to for hours."""
    def asked_after(*args):
        before = probes(bench.env["port"])
        client = bench.stdio(*args)
        client.call("whoami")
        time.sleep(1)
        return [seconds for address, seconds in
                probes(bench.env["port"]).items() if address not in before]

    after = asked_after("--notify-dsn", bench.dsn())
    bench.check(len(after) == 2 and max(after) <= 30,
                "both connections are asked after within a minute", after)
    after = asked_after("--notify-dsn", bench.dsn(keepalives_idle=1000))
    bench.check(len(after) == 2 and max(after) > 900,
                "or after the time that the dsn says", after)


def other_database(bench):
    """Tasks in a further database are told of as well."""
    def annex(sql, user="postgres"):
        done = subprocess.run(
            [f"{bench.env['bindir']}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
             "-d", bench.dsn(user, dbname="annex"), "-c", sql],
            capture_output=True, text=True, check=True)
        return done.stdout.strip()

    digest = bench.psql("SELECT digest FROM warden.agent_tokens WHERE agent ="
                        " 'support' ORDER BY id LIMIT 1")
    annex("CREATE TABLE notes (id int); GRANT SELECT ON notes TO support_agent;"
          "SELECT warden.create_agent('support', 'support_agent');"
          "SELECT warden.add_person('rita@example.com', 'rita');"
          "INSERT INTO warden.agent_tokens (agent, digest, on_behalf_of,"
          f" issued_by, expires_at) VALUES ('support', '{digest}',"
          " 'bob@example.com', 'postgres', now() + '1 day')")
    further = ["--database", f"annex={bench.dsn(dbname='annex')}"]
    for args in (["--poll-interval", "1"],
                 ["--notify-dsn", bench.dsn(), "--poll-interval", "1"]):
        client = bench.stdio(*further, *args)
        tasks = [client.request("tools/call", {
            "name": "query", "arguments": {
                "sql": "DELETE FROM notes", "database": "annex"}},
            modern=True, capabilities=TASKS)["result"]["taskId"],
            propose(client)["taskId"]]
        bench.equal(tasks[0].split(":")[0], "annex", "a task of the other one")
        client.send(harness_modern({
            "jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen",
            "params": {"notifications": {"taskIds": tasks}}}, TASKS))
        client.receive()
        told = {client.receive(10)["params"]["taskId"] for _ in tasks}
        bench.equal(told, set(tasks), f"both are told of ({args[0]})")
        annex(f"SELECT warden.reject({tasks[0].split(':')[1]}, 'no')", "rita")
        note = (client.receive(10) or {}).get("params", {})
        bench.equal((note.get("taskId"), note.get("status")),
                    (tasks[0], "failed"), "and of what becomes of it")
        bench.check(client.receive(2) is None, "once")
    client = bench.stdio(*sum((["--database", f"{name}={bench.dsn()}"]
                               for name in ("annex", "b")), []))
    told = client.request("server/discover", modern=True)["result"][
        "instructions"]
    bench.check(told.endswith(" the main one: annex, b"),
                "the names of databases are told, and no more", told[-80:])
    client = bench.stdio("--database", f"main={bench.dsn(dbname='annex')}")
    bench.equal(client.process.wait(10), 2, "no further one is called main")


main(listen, review_links, resources, pages, small_limit, persons, prompts,
     completion, tasks, silent, other_database)
