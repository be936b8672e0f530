"""The clients of the service: ``send`` one of :mod:`beamhub.catalog.requests`, and follow its changes."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import httpx
from httpx_sse import ServerSentEvent, SSEError, connect_sse
from pydantic import ValidationError

from beamhub.catalog.errors import KINDS, Answered, NotConfigured, ServiceDown
from beamhub.catalog.records import Problem
from beamhub.catalog.requests import Request

Answer = TypeVar("Answer")
TIMEOUT_S = 30.0
SILENCE_S = 45.0  # the service says something every 20 s; after this the stream is taken for dead
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Service:
    """Where the service is, and the token to ask with, which no representation shows."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Service({self.url!r})"

    @property
    def api(self) -> str:
        """The address of the API."""
        return self.url.rstrip("/") + "/api/v1/"

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"token {self.token}"}


def find_service() -> Service:
    """The service of this notebook server, from the environment that the Hub gave it.

    Raises:
        NotConfigured: it gave none.
    """
    url, token = os.environ.get("BEAMHUB_SERVICE_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    if not url or not token:
        raise NotConfigured(
            "this server knows no processing service (BEAMHUB_SERVICE_URL is not set): start it from a BeamHub Hub"
        )
    return Service(url, token)


class Client:
    """Asks the service, and waits for the answer."""

    def __init__(self, service: Service | None = None) -> None:
        self.service = service or find_service()
        self._http = httpx.Client(base_url=self.service.api, headers=self.service.headers, timeout=TIMEOUT_S)

    def send(self, request: Request[Answer]) -> Answer:
        """The answer to a request.

        Raises:
            ServiceDown: it did not answer.
            Answered: it refused; one subclass for each thing that can be done about it.
        """
        try:
            answer = self._http.request(
                request.method, request.path, params=request.query, json=request.body, headers=request.headers
            )
        except httpx.HTTPError as error:
            raise _down(error) from error
        return _read(request, answer)

    def size(self, request: Request[bytes]) -> int:
        """How many bytes the answer to a HEAD request would have."""
        try:
            answer = self._http.request("HEAD", request.path)
        except httpx.HTTPError as error:
            raise _down(error) from error
        _refuse(answer)
        return int(answer.headers["Content-Length"])

    def follow(self, proposals: tuple[str, ...] = (), after: int | None = None) -> Iterator[ServerSentEvent | None]:
        """Changes as they happen, for ever; "open" when the stream stands, None when it was lost and is tried again.

        Raises:
            Answered: the service refuses to tell.
        """
        failures = 0
        last = None if after is None else str(after)
        while True:
            try:
                headers = {"Last-Event-ID": last} if last else {}
                params = [("proposal", name) for name in proposals]
                with connect_sse(
                    self._http,
                    "GET",
                    "changes",
                    params=params,
                    headers=headers,
                    timeout=httpx.Timeout(10, read=SILENCE_S),
                ) as source:
                    _refuse(source.response)
                    failures = 0
                    yield ServerSentEvent("open", "")
                    for event in source.iter_sse():
                        last = event.id or last
                        yield event
            except (httpx.HTTPError, SSEError, ServiceDown):
                pass
            yield None
            time.sleep(WAITS_S[min(failures, len(WAITS_S) - 1)])
            failures += 1

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient:
    """Asks the service, beside other work."""

    def __init__(self, service: Service | None = None) -> None:
        self.service = service or find_service()
        self._http = httpx.AsyncClient(base_url=self.service.api, headers=self.service.headers, timeout=TIMEOUT_S)

    async def send(self, request: Request[Answer]) -> Answer:
        """The answer to a request; raises as :meth:`Client.send`."""
        try:
            answer = await self._http.request(
                request.method, request.path, params=request.query, json=request.body, headers=request.headers
            )
        except httpx.HTTPError as error:
            raise _down(error) from error
        return _read(request, answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _read(request: Request[Answer], answer: httpx.Response) -> Answer:
    _refuse(answer)
    try:
        return request.read(answer.content)
    except ValidationError as error:
        raise ServiceDown(f"what answers at {answer.url} is no BeamHub service") from error


def _refuse(answer: httpx.Response) -> None:
    """Raise what the service said instead of an answer."""
    if answer.status_code < 300:
        return
    if not answer.is_stream_consumed:
        answer.read()
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        raise ServiceDown(f"{answer.url} answered {answer.status_code}; is the service running?") from None
    if answer.status_code >= 500:
        raise ServiceDown(problem.message, _seconds(answer.headers.get("Retry-After", "")))
    raise KINDS.get(answer.status_code, Answered)(problem)


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 5.0


def _down(error: httpx.HTTPError) -> ServiceDown:
    return ServiceDown(
        f"the processing service does not answer ({type(error).__name__}); it may be restarting: try again"
    )
