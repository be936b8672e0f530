"""Reading a file's own columns, such as the sample's name; in a process of its own, which a broken file may crash.

``python -m beamhub.processing.columns`` answers what :class:`ColumnReader` asks.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np

from beamhub.processing.reading_child import answer_all
from beamhub.processing.storage import OutsideStorage, resolve_raw

LONGEST = 200  # characters of a text, as table cells hold
MOST_LINKS = 20  # that lead from one place to another
MEMORY = 2**30  # bytes, against files that claim to be huge

Cell = str | float | None


def read_columns(root: Path, path: str, wanted: dict[str, str]) -> tuple[dict[str, Cell], str]:
    """The values at some places of an HDF5 file: texts and single numbers.

    Args:
        root: the storage's folder.
        path: the file, below the root.
        wanted: column → place in the file, as ``entry/title``; ``entry/data@signal`` for an attribute.

    Returns:
        Each column's value, None where there is none; and why, if there is none. Nothing outside of the file is
        looked at: what it links to may belong to another proposal.
    """
    try:
        with h5py.File(resolve_raw(root, path), "r", locking=False) as file:
            found = {name: _cell(file, place) for name, place in wanted.items()}
    except (OSError, RuntimeError, OutsideStorage) as error:
        return dict.fromkeys(wanted), str(error)
    missing = [wanted[name] for name, cell in found.items() if cell is None]
    return found, f"no single text or number at {', '.join(missing)}" if missing else ""


def _cell(file: h5py.File, place: str) -> Cell:
    where, _, attribute = place.partition("@")
    try:
        found = _walk(file, PurePosixPath(where).parts, MOST_LINKS)
        if attribute:
            return _plain(found.attrs[attribute])
        if found.size > 1 or found.is_virtual or found.external:
            return None
        return _plain(found[()])
    except (KeyError, AttributeError, OSError, TypeError, ValueError, RuntimeError, MemoryError):
        return None  # whatever is wrong in there, the run's function says it better


def _walk(group: Any, parts: tuple[str, ...], links: int) -> Any:
    """Go to a place by the file's own links only.

    Raises:
        KeyError: there is no such place, or a link leads out of the file.
    """
    for part in parts:
        if part == "/":
            group = group.file
            continue
        link = group.get(part, getlink=True)
        if isinstance(link, h5py.SoftLink) and links:
            group = _walk(group, PurePosixPath(link.path).parts, links - 1)
        elif isinstance(link, h5py.HardLink):
            group = group[part]
        else:
            raise KeyError(part)
    return group


def _plain(value: object) -> Cell:
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else None
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return value.replace("\0", "")[:LONGEST]
    if isinstance(value, bool | int | float | np.number | np.bool_):
        number = float(value)
        return number if np.isfinite(number) else None
    return None


def _answer(asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    columns, why = read_columns(Path(asked["root"]), asked["path"], asked["wanted"])
    return {"columns": columns, "why": why}, b""


if __name__ == "__main__":
    answer_all(_answer, MEMORY)
