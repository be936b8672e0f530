"""What differs between the lines of JupyterHub that BeamHub runs in (5.5 and 6), and what of a running Hub is asked."""

from typing import Any

import jupyterhub
from jupyterhub.app import JupyterHub
from tornado import web

LINE = int(jupyterhub.__version__.split(".")[0])


def spawn_exception(message: str, reason: str, status: int = 400) -> web.HTTPError:
    """An error of a start that is shown to the person, and that the Hub does not count as its own failure."""
    if LINE >= 6:
        from jupyterhub.spawner import SpawnException

        refusal: web.HTTPError = SpawnException(message, reason=reason, status_code=status)
        return refusal
    error = web.HTTPError(status, message, reason=reason)
    error.jupyterhub_message = message  # type: ignore[attr-defined]
    return error


def grant_to_users(c: Any, scopes: list[str]) -> None:
    """Give scopes to every user of the Hub, in its configuration."""
    if LINE >= 6:
        c.JupyterHub.extra_user_scopes.update(scopes)
    else:
        c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", *scopes]})


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
