"""What all handlers of the extension share: they act with the owner's token, so for the owner only."""

import hmac
import json
from dataclasses import dataclass
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado import web
from tornado.escape import utf8

from beamhub.server_extension.outputs import Outputs
from beamhub.server_extension.reader import Reader
from beamhub.server_extension.selection import Selections
from beamhub.server_extension.service import ProcessingService
from beamhub.server_extension.upstream import Upstream

RESOURCE = "beamhub"
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Shared:
    """What all handlers know: this extension's id, whose server this is ("" outside of a Hub), and its parts."""

    id: str
    version: str
    owner: str
    service: ProcessingService
    upstream: Upstream
    selections: Selections
    outputs: Outputs
    reader: Reader


class Handler(ExtensionHandlerMixin, APIHandler):
    """Base of all handlers; refusals are problems: ``{"message", "reason", "code"}``.

    Each concrete class decorates its methods with ``authenticated`` and ``authorized`` itself: the latter remembers
    the resource and action of the first class that was asked.
    """

    auth_resource = RESOURCE
    _track_activity = False

    @property
    def shared(self) -> Shared:
        """What all handlers know."""
        shared: Shared = self.settings["beamhub"]
        return shared

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse everybody but the owner's own pages and kernels; jupyter-server finds out first who asks."""
        await super().prepare()
        owner, user = self.shared.owner, self.current_user
        if not owner or user is None or self._finished:
            return
        if getattr(user, "username", "") != owner:
            self.refuse(
                403, "not-owner", f"this server belongs to {owner}: its processed data is shown to {owner} only"
            )
        elif not (self.token_authenticated or self._is_of_our_page()):
            self.refuse(
                403, "xsrf", "ask with this server's X-XSRFToken, or with a token: a cookie alone is not enough"
            )

    def _is_of_our_page(self) -> bool:
        """Whether a page of this server asks: the Hub lets a cookie alone through where a browser opens an address.

        All users' servers may have one origin, so that another user's page could open ours and read it.
        """
        told = self.request.headers.get("X-XSRFToken", "")
        return hmac.compare_digest(utf8(told), utf8(self.xsrf_token))

    def answer(self, found: Any) -> None:
        """Answer with JSON."""
        self.finish(json.dumps(found))

    def refuse(self, code: int, reason: str, message: str) -> None:
        """Answer with a problem, and end the request."""
        self.set_status(code)
        if code == 503:
            self.set_header("Retry-After", str(RETRY_AFTER_S))
        self.finish(json.dumps({"message": message, "reason": reason, "code": code}))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A problem too; of what went wrong inside only the log tells."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if not isinstance(error, web.HTTPError):
            self.refuse(status_code, "internal", "the notebook server failed; its log says why")
            return
        message = error.log_message or self._reason
        self.refuse(status_code, "refused", message % error.args if error.args else message)
