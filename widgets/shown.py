"""What the page says of how it shows its table, so that the static one is as the live one is."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from beamhub.widgets.columns import known

NEWEST = "-queued"
SORT = re.compile(r"-?(queued|started|finished|file|function|state|rule|(scalar|column|parameter):.{1,200})")
LONGEST = 500  # characters of a search or a name
MOST = 50  # columns
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Shown:
    """What is searched for, in which order, in whose time, and which columns; none is the usual ones."""

    search: str = ""
    sort: str = NEWEST
    zone: str = "UTC"
    columns: tuple[str, ...] = ()

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Shown":
        """What a page's message says; a part that cannot be right counts as not said.

        >>> Shown.read({"search": "state:failed", "sort": "; DROP TABLE", "zone": "../etc/passwd", "columns": [1]})
        Shown(search='state:failed', sort='-queued', zone='UTC', columns=())
        """
        keys = told.get("columns")
        texts = [key for key in keys[:MOST] if name(key)] if isinstance(keys, list) else []
        return cls(
            search=name(told.get("search")),
            sort=name(told.get("sort"), SORT.fullmatch) or NEWEST,
            zone=name(told.get("zone"), _zone) or "UTC",
            columns=tuple(dict.fromkeys(known(texts))),
        )

    @property
    def time(self) -> tzinfo:
        """The zone of whoever looks."""
        return _zone(self.zone) or UTC

    @property
    def asked(self) -> dict[str, str]:
        """The query that finds what is searched for."""
        return {"search": self.search, "zone": self.zone} if self.search.strip() else {}

    @property
    def told(self) -> str:
        """What follows the number of rows in a sentence."""
        order = self.sort.removeprefix("-").removeprefix("scalar:").removeprefix("column:").removeprefix("parameter:")
        ordered = f", by {order}, {'descending' if self.sort.startswith('-') else 'ascending'}"
        found = f", which match {self.search.strip()}" if self.asked else ""
        return found + (ordered if self.sort != NEWEST else "")


def name(value: Any, good: Callable[[str], object] = bool) -> str:
    """A text of one line that is as it should be; else an empty one."""
    text = value if isinstance(value, str) and len(value) <= LONGEST and not CONTROL.search(value) else ""
    return text if text and good(text) else ""


def offset(zone: tzinfo, moment: Any) -> str:
    """What a zone's clocks are beside UTC at some moment: ``UTC+01:00``."""
    return str(timezone(moment.astimezone(zone).utcoffset()))


def _zone(key: str) -> tzinfo | None:
    try:
        return ZoneInfo(key)
    except (ValueError, OSError, LookupError):  # no key, a folder, none that is known here
        return None
