"""Whatever a function does, only its own run fails, in the right class, with the user's own line first."""

import os
import re
import shutil
import time
from pathlib import Path

import h5py
import psutil
import pytest
from services.processing import hub_api, processing
from services.workbench import wait_for

pytestmark = [pytest.mark.promise("user code"), pytest.mark.timeout(240)]
WILD = Path(__file__).parent.parent / "functions/wild.py"
LINES = WILD.read_text().splitlines()
# function: class, type of the error, what is said, the user's own line (none where the process died)
BAD = {
    "fails": ("code", "ZeroDivisionError", "division by zero", "return 1 / number"),
    "misses_the_beam_centre": ("data", "DataError", "no beam centre", 'raise DataError("no beam centre")'),
    "loops": ("resource", "Timeout", "took longer than 1 s", ""),
    "eats_memory": ("resource", "MemoryError", "more memory", "bytearray(6 * 1024**3)"),
    "ends_its_process": ("resource", "ProcessDied", "with exit code 0", ""),
    "leaves_by_exit": ("code", "SystemExit", "exit code 3", "sys.exit(3)"),
    "crashes": ("resource", "ProcessDied", "SIGSEGV", ""),
    "writes_no_output": ("code", "WrongOutput", "wrote no output", ""),
    "writes_a_link": ("code", "WrongOutput", "symbolic link", ""),
    "writes_text": ("code", "WrongOutput", "something else than HDF5", ""),
    "returns_a_number": ("code", "TypeError", "returned float, not a Summary", ""),
    "removes_its_input": ("data", "FileNotFoundError", "is not there", ""),  # at the second try
    "changes_everything": ("code", "WrongOutput", "wrote no output", ""),
    "needs_a_missing_module": (
        "code",
        "ModuleNotFoundError",
        "not_installed_anywhere",
        "import not_installed_anywhere",
    ),
}
ODD = ("prints_megabytes", "leaves_a_sleeping_child", "returns_twice", "tells_its_environment")  # and come to their end
CONFIG = """
store: sqlite:///beamhub.db
single_user: true
storages: {beamline: {root: raw, layout: "{proposal}/{scan}"}}
sources: {watched: {kind: filesystem, storage: beamline, settle: 0.2s}}
executors: {here: {kind: dask, workers: 2}}
functions: [functions]
rules:
  good: {when: {storage: beamline, path: "*/good/*.h5"}, function: measure}
""" + "".join(
    f'  {name}: {{when: {{storage: beamline, path: "*/{name}/*.h5"}}, function: {name}}}\n'
    for name in (*BAD, *ODD, "loops_for_long")
)
SECRETS = {"JUPYTERHUB_API_TOKEN": "token-of-the-service", "DATABASE_URL": "postgresql://me:password-of-a-store@db"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that has met every bad function once, each beside a good one."""
    with hub_api() as url, processing(tmp_path_factory.mktemp("bad") / "service", url, CONFIG) as made:
        shutil.copy(WILD, made.folder / "functions/sizes.py")
        made.environment |= {"DATABASE_URL": SECRETS["DATABASE_URL"]}
        made.environment["JUPYTERHUB_API_TOKEN"] = SECRETS["JUPYTERHUB_API_TOKEN"]
        made.start()
        wait_for(lambda: made.logged("functions can run"), 60)
        for number, name in enumerate((*BAD, *ODD)):
            drop(made, name)
            drop(made, "good", f"beside_{number}")
        yield made


def drop(service, scan: str, name: str = "a") -> Path:
    path = service.folder / "raw/red" / scan / f"{name}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path.with_suffix(".tmp"), "w") as file:
        file["counts"] = [1, 2, 3]
    os.replace(path.with_suffix(".tmp"), path)
    return path


def every(service):
    return service.runs(limit=500)


def of(service, function: str) -> dict:
    """The run of a function, in full, once it came to its last end."""
    wait_for(lambda: any(run["function"] == function and settled(run) for run in every(service)), 120)
    (number,) = {run["id"] for run in every(service) if run["function"] == function}
    return service.ask(f"runs/{number}").json()


def good(service):
    """Runs beside the bad ones that came to an end."""
    return [run for run in every(service) if run["function"] == "measure" and settled(run)]


def settled(run) -> bool:
    return run["state"] in ("done", "failed", "cancelled")


@pytest.mark.parametrize("function", BAD)
def test_only_the_run_of_a_bad_function_fails_and_says_why_with_the_users_own_line_first(service, function):
    kind, type_, message, line = BAD[function]
    run = of(service, function)
    assert run["state"] == "failed"
    assert (run["error"]["kind"], run["error"]["type"]) == (kind, type_)
    assert message in run["error"]["message"]
    if line:
        first = run["error"]["traceback"][0]
        assert re.match(r"sizes\.py:\d+ in \w+: ", first), first
        assert line in first
        number = int(first.split(":")[1].split(" ")[0])
        assert line in LINES[number - 1]


def test_every_good_run_beside_a_bad_one_is_done_at_its_first_attempt(service):
    for function in BAD:
        of(service, function)
    wait_for(lambda: len(good(service)) == len(BAD) + len(ODD), 60)
    assert {(run["state"], run["attempts"]) for run in good(service)} == {("done", 1)}


def test_a_function_that_prints_megabytes_is_done_and_the_end_of_it_is_kept(service):
    run = of(service, "prints_megabytes")
    assert run["state"] == "done"
    assert "the last line\nmeasured a.h5" in run["log_tail"]
    assert len(run["log_tail"]) <= 64 * 1024


def test_what_a_function_forks_or_starts_ends_with_its_run(service):
    assert of(service, "leaves_a_sleeping_child")["state"] == "done"
    assert of(service, "returns_twice")["state"] == "done"
    sleeper = (service.folder / "raw/red/leaves_a_sleeping_child/a.sleeper").read_text()
    assert not psutil.pid_exists(int(sleeper))
    assert not [one for one in psutil.Process(service.copies[0].pid).children(recursive=True) if one.name() == "sleep"]


def test_a_function_sees_no_secret_of_the_service_and_nothing_that_another_left_behind(service):
    of(service, "changes_everything")
    said = of(service, "tells_its_environment")["log_tail"]
    assert "PATH=" in said
    assert "JUPYTERHUB" not in said
    assert "LEFT_BEHIND" not in said
    assert not [secret for secret in SECRETS.values() if secret in said]
    assert re.search(rf"^cwd {service.folder}/results/red/\d+/1\.part$", said, re.MULTILINE)


def test_cancelling_a_loop_frees_its_worker_within_two_seconds_and_others_go_on(service):
    path = drop(service, "loops_for_long")
    wait_for(path.with_suffix(".looping").exists, 60)
    (run,) = [run for run in every(service) if run["function"] == "loops_for_long"]
    loop = busiest(service)
    drop(service, "good", "beside_the_loop")
    assert service.ask(f"runs/{run['id']}/cancel", method="POST").status_code == 200
    asked = time.monotonic()
    wait_for(lambda: not loop.is_running() or loop.status() == psutil.STATUS_ZOMBIE, 10)
    assert time.monotonic() - asked < 2.0
    wait_for(lambda: of(service, "loops_for_long")["state"] == "cancelled")
    beside = lambda: [run for run in every(service) if run["file"]["name"] == "beside_the_loop.h5"]  # noqa: E731
    wait_for(lambda: beside() and settled(beside()[0]), 60)
    assert (beside()[0]["state"], beside()[0]["attempts"]) == ("done", 1)


def busiest(service) -> psutil.Process:
    """The process in which a function loops."""
    below = psutil.Process(service.copies[0].pid).children(recursive=True)
    for one in below:
        one.cpu_percent()
    time.sleep(0.5)
    return max(below, key=lambda one: one.cpu_percent())


def test_nothing_is_left_of_any_of_them(service):
    """Last: no unfinished folder, no program, no raw file that was not removed by its own function."""
    for function in (*BAD, *ODD):
        of(service, function)
    assert not list((service.folder / "results").rglob("*.part"))
    done = [run for run in every(service) if run["state"] == "done"]
    folders = {
        str(path.parent.relative_to(service.folder / "results")) for path in (service.folder / "results").rglob("*.png")
    }
    assert len(folders) == len(done)
    missing = [name for name in (*BAD, *ODD) if not (service.folder / f"raw/red/{name}/a.h5").exists()]
    assert missing == ["removes_its_input"]
