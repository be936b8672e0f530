"""What happens in the process that runs users' functions: one version imported, one request after another.

Requests and answers are lines of JSON over a socket. Nothing of the service is here: no token, no database.
"""

import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from beamhub.processing import last_words, loading, outputs, raw_file, raw_way
from beamhub.processing.failures import failure_of
from beamhub.processing.functions import DataError, Definition, Summary
from beamhub.processing.guardian import end_children
from beamhub.processing.links import check_links
from beamhub.processing.wire import LAST, End, end_text, read_task
from beamhub.processing.work import Task

THREAD_ENDS_S = 0.05


def serve(channel: socket.socket, words: int) -> None:
    """Answer one request after another until the other side closes the channel.

    Args:
        channel: to the worker.
        words: where it is said how this process ended, if it does in the middle of a function; see ``last_words``.
    """
    channel.set_inheritable(False)
    last_words.keep(words)
    before, threads = dict(os.environ), set(threading.enumerate())
    for line in channel.makefile("rb"):
        request = json.loads(line)
        answer = ANSWERS[request["do"]](request | {"words": words})
        if request["do"] != "run":  # what a module starts when it is imported belongs to it
            threads |= set(threading.enumerate())
        sys.stdout.flush()
        sys.stderr.flush()
        _tidy(before)
        channel.sendall((LAST if _goes_on(threads) else b"") + answer.encode() + b"\n")


def _load(request: dict[str, Any]) -> str:
    """Import the module of the first task already, so that its time is not the function's."""
    try:
        loading.load(Path(request["copy"]).parent, request["digest"])
        loading.import_module(Path(request["copy"]))
    except BaseException as exc:  # whatever a stranger's module raises is that run's failure
        return end_text(failure_of(exc, Path(request["copy"]).parent, Path()))
    return "null"


def _describe(request: dict[str, Any]) -> str:
    return json.dumps(loading.describe(Path(request["copy"]), request["digest"]))


def _run(request: dict[str, Any]) -> str:
    task = read_task(request["task"])
    with last_words.within(request["words"], task.timeout_s):
        return end_text(run(task))


ANSWERS = {"load": _load, "describe": _describe, "run": _run}


def run(task: Task) -> End:
    """Run a function on one file, and make of its output all that is published."""
    runner, place = os.getpid(), ""
    try:
        with address_space(task.memory_bytes):
            definition, call = loading.find(task.module_copy, task.function)
            place = loading.place_of(call)
            return _execute(task, definition, call, runner)
    except BaseException as exc:  # whatever a function raises ends its own run, also SystemExit
        if os.getpid() != runner:
            os._exit(1)
        return failure_of(exc, task.module_copy.parent, task.raw, place)


def _execute(task: Task, definition: Definition, call: Callable[..., object], runner: int) -> End:
    parameters = definition.parameters.model_validate(task.parameters)
    with raw_way.watched() as ways:
        check_raw(task, ways)
        task.folder.mkdir(parents=True)
        os.chdir(task.folder)
        out = task.folder / outputs.output_name(task)
        started = datetime.now(UTC)
        with raw_file.kept(task.raw):
            summary = call(task.raw, out, **{name: getattr(parameters, name) for name in type(parameters).model_fields})
        if os.getpid() != runner:  # the function forked, and this is the copy of us that nobody waits for
            os._exit(0)
        if name := ways.changed():
            which = "it" if name == task.raw.name else task.raw.name
            raise DataError(f"{name} was removed, replaced, moved or written to while {which} was read.")
    return _finish(task, definition, parameters, summary, out, started)


def _finish(
    task: Task, definition: Definition, parameters: BaseModel, summary: object, out: Path, started: datetime
) -> End:
    if not isinstance(summary, Summary):
        raise TypeError(
            f"{task.function} returned {type(summary).__name__}, not a Summary. "
            "End it with: return Summary(scalars={...})"
        )
    record = outputs.Execution(definition, parameters, started, datetime.now(UTC))
    return outputs.finish(task, record, summary, out)


def check_raw(task: Task, ways: raw_way.Ways) -> None:
    """Look at the raw file before the function does; whatever is looked at is watched from then on.

    Raises:
        DataError: it is empty, is gone, is reached through a symbolic link, refers to files outside of its proposal, or
            lies in a folder of its proposal that the service's account may not list.
    """
    raw, within = task.raw, task.within or task.raw.parent
    ways.add(raw)
    if not raw.is_file():
        raise DataError(f"{raw.name} is no longer there.")
    if os.path.realpath(raw) != str(raw):
        raise DataError(f"{raw.name} is reached through a symbolic link.")
    if raw.stat().st_size == 0:
        raise DataError(f"{raw.name} is empty.")
    check_links(raw, within, task.folder, ways.add)
    if name := ways.closed(within):
        raise DataError(
            f"{name} may not be listed by the account that functions run in, which has to see that it stays the same "
            f"folder while {raw.name} is read. Let it (chmod g+rx, or o+rx), then run again."
        )


@contextmanager
def address_space(more_bytes: int) -> Iterator[None]:
    """Let this process grow by so much and no further; beyond it an allocation is a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _address_space_bytes() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _address_space_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _goes_on(threads: set[threading.Thread]) -> bool:
    """Whether a function left threads, which cannot be ended; those that are just ending have a moment for it."""
    left = set(threading.enumerate()) - threads
    for thread in left:
        thread.join(THREAD_ENDS_S)
    return any(thread.is_alive() for thread in left)


def _tidy(before: dict[str, str]) -> None:
    """Undo what a function may have left: programs, the working directory, the environment, the umask."""
    end_children()
    os.chdir("/")
    os.umask(0o022)
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)
