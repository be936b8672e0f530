"""Why a file has no runs, in sentences for a scientist: it has not arrived, or no rule takes it; and what to do."""

import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beamhub.catalog.records import File
from beamhub.processing.rules import Verdict
from beamhub.processing.settings import FilesystemSettings, Settings
from beamhub.processing.spelling import on_disk
from beamhub.processing.storage import OutsideStorage, open_beneath

Lies = Literal["there", "absent", "outside", "unknown"]


@dataclass(frozen=True)
class Absence:
    """What is known of a path without runs.

    Args:
        storage, path: where it would lie.
        file: its newest version; None where it has not arrived.
        verdicts: of every rule.
        lies: whether it is on disk, if it was looked for.
    """

    storage: str
    path: str
    file: File | None
    verdicts: Sequence[Verdict]
    lies: Lies = "unknown"


def look(root: Path, path: str) -> Lies:
    """Whether there is such a file beneath a storage's root; blocks as long as the storage does not answer."""
    try:
        os.close(open_beneath(root, on_disk(path), os.O_PATH))
    except OutsideStorage:
        return "outside"
    except OSError as error:
        return "absent" if isinstance(error, FileNotFoundError | NotADirectoryError) else "unknown"
    return "there"


def why_missing(absence: Absence, settings: Settings) -> list[str]:
    """The sentences: whether it arrived, which rules would take it, what to do."""
    taken = [verdict.rule for verdict in absence.verdicts if verdict.takes]
    arrived = _arrived(absence, taken) if absence.file else _not_arrived(absence, settings)
    return [*arrived, *_rules(absence, taken)]


def _arrived(absence: Absence, taken: Sequence[str]) -> Iterator[str]:
    if absence.file is None:
        return
    removed = ", and was removed since" if absence.file.kind == "removed" else ""
    yield f"The file arrived at {absence.file.arrived:%Y-%m-%d %H:%M:%S} UTC{removed}; it has no runs."
    if taken:
        yield f"It arrived before the rule {taken[0]} was there, or as the rule now is."
        yield f"To do: have it processed with beamhub process PATH --rule {taken[0]}, or write it once more."


def _not_arrived(absence: Absence, settings: Settings) -> Iterator[str]:
    yield f"The file has not arrived: BeamHub has not seen {absence.path} complete in the storage {absence.storage}."
    sources = _sources(settings, absence.storage)
    if absence.lies == "absent":
        yield "There is no such file in the storage. To do: look at its name and folder; it is taken once it is there."
    elif absence.lies == "outside":
        yield "It is, or lies behind, a symbolic link, which is not followed. To do: put the file itself there."
    elif not sources:
        yield f"No source watches the storage {absence.storage}; a service has to tell of its files (POST events)."
    elif pattern := _ignored(absence.path, sources):
        yield f"Its name matches {pattern}, which is left out. To do: give it another name once it is complete."
    elif absence.lies == "there":
        yield _soon(sources)


def _soon(sources: Sequence[FilesystemSettings]) -> str:
    settle, rescan = min(source.settle for source in sources), max(source.rescan or 60 for source in sources)
    return (
        f"It lies in the storage. It counts as complete when it is closed, or has not changed for {settle:g} s; what "
        f"nothing told of is found by a scan every {rescan:g} s or so. To do: wait as long; then look at the "
        "service's log, or ask the beamline's staff."
    )


def _sources(settings: Settings, storage: str) -> list[FilesystemSettings]:
    found = [source for source in settings.sources.values() if isinstance(source, FilesystemSettings)]
    return [source for source in found if source.storage == storage]


def _ignored(path: str, sources: Sequence[FilesystemSettings]) -> str:
    """The pattern by which all sources leave a path out; "" where one of them does not."""
    found = ""
    for source in sources:
        left_out = (glob for glob in source.ignore for part in path.split("/") if fnmatch.fnmatchcase(part, glob))
        found = next(left_out, "")
        if not found:
            return ""
    return found


def _rules(absence: Absence, taken: Sequence[str]) -> Iterator[str]:
    if not absence.verdicts:
        yield "There are no rules, so that nothing is processed. To do: write one in processing.yaml."
    elif not taken:
        yield "No rule would take it:" if absence.file is None else "No rule takes it:"
        yield from (f"{verdict.rule}: {verdict.reason}." for verdict in absence.verdicts)
        yield "To do: mend the path of a rule in processing.yaml (the beamline's staff can), or the file's name."
    elif absence.file is None:
        yield f"When it arrives, {' and '.join(taken)} will take it."
