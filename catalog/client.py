"""The clients of the service: ``send`` one of :mod:`beamhub.catalog.requests`, and follow its changes."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse, connect_sse
from pydantic import ValidationError

from beamhub.catalog.changes import Follower
from beamhub.catalog.errors import KINDS, Answered, ServiceDown
from beamhub.catalog.records import Problem
from beamhub.catalog.requests import Request
from beamhub.catalog.service import Service, find_service

__all__ = ["AsyncClient", "Client", "Service", "find_service"]
Answer = TypeVar("Answer")
TIMEOUT_S = 30.0
LOST = (httpx.HTTPError, SSEError, ServiceDown)


class Client:
    """Asks the service, and waits for the answer."""

    def __init__(self, service: Service | None = None) -> None:
        self.service = service or find_service()
        self._http = httpx.Client(**_settings(self.service))

    def send(self, request: Request[Answer]) -> Answer:
        """The answer to a request.

        Raises:
            ServiceDown: it did not answer.
            Answered: it refused; one subclass for each thing that can be done about it.
        """
        try:
            answer = self._http.request(**_parts(request))
        except httpx.HTTPError as error:
            raise _down(error) from error
        return _read(request, answer)

    def size(self, request: Request[bytes]) -> int:
        """How many bytes the answer to a request would have; raises as :meth:`send`."""
        try:
            answer = self._http.request("HEAD", request.path)
        except httpx.HTTPError as error:
            raise _down(error) from error
        if answer.is_error:  # which has no body that says why
            self.send(replace(request, headers={"Range": "bytes=0-0"}))
        _refuse(answer)
        length = answer.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise ServiceDown(f"what answers at {answer.url} does not say how long the output is; try again")
        return int(length)

    def follow(self, proposals: tuple[str, ...] = (), after: int | None = None) -> Iterator[ServerSentEvent | None]:
        """Changes as they happen, for ever.

        Yields "open" when the stream stands; "change", "reset" and "proposals" as the service says them; "message"
        without data as a sign of life; and None when the stream was lost, before it is tried again from there on.

        Args:
            proposals: whose changes; none named means all that can be seen.
            after: the ``seq`` that is already known; None is from now on.

        Raises:
            Answered: the service refuses to tell.
        """
        follower = Follower(proposals, after)
        while True:
            lost: Exception | None = None
            try:
                with connect_sse(self._http, **follower.request) as source:
                    if source.response.is_error:
                        source.response.read()
                    _refuse(source.response)
                    _is_stream(source.response)
                    yield follower.opened()
                    for event in source.iter_sse():
                        yield follower.heard(event)
            except LOST as error:
                lost = error
            yield None
            time.sleep(follower.wait(lost))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncClient:
    """Asks the service, beside other work."""

    def __init__(self, service: Service | None = None) -> None:
        self.service = service or find_service()
        self._http = httpx.AsyncClient(**_settings(self.service))

    async def send(self, request: Request[Answer]) -> Answer:
        """The answer to a request; raises as :meth:`Client.send`."""
        try:
            answer = await self._http.request(**_parts(request))
        except httpx.HTTPError as error:
            raise _down(error) from error
        return _read(request, answer)

    async def follow(
        self, proposals: tuple[str, ...] = (), after: int | None = None
    ) -> AsyncIterator[ServerSentEvent | None]:
        """Changes as they happen, for ever, as :meth:`Client.follow`."""
        follower = Follower(proposals, after)
        while True:
            lost: Exception | None = None
            try:
                async with aconnect_sse(self._http, **follower.request) as source:
                    if source.response.is_error:
                        await source.response.aread()
                    _refuse(source.response)
                    _is_stream(source.response)
                    yield follower.opened()
                    async for event in source.aiter_sse():
                        yield follower.heard(event)
            except LOST as error:
                lost = error
            yield None
            await asyncio.sleep(follower.wait(lost))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _settings(service: Service) -> dict[str, Any]:
    """As the single-user server asks its Hub: with the system's certificates, through no proxy of the environment."""
    return {
        "base_url": service.api,
        "headers": service.headers,
        "timeout": TIMEOUT_S,
        "verify": _certificates(),
        "trust_env": False,
    }


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def _parts(request: Request[Any]) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query,
        "json": request.body,
        "headers": request.headers,
    }


def _read(request: Request[Answer], answer: httpx.Response) -> Answer:
    _refuse(answer)
    try:
        return request.read(answer.content)
    except ValidationError as error:
        raise ServiceDown(f"what answers at {answer.url} is no BeamHub service; is its address right?") from error


def _refuse(answer: httpx.Response) -> None:
    """Raise what the service said instead of an answer; the body of an error was read."""
    if answer.is_success:
        return
    try:
        problem = Problem.model_validate_json(answer.content if answer.is_error else b"")
    except ValidationError:
        text = f"{answer.url} answered {answer.status_code}; the processing service may be restarting: try again"
        raise ServiceDown(text, _seconds(answer)) from None
    if answer.status_code >= 500:
        raise ServiceDown(problem.message, _seconds(answer))
    raise KINDS.get(answer.status_code, Answered)(problem)


def _is_stream(answer: httpx.Response) -> None:
    """Raise ServiceDown for an answer without a word of an error that is no stream of events either."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise ServiceDown(f"what answers at {answer.url} is no BeamHub service; is its address right?")


def _seconds(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


def _down(error: httpx.HTTPError) -> ServiceDown:
    return ServiceDown(
        f"the processing service does not answer ({type(error).__name__}); it may be restarting: try again"
    )
