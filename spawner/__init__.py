"""One Spawner for the Hub; a site is where its servers run."""

from typing import Any

__all__ = ["configure"]


def __getattr__(name: str) -> Any:
    """``configure``, imported when it is asked for: ``beamhub check`` needs no Hub."""
    if name == "configure":
        from beamhub.spawner.configuration import configure

        return configure
    raise AttributeError(name)
