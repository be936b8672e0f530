"""Rules: which runs a file causes, and why; pure decisions over paths."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from beamhub.catalog.records import Function
from beamhub.processing.settings import RuleSettings, StorageSettings
from beamhub.processing.work import PlannedRun

FindFunction = Callable[[str], Function | None]
_FIELD = re.compile(r"\\{(\w+)\\}")


@dataclass(frozen=True)
class Verdict:
    """Whether a rule takes a file, and the reason as a sentence."""

    rule: str
    takes: bool
    reason: str


def verdict(name: str, rule: RuleSettings, storage: str, path: str) -> Verdict:
    """Decide whether one rule takes one file."""
    if storage != rule.when.storage:
        return Verdict(name, False, f"it is for storage {rule.when.storage}, the file is in {storage}")
    if not pattern(rule.when.path).fullmatch(path):
        return Verdict(name, False, f"the path does not match {rule.when.path}")
    return Verdict(name, True, f"the path matches {rule.when.path}")


def planned(rules: Mapping[str, RuleSettings], find: FindFunction, storage: str, path: str) -> tuple[PlannedRun, ...]:
    """The runs that a file causes: one for each rule that takes it, with the function's version in force."""
    return tuple(
        _plan(name, rule, find(rule.function))
        for name, rule in rules.items()
        if verdict(name, rule, storage, path).takes
    )


def columns(rules: Mapping[str, RuleSettings], storage: str, path: str) -> dict[str, str]:
    """Which columns are to be read from a file, and from where in it; the first rule that takes it wins."""
    found: dict[str, str] = {}
    for name, rule in rules.items():
        if verdict(name, rule, storage, path).takes:
            found = rule.columns | found
    return found


def fields(storage: StorageSettings, path: str) -> dict[str, str]:
    """What the storage's layout reads from a path: ``proposal`` and others; empty where the path is too short.

    >>> from pathlib import Path
    >>> fields(StorageSettings(root=Path("/raw"), layout="{beamline}/{proposal}"), "p03/11006262/scan_1/a.nxs")
    {'beamline': 'p03', 'proposal': '11006262'}
    """
    parts = PurePosixPath(path).parts
    layout = PurePosixPath(storage.layout).parts
    if len(parts) <= len(layout):
        layout = layout[: max(len(parts) - 1, 0)]
    found = _layout("/".join(layout)).fullmatch("/".join(parts[: len(layout)]))
    return found.groupdict() if found else {}


@lru_cache(maxsize=1000)
def pattern(glob: str) -> re.Pattern[str]:
    """A path pattern: ``*`` and ``?`` within a name, ``[abc]``, ``**`` over any number of folders.

    >>> [bool(pattern("*/scan_*/**/*.nxs").fullmatch(p)) for p in ("a/scan_1/x.nxs", "a/scan_1/b/c/x.nxs", "a/x.nxs")]
    [True, True, False]
    """
    text, rest = "", glob
    while rest:
        if rest.startswith("**/"):
            text, rest = text + r"(?:[^/]+/)*", rest[3:]
        elif rest.startswith("**"):
            text, rest = text + r".*", rest[2:]
        elif found := re.match(r"\[(!?)([^\]/]+)\]", rest):
            inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", found[2])
            text, rest = text + f"[{'^/' if found[1] else ''}{inside}]", rest[found.end() :]
        else:
            text, rest = text + {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])), rest[1:]
    return re.compile(text, re.DOTALL)


@lru_cache(maxsize=1000)
def _layout(layout: str) -> re.Pattern[str]:
    return re.compile(_FIELD.sub(r"(?P<\1>[^/]+)", re.escape(layout)), re.DOTALL)


def _plan(name: str, rule: RuleSettings, function: Function | None) -> PlannedRun:
    return PlannedRun(
        rule=name,
        function=rule.function,
        parameters=dict(rule.parameters),
        digest=function.digest if function else "",
        version=function.version if function else "",
    )
