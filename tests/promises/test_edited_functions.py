"""Functions are edited while they run: each file is processed with one version, and a mistake stops nothing."""

import pytest
from services.processing import hub_api, processing
from services.workbench import wait_for

from beamhub.config import command

pytestmark = [pytest.mark.promise("user code"), pytest.mark.timeout(180)]
FUNCTION = """
import time
from pathlib import Path
import h5py
from helper import FACTOR
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Scaled", version="1", timeout="60s", memory="1G")
def scaled(raw: Path, out: Path, hold: bool = False) -> Summary:
    with h5py.File(out, "w") as file:
        file["factor"] = FACTOR
    raw.with_suffix(".running").touch()
    while hold and not raw.with_suffix(".go").exists():
        time.sleep(0.05)
    return Summary(scalars={"factor": Scalar(value=FACTOR)})
"""
CONFIG = """
store: sqlite:///beamhub.db
single_user: true
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
sources: {watched: {kind: filesystem, storage: beamline, settle: 0.2s}}
executors: {here: {kind: dask, workers: 2}}
functions: [functions]
rules:
  quick: {when: {storage: beamline, path: "*/scan1/[!h]*.raw"}, function: scaled}
  held: {when: {storage: beamline, path: "*/scan1/held*.raw"}, function: scaled, with: {hold: true}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with hub_api() as url, processing(tmp_path_factory.mktemp("edited") / "service", url, CONFIG, FUNCTION) as made:
        edit(made, "helper.py", "FACTOR = 1\n")
        made.start()
        wait_for(lambda: made.logged("functions can run"), 60)
        yield made


def edit(service, name: str, text: str) -> None:
    path = service.folder / "functions" / name
    path.write_text(text)
    path.chmod(0o644)


def record(service) -> dict:
    (found,) = service.ask("functions").json()["items"]
    return found


def run_of(service, name: str) -> dict:
    found = [run for run in service.runs(limit=500) if run["file"]["name"] == name]
    return service.ask(f"runs/{found[0]['id']}").json() if found else {"state": ""}


def done(service, name: str) -> dict:
    wait_for(lambda: run_of(service, name)["state"] in ("done", "failed"), 60)
    run = run_of(service, name)
    assert run["state"] == "done", run["error"]
    return run


def test_the_next_file_uses_an_edited_helper_and_both_digests_run_side_by_side(service):
    service.drop("held.raw")
    before = service.folder / "raw/red/scan1/held.running"
    wait_for(before.exists, 60)
    old = record(service)["digest"]
    edit(service, "helper.py", "FACTOR = 20\n")
    wait_for(lambda: record(service)["digest"] != old, 60)
    service.drop("after.raw")
    after = done(service, "after.raw")
    assert run_of(service, "held.raw")["state"] == "running"  # with the helper as it was
    before.with_suffix(".go").touch()
    held = done(service, "held.raw")
    assert [run["scalars"]["factor"]["value"] for run in (held, after)] == [1.0, 20.0]
    assert (held["digest"], after["digest"]) == (old, record(service)["digest"])


def test_a_syntax_error_leaves_the_last_good_version_in_force_and_the_table_is_told(service):
    good = record(service)["digest"]
    edit(service, "helper.py", "FACTOR = = 3\n")
    wait_for(lambda: record(service)["mistake"], 60)
    assert "helper.py" in record(service)["mistake"]
    assert record(service)["mistake"].startswith("helper.py:1: ")
    service.drop("during.raw")
    assert done(service, "during.raw")["digest"] == good
    assert service.logged("is not in force: helper.py:1")


def test_beamhub_check_names_the_same_line(service, capsys):
    assert command.main(["check", str(service.folder / "processing.yaml")]) == 1
    assert "helper.py:1: " in capsys.readouterr().out
    edit(service, "helper.py", "FACTOR = 3\n")
    wait_for(lambda: not record(service)["mistake"], 60)
    assert command.main(["check", str(service.folder / "processing.yaml")]) == 0
    service.drop("mended.raw")
    assert done(service, "mended.raw")["scalars"]["factor"]["value"] == 3.0
