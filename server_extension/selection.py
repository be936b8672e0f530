"""``selection/{view}``: which rows are selected in a view, kept here so that a computing kernel stops nothing."""

import json
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, TypedDict

MOST_SELECTED = 10_000
MOST_VIEWS = 200
REMEMBERED = 50  # selections of one view


class Selected(TypedDict):
    """What was selected in a view, and when (seconds since 1970; 0 where nothing ever was)."""

    proposal: str
    ids: list[int]
    time: float


class CannotSelect(ValueError):
    """What was sent is no selection."""


def parse(body: bytes) -> tuple[str, list[int]]:
    """Proposal and run ids of a request's body.

    Raises:
        CannotSelect: it is not as it should be.

    >>> parse(b'{"proposal": "red", "ids": [1, 2]}')
    ('red', [1, 2])
    """
    try:
        asked: Any = json.loads(body)
        ids, proposal = asked["ids"], asked.get("proposal", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        ids = proposal = None
    if not isinstance(proposal, str) or not isinstance(ids, list) or not all(type(number) is int for number in ids):
        raise CannotSelect('send {"proposal": "…", "ids": [1, 2]}')
    if len(ids) > MOST_SELECTED:
        raise CannotSelect(f"{len(ids)} rows are selected, at most {MOST_SELECTED} can be: select fewer")
    return proposal, ids


@dataclass(frozen=True)
class Selections:
    """The last selections of the views that were used last; a server that restarts forgets them."""

    _views: OrderedDict[str, deque[Selected]] = field(default_factory=OrderedDict)

    def put(self, view: str, proposal: str, ids: list[int]) -> None:
        """Select in a view from now on."""
        self._views.setdefault(view, deque(maxlen=REMEMBERED)).append(
            {"proposal": proposal, "ids": ids, "time": time.time()}
        )
        self._views.move_to_end(view)
        while len(self._views) > MOST_VIEWS:
            self._views.popitem(last=False)

    def get(self, view: str, at: float | None = None) -> Selected:
        """What is selected in a view, or was ``at`` some moment in seconds since 1970."""
        for selected in reversed(self._views.get(view, ())):
            if at is None or selected["time"] <= at:
                return selected
        return {"proposal": "", "ids": [], "time": 0.0}
