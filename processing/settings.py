"""processing.yaml: what an operator and a beamline scientist say of storages, access, sources, executors, rules."""

import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from string import Formatter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from beamhub.config.check import Further
from beamhub.config.document import Where
from beamhub.config.kinds import each_of
from beamhub.config.mistakes import did_you_mean
from beamhub.config.quantities import Duration
from beamhub.processing import functions_check, shown

STORES = "write sqlite:///beamhub.db or postgresql+psycopg://user@host/name"
MAX_NAME = 100  # characters; names stand in table cells and in paths


class Part(BaseModel):
    """What all parts of the file share."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class StorageSettings(Part):
    """A file tree with raw data.

    ``layout`` names the leading folders of a path, for instance ``{beamline}/{proposal}/{scan}``; the proposal decides
    who may see what. ``seen`` says where a site's notebook servers find the same tree. ``staff`` is the Hub group that
    sees files without a proposal.
    """

    title: str = ""
    root: Path
    layout: str = "{proposal}"
    instance: str = ""
    seen: dict[str, str] = {}
    staff: str = ""

    @field_validator("root")
    @classmethod
    def _absolute(cls, root: Path, info: ValidationInfo) -> Path:
        return _beside(root, info)

    @field_validator("layout")
    @classmethod
    def _fields(cls, layout: str) -> str:
        names = _checked_fields(layout, "{proposal}/{scan}")
        if len(set(names)) != len(names):
            raise PydanticCustomError(
                "fields", "its fields must be different; write it like {example}", {"example": "{proposal}/{scan}"}
            )
        return layout

    def fields(self) -> list[str]:
        """What the layout reads from a path."""
        return _fields_of(self.layout)


class AccessSettings(Part):
    """Which Hub groups see what: the proposal's own, the beamline's for all its proposals, and who sees everything."""

    proposal_group: str = "{proposal}"
    beamline_groups: dict[str, str] = {}
    all: list[str] = []

    @field_validator("proposal_group")
    @classmethod
    def _fields(cls, group: str) -> str:
        if not _checked_fields(group, "{proposal}-dmgt"):
            raise PydanticCustomError(
                "fields", "one group for all proposals; write it like {example}", {"example": "{proposal}-dmgt"}
            )
        return group


class SourceSettings(Part):
    """A source of events; what else may be said depends on its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str


class FilesystemSettings(SourceSettings):
    """A watched folder: files are complete when closed or moved into place, or unchanged for ``settle``.

    ``rescan`` is the time between two scans for files that nothing told of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    storage: str
    settle: Duration = 2.0
    rescan: Duration | None = None
    ignore: list[str] = ["*.tmp", ".*"]


class Sender(Part):
    """Of which storages, and below which paths, a service may send events."""

    storages: list[str] = []
    prefixes: list[str] = [""]


class HttpSettings(SourceSettings):
    """CloudEvents that services of the Hub post; only those named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    senders: dict[str, Sender] = {}


class ExecutorSettings(Part):
    """Where functions run: Dask on this machine (``workers``), or a scheduler's ``address``."""

    kind: str = "dask"
    workers: int = Field(default=2, ge=1, le=1000)
    address: str = ""


class When(Part):
    """For which files: the storage, and a pattern of the path below its root (``*`` in a name, ``**`` over folders)."""

    storage: str
    path: str = "**"


class RuleSettings(Part):
    """For which files which function runs, with what; ``columns`` are read from the file itself, before it runs.

    ``table`` are the columns that the table of its runs shows at first.
    """

    title: str = ""
    when: When
    function: str
    parameters: dict[str, Any] = Field(default={}, alias="with")
    columns: dict[str, str] = {}
    table: list[str] = []
    executor: str = ""


class Settings(Part):
    """The whole file; relative paths start at its folder."""

    store: str = Field(default="sqlite:///beamhub.db", validate_default=True)
    results: Path = Field(default=Path("results"), validate_default=True)
    storages: dict[str, StorageSettings]
    access: AccessSettings = AccessSettings()
    sources: dict[str, FilesystemSettings | HttpSettings] = {}
    executors: dict[str, ExecutorSettings] = {"here": ExecutorSettings()}
    functions: list[Path] = []
    single_user: bool = False
    rules: dict[str, RuleSettings] = {}

    @field_validator("store")
    @classmethod
    def _url(cls, store: str, info: ValidationInfo) -> str:
        try:
            url = make_url(store)
        except ArgumentError:
            raise PydanticCustomError("store", "no database address; " + STORES) from None
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise PydanticCustomError("store", "only SQLite and PostgreSQL can be used; " + STORES)
        if url.get_backend_name() == "sqlite" and url.database:
            url = url.set(database=str(_beside(Path(url.database), info)))
        return url.render_as_string(hide_password=False)

    @field_validator("results")
    @classmethod
    def _results(cls, results: Path, info: ValidationInfo) -> Path:
        return _beside(results, info)

    @field_validator("functions")
    @classmethod
    def _functions(cls, functions: list[Path], info: ValidationInfo) -> list[Path]:
        return [_beside(path, info) for path in functions]

    @field_validator("sources", mode="before")
    @classmethod
    def _sources(cls, sources: Any, info: ValidationInfo) -> Any:
        return each_of(sources, _source_kind, info.context) if isinstance(sources, dict) else sources

    def mistakes(self) -> Iterable[tuple[Where, str, str]]:
        """What does not fit together."""
        for where in ("storages", "sources", "executors", "rules"):
            yield from _named(where, getattr(self, where))
        if not self.executors:
            yield ("executors",), "there is no executor", "write here: {kind: dask, workers: 2}"
        known = {point.name for point in entry_points(group="beamhub.executors")}
        for name, executor in self.executors.items():
            if executor.kind not in known:
                yield ("executors", name, "kind"), f"unknown kind {executor.kind!r}", did_you_mean(executor.kind, known)
        yield from self._storage_mistakes()
        yield from self._access_mistakes()
        yield from self._source_mistakes()
        yield from self._rule_mistakes()
        for number, path in enumerate(self.functions):
            if not path.exists():
                yield ("functions", number), f"there is no {path}", "make it, or mend the path"

    def look_further(self) -> Further:
        """At the functions' modules, and at what the rules ask of them."""
        return functions_check.look(self.functions, self.rules)

    def _storage_mistakes(self) -> Iterable[tuple[Where, str, str]]:
        for name, storage in self.storages.items():
            if not storage.root.is_dir():
                yield ("storages", name, "root"), f"there is no folder {storage.root}", "make it, or mend the path"
            if "proposal" not in storage.fields() and not storage.staff:
                yield (
                    ("storages", name, "layout"),
                    "no file has a proposal, so that nobody may see any",
                    "name the folder that is the proposal, as in {proposal}/{scan}, or the Hub group that is the staff",
                )
            if self.results.resolve().is_relative_to(storage.root.resolve()):
                yield (
                    ("results",),
                    f"results lie in storage {name!r}, so that each would be taken for raw data",
                    "choose a folder outside of all storages",
                )

    def _access_mistakes(self) -> Iterable[tuple[Where, str, str]]:
        known = {field for storage in self.storages.values() for field in storage.fields()} | {"proposal"}
        for field in _fields_of(self.access.proposal_group):
            if field not in known:
                yield (
                    ("access", "proposal_group"),
                    f"no storage's layout has {{{field}}}",
                    did_you_mean(field, known),
                )
        if self.access.beamline_groups and "beamline" not in known:
            yield (
                ("access", "beamline_groups"),
                "no storage's layout has {beamline}, so that these groups see nothing",
                "name the folder that is the beamline, as in {beamline}/{proposal}",
            )

    def _source_mistakes(self) -> Iterable[tuple[Where, str, str]]:
        for name, source in self.sources.items():
            named = [source.storage] if isinstance(source, FilesystemSettings) else []
            senders = source.senders.items() if isinstance(source, HttpSettings) else ()
            for where, storage in [
                *((("sources", name, "storage"), storage) for storage in named),
                *(
                    (("sources", name, "senders", sender, "storages", number), storage)
                    for sender, allowed in senders
                    for number, storage in enumerate(allowed.storages)
                ),
            ]:
                if storage not in self.storages:
                    yield where, f"there is no storage {storage!r}", did_you_mean(storage, self.storages)

    def _rule_mistakes(self) -> Iterable[tuple[Where, str, str]]:
        for name, rule in self.rules.items():
            if rule.when.storage not in self.storages:
                yield (
                    ("rules", name, "when", "storage"),
                    f"there is no storage {rule.when.storage!r}",
                    did_you_mean(rule.when.storage, self.storages),
                )
            if rule.when.path.startswith("/") or ".." in rule.when.path.split("/"):
                yield (
                    ("rules", name, "when", "path"),
                    f"{rule.when.path!r} matches no file",
                    "write it below the storage's root, as in */scan_*/*.nxs",
                )
            for number, told, remedy in shown.mistakes(rule.table, rule.columns, None):
                yield ("rules", name, "table", number), told, remedy
            if rule.executor and rule.executor not in self.executors:
                yield (
                    ("rules", name, "executor"),
                    f"there is no executor {rule.executor!r}",
                    did_you_mean(rule.executor, self.executors),
                )


def _fields_of(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name is not None]


def _checked_fields(text: str, example: str) -> list[str]:
    """The words in braces of a text.

    Raises:
        PydanticCustomError: braces do not match, or hold something else than a word.
    """
    try:
        names = _fields_of(text)
    except ValueError as error:
        raise PydanticCustomError(
            "fields", "{why}; write it like {example}", {"why": str(error), "example": example}
        ) from None
    if wrong := [name for name in names if not name.isidentifier()]:
        raise PydanticCustomError(
            "fields", "{wrong} is no word; write it like {example}", {"wrong": repr(wrong[0]), "example": example}
        )
    return names


def _source_kind(value: Any) -> type[SourceSettings]:
    if not isinstance(value, dict):
        raise PydanticCustomError("source", "a source is a mapping; write {{kind: filesystem, storage: NAME}}")
    kinds: dict[str, type[SourceSettings]] = {"filesystem": FilesystemSettings, "http": HttpSettings}
    kind = kinds.get(str(value.get("kind")))
    if kind is None:
        raise PydanticCustomError(
            "source", "unknown kind {kind}; possible: filesystem, http", {"kind": repr(value.get("kind"))}
        )
    return kind


def _named(where: str, parts: Iterable[str]) -> Iterable[tuple[Where, str, str]]:
    for name in parts:
        if len(name) > MAX_NAME or not re.fullmatch(r"[\w][\w .\-]*", name):
            yield (where, name), f"{name!r} is no name", f"up to {MAX_NAME} letters, digits, spaces and . - _"


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path.cwd())
    return path if path.is_absolute() else Path(folder) / path
