import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from services.hub import wait_for
from services.ports import free_port, free_ports

from beamhub.spawner import bootstrap
from beamhub.spawner.bootstrap import Listener, answer, listen, reserve

SECRET, TOKEN, JOB = "s" * 64, "t" * 32, "bh-hub-1-0123456789"
SHOW = "import os,sys,json; json.dump(dict(os.environ), open('shown', 'w')); print('served')"


class Hub(ThreadingHTTPServer):
    """Answers each announcement with the next of ``answers``, and keeps what was said.

    An answer in words is that of a proxy without the way to the Hub.
    """

    daemon_threads = True

    def __init__(self, port: int, *answers: int | str) -> None:
        self.answers, self.said = list(answers), []
        super().__init__(("127.0.0.1", port), Asked)
        Thread(target=self.serve_forever, daemon=True).start()


class Asked(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.said.append((self.path, self.headers["Authorization"], body))
        answer = self.server.answers.pop(0)
        status, text = (404, answer) if isinstance(answer, str) else (answer, json.dumps({"give_up": answer < 405}))
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, text in (("token", TOKEN), ("secret", SECRET)):
        (tmp_path / name).write_text(text)
    return tmp_path


def start(folder: Path, hub_port: int, home: Path | None = None, **changes: object) -> subprocess.Popen:
    said = {
        "job": JOB, "announce": f"http://127.0.0.1:{hub_port}/hub/api/beamhub/announce", "bind": "127.0.0.1",
        "command": [sys.executable, "-c", SHOW], "ports": None, "addresses": ["127.0.0.1"], "ends_at": None,
        "environment": {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "ONE": "1"}, **changes,
    }  # fmt: skip
    (folder / "start.json").write_text(json.dumps(said))
    command = [sys.executable, "-I", "-S", bootstrap.__file__, str(folder)]
    return subprocess.Popen(command, cwd="/", env={"PATH": os.defpath, "HOME": str(home or folder)})


def test_it_announces_and_becomes_the_server_with_its_token(folder):
    with Hub(0, 200) as hub:
        assert start(folder, hub.server_port).wait(10) == 0
        hub.shutdown()
    ((path, authorization, body),) = hub.said
    assert (path, authorization) == ("/hub/api/beamhub/announce", f"token {TOKEN}")
    assert body == {"nonce": "0123456789", "port": body["port"], "addresses": ["127.0.0.1"]}
    shown = json.loads((folder / "shown").read_text())
    assert shown["JUPYTERHUB_API_TOKEN"] == TOKEN
    assert shown["JUPYTERHUB_SERVICE_URL"] == f"http://127.0.0.1:{body['port']}/user/ada/"
    assert shown["ONE"] == "1"
    assert (folder / "server.log").read_text() == "served\n"


def test_it_announces_again_until_the_hub_is_there_and_finds_it(folder):
    port = free_port()
    process = start(folder, port)
    time.sleep(1)
    with Hub(port, 409, 502, 200) as hub:
        assert process.wait(20) == 0
        hub.shutdown()
    assert len(hub.said) == 3
    assert "the Hub does not answer" in (folder / "server.log").read_text()


@pytest.mark.parametrize("status", [403, 404])
def test_it_ends_when_the_hub_does_not_want_it(folder, status):
    with Hub(0, status) as hub:
        assert start(folder, hub.server_port).wait(10) == 1
        hub.shutdown()
    assert not (folder / "shown").exists()


@pytest.mark.parametrize("said", ["404 page not found\n", '"give_up"', '{"status": 404}', '{"give_up": false}'])
def test_a_proxy_that_does_not_know_the_way_to_the_hub_ends_no_server(folder, said):
    with Hub(0, said, said, 200) as hub:
        assert start(folder, hub.server_port).wait(20) == 0
        hub.shutdown()
    assert len(hub.said) == 3
    assert "the Hub does not answer: something in its place says 404" in (folder / "server.log").read_text()


def test_a_proxy_that_does_not_know_the_way_to_the_hub_ends_no_server_that_listens(folder):
    with Hub(0, 200, "404 page not found\n", 200, 200) as hub:
        assert staying(folder, hub, 2, 0).wait(20) == 0
        hub.shutdown()
    assert [body.get("listening") for _, _, body in hub.said] == [None, True, True, None]


def test_it_ends_when_its_time_is_over_before_the_hub_was_reached(folder):
    assert start(folder, free_port(), ends_at=time.time() - 1).wait(10) == 1
    assert "the time of this server is over" in (folder / "server.log").read_text()


def test_a_server_that_is_not_installed_is_said(folder):
    with Hub(0, 200) as hub:
        assert start(folder, hub.server_port, command=["no-such-server"]).wait(10) == 1
        hub.shutdown()
    assert "no-such-server cannot be started" in (folder / "server.log").read_text()


def test_a_home_that_cannot_be_entered_is_said_and_the_hub_is_not_asked(folder):
    with Hub(0) as hub:
        assert start(folder, hub.server_port, home=folder / "none").wait(10) == 1
        hub.shutdown()
    assert hub.said == []
    assert f"the home {folder / 'none'} cannot be entered (No such file" in (folder / "server.log").read_text()


def test_it_follows_no_link_to_its_token(folder):
    (folder / "elsewhere").write_text(TOKEN)
    (folder / "token").unlink()
    (folder / "token").symlink_to("elsewhere")
    assert start(folder, free_port()).wait(10) == 1


# Above the server


SERVES = """
import os, socket, sys, time
from urllib.parse import urlsplit
place = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((place.hostname, place.port))
    except OSError:
        sys.exit(9)
    server.listen()
    time.sleep(float(sys.argv[1]))
    sys.exit(int(sys.argv[2]))
"""


def staying(folder: Path, hub: Hub, seconds: float, code: int) -> subprocess.Popen:
    command = [sys.executable, "-c", SERVES, str(seconds), str(code)]
    return start(folder, hub.server_port, command=command, stay=True)


def test_above_its_server_it_says_that_it_listens_and_with_which_code_it_ended(folder):
    with Hub(0, 200, 200, 200) as hub:
        assert staying(folder, hub, 2, 5).wait(20) == 5
        hub.shutdown()
    first, second, third = (body for _, _, body in hub.said)
    assert second == {"nonce": "0123456789", "port": first["port"], "listening": True}
    assert third == {"nonce": "0123456789", "port": first["port"], "ended": 5}


def test_that_the_server_listens_is_said_again_until_the_hub_hears_it(folder):
    with Hub(0, 200, 502, 502, 200, 200) as hub:
        assert staying(folder, hub, 2, 0).wait(20) == 0
        hub.shutdown()
    assert [body.get("listening") for _, _, body in hub.said] == [None, True, True, True, None]


def test_while_nobody_takes_a_connection_the_long_list_of_all_is_hardly_read(monkeypatch):
    port, reads = free_port(), []
    server = subprocess.Popen(["sleep", "1"])
    monkeypatch.setattr(bootstrap, "listeners", lambda _: reads.append(1) or set())
    assert not bootstrap.taken({"bind": "0.0.0.0"}, "", port, server)  # noqa: S104 - each address
    assert len(reads) == 1  # when the server had ended


def test_a_server_that_listens_at_another_address_alone_is_found_too(monkeypatch):
    monkeypatch.setattr(bootstrap, "LOOK_S", 0.1)
    told = []
    monkeypatch.setattr(bootstrap, "tell", lambda *said: told.append(said) or 200)
    with socket.create_server(("127.0.0.2", 0)) as elsewhere, subprocess.Popen(["sleep", "20"]) as server:
        assert not bootstrap.taken({"bind": "0.0.0.0"}, "", elsewhere.getsockname()[1], server)  # noqa: S104 - as above
        server.kill()
    assert told[0][3] == {"listening": True}


def test_a_server_that_the_hub_does_not_want_any_more_is_ended(folder):
    with Hub(0, 200, 404, 404) as hub:
        assert staying(folder, hub, 60, 0).wait(20) == 128 + signal.SIGTERM
        hub.shutdown()


def test_a_server_that_ends_well_when_it_is_told_to_end_was_ended_by_the_signal(folder):
    polite = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    with Hub(0, 200, 200, 200) as hub:
        command = [sys.executable, "-c", polite + SERVES, "60", "0"]
        process = start(folder, hub.server_port, command=command, stay=True)
        wait_for(lambda: len(hub.said) == 2)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        hub.shutdown()
    assert hub.said[-1][2]["ended"] == -signal.SIGTERM


def test_a_signal_is_passed_on_to_the_server(folder):
    with Hub(0, 200, 200, 200) as hub:
        process = staying(folder, hub, 60, 0)
        wait_for(lambda: len(hub.said) == 2)
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
        hub.shutdown()
    assert hub.said[-1][2]["ended"] == -signal.SIGTERM


@pytest.mark.root
def test_a_port_that_another_account_took_from_the_server_is_given_up_for_another(folder, monkeypatch):
    """It is taken between announcement and server; the Hub is never told of that port again."""
    code = (
        "import socket, sys, time; found = socket.socket()\n"
        "found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "while found.getsockname()[1] == 0:\n"
        "    try: found.bind(('127.0.0.1', int(sys.argv[1])))\n"
        "    except OSError: time.sleep(0.01)\n"
        "found.listen(); time.sleep(60)"
    )
    takers = []

    class Taking(Hub):
        def finish_request(self, request, client_address):
            super().finish_request(request, client_address)
            if len(self.said) == 1:
                self.taken = self.said[0][2]["port"]
                command = ["/usr/bin/python3", "-c", code, str(self.taken)]
                takers.append(subprocess.Popen(command, user=65534, cwd="/"))

    slow = SERVES.replace("with socket", "time.sleep(1.5)\nwith socket", 1)
    with Taking(0, 200, 200, 200, 200) as hub:
        command = [sys.executable, "-c", slow, "1", "0"]
        process = start(folder, hub.server_port, command=command, stay=True)
        try:
            assert process.wait(30) == 0
        finally:
            for taker in takers:
                taker.kill()
                taker.wait()
        hub.shutdown()
    told = [body for _, _, body in hub.said]
    assert [one["port"] == hub.taken for one in told] == [True, False, False, False]
    assert told[2]["listening"]
    assert "somebody else's program took port" in (folder / "server.log").read_text()


def test_a_walltime_begins_where_the_job_does(folder):
    with Hub(0, 200) as hub:
        assert start(folder, hub.server_port, walltime_s=3600, programs="/software/bin").wait(10) == 0
        hub.shutdown()
    shown = json.loads((folder / "shown").read_text())
    ends = datetime.fromisoformat(shown["BEAMHUB_ENDS_AT"]).timestamp()
    assert abs(ends - time.time() - 3600) < 30
    assert shown["PATH"].split(os.pathsep)[0] == "/software/bin"


@pytest.fixture
def listeners() -> Iterator[list[Listener]]:
    opened: list[Listener] = []
    yield opened
    for one in opened:
        one.close()


def test_a_free_port_of_the_range_is_taken(listeners):
    first = free_ports(2)
    said = {"ports": [first, first + 1], "bind": "127.0.0.1", "job": JOB}
    listeners += [listen(said, SECRET), listen(said, SECRET)]
    assert {one.server_address[1] for one in listeners} == {first, first + 1}
    with pytest.raises(SystemExit, match="no port between"):
        listen(said, SECRET)


def test_a_reserved_port_can_be_listened_at_by_a_server_and_is_given_to_nobody_else():
    code = (
        "import socket, sys; sys.path.insert(0, sys.argv[1]); import bootstrap\n"
        "port = int(sys.argv[2]); held = bootstrap.reserve('127.0.0.1', port)\n"
        "try: socket.socket().bind(('127.0.0.1', port)); print('given away')\n"
        "except OSError: socket.create_server(('127.0.0.1', port)); print('served')\n"
    )
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        code,
        str(Path(bootstrap.__file__).parent),
        str(free_port()),
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "served\n"


@pytest.mark.root
def test_a_reserved_port_is_given_to_another_account_that_asks_for_it():
    """Why a site has to look who listens; were it not so, ``listeners`` would not be needed."""
    port = free_port()
    code = (
        "import socket, sys; found = socket.socket(); found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"found.bind(('127.0.0.1', {port})); found.listen()"
    )
    hold = f"import bootstrap; held = bootstrap.reserve('127.0.0.1', {port}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], cwd=Path(bootstrap.__file__).parent, stdin=-1, stdout=-1, text=True
    ) as holder:
        holder.stdout.readline()
        assert subprocess.run(["/usr/bin/python3", "-c", code], user=65534, cwd="/", check=False).returncode == 0
        holder.communicate("\n")


def test_a_port_that_was_taken_meanwhile_is_noticed(listeners):
    listeners.append(Listener(("127.0.0.1", 0), SECRET, JOB))
    with pytest.raises(OSError, match="in use"):
        reserve("127.0.0.1", listeners[0].server_address[1])


def test_the_answer_depends_on_all_that_was_asked():
    answers = {answer(*parts) for parts in [("a", "j", 1, "q"), ("b", "j", 1, "q"), ("a", "k", 1, "q"),
                                            ("a", "j", 2, "q"), ("a", "j", 1, "r")]}  # fmt: skip
    assert len(answers) == 5


def test_it_needs_nothing_but_the_standard_library():
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import bootstrap",
         str(Path(bootstrap.__file__).parent)],
        check=True,
    )  # fmt: skip
    assert loaded.returncode == 0
