"""A parent that starts the service again within a second, and dies with the Hub that started it."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # prctl(2)
LASTED_S = 30.0  # a service that ran as long failed anew, not again
WAITS_S = (0.5, 1.0, 5.0, 30.0)  # before it is started again, after failures in a row
MISTAKE = 2  # exit code: what is written in the configuration must be mended first


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send a signal when the process that started this one ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def supervise(arguments: Sequence[str]) -> int:
    """Run ``beamhub processing`` as a child, and again whenever it ends by itself.

    Args:
        arguments: of the sub-command, without ``--supervise``.

    Returns:
        Its exit code when it was told to end, or when it said that something must be mended first.
    """
    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent:
        return 0
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    failures = 0
    while True:
        begin = time.monotonic()
        code = _run([sys.executable, "-m", "beamhub.config.command", "processing", *arguments], told)
        if told.is_set() or code == MISTAKE:
            return max(code, 0)
        failures = 1 if time.monotonic() - begin > LASTED_S else failures + 1
        wait = WAITS_S[min(failures, len(WAITS_S)) - 1]
        sys.stderr.write(f"beamhub processing ended with code {code}; starting it again in {wait:g} s\n")
        if told.wait(wait):
            return 0


def _run(command: Sequence[str], told: threading.Event) -> int:
    """Run a child to its end, which it is asked for once this process is told; its exit code."""
    child = subprocess.Popen(command, preexec_fn=die_with_parent)  # this process has no threads
    while True:
        try:
            return child.wait(0.1)
        except subprocess.TimeoutExpired:
            if told.is_set():
                child.terminate()
                return child.wait()
