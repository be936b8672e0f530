"""Ports for the servers of tests: no two tests are given the same one, in whatever process they run."""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 20000, 32000  # below those that the system itself gives to who asks for any
LEDGER = Path(tempfile.gettempdir()) / f"beamhub-test-ports-{os.getuid()}"  # the port that is looked at next


def free_port() -> int:
    """A port that is free."""
    return free_ports(1)


def free_ports(count: int = 4) -> int:
    """The first of some ports in a row that are free."""
    with LEDGER.open("a+") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_EX)
        ledger.seek(0)
        first = int(ledger.read() or FIRST)
        for _ in range(FIRST, LAST):
            first = first if FIRST <= first <= LAST - count else FIRST
            taken = [port for port in range(first, first + count) if not is_free(port)]
            if not taken:
                ledger.truncate(0)
                ledger.write(str(first + count))
                return first
            first = taken[-1] + 1
    raise RuntimeError(f"no {count} ports in a row are free between {FIRST} and {LAST}")


def is_free(port: int) -> bool:
    """Whether a server may listen there."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
