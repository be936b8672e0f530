"""ColumnReader: asks a process of its own for the columns of files; see :mod:`beamhub.processing.reading_child`."""

from pathlib import Path

from beamhub.processing.columns import Cell
from beamhub.processing.reading_child import NoAnswer, ReadingChild


class ColumnReader(ReadingChild):
    """Reads one file at a time; blocks, so it is called beside the event loop."""

    def __init__(self) -> None:
        super().__init__("beamhub.processing.columns")

    def read(self, root: Path, path: str, wanted: dict[str, str], within_s: float) -> tuple[dict[str, Cell], str]:
        """The columns of a file, None where there is none, and why; see ``read_columns``."""
        try:
            told, _ = self.ask({"root": str(root), "path": path, "wanted": wanted}, within_s)
        except NoAnswer as error:
            return dict.fromkeys(wanted), f"the file {error}"
        return told["columns"], told["why"]
