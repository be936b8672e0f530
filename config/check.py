"""``beamhub check FILE…``: all mistakes of the files that an operator writes."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from beamhub.config.command import needs
from beamhub.config.document import Finding, located, read
from beamhub.config.mistakes import Mistake, Mistakes
from beamhub.config.schema import schema_of

GROUP = "beamhub.files"
ORIGINS = "beamhub.origins"
TOLD_BY = {"sites:": "compute", "storages:": "processing"}  # keys that only one kind of file has


@dataclass(frozen=True)
class Further:
    """What is wrong in files that a file names, and, of those, in the file itself."""

    others: list[Mistakes]
    own: list[Finding]


@runtime_checkable
class LooksFurther(Protocol):
    """A model whose file names other files, which can be wrong in themselves or be none that fit."""

    def look_further(self) -> Further:
        """Look at them; may take seconds."""
        ...


class NotInstalled(Exception):
    """A kind of file is known, but what reads it is not installed."""


def kinds() -> list[str]:
    """The kinds of files that the installed rooms can read."""
    return sorted(point.name for point in entry_points(group=GROUP))


def model_of(kind: str) -> type[BaseModel]:
    """The model of a kind of file.

    Raises:
        NotInstalled: its room lacks a package.
    """
    point = next(point for point in entry_points(group=GROUP) if point.name == kind)
    try:
        model: type[BaseModel] = point.load()
    except ModuleNotFoundError as error:
        raise NotInstalled(f"checking {needs(point, error)}") from error
    return model


def kind_of(path: Path) -> str:
    """Which kind a file is: by its name, else by the key that only this kind has.

    Raises:
        Mistakes: neither tells.
    """
    for kind in kinds():
        if kind in path.stem:
            return kind
    text = path.read_text(errors="replace") if path.is_file() else ""
    for key, kind in TOLD_BY.items():
        if any(line.startswith(key) for line in text.splitlines()):
            return kind
    remedy = f"name it after its kind ({', '.join(kinds())}), or say --kind"
    raise Mistakes(path, [Mistake("it is not clear what kind of file this is", suggestion=remedy)])


def translated(path: Path) -> str:
    """The text of compute.yaml that replaces what another program's configuration says.

    Raises:
        NotInstalled: what reads it lacks a package.
        Mistakes: it cannot be read, or says nothing that could be replaced.
    """
    (point,) = entry_points(group=ORIGINS, name="jupyterhub_config")
    try:
        translate: Callable[[Path], str] = point.load()
    except ModuleNotFoundError as error:
        raise NotInstalled(f"reading {needs(point, error)}") from error
    return translate(path)


class CheckCommand:
    """The sub-command: ``beamhub check``."""

    help = "check compute.yaml, processing.yaml and its functions: every mistake with its line, and what to write"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files to check")
        parser.add_argument("--kind", choices=kinds(), help="what the files are (default: told by name or content)")
        parser.add_argument("--schema", choices=kinds(), help="print the JSON schema of a kind, for editors")
        parser.add_argument("--from", dest="origin", type=Path, metavar="jupyterhub_config.py", help=(
            "print the compute.yaml that replaces the SlurmSpawner of this configuration, which is run as JupyterHub "
            "runs it, and what cannot be taken over"))  # fmt: skip

    def run(self, options: argparse.Namespace) -> int:
        """0 when all files are right, 1 when one is not, 2 when that is no question, or its kind is not installed."""
        asked = [option for option, given in (("FILE", options.files), ("--schema", options.schema),
                                              ("--from", options.origin)) if given]  # fmt: skip
        if len(asked) > 1:
            print(f"{' and '.join(asked)} are different questions: ask for one at a time", file=sys.stderr)
            return 2
        try:
            if options.schema:
                _say(json.dumps(schema_of(model_of(options.schema), f"{options.schema}.yaml"), indent=2))
                return 0
            if options.origin:
                _say(translated(options.origin))
                return 0
            if options.files:
                return max([check(path, options.kind) for path in options.files])
        except NotInstalled as error:
            print(error, file=sys.stderr if options.schema or options.origin else sys.stdout)  # what they print is kept
            return 2
        _say("name the files to check: beamhub check compute.yaml processing.yaml")
        return 2


def check(path: Path, kind: str | None = None) -> int:
    """Print the mistakes of one file and of those that it names, or that there are none; 1 or 0."""
    try:
        document = read(path, model_of(kind or kind_of(path)))
    except Mistakes as error:
        _complain(error)
        return 1
    further = document.value.look_further() if isinstance(document.value, LooksFurther) else Further([], [])
    if not further.own:
        _say(f"{path}: right")
    wrong = [located(document, further.own)] if further.own else []
    for found in [*wrong, *further.others]:
        _complain(found)
    return 1 if wrong or further.others else 0


def _complain(error: Mistakes) -> None:
    count = len(error.mistakes)
    _say(f"{error}\n{error.path}: {count} mistake{'s' if count > 1 else ''}")


def _say(text: str) -> None:
    print(text)


command = CheckCommand()
