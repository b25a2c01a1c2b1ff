#!/usr/bin/env python3
"""reference.py [--check]

Writes the README's tables of functions and of views anew, from the database
that the usual variables (PGHOST, PGUSER, ...) lead to; after "make demo", that
is ". .demo/env && docs/reference.py". With --check it only says whether they
are as they should be.
"""

import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parents[1] / "README.md"

# What the library and its views call; granted so that they can.
INTERNAL = """
    acting_agent acting_person acting_role agent_bar apply_is_running apply_mask apply_mask_function
    audit_open_statements effective_status extended_statistics_visible
    column_label function_permitted granted_via mask_for statistics_visible
""".split()

# These decide by themselves who may call.
CALLERS = {"propose": "agents", "withdraw": "agents",
           "enter": "`warden_gateway`", "leave": "who entered",
           "whoami": "everyone"}

FUNCTIONS = """
    SELECT p.proname, p.prokind, pg_get_function_arguments(p.oid),
           pg_get_function_result(p.oid),
           (SELECT string_agg(CASE WHEN a.grantee = 0 THEN 'everyone'
                              ELSE format('`%s`', a.grantee::regrole) END,
                              ', ' ORDER BY a.grantee)
            FROM aclexplode(p.proacl) a WHERE a.grantee <> p.proowner),
           obj_description(p.oid, 'pg_proc')
    FROM pg_proc p
    WHERE p.pronamespace = 'warden'::regnamespace
          AND p.prorettype NOT IN ('trigger'::regtype,
                                   'event_trigger'::regtype)
    ORDER BY p.proname COLLATE "C", p.oid
"""

RELATIONS = """
    SELECT c.relname,
           (SELECT string_agg(CASE WHEN a.grantee = 0 THEN 'everyone'
                              ELSE format('`%s`', a.grantee::regrole) END,
                              ', ' ORDER BY a.grantee)
            FROM aclexplode(c.relacl) a
            WHERE a.grantee <> c.relowner AND a.privilege_type = 'SELECT'),
           obj_description(c.oid, 'pg_class')
    FROM pg_class c
    WHERE c.relnamespace = 'warden'::regnamespace AND c.relkind IN ('r', 'v')
    ORDER BY c.relname COLLATE "C"
"""


def query(sql):
    out = subprocess.run(
        ["psql", "-XAt", "-F", "\t", "-R", "\x1e", "-c", sql],
        capture_output=True, text=True, check=True).stdout
    return [row.split("\t") for row in out.rstrip("\n").split("\x1e") if row]


def shorten(text):
    text = re.sub(r"::(\w+|timestamp with time zone)(\[\])?", "", text)
    return text.replace("timestamp with time zone", "timestamptz").replace(
        "double precision", "float8")


def names_of(columns):
    return "rows of (" + ", ".join(
        re.match(r'"[^"]*"|\w+', column).group() for column in columns) + ")"


def returned(arguments, result):
    outs = [a[4:] for a in arguments if a.startswith("OUT ")]
    if outs:
        return " returns " + names_of(outs)
    if result.startswith("TABLE("):
        return " returns " + names_of(result[6:-1].split(", "))
    return f" returns `{result}`" if result not in ("", "void") else ""


def function_rows():
    yield "| function | who may call | does |"
    yield "| --- | --- | --- |"
    for name, kind, arguments, result, callers, comment in query(FUNCTIONS):
        if name in INTERNAL or not callers:
            continue
        parts = [part for part in shorten(arguments).split(", ") if part]
        given = ", ".join(part.removeprefix("IN ") for part in parts
                          if not part.startswith("OUT "))
        call = ("CALL " if kind == "p" else "") + f"{name}({given})"
        comment = comment.replace("|", r"\|")
        yield (f"| `{call}`{returned(parts, shorten(result))} | "
               f"{CALLERS.get(name, callers)} | {comment} |")


def relation_rows():
    yield "| name | who may read | holds |"
    yield "| --- | --- | --- |"
    for name, readers, comment in query(RELATIONS):
        if readers:
            yield f"| `{name}` | {readers} | {comment} |"


def replace(text, mark, rows):
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, rest = text.split(begin)
    return "\n".join([head + begin, *rows, end + rest.split(end)[1]])


def main():
    old = README.read_text()
    new = replace(old, "functions", function_rows())
    new = replace(new, "views", relation_rows())
    if "--check" not in sys.argv[1:]:
        README.write_text(new)
    elif new != old:
        sys.exit("README.md's tables are out of date: run docs/reference.py")


main()
