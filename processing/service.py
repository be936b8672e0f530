"""``beamhub processing``: the service, made of its parts."""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubAuth
from sqlalchemy.engine import make_url
from tornado.httpserver import HTTPServer

from beamhub.config.document import Document, read
from beamhub.config.mistakes import Mistakes
from beamhub.config.watch import watch
from beamhub.processing.account import OwnAccountRefused, refuse_own_account
from beamhub.processing.api.events import LARGEST
from beamhub.processing.api.handler import Service
from beamhub.processing.api.routes import application
from beamhub.processing.dispatcher import Dispatcher, Places
from beamhub.processing.executors.dask import DaskExecutor
from beamhub.processing.executors.executor import Executor
from beamhub.processing.feed import Feed
from beamhub.processing.intake import Intake
from beamhub.processing.library import Library
from beamhub.processing.settings import FilesystemSettings, Settings
from beamhub.processing.sources.filesystem import FilesystemSource
from beamhub.processing.sources.source import Source
from beamhub.processing.storage import Storage
from beamhub.processing.store import Store
from beamhub.processing.supervise import MISTAKE, die_with_parent, supervise
from beamhub.processing.work import Claim

log = logging.getLogger("beamhub.processing")
GROUPS_S = 60  # how old the Hub's word on a token's groups may be
LOOK_S = 2.0  # between two looks at files that people edit
AGAIN_S = 5.0  # before a part that failed is started again


async def serve(config: Path, url: str, prefix: str, hub: Any) -> None:
    """Run the service until it is told to end.

    Args:
        config: processing.yaml.
        url: where to listen, ``http://127.0.0.1:8001``.
        prefix: of all paths, ``/services/beamhub/``.
        hub: answers whose a token is.

    Raises:
        Mistakes: processing.yaml is not right.
        OwnAccountRefused: functions would run with too many rights.
    """
    settings = read(config, Settings).value
    refuse_own_account(settings.single_user)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_only_one(_lock_path(settings, config)))
        store = await asyncio.to_thread(Store.open, settings.store)
        stack.callback(store.close)
        library = Library(settings.functions, config.parent.resolve() / ".functions")
        intake = Intake(store, library, settings)
        service = Service(settings, store, library, Feed(store), intake, hub)
        server = HTTPServer(application(service, prefix), max_body_size=2 * LARGEST)
        where = urlsplit(url)
        server.listen(where.port or 80, where.hostname or "127.0.0.1")
        stack.push_async_callback(_close, server)
        log.info("listening on %s%s", url, prefix)
        parts = [
            _kept("dispatcher", lambda: _dispatch(service, config)),
            _kept("library", lambda: _refresh(service)),
            watch(config, Settings, _taker(service), _complain, LOOK_S),
            *(_kept(f"source {source.name}", partial(source.run, intake.take)) for source in sources(settings)),
        ]
        await _until_told([asyncio.create_task(part) for part in parts])


def sources(settings: Settings) -> list[Source]:
    """The sources that run by themselves; those that are posted to are routes."""
    return [
        FilesystemSource(
            name,
            source.storage,
            settings.storages[source.storage].instance or source.storage,
            settings.storages[source.storage].root,
            source.settle,
            tuple(source.ignore),
        )
        for name, source in settings.sources.items()
        if isinstance(source, FilesystemSettings)
    ]


def places(settings: Settings, config: Path) -> Places:
    """Where the dispatcher finds files."""
    settle = {s.storage: s.settle for s in settings.sources.values() if isinstance(s, FilesystemSettings)}
    storages = {
        name: Storage(storage.root, storage.layout, settle.get(name, 2.0))
        for name, storage in settings.storages.items()
    }
    return Places(storages, settings.results, config.parent.resolve())


def chooser(service: Service) -> Callable[[Claim], str]:
    """Which executor a claim goes to: its rule's, else the first."""

    def choose(claim: Claim) -> str:
        rule = service.settings.rules.get(claim.rule or "")
        first = next(iter(service.settings.executors))
        return rule.executor if rule and rule.executor in service.settings.executors else first

    return choose


async def _dispatch(service: Service, config: Path) -> None:
    executors: dict[str, Executor] = {
        name: DaskExecutor(executor.workers, executor.address) for name, executor in service.settings.executors.items()
    }
    try:
        for executor in executors.values():
            await executor.start()
        await service.intake.ready.wait()
        log.info("functions can run")
        dispatcher = Dispatcher(
            service.store, executors, chooser(service), service.library, places(service.settings, config)
        )
        await dispatcher.run()
    finally:
        for executor in executors.values():
            await executor.close()


async def _refresh(service: Service) -> None:
    """Look at the functions; the first look takes seconds, and what needs it waits for it."""
    while True:
        if await asyncio.to_thread(service.library.refresh):
            log.info("functions in force: %s", ", ".join(f.name for f in service.library.functions()) or "none")
            _tell_mistakes(service.library)
        service.intake.ready.set()
        await asyncio.sleep(LOOK_S)


def _tell_mistakes(library: Library) -> None:
    for where, mistake in library.mistakes.items():
        log.error("%s is not in force: %s", where, mistake)


def _taker(service: Service) -> Callable[[Document[Settings]], None]:
    def take(document: Document[Settings]) -> None:
        new, old = document.value, service.settings
        fixed = ("store", "results", "sources", "executors", "functions", "single_user")
        if changed := [name for name in fixed if getattr(new, name) != getattr(old, name)]:
            log.warning("%s changed in %s: restart the service for that", ", ".join(changed), document.path)
        kept = {name: getattr(old, name) for name in fixed}
        service.settings = service.intake.settings = new.model_copy(update=kept)
        log.info("%s is in force", document.path)

    return take


def _complain(error: Mistakes) -> None:
    log.error("the last good one stays in force, since:\n%s", error)


async def _kept(name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
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
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(server: HTTPServer) -> None:
    server.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            await server.close_all_connections()


def _lock_path(settings: Settings, config: Path) -> Path:
    url = make_url(settings.store)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database + ".lock")
    return config.resolve().with_suffix(".lock")


@contextlib.asynccontextmanager
async def _only_one(path: Path) -> AsyncIterator[None]:
    """Hold the lock beside the store; a second copy of the service waits for it and opens nothing."""
    with path.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.warning("another copy of the service holds %s; waiting for it to end", path)
                    told = True
                await asyncio.sleep(0.2)
        yield


class ProcessingCommand:
    """The sub-command: ``beamhub processing``."""

    help = "run the processing service; the Hub starts it, or the operator with the Hub's service token"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("--config", type=Path, default=Path("processing.yaml"), help="default: %(default)s")
        parser.add_argument("--supervise", action="store_true", help="start it again whenever it ends by itself")
        parser.add_argument("--verbose", action="store_true", help="log more")

    def run(self, options: argparse.Namespace) -> int:
        """Until it is told to end; 2 where something must be mended first."""
        if options.supervise:
            words = ["--config", str(options.config)] + (["--verbose"] if options.verbose else [])
            return supervise(words)
        die_with_parent()
        level = logging.DEBUG if options.verbose else logging.INFO
        logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        for noisy in ("distributed", "alembic", "tornado.access"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        if "JUPYTERHUB_SERVICE_URL" not in os.environ:
            sys.stderr.write(
                "beamhub processing is a service of the Hub: name it in c.JupyterHub.services with a url\n"
            )
            return MISTAKE
        url, prefix = os.environ["JUPYTERHUB_SERVICE_URL"], os.environ["JUPYTERHUB_SERVICE_PREFIX"]
        try:
            asyncio.run(serve(options.config, url, prefix, HubAuth(cache_max_age=GROUPS_S)))
        except (Mistakes, OwnAccountRefused) as error:
            sys.stderr.write(f"{error}\n")
            return MISTAKE
        return 0


command = ProcessingCommand()
