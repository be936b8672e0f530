"""What a Hub with batchspawner let people start: one offer for each profile, with all that was said for it."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

from batchspawner import SlurmSpawner
from jupyterhub.spawner import LocalProcessSpawner, Spawner
from traitlets import TraitType
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue
from traitlets.traitlets import DefaultHandler
from traitlets.utils.importstring import import_item


class NoSlurm(ValueError):
    """The configuration starts no servers by a SlurmSpawner that could be read."""


class NoProfile(ValueError):
    """One of wrapspawner's profiles is none; ``where`` says which."""

    def __init__(self, where: str, value: Any) -> None:
        super().__init__(f"{str(value)[:80]!r} is no profile")
        self.where = where


@dataclass(frozen=True)
class Place:
    """Where a trait's value was written: in a section or class, or with one of the profiles."""

    trait: str
    section: str = ""
    profile: str = ""

    def __str__(self) -> str:
        return f"{self.trait} of the profile {self.profile}" if self.profile else f"{self.section}.{self.trait}"


@dataclass(frozen=True)
class Offer:
    """One thing that people could start.

    ``said`` is each trait's value, ``where`` how it was written; ``computed`` are traits that code makes, ``code`` the
    methods of a class of the operator's own.
    """

    key: str
    title: str
    said: Mapping[str, Any]
    where: Mapping[str, Place]
    computed: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    form: str = ""


@dataclass
class Offers:
    """All of them, and the titles of those that are started otherwise."""

    taken: list[Offer] = field(default_factory=list)
    other: list[tuple[str, str]] = field(default_factory=list)


def offers(config: Config) -> Offers:
    """What a configuration offers.

    Raises:
        NoSlurm: nothing by a SlurmSpawner.
        NoProfile: one of its profiles is none.
    """
    named = config.JupyterHub.get("spawner_class", LocalProcessSpawner)
    name = named.rpartition(".")[2] if isinstance(named, str) else getattr(named, "__name__", "")
    found = Offers()
    wrapped = config.get(name, {})
    if name == "ProfilesSpawner" or (isinstance(named, type) and "ProfilesSpawner" in _names(named)):
        for title, key, kind, own in _profiles(config):
            _take(found, config, kind, str(key), str(title), own)
    elif "child_class" in wrapped:
        _take(
            found,
            config,
            wrapped["child_class"],
            "server",
            "Notebook server",
            _plain(wrapped.get("child_config", {}), {}),
        )
    else:
        _take(found, config, named, "server", "Notebook server", {})
    if not found.taken:
        raise NoSlurm(f"its servers are started by {', '.join(kind for _, kind in found.other) or name}")
    return found


def _profiles(config: Config) -> Iterator[tuple[Any, Any, Any, Mapping[str, Any]]]:
    for number, one in enumerate(_plain(config.ProfilesSpawner.get("profiles", []), [])):
        try:
            title, key, kind, own = one
            found = title, key, kind, {**own}
        except (TypeError, ValueError) as error:
            raise NoProfile(f"c.ProfilesSpawner.profiles[{number}]", one) from error
        yield found


def _plain(value: Any, default: Any) -> Any:
    """A value, also of one that was only added to (``c.Spawner.environment.update(…)``)."""
    return value.get_value(default) if isinstance(value, LazyConfigValue) else value


def _take(found: Offers, config: Config, named: Any, key: str, title: str, own: Mapping[str, Any]) -> None:
    kind = _kind(named)
    if not issubclass(kind, SlurmSpawner):
        found.other.append((title, kind.__name__))
        return
    said: dict[str, Any] = {}
    where: dict[str, Place] = {}
    for section, values in _sections(config, kind):
        for trait, value in values.items():
            said[trait], where[trait] = _value(kind, trait, value), Place(trait, section)
    for trait, value in own.items():
        said[trait], where[trait] = value, Place(trait, profile=key)
    computed, code = _code(kind)
    found.taken.append(Offer(key, title, said, where, computed, code, _form(kind, said)))


def _kind(named: Any) -> type[Spawner]:
    """The class that a configuration names.

    Raises:
        NoSlurm: it is not installed here.
    """
    if not isinstance(named, str):
        if not isinstance(named, type):
            raise NoSlurm(f"its servers are started by {named!r}, which is no class")
        return named
    for point in entry_points(group="jupyterhub.spawners", name=named):
        return point.load()  # type: ignore[no-any-return]
    try:
        return import_item(named)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        raise NoSlurm(f"its servers are started by {named}, and {error.name} is not installed here") from error
    except ImportError as error:
        raise NoSlurm(f"its servers are started by {named}, which there is not") from error


def _names(kind: type) -> list[str]:
    return [one.__name__ for one in kind.__mro__]


def _own_classes(kind: type) -> list[type]:
    """The operator's own, the most general first."""
    return [one for one in reversed(kind.__mro__) if one not in SlurmSpawner.__mro__]


def _sections(config: Config, kind: type[Spawner]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was said, what counts most last: in classes of the operator's own, then in the sections of each class."""
    traits = SlurmSpawner.class_trait_names(config=True)
    for one in _own_classes(kind):
        plain = {name: value for name, value in vars(one).items() if name in traits or name.startswith("req_")}
        values = {name: value.default_value if isinstance(value, TraitType) else value for name, value in plain.items()}
        yield f"class {one.__name__}", {name: value for name, value in values.items() if isinstance(value, str)}
    for one in reversed(kind.__mro__):
        if one.__name__ in config:
            yield f"c.{one.__name__}", dict(config[one.__name__])


def _value(kind: type[Spawner], trait: str, value: Any) -> Any:
    known = kind.class_traits().get(trait)
    return _plain(value, known.default_value if known is not None else None)


def _code(kind: type[Spawner]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Traits that code makes, and further methods."""
    names = {name: value for one in _own_classes(kind) for name, value in vars(one).items()}
    traits = SlurmSpawner.class_trait_names()
    made = [name for name, value in names.items() if isinstance(value, property) and name in traits]
    made += [value.trait_name for value in names.values() if isinstance(value, DefaultHandler)]
    known = set(dir(SlurmSpawner)) | {f"_{name}_default" for name in traits}
    methods = [name for name, value in names.items() if inspect.isfunction(value) and name in known]
    computed = [name.removeprefix("_").removesuffix("_default") for name in methods if name.endswith("_default")]
    return tuple(sorted({*made, *computed})), tuple(sorted(set(methods) - {f"_{name}_default" for name in computed}))


def _form(kind: type[Spawner], said: Mapping[str, Any]) -> str:
    """The form's HTML, where it does not depend on who asks."""
    if isinstance(said.get("options_form"), str):
        return str(said["options_form"])
    make = getattr(kind, "_options_form_default", None)
    if inspect.isfunction(make):
        try:
            return str(make(SimpleNamespace()))
        except Exception:  # it needs the server that it is for
            return ""
    return ""
