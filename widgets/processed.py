"""``ProcessedData()``: the live table in the cell."""

import contextlib
import os
import threading
import time
import uuid
from typing import Any

import traitlets

from beamhub.catalog.client import Client, Service, find_service
from beamhub.catalog.errors import CatalogError, NotConfigured
from beamhub.widgets.browse import Catalog
from beamhub.widgets.bundle import Widget
from beamhub.widgets.cell import Cell
from beamhub.widgets.comm import Relay
from beamhub.widgets.entry import Entries
from beamhub.widgets.extension import Extension
from beamhub.widgets.shown import Shown
from beamhub.widgets.snapshot import Refresher, Snapshot, count_of, take, take_soon


class ProcessedData(Widget):
    """A live table of processed data.

    Args:
        proposal: which one to show first; default: the one that got data last.

    ``data.selected`` holds the rows that were selected when the cell that reads it was started. Rows, pictures and
    tokens are no part of the widget's state, so none of them is stored in the notebook but the static table that is
    shown without a kernel.
    """

    kind = traitlets.Unicode("processed").tag(sync=True)
    server_id = traitlets.Unicode(allow_none=True, default_value=None).tag(sync=True)
    view_id = traitlets.Unicode().tag(sync=True)
    proposal = traitlets.Unicode("").tag(sync=True)
    selected_ids = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, proposal: str | None = None) -> None:
        service = _service()
        self._client = Client(service) if service else None
        self._extension = Extension.find()
        self._cell, self._picked = Cell(), 0.0
        self._refresher: Refresher | None = None
        self._shown = Shown()
        self._saving, self._saved = threading.Lock(), ""  # and of which proposal the saved table is
        super().__init__(
            proposal=proposal or "",
            options={"proposal": proposal or ""},  # as the cell says it, whichever the page shows by now
            view_id=uuid.uuid4().hex,
            server_id=self._extension.hello() if self._extension else None,
        )
        self._relay = Relay(service, lambda content, buffers: self.send(content, buffers))
        self.on_msg(lambda _, content, __: self._receive(content))

    @property
    def connected(self) -> bool:
        """Whether there is a service to ask."""
        return self._client is not None

    @property
    def catalog(self) -> Catalog:
        """The data of the table's proposal without the table.

        Raises:
            CatalogError: the page has not said yet which proposal it shows, and the service does not answer.
        """
        return self._all.chosen()

    @property
    def _all(self) -> Catalog:
        """Of the proposal that the page shows; before it has said so, of none in particular."""
        return Catalog(self.proposal or None, self._client)

    @property
    def selected(self) -> Entries:
        """The rows that were selected in the table when this cell was started.

        The page tells the extension, which a computing kernel does not stop, or else the kernel; what was told last
        counts.
        """
        ids = list(self.selected_ids)
        if self.server_id is not None and self._extension is not None:
            kept = self._extension.selection(self.view_id, self._cell.started)
            if kept.time > self._picked:
                ids = list(kept.ids)
        return self._all.entries(ids)

    @traitlets.observe("selected_ids")
    def _when_picked(self, _: Any) -> None:
        self._picked = time.time()

    @traitlets.observe("proposal")
    def _when_moved(self, _: Any) -> None:
        """What is saved is of no other proposal than what is shown; that is looked at beside the cells."""
        if self._refresher is not None:
            self._refresher.look()

    def snapshot(self) -> str:
        """The static table: HTML without script, at most 200 rows and 50 kB."""
        return take(self._all, self._shown).html

    def close(self) -> None:
        """End the widget, its threads and its connections."""
        self._relay.close()
        self._cell.close()
        if self._refresher is not None:
            self._refresher.end()
        if self._extension is not None:
            self._extension.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """What the cell shows: the widget, and the static table where there is none."""
        return self._bundle(take_soon(self._all, shown=self._shown), **kwargs)

    def _bundle(self, now: Snapshot, **kwargs: Any) -> tuple[dict[str, Any], Any]:
        data, metadata = self._view(**kwargs)
        return data | now.bundle, metadata

    def _view(self, **kwargs: Any) -> tuple[dict[str, Any], Any]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return dict(data or {}), metadata

    def _ipython_display_(self) -> None:
        """Show it under a display id, so that the static table can be refreshed in the saved notebook.

        Where no notebook server started this kernel for a notebook, as in ``nbconvert --execute``, the static table is
        an output of its own: a renderer that prefers the widget may not be able to show it.
        """
        from IPython.display import display

        now = take_soon(self._all, self._show, self._shown)
        if self._apart:
            data, metadata = self._view()
            display(data | {"text/plain": "Processed data"}, metadata=metadata, raw=True)
        data, metadata = self._output(now)
        display(data, metadata=metadata, raw=True, display_id=self.view_id)
        self._saved = now.proposal
        if self._refresher is None and self.connected:
            self._refresher = Refresher(self._state, self._refresh, self._is_left)
            self._refresher.start()

    @property
    def _apart(self) -> bool:
        return "JPY_SESSION_NAME" not in os.environ

    def _output(self, now: Snapshot) -> tuple[dict[str, Any], Any]:
        """What stands under the display id."""
        if not self._apart:
            return self._bundle(now)
        # a page that has it live hides it by its class
        return now.bundle | {"text/html": f'<div class="bh-{self.view_id}">{now.html}</div>'}, {}

    def _state(self) -> object:
        with contextlib.suppress(CatalogError):
            shown, catalog = self._shown, self.catalog
            count = count_of(catalog, shown)
            return catalog.proposal, shown, count.count, tuple(count.states.items())
        return None

    def _receive(self, content: Any) -> None:
        if isinstance(content, dict) and content.get("refresh") is True:
            self._shown = Shown.read(content)
            if self._refresher is not None:
                self._refresher.look()
        else:
            self._relay.receive(content)

    def _refresh(self) -> None:
        self._show(take(self._all, self._shown))

    def _show(self, now: Snapshot) -> None:
        """Paint the widget anew, with the new table beside it; its view state lies outside of the view.

        A table that comes late is left out where the page shows another proposal by now.
        """
        from IPython.display import update_display

        # the front end may be gone; the next one shows a fresh table anyway
        with self._saving, contextlib.suppress(Exception):
            if self._is_other(now.proposal):
                return
            data, metadata = self._output(now)
            update_display(data, metadata=metadata, raw=True, display_id=self.view_id)
            self._saved = now.proposal

    def _is_other(self, proposal: str) -> bool:
        """Whether the page shows another one; before it has said which one it shows, it does not."""
        return self.proposal not in ("", proposal)

    def _is_left(self) -> bool:
        """Whether what is saved has rows of a proposal that the page does not show any more."""
        return bool(self._saved) and self._is_other(self._saved)


def _service() -> Service | None:
    with contextlib.suppress(NotConfigured):
        return find_service()
    return None
