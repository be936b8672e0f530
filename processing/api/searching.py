"""What was typed above the table, understood for the proposals that it is asked of."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from beamhub.processing.api.handler import Service
from beamhub.processing.errors import BadRequest
from beamhub.processing.query import LONGEST_TEXT, BadQuery, Kind, RunQuery
from beamhub.processing.search import Names, parse


async def narrowed(service: Service, query: RunQuery, text: str | None, zone: str | None) -> RunQuery:
    """A query with a search besides; times of the day are meant in ``zone``, UTC by default.

    Raises:
        BadRequest: a term cannot be meant, or contradicts the query; or there is no such zone.
    """
    if not text or not text.strip():
        return query
    try:
        return await _narrowed(service, query, text, zone)
    except BadQuery as error:
        raise BadRequest(str(error), "search") from None


async def _narrowed(service: Service, query: RunQuery, text: str, zone: str | None) -> RunQuery:
    if len(text) > LONGEST_TEXT:
        raise BadQuery(f"search is longer than {LONGEST_TEXT} characters; look for less")
    found = parse(text, await _names(service, query.proposals), datetime.now(_zone(zone)))
    return replace(
        query,
        state=_both("state", query.state, found.state),
        function=_both("function", query.function, found.function),
        rule=_both("rule", query.rule, found.rule),
        since=max(filter(None, (query.since, found.since)), default=None),
        until=min(filter(None, (query.until, found.until)), default=None),
        phrases=found.words,
        conditions=found.conditions,
    )


def _both(name: str, asked: str | None, found: str | None) -> str | None:
    if asked is not None and found is not None and asked != found:
        raise BadQuery(f"{name} is asked for twice, as {asked} and as {found}; nothing can be both")
    return asked if found is None else found


def _zone(name: str | None) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadQuery(f"there is no time zone {name!r}; write it like Europe/Berlin") from None


async def _names(service: Service, proposals: Sequence[str]) -> Names:
    """What these proposals have, and the functions and rules in force."""
    headings = await service.store.call(service.store.headings, proposals)
    kinds: tuple[Kind, ...] = ("column", "scalar", "parameter")
    functions = service.library.functions()
    return Names(
        {kind: frozenset(one.name for one in headings if one.kind == kind) for kind in kinds},
        {one.title: one.name for one in functions} | {one.name: one.name for one in functions},
        frozenset(service.settings.rules),
    )
