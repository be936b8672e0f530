"""The how-to "Put BeamHub in front of your Slurm", followed word for word on a computer that has no Hub yet."""

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.hub import RunningHub
from services.slurm import Cluster, address, slurm
from services.slurm_hub import start_of, state_of
from services.software import software

pytestmark = pytest.mark.slurm
ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs/how-to/slurm.md"
EXAMPLE = ROOT / "examples/slurm"
ACCOUNT, GROUP, RULE, LAUNCHER = "jupyterhub", "hubusers", Path("/etc/sudoers.d/beamhub"), Path("/opt/beamhub")


def there() -> list[str]:
    found = [str(path) for path in (RULE, LAUNCHER) if path.exists()]
    found += [ACCOUNT] if any(one.pw_name == ACCOUNT for one in pwd.getpwall()) else []
    return found + ([GROUP] if any(one.gr_name == GROUP for one in grp.getgrall()) else [])


@pytest.fixture
def new_computer() -> Iterator[None]:
    """One on which the how-to was not followed yet; afterwards it is again."""
    assert there() == [], "this computer has a Hub of its own"
    yield
    RULE.unlink(missing_ok=True)
    shutil.rmtree(LAUNCHER, ignore_errors=True)
    subprocess.run(["userdel", "-r", ACCOUNT], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["groupdel", GROUP], check=False)
    assert there() == []


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with slurm() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    found = Path(tempfile.mkdtemp(prefix="bhhowto"))
    yield found
    shutil.rmtree(found)


def steps() -> str:
    """The commands of the section in which the Hub gets its account and its right."""
    section = HOW_TO.read_text().partition("## 2. ")[2].partition("## 3. ")[0]
    return section.partition("```sh\n")[2].partition("```")[0]


def test_the_how_to_leads_to_a_notebook_server_on_the_cluster(new_computer, cluster, folder):
    with software() as programs:
        hub = RunningHub(folder, users=["bhanna"], host=address(), command=["jupyterhub-singleuser"])
        own = {
            r"partitions: .*": "partitions: [short]",
            r"hub_url: .*": f"hub_url: {hub.url.rstrip('/')}",
            r"networks: .*": f"networks: [{address()}/32]\n    slurm_conf: {cluster.conf}",
            r"python: /\S+": f"python: {programs}",
            r"cores: \{.*": "cores: {choices: [1, 2], default: 1}",
            r"per_core: 4G": "per_core: 500M",
            r"\[1h, 4h, 8h\], default: 4h": "[1h, 2h], default: 1h",
        }
        text = (EXAMPLE / "compute.yaml").read_text()
        for pattern, value in own.items():
            text, count = re.subn(pattern, value, text)
            assert count, pattern
        (folder / "compute.yaml").write_text(text)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        subprocess.run(["sh", "-eu", "-c", steps()], cwd=folder, env=environment, check=True)
        subprocess.run(["gpasswd", "-a", "bhanna", GROUP], check=True)
        path = folder / "jupyterhub_config.py"
        kept = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith("configure(")]
        example = (EXAMPLE / "jupyterhub_config.py").read_text().replace("http://:8000", hub.url)
        path.write_text("".join(kept) + example)
        for one in (folder, *folder.iterdir()):
            shutil.chown(one, ACCOUNT, ACCOUNT)
        hub.account = ACCOUNT
        with hub:
            hub.start_server("bhanna", options={"profile": "small"})
            start = start_of(hub, "bhanna")
            assert start["job"].startswith("bh-maxwell-")
            assert state_of(cluster, start["child"]["id"]) == "RUNNING"
            assert hub.as_user("bhanna").get("user/bhanna/api/status").json()["kernels"] == 0
            hub.stop_server("bhanna")
            assert state_of(cluster, start["child"]["id"]) == "CANCELLED"
