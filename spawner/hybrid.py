"""The one Spawner that the Hub knows: a plan, a child of the site that runs it, and the state that survives a crash."""

import asyncio
import contextlib
import copy
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from jupyterhub import orm
from jupyterhub.spawner import Spawner
from traitlets import default

from beamhub.spawner import announce, form
from beamhub.spawner.announce import Announcement, Unwanted
from beamhub.spawner.compute import Compute
from beamhub.spawner.errors import Refused, SpawnerError, StartFailed
from beamhub.spawner.hublines import service_url, spawn_exception
from beamhub.spawner.plan import SpawnPlan, decide
from beamhub.spawner.progress import Progress
from beamhub.spawner.scopes import SERVER_SCOPES, missing
from beamhub.spawner.reachable import speaks_http
from beamhub.spawner.sites.site import Launch, SiteMixin, Truth
from beamhub.spawner.state import Kept, Phase, Start, from_json, to_json

STOP_WITHIN = 60.0  # seconds
MARGIN = 15.0  # seconds that the Hub waits longer than we do, so that our error is the one that is shown
# what the Hub sets on its Spawner, and a child needs too
OF_THE_HUB = [
    "user",
    "orm_spawner",
    "hub",
    "authenticator",
    "proxy_spec",
    "_deprecated_db_session",
    "oauth_client_id",
    "cookie_options",
    "cookie_host_prefix_enabled",
    "trusted_alt_names",
    "user_options",
    "internal_ssl",
    "internal_trust_bundles",
    "internal_certs_location",
    "public_url",
    "public_hub_url",
    "api_token",
    "admin_access",
    "cert_paths",
    "handler",
]


class HybridSpawner(Spawner):
    """Starts servers where compute.yaml says; ``configure()`` makes the subclass that knows the sites."""

    compute: ClassVar[Compute | None] = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.begun: Start | None = None
        self.kept = Kept()
        self.child: SiteMixin | None = None
        self.plan: SpawnPlan | None = None
        self.steps = Progress()
        self._news = asyncio.Event()
        self._submission: asyncio.Future[None] | None = None
        self._until = 0.0
        self._at_first = {name: copy.deepcopy(getattr(self, name)) for name in self._passed_on()}

    @default("server_token_scopes")
    def _default_server_token_scopes(self) -> list[str]:
        return list(SERVER_SCOPES)

    # What was asked for

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
        sites, groups = self._sites(), {group.name for group in self.user.groups}
        last = self.kept.accepted or {}
        told = form.in_short(sites.catalogue, last)
        return form.render(
            sites.catalogue, groups, sites.estimates(), last if filled is None else filled, told
        )

    def start_form(self, filled: dict[str, Any] | None = None) -> str:
        """The start page's form, filled in as asked, else as last time."""
        compute, last = self._sites(), self.kept.accepted
        short = form.in_short(compute.catalogue, last)
        return form.render(
            compute.catalogue, self._groups(), compute.estimates(), last if filled is None else filled, short
        )

    async def get_options_form(self) -> str:
        """The form as the Hub asks for it."""
        return self.start_form()

    def run_options_from_form(self, form_data: dict[str, Any]) -> dict[str, Any]:
        """What was chosen in the form."""
        return form.read(form_data)

    def options_from_query(self, query_data: dict[str, Any]) -> dict[str, Any]:
        """What a link asks for."""
        return form.read(query_data)

    def _groups(self) -> set[str]:
        return {group.name for group in self.user.groups}

    async def _run_apply_user_options(self, user_options: dict[str, Any]) -> None:
        """Decide the plan; the one path for the form, the query, the API and saved options."""
        compute = self._sites()
        try:
            self.plan = decide(compute.catalogue, user_options or {}, self._groups(), compute.estimates())
        except Refused as error:
            self.user_options = self.orm_spawner.user_options = dict(
                self.kept.accepted
            )  # the Hub saved the refused
            self._commit()
            raise spawn_exception(str(error), "refused") from error
        if self.apply_user_options:
            await super()._run_apply_user_options(user_options)
        self.user_options = self.orm_spawner.user_options = dict(self.plan.options)
        self.kept = Kept(accepted=dict(self.plan.options))
        self.cpu_limit, self.mem_limit = float(self.plan.cores), self.plan.memory_bytes
        self.start_timeout = int(self._patience() + MARGIN)

    def _patience(self) -> float:
        """Seconds from the start until it is given up."""
        config = self._sites().sites[self._planned().site].config
        return float(config.queue_timeout + config.start_timeout)

    # Starting

    def start(self) -> "asyncio.Task[str]":
        """Record the intent, which the Hub commits before anything is started, and start."""
        plan, now = self._planned(), time.time()
        token = orm.APIToken.find(self._session(), self.api_token)
        if lost := missing(token.scopes):
            self.log.error(
                "The server of %s gets no %s: its user does not hold it.", self._log_name, ", ".join(lost)
            )
        self.begun = Start(
            site=plan.site,
            profile=plan.profile,
            job=f"bh-{self._sites().settings.hub}-{self.orm_spawner.id}-{secrets.token_hex(5)}",
            token_id=token.id,
            token_created=str(token.created),
            give_up_at=now + self._patience(),
            ends_at=now + plan.walltime_s if plan.walltime_s else None,
        )
        self._until = self.begun.give_up_at
        self.steps, self._news = Progress(), asyncio.Event()
        self.child = self._build()
        self.orm_spawner.state = self.get_state()
        return asyncio.ensure_future(self._bring_up())

    async def _bring_up(self) -> str:
        """Submit, wait for the announcement, wait for the answer; the server's address."""
        child = self._child()
        try:
            self.steps.say(15, f"Asking {self._title()} to start it")
            self._submission = asyncio.ensure_future(child.submit(self._launch()))
            await asyncio.shield(self._submission)
            self._record(phase=Phase.SUBMITTED, child=child.get_state())
            return await self._finish()
        except SpawnerError as error:
            raise spawn_exception(str(error), "start") from error

    async def _finish(self) -> str:
        """Wait from wherever this start is until the server answers; its address.

        Raises:
            StartFailed: it ended, or took longer than the site allows.
        """
        if self._start().phase is not Phase.RUNNING:
            self.steps.say(30, f"Waiting for {self._title()} to bring it up")
            while not self._start().url:
                await self._wait(0.5)
            self.steps.say(70, "Your server is there, its programs are being loaded")
            await self._answers()
            self._record(phase=Phase.RUNNING)
        self.steps.say(100, "Your server answers")
        return self._start().url

    async def _answers(self) -> None:
        """Wait until the server answers at its address."""
        pause = 0.03
        while not await speaks_http(self._start().url, self.server.base_url):
            await self._wait(pause)
            pause = min(pause * 1.3, 0.5)

    async def _wait(self, seconds: float) -> None:
        """Wait for news for a while.

        Raises:
            StartFailed: there is no hope any more.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        self._news.clear()
        if self._child().truth() is Truth.DEAD:
            raise StartFailed(await self._obituary("Your server ended while it was starting."))
        if time.time() > self._until:
            message = (
                f"Your server did not come up in time at {self._title()}. Try again, or choose another place."
            )
            raise StartFailed(await self._obituary(message))

    async def _obituary(self, message: str) -> str:
        """What happened, what to do, and the last lines of the log."""
        code = self._child().exit_code()
        lines = await self._child().last_lines()
        said = f" Its last lines:\n{lines}" if lines else ""
        if self._child().truth() is Truth.DEAD:
            message += (
                f" It ended with code {code}. Start it again; if it happens again, show this to the operator."
            )
        return message + said

    def _launch(self) -> Launch:
        child, begun = self._child(), self._start()
        environment = {key: str(value) for key, value in child.get_env().items() if value is not None}
        token = environment.pop("JUPYTERHUB_API_TOKEN")
        environment.pop("JPY_API_TOKEN", None)
        api = environment["JUPYTERHUB_API_URL"]
        return Launch(
            job=begun.job,
            programs=self._planned().programs,
            command=(*child.cmd, *child.get_args()),
            environment={**environment, **self._own_environment()},
            announce_url=api + announce.PATH.removeprefix("/api"),
            token=token,
            secret=self.secret(),
            ends_at=begun.ends_at,
        )

    def _own_environment(self) -> dict[str, str]:
        begun = self._start()
        ends = (
            datetime.fromtimestamp(begun.ends_at, UTC).isoformat(timespec="seconds")
            if begun.ends_at
            else None
        )
        found = {
            "BEAMHUB_SERVICE_URL": service_url(self._sites().sites[begun.site].config.service_url),
            "BEAMHUB_ENDS_AT": ends and ends.replace("+00:00", "Z"),
            "BEAMHUB_SITE": begun.site,
            "BEAMHUB_PROFILE": begun.profile,
        }
        return {key: value for key, value in found.items() if value}

    def secret(self) -> str:
        """What proves that a job is this start: made from the Hub's own secret, kept nowhere."""
        key: bytes = self.user.settings["cookie_secret"]
        return hmac.new(key, b"beamhub start " + self._start().job.encode(), "sha256").hexdigest()

    def owns(self, token: Any) -> bool:
        """Whether a token of the database is this start's; ids alone are used again."""
        begun = self.begun
        return begun is not None and (token.id, str(token.created)) == (begun.token_id, begun.token_created)

    async def announced(self, said: Announcement, own: set[tuple[str, int]]) -> tuple[str, int]:
        """Take the job's announcement when it answers where it says it is.

        Raises:
            Unwanted: it is not this start's, not allowed there, or nothing right answers there.
        """
        begun, child = self._start(), self._child()
        if not hmac.compare_digest(said.nonce.encode(), begun.nonce.encode()):
            raise Unwanted(404, "there is no such start")
        if begun.phase is Phase.RUNNING:
            raise Unwanted(403, "this server runs already")
        allowed = [one for one in said.addresses if child.may_be_at(one, said.port)]
        allowed = [one for one in allowed if not announce.is_own(one, said.port, own)]
        if not allowed:
            raise Unwanted(
                403, f"a server of this site cannot be at {', '.join(said.addresses)} port {said.port}"
            )
        found = await announce.first_right(said, allowed, self.secret(), begun.job)
        if found is None:
            raise Unwanted(409, f"nothing at {', '.join(allowed)} port {said.port} gives the right answer")
        if self.begun is None or self.begun.job != begun.job:
            raise Unwanted(404, "this start is over")
        host = f"[{found}]" if ":" in found else found
        self._record(phase=Phase.ANNOUNCED, url=f"http://{host}:{said.port}")
        self._news.set()
        return found, said.port

    # What the Hub asks

    async def poll(self) -> int | None:
        """None while there is no evidence that it ended; the site's snapshot is all that is looked at."""
        if self.begun is None:
            return 0
        if self.child is None:
            return None  # its site is not in compute.yaml: nothing is known of it
        if self._check_pending and not await self._settle():
            return 1
        if self.child is None or self.begun is None:
            return 0
        if self.child.truth() is not Truth.DEAD:
            return None
        if self.begun.phase is Phase.RUNNING and not self.kept.ended:
            await self._say_end()
        return self.child.exit_code()

    async def _settle(self) -> bool:
        """At the Hub's start: wait until the server answers or is known to have ended; whether to go on asking.

        Meanwhile it looks to the Hub like a start, so that there is progress to see, and a stop that works.
        """
        settled = self._spawn_future = asyncio.ensure_future(self._settled())
        self._spawn_pending = True
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
        return error is None or (self.child is not None and self.child.truth() is Truth.DEAD)

    async def _settled(self) -> None:
        if self._start().phase is Phase.RUNNING:
            self._until = self._start().ends_at or float("inf")
            await self._answers()
        else:
            await self._finish()

    async def _stopped(self) -> None:
        """Wait until a stop that is under way has come to its end."""
        until = time.monotonic() + STOP_WITHIN
        while self.begun is not None and time.monotonic() < until:
            await asyncio.sleep(0.1)

    async def _say_end(self) -> None:
        """Keep for the person, and say in the log, how a server ended by itself."""
        over = self.ends_at is not None and time.time() >= self.ends_at
        message = (
            "Your server's time was over." if over else await self._obituary("Your server ended by itself.")
        )
        self.log.warning("%s: %s", self._log_name, message)
        self.kept = replace(self.kept, ended=message)

    async def get_url(self) -> str:
        """Where the server is; never waits, never raises."""
        base = self.server.base_url if self.server else "/"
        url = self.begun.url if self.begun else ""
        return url + base if url else (self.server.url if self.server else "")

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What is said to the person who waits."""
        async for step in self.steps.follow():
            yield {"progress": step.percent, "message": step.message}

    async def stop(self, now: bool = False) -> None:
        """End the server; nothing happens when there is none."""
        if self._submission is not None:
            with contextlib.suppress(SpawnerError, asyncio.CancelledError):
                await asyncio.shield(self._submission)
        if self.child is not None:
            await self.child.end(now=now)

    def get_state(self) -> dict[str, Any]:
        """What finds the server again."""
        return to_json(self.begun, self.kept)

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the server again."""
        super().load_state(state)
        self.begun, self.kept = from_json(state)
        if self.begun is None:
            return
        if self.begun.site not in self._sites().sites:
            self.log.error(
                "%s runs at site %s, which is not in compute.yaml.", self._log_name, self.begun.site
            )
            return
        self._until = self.begun.give_up_at
        self.child = self._build()
        self.child.load_state(self.begun.child)

    def clear_state(self) -> None:
        """After the end and before a start: the token is revoked, what the job left is removed."""
        super().clear_state()
        if self.begun is None:
            return
        self._revoke()
        if self.child is not None:
            task = asyncio.ensure_future(self.child.clear())
            self._sites().keep(task)
        self.begun, self.child, self._submission = None, None, None

    @property
    def ends_at(self) -> float | None:
        """When the server's time is over, seconds since 1970; None without a limit."""
        return self.begun.ends_at if self.begun else None

    # Inside

    def _build(self) -> SiteMixin:
        """A fresh child of this start's site."""
        begun = self._start()
        given = {name: getattr(self, name) for name in OF_THE_HUB if getattr(self, name, None) is not None}
        changed = {
            name: getattr(self, name)
            for name, value in self._at_first.items()
            if getattr(self, name) != value
        }
        config = {
            name: getattr(self, name) for name in self._passed_on() if name in self.config.HybridSpawner
        }
        child = self._sites().child_class(begun.site)(
            parent=self, job=begun.job, **given, **{**config, **changed}
        )
        child.site.listen(begun.job, self._changed)
        return child

    def _passed_on(self) -> list[str]:
        """Traits that hooks and groups may change on the Hub's object, and that the child goes by."""
        return [name for name in Spawner.class_traits(config=True) if name not in ("server_token_scopes",)]

    def _changed(self) -> None:
        """The site saw this job change: whoever waits looks, and a server that ended is said at once."""
        self._news.set()
        if self.ready and self.child is not None and self.child.truth() is Truth.DEAD:
            self._sites().keep(asyncio.ensure_future(self.poll_and_notify()))

    def _record(self, **changes: Any) -> None:
        """Change the start's state and commit it."""
        self.begun = replace(self._start(), **changes)
        self.orm_spawner.state = self.get_state()
        self._commit()

    def _revoke(self) -> None:
        begun, session = self._start(), self._session()
        token = session.get(orm.APIToken, begun.token_id) if session else None
        if token is not None and self.owns(token):
            session.delete(token)

    def _session(self) -> Any:
        return self._deprecated_db_session

    def _commit(self) -> None:
        self._session().commit()

    def _sites(self) -> Compute:
        if self.compute is None:
            raise spawn_exception(
                "The Hub's configuration names HybridSpawner without its sites. It needs the line "
                "configure(c, catalogue='compute.yaml').",
                "configuration",
                500,
            )
        return self.compute

    def _title(self) -> str:
        return str(self._sites().sites[self._start().site].config.title)

    def _planned(self) -> SpawnPlan:
        if self.plan is None:
            raise StartFailed("Nothing was decided yet. Start the server again.")
        return self.plan

    def _start(self) -> Start:
        if self.begun is None:
            raise StartFailed("The server was stopped while it was starting.")
        return self.begun

    def _child(self) -> SiteMixin:
        if self.child is None:
            raise StartFailed("The server was stopped while it was starting.")
        return self.child
