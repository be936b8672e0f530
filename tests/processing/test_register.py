import pytest
from services.api import Bench

from beamhub.processing import queries
from beamhub.processing.access import Identity
from beamhub.processing.register import Register


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.store.close()


def identity(*groups):
    return Identity("alice", "user", frozenset(groups), frozenset())


async def test_a_proposal_is_seen_as_soon_as_its_first_file_is_in_the_store(bench):
    register = Register(bench.store)
    assert await register.visible(bench.settings, identity("red")) == frozenset()
    assert await register.may_see(bench.settings, identity("red"), "red")
    await bench.intake.take([event("red/scan1/a.nxs")])
    assert await register.visible(bench.settings, identity("red")) == {"red"}
    assert register.names() == ("red",)


async def test_changed_settings_count_at_once(bench):
    register = Register(bench.store)
    await bench.intake.take([event("red/scan1/a.nxs")])
    assert await register.visible(bench.settings, identity("red")) == {"red"}
    access = bench.settings.access.model_copy(update={"proposal_group": "{proposal}-dmgt"})
    changed = bench.settings.model_copy(update={"access": access})
    assert await register.visible(changed, identity("red")) == frozenset()
    assert not await register.may_see(changed, identity("red"), "red")
    assert await register.visible(changed, identity("red-dmgt")) == {"red"}


async def test_a_proposal_with_files_is_seen_by_where_they_lie_not_by_its_name(bench):
    register = Register(bench.store)
    await bench.intake.take([event("a.nxs")])
    assert await register.visible(bench.settings, identity("p03-staff")) == {""}
    assert not await register.may_see(bench.settings, identity(""), "")


def event(path):
    from services.api import NOON

    from beamhub.processing.event import FileEvent

    return FileEvent("watched", "beamline", path, "beamline", path, 3, NOON)


async def test_who_asks_again_has_newer_files_looked_at_and_no_others(bench):
    await bench.intake.take([event(f"red/scan1/{number}.nxs") for number in range(500)])
    with bench.store.reading() as connection:
        ((*_, newest),) = queries.places(connection, 0)
        steps = []
        connection.connection.driver_connection.set_progress_handler(lambda: steps.append(1), 1)
        assert queries.places(connection, newest) == []
    assert len(steps) < 500
