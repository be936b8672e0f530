"""Which other files an HDF5 file refers to, and whether it may: external links, virtual and external data."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from beamhub.processing.functions import DataError

MOST_LINKS = 1_000_000  # in one file
MOST_FILES = 10_000  # a scan's master file names one file a frame block; more is taken for a bomb


def check_links(
    raw: Path, within: Path, working: Path | None = None, watch: Callable[[Path], object] = lambda _: None
) -> None:
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
        watch: is told of each file before it is looked at, also of those that are referred to and not there.

    Raises:
        DataError: an HDF5 file cannot be read, or refers to a file elsewhere; names both.
    """
    allowed = Path(os.path.realpath(within))
    waiting, seen = [Path(os.path.realpath(raw))], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        watch(path)
        if len(seen) > MOST_FILES:
            raise DataError(f"{raw.name} refers to more than {MOST_FILES} files.")
        if not h5py.is_hdf5(path):
            continue
        for name in targets_of(path):
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


def targets_of(path: Path) -> set[str]:
    """The names of all other files that an HDF5 file refers to.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with h5py.File(path, "r") as file:
            return {name for name in _Walk(file).targets() if name not in (".", "")}
    except (OSError, RuntimeError, ValueError, KeyError) as exc:
        raise DataError(f"{path.name} cannot be read as HDF5: {exc}") from exc


class _Walk:
    """Looks at each object of a file once.

    Objects are opened by their address: HDF5 keeps the whole path of one that is opened by its name, which in a file
    of groups within groups is a million times as much as the file.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file, self._name = file.id, Path(file.filename).name
        self._waiting: list[Any] = [h5py.h5g.open(file.id, b"/")]
        self._seen: set[int] = set()  # addresses of what was opened; what a link says of its target may be a lie
        self._links, self._found = 0, set[str]()

    def targets(self) -> set[str]:
        """The names that all objects of the file refer to."""
        while self._waiting:
            item = self._waiting.pop()
            if isinstance(item, h5py.h5r.Reference):
                item = h5py.h5r.dereference(item, self._file)
            if (address := h5py.h5o.get_info(item).addr) in self._seen:
                continue
            self._seen.add(address)
            if isinstance(item, h5py.h5g.GroupID):
                self._look_into(item)
            elif isinstance(item, h5py.h5d.DatasetID):
                self._found.update(_data_of(item))
        return self._found

    def _look_into(self, group: h5py.h5g.GroupID) -> None:
        external: list[bytes] = []
        inner: list[bytes] = []
        odd: list[bytes] = []

        def see(name: bytes, link: h5py.h5l.LinkInfo) -> bool | None:  # an exception in here would be a SystemError
            self._links += 1
            if name in (b"", b".") or b"/" in name:
                odd.append(name)
            if link.type == h5py.h5l.TYPE_EXTERNAL:
                external.append(name)
            elif link.type == h5py.h5l.TYPE_HARD and link.u not in self._seen:
                inner.append(name)
            return self._links > MOST_LINKS or bool(odd) or None  # not None ends it

        group.links.iterate(see, info=True)
        if self._links > MOST_LINKS:
            raise DataError(f"{self._name} has more than {MOST_LINKS} groups, datasets and links.")
        if odd:  # HDF5 writes none: what is opened by it is not what it seems to lead to
            raise DataError(f"{self._name} has a link with the name {os.fsdecode(odd[0])!r}, which leads elsewhere.")
        self._found.update(os.fsdecode(group.links.get_val(name)[0]) for name in external)
        self._waiting += [h5py.h5r.create(group, name, h5py.h5r.OBJECT) for name in inner]


def _data_of(dataset: h5py.h5d.DatasetID) -> Iterator[str]:
    """Where the values of a dataset lie, if not in its file."""
    made = dataset.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL:
        yield from (_no_pattern(made.get_virtual_filename(number)) for number in range(made.get_virtual_count()))
    yield from (os.fsdecode(made.get_external(number)[0]) for number in range(made.get_external_count()))


def _no_pattern(name: str) -> str:
    if "%" in name:
        raise DataError(f"a virtual dataset refers to {name}, a pattern of names; let it name each file.")
    return name
