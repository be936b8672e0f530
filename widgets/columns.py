"""The columns of the static table: named as in the page (columns.ts), with the same headings."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any

from beamhub.catalog.records import Run

OF_FILE, SCALARS = 3, 4  # as many are shown where nobody chose
FIXED = ("scan", "when", "written", "file", "function", "state", "rule")
NAMED = ("file", "scalar", "parameter")


def usual(runs: Sequence[Run]) -> list[str]:
    """The keys of what is shown where nobody chose."""
    scan = ["scan"] if any(scan_of(run) for run in runs) else []
    of_file = [f"file:{name}" for name in _names(run.columns for run in runs)[:OF_FILE]]
    scalars = [f"scalar:{name}" for name in _names(run.scalars for run in runs)[:SCALARS]]
    return [*scan, "when", "file", "function", "state", *of_file, *scalars]


def known(keys: Iterable[str]) -> list[str]:
    """Those keys that are text here: not what is only drawn, and nothing that no column is called."""
    return [key for key in keys if key in FIXED or (key.partition(":")[0] in NAMED and key.partition(":")[2])]


def title(key: str, runs: Sequence[Run]) -> str:
    """A heading, of results with the unit."""
    kind, _, name = key.partition(":")
    unit = next((run.scalars[name].unit for run in runs if name in run.scalars), "") if kind == "scalar" else ""
    return f"{name} / {unit}" if unit else name or key


def cell(key: str, run: Run, zone: tzinfo) -> str:
    """What stands in a column of a run; times are those of a zone."""
    kind, _, name = key.partition(":")
    if kind == "scalar":
        return _scalar(run, name)
    if name:
        return _text((run.columns if kind == "file" else run.parameters).get(name))
    times = {"when": _time(run.queued, zone), "written": _time(run.file.time, zone)}
    texts = {"scan": scan_of(run), "file": run.file.name, "function": run.title or run.function}
    return {**times, **texts, "state": run.state, "rule": run.rule or ""}[key]


def scan_of(run: Run) -> str:
    """The folder that its file lies in; empty where that is the proposal's, or none."""
    folder = run.file.path.rpartition("/")[0].rpartition("/")[2]
    return "" if folder == run.proposal else folder


def _time(moment: datetime, zone: tzinfo) -> str:
    try:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    except OverflowError:  # on the first or the last day that there is
        return f"{moment:%Y-%m-%d %H:%M:%S}"


def _names(found: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in found for name in names))


def _scalar(run: Run, name: str) -> str:
    scalar = run.scalars.get(name)
    return "" if scalar is None else "–" if scalar.value is None else f"{scalar.value:.4g}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.12g}" if isinstance(value, float) else json.dumps(value)
