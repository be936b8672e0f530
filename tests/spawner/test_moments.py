import subprocess
import sys

import pytest

ASKED = "import time; from beamhub.spawner.moments import steady; print(steady(time.time()) - time.monotonic())"


@pytest.mark.root
def test_moments_come_in_time_although_the_computer_slept():
    slept = ["unshare", "--time", "--fork", "--boottime", "1000000"]  # what the clocks are after so many seconds of it
    found = float(subprocess.check_output([*slept, sys.executable, "-c", ASKED]))
    here = float(subprocess.check_output([sys.executable, "-c", ASKED]))
    assert round(found - here, -2) == 1_000_000
