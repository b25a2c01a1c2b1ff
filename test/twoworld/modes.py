"""The other roads to the same read.

Each mode sends one SELECT of a case through other code of the server and
returns the transcript. A mode is (name, function(road) -> Transcript or None);
None means that the statement does not fit the road.
"""

import os
import re

import pgwire

PARALLEL = {"force_parallel_mode": "on", "parallel_setup_cost": "0",
            "parallel_tuple_cost": "0", "min_parallel_table_scan_size": "0",
            "min_parallel_index_scan_size": "0",
            "max_parallel_workers_per_gather": "1"}
JIT = {"jit": "on", "jit_above_cost": "0", "jit_optimize_above_cost": "0",
       "jit_inline_above_cost": "0" if os.environ.get("WARDEN_FULL") else "-1"}
GENERIC = {"plan_cache_mode": "force_generic_plan"}
NOPLANS = {"enable_hashjoin": "off", "enable_seqscan": "off",
           "enable_hashagg": "off", "enable_material": "off"}
CONFIGS = {"parallel": PARALLEL, "jit": JIT, "generic": GENERIC,
           "noseq": NOPLANS}


OBJECTS = [("MATERIALIZED VIEW IF EXISTS", ["tw_mv"]),
           ("VIEW", ["tw_v", "tw_vinv", "tw_vsb", "tw_vv"]),
           ("FUNCTION", ["tw_scalar", "tw_ascalar"])]


class Road:
    """What a mode may use: one statement in one world."""

    def __init__(self, world, settings, stmt):
        self.world = world
        self.settings = settings
        self.stmt = stmt
        self.made = set()
        self.config = None
        self.used = []          # keys of the sessions that the mode used
        self.used_names = False

    # -- objects that an owner made ---------------------------------------

    def build(self):
        """Views and functions over the statement, owned by app_owner."""
        conn = self.world.su()
        columns = conn.describe(self.stmt)
        if not columns:
            return
        names = ", ".join("c%d" % (i + 1) for i in range(len(columns)))
        body = self.stmt
        if re.match(r"(values|table|with|\()", body, re.I):
            body = "SELECT * FROM (%s) tw_q" % body
        ddl = [
            ("tw_v", "CREATE VIEW tw_v(%s) AS %s" % (names, self.stmt)),
            ("tw_vinv", "CREATE VIEW tw_vinv(%s) WITH (security_invoker=true) AS %s"
             % (names, self.stmt)),
            ("tw_vsb", "CREATE VIEW tw_vsb(%s) WITH (security_barrier=true) AS %s"
             % (names, self.stmt)),
            ("tw_sql", "CREATE FUNCTION tw_sql() RETURNS SETOF tw_v LANGUAGE sql "
             "STABLE AS $tw$%s$tw$" % body),
            ("tw_atomic", "CREATE FUNCTION tw_atomic() RETURNS SETOF tw_v LANGUAGE "
             "sql STABLE BEGIN ATOMIC %s; END" % body),
            ("tw_vol", "CREATE FUNCTION tw_vol() RETURNS SETOF tw_v LANGUAGE sql "
             "VOLATILE AS $tw$%s$tw$" % body),
            ("tw_def", "CREATE FUNCTION tw_def() RETURNS SETOF tw_v LANGUAGE sql "
             "STABLE SECURITY DEFINER SET search_path = public AS $tw$%s$tw$" % body),
            ("tw_scalar", "CREATE FUNCTION tw_scalar() RETURNS text[] LANGUAGE sql "
             "STABLE AS $tw$SELECT array_agg(q::text) FROM (%s) q$tw$" % body),
            ("tw_ascalar", "CREATE FUNCTION tw_ascalar() RETURNS text[] LANGUAGE sql "
             "STABLE BEGIN ATOMIC SELECT array_agg(q::text) FROM (%s) q; END" % body),
            ("tw_pl", "CREATE FUNCTION tw_pl() RETURNS SETOF tw_v LANGUAGE plpgsql "
             "STABLE AS $tw$BEGIN RETURN QUERY %s; END$tw$" % body),
            ("tw_pldef", "CREATE FUNCTION tw_pldef() RETURNS SETOF tw_v LANGUAGE "
             "plpgsql SECURITY DEFINER AS $tw$BEGIN RETURN QUERY %s; END$tw$" % body),
            ("tw_vv", "CREATE VIEW tw_vv AS SELECT q.* FROM tw_v q, "
             "LATERAL (SELECT 1) s"),
            ("tw_mv", "CREATE MATERIALIZED VIEW tw_mv AS SELECT * FROM tw_v"),
        ]
        wanted = [(name, sql) for name, sql in ddl if name == "tw_v"]
        wanted += [(name, sql) for name, sql in ddl if name != "tw_v"]
        answers = conn.batch(["SET ROLE app_owner"] + [sql for _, sql in wanted])
        self.made = {name for (name, _), tr in zip(wanted, answers[1:])
                     if not tr.states}
        readable = [name for name in ("tw_v", "tw_vinv", "tw_vsb", "tw_vv", "tw_mv")
                    if name in self.made]
        if readable:
            conn.query("GRANT SELECT ON %s TO agent" % ", ".join(readable))
        conn.query("RESET ROLE")

    def drop(self):
        """Remove the objects again."""
        kinds = [(kind, [name for name in names if name in self.made])
                 for kind, names in OBJECTS]
        self.world.su().batch(["DROP %s %s CASCADE" % (kind, ", ".join(names))
                               for kind, names in kinds if names])
        self.made.clear()

    # -- sessions -----------------------------------------------------------

    def agent(self, role="agent"):
        """A session of the role under the configuration. It is kept for other
        statements, since plans of theirs must not matter either, but where
        the case has settings of its own."""
        key = (role, self.config, bool(self.settings))
        self.used.append(key)
        conn = self.world.kept.get(key)
        if conn is None:
            conn = self.world.connect(role)
            self.world.kept[key] = conn
            for setting in self.settings:
                conn.simple(setting)
        return conn

    def tidy(self, tr):
        """Make the sessions that a mode used fit for the next one."""
        for key in self.used:
            conn = self.world.kept.get(key)
            if conn is None:
                continue
            if tr is None or tr.lost or conn.status != "I":
                self.world.forget(key)
            elif key[0] == "pooler":
                run_list(conn, "RESET ROLE", "DISCARD ALL")
            elif self.used_names:
                conn.simple("DEALLOCATE ALL")
        self.used.clear()
        self.used_names = False

    def finish(self):
        """Close what has settings of this statement alone."""
        for key in list(self.world.kept):
            if key[2]:
                self.world.forget(key)


def run_list(conn, *statements):
    """Several simple queries in one transcript."""
    tr = pgwire.Transcript()
    for sql in statements:
        conn.simple(sql, tr)
        if tr.lost:
            break
    return tr


def dollar(stmt):
    """The statement as a dollar-quoted literal."""
    return "$tw1$" + stmt + "$tw1$"


def made(name, sql):
    """A mode that reads an object which must have been made."""
    def run(road):
        if name not in road.made:
            return None
        return road.agent().simple(sql)
    return run


def extended(road):
    """Parse, Bind, Execute with binary results."""
    return road.agent().extended(road.stmt)


def portal(road):
    """A portal that is suspended after one row, then run to its end."""
    return road.agent().extended(road.stmt, binary=False, chunk=1)


def prepared(road):
    """PREPARE and EXECUTE."""
    road.used_names = True
    return run_list(road.agent(), "PREPARE tw AS " + road.stmt, "EXECUTE tw",
                    "EXECUTE tw")


def many(road):
    """EXECUTE often enough for the plan cache to decide."""
    road.used_names = True
    return run_list(road.agent(), "PREPARE tw(int) AS " + road.stmt,
                    *["EXECUTE tw(%d)" % i for i in range(7)])


def pooled(road):
    """Prepared and run unmasked, then run again after SET ROLE."""
    conn = road.agent("pooler")
    if run_list(conn, "SET ROLE app_owner", "PREPARE tw AS " + road.stmt,
                "EXECUTE tw", "SET ROLE agent").states:
        return None
    return conn.simple("EXECUTE tw")


def pooled_generic(road):
    """The same with a generic plan that is kept."""
    conn = road.agent("pooler")
    if run_list(conn, "SET plan_cache_mode = force_generic_plan",
                "SET ROLE app_owner", "PREPARE tw AS " + road.stmt, "EXECUTE tw",
                "SET ROLE agent").states:
        return None
    return conn.simple("EXECUTE tw")


def pooled_cursor(road):
    """A cursor opened unmasked and fetched after SET ROLE."""
    conn = road.agent("pooler")
    if run_list(conn, "SET ROLE app_owner", "BEGIN", "DECLARE tw CURSOR FOR "
                + road.stmt, "SET ROLE agent").states:
        return None
    return run_list(conn, "FETCH ALL FROM tw", "COMMIT")


def pooled_hold(road):
    """A cursor held by the owner and fetched after SET ROLE."""
    conn = road.agent("pooler")
    if run_list(conn, "SET ROLE app_owner", "BEGIN", "DECLARE tw CURSOR WITH HOLD "
                "FOR " + road.stmt, "COMMIT", "SET ROLE agent").states:
        return None
    return conn.simple("FETCH ALL FROM tw")


def pooled_function(road):
    """A plpgsql function's plan made as the owner, used as the agent."""
    if "tw_pl" not in road.made:
        return None
    conn = road.agent("pooler")
    if run_list(conn, "SET ROLE app_owner", "SELECT * FROM tw_pl()",
                "SET ROLE agent").states:
        return None
    return conn.simple("SELECT * FROM tw_pl()")


def cursor(road):
    """DECLARE and FETCH."""
    return run_list(road.agent(), "BEGIN", "DECLARE tw CURSOR FOR " + road.stmt,
                    "FETCH 1 FROM tw", "FETCH ALL FROM tw", "COMMIT")


def scroll(road):
    """A scroll cursor, backwards too."""
    return run_list(road.agent(), "BEGIN", "DECLARE tw BINARY SCROLL CURSOR FOR "
                    + road.stmt, "MOVE LAST FROM tw", "FETCH BACKWARD ALL FROM tw",
                    "FETCH FIRST FROM tw", "COMMIT")


def hold(road):
    """A held cursor after its transaction."""
    return run_list(road.agent(), "BEGIN", "DECLARE tw CURSOR WITH HOLD FOR "
                    + road.stmt, "COMMIT", "FETCH ALL FROM tw", "CLOSE tw")


def do_block(road):
    """A loop over the static statement in a DO block."""
    return road.agent().simple(
        "DO $tw$ DECLARE r record; BEGIN FOR r IN %s LOOP RAISE NOTICE '%%', r; "
        "END LOOP; END $tw$" % road.stmt)


def do_execute(road):
    """A loop over EXECUTE in a DO block."""
    return road.agent().simple(
        "DO $tw$ DECLARE r record; BEGIN FOR r IN EXECUTE %s LOOP RAISE NOTICE "
        "'%%', r; END LOOP; END $tw$" % dollar(road.stmt))


def dynamic(road):
    """An owner's function that executes what it is given."""
    return road.agent().simple("SELECT f_dyn(%s)" % dollar(
        "SELECT q::text FROM (%s) q" % road.stmt))


def definer_dynamic(road):
    """The same, SECURITY DEFINER."""
    return road.agent().simple("SELECT f_defdyn(%s)" % dollar(
        "SELECT q::text FROM (%s) q" % road.stmt))


def fastpath(road):
    """A protocol-level call of a function that reads."""
    if "tw_scalar" not in road.made:
        return None
    oid = road.world.su().query("SELECT 'tw_scalar'::regproc::oid")[0][0]
    return road.agent().fastpath(int(oid), [])


def copy_out(road):
    """COPY (query) TO STDOUT."""
    return road.agent().simple("COPY (%s) TO STDOUT" % road.stmt)


def copy_binary(road):
    """COPY (query) TO STDOUT in binary."""
    return road.agent().simple("COPY (%s) TO STDOUT (FORMAT binary)" % road.stmt)


def explain(road):
    """The plan, with estimates."""
    return road.agent().simple("EXPLAIN (VERBOSE) " + road.stmt)


def analyze(road):
    """The plan with actual row counts."""
    return road.agent().simple(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) " + road.stmt)


def xml(road):
    """A C function that runs SQL itself."""
    return road.agent().simple("SELECT query_to_xml(%s, true, false, '')"
                               % dollar(road.stmt))


def gateway(road):
    """The statement as the shim sends it, between enter and leave."""
    if not road.world.pair.warden or road.settings:
        return None
    conn = road.agent("shim")
    tr = pgwire.Transcript()
    conn.simple("BEGIN", tr)
    conn.extended("SELECT warden.enter($1, $2, $3::jsonb, $4)",
                  [road.world.token, "alice", "{}", "tw-key"], binary=False,
                  transcript=tr)
    conn.extended(road.stmt, binary=True, transcript=tr)
    conn.extended("SELECT warden.leave($1)", ["tw-key"], binary=False,
                  transcript=tr)
    conn.simple("COMMIT", tr)
    return tr


def pipeline(road):
    """The same as one pipeline with one Sync."""
    if not road.world.pair.warden or road.settings:
        return None
    conn = road.agent("shim")
    conn.extended("BEGIN", binary=False, sync=False)
    conn.extended("SELECT warden.enter($1, $2, $3::jsonb, $4)",
                  [road.world.token, "alice", "{}", "tw-key"], binary=False,
                  sync=False)
    conn.extended(road.stmt, binary=False, sync=False)
    conn.extended("SELECT warden.leave($1)", ["tw-key"], binary=False, sync=False)
    conn.extended("COMMIT", binary=False, sync=False)
    tr = conn.sync()
    if not tr.lost:
        conn.simple("ROLLBACK", tr)
    return tr


# Roads on which a refusal is the expected or an allowed answer even where the
# plain statement has to run.
# Roads on which the owner's own data decide whether there is anything to send
OWNERS = {"pooled", "pooledgen", "pooledcur", "pooledhold", "pooledfn", "matview"}

MAY_REFUSE = {"pooled", "pooledgen", "pooledcur", "pooledhold", "pooledfn",
              "fastpath", "matview", "defdyn", "dyn", "xml", "pldef", "def"}

PLAIN = [
    ("ext", extended), ("portal", portal), ("prepared", prepared), ("many", many),
    ("pooled", pooled), ("pooledgen", pooled_generic),
    ("pooledcur", pooled_cursor), ("pooledhold", pooled_hold),
    ("pooledfn", pooled_function),
    ("cursor", cursor), ("scroll", scroll), ("hold", hold),
    ("do", do_block), ("doexec", do_execute), ("dyn", dynamic),
    ("defdyn", definer_dynamic),
    ("view", made("tw_v", "SELECT * FROM tw_v")),
    ("viewinv", made("tw_vinv", "SELECT * FROM tw_vinv")),
    ("viewsb", made("tw_vsb", "SELECT * FROM tw_vsb")),
    ("viewview", made("tw_vv", "SELECT * FROM tw_vv q WHERE q IS NOT NULL")),
    ("matview", made("tw_mv", "SELECT * FROM tw_mv")),
    ("sql", made("tw_sql", "SELECT * FROM tw_sql()")),
    ("sqllist", made("tw_sql", "SELECT (tw_sql()).*")),
    ("atomic", made("tw_atomic", "SELECT * FROM tw_atomic() a WHERE true")),
    ("volatile", made("tw_vol", "SELECT * FROM tw_vol()")),
    ("def", made("tw_def", "SELECT * FROM tw_def()")),
    ("scalar", made("tw_scalar", "SELECT tw_scalar()")),
    ("ascalar", made("tw_ascalar", "SELECT tw_ascalar()")),
    ("plpgsql", made("tw_pl", "SELECT * FROM tw_pl()")),
    ("pldef", made("tw_pldef", "SELECT * FROM tw_pldef()")),
    ("fastpath", fastpath), ("copy", copy_out), ("copybin", copy_binary),
    ("explain", explain), ("analyze", analyze), ("xml", xml),
    ("gateway", gateway), ("pipeline", pipeline),
]
# Under a configuration that a superuser set for the role
CONFIGURED = {
    "parallel": [("ext", extended), ("dyn", dynamic), ("cursor", cursor),
                 ("view", made("tw_v", "SELECT * FROM tw_v")),
                 ("sql", made("tw_sql", "SELECT * FROM tw_sql()")),
                 ("plpgsql", made("tw_pl", "SELECT * FROM tw_pl()")),
                 ("gateway", gateway)],
    "jit": [("ext", extended)],
    "generic": [("prepared", prepared), ("plpgsql", made(
        "tw_pl", "SELECT * FROM tw_pl()")), ("ext", extended)],
    "noseq": [("ext", extended), ("explain", explain)],
}


def names():
    """Every mode."""
    out = ["psql"] + [name for name, _ in PLAIN]
    for config, entries in CONFIGURED.items():
        out += ["%s-%s" % (config, name) for name, _ in entries]
    return out


def chosen(wanted):
    """(config or None, name, function) of the wanted modes."""
    out = []
    for name, func in PLAIN:
        if name in wanted:
            out.append((None, name, func))
    for config, entries in CONFIGURED.items():
        for name, func in entries:
            full = "%s-%s" % (config, name)
            if full in wanted or config in wanted:
                out.append((config, full, func))
    return out


def with_config(world, config, func):
    """Runs func while sessions that begin get a configuration."""
    settings = dict(CONFIGS[config])
    if world.version >= 160000 and "force_parallel_mode" in settings:
        settings["debug_parallel_query"] = settings.pop("force_parallel_mode")
    roles = ("agent", "shim")
    world.su().query("; ".join("ALTER ROLE %s IN DATABASE w SET %s = '%s'"
                               % ((role,) + item)
                               for role in roles for item in settings.items()))
    try:
        return func()
    finally:
        world.su().query("; ".join("ALTER ROLE %s IN DATABASE w RESET %s"
                                   % (role, name)
                                   for role in roles for name in settings))


def open_sessions(world, wanted):
    """Sessions under each configuration, which is taken back at once."""
    for config in CONFIGS:
        names = [name for conf, name, _ in wanted if conf == config]
        roles = ["agent"] if names else []
        if world.pair.warden and any(name.endswith("-gateway") for name in names):
            roles.append("shim")
        missing = [role for role in roles
                   if (role, config, False) not in world.kept]
        if missing:
            conns = with_config(world, config, lambda: [
                world.connect(role) for role in missing])
            for role, conn in zip(missing, conns):
                world.kept[(role, config, False)] = conn


def run_modes(world, settings, stmt, wanted):
    """All wanted modes of one statement in one world: name -> Transcript."""
    road = Road(world, settings, stmt)
    out = {}
    road.build()
    open_sessions(world, wanted)
    for config, name, func in wanted:
        road.config = config
        try:
            if settings and config:
                out[name] = with_config(world, config, lambda: func(road))
            else:
                out[name] = func(road)
        except pgwire.PgError as err:
            tr = pgwire.Transcript()
            tr.states.append(err.sqlstate)
            tr.lines.append("E " + str(err))
            out[name] = tr
        except (OSError, pgwire.ConnectionLost) as err:
            tr = pgwire.Transcript()
            tr.lost = True
            tr.lines.append("X " + str(err))
            out[name] = tr
        road.tidy(out[name])
        if out[name] is not None and out[name].lost:
            break
    road.finish()
    road.drop()
    return out
