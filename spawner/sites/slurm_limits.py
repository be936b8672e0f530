"""How large the limit is for which a job waits, as Slurm's controller shows it to everybody. Pure functions."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from beamhub.spawner.sites.queue import Job, Stage

WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # others would be more than one in the question's lists
REASON = re.compile(r"(AssocGrp|QOSGrp|QOSMax)((?i:Cpu|GRES|Mem|Node))(?:ory)?(PerUser)?(?:Limit)?")
ASSOCIATION = re.compile(r"^ClusterName=\S* Account=(\S+) UserName=([^\s(]*)(?:\(\d+\))? Partition= .*$", re.MULTILINE)
# All accounts, a line of about 1 kB for each, none for the people in them but root: those above one cannot be asked for
# by it, and step by step it would be a question for each.
QUESTION_ABOVE = ("-o", "show", "assoc_mgr", "flags=assoc", "users=root")
WHAT = {"cpu": ("cpu", "core"), "gres": ("gres/gpu", "GPU"), "mem": ("mem", "MB"), "node": ("node", "node")}
WORDS = {
    "Assoc": "your own limit of {} is used up: it waits for other jobs of yours",
    "AssocGrp": "your group's limit of {} is used up: it waits for other jobs of yours or of your group",
    "QOSGrp": "the limit of {} of its class of service is used up: it waits for other jobs of that class",
    "QOSMax": "your own limit of {} is used up: it waits for other jobs of yours",
}


def waits(job: Job) -> bool:
    """Whether a job waits for a limit whose size can be asked for."""
    found = REASON.fullmatch(job.reason)
    known = found is not None and (found[1] == "QOSMax") == bool(found[3])
    return known and job.stage is Stage.WAITING and all(WORD.fullmatch(one) for one in (job.account, job.qos))


def question(jobs: Collection[Job]) -> list[str]:
    """What ``scontrol`` is asked for the limits of all these jobs, whose accounts and classes of service are words."""
    accounts, classes = sorted({one.account for one in jobs}), sorted({one.qos for one in jobs})
    which = [f"accounts={','.join(accounts)}", f"qos={','.join(classes)}"]
    return ["-o", "show", "assoc_mgr", "flags=assoc,qos", *which]


@dataclass(frozen=True)
class Association:
    """An account, or a person in one: the account above it, and of each limit how large it is and what is left."""

    user: str
    above: str
    limits: Mapping[str, tuple[int, int]]


Known = Mapping[tuple[str, str], Association]  # by account and user, who is "" for the account itself


def associations(text: str) -> dict[tuple[str, str], Association]:
    """What an answer shows of accounts, and of people in them; lines that are none are left out."""
    found = {}
    for line in ASSOCIATION.finditer(text):
        account, user = line[1], line[2]
        above = re.search(r"\bParentAccount=([^\s(]*)", line[0])
        values = re.search(r"\bGrpTRES=(\S*)", line[0])
        limits = re.findall(r"(?:^|,)([^=,]+)=(\d{1,18})\((\d{1,18})\)", values[1]) if values else []
        left = {name: (int(size), int(size) - int(used)) for name, size, used in limits}
        found[account, user] = Association(user, account if user else above[1] if above else "", left)
    return found


def asks_above(known: Known, job: Job) -> bool:
    """Whether the limit for which a job waits may be that of an account above all of those that are known."""
    found = REASON.fullmatch(job.reason)
    if not found or found[1] != "AssocGrp":
        return False
    path = list(_path(known, job))
    name = WHAT[found[2].lower()][0]
    used_up = any(name in one.limits and one.limits[name][1] <= 0 for one in path)
    return bool(path) and not used_up and bool(path[-1].above) and (path[-1].above, "") not in known


def limit(text: str, known: Known, job: Job) -> str:
    """Why a job waits, with the size of the limit, for people.

    Args:
        text: the answer to the ``question``.
        known: the ``associations`` in it, and those above where they were asked for.
        job: one that ``waits``.

    Returns:
        "" where the limit is not in the answer.
    """
    found = REASON.fullmatch(job.reason)
    if not found:
        return ""
    kind, (name, unit) = found[1], WHAT[found[2].lower()]
    if kind == "AssocGrp":
        fit = [one for one in _path(known, job) if name in one.limits]
        least = min(fit, key=lambda one: one.limits[name][1], default=None)  # a job that fits there fits everywhere
        kind = "Assoc" if least and least.user else kind
        size = str(least.limits[name][0]) if least else ""
    else:
        size = _of_class(text, job, name, of_user=kind == "QOSMax")
    return WORDS[kind].format(f"{size} {unit}{'s' if size != '1' and unit != 'MB' else ''}") if size else ""


def _path(known: Known, job: Job) -> Iterator[Association]:
    """The person in the job's account, the account, and all that are known above it."""
    key, seen = (job.account, job.user), set()
    if key not in known:
        key = job.account, ""
    while key in known and key not in seen:
        seen.add(key)
        yield known[key]
        key = known[key].above, ""


def _of_class(text: str, job: Job, name: str, *, of_user: bool) -> str:
    where = re.search(rf"^QOS={re.escape(job.qos)}\(.*$", text, re.MULTILINE)
    said = where[0] if where else ""
    if of_user:
        uid = re.search(rf"\bUserName={re.escape(job.user)}\((\d+)\)", text)
        found = re.search(rf"User Limits=.*\s{uid[1]}=\{{([^}}]*)\}}", said) if uid else None
        said = found[1] if found else ""
    values = re.search(r"\b(?:GrpTRES|MaxTRESPU)=(\S*)", said)
    size = re.search(rf"(?:^|,){name}=(\d+)\(", values[1]) if values else None
    return size[1] if size else ""
