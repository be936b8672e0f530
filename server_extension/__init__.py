"""In each notebook server: the page's way to processed data."""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """What jupyter-server loads."""
    from beamhub.server_extension.app import BeamHubExtension

    return [{"module": "beamhub.server_extension", "app": BeamHubExtension}]
