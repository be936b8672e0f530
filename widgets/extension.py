"""The extension of the kernel's own notebook server, as the kernel reaches it."""

import os
from urllib.parse import urlsplit

import httpx

TIMEOUT_S = 5.0


class Extension:
    """Asks the extension beside this kernel; it may not be there."""

    def __init__(self, base: str, token: str) -> None:
        self._base, self._headers = base, {"Authorization": f"token {token}"}

    @classmethod
    def find(cls) -> "Extension | None":
        """From the environment that the Hub gave this server; None outside of a Hub."""
        url, token = os.environ.get("JUPYTERHUB_SERVICE_URL", ""), os.environ.get("JUPYTERHUB_API_TOKEN", "")
        parts = urlsplit(url)
        if not parts.hostname or not token:
            return None
        host = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::", "") else parts.hostname  # noqa: S104 - compared, not bound
        host = f"[{host}]" if ":" in host else host
        base = f"{parts.scheme}://{host}:{parts.port}{parts.path.rstrip('/')}/beamhub/api/"
        return cls(base, token)

    def hello(self) -> str | None:
        """The extension's id; None where it does not answer."""
        try:
            answer = httpx.get(self._base + "hello", headers=self._headers, timeout=TIMEOUT_S, trust_env=False)
            return str(answer.json()["id"]) if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    def selection(self, view: str) -> list[int]:
        """What is selected in a view."""
        try:
            answer = httpx.get(
                f"{self._base}selection/{view}", headers=self._headers, timeout=TIMEOUT_S, trust_env=False
            )
            return [int(number) for number in answer.json()["ids"]] if answer.status_code == 200 else []
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []
