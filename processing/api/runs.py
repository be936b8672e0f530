"""Runs: listed, counted, asked for again, cancelled, released."""

import hashlib
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from beamhub.catalog.records import Page, Run, RunState
from beamhub.processing.access import WRITE
from beamhub.processing.api.again import MOST_AGAIN, MOST_IDS, Again, Change, key_of
from beamhub.processing.api.handler import ApiHandler, whole
from beamhub.processing.api.searching import narrowed
from beamhub.processing.errors import BadRequest, NotFound, NotNow
from beamhub.processing.explanation import Facts, explain
from beamhub.processing.library import UnknownFunction
from beamhub.processing.lifecycle import NotPossible, OtherRequest
from beamhub.processing.query import BadCursor, BadQuery, RunQuery
from beamhub.processing.rules import verdict

LONGEST_KEY = 200  # characters of an Idempotency-Key
FILTER = ("proposal", "function", "rule", "state", "text", "search", "zone", "since", "until", "ids", "file")
STATES = RunState.__args__  # type: ignore[attr-defined]


class RunHandler(ApiHandler):
    """Base of the handlers of runs."""

    def titled(self, run: Run) -> Run:
        """A run with its function's title, and what is wrong with a newer version of it."""
        return run.model_copy(update=self.titles().get(run.function, {"title": run.function}))

    def titles(self) -> dict[str, dict[str, str]]:
        """Of the functions in force, what their runs' answers say of them."""
        return {f.name: {"title": f.title, "mistake": f.mistake} for f in self.service.library.functions()}

    async def query(self, **more: Any) -> RunQuery:
        """The filter and order of the query string."""
        state = self.text("state")
        if state is not None and state not in STATES:
            raise BadRequest(f"state={state[:40]!r} is unknown; possible: {', '.join(STATES)}")
        ids = self.text("ids")
        numbers = tuple(whole("ids", part) for part in ids.split(",") if part) if ids is not None else None
        if numbers is not None and len(numbers) > MOST_IDS:
            raise BadRequest(f"{len(numbers)} ids are too many; ask for up to {MOST_IDS} at a time")
        try:
            query = RunQuery(
                await self.asked_proposals(), self.text("function"), self.text("rule"), state, self.text("text") or "",
                self.moment("since"), self.moment("until"), numbers, self.number("file"), **more,
            )  # fmt: skip
            return await narrowed(self.service, query, self.text("search"), self.text("zone"))
        except BadQuery as error:
            raise BadRequest(str(error)) from None

    async def one(self, number: str) -> Run:
        """A run that the asker may see."""
        run = await self.service.store.call(self.service.store.run, whole("id", number))
        if run is None or run.proposal not in await self.visible():
            raise NotFound(f"there is no run {number[:20]} that you may see")
        return run

    def full(self, run: Run) -> Run:
        """A run with what a single run's answer adds: where its output lies, and where it all came from."""
        place = run.provenance
        output = str(self.service.settings.results / place["folder"] / place["output"]) if place["output"] else ""
        told = {
            "file": {"storage": run.file.storage, "path": run.file.path, "id": run.file.id},
            "function": run.function,
            "version": run.version,
            "digest": run.digest,
            "parameters": run.parameters,
            "attempt": run.attempts,
        }
        return self.titled(run).model_copy(update={"output": output, "provenance": told})

    async def explained(self, run: Run) -> Run:
        """As :meth:`full`, with the sentences that say why it is in its state."""
        rule = self.service.settings.rules.get(run.rule or "")
        found = verdict(run.rule or "", rule, run.file.storage, run.file.path) if rule else None
        try:
            function = self.service.library.find(run.function).record
        except UnknownFunction:
            function = None
        around = await self.service.store.call(self.service.store.standing, run.id)
        told = explain(Facts(run, around, found, function), datetime.now(UTC))
        return self.full(run).model_copy(update={"explanation": told})


class Runs(RunHandler):
    """``runs``: a page of them, or more of them."""

    known = (*FILTER, "sort", "limit", "after", "before", "at")

    async def get(self) -> None:
        """A page."""
        limit = self.number("limit")
        query = await self.query(
            sort=self.text("sort") or "-queued",
            limit=100 if limit is None else limit,
            after=self.text("after"),
            before=self.text("before"),
            at=self.number("at"),
        )
        try:
            page = await self.service.store.call(self.service.store.listing, query, self.titles())
        except BadCursor as error:
            raise BadRequest(str(error), "cursor") from None
        except BadQuery as error:
            raise BadRequest(str(error)) from None
        self.finish(page)

    async def post(self) -> None:
        """Runs again, with other parameters or another function."""
        self.require(WRITE)
        self.need_functions()
        asked = self.body(Again)
        if (asked.ids is None) == (asked.filter is None):
            raise BadRequest("give either ids or filter: the runs to do again")
        ids = await self._chosen(asked)
        change = Change(self.service.library, asked)
        count, names, function = await self.service.store.call(self._check, ids, change)
        if asked.dry_run:
            self.answer({"count": count, "seconds": await self._seconds(count, names, function)})
            return
        user = self.identity.name
        given = self.request.headers.get("Idempotency-Key") or secrets.token_hex(16)
        if len(given) > LONGEST_KEY:
            raise BadRequest(f"Idempotency-Key is longer than {LONGEST_KEY} characters; a UUID is enough")
        key = key_of(user, given)
        body = hashlib.sha256(json.dumps(asked.model_dump(), sort_keys=True, default=str).encode()).hexdigest()
        store = self.service.store
        try:
            new = await store.call(store.request, key, body, user, ids, change)
        except OtherRequest as error:
            raise NotNow(str(error), "idempotency-key") from None
        query = RunQuery((await self.visible_tuple()), ids=tuple(new[:500]), limit=500, sort="queued")
        page = await store.call(store.runs, query)
        self.answer(Page[Run](items=[self.titled(run) for run in page.items], seq=page.seq), 201)

    async def visible_tuple(self) -> tuple[str, ...]:
        """All visible proposals, in order."""
        return tuple(sorted(await self.visible()))

    async def _chosen(self, asked: Again) -> list[int]:
        seen = await self.visible_tuple()
        if asked.filter is None:
            wanted = list(dict.fromkeys(asked.ids or ()))
            query = RunQuery(seen, ids=tuple(wanted))
            found = set(await self.service.store.call(self.service.store.run_ids, query, MOST_AGAIN))
            for number in wanted:
                if number not in found:
                    raise NotFound(f"there is no run {number} that you may see")
            return wanted
        for name in asked.filter.proposals():
            if name not in seen:
                raise NotFound(f"there is no proposal {name[:100]!r} that you may see", "proposal")
        try:
            query = asked.filter.query(asked.filter.proposals() or seen)
            query = await narrowed(self.service, query, asked.filter.search, asked.filter.zone)
        except BadQuery as error:
            raise BadRequest(f"filter: {error}") from None
        ids = await self.service.store.call(self.service.store.run_ids, query, MOST_AGAIN + 1)
        if len(ids) > MOST_AGAIN:
            most = f"more than {MOST_AGAIN:,} runs match, and so many at most are done again at once"
            raise BadRequest(f"{most}. To do: search for fewer, as by after:, before: or a scan's name, part by part")
        return ids

    def _check(self, ids: list[int], change: Change) -> tuple[int, set[str], str]:
        """Refuse what cannot be done with one of the runs, before any is made.

        How many there would be, in which proposals, and the function of the first.
        """
        found = [(run, planned) for run in self.service.store.before(ids) if (planned := change(run))]
        count = len({(run.file.id, planned.rule, planned.function) for run, planned in found})
        return count, {run.proposal for run, _ in found}, found[0][1].function if found else ""

    async def _seconds(self, count: int, names: set[str], function: str) -> float | None:
        """How long until they have ended, what waits before them included; None where nothing is known."""
        if not count:
            return 0.0
        work = await self.service.store.call(self.service.store.work_until, function, count, names)
        workers = max(1, sum(executor.workers for executor in self.service.settings.executors.values()))
        return None if work is None else work / workers


class RunCount(RunHandler):
    """``runs/count``: how many."""

    known = FILTER

    async def get(self) -> None:
        """The number that matches, the numbers by state, and what those that wait can expect."""
        self.answer(await self.service.store.call(self.service.store.count, await self.query()))


class OneRun(RunHandler):
    """``runs/{id}``: all that is known of one."""

    async def get(self, number: str) -> None:
        """The run in full."""
        self.answer(await self.explained(await self.one(number)))


class CancelRun(RunHandler):
    """``runs/{id}/cancel``."""

    async def post(self, number: str) -> None:
        """Cancel it, queued or running."""
        self.require(WRITE)
        await self._do(number, self.service.store.cancel)

    async def _do(self, number: str, what: Any) -> None:
        run = await self.one(number)
        try:
            await self.service.store.call(what, run.id)
        except NotPossible as error:
            raise NotNow(str(error), error.state) from None
        self.answer(await self.explained(await self.one(number)))


class ReleaseRun(CancelRun):
    """``runs/{id}/release``."""

    async def post(self, number: str) -> None:
        """Let it out of quarantine."""
        self.require(WRITE)
        await self._do(number, self.service.store.release)
