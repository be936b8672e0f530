"""Tasks and their ends as JSON text: how they pass between the service, its workers and their children.

JSON and not pickle: what a user's process sends back is data, checked here, and never code.
"""

from typing import TypeAlias

from pydantic import TypeAdapter

from beamhub.processing.work import Failure, Outcome, Task

End: TypeAlias = Outcome | Failure
_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_END: TypeAdapter[End] = TypeAdapter(End)


def task_text(task: Task) -> str:
    """Write a task; :func:`read_task` reads it."""
    return _TASK.dump_json(task).decode()


def read_task(text: str | bytes) -> Task:
    """Read what :func:`task_text` wrote.

    Raises:
        pydantic.ValidationError: it is something else.
    """
    return _TASK.validate_json(text)


def end_text(end: End) -> str:
    """Write an outcome or a failure; :func:`read_end` reads it."""
    return _END.dump_json(end).decode()


def read_end(text: str | bytes) -> End:
    """Read what :func:`end_text` wrote.

    Raises:
        pydantic.ValidationError: it is something else.
    """
    return _END.validate_json(text)
