"""What an exception means: who can mend it, and how it is shown, the user's own lines first."""

import errno
import re
import socket
import traceback
from pathlib import Path

from pydantic import ValidationError

from beamhub.catalog.records import ErrorClass
from beamhub.processing.functions import DataError
from beamhub.processing.loading import is_within
from beamhub.processing.raw_file import RawFileKept
from beamhub.processing.work import Failure

TRANSIENT = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EREMOTEIO}
    | {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENOTCONN}
)
REPLACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL})  # a folder moved away, or no link any more
LONGEST_MESSAGE = 2000
_HDF5_ERRNO = re.compile(r"errno = (\d+)")  # how HDF5 reports the number, in the text of its own errors
_NO_FILTER = re.compile(r"required filter|can't open directory \(.*plugin")  # the second where there are no plugins
_HDF5_OPEN = re.compile(r"(unable to|can't).*\b(open|read)", re.IGNORECASE)


def kind_of(exc: BaseException, raw: Path) -> ErrorClass:
    """Sort an exception into the classes that decide on another try.

    Args:
        exc: what came out of a function or of what surrounds it.
        raw: the file that it read; an error about this very file, or a folder above it that is gone, is the data's.
    """
    if isinstance(exc, DataError):
        return "data"
    if isinstance(exc, RawFileKept):
        return "code"
    if isinstance(exc, MemoryError):
        return "resource"
    if isinstance(exc, ConnectionError):
        return "transient"
    if isinstance(exc, OSError):
        return _kind_of_os_error(exc, raw)
    return "code"


def _kind_of_os_error(exc: OSError, raw: Path) -> ErrorClass:
    written = _HDF5_ERRNO.search(str(exc))
    number = exc.errno or (int(written[1]) if written else None)
    if number in TRANSIENT:
        return "transient"
    if number == errno.ENOMEM:
        return "resource"
    named = Path(str(exc.filename)) if exc.filename is not None else None
    about_raw = named == raw or (named in raw.parents and number in REPLACED)
    if about_raw or str(raw) in str(exc) or (number is None and _HDF5_OPEN.search(str(exc))):
        return "data"
    return "code"


def failure_of(exc: BaseException, copy: Path, raw: Path, place: str = "") -> Failure:
    """Describe an exception as the failure of a run.

    Args:
        exc: what was raised.
        copy: the folder of the user's modules; frames from there come first, the failing line at the top.
        raw: the file that was read.
        place: where the function is defined; said first of a fault in the code that none of its lines raised.
    """
    kind, lines = kind_of(exc, raw), _lines(exc, copy)
    own = any(is_within(frame.filename, copy) for frame in traceback.extract_tb(exc.__traceback__))
    return Failure(
        kind=kind,
        type=type(exc).__name__,
        message=_message(exc)[:LONGEST_MESSAGE],
        traceback=tuple([place, *lines] if place and kind == "code" and not own else lines),
        where=socket.gethostname(),
    )


def _message(exc: BaseException) -> str:
    if isinstance(exc, SystemExit):
        return f"the function ended the process with exit code {exc.code}; return a Summary instead."
    if isinstance(exc, MemoryError) and not str(exc):
        return "more memory was asked for than the function may use (memory=... of @function)."
    if isinstance(exc, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
    if isinstance(exc, OSError) and _NO_FILTER.search(str(exc)):
        return f"it is packed by a filter that is not there: import hdf5plugin above the function. {exc}"
    return _shown(exc)


def _shown(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # a stranger's own words may themselves fail
        return "it cannot be shown, since its own __str__ fails."


def _lines(exc: BaseException, copy: Path) -> list[str]:
    frames = list(reversed(traceback.extract_tb(exc.__traceback__)))
    own = [f for f in frames if is_within(f.filename, copy)]
    below = [f for f in frames if not is_within(f.filename, copy) and not f.filename.startswith(_HERE)]
    lines = [_line(Path(f.filename).relative_to(copy), f) for f in own] + [_line(Path(f.filename), f) for f in below]
    if isinstance(exc, SyntaxError) and exc.filename:
        lines.insert(0, f"{Path(exc.filename).name}:{exc.lineno}: {(exc.text or '').strip()}")
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if cause is not None:
        lines += [f"caused by {type(cause).__name__}: {_shown(cause)}", *_lines(cause, copy)]
    return lines


_HERE = str(Path(__file__).parent)


def _line(path: Path, frame: traceback.FrameSummary) -> str:
    return f"{path}:{frame.lineno} in {frame.name}: {frame.line}"
