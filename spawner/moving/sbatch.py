"""Options as ``sbatch`` takes them, in text that an operator wrote. Pure functions."""

import re
import shlex

SHORT = {
    "A": "account", "c": "cpus-per-task", "C": "constraint", "D": "chdir", "e": "error", "G": "gpus",
    "H": "hold", "J": "job-name", "L": "licenses", "M": "clusters", "n": "ntasks", "N": "nodes",
    "o": "output", "O": "overcommit", "p": "partition", "q": "qos", "s": "oversubscribe", "t": "time",
    "w": "nodelist", "x": "exclude",
}  # fmt: skip
ALONE = {
    "contiguous", "exclusive", "get-user-env", "hold", "no-requeue", "overcommit", "oversubscribe", "parsable",
    "quiet", "reboot", "requeue", "spread-job", "use-min-nodes", "verbose",
}  # fmt: skip
OTHERWISE = {"share": "oversubscribe", "workdir": "chdir", "cluster": "clusters"}  # older names
UNITS = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


def options(text: str) -> list[tuple[str, str]]:
    """The options of one line or several, by their long names; one without a value has "".

    >>> options("-c 2 --mem=24G --exclusive")
    [('cpus-per-task', '2'), ('mem', '24G'), ('exclusive', '')]
    """
    lines = (line.strip().removeprefix("#SBATCH") for line in text.splitlines())
    words = [word for line in lines for word in _words(line)]
    found: list[tuple[str, str]] = []
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word.strip("-") == "":
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name, equals, value = SHORT.get(word[1], word[1]), word[2:], word[2:].removeprefix("=")
        name = OTHERWISE.get(name, name)
        if not equals and name not in ALONE and words and not words[0].startswith("-"):
            value = words.pop(0)
        found.append((name, value))
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote that is not closed
        return line.split()


def megabytes(text: str) -> int | None:
    """A size of memory, in MB where it has no unit; None where it is none, or all that a node has ("0").

    >>> megabytes("2200"), megabytes("4gb"), megabytes("0")
    (2200, 4096, None)
    """
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", text.strip().upper())):
        return None
    return round(float(found[1]) * UNITS[found[2]]) or None


def gpus(text: str) -> tuple[str, int] | None:
    """What GPUs are called and how many are asked for, of ``--gres`` or ``--gpus``; None where that asks for others.

    >>> gpus("gpu:a100:2"), gpus("gpu"), gpus("tmpfs:10G")
    (('gpu:a100', 2), ('gpu', 1), None)
    """
    name, *rest = text.replace("=", ":").split(":")
    kind = [one for one in rest if not one.isdigit()]
    count = next((int(one) for one in rest if one.isdigit()), 1)
    return (":".join([name, *kind]), count) if name == "gpu" else None
