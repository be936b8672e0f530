"""What a model found wrong, in the words of the person who wrote the file."""

from collections.abc import Iterable, Sequence
from datetime import date
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from beamhub.config.mistakes import did_you_mean

LONGEST = 60  # characters of a value that are told
_KINDS = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping",
    "model": "a mapping",
    "string": "text",
}


def words(detail: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, and what to write instead (may be empty).

    Args:
        detail: one of pydantic's findings.
        model: what the whole file is read as; its keys are what is suggested.
    """
    where, kind, said = detail["loc"], detail["type"], detail["msg"].removeprefix("Value error, ")
    told = detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key {where[-1]!r}", did_you_mean(where[-1], told.get("known") or _keys(model, where[:-1]))
    if kind == "missing":
        return f"{where[-1]!r} is missing", f"write {where[-1]}: …"
    if kind in ("literal_error", "enum"):
        return f"{written(detail['input'])} is not possible", f"possible: {told.get('expected', '')}"
    if said.startswith("Input should"):
        wanted = _KINDS.get(kind.split("_")[0]) if kind.endswith(("_type", "_parsing", "_from_float")) else None
        remedy = "put it in quotes" if kind == "string_type" and isinstance(detail["input"], int | float | date) else ""
        said = f"should be {wanted}" if wanted else said.removeprefix("Input ").split(",")[0]
        return f"{written(detail['input'])} {said}", remedy
    what, _, remedy = said.partition("; ")
    return what, remedy


def written(value: Any) -> str:
    """A value as it stands in the file, shortened.

    >>> written(None), written(True), written("soon"), written({})
    ('nothing', 'true', "'soon'", 'a mapping')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


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
