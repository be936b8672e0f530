"""The first program of a job: finds a free port, tells the Hub where it is, and becomes the notebook server.

On another computer than the Hub's (``stay`` in ``start.json``) it stays above the server instead: only there can be
seen who listens at the port, and the Hub hears at once that the server listens, and that it ended.

Runs where only Python is: standard library alone, one file, carried to the site beside its token. Its one argument is
the folder that ``courier`` wrote for this start: ``start.json``, ``token``, ``secret``; its log goes there too.
"""

from __future__ import annotations  # an environment may have an older Python

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit

LONGEST_WAIT = 30.0  # seconds between two announcements while the Hub is away
LOOK_S = 2.0  # between two looks at who listens while nobody takes a connection
POLITE = 10.0  # seconds that a server has to end
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GIVE_UP = {403, 404}  # the Hub does not want this server, now or later; it says so in its answer, too


def steady() -> float:
    """Seconds by the clock that nobody sets and that goes on in the computer's sleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def answer(secret: str, job: str, port: int, question: str) -> str:
    """What proves to the Hub that this start listens at this port."""
    return hmac.new(secret.encode(), f"{job} {port} {question}".encode(), hashlib.sha256).hexdigest()


class Challenge(socketserver.StreamRequestHandler):
    """Answers one question of the Hub; anything else gets nothing."""

    timeout = 5

    server: Listener

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


def reserve(bind: str, port: int) -> socket.socket:
    """Keep a port bound, but not listening, until the server listens there.

    The system gives it to nobody meanwhile who asks for any free port. Who asks for this very one, with SO_REUSEADDR,
    does get it, another account too: somebody has to look who listens (``SiteMixin.listens``, ``stay``).
    The file descriptor lives on in the server's process. Raises OSError when the port was taken.
    """
    held = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((bind, port))
    except OSError:
        held.close()
        raise
    held.set_inheritable(True)
    return held


def listeners(port: int) -> set[int]:
    """User ids of those that listen at a port of this computer, at whatever address; see proc_pid_net(5)."""
    found, at = set(), f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                lines = [line.split() for line in file if at in line]
        except OSError:  # a computer without IPv6
            continue
        found |= {int(one[7]) for one in lines if one[3] == "0A" and one[1].endswith(at.strip())}
    return found


def anybody(bind: str, port: int) -> bool:
    """Whether a connection is taken at a port of this computer; asked before ``listeners``, which is long to read."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - each address, so this one too
    with contextlib.suppress(OSError), socket.create_connection((here, port), 1.0):
        return True
    return False


def own_addresses(hub_host: str) -> list[str]:
    """The addresses that this computer may be reached at, the one that leads to the Hub first."""
    found = []
    try:
        for family, _, _, _, where in socket.getaddrinfo(hub_host, 9, type=socket.SOCK_DGRAM):
            with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
                probe.connect(where)  # sends nothing
                found.append(str(probe.getsockname()[0]))
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
    except OSError as error:
        say(f"looking up addresses: {error}")
    return list(dict.fromkeys(found))


def post(url: str, token: str, body: dict[str, Any]) -> tuple[int, str]:
    """One announcement: the Hub's status and what it says.

    Raises OSError when what answered was not the Hub: a proxy that does not know the way to it (yet) says 404, too.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=30)
    try:
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        connection.request("POST", parts.path, json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read(10_000).decode(errors="replace")
    finally:
        connection.close()
    if reply.status in GIVE_UP and not gives_up(text):
        raise OSError(f"something in its place says {reply.status} {text[:200].strip()}")
    return reply.status, text


def gives_up(text: str) -> bool:
    """Whether this is the Hub's word that it does not want the server."""
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("give_up") is True


def announce(start: dict[str, Any], token: str, port: int) -> None:
    """Tell the Hub the port until it was here and asked; ends the job when the Hub does not want it."""
    addresses = start["addresses"] or own_addresses(urlsplit(start["announce"]).hostname)
    addresses = [one for one in addresses if (":" in one) == (":" in start["bind"])]
    body = {"nonce": nonce_of(start), "port": port, "addresses": addresses}
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


def nonce_of(start: dict[str, Any]) -> str:
    """The part of the job's name that no other start has."""
    return str(start["job"].rsplit("-", 1)[-1])


def tell(start: dict[str, Any], token: str, port: int, what: dict[str, Any]) -> int:
    """Tell the Hub once what became of the server; the Hub's status, 0 when it does not answer."""
    try:
        status, text = post(start["announce"], token, {"nonce": nonce_of(start), "port": port, **what})
    except (OSError, http.client.HTTPException) as error:
        status, text = 0, str(error)
    if status != 200:
        say(f"told {json.dumps(what)}: {status} {text}")
    return status


def environment_of(start: dict[str, Any], port: int, token: str) -> dict[str, str]:
    """What the notebook server goes by."""
    bind = f"[{start['bind']}]" if ":" in start["bind"] else start["bind"]
    path = os.environ.get("PATH", os.defpath)
    return {
        **os.environ,
        "PATH": os.pathsep.join([start["programs"], path]) if start.get("programs") else path,
        **start["environment"],
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_SERVICE_URL": f"http://{bind}:{port}{start['environment']['JUPYTERHUB_SERVICE_PREFIX']}",
    }


def cannot_start(command: list[str], error: OSError) -> SystemExit:
    """How the job ends when there is no such program."""
    remedy = "It needs jupyterhub and jupyterlab in its environment."
    return SystemExit(f"{command[0]} cannot be started ({error.strerror}). {remedy}")


def become(start: dict[str, Any], port: int, token: str) -> NoReturn:
    """Become the notebook server."""
    command = start["command"]
    try:
        os.execvpe(command[0], command, environment_of(start, port, token))  # noqa: S606 - what this program is for
    except OSError as error:
        raise cannot_start(command, error) from error


def stay(start: dict[str, Any], port: int, token: str, held: socket.socket) -> None:
    """Start the notebook server and stay above it; returns when somebody else took its port, else ends with it.

    After the server's end the port is kept, so that nobody else is sent what is still on its way to the server.
    """
    command, environment = start["command"], environment_of(start, port, token)
    try:
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        server = subprocess.Popen([program, *command[1:]], env=environment)
    except OSError as error:
        raise cannot_start(command, error) from error
    sent: list[int] = []

    def pass_on(number: int, _: object) -> None:
        sent.append(number)
        server.send_signal(number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    if taken(start, token, port, server):
        say(f"somebody else's program took port {port}, looking for another")
        end(server)
        held.close()
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        return
    code = server.wait()
    with contextlib.suppress(OSError):
        held.listen()
    code = -sent[0] if sent else code  # a server may end with 0 when it is told to end
    say(f"the server ended with {code}")
    tell(start, token, port, {"ended": code})
    raise SystemExit(code if code >= 0 else 128 - code)


def taken(start: dict[str, Any], token: str, port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server listens, and tell the Hub; whether somebody else listens in its place.

    Returns too when the server ended, or the Hub heard that it does not want it, and it was ended.
    """
    wait, look_at = 0.02, steady() + LOOK_S
    while server.poll() is None:
        found: set[int] = set()
        if anybody(start["bind"], port) or steady() > look_at:  # it may listen at another address alone
            found, look_at = listeners(port), steady() + LOOK_S
        if found:
            if found != {os.getuid()}:
                return True
            status = tell(start, token, port, {"listening": True})
            if status in GIVE_UP:
                end(server)
            if status == 200 or status in GIVE_UP:
                return False
            wait = min(wait * 2, LONGEST_WAIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(wait)
    return bool(listeners(port) - {os.getuid()})


def end(server: subprocess.Popen[bytes]) -> None:
    """End the server: politely, then not."""
    server.terminate()
    try:
        server.wait(POLITE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


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
    if start.get("walltime_s"):  # it begins where the job does
        start["ends_at"] = time.time() + start["walltime_s"]
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start["ends_at"]))
        start["environment"]["BEAMHUB_ENDS_AT"] = ends
    while True:
        listener = listen(start, secret)
        port = listener.server_address[1]
        announce(start, token, port)
        listener.close()
        try:
            held = reserve(start["bind"], port)
        except OSError as error:
            say(f"port {port} was taken meanwhile ({error.strerror}), looking for another")
            continue
        if start.get("stay"):
            stay(start, port, token, held)
        else:
            become(start, port, token)


if __name__ == "__main__":
    main(sys.argv[1])
