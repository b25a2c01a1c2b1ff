"""Two throwaway servers, copied from one initdb so that their OIDs agree.

The worlds differ only in the raw values of labelled columns. The fixture is
loaded into database "t" of each; cases run in copies of it called "w".
"""

import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pgwire

HERE = os.path.dirname(os.path.abspath(__file__))
VALUES = {
    "a": {"p": "qaa", "a1": "123-45", "a2": "222-33", "a3": "333-44",
          "a4": "222-33", "a5": "", "a6": "777-11"},
    "b": {"p": "qbb", "a1": "987-65", "a2": "555-66", "a3": "111-22",
          "a4": "888-66", "a5": "", "a6": "666-11"},
}
RAW = sorted({v for w in VALUES.values() for v in w.values() if v})

SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
autovacuum = off
wal_level = logical
max_wal_senders = 0
max_prepared_transactions = 10
max_connections = 60
max_worker_processes = 24
max_parallel_workers = 8
shared_buffers = 64MB
checkpoint_timeout = 1d
max_wal_size = 4GB
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'ISO, MDY'
lc_messages = 'C'
jit = off
logging_collector = off
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
track_activity_query_size = 4096
"""

# Every catalog that holds something of a user, with the rows that count.
# x: relations of the extension's own schema and temporary ones.
CATALOGS = [
    ("pg_class", "t.oid >= 16384 AND t.oid NOT IN (SELECT oid FROM x)"),
    ("pg_attribute", "t.attrelid >= 16384 AND t.attrelid NOT IN (SELECT oid FROM x)"),
    ("pg_attrdef", "t.adrelid NOT IN (SELECT oid FROM x)"),
    ("pg_constraint", "t.oid >= 16384 AND t.connamespace NOT IN (SELECT oid FROM n)"),
    ("pg_index", "t.indrelid >= 16384 AND t.indrelid NOT IN (SELECT oid FROM x)"),
    ("pg_inherits", "t.inhrelid NOT IN (SELECT oid FROM x)"),
    ("pg_partitioned_table", "t.partrelid NOT IN (SELECT oid FROM x)"),
    ("pg_trigger", "t.tgrelid NOT IN (SELECT oid FROM x)"),
    ("pg_rewrite", "t.oid >= 16384"),
    ("pg_statistic", "t.starelid >= 16384 AND t.starelid NOT IN (SELECT oid FROM x)"),
    ("pg_type", "t.oid >= 16384 AND t.typnamespace NOT IN (SELECT oid FROM n)"),
    ("pg_proc", "t.oid >= 16384 AND t.pronamespace NOT IN (SELECT oid FROM n)"),
    ("pg_namespace", "t.oid NOT IN (SELECT oid FROM n)"),
    ("pg_description", "t.objoid >= 16384 AND t.objoid NOT IN (SELECT oid FROM x)"),
] + [(name, "true") for name in (
    "pg_policy", "pg_enum", "pg_range", "pg_operator", "pg_opclass", "pg_cast",
    "pg_language", "pg_collation", "pg_conversion", "pg_ts_config", "pg_extension",
    "pg_event_trigger", "pg_statistic_ext", "pg_statistic_ext_data", "pg_sequence",
    "pg_foreign_server", "pg_foreign_data_wrapper", "pg_foreign_table",
    "pg_user_mapping", "pg_publication", "pg_publication_rel", "pg_subscription",
    "pg_default_acl", "pg_largeobject", "pg_largeobject_metadata", "pg_seclabel",
    "pg_shseclabel", "pg_authid", "pg_auth_members", "pg_db_role_setting",
    "pg_tablespace")]

OWN = ("SELECT oid FROM pg_namespace WHERE nspname = 'warden' "
       "OR nspname LIKE 'pg\\_temp\\_%' OR nspname LIKE 'pg\\_toast\\_temp\\_%'")


def catalog_query():
    """One row a catalog: its name and the hash of its rows, or, where the
    server's own are among them, of which versions of rows there are."""
    parts = ["SELECT '%s', (SELECT md5(coalesce(string_agg(t::text, E'\\n' "
             "ORDER BY t::text COLLATE \"C\"), '')) FROM %s t WHERE %s)"
             % (name, name, where) for name, where in CATALOGS if where != "true"]
    parts += ["SELECT '%s', (SELECT concat(count(*), ' ', sum(hashtidextended("
              "ctid, xmin::text::int8))) FROM %s)" % (name, name)
              for name, where in CATALOGS if where == "true"]
    parts.append("SELECT 'pg_database', (SELECT md5(string_agg(concat_ws('|', oid, "
                 "datname, datdba, datallowconn, datconnlimit, datacl), ' ' ORDER BY oid)) "
                 "FROM pg_database)")
    parts.append("SELECT 'pg_prepared_xacts', (SELECT count(*)::text FROM "
                 "pg_prepared_xacts)")
    return ("WITH n AS MATERIALIZED (%s), x AS MATERIALIZED (SELECT oid FROM "
            "pg_class WHERE relnamespace IN (SELECT oid FROM n) UNION ALL SELECT "
            "reltoastrelid FROM pg_class WHERE relnamespace IN (SELECT oid FROM n) "
            "UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT "
            "reltoastrelid FROM pg_class WHERE relnamespace IN (SELECT oid FROM n))) "
            % OWN) + " UNION ALL ".join(parts)


CATALOG_QUERY = catalog_query()
TABLES_QUERY = (
    "SELECT format('%I.%I', n.nspname, c.relname), c.relkind FROM pg_class c JOIN "
    "pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','m','S') AND "
    "n.nspname NOT IN ('pg_catalog','information_schema','warden','pg_toast') AND "
    "n.nspname NOT LIKE 'pg\\_temp%' ORDER BY 1")


def wrapper():
    """PostgreSQL refuses root: become somebody else in a user namespace."""
    if os.geteuid() != 0:
        return []
    return ["unshare", "-U", "--map-user=postgres", "--map-group=postgres", "--"]


class World:
    """One server and what the harness does with it."""

    def __init__(self, name, values, pair):
        self.name = name
        self.values = values
        self.pair = pair
        self.data = os.path.join(pair.dir, "data-" + name)
        self.sock = os.path.join(pair.dir, "s" + name)
        self.log = os.path.join(pair.dir, "log-" + name)
        self.port = pair.port
        self.env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8",
                    "HOME": pair.dir, "PGCONNECT_TIMEOUT": "20"}
        self.token = ""
        self.super = None
        self.version = 0
        self.kept = {}          # sessions of the other roads, by modes.py
        self.proc = None

    # -- server ----------------------------------------------------------

    def start(self):
        """Start the server and wait until it answers."""
        os.makedirs(self.sock, exist_ok=True)
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                wrapper() + [os.path.join(self.pair.bindir, "postgres"), "-D",
                             self.data, "-p", str(self.port), "-k", self.sock],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        self.wait_ready()

    def wait_ready(self, seconds=60):
        """Wait for the server to accept connections."""
        end = time.time() + seconds
        while time.time() < end:
            if self.proc.poll() is not None:
                raise SystemExit("server of world %s did not start:\n%s" % (
                    self.name, open(self.log).read()[-3000:]))
            try:
                self.connect("postgres", "postgres").close()
                return
            except (OSError, pgwire.PgError, pgwire.ConnectionLost):
                time.sleep(0.05)
        raise SystemExit("server of world %s does not answer" % self.name)

    def stop(self):
        """Stop the server at once."""
        self.close_super()
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(3)
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()

    # -- talking to it -----------------------------------------------------

    def connect(self, user, database="w", options=None):
        """A raw protocol connection."""
        return pgwire.Conn(self.sock, self.port, user, database, options)

    def su(self):
        """The superuser's connection to the current copy."""
        if self.super is None:
            for attempt in range(40):
                try:
                    self.super = self.connect("postgres", "w")
                    break
                except pgwire.PgError as err:
                    if err.sqlstate not in ("57P03", "53300") or attempt == 39:
                        raise
                    time.sleep(0.25)
                except (OSError, pgwire.ConnectionLost):
                    if attempt == 39:
                        raise
                    time.sleep(0.25)
            self.super.query("SET search_path = public")
            self.version = int(self.super.query("SHOW server_version_num")[0][0])
        return self.super

    def forget(self, key):
        """Close a kept session."""
        self.kept.pop(key).close()

    def forget_all(self):
        """Close all kept sessions."""
        for key in list(self.kept):
            self.forget(key)

    def close_super(self):
        """Let go of the copy."""
        self.forget_all()
        if self.super is not None:
            self.super.close()
            self.super = None

    def postgres(self, *commands, quiet=False):
        """Superuser commands in database postgres, each by itself."""
        conn = self.connect("postgres", "postgres")
        try:
            out = []
            for sql in commands:
                try:
                    out.append(conn.query(sql))
                except pgwire.PgError:
                    if not quiet:
                        raise
            return out
        finally:
            conn.close()

    def variables(self, database="w"):
        """psql variables that the cases use."""
        return {"db": database, "sock": self.sock, "port": str(self.port),
                "tmp": self.pair.tmp, "token": self.token,
                "w": "a" if self.pair.same else self.name}

    def psql(self, role, script, database="w", extra=None, timeout=60,
             wait=True):
        """Feed a script to psql; returns its output, or the process."""
        args = [os.path.join(self.pair.bindir, "psql"), "-X", "-h", self.sock,
                "-p", str(self.port), "-U", role, "-d", database]
        args += ["-v", "VERBOSITY=verbose", "-v", "SHOW_CONTEXT=always"]
        for key, value in {**self.variables(database), **(extra or {})}.items():
            args += ["-v", "%s=%s" % (key, value)]
        proc = subprocess.Popen(args, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=self.env, cwd=self.pair.tmp)
        if not wait:
            proc.stdin.write(script.encode())
            proc.stdin.close()
            return proc
        try:
            out, _ = proc.communicate(script.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            proc.kill()
            out, _ = proc.communicate()
            out += b"\nX timed out"
        return out.decode("utf-8", "replace")

    def plain(self, text):
        """Output without what must differ between two servers."""
        text = text.replace(self.sock, "<sock>")
        if self.token:
            text = text.replace(self.token, "<token>")
        text = re.sub(r"(server process with PID|[Pp]rocess|PID) \d+", r"\1 N", text)
        # some 15.x minors keep a log position among the attribute options
        return re.sub(r"pg_attver=\d+", "pg_attver=N", text)

    # -- databases ---------------------------------------------------------

    def load_fixture(self, fixture, warden):
        """Create and fill the template database."""
        self.postgres("CREATE DATABASE t")
        extra = dict(self.values, warden="1" if warden else "0", wdb="w", db="t")
        with open(fixture, encoding="utf-8") as handle:
            out = self.psql("postgres", handle.read(), "t", extra, timeout=180)
        if re.search(r"^(ERROR|FATAL|PANIC|psql:|X timed)", out, re.M):
            raise SystemExit("fixture, world %s:\n%s" % (self.name, out[-3000:]))
        return out

    def fresh(self):
        """Replace the working copy by a new copy of the template."""
        self.close_super()
        conn = self.connect("postgres", "postgres")
        try:
            for sql in ("DROP DATABASE IF EXISTS w WITH (FORCE)",
                        "CREATE DATABASE w TEMPLATE t",
                        "GRANT TEMP, CREATE ON DATABASE w TO agent"):
                for attempt in range(60):
                    try:
                        conn.query(sql)
                        break
                    except pgwire.PgError as err:
                        if err.sqlstate not in ("55006", "42P04") or attempt == 59:
                            raise
                        time.sleep(0.25)
        finally:
            conn.close()

    def settle(self):
        """Wait until nobody but us is connected to the copy."""
        for _ in range(100):
            if int(self.su().query(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'w' AND "
                    "backend_type = 'client backend' AND pid <> pg_backend_pid()"
                    )[0][0]) <= len(self.kept):
                return
            time.sleep(0.01)

    def checksums(self):
        """Hash of every user table (with ctid) and of the user catalogs."""
        self.settle()
        conn = self.su()
        sums = dict((k, v) for k, v in conn.query(CATALOG_QUERY))
        parts = []
        for table, kind in conn.query(TABLES_QUERY):
            if kind == "S":
                parts.append("SELECT %s, (SELECT concat(last_value, is_called) FROM %s)"
                             % (quote(table), table))
            else:
                parts.append(
                    "SELECT %s, (SELECT md5(coalesce(string_agg(ctid::text || t::text,"
                    " ',' ORDER BY ctid), '')) FROM ONLY %s t)" % (quote(table), table))
        if parts:
            sums.update((k, v) for k, v in conn.query(" UNION ALL ".join(parts)))
        return sums

    def changes(self):
        """Number of recorded statements."""
        if not self.pair.warden:
            return 0
        return int(self.su().query("SELECT count(*) FROM warden.change_statements"
                                   )[0][0])

    def new_token(self):
        """A gateway token, issued at top level by a superuser."""
        self.token = self.su().query(
            "SELECT warden.issue_token('redteam', NULL, '1 day')")[0][0]


def quote(text):
    """SQL literal."""
    return "'" + text.replace("'", "''") + "'"


class Pair:
    """The two worlds."""

    def __init__(self, directory, port, bindir, destdir=None, warden=True,
                 same=False, fixture=None, extra_conf=""):
        self.dir = directory
        self.port = port
        self.bindir = bindir
        self.destdir = destdir
        self.warden = warden
        self.same = same
        self.tmp = os.path.join(directory, "tmp")
        self.fixture = fixture or os.path.join(HERE, "cases", "fixture.sql")
        self.extra_conf = extra_conf
        self.worlds = [World("a", VALUES["a"], self),
                       World("b", VALUES["a" if same else "b"], self)]
        self.pool = ThreadPoolExecutor(2)

    def each(self, func):
        """Run a function for both worlds at the same time."""
        return list(self.pool.map(func, self.worlds))

    def stage_settings(self):
        """By which the server finds what is installed below destdir."""
        return subprocess.run(
            ["bash", "-c", '. "$1" && pg_env && stage_conf "$2"', "bash",
             os.path.join(HERE, "..", "..", "tools", "pg-env.sh"), self.destdir],
            check=True, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ,
                     PG_CONFIG=os.path.join(self.bindir, "pg_config"))).stdout

    def create(self):
        """Both servers from one initdb, with the fixture loaded."""
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.tmp)
        os.chmod(self.tmp, 0o777)
        first = self.worlds[0]
        subprocess.run(
            wrapper() + [os.path.join(self.bindir, "initdb"), "-D", first.data, "-N",
                         "-A", "trust", "-U", "postgres", "-E", "UTF8",
                         "--locale=C.UTF-8"],
            check=True, stdout=subprocess.DEVNULL, env=first.env)
        libs = "pg_stat_statements" + (",pg_warden" if self.warden else "")
        with open(os.path.join(first.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            conf.write(SETTINGS)
            if self.destdir:
                conf.write(self.stage_settings())
            conf.write("shared_preload_libraries = '%s'\n" % libs)
            conf.write(self.extra_conf)
        shutil.copytree(first.data, self.worlds[1].data)
        self.each(World.start)
        self.each(lambda w: w.load_fixture(self.fixture, self.warden))
        self.fresh()
        if self.warden:
            self.each(World.new_token)
            # the token has to be known to the template as well
            self.each(self.token_into_template)
            self.fresh()

    @staticmethod
    def token_into_template(world):
        """Issue the token where the copies come from."""
        conn = world.connect("postgres", "t")
        try:
            world.token = conn.query(
                "SELECT warden.issue_token('redteam', NULL, '1 day')")[0][0]
        finally:
            conn.close()

    def fresh(self):
        """A new copy in both worlds, with the OID counters brought together."""
        self.each(World.fresh)
        self.align()

    def align(self):
        """Burn OIDs in the world that is behind."""
        for _ in range(3):
            oids = self.each(lambda w: int(w.postgres(
                "SELECT lo_unlink(o)*0 + o::int8 FROM lo_create(0) o")[0][0][0]))
            if oids[0] == oids[1]:
                return
            behind = self.worlds[0 if oids[0] < oids[1] else 1]
            gap = abs(oids[0] - oids[1])
            if gap > 200000:
                return
            behind.postgres("SELECT count(lo_unlink(lo_create(0))) FROM "
                            "generate_series(1, %d)" % gap)

    def stop(self):
        """Stop both."""
        self.each(World.stop)

    def remove(self):
        """Stop and delete."""
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def revive(self):
        """Servers that have died or restarted come back."""
        for world in self.worlds:
            world.close_super()
            if world.proc.poll() is not None:
                world.start()
            else:
                world.wait_ready()
