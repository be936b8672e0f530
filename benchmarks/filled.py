"""A demo's folder with a full store, made before the demo starts, as its own service would have made it."""

from pathlib import Path

from beamhub.processing.publication import own
from beamhub.processing.store import Store
from benchmarks.many_runs import SETTLED, fill


def fill_demo(folder: Path, runs: int, proposals: str = "'demo-2026'") -> None:
    """Put runs that are done or failed into the store; none has an output.

    Args:
        folder: the demo's.
        runs: how many.
        proposals: SQL that says the proposal of run ``i``.
    """
    store = Store.open(f"sqlite:///{folder}/beamhub.db")
    own(folder / "results", store.identity(), set)
    fill(store, runs, proposals, SETTLED)
    with store.writing() as transaction:  # the service makes no statistics, and these know of no run that waits
        transaction.connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    store.close()
