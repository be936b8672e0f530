"""What the Hub's database keeps of one server, so that a Hub that was killed finds it again. No secret is in it."""

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

SCHEMA = 1


class Phase(StrEnum):
    """How far a start came."""

    INTENDED = "intended"  # committed; it may or may not have been submitted
    SUBMITTED = "submitted"
    ANNOUNCED = "announced"  # the Hub found it at its address
    RUNNING = "running"  # it answered there


@dataclass(frozen=True)
class Start:
    """One start. Times are seconds since 1970; ``child`` is what the site needs to find the job."""

    site: str
    profile: str
    job: str
    give_up_at: float
    ends_at: float | None = None
    phase: Phase = Phase.INTENDED
    url: str = ""
    child: dict[str, Any] = field(default_factory=dict)
    kind: str = "local"  # of the site; when none was written down there was no other, so it is no guess

    @property
    def nonce(self) -> str:
        """The part of the job's name that no other start has."""
        return self.job.rpartition("-")[2]


@dataclass(frozen=True)
class Kept:
    """What is kept beside a start: the options that were last accepted, and how the last server ended by itself.

    And which token of the Hub's database is the server's (ids alone are used again): it is there before the start is.
    """

    accepted: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    token_id: int = 0
    token_created: str = ""


def to_json(start: Start | None, kept: Kept) -> dict[str, Any]:
    """What is put into the database."""
    found: dict[str, Any] = {"schema": SCHEMA, "kept": {key: value for key, value in asdict(kept).items() if value}}
    if start:
        found["start"] = asdict(start)
    return found


def from_json(state: dict[str, Any]) -> tuple[Start | None, Kept]:
    """What was put into the database; keys of a later version are left out.

    >>> from_json({})
    (None, Kept(accepted={}, ended='', token_id=0, token_created=''))
    """
    start, kept = state.get("start"), _known(Kept, state.get("kept") or {})
    if not start:
        return None, Kept(**kept)
    return Start(**{**_known(Start, start), "phase": Phase(start["phase"])}), Kept(**kept)


def job_of(state: dict[str, Any] | None) -> str:
    """The name of the job that a server's state names, "" where there is none."""
    return str(((state or {}).get("start") or {}).get("job", ""))


def _known(kind: type[Any], found: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {key: value for key, value in found.items() if key in names}
