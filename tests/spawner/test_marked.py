"""The demo's processes are found by an account that is not root, also those that let nobody look into them."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services.hub import wait_for

from beamhub.spawner import marked

pytestmark = pytest.mark.root
ACCOUNT = 65534
SLEEP = "import time; print(flush=True); time.sleep(300)"
CLOSED = f"import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); {SLEEP}"  # PR_SET_DUMPABLE
PARENT = f"import subprocess; subprocess.Popen(['/usr/bin/python3', '-c', {CLOSED!r}], env={{}}).wait()"
Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program of the account, in a session of its own, and waits until it is what it is to be."""
    with contextlib.ExitStack() as stack:

        def run(code: str, *words: str, folder: str = "") -> subprocess.Popen:
            popen = subprocess.Popen(
                ["/usr/bin/python3", "-c", code, *words], user=ACCOUNT, group=ACCOUNT, extra_groups=[], cwd="/",
                env={"BEAMHUB_DEMO": folder} if folder else {}, stdout=-1, start_new_session=True,
            )  # fmt: skip
            stack.enter_context(popen)
            stack.callback(popen.kill)
            popen.stdout.readline()
            return popen

        yield run


def as_account(expression: str) -> str:
    """What an expression gives in this module, as the account; only its text is where the account can read it."""
    code = f"{Path(marked.__file__).read_text()}\nprint({expression})"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code], user=ACCOUNT, group=ACCOUNT, extra_groups=[], cwd="/", env={},
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


def test_what_lets_nobody_look_is_found_by_the_folder_on_its_command_line(start):
    service = start(CLOSED, "--config", "/demos/one/processing.yaml", folder="/demos/one")
    start(CLOSED, "--config", "/demos/one-more/processing.yaml", folder="/demos/one-more")
    start(SLEEP, "/demos/one/processing.yaml")  # an editor of that file
    assert as_account(f"os.access('/proc/{service.pid}/environ', os.R_OK)") == "False"
    assert as_account("sorted(marked(Path('/demos/one')))") == str([service.pid])


def test_what_lets_nobody_look_is_found_by_its_parent(start):
    parent = start(PARENT, folder="/demos/one")
    child = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
    start(CLOSED)
    assert as_account("sorted(marked(Path('/demos/one')))") == str(sorted([parent.pid, child]))


def test_all_are_ended_also_those_that_do_not_want_to(start):
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {CLOSED}"
    service = start(stubborn, "--config", "/demos/one/processing.yaml", folder="/demos/one")
    other = start(CLOSED)
    began = time.monotonic()
    assert as_account("end_all(Path('/demos/one'), grace=0.5)") == "1"
    assert time.monotonic() - began < 10
    assert wait_for(lambda: service.poll() is not None)
    assert service.returncode == -9
    assert other.poll() is None
