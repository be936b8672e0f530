"""What ``beamhub check`` finds in what rules ask of functions."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from beamhub.config.document import Where
from beamhub.config.mistakes import did_you_mean
from beamhub.processing.library import Library


class Asked(Protocol):
    """Of a rule: its function, and the parameters that it gives."""

    @property
    def function(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...


def mistakes(places: Sequence[Path], rules: Mapping[str, Asked]) -> Iterable[tuple[Where, str, str]]:
    """Path in the configuration, what is wrong, and what to do, of each.

    The functions are imported, in a process of their own.

    Args:
        places: folders and modules of functions.
        rules: by name.
    """
    with tempfile.TemporaryDirectory(prefix="beamhub-check-") as copies:
        library = Library(places, Path(copies))
        library.refresh()
    known = {function.name: function for function in library.functions()}
    for name, rule in rules.items():
        function = known.get(rule.function)
        if function is None:
            if not library.mistakes:  # else it may be in what cannot be imported
                at: Where = ("rules", name, "function")
                yield at, f"there is no function {rule.function!r}", did_you_mean(rule.function, known)
            continue
        properties = function.parameters.get("properties", {})
        for parameter in rule.parameters.keys() - properties.keys():
            at = ("rules", name, "with", parameter)
            yield at, f"{rule.function} has no parameter {parameter!r}", did_you_mean(parameter, properties)
