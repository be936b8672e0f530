"""The demo's promises: ready with one line, and nothing left when it ends, however it ends."""

import signal
import socket
import time

import httpx
import psutil
import pytest
from services.demo import RunningDemo
from services.living import with_words
from services.ports import free_ports

pytestmark = pytest.mark.hub


def wait_gone(demo: RunningDemo, within: float = 30) -> list[psutil.Process]:
    until = time.monotonic() + within
    while demo.processes() and time.monotonic() < until:
        time.sleep(0.2)
    return demo.processes()


def test_ctrl_c_stops_everything_also_where_a_proxy_is_named_that_does_not_lead_here(tmp_path):
    (tmp_path / "demo").mkdir(mode=0o755)
    demo = RunningDemo(tmp_path / "demo", http_proxy="http://127.0.0.1:9").wait_ready()
    assert demo.folder.stat().st_mode & 0o777 == 0o700
    assert httpx.get(f"{demo.url}/services/beamhub/api/v1/health").json()["status"] == "ok"
    assert len(demo.processes()) > 3
    assert demo.interrupt() == 0
    assert demo.processes() == []


def test_nothing_is_left_after_a_kill_and_a_second_start_works(tmp_path):
    demo = RunningDemo(tmp_path / "demo").wait_ready()
    demo.process.send_signal(signal.SIGKILL)
    demo.process.wait()
    again = RunningDemo(tmp_path / "demo", free_ports()).wait_ready()
    try:
        assert httpx.get(f"{again.url}/hub/health").status_code == 200
        assert again.password != demo.password
    finally:
        again.interrupt()
    assert wait_gone(again) == []


def test_a_killed_hub_ends_the_demo_with_its_last_lines(tmp_path):
    demo = RunningDemo(tmp_path / "demo").wait_ready()
    (hub,) = with_words(demo.processes(), "-m jupyterhub ")
    hub.kill()
    assert demo.process.wait(60) == 1
    assert "the Hub ended" in demo.text()
    assert wait_gone(demo) == []


def test_a_port_in_use_is_said_in_one_sentence(tmp_path):
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        demo = RunningDemo(tmp_path / "demo", port)
        assert demo.process.wait(30) == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in demo.text()
    assert "Traceback" not in demo.text()


def test_a_second_demo_in_the_same_folder_says_so(tmp_path):
    demo = RunningDemo(tmp_path / "demo").wait_ready()
    try:
        second = RunningDemo(tmp_path / "demo", free_ports())
        assert second.process.wait(30) == 1
        assert "runs already" in second.text()
        assert httpx.get(f"{demo.url}/hub/health").status_code == 200
    finally:
        demo.interrupt()
