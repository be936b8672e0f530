"""What ``beamhub check`` finds in functions, and in what rules ask of them, before a file arrives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from beamhub.config.check import Further
from beamhub.config.document import Finding
from beamhub.config.mistakes import Mistake, Mistakes, did_you_mean
from beamhub.processing import shown
from beamhub.processing.library import Library

PLACE = re.compile(r"(.+?\.py):(\d+): (.*)", re.DOTALL)  # how a mistake begins that has a line


class Asked(Protocol):
    """Of a rule: its function, the parameters that it gives, and which columns its table has."""

    @property
    def function(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def table(self) -> Sequence[str]: ...


def look(places: Sequence[Path], rules: Mapping[str, Asked]) -> Further:
    """Have the functions imported, in a process of their own, and hold the rules against them.

    Args:
        places: folders and modules of functions.
        rules: by name.
    """
    with TemporaryDirectory(prefix="beamhub-check-") as copies:
        library = Library(places, Path(copies))
        library.refresh()
    found = {_located(Path(where), mistake) for where, mistake in library.mistakes.items()}
    return Further(
        [Mistakes(path, [mistake]) for path, mistake in sorted(found, key=str)], list(_of_rules(library, rules))
    )


def _located(where: Path, text: str) -> tuple[Path, Mistake]:
    """A mistake at its own place, which may be another module than the one that is not taken for it."""
    named = PLACE.match(text)
    if named is None:
        return where, Mistake(text)
    folder = where if where.is_dir() else where.parent
    return folder / named[1], Mistake(named[3], line=int(named[2]))


def _of_rules(library: Library, rules: Mapping[str, Asked]) -> Iterator[Finding]:
    known = {function.name: function for function in library.functions()}
    for name, rule in rules.items():
        function = known.get(rule.function)
        if function is None:
            if not library.mistakes:  # else it may be in what cannot be imported
                told = f"there is no function {rule.function!r}"
                yield ("rules", name, "function"), told, did_you_mean(rule.function, known)
            continue
        properties = function.parameters.get("properties", {})
        for parameter in rule.parameters.keys() - properties.keys():
            told = f"{rule.function} has no parameter {parameter!r}"
            yield ("rules", name, "with", parameter), told, did_you_mean(parameter, properties)
        before = set(shown.mistakes(rule.table, rule.columns, None))
        for number, told, remedy in shown.mistakes(rule.table, rule.columns, properties):
            if (number, told, remedy) not in before:
                yield ("rules", name, "table", number), told, remedy
