"""Slurm's words: what its commands print, and what that means to people. Pure functions.

No job's name is ever asked for in a list: it may hold any letters, line ends too, and would forge the lines.
"""

import re
from collections.abc import Collection

from beamhub.spawner.sites.queue import Job, Node, Queue, Stage

QUEUE = "%i|%T|%u|%P|%S|%e|%Q|%N|%a|%q|%r"  # the reason last: it may hold anything that the administrator wrote
NODES = "NodeList:|,Partition:|,Available:|,StateLong:|,CPUsState:|,Memory:|,AllocMem:|,Gres:|,GresUsed:|,Time:|"
STAGES = {
    **dict.fromkeys(("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
                     "RESV_DEL_HOLD"), Stage.WAITING),
    **dict.fromkeys(("RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"), Stage.RUNNING),
    "COMPLETING": Stage.ENDING,
    **dict.fromkeys(("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY",
                     "BOOT_FAIL", "DEADLINE", "REVOKED"), Stage.ENDED),
}  # fmt: skip
NOT_YET = r"BeginTime|Dependency|JobHeld|RequeuedHeld|Reservation$"  # such a job takes nobody's place
UP = {"idle", "mixed", "allocated", "completing", "planned"}


class CutOff(ValueError):
    """The output ends in the middle: what is not in it need not be missing."""


def stage(state: str) -> Stage:
    """Where a job in this state is.

    >>> stage("RUNNING"), stage("CANCELLED by 1003"), stage("NEW_WORD")
    (<Stage.RUNNING: 'running'>, <Stage.ENDED: 'ended'>, <Stage.OTHER: 'other'>)
    """
    words = state.split()
    return STAGES.get(words[0].rstrip("+"), Stage.OTHER) if words else Stage.OTHER


def queue(text: str, own: Collection[str]) -> Queue:
    """What ``squeue -o QUEUE`` printed: our own jobs, and the priorities of all that wait.

    Raises:
        CutOff: its last line is no whole one.
    """
    if text and not text.endswith("\n"):
        raise CutOff(text[-80:])
    jobs: dict[str, Job] = {}
    waiting: dict[str, list[int]] = {}
    planned: dict[str, list[float]] = {}
    for line in text.splitlines():
        parts = line.split("|", 10)
        if len(parts) != 11:
            continue
        number, state, user, partition, start, end, priority, node, account, qos, reason = parts
        if state == "PENDING":
            for name in partition.split(","):
                waiting.setdefault(name, []).append(_whole(priority))
                if not re.match(NOT_YET, reason):
                    planned.setdefault(name, []).append(_time(start) or float("inf"))
        if number in own:
            jobs[number] = Job(
                number, stage(state), state, user, tuple(partition.split(",")), _time(start), _time(end),
                _whole(priority), node, reason, account, qos,
            )  # fmt: skip
    in_order = {name: sorted(priorities) for name, priorities in waiting.items()}
    return Queue(jobs, in_order, {name: sorted(moments) for name, moments in planned.items()})


def nodes(text: str) -> list[Node]:
    """What ``sinfo -h -N -O NODES`` printed; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) < 10:
            continue
        name, partition, available, state, cores, memory, allocated, gres, used, longest = parts[:10]
        counts = cores.split("/")
        if len(counts) != 4:
            continue
        up = available == "up" and state.rstrip("*~#!%$@^-+") in UP and not state.endswith("*")
        free = _gpus(gres) - _gpus(used)
        found.append(
            Node(name, partition.rstrip("*"), up, _whole(counts[1]), _whole(memory) - _whole(allocated), free,
                 _duration(longest), partition.endswith("*"))
        )  # fmt: skip
    return found


def record(text: str) -> dict[str, str]:
    """What ``scontrol -o show job ID`` printed, but for what may hold a person's own words.

    >>> record("JobId=7 JobName=x JobState=TIMEOUT y Reason=TimeLimit ExitCode=0:0 RunTime=1")["JobState"]
    'TIMEOUT'
    """
    found: dict[str, str] = {}
    for key in ("JobId", "JobState", "Reason", "ExitCode", "StartTime", "EndTime", "UserId"):
        values = re.findall(rf"(?:^|\s){key}=(\S+)", text)
        if len(set(values)) == 1:  # a name like "x JobState=COMPLETED" would give two: then nothing is believed
            found[key] = values[0]
    return found


def hides_jobs(config: str) -> bool:
    """Whether ``scontrol show config`` says that other people's jobs are not shown."""
    found = re.search(r"^PrivateData\s*=\s*(.*)$", config, re.MULTILINE)
    return found is not None and "jobs" in re.split(r"[,\s]+", found[1])


def keeps_no_accounts(text: str) -> bool:
    """Whether ``sacctmgr`` says that there is no accounting, rather than that it does not answer."""
    return "not running a supported accounting_storage" in text


def why_hidden(user: str, level: str | None) -> str:
    """Why the jobs of others are hidden from an account, and what to do; "" where they are not.

    ``level`` is its AdminLevel, "" where the accounting has no such user, None where there is no accounting.

    >>> why_hidden("hub", "Operator")
    ''
    """
    if level in ("Operator", "Administrator"):
        return ""
    said = "Slurm hides other people's jobs (PrivateData=jobs): servers that ended are shown as if they ran. "
    if level is None:
        return f"{said}There is no slurmdbd that could let {user} see them: take jobs out of PrivateData in slurm.conf"
    how = f"modify user {user} set" if level else f"add user {user} account=root"
    return f"{said}Let this account see all jobs: sacctmgr -i {how} adminlevel=Operator"


REASONS = [
    (r"Resources", "free nodes are waited for"),
    (r"Priority", "other jobs come first"),
    (r"None", "it was just handed in"),
    (r"BeginTime", "it may not begin yet"),
    (r"JobHeld(User|Admin)|RequeuedHeld|launch failed requeued held", "it is held back in the batch system"),
    (r"(Assoc|QOS)Max\w*Per(Job|Node)\w*",
     "it asks for more than your or your group's limit for one job: stop it, and choose less"),
    (r"(Assoc|QOS)\w*(Minutes|Wall|RunMin)\w*", "your group's time for computing is used up"),
    (r"(Assoc|QOS)(Grp|Max)(Cpu|CPU|GRES|Gres|Mem|Node|Tres|TRES)\w*|MaxCpuPerAccount",
     "your group's or your own limit is used up: it waits for other jobs of yours or of your group"),
    (r"(Assoc|QOS)\w*Jobs?\w*Limit|QOSMaxSubmit\w*|AssocMaxSubmit\w*", "as many jobs as you may have run already"),
    (r"PartitionDown|PartitionInactive", "the nodes for it are switched off"),
    (r"PartitionTimeLimit|PartitionNodeLimit", "it asks for more than these nodes give"),
    (r"ReqNodeNotAvail.*[Mm]aint.*|.*[Rr]eserved for maintenance.*|Maint\w*", "the nodes are reserved for maintenance"),
    (r"ReqNodeNotAvail.*|Nodes required for job are DOWN.*|NodeDown", "the nodes for it are down or reserved"),
    (r"Reservation\w*", "its reservation has not begun"),
    (r"Licenses", "licences are waited for"),
    (r"Dependency\w*", "it depends on another job"),
]  # fmt: skip


def why_waiting(reason: str) -> str:
    """Why a job waits, for people.

    >>> why_waiting("QOSMaxCpuPerUserLimit")
    "your group's or your own limit is used up: it waits for other jobs of yours or of your group"
    """
    for pattern, words in REASONS:
        if re.fullmatch(pattern, reason.strip("()")):
            return words
    return f"the batch system says {reason[:60]!r}"


REFUSALS = [
    (r"invalid partition|Invalid partition", "the queue that the operator named is not there"),
    (r"[Tt]ime limit (is )?(invalid|exceeds)|Requested time limit is invalid", "that much time is not possible there"),
    (r"Node count specification invalid|[Nn]ode configuration is not available|can not be satisfied|More processors",
     "no node there is as large as that"),
    (r"generic resource", "there are no such GPUs"),
    (r"Invalid account|account/partition combination",
     "your account may not compute there. Ask those who gave you your account"),
    (r"Invalid qos", "your account may not use that class of service"),
    (r"feature specification|node name specified", "the operator asked for nodes that are not there"),
    (r"group not permitted|User's group", "your groups may not use that queue"),
    (r"reservation", "the reservation is over, not begun, or not yours"),
    (r"partition not available|inactive or drain", "that queue is switched off at the moment"),
    (r"[Rr]ate limit", "the batch system has too much to do. Try again later"),
    (r"[Jj]ob violates accounting|AssocMax|QOSMax|[Ll]imit", "your or your group's limit is used up"),
    (r"Unable to contact|connect failure|timed out|Zero Bytes", "the batch system does not answer. Try again later"),
    (r"configuration (file|source)|getaddrinfo|Unable to resolve", "the Hub's computer does not find the batch system"),
    (r"[Bb]atch script|parameter too long", "what the operator wrote for all jobs cannot be a job's script"),
    (r"[Uu]nrecognized option|Invalid --", "the operator asked for something that the batch system does not know"),
    (r"[Mm]unge|authentication", "the batch system does not know the Hub's computer at the moment. Try again later"),
]  # fmt: skip


def why_refused(text: str) -> str:
    """Why ``sbatch`` did not take a job, for people; the operator reads the text itself in the log.

    >>> why_refused("sbatch: error: Batch job submission failed: Invalid qos specification")
    'your account may not use that class of service'
    """
    for pattern, words in REFUSALS:
        if re.search(pattern, text):
            return words
    return "the batch system did not take it"


def why_ended(state: str, reason: str, code: str) -> str:
    """How a job ended by itself, for people; ``code`` is Slurm's ``exit:signal``.

    >>> why_ended("NODE_FAIL", "NodeDown", "0:0")
    'The computer that it ran on failed.'
    """
    word = state.split()[0].rstrip("+") if state.split() else ""
    known = {
        "TIMEOUT": "Its time was over.",
        "DEADLINE": "Its time was over.",
        "NODE_FAIL": "The computer that it ran on failed.",
        "BOOT_FAIL": "The computer that it was to run on did not start.",
        "PREEMPTED": "A job that goes before yours took its place.",
        "OUT_OF_MEMORY": "It took more memory than it had. Choose more memory.",
        "CANCELLED": "It was cancelled in the batch system, not from here.",
        "COMPLETED": "It ended by itself.",
    }
    if word in known:
        return known[word]
    ended, _, signal = code.partition(":")
    if signal == "0" and ended.isdigit() and 128 < int(ended) < 192:  # the server's, said by the program above it
        signal = str(int(ended) - 128)
    if signal == "125":
        return known["OUT_OF_MEMORY"]
    if signal == "53":
        return "Its log could not be written: your folder is full or not writable."
    if signal not in ("", "0"):
        return f"It was killed there (signal {signal}), as happens to what takes more memory than it had."
    return f"It ended with code {ended or '?'}."


BY_LOG = [
    (r"cancelled in the batch system", r"^Error running slurm prolog",
     "The computer that it was to run on could not be made ready for it."),
    (r"signal 9|how is not known", r"^slurmstepd.*(xceeded (job )?memory limit|oom.kill)",
     "It took more memory than it had. Choose more memory."),
]  # fmt: skip


def why_by_log(lines: str, said: str) -> str:
    """What Slurm's daemon wrote into the log of a job that it ended, for people.

    Args:
        lines: the log's.
        said: how the job ended by its state, which leaves some reasons open; anybody can write into the log.

    Returns:
        "" where it wrote nothing, or that is not open.

    >>> why_by_log("Error running slurm prolog: 1", "It was cancelled in the batch system, not from here.")
    'The computer that it was to run on could not be made ready for it.'
    """
    for still_open, written, words in BY_LOG:
        if re.search(still_open, said) and re.search(written, lines, re.MULTILINE | re.IGNORECASE):
            return words
    return ""


def exit_code(code: str) -> int:
    """Slurm's ``exit:signal`` as one number, a signal with a minus; 1 where it is none.

    >>> exit_code("3:0"), exit_code("0:9"), exit_code("137:0"), exit_code("")
    (3, -9, -9, 1)
    """
    found = re.fullmatch(r"(\d+):(\d+)", code)
    if not found:
        return 1
    ended, signal = int(found[1]), int(found[2])
    return -signal if signal else 128 - ended if 128 < ended < 192 else ended


def _whole(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


def _time(text: str) -> float | None:
    """A moment: seconds since 1970, as Slurm says it with ``SLURM_TIME_FORMAT=%s``."""
    return float(text) if text.isdigit() else None


def _duration(text: str) -> float | None:
    """Slurm's ``days-hours:minutes:seconds``; None where there is no limit.

    >>> _duration("1-02:00:00"), _duration("30:00"), _duration("infinite")
    (93600.0, 1800.0, None)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def seconds(text: str) -> float | None:
    """A time limit, as ``sbatch`` takes it; None where there is none, or it is no time.

    >>> seconds("90"), seconds("2:00:00"), seconds("1-12"), seconds("UNLIMITED")
    (5400.0, 7200.0, 129600.0, None)
    """
    if not (found := re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())):
        return None
    days, first, second, third = found[1], *(int(part or 0) for part in found.groups()[1:])
    if days is not None:
        total = int(days) * 86400 + first * 3600 + second * 60 + third
    elif found[4] is not None:
        total = first * 3600 + second * 60 + third
    else:
        total = first * 60 + second
    return float(total) or None


def _gpus(gres: str) -> int:
    """How many GPUs ``gpu:a100:4(S:0-1),gpu:2`` are."""
    return sum(int(count) for count in re.findall(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)", gres))
