"""Processed data, live, in a notebook: ``ProcessedData()``, ``Session()``, and ``catalog`` without any widget."""

from beamhub.widgets.browse import Catalog
from beamhub.widgets.entry import Entries, Entry
from beamhub.widgets.processed import ProcessedData
from beamhub.widgets.session import Session

__all__ = ["Catalog", "Entries", "Entry", "ProcessedData", "Session", "catalog"]

catalog = Catalog()
