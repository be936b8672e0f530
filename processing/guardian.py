"""The parent of the process that runs users' functions: when it must end, everything that it started ends too.

Light to import, and started as a program: ``python -P -m beamhub.processing.guardian CHANNEL LIFELINE WORDS``.
The guardian forks the runner at once, while it is small. It then waits for one of two things: the lifeline
(a pipe held by the worker alone) closes, since the worker died or wants an end; or the runner ends by itself.
As a child subreaper it inherits whatever the runner leaves behind, also programs in sessions of their own.
"""

import contextlib
import os
import select
import signal
import socket
import sys

from beamhub.processing.prctl import adopt_orphans, die_with_parent


def end_children(watched: int = 0) -> int:
    """Kill every process below this one, and wait for them.

    Returns:
        The exit status of ``watched`` as ``os.waitstatus_to_exitcode`` gives it, or 0.
    """
    code = 0
    while True:
        for pid in children():
            with contextlib.suppress(ProcessLookupError):  # somebody else waited for it
                os.kill(pid, signal.SIGKILL)
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return code
        if pid == watched:
            code = os.waitstatus_to_exitcode(status)


def children() -> list[int]:
    """Direct children, of whichever thread; grandchildren become direct ones when their parent has ended."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as listing:
                found += map(int, listing.read().split())
        except FileNotFoundError:  # the thread has just ended
            continue
    return found


def _run(channel: int, words: int, guardian: int) -> None:
    """Be the runner: a process group of its own, that dies with its guardian."""
    os.setpgid(0, 0)
    die_with_parent(signal.SIGKILL)
    adopt_orphans()
    if os.getppid() != guardian:
        os._exit(1)
    from beamhub.processing.child import serve

    serve(socket.socket(fileno=channel), words)
    os._exit(0)


def main() -> None:
    channel, lifeline, words = map(int, sys.argv[1:4])
    guardian = os.getpid()
    adopt_orphans()
    runner = os.fork()
    if runner == 0:
        os.close(lifeline)
        _run(channel, words, guardian)
    os.close(channel)
    os.close(words)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    waiting = select.poll()
    waiting.register(lifeline, select.POLLIN)
    waiting.register(os.pidfd_open(runner), select.POLLIN)
    waiting.poll()
    code = end_children(runner)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
