#!/usr/bin/env python3
"""tour.py ENV-FILE

Tells the story of an agent, the people around it and what each of them gets
to see. Agents speak MCP, people use psql with a login of their own. Every
step says what it did, shows the answer and checks it; the exit code is 0 only
if all checks held.
"""

import os
import re
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request

import mcp_client

INJECTION = "COMMIT; DROP SCHEMA public CASCADE;"
TWO_CUSTOMERS = "SELECT id, email, ssn FROM customers LIMIT 2"


class Tour:
    def __init__(self, env):
        self.env = env
        self.step_number = 0
        self.checks = 0
        self.failures = []

    def step(self, title):
        self.step_number += 1
        print(f"\n{self.step_number}. {title}\n", flush=True)

    def show(self, text):
        print(textwrap.indent(text.rstrip(), "    ", lambda line: True),
              flush=True)

    def check(self, held, what):
        self.checks += 1
        if not held:
            self.failures.append(f"step {self.step_number}: {what}")
        print(f"  {'ok  ' if held else 'FAIL'} {what}", flush=True)

    def psql(self, prefix, sql, aligned=True):
        """Runs a statement as a person; returns what psql printed."""
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith("PG")}
        for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSFILE"):
            clean[name] = self.env[prefix + name]
        done = subprocess.run(
            ["psql", "-Xq", "-v", "VERBOSITY=verbose", "-P", "footer=off",
             *([] if aligned else ["-At"]), "-c", sql],
            env=clean, stdin=subprocess.DEVNULL, capture_output=True,
            text=True)
        errors = re.sub(r"^LOCATION:.*\n?", "", done.stderr, flags=re.M)
        if aligned:
            print(f"    {clean['PGUSER']}=> {sql}")
            self.show(done.stdout + errors)
        return done.stdout + errors

    def psql_quiet(self, prefix, sql):
        return self.psql(prefix, sql, aligned=False).strip()

    def call(self, client, tool, **arguments):
        """Calls a tool; returns the structured result and whether it failed."""
        words = " ".join(f"{name}={value!r}"
                         for name, value in arguments.items())
        print(f"    agent: {tool} {words}")
        result = client.call(tool, **arguments)
        self.show(result["content"][0]["text"])
        return result["structuredContent"], result.get("isError", False)


def read_env(path):
    """The exports of a file, as the shell sees them."""
    shown = subprocess.run(
        ["bash", "-c", '. "$1" && exec env -0', "bash", path],
        capture_output=True, text=True, check=True).stdout
    return dict(item.split("=", 1) for item in shown.split("\0") if item)


def wait_for(url):
    """Waits until the server says that it is healthy."""
    health = url.rsplit("/", 1)[0] + "/healthz"
    deadline = time.time() + 30
    while True:
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:
                return answer.status
        except (urllib.error.URLError, OSError):
            if time.time() > deadline:
                raise
            time.sleep(0.1)


# ---------------------------------------------------------------------------
# The steps


def introduce(tour, client):
    tour.step("An MCP client connects and finds out what there is")
    hello = client.connect()
    tour.show(f"{hello['serverInfo']['name']} "
              f"{hello['serverInfo']['version']}, protocol "
              f"{hello['protocolVersion']}")
    tour.check(hello["protocolVersion"] == mcp_client.SESSION_ERA,
               "initialize agrees on a protocol version")
    found = client.stateless("server/discover")
    tour.check(mcp_client.STATELESS_ERA in found["supportedVersions"],
               f"server/discover offers {mcp_client.STATELESS_ERA} as well")
    tools = client.request("tools/list")["tools"]
    names = [tool["name"] for tool in tools]
    tour.show("tools: " + ", ".join(names))
    tour.check({"query", "propose_change", "get_change", "list_changes",
                "withdraw_change", "search_objects", "explain",
                "whoami"} <= set(names), "tools/list has all tools")
    me, failed = tour.call(client, "whoami")
    tour.check(not failed and me["agent"] == "support-bot" and
               me["on_behalf_of"] == "sam",
               "the token says which agent it is and for whom it acts")


def read_masked(tour, client):
    tour.step("The agent reads customers: masked")
    got, failed = tour.call(client, "query", sql=TWO_CUSTOMERS)
    tour.check(not failed and got["rows"] == [
        [1, "a******@example.com", "***-**-4801"],
        [2, "m******@example.com", "***-**-2210"]],
        "e-mail addresses and ssn are masked")
    tour.check([column.get("masked", False) for column in got["columns"]] ==
               [False, True, True], "the result says which columns are")
    again = client.stateless("tools/call", name="query",
                             arguments={"sql": TWO_CUSTOMERS})
    tour.check(again["structuredContent"]["rows"] == got["rows"],
               "a client without a session gets the same")


def read_clear(tour):
    tour.step("An exempted human runs the same query: clear text")
    got = tour.psql("WARDEN_EXEMPT_", TWO_CUSTOMERS)
    tour.check("alice@example.com" in got and "078-05-4801" in got and
               "mallory@example.com" in got and "219-09-2210" in got,
               "hana, who has an exemption, sees the values")


def meet_injection(tour, client):
    tour.step("A support ticket tells the agent what to do")
    got, failed = tour.call(
        client, "query",
        sql="SELECT subject, body FROM support_tickets WHERE id = 2")
    tour.check(not failed and INJECTION in got["rows"][0][1],
               "the agent reads the instruction")


def obey_injection(tour, client):
    tour.step("Suppose the agent obeys")
    got, failed = tour.call(client, "query", sql=INJECTION)
    tour.check(failed and got["status"] == "error",
               "several statements at once are not run")
    got, failed = tour.call(client, "query", sql="COMMIT")
    tour.check(failed and got["status"] == "error",
               "nor does it get out of its transaction")
    got, failed = tour.call(client, "query",
                            sql="DROP SCHEMA public CASCADE")
    tour.check(failed or got["status"] == "pending_review",
               "the DROP alone does not run either")
    dropped = got.get("change_id")
    got, failed = tour.call(client, "query",
                            sql="SELECT name, email, ssn FROM customers")
    tour.check(not failed and got["row_count"] == 5 and
               all(row[2] is None or re.fullmatch(r"\*{3}-\*{2}-\d{4}", row[2])
                   for row in got["rows"]),
               "every ssn is masked")
    got, failed = tour.call(
        client, "query",
        sql="SELECT count(*) FROM customers WHERE ssn = '078-05-4801'")
    tour.check(not failed and got["rows"] == [[0]],
               "a predicate does not find a masked value out")
    got, failed = tour.call(client, "query",
                            sql="SELECT 1 / (ssn::int) FROM customers")
    tour.check(failed and "078" not in str(got) and "219" not in str(got),
               "nor does an error message")
    tables = tour.psql_quiet(
        "", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    tour.check(tables == "3", "all three tables are still there")
    return dropped


def refuse_drop(tour, change):
    tour.step("People turn the injected change down")
    if change is not None:
        tour.psql("WARDEN_REVIEWER_",
                  f"SELECT warden.reject({change}, 'from a ticket, not us')")
        status = tour.psql_quiet(
            "",
            f"SELECT status FROM warden.pending_changes WHERE id = {change}")
        tour.check(status == "rejected", f"change {change} is rejected")


def propose_refund(tour, client):
    tour.step("The agent does its work: ticket 1 wants a refund")
    got, failed = tour.call(
        client, "query",
        sql="UPDATE orders SET status = 'refunded' WHERE id = $1",
        params=[1003])
    tour.check(not failed and got["status"] == "pending_review" and
               isinstance(got.get("change_id"), int),
               "the UPDATE is recorded as a pending change")
    status = tour.psql_quiet("", "SELECT status FROM orders WHERE id = 1003")
    tour.check(status == "paid", "the order is as it was")
    return got["change_id"]


def decide_refund(tour, change):
    tour.step("A person reviews it: not sam, whom the agent acts for")
    got = tour.psql(
        "WARDEN_REVIEWER_",
        "SELECT c.agent, c.on_behalf_of AS person, c.risk, s.statement, "
        "s.parameters FROM warden.open_changes c "
        "JOIN warden.change_statements s ON change_id = id "
        f"WHERE id = {change}")
    tour.check("support-bot" in got and "UPDATE orders" in got and
               "1003" in got, "rita sees who wants to run what, with its value")
    findings = tour.psql("WARDEN_REVIEWER_",
                         "SELECT level, rule, message "
                         f"FROM warden.review({change})")
    tour.check("ERROR" not in findings, "the SQL review has been asked")
    got = tour.psql("WARDEN_REVIEWER_", f"CALL warden.apply({change})")
    tour.check("WD007" in got, "nobody applies it unapproved")
    got = tour.psql("WARDEN_PERSON_",
                    f"SELECT warden.approve({change}, 'my own wish')")
    tour.check("WD007" in got, "sam can not approve it: four eyes")
    got = tour.psql("WARDEN_REVIEWER_",
                    f"SELECT warden.approve({change}, 'seen the photos')")
    tour.check("approved" in got, "rita approves")
    got = tour.psql("WARDEN_REVIEWER_", f"CALL warden.apply({change})")
    status = tour.psql_quiet("", "SELECT status FROM orders WHERE id = 1003")
    tour.check("ERROR" not in got and status == "refunded",
               "rita applies it, and the order is refunded")
    got = tour.psql("WARDEN_REVIEWER_", f"CALL warden.apply({change})")
    tour.check("WD007" in got, "it is not applied a second time")


def follow_refund(tour, client, change):
    tour.step("The agent sees what became of it")
    got, failed = tour.call(client, "get_change", change_id=change)
    seen = got.get("change", {})
    tour.check(not failed and seen.get("status") == "applied",
               f"change {change} is applied")
    tour.check("seen the photos" in str(seen.get("reviews")),
               "with the reviewer's comment")
    got, failed = tour.call(
        client, "query", sql="SELECT id, status FROM orders WHERE id = 1003")
    tour.check(not failed and got["rows"] == [[1003, "refunded"]],
               "and so is the order")


def look_back(tour, change):
    tour.step("The audit trail names agent and person")
    tour.psql_quiet("", "SELECT warden.flush_audit()")
    tour.psql("", "SELECT id, agent, on_behalf_of AS person, tool, outcome, "
                  "sqlstate, left(statement, 40) AS statement "
                  "FROM warden.audit_log WHERE agent IS NOT NULL ORDER BY id")
    log = tour.psql_quiet(
        "", "SELECT count(*) FILTER (WHERE outcome = 'ok' AND masked_columns "
            "IS NOT NULL) > 0, count(*) FILTER (WHERE outcome = 'diverted' "
            f"AND change_id = {change}), count(*) FILTER (WHERE outcome IN "
            "('refused', 'error')) > 0, count(*) FILTER (WHERE on_behalf_of "
            "IS DISTINCT FROM 'sam' OR tool IS NULL) FROM warden.audit_log "
            "WHERE agent = 'support-bot' AND kind NOT IN ('action', 'rollback')")
    tour.check(log == "t|1|t|0", "masked reads, the diverted UPDATE and what "
               "was refused, all by support-bot for sam")
    tour.psql("", "SELECT at::time(0), on_behalf_of AS person, login_role, "
                  "outcome, change_id FROM warden.audit_log "
                  f"WHERE change_id = {change} ORDER BY id")
    people = tour.psql_quiet(
        "", "SELECT string_agg(login_role || ' ' || outcome, ', ' ORDER BY "
            "id) FROM warden.audit_log WHERE kind = 'action' AND "
            f"change_id = {change} AND outcome IN ('approved', 'applied')")
    tour.check(people == "rita approved, rita applied",
               "who approved and applied is on record")
    leaks = tour.psql_quiet(
        "", "SELECT count(*) FROM warden.audit_events e "
            "WHERE e.message LIKE '%078-05-%'")
    tour.check(leaks == "0", "no message holds a masked value")
    broken = tour.psql("", "SELECT * FROM warden.verify_audit()")
    tour.check(tour.psql_quiet("", "SELECT count(*) FROM "
                               "warden.verify_audit()") == "0" and
               "ERROR" not in broken, "the chain of records is unbroken")


def main():
    tour = Tour(read_env(sys.argv[1]))
    wait_for(tour.env["WARDEN_URL"])
    client = mcp_client.Client(tour.env["WARDEN_URL"],
                               tour.env["WARDEN_TOKEN"])
    introduce(tour, client)
    read_masked(tour, client)
    read_clear(tour)
    meet_injection(tour, client)
    refuse_drop(tour, obey_injection(tour, client))
    change = propose_refund(tour, client)
    decide_refund(tour, change)
    follow_refund(tour, client, change)
    look_back(tour, change)
    print(f"\n{tour.checks - len(tour.failures)} of {tour.checks} checks held")
    for failure in tour.failures:
        print(f"  failed: {failure}")
    sys.exit(1 if tour.failures else 0)


if __name__ == "__main__":
    main()
