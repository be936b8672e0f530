"""``beamhub check --from jupyterhub_config.py``: the compute.yaml that replaces batchspawner's settings."""

import io
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString
from traitlets.config import Config

from beamhub.config.mistakes import Mistake, Mistakes
from beamhub.spawner.catalogue import NOWHERE
from beamhub.spawner.hubfile import AS_THE_HUB, load
from beamhub.spawner.moving.offers import NoProfile, NoSlurm, Place, offers
from beamhub.spawner.moving.wanted import Wanted, wanted

UNKNOWN_HUB = "https://jupyter.example.org"
FILL_IN = "fill in: {}"
WIDTH = 120
SIZES = ("cores", "memory", "gpus", "walltime")
ORDER = (
    "kind", "title", "partitions", "account", "qos", "reservation", "constraint", "gres", "slurm_conf", "hub_url",
    "networks", "start_timeout", "queue_timeout", "directives", "module_init", "prologue", "epilogue", "runtime",
    "runtime_options",
)  # fmt: skip


def translate(path: Path) -> str:
    """The text of compute.yaml, and as comments below it what to do with each setting.

    Raises:
        Mistakes: the configuration cannot be read, no SlurmSpawner is in it, or one of its profiles is none.
    """
    config = load(path)
    try:
        found = offers(config)
    except NoProfile as error:
        remedy = "write it as (title, key, class, {setting: value})"
        raise Mistakes(path, [Mistake(str(error), error.where, _line(path, "profiles"), remedy)]) from error
    except NoSlurm as error:
        remedy = AS_THE_HUB if "not installed" in str(error) else "write compute.yaml by hand"
        raise Mistakes(path, [Mistake(str(error), "", _line(path, "spawner_class"), remedy)]) from error
    made = [wanted(offer) for offer in found.taken]
    left = [(f"the profile {title!r}, started by {kind}", "no job of Slurm's is made for it; a site of kind local "
             "starts servers on the Hub's own computer.") for title, kind in found.other]  # fmt: skip
    tree, missing = catalogue(made, hub_url(config))
    return f"{_yaml(tree)}\n{remarks(path, made, [*missing, *left])}"


def catalogue(made: list[Wanted], hub: str) -> tuple[CommentedMap, list[tuple[str, str]]]:
    """compute.yaml, and what is still to be filled in."""
    sites, software, profiles = _Named("cluster"), _Named("default"), CommentedMap()
    missing: dict[str, str] = {}
    for one in made:
        names = [sites.name(_site(one, partitions), *partitions[:1], one.cluster) for partitions in one.partitions]
        if not one.software:
            missing["environments"] = "where the nodes' Python is was not found; without a folder it is their own."
        key = sites.unlike(profiles, one.offer.key)
        profiles[key] = _flow({"title": one.offer.title, "sites": list(dict.fromkeys(names)),
                               "environments": [software.name(one.software)],
                               **{size: one.profile[size] for size in SIZES if size in one.profile}})  # fmt: skip
        if "memory" not in one.profile:
            missing["memory"] = "it was not said; BeamHub asks for 2G for each core then. Write it at the profile."
        if "walltime" not in one.profile:
            missing["walltime"] = "it was not said; a job has its partition's limit then. Write it at the profile."
        if one.cluster:
            missing["slurm_conf"] = f"write it at the site of {one.cluster} where that is not the computer's own Slurm."
    tree = CommentedMap()
    tree["sites"] = CommentedMap()
    for name, site in sites.found.items():
        tree["sites"][name] = _full(site, name, len(sites.found) > 1, hub)
    titles = {"default": "Python"}
    tree["environments"] = CommentedMap(
        (name, _flow({"title": titles.get(name) or f"Python ({name})", **one})) for name, one in software.found.items()
    )
    tree["profiles"] = profiles
    return tree, list(missing.items())


class _Named:
    """Different parts of the file, each with a name of its own."""

    def __init__(self, otherwise: str) -> None:
        self.otherwise = otherwise
        self.found: dict[str, dict[str, Any]] = {}

    def name(self, part: dict[str, Any], *wishes: str) -> str:
        """The name of a part; one that differs by what it says of GPUs alone, or not at all, is there already."""
        for name, known in self.found.items():
            if {**known, "gres": ""} == {**part, "gres": ""} and "" in (known.get("gres", ""), part.get("gres", "")):
                known |= part
                return name
            if known == part:
                return name
        name = self.unlike(self.found, next(filter(None, wishes), self.otherwise))
        self.found[name] = part
        return name

    def unlike(self, taken: Iterable[str], wish: str) -> str:
        """A name that no other part has."""
        name = re.sub(r"[^a-z0-9_-]+", "-", wish.lower()).strip("-_")[:36] or self.otherwise
        return next(one for one in (name, *(f"{name}-{number}" for number in range(2, 1000))) if one not in set(taken))


def _site(one: Wanted, partitions: list[str]) -> dict[str, Any]:
    site = {key: value for key, value in one.site.items() if value and (key, value) != ("gres", "gpu")}
    return {
        **site,
        **({"partitions": partitions} if partitions else {}),
        **({"cluster": one.cluster} if one.cluster else {}),
    }


def _full(site: dict[str, Any], name: str, several: bool, hub: str) -> CommentedMap:
    cluster = site.pop("cluster", "")
    title = cluster or "The cluster"
    full = {"kind": "slurm", "title": f"{title} ({name})" if several and name != cluster else title,
            "hub_url": hub or UNKNOWN_HUB, "networks": [NOWHERE], **site}  # fmt: skip
    tree = CommentedMap((key, _plain(full[key])) for key in ORDER if key in full)
    tree.yaml_add_eol_comment(FILL_IN.format("where the nodes are, like [10.0.0.0/16]"), "networks")
    if not hub:
        tree.yaml_add_eol_comment(FILL_IN.format("how the nodes reach the Hub"), "hub_url")
    return tree


def _plain(value: Any) -> Any:
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    if isinstance(value, list):
        found = CommentedSeq(value)
        found.fa.set_flow_style()
        return found
    if isinstance(value, dict):
        inner = CommentedMap((key, _plain(one)) for key, one in value.items())
        inner.fa.set_flow_style()
        return inner
    return value


def _flow(part: dict[str, Any]) -> CommentedMap:
    return CommentedMap((key, _plain(value)) for key, value in part.items())


def _yaml(tree: CommentedMap) -> str:
    yaml = YAML()
    yaml.width = 10_000
    text = io.StringIO()
    yaml.dump(tree, text)
    return text.getvalue()


def hub_url(config: Config) -> str:
    """How the nodes reached the Hub, "" where that was not said."""
    hub = config.JupyterHub
    for section in ("SlurmSpawner", "BatchSpawnerBase", "Spawner"):
        if url := config.get(section, {}).get("hub_connect_url"):
            return _reachable(str(url))
    port = hub.get("hub_connect_port") or hub.get("hub_port") or 8081
    hosts = (f"http://{hub[name]}:{port}" for name in ("hub_connect_ip", "hub_ip") if hub.get(name))
    urls = (str(hub[name]) for name in ("hub_connect_url", "hub_bind_url") if hub.get(name))
    return next((found for url in (*urls, *hosts) if (found := _reachable(url))), "")


def _reachable(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    if host in ("", "localhost", "0.0.0.0", "::") or host.startswith("127."):  # noqa: S104 - looked for, not bound
        return ""
    return f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"


def remarks(path: Path, made: list[Wanted], more: list[tuple[str, str]]) -> str:
    """What to do with each setting, as comments: what is in the file now, then a sentence for each that is not."""
    taken = dict.fromkeys(trait for one in made for trait in one.taken)
    left = {_trait(what): (what, sentence) for one in reversed(made) for what, sentence in reversed(one.left)}
    others = {_trait(what): sum(any(_trait(where) == _trait(what) for where, _ in one.left) for one in made) - 1
              for what, _ in left.values()}  # fmt: skip
    lines = [f'c.JupyterHub.spawner_class in {path.name} becomes: configure(c, catalogue="compute.yaml")']
    if taken:
        lines.append(f"In this file now, to be taken out of {path.name}: {', '.join(_together(taken))}.")
    lines.append("What else was said there, and what to do:")
    for what, sentence in [*more, *reversed(left.values())]:
        count = others.get(_trait(what), 0)
        and_more = f" (and of {count} more)" if count and isinstance(what, Place) and what.profile else ""
        lines.append(f"- {what}{and_more}: {sentence}")
    return "".join(f"# {line}\n" for text in lines for line in _wrapped(text))


def _wrapped(text: str) -> list[str]:
    below = "  " if text.startswith("-") else ""
    return textwrap.wrap(text, WIDTH - 2, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)


def _trait(what: Place | str) -> str:
    """What a sentence is about, without the place where it was written."""
    return what.trait if isinstance(what, Place) else what


def _together(taken: Iterable[Place]) -> Iterator[str]:
    """Traits that several profiles had are said once."""
    yield from dict.fromkeys(f"{one.trait} of the profiles" if one.profile else str(one) for one in taken)


def _line(path: Path, word: str) -> int:
    """The last line that has a word and is no comment."""
    lines = path.read_text(errors="replace").splitlines()
    return max((number for number, line in enumerate(lines, 1) if word in line.partition("#")[0]), default=0)
