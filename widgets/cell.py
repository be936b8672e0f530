"""When the cell that runs now was started."""

import time
from typing import Any


class Cell:
    """``started`` in seconds since 1970; None where there are no cells, as in a script."""

    def __init__(self) -> None:
        from IPython.core.getipython import get_ipython

        self._shell: Any = get_ipython()
        self.started: float | None = None if self._shell is None else time.time()
        if self._shell is not None:
            self._shell.events.register("pre_run_cell", self._begin)

    def close(self) -> None:
        """Look no more."""
        if self._shell is not None:
            self._shell.events.unregister("pre_run_cell", self._begin)
            self._shell = None

    def _begin(self, info: Any = None) -> None:
        self.started = time.time()
