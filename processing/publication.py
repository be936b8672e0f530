"""The folders below ``results``: one for each attempt, unfinished as ``….part``, published by a rename.

A folder ``<proposal>/<run>/<attempt>`` counts only once a row of the store names it; the others are swept. Whose
rows these are is written beside them, in ``.beamhub``: no store sweeps another one's results.
"""

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

from beamhub.processing.durable import sync, sync_tree
from beamhub.processing.work import Claim

log = logging.getLogger(__name__)
PART = ".part"
MARK = ".beamhub"
NO_PROPOSAL = "-"
_ATTEMPT = re.compile(r"\d+(\.part)?")


class ForeignResults(Exception):
    """The folder of the results holds those of another store."""


def attempt_folder(claim: Claim) -> str:
    """Where an attempt's files lie once they are published, relative to the results."""
    return f"{claim.proposal or NO_PROPOSAL}/{claim.run}/{claim.attempt}"


def unfinished(results: Path, folder: str) -> Path:
    """Where an attempt writes."""
    return results / (folder + PART)


def publish(results: Path, folder: str) -> None:
    """Give an attempt's folder its name, with everything in it on disk before, so that it survives a power cut.

    The writer has closed its files; a function's next run goes on while they are brought to disk here.

    Raises:
        OSError: it is not there, or the disk refuses.
    """
    part = unfinished(results, folder)
    sync_tree(part)
    part.rename(results / folder)
    above = (results / folder).parent
    while above != results:
        sync(above)
        above = above.parent
    sync(results)


def discard(results: Path, folder: str) -> None:
    """Take an attempt away, published or not; what cannot be taken away is said in the log."""
    _remove(unfinished(results, folder))
    _remove(results / folder)


def own(results: Path, store: str, named: Callable[[], Set[str]]) -> None:
    """Make sure that the results are this store's, and write so beside them.

    Args:
        results: the folder of all results; made where it is missing.
        store: the store's own name.
        named: gives the folders that rows name, as :func:`attempt_folder` does; asked only where there is no mark.

    Raises:
        ForeignResults: they are marked as another store's; or are not marked, and no row names any of them; or rows
            name some, and there are none.
        OSError: the folder or the mark cannot be read or written.
    """
    mark = results / MARK
    if not mark.exists() and not any(_attempts(results)) and named():
        raise ForeignResults(
            f"{results} is empty, though the store knows of results there, so that nothing was started. Is it mounted? "
            "Where they are gone for good, give the service a new store (store: in processing.yaml)."
        )
    results.mkdir(parents=True, exist_ok=True)
    owner = mark.read_text(encoding="utf-8").strip() if mark.exists() else _owner_of(results, store, named)
    if owner != store:
        raise ForeignResults(
            f"{results} holds results that this store knows nothing of, so that nothing was started or removed there. "
            "Give the service the store that they belong to, or an empty folder (store: and results: in "
            "processing.yaml)."
        )
    if not mark.exists():
        new = results / f"{MARK}.new"
        new.write_text(f"{store}\n", encoding="utf-8")
        sync(new)
        new.rename(mark)
        sync(results)
        with contextlib.suppress(PermissionError):  # another account's folder that this one may pass, but not read
            sync(results.parent)


def nameless(results: Path, named: Set[str]) -> dict[Path, tuple[int, int]]:
    """The folders of attempts that no row names, each with its run and attempt.

    Args:
        results: the folder of all results.
        named: the folders that rows name, as :func:`attempt_folder` gives them.
    """
    every = (path for path in _attempts(results) if str(path.relative_to(results)) not in named)
    return {path: (int(path.parent.name), int(path.name.removesuffix(PART))) for path in every}


def sweep(found: Mapping[Path, tuple[int, int]], begun: Mapping[int, int]) -> int:
    """Take away attempts that no row names, at a time when nothing is running, in results that are one's own.

    One that came to its end, and that this store never handed out, is of a newer state of the store, of which an older
    copy was brought back: it is moved aside, to ``<attempt>.kept``.

    Args:
        found: as :func:`nameless` gives them.
        begun: how many attempts of each of their runs were handed out.

    Returns:
        How many were taken away; what cannot be is said in the log, and stays.
    """
    swept = 0
    for path, (run, attempt) in found.items():
        if path.name.endswith(PART) or attempt <= begun.get(run, 0):
            swept += _remove(path)
        else:
            _set_aside(path)
    for above in {path.parent for path in found}:
        with contextlib.suppress(OSError):  # it is not empty
            above.rmdir()
    return swept


def _set_aside(path: Path) -> None:
    for name in (f"{path.name}.kept", *(f"{path.name}.{number}.kept" for number in range(2, 100))):
        if not (kept := path.with_name(name)).exists():
            path.rename(kept)
            log.error(
                "%s is a result that this store knows nothing of (an older copy of it?); it is kept as %s", path, name
            )
            return


def _owner_of(results: Path, store: str, named: Callable[[], Set[str]]) -> str:
    """Whose results without a mark are: made before there were marks, they are the store's that names one of them."""
    found = {str(path.relative_to(results)) for path in _attempts(results)}
    return store if not found or found & named() else ""


def _attempts(results: Path) -> Iterator[Path]:
    for path in results.glob("*/*/*"):
        if path.is_dir() and path.parent.name.isdecimal() and _ATTEMPT.fullmatch(path.name):
            yield path


def _remove(path: Path) -> bool:
    """Take a folder away; whether that was done."""
    if path.is_symlink():
        path.unlink()
        return True
    if not path.exists():
        return False
    try:
        try:
            shutil.rmtree(path)
        except PermissionError:  # a function took the right to write from its own folders
            _open_up(path)
            shutil.rmtree(path)
    except OSError as error:
        log.error("%s stays, since it cannot be removed: %s", path, error)
        return False
    return True


def _open_up(path: Path) -> None:
    """Give back the right to write to folders."""
    path.chmod(0o700)
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _open_up(Path(entry.path))
