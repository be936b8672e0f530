"""What a Dask worker does for us: it keeps one child warm, and hands tasks to it."""

import os
import signal

from distributed import Worker, WorkerPlugin, get_worker

from beamhub.processing.prctl import adopt_orphans, die_with_parent, hide_memory
from beamhub.processing.warm_child import WarmChild, environment
from beamhub.processing.wire import end_text, read_task

PLUGIN = "beamhub-child"


class ChildPlugin(WorkerPlugin):
    """Gives a worker its child, and takes away from the worker what a function must not find.

    ``local`` workers were started by the service: they end with it, and drop the environment they got from it.
    """

    name = PLUGIN

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self.child: WarmChild | None = None

    def setup(self, worker: Worker) -> None:
        if self._local:
            die_with_parent(signal.SIGKILL)
            hide_memory()
            clean = environment(os.environ)
            os.environ.clear()
            os.environ.update(clean)
        adopt_orphans()
        self.child = WarmChild(adopts=True)

    def teardown(self, worker: Worker) -> None:
        if self.child is not None:
            self.child.close()


def _child(worker: Worker) -> WarmChild:
    plugin = worker.plugins.get(PLUGIN)
    if plugin is None:  # of a scheduler that was started anew, which knows nothing of us
        plugin = worker.plugins[PLUGIN] = ChildPlugin(local=False)
        plugin.setup(worker)
    if not isinstance(plugin, ChildPlugin) or plugin.child is None:
        raise RuntimeError("this worker has not been set up for functions")
    return plugin.child


def run(task: str) -> str:
    """Run one task in this worker's child; both texts are those of ``wire``."""
    return end_text(_child(get_worker()).run(read_task(task)))


def cancel(run: int, dask_worker: Worker) -> bool:
    """End this worker's child if it is executing this run, or is being made for it."""
    return PLUGIN in dask_worker.plugins and _child(dask_worker).cancel(run)
