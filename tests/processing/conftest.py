"""A fresh store for each test, in SQLite and (rung postgres) in PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.api import Bench, serving
from services.postgres import Postgres, postgres

from beamhub.processing.store import Store

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server whose databases hold an empty store."""
    with postgres(lambda url: Store.open(url).close()) as server:
        yield server


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a store can be opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield url


@pytest.fixture(scope="module", params=BOTH)
def module_store_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a store of all tests of a module can be opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open store."""
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, module_store_url: str) -> Iterator[Bench]:
    """The service's API with a run that is done, one in quarantine, one that waits, and one of another proposal."""
    made = Bench(tmp_path_factory.mktemp("api"), module_store_url)
    made.done, made.failed, made.queued = made.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "red/scan2/c.nxs")
    (made.blue,) = made.arrive("blue/scan1/a.nxs")
    made.finish(made.done, {"total": 5.0})
    made.fail(made.failed, quarantined=True)
    made.store.recover()
    with serving(made):
        yield made
