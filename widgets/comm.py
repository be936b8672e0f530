"""The way through the kernel, for pages that do not come from our notebook server.

Each view of the widget has a name, since all views hear what the kernel sends. The page sends a custom message, the
kernel answers with one of the same ``view`` and ``id``:

* page: ``{"view": "a", "id": 7, "method": "GET", "path": "v1/runs", "query": [["limit", "100"]], "body": null, …}``
* kernel: ``{"view": "a", "id": 7, "status": 200, "type": "application/json", "about": ""}``, the body's bytes as the
  one buffer; ``about`` is what the header ``BeamHub-Image`` says of a picture.

Threads ask the service, so that a cell does not wait for one that hangs; answers may come in another order than
their questions. A question that may be asked twice comes again where its answer does not come for long, for a notebook
server drops messages of a kernel that says too much; none is begun anew while it is worked on.

``path`` is named as the extension names it: ``v1/…`` goes to the service, ``chunk/NAME`` is a part of the bundle. With
``{"view": "a", "listen": ["proposal", …], "last": 12}`` a view asks for changes since ``last``, the ``seq`` of what it
shows, or null; from then on a thread sends ``{"view": "a", "event": "change" | "reset" | "proposals" | "status",
"n": 1, "data": …}``, also while the kernel computes, until the view says ``"listen": null``. ``n`` counts what that
thread says, so that a view notices where the notebook server dropped something, and asks for all anew. No message
holds a token.
"""

import contextlib
import json
import queue
import re
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from beamhub.catalog.client import Client, Service
from beamhub.catalog.errors import CatalogError
from beamhub.widgets.bundle import STATIC

PASSED = re.compile(
    r"runs|runs/count|runs/\d+|runs/\d+/(cancel|release)|files|files/explain|files/\d+|functions|rules"
    r"|rules/[^/]+/pause|requests/[\w-]+(/cancel)?|proposals|headings|results/\d+/(plot|image|pixels|preview\.png)"
)
TIMEOUT_S = 30.0
THREADS = 16  # that ask at once; further questions wait for one of them
VIEWS = 16  # that listen at once; a page that was closed says no good-bye, so the oldest ends then
Send = Callable[[dict[str, Any], list[bytes]], None]


class Relay:
    """Answers a page's messages and passes changes on, from threads of their own.

    Args:
        service: whom to ask; None where there is none, which every answer then says.
        send: sends a custom message with buffers to the page.
    """

    def __init__(self, service: Service | None, send: Send) -> None:
        self._service, self._send = service, send
        secure = service is not None and service.url.startswith("https:")
        trusted = ssl.create_default_context() if secure else False
        # the token is for the service, not for a proxy of the environment
        self._http = httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=trusted)
        self._questions: queue.SimpleQueue[tuple[str, dict[str, Any]] | None] = queue.SimpleQueue()
        self._open: set[tuple[str, int]] = set()  # questions that wait or are worked on
        self._threads: list[threading.Thread] = []  # not a ThreadPoolExecutor's: the kernel's end would wait for those
        self._followers: dict[str, _Follower] = {}  # by view, the oldest first

    def receive(self, message: Any) -> None:
        """Begin to answer one message of the page; what is not understood is not answered."""
        if not isinstance(message, dict):
            return
        view = str(message.get("view", ""))
        if "listen" in message:
            self._listen(view, message["listen"], message.get("last"))
        elif isinstance(message.get("id"), int) and isinstance(message.get("path"), str):
            if (view, message["id"]) in self._open:
                return
            self._open.add((view, message["id"]))
            self._questions.put((view, message))
            if len(self._threads) < THREADS:
                self._threads.append(threading.Thread(target=self._reply_all, name="beamhub relay", daemon=True))
                self._threads[-1].start()

    def _reply_all(self) -> None:
        while (question := self._questions.get()) is not None:
            self._reply(*question)

    def _reply(self, view: str, message: dict[str, Any]) -> None:
        try:
            status, kind, body, *about = self._answer(message)
        except Exception as error:
            status, kind, body = _problem(503, f"the kernel cannot answer this ({type(error).__name__}: {error})")
            about = []
        self._open.discard((view, message["id"]))
        with contextlib.suppress(Exception):  # the page may be gone; nobody is left to tell
            told = {"status": status, "type": kind, "about": "".join(about)}
            self._send({"view": view, "id": message["id"], **told}, [body])

    def close(self) -> None:
        """End the threads."""
        for view in list(self._followers):
            self._unfollow(view)
        for _ in self._threads:
            self._questions.put(None)
        self._threads.clear()
        self._http.close()

    def _unfollow(self, view: str) -> None:
        if (follower := self._followers.pop(view, None)) is not None:
            follower.ended.set()

    def _listen(self, view: str, proposals: Any, last: Any) -> None:
        """Follow for a view from now on what it shows now; nothing any more where that is None."""
        self._unfollow(view)
        if proposals is None:
            return
        if self._service is None:
            data = {"live": False, "message": _NO_SERVICE}
            self._send({"view": view, "event": "status", "data": data}, [])
            return
        if len(self._followers) >= VIEWS:
            oldest = next(iter(self._followers))
            self._unfollow(oldest)
            data = {"live": False, "message": f"more than {VIEWS} tables are open; show this one anew"}
            self._send({"view": oldest, "event": "status", "data": data}, [])
        names = tuple(str(name) for name in proposals)
        follower = _Follower(self._service, names, last if isinstance(last, int) else None, view, self._send)
        self._followers[view] = follower
        follower.start()

    def _answer(self, message: dict[str, Any]) -> tuple[int, str, bytes] | tuple[int, str, bytes, str]:
        where, _, rest = message["path"].partition("/")
        if where == "chunk":
            return _chunk(rest)
        if where != "v1" or not PASSED.fullmatch(rest):
            return _problem(404, f"there is nothing at {message['path'][:100]}")
        if self._service is None:
            return _problem(503, _NO_SERVICE)
        try:
            answer = self._http.request(
                "POST" if message.get("method") == "POST" else "GET",
                self._service.api + rest,
                params=[(str(name), str(value)) for name, value in message.get("query") or ()],
                json=message.get("body"),
                headers={**self._service.headers, **_key(message)},
            )
        except (httpx.HTTPError, ValueError, TypeError, RuntimeError) as error:  # the last: closed meanwhile
            return _problem(503, f"the processing service does not answer ({type(error).__name__})")
        kind, about = (answer.headers.get(name, "") for name in ("Content-Type", "BeamHub-Image"))
        return answer.status_code, kind, answer.content, about


class _Follower(threading.Thread):
    """Passes changes on to one view until it is ended."""

    def __init__(self, service: Service, proposals: tuple[str, ...], last: int | None, view: str, send: Send) -> None:
        super().__init__(name="beamhub changes", daemon=True)
        self._service, self._proposals, self._last, self._view, self._send = service, proposals, last, view, send
        self.ended = threading.Event()
        self._told = 0

    def run(self) -> None:
        client = Client(self._service)
        live: bool | None = None
        try:
            for event in client.follow(self._proposals, self._last):
                if self.ended.is_set():
                    return
                if live != (event is not None):
                    live = event is not None
                    self._tell_status(live, "" if live else "the processing service does not answer")
                if event is not None and event.data:
                    self._tell(event.event, json.loads(event.data))
        except CatalogError as error:
            self._tell_status(False, str(error))
        finally:
            client.close()

    def _tell_status(self, live: bool, message: str) -> None:
        self._tell("status", {"live": live, "since": _now(), "message": message})

    def _tell(self, event: str, data: Any) -> None:
        self._told += 1
        with contextlib.suppress(Exception):  # the page may be gone; nobody is left to tell
            self._send({"view": self._view, "event": event, "n": self._told, "data": data}, [])


_NO_SERVICE = "this server knows no processing service: start it from a BeamHub Hub"


def _chunk(name: str) -> tuple[int, str, bytes]:
    path = STATIC / name
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.(js|css)", name) or not path.is_file():
        return _problem(404, "this part of the widget is not installed")
    return 200, "text/javascript", path.read_bytes()


def _key(message: dict[str, Any]) -> dict[str, str]:
    key = (message.get("headers") or {}).get("Idempotency-Key")
    return {"Idempotency-Key": str(key)} if key else {}


def _problem(code: int, text: str) -> tuple[int, str, bytes]:
    return code, "application/json", json.dumps({"message": text, "reason": "relay", "code": code}).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
