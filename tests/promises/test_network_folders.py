"""Storages of a file system that tells nothing of what is written elsewhere, and that goes away and comes back."""

import contextlib
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from services.service import config, hub_api, processing
from services.workbench import wait_for

pytestmark = [
    pytest.mark.promise("power, disks, clocks"),
    pytest.mark.timeout(300),
    pytest.mark.root,
    pytest.mark.fuse,
]
CONFIG = (
    config(
        """
  sizes: {when: {storage: beamline, path: "*/*/*.raw"}, function: count}
  far: {when: {storage: far, path: "*/*/*.raw"}, function: count}
  deaf: {when: {storage: deaf, path: "*/*/*.raw"}, function: count}
""",
        executor="{kind: dask, workers: 1}",
    )
    .replace(
        "storages: {",
        'storages: {far: {root: far, layout: "{proposal}/{scan}"}, deaf: {root: deaf, layout: "{proposal}/{scan}"}, ',
    )
    .replace(
        "sources:\n",
        "sources:\n  far: {kind: filesystem, storage: far, settle: 0.3s}\n"
        "  deaf: {kind: filesystem, storage: deaf, settle: 0.3s, rescan: 1h}\n",
    )
)


class Server:
    """A server's folder, and where it is mounted; what is written to the folder itself is written elsewhere."""

    def __init__(self, folder: Path, mounted: Path) -> None:
        self.folder, self.mounted = folder, mounted
        for path in (folder / "red/scan1", mounted):
            path.mkdir(parents=True)
        self.start()

    def start(self) -> None:
        command = ["bindfs", "-f", self.folder, self.mounted]
        self.program = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.mounted.is_mount, 10)

    def write(self, name: str) -> None:
        (self.folder / "red/scan1" / name).write_text("12345")

    def kill(self) -> None:
        self.program.kill()
        self.program.wait()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.mounted], check=False, capture_output=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            self.program.kill()
        self.program.wait()


class Site:
    """A service with a near storage, a far one, and a far one that is hardly ever scanned."""

    def __init__(self, service, far, deaf):
        self.service, self.far, self.deaf = service, far, deaf

    def done(self):
        return sorted((run["rule"], run["file"]["name"]) for run in self.service.runs(state="done", limit=500))

    def near_goes_on(self, name):
        self.service.drop(name)
        wait_for(lambda: ("sizes", name) in self.done(), 30)

    def arrives(self, name):
        wait_for(lambda: ("far", name) in self.done(), 60)

    def said(self, text):
        wait_for(lambda: self.service.logged(text), 60)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    with hub_api() as hub_url, processing(folder / "service", hub_url, CONFIG) as service:
        servers = [Server(folder / name, service.folder / name) for name in ("far", "deaf")]
        try:
            service.start()
            wait_for(lambda: service.logged("functions can run"), 60)
            yield Site(service, *servers)
            service.stop()
        finally:
            for server in servers:
                server.unmount()


def test_where_nothing_tells_of_files_written_elsewhere_they_are_found_by_scans_and_the_log_says_so(site):
    site.said("nothing tells of what other computers write")
    site.deaf.write("a.raw")  # the control: without a scan nothing is heard of it
    for name in ("a.raw", "b.raw"):
        site.far.write(name)
        site.arrives(name)
    assert ("deaf", "a.raw") not in site.done()


def test_what_this_computer_writes_there_is_heard_of_at_once(site):
    (site.deaf.mounted / "red/scan1/here.raw").write_text("12345")
    wait_for(lambda: ("deaf", "here.raw") in site.done(), 30)
    assert ("deaf", "a.raw") not in site.done()


def test_while_a_storages_server_hangs_others_go_on_and_its_files_are_found_afterwards(site):
    site.far.program.suspend()
    try:
        site.far.write("hung.raw")
        time.sleep(1)
        site.near_goes_on("near1.raw")
        assert site.service.up()
    finally:
        site.far.program.resume()
    site.arrives("hung.raw")


def test_while_a_storages_server_is_dead_others_go_on_and_its_files_are_found_once_it_is_back(site):
    site.far.kill()
    site.said("source far waits: ")
    site.far.write("dead.raw")
    site.near_goes_on("near2.raw")
    site.far.unmount()
    site.far.start()
    site.arrives("dead.raw")


def test_while_a_storage_is_not_mounted_others_go_on_and_its_files_are_found_once_it_is_back(site):
    site.far.unmount()
    site.said("is another folder than before")
    site.far.write("away.raw")
    site.near_goes_on("near3.raw")
    site.far.start()
    site.arrives("away.raw")


def test_after_all_that_every_file_was_done_once(site):
    far = [("far", name) for name in ("a.raw", "b.raw", "hung.raw", "dead.raw", "away.raw")]
    near = [("sizes", f"near{number}.raw") for number in (1, 2, 3)]
    assert site.done() == sorted([*far, *near, ("deaf", "here.raw")])
    assert {run["state"] for run in site.service.runs(limit=500)} == {"done"}
