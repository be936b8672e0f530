"""The library of functions: which there are, and in which version each is in force.

The service reads the files and copies them, and a child process imports them; nothing is ever imported here.
A version lies in a copy that is named by its digest, so runs of an older version go on beside a newer one.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from beamhub.catalog.records import Function
from beamhub.processing.digest import LOCK, digest_of, digest_of_copy, environment_lock
from beamhub.processing.durable import sync, sync_tree
from beamhub.processing.trust import NotTrusted, check_trusted
from beamhub.processing.warm_child import WarmChild

Describe: TypeAlias = Callable[[Path, str], dict[str, Any]]


class UnknownFunction(LookupError):
    """There is no function of that name, or none in that version any more.

    ``mistakes`` are those of modules that do not import, where it may have been meant to come from.
    """

    def __init__(self, message: str, mistakes: Iterable[str] = ()) -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        super().__init__(" ".join([message, *(f"Not imported: {mistake}." for mistake in self.mistakes)]))


@dataclass(frozen=True)
class Version:
    """One function in one version: what the catalogue says of it, and the copy of its module."""

    record: Function
    module_copy: Path

    def path_parameters(self) -> set[str]:
        """Parameters that name files; a person who runs again may not set them."""
        properties = self.record.parameters.get("properties", {})
        return {name for name, schema in properties.items() if _names_a_file(schema)}

    def with_absolute_paths(self, parameters: Mapping[str, Any], base: Path) -> dict[str, Any]:
        """The same parameters, paths that a rule wrote as relative ones taken from ``base``."""
        paths = {name for name in self.path_parameters() if isinstance(parameters.get(name), str)}
        return {**parameters, **{name: str(base / parameters[name]) for name in paths}}


@dataclass(frozen=True)
class _Found:
    """What lies in one place of the configuration: the content of its modules, and where functions may be."""

    files: dict[str, bytes]
    modules: frozenset[str]


def describe_in_child(copy: Path, digest: str) -> dict[str, Any]:
    """Have a fresh child import a copy and say what it offers."""
    child = WarmChild()
    try:
        return child.describe(copy, digest)
    finally:
        child.close()


class Library:
    """Functions of the configured files and folders, by name.

    Reading it is safe while another thread refreshes it.

    Args:
        places: folders (every module in them may hold functions) or single modules.
        copies: a folder of the service's own; it is made, and holds one copy for each digest.
        describe: asks a child what a copy offers.
    """

    def __init__(self, places: Sequence[Path], copies: Path, describe: Describe = describe_in_child) -> None:
        self._places = tuple(places)
        self._copies = copies
        self._describe = describe
        self._signatures: dict[Path, object] = {}
        self._in_force: dict[Path, dict[str, Version]] = {}
        self._older: dict[tuple[str, str], Version] = {}
        self.mistakes: dict[str, str] = {}

    def refresh(self) -> bool:
        """Look at every place, and take what changed; true if anything did. Takes seconds when it did.

        What cannot be copied, as on a full disk, is among the mistakes, and tried again at the next look.
        """
        before, taken = self.mistakes, False
        for place in self._places:
            signature = _signature(place)
            if self._signatures.get(place, "") == signature:
                continue
            try:
                self._take(place)
            except OSError as exc:
                self._refused(
                    place,
                    f"{place} cannot be copied to {self._copies}: {exc}; make room there, or remove what is in the way",
                )
            else:
                self._signatures[place], taken = signature, True
        return taken or self.mistakes != before

    def functions(self) -> list[Function]:
        """Every function in force, by name; ``mistake`` says why a newer version of it is not."""
        return [version.record for _, version in sorted(self._by_name().items())]

    def current(self, name: str) -> Function | None:
        """What the catalogue says of the version in force; None where there is no such function."""
        version = self._by_name().get(name)
        return version.record if version is not None else None

    def find(self, name: str, digest: str = "") -> Version:
        """A function in the version that ``digest`` names, else in the one in force.

        Raises:
            UnknownFunction: there is none.
        """
        current = self._by_name().get(name)
        if current is not None and digest in ("", current.record.digest):
            return current
        older = self._older.get((name, digest)) or (self._restored(name, digest) if digest else None)
        if older is None:
            known = ", ".join(sorted(self._by_name())) or "none"
            version = f" in the version {digest[:12]}" if digest else ""
            message = f"there is no function {name}{version}; there is: {known}."
            raise UnknownFunction(message, () if digest else self.mistakes.values())
        return older

    def _by_name(self) -> dict[str, Version]:
        return {name: version for place in self._in_force.values() for name, version in place.items()}

    def _take(self, place: Path) -> None:
        self.mistakes = {name: text for name, text in self.mistakes.items() if not _is_in(name, place)}
        try:
            found = _read(place)
        except (NotTrusted, OSError) as exc:
            self._refused(place, f"{exc}")
            return
        digest = digest_of(found.files, environment_lock())
        copy = self._copy(found.files, digest)
        try:
            offered = self._describe(copy, digest)
        except RuntimeError as exc:
            self._refused(place, f"{place} cannot be imported: {exc}")
            return
        self._adopt(place, found, copy, digest, offered)

    def _adopt(self, place: Path, found: _Found, copy: Path, digest: str, offered: dict[str, Any]) -> None:
        """Take the modules that import; of those that do not, keep the last good version and say why."""
        before = self._in_force.get(place, {})
        versions = {v.record.name: v for v in _versions(offered, copy, digest) if v.module_copy.name in found.modules}
        for module, mistake in offered["mistakes"].items():
            if module not in found.modules:
                continue
            self.mistakes = {**self.mistakes, f"{place / module if place.is_dir() else place}": mistake}
            for name, version in before.items():
                if version.module_copy.name == module and name not in versions:
                    versions[name] = _with_mistake(version, mistake)
        self._older = self._older | {(name, v.record.digest): v for name, v in (before | versions).items()}
        self._in_force = {**self._in_force, place: versions}

    def _refused(self, place: Path, mistake: str) -> None:
        self.mistakes = {**self.mistakes, f"{place}": mistake}
        kept = {name: _with_mistake(v, mistake) for name, v in self._in_force.get(place, {}).items()}
        self._in_force = {**self._in_force, place: kept}

    def _restored(self, name: str, digest: str) -> Version | None:
        """A version that an earlier life of the service copied, for runs that were queued then."""
        copy = self._copies / digest
        if not digest.isalnum() or not copy.is_dir():
            return None
        try:
            offered = self._describe(copy, digest)
        except RuntimeError:
            return None
        self._older = self._older | {(v.record.name, digest): v for v in _versions(offered, copy, digest)}
        return self._older.get((name, digest))

    def _copy(self, files: dict[str, bytes], digest: str) -> Path:
        """The copy of this content; one that is not whole, or not the same any more, is made anew."""
        copy = self._copies / digest
        if _is_copy(copy, digest):
            return copy
        self._copies.mkdir(parents=True, exist_ok=True, mode=0o755)
        unfinished = self._copies / f".{digest}.{os.getpid()}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, content in files.items():
            path = unfinished / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        unfinished.mkdir(exist_ok=True)
        (unfinished / LOCK).write_text(environment_lock())
        sync_tree(unfinished)
        shutil.rmtree(copy, ignore_errors=True)
        unfinished.rename(copy)
        sync(self._copies)
        return copy


def _is_copy(copy: Path, digest: str) -> bool:
    try:
        return digest_of_copy(copy) == digest
    except (OSError, ValueError):
        return False


def _versions(offered: dict[str, Any], copy: Path, digest: str) -> list[Version]:
    return [Version(Function.model_validate({**f, "digest": digest}), copy / f["module"]) for f in offered["functions"]]


def _with_mistake(version: Version, mistake: str) -> Version:
    return replace(version, record=version.record.model_copy(update={"mistake": mistake}))


def _names_a_file(schema: Any) -> bool:
    written = json.dumps(schema)
    return any(f'"format": "{kind}"' in written for kind in ("path", "file-path", "directory-path"))


def _is_in(name: str, place: Path) -> bool:
    return Path(name) == place or Path(name).is_relative_to(place)


def _modules_of(place: Path) -> list[Path]:
    """All modules of the folder, packages included; of a single module those beside it too."""
    folder = place if place.is_dir() else place.parent
    beside = sorted(folder.glob("*.py"))
    packages = [p.parent for p in sorted(folder.glob("*/__init__.py"))]
    return beside + [path for package in packages for path in sorted(package.rglob("*.py"))]


def _signature(place: Path) -> object:
    """Changes when any module does, or who may write it."""
    try:
        stats = [(str(p), p.stat()) for p in [place, *_modules_of(place)]]
    except OSError as exc:
        return str(exc)
    return tuple((name, s.st_mtime_ns, s.st_size, s.st_ino, s.st_mode, s.st_uid) for name, s in stats)


def _read(place: Path) -> _Found:
    """Read the modules of a place, each opened once, and only what others cannot write."""
    check_trusted(place)
    folder = place if place.is_dir() else place.parent
    check_trusted(folder)
    files = {str(path.relative_to(folder)): _content(path) for path in _modules_of(place)}
    top = {name for name in files if "/" not in name and name != "__init__.py"}
    return _Found(files, frozenset(top if place.is_dir() else {place.name}))


def _content(path: Path) -> bytes:
    check_trusted(path)
    return path.read_bytes()
