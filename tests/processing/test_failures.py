import errno
from pathlib import Path

import h5py
import pytest

from beamhub.processing.failures import LONGEST_MESSAGE, failure_of, kind_of
from beamhub.processing.functions import DataError

RAW = Path("/data/raw.nxs")


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (OSError(errno.EIO, "Input/output error"), "transient"),
        (OSError(errno.ESTALE, "Stale file handle"), "transient"),
        (OSError(errno.ENOSPC, "No space left on device"), "transient"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "transient"),
        (ConnectionResetError("reset"), "transient"),
        (OSError("Can't write data (file write failed: errno = 28, error message = 'No space'"), "transient"),
        (DataError("no beam centre"), "data"),
        (OSError("Unable to synchronously open file (truncated file: eof = 96)"), "data"),
        (OSError("Can't synchronously read data (inflate() failed)"), "data"),
        (FileNotFoundError(errno.ENOENT, "No such file", str(RAW)), "data"),
        (PermissionError(errno.EACCES, "Permission denied", str(RAW)), "data"),
        (FileNotFoundError(errno.ENOENT, "No such file", str(RAW.parent)), "data"),
        (OSError(errno.EINVAL, "Invalid argument", str(RAW.parent)), "data"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", str(RAW.parent)), "code"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/etc/mask.tif"), "code"),
        (MemoryError(), "resource"),
        (KeyError("beam_center"), "code"),
        (SystemExit(3), "code"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}-{value}"[:40],
)
def test_who_can_mend_a_failure(exc, kind):
    assert kind_of(exc, RAW) == kind


@pytest.mark.promise("bad input")
def test_a_truncated_file_opened_by_a_function_is_a_fault_of_the_data(tmp_path):
    raw = tmp_path / "truncated.nxs"
    with h5py.File(raw, "w") as file:
        file["counts"] = list(range(1000))
    raw.write_bytes(raw.read_bytes()[:3000])
    with pytest.raises(OSError, match="truncated") as raised:
        h5py.File(raw)
    assert kind_of(raised.value, raw) == "data"


def test_a_cause_is_shown_below_what_it_caused():
    try:
        try:
            raise KeyError("beam_center")
        except KeyError as exc:
            raise ValueError("no geometry") from exc
    except ValueError as exc:
        failure = failure_of(exc, Path(__file__).parent, RAW)
    assert failure.traceback[0].startswith("test_failures.py:")
    assert "caused by KeyError: 'beam_center'" in failure.traceback


def test_an_endless_message_is_cut():
    assert len(failure_of(ValueError("x" * 10**6), Path(), RAW).message) == LONGEST_MESSAGE
