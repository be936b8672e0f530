from datetime import UTC, datetime

import pytest

from beamhub.catalog import requests

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"proposal": "red"}, [("proposal", "red")]),
        ({"proposal": ["red", "blue"]}, [("proposal", "red"), ("proposal", "blue")]),
        ({"proposal": None, "state": None}, []),
        ({"ids": [1, 2]}, [("ids", "1,2")]),
        ({"ids": []}, [("ids", "")]),
        ({"since": NOON}, [("since", "2026-11-23T12:00:00+00:00")]),
        ({"at": 0, "limit": 5}, [("at", "0"), ("limit", "5")]),
    ],
)
def test_a_query_is_sent_as_the_service_reads_it(given, sent):
    assert list(requests.runs(**given).query) == sent


def test_a_rules_name_cannot_lead_elsewhere():
    assert requests.pause("small angle/../x").path == "rules/small%20angle%2F..%2Fx/pause"


def test_a_requests_key_cannot_lead_elsewhere():
    assert requests.batch("a/../b").path == "requests/a%2F..%2Fb"
    assert requests.cancel_batch("a b").path == "requests/a%20b/cancel"


def test_an_image_and_its_values_are_asked_for_as_the_service_reads_it():
    image = requests.image(7, scale="log", low=0.5, frame=2)
    assert (image.path, dict(image.query)) == ("results/7/image", {"scale": "log", "low": "0.5", "frame": "2"})
    pixels = requests.pixels(7, x=3, y=4, size=2)
    assert (pixels.path, dict(pixels.query)) == ("results/7/pixels", {"x": "3", "y": "4", "size": "2", "frame": "0"})
    assert pixels.read(b'{"x": 3, "y": 4, "values": [[1, null]]}').values == [[1, None]]


def test_an_id_is_a_number():
    with pytest.raises(ValueError, match="invalid literal"):
        requests.run("1/../2")  # type: ignore[arg-type]


def test_asking_again_gets_a_new_key_each_time_unless_one_is_given():
    keys = {requests.again(ids=[1]).headers["Idempotency-Key"] for _ in range(3)}
    assert len(keys) == 3
    assert requests.again(ids=[1], key="mine").headers == {"Idempotency-Key": "mine"}


def test_only_what_was_given_is_asked_for_again():
    assert requests.again(ids=(1, 2)).body == {"ids": [1, 2], "parameters": {}}
    asked = requests.again(filter={"state": "failed", "since": NOON}, function="mean", parameters={"bins": 5}).body
    assert asked == {
        "filter": {"state": "failed", "since": "2026-11-23T12:00:00+00:00"},
        "function": "mean",
        "parameters": {"bins": 5},
    }
    assert requests.extent(ids=[1]).body == {"ids": [1], "parameters": {}, "dry_run": True}
