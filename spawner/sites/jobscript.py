"""The script of a batch job, made of typed values: no text that a person sent goes into it. Standard library alone.

It is rendered where it is submitted, by the launcher, which takes values only (``read``) and adds what the operator
wrote (``Site``), which it has from its own settings. How a batch system is asked for something is in ``systems``.
"""

from __future__ import annotations  # the launcher is run by whatever Python a system has

import re
import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from beamhub.spawner.sites.systems import System

NAME = re.compile(r"bh-[a-z0-9]{1,16}-[0-9]{1,18}-[0-9a-f]{10}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+:/-]{0,199}")  # partition, account, module
PATH = re.compile(r"/[^\s'\"\\`$#\x00-\x1f\x7f]{0,999}")
IMAGE = re.compile(r"[A-Za-z0-9/][A-Za-z0-9._/:@+-]{0,254}")  # a file, a folder or a name in a registry
OPTION = re.compile(r"-[^\x00-\x1f\x7f]{0,500}")
DIRECTIVE = re.compile(r"--?[A-Za-z][A-Za-z0-9-]*(?:[= ][^\x00-\x1f\x7f]{0,500})?")


class NoJob(ValueError):
    """A value that no job can have; the message names it."""


@dataclass(frozen=True)
class Job:
    """What one job asks for.

    ``programs`` is the environment's folder of programs, ``image`` the container image that it is instead; without
    either the server is what the node has by itself.
    """

    name: str
    cores: int
    memory_mb: int
    minutes: int | None = None
    gpus: int = 0
    partitions: tuple[str, ...] = ()
    account: str = ""
    programs: str = ""
    modules: tuple[str, ...] = ()
    image: str = ""

    def check(self) -> None:
        """Whether its values are such.

        Raises:
            NoJob: one is none of its kind.
        """
        whole = {"cores": (1, 4096), "memory_mb": (1, 2**40), "gpus": (0, 1024), "minutes": (1, 60 * 24 * 366)}
        for name, (least, most) in whole.items():
            value = getattr(self, name)
            if name == "minutes" and value is None:
                continue
            if type(value) is not int or not least <= value <= most:
                raise NoJob(f"{name} {value!r} is no whole number from {least} to {most}")
        check("name", NAME, self.name)
        for name in ("partitions", "modules"):
            if not isinstance(getattr(self, name), tuple):
                raise NoJob(f"{name} is no list")
            for one in getattr(self, name):
                check(name, WORD, one)
        for name, pattern in (("account", WORD), ("programs", PATH), ("image", IMAGE)):
            check(name, pattern, getattr(self, name), needed=False)


AnyJob = TypeVar("AnyJob", bound=Job)


@dataclass(frozen=True)
class Site:
    """What the operator wrote for all jobs of a site; ``prologue`` and ``epilogue`` are lines of shell.

    ``runtime`` runs images on the nodes, with ``runtime_options``.
    """

    directives: tuple[str, ...] = ()
    module_init: str = ""
    prologue: str = ""
    epilogue: str = ""
    runtime: str = ""
    runtime_options: tuple[str, ...] = ()


# What runs a command in an image, as the same user, with the home and the node's network; options and image follow.
RUNTIMES = {
    "charliecloud": ("ch-run", "--home"),
    "apptainer": ("apptainer", "exec"),
    "podman": ("podman", "run", "--rm", "--network=host", "--userns=keep-id", "--env=HOME"),
}


def read(values: dict[str, Any], kind: type[AnyJob]) -> AnyJob:
    """A job of this kind from values that came from outside.

    Raises:
        NoJob: one is missing, unknown, or no value of its kind.
    """
    names = {one.name for one in fields(kind)}
    if unknown := set(values) - names:
        raise NoJob(f"a job has no {sorted(unknown)[0][:60]!r}")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        job = kind(**given)
    except TypeError as error:
        raise NoJob(str(error)) from error
    job.check()
    return job


def check(name: str, pattern: re.Pattern[str], value: Any, needed: bool = True) -> None:
    """Whether a value is one of its kind; without ``needed`` it may be "".

    Raises:
        NoJob: it is not.
    """
    if not isinstance(value, str) or not (pattern.fullmatch(value) or (not needed and value == "")):
        raise NoJob(f"{name} {str(value)[:80]!r} has letters that it cannot have")


def render(system: System, job: Job, site: Site, folder: str) -> str:
    """The whole script; ``folder`` holds this start's ``bootstrap.py``.

    Raises:
        NoJob: an operator's directive or a folder that cannot stand in a script.
    """
    for one in site.directives:
        if not DIRECTIVE.fullmatch(one):
            raise NoJob(f"directive {one[:80]!r} is none; write it like --comment=jupyter")
    check("the folder", PATH, folder)
    asked = (*system.directives(job, folder), *site.directives)
    lines = ["#!/bin/sh", *(f"{system.DIRECTIVE} {one}" for one in asked)]
    if job.modules:
        if site.module_init:
            lines.append(f". {shlex.quote(site.module_init)}")
        lines.append(f"module load {' '.join(shlex.quote(one) for one in job.modules)} || exit 1")
    if site.epilogue:
        lines.append("trap : TERM")  # the shell lives on until the server has ended
    if site.prologue:
        lines.append(site.prologue.rstrip("\n"))
    start = f'"$python" -I -S {shlex.quote(folder + "/bootstrap.py")} {shlex.quote(folder)}'
    if job.image:
        lines.append("python=python3")
        start = f"{_contained(job.image, site)} {start}"
    else:
        lines += _python(job.programs)
    lines += [start, "code=$?", site.epilogue.rstrip("\n"), 'exit "$code"'] if site.epilogue else [f"exec {start}"]
    return "\n".join(lines) + "\n"


def _contained(image: str, site: Site) -> str:
    """Shell that runs what follows in an image.

    Raises:
        NoJob: the site has nothing that does, or options that are none.
    """
    if site.runtime not in RUNTIMES:
        raise NoJob(f"images are run by {', '.join(RUNTIMES)}; the site's runtime is {site.runtime[:40]!r}")
    for one in site.runtime_options:
        if not OPTION.fullmatch(one):
            raise NoJob(f"runtime_options: {one[:80]!r} is no option; write it like --bind=/beamline")
    words = [*RUNTIMES[site.runtime], *site.runtime_options]
    home = ['--volume="$HOME:$HOME"'] if site.runtime == "podman" else []
    end = ["--"] if site.runtime == "charliecloud" else []
    return " ".join([*(shlex.quote(word) for word in words), *home, shlex.quote(image), *end])


def _python(programs: str) -> list[str]:
    """Shell that puts the interpreter's path into ``$python``."""
    if not programs:
        return ["python=python3"]
    return [
        f"python={shlex.quote(programs + '/python3')}",
        f'[ -x "$python" ] || python={shlex.quote(programs + "/python")}',
        'if [ ! -x "$python" ]; then',
        f'  echo {shlex.quote("there is no Python in " + programs + " on")} "$(hostname)" >&2',
        "  exit 127",
        "fi",
    ]
