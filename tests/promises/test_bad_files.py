"""Files as they should not be: each is told where its owner looks, and the good file beside it is processed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import h5py
import pytest
from services import hostile
from services.service import config, hub_api, processing
from services.workbench import wait_for

from beamhub.processing.spelling import on_disk, spelled

pytestmark = [pytest.mark.promise("bad input"), pytest.mark.timeout(240)]
FUNCTION = """
from pathlib import Path
import h5py
from beamhub.processing.functions import Scalar, Summary, function

@function(title="Counts", version="1", timeout="60s", memory="1G")
def counts(raw: Path, out: Path) -> Summary:
    with h5py.File(raw) as source, h5py.File(out, "w") as file:
        file["counts"] = source["counts"][()]
    return Summary(scalars={"counts": Scalar(value=float(source_sum(out)))})

def source_sum(out):
    with h5py.File(out) as file:
        return file["counts"][()].sum()

@function(title="Link", version="1", timeout="60s", memory="1G")
def link(raw: Path, out: Path) -> Summary:
    out.symlink_to("/etc/passwd")
    return Summary()
"""
CONFIG = config("""
  counts: {when: {storage: beamline, path: "*/scan*/**/*.h5"}, function: counts, columns: {title: title}}
  link: {when: {storage: beamline, path: "*/link/*.h5"}, function: link}
""")
NAMES = [
    "with spaces.h5",
    'it\'s "quoted".h5',
    "$(touch x);`id`.h5",
    "Größe-试样-🧪.h5",
    "two\nlines.h5",
    "-rf.h5",
    "%2e%2e.h5",
    os.fsdecode(b"\xff\xfe-no utf8.h5"),
    os.fsdecode(b"folder \xe9/gr\xf6\xdfe.h5"),
    "written out \\xff.h5",
]
IDS = [ascii(name) for name in NAMES]


def good(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["counts"] = [1, 2, 3]


def named(name: str) -> Callable[[Path], None]:
    """A good file that holds its own name."""

    def make(path: Path) -> None:
        good(path)
        with h5py.File(path, "a") as file:
            file["title"] = f"of {spelled(name)}"

    return make


def truncated(path: Path) -> None:
    good(path)
    os.truncate(path, path.stat().st_size // 2)


def leads_to_another_proposal(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["counts"] = h5py.ExternalLink("../../blue/scan/secret.h5", "/counts")


def virtual_of_another_proposal(path: Path) -> None:
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource("../../blue/scan/secret.h5", "counts", shape=(3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("counts", layout)


def bomb(path: Path) -> None:
    """Eight terabytes in a few kilobytes."""
    with h5py.File(path, "w") as file:
        file.create_dataset("counts", (10**12,), "f8", chunks=(10**6,), fillvalue=1, compression="gzip")


def only(make) -> Callable[[Path], None]:
    """A file with nothing but odd counts."""

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            make(file, "counts")

    return write


def odd(path: Path) -> None:
    """Good counts, and beside them all that a file may hold; the title is a bomb, and is a column."""
    good(path)
    with h5py.File(path, "a") as file:
        hostile.strings(file, "title")
        for make in (hostile.circles, hostile.depth, hostile.references, hostile.compound, hostile.opaque):
            make(file, make.__name__)


ODD = {
    "beside all that is odd": (odd, 6.0, ""),
    "without values": (only(hostile.nothing), 0.0, ""),
    "not numbers": (only(hostile.not_numbers), None, "not a number"),
}
BAD = {
    "truncated": (truncated, "data", "truncated file"),
    "empty": (lambda path: path.touch(), "data", "is empty"),
    "linked": (leads_to_another_proposal, "data", "lies outside of its proposal"),
    "virtual": (virtual_of_another_proposal, "data", "lies outside of its proposal"),
    "bomb": (bomb, "resource", "Unable to allocate 7.28 TiB"),
    "filter": (only(hostile.no_filter), "data", "import hdf5plugin"),
    "text": (lambda path: path.write_text("no HDF5"), "data", "file signature not found"),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with hub_api() as url, processing(tmp_path_factory.mktemp("files") / "service", url, CONFIG, FUNCTION) as made:
        (made.folder / "raw/blue/scan").mkdir(parents=True)
        good(made.folder / "raw/blue/scan/secret.h5")
        (made.folder / "raw/red/scan1").mkdir(parents=True)
        (made.folder / "raw/red/scan1/secret link.h5").symlink_to(made.folder / "raw/blue/scan/secret.h5")
        made.start()
        wait_for(lambda: made.logged("functions can run"), 60)
        yield made


def write(service, name: str, make=good, scan: str = "scan1") -> Path:
    """A file arrives as a beamline writes it."""
    path = service.folder / "raw/red" / scan / name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{os.urandom(4).hex()}.tmp")
    make(unfinished)
    os.replace(unfinished, path)
    return path


def run_of(service, name: str) -> dict:
    """The run of a file, once it came to its last end."""
    mine = lambda: [run for run in service.runs(limit=500) if run["file"]["name"] == name]  # noqa: E731
    wait_for(lambda: mine() and mine()[0]["state"] in ("done", "failed"), 90)
    return service.ask(f"runs/{mine()[0]['id']}").json()


def still_good(service, beside: str) -> None:
    write(service, f"beside {beside}.h5")
    assert run_of(service, f"beside {beside}.h5")["state"] == "done"


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_is_a_failed_row_that_says_why_and_the_good_one_beside_it_is_done(service, bad):
    make, kind, message = BAD[bad]
    write(service, f"{bad}.h5", make)
    still_good(service, bad)
    run = run_of(service, f"{bad}.h5")
    assert (run["state"], run["error"]["kind"]) == ("failed", kind)
    assert message in run["error"]["message"]


@pytest.mark.parametrize("name", ODD)
def test_a_file_of_odd_content_is_processed_and_columns_that_cannot_be_read_are_empty(service, name):
    make, value, reason = ODD[name]
    write(service, f"{name}.h5", make)
    run = run_of(service, f"{name}.h5")
    assert (run["state"], run["columns"]) == ("done", {"title": None})
    assert (run["scalars"]["counts"]["value"], run["scalars"]["counts"]["reason"]) == (value, reason)


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_a_file_may_have_any_name_and_is_found_read_and_done_again_by_it(service, name):
    raw = write(service, name, named(Path(name).name))
    run = run_of(service, spelled(raw.name))
    assert (run["state"], run["scalars"]["counts"]["value"]) == ("done", 6.0)
    assert run["columns"] == {"title": f"of {spelled(raw.name)}"}
    assert service.folder / "raw" / on_disk(run["file"]["path"]) == raw
    answer = service.ask(f"results/{run['id']}/file")
    assert answer.status_code == 200
    assert answer.content[:4] == b"\x89HDF"
    assert [found["id"] for found in service.runs(text=run["file"]["name"])] == [run["id"]]
    explained = service.ask(f"files/explain?path={quote(run['file']['path'])}").json()
    assert explained["file"]["id"] == run["file"]["id"]
    (again,) = service.ask("runs", method="POST", json={"ids": [run["id"]]}).json()["items"]
    wait_for(lambda: service.ask(f"runs/{again['id']}").json()["state"] == "done", 60)
    assert not (service.folder / "x").exists()


def test_of_names_that_differ_in_a_byte_that_is_not_utf8_each_is_a_file_of_its_own_until_it_is_removed(service):
    names = [os.fsdecode(b"twin \xe4.h5"), os.fsdecode(b"twin \xf6.h5"), "twin ?.h5"]
    paths = [write(service, name) for name in names]
    runs = [run_of(service, spelled(name)) for name in names]
    assert [run["state"] for run in runs] == ["done"] * 3
    assert len({run["file"]["id"] for run in runs}) == 3
    paths[0].unlink()
    kinds = lambda: [service.ask(f"files/{run['file']['id']}").json()["kind"] for run in runs]  # noqa: E731
    wait_for(lambda: kinds() == ["removed", "closed", "closed"], 60)


def test_a_file_whose_name_is_not_utf8_is_explained_and_processed_at_the_command_line(service):
    raw = write(service, os.fsdecode(b"by hand \xff.h5"))
    explained = beamhub(service, "rules", "explain", raw)
    assert (explained.returncode, explained.stderr) == (0, b"")
    assert b"path red/scan1/by hand \\xff.h5\n" in explained.stdout
    processed = beamhub(service, "process", raw, "--rule", "counts")
    assert b"red/scan1/by hand \\xff.h5: done, " in processed.stdout
    with h5py.File(service.folder / r"processed/red/scan1/by hand \xff.h5/counts/by hand \xff-counts.nxs") as file:
        assert json.loads(file["beamhub/provenance/data"][()])["raw"] == spelled(str(raw))


def beamhub(service, *words):
    command = [sys.executable, "-m", "beamhub.config.command", *words]
    return subprocess.run(command, cwd=service.folder, env=service.environment, capture_output=True, check=False)


def test_what_is_wrong_with_a_file_whose_name_is_not_utf8_is_told_with_its_name(service):
    write(service, os.fsdecode(b"nothing in \xff.h5"), Path.touch)
    assert run_of(service, r"nothing in \xff.h5")["error"]["message"] == r"nothing in \xff.h5 is empty."


def test_a_file_that_disappears_before_it_is_read_is_a_row_that_says_so(service):
    pause = lambda paused: service.ask("rules/counts/pause", "staff", "POST", json={"paused": paused})  # noqa: E731
    assert pause(True).status_code == 200
    held = write(service, "held.h5")
    wait_for(lambda: [run for run in service.runs(state="queued") if run["file"]["name"] == "held.h5"], 60)
    held.unlink()
    assert pause(False).status_code == 200
    run = run_of(service, "held.h5")
    assert (run["state"], run["error"]["kind"]) == ("failed", "data")
    assert "is not there" in run["error"]["message"]
    still_good(service, "the one that went")


def test_a_symbolic_link_out_of_the_storage_is_not_followed_and_the_log_says_so(service):
    still_good(service, "link")
    wait_for(lambda: service.logged("secret link.h5 is a symbolic link"), 90)
    assert not [run for run in service.runs(limit=500) if run["file"]["name"] == "secret link.h5"]


def test_an_output_that_is_a_symbolic_link_is_no_result(service):
    write(service, "output.h5", scan="link")
    run = run_of(service, "output.h5")
    assert (run["state"], run["error"]["kind"]) == ("failed", "code")
    assert "symbolic link" in run["error"]["message"]
    assert service.ask(f"results/{run['id']}/file").status_code == 404


def post(service, body, kind="cloudevents+json"):
    return service.ask("events", "detector", "POST", content=body, headers={"Content-Type": f"application/{kind}"})


def told(number: int, subject: str, **more) -> dict:
    plain = {"specversion": "1.0", "id": str(number), "source": "/detector", "type": "org.beamhub.file.closed"}
    return plain | {"subject": subject, "data": {"storage": "beamline", "size": 3}} | more


WRONG_EVENTS = {
    "malformed": (b'{"specversion": ', 400, "the body is no JSON"),
    "no event": (json.dumps(told(1, "red/posted/scan1/x.h5", id="")).encode(), 400, "id: String should have"),
    "not for the sender": (json.dumps(told(1, "blue/posted/scan1/x.h5")).encode(), 403, "detector may not tell of"),
    "oversized": (b"[" * 5 * 2**20, 413, "send smaller batches"),
    "more than is held": (b"[" * 65 * 2**20, 413, "send smaller batches"),
}


@pytest.mark.parametrize("wrong", WRONG_EVENTS)
def test_a_wrong_event_is_refused_where_it_was_sent_and_a_right_one_after_it_is_taken_in(service, wrong):
    body, code, says = WRONG_EVENTS[wrong]
    answer = post(service, body)
    assert (answer.status_code, answer.json()["code"]) == (code, code)
    assert says in answer.json()["message"]
    assert post(service, json.dumps(told(hash(wrong), "red/posted/scan1/right.h5"))).json()["new"] == 1


def test_an_event_that_is_sent_twice_is_one_file(service):
    batch = json.dumps([told(2, "red/posted/scan1/twice.h5")] * 2)
    assert post(service, batch, "cloudevents-batch+json").json() == {"received": 2, "new": 1}
    assert post(service, batch, "cloudevents-batch+json").json() == {"received": 2, "new": 0}


def test_nothing_of_another_proposal_and_no_token_is_in_any_answer_or_file(service):
    service.ask("runs", "bob")
    tokens = (b"of the service",)
    for path in (service.folder / "results", service.folder / "log", service.folder / "beamhub.db"):
        for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
            content = file.read_bytes()
            assert not [token for token in tokens if token in content], file
    assert {run["proposal"] for run in service.runs(limit=500)} == {"red"}
