"""Functions, rules, proposals, and what their runs have: what can be asked for."""

from pydantic import BaseModel, ConfigDict

from beamhub.catalog.records import Headings as HeadingsRecord
from beamhub.catalog.records import Rule
from beamhub.processing.access import WRITE, is_staff
from beamhub.processing.api.handler import ApiHandler
from beamhub.processing.errors import NotAllowed, NotFound
from beamhub.processing.library import UnknownFunction
from beamhub.processing.settings import RuleSettings
from beamhub.processing.shown import keys


class Pause(BaseModel):
    """Whether to hold a rule's runs back."""

    model_config = ConfigDict(extra="forbid", strict=True)
    paused: bool


class Functions(ApiHandler):
    """``functions``."""

    async def get(self) -> None:
        """Every function in force, with its parameters' schema; ``mistake`` says why a newer version is not."""
        self.need_functions()
        self.answer({"items": [function.model_dump(mode="json") for function in self.service.library.functions()]})


class RulesHandler(ApiHandler):
    """Base of the handlers of rules."""

    async def rules(self) -> list[Rule]:
        """The rules in force."""
        held = await self.service.store.call(self.service.store.paused)
        return [
            Rule(
                name=name,
                title=rule.title,
                function=rule.function,
                storage=rule.when.storage,
                path=rule.when.path,
                parameters=rule.parameters,
                paused=name in held,
                mistake=self._mistake(rule.function),
            )
            for name, rule in self.service.settings.rules.items()
        ]

    def _mistake(self, function: str) -> str:
        try:
            return self.service.library.find(function).record.mistake
        except UnknownFunction as error:
            return str(error)


class Rules(RulesHandler):
    """``rules``."""

    async def get(self) -> None:
        """Every rule."""
        self.answer({"items": [rule.model_dump(mode="json") for rule in await self.rules()]})


class PauseRule(RulesHandler):
    """``rules/{name}/pause``."""

    async def post(self, name: str) -> None:
        """Hold a rule back, or let it go on; for staff, since it concerns everybody's proposals."""
        self.require(WRITE)
        asked = self.body(Pause)
        if name not in self.service.settings.rules:
            raise NotFound(f"there is no rule {name[:100]!r}")
        self._only_staff(name)
        await self.service.store.call(self.service.store.pause, name, asked.paused)
        self.answer(next(rule for rule in await self.rules() if rule.name == name))

    def _only_staff(self, name: str) -> None:
        settings = self.service.settings
        if not settings.single_user and not is_staff(settings, self.identity, settings.rules[name].when.storage):
            raise NotAllowed(f"rule {name!r} concerns every proposal; ask the beamline's staff to pause it", "staff")


class Proposals(ApiHandler):
    """``proposals``."""

    async def get(self) -> None:
        """The proposals that the asker may see, with numbers, and why an edited processing.yaml is not in force."""
        seen = await self.visible()
        every = await self.service.store.call(self.service.store.proposals)
        items = [one.model_dump(mode="json") for one in every if one.name in seen]
        notice = self.service.notice.told(self.service.settings, self.identity)
        self.answer({"items": items, "notice": notice})


class Headings(ApiHandler):
    """``headings``."""

    known = ("proposal",)

    async def get(self) -> None:
        """What the runs have, which can be shown and searched for by name; and what rules' tables show at first."""
        proposals = await self.asked_proposals()
        found = await self.service.store.call(self.service.store.headings, proposals)
        rules = self.service.settings.rules.items()
        tables = {name: self._table(rule) for name, rule in rules if rule.table}
        self.answer(HeadingsRecord(items=found, tables=tables))

    def _table(self, rule: RuleSettings) -> list[str]:
        try:
            parameters = self.service.library.find(rule.function).record.parameters.get("properties", {})
        except UnknownFunction:
            parameters = {}
        return keys(rule.table, rule.columns, parameters)
