import json
import time

import pytest
from services.scripted import Answer

from beamhub.catalog import changes, errors
from beamhub.catalog.changes import Follower

STREAM = {"Content-Type": "text/event-stream"}


def change(seq: int) -> bytes:
    data = json.dumps({"seq": seq, "proposal": "red", "kind": "run", "id": 1})
    return f"event: change\nid: {seq}\ndata: {data}\n\n".encode()


def seen(events) -> list[str | None]:
    return [event and f"{event.event} {event.id}".strip() for event in events]


def last_ids(script) -> list[str | None]:
    return [headers.get("Last-Event-Id") for _, _, headers in script.asked]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Reconnect at once."""
    monkeypatch.setattr(changes, "WAITS_S", (0.01,))


def test_a_lost_stream_goes_on_behind_the_last_event(way, script, service):
    script.say(Answer(200, [b":\n\n", change(5), change(6)], STREAM), Answer(200, [change(7)], STREAM, hold=3))
    events = way.follow(service, 6, ("red", "blue"))
    assert seen(events) == ["open", "change 5", "change 6", None, "open", "change 7"]
    assert json.loads(events[5].data)["seq"] == 7
    assert last_ids(script) == [None, "6"]
    assert [uri for _, uri, _ in script.asked] == ["/services/beamhub/api/v1/changes?proposal=red&proposal=blue"] * 2


def test_a_stream_begins_behind_what_is_known(way, script, service):
    script.say(Answer(200, [change(43)], STREAM, hold=3))
    assert seen(way.follow(service, 2, (), 42)) == ["open", "change 43"]
    assert last_ids(script) == ["42"]


def test_from_the_very_beginning_is_not_from_now_on(way, script, service):
    script.say(Answer(200, [change(1)], STREAM, hold=3))
    way.follow(service, 2, (), 0)
    assert last_ids(script) == ["0"]


def test_a_number_without_a_change_moves_the_place_to_go_on(way, script, service):
    script.say(Answer(200, [change(5), b"id: 9\n\n"], STREAM), Answer(200, [b":\n\n"], STREAM, hold=3))
    assert seen(way.follow(service, 5)) == ["open", "change 5", "message 9", None, "open"]
    assert last_ids(script) == [None, "9"]


def test_an_event_that_was_cut_off_is_not_taken_as_heard(way, script, service):
    script.say(Answer(200, [change(5), change(6)[:-20]], STREAM), Answer(200, [change(6)], STREAM, hold=3))
    assert seen(way.follow(service, 5)) == ["open", "change 5", None, "open", "change 6"]
    assert last_ids(script) == [None, "5"]


@pytest.mark.parametrize(
    "away",
    [
        Answer(503, [b'{"message": "starting", "reason": "starting", "code": 503}']),
        Answer(404, [b"<html>no route</html>"]),
        Answer(200, [b"<html>sign in</html>"], {"Content-Type": "text/html"}),
    ],
    ids=["service", "proxy", "page"],
)
def test_a_service_that_is_away_is_asked_until_it_is_back(way, script, service, away):
    script.say(away, away, Answer(200, [change(5)], STREAM, hold=3))
    found = seen(way.follow(service, 4))
    assert [event for event in found if event != "open"][:2] == [None, None]
    assert last_ids(script)[:2] == [None, None]


def test_a_refusal_ends_following(way, script, service):
    script.say(Answer(403, [b'{"message": "the token lacks a scope", "reason": "scope", "code": 403}']))
    with pytest.raises(errors.NotAllowed, match="scope"):
        way.follow(service, 1)


def test_a_silent_stream_is_taken_for_dead(way, script, service, monkeypatch):
    monkeypatch.setattr(changes, "SILENCE_S", 1.0)
    script.say(Answer(200, [change(5)], STREAM, hold=20))
    begin = time.monotonic()
    assert seen(way.follow(service, 4)) == ["open", "change 5", None, "open"]
    assert time.monotonic() - begin < 10
    assert last_ids(script) == [None, "5"]


def test_waits_grow_differ_and_are_as_long_as_the_service_asks(monkeypatch):
    monkeypatch.setattr(changes, "WAITS_S", (1.0, 2.0, 4.0))
    follower = Follower((), None)
    waits = [follower.wait() for _ in range(5)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, (1, 2, 4, 4, 4), strict=True))
    assert len(set(waits)) == 5
    assert follower.wait(errors.ServiceDown("away", 60.0)) == 60.0


def test_a_stream_that_stood_for_a_while_is_asked_for_again_soon(monkeypatch):
    monkeypatch.setattr(changes, "WAITS_S", (1.0, 20.0))
    follower = Follower((), None)
    follower.wait(), follower.wait()
    follower.opened()
    assert follower.wait() >= 10  # it fell at once: as much a failure as the others
    follower.opened()
    monkeypatch.setattr(changes, "STEADY_S", 0.0)
    time.sleep(0.001)
    assert follower.wait() <= 1
