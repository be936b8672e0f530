"""What differs between the lines of JupyterHub that BeamHub runs in (5.5 and 6), and what of a running Hub is asked."""

from functools import partialmethod
from typing import Any

import jupyterhub
from jupyterhub.app import JupyterHub
from jupyterhub.objects import Server
from tornado import web

LINE = int(jupyterhub.__version__.split(".")[0])


def spawn_exception(message: str, reason: str, status: int = 400) -> web.HTTPError:
    """An error that is shown to the person."""
    if LINE >= 6:
        from jupyterhub.spawner import SpawnException

        refusal: web.HTTPError = SpawnException(message, reason=reason, status_code=status)
        return refusal
    error = web.HTTPError(status, message, reason=reason)
    error.jupyterhub_message = message  # type: ignore[attr-defined]
    return error


def failed_start(message: str, reason: str) -> web.HTTPError:
    """The error that a start is to end with, shown to the person, and not counted by the Hub as its own failure.

    JupyterHub 5.5 counts every start that fails, and ends when there were too many in a row.
    """
    hub = application()
    if LINE < 6 and hub is not None:
        settings = hub.tornado_application.settings
        settings["failure_count"] = settings.get("failure_count", 0) - 1
    return spawn_exception(message, reason)


def choices(body: Any) -> Any:
    """The body of a request for a server as it is; JupyterHub 5.5 counts one that is no object as a failed start.

    Raises:
        HTTPError: it is neither an object nor nothing.
    """
    if LINE < 6 and body and not isinstance(body, dict):
        raise web.HTTPError(400, "what is chosen for a server must be a JSON object")
    return body


def grant_to_users(c: Any, scopes: list[str]) -> None:
    """Give scopes to every user of the Hub, in its configuration."""
    if LINE >= 6:
        c.JupyterHub.extra_user_scopes.update(scopes)
    else:
        c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", *scopes]})


def wait_for_services() -> None:
    """Give the Hub's own services 30 s to answer, as JupyterHub 6 does; 5.5 looks ten times for 1 s, and ends then."""
    if LINE < 6:
        Server.wait_up = partialmethod(_wait_up, Server.wait_up)


def _wait_up(server: Server, real: Any, timeout: float = 10, **how: Any) -> Any:
    return real(server, timeout=3 if timeout == 1 else timeout, **how)


def application() -> JupyterHub | None:
    """The Hub of this process, None where there is none (yet)."""
    return JupyterHub.instance() if JupyterHub.initialized() else None


async def add_route(user: Any, server_name: str) -> None:
    """Let the proxy lead to a server; before the Hub listens it does that itself, for all."""
    hub = application()
    if hub is not None and hub.http_server is not None:
        await hub.proxy.add_user(user, server_name)


def service_url(configured: str | None) -> str:
    """The processing service's address as servers reach it: the site's own, else through the Hub's public address."""
    hub = application()
    if configured or hub is None:
        return configured or ""
    if not any(service.get("name") == "beamhub" for service in hub.services):
        return ""
    return f"{hub.bind_url.rstrip('/')}/services/beamhub/"
