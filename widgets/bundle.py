"""The widget's page part: what every widget of ours loads first."""

from pathlib import Path

import anywidget
import traitlets

STATIC = Path(__file__).parent / "static"
FIRST = STATIC / "widget.js"
MISSING = (
    "export default { render({ el }) { el.textContent = 'The widget was installed without its page part: '"
    " + 'install the wheel of beamhub, or build it with make develop.'; } };"
)


class Widget(anywidget.AnyWidget):
    """What all have in common: the bundle, and which of them it is to show."""

    _esm = FIRST if FIRST.exists() else MISSING
    kind = traitlets.Unicode().tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
