"""What a batch site takes from jupyterhub_config.py, where compute.yaml says nothing of it.

Hub and launcher come to the same settings by these functions: the Hub with its own configuration, ``beamhub launcher``
with the one that it is told to read.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from traitlets.config import Config
from traitlets.config.loader import DeferredConfig

from beamhub.spawner.catalogue import SiteConfig

AnySite = TypeVar("AnySite", bound=SiteConfig)
SHELL = {"req_prologue": "prologue", "req_epilogue": "epilogue"}  # by trait: the key of the site, inside the launcher
TAKEN = {**SHELL, "start_timeout": "queue_timeout"}
FIELDS = (r"(?<!\$)\{NAME([!:][^{}]*)?\}", r"\{\{-?\s*NAME\b[^{}]*\}\}", r"\{%[^{}]*\bNAME\b[^{}]*%\}")  # of templates
COMMAND_LINE = "--"  # before the place of what was written there
STARTS = r"(^|[;&|({!]|\b(?:then|do|else)\b)([ \t]*)"  # where a command begins
INSTEAD = {"username": "$USER", "homedir": "$HOME"}


@dataclass(frozen=True)
class Said:
    """A trait's value, and where it was written, like ``c.SlurmSpawner.req_runtime``."""

    place: str
    value: Any


def said(kind: type, trait: str, hub: Config) -> Said | None:
    """What a configuration says of a trait of a class of servers; None where it says nothing."""
    for one in kind.__mro__:  # the section that goes before all others first
        section = hub.get(one.__name__, {})
        if trait in section:
            value = section[trait]
            place = f"{one.__name__}.{trait}"
            if isinstance(value, DeferredConfig):
                return Said(f"{COMMAND_LINE}{place}", value.get_value(kind.class_traits()[trait]))  # type: ignore[attr-defined]
            return Said(f"c.{place}", value)
    return None


def with_traits(config: AnySite, kind: type, hub: Config) -> AnySite:
    """A site's settings, and where it says nothing those of the configuration; what ``problems`` names is left out."""
    found = _taken(config, kind, hub)
    return config.model_copy(update={key: value for key, value, _, why in found if not why})


def problems(config: SiteConfig, kind: type, hub: Config) -> list[str]:
    """Values that cannot be taken, as sentences with place, value and remedy."""
    return [refusal(one, why) for _, _, one, why in _taken(config, kind, hub) if why]


def notices(config: SiteConfig, kind: type, hub: Config) -> list[str]:
    """What is taken though it may have been meant otherwise, as sentences."""
    return [
        refusal(
            one, f"so long may a start wait in the queue. Write {key} at the site in compute.yaml for another time."
        )
        for key, _, one, why in _taken(config, kind, hub)
        if key not in SHELL.values() and not why
    ]


def shell_of(config: SiteConfig, kind: type, hub: Config) -> list[str]:
    """Where the shell was written that is inside the launcher and not in compute.yaml."""
    return [one.place for key, value, one, why in _taken(config, kind, hub) if key in SHELL.values() and value]


def refusal(one: Said, why: str) -> str:
    """The sentence for a value that cannot be honoured."""
    value = repr(one.value)
    return f"{one.place} = {value if len(value) <= 80 else value[:77] + '...'}: {why}"


def _taken(config: SiteConfig, kind: type, hub: Config) -> list[tuple[str, Any, Said, str]]:
    """Key, value, where that was written, and why it cannot be taken ("": it can)."""
    found = []
    for trait, key in TAKEN.items():
        one = said(kind, trait, hub) if key not in config.model_fields_set else None
        if one is not None:
            value, why = one.value, _why_not(one.value, key, kind)
            if key in SHELL.values() and one.place.startswith(COMMAND_LINE):
                why = f"it cannot be inside the launcher. Write it into jupyterhub_config.py, or {key} at the site."
            if key in SHELL.values() and not why:
                value = _without_source(value)
            found.append((key, value, one, why or _why_no_setting(config, key, value)))
    return found


def _why_not(value: Any, key: str, kind: type) -> str:
    if key not in SHELL.values():
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return ""
        return f"it is no whole number of seconds. Write one like 1800, or {key} at the site in compute.yaml."
    if not isinstance(value, str):
        return f"it is no text. Write lines of shell, or {key} at the site in compute.yaml."
    names = (name.removeprefix("req_") for name in dir(kind) if name.startswith("req_"))
    if name := field_of(value, (*names, "cmd")):
        remedy = INSTEAD.get(name, "its value")
        return f"nothing fills in {{{name}}} there. Write {remedy}, or {key} at the site in compute.yaml."
    if found := re.search(rf"{STARTS}(?:source|\.)[ \t]+([\w.-]+)(?=[\s;&|)]|$)", value, re.MULTILINE):
        return f"sh looks for {found[3]} among its programs only. Write its whole path, or {key} at the site."
    return ""


def _why_no_setting(config: SiteConfig, key: str, value: Any) -> str:
    """What the site's own rules say of a value."""
    written = {name: getattr(config, name) for name in config.model_fields_set}
    try:
        type(config).model_validate({**written, key: value})
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}."
    return ""


def field_of(text: str, names: Iterable[str]) -> str:
    """The name of the first field of a template in a text, "" where there is none; the braces of shell are none.

    >>> [field_of(text, ["username"]) for text in ("cd /data/{username}", "{{ username }}", "{% if username %}")]
    ['username', 'username', 'username']
    >>> [field_of(text, ["username"]) for text in ("${username}", "{ username; }", "awk '{print $1}'")]
    ['', '', '']
    """
    name = "|".join(map(re.escape, names))
    for pattern in FIELDS:
        if found := re.search(pattern.replace("NAME", f"({name})"), text):
            return found[1]
    return ""


def _without_source(text: str) -> str:
    """Shell for ``sh``; ``source`` is bash's word for a dot.

    >>> _without_source("[ -f /etc/x ] && source /etc/x; echo source /etc/y")
    '[ -f /etc/x ] && . /etc/x; echo source /etc/y'
    """
    return re.sub(rf"{STARTS}source(?=[ \t])", r"\1\2.", text, flags=re.MULTILINE)
