"""The first program of a job: finds a free port, tells the Hub where it is, and becomes the notebook server.

Runs where only Python is: standard library alone, one file, carried to the site beside its token. Its one argument is
the folder that ``courier`` wrote for this start: ``start.json``, ``token``, ``secret``; its log goes there too.
"""

import hashlib
import hmac
import http.client
import json
import os
import random
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

LONGEST_WAIT = 30.0  # seconds between two announcements while the Hub is away
GIVE_UP = {403, 404}  # the Hub does not want this server, now or later


def steady() -> float:
    """Seconds by the clock that nobody sets and that goes on in the computer's sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def answer(secret: str, job: str, port: int, question: str) -> str:
    """What proves to the Hub that this start listens at this port."""
    return hmac.new(secret.encode(), f"{job} {port} {question}".encode(), hashlib.sha256).hexdigest()


class Challenge(socketserver.StreamRequestHandler):
    """Answers one question of the Hub; anything else gets nothing."""

    timeout = 5

    server: "Listener"

    def handle(self) -> None:
        found = re.fullmatch(rb"BEAMHUB ([0-9a-f]{64})\r?\n", self.rfile.readline(128))
        if found:
            self.wfile.write(self.server.answer(found[1].decode()).encode() + b"\n")


class Listener(socketserver.ThreadingTCPServer):
    """Listens where the notebook server is going to listen, until the Hub has found it."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, where: tuple[str, int], secret: str, job: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        super().__init__(where, Challenge)
        port = self.server_address[1]
        self.answer: Callable[[str], str] = lambda question: answer(secret, job, port, question)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # somebody looked at the port and went away

    def close(self) -> None:
        self.shutdown()
        self.server_close()


def listen(start: dict[str, Any], secret: str) -> Listener:
    """Listen at a free port, within the range where there is one."""
    first, last = start["ports"] or (0, 0)
    for port in random.sample(range(first, last + 1), last - first + 1):
        try:
            return Listener((start["bind"], port), secret, start["job"])
        except OSError as error:
            reason = error
    raise SystemExit(f"no port between {first} and {last} is free on this computer ({reason})")


def reserve(bind: str, port: int) -> None:
    """Keep a port bound, but not listening, until the server listens there.

    The system gives it to nobody meanwhile who asks for any free port. Who asks for this very one, with SO_REUSEADDR,
    does get it, another account too: a site where that can be has to look who listens (``SiteMixin.listens``).
    The file descriptor lives on in the server's process. Raises OSError when the port was taken.
    """
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((bind, port))
        os.set_inheritable(held.detach(), True)


def own_addresses(hub_host: str) -> list[str]:
    """The addresses that this computer may be reached at, the one that leads to the Hub first."""
    found = []
    try:
        family, _, _, _, where = socket.getaddrinfo(hub_host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)  # sends nothing
            found.append(str(probe.getsockname()[0]))
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
    except OSError as error:
        say(f"looking up addresses: {error}")
    return list(dict.fromkeys(found))


def post(url: str, token: str, body: dict[str, Any]) -> tuple[int, str]:
    """One announcement: the Hub's status and what it says."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=30)
    try:
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        connection.request("POST", parts.path, json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, reply.read(10_000).decode(errors="replace")
    finally:
        connection.close()


def announce(start: dict[str, Any], token: str, port: int) -> None:
    """Tell the Hub the port until it was here and asked; ends the job when the Hub does not want it."""
    addresses = start["addresses"] or own_addresses(urlsplit(start["announce"]).hostname)
    body = {"nonce": start["job"].rsplit("-", 1)[-1], "port": port, "addresses": addresses}
    wait, over = 0.25, steady() + start["ends_at"] - time.time() if start["ends_at"] else float("inf")
    while True:
        try:
            status, text = post(start["announce"], token, body)
        except (OSError, http.client.HTTPException) as error:
            status, text = 0, f"the Hub does not answer: {error}"
        if status == 200:
            return
        say(f"announced port {port}: {status} {text}")
        if status in GIVE_UP:
            raise SystemExit("the Hub does not want this server (any more)")
        if steady() > over:
            raise SystemExit("the time of this server is over, the Hub was never reached")
        time.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311 - no secret
        wait = min(wait * 2, LONGEST_WAIT)


def run(start: dict[str, Any], port: int, token: str) -> NoReturn:
    """Become the notebook server."""
    bind = f"[{start['bind']}]" if ":" in start["bind"] else start["bind"]
    environment = {
        **os.environ,
        **start["environment"],
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_SERVICE_URL": f"http://{bind}:{port}{start['environment']['JUPYTERHUB_SERVICE_PREFIX']}",
    }
    command = start["command"]
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - that is what this program is for
    except OSError as error:
        remedy = "It needs jupyterhub and jupyterlab in its environment."
        raise SystemExit(f"{command[0]} cannot be started ({error.strerror}). {remedy}") from error


def go_home() -> None:
    """Make the account's home the folder that the server starts in."""
    home = os.environ.get("HOME", "/")
    try:
        os.chdir(home)
    except OSError as error:
        remedy = "Ask those who run this service to give your account this folder."
        raise SystemExit(f"the home {home} cannot be entered ({error.strerror}). {remedy}") from error


def say(line: str) -> None:
    """One line in the log of this start."""
    print(time.strftime("%Y-%m-%dT%H:%M:%S"), "beamhub:", line, file=sys.stderr, flush=True)


def log_to(path: str) -> None:
    """Send what this program and the server print to a new file."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(number, 1)
    os.dup2(number, 2)
    os.close(number)


def read(folder: str, name: str) -> str:
    """The content of one of this start's files, which is never a link."""
    with open(os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8") as file:
        return file.read()


def main(folder: str) -> NoReturn:
    """Bring up the server that ``folder`` describes; returns never."""
    log_to(os.path.join(folder, "server.log"))
    go_home()
    start, token, secret = (
        json.loads(read(folder, "start.json")),
        read(folder, "token"),
        read(folder, "secret"),
    )
    while True:
        listener = listen(start, secret)
        port = listener.server_address[1]
        announce(start, token, port)
        listener.close()
        try:
            reserve(start["bind"], port)
        except OSError as error:
            say(f"port {port} was taken meanwhile ({error.strerror}), looking for another")
            continue
        run(start, port, token)


if __name__ == "__main__":
    main(sys.argv[1])
