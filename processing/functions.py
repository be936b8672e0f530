"""``@function``: turns a plain Python function into one that rules can name.

Everything a function module needs is here, and importing it is cheap: no array library, no HDF5, no scheduler.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from beamhub.catalog.records import Scalar
from beamhub.config.quantities import parse_duration, parse_size

__all__ = ["DataError", "Definition", "Scalar", "Summary", "WrongFunction", "definition_of", "function"]

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
Number = TypeVar("Number", int, float)
_MARK = "__beamhub_function__"


class DataError(Exception):
    """The raw file is not what the function needs; raise it with a sentence that says what is missing.

    The run is tried once more after the storage's settle time, in case the file was still being written.
    """


class WrongFunction(TypeError):
    """A function cannot be used as it is written; the message says what to write instead."""


class Summary(BaseModel):
    """What a function returns: the numbers that the table shows beside the file.

    A value that is not finite is kept as "no value" with the reason.

    >>> Summary(scalars={"counts": Scalar(value=2.6e6)}).scalars["counts"].value
    2600000.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    scalars: dict[str, Scalar] = {}


@dataclass(frozen=True)
class Definition:
    """What ``@function`` found out about a function: its bounds, and the model of its parameters."""

    name: str
    title: str
    version: str
    description: str
    timeout_s: float
    memory_bytes: int
    parameters: type[BaseModel]

    def schema(self) -> dict[str, Any]:
        """The parameters as a JSON schema; a parameter that is a path has ``"format": "path"``."""
        return self.parameters.model_json_schema()


def function(
    *, title: str = "", version: str, timeout: str | float = "60s", memory: str | int = "2G"
) -> Callable[[AnyFunction], AnyFunction]:
    """Offer a function to rules: ``(raw: Path, out: Path, *parameters) -> Summary``.

    The function reads ``raw`` and writes the file ``out`` (NeXus/HDF5). It can still be called as usual.

    Args:
        title: what people read in the table; the name in words if empty.
        version: changes when the meaning of the result changes.
        timeout: longest time one execution may take, such as ``"90s"`` or ``"5m"``, or seconds.
        memory: what one execution may use above the bare process, such as ``"2G"``, or bytes.

    Raises:
        WrongFunction: the signature, a type, the timeout or the memory cannot be used.
    """

    def mark(call: AnyFunction) -> AnyFunction:
        name = call.__name__
        definition = Definition(
            name=name,
            title=title or name.replace("_", " ").capitalize(),
            version=str(version),
            description=inspect.getdoc(call) or "",
            timeout_s=_quantity(parse_duration, timeout, f"timeout of {name}"),
            memory_bytes=_quantity(parse_size, memory, f"memory of {name}"),
            parameters=_parameters(call),
        )
        setattr(call, _MARK, definition)
        return call

    return mark


def definition_of(call: object) -> Definition | None:
    """What ``@function`` noted at this object; None for anything else."""
    found = getattr(call, _MARK, None)
    return found if isinstance(found, Definition) else None


def _quantity(parse: Callable[[object], Number], value: object, what: str) -> Number:
    try:
        return parse(value)
    except ValueError as exc:
        raise WrongFunction(f"{what}: {exc}.") from None


def _parameters(call: Callable[..., Any]) -> type[BaseModel]:
    """Build the model of all parameters after ``raw`` and ``out``."""
    signature = list(inspect.signature(call).parameters.values())
    if [p.name for p in signature[:2]] != ["raw", "out"]:
        raise WrongFunction(
            f"{call.__name__}: its first two parameters must be raw and out. "
            f"Write: def {call.__name__}(raw: Path, out: Path, ...) -> Summary"
        )
    types = _types(call)
    fields = {p.name: _field(call.__name__, p, types) for p in signature[2:]}
    config = ConfigDict(frozen=True, extra="forbid", title=call.__name__)
    model: type[BaseModel] = create_model(call.__name__, __config__=config, **fields)
    return model


def _types(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(call, include_extras=True)
    except NameError as exc:
        raise WrongFunction(
            f"{call.__name__}: the type {exc.name!r} is not imported when the module runs. "
            "Import it at the top of the module, not only for type checkers."
        ) from exc


def _field(name: str, parameter: inspect.Parameter, types: dict[str, Any]) -> Any:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise WrongFunction(f"{name}: {parameter} cannot be filled in by a rule. Name each parameter.")
    if parameter.name not in types:
        raise WrongFunction(
            f"{name}: parameter {parameter.name} has no type. Write for instance {parameter.name}: float = 1.0"
        )
    default = ... if parameter.default is parameter.empty else parameter.default
    return types[parameter.name], default


def paths_in(parameters: BaseModel) -> dict[str, Path]:
    """Which parameters name a file (a mask, a calibration), by parameter."""
    return {name: value for name, value in parameters if isinstance(value, Path)}
