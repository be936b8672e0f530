"""openapi.json, made from the routes and the records: ``python -m beamhub.processing.openapi`` writes it."""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from beamhub.catalog.records import Problem
from beamhub.processing.api.results import SIZES, WIDTHS
from beamhub.processing.api.routes import ROUTES, Route
from beamhub.processing.api.runs import LONGEST_KEY, STATES
from beamhub.processing.colours import MAPS, SCALES
from beamhub.processing.query import LARGEST_ID, LARGEST_PAGE, LONGEST_TEXT, SORTS
from beamhub.processing.sources.http import MOST_EVENTS

REFERENCE = "#/components/schemas/{model}"
NUMBER = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
QUERY: dict[str, dict[str, Any]] = {
    "proposal": {"type": "array", "items": TEXT},
    "function": TEXT,
    "rule": TEXT,
    "state": {"enum": list(STATES)},
    "text": {"type": "string", "maxLength": LONGEST_TEXT},
    "search": {"type": "string", "maxLength": LONGEST_TEXT},
    "zone": TEXT,
    "since": TIME,
    "until": TIME,
    "ids": {"type": "string", "pattern": r"^\d+(,\d+)*$"},
    "file": NUMBER,
    "sort": {"type": "string", "pattern": f"^-?({'|'.join(SORTS)}|(scalar|column|parameter):.+)$"},
    "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
    "after": TEXT,
    "before": TEXT,
    "at": NUMBER,
    "path": {"type": "string", "minLength": 1},
    "frame": NUMBER,
    "scale": {"enum": list(SCALES)},
    "low": {"type": "number"},
    "high": {"type": "number"},
    "colours": {"enum": list(MAPS)},
    "x": NUMBER,
    "y": NUMBER,
    "size": {"type": "integer", "minimum": SIZES[0], "maximum": SIZES[1]},
    "width": {"type": "integer", "minimum": WIDTHS[0], "maximum": WIDTHS[1]},
}
REFUSALS = {
    "400": "What was sent cannot be understood",
    "401": "The Hub does not know the token",
    "403": "The token lacks a scope, or it is not for this asker",
    "404": "There is no such thing that the asker may see",
    "409": "It is in a state in which this cannot be done",
    "413": "More was sent than is taken",
    "416": "The range lies outside of the file",
    "503": "A part of the service does not answer",
}


def document() -> dict[str, Any]:
    """The description of the API."""
    models = {route.answer for route in ROUTES if isinstance(route.answer, type)}
    models |= {route.body for route in ROUTES if route.body} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    references, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    named = {model: references[(model, "validation")] for model in ordered}
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault("/" + route.path, {})[route.method.lower()] = _operation(route, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "BeamHub processing", "version": version("beamhub")},
        "servers": [{"url": "/services/beamhub/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "a token of the Hub"}},
        },
    }


def _operation(route: Route, named: dict[type[BaseModel], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if isinstance(route.answer, type):
        content = {"application/json": {"schema": named[route.answer]}}
    elif isinstance(route.answer, str):
        content = {route.answer: {}}
    problem = {"application/json": {"schema": named[Problem]}}
    answers = {str(route.status): {"description": route.summary, "content": content}}
    answers |= {code: {"description": text, "content": problem} for code, text in REFUSALS.items()}
    if route.method == "POST" and route.path == "runs":
        told = {"type": "object", "required": ["count", "seconds"]}
        answers["200"] = {"description": "dry_run: how many", "content": {"application/json": {"schema": told}}}
    if route.path.endswith("/file"):
        answers["206"] = {"description": "A range of the file", "content": content}
    operation: dict[str, Any] = {"summary": route.summary, "responses": answers, "parameters": _parameters(route)}
    operation["description"] = f"Needs the scope {route.scope}." if route.scope else "Anybody may ask."
    operation["security"] = [{"token": []}] if route.scope else []
    if route.body:
        operation["requestBody"] = {"required": True, "content": _body(route, named[route.body])}
    return operation


def _body(route: Route, schema: Any) -> dict[str, Any]:
    if route.path != "events":
        return {"application/json": {"schema": schema}}
    batch = {"type": "array", "items": schema, "maxItems": MOST_EVENTS}
    return {
        "application/cloudevents+json": {"schema": schema},
        "application/cloudevents-batch+json": {"schema": batch},
    }


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in route.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": NUMBER})
    if "{name}" in route.path:
        found.append({"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}})
    for name in route.handler.known if route.method == "GET" else ():
        found.append({"name": name, "in": "query", "required": name == "path", "schema": QUERY[name]})
    if route.path == "runs" and route.method == "POST":
        key = {"type": "string", "maxLength": LONGEST_KEY}
        found.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    return found


def text() -> str:
    """The file's content."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    target = Path(__file__).with_name("openapi.json")
    target.write_text(text())
    sys.stdout.write(f"wrote {target}\n")
