"""A parent that starts the service again within a second, and dies with the Hub that started it."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # prctl(2)
AGAIN_S = 0.5  # before the service is started again
LASTED_S = 30.0  # a service that ran as long failed anew, not again
WAITS_S = (0.5, 1.0, 5.0, 30.0)  # after failures in a row
MISTAKE = 2  # exit code: what is written in the configuration must be mended first


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send a signal when the process that started this one ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def supervise(arguments: Sequence[str]) -> int:
    """Run ``beamhub processing`` as a child, and again whenever it ends by itself; its code when it was told to end.

    Args:
        arguments: of the sub-command, without ``--supervise``.
    """
    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent:
        return 0
    ended = False

    def end(number: int, _frame: object) -> None:
        nonlocal ended
        ended = True
        child.send_signal(number)

    failures = 0
    while True:
        begin = time.monotonic()
        child = subprocess.Popen([sys.executable, "-m", "beamhub.config.command", "processing", *arguments])
        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        code = child.wait()
        if ended or code == MISTAKE:
            return code if code >= 0 else 0
        failures = 0 if time.monotonic() - begin > LASTED_S else failures + 1
        wait = AGAIN_S if failures == 0 else WAITS_S[min(failures, len(WAITS_S)) - 1]
        sys.stderr.write(f"beamhub processing ended with code {code}; starting it again in {wait:g} s\n")
        time.sleep(wait)
