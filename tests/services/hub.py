"""A real JupyterHub in a process of its own, with traefik as its proxy, for tests.

    with RunningHub(folder, compute=LOCAL, users=["ada", "bob"], groups={"imaging": ["ada"]}) as hub:
        hub.start_server("ada", options={"profile": "small"})      # waits until it is ready
        hub.api("GET", "users/ada").json()["servers"]              # REST as admin
        hub.as_user("ada").get("user/ada/api/status")              # httpx client with ada's token
        hub.kill(); hub.start()                                    # kill -9, and again
        hub.log()

Everything that was started (Hub, proxy, servers) ends with ``stop()``, at the latest with this process: a guard that
dies with it ends whatever carries the Hub's mark. ``STUB`` is a server that answers at once and needs no Lab.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import CDLL, c_int, c_ulong
from pathlib import Path
from typing import Any

import httpx
import psutil
from services.living import called
from services.ports import free_port

TLS = False  # nothing here speaks it; to read who is to be trusted takes 30 ms for each client
PR_SET_PDEATHSIG = 1  # prctl(2)
PASSWORD = "beam"
LOCAL = """
sites:
  here: {kind: local, title: This computer, accounts: none, insecure_shared_account: true, start_timeout: 120s}
environments:
  python: {title: Scientific Python}
profiles:
  small:
    title: Small analysis
    description: Look at data.
    sites: [here]
    environments: [python]
    cores: {choices: [1, 2], default: 1}
    memory: {per_core: 1G}
    walltime: {choices: [1h, 4h], default: 1h}
  gpu:
    title: GPU reconstruction
    description: For the imaging group.
    sites: [here]
    environments: [python]
    cores: 2
    memory: 2G
    gpus: 1
    walltime: 4h
    groups: [imaging]
"""
STUB = [sys.executable, str(Path(__file__).with_name("stub_server.py"))]
CONFIG = """
from beamhub.spawner import configure
c = get_config()
c.JupyterHub.bind_url = "http://{host}:{port}{base}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = "sqlite:///{folder}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.proxy_class = "beamhub.spawner.proxy.KeptTraefik"
c.TraefikProxy.traefik_api_url = "http://127.0.0.1:{proxy_port}"
c.TraefikProxy.traefik_api_username = "hub"
c.TraefikProxy.traefik_api_password = "{proxy_password}"
c.TraefikProxy.check_route_timeout = 30
c.TraefikFileProviderProxy.static_config_file = "{folder}/traefik.toml"
c.TraefikFileProviderProxy.dynamic_config_file = "{folder}/rules.toml"
c.TraefikProxy.extra_static_config = {{"global": {{"checkNewVersion": False, "sendAnonymousUsage": False}}}}
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "{password}"
c.Authenticator.allowed_users = {users!r}
c.JupyterHub.load_groups = {groups!r}
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.services = [{{"name": "tests", "api_token": "{admin}"}}]
c.JupyterHub.load_roles = [{{"name": "tests", "services": ["tests"], "scopes": [
    "admin:users", "admin:servers", "admin:server_state", "admin:groups", "tokens", "list:users", "list:services",
    "read:services", "access:servers", "proxy"]}}]
c.Spawner.cmd = {command!r}
configure(c, catalogue="{folder}/compute.yaml", hub="{mark}")
"""

ASKED = "?include_stopped_servers=1"  # the tests' own looks, twenty a second, in the Hub's log


def wait_for(condition: Callable[[], Any], within_s: float = 60.0, what: str = "") -> Any:
    """Wait until something holds, and return it."""
    until = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > until:
            raise TimeoutError(what or f"what was waited for did not happen in {within_s} s")
        time.sleep(0.05)
    return found


class RunningHub:
    """A Hub that can be started, killed and started again; its files stay in ``folder``.

    Args:
        folder: an empty folder.
        compute: text of compute.yaml, written into ``folder``.
        users: who may log in (password ``PASSWORD``).
        groups: groups with their users.
        command: what a server is; ``STUB``, or ``["jupyterhub-singleuser"]``.
        extra: further lines of jupyterhub_config.py, ``c`` is there.
        base: the path that the Hub is under, with slashes at both ends.
        host: the address that its proxy listens at.
        account: who it runs as, where that is another account.
    """

    def __init__(
        self,
        folder: Path,
        compute: str = LOCAL,
        users: Sequence[str] = ("ada", "bob"),
        groups: Mapping[str, Sequence[str]] | None = None,
        command: Sequence[str] = STUB,
        extra: str = "",
        base: str = "/",
        host: str = "127.0.0.1",
        account: str | None = None,
    ) -> None:
        self.folder, self.mark = folder, "t" + secrets.token_hex(5)
        self.port, self.base, self.admin = free_port(), base, secrets.token_hex(16)
        self.url, self.account = f"http://{host}:{self.port}{base}", account
        self.users = list(users)
        (folder / "compute.yaml").write_text(compute)
        members = {name: {"users": list(who)} for name, who in (groups or {}).items()}
        proxy = secrets.token_hex(8)
        config = CONFIG.format(
            host=host, port=self.port, base=base, hub_port=free_port(), proxy_port=free_port(), folder=folder,
            password=PASSWORD, users=set(users), groups=members, admin=self.admin, proxy_password=proxy,
            command=list(command), mark=self.mark,
        )  # fmt: skip
        (folder / "jupyterhub_config.py").write_text(config + extra)
        (folder / "jupyterhub_config.py").chmod(0o600)
        if account is not None:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, account, account)
        self._tokens: dict[str, str] = {}
        self._clients: list[httpx.Client] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RunningHub":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # The process

    def start(self, wait: bool = True) -> None:
        """Start the Hub, and wait until it answers through the proxy."""
        if self.guard is None:
            path = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
            self.guard = subprocess.Popen([sys.executable, __file__, self.mark], preexec_fn=die_with_parent, env=path)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "BEAMHUB_TEST": self.mark,
        }
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*python_of(self.account, "jupyterhub.app"), "-f", str(self.folder / "jupyterhub_config.py")],
                env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, user=self.account, group=self.account,
                extra_groups=None if self.account is None else [],
            )  # fmt: skip
        if wait:
            self.wait()

    def wait(self, within_s: float = 180.0) -> None:
        """Wait until the Hub answers; says its log when it ended instead."""

        def answers() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(f"the Hub ended:\n{self.log()}")
            with contextlib.suppress(httpx.HTTPError):
                return httpx.get(f"{self.url}hub/health", timeout=2, verify=TLS).status_code == 200
            return False

        try:
            wait_for(answers, within_s)
        except TimeoutError as error:
            raise TimeoutError(f"the Hub does not answer:\n{self.log()}") from error

    def kill(self) -> None:
        """kill -9 the Hub and its proxy; the servers stay."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for proxy in called(children, "traefik"):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ends with the Hub
                proxy.kill()
        _end_marked(f"BEAMHUB_TEST={self.mark}")

    def stop(self) -> None:
        """End the Hub and everything that it ever started; nobody is asked politely, which takes seconds."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        _end_marked(f"BEAMHUB_TEST={self.mark}", f"BEAMHUB_JOB=bh-{self.mark}-")
        for process in (self.process, self.guard):
            if process is not None:
                process.kill()
                process.wait()

    def log(self) -> str:
        """All that the Hub said."""
        path = self.folder / "hub.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # Its API

    def api(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """A request to the Hub's REST API with all rights; ``path`` without ``hub/api/``."""
        headers = {"Authorization": f"token {self.admin}"}
        return httpx.request(method, f"{self.url}hub/api/{path}", headers=headers, timeout=60, verify=TLS, **kwargs)

    def token(self, user: str) -> str:
        """An API token of a user, with what the user may do."""
        if user not in self._tokens:
            self._tokens[user] = self.api("POST", f"users/{user}/tokens", json={}).raise_for_status().json()["token"]
        return self._tokens[user]

    def as_user(self, user: str) -> httpx.Client:
        """A client with a user's token, at the Hub's address."""
        return self._client(headers={"Authorization": f"token {self.token(user)}"})

    def logged_in(self, user: str) -> httpx.Client:
        """A client that logged in as a browser does: with cookies, ``_xsrf`` among them."""
        client = self._client()
        client.get("hub/login")
        xsrf = next(cookie.value for cookie in client.cookies.jar if cookie.name == "_xsrf")
        body = {"username": user, "password": PASSWORD, "_xsrf": xsrf}
        client.post("hub/login", data=body, follow_redirects=False)
        return client

    def _client(self, **more: Any) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=30, follow_redirects=True, verify=TLS, **more)
        self._clients.append(client)
        return client

    # Servers

    def ask_server(self, user: str, name: str = "", options: Mapping[str, Any] | None = None) -> httpx.Response:
        """Ask for a server, without waiting for it; ``options`` None: those of last time."""
        path = f"users/{user}/servers/{name}" if name else f"users/{user}/server"
        return self.api("POST", path, **({} if options is None else {"json": dict(options)}))

    def start_server(self, user: str, name: str = "", options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Start a server and wait until it is ready; the Hub's record of it."""
        answer = self.ask_server(user, name, options)
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"{answer.status_code} {answer.text}\n{self.log()[-4000:]}")
        return self.wait_ready(user, name)

    def server(self, user: str, name: str = "") -> dict[str, Any] | None:
        """The Hub's record of a server with its ``state``, also of one that is stopped; None if there never was one."""
        path = f"users/{user}?include_stopped_servers=1"
        found: dict[str, Any] | None = self.api("GET", path).raise_for_status().json()["servers"].get(name)
        return found

    def wait_ready(self, user: str, name: str = "", within_s: float = 120.0) -> dict[str, Any]:
        """Wait until a server is ready."""

        def ready() -> dict[str, Any] | None:
            found = self.server(user, name)
            return found if found and found["ready"] else None

        try:
            return dict(wait_for(ready, within_s))
        except TimeoutError as error:
            said = "".join(line for line in self.log().splitlines(keepends=True) if ASKED not in line)
            raise TimeoutError(f"{user}'s server is not ready:\n{said[-20_000:]}") from error

    def wait_gone(self, user: str, name: str = "", within_s: float = 60.0) -> None:
        """Wait until the Hub says that a server is no more."""

        def gone() -> bool:
            found = self.server(user, name)
            return found is None or not (found["ready"] or found["pending"])

        wait_for(gone, within_s, f"{user}'s server is still there")

    def stop_server(self, user: str, name: str = "") -> None:
        """Stop a server and wait until it is gone."""
        path = f"users/{user}/servers/{name}" if name else f"users/{user}/server"
        self.api("DELETE", path).raise_for_status()
        self.wait_gone(user, name)

    def progress(self, user: str, name: str = "") -> list[dict[str, Any]]:
        """All events of a pending start, until it ended."""
        path = f"users/{user}/servers/{name}/progress" if name else f"users/{user}/server/progress"
        headers = {"Authorization": f"token {self.admin}", "Accept": "text/event-stream"}
        events = []
        with httpx.stream("GET", f"{self.url}hub/api/{path}", headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    events.append(json.loads(line[5:]))
        return events


OTHER_PYTHON = """
import importlib, site, sys
sys.path.insert(0, sys.argv[1])
site.addsitedir(sys.argv.pop(1))
sys.exit(importlib.import_module(sys.argv.pop(1)).main())
"""


def python_of(account: str | None, module: str) -> list[str]:
    """What runs the ``main`` of a module of this environment as an account.

    Its own interpreter may lie where other accounts may not go; the system's does, and is as good where it is as new.
    """
    if account is None:
        return [sys.executable, "-m", module.removesuffix(".app")]
    ask = "import sys; print(*sys.version_info[:2])"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                [python, "-c", ask], user=account, capture_output=True, text=True, cwd="/", check=False
            )
            if done.stdout.split() == [str(part) for part in sys.version_info[:2]]:
                return [python, "-s", "-c", OTHER_PYTHON, sysconfig.get_path("purelib"), module]
    raise RuntimeError(f"no Python {sys.version_info[:2]} that {account} may run")


def die_with_parent() -> None:
    """In a new child: end when the thread that started it does."""
    CDLL(None).prctl(c_int(PR_SET_PDEATHSIG), c_ulong(signal.SIGTERM))


def _marked(begins: Sequence[str]) -> Iterator[int]:
    """Processes with an environment variable that begins so."""
    wanted = tuple(one.encode() for one in begins)
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            entries = path.read_bytes().split(b"\0")
            if int(path.parent.name) != os.getpid() and any(entry.startswith(wanted) for entry in entries):
                yield int(path.parent.name)


def _end_marked(*begins: str) -> None:
    for _ in range(40):
        left = set(_marked(begins))
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _guard(mark: str) -> None:
    """Wait for the end of the test, then end all that carries its mark."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    if os.getppid() == 1:
        sys.exit()
    try:
        while True:
            signal.pause()
    finally:
        _end_marked(f"BEAMHUB_TEST={mark}", f"BEAMHUB_JOB=bh-{mark}-")


if __name__ == "__main__":
    _guard(sys.argv[1])
