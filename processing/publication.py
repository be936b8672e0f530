"""The folders below ``results``: one for each attempt, unfinished as ``….part``, published by a rename.

A folder ``<proposal>/<run>/<attempt>`` counts only once a row of the store names it; the others are swept.
"""

import os
import re
import shutil
from collections.abc import Iterator, Set
from pathlib import Path

from beamhub.processing.work import Claim

PART = ".part"
NO_PROPOSAL = "-"
_ATTEMPT = re.compile(r"\d+(\.part)?")


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
    for path in [*(p for p in part.rglob("*") if not p.is_symlink() and (p.is_file() or p.is_dir())), part]:
        _sync(path)
    part.rename(results / folder)
    above = (results / folder).parent
    while above != results:
        _sync(above)
        above = above.parent
    _sync(results)


def discard(results: Path, folder: str) -> None:
    """Take an attempt away, published or not."""
    shutil.rmtree(unfinished(results, folder), ignore_errors=True)
    shutil.rmtree(results / folder, ignore_errors=True)


def sweep(results: Path, named: Set[str]) -> int:
    """Take away every attempt that no row names, at a time when nothing is running.

    Args:
        results: the folder of all results.
        named: the folders that rows name, as :func:`attempt_folder` gives them.

    Returns:
        How many were taken away.
    """
    nameless = [path for path in _attempts(results) if str(path.relative_to(results)) not in named]
    for path in nameless:
        shutil.rmtree(path)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    return len(nameless)


def _attempts(results: Path) -> Iterator[Path]:
    for path in results.glob("*/*/*"):
        if path.is_dir() and path.parent.name.isdecimal() and _ATTEMPT.fullmatch(path.name):
            yield path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
