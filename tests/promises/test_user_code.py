"""Whatever a function does, only its own run fails: all bad ones at once in a real service, each beside a good one."""

import re
import shutil
import time
from datetime import datetime

import h5py
import psutil
import pytest
from services.living import command_line, family, lives, with_words
from services.ports import free_port
from services.service import Running, config, hub_api
from services.workbench import FUNCTIONS, wait_for

from beamhub.processing.warm_child import LOG_TAIL

pytestmark = pytest.mark.promise("user code")

SECRETS = {"PGPASSWORD": "secret-of-the-store", "JUPYTERHUB_CRYPT_KEY": "secret-of-the-hub", "AWS_TOKEN": "secret-key"}
WITHIN_S = 100  # for all of them together, on a busy computer

# function: class and type of its error, what the message says, its own line that comes first
FAILS = {
    "fails": ("code", "ZeroDivisionError", "division by zero", "return 1 / number"),
    "misses_the_beam_centre": ("data", "DataError", "no beam centre", 'raise DataError("no beam centre")'),
    "loops_for_ever": ("resource", "Timeout", "took longer than 3 s", "int(raw.is_file())|while True:"),
    "hangs_with_the_interpreters_lock_held": ("resource", "Timeout", "longer than 3 s", "ctypes.PyDLL(None).sleep(60)"),
    "eats_memory": ("resource", "MemoryError", "memory=... of @function", "return Summary(scalars={\"bytes\": Scalar("
        "value=len(bytearray(6 * 1024**3)))})"),
    "eats_memory_bit_by_bit": ("resource", "MemoryError", "more memory", "eaten.append(bytearray(10 * 1024**2))"),
    "ends_its_process": ("resource", "ProcessDied", "exit code 0", "os._exit(code)"),
    "crashes": ("resource", "ProcessDied", "ended by SIGSEGV", "ctypes.string_at(0)"),
    "leaves_by_exit": ("code", "SystemExit", "return a Summary instead", "sys.exit(3)"),
    "writes_no_output": ("code", "WrongOutput", "Write a NeXus/HDF5 file", "def writes_no_output("
        "raw: Path, out: Path) -> Summary:"),
    "writes_its_output_elsewhere": ("code", "WrongOutput", "wrote no output", "def writes_its_output_elsewhere("
        "raw: Path, out: Path) -> Summary:"),
    "writes_a_link": ("code", "WrongOutput", "symbolic link", "def writes_a_link(raw: Path, out: Path) -> Summary:"),
    "writes_text": ("code", "WrongOutput", "else than HDF5", "def writes_text(raw: Path, out: Path) -> Summary:"),
    "returns_a_number": ("code", "TypeError", "returned float, not a Summary. End it with: return Summary(",
        "def returns_a_number(raw: Path, out: Path) -> Summary:"),
    "deletes_its_input": ("code", "RawFileKept", "write to the path out instead", "raw.unlink()"),
    "deletes_its_inputs_folder": ("code", "RawFileKept", "only reads", "shutil.rmtree(raw.parent, ignore_errors=True)"),
    "moves_its_input_out_of_its_storage": ("code", "RawFileKept", "only reads", "shutil.move(raw, out)"),
    "overwrites_its_input": ("code", "RawFileKept", "only reads", 'raw.write_bytes(b"")'),
    "needs_a_module_that_is_missing": ("code", "ModuleNotFoundError", "not_installed_anywhere",
        "import not_installed_anywhere"),
    "raises_what_cannot_be_shown": ("code", "Unspeakable", "cannot be shown", "raise Unspeakable"),
    "calls_itself_for_ever": ("code", "RecursionError", "maximum recursion", "return calls_itself_for_ever(raw, out)"),
    "closes_what_it_did_not_open": ("resource", "ProcessDied", "in the middle of the function", ""),
}  # fmt: skip
# what does harm to nobody comes to its end, and leaves nothing behind
ENDS_WELL = [
    "changes_the_working_directory",
    "leaves_a_sleeping_child",
    "leaves_a_thread",
    "prints_megabytes",
    "returns_twice",
]
OTHERS = ["deletes_its_input_by_a_program", "loops_until_it_is_cancelled", "shows_all_that_it_can_find"]
OUT_OF_THE_STORAGE = {
    "absolute": "{folder}/secret.nxs",
    "upwards": "../../../secret.nxs",
    "proposal": "../../blue/a.nxs",
}

CONFIG = config("""
  slow: {when: {storage: beamline, path: "*/slow/*.nxs"}, function: sleeps, with: {seconds: 3}}
  good: {when: {storage: beamline, path: "*/*/*.nxs"}, function: measure, with: {bins: 20}}
""")


def with_a_rule_for_each() -> str:
    names = [*FAILS, *ENDS_WELL, *OTHERS, "cannot_be_imported"]
    rules = [f'  {name}: {{when: {{storage: beamline, path: "*/{name}/*.nxs"}}, function: {name}}}' for name in names]
    return "\n".join([CONFIG.rstrip(), *rules, ""])


def drop(service, scan, name="a.nxs", link=""):
    path = service.folder / "raw/red" / scan / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        file["counts"] = [1, 2, 3]
        if link:
            file["elsewhere"] = h5py.ExternalLink(link.format(folder=service.folder), "/secret")
    part.rename(path)
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """All bad functions have had their file; nothing has been waited for."""
    folder = tmp_path_factory.mktemp("service")
    with h5py.File(folder / "secret.nxs", "w") as file:
        file["secret"] = 5
    with hub_api() as url:
        running = Running(folder, url, free_port(), config=with_a_rule_for_each())
        for name in ("wild.py", "worse.py"):
            shutil.copy(FUNCTIONS / name, folder / "functions" / name)
            (folder / "functions" / name).chmod(0o644)
        (folder / "functions/cannot.py").write_text("import not_installed_anywhere\n")
        (folder / "functions/cannot.py").chmod(0o644)
        running.environment |= SECRETS
        running.start()
        wait_for(running.up, 60)
        running.raw = {name: drop(running, name) for name in [*FAILS, *ENDS_WELL, "cannot_be_imported"]}
        yield running
        running.stop()


def ended(service, rule, scan=None, name="a.nxs"):
    """The run of a rule on a scan's file, once it has ended."""

    def run():
        found = [
            run for run in service.runs(rule=rule, limit=500) if run["file"]["path"] == f"red/{scan or rule}/{name}"
        ]
        return found[0] if found and found[0]["finished"] and found[0]["state"] != "queued" else None

    wait_for(run, WITHIN_S)
    return service.ask(f"runs/{run()['id']}").json()


@pytest.mark.parametrize("function", FAILS)
def test_of_a_bad_function_only_its_own_run_fails_in_its_class_with_the_users_own_line_first(service, function):
    kind, type_, message, line = FAILS[function]
    run = ended(service, function)
    assert (run["state"], run["error"]["kind"], run["error"]["type"]) == ("failed", kind, type_), run["error"]
    assert message in run["error"]["message"]
    if line:
        first = re.fullmatch(r"(wild|worse)\.py:\d+ in \w+: (.+)", run["error"]["traceback"][0])
        assert first[2] in line.split("|")
    assert ended(service, "good", function)["state"] == "done"


@pytest.mark.parametrize("function", ENDS_WELL)
def test_what_a_function_leaves_behind_ends_with_its_run_and_its_result_counts_once(service, function):
    run = ended(service, function)
    assert (run["state"], run["attempts"]) == ("done", 1), run["error"]
    assert ended(service, "good", function)["state"] == "done"


@pytest.mark.parametrize("function", [name for name in FAILS if "input" in name])
def test_raw_data_is_there_after_a_function_that_would_have_changed_it(service, function):
    ended(service, function)
    with h5py.File(service.raw[function]) as file:
        assert list(file["counts"]) == [1, 2, 3]


def test_a_process_in_which_a_function_left_a_thread_is_used_for_no_other_run(service):
    where = ended(service, "leaves_a_thread")["where"]
    assert not psutil.pid_exists(int(where.rpartition(" ")[2]))


def test_a_function_whose_module_needs_a_missing_one_fails_with_that_modules_line_first(service):
    error = ended(service, "cannot_be_imported")["error"]
    said = "cannot.py:1: ModuleNotFoundError: No module named 'not_installed_anywhere'"
    assert (error["kind"], error["type"], error["traceback"]) == ("code", "UnknownFunction", [said])
    assert said in error["message"]
    assert ended(service, "good", "cannot_be_imported")["state"] == "done"


def test_of_printed_megabytes_the_end_is_kept(service):
    run = ended(service, "prints_megabytes")
    assert len(run["log_tail"]) <= LOG_TAIL
    assert run["log_tail"].endswith("the last line\nmeasured a.nxs\n")


def test_a_raw_file_that_a_function_had_removed_by_a_program_is_said_to_be_gone_and_others_go_on(service):
    """What goes past Python cannot be refused in an account that may write raw data; it is seen."""
    name = "deletes_its_input_by_a_program"
    drop(service, name), drop(service, "beside")
    assert ended(service, name)["error"]["kind"] == "data"
    assert ended(service, "good", "beside")["state"] == "done"
    (file,) = {run["file"]["id"] for run in service.runs(rule=name)}
    wait_for(lambda: service.ask(f"files/{file}").json()["kind"] == "removed", WITHIN_S)


@pytest.mark.parametrize("where", OUT_OF_THE_STORAGE)
def test_a_file_that_leads_out_of_its_storage_or_proposal_is_read_by_no_function(service, where):
    drop(service, f"leads_{where}", link=OUT_OF_THE_STORAGE[where])
    drop(service, f"stays_{where}")
    run = ended(service, "good", f"leads_{where}")
    assert (run["state"], run["error"]["kind"], run["error"]["type"]) == ("failed", "data", "DataError")
    assert OUT_OF_THE_STORAGE[where].rpartition("/")[2] in run["error"]["message"]
    assert ended(service, "good", f"stays_{where}")["state"] == "done"


def test_a_path_that_somebody_gives_for_another_run_is_refused(service):
    before = ended(service, "good", "fails")["id"]
    answer = service.ask("runs", method="POST", json={"ids": [before], "parameters": {"mask": "/etc/passwd"}})
    assert answer.status_code == 400
    assert "mask" in answer.json()["message"]


def test_cancelling_a_loop_frees_its_worker_within_two_seconds_and_another_files_run_finishes_as_usual(service):
    """The other one was started in the same second."""
    raw, other = drop(service, "loops_until_it_is_cancelled"), drop(service, "slow")
    looping = wait_for_process(raw, "looping")
    wait_for_process(other, "running")
    (run,) = service.runs(rule="loops_until_it_is_cancelled")
    (beside,) = service.runs(rule="slow")
    asked = time.time()
    assert service.ask(f"runs/{run['id']}/cancel", method="POST").status_code == 200
    assert ended(service, "loops_until_it_is_cancelled")["state"] == "cancelled"
    run = service.ask(f"runs/{run['id']}").json()
    assert datetime.fromisoformat(run["finished"]).timestamp() - asked < 2
    assert not looping.is_running()
    assert ended(service, "good", "loops_until_it_is_cancelled")["state"] == "done"
    finished = ended(service, "slow")
    assert (finished["id"], finished["state"], finished["attempts"]) == (beside["id"], "done", 1)


def wait_for_process(raw, state):
    """The process that runs a function on this file, which has written its number beside it."""
    wait_for(lambda: list(raw.parent.glob(f"a.*.{state}")), WITHIN_S)
    (found,) = raw.parent.glob(f"a.*.{state}")
    return psutil.Process(int(found.suffixes[0][1:]))


def test_a_function_finds_no_secret_of_the_service_and_nothing_of_the_runs_before_it(service):
    for name in ENDS_WELL:
        ended(service, name)
    drop(service, "shows_all_that_it_can_find")
    run = ended(service, "shows_all_that_it_can_find")
    seen = run["log_tail"]
    assert "HOME=" in seen
    for secret in ("JUPYTERHUB", "of the service", "beamhub.db", "LEFT_BEHIND", *SECRETS, *SECRETS.values()):
        assert secret not in seen
    assert f"cwd={service.folder}/results/red/{run['id']}/1.part" in seen
    assert "umask=22" in seen


def test_after_all_of_them_the_service_its_workers_and_nothing_else_are_there(service):
    for rule in [*FAILS, *ENDS_WELL]:
        ended(service, rule)
    wait_for(lambda: all(run["finished"] for run in service.runs(limit=500)), WITHIN_S)
    sleeper = int(service.raw["leaves_a_sleeping_child"].with_suffix(".sleeper").read_text())
    assert not psutil.pid_exists(sleeper)
    assert service.copies[0].poll() is None
    of_functions = with_words(family(service.copies[0].pid), "beamhub.processing.guardian")
    assert len(of_functions) <= 2 * 2  # of each worker a guardian and a runner
    others = [p for p in family(service.copies[0].pid) if p not in of_functions]
    lines = [line for p in others for line in [command_line(p)] if lives(p)]
    assert [line for line in lines if not {"processing", "multiprocessing"} & set(re.split(r"\W", line))] == []
    assert "worker was lost" not in str(service.runs(limit=500))
    assert service.ask("health").status_code == 200
