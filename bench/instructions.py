"""Count the instructions that a backend needs for one transaction.

CPU time on a machine that others use too says little about a few percent.
Instructions, as valgrind's callgrind counts them, are the same everywhere: what
more of them come with more transactions is what one takes, whatever starting a
backend took. The kernel's are not among them, and what the processor could do
in hardware (SHA-256) is counted as the program that stands in for it.
"""

import os
import re
import subprocess
import time

from server import program, run

FEW, MANY = 50, 150        # transactions: the difference is looked at


class Counted:
    """A server whose every process is counted."""

    def __init__(self, server):
        """Take over a server that is running."""
        self.server = server
        self.log = os.path.join(server.directory, "counted")
        self.process = None

    def start(self):
        """Start it again under callgrind; wait until it answers."""
        server = self.server
        run([program("pg_ctl"), "-D", server.data, "-w", "-m", "fast", "stop"])
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["valgrind", "--tool=callgrind", "--callgrind-out-file=" +
                 os.path.join(server.directory, "callgrind.%p"),
                 program("postgres"), "-D", server.data,
                 "-c", "log_connections=on", "-c", "log_line_prefix=%p "],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(600):
            if subprocess.run([program("pg_isready"), "-q", "-h",
                               server.directory], check=False).returncode == 0:
                return
            time.sleep(0.2)
        raise RuntimeError("no server under valgrind: see " + self.log)

    def stop(self):
        """Stop it; start it again as it was."""
        self.process.terminate()
        self.process.wait()
        self.server.start()

    def last_backend(self, role):
        """Return the process id of this role's latest session."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            pids = re.findall(r"^(\d+) LOG:  connection authorized: user=%s "
                              % re.escape(role), log.read(), re.M)
        return pids[-1]

    def session(self, arguments, transactions, role):
        """Return the instructions of one session of so many transactions."""
        output = run([program("pgbench"), "-n", "-c", "1", "-h",
                      self.server.directory, "-U", role, "-t",
                      str(transactions), "--random-seed=1"] + arguments +
                     ["postgres"])
        if "processed: %d/%d" % (transactions, transactions) not in output:
            raise RuntimeError("pgbench failed:\n" + output)
        path = os.path.join(self.server.directory, "callgrind." +
                            self.last_backend(role))
        for _ in range(600):
            if os.path.exists(path):
                with open(path, encoding="utf-8") as profile:
                    totals = re.search(r"^totals: (\d+)", profile.read(), re.M)
                if totals:
                    return int(totals.group(1))
            time.sleep(0.1)
        raise RuntimeError("callgrind wrote nothing to " + path)

    def each(self, arguments, role):
        """Return the instructions of one transaction, all pages cached."""
        self.session(arguments, MANY, role)
        few = self.session(arguments, FEW, role)
        return (self.session(arguments, MANY, role) - few) / (MANY - FEW)


def count(server, cases):
    """Return the instructions by name of (name, pgbench's arguments, role)."""
    counted = Counted(server)
    counted.start()
    try:
        return {name: counted.each(arguments, role)
                for name, arguments, role in cases}
    finally:
        counted.stop()


def against(name, without, having):
    """Make a row of two counts and what the second has above the first."""
    return [name, "%.0f" % without, "%.0f" % having,
            "%+.1f %%" % ((having / without - 1) * 100)]
