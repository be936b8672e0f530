"""``Session()``: where this notebook server runs, what it was started as, and how long it stays."""

import html
import os
import platform
from datetime import UTC, datetime, timedelta
from typing import Any

import traitlets

from beamhub.widgets.bundle import Widget
from beamhub.widgets.extension import Extension


class Session(Widget):
    """This server's ``site``, ``profile`` and time ``left``, as its environment says, and what it uses."""

    kind = traitlets.Unicode("session").tag(sync=True)

    def __init__(self) -> None:
        self.site, self.profile = os.environ.get("BEAMHUB_SITE", ""), os.environ.get("BEAMHUB_PROFILE", "")
        self.ends_at = _moment(os.environ.get("BEAMHUB_ENDS_AT", ""))
        ends = self.ends_at.isoformat().replace("+00:00", "Z") if self.ends_at else ""
        self._extension = Extension.find()
        server = self._extension.hello() if self._extension else None
        options = {
            "site": self.site,
            "profile": self.profile,
            "ends_at": ends,
            "node": platform.node(),
            "server": server,
        }
        super().__init__(options=options | {"usage": self.usage()})

    def usage(self) -> dict[str, float | None]:
        """Now: ``cores``, and ``used`` bytes of ``memory`` (None without a limit); empty where nobody can tell."""
        told = self._extension.session() if self._extension else {}
        return {name: told[name] for name in ("cores", "memory", "used") if name in told}

    def close(self) -> None:
        """End the widget and its connection."""
        if self._extension is not None:
            self._extension.close()
        super().close()

    @property
    def left(self) -> timedelta | None:
        """Time until this server ends, never less than nothing; None where it has no limit."""
        return None if self.ends_at is None else max(timedelta(), self.ends_at - datetime.now(UTC))

    def __repr__(self) -> str:
        until = f"until {self.ends_at:%Y-%m-%d %H:%M} UTC" if self.ends_at else "without a limit"
        return f"Session({self.profile or 'unknown profile'} on {self.site or 'unknown site'}, {until})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and a sentence where there is none."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return dict(data or {}) | {"text/plain": repr(self), "text/html": f"<p>{html.escape(repr(self))}</p>"}, metadata


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
