"""What all requests share: who asks, what may be asked, and how a refusal is answered."""

import json
import logging
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from tornado.web import HTTPError, RequestHandler

from beamhub.catalog.records import Problem
from beamhub.processing.access import READ, Identity
from beamhub.processing.api.body import checked
from beamhub.processing.errors import Away, BadRequest, NotAllowed, NotFound, NotKnown, Refused
from beamhub.processing.event import FileEvent, Position
from beamhub.processing.feed import Feed
from beamhub.processing.image_reader import ImageReader
from beamhub.processing.intake import Intake
from beamhub.processing.library import Library
from beamhub.processing.metrics import Metrics
from beamhub.processing.notice import Notice
from beamhub.processing.query import LARGEST_ID
from beamhub.processing.register import Register
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)
RETRY_AFTER_S = 5
STORE_AWAY = (OperationalError, InterfaceError, NoConnection)


class Hub(Protocol):
    """What is needed of the Hub: where it is, who a token belongs to, and which scopes open this service."""

    api_url: Any
    access_scopes: Any

    async def user_for_token(self, token: str, use_cache: bool = True, *, sync: bool = True) -> dict[str, Any] | None:
        """The token's owner with groups and scopes; None if the Hub does not know it."""
        ...


@dataclass
class Service:
    """The parts of the running service that requests need."""

    settings: Settings
    store: Store
    library: Library
    feed: Feed
    intake: Intake
    hub: Hub
    metrics: Metrics = field(default_factory=Metrics)
    images: ImageReader = field(default_factory=ImageReader)
    notice: Notice = field(default_factory=Notice)

    def __post_init__(self) -> None:
        """The register follows the store."""
        self.register = Register(self.store)

    async def take(self, events: Sequence[FileEvent], position: Position | None = None) -> list[int]:
        """Take events of any source in; they are in the store when this returns."""
        new = await self.intake.take(events, position)
        for event in events:
            self.metrics.events.labels(event.source).inc()
        self.metrics.files.inc(len(new))
        return new


class ApiHandler(RequestHandler):
    """Base of all handlers: ``identity`` is who asks, refusals are JSON."""

    scope = READ
    known: Collection[str] = ()
    identity: Identity

    def initialize(self, service: Service) -> None:
        """Called by tornado for each request."""
        self.service = service

    def set_default_headers(self) -> None:
        """Nothing that is answered is a page, and nothing is kept by proxies."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    async def prepare(self) -> None:
        """Find out who asks.

        Raises:
            Refused: nobody the Hub knows, or the token lacks a scope.
        """
        self.identity = await self.authenticate()
        self.require(self.scope)
        possible = self.known if self.request.method in ("GET", "HEAD") else ()
        for name, values in self.request.query_arguments.items():
            if name not in possible:
                listed = ", ".join(sorted(possible)) or "none"
                raise BadRequest(f"unknown query parameter {name[:100]!r}; possible: {listed}")
            if any(b"\0" in value for value in values):
                raise BadRequest(f"{name} holds a NUL character; leave it out")

    async def authenticate(self) -> Identity:
        """Ask the Hub whose token this is; what it said counts for at most a minute."""
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() not in ("token", "bearer") or not token.strip().isascii() or not token.strip():
            raise NotKnown("send the token of your server or of the Hub's token page: Authorization: token …")
        try:
            model = await self.service.hub.user_for_token(token.strip(), sync=False)
        except HTTPError as error:
            raise Away("the Hub does not answer; try again", "hub-away") from error
        if not model:
            raise NotKnown("the Hub does not know this token (any more); restart your server to get a new one")
        identity = Identity.of(model)
        if not set(self.service.hub.access_scopes) & (identity.scopes | _unfiltered(identity)):
            needed = " or ".join(sorted(self.service.hub.access_scopes))
            raise NotAllowed(f"the token lacks the scope {needed}", "scope")
        return identity

    def require(self, scope: str) -> None:
        """Refuse a token without a scope."""
        if not self.identity.has(scope):
            raise NotAllowed(f"the token lacks the scope {scope}; ask who runs this Hub", "scope")

    def need_functions(self) -> None:
        """Refuse while the functions are not known, in the first seconds."""
        if not self.service.intake.ready.is_set():
            raise Away("the service has just started and reads the functions; try again", "starting")

    async def visible(self) -> frozenset[str]:
        """The proposals that the asker may see."""
        return await self.service.register.visible(self.service.settings, self.identity)

    async def named_proposals(self) -> frozenset[str]:
        """Those named in the query; there may be no files of them yet.

        Raises:
            NotFound: one of them cannot be seen.
        """
        named = self.get_query_arguments("proposal", strip=False)
        for name in named:
            if not await self.service.register.may_see(self.service.settings, self.identity, name):
                raise NotFound(f"there is no proposal {name[:100]!r} that you may see", "proposal")
        return frozenset(named)

    async def asked_proposals(self) -> tuple[str, ...]:
        """Those named in the query, all visible ones if none is; NotFound as :meth:`named_proposals`."""
        return tuple(sorted(await self.named_proposals() or await self.visible()))

    def text(self, name: str) -> str | None:
        """A query parameter as text; it may be there once."""
        values = self.get_query_arguments(name, strip=False)
        if len(values) > 1:
            raise BadRequest(f"{name} is there {len(values)} times; say it once")
        return values[0] if values else None

    def number(self, name: str) -> int | None:
        """A query parameter as a whole number from 0."""
        value = self.text(name)
        return None if value is None else whole(name, value)

    def decimal(self, name: str) -> float | None:
        """A query parameter as a finite number."""
        value = self.text(name)
        if value is None:
            return None
        try:
            found = float(value)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise BadRequest(f"{name}={value[:40]!r} is no number; write it like 0.25 or 1e6")
        return found

    def one_of(self, name: str, possible: Collection[str]) -> str | None:
        """A query parameter that is one of some words."""
        value = self.text(name)
        if value is not None and value not in possible:
            raise BadRequest(f"{name}={value[:40]!r} is unknown; possible: {', '.join(possible)}")
        return value

    def moment(self, name: str) -> datetime | None:
        """A query parameter as a time."""
        value = self.text(name)
        if value is None:
            return None
        try:
            found = datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError:
            raise BadRequest(f"{name}={value[:40]!r} is no time; write it like 2026-11-23T14:02:00Z") from None
        if found.tzinfo is None:
            raise BadRequest(f"{name}={value[:40]!r} has no zone; write it like 2026-11-23T14:02:00Z")
        return found

    def body(self, model: type[Model]) -> Model:
        """The request's JSON body, checked."""
        return checked(model, self.request.body)

    def answer(self, record: BaseModel | dict[str, Any], status: int = 200) -> None:
        """Send a record as JSON."""
        self.set_status(status)
        self.finish(record.model_dump_json() if isinstance(record, BaseModel) else json.dumps(record, allow_nan=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A refusal as JSON; of what went wrong inside only the log tells."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        self.refuse(_problem(error, status_code, self._reason))

    def refuse(self, problem: Problem) -> None:
        """Answer with a refusal."""
        self.set_status(problem.code)
        if problem.code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        if problem.code == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        self.finish(problem.model_dump_json())

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Refusals are no news for the log; a store that is away is one line."""
        if isinstance(value, STORE_AWAY):
            log.warning("the store does not answer: %s", value)
        elif not isinstance(value, Refused):
            super().log_exception(typ, value, tb)


class Unknown(ApiHandler):
    """Any path that there is not."""

    async def prepare(self) -> None:
        """Nothing is told of what there is not, and nobody needs to say who asks."""
        raise NotFound(f"there is nothing at {self.request.path[:200]}; see openapi.json")


def whole(name: str, text: str) -> int:
    """A whole number from 0 that a database can hold.

    Raises:
        BadRequest: it is none.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LARGEST_ID):
        raise BadRequest(f"{name}={text[:40]!r} is no whole number from 0 to {LARGEST_ID}")
    return int(text)


def _problem(error: BaseException | None, status: int, phrase: str) -> Problem:
    """What is told of an error: all of a refusal, nothing of what went wrong inside."""
    if isinstance(error, Refused):
        return error.problem
    if isinstance(error, STORE_AWAY):
        return Away("the store does not answer; try again", "store-away").problem
    if status >= 500:
        return Problem(message="the service failed; its log says why", reason="internal", code=status)
    message = phrase
    if isinstance(error, HTTPError) and error.log_message:
        message = error.log_message % error.args if error.args else error.log_message
    return Problem(message=message[:500], reason="bad-request", code=status)


def _unfiltered(identity: Identity) -> frozenset[str]:
    """Scopes without the filter on their own user."""
    return frozenset(scope.removesuffix(f"!user={identity.name}") for scope in identity.scopes)
