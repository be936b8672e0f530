"""SpawnPlan: what one start resolved to; decided here for the form, links, the API and saved options alike."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from beamhub.config.mistakes import did_you_mean
from beamhub.config.quantities import format_duration, format_size, parse_duration, parse_size
from beamhub.spawner.catalogue import Catalogue, Choice, Environment, Profile
from beamhub.spawner.errors import Refused
from beamhub.spawner.placement import place
from beamhub.spawner.sites.site import Estimate

KEYS = ("profile", "site", "environment", "cores", "memory", "gpus", "walltime")


@dataclass(frozen=True)
class SpawnPlan:
    """One start: nothing a person sent goes further than this.

    ``programs`` is the environment's folder of programs at the site, "" the site's default. ``options`` is what was
    asked for and accepted, to be offered again next time.
    """

    profile: str
    title: str
    site: str
    environment: str
    programs: str
    image: str
    modules: tuple[str, ...]
    cores: int
    memory_bytes: int
    gpus: int
    walltime_s: float | None
    options: dict[str, Any]


def decide(
    catalogue: Catalogue, options: Mapping[str, Any], groups: Set[str], estimates: Mapping[str, Estimate]
) -> SpawnPlan:
    """Resolve what was asked for.

    Args:
        catalogue: what there is.
        options: of :data:`KEYS`, as text, number or list of one text; what is missing is the profile's default.
        groups: of the person, in the Hub.
        estimates: of each site.

    Raises:
        Refused: something unknown, not allowed or not possible; never a default instead.
    """
    asked = {str(key): _single(value) for key, value in options.items()}
    for key in asked:
        if key not in KEYS:
            raise Refused(f"there is no option '{key[:40]}'; {did_you_mean(key, KEYS)}")
    name, profile = _profile(catalogue, asked.get("profile"), groups)
    cores = int(_chosen("cores", profile.cores, asked.get("cores"), _whole, str))
    memory = _memory(profile, asked.get("memory"), cores)
    gpus = int(_chosen("GPUs", profile.gpus, asked.get("gpus"), _whole, str))
    walltime = _walltime(profile, asked.get("walltime"))
    environment = str(asked.get("environment") or profile.environments[0])
    if environment not in profile.environments:
        possible = did_you_mean(environment, profile.environments)
        raise Refused(f"profile '{profile.title}' has no software '{environment[:40]}'; {possible}")
    wanted = str(asked.get("site") or "")
    site = place(profile.sites, wanted, estimates, {key: site.title or key for key, site in catalogue.sites.items()})
    what: Environment = catalogue.environments[environment]
    return SpawnPlan(
        name, profile.title, site, environment, what.python, what.image, tuple(what.modules), cores, memory, gpus,
        walltime, options=_accepted(profile, name, wanted, environment, cores, memory, gpus, walltime),
    )  # fmt: skip


def allowed(profile: Profile, groups: Set[str]) -> bool:
    """Whether a member of these groups may choose a profile."""
    return not profile.groups or bool(set(profile.groups) & groups)


def missing_group(profile: Profile) -> str:
    """What somebody needs who may not choose a profile."""
    return f"you need to be in the group {' or '.join(profile.groups)}"


def _profile(catalogue: Catalogue, wanted: Any, groups: Set[str]) -> tuple[str, Profile]:
    if not wanted:
        for name, profile in catalogue.profiles.items():
            if allowed(profile, groups):
                return name, profile
        raise Refused("you are in none of the groups that may start a server; ask who runs this service")
    profile = catalogue.profiles.get(str(wanted))  # type: ignore[assignment]
    if profile is None:
        raise Refused(f"there is no profile '{str(wanted)[:100]}'; {did_you_mean(wanted, catalogue.profiles)}")
    if not allowed(profile, groups):
        raise Refused(f"for '{profile.title}' {missing_group(profile)}")
    return str(wanted), profile


def _chosen(what: str, choice: Choice[Any], asked: Any, read: Any, show: Any) -> Any:
    if asked is None or asked == "":
        return choice.default
    try:
        value = read(asked)
    except ValueError:
        value = None
    if value not in choice.choices:
        possible = ", ".join(show(one) for one in choice.choices)
        raise Refused(f"{what}: '{str(asked)[:40]}' is not possible here; possible: {possible}")
    return value


def _memory(profile: Profile, asked: Any, cores: int) -> int:
    if profile.memory.amounts is not None:
        return int(_chosen("memory", profile.memory.amounts, asked, parse_size, format_size))
    total = (profile.memory.per_core or 0) * cores
    if asked not in (None, "") and _read(parse_size, asked) != total:
        raise Refused(
            f"memory: '{str(asked)[:40]}' is not possible here; it is {format_size(total)} with {cores} cores"
        )
    return total


def _walltime(profile: Profile, asked: Any) -> float | None:
    if profile.walltime is not None:
        return float(_chosen("time", profile.walltime, asked, parse_duration, format_duration))
    if asked not in (None, ""):
        raise Refused("time: this profile has no limit to choose")
    return None


def _accepted(
    profile: Profile, name: str, site: str, environment: str, cores: int, memory: int, gpus: int, walltime: float | None
) -> dict[str, Any]:
    accepted: dict[str, Any] = {"profile": name, "site": site, "environment": environment, "cores": cores, "gpus": gpus}
    if profile.memory.amounts is not None:
        accepted["memory"] = format_size(memory)
    if walltime is not None:
        accepted["walltime"] = format_duration(walltime)
    return accepted


def _single(value: Any) -> Any:
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise Refused("an option was given more than once; give each once")
        value = value[0] if value else None
    if value is not None and not isinstance(value, str | int | float):
        raise Refused("an option is neither text nor number")
    return value.strip() if isinstance(value, str) else value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _read(read: Any, value: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return None
