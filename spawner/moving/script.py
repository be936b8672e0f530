"""A template of a job's script, as batchspawner fills it in: its options, and the shell around the server. Pure."""

import re
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import meta

COMMAND = "@cmd@"  # stands for the server's command
OF_THE_PERSON = ("username", "homedir", "keepvars")  # what batchspawner knows only at a start
SERVER = re.compile(r"@cmd@|jupyterhub-singleuser|jupyter-labhub")
IDLE = re.compile(
    r"\s*(#.*|set\s.*pipefail|set\s+[-+][eux]+|trap 'echo SIGTERM received' TERM|"
    r'echo "jupyterhub-singleuser ended gracefully")?\s*'
)
CONTAINERS = ("singularity", "apptainer")


@dataclass(frozen=True)
class Script:
    """What a script says.

    ``options`` are lines of ``#SBATCH``, ``before`` and ``after`` are shell around the server, ``start`` is the line
    that starts it, ``login`` says whether its shell is one of a login, ``unknown`` are variables that have no value.
    """

    options: str
    before: str
    start: str
    after: str
    login: bool
    unknown: tuple[str, ...]


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def read(template: str, values: Mapping[str, Any]) -> Script:
    """Fill in a template, and take it apart.

    Raises:
        ValueError: it cannot be filled in.
    """
    given = {**{name: f"@{name}@" for name in OF_THE_PERSON}, **values, "cmd": COMMAND}
    try:
        if "{{" in template or "{%" in template:
            environment = jinja2.Environment(autoescape=False)  # noqa: S701 - it makes shell, no page
            names = set(meta.find_undeclared_variables(environment.parse(template)))
            text = environment.from_string(template).render(given)
        else:
            names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
            text = string.Formatter().vformat(template, (), _Blank(given))
    except Exception as error:  # it is anybody's code
        raise ValueError(f"it is no template: {error}") from error
    return _apart(text, tuple(sorted(names - set(given))))


def _apart(text: str, unknown: tuple[str, ...]) -> Script:
    lines = text.replace("\\\n", " ").splitlines()
    commands = [number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
    head = lines[: commands[0] if commands else len(lines)]
    body = lines[len(head) :]
    at = next((number for number, line in enumerate(body) if SERVER.search(line) and not _is_idle(line)), len(body))
    return Script(
        options="\n".join(line for line in head if line.startswith("#SBATCH")),
        before=shell(body[:at]),
        start=" ".join(body[at].split()) if at < len(body) else "",
        after=shell(body[at + 1 :]),
        login=bool(head and re.match(r"#!.*sh\s+(-l|--login)\b", head[0])),
        unknown=unknown,
    )


def _is_idle(line: str) -> bool:
    return IDLE.fullmatch(line) is not None


def shell(lines: list[str]) -> str:
    """Lines of shell without comments and what batchspawner's own template has; ``source`` is bash's word for a dot."""
    kept = [line.rstrip() for line in lines if not _is_idle(line)]
    return "\n".join(re.sub(r"^(\s*)source\s", r"\1. ", line) for line in kept)


def container(start: str) -> tuple[str, list[str]] | None:
    """Image and options of a server that is started in a container; None where it is not, or not plainly."""
    try:
        words = shlex.split(start.partition(COMMAND)[0]) if COMMAND in start else []
    except ValueError:  # a quote that is not closed, or that holds the command
        return None
    if words[:1] == ["srun"]:
        words = words[1:]
    if len(words) < 3 or words[0].rpartition("/")[2] not in CONTAINERS or words[1] not in ("exec", "run"):
        return None
    *rest, image = words[2:]
    found: list[str] = []
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            return None
        value = rest.pop(0) if "=" not in word and rest and not rest[0].startswith("-") else ""
        found.append(f"{word}={value}" if value else word)
    return (image, found) if "$" not in image + "".join(found) else None


def programs(command: str, before: str) -> str:
    """The folder of the environment's programs: of the command, else what the shell before it puts into ``PATH``."""
    words = command.split()
    if words and words[0].startswith("/"):
        return words[0].rpartition("/")[0]
    found = ""
    for line in before.splitlines():
        if active := re.fullmatch(r"\s*\.\s+(/\S+/bin)/activate\s*", line):
            found = active[1]
        elif path := re.match(r"\s*(?:export\s+)?PATH=[\"']?(/[^:$\s\"']+)", line):
            found = path[1]
        elif conda := re.fullmatch(r"\s*conda activate (/\S+)\s*", line):
            found = f"{conda[1]}/bin"
    return found


def modules(before: str) -> tuple[list[str], str, str]:
    """Modules that are loaded first of all, the file that makes the command, and the shell that is left.

    All is left as it is where another command comes before a ``module load``.
    """
    loaded: list[str] = []
    left: list[str] = []
    made_by = ""
    for line in before.splitlines():
        words = line.split()
        if words[:2] in (["module", "load"], ["module", "add"]) or words[:1] == ["ml"]:
            named = words[2 if words[0] == "module" else 1 :]
            if left or any(not re.fullmatch(r"[A-Za-z0-9][\w.+:/-]*", one) for one in named):
                return [], "", before
            loaded += named
        elif words[:1] == ["module"]:
            return [], "", before
        elif (init := re.fullmatch(r"\s*\.\s+(/\S*(?:module|lmod)\S*)\s*", line, re.IGNORECASE)) and not left:
            made_by = init[1]
        else:
            left.append(line)
    return (loaded, made_by, "\n".join(left)) if loaded else ([], "", before)
