"""Tasks and their ends as JSON text: how they pass between the service, its workers and their children.

JSON and not pickle: what a user's process sends back is data, checked here, and never code.
"""

import json
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ConfigDict, TypeAdapter

from beamhub.processing.spelling import shown
from beamhub.processing.work import Failure, Outcome, Task

End: TypeAlias = Outcome | Failure
LAST = b"!"  # before an answer of a process that is not clean: the last one it gives
# of texts only keys come again: the names of outputs would be kept by the thousands
_END: TypeAdapter[End] = TypeAdapter(End, config=ConfigDict(cache_strings="keys"))


def task_text(task: Task) -> str:
    """Write a task; :func:`read_task` reads it. Names of files may hold any bytes."""
    return json.dumps(vars(task), default=str)


def read_task(text: str | bytes) -> Task:
    """Read what :func:`task_text` wrote; it comes from the service, so it is not checked once more."""
    told: dict[str, Any] = json.loads(text)
    within = Path(told["within"]) if told["within"] else None
    paths = {name: Path(told[name]) for name in ("module_copy", "raw", "folder")}
    return Task(**{**told, **paths, "within": within})


def end_text(end: End) -> str:
    """Write an outcome or a failure; :func:`read_end` reads it. Half characters become question marks."""
    told = json.dumps(_END.dump_python(end), ensure_ascii=False, default=str)
    return shown(told, r"\\x").encode("utf-8", "replace").decode()


def read_end(text: str | bytes) -> End:
    """Read what :func:`end_text` wrote.

    Raises:
        pydantic.ValidationError: it is something else.
    """
    return _END.validate_json(text)
