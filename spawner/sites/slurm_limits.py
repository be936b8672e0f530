"""How large the limit is for which a job waits, as Slurm's controller shows it to everybody. Pure functions."""

import re
from collections.abc import Collection

from beamhub.spawner.sites.queue import Job, Stage

WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # others would be more than one in the question's lists
REASON = re.compile(r"(AssocGrp|QOSGrp|QOSMax)((?i:Cpu|GRES|Mem|Node))(?:ory)?(PerUser)?(?:Limit)?")
WHAT = {"cpu": ("cpu", "core"), "gres": ("gres/gpu", "GPU"), "mem": ("mem", "MB"), "node": ("node", "node")}
WORDS = {
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


def limit(text: str, job: Job) -> str:
    """Why a job waits, with the size of the limit, for people.

    Args:
        text: the answer to the ``question``.
        job: one that ``waits``.

    Returns:
        "" where no limit of the job's own account or class of service is in the answer, as when it is that of an
        account above.
    """
    found = REASON.fullmatch(job.reason)
    if not found:
        return ""
    name, unit = WHAT[found[2].lower()]
    if found[1] == "AssocGrp":
        where = re.search(rf"^.*\bAccount={re.escape(job.account)} UserName= .*$", text, re.MULTILINE)
    else:
        where = re.search(rf"^QOS={re.escape(job.qos)}\(.*$", text, re.MULTILINE)
    said = where[0] if where else ""
    if found[1] == "QOSMax":
        uid = re.search(rf"\bUserName={re.escape(job.user)}\((\d+)\)", text)
        of_user = re.search(rf"User Limits=.*\s{uid[1]}=\{{([^}}]*)\}}", said) if uid else None
        said = of_user[1] if of_user else ""
    values = re.search(r"\b(?:GrpTRES|MaxTRESPU)=(\S*)", said)
    size = re.search(rf"(?:^|,){name}=(\d+)\(", values[1]) if values else None
    if not size:
        return ""
    return WORDS[found[1]].format(f"{size[1]} {unit}{'s' if size[1] != '1' and unit != 'MB' else ''}")
