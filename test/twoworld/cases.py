"""Reads the case files; their head explains the format."""

import re

PREFIXES = {"su": "su", "lab": "lab", "bg": "bg", "labbg": "labbg", "bad": "bad",
            "must": "must", "post": "post", "wpost": "wpost", "want": "want",
            "mask": "mask"}
LINE = re.compile(r"^(su|lab|bg|labbg|bad|must|post|wpost|want|mask)> ?(.*)$")
WRITE = re.compile(
    r"^(insert|update|delete|merge|truncate|create|alter|drop|comment|vacuum|"
    r"analyze|analyse|cluster|reindex|refresh|grant|revoke|import|reassign|"
    r"security|copy\s+\S+(\s*\([^)]*\))?\s+from)\b", re.I)
CTE_WRITE = re.compile(r"^with\b.*\b(insert\s+into|update\s+\S+\s+set|"
                       r"delete\s+from|merge\s+into)\b", re.I | re.S)
INTO = re.compile(r"^select\b(?!.*\bfrom\b.*\binto\b).*\binto\s+(temp\s+|"
                  r"unlogged\s+|table\s+)*\S+\s+from\b", re.I | re.S)
READ = re.compile(r"^(select|with|values|table|\()", re.I)
# What an owner must not run for us on the roads that start as the owner
SIDE_EFFECT = re.compile(r"\b(lo_\w+|setval|nextval|pg_notify|pg_switch_wal|"
                         r"pg_logical_emit_message|pg_create_\w+|dblink\w*|"
                         r"pg_\w*advisory\w+|pg_backup_start|f_write|warden\.\w+)"
                         r"\s*\(", re.I)


class Case:
    """One case."""

    def __init__(self, ident, flags, title, source):
        self.id = ident
        self.title = title
        self.source = source
        self.kind = flags[0]
        self.flags = set()
        self.role, self.rows, self.err, self.writes, self.bgrole = (
            "agent", None, [], 0, "alice")
        for flag in flags[1:]:
            key, _, value = flag.partition("=")
            if key == "role":
                self.role = value
            elif key == "rows":
                self.rows = value
            elif key == "err":
                self.err.append(value)
            elif key == "writes":
                self.writes = int(value)
            elif key == "bg":
                self.bgrole = value or "alice"
            else:
                self.flags.add(key)
        self.su, self.lab, self.bg, self.labbg = [], [], [], []
        self.bad, self.must, self.post, self.wpost = [], [], [], []
        self.want, self.mask, self.body = [], [], []
        self.outcome = ""

    @property
    def group(self):
        """The letter of the chapter."""
        return self.id[0]

    @property
    def fresh(self):
        """Whether the case needs a database of its own."""
        return bool(self.su or self.lab or self.labbg)

    def statements(self):
        """SQL statements of the plain lines, meta-commands left out."""
        text, copying = [], False
        for line in self.body:
            if copying:
                copying = line != "\\."
            elif line.startswith(("\\", "@")):
                continue
            else:
                text.append(line)
                copying = re.match(r"copy\b.*\bfrom stdin", line, re.I)
        return split("\n".join(text))

    def count_writes(self):
        """Writes that the agent sends at top level, plus the hidden ones."""
        return self.writes + sum(1 for s in self.statements() if is_write(s))

    def reads(self):
        """(settings, statement) pairs that every other road can carry."""
        if (self.role != "agent" or self.bg or self.labbg or self.writes
                or any(ln.startswith(("\\", "@")) for ln in self.body)
                or "nomodes" in self.flags):
            return []
        out, settings = [], []
        for stmt in self.statements():
            if SIDE_EFFECT.search(stmt) or re.match(r"set jit", stmt, re.I):
                return []
            if re.match(r"set\s+(?!local)", stmt, re.I):
                settings.append(stmt)
            elif is_write(stmt):
                return []
            elif READ.match(stmt) and not re.search(r"\binto\b", stmt, re.I):
                out.append((list(settings), stmt))
            elif re.match(r"(begin|commit|rollback|savepoint|prepare|declare|"
                          r"create|do|listen)\b", stmt, re.I):
                return []
        return out


def is_write(stmt):
    """Whether a statement writes when it is sent at top level."""
    return bool(WRITE.match(stmt) or CTE_WRITE.match(stmt) or INTO.match(stmt))


def split(text):
    """Split SQL at semicolons outside quotes, comments and atomic bodies."""
    out, cur, pos, depth = [], "", 0, 0
    token = re.compile(
        r"""(?P<q>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<e>[eE]'(?:[^'\\]|\\.|'')*')"""
        r"""|(?P<c>--[^\n]*)|(?P<d>\$(?P<tag>[A-Za-z_]*)\$)|(?P<w>[A-Za-z_]\w*)"""
        r"""|(?P<s>;)""")
    while pos < len(text):
        match = token.search(text, pos)
        if not match:
            break
        cur += text[pos:match.start()]
        pos = match.end()
        if match.group("d"):
            end = text.find(match.group("d"), pos)
            end = len(text) if end < 0 else end + len(match.group("d"))
            cur += match.group("d") + text[pos:end]
            pos = end
        elif match.group("s") and depth == 0:
            out.append(cur.strip())
            cur = ""
        elif match.group("c"):
            cur += " "
        else:
            word = (match.group("w") or "").lower()
            if word == "atomic":
                depth += 1
            elif word == "end" and depth:
                depth -= 1
            cur += match.group(0)
    cur += text[pos:]
    out.append(cur.strip())
    return [s for s in out if s]


def load(path):
    """All cases of a file, in order."""
    out, case = [], None
    with open(path, encoding="utf-8") as handle:
        for raw in handle:
            line = raw.rstrip("\n")
            if line.startswith("=== "):
                ident, flags, title = [p.strip() for p in
                                       line[4:].split("|", 2)]
                case = Case(ident, [f.strip() for f in flags.split(",")], title,
                            path)
                out.append(case)
                continue
            if case is None or line.startswith("##"):
                if line.startswith("##"):
                    case = None
                continue
            match = LINE.match(line)
            if match:
                getattr(case, PREFIXES[match.group(1)]).append(match.group(2))
            elif line.startswith("-> "):
                case.outcome = line[3:]
            elif line.strip():
                case.body.append(line)
    seen = set()
    for case in out:
        if case.id in seen:
            raise SystemExit("%s: case %s twice" % (path, case.id))
        seen.add(case.id)
    return out
