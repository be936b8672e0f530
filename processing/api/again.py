"""Runs done again: which ones, and what each of them gets."""

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from beamhub.catalog.records import Run, RunState
from beamhub.processing.errors import BadRequest
from beamhub.processing.library import Library, UnknownFunction, Version
from beamhub.processing.query import RunQuery
from beamhub.processing.work import PlannedRun

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MOST_IDS = 1000  # in one query
MOST_AGAIN = 10_000  # runs of one request
Number = Annotated[int, Field(ge=0, lt=2**63)]


def key_of(user: str, given: str) -> str:
    """As which a person's Idempotency-Key is stored: two people may choose the same."""
    return hashlib.sha256(f"{user}\0{given}".encode()).hexdigest()


class RunFilter(BaseModel):
    """The same names as in a listing's query; without ``proposal`` all that can be seen."""

    model_config = ConfigDict(extra="forbid")
    proposal: str | list[str] | None = None
    function: str | None = None
    rule: str | None = None
    state: RunState | None = None
    text: str = ""
    search: str = ""
    zone: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    ids: list[Number] | None = Field(default=None, max_length=MOST_IDS)
    file: Number | None = None

    def proposals(self) -> tuple[str, ...]:
        """Those that are named."""
        return (self.proposal,) if isinstance(self.proposal, str) else tuple(self.proposal or ())

    def query(self, proposals: tuple[str, ...]) -> RunQuery:
        """The same as a query of these proposals."""
        ids = None if self.ids is None else tuple(self.ids)
        return RunQuery(
            proposals, self.function, self.rule, self.state, self.text, self.since, self.until, ids, self.file
        )


class Again(BaseModel):
    """Which runs to do again, and with what; ``dry_run`` only counts."""

    model_config = ConfigDict(extra="forbid")
    ids: list[Number] | None = Field(default=None, max_length=MOST_AGAIN)
    filter: RunFilter | None = None
    function: str | None = None
    parameters: dict[str, Any] = {}
    dry_run: bool = False


class Change:
    """What a run that is done again gets: the function in force, and its own parameters with those that are given."""

    def __init__(self, library: Library, asked: Again) -> None:
        self._library, self._asked = library, asked
        self._validators: dict[str, Draft202012Validator] = {}

    def __call__(self, run: Run) -> PlannedRun:
        """The run to be queued.

        Raises:
            BadRequest: there is no such function, or its parameters cannot be these.
        """
        name = self._asked.function or run.function
        try:
            version = self._library.find(name)
        except UnknownFunction as error:
            raise BadRequest(f"function: {error}") from None
        own = run.parameters if name == run.function else {}
        parameters = own | self._asked.parameters
        self._check(version, parameters)
        return PlannedRun(run.rule or "", name, parameters, version.record.digest, version.record.version)

    def _check(self, version: Version, parameters: dict[str, Any]) -> None:
        for name in self._asked.parameters:
            if name in version.path_parameters():
                raise BadRequest(f"parameters.{name}: names a file; only a rule can set it")
        for error in self._validator(version).iter_errors(parameters):
            where = ".".join(["parameters", *(str(part) for part in error.absolute_path)])
            raise BadRequest(f"{where}: {error.message[:300]}")

    def _validator(self, version: Version) -> "Draft202012Validator":
        from jsonschema import Draft202012Validator  # takes 1.7 s; the service starts without it

        name = version.record.name
        return self._validators.setdefault(name, Draft202012Validator(version.record.parameters))
