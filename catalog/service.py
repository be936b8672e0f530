"""Where the service is, and who asks."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from beamhub.catalog.errors import NotConfigured

URL, TOKEN = "BEAMHUB_SERVICE_URL", "JUPYTERHUB_API_TOKEN"


@dataclass(frozen=True)
class Service:
    """Where the service is, and the token to ask with, which no representation shows."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Service({self.url!r})"

    @property
    def api(self) -> str:
        """The address of the API."""
        return self.url.rstrip("/") + "/api/v1/"

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"Authorization": f"token {self.token}"}


def find_service() -> Service:
    """The service of this notebook server, from the environment that the Hub gave it.

    Raises:
        NotConfigured: it gave none.
    """
    url, token = os.environ.get(URL, ""), os.environ.get(TOKEN, "")
    missing = [name for name, value in ((URL, url), (TOKEN, token)) if not value]
    if missing:
        told = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
        raise NotConfigured(f"this server knows no processing service ({told}): start it from a BeamHub Hub")
    if not _is_address(url):
        raise NotConfigured(f"{URL} is no address: {url!r}; compute.yaml says it as the site's service_url")
    return Service(url, token)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
