"""Provenance in the output file: an NXprocess group in its default entry."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from beamhub.processing import nexus
from beamhub.processing.functions import paths_in
from beamhub.processing.spelling import spelled
from beamhub.processing.work import Task

if TYPE_CHECKING:
    from beamhub.processing.outputs import Execution

GROUP = "beamhub"


def add_provenance(entry: h5py.Group, task: Task, execution: "Execution") -> None:
    """Write who made this file out of what: ``NXprocess`` with an ``NXnote`` (JSON) and ``NXparameters``.

    ``sequence_index`` follows the highest one of the entry's own NXprocess groups.
    """
    index = 1 + max(map(_sequence_index, nexus.groups_in(entry)), default=0)
    name = GROUP if GROUP not in entry else f"{GROUP}_{index}"
    process = nexus.create_group(entry, name, "NXprocess")
    process["program"] = "BeamHub"
    process["version"] = version("beamhub")
    process["date"] = execution.finished.isoformat()
    process["sequence_index"] = index
    note = nexus.create_group(process, "provenance", "NXnote")
    note["type"] = "application/json"
    note["data"] = json.dumps(provenance(task, execution), default=str)
    values = nexus.create_group(process, "parameters", "NXparameters")
    for key, value in execution.parameters.model_dump(mode="json").items():
        values[key] = value if isinstance(value, bool | int | float | str) else json.dumps(value)


def provenance(task: Task, execution: "Execution") -> dict[str, Any]:
    """What is known of one execution; the service's own part (file version, rule, cause) is in ``task.provenance``."""
    return {
        **task.provenance,
        "run": task.run,
        "attempt": task.attempt,
        "function": task.function,
        "function_version": execution.definition.version,
        "function_digest": task.digest,
        "parameters": execution.parameters.model_dump(mode="json"),
        "parameter_files": {name: _checksum(path) for name, path in paths_in(execution.parameters).items()},
        "raw": spelled(str(task.raw)),
        "started": execution.started.isoformat(),
        "finished": execution.finished.isoformat(),
    }


def _checksum(path: Path) -> str:
    if not path.is_file():
        return "not a file"
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _sequence_index(group: h5py.Group) -> int:
    found = group.get("sequence_index") if nexus.class_of(group) == "NXprocess" else None
    return int(nexus.single(found) or 0) if isinstance(found, h5py.Dataset) and found.dtype.kind in "iu" else 0
