"""A parent that starts the service again within a second, and dies with the Hub that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from beamhub.processing.prctl import die_with_parent, hide_memory

END_WITHIN_S = 20.0  # from being told until the service is killed; it gives itself less
LASTED_S = 30.0  # a service that ran as long failed anew, not again
WAITS_S = (0.5, 1.0, 5.0, 30.0)  # before it is started again, after failures in a row
MISTAKE = 2  # exit code: what is written in the configuration must be mended first


def supervise(arguments: Sequence[str]) -> int:
    """Run ``beamhub processing`` as a child, and again whenever it ends by itself.

    Args:
        arguments: of the sub-command, without ``--supervise``.

    Returns:
        Its exit code when it was told to end, or when it said that something must be mended first.
    """
    parent = os.getppid()
    die_with_parent()
    hide_memory()
    if os.getppid() != parent:
        return 0
    told: list[int] = []  # no lock: a signal may come while another one is being heard
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    failures = 0
    while True:
        begin = time.monotonic()
        code = _run([sys.executable, "-m", "beamhub.config.command", "processing", *arguments], told)
        if told or code == MISTAKE:
            return max(code, 0)
        failures = 1 if time.monotonic() - begin > LASTED_S else failures + 1
        wait = WAITS_S[min(failures, len(WAITS_S)) - 1]
        sys.stderr.write(f"beamhub processing ended with code {code}; starting it again in {wait:g} s\n")
        if _told_within(wait, told):
            return 0


def _told_within(seconds: float, told: list[int]) -> bool:
    """Wait so long, or until this process is told to end; whether it was."""
    until = time.monotonic() + seconds
    while not told and time.monotonic() < until:
        time.sleep(min(0.1, max(0.0, until - time.monotonic())))
    return bool(told)


def _run(command: Sequence[str], told: list[int]) -> int:
    """Run a child to its end, which it is asked for once this process is told, and not for ever; its exit code."""
    child = subprocess.Popen(command, preexec_fn=die_with_parent)  # this process has no threads
    while not told:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(0.1)
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(END_WITHIN_S)
    sys.stderr.write(f"beamhub processing did not end within {END_WITHIN_S:g} s and is killed\n")
    child.kill()
    return child.wait()
