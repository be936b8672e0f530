"""Processed data, live, in a notebook: ``ProcessedData()``, ``Session()``, and ``catalog`` without any widget."""

from beamhub.widgets.entry import Catalog, Entries, Entry
from beamhub.widgets.processed import ProcessedData, Session

__all__ = ["Catalog", "Entries", "Entry", "ProcessedData", "Session", "catalog"]

catalog = Catalog()
