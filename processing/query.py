"""RunQuery: what is asked of a listing of runs, and the cursors that go on where a page ended."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from pydantic_core import from_json

Kind = Literal["column", "scalar", "parameter"]
SORTS = ("queued", "started", "finished", "file", "function", "state", "rule")
LARGEST_PAGE = 500
LARGEST_ID = 2**63 - 1
MOST_WORDS, LONGEST_TEXT = 20, 1000  # of a text search; a database bounds what one query may hold


class BadQuery(ValueError):
    """What was asked cannot be answered; the message says which part and what is possible."""


class BadCursor(BadQuery):
    """A cursor is none of this filter and order."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, None where there is no bound; both belong to it where it is ``closed``."""

    low: float | None
    high: float | None
    closed: bool


@dataclass(frozen=True)
class Condition:
    """What a run's number, column or parameter of some name has to be: in a range, or beginning with a text.

    ``kinds`` says which of the three have this name; one that fits is enough.
    """

    name: str
    kinds: frozenset[Kind]
    numbers: Range | None = None
    text: str | None = None


@dataclass(frozen=True)
class RunQuery:
    """A filter, an order, and which part of it.

    ``proposals`` are those to look in: the caller has decided that the asker may see them. ``sort`` is one of
    :data:`SORTS`, ``scalar:NAME``, ``column:NAME`` or ``parameter:NAME``, with ``-`` in front for descending. At most
    one of ``after``, ``before`` (cursors of an earlier page) and ``at`` (a row number) is given. ``phrases`` are words
    that may have blanks in them.
    """

    proposals: tuple[str, ...]
    function: str | None = None
    rule: str | None = None
    state: str | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[int, ...] | None = None
    file: int | None = None
    sort: str = "-queued"
    limit: int = 100
    after: str | None = None
    before: str | None = None
    at: int | None = None
    phrases: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    words: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check what can be wrong.

        Raises:
            BadQuery: an unknown sort, a limit or cursors that do not fit.
        """
        if self.column not in SORTS and not (self.scalar or self.of_file or self.parameter):
            possible = f"{', '.join(SORTS)}, scalar:NAME, column:NAME, parameter:NAME, each with - before it"
            raise BadQuery(f"sort {self.sort!r} is unknown; possible: {possible}")
        if not 1 <= self.limit <= LARGEST_PAGE:
            raise BadQuery(f"limit {self.limit} is not between 1 and {LARGEST_PAGE}")
        if sum(part is not None for part in (self.after, self.before, self.at)) > 1:
            raise BadQuery("after, before and at exclude each other; give one of them")
        if self.at is not None and not 0 <= self.at <= LARGEST_ID:
            raise BadQuery(f"at {self.at} is no row number")
        object.__setattr__(self, "words", (*self.text.lower().split(), *self.phrases))
        if len(self.words) + len(self.conditions) > MOST_WORDS or len(self.text) > LONGEST_TEXT:
            raise BadQuery(f"text is longer than {MOST_WORDS} words or {LONGEST_TEXT} characters; look for less")

    @property
    def descending(self) -> bool:
        """Whether the largest comes first."""
        return self.sort.startswith("-")

    @property
    def column(self) -> str:
        """What is sorted by."""
        return self.sort.removeprefix("-")

    @property
    def scalar(self) -> str:
        """The scalar that is sorted by, or nothing."""
        return self._named("scalar")

    @property
    def of_file(self) -> str:
        """The column of the file that is sorted by, or nothing."""
        return self._named("column")

    @property
    def parameter(self) -> str:
        """The parameter that is sorted by, or nothing."""
        return self._named("parameter")

    def _named(self, kind: str) -> str:
        found, _, name = self.column.partition(":")
        return name if found == kind else ""

    def cursor(self, value: Any, number: int) -> str:
        """A cursor for the row with this value and id; it holds for the same filter and order only."""
        text = json.dumps([self._mark(), value, number], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read_cursor(self, cursor: str) -> tuple[Any, int]:
        """Value and id that a cursor stands for.

        Raises:
            BadCursor: it is none, or one of another filter or order.
        """
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            mark, value, number = from_json(text, allow_inf_nan=False)
        except (binascii.Error, ValueError, TypeError):
            raise BadCursor(f"{cursor[:40]!r} is no cursor; take one from a page's after or before") from None
        if mark != self._mark():
            raise BadCursor("the cursor is of another filter or order; start again without it")
        if not isinstance(number, int) or not -LARGEST_ID <= number <= LARGEST_ID or not self._fits(value):
            raise BadCursor(f"{cursor[:40]!r} is no cursor; take one from a page's after or before")
        return value, number

    def _fits(self, value: Any) -> bool:
        if value is None:
            return True
        if isinstance(value, bool) or (isinstance(value, int) and abs(value) > LARGEST_ID):
            return False
        if self.scalar:
            return isinstance(value, int | float)
        if self.column in ("queued", "started", "finished"):
            return isinstance(value, int)
        return isinstance(value, str) and "\0" not in value

    def _mark(self) -> str:
        """Names the filter and order, so that a cursor of another one is noticed."""
        parts = (
            sorted(self.proposals), self.function, self.rule, self.state, self.words, str(self.since), str(self.until),
            self.ids, self.file, self.sort,
            [(one.name, sorted(one.kinds), one.numbers, one.text) for one in self.conditions],
        )  # fmt: skip
        return sha256(repr(parts).encode()).hexdigest()[:16]
