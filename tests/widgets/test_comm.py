"""Requests and changes through the kernel."""

import json
import socket
import subprocess
import sys
import threading

import h5py
import pytest
from services.api import Bench, serving
from services.scripted import Answer, scripted
from services.workbench import wait_for

from beamhub.catalog import Service
from beamhub.widgets import comm as module
from beamhub.widgets.comm import Relay


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    with h5py.File(folder / "out.h5", "w") as file:
        file["image/counts"] = [[1, 2, 3], [4, 5, 6]]
        file["image"].attrs.update(NX_class="NXdata", signal="counts")
    with serving(Bench(folder)) as running:
        running.runs = running.arrive("red/scan1/a.nxs", "red/scan1/b.nxs", "blue/scan1/c.nxs")
        running.finish(running.runs[0], {"counts": 5.0}, (folder / "out.h5").read_bytes())
        yield running


@pytest.fixture
def service(bench):
    return Service(bench.url.removesuffix("api/v1/"), "alice")


@pytest.fixture
def relay(service):
    sent: list = []
    arrived = threading.Event()

    def send(content, buffers):
        sent.append((content, buffers))
        arrived.set()

    relay = Relay(service, send)
    relay.sent, relay.arrived = sent, arrived
    yield relay
    relay.close()


def ask(relay: Relay, path: str, method: str = "GET", **more) -> tuple[int, bytes]:
    asked = len(relay.sent)
    relay.receive({"view": "v", "id": 7, "method": method, "path": path, **more})
    wait_for(lambda: len(relay.sent) > asked)
    content, buffers = relay.sent[-1]
    assert (content["view"], content["id"]) == ("v", 7)
    return content["status"], buffers[0]


def test_the_kernel_relays_what_the_service_answers(relay):
    status, body = ask(relay, "v1/runs", query=[["proposal", "red"], ["sort", "file"]])
    assert status == 200
    assert [run["file"]["name"] for run in json.loads(body)["items"]] == ["a.nxs", "b.nxs"]
    assert ask(relay, "v1/runs", query=[["proposal", "blue"]])[0] == 404
    assert b"you asked for nothing" in ask(relay, "v1/requests/no-such-key")[1]


@pytest.mark.parametrize("path", ["v1/events", "v1/metrics", "v1/../health", "elsewhere", "chunk/../comm.py", "v1/"])
def test_only_known_requests_are_relayed(relay, path):
    assert ask(relay, path)[0] == 404


@pytest.mark.parametrize("message", [None, 3, {}, {"id": "x"}, {"id": 1}, {"listen": None}])
def test_what_is_no_message_harms_nobody(relay, message):
    relay.receive(message)
    assert ask(relay, "v1/proposals")[0] == 200


def test_changes_come_from_a_thread_of_their_own(relay, bench):
    relay.receive({"listen": ["red"]})
    relay.arrived.wait(10)
    assert relay.sent[0][0]["event"] == "status"
    assert relay.sent[0][0]["data"]["live"] is True
    bench.arrive("red/scan1/later.nxs")
    for _ in range(100):
        if any(content.get("event") == "change" for content, _ in relay.sent):
            break
        threading.Event().wait(0.1)
    changes = [content["data"] for content, _ in relay.sent if content.get("event") == "change"]
    assert {change["proposal"] for change in changes} == {"red"}


def test_two_views_follow_each_its_own_proposal_from_what_each_shows(relay, bench):
    relay.receive({"view": "one", "listen": ["red"], "last": 0})
    relay.receive({"view": "two", "listen": ["blue"], "last": 0})
    relay.receive({"view": "three", "listen": ["red"], "last": None})

    def told(view: str, event: str) -> list:
        found = [content for content, _ in list(relay.sent) if content.get("view") == view]
        return [content["data"] for content in found if content["event"] == event]

    for _ in range(100):
        if told("one", "change") and told("two", "status") and told("three", "status"):
            break
        threading.Event().wait(0.1)
    assert {change["proposal"] for change in told("one", "change")} == {"red"}
    assert told("two", "status")
    assert told("two", "change") == told("three", "change") == []


def test_a_view_that_goes_ends_its_own_thread_only(relay):
    for view in ("one", "two"):
        relay.receive({"view": view, "listen": ["red"]})
    one, two = relay._followers.values()
    relay.receive({"view": "one", "listen": None})
    assert one.ended.is_set()
    assert not two.ended.is_set()
    relay.receive({"view": "two", "listen": ["blue"]})
    assert two.ended.is_set()
    assert list(relay._followers) == ["two"]


def test_views_of_pages_that_were_closed_do_not_pile_up(relay, monkeypatch):
    monkeypatch.setattr(module, "VIEWS", 2)
    for view in ("one", "two", "three"):
        relay.receive({"view": view, "listen": ["red"]})
    assert list(relay._followers) == ["two", "three"]


def test_a_service_that_hangs_holds_up_neither_the_kernel_nor_other_answers():
    sent: list = []
    with socket.create_server(("127.0.0.1", 0)) as stopped:  # takes connections, as the system does for one that hangs
        url = f"http://127.0.0.1:{stopped.getsockname()[1]}/"
        relay = Relay(Service(url, "t"), lambda content, buffers: sent.append(content))
        relay.receive({"view": "v", "id": 1, "method": "GET", "path": "v1/runs"})
        relay.receive({"view": "v", "id": 2, "method": "GET", "path": "chunk/widget.js"})
        wait_for(lambda: sent)
        answered = [answer["id"] for answer in sent]
        relay.close()  # which ends what waits, and says so
    assert answered == [2]


HANGS = """
import socket, threading
from beamhub.catalog import Service
from beamhub.widgets.comm import Relay
stopped = socket.create_server(("127.0.0.1", 0))
relay = Relay(Service(f"http://127.0.0.1:{stopped.getsockname()[1]}/", "t"), lambda *sent: None)
for number in range(100):
    relay.receive({"view": "v", "id": number, "method": "GET", "path": "v1/runs"})
stopped.accept()
print(sum(thread.name == "beamhub relay" for thread in threading.enumerate()))
"""


def test_a_hundred_questions_that_hang_take_few_threads_and_do_not_keep_the_kernel_from_ending():
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=module.TIMEOUT_S / 2, check=True)
    assert int(done.stdout) == module.THREADS


def test_what_cannot_be_answered_is_said(relay):
    status, body = ask(relay, "v1/runs", headers=["no", "mapping"])
    assert status == 503
    assert "AttributeError" in json.loads(body)["message"]
    assert ask(relay, "v1/proposals")[0] == 200


def test_without_a_service_every_answer_says_so():
    sent: list = []
    relay = Relay(None, lambda content, buffers: sent.append((content, buffers)))
    relay.receive({"id": 1, "method": "GET", "path": "v1/runs"})
    wait_for(lambda: sent)
    assert sent[0][0]["status"] == 503
    assert "BeamHub Hub" in json.loads(sent[0][1][0])["message"]


def test_pictures_come_as_bytes_beside_the_message(relay, bench):
    status, body = ask(relay, f"v1/results/{bench.runs[0]}/preview.png", query=[["width", "16"]])
    assert (status, body[:4]) == (200, b"\x89PNG")
    assert relay.sent[-1][0] == {"view": "v", "id": 7, "status": 200, "type": "image/png", "about": ""}
    assert ask(relay, f"v1/results/{bench.runs[0]}/image")[0] == 200
    assert json.loads(relay.sent[-1][0]["about"])["shape"] == [2, 3]


def test_the_parts_of_the_bundle_come_through_the_kernel_too(relay):
    status, body = ask(relay, "chunk/widget.js")
    assert status == 200
    assert b"chunk/" in body


def test_a_service_that_is_away_is_said_at_once_and_again_when_it_is_back():
    with scripted() as script:
        script.say(
            Answer(502),
            Answer(200, [b"<html>"], {"Content-Type": "text/html"}),
            Answer(200, [b":\n\n"], {"Content-Type": "text/event-stream"}, hold=30),
        )
        sent: list = []
        relay = Relay(Service(script.url, "t"), lambda content, buffers: sent.append(content))
        relay.receive({"listen": ["red"]})
        for _ in range(100):
            if len(script.asked) >= 3 and sent[-1]["data"]["live"]:
                break
            threading.Event().wait(0.05)
        relay.close()
        script.answers.clear()
    assert [(told["event"], told["n"], told["data"]["live"]) for told in sent] == [
        ("status", 1, False),
        ("status", 2, True),
    ]


def test_a_question_that_comes_again_is_not_asked_twice_while_it_is_worked_on():
    with scripted() as script:
        script.say(Answer(200, [b"{}"], {"Content-Type": "application/json"}, hold=1))
        sent: list = []
        relay = Relay(Service(script.url, "t"), lambda content, buffers: sent.append((content["view"], content["id"])))
        for view, number in (("a", 1), ("a", 1), ("b", 1), ("a", 2), ("a", 1)):
            relay.receive({"view": view, "id": number, "method": "POST", "path": "v1/runs"})
        wait_for(lambda: len(sent) == 3)
        assert sorted(sent) == [("a", 1), ("a", 2), ("b", 1)]
        relay.receive({"view": "a", "id": 1, "method": "GET", "path": "v1/runs"})  # its answer was dropped on the way
        wait_for(lambda: len(sent) == 4)
        relay.close()
        assert len(script.asked) == 4


def test_no_message_to_the_page_holds_the_token():
    with scripted() as script:
        script.say(Answer(200, [b"{}"], {"Content-Type": "application/json"}))
        sent: list = []
        relay = Relay(Service(script.url, "a-secret-token"), lambda *message: sent.append(message))
        for number, path in enumerate(("v1/runs", "v1/nothing", "chunk/none.js")):
            relay.receive({"id": number, "method": "GET", "path": path})
        wait_for(lambda: len(sent) == 3)
        relay.close()
        assert script.asked[0][2]["Authorization"] == "token a-secret-token"
    assert len(sent) == 3
    assert "a-secret-token" not in repr(sent)
