#!/usr/bin/env python3
"""cluster.py start|stop|down|up|restart DIRECTORY

A throwaway PostgreSQL with the extension, the roles, tables and tokens that
the end-to-end tests use.  start writes env.json beside the data.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
AS_POSTGRES = [str(TOP / "tools" / "as-postgres")]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def shell(script):
    return run("bash", "-c", f". tools/pg-env.sh && pg_env && {script}",
               cwd=TOP)


def stage(directory):
    """Settings under which a server finds the extension."""
    given = os.environ.get("WARDEN_STAGE_CONF")
    if given and pathlib.Path(given).exists():
        return pathlib.Path(given).read_text()
    run("make", "--no-print-directory", "-f", "extension/pgxs.mk", "install",
        f"DESTDIR={directory}/stage", cwd=TOP)
    return shell(f"stage_conf '{directory}/stage'")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pg_ctl(directory, *args):
    env = json.loads((directory / "env.json").read_text())
    run(*AS_POSTGRES, f"{env['bindir']}/pg_ctl", "-D", directory / "data",
        "-l", directory / "postgres.log", "-w", "-t", "60", *args)


def start(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    bindir = shell("echo $PG_BINDIR").strip()
    port = free_port()
    env = {"bindir": bindir, "host": "127.0.0.1", "port": port,
           "dbname": "shop", "dir": str(directory)}
    (directory / "env.json").write_text(json.dumps(env))
    conf = stage(directory)
    run(*AS_POSTGRES, f"{bindir}/initdb", "-D", directory / "data", "-A",
        "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8")
    with (directory / "data" / "postgresql.conf").open("a") as out:
        out.write(f"{conf}\nport = {port}\nlisten_addresses = '127.0.0.1'\n"
                  "unix_socket_directories = ''\nfsync = off\n"
                  "max_worker_processes = 16\nmax_connections = 60\n"
                  "shared_buffers = '32MB'\n")
    pg_ctl(directory, "start")
    psql = [f"{bindir}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h",
            "127.0.0.1", "-p", str(port), "-U", "postgres"]
    run(*psql, "-d", "postgres", "-c", "CREATE DATABASE shop",
        "-c", "CREATE DATABASE annex")
    tokens = run(*psql, "-d", "shop", "-f", HERE / "fixture.sql").split()
    run(*psql, "-d", "annex", "-c", "CREATE EXTENSION pg_warden")
    env.update(zip(["token", "other_token", "unbound_token"], tokens[-3:]))
    (directory / "env.json").write_text(json.dumps(env))


def standby(primary, folder, **settings):
    """Starts a streaming standby in the folder of the server that primary, an
    env.json, describes; its port.  "a__b" in settings stands for "a.b"."""
    port = free_port()
    shutil.rmtree(folder, ignore_errors=True)
    run(*AS_POSTGRES, f"{primary['bindir']}/pg_basebackup", "-D", folder, "-R",
        "-c", "fast", "-d", f"host={primary['host']} port={primary['port']} "
        "user=postgres")
    with (folder / "postgresql.conf").open("a") as out:
        out.write(f"port = {port}\n")
        for name, value in settings.items():
            out.write(f"{name.replace('__', '.')} = '{value}'\n")
    server(primary, folder, "start")
    return port


def server(env, data, *args):
    """pg_ctl on a data directory."""
    run(*AS_POSTGRES, f"{env['bindir']}/pg_ctl", "-D", data, "-l",
        f"{data}.log", "-w", "-t", "60", *args)


def main():
    action, directory = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    if action == "start":
        start(directory)
    elif action == "stop":
        pg_ctl(directory, "stop", "-m", "immediate")
    elif action == "down":
        pg_ctl(directory, "stop", "-m", "fast")
    elif action == "up":
        pg_ctl(directory, "start")
    elif action == "restart":
        pg_ctl(directory, "restart", "-m", "fast")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
