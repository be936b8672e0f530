"""Mistakes in a file: what is wrong, where, and what to write instead; all of them at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


@dataclass(frozen=True)
class Mistake:
    """One mistake: ``where`` is the dotted path of the value, ``line`` counts from 1 (0: the whole file)."""

    what: str
    where: str = ""
    line: int = 0
    suggestion: str = ""

    def text(self, path: Path) -> str:
        """One line for people: file, line, what, where, and what to do."""
        place = f" @ {self.where}" if self.where else ""
        remedy = f"; {self.suggestion}" if self.suggestion else ""
        line = f":{self.line}" if self.line else ""
        return f"{path}{line}: {self.what}{place}{remedy}"


class Mistakes(ValueError):
    """A file cannot be used: ``mistakes`` holds everything that is wrong with it, in the order of its lines."""

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.where))
        super().__init__("\n".join(mistake.text(path) for mistake in self.mistakes))


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A suggestion of the nearest known word, else of all of them.

    >>> did_you_mean("wals", ["walltime", "cores"])
    'possible: cores, walltime'
    >>> did_you_mean("waltime", ["walltime", "cores"])
    'did you mean walltime?'
    """
    names = sorted(known)
    near = get_close_matches(str(word), names, 1)
    return f"did you mean {near[0]}?" if near else f"possible: {', '.join(names)}" if names else ""


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it.

    >>> dotted(("rules", 2, "when"))
    'rules[2].when'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
