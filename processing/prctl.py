"""What a process says of itself to the kernel, by prctl(2). Standard library only: the guardian is started with it."""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1  # linux/prctl.h, these three
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int) -> None:
    """Set a property of this process.

    Raises:
        OSError: the kernel refuses.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send a signal when the process that started this one ends, however it ends."""
    prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of whatever is left behind below this process."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Keep other processes of this account from this one's memory and from the environment it was started with."""
    prctl(PR_SET_DUMPABLE, 0)
