import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import psutil
import pytest
from services.living import gone
from services.workbench import FUNCTIONS, Workbench, wait_for

from beamhub.processing import warm_child
from beamhub.processing.warm_child import LOG_TAIL, WarmChild, _Process, environment
from beamhub.processing.wire import task_text
from beamhub.processing.work import Failure, Outcome


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Workbench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def child():
    others = set(psutil.Process().children(recursive=True))
    warm = WarmChild()
    warm.others = others
    yield warm
    warm.close()
    assert set(psutil.Process().children(recursive=True)) <= others


WORKER = """
import sys
from beamhub.processing import warm_child, wire
warm_child.WarmChild().run(wire.read_task(sys.stdin.read()))
"""


def line_of(text: str) -> int:
    return 1 + (FUNCTIONS / "wild.py").read_text().splitlines().index(text)


def test_a_good_function_gives_its_output_and_its_scalars(bench, child):
    task = bench.task("measure", bins=20)
    end = child.run(task)
    assert isinstance(end, Outcome), end
    assert end.scalars["bins"].value == 20
    assert {path.name for path in task.folder.iterdir()} == {end.output, end.plot, end.preview}
    assert end.log_tail == "measured exposure.nxs\n"


def test_the_next_task_finds_the_child_warm(bench, child):
    first, second = child.run(bench.task("measure")), child.run(bench.task("measure"))
    assert first.where == second.where


@pytest.mark.parametrize(
    ("function", "kind", "type_", "message"),
    [
        ("fails", "code", "ZeroDivisionError", "division by zero"),
        ("misses_the_beam_centre", "data", "DataError", "no beam centre"),
        ("loops", "resource", "Timeout", "took longer than 1 s"),
        ("ends_its_process", "resource", "ProcessDied", "with exit code 0"),
        ("crashes", "resource", "ProcessDied", "ended by SIGSEGV"),
        ("leaves_by_exit", "code", "SystemExit", "exit code 3"),
        ("eats_memory", "resource", "MemoryError", "more memory"),
        ("writes_no_output", "code", "WrongOutput", "wrote no output"),
        ("writes_a_link", "code", "WrongOutput", "symbolic link"),
        ("writes_text", "code", "WrongOutput", "something else than HDF5"),
        ("returns_a_number", "code", "TypeError", "returned float, not a Summary"),
    ],
)
def test_a_function_that_fails_says_how_and_the_next_one_runs(bench, child, function, kind, type_, message):
    end = child.run(bench.task(function))
    assert isinstance(end, Failure)
    assert (end.kind, end.type) == (kind, type_)
    assert message in end.message
    assert isinstance(child.run(bench.task("measure")), Outcome)


def test_the_users_own_failing_line_comes_first_in_the_traceback(bench, child):
    end = child.run(bench.task("fails"))
    assert end.traceback[0] == f"wild.py:{line_of('    return 1 / number')} in divided_by: return 1 / number"
    assert end.traceback[1].endswith("in fails: return divided_by(0)")


def test_a_parameter_that_does_not_fit_is_named(bench, child):
    end = child.run(bench.task("measure", bins=1))
    assert (end.kind, end.type) == ("code", "ValidationError")
    assert end.message.startswith("bins: ")


def test_megabytes_of_output_are_kept_to_their_end(bench, child):
    end = child.run(bench.task("prints_megabytes"))
    assert isinstance(end, Outcome)
    assert len(end.log_tail) <= LOG_TAIL
    assert "the last line\nmeasured exposure.nxs\n" in end.log_tail


@pytest.mark.promise("user code")
def test_programs_that_a_function_left_behind_end_with_its_run(bench, child):
    task = bench.task("leaves_a_sleeping_child")
    assert isinstance(child.run(task), Outcome)
    assert not psutil.pid_exists(int(task.raw.with_suffix(".sleeper").read_text()))


def test_a_function_that_forks_and_returns_twice_counts_once(bench, child):
    assert isinstance(child.run(bench.task("returns_twice")), Outcome)
    assert isinstance(child.run(bench.task("measure")), Outcome)


@pytest.mark.promise("user code")
def test_the_environment_has_nothing_of_the_service_and_of_the_run_before(bench, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret-of-the-service")
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret-of-the-service")
    fresh = WarmChild()
    fresh.run(bench.task("changes_everything"))
    task = bench.task("tells_its_environment")
    end = fresh.run(task)
    fresh.close()
    names = set(re.findall(r"^(\w+)=", end.log_tail, re.MULTILINE))
    assert names <= set(environment(os.environ)) | {"LC_CTYPE"}
    assert "secret-of-the-service" not in end.log_tail
    assert f"cwd {task.folder}" in end.log_tail


@pytest.mark.promise("user code")
def test_cancelling_a_run_that_ignores_signals_ends_it_and_its_programs_within_two_seconds(bench):
    warm, others = WarmChild(), set(psutil.Process().children(recursive=True))
    task = bench.task("ignores_signals_and_loops", raw=bench.raw("scan1/ignoring.nxs"))
    ends: list = []
    thread = threading.Thread(target=lambda: ends.append(warm.run(task)))
    thread.start()
    wait_for(task.raw.with_suffix(".started").exists)
    below = set(psutil.Process().children(recursive=True)) - others
    began = time.monotonic()
    assert warm.cancel(task.run)
    thread.join()
    assert time.monotonic() - began < 2
    assert ends[0].type == "Cancelled"
    assert isinstance(warm.run(bench.task("measure")), Outcome)
    warm.close()
    assert all(map(gone, below))


@pytest.mark.promise("user code")
def test_a_run_whose_child_is_just_being_made_is_cancelled(bench, monkeypatch):
    warm, task = WarmChild(), bench.task("sleeps", seconds=20.0)

    class Made(_Process):
        def __init__(self, *, adopts):
            assert warm.cancel(task.run)
            super().__init__(adopts=adopts)

    monkeypatch.setattr(warm_child, "_Process", Made)
    assert warm.run(task).type == "Cancelled"
    monkeypatch.undo()
    assert isinstance(warm.run(bench.task("measure")), Outcome)
    warm.close()


def test_a_run_for_which_no_child_could_be_made_is_not_called_cancelled_by_it_later(bench, monkeypatch):
    warm, task = WarmChild(), bench.task("measure")

    def fails(*, adopts):
        raise OSError("no process can be made")

    monkeypatch.setattr(warm_child, "_Process", fails)
    with pytest.raises(OSError, match="no process"):
        warm.run(task)
    assert not warm.cancel(task.run)


@pytest.mark.promise("user code")
def test_a_function_that_stops_what_looks_after_it_has_only_its_time(bench, child):
    end = child.run(bench.task("stops_what_looks_after_it"))
    assert (end.kind, end.type) == ("resource", "Timeout")
    assert isinstance(child.run(bench.task("measure")), Outcome)


def test_cancelling_another_run_does_nothing(bench, child):
    assert not child.cancel(999_999)


def test_a_child_without_its_guardian_is_replaced(bench, child):
    child.run(bench.task("measure"))
    killed = set(psutil.Process().children()) - child.others
    for process in killed:
        process.send_signal(signal.SIGKILL)
    assert all(map(gone, killed))
    assert isinstance(child.run(bench.task("measure")), Outcome)


def test_a_copy_that_was_changed_is_refused(bench):
    task, warm = bench.task("measure"), WarmChild()
    helper = task.module_copy.with_name("added.py")
    helper.write_text("x = 1\n")
    end = warm.run(task)
    warm.close()
    helper.unlink()
    assert end.kind == "code"
    assert "was changed" in end.message


@pytest.mark.promise("kills of the service")
def test_kill_9_of_the_worker_leaves_no_process_behind(bench):
    task = bench.task("ignores_signals_and_loops", raw=bench.raw("scan1/killed.nxs"))
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, text=True) as worker:
        worker.stdin.write(task_text(task))
        worker.stdin.close()
        wait_for(task.raw.with_suffix(".started").exists)
        below = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
    assert len(below) == 3  # guardian, runner, sleep
    assert all(map(gone, below))


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n broken"], ids=["empty", "truncated"])
@pytest.mark.promise("bad input")
def test_a_raw_file_that_cannot_be_read_is_a_fault_of_the_data(bench, child, content):
    raw = bench.raw("scan1/broken.nxs")
    raw.write_bytes(content)
    end = child.run(bench.task("measure", raw=raw))
    assert end.kind == "data"
    assert raw.name in end.message


def test_a_raw_file_that_has_gone_is_a_fault_of_the_data(bench, child):
    assert child.run(bench.task("measure", raw=Path("/nowhere/raw.nxs"))).kind == "data"


@pytest.mark.promise("bad input")
def test_a_raw_file_that_became_a_link_since_it_was_claimed_is_refused(bench, child, tmp_path):
    (tmp_path / "another.nxs").write_bytes(bench.raw().read_bytes())
    raw = bench.folder / "raw/proposal/scan1/swapped.nxs"
    raw.symlink_to(tmp_path / "another.nxs")
    end = child.run(bench.task("measure", raw=raw))
    assert (end.kind, end.message) == ("data", "swapped.nxs is reached through a symbolic link.")


@pytest.mark.parametrize("by", ["", "/etc/hostname"], ids=["gone", "another"])
@pytest.mark.promise("user code")
def test_a_raw_file_that_is_replaced_while_it_is_read_is_published_for_nobody(bench, child, by):
    end = child.run(bench.task("replaces_its_input", raw=bench.raw(f"scan1/replaced{bool(by)}.nxs"), by=by))
    assert end.kind == "data"
    assert "was removed, replaced, moved or written to while it was read" in end.message


@pytest.fixture
def secret(bench):
    """A folder of another proposal, with a file of the same name as ours."""
    folder = bench.folder / "raw/another/scan1"
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "swapped.nxs", "w") as file:
        file["counts"] = [666]
    return folder


@pytest.mark.promise("bad input")
def test_a_folder_that_is_another_ones_for_a_moment_while_it_is_read_is_noticed(bench, child, secret):
    raw = bench.raw("folder/swapped.nxs")
    end = child.run(bench.task("has_another_folder_for_a_moment", raw=raw, by=str(secret)))
    assert (end.kind, "moved" in end.message) == ("data", True)
    assert raw.is_file()


@pytest.mark.promise("bad input")
def test_a_file_that_it_refers_to_and_that_is_another_one_for_a_moment_is_noticed(bench, child, secret):
    raw, linked = bench.raw("linking/master.nxs"), bench.raw("linking/linked.nxs")
    with h5py.File(raw, "w") as file:
        file["link"] = h5py.ExternalLink("linked.nxs", "/counts")
    by = str(secret / "swapped.nxs")
    end = child.run(bench.task("finds_another_file_linked_for_a_moment", raw=raw, linked=str(linked), by=by))
    told = "linked.nxs was removed, replaced, moved or written to while master.nxs was read."
    assert (end.kind, end.message) == ("data", told)


@pytest.mark.parametrize("absent", ["absent.nxs", "not_yet/absent.nxs"])
def test_a_file_that_refers_to_one_of_its_proposal_that_is_not_there_is_read_all_the_same(bench, child, absent):
    raw = bench.raw(f"linking/refers-to-{len(absent)}.nxs")
    with h5py.File(raw, "a") as file:
        file["link"] = h5py.ExternalLink(absent, "/counts")
    end = child.run(bench.task("copies_its_input", raw=raw))
    assert isinstance(end, Outcome), end


@pytest.mark.promise("bad input")
def test_a_raw_file_that_was_written_to_for_a_moment_is_noticed_though_it_is_as_it_was(bench, child):
    raw = bench.raw("scan1/written.nxs")
    before = raw.read_bytes(), raw.stat().st_mtime_ns
    end = child.run(bench.task("finds_what_is_written_for_a_moment", raw=raw))
    assert (raw.read_bytes(), raw.stat().st_mtime_ns) == before
    assert (end.kind, "written to while it was read" in end.message) == ("data", True)


@pytest.mark.promise("bad input")
def test_of_a_folder_that_is_swapped_all_the_time_nothing_but_what_was_checked_is_published(bench, child, secret):
    raw = bench.raw("racing/swapped.nxs")
    ours, away, done = raw.read_bytes(), raw.parents[1] / "swapping", threading.Event()

    def swap():
        while not done.wait(0.001):
            raw.parent.rename(away)
            raw.parent.symlink_to(secret)
            raw.parent.unlink()
            away.rename(raw.parent)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        tasks = [bench.task("copies_its_input", raw=raw) for _ in range(30)]
        ends = [child.run(task) for task in tasks]
    finally:
        done.set()
        thread.join()
    assert {end.kind for end in ends if isinstance(end, Failure)} <= {"data"}
    for task, end in zip(tasks, ends, strict=True):
        if not isinstance(end, Failure):
            with h5py.File(task.folder / end.output) as file, h5py.File(io.BytesIO(ours)) as checked:
                assert list(file["counts"]) == list(checked["counts"])


def test_external_data_is_read_from_beside_the_raw_file_never_from_the_results(bench, child):
    """A relative name is HDF5's to resolve: from the working directory, unless it is told otherwise."""
    raw = bench.raw("scan1/deep/external.nxs")
    task = bench.task("adds_up", raw=raw)
    for folder, byte in ((raw.parent, b"\1"), (task.folder.parent, b"\7")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "counts.bin").write_bytes(8 * byte)
    (raw.parent.parent / "counts.bin").write_bytes(8 * b"\1")
    with h5py.File(raw, "w") as file:
        file.create_dataset("data", (8,), "u1", external=[("../counts.bin", 0, 8)])
    assert child.run(task).scalars["sum"].value == 8


@pytest.mark.parametrize("name", ["with space", "ü", "new\nline", "quote'\"", os.fsdecode(b"no-unicode-\xff")])
@pytest.mark.promise("bad input")
def test_raw_files_may_have_any_name(bench, child, name):
    task = bench.task("measure", raw=bench.raw(f"scan1/{name}.nxs"))
    end = child.run(task)
    assert isinstance(end, Outcome), end
    assert (task.folder / end.output).is_file()


def test_a_failure_may_speak_of_any_name(bench, child):
    raw = bench.raw(os.fsdecode(b"scan1/empty-\xff.nxs"))
    raw.write_bytes(b"")
    assert child.run(bench.task("measure", raw=raw)).message == r"empty-\xff.nxs is empty."
