"""The routes: what tornado serves and what openapi.json describes are made from this one table."""

import logging
import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from tornado.web import Application, RequestHandler

from beamhub.catalog import records
from beamhub.processing.access import INGEST, READ, WRITE
from beamhub.processing.api import again, batches, changes, events, files, functions, health, results, runs
from beamhub.processing.api.handler import ApiHandler, Service, Unknown
from beamhub.processing.sources.http import CloudEvent

log = logging.getLogger(__name__)
Answer = type[BaseModel] | str | None


@dataclass(frozen=True)
class Route:
    """One request: its path below ``api/v1/``, its handler, and what openapi.json says of it."""

    method: str
    path: str
    handler: type[ApiHandler]
    summary: str
    answer: Answer
    body: type[BaseModel] | None = None
    scope: str = READ
    status: int = 200


ROUTES = (
    Route("GET", "runs", runs.Runs, "A page of runs", records.Page[records.Run]),
    Route(
        "POST",
        "runs",
        runs.Runs,
        "Runs again, with other parameters",
        records.Page[records.Run],
        again.Again,
        WRITE,
        201,
    ),
    Route(
        "GET",
        "runs/count",
        runs.RunCount,
        "How many runs match, and what can be expected",
        records.CountByState,
    ),
    Route("GET", "runs/{id}", runs.OneRun, "One run in full", records.Run),
    Route("POST", "runs/{id}/cancel", runs.CancelRun, "Cancel a queued or running run", records.Run, None, WRITE),
    Route("POST", "runs/{id}/release", runs.ReleaseRun, "Let a run out of quarantine", records.Run, None, WRITE),
    Route("GET", "requests/{name}", batches.OneRequest, "How far what was asked for again is", records.Batch),
    Route(
        "POST",
        "requests/{name}/cancel",
        batches.CancelRequest,
        "Cancel what still waits of it",
        records.Batch,
        None,
        WRITE,
    ),
    Route("GET", "files", files.Files, "The newest files", records.Page[records.File]),
    Route("GET", "files/explain", files.ExplainFile, "Why a file was or was not processed", records.Explanation),
    Route("GET", "files/{id}", files.OneFile, "One file version with its runs", records.File),
    Route(
        "GET",
        "results/{id}/file",
        results.ResultFile,
        "The output file, whole or a range",
        "application/x-hdf5",
    ),
    Route("HEAD", "results/{id}/file", results.ResultFile, "The output file's size", "application/x-hdf5"),
    Route("GET", "results/{id}/preview.png", results.Preview, "A picture of the result", "image/png"),
    Route("GET", "results/{id}/image", results.Image, "A picture of its image, as asked", "image/png"),
    Route("GET", "results/{id}/pixels", results.Pixels, "Values of its image", records.Pixels),
    Route("GET", "results/{id}/plot", results.DefaultPlot, "The default plot's arrays", records.Plot),
    Route("GET", "functions", functions.Functions, "What can be asked for", records.Page[records.Function]),
    Route("GET", "rules", functions.Rules, "For which files which function runs", records.Page[records.Rule]),
    Route(
        "POST",
        "rules/{name}/pause",
        functions.PauseRule,
        "Hold a rule back",
        records.Rule,
        functions.Pause,
        WRITE,
    ),
    Route("GET", "proposals", functions.Proposals, "The proposals that can be seen", records.Proposals),
    Route("GET", "headings", functions.Headings, "What the runs have", records.Headings),
    Route("GET", "changes", changes.Changes, "The change feed", "text/event-stream"),
    Route("POST", "events", events.Events, "CloudEvents of files", None, CloudEvent, INGEST),
    Route("GET", "health", health.Health, "Whether the service is well", None, scope=""),
    Route("GET", "metrics", health.Metrics, "Numbers for Prometheus", "text/plain"),
    Route("GET", "openapi.json", health.OpenApi, "This description", None, scope=""),
)
PARTS = {"id": r"(\d{1,40})", "name": r"([^/]+)"}


def application(service: Service, prefix: str, **settings: Any) -> Application:
    """The tornado application of all routes below ``<prefix>api/v1/``."""
    handlers: dict[str, type[ApiHandler]] = {route.path: route.handler for route in ROUTES}
    base = re.escape(prefix + "api/v1/")
    table: list[Any] = [
        (f"{base}{_pattern(path)}", handler, {"service": service}) for path, handler in handlers.items()
    ]
    return Application(
        table,
        default_handler_class=Unknown,
        default_handler_args={"service": service},
        log_function=_log,
        compress_response=False,
        **settings,
    )


def _log(handler: RequestHandler) -> None:
    """Count a request, and tell of those that change something or fail."""
    request, status = handler.request, handler.get_status()
    if isinstance(handler, ApiHandler) and not isinstance(handler, changes.Changes):
        name = type(handler).__name__
        handler.service.metrics.requests.labels(request.method, name, status).observe(request.request_time())
    told = {"method": request.method, "path": request.path, "status": status, "ms": round(request.request_time() * 1e3)}
    told["user"] = getattr(getattr(handler, "identity", None), "name", "")
    level = logging.WARNING if status >= 500 else logging.INFO if request.method == "POST" else logging.DEBUG
    log.log(level, "%s %s: %d", request.method, request.path, status, extra=told)


def _pattern(path: str) -> str:
    parts = re.split(r"\{(\w+)\}", path)
    return "".join(PARTS[part] if number % 2 else re.escape(part) for number, part in enumerate(parts))
