"""Importing one exact version of the functions; runs only in a child process, never in the service."""

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from beamhub.processing.digest import digest_of_copy
from beamhub.processing.functions import Definition, WrongFunction, definition_of


def load(copy: Path, digest: str) -> None:
    """Make the modules of this copy importable, and only them.

    Raises:
        WrongFunction: what lies there is not what ``digest`` names.
    """
    if str(copy) in sys.path:
        return
    found = digest_of_copy(copy)
    if found != digest:
        raise WrongFunction(f"the copy of the functions in {copy} was changed: its digest is {found}, not {digest}.")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(copy))


def import_module(path: Path) -> ModuleType:
    """Import the module that this file is.

    Raises:
        WrongFunction: another module of that name is already there.
    """
    module = importlib.import_module(path.stem)
    if not module.__file__ or Path(module.__file__).resolve() != path.resolve():
        raise WrongFunction(
            f"{path.name} has the name of a module that is installed ({module.__file__ or 'built in'}). "
            "Rename the file."
        )
    return module


def functions_in(module: ModuleType) -> list[tuple[Definition, Any]]:
    """The functions that this module itself defines, in the order of their names."""
    marked = [(definition_of(item), item) for item in vars(module).values()]
    own = [(d, item) for d, item in marked if d is not None and item.__module__ == module.__name__]
    return sorted(own, key=lambda pair: pair[0].name)


def find(path: Path, name: str) -> tuple[Definition, Any]:
    """One function of a module by its name.

    Raises:
        WrongFunction: there is none of that name.
    """
    for definition, call in functions_in(import_module(path)):
        if definition.name == name:
            return definition, call
    raise WrongFunction(f"{path.name} has no function {name}.")


def place_of(call: Any) -> str:
    """Where a function is defined, in the form of a traceback's line; empty where that is not known."""
    try:
        lines, first = inspect.getsourcelines(call)
        at = next(number for number, line in enumerate(lines) if line.lstrip().startswith(("def ", "async def ")))
    except (OSError, TypeError, StopIteration):
        return ""
    return f"{Path(inspect.getsourcefile(call) or '').name}:{first + at} in {call.__name__}: {lines[at].strip()}"


def describe(copy: Path, digest: str) -> dict[str, Any]:
    """What each module offers, and for each that does not import the mistake with file and line."""
    load(copy, digest)
    offered: list[dict[str, Any]] = []
    mistakes: dict[str, str] = {}
    for path in sorted(copy.glob("*.py")):
        try:
            found = functions_in(import_module(path))
            offered += [_described(definition, path) for definition, _ in found]
        except BaseException as exc:  # whatever a stranger's module raises is its mistake, also SystemExit
            mistakes[path.name] = mistake(exc, copy)
    return {"functions": offered, "mistakes": mistakes}


def _described(definition: Definition, path: Path) -> dict[str, Any]:
    return {
        "module": path.name,
        "name": definition.name,
        "title": definition.title,
        "version": definition.version,
        "description": definition.description,
        "parameters": definition.schema(),
        "timeout_s": definition.timeout_s,
        "memory_bytes": definition.memory_bytes,
    }


def mistake(exc: BaseException, copy: Path) -> str:
    """Say why a module does not import, in the form ``file:line: what``."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{_below(exc.filename, copy)}:{exc.lineno}: {exc.msg}"
    own = [frame for frame in traceback.extract_tb(exc.__traceback__) if is_within(frame.filename, copy)]
    place = f"{_below(own[-1].filename, copy)}:{own[-1].lineno}: " if own else ""
    return f"{place}{type(exc).__name__}: {exc}"


def is_within(filename: str, copy: Path) -> bool:
    """Whether a frame belongs to the user's own modules."""
    return Path(filename).is_relative_to(copy)


def _below(filename: str, copy: Path) -> Path:
    return Path(filename).relative_to(copy) if is_within(filename, copy) else Path(Path(filename).name)
