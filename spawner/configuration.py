"""``configure(c, catalogue)``: the one line of jupyterhub_config.py that turns a Hub into BeamHub."""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from jupyterhub import apihandlers
from jupyterhub.app import JupyterHub

from beamhub.config.mistakes import Mistakes
from beamhub.spawner import accesslog, announce, pages, reconcile, stops
from beamhub.spawner.compute import Compute
from beamhub.spawner.hublines import application, wait_for_services
from beamhub.spawner.hybrid import HybridSpawner
from beamhub.spawner.scopes import set_scopes
from beamhub.spawner.sites.site import Site

log = logging.getLogger("beamhub.spawner")


def configure(c: Any, catalogue: str | os.PathLike[str] = "compute.yaml", hub: str = "") -> Compute:
    """Set up the Hub for the sites and profiles of a catalogue.

    Args:
        c: the configuration object of jupyterhub_config.py.
        catalogue: the file; a relative path counts from the folder that the Hub was started in.
        hub: this Hub's name in the names of its jobs, 1 to 16 of a-z and 0-9; by default made from the file's path.

    Raises:
        Mistakes: all that is wrong with the file; a Hub that is being started says it and ends.
    """
    try:
        compute = Compute.read(Path(catalogue).resolve(), hub)
    except Mistakes as mistakes:
        if (starting := application()) is not None:
            starting.log.critical("The Hub is not started:\n%s", mistakes)
            starting.exit(1)
        raise
    c.JupyterHub.spawner_class = type("HybridSpawner", (HybridSpawner,), {"compute": compute, "__module__": __name__})
    c.JupyterHub.template_paths.insert(0, str(pages.template_path()))
    if "init_spawners_timeout" not in c.JupyterHub:  # a job that is to announce itself needs a Hub that listens
        c.JupyterHub.init_spawners_timeout = 1
    set_scopes(c)
    set_handlers()
    wait_for_services()
    accesslog.hide_tokens()
    with contextlib.suppress(RuntimeError):  # no loop: the configuration is only read, no Hub is started
        asyncio.get_running_loop()
        compute.keep(asyncio.ensure_future(_accompany(compute)))
    return compute


def set_handlers() -> None:
    """Put our routes among the Hub's, and take batchspawner's away, which sets any attribute of a Spawner."""
    with contextlib.suppress(ImportError):
        import batchspawner.api  # noqa: F401 - adds its route when it is imported: before we look, not after
    stops.replace_handlers()
    pages.replace_handlers()
    unwanted = {"/api/batchspawner", announce.PATH}
    apihandlers.default_handlers[:] = [route for route in apihandlers.default_handlers if route[0] not in unwanted]
    apihandlers.default_handlers.append((announce.PATH, announce.AnnounceHandler))


async def _accompany(compute: Compute) -> None:
    """What runs as long as the Hub: the file is followed, each site is watched and kept clean."""
    started: set[Site] = set()
    hub = await _until_configured(compute)
    compute.keep(_background(compute.watch()))
    compute.keep(_background(reconcile.finish_stops(hub)))
    while True:
        for site in set(compute.sites.values()) - started:  # one of another kind is another, whatever its name
            started.add(site)
            compute.keep(_background(site.run()))
            compute.keep(_background(reconcile.keep_clean(site)))
        await asyncio.sleep(2)


async def _until_configured(compute: Compute) -> JupyterHub:
    """Wait until the Hub has read all of its configuration, then check what only then can be checked."""
    while (hub := application()) is None or getattr(hub, "proxy", None) is None:  # noqa: ASYNC110 - the Hub tells nobody
        await asyncio.sleep(0.01)
    log.parent = hub.log  # what we say is said where and how the Hub says it
    log.setLevel(hub.log.level)
    found = [*problems(hub), *(line for site in compute.sites.values() for line in site.problems(hub))]
    for problem in dict.fromkeys(found):  # what a class of servers says is said once for all of its sites
        log.critical("%s", problem)
    if found:
        hub.exit(1)
    gc.collect()
    gc.freeze()  # what was made so far stays: each later search of all of it would hold up the Hub for 0.1 s
    return hub


def problems(hub: JupyterHub) -> list[str]:
    """What in the Hub's own configuration BeamHub cannot work with."""
    found = []
    if hub.internal_ssl:
        found.append("internal_ssl is not supported by BeamHub's sites yet. Take the line out of the configuration.")
    return found


def _background(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task whose end by an error is said."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_say_error)
    return task


def _say_error(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("A part of the spawner ended, restart the Hub: %r", error, exc_info=error)
