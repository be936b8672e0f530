"""Where a job says that it is up: ``POST /hub/api/beamhub/announce`` with ``{port, addresses, nonce}`` and its token.

A job that stays above its server says later, in the same way, ``listening`` and with which code it ``ended``.

The Hub believes an address only after it asked there and got the answer that needs the start's secret.
"""

import asyncio
import contextlib
import hmac
import ipaddress
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.app import JupyterHub

from beamhub.spawner.bootstrap import GIVE_UP, answer
from beamhub.spawner.hublines import application
from beamhub.spawner.sites.site import SiteMixin
from beamhub.spawner.state import Phase, Start

if TYPE_CHECKING:
    from beamhub.spawner.hybrid import HybridSpawner

PATH = "/api/beamhub/announce"
PATIENCE = 5.0  # seconds for one address to answer
LARGEST = 8192  # bytes of an announcement


@dataclass(frozen=True)
class Announcement:
    """What a job says of itself; each field was checked to be what its type says."""

    nonce: str
    port: int
    addresses: tuple[str, ...] = ()
    listening: bool = False
    ended: int | None = None


class Unwanted(Exception):
    """The Hub does not take this announcement; ``status`` 403 and 404 end the job, others let it try again."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreached(Unwanted):
    """Nothing gives the right answer at any of these addresses (yet)."""

    def __init__(self, addresses: list[str], port: int) -> None:
        super().__init__(409, f"nothing at {', '.join(addresses)} port {port} gives the right answer")
        self.place = f"{', '.join(addresses)} port {port}"
        self.try_it = "; ".join(f"nc -vz {address} {port}" for address in addresses)


def parse(body: bytes) -> Announcement:
    """Read an announcement.

    Raises:
        Unwanted: it is none (400).
    """
    try:
        if len(body) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        found = json.loads(body)
        nonce, port = found["nonce"], found["port"]
        listening, ended = found.get("listening", False), found.get("ended")
        if listening is True or type(ended) is int:
            if type(port) is not int or not isinstance(nonce, str) or abs(ended or 0) > 1000:
                raise ValueError("a field is not what it should be")
            return Announcement(nonce, port, (), listening is True, ended)
        addresses = found["addresses"]
        right = type(port) is int and 0 < port < 65536 and isinstance(nonce, str) and 0 < len(addresses) <= 32
        if not right or not isinstance(addresses, list):
            raise ValueError("a field is not what it should be")
        return Announcement(nonce, port, tuple(str(ipaddress.ip_address(_text(one))) for one in addresses))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unwanted(400, f"this is no announcement: {error}") from error


def own_places(hub: JupyterHub | None) -> set[tuple[str, int]]:
    """Where the Hub and its proxy listen: (host or "" for every address, port)."""
    if hub is None:
        return set()
    urls = [hub.bind_url, hub.hub_bind_url, hub.hub.bind_url, hub.hub.api_url]
    urls += [getattr(hub.proxy, name, "") for name in ("api_url", "traefik_api_url", "public_url")]
    parts = [urlsplit(url) for url in urls if url]
    return {(part.hostname or "", part.port) for part in parts if part.port}


def is_own(address: str, port: int, places: Iterable[tuple[str, int]]) -> bool:
    """Whether an address is one of the Hub's: the same port, on this computer or at the same address."""
    here = ipaddress.ip_address(address)
    return any(port == own and (here.is_loopback or here.is_unspecified or address == host) for host, own in places)


def is_of(said: Announcement, begun: Start) -> bool:
    """Whether something is said of a start's server, at the port where the Hub found it."""
    same = hmac.compare_digest(said.nonce.encode(), begun.nonce.encode())
    return same and bool(begun.url) and urlsplit(begun.url).port == said.port


async def find(said: Announcement, begun: Start, child: SiteMixin, secret: str, own: Iterable[tuple[str, int]]) -> str:
    """The address at which a start's job gives the right answer.

    Raises:
        Unwanted: it is not this start's, or not allowed there.
        Unreached: nothing right answers there.
    """
    if not hmac.compare_digest(said.nonce.encode(), begun.nonce.encode()):
        raise Unwanted(404, "there is no such start")
    if begun.phase is Phase.RUNNING:
        raise Unwanted(403, "this server runs already")
    allowed = [one for one in said.addresses if child.may_be_at(one, said.port) and not is_own(one, said.port, own)]
    if not allowed:
        where = f"{', '.join(said.addresses)} port {said.port}"
        raise Unwanted(403, f"a server of this site cannot be at {where} (networks and ports in compute.yaml)")
    found = await first_right(said, allowed, secret, begun.job)
    if found is None:
        raise Unreached(allowed, said.port)
    return found


async def first_right(announced: Announcement, addresses: Iterable[str], secret: str, job: str) -> str | None:
    """Ask at all addresses at once; the first that gives the right answer, None when none does."""
    asked = [asyncio.ensure_future(_ask(address, announced.port, secret, job)) for address in addresses]
    try:
        for done in asyncio.as_completed(asked):
            if found := await done:
                return found
    finally:
        for one in asked:
            one.cancel()
    return None


async def _ask(address: str, port: int, secret: str, job: str) -> str | None:
    """The address when it gives the right answer, else None."""
    question = secrets.token_hex(32)
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(address, port, limit=256)
            try:
                writer.write(f"BEAMHUB {question}\n".encode())
                said = (await reader.readline()).strip()
            finally:
                writer.close()
        if hmac.compare_digest(said, answer(secret, job, port, question).encode()):
            return address
    return None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F.:]{2,45}", value):
        raise ValueError(f"{str(value)[:60]!r} is no IP address")
    return value


class AnnounceHandler(APIHandler):  # type: ignore[misc]
    """The Hub's end of it; takes a server's own token only, no cookie, no scope."""

    async def post(self) -> None:
        """Answers 200 with the address that was found, or a status, a message and whether to ``give_up``."""
        try:
            announced = parse(self.request.body)
            spawner = self._spawner()
            reply: dict[str, Any] = {}
            if announced.addresses:
                place = await spawner.announced(announced, own_places(application()))
                reply = {"address": place[0], "port": place[1]}
            else:
                spawner.told(announced)
        except Unwanted as error:
            self.log.warning("Announcement from %s not taken: %s", self.request.remote_ip, error)
            self.set_status(error.status)
            reply = {"status": error.status, "message": str(error), "give_up": error.status in GIVE_UP}
        self.finish(json.dumps(reply))

    def _spawner(self) -> "HybridSpawner":
        """The server whose token this is, told by the token's id in the server's state."""
        token = self.get_token()
        user = self._user_from_orm(token.user) if token is not None and token.user is not None else None
        for spawner in user.spawners.values() if user is not None else ():
            if spawner.owns(token):
                return cast("HybridSpawner", spawner)
        raise Unwanted(403, "the token is not that of a server that is being started")
