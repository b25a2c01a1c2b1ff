#!/usr/bin/env python3
"""propose.py SUITE

Proposes every statement of PostgreSQL's own regression suite, and what of it is
recorded is reviewed, previewed and withdrawn. Run by tools/check-core-governed,
whose server PGHOST, PGPORT and PGDATABASE name and whose agent is core_agent.
What is answered is not compared: the server must survive, and must not report
anything internal (XX000). Prints how many statements became what.
"""

import collections
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "twoworld"))
import cases  # noqa: E402
import pgwire  # noqa: E402

SETUP = """
    SET client_min_messages = warning;
    CREATE ROLE core_writer;
    CREATE ROLE core_reviewer LOGIN IN ROLE warden_reviewer, core_writer;
    GRANT USAGE, CREATE ON SCHEMA public TO core_writer;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO core_writer;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO core_writer;
    SELECT warden.create_agent('core', 'core_agent', 'core_writer');
    SELECT warden.add_person('core', 'core_reviewer');
"""


def statements(path):
    """The statements of a file, without psql's commands and COPY's data."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    text = re.sub(r"(?im)^(copy\b[^;]*\bfrom\s+stdin[^;]*;)\n.*?^\\\.$", r"\1",
                  text, flags=re.S | re.M | re.I)
    text = re.sub(r"(?m)^\s*\\.*$", "", text)
    return cases.split(re.sub(r"\\(gset|gdesc|gexec|g|crosstabview)\b.*", ";",
                              text))


def connect(user):
    """A session of that role."""
    return pgwire.Conn(os.environ["PGHOST"], int(os.environ["PGPORT"]), user,
                       os.environ["PGDATABASE"])


def look_at(reviewer, change):
    """Review and preview; the errors are what the statement's would be."""
    for function in ("review", "preview"):
        answer = reviewer.simple("SELECT count(*) FROM warden.%s(%s)"
                                 % (function, change))
        if answer.lost:
            raise pgwire.ConnectionLost("%s of change %s" % (function, change))
        if "XX000" in answer.states:
            return "XX000"
    return "recorded"


def propose(agent, reviewer, sql):
    """What became of one statement: recorded, or the SQLSTATE."""
    answer = agent.extended("SELECT warden.propose($1, 'core', NULL)", [sql],
                            binary=False)
    if answer.lost:
        raise pgwire.ConnectionLost(sql)
    if answer.states:
        return answer.states[0]
    change = answer.data[0][0].decode()
    became = look_at(reviewer, change)
    agent.query("SELECT warden.withdraw(%s)" % change)
    return became


def main():
    """Goes through the suite file by file."""
    admin = connect(os.environ.get("PGUSER", "postgres"))
    admin.query(SETUP)
    agent, reviewer = connect("core_agent"), connect("core_reviewer")
    became = collections.Counter()
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "sql", "*.sql"))):
        try:
            for sql in statements(path):
                became[propose(agent, reviewer, sql)] += 1
        except pgwire.ConnectionLost as err:
            print("not ok - the server did not survive", path, err)
            return 1
    print("proposed:", ", ".join("%s %d" % pair
                                 for pair in became.most_common(12)))
    if became["recorded"] < 2000:
        print("not ok - hardly anything could be proposed")
        return 1
    print("ok - %d statements proposed, reviewed, previewed and withdrawn"
          % sum(became.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
