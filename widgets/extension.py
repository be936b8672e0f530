"""The extension of the kernel's own notebook server, as the kernel reaches it."""

import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Selected:
    """The runs that are selected in a view, and since when (seconds since 1970; 0 where nothing ever was)."""

    ids: tuple[int, ...] = ()
    time: float = 0.0


class Extension:
    """Asks the extension beside this kernel; it may not be there.

    Args:
        base: address of its API.
        token: of the notebook server; it goes there and nowhere else, through no proxy of the environment.
    """

    def __init__(self, base: str, token: str) -> None:
        trusted = ssl.create_default_context() if base.startswith("https:") else False
        self._http = httpx.Client(
            base_url=base,
            headers={"Authorization": f"token {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=trusted,
        )

    @classmethod
    def find(cls) -> "Extension | None":
        """From the environment that the Hub gave this server, else the plain server that started this kernel."""
        found = _of_hub() or _of_parent()
        return cls(found[0].rstrip("/") + "/beamhub/api/", found[1]) if found else None

    def hello(self) -> str | None:
        """The extension's id; None where it does not answer, or has no processing service to ask."""
        try:
            answer = self._http.get("hello")
            told = answer.json() if answer.status_code == 200 else {}
            return None if told.get("service") == "not configured" else str(told["id"])
        except (httpx.HTTPError, ValueError, KeyError, AttributeError):
            return None

    def session(self) -> dict[str, Any]:
        """What the server was started as, how long it stays and what it uses; empty where it does not answer."""
        try:
            answer = self._http.get("session")
            return dict(answer.json()) if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError, TypeError):
            return {}

    def selection(self, view: str, at: float | None = None) -> Selected:
        """What is selected in a view, or was ``at`` a moment; nothing where the extension does not answer."""
        try:
            answer = self._http.get(f"selection/{view}", params={} if at is None else {"at": repr(at)})
            told = answer.json()
            return Selected(tuple(int(number) for number in told["ids"]), float(told["time"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return Selected()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _of_hub() -> tuple[str, str] | None:
    """Address and token of a server that a Hub started; an address of all interfaces is reached on loopback."""
    url, token = os.environ.get("JUPYTERHUB_SERVICE_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
    parts = urlsplit(url)
    if not parts.hostname or not token:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname, parts.hostname)  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}:{parts.port}{parts.path}", token


def _of_parent() -> tuple[str, str] | None:
    """Address and token of the server whose process started this kernel, as it says in its own folder."""
    from jupyter_core.paths import jupyter_runtime_dir

    parent = os.environ.get("JPY_PARENT_PID", "")
    try:
        told = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{int(parent)}.json").read_text())
        return str(told["url"]), str(told["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
