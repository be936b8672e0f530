import pytest
from test_catalogue import GOOD, load

from beamhub.spawner.errors import Refused
from beamhub.spawner.plan import decide
from beamhub.spawner.sites.site import Estimate

MORE = GOOD + (
    "  gpu: {title: GPU, sites: [here], environments: [scipy], cores: 2, memory: {choices: [8G, 16G], default: 8G},"
    " gpus: {choices: [1, 2], default: 1}, groups: [imaging]}\n"
)
NOW, LATER = Estimate("now"), Estimate("about", 600, 1500)


@pytest.fixture
def plan(tmp_path):
    catalogue = load(MORE, tmp_path)

    def decided(options=None, groups=(), **estimates):
        return decide(catalogue, options or {}, set(groups), estimates or {"here": NOW, "batch": LATER})

    return decided


def test_without_options_the_first_profile_and_its_defaults_are_taken(plan):
    found = plan()
    assert (found.profile, found.site, found.cores, found.memory_bytes) == ("small", "here", 4, 16 * 2**30)
    assert found.walltime_s == 4 * 3600
    assert found.programs == "/software/scipy/bin"


@pytest.mark.parametrize("cores", [8, "8", ["8"], 8.0])
def test_values_may_come_from_a_form_a_link_or_the_api(plan, cores):
    assert plan({"profile": "small", "cores": cores}).cores == 8


def test_what_was_accepted_is_accepted_again(plan):
    first = plan({"profile": "gpu", "memory": "16G", "gpus": "2"}, ["imaging"])
    assert plan(first.options, ["imaging"]) == first


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"profile": "smal"}, "no profile 'smal'; did you mean small"),
        ({"profile": "gpu"}, "for 'GPU' you need to be in the group imaging"),
        ({"cores": 3}, "'3' is not possible here; possible: 2, 4, 8"),
        ({"cores": "four"}, "'four' is not possible"),
        ({"cores": True}, "'True' is not possible"),
        ({"cores": [2, 4]}, "given more than once"),
        ({"cores": {"a": 1}}, "neither text nor number"),
        ({"cores": "2; rm -rf /"}, "not possible"),
        ({"memory": "64G"}, "it is 16G with 4 cores"),
        ({"walltime": "100h"}, "possible: 1h, 4h, 8h"),
        ({"environment": "../../bin"}, "has no software"),
        ({"site": "egi"}, "there is no 'egi'"),
        ({"image": "evil"}, "there is no option 'image'"),
        ({"gpus": 1}, "GPUs: '1' is not possible"),
    ],
)
def test_what_is_not_possible_is_refused_with_the_reason_and_never_replaced(plan, options, said):
    with pytest.raises(Refused, match=said):
        plan(options)


def test_it_starts_where_it_starts_first(plan):
    assert plan(here=LATER, batch=NOW).site == "batch"
    assert plan(here=NOW, batch=NOW).site == "here"
    assert plan(here=Estimate("unknown"), batch=LATER).site == "batch"
    assert plan(here=Estimate("down"), batch=Estimate("unknown")).site == "batch"


def test_a_site_that_was_asked_for_is_taken_or_refused(plan):
    assert plan({"site": "batch"}, here=NOW, batch=LATER).site == "batch"
    with pytest.raises(Refused, match="Cluster is not available now: maintenance"):
        plan({"site": "batch"}, here=NOW, batch=Estimate("down", message="maintenance"))


def test_when_everything_is_down_the_reasons_are_said(plan):
    with pytest.raises(Refused, match="This computer: down; Cluster: maintenance"):
        plan(here=Estimate("down"), batch=Estimate("down", message="maintenance"))
