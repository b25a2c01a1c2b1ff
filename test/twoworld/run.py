#!/usr/bin/env python3
"""Two-world noninterference: what a governed session receives must be the
same whatever the labelled columns hold.

    run.py [--bindir DIR] [--destdir DIR] [--groups A,B] [--modes psql,ext]
           [--cases FILE ...] [--only ID ...] [--jobs N] [--keep] [--stock]
           [--same] [--failures FILE] [--verbose]

--stock runs without the extension, as a control of the harness: most leak
cases have to be found. --same gives both worlds the same values: then nothing
may differ. The last line is "N passed, N failed".
"""

import argparse
import collections
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import cases
import modes
import pgwire
import world as worlds

REFUSED = re.compile(r"(WD00[1-79]|WD010|42501|0A000)")
ERROR = re.compile(r"^(?:ERROR|FATAL|PANIC):  (\w{5}):", re.M)
WARN = re.compile(r"^WARNING:  01WD1:", re.M)
LOST = re.compile(r"server closed the connection unexpectedly|connection to "
                  r"server was lost|^PANIC|X timed out|SSL SYSCALL|terminating "
                  r"connection because of crash", re.M)
FAST = re.compile(r"^@fastpath\s+(\S+)\s*(.*)$")
ENTER = "BEGIN; SELECT warden.enter(:'token','alice','{}','k1');"
DIFFERS = re.compile(r"\brandom\(|gen_random_uuid\(\)\s*(,|FROM|;)", re.I)


class Report:
    """Counts, and a line for each failure."""

    def __init__(self, path=None):
        self.passed = 0
        self.failed = 0
        self.gaps = 0
        self.by_mode = collections.defaultdict(collections.Counter)
        self.by_group = collections.defaultdict(collections.Counter)
        self.lines = []
        self.path = path
        self.times = []

    def take(self, case, mode, problems, kind):
        """Record the outcome of one case in one mode."""
        mode_count = self.by_mode[mode]
        mode_count[kind] += 1
        if not problems:
            self.passed += 1
            mode_count["ok"] += 1
            self.by_group[case.group]["ok"] += 1
            return
        gap = "gap" in case.flags
        label = "GAP " if gap else "FAIL"
        for problem in problems if not gap or mode == "psql" else ():
            line = "%s %s %s: %s" % (label, case.id, mode, printable(problem))
            self.lines.append(line)
            print(line, flush=True)
        if gap:
            self.gaps += 1
            return
        self.failed += 1
        mode_count["fail"] += 1
        self.by_group[case.group]["fail"] += 1

    def summary(self):
        """Tables: groups, modes with the shares of what happened."""
        print("\ngroup     ok   fail")
        for group in sorted(self.by_group):
            count = self.by_group[group]
            print("%-5s %6d %6d" % (group, count["ok"], count["fail"]))
        print("\n%-18s %5s %5s   %5s %8s %7s %5s" % (
            "mode", "ok", "fail", "run", "diverted", "refused", "error"))
        for mode in sorted(self.by_mode, key=lambda m: (m != "psql", m)):
            count = self.by_mode[mode]
            print("%-18s %5d %5d   %5d %8d %7d %5d" % (
                mode, count["ok"], count["fail"], count["run"],
                count["diverted"], count["refused"], count["error"]))
        print("\nslowest: " + ", ".join("%s %.1fs" % (name, spent) for spent, name in
                                       sorted(self.times, reverse=True)[:8]))
        if self.gaps:
            print("\n%d gaps (reported, not counted)" % self.gaps)
        if self.path:
            with open(self.path, "w", encoding="utf-8") as out:
                out.write("\n".join(self.lines) + "\n")
        print("\n%d passed, %d failed" % (self.passed, self.failed))


def printable(text):
    """One line without control characters."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", ".",
                  text.replace("\n", " / "))[:900]


def first_difference(one, two):
    """The first pair of lines that differ."""
    left, right = one.split("\n"), two.split("\n")
    for a, b in zip(left, right):
        if a != b:
            return "a: %s || b: %s" % (a.strip()[:260], b.strip()[:260])
    if len(left) == len(right):
        return None
    longer = left if len(left) > len(right) else right
    return "only in %s: %s" % ("a" if longer is left else "b",
                               longer[min(len(left), len(right))].strip()[:260])


def raw_values(text, typed):
    """Raw values of either world that the agent did not type itself."""
    return [v for v in worlds.RAW if v in text and v not in typed]


def kind_of(states, warned):
    """run, diverted, refused or error."""
    if any(REFUSED.match(s) for s in states):
        return "refused"
    if warned:
        return "diverted"
    return "error" if states else "run"


# -- plain mode ----------------------------------------------------------------

def run_superuser(world, lines):
    """Statements of a case that a superuser sends first."""
    conn = world.su()
    for line in lines:
        if line.startswith("\\"):
            out = world.psql("postgres", line + "\n")
            if ERROR.search(out):
                raise SystemExit(out)
            continue
        for name, value in world.variables().items():
            line = line.replace(":'%s'" % name, worlds.quote(value))
        for stmt in cases.split(line):
            try:
                conn.query(stmt)
            except pgwire.PgError as err:
                return "superuser: %s in: %s" % (err, stmt[:120])
    conn.query("RESET ROLE; SET search_path = public")
    return None


def feed(world, case):
    """The plain lines of a case through psql, or the raw protocol where a
    line asks for a function call."""
    if any(FAST.match(line) for line in case.body):
        return feed_protocol(world, case)
    enter = ENTER if world.pair.warden else "SET ROLE agent;"
    lines = [enter if line == "@enter" else line for line in case.body]
    return world.psql(case.role, "\n".join(lines) + "\n")


def feed_protocol(world, case):
    """Cases with function-call messages: one protocol session."""
    conn = world.connect(case.role)
    tr = pgwire.Transcript()
    for line in case.body:
        match = FAST.match(line)
        if match:
            kind = "regprocedure" if "(" in match.group(1) else "regproc"
            oid = world.su().query("SELECT %s::%s::oid" % (
                worlds.quote(match.group(1)), kind))[0][0]
            conn.fastpath(int(oid), match.group(2).split(), transcript=tr)
        elif line == "@enter":
            for sql in cases.split(ENTER if world.pair.warden else "SET ROLE agent"):
                conn.simple(sql.replace(":'token'", worlds.quote(world.token)), tr)
        else:
            for sql in cases.split(line):
                conn.simple(sql, tr)
        if tr.lost:
            break
    conn.close()
    out = tr.text()
    for state in tr.states:
        out += "\nERROR:  %s:" % state
    out += "\nWARNING:  01WD1:" * tr.warnings.count("01WD1")
    return out


class Outcome:
    """What one world answered to one case."""

    def __init__(self):
        self.text = ""
        self.setup_error = None
        self.problems = []


def run_plain(world, case, before):
    """One case in one world, through psql."""
    out = Outcome()
    warden = world.pair.warden
    out.setup_error = run_superuser(world, case.su)
    if not out.setup_error and warden:
        out.setup_error = run_superuser(world, case.lab)
    if case.fresh or before is None:
        before = world.checksums()
    changes = world.changes()
    background = [world.psql(case.bgrole, line + ";\n", wait=False)
                  for line in case.bg]
    if warden:
        background += [world.psql("postgres", line + ";\n", wait=False)
                       for line in case.labbg]
    out.text = world.plain(feed(world, case))
    for proc in background:
        proc.terminate()
        proc.wait()
        proc.stdout.close()
    if LOST.search(out.text):
        return out
    if background:                      # what ends them does not choose
        world.forget_all()
    for attempt in range(200):
        busy = world.su().query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
            "datname = 'w' AND backend_type = 'client backend' AND pid <> "
            "pg_backend_pid()") if background else [["0"]]
        if busy[0][0] == "0":
            break
        time.sleep(0.02)
    check_aftermath(world, case, out, before, changes)
    return out


def check_aftermath(world, case, out, before, changes):
    """post>, checksums, and the number of recorded changes."""
    warden = world.pair.warden
    for question in case.post + (case.wpost if warden else []):
        if run_question(world, question):
            out.problems.append("escaped: post> %s" % question[:160])
    out.after = world.checksums()
    changed = sorted(k for k in set(before) | set(out.after)
                     if before.get(k) != out.after.get(k))
    out.dirty = bool(changed)
    if changed and "changes" not in case.flags:
        out.problems.append("changed: " + ", ".join(changed[:8]))
    if not warden:
        return
    new = world.changes() - changes
    warned = len(WARN.findall(out.text))
    errors = len(ERROR.findall(out.text))
    if "anycount" in case.flags:
        pass
    elif "nopend" in case.flags:
        if new:
            out.problems.append("%d changes recorded though rolled back" % new)
    elif new != warned:
        out.problems.append("%d changes recorded, %d 01WD1 warnings"
                            % (new, warned))
    if warned + errors < case.count_writes() and "changes" not in case.flags:
        out.problems.append("%d writes, but %d 01WD1 warnings and %d errors" % (
            case.count_writes(), warned, errors))


def run_question(world, question):
    """A superuser's yes-or-no question."""
    rows = world.su().query(question.replace(
        ":'w'", worlds.quote(world.variables()["w"])))
    return bool(rows) and rows[0][0] == "t"


def judge_plain(case, pair, outs):
    """Problems of one case in plain mode."""
    problems = []
    for world, out in zip(pair.worlds, outs):
        if out.setup_error:
            problems.append("setup in %s: %s" % (world.name, out.setup_error))
        problems += ["world %s: %s" % (world.name, p) for p in out.problems]
    problems += judge_text(case, outs[0].text, outs[1].text, pair)
    both = outs[0].text
    states = ERROR.findall(both)
    if pair.same:
        return [p for p in problems if "changed:" not in p and "post>" not in p]
    if case.kind == "benign":
        wrong = [s for s in states if s not in case.err]
        missing = [s for s in case.err if s not in states]
        if wrong or missing:
            problems.append("overblock: errors %s, expected %s: %s" % (
                states, case.err, error_line(both)))
        if case.rows not in (None, "*"):
            rows = sum(int(n) for n in re.findall(r"^\((\d+) rows?\)$", both, re.M))
            if rows != int(case.rows):
                problems.append("answered %d rows, expected %s" % (rows, case.rows))
    elif "runs" in case.flags and any(REFUSED.match(s) for s in states):
        problems.append("overblock: " + error_line(both))
    for out in outs:
        for pattern in case.bad:
            if re.search(pattern, out.text):
                problems.append("escaped: matches " + pattern)
        for pattern in case.must:
            if not re.search(pattern, out.text):
                problems.append("escaped: does not match %s: %s" % (
                    pattern, error_line(out.text)))
        for pattern in case.want + (case.mask if pair.warden else []):
            if not re.search(pattern, out.text):
                problems.append("wrong answer: does not match %s: %s" % (
                    pattern, out.text.strip()[:200]))
    return sorted(set(problems), key=problems.index)


def error_line(text):
    """The first error of an answer."""
    match = re.search(r"^(?:ERROR|FATAL).*$", text, re.M)
    return match.group(0)[:200] if match else text.strip()[:200]


def judge_text(case, one, two, pair):
    """Compare two answers and search them."""
    problems = []
    warden = pair.warden
    if "bound" not in case.flags:
        if one != two and not (case.kind == "benign" and DIFFERS.search(
                "\n".join(case.body))):
            problems.append("worlds differ: %s" % first_difference(one, two))
        found = raw_values(one + two, "\n".join(case.body + case.su))
        if found and not pair.same and (warden or case.kind != "benign"):
            problems.append("raw values: " + ", ".join(found))
    for text in (one, two):
        for state in set(re.findall(r"\b(XX\d\d\d|WD008)\b", text)):
            problems.append("%s: %s" % (state, error_line(text)))
        if LOST.search(text):
            problems.append("server: " + LOST.search(text).group(0))
    return problems


# -- other modes ------------------------------------------------------------------

def unordered(text):
    """An answer to whose rows, or error, any process came first."""
    return "\n".join(sorted(text.replace(" W=parallel worker", "").replace(
        "\nparallel worker", "").split("\n")))


def judge_mode(case, name, one, two, stmt, pair):
    """Problems of one statement on another road."""
    text_one, text_two = one.text(), two.text()
    if name.startswith("parallel"):     # workers answer in any order
        text_one, text_two = unordered(text_one), unordered(text_two)
    problems = judge_text(case, text_one, text_two, pair)
    if one.lost or two.lost:
        problems.append("backend died: " + text_one[-200:])
    if "54001" in one.states:           # not said by any of the cases
        problems.append("stack depth: " + stmt[:120])
    must_run = case.kind == "benign" or "runs" in case.flags
    if pair.warden and must_run and name.split("-")[-1] not in modes.MAY_REFUSE:
        refusals = [s for s in one.states if s.startswith("WD")]
        if refusals:
            problems.append("overblock: %s in: %s" % ([
                ln for ln in one.lines if ln.startswith("E ")][0][:260],
                stmt[:120]))
    return problems


def run_other_modes(pair, case, wanted, report):
    """All other roads of all reads of a case; True if data changed."""
    for settings, stmt in case.reads():
        if case.kind == "benign" and DIFFERS.search(stmt):
            continue
        results = pair.each(lambda w, s=settings, q=stmt: modes.run_modes(
            w, s, q, wanted))
        for _config, name, _func in wanted:
            one, two = results[0].get(name), results[1].get(name)
            if one is None or two is None:
                if (one is None) != (two is None) and name not in modes.OWNERS:
                    report.take(case, name, ["road fits one world only"], "error")
                continue
            normal = [w.plain for w in pair.worlds]
            one.lines = normal[0](one.text()).split("\n")
            two.lines = normal[1](two.text()).split("\n")
            problems = judge_mode(case, name, one, two, stmt, pair)
            report.take(case, name, problems,
                        kind_of(one.states, "01WD1" in one.warnings))
        if any(tr is not None and tr.lost for r in results for tr in r.values()):
            pair.revive()


def check_modes_changed(pair, case, report, state):
    """Nothing that the other roads ran may have changed anything."""
    before, after = state["sums"], pair.each(worlds.World.checksums)
    state["sums"] = after
    for world, old, new in zip(pair.worlds, before, after):
        changed = sorted(k for k in set(old) | set(new) if old.get(k) != new.get(k))
        if changed:
            report.take(case, "modes", ["world %s changed: %s" % (
                world.name, ", ".join(changed[:8]))], "error")
            state["dirty"] = True


def run_case(pair, case, wanted, report, state):
    """One case in all wanted modes."""
    if case.fresh or state["dirty"]:
        pair.fresh()
        state["sums"] = [None, None]
    state["dirty"] = case.fresh
    plain = "psql" in state["modes"]
    if plain:
        sums = dict(zip(pair.worlds, state["sums"]))
        outs = pair.each(lambda w: run_plain(w, case, sums[w]))
        if state["verbose"]:
            print("---- %s %s\n%s" % (case.id, case.title, outs[0].text))
        states = ERROR.findall(outs[0].text)
        report.take(case, "psql", judge_plain(case, pair, outs),
                    kind_of(states, WARN.search(outs[0].text)))
        if any(LOST.search(o.text) for o in outs):
            pair.revive()
            state["dirty"] = True
            return
        state["sums"] = [o.after for o in outs]
        state["dirty"] |= any(o.dirty for o in outs)
    else:
        pair.each(lambda w: run_superuser(w, case.su + (
            case.lab if pair.warden else [])))
    if wanted and case.reads() and not (plain and any(o.dirty for o in outs)):
        if not plain:
            state["sums"] = pair.each(worlds.World.checksums)
        run_other_modes(pair, case, wanted, report)
        check_modes_changed(pair, case, report, state)


# -- command line -------------------------------------------------------------------

def parse_arguments():
    """Options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--bindir")
    parser.add_argument("--destdir")
    parser.add_argument("--groups", default="")
    parser.add_argument("--modes", default="all",
                        help="all, or of: %s" % " ".join(modes.names()))
    parser.add_argument("--cases", nargs="+", default=[
        os.path.join(here, "cases", "public.txt"),
        os.path.join(here, "cases", "own.txt")])
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--shard", default="", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--port", type=int, default=7200)
    parser.add_argument("--dir")
    parser.add_argument("--failures")
    args = parser.parse_args()
    if not args.bindir:
        args.bindir = subprocess.run(["pg_config", "--bindir"], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip()
    return args


def select_cases(args):
    """The cases to run: first those that can share a database."""
    out = []
    for path in args.cases:
        out += cases.load(path)
    if args.groups:
        groups = args.groups.split(",")
        out = [c for c in out if c.group in groups]
    if args.only:
        out = [c for c in out if c.id in args.only]
    if args.shard:
        index, total = (int(n) for n in args.shard.split("/"))
        out = out[index::total]
    return sorted(out, key=lambda case: case.fresh)


def run_jobs(args):
    """Several pairs of servers, each with a share of the cases."""
    procs = []
    for index in range(args.jobs):
        command = [sys.executable, os.path.abspath(__file__)]
        command += [a for a in sys.argv[1:]]
        command += ["--jobs", "1", "--shard", "%d/%d" % (index, args.jobs),
                    "--port", str(args.port + index)]
        if args.dir:
            command += ["--dir", "%s.%d" % (args.dir, index)]
        if args.failures:
            command += ["--failures", "%s.%d" % (args.failures, index)]
        procs.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    with ThreadPoolExecutor(len(procs)) as pool:
        counts = list(pool.map(relay, procs))
    passed = sum(c[0] for c in counts)
    failed = sum(c[1] for c in counts)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def relay(proc):
    """Print what one job prints as it comes; its counts. A job without a
    closing line counts as a failure."""
    counts = None
    for line in proc.stdout:
        match = re.match(r"^(\d+) passed, (\d+) failed$", line)
        if match:
            counts = (int(match.group(1)), int(match.group(2)))
        else:
            print(line, end="", flush=True)
    proc.wait()
    return counts or (0, 1)


def main():
    """Run."""
    args = parse_arguments()
    if args.jobs > 1:
        return run_jobs(args)
    names = args.modes.split(",")
    if args.modes == "all":
        names = modes.names()
    wanted = modes.chosen(names)
    selected = select_cases(args)
    directory = args.dir or tempfile.mkdtemp(prefix="twoworld-")
    pair = worlds.Pair(directory, args.port, args.bindir, args.destdir,
                       warden=not args.stock, same=args.same)
    report = Report(args.failures)
    state = {"dirty": False, "sums": [None, None], "modes": names,
             "verbose": args.verbose}
    started = time.time()
    try:
        pair.create()
        for case in selected:
            begun = time.time()
            try:
                run_case(pair, case, wanted, report, state)
                report.times.append((time.time() - begun, case.id))
            except (pgwire.PgError, pgwire.ConnectionLost, OSError) as err:
                report.take(case, "harness", ["%s: %s" % (
                    type(err).__name__, err)], "error")
                state["dirty"] = True
                pair.revive()
    finally:
        if args.keep:
            print("kept: psql -h %s -p %d" % (pair.worlds[0].sock, pair.port))
        else:
            pair.remove()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,
                                                resource.RUSAGE_CHILDREN)]
    print("\n%d cases in %.0f s, %.0f s of processors for the client and %.0f s "
          "for the servers" % ((len(selected), time.time() - started) + tuple(
              use.ru_utime + use.ru_stime for use in used)))
    report.summary()
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
