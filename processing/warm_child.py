"""The child process that a worker keeps warm: it has one version of the functions imported, and runs them one by one.

Seen from the worker. Whatever happens in the child, an answer comes back: its own, or what the worker saw of its end.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beamhub.processing.guardian import children
from beamhub.processing.last_words import TIME_IS_OVER, LastWords, own_lines
from beamhub.processing.wire import LAST, End, read_end, task_text
from beamhub.processing.work import Failure, Task

LOG_TAIL = 16 * 1024  # bytes of output that are kept of a run
LARGEST_ANSWER = 4 * 1024**2  # bytes; an outcome has kilobytes
LOAD_TIMEOUT_S = 120.0  # first import of a module and its libraries, on a busy machine
CHUNKS = 16  # of output that are taken at once: a function that only prints must not keep its worker from the clock
LATE_S = 2.0  # more than its time, for a process that ends itself at its time, having said where it was
NOTICE_S = 1.0  # at least, for a guardian to notice that what it guards has ended
END_TIMEOUT_S = 1.0  # for a guardian to end everything below it
FROM_OUTSIDE = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "TZ")


class WarmChild:
    """Runs tasks in a child; the child is replaced after it died, and when another version is asked for.

    ``run`` is called from one thread at a time, ``cancel`` and ``close`` from any.

    Args:
        adopts: this process is the parent of whatever a guardian leaves behind, should it be killed, and ends it.
    """

    def __init__(self, *, adopts: bool = False) -> None:
        self._adopts = adopts
        self._process: _Process | None = None
        self._digest = ""
        self._run: int | None = None
        self._cancelled = False  # that run
        self._lock = threading.Lock()

    def run(self, task: Task) -> End:
        """Run one task to its end, at most ``task.timeout_s`` long."""
        with self._lock:
            self._run, self._cancelled = task.run, False
        try:
            process = self._child_for(task)
            if isinstance(process, Failure):
                return process
            answer = process.ask({"do": "run", "task": task_text(task)}, task.timeout_s + LATE_S)
        finally:
            with self._lock:
                self._run = None
        if answer.text is None:
            self._drop()
            return replace(
                _failure_for(answer, task.timeout_s), traceback=own_lines(answer.words, task.module_copy.parent)
            )
        if answer.is_last:
            self._drop()
        return _end_of(answer)

    def describe(self, copy: Path, digest: str) -> dict[str, Any]:
        """Ask a fresh child what the modules of a copy offer; see ``loading.describe``.

        Raises:
            RuntimeError: the child ended on the way; the message says how, with the end of its output.
        """
        self._drop()
        self._process = _Process(adopts=self._adopts)
        answer = self._process.ask({"do": "describe", "copy": str(copy), "digest": digest}, LOAD_TIMEOUT_S)
        self._drop()
        if answer.text is None:
            failure = _failure_for(answer, LOAD_TIMEOUT_S)
            raise RuntimeError(f"{failure.message} {answer.log[-1000:]}".strip())
        found: dict[str, Any] = json.loads(answer.text)
        return found

    def cancel(self, run: int) -> bool:
        """End the child if it is executing this run, or is being made for it; true if so."""
        with self._lock:
            if self._run != run:
                return False
            self._cancelled, process = True, self._process
            if process is not None:
                process.let_go(cancelled=True)
        if process is not None:
            process.end()
        return True

    def close(self) -> None:
        """End the child and everything that it started."""
        self._drop()

    def _child_for(self, task: Task) -> "_Process | Failure":
        """The child with this task's module imported, whose time is not the function's."""
        process = self._process
        if process is None or self._digest != task.digest or not process.is_usable():
            self._drop()
            process = _Process(adopts=self._adopts)
        with self._lock:
            self._process, self._digest = process, task.digest
            if self._cancelled:
                process.let_go(cancelled=True)
        if task.module_copy in process.loaded:
            return process
        request = {"do": "load", "copy": str(task.module_copy), "digest": task.digest}
        answer = process.ask(request, LOAD_TIMEOUT_S)
        if answer.text == "null":
            process.loaded.add(task.module_copy)
            return process
        self._drop()
        return _failure_for(answer, LOAD_TIMEOUT_S) if answer.text is None else _failed_load(answer)

    def _drop(self) -> None:
        with self._lock:
            process, self._process, self._digest = self._process, None, ""
        if process is not None:
            process.close()


class _Answer:
    """What came back: the text, or None and why not; the end of what was printed; the process's last words."""

    def __init__(self, text: str | None, why: str, log: str, words: str = "") -> None:
        self.text, self.why, self.log, self.words = text, why, log, words
        self.is_last = False  # the process is to be replaced


class _Process:
    """One guardian with its runner, the channel to it, its output, and the lifeline whose closing ends it."""

    def __init__(self, *, adopts: bool) -> None:
        self._before = set(children()) if adopts else None
        self._channel, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._output, output = os.pipe()
        self._words = LastWords()
        command = [
            sys.executable,
            "-P",
            "-m",
            "beamhub.processing.guardian",
            str(theirs.fileno()),
            str(lifeline),
            str(self._words.handle),
        ]
        try:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment(os.environ),
                pass_fds=(theirs.fileno(), lifeline, self._words.handle),
                start_new_session=True,
            )
        except OSError:
            self._channel.close()
            os.close(self._lifeline)
            os.close(self._output)
            self._words.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
            os.close(output)
        self._gone = os.pidfd_open(self._popen.pid)
        self._lock = threading.Lock()
        self._cancelled = False
        self._log = b""
        self.loaded: set[Path] = set()
        os.set_blocking(self._output, False)

    def is_usable(self) -> bool:
        return self._lifeline >= 0 and self._popen.poll() is None and not self._hung_up()

    def _hung_up(self) -> bool:
        """Whether the runner has ended, though its guardian may not have noticed."""
        return bool(select.select([self._channel], [], [], 0)[0])

    def ask(self, request: dict[str, Any], timeout_s: float) -> _Answer:
        """Send a request and wait for its answer, for the end of the process, or for the time to be over."""
        self._read_output()
        self._log = b""
        deadline = time.monotonic() + timeout_s
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\n")
        except OSError:  # it died since the last request
            return self._ended(deadline)
        received = bytearray()
        while not received.endswith(b"\n"):
            ready = self._wait(deadline - time.monotonic())
            if not ready:
                return self._stopped("timeout")
            data = self._received() if self._channel.fileno() in ready else b""
            if not data:
                return self._ended(deadline)
            received += data
            if len(received) > LARGEST_ANSWER:
                return self._stopped(f"its answer was longer than {LARGEST_ANSWER} bytes")
        answer = _Answer(received.removeprefix(LAST).decode("utf-8", "replace").strip(), "", self._tail())
        answer.is_last = received.startswith(LAST)
        return answer

    def let_go(self, *, cancelled: bool = False) -> None:
        """Tell the guardian to end everything. From any thread, and as often as wanted."""
        with self._lock:
            self._cancelled = self._cancelled or cancelled
            if self._lifeline >= 0:
                os.close(self._lifeline)
                self._lifeline = -1

    def end(self) -> None:
        """Have everything ended, by force if the guardian does not answer."""
        self.let_go()
        try:
            self._popen.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._popen.send_signal(signal.SIGKILL)

    def close(self) -> None:
        self.end()
        self._popen.wait()
        if self._before is not None:
            _end_adopted(self._before)
        self._channel.close()
        os.close(self._output)
        self._words.close()
        os.close(self._gone)

    def _wait(self, seconds: float) -> set[int]:
        """Which of channel and end are ready, having read the output meanwhile; empty when the time is over."""
        deadline = time.monotonic() + seconds
        waiting = select.poll()
        for handle in (self._channel.fileno(), self._output, self._gone):
            waiting.register(handle, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = {handle for handle, _ in waiting.poll(left * 1000)}
            if self._output in ready and not self._read_output():
                waiting.unregister(self._output)
            if ready - {self._output}:
                return ready - {self._output}
        return set()

    def _received(self) -> bytes:
        try:
            return self._channel.recv(65536)
        except OSError:
            return b""

    def _stopped(self, why: str) -> _Answer:
        self.end()
        return _Answer(None, why, self._tail(), self._words.text())

    def _ended(self, deadline: float) -> _Answer:
        """It hung up and comes to its end; whoever hung up only, or stopped its guardian, has time left till then."""
        try:
            code = self._popen.wait(max(NOTICE_S, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return self._stopped("timeout")
        words = self._words.text()
        why = "timeout" if words.startswith(TIME_IS_OVER) else _exit(code)
        return _Answer(None, "cancelled" if self._cancelled else why, self._tail(), words)

    def _read_output(self) -> bool:
        """Take some of what was printed, keeping its end; false when nobody can print any more."""
        for _ in range(CHUNKS):
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log = (self._log + data)[-LOG_TAIL:]
        return True

    def _tail(self) -> str:
        self._read_output()
        return self._log.decode("utf-8", "backslashreplace")[-LOG_TAIL:]


def _end_adopted(before: set[int]) -> None:
    """End what came to this process since then: a guardian that was killed leaves the function's programs behind."""
    while adopted := set(children()) - before:
        for pid in adopted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def environment(outside: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: built from nothing, with a few harmless variables of the service's own."""
    return {
        **{name: outside[name] for name in FROM_OUTSIDE if name in outside},
        "LANG": "C.UTF-8",
        "HDF5_USE_FILE_LOCKING": "BEST_EFFORT",
        "HDF5_EXTFILE_PREFIX": "${ORIGIN}",  # external data is looked for beside its file, as links checks it
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _end_of(answer: _Answer) -> End:
    try:
        return replace(read_end(answer.text or ""), log_tail=answer.log)
    except ValidationError:
        return Failure("code", "WrongAnswer", "the function's process sent something else than an answer.")


def _failed_load(answer: _Answer) -> Failure:
    end = _end_of(answer)
    return end if isinstance(end, Failure) else Failure("code", "WrongAnswer", "the functions could not be loaded.")


def _failure_for(answer: _Answer, timeout_s: float) -> Failure:
    """What a worker says of a child that gave no answer."""
    where = socket.gethostname()
    if answer.why == "cancelled":
        return Failure("code", "Cancelled", "cancelled while it was running.", log_tail=answer.log, where=where)
    if answer.why == "timeout":
        message = f"took longer than {timeout_s:g} s and was ended (timeout=... of @function)."
        return Failure("resource", "Timeout", message, log_tail=answer.log, where=where)
    return Failure("resource", "ProcessDied", f"{answer.why}.", log_tail=answer.log, where=where)


def _exit(code: int) -> str:
    number = -code if code < 0 else code - 128
    if number in {s.value for s in signal.Signals}:
        return f"the process was ended by {signal.Signals(number).name} in the middle of the function"
    return f"the process ended in the middle of the function, with exit code {code}"
