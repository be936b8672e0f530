"""A file that people write: YAML, checked whole against a model, with the line of everything that is wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, runtime_checkable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from beamhub.config.mistakes import Mistake, Mistakes, did_you_mean, dotted

Model = TypeVar("Model", bound=BaseModel)
Where = tuple[str | int, ...]
LARGEST = 4 * 2**20  # bytes; what people write by hand is far below


@runtime_checkable
class CrossChecked(Protocol):
    """A model that finds mistakes between its parts, once each part is right."""

    def mistakes(self) -> Iterable[tuple[Where, str, str]]:
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
    tree = _tree(path, text)
    if tree is None:
        tree = CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise Mistakes(path, [Mistake("the file is no mapping", line=1, suggestion="write keys and values")])
    try:
        value = model.model_validate(plain(tree), context={"folder": path.parent.resolve(), **(context or {})})
    except ValidationError as error:
        raise Mistakes(path, _unique(_mistake(detail, tree, model) for detail in error.errors())) from error
    if isinstance(value, CrossChecked):
        found = [Mistake(what, dotted(at), line_of(tree, at), remedy) for at, what, remedy in value.mistakes()]
        if found:
            raise Mistakes(path, found)
    return Document(path, text, value)


def plain(tree: Any) -> Any:
    """The content without positions and comments."""
    if isinstance(tree, CommentedMap):
        return {str(key): plain(value) for key, value in tree.items()}
    if isinstance(tree, CommentedSeq):
        return [plain(value) for value in tree]
    return tree


def line_of(tree: Any, where: Sequence[str | int]) -> int:
    """The line, from 1, of the deepest part of a path that is there."""
    line = 1
    for part in where:
        if isinstance(tree, CommentedMap):
            key = next((key for key in tree if str(key) == str(part)), None)
            if key is None:
                break
            line, tree = tree.lc.key(key)[0] + 1, tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(part, int) and part < len(tree):
            line, tree = tree.lc.item(part)[0] + 1, tree[part]
        else:
            break
    return line


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


def _tree(path: Path, text: str) -> Any:
    yaml = YAML(typ="rt", pure=True)
    try:
        return yaml.load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        what = (error.problem or "a key is there twice").split(" with value")[0].replace("found ", "")
        raise Mistakes(path, [Mistake(what, line=line, suggestion="keep one of them")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.problem, error.context) if part)
        raise Mistakes(path, [Mistake(f"no YAML: {what}", line=mark.line + 1 if mark else 0)]) from error
    except YAMLError as error:
        raise Mistakes(path, [Mistake(f"no YAML: {error}")]) from error


def _mistake(detail: ErrorDetails, tree: CommentedMap, model: type[BaseModel]) -> Mistake:
    """One of pydantic's findings in the words of the person who wrote the file."""
    where = tuple(part for part in detail["loc"] if _is_there(tree, detail["loc"], part))
    what, suggestion = detail["msg"], ""
    if detail["type"] == "extra_forbidden":
        where = detail["loc"]
        what = f"unknown key {detail['loc'][-1]!r}"
        known = detail.get("ctx", {}).get("known") or _keys(model, detail["loc"][:-1])
        suggestion = did_you_mean(detail["loc"][-1], known)
    elif detail["type"] == "missing":
        where = (*where, detail["loc"][-1])
        what = f"{detail['loc'][-1]!r} is missing"
    elif "; " in what:
        what, suggestion = what.split("; ", 1)
    elif detail["type"].endswith(("_type", "_parsing")):
        what = f"{what.removeprefix('Input ').removeprefix('should be')}".split(",")[0].strip()
        what = f"{detail['input']!r} should be {what}"
    elif detail["type"] in ("literal_error", "enum"):
        what = f"{detail['input']!r} is not possible"
        suggestion = f"possible: {detail['ctx'].get('expected', '')}"
    return Mistake(what, dotted(where), line_of(tree, where), suggestion)


def _is_there(tree: Any, where: Sequence[str | int], part: str | int) -> bool:
    """Whether a part of pydantic's path is one of the file's, not the name of a branch of a union."""
    for step in where:
        if isinstance(tree, CommentedMap) and any(str(key) == str(step) for key in tree):
            tree = next(value for key, value in tree.items() if str(key) == str(step))
        elif isinstance(tree, CommentedSeq) and isinstance(step, int) and step < len(tree):
            tree = tree[step]
        elif step is part:
            return False
        if step is part:
            return True
    return True


def _unique(mistakes: Iterable[Mistake]) -> list[Mistake]:
    return list(dict.fromkeys(mistakes))


def _keys(model: Any, where: Sequence[str | int]) -> set[str]:
    """The keys that are possible at a path of a model."""
    here = [model]
    for part in where:
        here = [child for one in here for child in _children(one, part)]
    return {key for one in here for key in _fields(one)}


def _fields(kind: Any) -> Iterable[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def _children(kind: Any, part: str | int) -> Iterable[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found = [field for name, field in kind.model_fields.items() if (field.alias or name) == part]
        return [leaf for field in found for leaf in _leaves(field.annotation)]
    if get_origin(kind) in (dict, list, tuple):
        return list(_leaves(get_args(kind)[-1]))
    return []


def _leaves(kind: Any) -> Iterable[Any]:
    """A type, or the members of a union."""
    if get_origin(kind) in (Union, UnionType):
        return [leaf for member in get_args(kind) for leaf in _leaves(member)]
    if hasattr(kind, "__metadata__"):
        return _leaves(get_args(kind)[0])
    return [kind]
