"""Which other files an HDF5 file refers to, and whether it may: external links, virtual and external data."""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from beamhub.processing.functions import DataError

MOST_FILES = 10_000  # a scan's master file names one file a frame block; more is taken for a bomb


def check_links(raw: Path, within: Path, working: Path | None = None) -> None:
    """Refuse a file that refers to anything outside of its proposal's folder.

    Files that are referred to are checked in the same way. A file that is not HDF5 is not looked at, and a target
    that does not exist is no harm, as long as HDF5 does not go on to look for it elsewhere: names of external links and
    virtual sources that are not beside the file are taken from the working directory too, of absolute names the last
    part (``H5F_prefix_open_file`` of HDF5 1.14). A target that is reached through a symbolic link is refused, as HDF5
    takes names in it from another folder than where it lies; and so is a pattern of names (``%b`` in a virtual source),
    which stands for files that come later. Names of external data are taken from beside the file only, since children
    are started with ``HDF5_EXTFILE_PREFIX=${ORIGIN}``.

    Args:
        raw: the file.
        within: the folder of its proposal.
        working: the attempt's folder, ``…/<proposal>/<run>/<attempt>``, in which the file is going to be read; what
            lies in the same proposal's results may be referred to from there.

    Raises:
        DataError: an HDF5 file cannot be read, or refers to a file elsewhere; names both.
    """
    allowed = Path(os.path.realpath(within))
    waiting, seen = [Path(os.path.realpath(raw))], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen or not h5py.is_hdf5(path):
            continue
        seen.add(path)
        if len(seen) > MOST_FILES:
            raise DataError(f"{raw.name} refers to more than {MOST_FILES} files.")
        for name in _targets_of(path):
            target = Path(os.path.realpath(path.parent / name))
            if not target.is_relative_to(allowed):
                raise DataError(f"{path.name} refers to {name}, which lies outside of its proposal.")
            if str(target) != os.path.normpath(path.parent / name):
                raise DataError(f"{path.name} refers to {name}, which is reached through a symbolic link.")
            if not target.exists() and _leads_out_of(working, name):
                raise DataError(f"{path.name} refers to {name}, which is not there, and would be looked for elsewhere.")
            waiting.append(target)


def _leads_out_of(working: Path | None, name: str) -> bool:
    if working is None:
        return False
    proposal = Path(os.path.realpath(working.parent.parent))
    beside = os.path.basename(name) if os.path.isabs(name) else name
    return not Path(os.path.realpath(working / beside)).is_relative_to(proposal)


def _targets_of(path: Path) -> set[str]:
    try:
        with h5py.File(path, "r") as file:
            return {name for name in _targets(file) if name not in (".", "")}
    except (OSError, RuntimeError) as exc:
        raise DataError(f"{path.name} cannot be read as HDF5: {exc}") from exc


def _targets(file: h5py.File) -> Iterator[str]:
    found: list[str] = []

    def visit_link(name: str, link: object) -> None:
        if isinstance(link, h5py.ExternalLink):
            found.append(link.filename)

    def visit_object(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.is_virtual:
                found.extend(_no_pattern(source.file_name) for source in item.virtual_sources())
            found.extend(os.fsdecode(part[0]) for part in item.external or ())

    file.visititems_links(visit_link)
    file.visititems(visit_object)
    yield from found


def _no_pattern(name: str) -> str:
    if "%" in name:
        raise DataError(f"a virtual dataset refers to {name}, a pattern of names; let it name each file.")
    return name
