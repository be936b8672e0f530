"""The one Spawner that the Hub knows: a plan, a child of the site that runs it, and the state that survives a crash."""

import asyncio
import copy
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future
from traitlets import Bunch, default, observe

from beamhub.spawner import announce, form, moments
from beamhub.spawner.announce import Announcement, Unreached, Unwanted
from beamhub.spawner.bootstrap import LONGEST_WAIT
from beamhub.spawner.bringup import AGAIN, LOOK, Bringup, is_there, obituary
from beamhub.spawner.compute import Compute, listens_of
from beamhub.spawner.errors import Refused, SpawnerError, StartFailed
from beamhub.spawner.hublines import add_route, failed_start, spawn_exception
from beamhub.spawner.launch import launch, secret_of
from beamhub.spawner.plan import SpawnPlan, decide
from beamhub.spawner.progress import Progress
from beamhub.spawner.scopes import SERVER_SCOPES, missing
from beamhub.spawner.sites.site import SiteMixin, Truth
from beamhub.spawner.state import Kept, Phase, Start, from_json, to_json

Part = TypeVar("Part")
MARGIN = 15.0  # seconds that the Hub waits longer than we do, so that our error is the one that is shown
OUTAGE = 24 * 3600.0  # seconds that a site may not answer while a start waits there
STOP_WITHIN = 60.0  # seconds
# what the Hub sets on its Spawner and a child needs too
OF_THE_HUB = """
    user orm_spawner hub authenticator proxy_spec _deprecated_db_session oauth_client_id cookie_options
    cookie_host_prefix_enabled trusted_alt_names user_options internal_ssl internal_trust_bundles
    internal_certs_location public_url public_hub_url api_token admin_access cert_paths handler
""".split()  # noqa: SIM905 - a list of twenty names is easier to read so


class HybridSpawner(Spawner):  # type: ignore[misc]
    """Starts servers where compute.yaml says; ``configure()`` makes the subclass that knows the sites."""

    compute: ClassVar[Compute | None] = None
    _spawn_future: Any = None  # the Hub's

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.begun: Start | None = None
        self.kept = Kept()
        self.child: SiteMixin | None = None
        self.plan: SpawnPlan | None = None
        self.bringup: Bringup | None = None
        self._submission: asyncio.Future[None] | None = None
        self._at_first = {name: copy.deepcopy(getattr(self, name)) for name in passed_on()}

    @default("server_token_scopes")
    def _default_server_token_scopes(self) -> list[str]:
        return list(SERVER_SCOPES)

    # What is asked for

    @default("options_form")
    def _default_options_form(self) -> Any:
        return lambda spawner: spawner.start_form()

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return form.read

    def options_from_query(self, query_data: dict[str, Any]) -> dict[str, Any]:
        """Options of a link, as those of the form."""
        return form.read(query_data)

    def start_form(self, filled: dict[str, Any] | None = None) -> str:
        """The start page's form, filled in with these options, else with those of last time."""
        sites, last = self._sites(), self.kept.accepted
        told = form.in_short(sites.catalogue, last)
        filled = last if filled is None else filled
        return form.render(sites.catalogue, self._groups(), sites.estimates(), filled, told, self.kept.ended)

    def refusal(self, options: dict[str, Any]) -> str:
        """Why a start with these options would be refused; "" when it would not."""
        sites = self._sites()
        try:
            decide(sites.catalogue, options, self._groups(), sites.estimates())
        except Refused as error:
            return str(error)
        return ""

    async def _run_apply_user_options(self, user_options: dict[str, Any]) -> None:
        """Decide the plan; the one path for the form, the query, the API and saved options."""
        sites = self._sites()
        try:
            self.plan = decide(sites.catalogue, user_options or {}, self._groups(), sites.estimates())
        except Refused as error:  # the Hub saved them already: the last accepted ones are put back
            self.user_options = self.orm_spawner.user_options = dict(self.kept.accepted)
            self._session().commit()
            raise failed_start(str(error), "refused") from error
        if self.apply_user_options:
            await super()._run_apply_user_options(user_options)
        self.user_options = self.orm_spawner.user_options = dict(self.plan.options)
        self.kept = replace(self.kept, accepted=dict(self.plan.options), ended="")
        self.cpu_limit, self.mem_limit = float(self.plan.cores), self.plan.memory_bytes
        outage = 0.0 if sites.sites[self.plan.site].begins_at_once else OUTAGE
        self.start_timeout = int(self._patience() + MARGIN + outage)

    # The six verbs

    def start(self) -> "asyncio.Task[str]":
        """Record the intent, which the Hub commits before anything is started, and start."""
        self._begin()
        self._make_child()
        self.orm_spawner.state = self.get_state()
        return asyncio.ensure_future(self._bring_up())

    async def stop(self, now: bool = False) -> None:
        """End the server; nothing happens when there is none.

        Raises:
            HTTPError: its site is not in compute.yaml, nothing was done.
        """
        self.check_can_stop()
        if self._submission is not None:
            await asyncio.wait([self._submission], timeout=STOP_WITHIN)
        if self.child is not None:
            await self.child.end(now=now)

    async def poll(self) -> int | None:
        """None while there is no evidence that it ended; the site's snapshot is all that is looked at."""
        if self._check_pending:
            await self._site_or_answer()
        if not self._has_site():
            return None  # nothing is known of it
        if self.begun is not None and self._check_pending and not await self._settle():
            return 1
        if self.begun is None or self.child is None:
            return 0
        if self.child.truth() is not Truth.DEAD:
            return None
        if self.begun.phase is Phase.RUNNING and not self.kept.ended:
            await self._say_end(self.child)
        return self.child.exit_code()

    def get_state(self) -> dict[str, Any]:
        """What finds the server again; no secret is in it."""
        return to_json(self.begun, self.kept)

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the server again."""
        super().load_state(state)
        self.begun, self.kept = from_json(state)
        if self.begun is not None and not self._has_site():
            self.log.error("%s runs at site %s, which is not in compute.yaml.", self._log_name, self.begun.site)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What is said to the person who waits."""
        steps = self.bringup.steps if self.bringup else Progress()
        async for step in steps.follow():
            yield {"progress": step.percent, "message": step.message}

    # What else the Hub asks

    def clear_state(self) -> None:
        """After the end and before a start: the token is revoked, and nothing is known of a job any more."""
        super().clear_state()
        token = self._session().get(orm.APIToken, self.kept.token_id)
        if token is not None and self._is_ours(token):
            self._session().delete(token)
        self.kept = replace(self.kept, token_id=0, token_created="")
        self.begun = self.child = self.bringup = self._submission = None

    async def run_post_stop_hook(self) -> None:
        """After the end, while the database still names the job: what the job left is removed."""
        try:
            await maybe_future(super().run_post_stop_hook())
        finally:
            if self.child is not None:
                await self.child.clear()

    async def finish_stop(self) -> None:
        """Do the rest of a stop during which the Hub was killed; the Hub itself asks no more for this server.

        Raises:
            HTTPError: its site is not in compute.yaml, nothing was done.
        """
        self._stop_pending = True  # so that nobody starts it meanwhile
        try:
            await self.stop()
            await self.run_post_stop_hook()
            self.clear_state()
            self.orm_spawner.state = self.get_state()
            self._session().commit()
        finally:
            self._stop_pending = False

    @observe("api_token")
    def _token_given(self, change: Bunch) -> None:
        """Write down which token the Hub gave to the server; the Hub commits that before it goes on."""
        if change.new:
            token = orm.APIToken.find(self._session(), change.new)
            self.kept = replace(self.kept, token_id=token.id, token_created=str(token.created))
            self.orm_spawner.state = self.get_state()

    def check_can_stop(self) -> None:
        """See that the server can be stopped.

        Raises:
            HTTPError: its site is not in compute.yaml; says what to do.
        """
        if self.begun is not None and not self._has_site():
            site = self.begun.site
            message = (
                f"This server runs at the site '{site}', which is no longer in compute.yaml: it cannot be stopped and "
                f"goes on. Ask the operator to put the site '{site}' back into compute.yaml, then stop it again."
            )
            raise spawn_exception(message, "site", 409)

    def stop_polling(self) -> None:
        """Ask no more whether the server lives.

        The Hub begins every stop with this. Whatever fails later, it forgets the server; so what cannot be stopped
        is refused here. At its own start it asks for this too, before it begins to ask.

        Raises:
            HTTPError: the server cannot be stopped.
        """
        if not self._check_pending:
            self.check_can_stop()
        super().stop_polling()

    def start_polling(self) -> None:
        """Ask again and again whether the server lives.

        At its own start the Hub leads to the servers it found when it has found all: this one need not wait for them.
        """
        super().start_polling()
        if self._check_pending:
            self._sites().keep(asyncio.ensure_future(add_route(self.user, self.name)))

    async def get_url(self) -> str:
        """Where the server is; never waits, never raises."""
        if self.begun is None or not self.begun.url:
            return str(self.server.url) if self.server else ""
        return self.begun.url + self._path()

    # What the site and the announcement ask

    @property
    def ends_at(self) -> float | None:
        """When the server's time is over, seconds since 1970; None without a limit."""
        return self.begun.ends_at if self.begun else None

    def owns(self, token: Any) -> bool:
        """Whether a token of the database is this start's; ids alone are used again."""
        return self.begun is not None and self._is_ours(token)

    async def announced(self, said: Announcement, own: set[tuple[str, int]]) -> tuple[str, int]:
        """Take the job's announcement when it answers where it says it is.

        Raises:
            Unwanted: it is not this start's, not allowed there, or nothing right answers there.
        """
        begun = self._started()
        try:
            found = await announce.find(said, begun, self._child(), self._secret(), own)
        except Unreached as error:
            if self._waiting().unreached(error.place):
                self.log.warning("%s does not answer; try on this computer: %s", self._log_name, error.try_it)
            raise
        if self.begun is None or self.begun.job != begun.job:
            raise Unwanted(404, "this start is over")
        host = f"[{found}]" if ":" in found else found
        self._record(phase=Phase.ANNOUNCED, url=f"http://{host}:{said.port}")
        self._news()
        return found, said.port

    def told(self, said: Announcement) -> None:
        """Take what a job says of its server: that it listens, or that it ended.

        Raises:
            Unwanted: it is not this start's, or not of the port that was announced.
        """
        begun = self._started()
        if not announce.is_of(said, begun):
            raise Unwanted(404, "there is no such server")
        self._child().told(said.listening, said.ended)
        self._news()

    # Inside

    def _begin(self) -> None:
        plan, now, sites = self._planned(), time.time(), self._sites()
        token = orm.APIToken.find(self._session(), self.api_token)
        if lost := missing(token.scopes):
            self.log.error("The server of %s gets no %s: its user does not hold it.", self._log_name, ", ".join(lost))
        self.begun = Start(
            site=plan.site,
            kind=sites.sites[plan.site].config.kind,
            profile=plan.profile,
            job=f"bh-{sites.settings.hub}-{self.orm_spawner.id}-{secrets.token_hex(5)}",
            give_up_at=now + self._patience(),
            ends_at=now + plan.walltime_s if plan.walltime_s and sites.sites[plan.site].begins_at_once else None,
        )

    def _has_site(self) -> bool:
        """Whether the site of the start, if there is one, is known; one that was put back into the file is, at once."""
        if self.begun is not None and self.child is None:
            if self.begun.site not in self._sites().sites:
                return False
            self._make_child().load_state(self.begun.child)
        return True

    def _make_child(self) -> SiteMixin:
        """A fresh child of this start's site, and the wait for it."""
        begun, sites = self._started(), self._sites()
        given = {name: value for name in OF_THE_HUB if (value := getattr(self, name, None)) is not None}
        changed = {name: getattr(self, name) for name, value in self._at_first.items() if getattr(self, name) != value}
        own = {name: getattr(self, name) for name in passed_on() if name in self.config.HybridSpawner}
        if hub_url := sites.sites[begun.site].config.hub_url:
            own["hub_connect_url"] = hub_url
        child = sites.child_class(begun.site)(parent=self, job=begun.job, **given, **{**own, **changed})
        child.site.listen(begun.job, self._news)
        self.child = child
        self.bringup = Bringup(child, sites.title(begun.site), moments.steady(begun.give_up_at))
        return child

    async def _bring_up(self) -> str:
        """Submit, wait for the announcement, wait for the answer; the server's address."""
        child, bringup = self._child(), self._waiting()
        bringup.steps.say(15, f"Asking {bringup.title} to start it")
        try:
            work = child.submit(launch(child, self._started(), self._planned(), self._secret()))
            self._submission = asyncio.ensure_future(work)
            await asyncio.shield(self._submission)
            self._record(phase=Phase.SUBMITTED, child=child.get_state())
            return await self._finish()
        except SpawnerError as error:
            raise failed_start(str(error), "start") from error

    async def _finish(self) -> str:
        """Wait, from wherever this start is, until its server answers; its address."""
        bringup = self._waiting()
        await bringup.announcement(self._url)
        await bringup.answer(self._url, self._path())
        self._record(phase=Phase.RUNNING)
        return self._url()

    async def _site_or_answer(self) -> None:
        """At the Hub's start, without the server's site: wait until that is back or the server answers.

        A server that does not answer the Hub then would be forgotten.
        """
        while not self._has_site():
            begun = self._started()
            listens = partial(listens_of(begun.kind), begun.child)
            if begun.phase is Phase.RUNNING and await is_there(begun.url, self._path(), listens):
                return
            await asyncio.sleep(LOOK)

    async def _settle(self) -> bool:
        """At the Hub's start: wait until the server answers or is known to have ended; whether to go on asking.

        Meanwhile it looks to the Hub like a start, so that there is progress to see, and a stop that works.
        """
        settled = asyncio.ensure_future(self._settled())
        self._spawn_pending, self._spawn_future = True, asyncio.ensure_future(self._until_ready(settled))
        self._spawn_future.add_done_callback(lambda one: one.cancelled() or one.exception())  # said below
        try:
            await asyncio.wait([settled])
        finally:
            self._spawn_pending, self._spawn_future = False, None
        if settled.cancelled():  # by a stop, which needs that nothing is pending
            self._check_pending = False
            await self._stopped()
            return False
        error = settled.exception()
        if error is not None and not isinstance(error, SpawnerError):
            raise error
        if error is not None:
            self.log.warning("%s: %s", self._log_name, error)
            self.kept = replace(self.kept, ended=str(error))
        return error is None or (self.child is not None and self.child.truth() is Truth.DEAD)

    async def _until_ready(self, settled: "asyncio.Future[None]") -> None:
        """What a page follows: the wait for the server, then the Hub's own look at it."""
        await settled
        while self._check_pending:  # noqa: ASYNC110 - the Hub tells nobody
            await asyncio.sleep(0.05)

    async def _settled(self) -> None:
        self._waiting().began = True  # how long it may take is said here
        if self._started().phase is Phase.RUNNING:
            self._waiting().give_up_at = moments.steady(self.ends_at) if self.ends_at else float("inf")
            await self._waiting().answer(self._url, self._path(), AGAIN)
        else:  # the time that the Hub was away is not the start's
            config = self._child().site_config(self.config)
            queue = 0.0 if self._child().began() else config.queue_timeout
            again = moments.now() + queue + max(config.start_timeout, 2 * LONGEST_WAIT)
            self._waiting().give_up_at = max(self._waiting().give_up_at, again)
            await self._finish()

    async def _stopped(self) -> None:
        """Wait until a stop that is under way has come to its end."""
        until = moments.now() + STOP_WITHIN
        while self.begun is not None and moments.now() < until:  # noqa: ASYNC110 - the Hub tells nobody
            await asyncio.sleep(0.1)

    async def _say_end(self, child: SiteMixin) -> None:
        """Keep for the person, and say in the log, how a server ended by itself."""
        over, said = child.time_was_over(), "Your server ended without having been stopped."
        message = "Your server's time was over." if over else await obituary(child, said)
        self.log.warning("%s: %s", self._log_name, message)
        self.kept = replace(self.kept, ended=message)

    def _news(self) -> None:
        """The job changed: it is written down, whoever waits looks, and a server that ended is said at once."""
        if self.begun is not None and self.child is not None:
            state, ends_at = self.child.get_state(), self.child.ends_at() or self.begun.ends_at
            if (state, ends_at) != (self.begun.child, self.begun.ends_at):
                self._record(child=state, ends_at=ends_at)
        if self.bringup is not None:
            self.bringup.news()
        if self.ready and self.child is not None and self.child.truth() is Truth.DEAD:
            self._sites().keep(asyncio.ensure_future(self.poll_and_notify()))

    def _record(self, **changes: Any) -> None:
        """Change the start's state and commit it."""
        self.begun = replace(self._started(), **changes)
        self.orm_spawner.state = self.get_state()
        self._session().commit()

    def _is_ours(self, token: Any) -> bool:
        return (token.id, str(token.created)) == (self.kept.token_id, self.kept.token_created)

    def _groups(self) -> set[str]:
        return {group.name for group in self.user.groups}

    def _patience(self) -> float:
        """Seconds from the start until it is given up."""
        config = self._sites().child_class(self._planned().site).site_config(self.config)
        return float(config.queue_timeout + config.start_timeout)

    def _secret(self) -> str:
        return secret_of(self.user.settings["cookie_secret"], self._started().job)

    def _session(self) -> Any:
        return self._deprecated_db_session

    def _url(self) -> str:
        return self._started().url

    def _path(self) -> str:
        return str(self.server.base_url) if self.server else "/"

    def _sites(self) -> Compute:
        if self.compute is None:
            message = "The Hub's configuration names HybridSpawner without its sites: it needs configure(c)."
            raise spawn_exception(message, "configuration", 500)
        return self.compute

    def _planned(self) -> SpawnPlan:
        return _there(self.plan)

    def _started(self) -> Start:
        return _there(self.begun)

    def _child(self) -> SiteMixin:
        return _there(self.child)

    def _waiting(self) -> Bringup:
        return _there(self.bringup)


def passed_on() -> list[str]:
    """Traits that hooks and groups may change on the Hub's object, and that the child goes by."""
    return [name for name in Spawner.class_traits(config=True) if name != "server_token_scopes"]


def _there(part: Part | None) -> Part:
    """A part of a start that is under way.

    Raises:
        StartFailed: the server was stopped meanwhile.
    """
    if part is None:
        raise StartFailed("The server was stopped while it was starting.")
    return part
