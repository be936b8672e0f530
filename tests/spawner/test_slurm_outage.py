"""The controller of a cluster is away for longer than anything is patient."""

import pytest
from services.outage import RUNNING, SOON, outage

pytestmark = [pytest.mark.slurm, pytest.mark.promise("batch system"), pytest.mark.timeout(600)]


def test_while_the_controller_is_away_for_long_no_server_is_lost_and_those_that_wait_keep_their_place():
    asked_for = {"poll": 60 * RUNNING, "snapshot": 100}
    found = outage(SOON, lambda asked, _: all(asked[name] >= count for name, count in asked_for.items()))
    assert found["lost"] == 0
