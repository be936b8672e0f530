import os
import signal
import subprocess
import sys
import time

import pytest
from services.hub import wait_for

SLEEPS = """
import sys
from beamhub.processing import supervise
supervise._run = lambda command, told, real=supervise._run: real({command!r}, told)
supervise.WAITS_S = (30.0,)
print(flush=True)
sys.exit(supervise.supervise([]))
"""


@pytest.mark.parametrize("command", [["sleep", "60"], ["false"]], ids=["its child runs", "it waits to start it again"])
@pytest.mark.promise("kills of the service")
def test_however_often_it_is_told_to_end_the_service_and_its_parent_end(command):
    code = SLEEPS.format(command=command)
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1) as process:
        assert process.stdout.readline() == b"\n"
        time.sleep(0.5)
        for _ in range(20_000):
            if process.poll() is not None:
                break
            os.kill(process.pid, signal.SIGTERM)
        wait_for(lambda: process.poll() is not None, 20, "the parent of the service does not end")
        assert process.returncode is not None
