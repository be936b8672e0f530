"""Grid Engine's words: what its commands print, and what that means to people. Pure functions.

Lists are read as XML, in which a job's name, which may hold any letters, cannot pass for something else.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

from beamhub.spawner.sites.queue import Job, Node, Queue, Stage

ALL = "all queues"  # where a job that asks for no queue may run
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
WILD = re.compile(r"[*?\[\]!&|()@]")
UNITS = {"": 1 / 2**20, "k": 1000 / 2**20, "K": 2**10 / 2**20, "m": 1e6 / 2**20, "M": 1, "g": 1e9 / 2**20, "G": 2**10,
         "T": 2**20, "t": 1e12 / 2**20}  # fmt: skip


class NotRead(ValueError):
    """The output is not what the command prints, or ends in the middle: what is not in it need not be missing."""


def document(text: str, *names: str) -> ElementTree.Element:
    """What ``-xml`` printed, where it is one of these.

    A command that could not ask anybody prints a document, too, and ends with 0.

    Raises:
        NotRead: it is none, or another one.
    """
    # the names of some elements of a job in error have blanks in them: <JATASK:      36.>
    text = re.sub(r"<(/?)JATASK:[^<>]*>", r"<\1JATASK>", text)
    text = NO_TEXT.sub("?", text)  # a job's name may hold what XML cannot, and it is printed as it is
    if "<!" in text:  # no document of Grid Engine's declares anything; what a name holds is written as &lt;!
        raise NotRead(f"it declares something: {text[:80]!r}")
    try:
        found = ElementTree.fromstring(text)  # noqa: S314 - see above: without declarations there are no entities
    except ElementTree.ParseError as error:
        raise NotRead(f"{error}: {text[-80:]!r}") from error
    if found.tag not in names:
        raise NotRead(f"{found.tag}: {' '.join(''.join(found.itertext()).split())[:300]}")
    return found


def stage(state: str) -> Stage:
    """Where a job in this state is. One in error waits for ever, so that counts as its end.

    >>> stage("r"), stage("hqw"), stage("dr"), stage("Eqw"), stage("?")
    (<Stage.RUNNING: 'running'>, <Stage.WAITING: 'waiting'>, <Stage.ENDING: 'ending'>, <Stage.ENDED: 'ended'>, \
<Stage.OTHER: 'other'>)
    """
    if not state or set(state) - set("EdhqwRrtsSTNPz"):
        return Stage.OTHER
    if "E" in state or "z" in state:
        return Stage.ENDED
    if "d" in state:
        return Stage.ENDING
    return Stage.WAITING if "w" in state else Stage.RUNNING


def queue(text: str, own: Collection[str]) -> Queue:
    """What ``qstat -xml -r -u '*'`` printed: our own jobs, and the priorities of all that wait.

    Raises:
        NotRead: it is no whole list.
    """
    jobs: dict[str, Job] = {}
    waiting: dict[str, list[int]] = {}
    for one in document(text, "job_info").iter("job_list"):
        job = _job(one)
        if job.state == "qw":  # what is held does not come before anybody
            for name in job.partitions:
                waiting.setdefault(name, []).append(job.priority)
        if job.id in own:
            jobs[job.id] = job
    everywhere = waiting.get(ALL, [])
    for name, priorities in waiting.items():
        waiting[name] = sorted(priorities if name == ALL else [*priorities, *everywhere])
    return Queue(jobs, waiting)


def _job(one: ElementTree.Element) -> Job:
    state, instance = one.findtext("state", ""), one.findtext("queue_name", "")
    start = _time(one.findtext("JAT_start_time", ""))
    asked = {found.get("name"): found.text or "" for found in one.iter("hard_request")}
    time = _duration(asked.get("h_rt", ""))
    queues = tuple(found.text or "" for found in one.iter("hard_req_queue"))
    return Job(
        one.findtext("JB_job_number", ""), stage(state), state, one.findtext("JB_owner", ""),
        queues if queues and not any(WILD.search(name) for name in queues) else (ALL,),
        start, start + time if start is not None and time is not None else None,
        round(_number(one.findtext("JAT_prio", "")) * 1e5), instance.partition("@")[2],
    )  # fmt: skip


def with_reasons(found: Queue, said: Mapping[str, list[str]]) -> Queue:
    """The same queue, in which jobs know why they wait, out of ``messages``."""

    def why(job: Job) -> str:
        return reason(said.get(job.id, ()), job.partitions) or reason(said.get("", ()), job.partitions)

    waits = Stage.WAITING
    jobs = {number: replace(job, reason=why(job)) if job.stage is waits else job for number, job in found.jobs.items()}
    return Queue(jobs, found.waiting)


def names(text: str) -> list[tuple[str, str, str]]:
    """Number, name and user of each job that ``qstat -xml -u`` printed. Raises NotRead."""
    listed = document(text, "job_info").iter("job_list")
    keys = ("JB_job_number", "JB_name", "JB_owner")
    return [(found[0], found[1], found[2]) for found in ([one.findtext(key, "") for key in keys] for one in listed)]


def messages(text: str) -> dict[str, list[str]]:
    """Why jobs wait, in the scheduler's words, of each that ``qstat -xml -j`` was asked for; "": what keeps all.

    Raises:
        NotRead: it said something else.
    """
    found: dict[str, list[str]] = {}
    asked = document(text, "detailed_job_info", "unknown_jobs")
    for one in (message for each in asked.iter("SME_message_list") for message in each):
        for number in one.iter("ULNG_value"):
            found.setdefault(number.text or "", []).append(one.findtext("MES_message", ""))
    for everywhere in asked.iter("SME_global_message_list"):
        found.setdefault("", []).extend(one.text or "" for one in everywhere.iter("MES_message"))
    return found


def detail(text: str, number: str) -> tuple[str, str] | None:
    """User and error, as ``qstat -xml -j NUMBER`` printed it; None where it said that there is no such job.

    Raises:
        NotRead: it said something else.
    """
    found = document(text, "detailed_job_info", "unknown_jobs")
    if found.tag == "unknown_jobs":
        if [one.text for one in found.iter("ST_name")] != [number]:
            raise NotRead(f"it is not about {number}: {text[:200]!r}")
        return None
    job = found.find("djob_info/element")
    if job is None or job.findtext("JB_job_number") != number or not job.findtext("JB_owner"):
        raise NotRead(f"it is not about {number}: {text[:200]!r}")
    return job.findtext("JB_owner", ""), " ".join(one.text or "" for one in job.iter("QIM_message"))


def nodes(text: str, memory: str, gpu: str) -> list[Node]:
    """What ``qstat -f -F -xml`` printed, a node for each queue and computer; of resources by these names.

    Raises:
        NotRead: it is no whole list.
    """
    found = []
    for one in document(text, "job_info").iter("Queue-List"):
        partition, _, name = one.findtext("name", "").partition("@")
        has = {each.get("name"): each.text or "" for each in one.iter("resource")}
        slots = [_number(one.findtext(f"slots_{what}", "")) for what in ("total", "used", "resv")]
        free = next((has[key] for key in (memory, "mem_free") if has.get(key, "infinity") != "infinity"), "")
        found.append(
            Node(name, partition, not one.findtext("state") and "arch" in {each.tag for each in one},
                 max(0, int(slots[0] - slots[1] - slots[2])), int(_megabytes(free)), int(_number(has.get(gpu, ""))),
                 _duration(has.get("h_rt", "")), True)
        )  # fmt: skip
    return found


def record(text: str, user: str) -> dict[str, str]:
    r"""What ``qacct -j`` printed of the last job of this user that had the number; empty where there was none.

    >>> record("=====\nowner  anna\nfailed  0\nexit_status  3\n=====\nowner  bob\nfailed  0\n", "anna")
    {'owner': 'anna', 'failed': '0', 'exit_status': '3'}
    """
    found: dict[str, str] = {}
    for part in re.split(r"^=+$", text, flags=re.MULTILINE):
        lines = (line.split(None, 1) for line in part.splitlines())
        one = {words[0]: words[1].strip() for words in lines if len(words) == 2}
        if one.get("owner") == user and "failed" in one:
            found = one
    return found


REASONS = [
    (r"in error state", "the batch system could not begin it"),
    (r"in hold state", "it is held back in the batch system"),
    (r"exceeds limit|resource quota|job limit", "your group's or your own limit is used up: it waits for other jobs of "
     "yours or of your group"),
    (r"only offers \d+ slots|dropped because it is full|overloaded|offers only|not enough|temporarily",
     "free nodes are waited for"),
    (r"disabled|suspended|calendar|not available|unknown state|dropped because", "the nodes for it are switched off"),
    (r"depend", "it depends on another job"),
    (r"start time", "it may not begin yet"),
]  # fmt: skip
FOREIGN = re.compile(r"not contained in its hard queue list|has no permission|collecting of scheduler", re.IGNORECASE)
NAMED = re.compile(r'queue(?: instance)? "([^"@]+)')


def reason(said: Iterable[str], queues: Collection[str] = (ALL,)) -> str:
    """The one of the scheduler's messages that tells most, "" where none does; those about other queues do not.

    >>> reason(['queue instance "b.q@vm" dropped because it is full', "Job is in hold state"], ["a.q"])
    'Job is in hold state'
    """
    told = []
    for one in said:
        named = NAMED.search(one)
        if not FOREIGN.search(one) and (named is None or ALL in queues or named[1] in queues):
            told.append(one)
    for pattern, _ in REASONS:
        for one in told:
            if re.search(pattern, one):
                return one
    return told[0] if told else ""


def why_waiting(reason: str) -> str:
    """Why a job waits, for people.

    >>> why_waiting('cannot run in PE "smp" because it only offers 0 slots'), why_waiting("")
    ('free nodes are waited for', 'it waits for its turn')
    """
    if not reason:
        return "it waits for its turn"
    for pattern, words in REASONS:
        if re.search(pattern, reason):
            return words
    return f"the batch system says {reason[:60]!r}"


REFUSALS = [
    (r"unknown queue", "the queue that the operator named is not there"),
    (r"parallel environment", "the parallel environment that the operator named is not there"),
    (r"project", "your account may not compute for that project, or there is no such project"),
    (r"no suitable queues", "no queue there takes it: it is too large, or your account may not use the queue"),
    (r"unknown resource|not requestable", "the operator asked for a resource that is not there"),
    (r"reservation", "the reservation is over, not begun, or not yours"),
    (r"only allowed to submit|job limit|too many|exceed|limit", "your or your group's limit is used up"),
    (r"neither submit nor admin|no submit host", "the Hub's computer may not submit jobs there"),
    (r"access denied|not allowed|permission|denied", "your account may not compute there. Ask those who gave you your "
     "account"),
    (r"commlib|qmaster|timeout|timed out|did not come to an end", "the batch system does not answer. Try again later"),
]  # fmt: skip


def why_refused(text: str) -> str:
    """Why ``qsub`` did not take a job, for people; the operator reads the text itself in the log.

    >>> why_refused('Unable to run job: Job was rejected because job requests unknown queue "nope"')
    'the queue that the operator named is not there'
    """
    for pattern, words in REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    return "the batch system did not take it"


def why_ended(found: Mapping[str, str]) -> tuple[str, int, bool]:
    """How a job ended, as ``record`` has it: in words, its code, a signal with a minus, and whether its time was over.

    >>> why_ended({"failed": "0", "exit_status": "3"})
    ('It ended with code 3.', 3, False)
    >>> why_ended({"failed": "37 : qmaster enforced", "exit_status": "137", "ru_wallclock": "61s", "category": \
"-l h_rt=60"})
    ('Its time was over.', -9, True)
    """
    failed = int(_number(found.get("failed", "")))
    code = int(_number(found.get("exit_status", "")))
    code = 128 - code if 128 < code < 192 else code
    if failed == 37:
        asked = re.search(r"\bh_rt=([\d:.]+)", found.get("category", ""))
        time = _duration(asked[1]) if asked else None
        if time is not None and _number(found.get("ru_wallclock", "")) >= time:
            return "Its time was over.", code, True
        return "It took more memory or time than it had. Choose more.", code, False
    if code < 0:
        return (
            f"It was killed there (signal {-code}): it was cancelled in the batch system, not from here, or took more "
            "memory than the computer had."
        ), code, False  # fmt: skip
    if failed:
        words = found["failed"].partition(":")[2].strip()
        return f"The computer could not run it ({words or failed}).", code or 1, False
    return ("It ended by itself." if code == 0 else f"It ended with code {code}."), code, False


def _time(text: str) -> float | None:
    """A moment that was written with ``TZ=UTC``."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _duration(text: str) -> float | None:
    """Grid Engine's ``hours:minutes:seconds`` or seconds; None where there is no limit.

    >>> _duration("1:00:30"), _duration("600"), _duration("infinity")
    (3630.0, 600.0, None)
    """
    found = re.fullmatch(r"(?:(\d{0,9}):)?(?:(\d{0,9}):)?(\d{1,12})(?:\.\d+)?", text)
    if not found:
        return None
    first, second, seconds = (int(part or 0) for part in found.groups())
    hours, minutes = (first, second) if found[2] is not None else (0, first)
    return float((hours * 60 + minutes) * 60 + seconds)


def _number(text: str) -> float:
    found = re.match(r"\d{1,15}(\.\d{1,15})?", text)
    return float(found[0]) if found else 0.0


def _megabytes(text: str) -> float:
    """Memory as Grid Engine writes it, ``22.9G`` or ``100000``, in megabytes.

    >>> _megabytes("1.5G"), _megabytes("512M"), _megabytes("1048576")
    (1536.0, 512.0, 1.0)
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)([kKmMgGtT]?)", text)
    return float(found[1]) * UNITS[found[2]] if found else 0.0
