"""Catalog: finds processed data by run or by file name, without any widget."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from beamhub.catalog import requests
from beamhub.catalog.client import Client
from beamhub.catalog.records import Proposal, Run
from beamhub.widgets.entry import Entries, Entry, table_of

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 100_000
PAGE = 500
NEVER = datetime.min.replace(tzinfo=UTC)


class Catalog:
    """Processed data of one or all proposals.

    ``catalog[123]`` is a run, ``catalog["scan_0007_00012.nxs"]`` the newest result of a file.
    """

    def __init__(self, proposal: str | None = None, client: Client | None = None) -> None:
        self.proposal = proposal
        self._client = client

    @property
    def client(self) -> Client:
        """Asks the service; made when it is first needed.

        Raises:
            NotConfigured: this is no notebook server of a BeamHub Hub.
        """
        if self._client is None:
            self._client = Client()
        return self._client

    def chosen(self) -> "Catalog":
        """Of its proposal, or where it has none of the one that a table shows then, which got data last.

        Raises:
            CatalogError: the service refuses, or does not answer.
        """
        return self if self.proposal else Catalog(newest(self.client.send(requests.proposals())), self._client)

    def __getitem__(self, key: int | str) -> Entry:
        if isinstance(key, int | np.integer):
            return Entry(self.client, self.client.send(requests.run(int(key))))
        found = [run for run in self.runs(text=key) if key in (run.file.name, run.file.path)]
        done = [run for run in found if run.state == "done"]
        if not found:
            raise KeyError(f"no run of a file {key!r} in {self.proposal or 'any proposal that you may see'}")
        return Entry(self.client, self.client.send(requests.run((done or found)[0].id)))

    def runs(self, limit: int = 1000, **filters: Any) -> list[Run]:
        """Runs, the newest first; ``filters`` as in the API: state, function, text, since and others.

        Raises:
            CatalogError: the service refuses, or does not answer.
        """
        query = {"proposal": self.proposal, "limit": min(limit, PAGE)} | filters
        found: list[Run] = []
        after = None
        while len(found) < min(limit, MOST_ROWS):
            page = self.client.send(requests.runs(**query, after=after))
            found += page.items
            after = page.after
            if after is None:
                break
        return found[:limit]

    def entries(self, ids: Sequence[int]) -> Entries:
        """The entries of some runs, in their order.

        Raises:
            NotFound: one of them cannot be seen.
        """
        found: dict[int, Run] = {}
        for begin in range(0, len(ids), PAGE):
            page = self.client.send(requests.runs(ids=list(ids[begin : begin + PAGE]), limit=PAGE))
            found |= {run.id: run for run in page.items}
        return Entries([Entry(self.client, found[number]) if number in found else self[number] for number in ids])

    def table(self, limit: int = 10_000, **filters: Any) -> "pd.DataFrame":
        """Runs as a table, one row each: file, function, state, times, columns of the file, parameters, scalars."""
        return table_of(self.runs(limit, **filters))


def newest(proposals: list[Proposal]) -> str | None:
    """The one that got data last, of several the first; the page chooses the same: newest in proposal.ts."""
    return max(proposals, key=lambda one: one.last or NEVER).name if proposals else None
