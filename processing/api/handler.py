"""What all requests share: who asks, what may be asked, and how a refusal is answered."""

import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from tornado.web import HTTPError, RequestHandler

from beamhub.catalog.records import Problem
from beamhub.processing.access import READ, Identity, visible
from beamhub.processing.dispatcher import Dispatcher
from beamhub.processing.errors import Away, BadRequest, NotAllowed, NotFound, NotKnown, Refused
from beamhub.processing.feed import Feed
from beamhub.processing.intake import Intake
from beamhub.processing.library import Library
from beamhub.processing.query import LARGEST_ID
from beamhub.processing.settings import Settings
from beamhub.processing.store import Store

log = logging.getLogger(__name__)
RETRY_AFTER_S = 5


class Hub(Protocol):
    """What is needed of the Hub: who a token belongs to, and which scopes open this service."""

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
    dispatcher: Dispatcher | None = None


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
        unknown = set(self.request.query_arguments) - set(self.known)
        if unknown:
            possible = ", ".join(sorted(self.known)) or "none"
            raise BadRequest(f"unknown query parameter {sorted(unknown)[0][:100]!r}; possible: {possible}")

    async def authenticate(self) -> Identity:
        """Ask the Hub whose token this is; what it said counts for at most a minute."""
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() not in ("token", "bearer") or not token.strip():
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

    async def visible(self) -> frozenset[str]:
        """The proposals that the asker may see."""
        places = await self.service.store.call(self.service.store.places)
        return visible(self.service.settings, self.identity, places)

    async def asked_proposals(self) -> tuple[str, ...]:
        """Those named in the query, all visible ones if none is.

        Raises:
            NotFound: one of them cannot be seen.
        """
        seen = await self.visible()
        named = self.get_query_arguments("proposal", strip=False)
        for name in named:
            if name not in seen:
                raise NotFound(f"there is no proposal {name[:100]!r} that you may see", "proposal")
        return tuple(sorted(set(named) or seen))

    def text(self, name: str) -> str | None:
        """A query parameter as text."""
        value = self.get_query_argument(name, None, strip=False)
        if value is not None and "\0" in value:
            raise BadRequest(f"{name} holds a NUL character; leave it out")
        return value

    def number(self, name: str) -> int | None:
        """A query parameter as a whole number from 0."""
        value = self.text(name)
        return None if value is None else whole(name, value)

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

    def body(self, model: type[BaseModel]) -> Any:
        """The request's JSON body, checked."""
        return checked(model, self.request.body)

    def answer(self, record: BaseModel | dict[str, Any], status: int = 200) -> None:
        """Send a record as JSON."""
        self.set_status(status)
        self.finish(record.model_dump_json() if isinstance(record, BaseModel) else json.dumps(record, allow_nan=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A refusal as JSON; of what went wrong inside only the log tells."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, Refused):
            problem = error.problem
        elif status_code >= 500:
            problem = Problem(message="the service failed; its log says why", reason="internal", code=status_code)
        else:
            message = getattr(error, "log_message", None) or self._reason
            problem = Problem(message=str(message), reason="bad-request", code=status_code)
        self.set_status(problem.code)
        if problem.code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.finish(problem.model_dump_json())

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Refusals are no news for the log."""
        if not isinstance(value, Refused):
            super().log_exception(typ, value, tb)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Refusals carry their own status."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        super().send_error(error.code if isinstance(error, Refused) else status_code, **kwargs)


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


def checked(model: type[BaseModel], body: bytes) -> Any:
    """A JSON body as a model's value.

    Raises:
        BadRequest: it is not; the message names the first place that is wrong.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadRequest(f"{where}: {first['msg']}") from None


def _unfiltered(identity: Identity) -> frozenset[str]:
    """Scopes without the filter on their own user."""
    return frozenset(scope.removesuffix(f"!user={identity.name}") for scope in identity.scopes)
