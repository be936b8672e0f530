"""Reading a file's own columns, such as the sample's name, before any function runs."""

import logging
from pathlib import Path

import h5py
import numpy as np

log = logging.getLogger(__name__)
LONGEST = 200  # characters of a text, as table cells hold

Cell = str | float | None


def read_columns(path: Path, wanted: dict[str, str]) -> dict[str, Cell]:
    """The values at some places of an HDF5 file: texts and single numbers; None where there is none.

    Args:
        path: the file; what cannot be opened has no columns, its runs will say why.
        wanted: column → place in the file, as ``entry/title``; ``entry/data@signal`` for an attribute.
    """
    if not wanted:
        return {}
    try:
        with h5py.File(path, "r", locking=False) as file:
            return {name: _cell(file, place) for name, place in wanted.items()}
    except (OSError, RuntimeError) as error:
        log.info("no columns from %s: %s", path, error)
        return dict.fromkeys(wanted)


def _cell(file: h5py.File, place: str) -> Cell:
    where, _, attribute = place.partition("@")
    try:
        link = file.get(where or "/", getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return None
        found = file[where or "/"]
        value = found.attrs[attribute] if attribute else found[()] if found.size <= 1 else None
    except (KeyError, AttributeError, OSError, TypeError, ValueError, RuntimeError):
        return None
    return _plain(value)


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
