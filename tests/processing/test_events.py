import base64
import json

import pytest
from services.api import Bench, serving
from sqlalchemy.exc import OperationalError

from beamhub.processing.api.server import LARGEST
from beamhub.processing.settings import Settings
from beamhub.processing.sources.http import CloudEvent, file_event

CLOSED = "org.beamhub.file.closed"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json; charset=UTF-8"


@pytest.fixture(scope="module")
def bench(tmp_path_factory, module_store_url):
    made = Bench(tmp_path_factory.mktemp("events"), module_store_url)
    with serving(made):
        yield made


def event(number=1, subject="red/scan1/a.nxs", **more):
    plain = {"specversion": "1.0", "id": str(number), "source": "/detector", "type": CLOSED, "subject": subject}
    return plain | {"time": "2026-11-23T12:00:00Z", "data": {"storage": "beamline", "size": 3}} | more


def post(bench, body, kind=STRUCTURED, who="ingester", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return bench.ask(who, "POST", "events", content=content, headers={"Content-Type": kind} | headers)


def files(bench, path):
    return bench.store.find_files(path)


def test_an_event_is_a_file_with_its_runs_when_the_answer_comes(bench):
    answer = post(bench, event(1, "red/scan1/one.nxs"))
    assert (answer.status_code, answer.json()) == (200, {"received": 1, "new": 1})
    (found,) = files(bench, "red/scan1/one.nxs")
    assert (found.proposal, found.size, found.source, found.storage) == ("red", 3, "posted", "beamline")
    assert [run.function for run in bench.store.file(found.id).runs] == ["add"]


@pytest.mark.promise("bad input")
def test_the_same_event_again_changes_nothing(bench):
    post(bench, event(2, "red/scan1/two.nxs"))
    assert post(bench, event(2, "red/scan1/two.nxs")).json() == {"received": 1, "new": 0}
    assert len(files(bench, "red/scan1/two.nxs")) == 1
    post(bench, event("2, written again", "red/scan1/two.nxs"))
    assert len(files(bench, "red/scan1/two.nxs")) == 2


@pytest.mark.promise("bad input")
def test_another_sender_cannot_use_up_an_id():
    where = {"storages": ["beamline"], "prefixes": ["red"]}
    settings = Settings.model_validate(
        {
            "store": "sqlite://",
            "storages": {"beamline": {"root": "/raw"}},
            "sources": {"posted": {"kind": "http", "senders": {"daq": where, "other": where}}},
        }
    )
    said = CloudEvent.model_validate(event(3))
    first, second = file_event(said, "daq", settings), file_event(said, "other", settings)
    assert first.file_id != second.file_id == file_event(said, "other", settings).file_id


def test_events_may_have_their_attributes_in_headers(bench):
    headers = {f"ce-{name}": value for name, value in event(3, "red/scan1/h%C3%A9.nxs").items() if name != "data"}
    answer = post(bench, {"storage": "beamline", "size": 5}, "application/json", **headers)
    assert answer.status_code == 200, answer.text
    assert files(bench, "red/scan1/hé.nxs")[0].size == 5


@pytest.mark.parametrize("subject", ["red/scan1/h%FF.nxs", r"red/scan1/h\xff.nxs"])
def test_a_path_that_is_not_utf8_may_be_told_of_by_its_bytes_and_by_its_spelling(bench, subject):
    told = event(f"bytes {len(subject)}", subject)
    headers = {f"ce-{name}": value for name, value in told.items() if name != "data"}
    assert post(bench, {"storage": "beamline"}, "application/json", **headers).json()["new"] == 1
    assert files(bench, r"red/scan1/h\xff.nxs")[0].name == r"h\xff.nxs"


@pytest.mark.parametrize("subject", [r"red/scan1/\xc3\xa9.nxs", "red/scan1/é.nxs"])
def test_a_path_that_is_told_of_in_two_ways_is_one(bench, subject):
    assert post(bench, event(f"two ways {subject}", subject)).json()["new"] == 1
    assert files(bench, "red/scan1/é.nxs")


@pytest.mark.promise("bad input")
def test_attributes_in_headers_are_checked_like_others(bench):
    headers = {f"ce-{name}": value for name, value in event(3, "red/%00.nxs").items() if name != "data"}
    answer = post(bench, {"storage": "beamline"}, "application/json", **headers)
    assert (answer.status_code, "subject holds a NUL" in answer.text) == (400, True)


def test_a_batch_is_taken_in_whole(bench):
    batch = [event(f"4.{number}", f"red/scan4/{number}.nxs") for number in range(50)]
    assert post(bench, batch, BATCH).json() == {"received": 50, "new": 50}


def test_data_may_be_in_base64(bench):
    data = base64.b64encode(b'{"storage": "beamline", "size": 9}').decode()
    plain = event(5, "red/scan1/five.nxs", data_base64=data)
    del plain["data"]
    assert post(bench, plain).status_code == 200
    assert files(bench, "red/scan1/five.nxs")[0].size == 9


def test_a_file_that_was_removed_and_restored_says_so(bench):
    path = "red/scan1/gone.nxs"
    post(bench, event(6, path))
    for number, kind in enumerate(("removed", "restored"), 7):
        post(bench, event(number, path, type=f"org.beamhub.file.{kind}"))
        assert [found.kind for found in files(bench, path)] == [kind]


@pytest.mark.parametrize(
    ("who", "told", "reason"),
    [
        ("ingester", event(9, "green/scan1/a.nxs"), "path"),
        ("ingester", event(9, "reddish/scan1/a.nxs"), "path"),
        ("ingester", event(9, "blue/scan2/a.nxs"), "path"),
        ("ingester", event(9, data={"storage": "other", "size": 1}), "path"),
        ("other", event(9), "sender"),
        ("pushing", event(9), "sender"),
        ("alice", event(9), "scope"),
        ("", event(9), "token"),
    ],
    ids=["proposal", "similar name", "folder", "storage", "not named", "a user", "no scope", "no token"],
)
@pytest.mark.promise("bad input")
def test_a_sender_tells_only_of_what_is_bound_to_it(bench, who, told, reason):
    before = bench.store.head()
    for kind, body in ((STRUCTURED, told), (BATCH, [event("fine", "red/scan1/fine.nxs"), told])):
        answer = post(bench, body, kind, who)
        assert answer.status_code in (401, 403)
        assert answer.json()["reason"] == reason
    assert bench.store.head() == before


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 5000, "no JSON"),
        (b'{"id": NaN}', "no JSON"),
        ([], "valid dictionary"),
        ({}, "specversion"),
        (event(specversion="0.3"), "specversion"),
        (event(id=""), "id"),
        (event(id=7), "id"),
        (event(type="org.dcache.file.closed"), "org.beamhub.file.closed"),
        (event(subject="/etc/passwd"), "no path below"),
        (event(subject="red/../../etc/passwd"), "no path below"),
        (event(subject="red/\0.nxs"), "NUL"),
        (event(subject="."), "no path below"),
        (event(subject="red/" + "x" * 5000), "subject"),
        (event(time="yesterday"), "time"),
        (event(time="9999-12-31T00:00:00Z"), "time"),
        (event(data={"storage": "beamline", "size": -1}), "data.size"),
        (event(data={"storage": "beamline", "size": "3"}), "data.size"),
        (event(data={"storage": "beamline", "size": 10**30}), "data.size"),
        (event(data={"storage": "nothing"}), "there is no storage 'nothing'"),
        (event(data=None), "data"),
        (event(data_base64="%%%", data=None) | {}, "data"),
        (event(extra="\0"), "extra"),
        (event(extra=10**30), "extra"),
    ],
)
@pytest.mark.promise("bad input")
def test_what_is_no_event_is_refused_with_its_place(bench, body, says):
    answer = post(bench, body)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [(event(), "JSON list"), ([event(), {}], "1.specversion"), ([event()] * 1001, "up to 1000")],
    ids=["no list", "one is none", "too many"],
)
@pytest.mark.promise("bad input")
def test_what_is_no_batch_is_refused_with_its_place(bench, body, says):
    answer = post(bench, body, BATCH)
    assert answer.status_code == 400
    assert says in answer.json()["message"]


def test_a_request_without_event_says_what_to_send(bench):
    assert "application/cloudevents+json" in post(bench, {}, "application/json").json()["message"]


BINARY = {f"ce-{name}": value for name, value in event("filled").items() if name != "data"}
WAYS = {
    "structured": (STRUCTURED, {}),
    "batch": (BATCH, {}),
    "binary": ("application/json", BINARY),
}


def pieces(size):
    """A body that is sent in chunks, so that nobody knows beforehand how long it is."""
    yield from (b"x" * 2**20 for _ in range(size // 2**20))


@pytest.mark.promise("bad input")
@pytest.mark.parametrize("size", [5 * 2**20, 9 * 2**20, 100 * 2**20], ids=["5 MiB", "9 MiB", "100 MiB"])
@pytest.mark.parametrize("chunked", [False, True], ids=["of known length", "chunked"])
@pytest.mark.parametrize("way", WAYS)
def test_too_much_at_once_is_refused_as_all_is_and_the_next_event_taken(bench, way, chunked, size):
    kind, headers = WAYS[way]
    known = {} if chunked else {"Content-Length": str(size)}
    answer = bench.ask(
        "ingester", "POST", "events", content=pieces(size), headers={"Content-Type": kind} | headers | known
    )
    assert (answer.status_code, answer.json()["reason"], answer.json()["code"]) == (413, "too-large", 413)
    assert "send smaller batches" in answer.json()["message"]
    assert post(bench, event(1, "red/scan1/one.nxs")).status_code == 200


@pytest.mark.parametrize("size", [5 * 2**20, 65 * 2**20])
def test_too_much_with_a_question_for_the_head_only_is_refused_without_a_body(bench, size):
    answer = bench.ask("ingester", "HEAD", "events", content=bytes(size))
    assert (answer.status_code, answer.content) == (413, b"")


@pytest.mark.promise("bad input")
def test_a_body_of_just_the_size_that_is_taken_is_read(bench):
    body = json.dumps(event("filled", filler="")).encode()
    filled = body.replace(b'"filler": ""', b'"filler": "' + b"x" * (LARGEST - len(body)) + b'"')
    assert post(bench, filled).status_code == 200
    assert post(bench, filled + b" ").status_code == 413


def test_while_the_store_is_away_nothing_is_taken_and_the_sender_is_told_to_come_again(bench, monkeypatch):
    def away(*args):
        raise OperationalError("INSERT", {}, Exception("disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "intake", away)
        answer = post(bench, event(10, "red/scan1/later.nxs"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "store-away")
    assert "Retry-After" in answer.headers
    assert post(bench, event(10, "red/scan1/later.nxs")).json()["new"] == 1
