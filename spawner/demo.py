"""``beamhub demo``: the embedded default with progress, one line when it is ready, and an end that leaves nothing."""

import argparse
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from beamhub.spawner.marked import STOP_WITHIN, end_all, end_with_parent

READY_WITHIN = 90.0  # seconds; a cold start took 8 s on two cores
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the Hub is here, whatever proxy a facility has
PORTS = 4  # the proxy, and behind it the Hub, the processing service, the proxy's own interface


class CannotStart(Exception):
    """The demo cannot start; the message says why and what to do."""


def check_port(port: int) -> None:
    """See that the port is free on this computer.

    Raises:
        CannotStart: something listens there, or the number is none of ours to take.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise CannotStart(
                f"port {port} on 127.0.0.1 cannot be used ({error}). Take others: make demo PORT={port + 1000}"
            ) from error


class Demo:
    """One run of the embedded default: the Hub as a child that dies with this process."""

    def __init__(self, config: Path, folder: Path, port: int) -> None:
        self.config, self.folder, self.port = config, folder, port
        self.password = secrets.token_urlsafe(9)
        self.log = folder / "hub/hub.log"

    def start(self) -> None:
        """Start the Hub; what an earlier run left is ended first.

        Raises:
            CannotStart: the port is in use, there is no configuration here, or the folder is not to be had.
        """
        if not self.config.exists():
            raise CannotStart(f"there is no {self.config.name} in {self.config.parent}. Start the demo in a checkout.")
        self._make_private()
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        self._lock = self._only_one()
        if left := end_all(self.folder):
            say(f"ended {left} processes that an earlier run left behind")
        for port in range(self.port, self.port + PORTS):
            check_port(port)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "BEAMHUB_DEMO": str(self.folder),
            "BEAMHUB_FOLDER": str(self.folder),
            "BEAMHUB_PASSWORD": self.password,
            "BEAMHUB_PORT": str(self.port),
        }
        command = [sys.executable, "-m", "jupyterhub", "-f", str(self.config)]
        with self.log.open("ab") as log:
            self.hub = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip

    def _make_private(self) -> None:
        """Keep everybody else out of the folder: secrets, the database and everybody's files lie in it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise CannotStart(f"{self.folder} cannot be used ({error.strerror}). Take another: FOLDER=…") from error

    def _only_one(self) -> IO[str]:
        lock = (self.folder / "hub/demo.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStart(f"a demo runs already in {self.folder}. End it, or take another: FOLDER=…") from error
        return lock

    def wait_ready(self) -> None:
        """Wait until the Hub and the processing service answer, and say which of them is awaited.

        Raises:
            CannotStart: the Hub ended, or one of them did not answer in time.
        """
        base = f"http://127.0.0.1:{self.port}"
        until = time.monotonic() + READY_WITHIN
        for name, path in (("the Hub", "/hub/health"), ("processing", "/services/beamhub/api/v1/health")):
            say(f"starting {name} ...")
            while not _answers(base + path):
                if self.hub.poll() is not None:
                    raise CannotStart(f"the Hub ended with code {self.hub.returncode}. Its last lines:\n{self.tail()}")
                if time.monotonic() > until:
                    raise CannotStart(f"{name} did not answer in {READY_WITHIN:.0f} s. Last lines:\n{self.tail()}")
                time.sleep(0.1)

    def stop(self) -> None:
        """End the Hub and everything it started."""
        if self.hub.poll() is None:
            self.hub.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.hub.wait(STOP_WITHIN)
        end_all(self.folder, grace=3)

    def tail(self, lines: int = 20) -> str:
        """The last lines of the Hub's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def say(line: str) -> None:
    """One line of progress, at once also where the output is a pipe."""
    print(line, flush=True)


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


class DemoCommand:
    """The sub-command: ``beamhub demo``."""

    help = "run BeamHub on this computer, with a replayed measurement as its beamline"

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the sub-command can be told."""
        parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (default: %(default)s)")
        parser.add_argument(
            "--folder", type=Path, default=Path(".demo"), help="where all files go (default: %(default)s)"
        )
        parser.add_argument(
            "--hub-config", type=Path, default=Path("jupyterhub_config.py"), help="the Hub's configuration"
        )

    def run(self, options: argparse.Namespace) -> int:
        """Run until Ctrl-C; 0 when that was how it ended, 1 when it could not start or the Hub ended by itself."""
        demo = Demo(options.hub_config.resolve(), options.folder.resolve(), options.port)
        for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job is started with SIGINT ignored
            signal.signal(number, _interrupt)
        try:
            demo.start()
        except CannotStart as error:
            say(f"beamhub demo: {error}")
            return 1
        try:
            demo.wait_ready()
            say(f"BeamHub is ready: http://127.0.0.1:{demo.port} user=demo password={demo.password}")
            say(f"Its files are in {demo.folder}, its log is {demo.log}. Ctrl-C stops everything.")
            demo.hub.wait()
            say(f"the Hub ended with code {demo.hub.returncode}. Its last lines:\n{demo.tail()}")
        except CannotStart as error:
            say(f"beamhub demo: {error}")
        except KeyboardInterrupt:
            say("stopping ...")
            return 0
        finally:
            demo.stop()
            say("stopped")
        return 1


command = DemoCommand()
