"""Throwaway PostgreSQL servers and pgbench runs for the benchmarks."""

import os
import re
import shutil
import subprocess
import tempfile
import time

BINDIR = os.environ["PG_BINDIR"]


def program(name):
    """Return the path of one of PostgreSQL's programs."""
    return os.path.join(BINDIR, name)


def run(args, **kwargs):
    """Run a command to its end; return what it printed."""
    result = subprocess.run(args, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False, **kwargs)
    if result.returncode != 0:
        raise RuntimeError("%s failed:\n%s" % (" ".join(args), result.stdout))
    return result.stdout


class Server:
    """One server, in a directory of its own, reached by socket only."""

    def __init__(self, settings):
        """Make a cluster with these lines added to postgresql.conf."""
        self.directory = tempfile.mkdtemp(prefix="pg_warden-bench.")
        self.data = os.path.join(self.directory, "data")
        run([program("initdb"), "-D", self.data, "-U", "postgres", "-A",
             "trust", "--no-locale", "-E", "UTF8", "-N"])
        with open(os.path.join(self.data, "postgresql.conf"), "a",
                  encoding="utf-8") as conf:
            conf.write("listen_addresses = ''\n"
                       "unix_socket_directories = '%s'\n"
                       "autovacuum = off\n"
                       "shared_buffers = 512MB\n"
                       "max_wal_size = 4GB\n"
                       "max_connections = 120\n" % self.directory)
            conf.write("\n".join(settings) + "\n")

    def start(self):
        """Start it and wait until it answers."""
        run([program("pg_ctl"), "-D", self.data, "-w", "-l",
             os.path.join(self.directory, "log"), "start"])

    def destroy(self):
        """Stop it and remove all it had."""
        subprocess.run([program("pg_ctl"), "-D", self.data, "-m", "immediate",
                        "stop"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def conninfo(self, role="postgres"):
        """Return a connection string for this role."""
        return "host=%s dbname=postgres user=%s" % (self.directory, role)

    def psql(self, sql, role="postgres"):
        """Run SQL; return its unadorned output."""
        return run([program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
                    self.conninfo(role), "-c", sql]).strip()

    def settle(self, pid):
        """Wait until the backends of clients have ended and are reaped."""
        for _ in range(1000):
            titles = []
            with open("/proc/%s/task/%s/children" % (pid, pid),
                      encoding="utf-8") as children:
                for child in children.read().split():
                    try:
                        with open("/proc/%s/cmdline" % child,
                                  encoding="utf-8") as cmdline:
                            titles.append(cmdline.read())
                    except OSError:
                        titles.append("[local]")
            if not any("[local]" in title or not title for title in titles):
                return
            time.sleep(0.01)

    def worker_cpu(self):
        """Return CPU us of the audit worker that runs now, 0 for none."""
        with open(os.path.join(self.data, "postmaster.pid"),
                  encoding="utf-8") as pidfile:
            pid = pidfile.readline().strip()
        with open("/proc/%s/task/%s/children" % (pid, pid),
                  encoding="utf-8") as children:
            pids = children.read().split()
        for child in pids:
            try:
                with open("/proc/%s/cmdline" % child,
                          encoding="utf-8") as cmdline:
                    if "warden audit" not in cmdline.read():
                        continue
                with open("/proc/%s/schedstat" % child,
                          encoding="utf-8") as stat:
                    return int(stat.read().split()[0]) / 1000
            except OSError:
                continue
        return 0

    def reaped_cpu(self):
        """Return CPU seconds that all backends that have ended used."""
        with open(os.path.join(self.data, "postmaster.pid"),
                  encoding="utf-8") as pidfile:
            pid = pidfile.readline().strip()
        self.settle(pid)
        with open("/proc/%s/stat" % pid, encoding="utf-8") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def pgbench(self, args, seconds, role="postgres"):
        """Run pgbench for some seconds, or as the arguments say if that is
        0; return (transactions per second, CPU us each)."""
        limit = ["-T", str(seconds)] if seconds else []
        before = self.reaped_cpu()
        output = run([program("pgbench"), "-n", "-h", self.directory, "-U",
                      role] + limit + args + ["postgres"])
        cpu = self.reaped_cpu() - before
        number = int(re.search(r"actually processed: (\d+)", output).group(1))
        rate = float(re.search(r"tps = ([0-9.]+)", output).group(1))
        if number == 0:
            raise RuntimeError("pgbench did nothing:\n" + output)
        return rate, cpu / number * 1e6
