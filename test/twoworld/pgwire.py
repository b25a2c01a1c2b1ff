"""A small client for the PostgreSQL frontend/backend protocol, version 3.

Every message that the server sends becomes one line of a transcript, so that
two servers can be compared byte for byte: rows in text or binary, tags, all
fields of errors and notices, notifications (without the process number).
Trust authentication over a Unix socket only.
"""

import socket
import struct


class PgError(Exception):
    """An ErrorResponse, with its fields by protocol letter."""

    def __init__(self, fields):
        super().__init__("%s: %s" % (fields.get("C"), fields.get("M")))
        self.fields = fields
        self.sqlstate = fields.get("C")


class ConnectionLost(Exception):
    """The backend went away in the middle of a conversation."""


def parse_fields(body):
    """Fields of an ErrorResponse or NoticeResponse."""
    fields = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return fields


def parse_row(body):
    """Columns of a DataRow as bytes or None."""
    (count,) = struct.unpack_from("!H", body)
    pos, out = 2, []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, pos)
        pos += 4
        if size < 0:
            out.append(None)
        else:
            out.append(body[pos:pos + size])
            pos += size
    return out


def parse_columns(body):
    """Columns of a RowDescription: (name, table, attnum, type, typmod, format)."""
    (count,) = struct.unpack_from("!H", body)
    pos, out = 2, []
    for _ in range(count):
        end = body.index(b"\0", pos)
        name = body[pos:end].decode("utf-8", "replace")
        table, attnum, typ, _size, typmod, fmt = struct.unpack_from(
            "!IhIhih", body, end + 1)
        out.append((name, table, attnum, typ, typmod, fmt))
        pos = end + 19
    return out


def show(value):
    """A column of a row as readable text that keeps every byte apart."""
    if value is None:
        return "NULL"
    return value.decode("latin-1")


class Transcript:
    """What one conversation answered, in order."""

    def __init__(self):
        self.lines = []
        self.rows = 0
        self.states = []        # SQLSTATEs of errors
        self.warnings = []      # SQLSTATEs of notices
        self.columns = None
        self.data = []
        self.lost = False

    def add(self, kind, body):
        """Take in one message."""
        if kind == "D":
            row = parse_row(body)
            self.rows += 1
            self.data.append(row)
            self.lines.append("D " + " | ".join(show(v) for v in row))
        elif kind == "T":
            self.columns = parse_columns(body)
            self.lines.append("T " + " ".join("%s:%s:%s:%s:%s:%s" % c
                                              for c in self.columns))
        elif kind in "EN":
            fields = parse_fields(body)
            (self.states if kind == "E" else self.warnings).append(
                fields.get("C", "?"))
            # V repeats S, and F L R name the source line of the server
            self.lines.append("%s %s" % (kind, " ".join(
                "%s=%s" % (k, v) for k, v in fields.items() if k not in "VFLR")))
        elif kind == "A":
            end = body.index(b"\0", 4)
            self.lines.append("A %s %s" % (show(body[4:end]),
                                           show(body[end + 1:-1])))
        elif kind == "Z":
            self.lines.append("Z " + show(body))
        elif kind in "CdSV":
            self.lines.append(kind + " " + show(body))
        else:
            self.lines.append(kind)

    def text(self):
        """The transcript as text."""
        return "\n".join(self.lines)


class Conn:
    """One connection."""

    def __init__(self, sockdir, port, user, database, options=None, timeout=40):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect("%s/.s.PGSQL.%d" % (sockdir, port))
        self.buf = b""
        self.status = "I"
        settings = {"user": user, "database": database}
        settings.update(options or {})
        body = struct.pack("!I", 196608)
        for key, value in settings.items():
            body += key.encode() + b"\0" + value.encode() + b"\0"
        body += b"\0"
        self.sock.sendall(struct.pack("!I", len(body) + 4) + body)
        while True:
            kind, body = self.read()
            if kind == "E":
                raise PgError(parse_fields(body))
            if kind == "Z":
                return

    def read(self):
        """The next message."""
        while True:
            if len(self.buf) >= 5:
                (size,) = struct.unpack_from("!I", self.buf, 1)
                if len(self.buf) > size:
                    kind = chr(self.buf[0])
                    body = self.buf[5:size + 1]
                    self.buf = self.buf[size + 1:]
                    return kind, body
            try:
                more = self.sock.recv(65536)
            except (ConnectionError, socket.timeout) as err:
                raise ConnectionLost(str(err)) from err
            if not more:
                raise ConnectionLost("server closed the connection")
            self.buf += more

    def send(self, *messages):
        """Send messages given as (letter, body)."""
        out = b"".join(k.encode() + struct.pack("!I", len(b) + 4) + b
                       for k, b in messages)
        try:
            self.sock.sendall(out)
        except OSError as err:
            raise ConnectionLost(str(err)) from err

    def collect(self, transcript=None, copy_data=None):
        """Messages up to ReadyForQuery."""
        tr = transcript or Transcript()
        try:
            while True:
                kind, body = self.read()
                if kind == "G":
                    if copy_data is None:
                        self.send(("f", b"no data\0"))
                    else:
                        self.send(("d", copy_data), ("c", b""))
                tr.add(kind, body)
                if kind == "Z":
                    self.status = chr(body[0])
                    return tr
        except ConnectionLost as err:
            tr.lost = True
            tr.lines.append("X " + str(err))
            return tr

    def simple(self, sql, transcript=None, copy_data=None):
        """One simple query."""
        tr = transcript or Transcript()
        try:
            self.send(("Q", sql.encode() + b"\0"))
        except ConnectionLost as err:
            tr.lost = True
            tr.lines.append("X " + str(err))
            return tr
        return self.collect(tr, copy_data)

    def query(self, sql):
        """Rows of one simple query as lists of str; errors raise."""
        tr = self.simple(sql)
        if tr.lost:
            raise ConnectionLost(tr.lines[-1])
        if tr.states:
            bad = [ln for ln in tr.lines if ln.startswith("E ")][0]
            raise PgError({"C": tr.states[0], "M": bad})
        return [[None if v is None else v.decode("utf-8", "replace")
                 for v in row] for row in tr.data]

    def batch(self, statements):
        """Simple queries sent in one go; a transcript of each."""
        self.send(*[("Q", sql.encode() + b"\0") for sql in statements])
        return [self.collect() for _ in statements]

    def describe(self, sql):
        """Columns of a statement without running it, or None."""
        self.send(("P", b"\0" + sql.encode() + b"\0" + b"\0\0"),
                  ("D", b"S\0"), ("S", b""))
        tr = self.collect()
        return None if tr.states else tr.columns

    def extended(self, sql, params=(), binary=True, chunk=0, transcript=None,
                 sync=True):
        """Parse, Bind, Describe, Execute; chunk suspends the portal."""
        tr = transcript or Transcript()
        bind = b"\0\0" + b"\0\0" + struct.pack("!H", len(params))
        for value in params:
            if value is None:
                bind += struct.pack("!i", -1)
            else:
                raw = value.encode()
                bind += struct.pack("!i", len(raw)) + raw
        bind += struct.pack("!HH", 1, 1 if binary else 0)
        msgs = [("P", b"\0" + sql.encode() + b"\0" + b"\0\0"), ("B", bind),
                ("D", b"P\0"), ("E", b"\0" + struct.pack("!I", chunk))]
        if chunk:
            msgs += [("E", b"\0" + struct.pack("!I", 0))]
        if sync:
            msgs.append(("S", b""))
        try:
            self.send(*msgs)
        except ConnectionLost as err:
            tr.lost = True
            tr.lines.append("X " + str(err))
            return tr
        return self.collect(tr) if sync else tr

    def fastpath(self, oid, args, binary=False, transcript=None):
        """A FunctionCall message with text arguments."""
        body = struct.pack("!IHH", oid, 0, len(args))
        for value in args:
            raw = value.encode()
            body += struct.pack("!i", len(raw)) + raw
        body += struct.pack("!H", 1 if binary else 0)
        tr = transcript or Transcript()
        self.send(("F", body))
        return self.collect(tr)

    def sync(self, transcript=None):
        """Sync and collect."""
        self.send(("S", b""))
        return self.collect(transcript)

    def close(self):
        """Say goodbye."""
        try:
            self.send(("X", b""))
        except ConnectionLost:
            pass
        self.sock.close()
