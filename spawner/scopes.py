"""Who may do what with the processing service: the scopes of the Hub, of its users, and of each server's token."""

from collections.abc import Collection
from typing import Any

from beamhub.spawner.hublines import grant_to_users

CUSTOM = {
    "custom:beamhub:read": {"description": "See processed data of one's own proposals"},
    "custom:beamhub:write": {
        "description": "Start, cancel and release processing in one's own proposals",
        "subscopes": ["custom:beamhub:read"],
    },
    "custom:beamhub:ingest": {"description": "Tell the processing service about new files"},
}
OF_THE_SERVICE = ["access:services!service=beamhub", "custom:beamhub:read", "custom:beamhub:write"]
SERVER_SCOPES = ["users:activity!user", "access:servers!server", *OF_THE_SERVICE]


def set_scopes(c: Any) -> None:
    """Define the scopes in the Hub's configuration, and give users those that their servers get."""
    c.JupyterHub.custom_scopes.update(CUSTOM)
    grant_to_users(c, OF_THE_SERVICE)


def missing(granted: Collection[str]) -> list[str]:
    """What a server's token lacks.

    >>> missing(["users:activity!user=ada", "access:services!service=beamhub", "custom:beamhub:write"])
    ['custom:beamhub:read']
    """
    return [scope for scope in OF_THE_SERVICE if scope not in granted]
