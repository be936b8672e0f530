"""What is in an HDF5 file, in h5grove's words; run as a program it answers questions until its input ends.

A process of its own, since h5py holds Python's lock while it opens a file: a file system that hangs would stop the
whole notebook server, from whichever thread it were asked.
"""

import json
import math
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 64 * 2**20  # bytes of values that are read for one answer
LARGEST_SPAN = 2**31  # bytes between the first and the last value, which are unpacked to pick every n-th of them
LARGEST_AS_TEXT = 16 * 2**20  # the same where they are answered as JSON or CSV
MEMORY = 2 * 2**30  # bytes that answers may need beyond what the libraries take, so that no file fills the machine
TOO_MUCH = f"it cannot be unpacked within {MEMORY // 2**30} GiB of memory, or is damaged"
FAILED = ("filter returned failure", "memory allocation failed")  # HDF5's words where unpacking needs too much
WORDS = ("meta", "attr", "data", "paths", "stats")


@dataclass(frozen=True)
class Question:
    """What is asked of a file: one of ``WORDS`` at a path, for values of which part and how."""

    what: str
    path: str = "/"
    selection: str | None = None
    format: str = "json"
    dtype: str = "origin"
    flatten: bool = False


def read(path: Path, question: Question) -> tuple[bytes, dict[str, str]]:
    """What h5grove makes of one place in a file, with the headers that say what it is.

    Raises:
        KeyError: there is nothing at that path.
        ValueError: the selection or format is none, or it is too much at once.
        TypeError: that is asked of something else than a dataset.
        OSError: the file cannot be read.
    """
    from h5grove.content import get_content_from_file, get_list_of_paths
    from h5grove.encoders import encode

    if question.what == "paths":
        with get_list_of_paths(str(path), question.path, _not_there) as paths:
            return _sent(encode(paths, "json"))
    with get_content_from_file(str(path), question.path, _not_there) as content:
        if question.what == "meta":
            return _sent(encode(content.metadata(), "json"))
        return _sent(_of_entity(content, question))


def _of_entity(content: Any, question: Question) -> Any:
    """Attributes, statistics or values of what a path leads to."""
    from h5grove.content import DatasetContent, ResolvedEntityContent
    from h5grove.encoders import encode

    if not isinstance(content, ResolvedEntityContent):
        raise ValueError("is a link that leads nowhere")
    if question.what == "attr":
        return encode(content.attributes(), "json")
    if not isinstance(content, DatasetContent):
        raise TypeError("is no dataset")
    most = LARGEST_AS_TEXT if question.what == "data" and question.format in ("json", "csv") else LARGEST
    size, span = size_of(content, question.selection)
    if size > most:
        raise ValueError(f"is more than {most} bytes; select a part of it")
    if span > LARGEST_SPAN:
        raise ValueError(f"lies over more than {LARGEST_SPAN} bytes; select what lies closer together")
    if question.what == "stats":
        return encode(content.data_stats(question.selection), "json")
    return encode(content.data(question.selection, question.flatten, question.dtype), question.format)


def size_of(content: Any, selection: str | None) -> tuple[int, int]:
    """How many bytes a selection of a dataset is, and over how many it lies; found out without reading it."""
    from h5grove.utils import parse_slice

    described = content.metadata()
    shape = described["shape"] or ()
    members = parse_slice(selection) if selection else ()
    picked = [
        range(1) if isinstance(member, int) else range(*member.indices(length))
        for member, length in zip(members, shape, strict=False)
    ]
    each = math.prod(shape[len(picked) :]) * described["type"].get("size", 1)
    values = math.prod(len(some) for some in picked)
    span = math.prod(abs(some[-1] - some[0]) + 1 if some else 0 for some in picked)
    return int(values * each), int(span * each)


def bound_memory() -> None:
    """Let this process have 2 GiB more than the libraries that it needs, which are loaded here."""
    import h5grove.content
    import h5grove.encoders  # noqa: F401

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # no Linux: the system's own limits hold
        return
    most = pages * resource.getpagesize() + MEMORY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _told(error: Exception) -> str:
    """What is wrong, as a sentence."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in FAILED):
        return TOO_MUCH
    if isinstance(error, SystemError) and error.__cause__ is not None:  # how h5py passes on what it met in a walk
        return str(error.__cause__)[:300]
    return str(error)[:300] or type(error).__name__


def _sent(response: Any) -> tuple[bytes, dict[str, str]]:
    if len(response.content) > 2 * LARGEST:  # of names, since values are measured beforehand
        raise ValueError(f"is more than {2 * LARGEST} bytes; ask for a group further down")
    return response.content, response.headers


def _not_there(code: int, message: str) -> Exception:
    return (KeyError if code == 404 else ValueError)(message)


def main() -> None:
    """Answer one question a line: a line that says how long the content is or what is wrong, then the content."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    bound_memory()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        content, wrong = b"", ""
        headers: dict[str, str] = {}
        try:
            content, headers = read(Path(asked["file"]), Question(**asked["question"]))
        except Exception as error:  # the reader lives on, whatever is in a file
            wrong = _told(error)
        head = {"size": len(content), "headers": dict(headers), "wrong": wrong}
        answers.write(json.dumps(head).encode() + b"\n" + content)
        answers.flush()


if __name__ == "__main__":
    main()
