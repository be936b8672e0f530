"""Intake: from an event to file, columns and runs in the store, in one step."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest
from services.measurements import NOON, every

from beamhub.processing import intake
from beamhub.processing.event import FileEvent, Position
from beamhub.processing.intake import Intake
from beamhub.processing.library import UnknownFunction
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store


class Functions:
    """A library that knows one function."""

    def find(self, name: str):
        if name != "average":
            raise UnknownFunction(f"there is no function {name}")
        return SimpleNamespace(record=SimpleNamespace(digest="digest of average", version="3"))


@dataclass
class Bench:
    folder: Path
    store: Store
    intake: Intake

    def file(self, path: str, title: str | None = None) -> FileEvent:
        """A file that lies in the storage, with a title or with nothing that can be read."""
        where = self.folder / path
        where.parent.mkdir(parents=True, exist_ok=True)
        if title is None:
            where.write_bytes(b"no HDF5")
        else:
            with h5py.File(where, "w") as file:
                file["entry/title"] = title
        return FileEvent("watched", "beamline", path, "beamline", path, where.stat().st_size, NOON)

    def runs(self):
        return every(self.store, "red")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    rule = {"when": {"storage": "beamline", "path": "*/sans/*.nxs"}, "function": "average"}
    rules = {"radial": rule | {"with": {"bins": 7}, "columns": {"sample": "entry/title"}}}
    storages = {"beamline": {"root": "raw", "layout": "{proposal}/{scan}"}}
    settings = Settings.model_validate({"storages": storages, "rules": rules}, context={"folder": tmp_path})
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    made = Bench(tmp_path / "raw", store, Intake(store, Functions(), settings))
    made.intake.ready.set()
    yield made
    made.intake.close()
    store.close()


async def test_a_file_becomes_a_run_with_the_rules_parameters_and_the_functions_version(bench):
    (number,) = await bench.intake.take([bench.file("red/sans/a.nxs", "LaB6")])
    (run,) = bench.store.file(number).runs
    assert (run.proposal, run.rule, run.function, run.state) == ("red", "radial", "average", "queued")
    assert (run.parameters, run.digest, run.version) == ({"bins": 7}, "digest of average", "3")
    assert run.columns == {"sample": "LaB6"}


async def test_a_file_that_no_rule_takes_is_recorded_without_runs_or_columns(bench):
    (number,) = await bench.intake.take([bench.file("red/waxs/a.nxs", "LaB6")])
    file = bench.store.file(number)
    assert (file.proposal, file.columns, file.runs) == ("red", {}, [])


async def test_a_file_without_a_proposal_is_recorded(bench):
    (number,) = await bench.intake.take([bench.file("stray.nxs", "LaB6")])
    assert bench.store.file(number).proposal == ""


async def test_a_broken_file_has_its_run_all_the_same_and_its_column_is_none(bench, caplog):
    caplog.set_level("INFO", "beamhub.processing.intake")
    (number,) = await bench.intake.take([bench.file("red/sans/broken.nxs")])
    assert bench.store.file(number).columns == {"sample": None}
    assert len(bench.runs()) == 1
    assert "columns of red/sans/broken.nxs: Unable" in caplog.text


async def test_a_rule_whose_function_is_not_there_makes_a_run_that_will_say_so(bench):
    rule = bench.intake.settings.rules["radial"].model_copy(update={"function": "averge"})
    bench.intake.settings = bench.intake.settings.model_copy(update={"rules": {"radial": rule}})
    await bench.intake.take([bench.file("red/sans/a.nxs", "LaB6")])
    assert [(run.function, run.digest) for run in bench.runs()] == [("averge", "")]


async def test_an_event_seen_again_reads_no_file_and_changes_nothing(bench, monkeypatch):
    event = bench.file("red/sans/a.nxs", "LaB6")
    await bench.intake.take([event])
    head = bench.store.head()
    monkeypatch.setattr(bench.intake, "_reader", None)
    assert await bench.intake.take([event, event]) == []
    assert bench.store.head() == head


async def test_a_batch_with_the_same_file_twice_takes_it_in_once(bench):
    event = bench.file("red/sans/a.nxs", "LaB6")
    assert len(await bench.intake.take([event, event])) == 1
    assert len(bench.runs()) == 1


async def test_the_sources_position_is_in_the_store_with_the_events(bench):
    event = bench.file("red/sans/a.nxs", "LaB6")
    await bench.intake.take([event], Position("kafka", "7"))
    assert bench.store.position("kafka") == "7"
    await bench.intake.take([event], Position("kafka", "8"))
    assert bench.store.position("kafka") == "8"


async def test_a_removal_marks_the_file_and_makes_no_run(bench):
    event = bench.file("red/sans/a.nxs", "LaB6")
    (number,) = await bench.intake.take([event])
    await bench.intake.take([replace(event, kind="removed", file_id="")])
    assert bench.store.file(number).kind == "removed"
    assert len(bench.runs()) == 1


async def test_a_file_told_of_as_removed_and_then_as_there_again_is_there(bench):
    event = bench.file("red/sans/a.nxs", "LaB6")
    (number,) = await bench.intake.take([event])
    gone = replace(event, kind="removed", file_id="")
    assert await bench.intake.take([gone, event]) == []
    assert bench.store.file(number).kind == "restored"
    assert len(bench.runs()) == 1


async def test_a_storage_that_hangs_holds_a_batch_back_for_a_bounded_time_only(bench, monkeypatch):
    class Hangs:
        def read(self, root, path, wanted, within_s):
            time.sleep(within_s)
            return dict.fromkeys(wanted), "it hangs"

        def close(self):
            pass

    monkeypatch.setattr(intake, "COLUMNS_WITHIN_S", 0.3)
    bench.intake.close()
    bench.intake._reader = Hangs()
    events = [bench.file(f"red/sans/{number}.nxs", "LaB6") for number in range(10)]
    start = time.monotonic()
    assert len(await bench.intake.take(events)) == 10
    assert time.monotonic() - start < 2


async def test_events_wait_until_the_functions_are_known(bench):
    bench.intake.ready.clear()
    taking = asyncio.create_task(bench.intake.take([bench.file("red/sans/a.nxs", "LaB6")]))
    await asyncio.sleep(0.05)
    assert not taking.done()
    bench.intake.ready.set()
    assert len(await taking) == 1


async def test_the_loop_goes_on_while_columns_are_read(bench):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    await bench.intake.take([bench.file(f"red/sans/{number}.nxs", "LaB6") for number in range(5)])
    ticking.cancel()
    assert ticks > 5
