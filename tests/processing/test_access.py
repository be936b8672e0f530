from pathlib import Path

import pytest

from beamhub.processing.access import Identity, groups, may_see, visible
from beamhub.processing.settings import Settings


def settings(**access):
    storages = {
        "p03": {"root": "/raw", "layout": "{beamline}/{proposal}/{scan}", "staff": "p03-staff"},
        "cloud": {"root": "/cloud", "layout": "{proposal}"},
    }
    return Settings.model_validate({"storages": storages, "access": access}, context={"folder": Path("/")})


def identity(*groups, kind="user", name="alice", scopes=()):
    return Identity(name, kind, frozenset(groups), frozenset(scopes))


RED = ("11006262", "p03", "p03/11006262/scan_1/a.nxs")


@pytest.mark.parametrize(
    ("access", "place", "expected"),
    [
        ({}, RED, {"11006262"}),
        ({"proposal_group": "{proposal}-dmgt"}, RED, {"11006262-dmgt"}),
        ({"proposal_group": "{beamline}-{proposal}"}, RED, {"p03-11006262"}),
        ({"proposal_group": "{cycle}-{proposal}"}, RED, set()),
        ({"beamline_groups": {"p03": "staff"}}, RED, {"11006262", "staff"}),
        ({"beamline_groups": {"p04": "staff"}}, RED, {"11006262"}),
        ({"all": ["admins"]}, RED, {"11006262", "admins"}),
        ({"all": ["admins"]}, ("", "p03", "a.nxs"), {"admins", "p03-staff"}),
        ({}, ("", "cloud", "a.nxs"), set()),
        ({}, ("11006262", "gone", "x/a.nxs"), {"11006262"}),
    ],
    ids=[
        "the proposal's own",
        "a pattern",
        "with the beamline",
        "an unknown field",
        "a beamline's",
        "another beamline's",
        "those who see all",
        "no proposal: staff",
        "no proposal, no staff",
        "a storage that is not configured any more",
    ],
)
def test_the_groups_that_see_a_proposal(access, place, expected):
    assert groups(settings(**access), *place) == expected


def test_only_what_shares_a_group_is_visible():
    places = [RED, ("11000001", "p03", "p03/11000001/s/a.nxs"), ("", "p03", "a.nxs")]
    assert visible(settings(), identity("11006262", "everybody"), places) == {"11006262"}
    assert visible(settings(), identity("p03-staff"), places) == {""}
    assert visible(settings(), identity(), places) == frozenset()


def test_a_service_sees_no_proposal_even_if_named_like_a_group():
    assert visible(settings(), identity("11006262", kind="service"), [RED]) == frozenset()


def test_a_proposal_without_files_is_known_by_its_group():
    assert may_see(settings(), identity("new"), "new")
    assert not may_see(settings(), identity("new"), "other")
    assert not may_see(settings(proposal_group="{beamline}-{proposal}"), identity("p03-new"), "new")
    assert not may_see(settings(), identity("p03-staff"), "new")


@pytest.mark.parametrize(
    ("scopes", "has"),
    [(["custom:x"], True), (["custom:x!user=alice"], True), (["custom:x!user=bob"], False), (["custom:xy"], False)],
)
def test_a_scope_limited_to_a_user_counts_for_that_user(scopes, has):
    assert identity(scopes=scopes).has("custom:x") is has


def test_an_identity_is_read_from_what_the_hub_says():
    assert Identity.of({"kind": "user", "name": "alice", "groups": ["a"], "scopes": ["s"], "admin": True}) == identity(
        "a", scopes=["s"]
    )
    assert Identity.of({"kind": "service", "name": "s", "scopes": []}).groups == frozenset()
