"""The records of processed data, and the client that asks for them; each is loaded when it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from beamhub.catalog import requests
    from beamhub.catalog.client import AsyncClient, Client, Service, find_service
    from beamhub.catalog.errors import CatalogError
    from beamhub.catalog.remote import open_result

__all__ = ["AsyncClient", "CatalogError", "Client", "Service", "find_service", "open_result", "requests"]
_PLACES = {"CatalogError": "errors", "open_result": "remote"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "requests":
        return import_module("beamhub.catalog.requests")
    return getattr(import_module(f"beamhub.catalog.{_PLACES.get(name, 'client')}"), name)
