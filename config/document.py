"""A file that people write: YAML, checked whole against a model, with the line of everything that is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml.comments import CommentedMap

from beamhub.config.mistakes import Mistake, Mistakes, dotted
from beamhub.config.tree import NotATree, content, known_part, line_of, parse
from beamhub.config.wording import words

Model = TypeVar("Model", bound=BaseModel)
Where = tuple[str | int, ...]
LARGEST = 4 * 2**20  # bytes; what people write by hand is far below


@runtime_checkable
class CrossChecked(Protocol):
    """A model that finds mistakes between its parts, once each part is right."""

    def mistakes(self) -> Iterable[tuple[Where, str, str]]:
        """Path, what is wrong, and what to write instead, of each."""
        ...


@runtime_checkable
class ThoroughlyChecked(Protocol):
    """A model that can look further than at the file: at what it names, which may change while the file does not."""

    def thorough_mistakes(self) -> Iterable[tuple[Where, str, str]]:
        """As of :class:`CrossChecked`; may take seconds."""
        ...


@dataclass(frozen=True)
class Document(Generic[Model]):
    """A file that was read: where it lies, its text, and its content as the model's value."""

    path: Path
    text: str
    value: Model


def read(
    path: Path, model: type[Model], context: dict[str, Any] | None = None, thorough: bool = False
) -> Document[Model]:
    """Read a YAML file and check all of it.

    Args:
        path: the file.
        model: a pydantic model; one with a method ``mistakes()`` is asked for them when each part is right.
        context: passed to the model's validators, with ``folder`` (where the file lies) added.
        thorough: look also at what the file names, where the model can.

    Raises:
        Mistakes: everything that is wrong, each with its line.
    """
    text = _text(path)
    try:
        tree, found = parse(text)
        written = content(tree)
    except NotATree as error:
        raise Mistakes(path, [error.mistake]) from error
    try:
        value = model.model_validate(written, context={"folder": path.parent.resolve(), **(context or {})})
    except ValidationError as error:
        found += dict.fromkeys(_mistake(detail, tree, model) for detail in error.errors())
        raise Mistakes(path, found) from error
    if isinstance(value, CrossChecked):
        found += [Mistake(what, dotted(at), line_of(tree, at), remedy) for at, what, remedy in value.mistakes()]
    if thorough and not found and isinstance(value, ThoroughlyChecked):
        more = value.thorough_mistakes()
        found += [Mistake(what, dotted(at), line_of(tree, at), remedy) for at, what, remedy in more]
    if found:
        raise Mistakes(path, found)
    return Document(path, text, value)


def _mistake(detail: ErrorDetails, tree: CommentedMap, model: type[BaseModel]) -> Mistake:
    where = known_part(tree, detail["loc"])
    if detail["type"] == "missing":
        where = (*where, detail["loc"][-1])
    what, remedy = words(detail, model)
    return Mistake(what, dotted(where), line_of(tree, where), remedy)


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
