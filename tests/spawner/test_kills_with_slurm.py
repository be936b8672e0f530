"""A Hub in front of a real Slurm that is killed at any moment: no server lost, none left over, none twice."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from services.hub import RunningHub, wait_for
from services.killed import NOTHING_HANDED_IN, STARTING, STOPPING
from services.slurm import Cluster, slurm
from services.slurm_hub import job_of, left, over, slurm_hub

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system")]
POINTS = f"""
import sys
sys.path.append({str(Path(__file__).parent.parent)!r})
from services.killed import end_at_points
end_at_points()
from beamhub.spawner.sites import cancels
cancels.LOST = 10.0
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm() as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, extra=POINTS) as running:
        yield running


def alive(cluster: Cluster) -> set[str]:
    return {job for job in cluster.jobs("-u", "bhanna") if not over(cluster, job)}


def settled(hub: RunningHub) -> bool:
    return not (hub.server("bhanna") or {}).get("pending")


def ask(hub: RunningHub, method: str, **more) -> None:
    """Ask a Hub that may die of it."""
    with contextlib.suppress(httpx.HTTPError):
        hub.api(method, "users/bhanna/server", **more)


def killed_at(hub: RunningHub, point: str) -> None:
    """Wait until the Hub has reached the point, and start it again."""
    hub.process.wait(60)
    assert not (hub.folder / "point").exists(), point
    hub.kill()
    hub.start()
    wait_for(lambda: settled(hub), 60)


@pytest.mark.parametrize("point", STARTING)
def test_a_hub_that_is_killed_at_any_point_of_a_start_loses_no_server_and_has_none_twice(hub, cluster, point):
    (hub.folder / "point").write_text(point)
    ask(hub, "POST", json={"profile": "small"})
    killed_at(hub, point)
    if point in NOTHING_HANDED_IN:
        assert not (hub.server("bhanna") or {}).get("ready")
        assert alive(cluster) == set()
        return
    hub.wait_ready("bhanna")
    assert hub.as_user("bhanna").get("user/bhanna/api").json()["environment"]["SLURM_JOB_ID"] == job_of(hub, "bhanna")
    assert alive(cluster) == {job_of(hub, "bhanna")}
    hub.stop_server("bhanna")
    wait_for(lambda: alive(cluster) == set())
    assert left(hub) == []


@pytest.mark.parametrize("point", STOPPING)
def test_a_hub_that_is_killed_at_any_point_of_a_stop_leaves_no_server_that_it_does_not_know(hub, cluster, point):
    hub.start_server("bhanna", options={"profile": "small"})
    job = job_of(hub, "bhanna")
    (hub.folder / "point").write_text(point)
    ask(hub, "DELETE")
    killed_at(hub, point)
    if point == STOPPING[0]:  # nobody was told that it would be stopped
        assert hub.server("bhanna")["ready"]
        assert alive(cluster) == {job}
        hub.stop_server("bhanna")
    wait_for(lambda: alive(cluster) == set())
    hub.wait_gone("bhanna")
    wait_for(lambda: left(hub) == [])
