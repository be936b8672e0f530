"""Files: what arrived, and why a file was or was not processed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from beamhub.catalog.records import Explanation, File
from beamhub.processing.api.handler import ApiHandler, whole
from beamhub.processing.api.runs import RunHandler
from beamhub.processing.errors import BadRequest, NotFound
from beamhub.processing.missing import Absence, Lies, look, why_missing
from beamhub.processing.rules import Verdict, fields, verdict
from beamhub.processing.settings import Settings

LOOKED_WITHIN_S = 2.0  # at a storage for one file; one that hangs keeps these threads, and nobody else's
_looking = ThreadPoolExecutor(2, "explain")


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


class ExplainFile(RunHandler):
    """``files/explain``: which rule took a file, or why none did."""

    known = ("path",)

    async def get(self) -> None:
        """The reason, for each rule; ``path`` is below a storage's root, whole, or the name of a file that arrived."""
        asked = self.text("path")
        if not asked:
            raise BadRequest(
                "say which path: files/explain?path=PROPOSAL/…, below the storage's root, or a file's name"
            )
        path = below(self.service.settings, asked)
        newest = await self._newest(path)
        path = newest.path if newest else path
        storage = newest.storage if newest else await self._storage(path)
        verdicts = verdicts_of(self.service.settings, storage, path)
        rules = [{"rule": v.rule, "takes": "yes" if v.takes else "no", "reason": v.reason} for v in verdicts]
        taken = [v.rule for v in verdicts if v.takes]
        told = await self._told(newest, storage, path, verdicts)
        self.answer(Explanation(path=path, summary=summary(newest, taken), file=newest, rules=rules, explanation=told))

    async def _newest(self, path: str) -> File | None:
        """The newest version that the asker may see of a path, or where there is none of a name."""
        seen, store = await self.visible(), self.service.store
        found = [file for file in await store.call(store.find_files, path) if file.proposal in seen]
        if not found and "/" not in path:
            found = await store.call(store.find_named, path, sorted(seen))
        return await store.call(store.file, found[0].id) if found else None

    async def _told(self, newest: File | None, storage: str, path: str, verdicts: list[Verdict]) -> list[str]:
        if newest and newest.runs:
            return (await self.explained(await self.one(str(newest.runs[-1].id)))).explanation
        lies = await self._lies(storage, path) if newest is None else "unknown"
        return why_missing(Absence(storage, path, newest, verdicts, lies), self.service.settings)

    async def _lies(self, storage: str, path: str) -> Lies:
        root = self.service.settings.storages[storage].root
        try:
            async with asyncio.timeout(LOOKED_WITHIN_S):
                return await asyncio.get_running_loop().run_in_executor(_looking, look, root, path)
        except TimeoutError:
            return "unknown"

    async def _storage(self, path: str) -> str:
        """The storage whose layout gives the path a proposal that the asker may see."""
        register, settings = self.service.register, self.service.settings
        for name, storage in settings.storages.items():
            proposal = fields(storage, path).get("proposal")
            if proposal is not None and await register.may_see(settings, self.identity, proposal):
                return name
        raise NotFound(
            "no file at this path or of this name was seen in a proposal that you may see; is the name right? Give its "
            "path below the storage's root (PROPOSAL/…), to hear which rules would take it"
        )


def below(settings: Settings, path: str) -> str:
    """A path below a storage's root, also where the whole path is given."""
    for storage in settings.storages.values():
        whole, root = PurePosixPath(path), PurePosixPath(storage.root)
        if whole.is_absolute() and whole.is_relative_to(root):
            return str(whole.relative_to(root))
    return path


def verdicts_of(settings: Settings, storage: str, path: str) -> list[Verdict]:
    """What each rule says of a file."""
    if storage not in settings.storages:
        return []
    return [verdict(name, rule, storage, path) for name, rule in settings.rules.items()]


def summary(newest: File | None, taken: list[str]) -> str:
    """Where a file is on its way, in one sentence."""
    if newest is None and taken:
        return f"the file has not arrived; when it does, {' and '.join(taken)} will take it"
    if newest is None:
        return "the file has not arrived, and no rule would take it"
    if newest.runs:
        last = newest.runs[-1]
        return f"it arrived at {newest.arrived:%Y-%m-%d %H:%M:%S} UTC; its last run ({last.function}) is {last.state}"
    if taken:
        return "it arrived before the rule that takes it was there; process it from its row or with beamhub process"
    return "it arrived, and no rule takes it"
