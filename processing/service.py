"""``beamhub processing``: the service, made of its parts."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubAuth
from tornado.httpserver import HTTPServer

from beamhub.config.document import Document, read
from beamhub.config.mistakes import Mistakes
from beamhub.config.watch import watch
from beamhub.processing.account import OwnAccountRefused, refuse_own_account
from beamhub.processing.api.handler import STORE_AWAY, Hub, Service
from beamhub.processing.api.routes import application
from beamhub.processing.api.server import server
from beamhub.processing.dispatcher import Dispatcher, Places
from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.executors.executor import Executor
from beamhub.processing.feed import Feed
from beamhub.processing.intake import Intake
from beamhub.processing.library import Library
from beamhub.processing.lock import lock_paths, only_one
from beamhub.processing.logs import configure_logs
from beamhub.processing.memory import give_back, keep_together
from beamhub.processing.migrate import OtherVersion
from beamhub.processing.prctl import die_with_parent, hide_memory
from beamhub.processing.publication import ForeignResults, own
from beamhub.processing.settings import Settings
from beamhub.processing.sources.running import RunningSources
from beamhub.processing.storage import Storage, storages_of
from beamhub.processing.store import Store
from beamhub.processing.supervise import MISTAKE, supervise
from beamhub.processing.work import Claim

log = logging.getLogger("beamhub.processing")
GROUPS_S = 30  # how long the Hub's word on a token counts; with the streams' 20 s that is below a minute
PREFIX = "/services/beamhub/"
TOKENS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
END_WITHIN_S = 10.0  # from being told to end; a thread that hangs must not keep the store's lock for ever
LOOK_S = 2.0  # between two looks at files that people edit
AGAIN_S = 5.0  # before a part that failed is started again
FIXED = ("store", "results", "executors", "functions", "single_user")  # a change of these takes a restart
Part = Callable[[], Coroutine[Any, Any, None]]  # of the service, which runs as long as it does


class Running:
    """The parts of one running service that follow processing.yaml, of which ``text`` is in force."""

    def __init__(self, service: Service, config: Path, text: str) -> None:
        self.service = service
        self.config = config
        self.text = text
        self.sources = RunningSources(service.take)
        self.storages: dict[str, Storage] = storages_of(service.settings)
        self._looking = asyncio.Lock()

    async def follow(self) -> None:
        """Take each right change of processing.yaml; a wrong one leaves the last good one in force."""
        await self.sources.follow(self.service.settings)
        changes: asyncio.Queue[Document[Settings]] = asyncio.Queue()
        watching = asyncio.create_task(
            watch(self.config, Settings, changes.put_nowait, self._complain, LOOK_S, self.text)
        )
        try:
            while True:
                await self._take(await changes.get())
        finally:
            watching.cancel()
            await self.sources.close()

    def _complain(self, error: Mistakes) -> None:
        log.error("the last good one stays in force, since:\n%s", error)
        self.service.notice.put(error)

    async def _take(self, document: Document[Settings]) -> None:
        new, old = document.value, self.service.settings
        if changed := [name for name in FIXED if getattr(new, name) != getattr(old, name)]:
            log.warning("%s changed in %s: restart the service for that", ", ".join(changed), document.path)
        await self.look()  # a rule may name a function that was written a moment before it
        settings = new.model_copy(update={name: getattr(old, name) for name in FIXED})
        self.service.settings = self.service.intake.settings = settings
        self.storages.update(found := storages_of(settings))
        for gone in self.storages.keys() - found.keys():
            del self.storages[gone]
        await self.sources.follow(settings)
        self.text = document.text
        self.service.notice.put(None)
        log.info("%s is in force", document.path)

    async def dispatch(self) -> None:
        """Start the executors and keep them busy."""
        executors: dict[str, Executor] = {
            name: DaskExecutor(executor.workers, executor.address)
            for name, executor in self.service.settings.executors.items()
        }
        try:
            for executor in executors.values():
                await executor.start()
            await self.service.intake.ready.wait()
            log.info("functions can run")
            places = Places(self.storages, self.service.settings.results, self.config.parent.resolve())
            await Dispatcher(self.service.store, executors, self._choose, self.service.library, places).run()
        finally:
            await asyncio.gather(*(executor.close() for executor in executors.values()), return_exceptions=True)

    def _choose(self, claim: Claim) -> str:
        """Which executor a claim goes to: its rule's, else the first."""
        settings = self.service.settings
        rule = settings.rules.get(claim.rule or "")
        return rule.executor if rule and rule.executor in settings.executors else next(iter(settings.executors))

    async def refresh(self) -> None:
        """Look at the functions again and again; the first look takes seconds, and what needs it waits for it."""
        while True:
            await self.look()
            self.service.intake.ready.set()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take the functions that were written or changed."""
        library = self.service.library
        async with self._looking:
            if await asyncio.to_thread(library.refresh):
                log.info("functions in force: %s", ", ".join(f.name for f in library.functions()) or "none")
                for where, mistake in library.mistakes.items():
                    log.error("%s is not in force: %s", where, mistake)


async def serve(config: Path, url: str, prefix: str, hub: Hub) -> None:
    """Run the service until it is told to end.

    Args:
        config: processing.yaml.
        url: where to listen, ``http://127.0.0.1:8001``.
        prefix: of all paths, ``/services/beamhub/``.
        hub: answers whose a token is.

    Raises:
        Mistakes: processing.yaml is not right.
        OwnAccountRefused: functions would run with too many rights.
        OtherVersion: the store is of a newer BeamHub.
        ForeignResults: the results belong to another store.
        OSError: the address cannot be listened at.
    """
    document = read(config, Settings)
    settings = document.value
    if any(not executor.address for executor in settings.executors.values()):
        refuse_own_account(settings.single_user, hub.api_url)
    async with contextlib.AsyncExitStack() as stack:
        for path in lock_paths(settings):
            await stack.enter_async_context(only_one(path))
        store = await asyncio.to_thread(Store.open, settings.store)
        stack.callback(store.close)
        await asyncio.to_thread(own, settings.results, store.identity(), store.named_outputs)
        library = Library(settings.functions, config.parent.resolve() / ".functions")
        intake = Intake(store, library, settings)
        stack.callback(intake.close)
        service = Service(settings, store, library, Feed(store), intake, hub)
        stack.callback(service.images.close)
        http = server(application(service, prefix))
        where = urlsplit(url)
        http.listen(where.port or 80, where.hostname or "127.0.0.1")
        stack.push_async_callback(_close, http)
        log.info("listening on %s%s", url, prefix)
        running = Running(service, config, document.text)
        parts: dict[str, Part] = {
            "dispatcher": running.dispatch, "library": running.refresh, "settings": running.follow, "memory": give_back
        }  # fmt: skip
        await _until_told([asyncio.create_task(_kept(name, part)) for name, part in parts.items()])


async def _kept(name: str, part: Part) -> None:
    """Run a part, and again after it failed: one part's trouble is not the others'."""
    while True:
        try:
            await part()
        except Exception:  # whatever it is, the other parts go on and this one is tried again
            log.exception("%s failed; starting it again in %g s", name, AGAIN_S)
        await asyncio.sleep(AGAIN_S)


async def _until_told(tasks: list[asyncio.Task[None]]) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    try:
        await told.wait()
        log.info("ending")
        _end_at_last()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_at_last() -> None:
    """End within bounds whatever hangs; what was running then is handed out again at the next start."""

    def end() -> None:
        log.error("did not come to an end within %g s; ending without", END_WITHIN_S)
        os._exit(1)

    timer = threading.Timer(END_WITHIN_S, end)
    timer.daemon = True
    timer.start()


async def _close(server: HTTPServer) -> None:
    server.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            await server.close_all_connections()


class ProcessingCommand:
    """The sub-command: ``beamhub processing``."""

    help = "run the processing service; the Hub starts it, or the operator with the Hub's service token"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("--config", type=Path, default=Path("processing.yaml"), help="default: %(default)s")
        parser.add_argument("--supervise", action="store_true", help="start it again whenever it ends by itself")
        parser.add_argument("--log", choices=["text", "json"], help="default: text at a terminal, else json")
        parser.add_argument("--verbose", action="store_true", help="log more")

    def run(self, options: argparse.Namespace) -> int:
        """Until it is told to end; 2 where something must be mended first."""
        if options.supervise:
            words = ["--config", str(options.config)] + (["--verbose"] if options.verbose else [])
            return supervise(words + (["--log", options.log] if options.log else []))
        die_with_parent()
        hide_memory()
        keep_together()
        configure_logs(options.log, options.verbose)
        if "JUPYTERHUB_SERVICE_URL" not in os.environ:
            told = "beamhub processing is a service of the Hub: name it in c.JupyterHub.services with a url"
            sys.stderr.write(f"{told}\n")
            return MISTAKE
        url, prefix = os.environ["JUPYTERHUB_SERVICE_URL"], os.environ.get("JUPYTERHUB_SERVICE_PREFIX", PREFIX)
        hub = HubAuth(cache_max_age=GROUPS_S, api_token=os.environ.get(TOKENS[0], ""))
        for name in TOKENS:  # which are nothing for the workers and readers that are started from here
            os.environ.pop(name, None)
        try:
            asyncio.run(serve(options.config, url, prefix, hub))
        except (Mistakes, OwnAccountRefused, OtherVersion, ForeignResults) as error:
            sys.stderr.write(f"{error}\n")
            return MISTAKE
        except STORE_AWAY as error:
            log.error("the store cannot be opened: %s", error)
            return 1
        except OSError as error:
            log.error("the service cannot start: %s", error)
            return 1
        return 0


command = ProcessingCommand()
