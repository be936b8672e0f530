"""The servers without any Hub, as many at once: what their own start and end take on this computer."""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.batch_hubs import REAL

LOOK_S = 0.01
SETTLED_S = 0.5  # a notebook server may lose a signal in the moment in which it begins to listen


def alone(shared: Path, server: str, count: int) -> tuple[float, float]:
    """Seconds from the first one's start until all take connections, and from the first SIGTERM until all ended."""
    from services.ports import free_ports

    first = free_ports(count)
    with tempfile.TemporaryDirectory() as home:
        begin = time.perf_counter()
        running = [_started(shared, server, home, first + number) for number in range(count)]
        for number in range(count):
            while not _answers(first + number):
                time.sleep(LOOK_S)
        began = time.perf_counter() - begin
        time.sleep(SETTLED_S)
        begin = time.perf_counter()
        for one in running:
            one.terminate()
        for one in running:
            one.wait()
        return began, time.perf_counter() - begin


def _started(shared: Path, server: str, home: str, port: int) -> "subprocess.Popen[bytes]":
    environment = {"PATH": f"{shared}:/usr/bin:/bin", "HOME": home}
    environment["JUPYTERHUB_SERVICE_URL"] = f"http://127.0.0.1:{port}/"
    command = [str(shared / server)]
    if server == REAL:  # which needs a Hub; without that it is
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
