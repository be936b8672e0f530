"""Watched folders when the kernel cannot tell of everything: a scan finds what it did not tell."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from services.api import Bench
from services.service import CONFIG, hub_api, processing
from services.workbench import wait_for

from beamhub.processing.sources.filesystem import FilesystemSource

pytestmark = [pytest.mark.promise("power, disks, clocks"), pytest.mark.timeout(900)]
FILES = int(os.environ.get("BEAMHUB_SCAN_FILES", "20000"))  # make soak: 200,000
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture(scope="module")
def hub_url():
    with hub_api() as url:
        yield url


def burst(folder: Path, number: int) -> list[str]:
    """Many files at once, from a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    code = "import sys\nfor n in range(int(sys.argv[2])): open(f'{sys.argv[1]}/{n:04}.raw', 'w').write('12345')"
    subprocess.run([sys.executable, "-c", code, folder, str(number)], check=True)
    return [f"{at:04}.raw" for at in range(number)]


@pytest.mark.root
def test_files_whose_news_overflowed_the_kernels_queue_are_found_by_a_scan_and_done_once(tmp_path, hub_url):
    with processing(tmp_path / "service", hub_url, CONFIG) as service:
        before = QUEUE.read_text()
        QUEUE.write_text("8")  # holds for queues that are made from now on
        try:
            service.start()
            wait_for(lambda: service.logged("raw is watched"), 60)
        finally:
            QUEUE.write_text(before)
        wait_for(lambda: service.logged("functions can run"), 60)
        names = burst(service.folder / "raw/red/scan1", 100)
        wait_for(lambda: service.logged("the kernel lost news"), 60)
        done = service.done(100, 150)
        assert sorted(run["file"]["name"] for run in done) == names
        service.drop("later.raw")  # into a folder that the kernel did not tell of
        service.done(101, 20)
        service.stop()


def test_where_the_kernels_watches_run_out_scans_find_the_files_and_the_log_says_what_to_raise(tmp_path, hub_url):
    with processing(tmp_path / "service", hub_url, CONFIG) as service:
        for number in range(30):
            (service.folder / f"raw/red/scan{number}").mkdir(parents=True)
        few = "echo 10 > /proc/sys/user/max_inotify_watches; exec "
        words = f"{sys.executable} -m beamhub.config.command processing --config processing.yaml"
        with (service.folder / "log").open("a") as log:
            command = ["unshare", "--user", "--map-root-user", "sh", "-c", few + words]
            service.copies.append(subprocess.Popen(command, cwd=service.folder, env=service.environment, stderr=log))
        wait_for(lambda: service.logged("functions can run"), 60)
        wait_for(lambda: service.logged("max_user_watches"), 30)
        names = [f"{number:04}.raw" for number in range(30)]
        for number, name in enumerate(names):
            (service.folder / f"raw/red/scan{number}" / name).write_text("12345")
        assert sorted(run["file"]["name"] for run in service.done(30, 120)) == names
        service.stop()


async def test_what_lies_there_at_the_first_scan_is_taken_in_once_and_new_files_do_not_wait_for_it(tmp_path):
    bench = Bench(tmp_path)
    root = tmp_path / "raw"
    for folder in range(100):
        (root / f"red/scan{folder}").mkdir(parents=True)
        for number in range(FILES // 100):
            (root / f"red/scan{folder}/{number:05}.dat").touch()
    source = FilesystemSource("watched", "beamline", "demo", root, settle=0.2)
    largest = 0

    async def sink(events):
        nonlocal largest
        largest = max(largest, len(events))
        return await bench.intake.take(events)

    def files() -> int:
        with bench.store.reading() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM file").scalar_one()

    running = asyncio.create_task(source.run(sink))
    try:
        async with asyncio.timeout(800):
            while await asyncio.to_thread(files) < FILES // 10:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            (root / "red/scan0/new.dat").touch()
            while not await asyncio.to_thread(bench.store.find_files, "red/scan0/new.dat"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert await asyncio.to_thread(files) < FILES
            while await asyncio.to_thread(files) < FILES + 1:
                assert not running.done()
                await asyncio.sleep(0.1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    with bench.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(DISTINCT path) FROM file").scalar_one() == FILES + 1
    assert largest <= 500
    bench.store.close()
