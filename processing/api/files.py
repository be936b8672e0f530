"""Files: what arrived, and why a file was or was not processed."""

from beamhub.catalog.records import Explanation, File
from beamhub.processing.api.handler import ApiHandler, whole
from beamhub.processing.errors import BadRequest, NotFound
from beamhub.processing.rules import fields, verdict


class Files(ApiHandler):
    """``files``: the newest."""

    known = ("proposal", "limit", "after")

    async def get(self) -> None:
        """A page, the newest first."""
        limit, after = self.number("limit"), self.number("after")
        if limit is not None and not 1 <= limit <= 500:
            raise BadRequest(f"limit={limit} is not between 1 and 500")
        store = self.service.store
        self.answer(await store.call(store.files, await self.asked_proposals(), limit or 100, after))


class OneFile(ApiHandler):
    """``files/{id}``: one version with its runs."""

    async def get(self, number: str) -> None:
        """The file version."""
        found = await self.service.store.call(self.service.store.file, whole("id", number))
        if found is None or found.proposal not in await self.visible():
            raise NotFound(f"there is no file {number[:20]} that you may see")
        self.answer(found)


class ExplainFile(ApiHandler):
    """``files/explain``: which rule took a path, or why none did."""

    known = ("path",)

    async def get(self) -> None:
        """The reason, for each rule."""
        path = self.text("path")
        if not path:
            raise BadRequest("say which path: files/explain?path=PROPOSAL/…, below the storage's root")
        seen = await self.visible()
        store = self.service.store
        versions = [found for found in await store.call(store.find_files, path) if found.proposal in seen]
        newest = await store.call(store.file, versions[0].id) if versions else None
        storage = newest.storage if newest else self._storage(path, seen)
        settings = self.service.settings
        verdicts = [verdict(name, rule, storage, path) for name, rule in settings.rules.items()] if storage else []
        rules = [{"rule": v.rule, "takes": "yes" if v.takes else "no", "reason": v.reason} for v in verdicts]
        taken = [v.rule for v in verdicts if v.takes]
        self.answer(Explanation(path=path, summary=_summary(newest, taken), file=newest, rules=rules))

    def _storage(self, path: str, seen: frozenset[str]) -> str:
        """The storage whose layout gives the path a proposal that the asker may see."""
        for name, storage in self.service.settings.storages.items():
            if fields(storage, path).get("proposal") in seen:
                return name
        raise NotFound("no file at this path was seen in a proposal that you may see; is the path below the root?")


def _summary(newest: File | None, taken: list[str]) -> str:
    if newest is None and taken:
        return f"the file has not arrived; when it does, {' and '.join(taken)} will take it"
    if newest is None:
        return "the file has not arrived, and no rule would take it"
    if newest.runs:
        last = newest.runs[-1]
        return f"it arrived at {newest.arrived:%H:%M:%S} UTC; its last run ({last.function}) is {last.state}"
    if taken:
        return "it arrived before the rule that takes it was there; process it from its row or with beamhub process"
    return "it arrived, and no rule takes it"
