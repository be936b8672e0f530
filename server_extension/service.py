"""The processing service, asked over HTTP with this server's own token."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from beamhub.catalog.client import AsyncClient

TIMEOUT_S = 60.0
LARGEST = 64 * 2**20  # bytes of an answer that is held in memory
NOT_CONFIGURED = "this server knows no processing service: start it from a BeamHub Hub"
AWAY = "the processing service does not answer; it may be restarting: try again"


class Down(Exception):
    """There is no service to ask, or it does not answer."""


@dataclass(frozen=True)
class Answer:
    """What the service said: any status is an answer, headers by their names in lower case."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> str:
        """The sentence of a refusal; empty if there is none."""
        return _sentence(self.body)


class ProcessingService:
    """The service as this server sees it; the HTTP library is loaded when it is first asked.

    Args:
        url: of the service, empty where there is none.
        token: of this server.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/") + "/" if url else ""
        self._token = token
        self._http: asyncio.Task[httpx.AsyncClient] | None = None

    async def send(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, and read the whole answer.

        Raises:
            Down: there is no service, what answers in its place is not it, or the answer is longer than 64 MiB.
        """
        async with self.stream(method, path, query, body, headers) as (answer, parts):
            found = bytearray(answer.body)
            async for part in parts:
                found += part
                if len(found) > LARGEST:
                    raise Down(f"the answer is larger than {LARGEST} bytes; ask for a part of it")
            return Answer(answer.code, answer.headers, bytes(found))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Ask, and read the answer in parts; a refusal is whole, with no further parts.

        Raises:
            Down: as :meth:`send`.
        """
        http = await self._client()
        from httpx import HTTPError, InvalidURL

        url = f"{self.url}api/v1/{path}" + (f"?{query}" if query else "")
        kind = {"Content-Type": "application/json"} if body else {}
        try:
            async with http.stream(method, url, content=body, headers={**kind, **(headers or {})}) as response:
                whole = b"" if response.is_success else await response.aread()
                answer = Answer(response.status_code, response.headers, whole)
                if not response.is_success and answer.code != 304 and not answer.message:
                    raise Down(f"{AWAY} (what answers in its place said {answer.code})")
                yield answer, response.aiter_bytes() if response.is_success else _nothing()
        except (HTTPError, InvalidURL) as error:
            raise Down(f"{AWAY} ({type(error).__name__})") from error

    async def follower(self) -> "AsyncClient":
        """A client that follows changes; whoever asked for it closes it.

        Raises:
            Down: there is no service.
        """
        if not self.url:
            raise Down(NOT_CONFIGURED)
        client = await asyncio.to_thread(import_module, "beamhub.catalog.client")
        made: AsyncClient = client.AsyncClient(client.Service(self.url, self._token))
        return made

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await (await self._http).aclose()

    async def _client(self) -> "httpx.AsyncClient":
        if not self.url:
            raise Down(NOT_CONFIGURED)
        if self._http is None:
            self._http = asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._http)

    def _make(self) -> "httpx.AsyncClient":
        """As the single-user server asks its Hub: the system's certificates, no proxy of the environment."""
        import httpx

        who = {"Authorization": f"token {self._token}", "Accept-Encoding": "identity"}
        limits = httpx.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=5)
        return httpx.AsyncClient(
            headers=who,
            timeout=TIMEOUT_S,
            limits=limits,
            trust_env=False,
            verify=ssl.create_default_context(),
        )


def _sentence(body: bytes) -> str:
    try:
        found: Any = json.loads(body)
        return str(found["message"])
    except (ValueError, KeyError, TypeError):
        return ""


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
