"""The records of processed data, and the client that asks for them; the client is loaded when it is used."""

from importlib import import_module
from typing import Any

from beamhub.catalog import requests
from beamhub.catalog.errors import CatalogError

__all__ = ["AsyncClient", "CatalogError", "Client", "Service", "find_service", "open_result", "requests"]
_LATER = {
    "AsyncClient": "client",
    "Client": "client",
    "Service": "client",
    "find_service": "client",
    "open_result": "remote",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"beamhub.catalog.{_LATER[name]}"), name)
