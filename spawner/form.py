"""The start page's form: cards made from the catalogue, and what was chosen on them. It needs no JavaScript."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from beamhub.config.quantities import format_duration, format_size
from beamhub.spawner.bringup import LAST_LINES
from beamhub.spawner.catalogue import Catalogue, Choice, Profile
from beamhub.spawner.errors import Refused
from beamhub.spawner.placement import in_words, place
from beamhub.spawner.plan import KEYS, allowed, missing_group
from beamhub.spawner.sites.site import Estimate

TEMPLATES = Path(__file__).parent / "templates"
_jinja = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)


def render(
    catalogue: Catalogue,
    groups: Set[str],
    estimates: Mapping[str, Estimate],
    filled: Mapping[str, Any],
    last: str = "",
    ended: str = "",
) -> str:
    """The form's HTML, everything escaped.

    Args:
        catalogue: what there is.
        groups: of the person; profiles for others are shown with the group that is needed.
        estimates: of each site.
        filled: options to begin with: those of a link, of a refused form, or of last time.
        last: what was chosen last time, in words.
        ended: how the last server ended, if by itself; the last lines of its log are folded up.
    """
    cards = [_card(catalogue, name, profile, groups, estimates, filled) for name, profile in catalogue.profiles.items()]
    if not any(card["checked"] for card in cards):
        first = next((card for card in cards if card["allowed"]), None)
        if first is not None:
            first["checked"] = True
    ended, _, lines = ended.partition(LAST_LINES)
    return _jinja.get_template("cards.html").render(cards=cards, last=last, ended=ended, lines=lines)


def read(form: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen: of the fields ``<profile>.<option>`` those of the chosen profile.

    Other names are kept, so that the plan refuses them instead of passing over them.
    """
    fields = {name: _first(value) for name, value in form.items() if name != "_xsrf"}
    profile = fields.pop("profile", "")
    chosen = {"profile": profile}
    for name, value in fields.items():
        of, dot, option = name.rpartition(".")
        if dot and option in KEYS:
            if of == profile:
                chosen[option] = value
        else:
            chosen[name] = value
    return {name: value for name, value in chosen.items() if value != ""}


def in_short(catalogue: Catalogue, options: Mapping[str, Any]) -> str:
    """Accepted options in words: "Small analysis, 4 cores, 4h"."""
    profile = catalogue.profiles.get(str(options.get("profile", "")))
    if profile is None:
        return ""
    parts = [profile.title]
    if "cores" in options:
        parts.append(f"{options['cores']} {'core' if str(options['cores']) == '1' else 'cores'}")
    return ", ".join([*parts, *([str(options["walltime"])] if options.get("walltime") else [])])


def _card(
    catalogue: Catalogue,
    name: str,
    profile: Profile,
    groups: Set[str],
    estimates: Mapping[str, Estimate],
    filled: Mapping[str, Any],
) -> dict[str, Any]:
    mine = filled if str(filled.get("profile", "")) == name else {}
    may = allowed(profile, groups)
    sites = [_site(catalogue, site, estimates) for site in profile.sites]
    try:
        place(profile.sites, "", estimates, {site: catalogue.sites[site].title or site for site in profile.sites})
        available = True
    except Refused:
        available = False
    return {
        "name": name,
        "title": profile.title,
        "description": profile.description,
        "allowed": may and available,
        "checked": bool(mine) and may and available,
        "reason": missing_group(profile) if not may else "" if available else "not available now",
        "sites": sites,
        "gives": _gives(profile),
        "selects": _selects(catalogue, profile, sites, mine),
    }


def _site(catalogue: Catalogue, name: str, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    estimate = estimates.get(name) or Estimate("unknown")
    return {
        "name": name,
        "title": catalogue.sites[name].title or name,
        "when": in_words(estimate),
        "kind": estimate.kind,
        "age": f"{round(estimate.age_s)} s ago" if estimate.age_s >= 5 else "",
    }


def _gives(profile: Profile) -> list[str]:
    """What is fixed, in words."""
    fixed = []
    if len(profile.cores.choices) == 1:
        fixed.append(f"{profile.cores.default} {'core' if profile.cores.default == 1 else 'cores'}")
    if profile.memory.per_core is not None:
        fixed.append(f"{format_size(profile.memory.per_core)} memory for each core")
    elif profile.memory.amounts is not None and len(profile.memory.amounts.choices) == 1:
        fixed.append(f"{format_size(profile.memory.amounts.default)} memory")
    if len(profile.gpus.choices) == 1 and profile.gpus.default:
        fixed.append(f"{profile.gpus.default} GPU{'s' if profile.gpus.default > 1 else ''}")
    if profile.walltime is not None and len(profile.walltime.choices) == 1:
        fixed.append(f"for {format_duration(profile.walltime.default)}")
    return fixed


def _selects(
    catalogue: Catalogue, profile: Profile, sites: list[dict[str, Any]], filled: Mapping[str, Any]
) -> list[dict[str, Any]]:
    found = []
    if len(profile.environments) > 1:
        titles = [(name, catalogue.environments[name].title) for name in profile.environments]
        found.append(_select("environment", "Software", titles, filled, profile.environments[0]))
    choices: list[tuple[str, str, Choice[Any] | None, Any]] = [
        ("cores", "Cores", profile.cores, str),
        ("memory", "Memory", profile.memory.amounts, format_size),
        ("gpus", "GPUs", profile.gpus, str),
        ("walltime", "For", profile.walltime, format_duration),
    ]
    for name, label, choice, show in choices:
        if choice is not None and len(choice.choices) > 1:
            options = [(show(value), show(value)) for value in choice.choices]
            found.append(_select(name, label, options, filled, show(choice.default)))
    if len(sites) > 1:
        titles = [("", "wherever it starts first"), *((site["name"], site["title"]) for site in sites)]
        found.append(_select("site", "Where", titles, filled, ""))
    return found


def _select(
    name: str, label: str, options: list[tuple[str, str]], filled: Mapping[str, Any], default: str
) -> dict[str, Any]:
    chosen = str(filled.get(name, default))
    if chosen not in [value for value, _ in options]:
        chosen = default
    return {"name": name, "label": label, "options": options, "chosen": chosen}


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value
