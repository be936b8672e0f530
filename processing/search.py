"""Search: what somebody types above the table, such as ``sample:LaB6 state:failed after:10:00 chi2<1.2 scan_0007``.

A term is a word that a run's file, rule, function or numbers have in them; or ``NAME:VALUE``, ``NAME<VALUE`` and the
like. What cannot be meant is said with what can be: nobody is left with an empty table and no reason.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from difflib import get_close_matches

from beamhub.processing.query import BadQuery, Condition, Kind, Range

TERM = re.compile(r"""(?:"[^"]*"?|[^\s"])+""")
PARTS = re.compile(r"""("[^"]+"|[^\W\d][^\s:<>="]*)(:|<=|>=|<|>|=)(.*)""", re.DOTALL)
NUMBER = re.compile(r"[-+]?(\d+\.?|\d*\.(\d+))(?:[eE]([-+]?\d+))?")
CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
STATES = {
    "queued": "queued", "waiting": "queued", "running": "running", "done": "done", "failed": "failed",
    "cancelled": "cancelled",
}  # fmt: skip


@dataclass(frozen=True)
class Names:
    """What there is to search for besides words: a proposal's headings by kind, functions by name and title, rules."""

    headings: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Search:
    """What a text asks for, in the words of a RunQuery."""

    words: tuple[str, ...] = ()
    state: str | None = None
    function: str | None = None
    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    conditions: tuple[Condition, ...] = ()


def parse(text: str, names: Names, now: datetime) -> Search:
    """Take a search apart.

    Args:
        text: what was typed.
        names: what there is to look for.
        now: the time, in the zone in which times of the day are meant.

    Raises:
        BadQuery: a term names nothing that there is, or is given a value that it cannot have.

    >>> parse("state:failed scan_0007", Names(), datetime(2026, 1, 1))
    Search(words=('scan_0007',), state='failed', function=None, rule=None, since=None, until=None, conditions=())
    """
    words: list[str] = []
    given: dict[str, object] = {}
    conditions: list[Condition] = []
    for name, operator, value in _terms(text):
        if not operator:
            words.append(value.lower())
        elif (key := name.lower()) in FIELDS and operator in ":=" and name not in _every(names):
            _give(given, *FIELDS[key](key, value, names, now))
        else:
            conditions.append(_condition(name, operator, value, names))
    return Search(tuple(words), conditions=tuple(conditions), **given)  # type: ignore[arg-type]


def _terms(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, operator and value of each term; of a word the value alone."""
    for found in TERM.finditer(text):
        term = found[0]
        parts = PARTS.fullmatch(term)
        if parts and parts[3].strip('"'):
            yield parts[1].strip('"'), parts[2], parts[3].replace('"', "")
        elif word := term.replace('"', ""):
            yield "", "", word


def _give(given: dict[str, object], name: str, value: object) -> None:
    if given.setdefault(name, value) != value:
        raise BadQuery(f"{name} is searched for twice, as {given[name]} and as {value}; nothing can be both")


def _state(name: str, value: str, names: Names, now: datetime) -> tuple[str, str]:
    if value.lower() not in STATES:
        raise BadQuery(f"there is no state {value!r}; possible: {', '.join(STATES)}")
    return "state", STATES[value.lower()]


def _function(name: str, value: str, names: Names, now: datetime) -> tuple[str, str]:
    known = {key.lower(): one for key, one in names.functions.items()}
    if value.lower() not in known:
        raise BadQuery(f"there is no function {value!r}; {_possible(value, names.functions)}")
    return "function", known[value.lower()]


def _rule(name: str, value: str, names: Names, now: datetime) -> tuple[str, str]:
    if value not in names.rules:
        raise BadQuery(f"there is no rule {value!r}; {_possible(value, names.rules)}")
    return "rule", value


def _after(name: str, value: str, names: Names, now: datetime) -> tuple[str, datetime]:
    return "since", moment(name, value, now)


def _before(name: str, value: str, names: Names, now: datetime) -> tuple[str, datetime]:
    return "until", moment(name, value, now)


FIELDS = {"state": _state, "function": _function, "rule": _rule, "after": _after, "before": _before}


def moment(name: str, value: str, now: datetime) -> datetime:
    """A time as it is typed: ``10:00`` of today, ``today``, ``yesterday``, a date, a date with a time.

    Raises:
        BadQuery: it is none.
    """
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if value.lower() in ("today", "yesterday"):
        return day - timedelta(days=value.lower() == "yesterday")
    try:
        if CLOCK.fullmatch(value):
            return datetime.combine(
                now.date(), time.fromisoformat(value.zfill(len(value) + (value[1] == ":"))), now.tzinfo
            )
        found = datetime.fromisoformat(value)
    except ValueError:
        raise BadQuery(f"{name}:{value} is no time; write 10:00, today, yesterday or {now:%Y-%m-%dT%H:%M}") from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _condition(name: str, operator: str, value: str, names: Names) -> Condition:
    kinds = [kind for kind, known in names.headings.items() if name in known]
    if not kinds:
        folded = {one.lower(): one for one in sorted(_every(names))}
        name = folded.get(name.lower(), name)
        kinds = [kind for kind, known in names.headings.items() if name in known]
    if not kinds:
        possible = _possible(name, [*FIELDS, *sorted(_every(names))])
        literal = f'To look for the text itself, put it in quotes: "{name}{operator}{value}".'
        raise BadQuery(f"nothing here is called {name!r}; {possible} {literal}")
    number = NUMBER.fullmatch(value)
    if operator not in ":=" and "parameter" in kinds:
        raise BadQuery(f"of parameters only equal ones are found; write {name}:{value}")
    if number is None and (operator not in ":=" or kinds == ["scalar"]):
        raise BadQuery(f"{name} is compared with numbers, and {value!r} is none; write {name}{operator}1.2")
    if operator in ":=":
        return Condition(name, frozenset(kinds), number and _rounded(value, number), value)
    return Condition(name, frozenset(kinds), _range(operator, value))


def _range(operator: str, value: str) -> Range:
    """The numbers that are less or more than one."""
    bound = float(value)
    return Range(None, bound, operator == "<=") if operator.startswith("<") else Range(bound, None, operator == ">=")


def _rounded(value: str, number: re.Match[str]) -> Range:
    """The numbers that are the typed one in as many digits as were typed.

    >>> _rounded("3.52", NUMBER.fullmatch("3.52"))
    Range(low=3.515, high=3.525, closed=True)
    """
    digits = len(number[2] or "") - int(number[3] or 0)
    half = 0.5 * 10.0**-digits if number[2] or number[3] else 0.0
    return Range(round(float(value) - half, 15), round(float(value) + half, 15), True)


def _every(names: Names) -> frozenset[str]:
    return frozenset().union(*names.headings.values())


def _possible(meant: str, known: object) -> str:
    """What could be meant, or all that there is."""
    every = list(known)  # type: ignore[call-overload]
    near = get_close_matches(meant, every, 1)
    return f"did you mean {near[0]}?" if near else f"possible: {', '.join(every[:30]) or 'nothing yet'}."
