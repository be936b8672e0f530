import json

from beamhub.spawner.state import Kept, Phase, Start, from_json, to_json

START = Start(
    "here",
    "small",
    "bh-hub-7-0123456789",
    1.0,
    2.0,
    Phase.ANNOUNCED,
    "http://a:1",
    {"pid": 1},
)


def test_what_is_kept_comes_back_through_json():
    kept = Kept(accepted={"profile": "small"}, ended="its time was over", token_id=5, token_created="2026-01-01")
    assert from_json(json.loads(json.dumps(to_json(START, kept)))) == (START, kept)
    assert from_json(json.loads(json.dumps(to_json(None, kept)))) == (None, kept)


def test_the_nonce_is_the_last_part_of_the_jobs_name():
    assert START.nonce == "0123456789"


def test_keys_that_a_later_version_wrote_are_passed_over():
    state = to_json(START, Kept())
    state["start"]["colour"] = "blue"
    state["kept"]["more"] = 1
    assert from_json(state) == (START, Kept())
