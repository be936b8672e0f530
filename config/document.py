"""A file that people write: YAML, checked whole against a model, with the line of everything that is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml.comments import CommentedMap

from beamhub.config.mistakes import Mistake, Mistakes, dotted
from beamhub.config.sound import Sound
from beamhub.config.tree import NotATree, content, known_part, line_of, parse
from beamhub.config.wording import words

Model = TypeVar("Model", bound=BaseModel)
Where = tuple[str | int, ...]
Finding = tuple[Where, str, str]  # path, what is wrong, and what to write instead
LARGEST = 4 * 2**20  # bytes; what people write by hand is far below


@runtime_checkable
class CrossChecked(Protocol):
    """A model that finds mistakes between its parts, once each part is right."""

    def mistakes(self) -> Iterable[Finding]:
        """Path, what is wrong, and what to write instead, of each."""
        ...


@dataclass(frozen=True)
class Document(Generic[Model]):
    """A file that was read: where it lies, its text, and its content as the model's value."""

    path: Path
    text: str
    value: Model


def read(path: Path, model: type[Model], context: dict[str, Any] | None = None) -> Document[Model]:
    """Read a YAML file and check all of it.

    Args:
        path: the file.
        model: a pydantic model; one with a method ``mistakes()`` is asked for them when each part is right.
        context: passed to the model's validators, with ``folder`` (where the file lies) added.

    Raises:
        Mistakes: everything that is wrong, each with its line.
    """
    text = _text(path)
    try:
        tree, found = parse(text)
        written = content(tree)
    except NotATree as error:
        raise Mistakes(path, [error.mistake]) from error
    sound, context = Sound(written), {"folder": path.parent.resolve(), **(context or {})}
    value, goes_on = None, True
    while value is None and goes_on:
        try:
            value = model.model_validate(sound.rest(), context=context)
        except ValidationError as error:
            wrong = [_finding(detail, tree, model, sound) for detail in error.errors()]
            found += [mistake for where, _, mistake in wrong if not sound.is_doubtful(where)]
            helped = [sound.take_out(where, kind) for where, kind, _ in wrong]
            goes_on = any(helped)
    if isinstance(value, CrossChecked):
        found += _between(value, tree, sound)
    if value is None or found:
        raise Mistakes(path, dict.fromkeys(found))
    return Document(path, text, value)


def located(document: Document[Any], found: Iterable[Finding]) -> Mistakes:
    """What was found in a file after it was read, each with its line."""
    tree, _ = parse(document.text)
    return Mistakes(document.path, [Mistake(what, dotted(at), line_of(tree, at), remedy) for at, what, remedy in found])


def _finding(
    detail: ErrorDetails, tree: CommentedMap, model: type[BaseModel], sound: Sound
) -> tuple[Where, str, Mistake]:
    """Where the model found something in the file, of which kind, and what is told of it."""
    where, kind = sound.place(detail["loc"]), detail["type"]
    where = (*known_part(tree, where[:-1]), where[-1]) if kind == "missing" else known_part(tree, where)
    what, remedy = words(detail, model)
    return where, kind, Mistake(what, dotted(where), line_of(tree, where), remedy)


def _between(value: CrossChecked, tree: CommentedMap, sound: Sound) -> Iterable[Mistake]:
    """What does not fit together, but for what only seems so since a part is wrong."""
    for at, what, remedy in value.mistakes():
        where = sound.place(at)
        if not sound.only_seems(where):
            yield Mistake(what, dotted(where), line_of(tree, where), remedy)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise Mistakes(path, [Mistake(f"the file is larger than {LARGEST} bytes")])
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Mistakes(path, [Mistake("there is no such file")]) from error
    except UnicodeDecodeError as error:
        raise Mistakes(path, [Mistake("the file is not UTF-8", suggestion="save it as UTF-8 text")]) from error
    except OSError as error:
        raise Mistakes(path, [Mistake(f"the file cannot be read: {error.strerror}")]) from error
