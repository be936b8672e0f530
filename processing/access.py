"""Who may see which proposal: pure decisions over the Hub's groups."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from beamhub.processing.rules import fields
from beamhub.processing.settings import Settings

READ, WRITE, INGEST = "custom:beamhub:read", "custom:beamhub:write", "custom:beamhub:ingest"


@dataclass(frozen=True)
class Identity:
    """Who asks: a user with groups, or a service, with the scopes of the token."""

    name: str
    kind: str
    groups: frozenset[str]
    scopes: frozenset[str]

    @classmethod
    def of(cls, model: dict[str, Any]) -> "Identity":
        """From what the Hub says of a token."""
        return cls(
            name=str(model.get("name", "")),
            kind=str(model.get("kind", "user")),
            groups=frozenset(model.get("groups") or ()),
            scopes=frozenset(model.get("scopes") or ()),
        )

    def has(self, scope: str) -> bool:
        """Whether the token carries a scope, also one limited to its own user."""
        return scope in self.scopes or f"{scope}!user={self.name}" in self.scopes


def visible(settings: Settings, identity: Identity, places: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """The proposals that somebody may see.

    Args:
        settings: the access rules and the storages.
        identity: who asks.
        places: proposal, storage and one path of it, of each pair that there is.
    """
    if identity.kind != "user":
        return frozenset()
    return frozenset(name for name, storage, path in places if groups(settings, name, storage, path) & identity.groups)


def may_see(settings: Settings, identity: Identity, proposal: str) -> bool:
    """Whether somebody may see a proposal that has no files yet, as far as its name tells."""
    return proposal in visible(settings, identity, [(proposal, storage, "") for storage in settings.storages])


def is_staff(settings: Settings, identity: Identity, storage: str) -> bool:
    """Whether somebody is of those who look after a storage, whoever's files are in it."""
    staff = {*settings.access.all, *settings.access.beamline_groups.values(), settings.storages[storage].staff} - {""}
    return bool(staff & identity.groups)


def groups(settings: Settings, proposal: str, storage: str, path: str) -> frozenset[str]:
    """The Hub groups that see a proposal; without one the file belongs to the storage's staff."""
    access = settings.access
    found = set(access.all)
    where = settings.storages.get(storage)
    if not proposal:
        found |= {where.staff} if where and where.staff else set()
        return frozenset(found)
    read = (fields(where, path) if where else {}) | {"proposal": proposal}
    with contextlib.suppress(KeyError, ValueError, IndexError, AttributeError):
        # a field that this storage's layout does not have names no group
        found.add(access.proposal_group.format_map(read))
    beamline = read.get("beamline", "")
    if beamline in access.beamline_groups:
        found.add(access.beamline_groups[beamline])
    return frozenset(found)
