"""Each request of the service's API, defined once: what is sent, and what the answer is read as."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

from beamhub.catalog.records import (
    Batch,
    CountByState,
    Explanation,
    Extent,
    File,
    Function,
    Heading,
    Page,
    Pixels,
    Plot,
    Proposal,
    Rule,
    Run,
)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """One request: ``path`` is below ``api/v1/``; ``read`` makes the answer of the body's bytes."""

    method: str
    path: str
    read: Callable[[bytes], Answer]
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def runs(**query: Any) -> Request[Page[Run]]:
    """A page of runs; ``query`` as in the API: proposal (one or several), function, rule, state, text, search with
    zone, since, until, ids, file, sort, limit, and one of after, before, at.
    """
    return Request("GET", "runs", Page[Run].model_validate_json, _query(query))


def run(number: int) -> Request[Run]:
    """One run in full."""
    return Request("GET", f"runs/{int(number)}", Run.model_validate_json)


def count(**query: Any) -> Request[CountByState]:
    """How many runs match, in all and in each state."""
    return Request("GET", "runs/count", CountByState.model_validate_json, _query(query))


def again(
    ids: Iterable[int] | None = None,
    filter: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    function: str | None = None,
    key: str | None = None,
) -> Request[Page[Run]]:
    """Runs again, with other parameters; the same ``key`` asks once however often it is sent.

    Args:
        ids: which runs; or else
        filter: which runs, in the words of :func:`runs` without sort, limit and cursors.
        parameters: those that are to be other than they were.
        function: another function than theirs.
        key: any text of up to 200 characters; a new one each time by default.
    """
    headers = {"Idempotency-Key": key or uuid4().hex}
    body = _again(ids, filter, parameters, function)
    return Request("POST", "runs", Page[Run].model_validate_json, body=body, headers=headers)


def extent(
    ids: Iterable[int] | None = None,
    filter: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    function: str | None = None,
) -> Request[Extent]:
    """How much :func:`again` would be with the same arguments; nothing is started."""
    body = _again(ids, filter, parameters, function) | {"dry_run": True}
    return Request("POST", "runs", Extent.model_validate_json, body=body)


def batch(key: str) -> Request[Batch]:
    """How far the runs are that :func:`again` asked for with this key."""
    return Request("GET", f"requests/{quote(key, safe='')}", Batch.model_validate_json)


def cancel_batch(key: str) -> Request[Batch]:
    """Cancel what still waits of the runs that :func:`again` asked for with this key."""
    return Request("POST", f"requests/{quote(key, safe='')}/cancel", Batch.model_validate_json)


def cancel(number: int) -> Request[Run]:
    """Cancel a queued or running run."""
    return Request("POST", f"runs/{int(number)}/cancel", Run.model_validate_json)


def release(number: int) -> Request[Run]:
    """Let a run out of quarantine."""
    return Request("POST", f"runs/{int(number)}/release", Run.model_validate_json)


def files(**query: Any) -> Request[Page[File]]:
    """The newest files."""
    return Request("GET", "files", Page[File].model_validate_json, _query(query))


def file(number: int) -> Request[File]:
    """One file version with its runs."""
    return Request("GET", f"files/{int(number)}", File.model_validate_json)


def explain(path: str) -> Request[Explanation]:
    """Why a file was or was not processed."""
    return Request("GET", "files/explain", Explanation.model_validate_json, (("path", path),))


def functions() -> Request[list[Function]]:
    """What can be asked for."""
    return Request("GET", "functions", _items(Function))


def rules() -> Request[list[Rule]]:
    """For which files which function runs."""
    return Request("GET", "rules", _items(Rule))


def pause(rule: str, paused: bool = True) -> Request[Rule]:
    """Hold a rule's new runs back, or let them go on."""
    path = f"rules/{quote(rule, safe='')}/pause"
    return Request("POST", path, Rule.model_validate_json, body={"paused": paused})


def proposals() -> Request[list[Proposal]]:
    """The proposals that can be seen."""
    return Request("GET", "proposals", _items(Proposal))


def headings(**query: Any) -> Request[list[Heading]]:
    """What the runs of some proposals have: columns of the file, parameters, scalars."""
    return Request("GET", "headings", _items(Heading), _query(query))


def plot(number: int) -> Request[Plot]:
    """The default plot of a run's result."""
    return Request("GET", f"results/{int(number)}/plot", Plot.model_validate_json)


def preview(number: int, width: int | None = None) -> Request[bytes]:
    """A picture of a run's result, PNG."""
    return Request("GET", f"results/{int(number)}/preview.png", bytes, _query({"width": width}))


def image(number: int, **query: Any) -> Request[bytes]:
    """A picture of the image in a run's output, PNG; ``query``: frame, width, scale, low, high, colours."""
    return Request("GET", f"results/{int(number)}/image", bytes, _query(query))


def pixels(number: int, x: int, y: int, size: int = 32, frame: int = 0) -> Request[Pixels]:
    """``size`` by ``size`` (at most 64) values of the image in a run's output from column ``x`` and row ``y`` on."""
    query = _query({"x": x, "y": y, "size": size, "frame": frame})
    return Request("GET", f"results/{int(number)}/pixels", Pixels.model_validate_json, query)


def result_file(number: int, begin: int = 0, end: int | None = None) -> Request[bytes]:
    """The bytes of a run's output from ``begin`` to before ``end``."""
    last = "" if end is None else str(end - 1)
    return Request("GET", f"results/{int(number)}/file", bytes, headers={"Range": f"bytes={begin}-{last}"})


def _again(
    ids: Iterable[int] | None,
    filter: Mapping[str, Any] | None,
    parameters: Mapping[str, Any] | None,
    function: str | None,
) -> dict[str, Any]:
    body: dict[str, Any] = {"parameters": dict(parameters or {})}
    body |= {"ids": [int(number) for number in ids]} if ids is not None else {}
    body |= {"filter": {name: _plain(value) for name, value in filter.items()}} if filter is not None else {}
    return body | ({"function": function} if function else {})


def _query(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Query parameters as text: None is left out, several proposals are repeated, other lists joined by commas."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        several = value if isinstance(value, list | tuple | set | frozenset) else [] if value is None else [value]
        texts = [str(_plain(one)) for one in several]
        joined = value is not None and name != "proposal"
        pairs += [(name, ",".join(texts))] if joined else [(name, text) for text in texts]
    return tuple(pairs)


def _plain(value: Any) -> Any:
    """A time as text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _items(record: type[Answer]) -> Callable[[bytes], list[Answer]]:
    def read(body: bytes) -> list[Answer]:
        page: Page[Any] = Page[record].model_validate_json(body)  # type: ignore[valid-type]
        return page.items

    return read
