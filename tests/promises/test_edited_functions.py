"""Functions and what they import are edited while files arrive: in a real service."""

import pytest
from services.ports import free_port
from services.service import Running, config, hub_api
from services.workbench import wait_for

from beamhub.config.command import main

pytestmark = pytest.mark.promise("user code")

WITHIN_S = 60
FUNCTION = '''
import os
import time
from pathlib import Path
import h5py
from beamhub.processing.functions import Scalar, Summary, function
from helper import FACTOR

@function(title="Times", version="1", timeout="60s", memory="1G")
def times(raw: Path, out: Path) -> Summary:
    """Waits at a gate where its scan's name says so."""
    with h5py.File(out, "w") as file:
        file["factor"] = FACTOR
    raw.with_suffix(".begun").touch()
    while raw.parent.name == "gated" and not raw.with_suffix(".open").exists():
        time.sleep(0.02)
    return Summary(scalars={"factor": Scalar(value=FACTOR)})
'''
OTHER = """
from pathlib import Path
import h5py
from beamhub.processing.functions import Summary, function

@function(title="Other", version="1")
def other(raw: Path, out: Path) -> Summary:
    h5py.File(out, "w").close()
    return Summary()
"""
CONFIG = config("""
  times: {when: {storage: beamline, path: "*/*/*.raw"}, function: times}
  other: {when: {storage: beamline, path: "*/*/*.raw"}, function: other}
""")


class Edited:
    """A service, and the folder of its functions."""

    def __init__(self, running):
        self.running = running
        self.folder = running.folder / "functions"

    def edit(self, name, text):
        """Save a module as editors do: a new file, moved into place."""
        part = self.folder / f"{name}.part"
        part.write_text(text)
        part.chmod(0o644)
        part.replace(self.folder / name)

    def function(self, name="times"):
        answer = self.running.ask("functions")
        found = answer.json()["items"] if answer.status_code == 200 else []
        return next((one for one in found if one["name"] == name), None)

    def helper(self, text):
        """Edit the helper, and wait until the service has seen it; the function's record then."""
        before = self.function()
        self.edit("helper.py", text)
        wait_for(
            lambda: (self.function()["digest"], self.function()["mistake"]) != (before["digest"], before["mistake"]),
            WITHIN_S,
        )
        return self.function()

    def arrive(self, name, scan="scan1"):
        path = self.running.folder / "raw/red" / scan / f"{name}.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")
        return path

    def run(self, name, state="done", rule="times"):
        """The run of a rule on a file, once it has come to this state."""
        found = []

        def there():
            found[:] = [r for r in self.running.runs(rule=rule, limit=500) if r["file"]["name"] == f"{name}.raw"]
            return found and found[0]["state"] == state

        wait_for(there, WITHIN_S)
        return self.running.ask(f"runs/{found[0]['id']}").json()


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    with hub_api() as url:
        running = Running(tmp_path_factory.mktemp("edited"), url, free_port(), functions=FUNCTION, config=CONFIG)
        made = Edited(running)
        made.edit("helper.py", "FACTOR = 2\n")
        made.edit("other.py", OTHER)
        running.start()
        wait_for(running.up, WITHIN_S)
        wait_for(made.function, WITHIN_S)
        yield made
        running.stop()


def factor(run):
    return run["scalars"]["factor"]["value"]


def test_after_a_helper_module_was_edited_the_next_file_uses_the_new_digest_and_two_run_side_by_side(edited):
    older = edited.helper("FACTOR = 3\n")
    waiting = edited.arrive("older", scan="gated")
    wait_for(waiting.with_suffix(".begun").exists, WITHIN_S)
    newer = edited.helper("FACTOR = 4\n")
    assert newer["digest"] != older["digest"]
    edited.arrive("newer")
    after = edited.run("newer")
    beside = edited.run("older", state="running")  # still, while the newer one has come to its end
    assert (beside["digest"], after["digest"], factor(after)) == (older["digest"], newer["digest"], 4)
    waiting.with_suffix(".open").touch()
    assert factor(edited.run("older")) == 3


@pytest.mark.parametrize("broken", ["helper.py", "sizes.py"])
def test_a_syntax_error_leaves_the_last_good_version_in_force_and_the_table_says_so(edited, broken):
    good = edited.helper(f"FACTOR = {5 + len(broken)}\n")
    text = (edited.folder / broken).read_text()
    edited.edit(broken, f"{text}\nthis is no python\n")
    line = len(f"{text}\nthis".splitlines())
    said = f"{broken}:{line}: invalid syntax"
    wait_for(lambda: edited.function()["mistake"] == said, WITHIN_S)
    edited.arrive(f"while_{broken}_is_broken")
    run = edited.run(f"while_{broken}_is_broken")
    assert (run["digest"], factor(run), run["mistake"]) == (good["digest"], 5 + len(broken), said)
    (rule,) = [rule for rule in edited.running.ask("rules").json()["items"] if rule["name"] == "times"]
    assert rule["mistake"] == said
    assert edited.run(f"while_{broken}_is_broken", rule="other")["mistake"] == ""
    edited.edit(broken, text)
    wait_for(lambda: edited.function()["mistake"] == "", WITHIN_S)
    edited.arrive(f"{broken}_is_mended")
    assert edited.run(f"{broken}_is_mended")["mistake"] == ""


@pytest.mark.parametrize("broken", ["helper.py", "sizes.py"])
def test_beamhub_check_says_a_functions_syntax_error_with_path_and_line(edited, broken, capsys):
    config = edited.running.folder / "processing.yaml"
    assert main(["check", str(config)]) == 0
    text = (edited.folder / broken).read_text()
    edited.edit(broken, f"oops(\n{text}")
    assert main(["check", str(config)]) == 1
    edited.edit(broken, text)
    assert f"\n{edited.folder / broken}:1: '(' was never closed\n" in capsys.readouterr().out
    assert main(["check", str(config)]) == 0


def test_a_function_that_is_there_no_more_fails_with_the_names_that_there_are_and_others_go_on(edited):
    text = (edited.folder / "other.py").read_text()
    edited.edit("other.py", text.replace("def other", "def another"))
    wait_for(lambda: edited.function("another"), WITHIN_S)
    edited.arrive("without")
    error = edited.run("without", state="failed", rule="other")["error"]
    assert (error["kind"], error["message"]) == ("code", "there is no function other; there is: another, times.")
    assert edited.run("without")["state"] == "done"
    edited.edit("other.py", text)
