"""``ProcessedData()``: the live table in the cell; ``Session()``: where this server runs, and how long."""

import contextlib
import os
import platform
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import anywidget
import traitlets

from beamhub.catalog import requests
from beamhub.catalog.client import Client, Service, find_service
from beamhub.catalog.errors import CatalogError, NotConfigured
from beamhub.widgets.comm import STATIC, Relay
from beamhub.widgets.entry import Catalog, Entries, snapshot_html
from beamhub.widgets.extension import Extension

BUNDLE = STATIC / "widget.js"
MISSING = (
    "export default { render({ el }) { el.textContent = 'The widget was installed without its page part: '"
    " + 'install the wheel of beamhub, or build it with make develop.'; } };"
)
SHOWN = 200  # rows of the static table
LARGEST = 50_000  # bytes of it


class _Widget(anywidget.AnyWidget):
    """What both have in common: the bundle, and which of them it is to show."""

    _esm = BUNDLE if BUNDLE.exists() else MISSING
    kind = traitlets.Unicode().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)


class ProcessedData(_Widget):
    """A live table of processed data.

    Args:
        proposal: which one to show first; default: the one that got data last.

    ``data.selected`` holds the rows selected when it is read. Rows, pictures and tokens are no part of the widget's
    state, so none of them is stored in the notebook but the static table that is shown without a kernel.
    """

    kind = traitlets.Unicode("processed").tag(sync=True)
    server_id = traitlets.Unicode(allow_none=True, default_value=None).tag(sync=True)
    view_id = traitlets.Unicode().tag(sync=True)
    proposal = traitlets.Unicode("").tag(sync=True)
    selected_ids = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, proposal: str = "") -> None:
        self._service = _service()
        self._client: Client | None = None
        self._extension = Extension.find()
        super().__init__(
            proposal=proposal, view_id=uuid.uuid4().hex, server_id=self._extension.hello() if self._extension else None
        )
        self._relay = Relay(self._service, lambda content, buffers: self.send(content, buffers))
        self.on_msg(lambda _, content, __: self._relay.receive(content))
        self._snapshot = _Snapshot(self)

    @property
    def connected(self) -> bool:
        """Whether there is a service to ask."""
        return self._service is not None

    @property
    def catalog(self) -> Catalog:
        """The proposal's data without the table."""
        if self._client is None and self._service is not None:
            self._client = Client(self._service)
        return Catalog(self.proposal or None, self._client)

    @property
    def selected(self) -> Entries:
        """The rows that are selected in the table, as they are now."""
        ids = list(self.selected_ids)
        if self.server_id is not None and self._extension is not None:
            ids = self._extension.selection(self.view_id) or ids
        return self.catalog.entries(ids)

    def snapshot(self) -> str:
        """The static table: HTML without script, at most 200 rows and 50 kB."""
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            catalog = self.catalog
            total = catalog.client.send(requests.count(proposal=self.proposal or None)).count
            runs = catalog.runs(SHOWN)
        except CatalogError as error:
            return snapshot_html([], 0, when, str(error))
        for shown in (len(runs), 100, 50, 20, 0):
            text = snapshot_html(runs[:shown], total, when)
            if len(text.encode()) <= LARGEST:
                break
        return text

    def close(self) -> None:
        """End the widget and its threads."""
        self._relay.close()
        self._snapshot.end()
        if self._client is not None:
            self._client.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """What the cell shows: the widget, and the static table where there is none."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = dict(data or {}) | {"text/html": self.snapshot(), "text/plain": f"ProcessedData({self.proposal!r})"}
        return data, metadata

    def _ipython_display_(self) -> None:
        """Show it under a display id, so that the static table can be refreshed in the saved notebook."""
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True, display_id=self.view_id)
        self._snapshot.start()


class _Snapshot:
    """Keeps the saved static table fresh: when nothing changed for 10 s, at most once a minute.

    The new table goes into the saved output by ``update_display``, which paints the widget anew; its view state lies
    outside of the view and survives.
    """

    QUIET_S, LEAST_S = 10.0, 60.0

    def __init__(self, widget: ProcessedData) -> None:
        self._widget = widget
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, once."""
        if self._thread is None and self._widget.connected:
            self._thread = threading.Thread(target=self._run, name="beamhub snapshot", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop."""
        self._ended.set()

    def _run(self) -> None:
        seen, shown, quiet = self._head(), self._head(), 0.0
        last = time.monotonic()
        while not self._ended.wait(self.QUIET_S):
            head = self._head()
            quiet, seen = (quiet + self.QUIET_S if head == seen else 0.0), head
            if head is None or head == shown or quiet < self.QUIET_S or time.monotonic() - last < self.LEAST_S:
                continue
            last, shown = time.monotonic(), head
            with contextlib.suppress(Exception):  # the front end may be gone; the next one shows a fresh table anyway
                self._refresh()

    def _head(self) -> int | None:
        try:
            return self._widget.catalog.client.send(requests.runs(proposal=self._widget.proposal or None, limit=1)).seq
        except CatalogError:
            return None

    def _refresh(self) -> None:
        from IPython.display import update_display

        data, metadata = self._widget._repr_mimebundle_()
        update_display(data, metadata=metadata, raw=True, display_id=self._widget.view_id)


class Session(_Widget):
    """Where this notebook server runs, what it was started as, and how long it stays."""

    kind = traitlets.Unicode("session").tag(sync=True)

    def __init__(self) -> None:
        self.ends_at = os.environ.get("BEAMHUB_ENDS_AT", "")
        self.site, self.profile = os.environ.get("BEAMHUB_SITE", ""), os.environ.get("BEAMHUB_PROFILE", "")
        options = {"site": self.site, "profile": self.profile, "ends_at": self.ends_at, "node": platform.node()}
        super().__init__(options=options)

    def __repr__(self) -> str:
        until = f"until {self.ends_at}" if self.ends_at else "without a limit"
        return f"Session({self.profile or 'unknown profile'} on {self.site or 'unknown site'}, {until})"


def _service() -> Service | None:
    with contextlib.suppress(NotConfigured):
        return find_service()
    return None
